/*
 * An operation that an adapter carries out for a request: the shape that all adapters (store, redis, publisher) share.
 *
 * The op lives on the heap (ngx_alloc), never in r->pool, and belongs to the adapter from submit until its callback
 * returns, then the adapter frees it through `destroy`. The callback fires exactly once, in the event loop, never
 * before submit has returned. A request that dies detaches its ops (op->data = NULL): the callback still fires, and
 * must check data. Threads never look at `data`.
 */
#ifndef NGX_HTTP_FOODSVC_OP_H
#define NGX_HTTP_FOODSVC_OP_H

#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

typedef struct ngx_http_foodsvc_op_s  ngx_http_foodsvc_op_t;

struct ngx_http_foodsvc_op_s {
    ngx_queue_t    queue;                               /* the adapter's */
    void         (*done)(ngx_http_foodsvc_op_t *op);    /* event loop; NULL: nobody waits */
    void         (*destroy)(ngx_http_foodsvc_op_t *op); /* frees what the op owns, and the op */
    void          *data;                                /* the request's ctx, NULL when it has gone */
    ngx_queue_t    wait;                                /* the core's: the ops that a request waits for */
};

#endif
