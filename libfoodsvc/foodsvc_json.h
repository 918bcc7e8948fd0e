/*
 * JSON in and out, over jansson: strict parsing within limits, and the faults of a request's validation.
 *
 * A fault is one entry of a 422 answer: {"type", "loc", "msg", "input", "ctx"}, in the words of the recorded original.
 * json_t values follow jansson's rules; none is shared between threads.
 */
#ifndef FOODSVC_JSON_H
#define FOODSVC_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <jansson.h>

typedef struct {
    size_t  max_size;       /* bytes; checked by the caller that reads, and here again */
    size_t  max_depth;      /* nested arrays and objects; 1 is a flat object */
} foodsvc_json_limits_t;

#define FOODSVC_JSON_MAX_SIZE   65536
#define FOODSVC_JSON_MAX_DEPTH  16

/* Faults found so far; list is NULL until the first. Zero-initialise; foodsvc_faults_clear() frees. */
typedef struct {
    json_t *list;
    bool    no_memory;
} foodsvc_faults_t;

/* Further faults are dropped. */
#define FOODSVC_FAULTS_MAX      100
/* An "input" whose text is longer is not echoed: a string is cut there, an array or object is shown empty. So an
   answer is bounded: at most FOODSVC_FAULTS_MAX entries of about twice this. */
#define FOODSVC_FAULT_INPUT_MAX 1024

/*
 * Adds a fault. loc, input and ctx are stolen (also on failure); ctx may be NULL (then the entry has none).
 * type and msg are copied. Running out of memory sets no_memory; the caller answers 500.
 */
void foodsvc_fault_add(foodsvc_faults_t *faults, const char *type, json_t *loc, const char *msg, json_t *input,
    json_t *ctx);

/* True when a fault was added or memory ran out. */
bool foodsvc_faults_any(const foodsvc_faults_t *faults);

/* {"detail": [...]} as text; the caller frees it. NULL: no memory. A card's members never appear in "input". */
char *foodsvc_faults_body(const foodsvc_faults_t *faults);

void foodsvc_faults_clear(foodsvc_faults_t *faults);

/* {"detail": "<text>"}, escaped, as text; invalid UTF-8 in detail is replaced. The caller frees it. NULL: no memory. */
char *foodsvc_json_detail(const char *detail);

/*
 * Parses a whole JSON text. NULL and exactly one fault when it is absent or blank (type "missing", loc ["body"]), is
 * no JSON ("json_invalid", loc ["body", offset]), has a duplicate key, a lone surrogate, invalid UTF-8, NaN, Infinity,
 * a number out of a double's or int64's range, text behind the value, or nests or is larger than the limits.
 */
json_t *foodsvc_json_parse(const char *text, size_t len, const foodsvc_json_limits_t *limits, foodsvc_faults_t *faults);

/* The same for texts that are not a request's: one line of reason in err instead of a fault. */
json_t *foodsvc_json_load(const char *text, size_t len, const foodsvc_json_limits_t *limits, char *err, size_t errlen);

/* A JSON string of any bytes: those that are no UTF-8 become U+FFFD. NULL: no memory. */
json_t *foodsvc_json_string(const char *text, size_t len);

/* Compact text with the members in their order, numbers as they read; the caller frees it. NULL: no memory. */
char *foodsvc_json_dump(const json_t *value, size_t *len);

#endif
