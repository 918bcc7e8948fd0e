/*
 * Failure rules: which call of a partner, or which of its callbacks and events, goes wrong, how, and when.
 *
 *   TARGET:ACTION[=NUMBER][:WHEN]...        for instance  card.bill:refuse:0.1  or  delivery.driverAvailable:late=3:every=5
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
extern const char sim_rules_help[];

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
