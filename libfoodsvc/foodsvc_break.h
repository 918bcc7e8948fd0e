/*
 * Faults that are planted on purpose, to see that `make chaos` finds them. Only a build with -DFOODSVC_BREAKABLE has
 * them; in every other the question is the constant `false`, and nothing of it is in the programs (a test looks).
 * t/chaos/faults.py says what each does and how it shows.
 */
#ifndef FOODSVC_BREAK_H
#define FOODSVC_BREAK_H

#include <stdbool.h>

#ifdef FOODSVC_BREAKABLE

#include <stdlib.h>
#include <string.h>

/* Is this the fault that the environment variable FOODSVC_BREAK names? From any thread; nobody changes it. */
static inline bool foodsvc_break(const char *fault)
{
    const char *chosen = getenv("FOODSVC_BREAK");

    return chosen != NULL && strcmp(chosen, fault) == 0;
}

#else
#define foodsvc_break(fault)    false
#endif

#endif
