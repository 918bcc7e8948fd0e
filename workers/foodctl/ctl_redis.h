/*
 * Redis for foodctl: one blocking connection, for one command.
 */
#ifndef CTL_REDIS_H
#define CTL_REDIS_H

#include <hiredis.h>
#include "ctl.h"

/* Connected and logged in, or NULL: told. The caller calls redisFree. */
redisContext *ctl_redis_open(const ctl_t *ctl);
/* Tells that Redis is not there, or not Redis. */
void ctl_redis_away(const ctl_t *ctl, const redisContext *redis);
/* Sends a command. The reply is no error and the caller's (freeReplyObject); NULL: told. */
redisReply *ctl_redis_call(const ctl_t *ctl, redisContext *redis, int argc, const char **argv, const size_t *lens);
/* Deletes a key. 1: it was there, 0: it was not, -1: told. */
int ctl_redis_drop(const ctl_t *ctl, redisContext *redis, const char *key);

#endif
