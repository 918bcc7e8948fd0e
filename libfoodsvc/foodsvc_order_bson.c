/*
 * The order's document in MongoDB.
 *
 * Beside the contract's fields: `claim` {by, until} and `settled` [names] (foodsvc_order.h); `owes_since`, by which the
 * database finds orders that owe something, written from what the order says and never read; and the store's `rev`,
 * which is nobody else's business and stays there.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "foodsvc_bson.h"
#include "foodsvc_names.h"

/* --- writing --- */

static bool append_items(const foodsvc_order_t *order, bson_t *doc)
{
    bson_t items, item;
    bool   ok = bson_append_array_begin(doc, "items", -1, &items);

    for (size_t i = 0; ok && i < order->nitems; i++) {
        const foodsvc_item_t *from = &order->items[i];
        const char           *key;
        char                  buf[16];
        size_t                len = bson_uint32_to_string((uint32_t) i, &key, buf, sizeof(buf));

        ok = bson_append_document_begin(&items, key, (int) len, &item)
             && bson_append_utf8(&item, "product", -1, from->product, -1)
             && (from->quantity <= INT32_MAX
                 ? bson_append_int32(&item, "quantity", -1, (int32_t) from->quantity)
                 : bson_append_int64(&item, "quantity", -1, from->quantity))
             && bson_append_document_end(&items, &item);
    }
    return ok && bson_append_array_end(doc, &items);
}

static bool append_history(const foodsvc_order_t *order, bson_t *doc)
{
    bson_t updated, step;
    bool   ok = bson_append_array_begin(doc, "updated", -1, &updated);

    for (size_t i = 0; ok && i < order->nupdated; i++) {
        const char *key;
        char        buf[16];
        size_t      len = bson_uint32_to_string((uint32_t) i, &key, buf, sizeof(buf));

        ok = bson_append_document_begin(&updated, key, (int) len, &step)
             && bson_append_utf8(&step, "status", -1, foodsvc_status_name(order->updated[i].status), -1)
             && bson_append_date_time(&step, "when", -1, order->updated[i].when)
             && bson_append_document_end(&updated, &step);
    }
    return ok && bson_append_array_end(doc, &updated);
}

static bool append_optional_uuid(bson_t *doc, const char *key, bool has, const foodsvc_uuid_t *uuid)
{
    return has ? foodsvc_bson_append_uuid(doc, key, uuid) : bson_append_null(doc, key, -1);
}

static bool append_settled(const foodsvc_order_t *order, bson_t *doc)
{
    bson_t   settled;
    uint32_t n = 0;
    bool     ok;

    if (order->settled == 0) {
        return true;
    }
    ok = bson_append_array_begin(doc, "settled", -1, &settled);
    for (unsigned bit = 1; ok && bit <= FOODSVC_OWES_REIMBURSEMENT; bit <<= 1) {
        if (order->settled & bit) {
            const char *key;
            char        buf[16];
            size_t      len = bson_uint32_to_string(n++, &key, buf, sizeof(buf));

            ok = bson_append_utf8(&settled, key, (int) len, foodsvc_owes_name((foodsvc_owes_e) bit), -1);
        }
    }
    return ok && bson_append_array_end(doc, &settled);
}

static bool append_claim(const foodsvc_order_t *order, bson_t *doc)
{
    bson_t claim;

    return order->claim_by[0] == '\0'
           || (bson_append_document_begin(doc, "claim", -1, &claim)
               && bson_append_utf8(&claim, "by", -1, order->claim_by, -1)
               && bson_append_date_time(&claim, "until", -1, order->claim_until)
               && bson_append_document_end(doc, &claim));
}

static bool append_owes_since(const foodsvc_order_t *order, bson_t *doc)
{
    return foodsvc_order_owes(order) == FOODSVC_OWES_NOTHING
           || bson_append_date_time(doc, FOODSVC_OWES_SINCE, -1, foodsvc_order_since(order));
}

