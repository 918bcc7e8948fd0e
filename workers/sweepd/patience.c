#include <stdio.h>
#include <string.h>

#include "foodsvc_time.h"
#include "sweepd.h"
#include "worker_log.h"


/* An order's statuses share a place, for it has one at a time; an order and its payment, of the same id, do not. */
static size_t slot_of(const char *id, int state)
{
    uint32_t  hash = 2166136261U ^ (uint32_t) (state < 0 ? state : 0);

    for (const char *c = id; *c; c++) {
        hash = (hash ^ (unsigned char) *c) * 16777619U;
    }
    return hash % PATIENCE_SLOTS;
}


int64_t patience_left(const patience_t *patience, const char *id, int state)
{
    const patience_slot_t  *slot = &patience->slots[slot_of(id, state)];
    int64_t                 left = slot->next - foodsvc_time_monotonic();

    return strcmp(slot->id, id) == 0 && slot->state == state && left > 0 ? left : 0;
}


void patience_wait(patience_t *patience, const char *id, int state, int64_t first, int64_t last)
{
    patience_slot_t  *slot = &patience->slots[slot_of(id, state)];
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
    patience_slot_t  *slot = &patience->slots[slot_of(id, 0)];

    if (strcmp(slot->id, id) == 0 && slot->state >= 0) {
        slot->id[0] = '\0';
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
