/*
 * Answers. The first one wins. It is made here and now, and sent by a posted event: its finalizing may free the
 * request, and the callback that answers must not stand on freed ground.
 */
#include "ngx_http_foodsvc_core.h"


static void ngx_http_foodsvc_reply_send(ngx_event_t *ev);
static ngx_uint_t ngx_http_foodsvc_reply_begin(ngx_http_foodsvc_ctx_t *ctx, ngx_uint_t status, off_t len);


void
ngx_http_foodsvc_reply(ngx_http_foodsvc_ctx_t *ctx, ngx_uint_t status, char *body, size_t len)
{
    if (!ngx_http_foodsvc_reply_begin(ctx, status, (off_t) len)) {
        free(body);
        return;
    }

    ctx->owned = body;
    ctx->buf.pos = (u_char *) body;
    ctx->buf.last = (u_char *) body + len;
}


void
ngx_http_foodsvc_reply_copy(ngx_http_foodsvc_ctx_t *ctx, ngx_uint_t status, const char *body, size_t len,
    const char *tail)
{
    size_t   more;
    u_char  *p;

    if (ctx->replied) {
        return;
    }

    more = ngx_strlen(tail);

    p = ngx_pnalloc(ctx->request->pool, len + more);
    if (p == NULL) {
        ngx_http_foodsvc_reply_no_memory(ctx);
        return;
    }

    if (!ngx_http_foodsvc_reply_begin(ctx, status, (off_t) (len + more))) {
        return;
    }

    ctx->buf.pos = p;
    p = ngx_cpymem(p, body, len);
    ctx->buf.last = ngx_cpymem(p, tail, more);
}


void
ngx_http_foodsvc_reply_detail(ngx_http_foodsvc_ctx_t *ctx, ngx_uint_t status, const char *fmt, ...)
{
    char     text[1024], *body;
    va_list  args;

    if (ctx->replied) {
        return;
    }

    va_start(args, fmt);
    (void) vsnprintf(text, sizeof(text), fmt, args);
    va_end(args);

    body = foodsvc_json_detail(text);
    if (body == NULL) {
        ngx_http_foodsvc_reply_no_memory(ctx);
        return;
    }

    ngx_http_foodsvc_reply(ctx, status, body, ngx_strlen(body));
}


void
ngx_http_foodsvc_reply_faults(ngx_http_foodsvc_ctx_t *ctx, foodsvc_faults_t *faults)
{
    char  *body;

    body = faults->no_memory ? NULL : foodsvc_faults_body(faults);
    foodsvc_faults_clear(faults);

    if (body == NULL) {
        ngx_http_foodsvc_reply_no_memory(ctx);
        return;
    }

    ngx_http_foodsvc_reply(ctx, 422, body, ngx_strlen(body));
}


void
ngx_http_foodsvc_reply_busy(ngx_http_foodsvc_ctx_t *ctx, const char *what)
{
    if (ctx->replied) {
        return;
    }

    ngx_http_foodsvc_retry_after(ctx);
    ngx_http_foodsvc_reply_detail(ctx, NGX_HTTP_SERVICE_UNAVAILABLE, "%s", what);
}


void
ngx_http_foodsvc_retry_after(ngx_http_foodsvc_ctx_t *ctx)
{
    u_char     *p;
    ngx_str_t   value;

    p = ngx_pnalloc(ctx->request->pool, NGX_INT_T_LEN);
    if (p == NULL) {
        ngx_http_foodsvc_reply_no_memory(ctx);
        return;
    }

    value.data = p;
    value.len = ngx_sprintf(p, "%ui", ctx->conf->retry_after) - p;

    if (ngx_http_foodsvc_header(ctx->request, "Retry-After", &value) != NGX_OK) {
        ngx_http_foodsvc_reply_no_memory(ctx);
    }
}


