/*
 * POST /v1/payments and /v1/payments/reimburse: what the two files of their flow share.
 *
 *   ngx_http_foodsvc_payment.c          the request: the lease is taken, or waited for; the answers; the end
 *   ngx_http_foodsvc_payment_attempt.c  who has the lease asks CustomerService and the card company
 */
#ifndef NGX_HTTP_FOODSVC_PAYMENT_H
#define NGX_HTTP_FOODSVC_PAYMENT_H

#include "ngx_http_foodsvc_flow.h"

typedef struct {
    foodsvc_payment_request_t  request;
    char                       by[FOODSVC_UUID_TEXT + 1];   /* our token, in the payment's lease */
    ngx_event_t                timer;       /* of the next look, while another attempt is under way */
    ngx_msec_t                 pause;
    json_t                    *billing;     /* CustomerService's answer, with the card, until the company is asked */
    double                     amount;      /* as stored; 0: not yet */
    ngx_uint_t                 refunds;     /* that the company took and refused before this one */
    ngx_uint_t                 status;      /* of the answer to what was refused */
    char                      *detail;      /* its text */
    unsigned                   reimburse:1;
    unsigned                   waited:1;
    unsigned                   leased:1;    /* by us, and no op is under way that ends it */
} ngx_http_foodsvc_payment_flow_t;

/* --- ngx_http_foodsvc_payment.c --- */

/* A change of the payment, in the name of our attempt. NULL: no memory. */
ngx_http_foodsvc_store_op_t *ngx_http_foodsvc_payment_op(ngx_http_foodsvc_ctx_t *ctx, foodsvc_payment_change_e kind);
/* Another attempt is under way: looks again after a pause, until the deadline. */
void ngx_http_foodsvc_payment_wait(ngx_http_foodsvc_ctx_t *ctx);
/* 202. */
void ngx_http_foodsvc_payment_reply(ngx_http_foodsvc_ctx_t *ctx);
/* flow->status and flow->detail. */
void ngx_http_foodsvc_payment_reply_refused(ngx_http_foodsvc_ctx_t *ctx);

/* --- ngx_http_foodsvc_payment_attempt.c --- */

/* The lease is ours. */
void ngx_http_foodsvc_payment_attempt(ngx_http_foodsvc_ctx_t *ctx, const foodsvc_payment_t *payment);
/* Wipes and frees flow->billing, which may be NULL. */
void ngx_http_foodsvc_payment_drop_billing(ngx_http_foodsvc_payment_flow_t *flow);

#endif
