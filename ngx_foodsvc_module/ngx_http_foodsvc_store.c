/*
 * MongoDB inside nginx: the event loop's side.
 *
 * Who does what. submit() runs in the loop: it puts an op into the queue of its group and returns. The group's threads
 * (ngx_http_foodsvc_store_thread.c) take ops in batches, call foodsvc_store.h, which blocks, put the ops with their
 * results on the list of done ops and wake the loop through the eventfd. The loop takes the whole list, and calls done
 * and destroy of each. So an op is owned by the caller before submit, by the loop and one thread in turns after it, and
 * the locks (one for each group's queues, one for the list) are held for a few pointers' time only.
 *
 * Three groups: reads (find, page), writes (insert, delete, change, payments, marks), and the rest (urls, names, ping),
 * whose answers a health check waits for and which must not stand behind reads of a MongoDB that hangs. The rest has
 * two threads, since a name server can hold one for many seconds.
 *
 * Quitting. nginx 1.22 ends a worker that quits when no timer is left that counts, so one is armed while any op is
 * outstanding, those included that nobody waits for. exit_process then finds nothing to do; after SIGTERM it lets the
 * threads finish the writes that were accepted, up to a deadline, and fires what is left with UNAVAILABLE.
 * The store is closed only when all threads have ended: a pool must not go while a client of it is in use.
 *
 * The driver's messages come from any thread: they are kept, and logged by the loop (ngx_http_foodsvc_store_log.c).
 */
#include "ngx_http_foodsvc_notify.h"
#include "ngx_http_foodsvc_store_thread.h"


#define NGX_HTTP_FOODSVC_STORE_MISC_THREADS  2
#define NGX_HTTP_FOODSVC_STORE_GUARD         60000      /* ms; it is armed again while ops are outstanding */


typedef struct {
    foodsvc_store_t                *store;
    ngx_log_t                      *log;
    ngx_msec_t                      timeout;
    ngx_http_foodsvc_notify_t       notify;
    ngx_http_foodsvc_store_log_t    texts;
    ngx_event_t                     guard;
    ngx_uint_t                      outstanding;    /* submitted and not yet fired */
    ngx_http_foodsvc_store_group_t  groups[NGX_HTTP_FOODSVC_STORE_GROUPS];

    pthread_mutex_t                 lock;           /* guards `done` */
    ngx_queue_t                     done;
} ngx_http_foodsvc_store_t;


static ngx_int_t ngx_http_foodsvc_store_start(ngx_http_foodsvc_store_conf_t *conf);
static void ngx_http_foodsvc_store_wake_handler(void *data);
static void ngx_http_foodsvc_store_guard_handler(ngx_event_t *ev);
static void ngx_http_foodsvc_store_finish(ngx_http_foodsvc_store_op_t *ops[], ngx_uint_t n);
static void ngx_http_foodsvc_store_text(void *ctx, int level, const char *text);
static void ngx_http_foodsvc_store_fire(ngx_http_foodsvc_store_op_t *op);
static void ngx_http_foodsvc_store_fire_left(void);
static ngx_uint_t ngx_http_foodsvc_store_join(ngx_msec_t wait, ngx_uint_t first, ngx_uint_t last);
static ngx_http_foodsvc_store_group_t *ngx_http_foodsvc_store_group(ngx_http_foodsvc_store_kind_e kind);


static ngx_http_foodsvc_store_t  ngx_http_foodsvc_store;

ngx_int_t
ngx_http_foodsvc_store_init_process(ngx_cycle_t *cycle, ngx_http_foodsvc_store_conf_t *conf)
{
    ngx_http_foodsvc_store_t  *st;

    st = &ngx_http_foodsvc_store;

    ngx_memzero(st, sizeof(ngx_http_foodsvc_store_t));
    st->log = cycle->log;
    st->timeout = conf->timeout;
    ngx_queue_init(&st->done);

    if (pthread_mutex_init(&st->lock, NULL) != 0
        || ngx_http_foodsvc_store_log_init(&st->texts, cycle->log) != NGX_OK)
    {
        return NGX_ERROR;
    }

    st->notify.handler = ngx_http_foodsvc_store_wake_handler;
    st->notify.data = st;

    if (ngx_http_foodsvc_notify_init(&st->notify, cycle->log) != NGX_OK) {
        return NGX_ERROR;
    }

    /* a log line of the timer asks its connection for a descriptor */
    st->guard.data = st->notify.connection;
    st->guard.handler = ngx_http_foodsvc_store_guard_handler;
    st->guard.log = cycle->log;

    return ngx_http_foodsvc_store_start(conf);
}


