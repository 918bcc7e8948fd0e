/* The payment's rule: every change in every state. */
#include "payment.h"

static void names_go_both_ways(void **state)
{
    static const char *const names[] = { "pending", "paymentPaid", "paymentFailed", "reimbursed" };
    foodsvc_payment_status_e status;
    foodsvc_status_e         event;

    for (int i = 0; i < FOODSVC_PAYMENT_STATUS_COUNT; i++) {
        assert_string_equal(foodsvc_payment_status_name((foodsvc_payment_status_e) i), names[i]);
        assert_true(foodsvc_payment_status_parse(names[i], strlen(names[i]), &status));
        assert_int_equal(status, i);
        assert_int_equal(foodsvc_payment_event(status, &event), i != FOODSVC_PENDING);
        if (i != FOODSVC_PENDING) {
            assert_string_equal(foodsvc_status_name(event), names[i]);
        }
    }
    assert_false(foodsvc_payment_status_parse("created", 7, &status));
    assert_false(foodsvc_payment_status_parse("pendinG", 7, &status));
    assert_string_equal(foodsvc_payment_status_name(FOODSVC_PAYMENT_STATUS_COUNT), "unknown");
}

static void requested(void **state)
{
    foodsvc_payment_change_t change = { .kind = FOODSVC_PAYMENT_REQUESTED };
    const at_t               paid_new = { FOODSVC_PAY_PAID, false, false, false };
    const at_t               back_new = { FOODSVC_PENDING, true, false, false };

    check(PENDING_NEW, change, FOODSVC_PAYMENT_WRITE, PENDING_NEW);
    check(PENDING, change, FOODSVC_PAYMENT_NOTHING, PENDING);
    check(PENDING_BACK, change, FOODSVC_PAYMENT_NOTHING, PENDING_BACK);
    check(back_new, change, FOODSVC_PAYMENT_NOTHING, back_new);
    check(FAILED_NEW, change, FOODSVC_PAYMENT_WRITE, PENDING_NEW);
    check(FAILED, change, FOODSVC_PAYMENT_NOTHING, FAILED);
    check(PAID, change, FOODSVC_PAYMENT_NOTHING, PAID);
    check(paid_new, change, FOODSVC_PAYMENT_NOTHING, paid_new);
    check(REIMBURSED, change, FOODSVC_PAYMENT_NOTHING, REIMBURSED);
}

static void reimburse(void **state)
{
    foodsvc_payment_change_t change = { .kind = FOODSVC_PAYMENT_REIMBURSE };

    check(PENDING, change, FOODSVC_PAYMENT_ILLEGAL, PENDING);
    check(PENDING_BACK, change, FOODSVC_PAYMENT_WRITE, PENDING_BACK);
    check(PENDING_TAKEN, change, FOODSVC_PAYMENT_NOTHING, PENDING_TAKEN);   /* a company that knows no keys pays once */
    check(PAID, change, FOODSVC_PAYMENT_WRITE, PENDING_BACK);
    check(FAILED, change, FOODSVC_PAYMENT_ILLEGAL, FAILED);
    check(REIMBURSED, change, FOODSVC_PAYMENT_NOTHING, REIMBURSED);
}

/* --- attempts: one at a time --- */

/* A payment that another asks the company for, until `until`. */
static foodsvc_payment_t held(bool reimburse_it, int64_t until)
{
    foodsvc_payment_t payment = { .status = FOODSVC_PENDING, .reimburse = reimburse_it, .attempt_by = OTHER,
                                  .attempt_until = until, .asked = NOW - 5, .attempts = 1 };

    return payment;
}

