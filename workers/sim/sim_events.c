/*
 * Events to RabbitMQ: one thread that owns the connection (worker_amqp.h). Others put events into a list and wake it up
 * through an eventfd.
 *
 * An event is in `waiting` (a list, first in first out) or published and not confirmed. A confirm ends it; when it is
 * refused, or the connection is lost, it goes back to where it stood in `waiting`, so an event may arrive twice but
 * never not at all. Where nobody has declared the receiver's queue yet, it is declared, durable and without arguments
 * as everybody does.
 */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>
#include "foodsvc_time.h"
#include "sim.h"
#include "worker_amqp.h"

#define SIM_WINDOW          128     /* published and not confirmed */
#define SIM_HEARTBEAT       10      /* s */
#define SIM_CONNECT_TIMEOUT 3000    /* ms */
#define SIM_IDLE            1000    /* ms; also until a queue is tried again that the broker refuses */
#define SIM_FULL            20      /* ms until a publish is tried again that could not be made */
#define SIM_DRAIN_TIME      1000    /* ms, at the end */

typedef struct sim_post_s {
    struct sim_post_s *next;
    sim_events_t      *events;
    sim_event_t        event;
    uint64_t           number;      /* in the order in which they came */
} sim_post_t;

struct sim_events_s {
    sim_t             *sim;
    pthread_t          thread;
    int                wakeup;      /* eventfd */
    worker_amqp_t     *amqp;        /* the thread's own, once it runs */

    pthread_mutex_t    lock;        /* all below */
    sim_post_t        *waiting, **waiting_last;
    size_t             nwaiting, unconfirmed;
    uint64_t           posted, confirmed, resent;
    bool               connected, stopping;
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
sim_events_back(sim_events_t *events, sim_post_t *post, bool sent)
{
    sim_post_t **place = &events->waiting;

    pthread_mutex_lock(&events->lock);
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
    events->resent += sent;
    pthread_mutex_unlock(&events->lock);
}

static void
sim_events_published(void *ctx, worker_amqp_rc_e rc)
{
    sim_post_t   *post = ctx;
    sim_events_t *events = post->events;

    if (rc != WORKER_AMQP_CONFIRMED) {
        sim_events_back(events, post, true);
        return;
    }
    if (post->event.order != NULL) {
        sim_order_confirmed(events->sim, post->event.order, post->event.status);
    }
    pthread_mutex_lock(&events->lock);
    events->confirmed++;
    events->unconfirmed--;
    pthread_mutex_unlock(&events->lock);
    sim_post_free(post);
}

static void
sim_events_connected(sim_events_t *events, bool connected)
{
    pthread_mutex_lock(&events->lock);
    events->connected = connected;
    pthread_mutex_unlock(&events->lock);
}

static void
sim_events_up(void *ctx)
{
    sim_events_connected(ctx, true);
}

static void
sim_events_down(void *ctx)
{
    sim_events_connected(ctx, false);
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

/* Publishes what waits; ms until it is worth to try again with what was left. */
static int64_t
sim_events_publish(sim_events_t *events)
{
    sim_post_t            *post;
    worker_amqp_publish_t  publish = { .done = sim_events_published };
    bool                   declared;

    while (worker_amqp_connected(events->amqp) && worker_amqp_unconfirmed(events->amqp) < SIM_WINDOW
           && (post = sim_events_next(events)) != NULL)
    {
        publish.queue = post->event.receiver;
        publish.body = post->event.body;
        publish.len = post->event.len;
        publish.message_id = post->event.message_id;
        publish.ctx = post;
        declared = worker_amqp_declare(events->amqp, publish.queue);
        if (!declared || !worker_amqp_publish(events->amqp, &publish)) {
            sim_events_back(events, post, false);
            return declared ? SIM_FULL : SIM_IDLE;
        }
    }
    return SIM_IDLE;
}

/* Until there is something to do, or the time is over. */
static void
sim_events_wait(sim_events_t *events, int64_t most)
{
    struct pollfd  fds[2] = { { events->wakeup, POLLIN, 0 }, { worker_amqp_fd(events->amqp), POLLIN, 0 } };
    int64_t        left = worker_amqp_wait(events->amqp);
    uint64_t       n;

    left = left < most ? left : most;
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
        worker_amqp_run(events->amqp);
        sim_events_wait(events, sim_events_publish(events));
    }
    return NULL;
}

static void
sim_events_free(sim_events_t *events)
{
    sim_post_t *post;

    worker_amqp_close(events->amqp);        /* what is not confirmed goes back to waiting */
    while ((post = events->waiting) != NULL) {
        events->waiting = post->next;
        sim_post_free(post);
    }
    if (events->wakeup >= 0) {
        close(events->wakeup);
    }
    pthread_mutex_destroy(&events->lock);
    free(events);
}

sim_events_t *
sim_events_start(sim_t *sim, const char *url, char *err, size_t errlen)
{
    sim_events_t       *events = calloc(1, sizeof(*events));
    worker_amqp_conf_t  conf = { .url = url, .ca_file = sim->conf.ca_file, .timeout_ms = SIM_CONNECT_TIMEOUT,
                                 .heartbeat = SIM_HEARTBEAT, .up = sim_events_up, .down = sim_events_down,
                                 .ctx = events };

    if (events == NULL) {
        snprintf(err, errlen, "out of memory");
        return NULL;
    }
    events->sim = sim;
    events->waiting_last = &events->waiting;
    pthread_mutex_init(&events->lock, NULL);
    events->wakeup = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    events->amqp = worker_amqp_open(&conf);
    if (events->wakeup < 0 || events->amqp == NULL
        || pthread_create(&events->thread, NULL, sim_events_run, events) != 0)
    {
        snprintf(err, errlen, "the publisher's thread could not be started");
        sim_events_free(events);
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
    post->events = events;
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
                      (json_int_t) events->nwaiting, "unconfirmed", (json_int_t) events->unconfirmed, "confirmed",
                      (json_int_t) events->confirmed, "resent", (json_int_t) events->resent);
    pthread_mutex_unlock(&events->lock);
    return stats;
}

void
sim_events_stop(sim_events_t *events)
{
    pthread_mutex_lock(&events->lock);
    events->stopping = true;
    pthread_mutex_unlock(&events->lock);
    sim_events_wake(events);
    pthread_join(events->thread, NULL);
    sim_events_free(events);
}
