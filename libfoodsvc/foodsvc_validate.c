/*
 * Requests to us: JSON -> what they ask for, or every fault in them, in the words of the original's framework.
 *
 * Each read_ function looks at one member, adds the faults it finds, and says whether the value can be used. They go on
 * after a fault, so that one answer names them all, in the order of the model's fields.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "foodsvc_buf.h"
#include "foodsvc_codec.h"

#define RECEIVER_MAX    255     /* an AMQP routing key's bytes */

/* Where a value stands: ["body", container, index, ...]; container NULL and index -1 leave their part out. */
typedef struct {
    foodsvc_faults_t *faults;
    const char       *container;
    json_int_t        index;
} place_t;

static json_t *loc_of(const place_t *place, const char *member)
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

static void fault(const place_t *place, const char *member, const char *type, const char *msg, json_t *input,
                  json_t *ctx)
{
    foodsvc_fault_add(place->faults, type, loc_of(place, member), msg, json_incref(input), ctx);
}

/* The member, or a fault when there is none. */
static json_t *need(const place_t *place, json_t *object, const char *member)
{
    json_t *value = json_object_get(object, member);

    if (value == NULL) {
        fault(place, member, "missing", "Field required", object, NULL);
    }
    return value;
}

static bool need_object(const place_t *place, const char *member, json_t *value)
{
    if (!json_is_object(value)) {
        fault(place, member, "model_attributes_type",
              "Input should be a valid dictionary or object to extract fields from", value, NULL);
        return false;
    }
    return true;
}

/* "Input should be 'a', 'b' or 'c'" */
static void fault_enum(const place_t *place, const char *member, json_t *value, const char *const *names, size_t n)
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
    fault(place, member, "enum", msg, value, json_pack("{s: s}", "expected", msg + strlen("Input should be ")));
    free(msg);
}

/* --- members by type --- */

static bool read_uuid(const place_t *place, json_t *object, const char *member, foodsvc_uuid_t *uuid)
{
    json_t *value = need(place, object, member);
    char    why[128], msg[192];

    if (value == NULL) {
        return false;
    }
    if (!json_is_string(value)) {
        fault(place, member, "uuid_type", "UUID input should be a string, bytes or UUID object", value, NULL);
        return false;
    }
    if (!foodsvc_uuid_parse(json_string_value(value), json_string_length(value), uuid, why, sizeof(why))) {
        snprintf(msg, sizeof(msg), "Input should be a valid UUID, %s", why);
        fault(place, member, "uuid_parsing", msg, value, json_pack("{s: s}", "error", why));
        return false;
    }
    return true;
}

static const char *read_string(const place_t *place, json_t *object, const char *member)
{
    json_t *value = need(place, object, member);

    if (value == NULL) {
        return NULL;
    }
    if (!json_is_string(value)) {
        fault(place, member, "string_type", "Input should be a valid string", value, NULL);
        return NULL;
    }
    return json_string_value(value);
}

