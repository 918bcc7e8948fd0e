/* Outbox marks: set with the status, cleared by id, found by age. */
#include "store_payments.h"

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
        foodsvc_store_due_clear(&due);
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

/* How many payments with due marks there are; whether `id` is among them. */
static size_t count_due(const char *id, bool ahead, bool *found)
{
    foodsvc_store_due_t  due = { .before = 4000, .ahead = ahead, .limit = 100 };
    size_t               n = 0;

    *found = false;
    do {
        due.after = due.next;
        foodsvc_store_outbox_due(store, &due);
        assert_int_equal(due.rc, FOODSVC_STORE_OK);
        for (size_t i = 0; i < due.npayments; i++, n++) {
            *found = *found || strcmp(due.payments[i]->id, id) == 0;
        }
        foodsvc_store_due_clear(&due);
    } while (due.next != 0);
    return n;
}

/* Marks of before they had a time, of a list or alone; and of a clock that was wrong. */
static void test_due_without_a_good_time(void **state)
{
    static const char *const  marks[] = {
        "[{\"id\": \"a\", \"status\": \"paymentPaid\"}]", "{\"id\": \"a\", \"status\": \"paymentPaid\"}",
        "[{\"id\": \"a\", \"status\": \"paymentPaid\", \"when\": null}]",
        "[{\"id\": \"a\", \"status\": \"paymentPaid\", \"when\": {\"$date\": \"2199-01-01T00:00:00Z\"}}]"
    };
    char                      id[FOODSVC_UUID_TEXT + 1], set[256];
    bool                      found;

    for (size_t i = 0; i < COUNT(marks); i++) {
        bool  ahead = i == 3;

        paid_payment(id);
        count_due(id, ahead, &found);
        assert_false(found);
        snprintf(set, sizeof(set), "{\"$set\": {\"outbox\": %s}}", marks[i]);
        raw_put(FOODSVC_PAYMENTS, id, set);
        count_due(id, ahead, &found);
        assert_true(found);
        count_due(id, !ahead, &found);
        assert_false(found);
        raw_put(FOODSVC_PAYMENTS, id, "{\"$unset\": {\"outbox\": \"\"}}");
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_marks),
        cmocka_unit_test(test_single_mark),
        cmocka_unit_test(test_due),
        cmocka_unit_test(test_due_without_a_good_time),
        cmocka_unit_test(test_due_away),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
