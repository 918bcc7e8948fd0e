/*
 * Payments: inserted or changed under a condition (_id, status, reimburse, transaction_id, rev, as read), and the
 * outbox marks that say which event still has to be confirmed.
 *
 * As with orders, the update is taken from the codec's document of the decided payment, only what differs is written,
 * and what we don't know stays. Clearing a mark leaves `rev` alone: it is no decision, and must not make one miss.
 */
#include <stdlib.h>
#include <string.h>
#include "foodsvc_store_int.h"

/* --- the condition and the update --- */

static bson_t *condition_of(const char *id, const bson_t *doc)
{
    bson_t *filter = bson_new();

    if (BSON_APPEND_UTF8(filter, "_id", id) && foodsvc_store_same(filter, doc, "status")
        && foodsvc_store_same(filter, doc, "reimburse") && foodsvc_store_same(filter, doc, "transaction_id")
        && foodsvc_store_same(filter, doc, FOODSVC_STORE_REV)) {
        return filter;
    }
    bson_destroy(filter);
    return NULL;
}

/* Sets or unsets one field as the decided document has it. */
static bool change_field(bson_t *set, bson_t *unset, const bson_t *decided, const char *key)
{
    return bson_has_field(decided, key) ? foodsvc_store_copy(set, key, decided, key) : BSON_APPEND_UTF8(unset, key, "");
}

static bool transaction_differs(const foodsvc_payment_t *before, const foodsvc_payment_t *after)
{
    return before->has_transaction_id != after->has_transaction_id
        || (after->has_transaction_id
            && memcmp(&before->transaction_id, &after->transaction_id, sizeof(after->transaction_id)) != 0);
}

static bson_t *update_of(const foodsvc_payment_t *before, const foodsvc_payment_t *after, const bson_t *doc,
    const foodsvc_store_job_t *job)
{
    bson_t  *update = bson_new();
    bson_t   decided = BSON_INITIALIZER, set = BSON_INITIALIZER, unset = BSON_INITIALIZER;
    bool     ok;

    ok = foodsvc_payment_to_bson(after, &decided)
        && foodsvc_store_append_rev(&set, job, doc)
        && (before->status == after->status || change_field(&set, &unset, &decided, "status"))
        && (before->reimburse == after->reimburse || change_field(&set, &unset, &decided, "reimburse"))
        && (before->reimburse_taken == after->reimburse_taken
            || change_field(&set, &unset, &decided, "reimburse_taken"))
        && (!transaction_differs(before, after) || change_field(&set, &unset, &decided, "transaction_id"))
        && (strcmp(before->outbox_id, after->outbox_id) == 0 || change_field(&set, &unset, &decided, "outbox"))
        && BSON_APPEND_DOCUMENT(update, "$set", &set)
        && (bson_empty(&unset) || BSON_APPEND_DOCUMENT(update, "$unset", &unset));
    bson_destroy(&decided);
    bson_destroy(&set);
    bson_destroy(&unset);
    if (!ok) {
        bson_destroy(update);
        return NULL;
    }
    return update;
}

/* --- the decision --- */

/* A copy by way of the codec: what is stored is what the caller gets. */
static foodsvc_payment_t *copy_of(const foodsvc_payment_t *payment, char err[FOODSVC_ERR])
{
    bson_t              doc = BSON_INITIALIZER;
    foodsvc_payment_t  *copy = NULL;

    if (foodsvc_payment_to_bson(payment, &doc)) {
        copy = foodsvc_payment_from_bson(&doc, err);
    } else {
        foodsvc_store_say(err, "the payment is too large for a document");
    }
    bson_destroy(&doc);
    return copy;
}

/*
 * Applies the ops in their order. Without a payment, the first op that brings one begins it; ops before it find none.
 */
static bool apply_changes(foodsvc_store_job_t *job, foodsvc_store_group_t *group, char err[FOODSVC_ERR])
{
    foodsvc_store_payment_op_t  *op;
    bool                         write = false;
    size_t                       i;

    for (i = 0; i < group->count; i++) {
        op = foodsvc_store_op(job, group, i);
        op->inserted = false;
        op->rc = FOODSVC_STORE_OK;
        if (group->subject != NULL) {
            op->verdict = foodsvc_payment_decide(group->subject, &op->change);
            write = write || op->verdict == FOODSVC_PAYMENT_WRITE;
        } else if (op->insert != NULL) {
            group->subject = copy_of(op->insert, err);
            op->inserted = true;
            op->verdict = FOODSVC_PAYMENT_PROCEED;
            write = true;
        } else {
            op->rc = FOODSVC_STORE_NOT_FOUND;
        }
    }
    return write;
}

