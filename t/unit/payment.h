/*
 * The states of a payment that differ, and one change checked in one of them.
 */
#ifndef PAYMENT_H
#define PAYMENT_H

#include "unit.h"
#include "foodsvc_payment.h"

/* The states that differ: status, a reimbursement asked for, a transaction known. */
typedef struct {
    foodsvc_payment_status_e status;
    bool                     reimburse;
    bool                     transaction;
    bool                     taken;         /* the reimbursement, by the company */
} at_t;

static inline void start(foodsvc_payment_t *payment, const at_t *at)
{
    *payment = (foodsvc_payment_t) { .status = at->status, .reimburse = at->reimburse,
                                      .reimburse_taken = at->taken };
    payment->has_transaction_id = at->transaction;
    payment->transaction_id.bytes[0] = 1;
}

static inline void check(at_t at, foodsvc_payment_change_t change, foodsvc_payment_verdict_e verdict, at_t after)
{
    foodsvc_payment_t payment;

    start(&payment, &at);
    assert_int_equal(foodsvc_payment_decide(&payment, &change), verdict);
    assert_int_equal(payment.status, after.status);
    assert_int_equal(payment.reimburse, after.reimburse);
    assert_int_equal(payment.reimburse_taken, after.taken);
    assert_int_equal(payment.has_transaction_id, after.transaction);
    if (change.kind != FOODSVC_PAYMENT_CALLBACK || verdict != FOODSVC_PAYMENT_WRITE) {
        assert_int_equal(payment.noutbox, 0);
    }
}

#define PENDING_NEW     ((at_t) { FOODSVC_PENDING, false, false, false })
#define PENDING         ((at_t) { FOODSVC_PENDING, false, true, false })
#define PENDING_BACK    ((at_t) { FOODSVC_PENDING, true, true, false })
#define PENDING_TAKEN   ((at_t) { FOODSVC_PENDING, true, true, true })
#define PAID            ((at_t) { FOODSVC_PAY_PAID, false, true, false })
#define FAILED_NEW      ((at_t) { FOODSVC_PAY_FAILED, false, false, false })
#define FAILED          ((at_t) { FOODSVC_PAY_FAILED, false, true, false })
#define REIMBURSED      ((at_t) { FOODSVC_PAY_REIMBURSED, false, true, false })

#define ME      "0b9d3c5e-5a0c-4f43-9d52-2f1f6f3a0001"
#define OTHER   "0b9d3c5e-5a0c-4f43-9d52-2f1f6f3a0002"
#define NOW     INT64_C(1795429372053)
#define WAIT    120000

static inline foodsvc_payment_change_t ask(foodsvc_payment_change_e kind)
{
    return (foodsvc_payment_change_t) { .kind = kind, .by = ME, .when = NOW, .lease_ms = 15000,
                                        .callback_wait_ms = WAIT };
}

#endif
