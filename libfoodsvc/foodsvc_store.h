/*
 * MongoDB: the one owner of what is read and written there, and of how a change is made exactly once.
 *
 * Everything blocks. Any thread may call; each call pops a client from the pool. nginx calls it from store threads
 * only, orderd from its main thread. All calls take a batch: one journalled write serves many requests.
 *
 * How a change happens once. The order (or payment) is read, the domain decides on the copy, and one unordered bulk
 * writes all decisions, each with a filter on what it was decided on: _id, status, the length of `updated` (orders);
 * _id, status, reimburse, transaction_id (payments). Each write also leaves a fresh random token in `rev` (an array of
 * int64, the last four writes' tokens, part of every filter). When the bulk's matched count is less than its length, or
 * its outcome is unknown, the documents are read again: a document that carries our token was written by us; another is
 * decided again, up to a few rounds, on its new state. So a result is never guessed. All reads see what a majority of
 * the servers has (unless the URI says w=1, or another readConcernLevel), so no result is taken back by a failover.
 *
 * Claims. A change that leaves a debt (foodsvc_order_owes) may set claim {by, until} in the same write: for that long
 * the claimer alone does what is owed. Others see the claim and leave it; after `until` anybody takes it over. A claim
 * for longer than anybody may claim is none (a clock was wrong): no debt waits for it.
 *
 * owes_since. Every order that owes something says so in its document, with the time since when; so what was left
 * undone is found by an index (foodsvc_store_orders_owing).
 *
 * Idempotency keys. A request with an Idempotency-Key has a record {_id, fingerprint, order_id, until, created}, stored
 * before the order is: the order's id is chosen once, by the first attempt, and every later one uses the same, so that
 * however attempts overlap there is one order at most. `until` ends the attempt's lease: before it others hear "in
 * progress", after it (the attempt died) one of them takes the record over by a conditional write; a lease that is
 * longer than anybody's is none (a clock was wrong). The attempt ends by
 * storing its answer (status, body), or by giving the lease back when the answer is not to be remembered; both only
 * while the lease is still its own. A TTL index drops the record 24 h after `created`.
 *
 * Indexes (foodsvc_store_prepare): orders {created: -1, _id: -1}, {status: 1, owes_since: 1, _id: 1}; payments
 * {outbox.when: 1} of those with a mark, {created: 1} of those that are pending; idempotency_keys {created: 1}, TTL.
 */
#ifndef FOODSVC_STORE_H
#define FOODSVC_STORE_H

#include "foodsvc_codec.h"

typedef struct foodsvc_store_s foodsvc_store_t;

/* One per op. Only OK, NOT_FOUND and EXISTS are answers of the database. */
typedef enum {
    FOODSVC_STORE_OK = 0,
    FOODSVC_STORE_NOT_FOUND,
    FOODSVC_STORE_EXISTS,       /* insert: there is another document of this id */
    FOODSVC_STORE_UNREADABLE,   /* the document's types are beyond us; err names the field */
    FOODSVC_STORE_UNAVAILABLE,  /* no server, not primary, time-out before it was sent, no memory: not written */
    FOODSVC_STORE_UNKNOWN,      /* sent, no answer: it may or may not have been written, also when asked again */
    FOODSVC_STORE_FAILED        /* refused by the server for another reason (err) */
} foodsvc_store_rc_e;

const char *foodsvc_store_rc_name(foodsvc_store_rc_e rc);

/* A document that a page left out, since it can't be read. */
typedef struct {
    char id[FOODSVC_UUID_TEXT + 1];     /* cut; "?" when it is no text */
    char why[FOODSVC_ERR];
} foodsvc_store_bad_t;

#define FOODSVC_STORE_BAD   16      /* the most of them that a page names */

#define FOODSVC_STORE_BATCH 256     /* the most ops that a call takes */
#define FOODSVC_STORE_CLAIM 3600000 /* ms: the longest claim */

