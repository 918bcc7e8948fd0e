/*
 * A batch: up to FOODSVC_STORE_BATCH changes of ready works, in one call of the store. A work brings either one
 * change of its own (a partner's answer) or all events that wait for it, in their order. Then each work is judged by
 * all its ops together.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "foodsvc_time.h"
#include "orderd.h"
#include "worker_log.h"

typedef struct {
    foodsvc_store_change_op_t  op;
    work_t                    *work;
    job_t                     *job;     /* NULL: a change of ours */
} batch_op_t;

typedef struct {
    batch_op_t                 ops[FOODSVC_STORE_BATCH];
    foodsvc_store_change_op_t *list[FOODSVC_STORE_BATCH];
    size_t                     n;
} batch_t;


int64_t batch_wait(const orderd_t *orderd)
{
    return orderd->ready == NULL ? -1 : worker_store_wait(&orderd->servers);
}


static work_t *ready_take(orderd_t *orderd)
{
    work_t  *work = orderd->ready;

    orderd->ready = work->ready_next;
    if (orderd->ready == NULL) {
        orderd->ready_tail = &orderd->ready;
    }
    work->ready_next = NULL;
    return work;
}


static void batch_add(batch_t *batch, work_t *work, job_t *job)
{
    batch_op_t  *one = &batch->ops[batch->n];
    orderd_t    *orderd = work->orderd;

    one->work = work;
    one->job = job;
    serve_op(&work->serve, work->id, orderd->servers.token, orderd->conf.servers.claim, &one->op);
    if (job) {
        foodsvc_event_change(&job->event, foodsvc_time_now(), &one->op.change);
        one->op.release = false;
    }
    batch->list[batch->n++] = &one->op;
}


static void batch_fill(orderd_t *orderd, batch_t *batch)
{
    while (orderd->ready && batch->n < FOODSVC_STORE_BATCH) {
        work_t  *work = ready_take(orderd);
        job_t   *job;

        if (work->serve.has_change) {
            batch_add(batch, work, NULL);
            continue;
        }
        while (batch->n < FOODSVC_STORE_BATCH && (job = jobs_take(&work->waiting)) != NULL) {
            jobs_add(&work->current, job);
            batch_add(batch, work, job);
        }
        if (work->current.head == NULL) {
            work_end(work);     /* its messages have become void */
        }
    }
}


static void count(orderd_t *orderd, const batch_op_t *one)
{
    orderd_stats_t  *stats = &orderd->stats;

    if (one->job == NULL) {
        return;
    }
    switch (one->op.verdict) {
    case FOODSVC_APPLIED: stats->applied++; break;
    case FOODSVC_EARLY: stats->early++; break;
    case FOODSVC_NOTED: stats->noted++; break;
    case FOODSVC_DUPLICATE: stats->duplicate++; break;
    case FOODSVC_LATE: stats->late++; break;
    default: stats->refused++; break;
    }
    worker_log(one->op.verdict == FOODSVC_LATE || one->op.verdict == FOODSVC_EARLY ? WORKER_LOG_INFO : WORKER_LOG_DEBUG,
               "event", worker_text("order", one->op.id),
               worker_text("status", foodsvc_status_name(one->job->event.status)),
               worker_text("verdict", foodsvc_verdict_name(one->op.verdict)));
}


/* Buries the job when the order refuses its event, whatever becomes of the others. */
static void bury_refused(batch_op_t *one)
{
    work_t  *work = one->work;
    jobs_t   rest;
    job_t   *job;
    char     reason[FOODSVC_ERR];

    if (one->job == NULL || one->op.verdict != FOODSVC_REFUSED) {
        return;
    }
    jobs_init(&rest);
    while ((job = jobs_take(&work->current)) != NULL) {
        if (job != one->job) {
            jobs_add(&rest, job);
        }
    }
    jobs_prepend(&work->current, &rest);
    snprintf(reason, sizeof(reason), "%s is not legal for an order that is %s",
             foodsvc_status_name(one->job->event.status), foodsvc_status_name(work->serve.order->status));
    parking_bury(work->orderd, one->job, reason);
}


/* What goes for the whole work: how its ops went in the store. */
typedef enum { STORED, STORE_AWAY, STORE_SAID_NO } stored_e;

