/* The simulator's failure rules: what is a rule, which rule applies to what, and that chance can be repeated. */
#include "unit.h"
#include "../../workers/sim/sim_rules.h"

#define ALICE   "06b0413f-be90-7667-8000-f556e421c97a"
#define BOB     "c09338ef-d932-48f2-ac4f-5c3d811c1cf1"

static sim_rules_t *rules_of(uint64_t seed, const char *one, const char *two)
{
    sim_rules_t *rules = sim_rules_new(seed);
    char        *texts[2] = { (char *) one, (char *) two }, err[256];

    assert_non_null(rules);
    if (!sim_rules_set(rules, texts, two ? 2 : 1, err, sizeof(err))) {
        fail_msg("%s: %s", one, err);
    }
    return rules;
}

static void takes_every_rule(void **state)
{
    static const char *const good[] = {
        "card.bill:refuse", "card.bill:refuse:0.1", "card.bill:refuse=402:every=3", "card.pay:refuse:1",
        "card.refund:refuse:1", "card.callback:drop",
        "delivery.event:duplicate:0", "kitchen.pickedUp:late=0", "kitchen.create:timeout=3600:first=2",
        "customer.health:error=599",
        "delivery.create:huge=1:order=06:product=Lasagna:0.5", "customer.address:garbage:order=", "card.bill:fine",
        "card.bill:refuse:product=Veil with glazed onions and blue cheese"
    };
    char err[256];

    for (size_t i = 0; i < COUNT(good); i++) {
        if (!sim_rule_valid(good[i], err, sizeof(err))) {
            fail_msg("%s: %s", good[i], err);
        }
    }
}

static void refuses_what_is_none(void **state)
{
    static const char *const bad[] = {
        "", "card.bill", "card.bill:", "card:refuse", "card.bil:refuse", "card.bill:refused", "card.bill:duplicate",
        "card.callback:refuse", "card.pay:drop", "delivery.event:timeout", "delivery.cookingMeal:drop",
        "card.bill:refuse=399",
        "card.bill:refuse=500", "card.bill:error=400", "card.bill:drop=1", "card.bill:late=", "card.bill:late=x",
        "card.bill:late=3601", "card.bill:late=-1", "card.bill:huge=16777217", "card.bill:refuse:1.1",
        "card.bill:refuse:-0.1",
        "card.bill:refuse:nan", "card.bill:refuse:", "card.bill:refuse:every=0", "card.bill:refuse:every=",
        "card.bill:refuse:first=x",
        "card.bill:refuse:first=99999999999999999999", "card.bill:refuse:product=Pizza", "card.bill:refuse:often",
        "card.bill:refuse:0:0:0:0:0:0:0"
    };
    char err[256];

    for (size_t i = 0; i < COUNT(bad); i++) {
        err[0] = '\0';
        if (sim_rule_valid(bad[i], err, sizeof(err)) || err[0] == '\0') {
            fail_msg("%s was taken, or nothing was said", bad[i]);
        }
    }
}

static void applies_where_it_should(void **state)
{
    sim_rules_t *rules = rules_of(1, "card.bill:error=503:order=06b0", "delivery.event:drop:product=Lasagna");
    sim_fate_t   fate = sim_rules_ask(rules, "card.bill", ALICE, 0);

    assert_int_equal(fate.action, SIM_ERROR);
    assert_int_equal(fate.number, 503);
    assert_int_equal(sim_rules_ask(rules, "card.bill", BOB, 0).action, SIM_FINE);
    assert_int_equal(sim_rules_ask(rules, "card.reimburse", ALICE, 0).action, SIM_FINE);
    assert_int_equal(sim_rules_ask(rules, "delivery.delivered", BOB, sim_product_bit("Lasagna")).action, SIM_DROP);
    assert_int_equal(sim_rules_ask(rules, "delivery.delivered", BOB, sim_product_bit("Double Cheeseburger")).action,
                     SIM_FINE);
    assert_int_equal(sim_rules_ask(rules, "delivery.create", BOB, sim_product_bit("Lasagna")).action, SIM_FINE);
    assert_int_equal(sim_rules_ask(rules, "kitchen.pickedUp", BOB, sim_product_bit("Lasagna")).action, SIM_FINE);
    sim_rules_free(rules);
}

