/*
 * stuck: the orders and payments that stand for longer than their state allows, and why.
 *
 * An order that owes something stands there because nobody did it: orderd or sweepd is not running, or a partner is
 * away or refuses. Those are asked for by the index that sweepd uses, with sweepd's ages. An order that owes nothing
 * waits for somebody's event; how long that may take life says, and the statuses' orders are walked for it, in pages.
 * Of the payments, those stand that have an event which was not sent, or that wait for the card company. An order owes
 * its payment until that has come; once the card company has taken it, the order waits for an event like any other, and
 * once that has called back, for its event to be consumed.
 *
 * Nothing is written, nobody is asked but MongoDB; so it tells the same while everything else is down.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include "ages.h"
#include "ctl_store.h"
#include "foodsvc_names.h"
#include "foodsvc_time.h"

#define CTL_STUCK_PAGE      1000
#define CTL_STUCK_LIMIT     10000       /* --limit's default: orders of one status, payments of one kind */

/* Seconds that the next event may take where nothing is owed: a driver takes 10 minutes, each later stage 20. */
static const int ctl_stuck_waits[FOODSVC_STATUS_COUNT] = {
    [FOODSVC_PAYMENT_PAID] = 600, [FOODSVC_DELIVERY_SCHEDULED] = 1800, [FOODSVC_DRIVER_AVAILABLE] = 600,
    [FOODSVC_COOKING_SCHEDULED] = 3600, [FOODSVC_COOKING_MEAL] = 3600, [FOODSVC_COOKING_DONE] = 3600,
    [FOODSVC_PICKED_UP] = 3600, [FOODSVC_IN_TRANSIT] = 3600, [FOODSVC_ORDER_CANCELLED] = 600
};

typedef struct {
    const ctl_t     *ctl;
    foodsvc_store_t *store;
    int64_t          now;
    json_t          *orders, *payments, *bad;
    bool             more;              /* --limit left some out */
    size_t           unreadable;
} ctl_stuck_t;

static int64_t
ctl_stuck_before(const ctl_stuck_t *stuck, int seconds)
{
    return stuck->now - (stuck->ctl->older > 0 ? stuck->ctl->older : (int64_t) seconds * 1000);
}

/* A time that lies ahead is a wrong clock's, and tells nothing. */
static bool
ctl_stuck_young(const ctl_stuck_t *stuck, int64_t since, int seconds)
{
    return since > ctl_stuck_before(stuck, seconds) && !foodsvc_time_is_ahead(since, stuck->now);
}

/* What both kinds have in common. */
static json_t *
ctl_stuck_one(const ctl_stuck_t *stuck, const char *id, const char *status, int64_t since)
{
    char text[FOODSVC_TIME_TEXT + 1];

    return json_pack("{s:s, s:s, s:s, s:I}", "id", id, "status", status, "since", foodsvc_time_format(since, text),
                     "age", (json_int_t) (stuck->now > since ? (stuck->now - since) / 1000 : 0));
}

/* Documents that nobody can read, and so nobody serves. */
static void
ctl_stuck_add_bad(ctl_stuck_t *stuck, const char *kind, const foodsvc_store_bad_t *bad, size_t nbad)
{
    for (size_t i = 0; i < nbad; i++) {
        json_array_append_new(stuck->bad, json_pack("{s:s, s:s, s:s}", "kind", kind, "id", bad[i].id, "reason",
                                                    bad[i].why));
    }
}

/* --- orders --- */

/* The status whose event comes next, or the order's own when none does. */
static foodsvc_status_e
ctl_stuck_next(foodsvc_status_e status)
{
    for (foodsvc_status_e event = 0; event < FOODSVC_STATUS_COUNT; event++) {
        if (foodsvc_order_table(status, event) == FOODSVC_APPLIED) {
            return event;
        }
    }
    return status;
}

