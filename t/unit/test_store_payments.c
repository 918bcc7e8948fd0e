/* Payments in MongoDB: begun once, moved by callbacks, refunded once. */
#include "store_payments.h"

static void test_billed_once(void **state)
{
    char                         id[FOODSVC_UUID_TEXT + 1];
    foodsvc_payment_t           *fresh;
    foodsvc_store_payment_op_t   op;
    bson_t                       doc;

    new_id(id);
    fresh = new_payment(id);
    op = payment_op(id, FOODSVC_PAYMENT_REQUESTED);
    op.insert = fresh;
    run(&op);
    assert_int_equal(op.rc, FOODSVC_STORE_OK);
    assert_true(op.inserted);
    assert_int_equal(op.verdict, FOODSVC_PAYMENT_WRITE);
    assert_int_equal(op.payment->status, FOODSVC_PENDING);
    done(&op);
    run(&op);                                       /* asked again: the same payment goes on */
    assert_false(op.inserted);
    assert_int_equal(op.verdict, FOODSVC_PAYMENT_WRITE);
    done(&op);
    raw_get(FOODSVC_PAYMENTS, id, &doc);
    assert_true(raw_is(&doc, "metadata.order_id", BSON_TYPE_UTF8));
    assert_true(raw_is(&doc, "created", BSON_TYPE_DATE_TIME));
    bson_destroy(&doc);

    op = payment_op(id, FOODSVC_PAYMENT_ACCEPTED);
    run(&op);
    assert_int_equal(op.verdict, FOODSVC_PAYMENT_WRITE);
    done(&op);
    op = payment_op(id, FOODSVC_PAYMENT_REQUESTED);
    op.insert = fresh;
    run(&op);                                       /* billed already */
    assert_int_equal(op.verdict, FOODSVC_PAYMENT_NOTHING);
    done(&op);
    foodsvc_payment_free(fresh);
}

static void test_refunded_once(void **state)
{
    char                         id[FOODSVC_UUID_TEXT + 1];
    foodsvc_store_payment_op_t   op;
    bson_t                       doc;

    paid_payment(id);
    op = payment_op(id, FOODSVC_PAYMENT_REIMBURSE);
    run(&op);
    assert_int_equal(op.verdict, FOODSVC_PAYMENT_WRITE);
    assert_true(op.payment->reimburse);
    done(&op);
    run(&op);                                       /* nobody knows whether the company has heard of it */
    assert_int_equal(op.verdict, FOODSVC_PAYMENT_WRITE);
    done(&op);
    op = payment_op(id, FOODSVC_PAYMENT_ACCEPTED);
    op.change.reimburse = true;
    run(&op);
    assert_int_equal(op.verdict, FOODSVC_PAYMENT_WRITE);
    done(&op);
    op = payment_op(id, FOODSVC_PAYMENT_REIMBURSE);
    run(&op);                                       /* now it has */
    assert_int_equal(op.verdict, FOODSVC_PAYMENT_NOTHING);
    done(&op);
    op = callback_op(id, FOODSVC_PAY_REIMBURSED);
    run(&op);
    assert_int_equal(op.payment->status, FOODSVC_PAY_REIMBURSED);
    done(&op);
    raw_get(FOODSVC_PAYMENTS, id, &doc);
    assert_false(bson_has_field(&doc, "reimburse"));
    assert_false(bson_has_field(&doc, "reimburse_taken"));
    bson_destroy(&doc);
}

/* --- attempts --- */

static foodsvc_store_payment_op_t attempt_op(const char *id, foodsvc_payment_change_e kind, foodsvc_payment_t *insert)
{
    foodsvc_store_payment_op_t  op = payment_op(id, kind);
    foodsvc_uuid_t              by;

    foodsvc_uuid_v4(&by);
    foodsvc_uuid_format(&by, op.change.by);
    op.change.lease_ms = 60000;
    op.insert = insert;
    return op;
}

/* The lease, the amount and what became of the attempt are in the document, and go when they are over. */
static void test_attempt(void **state)
{
    char                         id[FOODSVC_UUID_TEXT + 1];
    foodsvc_payment_t           *fresh;
    foodsvc_store_payment_op_t   op, other;
    bson_t                       doc;

    new_id(id);
    fresh = new_payment(id);
    op = attempt_op(id, FOODSVC_PAYMENT_REQUESTED, fresh);
    run_done(&op);
    other = attempt_op(id, FOODSVC_PAYMENT_REQUESTED, fresh);
    run_done(&other);
    assert_int_equal(other.verdict, FOODSVC_PAYMENT_WAIT);
    op.change.kind = FOODSVC_PAYMENT_AMOUNT;
    op.change.amount = 6.25;
    run_done(&op);
    assert_int_equal(op.verdict, FOODSVC_PAYMENT_WRITE);
    raw_get(FOODSVC_PAYMENTS, id, &doc);
    assert_true(raw_is(&doc, "attempt.by", BSON_TYPE_UTF8));
    assert_true(raw_is(&doc, "attempt.until", BSON_TYPE_DATE_TIME));
    assert_true(raw_is(&doc, "asked", BSON_TYPE_DATE_TIME));
    assert_true(raw_is(&doc, "amount", BSON_TYPE_DOUBLE));
    bson_destroy(&doc);

    op.change.kind = FOODSVC_PAYMENT_RELEASED;
    run_done(&op);
    run(&other);                                    /* now it is the other's turn */
    assert_int_equal(other.verdict, FOODSVC_PAYMENT_WRITE);
    assert_int_equal(other.payment->attempts, 2);
    assert_true(other.payment->amount == 6.25);
    done(&other);
    other.change.kind = FOODSVC_PAYMENT_REFUSED;
    other.change.refused = 400;
    other.change.asked = true;
    run(&other);
    assert_int_equal(other.payment->status, FOODSVC_PAY_FAILED);
    assert_int_equal(other.payment->refused, 400);
    done(&other);
    raw_get(FOODSVC_PAYMENTS, id, &doc);
    assert_false(bson_has_field(&doc, "attempt"));
    assert_true(raw_is(&doc, "amount", BSON_TYPE_DOUBLE));
    bson_destroy(&doc);
    foodsvc_payment_free(fresh);
}

