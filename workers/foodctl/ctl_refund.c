/*
 * order refund.
 *
 * A refund is a cancel that the customer could not make any more, and a repair after it (ctl_repair.c). It is stored
 * under the claim, so that no call to KitchenService is on its way meanwhile; an order that owes nothing needs no
 * claim, for then there is nothing to call. From there on the order is any cancelled one: what foodctl does not come
 * to, sweepd does.
 */
#include "ctl_repair.h"
#include "foodsvc_time.h"

/* The claim is of no use: others may go on. CTL_OK, or told. */
static int
ctl_refund_refused(ctl_repair_t *repair)
{
    int code = CTL_OK;

    if (repair->serve.claimed) {
        serve_touch(&repair->serve, true);
        code = ctl_repair_stored(repair);
    }
    return code != CTL_OK ? code
           : ctl_fail("%s: order %s is %s: an order can be given up while it is paid and KitchenService does not "
                      "have it",
                      repair->ctl->command, repair->id, foodsvc_status_name(repair->serve.order->status));
}

/* As the order was last seen. Without memory the store decides. */
static bool
ctl_refund_is_legal(const ctl_repair_t *repair, const foodsvc_change_t *change)
{
    foodsvc_order_t *copy = foodsvc_order_copy(repair->serve.order);
    bool             ok, legal = copy == NULL || foodsvc_order_decide(copy, change, &ok) == FOODSVC_APPLIED;

    foodsvc_order_free(copy);
    return legal;
}

/*
 * Cancels the order, if it is not yet: takes the claim, and gives the order up under it, again when another process has
 * taken it in between. That the order owes nothing is as good as a claim: then nobody has one. CTL_OK, or told.
 */
int
ctl_refund_give_up(ctl_repair_t *repair)
{
    int64_t           deadline = foodsvc_time_monotonic() + repair->ctl->wait;
    foodsvc_change_t  change = { .kind = FOODSVC_CHANGE_GIVE_UP };
    int               code = ctl_repair_find(repair);

    while (code == CTL_OK && !ctl_repair_is_cancelled(repair)) {
        if (!ctl_refund_is_legal(repair, &change)) {
            return ctl_refund_refused(repair);
        }
        serve_touch(&repair->serve, false);
        code = ctl_repair_stored(repair);
        if (code != CTL_OK || ctl_repair_is_cancelled(repair)) {
            break;
        }
        if (repair->serve.claimed || foodsvc_order_owes(repair->serve.order) == FOODSVC_OWES_NOTHING) {
            change.when = foodsvc_time_now();
            serve_change(&repair->serve, &change);
            code = ctl_repair_stored(repair);
            repair->given_up = code == CTL_OK && ctl_repair_is_cancelled(repair);
        } else if (foodsvc_time_monotonic() >= deadline) {
            return ctl_repair_busy(repair);
        } else {
            ctl_repair_pause();
        }
    }
    return code;
}

int
ctl_order_refund(ctl_t *ctl)
{
    return ctl_repair(ctl, true);
}
