/* The card company's callbacks: what each does in every state, and the marks that it leaves in the outbox. */
#include "payment.h"

/* It says nothing new but who the company will speak of: stored, without an event. */
static void a_pending_callback_stores_its_transaction(void **state)
{
    foodsvc_payment_change_t change = { .kind = FOODSVC_PAYMENT_CALLBACK, .status = FOODSVC_PENDING,
                                        .has_transaction_id = true };
    foodsvc_payment_t        payment = { .status = FOODSVC_PENDING };

    change.transaction_id.bytes[0] = 9;
    assert_int_equal(foodsvc_payment_decide(&payment, &change), FOODSVC_PAYMENT_WRITE);
    assert_int_equal(payment.status, FOODSVC_PENDING);
    assert_true(payment.has_transaction_id);
    assert_int_equal(payment.transaction_id.bytes[0], 9);
    assert_int_equal(payment.noutbox, 0);
    assert_int_equal(foodsvc_payment_decide(&payment, &change), FOODSVC_PAYMENT_NOTHING);
}

/*
 * The transaction of a refund is known by the answer to its request alone. A `pending` that is told of the charge, or
 * of an earlier refund, late or twice, must not take its place: then the refund's failure would not be known as such,
 * or an earlier one's would be taken for it.
 */
static void a_pending_callback_is_not_taken_for_the_open_refunds(void **state)
{
    foodsvc_payment_change_t pending = { .kind = FOODSVC_PAYMENT_CALLBACK, .status = FOODSVC_PENDING,
                                         .has_transaction_id = true };
    foodsvc_payment_change_t failed = { .kind = FOODSVC_PAYMENT_CALLBACK, .status = FOODSVC_PAY_FAILED,
                                        .has_transaction_id = true };
    foodsvc_payment_t        payment;

    pending.transaction_id.bytes[0] = failed.transaction_id.bytes[0] = 9;
    start(&payment, &PENDING_BACK);         /* its answer was lost */
    assert_int_equal(foodsvc_payment_decide(&payment, &pending), FOODSVC_PAYMENT_NOTHING);
    assert_int_equal(payment.transaction_id.bytes[0], 1);
    assert_int_equal(foodsvc_payment_decide(&payment, &failed), FOODSVC_PAYMENT_WAIT);
    start(&payment, &PENDING_TAKEN);        /* under another transaction */
    assert_int_equal(foodsvc_payment_decide(&payment, &pending), FOODSVC_PAYMENT_NOTHING);
    assert_int_equal(foodsvc_payment_decide(&payment, &failed), FOODSVC_PAYMENT_NOTHING);
    assert_int_equal(payment.status, FOODSVC_PENDING);
    failed.transaction_id.bytes[0] = 1;
    assert_int_equal(foodsvc_payment_decide(&payment, &failed), FOODSVC_PAYMENT_WRITE);
    assert_int_equal(payment.status, FOODSVC_PAY_PAID);
}

static void callbacks(void **state)
{
    static const struct {
        at_t                     at;
        foodsvc_payment_status_e status;
        bool                     moves;
    } cases[] = {
        { { FOODSVC_PENDING, false, true, false }, FOODSVC_PAY_PAID, true },
        { { FOODSVC_PENDING, false, true, false }, FOODSVC_PAY_FAILED, true },
        { { FOODSVC_PENDING, false, true, false }, FOODSVC_PAY_REIMBURSED, true },
        { { FOODSVC_PENDING, true, true, false }, FOODSVC_PAY_PAID, false },
        { { FOODSVC_PENDING, true, true, false }, FOODSVC_PAY_REIMBURSED, true },
        { { FOODSVC_PENDING, true, true, true }, FOODSVC_PAY_REIMBURSED, true },
        { { FOODSVC_PAY_FAILED, false, false, false }, FOODSVC_PENDING, false },
        { { FOODSVC_PAY_FAILED, false, false, false }, FOODSVC_PAY_PAID, true },
        { { FOODSVC_PAY_FAILED, false, false, false }, FOODSVC_PAY_FAILED, true },     /* no event told of it yet */
        { { FOODSVC_PAY_FAILED, false, true, false }, FOODSVC_PAY_FAILED, false },
        { { FOODSVC_PAY_FAILED, false, false, false }, FOODSVC_PAY_REIMBURSED, true },
        { { FOODSVC_PAY_PAID, false, true, false }, FOODSVC_PENDING, false },
        { { FOODSVC_PAY_PAID, false, true, false }, FOODSVC_PAY_PAID, false },
        { { FOODSVC_PAY_PAID, false, true, false }, FOODSVC_PAY_FAILED, false },
        { { FOODSVC_PAY_PAID, false, true, false }, FOODSVC_PAY_REIMBURSED, true },
        { { FOODSVC_PAY_REIMBURSED, false, true, false }, FOODSVC_PENDING, false },
        { { FOODSVC_PAY_REIMBURSED, false, true, false }, FOODSVC_PAY_PAID, false },
        { { FOODSVC_PAY_REIMBURSED, false, true, false }, FOODSVC_PAY_FAILED, false },
        { { FOODSVC_PAY_REIMBURSED, false, true, false }, FOODSVC_PAY_REIMBURSED, false },
    };

    for (size_t i = 0; i < COUNT(cases); i++) {
        foodsvc_payment_change_t change = { .kind = FOODSVC_PAYMENT_CALLBACK, .status = cases[i].status };
        at_t                     after = { cases[i].status, false, true, false };
        foodsvc_payment_t        payment;

        change.has_transaction_id = true;
        change.transaction_id.bytes[0] = 9;
        check(cases[i].at, change, cases[i].moves ? FOODSVC_PAYMENT_WRITE : FOODSVC_PAYMENT_NOTHING,
              cases[i].moves ? after : cases[i].at);
        if (cases[i].moves) {
            foodsvc_status_e event;

            start(&payment, &cases[i].at);
            foodsvc_payment_decide(&payment, &change);
            assert_int_equal(payment.transaction_id.bytes[0], 9);
            assert_int_equal(payment.noutbox, 1);
            assert_int_equal(strlen(payment.outbox[0].id), FOODSVC_UUID_TEXT);
            assert_true(foodsvc_payment_event(payment.status, &event));
            assert_int_equal(payment.outbox[0].status, event);
        }
    }
}