static ngx_int_t
ngx_http_foodsvc_store_start(ngx_http_foodsvc_store_conf_t *conf)
{
    char                              err[FOODSVC_ERR];
    ngx_uint_t                        i;
    foodsvc_store_conf_t              sc;
    ngx_http_foodsvc_store_t         *st;
    ngx_uint_t                        threads[NGX_HTTP_FOODSVC_STORE_GROUPS];

    static const char                *names[] = { "foodsvc-read", "foodsvc-write", "foodsvc-misc" };

    st = &ngx_http_foodsvc_store;

    threads[NGX_HTTP_FOODSVC_STORE_READS] = ngx_max(conf->read_threads, 1);
    threads[NGX_HTTP_FOODSVC_STORE_WRITES] = ngx_max(conf->write_threads, 1);
    threads[NGX_HTTP_FOODSVC_STORE_MISC] = NGX_HTTP_FOODSVC_STORE_MISC_THREADS;

    ngx_memzero(&sc, sizeof(foodsvc_store_conf_t));
    sc.uri = (const char *) conf->uri.data;
    sc.timeout_ms = conf->timeout;
    sc.log = ngx_http_foodsvc_store_text;
    sc.log_ctx = st;

    for (i = 0; i < NGX_HTTP_FOODSVC_STORE_GROUPS; i++) {
        sc.max_clients += threads[i];
    }

    st->store = foodsvc_store_open(&sc, err);

    if (st->store == NULL) {
        ngx_log_error(NGX_LOG_EMERG, st->log, 0, "foodsvc_mongo: %s", err);
        return NGX_ERROR;
    }

    for (i = 0; i < NGX_HTTP_FOODSVC_STORE_GROUPS; i++) {
        st->groups[i].name = names[i];
        st->groups[i].store = st->store;
        st->groups[i].finish = ngx_http_foodsvc_store_finish;

        if (ngx_http_foodsvc_store_group_start(&st->groups[i], threads[i], conf->queue, st->log) != NGX_OK) {
            return NGX_ERROR;
        }
    }

    return NGX_OK;
}


ngx_int_t
ngx_http_foodsvc_store_submit(ngx_http_foodsvc_store_op_t *op)
{
    ngx_http_foodsvc_store_t        *st;
    ngx_http_foodsvc_store_group_t  *group;

    st = &ngx_http_foodsvc_store;

    ngx_log_debug2(NGX_LOG_DEBUG_HTTP, ngx_cycle->log, 0, "foodsvc store: submit %s %s",
                   ngx_http_foodsvc_store_kind_name(op->kind), ngx_http_foodsvc_store_log_id(op));

    group = ngx_http_foodsvc_store_group(op->kind);

    if (group->threads == NULL) {
        return NGX_BUSY;
    }

    switch (op->kind) {
    case NGX_HTTP_FOODSVC_STORE_ORDER_INSERT:
    case NGX_HTTP_FOODSVC_STORE_ORDER_FIND:
    case NGX_HTTP_FOODSVC_STORE_ORDER_DELETE:
        op->u.order.id = op->id;
        break;

    case NGX_HTTP_FOODSVC_STORE_ORDER_CHANGE:
        op->u.change.id = op->id;
        break;

    case NGX_HTTP_FOODSVC_STORE_PAYMENT_CHANGE:
        op->u.payment.id = op->payment_id;
        break;

    case NGX_HTTP_FOODSVC_STORE_KEY_BEGIN:
    case NGX_HTTP_FOODSVC_STORE_KEY_END:
        op->u.key.id = op->key_id;
        break;

    default:
        break;
    }

    if (ngx_http_foodsvc_store_group_add(group, op) != NGX_OK) {
        return NGX_BUSY;
    }

    if (st->outstanding++ == 0) {
        ngx_add_timer(&st->guard, NGX_HTTP_FOODSVC_STORE_GUARD);
    }

    return NGX_OK;
}


