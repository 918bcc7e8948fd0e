/*
 * A sweep asks for each status's orders that owe something for longer than its age, the oldest first, by pages of the
 * index; for a status it ends when there are no more, or after PAGES; all of it, when as many orders are being served
 * as may be. The next sweep goes on there, in the status and between them, so that many orders that have to wait, or
 * whose partner is slow, don't hide the others. A turn of their own have the orders that carry no owes_since, a page of
 * one status at a time: another implementation wrote them, or they owe nothing, as far as they have heard (untold.c);
 * and so have those whose owes_since lies ahead, since a clock was wrong.
 */
#include <stdlib.h>
#include <string.h>

#include "foodsvc_time.h"
#include "sweepd.h"
#include "worker_log.h"

#define PAGES           4       /* of one status in one sweep */
#define TURN_FOREIGN    FOODSVC_STATUS_COUNT
#define TURN_AHEAD      (FOODSVC_STATUS_COUNT + 1)
#define TURNS           (FOODSVC_STATUS_COUNT + 2)


/* Which statuses another implementation can leave owing: reimbursed, and failed, it has done with. */
static bool foreign_owes(foodsvc_status_e status)
{
    return !foodsvc_status_final(status) && status != FOODSVC_PAYMENT_FAILED;
}


/* Would any of the debts be called now? One order is enough to find out whether a service is back. */
static bool callable(sweepd_t *sweepd, unsigned owes)
{
    bool  can = false;

    for (unsigned bit = 1; bit <= FOODSVC_OWES_REIMBURSEMENT; bit <<= 1) {
        owed_mood_e  mood = owes & bit ? owed_mood(sweepd->servers.owed, (foodsvc_owes_e) bit) : OWED_ALONE;

        if (mood == OWED_PROBE && !(sweepd->probed & bit)) {
            sweepd->probed |= bit;
            can = true;
        }
        can = can || mood == OWED_CALL;
    }
    return can;
}


/* Begins to serve an order that was found, if it may be. */
static void consider(sweepd_t *sweepd, const foodsvc_order_t *order, bool foreign)
{
    unsigned  owes = foodsvc_order_owes(order);
    int64_t   now = foodsvc_time_now(), stood = now - foodsvc_order_since(order);

    if (foreign && owes == FOODSVC_OWES_NOTHING) {
        untold_consider(sweepd, order);
        return;
    }
    if ((stood < sweepd->conf.age[order->status] && !foodsvc_time_is_ahead(foodsvc_order_since(order), now))
        || (foreign && stood > sweepd->conf.foreign)
        || work_exists(sweepd, order->id) || patience_left(&sweepd->patience, order->id, order->status) > 0)
    {
        return;
    }
    /* One that owes nothing after all is looked at all the same: the store then takes its owes_since away. */
    if (owes != FOODSVC_OWES_NOTHING && !callable(sweepd, owes)) {
        sweepd->away = true;
        return;
    }
    if (!work_begin(sweepd, order->id, order->status, foodsvc_order_since(order), false)) {
        worker_log(WORKER_LOG_ERROR, "an order can't be served: no memory", worker_text("order", order->id));
    }
}


/* Room for another order? */
static bool room(sweepd_t *sweepd)
{
    if (sweepd->nworks < (size_t) sweepd->conf.orders) {
        return true;
    }
    sweepd->full = true;
    return false;
}


static void begin_anew(bson_t **place)
{
    if (*place) {
        bson_destroy(*place);
        *place = NULL;
    }
}


/* Where the walk goes on: behind the last order that was considered. */
static void go_on(const foodsvc_store_owing_t *owing, foodsvc_store_page_t *page, size_t considered, bson_t **place)
{
    bson_t  *next = page->next;

    if (considered == page->norders) {
        page->next = NULL;
    } else if (considered > 0) {
        next = foodsvc_store_owing_place(owing, page->orders[considered - 1]);
    } else {
        return;
    }
    begin_anew(place);
    *place = next;
}


