/*
 * Outgoing HTTP for a worker: libcurl's multi interface, many calls in flight, driven by the caller's loop.
 *
 * A call's callback fires exactly once, from worker_http_run() or worker_http_close(), never before
 * worker_http_call() returned. A connection is made to an address that conf.allow has, and to no other, whatever the
 * host's name is resolved to. Connections are kept and reused. Redirects are not followed; only http and https. One
 * thread.
 */
#ifndef WORKER_HTTP_H
#define WORKER_HTTP_H

#include <poll.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "foodsvc_allow.h"

typedef struct worker_http_s worker_http_t;

typedef enum {
    WORKER_HTTP_ANSWERED,       /* status and body are the partner's */
    WORKER_HTTP_UNREACHABLE,    /* nothing was sent: no address, refused, TLS failed */
    WORKER_HTTP_NO_ANSWER,      /* it may have been taken: time-out, closed connection, no HTTP, cancelled at the end */
    WORKER_HTTP_TOO_LARGE       /* answered, but the body is beyond the limit */
} worker_http_rc_e;

/* All borrowed for the call. */
typedef struct {
    worker_http_rc_e  rc;
    int               status;       /* 0 unless ANSWERED */
    const char       *body;         /* never NULL; not NUL-terminated by contract. May hold card data: never log it */
    size_t            len;
    const char       *reason;       /* one line for logs when not ANSWERED */
} worker_http_answer_t;

typedef void (*worker_http_done_f)(void *ctx, const worker_http_answer_t *answer);

/* All texts are copied. */
typedef struct {
    const char         *method;             /* "GET" or "POST" */
    const char         *url;
    const char         *body;               /* JSON, or NULL: none */
    size_t              len;
    const char         *idempotency_key;    /* or NULL */
    const char         *api_key;            /* or NULL; given for PaymentService only */
    int64_t             timeout_ms;         /* of the whole call; connecting gets at most half of it */
    worker_http_done_f  done;
    void               *ctx;
} worker_http_request_t;

typedef struct {
    const char *ca_file;            /* PEM, or NULL: the system's */
    int64_t     connections;        /* at most, to one host; more calls wait */
    size_t      max_answer;         /* bytes of a body */
    foodsvc_allow_t allow;          /* where connections may go; its rules are borrowed until close */
} worker_http_conf_t;

/* curl_global_init() is called once per process, before threads. NULL: no memory. */
worker_http_t *worker_http_open(const worker_http_conf_t *conf);
/* Ends what is in flight (NO_ANSWER). NULL is fine. */
void worker_http_close(worker_http_t *http);

/* False: no memory or an unusable url; done does not fire. */
bool worker_http_call(worker_http_t *http, const worker_http_request_t *request);
size_t worker_http_in_flight(const worker_http_t *http);

/*
 * Waits for the calls' sockets and for `fds` (revents are set), at most timeout_ms; then worker_http_run() moves the
 * calls on and fires callbacks.
 */
void worker_http_poll(worker_http_t *http, struct pollfd *fds, unsigned nfds, int64_t timeout_ms);
void worker_http_run(worker_http_t *http);

#endif
