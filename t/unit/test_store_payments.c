/*
 * Payments in MongoDB: begun once, moved by callbacks, refunded once; outbox marks set with the status and cleared by
 * id.
 */
#include "store.h"

static foodsvc_store_t *store;

static int setup(void **state)
{
    store = open_store(mongo_url(), 2000, 4);
    return 0;
}

static int teardown(void **state)
{
    foodsvc_store_close(store);
    return 0;
}

static foodsvc_payment_t *new_payment(const char *id)
{
    foodsvc_payment_t *payment = foodsvc_payment_new();

    assert_non_null(payment);
    payment->id = strdup(id);
    assert_true(foodsvc_metadata_set(&payment->metadata, FOODSVC_ORDER_SERVICE, id, "c"));
    payment->created = foodsvc_time_now();
    return payment;
}

static foodsvc_store_payment_op_t payment_op(const char *id, foodsvc_payment_change_e kind)
{
    foodsvc_store_payment_op_t op = { .id = id, .change = { .kind = kind, .when = foodsvc_time_now() } };

    if (kind == FOODSVC_PAYMENT_ACCEPTED || kind == FOODSVC_PAYMENT_CALLBACK) {
        op.change.has_transaction_id = true;
        foodsvc_uuid_v4(&op.change.transaction_id);
    }
    return op;
}

static foodsvc_store_payment_op_t callback_op(const char *id, foodsvc_payment_status_e status)
{
    foodsvc_store_payment_op_t op = payment_op(id, FOODSVC_PAYMENT_CALLBACK);

    op.change.status = status;
    return op;
}

static void run(foodsvc_store_payment_op_t *op)
{
    foodsvc_store_payment_op_t *ops[1] = { op };

    foodsvc_store_payments_change(store, ops, 1);
}

static void done(foodsvc_store_payment_op_t *op)
{
    foodsvc_payment_free(op->payment);
    op->payment = NULL;
}

static void run_done(foodsvc_store_payment_op_t *op)
{
    run(op);
    assert_int_equal(op->rc, FOODSVC_STORE_OK);
    done(op);
}

/* A payment that is asked for, taken by the company, and paid. */
static void paid_payment(char id[FOODSVC_UUID_TEXT + 1])
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

/* --- the outbox --- */

static void clear(const char *id, const char *mark)
{
    foodsvc_store_mark_t  marks[2] = { 0 };
    char                  err[FOODSVC_ERR];

    strcpy(marks[0].order_id, id);
    strcpy(marks[1].order_id, id);
    strcpy(marks[0].outbox_id, mark);
    new_id(marks[1].outbox_id);                     /* another event's, which isn't there */
    assert_int_equal(foodsvc_store_outbox_clear(store, marks, 2, err), FOODSVC_STORE_OK);
}

/* Each callback's mark goes behind the ones that stand; each is cleared alone, and with the last one the field. */
static void test_marks(void **state)
{
    char                         id[FOODSVC_UUID_TEXT + 1], first[FOODSVC_UUID_TEXT + 1], err[FOODSVC_ERR];
    foodsvc_store_payment_op_t   op;
    bson_t                       doc;

    paid_payment(id);
    op = callback_op(id, FOODSVC_PAY_PAID);
    run(&op);
    assert_int_equal(op.verdict, FOODSVC_PAYMENT_NOTHING);
    assert_int_equal(op.payment->noutbox, 1);
    strcpy(first, op.payment->outbox[0].id);
    done(&op);
    op = callback_op(id, FOODSVC_PAY_REIMBURSED);
    run(&op);
    assert_int_equal(op.payment->noutbox, 2);
    assert_string_equal(op.payment->outbox[0].id, first);
    assert_int_equal(op.payment->outbox[1].status, FOODSVC_REIMBURSED);
    raw_get(FOODSVC_PAYMENTS, id, &doc);
    assert_true(raw_is(&doc, "outbox.0.id", BSON_TYPE_UTF8));
    assert_true(raw_is(&doc, "outbox.1.when", BSON_TYPE_DATE_TIME));
    bson_destroy(&doc);

    clear(id, first);
    clear(id, first);                               /* again: nothing to do */
    raw_get(FOODSVC_PAYMENTS, id, &doc);
    assert_true(raw_is(&doc, "outbox.0.id", BSON_TYPE_UTF8));
    assert_false(raw_is(&doc, "outbox.1.id", BSON_TYPE_UTF8));
    bson_destroy(&doc);
    clear(id, op.payment->outbox[1].id);
    raw_get(FOODSVC_PAYMENTS, id, &doc);
    assert_false(bson_has_field(&doc, "outbox"));
    bson_destroy(&doc);
    done(&op);
    assert_int_equal(foodsvc_store_outbox_clear(store, NULL, 0, err), FOODSVC_STORE_OK);
}

