/*
 * What the fuzz targets share: the properties that hold whatever comes in.
 *
 * A target is a file fuzz_NAME.c with LLVMFuzzerTestOneInput(). It gives its input to a reader of ours, and says by
 * MUST() what then has to be true; the sanitizers say the rest. What breaks a MUST() is a finding like a crash.
 */
#ifndef FUZZ_H
#define FUZZ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "foodsvc_codec.h"

#define MUST(condition) \
    do { \
        if (!(condition)) { \
            fuzz_broken(#condition, __FILE__, __LINE__); \
        } \
    } while (0)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The services' defaults. */
extern const foodsvc_json_limits_t fuzz_limits;

/* Says what is broken, and aborts. */
_Noreturn void fuzz_broken(const char *condition, const char *file, int line);

/* The input as a text that ends with a NUL, which it may hold itself; the caller frees. */
char *fuzz_text(const uint8_t *data, size_t size);
bool fuzz_is_utf8(const char *text, size_t len);

/* Fills a buffer for a reason, so that fuzz_reason() sees whether it was written. */
void fuzz_unsaid(char *err, size_t size);
/* A reason is there, ends within its buffer, and is one printable line of UTF-8. */
void fuzz_reason(const char *err, size_t size);
/* There are faults, 1 to FOODSVC_FAULTS_MAX, each of the documented shape and bounded, below `root` ("body", "path");
   clears them. */
void fuzz_faults(foodsvc_faults_t *faults, const char *root);
/* A JSON text of ours: len is right, and it can be read again. The caller owns the result. */
json_t *fuzz_json(const char *text, size_t len);

/* An order as read, whoever wrote it: within its limits, and each change of it is legal. */
void fuzz_order(const foodsvc_order_t *order);
/* The same items. */
void fuzz_same_items(const foodsvc_item_t *a, size_t na, const foodsvc_item_t *b, size_t nb);
/* The order's entry in the cache: is found whole, and reads as the same order. */
void fuzz_order_cache(const foodsvc_order_t *order);
/* A payment as read: its statuses are some, and each change of it is legal. */
void fuzz_payment(const foodsvc_payment_t *payment);

#endif
