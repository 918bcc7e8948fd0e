/*
 * The url of foodsvc_redis, and its check at configuration time.
 *
 * redisAsyncConnect() would resolve a name with getaddrinfo(), which blocks the event loop. So the name is resolved
 * once, when the configuration is read, as nginx does for a server of an upstream{}, and the url that the workers get
 * has its address in the name's place (the first one). A changed address takes a reload.
 */
#include "ngx_http_foodsvc_redis.h"
#include "ngx_http_foodsvc_redis_url.h"


static ngx_int_t ngx_http_foodsvc_redis_url_error(u_char *err, size_t errlen, const char *text);
static ngx_int_t ngx_http_foodsvc_redis_url_replace_host(ngx_pool_t *pool, ngx_str_t *url, ngx_str_t *address);
static ngx_int_t ngx_http_foodsvc_redis_url_copy(u_char *dst, size_t size, u_char *src, u_char *last);
static u_char *ngx_http_foodsvc_redis_url_user(u_char *p, u_char *last, ngx_http_foodsvc_redis_url_t *url);
static ngx_int_t ngx_http_foodsvc_redis_url_host(u_char *p, u_char *last, ngx_http_foodsvc_redis_url_t *url,
    u_char *err, size_t errlen);


static ngx_int_t
ngx_http_foodsvc_redis_url_error(u_char *err, size_t errlen, const char *text)
{
    u_char  *last;

    last = ngx_snprintf(err, errlen - 1, "%s", text);
    *last = '\0';

    return NGX_ERROR;
}


/* Percent-decodes into a buffer of `size`. */
static ngx_int_t
ngx_http_foodsvc_redis_url_copy(u_char *dst, size_t size, u_char *src, u_char *last)
{
    size_t     n;
    ngx_int_t  c;

    for (n = 0; src < last; n++) {

        if (n + 1 >= size) {
            return NGX_ERROR;
        }

        c = *src++;

        if (c == '%') {
            if (last - src < 2) {
                return NGX_ERROR;
            }

            c = ngx_hextoi(src, 2);
            if (c <= 0) {
                return NGX_ERROR;
            }

            src += 2;
        }

        dst[n] = (u_char) c;
    }

    dst[n] = '\0';
    return NGX_OK;
}


static ngx_int_t
ngx_http_foodsvc_redis_url_host(u_char *p, u_char *last, ngx_http_foodsvc_redis_url_t *url, u_char *err, size_t errlen)
{
    u_char     *host, *end;
    ngx_int_t   n;

    host = p;
    end = ngx_strlchr(p, last, ':');

    if (p < last && *p == '[') {
        host = p + 1;
        end = ngx_strlchr(p, last, ']');

        if (end == NULL || (end + 1 < last && end[1] != ':')) {
            return ngx_http_foodsvc_redis_url_error(err, errlen, "the url has a bad IPv6 address");
        }

        p = end + 1;

    } else {
        end = (end == NULL) ? last : end;
        p = end;
    }

    if (end == host || (size_t) (end - host) >= sizeof(url->host)) {
        return ngx_http_foodsvc_redis_url_error(err, errlen, "the url has no host, or one that is too long");
    }

    ngx_cpystrn(url->host, host, end - host + 1);
    url->port = NGX_HTTP_FOODSVC_REDIS_PORT;

    if (p < last) {
        n = ngx_atoi(p + 1, last - p - 1);

        if (n < 1 || n > 65535) {
            return ngx_http_foodsvc_redis_url_error(err, errlen, "the url has a bad port");
        }

        url->port = n;
    }

    return NGX_OK;
}


/* user:password@ in front of the host, if there: where the host begins; NULL: badly encoded, or too long. */
static u_char *
ngx_http_foodsvc_redis_url_user(u_char *p, u_char *last, ngx_http_foodsvc_redis_url_t *url)
{
    u_char  *at, *colon, *s;

    /* the last '@': a password may hold one that is not encoded */

    at = NULL;
    for (s = p; s < last; s++) {
        if (*s == '@') {
            at = s;
        }
    }

    if (at == NULL) {
        return p;
    }

    colon = ngx_strlchr(p, at, ':');

    if (ngx_http_foodsvc_redis_url_copy(url->user, sizeof(url->user), p, colon ? colon : at) != NGX_OK
        || (colon && ngx_http_foodsvc_redis_url_copy(url->password, sizeof(url->password), colon + 1, at) != NGX_OK))
    {
        return NULL;
    }

    return at + 1;
}


