/*
 * Publishing with confirms. Tags count from 1 on each connection; the flights are kept in their order, so an answer
 * with `multiple` takes them from the front. A returned message carries no tag, and need not have an id: all flights
 * to its queue count as refused. That errs to the safe side, since whoever publishes does it again and whoever
 * consumes drops duplicates.
 */
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "foodsvc_names.h"
#include "worker_amqp_state.h"
#include "worker_log.h"

#define OUR_HEADERS     3
#define OUR_BYTES       1024    /* enough for them, and for the frame around the properties */


static worker_amqp_flight_t *flight_at(worker_amqp_t *amqp, size_t i)
{
    size_t  at = amqp->first + i;

    return &amqp->flights[at < amqp->room ? at : at - amqp->room];
}


static bool flights_grow(worker_amqp_t *amqp)
{
    size_t                 room = amqp->room ? amqp->room * 2 : 64;
    worker_amqp_flight_t  *flights;

    if (amqp->nflights < amqp->room) {
        return true;
    }
    flights = calloc(room, sizeof(*flights));
    if (flights == NULL) {
        return false;
    }
    for (size_t i = 0; i < amqp->nflights; i++) {
        flights[i] = *flight_at(amqp, i);
    }
    free(amqp->flights);
    amqp->flights = flights;
    amqp->first = 0;
    amqp->room = room;
    return true;
}


static void flight_land(worker_amqp_flight_t flight, worker_amqp_rc_e rc)
{
    free(flight.queue);
    if (flight.done) {
        flight.done(flight.ctx, flight.refused && rc == WORKER_AMQP_CONFIRMED ? WORKER_AMQP_REFUSED : rc);
    }
}


/* Takes a flight out, wherever it is, before its callback runs: the callback may publish. */
static worker_amqp_flight_t flight_take(worker_amqp_t *amqp, size_t i)
{
    worker_amqp_flight_t  flight = *flight_at(amqp, i);

    for (; i > 0; i--) {
        *flight_at(amqp, i) = *flight_at(amqp, i - 1);
    }
    flight_at(amqp, 0)->queue = NULL;
    amqp->first = amqp->first + 1 < amqp->room ? amqp->first + 1 : 0;
    amqp->nflights--;
    return flight;
}


void worker_amqp_confirmed(worker_amqp_t *amqp, uint64_t tag, bool multiple, worker_amqp_rc_e rc)
{
    size_t  i = 0;

    while (multiple && amqp->nflights > 0 && (flight_at(amqp, 0)->tag <= tag || tag == 0)) {
        flight_land(flight_take(amqp, 0), rc);
    }
    while (!multiple && i < amqp->nflights && flight_at(amqp, i)->tag != tag) {
        i++;
    }
    if (!multiple && i < amqp->nflights) {
        flight_land(flight_take(amqp, i), rc);
    }
}


void worker_amqp_returned(worker_amqp_t *amqp, const char *queue, size_t len)
{
    for (size_t i = 0; i < amqp->nflights; i++) {
        worker_amqp_flight_t  *flight = flight_at(amqp, i);

        if (strlen(flight->queue) == len && memcmp(flight->queue, queue, len) == 0) {
            flight->refused = true;
        }
    }
    amqp->redeclare = true;
    worker_amqp_forget(amqp);
}


void worker_amqp_forget(worker_amqp_t *amqp)
{
    while (amqp->nqueues > 0) {
        free(amqp->queues[--amqp->nqueues]);
    }
}


void worker_amqp_lost(worker_amqp_t *amqp)
{
    while (amqp->nflights > 0) {
        flight_land(flight_take(amqp, 0), WORKER_AMQP_LOST);
    }
}


size_t worker_amqp_unconfirmed(const worker_amqp_t *amqp)
{
    return amqp->nflights;
}


