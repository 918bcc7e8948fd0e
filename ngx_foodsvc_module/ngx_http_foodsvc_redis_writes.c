/*
 * The writes that Redis has not taken yet: a tree by order id for looking up, a queue for sending in order. Bounded:
 * when Redis is away for long, the caller learns that one was lost and distrusts the cache instead of growing.
 */
#include "ngx_http_foodsvc_redis_writes.h"


static void ngx_http_foodsvc_redis_writes_remove(ngx_http_foodsvc_redis_writes_t *writes,
    ngx_http_foodsvc_redis_write_t *write);


void
ngx_http_foodsvc_redis_writes_init(ngx_http_foodsvc_redis_writes_t *writes)
{
    ngx_rbtree_init(&writes->tree, &writes->sentinel, ngx_str_rbtree_insert_value);
    ngx_queue_init(&writes->queue);
    writes->n = 0;
}


ngx_http_foodsvc_redis_write_t *
ngx_http_foodsvc_redis_write_new(const char *id, const char *json, size_t len, size_t rank)
{
    size_t                           n;
    ngx_http_foodsvc_redis_write_t  *write;

    n = ngx_strlen(id);
    if (n > FOODSVC_UUID_TEXT) {
        return NULL;
    }

    write = calloc(1, sizeof(ngx_http_foodsvc_redis_write_t));
    if (write == NULL) {
        return NULL;
    }

    ngx_memcpy(write->id, id, n);
    write->node.str.data = write->id;
    write->node.str.len = n;
    write->node.node.key = ngx_crc32_short(write->id, n);
    write->remove = (json == NULL);
    write->rank = rank;

    if (json) {
        write->json = malloc(len + 1);
        if (write->json == NULL) {
            free(write);
            return NULL;
        }

        ngx_memcpy(write->json, json, len);
        write->json[len] = '\0';
        write->len = len;
    }

    return write;
}


void
ngx_http_foodsvc_redis_write_free(ngx_http_foodsvc_redis_write_t *write)
{
    free(write->json);
    free(write);
}


static void
ngx_http_foodsvc_redis_writes_remove(ngx_http_foodsvc_redis_writes_t *writes, ngx_http_foodsvc_redis_write_t *write)
{
    ngx_rbtree_delete(&writes->tree, &write->node.node);
    ngx_queue_remove(&write->queue);
    writes->n--;
}


ngx_int_t
ngx_http_foodsvc_redis_writes_add(ngx_http_foodsvc_redis_writes_t *writes, ngx_http_foodsvc_redis_write_t *write)
{
    ngx_http_foodsvc_redis_write_t  *old;

    old = ngx_http_foodsvc_redis_writes_find(writes, (char *) write->id);

    if (old) {
        if (old->remove || (!write->remove && old->rank > write->rank)) {
            ngx_http_foodsvc_redis_write_free(write);
            return NGX_OK;
        }

        ngx_http_foodsvc_redis_writes_remove(writes, old);
        ngx_http_foodsvc_redis_write_free(old);
    }

    if (writes->n >= NGX_HTTP_FOODSVC_REDIS_WRITES) {
        ngx_http_foodsvc_redis_write_free(write);
        return NGX_DECLINED;
    }

    ngx_rbtree_insert(&writes->tree, &write->node.node);
    ngx_queue_insert_tail(&writes->queue, &write->queue);
    writes->n++;

    return NGX_OK;
}


ngx_http_foodsvc_redis_write_t *
ngx_http_foodsvc_redis_writes_find(ngx_http_foodsvc_redis_writes_t *writes, const char *id)
{
    ngx_str_t  str;

    if (writes->n == 0) {
        return NULL;
    }

    str.data = (u_char *) id;
    str.len = ngx_strlen(id);

    return (ngx_http_foodsvc_redis_write_t *)
               ngx_str_rbtree_lookup(&writes->tree, &str, ngx_crc32_short(str.data, str.len));
}


ngx_http_foodsvc_redis_write_t *
ngx_http_foodsvc_redis_writes_take(ngx_http_foodsvc_redis_writes_t *writes)
{
    ngx_http_foodsvc_redis_write_t  *write;

    if (writes->n == 0) {
        return NULL;
    }

    write = ngx_queue_data(ngx_queue_head(&writes->queue), ngx_http_foodsvc_redis_write_t, queue);
    ngx_http_foodsvc_redis_writes_remove(writes, write);

    return write;
}
