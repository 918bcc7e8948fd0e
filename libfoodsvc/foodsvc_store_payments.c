/*
 * Payments: inserted or changed under a condition (_id, status, reimburse, transaction_id, rev, as read).
 *
 * As with orders, the update is taken from the codec's document of the decided payment, only what differs is written,
 * and what we don't know stays. New marks are pushed onto the outbox as it is then: one that was cleared between the
 * read and the write stays cleared.
 */
#include <stdlib.h>
#include <string.h>
#include "foodsvc_break.h"
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

/* The fields that a change may touch, the outbox apart. */
static const char *const fields[] = {
    "transaction_id", "status", "reimburse", "reimburse_taken", "reimburse_refused", "amount", "attempt", "asked",
    "ask_until", "attempts", "refused"
};

static bool same_field(const bson_t *a, const bson_t *b, const char *key)
{
    bson_t  left = BSON_INITIALIZER, right = BSON_INITIALIZER;
    bool    same;

    /* what could not be looked at is written: better once too often than never */
    same = bson_has_field(a, key) == bson_has_field(b, key)
        && (!bson_has_field(a, key)
            || (foodsvc_store_copy(&left, key, a, key) && foodsvc_store_copy(&right, key, b, key)))
        && bson_equal(&left, &right);
    bson_destroy(&left);
    bson_destroy(&right);
    return same;
}

/* Sets or unsets what differs between the payment as it was and as it was decided. */
static bool change_fields(bson_t *set, bson_t *unset, const bson_t *was, const bson_t *decided)
{
    bool    ok = true;
    size_t  i;

    for (i = 0; ok && i < sizeof(fields) / sizeof(fields[0]); i++) {
        if (!same_field(was, decided, fields[i])) {
            ok = bson_has_field(decided, fields[i]) ? foodsvc_store_copy(set, fields[i], decided, fields[i])
                : BSON_APPEND_UTF8(unset, fields[i], "");
        }
    }
    return ok;
}

static bool is_array(const bson_t *doc, const char *key)
{
    bson_iter_t  iter;

    return bson_iter_init_find(&iter, doc, key) && BSON_ITER_HOLDS_ARRAY(&iter);
}

/* Was the mark there before? */
static bool had_mark(const foodsvc_payment_t *before, const char *id, size_t len)
{
    size_t  i;

    for (i = 0; i < before->noutbox; i++) {
        if (strlen(before->outbox[i].id) == len && memcmp(before->outbox[i].id, id, len) == 0) {
            return true;
        }
    }
    return false;
}

static bool push_new(bson_t *each, const foodsvc_payment_t *before, const bson_t *decided)
{
    bson_iter_t  iter, list, mark;
    char         text[16];
    const char  *key;
    uint32_t     n = 0;

    if (!bson_iter_init_find(&iter, decided, "outbox") || !bson_iter_recurse(&iter, &list)) {
        return false;
    }
    while (bson_iter_next(&list)) {
        if (!bson_iter_recurse(&list, &mark) || !bson_iter_find(&mark, "id")) {
            return false;
        }
        bson_uint32_to_string(n, &key, text, sizeof(text));
        if (!had_mark(before, bson_iter_utf8(&mark, NULL), strlen(bson_iter_utf8(&mark, NULL)))) {
            if (!bson_append_iter(each, key, -1, &list)) {
                return false;
            }
            n++;
        }
    }
    return true;
}

/* The new marks behind those that stand; an outbox of another shape, or with none, is written whole. */
static bool change_outbox(bson_t *set, bson_t *push, const foodsvc_payment_t *before, const foodsvc_payment_t *after,
    const bson_t *decided, const bson_t *doc)
{
    bson_t  outbox, each;

    if (after->noutbox == 0 || foodsvc_break("no-outbox")
        || (before->noutbox > 0
            && strcmp(before->outbox[before->noutbox - 1].id, after->outbox[after->noutbox - 1].id) == 0)) {
        return true;
    }
    if (!is_array(doc, "outbox")) {
        return foodsvc_store_copy(set, "outbox", decided, "outbox");
    }
    return BSON_APPEND_DOCUMENT_BEGIN(push, "outbox", &outbox)
        && BSON_APPEND_ARRAY_BEGIN(&outbox, "$each", &each)
        && push_new(&each, before, decided)
        && bson_append_array_end(&outbox, &each)
        && BSON_APPEND_INT32(&outbox, "$slice", -FOODSVC_PAYMENT_MARKS)
        && bson_append_document_end(push, &outbox);
}