bool worker_amqp_writable(worker_amqp_t *amqp)
{
    struct pollfd  fd = { .fd = amqp_get_sockfd(amqp->state), .events = POLLOUT };

    return poll(&fd, 1, 0) == 1 && (fd.revents & POLLOUT);
}


static bool starts(amqp_bytes_t key, const char *prefix)
{
    return key.len >= strlen(prefix) && memcmp(key.bytes, prefix, strlen(prefix)) == 0;
}


/* Ours are set anew; the broker's notes on dead-lettering would only grow; CC would send copies to other queues. */
static bool header_kept(amqp_bytes_t key)
{
    return !starts(key, "x-foodsvc-") && !starts(key, "x-death") && !starts(key, "x-first-death")
           && !starts(key, "x-last-death") && !(key.len == 2 && starts(key, "CC"));
}


/*
 * Properties go into one frame. A message whose own headers nearly fill it is sent on without them: with ours added the
 * library could not encode it, the channel would be spoilt in the middle of a publish, and the message would come back
 * over the next connection to do the same again.
 */
static bool headers_fit(worker_amqp_t *amqp, const worker_amqp_publish_t *publish)
{
    return publish->original->properties_len + OUR_BYTES <= (size_t) amqp_get_frame_max(amqp->state);
}


static bool set_headers(amqp_basic_properties_t *properties, const worker_amqp_publish_t *publish, amqp_pool_t *pool)
{
    amqp_table_t         old = properties->_flags & AMQP_BASIC_HEADERS_FLAG ? properties->headers : amqp_empty_table;
    amqp_table_entry_t  *entries = amqp_pool_alloc(pool, sizeof(*entries) * ((size_t) old.num_entries + OUR_HEADERS));
    int                  n = 0;

    if (entries == NULL) {
        return false;
    }
    for (int i = 0; i < old.num_entries; i++) {
        if (header_kept(old.entries[i].key)) {
            entries[n++] = old.entries[i];
        }
    }
    if (publish->reason) {
        entries[n].key = amqp_cstring_bytes(FOODSVC_AMQP_REASON);
        entries[n].value.kind = AMQP_FIELD_KIND_UTF8;
        entries[n++].value.value.bytes = amqp_cstring_bytes(publish->reason);
        entries[n].key = amqp_cstring_bytes(FOODSVC_AMQP_ATTEMPTS);
        entries[n].value.kind = AMQP_FIELD_KIND_I32;
        entries[n++].value.value.i32 = (int32_t) publish->attempts;
        entries[n].key = amqp_cstring_bytes(FOODSVC_AMQP_FIRST);
        entries[n].value.kind = AMQP_FIELD_KIND_UTF8;
        entries[n++].value.value.bytes = amqp_cstring_bytes(publish->first ? publish->first : "");
    }
    properties->headers = (amqp_table_t) { .num_entries = n, .entries = entries };
    properties->_flags |= AMQP_BASIC_HEADERS_FLAG;
    return true;
}


/* The original's properties where there is one, but for those that would make the broker refuse or drop the message. */
static bool set_properties(worker_amqp_t *amqp, amqp_basic_properties_t *properties,
    const worker_amqp_publish_t *publish, amqp_pool_t *pool)
{
    const worker_amqp_message_t  *original = publish->original;
    void                         *decoded;

    memset(properties, 0, sizeof(*properties));
    if (original && original->properties_len > 0) {
        amqp_bytes_t  raw = { .len = original->properties_len, .bytes = (void *) original->properties };

        if (amqp_decode_properties(AMQP_BASIC_CLASS, pool, raw, &decoded) == AMQP_STATUS_OK) {
            *properties = *(amqp_basic_properties_t *) decoded;
        }
        if (!headers_fit(amqp, publish)) {
            worker_log(WORKER_LOG_WARN, "a message's headers are too large to be kept", worker_text("queue",
                                                                                                    publish->queue));
            properties->_flags &= ~(amqp_flags_t) AMQP_BASIC_HEADERS_FLAG;
        }
    }
    properties->_flags &= ~(amqp_flags_t) (AMQP_BASIC_USER_ID_FLAG | AMQP_BASIC_EXPIRATION_FLAG);
    if (!(properties->_flags & AMQP_BASIC_CONTENT_TYPE_FLAG)) {
        properties->content_type = amqp_cstring_bytes(FOODSVC_CONTENT_TYPE);
    }
    properties->delivery_mode = AMQP_DELIVERY_PERSISTENT;
    properties->_flags |= AMQP_BASIC_CONTENT_TYPE_FLAG | AMQP_BASIC_DELIVERY_MODE_FLAG;
    if (publish->message_id) {
        properties->message_id = amqp_cstring_bytes(publish->message_id);
        properties->_flags |= AMQP_BASIC_MESSAGE_ID_FLAG;
    }
    return (!publish->reason && !original) || set_headers(properties, publish, pool);
}


