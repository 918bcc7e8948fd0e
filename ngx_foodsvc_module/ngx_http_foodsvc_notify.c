/*
 * How a thread wakes the event loop.
 *
 * The eventfd is a connection of ours, level-triggered: any thread writes to it, the loop reads it (which sets it back
 * to zero, so that wakes coalesce) and calls the handler. The connection is `idle`, so that nginx calls its read
 * handler with `close` set when the worker begins to quit; from then on it is an ordinary connection, since completions
 * still have to come through. `channel` keeps nginx from calling it an open socket left behind, and from closing it at
 * a shutdown timeout.
 */
#include <sys/eventfd.h>
#include "ngx_http_foodsvc_notify.h"


static void ngx_http_foodsvc_notify_read(ngx_event_t *ev);
static void ngx_http_foodsvc_notify_write(ngx_event_t *ev);


ngx_int_t
ngx_http_foodsvc_notify_init(ngx_http_foodsvc_notify_t *notify, ngx_log_t *log)
{
    ngx_connection_t  *c;

    notify->connection = NULL;
    notify->fd = eventfd(0, EFD_NONBLOCK|EFD_CLOEXEC);

    if (notify->fd == -1) {
        ngx_log_error(NGX_LOG_EMERG, log, ngx_errno, "foodsvc: eventfd() failed");
        return NGX_ERROR;
    }

    c = ngx_get_connection(notify->fd, log);

    if (c == NULL) {
        (void) close(notify->fd);
        notify->fd = -1;
        return NGX_ERROR;
    }

    c->data = notify;
    c->idle = 1;
    c->log = log;
    c->read->log = log;
    c->write->log = log;
    c->read->channel = 1;
    c->write->channel = 1;
    c->read->handler = ngx_http_foodsvc_notify_read;
    c->write->handler = ngx_http_foodsvc_notify_write;
    notify->connection = c;

    if (ngx_add_event(c->read, NGX_READ_EVENT, NGX_LEVEL_EVENT) == NGX_ERROR) {
        ngx_http_foodsvc_notify_done(notify);
        return NGX_ERROR;
    }

    return NGX_OK;
}


static void
ngx_http_foodsvc_notify_read(ngx_event_t *ev)
{
    ssize_t                     n;
    uint64_t                    wakes;
    ngx_connection_t           *c;
    ngx_http_foodsvc_notify_t  *notify;

    c = ev->data;
    notify = c->data;

    if (c->close) {
        c->close = 0;
        c->idle = 0;

        if (notify->shutdown) {
            notify->shutdown(notify->data);
        }
    }

    n = read(notify->fd, &wakes, sizeof(uint64_t));

    if (n != sizeof(uint64_t)) {
        /* EAGAIN: called for the shutdown, or somebody was faster */
        return;
    }

    notify->handler(notify->data);
}


static void
ngx_http_foodsvc_notify_write(ngx_event_t *ev)
{
    ngx_log_debug0(NGX_LOG_DEBUG_CORE, ev->log, 0, "foodsvc notify: write event");
}


void
ngx_http_foodsvc_notify(ngx_http_foodsvc_notify_t *notify)
{
    ssize_t   n;
    uint64_t  one;

    one = 1;

    /* EAGAIN: the counter is full, so the loop is about to wake anyway */
    do {
        n = write(notify->fd, &one, sizeof(uint64_t));
    } while (n == -1 && errno == EINTR);
}


void
ngx_http_foodsvc_notify_done(ngx_http_foodsvc_notify_t *notify)
{
    if (notify->connection) {
        /* closes the eventfd too */
        ngx_close_connection(notify->connection);
        notify->connection = NULL;
        notify->fd = -1;
    }
}
