/*
 * What was shown: how far each order had come when an answer last showed it.
 *
 * Redis may hold an entry that is older than an answer that was given. A writer whose connection was cut could not
 * refresh it; Redis was stopped, and goes on with what it had; it was killed, and loaded an old dump; a replica took
 * over; a tombstone went with its data. So an answer from the cache is given only when its order has come at least as
 * far as any answer of this nginx showed before; otherwise MongoDB is asked, and the entry replaced.
 *
 * The table is in shared memory, so that it is the same for all workers and outlives a reload. It is a cache in its
 * form: the id's hash chooses a bucket, a bucket keeps the WAYS orders that were shown last. Forgetting one costs this
 * guard for that order, nothing else; two ids with the same 64 bits share a place, and the one behind is asked of MongoDB.
 * A rank never falls. A deleted order has one that no entry reaches.
 *
 * A bucket is read and written under the zone's lock, for some tens of nanoseconds.
 */
#include "ngx_http_foodsvc_core.h"
#include "ngx_http_foodsvc_flow.h"

#define NGX_HTTP_FOODSVC_SHOWN_WAYS     8
#define NGX_HTTP_FOODSVC_SHOWN_DELETED  NGX_MAX_UINT32_VALUE


typedef struct {
    uint64_t  id;               /* of the uuid's random bits; 0: free */
    uint32_t  rank;
    uint32_t  used;             /* when, in the bucket's own time */
} ngx_http_foodsvc_shown_t;

typedef struct {
    ngx_uint_t                n;
    uint32_t                  time;
    ngx_http_foodsvc_shown_t  shown[];
} ngx_http_foodsvc_shown_zone_t;


static ngx_int_t ngx_http_foodsvc_shown_init(ngx_shm_zone_t *zone, void *data);
static ngx_http_foodsvc_shown_t *ngx_http_foodsvc_shown_find(ngx_http_foodsvc_shown_zone_t *table, uint64_t id);
static uint32_t ngx_http_foodsvc_shown_raise(const char *id, uint32_t rank);


static ngx_shm_zone_t  *ngx_http_foodsvc_shown_zone;     /* this worker's */


ngx_shm_zone_t *
ngx_http_foodsvc_shown_add(ngx_conf_t *cf, size_t size)
{
    ngx_str_t        name = ngx_string("foodsvc_shown");
    ngx_shm_zone_t  *zone;

    zone = ngx_shared_memory_add(cf, &name, size, &ngx_http_foodsvc_module);
    if (zone) {
        zone->init = ngx_http_foodsvc_shown_init;
    }

    return zone;
}


void
ngx_http_foodsvc_shown_init_process(ngx_shm_zone_t *zone)
{
    ngx_http_foodsvc_shown_zone = zone;
}


static ngx_int_t
ngx_http_foodsvc_shown_init(ngx_shm_zone_t *zone, void *data)
{
    size_t                          buckets, bucket;
    ngx_slab_pool_t                *pool = (ngx_slab_pool_t *) zone->shm.addr;
    ngx_http_foodsvc_shown_zone_t  *table;

    if (data) {                         /* a reload */
        zone->data = data;
        return NGX_OK;
    }

    /* the slab keeps a page header for each of its pages, and what is left is the table */
    bucket = NGX_HTTP_FOODSVC_SHOWN_WAYS * sizeof(ngx_http_foodsvc_shown_t);
    buckets = (zone->shm.size - zone->shm.size / 64 - 4 * ngx_pagesize) / bucket;

    table = ngx_slab_calloc(pool, sizeof(ngx_http_foodsvc_shown_zone_t) + buckets * bucket);
    if (table == NULL) {
        return NGX_ERROR;
    }

    table->n = buckets;
    zone->data = table;
    return NGX_OK;
}


ngx_uint_t
ngx_http_foodsvc_shown(const char *id, size_t rank)
{
    return ngx_http_foodsvc_shown_raise(id, (uint32_t) ngx_min(rank, NGX_HTTP_FOODSVC_SHOWN_DELETED - 1)) <= rank;
}


void
ngx_http_foodsvc_shown_deleted(const char *id)
{
    (void) ngx_http_foodsvc_shown_raise(id, NGX_HTTP_FOODSVC_SHOWN_DELETED);
}


/* What it is afterwards: rank, or more. */
static uint32_t
ngx_http_foodsvc_shown_raise(const char *id, uint32_t rank)
{
    char                            err[FOODSVC_ERR];
    uint64_t                        bits;
    foodsvc_uuid_t                  uuid;
    ngx_slab_pool_t                *pool;
    ngx_http_foodsvc_shown_t       *shown;
    ngx_http_foodsvc_shown_zone_t  *table;

    if (ngx_http_foodsvc_shown_zone == NULL
        || !foodsvc_uuid_parse(id, ngx_strlen(id), &uuid, err, sizeof(err)))
    {
        return rank;
    }

    /* a UUID's first half may be a time; both go in, since an id may be of any version */
    ngx_memcpy(&bits, uuid.bytes + 8, sizeof(bits));
    bits ^= ((uint64_t) ngx_murmur_hash2(uuid.bytes, 8) << 32 | 1);

    table = ngx_http_foodsvc_shown_zone->data;
    pool = (ngx_slab_pool_t *) ngx_http_foodsvc_shown_zone->shm.addr;

    ngx_shmtx_lock(&pool->mutex);

    shown = ngx_http_foodsvc_shown_find(table, bits);
    shown->used = ++table->time;

    if (shown->id != bits) {
        shown->id = bits;
        shown->rank = rank;

    } else if (shown->rank < rank) {
        shown->rank = rank;
    }

    rank = shown->rank;

    ngx_shmtx_unlock(&pool->mutex);

    return rank;
}


/* Its place, or the one that has to give way: free, or the longest unused. */
static ngx_http_foodsvc_shown_t *
ngx_http_foodsvc_shown_find(ngx_http_foodsvc_shown_zone_t *table, uint64_t id)
{
    ngx_uint_t                 i;
    ngx_http_foodsvc_shown_t  *bucket, *place;

    bucket = &table->shown[ngx_murmur_hash2((u_char *) &id, sizeof(id)) % table->n * NGX_HTTP_FOODSVC_SHOWN_WAYS];
    place = bucket;

    for (i = 0; i < NGX_HTTP_FOODSVC_SHOWN_WAYS; i++) {
        if (bucket[i].id == id) {
            return &bucket[i];
        }

        if (table->time - bucket[i].used > table->time - place->used) {
            place = &bucket[i];
        }
    }

    return place;
}
