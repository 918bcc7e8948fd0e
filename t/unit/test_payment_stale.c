/* For how long the card company may be asked again with one key (foodsvc_payment_stale()). */
#include "payment.h"

#define LIFE    INT64_C(82800000)

/* Asks for what is pending, `after` ms after the first attempt of all. */
static foodsvc_payment_verdict_e ask_after(foodsvc_payment_t *payment, int64_t after)
{
    foodsvc_payment_change_t change = ask(payment->reimburse ? FOODSVC_PAYMENT_REIMBURSE : FOODSVC_PAYMENT_REQUESTED);

    change.when += after;
    change.key_life_ms = LIFE;
    return foodsvc_payment_decide(payment, &change);
}

/* Begun at NOW, and then again and again without an answer, or taken without a callback. */
static void no_key_is_shown_that_may_be_forgotten(void **state)
{
    for (unsigned i = 0; i < 4; i++) {
        bool                     back = i & 1, taken = i & 2;
        foodsvc_payment_t        payment = { .status = back ? FOODSVC_PAY_PAID : FOODSVC_PENDING };
        foodsvc_payment_change_t begin = ask(back ? FOODSVC_PAYMENT_REIMBURSE : FOODSVC_PAYMENT_REQUESTED);

        begin.key_life_ms = LIFE;
        assert_int_equal(foodsvc_payment_decide(&payment, &begin), FOODSVC_PAYMENT_WRITE);
        assert_true(payment.ask_until == NOW + LIFE);
        payment.has_amount = true;
        payment.has_transaction_id = payment.reimburse_taken = taken;
        assert_int_equal(ask_after(&payment, LIFE / 2), FOODSVC_PAYMENT_WRITE);
        assert_int_equal(ask_after(&payment, LIFE - 1), FOODSVC_PAYMENT_WRITE);
        assert_false(foodsvc_payment_stale(&payment, NOW + LIFE - 1));
        assert_int_equal(ask_after(&payment, LIFE + WAIT), FOODSVC_PAYMENT_STALE);
        assert_true(foodsvc_payment_stale(&payment, NOW + LIFE));
        assert_true(payment.asked == NOW + LIFE - 1);
        assert_int_equal(payment.attempts, 3);
        if (taken) {        /* its callback is awaited like any */
            assert_int_equal(ask_after(&payment, LIFE + WAIT - 2), FOODSVC_PAYMENT_NOTHING);
        }
    }
}

/* The first attempt's clock was far ahead. */
static void no_clock_prolongs_it(void **state)
{
    foodsvc_payment_t payment = { .status = FOODSVC_PENDING, .has_amount = true, .attempts = 1,
                                  .ask_until = NOW + 9 * LIFE };

    assert_int_equal(ask_after(&payment, 0), FOODSVC_PAYMENT_WRITE);
    assert_true(payment.ask_until == NOW + LIFE);
}

/* A charge whose amount is not known yet was never asked for: CustomerService may be away for days. */
static void what_the_company_never_heard_is_not_stale(void **state)
{
    foodsvc_payment_t payment = { .status = FOODSVC_PENDING };

    assert_int_equal(ask_after(&payment, 0), FOODSVC_PAYMENT_WRITE);
    assert_int_equal(ask_after(&payment, LIFE), FOODSVC_PAYMENT_WRITE);
    assert_true(payment.ask_until == NOW + 2 * LIFE);
    payment.has_amount = true;
    assert_int_equal(ask_after(&payment, 2 * LIFE - 1), FOODSVC_PAYMENT_WRITE);
    assert_int_equal(ask_after(&payment, 2 * LIFE), FOODSVC_PAYMENT_STALE);
}

/* Refused is known: the next request is the first one again. A callback ends it, too. */
static void a_new_request_has_its_own_time(void **state)
{
    foodsvc_payment_change_t refused = ask(FOODSVC_PAYMENT_REFUSED);
    foodsvc_payment_change_t paid = { .kind = FOODSVC_PAYMENT_CALLBACK, .status = FOODSVC_PAY_PAID, .when = NOW };
    foodsvc_payment_t        payment = { .status = FOODSVC_PENDING };

    ask_after(&payment, 0);
    payment.has_amount = true;
    refused.asked = true;
    assert_int_equal(foodsvc_payment_decide(&payment, &refused), FOODSVC_PAYMENT_WRITE);
    assert_int_equal(payment.ask_until, 0);
    assert_int_equal(ask_after(&payment, LIFE), FOODSVC_PAYMENT_WRITE);
    assert_true(payment.ask_until == NOW + 2 * LIFE);
    assert_int_equal(foodsvc_payment_decide(&payment, &paid), FOODSVC_PAYMENT_WRITE);
    assert_int_equal(payment.ask_until, 0);
    assert_false(foodsvc_payment_stale(&payment, NOW + 3 * LIFE));
}

/*
 * The first attempt was not answered, and may have been carried out; the next ones are refused by something before it
 * (a key of ours that ran out, too many requests), day after day. That says nothing of the first, nor gives it a new
 * time.
 */
