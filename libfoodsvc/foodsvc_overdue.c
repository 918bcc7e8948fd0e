/*
 * What an order's payment waits for too long.
 */
#include "foodsvc_overdue.h"
#include "foodsvc_time.h"

static bool is_old(int64_t when, int64_t now, int64_t wait_ms)
{
    return when < now - wait_ms || foodsvc_time_is_ahead(when, now);
}

bool foodsvc_payment_overdue(const foodsvc_payment_t *payment, int64_t now, int64_t wait_ms)
{
    return is_old(payment->asked, now, wait_ms) && is_old(payment->created, now, wait_ms);
}

/* An order that can be told that it is paid and then owes a refund, and owes none now. */
static bool may_owe_refund(const foodsvc_order_t *order)
{
    return (order->status == FOODSVC_ORDER_CANCELLED || order->status == FOODSVC_PAYMENT_FAILED)
           && !(foodsvc_order_owes(order) & FOODSVC_OWES_REIMBURSEMENT);
}

/* The company has not reported. A charge may be open whatever an order has become whose events came early. */
static foodsvc_overdue_e if_pending(const foodsvc_payment_t *payment, const foodsvc_order_t *order)
{
    if (payment->reimburse) {
        return may_owe_refund(order) ? FOODSVC_OVERDUE_REFUND : FOODSVC_OVERDUE_NOTHING;
    }
    return order->status != FOODSVC_CREATED ? FOODSVC_OVERDUE_CHARGE : FOODSVC_OVERDUE_NOTHING;
}

/* It has, and the order stands where it would not if it had heard. */
static foodsvc_overdue_e if_reported(const foodsvc_payment_t *payment, const foodsvc_order_t *order)
{
    if (payment->status == FOODSVC_PAY_FAILED || !may_owe_refund(order)) {
        return FOODSVC_OVERDUE_NOTHING;
    }
    if (!(order->settled & FOODSVC_OWES_REIMBURSEMENT)) {
        return FOODSVC_OVERDUE_CHARGE;      /* failed, and paid after all */
    }
    return payment->status == FOODSVC_PAY_PAID && payment->reimburse_refused > FOODSVC_PAYMENT_REFUNDS
           ? FOODSVC_OVERDUE_REFUSED : FOODSVC_OVERDUE_REFUND;
}

foodsvc_overdue_e foodsvc_overdue(const foodsvc_payment_t *payment, const foodsvc_order_t *order, int64_t now,
    int64_t wait_ms)
{
    bool              pending = payment->status == FOODSVC_PENDING;
    foodsvc_overdue_e needs = pending ? if_pending(payment, order) : if_reported(payment, order);

    if (needs == FOODSVC_OVERDUE_NOTHING || needs == FOODSVC_OVERDUE_REFUSED) {
        return needs;
    }
    if (foodsvc_payment_stale(payment, now) || foodsvc_payment_foreign(payment)) {
        return FOODSVC_OVERDUE_STALE;
    }
    return (pending || payment->noutbox == 0) && foodsvc_payment_overdue(payment, now, wait_ms)
           ? needs : FOODSVC_OVERDUE_SOON;
}
