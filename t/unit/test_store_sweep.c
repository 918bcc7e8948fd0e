/* Orders that owe something: owes_since follows every write, and its index finds them by age, bounded. */
#include "store_stage.h"

#define OLD     86400000        /* ms since 1970: older than what any other test leaves */

static void delete_order(const char *id)
{
    foodsvc_store_order_op_t op = { .id = id }, *ops[1] = { &op };

    foodsvc_store_orders_delete(store, ops, 1);
    assert_int_equal(op.rc, FOODSVC_STORE_OK);
}

/* owes_since as stored; -1: not there. */
static int64_t owes_since(const char *id)
{
    bson_iter_t  iter;
    int64_t      since = -1;
    bson_t       doc;

    raw_get(FOODSVC_ORDERS, id, &doc);
    if (bson_iter_init_find(&iter, &doc, FOODSVC_OWES_SINCE)) {
        assert_true(BSON_ITER_HOLDS_DATE_TIME(&iter));
        since = bson_iter_date_time(&iter);
    }
    bson_destroy(&doc);
    return since;
}

static void change(foodsvc_store_change_op_t op, foodsvc_verdict_e verdict)
{
    change_one(store, &op);
    assert_int_equal(op.rc, FOODSVC_STORE_OK);
    assert_int_equal(op.verdict, verdict);
    foodsvc_order_free(op.order);
}

static void test_kept_by_every_write(void **state)
{
    foodsvc_order_t           *order = new_order(FOODSVC_CREATED);
    foodsvc_store_change_op_t  op;
    int64_t                    now = foodsvc_time_now();

    order->created = now - 5000;
    assert_int_equal(insert_order(store, order), FOODSVC_STORE_OK);
    assert_int_equal(owes_since(order->id), now - 5000);

    op = event_op(order->id, FOODSVC_CREATED);              /* nothing new but a claim: the debt is as old as before */
    op.claim_by = "sweep";
    op.claim_ms = 1000;
    change(op, FOODSVC_DUPLICATE);
    assert_int_equal(owes_since(order->id), now - 5000);

    op = event_op(order->id, FOODSVC_PAYMENT_PAID);         /* another status, another debt */
    op.change.when = now - 3000;
    change(op, FOODSVC_APPLIED);
    assert_int_equal(owes_since(order->id), now - 3000);

    op = event_op(order->id, FOODSVC_DELIVERY_SCHEDULED);   /* with its id: nothing is owed */
    op.change.has_delivery_id = true;
    foodsvc_uuid_v4(&op.change.delivery_id);
    change(op, FOODSVC_APPLIED);
    assert_int_equal(owes_since(order->id), -1);

    op = cancel_op(order->id);
    op.change.when = now - 1000;
    change(op, FOODSVC_APPLIED);
    assert_int_equal(owes_since(order->id), now - 1000);

    op.change = (foodsvc_change_t) { .kind = FOODSVC_CHANGE_SETTLED, .settled = FOODSVC_OWES_DELIVERY_CANCEL };
    change(op, FOODSVC_NOTED);                              /* one of two */
    assert_int_equal(owes_since(order->id), now - 1000);
    op.change.settled = FOODSVC_OWES_REIMBURSEMENT;
    change(op, FOODSVC_NOTED);
    assert_int_equal(owes_since(order->id), -1);
    delete_order(order->id);
    foodsvc_order_free(order);
}

/* Where `id` is on a page; -1: it is not. */
static int place_on(const foodsvc_store_page_t *page, const char *id)
{
    for (size_t i = 0; i < page->norders; i++) {
        if (strcmp(page->orders[i]->id, id) == 0) {
            return (int) i;
        }
    }
    return -1;
}

static int find_owing(foodsvc_status_e status, int64_t before, bool claimed, const char *id)
{
    foodsvc_store_owing_t  owing = { .status = status, .before = before, .claimed = claimed };
    foodsvc_store_page_t   page = { .limit = 1000 };
    int                    place;

    foodsvc_store_orders_owing(store, &owing, &page);
    assert_int_equal(page.rc, FOODSVC_STORE_OK);
    place = place_on(&page, id);
    foodsvc_store_page_clear(&page);
    return place;
}

