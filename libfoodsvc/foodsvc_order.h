/*
 * The order: what it is, which statuses it takes, what moves it on, and what it owes. The one owner of the state
 * machine.
 *
 * foodsvc_order_decide() looks at a stored order and a change (an event, an answer of a partner, a cancel) and says
 * what to write; foodsvc_order_owes() says what a state still has to get done. Both are pure: no clock, no I/O.
 * Whoever stores (foodsvc_store.h) writes a decision only if the order is still the one it was decided on.
 */
#ifndef FOODSVC_ORDER_H
#define FOODSVC_ORDER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <jansson.h>
#include "foodsvc_uuid.h"

/* In the order of the happy path, then the others. The names on the wire are in foodsvc_order.c. */
typedef enum {
    FOODSVC_CREATED = 0,
    FOODSVC_PAYMENT_PAID,
    FOODSVC_DELIVERY_SCHEDULED,
    FOODSVC_DRIVER_AVAILABLE,
    FOODSVC_COOKING_SCHEDULED,
    FOODSVC_COOKING_MEAL,
    FOODSVC_COOKING_DONE,
    FOODSVC_PICKED_UP,
    FOODSVC_IN_TRANSIT,
    FOODSVC_DELIVERED,
    FOODSVC_PAYMENT_FAILED,
    FOODSVC_ORDER_CANCELLED,
    FOODSVC_REIMBURSED,
    FOODSVC_STATUS_COUNT
} foodsvc_status_e;

/* The wire's name of a status, a static string; and back: false when there is no such status. */
const char *foodsvc_status_name(foodsvc_status_e status);
bool foodsvc_status_parse(const char *name, size_t len, foodsvc_status_e *status);
/* No event changes it any more: delivered, reimbursed. paymentFailed is final unless the money comes after all. */
bool foodsvc_status_final(foodsvc_status_e status);

/* The products of the menu: NULL-terminated, static. */
extern const char *const foodsvc_products[];

typedef struct {
    char    *product;       /* owned; a menu product in a request, any text in the database */
    int64_t  quantity;      /* >= 1 */
} foodsvc_item_t;

typedef struct {
    foodsvc_status_e status;
    int64_t          when;  /* ms */
} foodsvc_step_t;

/* What a state still has to get done: a bit set. */
typedef enum {
    FOODSVC_OWES_NOTHING         = 0,
    FOODSVC_OWES_PAYMENT         = 1 << 0,  /* POST PaymentService /v1/payments */
    FOODSVC_OWES_DELIVERY        = 1 << 1,  /* address from CustomerService, POST DeliveryService /v1/deliveries */
    FOODSVC_OWES_KITCHEN         = 1 << 2,  /* POST KitchenService /v1/kitchen */
    FOODSVC_OWES_DELIVERY_CANCEL = 1 << 3,  /* POST DeliveryService /v1/deliveries/{id}/cancel */
    FOODSVC_OWES_REIMBURSEMENT   = 1 << 4   /* POST PaymentService /v1/payments/reimburse */
} foodsvc_owes_e;

/* "payment", "delivery", "kitchen", "deliveryCancel", "reimbursement": the name of one bit, as stored in `settled` and
   logged. */
const char *foodsvc_owes_name(foodsvc_owes_e one);

/*
 * An order as the database has it. Everything is owned by the order and freed by foodsvc_order_free().
 * Beside the contract's fields it carries two of ours, both optional in the document:
 *   claim    who is doing what the order owes, and until when (see foodsvc_store.h)
 *   settled  the debts that leave no status behind and are paid: deliveryCancel, reimbursement (asked for)
 */
typedef struct {
    char              id[FOODSVC_UUID_TEXT + 1];
    foodsvc_item_t   *items;
    size_t            nitems;
    foodsvc_status_e  status;
    int64_t           created;          /* ms */
    foodsvc_uuid_t    customer_id;
    bool              has_kitchen_id, has_delivery_id;
    foodsvc_uuid_t    kitchen_id, delivery_id;
    foodsvc_step_t   *updated;          /* the history, oldest first; `created` is not part of it */
    size_t            nupdated;
    unsigned          settled;          /* foodsvc_owes_e bits */
    char              claim_by[FOODSVC_UUID_TEXT + 1];  /* "" when unclaimed */
    int64_t           claim_until;      /* ms */
    json_t           *unknown;          /* fields of the document that are none of the above, as JSON, or NULL */
} foodsvc_order_t;

/* NULL: no memory. A new order has all fields zero and an empty history. */
foodsvc_order_t *foodsvc_order_new(void);
foodsvc_order_t *foodsvc_order_copy(const foodsvc_order_t *order);
/* NULL is fine. */
void foodsvc_order_free(foodsvc_order_t *order);
/* Appends an item (product is copied) or a step; false: no memory, nothing changed. */
bool foodsvc_order_add_item(foodsvc_order_t *order, const char *product, size_t len, int64_t quantity);
bool foodsvc_order_add_step(foodsvc_order_t *order, foodsvc_status_e status, int64_t when);

