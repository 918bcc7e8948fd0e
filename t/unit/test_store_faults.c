/*
 * What the store says when things go wrong around a write: races, lost requests and answers, late writes, a server that
 * stands still.
 */
#include "store.h"

static foodsvc_store_t *store;

static int setup(void **state)
{
    store = open_store(mongo_url(), 2000, 8);
    return 0;
}

static int teardown(void **state)
{
    foodsvc_store_close(store);
    return 0;
}

/* --- races --- */

enum { THREADS = 4, ORDERS = 40 };

static char        ids[ORDERS][FOODSVC_UUID_TEXT + 1];
static atomic_int  applied[ORDERS], claims[ORDERS], failed;

/* Half of the threads cancel, the other half report a driver; each has the orders in an order of its own. */
static void *cancel_or_drive(void *data)
{
    static const char *const    tokens[THREADS] = { "t0", "t1", "t2", "t3" };
    size_t                      self = (size_t) data, i, k, n;
    foodsvc_store_change_op_t   ops[ORDERS], *list[ORDERS];

    for (i = 0; i < ORDERS; i++) {
        k = (i * 7 + self * 11) % ORDERS;
        ops[i] = self % 2 == 0 ? cancel_op(ids[k]) : event_op(ids[k], FOODSVC_DRIVER_AVAILABLE);
        ops[i].claim_by = tokens[self];
        ops[i].claim_ms = 60000;
        list[i] = &ops[i];
    }
    for (i = 0; i < ORDERS; i += n) {
        n = ORDERS - i < 5 ? ORDERS - i : 5;
        foodsvc_store_orders_change(store, list + i, n);
    }
    for (i = 0; i < ORDERS; i++) {
        k = (i * 7 + self * 11) % ORDERS;
        atomic_fetch_add(&failed, ops[i].rc != FOODSVC_STORE_OK);
        atomic_fetch_add(&applied[k], ops[i].verdict == FOODSVC_APPLIED);
        atomic_fetch_add(&claims[k], ops[i].claimed);
        foodsvc_order_free(ops[i].order);
    }
    return NULL;
}

static void run_threads(void *(*body)(void *))
{
    pthread_t  threads[THREADS];
    size_t     i;

    for (i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, body, (void *) i), 0);
    }
    for (i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
    }
}

static void test_cancel_race(void **state)
{
    bson_t  doc;
    size_t  i;

    for (i = 0; i < ORDERS; i++) {
        stored_order(store, FOODSVC_DELIVERY_SCHEDULED, ids[i]);
    }
    run_threads(cancel_or_drive);
    assert_int_equal(failed, 0);
    for (i = 0; i < ORDERS; i++) {
        assert_int_equal(applied[i], 1);
        assert_int_equal(claims[i], 1);
        raw_get(FOODSVC_ORDERS, ids[i], &doc);
        assert_true(raw_is(&doc, "updated.1.status", BSON_TYPE_UTF8));
        assert_false(raw_is(&doc, "updated.2.status", BSON_TYPE_UTF8));
        bson_destroy(&doc);
    }
}

/*
 * The happy path's events, from all threads at once, on the same orders: each step is written once, whoever writes it.
 */
static void *walk(void *data)
{
    size_t                      i;
    int                         status;
    foodsvc_store_change_op_t   ops[ORDERS], *list[ORDERS];

    for (status = FOODSVC_PAYMENT_PAID; status <= FOODSVC_DELIVERED; status++) {
        for (i = 0; i < ORDERS; i++) {
            ops[i] = event_op(ids[i], (foodsvc_status_e) status);
            list[i] = &ops[i];
        }
        foodsvc_store_orders_change(store, list, ORDERS);
        for (i = 0; i < ORDERS; i++) {
            atomic_fetch_add(&failed, ops[i].rc != FOODSVC_STORE_OK);
            atomic_fetch_add(&applied[i], ops[i].verdict == FOODSVC_APPLIED);
            foodsvc_order_free(ops[i].order);
        }
    }
    return NULL;
}

