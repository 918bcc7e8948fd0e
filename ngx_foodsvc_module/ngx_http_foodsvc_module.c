/*
 * The module: directives, configuration and lifecycle. What a request does is in the files named after it.
 *
 * The servers (MongoDB, Redis, RabbitMQ) are one set per nginx, started by each worker when any location has a role; a
 * nginx that loads the module for nothing starts no thread.
 *
 * A worker has cards and keys in its memory, the master keys and passwords: neither leaves a core when it crashes,
 * unless worker_rlimit_core asks for it.
 */
#include "ngx_http_foodsvc_core.h"
#include "foodsvc_secret.h"


static ngx_int_t ngx_http_foodsvc_init_module(ngx_cycle_t *cycle);
static ngx_int_t ngx_http_foodsvc_init_process(ngx_cycle_t *cycle);
static ngx_int_t ngx_http_foodsvc_init_failed(void);
static void ngx_http_foodsvc_exit_process(ngx_cycle_t *cycle);
static void *ngx_http_foodsvc_create_main_conf(ngx_conf_t *cf);
static void *ngx_http_foodsvc_create_loc_conf(ngx_conf_t *cf);
static char *ngx_http_foodsvc_merge_loc_conf(ngx_conf_t *cf, void *parent, void *child);

/* ms before a worker that can't start is followed by another one */
#define NGX_HTTP_FOODSVC_INIT_PAUSE  500

#define NGX_HTTP_FOODSVC_ANYWHERE  NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF

static ngx_http_foodsvc_range_t  ngx_http_foodsvc_body_range = { ngx_http_foodsvc_conf_range, 1, 16777216, "bytes" };
static ngx_http_foodsvc_range_t  ngx_http_foodsvc_depth_range = { ngx_http_foodsvc_conf_range, 1, 512, "levels" };
static ngx_http_foodsvc_range_t  ngx_http_foodsvc_answer_range = { ngx_http_foodsvc_conf_range, 1, 16777216, "bytes" };
static ngx_http_foodsvc_range_t  ngx_http_foodsvc_deadline_range = { ngx_http_foodsvc_conf_range, 10, 600000, "ms" };
static ngx_http_foodsvc_range_t  ngx_http_foodsvc_callback_range = { ngx_http_foodsvc_conf_range, 10, 86400000, "ms" };
static ngx_http_foodsvc_range_t  ngx_http_foodsvc_key_life_range = {
    ngx_http_foodsvc_conf_range, 10, 2592000000, "ms"
};
static ngx_http_foodsvc_range_t  ngx_http_foodsvc_health_range = { ngx_http_foodsvc_conf_range, 10, 60000, "ms" };
static ngx_http_foodsvc_range_t  ngx_http_foodsvc_ttl_range = { ngx_http_foodsvc_conf_range, 0, 2000, "ms" };
static ngx_http_foodsvc_range_t  ngx_http_foodsvc_page_range = { ngx_http_foodsvc_conf_range, 1, 1000, "orders" };
static ngx_http_foodsvc_range_t  ngx_http_foodsvc_retry_range = { ngx_http_foodsvc_conf_range, 0, 86400, "s" };


