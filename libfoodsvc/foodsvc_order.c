/*
 * The order's statuses, and the state machine: the one owner of both.
 */
#include <string.h>
#include "foodsvc_order.h"

/* Who tells us of a status. */
typedef enum {
    FROM_US,
    FROM_PAYMENT,
    FROM_DELIVERY,
    FROM_KITCHEN
} source_e;

static const struct {
    const char *name;
    source_e    source;
} statuses[FOODSVC_STATUS_COUNT] = {
    [FOODSVC_CREATED]            = { "created",           FROM_US },
    [FOODSVC_PAYMENT_PAID]       = { "paymentPaid",       FROM_PAYMENT },
    [FOODSVC_DELIVERY_SCHEDULED] = { "deliveryScheduled", FROM_DELIVERY },
    [FOODSVC_DRIVER_AVAILABLE]   = { "driverAvailable",   FROM_DELIVERY },
    [FOODSVC_COOKING_SCHEDULED]  = { "cookingScheduled",  FROM_KITCHEN },
    [FOODSVC_COOKING_MEAL]       = { "cookingMeal",       FROM_KITCHEN },
    [FOODSVC_COOKING_DONE]       = { "cookingDone",       FROM_KITCHEN },
    [FOODSVC_PICKED_UP]          = { "pickedUp",          FROM_KITCHEN },
    [FOODSVC_IN_TRANSIT]         = { "inTransit",         FROM_DELIVERY },
    [FOODSVC_DELIVERED]          = { "delivered",         FROM_DELIVERY },
    [FOODSVC_PAYMENT_FAILED]     = { "paymentFailed",     FROM_PAYMENT },
    [FOODSVC_ORDER_CANCELLED]    = { "orderCancelled",    FROM_US },
    [FOODSVC_REIMBURSED]         = { "reimbursed",        FROM_PAYMENT },
};

/*
 * What an event does to an order in a state.
 *
 *   next   the next stage: the order takes it (APPLIED)
 *   jump   a later stage, and the sender knows what happened: the order takes it (EARLY)
 *   note   paid after failed: the order stays paymentFailed, but the history takes it, and a refund is owed (NOTED);
 *          the second one is a DUPLICATE
 *   same   the state already (DUPLICATE)
 *   late   a stage that lies behind, or the order left the path (LATE)
 *   no     no event decides this: the customer's cancel does, or an operator (REFUSED)
 */
enum {
    next = FOODSVC_APPLIED,
    jump = FOODSVC_EARLY,
    note = FOODSVC_NOTED,
    same = FOODSVC_DUPLICATE,
    late = FOODSVC_LATE,
    no   = FOODSVC_REFUSED
};

static const unsigned char machine[FOODSVC_STATUS_COUNT][FOODSVC_STATUS_COUNT] = {
    /* event:                       created  delivS. cookingS. cookingD. inTransit payFailed reimbursed
       state                            paymPaid driverA. cookingM. pickedUp delivered orderCanc.     */
    [FOODSVC_CREATED]            = { same, next, jump, jump, jump, jump, jump, jump, jump, jump, next, no,   jump },
    [FOODSVC_PAYMENT_PAID]       = { late, same, next, jump, jump, jump, jump, jump, jump, jump, late, no,   jump },
    [FOODSVC_DELIVERY_SCHEDULED] = { late, late, same, next, jump, jump, jump, jump, jump, jump, late, no,   jump },
    [FOODSVC_DRIVER_AVAILABLE]   = { late, late, late, same, next, jump, jump, jump, jump, jump, late, no,   late },
    [FOODSVC_COOKING_SCHEDULED]  = { late, late, late, late, same, next, jump, jump, jump, jump, late, no,   late },
    [FOODSVC_COOKING_MEAL]       = { late, late, late, late, late, same, next, jump, jump, jump, late, no,   late },
    [FOODSVC_COOKING_DONE]       = { late, late, late, late, late, late, same, next, jump, jump, late, no,   late },
    [FOODSVC_PICKED_UP]          = { late, late, late, late, late, late, late, same, next, jump, late, no,   late },
    [FOODSVC_IN_TRANSIT]         = { late, late, late, late, late, late, late, late, same, next, late, no,   late },
    [FOODSVC_DELIVERED]          = { late, late, late, late, late, late, late, late, late, same, late, no,   late },
    [FOODSVC_PAYMENT_FAILED]     = { late, note, late, late, late, late, late, late, late, late, same, no,   next },
    [FOODSVC_ORDER_CANCELLED]    = { late, late, late, late, late, late, late, late, late, late, late, same, next },
    [FOODSVC_REIMBURSED]         = { late, late, late, late, late, late, late, late, late, late, late, late, same },
};

