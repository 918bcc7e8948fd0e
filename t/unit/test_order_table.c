/* The order's state machine: every cell of the table against the rule it stands for, and the names. */
#include "unit.h"
#include "foodsvc_order.h"

static void names_go_both_ways(void **state)
{
    static const char *const names[FOODSVC_STATUS_COUNT] = {
        "created", "paymentPaid", "deliveryScheduled", "driverAvailable", "cookingScheduled", "cookingMeal",
            "cookingDone",
        "pickedUp", "inTransit", "delivered", "paymentFailed", "orderCancelled", "reimbursed"
    };
    foodsvc_status_e status;

    for (int i = 0; i < FOODSVC_STATUS_COUNT; i++) {
        assert_string_equal(foodsvc_status_name((foodsvc_status_e) i), names[i]);
        assert_true(foodsvc_status_parse(names[i], strlen(names[i]), &status));
        assert_int_equal(status, i);
        assert_int_equal(foodsvc_status_final(status), i == FOODSVC_DELIVERED || i == FOODSVC_REIMBURSED);
    }
    assert_false(foodsvc_status_parse("Created", 7, &status));
    assert_false(foodsvc_status_parse("create", 6, &status));
    assert_false(foodsvc_status_parse("", 0, &status));
    assert_string_equal(foodsvc_status_name(FOODSVC_STATUS_COUNT), "unknown");

    assert_string_equal(foodsvc_owes_name(FOODSVC_OWES_PAYMENT), "payment");
    assert_string_equal(foodsvc_owes_name(FOODSVC_OWES_DELIVERY), "delivery");
    assert_string_equal(foodsvc_owes_name(FOODSVC_OWES_KITCHEN), "kitchen");
    assert_string_equal(foodsvc_owes_name(FOODSVC_OWES_DELIVERY_CANCEL), "deliveryCancel");
    assert_string_equal(foodsvc_owes_name(FOODSVC_OWES_REIMBURSEMENT), "reimbursement");
    assert_string_equal(foodsvc_owes_name(FOODSVC_OWES_NOTHING), "nothing");
    assert_string_equal(foodsvc_verdict_name(FOODSVC_APPLIED), "applied");
    assert_string_equal(foodsvc_verdict_name(FOODSVC_REFUSED), "refused");
    assert_string_equal(foodsvc_verdict_name((foodsvc_verdict_e) 99), "unknown");
}

/* The rule in words: what the table must say. */
static foodsvc_verdict_e rule(foodsvc_status_e at, foodsvc_status_e event)
{
    if (at == event) {
        return FOODSVC_DUPLICATE;
    }
    if (event == FOODSVC_ORDER_CANCELLED) {
        return at == FOODSVC_REIMBURSED ? FOODSVC_LATE : FOODSVC_REFUSED;
    }
    if (event == FOODSVC_PAYMENT_FAILED) {
        return at == FOODSVC_CREATED ? FOODSVC_APPLIED : FOODSVC_LATE;
    }
    if (event == FOODSVC_REIMBURSED) {
        if (at == FOODSVC_ORDER_CANCELLED || at == FOODSVC_PAYMENT_FAILED) {
            return FOODSVC_APPLIED;
        }
        return at <= FOODSVC_DELIVERY_SCHEDULED ? FOODSVC_EARLY : FOODSVC_LATE;
    }
    if (at == FOODSVC_PAYMENT_FAILED) {
        return event == FOODSVC_PAYMENT_PAID ? FOODSVC_NOTED : FOODSVC_LATE;
    }
    if (at > FOODSVC_DELIVERED || event < at) {
        return FOODSVC_LATE;
    }
    return event == at + 1 ? FOODSVC_APPLIED : FOODSVC_EARLY;
}

static void the_table_is_the_rule(void **state)
{
    for (int at = 0; at < FOODSVC_STATUS_COUNT; at++) {
        for (int event = 0; event < FOODSVC_STATUS_COUNT; event++) {
            foodsvc_verdict_e is = foodsvc_order_table((foodsvc_status_e) at, (foodsvc_status_e) event);
            foodsvc_verdict_e should = rule((foodsvc_status_e) at, (foodsvc_status_e) event);

            if (is != should) {
                fail_msg("%s + %s: %s, not %s", foodsvc_status_name((foodsvc_status_e) at),
                         foodsvc_status_name((foodsvc_status_e) event), foodsvc_verdict_name(is),
                         foodsvc_verdict_name(should));
            }
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_go_both_ways),
        cmocka_unit_test(the_table_is_the_rule),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
