/*
 * Values of BSON documents, read tolerantly.
 */
#include <math.h>
#include <stdio.h>
#include <string.h>
#include "foodsvc_bson.h"
#include "foodsvc_time.h"

#define MAX_DEPTH   32

bool foodsvc_bson_bad(char err[FOODSVC_ERR], const char *member)
{
    snprintf(err, FOODSVC_ERR, "%s is of another type", member);
    return false;
}

const char *foodsvc_bson_text(const bson_iter_t *iter, size_t *len)
{
    const char *text;
    uint32_t    n;

    if (!BSON_ITER_HOLDS_UTF8(iter)) {
        return NULL;
    }
    text = bson_iter_utf8(iter, &n);
    if (!bson_utf8_validate(text, n, false)) {
        return NULL;
    }
    *len = n;
    return text;
}

bool foodsvc_bson_uuid(const bson_iter_t *iter, foodsvc_uuid_t *uuid)
{
    bson_subtype_t  subtype;
    uint32_t        n;
    const uint8_t  *bytes;
    const char     *text;
    size_t          len;
    char            why[128];

    if (BSON_ITER_HOLDS_BINARY(iter)) {
        bson_iter_binary(iter, &subtype, &n, &bytes);
        if (n != sizeof(uuid->bytes)
            || (subtype != BSON_SUBTYPE_UUID && subtype != BSON_SUBTYPE_UUID_DEPRECATED))
        {
            return false;
        }
        memcpy(uuid->bytes, bytes, n);
        return true;
    }
    text = foodsvc_bson_text(iter, &len);
    return text != NULL && foodsvc_uuid_parse(text, len, uuid, why, sizeof(why));
}

bool foodsvc_bson_time(const bson_iter_t *iter, int64_t *ms)
{
    const char *text;
    size_t      len;

    if (BSON_ITER_HOLDS_DATE_TIME(iter)) {
        *ms = bson_iter_date_time(iter);
        return true;
    }
    text = foodsvc_bson_text(iter, &len);
    return text != NULL && foodsvc_time_parse(text, len, ms);
}

bool foodsvc_bson_whole(const bson_iter_t *iter, int64_t *value)
{
    double real;

    if (BSON_ITER_HOLDS_INT32(iter) || BSON_ITER_HOLDS_INT64(iter)) {
        *value = bson_iter_as_int64(iter);
        return true;
    }
    if (!BSON_ITER_HOLDS_DOUBLE(iter)) {
        return false;
    }
    real = bson_iter_double(iter);
    if (!(real >= -9223372036854775808.0 && real < 9223372036854775808.0) || real != (double) (int64_t) real) {
        return false;
    }
    *value = (int64_t) real;
    return true;
}

bool foodsvc_bson_append_uuid(bson_t *doc, const char *key, const foodsvc_uuid_t *uuid)
{
    return bson_append_binary(doc, key, -1, BSON_SUBTYPE_UUID, uuid->bytes, sizeof(uuid->bytes));
}

/* --- any value as JSON --- */

static json_t *value_json(const bson_iter_t *iter, unsigned depth);

static json_t *children_json(const bson_iter_t *iter, bool array, unsigned depth)
{
    bson_iter_t  child;
    json_t      *all = array ? json_array() : json_object();
    int          rc = all == NULL ? -1 : 0;

    if (!bson_iter_recurse(iter, &child)) {
        return all;
    }
    while (rc == 0 && bson_iter_next(&child)) {
        const char *key = bson_iter_key(&child);
        json_t     *value = value_json(&child, depth + 1);

        if (array) {
            rc = json_array_append_new(all, value);
        } else if (bson_utf8_validate(key, strlen(key), false)) {
            rc = json_object_set_new(all, key, value);
        } else {
            json_decref(value);         /* a name that no JSON text can hold */
        }
    }
    if (rc != 0) {
        json_decref(all);
        return NULL;
    }
    return all;
}

/* libbson's own text of the value, parsed. */
static json_t *extended_json(const bson_iter_t *iter)
{
    bson_t  doc = BSON_INITIALIZER;
    json_t *parsed, *value = NULL;
    char   *text = NULL;

    if (bson_append_iter(&doc, "v", 1, iter)) {
        text = bson_as_relaxed_extended_json(&doc, NULL);
    }
    if (text != NULL) {
        parsed = json_loads(text, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);
        value = json_incref(json_object_get(parsed, "v"));
        json_decref(parsed);
        bson_free(text);
    }
    bson_destroy(&doc);
    return value != NULL ? value : json_null();
}

static json_t *value_json(const bson_iter_t *iter, unsigned depth)
{
    char            text[FOODSVC_UUID_TEXT + 1];
    foodsvc_uuid_t  uuid;
    const char     *string;
    uint32_t        len;

    if (depth > MAX_DEPTH) {
        return json_null();
    }
    switch (bson_iter_type(iter)) {
    case BSON_TYPE_NULL:
        return json_null();
    case BSON_TYPE_BOOL:
        return json_boolean(bson_iter_bool(iter));
    case BSON_TYPE_INT32:
    case BSON_TYPE_INT64:
        return json_integer(bson_iter_as_int64(iter));
    case BSON_TYPE_DOUBLE:
        return isfinite(bson_iter_double(iter)) ? json_real(bson_iter_double(iter)) : extended_json(iter);
    case BSON_TYPE_UTF8:
        string = bson_iter_utf8(iter, &len);
        return foodsvc_json_string(string, len);
    case BSON_TYPE_DATE_TIME:
        return json_string(foodsvc_time_format(bson_iter_date_time(iter), text));
    case BSON_TYPE_DOCUMENT:
        return children_json(iter, false, depth);
    case BSON_TYPE_ARRAY:
        return children_json(iter, true, depth);
    case BSON_TYPE_BINARY:
        if (foodsvc_bson_uuid(iter, &uuid)) {
            return json_string(foodsvc_uuid_format(&uuid, text));
        }
        return extended_json(iter);
    default:
        return extended_json(iter);
    }
}

json_t *foodsvc_bson_json(const bson_iter_t *iter)
{
    return value_json(iter, 0);
}
