/*
 * Where a partner is: a table per worker, filled from the setting, else Redis, else MongoDB (which then fills Redis).
 *
 * An entry is good for the caller's foodsvc_url_ttl (at most 2 s), so that a changed address takes effect at once.
 * When it is too old, the first call that needs it starts the lookup, and all others wait for the same one: one entry,
 * one lookup in flight. Entries belong to the worker, not to a request; a lookup goes on when the request that started
 * it has died. Numeric addresses are read here; names are resolved by the store's threads, because getaddrinfo()
 * blocks.
 *
 * A url that was found is called only where foodsvc_partner_allow lets it lead; each address that a name is resolved
 * to is judged. One in Redis that leads elsewhere is as good as none there. A url of the configuration is meant, and
 * not judged.
 */
#include "ngx_http_foodsvc_core.h"


typedef struct {
    ngx_queue_t                 queue;
    ngx_queue_t                 waiting;        /* of ngx_http_foodsvc_lookup_t */
    const char                 *service;
    ngx_str_t                   setting;        /* the configured url, "" when there is none */
    ngx_array_t                *allow;
    ngx_msec_t                  since;
    ngx_http_foodsvc_address_t  address;
    unsigned                    looking:1;
    unsigned                    valid:1;
} ngx_http_foodsvc_entry_t;

static ngx_http_foodsvc_entry_t *ngx_http_foodsvc_entry(const char *service, ngx_str_t *setting, ngx_array_t *allow);
static void ngx_http_foodsvc_look(ngx_http_foodsvc_entry_t *entry);
static void ngx_http_foodsvc_from_redis(ngx_http_foodsvc_op_t *op);
static void ngx_http_foodsvc_ask_mongo(ngx_http_foodsvc_entry_t *entry);
static ngx_uint_t ngx_http_foodsvc_use(ngx_http_foodsvc_entry_t *entry, const char *url, size_t len);
static void ngx_http_foodsvc_sift(ngx_http_foodsvc_entry_t *entry);
static ngx_uint_t ngx_http_foodsvc_numeric(ngx_http_foodsvc_address_t *address);
static void ngx_http_foodsvc_ask_resolver(ngx_http_foodsvc_entry_t *entry, const char *url, size_t len);
static void ngx_http_foodsvc_submit(ngx_http_foodsvc_entry_t *entry, ngx_http_foodsvc_store_op_t *op);
static void ngx_http_foodsvc_from_store(ngx_http_foodsvc_op_t *op);
static void ngx_http_foodsvc_settle(ngx_http_foodsvc_entry_t *entry, ngx_uint_t ok);


static ngx_queue_t   ngx_http_foodsvc_entries;
static ngx_pool_t   *ngx_http_foodsvc_pool;
static ngx_log_t    *ngx_http_foodsvc_log;


ngx_int_t
ngx_http_foodsvc_address_init(ngx_cycle_t *cycle)
{
    ngx_queue_init(&ngx_http_foodsvc_entries);
    ngx_http_foodsvc_pool = cycle->pool;
    ngx_http_foodsvc_log = cycle->log;

    return NGX_OK;
}


void
ngx_http_foodsvc_address(const char *service, ngx_str_t *setting, ngx_array_t *allow, ngx_msec_t ttl,
    ngx_http_foodsvc_lookup_t *lookup)
{
    ngx_http_foodsvc_entry_t  *entry;

    entry = ngx_http_foodsvc_entry(service, setting, allow);
    if (entry == NULL) {
        lookup->done(lookup, NULL);
        return;
    }

    if (entry->valid && ngx_current_msec - entry->since < ttl) {
        lookup->done(lookup, &entry->address);
        return;
    }

    lookup->waiting = 1;
    ngx_queue_insert_tail(&entry->waiting, &lookup->queue);

    if (!entry->looking) {
        ngx_http_foodsvc_look(entry);
    }
}


void
ngx_http_foodsvc_address_cancel(ngx_http_foodsvc_lookup_t *lookup)
{
    if (lookup->waiting) {
        lookup->waiting = 0;
        ngx_queue_remove(&lookup->queue);
    }
}


/* There are as many as services, settings and lists. */
static ngx_http_foodsvc_entry_t *
ngx_http_foodsvc_entry(const char *service, ngx_str_t *setting, ngx_array_t *allow)
{
    ngx_queue_t               *q;
    ngx_http_foodsvc_entry_t  *entry;

    for (q = ngx_queue_head(&ngx_http_foodsvc_entries);
         q != ngx_queue_sentinel(&ngx_http_foodsvc_entries);
         q = ngx_queue_next(q))
    {
        entry = ngx_queue_data(q, ngx_http_foodsvc_entry_t, queue);

        if (entry->allow == allow && entry->setting.len == (setting ? setting->len : 0)
            && (setting == NULL || ngx_memcmp(entry->setting.data, setting->data, setting->len) == 0)
            && ngx_strcmp(entry->service, service) == 0)
        {
            return entry;
        }
    }

    entry = ngx_pcalloc(ngx_http_foodsvc_pool, sizeof(ngx_http_foodsvc_entry_t));
    if (entry == NULL) {
        return NULL;
    }

    entry->service = service;
    entry->allow = allow;

    if (setting) {
        entry->setting = *setting;
    }

    ngx_queue_init(&entry->waiting);
    ngx_queue_insert_tail(&ngx_http_foodsvc_entries, &entry->queue);

    return entry;
}


