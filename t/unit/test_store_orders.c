/* Orders in MongoDB: types as the contract says, batches, changes and claims, documents that others wrote. */
#include "store_stage.h"

static foodsvc_store_rc_e find_order(const char *id, foodsvc_order_t **order, char err[FOODSVC_ERR])
{
    foodsvc_store_order_op_t  op = { .id = id };
    foodsvc_store_order_op_t *ops[1] = { &op };

    foodsvc_store_orders_find(store, ops, 1);
    memcpy(err, op.err, FOODSVC_ERR);
    if (order != NULL) {
        *order = op.order;
    } else {
        foodsvc_order_free(op.order);
    }
    return op.rc;
}

static void test_insert(void **state)
{
    foodsvc_order_t  *order = new_order(FOODSVC_CREATED), *found;
    char              err[FOODSVC_ERR];
    bson_t            doc;

    assert_int_equal(insert_order(store, order), FOODSVC_STORE_OK);
    assert_int_equal(insert_order(store, order), FOODSVC_STORE_EXISTS);
    raw_get(FOODSVC_ORDERS, order->id, &doc);
    assert_true(raw_is(&doc, "_id", BSON_TYPE_UTF8));
    assert_true(raw_is(&doc, "customer_id", BSON_TYPE_BINARY));
    assert_true(raw_is(&doc, "kitchen_id", BSON_TYPE_NULL));
    assert_true(raw_is(&doc, "delivery_id", BSON_TYPE_NULL));
    assert_true(raw_is(&doc, "created", BSON_TYPE_DATE_TIME));
    assert_true(raw_is(&doc, "updated", BSON_TYPE_ARRAY));
    assert_true(raw_is(&doc, "items.0.quantity", BSON_TYPE_INT32));
    bson_destroy(&doc);
    assert_int_equal(find_order(order->id, &found, err), FOODSVC_STORE_OK);
    assert_string_equal(found->id, order->id);
    assert_null(found->unknown);
    foodsvc_order_free(found);
    foodsvc_order_free(order);
}

/* More than one batch, with duplicates of what is there and within itself. */
static void test_insert_many(void **state)
{
    enum { N = 600 };
    foodsvc_order_t           *orders[N];
    foodsvc_store_order_op_t   ops[N], *list[N];
    size_t                     i;

    for (i = 0; i < N; i++) {
        orders[i] = i % 100 == 99 ? foodsvc_order_copy(orders[i - 1]) : new_order(FOODSVC_CREATED);
        if (i % 100 == 50) {
            assert_int_equal(insert_order(store, orders[i]), FOODSVC_STORE_OK);
        }
        ops[i] = (foodsvc_store_order_op_t) { .id = orders[i]->id, .order = orders[i] };
        list[i] = &ops[i];
    }
    foodsvc_store_orders_insert(store, list, N);
    for (i = 0; i < N; i++) {
        assert_int_equal(ops[i].rc, i % 100 == 99 || i % 100 == 50 ? FOODSVC_STORE_EXISTS : FOODSVC_STORE_OK);
        ops[i].order = NULL;
    }
    foodsvc_store_orders_find(store, list, N);
    for (i = 0; i < N; i++) {
        assert_int_equal(ops[i].rc, FOODSVC_STORE_OK);
        assert_string_equal(ops[i].order->id, orders[i]->id);
        foodsvc_order_free(ops[i].order);
    }
    foodsvc_store_orders_delete(store, list, N);
    for (i = 0; i < N; i++) {
        assert_int_equal(ops[i].rc, i % 100 == 99 ? FOODSVC_STORE_NOT_FOUND : FOODSVC_STORE_OK);
        foodsvc_order_free(orders[i]);
    }
    foodsvc_store_orders_delete(store, list, 0);
}

static void test_not_found(void **state)
{
    char                        id[FOODSVC_UUID_TEXT + 1], err[FOODSVC_ERR];
    foodsvc_store_change_op_t   change;
    foodsvc_store_order_op_t    op = { .id = id }, *ops[1] = { &op };

    new_id(id);
    assert_int_equal(find_order(id, NULL, err), FOODSVC_STORE_NOT_FOUND);
    change = event_op(id, FOODSVC_PAYMENT_PAID);
    change_one(store, &change);
    assert_int_equal(change.rc, FOODSVC_STORE_NOT_FOUND);
    assert_null(change.order);
    foodsvc_store_orders_delete(store, ops, 1);
    assert_int_equal(op.rc, FOODSVC_STORE_NOT_FOUND);
}