static void test_walk_race(void **state)
{
    bson_t  doc;
    size_t  i;

    memset(applied, 0, sizeof(applied));
    for (i = 0; i < ORDERS; i++) {
        stored_order(store, FOODSVC_CREATED, ids[i]);
    }
    run_threads(walk);
    assert_int_equal(failed, 0);
    for (i = 0; i < ORDERS; i++) {
        assert_int_equal(applied[i], FOODSVC_DELIVERED);
        raw_get(FOODSVC_ORDERS, ids[i], &doc);
        assert_true(raw_is(&doc, "updated.8.status", BSON_TYPE_UTF8));
        assert_false(raw_is(&doc, "updated.9.status", BSON_TYPE_UTF8));
        assert_false(raw_is(&doc, "rev.4", BSON_TYPE_INT64));
        bson_destroy(&doc);
    }
}

/* --- the way to the server breaks --- */

static proxy_t          *proxy;
static foodsvc_store_t  *remote;        /* the store behind the proxy */

static int setup_proxy(void **state)
{
    char  err[FOODSVC_ERR];

    proxy = proxy_start();
    remote = open_store(proxy->uri, 500, 4);
    assert_int_equal(foodsvc_store_ping(remote, err), FOODSVC_STORE_OK);
    return 0;
}

static int teardown_proxy(void **state)
{
    foodsvc_store_close(remote);
    proxy_stop(proxy);
    return 0;
}

/* Whatever is lost, one order is stored and the caller is told so. */
static void test_insert_lost(void **state)
{
    static const proxy_mode_e   modes[] = { PROXY_LOSE_REQUEST, PROXY_LOSE_REPLY, PROXY_DELAY };
    foodsvc_order_t            *order;
    size_t                      i;

    for (i = 0; i < COUNT(modes); i++) {
        order = new_order(FOODSVC_CREATED);
        proxy_set(proxy, modes[i], "documents");
        assert_int_equal(insert_order(remote, order), FOODSVC_STORE_OK);
        assert_int_equal(atomic_load(&proxy->mode), PROXY_PASS);
        usleep(modes[i] == PROXY_DELAY ? 400000 : 0);
        assert_int_equal(insert_order(remote, order), FOODSVC_STORE_EXISTS);
        foodsvc_order_free(order);
    }
}

static void test_change_lost(void **state)
{
    static const proxy_mode_e   modes[] = { PROXY_LOSE_REQUEST, PROXY_LOSE_REPLY, PROXY_DELAY };
    char                        id[FOODSVC_UUID_TEXT + 1];
    foodsvc_store_change_op_t   op;
    bson_t                      doc;
    size_t                      i;

    for (i = 0; i < COUNT(modes); i++) {
        stored_order(store, FOODSVC_DELIVERY_SCHEDULED, id);
        op = cancel_op(id);
        proxy_set(proxy, modes[i], "updates");
        change_one(remote, &op);
        assert_int_equal(atomic_load(&proxy->mode), PROXY_PASS);
        assert_int_equal(op.rc, FOODSVC_STORE_OK);
        assert_int_equal(op.verdict, FOODSVC_APPLIED);
        assert_int_equal(op.order->status, FOODSVC_ORDER_CANCELLED);
        foodsvc_order_free(op.order);
        usleep(modes[i] == PROXY_DELAY ? 400000 : 0);
        raw_get(FOODSVC_ORDERS, id, &doc);
        assert_true(raw_is(&doc, "updated.1.status", BSON_TYPE_UTF8));
        assert_false(raw_is(&doc, "updated.2.status", BSON_TYPE_UTF8));
        bson_destroy(&doc);
    }
}

