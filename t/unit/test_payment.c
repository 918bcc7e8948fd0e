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