static void one_attempt_at_a_time(void **state)
{
    static const foodsvc_payment_change_e kinds[] = { FOODSVC_PAYMENT_REQUESTED, FOODSVC_PAYMENT_REIMBURSE };

    for (size_t i = 0; i < COUNT(kinds); i++) {
        foodsvc_payment_change_t change = ask(kinds[i]);
        foodsvc_payment_t        payment = held(i == 1, NOW + 1);

        assert_int_equal(foodsvc_payment_decide(&payment, &change), FOODSVC_PAYMENT_WAIT);
        assert_string_equal(payment.attempt_by, OTHER);
        assert_int_equal(payment.attempts, 1);

        payment = held(i == 1, NOW);                                /* it has expired */
        assert_int_equal(foodsvc_payment_decide(&payment, &change), FOODSVC_PAYMENT_WRITE);
        assert_string_equal(payment.attempt_by, ME);
        assert_true(payment.attempt_until == NOW + 15000);
        assert_true(payment.asked == NOW);
        assert_int_equal(payment.attempts, 2);

        payment = held(i == 1, NOW + FOODSVC_PAYMENT_LEASE + 1);    /* a clock was wrong */
        assert_int_equal(foodsvc_payment_decide(&payment, &change), FOODSVC_PAYMENT_WRITE);

        payment = held(i == 1, NOW + 1);                            /* it is ours: the write was repeated */
        memcpy(payment.attempt_by, ME, sizeof(ME));
        assert_int_equal(foodsvc_payment_decide(&payment, &change), FOODSVC_PAYMENT_WRITE);

        change.lease_ms = 2 * FOODSVC_PAYMENT_LEASE;
        assert_int_equal(foodsvc_payment_decide(&payment, &change), FOODSVC_PAYMENT_WRITE);
        assert_true(payment.attempt_until == NOW + FOODSVC_PAYMENT_LEASE);
    }
}

/* Whoever else wrote the document. */
static void what_is_paid_for_is_no_refund(void **state)
{
    foodsvc_payment_change_t change = ask(FOODSVC_PAYMENT_REQUESTED);
    foodsvc_payment_t        payment = { .status = FOODSVC_PAY_FAILED, .reimburse = true };

    assert_int_equal(foodsvc_payment_decide(&payment, &change), FOODSVC_PAYMENT_WRITE);
    assert_int_equal(payment.status, FOODSVC_PENDING);
    assert_false(payment.reimburse);
}

static void who_waited_hears_what_the_other_heard(void **state)
{
    foodsvc_payment_change_t change = ask(FOODSVC_PAYMENT_REQUESTED);
    foodsvc_payment_t        payment = { .status = FOODSVC_PAY_FAILED, .refused = 400 };

    change.waited = true;
    assert_int_equal(foodsvc_payment_decide(&payment, &change), FOODSVC_PAYMENT_NOTHING);
    change.waited = false;
    assert_int_equal(foodsvc_payment_decide(&payment, &change), FOODSVC_PAYMENT_WRITE);
    assert_int_equal(payment.refused, 0);

    change = ask(FOODSVC_PAYMENT_REIMBURSE);
    payment = (foodsvc_payment_t) { .status = FOODSVC_PAY_PAID, .refused = 500 };
    change.waited = true;
    assert_int_equal(foodsvc_payment_decide(&payment, &change), FOODSVC_PAYMENT_NOTHING);
    payment.refused = 0;
    assert_int_equal(foodsvc_payment_decide(&payment, &change), FOODSVC_PAYMENT_WRITE);
}

/* --- how long it may be asked again --- */

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

/* What the company has taken is not asked for again, but when its callback should have come long ago. */
static void a_lost_callback(void **state)
{
    static const struct {
        int64_t asked, created;
        bool    overdue;
    } cases[] = {
        { NOW - WAIT + 1, 0, false },
        { NOW - WAIT, 0, true },
        { NOW + WAIT, 0, false },
        { NOW + FOODSVC_PAYMENT_LEASE + 1, 0, true },       /* a clock was wrong */
        { 0, NOW - WAIT + 1, false },                       /* asked by somebody else */
    };

    for (size_t i = 0; i < 2 * COUNT(cases); i++) {
        bool                     back = i % 2 == 1;
        foodsvc_payment_change_t change = ask(back ? FOODSVC_PAYMENT_REIMBURSE : FOODSVC_PAYMENT_REQUESTED);
        foodsvc_payment_t        payment;

        start(&payment, back ? &PENDING_TAKEN : &PENDING);
        payment.asked = cases[i / 2].asked;
        payment.created = cases[i / 2].created;
        assert_int_equal(foodsvc_payment_decide(&payment, &change),
                         cases[i / 2].overdue ? FOODSVC_PAYMENT_WRITE : FOODSVC_PAYMENT_NOTHING);
        if (cases[i / 2].overdue) {
            assert_int_equal(foodsvc_payment_decide(&payment, &change), FOODSVC_PAYMENT_NOTHING);
        }
    }
}

