/*
 * What the fuzz targets share: the rules of orders and payments, asked of whatever was read.
 */
#include "fuzz.h"

#define OWES_ALL    (FOODSVC_OWES_PAYMENT | FOODSVC_OWES_DELIVERY | FOODSVC_OWES_KITCHEN | \
                     FOODSVC_OWES_DELIVERY_CANCEL | FOODSVC_OWES_REIMBURSEMENT)

static char *cache_text(const foodsvc_order_t *order, size_t *len, size_t *public_len)
{
    char *text = foodsvc_order_cache_json(order, len, public_len);

    MUST(text != NULL);
    MUST(*public_len < *len);
    return text;
}

static bool same_uuid(bool has_a, const foodsvc_uuid_t *a, bool has_b, const foodsvc_uuid_t *b)
{
    return has_a == has_b && (!has_a || memcmp(a, b, sizeof(*a)) == 0);
}

static void check_same(const foodsvc_order_t *a, const foodsvc_order_t *b)
{
    MUST(strcmp(a->id, b->id) == 0 && a->status == b->status && a->created == b->created);
    MUST(same_uuid(true, &a->customer_id, true, &b->customer_id));
    MUST(same_uuid(a->has_kitchen_id, &a->kitchen_id, b->has_kitchen_id, &b->kitchen_id));
    MUST(same_uuid(a->has_delivery_id, &a->delivery_id, b->has_delivery_id, &b->delivery_id));
    fuzz_same_items(a->items, a->nitems, b->items, b->nitems);
    MUST(a->nupdated == b->nupdated);
    for (size_t i = 0; i < a->nupdated; i++) {
        MUST(a->updated[i].status == b->updated[i].status && a->updated[i].when == b->updated[i].when);
    }
    MUST(a->settled == b->settled && a->claim_until == b->claim_until && strcmp(a->claim_by, b->claim_by) == 0);
    MUST((a->unknown == NULL) == (b->unknown == NULL) && (a->unknown == NULL || json_equal(a->unknown, b->unknown)));
}

/* --- an order's changes --- */

static void check_owes(const foodsvc_order_t *order)
{
    unsigned owes = foodsvc_order_owes(order);

    MUST((owes & ~(unsigned) OWES_ALL) == 0);
    MUST(!(owes & FOODSVC_OWES_PAYMENT) == (order->status != FOODSVC_CREATED));
    MUST(order->status != FOODSVC_DELIVERED || owes == FOODSVC_OWES_NOTHING);
    MUST(!(owes & FOODSVC_OWES_DELIVERY_CANCEL) || order->has_delivery_id);
    if (owes & FOODSVC_OWES_REIMBURSEMENT) {
        MUST(order->status == FOODSVC_ORDER_CANCELLED || order->status == FOODSVC_PAYMENT_FAILED);
        MUST(!(order->settled & FOODSVC_OWES_REIMBURSEMENT));
    }
}

/* What a verdict says was done, was done, and nothing else. */
static void check_verdict(const foodsvc_order_t *before, const foodsvc_order_t *after, const foodsvc_change_t *change,
    foodsvc_verdict_e verdict)
{
    switch (verdict) {
    case FOODSVC_APPLIED:
    case FOODSVC_EARLY:
        MUST(change->kind != FOODSVC_CHANGE_SETTLED);
        MUST(after->nupdated == before->nupdated + 1);
        MUST(after->updated[before->nupdated].status == after->status);
        MUST(after->updated[before->nupdated].when == change->when);
        MUST(after->status == (change->kind == FOODSVC_CHANGE_EVENT ? change->status : FOODSVC_ORDER_CANCELLED));
        MUST(!foodsvc_status_final(before->status));
        break;
    case FOODSVC_NOTED:
        MUST(after->status == before->status);
        MUST(after->nupdated - before->nupdated <= 1);
        break;
    default:
        check_same(before, after);
    }
    check_owes(after);
}

/* Decides a change on a copy; the same change once more has no effect. Returns the copy. */
static foodsvc_order_t *decide_twice(const foodsvc_order_t *order, const foodsvc_change_t *change)
{
    foodsvc_order_t   *copy = foodsvc_order_copy(order), *once;
    foodsvc_verdict_e  verdict;
    bool               ok;

    MUST(copy != NULL);
    check_same(order, copy);
    verdict = foodsvc_order_decide(copy, change, &ok);
    MUST(ok);
    MUST(verdict <= FOODSVC_REFUSED);
    check_verdict(order, copy, change, verdict);

    once = foodsvc_order_copy(copy);
    MUST(once != NULL);
    verdict = foodsvc_order_decide(copy, change, &ok);
    MUST(ok && (verdict == FOODSVC_DUPLICATE || verdict == FOODSVC_LATE || verdict == FOODSVC_REFUSED));
    check_same(once, copy);
    foodsvc_order_free(once);
    return copy;
}

