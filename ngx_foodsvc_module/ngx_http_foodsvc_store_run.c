/*
 * What a store thread does with a batch: the calls of foodsvc_store.h, which block, and the resolving of names, which
 * blocks as well. Every op gets its result in rc and err; the event loop logs it.
 */
#include "ngx_http_foodsvc_store_thread.h"
#include <netdb.h>
#include "foodsvc_url.h"


static void ngx_http_foodsvc_store_run_orders(foodsvc_store_t *store, ngx_http_foodsvc_store_op_t *ops[],
    ngx_uint_t n);
static void ngx_http_foodsvc_store_run_changes(foodsvc_store_t *store, ngx_http_foodsvc_store_op_t *ops[],
    ngx_uint_t n);
static void ngx_http_foodsvc_store_run_payments(foodsvc_store_t *store, ngx_http_foodsvc_store_op_t *ops[],
    ngx_uint_t n);
static void ngx_http_foodsvc_store_run_marks(foodsvc_store_t *store, ngx_http_foodsvc_store_op_t *ops[],
    ngx_uint_t n);
static void ngx_http_foodsvc_store_run_keys(foodsvc_store_t *store, ngx_http_foodsvc_store_op_t *ops[],
    ngx_uint_t n);
static void ngx_http_foodsvc_store_run_url(foodsvc_store_t *store, ngx_http_foodsvc_store_op_t *op);
static foodsvc_store_rc_e ngx_http_foodsvc_store_resolve_rc(int rc);


void
ngx_http_foodsvc_store_run(foodsvc_store_t *store, ngx_http_foodsvc_store_op_t *ops[], ngx_uint_t n)
{
    ngx_http_foodsvc_store_op_t  *op;

    op = ops[0];

    switch (op->kind) {
    case NGX_HTTP_FOODSVC_STORE_ORDER_INSERT:
    case NGX_HTTP_FOODSVC_STORE_ORDER_FIND:
    case NGX_HTTP_FOODSVC_STORE_ORDER_DELETE:
        ngx_http_foodsvc_store_run_orders(store, ops, n);
        break;

    case NGX_HTTP_FOODSVC_STORE_ORDER_CHANGE:
        ngx_http_foodsvc_store_run_changes(store, ops, n);
        break;

    case NGX_HTTP_FOODSVC_STORE_ORDER_PAGE:
        foodsvc_store_orders_page(store, &op->u.page);
        op->rc = op->u.page.rc;
        ngx_memcpy(op->err, op->u.page.err, FOODSVC_ERR);
        break;

    case NGX_HTTP_FOODSVC_STORE_PAYMENT_CHANGE:
        ngx_http_foodsvc_store_run_payments(store, ops, n);
        break;

    case NGX_HTTP_FOODSVC_STORE_OUTBOX_CLEAR:
        ngx_http_foodsvc_store_run_marks(store, ops, n);
        break;

    case NGX_HTTP_FOODSVC_STORE_KEY_BEGIN:
    case NGX_HTTP_FOODSVC_STORE_KEY_END:
        ngx_http_foodsvc_store_run_keys(store, ops, n);
        break;

    case NGX_HTTP_FOODSVC_STORE_URL_FIND:
    case NGX_HTTP_FOODSVC_STORE_RESOLVE:
        ngx_http_foodsvc_store_run_url(store, op);
        break;

    case NGX_HTTP_FOODSVC_STORE_PING:
        op->rc = foodsvc_store_ping(store, op->err);
        break;

    case NGX_HTTP_FOODSVC_STORE_KINDS:
        break;
    }
}


static void
ngx_http_foodsvc_store_run_orders(foodsvc_store_t *store, ngx_http_foodsvc_store_op_t *ops[], ngx_uint_t n)
{
    ngx_uint_t                 i;
    foodsvc_store_order_op_t  *orders[FOODSVC_STORE_BATCH];

    for (i = 0; i < n; i++) {
        orders[i] = &ops[i]->u.order;
    }

    switch (ops[0]->kind) {
    case NGX_HTTP_FOODSVC_STORE_ORDER_INSERT:
        foodsvc_store_orders_insert(store, orders, n);
        break;

    case NGX_HTTP_FOODSVC_STORE_ORDER_FIND:
        foodsvc_store_orders_find(store, orders, n);
        break;

    default:
        foodsvc_store_orders_delete(store, orders, n);
        break;
    }

    for (i = 0; i < n; i++) {
        ops[i]->rc = orders[i]->rc;
        ngx_memcpy(ops[i]->err, orders[i]->err, FOODSVC_ERR);
    }
}


static void
ngx_http_foodsvc_store_run_changes(foodsvc_store_t *store, ngx_http_foodsvc_store_op_t *ops[], ngx_uint_t n)
{
    ngx_uint_t                  i;
    foodsvc_store_change_op_t  *changes[FOODSVC_STORE_BATCH];

    for (i = 0; i < n; i++) {
        changes[i] = &ops[i]->u.change;
    }

    foodsvc_store_orders_change(store, changes, n);

    for (i = 0; i < n; i++) {
        ops[i]->rc = changes[i]->rc;
        ngx_memcpy(ops[i]->err, changes[i]->err, FOODSVC_ERR);
    }
}