static stored_e work_stored(batch_op_t *ops, size_t n, foodsvc_store_rc_e *rc, const char **err)
{
    for (size_t i = 0; i < n; i++) {
        *rc = ops[i].op.rc;
        *err = ops[i].op.err;
        if (*rc == FOODSVC_STORE_UNAVAILABLE || *rc == FOODSVC_STORE_UNKNOWN) {
            return STORE_AWAY;
        }
        if (*rc != FOODSVC_STORE_OK) {
            return STORE_SAID_NO;
        }
    }
    return STORED;
}


/* The database answered, but the order is not there or can't be changed. */
static void work_unstorable(work_t *work, foodsvc_store_rc_e rc, const char *err)
{
    job_t  *job;

    work->serve.has_change = false;
    if (rc == FOODSVC_STORE_NOT_FOUND) {
        work->park = PARK_UNKNOWN_ORDER;
        snprintf(work->reason, sizeof(work->reason), "order %s does not exist", work->id);
    } else if (rc == FOODSVC_STORE_UNREADABLE) {
        while ((job = jobs_take(&work->current)) != NULL) {
            parking_bury(work->orderd, job, err);
        }
    } else {
        work->park = PARK_DATABASE;
        snprintf(work->reason, sizeof(work->reason), "%.200s", *err ? err : foodsvc_store_rc_name(rc));
    }
    work_end(work);
}


/* All again, later: what was stored already will be found to be a duplicate. */
static void work_again(work_t *work)
{
    if (!work->serve.has_change) {
        jobs_prepend(&work->waiting, &work->current);
    }
    work_ready(work);
}


/* The work's ops are stored: its order is the last op's. */
static void work_take_order(work_t *work, batch_op_t *ops, size_t n)
{
    serve_stored(&work->serve, &ops[n - 1].op);
    for (size_t i = 0; i < n; i++) {
        count(work->orderd, &ops[i]);
        bury_refused(&ops[i]);
    }
}


/* Judges the works one by one; those that are stored remain in works[]. Returns how many. */
static size_t batch_judge(orderd_t *orderd, batch_t *batch, work_t **works)
{
    size_t       nworks = 0, n;
    bool         away = false;
    char         why[FOODSVC_ERR] = "";
    const char  *err = "";

    for (size_t i = 0; i < batch->n; i += n) {
        work_t              *work = batch->ops[i].work;
        foodsvc_store_rc_e   rc = FOODSVC_STORE_OK;

        for (n = 1; i + n < batch->n && batch->ops[i + n].work == work; n++) {
            /* counts the work's ops */
        }
        switch (work_stored(&batch->ops[i], n, &rc, &err)) {
        case STORED:
            work_take_order(work, &batch->ops[i], n);
            works[nworks++] = work;
            break;
        case STORE_AWAY:
            away = true;
            snprintf(why, sizeof(why), "%s", *err ? err : foodsvc_store_rc_name(rc));
            work_again(work);
            break;
        default:
            work_unstorable(work, rc, err);
        }
        for (size_t k = i; k < i + n; k++) {
            foodsvc_order_free(batch->ops[k].op.order);
        }
    }
    worker_store_noted(&orderd->servers, away, why);
    return nworks;
}


void batch_run(orderd_t *orderd)
{
    static batch_t    batch;        /* large; one thread */
    work_t           *works[FOODSVC_STORE_BATCH];
    foodsvc_order_t  *orders[FOODSVC_STORE_BATCH];
    size_t            nworks;
    bool              cached;

    if (batch_wait(orderd) != 0) {
        return;
    }
    batch.n = 0;
    batch_fill(orderd, &batch);
    if (batch.n == 0) {
        return;
    }
    foodsvc_store_orders_change(orderd->servers.store, batch.list, batch.n);
    orderd->stats.batches++;

    nworks = batch_judge(orderd, &batch, works);
    for (size_t i = 0; i < nworks; i++) {
        orders[i] = works[i]->serve.order;
    }
    cached = nworks == 0 || worker_cache_orders(orderd->servers.cache, orders, nworks);
    for (size_t i = 0; i < nworks; i++) {
        works[i]->cache_missed = works[i]->cache_missed || !cached;
        serve_step(&works[i]->serve);
    }
}
