/*
 * Redis inside nginx: one pipelined hiredis async connection per worker, in the event loop, with reconnect and backoff.
 */
#ifndef NGX_HTTP_FOODSVC_REDIS_H
#define NGX_HTTP_FOODSVC_REDIS_H

#include "ngx_http_foodsvc_op.h"
#include "foodsvc_cache.h"

typedef enum {
    NGX_HTTP_FOODSVC_REDIS_VALUE = 0,   /* a bulk string: value, len */
    NGX_HTTP_FOODSVC_REDIS_NIL,
    NGX_HTTP_FOODSVC_REDIS_INTEGER,     /* integer */
    NGX_HTTP_FOODSVC_REDIS_ERROR,       /* an error reply (a wrong type, no memory), or a reply of another kind */
    NGX_HTTP_FOODSVC_REDIS_AWAY         /* not connected, or lost, or timed out: it may or may not have been done */
} ngx_http_foodsvc_redis_rc_e;

typedef struct {
    ngx_http_foodsvc_op_t        op;        /* first */
    ngx_http_foodsvc_redis_rc_e  rc;
    const char                  *value;     /* valid during the callback only */
    size_t                       len;
    ngx_int_t                    integer;
} ngx_http_foodsvc_redis_op_t;

typedef struct {
    ngx_str_t   url;            /* redis://[user:password@]host:port[/db] or unix:/path, NUL-terminated */
    ngx_msec_t  timeout;        /* of connecting, and of the oldest op, after which the connection is dropped */
    ngx_uint_t  queue;          /* ops in flight */
} ngx_http_foodsvc_redis_conf_t;

/* At configuration: checks the url and resolves its host; *url is replaced by the same with the address in the name's
   place, so that no worker resolves. NGX_ERROR: err says what is wrong, without any part of the url. */
ngx_int_t ngx_http_foodsvc_redis_check(ngx_pool_t *pool, ngx_str_t *url, u_char *err, size_t errlen);
ngx_int_t ngx_http_foodsvc_redis_init_process(ngx_cycle_t *cycle, ngx_http_foodsvc_redis_conf_t *conf);
void ngx_http_foodsvc_redis_exit_process(ngx_cycle_t *cycle);

/* Commands: copied before they return. done may be NULL (fire and forget). NGX_DECLINED: not connected or too many in
   flight: done will not fire and the op was destroyed; go on without the cache. NGX_OK: done will fire. */
ngx_int_t ngx_http_foodsvc_redis_order_get(ngx_http_foodsvc_redis_op_t *op, const char *id);
/* How long its entry still lives, INTEGER: see foodsvc_cache_order_ttl(). */
ngx_int_t ngx_http_foodsvc_redis_order_ttl(ngx_http_foodsvc_redis_op_t *op, const char *id);
ngx_int_t ngx_http_foodsvc_redis_url_get(ngx_http_foodsvc_redis_op_t *op, const char *service);
/* json is copied. */
void ngx_http_foodsvc_redis_order_set(const char *id, const char *json, size_t len, size_t rank);
void ngx_http_foodsvc_redis_url_set(const char *service, const char *url);
/* done fires when it is gone. Redis away: remembered (bounded) and sent at the reconnect, before anything is read; the
   same for an order_set. */
ngx_int_t ngx_http_foodsvc_redis_order_delete(ngx_http_foodsvc_redis_op_t *op, const char *id);

ngx_http_foodsvc_redis_op_t *ngx_http_foodsvc_redis_op(void);

#endif
