/* Idempotency keys in MongoDB: one attempt at a time, one order id, one answer. */
#include "store_stage.h"

static void new_key(char id[FOODSVC_STORE_HASH + 1])
{
    foodsvc_uuid_t  uuid;

    for (int i = 0; i < FOODSVC_STORE_HASH; i += 16) {
        foodsvc_uuid_v4(&uuid);
        for (int k = 0; k < 8; k++) {
            snprintf(id + i + 2 * k, 3, "%02x", uuid.bytes[k + 8]);
        }
    }
}

static foodsvc_store_key_op_t begin_op(const char *id, char print, int64_t now, int64_t lease)
{
    foodsvc_store_key_op_t  op = { .id = id, .now = now, .until = now + lease };

    memset(op.fingerprint, print, FOODSVC_STORE_HASH);
    new_id(op.order_id);
    return op;
}

static void begin(foodsvc_store_t *on, foodsvc_store_key_op_t *op)
{
    foodsvc_store_key_op_t *ops[1] = { op };

    foodsvc_store_keys_begin(on, ops, 1);
}

static foodsvc_store_rc_e end(foodsvc_store_t *on, const char *id, int64_t until, int32_t status, char *body)
{
    foodsvc_store_key_op_t   op = { .id = id, .until = until, .status = status, .body = body,
                                    .len = body ? strlen(body) : 0 };
    foodsvc_store_key_op_t  *ops[1] = { &op };

    foodsvc_store_keys_end(on, ops, 1);
    return op.rc;
}

#define assert_verdict(op, wanted) \
    do { \
        assert_int_equal((op).rc, FOODSVC_STORE_OK); \
        assert_int_equal((op).verdict, wanted); \
    } while (0)

static void test_first_repeat_and_answer(void **state)
{
    char                    id[FOODSVC_STORE_HASH + 1];
    int64_t                 now = foodsvc_time_now();
    foodsvc_store_key_op_t  first, op;
    bson_t                  doc;

    new_key(id);
    first = begin_op(id, 'a', now, 5000);
    begin(store, &first);
    assert_verdict(first, FOODSVC_KEY_NEW);
    raw_get(FOODSVC_IDEMPOTENCY_KEYS, id, &doc);
    assert_true(raw_is(&doc, "created", BSON_TYPE_DATE_TIME));
    assert_true(raw_is(&doc, "until", BSON_TYPE_DATE_TIME));
    assert_false(bson_has_field(&doc, "status"));
    bson_destroy(&doc);

    op = begin_op(id, 'a', now + 4999, 5000);
    begin(store, &op);
    assert_verdict(op, FOODSVC_KEY_BUSY);
    op = begin_op(id, 'b', now, 5000);
    begin(store, &op);
    assert_verdict(op, FOODSVC_KEY_OTHER);

    assert_int_equal(end(store, id, first.until, 202, "{\"id\":\"\xc3\xa6\"}"), FOODSVC_STORE_OK);
    op = begin_op(id, 'a', now + 60000, 5000);
    begin(store, &op);
    assert_verdict(op, FOODSVC_KEY_ANSWERED);
    assert_int_equal(op.status, 202);
    assert_string_equal(op.body, "{\"id\":\"\xc3\xa6\"}");
    assert_string_equal(op.order_id, first.order_id);
    free(op.body);
    op = begin_op(id, 'b', now + 60000, 5000);
    begin(store, &op);
    assert_verdict(op, FOODSVC_KEY_OTHER);
    assert_null(op.body);
    assert_int_equal(end(store, id, first.until, 400, "{}"), FOODSVC_STORE_NOT_FOUND);
}

