/*
 * Changes of orders, and claims: what foodsvc_order_decide() says, turned into one conditional write for each order.
 *
 * The condition is _id, the raw status, the length of `updated` and `rev`, as read. rev alone would do among ourselves;
 * the Python original writes none, so its changes show in status and length.
 *
 * owes_since is a function of the order: each write brings it up to date, and so does a worker's look that changes
 * nothing else, should another implementation have written the order meanwhile.
 *
 * The update is taken from the document that the codec makes of the decided order, so that the shapes have one owner;
 * only what differs is written, and fields that we don't know stay as they are.
 *
 * Claims. After all ops of an order are decided: an op that releases drops its own claim; one that claims gets it when
 * the order owes something and the claim is free, expired, or its own (then it is extended). A claim is for the debt
 * that it was made for: when the order moves on and none of what it owed is owed any more, the claim ends with the same
 * write, so that the next debt need not wait until it expires.
 */
#include <string.h>
#include "foodsvc_break.h"
#include "foodsvc_store_int.h"
#include "foodsvc_time.h"

/* --- the condition --- */

/* An array keeps its length, anything else (missing, null) its value. */
static bool same_history(bson_t *filter, const bson_t *doc)
{
    bson_iter_t  iter, list;
    bson_t       condition;
    int64_t      n = 0;

    if (!bson_iter_init_find(&iter, doc, "updated") || !BSON_ITER_HOLDS_ARRAY(&iter)) {
        return foodsvc_store_same(filter, doc, "updated");
    }
    if (!bson_iter_recurse(&iter, &list)) {
        return false;
    }
    while (bson_iter_next(&list)) {
        n++;
    }
    return BSON_APPEND_DOCUMENT_BEGIN(filter, "updated", &condition)
        && BSON_APPEND_INT64(&condition, "$size", n)
        && bson_append_document_end(filter, &condition);
}

static bson_t *condition_of(const char *id, const bson_t *doc)
{
    bson_t *filter = bson_new();

    if (foodsvc_break("unconditional-write") && BSON_APPEND_UTF8(filter, "_id", id)) {
        return filter;
    }
    if (BSON_APPEND_UTF8(filter, "_id", id) && foodsvc_store_same(filter, doc, "status") && same_history(filter, doc)
        && foodsvc_store_same(filter, doc, FOODSVC_STORE_REV)) {
        return filter;
    }
    bson_destroy(filter);
    return NULL;
}

/* --- the update --- */

static bool has_history(const bson_t *doc)
{
    bson_iter_t  iter;

    return bson_iter_init_find(&iter, doc, "updated") && BSON_ITER_HOLDS_ARRAY(&iter);
}

/* $push of the steps from the first'th on, as the codec wrote them. */
static bool push_steps(bson_t *update, const bson_t *decided, size_t first)
{
    bson_iter_t  iter, list;
    bson_t       push, updated, each;
    char         text[16];
    const char  *key;
    uint32_t     n = 0;
    size_t       at = 0;

    if (!bson_iter_init_find(&iter, decided, "updated") || !bson_iter_recurse(&iter, &list)
        || !BSON_APPEND_DOCUMENT_BEGIN(update, "$push", &push)
        || !BSON_APPEND_DOCUMENT_BEGIN(&push, "updated", &updated)
        || !BSON_APPEND_ARRAY_BEGIN(&updated, "$each", &each)) {
        return false;
    }
    while (bson_iter_next(&list)) {
        if (at++ < first) {
            continue;
        }
        bson_uint32_to_string(n++, &key, text, sizeof(text));
        if (!bson_append_iter(&each, key, -1, &list)) {
            return false;
        }
    }
    return bson_append_array_end(&updated, &each) && bson_append_document_end(&push, &updated)
        && bson_append_document_end(update, &push);
}

static bool uuid_differs(bool had, const foodsvc_uuid_t *before, bool has, const foodsvc_uuid_t *after)
{
    return has && (!had || memcmp(before, after, sizeof(*after)) != 0);
}

static bool claim_differs(const foodsvc_order_t *before, const foodsvc_order_t *after)
{
    return strcmp(before->claim_by, after->claim_by) != 0 || before->claim_until != after->claim_until;
}