/*
 * A queue can lose what it has confirmed. Who asks for what the company has reported long ago has not heard of it: the
 * event is sent once more, not more often than the company would be asked, and never beside a mark that stands.
 */
static void an_event_that_got_lost_is_told_to_who_asks_again(void **state)
{
    static const struct {
        foodsvc_payment_change_e asks;
        at_t                     at;
        foodsvc_status_e         told;
    } cases[] = {
        { FOODSVC_PAYMENT_REQUESTED, { FOODSVC_PAY_PAID, false, true, false }, FOODSVC_PAYMENT_PAID },
        { FOODSVC_PAYMENT_REQUESTED, { FOODSVC_PAY_FAILED, false, true, false }, FOODSVC_PAYMENT_FAILED },
        { FOODSVC_PAYMENT_REQUESTED, { FOODSVC_PAY_REIMBURSED, false, true, false }, FOODSVC_REIMBURSED },
        { FOODSVC_PAYMENT_REIMBURSE, { FOODSVC_PAY_REIMBURSED, false, true, false }, FOODSVC_REIMBURSED },
    };

    for (size_t i = 0; i < COUNT(cases); i++) {
        foodsvc_payment_change_t change = ask(cases[i].asks);
        foodsvc_payment_t        payment;

        start(&payment, &cases[i].at);
        payment.created = payment.asked = NOW - WAIT + 1;
        assert_int_equal(foodsvc_payment_decide(&payment, &change), FOODSVC_PAYMENT_NOTHING);
        assert_int_equal(payment.noutbox, 0);
        change.when++;
        assert_int_equal(foodsvc_payment_decide(&payment, &change), FOODSVC_PAYMENT_TELL);
        assert_int_equal(payment.noutbox, 1);
        assert_int_equal(payment.outbox[0].status, cases[i].told);
        assert_true(payment.outbox[0].when == change.when);
        assert_int_equal(payment.status, cases[i].at.status);
        assert_int_equal(payment.attempt_by[0], '\0');
        change.when += WAIT;                                        /* the mark is its: who relays it is late */
        assert_int_equal(foodsvc_payment_decide(&payment, &change), FOODSVC_PAYMENT_NOTHING);
        payment.noutbox = 0;
        change.when--;
        assert_int_equal(foodsvc_payment_decide(&payment, &change), FOODSVC_PAYMENT_NOTHING);
        change.when++;
        assert_int_equal(foodsvc_payment_decide(&payment, &change), FOODSVC_PAYMENT_TELL);
        payment.noutbox = 0;
        change.when += 2 * WAIT - 1;                                /* more and more seldom: nobody may be listening */
        assert_int_equal(foodsvc_payment_decide(&payment, &change), FOODSVC_PAYMENT_NOTHING);
        change.when++;
        assert_int_equal(foodsvc_payment_decide(&payment, &change), FOODSVC_PAYMENT_TELL);
        payment.noutbox = 0;
        payment.created = 0;
        change.when += 3600000 - 1;                                 /* at last once in an hour */
        assert_int_equal(foodsvc_payment_decide(&payment, &change), FOODSVC_PAYMENT_NOTHING);
        change.when++;
        assert_int_equal(foodsvc_payment_decide(&payment, &change), FOODSVC_PAYMENT_TELL);
        payment.noutbox = 0;
        change.callback_wait_ms = 0;
        change.when += 3600000;
        assert_int_equal(foodsvc_payment_decide(&payment, &change), FOODSVC_PAYMENT_NOTHING);
    }
}

