/*
 * A work lives from the moment its order is found until serve.c says `end`. What a partner has answered is stored
 * whatever it takes: while MongoDB is away the work waits. A claim that could not be stored is given up instead:
 * nothing was done yet, and the next sweep finds the order again.
 */
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "foodsvc_names.h"
#include "foodsvc_time.h"
#include "sweepd.h"
#include "worker_log.h"

/* ms that an order waits after a try, first and at most */
#define BUSY_FIRST      1000
#define BUSY_LAST       5000
#define LATER_FIRST     1000
#define LATER_LAST      5000
#define REFUSED_FIRST   30000
#define REFUSED_LAST    300000
/* It was asked for, but the answer is an event that may take its time. */
#define ASKED_FIRST     30000
#define ASKED_LAST      300000


static work_t *work_of(serve_t *serve)
{
    return (work_t *) ((char *) serve - offsetof(work_t, serve));
}


static void work_free(work_t *work)
{
    sweepd_t  *sweepd = work->sweepd;
    work_t   **link = &sweepd->works;

    while (*link != work) {
        link = &(*link)->next;
    }
    *link = work->next;
    sweepd->nworks--;
    serve_free(&work->serve);
    free(work);
}


static void work_ready(work_t *work)
{
    sweepd_t  *sweepd = work->sweepd;

    work->ready_next = NULL;
    *sweepd->ready_tail = work;
    sweepd->ready_tail = &work->ready_next;
}


/* "delivery", "deliveryCancel+reimbursement" */
static const char *debts_text(unsigned debts, char text[128])
{
    size_t  len = 0;

    text[0] = '\0';
    for (unsigned bit = 1; bit <= FOODSVC_OWES_REIMBURSEMENT; bit <<= 1) {
        if (debts & bit) {
            len += (size_t) snprintf(text + len, 128 - len, "%s%s", len ? "+" : "",
                                     foodsvc_owes_name((foodsvc_owes_e) bit));
        }
    }
    return text;
}


/*
 * Debts that are done with. One that was asked for and stays owed until an event comes is not; nor is a refund that had
 * been asked for before.
 */
static unsigned repaired(const work_t *work, unsigned owes)
{
    return work->did & ~(owes | (work->paid_again ? FOODSVC_OWES_REIMBURSEMENT : FOODSVC_OWES_NOTHING));
}


static void log_end(const work_t *work, unsigned owes)
{
    unsigned  done = repaired(work, owes), asked = work->did & ~done;
    int64_t  stood = foodsvc_time_now() - work->since;
    char     did[128], left[128];

    if (asked) {
        worker_log(WORKER_LOG_INFO, "asked for what an order waits for", worker_text("order", work->id),
                   worker_text("of", debts_text(asked, did)),
                   worker_text("is", foodsvc_status_name(work->serve.order->status)), worker_int("stood_ms", stood));
    }
    if (done) {
        worker_log(WORKER_LOG_INFO, "repaired an order", worker_text("order", work->id),
                   worker_text("did", debts_text(done, did)),
                   worker_text("was", foodsvc_status_name(work->status)),
                   worker_text("is", foodsvc_status_name(work->serve.order->status)), worker_int("stood_ms", stood));
    }
    if (work->serve.rc == SERVE_LATER || work->serve.rc == SERVE_REFUSED) {
        worker_log(WORKER_LOG_WARN, "could not do what an order owes", worker_text("order", work->id),
                   worker_text("owes", debts_text(owes, left)), worker_text("reason", work->serve.reason),
                   worker_int("stood_ms", stood));
    }
}


static void serve_ready(serve_t *serve)
{
    work_ready(work_of(serve));
}


static void serve_called(serve_t *serve, const owed_result_t *result)
{
    work_t    *work = work_of(serve);
    sweepd_t  *sweepd = work->sweepd;

    sweepd->stats.calls++;
    if (result->rc == OWED_DONE) {
        work->did |= result->what;
        sweepd->progress = true;
    }
}


static void serve_end(serve_t *serve)
{
    work_t      *work = work_of(serve);
    sweepd_t    *sweepd = work->sweepd;
    patience_t  *patience = &sweepd->patience;
    unsigned     owes = foodsvc_order_owes(serve->order);
    int          state = serve->order->status;

    log_end(work, owes);
    sweepd->stats.repaired += repaired(work, owes) != 0;
    sweepd->stats.asked += (work->did & ~repaired(work, owes)) != 0;
    switch (serve->rc) {
    case SERVE_LATER:
        sweepd->stats.later++;
        patience_wait(patience, work->id, state, LATER_FIRST, LATER_LAST);
        break;
    case SERVE_REFUSED:
        sweepd->stats.refused++;
        patience_wait(patience, work->id, state, REFUSED_FIRST, REFUSED_LAST);
        break;
    case SERVE_BUSY:
        sweepd->stats.busy++;
        patience_wait(patience, work->id, state, BUSY_FIRST, BUSY_LAST);
        break;
    default:
        if (owes) {
            patience_wait(patience, work->id, state, ASKED_FIRST, ASKED_LAST);
        } else {
            patience_forget(patience, work->id);
        }
    }
    work_free(work);
}


static const serve_owner_t owner = { .ready = serve_ready, .end = serve_end, .called = serve_called };


bool work_exists(const sweepd_t *sweepd, const char *id)
{
    const work_t  *work = sweepd->works;

    while (work && strcmp(work->id, id) != 0) {
        work = work->next;
    }
    return work != NULL;
}


