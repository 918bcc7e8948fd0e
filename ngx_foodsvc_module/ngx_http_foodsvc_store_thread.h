/*
 * The store threads: what they share with the event loop (ngx_http_foodsvc_store.c). Private to ngx_http_foodsvc_store*.c.
 */
#ifndef NGX_HTTP_FOODSVC_STORE_THREAD_H
#define NGX_HTTP_FOODSVC_STORE_THREAD_H

#include "ngx_http_foodsvc_store.h"
#include <pthread.h>

typedef enum {
    NGX_HTTP_FOODSVC_STORE_READS = 0,
    NGX_HTTP_FOODSVC_STORE_WRITES,
    NGX_HTTP_FOODSVC_STORE_MISC,
    NGX_HTTP_FOODSVC_STORE_GROUPS
} ngx_http_foodsvc_store_group_e;

/* Threads that take from the same queues. The lock guards all below it, and is held for a few pointers' time only. */
typedef struct {
    const char       *name;             /* of the threads, as the system's tools show it */
    foodsvc_store_t  *store;
    void            (*finish)(ngx_http_foodsvc_store_op_t *ops[], ngx_uint_t n);    /* hands done ops to the loop */
    ngx_uint_t        nthreads;
    pthread_t        *threads;

    pthread_mutex_t   lock;
    pthread_cond_t    wake;
    ngx_queue_t       queues[NGX_HTTP_FOODSVC_STORE_KINDS];
    ngx_uint_t        waiting;
    ngx_uint_t        limit;
    uint64_t          seq;
    ngx_uint_t        stopping;         /* end when the queues are empty */
    ngx_uint_t        abandon;          /* end now: leave the queues */
} ngx_http_foodsvc_store_group_t;

/* All signals are blocked in the threads. NGX_ERROR: those that were started end when the group is stopped. */
ngx_int_t ngx_http_foodsvc_store_group_start(ngx_http_foodsvc_store_group_t *group, ngx_uint_t nthreads,
    ngx_uint_t limit, ngx_log_t *log);
/* NGX_BUSY: full, or stopping. */
ngx_int_t ngx_http_foodsvc_store_group_add(ngx_http_foodsvc_store_group_t *group, ngx_http_foodsvc_store_op_t *op);
/* drain: take what waits first. May be called again to hurry. */
void ngx_http_foodsvc_store_group_stop(ngx_http_foodsvc_store_group_t *group, ngx_uint_t drain);
/* Waits for the threads, at most until the deadline (CLOCK_REALTIME). NGX_AGAIN: one still runs. */
ngx_int_t ngx_http_foodsvc_store_group_join(ngx_http_foodsvc_store_group_t *group, const struct timespec *deadline);
/* What was never taken, one at a time; NULL: no more. */
ngx_http_foodsvc_store_op_t *ngx_http_foodsvc_store_group_left(ngx_http_foodsvc_store_group_t *group);
void ngx_http_foodsvc_store_group_free(ngx_http_foodsvc_store_group_t *group);

/* The addresses of op->u.url.url.url, into op->u.url.addrs, with getaddrinfo's flags. Fills rc and err. */
void ngx_http_foodsvc_store_resolve(ngx_http_foodsvc_store_op_t *op, int flags);

/* Gives an op that no thread has taken its result: the worker ends (ngx_http_foodsvc_store_op.c). */
void ngx_http_foodsvc_store_left(ngx_http_foodsvc_store_op_t *op);

#endif