static void a_refusal_does_not_put_back_the_clock(void **state)
{
    for (int i = 0; i < 4; i++) {
        bool                     back = i & 1, in_one = i & 2;      /* the first one was repeated in its attempt */
        foodsvc_payment_t        payment = { .status = back ? FOODSVC_PAY_PAID : FOODSVC_PENDING };
        foodsvc_payment_change_t begin = ask(back ? FOODSVC_PAYMENT_REIMBURSE : FOODSVC_PAYMENT_REQUESTED);
        foodsvc_payment_change_t refused = ask(FOODSVC_PAYMENT_REFUSED);
        foodsvc_payment_change_t told = { .kind = FOODSVC_PAYMENT_CALLBACK, .status = FOODSVC_PAY_FAILED,
                                          .has_transaction_id = true, .when = NOW + LIFE };

        begin.key_life_ms = LIFE;
        refused.asked = true;
        refused.refused = 400;
        refused.reimburse = back;
        payment.has_amount = true;
        assert_int_equal(foodsvc_payment_decide(&payment, &begin), FOODSVC_PAYMENT_WRITE);
        if (in_one) {
            refused.open = true;
            assert_int_equal(foodsvc_payment_decide(&payment, &refused), FOODSVC_PAYMENT_WRITE);
            refused.open = false;
        }
        for (int64_t after = LIFE / 4; after < LIFE; after += LIFE / 4) {
            begin.when = NOW + after;
            assert_int_equal(foodsvc_payment_decide(&payment, &begin), FOODSVC_PAYMENT_WRITE);
            assert_int_equal(foodsvc_payment_decide(&payment, &refused), FOODSVC_PAYMENT_WRITE);
            assert_int_equal(payment.status, back ? FOODSVC_PAY_PAID : FOODSVC_PAY_FAILED);
            assert_true(payment.ask_until == NOW + LIFE);
        }
        begin.when = NOW + LIFE;
        assert_int_equal(foodsvc_payment_decide(&payment, &begin), FOODSVC_PAYMENT_STALE);
        assert_true(foodsvc_payment_stale(&payment, NOW + LIFE));

        told.transaction_id.bytes[0] = 7;       /* a person has asked: it was never made */
        assert_int_equal(foodsvc_payment_decide(&payment, &told), FOODSVC_PAYMENT_WRITE);
        assert_int_equal(payment.status, back ? FOODSVC_PAY_PAID : FOODSVC_PAY_FAILED);
        assert_int_equal(payment.reimburse_refused, back);
        assert_int_equal(payment.ask_until, 0);
        assert_int_equal(foodsvc_payment_decide(&payment, &begin),
                         back ? FOODSVC_PAYMENT_WRITE : FOODSVC_PAYMENT_NOTHING);
    }
}

/* Another implementation asked for it, without our key. */
static void what_others_asked_for_is_not_asked_again(void **state)
{
    foodsvc_payment_t payment;

    start(&payment, &PENDING);
    payment.created = NOW - WAIT + 1;
    assert_int_equal(ask_after(&payment, 0), FOODSVC_PAYMENT_NOTHING);
    assert_int_equal(ask_after(&payment, 1), FOODSVC_PAYMENT_STALE);
    assert_int_equal(payment.attempts, 0);
}

/* However stale, what is reported counts; and a refund that a person says was not made is owed again. */
static void a_callback_ends_what_is_stale(void **state)
{
    static const foodsvc_payment_status_e told[] = { FOODSVC_PAY_PAID, FOODSVC_PAY_FAILED };
    foodsvc_payment_change_t              change = { .kind = FOODSVC_PAYMENT_CALLBACK, .has_transaction_id = true };
    foodsvc_payment_t                     payment;

    change.transaction_id.bytes[0] = 7;
    change.when = NOW + LIFE;
    for (size_t i = 0; i < COUNT(told); i++) {
        payment = (foodsvc_payment_t) { .status = FOODSVC_PENDING, .has_amount = true, .ask_until = NOW + LIFE };
        change.status = told[i];
        assert_int_equal(foodsvc_payment_decide(&payment, &change), FOODSVC_PAYMENT_WRITE);
        assert_int_equal(payment.status, told[i]);
    }
    start(&payment, &PENDING_BACK);
    payment.ask_until = NOW + LIFE + 1;
    assert_int_equal(foodsvc_payment_decide(&payment, &change), FOODSVC_PAYMENT_WAIT);
    payment.ask_until = NOW + LIFE;
    assert_int_equal(foodsvc_payment_decide(&payment, &change), FOODSVC_PAYMENT_WRITE);
    assert_int_equal(payment.status, FOODSVC_PAY_PAID);
    assert_int_equal(payment.reimburse_refused, 1);
    assert_int_equal(payment.outbox[0].status, FOODSVC_PAYMENT_PAID);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_key_is_shown_that_may_be_forgotten),
        cmocka_unit_test(no_clock_prolongs_it),
        cmocka_unit_test(what_the_company_never_heard_is_not_stale),
        cmocka_unit_test(a_new_request_has_its_own_time),
        cmocka_unit_test(a_refusal_does_not_put_back_the_clock),
        cmocka_unit_test(what_others_asked_for_is_not_asked_again),
        cmocka_unit_test(a_callback_ends_what_is_stale),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