typedef struct {
    const char *uri;            /* mongodb://...; options that it does not set get the defaults below */
    unsigned    max_clients;    /* the pool's maxPoolSize: at least the threads that call */
    unsigned    timeout_ms;     /* server selection and connect; sockets get twice as long. 0: 1000 */
    /* The driver's messages, from any thread; level: mongoc_log_level_t. */
    void      (*log)(void *ctx, int level, const char *text);
    void       *log_ctx;
} foodsvc_store_conf_t;

/* Checks a URI without connecting: false with a reason that does not contain the password. */
bool foodsvc_store_uri_check(const char *uri, char err[FOODSVC_ERR]);

/*
 * Not before a fork whose child uses it. Does not connect. mongoc_init() is called once per process. Signals are
 * blocked in the driver's threads. NULL with err.
 */
foodsvc_store_t *foodsvc_store_open(const foodsvc_store_conf_t *conf, char err[FOODSVC_ERR]);
/* After the last call returned. */
void foodsvc_store_close(foodsvc_store_t *store);

/* Creates the indexes where they are missing. */
foodsvc_store_rc_e foodsvc_store_prepare(foodsvc_store_t *store, char err[FOODSVC_ERR]);
/* ping, answered by the primary. */
foodsvc_store_rc_e foodsvc_store_ping(foodsvc_store_t *store, char err[FOODSVC_ERR]);

/* --- orders. Every function fills rc and err of each op; order results belong to the caller. --- */

typedef struct {
    const char         *id;                 /* in: canonical text */
    foodsvc_order_t    *order;              /* insert: in, borrowed. find: out, owned by the caller, NULL unless OK */
    foodsvc_store_rc_e  rc;
    char                err[FOODSVC_ERR];
} foodsvc_store_order_op_t;

/* w=majority, journal. EXISTS after a retry of ours is found out by comparing `rev` and reported as OK. */
void foodsvc_store_orders_insert(foodsvc_store_t *store, foodsvc_store_order_op_t *ops[], size_t nops);
void foodsvc_store_orders_find(foodsvc_store_t *store, foodsvc_store_order_op_t *ops[], size_t nops);
/* OK: it was there and is gone. */
void foodsvc_store_orders_delete(foodsvc_store_t *store, foodsvc_store_order_op_t *ops[], size_t nops);

typedef struct {
    const char              *id;            /* in */
    foodsvc_change_t         change;        /* in */
    const char              *claim_by;      /* in: token, or NULL: don't claim. When the order owes something after the
                                               change (whatever the verdict) and the claim is free, ours or expired, it
                                               is claimed until now + claim_ms. A claim whose debt is gone ends with
                                               the change. */
    int64_t                  claim_ms;      /* in */
    bool                     release;       /* in: drop the claim when it is claim_by's (then claim_ms is ignored) */
    foodsvc_verdict_e        verdict;       /* out, when rc is OK */
    bool                     claimed;       /* out: claim_by holds the claim now */
    foodsvc_order_t         *order;         /* out: the order as stored after it, owned by the caller; NULL unless OK */
    foodsvc_store_rc_e       rc;
    char                     err[FOODSVC_ERR];
} foodsvc_store_change_op_t;

/*
 * Ops on the same id are applied in their order, in one write. A GIVE_UP is REFUSED unless claim_by holds the claim, or
 * the order owes nothing: KitchenService may be on the phone with who has it.
 */
void foodsvc_store_orders_change(foodsvc_store_t *store, foodsvc_store_change_op_t *ops[], size_t nops);

/*
 * One page of all orders, newest `created` first, _id breaking ties; whatever the type of `created`. after_id and
 * after_created (the raw value of the last document of the page before, from *next) continue; NULL for the first page.
 * Unreadable documents are skipped and counted in *skipped.
 */
