#include <stdio.h>
#include <string.h>

#include "foodsvc_time.h"
#include "sweepd.h"
#include "worker_log.h"


/* The first of the PATIENCE_WAYS places that an id may have. */
static size_t places_of(const char *id)
{
    uint32_t  hash = 2166136261U;

    for (const char *c = id; *c; c++) {
        hash = (hash ^ (unsigned char) *c) * 16777619U;
    }
    return hash % (PATIENCE_SLOTS / PATIENCE_WAYS) * PATIENCE_WAYS;
}


/* An order's statuses share a place, for it has one at a time; an order and its payment, of the same id, do not. */
static bool is_of(const patience_slot_t *slot, const char *id, int state)
{
    return strcmp(slot->id, id) == 0 && (slot->state == state || (slot->state >= 0 && state >= 0));
}


int64_t patience_left(const patience_t *patience, const char *id, int state)
{
    size_t   first = places_of(id);
    int64_t  left = 0;

    for (size_t i = first; i < first + PATIENCE_WAYS; i++) {
        const patience_slot_t  *slot = &patience->slots[i];

        if (is_of(slot, id, state)) {
            left = slot->state == state ? slot->next - foodsvc_time_monotonic() : 0;
            break;
        }
    }
    return left > 0 ? left : 0;
}


/* Its place; or else that of the one which may be tried first. */
static patience_slot_t *slot_take(patience_t *patience, const char *id, int state)
{
    patience_slot_t  *slots = &patience->slots[places_of(id)], *slot = slots;

    for (size_t i = 0; i < PATIENCE_WAYS; i++) {
        if (is_of(&slots[i], id, state)) {
            return &slots[i];
        }
        if (slots[i].next < slot->next) {
            slot = &slots[i];
        }
    }
    return slot;
}


void patience_wait(patience_t *patience, const char *id, int state, int64_t first, int64_t last)
{
    patience_slot_t  *slot = slot_take(patience, id, state);
    int64_t           wait = first;

    if (strcmp(slot->id, id) != 0 || slot->state != state) {
        snprintf(slot->id, sizeof(slot->id), "%s", id);
        slot->state = state;
        slot->tries = 0;
    }
    for (unsigned i = 0; i < slot->tries && wait < last; i++) {
        wait *= 2;
    }
    slot->tries++;
    slot->next = foodsvc_time_monotonic() + (wait < last ? wait : last);
}


void patience_forget(patience_t *patience, const char *id)
{
    size_t  first = places_of(id);

    for (size_t i = first; i < first + PATIENCE_WAYS; i++) {
        if (is_of(&patience->slots[i], id, 0)) {
            memset(&patience->slots[i], 0, sizeof(patience->slots[i]));
        }
    }
}


void patience_report(patience_t *patience, const char *what, const foodsvc_store_bad_t *bad, size_t nbad)
{
    for (size_t i = 0; i < nbad; i++) {
        if (patience_left(patience, bad[i].id, PATIENCE_BAD) == 0) {
            patience_wait(patience, bad[i].id, PATIENCE_BAD, REPORT_FIRST, REPORT_LAST);
            worker_log(WORKER_LOG_WARN, "a document can't be read, nobody does what it owes",
                       worker_text(what, bad[i].id), worker_text("reason", bad[i].why));
        }
    }
}
