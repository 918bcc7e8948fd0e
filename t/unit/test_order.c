/* The order's changes and debts: what each cell of the table does. */
#include "unit.h"
#include "foodsvc_order.h"

#define ORDERS_OWN  (FOODSVC_OWES_DELIVERY_CANCEL | FOODSVC_OWES_REIMBURSEMENT)

static foodsvc_order_t *order_at(foodsvc_status_e status)
{
    foodsvc_order_t *order = foodsvc_order_new();

    assert_non_null(order);
    order->status = status;
    return order;
}

static foodsvc_verdict_e event(foodsvc_order_t *order, foodsvc_status_e status)
{
    foodsvc_change_t change = { .kind = FOODSVC_CHANGE_EVENT, .status = status,
                                .when = 1000 + (int64_t) order->nupdated };
    bool             ok = false;
    foodsvc_verdict_e verdict = foodsvc_order_decide(order, &change, &ok);

    assert_true(ok);
    return verdict;
}

static foodsvc_verdict_e event_with_ids(foodsvc_order_t *order, foodsvc_status_e status, int delivery, int kitchen)
{
    foodsvc_change_t  change = { .kind = FOODSVC_CHANGE_EVENT, .status = status };
    bool              ok = false;
    foodsvc_verdict_e verdict;

    change.has_delivery_id = delivery != 0;
    change.delivery_id.bytes[0] = (uint8_t) delivery;
    change.has_kitchen_id = kitchen != 0;
    change.kitchen_id.bytes[0] = (uint8_t) kitchen;
    verdict = foodsvc_order_decide(order, &change, &ok);
    assert_true(ok);
    return verdict;
}

static foodsvc_verdict_e decide(foodsvc_order_t *order, foodsvc_change_e kind)
{
    foodsvc_change_t  change = { .kind = kind, .when = 5 };
    bool              ok = false;
    foodsvc_verdict_e verdict = foodsvc_order_decide(order, &change, &ok);

    assert_true(ok);
    return verdict;
}

static foodsvc_verdict_e cancel(foodsvc_order_t *order)
{
    return decide(order, FOODSVC_CHANGE_CANCEL);
}

static foodsvc_verdict_e give_up(foodsvc_order_t *order)
{
    return decide(order, FOODSVC_CHANGE_GIVE_UP);
}

static foodsvc_verdict_e settle(foodsvc_order_t *order, unsigned bits)
{
    foodsvc_change_t  change = { .kind = FOODSVC_CHANGE_SETTLED, .settled = bits };
    bool              ok = false;
    foodsvc_verdict_e verdict = foodsvc_order_decide(order, &change, &ok);

    assert_true(ok);
    return verdict;
}

static void every_cell_does_what_it_says(void **state)
{
    for (int at = 0; at < FOODSVC_STATUS_COUNT; at++) {
        for (int e = 0; e < FOODSVC_STATUS_COUNT; e++) {
            foodsvc_order_t  *order = order_at((foodsvc_status_e) at);
            foodsvc_verdict_e verdict = event(order, (foodsvc_status_e) e);

            assert_int_equal(verdict, foodsvc_order_table((foodsvc_status_e) at, (foodsvc_status_e) e));
            if (verdict == FOODSVC_APPLIED || verdict == FOODSVC_EARLY) {
                assert_int_equal(order->status, e);
            } else {
                assert_int_equal(order->status, at);
            }
            if (verdict == FOODSVC_APPLIED || verdict == FOODSVC_EARLY || verdict == FOODSVC_NOTED) {
                assert_int_equal(order->nupdated, 1);
                assert_int_equal(order->updated[0].status, e);
                assert_int_equal(order->updated[0].when, 1000);
            } else {
                assert_int_equal(order->nupdated, 0);
            }
            foodsvc_order_free(order);
        }
    }
}

