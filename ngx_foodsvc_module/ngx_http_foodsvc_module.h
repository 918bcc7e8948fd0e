/*
 * What the module's files share: configuration, a request's context, and the services that the core offers to the
 * handlers of orders, payments and health.
 *
 * A request's way: the role's content handler (ngx_http_foodsvc_request.c) makes the ctx, checks the API key, routes
 * (ngx_http_foodsvc_route.c), reads the body where there is one, and calls the handler. From then on the handler owns
 * the request until it calls one ngx_http_foodsvc_reply*() function, which is the end: the ctx answers once, later
 * calls are ignored. Between them the handler waits for ops (store, redis, publisher) and partner calls; each callback
 * gets the ctx. The deadline's timer answers when nothing else did (503 for reads, the handler's `late` for what may
 * have been done).
 */
#ifndef NGX_HTTP_FOODSVC_MODULE_H
#define NGX_HTTP_FOODSVC_MODULE_H

#include <openssl/x509.h>
#include "ngx_http_foodsvc_op.h"
#include "ngx_http_foodsvc_store.h"
#include "ngx_http_foodsvc_redis.h"
#include "ngx_http_foodsvc_publisher.h"
#include "foodsvc_codec.h"
#include "foodsvc_names.h"

extern ngx_module_t  ngx_http_foodsvc_module;

#define NGX_HTTP_FOODSVC_HASH  32       /* bytes of a key's SHA-256 */

typedef enum {
    NGX_HTTP_FOODSVC_NONE = 0,
    NGX_HTTP_FOODSVC_ORDER,             /* foodsvc order; */
    NGX_HTTP_FOODSVC_PAYMENT,           /* foodsvc payment; */
    NGX_HTTP_FOODSVC_ORDER_HEALTH,      /* foodsvc health order; */
    NGX_HTTP_FOODSVC_PAYMENT_HEALTH,    /* foodsvc health payment; */
    NGX_HTTP_FOODSVC_ERROR              /* foodsvc error; the target of error_page */
} ngx_http_foodsvc_role_e;

/* Main: one set of servers per nginx. */
typedef struct {
    ngx_http_foodsvc_store_conf_t      store;
    ngx_http_foodsvc_redis_conf_t      redis;
    ngx_http_foodsvc_publisher_conf_t  publisher;
    ngx_uint_t                         used;        /* a location has a role: the servers are needed */
    ngx_array_t                       *roles;       /* of ngx_http_foodsvc_role_t, for the checks after parsing */
    ngx_shm_zone_t                    *shown;       /* ngx_http_foodsvc_shown.c; NULL: off */
    size_t                             shown_size;  /* 0: off */
    ngx_msec_t                         shown_settle;    /* 0: every entry is believed from the start */
    ngx_str_t                          partners;    /* the name of the upstream{} with foodsvc_partners */
} ngx_http_foodsvc_main_conf_t;

/* Location, merged; immutable after that. */
typedef struct {
    ngx_http_foodsvc_role_e   role;
    u_char                   *file;                 /* where the role is given, for messages */
    ngx_uint_t                line;
    ngx_array_t              *keys;                 /* of ngx_http_foodsvc_known_t */
    ngx_str_t                 partner_key;          /* the API key that we show to PaymentService */
    ngx_str_t                 partner_location;     /* "/_foodsvc/partner" */
    ngx_array_t              *allow;                /* of foodsvc_allow_rule_t: where partners may be; NULL: default */
    ngx_array_t              *service_urls;         /* of ngx_keyval_t, name and url: settings that win over MongoDB */
    ngx_str_t                 card_company;         /* url */
    ngx_str_t                 callback_url;
    foodsvc_json_limits_t     json;                 /* foodsvc_max_body, foodsvc_max_depth */
    size_t                    max_answer;           /* a partner's answer */
    ngx_msec_t                deadline;             /* of a request, body read */
    ngx_msec_t                callback_wait;        /* of the card company: then it is asked again */
    ngx_msec_t                card_key_life;        /* after the first attempt it is not */
    ngx_msec_t                health_timeout;
    ngx_msec_t                url_ttl;              /* a remembered address; at most 2 s */
    ngx_uint_t                page;                 /* orders read at once by GET /v1/orders */
    ngx_uint_t                retry_after;          /* seconds, with a 503 */
    /* foodsvc_certificate: what health looks at where the server has no ssl; freed with the cycle */
    X509                     *certificate;
} ngx_http_foodsvc_loc_conf_t;

typedef struct ngx_http_foodsvc_ctx_s         ngx_http_foodsvc_ctx_t;
typedef struct ngx_http_foodsvc_idempotent_s  ngx_http_foodsvc_idempotent_t;

typedef void (*ngx_http_foodsvc_handler_pt)(ngx_http_foodsvc_ctx_t *ctx);

