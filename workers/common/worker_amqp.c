/*
 * The connection's life and the intake of frames.
 *
 * States: no `state` (waiting for next_try), or connected. Anything that goes wrong while connected only sets
 * `broken`; the connection is given up at the end of worker_amqp_run(), never under a caller's feet. Frames are taken
 * one by one without waiting, since amqp_read_message() would block for a body that is still on its way; buffers are
 * released after each frame, all its bytes being copied by then.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "foodsvc_names.h"
#include "worker_amqp_state.h"
#include "worker_log.h"

#define BACKOFF_FIRST   100     /* ms */
#define BACKOFF_LAST    5000
#define MISDECLARED_AGAIN   60000   /* ms between two lines about it */
#define FRAMES_MAX      4096    /* in one run, so that the caller's other work comes to its turn */


static char *copied(const char *text, bool *ok)
{
    char  *copy = text ? strdup(text) : NULL;

    *ok = *ok && (text == NULL || copy);
    return copy;
}


worker_amqp_t *worker_amqp_open(const worker_amqp_conf_t *conf)
{
    worker_amqp_t  *amqp = calloc(1, sizeof(*amqp));
    char            err[WORKER_AMQP_REASON];
    bool            ok = true;

    if (amqp == NULL || !worker_amqp_url_check(conf->url, err, sizeof(err))) {
        free(amqp);
        return NULL;
    }
    amqp->conf = *conf;
    amqp->conf.url = copied(conf->url, &ok);
    amqp->conf.ca_file = copied(conf->ca_file, &ok);
    amqp->conf.consume = copied(conf->consume, &ok);
    amqp->backoff = BACKOFF_FIRST;
    if (!ok) {
        worker_amqp_close(amqp);
        return NULL;
    }
    return amqp;
}


void worker_amqp_close(worker_amqp_t *amqp)
{
    if (amqp == NULL) {
        return;
    }
    if (amqp->state && !amqp->broken) {
        amqp_channel_close(amqp->state, WORKER_AMQP_CHANNEL, AMQP_REPLY_SUCCESS);
        amqp_connection_close(amqp->state, AMQP_REPLY_SUCCESS);
    }
    if (amqp->state) {
        amqp_destroy_connection(amqp->state);
        amqp->state = NULL;
    }
    worker_amqp_lost(amqp);
    free(amqp->message);
    free(amqp->flights);
    for (size_t i = 0; i < amqp->nqueues; i++) {
        free(amqp->queues[i]);
    }
    free(amqp->queues);
    free((char *) amqp->conf.url);
    free((char *) amqp->conf.ca_file);
    free((char *) amqp->conf.consume);
    free(amqp);
}


/* --- the connection --- */

void worker_amqp_break(worker_amqp_t *amqp, const char *why)
{
    if (amqp->state == NULL) {
        return;
    }
    if (!amqp->broken) {
        worker_log(WORKER_LOG_WARN, "lost the connection to rabbitmq", worker_text("reason", why));
    }
    amqp->broken = true;
}


/* The next attempt, with up to a quarter of jitter so that many workers don't come back at once. */
static void later(worker_amqp_t *amqp)
{
    amqp->next_try = foodsvc_time_monotonic() + amqp->backoff + random() % (amqp->backoff / 4 + 1);
    amqp->backoff = amqp->backoff * 2 > BACKOFF_LAST ? BACKOFF_LAST : amqp->backoff * 2;
}


void worker_amqp_drop(worker_amqp_t *amqp)
{
    amqp_destroy_connection(amqp->state);
    amqp->state = NULL;
    amqp->broken = false;
    free(amqp->message);
    amqp->message = NULL;
    later(amqp);
    worker_amqp_lost(amqp);
    if (amqp->conf.down) {
        amqp->conf.down(amqp->conf.ctx);
    }
}


