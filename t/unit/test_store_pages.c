/* Orders page by page: each once, the newest first, whatever their `created` is. */
#include "store_stage.h"

/* Each document exactly once, in order, whatever the type of `created` and the size of a page. */
static void check_pages(size_t limit, char ids[][FOODSVC_UUID_TEXT + 1], const size_t counts[], size_t n)
{
    foodsvc_store_page_t  page = { .limit = limit };
    bson_t               *after = NULL;
    size_t                seen[16] = { 0 }, i, k;

    do {
        memset(&page, 0, sizeof(page));
        page.limit = limit;
        page.after = after;
        foodsvc_store_orders_page(store, &page);
        assert_int_equal(page.rc, FOODSVC_STORE_OK);
        assert_true(page.norders <= limit);
        for (i = 0; i < page.norders; i++) {
            for (k = 0; k < n; k++) {
                seen[k] += strcmp(page.orders[i]->id, ids[k]) == 0;
            }
        }
        turn_page(&page, &after);
    } while (after != NULL);
    for (k = 0; k < n; k++) {
        assert_int_equal(seen[k], counts[k]);
    }
}

static void test_pages(void **state)
{
    static const char *const  created[] = {
        "{\"$date\": 4102444800000}", "{\"$date\": 4102444800000}", "{\"$date\": 4102444800001}", "{\"$date\": 0}",
        "\"2026-11-23T10:22:51.910000\"", "\"2026-11-23 10:22:51\"", "null", "[]", "[{\"$date\": 1}, 5]", "{\"a\": 1}"
    };
    static const size_t       counts[] = { 1, 1, 1, 1, 1, 1, 0, 0, 0, 0 };
    char                      ids[16][FOODSVC_UUID_TEXT + 1], json[1024];
    size_t                    i;
    foodsvc_store_page_t      page = { .limit = 0 };

    for (i = 0; i < COUNT(created); i++) {
        new_id(ids[i]);
        snprintf(json, sizeof(json), "{\"_id\": \"%s\", " FOREIGN ", \"status\": \"created\", \"created\": %s}",
                 ids[i], created[i]);
        raw_put(FOODSVC_ORDERS, ids[i], json);
    }
    check_pages(3, ids, counts, COUNT(created));
    check_pages(100, ids, counts, COUNT(created));
    check_pages(1000, ids, counts, COUNT(created));

    foodsvc_store_orders_page(store, &page);                /* out of range: one */
    assert_int_equal(page.rc, FOODSVC_STORE_OK);
    assert_int_equal(page.norders, 1);
    assert_string_equal(page.orders[0]->id, ids[2]);        /* the newest of all, in 2100 */
    foodsvc_store_page_clear(&page);
    for (i = 0; i < COUNT(created); i++) {
        foodsvc_store_order_op_t op = { .id = ids[i] }, *ops[1] = { &op };

        foodsvc_store_orders_delete(store, ops, 1);
    }
}

static void test_page_without_index(void **state)
{
    mongoc_client_t       *client = mongoc_client_new(mongo_url());
    mongoc_collection_t   *orders = mongoc_client_get_collection(client, FOODSVC_DB, FOODSVC_ORDERS);
    bson_error_t           error;
    foodsvc_store_page_t   page = { .limit = 2 };

    assert_true(mongoc_collection_drop_index(orders, "created_-1__id_-1", &error));
    foodsvc_store_orders_page(store, &page);
    assert_int_equal(page.rc, FOODSVC_STORE_OK);
    foodsvc_store_page_clear(&page);
    mongoc_collection_destroy(orders);
    mongoc_client_destroy(client);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pages),
        cmocka_unit_test(test_page_without_index),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
