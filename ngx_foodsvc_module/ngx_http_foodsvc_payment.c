/*
 * POST /v1/payments and /v1/payments/reimburse: one attempt at a time, and the answers.
 *
 * One flow, for both end in one request to the card company. The payment is stored before anything is asked, so that
 * the company's callback always finds it, and so that a repeat for the same order is seen. The same write takes the
 * payment's lease (the rule is libfoodsvc's, foodsvc_payment.h): who has it makes the attempt
 * (ngx_http_foodsvc_payment_attempt.c), others wait: a timer asks the store again, with growing pauses. What they find
 * in the end is their answer: taken (202), refused as the other was, or their own turn when nobody knows how the other
 * ended. At their own deadline they hear 503, and when to come again.
 *
 * A lease ends with the write of what the company said. An attempt that ends in another way (no clear answer, the
 * deadline, a client that hangs up) gives it back when the request dies; if that fails, it expires: it is taken for the
 * request's deadline and a little more.
 */
#include "ngx_http_foodsvc_payment.h"


#define NGX_HTTP_FOODSVC_PAYMENT_MARGIN     5000    /* ms: of a lease, behind the deadline: for the writes at its end */
#define NGX_HTTP_FOODSVC_PAYMENT_PAUSE      100     /* ms */
#define NGX_HTTP_FOODSVC_PAYMENT_PAUSE_MAX  1000


static void ngx_http_foodsvc_payment_begin(ngx_http_foodsvc_ctx_t *ctx, ngx_uint_t reimburse);
static void ngx_http_foodsvc_payment_ask(ngx_http_foodsvc_ctx_t *ctx);
static foodsvc_payment_t *ngx_http_foodsvc_payment_create(const foodsvc_metadata_t *metadata);
static void ngx_http_foodsvc_payment_stored(ngx_http_foodsvc_op_t *op);
static void ngx_http_foodsvc_payment_decided(ngx_http_foodsvc_ctx_t *ctx, foodsvc_store_payment_op_t *stored);
static void ngx_http_foodsvc_payment_reply_as_it_stands(ngx_http_foodsvc_ctx_t *ctx,
    const foodsvc_payment_t *payment);
static void ngx_http_foodsvc_payment_look(ngx_event_t *ev);
static void ngx_http_foodsvc_payment_release(const char *id, const char *by);
static void ngx_http_foodsvc_payment_late(ngx_http_foodsvc_ctx_t *ctx);
static void ngx_http_foodsvc_payment_open(ngx_http_foodsvc_ctx_t *ctx);
static void ngx_http_foodsvc_payment_cleanup(ngx_http_foodsvc_ctx_t *ctx);


void
ngx_http_foodsvc_payment_post(ngx_http_foodsvc_ctx_t *ctx)
{
    ngx_http_foodsvc_payment_begin(ctx, 0);
}


void
ngx_http_foodsvc_payment_reimburse(ngx_http_foodsvc_ctx_t *ctx)
{
    ngx_http_foodsvc_payment_begin(ctx, 1);
}


static void
ngx_http_foodsvc_payment_begin(ngx_http_foodsvc_ctx_t *ctx, ngx_uint_t reimburse)
{
    foodsvc_uuid_t                    by;
    foodsvc_faults_t                  faults;
    ngx_http_foodsvc_payment_flow_t  *flow;

    flow = ngx_http_foodsvc_flow_begin(ctx, sizeof(ngx_http_foodsvc_payment_flow_t), ngx_http_foodsvc_payment_cleanup);
    if (flow == NULL) {
        return;
    }

    flow->reimburse = reimburse;

    ngx_memzero(&faults, sizeof(faults));
    if (!foodsvc_payment_request_parse(ctx->body, ctx->len, &ctx->conf->json, &flow->request, &faults)) {
        ngx_http_foodsvc_reply_faults(ctx, &faults);
        return;
    }

    foodsvc_uuid_v4(&by);
    foodsvc_uuid_format(&by, flow->by);
    flow->pause = NGX_HTTP_FOODSVC_PAYMENT_PAUSE;
    ctx->late = ngx_http_foodsvc_payment_late;

    ngx_http_foodsvc_payment_ask(ctx);
}


/* May we make the attempt? */
static void
ngx_http_foodsvc_payment_ask(ngx_http_foodsvc_ctx_t *ctx)
{
    ngx_http_foodsvc_store_op_t      *op;
    ngx_http_foodsvc_payment_flow_t  *flow = ctx->flow;

    op = ngx_http_foodsvc_payment_op(ctx, flow->reimburse ? FOODSVC_PAYMENT_REIMBURSE : FOODSVC_PAYMENT_REQUESTED);

    if (op) {
        op->u.payment.change.lease_ms = ctx->conf->deadline + NGX_HTTP_FOODSVC_PAYMENT_MARGIN;
        op->u.payment.change.callback_wait_ms = ctx->conf->callback_wait;
        op->u.payment.change.key_life_ms = ctx->conf->card_key_life;
        op->u.payment.change.waited = flow->waited;
    }

    if (op && !flow->reimburse) {
        op->u.payment.insert = ngx_http_foodsvc_payment_create(&flow->request.metadata);
        if (op->u.payment.insert == NULL) {
            op->op.destroy(&op->op);
            op = NULL;
        }
    }

    ngx_http_foodsvc_flow_ask_store(ctx, op, ngx_http_foodsvc_payment_stored);
}


