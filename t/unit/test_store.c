/* The store's frame: URIs and their secrets, a server that isn't there, ping, indexes, service_urls. */
#include <signal.h>
#include "store.h"
#include "foodsvc_store_int.h"

static foodsvc_store_t *store;

static int setup(void **state)
{
    mongo_url();
    store = open_store(mongo_url(), 1000, 4);
    return 0;
}

static int teardown(void **state)
{
    foodsvc_store_close(store);
    return 0;
}

static void test_uris(void **state)
{
    static const char *const good[] = {
        "mongodb://127.0.0.1", "mongodb://127.0.0.1:27017/", "mongodb://u:p%40ss@host:1/db?authSource=admin",
        "mongodb://a,b:2,c/?replicaSet=rs0&w=1", "mongodb://[::1]:27017/"
    };
    static const char *const bad[] = {
        "", "http://127.0.0.1", "127.0.0.1:27017", "mongodb://", "mongodb+srv://example.org/",
        "mongodb://127.0.0.1:99999/", "mongodb://127.0.0.1/?w=0", "mongodb://user:s3cr3t/x@127.0.0.1/",
        "mongodb://user:s3cr3t@127.0.0.1:x/", "mongodb://user:s3cr3t@127.0.0.1/?socketTimeoutMS=x"
    };
    char    err[FOODSVC_ERR];
    size_t  i;

    for (i = 0; i < COUNT(good); i++) {
        assert_true(foodsvc_store_uri_check(good[i], err));
    }
    for (i = 0; i < COUNT(bad); i++) {
        err[0] = '\0';
        assert_false(foodsvc_store_uri_check(bad[i], err));
        assert_string_not_equal(err, "");
        assert_null(strstr(err, "s3cr3t"));
    }
    assert_false(foodsvc_store_uri_check(NULL, err));
}

/* Reads see what a majority has when writes wait for more than one server, unless the URI says what they see. */
static void test_uri_read_concern(void **state)
{
    static const struct { const char *uri, *level; } uris[] = {
        { "mongodb://a,b,c/?replicaSet=rs0", "majority" }, { "mongodb://a/?w=majority", "majority" },
        { "mongodb://a/?w=2", "majority" }, { "mongodb://a/?w=everywhere", "majority" },
        { "mongodb://a/?w=1", NULL }, { "mongodb://a/?w=1&readConcernLevel=majority", "majority" },
        { "mongodb://a/?readConcernLevel=local", "local" }
    };
    const char    *level;
    char           err[FOODSVC_ERR];
    mongoc_uri_t  *uri;
    size_t         i;

    for (i = 0; i < COUNT(uris); i++) {
        uri = foodsvc_store_uri(uris[i].uri, err);
        assert_non_null(uri);
        assert_true(foodsvc_store_uri_defaults(uri, 1000));
        level = mongoc_read_concern_get_level(mongoc_uri_get_read_concern(uri));
        assert_int_equal(level == NULL, uris[i].level == NULL);
        assert_string_equal(level != NULL ? level : "", uris[i].level != NULL ? uris[i].level : "");
        mongoc_uri_destroy(uri);
    }
}

static void test_open_refuses(void **state)
{
    char                  err[FOODSVC_ERR] = "";
    foodsvc_store_conf_t  conf = { .uri = "mongodb://127.0.0.1:x/", .max_clients = 1 };

    assert_null(foodsvc_store_open(&conf, err));
    assert_string_not_equal(err, "");
    foodsvc_store_close(NULL);
}

static atomic_int logged;

static void count_log(void *ctx, int level, const char *text)
{
    atomic_fetch_add(&logged, 1);
}

static void test_no_server(void **state)
{
    int                         port = 1;
    char                        uri[64], err[FOODSVC_ERR], id[FOODSVC_UUID_TEXT + 1];
    foodsvc_store_conf_t        conf = { .uri = uri, .max_clients = 2, .timeout_ms = 300, .log = count_log };
    foodsvc_store_t            *away;
    foodsvc_order_t            *order = new_order(FOODSVC_CREATED);
    foodsvc_store_change_op_t   change;
    foodsvc_store_page_t        page = { .limit = 10 };
    foodsvc_service_url_t       url, *list;
    size_t                      n;
    int64_t                     start = foodsvc_time_monotonic();

    snprintf(uri, sizeof(uri), "mongodb://127.0.0.1:%d/", port);
    away = foodsvc_store_open(&conf, err);
    assert_non_null(away);
    assert_int_equal(foodsvc_store_ping(away, err), FOODSVC_STORE_UNAVAILABLE);
    assert_string_not_equal(err, "");
    assert_int_equal(insert_order(away, order), FOODSVC_STORE_UNAVAILABLE);
    new_id(id);
    change = event_op(id, FOODSVC_PAYMENT_PAID);
    change_one(away, &change);
    assert_int_equal(change.rc, FOODSVC_STORE_UNAVAILABLE);
    foodsvc_store_orders_page(away, &page);
    assert_int_equal(page.rc, FOODSVC_STORE_UNAVAILABLE);
    assert_null(page.orders);
    assert_int_equal(foodsvc_store_url_find(away, "X", &url, err), FOODSVC_STORE_UNAVAILABLE);
    assert_int_equal(foodsvc_store_url_list(away, &list, &n, err), FOODSVC_STORE_UNAVAILABLE);
    assert_null(list);
    assert_int_equal(foodsvc_store_prepare(away, err), FOODSVC_STORE_UNAVAILABLE);
    assert_true(foodsvc_time_monotonic() - start < 7 * 1500);
    foodsvc_store_close(away);
    foodsvc_order_free(order);
}

