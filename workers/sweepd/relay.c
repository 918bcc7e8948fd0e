/*
 * The outbox's relay: publishes the events of marks that are older than age_outbox, as PaymentService would have, and
 * clears the marks that the broker has confirmed. A payment's events go one after the other, in their order. A round
 * begins when the one before is over and its marks are cleared, so nothing is published twice by one process; another
 * one may publish the same, with the same message_id. Rounds go on in the index where the last one ended, up to its
 * end; what room they leave is for marks whose time lies ahead. An event that was refused waits by its mark's id, since
 * the payment's is the order's, too.
 */
#include <stdlib.h>
#include <string.h>

#include "foodsvc_time.h"
#include "sweepd.h"
#include "worker_log.h"

#define FAILED_FIRST    1000    /* ms that an event waits after the broker refused it, and at most */
#define FAILED_LAST     60000
/* A mark that was cleared is still read until a majority has that: 2 s are plenty, and with none it may take hours. */
#define CLEARED_FIRST   2000
#define CLEARED_LAST    60000

/* A payment's events on their way. */
struct relay_s {
    foodsvc_payment_t *payment;
    size_t             at;          /* the mark that is to be published, or is */
    bool               flying;      /* its confirm is awaited */
    bool               over;
    sweepd_t          *sweepd;
    relay_t           *next;
};


static void published(void *ctx, worker_amqp_rc_e rc)
{
    relay_t                       *relay = ctx;
    sweepd_t                      *sweepd = relay->sweepd;
    const foodsvc_payment_mark_t  *mark = &relay->payment->outbox[relay->at];
    foodsvc_store_mark_t          *confirmed;

    relay->flying = false;
    if (rc != WORKER_AMQP_CONFIRMED) {
        relay->over = true;
        if (rc == WORKER_AMQP_REFUSED) {
            worker_log(WORKER_LOG_WARN, "the broker refused an event", worker_text("order", relay->payment->id),
                       worker_text("queue", relay->payment->metadata.receiver));
            patience_wait(&sweepd->patience, relay->payment->outbox[relay->at].id, PATIENCE_EVENT,
                          FAILED_FIRST, FAILED_LAST);
        }
        return;
    }
    confirmed = &sweepd->confirmed[sweepd->nconfirmed++];
    memset(confirmed, 0, sizeof(*confirmed));
    bson_strncpy(confirmed->order_id, relay->payment->id, sizeof(confirmed->order_id));
    memcpy(confirmed->outbox_id, mark->id, sizeof(confirmed->outbox_id));
    patience_wait(&sweepd->patience, mark->id, PATIENCE_EVENT, CLEARED_FIRST, CLEARED_LAST);
    sweepd->stats.relayed++;
    worker_log(WORKER_LOG_INFO, "relayed an event", worker_text("order", relay->payment->id),
               worker_text("status", foodsvc_status_name(mark->status)),
               worker_int("stood_ms", foodsvc_time_now() - (mark->when ? mark->when : relay->payment->created)));
    relay->over = ++relay->at == relay->payment->noutbox;
}


/* Sends the next event. False: not now. */
static bool relay_publish(relay_t *relay)
{
    worker_amqp_t                 *amqp = relay->sweepd->servers.amqp;
    const foodsvc_payment_t       *payment = relay->payment;
    const foodsvc_payment_mark_t  *mark = &payment->outbox[relay->at];
    worker_amqp_publish_t          publish = { .queue = payment->metadata.receiver, .message_id = mark->id,
                                               .done = published, .ctx = relay };
    char                          *body;

    body = foodsvc_event_json(&payment->metadata, mark->status, NULL, NULL, &publish.len);
    if (body == NULL) {
        return false;
    }
    publish.body = body;
    relay->flying = worker_amqp_publish(amqp, &publish);
    free(body);
    return relay->flying;
}


static void relay_end(relay_t *relay)
{
    foodsvc_payment_free(relay->payment);
    free(relay);
}


/* Moves all on that wait for nothing. */
static void relays_go_on(sweepd_t *sweepd)
{
    relay_t  **link = &sweepd->relays;

    while (*link) {
        relay_t  *relay = *link;

        if (!relay->over && !relay->flying) {
            if (!worker_amqp_connected(sweepd->servers.amqp) || sweepd->stopping) {
                relay->over = true;
            } else if (!worker_amqp_declare(sweepd->servers.amqp, relay->payment->metadata.receiver)) {
                patience_wait(&sweepd->patience, relay->payment->outbox[relay->at].id, PATIENCE_EVENT,
                          FAILED_FIRST, FAILED_LAST);
                relay->over = true;
            } else {
                relay_publish(relay);
            }
        }
        if (relay->over) {
            *link = relay->next;
            relay_end(relay);
        } else {
            link = &relay->next;
        }
    }
}


