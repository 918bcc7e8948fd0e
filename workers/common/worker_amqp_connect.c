/*
 * Making the connection. rabbitmq-c can wait for ever where the peer is silent, so the kernel watches instead: with
 * TCP_USER_TIMEOUT and keepalive a dead or stuck peer becomes an error of the socket, which ends any wait in the
 * library.
 *
 * What is parked has to come back, whenever the broker is killed. By itself it dead-letters at most once: a message
 * whose time is over is forgotten in the retry queue before it is on the disk in the other one. So the retry queues are
 * quorum queues that keep it until the other one has confirmed it (at-least-once, RabbitMQ 3.10). A queue that is there
 * with other arguments is left to a person, since only an empty one may be deleted.
 */
#include <amqp_ssl_socket.h>
#include <amqp_tcp_socket.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "foodsvc_codec.h"
#include "foodsvc_names.h"
#include "worker_amqp_state.h"

#define SIDE_CHANNEL    2
#define RETRY_ARGUMENTS 6

const int worker_amqp_delays[] = { 1, 5, 30, 120, 300, 0 };


bool worker_amqp_url_check(const char *url, char *err, size_t errlen)
{
    struct amqp_connection_info  info;
    char                        *copy = strdup(url);
    bool                         ok;

    amqp_default_connection_info(&info);
    ok = copy && amqp_parse_url(copy, &info) == AMQP_STATUS_OK;
    if (copy == NULL) {
        snprintf(err, errlen, FOODSVC_NO_MEMORY);
    } else if (!ok) {
        snprintf(err, errlen, "not an AMQP url; write amqp://host[:port][/vhost] (or amqps://), with "
                 "user:password@ ahead of the host");
    }
    free(copy);
    return ok;
}


bool worker_amqp_reply_ok(amqp_rpc_reply_t reply, const char *what, char *err, size_t errlen)
{
    const amqp_connection_close_t  *closed;
    const amqp_channel_close_t     *channel;

    switch (reply.reply_type) {
    case AMQP_RESPONSE_NORMAL:
        return true;
    case AMQP_RESPONSE_SERVER_EXCEPTION:
        if (reply.reply.id == AMQP_CONNECTION_CLOSE_METHOD) {
            closed = reply.reply.decoded;
            snprintf(err, errlen, "%s: %d %.*s", what, closed->reply_code, (int) closed->reply_text.len,
                     (const char *) closed->reply_text.bytes);
        } else if (reply.reply.id == AMQP_CHANNEL_CLOSE_METHOD) {
            channel = reply.reply.decoded;
            snprintf(err, errlen, "%s: %d %.*s", what, channel->reply_code, (int) channel->reply_text.len,
                     (const char *) channel->reply_text.bytes);
        } else {
            snprintf(err, errlen, "%s: an unexpected answer", what);
        }
        return false;
    case AMQP_RESPONSE_LIBRARY_EXCEPTION:
        snprintf(err, errlen, "%s: %s", what, amqp_error_string2(reply.library_error));
        return false;
    default:
        snprintf(err, errlen, "%s: the broker closed the connection", what);
        return false;
    }
}


static struct timeval to_timeval(int64_t ms)
{
    return (struct timeval) { .tv_sec = ms / 1000, .tv_usec = ms % 1000 * 1000 };
}


static bool open_socket(worker_amqp_t *amqp, const struct amqp_connection_info *info, char *err, size_t errlen)
{
    struct timeval   timeout = to_timeval(amqp->conf.timeout_ms);
    unsigned         user_timeout = (unsigned) (amqp->conf.heartbeat * 1000 + amqp->conf.timeout_ms);
    int              on = 1, idle = 10, interval = 5, count = 3, fd, rc;
    amqp_socket_t   *socket;

    socket = info->ssl ? amqp_ssl_socket_new(amqp->state) : amqp_tcp_socket_new(amqp->state);
    if (socket == NULL) {
        snprintf(err, errlen, "no memory for a socket");
        return false;
    }
    if (info->ssl && amqp->conf.ca_file && amqp_ssl_socket_set_cacert(socket, amqp->conf.ca_file) != AMQP_STATUS_OK) {
        snprintf(err, errlen, "cannot read the certificates in %s", amqp->conf.ca_file);
        return false;
    }
    /* The library by itself trusts nobody. */
    if (info->ssl && amqp->conf.ca_file == NULL
        && SSL_CTX_set_default_verify_paths(amqp_ssl_socket_get_context(socket)) != 1)
    {
        snprintf(err, errlen, "cannot find the system's certificates");
        return false;
    }
    rc = amqp_socket_open_noblock(socket, info->host, info->port, &timeout);
    if (rc != AMQP_STATUS_OK) {
        snprintf(err, errlen, "connect to %s:%d: %s", info->host, info->port, amqp_error_string2(rc));
        return false;
    }
    fd = amqp_get_sockfd(amqp->state);
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &user_timeout, sizeof(user_timeout));
    setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
    setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle, sizeof(idle));
    setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &interval, sizeof(interval));
    setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &count, sizeof(count));
    return true;
}


