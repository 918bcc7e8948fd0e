/*
 * The outbox: the mark that a payment's document carries from the write of its status until the broker has confirmed
 * the event of it.
 *
 * The mark is cleared behind the answer, so a repeat of a callback may still see it. Each worker remembers which
 * events it has relayed lately, so that such a repeat sends none again. That memory is only a saving: a mark that it
 * has forgotten, or that another worker relayed, is relayed again with the same message_id, and its consumer drops
 * the second.
 */
#include "ngx_http_foodsvc_flow.h"


#define NGX_HTTP_FOODSVC_RELAYED  1024


static char *ngx_http_foodsvc_outbox_slot(const char *outbox_id);
static void ngx_http_foodsvc_outbox_relayed(ngx_http_foodsvc_op_t *op);
static void ngx_http_foodsvc_outbox_clear(ngx_http_foodsvc_publish_op_t *event);


/* Event loop. A newer id takes its slot over. */
static char  ngx_http_foodsvc_relayed[NGX_HTTP_FOODSVC_RELAYED][FOODSVC_UUID_TEXT + 1];


static char *
ngx_http_foodsvc_outbox_slot(const char *outbox_id)
{
    uint32_t  hash;

    hash = ngx_murmur_hash2((u_char *) outbox_id, ngx_strlen(outbox_id));

    return ngx_http_foodsvc_relayed[hash % NGX_HTTP_FOODSVC_RELAYED];
}


ngx_uint_t
ngx_http_foodsvc_outbox_due(const foodsvc_payment_t *payment)
{
    return payment->outbox_id[0] != '\0'
           && ngx_strcmp(ngx_http_foodsvc_outbox_slot(payment->outbox_id), payment->outbox_id) != 0;
}


ngx_http_foodsvc_publish_op_t *
ngx_http_foodsvc_outbox_op(const foodsvc_payment_t *payment)
{
    ngx_http_foodsvc_publish_op_t  *op;

    op = ngx_http_foodsvc_flow_event_op(&payment->metadata, payment->outbox_status, payment->id);
    if (op == NULL) {
        return NULL;
    }

    ngx_memcpy(op->message_id, payment->outbox_id, sizeof(op->message_id));
    ngx_memcpy(ngx_http_foodsvc_outbox_slot(op->message_id), op->message_id, sizeof(op->message_id));
    op->op.done = ngx_http_foodsvc_outbox_relayed;
    return op;
}


static void
ngx_http_foodsvc_outbox_relayed(ngx_http_foodsvc_op_t *op)
{
    char                           *slot;
    ngx_int_t                       kept;
    ngx_http_foodsvc_publish_op_t  *event = (ngx_http_foodsvc_publish_op_t *) op;

    kept = ngx_http_foodsvc_relay(event);

    if (event->rc == NGX_HTTP_FOODSVC_PUBLISHED) {
        ngx_http_foodsvc_outbox_clear(event);

    } else if (kept == NGX_OK) {
        ngx_log_error((event->relayed ? NGX_LOG_INFO : NGX_LOG_WARN), ngx_cycle->log, 0,
                      "foodsvc: payment %s: event not confirmed by RabbitMQ; it will be sent again", event->key);

    } else {
        ngx_log_error(NGX_LOG_ERR, ngx_cycle->log, 0,
                      "foodsvc: payment %s: event not confirmed by RabbitMQ; its mark stays in the outbox", event->key);

        slot = ngx_http_foodsvc_outbox_slot(event->message_id);
        if (ngx_strcmp(slot, event->message_id) == 0) {
            slot[0] = '\0';
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
