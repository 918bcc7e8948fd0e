/*
 * A growing text and its JSON escapes.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "foodsvc_buf.h"

#define REPLACEMENT "\xEF\xBF\xBD"      /* U+FFFD */

void foodsvc_buf_init(foodsvc_buf_t *buf, size_t size)
{
    buf->len = 0;
    buf->size = size < 16 ? 16 : size;
    buf->data = malloc(buf->size);
    buf->failed = buf->data == NULL;
}

static bool reserve(foodsvc_buf_t *buf, size_t more)
{
    if (buf->failed) {
        return false;
    }
    if (more <= buf->size - buf->len) {
        return true;
    }

    size_t  size = (buf->size + more) * 2;
    char   *data = realloc(buf->data, size);

    if (data == NULL) {
        buf->failed = true;
        return false;
    }
    buf->data = data;
    buf->size = size;
    return true;
}

void foodsvc_buf_add(foodsvc_buf_t *buf, const char *text, size_t len)
{
    if (len > 0 && reserve(buf, len)) {
        memcpy(buf->data + buf->len, text, len);
        buf->len += len;
    }
}

void foodsvc_buf_str(foodsvc_buf_t *buf, const char *text)
{
    foodsvc_buf_add(buf, text, strlen(text));
}

void foodsvc_buf_integer(foodsvc_buf_t *buf, int64_t value)
{
    char text[24];

    foodsvc_buf_add(buf, text, (size_t) snprintf(text, sizeof(text), "%" PRId64, value));
}

size_t foodsvc_utf8_char(const char *text, size_t len)
{
    const unsigned char *p = (const unsigned char *) text;
    size_t               n;
    uint32_t             code;

    if (len == 0) {
        return 0;
    }
    if (p[0] < 0x80) {
        return 1;
    }
    if (p[0] >= 0xC2 && p[0] <= 0xDF) {
        n = 2;
        code = p[0] & 0x1F;
    } else if ((p[0] & 0xF0) == 0xE0) {
        n = 3;
        code = p[0] & 0x0F;
    } else if (p[0] >= 0xF0 && p[0] <= 0xF4) {
        n = 4;
        code = p[0] & 0x07;
    } else {
        return 0;
    }
    if (n > len) {
        return 0;
    }
    for (size_t i = 1; i < n; i++) {
        if ((p[i] & 0xC0) != 0x80) {
            return 0;
        }
        code = code << 6 | (p[i] & 0x3F);
    }
    if (n == 3 && (code < 0x800 || (code >= 0xD800 && code <= 0xDFFF))) {
        return 0;
    }
    if (n == 4 && (code < 0x10000 || code > 0x10FFFF)) {
        return 0;
    }
    return n;
}

bool foodsvc_utf8_printable(const char *text)
{
    for (const unsigned char *p = (const unsigned char *) text; *p != '\0'; p++) {
        if (*p < 0x20 || *p == 0x7F || (*p == 0xC2 && p[1] < 0xA0)) {
            return false;
        }
    }
    return true;
}

static void add_escape(foodsvc_buf_t *buf, unsigned char c)
{
    char text[8];

    switch (c) {
    case '"':
        foodsvc_buf_add(buf, "\\\"", 2);
        return;
    case '\\':
        foodsvc_buf_add(buf, "\\\\", 2);
        return;
    case '\n':
        foodsvc_buf_add(buf, "\\n", 2);
        return;
    default:
        foodsvc_buf_add(buf, text, (size_t) snprintf(text, sizeof(text), "\\u%04x", c));
    }
}

void foodsvc_buf_quote(foodsvc_buf_t *buf, const char *text, size_t len)
{
    size_t start = 0, i = 0;

    foodsvc_buf_add(buf, "\"", 1);
    while (i < len) {
        unsigned char c = (unsigned char) text[i];
        size_t        n = c < 0x80 ? 1 : foodsvc_utf8_char(text + i, len - i);

        if (n > 0 && c >= 0x20 && c != '"' && c != '\\') {
            i += n;
            continue;
        }
        foodsvc_buf_add(buf, text + start, i - start);
        if (n == 0) {
            foodsvc_buf_str(buf, REPLACEMENT);
        } else {
            add_escape(buf, c);
        }
        i++;
        start = i;
    }
    foodsvc_buf_add(buf, text + start, len - start);
    foodsvc_buf_add(buf, "\"", 1);
}

char *foodsvc_buf_finish(foodsvc_buf_t *buf, size_t *len)
{
    char *data = buf->data;

    if (!reserve(buf, 1)) {
        free(data);
        data = NULL;
    } else {
        data = buf->data;
        data[buf->len] = '\0';
        if (len != NULL) {
            *len = buf->len;
        }
    }
    *buf = (foodsvc_buf_t) { .failed = true };
    return data;
}