bool work_begin(sweepd_t *sweepd, const char *id, foodsvc_status_e status, int64_t since, bool paid_again)
{
    const foodsvc_change_t  paid = {
        .kind = FOODSVC_CHANGE_EVENT, .status = FOODSVC_PAYMENT_PAID, .when = foodsvc_time_now()
    };
    work_t                 *work = calloc(1, sizeof(*work));

    if (work == NULL) {
        return false;
    }
    snprintf(work->id, sizeof(work->id), "%s", id);
    work->status = status;
    work->since = since;
    work->sweepd = sweepd;
    work->serve.owner = &owner;
    work->serve.owed = sweepd->servers.owed;
    work->paid_again = paid_again;
    if (paid_again) {
        serve_change(&work->serve, &paid);
    } else {
        serve_touch(&work->serve, false);
    }
    work->next = sweepd->works;
    sweepd->works = work;
    sweepd->nworks++;
    work_ready(work);
    return true;
}


/* --- storing --- */

int64_t works_wait(const sweepd_t *sweepd)
{
    return sweepd->ready == NULL ? -1 : worker_store_wait(&sweepd->servers);
}


static work_t *ready_take(sweepd_t *sweepd)
{
    work_t  *work = sweepd->ready;

    sweepd->ready = work->ready_next;
    if (sweepd->ready == NULL) {
        sweepd->ready_tail = &sweepd->ready;
    }
    return work;
}


/* The change was not stored. Returns true when the database is away. */
static bool not_stored(work_t *work, const foodsvc_store_change_op_t *op)
{
    sweepd_t  *sweepd = work->sweepd;
    bool       away = op->rc == FOODSVC_STORE_UNAVAILABLE || op->rc == FOODSVC_STORE_UNKNOWN;
    bool       late = sweepd->stopping && foodsvc_time_monotonic() >= sweepd->deadline;

    if (away && work->serve.order != NULL && !late) {
        work_ready(work);
        return true;
    }
    if (!away && op->rc != FOODSVC_STORE_NOT_FOUND) {
        worker_log(WORKER_LOG_WARN, "an order can't be changed", worker_text("order", work->id),
                   worker_text("reason", op->err[0] ? op->err : foodsvc_store_rc_name(op->rc)));
        patience_wait(&sweepd->patience, work->id, work->status, REFUSED_FIRST, REFUSED_LAST);
    }
    work_free(work);
    return away;
}


/*
 * Redis has missed some of these. They are kept for it; but should this process end before it is back, orderd has them
 * refreshed: it gets each order's own status as an event, and parks that until the cache is written.
 */
static void cache_missed(sweepd_t *sweepd, foodsvc_order_t *const *orders, size_t n)
{
    worker_amqp_t          *amqp = sweepd->servers.amqp;
    worker_amqp_publish_t   publish = { .queue = FOODSVC_QUEUE };
    foodsvc_metadata_t      metadata = { 0 };
    char                    customer[FOODSVC_UUID_TEXT + 1], *body;

    if (!worker_amqp_connected(amqp) || !worker_amqp_declare(amqp, FOODSVC_QUEUE)) {
        return;
    }
    for (size_t i = 0; i < n; i++) {
        foodsvc_uuid_format(&orders[i]->customer_id, customer);
        if (!foodsvc_metadata_set(&metadata, FOODSVC_ORDER_SERVICE, orders[i]->id, customer)) {
            return;
        }
        body = foodsvc_event_json(&metadata, orders[i]->status, NULL, NULL, &publish.len);
        publish.body = body;
        if (body) {
            worker_amqp_publish(amqp, &publish);
        }
        free(body);
        foodsvc_metadata_clear(&metadata);
    }
}


void works_store(sweepd_t *sweepd)
{
    static foodsvc_store_change_op_t  ops[FOODSVC_STORE_BATCH];      /* large; one thread */
    foodsvc_store_change_op_t        *list[FOODSVC_STORE_BATCH];
    work_t                           *works[FOODSVC_STORE_BATCH];
    foodsvc_order_t                  *orders[FOODSVC_STORE_BATCH];
    size_t                            n = 0, nstored = 0;
    bool                              away = false;
    char                              why[FOODSVC_ERR] = "";

    if (works_wait(sweepd) != 0) {
        return;
    }
    for (; sweepd->ready && n < FOODSVC_STORE_BATCH; n++) {
        works[n] = ready_take(sweepd);
        serve_op(&works[n]->serve, works[n]->id, sweepd->servers.token, sweepd->conf.servers.claim, &ops[n]);
        list[n] = &ops[n];
    }
    foodsvc_store_orders_change(sweepd->servers.store, list, n);
    for (size_t i = 0; i < n; i++) {
        if (ops[i].rc == FOODSVC_STORE_OK) {
            serve_stored(&works[i]->serve, &ops[i]);
            orders[nstored] = works[i]->serve.order;
            works[nstored++] = works[i];
        } else if (not_stored(works[i], &ops[i])) {
            away = true;
            memcpy(why, ops[i].err, sizeof(why));
        }
    }
    worker_store_noted(&sweepd->servers, away, why);
    if (nstored > 0 && !worker_cache_orders(sweepd->servers.cache, orders, nstored)) {
        cache_missed(sweepd, orders, nstored);
    }
    for (size_t i = 0; i < nstored; i++) {
        serve_step(&works[i]->serve);
    }
}


void works_free(sweepd_t *sweepd)
{
    work_t  *work = sweepd->works;

    while (work) {
        work_t  *next = work->next;

        serve_free(&work->serve);
        free(work);
        work = next;
    }
    sweepd->works = NULL;
    sweepd->nworks = 0;
    sweepd->ready = NULL;
    sweepd->ready_tail = &sweepd->ready;
}
