/*
 * The store threads: queues and batches. What a batch does is in ngx_http_foodsvc_store_run.c.
 *
 * A group has one queue for each kind of op. A thread that is free takes the kind whose oldest op has waited longest,
 * and of it all that wait, up to FOODSVC_STORE_BATCH: what gathers while one batch is on its way to MongoDB goes out as
 * the next, so batches grow with the load by themselves and an idle store adds no delay. Pages, addresses and pings go
 * one by one.
 *
 * A thread touches an op between taking it and finishing it, and of the op only what the call needs: never op->data,
 * never done or destroy. It writes no log: results and reasons are stored in the op, and the event loop logs them.
 */
#include "ngx_http_foodsvc_store_thread.h"
#include <signal.h>


static void *ngx_http_foodsvc_store_thread(void *data);
static ngx_uint_t ngx_http_foodsvc_store_take_locked(ngx_http_foodsvc_store_group_t *group,
    ngx_http_foodsvc_store_op_t *ops[], ngx_uint_t max);
static ngx_uint_t ngx_http_foodsvc_store_batch(ngx_http_foodsvc_store_kind_e kind);


ngx_int_t
ngx_http_foodsvc_store_group_start(ngx_http_foodsvc_store_group_t *group, ngx_uint_t nthreads, ngx_uint_t limit,
    ngx_log_t *log)
{
    int         err;
    sigset_t    all, mask;
    ngx_uint_t  i;

    for (i = 0; i < NGX_HTTP_FOODSVC_STORE_KINDS; i++) {
        ngx_queue_init(&group->queues[i]);
    }

    group->limit = limit;
    group->threads = ngx_calloc(nthreads * sizeof(pthread_t), log);

    if (group->threads == NULL) {
        return NGX_ERROR;
    }

    if (pthread_mutex_init(&group->lock, NULL) != 0 || pthread_cond_init(&group->wake, NULL) != 0) {
        ngx_free(group->threads);
        group->threads = NULL;
        return NGX_ERROR;
    }

    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &mask);

    for (err = 0; err == 0 && group->nthreads < nthreads; ) {
        err = pthread_create(&group->threads[group->nthreads], NULL, ngx_http_foodsvc_store_thread, group);

        if (err == 0) {
            (void) pthread_setname_np(group->threads[group->nthreads], group->name);
            group->nthreads++;
        }
    }

    pthread_sigmask(SIG_SETMASK, &mask, NULL);

    if (err) {
        ngx_log_error(NGX_LOG_EMERG, log, err, "foodsvc store: pthread_create() failed");
        return NGX_ERROR;
    }

    return NGX_OK;
}


static void *
ngx_http_foodsvc_store_thread(void *data)
{
    ngx_uint_t                       n;
    ngx_http_foodsvc_store_op_t     *ops[FOODSVC_STORE_BATCH];
    ngx_http_foodsvc_store_group_t  *group;

    group = data;

    for ( ;; ) {
        pthread_mutex_lock(&group->lock);

        while (group->waiting == 0 && !group->stopping) {
            pthread_cond_wait(&group->wake, &group->lock);
        }

        n = group->abandon ? 0 : ngx_http_foodsvc_store_take_locked(group, ops, FOODSVC_STORE_BATCH);

        pthread_mutex_unlock(&group->lock);

        if (n == 0) {
            return NULL;
        }

        ngx_http_foodsvc_store_run(group->store, ops, n);
        group->finish(ops, n);
    }
}


static ngx_uint_t
ngx_http_foodsvc_store_take_locked(ngx_http_foodsvc_store_group_t *group, ngx_http_foodsvc_store_op_t *ops[],
    ngx_uint_t max)
{
    ngx_uint_t                    i, n;
    ngx_queue_t                  *q, *oldest;
    ngx_http_foodsvc_store_op_t  *op, *first;

    oldest = NULL;
    first = NULL;

    for (i = 0; i < NGX_HTTP_FOODSVC_STORE_KINDS; i++) {
        if (ngx_queue_empty(&group->queues[i])) {
            continue;
        }

        op = (ngx_http_foodsvc_store_op_t *) ngx_queue_data(ngx_queue_head(&group->queues[i]),
                                                            ngx_http_foodsvc_op_t, queue);
        if (first == NULL || op->seq < first->seq) {
            oldest = &group->queues[i];
            first = op;
        }
    }

    if (first == NULL) {
        return 0;
    }

    max = ngx_min(max, ngx_http_foodsvc_store_batch(first->kind));

    for (n = 0; n < max && !ngx_queue_empty(oldest); n++) {
        q = ngx_queue_head(oldest);
        ngx_queue_remove(q);
        ops[n] = (ngx_http_foodsvc_store_op_t *) ngx_queue_data(q, ngx_http_foodsvc_op_t, queue);
    }

    group->waiting -= n;

    return n;
}


static ngx_uint_t
ngx_http_foodsvc_store_batch(ngx_http_foodsvc_store_kind_e kind)
{
    switch (kind) {
    case NGX_HTTP_FOODSVC_STORE_ORDER_PAGE:
    case NGX_HTTP_FOODSVC_STORE_URL_FIND:
    case NGX_HTTP_FOODSVC_STORE_RESOLVE:
    case NGX_HTTP_FOODSVC_STORE_PING:
        return 1;

    default:
        return FOODSVC_STORE_BATCH;
    }
}


ngx_int_t
ngx_http_foodsvc_store_group_add(ngx_http_foodsvc_store_group_t *group, ngx_http_foodsvc_store_op_t *op)
{
    pthread_mutex_lock(&group->lock);

    if (group->stopping || group->waiting >= group->limit) {
        pthread_mutex_unlock(&group->lock);
        return NGX_BUSY;
    }

    op->seq = group->seq++;
    ngx_queue_insert_tail(&group->queues[op->kind], &op->op.queue);
    group->waiting++;

    pthread_cond_signal(&group->wake);
    pthread_mutex_unlock(&group->lock);

    return NGX_OK;
}


void
ngx_http_foodsvc_store_group_stop(ngx_http_foodsvc_store_group_t *group, ngx_uint_t drain)
{
    if (group->threads == NULL) {
        return;
    }

    pthread_mutex_lock(&group->lock);

    group->stopping = 1;
    group->abandon = !drain;

    pthread_cond_broadcast(&group->wake);
    pthread_mutex_unlock(&group->lock);
}


ngx_int_t
ngx_http_foodsvc_store_group_join(ngx_http_foodsvc_store_group_t *group, const struct timespec *deadline)
{
    while (group->nthreads > 0) {
        if (pthread_timedjoin_np(group->threads[group->nthreads - 1], NULL, deadline) != 0) {
            return NGX_AGAIN;
        }

        group->nthreads--;
    }

    return NGX_OK;
}


ngx_http_foodsvc_store_op_t *
ngx_http_foodsvc_store_group_left(ngx_http_foodsvc_store_group_t *group)
{
    ngx_uint_t                    n;
    ngx_http_foodsvc_store_op_t  *op;

    if (group->threads == NULL) {
        return NULL;
    }

    pthread_mutex_lock(&group->lock);
    n = ngx_http_foodsvc_store_take_locked(group, &op, 1);
    pthread_mutex_unlock(&group->lock);

    return n ? op : NULL;
}


void
ngx_http_foodsvc_store_group_free(ngx_http_foodsvc_store_group_t *group)
{
    if (group->threads == NULL) {
        return;
    }

    pthread_cond_destroy(&group->wake);
    pthread_mutex_destroy(&group->lock);
    ngx_free(group->threads);
    group->threads = NULL;
}