/* payment: of an order that owes one and has not heard how it ended; NULL for all others. */
static void
ctl_stuck_add_order(ctl_stuck_t *stuck, const foodsvc_order_t *order, unsigned owes, const foodsvc_payment_t *payment)
{
    char    text[FOODSVC_TIME_TEXT + 1];
    json_t *one = ctl_stuck_one(stuck, order->id, foodsvc_status_name(order->status), foodsvc_order_since(order));
    json_t *list = json_array();

    for (unsigned bit = 1; bit <= FOODSVC_OWES_REIMBURSEMENT; bit <<= 1) {
        if (owes & bit) {
            json_array_append_new(list, json_string(foodsvc_owes_name((foodsvc_owes_e) bit)));
        }
    }
    json_object_set_new(one, "owes", list);
    json_object_set_new(one, "waits_for", owes ? json_null()
                        : json_string(foodsvc_status_name(ctl_stuck_next(order->status))));
    json_object_set_new(one, "claim", order->claim_by[0] == '\0' || order->claim_until <= stuck->now ? json_null()
                        : json_pack("{s:s, s:s}", "by", order->claim_by, "until",
                                    foodsvc_time_format(order->claim_until, text)));
    if (payment != NULL && payment->status != FOODSVC_PENDING) {
        json_object_set_new(one, "payment", json_string(foodsvc_payment_status_name(payment->status)));
        json_object_set_new(one, "event_sent", json_boolean(payment->noutbox == 0));
    }
    json_array_append_new(stuck->orders, one);
}

/* The order's payment. NULL: there is none, or it cannot be read. */
static foodsvc_payment_t *
ctl_stuck_payment(const ctl_stuck_t *stuck, const char *id)
{
    char               err[FOODSVC_ERR];
    foodsvc_payment_t *payment = NULL;

    return foodsvc_store_payment_find(stuck->store, id, &payment, err) == FOODSVC_STORE_OK ? payment : NULL;
}

/* The card company has taken it, and has not called back. */
static bool
ctl_stuck_asked(const foodsvc_payment_t *payment)
{
    return payment != NULL && payment->status == FOODSVC_PENDING && !payment->reimburse
           && foodsvc_payment_taken(payment);
}

/* Is it stuck? An order that is not marked owes nothing, or another implementation wrote it. */
static void
ctl_stuck_judge(ctl_stuck_t *stuck, const foodsvc_order_t *order)
{
    unsigned           owes = foodsvc_order_owes(order);
    int                wait = owes ? AGE_OWES : ctl_stuck_waits[order->status];
    foodsvc_payment_t *payment;

    if (wait == 0 || ctl_stuck_young(stuck, foodsvc_order_since(order), wait)) {
        return;
    }
    payment = owes == FOODSVC_OWES_PAYMENT ? ctl_stuck_payment(stuck, order->id) : NULL;
    if (ctl_stuck_asked(payment)) {
        owes = FOODSVC_OWES_NOTHING;
        wait = AGE_CARD;
    }
    if (!ctl_stuck_young(stuck, foodsvc_order_since(order), wait)) {
        ctl_stuck_add_order(stuck, order, owes, payment);
    }
    foodsvc_payment_free(payment);
}

/* The orders that the question finds, page by page. CTL_OK, or told. */
static int
ctl_stuck_pages(ctl_stuck_t *stuck, const foodsvc_store_owing_t *owing)
{
    size_t                limit = stuck->ctl->limit > 0 ? (size_t) stuck->ctl->limit : CTL_STUCK_LIMIT, seen = 0;
    foodsvc_store_page_t  page = { .after = NULL };
    bson_t               *next = NULL;
    int                   code = CTL_OK;

    do {
        page = (foodsvc_store_page_t) { .after = next };
        page.limit = limit - seen < CTL_STUCK_PAGE ? limit - seen : CTL_STUCK_PAGE;
        foodsvc_store_orders_owing(stuck->store, owing, &page);
        if (next != NULL) {
            bson_destroy(next);
        }
        if (page.rc != FOODSVC_STORE_OK) {
            code = ctl_store_failed(stuck->ctl, page.rc, page.err);
        }
        for (size_t i = 0; code == CTL_OK && i < page.norders; i++) {
            ctl_stuck_judge(stuck, page.orders[i]);
        }
        stuck->unreadable += page.skipped;
        ctl_stuck_add_bad(stuck, "order", page.bad, page.nbad);
        seen += page.norders + page.skipped;
        next = page.next;
        page.next = NULL;
        foodsvc_store_page_clear(&page);
    } while (code == CTL_OK && next != NULL && seen < limit);
    if (next != NULL) {
        stuck->more = true;
        bson_destroy(next);
    }
    return code;
}

