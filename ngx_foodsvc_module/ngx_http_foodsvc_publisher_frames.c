/*
 * What the broker sends to the publisher's thread, frame by frame: amqp_read_message() would wait.
 *
 * basic.ack and basic.nack carry a delivery tag, counted from 1 after confirm.select, and with `multiple` stand for
 * all up to it. A message that no queue took comes back first (mandatory): basic.return, a content header, body
 * frames, no tag; the header's message_id says which it was. Its ack still follows, and only then the message is dealt
 * with: the queue was deleted after we had declared it, so it is declared again and the message sent again.
 *
 * channel.close ends the channel, not the connection. When it answers a queue.declare, the queue is there with other
 * arguments (406), or is locked (405), or we may not declare it (403): its name is marked, so that this happens once,
 * a new channel is opened and what was unconfirmed is sent again. Every other reason is answered by a new channel
 * after a pause.
 */
#include "ngx_http_foodsvc_publisher_thread.h"

#define NGX_HTTP_FOODSVC_PUBLISHER_PAUSE    500         /* ms, after a nack or a channel's end that we can't explain */
#define NGX_HTTP_FOODSVC_PUBLISHER_REFUSE   30000       /* ms that a refused declaration is remembered */
#define NGX_HTTP_FOODSVC_PUBLISHER_RETURNS  3           /* then the message is given up */


static void ngx_http_foodsvc_publisher_frame(ngx_http_foodsvc_publisher_thread_t *t, amqp_frame_t *frame);
static void ngx_http_foodsvc_publisher_method(ngx_http_foodsvc_publisher_thread_t *t, amqp_method_t *method);
static void ngx_http_foodsvc_publisher_connection_method(ngx_http_foodsvc_publisher_thread_t *t,
    amqp_method_t *method);
static void ngx_http_foodsvc_publisher_confirm(ngx_http_foodsvc_publisher_thread_t *t, uint64_t tag,
    ngx_uint_t multiple, ngx_uint_t taken);
static void ngx_http_foodsvc_publisher_confirmed(ngx_http_foodsvc_publisher_thread_t *t,
    ngx_http_foodsvc_publish_op_t *op, ngx_uint_t taken);
static void ngx_http_foodsvc_publisher_again(ngx_http_foodsvc_publisher_thread_t *t,
    ngx_http_foodsvc_publish_op_t *op);
static void ngx_http_foodsvc_publisher_returned(ngx_http_foodsvc_publisher_thread_t *t,
    amqp_basic_properties_t *properties);
static void ngx_http_foodsvc_publisher_channel_close(ngx_http_foodsvc_publisher_thread_t *t,
    amqp_channel_close_t *close);


void
ngx_http_foodsvc_publisher_drain(ngx_http_foodsvc_publisher_thread_t *t)
{
    int             rc;
    amqp_frame_t    frame;
    struct timeval  now;

    while (!t->lost) {

        now.tv_sec = 0;
        now.tv_usec = 0;

        /* sends a heartbeat when one is due, so it may hang as a publish may */

        ngx_http_foodsvc_publisher_enter(t);
        rc = amqp_simple_wait_frame_noblock(t->conn, &frame, &now);
        ngx_http_foodsvc_publisher_leave(t);

        if (rc == AMQP_STATUS_TIMEOUT) {
            return;
        }

        if (rc != AMQP_STATUS_OK) {
            ngx_http_foodsvc_publisher_fail(t, "%s", amqp_error_string2(rc));
            return;
        }

        ngx_http_foodsvc_publisher_frame(t, &frame);

        /* of all channels, 0 too, that have no frame queued */

        amqp_maybe_release_buffers(t->conn);
    }
}


static void
ngx_http_foodsvc_publisher_frame(ngx_http_foodsvc_publisher_thread_t *t, amqp_frame_t *frame)
{
    if (frame->channel == 0) {
        if (frame->frame_type == AMQP_FRAME_METHOD) {
            ngx_http_foodsvc_publisher_connection_method(t, &frame->payload.method);
        }

        return;
    }

    switch (frame->frame_type) {

    case AMQP_FRAME_METHOD:
        ngx_http_foodsvc_publisher_method(t, &frame->payload.method);
        break;

    case AMQP_FRAME_HEADER:
        if (t->returning) {
            t->returning = 0;
            t->skip = frame->payload.properties.body_size;
            ngx_http_foodsvc_publisher_returned(t, frame->payload.properties.decoded);
        }
        break;

    case AMQP_FRAME_BODY:
        t->skip -= ngx_min(t->skip, frame->payload.body_fragment.len);
        break;
    }
}