static void test_change(void **state)
{
    char                        id[FOODSVC_UUID_TEXT + 1];
    foodsvc_store_change_op_t   op;
    bson_t                      doc;

    stored_order(store, FOODSVC_CREATED, id);
    raw_put(FOODSVC_ORDERS, id, "{\"$set\": {\"extra\": {\"a\": [1, {\"$oid\": \"507f1f77bcf86cd799439011\"}]}}}");
    op = event_op(id, FOODSVC_PAYMENT_PAID);
    change_one(store, &op);
    assert_int_equal(op.rc, FOODSVC_STORE_OK);
    assert_int_equal(op.verdict, FOODSVC_APPLIED);
    assert_int_equal(op.order->status, FOODSVC_PAYMENT_PAID);
    assert_int_equal(op.order->nupdated, 1);
    foodsvc_order_free(op.order);

    op = event_op(id, FOODSVC_DELIVERY_SCHEDULED);
    op.change.has_delivery_id = true;
    foodsvc_uuid_v4(&op.change.delivery_id);
    change_one(store, &op);
    assert_int_equal(op.verdict, FOODSVC_APPLIED);
    assert_true(op.order->has_delivery_id);
    foodsvc_order_free(op.order);

    change_one(store, &op);
    assert_int_equal(op.rc, FOODSVC_STORE_OK);
    assert_int_equal(op.verdict, FOODSVC_DUPLICATE);
    foodsvc_order_free(op.order);

    raw_get(FOODSVC_ORDERS, id, &doc);
    assert_true(raw_is(&doc, "delivery_id", BSON_TYPE_BINARY));
    assert_true(raw_is(&doc, "kitchen_id", BSON_TYPE_NULL));
    assert_true(raw_is(&doc, "updated.1.when", BSON_TYPE_DATE_TIME));
    assert_false(raw_is(&doc, "updated.2.when", BSON_TYPE_DATE_TIME));
    assert_true(raw_is(&doc, "extra.a.1", BSON_TYPE_OID));      /* what we don't know stays as it is */
    assert_false(bson_has_field(&doc, "claim"));
    bson_destroy(&doc);
}

/* Several ops on one id are one write, in their order; others beside them. */
static void test_change_batch(void **state)
{
    char                        a[FOODSVC_UUID_TEXT + 1], b[FOODSVC_UUID_TEXT + 1], c[FOODSVC_UUID_TEXT + 1];
    foodsvc_store_change_op_t   ops[6], *list[6];
    bson_t                      doc;
    size_t                      i;

    stored_order(store, FOODSVC_CREATED, a);
    stored_order(store, FOODSVC_DELIVERY_SCHEDULED, b);
    new_id(c);
    ops[0] = event_op(a, FOODSVC_PAYMENT_PAID);
    ops[1] = cancel_op(b);
    ops[2] = event_op(a, FOODSVC_PAYMENT_PAID);
    ops[3] = event_op(c, FOODSVC_PAYMENT_PAID);
    ops[4] = event_op(a, FOODSVC_DELIVERY_SCHEDULED);
    ops[5] = event_op(b, FOODSVC_DRIVER_AVAILABLE);
    for (i = 0; i < 6; i++) {
        list[i] = &ops[i];
    }
    foodsvc_store_orders_change(store, list, 6);
    for (i = 0; i < 6; i++) {
        assert_int_equal(ops[i].rc, i == 3 ? FOODSVC_STORE_NOT_FOUND : FOODSVC_STORE_OK);
    }
    assert_int_equal(ops[0].verdict, FOODSVC_APPLIED);
    assert_int_equal(ops[1].verdict, FOODSVC_APPLIED);
    assert_int_equal(ops[2].verdict, FOODSVC_DUPLICATE);
    assert_int_equal(ops[4].verdict, FOODSVC_APPLIED);
    assert_int_equal(ops[5].verdict, FOODSVC_LATE);
    assert_int_equal(ops[0].order->nupdated, 2);
    assert_int_equal(ops[5].order->status, FOODSVC_ORDER_CANCELLED);
    raw_get(FOODSVC_ORDERS, a, &doc);
    assert_true(raw_is(&doc, "rev.1", BSON_TYPE_INT64));
    assert_false(raw_is(&doc, "rev.2", BSON_TYPE_INT64));
    bson_destroy(&doc);
    for (i = 0; i < 6; i++) {
        foodsvc_order_free(ops[i].order);
    }
}

