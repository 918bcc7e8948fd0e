/*
 * The cache's commands, as ops.
 *
 * Everything here runs in the event loop; there is no thread and no lock. Commands are pipelined on the worker's one
 * connection: hiredis formats (copies) a command at once, and the loop's adapter writes what has gathered at the end of
 * the loop's turn. A command in flight is a cmd on the heap, which holds the op (NULL when nobody waits) and, for a write,
 * a copy of it; hiredis calls back once for each, with a reply or, when the connection ends, with none.
 *
 * What must never happen is that an entry is read which a write should have replaced. So a write whose outcome is not
 * known to be good is remembered, of each order the newest, and sent before anything is read:
 *   - not connected, or too many in flight: remembered; sent after the reconnect (FLUSHING), or as soon as there is room;
 *   - the connection ended before the reply: remembered, the scripts can be repeated;
 *   - Redis refuses writes (memory, read-only, a key lacks): the connection is dropped, for what can not be written must
 *     not be read either; tried again with backoff, until the write goes through;
 *   - NOSCRIPT: the same again with EVAL. Reads of this order that were sent in between count as "not there";
 *   - more than fit to be remembered: orders are not read for as long as an old entry can live.
 * A read of an order that has a remembered write is declined. This is one worker's view: another worker may still read the
 * old entry until the first one has got its write through, at most its backoff (2 s) after Redis is back.
 */
#include "ngx_http_foodsvc_redis_state.h"
#include "foodsvc_names.h"


static ngx_http_foodsvc_redis_cmd_t *ngx_http_foodsvc_redis_cmd(ngx_http_foodsvc_redis_kind_e kind);
static ngx_int_t ngx_http_foodsvc_redis_send(ngx_http_foodsvc_redis_cmd_t *cmd, foodsvc_cache_cmd_t *args);
static ngx_int_t ngx_http_foodsvc_redis_send_write(ngx_http_foodsvc_redis_cmd_t *cmd);
static void ngx_http_foodsvc_redis_unsent(ngx_http_foodsvc_redis_cmd_t *cmd);
static void ngx_http_foodsvc_redis_reply_handler(redisAsyncContext *ac, void *data, void *privdata);
static void ngx_http_foodsvc_redis_write_reply(ngx_http_foodsvc_redis_cmd_t *cmd, redisReply *reply);
static void ngx_http_foodsvc_redis_finish(ngx_http_foodsvc_redis_cmd_t *cmd, redisReply *reply);
static ngx_http_foodsvc_redis_rc_e ngx_http_foodsvc_redis_rc(ngx_http_foodsvc_redis_op_t *op, redisReply *reply);
static ngx_uint_t ngx_http_foodsvc_redis_overtaken(const char *id);
static ngx_uint_t ngx_http_foodsvc_redis_refused(redisReply *reply);
static void ngx_http_foodsvc_redis_remember(ngx_http_foodsvc_redis_write_t *write);
static ngx_uint_t ngx_http_foodsvc_redis_room(void);
static ngx_int_t ngx_http_foodsvc_redis_decline(ngx_http_foodsvc_redis_op_t *op);
static ngx_int_t ngx_http_foodsvc_redis_write(ngx_http_foodsvc_redis_write_t *write,
    ngx_http_foodsvc_redis_op_t *op);
static void ngx_http_foodsvc_redis_op_destroy(ngx_http_foodsvc_op_t *op);


ngx_http_foodsvc_redis_t  ngx_http_foodsvc_redis;

/* Error replies that say that Redis takes no writes from us now, and not that this one command is wrong. */
static const char  *ngx_http_foodsvc_redis_refusals[] = {
    "OOM", "READONLY", "LOADING", "MISCONF", "NOAUTH", "NOPERM", "MASTERDOWN", "NOREPLICAS", "BUSY", "CLUSTERDOWN",
    "TRYAGAIN", "MOVED", "ASK", NULL
};


static ngx_http_foodsvc_redis_cmd_t *
ngx_http_foodsvc_redis_cmd(ngx_http_foodsvc_redis_kind_e kind)
{
    ngx_http_foodsvc_redis_cmd_t  *cmd;

    cmd = ngx_calloc(sizeof(ngx_http_foodsvc_redis_cmd_t), ngx_http_foodsvc_redis.log);
    if (cmd) {
        cmd->kind = kind;
    }

    return cmd;
}


