/*
 * POST /v1/payments and /v1/payments/reimburse: store, ask CustomerService for amount and card, ask the card
 * company, answer.
 *
 * One flow, for both end in one request to the card company. The payment is stored before anything is asked, so that
 * the company's callback always finds it, and so that a repeat for the same order is seen: it goes on where nobody
 * knows how the first one ended (the idempotency key, made of the order id, keeps the company from charging twice),
 * and is answered at once where it is done.
 *
 * Only what is certain changes the payment: "no" from CustomerService or the company, or a request that was never
 * sent, takes it back; no answer from the company leaves it pending.
 *
 * Card data passes through memory alone. It is wiped where it is ours, and never logged, malformed answers included.
 */
#include "ngx_http_foodsvc_flow.h"


typedef struct {
    foodsvc_payment_request_t  request;
    unsigned                   reimburse:1;
    ngx_uint_t                 status;      /* of the answer to what was refused */
    char                      *detail;      /* its text */
} ngx_http_foodsvc_payment_flow_t;


static void ngx_http_foodsvc_payment_begin(ngx_http_foodsvc_ctx_t *ctx, ngx_uint_t reimburse);
static foodsvc_payment_t *ngx_http_foodsvc_payment_create(const foodsvc_metadata_t *metadata);
static ngx_http_foodsvc_store_op_t *ngx_http_foodsvc_payment_op(ngx_http_foodsvc_ctx_t *ctx,
    foodsvc_payment_change_e kind);
static void ngx_http_foodsvc_payment_stored(ngx_http_foodsvc_op_t *op);
static void ngx_http_foodsvc_payment_ask_billing(ngx_http_foodsvc_ctx_t *ctx);
static void ngx_http_foodsvc_payment_billing_answered(ngx_http_foodsvc_ctx_t *ctx, ngx_http_foodsvc_call_t *call);
static void ngx_http_foodsvc_payment_ask_card(ngx_http_foodsvc_ctx_t *ctx, json_t *billing);
static void ngx_http_foodsvc_payment_wipe_card(json_t *billing);
static void ngx_http_foodsvc_payment_card_answered(ngx_http_foodsvc_ctx_t *ctx, ngx_http_foodsvc_call_t *call);
static void ngx_http_foodsvc_payment_accept(ngx_http_foodsvc_ctx_t *ctx, ngx_http_foodsvc_call_t *call);
static void ngx_http_foodsvc_payment_accepted(ngx_http_foodsvc_op_t *op);
static void ngx_http_foodsvc_payment_reply(ngx_http_foodsvc_ctx_t *ctx);
static void ngx_http_foodsvc_payment_refuse(ngx_http_foodsvc_ctx_t *ctx, ngx_uint_t status, char *detail);
static void ngx_http_foodsvc_payment_refused(ngx_http_foodsvc_op_t *op);
static void ngx_http_foodsvc_payment_reply_refused(ngx_http_foodsvc_ctx_t *ctx);
static void ngx_http_foodsvc_payment_late(ngx_http_foodsvc_ctx_t *ctx);
static const char *ngx_http_foodsvc_payment_key(ngx_http_foodsvc_ctx_t *ctx);
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
    foodsvc_faults_t                  faults;
    ngx_http_foodsvc_store_op_t      *op;
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

    ctx->late = ngx_http_foodsvc_payment_late;

    op = ngx_http_foodsvc_payment_op(ctx, reimburse ? FOODSVC_PAYMENT_REIMBURSE : FOODSVC_PAYMENT_REQUESTED);

    if (op && !reimburse) {
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


static ngx_http_foodsvc_store_op_t *
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
    return op;
}


