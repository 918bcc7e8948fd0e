/*
 * Finding payments: those whose outbox has an old mark, those that are pending for long, and one by its id. Each has
 * its index: outbox.when is sparse, and created partial, for those that are pending alone; so what is found is all that
 * they hold. Nothing is written here.
 */
#include <stdlib.h>
#include "foodsvc_store_int.h"

/* One page of what the filter wants, oldest `by` first. */
static mongoc_cursor_t *due_cursor(foodsvc_store_call_t *call, mongoc_collection_t *payments, const bson_t *filter,
    const char *by, size_t limit)
{
    bson_t           *opts = BCON_NEW("sort", "{", by, BCON_INT32(1), "}", "limit", BCON_INT64((int64_t) limit),
                                      "batchSize", BCON_INT64((int64_t) limit),
                                      "maxTimeMS", BCON_INT64(call->store->read_ms));
    mongoc_cursor_t  *cursor = mongoc_collection_find_with_opts(payments, filter, opts, NULL);

    bson_destroy(opts);
    return cursor;
}

static void due_read(foodsvc_store_call_t *call, const bson_t *filter, const char *by, foodsvc_store_due_t *due)
{
    mongoc_collection_t  *payments = foodsvc_store_collection(call, FOODSVC_PAYMENTS);
    mongoc_cursor_t      *cursor = due_cursor(call, payments, filter, by, due->limit);
    foodsvc_payment_t    *payment;
    const bson_t         *doc;
    bson_error_t          error;

    while (due->npayments < due->limit && mongoc_cursor_next(cursor, &doc)) {
        payment = foodsvc_payment_from_bson(doc, due->err);
        if (payment == NULL) {
            due->skipped++;
        } else {
            due->payments[due->npayments++] = payment;
        }
    }
    if (mongoc_cursor_error(cursor, &error)) {
        due->rc = foodsvc_store_read_error(&error, due->err);
    }
    mongoc_cursor_destroy(cursor);
    mongoc_collection_destroy(payments);
}

static void due_find(foodsvc_store_t *store, const bson_t *filter, const char *by, foodsvc_store_due_t *due)
{
    foodsvc_store_call_t  call;

    due->npayments = due->skipped = 0;
    due->rc = FOODSVC_STORE_OK;
    due->err[0] = '\0';
    if (due->limit < 1 || due->limit > FOODSVC_STORE_DUE) {
        due->limit = due->limit < 1 ? 1 : FOODSVC_STORE_DUE;
    }
    due->payments = calloc(due->limit, sizeof(due->payments[0]));
    if (due->payments == NULL) {
        due->rc = FOODSVC_STORE_UNAVAILABLE;
        foodsvc_store_say(due->err, FOODSVC_NO_MEMORY);
        return;
    }
    if (!foodsvc_store_begin(store, &call, due->err)) {
        due->rc = FOODSVC_STORE_UNAVAILABLE;
    } else {
        due_read(&call, filter, by, due);
        foodsvc_store_end(&call);
    }
    if (due->rc != FOODSVC_STORE_OK) {
        foodsvc_store_due_clear(due);
    }
}

void foodsvc_store_outbox_due(foodsvc_store_t *store, foodsvc_store_due_t *due)
{
    bson_t  *filter = BCON_NEW("outbox.when", "{", "$lt", BCON_DATE_TIME(due->before), "}");

    due_find(store, filter, "outbox.when", due);
    bson_destroy(filter);
}

void foodsvc_store_payments_pending(foodsvc_store_t *store, foodsvc_store_due_t *due)
{
    bson_t  *filter = BCON_NEW("status", BCON_UTF8(foodsvc_payment_status_name(FOODSVC_PENDING)),
                               "created", "{", "$lt", BCON_DATE_TIME(due->before), "}");

    due_find(store, filter, "created", due);
    bson_destroy(filter);
}

foodsvc_store_rc_e foodsvc_store_payment_find(foodsvc_store_t *store, const char *id, foodsvc_payment_t **payment,
    char err[FOODSVC_ERR])
{
    foodsvc_store_due_t  due = { .limit = 1 };
    bson_t              *filter = BCON_NEW("_id", BCON_UTF8(id));
    foodsvc_store_rc_e   rc;

    due_find(store, filter, "_id", &due);
    bson_destroy(filter);
    foodsvc_store_say(err, due.err);
    rc = due.rc != FOODSVC_STORE_OK ? due.rc : due.npayments == 1 ? FOODSVC_STORE_OK
         : due.skipped > 0 ? FOODSVC_STORE_UNREADABLE : FOODSVC_STORE_NOT_FOUND;
    *payment = NULL;
    if (rc == FOODSVC_STORE_OK) {
        *payment = due.payments[0];
        due.npayments = 0;
    }
    foodsvc_store_due_clear(&due);
    return rc;
}

void foodsvc_store_due_clear(foodsvc_store_due_t *due)
{
    size_t  i;

    for (i = 0; due->payments != NULL && i < due->npayments; i++) {
        foodsvc_payment_free(due->payments[i]);
    }
    free(due->payments);
    due->payments = NULL;
    due->npayments = 0;
}
