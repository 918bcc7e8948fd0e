/*
 * Events that the broker has not confirmed in the publisher's time: this worker keeps them and tries again, for as
 * long as it lives. What they tell is stored (the outbox mark of a payment, the state of an order), so that nothing is
 * lost when it dies; but a broker that was away for longer than a publish takes must not leave an event unsent that
 * somebody was promised.
 *
 * A publish op is the adapter's until its callback returns, and its thread may have it longer: a copy is kept. At most
 * a window of them is with the publisher at a time, so that they leave room for new ones; each that arrives lets the
 * next go at once, a failure doubles the pause. The same message_id goes out each time: the consumer drops repeats.
 */
#include "ngx_http_foodsvc_flow.h"


#define NGX_HTTP_FOODSVC_RELAY_MAX        16384     /* some 15 MB */
#define NGX_HTTP_FOODSVC_RELAY_WINDOW     256
#define NGX_HTTP_FOODSVC_RELAY_PAUSE      1000      /* ms */
#define NGX_HTTP_FOODSVC_RELAY_PAUSE_MAX  16000


static ngx_http_foodsvc_publish_op_t *ngx_http_foodsvc_relay_copy(const ngx_http_foodsvc_publish_op_t *op);
static void ngx_http_foodsvc_relay_timer(ngx_event_t *ev);


static ngx_queue_t       ngx_http_foodsvc_relays;       /* of publish ops that are not submitted */
static ngx_uint_t        ngx_http_foodsvc_nrelays;      /* of them, and of those that are */
static ngx_uint_t        ngx_http_foodsvc_relay_window; /* of those that are */
static ngx_msec_t        ngx_http_foodsvc_relay_pause;
static ngx_event_t       ngx_http_foodsvc_relay_event;
/* What the debug log of a timer takes for its connection. */
static ngx_connection_t  ngx_http_foodsvc_relay_nobody;


void
ngx_http_foodsvc_relay_init(ngx_cycle_t *cycle)
{
    ngx_queue_init(&ngx_http_foodsvc_relays);
    ngx_http_foodsvc_nrelays = 0;
    ngx_http_foodsvc_relay_window = 0;
    ngx_http_foodsvc_relay_pause = NGX_HTTP_FOODSVC_RELAY_PAUSE;
    ngx_http_foodsvc_relay_nobody.fd = (ngx_socket_t) -1;

    ngx_memzero(&ngx_http_foodsvc_relay_event, sizeof(ngx_event_t));
    ngx_http_foodsvc_relay_event.handler = ngx_http_foodsvc_relay_timer;
    ngx_http_foodsvc_relay_event.data = &ngx_http_foodsvc_relay_nobody;
    ngx_http_foodsvc_relay_event.log = cycle->log;
    ngx_http_foodsvc_relay_event.cancelable = 1;
}


ngx_int_t
ngx_http_foodsvc_relay(ngx_http_foodsvc_publish_op_t *op)
{
    ngx_http_foodsvc_publish_op_t  *copy;

    if (op->relayed) {
        ngx_http_foodsvc_nrelays--;
        ngx_http_foodsvc_relay_window--;
    }

    if (op->rc == NGX_HTTP_FOODSVC_PUBLISHED) {

        if (op->relayed) {
            ngx_http_foodsvc_relay_pause = NGX_HTTP_FOODSVC_RELAY_PAUSE;

            if (!ngx_queue_empty(&ngx_http_foodsvc_relays)) {
                ngx_add_timer(&ngx_http_foodsvc_relay_event, 0);
            }
        }

        return NGX_OK;
    }

    if (ngx_exiting || ngx_terminate || ngx_http_foodsvc_nrelays >= NGX_HTTP_FOODSVC_RELAY_MAX) {
        return NGX_DECLINED;
    }

    copy = ngx_http_foodsvc_relay_copy(op);
    if (copy == NULL) {
        return NGX_DECLINED;
    }

    ngx_queue_insert_tail(&ngx_http_foodsvc_relays, &copy->op.queue);
    ngx_http_foodsvc_nrelays++;

    if (!ngx_http_foodsvc_relay_event.timer_set) {
        ngx_add_timer(&ngx_http_foodsvc_relay_event, ngx_http_foodsvc_relay_pause);
        ngx_http_foodsvc_relay_pause = ngx_min(2 * ngx_http_foodsvc_relay_pause, NGX_HTTP_FOODSVC_RELAY_PAUSE_MAX);
    }

    return NGX_OK;
}


static ngx_http_foodsvc_publish_op_t *
ngx_http_foodsvc_relay_copy(const ngx_http_foodsvc_publish_op_t *op)
{
    ngx_http_foodsvc_publish_op_t  *copy;

    copy = ngx_http_foodsvc_publish_op();
    if (copy == NULL) {
        return NULL;
    }

    copy->body = malloc(op->len);
    if (copy->body == NULL) {
        copy->op.destroy(&copy->op);
        return NULL;
    }

    ngx_memcpy(copy->body, op->body, op->len);
    ngx_memcpy(copy->queue, op->queue, sizeof(copy->queue));
    ngx_memcpy(copy->message_id, op->message_id, sizeof(copy->message_id));
    ngx_memcpy(copy->key, op->key, sizeof(copy->key));
    copy->len = op->len;
    copy->timeout = op->timeout;
    copy->op.done = op->op.done;
    copy->relayed = 1;

    return copy;
}


static void
ngx_http_foodsvc_relay_timer(ngx_event_t *ev)
{
    ngx_queue_t                    *q;
    ngx_http_foodsvc_publish_op_t  *op;

    while (!ngx_queue_empty(&ngx_http_foodsvc_relays)
           && ngx_http_foodsvc_relay_window < NGX_HTTP_FOODSVC_RELAY_WINDOW)
    {
        q = ngx_queue_head(&ngx_http_foodsvc_relays);
        ngx_queue_remove(q);
        op = (ngx_http_foodsvc_publish_op_t *) ngx_queue_data(q, ngx_http_foodsvc_op_t, queue);

        if (ngx_http_foodsvc_publish(op) != NGX_OK) {
            ngx_queue_insert_head(&ngx_http_foodsvc_relays, q);
            ngx_add_timer(ev, NGX_HTTP_FOODSVC_RELAY_PAUSE_MAX);
            return;
        }

        ngx_http_foodsvc_relay_window++;
    }
}


void
ngx_http_foodsvc_relay_exit(void)
{
    ngx_queue_t                    *q;
    ngx_http_foodsvc_publish_op_t  *op;

    if (ngx_http_foodsvc_relay_event.timer_set) {
        ngx_del_timer(&ngx_http_foodsvc_relay_event);
    }

    if (!ngx_queue_empty(&ngx_http_foodsvc_relays)) {
        ngx_log_error(NGX_LOG_ERR, ngx_cycle->log, 0,
                      "foodsvc: events that RabbitMQ did not take are left: what they tell is stored");
    }

    while (!ngx_queue_empty(&ngx_http_foodsvc_relays)) {
        q = ngx_queue_head(&ngx_http_foodsvc_relays);
        ngx_queue_remove(q);
        op = (ngx_http_foodsvc_publish_op_t *) ngx_queue_data(q, ngx_http_foodsvc_op_t, queue);
        op->op.destroy(&op->op);
    }
}
