/*
 * Calls to partners: an address (ngx_http_foodsvc_address.c), then a background subrequest, its answer in memory, to
 * the internal location, whose proxy_pass goes through the upstream{} that foodsvc_partners balances.
 *
 * What became of a call is judged from nginx's upstream: `request_sent` tells "certainly not sent" from "perhaps
 * sent", and `length` (what is still to come) tells a whole answer from a part of one. The post_subrequest handler
 * turns every rc into NGX_OK: an error would have nginx cut the client's connection, or make an error page of its own.
 *
 * A call that carries an idempotency key and got no answer is made once more, when as much time is left as the first
 * try took. Each try begins in a posted event, so that nothing fires from inside ngx_http_foodsvc_call().
 *
 * What PaymentService hears may be a card, and what it says: it is wiped when the try is over, the answer and nginx's
 * buffer of it, and the body when the request dies.
 */
#include "ngx_http_foodsvc_core.h"
#include "foodsvc_secret.h"


static void ngx_http_foodsvc_call_begin(ngx_event_t *ev);
static ngx_str_t *ngx_http_foodsvc_call_setting(ngx_http_foodsvc_call_t *call);
static void ngx_http_foodsvc_call_addressed(ngx_http_foodsvc_lookup_t *lookup, ngx_http_foodsvc_address_t *address);
static ngx_int_t ngx_http_foodsvc_call_done(ngx_http_request_t *sr, void *data, ngx_int_t rc);
static void ngx_http_foodsvc_call_judge(ngx_http_foodsvc_call_t *call, ngx_http_request_t *sr, ngx_int_t rc);
static void ngx_http_foodsvc_call_wipe(ngx_http_foodsvc_call_t *call, ngx_http_request_t *sr);
static ngx_uint_t ngx_http_foodsvc_call_too_large(ngx_http_request_t *sr);
static ngx_uint_t ngx_http_foodsvc_call_whole(ngx_http_request_t *sr);
static ngx_uint_t ngx_http_foodsvc_call_again(ngx_http_foodsvc_call_t *call);
static void ngx_http_foodsvc_call_finish(ngx_http_foodsvc_call_t *call, ngx_http_foodsvc_outcome_e outcome);


void
ngx_http_foodsvc_call(ngx_http_foodsvc_ctx_t *ctx, ngx_http_foodsvc_call_t *call)
{
    call->ctx = ctx;
    call->sr = NULL;
    call->tries = 0;
    call->maybe_sent = 0;
    call->finished = 0;
    call->lookup.waiting = 0;
    call->lookup.done = ngx_http_foodsvc_call_addressed;
    ngx_queue_insert_tail(&ctx->calls, &call->queue);

    ngx_memzero(&call->event, sizeof(ngx_event_t));
    call->event.handler = ngx_http_foodsvc_call_begin;
    call->event.data = call;
    call->event.log = ctx->request->connection->log;
    ngx_post_event(&call->event, &ngx_posted_events);
}


static void
ngx_http_foodsvc_call_begin(ngx_event_t *ev)
{
    ngx_http_foodsvc_call_t  *call = ev->data;

    call->tries++;
    call->started = ngx_current_msec;
    ngx_http_foodsvc_address(call->service, ngx_http_foodsvc_call_setting(call), call->ctx->conf->allow,
                             call->ctx->conf->url_ttl, &call->lookup);
}


static ngx_str_t *
ngx_http_foodsvc_call_setting(ngx_http_foodsvc_call_t *call)
{
    ngx_uint_t                    i;
    ngx_keyval_t                 *kv;
    ngx_http_foodsvc_loc_conf_t  *conf = call->ctx->conf;

    if (ngx_strcmp(call->service, FOODSVC_CARD_COMPANY) == 0) {
        return &conf->card_company;
    }

    if (conf->service_urls) {
        kv = conf->service_urls->elts;

        for (i = 0; i < conf->service_urls->nelts; i++) {
            if (ngx_strcmp(kv[i].key.data, call->service) == 0) {
                return &kv[i].value;
            }
        }
    }

    return NULL;
}


