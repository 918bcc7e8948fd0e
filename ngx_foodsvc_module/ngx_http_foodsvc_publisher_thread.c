/*
 * RabbitMQ: the publisher's thread. Everything in this file runs in it; so does what is in _connect.c, _frames.c and
 * _send.c.
 *
 * One turn: take what was submitted; connect when it is time; handle the frames that came; send what may be sent; hand
 * back what is finished; sleep until the socket or the loop has something, or a tick has passed (heartbeats are sent
 * and expected by the library whenever it looks for frames, so the tick is a third of their interval at most).
 *
 * An op waits in `waiting` until it is sent, then in `sent` until its confirm. A lost connection or a closed channel
 * puts everything from `sent` back, so it is sent again with the same message_id, until its deadline. An op whose
 * deadline has passed was answered by the loop already and is only given back; in `sent` it stays, for the order of
 * the tags.
 */
#include "ngx_http_foodsvc_publisher_thread.h"

#include <poll.h>
#include <stdarg.h>
#include <sys/eventfd.h>

#define NGX_HTTP_FOODSVC_PUBLISHER_TICK    1000     /* ms */
#define NGX_HTTP_FOODSVC_PUBLISHER_EXPIRE  100      /* ms between two looks through all that waits */


static void ngx_http_foodsvc_publisher_take(ngx_http_foodsvc_publisher_thread_t *t, ngx_uint_t *stop,
    uint64_t *stop_at);
static void ngx_http_foodsvc_publisher_expire(ngx_http_foodsvc_publisher_thread_t *t);
static void ngx_http_foodsvc_publisher_give(ngx_http_foodsvc_publisher_thread_t *t);
static void ngx_http_foodsvc_publisher_wait(ngx_http_foodsvc_publisher_thread_t *t, uint64_t latest);
static ngx_uint_t ngx_http_foodsvc_publisher_idle(ngx_http_foodsvc_publisher_thread_t *t);
static void ngx_http_foodsvc_publisher_abandon(ngx_http_foodsvc_publisher_thread_t *t, ngx_queue_t *queue);
static void ngx_http_foodsvc_publisher_turn(ngx_http_foodsvc_publisher_thread_t *t);


void
ngx_http_foodsvc_publisher_complete(ngx_http_foodsvc_publisher_thread_t *t, ngx_http_foodsvc_publish_op_t *op,
    ngx_http_foodsvc_publish_rc_e rc)
{
    ngx_queue_remove(&op->op.queue);
    op->result = rc;
    ngx_queue_insert_tail(&t->finished, &op->op.queue);
}


void
ngx_http_foodsvc_publisher_say(ngx_http_foodsvc_publisher_thread_t *t, ngx_uint_t level, const char *fmt, ...)
{
    va_list                            args;
    ngx_http_foodsvc_publisher_t      *shared = t->shared;
    ngx_http_foodsvc_publisher_log_t  *line;

    pthread_mutex_lock(&shared->lock);

    if (shared->nlogs < NGX_HTTP_FOODSVC_PUBLISHER_LOGS) {
        line = &shared->logs[shared->nlogs++];
        line->level = level;

        va_start(args, fmt);
        (void) vsnprintf(line->text, sizeof(line->text), fmt, args);
        va_end(args);
    }

    pthread_mutex_unlock(&shared->lock);

    ngx_http_foodsvc_notify(&shared->notify);
}


void
ngx_http_foodsvc_publisher_fail(ngx_http_foodsvc_publisher_thread_t *t, const char *fmt, ...)
{
    va_list  args;

    if (t->lost) {
        return;
    }

    t->lost = 1;

    va_start(args, fmt);
    (void) vsnprintf(t->why, sizeof(t->why), fmt, args);
    va_end(args);
}


void
ngx_http_foodsvc_publisher_enter(ngx_http_foodsvc_publisher_thread_t *t)
{
    __atomic_store_n(&t->shared->busy, ngx_http_foodsvc_publisher_now(), __ATOMIC_RELAXED);
}


void
ngx_http_foodsvc_publisher_leave(ngx_http_foodsvc_publisher_thread_t *t)
{
    __atomic_store_n(&t->shared->busy, 0, __ATOMIC_RELAXED);
}


