/*
 * Events to RabbitMQ: one thread that owns the connection. Others put events into a list and wake it up through an
 * eventfd.
 *
 * An event is in `waiting` (a list, first in first out) or in `sent` (published and not confirmed, in the order of
 * their delivery tags). A confirm takes it out of sent; when the connection is lost, all of sent goes back to the
 * head of waiting, so an event may arrive twice but never not at all. Messages are `mandatory`: where nobody has
 * declared the receiver's queue yet, the broker returns the message (before its confirm), and then the queue is
 * declared, durable and without arguments as everybody does, and the message sent again.
 *
 * rabbitmq-c's publish can block for ever on a full socket: incoming frames are drained first, and nothing is published
 * before poll() says that the socket takes it.
 */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/time.h>
#include <unistd.h>
#include <amqp.h>
#include <amqp_tcp_socket.h>
#include "foodsvc_names.h"
#include "foodsvc_time.h"
#include "sim.h"

#define SIM_WINDOW          128     /* published and not confirmed */
#define SIM_HEARTBEAT       10      /* s */
#define SIM_CONNECT_TIMEOUT 3       /* s */
#define SIM_RETRY_FIRST     200     /* ms */
#define SIM_RETRY_LAST      5000
#define SIM_DRAIN_TIME      1000    /* ms, at the end */

typedef struct sim_post_s {
    struct sim_post_s *next;
    sim_event_t        event;
    uint64_t           number;      /* in the order in which they came */
    uint64_t           tag;         /* while it is in sent */
    bool               returned;    /* its queue does not exist */
    bool               declare;     /* declare it first */
} sim_post_t;

struct sim_events_s {
    sim_t                     *sim;
    pthread_t                  thread;
    int                        wakeup;      /* eventfd */
    char                      *url;

    amqp_connection_state_t    conn;        /* the thread's own, as those below; NULL: not connected */
    int64_t                    retry_at, retry;     /* ms */
    uint64_t                   tag;         /* of the last published */
    sim_post_t                *sent, **sent_last;
    size_t                     nsent;
    bool                       returning;   /* the next header belongs to a returned message */
    bool                       complained;

    pthread_mutex_t            lock;        /* all below */
    sim_post_t                *waiting, **waiting_last;
    size_t                     nwaiting, unconfirmed;
    uint64_t                   posted, confirmed, resent;
    bool                       connected, stopping;
};

static void
sim_post_free(sim_post_t *post)
{
    if (post != NULL) {
        free(post->event.receiver);
        free(post->event.body);
        free(post);
    }
}

/* Back into waiting, where it stood: its number is among the lowest. */
static void
sim_events_back_locked(sim_events_t *events, sim_post_t *post)
{
    sim_post_t **place = &events->waiting;

    while (*place != NULL && (*place)->number < post->number) {
        place = &(*place)->next;
    }
    post->next = *place;
    if (*place == NULL) {
        events->waiting_last = &post->next;
    }
    *place = post;
    events->nwaiting++;
    events->unconfirmed--;
    events->resent++;
}

static void
sim_events_lost(sim_events_t *events, const char *why)
{
    sim_post_t *post;

    if (events->conn != NULL) {
        amqp_destroy_connection(events->conn);
        events->conn = NULL;
    }
    if (!events->complained) {
        worker_log(WORKER_LOG_WARN, "RabbitMQ is away; events wait", worker_text("reason", why));
        events->complained = true;
    }
    events->retry = events->retry == 0 ? SIM_RETRY_FIRST : events->retry * 2;
    events->retry = events->retry > SIM_RETRY_LAST ? SIM_RETRY_LAST : events->retry;
    events->retry_at = foodsvc_time_monotonic() + events->retry;
    events->returning = false;
    pthread_mutex_lock(&events->lock);
    events->connected = false;
    while ((post = events->sent) != NULL) {
        events->sent = post->next;
        post->returned = false;
        sim_events_back_locked(events, post);
    }
    events->sent_last = &events->sent;
    events->nsent = 0;
    pthread_mutex_unlock(&events->lock);
}

