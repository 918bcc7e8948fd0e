/*
 * The payment: its statuses and what moves it. The one owner of that rule. Pure; any thread.
 *
 *   (none) --request--> pending --callback--> paymentPaid | paymentFailed ; paymentFailed --callback--> paymentPaid
 *   paymentPaid --reimburse--> pending, with reimburse set --callback--> reimbursed
 *   paymentFailed, never sent (no transaction_id) --request--> pending
 *   pending, with reimburse set --callback paymentFailed, of its transaction--> paymentPaid: the refund is owed again
 * A callback that lies behind the payment (a repeat, an out-of-order one, `pending`) changes nothing.
 *
 * Attempts. Who asks the card company holds the payment's lease (attempt) from the write that begins the attempt to the
 * one that ends it, so that one request at a time is under way, whoever asks. A lease ends by itself after a while; one
 * that is further away than the longest is none (a clock was wrong). Every attempt asks for the amount that the first
 * one stored, with the same idempotency key; a reimbursement that the company refused after it had taken it is followed
 * by another, with a key of its own.
 *
 * A company remembers a key for a while only (24 h is usual); asked with it after that, it might charge again. So the
 * first attempt stores until when it may be asked (ask_until). After that a payment without an answer is stale: nobody
 * asks by himself, foodctl stuck shows it, and a callback, the company's or one that a person sends for it, decides.
 * A refusal of the first request ends its time, for it was the only one; one of a later request does not: the first may
 * have been carried out.
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

#define FOODSVC_PAYMENT_LEASE   900000  /* ms: the longest lease */
/* How often an event tells that a reimbursement was refused, so that it is asked for again. */
#define FOODSVC_PAYMENT_REFUNDS 3
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
    unsigned                  reimburse_refused;    /* reimbursements that it took and then refused by a callback */
    bool                      has_amount;
    double                    amount;           /* euro, > 0: of every attempt, and of the reimbursement */
    char                      attempt_by[FOODSVC_UUID_TEXT + 1];    /* who asks the company now; "" nobody */
    int64_t                   attempt_until;    /* ms */
    int64_t                   asked;            /* ms: when the last attempt began, the company reported, or the
                                                   event was told again; 0: it isn't known */
    /* ms: no attempt begins from then on; 0: unknown, or nothing is open */
    int64_t                   ask_until;
    /* more than one: how an earlier one ended is open */
    unsigned                  attempts;
    /* the HTTP status that the last attempt was refused with; 0: it wasn't */
    unsigned                  refused;
    foodsvc_payment_mark_t    outbox[FOODSVC_PAYMENT_MARKS];        /* oldest first: the order of their events */
    size_t                    noutbox;
} foodsvc_payment_t;

/* The card company has what is pending, or had it. */
bool foodsvc_payment_taken(const foodsvc_payment_t *payment);
/*
 * The company must not be asked again for what is pending, or was refused after a request whose end nobody knows: it
 * may have forgotten the idempotency key, or another implementation has asked it, without ours.
 */
bool foodsvc_payment_stale(const foodsvc_payment_t *payment, int64_t now);

/*
 * Another implementation's PaymentService has asked the company, without a key: it keeps no `asked`, and no idempotency
 * of its own, so that whoever answers for PaymentService now, to ask again may charge or give back twice.
 */
bool foodsvc_payment_foreign(const foodsvc_payment_t *payment);

foodsvc_payment_t *foodsvc_payment_new(void);
void foodsvc_payment_free(foodsvc_payment_t *payment);

typedef enum {
    FOODSVC_PAYMENT_REQUESTED,      /* POST /v1/payments: may an attempt begin? */
    FOODSVC_PAYMENT_REIMBURSE,      /* POST /v1/payments/reimburse: the same */
    FOODSVC_PAYMENT_AMOUNT,         /* CustomerService named the amount: the company is about to be asked */
    FOODSVC_PAYMENT_ACCEPTED,       /* the card company took the request; carries transaction_id */
    FOODSVC_PAYMENT_REFUSED,        /* the card company or CustomerService said no, or could not be reached */
    FOODSVC_PAYMENT_RELEASED,       /* the attempt ended, and nobody knows how */
    FOODSVC_PAYMENT_CALLBACK        /* the card company's answer; carries status and transaction_id */
} foodsvc_payment_change_e;