static void the_amount_is_the_first_one(void **state)
{
    foodsvc_payment_change_t change = ask(FOODSVC_PAYMENT_AMOUNT);
    foodsvc_payment_t        payment = held(false, NOW + 1);

    change.amount = 6.25;
    assert_int_equal(foodsvc_payment_decide(&payment, &change), FOODSVC_PAYMENT_WAIT);
    assert_false(payment.has_amount);
    memcpy(payment.attempt_by, ME, sizeof(ME));
    assert_int_equal(foodsvc_payment_decide(&payment, &change), FOODSVC_PAYMENT_WRITE);
    change.amount = 7;
    assert_int_equal(foodsvc_payment_decide(&payment, &change), FOODSVC_PAYMENT_PROCEED);
    assert_true(payment.has_amount && payment.amount == 6.25);
    payment.status = FOODSVC_PAY_PAID;
    assert_int_equal(foodsvc_payment_decide(&payment, &change), FOODSVC_PAYMENT_NOTHING);
}

static void an_attempt_ends(void **state)
{
    foodsvc_payment_change_t change = ask(FOODSVC_PAYMENT_RELEASED);
    foodsvc_payment_t        payment = held(false, NOW + 1);

    assert_int_equal(foodsvc_payment_decide(&payment, &change), FOODSVC_PAYMENT_NOTHING);
    memcpy(payment.attempt_by, ME, sizeof(ME));
    assert_int_equal(foodsvc_payment_decide(&payment, &change), FOODSVC_PAYMENT_WRITE);
    assert_string_equal(payment.attempt_by, "");
    assert_int_equal(foodsvc_payment_decide(&payment, &change), FOODSVC_PAYMENT_NOTHING);

    change = ask(FOODSVC_PAYMENT_ACCEPTED);
    change.has_transaction_id = true;
    payment = held(false, NOW + 1);
    assert_int_equal(foodsvc_payment_decide(&payment, &change), FOODSVC_PAYMENT_WRITE);     /* taken all the same */
    assert_string_equal(payment.attempt_by, OTHER);
    memcpy(payment.attempt_by, ME, sizeof(ME));
    assert_int_equal(foodsvc_payment_decide(&payment, &change), FOODSVC_PAYMENT_WRITE);     /* the same id again */
    assert_string_equal(payment.attempt_by, "");

    change = (foodsvc_payment_change_t) { .kind = FOODSVC_PAYMENT_CALLBACK, .status = FOODSVC_PAY_PAID };
    payment = held(false, NOW + 1);
    assert_int_equal(foodsvc_payment_decide(&payment, &change), FOODSVC_PAYMENT_WRITE);
    assert_string_equal(payment.attempt_by, "");
    assert_int_equal(payment.attempts, 0);
}

/* What only our own attempt ran into says nothing of an earlier one, which may have been charged. */
static void refused_attempts(void **state)
{
    foodsvc_payment_change_t change = ask(FOODSVC_PAYMENT_REFUSED);
    foodsvc_payment_t        payment = held(false, NOW + 1);

    change.refused = 500;
    assert_int_equal(foodsvc_payment_decide(&payment, &change), FOODSVC_PAYMENT_WAIT);
    payment.attempt_until = NOW;
    assert_int_equal(foodsvc_payment_decide(&payment, &change), FOODSVC_PAYMENT_NOTHING);

    memcpy(payment.attempt_by, ME, sizeof(ME));
    payment.attempts = 2;
    payment.has_amount = true;                                      /* which is stored before the company is asked */
    assert_int_equal(foodsvc_payment_decide(&payment, &change), FOODSVC_PAYMENT_WRITE);
    assert_int_equal(payment.status, FOODSVC_PENDING);
    assert_string_equal(payment.attempt_by, "");
    assert_int_equal(payment.refused, 0);

    memcpy(payment.attempt_by, ME, sizeof(ME));
    change.asked = true;                                            /* the company itself says no */
    assert_int_equal(foodsvc_payment_decide(&payment, &change), FOODSVC_PAYMENT_WRITE);
    assert_int_equal(payment.status, FOODSVC_PAY_FAILED);
    assert_int_equal(payment.refused, 500);

    payment = held(false, NOW + 1);
    memcpy(payment.attempt_by, ME, sizeof(ME));
    payment.attempts = 2;                                           /* the first died with CustomerService not done */
    change.asked = false;
    assert_int_equal(foodsvc_payment_decide(&payment, &change), FOODSVC_PAYMENT_WRITE);
    assert_int_equal(payment.status, FOODSVC_PAY_FAILED);
    assert_int_equal(payment.refused, 500);
    change.asked = true;

    start(&payment, &PENDING);                                      /* to what it has taken: its callback decides */
    memcpy(payment.attempt_by, ME, sizeof(ME));
    assert_int_equal(foodsvc_payment_decide(&payment, &change), FOODSVC_PAYMENT_WRITE);
    assert_int_equal(payment.status, FOODSVC_PENDING);
    assert_string_equal(payment.attempt_by, "");
}