bool worker_amqp_dial(worker_amqp_t *amqp, char *err, size_t errlen)
{
    if (!worker_amqp_connect(amqp, err, errlen)) {
        return false;
    }
    amqp->connection++;
    amqp->next_publish = 1;
    amqp->blocked = false;
    amqp->header_next = amqp->discard = false;
    amqp->away_logged = false;
    amqp->misdeclared_next = 0;
    amqp->last_run = foodsvc_time_monotonic();
    worker_log(WORKER_LOG_INFO, "connected to rabbitmq", worker_int("connection", amqp->connection));
    if (amqp->conf.up) {
        amqp->conf.up(amqp->conf.ctx);
    }
    return true;
}


/* That does not pass by itself, so it is said again and again. */
static void log_misdeclared(worker_amqp_t *amqp, const char *reason)
{
    char     todo[WORKER_AMQP_QUEUE_NAME + 128];
    int64_t  now = foodsvc_time_monotonic();

    if (now < amqp->misdeclared_next) {
        return;
    }
    amqp->misdeclared_next = now + MISDECLARED_AGAIN;
    if (strstr(reason, "inequivalent")) {
        snprintf(todo, sizeof(todo), "let it run empty, then: rabbitmqctl delete_queue --if-empty %s",
                 amqp->misdeclared);
    } else {
        snprintf(todo, sizeof(todo), "use RabbitMQ 3.10 or later, with its feature flags quorum_queue and "
                 "stream_queue enabled");
    }
    worker_log(WORKER_LOG_ERROR, "rabbitmq refuses a queue as it has to be, no event is taken until that is mended",
               worker_text("queue", amqp->misdeclared), worker_text("do", todo), worker_text("reason", reason));
}


static void connect_now(worker_amqp_t *amqp)
{
    char  err[WORKER_AMQP_REASON];

    if (worker_amqp_dial(amqp, err, sizeof(err))) {
        return;
    }
    if (amqp->misdeclared[0]) {
        log_misdeclared(amqp, err);
    } else if (!amqp->away_logged) {
        worker_log(WORKER_LOG_WARN, "rabbitmq is away, trying again", worker_text("reason", err));
        amqp->away_logged = true;
    }
    later(amqp);
}


int worker_amqp_fd(const worker_amqp_t *amqp)
{
    return amqp->state ? amqp_get_sockfd(amqp->state) : -1;
}


int64_t worker_amqp_wait(const worker_amqp_t *amqp)
{
    int64_t  wait = amqp->next_try - foodsvc_time_monotonic();

    if (amqp->state == NULL) {
        return wait > 0 ? wait : 0;
    }
    if (amqp->broken || amqp_frames_enqueued(amqp->state) || amqp_data_in_buffer(amqp->state)) {
        return 0;
    }
    return amqp->conf.heartbeat * 1000 / 4;     /* the library sends heartbeats while it looks for frames */
}


bool worker_amqp_connected(const worker_amqp_t *amqp)
{
    return amqp->state && !amqp->broken;
}


uint64_t worker_amqp_connection(const worker_amqp_t *amqp)
{
    return amqp->connection;
}


/* --- frames in --- */

static const amqp_field_value_t *header_find(const amqp_basic_properties_t *properties, const char *name)
{
    const amqp_table_t  *headers = &properties->headers;

    for (int i = 0; (properties->_flags & AMQP_BASIC_HEADERS_FLAG) && i < headers->num_entries; i++) {
        if (headers->entries[i].key.len == strlen(name)
            && memcmp(headers->entries[i].key.bytes, name, strlen(name)) == 0)
        {
            return &headers->entries[i].value;
        }
    }
    return NULL;
}


static void header_text(const amqp_basic_properties_t *properties, const char *name, char *text, size_t size)
{
    const amqp_field_value_t  *value = header_find(properties, name);

    if (value && (value->kind == AMQP_FIELD_KIND_UTF8 || value->kind == AMQP_FIELD_KIND_BYTES)) {
        snprintf(text, size, "%.*s", (int) value->value.bytes.len, (const char *) value->value.bytes.bytes);
    }
}


