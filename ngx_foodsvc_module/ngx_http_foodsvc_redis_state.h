/*
 * What the Redis adapter's files share: the worker's one connection, what is in flight on it, what is to be written
 * again.
 */
#ifndef NGX_HTTP_FOODSVC_REDIS_STATE_H
#define NGX_HTTP_FOODSVC_REDIS_STATE_H

#include "ngx_http_foodsvc_redis.h"
#include "ngx_http_foodsvc_redis_loop.h"
#include "ngx_http_foodsvc_redis_url.h"
#include "ngx_http_foodsvc_redis_writes.h"

typedef enum {
    NGX_HTTP_FOODSVC_REDIS_OFF = 0,         /* not begun, or the process ends: nothing is taken any more */
    NGX_HTTP_FOODSVC_REDIS_CLOSED,          /* waiting for the retry timer */
    NGX_HTTP_FOODSVC_REDIS_CONNECTING,      /* until the answers to AUTH, SELECT and PING */
    NGX_HTTP_FOODSVC_REDIS_FLUSHING,        /* the remembered writes go out, nothing is read */
    NGX_HTTP_FOODSVC_REDIS_READY
} ngx_http_foodsvc_redis_state_e;

typedef enum {
    NGX_HTTP_FOODSVC_REDIS_GET = 0,
    NGX_HTTP_FOODSVC_REDIS_URL,             /* get or set: a name, no history, never remembered */
    NGX_HTTP_FOODSVC_REDIS_WRITE            /* an order's entry: set or deleted, remembered when it fails */
} ngx_http_foodsvc_redis_kind_e;

/* A command in flight: hiredis' privdata. */
typedef struct {
    ngx_queue_t                      queue;     /* redis.inflight, in the order sent, which is that of the replies */
    ngx_http_foodsvc_redis_kind_e    kind;
    ngx_msec_t                       sent;
    ngx_http_foodsvc_redis_op_t     *op;        /* NULL: nobody waits */
    ngx_http_foodsvc_redis_write_t  *write;     /* WRITE */
    ngx_uint_t                       resent;    /* WRITE: the script was not there, this is the second try */
    char                             id[FOODSVC_UUID_TEXT + 1];     /* GET */
} ngx_http_foodsvc_redis_cmd_t;

typedef struct {
    ngx_http_foodsvc_redis_state_e    state;
    ngx_http_foodsvc_redis_conf_t    *conf;
    ngx_http_foodsvc_redis_url_t      url;
    ngx_log_t                        *log;
    redisAsyncContext                *ac;           /* NULL in OFF and CLOSED */

    ngx_queue_t                       inflight;
    ngx_uint_t                        n;            /* in flight */
    ngx_uint_t                        nwrites;      /* of these, WRITEs */
    ngx_uint_t                        nresent;      /* of these, resent */
    ngx_http_foodsvc_redis_writes_t   writes;       /* remembered */
    time_t                            distrust;     /* no order is read until then: a write was lost */

    ngx_event_t                       watch;        /* connecting, or the oldest command */
    ngx_event_t                       retry;        /* CLOSED */
    ngx_msec_t                        began;        /* connecting */
    ngx_msec_t                        backoff;
    ngx_msec_t                        quit;         /* when writes stop to hold up the worker's end; 0: not quitting */
    ngx_uint_t                        told;         /* "away" is in the log */
} ngx_http_foodsvc_redis_t;

extern ngx_http_foodsvc_redis_t  ngx_http_foodsvc_redis;

/* --- the connection (ngx_http_foodsvc_redis_connect.c) --- */

/* hiredis closes the connection by itself: no more commands, try again later. Harmless when it was said already. */
void ngx_http_foodsvc_redis_lost(redisAsyncContext *ac, const char *why);
/* We close it. Not inside the connect callback. */
void ngx_http_foodsvc_redis_drop(const char *why);
/* A command is in flight: see to it that its age is watched. */
void ngx_http_foodsvc_redis_watch(void);
/* Writes that wait hold up the end of the worker, others do not: after each change of nwrites and writes.n. */
void ngx_http_foodsvc_redis_hold(void);

/* --- commands in flight (ngx_http_foodsvc_redis_flight.c) --- */

ngx_http_foodsvc_redis_cmd_t *ngx_http_foodsvc_redis_cmd(ngx_http_foodsvc_redis_kind_e kind);
/* NGX_OK: in flight. Else the cmd is still the caller's. */
ngx_int_t ngx_http_foodsvc_redis_send(ngx_http_foodsvc_redis_cmd_t *cmd, foodsvc_cache_cmd_t *args);
ngx_int_t ngx_http_foodsvc_redis_send_write(ngx_http_foodsvc_redis_cmd_t *cmd);
/* Takes write; NULL (no memory): one is lost. */
void ngx_http_foodsvc_redis_remember(ngx_http_foodsvc_redis_write_t *write);

/* Sends remembered writes while there is room; FLUSHING becomes READY when all have been answered. */
void ngx_http_foodsvc_redis_pump(void);

#endif