static void a_reimbursement_that_the_company_refuses_is_owed_again(void **state)
{
    foodsvc_payment_change_t change = { .kind = FOODSVC_PAYMENT_CALLBACK, .status = FOODSVC_PAY_FAILED,
                                        .has_transaction_id = true };
    foodsvc_payment_t        payment;

    change.transaction_id.bytes[0] = 2;                             /* an older refund's, again */
    check(PENDING_TAKEN, change, FOODSVC_PAYMENT_NOTHING, PENDING_TAKEN);
    check(PENDING_BACK, change, FOODSVC_PAYMENT_WAIT, PENDING_BACK);     /* faster than the answer that names it */
    change.transaction_id.bytes[0] = 1;
    check(PENDING_BACK, change, FOODSVC_PAYMENT_NOTHING, PENDING_BACK);  /* the charge's, late */
    check(PENDING_TAKEN, change, FOODSVC_PAYMENT_WRITE, PAID);

    start(&payment, &PENDING_TAKEN);
    for (unsigned i = 1; i <= FOODSVC_PAYMENT_REFUNDS + 1; i++) {
        payment.status = FOODSVC_PENDING;
        payment.reimburse = payment.reimburse_taken = true;
        assert_int_equal(foodsvc_payment_decide(&payment, &change), FOODSVC_PAYMENT_WRITE);
        assert_int_equal(payment.status, FOODSVC_PAY_PAID);
        assert_int_equal(payment.reimburse_refused, i);
        assert_int_equal(payment.noutbox, i < FOODSVC_PAYMENT_REFUNDS ? i : FOODSVC_PAYMENT_REFUNDS);
        assert_int_equal(payment.outbox[payment.noutbox - 1].status, FOODSVC_PAYMENT_PAID);
        assert_int_equal(foodsvc_payment_decide(&payment, &change), FOODSVC_PAYMENT_NOTHING);   /* a repeat */
    }
}

static void accepted(void **state)
{
    foodsvc_payment_change_t change = { .kind = FOODSVC_PAYMENT_ACCEPTED };
    foodsvc_payment_t        payment;

    check(PENDING_NEW, change, FOODSVC_PAYMENT_NOTHING,
          PENDING_NEW);       /* without an id there is nothing to store */
    change.has_transaction_id = true;
    change.transaction_id.bytes[0] = 1;
    check(PENDING_NEW, change, FOODSVC_PAYMENT_WRITE, PENDING);
    check(PENDING, change, FOODSVC_PAYMENT_NOTHING, PENDING);
    check(PAID, change, FOODSVC_PAYMENT_NOTHING, PAID);                     /* the callback was faster */

    change.transaction_id.bytes[0] = 2;
    check(PENDING_BACK, change, FOODSVC_PAYMENT_NOTHING, PENDING_BACK);     /* late, of the charge */
    change.reimburse = true;
    check(PENDING, change, FOODSVC_PAYMENT_NOTHING, PENDING);
    start(&payment, &PENDING_BACK);
    assert_int_equal(foodsvc_payment_decide(&payment, &change), FOODSVC_PAYMENT_WRITE);
    assert_int_equal(payment.transaction_id.bytes[0], 2);
    assert_true(payment.reimburse_taken);
    assert_int_equal(foodsvc_payment_decide(&payment, &change), FOODSVC_PAYMENT_NOTHING);
    start(&payment, &PENDING_BACK);
    payment.reimburse_refused = 1;
    assert_int_equal(foodsvc_payment_decide(&payment, &change), FOODSVC_PAYMENT_NOTHING);   /* of the refund before */
    change.has_transaction_id = false;      /* its callback could not be told from the charge's */
    check(PENDING_BACK, change, FOODSVC_PAYMENT_NOTHING, PENDING_BACK);
}

