/*
 * What the handlers' flows share; the header tells what each does.
 *
 * Waiting begins after a submit that succeeded: an adapter's callback never fires before submit has returned, and so
 * an op that was refused has nothing to be detached from.
 */
#include "ngx_http_foodsvc_flow.h"
#include "foodsvc_secret.h"


/* How long a client waits for the broker's confirm of what is stored already. */
#define NGX_HTTP_FOODSVC_CONFIRM_WAIT   1000


static void ngx_http_foodsvc_flow_nudged(ngx_http_foodsvc_op_t *op);
static void ngx_http_foodsvc_flow_unconfirmed(ngx_event_t *ev);


void *
ngx_http_foodsvc_flow_begin(ngx_http_foodsvc_ctx_t *ctx, size_t size, ngx_http_foodsvc_handler_pt cleanup)
{
    void  *flow;

    flow = ngx_pcalloc(ctx->request->pool, size);
    if (flow == NULL) {
        ngx_http_foodsvc_flow_no_memory(ctx);
        return NULL;
    }

    ctx->flow = flow;
    ctx->cleanup = cleanup;
    return flow;
}


void
ngx_http_foodsvc_flow_no_memory(ngx_http_foodsvc_ctx_t *ctx)
{
    ngx_log_error(NGX_LOG_CRIT, ctx->request->connection->log, 0, "foodsvc: out of memory");
    ngx_http_foodsvc_reply_no_memory(ctx);
}


void
ngx_http_foodsvc_flow_no_order(ngx_http_foodsvc_ctx_t *ctx)
{
    ngx_http_foodsvc_reply_detail(ctx, NGX_HTTP_NOT_FOUND, "order_id '%s' not found in DB %s.%s", ctx->id,
                                  FOODSVC_DB, FOODSVC_ORDERS);
}


ngx_http_foodsvc_store_op_t *
ngx_http_foodsvc_flow_order_op(ngx_http_foodsvc_store_kind_e kind, const char *id)
{
    ngx_http_foodsvc_store_op_t  *op;

    op = ngx_http_foodsvc_store_op(kind);
    if (op == NULL) {
        return NULL;
    }

    ngx_cpystrn((u_char *) op->id, (u_char *) id, sizeof(op->id));

    if (kind == NGX_HTTP_FOODSVC_STORE_ORDER_CHANGE) {
        op->u.change.id = op->id;

    } else {
        op->u.order.id = op->id;
    }

    return op;
}


ngx_int_t
ngx_http_foodsvc_flow_submit(ngx_http_foodsvc_ctx_t *ctx, ngx_http_foodsvc_store_op_t *op,
    ngx_http_foodsvc_done_pt done)
{
    op->op.done = done;

    if (ngx_http_foodsvc_store_submit(op) != NGX_OK) {
        op->op.destroy(&op->op);
        return NGX_BUSY;
    }

    ngx_http_foodsvc_wait(ctx, &op->op);
    return NGX_OK;
}


void
ngx_http_foodsvc_flow_ask_store(ngx_http_foodsvc_ctx_t *ctx, ngx_http_foodsvc_store_op_t *op,
    ngx_http_foodsvc_done_pt done)
{
    if (op == NULL) {
        ngx_http_foodsvc_flow_no_memory(ctx);
        return;
    }

    if (ngx_http_foodsvc_flow_submit(ctx, op, done) != NGX_OK) {
        ngx_http_foodsvc_reply_busy(ctx, "Too many requests wait for the database");
    }
}


ngx_http_foodsvc_ctx_t *
ngx_http_foodsvc_flow_arrived(ngx_http_foodsvc_op_t *op)
{
    ngx_http_foodsvc_ctx_t  *ctx;

    ctx = ngx_http_foodsvc_arrived(op);

    return ctx == NULL || ctx->replied ? NULL : ctx;
}


void
ngx_http_foodsvc_flow_call(ngx_http_foodsvc_ctx_t *ctx, const char *service, const char *path, char *body,
    size_t len, const char *key, ngx_http_foodsvc_call_done_pt done)
{
    ngx_http_foodsvc_call_t  *call;

    call = path && body ? ngx_pcalloc(ctx->request->pool, sizeof(ngx_http_foodsvc_call_t)) : NULL;
    if (call == NULL) {
        foodsvc_secret_free(body);
        ngx_http_foodsvc_flow_no_memory(ctx);
        return;
    }

    call->service = service;
    call->method = "POST";
    call->path = path;
    call->body = body;
    call->len = len;
    call->idempotency_key = key;
    call->done = done;

    ngx_http_foodsvc_call(ctx, call);
}


