/*
 * The cache's commands, and its scripts on a real Redis (REDIS_URL, as the harness gives it): nothing newer is
 * replaced, no rubbish is kept, a deleted order stays away.
 */
#include "unit.h"
#include <hiredis/hiredis.h>
#include <openssl/sha.h>
#include "foodsvc_cache.h"
#include "foodsvc_codec.h"
#include "foodsvc_url.h"

#define ID  "06b0413f-be90-7667-8000-f556e421c97a"

static void check_args(const foodsvc_cache_cmd_t *cmd, const char *expected)
{
    char   text[2048] = "";
    size_t len = 0;

    for (int i = 0; i < cmd->argc; i++) {
        len += (size_t) snprintf(text + len, sizeof(text) - len, "%s%.*s", i == 0 ? "" : "|", (int) cmd->lens[i],
                                 cmd->argv[i]);
    }
    assert_string_equal(text, expected);
}

static void commands(void **state)
{
    foodsvc_cache_cmd_t cmd;

    foodsvc_cache_order_get(&cmd, ID);
    check_args(&cmd, "GET|" ID);
    foodsvc_cache_order_ttl(&cmd, ID);
    check_args(&cmd, "PTTL|" ID);
    foodsvc_cache_url_get(&cmd, "PaymentService");
    check_args(&cmd, "GET|PaymentService");
    foodsvc_cache_url_set(&cmd, "PaymentService", "https://127.0.0.1:8001");
    check_args(&cmd, "SET|PaymentService|https://127.0.0.1:8001|EX|86400");
    foodsvc_cache_url_delete(&cmd, "PaymentService");
    check_args(&cmd, "DEL|PaymentService");

    foodsvc_cache_order_set(&cmd, ID, "{}x", 2, 3, false);
    assert_int_equal(cmd.lens[1], 40);
    cmd.argv[1] = "sha";
    cmd.lens[1] = 3;
    check_args(&cmd, "EVALSHA|sha|2|" ID "|foodsvc:deleted:{" ID "}|1800|3|{}");
    foodsvc_cache_order_delete(&cmd, ID, false);
    cmd.argv[1] = "sha";
    cmd.lens[1] = 3;
    check_args(&cmd, "EVALSHA|sha|2|" ID "|foodsvc:deleted:{" ID "}|3600");
}

/* Nobody does this; but it must not write behind the buffer. */
static void a_key_that_is_too_long(void **state)
{
    foodsvc_cache_cmd_t cmd;
    char                id[400];

    memset(id, 'x', sizeof(id));
    id[399] = '\0';
    foodsvc_cache_order_set(&cmd, id, "{}", 2, 123, true);
    assert_true(cmd.lens[4] < sizeof(cmd.buf));
    assert_string_equal(cmd.argv[6], "123");
}

static void check_sha(const foodsvc_cache_cmd_t *evalsha, const foodsvc_cache_cmd_t *eval)
{
    unsigned char digest[SHA_DIGEST_LENGTH];
    char          hex[2 * SHA_DIGEST_LENGTH + 1];

    assert_string_equal(evalsha->argv[0], "EVALSHA");
    assert_string_equal(eval->argv[0], "EVAL");
    SHA1((const unsigned char *) eval->argv[1], eval->lens[1], digest);
    for (int i = 0; i < SHA_DIGEST_LENGTH; i++) {
        snprintf(hex + 2 * i, 3, "%02x", digest[i]);
    }
    assert_string_equal(evalsha->argv[1], hex);
}

static void the_digests_are_the_scripts_(void **state)
{
    foodsvc_cache_cmd_t evalsha, eval;

    foodsvc_cache_order_set(&evalsha, ID, "", 0, 0, false);
    foodsvc_cache_order_set(&eval, ID, "", 0, 0, true);
    check_sha(&evalsha, &eval);
    foodsvc_cache_order_delete(&evalsha, ID, false);
    foodsvc_cache_order_delete(&eval, ID, true);
    check_sha(&evalsha, &eval);
}

static void noscript(void **state)
{
    assert_true(foodsvc_cache_noscript("NOSCRIPT No matching script.", 28));
    assert_false(foodsvc_cache_noscript("NOSCRIP", 7));
    assert_false(foodsvc_cache_noscript("WRONGTYPE", 9));
}

/* --- on a real server --- */

static redisContext *redis;
static char          id[FOODSVC_UUID_TEXT + 1];