/* Whoever takes over gets the first one's order id, and the first one, should it still live, can't end it any more. */
static void test_lease(void **state)
{
    char                    id[FOODSVC_STORE_HASH + 1];
    int64_t                 now = foodsvc_time_now();
    foodsvc_store_key_op_t  first, second, op;

    new_key(id);
    first = begin_op(id, 'a', now, 1000);
    begin(store, &first);
    assert_verdict(first, FOODSVC_KEY_NEW);
    second = begin_op(id, 'a', now + 1000, 1000);
    begin(store, &second);
    assert_verdict(second, FOODSVC_KEY_TAKEN);
    assert_string_equal(second.order_id, first.order_id);
    assert_int_equal(end(store, id, first.until, 500, "{}"), FOODSVC_STORE_NOT_FOUND);
    assert_int_equal(end(store, id, first.until, 0, NULL), FOODSVC_STORE_NOT_FOUND);
    op = begin_op(id, 'a', now + 1001, 1000);
    begin(store, &op);
    assert_verdict(op, FOODSVC_KEY_BUSY);

    assert_int_equal(end(store, id, second.until, 0, NULL), FOODSVC_STORE_OK);
    op = begin_op(id, 'a', now + 1002, 1000);
    begin(store, &op);
    assert_verdict(op, FOODSVC_KEY_TAKEN);
    assert_string_equal(op.order_id, first.order_id);
    assert_int_equal(end(store, id, op.until, 202, "{}"), FOODSVC_STORE_OK);
}

/* A host whose clock was ahead died in the middle: nobody waits until its time has come. */
static void test_wrong_clock(void **state)
{
    char                    id[FOODSVC_STORE_HASH + 1];
    int64_t                 now = foodsvc_time_now();
    foodsvc_store_key_op_t  first, op;

    new_key(id);
    first = begin_op(id, 'a', now + 86400000, 5000);
    begin(store, &first);
    assert_verdict(first, FOODSVC_KEY_NEW);
    op = begin_op(id, 'a', now, 5000);
    begin(store, &op);
    assert_verdict(op, FOODSVC_KEY_TAKEN);
    assert_string_equal(op.order_id, first.order_id);
    assert_int_equal(end(store, id, first.until, 202, "{}"), FOODSVC_STORE_NOT_FOUND);
    assert_int_equal(end(store, id, op.until, 202, "{}"), FOODSVC_STORE_OK);
}

static void test_none_there(void **state)
{
    char     id[FOODSVC_STORE_HASH + 1];
    int64_t  start = foodsvc_time_monotonic();

    new_key(id);
    assert_int_equal(end(store, id, 12345, 202, "{}"), FOODSVC_STORE_NOT_FOUND);
    assert_true(foodsvc_time_monotonic() - start < 1000);
}

/* Three of one key in one batch, and one of another. */
static void test_batch(void **state)
{
    char                    id[FOODSVC_STORE_HASH + 1], other[FOODSVC_STORE_HASH + 1];
    int64_t                 now = foodsvc_time_now();
    foodsvc_store_key_op_t  op[4], *ops[4] = { &op[0], &op[1], &op[2], &op[3] };

    new_key(id);
    new_key(other);
    op[0] = begin_op(id, 'a', now, 5000);
    op[1] = begin_op(other, 'a', now, 5000);
    op[2] = begin_op(id, 'a', now, 5000);
    op[3] = begin_op(id, 'b', now, 5000);
    foodsvc_store_keys_begin(store, ops, 4);
    assert_verdict(op[0], FOODSVC_KEY_NEW);
    assert_verdict(op[1], FOODSVC_KEY_NEW);
    assert_verdict(op[2], FOODSVC_KEY_BUSY);
    assert_verdict(op[3], FOODSVC_KEY_OTHER);
}

/* The answer to the insert is lost: it is found to be ours, and still NEW. */
static void test_lost_reply(void **state)
{
    char                    id[FOODSVC_STORE_HASH + 1];
    int64_t                 now = foodsvc_time_now();
    foodsvc_store_key_op_t  op;
    proxy_t                *proxy = proxy_start();
    foodsvc_store_t        *behind = open_store(proxy->uri, 1000, 2);

    new_key(id);
    proxy_set(proxy, PROXY_LOSE_REPLY, id);
    op = begin_op(id, 'a', now, 5000);
    begin(behind, &op);
    assert_verdict(op, FOODSVC_KEY_NEW);
    proxy_set(proxy, PROXY_LOSE_REPLY, id);
    assert_int_equal(end(behind, id, op.until, 202, "{}"), FOODSVC_STORE_OK);
    op = begin_op(id, 'a', now, 5000);
    begin(behind, &op);
    assert_verdict(op, FOODSVC_KEY_ANSWERED);
    free(op.body);
    foodsvc_store_close(behind);
    proxy_stop(proxy);
}

