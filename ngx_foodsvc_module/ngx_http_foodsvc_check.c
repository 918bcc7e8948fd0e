/*
 * The checks that need more than one directive: of a location when it is merged, and of the whole when all is parsed.
 * nginx's own message would name the last line of the file; these name the line of the role that lacks something.
 */
#include "ngx_http_foodsvc_core.h"


static ngx_int_t ngx_http_foodsvc_check_partner(ngx_conf_t *cf, ngx_http_foodsvc_role_t *role);
static ngx_http_core_loc_conf_t *ngx_http_foodsvc_find_location(ngx_http_location_tree_node_t *node, ngx_str_t *path);

#define ngx_http_foodsvc_complain(cf, conf, ...)                                                                      \
    (ngx_http_foodsvc_say(cf, conf, (u_char *) ngx_pcalloc((cf)->temp_pool, NGX_MAX_ERROR_STR), __VA_ARGS__))


static void
ngx_http_foodsvc_say(ngx_conf_t *cf, ngx_http_foodsvc_loc_conf_t *conf, u_char *text, const char *fmt, ...)
{
    va_list  args;

    if (text == NULL) {
        return;
    }

    va_start(args, fmt);
    ngx_vslprintf(text, text + NGX_MAX_ERROR_STR - 1, fmt, args);
    va_end(args);

    ngx_log_error(NGX_LOG_EMERG, cf->log, 0, "%s in %s:%ui", text, conf->file, conf->line);
}


char *
ngx_http_foodsvc_check_role(ngx_conf_t *cf, ngx_http_foodsvc_loc_conf_t *conf)
{
    ngx_http_foodsvc_role_t       *role;
    ngx_http_foodsvc_main_conf_t  *mcf;

    if (conf->role == NGX_HTTP_FOODSVC_ERROR) {
        return NGX_CONF_OK;
    }

    mcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_foodsvc_module);

    if (mcf->store.uri.len == 0 || mcf->redis.url.len == 0 || mcf->publisher.url.len == 0) {
        ngx_http_foodsvc_complain(cf, conf, "a location with a role needs \"%s\": add it to the http block",
                                  mcf->store.uri.len == 0 ? "foodsvc_mongo"
                                  : mcf->redis.url.len == 0 ? "foodsvc_redis" : "foodsvc_rabbitmq");
        return NGX_CONF_ERROR;
    }

    if (conf->role == NGX_HTTP_FOODSVC_ORDER || conf->role == NGX_HTTP_FOODSVC_PAYMENT) {
        if (conf->keys == NULL || conf->keys->nelts == 0) {
            ngx_http_foodsvc_complain(cf, conf, "no API key could open this location: add foodsvc_api_key_hash or "
                                      "foodsvc_api_keys_file with at least one key");
            return NGX_CONF_ERROR;
        }
    }

    if (conf->role == NGX_HTTP_FOODSVC_PAYMENT && (conf->card_company.len == 0 || conf->callback_url.len == 0)) {
        ngx_http_foodsvc_complain(cf, conf, "\"foodsvc payment\" needs \"%s\": add it",
                                  conf->card_company.len == 0 ? "foodsvc_card_company" : "foodsvc_callback_url");
        return NGX_CONF_ERROR;
    }

    if (conf->role == NGX_HTTP_FOODSVC_ORDER && conf->partner_key.len == 0) {
        ngx_log_error(NGX_LOG_WARN, cf->log, 0,
                      "PaymentService will be called without an API key: add foodsvc_partner_key_file in %s:%ui",
                      conf->file, conf->line);
    }

    role = ngx_array_push(mcf->roles);
    if (role == NULL) {
        return NGX_CONF_ERROR;
    }

    role->conf = conf;
    role->server = ngx_http_conf_get_module_srv_conf(cf, ngx_http_core_module);

    return NGX_CONF_OK;
}


/* Postconfiguration: the trees of locations are there. */
ngx_int_t
ngx_http_foodsvc_check_all(ngx_conf_t *cf)
{
    ngx_uint_t                     i;
    ngx_http_foodsvc_role_t       *role;
    ngx_http_foodsvc_main_conf_t  *mcf;

    mcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_foodsvc_module);
    role = mcf->roles->elts;

    for (i = 0; i < mcf->roles->nelts; i++) {
        if (mcf->partners.len == 0) {
            ngx_http_foodsvc_complain(cf, role[i].conf, "a location with a role needs an upstream with "
                                      "\"foodsvc_partners;\": include foodsvc_common.conf in the http block");
            return NGX_ERROR;
        }

        if (ngx_http_foodsvc_check_partner(cf, &role[i]) != NGX_OK) {
            return NGX_ERROR;
        }
    }

    ngx_conf_init_size_value(mcf->shown_size, NGX_HTTP_FOODSVC_SHOWN_DEFAULT);

    if (mcf->used && mcf->shown_size) {
        mcf->shown = ngx_http_foodsvc_shown_add(cf, mcf->shown_size);
        if (mcf->shown == NULL) {
            return NGX_ERROR;
        }
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_foodsvc_check_partner(ngx_conf_t *cf, ngx_http_foodsvc_role_t *role)
{
    ngx_str_t                    *path;
    ngx_http_core_loc_conf_t     *root, *clcf;
    ngx_http_foodsvc_loc_conf_t  *conf;

    conf = role->conf;
    path = &conf->partner_location;
    root = role->server->ctx->loc_conf[ngx_http_core_module.ctx_index];
    clcf = ngx_http_foodsvc_find_location(root->static_locations, path);

    if (clcf == NULL || !clcf->internal || clcf->handler == NULL) {
        ngx_http_foodsvc_complain(cf, conf, "this server has no internal location \"%V\" with a proxy_pass for the "
                                  "calls to partners: include foodsvc_server.conf in the server block", path);
        return NGX_ERROR;
    }

    if (clcf->subrequest_output_buffer_size < conf->max_answer) {
        ngx_http_foodsvc_complain(cf, conf, "subrequest_output_buffer_size of location \"%V\" is %uz and less than "
                                  "foodsvc_max_answer, %uz: raise it", path, clcf->subrequest_output_buffer_size,
                                  conf->max_answer);
        return NGX_ERROR;
    }

    return NGX_OK;
}


/* As ngx_http_core_find_static_location() does for a request. */
static ngx_http_core_loc_conf_t *
ngx_http_foodsvc_find_location(ngx_http_location_tree_node_t *node, ngx_str_t *path)
{
    u_char                    *uri;
    size_t                     len, n;
    ngx_int_t                  rc;
    ngx_http_core_loc_conf_t  *found;

    uri = path->data;
    len = path->len;
    found = NULL;

    while (node) {
        n = ngx_min(len, (size_t) node->len);
        rc = ngx_filename_cmp(uri, node->name, n);

        if (rc != 0) {
            node = (rc < 0) ? node->left : node->right;
            continue;
        }

        if (len < (size_t) node->len) {
            node = node->left;
            continue;
        }

        if (len == (size_t) node->len) {
            if (node->exact) {
                return node->exact;
            }

            return node->inclusive ? node->inclusive : found;
        }

        if (node->inclusive) {
            found = node->inclusive;
            node = node->tree;
            uri += n;
            len -= n;

        } else {
            node = node->right;
        }
    }

    return found;
}