const char *
ngx_http_foodsvc_flow_format(ngx_http_foodsvc_ctx_t *ctx, const char *fmt, const char *text)
{
    size_t   len, fmt_len;
    u_char  *escaped, *end, *result;

    len = ngx_strlen(text);
    escaped = ngx_pnalloc(ctx->request->pool, 3 * len + 1);
    if (escaped == NULL) {
        return NULL;
    }

    end = (u_char *) ngx_escape_uri(escaped, (u_char *) text, len, NGX_ESCAPE_URI_COMPONENT);
    *end = '\0';

    fmt_len = ngx_strlen(fmt);
    result = ngx_pnalloc(ctx->request->pool, fmt_len + (end - escaped) + 1);
    if (result == NULL) {
        return NULL;
    }

    end = ngx_snprintf(result, fmt_len + (end - escaped), fmt, escaped);
    *end = '\0';
    return (const char *) result;
}


char *
ngx_http_foodsvc_flow_cache_order(const foodsvc_order_t *order, size_t *len)
{
    char    *json;
    size_t   json_len;

    json = foodsvc_order_cache_json(order, &json_len, len);
    if (json == NULL) {
        return NULL;
    }

    (void) ngx_http_foodsvc_shown(order->id, foodsvc_order_rank(order));
    ngx_http_foodsvc_redis_order_set(order->id, json, json_len, foodsvc_order_rank(order));

    /* The public part is closed where ,"sum" begins: the cached text is the answer's as well. */
    json[(*len)++] = '}';
    return json;
}


void
ngx_http_foodsvc_flow_reply_order(ngx_http_foodsvc_ctx_t *ctx, ngx_uint_t status, const foodsvc_order_t *order)
{
    char    *json;
    size_t   len;

    json = ngx_http_foodsvc_flow_cache_order(order, &len);
    if (json == NULL) {
        ngx_http_foodsvc_flow_no_memory(ctx);
        return;
    }

    ngx_http_foodsvc_reply(ctx, status, json, len);
}


ngx_int_t
ngx_http_foodsvc_flow_metadata(const foodsvc_order_t *order, foodsvc_metadata_t *metadata)
{
    char  customer_id[FOODSVC_UUID_TEXT + 1];

    foodsvc_uuid_format(&order->customer_id, customer_id);

    return foodsvc_metadata_set(metadata, FOODSVC_ORDER_SERVICE, order->id, customer_id) ? NGX_OK : NGX_ERROR;
}


ngx_http_foodsvc_publish_op_t *
ngx_http_foodsvc_flow_event_op(const foodsvc_metadata_t *metadata, foodsvc_status_e status, const char *order_id)
{
    ngx_http_foodsvc_publish_op_t  *op;

    /* to declare "" makes a queue with a name of the broker's, and another one each time */
    if (metadata->receiver[0] == '\0' || ngx_strlen(metadata->receiver) >= sizeof(op->queue)) {
        ngx_log_error(NGX_LOG_ERR, ngx_cycle->log, 0, "foodsvc: order %s: metadata.receiver is no queue's name",
                      order_id);
        return NULL;
    }

    op = ngx_http_foodsvc_publish_op();
    if (op == NULL) {
        return NULL;
    }

    op->body = foodsvc_event_json(metadata, status, NULL, NULL, &op->len);
    if (op->body == NULL) {
        op->op.destroy(&op->op);
        return NULL;
    }

    ngx_cpystrn((u_char *) op->queue, (u_char *) metadata->receiver, sizeof(op->queue));
    ngx_cpystrn((u_char *) op->key, (u_char *) order_id, sizeof(op->key));

    return op;
}


ngx_http_foodsvc_publish_op_t *
ngx_http_foodsvc_flow_nudge_op(const foodsvc_order_t *order)
{
    foodsvc_uuid_t                  id;
    foodsvc_metadata_t              metadata;
    ngx_http_foodsvc_publish_op_t  *op;

    ngx_memzero(&metadata, sizeof(metadata));
    if (ngx_http_foodsvc_flow_metadata(order, &metadata) != NGX_OK) {
        return NULL;
    }

    op = ngx_http_foodsvc_flow_event_op(&metadata, order->status, order->id);
    foodsvc_metadata_clear(&metadata);
    if (op == NULL) {
        return NULL;
    }

    foodsvc_uuid_v4(&id);
    foodsvc_uuid_format(&id, op->message_id);
    op->op.done = ngx_http_foodsvc_flow_nudged;
    return op;
}


