/*
 * hiredis' async context as a connection of nginx's event loop. Knows no command and no state of ours.
 */
#ifndef NGX_HTTP_FOODSVC_REDIS_LOOP_H
#define NGX_HTTP_FOODSVC_REDIS_LOOP_H

#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_event.h>

#include <hiredis/hiredis.h>
#include <hiredis/async.h>

/* Before redisAsyncSetConnectCallback(). NGX_ERROR: nothing is attached, free the context. */
ngx_int_t ngx_http_foodsvc_redis_attach(redisAsyncContext *ac, ngx_log_t *log);

#endif