static foodsvc_payment_t *
ngx_http_foodsvc_payment_create(const foodsvc_metadata_t *metadata)
{
    foodsvc_payment_t  *payment;

    payment = foodsvc_payment_new();
    if (payment == NULL) {
        return NULL;
    }

    payment->id = strdup(metadata->order_id);
    payment->status = FOODSVC_PENDING;
    payment->created = foodsvc_time_now();

    if (payment->id == NULL
        || !foodsvc_metadata_set(&payment->metadata, metadata->receiver, metadata->order_id, metadata->customer_id))
    {
        foodsvc_payment_free(payment);
        return NULL;
    }

    return payment;
}


ngx_http_foodsvc_store_op_t *
ngx_http_foodsvc_payment_op(ngx_http_foodsvc_ctx_t *ctx, foodsvc_payment_change_e kind)
{
    ngx_http_foodsvc_store_op_t      *op;
    ngx_http_foodsvc_payment_flow_t  *flow = ctx->flow;

    op = ngx_http_foodsvc_store_op(NGX_HTTP_FOODSVC_STORE_PAYMENT_CHANGE);
    if (op == NULL) {
        return NULL;
    }

    ngx_cpystrn((u_char *) op->payment_id, (u_char *) flow->request.metadata.order_id, sizeof(op->payment_id));
    op->u.payment.id = op->payment_id;
    op->u.payment.change.kind = kind;
    op->u.payment.change.reimburse = flow->reimburse;
    op->u.payment.change.refunds = flow->refunds;
    op->u.payment.change.when = foodsvc_time_now();
    ngx_memcpy(op->u.payment.change.by, flow->by, sizeof(flow->by));
    return op;
}


static void
ngx_http_foodsvc_payment_stored(ngx_http_foodsvc_op_t *op)
{
    ngx_http_foodsvc_ctx_t      *ctx;
    foodsvc_store_payment_op_t  *stored = &((ngx_http_foodsvc_store_op_t *) op)->u.payment;

    ctx = ngx_http_foodsvc_flow_arrived(op);

    if (stored->rc == FOODSVC_STORE_OK && stored->verdict == FOODSVC_PAYMENT_TELL) {
        ngx_http_foodsvc_outbox_relay(stored->payment, NULL, NULL);
    }

    if (ctx == NULL) {
        if (stored->rc == FOODSVC_STORE_OK && stored->verdict == FOODSVC_PAYMENT_WRITE) {
            ngx_http_foodsvc_payment_release(stored->id, stored->change.by);
        }

        return;
    }

    if (stored->rc == FOODSVC_STORE_NOT_FOUND) {
        ngx_http_foodsvc_reply_detail(ctx, NGX_HTTP_BAD_REQUEST,
                                      "there is no payment of order '%s' that could be reimbursed", stored->id);

    } else if (stored->rc != FOODSVC_STORE_OK) {
        ngx_http_foodsvc_reply_store(ctx, stored->rc, stored->err);

    } else {
        ngx_http_foodsvc_payment_decided(ctx, stored);
    }
}


static void
ngx_http_foodsvc_payment_decided(ngx_http_foodsvc_ctx_t *ctx, foodsvc_store_payment_op_t *stored)
{
    ngx_http_foodsvc_payment_flow_t  *flow = ctx->flow;

    ngx_log_debug2(NGX_LOG_DEBUG_HTTP, ctx->request->connection->log, 0, "foodsvc payment %s: %d", stored->id,
                   stored->verdict);

    switch (stored->verdict) {
    case FOODSVC_PAYMENT_WRITE:
    case FOODSVC_PAYMENT_PROCEED:
        flow->leased = 1;
        ctx->late = ngx_http_foodsvc_payment_late;
        ngx_http_foodsvc_payment_attempt(ctx, stored->payment);
        break;

    case FOODSVC_PAYMENT_WAIT:
        ngx_http_foodsvc_payment_wait(ctx);
        break;

    case FOODSVC_PAYMENT_NOTHING:
    case FOODSVC_PAYMENT_TELL:
        ngx_http_foodsvc_payment_reply_as_it_stands(ctx, stored->payment);
        break;

    case FOODSVC_PAYMENT_STALE:
        ngx_http_foodsvc_reply_detail(ctx, NGX_HTTP_CONFLICT,
                                      FOODSVC_CARD_COMPANY " has not reported on the %s of order '%s', and is not "
                                      "asked again: it may have forgotten the Idempotency-Key",
                                      flow->reimburse ? "reimbursement" : "payment", stored->id);
        break;

    case FOODSVC_PAYMENT_ILLEGAL:
        ngx_http_foodsvc_reply_detail(ctx, NGX_HTTP_BAD_REQUEST,
                                      "the payment of order '%s' cannot be reimbursed: its status is %s", stored->id,
                                      foodsvc_payment_status_name(stored->payment->status));
        break;
    }
}


