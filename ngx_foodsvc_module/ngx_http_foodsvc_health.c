/*
 * GET /health: certificate, MongoDB, RabbitMQ and every service that this one calls, asked side by side. What has not
 * answered within foodsvc_health_timeout counts as down.
 */
#include "ngx_http_foodsvc_core.h"
#include <ngx_http_ssl_module.h>


#define NGX_HTTP_FOODSVC_HEALTH_MAX  8

typedef struct {
    const char               *name;
    ngx_uint_t                up;
    ngx_http_foodsvc_call_t   call;
} ngx_http_foodsvc_resource_t;

typedef struct {
    const char                   *name;
    int                           days;
    ngx_uint_t                    pending;
    ngx_uint_t                    n;
    ngx_http_foodsvc_resource_t   resources[NGX_HTTP_FOODSVC_HEALTH_MAX];
} ngx_http_foodsvc_health_t;

static ngx_http_foodsvc_resource_t *ngx_http_foodsvc_health_add(ngx_http_foodsvc_health_t *health, const char *name);
static void ngx_http_foodsvc_health_certificate(ngx_http_foodsvc_ctx_t *ctx);
static void ngx_http_foodsvc_health_mongo(ngx_http_foodsvc_ctx_t *ctx);
static void ngx_http_foodsvc_health_pinged(ngx_http_foodsvc_op_t *op);
static void ngx_http_foodsvc_health_rabbitmq(ngx_http_foodsvc_ctx_t *ctx);
static void ngx_http_foodsvc_health_checked(ngx_http_foodsvc_op_t *op);
static void ngx_http_foodsvc_health_service(ngx_http_foodsvc_ctx_t *ctx, ngx_http_foodsvc_resource_t *resource);
static void ngx_http_foodsvc_health_answered(ngx_http_foodsvc_ctx_t *ctx, ngx_http_foodsvc_call_t *call);
static void ngx_http_foodsvc_health_one(ngx_http_foodsvc_ctx_t *ctx, ngx_http_foodsvc_resource_t *resource,
    ngx_uint_t up);
static void ngx_http_foodsvc_health_reply(ngx_http_foodsvc_ctx_t *ctx);


/* The order of the recorded answers. */
static const char  *ngx_http_foodsvc_order_calls[] = {
    FOODSVC_PAYMENT_SERVICE, FOODSVC_KITCHEN_SERVICE, FOODSVC_DELIVERY_SERVICE, FOODSVC_CUSTOMER_SERVICE, NULL
};

static const char  *ngx_http_foodsvc_payment_calls[] = { FOODSVC_CUSTOMER_SERVICE, NULL };

enum { NGX_HTTP_FOODSVC_CERTIFICATE = 0, NGX_HTTP_FOODSVC_MONGODB, NGX_HTTP_FOODSVC_RABBITMQ };


void
ngx_http_foodsvc_health(ngx_http_foodsvc_ctx_t *ctx)
{
    ngx_uint_t                   payment, i;
    const char                 **services;
    ngx_http_foodsvc_health_t   *health;

    health = ngx_pcalloc(ctx->request->pool, sizeof(ngx_http_foodsvc_health_t));
    if (health == NULL) {
        ngx_http_foodsvc_reply_detail(ctx, NGX_HTTP_INTERNAL_SERVER_ERROR, "Internal Server Error");
        return;
    }

    payment = (ctx->conf->role == NGX_HTTP_FOODSVC_PAYMENT || ctx->conf->role == NGX_HTTP_FOODSVC_PAYMENT_HEALTH);
    services = payment ? ngx_http_foodsvc_payment_calls : ngx_http_foodsvc_order_calls;

    ctx->flow = health;
    ctx->late = ngx_http_foodsvc_health_reply;
    ngx_add_timer(&ctx->timer, ctx->conf->health_timeout);

    health->name = payment ? FOODSVC_PAYMENT_SERVICE : FOODSVC_ORDER_SERVICE;
    health->pending = 1;        /* this function's */

    (void) ngx_http_foodsvc_health_add(health, "Certificate.valid");
    (void) ngx_http_foodsvc_health_add(health, "MongoDb");
    (void) ngx_http_foodsvc_health_add(health, "RabbitMQ");

    ngx_http_foodsvc_health_certificate(ctx);
    ngx_http_foodsvc_health_mongo(ctx);
    ngx_http_foodsvc_health_rabbitmq(ctx);

    for (i = 0; services[i]; i++) {
        ngx_http_foodsvc_health_service(ctx, ngx_http_foodsvc_health_add(health, services[i]));
    }

    if (--health->pending == 0) {
        ngx_http_foodsvc_health_reply(ctx);
    }
}


static ngx_http_foodsvc_resource_t *
ngx_http_foodsvc_health_add(ngx_http_foodsvc_health_t *health, const char *name)
{
    ngx_http_foodsvc_resource_t  *resource = &health->resources[health->n++];

    resource->name = name;

    return resource;
}


/* The one that the server shows; without TLS, the one that foodsvc_certificate names. */
static void
ngx_http_foodsvc_health_certificate(ngx_http_foodsvc_ctx_t *ctx)
{
    int                         days, seconds;
    X509                       *certificate = ctx->conf->certificate;
    ngx_http_ssl_srv_conf_t    *sscf;
    ngx_http_foodsvc_health_t  *health = ctx->flow;

    sscf = ngx_http_get_module_srv_conf(ctx->request, ngx_http_ssl_module);

    if (sscf && sscf->ssl.ctx && SSL_CTX_get0_certificate(sscf->ssl.ctx)) {
        certificate = SSL_CTX_get0_certificate(sscf->ssl.ctx);
    }

    if (certificate == NULL || ASN1_TIME_diff(&days, &seconds, NULL, X509_get0_notAfter(certificate)) != 1) {
        return;
    }

    health->days = days;
    health->resources[NGX_HTTP_FOODSVC_CERTIFICATE].up =
        X509_cmp_current_time(X509_get0_notBefore(certificate)) < 0
        && X509_cmp_current_time(X509_get0_notAfter(certificate)) > 0;
}


