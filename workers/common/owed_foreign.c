/*
 * May PaymentService be asked for an order's payment? Not when another implementation's has asked the card company
 * already: that one may still be who answers, keeps no keys, and would charge again.
 *
 * So the payment is read first, which holds up the loop, and costs the time of claims: of this order, and of those
 * whose calls go out when the round is over. When the reads of a round have taken READS, or MongoDB is away, the
 * payments behind wait for another round. One that was read is asked for, unless its claim has become too short for a
 * call.
 */
#include <stdio.h>

#include "foodsvc_time.h"
#include "owed.h"

#define READS   500         /* ms */

static owed_rc_e check(foodsvc_store_t *store, const char *id, bool *away, char reason[FOODSVC_ERR])
{
    foodsvc_payment_t   *payment;
    owed_rc_e            may = OWED_LATER;
    char                 why[FOODSVC_ERR] = "";

    foodsvc_store_rc_e   rc = foodsvc_store_payment_find(store, id, &payment, why);

    *away = rc == FOODSVC_STORE_UNAVAILABLE;
    switch (rc) {
    case FOODSVC_STORE_NOT_FOUND:
        may = OWED_DONE;
        break;
    case FOODSVC_STORE_OK:
        may = foodsvc_payment_foreign(payment) ? OWED_REFUSED : OWED_DONE;
        snprintf(reason, FOODSVC_ERR, "another implementation's PaymentService has asked for it, without a key, and it "
                 "is %s: it is not asked again", foodsvc_payment_status_name(payment->status));
        break;
    case FOODSVC_STORE_UNREADABLE:
        may = OWED_REFUSED;         /* whoever wrote it */
        snprintf(reason, FOODSVC_ERR, "its payment cannot be read: %.180s", why);
        break;
    default:
        snprintf(reason, FOODSVC_ERR, "its payment could not be looked for: %.180s", why);
    }
    foodsvc_payment_free(payment);
    return may;
}


/* A claim that was good when the round began, and is not good for a call any more. */
static bool is_late(const owed_reads_t *reads, const foodsvc_order_t *order, int64_t now, int64_t timeout_ms)
{
    return order->claim_until > reads->began && order->claim_until - now < timeout_ms;
}


owed_rc_e owed_payment_check(owed_reads_t *reads, const owed_conf_t *conf, const foodsvc_order_t *order,
    char reason[FOODSVC_ERR])
{
    int64_t    now = foodsvc_time_now();
    owed_rc_e  may;
    bool       away;

    reads->began = reads->began != 0 ? reads->began : now;
    if (reads->over) {
        snprintf(reason, FOODSVC_ERR, "MongoDB is away, or slow: payments wait");
        return OWED_LATER;
    }
    may = check(conf->store, order->id, &away, reason);
    now = foodsvc_time_now();
    reads->over = away || now - reads->began >= READS || now < reads->began;
    if (may == OWED_DONE && is_late(reads, order, now, conf->timeout_ms)) {
        snprintf(reason, FOODSVC_ERR, "MongoDB is slow: the claim has become too short for a call");
        return OWED_LATER;
    }
    return may;
}