static void
ngx_http_foodsvc_payment_stored(ngx_http_foodsvc_op_t *op)
{
    ngx_http_foodsvc_ctx_t      *ctx;
    foodsvc_store_payment_op_t  *stored = &((ngx_http_foodsvc_store_op_t *) op)->u.payment;

    ctx = ngx_http_foodsvc_flow_arrived(op);
    if (ctx == NULL) {
        return;
    }

    if (stored->rc == FOODSVC_STORE_NOT_FOUND) {
        ngx_http_foodsvc_reply_detail(ctx, NGX_HTTP_BAD_REQUEST,
                                      "there is no payment of order '%s' that could be reimbursed", stored->id);

    } else if (stored->rc != FOODSVC_STORE_OK) {
        ngx_http_foodsvc_reply_store(ctx, stored->rc, stored->err);

    } else if (!stored->inserted && stored->verdict == FOODSVC_PAYMENT_ILLEGAL) {
        ngx_http_foodsvc_reply_detail(ctx, NGX_HTTP_BAD_REQUEST,
                                      "the payment of order '%s' cannot be reimbursed: its status is %s", stored->id,
                                      foodsvc_payment_status_name(stored->payment->status));

    } else if (!stored->inserted && stored->verdict == FOODSVC_PAYMENT_NOTHING) {
        ngx_http_foodsvc_payment_reply(ctx);

    } else {
        ngx_http_foodsvc_payment_ask_billing(ctx);
    }
}


static void
ngx_http_foodsvc_payment_ask_billing(ngx_http_foodsvc_ctx_t *ctx)
{
    char                             *body;
    size_t                            len;
    const char                       *path;
    ngx_http_foodsvc_payment_flow_t  *flow = ctx->flow;

    path = ngx_http_foodsvc_flow_format(ctx, FOODSVC_PATH_BILLING_FORMAT, flow->request.metadata.customer_id);
    body = foodsvc_items_json(flow->request.items, flow->request.nitems, &len);

    ngx_http_foodsvc_flow_call(ctx, FOODSVC_CUSTOMER_SERVICE, path, body, len, ngx_http_foodsvc_payment_key(ctx),
                               ngx_http_foodsvc_payment_billing_answered);
}


/* Whatever goes wrong here, nothing was asked of the card company. */
static void
ngx_http_foodsvc_payment_billing_answered(ngx_http_foodsvc_ctx_t *ctx, ngx_http_foodsvc_call_t *call)
{
    char                              err[FOODSVC_ERR];
    json_t                           *billing;
    foodsvc_json_limits_t             limits;
    ngx_http_foodsvc_payment_flow_t  *flow = ctx->flow;

    if (ctx->replied) {
        return;
    }

    if (call->outcome != NGX_HTTP_FOODSVC_ANSWERED) {
        ngx_http_foodsvc_payment_refuse(ctx, NGX_HTTP_INTERNAL_SERVER_ERROR,
                                        strdup(FOODSVC_CUSTOMER_SERVICE " is unreachable"));
        return;
    }

    if (call->status != NGX_HTTP_CREATED) {
        ngx_http_foodsvc_payment_refuse(ctx,
                                        call->status >= 400 && call->status < 500 ? NGX_HTTP_BAD_REQUEST
                                                                                  : NGX_HTTP_INTERNAL_SERVER_ERROR,
                                        foodsvc_error_detail(FOODSVC_CUSTOMER_SERVICE, (int) call->status,
                                                             call->answer, call->answer_len));
        return;
    }

    limits = ctx->conf->json;
    limits.max_size = ctx->conf->max_answer;
    billing = foodsvc_billing_parse(call->answer, call->answer_len, &limits, err);
    explicit_bzero((char *) call->answer, call->answer_len);

    if (billing == NULL) {
        ngx_log_error(NGX_LOG_ERR, ctx->request->connection->log, 0,
                      "foodsvc: payment %s: " FOODSVC_CUSTOMER_SERVICE "'s answer is malformed: %s",
                      flow->request.metadata.order_id, err);
        ngx_http_foodsvc_payment_refuse(ctx, NGX_HTTP_INTERNAL_SERVER_ERROR,
                                        strdup(FOODSVC_CUSTOMER_SERVICE "'s answer is malformed"));
        return;
    }

    ngx_http_foodsvc_payment_ask_card(ctx, billing);
}


