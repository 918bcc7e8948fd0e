/*
 * An attempt: amount and card from CustomerService, the amount stored, the card company asked, its answer stored.
 *
 * The amount that is named first is the payment's: it is stored before the company is asked, and every later attempt
 * and the reimbursement ask for that one, whatever CustomerService says then. The idempotency key is made of the order
 * id, so that the company charges once, however often it is asked.
 *
 * Only what is certain changes the payment: "no" from CustomerService or the company, or a request that was never
 * sent, takes it back; no answer from the company leaves it pending.
 *
 * Card data passes through memory alone, and is wiped there: in the answer and the body by the call
 * (ngx_http_foodsvc_partner.c), in JSON values when they are freed. It is never logged, malformed answers included.
 */
#include "ngx_http_foodsvc_payment.h"


static void ngx_http_foodsvc_payment_billing_answered(ngx_http_foodsvc_ctx_t *ctx, ngx_http_foodsvc_call_t *call);
static json_t *ngx_http_foodsvc_payment_billing(ngx_http_foodsvc_ctx_t *ctx, ngx_http_foodsvc_call_t *call);
static void ngx_http_foodsvc_payment_store_amount(ngx_http_foodsvc_ctx_t *ctx);
static void ngx_http_foodsvc_payment_amount_stored(ngx_http_foodsvc_op_t *op);
static void ngx_http_foodsvc_payment_ask_card(ngx_http_foodsvc_ctx_t *ctx);
static void ngx_http_foodsvc_payment_card_answered(ngx_http_foodsvc_ctx_t *ctx, ngx_http_foodsvc_call_t *call);
static void ngx_http_foodsvc_payment_accept(ngx_http_foodsvc_ctx_t *ctx, ngx_http_foodsvc_call_t *call);
static void ngx_http_foodsvc_payment_accepted(ngx_http_foodsvc_op_t *op);
static ngx_uint_t ngx_http_foodsvc_payment_is_no(ngx_uint_t status);
static void ngx_http_foodsvc_payment_refuse(ngx_http_foodsvc_ctx_t *ctx, ngx_http_foodsvc_call_t *asked,
    ngx_uint_t status, char *detail);
static void ngx_http_foodsvc_payment_refused(ngx_http_foodsvc_op_t *op);
static const char *ngx_http_foodsvc_payment_key(ngx_http_foodsvc_ctx_t *ctx);


void
ngx_http_foodsvc_payment_attempt(ngx_http_foodsvc_ctx_t *ctx, const foodsvc_payment_t *payment)
{
    char                             *body;
    size_t                            len;
    const char                       *path;
    ngx_http_foodsvc_payment_flow_t  *flow = ctx->flow;

    flow->amount = payment->has_amount ? payment->amount : 0;
    flow->refunds = payment->reimburse_refused;

    /* the customer whose order it is, whoever a later request names: it is their card */
    path = ngx_http_foodsvc_flow_format(ctx, FOODSVC_PATH_BILLING_FORMAT, payment->metadata.customer_id);
    body = foodsvc_items_json(flow->request.items, flow->request.nitems, &len);

    ngx_http_foodsvc_flow_call(ctx, FOODSVC_CUSTOMER_SERVICE, path, body, len, ngx_http_foodsvc_payment_key(ctx),
                               ngx_http_foodsvc_payment_billing_answered);
}


/* Whatever goes wrong here, nothing was asked of the card company. */
static void
ngx_http_foodsvc_payment_billing_answered(ngx_http_foodsvc_ctx_t *ctx, ngx_http_foodsvc_call_t *call)
{
    ngx_http_foodsvc_payment_flow_t  *flow = ctx->flow;

    if (ctx->replied) {
        return;
    }

    if (call->outcome != NGX_HTTP_FOODSVC_ANSWERED) {
        ngx_http_foodsvc_payment_refuse(ctx, NULL, NGX_HTTP_INTERNAL_SERVER_ERROR,
                                        strdup(FOODSVC_CUSTOMER_SERVICE " is unreachable"));
        return;
    }

    if (call->status != NGX_HTTP_CREATED) {
        ngx_http_foodsvc_payment_refuse(ctx, NULL,
                                        call->status >= 400 && call->status < 500 ? NGX_HTTP_BAD_REQUEST
                                                                                  : NGX_HTTP_INTERNAL_SERVER_ERROR,
                                        foodsvc_error_detail(FOODSVC_CUSTOMER_SERVICE, (int) call->status,
                                                             call->answer, call->answer_len));
        return;
    }

    flow->billing = ngx_http_foodsvc_payment_billing(ctx, call);

    if (flow->billing == NULL) {
        ngx_http_foodsvc_payment_refuse(ctx, NULL, NGX_HTTP_INTERNAL_SERVER_ERROR,
                                        strdup(FOODSVC_CUSTOMER_SERVICE "'s answer is malformed"));

    } else if (flow->amount > 0) {
        ngx_http_foodsvc_payment_ask_card(ctx);

    } else {
        ngx_http_foodsvc_payment_store_amount(ctx);
    }
}


