/*
 * What the payment of an order waits for that owes nothing, or nothing but the payment that was asked for: the card
 * company's report, or the event that tells the order of it. What is overdue order repair asks for; what is not, or may
 * not be asked for, it tells.
 */
#include "ages.h"
#include "ctl_repair.h"
#include "foodsvc_time.h"

#define CTL_OVERDUE_MINUTES (AGE_CARD / 60)

/* PaymentService, asked for what the order owes, had nothing to do: the card company had been asked before. */
static bool
ctl_overdue_asked_before(const ctl_repair_t *repair)
{
    const foodsvc_payment_t *payment = repair->payment;

    return repair->serve.order->status == FOODSVC_CREATED && payment->asked != 0 && payment->asked == repair->asked
           && (payment->status != FOODSVC_PENDING || foodsvc_payment_taken(payment));
}

int
ctl_overdue_before(ctl_repair_t *repair)
{
    char               err[FOODSVC_ERR] = "";
    foodsvc_payment_t *payment;
    foodsvc_store_rc_e rc;

    if (repair->serve.order->status != FOODSVC_CREATED) {
        return CTL_OK;
    }
    rc = foodsvc_store_payment_find(repair->store, repair->id, &payment, err);
    repair->asked = rc == FOODSVC_STORE_OK ? payment->asked : 0;
    foodsvc_payment_free(payment);
    return rc == FOODSVC_STORE_UNAVAILABLE ? ctl_store_failed(repair->ctl, rc, err) : CTL_OK;
}

int
ctl_overdue_find(ctl_repair_t *repair)
{
    char               err[FOODSVC_ERR] = "";
    foodsvc_store_rc_e rc = foodsvc_store_payment_find(repair->store, repair->id, &repair->payment, err);

    if (rc == FOODSVC_STORE_OK) {
        repair->needs = foodsvc_overdue(repair->payment, repair->serve.order, foodsvc_time_now(),
                                        (int64_t) AGE_CARD * 1000);
        if (ctl_overdue_asked_before(repair)) {
            repair->needs = FOODSVC_OVERDUE_SOON;
            repair->owed_some = false;
        }
    }
    return rc == FOODSVC_STORE_OK || rc == FOODSVC_STORE_NOT_FOUND ? CTL_OK : ctl_store_failed(repair->ctl, rc, err);
}

bool
ctl_overdue_waits(const ctl_repair_t *repair)
{
    switch (repair->needs) {
    case FOODSVC_OVERDUE_SOON:
        /* what was done now, by whomever, has its answer still to come */
        return !repair->owed_some && json_array_size(repair->relayed) == 0;
    case FOODSVC_OVERDUE_STALE:
    case FOODSVC_OVERDUE_REFUSED:
        return true;
    default:
        return false;
    }
}

/* What the company was asked for last. */
static const char *
ctl_overdue_of(const foodsvc_payment_t *payment)
{
    bool charge = payment->status == FOODSVC_PENDING && !payment->reimburse;

    return foodsvc_owes_name(charge ? FOODSVC_OWES_PAYMENT : FOODSVC_OWES_REIMBURSEMENT);
}

static char *
ctl_overdue_since(const foodsvc_payment_t *payment, char text[FOODSVC_TIME_TEXT + 1])
{
    return foodsvc_time_format(payment->asked != 0 ? payment->asked : payment->created, text);
}

int
ctl_overdue_told(const ctl_repair_t *repair)
{
    const foodsvc_payment_t *payment = repair->payment;
    const char              *command = repair->ctl->command, *of = ctl_overdue_of(payment);
    char                     since[FOODSVC_TIME_TEXT + 1];

    ctl_overdue_since(payment, since);
    switch (repair->needs) {
    case FOODSVC_OVERDUE_STALE:
        if (foodsvc_payment_foreign(payment)) {
            return ctl_fail("%s: another implementation's PaymentService asked for the %s, without a key, and it is "
                            "%s: it is not asked again; a person has to, and to tell the order: `foodctl respond`",
                            command, of, foodsvc_payment_status_name(payment->status));
        }
        return ctl_fail("%s: the card company was asked for the %s at %s, has not reported, and may have forgotten the "
                        "key: it is not asked again; a person has to, and to tell PaymentService in its name",
                        command, of, since);
    case FOODSVC_OVERDUE_REFUSED:
        return ctl_fail("%s: the card company has refused the %s %u times, and was asked last at %s: it is not asked "
                        "again; a person has to",
                        command, of, payment->reimburse_refused, since);
    default:
        break;
    }
    if (payment->status == FOODSVC_PENDING) {
        return ctl_fail("%s: the card company was asked for the %s at %s, and has not reported: when it has had %d "
                        "minutes, repair has it asked again",
                        command, of, since, CTL_OVERDUE_MINUTES);
    }
    return ctl_fail("%s: the payment is %s, and the order has not heard; PaymentService was asked at %s: repair "
                    "has its event sent once more, %d minutes after that at the soonest",
                    command, foodsvc_payment_status_name(payment->status), since, CTL_OVERDUE_MINUTES);
}

json_t *
ctl_overdue_json(const ctl_repair_t *repair)
{
    char        since[FOODSVC_TIME_TEXT + 1];
    const char *why = repair->needs == FOODSVC_OVERDUE_STALE ? "stale"
                      : repair->needs == FOODSVC_OVERDUE_REFUSED ? "refused" : "soon";

    return json_pack("{s:s, s:s, s:s}", "of", ctl_overdue_of(repair->payment), "since",
                     ctl_overdue_since(repair->payment, since), "why", why);
}
