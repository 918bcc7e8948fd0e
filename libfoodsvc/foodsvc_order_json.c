/*
 * The order as JSON: one text, written by hand, for the HTTP answer and for Redis; and the original's entries read.
 *
 * The text is laid out so that nginx answers from Redis without parsing: the public part comes first, and "sum" is its
 * CRC-32, so that a value which was cut, mixed up or written by somebody else is not taken for ours.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>
#include "foodsvc_buf.h"
#include "foodsvc_codec.h"
#include "foodsvc_time.h"

#define SUM_MEMBER      ",\"sum\":\""
#define SUM_MEMBER_LEN  (sizeof(SUM_MEMBER) - 1)
#define SUM_DIGITS      8

/* What Redis may hold for an order; more is rubbish. */
static const foodsvc_json_limits_t cache_limits = { 1024 * 1024, 64 };

/* --- writing --- */

static void add_quoted(foodsvc_buf_t *buf, const char *text, size_t len)
{
    foodsvc_buf_add(buf, "\"", 1);
    foodsvc_buf_add(buf, text, len);
    foodsvc_buf_add(buf, "\"", 1);
}

static void add_time(foodsvc_buf_t *buf, int64_t ms)
{
    char text[FOODSVC_TIME_TEXT + 1];

    add_quoted(buf, foodsvc_time_format(ms, text), FOODSVC_TIME_TEXT);
}

static void add_uuid(foodsvc_buf_t *buf, bool has, const foodsvc_uuid_t *uuid)
{
    char text[FOODSVC_UUID_TEXT + 1];

    if (has) {
        add_quoted(buf, foodsvc_uuid_format(uuid, text), FOODSVC_UUID_TEXT);
    } else {
        foodsvc_buf_add(buf, "null", 4);
    }
}

static void add_public(foodsvc_buf_t *buf, const foodsvc_order_t *order)
{
    foodsvc_buf_str(buf, "{\"id\":\"");
    foodsvc_buf_str(buf, order->id);
    foodsvc_buf_str(buf, "\",\"status\":\"");
    foodsvc_buf_str(buf, foodsvc_status_name(order->status));
    foodsvc_buf_str(buf, "\",\"items\":[");
    for (size_t i = 0; i < order->nitems; i++) {
        foodsvc_buf_str(buf, i == 0 ? "{\"product\":" : ",{\"product\":");
        foodsvc_buf_quote(buf, order->items[i].product, strlen(order->items[i].product));
        foodsvc_buf_str(buf, ",\"quantity\":");
        foodsvc_buf_integer(buf, order->items[i].quantity);
        foodsvc_buf_add(buf, "}", 1);
    }
    foodsvc_buf_str(buf, "],\"created\":");
    add_time(buf, order->created);
    foodsvc_buf_str(buf, ",\"customer_id\":");
    add_uuid(buf, true, &order->customer_id);
    foodsvc_buf_str(buf, ",\"kitchen_id\":");
    add_uuid(buf, order->has_kitchen_id, &order->kitchen_id);
    foodsvc_buf_str(buf, ",\"delivery_id\":");
    add_uuid(buf, order->has_delivery_id, &order->delivery_id);
    foodsvc_buf_str(buf, ",\"updated\":[");
    for (size_t i = 0; i < order->nupdated; i++) {
        foodsvc_buf_str(buf, i == 0 ? "{\"status\":\"" : ",{\"status\":\"");
        foodsvc_buf_str(buf, foodsvc_status_name(order->updated[i].status));
        foodsvc_buf_str(buf, "\",\"when\":");
        add_time(buf, order->updated[i].when);
        foodsvc_buf_add(buf, "}", 1);
    }
    foodsvc_buf_add(buf, "]", 1);
}

static void format_sum(const char *text, size_t len, char digits[SUM_DIGITS + 1])
{
    snprintf(digits, SUM_DIGITS + 1, "%08lx", crc32_z(0, (const unsigned char *) text, len) & 0xFFFFFFFFUL);
}

