/*
 * What the handlers' flows share: handing an op to the store, calling a partner, answering with an order, and
 * announcing an event to the broker.
 *
 * A flow is a chain of short functions, one a step, each started by the callback of the step before. A step that
 * finds the request gone, or answered by the deadline, gets no ctx; it then only does what must not be left out (a
 * nudge for an order that owes, the relay of an event that is stored).
 */
#ifndef NGX_HTTP_FOODSVC_FLOW_H
#define NGX_HTTP_FOODSVC_FLOW_H

#include "ngx_http_foodsvc_module.h"
#include "foodsvc_time.h"

typedef void (*ngx_http_foodsvc_done_pt)(ngx_http_foodsvc_op_t *op);
typedef void (*ngx_http_foodsvc_call_done_pt)(ngx_http_foodsvc_ctx_t *ctx, ngx_http_foodsvc_call_t *call);

/* pcalloc'ed; becomes ctx->flow, with its cleanup (may be NULL). NULL: out of memory, and answered. */
void *ngx_http_foodsvc_flow_begin(ngx_http_foodsvc_ctx_t *ctx, size_t size, ngx_http_foodsvc_handler_pt cleanup);

/* 500, for what cannot go on for want of memory. */
void ngx_http_foodsvc_flow_no_memory(ngx_http_foodsvc_ctx_t *ctx);
/* 404 in the original's words, for the order of the path. */
void ngx_http_foodsvc_flow_no_order(ngx_http_foodsvc_ctx_t *ctx);

/* An op for the order `id`, NULL when there is no memory. */
ngx_http_foodsvc_store_op_t *ngx_http_foodsvc_flow_order_op(ngx_http_foodsvc_store_kind_e kind, const char *id);
/* Submits and waits. NGX_BUSY: the queue is full; op is destroyed and nothing answered. */
ngx_int_t ngx_http_foodsvc_flow_submit(ngx_http_foodsvc_ctx_t *ctx, ngx_http_foodsvc_store_op_t *op,
    ngx_http_foodsvc_done_pt done);
/* The same, and a full queue is answered with 503. Takes op == NULL for "no memory" and answers that too. */
void ngx_http_foodsvc_flow_ask_store(ngx_http_foodsvc_ctx_t *ctx, ngx_http_foodsvc_store_op_t *op,
    ngx_http_foodsvc_done_pt done);
/* ngx_http_foodsvc_arrived(), but NULL as well when the request was answered in the meantime. */
ngx_http_foodsvc_ctx_t *ngx_http_foodsvc_flow_arrived(ngx_http_foodsvc_op_t *op);

/* --- Idempotency-Key (ngx_http_foodsvc_idempotency.c) --- */

/*
 * Calls then(ctx) when the request may go on: at once when it shows no Idempotency-Key, else when its record is made.
 * order_id: of the order that it would make, or is about. Answers itself when the key is bad, in use, or has its
 * answer.
 */
void ngx_http_foodsvc_idempotent(ngx_http_foodsvc_ctx_t *ctx, const char *order_id, ngx_http_foodsvc_handler_pt then);
/* The order id to use: the first attempt's. NULL: the request shows no key. */
const char *ngx_http_foodsvc_idempotent_order(ngx_http_foodsvc_ctx_t *ctx);
/* True: an attempt before this one ended nobody knows where. */
ngx_uint_t ngx_http_foodsvc_idempotent_taken(ngx_http_foodsvc_ctx_t *ctx);
/* From now on the answer, whatever it will be, is the one that repeats get. */
void ngx_http_foodsvc_idempotent_keep(ngx_http_foodsvc_ctx_t *ctx);

/* POSTs body (taken; NULL: no memory) to path, which is in r->pool, as the key is. Without memory: answers 500. */
void ngx_http_foodsvc_flow_call(ngx_http_foodsvc_ctx_t *ctx, const char *service, const char *path, char *body,
    size_t len, const char *key, ngx_http_foodsvc_call_done_pt done);
/*
 * fmt with its one %s replaced by text, percent-encoded so that it is one path segment and a clean header; in
 * r->pool, NULL: no memory.
 */
const char *ngx_http_foodsvc_flow_format(ngx_http_foodsvc_ctx_t *ctx, const char *fmt, const char *text);

