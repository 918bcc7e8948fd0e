/*
 * The setters of the servers: foodsvc_mongo, foodsvc_redis, foodsvc_rabbitmq, and of foodsvc_shown. A url is given as
 * it is, or as file:/path, so that its password stays out of nginx.conf; it never appears in a message.
 */
#include "ngx_http_foodsvc_core.h"


typedef struct {
    const char  *name;
    ngx_uint_t  *value;
    ngx_uint_t   ms;            /* a time in milliseconds, else a number */
    ngx_uint_t   preset, min, max;
    ngx_str_t   *text;          /* in place of value: any text */
} ngx_http_foodsvc_param_t;

static char *ngx_http_foodsvc_conf_params(ngx_conf_t *cf, ngx_http_foodsvc_param_t *params);
static char *ngx_http_foodsvc_conf_param(ngx_conf_t *cf, ngx_http_foodsvc_param_t *params, ngx_str_t *arg);
static char *ngx_http_foodsvc_conf_server(ngx_conf_t *cf, ngx_str_t *url, ngx_http_foodsvc_param_t *params);
static char *ngx_http_foodsvc_conf_cacert(ngx_conf_t *cf, ngx_http_foodsvc_publisher_conf_t *conf);
static ngx_int_t ngx_http_foodsvc_conf_has_cert(ngx_str_t *path);


char *
ngx_http_foodsvc_conf_mongo(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    char                          *rc, err[FOODSVC_ERR];
    ngx_http_foodsvc_main_conf_t  *mcf = conf;
    ngx_http_foodsvc_param_t       params[] = {
        { "read_threads", &mcf->store.read_threads, 0, 2, 1, 64, NULL },
        { "write_threads", &mcf->store.write_threads, 0, 2, 1, 64, NULL },
        { "queue", &mcf->store.queue, 0, 1024, 1, 1000000, NULL },
        { "timeout", &mcf->store.timeout, 1, 1000, 10, 60000, NULL },
        { NULL, NULL, 0, 0, 0, 0, NULL }
    };

    rc = ngx_http_foodsvc_conf_server(cf, &mcf->store.uri, params);

    if (rc != NGX_CONF_OK) {
        return rc;
    }

    if (!foodsvc_store_uri_check((char *) mcf->store.uri.data, err)) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0, "foodsvc_mongo: %s: give mongodb://host:port/?replicaSet=...", err);
        return NGX_CONF_ERROR;
    }

    return NGX_CONF_OK;
}


char *
ngx_http_foodsvc_conf_redis(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    char                          *rc;
    u_char                         err[256];
    ngx_http_foodsvc_main_conf_t  *mcf = conf;
    ngx_http_foodsvc_param_t       params[] = {
        { "timeout", &mcf->redis.timeout, 1, 500, 10, 60000, NULL },
        { "queue", &mcf->redis.queue, 0, 4096, 1, 1000000, NULL },
        { NULL, NULL, 0, 0, 0, 0, NULL }
    };

    rc = ngx_http_foodsvc_conf_server(cf, &mcf->redis.url, params);

    if (rc != NGX_CONF_OK) {
        return rc;
    }

    err[0] = '\0';

    if (ngx_http_foodsvc_redis_check(cf->pool, &mcf->redis.url, err, sizeof(err)) != NGX_OK) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "foodsvc_redis: %s: give redis://[user:password@]host:port[/db] or unix:/path", err);
        return NGX_CONF_ERROR;
    }

    return NGX_CONF_OK;
}


char *
ngx_http_foodsvc_conf_shown(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ssize_t                        size;
    ngx_str_t                     *value = cf->args->elts;
    ngx_http_foodsvc_main_conf_t  *mcf = conf;
    ngx_http_foodsvc_param_t       params[] = {
        { "settle", &mcf->shown_settle, 1, NGX_HTTP_FOODSVC_SHOWN_SETTLE, 0, 3600000, NULL },
        { NULL, NULL, 0, 0, 0, 0, NULL }
    };

    if (mcf->shown_size != NGX_CONF_UNSET_SIZE) {
        return "is duplicate";
    }

    size = ngx_strcmp(value[1].data, "off") == 0 ? 0 : ngx_parse_size(&value[1]);

    if (size != 0 && size < NGX_HTTP_FOODSVC_SHOWN_MIN) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0, "foodsvc_shown: \"%V\" is no size of %z bytes or more: give one, as "
                           "4m, or \"off\"", &value[1], (ssize_t) NGX_HTTP_FOODSVC_SHOWN_MIN);
        return NGX_CONF_ERROR;
    }

    mcf->shown_size = size;
    return ngx_http_foodsvc_conf_params(cf, params);
}


