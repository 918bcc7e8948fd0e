/*
 * RabbitMQ for a worker: one connection with one channel, driven by the caller's poll loop, with a consumer
 * (optional) and confirmed publishes.
 *
 * The caller polls worker_amqp_fd() for reading, for at most worker_amqp_wait() ms, and calls worker_amqp_run(),
 * which connects when that is due, takes all frames that the socket holds, and fires the callbacks. Connecting blocks
 * for at most the time-out (twice: TCP and login); nothing else does. On any failure (a closed channel, a cancelled
 * consumer, silence for two heartbeats) the connection is given up as a whole, `down` fires, and a new one is made
 * after a backoff; unacknowledged messages then come again. One thread.
 */
#ifndef WORKER_AMQP_H
#define WORKER_AMQP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "foodsvc_time.h"

#define WORKER_AMQP_REASON  256

typedef struct worker_amqp_s worker_amqp_t;

/* A delivered message; freed with free(). */
typedef struct {
    uint64_t    tag;
    uint64_t    connection;                     /* counts connections: a tag means something on its own one only */
    bool        redelivered;
    int64_t     attempts;                       /* FOODSVC_AMQP_ATTEMPTS, 0 when it has none */
    char        reason[WORKER_AMQP_REASON];     /* FOODSVC_AMQP_REASON, "" when it has none; cut to fit */
    char        first[FOODSVC_TIME_TEXT + 1];   /* FOODSVC_AMQP_FIRST, "" when it has none */
    const char *body;
    size_t      len;
    const void *properties;                     /* as on the wire: kept when the message is published again */
    size_t      properties_len;
} worker_amqp_message_t;

typedef enum {
    WORKER_AMQP_CONFIRMED,
    /* returned as unroutable, or nacked; the queues are declared again before the next publish */
    WORKER_AMQP_REFUSED,
    WORKER_AMQP_LOST            /* the connection ended before the confirm: it may have arrived */
} worker_amqp_rc_e;

/* Fires exactly once, never before worker_amqp_publish() returned. */
typedef void (*worker_amqp_published_f)(void *ctx, worker_amqp_rc_e rc);

typedef struct {
    const char                  *queue;         /* routing key on the default exchange */
    const char                  *body;          /* borrowed for the call */
    size_t                       len;
    const char                  *message_id;    /* NULL: none, or the original's */
    /* its properties and headers are kept; NULL: content type and persistence only */
    const worker_amqp_message_t *original;
    const char                  *reason;        /* NULL: no headers of ours; else reason, attempts and first are set */
    int64_t                      attempts;
    const char                  *first;
    worker_amqp_published_f      done;
    void                        *ctx;
} worker_amqp_publish_t;

typedef struct {
    /* amqp[s]://user:password@host:port/vhost; no vhost, with the slash or without, means "/" */
    const char *url;
    const char *ca_file;        /* amqps; NULL: the system's */
    int64_t     timeout_ms;     /* of connecting, login and declarations */
    int         heartbeat;      /* seconds */
    const char *consume;        /* queue to consume from, or NULL */
    int         prefetch;
    bool        parking;        /* declare FOODSVC_QUEUE, its retry queues and its dead-letter queue */
    /* The message is the callee's. */
    void      (*message)(void *ctx, worker_amqp_message_t *message);
    void      (*up)(void *ctx);         /* may be NULL */
    void      (*down)(void *ctx);       /* may be NULL; after the publishes' LOST */
    void       *ctx;
} worker_amqp_conf_t;

/* Seconds of the retry queues, ascending, 0-terminated. */
extern const int worker_amqp_delays[];

/* "" in err: fine. The reason never contains the password. */
bool worker_amqp_url_check(const char *url, char *err, size_t errlen);

/* Doesn't connect; url and the other texts are copied. NULL: no memory or a bad url. */
worker_amqp_t *worker_amqp_open(const worker_amqp_conf_t *conf);
/*
 * Closes politely (what was sent before is taken by the broker), or at once when it is not connected. Fires LOST,
 * not down. NULL is fine.
 */
void worker_amqp_close(worker_amqp_t *amqp);

/*
 * Connects now, instead of in the next run: for a program that tries once and says why not. Not when it is connected.
 */
bool worker_amqp_dial(worker_amqp_t *amqp, char *err, size_t errlen);

/* -1 while not connected. */
int worker_amqp_fd(const worker_amqp_t *amqp);
/* ms until worker_amqp_run() has something to do without input. */
int64_t worker_amqp_wait(const worker_amqp_t *amqp);
void worker_amqp_run(worker_amqp_t *amqp);

bool worker_amqp_connected(const worker_amqp_t *amqp);
/*
 * Gives the connection up at the end of the next run, for a new one: the broker delivers again what was not
 * acknowledged. `why` is logged.
 */
void worker_amqp_break(worker_amqp_t *amqp, const char *why);
/* The number of the present connection; tags of messages with another are void. */
uint64_t worker_amqp_connection(const worker_amqp_t *amqp);

/* False: not now (not connected, the socket is full): try again after the next run. */
bool worker_amqp_ack(worker_amqp_t *amqp, uint64_t tag, bool multiple);
/* Persistent, mandatory, confirmed. False: not now (also while the broker blocks publishers); done does not fire. */
bool worker_amqp_publish(worker_amqp_t *amqp, const worker_amqp_publish_t *publish);
/*
 * Before a publish to a queue of somebody else's: makes sure that it is there, once in a connection; one that has to be
 * made is durable and has no arguments. False: not now, or the broker has no queue of that name.
 */
bool worker_amqp_declare(worker_amqp_t *amqp, const char *queue);
/*
 * Stops the consumer; messages that still arrive are dropped unacknowledged, so that the broker gives them to
 * others.
 */
void worker_amqp_stop(worker_amqp_t *amqp);
/* How many publishes wait for their confirm. */
size_t worker_amqp_unconfirmed(const worker_amqp_t *amqp);

#endif