/* NGX_OK: in flight. Else the cmd is still the caller's. */
static ngx_int_t
ngx_http_foodsvc_redis_send(ngx_http_foodsvc_redis_cmd_t *cmd, foodsvc_cache_cmd_t *args)
{
    ngx_http_foodsvc_redis_t  *redis = &ngx_http_foodsvc_redis;

    if (redis->ac == NULL
        || redisAsyncCommandArgv(redis->ac, ngx_http_foodsvc_redis_reply_handler, cmd, args->argc, args->argv,
                                 args->lens)
           != REDIS_OK)
    {
        return NGX_ERROR;
    }

    cmd->sent = ngx_current_msec;
    ngx_queue_insert_tail(&redis->inflight, &cmd->queue);
    redis->n++;

    if (cmd->kind == NGX_HTTP_FOODSVC_REDIS_WRITE) {
        redis->nwrites++;
        redis->nresent += cmd->resent;
    }

    ngx_http_foodsvc_redis_watch();

    return NGX_OK;
}


static ngx_int_t
ngx_http_foodsvc_redis_send_write(ngx_http_foodsvc_redis_cmd_t *cmd)
{
    foodsvc_cache_cmd_t              args;
    ngx_http_foodsvc_redis_write_t  *write = cmd->write;

    if (write->remove) {
        foodsvc_cache_order_delete(&args, (char *) write->id, cmd->resent);

    } else {
        foodsvc_cache_order_set(&args, (char *) write->id, write->json, write->len, write->nupdated, cmd->resent);
    }

    return ngx_http_foodsvc_redis_send(cmd, &args);
}


static void
ngx_http_foodsvc_redis_unsent(ngx_http_foodsvc_redis_cmd_t *cmd)
{
    ngx_http_foodsvc_redis_t  *redis = &ngx_http_foodsvc_redis;

    ngx_queue_remove(&cmd->queue);
    redis->n--;

    if (cmd->kind == NGX_HTTP_FOODSVC_REDIS_WRITE) {
        redis->nwrites--;
        redis->nresent -= cmd->resent;
    }
}


static void
ngx_http_foodsvc_redis_reply_handler(redisAsyncContext *ac, void *data, void *privdata)
{
    redisReply                    *reply = data;
    ngx_http_foodsvc_redis_cmd_t  *cmd = privdata;

    if (reply == NULL) {

        /* before any callback can submit something */

        ngx_http_foodsvc_redis_lost(ac, ac->errstr);
    }

    ngx_http_foodsvc_redis_unsent(cmd);

    if (cmd->kind == NGX_HTTP_FOODSVC_REDIS_WRITE) {
        ngx_http_foodsvc_redis_write_reply(cmd, reply);

    } else {
        ngx_http_foodsvc_redis_finish(cmd, reply);
    }

    ngx_http_foodsvc_redis_pump();
}


/* Decides what becomes of the write, then ends the cmd, or sends it again. */
static void
ngx_http_foodsvc_redis_write_reply(ngx_http_foodsvc_redis_cmd_t *cmd, redisReply *reply)
{
    const char                      *what;
    ngx_http_foodsvc_redis_t        *redis = &ngx_http_foodsvc_redis;
    ngx_http_foodsvc_redis_write_t  *write = cmd->write;

    if (reply == NULL) {
        cmd->write = NULL;
        ngx_http_foodsvc_redis_remember(write);

    } else if (reply->type == REDIS_REPLY_ERROR) {

        what = write->remove ? "delete" : "set";

        if (!cmd->resent && foodsvc_cache_noscript(reply->str, reply->len)) {
            cmd->resent = 1;

            if (ngx_http_foodsvc_redis_send_write(cmd) == NGX_OK) {
                return;
            }

            cmd->write = NULL;
            ngx_http_foodsvc_redis_remember(write);

        } else if (ngx_http_foodsvc_redis_refused(reply)) {
            cmd->write = NULL;
            ngx_http_foodsvc_redis_remember(write);
            ngx_http_foodsvc_redis_drop(reply->str);

        } else {
            ngx_log_error(NGX_LOG_ERR, redis->log, 0, "foodsvc redis: %s of order \"%s\" failed: %s", what, write->id,
                          reply->str);
        }
    }

    ngx_http_foodsvc_redis_finish(cmd, reply);
}


