/*
 * What the card company was asked for and never reported on: payments that stay pending, though PaymentService asked
 * longer ago than age_callback. Its callback was lost, or the request itself; nobody knows which. Asking PaymentService
 * again makes it ask the company again, with the same idempotency key: the callback comes again, or the charge or
 * refund is made at last.
 *
 * The order may owe nothing by then (foodsvc_overdue.h). One whose refund was asked for waits for the callback alone:
 * it is told that it is still paid, and owes the refund again. One that failed because its payment's outcome was
 * unclear may have been charged: its payment is asked for again, without a claim, for PaymentService lets one attempt
 * at a time through; what was charged is then reported, and given back. What is stale (foodsvc_payment.h) nobody may
 * ask for, and a refund of an order that owes none, not even when it is still paid (another event said `reimbursed`),
 * nobody would: that is logged, at growing distances. An order at `created` owes its payment anyway (sweep.c). A
 * payment whose order was deleted can't be asked for; foodctl stuck shows it. Those that stay pending for good must not
 * hide the others: looks go on page by page, one in each interval, up to the end.
 */
#include <stdlib.h>
#include <string.h>

#include "foodsvc_overdue.h"
#include "foodsvc_time.h"
#include "sweepd.h"
#include "worker_log.h"


static void asked(void *ctx, const owed_result_t *result)
{
    char  *id = ctx;

    if (result->rc != OWED_DONE) {
        worker_log(WORKER_LOG_WARN, "an overdue payment could not be asked for", worker_text("order", id),
                   worker_text("reason", result->reason));
    }
    free(id);
}


/* Only a person can find out what became of it. */
static void report(sweepd_t *sweepd, const foodsvc_payment_t *payment, const char *why)
{
    if (patience_left(&sweepd->patience, payment->id, PATIENCE_PAYMENT) == 0) {
        patience_wait(&sweepd->patience, payment->id, PATIENCE_PAYMENT, REPORT_FIRST, REPORT_LAST);
        worker_log(WORKER_LOG_WARN, why, worker_text("order", payment->id),
                   worker_text("of", payment->reimburse ? "reimbursement" : "payment"),
                   worker_int("stood_ms", foodsvc_time_now() - payment->created));
    }
}


static void ask_again(sweepd_t *sweepd, const foodsvc_payment_t *payment, const foodsvc_order_t *order)
{
    foodsvc_overdue_e   needs = foodsvc_overdue(payment, order, foodsvc_time_now(), sweepd->conf.age_callback);
    char               *id;

    if (payment->reimburse && needs == FOODSVC_OVERDUE_NOTHING
        && !(foodsvc_order_owes(order) & FOODSVC_OWES_REIMBURSEMENT))
    {
        report(sweepd, payment, "the card company has not reported, and the order owes no refund: it is not asked "
               "again");
        return;
    }
    if (work_exists(sweepd, payment->id) || (needs != FOODSVC_OVERDUE_REFUND && needs != FOODSVC_OVERDUE_CHARGE)) {
        return;
    }
    worker_log(WORKER_LOG_WARN, "the card company has not reported, it is asked again",
               worker_text("order", payment->id),
               worker_text("of", payment->reimburse ? "reimbursement" : "payment"),
               worker_text("is", foodsvc_status_name(order->status)),
               worker_int("stood_ms", foodsvc_time_now() - payment->asked));
    if (needs == FOODSVC_OVERDUE_REFUND) {
        work_begin(sweepd, payment->id, order->status, payment->asked, true);
        return;
    }
    id = strdup(payment->id);
    if (id && !owed_start(sweepd->servers.owed, order, FOODSVC_OWES_PAYMENT, asked, id)) {
        free(id);
    }
}


static void look_at(sweepd_t *sweepd, const foodsvc_store_due_t *due)
{
    int64_t                   now = foodsvc_time_now();
    foodsvc_store_order_op_t  ops[SWEEPD_PAGE], *list[SWEEPD_PAGE];
    const foodsvc_payment_t  *payments[SWEEPD_PAGE];
    size_t                    n = 0;

    for (size_t i = 0; i < due->npayments; i++) {
        if (foodsvc_payment_stale(due->payments[i], now)) {
            report(sweepd, due->payments[i], "the card company has not reported, and may have forgotten the "
                   "idempotency key: it is not asked again");
        } else if (foodsvc_payment_overdue(due->payments[i], now, sweepd->conf.age_callback)) {
            payments[n] = due->payments[i];
            ops[n] = (foodsvc_store_order_op_t) { .id = payments[n]->id };
            list[n] = &ops[n];
            n++;
        }
    }
    if (n > 0) {
        foodsvc_store_orders_find(sweepd->servers.store, list, n);
    }
    for (size_t i = 0; i < n; i++) {
        if (ops[i].rc == FOODSVC_STORE_OK) {
            ask_again(sweepd, payments[i], ops[i].order);
        }
        foodsvc_order_free(ops[i].order);
    }
}


/* A page of the payments of old, or of those that a wrong clock has written. */
static void look(sweepd_t *sweepd, bool ahead)
{
    int64_t              before = foodsvc_time_now() - sweepd->conf.age_callback;
    foodsvc_store_due_t  due = { .before = before, .ahead = ahead, .after = sweepd->overdue_after[ahead],
                                 .limit = SWEEPD_PAGE };

    foodsvc_store_payments_pending(sweepd->servers.store, &due);
    worker_store_noted(&sweepd->servers, due.rc == FOODSVC_STORE_UNAVAILABLE, due.err);
    if (due.rc == FOODSVC_STORE_UNAVAILABLE) {
        return;
    }
    if (due.rc == FOODSVC_STORE_OK) {
        patience_report(&sweepd->patience, "payment", due.bad, due.nbad);
        look_at(sweepd, &due);
        foodsvc_store_due_clear(&due);
    } else {
        worker_log(WORKER_LOG_WARN, "overdue payments can't be looked for", worker_text("reason", due.err));
    }
    /* When it was refused, that may be for the place: behind `before`, since the clock was put back or the age grew. */
    sweepd->overdue_after[ahead] = due.rc == FOODSVC_STORE_OK ? due.next : 0;
    if (due.rc == FOODSVC_STORE_OK ? due.next != 0 : due.after != 0) {
        sweepd->overdue_next = foodsvc_time_monotonic() + sweepd->conf.interval;
    }
}


void overdue_run(sweepd_t *sweepd)
{
    if (sweepd->stopping || foodsvc_time_monotonic() < sweepd->overdue_next
        || worker_http_in_flight(sweepd->servers.http) >= (size_t) sweepd->conf.orders)
    {
        return;
    }
    sweepd->overdue_next = foodsvc_time_monotonic() + sweepd->conf.age_callback / 4;
    look(sweepd, false);
    if (worker_store_wait(&sweepd->servers) == 0) {
        look(sweepd, true);
    }
}
