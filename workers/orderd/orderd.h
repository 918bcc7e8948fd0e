/*
 * orderd: takes events from the queue OrderService, moves orders on, and does what they owe. One thread, one loop:
 *
 *   intake.c   a message -> an event, a job of its order's work (or a dead letter at once)
 *   work.c     the works: one for each order that is being served (serve.h), with its jobs
 *   batch.c    the ready works' changes -> one batch for MongoDB, one pipeline for Redis -> the works' next step
 *   parking.c  messages that can't be finished now, on their way into a retry queue or the dead-letter queue
 *   conf.c     settings;  main.c  the loop
 *
 * A message is acknowledged (orderd_finish) only when its order is stored, the cache has it, and what the order owes
 * then is done; or when it has been published elsewhere with a confirm. So a crash at any point loses nothing: the
 * broker delivers again, the store sees a duplicate, and partners see a known idempotency key.
 *
 * MongoDB away: messages are held unacknowledged and the batch is tried again, with a backoff; the prefetch bounds
 * what is held, the broker keeps the rest, and every other orderd is as badly off, so parking would only move
 * messages to and fro. Redis away: the messages are parked for a while, so that the cache is sure to be refreshed,
 * and worker_cache writes what it missed as soon as Redis is back.
 */
#ifndef ORDERD_H
#define ORDERD_H

#include "foodsvc_codec.h"
#include "foodsvc_store.h"
#include "foodsvc_uuid.h"
#include "serve.h"
#include "worker_acks.h"
#include "worker_servers.h"

#define ORDERD_NAME "foodsvc-orderd"

typedef struct {
    worker_servers_conf_t servers;      /* first */
    int64_t               prefetch;
} orderd_conf_t;

/*
 * Why a message is not finished now. Its word begins the reason in the headers; another kind starts counting
 * attempts anew.
 */
typedef enum {
    PARK_NOT = 0,
    PARK_UNKNOWN_ORDER,
    PARK_PARTNER,           /* away */
    PARK_REFUSED,           /* a partner said no */
    PARK_BUSY,              /* another process holds the order's claim */
    PARK_CACHE,             /* Redis away */
    PARK_DATABASE           /* MongoDB refuses the write */
} park_e;

/* A message being served. */
typedef struct job_s {
    worker_amqp_message_t *message;
    foodsvc_event_t        event;
    struct job_s          *next;
} job_t;

typedef struct {
    job_t *head, **tail;
} jobs_t;

/*
 * An order being served. READY: its next changes wait for the batch; CALLING: a partner is being asked. A round
 * serves the jobs in `current`; those that come meanwhile wait. It ends with all of them finished or parked.
 */
typedef struct work_s {
    char              id[FOODSVC_UUID_TEXT + 1];
    struct work_s    *hash_next, *ready_next;
    jobs_t            waiting, current;
    serve_t           serve;            /* the order, and how far it is served */
    park_e            park;             /* why the round ends before it was served; PARK_NOT: serve.rc says it */
    bool              cache_missed;
    char              reason[FOODSVC_ERR];      /* of `park` */
    struct orderd_s  *orderd;
} work_t;

#define WORK_BUCKETS 1024

typedef struct {
    uint64_t batches, messages, applied, early, noted, duplicate, late, refused, parked, dead, finished, called;
} orderd_stats_t;

typedef struct parked_s parked_t;

typedef struct orderd_s {
    orderd_conf_t     conf;
    worker_servers_t  servers;
    worker_acks_t     acks;

    work_t           *buckets[WORK_BUCKETS];
    size_t            nworks;
    work_t           *ready, **ready_tail;

    parked_t         *parked, **parked_tail;            /* not yet sent */
    size_t            nparked;          /* with those not yet confirmed */

    bool              stopping;
    int64_t           deadline;         /* monotonic, when stopping */
    orderd_stats_t    stats, logged;
    int64_t           stats_next;
} orderd_t;

/* --- conf.c --- */
bool orderd_open(orderd_t *orderd, int argc, char **argv);
void orderd_close(orderd_t *orderd);

/* --- intake.c: the AMQP callbacks --- */
void orderd_message(void *ctx, worker_amqp_message_t *message);
void orderd_up(void *ctx);
void orderd_down(void *ctx);
/* The message is done with: acknowledges it (in time) and frees the job. */
void orderd_finish(orderd_t *orderd, job_t *job);
void orderd_job_free(job_t *job);
/* No memory to serve it: frees it, and has the broker deliver it again, over a new connection. */
void orderd_forgo(orderd_t *orderd, job_t *job);
void orderd_acknowledge(orderd_t *orderd);

/* --- work.c --- */
void jobs_init(jobs_t *jobs);
void jobs_add(jobs_t *jobs, job_t *job);
job_t *jobs_take(jobs_t *jobs);         /* the first, or NULL */
/* Puts a whole list before another; `front` is empty then. */
void jobs_prepend(jobs_t *jobs, jobs_t *front);

/* Gives the job to its order's work. False: no memory. */
bool work_take(orderd_t *orderd, job_t *job);
void work_ready(work_t *work);
/* Ends the round: jobs are parked (work->park) or finished; the work goes on with those waiting, or is freed. */
void work_end(work_t *work);
/* The messages are void (the connection is gone): drops jobs; what is being done is finished. */
void works_void(orderd_t *orderd);
void works_free(orderd_t *orderd);

/* --- batch.c --- */
/* ms until there is something to store; 0: now, -1: nothing. */
int64_t batch_wait(const orderd_t *orderd);
void batch_run(orderd_t *orderd);

/* --- parking.c --- */
/*
 * Takes the job: to the retry queue that the kind and its attempts ask for, or to the dead-letter queue.
 * claim_until: PARK_BUSY.
 */
void parking_park(orderd_t *orderd, job_t *job, park_e kind, const char *reason, int64_t claim_until);
void parking_bury(orderd_t *orderd, job_t *job, const char *reason);
int64_t parking_wait(const orderd_t *orderd);
void parking_run(orderd_t *orderd);
/* Drops what was not sent. */
void parking_void(orderd_t *orderd);

#endif
