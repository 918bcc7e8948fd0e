/*
 * GET and DELETE /v1/orders/{id}.
 *
 * An order is read from Redis, and from MongoDB when Redis has none, has rubbish or is away: each works without the
 * other. What our services cached is sent as it is, unparsed, unless an earlier answer showed more of the order, or may
 * have done so before this nginx was started (ngx_http_foodsvc_shown.c). It is deleted from MongoDB first; the cache's
 * tombstone then keeps a late write from bringing it back.
 */
#include "ngx_http_foodsvc_flow.h"


static void ngx_http_foodsvc_order_ask_cache(ngx_http_foodsvc_ctx_t *ctx,
    ngx_int_t (*ask)(ngx_http_foodsvc_redis_op_t *op, const char *id), ngx_http_foodsvc_done_pt done);
static void ngx_http_foodsvc_order_aged(ngx_http_foodsvc_op_t *op);
static void ngx_http_foodsvc_order_cached(ngx_http_foodsvc_op_t *op);
static ngx_int_t ngx_http_foodsvc_order_reply_cached(ngx_http_foodsvc_ctx_t *ctx, const char *text, size_t len);
static void ngx_http_foodsvc_order_find(ngx_http_foodsvc_ctx_t *ctx);
static void ngx_http_foodsvc_order_found(ngx_http_foodsvc_op_t *op);
static void ngx_http_foodsvc_order_deleted(ngx_http_foodsvc_op_t *op);
static void ngx_http_foodsvc_order_uncache(ngx_http_foodsvc_ctx_t *ctx);
static void ngx_http_foodsvc_order_uncached(ngx_http_foodsvc_op_t *op);


void
ngx_http_foodsvc_order_get(ngx_http_foodsvc_ctx_t *ctx)
{
    if (ngx_http_foodsvc_shown_knows(ctx->id)) {
        ngx_http_foodsvc_order_ask_cache(ctx, ngx_http_foodsvc_redis_order_get, ngx_http_foodsvc_order_cached);

    } else {
        ngx_http_foodsvc_order_ask_cache(ctx, ngx_http_foodsvc_redis_order_ttl, ngx_http_foodsvc_order_aged);
    }
}


static void
ngx_http_foodsvc_order_ask_cache(ngx_http_foodsvc_ctx_t *ctx,
    ngx_int_t (*ask)(ngx_http_foodsvc_redis_op_t *op, const char *id), ngx_http_foodsvc_done_pt done)
{
    ngx_http_foodsvc_redis_op_t  *op;

    op = ngx_http_foodsvc_redis_op();
    if (op == NULL) {
        ngx_http_foodsvc_flow_no_memory(ctx);
        return;
    }

    op->op.done = done;

    if (ask(op, ctx->id) != NGX_OK) {
        ngx_http_foodsvc_order_find(ctx);
        return;
    }

    ngx_http_foodsvc_wait(ctx, &op->op);
}


/* Between this answer and the next a newer entry may come, an older one may not: writers keep the newer. */
static void
ngx_http_foodsvc_order_aged(ngx_http_foodsvc_op_t *op)
{
    ngx_http_foodsvc_ctx_t       *ctx;
    ngx_http_foodsvc_redis_op_t  *aged = (ngx_http_foodsvc_redis_op_t *) op;

    ctx = ngx_http_foodsvc_flow_arrived(op);
    if (ctx == NULL) {
        return;
    }

    if (aged->rc == NGX_HTTP_FOODSVC_REDIS_INTEGER && ngx_http_foodsvc_shown_recent(aged->integer)) {
        ngx_http_foodsvc_order_ask_cache(ctx, ngx_http_foodsvc_redis_order_get, ngx_http_foodsvc_order_cached);
        return;
    }

    ngx_http_foodsvc_order_find(ctx);
}


static void
ngx_http_foodsvc_order_cached(ngx_http_foodsvc_op_t *op)
{
    ngx_http_foodsvc_ctx_t       *ctx;
    ngx_http_foodsvc_redis_op_t  *cached = (ngx_http_foodsvc_redis_op_t *) op;

    ctx = ngx_http_foodsvc_flow_arrived(op);
    if (ctx == NULL) {
        return;
    }

    if (cached->rc == NGX_HTTP_FOODSVC_REDIS_VALUE
        && ngx_http_foodsvc_order_reply_cached(ctx, cached->value, cached->len) == NGX_OK)
    {
        return;
    }

    ngx_http_foodsvc_order_find(ctx);
}


/*
 * NGX_DECLINED: the value is no order that we can read, or older than what was shown; it is as good as nothing there.
 */
