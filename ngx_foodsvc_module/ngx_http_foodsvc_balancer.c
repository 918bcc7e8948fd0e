/*
 * foodsvc_partners, the balancer inside upstream{}: connects to the addresses that the call found. `keepalive` behind
 * it keeps the connections, by address.
 */
#include "ngx_http_foodsvc_core.h"


static ngx_int_t ngx_http_foodsvc_partners_init(ngx_conf_t *cf, ngx_http_upstream_srv_conf_t *us);
static ngx_int_t ngx_http_foodsvc_partners_init_peer(ngx_http_request_t *r, ngx_http_upstream_srv_conf_t *us);
static ngx_int_t ngx_http_foodsvc_partners_get(ngx_peer_connection_t *pc, void *data);
static void ngx_http_foodsvc_partners_free(ngx_peer_connection_t *pc, void *data, ngx_uint_t state);
#if (NGX_HTTP_SSL)
static ngx_int_t ngx_http_foodsvc_partners_set_session(ngx_peer_connection_t *pc, void *data);
static void ngx_http_foodsvc_partners_save_session(ngx_peer_connection_t *pc, void *data);
#endif


char *
ngx_http_foodsvc_conf_partners(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_upstream_server_t    *server;
    ngx_http_upstream_srv_conf_t  *uscf;
    ngx_http_foodsvc_main_conf_t  *mcf = conf;

    if (mcf->partners.len) {
        return "is duplicate: one upstream serves all partners";
    }

    uscf = ngx_http_conf_get_module_srv_conf(cf, ngx_http_upstream_module);

    if (uscf->servers->nelts || uscf->peer.init_upstream) {
        return "must stand alone: before \"keepalive\", and without \"server\" or another load balancing method";
    }

    /* an upstream{} without a server is refused; this one is never asked for */
    server = ngx_array_push(uscf->servers);
    if (server == NULL) {
        return NGX_CONF_ERROR;
    }

    ngx_memzero(server, sizeof(ngx_http_upstream_server_t));
    server->name = uscf->host;

    uscf->peer.init_upstream = ngx_http_foodsvc_partners_init;
    mcf->partners = uscf->host;

    return NGX_CONF_OK;
}


static ngx_int_t
ngx_http_foodsvc_partners_init(ngx_conf_t *cf, ngx_http_upstream_srv_conf_t *us)
{
    us->peer.init = ngx_http_foodsvc_partners_init_peer;

    return NGX_OK;
}


static ngx_int_t
ngx_http_foodsvc_partners_init_peer(ngx_http_request_t *r, ngx_http_upstream_srv_conf_t *us)
{
    ngx_http_upstream_t      *u = r->upstream;
    ngx_http_foodsvc_call_t  *call;

    call = ngx_http_foodsvc_call_of(r);

    if (call == NULL || call->target.naddrs == 0) {
        ngx_log_error(NGX_LOG_ERR, r->connection->log, 0, "foodsvc: upstream \"%V\" is for the module's own calls",
                      &us->host);
        return NGX_ERROR;
    }

    /* With buffering, nginx holds what a background subrequest reads until the end, and stalls when its buffers
       are full. */
    u->buffering = 0;

    u->peer.data = &call->target;
    u->peer.get = ngx_http_foodsvc_partners_get;
    u->peer.free = ngx_http_foodsvc_partners_free;
    u->peer.tries = call->target.naddrs;
#if (NGX_HTTP_SSL)
    u->peer.set_session = ngx_http_foodsvc_partners_set_session;
    u->peer.save_session = ngx_http_foodsvc_partners_save_session;
#endif

    return NGX_OK;
}


static ngx_int_t
ngx_http_foodsvc_partners_get(ngx_peer_connection_t *pc, void *data)
{
    ngx_addr_t                 *addr;
    ngx_http_foodsvc_target_t  *target = data;

    addr = &target->addrs[target->next++ % target->naddrs];

    pc->sockaddr = addr->sockaddr;
    pc->socklen = addr->socklen;
    pc->name = &addr->name;
    pc->cached = 0;
    pc->connection = NULL;

    return NGX_OK;
}


static void
ngx_http_foodsvc_partners_free(ngx_peer_connection_t *pc, void *data, ngx_uint_t state)
{
    if (pc->tries) {
        pc->tries--;
    }
}


#if (NGX_HTTP_SSL)

/* Sessions are not kept: the connections are. */
static ngx_int_t
ngx_http_foodsvc_partners_set_session(ngx_peer_connection_t *pc, void *data)
{
    return NGX_OK;
}


static void
ngx_http_foodsvc_partners_save_session(ngx_peer_connection_t *pc, void *data)
{
}

#endif
