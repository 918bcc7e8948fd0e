#include <pthread.h>
#include <stdlib.h>
#include <time.h>
#include "foodsvc_time.h"
#include "sim_sched.h"

struct sim_sched_s {
    pthread_t        thread;
    pthread_mutex_t  lock;      /* heap, stopping */
    pthread_cond_t   changed;   /* an earlier first item, or stopping */
    sim_heap_t       heap;
    bool             stopping;
};

static void
sim_sched_wait_locked(sim_sched_t *sched, const sim_heap_item_t *first)
{
    struct timespec until;

    if (first == NULL) {
        pthread_cond_wait(&sched->changed, &sched->lock);
        return;
    }
    until.tv_sec = first->when / 1000;
    until.tv_nsec = first->when % 1000 * 1000000;
    pthread_cond_timedwait(&sched->changed, &sched->lock, &until);
}

static void *
sim_sched_run(void *arg)
{
    sim_sched_t *sched = arg;

    pthread_mutex_lock(&sched->lock);
    while (!sched->stopping) {
        const sim_heap_item_t *first = sim_heap_first(&sched->heap);
        sim_heap_item_t        item;

        if (first == NULL || first->when > foodsvc_time_monotonic()) {
            sim_sched_wait_locked(sched, first);
            continue;
        }
        sim_heap_pop(&sched->heap, &item);
        pthread_mutex_unlock(&sched->lock);
        item.due(item.arg, false);
        pthread_mutex_lock(&sched->lock);
    }
    pthread_mutex_unlock(&sched->lock);
    return NULL;
}

sim_sched_t *
sim_sched_start(void)
{
    sim_sched_t        *sched = calloc(1, sizeof(*sched));
    pthread_condattr_t  attr;

    if (sched == NULL) {
        return NULL;
    }
    pthread_mutex_init(&sched->lock, NULL);
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&sched->changed, &attr);
    pthread_condattr_destroy(&attr);
    if (pthread_create(&sched->thread, NULL, sim_sched_run, sched) != 0) {
        sim_sched_free(sched);
        return NULL;
    }
    return sched;
}

void
sim_sched_in(sim_sched_t *sched, int64_t delay, sim_due_f due, void *arg)
{
    sim_heap_item_t item = { .when = foodsvc_time_monotonic() + (delay > 0 ? delay : 0), .due = due, .arg = arg };
    bool            added = false;

    pthread_mutex_lock(&sched->lock);
    if (!sched->stopping && sim_heap_push(&sched->heap, item)) {
        added = true;
        if (sim_heap_first(&sched->heap)->arg == arg) {
            pthread_cond_signal(&sched->changed);
        }
    }
    pthread_mutex_unlock(&sched->lock);
    if (!added) {
        due(arg, true);
    }
}

size_t
sim_sched_waiting(sim_sched_t *sched)
{
    size_t waiting;

    pthread_mutex_lock(&sched->lock);
    waiting = sched->heap.nitems;
    pthread_mutex_unlock(&sched->lock);
    return waiting;
}

void
sim_sched_stop(sim_sched_t *sched)
{
    sim_heap_item_t item;

    pthread_mutex_lock(&sched->lock);
    sched->stopping = true;
    pthread_cond_signal(&sched->changed);
    pthread_mutex_unlock(&sched->lock);
    pthread_join(sched->thread, NULL);
    while (sim_heap_pop(&sched->heap, &item)) {
        item.due(item.arg, true);
    }
}

void
sim_sched_free(sim_sched_t *sched)
{
    sim_heap_free(&sched->heap);
    pthread_cond_destroy(&sched->changed);
    pthread_mutex_destroy(&sched->lock);
    free(sched);
}