static void test_ping_and_prepare(void **state)
{
    char  err[FOODSVC_ERR];

    assert_int_equal(foodsvc_store_ping(store, err), FOODSVC_STORE_OK);
    assert_string_equal(err, "");
    assert_int_equal(foodsvc_store_prepare(store, err), FOODSVC_STORE_OK);
    assert_int_equal(foodsvc_store_prepare(store, err), FOODSVC_STORE_OK);
}

/* The driver's threads must not take signals that a program waits for elsewhere. */
static void test_signals_stay(void **state)
{
    sigset_t          set, mask;
    struct timespec   zero = { 0, 0 };
    char              err[FOODSVC_ERR];
    foodsvc_store_t  *fresh;

    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    fresh = open_store(mongo_url(), 1000, 1);
    assert_int_equal(foodsvc_store_ping(fresh, err), FOODSVC_STORE_OK);     /* now the monitors run */
    pthread_sigmask(SIG_BLOCK, NULL, &mask);
    assert_false(sigismember(&mask, SIGTERM));
    pthread_sigmask(SIG_BLOCK, &set, NULL);
    kill(getpid(), SIGUSR1);                /* would end the process in a thread that doesn't block it */
    assert_int_equal(sigtimedwait(&set, NULL, &zero), SIGUSR1);
    pthread_sigmask(SIG_UNBLOCK, &set, NULL);
    foodsvc_store_close(fresh);
}

static void test_urls(void **state)
{
    foodsvc_service_url_t   url = { "", "https://127.0.0.1:8001" }, found, *list;
    char                    err[FOODSVC_ERR], id[FOODSVC_UUID_TEXT + 1], json[256];
    size_t                  i, n;
    bson_t                  doc;
    bool                    seen = false;

    new_id(id);
    assert_int_equal(foodsvc_store_url_find(store, id, &found, err), FOODSVC_STORE_NOT_FOUND);
    memcpy(url.name, id, sizeof(id));
    assert_int_equal(foodsvc_store_url_save(store, &url, err), FOODSVC_STORE_OK);
    assert_int_equal(foodsvc_store_url_find(store, id, &found, err), FOODSVC_STORE_OK);
    assert_string_equal(found.url, url.url);
    strcpy(url.url, "http://other:1");
    assert_int_equal(foodsvc_store_url_save(store, &url, err), FOODSVC_STORE_OK);
    raw_get(FOODSVC_SERVICE_URLS, id, &doc);
    assert_true(raw_is(&doc, "url", BSON_TYPE_UTF8));
    assert_int_equal(bson_count_keys(&doc), 2);
    bson_destroy(&doc);

    assert_int_equal(foodsvc_store_url_list(store, &list, &n, err), FOODSVC_STORE_OK);
    for (i = 0; i < n; i++) {
        seen = seen || (strcmp(list[i].name, id) == 0 && strcmp(list[i].url, "http://other:1") == 0);
        assert_true(i == 0 || strcmp(list[i - 1].name, list[i].name) < 0);
    }
    assert_true(seen);
    free(list);

    new_id(id);
    snprintf(json, sizeof(json), "{\"_id\": \"%s\", \"url\": 17}", id);
    raw_put(FOODSVC_SERVICE_URLS, id, json);
    assert_int_equal(foodsvc_store_url_find(store, id, &found, err), FOODSVC_STORE_UNREADABLE);
    assert_non_null(strstr(err, "url"));
    assert_int_equal(foodsvc_store_url_list(store, &list, &n, err), FOODSVC_STORE_OK);
    assert_string_not_equal(err, "");
    free(list);
}

static void test_names(void **state)
{
    int  rc;

    for (rc = FOODSVC_STORE_OK; rc <= FOODSVC_STORE_FAILED; rc++) {
        assert_string_not_equal(foodsvc_store_rc_name((foodsvc_store_rc_e) rc), "?");
    }
    assert_string_equal(foodsvc_store_rc_name((foodsvc_store_rc_e) 99), "?");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_uris), cmocka_unit_test(test_uri_read_concern), cmocka_unit_test(test_open_refuses),
        cmocka_unit_test(test_no_server), cmocka_unit_test(test_ping_and_prepare), cmocka_unit_test(test_signals_stay),
        cmocka_unit_test(test_urls), cmocka_unit_test(test_names)
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
