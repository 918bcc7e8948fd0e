/*
 * Orders: insert, find, delete, and the pages of the list. Changes are in foodsvc_store_change.c, paging in
 * foodsvc_store_page.c.
 */
#include <string.h>
#include "foodsvc_store_int.h"

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
    char                       err[FOODSVC_ERR] = "";
    bool                       read = true;
    size_t                     i;

    if (doc == NULL) {
        foodsvc_store_missing(group, FOODSVC_STORE_NOT_FOUND);
        return;
    }
    for (i = 0; read && i < group->count; i++) {
        op = foodsvc_store_op(job, group, i);
        op->order = foodsvc_order_from_bson(doc, err);
        read = op->order != NULL;
    }
    if (read) {
        foodsvc_store_settle(job, group, FOODSVC_STORE_OK, "");
    } else {
        foodsvc_store_unread(job, group, err);
    }
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
        foodsvc_store_missing(group, group->tried ? FOODSVC_STORE_OK : FOODSVC_STORE_NOT_FOUND);
        return;
    }
    group->kind = FOODSVC_STORE_DELETE;
    group->filter = bson_new();
    if (!BSON_APPEND_UTF8(group->filter, "_id", group->id)) {
        foodsvc_store_give_up(job, group, FOODSVC_STORE_FAILED, "the id doesn't fit into a command");
    }
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

void foodsvc_store_orders_page(foodsvc_store_t *store, foodsvc_store_page_t *page)
{
    foodsvc_store_paging_t  paging = { .key = { "created", "_id" }, .nkey = 2, .direction = -1 };

    foodsvc_store_page_run(store, &paging, page);
}