static void
ngx_http_foodsvc_look(ngx_http_foodsvc_entry_t *entry)
{
    ngx_http_foodsvc_redis_op_t  *op;

    entry->looking = 1;
    entry->valid = 0;

    if (entry->setting.len) {
        if (!ngx_http_foodsvc_use(entry, (char *) entry->setting.data, entry->setting.len)) {
            ngx_http_foodsvc_settle(entry, 0);
        }

        return;
    }

    op = ngx_http_foodsvc_redis_op();

    if (op) {
        op->op.data = entry;
        op->op.done = ngx_http_foodsvc_from_redis;

        if (ngx_http_foodsvc_redis_url_get(op, entry->service) == NGX_OK) {
            return;
        }
    }

    ngx_http_foodsvc_ask_mongo(entry);
}


/* What is in Redis is not trusted: what is no url is as good as nothing. */
static void
ngx_http_foodsvc_from_redis(ngx_http_foodsvc_op_t *op)
{
    ngx_http_foodsvc_entry_t     *entry = op->data;
    ngx_http_foodsvc_redis_op_t  *got = (ngx_http_foodsvc_redis_op_t *) op;

    if (got->rc != NGX_HTTP_FOODSVC_REDIS_VALUE || !ngx_http_foodsvc_use(entry, got->value, got->len)) {
        ngx_http_foodsvc_ask_mongo(entry);
    }
}


static void
ngx_http_foodsvc_ask_mongo(ngx_http_foodsvc_entry_t *entry)
{
    ngx_http_foodsvc_store_op_t  *op;

    op = ngx_http_foodsvc_store_op(NGX_HTTP_FOODSVC_STORE_URL_FIND);
    ngx_http_foodsvc_submit(entry, op);
}


/* False: this is no url, or none that may be called, and nothing was begun. */
static ngx_uint_t
ngx_http_foodsvc_use(ngx_http_foodsvc_entry_t *entry, const char *url, size_t len)
{
    char  err[FOODSVC_ERR];

    if (len >= sizeof(((foodsvc_service_url_t *) NULL)->url)
        || !foodsvc_url_parse(url, len, &entry->address.url, err, sizeof(err)))
    {
        ngx_log_error(NGX_LOG_WARN, ngx_http_foodsvc_log, 0, "foodsvc: the url of %s in Redis is ignored",
                      entry->service);
        return 0;
    }

    if (ngx_http_foodsvc_numeric(&entry->address)) {
        ngx_http_foodsvc_sift(entry);

        if (entry->address.naddrs > 0) {
            ngx_http_foodsvc_settle(entry, 1);
        }

        return entry->address.naddrs > 0;
    }

    ngx_http_foodsvc_ask_resolver(entry, url, len);

    return 1;
}


/* Leaves of the addresses those that may be called. */
static void
ngx_http_foodsvc_sift(ngx_http_foodsvc_entry_t *entry)
{
    ngx_uint_t                   i, n;
    foodsvc_allow_t              allow;
    ngx_http_foodsvc_address_t  *address = &entry->address;

    if (entry->setting.len) {
        return;
    }

    allow.rules = entry->allow ? entry->allow->elts : NULL;
    allow.n = entry->allow ? entry->allow->nelts : 0;

    for (i = 0, n = 0; i < address->naddrs; i++) {
        if (foodsvc_allow_address(&allow, address->url.host, address->url.port,
                                  (struct sockaddr *) &address->addrs[i].sockaddr))
        {
            address->addrs[n++] = address->addrs[i];
        }
    }

    address->naddrs = n;

    if (n == 0) {
        ngx_log_error(NGX_LOG_ERR, ngx_http_foodsvc_log, 0,
                      "foodsvc: the url of %s is not called: foodsvc_partner_allow does not have its host, %s, or its "
                      "address", entry->service, address->url.host);
    }
}