static void test_foreign_document(void **state)
{
    char                    id[FOODSVC_STORE_HASH + 1], json[256];
    foodsvc_store_key_op_t  op;

    new_key(id);
    snprintf(json, sizeof(json), "{\"_id\": \"%s\", \"fingerprint\": 7}", id);
    raw_put(FOODSVC_IDEMPOTENCY_KEYS, id, json);
    op = begin_op(id, 'a', foodsvc_time_now(), 5000);
    begin(store, &op);
    assert_int_equal(op.rc, FOODSVC_STORE_UNREADABLE);
}

/* --- many at once --- */

#define RACERS  6
#define ROUNDS  20

typedef struct {
    pthread_barrier_t  start;       /* of a round: all at once */
    char      id[ROUNDS][FOODSVC_STORE_HASH + 1];
    int64_t   now;
    atomic_int won[ROUNDS];
    char      order_id[RACERS][ROUNDS][FOODSVC_UUID_TEXT + 1];
} race_t;

typedef struct {
    race_t  *race;
    int      racer;
} racer_t;

static void *run_racer(void *data)
{
    racer_t  *racer = data;
    race_t   *race = racer->race;

    for (int i = 0; i < ROUNDS; i++) {
        foodsvc_store_key_op_t op = begin_op(race->id[i], 'a', race->now, 60000 + racer->racer);

        pthread_barrier_wait(&race->start);
        begin(store, &op);
        if (op.rc == FOODSVC_STORE_OK && (op.verdict == FOODSVC_KEY_NEW || op.verdict == FOODSVC_KEY_TAKEN)) {
            atomic_fetch_add(&race->won[i], 1);
        }
        memcpy(race->order_id[racer->racer][i], op.order_id, sizeof(op.order_id));
    }
    return NULL;
}

/* Even rounds begin with no record, odd ones with one whose lease is over: each has one winner, and one order id. */
static void test_race(void **state)
{
    static race_t           race;
    pthread_t               threads[RACERS];
    racer_t                 racers[RACERS];
    foodsvc_store_key_op_t  op;

    race.now = foodsvc_time_now();
    assert_int_equal(pthread_barrier_init(&race.start, NULL, RACERS), 0);
    for (int i = 0; i < ROUNDS; i++) {
        new_key(race.id[i]);
        if (i % 2) {
            op = begin_op(race.id[i], 'a', race.now - 10, 1);
            begin(store, &op);
            assert_verdict(op, FOODSVC_KEY_NEW);
        }
    }
    for (int i = 0; i < RACERS; i++) {
        racers[i] = (racer_t) { &race, i };
        assert_int_equal(pthread_create(&threads[i], NULL, run_racer, &racers[i]), 0);
    }
    for (int i = 0; i < RACERS; i++) {
        pthread_join(threads[i], NULL);
    }
    pthread_barrier_destroy(&race.start);
    for (int i = 0; i < ROUNDS; i++) {
        assert_int_equal(atomic_load(&race.won[i]), 1);
        for (int k = 1; k < RACERS; k++) {
            assert_string_equal(race.order_id[k][i], race.order_id[0][i]);
        }
    }
}

static void test_index(void **state)
{
    mongoc_client_t      *client = mongoc_client_new(mongo_url());
    mongoc_collection_t  *keys = mongoc_client_get_collection(client, FOODSVC_DB, FOODSVC_IDEMPOTENCY_KEYS);
    mongoc_cursor_t      *cursor = mongoc_collection_find_indexes_with_opts(keys, NULL);
    const bson_t         *index;
    bson_iter_t           iter;
    int64_t               ttl = 0;

    while (mongoc_cursor_next(cursor, &index)) {
        if (bson_iter_init_find(&iter, index, "expireAfterSeconds")) {
            ttl = bson_iter_as_int64(&iter);
        }
    }
    assert_int_equal(ttl, FOODSVC_IDEMPOTENCY_TTL);
    mongoc_cursor_destroy(cursor);
    mongoc_collection_destroy(keys);
    mongoc_client_destroy(client);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_first_repeat_and_answer),
        cmocka_unit_test(test_lease),
        cmocka_unit_test(test_wrong_clock),
        cmocka_unit_test(test_none_there),
        cmocka_unit_test(test_batch),
        cmocka_unit_test(test_lost_reply),
        cmocka_unit_test(test_foreign_document),
        cmocka_unit_test(test_race),
        cmocka_unit_test(test_index)
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
