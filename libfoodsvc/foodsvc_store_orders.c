/*
 * Orders: insert, find, delete, and the pages of the list. Changes are in foodsvc_store_change.c.
 */
#include <stdlib.h>
#include <string.h>
#include "foodsvc_store_int.h"

#define CODE_BAD_VALUE  2       /* what the server says to a hint of an index that isn't there */

static void order_result(foodsvc_store_job_t *job, foodsvc_store_group_t *group, size_t i, foodsvc_store_rc_e rc,
    const char *err)
{
    foodsvc_store_order_op_t *op = foodsvc_store_op(job, group, i);

    op->rc = rc;
    foodsvc_store_say(op->err, err);
}

/* --- insert --- */

static void insert_decide(foodsvc_store_job_t *job, foodsvc_store_group_t *group, const bson_t *doc)
{
    foodsvc_store_order_op_t *op = foodsvc_store_op(job, group, 0);

    if (doc != NULL) {
        foodsvc_store_settle(job, group, group->ours ? FOODSVC_STORE_OK : FOODSVC_STORE_EXISTS, "");
        return;
    }
    group->kind = FOODSVC_STORE_INSERT;
    group->write = bson_new();
    if (!foodsvc_order_to_bson(op->order, group->write)
        || !foodsvc_store_append_rev(group->write, job, NULL)) {
        foodsvc_store_settle(job, group, FOODSVC_STORE_FAILED, "the order is too large for a document");
    }
}

/* Two inserts of one id in a batch: the first one counts. */
static void insert_result(foodsvc_store_job_t *job, foodsvc_store_group_t *group, size_t i, foodsvc_store_rc_e rc,
    const char *err)
{
    order_result(job, group, i, i > 0 && rc == FOODSVC_STORE_OK ? FOODSVC_STORE_EXISTS : rc, err);
}

static const foodsvc_store_job_kind_t insert_kind = {
    .collection = FOODSVC_ORDERS, .field = FOODSVC_STORE_REV, .write_first = true, .exists_final = true,
    .decide = insert_decide, .result = insert_result
};

void foodsvc_store_orders_insert(foodsvc_store_t *store, foodsvc_store_order_op_t *ops[], size_t nops)
{
    foodsvc_store_run(store, &insert_kind, (void **) ops, nops);
}

/* --- find --- */

static void find_decide(foodsvc_store_job_t *job, foodsvc_store_group_t *group, const bson_t *doc)
{
    foodsvc_store_order_op_t  *op;
    foodsvc_store_rc_e         rc = FOODSVC_STORE_OK;
    char                       err[FOODSVC_ERR] = "";
    size_t                     i;

    for (i = 0; doc != NULL && i < group->count; i++) {
        op = foodsvc_store_op(job, group, i);
        op->order = foodsvc_order_from_bson(doc, err);
        if (op->order == NULL) {
            rc = FOODSVC_STORE_UNREADABLE;
        }
    }
    foodsvc_store_settle(job, group, doc == NULL ? FOODSVC_STORE_NOT_FOUND : rc, err);
}

static const foodsvc_store_job_kind_t find_kind = {
    .collection = FOODSVC_ORDERS, .decide = find_decide, .result = order_result
};

void foodsvc_store_orders_find(foodsvc_store_t *store, foodsvc_store_order_op_t *ops[], size_t nops)
{
    size_t  i;

    for (i = 0; i < nops; i++) {
        ops[i]->order = NULL;
    }
    foodsvc_store_run(store, &find_kind, (void **) ops, nops);
    /* Memory can end between two copies of one order. */
    for (i = 0; i < nops; i++) {
        if (ops[i]->rc != FOODSVC_STORE_OK && ops[i]->order != NULL) {
            foodsvc_order_free(ops[i]->order);
            ops[i]->order = NULL;
        }
    }
}

/* --- delete --- */

static void delete_decide(foodsvc_store_job_t *job, foodsvc_store_group_t *group, const bson_t *doc)
{
    if (doc == NULL) {
        /* Gone after we tried: by us, or by somebody who was as fast. It was there, and is not any more. */
        foodsvc_store_settle(job, group, group->tried ? FOODSVC_STORE_OK : FOODSVC_STORE_NOT_FOUND, "");
        return;
    }
    group->kind = FOODSVC_STORE_DELETE;
    group->filter = bson_new();
    BSON_APPEND_UTF8(group->filter, "_id", group->id);
}

static void delete_result(foodsvc_store_job_t *job, foodsvc_store_group_t *group, size_t i, foodsvc_store_rc_e rc,
    const char *err)
{
    order_result(job, group, i, i > 0 && rc == FOODSVC_STORE_OK ? FOODSVC_STORE_NOT_FOUND : rc, err);
}

static const foodsvc_store_job_kind_t delete_kind = {
    .collection = FOODSVC_ORDERS, .field = FOODSVC_STORE_REV, .decide = delete_decide, .result = delete_result
};

void foodsvc_store_orders_delete(foodsvc_store_t *store, foodsvc_store_order_op_t *ops[], size_t nops)
{
    foodsvc_store_run(store, &delete_kind, (void **) ops, nops);
}

/* --- page --- */

/*
 * The place of a document in the index {created: -1, _id: -1}: its raw values, `created` missing counting as null, as
 * the index has it. NULL: none: a list is indexed by its members, so it has no place of its own to go on from.
 */