/* The document's fields that we don't know. A name that is one of this text's own stays out. */
static void add_unknown(foodsvc_buf_t *buf, json_t *unknown)
{
    const char *key;
    json_t     *value;

    json_object_foreach(unknown, key, value) {
        size_t  len;
        char   *text;

        if (strcmp(key, "id") == 0 || strcmp(key, "sum") == 0) {
            continue;
        }
        text = foodsvc_json_dump(value, &len);
        if (text == NULL) {
            buf->failed = true;
            return;
        }
        foodsvc_buf_add(buf, ",", 1);
        foodsvc_buf_quote(buf, key, strlen(key));
        foodsvc_buf_add(buf, ":", 1);
        foodsvc_buf_add(buf, text, len);
        free(text);
    }
}

static size_t expected_size(const foodsvc_order_t *order)
{
    return 512 + order->nitems * 80 + order->nupdated * 72;
}

char *foodsvc_order_cache_json(const foodsvc_order_t *order, size_t *len, size_t *public_len)
{
    foodsvc_buf_t buf;
    char          sum[SUM_DIGITS + 1];

    foodsvc_buf_init(&buf, expected_size(order));
    add_public(&buf, order);
    *public_len = buf.len;
    if (!buf.failed) {
        format_sum(buf.data, buf.len, sum);
        foodsvc_buf_add(&buf, SUM_MEMBER, SUM_MEMBER_LEN);
        foodsvc_buf_add(&buf, sum, SUM_DIGITS);
        foodsvc_buf_add(&buf, "\"", 1);
    }
    add_unknown(&buf, order->unknown);
    foodsvc_buf_add(&buf, "}", 1);
    return foodsvc_buf_finish(&buf, len);
}

char *foodsvc_order_response_json(const foodsvc_order_t *order, size_t *len)
{
    foodsvc_buf_t buf;

    foodsvc_buf_init(&buf, expected_size(order));
    add_public(&buf, order);
    foodsvc_buf_add(&buf, "}", 1);
    return foodsvc_buf_finish(&buf, len);
}

/* --- reading --- */

size_t foodsvc_order_cache_public(const char *text, size_t len, const char *id)
{
    static const char start[] = "{\"id\":\"";
    const size_t      start_len = sizeof(start) - 1;
    const size_t      id_len = strlen(id);
    const char       *sum;
    size_t            public_len;
    char              digits[SUM_DIGITS + 1];

    if (len < start_len + id_len + 1 || memcmp(text, start, start_len) != 0
        || memcmp(text + start_len, id, id_len) != 0 || text[start_len + id_len] != '"' || text[len - 1] != '}')
    {
        return 0;
    }
    /* Within a JSON string the quotes of this would be escaped: the first one is the member. */
    sum = memmem(text, len, SUM_MEMBER, SUM_MEMBER_LEN);
    if (sum == NULL) {
        return 0;
    }
    public_len = (size_t) (sum - text);
    if (len - public_len < SUM_MEMBER_LEN + SUM_DIGITS + 2) {
        return 0;
    }
    format_sum(text, public_len, digits);
    sum += SUM_MEMBER_LEN;
    return memcmp(sum, digits, SUM_DIGITS) == 0 && sum[SUM_DIGITS] == '"' ? public_len : 0;
}

/* How often `word` is in the text. With its quotes it is no part of a string: there they would be escaped. */
static size_t count(const char *text, size_t len, const char *word)
{
    const char *end = text + len;
    size_t      n = 0;

    while ((text = memmem(text, (size_t) (end - text), word, strlen(word))) != NULL) {
        text += strlen(word);
        n++;
    }
    return n;
}

size_t foodsvc_order_cache_rank(const char *text, size_t public_len)
{
    size_t missing = count(text, public_len, "\"kitchen_id\":null") + count(text, public_len, "\"delivery_id\":null");

    return FOODSVC_ORDER_RANK(count(text, public_len, "\"when\":"), 2 - missing);
}

/* A reader of the object's members; each returns false with the reason in err. */
static bool bad(const char *member, char err[FOODSVC_ERR])
{
    snprintf(err, FOODSVC_ERR, "%s is missing or of another type", member);
    return false;
}

static bool get_uuid(json_t *value, const char *member, foodsvc_uuid_t *uuid, char err[FOODSVC_ERR])
{
    char why[128];

    return (json_is_string(value)
            && foodsvc_uuid_parse(json_string_value(value), json_string_length(value), uuid, why, sizeof(why)))
           || bad(member, err);
}

static bool get_optional_uuid(json_t *value, const char *member, bool *has, foodsvc_uuid_t *uuid, char err[FOODSVC_ERR])
{
    *has = value != NULL && !json_is_null(value);
    return !*has || get_uuid(value, member, uuid, err);
}

