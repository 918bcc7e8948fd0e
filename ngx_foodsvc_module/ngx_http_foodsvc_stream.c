/*
 * A streamed answer with back-pressure: one piece is in nginx's hands at a time, and `more` is asked for the next one
 * when the client's socket (and every filter) has taken all of it. So a list of a million orders costs the memory of
 * two pieces.
 *
 * Two clocks: while the client is slow, send_timeout; while the handler fetches the next piece, the deadline, after
 * which the connection is cut. All steps run from posted events or from the connection's write event, never inside the
 * handler's call.
 */
#include "ngx_http_foodsvc_core.h"


static void ngx_http_foodsvc_stream_step(ngx_event_t *ev);
static ngx_int_t ngx_http_foodsvc_stream_output(ngx_http_foodsvc_ctx_t *ctx);
static void ngx_http_foodsvc_stream_sent(ngx_http_foodsvc_ctx_t *ctx, ngx_int_t rc);
static void ngx_http_foodsvc_stream_writable(ngx_http_request_t *r);
static void ngx_http_foodsvc_stream_finalize(ngx_http_foodsvc_ctx_t *ctx, ngx_int_t rc);


void
ngx_http_foodsvc_stream_begin(ngx_http_foodsvc_ctx_t *ctx, ngx_uint_t status)
{
    if (ctx->replied) {
        return;
    }

    ctx->replied = 1;
    ctx->streaming = 1;
    ngx_http_foodsvc_head(ctx->request, status, -1);
}


void
ngx_http_foodsvc_stream_piece(ngx_http_foodsvc_ctx_t *ctx, char *body, size_t len, ngx_http_foodsvc_handler_pt more)
{
    if (!ctx->streaming || ctx->last || ctx->aborted) {
        free(body);
        return;
    }

    free(ctx->owned);
    ctx->owned = body;
    ctx->owned_len = len;
    ctx->more = more;

    if (ctx->timer.timer_set) {
        ngx_del_timer(&ctx->timer);
    }

    ngx_http_foodsvc_post(ctx, ngx_http_foodsvc_stream_step);
}


void
ngx_http_foodsvc_stream_end(ngx_http_foodsvc_ctx_t *ctx)
{
    if (!ctx->streaming || ctx->last || ctx->aborted) {
        return;
    }

    ctx->last = 1;
    ctx->more = NULL;
    ngx_http_foodsvc_post(ctx, ngx_http_foodsvc_stream_step);
}


void
ngx_http_foodsvc_stream_abort(ngx_http_foodsvc_ctx_t *ctx)
{
    if (!ctx->streaming || ctx->last || ctx->aborted) {
        return;
    }

    ngx_log_error(NGX_LOG_ERR, ctx->request->connection->log, 0, "foodsvc: the answer to \"%V\" is cut off",
                  &ctx->request->uri);

    ctx->aborted = 1;
    ngx_http_foodsvc_post(ctx, ngx_http_foodsvc_stream_step);
}


static void
ngx_http_foodsvc_stream_step(ngx_event_t *ev)
{
    ngx_int_t                rc;
    ngx_http_request_t      *r;
    ngx_http_foodsvc_ctx_t  *ctx = ev->data;

    r = ctx->request;
    ngx_http_set_log_request(r->connection->log, r);

    if (ctx->aborted) {
        ngx_http_foodsvc_stream_finalize(ctx, NGX_ERROR);
        return;
    }

    if (!r->header_sent) {
        rc = ngx_http_send_header(r);

        if (rc == NGX_ERROR || rc > NGX_OK || r->header_only) {
            ngx_http_foodsvc_stream_finalize(ctx, rc);
            return;
        }
    }

    if (ctx->owned) {
        rc = ngx_http_foodsvc_stream_output(ctx);

    } else if (ctx->last) {
        ngx_http_foodsvc_stream_finalize(ctx, ngx_http_send_special(r, NGX_HTTP_LAST));
        return;

    } else {
        rc = NGX_OK;
    }

    ngx_http_foodsvc_stream_sent(ctx, rc);
}


