/*
 * A blocking connection to Redis. What the server says of a login is never shown: some answers repeat the command.
 */
#include <stdio.h>
#include <string.h>
#include "ctl_redis.h"
#include "foodsvc_cache.h"
#include "worker_cache_url.h"

#define CTL_REDIS_TIMEOUT   3       /* s */

void
ctl_redis_away(const ctl_t *ctl, const redisContext *redis)
{
    if (redis != NULL && redis->err == REDIS_ERR_PROTOCOL) {
        ctl_fail("%s: %s does not speak Redis's protocol: correct REDIS_URL", ctl->command, ctl_place(ctl->redis_url));
        return;
    }
    ctl_fail("%s: Redis at %s cannot be reached: is it running? %s, REDIS_URL says where it is", ctl->command,
             ctl_place(ctl->redis_url), ctl_advice(ctl, ctl->redis_url, CTL_START));
}

/* True: it is the answer to a command of the login, and fine. */
static bool
ctl_redis_logged_in(const ctl_t *ctl, redisContext *redis, redisReply *reply)
{
    bool ok = reply != NULL && reply->type != REDIS_REPLY_ERROR;

    if (reply == NULL) {
        ctl_redis_away(ctl, redis);
    } else if (!ok && strncmp(reply->str, "LOADING", 7) == 0) {
        ctl_fail("%s: Redis is still loading its data: try again in a while", ctl->command);
    } else if (!ok) {
        ctl_fail("%s: Redis refused the login: REDIS_URL must name the right password and database, as "
                 "redis://:PASSWORD@127.0.0.1:6379/0", ctl->command);
    }
    freeReplyObject(reply);
    return ok;
}

static bool
ctl_redis_login(const ctl_t *ctl, redisContext *redis, const worker_cache_url_t *url)
{
    if (url->user[0] != '\0'
        && !ctl_redis_logged_in(ctl, redis, redisCommand(redis, "AUTH %s %s", url->user, url->password)))
    {
        return false;
    }
    if (url->user[0] == '\0' && url->password[0] != '\0'
        && !ctl_redis_logged_in(ctl, redis, redisCommand(redis, "AUTH %s", url->password)))
    {
        return false;
    }
    return (url->db == 0 || ctl_redis_logged_in(ctl, redis, redisCommand(redis, "SELECT %d", url->db)))
           && ctl_redis_logged_in(ctl, redis, redisCommand(redis, "PING"));
}

redisContext *
ctl_redis_open(const ctl_t *ctl)
{
    const struct timeval  timeout = { CTL_REDIS_TIMEOUT, 0 };
    const char           *text = ctl_need(ctl, ctl->redis_url, "REDIS_URL");
    worker_cache_url_t    url;
    redisContext         *redis;
    char                  err[256];

    if (text == NULL) {
        return NULL;
    }
    if (!worker_cache_url_parse(text, &url, err, sizeof(err))) {
        ctl_fail("REDIS_URL is %s", err);
        return NULL;
    }
    redis = url.path[0] ? redisConnectUnixWithTimeout(url.path, timeout)
                        : redisConnectWithTimeout(url.host, url.port, timeout);
    if (redis == NULL || redis->err != 0) {
        ctl_redis_away(ctl, NULL);
        redisFree(redis);
        return NULL;
    }
    redisSetTimeout(redis, timeout);
    if (!ctl_redis_login(ctl, redis, &url)) {
        redisFree(redis);
        return NULL;
    }
    return redis;
}

redisReply *
ctl_redis_call(const ctl_t *ctl, redisContext *redis, int argc, const char **argv, const size_t *lens)
{
    redisReply *reply = redisCommandArgv(redis, argc, argv, lens);

    if (reply == NULL) {
        ctl_redis_away(ctl, redis);
        return NULL;
    }
    if (reply->type == REDIS_REPLY_ERROR) {
        ctl_fail("%s: Redis refused: %s", ctl->command, reply->str);
        freeReplyObject(reply);
        return NULL;
    }
    return reply;
}

/* The entry alone: what leaves a tombstone is the deletion of an order, and this is none. */
int
ctl_redis_drop(const ctl_t *ctl, redisContext *redis, const char *key)
{
    foodsvc_cache_cmd_t  command;
    redisReply          *reply;
    int                  dropped;

    foodsvc_cache_url_delete(&command, key);
    reply = ctl_redis_call(ctl, redis, command.argc, command.argv, command.lens);
    dropped = reply == NULL ? -1 : reply->integer > 0;
    freeReplyObject(reply);
    return dropped;
}