static int connect_redis(void **state)
{
    const char    *url = getenv("REDIS_URL"), *start, *at;
    struct timeval timeout = { 5, 0 };
    char           host[256] = "", password[256] = "";
    int            port = 6379;
    redisReply    *reply;

    if (url == NULL) {
        return 0;
    }
    start = strstr(url, "://");
    start = start == NULL ? url : start + 3;
    at = strchr(start, '@');
    if (at != NULL && strchr(start, ':') < at) {
        sscanf(strchr(start, ':') + 1, "%255[^@]", password);
    }
    sscanf(at == NULL ? start : at + 1, "%255[^:/]:%d", host, &port);
    redis = redisConnectWithTimeout(host, port, timeout);
    if (redis == NULL || redis->err) {
        return -1;
    }
    if (password[0] != '\0') {
        reply = redisCommand(redis, "AUTH %s", password);
        freeReplyObject(reply);
    }
    return 0;
}

static int disconnect_redis(void **state)
{
    if (redis != NULL) {
        redisFree(redis);
    }
    return 0;
}

static void fresh(void)
{
    foodsvc_uuid_t uuid;

    if (redis == NULL) {
        skip();
    }
    foodsvc_uuid_v7(&uuid);
    foodsvc_uuid_format(&uuid, id);
}

static redisReply *run(foodsvc_cache_cmd_t *cmd)
{
    redisReply *reply = redisCommandArgv(redis, cmd->argc, cmd->argv, cmd->lens);

    assert_non_null(reply);
    return reply;
}

/* EVALSHA, and EVAL when the server does not know the script: as the callers do. */
static long long set_ranked(const char *json, size_t rank)
{
    foodsvc_cache_cmd_t cmd;
    redisReply         *reply;
    long long           result;

    foodsvc_cache_order_set(&cmd, id, json, strlen(json), rank, false);
    reply = run(&cmd);
    if (reply->type == REDIS_REPLY_ERROR && foodsvc_cache_noscript(reply->str, reply->len)) {
        freeReplyObject(reply);
        foodsvc_cache_order_set(&cmd, id, json, strlen(json), rank, true);
        reply = run(&cmd);
    }
    if (reply->type == REDIS_REPLY_ERROR) {
        fail_msg("%s", reply->str);
    }
    result = reply->integer;
    freeReplyObject(reply);
    return result;
}

static long long set(const char *json, size_t steps)
{
    return set_ranked(json, FOODSVC_ORDER_RANK(steps, 0));
}

static void check_entry(const char *expected)
{
    foodsvc_cache_cmd_t cmd;
    redisReply         *reply;

    foodsvc_cache_order_get(&cmd, id);
    reply = run(&cmd);
    if (expected == NULL) {
        assert_int_equal(reply->type, REDIS_REPLY_NIL);
    } else {
        assert_string_equal(reply->str, expected);
    }
    freeReplyObject(reply);
}

static long long ask(const char *format, const char *key)
{
    redisReply *reply = redisCommand(redis, format, key);
    long long   result;

    assert_non_null(reply);
    result = reply->integer;
    freeReplyObject(reply);
    return result;
}

static char *entry_with_ids(size_t nupdated, int ids, char *text)
{
    foodsvc_order_t *order = foodsvc_order_new();
    size_t           len, public_len;
    char            *json;

    strcpy(order->id, id);
    for (size_t i = 0; i < nupdated; i++) {
        foodsvc_order_add_step(order, FOODSVC_PAYMENT_PAID, (int64_t) i);
    }
    order->has_delivery_id = ids > 0;
    order->has_kitchen_id = ids > 1;
    json = foodsvc_order_cache_json(order, &len, &public_len);
    assert_int_equal(foodsvc_order_cache_rank(json, public_len), foodsvc_order_rank(order));
    assert_int_equal(foodsvc_order_rank(order), FOODSVC_ORDER_RANK(nupdated, ids));
    strcpy(text, json);
    free(json);
    foodsvc_order_free(order);
    return text;
}

static char *entry_of(size_t nupdated, char *text)
{
    return entry_with_ids(nupdated, 0, text);
}

static void an_id_makes_an_entry_newer(void **state)
{
    char none[2048], one[2048], two[2048];

    fresh();
    entry_with_ids(1, 0, none);
    entry_with_ids(1, 1, one);
    entry_with_ids(1, 2, two);
    assert_int_equal(set_ranked(one, FOODSVC_ORDER_RANK(1, 1)), 1);
    assert_int_equal(set_ranked(none, FOODSVC_ORDER_RANK(1, 0)), 0);
    check_entry(one);
    assert_int_equal(set_ranked(two, FOODSVC_ORDER_RANK(1, 2)), 1);
    assert_int_equal(set_ranked(one, FOODSVC_ORDER_RANK(1, 1)), 0);
    check_entry(two);
    assert_int_equal(set_ranked("a step later", FOODSVC_ORDER_RANK(2, 0)), 1);
    check_entry("a step later");
    ask("DEL %s", id);
}

