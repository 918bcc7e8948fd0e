/*
 * One blocking connection. An exchange appends its commands, reads as many replies, and gives the connection up on
 * the first I/O error: what is left in the socket then must not be taken for the answer to something else.
 *
 * Redis hangs up when it is restarted, and nobody notices before the next exchange. So a connection that was hung up
 * is opened anew at once, and the orders are written again, which changes nothing where they are there. A Redis that
 * does it again soon, and any other failure, has to wait for the backoff.
 *
 * The script keeps the newer of two entries, but what has expired it can't see. An entry that was kept for as long as
 * one lives may be the only one left, though its order has moved on or was deleted: it is dropped. What was in Redis
 * before it has expired as well, so nothing older shows in its place.
 */
#include <errno.h>
#include <hiredis.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "foodsvc_codec.h"
#include "foodsvc_names.h"
#include "foodsvc_time.h"
#include "worker_cache_url.h"
#include "worker_log.h"

#define KEPT_MAX        4096
#define KEPT_LIFE       (FOODSVC_CACHE_ORDER_TTL * 1000)    /* ms */
#define PIPELINE        256
#define BACKOFF_FIRST   100     /* ms */
#define BACKOFF_LAST    2000

/* An order on its way into the cache. */
typedef struct {
    char    id[FOODSVC_UUID_TEXT + 1];
    char   *json;
    size_t  len, rank;
    int64_t since;          /* monotonic ms: the order was so then */
    bool    done;
} entry_t;

struct worker_cache_s {
    worker_cache_url_t      address;
    int64_t        timeout_ms;
    redisContext  *redis;           /* NULL: not connected */
    int64_t        next_try, backoff;
    bool           away_logged;
    int64_t        hung_up;         /* when a connection that was hung up was last opened anew at once */
    entry_t       *kept;            /* could not be written: a ring of KEPT_MAX */
    size_t         first, nkept;
};


/* --- the connection --- */

worker_cache_t *worker_cache_open(const char *url, int64_t timeout_ms)
{
    worker_cache_t  *cache = calloc(1, sizeof(*cache));
    char             err[256];

    if (cache == NULL || !worker_cache_url_parse(url, &cache->address, err, sizeof(err))
        || (cache->kept = calloc(KEPT_MAX, sizeof(entry_t))) == NULL)
    {
        free(cache);
        return NULL;
    }
    cache->timeout_ms = timeout_ms;
    cache->backoff = BACKOFF_FIRST;
    cache->hung_up = -BACKOFF_LAST - 1;
    return cache;
}


void worker_cache_close(worker_cache_t *cache)
{
    if (cache == NULL) {
        return;
    }
    if (cache->redis) {
        redisFree(cache->redis);
    }
    for (size_t i = 0; i < KEPT_MAX; i++) {
        free(cache->kept[i].json);
    }
    free(cache->kept);
    explicit_bzero(cache, sizeof(*cache));
    free(cache);
}


static struct timeval to_timeval(int64_t ms)
{
    return (struct timeval) { .tv_sec = ms / 1000, .tv_usec = ms % 1000 * 1000 };
}


void worker_cache_timeout(worker_cache_t *cache, int64_t timeout_ms)
{
    cache->timeout_ms = timeout_ms;
    if (cache->redis) {
        redisSetTimeout(cache->redis, to_timeval(timeout_ms));
    }
}


static void drop(worker_cache_t *cache, const char *why)
{
    if (!cache->away_logged) {
        worker_log(WORKER_LOG_WARN, "redis is away, going on without it", worker_text("reason", why));
    }
    cache->away_logged = true;
    if (cache->redis) {
        redisFree(cache->redis);
        cache->redis = NULL;
    }
    cache->next_try = foodsvc_time_monotonic() + cache->backoff + random() % (cache->backoff / 4 + 1);
    cache->backoff = cache->backoff * 2 > BACKOFF_LAST ? BACKOFF_LAST : cache->backoff * 2;
}


static void drop_broken(worker_cache_t *cache)
{
    int      code = cache->redis->err == REDIS_ERR_IO ? errno : 0;
    bool     hung_up = cache->redis->err == REDIS_ERR_EOF || code == ECONNRESET || code == EPIPE;
    int64_t  now = foodsvc_time_monotonic();

    drop(cache, code ? strerror(code) : cache->redis->errstr);
    if (hung_up && now - cache->hung_up > BACKOFF_LAST) {
        cache->hung_up = now;
        cache->next_try = now;
    }
}