static ngx_http_foodsvc_store_group_t *
ngx_http_foodsvc_store_group(ngx_http_foodsvc_store_kind_e kind)
{
    switch (kind) {
    case NGX_HTTP_FOODSVC_STORE_ORDER_FIND:
    case NGX_HTTP_FOODSVC_STORE_ORDER_PAGE:
        return &ngx_http_foodsvc_store.groups[NGX_HTTP_FOODSVC_STORE_READS];

    case NGX_HTTP_FOODSVC_STORE_URL_FIND:
    case NGX_HTTP_FOODSVC_STORE_RESOLVE:
    case NGX_HTTP_FOODSVC_STORE_PING:
        return &ngx_http_foodsvc_store.groups[NGX_HTTP_FOODSVC_STORE_MISC];

    default:
        return &ngx_http_foodsvc_store.groups[NGX_HTTP_FOODSVC_STORE_WRITES];
    }
}


/* A thread's: the ops are the loop's from here on. */

static void
ngx_http_foodsvc_store_finish(ngx_http_foodsvc_store_op_t *ops[], ngx_uint_t n)
{
    ngx_uint_t                 i;
    ngx_http_foodsvc_store_t  *st;

    st = &ngx_http_foodsvc_store;

    pthread_mutex_lock(&st->lock);

    for (i = 0; i < n; i++) {
        ngx_queue_insert_tail(&st->done, &ops[i]->op.queue);
    }

    pthread_mutex_unlock(&st->lock);

    ngx_http_foodsvc_notify(&st->notify);
}


static void
ngx_http_foodsvc_store_wake_handler(void *data)
{
    ngx_queue_t                  *q, done;
    ngx_http_foodsvc_store_t     *st;
    ngx_http_foodsvc_store_op_t  *op;

    st = data;

    ngx_http_foodsvc_store_log_texts(&st->texts);

    ngx_queue_init(&done);

    pthread_mutex_lock(&st->lock);

    if (!ngx_queue_empty(&st->done)) {
        ngx_queue_add(&done, &st->done);
        ngx_queue_init(&st->done);
    }

    pthread_mutex_unlock(&st->lock);

    while (!ngx_queue_empty(&done)) {
        q = ngx_queue_head(&done);
        ngx_queue_remove(q);

        op = (ngx_http_foodsvc_store_op_t *) ngx_queue_data(q, ngx_http_foodsvc_op_t, queue);

        ngx_http_foodsvc_store_log_result(&st->texts, op);
        ngx_http_foodsvc_store_fire(op);
    }
}


static void
ngx_http_foodsvc_store_fire(ngx_http_foodsvc_store_op_t *op)
{
    ngx_http_foodsvc_store_t  *st;

    st = &ngx_http_foodsvc_store;

    if (--st->outstanding == 0 && st->guard.timer_set) {
        ngx_del_timer(&st->guard);
    }

    ngx_log_debug3(NGX_LOG_DEBUG_HTTP, ngx_cycle->log, 0, "foodsvc store: done %s %s: %s",
                   ngx_http_foodsvc_store_kind_name(op->kind), ngx_http_foodsvc_store_log_id(op),
                   foodsvc_store_rc_name(op->rc));

    if (op->op.done) {
        op->op.done(&op->op);
    }

    op->op.destroy(&op->op);
}


static void
ngx_http_foodsvc_store_guard_handler(ngx_event_t *ev)
{
    if (ngx_http_foodsvc_store.outstanding > 0) {
        ngx_add_timer(ev, NGX_HTTP_FOODSVC_STORE_GUARD);
    }
}


/* Any thread's: a message of the driver, for the loop to log. */