void
ngx_http_foodsvc_reply_store(ngx_http_foodsvc_ctx_t *ctx, foodsvc_store_rc_e rc, const char *err)
{
    ngx_http_request_t  *r = ctx->request;

    ngx_log_error(NGX_LOG_ERR, r->connection->log, 0, "foodsvc: MongoDB, %V \"%V\": %s: %s", &r->method_name, &r->uri,
                  foodsvc_store_rc_name(rc), err);

    switch (rc) {

    case FOODSVC_STORE_UNAVAILABLE:
        ngx_http_foodsvc_reply_busy(ctx, "The database is not available");
        return;

    case FOODSVC_STORE_UNREADABLE:
        ngx_http_foodsvc_reply_detail(ctx, NGX_HTTP_INTERNAL_SERVER_ERROR, "The stored document cannot be read");
        return;

    case FOODSVC_STORE_UNKNOWN:
        ngx_http_foodsvc_reply_detail(ctx, NGX_HTTP_INTERNAL_SERVER_ERROR,
                                      "The database did not answer: the change may or may not be stored");
        return;

    default:
        ngx_http_foodsvc_reply_detail(ctx, NGX_HTTP_INTERNAL_SERVER_ERROR, "The database refused the operation");
    }
}


/* What nginx itself refused, sent here by error_page. */
void
ngx_http_foodsvc_reply_error_page(ngx_http_foodsvc_ctx_t *ctx)
{
    u_char     *end;
    ngx_str_t   path;
    ngx_uint_t  i, status;
    static const struct {
        ngx_uint_t   status;
        const char  *text;
    } texts[] = {
        { NGX_HTTP_BAD_REQUEST, "Bad Request" },
        { NGX_HTTP_FORBIDDEN, "Forbidden" },
        { NGX_HTTP_NOT_FOUND, "Not Found" },
        { NGX_HTTP_REQUEST_TIME_OUT, "The request did not arrive in time" },
        { NGX_HTTP_LENGTH_REQUIRED, "Length Required" },
        { NGX_HTTP_REQUEST_ENTITY_TOO_LARGE, "The body is too large" },
        { NGX_HTTP_REQUEST_URI_TOO_LARGE, "The URI is too long" },
        { NGX_HTTP_RANGE_NOT_SATISFIABLE, "Range Not Satisfiable" },
        { NGX_HTTP_MISDIRECTED_REQUEST, "Misdirected Request" },
        { NGX_HTTP_TOO_MANY_REQUESTS, "Too many requests" },
        { NGX_HTTP_REQUEST_HEADER_TOO_LARGE, "The headers are too large" },
        { NGX_HTTP_NOT_IMPLEMENTED, "Not Implemented" },
        { NGX_HTTP_SERVICE_UNAVAILABLE, "Too many requests" },
        { NGX_HTTP_VERSION_NOT_SUPPORTED, "HTTP Version Not Supported" },
        { 0, NULL }
    };

    status = ctx->request->err_status ? ctx->request->err_status : NGX_HTTP_NOT_FOUND;

    if (status == NGX_HTTP_NOT_ALLOWED) {
        /* TRACE, CONNECT, or a POST to a file: the request's own path is left in its line alone */
        path = ctx->request->unparsed_uri;
        end = ngx_strlchr(path.data, path.data + path.len, '?');
        path.len = end ? (size_t) (end - path.data) : path.len;
        ngx_http_foodsvc_not_allowed(ctx, NGX_HTTP_FOODSVC_NONE, &path);
        return;
    }

    for (i = 0; texts[i].status && texts[i].status != status; i++) { /* void */ }

    if (status == NGX_HTTP_TOO_MANY_REQUESTS || status == NGX_HTTP_SERVICE_UNAVAILABLE) {
        ngx_http_foodsvc_reply_busy(ctx, texts[i].text);

    } else if (status == NGX_HTTP_BAD_REQUEST && ctx->request->http_connection->ssl
               && ctx->request->connection->ssl == NULL)
    {
        ngx_http_foodsvc_reply_detail(ctx, status, "This port takes HTTPS only");

    } else {
        ngx_http_foodsvc_reply_detail(ctx, status, "%s", texts[i].text ? texts[i].text
                                      : status < NGX_HTTP_INTERNAL_SERVER_ERROR ? "Bad Request"
                                      : "Internal Server Error");
    }
}


void
ngx_http_foodsvc_reply_no_memory(ngx_http_foodsvc_ctx_t *ctx)
{
    static char  body[] = "{\"detail\":\"Internal Server Error\"}";

    ngx_http_foodsvc_idempotent_unkeep(ctx);

    if (ngx_http_foodsvc_reply_begin(ctx, NGX_HTTP_INTERNAL_SERVER_ERROR, sizeof(body) - 1)) {
        ctx->buf.pos = (u_char *) body;
        ctx->buf.last = (u_char *) body + sizeof(body) - 1;
    }
}