/* Fires and frees; after this nothing of the cmd is there any more. */
static void
ngx_http_foodsvc_redis_finish(ngx_http_foodsvc_redis_cmd_t *cmd, redisReply *reply)
{
    ngx_http_foodsvc_redis_op_t  *op = cmd->op;

    if (op) {
        op->rc = ngx_http_foodsvc_redis_rc(op, reply);

        if (op->rc == NGX_HTTP_FOODSVC_REDIS_VALUE && cmd->kind == NGX_HTTP_FOODSVC_REDIS_GET
            && ngx_http_foodsvc_redis_overtaken(cmd->id))
        {
            op->rc = NGX_HTTP_FOODSVC_REDIS_NIL;
        }

        if (op->op.done) {
            op->op.done(&op->op);
        }

        op->op.destroy(&op->op);

    } else if (reply && reply->type == REDIS_REPLY_ERROR && cmd->kind == NGX_HTTP_FOODSVC_REDIS_URL) {
        ngx_log_error(NGX_LOG_WARN, ngx_http_foodsvc_redis.log, 0, "foodsvc redis: a url was not stored: %s",
                      reply->str);
    }

    if (cmd->write) {
        ngx_http_foodsvc_redis_write_free(cmd->write);
    }

    ngx_free(cmd);
    ngx_http_foodsvc_redis_hold();
}


static ngx_http_foodsvc_redis_rc_e
ngx_http_foodsvc_redis_rc(ngx_http_foodsvc_redis_op_t *op, redisReply *reply)
{
    op->value = NULL;
    op->len = 0;

    if (reply == NULL) {
        return NGX_HTTP_FOODSVC_REDIS_AWAY;
    }

    switch (reply->type) {

    case REDIS_REPLY_STRING:
        op->value = reply->str;
        op->len = reply->len;
        return NGX_HTTP_FOODSVC_REDIS_VALUE;

    case REDIS_REPLY_NIL:
        return NGX_HTTP_FOODSVC_REDIS_NIL;

    case REDIS_REPLY_INTEGER:
        op->integer = (ngx_int_t) reply->integer;
        return NGX_HTTP_FOODSVC_REDIS_INTEGER;

    default:
        return NGX_HTTP_FOODSVC_REDIS_ERROR;
    }
}


/* Was this read sent before a write that had to be sent again, or that waits? */
static ngx_uint_t
ngx_http_foodsvc_redis_overtaken(const char *id)
{
    ngx_queue_t                   *q;
    ngx_http_foodsvc_redis_t      *redis = &ngx_http_foodsvc_redis;
    ngx_http_foodsvc_redis_cmd_t  *cmd;

    if (ngx_http_foodsvc_redis_writes_find(&redis->writes, id)) {
        return 1;
    }

    if (redis->nresent == 0) {
        return 0;
    }

    for (q = ngx_queue_head(&redis->inflight); q != ngx_queue_sentinel(&redis->inflight); q = ngx_queue_next(q)) {
        cmd = ngx_queue_data(q, ngx_http_foodsvc_redis_cmd_t, queue);

        if (cmd->resent && ngx_strcmp(cmd->write->id, id) == 0) {
            return 1;
        }
    }

    return 0;
}


static ngx_uint_t
ngx_http_foodsvc_redis_refused(redisReply *reply)
{
    size_t       len;
    ngx_uint_t   i;

    for (i = 0; ngx_http_foodsvc_redis_refusals[i]; i++) {
        len = ngx_strlen(ngx_http_foodsvc_redis_refusals[i]);

        if ((size_t) reply->len > len && reply->str[len] == ' '
            && ngx_strncmp(reply->str, ngx_http_foodsvc_redis_refusals[i], len) == 0)
        {
            return 1;
        }
    }

    return 0;
}