static void the_happy_path(void **state)
{
    foodsvc_order_t *order = order_at(FOODSVC_CREATED);

    assert_int_equal(foodsvc_order_owes(order), FOODSVC_OWES_PAYMENT);
    assert_int_equal(event(order, FOODSVC_PAYMENT_PAID), FOODSVC_APPLIED);
    assert_int_equal(foodsvc_order_owes(order), FOODSVC_OWES_DELIVERY);
    assert_int_equal(event_with_ids(order, FOODSVC_DELIVERY_SCHEDULED, 7, 0), FOODSVC_APPLIED);
    assert_int_equal(order->delivery_id.bytes[0], 7);
    assert_int_equal(foodsvc_order_owes(order), FOODSVC_OWES_NOTHING);
    assert_int_equal(event(order, FOODSVC_DRIVER_AVAILABLE), FOODSVC_APPLIED);
    assert_int_equal(foodsvc_order_owes(order), FOODSVC_OWES_KITCHEN);
    assert_int_equal(event_with_ids(order, FOODSVC_COOKING_SCHEDULED, 0, 8), FOODSVC_APPLIED);
    assert_int_equal(order->kitchen_id.bytes[0], 8);
    for (int next = FOODSVC_COOKING_MEAL; next <= FOODSVC_DELIVERED; next++) {
        assert_int_equal(foodsvc_order_owes(order), FOODSVC_OWES_NOTHING);
        assert_int_equal(event(order, (foodsvc_status_e) next), FOODSVC_APPLIED);
    }
    assert_int_equal(foodsvc_order_owes(order), FOODSVC_OWES_NOTHING);
    assert_int_equal(order->nupdated, 9);
    foodsvc_order_free(order);
}

static void picked_up_and_in_transit_may_swap(void **state)
{
    foodsvc_order_t *order = order_at(FOODSVC_COOKING_DONE);

    assert_int_equal(event(order, FOODSVC_IN_TRANSIT), FOODSVC_EARLY);
    assert_int_equal(event(order, FOODSVC_PICKED_UP), FOODSVC_LATE);
    assert_int_equal(event(order, FOODSVC_DELIVERED), FOODSVC_APPLIED);
    foodsvc_order_free(order);
}

static void a_jump_loses_no_debt(void **state)
{
    foodsvc_order_t *order = order_at(FOODSVC_CREATED);

    event(order, FOODSVC_DRIVER_AVAILABLE);                 /* the delivery runs, the kitchen knows nothing */
    assert_int_equal(foodsvc_order_owes(order), FOODSVC_OWES_KITCHEN);
    event(order, FOODSVC_IN_TRANSIT);
    assert_int_equal(foodsvc_order_owes(order), FOODSVC_OWES_KITCHEN);
    foodsvc_order_free(order);

    order = order_at(FOODSVC_PAYMENT_PAID);
    event(order, FOODSVC_COOKING_MEAL);                     /* the kitchen cooks, nobody will fetch it */
    assert_int_equal(foodsvc_order_owes(order), FOODSVC_OWES_DELIVERY);
    event_with_ids(order, FOODSVC_COOKING_DONE, 3, 0);
    assert_int_equal(foodsvc_order_owes(order), FOODSVC_OWES_NOTHING);
    foodsvc_order_free(order);

    order = order_at(FOODSVC_DELIVERY_SCHEDULED);           /* heard of once is enough, with an id or without */
    event(order, FOODSVC_DRIVER_AVAILABLE);
    event(order, FOODSVC_COOKING_MEAL);
    assert_int_equal(foodsvc_order_owes(order), FOODSVC_OWES_NOTHING);
    event(order, FOODSVC_IN_TRANSIT);
    assert_int_equal(foodsvc_order_owes(order), FOODSVC_OWES_NOTHING);
    foodsvc_order_free(order);
}

/* A cancel needs the delivery's id. Past deliveryScheduled there is no cancel, and asking would only risk a second
   driver. */
static void a_delivery_without_its_id_is_asked_for_again(void **state)
{
    foodsvc_order_t *order = order_at(FOODSVC_PAYMENT_PAID);

    event(order, FOODSVC_DELIVERY_SCHEDULED);
    assert_int_equal(foodsvc_order_owes(order), FOODSVC_OWES_DELIVERY);
    assert_int_equal(event_with_ids(order, FOODSVC_DELIVERY_SCHEDULED, 4, 0), FOODSVC_NOTED);
    assert_int_equal(foodsvc_order_owes(order), FOODSVC_OWES_NOTHING);
    foodsvc_order_free(order);

    order = order_at(FOODSVC_DELIVERY_SCHEDULED);
    event(order, FOODSVC_DRIVER_AVAILABLE);
    assert_int_equal(foodsvc_order_owes(order), FOODSVC_OWES_KITCHEN);
    foodsvc_order_free(order);
}