typedef struct {
    size_t              limit;              /* in: 1..1000 */
    bson_t             *after;              /* in: NULL, or *next of the page before */
    foodsvc_order_t   **orders;             /* out: owned by the caller (foodsvc_store_page_clear) */
    size_t              norders;
    size_t              skipped;
    foodsvc_store_bad_t bad[FOODSVC_STORE_BAD];     /* out: the first of those that were skipped */
    size_t              nbad;
    bson_t             *next;               /* out: NULL on the last page; owned by the caller */
    foodsvc_store_rc_e  rc;
    char                err[FOODSVC_ERR];
} foodsvc_store_page_t;

void foodsvc_store_orders_page(foodsvc_store_t *store, foodsvc_store_page_t *page);
void foodsvc_store_page_clear(foodsvc_store_page_t *page);     /* frees orders and next, not after */

/*
 * One page of the orders of a status that owe something since before a time, the oldest first. Whether an order does
 * owe, foodsvc_order_owes() says: another implementation may have written it since.
 */
typedef struct {
    foodsvc_status_e  status;
    int64_t           before;       /* ms: they owe since then or longer */
    bool              ahead;        /* instead: those whose owes_since lies ahead (foodsvc_time_is_ahead) */
    bool              claimed;      /* also those that somebody has claimed; without them a page may be shorter */
    /* Instead of all this: those of the status without owes_since, by their ids. They owe nothing, or another
       implementation wrote them, and foodsvc_order_owes() and foodsvc_order_since() tell. */
    bool              unmarked;
} foodsvc_store_owing_t;

void foodsvc_store_orders_owing(foodsvc_store_t *store, const foodsvc_store_owing_t *owing, foodsvc_store_page_t *page);

/* The place of an order of a page: given as `after`, what follows it comes. The caller's. */
bson_t *foodsvc_store_owing_place(const foodsvc_store_owing_t *owing, const foodsvc_order_t *order);

/* --- payments --- */

typedef struct {
    const char                *id;
    foodsvc_payment_t         *insert;      /* in, borrowed: stored as pending when there is none yet; or NULL */
    foodsvc_payment_change_t   change;      /* in: decided on the payment as it is, or as it was inserted */
    bool                       inserted;    /* out: rc OK and it is new */
    foodsvc_payment_verdict_e  verdict;     /* out, when OK */
    foodsvc_payment_t         *payment;     /* out: as stored after it, owned by the caller; NULL unless OK */
    foodsvc_store_rc_e         rc;
    char                       err[FOODSVC_ERR];
} foodsvc_store_payment_op_t;

void foodsvc_store_payments_change(foodsvc_store_t *store, foodsvc_store_payment_op_t *ops[], size_t nops);

/* Clears outbox marks, by id, whose events the broker has confirmed; a mark that is gone is no error. w=1. */
typedef struct {
    char order_id[FOODSVC_UUID_TEXT + 1];
    char outbox_id[FOODSVC_UUID_TEXT + 1];
} foodsvc_store_mark_t;

foodsvc_store_rc_e foodsvc_store_outbox_clear(foodsvc_store_t *store, const foodsvc_store_mark_t *marks, size_t nmarks,
    char err[FOODSVC_ERR]);

#define FOODSVC_STORE_DUE   1000    /* the most payments that a call gives */

/*
 * Payments with an outbox mark that is older than `before`, or has no time, the oldest mark first. Such a payment may
 * have younger marks, too: their events go out in the order of the marks. What makes a mark's event is told with
 * foodsvc_payment_mark_t; the mark is cleared when the broker has confirmed it.
 */
