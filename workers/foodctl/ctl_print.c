/*
 * Results on standard output.
 */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "ctl.h"

bool
ctl_colours(void)
{
    const char *no = getenv("NO_COLOR"), *term = getenv("TERM");

    return isatty(STDOUT_FILENO) && (no == NULL || *no == '\0') && (term == NULL || strcmp(term, "dumb") != 0);
}

void
ctl_paint(const char *text, bool good)
{
    if (ctl_colours()) {
        printf("\033[%dm", good ? 32 : 31);
        ctl_print_text(text, 0);
        fputs("\033[0m", stdout);
    } else {
        ctl_print_text(text, 0);
    }
}

/* JSON leaves DEL and the C1 controls (U+0080..9F) as they are; they are in strings alone, where \u stands for them. */
void
ctl_print_json_text(const char *text)
{
    for (const unsigned char *c = (const unsigned char *) text; *c != '\0'; c++) {
        if (c[0] == 0x7f) {
            fputs("\\u007f", stdout);
        } else if (c[0] == 0xc2 && c[1] >= 0x80 && c[1] < 0xa0) {
            printf("\\u%04x", *++c);
        } else {
            putchar(*c);
        }
    }
    putchar('\n');
}

static void
ctl_print_json_as(const json_t *value, size_t flags)
{
    char *text = json_dumps(value, flags | JSON_ENCODE_ANY | JSON_REAL_PRECISION(15));

    ctl_print_json_text(text ? text : "null");
    free(text);
}

void
ctl_print_json(const json_t *value)
{
    ctl_print_json_as(value, JSON_COMPACT);
}

void
ctl_print_json_lines(const json_t *value)
{
    ctl_print_json_as(value, JSON_INDENT(2));
}

void
ctl_print_json_new(json_t *value)
{
    ctl_print_json(value);
    json_decref(value);
}

/* The bytes of the character at text, 0: it is no printable one. C1 controls (U+0080..9F) can steer a terminal, too. */
static size_t
ctl_printable(const unsigned char *text, size_t len)
{
    size_t more = text[0] < 0xc2 ? 0 : text[0] < 0xe0 ? 1 : text[0] < 0xf0 ? 2 : text[0] < 0xf5 ? 3 : 0;

    if (text[0] < 0x80) {
        return text[0] >= ' ' && text[0] != 0x7f ? 1 : 0;
    }
    if (more == 0 || more >= len || (text[0] == 0xc2 && text[1] < 0xa0)) {
        return 0;
    }
    for (size_t i = 1; i <= more; i++) {
        if ((text[i] & 0xc0) != 0x80) {
            return 0;
        }
    }
    return more + 1;
}

size_t
ctl_print_bytes(const char *text, size_t len)
{
    size_t columns = 0;

    for (size_t i = 0; i < len; ) {
        size_t n = ctl_printable((const unsigned char *) text + i, len - i);

        if (n == 0) {
            printf("\\x%02x", (unsigned char) text[i]);
        } else {
            fwrite(text + i, 1, n, stdout);
        }
        columns += n > 0 ? 1 : 4;
        i += n > 0 ? n : 1;
    }
    return columns;
}

void
ctl_print_text(const char *text, size_t width)
{
    for (size_t columns = ctl_print_bytes(text, strlen(text)); columns < width; columns++) {
        putchar(' ');
    }
}

char *
ctl_age_format(int64_t ms, char text[CTL_AGE_TEXT])
{
    static const struct {
        int64_t ms;
        char    unit;
    } units[] = { { 86400000, 'd' }, { 3600000, 'h' }, { 60000, 'm' }, { 1000, 's' } };
    size_t i = 0;

    while (i < 3 && ms < units[i].ms) {
        i++;
    }
    snprintf(text, CTL_AGE_TEXT, "%lld%c", (long long) (ms / units[i].ms), units[i].unit);
    return text;
}