static void test_found_by_age(void **state)
{
    enum { N = 7 };
    foodsvc_order_t       *orders[N];
    foodsvc_store_owing_t  owing = { .status = FOODSVC_CREATED, .before = OLD + N - 2 };
    foodsvc_store_page_t   page = { .limit = 2 };
    bson_t                *after = NULL;
    size_t                 i, seen = 0;

    for (i = 0; i < N; i++) {
        orders[i] = new_order(FOODSVC_CREATED);
        orders[i]->created = OLD + (int64_t) (N - 1 - i);       /* the last one is the oldest */
        assert_int_equal(insert_order(store, orders[i]), FOODSVC_STORE_OK);
    }
    do {
        page = (foodsvc_store_page_t) { .limit = 2, .after = after };
        foodsvc_store_orders_owing(store, &owing, &page);
        assert_int_equal(page.rc, FOODSVC_STORE_OK);
        assert_true(page.norders <= 2);
        for (i = 0; i < page.norders; i++) {
            assert_string_equal(page.orders[i]->id, orders[N - 1 - seen]->id);
            seen++;
        }
        turn_page(&page, &after);
    } while (after != NULL);
    assert_int_equal(seen, N - 1);                              /* the youngest is not old enough */

    assert_int_equal(find_owing(FOODSVC_PAYMENT_PAID, foodsvc_time_now(), true, orders[0]->id), -1);
    for (i = 0; i < N; i++) {
        delete_order(orders[i]->id);
        foodsvc_order_free(orders[i]);
    }
}

static void test_claimed_ones_are_left(void **state)
{
    char                       id[FOODSVC_UUID_TEXT + 1];
    foodsvc_store_change_op_t  op;
    int64_t                    now = foodsvc_time_now();

    stored_order(store, FOODSVC_CREATED, id);
    assert_int_not_equal(find_owing(FOODSVC_CREATED, now + 1000, false, id), -1);
    op = event_op(id, FOODSVC_CREATED);
    op.claim_by = "another";
    op.claim_ms = 60000;
    change(op, FOODSVC_DUPLICATE);
    assert_int_equal(find_owing(FOODSVC_CREATED, now + 1000, false, id), -1);
    assert_int_not_equal(find_owing(FOODSVC_CREATED, now + 1000, true, id), -1);

    raw_put(FOODSVC_ORDERS, id, "{\"$set\": {\"claim.until\": {\"$date\": \"2026-01-01T00:00:00Z\"}}}");
    assert_int_not_equal(find_owing(FOODSVC_CREATED, now + 1000, false, id), -1);      /* expired */
    raw_put(FOODSVC_ORDERS, id, "{\"$set\": {\"claim.until\": {\"$date\": \"2226-01-01T00:00:00Z\"}}}");
    assert_int_not_equal(find_owing(FOODSVC_CREATED, now + 1000, false, id), -1);      /* longer than anybody may */
    delete_order(id);
}

/* Written by a host whose clock was ahead: not among the old ones, and found all the same, once, page by page. */
static void test_a_clock_that_was_ahead(void **state)
{
    foodsvc_store_owing_t  owing = { .status = FOODSVC_CREATED, .ahead = true };
    int64_t                now = foodsvc_time_now();
    foodsvc_order_t       *orders[3];
    bson_t                *after = NULL;
    size_t                 seen = 0;

    for (size_t i = 0; i < COUNT(orders); i++) {
        orders[i] = new_order(FOODSVC_CREATED);
        orders[i]->created = now + (i < 2 ? 3600000 + (int64_t) i : 0);
        assert_int_equal(insert_order(store, orders[i]), FOODSVC_STORE_OK);
    }
    assert_int_equal(find_owing(FOODSVC_CREATED, now + 1000, true, orders[0]->id), -1);
    do {
        foodsvc_store_page_t  page = { .limit = 1, .after = after };

        foodsvc_store_orders_owing(store, &owing, &page);
        assert_int_equal(page.rc, FOODSVC_STORE_OK);
        assert_int_equal(place_on(&page, orders[2]->id), -1);
        seen += place_on(&page, orders[0]->id) == 0 || place_on(&page, orders[1]->id) == 0;
        turn_page(&page, &after);
    } while (after != NULL);
    assert_int_equal(seen, 2);
    for (size_t i = 0; i < COUNT(orders); i++) {
        delete_order(orders[i]->id);
        foodsvc_order_free(orders[i]);
    }
}

static void put_foreign(char id[FOODSVC_UUID_TEXT + 1], const char *status, const char *more)
{
    char  json[512];

    new_id(id);
    snprintf(json, sizeof(json),
             "{\"_id\": \"%s\", \"items\": [{\"product\": \"Lasagna\", \"quantity\": 1}], \"status\": \"%s\","
             " \"created\": {\"$date\": \"2026-11-23T10:00:00Z\"}, \"customer_id\": \"%s\", \"kitchen_id\": null,"
             " \"delivery_id\": null, \"updated\": []%s}", id, status, id, more);
    raw_put(FOODSVC_ORDERS, id, json);
}

