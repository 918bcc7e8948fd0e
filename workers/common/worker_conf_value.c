#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "worker_conf_value.h"

#define LINE_BYTES      4096


void *worker_conf_must(void *memory)
{
    if (memory == NULL) {
        fputs("out of memory\n", stderr);
        exit(1);
    }
    return memory;
}


char *worker_conf_trim(char *text)
{
    char  *end = text + strlen(text);

    while (end > text && isspace((unsigned char) end[-1])) {
        *--end = '\0';
    }
    while (isspace((unsigned char) *text)) {
        text++;
    }
    return text;
}


char *worker_conf_first_line(const char *path, char *err, size_t errlen)
{
    char   line[LINE_BYTES] = "";
    FILE  *file = fopen(path, "re");

    if (file == NULL) {
        snprintf(err, errlen, "%s: %s", path, strerror(errno));
        return NULL;
    }
    if (fgets(line, sizeof(line), file) == NULL && ferror(file)) {
        snprintf(err, errlen, "%s: %s", path, strerror(errno));
        fclose(file);
        return NULL;
    }
    fclose(file);
    line[strcspn(line, "\r\n")] = '\0';
    if (*worker_conf_trim(line) == '\0') {
        snprintf(err, errlen, "%s: its first line is empty", path);
        return NULL;
    }
    return worker_conf_must(strdup(worker_conf_trim(line)));
}


__attribute__((format(printf, 3, 4)))
static bool fails(char *err, size_t errlen, const char *format, ...)
{
    va_list  args;

    va_start(args, format);
    vsnprintf(err, errlen, format, args);
    va_end(args);
    return false;
}


static bool to_number(const worker_conf_option_t *option, const char *text, int64_t *number, char *err, size_t errlen)
{
    static const struct { const char *name; int64_t ms; } units[] = {
        { "ms", 1 }, { "s", 1000 }, { "", 1000 }, { "m", 60000 }, { "h", 3600000 }
    };
    bool       is_ms = option->type == WORKER_CONF_MS;
    const char *kind = is_ms ? "a time such as 500ms, 10s or 5m" : "a whole number";
    int64_t    max = option->max ? option->max : is_ms ? 86400000 : INT64_MAX, unit = is_ms ? 0 : 1;
    char      *end;
    long long  n;

    errno = 0;
    n = strtoll(text, &end, 10);
    for (size_t i = 0; is_ms && i < sizeof(units) / sizeof(units[0]); i++) {
        unit = strcmp(end, units[i].name) == 0 ? units[i].ms : unit;
    }
    if (end == text || errno || unit == 0 || (!is_ms && *end) || isspace((unsigned char) *text)) {
        return fails(err, errlen, "\"%.64s\" is not %s", text, kind);
    }
    if (n < 0 || n > INT64_MAX / unit || n * unit < option->min || n * unit > max) {
        return fails(err, errlen, "%.64s is out of range; give %lld to %lld%s", text, (long long) option->min,
                     (long long) max, is_ms ? " ms" : "");
    }
    *number = n * unit;
    return true;
}


static bool to_real(const worker_conf_option_t *option, const char *text, double *real, char *err, size_t errlen)
{
    char  *end;

    *real = strtod(text, &end);
    if (end == text || *end || *real != *real || *real < (double) option->min
        || (option->max && *real > (double) option->max))
    {
        return option->max ? fails(err, errlen, "\"%.64s\" is not a number from %lld to %lld", text,
                                   (long long) option->min, (long long) option->max)
                           : fails(err, errlen, "\"%.64s\" is not a number of %lld or more", text,
                                   (long long) option->min);
    }
    return true;
}


static bool to_bool(const char *text, bool *value, char *err, size_t errlen)
{
    static const char *const words[] = { "off", "on", "no", "yes", "false", "true", "0", "1" };

    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        if (strcasecmp(text, words[i]) == 0) {
            *value = i % 2;
            return true;
        }
    }
    return fails(err, errlen, "\"%.64s\" is neither on nor off", text);
}