static void
ngx_http_foodsvc_call_addressed(ngx_http_foodsvc_lookup_t *lookup, ngx_http_foodsvc_address_t *address)
{
    ngx_connection_t         *c;
    ngx_http_foodsvc_call_t  *call;

    call = ngx_queue_data(lookup, ngx_http_foodsvc_call_t, lookup);
    c = call->ctx->request->connection;

    if (address == NULL || ngx_http_foodsvc_call_target(call, address) != NGX_OK) {
        ngx_http_foodsvc_call_finish(call, call->maybe_sent ? NGX_HTTP_FOODSVC_NO_ANSWER : NGX_HTTP_FOODSVC_NO_ADDRESS);
        return;
    }

    if (ngx_http_foodsvc_call_send(call, ngx_http_foodsvc_call_done) != NGX_OK) {
        ngx_http_foodsvc_call_finish(call, call->maybe_sent ? NGX_HTTP_FOODSVC_NO_ANSWER : NGX_HTTP_FOODSVC_NOT_SENT);
        return;
    }

    ngx_http_run_posted_requests(c);
}


static ngx_int_t
ngx_http_foodsvc_call_done(ngx_http_request_t *sr, void *data, ngx_int_t rc)
{
    ngx_http_foodsvc_call_t  *call = data;

    if (call->sr != sr) {
        return NGX_OK;          /* told already, or the request is dying */
    }

    call->sr = NULL;
    ngx_http_foodsvc_call_judge(call, sr, rc);
    ngx_http_foodsvc_call_wipe(call, sr);

    return NGX_OK;
}


static void
ngx_http_foodsvc_call_judge(ngx_http_foodsvc_call_t *call, ngx_http_request_t *sr, ngx_int_t rc)
{
    ngx_buf_t            *b;
    ngx_http_upstream_t  *u = sr->upstream;

    sr->buffered = 0;

    if (rc == NGX_ERROR && ngx_http_foodsvc_call_too_large(sr)) {
        /* ngx_http_output_filter() takes this for the client's fault; the client is well, and waits */
        sr->connection->error = 0;
    }

    call->status = sr->headers_out.status;
    call->answer = NULL;
    call->answer_len = 0;

    ngx_log_debug4(NGX_LOG_DEBUG_HTTP, sr->connection->log, 0, "foodsvc call %s %s: rc:%i status:%ui", call->service,
                   call->path, rc, call->status);

    /* what has no status line nginx takes for HTTP/0.9, and for an answer */
    if (rc == NGX_OK && u && u->header_sent && sr->http_version > NGX_HTTP_VERSION_9
        && ngx_http_foodsvc_call_whole(sr))
    {
        b = sr->out ? sr->out->buf : NULL;

        if (b) {
            call->answer = (char *) b->pos;
            call->answer_len = b->last - b->pos;
        }

        if (call->answer_len <= call->ctx->conf->max_answer) {
            ngx_http_foodsvc_call_finish(call, NGX_HTTP_FOODSVC_ANSWERED);
            return;
        }

        ngx_log_error(NGX_LOG_ERR, sr->connection->log, 0,
                      "foodsvc: the answer of %s %s is larger than foodsvc_max_answer", call->service, call->path);
        call->answer = NULL;
        call->answer_len = 0;
    }

    if (u && u->request_sent) {
        call->maybe_sent = 1;
    }

    if (call->maybe_sent && ngx_http_foodsvc_call_again(call)) {
        ngx_log_error(NGX_LOG_WARN, sr->connection->log, 0, "foodsvc: %s %s gave no answer: trying once more",
                      call->service, call->path);
        ngx_post_event(&call->event, &ngx_posted_events);
        return;
    }

    ngx_http_foodsvc_call_finish(call, call->maybe_sent ? NGX_HTTP_FOODSVC_NO_ANSWER : NGX_HTTP_FOODSVC_NOT_SENT);
}


/* All of nginx's buffer: it was read into more than once. */
static void
ngx_http_foodsvc_call_wipe(ngx_http_foodsvc_call_t *call, ngx_http_request_t *sr)
{
    ngx_buf_t  *b;

    if (call->ctx->conf->role != NGX_HTTP_FOODSVC_PAYMENT) {
        return;
    }

    if (sr->out) {
        b = sr->out->buf;
        explicit_bzero(b->start, b->last - b->start);
    }

    if (sr->upstream && sr->upstream->buffer.start) {
        b = &sr->upstream->buffer;
        explicit_bzero(b->start, b->end - b->start);
    }
}