static void the_first_that_applies_wins(void **state)
{
    sim_rules_t *rules = rules_of(1, "card.bill:fine:order=06b0", "card.bill:late=2");
    sim_fate_t   fate = sim_rules_ask(rules, "card.bill", BOB, 0);

    assert_int_equal(fate.action, SIM_LATE);
    assert_int_equal(fate.number, 2000);
    assert_int_equal(sim_rules_ask(rules, "card.bill", ALICE, 0).action, SIM_FINE);
    sim_rules_free(rules);
}

static void counts(void **state)
{
    static const sim_action_e expected[] = { SIM_DROP, SIM_DROP, SIM_FINE, SIM_CLOSE, SIM_FINE, SIM_CLOSE };
    sim_rules_t              *rules = rules_of(1, "card.bill:drop:first=2", "card.bill:close:every=2");
    json_t                   *json;

    for (size_t i = 0; i < COUNT(expected); i++) {
        assert_int_equal(sim_rules_ask(rules, "card.bill", ALICE, 0).action, expected[i]);
    }
    json = sim_rules_json(rules);
    assert_int_equal(json_integer_value(json_object_get(json_array_get(json, 0), "asked")), 6);
    assert_int_equal(json_integer_value(json_object_get(json_array_get(json, 0), "applied")), 2);
    assert_int_equal(json_integer_value(json_object_get(json_array_get(json, 1), "asked")), 4);
    json_decref(json);
    sim_rules_free(rules);
}

#define ORDERS  400

/* The fates of so many orders' first and second calls, asked in one order or the other. */
static void ask_all(uint64_t seed, bool backwards, bool fates[2][ORDERS])
{
    sim_rules_t *rules = rules_of(seed, "card.bill:refuse:0.25", NULL);
    char         id[32];

    for (int round = 0; round < 2; round++) {
        for (int i = 0; i < ORDERS; i++) {
            int n = backwards ? ORDERS - 1 - i : i;

            snprintf(id, sizeof(id), "order-%d", n);
            fates[round][n] = sim_rules_ask(rules, "card.bill", id, 0).action == SIM_REFUSE;
        }
    }
    sim_rules_free(rules);
}

static void chance_repeats(void **state)
{
    bool one[2][ORDERS], two[2][ORDERS], other[2][ORDERS];
    int  refused = 0;

    ask_all(7, false, one);
    ask_all(7, true, two);
    ask_all(8, false, other);
    assert_memory_equal(one, two, sizeof(one));
    assert_memory_not_equal(one, other, sizeof(one));
    assert_memory_not_equal(one[0], one[1], sizeof(one[0]));    /* a second try has a chance of its own */
    for (int i = 0; i < ORDERS; i++) {
        refused += one[0][i];
    }
    assert_in_range(refused, ORDERS / 4 - 40, ORDERS / 4 + 40);
}

static void a_bad_list_changes_nothing(void **state)
{
    sim_rules_t *rules = rules_of(1, "card.bill:drop", NULL);
    char        *texts[] = { (char *) "card.bill:close", (char *) "nonsense" }, err[256];

    assert_false(sim_rules_set(rules, texts, 2, err, sizeof(err)));
    assert_int_equal(sim_rules_ask(rules, "card.bill", ALICE, 0).action, SIM_DROP);
    assert_true(sim_rules_set(rules, NULL, 0, err, sizeof(err)));
    assert_int_equal(sim_rules_ask(rules, "card.bill", ALICE, 0).action, SIM_FINE);
    sim_rules_free(rules);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(takes_every_rule),
        cmocka_unit_test(refuses_what_is_none),
        cmocka_unit_test(applies_where_it_should),
        cmocka_unit_test(the_first_that_applies_wins),
        cmocka_unit_test(counts),
        cmocka_unit_test(chance_repeats),
        cmocka_unit_test(a_bad_list_changes_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
