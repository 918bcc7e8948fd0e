/*
 * What the core's own files share and the handlers need not know.
 */
#ifndef NGX_HTTP_FOODSVC_CORE_H
#define NGX_HTTP_FOODSVC_CORE_H

#include "ngx_http_foodsvc_module.h"
#include "foodsvc_allow.h"
#include "foodsvc_scope.h"
#include "foodsvc_url.h"

/* A location that has a role, and the server it is in. */
typedef struct {
    ngx_http_foodsvc_loc_conf_t  *conf;
    ngx_http_core_srv_conf_t     *server;
} ngx_http_foodsvc_role_t;

/* An address in the worker's table: valid until the event loop is entered again. */
struct ngx_http_foodsvc_address_s {
    foodsvc_url_t  url;
    ngx_uint_t     naddrs;
    struct {
        struct sockaddr_storage  sockaddr;
        socklen_t                socklen;
    }              addrs[NGX_HTTP_FOODSVC_STORE_ADDRS];
};

/* --- ngx_http_foodsvc_conf.c: setters, and the checks when all is parsed --- */

char *ngx_http_foodsvc_conf_role(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);
/* ngx_http_foodsvc_conf_servers.c */
char *ngx_http_foodsvc_conf_mongo(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);
char *ngx_http_foodsvc_conf_redis(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);
char *ngx_http_foodsvc_conf_rabbitmq(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);
/* ngx_http_foodsvc_conf.c */
char *ngx_http_foodsvc_conf_url(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);
char *ngx_http_foodsvc_conf_service_url(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);
char *ngx_http_foodsvc_conf_allow(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);
char *ngx_http_foodsvc_conf_location(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);
char *ngx_http_foodsvc_conf_certificate(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);
char *ngx_http_foodsvc_conf_key_hash(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);
char *ngx_http_foodsvc_conf_keys_file(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);
char *ngx_http_foodsvc_conf_partner_key(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);

/* ngx_http_foodsvc_check.c: a location, when it is merged; all, at the end. */

/* What a limit may be: the last argument of its ngx_command_t. The value is of the width of ngx_uint_t. */
typedef struct {
    ngx_conf_post_handler_pt  handler;      /* ngx_http_foodsvc_conf_range */
    ngx_uint_t                min, max;
    const char               *unit;
} ngx_http_foodsvc_range_t;

char *ngx_http_foodsvc_conf_range(ngx_conf_t *cf, void *post, void *data);
char *ngx_http_foodsvc_check_role(ngx_conf_t *cf, ngx_http_foodsvc_loc_conf_t *conf);
ngx_int_t ngx_http_foodsvc_check_all(ngx_conf_t *cf);

/* ngx_http_foodsvc_conf_file.c: a file's text, or its first line without blanks at its ends. NUL-terminated behind len;
   at most max bytes. */
ngx_int_t ngx_http_foodsvc_read_file(ngx_conf_t *cf, ngx_str_t *path, size_t max, ngx_str_t *text);
ngx_int_t ngx_http_foodsvc_first_line(ngx_conf_t *cf, ngx_str_t *path, size_t max, ngx_str_t *line);

/* --- ngx_http_foodsvc_shown.c: what handlers call is in ngx_http_foodsvc_flow.h --- */

#define NGX_HTTP_FOODSVC_SHOWN_MIN      ngx_max(65536, 8 * (ssize_t) ngx_pagesize)
#define NGX_HTTP_FOODSVC_SHOWN_DEFAULT  4194304     /* bytes */
/*
 * ms. Who could not write to Redis is back there some 3.5 s after it is: orderd's time-out of 0.5 s, its longest
 * backoff of 2.5 s, and the half second after which it looks again; nginx needs less.
 */
#define NGX_HTTP_FOODSVC_SHOWN_SETTLE   5000

/* The zone of this name and size; NULL: there is another, or no memory. */
ngx_shm_zone_t *ngx_http_foodsvc_shown_add(ngx_conf_t *cf, size_t size);
/* NULL: there is none, and everything in the cache is believed. settle: ms, see ngx_http_foodsvc_shown_knows(). */
void ngx_http_foodsvc_shown_init_process(ngx_shm_zone_t *zone, ngx_msec_t settle);
/* ngx_http_foodsvc_conf_servers.c */
char *ngx_http_foodsvc_conf_shown(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);

/* --- ngx_http_foodsvc_key.c --- */

ngx_int_t ngx_http_foodsvc_key_init(ngx_log_t *log);
void ngx_http_foodsvc_key_done(void);
/* One of the configured keys. */
typedef struct {
    u_char      hash[NGX_HTTP_FOODSVC_HASH];
    ngx_uint_t  scopes;                             /* FOODSVC_SCOPE_*; 0: none is named, which means all */
} ngx_http_foodsvc_known_t;

/* What the key that the request shows may do, FOODSVC_SCOPE_*; 0: none is shown, or a wrong one. Its hash is in
   ctx->client then. NGX_ERROR: no memory to tell. */
