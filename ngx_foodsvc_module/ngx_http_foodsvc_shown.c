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
 * guard for that order, nothing else; two ids with the same 64 bits share a place, and the one behind is asked of
 * MongoDB. A rank never falls. A deleted order has one that no entry reaches.
 *
 * A new table, which is every start but a reload, knows nothing of what the nginx before it showed, and Redis may have
 * older entries than that: the one before, or a worker, was killed or is cut off from Redis while it owes it a write or
 * a deletion. So until an entry from before the start must have expired, one of an order that is not in the table is
 * believed only when it was written later than `settle` after the start. Its time to live says when that was, by Redis'
 * own clock. `settle` is for the writers: one that comes back to Redis may bring what it had kept while another still
 * owes the newer. An order's first read goes to MongoDB then, puts it into the table, and its entry is judged by its
 * rank from there on. An entry without an expiry is none of a service's; it has no age, and is judged by that
 * alone.
 *
 * A bucket is read and written under the zone's lock, for some tens of nanoseconds.
 */
#include "ngx_http_foodsvc_core.h"
#include "ngx_http_foodsvc_flow.h"

#define NGX_HTTP_FOODSVC_SHOWN_WAYS     8
#define NGX_HTTP_FOODSVC_SHOWN_DELETED  NGX_MAX_UINT32_VALUE
#define NGX_HTTP_FOODSVC_SHOWN_TTL      ((ngx_msec_t) FOODSVC_CACHE_ORDER_TTL * 1000)


typedef struct {
    uint64_t  id;               /* of the uuid's random bits; 0: free */
    uint32_t  rank;
    uint32_t  used;             /* when, in the bucket's own time */
} ngx_http_foodsvc_shown_t;

typedef struct {
    ngx_uint_t                n;
    ngx_msec_t                began;            /* the monotonic clock is the same for all processes of a host */
    uint32_t                  time;
    ngx_http_foodsvc_shown_t  shown[];
} ngx_http_foodsvc_shown_zone_t;


static ngx_int_t ngx_http_foodsvc_shown_init(ngx_shm_zone_t *zone, void *data);
static uint64_t ngx_http_foodsvc_shown_bits(const char *id);
static ngx_http_foodsvc_shown_t *ngx_http_foodsvc_shown_find(ngx_http_foodsvc_shown_zone_t *table, uint64_t id);
static uint32_t ngx_http_foodsvc_shown_raise(const char *id, uint32_t rank);


/* this worker's */
static ngx_shm_zone_t  *ngx_http_foodsvc_shown_zone;
static ngx_msec_t       ngx_http_foodsvc_shown_settle;


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
ngx_http_foodsvc_shown_init_process(ngx_shm_zone_t *zone, ngx_msec_t settle)
{
    ngx_http_foodsvc_shown_zone = zone;
    ngx_http_foodsvc_shown_settle = settle;
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
    table->began = ngx_current_msec;
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


ngx_uint_t
ngx_http_foodsvc_shown_knows(const char *id)
{
    uint64_t                        bits;
    ngx_uint_t                      known;
    ngx_slab_pool_t                *pool;
    ngx_http_foodsvc_shown_zone_t  *table;

    if (ngx_http_foodsvc_shown_zone == NULL || ngx_http_foodsvc_shown_settle == 0) {
        return 1;
    }

    table = ngx_http_foodsvc_shown_zone->data;

    if (ngx_current_msec - table->began > NGX_HTTP_FOODSVC_SHOWN_TTL + ngx_http_foodsvc_shown_settle) {
        return 1;
    }

    bits = ngx_http_foodsvc_shown_bits(id);
    pool = (ngx_slab_pool_t *) ngx_http_foodsvc_shown_zone->shm.addr;

    ngx_shmtx_lock(&pool->mutex);

    known = ngx_http_foodsvc_shown_find(table, bits)->id == bits;

    ngx_shmtx_unlock(&pool->mutex);

    return known;
}


ngx_uint_t
ngx_http_foodsvc_shown_recent(ngx_int_t ttl)
{
    ngx_msec_t                      age;
    ngx_http_foodsvc_shown_zone_t  *table;

    if (ttl < 0 || ngx_http_foodsvc_shown_zone == NULL) {
        return ttl == -1;               /* without an expiry */
    }

    table = ngx_http_foodsvc_shown_zone->data;
    age = NGX_HTTP_FOODSVC_SHOWN_TTL - ngx_min((ngx_msec_t) ttl, NGX_HTTP_FOODSVC_SHOWN_TTL);

    return age + ngx_http_foodsvc_shown_settle <= ngx_current_msec - table->began;
}


/* 0: it is no UUID. */
static uint64_t
ngx_http_foodsvc_shown_bits(const char *id)
{
    char            err[FOODSVC_ERR];
    uint64_t        bits;
    foodsvc_uuid_t  uuid;

    if (!foodsvc_uuid_parse(id, ngx_strlen(id), &uuid, err, sizeof(err))) {
        return 0;
    }

    /* a UUID's first half may be a time; both go in, since an id may be of any version */
    ngx_memcpy(&bits, uuid.bytes + 8, sizeof(bits));

    return bits ^ ((uint64_t) ngx_murmur_hash2(uuid.bytes, 8) << 32 | 1);
}


/* What it is afterwards: rank, or more. */
static uint32_t
ngx_http_foodsvc_shown_raise(const char *id, uint32_t rank)
{
    uint64_t                        bits;
    ngx_slab_pool_t                *pool;
    ngx_http_foodsvc_shown_t       *shown;
    ngx_http_foodsvc_shown_zone_t  *table;

    bits = ngx_http_foodsvc_shown_zone ? ngx_http_foodsvc_shown_bits(id) : 0;
    if (bits == 0) {
        return rank;
    }

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