const char *foodsvc_status_name(foodsvc_status_e status)
{
    return (unsigned) status < FOODSVC_STATUS_COUNT ? statuses[status].name : "unknown";
}

bool foodsvc_status_parse(const char *name, size_t len, foodsvc_status_e *status)
{
    for (int i = 0; i < FOODSVC_STATUS_COUNT; i++) {
        if (strlen(statuses[i].name) == len && memcmp(statuses[i].name, name, len) == 0) {
            *status = (foodsvc_status_e) i;
            return true;
        }
    }
    return false;
}

bool foodsvc_status_final(foodsvc_status_e status)
{
    return status == FOODSVC_DELIVERED || status == FOODSVC_REIMBURSED;
}

const char *foodsvc_owes_name(foodsvc_owes_e one)
{
    switch (one) {
    case FOODSVC_OWES_PAYMENT:
        return "payment";
    case FOODSVC_OWES_DELIVERY:
        return "delivery";
    case FOODSVC_OWES_KITCHEN:
        return "kitchen";
    case FOODSVC_OWES_DELIVERY_CANCEL:
        return "deliveryCancel";
    case FOODSVC_OWES_REIMBURSEMENT:
        return "reimbursement";
    default:
        return "nothing";
    }
}

const char *foodsvc_verdict_name(foodsvc_verdict_e verdict)
{
    static const char *const names[] = { "applied", "early", "noted", "duplicate", "late", "refused" };

    return (unsigned) verdict < sizeof(names) / sizeof(names[0]) ? names[verdict] : "unknown";
}

foodsvc_verdict_e foodsvc_order_table(foodsvc_status_e state, foodsvc_status_e event)
{
    return (foodsvc_verdict_e) machine[state][event];
}

static bool on_path(foodsvc_status_e status)
{
    return status <= FOODSVC_DELIVERED;
}

/* Was the order ever, or is it, in a state that `source` tells of? */
static bool heard_from(const foodsvc_order_t *order, source_e source)
{
    if (statuses[order->status].source == source) {
        return true;
    }
    for (size_t i = 0; i < order->nupdated; i++) {
        if (statuses[order->updated[i].status].source == source) {
            return true;
        }
    }
    return false;
}

/*
 * It was cancelled, at whatever it stands now. Then there may be a delivery, also when no id came: it was scheduled, or
 * asked for without an answer.
 */
static bool was_cancelled(const foodsvc_order_t *order)
{
    for (size_t i = 0; i < order->nupdated; i++) {
        if (order->updated[i].status == FOODSVC_ORDER_CANCELLED) {
            return true;
        }
    }
    return order->status == FOODSVC_ORDER_CANCELLED;
}

/* paymentFailed, but the money came after all. */
static bool paid_after_failed(const foodsvc_order_t *order)
{
    bool paid = false;

    for (size_t i = 0; i < order->nupdated; i++) {
        if (order->updated[i].status == FOODSVC_PAYMENT_FAILED) {
            paid = false;
        } else if (order->updated[i].status == FOODSVC_PAYMENT_PAID) {
            paid = true;
        }
    }
    return order->status == FOODSVC_PAYMENT_FAILED && paid;
}

/* --- changes --- */