static void the_newest_stays(void **state)
{
    char one[2048], two[2048];

    fresh();
    entry_of(1, one);
    entry_of(2, two);
    assert_int_equal(set(one, 1), 1);
    check_entry(one);
    assert_true(ask("TTL %s", id) > 1790);
    assert_int_equal(set(two, 2), 1);
    assert_int_equal(set(one, 1), 0);
    check_entry(two);
    assert_int_equal(set("same age", 2), 1);        /* a debt may have changed */
    check_entry("same age");
    ask("DEL %s", id);
}

static void the_original_s_entry_counts_too(void **state)
{
    char theirs[1024];

    fresh();
    snprintf(theirs, sizeof(theirs), "{\"items\":[],\"status\":\"paymentPaid\",\"updated\": [{\"status\": "
                                     "\"paymentPaid\", "
             "\"when\": \"2026-11-23 10:22:52.094671+00:00\"}, {\"status\": \"paymentPaid\", \"when\": \"2026-11-23 "
             "10:22:52.167263+00:00\"}],\"id\":\"%s\"}", id);
    assert_int_equal(set(theirs, 2), 1);
    assert_int_equal(set("old", 1), 0);
    check_entry(theirs);
    assert_int_equal(set("new", 2), 1);
    ask("DEL %s", id);
}

static void rubbish_is_replaced(void **state)
{
    static const char *const rubbish[] = {
        "rubbish", "\"when\"\"when\"\"when\"", "[\"when\",\"when\",\"when\"]", "{\"when\":{\"when\":\"when\"}}",
        "{\"id\":\"%s\",\"status\":\"created\",\"updated\":\"when\",\"a\":[\"when\",\"when\"]}",
        "{\"id\":\"%s\",\"status\":\"created\",\"updated\":[1,2,3],\"a\":[\"when\",\"when\"]}",
        "{\"id\":\"%s\",\"status\":\"created\",\"updated\":[{\"when\":\"x\"},{\"when\":\"x\"}]}",
        "{\"id\":\"%s\",\"status\":\"created\",\"updated\":[{\"status\":\"x\",\"when\":\"x\"},{\"status\":\"x\","
        "\"when\":1}]}",
        "{\"id\":\"%s\",\"status\":1,\"updated\":[{\"status\":\"x\",\"when\":\"x\"},{\"status\":\"x\","
        "\"when\":\"x\"}]}",
        "{\"id\":\"other%s\",\"status\":\"x\",\"updated\":[{\"status\":\"x\",\"when\":\"x\"},{\"status\":\"x\","
        "\"when\":\"x\"}]}",
    };

    for (size_t i = 0; i < COUNT(rubbish); i++) {
        char   text[1024];
        char  *p = text;

        fresh();
        for (const char *from = rubbish[i]; *from != '\0'; from++) {
            if (from[0] == '%' && from[1] == 's') {
                strcpy(p, id);
                p += strlen(id);
                from++;
            } else {
                *p++ = *from;
            }
        }
        *p = '\0';
        assert_int_equal(set(text, 9), 1);
        assert_int_equal(set("ours", 1), 1);
        check_entry("ours");
        ask("DEL %s", id);
    }

    fresh();
    ask("LPUSH %s x", id);                          /* another type */
    assert_int_equal(set("ours", 0), 1);
    check_entry("ours");
    ask("DEL %s", id);
}

static void a_deleted_order_stays_away(void **state)
{
    foodsvc_cache_cmd_t cmd;
    redisReply         *reply;
    char                tombstone[128];

    fresh();
    set("ours", 0);
    foodsvc_cache_order_delete(&cmd, id, true);
    reply = run(&cmd);
    assert_int_equal(reply->integer, 1);
    freeReplyObject(reply);
    check_entry(NULL);
    assert_int_equal(set("late", 9), 0);
    check_entry(NULL);
    snprintf(tombstone, sizeof(tombstone), "foodsvc:deleted:{%s}", id);
    assert_true(ask("TTL %s", tombstone) > 3590);
    ask("DEL %s", tombstone);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(commands),
        cmocka_unit_test(a_key_that_is_too_long),
        cmocka_unit_test(the_digests_are_the_scripts_),
        cmocka_unit_test(noscript),
        cmocka_unit_test(the_newest_stays),
        cmocka_unit_test(an_id_makes_an_entry_newer),
        cmocka_unit_test(the_original_s_entry_counts_too),
        cmocka_unit_test(rubbish_is_replaced),
        cmocka_unit_test(a_deleted_order_stays_away),
    };

    return cmocka_run_group_tests(tests, connect_redis, disconnect_redis);
}