static int64_t header_int(const amqp_basic_properties_t *properties, const char *name)
{
    const amqp_field_value_t  *value = header_find(properties, name);
    int64_t                    n = 0;

    switch (value ? value->kind : 0) {
    case AMQP_FIELD_KIND_I8: n = value->value.u8 <= INT8_MAX ? value->value.u8 : 0; break;
    case AMQP_FIELD_KIND_I16: n = value->value.i16; break;
    case AMQP_FIELD_KIND_I32: n = value->value.i32; break;
    case AMQP_FIELD_KIND_I64: n = value->value.i64; break;
    default: break;
    }
    return n < 0 || n > 1000000 ? 0 : n;
}


void worker_amqp_read_headers(const amqp_basic_properties_t *properties, worker_amqp_message_t *message)
{
    message->attempts = header_int(properties, FOODSVC_AMQP_ATTEMPTS);
    header_text(properties, FOODSVC_AMQP_REASON, message->reason, sizeof(message->reason));
    header_text(properties, FOODSVC_AMQP_FIRST, message->first, sizeof(message->first));
}


/* False: no memory; the connection is given up, and the message comes again. */
static bool take_header(worker_amqp_t *amqp, const amqp_frame_t *frame)
{
    const amqp_basic_properties_t  *properties = frame->payload.properties.decoded;
    amqp_bytes_t                    raw = frame->payload.properties.raw;
    worker_amqp_message_t          *message;
    char                           *bytes;

    amqp->header_next = false;
    amqp->size = frame->payload.properties.body_size;
    amqp->got = 0;
    if (amqp->discard) {
        return true;
    }
    message = calloc(1, sizeof(*message) + raw.len + amqp->size + 1);
    if (message == NULL) {
        return false;
    }
    bytes = (char *) (message + 1);
    memcpy(bytes, raw.bytes, raw.len);
    message->properties = bytes;
    message->properties_len = raw.len;
    message->body = bytes + raw.len;
    message->len = amqp->size;
    message->tag = amqp->tag;
    message->connection = amqp->connection;
    message->redelivered = amqp->redelivered;
    worker_amqp_read_headers(properties, message);
    amqp->message = message;
    return true;
}


static void take_body(worker_amqp_t *amqp, const amqp_frame_t *frame)
{
    amqp_bytes_t  part = frame->payload.body_fragment;

    if (amqp->message && part.len <= amqp->size - amqp->got) {
        memcpy((char *) amqp->message->body + amqp->got, part.bytes, part.len);
    }
    amqp->got += part.len;
}


static void message_ready(worker_amqp_t *amqp)
{
    worker_amqp_message_t  *message = amqp->message;

    amqp->message = NULL;
    amqp->discard = false;
    if (message == NULL) {
        return;
    }
    if (amqp->stopped) {
        free(message);
        return;
    }
    amqp->conf.message(amqp->conf.ctx, message);
}


static void take_close(worker_amqp_t *amqp, int code, amqp_bytes_t text)
{
    char  why[WORKER_AMQP_REASON];

    snprintf(why, sizeof(why), "%d %.*s", code, (int) text.len, (const char *) text.bytes);
    worker_amqp_break(amqp, why);
}


