/*
 * POST /v1/orders: validate, store, ask PaymentService, answer.
 *
 * The order is stored (journalled) before anybody is told of it. From then on it owes its payment, and this flow is
 * one of two that may pay that debt: PaymentService's answer decides what the client hears. Where the flow cannot
 * tell how the request for payment ended, or the client goes away in the middle, the order stays `created` and a
 * nudge tells orderd, which asks PaymentService again with the same idempotency key.
 *
 * With an Idempotency-Key the order's id may be an earlier attempt's, and then the order may be there: it is the
 * answer.
 *
 * What the client gets when MongoDB does not store the order: nothing was written because it is away or too much is
 * waiting: 503; it refused: 400; nobody knows: 500.
 */
#include "ngx_http_foodsvc_flow.h"


typedef struct {
    foodsvc_order_t  *draft;        /* before that */
    foodsvc_order_t  *order;        /* once it is stored */
    ngx_uint_t        status;       /* of the answer to a payment that was refused or never asked for */
    char             *detail;       /* its text */
    unsigned          owes:1;       /* stored, and how its payment stands is open */
} ngx_http_foodsvc_order_post_t;


static void ngx_http_foodsvc_order_insert(ngx_http_foodsvc_ctx_t *ctx);
static void ngx_http_foodsvc_order_inserted(ngx_http_foodsvc_op_t *op);
static void ngx_http_foodsvc_order_found(ngx_http_foodsvc_op_t *op);
static void ngx_http_foodsvc_order_not_inserted(ngx_http_foodsvc_ctx_t *ctx, foodsvc_store_order_op_t *inserted);
static void ngx_http_foodsvc_order_ask_payment(ngx_http_foodsvc_ctx_t *ctx);
static void ngx_http_foodsvc_order_payment_answered(ngx_http_foodsvc_ctx_t *ctx, ngx_http_foodsvc_call_t *call);
static void ngx_http_foodsvc_order_payment_open(ngx_http_foodsvc_ctx_t *ctx);
static void ngx_http_foodsvc_order_fail(ngx_http_foodsvc_ctx_t *ctx, ngx_uint_t status, char *detail);
static void ngx_http_foodsvc_order_failed(ngx_http_foodsvc_op_t *op);
static void ngx_http_foodsvc_order_reply_failed(ngx_http_foodsvc_ctx_t *ctx);
static void ngx_http_foodsvc_order_post_late(ngx_http_foodsvc_ctx_t *ctx);
static void ngx_http_foodsvc_order_post_cleanup(ngx_http_foodsvc_ctx_t *ctx);


void
ngx_http_foodsvc_order_post(ngx_http_foodsvc_ctx_t *ctx)
{
    foodsvc_uuid_t                  id;
    foodsvc_order_t                *order;
    foodsvc_faults_t                faults;
    ngx_http_foodsvc_order_post_t  *flow;

    if (ngx_http_foodsvc_flow_begin(ctx, sizeof(ngx_http_foodsvc_order_post_t), ngx_http_foodsvc_order_post_cleanup)
        == NULL)
    {
        return;
    }

    ngx_memzero(&faults, sizeof(faults));
    order = foodsvc_order_from_request(ctx->body, ctx->len, &ctx->conf->json, &faults);
    if (order == NULL) {
        ngx_http_foodsvc_reply_faults(ctx, &faults);
        return;
    }

    foodsvc_uuid_v7(&id);
    foodsvc_uuid_format(&id, order->id);
    order->created = foodsvc_time_now();
    order->status = FOODSVC_CREATED;

    flow = ctx->flow;
    flow->draft = order;
    ngx_http_foodsvc_idempotent(ctx, order->id, ngx_http_foodsvc_order_insert);
}