typedef struct {
    int64_t             before;             /* in: ms */
    bool                ahead;              /* in: instead: those whose time lies ahead (foodsvc_time_is_ahead) */
    int64_t             after;              /* in: 0: from the oldest on; or `next` of the page before */
    size_t              limit;              /* in: 1..FOODSVC_STORE_DUE */
    int64_t             next;               /* out: 0 on the last page. Of marks of one ms that fill more than a page
                                               some are left out */
    foodsvc_payment_t **payments;           /* out: owned by the caller (foodsvc_store_due_clear); NULL unless OK */
    size_t              npayments;
    size_t              skipped;            /* out: unreadable documents, of which err tells the last one's fault */
    foodsvc_store_bad_t bad[FOODSVC_STORE_BAD];     /* out: the first of them */
    size_t              nbad;
    foodsvc_store_rc_e  rc;
    char                err[FOODSVC_ERR];
} foodsvc_store_due_t;

void foodsvc_store_outbox_due(foodsvc_store_t *store, foodsvc_store_due_t *due);
/* Payments that are pending and were created before `before`, the oldest first. */
void foodsvc_store_payments_pending(foodsvc_store_t *store, foodsvc_store_due_t *due);
void foodsvc_store_due_clear(foodsvc_store_due_t *due);
/* One payment, owned by the caller, NULL unless OK; UNREADABLE with err, NOT_FOUND or why not. */
foodsvc_store_rc_e foodsvc_store_payment_find(foodsvc_store_t *store, const char *id, foodsvc_payment_t **payment,
    char err[FOODSVC_ERR]);

/* --- idempotency keys --- */

#define FOODSVC_STORE_HASH  64          /* hex digits of a SHA-256 */
#define FOODSVC_STORE_LEASE 900000      /* ms: longer than any attempt may take */

typedef enum {
    FOODSVC_KEY_NEW = 0,                /* the record was made: go on with order_id */
    /* an earlier attempt's lease has run out: go on with its order_id, in the record */
    FOODSVC_KEY_TAKEN,
    FOODSVC_KEY_ANSWERED,               /* status and body are the answer */
    FOODSVC_KEY_BUSY,                   /* an attempt is in progress */
    FOODSVC_KEY_OTHER                   /* the key was used for another request */
} foodsvc_key_verdict_e;

typedef struct {
    const char             *id;         /* in: FOODSVC_STORE_HASH hex digits */
    char                    fingerprint[FOODSVC_STORE_HASH + 1];    /* begin, in: of the request */
    char                    order_id[FOODSVC_UUID_TEXT + 1];        /* begin, in: the proposal; out: the record's */
    int64_t                 now;        /* begin, in: ms */
    int64_t                 until;      /* in: when the lease ends; end: as begin was given it */
    int32_t                 status;     /* begin: out. end: in; 0: the lease is given back, no answer is stored */
    char                   *body;       /* begin: out, malloc'ed, the caller's. end: in, borrowed */
    size_t                  len;
    foodsvc_key_verdict_e   verdict;    /* begin, out, when rc is OK */
    foodsvc_store_rc_e      rc;
    char                    err[FOODSVC_ERR];
} foodsvc_store_key_op_t;

void foodsvc_store_keys_begin(foodsvc_store_t *store, foodsvc_store_key_op_t *ops[], size_t nops);
/* NOT_FOUND: the lease is another's by now, or the record has an answer; nothing was changed. */
void foodsvc_store_keys_end(foodsvc_store_t *store, foodsvc_store_key_op_t *ops[], size_t nops);

/* --- service_urls --- */

typedef struct {
    char                name[64];
    char                url[512];
} foodsvc_service_url_t;

/* OK, NOT_FOUND, UNREADABLE (url is no string or too long) or why not. */
foodsvc_store_rc_e foodsvc_store_url_find(foodsvc_store_t *store, const char *name, foodsvc_service_url_t *url,
    char err[FOODSVC_ERR]);
foodsvc_store_rc_e foodsvc_store_url_save(foodsvc_store_t *store, const foodsvc_service_url_t *url,
    char err[FOODSVC_ERR]);
/* All, sorted by name; the caller frees *urls. */
foodsvc_store_rc_e foodsvc_store_url_list(foodsvc_store_t *store, foodsvc_service_url_t **urls, size_t *nurls,
    char err[FOODSVC_ERR]);

#endif