ngx_int_t
ngx_http_foodsvc_redis_url_parse(ngx_str_t *text, ngx_http_foodsvc_redis_url_t *url, u_char *err, size_t errlen)
{
    u_char     *p, *last, *slash;
    ngx_int_t   n;

    ngx_memzero(url, sizeof(ngx_http_foodsvc_redis_url_t));

    p = text->data;
    last = p + text->len;

    if (text->len > 5 && ngx_strncmp(p, "unix:", 5) == 0) {
        if ((size_t) (last - p - 5) >= sizeof(url->path) || p[5] != '/') {
            return ngx_http_foodsvc_redis_url_error(err, errlen, "the url must name a socket as \"unix:/path\"");
        }

        ngx_cpystrn(url->path, p + 5, last - p - 5 + 1);
        return NGX_OK;
    }

    if (text->len > 9 && ngx_strncmp(p, "rediss://", 9) == 0) {
        return ngx_http_foodsvc_redis_url_error(err, errlen, "the url has TLS, which is not supported for Redis");
    }

    if (text->len <= 8 || ngx_strncmp(p, "redis://", 8) != 0) {
        return ngx_http_foodsvc_redis_url_error(err, errlen, "the url is neither redis:// nor unix:");
    }

    p += 8;

    p = ngx_http_foodsvc_redis_url_user(p, last, url);
    if (p == NULL) {
        return ngx_http_foodsvc_redis_url_error(err, errlen, "the url's user or password is badly encoded");
    }

    slash = ngx_strlchr(p, last, '/');

    if (slash && slash + 1 < last) {
        n = ngx_atoi(slash + 1, last - slash - 1);

        if (n < 0 || n > 65535) {
            return ngx_http_foodsvc_redis_url_error(err, errlen, "the url has a bad database number");
        }

        url->db = n;
    }

    return ngx_http_foodsvc_redis_url_host(p, slash ? slash : last, url, err, errlen);
}


ngx_int_t
ngx_http_foodsvc_redis_check(ngx_pool_t *pool, ngx_str_t *url, u_char *err, size_t errlen)
{
    u_char                        *p;
    ngx_url_t                      u;
    ngx_http_foodsvc_redis_url_t   parsed;

    if (ngx_http_foodsvc_redis_url_parse(url, &parsed, err, errlen) != NGX_OK) {
        return NGX_ERROR;
    }

    if (parsed.path[0]) {
        return NGX_OK;
    }

    ngx_memzero(&u, sizeof(ngx_url_t));

    u.url.data = ngx_pnalloc(pool, sizeof(parsed.host) + sizeof("[]:65535"));
    if (u.url.data == NULL) {
        return ngx_http_foodsvc_redis_url_error(err, errlen, "the url could not be checked: no memory");
    }

    p = ngx_sprintf(u.url.data, ngx_strchr(parsed.host, ':') ? "[%s]:%ui" : "%s:%ui", parsed.host, parsed.port);
    u.url.len = p - u.url.data;
    u.default_port = NGX_HTTP_FOODSVC_REDIS_PORT;

    if (ngx_parse_url(pool, &u) != NGX_OK || u.naddrs == 0) {
        return ngx_http_foodsvc_redis_url_error(err, errlen, u.err ? u.err : "the url has no address");
    }

    if (ngx_http_foodsvc_redis_url_replace_host(pool, url, &u.addrs[0].name) != NGX_OK) {
        return ngx_http_foodsvc_redis_url_error(err, errlen, "the url could not be checked: no memory");
    }

    return NGX_OK;
}


/* The url again, with the address in the host's place; address: as in addrs[0].name, "address:port". */
static ngx_int_t
ngx_http_foodsvc_redis_url_replace_host(ngx_pool_t *pool, ngx_str_t *url, ngx_str_t *address)
{
    u_char  *p, *tail, *last, *s;
    size_t   len;

    last = url->data + url->len;
    p = url->data + 8;

    for (s = p; s < last; s++) {
        if (*s == '@') {
            p = s + 1;
        }
    }

    s = ngx_strlchr(p, last, '/');
    tail = s ? s : last;

    len = (p - url->data) + address->len + (last - tail);

    s = ngx_pnalloc(pool, len + 1);
    if (s == NULL) {
        return NGX_ERROR;
    }

    p = ngx_cpymem(s, url->data, p - url->data);
    p = ngx_cpymem(p, address->data, address->len);
    p = ngx_cpymem(p, tail, last - tail);
    *p = '\0';

    url->data = s;
    url->len = len;

    return NGX_OK;
}
