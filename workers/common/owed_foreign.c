/*
 * May PaymentService be asked for an order's payment? Not when another implementation's has asked the card company
 * already: that one may still be who answers, keeps no keys, and would charge again.
 */
#include <stdio.h>

#include "owed.h"

owed_rc_e owed_payment_check(foodsvc_store_t *store, const char *id, char reason[FOODSVC_ERR])
{
    foodsvc_payment_t   *payment;
    foodsvc_store_rc_e   rc = foodsvc_store_payment_find(store, id, &payment, reason);
    owed_rc_e            may = rc == FOODSVC_STORE_UNAVAILABLE ? OWED_LATER : OWED_DONE;

    if (rc == FOODSVC_STORE_OK && foodsvc_payment_foreign(payment)) {
        snprintf(reason, FOODSVC_ERR, "another implementation's PaymentService has asked for it, without a key, and it "
                 "is %s: it is not asked again", foodsvc_payment_status_name(payment->status));
        may = OWED_REFUSED;
    }
    foodsvc_payment_free(payment);
    return may;
}