static bool to_name(const worker_conf_option_t *option, const char *text, int *index, char *err, size_t errlen)
{
    size_t  len;

    for (int i = 0; option->names[i]; i++) {
        if (strcmp(option->names[i], text) == 0) {
            *index = i;
            return true;
        }
    }
    fails(err, errlen, "\"%.64s\" is none of", text);
    for (int i = 0; option->names[i]; i++) {
        len = strlen(err);
        snprintf(err + len, errlen - len, "%s %s", i ? "," : "", option->names[i]);
    }
    return false;
}


static bool to_text(const worker_conf_option_t *option, const char *text, char **value, char *err, size_t errlen)
{
    if (option->type == WORKER_CONF_PATH) {
        if (*text && access(text, R_OK) != 0) {
            return fails(err, errlen, "%.256s: %s; name a readable file", text, strerror(errno));
        }
        *value = *text ? worker_conf_must(strdup(text)) : NULL;
        return true;
    }
    if (strncmp(text, "file:", 5) == 0) {
        *value = worker_conf_first_line(text + 5, err, errlen);
    } else {
        *value = worker_conf_must(strdup(text));
    }
    if (*value && option->check && !option->check(*value, err, errlen)) {
        free(*value);
        *value = NULL;
    }
    return *value != NULL;
}


bool worker_conf_convert(const worker_conf_option_t *option, const char *text, void *value, char *err, size_t errlen)
{
    worker_conf_list_t  *list;

    switch (option->type) {
    case WORKER_CONF_INT:
    case WORKER_CONF_MS:
        return to_number(option, text, value, err, errlen);
    case WORKER_CONF_REAL:
        return to_real(option, text, value, err, errlen);
    case WORKER_CONF_BOOL:
        return to_bool(text, value, err, errlen);
    case WORKER_CONF_NAME:
        return to_name(option, text, value, err, errlen);
    case WORKER_CONF_LIST:
        if (option->check && !option->check(text, err, errlen)) {
            return false;
        }
        list = value;
        list->items = worker_conf_must(realloc(list->items, (list->nitems + 1) * sizeof(char *)));
        list->items[list->nitems++] = worker_conf_must(strdup(text));
        return true;
    default:
        return to_text(option, text, value, err, errlen);
    }
}


void worker_conf_value_free(const worker_conf_option_t *option, void *value)
{
    worker_conf_list_t  *list = value;

    switch (option->type) {
    case WORKER_CONF_TEXT:
    case WORKER_CONF_SECRET:
    case WORKER_CONF_PATH:
        free(*(char **) value);
        *(char **) value = NULL;
        break;
    case WORKER_CONF_LIST:
        for (size_t i = 0; i < list->nitems; i++) {
            free(list->items[i]);
        }
        free(list->items);
        *list = (worker_conf_list_t) { 0 };
        break;
    default:
        break;
    }
}


size_t worker_conf_value_size(const worker_conf_option_t *option)
{
    switch (option->type) {
    case WORKER_CONF_INT: case WORKER_CONF_MS: return sizeof(int64_t);
    case WORKER_CONF_REAL: return sizeof(double);
    case WORKER_CONF_BOOL: return sizeof(bool);
    case WORKER_CONF_NAME: return sizeof(int);
    case WORKER_CONF_LIST: return sizeof(worker_conf_list_t);
    default: return sizeof(char *);
    }
}


bool worker_conf_value_same(const worker_conf_option_t *option, const void *a, const void *b)
{
    const worker_conf_list_t  *x = a, *y = b;
    const char                *s, *t;

    switch (option->type) {
    case WORKER_CONF_TEXT:
    case WORKER_CONF_SECRET:
    case WORKER_CONF_PATH:
        s = *(char *const *) a;
        t = *(char *const *) b;
        return s && t ? strcmp(s, t) == 0 : s == t;
    case WORKER_CONF_LIST:
        for (size_t i = 0; x->nitems == y->nitems && i < x->nitems; i++) {
            if (strcmp(x->items[i], y->items[i]) != 0) {
                return false;
            }
        }
        return x->nitems == y->nitems;
    default:
        return memcmp(a, b, worker_conf_value_size(option)) == 0;
    }
}