ngx_int_t ngx_http_foodsvc_key_scopes(ngx_http_foodsvc_ctx_t *ctx, ngx_uint_t *scopes);
/* Nobody asks for the keys that the request shows again, right or wrong, and their buffer lives as long as the
   connection. */
void ngx_http_foodsvc_key_wipe(ngx_http_request_t *r);
/* SHA-256 of the parts, one behind the other, as hex digits. */
ngx_int_t ngx_http_foodsvc_sha256(ngx_str_t parts[], ngx_uint_t n, char hex[2 * NGX_HTTP_FOODSVC_HASH + 1]);
/* How often the request has this header; value: the first's. */
ngx_uint_t ngx_http_foodsvc_header_in(ngx_http_request_t *r, const char *name, ngx_str_t *value);


/* --- ngx_http_foodsvc_route.c --- */

typedef struct {
    ngx_http_foodsvc_role_e      role;
    ngx_str_t                    path;          /* "{id}" stands for one segment */
    ngx_uint_t                   method;
    ngx_http_foodsvc_handler_pt  handler;
    ngx_uint_t                   body;          /* the handler gets the request's body */
    ngx_uint_t                   scope;         /* that the key needs; 0: none is asked for */
} ngx_http_foodsvc_route_t;

/* NULL: answered. */
const ngx_http_foodsvc_route_t *ngx_http_foodsvc_route(ngx_http_foodsvc_ctx_t *ctx);
/* 405; Allow names every method that the path has for the role, for any role when that is NONE. */
void ngx_http_foodsvc_not_allowed(ngx_http_foodsvc_ctx_t *ctx, ngx_http_foodsvc_role_e role, ngx_str_t *path);

/* --- ngx_http_foodsvc_request.c --- */

/* The content handler. */
ngx_int_t ngx_http_foodsvc_handler(ngx_http_request_t *r);
/* From now on nothing waits any more: the process ends. */
void ngx_http_foodsvc_request_exit(void);

/* --- ngx_http_foodsvc_reply.c, ngx_http_foodsvc_stream.c --- */

/* value lives as long as the request. */
ngx_int_t ngx_http_foodsvc_header(ngx_http_request_t *r, const char *name, ngx_str_t *value);
/* The answer's head, as all answers of ours have it. */
void ngx_http_foodsvc_head(ngx_http_request_t *r, ngx_uint_t status, off_t len);
void ngx_http_foodsvc_post(ngx_http_foodsvc_ctx_t *ctx, ngx_event_handler_pt handler);
/* Sends the answer that is made: what ctx->before ends with. */
void ngx_http_foodsvc_reply_now(ngx_http_foodsvc_ctx_t *ctx);
/* ngx_http_foodsvc_idempotency.c: the request dies, or waits no longer. */
void ngx_http_foodsvc_idempotent_forget(ngx_http_foodsvc_ctx_t *ctx);
/* The answer could not be made: what is sent instead is not what repeats get. */
void ngx_http_foodsvc_idempotent_unkeep(ngx_http_foodsvc_ctx_t *ctx);
void ngx_http_foodsvc_reply_error_page(ngx_http_foodsvc_ctx_t *ctx);

/* --- ngx_http_foodsvc_address.c --- */

ngx_int_t ngx_http_foodsvc_address_init(ngx_cycle_t *cycle);
/*
 * setting: the url when it is configured, else NULL; allow: where a url that is found may lead (foodsvc_allow_rule_t),
 * or NULL. lookup->done fires once, perhaps before this returns.
 */
void ngx_http_foodsvc_address(const char *service, ngx_str_t *setting, ngx_array_t *allow, ngx_msec_t ttl,
    ngx_http_foodsvc_lookup_t *lookup);
void ngx_http_foodsvc_address_cancel(ngx_http_foodsvc_lookup_t *lookup);

/* --- ngx_http_foodsvc_partner_request.c --- */

/* Copies the address into the call's target. */
ngx_int_t ngx_http_foodsvc_call_target(ngx_http_foodsvc_call_t *call, ngx_http_foodsvc_address_t *address);
/* Posts the subrequest; done fires as nginx's post_subrequest handlers do. */
ngx_int_t ngx_http_foodsvc_call_send(ngx_http_foodsvc_call_t *call, ngx_http_post_subrequest_pt done);

/* --- ngx_http_foodsvc_partner.c, ngx_http_foodsvc_balancer.c, ngx_http_foodsvc_variables.c --- */

/* The request is answered: calls that still run are cut off, and none begins. done does not fire for them. */
void ngx_http_foodsvc_calls_stop(ngx_http_foodsvc_ctx_t *ctx);
/* The request dies: what its calls own is freed. */
void ngx_http_foodsvc_calls_cleanup(ngx_http_foodsvc_ctx_t *ctx);
/* The call that r is the subrequest of, or NULL. */
ngx_http_foodsvc_call_t *ngx_http_foodsvc_call_of(ngx_http_request_t *r);
char *ngx_http_foodsvc_conf_partners(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);
ngx_int_t ngx_http_foodsvc_variables(ngx_conf_t *cf);

#endif