static ngx_uint_t
ngx_http_foodsvc_numeric(ngx_http_foodsvc_address_t *address)
{
    struct sockaddr_in   *sin;
    struct sockaddr_in6  *sin6;

    ngx_memzero(&address->addrs[0], sizeof(address->addrs[0]));
    sin = (struct sockaddr_in *) &address->addrs[0].sockaddr;
    sin6 = (struct sockaddr_in6 *) &address->addrs[0].sockaddr;

    if (inet_pton(AF_INET, address->url.host, &sin->sin_addr) == 1) {
        sin->sin_family = AF_INET;
        sin->sin_port = htons(address->url.port);
        address->addrs[0].socklen = sizeof(struct sockaddr_in);

    } else if (inet_pton(AF_INET6, address->url.host, &sin6->sin6_addr) == 1) {
        sin6->sin6_family = AF_INET6;
        sin6->sin6_port = htons(address->url.port);
        address->addrs[0].socklen = sizeof(struct sockaddr_in6);

    } else {
        return 0;
    }

    address->naddrs = 1;

    return 1;
}


static void
ngx_http_foodsvc_ask_resolver(ngx_http_foodsvc_entry_t *entry, const char *url, size_t len)
{
    ngx_http_foodsvc_store_op_t  *op;

    op = ngx_http_foodsvc_store_op(NGX_HTTP_FOODSVC_STORE_RESOLVE);

    if (op) {
        ngx_memcpy(op->u.url.url.url, url, len);
        op->u.url.url.url[len] = '\0';
    }

    ngx_http_foodsvc_submit(entry, op);
}


/* op == NULL: no memory. */
static void
ngx_http_foodsvc_submit(ngx_http_foodsvc_entry_t *entry, ngx_http_foodsvc_store_op_t *op)
{
    if (op == NULL) {
        ngx_http_foodsvc_settle(entry, 0);
        return;
    }

    (void) ngx_cpystrn((u_char *) op->u.url.url.name, (u_char *) entry->service, sizeof(op->u.url.url.name));
    op->op.data = entry;
    op->op.done = ngx_http_foodsvc_from_store;

    if (ngx_http_foodsvc_store_submit(op) != NGX_OK) {
        op->op.destroy(&op->op);
        ngx_http_foodsvc_settle(entry, 0);
    }
}


static void
ngx_http_foodsvc_from_store(ngx_http_foodsvc_op_t *op)
{
    char                          err[FOODSVC_ERR];
    size_t                        i;
    const char                   *url;
    ngx_http_foodsvc_entry_t     *entry = op->data;
    ngx_http_foodsvc_store_op_t  *got = (ngx_http_foodsvc_store_op_t *) op;

    url = got->u.url.url.url;

    if (got->rc != FOODSVC_STORE_OK) {
        ngx_log_error(NGX_LOG_ERR, ngx_http_foodsvc_log, 0, "foodsvc: no address of %s: %s: %s", entry->service,
                      foodsvc_store_rc_name(got->rc), got->err);
        ngx_http_foodsvc_settle(entry, 0);
        return;
    }

    if (!foodsvc_url_parse(url, ngx_strlen(url), &entry->address.url, err, sizeof(err)) || got->u.url.naddrs == 0) {
        ngx_log_error(NGX_LOG_ERR, ngx_http_foodsvc_log, 0, "foodsvc: the url of %s cannot be used", entry->service);
        ngx_http_foodsvc_settle(entry, 0);
        return;
    }

    entry->address.naddrs = got->u.url.naddrs;

    for (i = 0; i < got->u.url.naddrs; i++) {
        entry->address.addrs[i].sockaddr = got->u.url.addrs[i].sockaddr;
        entry->address.addrs[i].socklen = got->u.url.addrs[i].socklen;
        ngx_inet_set_port((struct sockaddr *) &entry->address.addrs[i].sockaddr, entry->address.url.port);
    }

    ngx_http_foodsvc_sift(entry);

    if (entry->address.naddrs == 0) {
        if (got->kind == NGX_HTTP_FOODSVC_STORE_RESOLVE && entry->setting.len == 0) {
            ngx_http_foodsvc_ask_mongo(entry);      /* it was the one in Redis */

        } else {
            ngx_http_foodsvc_settle(entry, 0);
        }

        return;
    }

    if (got->kind == NGX_HTTP_FOODSVC_STORE_URL_FIND) {
        ngx_http_foodsvc_redis_url_set(entry->service, url);
    }

    ngx_http_foodsvc_settle(entry, 1);
}


static void
ngx_http_foodsvc_settle(ngx_http_foodsvc_entry_t *entry, ngx_uint_t ok)
{
    ngx_queue_t                 all, *q;
    ngx_http_foodsvc_lookup_t  *lookup;

    entry->looking = 0;
    entry->valid = ok;
    entry->since = ngx_current_msec;

    if (ngx_queue_empty(&entry->waiting)) {
        return;
    }

    ngx_queue_init(&all);
    ngx_queue_add(&all, &entry->waiting);
    ngx_queue_init(&entry->waiting);

    while (!ngx_queue_empty(&all)) {
        q = ngx_queue_head(&all);
        lookup = ngx_queue_data(q, ngx_http_foodsvc_lookup_t, queue);
        ngx_queue_remove(q);
        lookup->waiting = 0;
        lookup->done(lookup, ok ? &entry->address : NULL);
    }
}