static void test_claims(void **state)
{
    char                        id[FOODSVC_UUID_TEXT + 1];
    foodsvc_store_change_op_t   op;
    bson_t                      doc;

    stored_order(store, FOODSVC_CREATED, id);
    op = event_op(id, FOODSVC_PAYMENT_PAID);
    op.claim_by = "a";
    op.claim_ms = 60000;
    change_one(store, &op);
    assert_true(op.claimed);
    assert_string_equal(op.order->claim_by, "a");
    assert_true(op.order->claim_until > foodsvc_time_now() + 50000);
    foodsvc_order_free(op.order);

    op = event_op(id, FOODSVC_PAYMENT_PAID);        /* somebody else, a duplicate: not his */
    op.claim_by = "b";
    op.claim_ms = 60000;
    change_one(store, &op);
    assert_int_equal(op.verdict, FOODSVC_DUPLICATE);
    assert_false(op.claimed);
    assert_string_equal(op.order->claim_by, "a");
    foodsvc_order_free(op.order);

    op.claim_by = "a";                              /* a releases, b gets it with a duplicate */
    op.release = true;
    change_one(store, &op);
    assert_false(op.claimed);
    foodsvc_order_free(op.order);
    raw_get(FOODSVC_ORDERS, id, &doc);
    assert_false(bson_has_field(&doc, "claim"));
    bson_destroy(&doc);
    op.claim_by = "b";
    op.release = false;
    op.claim_ms = 1;
    change_one(store, &op);
    assert_true(op.claimed);
    assert_int_equal(op.verdict, FOODSVC_DUPLICATE);
    foodsvc_order_free(op.order);

    usleep(5000);                                   /* b's has expired: a takes over */
    op.claim_by = "a";
    op.claim_ms = 60000;
    change_one(store, &op);
    assert_true(op.claimed);
    foodsvc_order_free(op.order);
}

/* Not while somebody may be calling KitchenService for it. */
static void test_give_up_needs_the_claim(void **state)
{
    foodsvc_store_change_op_t  op;
    foodsvc_change_t           give_up = { .kind = FOODSVC_CHANGE_GIVE_UP, .when = foodsvc_time_now() };
    const char                *claims[] = { NULL, "b", "a" };
    char                       id[FOODSVC_UUID_TEXT + 1];

    stored_order(store, FOODSVC_DRIVER_AVAILABLE, id);
    for (size_t i = 0; i < 2; i++) {                /* a does not have it before */
        op = (foodsvc_store_change_op_t) { .id = id, .change = give_up, .claim_by = "a" };
        op.claim_ms = i == 0 ? 0 : 60000;
        change_one(store, &op);
        assert_int_equal(op.rc, FOODSVC_STORE_OK);
        assert_int_equal(op.verdict, FOODSVC_REFUSED);
        assert_int_equal(op.order->status, FOODSVC_DRIVER_AVAILABLE);
        foodsvc_order_free(op.order);
    }
    for (size_t i = 0; i < 3; i++) {                /* the second one left it claimed by a */
        op = (foodsvc_store_change_op_t) { .id = id, .change = give_up, .claim_by = claims[i], .claim_ms = 60000 };
        change_one(store, &op);
        assert_int_equal(op.verdict, claims[i] && *claims[i] == 'a' ? FOODSVC_APPLIED : FOODSVC_REFUSED);
        foodsvc_order_free(op.order);
    }

    stored_order(store, FOODSVC_DRIVER_AVAILABLE, id);       /* a's claim has run out */
    op = event_op(id, FOODSVC_DRIVER_AVAILABLE);
    op.claim_by = "a";
    op.claim_ms = 60000;
    change_one(store, &op);
    assert_true(op.claimed);
    foodsvc_order_free(op.order);
    raw_put(FOODSVC_ORDERS, id, "{\"$set\": {\"claim.until\": {\"$date\": \"2026-01-01T00:00:00Z\"}}}");
    op = (foodsvc_store_change_op_t) { .id = id, .change = give_up, .claim_by = "a" };
    change_one(store, &op);
    assert_int_equal(op.verdict, FOODSVC_REFUSED);
    foodsvc_order_free(op.order);

    stored_order(store, FOODSVC_DELIVERY_SCHEDULED, id);     /* with its delivery's id it owes nothing: no claim */
    op = event_op(id, FOODSVC_DELIVERY_SCHEDULED);
    op.change.has_delivery_id = true;
    change_one(store, &op);
    foodsvc_order_free(op.order);
    op = (foodsvc_store_change_op_t) { .id = id, .change = give_up };
    change_one(store, &op);
    assert_int_equal(op.verdict, FOODSVC_APPLIED);
    assert_int_equal(op.order->status, FOODSVC_ORDER_CANCELLED);
    foodsvc_order_free(op.order);
}

