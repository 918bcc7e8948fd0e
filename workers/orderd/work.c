#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "foodsvc_time.h"
#include "orderd.h"
#include "worker_log.h"

static void work_call(work_t *work, unsigned owes);


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
    foodsvc_order_free(work->order);
    free(work);
}


bool work_take(orderd_t *orderd, job_t *job)
{
    work_t  *work = work_get(orderd, job->event.order_id);

    if (work == NULL) {
        return false;
    }
    jobs_add(&work->waiting, job);      /* a work that exists is ready or calling: it comes to its waiting jobs */
    return true;
}


void work_ready(work_t *work)
{
    orderd_t  *orderd = work->orderd;

    work->calling = false;
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
    orderd_t  *orderd = work->orderd;
    park_e     park = work->park ? work->park : work->cache_missed ? PARK_CACHE : PARK_NOT;
    job_t     *job;

    while ((job = jobs_take(&work->current)) != NULL) {
        if (park) {
            parking_park(orderd, job, park, work->park ? work->reason : "redis is away",
                         work->order ? work->order->claim_until : 0);
        } else {
            orderd_finish(orderd, job);
        }
    }
    work->park = PARK_NOT;
    work->cache_missed = work->claimed = work->has_change = false;
    work->tried = 0;
    if (work->waiting.head) {
        work_ready(work);
    } else {
        work_free(work);
    }
}


/* The next thing to store is a change of ours. */
static void work_change(work_t *work, const foodsvc_change_t *change, bool release)
{
    work->change = *change;
    work->has_change = true;
    work->release = release;
    work_ready(work);
}


/* A change that changes nothing, but takes or gives back the claim. */
static void work_touch(work_t *work, bool release)
{
    foodsvc_change_t  change = { .kind = FOODSVC_CHANGE_EVENT, .status = work->order->status,
                                 .when = foodsvc_time_now() };

    work_change(work, &change, release);
}


static void work_failed(work_t *work, park_e park, const char *reason)
{
    work->park = park;
    snprintf(work->reason, sizeof(work->reason), "%s", reason);
}


/* Will the order owe more, when the change is stored? Only a guess: another process may have changed it meanwhile. */
static bool owes_after(const work_t *work, const foodsvc_change_t *change)
{
    foodsvc_order_t  *copy = foodsvc_order_copy(work->order);
    bool              ok = true, owes;

    if (copy == NULL) {
        return true;
    }
    foodsvc_order_decide(copy, change, &ok);
    owes = (foodsvc_order_owes(copy) & ~work->tried) != 0;
    foodsvc_order_free(copy);
    return owes;
}


static void work_called(void *ctx, const owed_result_t *result)
{
    work_t    *work = ctx;
    unsigned   owes;

    work->tried |= result->what;
    if (result->rc == OWED_DONE) {
        worker_log(WORKER_LOG_INFO, "did what the order owed", worker_text("order", work->id),
                   worker_text("owed", foodsvc_owes_name(result->what)));
    } else {
        worker_log(WORKER_LOG_WARN, "could not do what the order owes", worker_text("order", work->id),
                   worker_text("owes", foodsvc_owes_name(result->what)), worker_text("reason", result->reason));
    }
    if (result->rc == OWED_DONE && result->has_change) {
        work_change(work, &result->change, !owes_after(work, &result->change));
        return;
    }
    /* a partner that may come back outweighs a refusal */
    if (result->rc != OWED_DONE && work->park != PARK_PARTNER) {
        work_failed(work, result->rc == OWED_LATER ? PARK_PARTNER : PARK_REFUSED, result->reason);
    }
    owes = foodsvc_order_owes(work->order) & ~work->tried;
    if (owes) {
        work_call(work, owes);
    } else {
        work_touch(work, true);
    }
}


static void work_call(work_t *work, unsigned owes)
{
    work->calling = true;
    work->orderd->stats.called++;
    if (!owed_start(work->orderd->owed, work->order, owes & -owes, work_called, work)) {
        work->tried |= owes;
        work_failed(work, PARK_PARTNER, "no memory");
        work_touch(work, true);
    }
}


void work_step(work_t *work)
{
    unsigned  owes = foodsvc_order_owes(work->order) & ~work->tried;

    if (owes == 0) {
        if (work->claimed && !work->stored_release && work->tried) {
            work_touch(work, true);     /* the guess was wrong: nothing is left to do under the claim */
            return;
        }
        work_end(work);
        return;
    }
    if (work->claimed) {
        work_call(work, owes);
        return;
    }
    if (work->stored_release) {
        work_touch(work, false);        /* given back too early: there is more to do after all */
        return;
    }
    if (work->park == PARK_NOT) {
        work_failed(work, PARK_BUSY, "another process is doing what the order owes");
    }
    work_end(work);
}
