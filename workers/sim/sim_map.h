/*
 * A hash map from text to pointer. Keys are borrowed: they live in the values. Nothing is ever removed singly.
 * Not thread-safe: the caller holds a lock.
 */
#ifndef SIM_MAP_H
#define SIM_MAP_H

#include <stdbool.h>
#include <stddef.h>

typedef struct {
    const char *key;
    void       *value;
} sim_map_slot_t;

typedef struct {
    sim_map_slot_t *slots;      /* a power of two of them, at most 3/4 full */
    size_t          size, used;
} sim_map_t;

/* NULL: there is no such key. */
void *sim_map_get(const sim_map_t *map, const char *key);
/* Replaces the value (and the key) of an equal key. False: no memory. */
bool sim_map_put(sim_map_t *map, const char *key, void *value);
/* Calls free_value (may be NULL) for each value, and empties the map. */
void sim_map_clear(sim_map_t *map, void (*free_value)(void *value));

#endif