static void insert_new(foodsvc_store_job_t *job, foodsvc_store_group_t *group)
{
    char  err[FOODSVC_ERR] = "";

    if (!apply_changes(job, group, err)) {
        foodsvc_store_settle(job, group, FOODSVC_STORE_NOT_FOUND, "");
        return;
    }
    if (group->subject == NULL) {
        foodsvc_store_settle(job, group, FOODSVC_STORE_FAILED, err);
        return;
    }
    group->kind = FOODSVC_STORE_INSERT;
    group->write = bson_new();
    if (!foodsvc_payment_to_bson(group->subject, group->write)
        || !foodsvc_store_append_rev(group->write, job, NULL)) {
        foodsvc_store_settle(job, group, FOODSVC_STORE_FAILED, "the payment is too large for a document");
    }
}

static void payment_decide(foodsvc_store_job_t *job, foodsvc_store_group_t *group, const bson_t *doc)
{
    foodsvc_payment_t   before;     /* a look at the scalars only: its pointers belong to the subject */
    char                err[FOODSVC_ERR] = "";

    if (doc == NULL) {
        insert_new(job, group);
        return;
    }
    group->subject = foodsvc_payment_from_bson(doc, err);
    if (group->subject == NULL) {
        foodsvc_store_settle(job, group, FOODSVC_STORE_UNREADABLE, err);
        return;
    }
    if (group->ours) {
        /* Our write has got there, on the state that the ops' verdicts are about. */
        foodsvc_store_settle(job, group, FOODSVC_STORE_OK, "");
        return;
    }
    before = *(foodsvc_payment_t *) group->subject;
    if (!apply_changes(job, group, err)) {
        foodsvc_store_settle(job, group, FOODSVC_STORE_OK, "");
        return;
    }
    group->kind = FOODSVC_STORE_UPDATE;
    group->filter = condition_of(group->id, doc);
    group->write = update_of(&before, group->subject, doc, job);
    if (group->filter == NULL || group->write == NULL) {
        foodsvc_store_settle(job, group, FOODSVC_STORE_FAILED, "the change doesn't fit into a document");
    }
}

static void payment_result(foodsvc_store_job_t *job, foodsvc_store_group_t *group, size_t i, foodsvc_store_rc_e rc,
    const char *err)
{
    foodsvc_store_payment_op_t  *op = foodsvc_store_op(job, group, i);
    char                         reason[FOODSVC_ERR];

    if (rc == FOODSVC_STORE_OK && op->rc == FOODSVC_STORE_NOT_FOUND) {
        return;     /* it came before the op that brought the payment */
    }
    if (rc == FOODSVC_STORE_OK) {
        op->payment = copy_of(group->subject, reason);
        if (op->payment == NULL) {
            rc = FOODSVC_STORE_UNKNOWN;
            err = reason;
        }
    }
    if (rc != FOODSVC_STORE_OK) {
        op->inserted = false;
    }
    op->rc = rc;
    foodsvc_store_say(op->err, err);
}

static void free_payment(void *payment)
{
    foodsvc_payment_free(payment);
}

static const foodsvc_store_job_kind_t payment_kind = {
    .collection = FOODSVC_PAYMENTS, .decide = payment_decide, .result = payment_result, .free = free_payment
};

void foodsvc_store_payments_change(foodsvc_store_t *store, foodsvc_store_payment_op_t *ops[], size_t nops)
{
    size_t  i;

    for (i = 0; i < nops; i++) {
        ops[i]->payment = NULL;
        ops[i]->inserted = false;
        ops[i]->rc = FOODSVC_STORE_OK;
        ops[i]->err[0] = '\0';
    }
    foodsvc_store_run(store, &payment_kind, (void **) ops, nops);
}

/* --- the outbox --- */

static bool add_clear(mongoc_bulk_operation_t *bulk, const foodsvc_store_mark_t *mark, const bson_t *update)
{
    bson_t  filter = BSON_INITIALIZER;
    bool    ok;

    ok = BSON_APPEND_UTF8(&filter, "_id", mark->order_id) && BSON_APPEND_UTF8(&filter, "outbox.id", mark->outbox_id)
        && mongoc_bulk_operation_update_one_with_opts(bulk, &filter, update, NULL, NULL);
    bson_destroy(&filter);
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
    bson_t                   *update;
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
    update = BCON_NEW("$unset", "{", "outbox", "", "}");
    for (i = 0; rc == FOODSVC_STORE_OK && i < nmarks; i++) {
        if (!add_clear(bulk, &marks[i], update)) {
            foodsvc_store_say(err, "a mark doesn't fit into a command");
            rc = FOODSVC_STORE_FAILED;
        }
    }
    foodsvc_store_sent_reset();
    if (rc == FOODSVC_STORE_OK && mongoc_bulk_operation_execute(bulk, NULL, &error) == 0) {
        rc = foodsvc_store_error(&error, foodsvc_store_sent(), err);
    }
    bson_destroy(update);
    mongoc_bulk_operation_destroy(bulk);
    mongoc_collection_destroy(payments);
    foodsvc_store_end(&call);
    return rc;
}
