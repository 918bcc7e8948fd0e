/*
 * RabbitMQ: the event loop's side of the publisher.
 *
 * rabbitmq-c blocks in publish, login and every RPC, so it can't be driven from the loop. A thread (one per worker)
 * owns the connection and everything in ngx_http_foodsvc_publisher_thread_t; nobody else touches them. The two sides
 * meet in ngx_http_foodsvc_publisher_t:
 *
 *   loop                                          thread
 *   publish(): submitted += op, eventfd    --->   takes the list, sends, waits for confirms
 *   notify handler: takes the list         <---   completed += ops, notify
 *   done(), destroy()
 *
 * Both lists are under one mutex that is held for a few pointer moves only; the wake-ups coalesce. An op is the loop's
 * before publish() and after it came back, the thread's in between, but for three fields that are the loop's always:
 * timer, outstanding, fired. The deadline belongs to the loop's timer: it calls `done` with AWAY on time, whatever the
 * thread does (a blocked broker, a name server that does not answer). The thread gives the op back later, and then it
 * is only freed. The timer is not cancelable, so a worker that quits waits for its confirms, until the last deadline.
 *
 * The thread never writes to the log (nginx's log may be a syslog socket, which is the loop's): it leaves lines for
 * the loop.
 *
 * The watchdog is a timer here: rabbitmq-c 0.11 can hang in publish for ever. The thread notes when it goes into the
 * library; when that is too long ago, the loop shuts the socket down, which makes the call fail. It uses a dup of the
 * descriptor, which only the thread closes, under the lock: the number can't have become somebody else's socket.
 */
#include "ngx_http_foodsvc_publisher_thread.h"

#include <sys/eventfd.h>
#include <signal.h>
#include <time.h>

#define NGX_HTTP_FOODSVC_PUBLISHER_WATCH  250       /* ms */
#define NGX_HTTP_FOODSVC_PUBLISHER_GRACE  500       /* ms over the timeout: the library's own timeouts go first */
#define NGX_HTTP_FOODSVC_PUBLISHER_TERM   200       /* ms: the master kills what has not ended 1 s after SIGTERM */


static void ngx_http_foodsvc_publisher_handler(void *data);
static void ngx_http_foodsvc_publisher_logs(ngx_http_foodsvc_publisher_log_t *logs, ngx_uint_t n);
static void ngx_http_foodsvc_publisher_fire(ngx_http_foodsvc_publish_op_t *op, ngx_http_foodsvc_publish_rc_e rc);
static void ngx_http_foodsvc_publisher_deadline(ngx_event_t *ev);
static void ngx_http_foodsvc_publisher_watchdog(ngx_event_t *ev);
static void ngx_http_foodsvc_publisher_shutdown_locked(ngx_http_foodsvc_publisher_t *publisher);
static ngx_int_t ngx_http_foodsvc_publisher_start(ngx_log_t *log);
static ngx_int_t ngx_http_foodsvc_publisher_join(ngx_msec_t timeout);
static void ngx_http_foodsvc_publisher_abandon(void);
static void ngx_http_foodsvc_publisher_destroy(ngx_http_foodsvc_op_t *op);


static ngx_http_foodsvc_publisher_t  ngx_http_foodsvc_publisher;
static pthread_t                     ngx_http_foodsvc_publisher_thread;
static ngx_uint_t                    ngx_http_foodsvc_publisher_running;
static ngx_event_t                   ngx_http_foodsvc_publisher_watch;
/* What the debug log of a timer takes for its connection. */
static ngx_connection_t              ngx_http_foodsvc_publisher_nobody;
/* Ops that have not come back from the thread, fired or not. */
static ngx_queue_t                   ngx_http_foodsvc_publisher_outstanding;
static ngx_uint_t                    ngx_http_foodsvc_publisher_noutstanding;


uint64_t
ngx_http_foodsvc_publisher_now(void)
{
    struct timespec  ts;

    (void) clock_gettime(CLOCK_MONOTONIC, &ts);

    return (uint64_t) ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}


