/*
 * Which delivered messages are still unfinished, and what to acknowledge next: with `multiple` up to the lowest
 * unfinished tag, one by one beyond it, so that a message that takes long holds back neither the others nor the
 * prefetch window. Pure; tags are those of one channel, which the broker counts from 1 without gaps.
 */
#ifndef WORKER_ACKS_H
#define WORKER_ACKS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct {
    unsigned char *states;      /* a ring: of the tags base .. base + n - 1 */
    size_t         room, first, n;
    uint64_t       base;        /* the lowest tag that is not acknowledged */
    size_t         open;        /* delivered and unfinished */
    size_t         ready;       /* finished and not acknowledged */
} worker_acks_t;

/* A new channel: the next tag is 1. Also the initialisation of a zeroed struct. */
void worker_acks_reset(worker_acks_t *acks);
void worker_acks_free(worker_acks_t *acks);

/* A message was delivered. False: no memory, or a tag out of order. */
bool worker_acks_add(worker_acks_t *acks, uint64_t tag);
/* A message is finished. Unknown tags are left alone. */
void worker_acks_done(worker_acks_t *acks, uint64_t tag);
/* What to send next; false: nothing. */
bool worker_acks_next(const worker_acks_t *acks, uint64_t *tag, bool *multiple);
/* That was sent. */
void worker_acks_sent(worker_acks_t *acks, uint64_t tag, bool multiple);

#endif