static bson_t *update_of(const foodsvc_payment_t *before, const foodsvc_payment_t *after, const bson_t *doc,
    const foodsvc_store_job_t *job)
{
    bson_t  *update = bson_new();
    bson_t   was = BSON_INITIALIZER, decided = BSON_INITIALIZER;
    bson_t   set = BSON_INITIALIZER, unset = BSON_INITIALIZER, push = BSON_INITIALIZER;
    bool     ok;

    ok = foodsvc_payment_to_bson(before, &was)
        && foodsvc_payment_to_bson(after, &decided)
        && foodsvc_store_append_rev(&set, job, doc)
        && change_fields(&set, &unset, &was, &decided)
        && change_outbox(&set, &push, before, after, &decided, doc)
        && BSON_APPEND_DOCUMENT(update, "$set", &set)
        && (bson_empty(&unset) || BSON_APPEND_DOCUMENT(update, "$unset", &unset))
        && (bson_empty(&push) || BSON_APPEND_DOCUMENT(update, "$push", &push));
    bson_destroy(&was);
    bson_destroy(&decided);
    bson_destroy(&set);
    bson_destroy(&unset);
    bson_destroy(&push);
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
        op->rc = FOODSVC_STORE_OK;
        op->inserted = group->subject == NULL && op->insert != NULL;
        if (op->inserted) {
            group->subject = copy_of(op->insert, err);
            write = true;
        }
        if (group->subject != NULL) {
            op->verdict = foodsvc_payment_decide(group->subject, &op->change);
            write = write || op->verdict == FOODSVC_PAYMENT_WRITE || op->verdict == FOODSVC_PAYMENT_TELL;
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
        foodsvc_store_missing(group, FOODSVC_STORE_NOT_FOUND);
        return;
    }
    if (group->subject == NULL) {
        foodsvc_store_give_up(job, group, foodsvc_no_memory(err) ? FOODSVC_STORE_UNAVAILABLE : FOODSVC_STORE_FAILED,
            err);
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
    foodsvc_payment_t   before;     /* as it was; what it points to belongs to the subject, and no change touches it */
    char                err[FOODSVC_ERR] = "";

    if (doc == NULL) {
        insert_new(job, group);
        return;
    }
    group->subject = foodsvc_payment_from_bson(doc, err);
    if (group->subject == NULL) {
        foodsvc_store_unread(job, group, err);
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

/* --- one payment --- */

typedef struct {
    const char          *id;
    foodsvc_store_rc_e   rc;
    char                *err;
    foodsvc_payment_t   *payment;
} find_op_t;

static void find_decide(foodsvc_store_job_t *job, foodsvc_store_group_t *group, const bson_t *doc)
{
    find_op_t  *op = foodsvc_store_op(job, group, 0);
    char        err[FOODSVC_ERR] = "";

    if (doc == NULL) {
        foodsvc_store_missing(group, FOODSVC_STORE_NOT_FOUND);
        return;
    }
    op->payment = foodsvc_payment_from_bson(doc, err);
    if (op->payment != NULL) {
        foodsvc_store_settle(job, group, FOODSVC_STORE_OK, "");
    } else {
        foodsvc_store_unread(job, group, err);
    }
}

static void find_result(foodsvc_store_job_t *job, foodsvc_store_group_t *group, size_t i, foodsvc_store_rc_e rc,
    const char *err)
{
    find_op_t  *op = foodsvc_store_op(job, group, i);

    op->rc = rc;
    foodsvc_store_say(op->err, err);
}

static const foodsvc_store_job_kind_t find_kind = {
    .collection = FOODSVC_PAYMENTS, .decide = find_decide, .result = find_result
};

foodsvc_store_rc_e foodsvc_store_payment_find(foodsvc_store_t *store, const char *id, foodsvc_payment_t **payment,
    char err[FOODSVC_ERR])
{
    find_op_t   op = { .id = id, .err = err };
    void       *ops[] = { &op };

    foodsvc_store_run(store, &find_kind, ops, 1);
    *payment = op.payment;
    return op.rc;
}