static void orders_that_the_original_left_owe_nothing(void **state)
{
    foodsvc_order_t *order = order_at(FOODSVC_PAYMENT_PAID);

    order->has_delivery_id = true;
    foodsvc_order_add_step(order, FOODSVC_PAYMENT_PAID, 1);
    foodsvc_order_add_step(order, FOODSVC_PAYMENT_PAID, 2);
    assert_int_equal(foodsvc_order_owes(order), FOODSVC_OWES_NOTHING);
    assert_int_equal(cancel(order), FOODSVC_REFUSED);
    assert_int_equal(event(order, FOODSVC_DELIVERY_SCHEDULED), FOODSVC_APPLIED);
    assert_int_equal(cancel(order), FOODSVC_APPLIED);
    foodsvc_order_free(order);

    order = order_at(FOODSVC_DRIVER_AVAILABLE);
    order->has_kitchen_id = true;
    assert_int_equal(foodsvc_order_owes(order), FOODSVC_OWES_NOTHING);
    foodsvc_order_free(order);
}

static void only_a_scheduled_delivery_can_be_cancelled(void **state)
{
    for (int at = 0; at < FOODSVC_STATUS_COUNT; at++) {
        foodsvc_order_t *order = order_at((foodsvc_status_e) at);

        if (at == FOODSVC_DELIVERY_SCHEDULED) {
            assert_int_equal(cancel(order), FOODSVC_APPLIED);
            assert_int_equal(order->status, FOODSVC_ORDER_CANCELLED);
            assert_int_equal(order->updated[0].status, FOODSVC_ORDER_CANCELLED);
            assert_int_equal(order->updated[0].when, 5);
        } else {
            assert_int_equal(cancel(order), FOODSVC_REFUSED);
            assert_int_equal(order->status, at);
            assert_int_equal(order->nupdated, 0);
        }
        foodsvc_order_free(order);
    }
}

static void what_is_paid_and_not_the_kitchens_can_be_given_up(void **state)
{
    foodsvc_order_t *order;

    for (int at = 0; at < FOODSVC_STATUS_COUNT; at++) {
        order = order_at((foodsvc_status_e) at);
        if (at >= FOODSVC_PAYMENT_PAID && at <= FOODSVC_DRIVER_AVAILABLE) {
            assert_int_equal(give_up(order), FOODSVC_APPLIED);
            assert_int_equal(order->status, FOODSVC_ORDER_CANCELLED);
            assert_int_equal(order->updated[0].status, FOODSVC_ORDER_CANCELLED);
            assert_int_equal(order->updated[0].when, 5);
            assert_true(foodsvc_order_owes(order) & FOODSVC_OWES_REIMBURSEMENT);
            assert_int_equal(event_with_ids(order, FOODSVC_COOKING_SCHEDULED, 0, 7), FOODSVC_LATE);
            assert_int_equal(give_up(order), FOODSVC_REFUSED);
        } else {
            assert_int_equal(give_up(order), FOODSVC_REFUSED);
            assert_int_equal(order->status, at);
            assert_int_equal(order->nupdated, 0);
        }
        foodsvc_order_free(order);
    }

    order = order_at(FOODSVC_DRIVER_AVAILABLE);
    order->has_kitchen_id = true;
    assert_int_equal(give_up(order), FOODSVC_REFUSED);
    foodsvc_order_free(order);

    order = order_at(FOODSVC_DRIVER_AVAILABLE);     /* another implementation's, without the id */
    assert_true(foodsvc_order_add_step(order, FOODSVC_COOKING_SCHEDULED, 1));
    assert_int_equal(give_up(order), FOODSVC_REFUSED);
    foodsvc_order_free(order);
}