void
ngx_http_foodsvc_flow_nudge(const foodsvc_order_t *order)
{
    (void) ngx_http_foodsvc_flow_publish(ngx_http_foodsvc_flow_nudge_op(order));
}


ngx_int_t
ngx_http_foodsvc_flow_publish(ngx_http_foodsvc_publish_op_t *op)
{
    if (op == NULL) {
        ngx_log_error(NGX_LOG_CRIT, ngx_cycle->log, 0, "foodsvc: no event made; what it tells stays owed");
        return NGX_ERROR;
    }

    if (ngx_http_foodsvc_publish(op) == NGX_OK) {
        return NGX_OK;
    }

    ngx_log_error(NGX_LOG_WARN, ngx_cycle->log, 0, "foodsvc: order %s: too many events wait for RabbitMQ", op->key);
    op->rc = NGX_HTTP_FOODSVC_PUBLISH_AWAY;
    op->op.done(&op->op);
    op->op.destroy(&op->op);
    return NGX_ERROR;
}


static void
ngx_http_foodsvc_flow_nudged(ngx_http_foodsvc_op_t *op)
{
    ngx_http_foodsvc_publish_op_t  *nudge = (ngx_http_foodsvc_publish_op_t *) op;

    if (ngx_http_foodsvc_relay(nudge) != NGX_OK) {
        ngx_log_error(NGX_LOG_ERR, ngx_cycle->log, 0,
                      "foodsvc: order %s: nudge not confirmed by RabbitMQ; what the order owes stays owed", nudge->key);

    } else if (nudge->rc != NGX_HTTP_FOODSVC_PUBLISHED) {
        ngx_log_error((nudge->relayed ? NGX_LOG_INFO : NGX_LOG_WARN), ngx_cycle->log, 0,
                      "foodsvc: order %s: nudge not confirmed by RabbitMQ; it will be sent again", nudge->key);
    }

    ngx_http_foodsvc_flow_announced(op);
}


void
ngx_http_foodsvc_flow_announce(ngx_http_foodsvc_ctx_t *ctx, ngx_http_foodsvc_publish_op_t *op,
    ngx_http_foodsvc_handler_pt then)
{
    ngx_http_foodsvc_announce_t  *announce = ctx->flow;

    announce->then = then;
    ctx->late = then;

    if (ngx_http_foodsvc_flow_publish(op) != NGX_OK) {
        then(ctx);
        return;
    }

    ngx_http_foodsvc_wait(ctx, &op->op);

    announce->timer.handler = ngx_http_foodsvc_flow_unconfirmed;
    announce->timer.data = ctx;
    announce->timer.log = ctx->request->connection->log;
    ngx_add_timer(&announce->timer, NGX_HTTP_FOODSVC_CONFIRM_WAIT);
}


void
ngx_http_foodsvc_flow_announced(ngx_http_foodsvc_op_t *op)
{
    ngx_http_foodsvc_ctx_t       *ctx;
    ngx_http_foodsvc_announce_t  *announce;

    ctx = ngx_http_foodsvc_flow_arrived(op);
    if (ctx == NULL) {
        return;
    }

    announce = ctx->flow;
    ngx_http_foodsvc_flow_forget(ctx);
    announce->then(ctx);
}


static void
ngx_http_foodsvc_flow_unconfirmed(ngx_event_t *ev)
{
    ngx_http_foodsvc_ctx_t       *ctx = ev->data;
    ngx_http_foodsvc_announce_t  *announce = ctx->flow;

    if (ctx->replied) {
        return;
    }

    ngx_log_error(NGX_LOG_INFO, ev->log, 0, "foodsvc: answered before RabbitMQ confirmed the event");
    announce->then(ctx);
}


void
ngx_http_foodsvc_flow_forget(ngx_http_foodsvc_ctx_t *ctx)
{
    ngx_http_foodsvc_announce_t  *announce = ctx->flow;

    if (announce->timer.timer_set) {
        ngx_del_timer(&announce->timer);
    }
}