static void
ngx_http_foodsvc_order_insert(ngx_http_foodsvc_ctx_t *ctx)
{
    const char                     *id;
    foodsvc_order_t                *order;
    ngx_http_foodsvc_store_op_t    *op;
    ngx_http_foodsvc_order_post_t  *flow = ctx->flow;

    order = flow->draft;
    flow->draft = NULL;
    ctx->late = ngx_http_foodsvc_order_post_late;

    id = ngx_http_foodsvc_idempotent_order(ctx);
    if (id) {
        ngx_cpystrn((u_char *) order->id, (u_char *) id, sizeof(order->id));
    }

    op = ngx_http_foodsvc_flow_order_op(NGX_HTTP_FOODSVC_STORE_ORDER_INSERT, order->id);
    if (op) {
        op->u.order.order = order;

    } else {
        foodsvc_order_free(order);
    }

    ngx_http_foodsvc_flow_ask_store(ctx, op, ngx_http_foodsvc_order_inserted);
}


static void
ngx_http_foodsvc_order_inserted(ngx_http_foodsvc_op_t *op)
{
    ngx_http_foodsvc_ctx_t         *ctx;
    foodsvc_store_order_op_t       *inserted = &((ngx_http_foodsvc_store_op_t *) op)->u.order;
    ngx_http_foodsvc_order_post_t  *flow;

    ctx = ngx_http_foodsvc_flow_arrived(op);

    if (ctx == NULL) {
        if (inserted->rc == FOODSVC_STORE_OK) {
            ngx_http_foodsvc_flow_nudge(inserted->order);
        }

        return;
    }

    if (inserted->rc == FOODSVC_STORE_EXISTS && ngx_http_foodsvc_idempotent_order(ctx)) {
        ngx_http_foodsvc_flow_ask_store(ctx, ngx_http_foodsvc_flow_order_op(NGX_HTTP_FOODSVC_STORE_ORDER_FIND,
                                                                            inserted->id),
                                        ngx_http_foodsvc_order_found);
        return;
    }

    if (inserted->rc != FOODSVC_STORE_OK) {
        ngx_http_foodsvc_order_not_inserted(ctx, inserted);
        return;
    }

    ngx_http_foodsvc_idempotent_keep(ctx);

    flow = ctx->flow;
    flow->order = inserted->order;
    inserted->order = NULL;
    flow->owes = 1;

    ngx_http_foodsvc_order_ask_payment(ctx);
}


/* What an earlier attempt with this Idempotency-Key has stored. Its payment may be open: the cleanup nudges. */
static void
ngx_http_foodsvc_order_found(ngx_http_foodsvc_op_t *op)
{
    ngx_http_foodsvc_ctx_t         *ctx;
    foodsvc_store_order_op_t       *found = &((ngx_http_foodsvc_store_op_t *) op)->u.order;
    ngx_http_foodsvc_order_post_t  *flow;

    ctx = ngx_http_foodsvc_flow_arrived(op);
    if (ctx == NULL) {
        return;
    }

    if (found->rc == FOODSVC_STORE_NOT_FOUND) {
        ngx_http_foodsvc_reply_busy(ctx, "The order was deleted in this moment");
        return;
    }

    if (found->rc != FOODSVC_STORE_OK) {
        ngx_http_foodsvc_reply_store(ctx, found->rc, found->err);
        return;
    }

    ngx_http_foodsvc_idempotent_keep(ctx);

    flow = ctx->flow;
    flow->order = found->order;
    found->order = NULL;
    flow->owes = foodsvc_order_owes(flow->order) != 0;

    ngx_http_foodsvc_flow_reply_order(ctx, NGX_HTTP_ACCEPTED, flow->order);
}


static void
ngx_http_foodsvc_order_not_inserted(ngx_http_foodsvc_ctx_t *ctx, foodsvc_store_order_op_t *inserted)
{
    if (inserted->rc == FOODSVC_STORE_FAILED || inserted->rc == FOODSVC_STORE_EXISTS) {
        ngx_log_error(NGX_LOG_ERR, ctx->request->connection->log, 0, "foodsvc: order %s: MongoDB refused it: %s",
                      inserted->id, inserted->err);
        ngx_http_foodsvc_reply_detail(ctx, NGX_HTTP_BAD_REQUEST, "the order could not be stored");
        return;
    }

    ngx_http_foodsvc_reply_store(ctx, inserted->rc, inserted->err);
}


