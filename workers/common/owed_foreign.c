/*
 * May PaymentService be asked for an order's payment? Not when another implementation's has asked the card company
 * already: that one may still be who answers, keeps no keys, and would charge again.
 *
 * So the payment is read first. That holds up the loop, and costs the claim's time, which is good for two calls
 * (owed_longest()), of which this debt makes one: when one read has failed, or all together took as long as a call may,
 * the other payments of the round wait for the next one.
 */
#include <stdio.h>

#include "foodsvc_time.h"
#include "owed.h"

static owed_rc_e check(foodsvc_store_t *store, const char *id, char reason[FOODSVC_ERR])
{
    foodsvc_payment_t   *payment;
    owed_rc_e            may = OWED_LATER;
    char                 why[FOODSVC_ERR] = "";

    switch (foodsvc_store_payment_find(store, id, &payment, why)) {
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


owed_rc_e owed_payment_check(owed_reads_t *reads, const owed_conf_t *conf, const char *id, char reason[FOODSVC_ERR])
{
    owed_rc_e  may = OWED_LATER;

    if (!reads->over) {
        may = check(conf->store, id, reason);
        reads->over = may == OWED_LATER || foodsvc_time_monotonic() - reads->began >= conf->timeout_ms;
        if (may != OWED_DONE || !reads->over) {
            return may;
        }
    }
    snprintf(reason, FOODSVC_ERR, "MongoDB is away, or slow: payments wait");
    return OWED_LATER;
}