struct ngx_http_foodsvc_ctx_s {
    ngx_http_request_t           *request;
    ngx_http_foodsvc_loc_conf_t  *conf;
    /* the path's order id, canonical; "" when the path has none */
    char                          id[FOODSVC_UUID_TEXT + 1];
    const char                   *body;             /* the whole body, contiguous; NULL and 0 when empty */
    size_t                        len;
    u_char                        client[NGX_HTTP_FOODSVC_HASH];    /* SHA-256 of the API key that was shown */
    ngx_http_foodsvc_idempotent_t  *idempotent;     /* NULL: the request shows no Idempotency-Key */
    void                         *flow;             /* the handler's own state, in r->pool */
    ngx_http_foodsvc_handler_pt   late;             /* what answers when the deadline passes; NULL: 503 */
    /* called once when the request dies, whatever killed it: free what `flow` owns outside the pool */
    ngx_http_foodsvc_handler_pt   cleanup;
    /* answered: later answers are ignored; a flow may go on behind it */
    unsigned                      replied:1;

    /* the core's */
    ngx_queue_t                   ops;              /* outstanding: detached when the request dies */
    ngx_queue_t                   calls;            /* to partners, not done yet or not freed */
    ngx_event_t                   timer;            /* the deadline */
    ngx_event_t                   event;            /* posted: the answer, or a step of the stream */
    ngx_http_foodsvc_handler_pt   before;           /* called once the answer is made: calls reply_now() */
    ngx_http_foodsvc_handler_pt   more;             /* stream: who gives the next piece */
    char                         *owned;            /* malloc'ed: the body that is being sent */
    size_t                        owned_len;
    ngx_chain_t                   out;
    ngx_buf_t                     buf;
    ngx_http_foodsvc_handler_pt   handler;          /* of the route, while the body is read */
    unsigned                      streaming:1;
    unsigned                      last:1;
    unsigned                      aborted:1;
};

/* --- answers: each ends the request --- */

/* body is malloc'ed (or NULL with len 0); the request frees it. public: JSON. */
void ngx_http_foodsvc_reply(ngx_http_foodsvc_ctx_t *ctx, ngx_uint_t status, char *body, size_t len);
/* For bytes that are valid during this call only, `tail` (static, may be empty) behind them. */
void ngx_http_foodsvc_reply_copy(ngx_http_foodsvc_ctx_t *ctx, ngx_uint_t status, const char *body, size_t len,
    const char *tail);
