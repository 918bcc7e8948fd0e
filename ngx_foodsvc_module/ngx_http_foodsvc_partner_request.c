/*
 * The subrequest of a call to a partner: where it goes, its headers and its body.
 *
 * It shares the parent's headers, body and variables when nginx makes it. All three are replaced: partners must not see
 * the client's key or cookies, and a variable that was evaluated for one partner must not be used for another.
 */
#include "ngx_http_foodsvc_core.h"

#include "foodsvc_break.h"


static ngx_int_t ngx_http_foodsvc_call_headers(ngx_http_foodsvc_call_t *call, ngx_http_request_t *sr);
static ngx_int_t ngx_http_foodsvc_call_header(ngx_http_request_t *sr, const char *name, const char *lowcase,
    const char *value, size_t len);
static void ngx_http_foodsvc_call_mark(struct sockaddr *sa, u_char *name);
static ngx_int_t ngx_http_foodsvc_call_body(ngx_http_foodsvc_call_t *call, ngx_http_request_t *sr);


/* The table's entry may change while the call runs: the call takes a copy. */
ngx_int_t
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

        if (url->tls) {
            ngx_http_foodsvc_call_mark(target->addrs[i].sockaddr, (u_char *) url->host);
        }

        ngx_memcpy(target->addrs[i].name.data, text, target->addrs[i].name.len);
    }

    target->naddrs = address->naddrs;
    target->next = 0;

    return NGX_OK;
}


/*
 * The upstream's keepalive finds a connection by its address alone, and a certificate is checked when a connection
 * begins: one that was checked for another name, at the same address, must not be found. So the name is made part of
 * the address, where connect() does not look.
 */
static void
ngx_http_foodsvc_call_mark(struct sockaddr *sa, u_char *name)
{
    size_t    len = ngx_strlen(name);
    uint32_t  mark[2] = { ngx_murmur_hash2(name, len), ngx_crc32_long(name, len) };

    if (sa->sa_family == AF_INET) {
        ngx_memcpy(((struct sockaddr_in *) sa)->sin_zero, mark, sizeof(mark));

    } else if (sa->sa_family == AF_INET6) {
        ((struct sockaddr_in6 *) sa)->sin6_flowinfo = mark[0];
    }
}


ngx_int_t
ngx_http_foodsvc_call_send(ngx_http_foodsvc_call_t *call, ngx_http_post_subrequest_pt done)
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

    ps->handler = done;
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
        && !(foodsvc_break("no-idempotency-key") && ngx_strcmp(call->service, FOODSVC_CARD_COMPANY) == 0)
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
ngx_http_foodsvc_call_header(ngx_http_request_t *sr, const char *name, const char *lowcase, const char *value,
    size_t len)
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
