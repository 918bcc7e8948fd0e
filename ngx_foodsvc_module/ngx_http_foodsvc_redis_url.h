/*
 * redis://[user][:password]@host[:port][/db] or unix:/path, taken apart. No name is resolved here but by _check().
 */
#ifndef NGX_HTTP_FOODSVC_REDIS_URL_H
#define NGX_HTTP_FOODSVC_REDIS_URL_H

#include <ngx_config.h>
#include <ngx_core.h>

#define NGX_HTTP_FOODSVC_REDIS_PORT  6379

/* All texts NUL-terminated, percent-decoded; empty when absent. */
typedef struct {
    u_char      path[108];      /* of a unix socket; then host and port mean nothing */
    u_char      host[256];      /* without brackets */
    u_char      user[128];
    u_char      password[512];
    ngx_uint_t  port;
    ngx_uint_t  db;
} ngx_http_foodsvc_redis_url_t;

/* NGX_ERROR: err says what is wrong, without any part of the url. */
ngx_int_t ngx_http_foodsvc_redis_url_parse(ngx_str_t *text, ngx_http_foodsvc_redis_url_t *url, u_char *err,
    size_t errlen);

#endif
