/* libfoodsvc/foodsvc_overdue.c: what is asked for again, whichever of report and event got lost, and what is not. */
#include "foodsvc_overdue.h"
#include "foodsvc_time.h"
#include "payment.h"

#define PAID_STEP   { FOODSVC_PAYMENT_PAID, 2 }
#define FAILED_STEP { FOODSVC_PAYMENT_FAILED, 3 }

static foodsvc_step_t cancelled_steps[] = { PAID_STEP, { FOODSVC_ORDER_CANCELLED, 4 } };
static foodsvc_step_t failed_steps[] = { FAILED_STEP };
static foodsvc_step_t late_steps[] = { FAILED_STEP, PAID_STEP };

static foodsvc_order_t order_at(foodsvc_status_e status, unsigned settled)
{
    foodsvc_order_t order = { .status = status, .settled = settled };

    if (status == FOODSVC_ORDER_CANCELLED) {
        order.updated = cancelled_steps;
        order.nupdated = 2;
    } else if (status == FOODSVC_PAYMENT_FAILED) {
        order.updated = failed_steps;
        order.nupdated = 1;
    }
    return order;
}

/* Asked for so many ms ago. */
static foodsvc_payment_t payment_at(at_t at, int64_t asked)
{
    foodsvc_payment_t payment;

    start(&payment, &at);
    payment.created = payment.asked = NOW - asked;
    payment.has_amount = true;
    payment.ask_until = at.status == FOODSVC_PENDING ? NOW + 1 : 0;
    return payment;
}

static foodsvc_overdue_e needs(at_t at, int64_t asked, foodsvc_status_e status, unsigned settled)
{
    foodsvc_payment_t payment = payment_at(at, asked);
    foodsvc_order_t   order = order_at(status, settled);

    return foodsvc_overdue(&payment, &order, NOW, WAIT);
}

#define LONG_AGO    (WAIT + 1)

static void a_refund_that_nobody_reported_is_asked_for_again(void **state)
{
    assert_int_equal(needs(PENDING_TAKEN, LONG_AGO, FOODSVC_ORDER_CANCELLED, FOODSVC_OWES_REIMBURSEMENT),
                     FOODSVC_OVERDUE_REFUND);
    assert_int_equal(needs(PENDING_BACK, LONG_AGO, FOODSVC_PAYMENT_FAILED, FOODSVC_OWES_REIMBURSEMENT),
                     FOODSVC_OVERDUE_REFUND);
    assert_int_equal(needs(PENDING_TAKEN, WAIT, FOODSVC_ORDER_CANCELLED, FOODSVC_OWES_REIMBURSEMENT),
                     FOODSVC_OVERDUE_SOON);
    assert_int_equal(needs(PENDING_TAKEN, -FOODSVC_TIME_AHEAD - 1, FOODSVC_ORDER_CANCELLED,
                           FOODSVC_OWES_REIMBURSEMENT), FOODSVC_OVERDUE_REFUND);
    /* it is owed: whoever serves the order asks */
    assert_int_equal(needs(PENDING_TAKEN, LONG_AGO, FOODSVC_ORDER_CANCELLED, 0), FOODSVC_OVERDUE_NOTHING);
    assert_int_equal(needs(PENDING_TAKEN, LONG_AGO, FOODSVC_REIMBURSED, 0), FOODSVC_OVERDUE_NOTHING);
    (void) state;
}

static void a_charge_that_nobody_reported_is_asked_for_again(void **state)
{
    assert_int_equal(needs(PENDING, LONG_AGO, FOODSVC_PAYMENT_FAILED, 0), FOODSVC_OVERDUE_CHARGE);
    assert_int_equal(needs(PENDING_NEW, LONG_AGO, FOODSVC_PAYMENT_FAILED, 0), FOODSVC_OVERDUE_CHARGE);
    assert_int_equal(needs(PENDING, LONG_AGO, FOODSVC_DRIVER_AVAILABLE, 0), FOODSVC_OVERDUE_CHARGE);
    assert_int_equal(needs(PENDING, LONG_AGO, FOODSVC_ORDER_CANCELLED, 0), FOODSVC_OVERDUE_CHARGE);
    assert_int_equal(needs(PENDING, WAIT, FOODSVC_PAYMENT_FAILED, 0), FOODSVC_OVERDUE_SOON);
    assert_int_equal(needs(PENDING, LONG_AGO, FOODSVC_CREATED, 0), FOODSVC_OVERDUE_NOTHING);     /* it owes it */
    (void) state;
}

