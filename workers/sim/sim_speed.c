/*
 * How much faster than life: the one place where a time of the world becomes the simulator's.
 */
#include "sim.h"

int64_t
sim_scaled_locked(const sim_t *sim, int64_t ms)
{
    return (int64_t) ((double) ms / sim->speed);
}

void
sim_speed_set(sim_t *sim, double speed)
{
    pthread_mutex_lock(&sim->lock);
    sim->speed = speed;
    pthread_mutex_unlock(&sim->lock);
}