/*
 * How far an order has come: it grows with each step of the history and with each partner's id, and never falls. Of two
 * copies of one order, the one of the lower rank is the older; of the same rank, they show the same.
 */
size_t foodsvc_order_rank(const foodsvc_order_t *order);
/* The same, of a number of steps and of ids. */
#define FOODSVC_ORDER_RANK(steps, ids)  ((steps) * 4 + (ids))

/* What happened to an order. */
typedef enum {
    FOODSVC_CHANGE_EVENT,       /* a status came: from the queue, or in a partner's answer */
    FOODSVC_CHANGE_CANCEL,      /* the customer cancels */
    FOODSVC_CHANGE_GIVE_UP,     /* an operator cancels what a partner refuses for good. The store lets through
                                   what nobody else may be calling a service for: foodsvc_store_orders_change() */
    FOODSVC_CHANGE_SETTLED      /* a debt without a status of its own was paid */
} foodsvc_change_e;

typedef struct {
    foodsvc_change_e  kind;
    foodsvc_status_e  status;                           /* EVENT */
    bool              has_kitchen_id, has_delivery_id;  /* EVENT: may come with it */
    foodsvc_uuid_t    kitchen_id, delivery_id;
    unsigned          settled;                          /* SETTLED: bits; DELIVERY: there is none */
    int64_t           when;                             /* ms, for the history */
} foodsvc_change_t;

typedef enum {
    FOODSVC_APPLIED,        /* the next status: write it */
    FOODSVC_EARLY,          /* a later stage came first: the order jumps forward; write it */
    FOODSVC_NOTED,          /* no new status, but something to write: an id that was missing, a debt settled,
                               paymentPaid after paymentFailed, which goes into the history and owes a refund, or
                               paymentPaid when the refund was asked for: it was refused, and is owed again */
    FOODSVC_DUPLICATE,      /* this status was reached already and is still the order's: nothing to write */
    FOODSVC_LATE,           /* its stage lies behind: nothing to write */
    FOODSVC_REFUSED         /* not legal in this state: a cancel too early or too late, the giving up of what is not
                               paid or is KitchenService's already, an orderCancelled nobody asked for */
} foodsvc_verdict_e;

const char *foodsvc_verdict_name(foodsvc_verdict_e verdict);

/*
 * Decides a change on an order as stored, and applies it to `order` in memory when the verdict is APPLIED, EARLY or
 * NOTED (status, history, ids, settled). Returns the verdict; false through *ok: no memory, order unchanged.
 * Several changes may be decided on one copy, one after the other, and stored as one write.
 */
foodsvc_verdict_e foodsvc_order_decide(foodsvc_order_t *order, const foodsvc_change_t *change, bool *ok);

/*
 * What the order owes, from its state alone:
 *   created                          payment
 *   paid, without a delivery_id      delivery
 *     or a delivery's status
 *   deliveryScheduled, no            delivery: the request again, for the id that a cancel needs
 *     delivery_id
 *   driverAvailable or past it,      kitchen
 *     without a kitchen_id or a kitchen's status
 *   orderCancelled                   delivery cancel, reimbursement; each until settled. Without a delivery_id:
 *                                    delivery, the request again (same idempotency key), for the id that its cancel
 *                                    needs
 *   paymentFailed, and               reimbursement until settled
 *     paymentPaid after it
 *   reimbursed                       what orderCancelled owes for the delivery: the refund's event may come before the
 *                                    delivery could be cancelled (a service that has nothing to cancel says so). Not
 *                                    cancelled before: delivery cancel when there is a delivery_id
 *   delivered                        nothing
 */
unsigned foodsvc_order_owes(const foodsvc_order_t *order);

/*
 * What it means that a service refuses for good what the order owes: true, and *change is to be stored; false: nothing,
 * it stays owed.
 *   payment                          paymentFailed
 *   delivery, to be cancelled        there is none to cancel. Unless DeliveryService told of one (after the cancel:
 *                                    with its id): then it has lost it, or refuses for another reason
 */
bool foodsvc_order_refused(const foodsvc_order_t *order, foodsvc_owes_e what, foodsvc_change_t *change);

/* Since when the order stands in its status, ms: the time of its last step, or of its creation. */
int64_t foodsvc_order_since(const foodsvc_order_t *order);

/* The table itself, for documents and tests: the verdict of event `event` in state `state`, history left aside. */
foodsvc_verdict_e foodsvc_order_table(foodsvc_status_e state, foodsvc_status_e event);

#endif