static int
ctl_stuck_orders(ctl_stuck_t *stuck)
{
    int code = CTL_OK;

    for (foodsvc_status_e status = 0; code == CTL_OK && status < FOODSVC_STATUS_COUNT; status++) {
        foodsvc_store_owing_t owing = { .status = status, .before = ctl_stuck_before(stuck, AGE_OWES),
                                        .claimed = true };

        if (status == FOODSVC_DELIVERED) {
            continue;
        }
        code = ctl_stuck_pages(stuck, &owing);
        if (code == CTL_OK) {
            owing.ahead = true;
            code = ctl_stuck_pages(stuck, &owing);
        }
        owing.ahead = false;
        owing.unmarked = true;
        /* what has come to its end owes nothing, unless it is marked, and there is no end of those */
        if (code == CTL_OK && !foodsvc_status_final(status) && status != FOODSVC_PAYMENT_FAILED) {
            code = ctl_stuck_pages(stuck, &owing);
        }
    }
    return code;
}

/* --- payments --- */

static void
ctl_stuck_add_event(ctl_stuck_t *stuck, const foodsvc_payment_t *payment)
{
    const foodsvc_payment_mark_t *mark = &payment->outbox[0];
    json_t                       *one;

    if (payment->noutbox > 0) {
        one = ctl_stuck_one(stuck, payment->id, foodsvc_payment_status_name(payment->status),
                            mark->when != 0 ? mark->when : payment->created);
        json_object_set_new(one, "unsent", json_string(foodsvc_status_name(mark->status)));
        json_array_append_new(stuck->payments, one);
    }
}

static void
ctl_stuck_add_pending(ctl_stuck_t *stuck, const foodsvc_payment_t *payment)
{
    /* a reimbursement is younger than its payment; all that is known is when it was asked for last */
    int64_t  since = payment->reimburse && payment->asked > 0 ? payment->asked : payment->created;
    json_t  *one;

    if (ctl_stuck_young(stuck, since, AGE_CARD)) {
        return;
    }
    one = ctl_stuck_one(stuck, payment->id, foodsvc_payment_status_name(payment->status), since);
    json_object_set_new(one, "pending", json_string(payment->reimburse ? "reimbursement" : "payment"));
    json_object_set_new(one, "taken", json_boolean(foodsvc_payment_taken(payment)));
    json_object_set_new(one, "stale", json_boolean(foodsvc_payment_stale(payment, stuck->now)));
    json_array_append_new(stuck->payments, one);
}

/* CTL_OK, or told. */
static int
ctl_stuck_due(ctl_stuck_t *stuck, int seconds, void (*find)(foodsvc_store_t *, foodsvc_store_due_t *),
    void (*add)(ctl_stuck_t *, const foodsvc_payment_t *))
{
    for (int ahead = 0; ahead <= 1; ahead++) {
        foodsvc_store_due_t due = { .before = ctl_stuck_before(stuck, seconds), .ahead = ahead,
                                    .limit = FOODSVC_STORE_DUE };

        find(stuck->store, &due);
        if (due.rc != FOODSVC_STORE_OK) {
            return ctl_store_failed(stuck->ctl, due.rc, due.err);
        }
        for (size_t i = 0; i < due.npayments; i++) {
            add(stuck, due.payments[i]);
        }
        stuck->unreadable += due.skipped;
        ctl_stuck_add_bad(stuck, "payment", due.bad, due.nbad);
        stuck->more = stuck->more || due.npayments + due.skipped == FOODSVC_STORE_DUE;
        foodsvc_store_due_clear(&due);
    }
    return CTL_OK;
}

/* --- the table --- */