static ngx_command_t  ngx_http_foodsvc_commands[] = {

    { ngx_string("foodsvc"),
      NGX_HTTP_LOC_CONF|NGX_CONF_TAKE12,
      ngx_http_foodsvc_conf_role,
      NGX_HTTP_LOC_CONF_OFFSET, 0, NULL },

    { ngx_string("foodsvc_mongo"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_1MORE,
      ngx_http_foodsvc_conf_mongo,
      NGX_HTTP_MAIN_CONF_OFFSET, 0, NULL },

    { ngx_string("foodsvc_redis"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_1MORE,
      ngx_http_foodsvc_conf_redis,
      NGX_HTTP_MAIN_CONF_OFFSET, 0, NULL },

    { ngx_string("foodsvc_rabbitmq"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_1MORE,
      ngx_http_foodsvc_conf_rabbitmq,
      NGX_HTTP_MAIN_CONF_OFFSET, 0, NULL },

    { ngx_string("foodsvc_shown"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_TAKE12,
      ngx_http_foodsvc_conf_shown,
      NGX_HTTP_MAIN_CONF_OFFSET, 0, NULL },

    { ngx_string("foodsvc_partners"),
      NGX_HTTP_UPS_CONF|NGX_CONF_NOARGS,
      ngx_http_foodsvc_conf_partners,
      NGX_HTTP_MAIN_CONF_OFFSET, 0, NULL },

    { ngx_string("foodsvc_api_key_hash"),
      NGX_HTTP_FOODSVC_ANYWHERE|NGX_CONF_1MORE,
      ngx_http_foodsvc_conf_key_hash,
      NGX_HTTP_LOC_CONF_OFFSET, 0, NULL },

    { ngx_string("foodsvc_api_keys_file"),
      NGX_HTTP_FOODSVC_ANYWHERE|NGX_CONF_TAKE1,
      ngx_http_foodsvc_conf_keys_file,
      NGX_HTTP_LOC_CONF_OFFSET, 0, NULL },

    { ngx_string("foodsvc_partner_key_file"),
      NGX_HTTP_FOODSVC_ANYWHERE|NGX_CONF_TAKE1,
      ngx_http_foodsvc_conf_partner_key,
      NGX_HTTP_LOC_CONF_OFFSET, 0, NULL },

    { ngx_string("foodsvc_card_company"),
      NGX_HTTP_FOODSVC_ANYWHERE|NGX_CONF_TAKE1,
      ngx_http_foodsvc_conf_url,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_foodsvc_loc_conf_t, card_company), NULL },

    { ngx_string("foodsvc_callback_url"),
      NGX_HTTP_FOODSVC_ANYWHERE|NGX_CONF_TAKE1,
      ngx_http_foodsvc_conf_url,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_foodsvc_loc_conf_t, callback_url), NULL },

    { ngx_string("foodsvc_service_url"),
      NGX_HTTP_FOODSVC_ANYWHERE|NGX_CONF_TAKE2,
      ngx_http_foodsvc_conf_service_url,
      NGX_HTTP_LOC_CONF_OFFSET, 0, NULL },

    { ngx_string("foodsvc_partner_allow"),
      NGX_HTTP_FOODSVC_ANYWHERE|NGX_CONF_1MORE,
      ngx_http_foodsvc_conf_allow,
      NGX_HTTP_LOC_CONF_OFFSET, 0, NULL },

    { ngx_string("foodsvc_partner_location"),
      NGX_HTTP_FOODSVC_ANYWHERE|NGX_CONF_TAKE1,
      ngx_http_foodsvc_conf_location,
      NGX_HTTP_LOC_CONF_OFFSET, 0, NULL },

    { ngx_string("foodsvc_certificate"),
      NGX_HTTP_FOODSVC_ANYWHERE|NGX_CONF_TAKE1,
      ngx_http_foodsvc_conf_certificate,
      NGX_HTTP_LOC_CONF_OFFSET, 0, NULL },

    { ngx_string("foodsvc_max_body"),
      NGX_HTTP_FOODSVC_ANYWHERE|NGX_CONF_TAKE1,
      ngx_conf_set_size_slot,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_foodsvc_loc_conf_t, json.max_size), &ngx_http_foodsvc_body_range },

    { ngx_string("foodsvc_max_depth"),
      NGX_HTTP_FOODSVC_ANYWHERE|NGX_CONF_TAKE1,
      ngx_conf_set_num_slot,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_foodsvc_loc_conf_t, json.max_depth), &ngx_http_foodsvc_depth_range },

    { ngx_string("foodsvc_max_answer"),
      NGX_HTTP_FOODSVC_ANYWHERE|NGX_CONF_TAKE1,
      ngx_conf_set_size_slot,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_foodsvc_loc_conf_t, max_answer), &ngx_http_foodsvc_answer_range },

    { ngx_string("foodsvc_deadline"),
      NGX_HTTP_FOODSVC_ANYWHERE|NGX_CONF_TAKE1,
      ngx_conf_set_msec_slot,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_foodsvc_loc_conf_t, deadline), &ngx_http_foodsvc_deadline_range },

    { ngx_string("foodsvc_callback_wait"),
      NGX_HTTP_FOODSVC_ANYWHERE|NGX_CONF_TAKE1,
      ngx_conf_set_msec_slot,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_foodsvc_loc_conf_t, callback_wait), &ngx_http_foodsvc_callback_range },

    { ngx_string("foodsvc_card_key_life"),
      NGX_HTTP_FOODSVC_ANYWHERE|NGX_CONF_TAKE1,
      ngx_conf_set_msec_slot,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_foodsvc_loc_conf_t, card_key_life), &ngx_http_foodsvc_key_life_range },

    { ngx_string("foodsvc_health_timeout"),
      NGX_HTTP_FOODSVC_ANYWHERE|NGX_CONF_TAKE1,
      ngx_conf_set_msec_slot,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_foodsvc_loc_conf_t, health_timeout), &ngx_http_foodsvc_health_range },

    { ngx_string("foodsvc_url_ttl"),
      NGX_HTTP_FOODSVC_ANYWHERE|NGX_CONF_TAKE1,
      ngx_conf_set_msec_slot,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_foodsvc_loc_conf_t, url_ttl), &ngx_http_foodsvc_ttl_range },

    { ngx_string("foodsvc_page"),
      NGX_HTTP_FOODSVC_ANYWHERE|NGX_CONF_TAKE1,
      ngx_conf_set_num_slot,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_foodsvc_loc_conf_t, page), &ngx_http_foodsvc_page_range },

    { ngx_string("foodsvc_retry_after"),
      NGX_HTTP_FOODSVC_ANYWHERE|NGX_CONF_TAKE1,
      ngx_conf_set_sec_slot,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_foodsvc_loc_conf_t, retry_after), &ngx_http_foodsvc_retry_range },

      ngx_null_command
};


