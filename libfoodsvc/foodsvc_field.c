/*
 * The members of a request's JSON, read by type.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "foodsvc_buf.h"
#include "foodsvc_field.h"

static json_t *loc_of(const foodsvc_place_t *place, const char *member)
{
    json_t *loc = json_array();
    int     rc = json_array_append_new(loc, json_string("body"));

    if (place->container != NULL) {
        rc |= json_array_append_new(loc, json_string(place->container));
    }
    if (place->index >= 0) {
        rc |= json_array_append_new(loc, json_integer(place->index));
    }
    if (member != NULL) {
        rc |= json_array_append_new(loc, json_string(member));
    }
    if (rc != 0) {
        json_decref(loc);
        return NULL;
    }
    return loc;
}

void foodsvc_field_fault(const foodsvc_place_t *place, const char *member, const char *type, const char *msg,
    json_t *input, json_t *ctx)
{
    foodsvc_fault_add(place->faults, type, loc_of(place, member), msg, json_incref(input), ctx);
}

json_t *foodsvc_field_need(const foodsvc_place_t *place, json_t *object, const char *member)
{
    json_t *value = json_object_get(object, member);

    if (value == NULL) {
        foodsvc_field_fault(place, member, "missing", "Field required", object, NULL);
    }
    return value;
}

bool foodsvc_field_object(const foodsvc_place_t *place, const char *member, json_t *value)
{
    if (!json_is_object(value)) {
        foodsvc_field_fault(place, member, "model_attributes_type",
                            "Input should be a valid dictionary or object to extract fields from", value, NULL);
        return false;
    }
    return true;
}

void foodsvc_field_enum(const foodsvc_place_t *place, const char *member, json_t *value, const char *const *names,
    size_t n)
{
    foodsvc_buf_t  buf;
    char          *msg;

    foodsvc_buf_init(&buf, 256);
    foodsvc_buf_str(&buf, "Input should be ");
    for (size_t i = 0; i < n; i++) {
        foodsvc_buf_str(&buf, i == 0 ? "'" : i + 1 < n ? ", '" : " or '");
        foodsvc_buf_str(&buf, names[i]);
        foodsvc_buf_str(&buf, "'");
    }
    msg = foodsvc_buf_finish(&buf, NULL);
    if (msg == NULL) {
        place->faults->no_memory = true;
        return;
    }
    foodsvc_field_fault(place, member, "enum", msg, value,
                        json_pack("{s: s}", "expected", msg + strlen("Input should be ")));
    free(msg);
}

/* --- members by type --- */

bool foodsvc_field_uuid(const foodsvc_place_t *place, json_t *object, const char *member, foodsvc_uuid_t *uuid)
{
    json_t *value = foodsvc_field_need(place, object, member);
    char    why[128], msg[192];

    if (value == NULL) {
        return false;
    }
    if (!json_is_string(value)) {
        foodsvc_field_fault(place, member, "uuid_type", "UUID input should be a string, bytes or UUID object", value,
                            NULL);
        return false;
    }
    if (!foodsvc_uuid_parse(json_string_value(value), json_string_length(value), uuid, why, sizeof(why))) {
        snprintf(msg, sizeof(msg), "Input should be a valid UUID, %s", why);
        foodsvc_field_fault(place, member, "uuid_parsing", msg, value, json_pack("{s: s}", "error", why));
        return false;
    }
    return true;
}

const char *foodsvc_field_string(const foodsvc_place_t *place, json_t *object, const char *member)
{
    json_t *value = foodsvc_field_need(place, object, member);

    if (value == NULL) {
        return NULL;
    }
    if (!json_is_string(value)) {
        foodsvc_field_fault(place, member, "string_type", "Input should be a valid string", value, NULL);
        return NULL;
    }
    return json_string_value(value);
}

typedef enum {
    INTEGER_OK,
    INTEGER_BAD,
    INTEGER_TOO_LARGE
} integer_e;

/* "3", " +3 ", "3.0": an integer as the original reads it from a string. */
static integer_e integer_from_text(const char *text, size_t len, int64_t *value)
{
    const char *p = text, *end = text + len, *digits;
    char        copy[32];
    size_t      n;

    while (p < end && (*p == ' ' || (*p >= '\t' && *p <= '\r'))) {
        p++;
    }
    while (end > p && (end[-1] == ' ' || (end[-1] >= '\t' && end[-1] <= '\r'))) {
        end--;
    }
    digits = p;
    if (p < end && (*p == '+' || *p == '-')) {
        p++;
    }
    n = strspn(p, "0123456789");
    if (n == 0) {
        return INTEGER_BAD;
    }
    p += n;
    n = (size_t) (p - digits);
    if (p < end && *p == '.') {
        p++;
        if (p == end || strspn(p, "0") != (size_t) (end - p)) {
            return INTEGER_BAD;
        }
        p = end;
    }
    if (p != end) {
        return INTEGER_BAD;
    }
    if (n >= sizeof(copy)) {
        return INTEGER_TOO_LARGE;
    }
    memcpy(copy, digits, n);
    copy[n] = '\0';
    errno = 0;
    *value = strtoll(copy, NULL, 10);
    return errno == ERANGE ? INTEGER_TOO_LARGE : INTEGER_OK;
}

static void fault_integer_size(const foodsvc_place_t *place, const char *member, json_t *value)
{
    foodsvc_field_fault(place, member, "int_parsing_size",
                        "Unable to parse input string as an integer, exceeded maximum size", value, NULL);
}

static bool is_whole(double real)
{
    const double all_are = 9007199254740992.0;      /* 2^53: from here on no double has a fraction */

    return real >= all_are || real <= -all_are || real == (double) (int64_t) real;
}

bool foodsvc_field_quantity(const foodsvc_place_t *place, json_t *object, int64_t *quantity)
{
    static const char member[] = "quantity";
    json_t           *value = json_object_get(object, member);
    double            real;

    *quantity = 1;
    if (value == NULL) {
        return true;
    }

    switch (json_typeof(value)) {
    case JSON_INTEGER:
        *quantity = json_integer_value(value);
        break;

    case JSON_REAL:
        real = json_real_value(value);
        if (!is_whole(real)) {
            foodsvc_field_fault(place, member, "int_from_float",
                                "Input should be a valid integer, got a number with a fractional part", value, NULL);
            return false;
        }
        if (real >= 9223372036854775808.0) {
            fault_integer_size(place, member, value);
            return false;
        }
        *quantity = real < 0 ? -1 : (int64_t) real;     /* how far below is of no interest */
        break;

    case JSON_STRING:
        switch (integer_from_text(json_string_value(value), json_string_length(value), quantity)) {
        case INTEGER_BAD:
            foodsvc_field_fault(place, member, "int_parsing",
                                "Input should be a valid integer, unable to parse string as an integer", value, NULL);
            return false;
        case INTEGER_TOO_LARGE:
            fault_integer_size(place, member, value);
            return false;
        case INTEGER_OK:
            break;
        }
        break;

    default:
        foodsvc_field_fault(place, member, "int_type", "Input should be a valid integer", value, NULL);
        return false;
    }

    if (*quantity < 1) {
        foodsvc_field_fault(place, member, "greater_than", "Input should be greater than 0", value,
                            json_pack("{s: i}", "gt", 0));
        return false;
    }
    return true;
}