static bool append_unknown(const foodsvc_order_t *order, bson_t *doc)
{
    bson_error_t  error;
    bson_t       *unknown;
    char         *text;
    bool          ok;

    if (order->unknown == NULL) {
        return true;
    }
    text = foodsvc_json_dump(order->unknown, NULL);
    unknown = text == NULL ? NULL : bson_new_from_json((const uint8_t *) text, -1, &error);
    ok = unknown != NULL && bson_concat(doc, unknown);
    if (unknown != NULL) {
        bson_destroy(unknown);
    }
    free(text);
    return ok;
}

bool foodsvc_order_to_bson(const foodsvc_order_t *order, bson_t *doc)
{
    return bson_append_utf8(doc, "_id", -1, order->id, -1)
           && append_items(order, doc)
           && foodsvc_bson_append_uuid(doc, "customer_id", &order->customer_id)
           && append_optional_uuid(doc, "kitchen_id", order->has_kitchen_id, &order->kitchen_id)
           && append_optional_uuid(doc, "delivery_id", order->has_delivery_id, &order->delivery_id)
           && bson_append_utf8(doc, "status", -1, foodsvc_status_name(order->status), -1)
           && append_history(order, doc)
           && bson_append_date_time(doc, "created", -1, order->created)
           && append_settled(order, doc)
           && append_claim(order, doc)
           && append_owes_since(order, doc)
           && append_unknown(order, doc);
}

/* --- reading: each reader of a field returns false with the reason in err --- */

static bool out_of_memory(char err[FOODSVC_ERR])
{
    snprintf(err, FOODSVC_ERR, FOODSVC_NO_MEMORY);
    return false;
}

/* `at` counts the elements itself: an array's own names of them are another writer's, and may be any bytes. */
static bool bad_at(char err[FOODSVC_ERR], const char *field, size_t at, const char *member)
{
    snprintf(err, FOODSVC_ERR, "%s.%zu%s is missing or of another type", field, at, member);
    return false;
}

static bool read_id(const bson_iter_t *iter, foodsvc_order_t *order, char err[FOODSVC_ERR])
{
    foodsvc_uuid_t  uuid;
    const char     *text;
    size_t          len;

    if (!foodsvc_bson_uuid(iter, &uuid)) {
        return foodsvc_bson_bad(err, "_id");
    }
    text = foodsvc_bson_text(iter, &len);
    if (text != NULL && len == FOODSVC_UUID_TEXT) {
        memcpy(order->id, text, len);       /* as it stands, whatever its case: a write must find it again */
        order->id[len] = '\0';
        return true;
    }
    return foodsvc_bson_bad(err, "_id");
}

static bool read_item(const bson_iter_t *element, foodsvc_order_t *order, char err[FOODSVC_ERR])
{
    bson_iter_t  iter;
    const char  *product = NULL;
    size_t       len = 0;
    int64_t      quantity = 1;          /* the contract's default */

    if (!BSON_ITER_HOLDS_DOCUMENT(element) || !bson_iter_recurse(element, &iter)) {
        return bad_at(err, "items", order->nitems, "");
    }
    while (bson_iter_next(&iter)) {
        const char *key = bson_iter_key(&iter);

        if (strcmp(key, "product") == 0) {
            product = foodsvc_bson_text(&iter, &len);
        } else if (strcmp(key, "quantity") == 0 && (!foodsvc_bson_whole(&iter, &quantity) || quantity < 1)) {
            return bad_at(err, "items", order->nitems, ".quantity");
        }
    }
    if (product == NULL) {
        return bad_at(err, "items", order->nitems, ".product");
    }
    return foodsvc_order_add_item(order, product, len, quantity) || out_of_memory(err);
}

static bool read_items(const bson_iter_t *iter, foodsvc_order_t *order, char err[FOODSVC_ERR])
{
    bson_iter_t element;

    if (!BSON_ITER_HOLDS_ARRAY(iter) || !bson_iter_recurse(iter, &element)) {
        return foodsvc_bson_bad(err, "items");
    }
    while (bson_iter_next(&element)) {
        if (!read_item(&element, order, err)) {
            return false;
        }
    }
    return true;
}

