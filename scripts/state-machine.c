/*
 * state-machine dot | markdown | json: the order's state machine as a drawing (Graphviz), as a page
 * (docs/state-machine.md), or for a program that checks histories (t/chaos).
 *
 * Nothing is known here of statuses, transitions and debts: all is asked of libfoodsvc, so that the documents can't say
 * anything else than the code does. `make diagrams` writes both; a test compares them with what this prints.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "foodsvc_order.h"

#define PATH_END FOODSVC_DELIVERED

static const foodsvc_owes_e debts[] = {
    FOODSVC_OWES_PAYMENT, FOODSVC_OWES_DELIVERY, FOODSVC_OWES_KITCHEN, FOODSVC_OWES_DELIVERY_CANCEL,
    FOODSVC_OWES_REIMBURSEMENT
};

static void die(void)
{
    fprintf(stderr, "state-machine: no memory\n");
    exit(1);
}

static foodsvc_verdict_e decide(foodsvc_order_t *order, const foodsvc_change_t *change)
{
    bool              ok;
    foodsvc_verdict_e verdict = foodsvc_order_decide(order, change, &ok);

    if (!ok) {
        die();
    }
    return verdict;
}

/* An event, with the id that the service behind it would send along. */
static foodsvc_verdict_e event(foodsvc_order_t *order, foodsvc_status_e status)
{
    foodsvc_change_t change = {
        .kind = FOODSVC_CHANGE_EVENT, .status = status,
        .has_delivery_id = status == FOODSVC_DELIVERY_SCHEDULED, .has_kitchen_id = status == FOODSVC_COOKING_SCHEDULED
    };

    return decide(order, &change);
}

static foodsvc_verdict_e cancel(foodsvc_order_t *order, foodsvc_change_e kind)
{
    foodsvc_change_t change = { .kind = kind };

    return decide(order, &change);
}

static void settle(foodsvc_order_t *order)
{
    foodsvc_change_t change = { .kind = FOODSVC_CHANGE_SETTLED, .settled = foodsvc_order_owes(order) };

    decide(order, &change);
}

/* An order that came to a state along the path, or left the path as late as it may. */
static foodsvc_order_t *order_in(foodsvc_status_e state)
{
    foodsvc_order_t *order = foodsvc_order_new();

    if (order == NULL) {
        die();
    }
    for (int stage = FOODSVC_CREATED + 1; order->status != state && stage <= PATH_END; stage++) {
        if (foodsvc_order_table(order->status, state) == FOODSVC_APPLIED) {
            break;
        }
        if (state > PATH_END && order->status != FOODSVC_CREATED) {
            foodsvc_order_t *copy = foodsvc_order_copy(order);

            if (copy == NULL) {
                die();
            }
            if (cancel(copy, FOODSVC_CHANGE_CANCEL) == FOODSVC_APPLIED) {
                foodsvc_order_free(order);
                order = copy;
                break;
            }
            foodsvc_order_free(copy);
        }
        event(order, (foodsvc_status_e) stage);
    }
    if (order->status != state) {
        settle(order);
        event(order, state);
    }
    return order;
}

/* "delivery, kitchen", or "" for no debt. */
static const char *owes(const foodsvc_order_t *order)
{
    static char text[200];
    unsigned    bits = foodsvc_order_owes(order);
    size_t      used = 0;

    text[0] = '\0';
    for (size_t i = 0; i < sizeof(debts) / sizeof(debts[0]); i++) {
        if (bits & debts[i]) {
            used += (size_t) snprintf(text + used, sizeof(text) - used, "%s%s", used ? ", " : "",
                                      foodsvc_owes_name(debts[i]));
        }
    }
    return text;
}

/* The customer (CANCEL), or an operator (GIVE_UP). */
static bool may_cancel(foodsvc_status_e state, foodsvc_change_e kind)
{
    foodsvc_order_t *order = order_in(state);
    bool             may = cancel(order, kind) == FOODSVC_APPLIED;

    foodsvc_order_free(order);
    return may;
}