/* The attempt that we waited for was refused, or there is nothing to do. */
static void
ngx_http_foodsvc_payment_reply_as_it_stands(ngx_http_foodsvc_ctx_t *ctx, const foodsvc_payment_t *payment)
{
    ngx_http_foodsvc_payment_flow_t  *flow = ctx->flow;

    if (flow->waited && payment->refused) {
        ngx_http_foodsvc_reply_detail(ctx, payment->refused,
                                      "the %s of order '%s' was refused to another request at the same time",
                                      flow->reimburse ? "reimbursement" : "payment", payment->id);
        return;
    }

    ngx_http_foodsvc_payment_reply(ctx);
}


/* --- waiting --- */

void
ngx_http_foodsvc_payment_wait(ngx_http_foodsvc_ctx_t *ctx)
{
    ngx_http_foodsvc_payment_flow_t  *flow = ctx->flow;

    flow->waited = 1;
    ctx->late = ngx_http_foodsvc_payment_open;

    flow->timer.handler = ngx_http_foodsvc_payment_look;
    flow->timer.data = ctx;
    flow->timer.log = ctx->request->connection->log;
    ngx_add_timer(&flow->timer, flow->pause);

    flow->pause = ngx_min(2 * flow->pause, NGX_HTTP_FOODSVC_PAYMENT_PAUSE_MAX);
}


static void
ngx_http_foodsvc_payment_look(ngx_event_t *ev)
{
    ngx_http_foodsvc_ctx_t  *ctx = ev->data;

    if (!ctx->replied) {
        ngx_http_foodsvc_payment_ask(ctx);
    }
}


/* Fire and forget: a lease that stays expires. */
static void
ngx_http_foodsvc_payment_release(const char *id, const char *by)
{
    ngx_http_foodsvc_store_op_t  *op;

    op = ngx_http_foodsvc_store_op(NGX_HTTP_FOODSVC_STORE_PAYMENT_CHANGE);
    if (op == NULL) {
        return;
    }

    ngx_cpystrn((u_char *) op->payment_id, (u_char *) id, sizeof(op->payment_id));
    op->u.payment.id = op->payment_id;
    op->u.payment.change.kind = FOODSVC_PAYMENT_RELEASED;
    op->u.payment.change.when = foodsvc_time_now();
    ngx_cpystrn((u_char *) op->u.payment.change.by, (u_char *) by, sizeof(op->u.payment.change.by));

    if (ngx_http_foodsvc_store_submit(op) != NGX_OK) {
        op->op.destroy(&op->op);
    }
}


/* --- answers --- */

void
ngx_http_foodsvc_payment_reply(ngx_http_foodsvc_ctx_t *ctx)
{
    char                             *body;
    size_t                            len;
    json_t                           *answer;
    ngx_http_foodsvc_payment_flow_t  *flow = ctx->flow;

    answer = json_pack("{ssss}", "status", "requestReceived", "order_id", flow->request.metadata.order_id);
    body = answer ? foodsvc_json_dump(answer, &len) : NULL;
    json_decref(answer);

    if (body == NULL) {
        ngx_http_foodsvc_flow_no_memory(ctx);
        return;
    }

    ngx_http_foodsvc_reply(ctx, NGX_HTTP_ACCEPTED, body, len);
}


void
ngx_http_foodsvc_payment_reply_refused(ngx_http_foodsvc_ctx_t *ctx)
{
    ngx_http_foodsvc_payment_flow_t  *flow = ctx->flow;

    if (flow->detail == NULL) {
        ngx_http_foodsvc_flow_no_memory(ctx);
        return;
    }

    ngx_http_foodsvc_reply_detail(ctx, flow->status, "%s", flow->detail);
}


/* The deadline, while the attempt is ours. */
static void
ngx_http_foodsvc_payment_late(ngx_http_foodsvc_ctx_t *ctx)
{
    ngx_http_foodsvc_payment_flow_t  *flow = ctx->flow;

    if (flow->detail) {
        ngx_http_foodsvc_payment_reply_refused(ctx);

    } else {
        ngx_http_foodsvc_reply_detail(ctx, NGX_HTTP_INTERNAL_SERVER_ERROR,
                                      "there was no answer in time; the payment is open");
    }
}


/* The deadline, while it is another's. */
static void
ngx_http_foodsvc_payment_open(ngx_http_foodsvc_ctx_t *ctx)
{
    ngx_http_foodsvc_reply_busy(ctx, "Another request for this order is being carried out");
}


static void
ngx_http_foodsvc_payment_cleanup(ngx_http_foodsvc_ctx_t *ctx)
{
    ngx_http_foodsvc_payment_flow_t  *flow = ctx->flow;

    if (flow->timer.timer_set) {
        ngx_del_timer(&flow->timer);
    }

    if (flow->leased) {
        ngx_http_foodsvc_payment_release(flow->request.metadata.order_id, flow->by);
    }

    ngx_http_foodsvc_payment_drop_billing(flow);
    foodsvc_payment_request_clear(&flow->request);
    free(flow->detail);
}
