/*
 * A binary heap of what is due when; equal times come out in the order they went in. Not thread-safe.
 */
#ifndef SIM_HEAP_H
#define SIM_HEAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Called once: when it is due, or with stopping set when the scheduler ends before. Frees arg where it must be
   freed. */
typedef void (*sim_due_f)(void *arg, bool stopping);

typedef struct {
    int64_t    when;        /* ms */
    uint64_t   number;      /* set by push */
    sim_due_f  due;
    void      *arg;
} sim_heap_item_t;

typedef struct {
    sim_heap_item_t *items;
    size_t           nitems, room;
    uint64_t         pushed;
} sim_heap_t;

/* False: no memory. */
bool sim_heap_push(sim_heap_t *heap, sim_heap_item_t item);
/* The earliest, left inside; NULL when the heap is empty. */
const sim_heap_item_t *sim_heap_first(const sim_heap_t *heap);
/* Takes the earliest out; false when the heap is empty. */
bool sim_heap_pop(sim_heap_t *heap, sim_heap_item_t *item);
void sim_heap_free(sim_heap_t *heap);

#endif