static bool
sim_events_login(amqp_connection_state_t conn, const struct amqp_connection_info *info)
{
    struct timeval  timeout = { SIM_CONNECT_TIMEOUT, 0 };
    amqp_socket_t  *sock = info->ssl ? NULL : amqp_tcp_socket_new(conn);

    return sock != NULL && amqp_set_handshake_timeout(conn, &timeout) == AMQP_STATUS_OK
           && amqp_set_rpc_timeout(conn, &timeout) == AMQP_STATUS_OK
           && amqp_socket_open_noblock(sock, info->host, info->port, &timeout) == AMQP_STATUS_OK
           /* "amqp://host/" stands for the default vhost with everybody but the library */
           && amqp_login(conn, info->vhost[0] == '\0' ? "/" : info->vhost, 1, 131072, SIM_HEARTBEAT,
                         AMQP_SASL_METHOD_PLAIN,
                         info->user, info->password).reply_type == AMQP_RESPONSE_NORMAL
           && amqp_channel_open(conn, 1) != NULL && amqp_confirm_select(conn, 1) != NULL;
}

static void
sim_events_connect(sim_events_t *events)
{
    struct amqp_connection_info  info;
    char                        *url = strdup(events->url);

    events->conn = url == NULL ? NULL : amqp_new_connection();
    if (events->conn == NULL || amqp_parse_url(url, &info) != AMQP_STATUS_OK
        || !sim_events_login(events->conn, &info))
    {
        sim_events_lost(events, "no connection, or the login was refused");
    } else {
        worker_log(WORKER_LOG_INFO, "RabbitMQ is connected");
        events->tag = 0;
        events->retry = 0;
        events->complained = false;
        pthread_mutex_lock(&events->lock);
        events->connected = true;
        pthread_mutex_unlock(&events->lock);
    }
    free(url);
}

static void
sim_events_settle(sim_events_t *events, sim_post_t *post, bool acked)
{
    if (acked && !post->returned) {
        if (post->event.order != NULL) {
            sim_order_confirmed(events->sim, post->event.order, post->event.status);
        }
        pthread_mutex_lock(&events->lock);
        events->confirmed++;
        events->unconfirmed--;
        pthread_mutex_unlock(&events->lock);
        sim_post_free(post);
        return;
    }
    post->declare = post->returned;
    post->returned = false;
    pthread_mutex_lock(&events->lock);
    sim_events_back_locked(events, post);
    pthread_mutex_unlock(&events->lock);
}

static void
sim_events_confirm(sim_events_t *events, uint64_t tag, bool multiple, bool acked)
{
    sim_post_t **place = &events->sent;
    sim_post_t  *post;

    while ((post = *place) != NULL && post->tag <= tag) {
        if (post->tag != tag && !multiple) {
            place = &post->next;
            continue;
        }
        *place = post->next;
        if (post->next == NULL) {
            events->sent_last = place;
        }
        events->nsent--;
        sim_events_settle(events, post, acked);
    }
}

/* A message came back; its header, which carries the message_id, follows. */
static void
sim_events_returned(sim_events_t *events, const amqp_basic_properties_t *properties)
{
    for (sim_post_t *post = events->sent; post != NULL; post = post->next) {
        if ((properties->_flags & AMQP_BASIC_MESSAGE_ID_FLAG)
            && properties->message_id.len == strlen(post->event.message_id)
            && memcmp(properties->message_id.bytes, post->event.message_id, properties->message_id.len) == 0)
        {
            post->returned = true;
        }
    }
}

/* False: the connection is lost. */
static bool
sim_events_frame(sim_events_t *events, const amqp_frame_t *frame)
{
    if (frame->frame_type == AMQP_FRAME_HEADER) {
        if (events->returning) {
            sim_events_returned(events, frame->payload.properties.decoded);
        }
        events->returning = false;
        return true;
    }
    if (frame->frame_type != AMQP_FRAME_METHOD) {
        return true;
    }
    switch (frame->payload.method.id) {
    case AMQP_BASIC_ACK_METHOD: {
        const amqp_basic_ack_t *ack = frame->payload.method.decoded;

        sim_events_confirm(events, ack->delivery_tag, ack->multiple, true);
        return true;
    }
    case AMQP_BASIC_NACK_METHOD: {
        const amqp_basic_nack_t *nack = frame->payload.method.decoded;

        sim_events_confirm(events, nack->delivery_tag, nack->multiple, false);
        return true;
    }
    case AMQP_BASIC_RETURN_METHOD:
        events->returning = true;
        return true;
    case AMQP_CHANNEL_CLOSE_METHOD:
    case AMQP_CONNECTION_CLOSE_METHOD:
        return false;
    default:
        return true;
    }
}