static void a_cancelled_order_owes_until_settled(void **state)
{
    foodsvc_order_t *order = order_at(FOODSVC_DELIVERY_SCHEDULED);

    cancel(order);                          /* its delivery's id was lost: asked for again, to be cancelled */
    assert_int_equal(foodsvc_order_owes(order), FOODSVC_OWES_DELIVERY | FOODSVC_OWES_REIMBURSEMENT);
    assert_int_equal(event_with_ids(order, FOODSVC_DELIVERY_SCHEDULED, 9, 9), FOODSVC_NOTED);
    assert_false(order->has_kitchen_id);
    assert_int_equal(foodsvc_order_owes(order), ORDERS_OWN);
    assert_int_equal(event(order, FOODSVC_ORDER_CANCELLED), FOODSVC_DUPLICATE);

    assert_int_equal(settle(order, FOODSVC_OWES_REIMBURSEMENT | FOODSVC_OWES_PAYMENT), FOODSVC_NOTED);
    assert_int_equal(order->settled, FOODSVC_OWES_REIMBURSEMENT);
    assert_int_equal(foodsvc_order_owes(order), FOODSVC_OWES_DELIVERY_CANCEL);
    assert_int_equal(settle(order, FOODSVC_OWES_REIMBURSEMENT), FOODSVC_DUPLICATE);

    assert_int_equal(event(order, FOODSVC_REIMBURSED), FOODSVC_APPLIED);    /* and the delivery is not cancelled yet */
    assert_int_equal(foodsvc_order_owes(order), FOODSVC_OWES_DELIVERY_CANCEL);
    assert_int_equal(settle(order, FOODSVC_OWES_DELIVERY_CANCEL), FOODSVC_NOTED);
    assert_int_equal(foodsvc_order_owes(order), FOODSVC_OWES_NOTHING);
    foodsvc_order_free(order);
}

static void a_refund_does_not_hide_a_delivery_without_its_id(void **state)
{
    foodsvc_order_t *order = order_at(FOODSVC_DELIVERY_SCHEDULED);

    cancel(order);
    settle(order, FOODSVC_OWES_REIMBURSEMENT);
    event(order, FOODSVC_REIMBURSED);
    assert_int_equal(foodsvc_order_owes(order), FOODSVC_OWES_DELIVERY);
    assert_int_equal(event_with_ids(order, FOODSVC_DELIVERY_SCHEDULED, 9, 0), FOODSVC_NOTED);
    assert_int_equal(foodsvc_order_owes(order), FOODSVC_OWES_DELIVERY_CANCEL);
    settle(order, FOODSVC_OWES_DELIVERY_CANCEL);
    assert_int_equal(foodsvc_order_owes(order), FOODSVC_OWES_NOTHING);
    foodsvc_order_free(order);
}

static void a_refused_delivery_needs_no_cancel(void **state)
{
    foodsvc_order_t  *order = order_at(FOODSVC_PAYMENT_PAID);
    foodsvc_change_t  change;
    bool              ok;

    assert_false(foodsvc_order_refused(order, FOODSVC_OWES_DELIVERY, &change));     /* still owed */
    give_up(order);
    assert_int_equal(foodsvc_order_owes(order), FOODSVC_OWES_DELIVERY | FOODSVC_OWES_REIMBURSEMENT);
    assert_false(foodsvc_order_refused(order, FOODSVC_OWES_REIMBURSEMENT, &change));
    assert_true(foodsvc_order_refused(order, FOODSVC_OWES_DELIVERY, &change));
    assert_int_equal(foodsvc_order_decide(order, &change, &ok), FOODSVC_NOTED);
    assert_int_equal(foodsvc_order_owes(order), FOODSVC_OWES_REIMBURSEMENT);
    /* the first request had been taken after all, and its answer comes late; or between the refusal and its storing */
    assert_int_equal(event_with_ids(order, FOODSVC_DELIVERY_SCHEDULED, 9, 0), FOODSVC_NOTED);
    assert_int_equal(foodsvc_order_owes(order), FOODSVC_OWES_DELIVERY_CANCEL | FOODSVC_OWES_REIMBURSEMENT);
    assert_int_equal(foodsvc_order_decide(order, &change, &ok), FOODSVC_DUPLICATE);
    assert_true(foodsvc_order_owes(order) & FOODSVC_OWES_DELIVERY_CANCEL);
    foodsvc_order_free(order);

    order = order_at(FOODSVC_DELIVERY_SCHEDULED);       /* DeliveryService told of it, and its id was lost */
    assert_true(foodsvc_order_add_step(order, FOODSVC_DELIVERY_SCHEDULED, 1));
    cancel(order);
    assert_false(foodsvc_order_refused(order, FOODSVC_OWES_DELIVERY, &change));
    foodsvc_order_free(order);

    order = order_at(FOODSVC_CREATED);
    assert_true(foodsvc_order_refused(order, FOODSVC_OWES_PAYMENT, &change));
    assert_int_equal(foodsvc_order_decide(order, &change, &ok), FOODSVC_APPLIED);
    assert_int_equal(order->status, FOODSVC_PAYMENT_FAILED);
    foodsvc_order_free(order);
}