static bool login(worker_amqp_t *amqp, const struct amqp_connection_info *info, char *err, size_t errlen)
{
    static const char *const names[] = { "consumer_cancel_notify", "connection.blocked",
                                         "authentication_failure_close" };
    amqp_table_entry_t       capabilities[3], entry;
    amqp_table_t             properties = { .num_entries = 1, .entries = &entry };
    amqp_rpc_reply_t         reply;

    for (size_t i = 0; i < 3; i++) {
        capabilities[i].key = amqp_cstring_bytes(names[i]);
        capabilities[i].value.kind = AMQP_FIELD_KIND_BOOLEAN;
        capabilities[i].value.value.boolean = 1;
    }
    entry.key = amqp_cstring_bytes("capabilities");
    entry.value.kind = AMQP_FIELD_KIND_TABLE;
    entry.value.value.table.num_entries = 3;
    entry.value.value.table.entries = capabilities;

    /* A url that ends with the host's "/" means the default vhost, as in most clients. */
    reply = amqp_login_with_properties(amqp->state, info->vhost[0] ? info->vhost : "/", AMQP_DEFAULT_MAX_CHANNELS,
                                       AMQP_DEFAULT_FRAME_SIZE, amqp->conf.heartbeat, &properties,
                                       AMQP_SASL_METHOD_PLAIN, info->user, info->password);
    return worker_amqp_reply_ok(reply, "login", err, errlen);
}


static bool is_precondition_failed(amqp_rpc_reply_t reply)
{
    return reply.reply_type == AMQP_RESPONSE_SERVER_EXCEPTION && reply.reply.id == AMQP_CHANNEL_CLOSE_METHOD
           && ((amqp_channel_close_t *) reply.reply.decoded)->reply_code == AMQP_PRECONDITION_FAILED;
}


bool worker_amqp_declare_aside(worker_amqp_t *amqp, const char *queue, bool *usable, char *err, size_t errlen)
{
    amqp_channel_close_ok_t  ok = { 0 };
    amqp_rpc_reply_t         reply;

    amqp_channel_open(amqp->state, SIDE_CHANNEL);
    if (!worker_amqp_reply_ok(amqp_get_rpc_reply(amqp->state), "open a channel", err, errlen)) {
        return false;
    }
    amqp_queue_declare(amqp->state, SIDE_CHANNEL, amqp_cstring_bytes(queue), 0, 1, 0, 0, amqp_empty_table);
    reply = amqp_get_rpc_reply(amqp->state);
    if (reply.reply_type == AMQP_RESPONSE_SERVER_EXCEPTION && reply.reply.id == AMQP_CHANNEL_CLOSE_METHOD) {
        *usable = is_precondition_failed(reply);
        return amqp_send_method(amqp->state, SIDE_CHANNEL, AMQP_CHANNEL_CLOSE_OK_METHOD, &ok) == AMQP_STATUS_OK;
    }
    *usable = true;
    return worker_amqp_reply_ok(reply, "declare a queue", err, errlen)
           && worker_amqp_reply_ok(amqp_channel_close(amqp->state, SIDE_CHANNEL, AMQP_REPLY_SUCCESS),
                                   "close a channel", err, errlen);
}


/* A queue from which a message comes back to FOODSVC_QUEUE. Returns how many arguments it has. */
static int retry_arguments(amqp_table_entry_t *entries, int delay)
{
    static const char *const texts[][2] = {
        { "x-dead-letter-exchange", "" },
        { "x-dead-letter-routing-key", FOODSVC_QUEUE },
        { "x-queue-type", "quorum" },               /* a classic queue has no such strategy */
        { "x-dead-letter-strategy", "at-least-once" },
        { "x-overflow", "reject-publish" }          /* without it the strategy is not taken */
    };
    int  n = 0;

    entries[n].key = amqp_cstring_bytes("x-message-ttl");
    entries[n].value.kind = AMQP_FIELD_KIND_I32;
    entries[n++].value.value.i32 = delay * 1000;
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        entries[n].key = amqp_cstring_bytes(texts[i][0]);
        entries[n].value.kind = AMQP_FIELD_KIND_UTF8;
        entries[n++].value.value.bytes = amqp_cstring_bytes(texts[i][1]);
    }
    return n;
}