typedef struct {
    foodsvc_payment_change_e  kind;
    foodsvc_payment_status_e  status;           /* CALLBACK */
    bool                      reimburse;        /* AMOUNT, ACCEPTED, REFUSED: what is asked for is a reimbursement */
    bool                      has_transaction_id;
    foodsvc_uuid_t            transaction_id;   /* ACCEPTED, CALLBACK */
    int64_t                   when;             /* ms: now */
    /* all but CALLBACK: a token of the attempt's own. "": no lease is taken (no attempt runs beside this one) */
    char                      by[FOODSVC_UUID_TEXT + 1];
    int64_t                   lease_ms;         /* REQUESTED, REIMBURSE: how long the attempt may take */
    /* REQUESTED, REIMBURSE: after that a callback counts as lost; 0: never */
    int64_t                   callback_wait_ms;
    /* REQUESTED, REIMBURSE: how long the company knows a key; 0: for ever */
    int64_t                   key_life_ms;
    bool                      waited;           /* REQUESTED, REIMBURSE: for another attempt: its end is the answer */
    double                    amount;           /* AMOUNT: > 0 */
    unsigned                  refunds;          /* ACCEPTED, of a refund: reimburse_refused when it was asked for */
    unsigned                  refused;          /* REFUSED: the HTTP status that the client is answered with */
    bool                      asked;            /* REFUSED: it was the card company that said so, of this request */
    bool                      open;             /* REFUSED: an earlier request of this attempt was not answered */
} foodsvc_payment_change_t;

typedef enum {
    FOODSVC_PAYMENT_WRITE,      /* payment was changed in memory: store it. REQUESTED, REIMBURSE: the attempt has begun.
                                   AMOUNT: ask the company. CALLBACK: owes the events of its outbox */
    FOODSVC_PAYMENT_PROCEED,    /* AMOUNT: one is stored already; ask the company for that */
    FOODSVC_PAYMENT_NOTHING,    /* done before, or behind: success without effect */
    FOODSVC_PAYMENT_TELL,       /* REQUESTED, REIMBURSE: done long ago, and whoever asks has not heard: the outbox has
                                   its event once more; store that, and send it. Success, and nobody is asked */
    FOODSVC_PAYMENT_WAIT,       /* another attempt is under way: ask again later. CALLBACK: it can't be told yet whose
                                   answer it is */
    FOODSVC_PAYMENT_STALE,      /* REQUESTED, REIMBURSE: it has to be asked again, and may not be: a person decides */
    FOODSVC_PAYMENT_ILLEGAL     /* a reimbursement of what was not paid */
} foodsvc_payment_verdict_e;

/*
 * Decides and, when the verdict is WRITE or TELL, applies to `payment` in memory.
 *   REQUESTED  pending, not taken (no transaction_id), or taken and its callback overdue: WRITE, the attempt begins, or
 *              WAIT for the one that is under way, STALE when it is too late for one; failed without transaction_id:
 *              WRITE to pending, or STALE, but NOTHING for who has waited for the attempt that was refused (`refused`
 *              says how); else the company has reported: TELL, when that, or the last telling, is longer ago
 *              than the callback's wait, and than it took so far (at most an hour), and no mark stands, or NOTHING;
 *              NOTHING while a reimbursement is open
 *   REIMBURSE  paid: WRITE to pending + reimburse, the attempt begins (NOTHING, STALE as above); pending +
 *              reimburse: as REQUESTED, with reimburse_taken for taken; reimbursed: TELL or NOTHING; else ILLEGAL
 *   AMOUNT     pending, and what is pending is what was asked for: WRITE of the amount, PROCEED when one is stored;
 *              WAIT when the attempt is another's by now; else NOTHING
 *   ACCEPTED   pending, and what is pending is what was asked for: WRITE: the attempt ends, with the transaction_id and
 *              reimburse_taken; NOTHING when that changes nothing, and else. A reimbursement without a transaction_id
 *              doesn't count as taken: nobody could tell what its callback is about
 *   REFUSED    the same, and the attempt is this one: WRITE: it ends. What was taken before stays so: its callback
 *              decides. Where the company was not asked, and an earlier request's outcome is not known (it is where no
 *              amount is stored: then the company never heard of a charge), it stays pending; else to failed, no event,
 *              or with reimburse back to paid. WAIT when another attempt is under way; else NOTHING
 *   RELEASED   the attempt is this one: WRITE: it ends; else NOTHING
 *   CALLBACK   pending: paid, failed, reimbursed are written; pending + reimburse: reimbursed, and failed, of the
 *              transaction that was taken, or of any when it is stale, even if it was refused last: back to paid;
 *              failed of an unknown transaction while none was taken: WAIT;
 *              failed: paid and reimbursed, and failed when there is no transaction_id: then only we had said no so
 *              far, and nobody was told by an event; paid: reimbursed; all else NOTHING. A written callback adds a mark
 *              (a new UUID v4) to the outbox, sets transaction_id, and ends reimburse and the attempt. In a full outbox
 *              the oldest mark gives way: the newer ones say how the payment stands. A refused reimbursement has a mark
 *              only the first FOODSVC_PAYMENT_REFUNDS times. `pending` for a charge that is pending: WRITE of its
 *              transaction_id alone, when it differs or is missing.
 */
foodsvc_payment_verdict_e foodsvc_payment_decide(foodsvc_payment_t *payment, const foodsvc_payment_change_t *change);

#endif
