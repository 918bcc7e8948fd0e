/*
 * Requests to us: JSON -> what they ask for, or every fault in them, in the words of the original's framework.
 *
 * The readers go on after a fault, so that one answer names them all, in the order of the model's fields.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "foodsvc_buf.h"
#include "foodsvc_field.h"

#define METADATA_MAX    255     /* an AMQP routing key's bytes */

static const char *read_product(const foodsvc_place_t *place, json_t *object)
{
    json_t     *value = foodsvc_field_need(place, object, "product");
    const char *text = json_string_value(value);
    size_t      n;

    for (n = 0; foodsvc_products[n] != NULL; n++) {
        if (text != NULL && strcmp(text, foodsvc_products[n]) == 0) {
            return foodsvc_products[n];
        }
    }
    if (value != NULL) {
        foodsvc_field_enum(place, "product", value, foodsvc_products, n);
    }
    return NULL;
}

/* items into an order, which is what grows them. */
static void read_items(foodsvc_faults_t *faults, json_t *object, foodsvc_order_t *order)
{
    foodsvc_place_t  place = { faults, NULL, -1 };
    json_t          *items = foodsvc_field_need(&place, object, "items"), *item;
    size_t           i;

    if (items == NULL) {
        return;
    }
    if (!json_is_array(items)) {
        foodsvc_field_fault(&place, "items", "list_type", "Input should be a valid list", items, NULL);
        return;
    }
    if (json_array_size(items) == 0) {
        foodsvc_field_fault(&place, "items", "too_short", "List should have at least 1 item after validation, not 0",
                            items,
                            json_pack("{s: s, s: i, s: i}", "field_type", "List", "min_length", 1, "actual_length", 0));
        return;
    }

    place.container = "items";
    json_array_foreach(items, i, item) {
        const char *product;
        int64_t     quantity;

        place.index = (json_int_t) i;
        if (!foodsvc_field_object(&place, NULL, item)) {
            continue;
        }
        product = read_product(&place, item);
        if (foodsvc_field_quantity(&place, item, &quantity) && product != NULL
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
    foodsvc_place_t  place = { faults, NULL, -1 };
    json_t          *root = foodsvc_json_parse(body, len, limits, faults);

    if (root == NULL) {
        return NULL;
    }
    if (json_is_null(root)) {
        foodsvc_field_fault(&place, NULL, "missing", "Field required", root, NULL);
        return NULL;
    }
    if (!foodsvc_field_object(&place, NULL, root)) {
        json_decref(root);
        return NULL;
    }
    return root;
}

/* --- the requests --- */

foodsvc_order_t *foodsvc_order_from_request(const char *body, size_t len, const foodsvc_json_limits_t *limits,
    foodsvc_faults_t *faults)
{
    foodsvc_place_t  place = { faults, NULL, -1 };
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
        foodsvc_field_uuid(&place, root, "customer_id", &order->customer_id);
    }
    json_decref(root);

    if (foodsvc_faults_any(faults)) {
        foodsvc_order_free(order);
        return NULL;
    }
    return order;
}

/* One of the metadata: 1 to 255 bytes, what a queue's name and a key may have. */
static const char *read_text(const foodsvc_place_t *place, json_t *object, const char *member)
{
    const char *text = foodsvc_field_string(place, object, member);
    json_t     *value = json_object_get(object, member);

    if (text == NULL) {
        return NULL;
    }
    if (text[0] == '\0') {
        foodsvc_field_fault(place, member, "string_too_short", "String should have at least 1 character", value,
                            json_pack("{s: i}", "min_length", 1));
        return NULL;
    }
    if (strlen(text) > METADATA_MAX) {
        foodsvc_field_fault(place, member, "string_too_long", "String should have at most 255 characters", value,
                            json_pack("{s: i}", "max_length", METADATA_MAX));
        return NULL;
    }
    if (!foodsvc_utf8_printable(text)) {
        foodsvc_field_fault(place, member, "string_pattern_mismatch", "String should have no control characters",
                            value, NULL);
        return NULL;
    }
    if (strcmp(text, ".") == 0 || strcmp(text, "..") == 0) {
        /* A partner would take it for a step in the path that it becomes a part of; no escape hides it. */
        foodsvc_field_fault(place, member, "string_pattern_mismatch", "String should not be a step in a path", value,
                            NULL);
        return NULL;
    }
    return text;
}

/* An id is any text; a UUID is made canonical, the form in which a callback's caller_id finds it. */
static const char *canonical(const char *text, char id[FOODSVC_UUID_TEXT + 1])
{
    foodsvc_uuid_t uuid;
    char           why[FOODSVC_ERR];

    if (text && foodsvc_uuid_parse(text, strlen(text), &uuid, why, sizeof(why))) {
        return foodsvc_uuid_format(&uuid, id);
    }
    return text;
}

static void read_metadata(foodsvc_faults_t *faults, json_t *object, foodsvc_metadata_t *metadata)
{
    foodsvc_place_t  place = { faults, NULL, -1 };
    json_t          *value = foodsvc_field_need(&place, object, "metadata");
    char             order_buf[FOODSVC_UUID_TEXT + 1], customer_buf[FOODSVC_UUID_TEXT + 1];
    const char      *receiver, *order_id, *customer_id;

    if (value == NULL || !foodsvc_field_object(&place, "metadata", value)) {
        return;
    }
    place.container = "metadata";
    receiver = read_text(&place, value, "receiver");
    order_id = canonical(read_text(&place, value, "order_id"), order_buf);
    customer_id = canonical(read_text(&place, value, "customer_id"), customer_buf);
    if (receiver && order_id && customer_id && !foodsvc_metadata_set(metadata, receiver, order_id, customer_id)) {
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

static void read_payment_status(const foodsvc_place_t *place, json_t *object, foodsvc_payment_status_e *status)
{
    /* In the order in which the original names them. */
    static const foodsvc_payment_status_e all[] = {
        FOODSVC_PENDING, FOODSVC_PAY_REIMBURSED, FOODSVC_PAY_PAID, FOODSVC_PAY_FAILED
    };
    const char *names[FOODSVC_PAYMENT_STATUS_COUNT];
    json_t     *value = foodsvc_field_need(place, object, "status");

    if (value == NULL) {
        return;
    }
    if (!json_is_string(value)
        || !foodsvc_payment_status_parse(json_string_value(value), json_string_length(value), status))
    {
        for (size_t i = 0; i < FOODSVC_PAYMENT_STATUS_COUNT; i++) {
            names[i] = foodsvc_payment_status_name(all[i]);
        }
        foodsvc_field_enum(place, "status", value, names, FOODSVC_PAYMENT_STATUS_COUNT);
    }
}

bool foodsvc_callback_parse(const char *body, size_t len, const foodsvc_json_limits_t *limits,
    foodsvc_callback_t *callback, foodsvc_faults_t *faults)
{
    foodsvc_place_t  place = { faults, NULL, -1 };
    json_t          *root = read_body(body, len, limits, faults);

    if (root == NULL) {
        return false;
    }
    read_payment_status(&place, root, &callback->status);
    foodsvc_field_uuid(&place, root, "caller_id", &callback->caller_id);
    foodsvc_field_uuid(&place, root, "transaction_id", &callback->transaction_id);
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