static void
ngx_http_foodsvc_publisher_handler(void *data)
{
    ngx_uint_t                         nlogs;
    ngx_queue_t                        completed, *q;
    ngx_http_foodsvc_publisher_t      *publisher = data;
    ngx_http_foodsvc_publish_op_t     *op;
    ngx_http_foodsvc_publisher_log_t   logs[NGX_HTTP_FOODSVC_PUBLISHER_LOGS];

    ngx_queue_init(&completed);

    pthread_mutex_lock(&publisher->lock);

    if (!ngx_queue_empty(&publisher->completed)) {
        ngx_queue_add(&completed, &publisher->completed);
        ngx_queue_init(&publisher->completed);
    }

    nlogs = publisher->nlogs;
    ngx_memcpy(logs, publisher->logs, nlogs * sizeof(logs[0]));
    publisher->nlogs = 0;

    pthread_mutex_unlock(&publisher->lock);

    ngx_http_foodsvc_publisher_logs(logs, nlogs);

    while (!ngx_queue_empty(&completed)) {
        q = ngx_queue_head(&completed);
        ngx_queue_remove(q);

        op = (ngx_http_foodsvc_publish_op_t *) ngx_queue_data(q, ngx_http_foodsvc_op_t, queue);

        ngx_queue_remove(&op->outstanding);
        ngx_http_foodsvc_publisher_noutstanding--;

        ngx_http_foodsvc_publisher_fire(op, op->result);

        op->op.destroy(&op->op);
    }
}


static void
ngx_http_foodsvc_publisher_logs(ngx_http_foodsvc_publisher_log_t *logs, ngx_uint_t n)
{
    ngx_uint_t  i;

    for (i = 0; i < n; i++) {
        ngx_log_error(logs[i].level, ngx_cycle->log, 0, "foodsvc rabbitmq: %s", logs[i].text);
    }
}


static void
ngx_http_foodsvc_publisher_fire(ngx_http_foodsvc_publish_op_t *op, ngx_http_foodsvc_publish_rc_e rc)
{
    if (op->fired) {
        return;
    }

    op->fired = 1;
    op->rc = rc;

    if (op->timer.timer_set) {
        ngx_del_timer(&op->timer);
    }

    if (op->op.done) {
        op->op.done(&op->op);
    }
}


static void
ngx_http_foodsvc_publisher_deadline(ngx_event_t *ev)
{
    ngx_http_foodsvc_publish_op_t  *op;

    op = (ngx_http_foodsvc_publish_op_t *) ((u_char *) ev - offsetof(ngx_http_foodsvc_publish_op_t, timer));

    ngx_log_debug1(NGX_LOG_DEBUG_CORE, ev->log, 0, "foodsvc rabbitmq: no confirm in time, queue \"%s\"", op->queue);

    ngx_http_foodsvc_publisher_fire(op, NGX_HTTP_FOODSVC_PUBLISH_AWAY);
}


static void
ngx_http_foodsvc_publisher_watchdog(ngx_event_t *ev)
{
    uint64_t                       busy, now;
    ngx_http_foodsvc_publisher_t  *publisher = &ngx_http_foodsvc_publisher;

    now = ngx_http_foodsvc_publisher_now();
    busy = __atomic_load_n(&publisher->busy, __ATOMIC_RELAXED);

    if (busy && now > busy + publisher->conf->timeout + NGX_HTTP_FOODSVC_PUBLISHER_GRACE) {
        pthread_mutex_lock(&publisher->lock);
        ngx_http_foodsvc_publisher_shutdown_locked(publisher);
        pthread_mutex_unlock(&publisher->lock);
    }

    ngx_add_timer(ev, NGX_HTTP_FOODSVC_PUBLISHER_WATCH);
}


static void
ngx_http_foodsvc_publisher_shutdown_locked(ngx_http_foodsvc_publisher_t *publisher)
{
    if (publisher->socket != -1) {
        (void) shutdown(publisher->socket, SHUT_RDWR);
    }
}