static bool get_time(json_t *value, const char *member, int64_t *ms, char err[FOODSVC_ERR])
{
    return (json_is_string(value) && foodsvc_time_parse(json_string_value(value), json_string_length(value), ms))
           || bad(member, err);
}

static bool get_status(json_t *value, const char *member, foodsvc_status_e *status, char err[FOODSVC_ERR])
{
    return (json_is_string(value) && foodsvc_status_parse(json_string_value(value), json_string_length(value), status))
           || bad(member, err);
}

static bool get_items(json_t *items, foodsvc_order_t *order, char err[FOODSVC_ERR])
{
    json_t *item;
    size_t  i;

    if (!json_is_array(items)) {
        return bad("items", err);
    }
    json_array_foreach(items, i, item) {
        json_t *product = json_object_get(item, "product");
        json_t *quantity = json_object_get(item, "quantity");

        if (!json_is_string(product)) {
            return bad("items.product", err);
        }
        if (!json_is_integer(quantity) || json_integer_value(quantity) < 1) {
            return bad("items.quantity", err);
        }
        if (!foodsvc_order_add_item(order, json_string_value(product), json_string_length(product),
                                    json_integer_value(quantity)))
        {
            snprintf(err, FOODSVC_ERR, FOODSVC_NO_MEMORY);
            return false;
        }
    }
    return true;
}

static bool get_history(json_t *updated, foodsvc_order_t *order, char err[FOODSVC_ERR])
{
    json_t *step;
    size_t  i;

    if (!json_is_array(updated)) {
        return bad("updated", err);
    }
    json_array_foreach(updated, i, step) {
        foodsvc_status_e status;
        int64_t          when;

        if (!get_status(json_object_get(step, "status"), "updated.status", &status, err)
            || !get_time(json_object_get(step, "when"), "updated.when", &when, err))
        {
            return false;
        }
        if (!foodsvc_order_add_step(order, status, when)) {
            snprintf(err, FOODSVC_ERR, FOODSVC_NO_MEMORY);
            return false;
        }
    }
    return true;
}

/* Leaves the members that we don't know in `root` and gives it to the order. */
static void keep_unknown(json_t *root, foodsvc_order_t *order)
{
    static const char *const known[] = {
        "id", "status", "items", "created", "customer_id", "kitchen_id", "delivery_id", "updated", "sum"
    };

    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
        json_object_del(root, known[i]);
    }
    if (json_object_size(root) > 0) {
        order->unknown = json_incref(root);
    }
}

static bool get_order(json_t *root, const char *id, foodsvc_order_t *order, char err[FOODSVC_ERR])
{
    const char *own = json_string_value(json_object_get(root, "id"));

    if (own == NULL || strcmp(own, id) != 0 || strlen(own) != FOODSVC_UUID_TEXT) {
        return bad("id", err);
    }
    memcpy(order->id, own, sizeof(order->id));
    return get_status(json_object_get(root, "status"), "status", &order->status, err)
           && get_items(json_object_get(root, "items"), order, err)
           && get_time(json_object_get(root, "created"), "created", &order->created, err)
           && get_uuid(json_object_get(root, "customer_id"), "customer_id", &order->customer_id, err)
           && get_optional_uuid(json_object_get(root, "kitchen_id"), "kitchen_id", &order->has_kitchen_id,
                                &order->kitchen_id, err)
           && get_optional_uuid(json_object_get(root, "delivery_id"), "delivery_id", &order->has_delivery_id,
                                &order->delivery_id, err)
           && get_history(json_object_get(root, "updated"), order, err);
}

foodsvc_order_t *foodsvc_order_from_cache(const char *text, size_t len, const char *id, char err[FOODSVC_ERR])
{
    json_t          *root = foodsvc_json_load(text, len, &cache_limits, err, FOODSVC_ERR);
    foodsvc_order_t *order;

    if (root == NULL) {
        return NULL;
    }
    order = foodsvc_order_new();
    if (order == NULL) {
        snprintf(err, FOODSVC_ERR, FOODSVC_NO_MEMORY);
    } else if (!get_order(root, id, order, err)) {
        foodsvc_order_free(order);
        order = NULL;
    } else {
        keep_unknown(root, order);
    }
    json_decref(root);
    return order;
}