static void
ngx_http_foodsvc_health_mongo(ngx_http_foodsvc_ctx_t *ctx)
{
    ngx_http_foodsvc_health_t    *health = ctx->flow;
    ngx_http_foodsvc_store_op_t  *op;

    op = ngx_http_foodsvc_store_op(NGX_HTTP_FOODSVC_STORE_PING);
    if (op == NULL) {
        return;
    }

    op->op.done = ngx_http_foodsvc_health_pinged;

    if (ngx_http_foodsvc_store_submit(op) != NGX_OK) {
        op->op.destroy(&op->op);
        return;
    }

    ngx_http_foodsvc_wait(ctx, &op->op);
    health->pending++;
}


static void
ngx_http_foodsvc_health_pinged(ngx_http_foodsvc_op_t *op)
{
    ngx_http_foodsvc_ctx_t       *ctx;
    ngx_http_foodsvc_health_t    *health;
    ngx_http_foodsvc_store_op_t  *pinged = (ngx_http_foodsvc_store_op_t *) op;

    ctx = ngx_http_foodsvc_arrived(op);

    if (ctx) {
        health = ctx->flow;
        ngx_http_foodsvc_health_one(ctx, &health->resources[NGX_HTTP_FOODSVC_MONGODB], pinged->rc == FOODSVC_STORE_OK);
    }
}


static void
ngx_http_foodsvc_health_rabbitmq(ngx_http_foodsvc_ctx_t *ctx)
{
    ngx_http_foodsvc_health_t      *health = ctx->flow;
    ngx_http_foodsvc_publish_op_t  *op;

    op = ngx_http_foodsvc_publish_op();
    if (op == NULL) {
        return;
    }

    op->check = 1;
    op->timeout = ctx->conf->health_timeout;
    op->op.done = ngx_http_foodsvc_health_checked;

    if (ngx_http_foodsvc_publish(op) != NGX_OK) {
        op->op.destroy(&op->op);
        return;
    }

    ngx_http_foodsvc_wait(ctx, &op->op);
    health->pending++;
}


static void
ngx_http_foodsvc_health_checked(ngx_http_foodsvc_op_t *op)
{
    ngx_http_foodsvc_ctx_t         *ctx;
    ngx_http_foodsvc_health_t      *health;
    ngx_http_foodsvc_publish_op_t  *checked = (ngx_http_foodsvc_publish_op_t *) op;

    ctx = ngx_http_foodsvc_arrived(op);

    if (ctx) {
        health = ctx->flow;
        ngx_http_foodsvc_health_one(ctx, &health->resources[NGX_HTTP_FOODSVC_RABBITMQ],
                                    checked->rc == NGX_HTTP_FOODSVC_PUBLISHED);
    }
}


static void
ngx_http_foodsvc_health_service(ngx_http_foodsvc_ctx_t *ctx, ngx_http_foodsvc_resource_t *resource)
{
    ngx_http_foodsvc_call_t    *call = &resource->call;
    ngx_http_foodsvc_health_t  *health = ctx->flow;

    call->service = resource->name;
    call->method = "GET";
    call->path = FOODSVC_PATH_HEALTH;
    call->done = ngx_http_foodsvc_health_answered;
    call->data = resource;

    health->pending++;
    ngx_http_foodsvc_call(ctx, call);
}


static void
ngx_http_foodsvc_health_answered(ngx_http_foodsvc_ctx_t *ctx, ngx_http_foodsvc_call_t *call)
{
    ngx_uint_t  up;

    up = call->outcome == NGX_HTTP_FOODSVC_ANSWERED
         && call->status == NGX_HTTP_OK
         && foodsvc_health_parse(call->answer, call->answer_len, &ctx->conf->json);

    ngx_http_foodsvc_health_one(ctx, call->data, up);
}


static void
ngx_http_foodsvc_health_one(ngx_http_foodsvc_ctx_t *ctx, ngx_http_foodsvc_resource_t *resource, ngx_uint_t up)
{
    ngx_http_foodsvc_health_t  *health = ctx->flow;

    resource->up = up;

    if (--health->pending == 0) {
        ngx_http_foodsvc_health_reply(ctx);
    }
}


/* All names are ours: nothing to escape. */
static void
ngx_http_foodsvc_health_reply(ngx_http_foodsvc_ctx_t *ctx)
{
    u_char                       text[1024], *p, *end;
    ngx_uint_t                   i, up;
    ngx_http_foodsvc_health_t   *health = ctx->flow;

    up = 1;

    for (i = 0; i < health->n; i++) {
        up &= health->resources[i].up;
    }

    end = text + sizeof(text);
    p = ngx_slprintf(text, end, "{\"name\":\"%s\",\"status\":%s,\"version\":\"%s\",\"cert_remaining_days\":%d,"
                     "\"resources\":[", health->name, up ? "true" : "false", FOODSVC_VERSION, health->days);

    for (i = 0; i < health->n; i++) {
        p = ngx_slprintf(p, end, "%s{\"name\":\"%s\",\"status\":%s}", i ? "," : "", health->resources[i].name,
                         health->resources[i].up ? "true" : "false");
    }

    ngx_http_foodsvc_reply_copy(ctx, up ? NGX_HTTP_OK : NGX_HTTP_INTERNAL_SERVER_ERROR, (char *) text, p - text, "]}");
}
