/*
 * RabbitMQ inside nginx: one publisher thread per worker, with publisher confirms.
 */
#ifndef NGX_HTTP_FOODSVC_PUBLISHER_H
#define NGX_HTTP_FOODSVC_PUBLISHER_H

#include "ngx_http_foodsvc_op.h"
#include "foodsvc_uuid.h"

typedef enum {
    NGX_HTTP_FOODSVC_PUBLISHED = 0,     /* confirmed by the broker; CHECK: the broker answered */
    NGX_HTTP_FOODSVC_PUBLISH_AWAY       /* not confirmed before its deadline or the end of the process; it may have
                                           arrived all the same */
} ngx_http_foodsvc_publish_rc_e;

typedef struct {
    ngx_http_foodsvc_op_t          op;          /* first */
    ngx_flag_t                     check;       /* no message: a round trip to the broker (health) */
    char                           queue[256];  /* the default exchange's routing key; declared durable, with no
                                                   arguments, before its first use on a connection */
    char                           message_id[FOODSVC_UUID_TEXT + 1];
    /* the caller's own: the order that the event is of; not sent */
    char                           key[FOODSVC_UUID_TEXT + 1];
    ngx_uint_t                     relayed;     /* the caller's own: not the first try (ngx_http_foodsvc_relay.c) */
    char                          *body;        /* malloc'ed, owned by the op */
    size_t                         len;
    ngx_msec_t                     timeout;     /* from submit, 0: conf's patience; until then an unsent or
                                                   unconfirmed message is sent again after a reconnect */
    ngx_http_foodsvc_publish_rc_e  rc;

    /* the publisher's own, event loop */
    ngx_event_t                    timer;       /* the deadline; not cancelable: a quitting worker stays until then */
    ngx_queue_t                    outstanding;
    ngx_uint_t                     fired;       /* done was called at the deadline, the thread has it still */
    /* the publisher's own, thread (the loop sets deadline before) */
    uint64_t                       deadline;    /* CLOCK_MONOTONIC, ms */
    uint64_t                       tag;         /* delivery tag; 0: not sent */
    ngx_uint_t                     returned;    /* basic.return came, its ack is to come */
    ngx_uint_t                     returns;     /* how often */
    ngx_http_foodsvc_publish_rc_e  result;
} ngx_http_foodsvc_publish_op_t;

typedef struct {
    ngx_str_t   url;            /* amqp[s]://user:password@host:port/vhost, NUL-terminated */
    ngx_str_t   cacert;         /* amqps: the CA file, NUL-terminated; empty: $SSL_CERT_FILE or the system's */
    ngx_msec_t  timeout;        /* of connecting, login and RPCs */
    ngx_msec_t  patience;       /* how long an op may take that says nothing of its own */
    ngx_uint_t  queue;          /* messages waiting, beside those in flight */
    ngx_uint_t  window;         /* unconfirmed messages in flight: 64-256 */
    ngx_uint_t  heartbeat;      /* seconds */
} ngx_http_foodsvc_publisher_conf_t;

/* At configuration: NGX_ERROR: err says what is wrong with the url, without any part of it. No name is resolved. */
ngx_int_t ngx_http_foodsvc_publisher_check(ngx_pool_t *pool, ngx_str_t *url, u_char *err, size_t errlen);
ngx_int_t ngx_http_foodsvc_publisher_init_process(ngx_cycle_t *cycle, ngx_http_foodsvc_publisher_conf_t *conf);
/* Waits for outstanding confirms up to a deadline (timeout), joins the thread, fires what is left with AWAY. */
void ngx_http_foodsvc_publisher_exit_process(ngx_cycle_t *cycle);

ngx_http_foodsvc_publish_op_t *ngx_http_foodsvc_publish_op(void);
/* NGX_OK: queued, done will fire. NGX_BUSY: full; the op is still the caller's (answer 503, destroy it). */
ngx_int_t ngx_http_foodsvc_publish(ngx_http_foodsvc_publish_op_t *op);

#endif