static void
ngx_http_foodsvc_redis_remember(ngx_http_foodsvc_redis_write_t *write)
{
    ngx_http_foodsvc_redis_t  *redis = &ngx_http_foodsvc_redis;

    if (write == NULL || ngx_http_foodsvc_redis_writes_add(&redis->writes, write) != NGX_OK) {

        if (redis->distrust <= ngx_time()) {
            ngx_log_error(NGX_LOG_ERR, redis->log, 0, "foodsvc redis: more than %d writes wait for Redis: orders are "
                          "not read from it for %d seconds", NGX_HTTP_FOODSVC_REDIS_WRITES, FOODSVC_CACHE_ORDER_TTL);
        }

        redis->distrust = ngx_time() + FOODSVC_CACHE_ORDER_TTL;
    }

    ngx_http_foodsvc_redis_hold();
}


void
ngx_http_foodsvc_redis_pump(void)
{
    ngx_http_foodsvc_redis_t        *redis = &ngx_http_foodsvc_redis;
    ngx_http_foodsvc_redis_cmd_t    *cmd;
    ngx_http_foodsvc_redis_write_t  *write;

    while (redis->state >= NGX_HTTP_FOODSVC_REDIS_FLUSHING && redis->writes.n && redis->n < redis->conf->queue) {

        cmd = ngx_http_foodsvc_redis_cmd(NGX_HTTP_FOODSVC_REDIS_WRITE);
        if (cmd == NULL) {
            return;
        }

        write = ngx_http_foodsvc_redis_writes_take(&redis->writes);
        cmd->write = write;

        if (ngx_http_foodsvc_redis_send_write(cmd) != NGX_OK) {
            ngx_free(cmd);
            ngx_http_foodsvc_redis_remember(write);
            return;
        }
    }

    if (redis->state == NGX_HTTP_FOODSVC_REDIS_FLUSHING && redis->writes.n == 0 && redis->n == 0) {
        redis->state = NGX_HTTP_FOODSVC_REDIS_READY;
        redis->told = 0;
        ngx_log_error(NGX_LOG_NOTICE, redis->log, 0, "foodsvc redis: connected");
    }

    ngx_http_foodsvc_redis_hold();
}


static ngx_uint_t
ngx_http_foodsvc_redis_room(void)
{
    ngx_http_foodsvc_redis_t  *redis = &ngx_http_foodsvc_redis;

    return redis->state == NGX_HTTP_FOODSVC_REDIS_READY && redis->n < redis->conf->queue;
}


static ngx_int_t
ngx_http_foodsvc_redis_decline(ngx_http_foodsvc_redis_op_t *op)
{
    if (op) {
        op->op.destroy(&op->op);
    }

    return NGX_DECLINED;
}


ngx_int_t
ngx_http_foodsvc_redis_order_get(ngx_http_foodsvc_redis_op_t *op, const char *id)
{
    size_t                         len;
    foodsvc_cache_cmd_t            args;
    ngx_http_foodsvc_redis_t      *redis = &ngx_http_foodsvc_redis;
    ngx_http_foodsvc_redis_cmd_t  *cmd;

    len = ngx_strlen(id);

    if (!ngx_http_foodsvc_redis_room() || len >= sizeof(cmd->id) || redis->distrust > ngx_time()
        || ngx_http_foodsvc_redis_writes_find(&redis->writes, id))
    {
        return ngx_http_foodsvc_redis_decline(op);
    }

    cmd = ngx_http_foodsvc_redis_cmd(NGX_HTTP_FOODSVC_REDIS_GET);
    if (cmd == NULL) {
        return ngx_http_foodsvc_redis_decline(op);
    }

    ngx_memcpy(cmd->id, id, len + 1);
    cmd->op = op;

    foodsvc_cache_order_get(&args, cmd->id);

    if (ngx_http_foodsvc_redis_send(cmd, &args) != NGX_OK) {
        ngx_free(cmd);
        return ngx_http_foodsvc_redis_decline(op);
    }

    return NGX_OK;
}