static bool set_fields(bson_t *set, const foodsvc_order_t *before, const foodsvc_order_t *after, const bson_t *decided,
    const bson_t *doc)
{
    return (before->status == after->status || foodsvc_store_copy(set, "status", decided, "status"))
        && (!uuid_differs(before->has_kitchen_id, &before->kitchen_id, after->has_kitchen_id, &after->kitchen_id)
            || foodsvc_store_copy(set, "kitchen_id", decided, "kitchen_id"))
        && (!uuid_differs(before->has_delivery_id, &before->delivery_id, after->has_delivery_id, &after->delivery_id)
            || foodsvc_store_copy(set, "delivery_id", decided, "delivery_id"))
        && (before->settled == after->settled || after->settled == 0
            || foodsvc_store_copy(set, "settled", decided, "settled"))
        && (!bson_has_field(decided, FOODSVC_OWES_SINCE)
            || foodsvc_store_copy(set, FOODSVC_OWES_SINCE, decided, FOODSVC_OWES_SINCE))
        && (!claim_differs(before, after) || after->claim_by[0] == '\0'
            || foodsvc_store_copy(set, "claim", decided, "claim"))
        && (before->nupdated == after->nupdated || has_history(doc)
            || foodsvc_store_copy(set, "updated", decided, "updated"));
}

static bool unset_fields(bson_t *update, const foodsvc_order_t *before, const foodsvc_order_t *after,
    const bson_t *decided, const bson_t *doc)
{
    bool    claim = before->claim_by[0] != '\0' && after->claim_by[0] == '\0';
    bool    settled = before->settled != 0 && after->settled == 0;
    bool    owes = bson_has_field(doc, FOODSVC_OWES_SINCE) && !bson_has_field(decided, FOODSVC_OWES_SINCE);
    bson_t  unset;

    return !(claim || settled || owes)
        || (BSON_APPEND_DOCUMENT_BEGIN(update, "$unset", &unset)
            && (!claim || BSON_APPEND_UTF8(&unset, "claim", ""))
            && (!settled || BSON_APPEND_UTF8(&unset, "settled", ""))
            && (!owes || BSON_APPEND_UTF8(&unset, FOODSVC_OWES_SINCE, ""))
            && bson_append_document_end(update, &unset));
}

static bson_t *update_of(const foodsvc_order_t *before, const foodsvc_order_t *after, const bson_t *doc,
    const foodsvc_store_job_t *job)
{
    bson_t          *update = bson_new();
    bson_t           decided = BSON_INITIALIZER, part;
    foodsvc_order_t  fields = *after;       /* without what no change touches; it owns nothing */
    bool             ok;

    fields.unknown = NULL;
    fields.nitems = 0;
    ok = foodsvc_order_to_bson(&fields, &decided)
        && BSON_APPEND_DOCUMENT_BEGIN(update, "$set", &part)
        && foodsvc_store_append_rev(&part, job, doc)
        && set_fields(&part, before, after, &decided, doc)
        && bson_append_document_end(update, &part)
        && (before->nupdated == after->nupdated || !has_history(doc)
            || push_steps(update, &decided, before->nupdated));
    ok = ok && unset_fields(update, before, after, &decided, doc);
    bson_destroy(&decided);
    if (!ok) {
        bson_destroy(update);
        return NULL;
    }
    return update;
}

/* --- the decision --- */

bool foodsvc_store_claim_is_free(const foodsvc_order_t *order, int64_t now)
{
    return order->claim_by[0] == '\0' || order->claim_until <= now || order->claim_until - now > FOODSVC_STORE_CLAIM;
}

/* Nobody calls a service for the order but who asks, if anybody does. */
static bool may_give_up(const foodsvc_store_change_op_t *op, const foodsvc_order_t *order, int64_t now)
{
    return foodsvc_order_owes(order) == FOODSVC_OWES_NOTHING
           || (op->claim_by != NULL && strcmp(order->claim_by, op->claim_by) == 0
               && !foodsvc_store_claim_is_free(order, now));
}

/* Applies the changes of a group's ops, in their order. False: no memory. */
static bool apply_changes(foodsvc_store_job_t *job, foodsvc_store_group_t *group, foodsvc_order_t *order, int64_t now,
    bool *write)
{
    foodsvc_store_change_op_t  *op;
    bool                        ok = true;
    size_t                      i;

    for (i = 0; ok && i < group->count; i++) {
        op = foodsvc_store_op(job, group, i);
        op->verdict = FOODSVC_REFUSED;
        if (op->change.kind == FOODSVC_CHANGE_GIVE_UP && !may_give_up(op, order, now)) {
            continue;
        }
        op->verdict = foodsvc_order_decide(order, &op->change, &ok);
        *write = *write || op->verdict == FOODSVC_APPLIED || op->verdict == FOODSVC_EARLY
            || op->verdict == FOODSVC_NOTED;
    }
    return ok;
}

static void drop_claim(foodsvc_order_t *order)
{
    order->claim_by[0] = '\0';
    order->claim_until = 0;
}