static json_t *
ngx_http_foodsvc_payment_billing(ngx_http_foodsvc_ctx_t *ctx, ngx_http_foodsvc_call_t *call)
{
    char                              err[FOODSVC_ERR];
    json_t                           *billing;
    foodsvc_json_limits_t             limits;
    ngx_http_foodsvc_payment_flow_t  *flow = ctx->flow;

    limits = ctx->conf->json;
    limits.max_size = ctx->conf->max_answer;
    billing = foodsvc_billing_parse(call->answer, call->answer_len, &limits, err);

    if (billing == NULL) {
        ngx_log_error(NGX_LOG_ERR, ctx->request->connection->log, 0,
                      "foodsvc: payment %s: " FOODSVC_CUSTOMER_SERVICE "'s answer is malformed: %s",
                      flow->request.metadata.order_id, err);
    }

    return billing;
}


static void
ngx_http_foodsvc_payment_store_amount(ngx_http_foodsvc_ctx_t *ctx)
{
    ngx_http_foodsvc_store_op_t      *op;
    ngx_http_foodsvc_payment_flow_t  *flow = ctx->flow;

    op = ngx_http_foodsvc_payment_op(ctx, FOODSVC_PAYMENT_AMOUNT);
    if (op) {
        op->u.payment.change.amount = json_number_value(json_object_get(flow->billing, "amount"));
    }

    ngx_http_foodsvc_flow_ask_store(ctx, op, ngx_http_foodsvc_payment_amount_stored);
}


/* Not stored: nobody is asked, and the lease goes back when the request dies. */
static void
ngx_http_foodsvc_payment_amount_stored(ngx_http_foodsvc_op_t *op)
{
    ngx_http_foodsvc_ctx_t           *ctx;
    foodsvc_store_payment_op_t       *stored = &((ngx_http_foodsvc_store_op_t *) op)->u.payment;
    ngx_http_foodsvc_payment_flow_t  *flow;

    ctx = ngx_http_foodsvc_flow_arrived(op);
    if (ctx == NULL) {
        return;
    }

    flow = ctx->flow;

    if (stored->rc == FOODSVC_STORE_NOT_FOUND) {
        ngx_http_foodsvc_reply_detail(ctx, NGX_HTTP_INTERNAL_SERVER_ERROR, "the payment of order '%s' was deleted",
                                      stored->id);

    } else if (stored->rc != FOODSVC_STORE_OK) {
        ngx_http_foodsvc_reply_store(ctx, stored->rc, stored->err);

    } else if (stored->verdict == FOODSVC_PAYMENT_WRITE || stored->verdict == FOODSVC_PAYMENT_PROCEED) {
        flow->amount = stored->payment->amount;
        ngx_http_foodsvc_payment_ask_card(ctx);

    } else if (stored->verdict == FOODSVC_PAYMENT_WAIT) {
        ngx_http_foodsvc_payment_drop_billing(flow);
        flow->leased = 0;
        ngx_http_foodsvc_payment_wait(ctx);

    } else {
        /* A callback came before we asked: another attempt was taken. */
        ngx_http_foodsvc_payment_reply(ctx);
    }
}


static void
ngx_http_foodsvc_payment_ask_card(ngx_http_foodsvc_ctx_t *ctx)
{
    char                             *body;
    size_t                            len;
    ngx_http_foodsvc_payment_flow_t  *flow = ctx->flow;

    body = foodsvc_billing_payload_json(flow->billing, flow->amount, (const char *) ctx->conf->callback_url.data,
                                        flow->request.metadata.order_id, &len);
    ngx_http_foodsvc_payment_drop_billing(flow);

    ngx_http_foodsvc_flow_call(ctx, FOODSVC_CARD_COMPANY,
                               flow->reimburse ? FOODSVC_PATH_CARD_REIMBURSE : FOODSVC_PATH_CARD_BILL, body, len,
                               ngx_http_foodsvc_payment_key(ctx), ngx_http_foodsvc_payment_card_answered);
}


/* The card is wiped with it: foodsvc_json_wipe(). */
void
ngx_http_foodsvc_payment_drop_billing(ngx_http_foodsvc_payment_flow_t *flow)
{
    json_decref(flow->billing);
    flow->billing = NULL;
}


