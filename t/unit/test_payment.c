/* The payment's rule: every change in every state. */
#include "unit.h"
#include "foodsvc_payment.h"

/* The states that differ: status, a reimbursement asked for, a transaction known. */
typedef struct {
    foodsvc_payment_status_e status;
    bool                     reimburse;
    bool                     transaction;
    bool                     taken;         /* the reimbursement, by the company */
} at_t;

static void start(foodsvc_payment_t *payment, const at_t *at)
{
    *payment = (foodsvc_payment_t) { .status = at->status, .reimburse = at->reimburse,
                                      .reimburse_taken = at->taken };
    payment->has_transaction_id = at->transaction;
    payment->transaction_id.bytes[0] = 1;
}

static void check(at_t at, foodsvc_payment_change_t change, foodsvc_payment_verdict_e verdict, at_t after)
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

#define PENDING_NEW     ((at_t) { FOODSVC_PENDING, false, false, false })
#define PENDING         ((at_t) { FOODSVC_PENDING, false, true, false })
#define PENDING_BACK    ((at_t) { FOODSVC_PENDING, true, true, false })
#define PENDING_TAKEN   ((at_t) { FOODSVC_PENDING, true, true, true })
#define PAID            ((at_t) { FOODSVC_PAY_PAID, false, true, false })
#define FAILED_NEW      ((at_t) { FOODSVC_PAY_FAILED, false, false, false })
#define FAILED          ((at_t) { FOODSVC_PAY_FAILED, false, true, false })
#define REIMBURSED      ((at_t) { FOODSVC_PAY_REIMBURSED, false, true, false })

static void requested(void **state)
{
    foodsvc_payment_change_t change = { .kind = FOODSVC_PAYMENT_REQUESTED };
    const at_t               paid_new = { FOODSVC_PAY_PAID, false, false, false };
    const at_t               back_new = { FOODSVC_PENDING, true, false, false };

    check(PENDING_NEW, change, FOODSVC_PAYMENT_PROCEED, PENDING_NEW);
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
    check(PENDING_BACK, change, FOODSVC_PAYMENT_PROCEED, PENDING_BACK);
    check(PENDING_TAKEN, change, FOODSVC_PAYMENT_NOTHING, PENDING_TAKEN);   /* a company that knows no keys pays once */
    check(PAID, change, FOODSVC_PAYMENT_WRITE, PENDING_BACK);
    check(FAILED, change, FOODSVC_PAYMENT_ILLEGAL, FAILED);
    check(REIMBURSED, change, FOODSVC_PAYMENT_NOTHING, REIMBURSED);
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
    change.has_transaction_id = false;
    check(PENDING_BACK, change, FOODSVC_PAYMENT_WRITE, PENDING_TAKEN);
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
    payment.reimburse = true;
    assert_int_equal(foodsvc_payment_decide(&payment, &change), FOODSVC_PAYMENT_NOTHING);
    assert_true(payment.reimburse);
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
        { { FOODSVC_PENDING, true, true, false }, FOODSVC_PAY_FAILED, false },
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
        cmocka_unit_test(accepted),
        cmocka_unit_test(refused),
        cmocka_unit_test(callbacks),
        cmocka_unit_test(a_pending_callback_stores_its_transaction),
        cmocka_unit_test(a_callback_without_an_id_keeps_the_one_there_is),
        cmocka_unit_test(each_callback_adds_its_mark),
        cmocka_unit_test(a_full_outbox_loses_its_oldest_mark),
        cmocka_unit_test(memory),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