static void take_method(worker_amqp_t *amqp, const amqp_method_t *method)
{
    const amqp_basic_deliver_t  *deliver = method->decoded;
    const amqp_basic_return_t   *back = method->decoded;
    const amqp_basic_ack_t      *ack = method->decoded;
    const amqp_basic_nack_t     *nack = method->decoded;

    switch (method->id) {
    case AMQP_BASIC_DELIVER_METHOD:
        amqp->tag = deliver->delivery_tag;
        amqp->redelivered = deliver->redelivered;
        amqp->header_next = true;
        break;
    case AMQP_BASIC_RETURN_METHOD:
        worker_amqp_returned(amqp, back->routing_key.bytes, back->routing_key.len);
        amqp->header_next = amqp->discard = true;
        break;
    case AMQP_BASIC_ACK_METHOD:
        worker_amqp_confirmed(amqp, ack->delivery_tag, ack->multiple, WORKER_AMQP_CONFIRMED);
        break;
    case AMQP_BASIC_NACK_METHOD:
        worker_amqp_confirmed(amqp, nack->delivery_tag, nack->multiple, WORKER_AMQP_REFUSED);
        break;
    case AMQP_BASIC_CANCEL_METHOD:
        worker_amqp_break(amqp, "the broker cancelled the consumer (was the queue deleted?)");
        break;
    case AMQP_CHANNEL_CLOSE_METHOD:
        take_close(amqp, ((amqp_channel_close_t *) method->decoded)->reply_code,
                   ((amqp_channel_close_t *) method->decoded)->reply_text);
        break;
    case AMQP_CONNECTION_CLOSE_METHOD:
        take_close(amqp, ((amqp_connection_close_t *) method->decoded)->reply_code,
                   ((amqp_connection_close_t *) method->decoded)->reply_text);
        break;
    case AMQP_CONNECTION_BLOCKED_METHOD:
        worker_log(WORKER_LOG_WARN, "rabbitmq takes no messages at present");
        amqp->blocked = true;
        break;
    case AMQP_CONNECTION_UNBLOCKED_METHOD:
        worker_log(WORKER_LOG_INFO, "rabbitmq takes messages again");
        amqp->blocked = false;
        break;
    default:
        break;
    }
}


static void take_frame(worker_amqp_t *amqp, const amqp_frame_t *frame)
{
    if (frame->frame_type == AMQP_FRAME_METHOD) {
        take_method(amqp, &frame->payload.method);
        return;
    }
    if (frame->frame_type == AMQP_FRAME_HEADER && amqp->header_next) {
        if (!take_header(amqp, frame)) {
            worker_amqp_break(amqp, "no memory for a message");
            return;
        }
    } else if (frame->frame_type == AMQP_FRAME_BODY && (amqp->message || amqp->discard)) {
        take_body(amqp, frame);
    } else {
        return;
    }
    if (amqp->got >= amqp->size) {
        message_ready(amqp);
    }
}


void worker_amqp_run(worker_amqp_t *amqp)
{
    struct timeval  now = { 0, 0 };
    amqp_frame_t    frame;
    int             rc;

    if (amqp->state == NULL && foodsvc_time_monotonic() >= amqp->next_try) {
        connect_now(amqp);
    }
    for (int i = 0; amqp->state && !amqp->broken && i < FRAMES_MAX; i++) {
        rc = amqp_simple_wait_frame_noblock(amqp->state, &frame, &now);
        if (rc == AMQP_STATUS_TIMEOUT) {
            break;
        }
        if (rc != AMQP_STATUS_OK) {
            worker_amqp_break(amqp, amqp_error_string2(rc));
            break;
        }
        take_frame(amqp, &frame);
        amqp->backoff = BACKOFF_FIRST;      /* it does talk to us: what came before is over */
        amqp_maybe_release_buffers(amqp->state);
    }
    amqp->last_run = foodsvc_time_monotonic();
    if (amqp->state && amqp->broken) {
        worker_amqp_drop(amqp);
    }
}


bool worker_amqp_ack(worker_amqp_t *amqp, uint64_t tag, bool multiple)
{
    int  rc;

    if (!worker_amqp_connected(amqp) || !worker_amqp_writable(amqp)) {
        return false;
    }
    rc = amqp_basic_ack(amqp->state, WORKER_AMQP_CHANNEL, tag, multiple);
    if (rc != AMQP_STATUS_OK) {
        worker_amqp_break(amqp, amqp_error_string2(rc));
        return false;
    }
    return true;
}


void worker_amqp_stop(worker_amqp_t *amqp)
{
    if (amqp->stopped) {
        return;
    }
    amqp->stopped = true;
    if (worker_amqp_connected(amqp) && amqp->conf.consume && worker_amqp_writable(amqp)) {
        amqp_basic_cancel(amqp->state, WORKER_AMQP_CHANNEL, amqp_cstring_bytes("foodsvc"));
        if (amqp_get_rpc_reply(amqp->state).reply_type != AMQP_RESPONSE_NORMAL) {
            worker_amqp_break(amqp, "no answer to basic.cancel");
        }
    }
}