static void
ngx_http_foodsvc_order_ask_payment(ngx_http_foodsvc_ctx_t *ctx)
{
    char                           *body;
    size_t                          len;
    const char                     *key;
    foodsvc_order_t                *order;
    foodsvc_metadata_t              metadata;
    ngx_http_foodsvc_order_post_t  *flow = ctx->flow;

    order = flow->order;
    ngx_memzero(&metadata, sizeof(metadata));

    key = ngx_http_foodsvc_flow_format(ctx, FOODSVC_KEY_PAYMENT_FORMAT, order->id);

    if (key == NULL || ngx_http_foodsvc_flow_metadata(order, &metadata) != NGX_OK) {
        ngx_http_foodsvc_flow_no_memory(ctx);
        return;
    }

    body = foodsvc_request_json(order->items, order->nitems, &metadata, NULL, &len);
    foodsvc_metadata_clear(&metadata);

    ngx_http_foodsvc_flow_call(ctx, FOODSVC_PAYMENT_SERVICE, FOODSVC_PATH_PAYMENTS, body, len, key,
                               ngx_http_foodsvc_order_payment_answered);
}


static void
ngx_http_foodsvc_order_payment_answered(ngx_http_foodsvc_ctx_t *ctx, ngx_http_foodsvc_call_t *call)
{
    ngx_http_foodsvc_order_post_t  *flow = ctx->flow;

    if (ctx->replied) {
        return;
    }

    if (call->outcome == NGX_HTTP_FOODSVC_NO_ADDRESS || call->outcome == NGX_HTTP_FOODSVC_NOT_SENT) {
        ngx_http_foodsvc_order_fail(ctx, NGX_HTTP_INTERNAL_SERVER_ERROR,
                                    strdup(FOODSVC_PAYMENT_SERVICE " is unreachable"));
        return;
    }

    if (call->outcome == NGX_HTTP_FOODSVC_ANSWERED && call->status >= 200 && call->status < 300) {
        flow->owes = 0;
        ngx_http_foodsvc_flow_reply_order(ctx, NGX_HTTP_ACCEPTED, flow->order);
        return;
    }

    /* A 5xx is a refusal as well: should the card be charged after it, the order owes a refund. */
    if (call->outcome == NGX_HTTP_FOODSVC_ANSWERED && call->status >= 400) {
        ngx_http_foodsvc_order_fail(ctx, NGX_HTTP_BAD_REQUEST,
                                    foodsvc_error_detail(FOODSVC_PAYMENT_SERVICE, (int) call->status, call->answer,
                                                         call->answer_len));
        return;
    }

    ngx_http_foodsvc_order_payment_open(ctx);
}


/*
 * Nobody knows how its payment ended, or the refusal could not be stored: the order owes its payment and will be
 * asked for again, so a client that hears "refused" and orders anew might pay twice. The cleanup nudges.
 */
static void
ngx_http_foodsvc_order_payment_open(ngx_http_foodsvc_ctx_t *ctx)
{
    ngx_http_foodsvc_order_post_t  *flow = ctx->flow;

    flow->owes = 1;
    ngx_log_error(NGX_LOG_ERR, ctx->request->connection->log, 0, "foodsvc: order %s: its payment is open",
                  flow->order->id);
    ngx_http_foodsvc_reply_detail(ctx, NGX_HTTP_INTERNAL_SERVER_ERROR,
                                  FOODSVC_PAYMENT_SERVICE " gave no answer, or its answer could not be stored; the "
                                  "payment of order %s is open", flow->order->id);
}


