/*
 * Failure rules: which call of a partner, or which of its callbacks and events, goes wrong, how, and when.
 *
 *   TARGET:ACTION[=NUMBER][:WHEN]...        as  card.bill:refuse:0.1  or  delivery.driverAvailable:late=3:every=5
 *
 * The first rule that applies wins. All conditions (WHEN) of a rule must hold; without one it always holds.
 *   0.1          with this chance, by the seed, the order and the how-manieth such call for that order it is
 *   every=N      each N-th call that gets as far as this condition; first=N: the first N of them
 *   order=TEXT   the order's id begins so (customer.*: the customer's id)
 *   product=TEXT the order has this product
 * A rule object has its own lock: any thread may ask.
 */
#ifndef SIM_RULES_H
#define SIM_RULES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <jansson.h>

typedef enum {
    SIM_FINE = 0,
    SIM_REFUSE,
    SIM_ERROR,
    SIM_TIMEOUT,
    SIM_DROP,
    SIM_CLOSE,
    SIM_LATE,
    SIM_DUPLICATE,
    SIM_REORDER,
    SIM_GARBAGE,
    SIM_HUGE
} sim_action_e;

typedef struct {
    sim_action_e action;
    int64_t      number;        /* refuse, error: the HTTP status; timeout, late: ms; huge: bytes; else 0 */
} sim_fate_t;

/* A text for --help that explains targets, actions and conditions. */
#define SIM_RULES_HELP \
    "Failure rules: TARGET:ACTION[=NUMBER][:WHEN]..., for instance card.bill:refuse:0.1 or " \
    "delivery.driverAvailable:late=3:every=5. The first rule that applies wins.\n" \
    "TARGET of a call: customer.billing, customer.address, delivery.create, delivery.cancel, kitchen.create, " \
    "card.bill, card.reimburse, and customer|delivery|kitchen|card.health. Actions: refuse[=400] and " \
    "error[=500] (answer so), timeout[=60] (never answers; closes after so many seconds) and drop (closes " \
    "without an answer) do nothing else; close (no answer), late[=5] (seconds), garbage (broken JSON) and " \
    "huge[=1048576] (bytes) do what was asked for and then answer badly.\n" \
    "TARGET of a message: card.callback, delivery.event, kitchen.event, or one event, as " \
    "delivery.driverAvailable or kitchen.cookingMeal. Actions: drop (never sent), late[=5] (seconds more), " \
    "duplicate (sent twice), reorder (sent after the next stage), garbage and huge (a broken message goes " \
    "ahead of the right one).\n" \
    "TARGET card.pay or card.refund, action refuse: the card is not charged, or the money not given back, and the " \
    "callback says paymentFailed.\n" \
    "WHEN: a chance as 0.1, every=N, first=N, order=PREFIX (customer.*: of the customer's id), product=NAME " \
    "(customer.billing, deliveries, kitchen; the card company does not see products); several must all hold. " \
    "Action fine, in a rule ahead of others, makes an exception of them.\n" \
    "At run time: GET and PUT /simulator/rules (a JSON list of rules) on the card company's port."

typedef struct sim_rules_s sim_rules_t;

/* NULL: no memory. */
sim_rules_t *sim_rules_new(uint64_t seed);
void sim_rules_free(sim_rules_t *rules);

/* Is this a rule? False: err says what is wrong and what would be right. */
bool sim_rule_valid(const char *text, char *err, size_t errlen);

/* Replaces all rules and forgets all counts; nothing changes when a text is no rule (false, with err). */
bool sim_rules_set(sim_rules_t *rules, char *const *texts, size_t ntexts, char *err, size_t errlen);

/* What shall become of this call. who: the order's (customer's) id; products: bits, by the menu's order. */
sim_fate_t sim_rules_ask(sim_rules_t *rules, const char *target, const char *who, unsigned products);

/* [{"rule", "asked", "applied"}]; NULL: no memory. */
json_t *sim_rules_json(sim_rules_t *rules);

/* The bit of a product of the menu, or 0. */
unsigned sim_product_bit(const char *product);

#endif