static void paid_after_failed_is_given_back(void **state)
{
    foodsvc_order_t *order = order_at(FOODSVC_CREATED);

    event(order, FOODSVC_PAYMENT_FAILED);
    assert_int_equal(foodsvc_order_owes(order), FOODSVC_OWES_NOTHING);
    assert_int_equal(event_with_ids(order, FOODSVC_PAYMENT_FAILED, 1, 1), FOODSVC_DUPLICATE);
    assert_int_equal(event(order, FOODSVC_PAYMENT_PAID), FOODSVC_NOTED);
    assert_int_equal(order->status, FOODSVC_PAYMENT_FAILED);
    assert_int_equal(order->nupdated, 2);
    assert_int_equal(foodsvc_order_owes(order), FOODSVC_OWES_REIMBURSEMENT);
    assert_int_equal(event(order, FOODSVC_PAYMENT_PAID), FOODSVC_DUPLICATE);
    assert_int_equal(order->nupdated, 2);
    settle(order, FOODSVC_OWES_REIMBURSEMENT);
    assert_int_equal(foodsvc_order_owes(order), FOODSVC_OWES_NOTHING);
    assert_int_equal(event(order, FOODSVC_REIMBURSED), FOODSVC_APPLIED);
    assert_int_equal(event(order, FOODSVC_PAYMENT_PAID), FOODSVC_LATE);
    foodsvc_order_free(order);

    order = order_at(FOODSVC_PAYMENT_FAILED);               /* paid before it failed: that was another try */
    foodsvc_order_add_step(order, FOODSVC_PAYMENT_PAID, 1);
    foodsvc_order_add_step(order, FOODSVC_PAYMENT_FAILED, 2);
    assert_int_equal(foodsvc_order_owes(order), FOODSVC_OWES_NOTHING);
    foodsvc_order_free(order);
}

/* PaymentService's way to say that the card company took the refund and refused it then. */
static void a_refused_refund_is_owed_again(void **state)
{
    foodsvc_order_t *order = order_at(FOODSVC_ORDER_CANCELLED);
    size_t           steps = order->nupdated;

    assert_int_equal(event(order, FOODSVC_PAYMENT_PAID), FOODSVC_LATE);     /* not asked for yet: owed as it is */
    settle(order, FOODSVC_OWES_REIMBURSEMENT);
    assert_false(foodsvc_order_owes(order) & FOODSVC_OWES_REIMBURSEMENT);
    assert_int_equal(event(order, FOODSVC_PAYMENT_FAILED), FOODSVC_LATE);
    assert_int_equal(event(order, FOODSVC_PAYMENT_PAID), FOODSVC_NOTED);
    assert_true(foodsvc_order_owes(order) & FOODSVC_OWES_REIMBURSEMENT);
    assert_int_equal(order->status, FOODSVC_ORDER_CANCELLED);
    assert_int_equal(order->nupdated, steps);
    assert_int_equal(event(order, FOODSVC_REIMBURSED), FOODSVC_APPLIED);
    foodsvc_order_free(order);

    order = order_at(FOODSVC_CREATED);
    event(order, FOODSVC_PAYMENT_FAILED);
    event(order, FOODSVC_PAYMENT_PAID);
    settle(order, FOODSVC_OWES_REIMBURSEMENT);
    assert_int_equal(event(order, FOODSVC_PAYMENT_PAID), FOODSVC_NOTED);
    assert_int_equal(foodsvc_order_owes(order), FOODSVC_OWES_REIMBURSEMENT);
    foodsvc_order_free(order);
}

static void reimbursed_by_somebody_else(void **state)
{
    foodsvc_order_t *order = order_at(FOODSVC_DELIVERY_SCHEDULED);

    order->has_delivery_id = true;
    assert_int_equal(event(order, FOODSVC_REIMBURSED), FOODSVC_EARLY);
    assert_int_equal(foodsvc_order_owes(order), FOODSVC_OWES_DELIVERY_CANCEL);
    settle(order, FOODSVC_OWES_DELIVERY_CANCEL);
    assert_int_equal(foodsvc_order_owes(order), FOODSVC_OWES_NOTHING);
    foodsvc_order_free(order);

    order = order_at(FOODSVC_PAYMENT_PAID);
    assert_int_equal(event(order, FOODSVC_REIMBURSED), FOODSVC_EARLY);
    assert_int_equal(foodsvc_order_owes(order), FOODSVC_OWES_NOTHING);
    foodsvc_order_free(order);
}