static bool ready_to_publish(worker_amqp_t *amqp)
{
    char  err[WORKER_AMQP_REASON];

    if (amqp->state == NULL || amqp->broken || amqp->blocked
        /* Silence for so long may have run into the library's wait for a heartbeat: let a run take the frames first. */
        || foodsvc_time_monotonic() - amqp->last_run > amqp->conf.heartbeat * 1000)
    {
        return false;
    }
    if (amqp->redeclare && !worker_amqp_declare_all(amqp, err, sizeof(err))) {
        worker_amqp_break(amqp, err);
        return false;
    }
    return worker_amqp_writable(amqp);
}


bool worker_amqp_publish(worker_amqp_t *amqp, const worker_amqp_publish_t *publish)
{
    amqp_bytes_t             body = { .len = publish->len, .bytes = (void *) publish->body };
    amqp_basic_properties_t  properties;
    amqp_pool_t              pool;
    char                    *queue;
    int                      rc;

    if (!ready_to_publish(amqp) || !flights_grow(amqp) || (queue = strdup(publish->queue)) == NULL) {
        return false;
    }
    init_amqp_pool(&pool, 4096);
    if (!set_properties(amqp, &properties, publish, &pool)) {
        empty_amqp_pool(&pool);
        free(queue);
        return false;
    }
    rc = amqp_basic_publish(amqp->state, WORKER_AMQP_CHANNEL, amqp_empty_bytes, amqp_cstring_bytes(publish->queue),
                            1, 0, &properties, body);
    empty_amqp_pool(&pool);
    if (rc != AMQP_STATUS_OK) {
        worker_amqp_break(amqp, amqp_error_string2(rc));
        free(queue);
        return false;
    }
    amqp->nflights++;
    *flight_at(amqp, amqp->nflights - 1) = (worker_amqp_flight_t) {
        .tag = amqp->next_publish++, .queue = queue, .done = publish->done, .ctx = publish->ctx
    };
    return true;
}


bool worker_amqp_declare(worker_amqp_t *amqp, const char *queue)
{
    char  **queues, *name, err[WORKER_AMQP_REASON] = "";
    bool    usable = false;

    for (size_t i = 0; i < amqp->nqueues; i++) {
        if (strcmp(amqp->queues[i], queue) == 0) {
            return amqp->state && !amqp->broken;
        }
    }
    if (strlen(queue) >= WORKER_AMQP_QUEUE_NAME || amqp->state == NULL || amqp->broken) {
        return false;
    }
    queues = realloc(amqp->queues, (amqp->nqueues + 1) * sizeof(char *));
    if (queues == NULL || (amqp->queues = queues, name = strdup(queue)) == NULL) {
        return false;
    }
    if (!worker_amqp_declare_aside(amqp, queue, &usable, err, sizeof(err))) {
        worker_amqp_break(amqp, err);
    }
    if (!usable || amqp->broken) {
        free(name);
        return false;
    }
    amqp->queues[amqp->nqueues++] = name;
    return true;
}
