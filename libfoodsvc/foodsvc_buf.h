/*
 * A growing text, for the JSON that is written by hand. Private to libfoodsvc.
 *
 * Running out of memory is remembered: the writers go on without effect, and foodsvc_buf_finish() returns NULL. So a
 * writer checks once, at its end.
 */
#ifndef FOODSVC_BUF_H
#define FOODSVC_BUF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct {
    char   *data;
    size_t  len;
    size_t  size;
    bool    failed;
} foodsvc_buf_t;

/* `size`: the bytes that will probably do. */
void foodsvc_buf_init(foodsvc_buf_t *buf, size_t size);
void foodsvc_buf_add(foodsvc_buf_t *buf, const char *text, size_t len);
void foodsvc_buf_str(foodsvc_buf_t *buf, const char *text);
/* A JSON string with its quotes. Bytes that are no UTF-8 become U+FFFD. */
void foodsvc_buf_quote(foodsvc_buf_t *buf, const char *text, size_t len);
void foodsvc_buf_integer(foodsvc_buf_t *buf, int64_t value);
/* The text, NUL-terminated; the caller frees. len may be NULL. NULL: no memory. The buffer is empty afterwards. */
char *foodsvc_buf_finish(foodsvc_buf_t *buf, size_t *len);

/* The bytes of the UTF-8 character at text (1 to 4), or 0 when there is none: shortest form only, no surrogates. */
size_t foodsvc_utf8_char(const char *text, size_t len);
/* UTF-8 text without a control character (C0, DEL, C1): none that would break a header, a log's line or a terminal. */
bool foodsvc_utf8_printable(const char *text);

#endif
