/*
 * What orderd and sweepd have in common: the settings of servers and partners, the connections, and the end by signals.
 */
#ifndef WORKER_SERVERS_H
#define WORKER_SERVERS_H

#include "foodsvc_store.h"
#include "owed.h"
#include "worker_allow.h"
#include "worker_amqp.h"
#include "worker_cache.h"
#include "worker_conf.h"
#include "worker_http.h"
#include "worker_urls.h"

/* The first member of the program's own settings. */
typedef struct {
    char    *mongo_url, *redis_url, *amqp_url, *api_key_file, *ca_file;
    worker_conf_list_t partner_allow;
    int      log_format, log_level;
    int64_t  heartbeat, partner_connections, max_answer;
    int64_t  mongo_timeout, redis_timeout, amqp_timeout, partner_timeout;   /* ms, as all times */
    int64_t  claim, term_timeout, stats;
} worker_servers_conf_t;

typedef struct {
    const worker_servers_conf_t *conf;
    worker_conf_t               *handle;
    foodsvc_store_t             *store;
    worker_cache_t              *cache;
    worker_urls_t               *urls;
    foodsvc_allow_t              allow;         /* what partner_allow says */
    worker_http_t               *http;
    owed_t                      *owed;
    worker_amqp_t               *amqp;
    int64_t                      prepare_next;  /* monotonic: when the indexes are tried again; 0: they are there */
    int64_t                      store_retry, store_backoff;        /* monotonic; ms; 0: MongoDB answers */
    char                         token[FOODSVC_UUID_TEXT + 1];      /* claims are made in this name */
} worker_servers_t;

/*
 * Reads the settings into `conf`, of program->size bytes, a worker_servers_conf_t first; the options of these are added
 * to program->options, and program->check follows theirs. As worker_conf_open(), it may end the process.
 */
void worker_servers_configure(worker_servers_t *servers, const worker_conf_program_t *program, int argc, char **argv,
    void *conf);
/*
 * Opens everything, whether the servers are there or not. amqp says what differs: consume, prefetch, parking,
 * callbacks. False: it logged why.
 */
bool worker_servers_open(worker_servers_t *servers, worker_amqp_conf_t *amqp);
/* SIGHUP. */
void worker_servers_reload(worker_servers_t *servers);
/* After worker_http_close(), which ends the calls; fires what is still owed a callback. */
void worker_servers_close(worker_servers_t *servers);

/*
 * Whether MongoDB answered a call: its being away and back is logged once each, and while it is away it is tried again
 * after a backoff. When it answers, indexes are made that could not be made before.
 */
void worker_store_noted(worker_servers_t *servers, bool away, const char *reason);
/* ms until it may be called again. */
int64_t worker_store_wait(const worker_servers_t *servers);

/* SIGTERM, SIGINT, SIGHUP come as input of a signalfd; -1: failed. Before any thread begins, so that all inherit it. */
int worker_signals_open(void);

/* The sooner of two waits in ms, of which a negative `other` is none. */
static inline int64_t worker_sooner(int64_t wait, int64_t other)
{
    return other >= 0 && other < wait ? other : wait;
}

#endif
