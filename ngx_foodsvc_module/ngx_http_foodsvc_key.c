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


static ngx_str_t *
ngx_http_foodsvc_key_shown(ngx_http_request_t *r)
{
    static const char  name[] = "x-api-key";
    ngx_uint_t         i;
    ngx_list_part_t   *part;
    ngx_table_elt_t   *h;

    part = &r->headers_in.headers.part;
    h = part->elts;

    for (i = 0; /* void */ ; i++) {
        if (i >= part->nelts) {
            if (part->next == NULL) {
                return NULL;
            }

            part = part->next;
            h = part->elts;
            i = 0;
        }

        if (h[i].key.len == sizeof(name) - 1 && ngx_memcmp(h[i].lowcase_key, name, sizeof(name) - 1) == 0) {
            return &h[i].value;
        }
    }
}


ngx_uint_t
ngx_http_foodsvc_key_ok(ngx_http_request_t *r, ngx_http_foodsvc_loc_conf_t *conf)
{
    u_char       hash[EVP_MAX_MD_SIZE], *known;
    ngx_str_t   *key;
    ngx_uint_t   i, ok;

    key = ngx_http_foodsvc_key_shown(r);
    if (key == NULL) {
        return 0;
    }

    if (EVP_DigestInit_ex(ngx_http_foodsvc_digest, NULL, NULL) != 1
        || EVP_DigestUpdate(ngx_http_foodsvc_digest, key->data, key->len) != 1
        || EVP_DigestFinal_ex(ngx_http_foodsvc_digest, hash, NULL) != 1)
    {
        return 0;
    }

    known = conf->key_hashes->elts;
    ok = 0;

    for (i = 0; i < conf->key_hashes->nelts; i++) {
        ok |= (CRYPTO_memcmp(hash, known + i * NGX_HTTP_FOODSVC_HASH, NGX_HTTP_FOODSVC_HASH) == 0);
    }

    return ok;
}
