/*
 * Calls to partners: an address (ngx_http_foodsvc_address.c), then a background subrequest, its answer in memory, to the
 * internal location, whose proxy_pass goes through the upstream{} that foodsvc_partners balances.
 *
 * The subrequest shares the parent's headers, body and variables when nginx makes it. All three are replaced: partners must
 * not see the client's key or cookies, and a variable that was evaluated for one partner must not be used for another.
 *
 * What became of a call is judged from nginx's upstream: `request_sent` tells "certainly not sent" from "perhaps sent", and
 * `length` (what is still to come) tells a whole answer from a part of one. The post_subrequest handler turns every rc into NGX_OK: an error
 * would have nginx cut the client's connection, or make an error page of its own.
 *
 * A call that carries an idempotency key and got no answer is made once more, when as much time is left as the first try
 * took. Each try begins in a posted event, so that nothing fires from inside ngx_http_foodsvc_call().
 */
#include "ngx_http_foodsvc_core.h"


static void ngx_http_foodsvc_call_begin(ngx_event_t *ev);
static ngx_str_t *ngx_http_foodsvc_call_setting(ngx_http_foodsvc_call_t *call);
static void ngx_http_foodsvc_call_addressed(ngx_http_foodsvc_lookup_t *lookup, ngx_http_foodsvc_address_t *address);
static ngx_int_t ngx_http_foodsvc_call_target(ngx_http_foodsvc_call_t *call, ngx_http_foodsvc_address_t *address);
static ngx_int_t ngx_http_foodsvc_call_send(ngx_http_foodsvc_call_t *call);
static ngx_int_t ngx_http_foodsvc_call_headers(ngx_http_foodsvc_call_t *call, ngx_http_request_t *sr);
static ngx_int_t ngx_http_foodsvc_call_header(ngx_http_request_t *sr, const char *name, const char *lowcase,
    const char *value, size_t len);
static ngx_int_t ngx_http_foodsvc_call_body(ngx_http_foodsvc_call_t *call, ngx_http_request_t *sr);
static ngx_int_t ngx_http_foodsvc_call_done(ngx_http_request_t *sr, void *data, ngx_int_t rc);
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
    ngx_http_foodsvc_address(call->service, ngx_http_foodsvc_call_setting(call), call->ctx->conf->url_ttl, &call->lookup);
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

    if (ngx_http_foodsvc_call_send(call) != NGX_OK) {
        ngx_http_foodsvc_call_finish(call, call->maybe_sent ? NGX_HTTP_FOODSVC_NO_ANSWER : NGX_HTTP_FOODSVC_NOT_SENT);
        return;
    }

    ngx_http_run_posted_requests(c);
}


/* The table's entry may change while the call runs: the call takes a copy. */
static ngx_int_t
ngx_http_foodsvc_call_target(ngx_http_foodsvc_call_t *call, ngx_http_foodsvc_address_t *address)
{
    u_char                         text[NGX_SOCKADDR_STRLEN];
    size_t                         len;
    ngx_pool_t                    *pool = call->ctx->request->pool;
    ngx_uint_t                     i, v6;
    foodsvc_url_t                 *url = &address->url;
    ngx_http_foodsvc_target_t     *target = &call->target;
    ngx_http_foodsvc_main_conf_t  *mcf;

    mcf = ngx_http_get_module_main_conf(call->ctx->request, ngx_http_foodsvc_module);

    len = sizeof("https://") - 1 + mcf->partners.len + ngx_strlen(url->prefix) + ngx_strlen(call->path);
    target->url.data = ngx_pnalloc(pool, len + ngx_strlen(url->host) * 2 + sizeof("[]:65535") - 1);
    target->addrs = ngx_pcalloc(pool, address->naddrs * sizeof(ngx_addr_t));

    if (target->url.data == NULL || target->addrs == NULL) {
        return NGX_ERROR;
    }

    v6 = ngx_strlchr((u_char *) url->host, (u_char *) url->host + ngx_strlen(url->host), ':') != NULL;

    target->url.len = ngx_sprintf(target->url.data, "%s://%V%s%s", url->tls ? "https" : "http", &mcf->partners,
                                  url->prefix, call->path) - target->url.data;
    target->name.data = target->url.data + target->url.len;
    target->name.len = ngx_sprintf(target->name.data, "%s", url->host) - target->name.data;
    target->host.data = target->name.data + target->name.len;
    target->host.len = ngx_sprintf(target->host.data, v6 ? "[%s]" : "%s", url->host) - target->host.data;

    if (url->port != (url->tls ? 443 : 80)) {
        target->host.len = ngx_sprintf(target->host.data + target->host.len, ":%ui", (ngx_uint_t) url->port)
                           - target->host.data;
    }

    for (i = 0; i < address->naddrs; i++) {
        target->addrs[i].socklen = address->addrs[i].socklen;
        target->addrs[i].sockaddr = ngx_pnalloc(pool, address->addrs[i].socklen);
        target->addrs[i].name.len = ngx_sock_ntop((struct sockaddr *) &address->addrs[i].sockaddr,
                                                  address->addrs[i].socklen, text, NGX_SOCKADDR_STRLEN, 1);
        target->addrs[i].name.data = ngx_pnalloc(pool, target->addrs[i].name.len);

        if (target->addrs[i].sockaddr == NULL || target->addrs[i].name.data == NULL) {
            return NGX_ERROR;
        }

        ngx_memcpy(target->addrs[i].sockaddr, &address->addrs[i].sockaddr, address->addrs[i].socklen);
        ngx_memcpy(target->addrs[i].name.data, text, target->addrs[i].name.len);
    }

    target->naddrs = address->naddrs;
    target->next = 0;

    return NGX_OK;
}


