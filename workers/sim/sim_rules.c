/*
 * Parses and applies failure rules. The table below is the one place that says which action a target takes and what its
 * number means, so that a rule that could never do anything is refused when it is given.
 */
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "foodsvc_order.h"
#include "sim_map.h"
#include "sim_rand.h"
#include "sim_rules.h"

enum { SIM_ON_CALL = 1, SIM_ON_MESSAGE = 2, SIM_ON_PAY = 4 };

typedef struct {
    const char *name;
    unsigned    on;
} sim_target_t;

static const sim_target_t sim_targets[] = {
    { "customer.billing", SIM_ON_CALL },  { "customer.address", SIM_ON_CALL }, { "customer.health", SIM_ON_CALL },
    { "delivery.create", SIM_ON_CALL },   { "delivery.cancel", SIM_ON_CALL },  { "delivery.health", SIM_ON_CALL },
    { "kitchen.create", SIM_ON_CALL },    { "kitchen.health", SIM_ON_CALL },
    { "card.bill", SIM_ON_CALL },         { "card.reimburse", SIM_ON_CALL },   { "card.health", SIM_ON_CALL },
    { "card.pay", SIM_ON_PAY },           { "card.refund", SIM_ON_PAY },       { "card.callback", SIM_ON_MESSAGE },
    { "delivery.event", SIM_ON_MESSAGE }, { "kitchen.event", SIM_ON_MESSAGE },
    { "delivery.deliveryScheduled", SIM_ON_MESSAGE }, { "delivery.driverAvailable", SIM_ON_MESSAGE },
    { "delivery.inTransit", SIM_ON_MESSAGE },         { "delivery.delivered", SIM_ON_MESSAGE },
    { "kitchen.cookingScheduled", SIM_ON_MESSAGE },   { "kitchen.cookingMeal", SIM_ON_MESSAGE },
    { "kitchen.cookingDone", SIM_ON_MESSAGE },        { "kitchen.pickedUp", SIM_ON_MESSAGE },
    { NULL, 0 }
};

typedef struct {
    const char *name;
    unsigned    on;
    int64_t     number, low, high;      /* the number's default and limits as written; high 0: takes none */
    int64_t     unit;                   /* what a written 1 is */
} sim_action_t;

static const sim_action_t sim_actions[] = {
    [SIM_FINE]      = { "fine",      SIM_ON_CALL | SIM_ON_MESSAGE | SIM_ON_PAY, 0, 0, 0, 1 },
    [SIM_REFUSE]    = { "refuse",    SIM_ON_CALL | SIM_ON_PAY,    400, 400, 499, 1 },
    [SIM_ERROR]     = { "error",     SIM_ON_CALL,                 500, 500, 599, 1 },
    [SIM_TIMEOUT]   = { "timeout",   SIM_ON_CALL,                 60, 1, 3600, 1000 },
    [SIM_DROP]      = { "drop",      SIM_ON_CALL | SIM_ON_MESSAGE, 0, 0, 0, 1 },
    [SIM_CLOSE]     = { "close",     SIM_ON_CALL,                 0, 0, 0, 1 },
    [SIM_LATE]      = { "late",      SIM_ON_CALL | SIM_ON_MESSAGE, 5, 0, 3600, 1000 },
    [SIM_DUPLICATE] = { "duplicate", SIM_ON_MESSAGE,              0, 0, 0, 1 },
    [SIM_REORDER]   = { "reorder",   SIM_ON_MESSAGE,              0, 0, 0, 1 },
    [SIM_GARBAGE]   = { "garbage",   SIM_ON_CALL | SIM_ON_MESSAGE, 0, 0, 0, 1 },
    [SIM_HUGE]      = { "huge",      SIM_ON_CALL | SIM_ON_MESSAGE, 1048576, 1, 16777216, 1 },
};
#define SIM_NACTIONS    (sizeof(sim_actions) / sizeof(sim_actions[0]))