static void
ngx_http_foodsvc_publisher_take(ngx_http_foodsvc_publisher_thread_t *t, ngx_uint_t *stop, uint64_t *stop_at)
{
    ngx_queue_t                     taken, *q;
    ngx_http_foodsvc_publisher_t   *shared = t->shared;
    ngx_http_foodsvc_publish_op_t  *op;

    ngx_queue_init(&taken);

    pthread_mutex_lock(&shared->lock);

    shared->woken = 0;

    if (!ngx_queue_empty(&shared->submitted)) {
        ngx_queue_add(&taken, &shared->submitted);
        ngx_queue_init(&shared->submitted);
    }

    *stop = shared->stop;
    *stop_at = shared->stop_at;

    pthread_mutex_unlock(&shared->lock);

    while (!ngx_queue_empty(&taken)) {
        q = ngx_queue_head(&taken);
        ngx_queue_remove(q);

        op = (ngx_http_foodsvc_publish_op_t *) ngx_queue_data(q, ngx_http_foodsvc_op_t, queue);
        ngx_queue_insert_tail(op->check ? &t->checks : &t->waiting, q);
    }
}


/* Gives back what has not been sent and can't be any more. */
static void
ngx_http_foodsvc_publisher_expire(ngx_http_foodsvc_publisher_thread_t *t)
{
    uint64_t                        now;
    ngx_uint_t                      i;
    ngx_queue_t                    *q, *next, *queues[2];
    ngx_http_foodsvc_publish_op_t  *op;

    now = ngx_http_foodsvc_publisher_now();
    queues[0] = &t->waiting;
    queues[1] = &t->checks;

    for (i = 0; i < 2 && now >= t->expire_at; i++) {
        for (q = ngx_queue_head(queues[i]); q != ngx_queue_sentinel(queues[i]); q = next) {
            next = ngx_queue_next(q);
            op = (ngx_http_foodsvc_publish_op_t *) ngx_queue_data(q, ngx_http_foodsvc_op_t, queue);

            if (op->deadline <= now) {
                ngx_http_foodsvc_publisher_complete(t, op, NGX_HTTP_FOODSVC_PUBLISH_AWAY);
            }
        }
    }

    if (now >= t->expire_at) {
        t->expire_at = now + NGX_HTTP_FOODSVC_PUBLISHER_EXPIRE;
    }

    /* no point in waiting for a broker that is known to be away: a check is told at once */

    if (t->conn == NULL && t->told) {
        ngx_http_foodsvc_publisher_abandon(t, &t->checks);
    }
}


static void
ngx_http_foodsvc_publisher_abandon(ngx_http_foodsvc_publisher_thread_t *t, ngx_queue_t *queue)
{
    ngx_queue_t  *q;

    while (!ngx_queue_empty(queue)) {
        q = ngx_queue_head(queue);
        ngx_http_foodsvc_publisher_complete(t,
                             (ngx_http_foodsvc_publish_op_t *) ngx_queue_data(q, ngx_http_foodsvc_op_t, queue),
                             NGX_HTTP_FOODSVC_PUBLISH_AWAY);
    }
}


static void
ngx_http_foodsvc_publisher_give(ngx_http_foodsvc_publisher_thread_t *t)
{
    ngx_http_foodsvc_publisher_t  *shared = t->shared;

    if (ngx_queue_empty(&t->finished)) {
        return;
    }

    pthread_mutex_lock(&shared->lock);
    ngx_queue_add(&shared->completed, &t->finished);
    pthread_mutex_unlock(&shared->lock);

    ngx_queue_init(&t->finished);
    ngx_http_foodsvc_notify(&shared->notify);
}


void
ngx_http_foodsvc_publisher_unsend(ngx_http_foodsvc_publisher_thread_t *t)
{
    ngx_queue_t                    *q;
    ngx_http_foodsvc_publish_op_t  *op;

    while (!ngx_queue_empty(&t->sent)) {
        q = ngx_queue_last(&t->sent);
        ngx_queue_remove(q);
        ngx_queue_insert_head(&t->waiting, q);

        op = (ngx_http_foodsvc_publish_op_t *) ngx_queue_data(q, ngx_http_foodsvc_op_t, queue);
        op->tag = 0;
        op->returned = 0;
    }

    while (!ngx_queue_empty(&t->checking)) {
        q = ngx_queue_last(&t->checking);
        ngx_queue_remove(q);
        ngx_queue_insert_head(&t->checks, q);
    }

    t->nsent = 0;
    t->tag = 0;
    t->returning = 0;
    t->skip = 0;
    t->ndeclares = 0;
}


