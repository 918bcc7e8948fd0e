/*
 * The API key: SHA-256 of what the request shows, compared with every configured hash in constant time, so that
 * neither the number of right bytes nor the place of the right hash can be measured. Plain keys of ours are not in
 * memory at all.
 */
#include "ngx_http_foodsvc_core.h"
#include <openssl/crypto.h>
#include <openssl/evp.h>


static ngx_table_elt_t *ngx_http_foodsvc_header_next(ngx_list_part_t **part, ngx_uint_t *i, const char *name);


/* One per worker, started once: to look the algorithm up for each request costs more than the hash. */
static EVP_MD_CTX  *ngx_http_foodsvc_digest;


ngx_int_t
ngx_http_foodsvc_key_init(ngx_log_t *log)
{
    ngx_http_foodsvc_digest = EVP_MD_CTX_new();

    if (ngx_http_foodsvc_digest == NULL || EVP_DigestInit_ex(ngx_http_foodsvc_digest, EVP_sha256(), NULL) != 1) {
        ngx_log_error(NGX_LOG_EMERG, log, 0, "foodsvc: OpenSSL has no SHA-256");
        return NGX_ERROR;
    }

    return NGX_OK;
}


void
ngx_http_foodsvc_key_done(void)
{
    EVP_MD_CTX_free(ngx_http_foodsvc_digest);
    ngx_http_foodsvc_digest = NULL;
}


/* The next header of this name behind the i-th of the part; NULL: there is no more. */
static ngx_table_elt_t *
ngx_http_foodsvc_header_next(ngx_list_part_t **part, ngx_uint_t *i, const char *name)
{
    size_t            len = ngx_strlen(name);
    ngx_table_elt_t  *h;

    for ( ;; ) {
        if (*i >= (*part)->nelts) {
            if ((*part)->next == NULL) {
                return NULL;
            }

            *part = (*part)->next;
            *i = 0;
            continue;
        }

        h = (ngx_table_elt_t *) (*part)->elts + (*i)++;

        if (h->key.len == len && ngx_strncasecmp(h->key.data, (u_char *) name, len) == 0) {
            return h;
        }
    }
}


ngx_uint_t
ngx_http_foodsvc_header_in(ngx_http_request_t *r, const char *name, ngx_str_t *value)
{
    ngx_uint_t        i = 0, n = 0;
    ngx_list_part_t  *part = &r->headers_in.headers.part;
    ngx_table_elt_t  *h;

    while ((h = ngx_http_foodsvc_header_next(&part, &i, name)) != NULL) {
        if (n++ == 0) {
            *value = h->value;
        }
    }

    return n;
}


void
ngx_http_foodsvc_key_wipe(ngx_http_request_t *r)
{
    ngx_uint_t        i = 0;
    ngx_list_part_t  *part = &r->headers_in.headers.part;
    ngx_table_elt_t  *h;

    while ((h = ngx_http_foodsvc_header_next(&part, &i, FOODSVC_API_KEY_HEADER)) != NULL) {
        explicit_bzero(h->value.data, h->value.len);
    }
}


static ngx_int_t
ngx_http_foodsvc_key_digest(ngx_str_t parts[], ngx_uint_t n, u_char hash[EVP_MAX_MD_SIZE])
{
    ngx_uint_t  i;

    if (EVP_DigestInit_ex(ngx_http_foodsvc_digest, NULL, NULL) != 1) {
        return NGX_ERROR;
    }

    for (i = 0; i < n; i++) {
        if (EVP_DigestUpdate(ngx_http_foodsvc_digest, parts[i].data, parts[i].len) != 1) {
            return NGX_ERROR;
        }
    }

    return EVP_DigestFinal_ex(ngx_http_foodsvc_digest, hash, NULL) == 1 ? NGX_OK : NGX_ERROR;
}


ngx_int_t
ngx_http_foodsvc_sha256(ngx_str_t parts[], ngx_uint_t n, char hex[2 * NGX_HTTP_FOODSVC_HASH + 1])
{
    u_char  hash[EVP_MAX_MD_SIZE];

    if (ngx_http_foodsvc_key_digest(parts, n, hash) != NGX_OK) {
        return NGX_ERROR;
    }

    *ngx_hex_dump((u_char *) hex, hash, NGX_HTTP_FOODSVC_HASH) = '\0';

    return NGX_OK;
}


ngx_int_t
ngx_http_foodsvc_key_scopes(ngx_http_foodsvc_ctx_t *ctx, ngx_uint_t *scopes)
{
    u_char                     hash[EVP_MAX_MD_SIZE];
    ngx_str_t                  key;
    ngx_uint_t                 i, same;
    ngx_array_t               *keys = ctx->conf->keys;
    ngx_http_foodsvc_known_t  *known;

    *scopes = 0;

    if (ngx_http_foodsvc_header_in(ctx->request, FOODSVC_API_KEY_HEADER, &key) == 0) {
        return NGX_OK;
    }

    if (ngx_http_foodsvc_key_digest(&key, 1, hash) != NGX_OK) {
        return NGX_ERROR;
    }

    known = keys->elts;

    for (i = 0; i < keys->nelts; i++) {
        same = (CRYPTO_memcmp(hash, known[i].hash, NGX_HTTP_FOODSVC_HASH) == 0);
        *scopes |= (known[i].scopes ? known[i].scopes : FOODSVC_SCOPE_ALL) & (0 - same);
    }

    ngx_memcpy(ctx->client, hash, NGX_HTTP_FOODSVC_HASH);

    return NGX_OK;
}