static bool read_status(const bson_iter_t *iter, foodsvc_status_e *status)
{
    size_t      len;
    const char *text = foodsvc_bson_text(iter, &len);

    return text != NULL && foodsvc_status_parse(text, len, status);
}

static bool read_step(const bson_iter_t *element, foodsvc_order_t *order, char err[FOODSVC_ERR])
{
    bson_iter_t      iter;
    foodsvc_status_e status = FOODSVC_CREATED;
    int64_t          when = 0;
    bool             has_status = false, has_when = false;

    if (!BSON_ITER_HOLDS_DOCUMENT(element) || !bson_iter_recurse(element, &iter)) {
        return bad_at(err, "updated", order->nupdated, "");
    }
    while (bson_iter_next(&iter)) {
        const char *key = bson_iter_key(&iter);

        if (strcmp(key, "status") == 0) {
            has_status = read_status(&iter, &status);
        } else if (strcmp(key, "when") == 0) {
            has_when = foodsvc_bson_time(&iter, &when);
        }
    }
    if (!has_status || !has_when) {
        return bad_at(err, "updated", order->nupdated, has_status ? ".when" : ".status");
    }
    return foodsvc_order_add_step(order, status, when) || out_of_memory(err);
}

static bool read_history(const bson_iter_t *iter, foodsvc_order_t *order, char err[FOODSVC_ERR])
{
    bson_iter_t element;

    if (BSON_ITER_HOLDS_NULL(iter)) {
        return true;
    }
    if (!BSON_ITER_HOLDS_ARRAY(iter) || !bson_iter_recurse(iter, &element)) {
        return foodsvc_bson_bad(err, "updated");
    }
    while (bson_iter_next(&element)) {
        if (!read_step(&element, order, err)) {
            return false;
        }
    }
    return true;
}

static bool read_optional_uuid(const bson_iter_t *iter, bool *has, foodsvc_uuid_t *uuid, char err[FOODSVC_ERR])
{
    *has = !BSON_ITER_HOLDS_NULL(iter);
    return !*has || foodsvc_bson_uuid(iter, uuid) || foodsvc_bson_bad(err, bson_iter_key(iter));
}

/* Names that we don't know are left out: they settle nothing. */
static void read_settled(const bson_iter_t *iter, foodsvc_order_t *order)
{
    bson_iter_t element;

    if (!BSON_ITER_HOLDS_ARRAY(iter) || !bson_iter_recurse(iter, &element)) {
        return;
    }
    while (bson_iter_next(&element)) {
        size_t      len;
        const char *name = foodsvc_bson_text(&element, &len);

        for (unsigned bit = 1; name != NULL && bit <= FOODSVC_OWES_REIMBURSEMENT; bit <<= 1) {
            if (strcmp(name, foodsvc_owes_name((foodsvc_owes_e) bit)) == 0) {
                order->settled |= bit;
            }
        }
    }
}

/* What is no proper claim is none: the order may be claimed. */
static void read_claim(const bson_iter_t *iter, foodsvc_order_t *order)
{
    bson_iter_t  field;
    const char  *by;
    size_t       len;

    if (!BSON_ITER_HOLDS_DOCUMENT(iter) || !bson_iter_recurse(iter, &field)
        || !bson_iter_find(&field, "by") || (by = foodsvc_bson_text(&field, &len)) == NULL
        || len > FOODSVC_UUID_TEXT
        || !bson_iter_recurse(iter, &field) || !bson_iter_find(&field, "until")
        || !foodsvc_bson_time(&field, &order->claim_until))
    {
        return;
    }
    memcpy(order->claim_by, by, len);
    order->claim_by[len] = '\0';
}

static bool keep_unknown(const bson_iter_t *iter, foodsvc_order_t *order, char err[FOODSVC_ERR])
{
    const char *key = bson_iter_key(iter);

    if (!bson_utf8_validate(key, strlen(key), false)) {
        return true;        /* kept in the document; the cache, which is JSON, cannot show it */
    }
    if (order->unknown == NULL) {
        order->unknown = json_object();
    }
    return json_object_set_new(order->unknown, key, foodsvc_bson_json(iter)) == 0 || out_of_memory(err);
}