static void test_claims_end(void **state)
{
    char                        id[FOODSVC_UUID_TEXT + 1];
    foodsvc_store_change_op_t   op;

    stored_order(store, FOODSVC_CREATED, id);
    op = event_op(id, FOODSVC_PAYMENT_PAID);
    op.claim_by = "a";
    op.claim_ms = 60000;
    change_one(store, &op);
    assert_true(op.claimed);
    foodsvc_order_free(op.order);

    raw_put(FOODSVC_ORDERS, id, "{\"$set\":{\"claim.until\":{\"$date\":\"2100-01-01T00:00:00Z\"}}}");
    op.claim_by = "b";                              /* nobody claims for years: b takes over */
    op.claim_ms = INT64_MAX;
    change_one(store, &op);
    assert_true(op.claimed);
    assert_true(op.order->claim_until <= foodsvc_time_now() + FOODSVC_STORE_CLAIM);
    foodsvc_order_free(op.order);

    op = event_op(id, FOODSVC_DELIVERY_SCHEDULED);  /* b sees the debt done: the claim ends with it */
    op.change.has_delivery_id = true;
    foodsvc_uuid_v4(&op.change.delivery_id);
    op.claim_by = "b";
    op.claim_ms = 60000;
    change_one(store, &op);
    assert_int_equal(op.verdict, FOODSVC_APPLIED);
    assert_false(op.claimed);
    assert_string_equal(op.order->claim_by, "");
    foodsvc_order_free(op.order);
    op = event_op(id, FOODSVC_DRIVER_AVAILABLE);    /* and the next debt is b's at once */
    op.claim_by = "b";
    op.claim_ms = 60000;
    change_one(store, &op);
    assert_true(op.claimed);
    foodsvc_order_free(op.order);
}

static void test_settled(void **state)
{
    char                        id[FOODSVC_UUID_TEXT + 1];
    foodsvc_store_change_op_t   op;
    bson_t                      doc;

    stored_order(store, FOODSVC_DELIVERY_SCHEDULED, id);
    op = cancel_op(id);
    change_one(store, &op);
    assert_int_equal(op.verdict, FOODSVC_APPLIED);
    foodsvc_order_free(op.order);
    op.change.kind = FOODSVC_CHANGE_SETTLED;
    op.change.settled = FOODSVC_OWES_DELIVERY_CANCEL;
    change_one(store, &op);
    assert_int_equal(op.verdict, FOODSVC_NOTED);
    assert_int_equal(foodsvc_order_owes(op.order), FOODSVC_OWES_REIMBURSEMENT);
    foodsvc_order_free(op.order);
    raw_get(FOODSVC_ORDERS, id, &doc);
    assert_true(raw_is(&doc, "settled.0", BSON_TYPE_UTF8));
    bson_destroy(&doc);
    op = cancel_op(id);
    change_one(store, &op);
    assert_int_equal(op.rc, FOODSVC_STORE_OK);
    assert_int_equal(op.verdict, FOODSVC_REFUSED);
    foodsvc_order_free(op.order);
}

/* A refund that was asked for and refused: owed again, and with the last of the settled debts the field goes. */
static void test_unsettled(void **state)
{
    char                        id[FOODSVC_UUID_TEXT + 1];
    foodsvc_store_change_op_t   op;
    bson_t                      doc;

    stored_order(store, FOODSVC_ORDER_CANCELLED, id);
    op = event_op(id, FOODSVC_PAYMENT_PAID);
    op.change.kind = FOODSVC_CHANGE_SETTLED;
    op.change.settled = FOODSVC_OWES_REIMBURSEMENT;
    change_one(store, &op);
    assert_int_equal(op.verdict, FOODSVC_NOTED);
    foodsvc_order_free(op.order);
    op = event_op(id, FOODSVC_PAYMENT_PAID);
    change_one(store, &op);
    assert_int_equal(op.verdict, FOODSVC_NOTED);
    assert_true(foodsvc_order_owes(op.order) & FOODSVC_OWES_REIMBURSEMENT);
    foodsvc_order_free(op.order);
    raw_get(FOODSVC_ORDERS, id, &doc);
    assert_false(bson_has_field(&doc, "settled"));
    assert_true(bson_has_field(&doc, FOODSVC_OWES_SINCE));
    bson_destroy(&doc);
}