ngx_int_t
ngx_http_foodsvc_redis_url_get(ngx_http_foodsvc_redis_op_t *op, const char *service)
{
    foodsvc_cache_cmd_t            args;
    ngx_http_foodsvc_redis_cmd_t  *cmd;

    cmd = ngx_http_foodsvc_redis_room() ? ngx_http_foodsvc_redis_cmd(NGX_HTTP_FOODSVC_REDIS_URL) : NULL;
    if (cmd == NULL) {
        return ngx_http_foodsvc_redis_decline(op);
    }

    cmd->op = op;
    foodsvc_cache_url_get(&args, service);

    if (ngx_http_foodsvc_redis_send(cmd, &args) != NGX_OK) {
        ngx_free(cmd);
        return ngx_http_foodsvc_redis_decline(op);
    }

    return NGX_OK;
}


void
ngx_http_foodsvc_redis_url_set(const char *service, const char *url)
{
    foodsvc_cache_cmd_t            args;
    ngx_http_foodsvc_redis_cmd_t  *cmd;

    cmd = ngx_http_foodsvc_redis_room() ? ngx_http_foodsvc_redis_cmd(NGX_HTTP_FOODSVC_REDIS_URL) : NULL;
    if (cmd == NULL) {
        return;
    }

    foodsvc_cache_url_set(&args, service, url);

    if (ngx_http_foodsvc_redis_send(cmd, &args) != NGX_OK) {
        ngx_free(cmd);
    }
}


/* NGX_OK: in flight, with the op. Else the write is remembered, the op still the caller's. */
static ngx_int_t
ngx_http_foodsvc_redis_write(ngx_http_foodsvc_redis_write_t *write, ngx_http_foodsvc_redis_op_t *op)
{
    ngx_http_foodsvc_redis_t      *redis = &ngx_http_foodsvc_redis;
    ngx_http_foodsvc_redis_cmd_t  *cmd;

    if (redis->state == NGX_HTTP_FOODSVC_REDIS_OFF) {
        if (write) {
            ngx_http_foodsvc_redis_write_free(write);
        }

        return NGX_DECLINED;
    }

    cmd = NULL;

    /* while an earlier one waits, this one goes the same way: a set must not overtake, and undo, a deletion */

    if (write && ngx_http_foodsvc_redis_room()
        && ngx_http_foodsvc_redis_writes_find(&redis->writes, (char *) write->id) == NULL)
    {
        cmd = ngx_http_foodsvc_redis_cmd(NGX_HTTP_FOODSVC_REDIS_WRITE);
    }

    if (cmd) {
        cmd->write = write;
        cmd->op = op;

        if (ngx_http_foodsvc_redis_send_write(cmd) == NGX_OK) {
            ngx_http_foodsvc_redis_hold();
            return NGX_OK;
        }

        ngx_free(cmd);
    }

    ngx_http_foodsvc_redis_remember(write);
    ngx_http_foodsvc_redis_pump();

    return NGX_DECLINED;
}


void
ngx_http_foodsvc_redis_order_set(const char *id, const char *json, size_t len, size_t nupdated)
{
    if (ngx_strlen(id) <= FOODSVC_UUID_TEXT) {
        (void) ngx_http_foodsvc_redis_write(ngx_http_foodsvc_redis_write_new(id, json, len, nupdated), NULL);
    }
}


ngx_int_t
ngx_http_foodsvc_redis_order_delete(ngx_http_foodsvc_redis_op_t *op, const char *id)
{
    if (ngx_strlen(id) > FOODSVC_UUID_TEXT
        || ngx_http_foodsvc_redis_write(ngx_http_foodsvc_redis_write_new(id, NULL, 0, 0), op) != NGX_OK)
    {
        return ngx_http_foodsvc_redis_decline(op);
    }

    return NGX_OK;
}


static void
ngx_http_foodsvc_redis_op_destroy(ngx_http_foodsvc_op_t *op)
{
    ngx_free(op);
}


ngx_http_foodsvc_redis_op_t *
ngx_http_foodsvc_redis_op(void)
{
    ngx_http_foodsvc_redis_op_t  *op;

    op = ngx_calloc(sizeof(ngx_http_foodsvc_redis_op_t), ngx_cycle->log);
    if (op) {
        op->op.destroy = ngx_http_foodsvc_redis_op_destroy;
    }

    return op;
}
