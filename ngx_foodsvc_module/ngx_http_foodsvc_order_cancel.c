/*
 * POST /v1/orders/{id}/cancel.
 *
 * One conditional write decides, alone, who wins against driverAvailable. What the cancelled order owes then (the
 * delivery's cancel, the reimbursement) is orderd's to do; a nudge tells it at once. The answer waits for the
 * broker's confirm of the nudge but does not depend on it: the state itself owes both.
 */
#include "ngx_http_foodsvc_flow.h"


typedef struct {
    ngx_http_foodsvc_announce_t  announce;      /* first */
    char                        *body;          /* the answer, ours until it is given */
    size_t                       len;
} ngx_http_foodsvc_cancel_t;


static void ngx_http_foodsvc_order_try_cancel(ngx_http_foodsvc_ctx_t *ctx);
static void ngx_http_foodsvc_order_cancelled(ngx_http_foodsvc_op_t *op);
static void ngx_http_foodsvc_order_not_cancelled(ngx_http_foodsvc_ctx_t *ctx, foodsvc_store_change_op_t *change);
static void ngx_http_foodsvc_order_tell_cancel(ngx_http_foodsvc_ctx_t *ctx, const foodsvc_order_t *order);
static void ngx_http_foodsvc_order_reply_cancel(ngx_http_foodsvc_ctx_t *ctx);
static void ngx_http_foodsvc_order_cancel_late(ngx_http_foodsvc_ctx_t *ctx);
static void ngx_http_foodsvc_order_cancel_cleanup(ngx_http_foodsvc_ctx_t *ctx);


void
ngx_http_foodsvc_order_cancel(ngx_http_foodsvc_ctx_t *ctx)
{
    if (ngx_http_foodsvc_flow_begin(ctx, sizeof(ngx_http_foodsvc_cancel_t), ngx_http_foodsvc_order_cancel_cleanup)
        == NULL)
    {
        return;
    }

    ngx_http_foodsvc_idempotent(ctx, ctx->id, ngx_http_foodsvc_order_try_cancel);
}


static void
ngx_http_foodsvc_order_try_cancel(ngx_http_foodsvc_ctx_t *ctx)
{
    ngx_http_foodsvc_store_op_t  *op;

    op = ngx_http_foodsvc_flow_order_op(NGX_HTTP_FOODSVC_STORE_ORDER_CHANGE, ctx->id);
    if (op) {
        op->u.change.change.kind = FOODSVC_CHANGE_CANCEL;
        op->u.change.change.when = foodsvc_time_now();
    }

    ctx->late = ngx_http_foodsvc_order_cancel_late;
    ngx_http_foodsvc_flow_ask_store(ctx, op, ngx_http_foodsvc_order_cancelled);
}


static void
ngx_http_foodsvc_order_cancelled(ngx_http_foodsvc_op_t *op)
{
    size_t                      len;
    ngx_uint_t                  done;
    ngx_http_foodsvc_ctx_t     *ctx;
    foodsvc_store_change_op_t  *change = &((ngx_http_foodsvc_store_op_t *) op)->u.change;

    ctx = ngx_http_foodsvc_flow_arrived(op);

    done = change->rc == FOODSVC_STORE_OK
           && (change->verdict == FOODSVC_APPLIED || change->verdict == FOODSVC_EARLY
               || change->verdict == FOODSVC_NOTED);

    if (ctx && (change->rc == FOODSVC_STORE_OK || change->rc == FOODSVC_STORE_NOT_FOUND)) {
        ngx_http_foodsvc_idempotent_keep(ctx);
    }

    if (ctx && done) {
        ngx_http_foodsvc_order_tell_cancel(ctx, change->order);

    } else if (ctx) {
        ngx_http_foodsvc_order_not_cancelled(ctx, change);

    } else if (done) {
        /* The client has gone, the order is cancelled all the same. */
        free(ngx_http_foodsvc_flow_cache_order(change->order, &len));
        ngx_http_foodsvc_flow_nudge(change->order);
    }
}


static void
ngx_http_foodsvc_order_not_cancelled(ngx_http_foodsvc_ctx_t *ctx, foodsvc_store_change_op_t *change)
{
    if (change->rc == FOODSVC_STORE_NOT_FOUND) {
        ngx_http_foodsvc_flow_no_order(ctx);

    } else if (change->rc != FOODSVC_STORE_OK) {
        ngx_http_foodsvc_reply_store(ctx, change->rc, change->err);

    } else {
        if (change->order->status == FOODSVC_ORDER_CANCELLED && foodsvc_order_owes(change->order)) {
            /* Its first cancel was perhaps not told to anybody: a repeat helps. */
            ngx_http_foodsvc_flow_nudge(change->order);
        }

        if (ngx_http_foodsvc_idempotent_taken(ctx)
            && (change->order->status == FOODSVC_ORDER_CANCELLED || change->order->status == FOODSVC_REIMBURSED))
        {
            /* by the attempt that this one repeats */
            ngx_http_foodsvc_flow_reply_order(ctx, NGX_HTTP_ACCEPTED, change->order);
            return;
        }

        ngx_http_foodsvc_reply_detail(ctx, NGX_HTTP_BAD_REQUEST, "Could not cancel order with id %s: its status is %s",
                                      ctx->id, foodsvc_status_name(change->order->status));
    }
}


static void
ngx_http_foodsvc_order_tell_cancel(ngx_http_foodsvc_ctx_t *ctx, const foodsvc_order_t *order)
{
    ngx_http_foodsvc_cancel_t  *flow = ctx->flow;

    flow->body = ngx_http_foodsvc_flow_cache_order(order, &flow->len);

    ngx_http_foodsvc_flow_announce(ctx, ngx_http_foodsvc_flow_nudge_op(order), ngx_http_foodsvc_order_reply_cancel);
}


static void
ngx_http_foodsvc_order_reply_cancel(ngx_http_foodsvc_ctx_t *ctx)
{
    char                       *body;
    ngx_http_foodsvc_cancel_t  *flow = ctx->flow;

    if (flow->body == NULL) {
        ngx_http_foodsvc_flow_no_memory(ctx);
        return;
    }

    body = flow->body;
    flow->body = NULL;
    ngx_http_foodsvc_reply(ctx, NGX_HTTP_ACCEPTED, body, flow->len);
}


/* No 503, which would say that nothing was done: the write may be made, and then the cancel goes its way. */
static void
ngx_http_foodsvc_order_cancel_late(ngx_http_foodsvc_ctx_t *ctx)
{
    ngx_http_foodsvc_reply_detail(ctx, NGX_HTTP_INTERNAL_SERVER_ERROR,
                                  "MongoDB gave no answer; whether order %s is cancelled is open", ctx->id);
}


static void
ngx_http_foodsvc_order_cancel_cleanup(ngx_http_foodsvc_ctx_t *ctx)
{
    ngx_http_foodsvc_cancel_t  *flow = ctx->flow;

    ngx_http_foodsvc_flow_forget(ctx);
    free(flow->body);
}