static void print_dot(void)
{
    puts("digraph order {\n"
         "    graph [rankdir=TB, nodesep=0.8, ranksep=0.42, bgcolor=white, pad=0.2]\n"
         "    node  [fontname=\"DejaVu Sans\", fontsize=13, shape=box, style=\"rounded,filled\",\n"
         "           fillcolor=\"#e4efe4\", color=\"#588157\", penwidth=1.3, width=2, height=0.5,\n"
         "           margin=\"0.14,0.07\"]\n"
         "    edge  [fontname=\"DejaVu Sans\", fontsize=10.5, color=\"#33415c\", fontcolor=\"#33415c\",\n"
         "           arrowsize=0.75, penwidth=1.2]");
    for (int s = 0; s < FOODSVC_STATUS_COUNT; s++) {
        foodsvc_order_t *order = order_in((foodsvc_status_e) s);
        const char      *name = foodsvc_status_name((foodsvc_status_e) s), *debt = owes(order);

        printf("    %s [label=<<b>%s</b>", name, name);
        if (debt[0] != '\0') {
            printf("<br/><font point-size=\"10.5\">owes: %s</font>", debt);
        }
        printf(">%s%s]\n", foodsvc_status_final((foodsvc_status_e) s) ? ", peripheries=2" : "",
               s > PATH_END ? ", fillcolor=\"#fdecea\", color=\"#a4433a\"" : "");
        foodsvc_order_free(order);
    }
    for (int s = 0; s < FOODSVC_STATUS_COUNT; s++) {
        const char *from = foodsvc_status_name((foodsvc_status_e) s);

        for (int e = 0; e < FOODSVC_STATUS_COUNT; e++) {
            const char *to = foodsvc_status_name((foodsvc_status_e) e);

            switch (foodsvc_order_table((foodsvc_status_e) s, (foodsvc_status_e) e)) {
            case FOODSVC_APPLIED:
                printf("    %s -> %s%s\n", from, to, e <= PATH_END ? " [weight=20]" : "");
                break;
            case FOODSVC_EARLY:
                if (e > PATH_END) {
                    printf("    %s -> %s [style=dotted, constraint=false]\n", from, to);
                }
                break;
            case FOODSVC_NOTED:
                printf("    %s -> %s [style=dashed, label=\" %s: noted\"]\n", from, from, to);
                break;
            default:
                break;
            }
        }
        if (may_cancel((foodsvc_status_e) s, FOODSVC_CHANGE_CANCEL)) {
            printf("    %s -> %s [label=\"  the customer cancels\"]\n", from,
                   foodsvc_status_name(FOODSVC_ORDER_CANCELLED));
        } else if (may_cancel((foodsvc_status_e) s, FOODSVC_CHANGE_GIVE_UP)) {
            printf("    %s -> %s [color=\"#a4433a\", fontcolor=\"#a4433a\", constraint=false,"
                   " label=\"  given up\"]\n", from, foodsvc_status_name(FOODSVC_ORDER_CANCELLED));
        }
    }
    puts("}");
}

static void print_states(void)
{
    puts("| state | owes | the customer may cancel | an operator may give it up | |\n|---|---|---|---|---|");
    for (int s = 0; s < FOODSVC_STATUS_COUNT; s++) {
        foodsvc_status_e state = (foodsvc_status_e) s;
        foodsvc_order_t *order = order_in(state);

        printf("| `%s` | %s | %s | %s | %s |\n", foodsvc_status_name(state), owes(order),
               may_cancel(state, FOODSVC_CHANGE_CANCEL) ? "yes" : "",
               may_cancel(state, FOODSVC_CHANGE_GIVE_UP) ? "yes" : "", foodsvc_status_final(state) ? "final" : "");
        for (int e = 0; e < FOODSVC_STATUS_COUNT; e++) {
            if (foodsvc_order_table(state, (foodsvc_status_e) e) == FOODSVC_NOTED) {
                event(order, (foodsvc_status_e) e);
                printf("| `%s`, then `%s` | %s | | | |\n", foodsvc_status_name(state),
                       foodsvc_status_name((foodsvc_status_e) e), owes(order));
            }
        }
        if (order->settled != 0) {
            order->settled = 0;
            printf("| `%s`, with what it owed before not done | %s | | | |\n", foodsvc_status_name(state), owes(order));
        }
        foodsvc_order_free(order);
    }
}

