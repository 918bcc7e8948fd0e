/*
 * sweepd: does what is owed and was left undone, because a process died or a partner or server was away. One thread,
 * one loop:
 *
 *   sweep.c    asks MongoDB, status by status, for orders that have owed something for longer than their state's age
 *   overdue.c  asks it for payments that the card company never reported on
 *   untold.c   finds orders that have not heard how their refund ended
 *   work.c     serves them (serve.h), a bounded number at a time: claim, call, store, cache
 *   relay.c    publishes the events whose outbox mark in a payment is still there
 *   patience.c who has been tried in vain, and when it may be tried again
 *   conf.c     settings;  main.c  the loop
 *
 * Nothing here is the only one to do it: orderd does the same when an event comes, another sweepd may run beside this
 * one. Who may call for an order is decided by the claim, a conditional write; what is called carries an idempotency
 * key; an event that is published twice has one message_id and one effect.
 *
 * Work is bounded: pages of the index, at most `orders` served at a time. While a service is away (owed_mood) one
 * order probes it now and then, and the others are not even claimed; when the probe succeeds they follow at once,
 * without waiting for the next interval. A single order that fails waits longer each time, up to some seconds (a
 * partner may come back at any moment), a refused one up to some minutes.
 */
#ifndef SWEEPD_H
#define SWEEPD_H

#include "foodsvc_codec.h"
#include "serve.h"
#include "worker_servers.h"

#define SWEEPD_NAME     "foodsvc-sweepd"
#define SWEEPD_PAGE     256     /* orders, or payments, read at a time */

typedef struct {
    worker_servers_conf_t servers;      /* first */
    int64_t               interval, age[FOODSVC_STATUS_COUNT], age_outbox, age_callback, foreign;    /* ms */
    int64_t               orders;
} sweepd_conf_t;

/*
 * Who was tried in vain: a table of the ids tried last. Each has one of a few places; when others have them all, it
 * takes that of the one which may be tried first, and this is tried sooner than it should. An order that has moved on
 * is another one: what it owes now was not tried.
 */
typedef struct {
    char     id[FOODSVC_UUID_TEXT + 1];
    int      state;     /* the order's status, or PATIENCE_... */
    unsigned tries;
    int64_t  next;      /* monotonic: not before */
} patience_slot_t;

#define PATIENCE_SLOTS  65536
#define PATIENCE_WAYS   8           /* places that an id may have */
#define PATIENCE_EVENT  (-1)
#define PATIENCE_PAYMENT  (-2)
#define PATIENCE_BAD    (-3)        /* a document that can't be read */
#define PATIENCE_UNTOLD (-4)        /* an order whose refund was asked for, and who has not heard of its end */
#define REPORT_FIRST    60000       /* ms between two lines about what only a person can mend, first and at most */
#define REPORT_LAST     86400000

typedef struct {
    patience_slot_t slots[PATIENCE_SLOTS];
} patience_t;

/* An order being served. */
typedef struct work_s {
    serve_t           serve;
    char              id[FOODSVC_UUID_TEXT + 1];
    foodsvc_status_e  status;           /* as it was found */
    int64_t           since;            /* ms: it stood since then */
    unsigned          did;              /* debts that were done, or asked for */
    bool              paid_again;       /* its refund had been asked for before */
    struct work_s    *next;             /* of all */
    struct work_s    *ready_next;       /* of those with a change to store */
    struct sweepd_s  *sweepd;
} work_t;

/* A walk through the orders that are seldom: a page of one status at a time. */
typedef struct {
    foodsvc_status_e  status;
    bson_t           *place;
} walk_t;

typedef struct relay_s relay_t;

typedef struct {
    uint64_t repaired, asked, calls, later, refused, busy, relayed;
} sweepd_stats_t;

typedef struct sweepd_s {
    sweepd_conf_t     conf;
    worker_servers_t  servers;
    patience_t        patience;

    work_t           *works;
    size_t            nworks;
    work_t           *ready, **ready_tail;

    int64_t           next;             /* monotonic: the next sweep */
    int64_t           last;             /* monotonic: the last one */
    bool              full, away;       /* it left some for want of room; of a service that answers */
    bool              progress;         /* something was done since */
    unsigned          probed;           /* debts whose service it has had probed */
    int               turn;             /* the status that the next sweep begins with, or one of the walks */
    bson_t           *places[FOODSVC_STATUS_COUNT];     /* where a sweep goes on that did not get to the end */
    walk_t            foreign, ahead;   /* orders of others; those that a wrong clock has written */
    unsigned          looks;            /* payments that it has read for such orders */
    int64_t           overdue_next;     /* monotonic: the next look at overdue payments */
    int64_t           overdue_after[2]; /* where it begins: those of old, those of a wrong clock */

    relay_t          *relays;
    int64_t           relay_next, relay_after[2];       /* when, and where the next round begins, as above */
    foodsvc_store_mark_t  confirmed[SWEEPD_PAGE * FOODSVC_PAYMENT_MARKS];   /* to be cleared */
    size_t            nconfirmed;

    bool              stopping;
    int64_t           deadline;         /* monotonic, when stopping */
    sweepd_stats_t    stats, logged;
    int64_t           stats_next;
} sweepd_t;

/* --- conf.c --- */
bool sweepd_open(sweepd_t *sweepd, int argc, char **argv);
void sweepd_close(sweepd_t *sweepd);

/* --- patience.c --- */
/* ms that this id still has to wait, 0: none. */
int64_t patience_left(const patience_t *patience, const char *id, int state);
/* It was in vain: it waits `first` ms, twice as long each time, at most `last`. */
void patience_wait(patience_t *patience, const char *id, int state, int64_t first, int64_t last);
void patience_forget(patience_t *patience, const char *id);

/* Logs the documents that a page left out, each at growing distances. */
void patience_report(patience_t *patience, const char *what, const foodsvc_store_bad_t *bad, size_t nbad);

/* --- work.c --- */
bool work_exists(const sweepd_t *sweepd, const char *id);
/*
 * Begins to serve an order that was found in this status and has stood since then. paid_again: first it is told that it
 * is paid, so that a refund which was asked for is owed again. False: no memory.
 */
bool work_begin(sweepd_t *sweepd, const char *id, foodsvc_status_e status, int64_t since, bool paid_again);
/* ms until there is something to store; -1: nothing. */
int64_t works_wait(const sweepd_t *sweepd);
/* Stores the changes of those that have one. */
void works_store(sweepd_t *sweepd);
void works_free(sweepd_t *sweepd);

/* --- sweep.c --- */
int64_t sweep_wait(const sweepd_t *sweepd);
void sweep_run(sweepd_t *sweepd);
void sweep_free(sweepd_t *sweepd);

/* --- untold.c --- */
/* An order that owes nothing and carries no owes_since. */
void untold_consider(sweepd_t *sweepd, const foodsvc_order_t *order);

/* --- overdue.c --- */
/* Once in a quarter of age_callback. */
void overdue_run(sweepd_t *sweepd);

/* --- relay.c --- */
int64_t relay_wait(const sweepd_t *sweepd);
void relay_run(sweepd_t *sweepd);
/* Events are on their way, or confirmed and not cleared. */
bool relay_busy(const sweepd_t *sweepd);
void relay_free(sweepd_t *sweepd);

#endif
