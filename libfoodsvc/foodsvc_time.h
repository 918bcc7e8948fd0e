/*
 * Times: milliseconds since the Unix epoch, UTC, as MongoDB stores them.
 * All functions may be called from any thread.
 */
#ifndef FOODSVC_TIME_H
#define FOODSVC_TIME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FOODSVC_TIME_TEXT   24      /* characters of "2026-11-23T10:22:51.910Z" */

int64_t foodsvc_time_now(void);

/*
 * Clocks of hosts differ by some seconds. What somebody stored as the time when it happened, and lies further ahead,
 * was written by a clock that was wrong: it can't be waited for, and counts as long ago.
 */
#define FOODSVC_TIME_AHEAD  30000       /* ms */

bool foodsvc_time_is_ahead(int64_t when, int64_t now);

/* Milliseconds of the monotonic clock, for deadlines. */
int64_t foodsvc_time_monotonic(void);

/* Writes "2026-11-23T10:22:51.910Z" and a NUL: 25 bytes. Years outside 0..9999 are clamped. Returns text. */
char *foodsvc_time_format(int64_t ms, char text[FOODSVC_TIME_TEXT + 1]);

/* Reads ISO 8601 with 'T' or a blank, 0 to 9 fraction digits (cut to ms), and 'Z', an offset, or nothing (UTC). */
bool foodsvc_time_parse(const char *text, size_t len, int64_t *ms);

#endif
