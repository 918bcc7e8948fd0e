/*
 * The directives' setters. Whatever can be judged from the directive alone is judged here, so that nginx -t names the
 * file and the line; what depends on other directives is judged in ngx_http_foodsvc_check.c.
 *
 * A secret (a url with a password, a key) never appears in a message.
 */
#include "ngx_http_foodsvc_core.h"
#include <openssl/pem.h>


static char *ngx_http_foodsvc_add_word(ngx_conf_t *cf, ngx_http_foodsvc_loc_conf_t *conf, ngx_str_t *word,
    ngx_uint_t first);
static char *ngx_http_foodsvc_add_hash(ngx_conf_t *cf, ngx_http_foodsvc_loc_conf_t *conf, ngx_str_t *hex);
static char *ngx_http_foodsvc_check_url(ngx_conf_t *cf, ngx_str_t *url);
static void ngx_http_foodsvc_free_certificate(void *data);


static struct {
    ngx_str_t                first, second;
    ngx_http_foodsvc_role_e  role;
} ngx_http_foodsvc_roles[] = {
    { ngx_string("order"), ngx_null_string, NGX_HTTP_FOODSVC_ORDER },
    { ngx_string("payment"), ngx_null_string, NGX_HTTP_FOODSVC_PAYMENT },
    { ngx_string("health"), ngx_string("order"), NGX_HTTP_FOODSVC_ORDER_HEALTH },
    { ngx_string("health"), ngx_string("payment"), NGX_HTTP_FOODSVC_PAYMENT_HEALTH },
    { ngx_string("error"), ngx_null_string, NGX_HTTP_FOODSVC_ERROR },
    { ngx_null_string, ngx_null_string, NGX_HTTP_FOODSVC_NONE }
};


static ngx_uint_t
ngx_http_foodsvc_same(ngx_str_t *a, ngx_str_t *b)
{
    return a->len == b->len && ngx_strncmp(a->data, b->data, a->len) == 0;
}


char *
ngx_http_foodsvc_conf_role(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_str_t                     *value = cf->args->elts, none = ngx_null_string, *second;
    ngx_uint_t                     i;
    ngx_http_core_loc_conf_t      *clcf;
    ngx_http_foodsvc_loc_conf_t   *lcf = conf;
    ngx_http_foodsvc_main_conf_t  *mcf;

    if (lcf->role != NGX_HTTP_FOODSVC_NONE) {
        return "is duplicate";
    }

    second = cf->args->nelts > 2 ? &value[2] : &none;

    for (i = 0; ngx_http_foodsvc_roles[i].role != NGX_HTTP_FOODSVC_NONE; i++) {
        if (ngx_http_foodsvc_same(&value[1], &ngx_http_foodsvc_roles[i].first)
            && ngx_http_foodsvc_same(second, &ngx_http_foodsvc_roles[i].second))
        {
            lcf->role = ngx_http_foodsvc_roles[i].role;
        }
    }

    if (lcf->role == NGX_HTTP_FOODSVC_NONE) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "unknown role \"%V%s%V\": use \"order\", \"payment\", \"health order\", \"health payment\" "
                           "or \"error\"", &value[1], second->len ? " " : "", second);
        return NGX_CONF_ERROR;
    }

    lcf->file = cf->conf_file->file.name.data;
    lcf->line = cf->conf_file->line;

    clcf = ngx_http_conf_get_module_loc_conf(cf, ngx_http_core_module);
    clcf->handler = ngx_http_foodsvc_handler;

    if (lcf->role != NGX_HTTP_FOODSVC_ERROR) {
        mcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_foodsvc_module);
        mcf->used = 1;
    }

    return NGX_CONF_OK;
}


char *
ngx_http_foodsvc_conf_url(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_str_t  *value = cf->args->elts;
    ngx_str_t  *field = (ngx_str_t *) ((char *) conf + cmd->offset);

    if (field->data) {
        return "is duplicate";
    }

    *field = value[1];

    return ngx_http_foodsvc_check_url(cf, field);
}


char *
ngx_http_foodsvc_conf_service_url(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    static const char            *names[] = { FOODSVC_PAYMENT_SERVICE, FOODSVC_CUSTOMER_SERVICE,
                                              FOODSVC_DELIVERY_SERVICE, FOODSVC_KITCHEN_SERVICE, NULL };
    ngx_str_t                    *value = cf->args->elts;
    ngx_uint_t                    i;
    ngx_keyval_t                 *kv;
    ngx_http_foodsvc_loc_conf_t  *lcf = conf;

    for (i = 0; names[i] && ngx_strcmp(names[i], value[1].data) != 0; i++) { /* void */ }

    if (names[i] == NULL) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "unknown service \"%V\": use PaymentService, CustomerService, DeliveryService or "
                           "KitchenService", &value[1]);
        return NGX_CONF_ERROR;
    }

    if (lcf->service_urls == NULL) {
        lcf->service_urls = ngx_array_create(cf->pool, 4, sizeof(ngx_keyval_t));
        if (lcf->service_urls == NULL) {
            return NGX_CONF_ERROR;
        }
    }

    kv = lcf->service_urls->elts;

    for (i = 0; i < lcf->service_urls->nelts; i++) {
        if (ngx_http_foodsvc_same(&kv[i].key, &value[1])) {
            return "is duplicate";
        }
    }

    kv = ngx_array_push(lcf->service_urls);
    if (kv == NULL) {
        return NGX_CONF_ERROR;
    }

    kv->key = value[1];
    kv->value = value[2];

    return ngx_http_foodsvc_check_url(cf, &kv->value);
}


