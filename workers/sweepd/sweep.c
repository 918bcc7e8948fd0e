/*
 * A sweep asks for each status's orders that owe something for longer than its age, the oldest first, by pages of the
 * index; for a status it ends when there are no more, or after PAGES; all of it, when as many orders are being served as
 * may be. The next sweep goes on there, in the status and between them, so that many orders that have to wait, or whose
 * partner is slow, don't hide the others. A turn of its own have the orders that carry no owes_since, a page of one
 * status at a time: another implementation wrote them, or they owe nothing.
 */
#include <stdlib.h>
#include <string.h>

#include "foodsvc_time.h"
#include "sweepd.h"
#include "worker_log.h"

#define PAGES           4       /* of one status in one sweep */
#define TURN_FOREIGN    FOODSVC_STATUS_COUNT
#define TURNS           (FOODSVC_STATUS_COUNT + 1)


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
    int64_t   stood = foodsvc_time_now() - foodsvc_order_since(order);

    if (stood < sweepd->conf.age[order->status]
        || (foreign && (owes == FOODSVC_OWES_NOTHING || stood > sweepd->conf.foreign))
        || work_exists(sweepd, order->id) || patience_left(&sweepd->patience, order->id, order->status) > 0)
    {
        return;
    }
    /* One that owes nothing after all is looked at all the same: the store then takes its owes_since away. */
    if (owes != FOODSVC_OWES_NOTHING && !callable(sweepd, owes)) {
        sweepd->more = true;
        return;
    }
    if (!work_begin(sweepd, order->id, order->status, foodsvc_order_since(order), order->status)) {
        worker_log(WORKER_LOG_ERROR, "an order can't be served: no memory", worker_text("order", order->id));
    }
}


/* Room for another order? */
static bool room(sweepd_t *sweepd)
{
    if (sweepd->nworks < (size_t) sweepd->conf.orders) {
        return true;
    }
    sweepd->more = true;
    return false;
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
    if (*place) {
        bson_destroy(*place);
    }
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
        }
        return false;
    }
    if (page.skipped > 0) {
        worker_log(WORKER_LOG_WARN, "orders can't be read", worker_text("status", foodsvc_status_name(owing->status)),
                   worker_int("orders", page.skipped));
    }
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


static void sweep_foreign(sweepd_t *sweepd)
{
    foodsvc_store_owing_t  owing = { .unmarked = true };

    while (!foreign_owes(sweepd->foreign_status)) {
        sweepd->foreign_status = (sweepd->foreign_status + 1) % FOODSVC_STATUS_COUNT;
    }
    owing.status = sweepd->foreign_status;
    if (!sweep_page(sweepd, &owing, &sweepd->foreign_place) && worker_store_wait(&sweepd->servers) == 0) {
        sweepd->foreign_status = (sweepd->foreign_status + 1) % FOODSVC_STATUS_COUNT;
    }
}


int64_t sweep_wait(const sweepd_t *sweepd)
{
    int64_t  wait = sweepd->next - foodsvc_time_monotonic(), store = worker_store_wait(&sweepd->servers);

    if (sweepd->stopping) {
        return -1;
    }
    if (sweepd->more && sweepd->progress && sweepd->nworks <= (size_t) sweepd->conf.orders / 2) {
        wait = 0;
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
    sweepd->more = sweepd->progress = false;
    sweepd->probed = 0;
    for (int i = 0; i < TURNS && room(sweepd) && worker_store_wait(&sweepd->servers) == 0; i++) {
        if (sweepd->turn == TURN_FOREIGN) {
            sweep_foreign(sweepd);
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
    if (sweepd->foreign_place) {
        bson_destroy(sweepd->foreign_place);
    }
}
