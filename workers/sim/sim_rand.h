/*
 * Chance that can be repeated: every number follows from the seed, whom it concerns (an order's id), what it is for
 * (a stage), and a count, never from what happened before. So a run with the same seed and order ids takes the same
 * times and the same failures, in whatever order its requests come. Pure; any thread.
 */
#ifndef SIM_RAND_H
#define SIM_RAND_H

#include <stdint.h>
#include "foodsvc_uuid.h"

uint64_t sim_hash(uint64_t seed, const char *who, const char *what, uint64_t count);
/* In [0, 1). */
double sim_chance(uint64_t seed, const char *who, const char *what, uint64_t count);
/* A whole number of low..high, both included. */
int64_t sim_between(uint64_t seed, const char *who, const char *what, int64_t low, int64_t high);
/* A UUID in the form of version 4. */
void sim_uuid(uint64_t seed, const char *who, const char *what, uint64_t count, foodsvc_uuid_t *uuid);

#endif
