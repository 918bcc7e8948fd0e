#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "foodsvc_time.h"
#include "worker_log.h"

#define LINE_MAX_BYTES  4096
#define LIMIT_SLOTS     64
#define LIMIT_LINES     10
#define LIMIT_MS        10000
#define CARD_DIGITS     13      /* the shortest card number; a UUID's longest group has 12 */

typedef struct {
    char    bytes[LINE_MAX_BYTES];
    size_t  len;
} line_t;

typedef struct {
    const char *message;
    int64_t     since;
    unsigned    lines;
    unsigned    left_out;
} limit_t;

const char *const worker_log_level_names[] = { "debug", "info", "warn", "error", NULL };
const char *const worker_log_format_names[] = { "kv", "json", NULL };

static struct {
    const char          *program;
    worker_log_format_e  format;
    worker_log_level_e   level;
    pthread_mutex_t      mutex;         /* limits */
    limit_t              limits[LIMIT_SLOTS];
} state = { .program = "foodsvc", .level = WORKER_LOG_INFO, .mutex = PTHREAD_MUTEX_INITIALIZER };


void worker_log_setup(const char *program, worker_log_format_e format, worker_log_level_e level)
{
    state.program = program;
    state.format = format;
    state.level = level;
}


bool worker_log_on(worker_log_level_e level)
{
    return level >= state.level;
}


/* True: write it. *left_out: how many of this message were not written before. */
static bool limit_passes(const char *message, unsigned *left_out)
{
    int64_t   now = foodsvc_time_monotonic();
    limit_t  *limit;
    bool      passes;

    pthread_mutex_lock(&state.mutex);
    limit = &state.limits[((uintptr_t) message >> 3) % LIMIT_SLOTS];
    *left_out = 0;
    if (limit->message != message || now - limit->since >= LIMIT_MS) {
        *left_out = limit->message == message ? limit->left_out : 0;
        *limit = (limit_t) { .message = message, .since = now };
    }
    passes = limit->lines < LIMIT_LINES;
    if (passes) {
        limit->lines++;
    } else {
        limit->left_out++;
    }
    pthread_mutex_unlock(&state.mutex);
    return passes;
}


/* Leaves room for the line's end. */
static void put(line_t *line, const char *bytes, size_t len)
{
    size_t  room = sizeof(line->bytes) - 4 - line->len;

    if (len > room) {
        len = room;
    }
    memcpy(line->bytes + line->len, bytes, len);
    line->len += len;
}


static void puts_line(line_t *line, const char *text)
{
    put(line, text, strlen(text));
}


/* The length of the UTF-8 sequence at s, 0 when it is none. Overlong forms and surrogates are left to the reader. */
static size_t utf8_len(const unsigned char *s)
{
    size_t  n = s[0] < 0x80 ? 1 : s[0] >= 0xc2 && s[0] < 0xe0 ? 2 : (s[0] & 0xf0) == 0xe0 ? 3
                : s[0] >= 0xf0 && s[0] < 0xf5 ? 4 : 0;

    for (size_t i = 1; i < n; i++) {
        if ((s[i] & 0xc0) != 0x80) {
            return 0;
        }
    }
    return n;
}


/* The length of what must not be shown at s, 0 when nothing: a card number's digits, a url's password. */
static size_t masked_len(const char *start, const char *s)
{
    size_t  n = strspn(s, "0123456789");

    if (n >= CARD_DIGITS) {
        return n;
    }
    if (s - start >= 3 && memcmp(s - 3, "://", 3) == 0) {
        size_t  user = strcspn(s, "/?# \t\n\"");
        const char  *at = memrchr(s, '@', user);

        return at ? (size_t) (at - s) : 0;
    }
    return 0;
}


static void put_escaped(line_t *line, const char *text)
{
    /* Stops before the line is full, so that what is written is always whole: an escape, a character, the closing
       quote. */
    for (const char *s = text; *s && line->len < sizeof(line->bytes) - 16; ) {
        unsigned char  c = (unsigned char) *s;
        size_t         n = masked_len(text, s);
        char           hex[8];

        if (n > 0) {
            puts_line(line, "***");
            s += n;
            continue;
        }
        n = utf8_len((const unsigned char *) s);
        if (c == '"' || c == '\\') {
            put(line, "\\", 1);
            put(line, s, 1);
        } else if (c < 0x20 || c == 0x7f || n == 0) {
            snprintf(hex, sizeof(hex), "\\u%04x", n == 0 ? 0xfffdU : c);
            puts_line(line, hex);
            n = 1;
        } else {
            put(line, s, n);
        }
        s += n;
    }
}


static bool is_bare(const char *text)
{
    size_t  len = strlen(text);

    if (len == 0 || len > 512) {
        return false;
    }
    for (const char *s = text; *s; s++) {
        if ((unsigned char) *s <= ' ' || (unsigned char) *s >= 0x7f || strchr("\"\\=", *s)) {
            return false;
        }
    }
    return true;
}


static void put_field(line_t *line, worker_log_field_t field)
{
    bool  json = state.format == WORKER_LOG_JSON;
    char  number[24];

    if (line->len > (json ? 1 : 0)) {
        put(line, json ? "," : " ", 1);
    }
    if (json) {
        put(line, "\"", 1);
        puts_line(line, field.key);
        put(line, "\":", 2);
    } else {
        puts_line(line, field.key);
        put(line, "=", 1);
    }

    if (field.text == NULL) {
        snprintf(number, sizeof(number), "%lld", (long long) field.number);
        puts_line(line, number);
    } else if (!json && is_bare(field.text)) {
        put_escaped(line, field.text);
    } else {
        put(line, "\"", 1);
        put_escaped(line, field.text);
        put(line, "\"", 1);
    }
}


void worker_log_write(worker_log_level_e level, const char *message, const worker_log_field_t *fields)
{
    char      when[FOODSVC_TIME_TEXT + 1];
    line_t    line;
    unsigned  left_out = 0;
    size_t    sent = 0;

    if (level < state.level || (level >= WORKER_LOG_WARN && !limit_passes(message, &left_out))) {
        return;
    }

    line.len = 0;
    if (state.format == WORKER_LOG_JSON) {
        put(&line, "{", 1);
    }
    put_field(&line, worker_text("time", foodsvc_time_format(foodsvc_time_now(), when)));
    put_field(&line, worker_text("level", worker_log_level_names[level]));
    put_field(&line, worker_text("program", state.program));
    put_field(&line, worker_int("pid", getpid()));
    put_field(&line, worker_text("msg", message));
    for (; fields->key && line.len < sizeof(line.bytes) - 256; fields++) {
        put_field(&line, *fields);
    }
    if (left_out > 0) {
        put_field(&line, worker_int("left_out", left_out));
    }
    if (state.format == WORKER_LOG_JSON) {
        line.bytes[line.len++] = '}';
    }
    line.bytes[line.len++] = '\n';

    while (sent < line.len) {
        ssize_t  n = write(STDERR_FILENO, line.bytes + sent, line.len - sent);

        if (n < 0 && errno != EINTR) {
            return;
        }
        sent += n > 0 ? (size_t) n : 0;
    }
}
