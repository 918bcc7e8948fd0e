/*
 * Redis: the commands that read and write the cache, as argument vectors; the one owner of keys, scripts and times to
 * live. Knows no connection: nginx sends them with hiredis' async API, the workers in a blocking pipeline.
 *
 * An order's entry is never replaced by an older one: the writer is a script that compares the entry's rank
 * (foodsvc_order_rank()) with the new one's (rubbish, a wrong type and an entry of the original's form are replaced
 * whenever they are not newer). A deleted order leaves a tombstone that the writer respects. Scripts are sent with
 * EVALSHA; on NOSCRIPT the caller sends the same with EVAL.
 */
#ifndef FOODSVC_CACHE_H
#define FOODSVC_CACHE_H

#include <stddef.h>
#include "foodsvc_order.h"

#define FOODSVC_CACHE_ARGS      10

/* argv points into buf, into static text and to the arguments given; valid as long as those are. */
typedef struct {
    int         argc;
    const char *argv[FOODSVC_CACHE_ARGS];
    size_t      lens[FOODSVC_CACHE_ARGS];
    char        buf[256];
} foodsvc_cache_cmd_t;

/* GET <id> */
void foodsvc_cache_order_get(foodsvc_cache_cmd_t *cmd, const char *id);
/* How long the entry still lives, PTTL: integer, ms; -1: for ever, -2: there is none. Its age is what it lacks of
   FOODSVC_CACHE_ORDER_TTL, by Redis' own clock. */
void foodsvc_cache_order_ttl(foodsvc_cache_cmd_t *cmd, const char *id);
/* Compare and set. `json` is foodsvc_order_cache_json()'s; rank its order's. `eval`: EVAL with the script's text
   instead of its SHA-1. Replies integer 1 (set), 0 (kept: newer, or deleted). */
void foodsvc_cache_order_set(foodsvc_cache_cmd_t *cmd, const char *id, const char *json, size_t len, size_t rank,
    bool eval);
/* Deletes the entry and leaves the tombstone, in one script. */
void foodsvc_cache_order_delete(foodsvc_cache_cmd_t *cmd, const char *id, bool eval);
void foodsvc_cache_url_get(foodsvc_cache_cmd_t *cmd, const char *service);
void foodsvc_cache_url_set(foodsvc_cache_cmd_t *cmd, const char *service, const char *url);
void foodsvc_cache_url_delete(foodsvc_cache_cmd_t *cmd, const char *service);
/* Is this error reply NOSCRIPT? */
bool foodsvc_cache_noscript(const char *error, size_t len);

#endif