static void clear_confirmed(sweepd_t *sweepd)
{
    char                err[FOODSVC_ERR] = "";
    foodsvc_store_rc_e  rc;

    if (sweepd->nconfirmed == 0 || sweepd->relays != NULL || worker_store_wait(&sweepd->servers) > 0) {
        return;
    }
    rc = foodsvc_store_outbox_clear(sweepd->servers.store, sweepd->confirmed, sweepd->nconfirmed, err);
    worker_store_noted(&sweepd->servers, rc == FOODSVC_STORE_UNAVAILABLE || rc == FOODSVC_STORE_UNKNOWN, err);
    if (rc == FOODSVC_STORE_UNAVAILABLE || rc == FOODSVC_STORE_UNKNOWN) {
        return;
    }
    if (rc != FOODSVC_STORE_OK) {
        worker_log(WORKER_LOG_WARN, "outbox marks can't be cleared", worker_text("reason", err));
        sweepd->relay_next = foodsvc_time_monotonic() + FAILED_LAST;
    }
    sweepd->nconfirmed = 0;
}


/* Takes a payment that is due. */
static void relay_begin(sweepd_t *sweepd, foodsvc_payment_t *payment)
{
    relay_t  *relay = calloc(1, sizeof(*relay));

    if (relay == NULL || payment->noutbox == 0
        || patience_left(&sweepd->patience, payment->outbox[0].id, PATIENCE_EVENT) > 0)
    {
        free(relay);
        foodsvc_payment_free(payment);
        return;
    }
    relay->payment = payment;
    relay->sweepd = sweepd;
    relay->next = sweepd->relays;
    sweepd->relays = relay;
}


/* Takes up to `room` payments with old marks, or with marks of a wrong clock; says how much room is left. */
static size_t look_for(sweepd_t *sweepd, bool ahead, size_t room)
{
    foodsvc_store_due_t  due = { .before = foodsvc_time_now() - sweepd->conf.age_outbox, .ahead = ahead,
                                 .after = sweepd->relay_after[ahead], .limit = room };

    foodsvc_store_outbox_due(sweepd->servers.store, &due);
    worker_store_noted(&sweepd->servers, due.rc == FOODSVC_STORE_UNAVAILABLE, due.err);
    if (due.rc != FOODSVC_STORE_OK) {
        if (due.rc != FOODSVC_STORE_UNAVAILABLE) {
            worker_log(WORKER_LOG_WARN, "outbox marks can't be looked for", worker_text("reason", due.err));
            sweepd->relay_after[ahead] = 0;     /* it may be what was refused */
        }
        return 0;
    }
    room -= due.npayments + due.skipped;
    patience_report(&sweepd->patience, "payment", due.bad, due.nbad);
    for (size_t i = 0; i < due.npayments; i++) {
        relay_begin(sweepd, due.payments[i]);
        due.payments[i] = NULL;
    }
    due.npayments = 0;
    foodsvc_store_due_clear(&due);
    sweepd->relay_after[ahead] = due.next;
    return room;
}


static void look(sweepd_t *sweepd)
{
    size_t  room = look_for(sweepd, false, SWEEPD_PAGE);

    if (room > 0) {
        look_for(sweepd, true, room);
    }
    if (sweepd->relay_after[false] + sweepd->relay_after[true] != 0 && sweepd->relays == NULL) {
        sweepd->relay_next = foodsvc_time_monotonic();      /* all of them wait; they must not hide the others */
    }
}


int64_t relay_wait(const sweepd_t *sweepd)
{
    int64_t  wait = sweepd->relay_next - foodsvc_time_monotonic(), store = worker_store_wait(&sweepd->servers);

    if (sweepd->nconfirmed > 0 && sweepd->relays == NULL) {
        return store;
    }
    /* What is on its way waits for the connection. */
    if (sweepd->stopping || sweepd->relays || !worker_amqp_connected(sweepd->servers.amqp)) {
        return -1;
    }
    wait = wait > 0 ? wait : 0;
    return wait > store ? wait : store;
}


void relay_run(sweepd_t *sweepd)
{
    bool  some = sweepd->relays != NULL;

    relays_go_on(sweepd);
    /* After a round that cleared marks the next one begins at once. */
    if (some && sweepd->relays == NULL && sweepd->nconfirmed > 0) {
        sweepd->relay_next = foodsvc_time_monotonic();
    }
    clear_confirmed(sweepd);
    if (sweepd->relays == NULL && sweepd->nconfirmed == 0 && relay_wait(sweepd) == 0) {
        sweepd->relay_next = foodsvc_time_monotonic() + sweepd->conf.interval;
        look(sweepd);
        relays_go_on(sweepd);
    }
}


bool relay_busy(const sweepd_t *sweepd)
{
    return sweepd->relays != NULL || sweepd->nconfirmed > 0;
}


void relay_free(sweepd_t *sweepd)
{
    while (sweepd->relays) {
        relay_t  *relay = sweepd->relays;

        sweepd->relays = relay->next;
        relay_end(relay);
    }
}