/* An id may come with an event whose status is nothing new; a kitchen's is of no use when there will be no meal. */
static bool take_ids(foodsvc_order_t *order, const foodsvc_change_t *change)
{
    bool taken = false;

    if (change->has_delivery_id && !order->has_delivery_id && order->status != FOODSVC_PAYMENT_FAILED) {
        order->delivery_id = change->delivery_id;
        order->settled &= ~(unsigned) FOODSVC_OWES_DELIVERY_CANCEL;     /* there is one to cancel after all */
        order->has_delivery_id = true;
        taken = true;
    }
    if (change->has_kitchen_id && !order->has_kitchen_id && on_path(order->status)) {
        order->kitchen_id = change->kitchen_id;
        order->has_kitchen_id = true;
        taken = true;
    }
    return taken;
}

/*
 * The refund was asked for, and the order is told that it is paid: the card company has refused the refund, and it is
 * owed again. When it was only told twice, PaymentService is asked once more, and has nothing to do.
 */
static bool owe_refund_again(foodsvc_order_t *order, const foodsvc_change_t *change)
{
    if (change->status != FOODSVC_PAYMENT_PAID || !(order->settled & FOODSVC_OWES_REIMBURSEMENT)
        || (order->status != FOODSVC_ORDER_CANCELLED && order->status != FOODSVC_PAYMENT_FAILED))
    {
        return false;
    }
    order->settled &= ~(unsigned) FOODSVC_OWES_REIMBURSEMENT;
    return true;
}

static foodsvc_verdict_e decide_event(foodsvc_order_t *order, const foodsvc_change_t *change, bool *ok)
{
    foodsvc_verdict_e verdict = foodsvc_order_table(order->status, change->status);
    bool              noted;

    if (verdict == FOODSVC_NOTED && paid_after_failed(order)) {
        verdict = FOODSVC_DUPLICATE;
    }
    switch (verdict) {
    case FOODSVC_APPLIED:
    case FOODSVC_EARLY:
    case FOODSVC_NOTED:
        if (!foodsvc_order_add_step(order, change->status, change->when)) {
            *ok = false;
            return verdict;
        }
        if (verdict != FOODSVC_NOTED) {
            order->status = change->status;
        }
        owe_refund_again(order, change);
        take_ids(order, change);
        return verdict;

    case FOODSVC_DUPLICATE:
    case FOODSVC_LATE:
        noted = owe_refund_again(order, change);
        return take_ids(order, change) || noted ? FOODSVC_NOTED : verdict;

    case FOODSVC_REFUSED:
        break;
    }
    return FOODSVC_REFUSED;
}

/*
 * The customer may cancel while the delivery is scheduled, as the API says. An operator may as long as there is money
 * to give back and no meal: KitchenService has no call that would take one back.
 */
static bool may_cancel(const foodsvc_order_t *order, foodsvc_change_e kind)
{
    if (kind == FOODSVC_CHANGE_CANCEL) {
        return order->status == FOODSVC_DELIVERY_SCHEDULED;
    }
    return order->status >= FOODSVC_PAYMENT_PAID && order->status <= FOODSVC_DRIVER_AVAILABLE
           && !order->has_kitchen_id && !heard_from(order, FROM_KITCHEN);
}

static foodsvc_verdict_e decide_cancel(foodsvc_order_t *order, const foodsvc_change_t *change, bool *ok)
{
    if (!may_cancel(order, change->kind)) {
        return FOODSVC_REFUSED;
    }
    if (!foodsvc_order_add_step(order, FOODSVC_ORDER_CANCELLED, change->when)) {
        *ok = false;
        return FOODSVC_APPLIED;
    }
    order->status = FOODSVC_ORDER_CANCELLED;
    return FOODSVC_APPLIED;
}

/* DeliveryService never told of one. That its request was refused is believed only as long as this is so. */
static bool has_no_delivery(const foodsvc_order_t *order)
{
    return !order->has_delivery_id && !heard_from(order, FROM_DELIVERY);
}