static void
ngx_http_foodsvc_payment_card_answered(ngx_http_foodsvc_ctx_t *ctx, ngx_http_foodsvc_call_t *call)
{
    ngx_http_foodsvc_payment_flow_t  *flow = ctx->flow;

    if (ctx->replied) {
        return;
    }

    if (call->outcome == NGX_HTTP_FOODSVC_NO_ADDRESS || call->outcome == NGX_HTTP_FOODSVC_NOT_SENT) {
        ngx_http_foodsvc_payment_refuse(ctx, NULL, NGX_HTTP_INTERNAL_SERVER_ERROR,
                                        strdup(FOODSVC_CARD_COMPANY " is unreachable"));
        return;
    }

    if (call->outcome == NGX_HTTP_FOODSVC_ANSWERED && call->status >= 200 && call->status < 300) {
        ngx_http_foodsvc_payment_accept(ctx, call);
        return;
    }

    if (call->outcome == NGX_HTTP_FOODSVC_ANSWERED && call->status >= 400 && call->status < 500) {
        ngx_http_foodsvc_payment_refuse(ctx, call, NGX_HTTP_BAD_REQUEST,
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
        return;
    }

    flow->leased = 0;
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


/*
 * Does this 4xx tell of what was asked for under the key? What comes before that doesn't: a login, a limit, an earlier
 * request with the key that is being carried out.
 */
static ngx_uint_t
ngx_http_foodsvc_payment_is_no(ngx_uint_t status)
{
    switch (status) {
    case 401:
    case 403:
    case 407:
    case 408:
    case 409:
    case 425:
    case 429:
        return 0;
    default:
        return 1;
    }
}


/* asked: the card company's answer; NULL: it was not asked. */
static void
ngx_http_foodsvc_payment_refuse(ngx_http_foodsvc_ctx_t *ctx, ngx_http_foodsvc_call_t *asked, ngx_uint_t status,
    char *detail)
{
    ngx_http_foodsvc_store_op_t      *op;
    ngx_http_foodsvc_payment_flow_t  *flow = ctx->flow;

    flow->status = status;
    flow->detail = detail;

    op = ngx_http_foodsvc_payment_op(ctx, FOODSVC_PAYMENT_REFUSED);

    if (op) {
        op->u.payment.change.refused = status;
        op->u.payment.change.asked = asked && ngx_http_foodsvc_payment_is_no(asked->status);
        op->u.payment.change.open = asked && asked->maybe_sent;
    }

    if (op == NULL || ngx_http_foodsvc_flow_submit(ctx, op, ngx_http_foodsvc_payment_refused) != NGX_OK) {
        ngx_http_foodsvc_payment_reply_refused(ctx);
        return;
    }

    flow->leased = 0;
}


/*
 * Not stored: it stays pending, and a repeat asks again when the lease is over. Not taken back, because the company has
 * taken it: an earlier attempt's request, and so this one's.
 */
static void
ngx_http_foodsvc_payment_refused(ngx_http_foodsvc_op_t *op)
{
    ngx_http_foodsvc_ctx_t           *ctx;
    foodsvc_store_payment_op_t       *refused = &((ngx_http_foodsvc_store_op_t *) op)->u.payment;
    ngx_http_foodsvc_payment_flow_t  *flow;

    if (refused->rc != FOODSVC_STORE_OK) {
        ngx_log_error(NGX_LOG_ERR, ngx_cycle->log, 0, "foodsvc: payment %s: its refusal is not stored (%s: %s)",
                      refused->id, foodsvc_store_rc_name(refused->rc), refused->err);
    }

    ctx = ngx_http_foodsvc_flow_arrived(op);
    if (ctx == NULL) {
        return;
    }

    flow = ctx->flow;

    if (refused->rc == FOODSVC_STORE_OK && refused->verdict == FOODSVC_PAYMENT_WAIT) {
        free(flow->detail);
        flow->detail = NULL;
        ngx_http_foodsvc_payment_wait(ctx);

    } else if (refused->rc != FOODSVC_STORE_OK || refused->payment->refused) {
        ngx_http_foodsvc_payment_reply_refused(ctx);

    } else if (foodsvc_payment_taken(refused->payment)) {
        ngx_http_foodsvc_payment_reply(ctx);

    } else {
        /* An earlier attempt's outcome is not known: it may have been charged, whatever this one ran into. */
        ngx_http_foodsvc_reply_detail(ctx, NGX_HTTP_INTERNAL_SERVER_ERROR, "%s; the payment is open",
                                      flow->detail ? flow->detail : "it was refused");
    }
}


/* The same for every call that is made for one payment, or one reimbursement, however often it is repeated. */
static const char *
ngx_http_foodsvc_payment_key(ngx_http_foodsvc_ctx_t *ctx)
{
    u_char                           *key, *end;
    size_t                            len;
    const char                       *first;
    ngx_http_foodsvc_payment_flow_t  *flow = ctx->flow;

    first = ngx_http_foodsvc_flow_format(ctx,
                                         flow->reimburse ? FOODSVC_KEY_REIMBURSE_FORMAT : FOODSVC_KEY_PAYMENT_FORMAT,
                                         flow->request.metadata.order_id);

    if (first == NULL || !flow->reimburse || flow->refunds == 0) {
        return first;
    }

    len = ngx_strlen(first) + 1 + NGX_INT_T_LEN;
    key = ngx_pnalloc(ctx->request->pool, len + 1);
    if (key == NULL) {
        return NULL;
    }

    end = ngx_snprintf(key, len, FOODSVC_KEY_REIMBURSE_AGAIN, first, flow->refunds + 1);
    *end = '\0';
    return (const char *) key;
}