typedef enum { SIM_WHEN_CHANCE, SIM_WHEN_EVERY, SIM_WHEN_FIRST, SIM_WHEN_ORDER, SIM_WHEN_PRODUCT } sim_when_kind_e;

#define SIM_MAX_WHENS   6

typedef struct {
    sim_when_kind_e  kind;
    double           chance;
    uint64_t         n, seen;       /* EVERY, FIRST: how many got here */
    char            *text;          /* ORDER: owned */
    unsigned         product;
} sim_when_t;

typedef struct {
    char          *text;            /* owned */
    char          *target;          /* owned */
    sim_fate_t     fate;
    sim_when_t     whens[SIM_MAX_WHENS];
    size_t         nwhens;
    uint64_t       asked, applied;
} sim_rule_t;

typedef struct {
    uint64_t count;
    char     key[];
} sim_count_t;

struct sim_rules_s {
    pthread_mutex_t  lock;          /* all below */
    uint64_t         seed;
    sim_rule_t      *rules;
    size_t           nrules;
    sim_map_t        counts;        /* target and id -> sim_count_t, for chances only */
};

unsigned
sim_product_bit(const char *product)
{
    for (unsigned i = 0; foodsvc_products[i] != NULL; i++) {
        if (strcmp(product, foodsvc_products[i]) == 0) {
            return 1u << i;
        }
    }
    return 0;
}

static void
sim_rule_clear(sim_rule_t *rule)
{
    for (size_t i = 0; i < rule->nwhens; i++) {
        free(rule->whens[i].text);
    }
    free(rule->text);
    free(rule->target);
    memset(rule, 0, sizeof(*rule));
}

static bool
sim_whole(const char *text, int64_t low, int64_t high, int64_t *number)
{
    char *end;

    errno = 0;
    *number = strtoll(text, &end, 10);
    return end != text && *end == '\0' && errno == 0 && *number >= low && *number <= high;
}

static bool
sim_when_parse(sim_when_t *when, const char *text, char *err, size_t errlen)
{
    char    *end;
    int64_t  n;

    if (strncmp(text, "every=", 6) == 0 || strncmp(text, "first=", 6) == 0) {
        if (!sim_whole(text + 6, 1, INT64_MAX, &n)) {
            snprintf(err, errlen, "\"%s\": %.5s= takes a whole number from 1", text, text);
            return false;
        }
        when->kind = text[0] == 'e' ? SIM_WHEN_EVERY : SIM_WHEN_FIRST;
        when->n = (uint64_t) n;
        return true;
    }
    if (strncmp(text, "order=", 6) == 0) {
        when->kind = SIM_WHEN_ORDER;
        when->text = strdup(text + 6);
        return when->text != NULL;
    }
    if (strncmp(text, "product=", 8) == 0) {
        when->kind = SIM_WHEN_PRODUCT;
        when->product = sim_product_bit(text + 8);
        if (when->product == 0) {
            snprintf(err, errlen, "\"%s\": the menu has no such product", text);
        }
        return when->product != 0;
    }
    when->kind = SIM_WHEN_CHANCE;
    when->chance = strtod(text, &end);
    if (end == text || *end != '\0' || !(when->chance >= 0 && when->chance <= 1)) {
        snprintf(err, errlen, "\"%s\" is none of a chance from 0 to 1, every=N, first=N, order=PREFIX, product=NAME",
                 text);
        return false;
    }
    return true;
}

static const sim_target_t *
sim_target(const char *name)
{
    const sim_target_t *target = sim_targets;

    while (target->name != NULL && strcmp(target->name, name) != 0) {
        target++;
    }
    return target->name != NULL ? target : NULL;
}

