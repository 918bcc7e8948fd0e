/*
 * Redis for foodctl.
 */
#ifndef CTL_REDIS_H
#define CTL_REDIS_H

#include <hiredis.h>
#include "ctl.h"

/* Connected and logged in, or NULL: told. The caller calls redisFree. */
redisContext *ctl_redis_open(const ctl_t *ctl);
/* How many entries were dropped, 0 or 1; -1: Redis failed. */
int64_t ctl_redis_drop_url(redisContext *redis, const char *service);

#endif