/* Handles what has come. False: the connection is lost. */
static bool
sim_events_drain(sim_events_t *events)
{
    const struct timeval  none = { 0, 0 };
    amqp_frame_t          frame;
    int                   rc;

    for ( ;; ) {
        amqp_maybe_release_buffers(events->conn);
        rc = amqp_simple_wait_frame_noblock(events->conn, &frame, &none);
        if (rc == AMQP_STATUS_TIMEOUT) {
            return true;
        }
        if (rc != AMQP_STATUS_OK || !sim_events_frame(events, &frame)) {
            return false;
        }
    }
}

static bool
sim_events_writable(sim_events_t *events)
{
    struct pollfd fd = { amqp_get_sockfd(events->conn), POLLOUT, 0 };

    return poll(&fd, 1, 0) == 1 && (fd.revents & POLLOUT);
}

static bool
sim_events_publish(sim_events_t *events, sim_post_t *post)
{
    amqp_basic_properties_t properties = {
        ._flags = AMQP_BASIC_CONTENT_TYPE_FLAG | AMQP_BASIC_DELIVERY_MODE_FLAG | AMQP_BASIC_MESSAGE_ID_FLAG,
        .content_type = amqp_cstring_bytes(FOODSVC_CONTENT_TYPE),
        .delivery_mode = AMQP_DELIVERY_PERSISTENT,
        .message_id = amqp_cstring_bytes(post->event.message_id)
    };
    amqp_bytes_t queue = amqp_cstring_bytes(post->event.receiver);
    amqp_bytes_t body = { post->event.len, post->event.body };

    if (post->declare && amqp_queue_declare(events->conn, 1, queue, 0, 1, 0, 0, amqp_empty_table) == NULL) {
        return false;
    }
    post->declare = false;
    return amqp_basic_publish(events->conn, 1, amqp_empty_bytes, queue, 1, 0, &properties, body) == AMQP_STATUS_OK;
}

/* Takes the next event that is still wanted. */
static sim_post_t *
sim_events_next(sim_events_t *events)
{
    sim_post_t *post;

    pthread_mutex_lock(&events->lock);
    while ((post = events->waiting) != NULL) {
        events->waiting = post->next;
        events->nwaiting--;
        if (post->next == NULL) {
            events->waiting_last = &events->waiting;
        }
        if (post->event.unless == NULL || !atomic_load(post->event.unless)) {
            events->unconfirmed++;
            break;
        }
        sim_post_free(post);
    }
    pthread_mutex_unlock(&events->lock);
    return post;
}

/* False: the connection is lost. */
static bool
sim_events_publish_waiting(sim_events_t *events)
{
    sim_post_t *post;

    while (events->nsent < SIM_WINDOW) {
        if (!sim_events_drain(events)) {
            return false;
        }
        if (!sim_events_writable(events) || (post = sim_events_next(events)) == NULL) {
            break;
        }
        post->tag = ++events->tag;
        post->next = NULL;
        *events->sent_last = post;      /* before it is published: if that fails it comes back from there */
        events->sent_last = &post->next;
        events->nsent++;
        if (!sim_events_publish(events, post)) {
            return false;
        }
    }
    return true;
}

/* Until there is something to do, or a second is over. */
static void
sim_events_wait(sim_events_t *events)
{
    struct pollfd  fds[2] = { { events->wakeup, POLLIN, 0 }, { -1, POLLIN, 0 } };
    int64_t        left = 1000;
    uint64_t       n;
    bool           more;

    pthread_mutex_lock(&events->lock);
    more = events->waiting != NULL && events->nsent < SIM_WINDOW;
    pthread_mutex_unlock(&events->lock);
    if (events->conn != NULL) {
        fds[1].fd = amqp_get_sockfd(events->conn);
        fds[1].events = more ? POLLIN | POLLOUT : POLLIN;
    } else {
        left = events->retry_at - foodsvc_time_monotonic();
        left = left < 1 ? 1 : left;
    }
    if (poll(fds, 2, (int) left) > 0 && (fds[0].revents & POLLIN) && read(events->wakeup, &n, sizeof(n)) < 0) {
        worker_log(WORKER_LOG_ERROR, "eventfd", worker_text("error", strerror(errno)));
    }
}

