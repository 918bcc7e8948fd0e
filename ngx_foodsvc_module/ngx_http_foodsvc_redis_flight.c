/*
 * Commands in flight: sending, replies, and the writes that are remembered. The essay is in ngx_http_foodsvc_redis.c.
 */
#include "ngx_http_foodsvc_redis_state.h"
#include "foodsvc_names.h"


static void ngx_http_foodsvc_redis_unsent(ngx_http_foodsvc_redis_cmd_t *cmd);
static void ngx_http_foodsvc_redis_reply_handler(redisAsyncContext *ac, void *data, void *privdata);
static void ngx_http_foodsvc_redis_write_reply(ngx_http_foodsvc_redis_cmd_t *cmd, redisReply *reply);
static void ngx_http_foodsvc_redis_finish(ngx_http_foodsvc_redis_cmd_t *cmd, redisReply *reply);
static ngx_http_foodsvc_redis_rc_e ngx_http_foodsvc_redis_rc(ngx_http_foodsvc_redis_op_t *op, redisReply *reply);
static ngx_uint_t ngx_http_foodsvc_redis_overtaken(const char *id);
static ngx_uint_t ngx_http_foodsvc_redis_refused(redisReply *reply);


/* Error replies that say that Redis takes no writes from us now, and not that this one command is wrong. */
static const char  *ngx_http_foodsvc_redis_refusals[] = {
    "OOM", "READONLY", "LOADING", "MISCONF", "NOAUTH", "NOPERM", "MASTERDOWN", "NOREPLICAS", "BUSY", "CLUSTERDOWN",
    "TRYAGAIN", "MOVED", "ASK", NULL
};


ngx_http_foodsvc_redis_cmd_t *
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
ngx_int_t
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


ngx_int_t
ngx_http_foodsvc_redis_send_write(ngx_http_foodsvc_redis_cmd_t *cmd)
{
    foodsvc_cache_cmd_t              args;
    ngx_http_foodsvc_redis_write_t  *write = cmd->write;

    if (write->remove) {
        foodsvc_cache_order_delete(&args, (char *) write->id, cmd->resent);

    } else {
        foodsvc_cache_order_set(&args, (char *) write->id, write->json, write->len, write->rank, cmd->resent);
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


void
ngx_http_foodsvc_redis_remember(ngx_http_foodsvc_redis_write_t *write)
{
    ngx_http_foodsvc_redis_t  *redis = &ngx_http_foodsvc_redis;

    if (write == NULL || ngx_http_foodsvc_redis_writes_add(&redis->writes, write) != NGX_OK) {

        if (redis->distrust < ngx_time() + FOODSVC_CACHE_ORDER_TTL / 2) {
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