char *
ngx_http_foodsvc_conf_rabbitmq(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    char                          *rc;
    u_char                         err[256];
    ngx_http_foodsvc_main_conf_t  *mcf = conf;
    ngx_http_foodsvc_param_t       params[] = {
        { "timeout", &mcf->publisher.timeout, 1, 2000, 10, 60000, NULL },
        { "patience", &mcf->publisher.patience, 1, 30000, 1000, 3600000, NULL },
        { "queue", &mcf->publisher.queue, 0, 4096, 1, 1000000, NULL },
        { "window", &mcf->publisher.window, 0, 128, 1, 4096, NULL },
        { "heartbeat", &mcf->publisher.heartbeat, 0, 10, 1, 600, NULL },
        { "ca", NULL, 0, 0, 0, 0, &mcf->publisher.cacert },
        { NULL, NULL, 0, 0, 0, 0, NULL }
    };

    rc = ngx_http_foodsvc_conf_server(cf, &mcf->publisher.url, params);

    if (rc != NGX_CONF_OK) {
        return rc;
    }

    if (ngx_http_foodsvc_publisher_check(cf->temp_pool, &mcf->publisher.url, err, sizeof(err)) != NGX_OK) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "foodsvc_rabbitmq: the url %s: give amqp[s]://user:password@host:port[/vhost]", err);
        return NGX_CONF_ERROR;
    }

    return ngx_http_foodsvc_conf_cacert(cf, &mcf->publisher);
}


/*
 * Whether the file of ca= can be used is said now, not by a connection that does not come about. The workers read it at
 * each connect, as their own user: it may be renewed.
 */
static char *
ngx_http_foodsvc_conf_cacert(ngx_conf_t *cf, ngx_http_foodsvc_publisher_conf_t *conf)
{
    if (conf->cacert.data == NULL) {
        return NGX_CONF_OK;
    }

    if (ngx_strncmp(conf->url.data, "amqps:", 6) != 0) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "foodsvc_rabbitmq: ca= is for an amqps:// url, and this one has no TLS");
        return NGX_CONF_ERROR;
    }

    if (ngx_conf_full_name(cf->cycle, &conf->cacert, 1) != NGX_OK) {
        return NGX_CONF_ERROR;
    }

    if (ngx_http_foodsvc_conf_has_cert(&conf->cacert) != NGX_OK) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "foodsvc_rabbitmq: no certificate could be read from ca=%V: give a PEM file", &conf->cacert);
        return NGX_CONF_ERROR;
    }

    return NGX_CONF_OK;
}


static ngx_int_t
ngx_http_foodsvc_conf_has_cert(ngx_str_t *path)
{
    BIO   *bio;
    X509  *cert;

    bio = BIO_new_file((char *) path->data, "r");
    cert = bio ? PEM_read_bio_X509(bio, NULL, NULL, NULL) : NULL;

    X509_free(cert);
    BIO_free(bio);
    ERR_clear_error();

    return cert ? NGX_OK : NGX_ERROR;
}


/* The first argument: a url, or file:/path with the url in its first line; then the parameters. */
static char *
ngx_http_foodsvc_conf_server(ngx_conf_t *cf, ngx_str_t *url, ngx_http_foodsvc_param_t *params)
{
    ngx_str_t  *value = cf->args->elts, path;

    if (url->len) {
        return "is duplicate";
    }

    if (value[1].len <= 5 || ngx_strncmp(value[1].data, "file:", 5) != 0) {
        *url = value[1];            /* tokens are NUL-terminated */

    } else {
        path.len = value[1].len - 5;
        path.data = value[1].data + 5;

        if (ngx_http_foodsvc_first_line(cf, &path, 4096, url) != NGX_OK) {
            return NGX_CONF_ERROR;
        }
    }

    if (url->len == 0) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0, "\"%V\" has no url: give one", &value[0]);
        return NGX_CONF_ERROR;
    }

    return ngx_http_foodsvc_conf_params(cf, params);
}


static char *
ngx_http_foodsvc_conf_params(ngx_conf_t *cf, ngx_http_foodsvc_param_t *params)
{
    ngx_str_t                 *value = cf->args->elts;
    ngx_uint_t                 i;
    ngx_http_foodsvc_param_t  *p;

    for (p = params; p->name; p++) {
        if (p->value) {
            *p->value = p->preset;
        }
    }

    for (i = 2; i < cf->args->nelts; i++) {
        if (ngx_http_foodsvc_conf_param(cf, params, &value[i]) != NGX_CONF_OK) {
            return NGX_CONF_ERROR;
        }
    }

    return NGX_CONF_OK;
}


static char *
ngx_http_foodsvc_conf_param(ngx_conf_t *cf, ngx_http_foodsvc_param_t *params, ngx_str_t *arg)
{
    size_t                     len;
    ngx_int_t                  n;
    ngx_str_t                  text;
    ngx_http_foodsvc_param_t  *p;

    for (p = params; p->name; p++) {
        len = ngx_strlen(p->name);

        if (arg->len <= len || arg->data[len] != '=' || ngx_strncmp(arg->data, p->name, len) != 0) {
            continue;
        }

        text.data = arg->data + len + 1;
        text.len = arg->len - len - 1;

        if (p->text) {
            *p->text = text;
            return NGX_CONF_OK;
        }

        n = p->ms ? ngx_parse_time(&text, 0) : ngx_atoi(text.data, text.len);

        if (n == NGX_ERROR || (ngx_uint_t) n < p->min || (ngx_uint_t) n > p->max) {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0, "\"%V\": %s must be from %ui to %ui%s", arg, p->name, p->min,
                               p->max, p->ms ? " ms" : "");
            return NGX_CONF_ERROR;
        }

        *p->value = (ngx_uint_t) n;
        return NGX_CONF_OK;
    }

    ngx_conf_log_error(NGX_LOG_EMERG, cf, 0, "unknown parameter \"%V\"; the first one is \"%s=\"", arg, params->name);

    return NGX_CONF_ERROR;
}
