/*
 * Writes to the cache that are still to be made: of each order the newest. Pure bookkeeping; event loop only.
 */
#ifndef NGX_HTTP_FOODSVC_REDIS_WRITES_H
#define NGX_HTTP_FOODSVC_REDIS_WRITES_H

#include <ngx_config.h>
#include <ngx_core.h>

#include "foodsvc_uuid.h"

#define NGX_HTTP_FOODSVC_REDIS_WRITES  4096

typedef struct {
    ngx_str_node_t  node;               /* in writes.tree: str is id */
    ngx_queue_t     queue;              /* in writes.queue, oldest first */
    u_char          id[FOODSVC_UUID_TEXT + 1];
    ngx_uint_t      remove;             /* delete the entry; json is NULL then */
    char           *json;               /* owned */
    size_t          len;
    size_t          rank;
} ngx_http_foodsvc_redis_write_t;

typedef struct {
    ngx_rbtree_t       tree;
    ngx_rbtree_node_t  sentinel;
    ngx_queue_t        queue;
    ngx_uint_t         n;
} ngx_http_foodsvc_redis_writes_t;

void ngx_http_foodsvc_redis_writes_init(ngx_http_foodsvc_redis_writes_t *writes);

/* json NULL: a deletion. Copies. NULL: no memory, or an id that is too long. */
ngx_http_foodsvc_redis_write_t *ngx_http_foodsvc_redis_write_new(const char *id, const char *json, size_t len,
    size_t rank);
void ngx_http_foodsvc_redis_write_free(ngx_http_foodsvc_redis_write_t *write);

/* Takes write. NGX_DECLINED: too many, write was freed. A deletion is final; of two others the longer history stays. */
ngx_int_t ngx_http_foodsvc_redis_writes_add(ngx_http_foodsvc_redis_writes_t *writes,
    ngx_http_foodsvc_redis_write_t *write);
ngx_http_foodsvc_redis_write_t *ngx_http_foodsvc_redis_writes_find(ngx_http_foodsvc_redis_writes_t *writes,
    const char *id);
/* The oldest, which is the caller's then; NULL: none. */
ngx_http_foodsvc_redis_write_t *ngx_http_foodsvc_redis_writes_take(ngx_http_foodsvc_redis_writes_t *writes);

#endif