/* True: the simulator ends, and what can still be confirmed is confirmed or its time is over. */
static bool
sim_events_ends(sim_events_t *events, int64_t *deadline)
{
    bool ends;

    pthread_mutex_lock(&events->lock);
    if (events->stopping && *deadline == 0) {
        *deadline = foodsvc_time_monotonic() + SIM_DRAIN_TIME;
    }
    ends = events->stopping && (!events->connected || (events->waiting == NULL && events->unconfirmed == 0)
                                || foodsvc_time_monotonic() >= *deadline);
    pthread_mutex_unlock(&events->lock);
    return ends;
}

static void *
sim_events_run(void *arg)
{
    sim_events_t *events = arg;
    int64_t       deadline = 0;

    while (!sim_events_ends(events, &deadline)) {
        if (events->conn == NULL && foodsvc_time_monotonic() >= events->retry_at) {
            sim_events_connect(events);
        }
        if (events->conn != NULL && (!sim_events_drain(events) || !sim_events_publish_waiting(events))) {
            sim_events_lost(events, "the connection broke");
        }
        sim_events_wait(events);
    }
    if (events->conn != NULL) {
        amqp_connection_close(events->conn, AMQP_REPLY_SUCCESS);
        amqp_destroy_connection(events->conn);
    }
    return NULL;
}

sim_events_t *
sim_events_start(sim_t *sim, const char *url, char *err, size_t errlen)
{
    struct amqp_connection_info  info;
    sim_events_t                *events = calloc(1, sizeof(*events));
    char                        *copy = strdup(url);
    bool                         good = copy != NULL && amqp_parse_url(copy, &info) == AMQP_STATUS_OK && !info.ssl;

    free(copy);
    if (events == NULL || !good) {
        snprintf(err, errlen, "amqp_url must be like amqp://user:password@127.0.0.1:5672/");
        free(events);
        return NULL;
    }
    events->sim = sim;
    events->url = strdup(url);
    events->wakeup = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    events->sent_last = &events->sent;
    events->waiting_last = &events->waiting;
    pthread_mutex_init(&events->lock, NULL);
    if (events->url == NULL || events->wakeup < 0 || pthread_create(&events->thread, NULL, sim_events_run,
                                                                    events) != 0) {
        snprintf(err, errlen, "the publisher's thread could not be started");
        free(events->url);
        free(events);
        return NULL;
    }
    return events;
}

static void
sim_events_wake(sim_events_t *events)
{
    uint64_t one = 1;

    if (write(events->wakeup, &one, sizeof(one)) < 0) {
        worker_log(WORKER_LOG_ERROR, "eventfd", worker_text("error", strerror(errno)));
    }
}

void
sim_events_send(sim_events_t *events, const sim_event_t *event)
{
    sim_post_t *post = calloc(1, sizeof(*post));

    if (post == NULL) {
        worker_log(WORKER_LOG_ERROR, "out of memory: an event is lost");
        free(event->receiver);
        free(event->body);
        return;
    }
    post->event = *event;
    pthread_mutex_lock(&events->lock);
    post->number = events->posted++;
    *events->waiting_last = post;
    events->waiting_last = &post->next;
    events->nwaiting++;
    pthread_mutex_unlock(&events->lock);
    sim_events_wake(events);
}

json_t *
sim_events_json(sim_events_t *events)
{
    json_t *stats;

    pthread_mutex_lock(&events->lock);
    stats = json_pack("{s:b, s:I, s:I, s:I, s:I}", "connected", events->connected, "waiting",
                      (json_int_t) events->nwaiting,
                      "unconfirmed", (json_int_t) events->unconfirmed, "confirmed", (json_int_t) events->confirmed,
                      "resent",
                      (json_int_t) events->resent);
    pthread_mutex_unlock(&events->lock);
    return stats;
}

void
sim_events_stop(sim_events_t *events)
{
    sim_post_t *post;

    pthread_mutex_lock(&events->lock);
    events->stopping = true;
    pthread_mutex_unlock(&events->lock);
    sim_events_wake(events);
    pthread_join(events->thread, NULL);
    for (sim_post_t **list = &events->sent; list != NULL; list = list == &events->sent ? &events->waiting : NULL) {
        while ((post = *list) != NULL) {
            *list = post->next;
            sim_post_free(post);
        }
    }
    close(events->wakeup);
    free(events->url);
    pthread_mutex_destroy(&events->lock);
    free(events);
}