/* {"detail": "..."}; printf's format. */
void ngx_http_foodsvc_reply_detail(ngx_http_foodsvc_ctx_t *ctx, ngx_uint_t status, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
/* 500, and a repeat of the request does not get this answer. */
void ngx_http_foodsvc_reply_no_memory(ngx_http_foodsvc_ctx_t *ctx);
/* 422 with the faults (500 when they ran out of memory); clears them. */
void ngx_http_foodsvc_reply_faults(ngx_http_foodsvc_ctx_t *ctx, foodsvc_faults_t *faults);
/* Retry-After, for an answer that follows. */
void ngx_http_foodsvc_retry_after(ngx_http_foodsvc_ctx_t *ctx);
/* 503 with Retry-After: a queue is full, a server is away. */
void ngx_http_foodsvc_reply_busy(ngx_http_foodsvc_ctx_t *ctx, const char *what);
/* The answer that a store's failure gives: UNAVAILABLE 503, UNREADABLE and FAILED 500 (the reason is logged, not
   told), UNKNOWN 500. Not for OK, NOT_FOUND, EXISTS. */
void ngx_http_foodsvc_reply_store(ngx_http_foodsvc_ctx_t *ctx, foodsvc_store_rc_e rc, const char *err);

/* A streamed answer: begin, then pieces, each followed by `more` once the client has taken it (never before this call
   returns), then the end. abort cuts the connection, so that a client can tell a part from the whole. */
void ngx_http_foodsvc_stream_begin(ngx_http_foodsvc_ctx_t *ctx, ngx_uint_t status);
void ngx_http_foodsvc_stream_piece(ngx_http_foodsvc_ctx_t *ctx, char *body, size_t len,
    ngx_http_foodsvc_handler_pt more);
void ngx_http_foodsvc_stream_end(ngx_http_foodsvc_ctx_t *ctx);
void ngx_http_foodsvc_stream_abort(ngx_http_foodsvc_ctx_t *ctx);

/* --- ops --- */

/*
 * wait: the op, which was submitted just now (done never fires before that returned), belongs to the request: it is
 * detached when the request dies. arrived, once, first thing in `done`: the ctx, or NULL when the request has gone.
 */
void ngx_http_foodsvc_wait(ngx_http_foodsvc_ctx_t *ctx, ngx_http_foodsvc_op_t *op);
ngx_http_foodsvc_ctx_t *ngx_http_foodsvc_arrived(ngx_http_foodsvc_op_t *op);

/* --- partner calls (ngx_http_foodsvc_partner.c) --- */

typedef enum {
    NGX_HTTP_FOODSVC_ANSWERED = 0,      /* status and body are there */
    NGX_HTTP_FOODSVC_NO_ADDRESS,        /* no url, or its host is unknown: nothing was sent */
    NGX_HTTP_FOODSVC_NOT_SENT,          /* refused or unreachable: nothing was sent */
    NGX_HTTP_FOODSVC_NO_ANSWER          /* sent, or perhaps sent: timed out, closed, no HTTP, too large an answer */
} ngx_http_foodsvc_outcome_e;

typedef struct ngx_http_foodsvc_call_s     ngx_http_foodsvc_call_t;
typedef struct ngx_http_foodsvc_lookup_s   ngx_http_foodsvc_lookup_t;
typedef struct ngx_http_foodsvc_address_s  ngx_http_foodsvc_address_t;

/* Core: waits for an address (ngx_http_foodsvc_address.c). */
struct ngx_http_foodsvc_lookup_s {
    ngx_queue_t                   queue;
    void                        (*done)(ngx_http_foodsvc_lookup_t *lookup, ngx_http_foodsvc_address_t *address);
    unsigned                      waiting:1;
};

/* Core: where a call goes; what the variables and the balancer of the internal location read. All in r->pool. */
typedef struct {
    ngx_str_t                     url;          /* scheme://<upstream>/path */
    ngx_str_t                     host;         /* the Host header */
    ngx_str_t                     name;         /* the host alone, for TLS */
    ngx_addr_t                   *addrs;
    ngx_uint_t                    naddrs;
    ngx_uint_t                    next;         /* addrs: to be tried next */
} ngx_http_foodsvc_target_t;

struct ngx_http_foodsvc_call_s {
    /* a name of foodsvc_names.h; FOODSVC_CARD_COMPANY: conf->card_company */
    const char                   *service;
    const char                   *method;       /* "GET" or "POST" */
    const char                   *path;         /* in r->pool */
    char                         *body;         /* malloc'ed, taken; NULL: none */
    size_t                        len;
    /* in r->pool; NULL: none. With one, a call that got no answer is made once more, when the time allows */
    const char                   *idempotency_key;
    /* once, never before ngx_http_foodsvc_call() returned; not when the request died */
    void                        (*done)(ngx_http_foodsvc_ctx_t *ctx, ngx_http_foodsvc_call_t *call);
    void                         *data;         /* the handler's */
    /* out */
    ngx_http_foodsvc_outcome_e    outcome;
    ngx_uint_t                    status;
    const char                   *answer;       /* in the subrequest's pool: valid while the request lives */
    size_t                        answer_len;

    /* the core's */
    ngx_http_foodsvc_ctx_t       *ctx;
    ngx_queue_t                   queue;        /* ctx->calls */
    ngx_event_t                   event;        /* posted: a try begins */
    ngx_http_foodsvc_lookup_t     lookup;
    ngx_http_foodsvc_target_t     target;
    ngx_http_request_t           *sr;           /* of the try that runs */
    ngx_msec_t                    started;
    ngx_uint_t                    tries;
    unsigned                      maybe_sent:1; /* by an earlier try */
    unsigned                      finished:1;
};

/* call is in r->pool, zeroed. Several calls of one request may run side by side. X-API-Key goes with calls to
   PaymentService only. */
void ngx_http_foodsvc_call(ngx_http_foodsvc_ctx_t *ctx, ngx_http_foodsvc_call_t *call);

/* --- lifecycle (ngx_http_foodsvc_relay.c); exit: behind the adapters' --- */

void ngx_http_foodsvc_relay_init(ngx_cycle_t *cycle);
void ngx_http_foodsvc_relay_exit(void);

/* --- the handlers that route.c calls --- */

void ngx_http_foodsvc_order_post(ngx_http_foodsvc_ctx_t *ctx);
void ngx_http_foodsvc_order_list(ngx_http_foodsvc_ctx_t *ctx);
void ngx_http_foodsvc_order_get(ngx_http_foodsvc_ctx_t *ctx);
void ngx_http_foodsvc_order_cancel(ngx_http_foodsvc_ctx_t *ctx);
void ngx_http_foodsvc_order_delete(ngx_http_foodsvc_ctx_t *ctx);
void ngx_http_foodsvc_payment_post(ngx_http_foodsvc_ctx_t *ctx);
void ngx_http_foodsvc_payment_reimburse(ngx_http_foodsvc_ctx_t *ctx);
void ngx_http_foodsvc_payment_callback(ngx_http_foodsvc_ctx_t *ctx);
void ngx_http_foodsvc_health(ngx_http_foodsvc_ctx_t *ctx);

#endif
