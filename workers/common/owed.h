/*
 * Doing what an order owes: the calls to PaymentService, CustomerService, DeliveryService and KitchenService, for
 * orderd and sweepd.
 *
 * One debt at a time: owed_start() queues it, owed_run() calls, and `done` gets what to store. Each call carries an
 * idempotency key that is made of the order's id, so doing a debt twice costs nothing; who calls holds the order's
 * claim all the same. What an answer means:
 *   DONE      2xx that can be read; 404 from DeliveryService's cancel (nothing to cancel);
 *             PaymentService's 400, 409, 410 and 422 to a payment request: then the change is paymentFailed
 *   REFUSED   400, 410, 422 otherwise, 409 from PaymentService, 404 from CustomerService: asking again will hardly help
 *             and a payment that another implementation's PaymentService has asked for, or that cannot be read in
 *             MongoDB: it is not called then
 *   LATER     all else: nobody there, no answer, a 5xx, an answer that can't be read, 401 (our key is wrong), 409 (the
 *             first request is still at work), an unknown url
 * A service that was unreachable several times in a row is left alone for a short while: its debts are LATER at once.
 * One thread.
 */
#ifndef OWED_H
#define OWED_H

#include "foodsvc_codec.h"
#include "foodsvc_store.h"
#include "worker_http.h"
#include "worker_urls.h"

typedef struct owed_s owed_t;

typedef enum {
    OWED_DONE,
    OWED_LATER,
    OWED_REFUSED
} owed_rc_e;

typedef struct {
    owed_rc_e         rc;
    foodsvc_owes_e    what;
    /* DONE, and there is something to store (an accepted payment request has nothing) */
    bool              has_change;
    foodsvc_change_t  change;
    /* unless DONE: one line, "DeliveryService answered 503"; no card data */
    char              reason[FOODSVC_ERR];
} owed_result_t;

/* Exactly once for each owed_start(), from owed_run(), worker_http_run() or worker_http_close(). */
typedef void (*owed_done_f)(void *ctx, const owed_result_t *result);

typedef struct {
    worker_http_t   *http;          /* borrowed, like urls and store */
    worker_urls_t   *urls;
    foodsvc_store_t *store;
    const char      *api_key;       /* for PaymentService; copied */
    int64_t          timeout_ms;    /* of one call */
} owed_conf_t;

/* NULL: no memory. */
owed_t *owed_open(const owed_conf_t *conf);
/* After worker_http_close(); debts not yet begun are LATER. */
void owed_close(owed_t *owed);
/* New settings; calls in flight keep theirs. False: no memory, nothing changed. */
bool owed_configure(owed_t *owed, const owed_conf_t *conf);
/* The time-out alone. */
void owed_timeout(owed_t *owed, int64_t timeout_ms);

/* `what`: one bit of foodsvc_order_owes(order). The order is not kept. False: no memory, done does not fire. */
bool owed_start(owed_t *owed, const foodsvc_order_t *order, foodsvc_owes_e what, owed_done_f done, void *ctx);
/* How long the calls of one debt may take, in ms. */
int64_t owed_longest(const owed_t *owed);
/* Begins what was started; to be called in each round of the loop. May wait for MongoDB. */
void owed_run(owed_t *owed);
/*
 * Would a debt of this kind be called now? PROBE: its service was away; one call may find out whether it is back.
 * ALONE: not yet, it would be LATER at once.
 */
typedef enum {
    OWED_CALL,
    OWED_PROBE,
    OWED_ALONE
} owed_mood_e;

owed_mood_e owed_mood(const owed_t *owed, foodsvc_owes_e what);
/* The process ends: what was started and not begun is LATER, and so is what is started by that. */
void owed_drop(owed_t *owed);
/* Nothing is queued to begin? */
bool owed_idle(const owed_t *owed);

/* --- owed_foreign.c, for owed.c --- */

/* The reads of one owed_run(). */
typedef struct {
    int64_t began;          /* ms since 1970: the first one; or 0 */
    bool    over;           /* MongoDB is away, or they have taken as long as they may */
} owed_reads_t;

/*
 * May PaymentService be asked for the order's payment? DONE: yes. REFUSED, or LATER (it could not be read): no, with
 * the reason. May take as long as a call of the store; all of a round, half a second longer than that.
 */
owed_rc_e owed_payment_check(owed_reads_t *reads, const owed_conf_t *conf, const foodsvc_order_t *order,
    char reason[FOODSVC_ERR]);

#endif