/* NULL: the connection is gone. The caller frees. */
static redisReply *reply(worker_cache_t *cache)
{
    void  *answer = NULL;

    if (redisGetReply(cache->redis, &answer) != REDIS_OK) {
        drop_broken(cache);
        return NULL;
    }
    return answer;
}


/* A command of the greeting. False: it is not OK, and the connection is given up. */
static bool greet(worker_cache_t *cache, int argc, const char **argv)
{
    redisReply  *answer;
    bool         ok;

    redisAppendCommandArgv(cache->redis, argc, argv, NULL);
    answer = reply(cache);
    if (answer == NULL) {
        return false;
    }
    ok = answer->type != REDIS_REPLY_ERROR;
    if (!ok) {
        drop(cache, answer->str);
    }
    freeReplyObject(answer);
    return ok;
}


static bool connect_now(worker_cache_t *cache)
{
    const worker_cache_url_t  *address = &cache->address;
    const char       *auth[] = { "AUTH", address->user, address->password };
    const char       *word[] = { "AUTH", address->password };
    const char       *ping[] = { "PING" };
    char              number[16];
    const char       *db[] = { "SELECT", number };
    struct timeval    timeout = to_timeval(cache->timeout_ms);

    cache->redis = address->path[0] ? redisConnectUnixWithTimeout(address->path, timeout)
                                    : redisConnectWithTimeout(address->host, address->port, timeout);
    if (cache->redis == NULL || cache->redis->err) {
        drop(cache, cache->redis ? cache->redis->errstr : "no memory");
        return false;
    }
    redisSetTimeout(cache->redis, timeout);
    if (!address->path[0]) {
        redisEnableKeepAlive(cache->redis);     /* on a socket of the file system it is an error that ends all */
    }
    snprintf(number, sizeof(number), "%d", address->db);
    if ((address->user[0] && !greet(cache, 3, auth))
        || (!address->user[0] && address->password[0] && !greet(cache, 2, word))
        || (address->db && !greet(cache, 2, db)) || !greet(cache, 1, ping))
    {
        return false;
    }
    worker_log(WORKER_LOG_INFO, "connected to redis", worker_int("kept", cache->nkept));
    cache->away_logged = false;
    cache->backoff = BACKOFF_FIRST;
    return true;
}


/* --- orders --- */

/* Sends the entries in one pipeline and marks those that Redis has settled. False: the connection is gone. */
static bool exchange(worker_cache_t *cache, entry_t *const *entries, size_t n, bool eval)
{
    foodsvc_cache_cmd_t  cmd;
    redisReply          *answer;
    size_t               missing = 0;
    entry_t             *again[PIPELINE];

    for (size_t i = 0; i < n; i++) {
        foodsvc_cache_order_set(&cmd, entries[i]->id, entries[i]->json, entries[i]->len, entries[i]->rank, eval);
        if (redisAppendCommandArgv(cache->redis, cmd.argc, cmd.argv, cmd.lens) != REDIS_OK) {
            drop(cache, "no memory");
            return false;
        }
    }
    for (size_t i = 0; i < n; i++) {
        answer = reply(cache);
        if (answer == NULL) {
            return false;
        }
        if (answer->type == REDIS_REPLY_INTEGER) {
            entries[i]->done = true;
        } else if (!eval && answer->type == REDIS_REPLY_ERROR && foodsvc_cache_noscript(answer->str, answer->len)) {
            again[missing++] = entries[i];
        } else {
            worker_log(WORKER_LOG_WARN, "redis refused an order", worker_text("order", entries[i]->id),
                       worker_text("reason", answer->type == REDIS_REPLY_ERROR ? answer->str : "an unexpected answer"));
        }
        freeReplyObject(answer);
    }
    return missing == 0 || exchange(cache, again, missing, true);
}


/* Those kept first are the oldest. */
static void drop_expired(worker_cache_t *cache)
{
    int64_t  now = foodsvc_time_monotonic();
    size_t   n = 0;

    while (cache->nkept > 0 && now - cache->kept[cache->first].since >= KEPT_LIFE) {
        free(cache->kept[cache->first].json);
        cache->kept[cache->first].json = NULL;
        cache->first = (cache->first + 1) % KEPT_MAX;
        cache->nkept--;
        n++;
    }
    if (n > 0) {
        worker_log(WORKER_LOG_WARN, "orders were kept for redis for longer than an entry lives, they are not written",
                   worker_int("orders", n));
    }
}