static char *
ngx_http_foodsvc_check_url(ngx_conf_t *cf, ngx_str_t *url)
{
    char           err[FOODSVC_ERR];
    ngx_str_t     *value = cf->args->elts;
    foodsvc_url_t  parsed;

    if (!foodsvc_url_parse((char *) url->data, url->len, &parsed, err, sizeof(err))) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0, "%V: %s: give http[s]://host[:port][/prefix]", &value[0], err);
        return NGX_CONF_ERROR;
    }

    return NGX_CONF_OK;
}


char *
ngx_http_foodsvc_conf_allow(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    char                          err[FOODSVC_ERR];
    ngx_str_t                    *value = cf->args->elts;
    ngx_uint_t                    i;
    foodsvc_allow_rule_t         *rule;
    ngx_http_foodsvc_loc_conf_t  *lcf = conf;

    if (lcf->allow == NULL) {
        lcf->allow = ngx_array_create(cf->pool, 4, sizeof(foodsvc_allow_rule_t));
        if (lcf->allow == NULL) {
            return NGX_CONF_ERROR;
        }
    }

    for (i = 1; i < cf->args->nelts; i++) {
        rule = ngx_array_push(lcf->allow);
        if (rule == NULL) {
            return NGX_CONF_ERROR;
        }

        if (!foodsvc_allow_parse((char *) value[i].data, value[i].len, rule, err, sizeof(err))) {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0, "foodsvc_partner_allow: %s", err);
            return NGX_CONF_ERROR;
        }
    }

    return NGX_CONF_OK;
}


char *
ngx_http_foodsvc_conf_location(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_str_t                    *value = cf->args->elts;
    ngx_http_foodsvc_loc_conf_t  *lcf = conf;

    if (lcf->partner_location.data) {
        return "is duplicate";
    }

    if (value[1].len < 2 || value[1].data[0] != '/') {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0, "\"%V\" is no location: give its path, as /_foodsvc/partner",
                           &value[1]);
        return NGX_CONF_ERROR;
    }

    lcf->partner_location = value[1];

    return NGX_CONF_OK;
}


char *
ngx_http_foodsvc_conf_certificate(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    BIO                          *bio;
    ngx_str_t                    *value = cf->args->elts, text;
    ngx_pool_cleanup_t           *cln;
    ngx_http_foodsvc_loc_conf_t  *lcf = conf;

    if (lcf->certificate) {
        return "is duplicate";
    }

    if (ngx_http_foodsvc_read_file(cf, &value[1], 1024 * 1024, &text) != NGX_OK) {
        return NGX_CONF_ERROR;
    }

    cln = ngx_pool_cleanup_add(cf->pool, 0);
    if (cln == NULL) {
        return NGX_CONF_ERROR;
    }

    bio = BIO_new_mem_buf(text.data, (int) text.len);
    if (bio) {
        lcf->certificate = PEM_read_bio_X509(bio, NULL, NULL, NULL);
        BIO_free(bio);
    }

    if (lcf->certificate == NULL) {
        ERR_clear_error();
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0, "\"%V\" has no certificate: give a PEM file", &value[1]);
        return NGX_CONF_ERROR;
    }

    cln->handler = ngx_http_foodsvc_free_certificate;
    cln->data = lcf->certificate;

    return NGX_CONF_OK;
}


static void
ngx_http_foodsvc_free_certificate(void *data)
{
    X509_free(data);
}


/* HASH [scope ...] HASH ... */
char *
ngx_http_foodsvc_conf_key_hash(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_str_t   *value = cf->args->elts;
    ngx_uint_t   i;

    for (i = 1; i < cf->args->nelts; i++) {
        if (ngx_http_foodsvc_add_word(cf, conf, &value[i], i == 1) != NGX_CONF_OK) {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "foodsvc_api_key_hash: argument %ui is not the SHA-256 of a key%s: give 64 hex digits "
                               "(printf %%s KEY | sha256sum)%s", i, i == 1 ? "" : ", nor a scope",
                               i == 1 ? "" : ", or a scope of the key before: " FOODSVC_SCOPE_NAMES);
            return NGX_CONF_ERROR;
        }
    }

    return NGX_CONF_OK;
}