static void
ngx_http_foodsvc_publisher_connection_method(ngx_http_foodsvc_publisher_thread_t *t, amqp_method_t *method)
{
    amqp_connection_close_t     *close;
    amqp_connection_close_ok_t   close_ok;

    switch (method->id) {

    case AMQP_CONNECTION_CLOSE_METHOD:
        close = method->decoded;
        ngx_http_foodsvc_publisher_fail(t, "closed by the broker: %d %.*s", close->reply_code,
                                        (int) close->reply_text.len, (char *) close->reply_text.bytes);

        ngx_memzero(&close_ok, sizeof(close_ok));

        ngx_http_foodsvc_publisher_enter(t);
        (void) amqp_send_method(t->conn, 0, AMQP_CONNECTION_CLOSE_OK_METHOD, &close_ok);
        ngx_http_foodsvc_publisher_leave(t);
        break;

    case AMQP_CONNECTION_BLOCKED_METHOD:
        t->blocked = 1;
        ngx_http_foodsvc_publisher_say(t, NGX_LOG_ERR, "the broker takes no messages (memory or disk): waiting");
        break;

    case AMQP_CONNECTION_UNBLOCKED_METHOD:
        t->blocked = 0;
        ngx_http_foodsvc_publisher_say(t, NGX_LOG_NOTICE, "the broker takes messages again");
        break;
    }
}


static void
ngx_http_foodsvc_publisher_method(ngx_http_foodsvc_publisher_thread_t *t, amqp_method_t *method)
{
    ngx_queue_t        *q;
    amqp_basic_ack_t   *ack;
    amqp_basic_nack_t  *nack;

    switch (method->id) {

    case AMQP_BASIC_ACK_METHOD:
        ack = method->decoded;
        ngx_http_foodsvc_publisher_confirm(t, ack->delivery_tag, ack->multiple, 1);
        break;

    case AMQP_BASIC_NACK_METHOD:
        nack = method->decoded;
        ngx_http_foodsvc_publisher_confirm(t, nack->delivery_tag, nack->multiple, 0);
        break;

    case AMQP_BASIC_RETURN_METHOD:
        t->returning = 1;
        break;

    case AMQP_QUEUE_DECLARE_OK_METHOD:
        (void) ngx_http_foodsvc_publisher_declared(t);
        break;

    case AMQP_BASIC_QOS_OK_METHOD:
        if (!ngx_queue_empty(&t->checking)) {
            q = ngx_queue_head(&t->checking);
            ngx_http_foodsvc_publisher_complete(t,
                             (ngx_http_foodsvc_publish_op_t *) ngx_queue_data(q, ngx_http_foodsvc_op_t, queue),
                             NGX_HTTP_FOODSVC_PUBLISHED);
        }
        break;

    case AMQP_CHANNEL_CLOSE_METHOD:
        ngx_http_foodsvc_publisher_channel_close(t, method->decoded);
        break;
    }
}


static void
ngx_http_foodsvc_publisher_confirm(ngx_http_foodsvc_publisher_thread_t *t, uint64_t tag, ngx_uint_t multiple,
    ngx_uint_t taken)
{
    ngx_queue_t                    *q, *next;
    ngx_http_foodsvc_publish_op_t  *op;

    for (q = ngx_queue_head(&t->sent); q != ngx_queue_sentinel(&t->sent); q = next) {
        next = ngx_queue_next(q);
        op = (ngx_http_foodsvc_publish_op_t *) ngx_queue_data(q, ngx_http_foodsvc_op_t, queue);

        if (tag != 0 && op->tag > tag) {
            return;
        }

        if (multiple || op->tag == tag) {
            ngx_http_foodsvc_publisher_confirmed(t, op, taken);
        }
    }
}


static void
ngx_http_foodsvc_publisher_confirmed(ngx_http_foodsvc_publisher_thread_t *t, ngx_http_foodsvc_publish_op_t *op,
    ngx_uint_t taken)
{
    ngx_http_foodsvc_publisher_name_t  *name;

    t->nsent--;

    if (taken && !op->returned) {
        ngx_http_foodsvc_publisher_complete(t, op, NGX_HTTP_FOODSVC_PUBLISHED);
        return;
    }

    if (!taken) {
        ngx_http_foodsvc_publisher_say(t, NGX_LOG_WARN, "queue \"%.200s\" refused a message, sending it again",
                                       op->queue);
        t->pause = ngx_http_foodsvc_publisher_now() + NGX_HTTP_FOODSVC_PUBLISHER_PAUSE;
        ngx_http_foodsvc_publisher_again(t, op);
        return;
    }

    name = ngx_http_foodsvc_publisher_name(t, op->queue);

    if (++op->returns > NGX_HTTP_FOODSVC_PUBLISHER_RETURNS
        || (name && name->state == NGX_HTTP_FOODSVC_PUBLISHER_REFUSED))
    {
        ngx_http_foodsvc_publisher_say(t, NGX_LOG_ERR, "there is no queue \"%.200s\"", op->queue);
        ngx_http_foodsvc_publisher_complete(t, op, NGX_HTTP_FOODSVC_PUBLISH_AWAY);
        return;
    }

    /* sent before the name was declared last: that declaration is the answer to this return too */

    if (name && op->tag > name->since) {
        name->text[0] = '\0';
    }

    ngx_http_foodsvc_publisher_again(t, op);
}