/* "late=3": text is cut at '='. */
static bool
sim_action_parse(const sim_target_t *target, char *text, sim_fate_t *fate, char *err, size_t errlen)
{
    char   *number = strchr(text, '=');
    size_t  i = 0;

    if (number != NULL) {
        *number++ = '\0';
    }
    while (i < SIM_NACTIONS && strcmp(sim_actions[i].name, text) != 0) {
        i++;
    }
    if (i == SIM_NACTIONS || !(sim_actions[i].on & target->on)) {
        int n = snprintf(err, errlen, "%s does not know the action \"%s\", but", target->name, text);

        for (i = 0; i < SIM_NACTIONS && n > 0 && (size_t) n < errlen; i++) {
            if (sim_actions[i].on & target->on) {
                n += snprintf(err + n, errlen - (size_t) n, " %s", sim_actions[i].name);
            }
        }
        return false;
    }
    fate->action = (sim_action_e) i;
    fate->number = sim_actions[i].number;
    if (number != NULL && sim_actions[i].high == 0) {
        snprintf(err, errlen, "%s takes no number", text);
        return false;
    }
    if (number != NULL && !sim_whole(number, sim_actions[i].low, sim_actions[i].high, &fate->number)) {
        snprintf(err, errlen, "%s takes a whole number of %lld to %lld", text, (long long) sim_actions[i].low,
                 (long long) sim_actions[i].high);
        return false;
    }
    fate->number *= sim_actions[i].unit;
    return true;
}

static bool
sim_rule_parse(sim_rule_t *rule, const char *text, char *err, size_t errlen)
{
    const sim_target_t *target;
    char               *copy = strdup(text), *rest = copy, *word;
    bool                ok = false;

    memset(rule, 0, sizeof(*rule));
    snprintf(err, errlen, "out of memory");
    rule->text = strdup(text);
    if (copy == NULL || rule->text == NULL) {
        goto done;
    }
    word = strsep(&rest, ":");
    target = sim_target(word);
    if (target == NULL || rest == NULL) {
        snprintf(err, errlen, target == NULL ? "there is no call or message \"%s\" (see --help for the list)"
                                             : "%s: an action is missing, as in card.bill:refuse:0.1", word);
        goto done;
    }
    rule->target = strdup(word);
    if (rule->target == NULL || !sim_action_parse(target, strsep(&rest, ":"), &rule->fate, err, errlen)) {
        goto done;
    }
    while (rest != NULL) {
        if (rule->nwhens == SIM_MAX_WHENS) {
            snprintf(err, errlen, "more than %d conditions", SIM_MAX_WHENS);
            goto done;
        }
        if (!sim_when_parse(&rule->whens[rule->nwhens++], strsep(&rest, ":"), err, errlen)) {
            goto done;
        }
    }
    ok = true;

done:
    free(copy);
    if (!ok) {
        sim_rule_clear(rule);
    }
    return ok;
}

bool
sim_rule_valid(const char *text, char *err, size_t errlen)
{
    sim_rule_t rule;
    bool       ok = sim_rule_parse(&rule, text, err, errlen);

    if (ok) {
        sim_rule_clear(&rule);
    }
    return ok;
}

sim_rules_t *
sim_rules_new(uint64_t seed)
{
    sim_rules_t *rules = calloc(1, sizeof(*rules));

    if (rules != NULL) {
        pthread_mutex_init(&rules->lock, NULL);
        rules->seed = seed;
    }
    return rules;
}

static void
sim_rules_drop(sim_rule_t *rules, size_t nrules)
{
    for (size_t i = 0; i < nrules; i++) {
        sim_rule_clear(&rules[i]);
    }
    free(rules);
}

void
sim_rules_free(sim_rules_t *rules)
{
    if (rules != NULL) {
        sim_rules_drop(rules->rules, rules->nrules);
        sim_map_clear(&rules->counts, free);
        pthread_mutex_destroy(&rules->lock);
        free(rules);
    }
}

