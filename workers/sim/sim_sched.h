/*
 * The scheduler: one thread that calls what is due, one after the other. Any thread may add.
 */
#ifndef SIM_SCHED_H
#define SIM_SCHED_H

#include "sim_heap.h"

typedef struct sim_sched_s sim_sched_t;

/* Starts the thread. NULL: no memory or no thread. */
sim_sched_t *sim_sched_start(void);
/*
 * Calls due(arg, false) `delay` ms from now, in the scheduler's thread and without its lock; or due(arg, true) when the
 * scheduler stops before, or at once, in the caller's thread, when it has stopped or memory is out.
 */
void sim_sched_in(sim_sched_t *sched, int64_t delay, sim_due_f due, void *arg);
/* How many calls are waiting. */
size_t sim_sched_waiting(sim_sched_t *sched);
/* Ends the thread and calls what is left with stopping set. Later additions are called so at once. */
void sim_sched_stop(sim_sched_t *sched);
void sim_sched_free(sim_sched_t *sched);

#endif