/* Answers with the order, and puts it into the cache. */
void ngx_http_foodsvc_flow_reply_order(ngx_http_foodsvc_ctx_t *ctx, ngx_uint_t status, const foodsvc_order_t *order);
/* The order's JSON, put into the cache; what is returned is the answer, the caller frees it. NULL: no memory. */
char *ngx_http_foodsvc_flow_cache_order(const foodsvc_order_t *order, size_t *len);

/* The metadata of an order, as every partner and event gets it. False: no memory. */
ngx_int_t ngx_http_foodsvc_flow_metadata(const foodsvc_order_t *order, foodsvc_metadata_t *metadata);

/* --- what was shown (ngx_http_foodsvc_shown.c) --- */

/*
 * An answer is about to show this order at this rank (foodsvc_order_rank()): noted. False: an earlier answer showed
 * more of it, or it was deleted since. Of the cache that is not to be believed; MongoDB's answers are given all the
 * same.
 */
ngx_uint_t ngx_http_foodsvc_shown(const char *id, size_t rank);
/*
 * May the cache be asked about this order, whatever the age of its entry? False: this nginx has not shown it yet, and
 * has not run long enough to know that no nginx before it did: its entry counts only when it is recent. Changes
 * nothing.
 */
ngx_uint_t ngx_http_foodsvc_shown_knows(const char *id);
/* Was an entry with so many ms to live (foodsvc_cache_order_ttl()) written since this nginx has settled? */
ngx_uint_t ngx_http_foodsvc_shown_recent(ngx_int_t ttl);
/* The cache is not to be believed about this order any more. */
void ngx_http_foodsvc_shown_deleted(const char *id);

/* --- events --- */

/*
 * An event of the order, for the queue that metadata names; message_id and done are the caller's to set. NULL: no
 * memory, or no such queue.
 */
ngx_http_foodsvc_publish_op_t *ngx_http_foodsvc_flow_event_op(const foodsvc_metadata_t *metadata,
    foodsvc_status_e status, const char *order_id);

/*
 * A nudge: an event with the status that the order has already. Its effect is that orderd, which executes what
 * orders owe, looks at this one now. NULL: no memory.
 */
ngx_http_foodsvc_publish_op_t *ngx_http_foodsvc_flow_nudge_op(const foodsvc_order_t *order);
/* Fire and forget. */
void ngx_http_foodsvc_flow_nudge(const foodsvc_order_t *order);

/* Hands op to the publisher. NGX_ERROR: it has no room, or op is NULL; that is logged, and op destroyed. */
ngx_int_t ngx_http_foodsvc_flow_publish(ngx_http_foodsvc_publish_op_t *op);

/* First member of the flow of a handler that announces. Its cleanup calls ngx_http_foodsvc_flow_forget(). */
typedef struct {
    ngx_event_t                  timer;
    ngx_http_foodsvc_handler_pt  then;
} ngx_http_foodsvc_announce_t;

/*
 * Publishes op (NULL: could not be made) and calls `then` once: when the broker has confirmed, has not within the
 * time that a client is kept waiting for it, or cannot be asked. What is announced is stored before, so it happens
 * in any case; the publisher goes on trying behind the answer.
 */
void ngx_http_foodsvc_flow_announce(ngx_http_foodsvc_ctx_t *ctx, ngx_http_foodsvc_publish_op_t *op,
    ngx_http_foodsvc_handler_pt then);
/* The end of op's done, of an op that may have been announced. */
void ngx_http_foodsvc_flow_announced(ngx_http_foodsvc_op_t *op);
void ngx_http_foodsvc_flow_forget(ngx_http_foodsvc_ctx_t *ctx);

/* --- what the broker did not confirm (ngx_http_foodsvc_relay.c) --- */

/*
 * In an event's done, whatever became of it. One that is not published is kept, and published again until it is;
 * NGX_DECLINED: it isn't kept (too many are, no memory, the worker quits).
 */
ngx_int_t ngx_http_foodsvc_relay(ngx_http_foodsvc_publish_op_t *op);

/* --- the outbox (ngx_http_foodsvc_outbox.c) --- */

/*
 * Publishes the events of a payment's marks that are due, in their order; when the broker has confirmed one, its mark
 * is cleared. reply is called once, as flow_announce() calls `then`; without a ctx (NULL) it isn't, and nobody waits.
 */
void ngx_http_foodsvc_outbox_relay(const foodsvc_payment_t *payment, ngx_http_foodsvc_ctx_t *ctx,
    ngx_http_foodsvc_handler_pt reply);

#endif
