/*
 * The members of a request's JSON, read by type: the value, or a fault in the words of the original's framework.
 * Private to libfoodsvc.
 */
#ifndef FOODSVC_FIELD_H
#define FOODSVC_FIELD_H

#include "foodsvc_codec.h"

/* Where a value stands: ["body", container, index, ...]; container NULL and index -1 leave their part out. */
typedef struct {
    foodsvc_faults_t *faults;
    const char       *container;
    json_int_t        index;
} foodsvc_place_t;

/* Adds a fault at `member` (NULL: at the place itself). input is borrowed, ctx is taken. */
void foodsvc_field_fault(const foodsvc_place_t *place, const char *member, const char *type, const char *msg,
    json_t *input, json_t *ctx);
/* "Input should be 'a', 'b' or 'c'" */
void foodsvc_field_enum(const foodsvc_place_t *place, const char *member, json_t *value, const char *const *names,
    size_t n);

/* The member, or NULL and a fault when there is none. */
json_t *foodsvc_field_need(const foodsvc_place_t *place, json_t *object, const char *member);

/* Each says whether the value can be used, and has added the faults when it cannot. */
bool foodsvc_field_object(const foodsvc_place_t *place, const char *member, json_t *value);
bool foodsvc_field_uuid(const foodsvc_place_t *place, json_t *object, const char *member, foodsvc_uuid_t *uuid);
const char *foodsvc_field_string(const foodsvc_place_t *place, json_t *object, const char *member);
/* quantity: from 1 to 2^63 - 1; as an integer, a whole number or a string of one. Absent: 1. */
bool foodsvc_field_quantity(const foodsvc_place_t *place, json_t *object, int64_t *quantity);

#endif
