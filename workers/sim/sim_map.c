#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include "sim_map.h"
#include "sim_rand.h"

static sim_map_slot_t *
sim_map_slot(const sim_map_t *map, const char *key)
{
    size_t i = (size_t) sim_hash(0, key, "", 0) & (map->size - 1);

    while (map->slots[i].key != NULL && strcmp(map->slots[i].key, key) != 0) {
        i = (i + 1) & (map->size - 1);
    }
    return &map->slots[i];
}

void *
sim_map_get(const sim_map_t *map, const char *key)
{
    return map->size == 0 ? NULL : sim_map_slot(map, key)->value;
}

static bool
sim_map_grow(sim_map_t *map)
{
    sim_map_t bigger = { NULL, map->size ? map->size * 2 : 64, map->used };

    bigger.slots = calloc(bigger.size, sizeof(*bigger.slots));
    if (bigger.slots == NULL) {
        return false;
    }
    for (size_t i = 0; i < map->size; i++) {
        if (map->slots[i].key != NULL) {
            *sim_map_slot(&bigger, map->slots[i].key) = map->slots[i];
        }
    }
    free(map->slots);
    *map = bigger;
    return true;
}

bool
sim_map_put(sim_map_t *map, const char *key, void *value)
{
    sim_map_slot_t *slot;

    if (map->used * 4 >= map->size * 3 && !sim_map_grow(map)) {
        return false;
    }
    slot = sim_map_slot(map, key);
    if (slot->key == NULL) {
        map->used++;
    }
    slot->key = key;
    slot->value = value;
    return true;
}

void
sim_map_clear(sim_map_t *map, void (*free_value)(void *value))
{
    for (size_t i = 0; i < map->size && free_value != NULL; i++) {
        if (map->slots[i].key != NULL) {
            free_value(map->slots[i].value);
        }
    }
    free(map->slots);
    memset(map, 0, sizeof(*map));
}