static ngx_int_t
ngx_http_foodsvc_order_reply_cached(ngx_http_foodsvc_ctx_t *ctx, const char *text, size_t len)
{
    char              err[FOODSVC_ERR], *json;
    size_t            public_len, json_len;
    foodsvc_order_t  *order;

    public_len = foodsvc_order_cache_public(text, len, ctx->id);
    if (public_len) {
        if (!ngx_http_foodsvc_shown(ctx->id, foodsvc_order_cache_rank(text, public_len))) {
            return NGX_DECLINED;
        }

        ngx_http_foodsvc_reply_copy(ctx, NGX_HTTP_OK, text, public_len, "}");
        return NGX_OK;
    }

    order = foodsvc_order_from_cache(text, len, ctx->id, err);
    if (order == NULL) {
        ngx_log_error(NGX_LOG_WARN, ctx->request->connection->log, 0,
                      "foodsvc: order %s: its entry in Redis is ignored: %s", ctx->id, err);
        return NGX_DECLINED;
    }

    json = ngx_http_foodsvc_shown(ctx->id, foodsvc_order_rank(order)) ? foodsvc_order_response_json(order, &json_len)
                                                                      : NULL;
    foodsvc_order_free(order);
    if (json == NULL) {
        return NGX_DECLINED;
    }

    ngx_http_foodsvc_reply(ctx, NGX_HTTP_OK, json, json_len);
    return NGX_OK;
}


static void
ngx_http_foodsvc_order_find(ngx_http_foodsvc_ctx_t *ctx)
{
    ngx_http_foodsvc_flow_ask_store(ctx,
                                    ngx_http_foodsvc_flow_order_op(NGX_HTTP_FOODSVC_STORE_ORDER_FIND, ctx->id),
                                    ngx_http_foodsvc_order_found);
}


static void
ngx_http_foodsvc_order_found(ngx_http_foodsvc_op_t *op)
{
    ngx_http_foodsvc_ctx_t    *ctx;
    foodsvc_store_order_op_t  *found = &((ngx_http_foodsvc_store_op_t *) op)->u.order;

    ctx = ngx_http_foodsvc_flow_arrived(op);
    if (ctx == NULL) {
        return;
    }

    switch (found->rc) {

    case FOODSVC_STORE_OK:
        ngx_http_foodsvc_flow_reply_order(ctx, NGX_HTTP_OK, found->order);
        return;

    case FOODSVC_STORE_NOT_FOUND:
        ngx_http_foodsvc_flow_no_order(ctx);
        return;

    default:
        ngx_http_foodsvc_reply_store(ctx, found->rc, found->err);
    }
}


void
ngx_http_foodsvc_order_delete(ngx_http_foodsvc_ctx_t *ctx)
{
    ngx_http_foodsvc_flow_ask_store(ctx,
                                    ngx_http_foodsvc_flow_order_op(NGX_HTTP_FOODSVC_STORE_ORDER_DELETE, ctx->id),
                                    ngx_http_foodsvc_order_deleted);
}


/*
 * The cache forgets the order whatever MongoDB said, save that it was not asked: an entry of an order that is not
 * there any more is wrong, and one of an order that perhaps is not may be. The tombstone of an order that lives
 * costs speed alone.
 */
static void
ngx_http_foodsvc_order_deleted(ngx_http_foodsvc_op_t *op)
{
    ngx_http_foodsvc_ctx_t       *ctx;
    ngx_http_foodsvc_redis_op_t  *uncache;
    ngx_http_foodsvc_store_op_t  *deleted = (ngx_http_foodsvc_store_op_t *) op;
    foodsvc_store_rc_e            rc = deleted->u.order.rc;

    ctx = ngx_http_foodsvc_flow_arrived(op);

    if (rc == FOODSVC_STORE_OK || rc == FOODSVC_STORE_NOT_FOUND || rc == FOODSVC_STORE_UNKNOWN) {
        ngx_http_foodsvc_shown_deleted(deleted->id);
    }

    if (ctx && rc == FOODSVC_STORE_OK) {
        ngx_http_foodsvc_order_uncache(ctx);
        return;
    }

    if (rc == FOODSVC_STORE_OK || rc == FOODSVC_STORE_NOT_FOUND || rc == FOODSVC_STORE_UNKNOWN) {
        uncache = ngx_http_foodsvc_redis_op();
        if (uncache) {
            (void) ngx_http_foodsvc_redis_order_delete(uncache, deleted->id);
        }
    }

    if (ctx == NULL) {
        return;
    }

    if (rc == FOODSVC_STORE_NOT_FOUND) {
        ngx_http_foodsvc_flow_no_order(ctx);

    } else {
        ngx_http_foodsvc_reply_store(ctx, rc, deleted->u.order.err);
    }
}


static void
ngx_http_foodsvc_order_uncache(ngx_http_foodsvc_ctx_t *ctx)
{
    ngx_http_foodsvc_redis_op_t  *op;

    op = ngx_http_foodsvc_redis_op();
    if (op == NULL) {
        ngx_http_foodsvc_flow_no_memory(ctx);
        return;
    }

    op->op.done = ngx_http_foodsvc_order_uncached;

    /* Redis away: the adapter remembers the deletion, and makes it before anything is read again. */
    if (ngx_http_foodsvc_redis_order_delete(op, ctx->id) != NGX_OK) {
        ngx_http_foodsvc_reply(ctx, NGX_HTTP_NO_CONTENT, NULL, 0);
        return;
    }

    ngx_http_foodsvc_wait(ctx, &op->op);
}


static void
ngx_http_foodsvc_order_uncached(ngx_http_foodsvc_op_t *op)
{
    ngx_http_foodsvc_ctx_t  *ctx;

    ctx = ngx_http_foodsvc_flow_arrived(op);
    if (ctx) {
        ngx_http_foodsvc_reply(ctx, NGX_HTTP_NO_CONTENT, NULL, 0);
    }
}