static ngx_http_module_t  ngx_http_foodsvc_module_ctx = {
    ngx_http_foodsvc_variables,            /* preconfiguration */
    ngx_http_foodsvc_check_all,            /* postconfiguration */

    ngx_http_foodsvc_create_main_conf,     /* create main configuration */
    NULL,                                  /* init main configuration */

    NULL,                                  /* create server configuration */
    NULL,                                  /* merge server configuration */

    ngx_http_foodsvc_create_loc_conf,      /* create location configuration */
    ngx_http_foodsvc_merge_loc_conf        /* merge location configuration */
};


ngx_module_t  ngx_http_foodsvc_module = {
    NGX_MODULE_V1,
    &ngx_http_foodsvc_module_ctx,          /* module context */
    ngx_http_foodsvc_commands,             /* module directives */
    NGX_HTTP_MODULE,                       /* module type */
    NULL,                                  /* init master */
    ngx_http_foodsvc_init_module,          /* init module */
    ngx_http_foodsvc_init_process,         /* init process */
    NULL,                                  /* init thread */
    NULL,                                  /* exit thread */
    ngx_http_foodsvc_exit_process,         /* exit process */
    NULL,                                  /* exit master */
    NGX_MODULE_V1_PADDING
};


static ngx_int_t
ngx_http_foodsvc_init_module(ngx_cycle_t *cycle)
{
    ngx_core_conf_t               *ccf;
    ngx_http_foodsvc_main_conf_t  *mcf;

    ccf = (ngx_core_conf_t *) ngx_get_conf(cycle->conf_ctx, ngx_core_module);
    mcf = ngx_http_cycle_get_module_main_conf(cycle, ngx_http_foodsvc_module);

    if (mcf && mcf->used && ccf->rlimit_core == NGX_CONF_UNSET && !foodsvc_core_off()) {
        ngx_log_error(NGX_LOG_ALERT, cycle->log, ngx_errno, "foodsvc: cores cannot be switched off");
    }

    return NGX_OK;
}


/* NULL when this process has nothing to do with requests. */
static ngx_http_foodsvc_main_conf_t *
ngx_http_foodsvc_process_conf(ngx_cycle_t *cycle)
{
    ngx_http_foodsvc_main_conf_t  *mcf;

    if (ngx_process != NGX_PROCESS_WORKER && ngx_process != NGX_PROCESS_SINGLE) {
        return NULL;
    }

    mcf = ngx_http_cycle_get_module_main_conf(cycle, ngx_http_foodsvc_module);

    return (mcf && mcf->used) ? mcf : NULL;
}


static ngx_int_t
ngx_http_foodsvc_init_process(ngx_cycle_t *cycle)
{
    ngx_http_foodsvc_main_conf_t  *mcf;

    mcf = ngx_http_foodsvc_process_conf(cycle);
    if (mcf == NULL) {
        return NGX_OK;
    }

    /* before any thread: both are process-wide */
    json_object_seed(0);
    foodsvc_json_wipe();

    ngx_http_foodsvc_relay_init(cycle);
    ngx_http_foodsvc_shown_init_process(mcf->shown, mcf->shown_settle);

    if (ngx_http_foodsvc_key_init(cycle->log) != NGX_OK
        || ngx_http_foodsvc_address_init(cycle) != NGX_OK
        || ngx_http_foodsvc_store_init_process(cycle, &mcf->store) != NGX_OK
        || ngx_http_foodsvc_redis_init_process(cycle, &mcf->redis) != NGX_OK
        || ngx_http_foodsvc_publisher_init_process(cycle, &mcf->publisher) != NGX_OK)
    {
        ngx_log_error(NGX_LOG_EMERG, cycle->log, 0, "foodsvc: this worker could not start its adapters");
        return ngx_http_foodsvc_init_failed();
    }

    return NGX_OK;
}


/*
 * An init_process that fails ends the worker with a status after which nginx's master starts no other. What was missing
 * here, memory, a thread or a descriptor, may be there again soon: the worker ends as one that crashed does, and
 * another takes its place.
 */
static ngx_int_t
ngx_http_foodsvc_init_failed(void)
{
    if (ngx_process == NGX_PROCESS_SINGLE) {
        return NGX_ERROR;
    }

    ngx_msleep(NGX_HTTP_FOODSVC_INIT_PAUSE);
    _exit(EXIT_FAILURE);
}