/* By the customer or by an operator. */
static void check_cancel(const foodsvc_order_t *order, foodsvc_change_e kind)
{
    const foodsvc_change_t  cancel = { .kind = kind, .when = 1 };
    const foodsvc_change_t  settled = {
        .kind = FOODSVC_CHANGE_SETTLED, .settled = FOODSVC_OWES_DELIVERY_CANCEL | FOODSVC_OWES_REIMBURSEMENT
    };
    foodsvc_order_t        *after = decide_twice(order, &cancel), *paid_back;

    if (kind == FOODSVC_CHANGE_CANCEL) {
        MUST((after->status != order->status) == (order->status == FOODSVC_DELIVERY_SCHEDULED));
    } else {
        MUST(after->status == order->status || !order->has_kitchen_id);
    }
    if (after->status != order->status) {
        MUST(foodsvc_order_owes(after) & FOODSVC_OWES_REIMBURSEMENT || order->settled & FOODSVC_OWES_REIMBURSEMENT);
    }
    paid_back = decide_twice(after, &settled);
    MUST(!(foodsvc_order_owes(paid_back) & settled.settled));
    foodsvc_order_free(paid_back);
    foodsvc_order_free(after);
}

void fuzz_order(const foodsvc_order_t *order)
{
    /* a member that overflows into the next is nothing that a sanitizer sees */
    MUST(memchr(order->claim_by, '\0', sizeof(order->claim_by)) != NULL);
    MUST(strlen(order->id) == FOODSVC_UUID_TEXT);
    MUST(order->status < FOODSVC_STATUS_COUNT);
    for (size_t i = 0; i < order->nitems; i++) {
        MUST(order->items[i].quantity >= 1);
        MUST(fuzz_is_utf8(order->items[i].product, strlen(order->items[i].product)));
    }
    for (size_t i = 0; i < order->nupdated; i++) {
        MUST(order->updated[i].status < FOODSVC_STATUS_COUNT);
    }
    check_owes(order);
    for (int status = 0; status < FOODSVC_STATUS_COUNT; status++) {
        const foodsvc_change_t event = {
            .kind = FOODSVC_CHANGE_EVENT, .status = (foodsvc_status_e) status, .when = 1,
            .has_delivery_id = status % 2 == 0, .has_kitchen_id = status % 3 == 0
        };

        foodsvc_order_free(decide_twice(order, &event));
    }
    check_cancel(order, FOODSVC_CHANGE_CANCEL);
    check_cancel(order, FOODSVC_CHANGE_GIVE_UP);
}

void fuzz_same_items(const foodsvc_item_t *a, size_t na, const foodsvc_item_t *b, size_t nb)
{
    MUST(na == nb);
    for (size_t i = 0; i < na; i++) {
        MUST(strcmp(a[i].product, b[i].product) == 0 && a[i].quantity == b[i].quantity);
    }
}

/* --- an order's entry --- */

void fuzz_order_cache(const foodsvc_order_t *order)
{
    size_t           len, public_len, answer_len, again_len, again_public;
    char            *entry = cache_text(order, &len, &public_len), *answer, *again;
    char             err[FOODSVC_ERR];
    foodsvc_order_t *copy;

    json_decref(fuzz_json(entry, len));
    MUST(foodsvc_order_cache_public(entry, len, order->id) == public_len);
    MUST(foodsvc_order_cache_public(entry, public_len, order->id) == 0);
    answer = foodsvc_order_response_json(order, &answer_len);
    json_decref(fuzz_json(answer, answer_len));
    MUST(answer_len == public_len + 1 && memcmp(answer, entry, public_len) == 0);
    free(answer);

    copy = foodsvc_order_from_cache(entry, len, order->id, err);
    if (copy != NULL) {
        again = cache_text(copy, &again_len, &again_public);
        MUST(again_public == public_len && memcmp(again, entry, public_len) == 0);
        free(again);
        foodsvc_order_free(copy);
    } else {
        MUST(order->unknown != NULL);       /* what somebody else put there may be no JSON for us */
    }
    entry[public_len / 2] ^= 1;
    MUST(foodsvc_order_cache_public(entry, len, order->id) == 0);
    free(entry);
}

/* --- a payment's changes --- */

