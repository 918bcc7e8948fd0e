/*
 * Log lines on standard error: key=value or JSON, one write(2) a line, so that lines of several threads or processes
 * don't mix.
 *
 *   worker_log(WORKER_LOG_INFO, "order stored", worker_text("order", id), worker_int("attempts", n));
 *
 * Text is escaped (control characters, quotes, invalid UTF-8). As a last line of defence, runs of 13 and more digits
 * (card numbers) and passwords in urls are masked, wherever they come from; callers don't pass them all the same.
 * Equal messages (by their literal's address) of level warn and error are limited to 10 in 10 s; the next line that
 * comes through then says how many were left out. Any thread.
 */
#ifndef WORKER_LOG_H
#define WORKER_LOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef enum {
    WORKER_LOG_DEBUG = 0,
    WORKER_LOG_INFO,
    WORKER_LOG_WARN,
    WORKER_LOG_ERROR
} worker_log_level_e;

typedef enum {
    WORKER_LOG_KV = 0,
    WORKER_LOG_JSON
} worker_log_format_e;

/* The names for configuration tables, in the enums' order, NULL-terminated. */
extern const char *const worker_log_level_names[];
extern const char *const worker_log_format_names[];

typedef struct {
    const char *key;        /* NULL ends the list */
    const char *text;       /* NULL: the number */
    int64_t     number;
} worker_log_field_t;

static inline worker_log_field_t worker_text(const char *key, const char *text)
{
    return (worker_log_field_t) { key, text ? text : "", 0 };
}

static inline worker_log_field_t worker_int(const char *key, int64_t number)
{
    return (worker_log_field_t) { key, NULL, number };
}

/* Before the first line; again at a reload. program is borrowed. Until then: key=value, info. */
void worker_log_setup(const char *program, worker_log_format_e format, worker_log_level_e level);

bool worker_log_on(worker_log_level_e level);

void worker_log_write(worker_log_level_e level, const char *message, const worker_log_field_t *fields);

#define worker_log(level, message, ...)                                                                         \
    do {                                                                                                        \
        if (worker_log_on(level)) {                                                                             \
            worker_log_write(level, message,                                                                    \
                             (const worker_log_field_t[]) { __VA_ARGS__ __VA_OPT__(,) { NULL, NULL, 0 } });     \
        }                                                                                                       \
    } while (0)

#endif
