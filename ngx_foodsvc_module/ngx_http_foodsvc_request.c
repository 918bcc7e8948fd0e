/*
 * A request's life in the module: its ctx, its body, its deadline, what it waits for, and its death.
 *
 * From the content handler on, the request's reference count holds one for us; the answer's finalizing gives it back.
 * Nothing is finalized from inside a callback: an answer is posted (ngx_http_foodsvc_reply.c), so that a ctx stays
 * valid until the callback that answered has returned. The cleanup handler runs whatever ends the request: it removes
 * the events, detaches the ops and the lookups, and frees what is outside the pool. Background subrequests that still
 * run then are ended by nginx (ngx_http_terminate_request() runs their upstreams' cleanups) or were waited for.
 */
#include "ngx_http_foodsvc_core.h"


static ngx_http_foodsvc_ctx_t *ngx_http_foodsvc_create_ctx(ngx_http_request_t *r);
static ngx_int_t ngx_http_foodsvc_discard(ngx_http_foodsvc_ctx_t *ctx);
static void ngx_http_foodsvc_body_read(ngx_http_request_t *r);
static ngx_int_t ngx_http_foodsvc_collect(ngx_http_foodsvc_ctx_t *ctx);
static void ngx_http_foodsvc_start(ngx_http_foodsvc_ctx_t *ctx, ngx_http_foodsvc_handler_pt handler);
static void ngx_http_foodsvc_deadline(ngx_event_t *ev);
static void ngx_http_foodsvc_cleanup(void *data);


/* The process ends: what the adapters still fire finds its request gone. */
static ngx_uint_t  ngx_http_foodsvc_exiting;


