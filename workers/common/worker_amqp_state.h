/* The inside of a worker_amqp_t, for worker_amqp*.c, and for foodctl, which gets messages one by one. */
#ifndef WORKER_AMQP_STATE_H
#define WORKER_AMQP_STATE_H

#include <amqp.h>
#include "worker_amqp.h"

#define WORKER_AMQP_CHANNEL     1
#define WORKER_AMQP_QUEUE_NAME  256     /* AMQP's short string, and a NUL */

/* A publish that waits for its confirm. */
typedef struct {
    uint64_t                 tag;
    char                    *queue;
    bool                     refused;       /* it came back as unroutable; the confirm follows */
    worker_amqp_published_f  done;
    void                    *ctx;
} worker_amqp_flight_t;

struct worker_amqp_s {
    worker_amqp_conf_t       conf;          /* its texts are ours */
    amqp_connection_state_t  state;         /* NULL: not connected */
    uint64_t                 connection;
    bool                     broken;        /* to be given up at the end of the run */
    bool                     blocked;       /* the broker takes no publishes */
    bool                     stopped;       /* no consumer any more */
    bool                     redeclare;     /* a queue is gone */
    bool                     away_logged;
    char                     misdeclared[WORKER_AMQP_QUEUE_NAME];   /* a queue of ours that the broker refuses, or "" */
    int64_t                  misdeclared_next;      /* monotonic: when that may be logged again */
    int64_t                  next_try, backoff;     /* monotonic ms; ms */
    int64_t                  last_run;

    worker_amqp_message_t   *message;       /* being put together from frames, or NULL */
    uint64_t                 size, got;     /* of its body */
    bool                     header_next, discard;
    bool                     redelivered;
    uint64_t                 tag;

    worker_amqp_flight_t    *flights;       /* a ring, by ascending tag */
    size_t                   first, nflights, room;
    uint64_t                 next_publish;  /* the tag of the next publish */

    char                   **queues;        /* known to be there, over this connection, by worker_amqp_declare() */
    size_t                   nqueues;
};

/* Connects, logs in, declares, consumes. False with err; the state is NULL then. */
bool worker_amqp_connect(worker_amqp_t *amqp, char *err, size_t errlen);
bool worker_amqp_declare_all(worker_amqp_t *amqp, char *err, size_t errlen);
/*
 * Declares a queue of somebody else's over a channel that ends with it, so that a refusal costs nothing more. *usable:
 * it is there, maybe with arguments of its owner's. False: the connection is no good.
 */
bool worker_amqp_declare_aside(worker_amqp_t *amqp, const char *queue, bool *usable, char *err, size_t errlen);
/* Queues that were known to be there need not be any more. */
void worker_amqp_forget(worker_amqp_t *amqp);
/* Gives the connection up and fires what waits for it. */
void worker_amqp_drop(worker_amqp_t *amqp);
/* Can a frame be sent without waiting? */
bool worker_amqp_writable(worker_amqp_t *amqp);
/* What a finished RPC says; true: fine. */
bool worker_amqp_reply_ok(amqp_rpc_reply_t reply, const char *what, char *err, size_t errlen);
/* basic.ack, basic.nack, basic.return from the broker. */
void worker_amqp_confirmed(worker_amqp_t *amqp, uint64_t tag, bool multiple, worker_amqp_rc_e rc);
void worker_amqp_returned(worker_amqp_t *amqp, const char *queue, size_t len);
void worker_amqp_lost(worker_amqp_t *amqp);
/* attempts, reason and first of a message, from its headers, whoever wrote them. */
void worker_amqp_read_headers(const amqp_basic_properties_t *properties, worker_amqp_message_t *message);

#endif
