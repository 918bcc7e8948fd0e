/*
 * The cache's commands, as ops.
 *
 * Everything here runs in the event loop; there is no thread and no lock. Commands are pipelined on the worker's one
 * connection: hiredis formats (copies) a command at once, and the loop's adapter writes what has gathered at the end
 * of the loop's turn. A command in flight is a cmd on the heap, which holds the op (NULL when nobody waits) and, for a
 * write, a copy of it; hiredis calls back once for each, with a reply or, when the connection ends, with none.
 *
 * What must never happen is that an entry is read which a write should have replaced. So a write whose outcome is not
 * known to be good is remembered, of each order the newest, and sent before anything is read:
 *   - not connected, or too many in flight: remembered; sent after the reconnect (FLUSHING), or when there is room;
 *   - the connection ended before the reply: remembered, the scripts can be repeated;
 *   - Redis refuses writes (memory, read-only, a key lacks): the connection is dropped, for what can not be written
 *     must not be read either; tried again with backoff, until the write goes through;
 *   - NOSCRIPT: the same again with EVAL. Reads of this order that were sent in between count as "not there";
 *   - more than fit to be remembered: orders are not read for as long as an old entry can live.
 * A read of an order that has a remembered write is declined. Others remember writes, too: the workers of this nginx
 * and of others, orderd. So no order is read for 4 s after a reconnect, which is longer than the longest backoff (2 s).
 * What an answer of this nginx showed is guarded by ngx_http_foodsvc_shown.c anyway; but other hosts have not seen it.
 * What is remembered dies with the process: orderd gets its events again, and writes then; a killed nginx's deletion is
 * made up for by its successor, which does not believe what was in Redis before it started (ngx_http_foodsvc_shown.c,
 * too).
 */
#include "ngx_http_foodsvc_redis_state.h"


static ngx_uint_t ngx_http_foodsvc_redis_room(void);
static ngx_int_t ngx_http_foodsvc_redis_decline(ngx_http_foodsvc_redis_op_t *op);
static ngx_int_t ngx_http_foodsvc_redis_read(ngx_http_foodsvc_redis_op_t *op, const char *id,
    void (*format)(foodsvc_cache_cmd_t *args, const char *id));
static ngx_int_t ngx_http_foodsvc_redis_write(ngx_http_foodsvc_redis_write_t *write,
    ngx_http_foodsvc_redis_op_t *op);
static void ngx_http_foodsvc_redis_op_destroy(ngx_http_foodsvc_op_t *op);


ngx_http_foodsvc_redis_t  ngx_http_foodsvc_redis;


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
    return ngx_http_foodsvc_redis_read(op, id, foodsvc_cache_order_get);
}


ngx_int_t
ngx_http_foodsvc_redis_order_ttl(ngx_http_foodsvc_redis_op_t *op, const char *id)
{
    return ngx_http_foodsvc_redis_read(op, id, foodsvc_cache_order_ttl);
}


/* Of an order's entry, which is not looked at while a write of it is owed. */
static ngx_int_t
ngx_http_foodsvc_redis_read(ngx_http_foodsvc_redis_op_t *op, const char *id,
    void (*format)(foodsvc_cache_cmd_t *args, const char *id))
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

    format(&args, cmd->id);

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
ngx_http_foodsvc_redis_order_set(const char *id, const char *json, size_t len, size_t rank)
{
    if (ngx_strlen(id) <= FOODSVC_UUID_TEXT) {
        (void) ngx_http_foodsvc_redis_write(ngx_http_foodsvc_redis_write_new(id, json, len, rank), NULL);
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
