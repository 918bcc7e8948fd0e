/*
 * MongoDB inside nginx: store threads behind bounded queues, with group commit.
 *
 * One instance per nginx worker (init_process). Ops of one kind that queued while the last batch ran go out as one
 * batch of foodsvc_store.h. Reads, writes and the small things (URL_FIND, RESOLVE, PING) have threads and queues of
 * their own, so that slow writes do not hold up reads, and neither holds up a health check.
 */
#ifndef NGX_HTTP_FOODSVC_STORE_H
#define NGX_HTTP_FOODSVC_STORE_H

#include "ngx_http_foodsvc_op.h"
#include "foodsvc_store.h"

typedef enum {
    NGX_HTTP_FOODSVC_STORE_ORDER_INSERT = 0,
    NGX_HTTP_FOODSVC_STORE_ORDER_FIND,
    NGX_HTTP_FOODSVC_STORE_ORDER_DELETE,
    NGX_HTTP_FOODSVC_STORE_ORDER_CHANGE,
    NGX_HTTP_FOODSVC_STORE_ORDER_PAGE,
    NGX_HTTP_FOODSVC_STORE_PAYMENT_CHANGE,
    NGX_HTTP_FOODSVC_STORE_OUTBOX_CLEAR,
    NGX_HTTP_FOODSVC_STORE_KEY_BEGIN,
    NGX_HTTP_FOODSVC_STORE_KEY_END,
    NGX_HTTP_FOODSVC_STORE_URL_FIND,            /* and resolves its host: getaddrinfo blocks, so it is done here */
    NGX_HTTP_FOODSVC_STORE_RESOLVE,             /* the same for a url that is known (Redis, a setting) */
    NGX_HTTP_FOODSVC_STORE_PING,
    NGX_HTTP_FOODSVC_STORE_KINDS
} ngx_http_foodsvc_store_kind_e;

#define NGX_HTTP_FOODSVC_STORE_ADDRS  8

typedef struct {
    ngx_http_foodsvc_op_t          op;          /* first */
    ngx_http_foodsvc_store_kind_e  kind;
    uint64_t                       seq;         /* the adapter's: which op of its group came first */
    char                           id[FOODSVC_UUID_TEXT + 1];
    union {
        foodsvc_store_order_op_t    order;      /* INSERT: order is owned by the op and freed with it */
        foodsvc_store_change_op_t   change;
        foodsvc_store_page_t        page;       /* `after` is owned by the op */
        foodsvc_store_payment_op_t  payment;    /* `insert` is owned by the op; id points to payment_id */
        foodsvc_store_mark_t        mark;
        foodsvc_store_key_op_t      key;        /* `body` is owned by the op; id points to key_id */
        struct {
            foodsvc_service_url_t   url;        /* name in; url out (URL_FIND) or in (RESOLVE) */
            size_t                  naddrs;
            struct {
                struct sockaddr_storage  sockaddr;
                socklen_t                socklen;
            }                       addrs[NGX_HTTP_FOODSVC_STORE_ADDRS];
        } url;
    } u;
    char                           payment_id[256];     /* payments: the order id, which need not be a UUID */
    char                           key_id[FOODSVC_STORE_HASH + 1];      /* an Idempotency-Key's record */
    foodsvc_store_rc_e             rc;          /* of every kind, once done; rc and err in u say the same */
    char                           err[FOODSVC_ERR];
} ngx_http_foodsvc_store_op_t;

typedef struct {
    ngx_str_t   uri;            /* NUL-terminated */
    ngx_uint_t  read_threads;
    ngx_uint_t  write_threads;
    ngx_uint_t  queue;          /* ops waiting, per worker, for each of reads, writes and the rest */
    ngx_msec_t  timeout;
} ngx_http_foodsvc_store_conf_t;

ngx_int_t ngx_http_foodsvc_store_init_process(ngx_cycle_t *cycle, ngx_http_foodsvc_store_conf_t *conf);
/* Lets the threads finish the queued writes, up to a deadline; fires what is left with UNAVAILABLE. */
void ngx_http_foodsvc_store_exit_process(ngx_cycle_t *cycle);

/*
 * A zeroed op with destroy set; NULL: no memory. `id` (payments: payment_id) is the op's id: submit points the op in u
 * to it. Results in it (order, payment, page) that the callback takes must be set to NULL there, the rest is freed.
 * RESOLVE's and URL_FIND's results: OK, or NOT_FOUND (no such url, or no such host), UNREADABLE (the url is bad),
 * UNAVAILABLE.
 */
ngx_http_foodsvc_store_op_t *ngx_http_foodsvc_store_op(ngx_http_foodsvc_store_kind_e kind);
/*
 * NGX_OK: queued, done will fire. NGX_BUSY: the queue is full: the op is still the caller's (answer 503, destroy it).
 */
ngx_int_t ngx_http_foodsvc_store_submit(ngx_http_foodsvc_store_op_t *op);
/*
 * A RESOLVE whose host is an address needs no thread: fills addrs and returns NGX_OK at once; NGX_DECLINED: submit it.
 */
ngx_int_t ngx_http_foodsvc_store_resolve_numeric(ngx_http_foodsvc_store_op_t *op);

#endif
