/*
 * $foodsvc_partner_url, $foodsvc_partner_host, $foodsvc_partner_name: where the call goes that an internal location's
 * subrequest is for. Not found everywhere else.
 */
#include "ngx_http_foodsvc_core.h"


static ngx_int_t ngx_http_foodsvc_variable(ngx_http_request_t *r, ngx_http_variable_value_t *v, uintptr_t data);


static ngx_http_variable_t  ngx_http_foodsvc_vars[] = {

    { ngx_string("foodsvc_partner_url"), NULL, ngx_http_foodsvc_variable,
      offsetof(ngx_http_foodsvc_target_t, url), NGX_HTTP_VAR_NOCACHEABLE, 0 },

    { ngx_string("foodsvc_partner_host"), NULL, ngx_http_foodsvc_variable,
      offsetof(ngx_http_foodsvc_target_t, host), NGX_HTTP_VAR_NOCACHEABLE, 0 },

    { ngx_string("foodsvc_partner_name"), NULL, ngx_http_foodsvc_variable,
      offsetof(ngx_http_foodsvc_target_t, name), NGX_HTTP_VAR_NOCACHEABLE, 0 },

      ngx_http_null_variable
};


ngx_int_t
ngx_http_foodsvc_variables(ngx_conf_t *cf)
{
    ngx_http_variable_t  *var, *v;

    for (v = ngx_http_foodsvc_vars; v->name.len; v++) {
        var = ngx_http_add_variable(cf, &v->name, v->flags);
        if (var == NULL) {
            return NGX_ERROR;
        }

        var->get_handler = v->get_handler;
        var->data = v->data;
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_foodsvc_variable(ngx_http_request_t *r, ngx_http_variable_value_t *v, uintptr_t data)
{
    ngx_str_t                *value;
    ngx_http_foodsvc_call_t  *call;

    call = ngx_http_foodsvc_call_of(r);

    if (call == NULL) {
        v->not_found = 1;
        return NGX_OK;
    }

    value = (ngx_str_t *) ((char *) &call->target + data);
    v->data = value->data;
    v->len = value->len;
    v->valid = 1;
    v->no_cacheable = 0;
    v->not_found = 0;

    return NGX_OK;
}