static void ids_come_with_old_news(void **state)
{
    foodsvc_order_t *order = order_at(FOODSVC_COOKING_MEAL);

    assert_int_equal(event_with_ids(order, FOODSVC_COOKING_SCHEDULED, 0, 4), FOODSVC_NOTED);
    assert_int_equal(order->kitchen_id.bytes[0], 4);
    assert_int_equal(event_with_ids(order, FOODSVC_COOKING_SCHEDULED, 0, 5), FOODSVC_LATE);
    assert_int_equal(order->kitchen_id.bytes[0], 4);
    assert_int_equal(event_with_ids(order, FOODSVC_COOKING_MEAL, 6, 5), FOODSVC_NOTED);
    assert_int_equal(order->delivery_id.bytes[0], 6);
    assert_int_equal(order->nupdated, 0);
    assert_int_equal(event_with_ids(order, FOODSVC_ORDER_CANCELLED, 1, 1), FOODSVC_REFUSED);
    foodsvc_order_free(order);
}

static void an_unknown_change_is_refused(void **state)
{
    foodsvc_order_t *order = order_at(FOODSVC_CREATED);
    foodsvc_change_t change = { .kind = (foodsvc_change_e) 99 };
    bool             ok = false;

    assert_int_equal(foodsvc_order_decide(order, &change, &ok), FOODSVC_REFUSED);
    assert_true(ok);
    foodsvc_order_free(order);
}

static void a_copy_shares_nothing(void **state)
{
    foodsvc_order_t *order = order_at(FOODSVC_DELIVERED), *copy;

    for (int i = 0; i < 20; i++) {
        assert_true(foodsvc_order_add_item(order, "Lasagna and more", 7, i + 1));
        assert_true(foodsvc_order_add_step(order, FOODSVC_DELIVERED, i));
    }
    order->unknown = json_pack("{s: i}", "tip", 3);
    strcpy(order->claim_by, "me");
    copy = foodsvc_order_copy(order);
    foodsvc_order_free(order);

    assert_int_equal(copy->nitems, 20);
    assert_string_equal(copy->items[19].product, "Lasagna");
    assert_int_equal(copy->items[19].quantity, 20);
    assert_int_equal(copy->nupdated, 20);
    assert_int_equal(copy->updated[19].when, 19);
    assert_int_equal(json_integer_value(json_object_get(copy->unknown, "tip")), 3);
    assert_string_equal(copy->claim_by, "me");
    foodsvc_order_free(copy);
    foodsvc_order_free(NULL);

    order = order_at(FOODSVC_CREATED);
    copy = foodsvc_order_copy(order);
    assert_null(copy->items);
    foodsvc_order_free(copy);
    foodsvc_order_free(order);
}

int main(void)
{
    const struct CMUnitTest tests[] = {

        cmocka_unit_test(every_cell_does_what_it_says),
        cmocka_unit_test(the_happy_path),
        cmocka_unit_test(picked_up_and_in_transit_may_swap),
        cmocka_unit_test(a_jump_loses_no_debt),
        cmocka_unit_test(a_delivery_without_its_id_is_asked_for_again),
        cmocka_unit_test(orders_that_the_original_left_owe_nothing),
        cmocka_unit_test(only_a_scheduled_delivery_can_be_cancelled),
        cmocka_unit_test(what_is_paid_and_not_the_kitchens_can_be_given_up),
        cmocka_unit_test(a_cancelled_order_owes_until_settled),
        cmocka_unit_test(a_refund_does_not_hide_a_delivery_without_its_id),
        cmocka_unit_test(a_refused_delivery_needs_no_cancel),
        cmocka_unit_test(paid_after_failed_is_given_back),
        cmocka_unit_test(a_refused_refund_is_owed_again),
        cmocka_unit_test(reimbursed_by_somebody_else),
        cmocka_unit_test(ids_come_with_old_news),
        cmocka_unit_test(an_unknown_change_is_refused),
        cmocka_unit_test(a_copy_shares_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
