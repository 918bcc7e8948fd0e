/*
 * Serving an order: what it owes is done, one debt after the other, money first, under a claim, and each result is
 * stored before the next call. The one owner of that sequence; orderd and sweepd differ in where orders come from, and
 * in what becomes of one that could not be served to its end.
 *
 * No call begins under a claim that may end before the call does: after the claim is written the cache is, and a
 * process may be stopped. Who has the claim by then calls, too, or gives the order up.
 *
 * The owner stores a change of the order with foodsvc_store_orders_change(), as serve_op() fills it (or one of its own,
 * with its claim), hands the result to serve_stored(), and when the cache has the order, too, calls serve_step(). Then,
 * at once or when a partner has answered, exactly one of these fires:
 *   ready   serve->has_change: that change is to be stored next
 *   end     nothing more can be done now; serve->rc says how it went
 * One thread.
 */
#ifndef SERVE_H
#define SERVE_H

#include "foodsvc_store.h"
#include "owed.h"

typedef enum {
    SERVE_DONE = 0,     /* the order owes nothing that was not done */
    SERVE_BUSY,         /* another process has the claim */
    SERVE_REFUSED,      /* a partner said no; the others' debts were done */
    SERVE_LATER         /* a partner is away */
} serve_rc_e;

typedef struct serve_s serve_t;

typedef struct {
    void (*ready)(serve_t *serve);
    void (*end)(serve_t *serve);
    void (*called)(serve_t *serve, const owed_result_t *result);    /* a partner was asked: for logs and counters */
} serve_owner_t;

/* Part of the owner's own struct. Zeroed, then `owner` and `owed` set: new. */
struct serve_s {
    const serve_owner_t *owner;
    owed_t              *owed;
    foodsvc_order_t     *order;             /* as last stored; NULL before */
    unsigned             tried;             /* debts that were done or have failed in this round */
    bool                 claimed;           /* the order is ours to serve */
    bool                 renewed;           /* the claim was too short for the call that is next, and taken anew */
    bool                 stored_release;    /* the last change gave the claim back */
    bool                 has_change;        /* `change` is to be stored before anything else */
    bool                 release;           /* and gives the claim back */
    foodsvc_change_t     change;
    serve_rc_e           rc;
    char                 reason[FOODSVC_ERR];   /* unless DONE */
};

/* Everything but the order is forgotten: debts that were tried are tried again. */
void serve_again(serve_t *serve);
/* Frees the order. */
void serve_free(serve_t *serve);

/* The next change is one that changes nothing, whatever the order has become, but takes the claim or gives it back. */
void serve_touch(serve_t *serve, bool release);
/* The next change is this one, under the claim. */
void serve_change(serve_t *serve, const foodsvc_change_t *change);
/* Fills what is to be stored: serve->change, in the name `token`. id is borrowed. */
void serve_op(const serve_t *serve, const char *id, const char *token, int64_t claim_ms, foodsvc_store_change_op_t *op);
/* The op was stored (rc OK): takes its order. */
void serve_stored(serve_t *serve, foodsvc_store_change_op_t *op);
void serve_step(serve_t *serve);

#endif
