/*
 * Where a service is: a table remembered for 2 s, then Redis (24 h), then MongoDB's service_urls. Blocks as long as
 * these do. One thread.
 */
#ifndef WORKER_URLS_H
#define WORKER_URLS_H

#include "foodsvc_allow.h"
#include "foodsvc_store.h"
#include "worker_cache.h"

typedef struct worker_urls_s worker_urls_t;

/* cache may be NULL; both are borrowed. NULL: no memory. */
worker_urls_t *worker_urls_open(foodsvc_store_t *store, worker_cache_t *cache);
void worker_urls_close(worker_urls_t *urls);

/*
 * The base url without a trailing slash, valid until the next call; NULL with err: unknown, not a url, at a host
 * that may not be called, or nobody can be asked.
 */
const char *worker_urls_find(worker_urls_t *urls, const char *service, char err[FOODSVC_ERR]);
/* Where the urls may lead; the rules are borrowed. Without it: the default. */
void worker_urls_allow(worker_urls_t *urls, const foodsvc_allow_t *allow);
/* Forgets the table. */
void worker_urls_forget(worker_urls_t *urls);

#endif
