/*
 * Values of BSON documents, read as tolerantly as the contract asks: what the order's and the payment's codec share.
 * Private to libfoodsvc.
 */
#ifndef FOODSVC_BSON_H
#define FOODSVC_BSON_H

#include "foodsvc_codec.h"

/* Each returns false when the value is of another type, or is none. */
bool foodsvc_bson_uuid(const bson_iter_t *iter, foodsvc_uuid_t *uuid);          /* string, or binary 3 or 4 */
bool foodsvc_bson_time(const bson_iter_t *iter, int64_t *ms);                   /* date, or ISO 8601 text */
bool foodsvc_bson_whole(const bson_iter_t *iter, int64_t *value);               /* int32, int64, whole double */
const char *foodsvc_bson_text(const bson_iter_t *iter, size_t *len);            /* UTF-8 without NUL; else NULL */

/*
 * Any value as JSON for readers of the cache: UUIDs and times as strings, other types that JSON lacks as relaxed
 * Extended JSON, what nests absurdly deep as null. NULL: no memory.
 */
json_t *foodsvc_bson_json(const bson_iter_t *iter);

/* err = "<member> is of another type"; returns false. */
bool foodsvc_bson_bad(char err[FOODSVC_ERR], const char *member);

#endif
