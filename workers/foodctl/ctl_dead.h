/*
 * The dead messages: those of FOODSVC_QUEUE_DEAD, which orderd gave up.
 *
 * They are got one by one and held unacknowledged while a command needs them; then the channel is closed, and the
 * broker puts back, each where it was, all that was not acknowledged. So looking changes nothing but the mark that they
 * were delivered before; and a foodctl that is killed leaves everything in the queue.
 */
#ifndef CTL_DEAD_H
#define CTL_DEAD_H

#include "ctl_message.h"

#define CTL_DEAD_LIMIT  1000        /* --limit's default */
#define CTL_DEAD_ID     129         /* with the NUL */

typedef struct {
    ctl_message_t  message;
    char           id[CTL_DEAD_ID]; /* its message_id, or "h" and a hash of its body and first time */
    uint64_t       print;           /* a hash of all that makes it what it is */
    const char    *order, *status, *reason;     /* borrowed from message.json; NULL: there is none */
    int64_t        attempts;
    int64_t        first;           /* ms; 0: unknown */
    bool           chosen, sent, failed, done;  /* the last three: ctl_redrive.c's */
} ctl_dead_t;

typedef struct {
    const ctl_t   *ctl;
    worker_amqp_t *amqp;            /* open while the messages are held */
    ctl_dead_t    *all;             /* in the queue's order */
    size_t         n, nchosen;
    uint32_t       waiting;         /* in the queue */
} ctl_deads_t;

/* Gets at most --limit messages and chooses those that the arguments and options want. CTL_OK, or told. */
int ctl_dead_open(ctl_deads_t *deads, const ctl_t *ctl);
/* Closes the connection: what is unacknowledged is in the queue again. The messages can still be read. */
void ctl_dead_release(ctl_deads_t *deads);
void ctl_dead_close(ctl_deads_t *deads);

/* {"id", "order", "status", "reason", "attempts", "first", "age"}; what is unknown is null. */
json_t *ctl_dead_json(const ctl_dead_t *dead);
/* "ID  order ORDER  STATUS", in a line. */
void ctl_dead_line(const ctl_dead_t *dead);
/* Says on standard error that --limit left some out. */
void ctl_dead_note(const ctl_deads_t *deads);

#endif