/* Documents as others may have written them: texts for UUIDs and times, no `updated`, no rev. */
static void test_foreign(void **state)
{
    static const char *const  updated[] = {
        "", ", \"updated\": null", ", \"updated\": []",
        ", \"rev\": 5, \"claim\": 7, \"settled\": {\"a\": 1}",          /* our fields, not as we write them */
        ", \"rev\": [{\"a\": 1}, \"x\", null, 1.5, 2, 3, 4, [5]], \"claim\": {\"by\": \"x\", \"until\": \"x\"}",
        ", \"updated\": [{\"status\": \"paymentFailed\", \"when\": \"2026-11-23 10:22:52.094671+00:00\"}]"
    };
    char                        id[FOODSVC_UUID_TEXT + 1], json[1024];
    foodsvc_store_change_op_t   op;
    bson_t                      doc;
    size_t                      i;

    for (i = 0; i < COUNT(updated); i++) {
        new_id(id);
        snprintf(json, sizeof(json), "{\"_id\": \"%s\", " FOREIGN ", \"status\": \"created\", "
                 "\"created\": \"2026-11-23T10:22:51.910000\"%s}", id, updated[i]);
        raw_put(FOODSVC_ORDERS, id, json);
        op = event_op(id, FOODSVC_PAYMENT_PAID);
        op.claim_by = "a";
        op.claim_ms = 60000;
        change_one(store, &op);
        assert_int_equal(op.rc, FOODSVC_STORE_OK);
        assert_int_equal(op.verdict, FOODSVC_APPLIED);
        assert_true(op.claimed);
        assert_int_equal(op.order->nupdated, i == COUNT(updated) - 1 ? 2 : 1);
        foodsvc_order_free(op.order);
        raw_get(FOODSVC_ORDERS, id, &doc);
        assert_true(raw_is(&doc, i == COUNT(updated) - 1 ? "updated.1.status" : "updated.0.status", BSON_TYPE_UTF8));
        assert_true(raw_is(&doc, "customer_id", BSON_TYPE_UTF8));
        bson_destroy(&doc);
    }
}

static void test_unreadable(void **state)
{
    static const struct { const char *json, *names; } bad[] = {
        { "\"status\": \"onTheMoon\", \"created\": {\"$date\": 0}", "status" },
        { "\"status\": 7, \"created\": {\"$date\": 0}", "status" },
        { "\"status\": \"created\", \"created\": \"yesterday\"", "created" },
        { "\"status\": \"created\"", "created" },
        { "\"status\": \"created\", \"created\": {\"$date\": 0}, \"updated\": 5", "updated" },
        { "\"status\": \"created\", \"created\": {\"$date\": 0}, \"updated\": [5]", "updated" },
        { "\"status\": \"created\", \"created\": {\"$date\": 0}, \"delivery_id\": \"x\"", "delivery_id" },
    };
    char                        id[FOODSVC_UUID_TEXT + 1], json[1024], err[FOODSVC_ERR];
    foodsvc_store_change_op_t   op;
    size_t                      i;

    for (i = 0; i < COUNT(bad); i++) {
        new_id(id);
        snprintf(json, sizeof(json), "{\"_id\": \"%s\", " FOREIGN ", %s}", id, bad[i].json);
        raw_put(FOODSVC_ORDERS, id, json);
        assert_int_equal(find_order(id, NULL, err), FOODSVC_STORE_UNREADABLE);
        assert_non_null(strstr(err, bad[i].names));
        op = event_op(id, FOODSVC_PAYMENT_PAID);
        change_one(store, &op);
        assert_int_equal(op.rc, FOODSVC_STORE_UNREADABLE);
        assert_null(op.order);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_insert), cmocka_unit_test(test_insert_many), cmocka_unit_test(test_not_found),
        cmocka_unit_test(test_change), cmocka_unit_test(test_change_batch), cmocka_unit_test(test_claims),
        cmocka_unit_test(test_claims_end), cmocka_unit_test(test_give_up_needs_the_claim),
        cmocka_unit_test(test_settled), cmocka_unit_test(test_unsettled),
        cmocka_unit_test(test_foreign), cmocka_unit_test(test_unreadable)
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