typedef enum {
    FIELD_ID, FIELD_ITEMS, FIELD_STATUS, FIELD_CREATED, FIELD_CUSTOMER_ID,      /* required, in a bit set */
    FIELDS_REQUIRED,
    FIELD_KITCHEN_ID = FIELDS_REQUIRED, FIELD_DELIVERY_ID, FIELD_UPDATED, FIELD_SETTLED, FIELD_CLAIM,
    FIELD_OWES_SINCE, FIELD_REV,
    FIELDS
} field_e;

static const char *const fields[FIELDS] = {
    [FIELD_ID] = "_id", [FIELD_ITEMS] = "items", [FIELD_STATUS] = "status", [FIELD_CREATED] = "created",
    [FIELD_CUSTOMER_ID] = "customer_id", [FIELD_KITCHEN_ID] = "kitchen_id", [FIELD_DELIVERY_ID] = "delivery_id",
    [FIELD_UPDATED] = "updated", [FIELD_SETTLED] = "settled", [FIELD_CLAIM] = "claim",
    [FIELD_OWES_SINCE] = FOODSVC_OWES_SINCE, [FIELD_REV] = "rev"
};

static bool read_field(field_e field, const bson_iter_t *iter, foodsvc_order_t *order, char err[FOODSVC_ERR])
{
    switch (field) {
    case FIELD_ID:
        return read_id(iter, order, err);
    case FIELD_ITEMS:
        return read_items(iter, order, err);
    case FIELD_STATUS:
        return read_status(iter, &order->status) || foodsvc_bson_bad(err, "status");
    case FIELD_CREATED:
        return foodsvc_bson_time(iter, &order->created) || foodsvc_bson_bad(err, "created");
    case FIELD_CUSTOMER_ID:
        return foodsvc_bson_uuid(iter, &order->customer_id) || foodsvc_bson_bad(err, "customer_id");
    case FIELD_KITCHEN_ID:
        return read_optional_uuid(iter, &order->has_kitchen_id, &order->kitchen_id, err);
    case FIELD_DELIVERY_ID:
        return read_optional_uuid(iter, &order->has_delivery_id, &order->delivery_id, err);
    case FIELD_UPDATED:
        return read_history(iter, order, err);
    case FIELD_SETTLED:
        read_settled(iter, order);
        return true;
    case FIELD_CLAIM:
        read_claim(iter, order);
        return true;
    case FIELD_OWES_SINCE:
    case FIELD_REV:
        return true;
    default:
        return keep_unknown(iter, order, err);
    }
}

static bool read_document(const bson_t *doc, foodsvc_order_t *order, char err[FOODSVC_ERR])
{
    bson_iter_t iter;
    unsigned    seen = 0;

    if (!bson_iter_init(&iter, doc)) {
        snprintf(err, FOODSVC_ERR, "it is no document");
        return false;
    }
    while (bson_iter_next(&iter)) {
        const char *key = bson_iter_key(&iter);
        unsigned    field = 0;

        while (field < FIELDS && strcmp(key, fields[field]) != 0) {
            field++;
        }
        if (field < FIELDS) {
            if (seen & 1u << field) {
                snprintf(err, FOODSVC_ERR, "%s is there twice", fields[field]);
                return false;
            }
            seen |= 1u << field;
        }
        if (!read_field((field_e) field, &iter, order, err)) {
            return false;
        }
    }
    for (unsigned field = 0; field < FIELDS_REQUIRED; field++) {
        if (!(seen & 1u << field)) {
            snprintf(err, FOODSVC_ERR, "%s is missing", fields[field]);
            return false;
        }
    }
    return true;
}

foodsvc_order_t *foodsvc_order_from_bson(const bson_t *doc, char err[FOODSVC_ERR])
{
    foodsvc_order_t *order = foodsvc_order_new();

    if (order == NULL) {
        out_of_memory(err);
        return NULL;
    }
    if (!read_document(doc, order, err)) {
        foodsvc_order_free(order);
        return NULL;
    }
    return order;
}
