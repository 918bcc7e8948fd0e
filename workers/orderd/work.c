#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "foodsvc_time.h"
#include "orderd.h"
#include "worker_log.h"

static const serve_owner_t owner;


void jobs_init(jobs_t *jobs)
{
    jobs->head = NULL;
    jobs->tail = &jobs->head;
}


void jobs_add(jobs_t *jobs, job_t *job)
{
    job->next = NULL;
    *jobs->tail = job;
    jobs->tail = &job->next;
}


job_t *jobs_take(jobs_t *jobs)
{
    job_t  *job = jobs->head;

    if (job) {
        jobs->head = job->next;
        job->next = NULL;
        if (jobs->head == NULL) {
            jobs->tail = &jobs->head;
        }
    }
    return job;
}


void jobs_prepend(jobs_t *jobs, jobs_t *front)
{
    job_t  *job;
    jobs_t  all;

    jobs_init(&all);
    while ((job = jobs_take(front)) != NULL) {
        jobs_add(&all, job);
    }
    while ((job = jobs_take(jobs)) != NULL) {
        jobs_add(&all, job);
    }
    while ((job = jobs_take(&all)) != NULL) {
        jobs_add(jobs, job);
    }
}


/* --- the map of works --- */

static work_t **bucket_of(orderd_t *orderd, const char *id)
{
    uint32_t  hash = 2166136261U;

    for (const char *c = id; *c; c++) {
        hash = (hash ^ (unsigned char) *c) * 16777619U;
    }
    return &orderd->buckets[hash % WORK_BUCKETS];
}


static work_t *work_get(orderd_t *orderd, const char *id)
{
    work_t  **bucket = bucket_of(orderd, id), *work = *bucket;

    while (work && strcmp(work->id, id) != 0) {
        work = work->hash_next;
    }
    if (work) {
        return work;
    }
    work = calloc(1, sizeof(*work));
    if (work) {
        snprintf(work->id, sizeof(work->id), "%s", id);
        jobs_init(&work->waiting);
        jobs_init(&work->current);
        work->orderd = orderd;
        work->serve.owner = &owner;
        work->serve.owed = orderd->servers.owed;
        work->hash_next = *bucket;
        *bucket = work;
        orderd->nworks++;
        work_ready(work);
    }
    return work;
}


static void jobs_drop(jobs_t *jobs)
{
    job_t  *job;

    while ((job = jobs_take(jobs)) != NULL) {
        orderd_job_free(job);
    }
}


static void work_free(work_t *work)
{
    work_t  **link = bucket_of(work->orderd, work->id);

    while (*link != work) {
        link = &(*link)->hash_next;
    }
    *link = work->hash_next;
    work->orderd->nworks--;
    jobs_drop(&work->waiting);
    jobs_drop(&work->current);
    serve_free(&work->serve);
    free(work);
}


bool work_take(orderd_t *orderd, job_t *job)
{
    work_t  *work = work_get(orderd, job->event.order_id);

    if (work == NULL) {
        return false;
    }
    jobs_add(&work->waiting, job);      /* a work that exists is ready or being served: it comes to its waiting jobs */
    return true;
}


void work_ready(work_t *work)
{
    orderd_t  *orderd = work->orderd;

    work->ready_next = NULL;
    *orderd->ready_tail = work;
    orderd->ready_tail = &work->ready_next;
}


void works_void(orderd_t *orderd)
{
    for (size_t i = 0; i < WORK_BUCKETS; i++) {
        for (work_t *work = orderd->buckets[i]; work; work = work->hash_next) {
            jobs_drop(&work->waiting);
            jobs_drop(&work->current);
        }
    }
}


void works_free(orderd_t *orderd)
{
    for (size_t i = 0; i < WORK_BUCKETS; i++) {
        while (orderd->buckets[i]) {
            work_free(orderd->buckets[i]);
        }
    }
    orderd->ready = NULL;
    orderd->ready_tail = &orderd->ready;
}


/* --- a round --- */

void work_end(work_t *work)
{
    static const park_e  parks[] = { [SERVE_DONE] = PARK_NOT, [SERVE_BUSY] = PARK_BUSY,
                                     [SERVE_REFUSED] = PARK_REFUSED, [SERVE_LATER] = PARK_PARTNER };
    orderd_t            *orderd = work->orderd;
    park_e               park = work->park;
    const char          *reason = work->reason;
    job_t               *job;

    if (park == PARK_NOT) {
        park = parks[work->serve.rc];
        reason = work->serve.reason;
    }
    if (park == PARK_NOT && work->cache_missed) {
        park = PARK_CACHE;
        reason = "redis is away";
    }
    while ((job = jobs_take(&work->current)) != NULL) {
        if (park) {
            parking_park(orderd, job, park, reason, work->serve.order ? work->serve.order->claim_until : 0);
        } else {
            orderd_finish(orderd, job);
        }
    }
    work->park = PARK_NOT;
    work->cache_missed = false;
    serve_again(&work->serve);
    if (work->waiting.head) {
        work_ready(work);
    } else {
        work_free(work);
    }
}


/* --- what serve.c tells --- */

static work_t *work_of(serve_t *serve)
{
    return (work_t *) ((char *) serve - offsetof(work_t, serve));
}


static void serve_ready(serve_t *serve)
{
    work_ready(work_of(serve));
}


static void serve_end(serve_t *serve)
{
    work_end(work_of(serve));
}


static void serve_called(serve_t *serve, const owed_result_t *result)
{
    work_t  *work = work_of(serve);

    work->orderd->stats.called++;
    if (result->rc == OWED_DONE) {
        worker_log(WORKER_LOG_INFO, "did what the order owed", worker_text("order", work->id),
                   worker_text("owed", foodsvc_owes_name(result->what)));
    } else {
        worker_log(WORKER_LOG_WARN, "could not do what the order owes", worker_text("order", work->id),
                   worker_text("owes", foodsvc_owes_name(result->what)), worker_text("reason", result->reason));
    }
}


static const serve_owner_t owner = { .ready = serve_ready, .end = serve_end, .called = serve_called };
