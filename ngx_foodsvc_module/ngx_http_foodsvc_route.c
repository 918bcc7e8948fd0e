/*
 * Which handler a request is for. Under /v1/ the key is asked for first of all, so that without one nothing can be
 * learnt, not even which paths there are; then comes the path (404), the method (405), what the key may do (403), the
 * id in the path (422).
 */
#include "ngx_http_foodsvc_core.h"


static ngx_uint_t ngx_http_foodsvc_match(ngx_str_t *uri, const ngx_str_t *path, ngx_str_t *id);
static ngx_uint_t ngx_http_foodsvc_path_id(ngx_http_foodsvc_ctx_t *ctx, ngx_str_t *id);

#define NGX_HTTP_FOODSVC_ID  "{id}"


static const ngx_http_foodsvc_route_t  ngx_http_foodsvc_routes[] = {

    { NGX_HTTP_FOODSVC_ORDER, ngx_string(FOODSVC_PATH_ORDERS "/{id}"), NGX_HTTP_GET,
      ngx_http_foodsvc_order_get, 0, FOODSVC_SCOPE_ORDERS_READ },
    { NGX_HTTP_FOODSVC_ORDER, ngx_string(FOODSVC_PATH_ORDERS "/{id}"), NGX_HTTP_DELETE,
      ngx_http_foodsvc_order_delete, 0, FOODSVC_SCOPE_ORDERS_WRITE },
    { NGX_HTTP_FOODSVC_ORDER, ngx_string(FOODSVC_PATH_ORDERS), NGX_HTTP_GET,
      ngx_http_foodsvc_order_list, 0, FOODSVC_SCOPE_ORDERS_READ },
    { NGX_HTTP_FOODSVC_ORDER, ngx_string(FOODSVC_PATH_ORDERS), NGX_HTTP_POST,
      ngx_http_foodsvc_order_post, 1, FOODSVC_SCOPE_ORDERS_WRITE },
    { NGX_HTTP_FOODSVC_ORDER, ngx_string(FOODSVC_PATH_ORDERS "/{id}/cancel"), NGX_HTTP_POST,
      ngx_http_foodsvc_order_cancel, 0, FOODSVC_SCOPE_ORDERS_WRITE },
    { NGX_HTTP_FOODSVC_ORDER, ngx_string(FOODSVC_PATH_HEALTH), NGX_HTTP_GET, ngx_http_foodsvc_health, 0, 0 },

    { NGX_HTTP_FOODSVC_PAYMENT, ngx_string(FOODSVC_PATH_PAYMENTS), NGX_HTTP_POST,
      ngx_http_foodsvc_payment_post, 1, FOODSVC_SCOPE_PAYMENTS },
    { NGX_HTTP_FOODSVC_PAYMENT, ngx_string(FOODSVC_PATH_REIMBURSE), NGX_HTTP_POST,
      ngx_http_foodsvc_payment_reimburse, 1, FOODSVC_SCOPE_PAYMENTS },
    { NGX_HTTP_FOODSVC_PAYMENT, ngx_string(FOODSVC_PATH_CALLBACK), NGX_HTTP_POST,
      ngx_http_foodsvc_payment_callback, 1, FOODSVC_SCOPE_CALLBACK },
    { NGX_HTTP_FOODSVC_PAYMENT, ngx_string(FOODSVC_PATH_HEALTH), NGX_HTTP_GET, ngx_http_foodsvc_health, 0, 0 },

    { NGX_HTTP_FOODSVC_NONE, ngx_null_string, 0, NULL, 0, 0 }
};

/* A location of its own for health, wherever it is. */
static const ngx_http_foodsvc_route_t  ngx_http_foodsvc_health_route = {
    NGX_HTTP_FOODSVC_ORDER_HEALTH, ngx_null_string, NGX_HTTP_GET, ngx_http_foodsvc_health, 0, 0
};

static const struct {
    ngx_uint_t   method;
    const char  *name;
} ngx_http_foodsvc_methods[] = {
    { NGX_HTTP_GET, "GET" },
    { NGX_HTTP_POST, "POST" },
    { NGX_HTTP_DELETE, "DELETE" },
    { 0, NULL }
};


