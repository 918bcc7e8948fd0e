/*
 * What the publisher's thread sends: declarations, messages, checks.
 *
 * Nothing is sent without poll() saying that the socket takes it: in rabbitmq-c 0.11 a publish into a full socket can
 * hang (a broker under its memory alarm does not read).
 *
 * A queue is declared (durable, no arguments) before its first message on a connection, without waiting for the
 * answer: the channel is in order, so the message may follow at once. The answers are matched by their order. What is
 * known of a name: DECLARED; EXISTS, it is there with other arguments and we use it as it is; REFUSED, we may not
 * declare it, then a message for it goes through if somebody else made it, and fails if not.
 */
#include "ngx_http_foodsvc_publisher_thread.h"

#include <poll.h>
#include <time.h>
#include "foodsvc_break.h"
#include "foodsvc_names.h"


static ngx_uint_t ngx_http_foodsvc_publisher_writable(ngx_http_foodsvc_publisher_thread_t *t);
static ngx_int_t ngx_http_foodsvc_publisher_declare(ngx_http_foodsvc_publisher_thread_t *t, const char *queue);
static void ngx_http_foodsvc_publisher_message(ngx_http_foodsvc_publisher_thread_t *t,
    ngx_http_foodsvc_publish_op_t *op);
static void ngx_http_foodsvc_publisher_checks(ngx_http_foodsvc_publisher_thread_t *t);


ngx_http_foodsvc_publisher_name_t *
ngx_http_foodsvc_publisher_name(ngx_http_foodsvc_publisher_thread_t *t, const char *queue)
{
    ngx_uint_t                          i;
    ngx_http_foodsvc_publisher_name_t  *name;

    for (i = 0; i < NGX_HTTP_FOODSVC_PUBLISHER_NAMES; i++) {
        name = &t->names[i];

        if (name->text[0] == '\0' || ngx_strcmp(name->text, queue) != 0) {
            continue;
        }

        if (name->state == NGX_HTTP_FOODSVC_PUBLISHER_REFUSED && name->until <= ngx_http_foodsvc_publisher_now()) {
            name->text[0] = '\0';
            return NULL;
        }

        return name;
    }

    return NULL;
}


const char *
ngx_http_foodsvc_publisher_declared(ngx_http_foodsvc_publisher_thread_t *t)
{
    const char  *queue;

    if (t->ndeclares == 0) {
        return NULL;
    }

    queue = t->declares[t->declares_head];
    t->declares_head = (t->declares_head + 1) % NGX_HTTP_FOODSVC_PUBLISHER_DECLARES;
    t->ndeclares--;

    return queue;
}


static ngx_uint_t
ngx_http_foodsvc_publisher_writable(ngx_http_foodsvc_publisher_thread_t *t)
{
    struct pollfd  fd;

    fd.fd = amqp_get_sockfd(t->conn);
    fd.events = POLLOUT;
    fd.revents = 0;

    t->stuffed = (poll(&fd, 1, 0) <= 0 || !(fd.revents & (POLLOUT|POLLERR|POLLHUP)));

    return !t->stuffed;
}


/* NGX_OK: the queue's messages may follow. NGX_AGAIN: later. NGX_ERROR: lost. */
static ngx_int_t
ngx_http_foodsvc_publisher_declare(ngx_http_foodsvc_publisher_thread_t *t, const char *queue)
{
    int                                 rc;
    ngx_uint_t                          tail;
    amqp_queue_declare_t                method;
    ngx_http_foodsvc_publisher_name_t  *name;

    if (ngx_http_foodsvc_publisher_name(t, queue)) {
        return NGX_OK;
    }

    if (t->ndeclares == NGX_HTTP_FOODSVC_PUBLISHER_DECLARES) {
        return NGX_AGAIN;
    }

    ngx_memzero(&method, sizeof(method));
    method.queue = amqp_cstring_bytes(queue);
    method.durable = 1;
    method.arguments = amqp_empty_table;

    ngx_http_foodsvc_publisher_enter(t);
    rc = amqp_send_method(t->conn, NGX_HTTP_FOODSVC_PUBLISHER_CHANNEL, AMQP_QUEUE_DECLARE_METHOD, &method);
    ngx_http_foodsvc_publisher_leave(t);

    if (rc != AMQP_STATUS_OK) {
        ngx_http_foodsvc_publisher_fail(t, "queue.declare: %s", amqp_error_string2(rc));
        return NGX_ERROR;
    }

    tail = (t->declares_head + t->ndeclares++) % NGX_HTTP_FOODSVC_PUBLISHER_DECLARES;
    ngx_cpystrn((u_char *) t->declares[tail], (u_char *) queue, sizeof(t->declares[tail]));

    /* the table is small: a name that is overwritten is declared again when it comes, which does no harm */

    name = &t->names[t->next_name];
    t->next_name = (t->next_name + 1) % NGX_HTTP_FOODSVC_PUBLISHER_NAMES;

    ngx_cpystrn((u_char *) name->text, (u_char *) queue, sizeof(name->text));
    name->state = NGX_HTTP_FOODSVC_PUBLISHER_DECLARED;
    name->since = t->tag;

    return ngx_http_foodsvc_publisher_writable(t) ? NGX_OK : NGX_AGAIN;
}