static void an_event_that_got_lost_is_asked_for(void **state)
{
    foodsvc_payment_t payment = payment_at(REIMBURSED, LONG_AGO);
    foodsvc_order_t   order = order_at(FOODSVC_ORDER_CANCELLED, FOODSVC_OWES_REIMBURSEMENT);

    assert_int_equal(foodsvc_overdue(&payment, &order, NOW, WAIT), FOODSVC_OVERDUE_REFUND);
    payment.noutbox = 1;            /* it is not lost */
    assert_int_equal(foodsvc_overdue(&payment, &order, NOW, WAIT), FOODSVC_OVERDUE_SOON);
    assert_int_equal(needs(REIMBURSED, WAIT, FOODSVC_ORDER_CANCELLED, FOODSVC_OWES_REIMBURSEMENT),
                     FOODSVC_OVERDUE_SOON);
    assert_int_equal(needs(REIMBURSED, LONG_AGO, FOODSVC_PAYMENT_FAILED, FOODSVC_OWES_REIMBURSEMENT),
                     FOODSVC_OVERDUE_REFUND);
    /* failed, and paid after all, and that is what it has not heard */
    assert_int_equal(needs(PAID, LONG_AGO, FOODSVC_PAYMENT_FAILED, 0), FOODSVC_OVERDUE_CHARGE);
    assert_int_equal(needs(PAID, WAIT, FOODSVC_PAYMENT_FAILED, 0), FOODSVC_OVERDUE_SOON);
    /* it has heard */
    assert_int_equal(needs(REIMBURSED, LONG_AGO, FOODSVC_REIMBURSED, FOODSVC_OWES_REIMBURSEMENT),
                     FOODSVC_OVERDUE_NOTHING);
    assert_int_equal(needs(FAILED, LONG_AGO, FOODSVC_PAYMENT_FAILED, 0), FOODSVC_OVERDUE_NOTHING);
    assert_int_equal(needs(PAID, LONG_AGO, FOODSVC_DELIVERED, 0), FOODSVC_OVERDUE_NOTHING);
    order = order_at(FOODSVC_PAYMENT_FAILED, 0);
    order.updated = late_steps;
    order.nupdated = 2;
    payment = payment_at(PAID, LONG_AGO);
    assert_int_equal(foodsvc_overdue(&payment, &order, NOW, WAIT), FOODSVC_OVERDUE_NOTHING);
    (void) state;
}

static void a_refused_refund_is_asked_for_as_often_as_it_is_told(void **state)
{
    foodsvc_payment_t payment = payment_at(PAID, LONG_AGO);
    foodsvc_order_t   order = order_at(FOODSVC_ORDER_CANCELLED, FOODSVC_OWES_REIMBURSEMENT);

    payment.reimburse_refused = FOODSVC_PAYMENT_REFUNDS;
    assert_int_equal(foodsvc_overdue(&payment, &order, NOW, WAIT), FOODSVC_OVERDUE_REFUND);
    payment.reimburse_refused++;
    assert_int_equal(foodsvc_overdue(&payment, &order, NOW, WAIT), FOODSVC_OVERDUE_REFUSED);
    (void) state;
}

static void what_is_stale_nobody_asks_for(void **state)
{
    foodsvc_payment_t payment = payment_at(PENDING_TAKEN, LONG_AGO);
    foodsvc_order_t   order = order_at(FOODSVC_ORDER_CANCELLED, FOODSVC_OWES_REIMBURSEMENT);

    payment.ask_until = NOW;
    assert_int_equal(foodsvc_overdue(&payment, &order, NOW, WAIT), FOODSVC_OVERDUE_STALE);
    payment = payment_at(PENDING, LONG_AGO);
    payment.ask_until = NOW;
    order = order_at(FOODSVC_PAYMENT_FAILED, 0);
    assert_int_equal(foodsvc_overdue(&payment, &order, NOW, WAIT), FOODSVC_OVERDUE_STALE);
    payment = payment_at(PAID, LONG_AGO);       /* refused, and how an earlier request ended is open */
    payment.ask_until = NOW;
    order = order_at(FOODSVC_ORDER_CANCELLED, FOODSVC_OWES_REIMBURSEMENT);
    assert_int_equal(foodsvc_overdue(&payment, &order, NOW, WAIT), FOODSVC_OVERDUE_STALE);
    (void) state;
}

/* The Python original's: it keeps no `asked`, and shows the company no key, so to ask it again is another refund. */
static void what_another_payment_service_asked_for_is_not_asked_for_again(void **state)
{
    foodsvc_order_t   cancelled = order_at(FOODSVC_ORDER_CANCELLED, FOODSVC_OWES_REIMBURSEMENT);
    foodsvc_order_t   failed = order_at(FOODSVC_PAYMENT_FAILED, FOODSVC_OWES_NOTHING);
    foodsvc_payment_t payment = payment_at(REIMBURSED, LONG_AGO);

    payment.asked = 0;
    payment.has_amount = false;
    payment.has_transaction_id = true;
    assert_int_equal(foodsvc_overdue(&payment, &cancelled, NOW, WAIT), FOODSVC_OVERDUE_STALE);
    payment.status = FOODSVC_PAY_PAID;      /* it leaves it so until the company has called back */
    assert_int_equal(foodsvc_overdue(&payment, &cancelled, NOW, WAIT), FOODSVC_OVERDUE_STALE);
    assert_int_equal(foodsvc_overdue(&payment, &failed, NOW, WAIT), FOODSVC_OVERDUE_STALE);
    payment.status = FOODSVC_PENDING;
    assert_int_equal(foodsvc_overdue(&payment, &failed, NOW, WAIT), FOODSVC_OVERDUE_STALE);
    (void) state;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_refund_that_nobody_reported_is_asked_for_again),
        cmocka_unit_test(a_charge_that_nobody_reported_is_asked_for_again),
        cmocka_unit_test(an_event_that_got_lost_is_asked_for),
        cmocka_unit_test(a_refused_refund_is_asked_for_as_often_as_it_is_told),
        cmocka_unit_test(what_is_stale_nobody_asks_for),
        cmocka_unit_test(what_another_payment_service_asked_for_is_not_asked_for_again),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
