/*
 * The store threads: queues, batches, and the calls of foodsvc_store.h, which block.
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
#include <netdb.h>
#include <signal.h>
#include "foodsvc_url.h"


static void *ngx_http_foodsvc_store_thread(void *data);
static ngx_uint_t ngx_http_foodsvc_store_take_locked(ngx_http_foodsvc_store_group_t *group,
    ngx_http_foodsvc_store_op_t *ops[], ngx_uint_t max);
static ngx_uint_t ngx_http_foodsvc_store_batch(ngx_http_foodsvc_store_kind_e kind);
static void ngx_http_foodsvc_store_run(foodsvc_store_t *store, ngx_http_foodsvc_store_op_t *ops[], ngx_uint_t n);
static void ngx_http_foodsvc_store_run_orders(foodsvc_store_t *store, ngx_http_foodsvc_store_op_t *ops[],
    ngx_uint_t n);
static void ngx_http_foodsvc_store_run_changes(foodsvc_store_t *store, ngx_http_foodsvc_store_op_t *ops[],
    ngx_uint_t n);
static void ngx_http_foodsvc_store_run_payments(foodsvc_store_t *store, ngx_http_foodsvc_store_op_t *ops[],
    ngx_uint_t n);
static void ngx_http_foodsvc_store_run_marks(foodsvc_store_t *store, ngx_http_foodsvc_store_op_t *ops[],
    ngx_uint_t n);
static void ngx_http_foodsvc_store_run_url(foodsvc_store_t *store, ngx_http_foodsvc_store_op_t *op);
static foodsvc_store_rc_e ngx_http_foodsvc_store_resolve_rc(int rc);


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


static void
ngx_http_foodsvc_store_run(foodsvc_store_t *store, ngx_http_foodsvc_store_op_t *ops[], ngx_uint_t n)
{
    ngx_http_foodsvc_store_op_t  *op;

    op = ops[0];

    switch (op->kind) {
    case NGX_HTTP_FOODSVC_STORE_ORDER_INSERT:
    case NGX_HTTP_FOODSVC_STORE_ORDER_FIND:
    case NGX_HTTP_FOODSVC_STORE_ORDER_DELETE:
        ngx_http_foodsvc_store_run_orders(store, ops, n);
        break;

    case NGX_HTTP_FOODSVC_STORE_ORDER_CHANGE:
        ngx_http_foodsvc_store_run_changes(store, ops, n);
        break;

    case NGX_HTTP_FOODSVC_STORE_ORDER_PAGE:
        foodsvc_store_orders_page(store, &op->u.page);
        op->rc = op->u.page.rc;
        ngx_memcpy(op->err, op->u.page.err, FOODSVC_ERR);
        break;

    case NGX_HTTP_FOODSVC_STORE_PAYMENT_CHANGE:
        ngx_http_foodsvc_store_run_payments(store, ops, n);
        break;

    case NGX_HTTP_FOODSVC_STORE_OUTBOX_CLEAR:
        ngx_http_foodsvc_store_run_marks(store, ops, n);
        break;

    case NGX_HTTP_FOODSVC_STORE_URL_FIND:
    case NGX_HTTP_FOODSVC_STORE_RESOLVE:
        ngx_http_foodsvc_store_run_url(store, op);
        break;

    case NGX_HTTP_FOODSVC_STORE_PING:
        op->rc = foodsvc_store_ping(store, op->err);
        break;

    case NGX_HTTP_FOODSVC_STORE_KINDS:
        break;
    }
}


static void
ngx_http_foodsvc_store_run_orders(foodsvc_store_t *store, ngx_http_foodsvc_store_op_t *ops[], ngx_uint_t n)
{
    ngx_uint_t                 i;
    foodsvc_store_order_op_t  *orders[FOODSVC_STORE_BATCH];

    for (i = 0; i < n; i++) {
        orders[i] = &ops[i]->u.order;
    }

    switch (ops[0]->kind) {
    case NGX_HTTP_FOODSVC_STORE_ORDER_INSERT:
        foodsvc_store_orders_insert(store, orders, n);
        break;

    case NGX_HTTP_FOODSVC_STORE_ORDER_FIND:
        foodsvc_store_orders_find(store, orders, n);
        break;

    default:
        foodsvc_store_orders_delete(store, orders, n);
        break;
    }

    for (i = 0; i < n; i++) {
        ops[i]->rc = orders[i]->rc;
        ngx_memcpy(ops[i]->err, orders[i]->err, FOODSVC_ERR);
    }
}


static void
ngx_http_foodsvc_store_run_changes(foodsvc_store_t *store, ngx_http_foodsvc_store_op_t *ops[], ngx_uint_t n)
{
    ngx_uint_t                  i;
    foodsvc_store_change_op_t  *changes[FOODSVC_STORE_BATCH];

    for (i = 0; i < n; i++) {
        changes[i] = &ops[i]->u.change;
    }

    foodsvc_store_orders_change(store, changes, n);

    for (i = 0; i < n; i++) {
        ops[i]->rc = changes[i]->rc;
        ngx_memcpy(ops[i]->err, changes[i]->err, FOODSVC_ERR);
    }
}


static void
ngx_http_foodsvc_store_run_payments(foodsvc_store_t *store, ngx_http_foodsvc_store_op_t *ops[], ngx_uint_t n)
{
    ngx_uint_t                   i;
    foodsvc_store_payment_op_t  *payments[FOODSVC_STORE_BATCH];

    for (i = 0; i < n; i++) {
        payments[i] = &ops[i]->u.payment;
    }

    foodsvc_store_payments_change(store, payments, n);

    for (i = 0; i < n; i++) {
        ops[i]->rc = payments[i]->rc;
        ngx_memcpy(ops[i]->err, payments[i]->err, FOODSVC_ERR);
    }
}


static void
ngx_http_foodsvc_store_run_marks(foodsvc_store_t *store, ngx_http_foodsvc_store_op_t *ops[], ngx_uint_t n)
{
    char                  err[FOODSVC_ERR];
    ngx_uint_t            i;
    foodsvc_store_rc_e    rc;
    foodsvc_store_mark_t  marks[FOODSVC_STORE_BATCH];

    for (i = 0; i < n; i++) {
        marks[i] = ops[i]->u.mark;
    }

    rc = foodsvc_store_outbox_clear(store, marks, n, err);

    for (i = 0; i < n; i++) {
        ops[i]->rc = rc;
        ngx_memcpy(ops[i]->err, err, FOODSVC_ERR);
    }
}


static void
ngx_http_foodsvc_store_run_url(foodsvc_store_t *store, ngx_http_foodsvc_store_op_t *op)
{
    char  name[sizeof(op->u.url.url.name)];

    if (op->kind == NGX_HTTP_FOODSVC_STORE_URL_FIND) {
        ngx_memcpy(name, op->u.url.url.name, sizeof(name));
        op->rc = foodsvc_store_url_find(store, name, &op->u.url.url, op->err);

        if (op->rc != FOODSVC_STORE_OK) {
            return;
        }
    }

    ngx_http_foodsvc_store_resolve(op, AI_ADDRCONFIG);
}


void
ngx_http_foodsvc_store_resolve(ngx_http_foodsvc_store_op_t *op, int flags)
{
    int               rc;
    char              port[8];
    foodsvc_url_t     url;
    struct addrinfo   hints, *list, *ai;

    op->u.url.naddrs = 0;

    if (!foodsvc_url_parse(op->u.url.url.url, ngx_strlen(op->u.url.url.url), &url, op->err, FOODSVC_ERR)) {
        op->rc = FOODSVC_STORE_UNREADABLE;
        return;
    }

    ngx_memzero(&hints, sizeof(struct addrinfo));
    hints.ai_family = AF_UNSPEC;
    hints.ai_socktype = SOCK_STREAM;
    hints.ai_flags = flags|AI_NUMERICSERV;

    (void) snprintf(port, sizeof(port), "%u", (unsigned) url.port);
    rc = getaddrinfo(url.host, port, &hints, &list);

    if (rc == EAI_ADDRFAMILY || rc == EAI_NODATA) {
        /* a machine without a network still has its loopback names */
        hints.ai_flags &= ~AI_ADDRCONFIG;
        rc = getaddrinfo(url.host, port, &hints, &list);
    }

    if (rc != 0) {
        op->rc = ngx_http_foodsvc_store_resolve_rc(rc);
        (void) snprintf(op->err, FOODSVC_ERR, "host %.150s: %s", url.host, gai_strerror(rc));
        return;
    }

    for (ai = list; ai && op->u.url.naddrs < NGX_HTTP_FOODSVC_STORE_ADDRS; ai = ai->ai_next) {
        ngx_memcpy(&op->u.url.addrs[op->u.url.naddrs].sockaddr, ai->ai_addr, ai->ai_addrlen);
        op->u.url.addrs[op->u.url.naddrs].socklen = ai->ai_addrlen;
        op->u.url.naddrs++;
    }

    freeaddrinfo(list);

    op->err[0] = '\0';
    op->rc = op->u.url.naddrs > 0 ? FOODSVC_STORE_OK : FOODSVC_STORE_NOT_FOUND;
}


static foodsvc_store_rc_e
ngx_http_foodsvc_store_resolve_rc(int rc)
{
    switch (rc) {
    case EAI_AGAIN:
    case EAI_SYSTEM:
        return FOODSVC_STORE_UNAVAILABLE;

    case EAI_MEMORY:
        return FOODSVC_STORE_FAILED;

    default:
        return FOODSVC_STORE_NOT_FOUND;
    }
}