/* latest: the end, when one is set; 0: none is. */
static void
ngx_http_foodsvc_publisher_wait(ngx_http_foodsvc_publisher_thread_t *t, uint64_t latest)
{
    int            timeout;
    nfds_t         n;
    uint64_t       now, until;
    eventfd_t      wakes;
    struct pollfd  fds[2];

    now = ngx_http_foodsvc_publisher_now();
    until = now + NGX_HTTP_FOODSVC_PUBLISHER_TICK;

    if (latest) {
        until = ngx_min(until, latest);
    }

    fds[0].fd = t->shared->wake;
    fds[0].events = POLLIN;
    n = 1;

    if (t->conn == NULL) {
        until = ngx_min(until, t->retry_at);

    } else {
        if (t->lost || amqp_frames_enqueued(t->conn) || amqp_data_in_buffer(t->conn)) {
            return;
        }

        until = ngx_min(until, now + ngx_max(t->shared->conf->heartbeat, 1) * 1000 / 3);

        if (t->pause > now) {
            until = ngx_min(until, t->pause);
        }

        fds[1].fd = amqp_get_sockfd(t->conn);
        fds[1].events = POLLIN | (t->stuffed ? POLLOUT : 0);
        n = 2;
    }

    timeout = (until > now) ? (int) (until - now) : 0;

    /* the wake is read before the list is taken: one that comes in between costs a turn, none is missed */

    if (poll(fds, n, timeout) > 0 && fds[0].revents) {
        (void) eventfd_read(t->shared->wake, &wakes);
    }
}


static ngx_uint_t
ngx_http_foodsvc_publisher_idle(ngx_http_foodsvc_publisher_thread_t *t)
{
    return ngx_queue_empty(&t->waiting) && ngx_queue_empty(&t->sent)
           && ngx_queue_empty(&t->checks) && ngx_queue_empty(&t->checking);
}


static void
ngx_http_foodsvc_publisher_turn(ngx_http_foodsvc_publisher_thread_t *t)
{
    if (t->conn == NULL && ngx_http_foodsvc_publisher_now() >= t->retry_at) {
        ngx_http_foodsvc_publisher_connect(t);
    }

    if (t->conn && !t->lost) {
        ngx_http_foodsvc_publisher_drain(t);
    }

    if (t->conn && !t->lost) {
        ngx_http_foodsvc_publisher_send(t);
    }

    if (t->conn && t->lost) {
        ngx_http_foodsvc_publisher_disconnect(t);
    }

    ngx_http_foodsvc_publisher_expire(t);
    ngx_http_foodsvc_publisher_give(t);
}


void *
ngx_http_foodsvc_publisher_run(void *publisher)
{
    uint64_t                                     stop_at;
    ngx_uint_t                                   stop;
    ngx_http_foodsvc_publisher_thread_t         *t;
    static ngx_http_foodsvc_publisher_thread_t   state;     /* the process has one; nothing that it could lack */

    t = &state;
    t->shared = publisher;
    t->seed = (unsigned int) getpid() ^ (unsigned int) ngx_http_foodsvc_publisher_now();
    ngx_queue_init(&t->waiting);
    ngx_queue_init(&t->sent);
    ngx_queue_init(&t->checks);
    ngx_queue_init(&t->checking);
    ngx_queue_init(&t->finished);

    for ( ;; ) {
        ngx_http_foodsvc_publisher_take(t, &stop, &stop_at);

        if (stop && (ngx_http_foodsvc_publisher_idle(t) || ngx_http_foodsvc_publisher_now() >= stop_at)) {
            break;
        }

        ngx_http_foodsvc_publisher_turn(t);
        ngx_http_foodsvc_publisher_wait(t, stop ? stop_at : 0);
    }

    if (t->conn) {
        ngx_http_foodsvc_publisher_disconnect(t);
    }

    ngx_http_foodsvc_publisher_end_tls(t);

    ngx_http_foodsvc_publisher_abandon(t, &t->waiting);
    ngx_http_foodsvc_publisher_abandon(t, &t->sent);
    ngx_http_foodsvc_publisher_abandon(t, &t->checks);
    ngx_http_foodsvc_publisher_abandon(t, &t->checking);
    ngx_http_foodsvc_publisher_give(t);

    return NULL;
}