static void check_payment_change(const foodsvc_payment_t *payment, const foodsvc_payment_change_t *change)
{
    foodsvc_payment_t         *copy;
    foodsvc_payment_verdict_e  verdict;
    bson_t                     before = BSON_INITIALIZER, after = BSON_INITIALIZER;
    char                       err[FOODSVC_ERR];

    MUST(foodsvc_payment_to_bson(payment, &before));
    copy = foodsvc_payment_from_bson(&before, err);
    MUST(copy != NULL);
    verdict = foodsvc_payment_decide(copy, change);
    MUST(verdict <= FOODSVC_PAYMENT_ILLEGAL);
    MUST(copy->status < FOODSVC_PAYMENT_STATUS_COUNT);
    MUST(copy->noutbox <= FOODSVC_PAYMENT_MARKS);
    MUST(foodsvc_payment_to_bson(copy, &after));
    MUST(verdict == FOODSVC_PAYMENT_WRITE || verdict == FOODSVC_PAYMENT_TELL || bson_equal(&before, &after));

    /* Money once: no charge for what the company took or gave back, no refund of what was not paid. */
    if (verdict == FOODSVC_PAYMENT_WRITE && change->kind == FOODSVC_PAYMENT_REQUESTED) {
        MUST(!payment->has_transaction_id && copy->status == FOODSVC_PENDING && !copy->reimburse);
        MUST((payment->status == FOODSVC_PENDING && !payment->reimburse) || payment->status == FOODSVC_PAY_FAILED);
    }
    if (verdict == FOODSVC_PAYMENT_WRITE && change->kind == FOODSVC_PAYMENT_REIMBURSE) {
        MUST(copy->status == FOODSVC_PENDING && copy->reimburse && !copy->reimburse_taken);
        MUST(payment->status == FOODSVC_PAY_PAID || (payment->status == FOODSVC_PENDING && payment->reimburse));
    }
    MUST(!payment->has_amount || (copy->has_amount && copy->amount == payment->amount));
    if (payment->status == FOODSVC_PAY_REIMBURSED) {
        MUST(copy->status == FOODSVC_PAY_REIMBURSED);
    }
    if (change->kind == FOODSVC_PAYMENT_CALLBACK) {
        bool again = copy->reimburse_refused > payment->reimburse_refused       /* what the company refused is owed */
                     || payment->reimburse_refused == INT32_MAX;                /* as far as it is counted */

        MUST(copy->status == payment->status || copy->status == change->status
             || (again && copy->status == FOODSVC_PAY_PAID && payment->reimburse));
        /* stored with the event that tells of it */
        if (copy->status != payment->status && !(again && copy->reimburse_refused > FOODSVC_PAYMENT_REFUNDS)) {
            foodsvc_status_e event;

            MUST(foodsvc_payment_event(copy->status, &event));
            MUST(copy->noutbox > 0 && copy->outbox[copy->noutbox - 1].status == event);
        }
        MUST(foodsvc_payment_decide(copy, change) != FOODSVC_PAYMENT_WRITE);
    }
    bson_destroy(&before);
    bson_destroy(&after);
    foodsvc_payment_free(copy);
}

void fuzz_payment(const foodsvc_payment_t *payment)
{
    MUST(payment->id != NULL && payment->metadata.receiver != NULL);
    MUST(payment->metadata.order_id != NULL && payment->metadata.customer_id != NULL);
    MUST(payment->status < FOODSVC_PAYMENT_STATUS_COUNT);
    MUST(payment->noutbox <= FOODSVC_PAYMENT_MARKS);
    MUST(memchr(payment->attempt_by, '\0', sizeof(payment->attempt_by)) != NULL);
    for (size_t i = 0; i < payment->noutbox; i++) {
        MUST(memchr(payment->outbox[i].id, '\0', sizeof(payment->outbox[i].id)) != NULL);
        MUST(payment->outbox[i].id[0] != '\0' && payment->outbox[i].status < FOODSVC_STATUS_COUNT);
    }
    for (int kind = FOODSVC_PAYMENT_REQUESTED; kind <= FOODSVC_PAYMENT_CALLBACK; kind++) {
        for (int status = 0; status < FOODSVC_PAYMENT_STATUS_COUNT; status++) {
            const foodsvc_payment_change_t change = {
                .kind = (foodsvc_payment_change_e) kind, .status = (foodsvc_payment_status_e) status,
                .reimburse = status % 2 == 1, .has_transaction_id = true, .amount = 1,
                .transaction_id = status < 2 ? payment->transaction_id : (foodsvc_uuid_t) { { 0 } }
            };

            check_payment_change(payment, &change);
        }
    }
}
