/*
 * The worker's connection to Redis: how it comes, goes, and comes back.
 *
 *   OFF -> CLOSED -> CONNECTING -> FLUSHING -> READY
 *             ^----------'------------'---------'      lost (hiredis closed it) or dropped (we did)
 *
 * CONNECTING ends with the answer to a PING behind AUTH and SELECT: a stopped server accepts connections too, and one
 * that is loading its data or wants a password answers PING with an error. From CLOSED a timer tries again, after 50
 * ms at first, doubled up to 2 s, each time up to half shorter by chance, so that the workers don't come all at once.
 * The log has one line when the connection goes and one when it is back.
 *
 * hiredis 0.14 has no command timeouts. Replies come in the order of the commands, so one timer (`watch`) looks at the
 * oldest: when it is older than `timeout`, the connection is dropped and everything in flight ends as AWAY.
 *
 * At a graceful end nginx waits for timers that are not cancelable. Both timers are, unless writes that nobody waits
 * for are still to be done; for these the worker stays, at most 4 timeouts from when it began to quit. A request that
 * waits for a reply has a timer of its own.
 */
#include "ngx_http_foodsvc_redis_state.h"

#define NGX_HTTP_FOODSVC_REDIS_BACKOFF_MIN  50
#define NGX_HTTP_FOODSVC_REDIS_BACKOFF_MAX  2000
/* A connection that lived this long was a good one: the backoff begins anew. */
#define NGX_HTTP_FOODSVC_REDIS_STEADY       5000
/* s after a reconnect: whoever could not write meanwhile, here or in a worker, is back by then (backoffs: 2 s). */
#define NGX_HTTP_FOODSVC_REDIS_DISTRUST     4


static void ngx_http_foodsvc_redis_connect(void);
static void ngx_http_foodsvc_redis_connected(const redisAsyncContext *ac, int status);
static void ngx_http_foodsvc_redis_disconnected(const redisAsyncContext *ac, int status);
static ngx_int_t ngx_http_foodsvc_redis_hello(redisAsyncContext *ac);
static void ngx_http_foodsvc_redis_hello_reply(redisAsyncContext *ac, void *data, void *privdata);
static void ngx_http_foodsvc_redis_closed(const char *why);
static void ngx_http_foodsvc_redis_watch_handler(ngx_event_t *ev);
static void ngx_http_foodsvc_redis_retry_handler(ngx_event_t *ev);
static ngx_uint_t ngx_http_foodsvc_redis_quitting(void);


/* What the debug log of a timer takes for its connection. */
static ngx_connection_t  ngx_http_foodsvc_redis_nobody;

static const char  ngx_http_foodsvc_redis_hello_last[] = "PING";


static void
ngx_http_foodsvc_redis_connect(void)
{
    redisAsyncContext         *ac;
    ngx_http_foodsvc_redis_t  *redis = &ngx_http_foodsvc_redis;

    ac = redis->url.path[0] ? redisAsyncConnectUnix((char *) redis->url.path)
                            : redisAsyncConnect((char *) redis->url.host, redis->url.port);

    if (ac == NULL) {
        ngx_http_foodsvc_redis_closed("no memory");
        return;
    }

    if (ac->err) {
        ngx_http_foodsvc_redis_closed(ac->errstr);
        redisAsyncFree(ac);
        return;
    }

    if (ngx_http_foodsvc_redis_attach(ac, redis->log) != NGX_OK) {
        ngx_http_foodsvc_redis_closed("nginx has no free connection");
        redisAsyncFree(ac);
        return;
    }

    redis->ac = ac;
    redis->state = NGX_HTTP_FOODSVC_REDIS_CONNECTING;
    redis->began = ngx_current_msec;

    redisAsyncSetConnectCallback(ac, ngx_http_foodsvc_redis_connected);
    redisAsyncSetDisconnectCallback(ac, ngx_http_foodsvc_redis_disconnected);

    ngx_http_foodsvc_redis_watch();
    ngx_http_foodsvc_redis_hold();
}


/* The context must not be freed in here: on failure hiredis does it, and the timer when hello could not be said. */
static void
ngx_http_foodsvc_redis_connected(const redisAsyncContext *ac, int status)
{
    ngx_log_debug1(NGX_LOG_DEBUG_CORE, ngx_http_foodsvc_redis.log, 0, "foodsvc redis: connect: %d", status);

    if (status != REDIS_OK) {
        ngx_http_foodsvc_redis_lost((redisAsyncContext *) ac, ac->errstr);
        return;
    }

    (void) ngx_http_foodsvc_redis_hello((redisAsyncContext *) ac);
}


static void
ngx_http_foodsvc_redis_disconnected(const redisAsyncContext *ac, int status)
{
    ngx_http_foodsvc_redis_lost((redisAsyncContext *) ac, status == REDIS_OK ? "closed" : ac->errstr);
}