/* In one batch, too, one attempt begins. */
static void test_attempts_of_a_batch(void **state)
{
    char                         id[FOODSVC_UUID_TEXT + 1];
    foodsvc_payment_t           *fresh;
    foodsvc_store_payment_op_t   ops[8], *list[8];
    unsigned                     began = 0, waits = 0;
    size_t                       i;

    new_id(id);
    fresh = new_payment(id);
    for (i = 0; i < 8; i++) {
        ops[i] = attempt_op(id, FOODSVC_PAYMENT_REQUESTED, fresh);
        list[i] = &ops[i];
    }
    foodsvc_store_payments_change(store, list, 8);
    for (i = 0; i < 8; i++) {
        assert_int_equal(ops[i].rc, FOODSVC_STORE_OK);
        began += ops[i].verdict == FOODSVC_PAYMENT_WRITE;
        waits += ops[i].verdict == FOODSVC_PAYMENT_WAIT;
        done(&ops[i]);
    }
    assert_int_equal(began, 1);
    assert_int_equal(waits, 7);
    foodsvc_payment_free(fresh);
}

/* One batch: before the payment is there, with it, and behind it, and other payments beside. */
static void test_batch(void **state)
{
    char                         a[FOODSVC_UUID_TEXT + 1], b[FOODSVC_UUID_TEXT + 1];
    foodsvc_payment_t           *fresh, *other;
    foodsvc_store_payment_op_t   ops[6], *list[6];
    size_t                       i;

    new_id(a);
    new_id(b);
    fresh = new_payment(a);
    other = new_payment(b);
    ops[0] = callback_op(a, FOODSVC_PAY_PAID);
    ops[1] = payment_op(a, FOODSVC_PAYMENT_REQUESTED);
    ops[1].insert = fresh;
    ops[2] = payment_op(a, FOODSVC_PAYMENT_REQUESTED);
    ops[2].insert = fresh;
    ops[3] = payment_op(b, FOODSVC_PAYMENT_REQUESTED);
    ops[3].insert = other;
    ops[4] = callback_op(a, FOODSVC_PAY_FAILED);
    ops[5] = payment_op("no such payment", FOODSVC_PAYMENT_REIMBURSE);
    for (i = 0; i < 6; i++) {
        list[i] = &ops[i];
    }
    foodsvc_store_payments_change(store, list, 6);
    assert_int_equal(ops[0].rc, FOODSVC_STORE_NOT_FOUND);
    assert_null(ops[0].payment);
    assert_true(ops[1].inserted);
    assert_false(ops[2].inserted);
    assert_int_equal(ops[2].verdict, FOODSVC_PAYMENT_WRITE);
    assert_true(ops[3].inserted);
    assert_int_equal(ops[4].verdict, FOODSVC_PAYMENT_WRITE);
    assert_int_equal(ops[4].payment->status, FOODSVC_PAY_FAILED);
    assert_int_equal(ops[5].rc, FOODSVC_STORE_NOT_FOUND);
    for (i = 0; i < 6; i++) {
        done(&ops[i]);
    }
    ops[1] = payment_op(a, FOODSVC_PAYMENT_REIMBURSE);
    run(&ops[1]);
    assert_int_equal(ops[1].verdict, FOODSVC_PAYMENT_ILLEGAL);
    done(&ops[1]);
    foodsvc_payment_free(fresh);
    foodsvc_payment_free(other);
}