static void test_foreign_orders(void **state)
{
    char                       id[FOODSVC_UUID_TEXT + 1];
    foodsvc_store_owing_t      owing = { .status = FOODSVC_CREATED, .unmarked = true };
    foodsvc_store_page_t       page = { .limit = 1000 };
    foodsvc_store_change_op_t  op;

    put_foreign(id, "created", "");
    assert_int_equal(find_owing(FOODSVC_CREATED, foodsvc_time_now(), true, id), -1);
    foodsvc_store_orders_owing(store, &owing, &page);
    assert_int_equal(page.rc, FOODSVC_STORE_OK);
    assert_int_not_equal(place_on(&page, id), -1);
    foodsvc_store_page_clear(&page);

    change(event_op(id, FOODSVC_CREATED), FOODSVC_DUPLICATE);   /* nobody who would claim it: left as it is */
    assert_int_equal(owes_since(id), -1);
    op = event_op(id, FOODSVC_CREATED);
    op.claim_by = "sweep";
    change(op, FOODSVC_DUPLICATE);                              /* from now on it is found by its age */
    assert_int_equal(owes_since(id), 1795428000000);
    assert_int_not_equal(find_owing(FOODSVC_CREATED, 1795428000000, false, id), -1);
    delete_order(id);

    put_foreign(id, "delivered", ", \"owes_since\": {\"$date\": \"2026-11-23T10:00:00Z\"}");
    assert_int_not_equal(find_owing(FOODSVC_DELIVERED, foodsvc_time_now(), false, id), -1);
    op = event_op(id, FOODSVC_DELIVERED);
    op.claim_by = "sweep";
    change(op, FOODSVC_DUPLICATE);
    assert_int_equal(owes_since(id), -1);                       /* it owes nothing any more */
    delete_order(id);
}

/* --- by the index, and no more of it than the page --- */

static void profile(mongoc_database_t *db, int level)
{
    bson_t        *command = BCON_NEW("profile", BCON_INT32(level));
    bson_error_t   error;

    if (!mongoc_database_command_simple(db, command, NULL, NULL, &error)) {
        fail_msg("%s", error.message);
    }
    bson_destroy(command);
}

static int64_t number(const bson_t *doc, const char *key)
{
    bson_iter_t  iter;

    assert_true(bson_iter_init_find(&iter, doc, key));
    return bson_iter_as_int64(&iter);
}

/* What the server says of the newest find in orders. */
static void check_last_find(mongoc_database_t *db, const char *index, int64_t most)
{
    mongoc_collection_t  *profiles = mongoc_database_get_collection(db, "system.profile");
    bson_t               *filter = BCON_NEW("command.find", FOODSVC_ORDERS);
    bson_t               *opts = BCON_NEW("sort", "{", "$natural", BCON_INT32(-1), "}", "limit", BCON_INT64(1));
    mongoc_cursor_t      *cursor = mongoc_collection_find_with_opts(profiles, filter, opts, NULL);
    const bson_t         *doc;
    bson_iter_t           iter;

    assert_true(mongoc_cursor_next(cursor, &doc));
    assert_true(bson_iter_init_find(&iter, doc, "planSummary"));
    assert_string_equal(bson_iter_utf8(&iter, NULL), index);
    assert_true(number(doc, "docsExamined") <= most);
    assert_true(number(doc, "keysExamined") <= most);
    assert_false(bson_has_field(doc, "hasSortStage"));
    mongoc_cursor_destroy(cursor);
    bson_destroy(opts);
    bson_destroy(filter);
    mongoc_collection_destroy(profiles);
}

static void test_bounded_by_the_index(void **state)
{
    enum { N = 50 };
    mongoc_client_t        *client = mongoc_client_new(mongo_url());
    mongoc_database_t      *db = mongoc_client_get_database(client, FOODSVC_DB);
    foodsvc_store_owing_t   owing = { .status = FOODSVC_PAYMENT_PAID, .before = foodsvc_time_now() + 1000,
                                      .claimed = true };
    char                    ids[2 * N][FOODSVC_UUID_TEXT + 1];
    bson_t                 *after = NULL;
    size_t                  i, pages;
    int                     unmarked;

    for (i = 0; i < N; i++) {
        stored_order(store, FOODSVC_PAYMENT_PAID, ids[i]);
        put_foreign(ids[N + i], "paymentPaid", "");
    }
    profile(db, 2);
    for (unmarked = 0; unmarked < 2; unmarked++) {
        owing.unmarked = unmarked;
        for (pages = 0; pages < 3; pages++) {
            foodsvc_store_page_t  page = { .limit = 5, .after = after };

            foodsvc_store_orders_owing(store, &owing, &page);
            assert_int_equal(page.norders, 5);
            check_last_find(db, "IXSCAN { status: 1, owes_since: 1, _id: 1 }", 7);
            turn_page(&page, &after);
        }
        bson_destroy(after);
        after = NULL;
    }
    profile(db, 0);
    for (i = 0; i < 2 * N; i++) {
        delete_order(ids[i]);
    }
    mongoc_database_destroy(db);
    mongoc_client_destroy(client);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_kept_by_every_write), cmocka_unit_test(test_found_by_age),
        cmocka_unit_test(test_claimed_ones_are_left), cmocka_unit_test(test_a_clock_that_was_ahead),
        cmocka_unit_test(test_foreign_orders),
        cmocka_unit_test(test_bounded_by_the_index)
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