/* An empty piece is no buffer: nginx refuses those. */
static ngx_int_t
ngx_http_foodsvc_stream_output(ngx_http_foodsvc_ctx_t *ctx)
{
    if (ctx->owned_len == 0) {
        return NGX_OK;
    }

    ngx_memzero(&ctx->buf, sizeof(ngx_buf_t));
    ctx->buf.pos = (u_char *) ctx->owned;
    ctx->buf.last = (u_char *) ctx->owned + ctx->owned_len;
    ctx->buf.memory = 1;
    ctx->buf.flush = 1;
    ctx->out.buf = &ctx->buf;
    ctx->out.next = NULL;

    return ngx_http_output_filter(ctx->request, &ctx->out);
}


/* After an output: all gone, so that the next piece is asked for, or the socket is waited for. */
static void
ngx_http_foodsvc_stream_sent(ngx_http_foodsvc_ctx_t *ctx, ngx_int_t rc)
{
    ngx_event_t                  *wev;
    ngx_http_request_t           *r = ctx->request;
    ngx_http_core_loc_conf_t     *clcf;
    ngx_http_foodsvc_handler_pt   more;

    if (rc == NGX_ERROR) {
        ngx_http_foodsvc_stream_finalize(ctx, NGX_ERROR);
        return;
    }

    wev = r->connection->write;

    if ((r->buffered || r->connection->buffered) && wev->ready && !wev->delayed) {
        /*
         * The end of a chunk's line lies behind the buffer that says flush. When a TLS record ends between the two,
         * nginx keeps the rest for the next record, and the socket, which is writable already, would never say so
         * again.
         */
        rc = ngx_http_output_filter(r, NULL);
        if (rc == NGX_ERROR) {
            ngx_http_foodsvc_stream_finalize(ctx, NGX_ERROR);
            return;
        }
    }

    if (r->buffered || r->connection->buffered) {
        clcf = ngx_http_get_module_loc_conf(r, ngx_http_core_module);
        r->write_event_handler = ngx_http_foodsvc_stream_writable;

        if (!wev->delayed) {
            ngx_add_timer(wev, clcf->send_timeout);
        }

        if (ngx_handle_write_event(wev, clcf->send_lowat) != NGX_OK) {
            ngx_http_foodsvc_stream_finalize(ctx, NGX_ERROR);
        }

        return;
    }

    if (wev->timer_set) {
        ngx_del_timer(wev);
    }

    r->write_event_handler = ngx_http_request_empty_handler;
    free(ctx->owned);
    ctx->owned = NULL;

    if (ctx->last) {
        ngx_http_foodsvc_stream_finalize(ctx, ngx_http_send_special(r, NGX_HTTP_LAST));
        return;
    }

    more = ctx->more;
    ctx->more = NULL;
    ngx_add_timer(&ctx->timer, ctx->conf->deadline);

    if (more) {
        more(ctx);
    }
}


static void
ngx_http_foodsvc_stream_writable(ngx_http_request_t *r)
{
    ngx_event_t             *wev;
    ngx_http_foodsvc_ctx_t  *ctx;

    ctx = ngx_http_get_module_ctx(r, ngx_http_foodsvc_module);
    wev = r->connection->write;

    if (wev->timedout) {
        ngx_log_error(NGX_LOG_INFO, r->connection->log, NGX_ETIMEDOUT, "client timed out");
        r->connection->timedout = 1;
        ngx_http_foodsvc_stream_finalize(ctx, NGX_HTTP_REQUEST_TIME_OUT);
        return;
    }

    ngx_http_foodsvc_stream_sent(ctx, wev->delayed ? NGX_AGAIN : ngx_http_output_filter(r, NULL));
}


static void
ngx_http_foodsvc_stream_finalize(ngx_http_foodsvc_ctx_t *ctx, ngx_int_t rc)
{
    ngx_connection_t  *c = ctx->request->connection;

    if (ctx->timer.timer_set) {
        ngx_del_timer(&ctx->timer);
    }

    ctx->streaming = 0;
    ngx_http_finalize_request(ctx->request, rc);
    ngx_http_run_posted_requests(c);
}