static bson_t *place_of(const bson_t *doc)
{
    bson_iter_t   iter;
    bson_t       *place;

    if (bson_iter_init_find(&iter, doc, "created") && BSON_ITER_HOLDS_ARRAY(&iter)) {
        return NULL;
    }
    place = bson_new();
    if (!foodsvc_store_copy(place, "created", doc, "created")) {
        BSON_APPEND_NULL(place, "created");
    }
    foodsvc_store_copy(place, "_id", doc, "_id");
    return place;
}

/*
 * The first batch is the page, one more, to know whether another follows, and the one that `after` names, which `min`
 * includes. There is no limit beside it: documents without a place of their own are passed over, however many they are.
 */
static mongoc_cursor_t *page_cursor(foodsvc_store_call_t *call, mongoc_collection_t *orders,
    const foodsvc_store_page_t *page)
{
    bson_t            filter = BSON_INITIALIZER, opts = BSON_INITIALIZER, index = BSON_INITIALIZER;
    int64_t           batch = (int64_t) page->limit + 1 + (page->after != NULL);
    mongoc_cursor_t  *cursor;

    BSON_APPEND_INT32(&index, "created", -1);
    BSON_APPEND_INT32(&index, "_id", -1);
    BSON_APPEND_DOCUMENT(&opts, "sort", &index);
    BSON_APPEND_DOCUMENT(&opts, "hint", &index);
    if (page->after != NULL) {
        BSON_APPEND_DOCUMENT(&opts, "min", page->after);
    }
    BSON_APPEND_INT64(&opts, "batchSize", batch);
    BSON_APPEND_INT64(&opts, "maxTimeMS", call->store->read_ms);
    cursor = mongoc_collection_find_with_opts(orders, &filter, &opts, NULL);
    bson_destroy(&filter);
    bson_destroy(&opts);
    bson_destroy(&index);
    return cursor;
}

/* Takes one document into the page; false: it doesn't belong to it any more. */
static bool page_take(foodsvc_store_page_t *page, const bson_t *doc, size_t *taken)
{
    char              err[FOODSVC_ERR];
    foodsvc_order_t  *order;
    bson_t           *place = place_of(doc);

    if (place == NULL) {
        page->skipped++;
        return true;
    }
    if ((page->after != NULL && *taken == 0 && bson_equal(place, page->after)) || *taken == page->limit) {
        bson_destroy(place);
        return *taken < page->limit;
    }
    (*taken)++;
    if (page->next != NULL) {
        bson_destroy(page->next);
    }
    page->next = place;
    order = foodsvc_order_from_bson(doc, err);
    if (order == NULL) {
        page->skipped++;
    } else {
        page->orders[page->norders++] = order;
    }
    return true;
}

static foodsvc_store_rc_e page_read(foodsvc_store_call_t *call, mongoc_collection_t *orders, foodsvc_store_page_t *page,
    bool *no_index)
{
    foodsvc_store_rc_e   rc = FOODSVC_STORE_OK;
    mongoc_cursor_t     *cursor = page_cursor(call, orders, page);
    const bson_t        *doc;
    bson_error_t         error;
    size_t               taken = 0;
    bool                 last = true;

    while (last && mongoc_cursor_next(cursor, &doc)) {
        last = page_take(page, doc, &taken);
    }
    if (mongoc_cursor_error(cursor, &error)) {
        *no_index = error.domain == MONGOC_ERROR_SERVER && error.code == CODE_BAD_VALUE;
        rc = foodsvc_store_read_error(&error, page->err);
    } else if (last && page->next != NULL) {
        bson_destroy(page->next);
        page->next = NULL;
    }
    mongoc_cursor_destroy(cursor);
    return rc;
}

void foodsvc_store_orders_page(foodsvc_store_t *store, foodsvc_store_page_t *page)
{
    foodsvc_store_call_t  call;
    mongoc_collection_t  *orders;
    bool                  no_index = false;

    page->norders = page->skipped = 0;
    page->next = NULL;
    page->err[0] = '\0';
    if (page->limit < 1 || page->limit > 1000) {
        page->limit = page->limit < 1 ? 1 : 1000;
    }
    page->orders = calloc(page->limit, sizeof(page->orders[0]));
    if (page->orders == NULL) {
        page->rc = FOODSVC_STORE_FAILED;
        foodsvc_store_say(page->err, "no memory");
        return;
    }
    if (!foodsvc_store_begin(store, &call, page->err)) {
        page->rc = FOODSVC_STORE_UNAVAILABLE;
        foodsvc_store_page_clear(page);
        return;
    }
    orders = foodsvc_store_collection(&call, FOODSVC_ORDERS);
    page->rc = page_read(&call, orders, page, &no_index);
    if (no_index) {
        /* A database that prepare() has not seen yet. */
        page->rc = foodsvc_store_indexes(&call, page->err);
        if (page->rc == FOODSVC_STORE_OK) {
            page->err[0] = '\0';
            page->rc = page_read(&call, orders, page, &no_index);
        } else if (page->rc == FOODSVC_STORE_UNKNOWN) {
            page->rc = FOODSVC_STORE_UNAVAILABLE;
        }
    }
    if (page->rc != FOODSVC_STORE_OK) {
        foodsvc_store_page_clear(page);
    }
    mongoc_collection_destroy(orders);
    foodsvc_store_end(&call);
}

void foodsvc_store_page_clear(foodsvc_store_page_t *page)
{
    size_t  i;

    for (i = 0; page->orders != NULL && i < page->norders; i++) {
        foodsvc_order_free(page->orders[i]);
    }
    free(page->orders);
    page->orders = NULL;
    page->norders = 0;
    if (page->next != NULL) {
        bson_destroy(page->next);
        page->next = NULL;
    }
}
