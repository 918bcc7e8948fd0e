/*
 * How a thread wakes the event loop: an eventfd that is a connection of ours. The store threads and the publisher use
 * one each.
 */
#ifndef NGX_HTTP_FOODSVC_NOTIFY_H
#define NGX_HTTP_FOODSVC_NOTIFY_H

#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_event.h>

typedef struct {
    int                fd;
    ngx_connection_t  *connection;
    void             (*handler)(void *data);        /* event loop */
    void             (*shutdown)(void *data);       /* event loop, once, when the worker begins to quit; may be NULL */
    void              *data;
} ngx_http_foodsvc_notify_t;

ngx_int_t ngx_http_foodsvc_notify_init(ngx_http_foodsvc_notify_t *notify, ngx_log_t *log);
/* Any thread. Wakes coalesce. */
void ngx_http_foodsvc_notify(ngx_http_foodsvc_notify_t *notify);
void ngx_http_foodsvc_notify_done(ngx_http_foodsvc_notify_t *notify);

#endif