static ngx_int_t
ngx_http_foodsvc_redis_hello(redisAsyncContext *ac)
{
    char                           db[NGX_INT_T_LEN + 1];
    const char                    *argv[3];
    ngx_http_foodsvc_redis_url_t  *url = &ngx_http_foodsvc_redis.url;

    if (url->password[0]) {
        argv[0] = "AUTH";
        argv[1] = url->user[0] ? (char *) url->user : (char *) url->password;
        argv[2] = (char *) url->password;

        if (redisAsyncCommandArgv(ac, ngx_http_foodsvc_redis_hello_reply, "AUTH", url->user[0] ? 3 : 2, argv, NULL)
            != REDIS_OK)
        {
            return NGX_ERROR;
        }
    }

    if (url->db) {
        *ngx_sprintf((u_char *) db, "%ui", url->db) = '\0';
        argv[0] = "SELECT";
        argv[1] = db;

        if (redisAsyncCommandArgv(ac, ngx_http_foodsvc_redis_hello_reply, "SELECT", 2, argv, NULL) != REDIS_OK) {
            return NGX_ERROR;
        }
    }

    argv[0] = ngx_http_foodsvc_redis_hello_last;

    if (redisAsyncCommandArgv(ac, ngx_http_foodsvc_redis_hello_reply, (void *) ngx_http_foodsvc_redis_hello_last, 1,
                              argv, NULL)
        != REDIS_OK)
    {
        return NGX_ERROR;
    }

    return NGX_OK;
}


static void
ngx_http_foodsvc_redis_hello_reply(redisAsyncContext *ac, void *data, void *privdata)
{
    u_char                    *p, why[128];
    size_t                     len;
    redisReply                *reply = data;
    ngx_http_foodsvc_redis_t  *redis = &ngx_http_foodsvc_redis;

    if (reply == NULL) {
        ngx_http_foodsvc_redis_lost(ac, ac->errstr);
        return;
    }

    if (redis->state != NGX_HTTP_FOODSVC_REDIS_CONNECTING) {
        return;
    }

    if (reply->type == REDIS_REPLY_ERROR) {

        /* the first word only: an "unknown command" repeats the arguments, and so the password */

        p = (u_char *) ngx_strchr(reply->str, ' ');
        len = p ? (size_t) (p - (u_char *) reply->str) : (size_t) reply->len;

        p = ngx_snprintf(why, sizeof(why) - 1, "%s was answered with %*s", (char *) privdata, len, reply->str);
        *p = '\0';

        ngx_http_foodsvc_redis_drop((char *) why);
        return;
    }

    if (privdata == ngx_http_foodsvc_redis_hello_last) {

        if (redis->told) {
            redis->distrust = ngx_max(redis->distrust, ngx_time() + NGX_HTTP_FOODSVC_REDIS_DISTRUST);
        }

        redis->state = NGX_HTTP_FOODSVC_REDIS_FLUSHING;
        ngx_http_foodsvc_redis_pump();
    }
}


/* CLOSED, whatever it was before. */
static void
ngx_http_foodsvc_redis_closed(const char *why)
{
    ngx_msec_t                 wait;
    ngx_uint_t                 level;
    ngx_http_foodsvc_redis_t  *redis = &ngx_http_foodsvc_redis;

    redis->ac = NULL;

    if (redis->state == NGX_HTTP_FOODSVC_REDIS_OFF) {
        return;
    }

    redis->state = NGX_HTTP_FOODSVC_REDIS_CLOSED;

    level = redis->told ? NGX_LOG_INFO : NGX_LOG_ERR;
    redis->told = 1;

    ngx_log_error(level, redis->log, 0, "foodsvc redis: not connected: %s; going on without it", why);

    if (redis->began && ngx_current_msec - redis->began > NGX_HTTP_FOODSVC_REDIS_STEADY) {
        redis->backoff = 0;
    }

    redis->backoff = ngx_max(redis->backoff * 2, NGX_HTTP_FOODSVC_REDIS_BACKOFF_MIN);
    redis->backoff = ngx_min(redis->backoff, NGX_HTTP_FOODSVC_REDIS_BACKOFF_MAX);

    wait = redis->backoff - ngx_random() % (redis->backoff / 2);

    if (redis->watch.timer_set) {
        ngx_del_timer(&redis->watch);
    }

    ngx_add_timer(&redis->retry, wait);
    ngx_http_foodsvc_redis_hold();
}


void
ngx_http_foodsvc_redis_lost(redisAsyncContext *ac, const char *why)
{
    if (ac == ngx_http_foodsvc_redis.ac && ac != NULL) {
        ngx_http_foodsvc_redis_closed(why && *why ? why : "closed");
    }
}


void
ngx_http_foodsvc_redis_drop(const char *why)
{
    redisAsyncContext  *ac = ngx_http_foodsvc_redis.ac;

    if (ac == NULL) {
        return;
    }

    ngx_http_foodsvc_redis_closed(why);
    redisAsyncFree(ac);
}


void
ngx_http_foodsvc_redis_watch(void)
{
    ngx_http_foodsvc_redis_t  *redis = &ngx_http_foodsvc_redis;

    if (!redis->watch.timer_set) {
        ngx_add_timer(&redis->watch, redis->conf->timeout);
    }
}