static void
ngx_http_foodsvc_store_run_payments(foodsvc_store_t *store, ngx_http_foodsvc_store_op_t *ops[], ngx_uint_t n)
{
    ngx_uint_t                   i;
    foodsvc_store_payment_op_t  *payments[FOODSVC_STORE_BATCH];

    for (i = 0; i < n; i++) {
        payments[i] = &ops[i]->u.payment;
    }

    foodsvc_store_payments_change(store, payments, n);

    for (i = 0; i < n; i++) {
        ops[i]->rc = payments[i]->rc;
        ngx_memcpy(ops[i]->err, payments[i]->err, FOODSVC_ERR);
    }
}


static void
ngx_http_foodsvc_store_run_marks(foodsvc_store_t *store, ngx_http_foodsvc_store_op_t *ops[], ngx_uint_t n)
{
    char                  err[FOODSVC_ERR];
    ngx_uint_t            i;
    foodsvc_store_rc_e    rc;
    foodsvc_store_mark_t  marks[FOODSVC_STORE_BATCH];

    marks[0] = ops[0]->u.mark;      /* n > 0, which the compiler does not know */

    for (i = 1; i < n; i++) {
        marks[i] = ops[i]->u.mark;
    }

    rc = foodsvc_store_outbox_clear(store, marks, n, err);

    for (i = 0; i < n; i++) {
        ops[i]->rc = rc;
        ngx_memcpy(ops[i]->err, err, FOODSVC_ERR);
    }
}


static void
ngx_http_foodsvc_store_run_keys(foodsvc_store_t *store, ngx_http_foodsvc_store_op_t *ops[], ngx_uint_t n)
{
    ngx_uint_t               i;
    foodsvc_store_key_op_t  *keys[FOODSVC_STORE_BATCH];

    for (i = 0; i < n; i++) {
        keys[i] = &ops[i]->u.key;
    }

    if (ops[0]->kind == NGX_HTTP_FOODSVC_STORE_KEY_BEGIN) {
        foodsvc_store_keys_begin(store, keys, n);

    } else {
        foodsvc_store_keys_end(store, keys, n);
    }

    for (i = 0; i < n; i++) {
        ops[i]->rc = keys[i]->rc;
        ngx_memcpy(ops[i]->err, keys[i]->err, FOODSVC_ERR);
    }
}


static void
ngx_http_foodsvc_store_run_url(foodsvc_store_t *store, ngx_http_foodsvc_store_op_t *op)
{
    char  name[sizeof(op->u.url.url.name)];

    if (op->kind == NGX_HTTP_FOODSVC_STORE_URL_FIND) {
        ngx_memcpy(name, op->u.url.url.name, sizeof(name));
        op->rc = foodsvc_store_url_find(store, name, &op->u.url.url, op->err);

        if (op->rc != FOODSVC_STORE_OK) {
            return;
        }
    }

    ngx_http_foodsvc_store_resolve(op, AI_ADDRCONFIG);
}


void
ngx_http_foodsvc_store_resolve(ngx_http_foodsvc_store_op_t *op, int flags)
{
    int               rc;
    char              port[8];
    foodsvc_url_t     url;
    struct addrinfo   hints, *list, *ai;

    op->u.url.naddrs = 0;

    if (!foodsvc_url_parse(op->u.url.url.url, ngx_strlen(op->u.url.url.url), &url, op->err, FOODSVC_ERR)) {
        op->rc = FOODSVC_STORE_UNREADABLE;
        return;
    }

    ngx_memzero(&hints, sizeof(struct addrinfo));
    hints.ai_family = AF_UNSPEC;
    hints.ai_socktype = SOCK_STREAM;
    hints.ai_flags = flags|AI_NUMERICSERV;

    (void) snprintf(port, sizeof(port), "%u", (unsigned) url.port);
    rc = getaddrinfo(url.host, port, &hints, &list);

    if (rc == EAI_ADDRFAMILY || rc == EAI_NODATA) {
        /* a machine without a network still has its loopback names */
        hints.ai_flags &= ~AI_ADDRCONFIG;
        rc = getaddrinfo(url.host, port, &hints, &list);
    }

    if (rc != 0) {
        op->rc = ngx_http_foodsvc_store_resolve_rc(rc);
        (void) snprintf(op->err, FOODSVC_ERR, "host %.150s: %s", url.host, gai_strerror(rc));
        return;
    }

    for (ai = list; ai && op->u.url.naddrs < NGX_HTTP_FOODSVC_STORE_ADDRS; ai = ai->ai_next) {
        ngx_memcpy(&op->u.url.addrs[op->u.url.naddrs].sockaddr, ai->ai_addr, ai->ai_addrlen);
        op->u.url.addrs[op->u.url.naddrs].socklen = ai->ai_addrlen;
        op->u.url.naddrs++;
    }

    freeaddrinfo(list);

    op->err[0] = '\0';
    op->rc = op->u.url.naddrs > 0 ? FOODSVC_STORE_OK : FOODSVC_STORE_NOT_FOUND;
}


static foodsvc_store_rc_e
ngx_http_foodsvc_store_resolve_rc(int rc)
{
    switch (rc) {
    case EAI_AGAIN:
    case EAI_SYSTEM:
        return FOODSVC_STORE_UNAVAILABLE;

    case EAI_MEMORY:
        return FOODSVC_STORE_FAILED;

    default:
        return FOODSVC_STORE_NOT_FOUND;
    }
}