/* A UUID in a member that the model calls a string. */
static bool read_uuid_text(const place_t *place, json_t *object, const char *member, char text[FOODSVC_UUID_TEXT + 1])
{
    foodsvc_uuid_t uuid;

    if (read_string(place, object, member) == NULL || !read_uuid(place, object, member, &uuid)) {
        return false;
    }
    foodsvc_uuid_format(&uuid, text);
    return true;
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

static void fault_integer_size(const place_t *place, const char *member, json_t *value)
{
    fault(place, member, "int_parsing_size", "Unable to parse input string as an integer, exceeded maximum size", value,
          NULL);
}

static bool is_whole(double real)
{
    const double all_are = 9007199254740992.0;      /* 2^53: from here on no double has a fraction */

    return real >= all_are || real <= -all_are || real == (double) (int64_t) real;
}

/* quantity: from 1 to 2^63 - 1; as an integer, a whole number or a string of one. Absent: 1. */
static bool read_quantity(const place_t *place, json_t *object, int64_t *quantity)
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
            fault(place, member, "int_from_float",
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
            fault(place, member, "int_parsing",
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
        fault(place, member, "int_type", "Input should be a valid integer", value, NULL);
        return false;
    }

    if (*quantity < 1) {
        fault(place, member, "greater_than", "Input should be greater than 0", value, json_pack("{s: i}", "gt", 0));
        return false;
    }
    return true;
}

static const char *read_product(const place_t *place, json_t *object)
{
    json_t     *value = need(place, object, "product");
    const char *text = json_string_value(value);
    size_t      n;

    for (n = 0; foodsvc_products[n] != NULL; n++) {
        if (text != NULL && strcmp(text, foodsvc_products[n]) == 0) {
            return foodsvc_products[n];
        }
    }
    if (value != NULL) {
        fault_enum(place, "product", value, foodsvc_products, n);
    }
    return NULL;
}

/* items into an order, which is what grows them. */
static void read_items(foodsvc_faults_t *faults, json_t *object, foodsvc_order_t *order)
{
    place_t  place = { faults, NULL, -1 };
    json_t  *items = need(&place, object, "items"), *item;
    size_t   i;

    if (items == NULL) {
        return;
    }
    if (!json_is_array(items)) {
        fault(&place, "items", "list_type", "Input should be a valid list", items, NULL);
        return;
    }
    if (json_array_size(items) == 0) {
        fault(&place, "items", "too_short", "List should have at least 1 item after validation, not 0", items,
              json_pack("{s: s, s: i, s: i}", "field_type", "List", "min_length", 1, "actual_length", 0));
        return;
    }

    place.container = "items";
    json_array_foreach(items, i, item) {
        const char *product;
        int64_t     quantity;

        place.index = (json_int_t) i;
        if (!need_object(&place, NULL, item)) {
            continue;
        }
        product = read_product(&place, item);
        if (read_quantity(&place, item, &quantity) && product != NULL
            && !foodsvc_order_add_item(order, product, strlen(product), quantity))
        {
            faults->no_memory = true;
            return;
        }
    }
}

/* The body's object, or NULL with its one fault. */
static json_t *read_body(const char *body, size_t len, const foodsvc_json_limits_t *limits, foodsvc_faults_t *faults)
{
    place_t  place = { faults, NULL, -1 };
    json_t  *root = foodsvc_json_parse(body, len, limits, faults);

    if (root == NULL) {
        return NULL;
    }
    if (json_is_null(root)) {
        fault(&place, NULL, "missing", "Field required", root, NULL);
        return NULL;
    }
    if (!need_object(&place, NULL, root)) {
        json_decref(root);
        return NULL;
    }
    return root;
}

/* --- the requests --- */

foodsvc_order_t *foodsvc_order_from_request(const char *body, size_t len, const foodsvc_json_limits_t *limits,
    foodsvc_faults_t *faults)
{
    place_t          place = { faults, NULL, -1 };
    json_t          *root = read_body(body, len, limits, faults);
    foodsvc_order_t *order;

    if (root == NULL) {
        return NULL;
    }
    order = foodsvc_order_new();
    if (order == NULL) {
        faults->no_memory = true;
    } else {
        read_items(faults, root, order);
        read_uuid(&place, root, "customer_id", &order->customer_id);
    }
    json_decref(root);

    if (foodsvc_faults_any(faults)) {
        foodsvc_order_free(order);
        return NULL;
    }
    return order;
}

/* A queue's name. */
static const char *read_receiver(const place_t *place, json_t *object)
{
    const char *receiver = read_string(place, object, "receiver");
    json_t     *value = json_object_get(object, "receiver");

    if (receiver == NULL) {
        return NULL;
    }
    if (receiver[0] == '\0') {
        fault(place, "receiver", "string_too_short", "String should have at least 1 character", value,
              json_pack("{s: i}", "min_length", 1));
        return NULL;
    }
    if (strlen(receiver) > RECEIVER_MAX) {
        fault(place, "receiver", "string_too_long", "String should have at most 255 characters", value,
              json_pack("{s: i}", "max_length", RECEIVER_MAX));
        return NULL;
    }
    return receiver;
}

static void read_metadata(foodsvc_faults_t *faults, json_t *object, foodsvc_metadata_t *metadata)
{
    place_t     place = { faults, NULL, -1 };
    json_t     *value = need(&place, object, "metadata");
    char        order_id[FOODSVC_UUID_TEXT + 1], customer_id[FOODSVC_UUID_TEXT + 1];
    const char *receiver;
    bool        good;

    if (value == NULL || !need_object(&place, "metadata", value)) {
        return;
    }
    place.container = "metadata";
    receiver = read_receiver(&place, value);
    good = receiver != NULL;
    good &= read_uuid_text(&place, value, "order_id", order_id);
    good &= read_uuid_text(&place, value, "customer_id", customer_id);
    if (good && !foodsvc_metadata_set(metadata, receiver, order_id, customer_id)) {
        faults->no_memory = true;
    }
}

bool foodsvc_payment_request_parse(const char *body, size_t len, const foodsvc_json_limits_t *limits,
    foodsvc_payment_request_t *request, foodsvc_faults_t *faults)
{
    json_t          *root;
    foodsvc_order_t *order;

    *request = (foodsvc_payment_request_t) { .items = NULL };
    root = read_body(body, len, limits, faults);
    if (root == NULL) {
        return false;
    }
    order = foodsvc_order_new();
    if (order == NULL) {
        faults->no_memory = true;
    } else {
        read_items(faults, root, order);
        read_metadata(faults, root, &request->metadata);
        request->items = order->items;
        request->nitems = order->nitems;
        order->items = NULL;
        order->nitems = 0;
        foodsvc_order_free(order);
    }
    json_decref(root);

    if (foodsvc_faults_any(faults)) {
        foodsvc_payment_request_clear(request);
        return false;
    }
    return true;
}

void foodsvc_payment_request_clear(foodsvc_payment_request_t *request)
{
    for (size_t i = 0; i < request->nitems; i++) {
        free(request->items[i].product);
    }
    free(request->items);
    foodsvc_metadata_clear(&request->metadata);
    *request = (foodsvc_payment_request_t) { .items = NULL };
}

static void read_payment_status(const place_t *place, json_t *object, foodsvc_payment_status_e *status)
{
    /* In the order in which the original names them. */
    static const foodsvc_payment_status_e all[] = {
        FOODSVC_PENDING, FOODSVC_PAY_REIMBURSED, FOODSVC_PAY_PAID, FOODSVC_PAY_FAILED
    };
    const char *names[FOODSVC_PAYMENT_STATUS_COUNT];
    json_t     *value = need(place, object, "status");

    if (value == NULL) {
        return;
    }
    if (!json_is_string(value)
        || !foodsvc_payment_status_parse(json_string_value(value), json_string_length(value), status))
    {
        for (size_t i = 0; i < FOODSVC_PAYMENT_STATUS_COUNT; i++) {
            names[i] = foodsvc_payment_status_name(all[i]);
        }
        fault_enum(place, "status", value, names, FOODSVC_PAYMENT_STATUS_COUNT);
    }
}

bool foodsvc_callback_parse(const char *body, size_t len, const foodsvc_json_limits_t *limits,
    foodsvc_callback_t *callback, foodsvc_faults_t *faults)
{
    place_t  place = { faults, NULL, -1 };
    json_t  *root = read_body(body, len, limits, faults);

    if (root == NULL) {
        return false;
    }
    read_payment_status(&place, root, &callback->status);
    read_uuid(&place, root, "caller_id", &callback->caller_id);
    read_uuid(&place, root, "transaction_id", &callback->transaction_id);
    json_decref(root);
    return !foodsvc_faults_any(faults);
}

char *foodsvc_callback_json(const foodsvc_callback_t *callback, size_t *len)
{
    char          id[FOODSVC_UUID_TEXT + 1];
    foodsvc_buf_t buf;

    foodsvc_buf_init(&buf, 160);
    foodsvc_buf_str(&buf, "{\"status\":\"");
    foodsvc_buf_str(&buf, foodsvc_payment_status_name(callback->status));
    foodsvc_buf_str(&buf, "\",\"caller_id\":\"");
    foodsvc_buf_str(&buf, foodsvc_uuid_format(&callback->caller_id, id));
    foodsvc_buf_str(&buf, "\",\"transaction_id\":\"");
    foodsvc_buf_str(&buf, foodsvc_uuid_format(&callback->transaction_id, id));
    foodsvc_buf_str(&buf, "\"}");
    return foodsvc_buf_finish(&buf, len);
}

bool foodsvc_path_order_id(const char *text, size_t len, char id[FOODSVC_UUID_TEXT + 1], foodsvc_faults_t *faults)
{
    foodsvc_uuid_t uuid;
    char           why[128], msg[192];

    if (foodsvc_uuid_parse(text, len, &uuid, why, sizeof(why))) {
        foodsvc_uuid_format(&uuid, id);
        return true;
    }
    snprintf(msg, sizeof(msg), "Input should be a valid UUID, %s", why);
    foodsvc_fault_add(faults, "uuid_parsing", json_pack("[s, s]", "path", "order_id"), msg,
                      foodsvc_json_string(text, len), json_pack("{s: s}", "error", why));
    return false;
}