static void
ngx_http_foodsvc_payment_ask_card(ngx_http_foodsvc_ctx_t *ctx, json_t *billing)
{
    char                             *body;
    size_t                            len;
    ngx_http_foodsvc_payment_flow_t  *flow = ctx->flow;

    body = foodsvc_billing_payload_json(billing, (const char *) ctx->conf->callback_url.data,
                                        flow->request.metadata.order_id, &len);
    ngx_http_foodsvc_payment_wipe_card(billing);
    json_decref(billing);

    ngx_http_foodsvc_flow_call(ctx, FOODSVC_CARD_COMPANY,
                               flow->reimburse ? FOODSVC_PATH_CARD_REIMBURSE : FOODSVC_PATH_CARD_BILL, body, len,
                               ngx_http_foodsvc_payment_key(ctx), ngx_http_foodsvc_payment_card_answered);
}


static void
ngx_http_foodsvc_payment_wipe_card(json_t *billing)
{
    json_t      *value;
    const char  *name;

    json_object_foreach(json_object_get(billing, "billing_info"), name, value) {
        if (json_is_string(value)) {
            explicit_bzero((char *) json_string_value(value), json_string_length(value));
        }
    }
}


static void
ngx_http_foodsvc_payment_card_answered(ngx_http_foodsvc_ctx_t *ctx, ngx_http_foodsvc_call_t *call)
{
    ngx_http_foodsvc_payment_flow_t  *flow = ctx->flow;

    if (ctx->replied) {
        return;
    }

    if (call->outcome == NGX_HTTP_FOODSVC_NO_ADDRESS || call->outcome == NGX_HTTP_FOODSVC_NOT_SENT) {
        ngx_http_foodsvc_payment_refuse(ctx, NGX_HTTP_INTERNAL_SERVER_ERROR,
                                        strdup(FOODSVC_CARD_COMPANY " is unreachable"));
        return;
    }

    if (call->outcome == NGX_HTTP_FOODSVC_ANSWERED && call->status >= 200 && call->status < 300) {
        ngx_http_foodsvc_payment_accept(ctx, call);
        return;
    }

    if (call->outcome == NGX_HTTP_FOODSVC_ANSWERED && call->status >= 400 && call->status < 500) {
        ngx_http_foodsvc_payment_refuse(ctx, NGX_HTTP_BAD_REQUEST,
                                        foodsvc_error_detail(FOODSVC_CARD_COMPANY, (int) call->status, call->answer,
                                                             call->answer_len));
        return;
    }

    ngx_log_error(NGX_LOG_ERR, ctx->request->connection->log, 0,
                  "foodsvc: payment %s: " FOODSVC_CARD_COMPANY " gave no clear answer (status %ui), it stays pending",
                  flow->request.metadata.order_id, call->status);
    ngx_http_foodsvc_reply_detail(ctx, NGX_HTTP_INTERNAL_SERVER_ERROR,
                                  FOODSVC_CARD_COMPANY " gave no answer; the payment is open");
}


static void
ngx_http_foodsvc_payment_accept(ngx_http_foodsvc_ctx_t *ctx, ngx_http_foodsvc_call_t *call)
{
    char                              err[FOODSVC_ERR];
    foodsvc_uuid_t                    transaction_id;
    foodsvc_json_limits_t             limits;
    ngx_http_foodsvc_store_op_t      *op;
    ngx_http_foodsvc_payment_flow_t  *flow = ctx->flow;

    limits = ctx->conf->json;
    limits.max_size = ctx->conf->max_answer;

    op = ngx_http_foodsvc_payment_op(ctx, FOODSVC_PAYMENT_ACCEPTED);

    if (foodsvc_transaction_parse(call->answer, call->answer_len, &limits, &transaction_id, err)) {
        if (op) {
            op->u.payment.change.has_transaction_id = true;
            op->u.payment.change.transaction_id = transaction_id;
        }

    } else {
        /* The callback brings the id again. */
        ngx_log_error(NGX_LOG_WARN, ctx->request->connection->log, 0,
                      "foodsvc: payment %s: " FOODSVC_CARD_COMPANY " accepted, without a transaction_id: %s",
                      flow->request.metadata.order_id, err);
    }

    ctx->late = ngx_http_foodsvc_payment_reply;     /* a slow database doesn't make it open again */

    if (op == NULL || ngx_http_foodsvc_flow_submit(ctx, op, ngx_http_foodsvc_payment_accepted) != NGX_OK) {
        ngx_http_foodsvc_payment_reply(ctx);
    }
}