static bool apply_claim(const foodsvc_store_change_op_t *op, foodsvc_order_t *order, int64_t now)
{
    bool  own = op->claim_by != NULL && strcmp(order->claim_by, op->claim_by) == 0;

    if (op->claim_by == NULL || op->claim_by[0] == '\0') {
        return false;
    }
    if (op->release) {
        if (own) {
            drop_claim(order);
        }
        return own;
    }
    if (op->claim_ms <= 0 || foodsvc_order_owes(order) == FOODSVC_OWES_NOTHING
        || !(own || foodsvc_store_claim_is_free(order, now))) {
        return false;
    }
    bson_strncpy(order->claim_by, op->claim_by, sizeof(order->claim_by));
    order->claim_until = now + (op->claim_ms < FOODSVC_STORE_CLAIM ? op->claim_ms : FOODSVC_STORE_CLAIM);
    return true;
}

/*
 * Whether the document says something else of its debt than the order does: somebody wrote it who doesn't keep
 * owes_since. Who may claim mends that; others leave what they don't change alone.
 */
static bool owes_since_is_wrong(foodsvc_store_job_t *job, foodsvc_store_group_t *group, const foodsvc_order_t *order,
    const bson_t *doc)
{
    const foodsvc_store_change_op_t  *op = foodsvc_store_op(job, group, 0);
    bson_iter_t                       iter;
    bool                              has = bson_iter_init_find(&iter, doc, FOODSVC_OWES_SINCE);

    if (op->claim_by == NULL) {
        return false;
    }
    if (foodsvc_order_owes(order) == FOODSVC_OWES_NOTHING) {
        return has;
    }
    return !has || !BSON_ITER_HOLDS_DATE_TIME(&iter) || bson_iter_date_time(&iter) != foodsvc_order_since(order);
}

static void change_decide(foodsvc_store_job_t *job, foodsvc_store_group_t *group, const bson_t *doc)
{
    foodsvc_order_t  *order;
    foodsvc_order_t   before;       /* a look at the scalars only: what it points to belongs to `order` */
    char              err[FOODSVC_ERR] = "";
    unsigned          owed;
    int64_t           now = foodsvc_time_now();
    bool              write = false;
    size_t            i;

    if (doc == NULL) {
        foodsvc_store_missing(group, FOODSVC_STORE_NOT_FOUND);
        return;
    }
    group->subject = order = foodsvc_order_from_bson(doc, err);
    if (order == NULL) {
        foodsvc_store_unread(job, group, err);
        return;
    }
    if (group->ours) {
        /* Our write has got there, on the state that the ops' verdicts are about. */
        foodsvc_store_settle(job, group, FOODSVC_STORE_OK, "");
        return;
    }
    before = *order;
    owed = foodsvc_order_owes(order);
    if (!apply_changes(job, group, order, now, &write)) {
        foodsvc_store_give_up(job, group, FOODSVC_STORE_UNAVAILABLE, FOODSVC_NO_MEMORY);
        return;
    }
    if (write && order->claim_by[0] != '\0' && !(owed & foodsvc_order_owes(order))) {
        drop_claim(order);
    }
    for (i = 0; i < group->count; i++) {
        write = apply_claim(foodsvc_store_op(job, group, i), order, now) || write;
    }
    write = write || owes_since_is_wrong(job, group, order, doc);
    if (!write) {
        foodsvc_store_settle(job, group, FOODSVC_STORE_OK, "");
        return;
    }
    group->kind = FOODSVC_STORE_UPDATE;
    group->filter = condition_of(group->id, doc);
    group->write = update_of(&before, order, doc, job);
    if (group->filter == NULL || group->write == NULL) {
        foodsvc_store_settle(job, group, FOODSVC_STORE_FAILED, "the change doesn't fit into a document");
    }
}

static void change_result(foodsvc_store_job_t *job, foodsvc_store_group_t *group, size_t i, foodsvc_store_rc_e rc,
    const char *err)
{
    foodsvc_store_change_op_t  *op = foodsvc_store_op(job, group, i);
    foodsvc_order_t            *order = group->subject;

    if (rc == FOODSVC_STORE_OK) {
        op->claimed = op->claim_by != NULL && op->claim_by[0] != '\0' && strcmp(order->claim_by, op->claim_by) == 0;
        op->order = foodsvc_order_copy(order);
        if (op->order == NULL) {
            rc = FOODSVC_STORE_UNKNOWN;
            err = "no memory for the result";
        }
    }
    op->rc = rc;
    foodsvc_store_say(op->err, err);
}

static void free_order(void *order)
{
    foodsvc_order_free(order);
}

static const foodsvc_store_job_kind_t change_kind = {
    .collection = FOODSVC_ORDERS, .decide = change_decide, .result = change_result, .free = free_order
};

void foodsvc_store_orders_change(foodsvc_store_t *store, foodsvc_store_change_op_t *ops[], size_t nops)
{
    size_t  i;

    for (i = 0; i < nops; i++) {
        ops[i]->order = NULL;
        ops[i]->claimed = false;
    }
    foodsvc_store_run(store, &change_kind, (void **) ops, nops);
}