static ngx_int_t
ngx_http_foodsvc_call_send(ngx_http_foodsvc_call_t *call)
{
    ngx_http_request_t          *r = call->ctx->request, *sr;
    ngx_http_variable_value_t   *variables;
    ngx_http_core_main_conf_t   *cmcf;
    ngx_http_post_subrequest_t  *ps;

    cmcf = ngx_http_get_module_main_conf(r, ngx_http_core_module);

    ps = ngx_palloc(r->pool, sizeof(ngx_http_post_subrequest_t));
    variables = ngx_pcalloc(r->pool, cmcf->variables.nelts * sizeof(ngx_http_variable_value_t));

    if (ps == NULL || variables == NULL) {
        return NGX_ERROR;
    }

    ps->handler = ngx_http_foodsvc_call_done;
    ps->data = call;

    if (ngx_http_subrequest(r, &call->ctx->conf->partner_location, NULL, &sr, ps,
                            NGX_HTTP_SUBREQUEST_IN_MEMORY|NGX_HTTP_SUBREQUEST_BACKGROUND)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    call->sr = sr;
    sr->variables = variables;
    ngx_http_set_ctx(sr, call, ngx_http_foodsvc_module);

    if (ngx_http_foodsvc_call_headers(call, sr) != NGX_OK || ngx_http_foodsvc_call_body(call, sr) != NGX_OK) {
        /* the subrequest is posted already: it must not do anything, and ends without us */
        ngx_http_set_ctx(sr, NULL, ngx_http_foodsvc_module);
        sr->post_subrequest = NULL;
        call->sr = NULL;
        return NGX_ERROR;
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_foodsvc_call_headers(ngx_http_foodsvc_call_t *call, ngx_http_request_t *sr)
{
    static ngx_str_t  get = ngx_string("GET"), post = ngx_string("POST");
    ngx_str_t        *key = &call->ctx->conf->partner_key;

    if (ngx_strcmp(call->method, "POST") == 0) {
        sr->method = NGX_HTTP_POST;
        sr->method_name = post;

    } else {
        sr->method = NGX_HTTP_GET;
        sr->method_name = get;
    }

    ngx_memzero(&sr->headers_in, sizeof(ngx_http_headers_in_t));
    sr->headers_in.content_length_n = (sr->method == NGX_HTTP_POST) ? (off_t) call->len : -1;
    sr->headers_in.keep_alive_n = -1;

    if (ngx_list_init(&sr->headers_in.headers, sr->pool, 4, sizeof(ngx_table_elt_t)) != NGX_OK
        || ngx_http_foodsvc_call_header(sr, "Accept", "accept", FOODSVC_CONTENT_TYPE,
                                        sizeof(FOODSVC_CONTENT_TYPE) - 1) != NGX_OK)
    {
        return NGX_ERROR;
    }

    if (call->len
        && ngx_http_foodsvc_call_header(sr, "Content-Type", "content-type", FOODSVC_CONTENT_TYPE,
                                        sizeof(FOODSVC_CONTENT_TYPE) - 1) != NGX_OK)
    {
        return NGX_ERROR;
    }

    if (call->idempotency_key
        && ngx_http_foodsvc_call_header(sr, FOODSVC_IDEMPOTENCY_HEADER, "idempotency-key", call->idempotency_key,
                                        ngx_strlen(call->idempotency_key)) != NGX_OK)
    {
        return NGX_ERROR;
    }

    if (key->len == 0 || ngx_strcmp(call->service, FOODSVC_PAYMENT_SERVICE) != 0) {
        return NGX_OK;
    }

    return ngx_http_foodsvc_call_header(sr, FOODSVC_API_KEY_HEADER, "x-api-key", (char *) key->data, key->len);
}


static ngx_int_t
ngx_http_foodsvc_call_header(ngx_http_request_t *sr, const char *name, const char *lowcase, const char *value, size_t len)
{
    ngx_table_elt_t  *h;

    h = ngx_list_push(&sr->headers_in.headers);
    if (h == NULL) {
        return NGX_ERROR;
    }

    h->key.data = (u_char *) name;
    h->key.len = ngx_strlen(name);
    h->value.data = (u_char *) value;
    h->value.len = len;
    h->lowcase_key = (u_char *) lowcase;
    h->hash = ngx_hash_key(h->lowcase_key, h->key.len);
#if (nginx_version >= 1023000)
    h->next = NULL;
#endif

    return NGX_OK;
}


/* `start` matters: for a second address, nginx sets `pos` back to it. */
static ngx_int_t
ngx_http_foodsvc_call_body(ngx_http_foodsvc_call_t *call, ngx_http_request_t *sr)
{
    ngx_buf_t  *b;

    sr->request_body = ngx_pcalloc(sr->pool, sizeof(ngx_http_request_body_t));
    if (sr->request_body == NULL) {
        return NGX_ERROR;
    }

    if (call->len == 0) {
        return NGX_OK;
    }

    b = ngx_calloc_buf(sr->pool);
    sr->request_body->bufs = ngx_alloc_chain_link(sr->pool);

    if (b == NULL || sr->request_body->bufs == NULL) {
        return NGX_ERROR;
    }

    b->start = b->pos = (u_char *) call->body;
    b->end = b->last = (u_char *) call->body + call->len;
    b->memory = 1;
    b->last_buf = 1;
    sr->request_body->bufs->buf = b;
    sr->request_body->bufs->next = NULL;

    return NGX_OK;
}


static ngx_int_t
ngx_http_foodsvc_call_done(ngx_http_request_t *sr, void *data, ngx_int_t rc)
{
    ngx_buf_t                *b;
    ngx_http_upstream_t      *u = sr->upstream;
    ngx_http_foodsvc_call_t  *call = data;

    if (call->sr != sr) {
        return NGX_OK;          /* told already, or the request is dying */
    }

    call->sr = NULL;
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
    if (rc == NGX_OK && u && u->header_sent && sr->http_version > NGX_HTTP_VERSION_9 && ngx_http_foodsvc_call_whole(sr)) {
        b = sr->out ? sr->out->buf : NULL;

        if (b) {
            call->answer = (char *) b->pos;
            call->answer_len = b->last - b->pos;
        }

        if (call->answer_len <= call->ctx->conf->max_answer) {
            ngx_http_foodsvc_call_finish(call, NGX_HTTP_FOODSVC_ANSWERED);
            return NGX_OK;
        }

        ngx_log_error(NGX_LOG_ERR, sr->connection->log, 0, "foodsvc: the answer of %s %s is larger than foodsvc_max_answer",
                      call->service, call->path);
        call->answer = NULL;
        call->answer_len = 0;
    }

    if (u && u->request_sent) {
        call->maybe_sent = 1;
    }

    if (call->maybe_sent && ngx_http_foodsvc_call_again(call)) {
        ngx_log_error(NGX_LOG_WARN, sr->connection->log, 0, "foodsvc: %s %s gave no answer: trying once more", call->service,
                      call->path);
        ngx_post_event(&call->event, &ngx_posted_events);
        return NGX_OK;
    }

    ngx_http_foodsvc_call_finish(call, call->maybe_sent ? NGX_HTTP_FOODSVC_NO_ANSWER : NGX_HTTP_FOODSVC_NOT_SENT);

    return NGX_OK;
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

        call->finished = 1;
        call->sr = NULL;
        free(call->body);
        call->body = NULL;
    }
}