/* An outbox of the old shape is one mark: a newer one goes behind it, and it can be cleared. */
static void test_single_mark(void **state)
{
    char                         id[FOODSVC_UUID_TEXT + 1];
    foodsvc_store_payment_op_t   op;
    bson_t                       doc;

    paid_payment(id);
    raw_put(FOODSVC_PAYMENTS, id, "{\"$set\": {\"outbox\": {\"id\": \"old\", \"status\": \"paymentPaid\"}}}");
    clear(id, "old");
    raw_get(FOODSVC_PAYMENTS, id, &doc);
    assert_false(bson_has_field(&doc, "outbox"));
    bson_destroy(&doc);
    raw_put(FOODSVC_PAYMENTS, id, "{\"$set\": {\"outbox\": {\"id\": \"old\", \"status\": \"paymentPaid\"}}}");
    op = callback_op(id, FOODSVC_PAY_REIMBURSED);
    run(&op);
    assert_int_equal(op.payment->noutbox, 2);
    done(&op);
    raw_get(FOODSVC_PAYMENTS, id, &doc);
    assert_true(raw_is(&doc, "outbox.0.id", BSON_TYPE_UTF8));
    assert_true(raw_is(&doc, "outbox.1.id", BSON_TYPE_UTF8));
    bson_destroy(&doc);
    clear(id, "old");                               /* its time is unknown: it would be the oldest of all */
}

static void set_when(const char *id, const char *when)
{
    char  json[128];

    snprintf(json, sizeof(json), "{\"$set\": {\"outbox.0.when\": {\"$date\": {\"$numberLong\": \"%s\"}}}}", when);
    raw_put(FOODSVC_PAYMENTS, id, json);
}

/* The oldest first, no younger ones, no more than asked for; what cannot be read is counted. */
static void test_due(void **state)
{
    char                 ids[4][FOODSVC_UUID_TEXT + 1], err[FOODSVC_ERR];
    foodsvc_store_due_t  due = { .before = 4000, .limit = 1 };
    size_t               i;

    assert_int_equal(foodsvc_store_prepare(store, err), FOODSVC_STORE_OK);
    for (i = 0; i < 4; i++) {
        paid_payment(ids[i]);
    }
    set_when(ids[0], "3000");
    set_when(ids[1], "2000");
    set_when(ids[2], "4000");                       /* ids[3]: now */
    foodsvc_store_outbox_due(store, &due);
    assert_int_equal(due.rc, FOODSVC_STORE_OK);
    assert_int_equal(due.npayments, 1);
    assert_string_equal(due.payments[0]->id, ids[1]);
    foodsvc_store_due_clear(&due);

    raw_put(FOODSVC_PAYMENTS, ids[1], "{\"$set\": {\"metadata.receiver\": 1}}");    /* unreadable, and the oldest */
    foodsvc_store_outbox_due(store, &due);
    assert_int_equal(due.npayments, 0);
    assert_int_equal(due.skipped, 1);
    foodsvc_store_due_clear(&due);
    due.after = due.next;                           /* which is no younger than it is */
    while (due.npayments == 0 && due.next != 0) {
        due.after = due.next;
        foodsvc_store_outbox_due(store, &due);
        assert_true(due.next == 0 || due.next > due.after);
    }
    assert_int_equal(due.npayments, 1);
    assert_string_equal(due.payments[0]->id, ids[0]);
    foodsvc_store_due_clear(&due);
    raw_put(FOODSVC_PAYMENTS, ids[1], "{\"$set\": {\"metadata.receiver\": \"OrderService\"}}");
    due.after = 0;
    due.limit = 1000000;
    foodsvc_store_outbox_due(store, &due);
    assert_int_equal(due.npayments, 2);
    assert_string_equal(due.payments[0]->id, ids[1]);
    assert_string_equal(due.payments[1]->id, ids[0]);
    foodsvc_store_due_clear(&due);
    assert_null(due.payments);

    raw_put(FOODSVC_PAYMENTS, ids[1], "{\"$set\": {\"metadata\": 1}}");
    foodsvc_store_outbox_due(store, &due);
    assert_int_equal(due.npayments, 1);
    assert_int_equal(due.skipped, 1);
    assert_non_null(strstr(due.err, "metadata"));
    foodsvc_store_due_clear(&due);
    for (i = 0; i < 4; i++) {
        raw_put(FOODSVC_PAYMENTS, ids[i], "{\"$unset\": {\"outbox\": \"\"}}");
    }
}

/* With no server: said so, and nothing to free. */
static void test_due_away(void **state)
{
    foodsvc_store_t      *away = open_store("mongodb://127.0.0.1:1/?directConnection=true", 100, 1);
    foodsvc_store_due_t   due = { .before = 1, .limit = 10 };

    foodsvc_store_outbox_due(away, &due);
    assert_int_equal(due.rc, FOODSVC_STORE_UNAVAILABLE);
    assert_null(due.payments);
    foodsvc_store_close(away);
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
        cmocka_unit_test(test_attempts_of_a_batch), cmocka_unit_test(test_marks),
        cmocka_unit_test(test_single_mark), cmocka_unit_test(test_due), cmocka_unit_test(test_due_away),
        cmocka_unit_test(test_batch), cmocka_unit_test(test_foreign),
        cmocka_unit_test(test_race)
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
