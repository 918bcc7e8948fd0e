/*
 * What order repair and order refund have in common. For one command; one thread.
 */
#ifndef CTL_REPAIR_H
#define CTL_REPAIR_H

#include "ctl_store.h"
#include "foodsvc_overdue.h"
#include "serve.h"

typedef struct {
    const ctl_t       *ctl;
    foodsvc_store_t   *store;
    worker_cache_t    *cache;
    worker_urls_t     *urls;
    worker_http_t     *http;
    owed_t            *owed;
    foodsvc_allow_t    allow;
    serve_t            serve;
    bool               ended, uncached, given_up;
    int64_t            asked;           /* when the payment had been asked for before the order was served; or 0 */
    bool               owed_some;       /* the order owed something when it was found, and that was asked for */
    char               id[FOODSVC_UUID_TEXT + 1], token[FOODSVC_UUID_TEXT + 1];
    foodsvc_payment_t *payment;         /* as it was found then; or NULL */
    foodsvc_overdue_e  needs;           /* and what it needed then */
    json_t            *did, *relayed;
} ctl_repair_t;

/* --- ctl_repair.c. Those that return a code: CTL_OK, or told. --- */

/* The command, with or without giving the order up first. */
int ctl_repair(ctl_t *ctl, bool give_up);
/* Reads the order. */
int ctl_repair_find(ctl_repair_t *repair);
/* Stores the change that is ready, and takes the claim with it. */
int ctl_repair_stored(ctl_repair_t *repair);
/* Tells who has claimed the order. Returns CTL_FAILED. */
int ctl_repair_busy(const ctl_repair_t *repair);
void ctl_repair_pause(void);
bool ctl_repair_is_cancelled(const ctl_repair_t *repair);

/* --- ctl_refund.c --- */

/* Cancels the order, if it is not yet. CTL_OK, or told. */
int ctl_refund_give_up(ctl_repair_t *repair);

/* --- ctl_overdue.c --- */

/* Notes when the payment of an order at `created` was asked for, before that is served. CTL_OK, or told. */
int ctl_overdue_before(ctl_repair_t *repair);
/* Reads the payment of an order that was served, and fills needs. CTL_OK, or told. */
int ctl_overdue_find(ctl_repair_t *repair);
/* The order waits for the card company, or for its report, and nobody can be asked for that, or not yet. */
bool ctl_overdue_waits(const ctl_repair_t *repair);
/* The same for people, with what to do. Returns CTL_FAILED. */
int ctl_overdue_told(const ctl_repair_t *repair);
/* And for programs; a new reference. */
json_t *ctl_overdue_json(const ctl_repair_t *repair);

#endif