static void
ngx_http_foodsvc_publisher_again(ngx_http_foodsvc_publisher_thread_t *t, ngx_http_foodsvc_publish_op_t *op)
{
    op->tag = 0;
    op->returned = 0;

    ngx_queue_remove(&op->op.queue);
    ngx_queue_insert_head(&t->waiting, &op->op.queue);
}


static void
ngx_http_foodsvc_publisher_returned(ngx_http_foodsvc_publisher_thread_t *t, amqp_basic_properties_t *properties)
{
    size_t                          len;
    ngx_queue_t                    *q;
    ngx_http_foodsvc_publish_op_t  *op;

    if (!(properties->_flags & AMQP_BASIC_MESSAGE_ID_FLAG)) {
        return;
    }

    len = properties->message_id.len;

    for (q = ngx_queue_head(&t->sent); q != ngx_queue_sentinel(&t->sent); q = ngx_queue_next(q)) {
        op = (ngx_http_foodsvc_publish_op_t *) ngx_queue_data(q, ngx_http_foodsvc_op_t, queue);

        if (!op->returned && ngx_strlen(op->message_id) == len
            && ngx_memcmp(op->message_id, properties->message_id.bytes, len) == 0)
        {
            op->returned = 1;
            return;
        }
    }
}


static void
ngx_http_foodsvc_publisher_channel_close(ngx_http_foodsvc_publisher_thread_t *t, amqp_channel_close_t *close)
{
    int                                 rc, code;
    ngx_uint_t                          declare;
    const char                         *queue;
    amqp_channel_close_ok_t             close_ok;
    ngx_http_foodsvc_publisher_name_t  *name;

    code = close->reply_code;
    declare = (((uint32_t) close->class_id << 16) | close->method_id) == AMQP_QUEUE_DECLARE_METHOD;
    queue = declare ? ngx_http_foodsvc_publisher_declared(t) : NULL;

    ngx_http_foodsvc_publisher_say(t, NGX_LOG_WARN, "channel closed: %d %.*s%s", code,
                                   (int) ngx_min(close->reply_text.len, 200), (char *) close->reply_text.bytes,
                                   (declare && code != 403) ? "; using the queue as it is" : "");

    name = queue ? ngx_http_foodsvc_publisher_name(t, queue) : NULL;

    if (name) {
        name->state = (code == 403) ? NGX_HTTP_FOODSVC_PUBLISHER_REFUSED : NGX_HTTP_FOODSVC_PUBLISHER_EXISTS;
        name->until = ngx_http_foodsvc_publisher_now() + NGX_HTTP_FOODSVC_PUBLISHER_REFUSE;

    } else {
        t->pause = ngx_http_foodsvc_publisher_now() + NGX_HTTP_FOODSVC_PUBLISHER_PAUSE;
    }

    /* the declarations behind it went down with the channel */

    while ((queue = ngx_http_foodsvc_publisher_declared(t)) != NULL) {
        name = ngx_http_foodsvc_publisher_name(t, queue);

        if (name && name->state == NGX_HTTP_FOODSVC_PUBLISHER_DECLARED) {
            name->text[0] = '\0';
        }
    }

    ngx_http_foodsvc_publisher_unsend(t);

    ngx_memzero(&close_ok, sizeof(close_ok));

    ngx_http_foodsvc_publisher_enter(t);
    rc = amqp_send_method(t->conn, NGX_HTTP_FOODSVC_PUBLISHER_CHANNEL, AMQP_CHANNEL_CLOSE_OK_METHOD, &close_ok);
    ngx_http_foodsvc_publisher_leave(t);

    if (rc != AMQP_STATUS_OK) {
        ngx_http_foodsvc_publisher_fail(t, "channel.close-ok: %s", amqp_error_string2(rc));
        return;
    }

    ngx_http_foodsvc_publisher_channel(t);
}