/* Reads one page and considers its orders; *place goes on behind them. False: there is no more to be had now. */
static bool sweep_page(sweepd_t *sweepd, const foodsvc_store_owing_t *owing, bson_t **place)
{
    foodsvc_store_page_t  page = { .limit = SWEEPD_PAGE, .after = *place };
    size_t                i = 0;

    foodsvc_store_orders_owing(sweepd->servers.store, owing, &page);
    worker_store_noted(&sweepd->servers, page.rc == FOODSVC_STORE_UNAVAILABLE, page.err);
    if (page.rc != FOODSVC_STORE_OK) {
        if (page.rc != FOODSVC_STORE_UNAVAILABLE) {
            worker_log(WORKER_LOG_WARN, "orders that owe something can't be looked for",
                       worker_text("reason", page.err));
            begin_anew(place);      /* it may be what was refused */
        }
        return false;
    }
    patience_report(&sweepd->patience, "order", page.bad, page.nbad);
    while (i < page.norders && room(sweepd)) {
        consider(sweepd, page.orders[i++], owing->unmarked);
    }
    go_on(owing, &page, i, place);
    foodsvc_store_page_clear(&page);
    return *place != NULL;
}


static void sweep_status(sweepd_t *sweepd, foodsvc_status_e status)
{
    foodsvc_store_owing_t  owing = { .status = status, .before = foodsvc_time_now() - sweepd->conf.age[status] };
    unsigned               pages = 0;

    while (sweep_page(sweepd, &owing, &sweepd->places[status]) && ++pages < PAGES && room(sweepd)) {
        /* the next page */
    }
}


static void walk_on(sweepd_t *sweepd, walk_t *walk, foodsvc_store_owing_t owing)
{
    while (owing.unmarked && !foreign_owes(walk->status)) {
        walk->status = (walk->status + 1) % FOODSVC_STATUS_COUNT;
    }
    owing.status = walk->status;
    if (!sweep_page(sweepd, &owing, &walk->place) && worker_store_wait(&sweepd->servers) == 0) {
        walk->status = (walk->status + 1) % FOODSVC_STATUS_COUNT;
    }
}


int64_t sweep_wait(const sweepd_t *sweepd)
{
    int64_t  now = foodsvc_time_monotonic(), wait = sweepd->next - now, store = worker_store_wait(&sweepd->servers);

    if (sweepd->stopping) {
        return -1;
    }
    if (sweepd->progress && sweepd->nworks <= (size_t) sweepd->conf.orders / 2) {
        /* While one partner is away, others make progress all the time. */
        int64_t  soon = sweepd->last + sweepd->conf.interval / 8;

        wait = sweepd->full ? 0 : sweepd->away && soon < sweepd->next ? soon - now : wait;
    }
    wait = wait > 0 ? wait : 0;
    return wait > store ? wait : store;
}


void sweep_run(sweepd_t *sweepd)
{
    int64_t  interval = sweepd->conf.interval;

    if (sweep_wait(sweepd) != 0) {
        return;
    }
    sweepd->full = sweepd->away = sweepd->progress = false;
    sweepd->probed = sweepd->looks = 0;
    sweepd->last = foodsvc_time_monotonic();
    for (int i = 0; i < TURNS && room(sweepd) && worker_store_wait(&sweepd->servers) == 0; i++) {
        if (sweepd->turn == TURN_FOREIGN) {
            walk_on(sweepd, &sweepd->foreign, (foodsvc_store_owing_t) { .unmarked = true });
        } else if (sweepd->turn == TURN_AHEAD) {
            walk_on(sweepd, &sweepd->ahead, (foodsvc_store_owing_t) { .ahead = true });
        } else {
            sweep_status(sweepd, (foodsvc_status_e) sweepd->turn);
        }
        sweepd->turn = (sweepd->turn + 1) % TURNS;
    }
    /* Not all sweepd at the same moment. */
    sweepd->next = foodsvc_time_monotonic() + interval - interval / 8 + random() % (interval / 4 + 1);
}


void sweep_free(sweepd_t *sweepd)
{
    for (int status = 0; status < FOODSVC_STATUS_COUNT; status++) {
        if (sweepd->places[status]) {
            bson_destroy(sweepd->places[status]);
        }
    }
    if (sweepd->foreign.place) {
        bson_destroy(sweepd->foreign.place);
    }
    if (sweepd->ahead.place) {
        bson_destroy(sweepd->ahead.place);
    }
}
