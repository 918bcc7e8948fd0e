/*
 * Sends the events of a payment that were stored and not sent, as sweepd does: published, confirmed, and only then the
 * mark is cleared. Killed in between the event is sent twice, with one message_id, which does no harm; never not at
 * all.
 */
#include <stdlib.h>
#include <string.h>
#include "ctl_amqp.h"
#include "ctl_store.h"
#include "foodsvc_codec.h"

typedef struct {
    const ctl_t             *ctl;
    foodsvc_store_t         *store;
    const foodsvc_payment_t *payment;
    worker_amqp_t           *amqp;
    json_t                  *relayed;
} ctl_relay_t;

/* CTL_OK, or told. */
static int
ctl_relay_mark(const ctl_relay_t *relay, const foodsvc_payment_mark_t *mark)
{
    const foodsvc_metadata_t *metadata = &relay->payment->metadata;
    worker_amqp_publish_t     publish = { .queue = metadata->receiver, .message_id = mark->id };
    char                     *body = foodsvc_event_json(metadata, mark->status, NULL, NULL, &publish.len);
    char                      err[FOODSVC_ERR] = "";
    foodsvc_store_mark_t      confirmed = { "", "" };
    foodsvc_store_rc_e        stored;
    worker_amqp_rc_e          rc = WORKER_AMQP_LOST;

    if (body == NULL) {
        return ctl_fail("out of memory");
    }
    publish.body = body;
    if (worker_amqp_declare(relay->amqp, publish.queue)) {
        rc = ctl_amqp_send(relay->amqp, publish);
    }
    free(body);
    if (rc != WORKER_AMQP_CONFIRMED) {
        return rc == WORKER_AMQP_LOST ? ctl_amqp_lost(relay->ctl) : ctl_amqp_no_queue(relay->ctl, publish.queue);
    }
    memcpy(confirmed.order_id, relay->payment->id, sizeof(confirmed.order_id));
    memcpy(confirmed.outbox_id, mark->id, sizeof(confirmed.outbox_id));
    stored = foodsvc_store_outbox_clear(relay->store, &confirmed, 1, err);
    json_array_append_new(relay->relayed, json_string(foodsvc_status_name(mark->status)));
    return stored == FOODSVC_STORE_OK ? CTL_OK : ctl_store_failed(relay->ctl, stored, err);
}

int
ctl_relay(const ctl_t *ctl, foodsvc_store_t *store, const char *id, json_t *relayed)
{
    foodsvc_payment_t  *payment;
    ctl_relay_t         relay = { .ctl = ctl, .store = store, .relayed = relayed };
    char                err[FOODSVC_ERR] = "";
    foodsvc_store_rc_e  rc = foodsvc_store_payment_find(store, id, &payment, err);
    int                 code = CTL_OK;

    if (rc == FOODSVC_STORE_NOT_FOUND) {
        return CTL_OK;
    }
    if (rc != FOODSVC_STORE_OK) {
        return ctl_store_failed(ctl, rc, err);
    }
    if (payment->noutbox > 0) {
        relay.payment = payment;
        relay.amqp = ctl_amqp_open(ctl);
        code = relay.amqp == NULL ? CTL_FAILED : CTL_OK;
        for (size_t i = 0; code == CTL_OK && i < payment->noutbox; i++) {
            code = ctl_relay_mark(&relay, &payment->outbox[i]);
        }
        worker_amqp_close(relay.amqp);
    }
    foodsvc_payment_free(payment);
    return code;
}