static void test_payment_lost(void **state)
{
    char                         id[FOODSVC_UUID_TEXT + 1];
    foodsvc_payment_t           *fresh = foodsvc_payment_new();
    foodsvc_store_payment_op_t   op, *ops[1] = { &op };

    new_id(id);
    fresh->id = strdup(id);
    assert_true(foodsvc_metadata_set(&fresh->metadata, FOODSVC_ORDER_SERVICE, id, id));
    op = (foodsvc_store_payment_op_t) { .id = id, .insert = fresh, .change = { .kind = FOODSVC_PAYMENT_REQUESTED } };
    proxy_set(proxy, PROXY_LOSE_REPLY, "documents");
    foodsvc_store_payments_change(remote, ops, 1);
    assert_int_equal(op.rc, FOODSVC_STORE_OK);
    assert_true(op.inserted);                       /* it was us, and we are told so */
    foodsvc_payment_free(op.payment);
    op.insert = NULL;
    op.change = (foodsvc_payment_change_t) { .kind = FOODSVC_PAYMENT_CALLBACK, .status = FOODSVC_PAY_PAID,
                                               .when = foodsvc_time_now() };
    proxy_set(proxy, PROXY_LOSE_REPLY, "updates");
    foodsvc_store_payments_change(remote, ops, 1);
    assert_int_equal(op.rc, FOODSVC_STORE_OK);
    assert_int_equal(op.verdict, FOODSVC_PAYMENT_WRITE);
    assert_int_equal(op.payment->noutbox, 1);       /* and its event is marked once */
    foodsvc_payment_free(op.payment);
    foodsvc_payment_free(fresh);
}

/* A server that stands still, as after SIGSTOP: every call returns within its time, and says what it knows. */
static void test_stalled(void **state)
{
    char                        id[FOODSVC_UUID_TEXT + 1], err[FOODSVC_ERR];
    foodsvc_order_t            *order = new_order(FOODSVC_CREATED);
    foodsvc_store_change_op_t   op;
    foodsvc_store_rc_e          rc;
    int64_t                     start;

    stored_order(store, FOODSVC_CREATED, id);
    proxy_set(proxy, PROXY_STALL, "");
    start = foodsvc_time_monotonic();
    rc = insert_order(remote, order);               /* sent and never answered */
    assert_true(rc == FOODSVC_STORE_UNKNOWN || rc == FOODSVC_STORE_UNAVAILABLE);
    assert_true(foodsvc_time_monotonic() - start < 6000);
    start = foodsvc_time_monotonic();
    op = event_op(id, FOODSVC_PAYMENT_PAID);
    change_one(remote, &op);                        /* not even read: nothing was written */
    assert_int_equal(op.rc, FOODSVC_STORE_UNAVAILABLE);
    assert_string_not_equal(op.err, "");
    assert_int_equal(foodsvc_store_ping(remote, err), FOODSVC_STORE_UNAVAILABLE);
    assert_true(foodsvc_time_monotonic() - start < 6000);

    proxy_set(proxy, PROXY_PASS, "");               /* and on again, without more ado */
    start = foodsvc_time_monotonic();
    do {
        rc = foodsvc_store_ping(remote, err);
    } while (rc != FOODSVC_STORE_OK && foodsvc_time_monotonic() - start < 15000);
    assert_int_equal(rc, FOODSVC_STORE_OK);
    change_one(remote, &op);
    assert_int_equal(op.rc, FOODSVC_STORE_OK);
    assert_int_equal(op.verdict, FOODSVC_APPLIED);
    foodsvc_order_free(op.order);
    foodsvc_order_free(order);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cancel_race), cmocka_unit_test(test_walk_race),
        cmocka_unit_test_setup_teardown(test_insert_lost, setup_proxy, teardown_proxy),
        cmocka_unit_test_setup_teardown(test_change_lost, setup_proxy, teardown_proxy),
        cmocka_unit_test_setup_teardown(test_payment_lost, setup_proxy, teardown_proxy),
        cmocka_unit_test_setup_teardown(test_stalled, setup_proxy, teardown_proxy)
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