static void test_foreign(void **state)
{
    char                         id[FOODSVC_UUID_TEXT + 1], json[512];
    foodsvc_store_payment_op_t   op;
    bson_t                       doc;

    new_id(id);
    snprintf(json, sizeof(json), "{\"_id\": \"%s\", \"metadata\": {\"receiver\": \"OrderService\", "
             "\"order_id\": \"%s\", \"customer_id\": \"c\"}, "
             "\"transaction_id\": \"06b0413f-c0d9-71d4-8000-c9895f286cf0\", "
             "\"status\": \"pending\", \"created\": \"2026-11-23T10:22:52\", \"note\": 1}", id, id);
    raw_put(FOODSVC_PAYMENTS, id, json);
    op = callback_op(id, FOODSVC_PAY_PAID);
    run(&op);
    assert_int_equal(op.rc, FOODSVC_STORE_OK);
    assert_int_equal(op.verdict, FOODSVC_PAYMENT_WRITE);
    done(&op);
    raw_get(FOODSVC_PAYMENTS, id, &doc);
    assert_true(bson_has_field(&doc, "note"));
    bson_destroy(&doc);

    new_id(id);
    snprintf(json, sizeof(json), "{\"_id\": \"%s\", \"metadata\": 5, \"status\": \"pending\"}", id);
    raw_put(FOODSVC_PAYMENTS, id, json);
    op = callback_op(id, FOODSVC_PAY_PAID);
    run(&op);
    assert_int_equal(op.rc, FOODSVC_STORE_UNREADABLE);
    assert_non_null(strstr(op.err, "metadata"));
}

/* One payment: what it is, or why it can't be had; its own reason, and no payment then. */
static void test_find(void **state)
{
    char                id[FOODSVC_UUID_TEXT + 1], json[256], err[FOODSVC_ERR];
    foodsvc_payment_t  *payment = NULL, *none = (foodsvc_payment_t *) id;       /* whatever it was */

    new_id(id);
    assert_int_equal(foodsvc_store_payment_find(store, id, &none, err), FOODSVC_STORE_NOT_FOUND);
    assert_null(none);
    assert_string_equal(err, "");
    snprintf(json, sizeof(json), "{\"_id\": \"%s\", \"metadata\": {\"receiver\": \"OrderService\", "
             "\"order_id\": \"%s\", \"customer_id\": \"c\"}, \"status\": \"pending\", "
             "\"created\": \"2026-11-23T10:22:52\"}", id, id);
    raw_put(FOODSVC_PAYMENTS, id, json);
    assert_int_equal(foodsvc_store_payment_find(store, id, &payment, err), FOODSVC_STORE_OK);
    assert_string_equal(payment->id, id);
    foodsvc_payment_free(payment);

    new_id(id);
    snprintf(json, sizeof(json), "{\"_id\": \"%s\", \"metadata\": 5, \"status\": \"pending\"}", id);
    raw_put(FOODSVC_PAYMENTS, id, json);
    assert_int_equal(foodsvc_store_payment_find(store, id, &none, err), FOODSVC_STORE_UNREADABLE);
    assert_null(none);
    assert_non_null(strstr(err, "metadata"));
}

/* Many threads ask for the same payments at once: each is begun once, refunded once, each callback written once. */
enum { THREADS = 4, PAYMENTS = 24 };

static char        ids[PAYMENTS][FOODSVC_UUID_TEXT + 1];
static atomic_int  begun[PAYMENTS], attempts[PAYMENTS], written[PAYMENTS];

static void *fight(void *data)
{
    foodsvc_payment_t           *fresh[PAYMENTS];
    foodsvc_store_payment_op_t   ops[PAYMENTS], *list[PAYMENTS];
    size_t                       i, k;
    unsigned                     step;

    for (step = 0; step < 2; step++) {
        for (i = 0; i < PAYMENTS; i++) {
            k = (i * 7 + (size_t) data * 5) % PAYMENTS;
            fresh[i] = new_payment(ids[k]);
            ops[i] = step == 0 ? attempt_op(ids[k], FOODSVC_PAYMENT_REQUESTED, fresh[i])
                : callback_op(ids[k], FOODSVC_PAY_PAID);
            list[i] = &ops[i];
        }
        foodsvc_store_payments_change(store, list, PAYMENTS);
        for (i = 0; i < PAYMENTS; i++) {
            k = (i * 7 + (size_t) data * 5) % PAYMENTS;
            if (ops[i].rc == FOODSVC_STORE_OK) {
                atomic_fetch_add(&begun[k], ops[i].inserted);
                atomic_fetch_add(&attempts[k], step == 0 && ops[i].verdict == FOODSVC_PAYMENT_WRITE);
                atomic_fetch_add(&written[k], step == 1 && ops[i].verdict == FOODSVC_PAYMENT_WRITE);
            } else {
                atomic_fetch_add(&begun[k], 1000);
            }
            done(&ops[i]);
            foodsvc_payment_free(fresh[i]);
        }
    }
    return NULL;
}

static void test_race(void **state)
{
    pthread_t  threads[THREADS];
    size_t     i;

    for (i = 0; i < PAYMENTS; i++) {
        new_id(ids[i]);
    }
    for (i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, fight, (void *) i), 0);
    }
    for (i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
    }
    for (i = 0; i < PAYMENTS; i++) {
        assert_int_equal(begun[i], 1);
        assert_int_equal(attempts[i], 1);
        assert_int_equal(written[i], 1);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_billed_once), cmocka_unit_test(test_refunded_once), cmocka_unit_test(test_attempt),
        cmocka_unit_test(test_attempts_of_a_batch),
        cmocka_unit_test(test_batch), cmocka_unit_test(test_foreign), cmocka_unit_test(test_find),
        cmocka_unit_test(test_race)
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