/* For subrequest_output_buffer_size; nginx has logged it. What did not fit is still in out_bufs. */
static ngx_uint_t
ngx_http_foodsvc_call_too_large(ngx_http_request_t *sr)
{
    off_t                      size;
    ngx_chain_t               *cl;
    ngx_http_core_loc_conf_t  *clcf;

    if (sr->upstream == NULL) {
        return 0;
    }

    clcf = ngx_http_get_module_loc_conf(sr, ngx_http_core_module);
    size = sr->out ? sr->out->buf->last - sr->out->buf->pos : 0;

    for (cl = sr->upstream->out_bufs; cl; cl = cl->next) {
        size += ngx_buf_size(cl->buf);
    }

    return size > (off_t) clcf->subrequest_output_buffer_size
           || sr->headers_out.content_length_n > (off_t) clcf->subrequest_output_buffer_size;
}


/* What is left of it, as the proxy counts (chunked: until the last chunk). An answer without a length ends with its
   connection: nobody can tell a part of it from the whole. */
static ngx_uint_t
ngx_http_foodsvc_call_whole(ngx_http_request_t *sr)
{
    return sr->upstream->length == 0 || sr->upstream->length == -1;
}


static ngx_uint_t
ngx_http_foodsvc_call_again(ngx_http_foodsvc_call_t *call)
{
    ngx_msec_int_t           left;
    ngx_http_foodsvc_ctx_t  *ctx = call->ctx;

    if (call->tries > 1 || call->idempotency_key == NULL || ctx->replied || !ctx->timer.timer_set) {
        return 0;
    }

    left = (ngx_msec_int_t) (ctx->timer.timer.key - ngx_current_msec);

    return left > 0 && left >= (ngx_msec_int_t) (ngx_current_msec - call->started);
}


static void
ngx_http_foodsvc_call_finish(ngx_http_foodsvc_call_t *call, ngx_http_foodsvc_outcome_e outcome)
{
    if (call->finished) {
        return;
    }

    call->finished = 1;
    call->outcome = outcome;
    call->done(call->ctx, call);
}


ngx_http_foodsvc_call_t *
ngx_http_foodsvc_call_of(ngx_http_request_t *r)
{
    if (r == r->main) {
        return NULL;
    }

    return ngx_http_get_module_ctx(r, ngx_http_foodsvc_module);
}


/*
 * The upstream's own cleanup is what nginx ends it with when a request dies: it gives the subrequest's reference back.
 */
void
ngx_http_foodsvc_calls_stop(ngx_http_foodsvc_ctx_t *ctx)
{
    ngx_queue_t              *q;
    ngx_http_request_t       *sr;
    ngx_http_cleanup_pt       cleanup;
    ngx_http_foodsvc_call_t  *call;

    for (q = ngx_queue_head(&ctx->calls); q != ngx_queue_sentinel(&ctx->calls); q = ngx_queue_next(q)) {
        call = ngx_queue_data(q, ngx_http_foodsvc_call_t, queue);
        call->finished = 1;
        ngx_http_foodsvc_address_cancel(&call->lookup);

        if (call->event.posted) {
            ngx_delete_posted_event(&call->event);
        }

        sr = call->sr;

        if (sr && sr->upstream && sr->upstream->cleanup && *sr->upstream->cleanup) {
            call->sr = NULL;
            cleanup = *sr->upstream->cleanup;
            cleanup(sr);
            ngx_http_foodsvc_call_wipe(call, sr);
        }
    }
}


void
ngx_http_foodsvc_calls_cleanup(ngx_http_foodsvc_ctx_t *ctx)
{
    ngx_queue_t              *q;
    ngx_http_foodsvc_call_t  *call;

    while (!ngx_queue_empty(&ctx->calls)) {
        q = ngx_queue_head(&ctx->calls);
        call = ngx_queue_data(q, ngx_http_foodsvc_call_t, queue);
        ngx_queue_remove(q);

        ngx_http_foodsvc_address_cancel(&call->lookup);

        if (call->event.posted) {
            ngx_delete_posted_event(&call->event);
        }

        if (call->sr) {
            ngx_http_foodsvc_call_wipe(call, call->sr);
        }

        call->finished = 1;
        call->sr = NULL;
        foodsvc_secret_free(call->body);
        call->body = NULL;
    }
}