static bool declare(worker_amqp_t *amqp, const char *queue, int delay, char *err, size_t errlen)
{
    amqp_table_entry_t  entries[RETRY_ARGUMENTS];
    amqp_table_t        arguments = { .num_entries = delay ? retry_arguments(entries, delay) : 0, .entries = entries };
    amqp_rpc_reply_t    reply;
    char                what[WORKER_AMQP_QUEUE_NAME + 32];

    amqp_queue_declare(amqp->state, WORKER_AMQP_CHANNEL, amqp_cstring_bytes(queue), 0, 1, 0, 0, arguments);
    reply = amqp_get_rpc_reply(amqp->state);
    if (is_precondition_failed(reply)) {
        snprintf(amqp->misdeclared, sizeof(amqp->misdeclared), "%s", queue);
    }
    snprintf(what, sizeof(what), "declare queue %s", queue);
    return worker_amqp_reply_ok(reply, what, err, errlen);
}


bool worker_amqp_declare_all(worker_amqp_t *amqp, char *err, size_t errlen)
{
    char  name[WORKER_AMQP_QUEUE_NAME];
    bool  ok = true;

    if (amqp->conf.parking) {
        ok = declare(amqp, FOODSVC_QUEUE, 0, err, errlen) && declare(amqp, FOODSVC_QUEUE_DEAD, 0, err, errlen);
        for (size_t i = 0; ok && worker_amqp_delays[i]; i++) {
            snprintf(name, sizeof(name), FOODSVC_QUEUE_RETRY_PREFIX "%d", worker_amqp_delays[i]);
            ok = declare(amqp, name, worker_amqp_delays[i], err, errlen);
        }
    }
    if (ok && amqp->conf.consume && (!amqp->conf.parking || strcmp(amqp->conf.consume, FOODSVC_QUEUE) != 0)) {
        ok = declare(amqp, amqp->conf.consume, 0, err, errlen);
    }
    amqp->redeclare = amqp->redeclare && !ok;
    return ok;
}


static bool consume(worker_amqp_t *amqp, char *err, size_t errlen)
{
    if (amqp->conf.consume == NULL || amqp->stopped) {
        return true;
    }
    amqp_basic_qos(amqp->state, WORKER_AMQP_CHANNEL, 0, (uint16_t) amqp->conf.prefetch, 0);
    if (!worker_amqp_reply_ok(amqp_get_rpc_reply(amqp->state), "basic.qos", err, errlen)) {
        return false;
    }
    amqp_basic_consume(amqp->state, WORKER_AMQP_CHANNEL, amqp_cstring_bytes(amqp->conf.consume),
                       amqp_cstring_bytes("foodsvc"), 0, 0, 0, amqp_empty_table);
    return worker_amqp_reply_ok(amqp_get_rpc_reply(amqp->state), "basic.consume", err, errlen);
}


static bool open_channel(worker_amqp_t *amqp, char *err, size_t errlen)
{
    amqp_channel_open(amqp->state, WORKER_AMQP_CHANNEL);
    if (!worker_amqp_reply_ok(amqp_get_rpc_reply(amqp->state), "open a channel", err, errlen)) {
        return false;
    }
    amqp_confirm_select(amqp->state, WORKER_AMQP_CHANNEL);
    return worker_amqp_reply_ok(amqp_get_rpc_reply(amqp->state), "confirm.select", err, errlen);
}


bool worker_amqp_connect(worker_amqp_t *amqp, char *err, size_t errlen)
{
    struct timeval               timeout = to_timeval(amqp->conf.timeout_ms);
    struct amqp_connection_info  info;
    char                        *url = strdup(amqp->conf.url);
    bool                         ok;

    worker_amqp_forget(amqp);
    amqp->misdeclared[0] = '\0';
    amqp->state = url ? amqp_new_connection() : NULL;
    if (amqp->state == NULL) {
        snprintf(err, errlen, "no memory");
        free(url);
        return false;
    }
    amqp_set_handshake_timeout(amqp->state, &timeout);
    amqp_set_rpc_timeout(amqp->state, &timeout);
    amqp_default_connection_info(&info);
    ok = amqp_parse_url(url, &info) == AMQP_STATUS_OK && open_socket(amqp, &info, err, errlen)
         && login(amqp, &info, err, errlen) && open_channel(amqp, err, errlen)
         && worker_amqp_declare_all(amqp, err, errlen) && consume(amqp, err, errlen);
    free(url);
    if (!ok) {
        amqp_destroy_connection(amqp->state);
        amqp->state = NULL;
    }
    return ok;
}
