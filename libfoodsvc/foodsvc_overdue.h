/*
 * What an order's payment waits for too long, when the order itself owes nothing for which PaymentService would be
 * asked: the card company's report, or an event that got lost on its way to the order. The one owner of that rule, for
 * whoever looks after what others left (sweepd, foodctl). Pure; any thread.
 *
 * What is asked for is asked for again with the same idempotency key, or PaymentService has the event sent once more
 * (FOODSVC_PAYMENT_TELL): nothing is charged or given back twice by it. What another implementation's PaymentService
 * has asked for is left alone: it may be the one that would be asked, and knows no keys.
 */
#ifndef FOODSVC_OVERDUE_H
#define FOODSVC_OVERDUE_H

#include "foodsvc_payment.h"

typedef enum {
    FOODSVC_OVERDUE_NOTHING = 0,    /* order and payment agree, or who does what the order owes asks */
    FOODSVC_OVERDUE_SOON,           /* the report, or the event, may still come by itself */
    FOODSVC_OVERDUE_STALE,          /* the company may not be asked again (foodsvc_payment_stale, _foreign) */
    FOODSVC_OVERDUE_REFUSED,        /* it has refused the refund so often that nobody asks by himself */
    FOODSVC_OVERDUE_CHARGE,         /* ask for the payment, without a claim: nothing of the order's changes by it */
    FOODSVC_OVERDUE_REFUND          /* store that the order is paid: it owes its refund again, and asks for it */
} foodsvc_overdue_e;

/* It was asked for, and begun, longer than wait_ms ago, or a wrong clock says when. */
bool foodsvc_payment_overdue(const foodsvc_payment_t *payment, int64_t now, int64_t wait_ms);

/* payment: the order's. wait_ms: how long a report and an event may take. */
foodsvc_overdue_e foodsvc_overdue(const foodsvc_payment_t *payment, const foodsvc_order_t *order, int64_t now,
    int64_t wait_ms);

#endif
