/*
 * Redis for a worker: a blocking connection, every exchange a pipeline under one time-out, with reconnects after a
 * backoff.
 *
 * While Redis is away calls fail at once until the backoff is over; one that has hung up, since it was restarted, is
 * written to on a new connection. Orders that could not be written are kept (the newest 4096) and written first when it
 * is back, before anything is read, so that a Redis which comes back with old entries shows them for as short as can
 * be; but not for longer than an entry lives (FOODSVC_CACHE_ORDER_TTL). One thread.
 */
#ifndef WORKER_CACHE_H
#define WORKER_CACHE_H

#include "foodsvc_cache.h"
#include "foodsvc_order.h"

typedef struct worker_cache_s worker_cache_t;

/* redis://[[user]:password@]host[:port][/db], or unix:/path. False with a reason that has no password in it. */
bool worker_cache_url_check(const char *url, char *err, size_t errlen);

/* Doesn't connect. NULL: no memory or a bad url. */
worker_cache_t *worker_cache_open(const char *url, int64_t timeout_ms);
void worker_cache_close(worker_cache_t *cache);
void worker_cache_timeout(worker_cache_t *cache, int64_t timeout_ms);

/* Writes the orders where they are newer than what is there. False: some are not there (they are kept for later). */
bool worker_cache_orders(worker_cache_t *cache, foodsvc_order_t *const *orders, size_t norders);
/* To be called now and then: reconnects when that is due and orders are kept. */
void worker_cache_run(worker_cache_t *cache);

/* The url of a service as cached. True: found. */
bool worker_cache_url(worker_cache_t *cache, const char *service, char *url, size_t urllen);
void worker_cache_url_set(worker_cache_t *cache, const char *service, const char *url);

#endif