bool
sim_rules_set(sim_rules_t *rules, char *const *texts, size_t ntexts, char *err, size_t errlen)
{
    sim_rule_t *fresh = calloc(ntexts + 1, sizeof(*fresh)), *old;
    size_t      nold;

    if (fresh == NULL) {
        snprintf(err, errlen, "out of memory");
        return false;
    }
    for (size_t i = 0; i < ntexts; i++) {
        if (!sim_rule_parse(&fresh[i], texts[i], err, errlen)) {
            sim_rules_drop(fresh, i);
            return false;
        }
    }
    pthread_mutex_lock(&rules->lock);
    old = rules->rules;
    nold = rules->nrules;
    rules->rules = fresh;
    rules->nrules = ntexts;
    sim_map_clear(&rules->counts, free);
    pthread_mutex_unlock(&rules->lock);
    sim_rules_drop(old, nold);
    return true;
}

/* The how-manieth call of this target for this id, from 0. Without memory: 0, so that chance still decides. */
static uint64_t
sim_rules_count_locked(sim_rules_t *rules, const char *target, const char *who)
{
    char         key[128];
    sim_count_t *count;

    snprintf(key, sizeof(key), "%s %s", target, who);
    count = sim_map_get(&rules->counts, key);
    if (count != NULL) {
        return ++count->count;
    }
    count = calloc(1, sizeof(*count) + strlen(key) + 1);
    if (count != NULL) {
        memcpy(count->key, key, strlen(key) + 1);
        if (!sim_map_put(&rules->counts, count->key, count)) {
            free(count);
        }
    }
    return 0;
}

/* "delivery.event" stands for each event of DeliveryService. */
static bool
sim_rule_meets(const sim_rule_t *rule, const char *target)
{
    const char *dot = strchr(rule->target, '.');

    if (strcmp(rule->target, target) == 0) {
        return true;
    }
    return strcmp(dot, ".event") == 0 && strncmp(rule->target, target, (size_t) (dot - rule->target) + 1) == 0
           && sim_target(target) != NULL && sim_target(target)->on == SIM_ON_MESSAGE;
}

static bool
sim_when_holds(sim_when_t *when, uint64_t seed, const char *rule, const char *who, unsigned products, uint64_t count)
{
    switch (when->kind) {
    case SIM_WHEN_CHANCE:
        return sim_chance(seed, who, rule, count) < when->chance;
    case SIM_WHEN_EVERY:
        return ++when->seen % when->n == 0;
    case SIM_WHEN_FIRST:
        return ++when->seen <= when->n;
    case SIM_WHEN_ORDER:
        return strncmp(who, when->text, strlen(when->text)) == 0;
    default:
        return (products & when->product) != 0;
    }
}

sim_fate_t
sim_rules_ask(sim_rules_t *rules, const char *target, const char *who, unsigned products)
{
    sim_fate_t fate = { SIM_FINE, 0 };
    uint64_t   count = 0;
    bool       counted = false, applies;

    pthread_mutex_lock(&rules->lock);
    for (size_t i = 0; i < rules->nrules; i++) {
        sim_rule_t *rule = &rules->rules[i];

        if (!sim_rule_meets(rule, target)) {
            continue;
        }
        if (!counted) {
            count = sim_rules_count_locked(rules, target, who);
            counted = true;
        }
        rule->asked++;
        applies = true;
        for (size_t w = 0; w < rule->nwhens && applies; w++) {
            applies = sim_when_holds(&rule->whens[w], rules->seed, rule->text, who, products, count);
        }
        if (applies) {
            rule->applied++;
            fate = rule->fate;
            break;
        }
    }
    pthread_mutex_unlock(&rules->lock);
    return fate;
}

json_t *
sim_rules_json(sim_rules_t *rules)
{
    json_t *list = json_array();

    pthread_mutex_lock(&rules->lock);
    for (size_t i = 0; i < rules->nrules; i++) {
        const sim_rule_t *rule = &rules->rules[i];

        json_array_append_new(list, json_pack("{s:s, s:I, s:I}", "rule", rule->text, "asked", (json_int_t) rule->asked,
                                              "applied", (json_int_t) rule->applied));
    }
    pthread_mutex_unlock(&rules->lock);
    return list;
}
