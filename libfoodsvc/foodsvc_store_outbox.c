/*
 * The outbox: the marks in payments that say which event still has to be confirmed by the broker.
 *
 * A mark is set by the write that stores the status (foodsvc_store_payments.c), and cleared by its id here. Clearing
 * leaves `rev` alone: it is no decision, and must not make one miss. With its last mark the field goes, so that the
 * index over outbox.when, which is partial, holds what is unsent and nothing else.
 */
#include <stdlib.h>
#include <string.h>
#include "foodsvc_store_int.h"

/* The outbox without this mark, and no outbox when there is no other. One that is no array holds one mark. */
static bson_t *clear_update(const char *outbox_id)
{
    return BCON_NEW("0", "{", "$set", "{", "outbox", "{", "$let", "{",
                    "vars", "{", "left", "{", "$cond", "[", "{", "$isArray", "$outbox", "}",
                    "{", "$filter", "{", "input", "$outbox", "cond",
                    "{", "$ne", "[", "$$this.id", "{", "$literal", BCON_UTF8(outbox_id), "}", "]", "}", "}", "}",
                    "[", "]", "]", "}", "}",
                    "in", "{", "$cond", "[", "{", "$eq", "[", "$$left", "[", "]", "]", "}", "$$REMOVE", "$$left", "]",
                    "}", "}", "}", "}", "}");
}

static bool add_clear(mongoc_bulk_operation_t *bulk, const foodsvc_store_mark_t *mark)
{
    bson_t  filter = BSON_INITIALIZER, *update = clear_update(mark->outbox_id);
    bool    ok;

    ok = BSON_APPEND_UTF8(&filter, "_id", mark->order_id) && BSON_APPEND_UTF8(&filter, "outbox.id", mark->outbox_id)
        && mongoc_bulk_operation_update_one_with_opts(bulk, &filter, update, NULL, NULL);
    bson_destroy(&filter);
    bson_destroy(update);
    return ok;
}

/* w=1: a mark that comes back after a failover is an event sent twice, which everybody here takes for one. */
static mongoc_bulk_operation_t *clear_bulk(mongoc_collection_t *payments)
{
    mongoc_write_concern_t   *concern = mongoc_write_concern_new();
    mongoc_bulk_operation_t  *bulk;
    bson_t                    opts = BSON_INITIALIZER;

    mongoc_write_concern_set_w(concern, 1);
    BSON_APPEND_BOOL(&opts, "ordered", false);
    mongoc_write_concern_append(concern, &opts);
    bulk = mongoc_collection_create_bulk_operation_with_opts(payments, &opts);
    bson_destroy(&opts);
    mongoc_write_concern_destroy(concern);
    return bulk;
}

foodsvc_store_rc_e foodsvc_store_outbox_clear(foodsvc_store_t *store, const foodsvc_store_mark_t *marks, size_t nmarks,
    char err[FOODSVC_ERR])
{
    foodsvc_store_call_t      call;
    foodsvc_store_rc_e        rc = FOODSVC_STORE_OK;
    mongoc_collection_t      *payments;
    mongoc_bulk_operation_t  *bulk;
    bson_error_t              error;
    size_t                    i;

    foodsvc_store_say(err, "");
    if (nmarks == 0) {
        return rc;
    }
    if (!foodsvc_store_begin(store, &call, err)) {
        return FOODSVC_STORE_UNAVAILABLE;
    }
    payments = foodsvc_store_collection(&call, FOODSVC_PAYMENTS);
    bulk = clear_bulk(payments);
    for (i = 0; rc == FOODSVC_STORE_OK && i < nmarks; i++) {
        if (!add_clear(bulk, &marks[i])) {
            foodsvc_store_say(err, "a mark doesn't fit into a command");
            rc = FOODSVC_STORE_FAILED;
        }
    }
    foodsvc_store_sent_reset();
    if (rc == FOODSVC_STORE_OK && mongoc_bulk_operation_execute(bulk, NULL, &error) == 0) {
        rc = foodsvc_store_error(&error, foodsvc_store_sent(), err);
    }
    mongoc_bulk_operation_destroy(bulk);
    mongoc_collection_destroy(payments);
    foodsvc_store_end(&call);
    return rc;
}
