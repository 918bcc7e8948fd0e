/*
 * workers/common/worker_cache.c with a real Redis (REDIS_URL) that can't be reached at will, and a clock that is put
 * forward: what was kept is written when Redis is back, but not when newer entries may have come and gone meanwhile.
 */
#include "unit.h"
#include <hiredis/hiredis.h>
#include "foodsvc_codec.h"
#include "foodsvc_time.h"
#include "worker_cache_url.h"
#include "worker_log.h"

#define MINUTES     60000

static bool             away;
static int64_t          ahead;      /* ms that the clock is put forward */
static redisContext    *redis;      /* how another one sees it */

/* The linker sends the calls of worker_cache.c here: see the Makefile. */
int64_t __real_foodsvc_time_monotonic(void);
int64_t __wrap_foodsvc_time_monotonic(void);
redisContext *__real_redisConnectWithTimeout(const char *ip, int port, const struct timeval tv);
redisContext *__wrap_redisConnectWithTimeout(const char *ip, int port, const struct timeval tv);

int64_t __wrap_foodsvc_time_monotonic(void)
{
    return __real_foodsvc_time_monotonic() + ahead;
}

redisContext *__wrap_redisConnectWithTimeout(const char *ip, int port, const struct timeval tv)
{
    return away ? NULL : __real_redisConnectWithTimeout(ip, port, tv);
}

static bool cached(const foodsvc_order_t *order)
{
    redisReply *answer = redisCommand(redis, "EXISTS %s", order->id);
    bool        is;

    assert_non_null(answer);
    is = answer->integer == 1;
    freeReplyObject(answer);
    return is;
}

static foodsvc_order_t *new_order(void)
{
    foodsvc_order_t *order = foodsvc_order_new();
    foodsvc_uuid_t   id;

    assert_non_null(order);
    foodsvc_uuid_v4(&id);
    foodsvc_uuid_format(&id, order->id);
    assert_true(foodsvc_order_add_item(order, foodsvc_products[0], strlen(foodsvc_products[0]), 1));
    order->created = foodsvc_time_now();
    return order;
}

/* Redis is back, and the wait before the next attempt is over. */
static void back(worker_cache_t *cache)
{
    away = false;
    ahead += MINUTES;
    worker_cache_run(cache);
}

static void what_was_kept_is_written_when_redis_is_back(void **state)
{
    worker_cache_t  *cache = *state;
    foodsvc_order_t *order = new_order();

    away = true;
    assert_false(worker_cache_orders(cache, &order, 1));
    ahead += 28 * MINUTES;
    back(cache);
    assert_true(cached(order));
    foodsvc_order_free(order);
}

/* By then the order may have been written by others, deleted even, and all of that has expired. */
static void what_was_kept_for_longer_than_an_entry_lives_is_dropped(void **state)
{
    worker_cache_t  *cache = *state;
    foodsvc_order_t *old = new_order(), *younger = new_order(), *now = new_order();

    away = true;
    assert_false(worker_cache_orders(cache, &old, 1));
    ahead += 15 * MINUTES;
    assert_false(worker_cache_orders(cache, &younger, 1));
    ahead += 15 * MINUTES;
    back(cache);
    assert_false(cached(old));
    assert_true(cached(younger));
    assert_true(worker_cache_orders(cache, &now, 1));
    assert_true(cached(now));
    foodsvc_order_free(old);
    foodsvc_order_free(younger);
    foodsvc_order_free(now);
}

static int open_cache(void **state)
{
    away = false;
    ahead = 0;
    *state = worker_cache_open(getenv("REDIS_URL"), 2000);
    return *state ? 0 : -1;
}

static int close_cache(void **state)
{
    worker_cache_close(*state);
    return 0;
}

static int connect_redis(void **state)
{
    worker_cache_url_t  at;
    const char         *url = getenv("REDIS_URL");
    char                err[256];
    redisReply         *answer;

    (void) state;
    worker_log_setup("test", WORKER_LOG_KV, WORKER_LOG_WARN);
    if (url == NULL || !worker_cache_url_parse(url, &at, err, sizeof(err))) {
        return -1;
    }
    redis = redisConnect(at.host, at.port);
    if (redis == NULL || redis->err) {
        return -1;
    }
    if (at.password[0]) {
        answer = redisCommand(redis, "AUTH %s", at.password);
        freeReplyObject(answer);
    }
    return 0;
}

static int hang_up(void **state)
{
    (void) state;
    redisFree(redis);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_was_kept_is_written_when_redis_is_back, open_cache, close_cache),
        cmocka_unit_test_setup_teardown(what_was_kept_for_longer_than_an_entry_lives_is_dropped, open_cache,
                                        close_cache)
    };

    return cmocka_run_group_tests(tests, connect_redis, hang_up);
}