/* Stored or not: the company has the request, and its callback tells the id again. */
static void
ngx_http_foodsvc_payment_accepted(ngx_http_foodsvc_op_t *op)
{
    ngx_http_foodsvc_ctx_t      *ctx;
    foodsvc_store_payment_op_t  *accepted = &((ngx_http_foodsvc_store_op_t *) op)->u.payment;

    if (accepted->rc != FOODSVC_STORE_OK) {
        ngx_log_error(NGX_LOG_WARN, ngx_cycle->log, 0, "foodsvc: payment %s: transaction_id not stored (%s: %s)",
                      accepted->id, foodsvc_store_rc_name(accepted->rc), accepted->err);
    }

    ctx = ngx_http_foodsvc_flow_arrived(op);
    if (ctx) {
        ngx_http_foodsvc_payment_reply(ctx);
    }
}


static void
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


static void
ngx_http_foodsvc_payment_refuse(ngx_http_foodsvc_ctx_t *ctx, ngx_uint_t status, char *detail)
{
    ngx_http_foodsvc_store_op_t      *op;
    ngx_http_foodsvc_payment_flow_t  *flow = ctx->flow;

    flow->status = status;
    flow->detail = detail;

    op = ngx_http_foodsvc_payment_op(ctx, FOODSVC_PAYMENT_REFUSED);

    if (op == NULL || ngx_http_foodsvc_flow_submit(ctx, op, ngx_http_foodsvc_payment_refused) != NGX_OK) {
        ngx_http_foodsvc_payment_reply_refused(ctx);
    }
}


/*
 * Not stored: it stays pending without a transaction, and a repeat asks again. Not taken back: a request that ran beside
 * this one was taken by the company, so this one is, too.
 */
static void
ngx_http_foodsvc_payment_refused(ngx_http_foodsvc_op_t *op)
{
    ngx_http_foodsvc_ctx_t      *ctx;
    foodsvc_store_payment_op_t  *refused = &((ngx_http_foodsvc_store_op_t *) op)->u.payment;

    if (refused->rc != FOODSVC_STORE_OK) {
        ngx_log_error(NGX_LOG_ERR, ngx_cycle->log, 0, "foodsvc: payment %s: its refusal is not stored (%s: %s)",
                      refused->id, foodsvc_store_rc_name(refused->rc), refused->err);
    }

    ctx = ngx_http_foodsvc_flow_arrived(op);
    if (ctx == NULL) {
        return;
    }

    if (refused->rc == FOODSVC_STORE_OK && refused->verdict == FOODSVC_PAYMENT_NOTHING
        && refused->payment->status != (refused->change.reimburse ? FOODSVC_PAY_PAID : FOODSVC_PAY_FAILED))
    {
        ngx_http_foodsvc_payment_reply(ctx);
        return;
    }

    ngx_http_foodsvc_payment_reply_refused(ctx);
}


static void
ngx_http_foodsvc_payment_reply_refused(ngx_http_foodsvc_ctx_t *ctx)
{
    ngx_http_foodsvc_payment_flow_t  *flow = ctx->flow;

    if (flow->detail == NULL) {
        ngx_http_foodsvc_flow_no_memory(ctx);
        return;
    }

    ngx_http_foodsvc_reply_detail(ctx, flow->status, "%s", flow->detail);
}


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


/* The same for every call that is made for one payment, or one reimbursement, however often it is repeated. */
static const char *
ngx_http_foodsvc_payment_key(ngx_http_foodsvc_ctx_t *ctx)
{
    ngx_http_foodsvc_payment_flow_t  *flow = ctx->flow;

    return ngx_http_foodsvc_flow_format(ctx,
                                        flow->reimburse ? FOODSVC_KEY_REIMBURSE_FORMAT : FOODSVC_KEY_PAYMENT_FORMAT,
                                        flow->request.metadata.order_id);
}


static void
ngx_http_foodsvc_payment_cleanup(ngx_http_foodsvc_ctx_t *ctx)
{
    ngx_http_foodsvc_payment_flow_t  *flow = ctx->flow;

    foodsvc_payment_request_clear(&flow->request);
    free(flow->detail);
}