static void print_table(void)
{
    printf("| state \\ event |");
    for (int e = 0; e < FOODSVC_STATUS_COUNT; e++) {
        printf(" `%s` |", foodsvc_status_name((foodsvc_status_e) e));
    }
    printf("\n|---|");
    for (int e = 0; e < FOODSVC_STATUS_COUNT; e++) {
        printf("---|");
    }
    for (int s = 0; s < FOODSVC_STATUS_COUNT; s++) {
        printf("\n| `%s` |", foodsvc_status_name((foodsvc_status_e) s));
        for (int e = 0; e < FOODSVC_STATUS_COUNT; e++) {
            foodsvc_verdict_e verdict = foodsvc_order_table((foodsvc_status_e) s, (foodsvc_status_e) e);

            printf(verdict == FOODSVC_APPLIED ? " **%s** |" : " %s |",
                   verdict == FOODSVC_LATE ? "" : foodsvc_verdict_name(verdict));
        }
    }
    printf("\n");
}

static void print_markdown(void)
{
    puts("# The order's states\n\n"
         "Written by `make diagrams` from the table in `libfoodsvc/foodsvc_order.c`; a test fails when it is not\n"
         "what the code says.\n\n"
         "![The order's state machine](diagrams/state-machine.svg)\n\n"
         "Solid: the next state. Dotted: out of turn, from a service that knows what happened; the same goes, not\n"
         "drawn, for every later stage of the path. Dashed: kept in the history alone. A red arrow: an operator\n"
         "gives the order up, because a service refuses it for good (`foodctl order refund`); he may where the\n"
         "customer may cancel, too. A double frame is final.\n\n"
         "## What a state owes\n\n"
         "As long as it is not done, it is looked for and tried again.\n");
    print_states();
    printf("\n## What an event does\n\n"
           "Rows are states, columns the events that come.\n\n"
           "| | |\n|---|---|\n"
           "| %s | the order takes the state |\n"
           "| %s | the order jumps to the state, over those between |\n"
           "| %s | goes into the history; the state stays |\n"
           "| %s | the order is there already; nothing happens |\n"
           "| %s | not an event's to say: to the dead letters |\n"
           "| empty: %s | lies behind the order; nothing happens |\n\n",
           foodsvc_verdict_name(FOODSVC_APPLIED), foodsvc_verdict_name(FOODSVC_EARLY),
           foodsvc_verdict_name(FOODSVC_NOTED), foodsvc_verdict_name(FOODSVC_DUPLICATE),
           foodsvc_verdict_name(FOODSVC_REFUSED), foodsvc_verdict_name(FOODSVC_LATE));
    print_table();
}

/* {"created": {"final": false, "cancel": null, "events": {"created": "duplicate", ...}}, ...} */
static void print_json(void)
{
    for (int s = 0; s < FOODSVC_STATUS_COUNT; s++) {
        foodsvc_status_e state = (foodsvc_status_e) s;
        bool             cancel = may_cancel(state, FOODSVC_CHANGE_CANCEL);

        printf("%s\"%s\": {\"final\": %s, \"cancel\": %s%s%s, \"events\": {", s == 0 ? "{" : ",\n ",
               foodsvc_status_name(state), foodsvc_status_final(state) ? "true" : "false", cancel ? "\"" : "",
               cancel ? foodsvc_status_name(FOODSVC_ORDER_CANCELLED) : "null", cancel ? "\"" : "");
        for (int e = 0; e < FOODSVC_STATUS_COUNT; e++) {
            printf("%s\"%s\": \"%s\"", e == 0 ? "" : ", ", foodsvc_status_name((foodsvc_status_e) e),
                   foodsvc_verdict_name(foodsvc_order_table(state, (foodsvc_status_e) e)));
        }
        printf("}}");
    }
    printf("}\n");
}

int main(int argc, char **argv)
{
    if (argc == 2 && strcmp(argv[1], "dot") == 0) {
        print_dot();
    } else if (argc == 2 && strcmp(argv[1], "markdown") == 0) {
        print_markdown();
    } else if (argc == 2 && strcmp(argv[1], "json") == 0) {
        print_json();
    } else {
        fprintf(stderr, "usage: state-machine dot | markdown | json\n");
        return 2;
    }
    return fflush(stdout) == 0 && !ferror(stdout) ? 0 : 1;
}
