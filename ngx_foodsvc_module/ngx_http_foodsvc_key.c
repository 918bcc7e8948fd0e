/*
 * The API key: SHA-256 of what the request shows, compared with every configured hash in constant time, so that
 * neither the number of right bytes nor the place of the right hash can be measured. Plain keys of ours are not in
 * memory at all.
 */
#include "ngx_http_foodsvc_core.h"
#include <openssl/crypto.h>
#include <openssl/evp.h>


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


ngx_uint_t
ngx_http_foodsvc_header_in(ngx_http_request_t *r, const char *name, ngx_str_t *value)
{
    size_t            len;
    ngx_uint_t        i, n;
    ngx_list_part_t  *part;
    ngx_table_elt_t  *h;

    len = ngx_strlen(name);
    part = &r->headers_in.headers.part;
    h = part->elts;
    n = 0;

    for (i = 0; /* void */ ; i++) {
        if (i >= part->nelts) {
            if (part->next == NULL) {
                return n;
            }

            part = part->next;
            h = part->elts;
            i = 0;
        }

        if (h[i].key.len == len && ngx_strncasecmp(h[i].key.data, (u_char *) name, len) == 0 && n++ == 0) {
            *value = h[i].value;
        }
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

    /* nobody asks for it again, and the buffer lives as long as the connection */
    explicit_bzero(key.data, key.len);

    known = keys->elts;

    for (i = 0; i < keys->nelts; i++) {
        same = (CRYPTO_memcmp(hash, known[i].hash, NGX_HTTP_FOODSVC_HASH) == 0);
        *scopes |= (known[i].scopes ? known[i].scopes : FOODSVC_SCOPE_ALL) & (0 - same);
    }

    ngx_memcpy(ctx->client, hash, NGX_HTTP_FOODSVC_HASH);

    return NGX_OK;
}