/* A key a line: HASH [scope ...] [# comment] */
char *
ngx_http_foodsvc_conf_keys_file(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    u_char      *p, *end, *eol;
    ngx_str_t   *value = cf->args->elts, text, word;
    ngx_uint_t   n, first;

    if (ngx_http_foodsvc_read_file(cf, &value[1], 1024 * 1024, &text) != NGX_OK) {
        return NGX_CONF_ERROR;
    }

    end = text.data + text.len;
    n = 0;

    for (p = text.data; p < end; p = eol + 1) {
        n++;
        eol = ngx_strlchr(p, end, '\n');
        eol = eol ? eol : end;
        first = 1;

        for (word.data = p; word.data < eol; word.data += word.len) {
            word.data += strspn((char *) word.data, " \t\r");
            word.len = ngx_min((size_t) (eol - word.data), strcspn((char *) word.data, "#\r\n \t"));

            if (word.len == 0) {
                break;      /* the line's end, or a comment */
            }

            if (ngx_http_foodsvc_add_word(cf, conf, &word, first) != NGX_CONF_OK) {
                ngx_conf_log_error(NGX_LOG_EMERG, cf, 0, first
                                   ? "\"%V\" line %ui is not the SHA-256 of a key: give 64 hex digits a line "
                                     "(printf %%s KEY | sha256sum)"
                                   : "\"%V\" line %ui names an unknown scope: use " FOODSVC_SCOPE_NAMES,
                                   &value[1], n);
                return NGX_CONF_ERROR;
            }

            first = 0;
        }
    }

    return NGX_CONF_OK;
}


/* A key's hash, or, unless it is the first word, a scope of the key before. NGX_CONF_ERROR without a message: the
   callers name the place, and the text might be a key. */
static char *
ngx_http_foodsvc_add_word(ngx_conf_t *cf, ngx_http_foodsvc_loc_conf_t *conf, ngx_str_t *word, ngx_uint_t first)
{
    unsigned                   scope;
    ngx_http_foodsvc_known_t  *known;

    scope = first ? 0 : foodsvc_scope_parse((char *) word->data, word->len);

    if (scope == 0) {
        return ngx_http_foodsvc_add_hash(cf, conf, word);
    }

    known = (ngx_http_foodsvc_known_t *) conf->keys->elts + conf->keys->nelts - 1;
    known->scopes |= scope;

    return NGX_CONF_OK;
}


static char *
ngx_http_foodsvc_add_hash(ngx_conf_t *cf, ngx_http_foodsvc_loc_conf_t *conf, ngx_str_t *hex)
{
    ngx_int_t                  n;
    ngx_uint_t                 i;
    ngx_http_foodsvc_known_t  *known;

    if (hex->len != NGX_HTTP_FOODSVC_HASH * 2) {
        return NGX_CONF_ERROR;
    }

    if (conf->keys == NULL) {
        conf->keys = ngx_array_create(cf->pool, 4, sizeof(ngx_http_foodsvc_known_t));
        if (conf->keys == NULL) {
            return NGX_CONF_ERROR;
        }
    }

    known = ngx_array_push(conf->keys);
    if (known == NULL) {
        return NGX_CONF_ERROR;
    }

    known->scopes = 0;

    for (i = 0; i < NGX_HTTP_FOODSVC_HASH; i++) {
        n = ngx_hextoi(hex->data + 2 * i, 2);
        if (n == NGX_ERROR) {
            return NGX_CONF_ERROR;
        }

        known->hash[i] = (u_char) n;
    }

    return NGX_CONF_OK;
}


char *
ngx_http_foodsvc_conf_partner_key(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    size_t                        i;
    ngx_str_t                    *value = cf->args->elts;
    ngx_http_foodsvc_loc_conf_t  *lcf = conf;

    if (lcf->partner_key.data) {
        return "is duplicate";
    }

    if (ngx_http_foodsvc_first_line(cf, &value[1], 4096, &lcf->partner_key) != NGX_OK) {
        return NGX_CONF_ERROR;
    }

    for (i = 0; i < lcf->partner_key.len; i++) {
        if (lcf->partner_key.data[i] <= ' ' || lcf->partner_key.data[i] >= 0x7f) {
            break;
        }
    }

    if (lcf->partner_key.len == 0 || i < lcf->partner_key.len) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "the first line of \"%V\" is no API key: give printable ASCII without blanks", &value[1]);
        return NGX_CONF_ERROR;
    }

    return NGX_CONF_OK;
}


char *
ngx_http_foodsvc_conf_range(ngx_conf_t *cf, void *post, void *data)
{
    ngx_str_t                 *value = cf->args->elts;
    ngx_uint_t                *n = data;
    ngx_http_foodsvc_range_t  *range = post;

    if (*n >= range->min && *n <= range->max) {
        return NGX_CONF_OK;
    }

    ngx_conf_log_error(NGX_LOG_EMERG, cf, 0, "%V is %ui: it must be from %ui to %ui %s", &value[0], *n, range->min,
                       range->max, range->unit);

    return NGX_CONF_ERROR;
}
