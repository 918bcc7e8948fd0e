/* A Redis url in its parts; for worker_cache*.c alone. */
#ifndef WORKER_CACHE_URL_H
#define WORKER_CACHE_URL_H

#include "worker_cache.h"

typedef struct {
    char  path[108];        /* a unix socket, or "" */
    char  host[256];
    int   port, db;
    char  user[128], password[256];
} worker_cache_url_t;

bool worker_cache_url_parse(const char *url, worker_cache_url_t *address, char *err, size_t errlen);

#endif