/* The charge's failure, told again, is not the refund's, though the company named no transaction for that. */
static void a_refund_without_a_transaction_is_made_once(void **state)
{
    foodsvc_payment_change_t accepted = { .kind = FOODSVC_PAYMENT_ACCEPTED, .reimburse = true };
    foodsvc_payment_change_t failed = { .kind = FOODSVC_PAYMENT_CALLBACK, .status = FOODSVC_PAY_FAILED,
                                        .has_transaction_id = true };
    foodsvc_payment_t        payment;

    failed.transaction_id.bytes[0] = 1;
    start(&payment, &PENDING_BACK);
    foodsvc_payment_decide(&payment, &accepted);
    assert_int_equal(foodsvc_payment_decide(&payment, &failed), FOODSVC_PAYMENT_NOTHING);
    assert_int_equal(payment.status, FOODSVC_PENDING);
    assert_int_equal(payment.reimburse_refused, 0);
}

static void refused(void **state)
{
    foodsvc_payment_change_t change = { .kind = FOODSVC_PAYMENT_REFUSED };

    check(PENDING_NEW, change, FOODSVC_PAYMENT_WRITE, FAILED_NEW);
    check(PENDING, change, FOODSVC_PAYMENT_NOTHING, PENDING);       /* another request's was taken */
    check(PENDING_BACK, change, FOODSVC_PAYMENT_NOTHING, PENDING_BACK);
    check(PAID, change, FOODSVC_PAYMENT_NOTHING, PAID);
    check(FAILED, change, FOODSVC_PAYMENT_NOTHING, FAILED);
    check(REIMBURSED, change, FOODSVC_PAYMENT_NOTHING, REIMBURSED);
    change.reimburse = true;
    check(PENDING_NEW, change, FOODSVC_PAYMENT_NOTHING, PENDING_NEW);
    check(PENDING_BACK, change, FOODSVC_PAYMENT_WRITE, PAID);
    check(PENDING_TAKEN, change, FOODSVC_PAYMENT_NOTHING, PENDING_TAKEN);
}

static void memory(void **state)
{
    foodsvc_payment_t *payment = foodsvc_payment_new();

    payment->id = strdup("x");
    assert_true(foodsvc_metadata_set(&payment->metadata, "OrderService", "a", "b"));
    assert_string_equal(payment->metadata.receiver, "OrderService");
    assert_string_equal(payment->metadata.order_id, "a");
    assert_string_equal(payment->metadata.customer_id, "b");
    foodsvc_payment_free(payment);
    foodsvc_payment_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_go_both_ways),
        cmocka_unit_test(requested),
        cmocka_unit_test(reimburse),
        cmocka_unit_test(one_attempt_at_a_time),
        cmocka_unit_test(what_is_paid_for_is_no_refund),
        cmocka_unit_test(who_waited_hears_what_the_other_heard),
        cmocka_unit_test(no_key_is_shown_that_may_be_forgotten),
        cmocka_unit_test(no_clock_prolongs_it),
        cmocka_unit_test(what_the_company_never_heard_is_not_stale),
        cmocka_unit_test(a_new_request_has_its_own_time),
        cmocka_unit_test(a_refusal_does_not_put_back_the_clock),
        cmocka_unit_test(what_others_asked_for_is_not_asked_again),
        cmocka_unit_test(a_callback_ends_what_is_stale),
        cmocka_unit_test(a_lost_callback),
        cmocka_unit_test(the_amount_is_the_first_one),
        cmocka_unit_test(an_attempt_ends),
        cmocka_unit_test(refused_attempts),
        cmocka_unit_test(a_reimbursement_that_the_company_refuses_is_owed_again),
        cmocka_unit_test(accepted),
        cmocka_unit_test(a_refund_without_a_transaction_is_made_once),
        cmocka_unit_test(refused),
        cmocka_unit_test(memory),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
