/*
 * POST /v1/payments/callback: the card company's answer.
 *
 * One conditional write stores the new status and, in the same document, the mark of the event that it owes, behind the
 * marks that stand there (the outbox). Then the events are published in the order of the marks, each with its mark's id
 * as message_id, and a mark is cleared behind the broker's confirm. With the broker away the answer is 201 all the
 * same: the mark makes sure that the event follows, once or more; the consumer drops repeats. A callback that changes
 * nothing relays the marks that still stand, so the company's repeats help.
 *
 * A reimbursement's failure that comes before the company's answer to its request was stored gets 503: the company
 * calls again, and by then the transaction is known.
 */
#include "ngx_http_foodsvc_flow.h"


typedef struct {
    ngx_http_foodsvc_announce_t  announce;      /* first */
    foodsvc_callback_t           callback;
} ngx_http_foodsvc_callback_flow_t;


static void ngx_http_foodsvc_callback_stored(ngx_http_foodsvc_op_t *op);
static void ngx_http_foodsvc_callback_not_stored(ngx_http_foodsvc_ctx_t *ctx, foodsvc_store_payment_op_t *stored);
static void ngx_http_foodsvc_callback_reply(ngx_http_foodsvc_ctx_t *ctx);


void
ngx_http_foodsvc_payment_callback(ngx_http_foodsvc_ctx_t *ctx)
{
    foodsvc_faults_t                   faults;
    ngx_http_foodsvc_store_op_t       *op;
    ngx_http_foodsvc_callback_flow_t  *flow;

    flow = ngx_http_foodsvc_flow_begin(ctx, sizeof(ngx_http_foodsvc_callback_flow_t), ngx_http_foodsvc_flow_forget);
    if (flow == NULL) {
        return;
    }

    ngx_memzero(&faults, sizeof(faults));
    if (!foodsvc_callback_parse(ctx->body, ctx->len, &ctx->conf->json, &flow->callback, &faults)) {
        ngx_http_foodsvc_reply_faults(ctx, &faults);
        return;
    }

    op = ngx_http_foodsvc_store_op(NGX_HTTP_FOODSVC_STORE_PAYMENT_CHANGE);
    if (op) {
        foodsvc_uuid_format(&flow->callback.caller_id, op->payment_id);
        op->u.payment.id = op->payment_id;
        op->u.payment.change.kind = FOODSVC_PAYMENT_CALLBACK;
        op->u.payment.change.status = flow->callback.status;
        op->u.payment.change.has_transaction_id = true;
        op->u.payment.change.transaction_id = flow->callback.transaction_id;
        op->u.payment.change.when = foodsvc_time_now();
    }

    ngx_http_foodsvc_flow_ask_store(ctx, op, ngx_http_foodsvc_callback_stored);
}


static void
ngx_http_foodsvc_callback_stored(ngx_http_foodsvc_op_t *op)
{
    ngx_http_foodsvc_ctx_t      *ctx;
    foodsvc_store_payment_op_t  *stored = &((ngx_http_foodsvc_store_op_t *) op)->u.payment;

    ctx = ngx_http_foodsvc_flow_arrived(op);

    if (stored->rc == FOODSVC_STORE_OK && stored->verdict == FOODSVC_PAYMENT_WAIT) {
        /* it was faster than the company's answer to the request, which tells whose transaction it is */
        if (ctx) {
            ngx_http_foodsvc_reply_busy(ctx, "The request that this answers is still open");
        }

    } else if (stored->rc == FOODSVC_STORE_OK) {
        /* without a ctx the company has hung up: the event follows all the same */
        ngx_http_foodsvc_outbox_relay(stored->payment, ctx, ngx_http_foodsvc_callback_reply);

    } else if (ctx) {
        ngx_http_foodsvc_callback_not_stored(ctx, stored);
    }
}


static void
ngx_http_foodsvc_callback_not_stored(ngx_http_foodsvc_ctx_t *ctx, foodsvc_store_payment_op_t *stored)
{
    if (stored->rc == FOODSVC_STORE_NOT_FOUND) {
        ngx_http_foodsvc_reply_detail(ctx, NGX_HTTP_NOT_FOUND, "Caller ID '%s' does not exist in DB %s.%s.", stored->id,
                                      FOODSVC_DB, FOODSVC_PAYMENTS);
        return;
    }

    ngx_http_foodsvc_reply_store(ctx, stored->rc, stored->err);
}


static void
ngx_http_foodsvc_callback_reply(ngx_http_foodsvc_ctx_t *ctx)
{
    char                              *body;
    size_t                             len;
    ngx_http_foodsvc_callback_flow_t  *flow = ctx->flow;

    body = foodsvc_callback_json(&flow->callback, &len);
    if (body == NULL) {
        ngx_http_foodsvc_flow_no_memory(ctx);
        return;
    }

    ngx_http_foodsvc_reply(ctx, NGX_HTTP_CREATED, body, len);
}
