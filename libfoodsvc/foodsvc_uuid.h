/*
 * UUIDs: RFC 9562 text and binary, and version 7 for new orders.
 * All functions may be called from any thread.
 */
#ifndef FOODSVC_UUID_H
#define FOODSVC_UUID_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FOODSVC_UUID_TEXT   36      /* characters of the canonical text, without the NUL */

typedef struct {
    uint8_t bytes[16];
} foodsvc_uuid_t;

/*
 * Parses a UUID as the original's web framework does: hyphenated or plain hex, any case, in braces or after
 * "urn:uuid:". On failure returns false and writes what is wrong into err (for instance "invalid character: found `x`
 * at 0"), the words of the recorded answers.
 */
bool foodsvc_uuid_parse(const char *text, size_t len, foodsvc_uuid_t *uuid, char *err, size_t errlen);

/* Writes the canonical lower-case text and a NUL: 37 bytes. Returns text. */
char *foodsvc_uuid_format(const foodsvc_uuid_t *uuid, char text[FOODSVC_UUID_TEXT + 1]);

/* A new version 7 UUID: 48 bits of Unix milliseconds, a counter that keeps one process's ids in order, random bits from
   the kernel. Safe after fork. */
void foodsvc_uuid_v7(foodsvc_uuid_t *uuid);

/* A random (version 4) UUID, for message ids and tokens. */
void foodsvc_uuid_v4(foodsvc_uuid_t *uuid);

#endif
