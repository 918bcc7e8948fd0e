/*
 * Cancelled orders that have not heard how their refund ended. What they owe they have asked for, so that nobody asks
 * again; when the event that RabbitMQ had confirmed is lost, with a queue or its disk, they stand for ever. They carry
 * no owes_since and are met by the walk through those that don't (sweep.c).
 *
 * The payment tells (foodsvc_overdue.h). Where the card company has reported long ago, the order is told that it is
 * still paid, as in overdue.c: it owes the refund again and PaymentService is asked under its claim; that has nothing
 * to do but send the event once more, or, when the event said that the refund was refused, to ask for another. A
 * payment that is pending is overdue.c's. Only our own orders remember what they asked for (`settled`), so `foreign`
 * says nothing about them. A look costs a read of the payment: a few in one sweep, each order's at growing distances.
 */
#include "foodsvc_overdue.h"
#include "foodsvc_time.h"
#include "sweepd.h"
#include "worker_log.h"

#define LOOKS       8           /* payments read in one sweep */
#define LOOK_LAST   3600000     /* ms between two looks at one order, at most */


/* The company has reported, and the order has not heard. */
static void ask(sweepd_t *sweepd, const foodsvc_payment_t *payment, const foodsvc_order_t *order)
{
    int64_t  now = foodsvc_time_now(), stood = now - foodsvc_order_since(order);

    switch (foodsvc_overdue(payment, order, now, sweepd->conf.age_callback)) {
    case FOODSVC_OVERDUE_REFUND:
        worker_log(WORKER_LOG_WARN, "an order has not heard of its refund, PaymentService is asked again",
                   worker_text("order", order->id),
                   worker_text("payment", foodsvc_payment_status_name(payment->status)),
                   worker_int("stood_ms", stood));
        work_begin(sweepd, order->id, order->status, foodsvc_order_since(order), true);
        break;
    case FOODSVC_OVERDUE_STALE:
    case FOODSVC_OVERDUE_REFUSED:
        worker_log(WORKER_LOG_WARN, foodsvc_payment_foreign(payment)
                   ? "an order has not heard of its refund, and another PaymentService asked for that: it is not asked "
                   "again" : "a refund that the card company has refused is not asked for again",
                   worker_text("order", order->id),
                   worker_text("payment", foodsvc_payment_status_name(payment->status)),
                   worker_int("refused", payment->reimburse_refused), worker_int("stood_ms", stood));
        break;
    default:
        break;
    }
}


static bool is_waiting(const sweepd_t *sweepd, const foodsvc_order_t *order)
{
    int64_t  now = foodsvc_time_now(), since = foodsvc_order_since(order);

    return order->status == FOODSVC_ORDER_CANCELLED && (order->settled & FOODSVC_OWES_REIMBURSEMENT)
           && (now - since > sweepd->conf.age_callback || foodsvc_time_is_ahead(since, now));
}


void untold_consider(sweepd_t *sweepd, const foodsvc_order_t *order)
{
    foodsvc_payment_t   *payment;
    foodsvc_store_rc_e   rc;
    char                 err[FOODSVC_ERR] = "";

    if (!is_waiting(sweepd, order) || work_exists(sweepd, order->id) || sweepd->looks >= LOOKS
        || patience_left(&sweepd->patience, order->id, PATIENCE_UNTOLD) > 0
        || owed_mood(sweepd->servers.owed, FOODSVC_OWES_REIMBURSEMENT) == OWED_ALONE
        || worker_store_wait(&sweepd->servers) > 0)
    {
        return;
    }
    sweepd->looks++;
    rc = foodsvc_store_payment_find(sweepd->servers.store, order->id, &payment, err);
    worker_store_noted(&sweepd->servers, rc == FOODSVC_STORE_UNAVAILABLE, err);
    if (rc == FOODSVC_STORE_UNAVAILABLE) {
        return;
    }
    patience_wait(&sweepd->patience, order->id, PATIENCE_UNTOLD, sweepd->conf.age_callback, LOOK_LAST);
    if (rc == FOODSVC_STORE_OK && payment->status != FOODSVC_PENDING) {
        ask(sweepd, payment, order);
    }
    foodsvc_payment_free(payment);
}