static void
ctl_stuck_why(const ctl_stuck_t *stuck, const json_t *one)
{
    const json_t *owes = json_object_get(one, "owes"), *claim = json_object_get(one, "claim"), *name;
    const char   *waits = json_string_value(json_object_get(one, "waits_for"));
    const char   *unsent = json_string_value(json_object_get(one, "unsent"));
    const char   *payment = json_string_value(json_object_get(one, "payment"));
    size_t        i;

    if (payment != NULL) {
        printf("%s; its event has not been %s", strcmp(payment, foodsvc_payment_status_name(FOODSVC_PAY_PAID)) == 0
               ? "paid" : payment, json_is_true(json_object_get(one, "event_sent")) ? "consumed\n" : "sent\n");
        return;
    }
    json_array_foreach(owes, i, name) {
        printf("%s%s", i > 0 ? ", " : "owes ", json_string_value(name));
    }
    if (json_is_object(claim)) {
        fputs("; claimed by ", stdout);
        ctl_print_text(json_string_value(json_object_get(claim, "by")), 0);
        printf(" until %s", json_string_value(json_object_get(claim, "until")));
    } else if (i > 0) {
        fputs("; nobody has claimed it", stdout);
    }
    if (waits != NULL) {
        printf("waits for %s", waits);
    } else if (unsent != NULL) {
        printf("the event %s was not sent", unsent);
    } else if (i == 0) {
        printf("the card company %s the %s%s", json_is_true(json_object_get(one, "taken")) ? "has not called back about"
               : "has not taken", json_string_value(json_object_get(one, "pending")),
               json_is_true(json_object_get(one, "stale")) ? ", and is not asked again: it may not know the key"
               : "");
    }
    putchar('\n');
}

static void
ctl_stuck_rows(const ctl_stuck_t *stuck, const char *kind, const json_t *list)
{
    const json_t *one;
    char          age[CTL_AGE_TEXT];
    size_t        i;

    json_array_foreach(list, i, one) {
        printf("%-7s  ", kind);
        ctl_print_text(json_string_value(json_object_get(one, "id")), 36);
        printf("  %-17s  %-4s  ", json_string_value(json_object_get(one, "status")),
               ctl_age_format(json_integer_value(json_object_get(one, "age")) * 1000, age));
        ctl_stuck_why(stuck, one);
    }
}

static int
ctl_stuck_print(const ctl_stuck_t *stuck)
{
    size_t        norders = json_array_size(stuck->orders), npayments = json_array_size(stuck->payments), i;
    const json_t *one;

    if (stuck->ctl->json) {
        ctl_print_json_new(json_pack("{s:O, s:O, s:b, s:I, s:O}", "orders", stuck->orders, "payments", stuck->payments,
                                     "more", stuck->more, "unreadable", (json_int_t) stuck->unreadable,
                                     "unreadable_documents", stuck->bad));
    } else {
        if (norders + npayments + stuck->unreadable > 0) {
            printf("%-7s  %-36s  %-17s  AGE   WHY\n", "KIND", "ORDER", "STATUS");
        }
        ctl_stuck_rows(stuck, "order", stuck->orders);
        ctl_stuck_rows(stuck, "payment", stuck->payments);
        json_array_foreach(stuck->bad, i, one) {
            printf("%-7s  ", json_string_value(json_object_get(one, "kind")));
            ctl_print_text(json_string_value(json_object_get(one, "id")), 36);
            printf("  %-17s  %-4s  cannot be read: ", "?", "?");
            ctl_print_text(json_string_value(json_object_get(one, "reason")), 0);
            putchar('\n');
        }
        if (stuck->unreadable > 0) {
            printf("documents that cannot be read: %zu\n", stuck->unreadable);
        }
        printf("stuck: %zu %s, %zu %s%s\n", norders, norders == 1 ? "order" : "orders", npayments,
               npayments == 1 ? "payment" : "payments",
               stuck->more ? "; there may be more: --limit N looks further" : "");
    }
    return norders + npayments + stuck->unreadable > 0 ? CTL_FAILED : CTL_OK;
}

int
ctl_stuck(ctl_t *ctl)
{
    ctl_stuck_t stuck = { .ctl = ctl, .store = ctl_store_open(ctl), .now = foodsvc_time_now() };
    int         code;

    if (stuck.store == NULL) {
        return CTL_FAILED;
    }
    stuck.orders = json_array();
    stuck.payments = json_array();
    stuck.bad = json_array();
    code = ctl_stuck_orders(&stuck);
    if (code == CTL_OK) {
        code = ctl_stuck_due(&stuck, AGE_OUTBOX, foodsvc_store_outbox_due, ctl_stuck_add_event);
    }
    if (code == CTL_OK) {
        code = ctl_stuck_due(&stuck, AGE_CARD, foodsvc_store_payments_pending, ctl_stuck_add_pending);
    }
    if (code == CTL_OK) {
        code = ctl_stuck_print(&stuck);
    }
    json_decref(stuck.orders);
    json_decref(stuck.payments);
    json_decref(stuck.bad);
    foodsvc_store_close(stuck.store);
    return code;
}
