#include <stdlib.h>
#include <string.h>

#include "worker_acks.h"

enum { OPEN, DONE, ACKED };


static unsigned char *state_at(const worker_acks_t *acks, size_t i)
{
    size_t  at = acks->first + i;

    return &acks->states[at < acks->room ? at : at - acks->room];
}


void worker_acks_reset(worker_acks_t *acks)
{
    acks->first = acks->n = acks->open = acks->ready = 0;
    acks->base = 1;
}


void worker_acks_free(worker_acks_t *acks)
{
    free(acks->states);
    memset(acks, 0, sizeof(*acks));
}


bool worker_acks_add(worker_acks_t *acks, uint64_t tag)
{
    size_t          room = acks->room ? acks->room * 2 : 256;
    unsigned char  *states;

    if (tag != acks->base + acks->n) {
        return false;
    }
    if (acks->n == acks->room) {
        states = malloc(room);
        if (states == NULL) {
            return false;
        }
        for (size_t i = 0; i < acks->n; i++) {
            states[i] = *state_at(acks, i);
        }
        free(acks->states);
        acks->states = states;
        acks->room = room;
        acks->first = 0;
    }
    acks->n++;
    *state_at(acks, acks->n - 1) = OPEN;
    acks->open++;
    return true;
}


void worker_acks_done(worker_acks_t *acks, uint64_t tag)
{
    if (tag < acks->base || tag - acks->base >= acks->n || *state_at(acks, tag - acks->base) != OPEN) {
        return;
    }
    *state_at(acks, tag - acks->base) = DONE;
    acks->open--;
    acks->ready++;
}


/*
 * `multiple` names the last tag of the finished front that is not acknowledged yet: the broker refuses one that it no
 * longer knows.
 */
bool worker_acks_next(const worker_acks_t *acks, uint64_t *tag, bool *multiple)
{
    size_t  i, last = 0;
    bool    found = false;

    if (acks->ready == 0) {
        return false;
    }
    for (i = 0; i < acks->n && *state_at(acks, i) != OPEN; i++) {
        if (*state_at(acks, i) == DONE) {
            last = i;
            found = true;
        }
    }
    *multiple = found;
    while (!found && *state_at(acks, i) != DONE) {
        i++;
    }
    *tag = acks->base + (found ? last : i);
    return true;
}


void worker_acks_sent(worker_acks_t *acks, uint64_t tag, bool multiple)
{
    for (size_t i = multiple ? 0 : tag - acks->base; i <= tag - acks->base; i++) {
        if (*state_at(acks, i) == DONE) {
            acks->ready--;
            *state_at(acks, i) = ACKED;
        }
    }
    while (acks->n > 0 && *state_at(acks, 0) == ACKED) {
        acks->first = acks->first + 1 < acks->room ? acks->first + 1 : 0;
        acks->n--;
        acks->base++;
    }
}