const ngx_http_foodsvc_route_t *
ngx_http_foodsvc_route(ngx_http_foodsvc_ctx_t *ctx)
{
    ngx_str_t                        id;
    ngx_uint_t                       known, scopes;
    ngx_http_request_t              *r = ctx->request;
    ngx_http_foodsvc_role_e          role = ctx->conf->role;
    const ngx_http_foodsvc_route_t  *route;

    if (role == NGX_HTTP_FOODSVC_ORDER_HEALTH || role == NGX_HTTP_FOODSVC_PAYMENT_HEALTH) {
        if (r->method != NGX_HTTP_GET) {
            ngx_http_foodsvc_not_allowed(ctx, role, &r->uri);
            return NULL;
        }

        return &ngx_http_foodsvc_health_route;
    }

    scopes = 0;

    if (r->uri.len >= 3 && ngx_memcmp(r->uri.data, "/v1", 3) == 0 && (r->uri.len == 3 || r->uri.data[3] == '/'))
    {
        if (ngx_http_foodsvc_key_scopes(ctx, &scopes) != NGX_OK) {
            ngx_http_foodsvc_reply_detail(ctx, NGX_HTTP_INTERNAL_SERVER_ERROR, "Internal Server Error");
            return NULL;
        }

        if (scopes == 0) {
            ngx_http_foodsvc_reply_detail(ctx, NGX_HTTP_UNAUTHORIZED, "Invalid or missing API Key");
            return NULL;
        }
    }

    known = 0;

    for (route = ngx_http_foodsvc_routes; route->handler; route++) {
        if (route->role != role || !ngx_http_foodsvc_match(&r->uri, &route->path, &id)) {
            continue;
        }

        if (route->method == r->method) {
            if (route->scope && !(route->scope & scopes)) {
                ngx_http_foodsvc_reply_detail(ctx, NGX_HTTP_FORBIDDEN,
                                              "This API key may not do that: it needs the scope %s",
                                              foodsvc_scope_name((unsigned) route->scope));
                return NULL;
            }

            return (id.len == 0 || ngx_http_foodsvc_path_id(ctx, &id)) ? route : NULL;
        }

        known = 1;
    }

    if (known) {
        ngx_http_foodsvc_not_allowed(ctx, role, &r->uri);
    } else {
        ngx_http_foodsvc_reply_detail(ctx, NGX_HTTP_NOT_FOUND, "Not Found");
    }

    return NULL;
}


/* path has at most one {id}, which stands for one segment, not empty. */
static ngx_uint_t
ngx_http_foodsvc_match(ngx_str_t *uri, const ngx_str_t *path, ngx_str_t *id)
{
    u_char  *p, *mark, *end;
    size_t   head, tail;

    id->len = 0;
    mark = ngx_strlchr(path->data, path->data + path->len, NGX_HTTP_FOODSVC_ID[0]);

    if (mark == NULL) {
        return uri->len == path->len && ngx_memcmp(uri->data, path->data, path->len) == 0;
    }

    head = mark - path->data;
    tail = path->len - head - (sizeof(NGX_HTTP_FOODSVC_ID) - 1);

    if (uri->len <= head + tail || ngx_memcmp(uri->data, path->data, head) != 0) {
        return 0;
    }

    end = uri->data + uri->len - tail;

    if (ngx_memcmp(end, path->data + path->len - tail, tail) != 0) {
        return 0;
    }

    for (p = uri->data + head; p < end; p++) {
        if (*p == '/') {
            return 0;
        }
    }

    id->data = uri->data + head;
    id->len = end - id->data;

    return 1;
}


void
ngx_http_foodsvc_not_allowed(ngx_http_foodsvc_ctx_t *ctx, ngx_http_foodsvc_role_e role, ngx_str_t *path)
{
    u_char                           buf[64], *last;
    ngx_str_t                        allow, id;
    ngx_uint_t                       i, methods;
    const ngx_http_foodsvc_route_t  *route;

    methods = 0;

    for (route = ngx_http_foodsvc_routes; route->handler; route++) {
        if ((route->role == role || role == NGX_HTTP_FOODSVC_NONE)
            && ngx_http_foodsvc_match(path, &route->path, &id))
        {
            methods |= route->method;
        }
    }

    if (methods == 0) {
        methods = NGX_HTTP_GET;     /* health, or a file */
    }

    last = buf;

    for (i = 0; ngx_http_foodsvc_methods[i].name; i++) {
        if (methods & ngx_http_foodsvc_methods[i].method) {
            last = ngx_slprintf(last, buf + sizeof(buf), "%s%s", last == buf ? "" : ", ",
                                ngx_http_foodsvc_methods[i].name);
        }
    }

    allow.len = last - buf;
    allow.data = ngx_pnalloc(ctx->request->pool, allow.len);

    if (allow.data) {
        ngx_memcpy(allow.data, buf, allow.len);
        (void) ngx_http_foodsvc_header(ctx->request, "Allow", &allow);
    }

    ngx_http_foodsvc_reply_detail(ctx, NGX_HTTP_NOT_ALLOWED, "Method Not Allowed");
}


static ngx_uint_t
ngx_http_foodsvc_path_id(ngx_http_foodsvc_ctx_t *ctx, ngx_str_t *id)
{
    foodsvc_faults_t  faults;

    ngx_memzero(&faults, sizeof(faults));

    if (foodsvc_path_order_id((char *) id->data, id->len, ctx->id, &faults)) {
        return 1;
    }

    ngx_http_foodsvc_reply_faults(ctx, &faults);

    return 0;
}