static void a_callback_without_an_id_keeps_the_one_there_is(void **state)
{
    foodsvc_payment_change_t change = { .kind = FOODSVC_PAYMENT_CALLBACK, .status = FOODSVC_PAY_PAID };
    foodsvc_payment_t        payment;

    start(&payment, &PENDING);
    assert_int_equal(foodsvc_payment_decide(&payment, &change), FOODSVC_PAYMENT_WRITE);
    assert_int_equal(payment.transaction_id.bytes[0], 1);

    change.kind = (foodsvc_payment_change_e) 99;
    assert_int_equal(foodsvc_payment_decide(&payment, &change), FOODSVC_PAYMENT_NOTHING);
}

/* An event that has not been sent stays, and a newer one goes behind it. */
static void each_callback_adds_its_mark(void **state)
{
    const foodsvc_payment_status_e told[] = { FOODSVC_PAY_FAILED, FOODSVC_PAY_PAID, FOODSVC_PAY_REIMBURSED };
    const foodsvc_status_e         events[] = { FOODSVC_PAYMENT_FAILED, FOODSVC_PAYMENT_PAID, FOODSVC_REIMBURSED };
    foodsvc_payment_t              payment = { .status = FOODSVC_PENDING };

    for (size_t i = 0; i < COUNT(told); i++) {
        foodsvc_payment_change_t change = { .kind = FOODSVC_PAYMENT_CALLBACK, .status = told[i],
                                            .has_transaction_id = true, .when = 1000 + (int64_t) i };

        assert_int_equal(foodsvc_payment_decide(&payment, &change), FOODSVC_PAYMENT_WRITE);
        assert_int_equal(foodsvc_payment_decide(&payment, &change), FOODSVC_PAYMENT_NOTHING);
        assert_int_equal(payment.noutbox, i + 1);
    }
    for (size_t i = 0; i < COUNT(told); i++) {
        assert_int_equal(payment.outbox[i].status, events[i]);
        assert_int_equal(payment.outbox[i].when, 1000 + i);
    }
    assert_string_not_equal(payment.outbox[0].id, payment.outbox[1].id);
}

/* Whatever somebody else wrote as the number of refused refunds: only a refusal more goes untold. */
static void a_payment_is_told_however_often_refunds_were_refused(void **state)
{
    foodsvc_payment_t        payment = { .status = FOODSVC_PENDING, .reimburse_refused = 1000 };
    foodsvc_payment_change_t change = { .kind = FOODSVC_PAYMENT_CALLBACK, .status = FOODSVC_PAY_PAID, .when = 99 };

    assert_int_equal(foodsvc_payment_decide(&payment, &change), FOODSVC_PAYMENT_WRITE);
    assert_int_equal(payment.noutbox, 1);
    assert_int_equal(payment.outbox[0].status, FOODSVC_PAYMENT_PAID);
}

static void a_full_outbox_loses_its_oldest_mark(void **state)
{
    foodsvc_payment_t        payment = { .status = FOODSVC_PENDING, .noutbox = FOODSVC_PAYMENT_MARKS };
    foodsvc_payment_change_t change = { .kind = FOODSVC_PAYMENT_CALLBACK, .status = FOODSVC_PAY_PAID, .when = 99 };

    for (size_t i = 0; i < FOODSVC_PAYMENT_MARKS; i++) {
        payment.outbox[i].when = (int64_t) i;
    }
    assert_int_equal(foodsvc_payment_decide(&payment, &change), FOODSVC_PAYMENT_WRITE);
    assert_int_equal(payment.noutbox, FOODSVC_PAYMENT_MARKS);
    assert_int_equal(payment.outbox[0].when, 1);
    assert_int_equal(payment.outbox[FOODSVC_PAYMENT_MARKS - 1].when, 99);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(callbacks),
        cmocka_unit_test(a_pending_callback_stores_its_transaction),
        cmocka_unit_test(a_pending_callback_is_not_taken_for_the_open_refunds),
        cmocka_unit_test(an_event_that_got_lost_is_told_to_who_asks_again),
        cmocka_unit_test(a_callback_without_an_id_keeps_the_one_there_is),
        cmocka_unit_test(each_callback_adds_its_mark),
        cmocka_unit_test(a_payment_is_told_however_often_refunds_were_refused),
        cmocka_unit_test(a_full_outbox_loses_its_oldest_mark),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