static void
ngx_http_foodsvc_store_text(void *ctx, int level, const char *text)
{
    ngx_http_foodsvc_store_t  *st;

    st = ctx;

    if (ngx_http_foodsvc_store_log_keep(&st->texts, level, text)) {
        ngx_http_foodsvc_notify(&st->notify);
    }
}


void
ngx_http_foodsvc_store_exit_process(ngx_cycle_t *cycle)
{
    ngx_msec_t                 wait;
    ngx_uint_t                 i, ended;
    ngx_http_foodsvc_store_t  *st;

    st = &ngx_http_foodsvc_store;

    if (st->store == NULL) {
        return;
    }

    for (i = 0; i < NGX_HTTP_FOODSVC_STORE_GROUPS; i++) {
        ngx_http_foodsvc_store_group_stop(&st->groups[i], i == NGX_HTTP_FOODSVC_STORE_WRITES);
    }

    /*
     * four time-outs: so long a batch may begin another attempt, and three more that it may take; after SIGTERM the
     * master loses its patience after two or three seconds
     */
    wait = ngx_terminate ? ngx_min(st->timeout, 1000) : 4 * st->timeout;

    if (!ngx_http_foodsvc_store_join(wait, NGX_HTTP_FOODSVC_STORE_WRITES, NGX_HTTP_FOODSVC_STORE_WRITES)) {
        ngx_http_foodsvc_store_group_stop(&st->groups[NGX_HTTP_FOODSVC_STORE_WRITES], 0);
    }

    wait = ngx_terminate ? wait / 2 : 3 * st->timeout;
    ended = ngx_http_foodsvc_store_join(wait, 0, NGX_HTTP_FOODSVC_STORE_GROUPS - 1);

    ngx_http_foodsvc_store_wake_handler(st);
    ngx_http_foodsvc_store_fire_left();

    if (!ended) {
        ngx_log_error(NGX_LOG_WARN, cycle->log, 0,
                      "foodsvc: MongoDB does not answer, %ui operations are left to their outcome", st->outstanding);
        /* the threads use the store, the lock and the eventfd until the process ends */
        return;
    }

    for (i = 0; i < NGX_HTTP_FOODSVC_STORE_GROUPS; i++) {
        ngx_http_foodsvc_store_group_free(&st->groups[i]);
    }

    foodsvc_store_close(st->store);
    st->store = NULL;

    if (st->guard.timer_set) {
        ngx_del_timer(&st->guard);
    }

    ngx_http_foodsvc_notify_done(&st->notify);
    ngx_http_foodsvc_store_log_done(&st->texts);
    pthread_mutex_destroy(&st->lock);
}


/* Waits for the threads of some groups, `wait` ms for all together; 1: all have ended. */

static ngx_uint_t
ngx_http_foodsvc_store_join(ngx_msec_t wait, ngx_uint_t first, ngx_uint_t last)
{
    ngx_uint_t       i, ended;
    struct timespec  deadline;

    (void) clock_gettime(CLOCK_REALTIME, &deadline);

    deadline.tv_sec += wait / 1000;
    deadline.tv_nsec += (wait % 1000) * 1000000;

    if (deadline.tv_nsec >= 1000000000) {
        deadline.tv_sec++;
        deadline.tv_nsec -= 1000000000;
    }

    ended = 1;

    for (i = first; i <= last; i++) {
        if (ngx_http_foodsvc_store_group_join(&ngx_http_foodsvc_store.groups[i], &deadline) != NGX_OK) {
            ended = 0;
        }
    }

    return ended;
}


static void
ngx_http_foodsvc_store_fire_left(void)
{
    ngx_uint_t                    i;
    ngx_http_foodsvc_store_t     *st;
    ngx_http_foodsvc_store_op_t  *op;

    st = &ngx_http_foodsvc_store;

    for (i = 0; i < NGX_HTTP_FOODSVC_STORE_GROUPS; i++) {

        while ((op = ngx_http_foodsvc_store_group_left(&st->groups[i])) != NULL) {
            ngx_http_foodsvc_store_left(op);

            if (op->op.data == NULL) {
                op->op.done = NULL;
            }

            ngx_http_foodsvc_store_fire(op);
        }
    }
}
