/*
 * Payments for the store's tests, and the ops that move them.
 */
#ifndef STORE_PAYMENTS_H
#define STORE_PAYMENTS_H

#include "store_stage.h"

static inline foodsvc_payment_t *new_payment(const char *id)
{
    foodsvc_payment_t *payment = foodsvc_payment_new();

    assert_non_null(payment);
    payment->id = strdup(id);
    assert_true(foodsvc_metadata_set(&payment->metadata, FOODSVC_ORDER_SERVICE, id, "c"));
    payment->created = foodsvc_time_now();
    return payment;
}

static inline foodsvc_store_payment_op_t payment_op(const char *id, foodsvc_payment_change_e kind)
{
    foodsvc_store_payment_op_t op = { .id = id, .change = { .kind = kind, .when = foodsvc_time_now() } };

    if (kind == FOODSVC_PAYMENT_ACCEPTED || kind == FOODSVC_PAYMENT_CALLBACK) {
        op.change.has_transaction_id = true;
        foodsvc_uuid_v4(&op.change.transaction_id);
    }
    return op;
}

static inline foodsvc_store_payment_op_t callback_op(const char *id, foodsvc_payment_status_e status)
{
    foodsvc_store_payment_op_t op = payment_op(id, FOODSVC_PAYMENT_CALLBACK);

    op.change.status = status;
    return op;
}

static inline void run(foodsvc_store_payment_op_t *op)
{
    foodsvc_store_payment_op_t *ops[1] = { op };

    foodsvc_store_payments_change(store, ops, 1);
}

static inline void done(foodsvc_store_payment_op_t *op)
{
    foodsvc_payment_free(op->payment);
    op->payment = NULL;
}

static inline void run_done(foodsvc_store_payment_op_t *op)
{
    run(op);
    assert_int_equal(op->rc, FOODSVC_STORE_OK);
    done(op);
}

/* A payment that is asked for, taken by the company, and paid. */
static inline void paid_payment(char id[FOODSVC_UUID_TEXT + 1])
{
    foodsvc_payment_t           *fresh;
    foodsvc_store_payment_op_t   op;

    new_id(id);
    fresh = new_payment(id);
    op = payment_op(id, FOODSVC_PAYMENT_REQUESTED);
    op.insert = fresh;
    run_done(&op);
    op = payment_op(id, FOODSVC_PAYMENT_ACCEPTED);
    run_done(&op);
    op = callback_op(id, FOODSVC_PAY_PAID);
    run_done(&op);
    foodsvc_payment_free(fresh);
}

#endif