/* Writes what was kept. False: not all of it could be. */
static bool write_kept(worker_cache_t *cache)
{
    entry_t  *entries[PIPELINE];
    size_t    n;

    drop_expired(cache);
    while (cache->nkept > 0) {
        for (n = 0; n < cache->nkept && n < PIPELINE; n++) {
            entries[n] = &cache->kept[(cache->first + n) % KEPT_MAX];
        }
        if (!exchange(cache, entries, n, false)) {
            return false;
        }
        for (size_t i = 0; i < n; i++) {        /* those refused have been logged, and their events come again */
            free(entries[i]->json);
            entries[i]->json = NULL;
        }
        cache->first = (cache->first + n) % KEPT_MAX;
        cache->nkept -= n;
    }
    return true;
}


static bool ready(worker_cache_t *cache)
{
    if (cache->redis == NULL && (foodsvc_time_monotonic() < cache->next_try || !connect_now(cache))) {
        return false;
    }
    return write_kept(cache);
}


void worker_cache_run(worker_cache_t *cache)
{
    if (cache->redis == NULL || cache->nkept > 0) {
        ready(cache);
    }
}


static void keep(worker_cache_t *cache, entry_t *entry)
{
    entry_t  *place = &cache->kept[(cache->first + cache->nkept) % KEPT_MAX];

    if (cache->nkept == KEPT_MAX) {
        cache->first = (cache->first + 1) % KEPT_MAX;
    } else {
        cache->nkept++;
    }
    free(place->json);
    *place = *entry;
    place->done = false;
    entry->json = NULL;
}


/* False: not now. */
static bool write_now(worker_cache_t *cache, entry_t *const *entries, size_t n)
{
    bool  written = false;

    for (int tries = 0; tries < 2 && !written; tries++) {       /* the second one after a connection that was hung up */
        written = ready(cache) && exchange(cache, entries, n, false);
    }
    return written;
}


/* At most PIPELINE of them. */
static bool write_some(worker_cache_t *cache, foodsvc_order_t *const *orders, size_t n)
{
    entry_t  entries[PIPELINE] = { 0 }, *list[PIPELINE];
    size_t   nlist = 0, public_len;
    int64_t  now = foodsvc_time_monotonic();
    bool     ok = true, open;

    for (size_t i = 0; i < n; i++) {
        entry_t  *entry = &entries[i];

        memcpy(entry->id, orders[i]->id, sizeof(entry->id));
        entry->rank = foodsvc_order_rank(orders[i]);
        entry->since = now;
        entry->json = foodsvc_order_cache_json(orders[i], &entry->len, &public_len);
        if (entry->json) {
            list[nlist++] = entry;
        }
        ok = ok && entry->json;
    }
    open = write_now(cache, list, nlist);
    for (size_t i = 0; i < nlist; i++) {
        if (!list[i]->done && !open) {
            keep(cache, list[i]);
        }
        ok = ok && list[i]->done;
        free(list[i]->json);
    }
    return ok;
}


bool worker_cache_orders(worker_cache_t *cache, foodsvc_order_t *const *orders, size_t norders)
{
    bool  ok = true;

    for (size_t i = 0; i < norders; i += PIPELINE) {
        ok = write_some(cache, orders + i, norders - i < PIPELINE ? norders - i : PIPELINE) && ok;
    }
    return ok;
}


/* --- service urls --- */

static redisReply *ask(worker_cache_t *cache, const foodsvc_cache_cmd_t *cmd)
{
    if (!ready(cache)
        || redisAppendCommandArgv(cache->redis, cmd->argc, (const char **) cmd->argv, cmd->lens) != REDIS_OK)
    {
        return NULL;
    }
    return reply(cache);
}


bool worker_cache_url(worker_cache_t *cache, const char *service, char *url, size_t urllen)
{
    foodsvc_cache_cmd_t  cmd;
    redisReply          *answer;
    bool                 found;

    foodsvc_cache_url_get(&cmd, service);
    answer = ask(cache, &cmd);
    if (answer == NULL) {
        return false;
    }
    found = answer->type == REDIS_REPLY_STRING && answer->len < urllen
            && memchr(answer->str, '\0', answer->len) == NULL;
    if (found) {
        memcpy(url, answer->str, answer->len + 1);
    }
    freeReplyObject(answer);
    return found;
}


void worker_cache_url_set(worker_cache_t *cache, const char *service, const char *url)
{
    foodsvc_cache_cmd_t  cmd;
    redisReply          *answer;

    foodsvc_cache_url_set(&cmd, service, url);
    answer = ask(cache, &cmd);
    if (answer) {
        freeReplyObject(answer);
    }
}
