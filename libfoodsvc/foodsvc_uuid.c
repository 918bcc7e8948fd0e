/*
 * UUIDs: text, and new ones of version 4 and 7 (RFC 9562).
 */
#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include "foodsvc_buf.h"
#include "foodsvc_time.h"
#include "foodsvc_uuid.h"

#define GROUPS  5

static const size_t group_starts[GROUPS] = { 0, 9, 14, 19, 24 };
static const size_t group_lens[GROUPS] = { 8, 4, 4, 4, 12 };

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    if (c >= 'a' && c <= 'f') {
        return c - 'a' + 10;
    }
    if (c >= 'A' && c <= 'F') {
        return c - 'A' + 10;
    }
    return -1;
}

/* Reads 32 hex digits, or the same in five groups; false when it is neither. */
static bool read_digits(const char *text, size_t len, foodsvc_uuid_t *uuid)
{
    size_t n = 0;

    if (len != 32 && len != FOODSVC_UUID_TEXT) {
        return false;
    }
    for (size_t i = 0; i < len; i++) {
        if (len == FOODSVC_UUID_TEXT && (i == 8 || i == 13 || i == 18 || i == 23)) {
            if (text[i] != '-') {
                return false;
            }
            continue;
        }

        int digit = hex_digit(text[i]);

        if (digit < 0) {
            return false;
        }
        if (n % 2 == 0) {
            uuid->bytes[n / 2] = (uint8_t) (digit << 4);
        } else {
            uuid->bytes[n / 2] |= (uint8_t) digit;
        }
        n++;
    }
    return true;
}

static void explain_char(const char *text, size_t len, size_t at, char *err, size_t errlen)
{
    size_t n = foodsvc_utf8_char(text, len);

    if (n == 0) {
        snprintf(err, errlen, "invalid character: found `\xEF\xBF\xBD` at %zu", at);
    } else {
        snprintf(err, errlen, "invalid character: found `%.*s` at %zu", (int) n, text, at);
    }
}

/* Says what is wrong with text that read_digits() did not take. offset: of text in the whole input. */
static void explain(const char *text, size_t len, size_t offset, char *err, size_t errlen)
{
    size_t bounds[GROUPS], hyphens = 0, group = 0, start = 0;

    for (size_t i = 0; i < len; i++) {
        if (text[i] == '-') {
            if (hyphens < GROUPS - 1) {
                bounds[hyphens] = i;
            }
            hyphens++;
        } else if (hex_digit(text[i]) < 0) {
            explain_char(text + i, len - i, i + offset, err, errlen);
            return;
        }
    }
    if (hyphens == 0 && offset == 0) {
        snprintf(err, errlen, "invalid length: expected length 32 for simple format, found %zu", len);
        return;
    }
    if (hyphens != GROUPS - 1) {
        snprintf(err, errlen, "invalid group count: expected 5, found %zu", hyphens + 1);
        return;
    }

    bounds[GROUPS - 1] = len;
    while (group < GROUPS - 1 && bounds[group] == group_starts[group] + group_lens[group]) {
        group++;
    }
    start = group_starts[group];
    snprintf(err, errlen, "invalid group length in group %zu: expected %zu, found %zu", group, group_lens[group],
             bounds[group] - start);
}

bool foodsvc_uuid_parse(const char *text, size_t len, foodsvc_uuid_t *uuid, char *err, size_t errlen)
{
    static const char urn[] = "urn:uuid:";
    size_t            offset = 0;

    if (len >= 2 && text[0] == '{' && text[len - 1] == '}') {
        offset = 1;
        len -= 2;
    } else if (len >= sizeof(urn) - 1 && memcmp(text, urn, sizeof(urn) - 1) == 0) {
        offset = sizeof(urn) - 1;
        len -= offset;
    }
    text += offset;

    if ((offset == 0 || len == FOODSVC_UUID_TEXT) && read_digits(text, len, uuid)) {
        return true;
    }
    explain(text, len, offset, err, errlen);
    return false;
}

char *foodsvc_uuid_format(const foodsvc_uuid_t *uuid, char text[FOODSVC_UUID_TEXT + 1])
{
    static const char digits[] = "0123456789abcdef";
    char             *p = text;

    for (size_t i = 0; i < sizeof(uuid->bytes); i++) {
        if (i == 4 || i == 6 || i == 8 || i == 10) {
            *p++ = '-';
        }
        *p++ = digits[uuid->bytes[i] >> 4];
        *p++ = digits[uuid->bytes[i] & 15];
    }
    *p = '\0';
    return text;
}

/* From the kernel each time: nothing of it is kept, so a fork cannot repeat it. */
static void fill_random(void *bytes, size_t len)
{
    while (getrandom(bytes, len, 0) != (ssize_t) len) {
        if (errno != EINTR) {
            abort();        /* no Linux that runs us does this; ids that repeat would be worse than a stop */
        }
    }
}

static void set_version(foodsvc_uuid_t *uuid, unsigned version)
{
    uuid->bytes[6] = (uint8_t) ((uuid->bytes[6] & 0x0F) | version << 4);
    uuid->bytes[8] = (uint8_t) ((uuid->bytes[8] & 0x3F) | 0x80);
}

void foodsvc_uuid_v4(foodsvc_uuid_t *uuid)
{
    fill_random(uuid->bytes, sizeof(uuid->bytes));
    set_version(uuid, 4);
}

/*
 * The 48 bits of milliseconds and the 12 behind them are one number that only grows: a new millisecond starts it at 0,
 * a further id within the millisecond (or after the clock was set back) adds 1, and more than 4096 of them run into
 * the next millisecond (RFC 9562, 6.2). No lock: a child forked at any moment goes on from the parent's number, with
 * other random bits.
 */
void foodsvc_uuid_v7(foodsvc_uuid_t *uuid)
{
    static _Atomic uint64_t last;
    uint64_t                now = (uint64_t) foodsvc_time_now() << 12;
    uint64_t                before = atomic_load(&last), next;

    do {
        next = now > before ? now : before + 1;
    } while (!atomic_compare_exchange_weak(&last, &before, next));

    fill_random(uuid->bytes + 8, 8);
    for (int i = 0; i < 6; i++) {
        uuid->bytes[i] = (uint8_t) (next >> (52 - 8 * i));
    }
    uuid->bytes[6] = (uint8_t) (next >> 8 & 0x0F);
    uuid->bytes[7] = (uint8_t) next;
    set_version(uuid, 7);
}