/* False: it is answered already, now perhaps that there is no memory. The caller sets the body. */
static ngx_uint_t
ngx_http_foodsvc_reply_begin(ngx_http_foodsvc_ctx_t *ctx, ngx_uint_t status, off_t len)
{
    static ngx_str_t  scheme = ngx_string(FOODSVC_API_KEY_HEADER);

    if (ctx->replied) {
        return 0;
    }

    if (status == NGX_HTTP_UNAUTHORIZED
        && ngx_http_foodsvc_header(ctx->request, "WWW-Authenticate", &scheme) != NGX_OK)
    {
        ngx_http_foodsvc_reply_no_memory(ctx);
        return 0;
    }

    ctx->replied = 1;

    if (ctx->timer.timer_set) {
        ngx_del_timer(&ctx->timer);
    }

    ngx_http_foodsvc_head(ctx->request, status, len);
    ctx->buf.memory = 1;
    ctx->buf.last_buf = 1;
    ctx->buf.last_in_chain = 1;
    ctx->out.buf = &ctx->buf;
    ngx_http_foodsvc_reply_now(ctx);

    return 1;
}


void
ngx_http_foodsvc_reply_now(ngx_http_foodsvc_ctx_t *ctx)
{
    ngx_http_foodsvc_post(ctx, ngx_http_foodsvc_reply_send);
}


static void
ngx_http_foodsvc_reply_send(ngx_event_t *ev)
{
    ngx_int_t                     rc;
    ngx_connection_t             *c;
    ngx_http_request_t           *r;
    ngx_http_foodsvc_ctx_t       *ctx = ev->data;
    ngx_http_foodsvc_handler_pt   before;

    r = ctx->request;
    c = r->connection;
    ngx_http_set_log_request(c->log, r);

    /* at the deadline some may still run: the connection's next request would wait for them */
    ngx_http_foodsvc_calls_stop(ctx);

    if (ctx->before) {
        before = ctx->before;
        ctx->before = NULL;
        before(ctx);
        return;
    }

    if (ctx->buf.pos == ctx->buf.last) {
        r->header_only = 1;
    }

    rc = ngx_http_send_header(r);

    if (rc != NGX_ERROR && rc <= NGX_OK && !r->header_only) {
        rc = ngx_http_output_filter(r, &ctx->out);
    }

    ngx_http_finalize_request(r, rc);
    ngx_http_run_posted_requests(c);
}


void
ngx_http_foodsvc_post(ngx_http_foodsvc_ctx_t *ctx, ngx_event_handler_pt handler)
{
    ctx->event.handler = handler;
    ngx_post_event(&ctx->event, &ngx_posted_events);
}


void
ngx_http_foodsvc_head(ngx_http_request_t *r, ngx_uint_t status, off_t len)
{
    r->headers_out.status = status;
    r->headers_out.content_length_n = len;
    r->allow_ranges = 0;

    /* nginx has no words for it */
    if (status == 422) {
        ngx_str_set(&r->headers_out.status_line, "422 Unprocessable Entity");
    }

    /* our answers have neither date nor tag: a condition would always fail, with an error page of nginx's */
    r->disable_not_modified = 1;

    if (len != 0) {
        ngx_str_set(&r->headers_out.content_type, FOODSVC_CONTENT_TYPE);
        r->headers_out.content_type_len = r->headers_out.content_type.len;
        r->headers_out.content_type_lowcase = NULL;
    }
}


ngx_int_t
ngx_http_foodsvc_header(ngx_http_request_t *r, const char *name, ngx_str_t *value)
{
    ngx_table_elt_t  *h;

    h = ngx_list_push(&r->headers_out.headers);
    if (h == NULL) {
        return NGX_ERROR;
    }

    h->hash = 1;
    h->key.data = (u_char *) name;
    h->key.len = ngx_strlen(name);
    h->value = *value;
#if (nginx_version >= 1023000)
    h->next = NULL;
#endif

    return NGX_OK;
}
