/*
 * hiredis in nginx's event loop.
 *
 * hiredis owns the socket, nginx's connection only watches it. A "link" ties the two together; it lives until hiredis
 * calls cleanup (always before it closes the socket) and, when that happens inside one of our own event handlers, until
 * this handler returns. So a context may be freed from within any callback.
 *
 * Reading is level-triggered: hiredis reads 16 KB once per event and is called again while there is more. Writing is
 * cheap to ask for: the write event is posted to the end of the loop's turn, so that all commands of one turn leave in
 * one write(). epoll watches for writability only while connecting and after a partial write.
 *
 * The connection is given back with ngx_free_connection(), never ngx_close_connection(): hiredis closes the
 * descriptor, and a second close() in a process with threads may hit a descriptor that somebody else has just got.
 */
#include "ngx_http_foodsvc_redis_loop.h"

typedef struct {
    redisAsyncContext  *ac;             /* NULL: hiredis has let go */
    ngx_connection_t   *connection;     /* NULL with it */
    ngx_uint_t          inside;         /* our handlers on the stack */
    ngx_uint_t          writing;        /* inside redisAsyncHandleWrite() */
} ngx_http_foodsvc_redis_link_t;


static void ngx_http_foodsvc_redis_read_handler(ngx_event_t *ev);
static void ngx_http_foodsvc_redis_write_handler(ngx_event_t *ev);
static void ngx_http_foodsvc_redis_leave(ngx_http_foodsvc_redis_link_t *link);
static void ngx_http_foodsvc_redis_add_read(void *data);
static void ngx_http_foodsvc_redis_del_read(void *data);
static void ngx_http_foodsvc_redis_add_write(void *data);
static void ngx_http_foodsvc_redis_del_write(void *data);
static void ngx_http_foodsvc_redis_cleanup(void *data);


static void
ngx_http_foodsvc_redis_read_handler(ngx_event_t *ev)
{
    ngx_connection_t               *c = ev->data;
    ngx_http_foodsvc_redis_link_t  *link = c->data;

    link->inside++;
    redisAsyncHandleRead(link->ac);
    ngx_http_foodsvc_redis_leave(link);
}


static void
ngx_http_foodsvc_redis_write_handler(ngx_event_t *ev)
{
    ngx_connection_t               *c = ev->data;
    ngx_http_foodsvc_redis_link_t  *link = c->data;

    link->inside++;
    link->writing++;
    redisAsyncHandleWrite(link->ac);
    link->writing--;
    ngx_http_foodsvc_redis_leave(link);
}


static void
ngx_http_foodsvc_redis_leave(ngx_http_foodsvc_redis_link_t *link)
{
    if (--link->inside == 0 && link->ac == NULL) {
        ngx_free(link);
    }
}


static void
ngx_http_foodsvc_redis_add_read(void *data)
{
    ngx_http_foodsvc_redis_link_t  *link = data;
    ngx_event_t                    *rev = link->connection->read;

    if (!rev->active && ngx_add_event(rev, NGX_READ_EVENT, NGX_LEVEL_EVENT) != NGX_OK) {
        ngx_log_error(NGX_LOG_ALERT, link->connection->log, 0, "foodsvc redis: could not watch the socket");
    }
}


static void
ngx_http_foodsvc_redis_del_read(void *data)
{
    ngx_http_foodsvc_redis_link_t  *link = data;
    ngx_event_t                    *rev = link->connection->read;

    if (rev->active) {
        (void) ngx_del_event(rev, NGX_READ_EVENT, 0);
    }
}


static void
ngx_http_foodsvc_redis_add_write(void *data)
{
    ngx_http_foodsvc_redis_link_t  *link = data;
    ngx_event_t                    *wev = link->connection->write;

    if (wev->active) {
        return;
    }

    if (link->writing || !(link->ac->c.flags & REDIS_CONNECTED)) {

        /* connecting, or the kernel's buffer is full: wait until it takes more */

        if (ngx_add_event(wev, NGX_WRITE_EVENT, NGX_LEVEL_EVENT) != NGX_OK) {
            ngx_log_error(NGX_LOG_ALERT, link->connection->log, 0, "foodsvc redis: could not watch the socket");
        }

        return;
    }

    ngx_post_event(wev, &ngx_posted_events);
}


static void
ngx_http_foodsvc_redis_del_write(void *data)
{
    ngx_http_foodsvc_redis_link_t  *link = data;
    ngx_event_t                    *wev = link->connection->write;

    if (wev->active) {
        (void) ngx_del_event(wev, NGX_WRITE_EVENT, 0);
    }

    if (wev->posted) {
        ngx_delete_posted_event(wev);
    }
}


static void
ngx_http_foodsvc_redis_cleanup(void *data)
{
    ngx_http_foodsvc_redis_link_t  *link = data;
    ngx_connection_t               *c = link->connection;

    if (ngx_del_conn) {
        (void) ngx_del_conn(c, 0);

    } else {
        ngx_http_foodsvc_redis_del_read(link);
        ngx_http_foodsvc_redis_del_write(link);
    }

    if (c->read->posted) {
        ngx_delete_posted_event(c->read);
    }

    if (c->write->posted) {
        ngx_delete_posted_event(c->write);
    }

    c->read->closed = 1;
    c->write->closed = 1;

    ngx_free_connection(c);
    c->fd = (ngx_socket_t) -1;

    link->connection = NULL;
    link->ac = NULL;

    if (link->inside == 0) {
        ngx_free(link);
    }
}


ngx_int_t
ngx_http_foodsvc_redis_attach(redisAsyncContext *ac, ngx_log_t *log)
{
    ngx_connection_t               *c;
    ngx_http_foodsvc_redis_link_t  *link;

    link = ngx_calloc(sizeof(ngx_http_foodsvc_redis_link_t), log);
    if (link == NULL) {
        return NGX_ERROR;
    }

    c = ngx_get_connection(ac->c.fd, log);
    if (c == NULL) {
        ngx_free(link);
        return NGX_ERROR;
    }

    c->data = link;
    c->log = log;
    c->read->log = log;
    c->write->log = log;
    c->read->handler = ngx_http_foodsvc_redis_read_handler;
    c->write->handler = ngx_http_foodsvc_redis_write_handler;

    link->ac = ac;
    link->connection = c;

    ac->ev.data = link;
    ac->ev.addRead = ngx_http_foodsvc_redis_add_read;
    ac->ev.delRead = ngx_http_foodsvc_redis_del_read;
    ac->ev.addWrite = ngx_http_foodsvc_redis_add_write;
    ac->ev.delWrite = ngx_http_foodsvc_redis_del_write;
    ac->ev.cleanup = ngx_http_foodsvc_redis_cleanup;

    return NGX_OK;
}
