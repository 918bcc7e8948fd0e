/*
 * The event: a status for an order, as the services send it over the queue.
 *
 * What cannot be processed says why in one line that holds nothing of the message but a short printable status: it
 * becomes a header of the dead message and a line in the log.
 */
#include <stdio.h>
#include <string.h>
#include "foodsvc_buf.h"
#include "foodsvc_codec.h"

#define STATUS_SHOWN    32

static bool refuse(char err[FOODSVC_ERR], const char *why)
{
    snprintf(err, FOODSVC_ERR, "%s", why);
    return false;
}

/* A string, or "" when it is absent or null; NULL when it is something else. */
static const char *optional_text(json_t *object, const char *member)
{
    json_t *value = json_object_get(object, member);

    return value == NULL || json_is_null(value) ? "" : json_string_value(value);
}

static bool read_metadata(json_t *metadata, foodsvc_event_t *event, char err[FOODSVC_ERR])
{
    const char     *receiver = optional_text(metadata, "receiver");
    const char     *customer_id = optional_text(metadata, "customer_id");
    json_t         *order_id = json_object_get(metadata, "order_id");
    foodsvc_uuid_t  uuid;
    char            why[128];

    if (metadata == NULL) {
        return refuse(err, "metadata is missing");
    }
    if (!json_is_object(metadata)) {
        return refuse(err, "metadata is no object");
    }
    if (order_id == NULL) {
        return refuse(err, "metadata.order_id is missing");
    }
    if (!json_is_string(order_id)
        || !foodsvc_uuid_parse(json_string_value(order_id), json_string_length(order_id), &uuid, why, sizeof(why)))
    {
        return refuse(err, "metadata.order_id is no UUID");
    }
    if (receiver == NULL || customer_id == NULL) {
        return refuse(err, receiver == NULL ? "metadata.receiver is no string" : "metadata.customer_id is no string");
    }
    foodsvc_uuid_format(&uuid, event->order_id);
    return foodsvc_metadata_set(&event->metadata, receiver, event->order_id, customer_id)
           || refuse(err, FOODSVC_NO_MEMORY);
}

static bool read_status(json_t *status, foodsvc_event_t *event, char err[FOODSVC_ERR])
{
    const char *text = json_string_value(status);
    size_t      len;
    char        shown[STATUS_SHOWN + 1];

    if (text == NULL) {
        return refuse(err, status == NULL ? "status is missing" : "status is no string");
    }
    len = json_string_length(status);
    if (foodsvc_status_parse(text, len, &event->status)) {
        return true;
    }
    if (len > STATUS_SHOWN) {
        len = STATUS_SHOWN;
    }
    for (size_t i = 0; i < len; i++) {
        shown[i] = text[i] > ' ' && text[i] <= '~' ? text[i] : '?';
    }
    shown[len] = '\0';
    snprintf(err, FOODSVC_ERR, "unknown status '%s'", shown);
    return false;
}

static bool read_id(json_t *value, bool *has, foodsvc_uuid_t *uuid)
{
    char why[128];

    *has = value != NULL && !json_is_null(value);
    return !*has
           || (json_is_string(value)
               && foodsvc_uuid_parse(json_string_value(value), json_string_length(value), uuid, why, sizeof(why)));
}

static bool read_event(json_t *root, foodsvc_event_t *event, char err[FOODSVC_ERR])
{
    if (!json_is_object(root)) {
        return refuse(err, "the message is no object");
    }
    if (!read_metadata(json_object_get(root, "metadata"), event, err)
        || !read_status(json_object_get(root, "status"), event, err))
    {
        return false;
    }
    if (!read_id(json_object_get(root, "kitchen_id"), &event->has_kitchen_id, &event->kitchen_id)) {
        return refuse(err, "kitchen_id is no UUID");
    }
    if (!read_id(json_object_get(root, "delivery_id"), &event->has_delivery_id, &event->delivery_id)) {
        return refuse(err, "delivery_id is no UUID");
    }
    return true;
}

bool foodsvc_event_parse(const char *body, size_t len, const foodsvc_json_limits_t *limits, foodsvc_event_t *event,
    char err[FOODSVC_ERR])
{
    json_t *root;
    char    why[FOODSVC_ERR - 32];
    bool    ok;

    *event = (foodsvc_event_t) { .status = FOODSVC_CREATED };
    root = foodsvc_json_load(body, len, limits, why, sizeof(why));
    if (root == NULL) {
        snprintf(err, FOODSVC_ERR, "%s%s", foodsvc_no_memory(why) ? "" : "the message cannot be read: ", why);
        return false;
    }
    ok = read_event(root, event, err);
    json_decref(root);
    if (!ok) {
        foodsvc_event_clear(event);
    }
    return ok;
}

void foodsvc_event_clear(foodsvc_event_t *event)
{
    foodsvc_metadata_clear(&event->metadata);
}

static void add_member(foodsvc_buf_t *buf, const char *start, const char *text)
{
    foodsvc_buf_str(buf, start);
    foodsvc_buf_quote(buf, text, strlen(text));
}

char *foodsvc_event_json(const foodsvc_metadata_t *metadata, foodsvc_status_e status, const foodsvc_uuid_t *kitchen_id,
    const foodsvc_uuid_t *delivery_id, size_t *len)
{
    foodsvc_buf_t buf;
    char          id[FOODSVC_UUID_TEXT + 1];

    foodsvc_buf_init(&buf, 384);
    add_member(&buf, "{\"metadata\":{\"receiver\":", metadata->receiver);
    add_member(&buf, ",\"order_id\":", metadata->order_id);
    add_member(&buf, ",\"customer_id\":", metadata->customer_id);
    add_member(&buf, "},\"status\":", foodsvc_status_name(status));
    if (kitchen_id != NULL) {
        add_member(&buf, ",\"kitchen_id\":", foodsvc_uuid_format(kitchen_id, id));
    }
    if (delivery_id != NULL) {
        add_member(&buf, ",\"delivery_id\":", foodsvc_uuid_format(delivery_id, id));
    }
    foodsvc_buf_add(&buf, "}", 1);
    return foodsvc_buf_finish(&buf, len);
}

void foodsvc_event_change(const foodsvc_event_t *event, int64_t when, foodsvc_change_t *change)
{
    *change = (foodsvc_change_t) {
        .kind = FOODSVC_CHANGE_EVENT,
        .status = event->status,
        .has_kitchen_id = event->has_kitchen_id,
        .has_delivery_id = event->has_delivery_id,
        .kitchen_id = event->kitchen_id,
        .delivery_id = event->delivery_id,
        .when = when
    };
}
