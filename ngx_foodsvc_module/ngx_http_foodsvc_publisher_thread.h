/*
 * What the publisher's two sides share, and what the thread's files share. The essay is in
 * ngx_http_foodsvc_publisher.c.
 */
#ifndef NGX_HTTP_FOODSVC_PUBLISHER_THREAD_H
#define NGX_HTTP_FOODSVC_PUBLISHER_THREAD_H

/* nginx first: it sets what the system's headers declare */
#include "ngx_http_foodsvc_publisher.h"
#include "ngx_http_foodsvc_notify.h"

#include <pthread.h>

#include <amqp.h>
#include <amqp_framing.h>

#define NGX_HTTP_FOODSVC_PUBLISHER_LOGS   16
#define NGX_HTTP_FOODSVC_PUBLISHER_NAMES  64
#define NGX_HTTP_FOODSVC_PUBLISHER_DECLARES  16
#define NGX_HTTP_FOODSVC_PUBLISHER_CHANNEL  1

/* --- both sides --- */

typedef struct {
    ngx_uint_t  level;
    char        text[320];
} ngx_http_foodsvc_publisher_log_t;

typedef struct {
    /* constant while the thread runs */
    ngx_http_foodsvc_publisher_conf_t  *conf;
    int                                 wake;           /* eventfd, the loop writes */
    ngx_http_foodsvc_notify_t           notify;         /* the thread wakes the loop */

    pthread_mutex_t                     lock;
    /* under the lock */
    ngx_queue_t                         submitted;
    ngx_queue_t                         completed;
    ngx_uint_t                          woken;          /* `wake` is written and not yet read */
    ngx_uint_t                          stop;
    uint64_t                            stop_at;        /* CLOCK_MONOTONIC, ms */
    int                                 socket;         /* a dup of the connection's, for shutdown(); -1: none */
    ngx_http_foodsvc_publisher_log_t    logs[NGX_HTTP_FOODSVC_PUBLISHER_LOGS];
    ngx_uint_t                          nlogs;

    /* atomic: since when the thread is inside the library, ms; 0: it isn't */
    uint64_t                            busy;
} ngx_http_foodsvc_publisher_t;

uint64_t ngx_http_foodsvc_publisher_now(void);
void *ngx_http_foodsvc_publisher_run(void *publisher);

/* --- the thread's side --- */

typedef enum {
    NGX_HTTP_FOODSVC_PUBLISHER_DECLARED = 0,    /* by us, on this connection */
    NGX_HTTP_FOODSVC_PUBLISHER_EXISTS,          /* with other arguments, or locked: used as it is */
    NGX_HTTP_FOODSVC_PUBLISHER_REFUSED          /* we may not declare it: used if it is there, asked again later */
} ngx_http_foodsvc_publisher_name_e;

typedef struct {
    char                               text[256];       /* "": free */
    ngx_http_foodsvc_publisher_name_e  state;
    uint64_t                           since;           /* the last delivery tag before it was declared */
    uint64_t                           until;           /* REFUSED: then forgotten, ms */
} ngx_http_foodsvc_publisher_name_t;

typedef struct {
    ngx_http_foodsvc_publisher_t       *shared;
    amqp_connection_state_t             conn;           /* NULL: not connected */
    ngx_uint_t                          lost;           /* conn is of no use any more; why says it */
    char                                why[256];
    uint64_t                            retry_at;       /* ms; not connected: the next try */
    uint64_t                            backoff;
    uint64_t                            connected_at;
    ngx_uint_t                          told;           /* "not connected" is in the log */
    ngx_uint_t                          tls;            /* the library has been set up for it */
    unsigned int                        seed;           /* of the jitter */

    ngx_queue_t                         waiting;        /* messages to be sent */
    ngx_queue_t                         sent;           /* unconfirmed, in the order of their tags */
    ngx_queue_t                         checks;         /* round trips to be made */
    ngx_queue_t                         checking;       /* made, in the order of their answers */
    ngx_queue_t                         finished;       /* to be handed back */
    ngx_uint_t                          nsent;
    uint64_t                            tag;            /* the last one used */

    ngx_uint_t                          blocked;        /* connection.blocked */
    ngx_uint_t                          stuffed;        /* the socket took no more */
    uint64_t                            pause;          /* nothing is sent before, ms */
    uint64_t                            expire_at;      /* ms: the next look for what has passed its deadline */

    ngx_http_foodsvc_publisher_name_t   names[NGX_HTTP_FOODSVC_PUBLISHER_NAMES];
    ngx_uint_t                          next_name;
    char                                declares[NGX_HTTP_FOODSVC_PUBLISHER_DECLARES][256];   /* unanswered, a ring */
    ngx_uint_t                          declares_head, ndeclares;

    /* a basic.return in pieces */
    ngx_uint_t                          returning;      /* its header is to come, then `skip` bytes of body */
    uint64_t                            skip;
} ngx_http_foodsvc_publisher_thread_t;

/* ngx_http_foodsvc_publisher_thread.c */
void ngx_http_foodsvc_publisher_complete(ngx_http_foodsvc_publisher_thread_t *t, ngx_http_foodsvc_publish_op_t *op,
    ngx_http_foodsvc_publish_rc_e rc);
void ngx_http_foodsvc_publisher_say(ngx_http_foodsvc_publisher_thread_t *t, ngx_uint_t level, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
void ngx_http_foodsvc_publisher_fail(ngx_http_foodsvc_publisher_thread_t *t, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
/* Around what may hang in the library. */
void ngx_http_foodsvc_publisher_enter(ngx_http_foodsvc_publisher_thread_t *t);
void ngx_http_foodsvc_publisher_leave(ngx_http_foodsvc_publisher_thread_t *t);
/* What is unconfirmed and unanswered goes back to the head of what waits, in its old order. */
void ngx_http_foodsvc_publisher_unsend(ngx_http_foodsvc_publisher_thread_t *t);

/* ngx_http_foodsvc_publisher_connect.c */
void ngx_http_foodsvc_publisher_connect(ngx_http_foodsvc_publisher_thread_t *t);
void ngx_http_foodsvc_publisher_disconnect(ngx_http_foodsvc_publisher_thread_t *t);
/* The last one's end: nothing of the library's TLS is used after that. */
void ngx_http_foodsvc_publisher_end_tls(ngx_http_foodsvc_publisher_thread_t *t);
/* Opens the channel and asks for confirms; a failure is the connection's. */
void ngx_http_foodsvc_publisher_channel(ngx_http_foodsvc_publisher_thread_t *t);

/* ngx_http_foodsvc_publisher_frames.c */
/* Handles all frames that are there, without waiting. */
void ngx_http_foodsvc_publisher_drain(ngx_http_foodsvc_publisher_thread_t *t);

/* ngx_http_foodsvc_publisher_send.c */
/* Sends what the window, the socket and the broker allow. */
void ngx_http_foodsvc_publisher_send(ngx_http_foodsvc_publisher_thread_t *t);
ngx_http_foodsvc_publisher_name_t *ngx_http_foodsvc_publisher_name(ngx_http_foodsvc_publisher_thread_t *t,
    const char *queue);
/* The oldest unanswered declaration; NULL: none. */
const char *ngx_http_foodsvc_publisher_declared(ngx_http_foodsvc_publisher_thread_t *t);

#endif