static void
ngx_http_foodsvc_order_fail(ngx_http_foodsvc_ctx_t *ctx, ngx_uint_t status, char *detail)
{
    ngx_http_foodsvc_store_op_t    *op;
    ngx_http_foodsvc_order_post_t  *flow = ctx->flow;

    flow->status = status;
    flow->detail = detail;
    flow->owes = 0;

    op = ngx_http_foodsvc_flow_order_op(NGX_HTTP_FOODSVC_STORE_ORDER_CHANGE, flow->order->id);

    if (op) {
        op->u.change.change.kind = FOODSVC_CHANGE_EVENT;
        op->u.change.change.status = FOODSVC_PAYMENT_FAILED;
        op->u.change.change.when = foodsvc_time_now();

        if (ngx_http_foodsvc_flow_submit(ctx, op, ngx_http_foodsvc_order_failed) == NGX_OK) {
            return;
        }
    }

    ngx_http_foodsvc_order_payment_open(ctx);
}


static void
ngx_http_foodsvc_order_failed(ngx_http_foodsvc_op_t *op)
{
    size_t                      len;
    ngx_http_foodsvc_ctx_t     *ctx;
    foodsvc_store_change_op_t  *change = &((ngx_http_foodsvc_store_op_t *) op)->u.change;

    ctx = ngx_http_foodsvc_flow_arrived(op);

    if (change->rc == FOODSVC_STORE_NOT_FOUND) {
        /* Deleted in the meantime. */
        if (ctx) {
            ngx_http_foodsvc_order_reply_failed(ctx);
        }

        return;
    }

    if (change->rc != FOODSVC_STORE_OK) {
        ngx_log_error(NGX_LOG_ERR, ngx_cycle->log, 0,
                      "foodsvc: order %s: paymentFailed could not be stored (%s: %s), its payment is open", change->id,
                      foodsvc_store_rc_name(change->rc), change->err);

        if (ctx) {
            ngx_http_foodsvc_order_payment_open(ctx);
        }

        return;
    }

    free(ngx_http_foodsvc_flow_cache_order(change->order, &len));

    if (ctx == NULL) {
        return;
    }

    if (change->order->status != FOODSVC_PAYMENT_FAILED) {
        /* The payment itself has overtaken its refusal: the order lives. */
        ngx_http_foodsvc_flow_reply_order(ctx, NGX_HTTP_ACCEPTED, change->order);
        return;
    }

    ngx_http_foodsvc_order_reply_failed(ctx);
}


static void
ngx_http_foodsvc_order_reply_failed(ngx_http_foodsvc_ctx_t *ctx)
{
    ngx_http_foodsvc_order_post_t  *flow = ctx->flow;

    if (flow->detail == NULL) {
        ngx_http_foodsvc_flow_no_memory(ctx);
        return;
    }

    ngx_http_foodsvc_reply_detail(ctx, flow->status, "%s", flow->detail);
}


static void
ngx_http_foodsvc_order_post_late(ngx_http_foodsvc_ctx_t *ctx)
{
    ngx_http_foodsvc_order_post_t  *flow = ctx->flow;

    if (flow->order) {
        ngx_http_foodsvc_order_payment_open(ctx);

    } else {
        ngx_http_foodsvc_reply_detail(ctx, NGX_HTTP_INTERNAL_SERVER_ERROR,
                                      "MongoDB gave no answer; whether the order is stored is open");
    }
}


/* Whatever ended the request: an order that is stored and whose payment is open must not be forgotten. */
static void
ngx_http_foodsvc_order_post_cleanup(ngx_http_foodsvc_ctx_t *ctx)
{
    ngx_http_foodsvc_order_post_t  *flow = ctx->flow;

    if (flow->owes) {
        ngx_http_foodsvc_flow_nudge(flow->order);
    }

    foodsvc_order_free(flow->draft);
    foodsvc_order_free(flow->order);
    free(flow->detail);
}
