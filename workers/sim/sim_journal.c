/*
 * The journal: what the simulator must still know after it was killed. One JSON object a line, each with one write(2)
 * to a file opened for appending, so that what was written before a kill is whole; a last line that is not is left
 * out.
 *
 *   {"type": "charge", "transaction_id", "order_id", "reimburse", "amount", "at", "key", "callback_url"}
 *                                                              202 was answered
 *   {"type": "booked", "transaction_id", "status", "at"}
 *   {"type": "called", "transaction_id", "taken"}
 *   {"type": "address", "transaction_id", "callback_url"}        a repeated request named another one
 *   {"type": "delivery" | "kitchen", "order_id", "at", "items", "metadata"}
 *   {"type": "cancel", "order_id"}
 *   {"type": "stage", "order_id", "status"}                      its event was confirmed, or dropped by a rule
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "sim.h"

static void
sim_journal_line(sim_t *sim, const json_t *line)
{
    const char *type = json_string_value(json_object_get(line, "type"));

    if (type == NULL) {
        return;
    }
    if (strcmp(type, "charge") == 0 || strcmp(type, "booked") == 0 || strcmp(type, "called") == 0
        || strcmp(type, "address") == 0)
    {
        sim_card_restore_locked(sim, type, line);
    } else {
        sim_order_restore_locked(sim, type, line);
    }
}

bool
sim_journal_open(sim_t *sim, const char *path, char *err, size_t errlen)
{
    FILE    *file;
    char    *text = NULL;
    size_t   room = 0, bad = 0;
    ssize_t  len;

    sim->journal = open(path, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    file = sim->journal < 0 ? NULL : fopen(path, "re");
    if (file == NULL) {
        snprintf(err, errlen, "%s: %s", path, strerror(errno));
        return false;
    }
    pthread_mutex_lock(&sim->lock);
    while ((len = getline(&text, &room, file)) > 0) {
        json_t *line = json_loadb(text, (size_t) len, 0, NULL);

        /* a line that a kill cut off is closed, so that the next one stands alone */
        if (text[len - 1] != '\n' && write(sim->journal, "\n", 1) != 1) {
            worker_log(WORKER_LOG_WARN, "the state's last line could not be closed");
        }
        if (line != NULL) {
            sim_journal_line(sim, line);
        } else if (len > 1) {
            bad++;
        }
        json_decref(line);
    }
    pthread_mutex_unlock(&sim->lock);
    free(text);
    fclose(file);
    worker_log(WORKER_LOG_INFO, "state read", worker_int("requests", sim->nledger),
               worker_int("orders", sim->orders.used),
               worker_int("unreadable_lines", bad));
    return true;
}

void
sim_journal_locked(sim_t *sim, json_t *line)
{
    char   *text;
    size_t  len;

    if (sim->journal >= 0) {
        text = line == NULL ? NULL : json_dumps(line, JSON_COMPACT | JSON_REAL_PRECISION(15));
        if (text != NULL) {
            len = strlen(text);
            text[len] = '\n';       /* in the place of the NUL, so that it is one write */
        }
        if (text == NULL || write(sim->journal, text, len + 1) != (ssize_t) len + 1) {
            worker_log(WORKER_LOG_ERROR, "the state could not be written", worker_text("error", strerror(errno)));
        }
        free(text);
    }
    json_decref(line);
}

void
sim_journal_close(sim_t *sim)
{
    if (sim->journal >= 0) {
        close(sim->journal);
        sim->journal = -1;
    }
}
