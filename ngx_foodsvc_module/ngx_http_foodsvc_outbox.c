/*
 * The outbox: the marks that a payment's document carries from the write of a status until the broker has confirmed
 * the event of it.
 *
 * A mark is cleared behind the answer, so a repeat of a callback may still see it. Each worker remembers which events
 * it has handed to the publisher lately, and which of them were confirmed, so that such a repeat sends none again, and
 * that a newer event takes along, in their order, the older ones that may not have got there. That memory is only a
 * saving: a mark that it has forgotten, or that another worker relayed, is relayed again with the same message_id, and
 * its consumer drops the second.
 */
#include "ngx_http_foodsvc_flow.h"

#include "foodsvc_break.h"


#define NGX_HTTP_FOODSVC_RELAYED  1024


typedef struct {
    char      id[FOODSVC_UUID_TEXT + 1];
    unsigned  confirmed:1;
} ngx_http_foodsvc_relayed_t;


static ngx_http_foodsvc_relayed_t *ngx_http_foodsvc_outbox_slot(const char *id);
static ngx_http_foodsvc_relayed_t *ngx_http_foodsvc_outbox_find(const char *id);
static size_t ngx_http_foodsvc_outbox_due(const foodsvc_payment_t *payment);
static ngx_http_foodsvc_publish_op_t *ngx_http_foodsvc_outbox_op(const foodsvc_payment_t *payment, size_t i);
static void ngx_http_foodsvc_outbox_relayed(ngx_http_foodsvc_op_t *op);
static void ngx_http_foodsvc_outbox_clear(ngx_http_foodsvc_publish_op_t *event);


/* Event loop. A newer id takes its slot over. */
static ngx_http_foodsvc_relayed_t  ngx_http_foodsvc_relayed[NGX_HTTP_FOODSVC_RELAYED];


static ngx_http_foodsvc_relayed_t *
ngx_http_foodsvc_outbox_slot(const char *id)
{
    uint32_t  hash;

    hash = ngx_murmur_hash2((u_char *) id, ngx_strlen(id));

    return &ngx_http_foodsvc_relayed[hash % NGX_HTTP_FOODSVC_RELAYED];
}


static ngx_http_foodsvc_relayed_t *
ngx_http_foodsvc_outbox_find(const char *id)
{
    ngx_http_foodsvc_relayed_t  *slot;

    slot = ngx_http_foodsvc_outbox_slot(id);

    return ngx_strcmp(slot->id, id) == 0 ? slot : NULL;
}


void
ngx_http_foodsvc_outbox_relay(const foodsvc_payment_t *payment, ngx_http_foodsvc_ctx_t *ctx,
    ngx_http_foodsvc_handler_pt reply)
{
    size_t                          i;
    ngx_http_foodsvc_publish_op_t  *event;

    i = ngx_http_foodsvc_outbox_due(payment);

    if (i == payment->noutbox && ctx) {
        reply(ctx);
    }

    for ( /* void */ ; i < payment->noutbox; i++) {
        event = ngx_http_foodsvc_outbox_op(payment, i);

        if (ctx && i == payment->noutbox - 1) {
            ngx_http_foodsvc_flow_announce(ctx, event, reply);

        } else {
            (void) ngx_http_foodsvc_flow_publish(event);
        }
    }
}


/*
 * The first mark from which on events are due, in this order: when one is there that this worker has not relayed yet,
 * from the first that it doesn't know as confirmed. payment->noutbox: none.
 */
static size_t
ngx_http_foodsvc_outbox_due(const foodsvc_payment_t *payment)
{
    size_t                       i, first;
    ngx_uint_t                   due;
    ngx_http_foodsvc_relayed_t  *slot;

    due = 0;
    first = payment->noutbox;

    for (i = payment->noutbox; i-- > 0; /* void */) {
        slot = ngx_http_foodsvc_outbox_find(payment->outbox[i].id);

        if (slot == NULL) {
            due = 1;
        }

        if (slot == NULL || !slot->confirmed) {
            first = i;
        }
    }

    return due ? first : payment->noutbox;
}


/* NULL: no memory. */
static ngx_http_foodsvc_publish_op_t *
ngx_http_foodsvc_outbox_op(const foodsvc_payment_t *payment, size_t i)
{
    ngx_http_foodsvc_relayed_t     *slot;
    const foodsvc_payment_mark_t   *mark = &payment->outbox[i];
    ngx_http_foodsvc_publish_op_t  *op;

    op = ngx_http_foodsvc_flow_event_op(&payment->metadata, mark->status, payment->id);
    if (op == NULL) {
        return NULL;
    }

    slot = ngx_http_foodsvc_outbox_slot(mark->id);
    ngx_memcpy(slot->id, mark->id, sizeof(slot->id));
    slot->confirmed = 0;

    ngx_memcpy(op->message_id, mark->id, sizeof(op->message_id));
    op->op.done = ngx_http_foodsvc_outbox_relayed;
    return op;
}


static void
ngx_http_foodsvc_outbox_relayed(ngx_http_foodsvc_op_t *op)
{
    ngx_int_t                       kept;
    ngx_http_foodsvc_relayed_t     *slot;
    ngx_http_foodsvc_publish_op_t  *event = (ngx_http_foodsvc_publish_op_t *) op;

    kept = foodsvc_break("no-outbox") ? NGX_DECLINED : ngx_http_foodsvc_relay(event);
    slot = ngx_http_foodsvc_outbox_find(event->message_id);

    if (event->rc == NGX_HTTP_FOODSVC_PUBLISHED) {

        if (slot) {
            slot->confirmed = 1;
        }

        ngx_http_foodsvc_outbox_clear(event);

    } else if (kept == NGX_OK) {
        ngx_log_error((event->relayed ? NGX_LOG_INFO : NGX_LOG_WARN), ngx_cycle->log, 0,
                      "foodsvc: payment %s: event not confirmed by RabbitMQ; it will be sent again", event->key);

    } else {
        ngx_log_error(NGX_LOG_ERR, ngx_cycle->log, 0,
                      "foodsvc: payment %s: event not confirmed by RabbitMQ; its mark stays in the outbox", event->key);

        if (slot) {
            slot->id[0] = '\0';
        }
    }

    ngx_http_foodsvc_flow_announced(op);
}


/* Fire and forget: a mark that stays means that the event is sent once more. */
static void
ngx_http_foodsvc_outbox_clear(ngx_http_foodsvc_publish_op_t *event)
{
    ngx_http_foodsvc_store_op_t  *op;

    op = ngx_http_foodsvc_store_op(NGX_HTTP_FOODSVC_STORE_OUTBOX_CLEAR);
    if (op == NULL) {
        return;
    }

    ngx_memcpy(op->u.mark.order_id, event->key, sizeof(op->u.mark.order_id));
    ngx_memcpy(op->u.mark.outbox_id, event->message_id, sizeof(op->u.mark.outbox_id));

    if (ngx_http_foodsvc_store_submit(op) != NGX_OK) {
        op->op.destroy(&op->op);
    }
}