static foodsvc_verdict_e decide_settled(foodsvc_order_t *order, const foodsvc_change_t *change)
{
    unsigned bits = change->settled & (FOODSVC_OWES_DELIVERY_CANCEL | FOODSVC_OWES_REIMBURSEMENT);

    if ((change->settled & FOODSVC_OWES_DELIVERY) && was_cancelled(order) && has_no_delivery(order)) {
        bits |= FOODSVC_OWES_DELIVERY_CANCEL;
    }
    if ((bits & ~order->settled) == 0) {
        return FOODSVC_DUPLICATE;
    }
    order->settled |= bits;
    return FOODSVC_NOTED;
}

foodsvc_verdict_e foodsvc_order_decide(foodsvc_order_t *order, const foodsvc_change_t *change, bool *ok)
{
    *ok = true;
    switch (change->kind) {
    case FOODSVC_CHANGE_EVENT:
        return decide_event(order, change, ok);
    case FOODSVC_CHANGE_CANCEL:
    case FOODSVC_CHANGE_GIVE_UP:
        return decide_cancel(order, change, ok);
    case FOODSVC_CHANGE_SETTLED:
        return decide_settled(order, change);
    }
    return FOODSVC_REFUSED;
}

/* --- debts --- */

/*
 * On the path, paid, and not yet delivered. A delivery that we heard of is there, even when its answer with the id was
 * lost. Only while the customer may cancel is the id worth asking for again (same idempotency key, same answer):
 * without it the delivery could not be cancelled, and a driver would come for nothing.
 */
static unsigned owes_on_path(const foodsvc_order_t *order)
{
    unsigned owes = FOODSVC_OWES_NOTHING;

    if (!order->has_delivery_id
        && (order->status == FOODSVC_DELIVERY_SCHEDULED || !heard_from(order, FROM_DELIVERY)))
    {
        owes |= FOODSVC_OWES_DELIVERY;
    }
    if (order->status >= FOODSVC_DRIVER_AVAILABLE && !order->has_kitchen_id && !heard_from(order, FROM_KITCHEN)) {
        owes |= FOODSVC_OWES_KITCHEN;
    }
    return owes;
}

/* The delivery's cancel; where its id was lost on the way, that first: without it a driver would come for nothing. */
static unsigned owes_delivery_cancel(const foodsvc_order_t *order)
{
    if (order->settled & FOODSVC_OWES_DELIVERY_CANCEL) {
        return FOODSVC_OWES_NOTHING;
    }
    if (order->has_delivery_id) {
        return FOODSVC_OWES_DELIVERY_CANCEL;
    }
    return was_cancelled(order) ? FOODSVC_OWES_DELIVERY : FOODSVC_OWES_NOTHING;
}

unsigned foodsvc_order_owes(const foodsvc_order_t *order)
{
    unsigned owes = FOODSVC_OWES_NOTHING;

    switch (order->status) {
    case FOODSVC_CREATED:
        return FOODSVC_OWES_PAYMENT;

    case FOODSVC_DELIVERED:
        return FOODSVC_OWES_NOTHING;

    case FOODSVC_PAYMENT_FAILED:
        if (paid_after_failed(order)) {
            owes = FOODSVC_OWES_REIMBURSEMENT;
        }
        break;

    case FOODSVC_ORDER_CANCELLED:
        owes = FOODSVC_OWES_REIMBURSEMENT;
        /* fall through */

    case FOODSVC_REIMBURSED:
        owes |= owes_delivery_cancel(order);
        break;

    default:
        return owes_on_path(order);
    }
    return owes & ~order->settled;
}

bool foodsvc_order_refused(const foodsvc_order_t *order, foodsvc_owes_e what, foodsvc_change_t *change)
{
    memset(change, 0, sizeof(*change));
    if (what == FOODSVC_OWES_PAYMENT) {
        change->kind = FOODSVC_CHANGE_EVENT;
        change->status = FOODSVC_PAYMENT_FAILED;
        return true;
    }
    change->kind = FOODSVC_CHANGE_SETTLED;
    change->settled = FOODSVC_OWES_DELIVERY;
    return what == FOODSVC_OWES_DELIVERY && was_cancelled(order) && has_no_delivery(order);
}

int64_t foodsvc_order_since(const foodsvc_order_t *order)
{
    return order->nupdated > 0 ? order->updated[order->nupdated - 1].when : order->created;
}