ngx_int_t
ngx_http_foodsvc_publish(ngx_http_foodsvc_publish_op_t *op)
{
    ngx_uint_t                     wake;
    ngx_http_foodsvc_publisher_t  *publisher = &ngx_http_foodsvc_publisher;

    if (!ngx_http_foodsvc_publisher_running
        || ngx_http_foodsvc_publisher_noutstanding >= publisher->conf->queue + publisher->conf->window)
    {
        return NGX_BUSY;
    }

    if (op->timeout == 0) {
        op->timeout = publisher->conf->patience;
    }

    op->fired = 0;
    op->tag = 0;
    op->returned = 0;
    op->returns = 0;
    op->deadline = ngx_http_foodsvc_publisher_now() + op->timeout;

    op->timer.handler = ngx_http_foodsvc_publisher_deadline;
    op->timer.data = &ngx_http_foodsvc_publisher_nobody;
    op->timer.log = ngx_cycle->log;
    ngx_add_timer(&op->timer, op->timeout);

    ngx_queue_insert_tail(&ngx_http_foodsvc_publisher_outstanding, &op->outstanding);
    ngx_http_foodsvc_publisher_noutstanding++;

    pthread_mutex_lock(&publisher->lock);
    ngx_queue_insert_tail(&publisher->submitted, &op->op.queue);
    wake = !publisher->woken;
    publisher->woken = 1;
    pthread_mutex_unlock(&publisher->lock);

    if (wake) {
        (void) eventfd_write(publisher->wake, 1);
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_foodsvc_publisher_start(ngx_log_t *log)
{
    int       rc;
    sigset_t  all, old;

    /* signals are nginx's: its handlers run in the loop's thread only */

    (void) sigfillset(&all);
    (void) pthread_sigmask(SIG_SETMASK, &all, &old);

    rc = pthread_create(&ngx_http_foodsvc_publisher_thread, NULL, ngx_http_foodsvc_publisher_run,
                        &ngx_http_foodsvc_publisher);

    (void) pthread_sigmask(SIG_SETMASK, &old, NULL);

    if (rc != 0) {
        ngx_log_error(NGX_LOG_EMERG, log, rc, "foodsvc rabbitmq: pthread_create() failed");
        return NGX_ERROR;
    }

    return NGX_OK;
}


ngx_int_t
ngx_http_foodsvc_publisher_init_process(ngx_cycle_t *cycle, ngx_http_foodsvc_publisher_conf_t *conf)
{
    ngx_http_foodsvc_publisher_t  *publisher = &ngx_http_foodsvc_publisher;

    ngx_memzero(publisher, sizeof(ngx_http_foodsvc_publisher_t));

    publisher->conf = conf;
    publisher->socket = -1;
    ngx_queue_init(&publisher->submitted);
    ngx_queue_init(&publisher->completed);
    ngx_queue_init(&ngx_http_foodsvc_publisher_outstanding);
    ngx_http_foodsvc_publisher_noutstanding = 0;
    ngx_http_foodsvc_publisher_nobody.fd = (ngx_socket_t) -1;

    if (pthread_mutex_init(&publisher->lock, NULL) != 0) {
        return NGX_ERROR;
    }

    publisher->wake = eventfd(0, EFD_NONBLOCK|EFD_CLOEXEC);
    if (publisher->wake == -1) {
        ngx_log_error(NGX_LOG_EMERG, cycle->log, ngx_errno, "foodsvc rabbitmq: eventfd() failed");
        return NGX_ERROR;
    }

    publisher->notify.handler = ngx_http_foodsvc_publisher_handler;
    publisher->notify.data = publisher;

    if (ngx_http_foodsvc_notify_init(&publisher->notify, cycle->log) != NGX_OK) {
        (void) close(publisher->wake);
        return NGX_ERROR;
    }

    if (ngx_http_foodsvc_publisher_start(cycle->log) != NGX_OK) {
        ngx_http_foodsvc_notify_done(&publisher->notify);
        (void) close(publisher->wake);
        return NGX_ERROR;
    }

    ngx_http_foodsvc_publisher_running = 1;

    ngx_memzero(&ngx_http_foodsvc_publisher_watch, sizeof(ngx_event_t));
    ngx_http_foodsvc_publisher_watch.handler = ngx_http_foodsvc_publisher_watchdog;
    ngx_http_foodsvc_publisher_watch.data = &ngx_http_foodsvc_publisher_nobody;
    ngx_http_foodsvc_publisher_watch.log = cycle->log;
    ngx_http_foodsvc_publisher_watch.cancelable = 1;
    ngx_add_timer(&ngx_http_foodsvc_publisher_watch, NGX_HTTP_FOODSVC_PUBLISHER_WATCH);

    return NGX_OK;
}


static ngx_int_t
ngx_http_foodsvc_publisher_join(ngx_msec_t timeout)
{
    struct timespec  ts;

    (void) clock_gettime(CLOCK_REALTIME, &ts);

    ts.tv_sec += timeout / 1000;
    ts.tv_nsec += (timeout % 1000) * 1000000;

    if (ts.tv_nsec >= 1000000000) {
        ts.tv_sec++;
        ts.tv_nsec -= 1000000000;
    }

    return pthread_timedjoin_np(ngx_http_foodsvc_publisher_thread, NULL, &ts) == 0 ? NGX_OK : NGX_ERROR;
}


void
ngx_http_foodsvc_publisher_exit_process(ngx_cycle_t *cycle)
{
    ngx_int_t                      rc;
    ngx_msec_t                     timeout, grace;
    ngx_http_foodsvc_publisher_t  *publisher = &ngx_http_foodsvc_publisher;

    if (!ngx_http_foodsvc_publisher_running) {
        return;
    }

    /* a broker that is away must not take the time that the store needs */
    timeout = publisher->conf->timeout;
    grace = NGX_HTTP_FOODSVC_PUBLISHER_GRACE;

    if (ngx_terminate) {
        timeout = ngx_min(timeout, NGX_HTTP_FOODSVC_PUBLISHER_TERM);
        grace = NGX_HTTP_FOODSVC_PUBLISHER_TERM / 2;
    }

    ngx_http_foodsvc_publisher_running = 0;

    if (ngx_http_foodsvc_publisher_watch.timer_set) {
        ngx_del_timer(&ngx_http_foodsvc_publisher_watch);
    }

    pthread_mutex_lock(&publisher->lock);
    publisher->stop = 1;
    publisher->stop_at = ngx_http_foodsvc_publisher_now() + timeout;
    pthread_mutex_unlock(&publisher->lock);

    (void) eventfd_write(publisher->wake, 1);

    rc = ngx_http_foodsvc_publisher_join(timeout + grace);

    if (rc != NGX_OK) {
        pthread_mutex_lock(&publisher->lock);
        ngx_http_foodsvc_publisher_shutdown_locked(publisher);
        pthread_mutex_unlock(&publisher->lock);

        rc = ngx_http_foodsvc_publisher_join(grace);
    }

    ngx_http_foodsvc_publisher_handler(publisher);

    if (rc != NGX_OK) {
        ngx_log_error(NGX_LOG_ALERT, cycle->log, 0, "foodsvc rabbitmq: the thread did not end");
        ngx_http_foodsvc_publisher_abandon();
        return;
    }

    ngx_http_foodsvc_notify_done(&publisher->notify);
    (void) close(publisher->wake);
    (void) pthread_mutex_destroy(&publisher->lock);
}


/* The thread is in a name lookup that does not end: the process goes without it, its ops are not freed. */
static void
ngx_http_foodsvc_publisher_abandon(void)
{
    ngx_queue_t                    *q;
    ngx_http_foodsvc_publish_op_t  *op;

    for (q = ngx_queue_head(&ngx_http_foodsvc_publisher_outstanding);
         q != ngx_queue_sentinel(&ngx_http_foodsvc_publisher_outstanding);
         q = ngx_queue_next(q))
    {
        op = ngx_queue_data(q, ngx_http_foodsvc_publish_op_t, outstanding);
        ngx_http_foodsvc_publisher_fire(op, NGX_HTTP_FOODSVC_PUBLISH_AWAY);
    }
}


static void
ngx_http_foodsvc_publisher_destroy(ngx_http_foodsvc_op_t *op)
{
    ngx_http_foodsvc_publish_op_t  *p = (ngx_http_foodsvc_publish_op_t *) op;

    free(p->body);
    ngx_free(p);
}


ngx_http_foodsvc_publish_op_t *
ngx_http_foodsvc_publish_op(void)
{
    ngx_http_foodsvc_publish_op_t  *op;

    op = ngx_calloc(sizeof(ngx_http_foodsvc_publish_op_t), ngx_cycle->log);
    if (op) {
        op->op.destroy = ngx_http_foodsvc_publisher_destroy;
    }

    return op;
}
