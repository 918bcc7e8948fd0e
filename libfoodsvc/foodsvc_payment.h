/*
 * The payment: its statuses and what moves it. The one owner of that rule. Pure; any thread.
 *
 *   (none) --request--> pending --callback--> paymentPaid | paymentFailed ; paymentFailed --callback--> paymentPaid
 *   paymentPaid --reimburse--> pending, with reimburse set --callback--> reimbursed
 *   paymentFailed, never sent (no transaction_id) --request--> pending
 * A callback that lies behind the payment (a repeat, an out-of-order one, `pending`) changes nothing.
 */
#ifndef FOODSVC_PAYMENT_H
#define FOODSVC_PAYMENT_H

#include <stdbool.h>
#include <stdint.h>
#include "foodsvc_order.h"

typedef enum {
    FOODSVC_PENDING = 0,
    FOODSVC_PAY_PAID,
    FOODSVC_PAY_FAILED,
    FOODSVC_PAY_REIMBURSED,
    FOODSVC_PAYMENT_STATUS_COUNT
} foodsvc_payment_status_e;

const char *foodsvc_payment_status_name(foodsvc_payment_status_e status);
bool foodsvc_payment_status_parse(const char *name, size_t len, foodsvc_payment_status_e *status);
/* The order's status that a payment's stands for in an event; pending has none: false. */
bool foodsvc_payment_event(foodsvc_payment_status_e status, foodsvc_status_e *event);

/* metadata of a payment, an event or a partner's request: strings, owned. */
typedef struct {
    char *receiver;
    char *order_id;
    char *customer_id;
} foodsvc_metadata_t;

bool foodsvc_metadata_set(foodsvc_metadata_t *metadata, const char *receiver, const char *order_id,
    const char *customer_id);                           /* copies; false: no memory, metadata cleared */
void foodsvc_metadata_clear(foodsvc_metadata_t *metadata);

/*
 * A mark of the outbox: an event that was stored with the status and that the broker has not confirmed yet. The event
 * is foodsvc_event_json() of the payment's metadata and the mark's status, its message_id the mark's id.
 */
typedef struct {
    char                      id[FOODSVC_UUID_TEXT + 1];
    foodsvc_status_e          status;
    int64_t                   when;             /* ms: when it was stored */
} foodsvc_payment_mark_t;

#define FOODSVC_PAYMENT_MARKS   8       /* the most that a payment carries: more than its statuses can be */

typedef struct {
    char                     *id;               /* the order id, owned */
    foodsvc_metadata_t        metadata;
    bool                      has_transaction_id;
    foodsvc_uuid_t            transaction_id;
    foodsvc_payment_status_e  status;
    int64_t                   created;          /* ms */
    bool                      reimburse;        /* a reimbursement was asked for: `reimburse` in the document */
    bool                      reimburse_taken;  /* and the card company has taken it */
    foodsvc_payment_mark_t    outbox[FOODSVC_PAYMENT_MARKS];        /* oldest first: the order of their events */
    size_t                    noutbox;
} foodsvc_payment_t;

foodsvc_payment_t *foodsvc_payment_new(void);
void foodsvc_payment_free(foodsvc_payment_t *payment);

typedef enum {
    FOODSVC_PAYMENT_REQUESTED,      /* POST /v1/payments for a payment that is stored already */
    FOODSVC_PAYMENT_REIMBURSE,      /* POST /v1/payments/reimburse */
    FOODSVC_PAYMENT_ACCEPTED,       /* the card company took the request; carries transaction_id */
    FOODSVC_PAYMENT_REFUSED,        /* the card company or CustomerService said no: nothing was charged or given back */
    FOODSVC_PAYMENT_CALLBACK        /* the card company's answer; carries status and transaction_id */
} foodsvc_payment_change_e;

typedef struct {
    foodsvc_payment_change_e  kind;
    foodsvc_payment_status_e  status;           /* CALLBACK */
    bool                      reimburse;        /* ACCEPTED, REFUSED: what was asked for was a reimbursement */
    bool                      has_transaction_id;
    foodsvc_uuid_t            transaction_id;   /* ACCEPTED, CALLBACK */
    int64_t                   when;             /* ms: now */
} foodsvc_payment_change_t;

typedef enum {
    FOODSVC_PAYMENT_WRITE,      /* payment was changed in memory: store it; a CALLBACK owes the events of its outbox */
    FOODSVC_PAYMENT_PROCEED,    /* nothing to store, but ask the card company (again, with the same idempotency key) */
    FOODSVC_PAYMENT_NOTHING,    /* done before, or behind: success without effect */
    FOODSVC_PAYMENT_ILLEGAL     /* a reimbursement of what was not paid */
} foodsvc_payment_verdict_e;

/*
 * Decides and, when the verdict is WRITE, applies to `payment` in memory.
 *   REQUESTED  pending without transaction_id: PROCEED; failed without transaction_id: WRITE to pending; else NOTHING
 *   REIMBURSE  paid: WRITE to pending + reimburse; pending + reimburse: PROCEED, or NOTHING when it was taken;
 *              reimbursed: NOTHING; else ILLEGAL
 *   ACCEPTED   pending, and what is pending is what was asked for: WRITE of the transaction_id when it differs or is
 *              missing, and of reimburse_taken; else NOTHING
 *   REFUSED    pending, no reimburse: WRITE to failed, no event; pending + reimburse: WRITE back to paid; NOTHING when
 *              it isn't pending, or when the company has taken the same request from another caller meanwhile: then
 *              its callback decides
 *   CALLBACK   pending: paid, failed, reimbursed are written; pending + reimburse: only reimbursed; failed: paid and
 *              reimbursed, and failed when there is no transaction_id: then only we had said no so far, and nobody was
 *              told by an event; paid: reimbursed; all else NOTHING. A written callback adds a mark (a new UUID v4) to the
 *              outbox, sets transaction_id, and ends reimburse. In a full outbox the oldest mark gives way: the newer
 *              ones say how the payment stands. `pending` for what is pending: WRITE of its transaction_id alone, when
 *              it differs or is missing.
 */
foodsvc_payment_verdict_e foodsvc_payment_decide(foodsvc_payment_t *payment, const foodsvc_payment_change_t *change);

#endif
