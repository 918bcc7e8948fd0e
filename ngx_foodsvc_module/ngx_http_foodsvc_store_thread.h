/*
 * The store threads: what they share with the event loop (ngx_http_foodsvc_store.c). Private to
 * ngx_http_foodsvc_store*.c.
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

/* --- ngx_http_foodsvc_store_log.c --- */

#define NGX_HTTP_FOODSVC_STORE_TEXTS  16
#define NGX_HTTP_FOODSVC_STORE_TEXT   256

typedef struct {
    int               level;
    char              text[NGX_HTTP_FOODSVC_STORE_TEXT];
} ngx_http_foodsvc_store_text_t;

/* Zeroed, then init. */
typedef struct {
    ngx_log_t        *log;
    ngx_uint_t        away;             /* logged: MongoDB doesn't answer */

    pthread_mutex_t   lock;             /* guards what follows */
    ngx_uint_t        ntexts;
    ngx_uint_t        lost;             /* texts for which there was no room */
    ngx_http_foodsvc_store_text_t  texts[NGX_HTTP_FOODSVC_STORE_TEXTS];
} ngx_http_foodsvc_store_log_t;

ngx_int_t ngx_http_foodsvc_store_log_init(ngx_http_foodsvc_store_log_t *st, ngx_log_t *log);
void ngx_http_foodsvc_store_log_done(ngx_http_foodsvc_store_log_t *st);
const char *ngx_http_foodsvc_store_kind_name(ngx_http_foodsvc_store_kind_e kind);
/* What the op is about, in a message. */
const char *ngx_http_foodsvc_store_log_id(ngx_http_foodsvc_store_op_t *op);
/* Any thread: a message of the driver. True: log_texts() has something to do. */
ngx_uint_t ngx_http_foodsvc_store_log_keep(ngx_http_foodsvc_store_log_t *st, int level, const char *text);
void ngx_http_foodsvc_store_log_texts(ngx_http_foodsvc_store_log_t *st);
/* Each change between there and away once; what the server refuses or can't be read each time, with its id. */
void ngx_http_foodsvc_store_log_result(ngx_http_foodsvc_store_log_t *st, ngx_http_foodsvc_store_op_t *op);

/* --- ngx_http_foodsvc_store_thread.c --- */

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

/* Runs ops of one kind, which block, and fills their results (ngx_http_foodsvc_store_run.c). */
void ngx_http_foodsvc_store_run(foodsvc_store_t *store, ngx_http_foodsvc_store_op_t *ops[], ngx_uint_t n);

/* The addresses of op->u.url.url.url, into op->u.url.addrs, with getaddrinfo's flags. Fills rc and err. */
void ngx_http_foodsvc_store_resolve(ngx_http_foodsvc_store_op_t *op, int flags);

/* Gives an op that no thread has taken its result: the worker ends (ngx_http_foodsvc_store_op.c). */
void ngx_http_foodsvc_store_left(ngx_http_foodsvc_store_op_t *op);

#endif
