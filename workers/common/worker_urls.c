#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "foodsvc_names.h"
#include "foodsvc_time.h"
#include "foodsvc_url.h"
#include "worker_log.h"
#include "worker_urls.h"

#define SERVICES    16
#define FRESH_MS    2000        /* the contract's most */
/* a failure is remembered, so that many askers don't each wait for a database that is away */
#define FAILED_MS   500

typedef struct {
    foodsvc_service_url_t  found;
    int64_t                when;    /* monotonic; 0: forgotten */
    int64_t                failed;  /* monotonic; 0: it did not */
    char                   err[FOODSVC_ERR];
} known_t;

struct worker_urls_s {
    foodsvc_store_t *store;
    worker_cache_t  *cache;
    foodsvc_allow_t  allow;
    known_t          known[SERVICES];
    size_t           nknown;
};


worker_urls_t *worker_urls_open(foodsvc_store_t *store, worker_cache_t *cache)
{
    worker_urls_t  *urls = calloc(1, sizeof(*urls));

    if (urls) {
        urls->store = store;
        urls->cache = cache;
    }
    return urls;
}


void worker_urls_close(worker_urls_t *urls)
{
    free(urls);
}


void worker_urls_allow(worker_urls_t *urls, const foodsvc_allow_t *allow)
{
    urls->allow = *allow;
}


void worker_urls_forget(worker_urls_t *urls)
{
    for (size_t i = 0; i < urls->nknown; i++) {
        urls->known[i].when = urls->known[i].failed = 0;
    }
}


static known_t *known_find(worker_urls_t *urls, const char *service)
{
    size_t  i = 0;

    while (i < urls->nknown && strcmp(urls->known[i].found.name, service) != 0) {
        i++;
    }
    if (i == urls->nknown) {
        i = urls->nknown < SERVICES ? urls->nknown++ : 0;
        urls->known[i] = (known_t) { 0 };
        snprintf(urls->known[i].found.name, sizeof(urls->known[i].found.name), "%s", service);
    }
    return &urls->known[i];
}


/* What Redis holds is not trusted: an entry that is no url, or leads where it may not, is as good as none. */
static bool from_cache(worker_urls_t *urls, known_t *known)
{
    foodsvc_url_t  url;
    char           err[FOODSVC_ERR];

    return urls->cache
           && worker_cache_url(urls->cache, known->found.name, known->found.url, sizeof(known->found.url))
           && foodsvc_url_parse(known->found.url, strlen(known->found.url), &url, err, sizeof(err))
           && foodsvc_allow_host(&urls->allow, url.host, url.port);
}


static bool from_store(worker_urls_t *urls, known_t *known, char err[FOODSVC_ERR])
{
    foodsvc_service_url_t  found;
    foodsvc_url_t          url;
    char                   why[FOODSVC_ERR] = "";
    foodsvc_store_rc_e     rc = foodsvc_store_url_find(urls->store, known->found.name, &found, why);

    if (rc == FOODSVC_STORE_NOT_FOUND) {
        snprintf(err, FOODSVC_ERR, "%.60s is not in " FOODSVC_SERVICE_URLS, known->found.name);
        return false;
    }
    if (rc != FOODSVC_STORE_OK || !foodsvc_url_parse(found.url, strlen(found.url), &url, why, sizeof(why))) {
        snprintf(err, FOODSVC_ERR, "the url of %.60s: %.150s", known->found.name,
                 *why ? why : foodsvc_store_rc_name(rc));
        return false;
    }
    if (!foodsvc_allow_host(&urls->allow, url.host, url.port)) {
        snprintf(err, FOODSVC_ERR, "the url of %.60s: partner_allow does not have its host, %.100s", known->found.name,
                 url.host);
        return false;
    }
    memcpy(known->found.url, found.url, sizeof(known->found.url));
    if (urls->cache) {
        worker_cache_url_set(urls->cache, known->found.name, found.url);
    }
    return true;
}


const char *worker_urls_find(worker_urls_t *urls, const char *service, char err[FOODSVC_ERR])
{
    known_t  *known = known_find(urls, service);
    int64_t   now = foodsvc_time_monotonic();
    size_t    len;

    if (known->when && now - known->when < FRESH_MS) {
        return known->found.url;
    }
    known->when = 0;
    if ((known->failed && now - known->failed < FAILED_MS)
        || (!from_cache(urls, known) && !from_store(urls, known, known->err)))
    {
        known->failed = known->failed && now - known->failed < FAILED_MS ? known->failed : foodsvc_time_monotonic();
        memcpy(err, known->err, FOODSVC_ERR);
        return NULL;
    }
    known->failed = 0;
    len = strlen(known->found.url);
    if (len > 0 && known->found.url[len - 1] == '/') {
        known->found.url[len - 1] = '\0';
    }
    known->when = foodsvc_time_monotonic();
    return known->found.url;
}
