#include <stdlib.h>
#include <string.h>
#include "sim_heap.h"

static bool
sim_heap_before(const sim_heap_item_t *a, const sim_heap_item_t *b)
{
    return a->when != b->when ? a->when < b->when : a->number < b->number;
}

bool
sim_heap_push(sim_heap_t *heap, sim_heap_item_t item)
{
    size_t i, up;

    if (heap->nitems == heap->room) {
        size_t           room = heap->room ? heap->room * 2 : 64;
        sim_heap_item_t *items = realloc(heap->items, room * sizeof(*items));

        if (items == NULL) {
            return false;
        }
        heap->items = items;
        heap->room = room;
    }
    item.number = heap->pushed++;
    for (i = heap->nitems++; i > 0; i = up) {
        up = (i - 1) / 2;
        if (!sim_heap_before(&item, &heap->items[up])) {
            break;
        }
        heap->items[i] = heap->items[up];
    }
    heap->items[i] = item;
    return true;
}

const sim_heap_item_t *
sim_heap_first(const sim_heap_t *heap)
{
    return heap->nitems == 0 ? NULL : &heap->items[0];
}

bool
sim_heap_pop(sim_heap_t *heap, sim_heap_item_t *item)
{
    sim_heap_item_t last;
    size_t          i = 0, down;

    if (heap->nitems == 0) {
        return false;
    }
    *item = heap->items[0];
    last = heap->items[--heap->nitems];
    while ((down = 2 * i + 1) < heap->nitems) {
        if (down + 1 < heap->nitems && sim_heap_before(&heap->items[down + 1], &heap->items[down])) {
            down++;
        }
        if (!sim_heap_before(&heap->items[down], &last)) {
            break;
        }
        heap->items[i] = heap->items[down];
        i = down;
    }
    heap->items[i] = last;
    return true;
}

void
sim_heap_free(sim_heap_t *heap)
{
    free(heap->items);
    memset(heap, 0, sizeof(*heap));
}
