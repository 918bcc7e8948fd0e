/*
 * A blocking connection to Redis for one command, and `cache show`.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <curl/curl.h>
#include "ctl_redis.h"
#include "foodsvc_cache.h"
#include "foodsvc_names.h"

#define CTL_REDIS_TIMEOUT   3       /* s */

/* A part of an url, decoded; NULL: it has none. The caller frees with curl_free. */
static char *
ctl_redis_part(CURLU *url, CURLUPart what)
{
    char *text = NULL;

    return curl_url_get(url, what, &text, CURLU_URLDECODE) == CURLUE_OK ? text : NULL;
}

static bool
ctl_redis_reply_ok(redisReply *reply)
{
    bool ok = reply != NULL && reply->type != REDIS_REPLY_ERROR;

    freeReplyObject(reply);
    return ok;
}

static bool
ctl_redis_login(redisContext *redis, CURLU *url)
{
    char *user = ctl_redis_part(url, CURLUPART_USER), *password = ctl_redis_part(url, CURLUPART_PASSWORD);
    char *db = ctl_redis_part(url, CURLUPART_PATH);
    bool  ok = true;

    if (password != NULL && *password != '\0') {
        ok = ctl_redis_reply_ok(user != NULL && *user != '\0' ? redisCommand(redis, "AUTH %s %s", user, password)
                                                              : redisCommand(redis, "AUTH %s", password));
    }
    if (ok && db != NULL && db[0] == '/' && db[1] != '\0') {
        ok = ctl_redis_reply_ok(redisCommand(redis, "SELECT %s", db + 1));
    }
    curl_free(user);
    curl_free(password);
    curl_free(db);
    return ok && ctl_redis_reply_ok(redisCommand(redis, "PING"));
}

static redisContext *
ctl_redis_dial(const char *text, CURLU *url)
{
    const struct timeval  timeout = { CTL_REDIS_TIMEOUT, 0 };
    redisContext         *redis;
    char                 *host, *port;

    if (strncmp(text, "unix:/", 6) == 0) {
        redis = redisConnectUnixWithTimeout(text + 5, timeout);
    } else {
        if (curl_url_set(url, CURLUPART_URL, text, CURLU_NON_SUPPORT_SCHEME) != CURLUE_OK
            || strncmp(text, "redis://", 8) != 0)
        {
            ctl_fail("REDIS_URL must be like redis://:password@127.0.0.1:6379");
            return NULL;
        }
        host = ctl_redis_part(url, CURLUPART_HOST);
        port = ctl_redis_part(url, CURLUPART_PORT);
        redis = redisConnectWithTimeout(host ? host : "127.0.0.1", port ? (int) strtol(port, NULL, 10) : 6379, timeout);
        curl_free(host);
        curl_free(port);
    }
    if (redis == NULL || redis->err != 0) {
        ctl_fail("Redis cannot be reached (%s): is it running? `make start-redis` starts it, REDIS_URL says where it "
                 "is",
                 redis ? redis->errstr : "no memory");
        redisFree(redis);
        return NULL;
    }
    redisSetTimeout(redis, timeout);
    return redis;
}

redisContext *
ctl_redis_open(const ctl_t *ctl)
{
    const char   *text = ctl_need(ctl, ctl->redis_url, "REDIS_URL");
    CURLU        *url = curl_url();
    redisContext *redis = text != NULL && url != NULL ? ctl_redis_dial(text, url) : NULL;

    if (redis != NULL && !ctl_redis_login(redis, url)) {
        ctl_fail("Redis refused the login: REDIS_URL must name the right password, as redis://:password@host:port");
        redisFree(redis);
        redis = NULL;
    }
    curl_url_cleanup(url);
    return redis;
}

int64_t
ctl_redis_drop_url(redisContext *redis, const char *service)
{
    foodsvc_cache_cmd_t  command;
    redisReply          *reply;
    int64_t              dropped;

    foodsvc_cache_url_delete(&command, service);
    reply = redisCommandArgv(redis, command.argc, command.argv, command.lens);
    dropped = reply != NULL && reply->type == REDIS_REPLY_INTEGER ? reply->integer : -1;
    freeReplyObject(reply);
    return dropped;
}

int
ctl_cache_show(ctl_t *ctl)
{
    char                 id[FOODSVC_UUID_TEXT + 1];
    foodsvc_cache_cmd_t  command;
    redisContext        *redis;
    redisReply          *value, *ttl;
    json_t              *json;
    int                  code = CTL_OK;

    if (!ctl_order_id(ctl->args[0], id)) {
        return CTL_USAGE;
    }
    redis = ctl_redis_open(ctl);
    if (redis == NULL) {
        return CTL_FAILED;
    }
    foodsvc_cache_order_get(&command, id);
    value = redisCommandArgv(redis, command.argc, command.argv, command.lens);
    ttl = redisCommand(redis, "TTL %s", id);
    if (value == NULL || ttl == NULL || value->type == REDIS_REPLY_ERROR) {
        code = ctl_fail("Redis: %s", value ? value->str : redis->errstr);
    } else if (value->type != REDIS_REPLY_STRING) {
        code = ctl_fail("%s is not in the cache: it was never there, its 30 minutes are over, or it was deleted", id);
    } else {
        json = json_loadb(value->str, value->len, 0, NULL);
        if (ctl->json) {
            json_t *answer = json_pack("{s:s, s:I, s:o}", "key", id, "ttl", (json_int_t) ttl->integer, "value",
                                       json ? json_incref(json) : json_stringn_nocheck(value->str, value->len));

            ctl_print_json(answer);
            json_decref(answer);
        } else {
            printf("expires in %lld s\n", ttl->integer);
            if (json != NULL) {
                json_dumpf(json, stdout, JSON_INDENT(2));
            } else {
                fwrite(value->str, 1, value->len, stdout);
            }
            putchar('\n');
        }
        json_decref(json);
    }
    freeReplyObject(value);
    freeReplyObject(ttl);
    redisFree(redis);
    return code;
}
