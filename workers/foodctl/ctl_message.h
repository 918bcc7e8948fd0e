/*
 * A message of a queue, as foodctl gets it: one basic.get each, unacknowledged, so that the broker puts it back where
 * it was when the channel ends or basic.nack says so.
 */
#ifndef CTL_MESSAGE_H
#define CTL_MESSAGE_H

#include <amqp.h>
#include "ctl_amqp.h"

#define CTL_MESSAGE_BYTES   (64 << 20)      /* of bodies that a command holds in memory */

typedef struct {
    uint64_t        tag;
    bool            redelivered;
    json_t         *json;       /* {"queue", "redelivered", "message_id"?, "headers"?, "body" or "body_base64"} */
    amqp_bytes_t    body;       /* owned */
    amqp_bytes_t    properties; /* owned: as on the wire */
} ctl_message_t;

/* 1: a message, for the caller to clear. 0: the queue is empty. -1: told. */
int ctl_message_get(const ctl_t *ctl, worker_amqp_t *amqp, const char *queue, ctl_message_t *message);
void ctl_message_clear(ctl_message_t *message);
/* The header of this name, or NULL. */
const json_t *ctl_message_header(const ctl_message_t *message, const char *name);

/* How many wait, and how many take them. False: told. */
bool ctl_message_count(const ctl_t *ctl, worker_amqp_t *amqp, const char *queue, uint32_t *waiting,
    uint32_t *consumers);

/* FNV-1a: begin with CTL_HASH_BEGIN. */
#define CTL_HASH_BEGIN  0xcbf29ce484222325
uint64_t ctl_hash(uint64_t hash, const void *bytes, size_t len);

#endif