ngx_int_t
ngx_http_foodsvc_handler(ngx_http_request_t *r)
{
    ngx_int_t                        rc;
    ngx_http_foodsvc_ctx_t          *ctx;
    const ngx_http_foodsvc_route_t  *route;

    if (r != r->main) {
        ngx_log_error(NGX_LOG_ERR, r->connection->log, 0, "foodsvc: \"%V\" cannot be a subrequest's", &r->uri);
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    ctx = ngx_http_foodsvc_create_ctx(r);
    if (ctx == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    if (ctx->conf->role == NGX_HTTP_FOODSVC_ERROR) {
        ngx_http_foodsvc_key_wipe(r);
        ngx_http_foodsvc_reply_error_page(ctx);
        return ngx_http_foodsvc_discard(ctx);
    }

    route = ngx_http_foodsvc_route(ctx);
    ngx_http_foodsvc_key_wipe(r);

    if (route == NULL || !route->body) {
        if (route) {
            ngx_http_foodsvc_start(ctx, route->handler);
        }

        return ngx_http_foodsvc_discard(ctx);
    }

    if (r->headers_in.content_length_n > (off_t) ctx->conf->json.max_size) {
        ngx_http_foodsvc_reply_detail(ctx, NGX_HTTP_REQUEST_ENTITY_TOO_LARGE,
                                      "The body is larger than %zu bytes", ctx->conf->json.max_size);
        return ngx_http_foodsvc_discard(ctx);
    }

    ctx->handler = route->handler;
    r->request_body_in_single_buf = 1;

    rc = ngx_http_read_client_request_body(r, ngx_http_foodsvc_body_read);

    return (rc >= NGX_HTTP_SPECIAL_RESPONSE) ? rc : NGX_DONE;
}


static ngx_http_foodsvc_ctx_t *
ngx_http_foodsvc_create_ctx(ngx_http_request_t *r)
{
    ngx_http_cleanup_t      *cln;
    ngx_http_foodsvc_ctx_t  *ctx;

    ctx = ngx_pcalloc(r->pool, sizeof(ngx_http_foodsvc_ctx_t));
    if (ctx == NULL) {
        return NULL;
    }

    cln = ngx_http_cleanup_add(r, 0);
    if (cln == NULL) {
        return NULL;
    }

    cln->handler = ngx_http_foodsvc_cleanup;
    cln->data = ctx;

    ctx->request = r;
    ctx->conf = ngx_http_get_module_loc_conf(r, ngx_http_foodsvc_module);
    ngx_queue_init(&ctx->ops);
    ngx_queue_init(&ctx->calls);

    ctx->timer.handler = ngx_http_foodsvc_deadline;
    ctx->timer.data = ctx;
    ctx->timer.log = r->connection->log;
    ctx->event.data = ctx;
    ctx->event.log = r->connection->log;

    ngx_http_set_ctx(r, ctx, ngx_http_foodsvc_module);

    return ctx;
}


/* A body that nobody reads must not be taken for the next request. The handler runs or has answered: NGX_DONE
   holds the request for it. */
static ngx_int_t
ngx_http_foodsvc_discard(ngx_http_foodsvc_ctx_t *ctx)
{
    ngx_int_t            rc;
    ngx_http_request_t  *r = ctx->request;

    rc = ngx_http_discard_request_body(r);

    if (rc == NGX_ERROR) {
        return rc;
    }

    if (rc >= NGX_HTTP_SPECIAL_RESPONSE) {
        r->keepalive = 0;       /* its end cannot be found */
    }

    r->main->count++;

    return NGX_DONE;
}


static void
ngx_http_foodsvc_body_read(ngx_http_request_t *r)
{
    ngx_int_t                rc;
    ngx_http_foodsvc_ctx_t  *ctx;

    ctx = ngx_http_get_module_ctx(r, ngx_http_foodsvc_module);
    rc = ngx_http_foodsvc_collect(ctx);

    switch (rc) {

    case NGX_OK:
        ngx_http_foodsvc_start(ctx, ctx->handler);
        return;

    case NGX_DECLINED:
        ngx_http_foodsvc_reply_detail(ctx, NGX_HTTP_REQUEST_ENTITY_TOO_LARGE,
                                      "The body is larger than %zu bytes", ctx->conf->json.max_size);
        return;

    default:
        ngx_http_foodsvc_reply_detail(ctx, NGX_HTTP_INTERNAL_SERVER_ERROR, "Internal Server Error");
    }
}


/* The body in one piece. It may lie in several buffers, in a temporary file, or in both. NGX_DECLINED: too large. */
static ngx_int_t
ngx_http_foodsvc_collect(ngx_http_foodsvc_ctx_t *ctx)
{
    off_t                size;
    u_char              *p;
    ssize_t              n;
    ngx_buf_t           *b;
    ngx_chain_t         *cl, *bufs;
    ngx_http_request_t  *r = ctx->request;

    bufs = r->request_body ? r->request_body->bufs : NULL;
    size = 0;

    for (cl = bufs; cl; cl = cl->next) {
        size += ngx_buf_size(cl->buf);
    }

    if (size > (off_t) ctx->conf->json.max_size) {
        return NGX_DECLINED;
    }

    if (size == 0) {
        return NGX_OK;
    }

    ctx->len = (size_t) size;

    if (bufs->next == NULL && !bufs->buf->in_file) {
        ctx->body = (char *) bufs->buf->pos;
        return NGX_OK;
    }

    p = ngx_pnalloc(r->pool, ctx->len);
    if (p == NULL) {
        return NGX_ERROR;
    }

    ctx->body = (char *) p;

    for (cl = bufs; cl; cl = cl->next) {
        b = cl->buf;

        if (!b->in_file) {
            p = ngx_cpymem(p, b->pos, b->last - b->pos);
            continue;
        }

        n = ngx_read_file(b->file, p, (size_t) (b->file_last - b->file_pos), b->file_pos);
        if (n != (ssize_t) (b->file_last - b->file_pos)) {
            return NGX_ERROR;
        }

        p += n;
    }

    return NGX_OK;
}


/* The timer is no cancelable one: a worker that quits waits for it, that is for the request. */
static void
ngx_http_foodsvc_start(ngx_http_foodsvc_ctx_t *ctx, ngx_http_foodsvc_handler_pt handler)
{
    ngx_add_timer(&ctx->timer, ctx->conf->deadline);
    handler(ctx);
}


static void
ngx_http_foodsvc_deadline(ngx_event_t *ev)
{
    ngx_http_foodsvc_ctx_t  *ctx = ev->data;

    ngx_log_debug1(NGX_LOG_DEBUG_HTTP, ev->log, 0, "foodsvc deadline of \"%V\"", &ctx->request->uri);

    if (ctx->streaming) {
        ngx_http_foodsvc_stream_abort(ctx);

    } else if (ctx->late) {
        ctx->late(ctx);

    } else {
        ngx_http_foodsvc_reply_busy(ctx, "The request took too long");
    }
}


void
ngx_http_foodsvc_wait(ngx_http_foodsvc_ctx_t *ctx, ngx_http_foodsvc_op_t *op)
{
    op->data = ctx;
    ngx_queue_insert_tail(&ctx->ops, &op->wait);
}


ngx_http_foodsvc_ctx_t *
ngx_http_foodsvc_arrived(ngx_http_foodsvc_op_t *op)
{
    ngx_http_foodsvc_ctx_t  *ctx = op->data;

    if (ctx == NULL) {
        return NULL;
    }

    op->data = NULL;
    ngx_queue_remove(&op->wait);

    return ngx_http_foodsvc_exiting ? NULL : ctx;
}


void
ngx_http_foodsvc_request_exit(void)
{
    ngx_http_foodsvc_exiting = 1;
}


static void
ngx_http_foodsvc_cleanup(void *data)
{
    ngx_queue_t             *q;
    ngx_http_foodsvc_op_t   *op;
    ngx_http_foodsvc_ctx_t  *ctx = data;

    ctx->replied = 1;

    if (ctx->timer.timer_set) {
        ngx_del_timer(&ctx->timer);
    }

    if (ctx->event.posted) {
        ngx_delete_posted_event(&ctx->event);
    }

    while (!ngx_queue_empty(&ctx->ops)) {
        q = ngx_queue_head(&ctx->ops);
        op = ngx_queue_data(q, ngx_http_foodsvc_op_t, wait);
        /* a ring has no end: NOLINTNEXTLINE(clang-analyzer-core.NullDereference) */
        ngx_queue_remove(q);
        op->data = NULL;
    }

    ngx_http_foodsvc_calls_cleanup(ctx);
    ngx_http_foodsvc_idempotent_forget(ctx);

    if (ctx->cleanup) {
        ctx->cleanup(ctx);
        ctx->cleanup = NULL;
    }

    free(ctx->owned);
    ctx->owned = NULL;
}