static void
ngx_http_foodsvc_redis_watch_handler(ngx_event_t *ev)
{
    ngx_msec_t                     since;
    ngx_msec_int_t                 left;
    ngx_http_foodsvc_redis_t      *redis = &ngx_http_foodsvc_redis;
    ngx_http_foodsvc_redis_cmd_t  *cmd;

    if (redis->state == NGX_HTTP_FOODSVC_REDIS_CONNECTING) {
        since = redis->began;

    } else if (!ngx_queue_empty(&redis->inflight)) {
        cmd = ngx_queue_data(ngx_queue_head(&redis->inflight), ngx_http_foodsvc_redis_cmd_t, queue);
        since = cmd->sent;

    } else {
        return;
    }

    left = (ngx_msec_int_t) (since + redis->conf->timeout - ngx_current_msec);

    if (left > 0) {
        ngx_add_timer(&redis->watch, (ngx_msec_t) left);
        return;
    }

    ngx_http_foodsvc_redis_drop("no answer in time");
}


static void
ngx_http_foodsvc_redis_retry_handler(ngx_event_t *ev)
{
    ngx_http_foodsvc_redis_t  *redis = &ngx_http_foodsvc_redis;

    if (redis->state == NGX_HTTP_FOODSVC_REDIS_CLOSED) {
        ngx_http_foodsvc_redis_connect();
    }
}


/* Has the worker been quitting for so long that writes are given up? */
static ngx_uint_t
ngx_http_foodsvc_redis_quitting(void)
{
    ngx_http_foodsvc_redis_t  *redis = &ngx_http_foodsvc_redis;

    if (!ngx_exiting) {
        return 0;
    }

    if (redis->quit == 0) {
        redis->quit = ngx_current_msec + 4 * redis->conf->timeout;
    }

    return (ngx_msec_int_t) (ngx_current_msec - redis->quit) >= 0;
}


void
ngx_http_foodsvc_redis_hold(void)
{
    ngx_uint_t                 hold;
    ngx_http_foodsvc_redis_t  *redis = &ngx_http_foodsvc_redis;

    hold = (redis->nwrites || redis->writes.n) && !ngx_http_foodsvc_redis_quitting();

    redis->watch.cancelable = !hold;
    redis->retry.cancelable = !hold;
}


ngx_int_t
ngx_http_foodsvc_redis_init_process(ngx_cycle_t *cycle, ngx_http_foodsvc_redis_conf_t *conf)
{
    u_char                     err[128];
    ngx_http_foodsvc_redis_t  *redis = &ngx_http_foodsvc_redis;

    ngx_memzero(redis, sizeof(ngx_http_foodsvc_redis_t));

    redis->conf = conf;
    redis->log = cycle->log;

    ngx_queue_init(&redis->inflight);
    ngx_http_foodsvc_redis_writes_init(&redis->writes);

    if (ngx_http_foodsvc_redis_url_parse(&conf->url, &redis->url, err, sizeof(err)) != NGX_OK) {
        ngx_log_error(NGX_LOG_EMERG, cycle->log, 0, "foodsvc redis: %s", err);
        return NGX_ERROR;
    }

    ngx_http_foodsvc_redis_nobody.fd = (ngx_socket_t) -1;

    redis->watch.handler = ngx_http_foodsvc_redis_watch_handler;
    redis->watch.data = &ngx_http_foodsvc_redis_nobody;
    redis->watch.log = cycle->log;
    redis->watch.cancelable = 1;

    redis->retry.handler = ngx_http_foodsvc_redis_retry_handler;
    redis->retry.data = &ngx_http_foodsvc_redis_nobody;
    redis->retry.log = cycle->log;
    redis->retry.cancelable = 1;

    redis->state = NGX_HTTP_FOODSVC_REDIS_CLOSED;
    ngx_http_foodsvc_redis_connect();

    return NGX_OK;
}


void
ngx_http_foodsvc_redis_exit_process(ngx_cycle_t *cycle)
{
    int                              done;
    redisAsyncContext               *ac;
    ngx_http_foodsvc_redis_t        *redis = &ngx_http_foodsvc_redis;
    ngx_http_foodsvc_redis_write_t  *write;

    if (redis->state == NGX_HTTP_FOODSVC_REDIS_OFF) {
        return;
    }

    ac = redis->ac;

    if (redis->state >= NGX_HTTP_FOODSVC_REDIS_FLUSHING) {

        /* what was submitted in the last turn of the loop: once, without waiting */

        (void) redisBufferWrite(&ac->c, &done);
    }

    redis->state = NGX_HTTP_FOODSVC_REDIS_OFF;
    redis->ac = NULL;

    if (redis->watch.timer_set) {
        ngx_del_timer(&redis->watch);
    }

    if (redis->retry.timer_set) {
        ngx_del_timer(&redis->retry);
    }

    if (ac) {
        redisAsyncFree(ac);
    }

    if (redis->writes.n) {
        ngx_log_error(NGX_LOG_WARN, redis->log, 0, "foodsvc redis: %ui writes were not made: old entries may be read "
                      "until they expire", redis->writes.n);
    }

    while ((write = ngx_http_foodsvc_redis_writes_take(&redis->writes)) != NULL) {
        ngx_http_foodsvc_redis_write_free(write);
    }
}
