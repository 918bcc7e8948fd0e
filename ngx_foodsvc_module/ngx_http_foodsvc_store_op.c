/*
 * The store's ops: made, freed, and given the results that need no thread. All of it runs in the event loop.
 */
#include "ngx_http_foodsvc_store_thread.h"
#include <netdb.h>


static void ngx_http_foodsvc_store_destroy(ngx_http_foodsvc_op_t *base);


ngx_http_foodsvc_store_op_t *
ngx_http_foodsvc_store_op(ngx_http_foodsvc_store_kind_e kind)
{
    ngx_http_foodsvc_store_op_t  *op;

    op = ngx_calloc(sizeof(ngx_http_foodsvc_store_op_t), ngx_cycle->log);
    if (op == NULL) {
        return NULL;
    }

    op->kind = kind;
    op->op.destroy = ngx_http_foodsvc_store_destroy;

    return op;
}


static void
ngx_http_foodsvc_store_destroy(ngx_http_foodsvc_op_t *base)
{
    ngx_http_foodsvc_store_op_t  *op;

    op = (ngx_http_foodsvc_store_op_t *) base;

    switch (op->kind) {
    case NGX_HTTP_FOODSVC_STORE_ORDER_INSERT:
    case NGX_HTTP_FOODSVC_STORE_ORDER_FIND:
    case NGX_HTTP_FOODSVC_STORE_ORDER_DELETE:
        foodsvc_order_free(op->u.order.order);
        break;

    case NGX_HTTP_FOODSVC_STORE_ORDER_CHANGE:
        foodsvc_order_free(op->u.change.order);
        break;

    case NGX_HTTP_FOODSVC_STORE_ORDER_PAGE:
        foodsvc_store_page_clear(&op->u.page);
        if (op->u.page.after) {
            bson_destroy(op->u.page.after);
        }
        break;

    case NGX_HTTP_FOODSVC_STORE_PAYMENT_CHANGE:
        foodsvc_payment_free(op->u.payment.insert);
        foodsvc_payment_free(op->u.payment.payment);
        break;

    case NGX_HTTP_FOODSVC_STORE_KEY_BEGIN:
    case NGX_HTTP_FOODSVC_STORE_KEY_END:
        free(op->u.key.body);
        break;

    default:
        break;
    }

    ngx_free(op);
}


ngx_int_t
ngx_http_foodsvc_store_resolve_numeric(ngx_http_foodsvc_store_op_t *op)
{
    ngx_http_foodsvc_store_resolve(op, AI_NUMERICHOST);

    return op->rc == FOODSVC_STORE_OK ? NGX_OK : NGX_DECLINED;
}


/* The result of an op that no thread has taken. */

void
ngx_http_foodsvc_store_left(ngx_http_foodsvc_store_op_t *op)
{
    op->rc = FOODSVC_STORE_UNAVAILABLE;
    (void) ngx_cpystrn((u_char *) op->err, (u_char *) "the worker process ends", FOODSVC_ERR);

    switch (op->kind) {
    case NGX_HTTP_FOODSVC_STORE_ORDER_INSERT:
    case NGX_HTTP_FOODSVC_STORE_ORDER_FIND:
    case NGX_HTTP_FOODSVC_STORE_ORDER_DELETE:
        op->u.order.rc = op->rc;
        break;

    case NGX_HTTP_FOODSVC_STORE_ORDER_CHANGE:
        op->u.change.rc = op->rc;
        break;

    case NGX_HTTP_FOODSVC_STORE_ORDER_PAGE:
        op->u.page.rc = op->rc;
        break;

    case NGX_HTTP_FOODSVC_STORE_PAYMENT_CHANGE:
        op->u.payment.rc = op->rc;
        break;

    case NGX_HTTP_FOODSVC_STORE_KEY_BEGIN:
    case NGX_HTTP_FOODSVC_STORE_KEY_END:
        op->u.key.rc = op->rc;
        break;

    default:
        break;
    }
}