static void
ngx_http_foodsvc_exit_process(ngx_cycle_t *cycle)
{
    if (ngx_http_foodsvc_process_conf(cycle) == NULL) {
        return;
    }

    ngx_http_foodsvc_request_exit();
    ngx_http_foodsvc_publisher_exit_process(cycle);
    ngx_http_foodsvc_store_exit_process(cycle);
    ngx_http_foodsvc_redis_exit_process(cycle);
    ngx_http_foodsvc_relay_exit();
    ngx_http_foodsvc_key_done();
}


static void *
ngx_http_foodsvc_create_main_conf(ngx_conf_t *cf)
{
    ngx_http_foodsvc_main_conf_t  *mcf;

    mcf = ngx_pcalloc(cf->pool, sizeof(ngx_http_foodsvc_main_conf_t));
    if (mcf == NULL) {
        return NULL;
    }

    mcf->shown_size = NGX_CONF_UNSET_SIZE;
    mcf->shown_settle = NGX_HTTP_FOODSVC_SHOWN_SETTLE;

    mcf->roles = ngx_array_create(cf->pool, 4, sizeof(ngx_http_foodsvc_role_t));
    if (mcf->roles == NULL) {
        return NULL;
    }

    return mcf;
}


static void *
ngx_http_foodsvc_create_loc_conf(ngx_conf_t *cf)
{
    ngx_http_foodsvc_loc_conf_t  *conf;

    /* by pcalloc: role, file, keys, strings and service_urls, unset */
    conf = ngx_pcalloc(cf->pool, sizeof(ngx_http_foodsvc_loc_conf_t));
    if (conf == NULL) {
        return NULL;
    }

    conf->json.max_size = NGX_CONF_UNSET_SIZE;
    conf->json.max_depth = NGX_CONF_UNSET_SIZE;
    conf->max_answer = NGX_CONF_UNSET_SIZE;
    conf->deadline = NGX_CONF_UNSET_MSEC;
    conf->callback_wait = NGX_CONF_UNSET_MSEC;
    conf->card_key_life = NGX_CONF_UNSET_MSEC;
    conf->health_timeout = NGX_CONF_UNSET_MSEC;
    conf->url_ttl = NGX_CONF_UNSET_MSEC;
    conf->page = NGX_CONF_UNSET_UINT;
    conf->retry_after = NGX_CONF_UNSET_UINT;

    return conf;
}


static char *
ngx_http_foodsvc_merge_loc_conf(ngx_conf_t *cf, void *parent, void *child)
{
    ngx_http_foodsvc_loc_conf_t  *prev = parent;
    ngx_http_foodsvc_loc_conf_t  *conf = child;

    /* role, file and line are the location's own */

    if (conf->keys == NULL) {
        conf->keys = prev->keys;
    }

    if (conf->allow == NULL) {
        conf->allow = prev->allow;
    }

    if (conf->service_urls == NULL) {
        conf->service_urls = prev->service_urls;
    }

    if (conf->certificate == NULL) {
        conf->certificate = prev->certificate;
    }

    ngx_conf_merge_str_value(conf->partner_key, prev->partner_key, "");
    ngx_conf_merge_str_value(conf->partner_location, prev->partner_location, "/_foodsvc/partner");
    ngx_conf_merge_str_value(conf->card_company, prev->card_company, "");
    ngx_conf_merge_str_value(conf->callback_url, prev->callback_url, "");
    ngx_conf_merge_size_value(conf->json.max_size, prev->json.max_size, FOODSVC_JSON_MAX_SIZE);
    ngx_conf_merge_size_value(conf->json.max_depth, prev->json.max_depth, FOODSVC_JSON_MAX_DEPTH);
    ngx_conf_merge_size_value(conf->max_answer, prev->max_answer, 65536);
    ngx_conf_merge_msec_value(conf->deadline, prev->deadline, 10000);
    ngx_conf_merge_msec_value(conf->callback_wait, prev->callback_wait, 120000);
    ngx_conf_merge_msec_value(conf->card_key_life, prev->card_key_life, 23 * 3600 * 1000);
    ngx_conf_merge_msec_value(conf->health_timeout, prev->health_timeout, 2000);
    ngx_conf_merge_msec_value(conf->url_ttl, prev->url_ttl, 2000);
    ngx_conf_merge_uint_value(conf->page, prev->page, 200);
    ngx_conf_merge_uint_value(conf->retry_after, prev->retry_after, 1);

    if (conf->role == NGX_HTTP_FOODSVC_NONE) {
        return NGX_CONF_OK;
    }

    return ngx_http_foodsvc_check_role(cf, conf);
}