static void
ngx_http_foodsvc_publisher_message(ngx_http_foodsvc_publisher_thread_t *t, ngx_http_foodsvc_publish_op_t *op)
{
    int                      rc;
    amqp_bytes_t             body;
    amqp_basic_properties_t  properties;

    ngx_memzero(&properties, sizeof(properties));

    properties._flags = AMQP_BASIC_CONTENT_TYPE_FLAG | AMQP_BASIC_DELIVERY_MODE_FLAG | AMQP_BASIC_MESSAGE_ID_FLAG
                        | AMQP_BASIC_TIMESTAMP_FLAG | AMQP_BASIC_APP_ID_FLAG;
    properties.content_type = amqp_cstring_bytes(FOODSVC_CONTENT_TYPE);
    properties.delivery_mode = AMQP_DELIVERY_PERSISTENT;
    properties.message_id = amqp_cstring_bytes(op->message_id);
    properties.timestamp = (uint64_t) time(NULL);
    properties.app_id = amqp_cstring_bytes("foodsvc");

    body.bytes = op->body;
    body.len = op->len;

    ngx_http_foodsvc_publisher_enter(t);
    rc = amqp_basic_publish(t->conn, NGX_HTTP_FOODSVC_PUBLISHER_CHANNEL, amqp_empty_bytes,
                            amqp_cstring_bytes(op->queue), 1, 0, &properties, body);
    ngx_http_foodsvc_publisher_leave(t);

    if (rc != AMQP_STATUS_OK) {
        ngx_http_foodsvc_publisher_fail(t, "basic.publish: %s", amqp_error_string2(rc));
        return;
    }

    op->tag = ++t->tag;
    op->returned = 0;

    ngx_queue_remove(&op->op.queue);
    ngx_queue_insert_tail(&t->sent, &op->op.queue);

    if (foodsvc_break("unconfirmed-publish")) {
        ngx_http_foodsvc_publisher_complete(t, op, NGX_HTTP_FOODSVC_PUBLISHED);
        return;
    }

    t->nsent++;
}


/* A check is any round trip on the channel: basic.qos needs no permission and changes nothing for a publisher. */
static void
ngx_http_foodsvc_publisher_checks(ngx_http_foodsvc_publisher_thread_t *t)
{
    int                rc;
    ngx_queue_t       *q;
    amqp_basic_qos_t   method;

    while (!ngx_queue_empty(&t->checks)) {

        if (!ngx_http_foodsvc_publisher_writable(t)) {
            return;
        }

        ngx_memzero(&method, sizeof(method));

        ngx_http_foodsvc_publisher_enter(t);
        rc = amqp_send_method(t->conn, NGX_HTTP_FOODSVC_PUBLISHER_CHANNEL, AMQP_BASIC_QOS_METHOD, &method);
        ngx_http_foodsvc_publisher_leave(t);

        if (rc != AMQP_STATUS_OK) {
            ngx_http_foodsvc_publisher_fail(t, "basic.qos: %s", amqp_error_string2(rc));
            return;
        }

        q = ngx_queue_head(&t->checks);
        ngx_queue_remove(q);
        ngx_queue_insert_tail(&t->checking, q);
    }
}


void
ngx_http_foodsvc_publisher_send(ngx_http_foodsvc_publisher_thread_t *t)
{
    uint64_t                        now;
    ngx_int_t                       rc;
    ngx_http_foodsvc_publish_op_t  *op;

    t->stuffed = 0;

    if (t->blocked) {
        return;
    }

    ngx_http_foodsvc_publisher_checks(t);

    now = ngx_http_foodsvc_publisher_now();

    while (!t->lost && t->pause <= now && t->nsent < t->shared->conf->window && !ngx_queue_empty(&t->waiting)) {

        op = (ngx_http_foodsvc_publish_op_t *)
                 ngx_queue_data(ngx_queue_head(&t->waiting), ngx_http_foodsvc_op_t, queue);

        if (op->deadline <= now) {
            ngx_http_foodsvc_publisher_complete(t, op, NGX_HTTP_FOODSVC_PUBLISH_AWAY);
            continue;
        }

        if (!ngx_http_foodsvc_publisher_writable(t)) {
            return;
        }

        rc = ngx_http_foodsvc_publisher_declare(t, op->queue);
        if (rc != NGX_OK) {
            return;
        }

        ngx_http_foodsvc_publisher_message(t, op);
    }
}
