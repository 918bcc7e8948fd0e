/*
 * The life of one order and of its payment: each byte of the input is something that happens. Whatever comes in
 * whatever order, the history is legal, and the money moves at most once each way.
 */
#include "fuzz.h"

static foodsvc_uuid_t some = { { 1 } };

/* The place on the happy path, to see that no order goes back on it. */
static void check_step(foodsvc_status_e before, foodsvc_status_e after, foodsvc_change_e kind)
{
    bool given_up = kind == FOODSVC_CHANGE_GIVE_UP;

    if (before == after) {
        return;
    }
    MUST(!foodsvc_status_final(before));
    if (after <= FOODSVC_DELIVERED) {
        MUST(before < after);
    }
    MUST((after == FOODSVC_ORDER_CANCELLED) == (kind == FOODSVC_CHANGE_CANCEL || given_up));
    MUST(kind != FOODSVC_CHANGE_CANCEL || before == FOODSVC_DELIVERY_SCHEDULED);
    MUST(!given_up || (before >= FOODSVC_PAYMENT_PAID && before <= FOODSVC_DRIVER_AVAILABLE));
    MUST(before != FOODSVC_ORDER_CANCELLED || after == FOODSVC_REIMBURSED);
    MUST(before != FOODSVC_PAYMENT_FAILED || after == FOODSVC_REIMBURSED);
}

static void order_byte(foodsvc_order_t *order, uint8_t byte)
{
    foodsvc_status_e  before = order->status;
    unsigned          owed = foodsvc_order_owes(order);
    foodsvc_change_t  change = { .when = 1, .kitchen_id = some, .delivery_id = some };
    bool              ok;

    if (byte < FOODSVC_STATUS_COUNT * 4) {
        change.kind = FOODSVC_CHANGE_EVENT;
        change.status = (foodsvc_status_e) (byte / 4);
        change.has_kitchen_id = byte & 1;
        change.has_delivery_id = byte & 2;
    } else if (byte < 0x80) {
        change.kind = byte & 1 ? FOODSVC_CHANGE_GIVE_UP : FOODSVC_CHANGE_CANCEL;
    } else {
        change.kind = FOODSVC_CHANGE_SETTLED;
        change.settled = byte & 0x1F;
    }
    MUST(foodsvc_order_decide(order, &change, &ok) <= FOODSVC_REFUSED);
    MUST(ok);
    check_step(before, order->status, change.kind);
    /* A refund that is owed stays owed until it was given or settled. */
    if (owed & FOODSVC_OWES_REIMBURSEMENT && !(foodsvc_order_owes(order) & FOODSVC_OWES_REIMBURSEMENT)) {
        MUST(order->status == FOODSVC_REIMBURSED || order->settled & FOODSVC_OWES_REIMBURSEMENT);
    }
}

static void live_order(const uint8_t *data, size_t size)
{
    foodsvc_order_t *order = foodsvc_order_new();

    MUST(order != NULL);
    memset(order->id, 'a', FOODSVC_UUID_TEXT);
    for (size_t i = 0; i < size; i++) {
        order_byte(order, data[i]);
    }
    fuzz_order(order);
    fuzz_order_cache(order);
    foodsvc_order_free(order);
}

/* What the card company did, told apart by what it was asked: PROCEED is a question. */
static void live_payment(const uint8_t *data, size_t size)
{
    foodsvc_payment_t *payment = foodsvc_payment_new();
    bool               paid = false, stale;
    unsigned           attempts;

    MUST(payment != NULL && (payment->id = strdup("an order")) != NULL);
    MUST(foodsvc_metadata_set(&payment->metadata, "r", "o", "c"));
    for (size_t i = 0; i < size; i++) {
        foodsvc_payment_change_t change = {
            .kind = (foodsvc_payment_change_e) (data[i] % (FOODSVC_PAYMENT_CALLBACK + 1)),
            .status = (foodsvc_payment_status_e) (data[i] / 8 % FOODSVC_PAYMENT_STATUS_COUNT),
            .reimburse = data[i] & 0x40, .has_transaction_id = data[i] & 0x80, .transaction_id = some, .amount = 6.25,
            .when = 1000 * (int64_t) i, .lease_ms = 3000, .callback_wait_ms = 5000, .key_life_ms = 12000
        };
        bool refunding = payment->reimburse, held = payment->attempt_by[0] != '\0'
            && payment->attempt_until > change.when;
        char holder[FOODSVC_UUID_TEXT + 1];

        change.by[0] = data[i] & 0x20 ? 'a' : 'b';
        memcpy(holder, payment->attempt_by, sizeof(holder));
        stale = foodsvc_payment_stale(payment, change.when);
        attempts = payment->attempts;
        foodsvc_payment_decide(payment, &change);
        MUST(!stale || payment->attempts <= attempts);
        /* one at a time */
        MUST(!held || payment->attempt_by[0] == '\0' || strcmp(payment->attempt_by, holder) == 0);
        paid = paid || payment->status == FOODSVC_PAY_PAID;
        MUST(refunding || !payment->reimburse || change.kind == FOODSVC_PAYMENT_REIMBURSE);
        MUST(!payment->reimburse || paid);
        MUST(!payment->reimburse_taken || payment->reimburse);
    }
    fuzz_payment(payment);
    foodsvc_payment_free(payment);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size > 48) {
        return 0;
    }
    live_order(data, size);
    live_payment(data, size);
    return 0;
}
