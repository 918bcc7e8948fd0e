/*
 * dead redrive and dead drop: what takes messages out of the dead-letter queue.
 *
 * Both hold what was chosen unacknowledged and give the rest back at once. A redriven message is published to
 * FOODSVC_QUEUE as it was, less the headers that orderd gave it, and the dead one is acknowledged only after the broker
 * has confirmed the new one: whatever ends foodctl, RabbitMQ or the network in between leaves the message in both
 * queues, and orderd takes duplicates for what they are. When all is acknowledged the broker is asked one thing more,
 * and its answer proves that it has taken the acknowledgements, too.
 */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "ctl_dead.h"
#include "foodsvc_names.h"
#include "foodsvc_time.h"
#include "worker_amqp_state.h"

#define CTL_REDRIVE_WINDOW  64      /* messages that wait for their confirm */

static int
ctl_redrive_misused(const ctl_t *ctl)
{
    bool chosen = ctl->reason || ctl->order[0] || ctl->older || ctl->newer;

    if (ctl->nargs == 0 && !chosen && !ctl->all) {
        return ctl_misused("%s: which messages? Name their ids, or give --reason, --order, --older, --newer or --all",
                           ctl->command);
    }
    if (ctl->all && (chosen || ctl->nargs > 0)) {
        return ctl_misused("%s: --all leaves nothing to choose: leave it out, or the rest", ctl->command);
    }
    return CTL_OK;
}

/* Gives back what was not chosen. False: told. */
static bool
ctl_redrive_spare(const ctl_deads_t *deads)
{
    for (size_t i = 0; i < deads->n; i++) {
        if (!deads->all[i].chosen
            && amqp_basic_nack(deads->amqp->state, WORKER_AMQP_CHANNEL, deads->all[i].message.tag, 0, 1)
               != AMQP_STATUS_OK)
        {
            ctl_amqp_lost(deads->ctl);
            return false;
        }
    }
    return true;
}

/* --- redrive --- */

static void
ctl_redrive_confirmed(void *ctx, worker_amqp_rc_e rc)
{
    ctl_dead_t *dead = ctx;

    dead->sent = rc == WORKER_AMQP_CONFIRMED;
    dead->failed = rc == WORKER_AMQP_REFUSED;
}

static bool
ctl_redrive_publish(ctl_deads_t *deads, ctl_dead_t *dead)
{
    worker_amqp_message_t original = { .properties = dead->message.properties.bytes,
                                       .properties_len = dead->message.properties.len };
    worker_amqp_publish_t publish = { .queue = FOODSVC_QUEUE, .body = dead->message.body.bytes,
                                      .len = dead->message.body.len, .original = &original,
                                      .done = ctl_redrive_confirmed, .ctx = dead };

    return worker_amqp_publish(deads->amqp, &publish);
}

/* The next one that was chosen, at or behind i. */
static size_t
ctl_redrive_next(const ctl_deads_t *deads, size_t i)
{
    while (i < deads->n && !deads->all[i].chosen) {
        i++;
    }
    return i;
}

/* Acknowledges what was confirmed. Returns how many are acknowledged by now; *refused: one was not taken. */
static size_t
ctl_redrive_acknowledge(ctl_deads_t *deads, bool *refused)
{
    size_t n = 0;

    for (size_t i = 0; i < deads->n; i++) {
        ctl_dead_t *dead = &deads->all[i];

        if (dead->sent && !dead->done) {
            dead->done = worker_amqp_ack(deads->amqp, dead->message.tag, false);
        }
        n += dead->done;
        *refused = *refused || dead->failed;
    }
    return n;
}

/* Publishes and acknowledges; ends early when nothing moves any more. Returns how many were done. */
static size_t
ctl_redrive_run(ctl_deads_t *deads, bool *refused)
{
    worker_amqp_t *amqp = deads->amqp;
    int64_t        deadline = foodsvc_time_monotonic() + CTL_AMQP_PATIENCE;
    size_t         next = ctl_redrive_next(deads, 0), done = 0, before;

    *refused = false;
    while (done < deads->nchosen && worker_amqp_connected(amqp) && foodsvc_time_monotonic() < deadline) {
        struct pollfd fd = { worker_amqp_fd(amqp), POLLIN, 0 };

        while (!*refused && next < deads->n && worker_amqp_unconfirmed(amqp) < CTL_REDRIVE_WINDOW
               && ctl_redrive_publish(deads, &deads->all[next]))
        {
            next = ctl_redrive_next(deads, next + 1);
        }
        if (*refused && worker_amqp_unconfirmed(amqp) == 0) {
            break;
        }
        poll(&fd, 1, 20);
        worker_amqp_run(amqp);
        before = done;
        done = ctl_redrive_acknowledge(deads, refused);
        if (done > before) {
            deadline = foodsvc_time_monotonic() + CTL_AMQP_PATIENCE;
        }
    }
    return done;
}

/* --- the end of both --- */

/* The broker has taken what was sent before. */
static bool
ctl_redrive_settled(const ctl_deads_t *deads)
{
    amqp_queue_declare_ok_t *declared;

    if (deads->amqp->state == NULL || deads->amqp->broken) {
        return false;
    }
    declared = amqp_queue_declare(deads->amqp->state, WORKER_AMQP_CHANNEL, amqp_cstring_bytes(FOODSVC_QUEUE_DEAD), 1, 0,
                                  0, 0, amqp_empty_table);
    return declared != NULL;
}

/* What was done, message by message and in sum: "3 of 5 redriven". */
static void
ctl_redrive_report(const ctl_deads_t *deads, const char *did)
{
    json_t *list = json_array();
    size_t  n = 0;

    for (size_t i = 0; i < deads->n; i++) {
        const ctl_dead_t *dead = &deads->all[i];

        if (!dead->done) {
            continue;
        }
        n++;
        if (deads->ctl->json) {
            json_array_append_new(list, json_string(dead->id));
        } else {
            ctl_dead_line(dead);
        }
    }
    if (deads->ctl->json) {
        ctl_print_json_new(json_pack("{s:O}", did, list));
    } else {
        printf("%s: %zu\n", did, n);
    }
    json_decref(list);
}

static int
ctl_redrive_all(ctl_deads_t *deads)
{
    const ctl_t *ctl = deads->ctl;
    bool         refused, settled;
    size_t       done;

    if (!ctl_redrive_spare(deads)) {
        return CTL_FAILED;
    }
    done = ctl_redrive_run(deads, &refused);
    settled = ctl_redrive_settled(deads);
    ctl_dead_release(deads);
    ctl_redrive_report(deads, "redriven");
    if (refused) {
        return ctl_fail("%s: RabbitMQ has no queue \"%s\", or it takes nothing: %zu of %zu messages stay in %s",
                        ctl->command, FOODSVC_QUEUE, deads->nchosen - done, deads->nchosen, FOODSVC_QUEUE_DEAD);
    }
    if (done < deads->nchosen || !settled) {
        return ctl_fail("%s: RabbitMQ at %s ended the connection, or gave no answer in time: none is lost, some may be "
                        "in both queues; look at %s, and do it again", ctl->command, ctl_place(ctl->amqp_url),
                        ctl_advice(ctl, ctl->amqp_url, CTL_LOOK));
    }
    ctl_dead_note(deads);
    return CTL_OK;
}

int
ctl_dead_redrive(ctl_t *ctl)
{
    ctl_deads_t deads;
    int         code = ctl_redrive_misused(ctl);

    if (code != CTL_OK) {
        return code;
    }
    code = ctl_dead_open(&deads, ctl);
    if (code == CTL_OK) {
        code = ctl_redrive_all(&deads);
    }
    ctl_dead_close(&deads);
    return code;
}

/* --- drop --- */

/* Shows what would go, and asks. False: told, or not wanted. */
static bool
ctl_drop_asked(const ctl_deads_t *deads)
{
    char answer[16] = "";

    for (size_t i = 0; i < deads->n; i++) {
        if (deads->all[i].chosen) {
            ctl_dead_line(&deads->all[i]);
        }
    }
    printf("Drop %s of %s for ever? [y/N] ", deads->nchosen == 1 ? "this message" : "these messages",
           FOODSVC_QUEUE_DEAD);
    fflush(stdout);
    if (fgets(answer, sizeof(answer), stdin) == NULL || (answer[0] != 'y' && answer[0] != 'Y')) {
        ctl_fail("%s: nothing was dropped", deads->ctl->command);
        return false;
    }
    return true;
}

static int
ctl_drop_compare(const void *a, const void *b)
{
    const ctl_dead_t *one = a, *other = b;

    return one->print < other->print ? -1 : one->print > other->print;
}

/*
 * Of what is chosen now only what was chosen before, when it was asked for, goes. Puts `shown` in another order: with
 * hundreds of thousands of messages a search from end to end would take longer than the broker's heartbeat.
 */
static void
ctl_drop_narrow(ctl_deads_t *deads, ctl_deads_t *shown)
{
    size_t n = 0;

    for (size_t i = 0; i < shown->n; i++) {
        if (shown->all[i].chosen) {
            ctl_dead_t other = shown->all[n];

            shown->all[n++] = shown->all[i];
            shown->all[i] = other;
        }
    }
    qsort(shown->all, n, sizeof(shown->all[0]), ctl_drop_compare);
    for (size_t i = 0; i < deads->n; i++) {
        bool was_shown = deads->all[i].chosen
                         && bsearch(&deads->all[i], shown->all, n, sizeof(shown->all[0]), ctl_drop_compare) != NULL;

        deads->nchosen -= deads->all[i].chosen && !was_shown;
        deads->all[i].chosen = was_shown;
    }
}

static int
ctl_drop_all(ctl_deads_t *deads)
{
    const ctl_t *ctl = deads->ctl;
    bool         settled;
    size_t       ndone = 0;

    for (size_t i = 0; i < deads->n; i++) {
        ctl_dead_t *dead = &deads->all[i];

        dead->done = dead->chosen
                     && amqp_basic_ack(deads->amqp->state, WORKER_AMQP_CHANNEL, dead->message.tag, 0) == AMQP_STATUS_OK;
        ndone += dead->done;
    }
    settled = ctl_redrive_settled(deads);
    ctl_dead_release(deads);
    if (!settled) {
        return ctl_amqp_lost(ctl);
    }
    ctl_redrive_report(deads, "dropped");
    if (ndone < deads->nchosen) {
        return ctl_amqp_lost(ctl);
    }
    ctl_dead_note(deads);
    return CTL_OK;
}

/* While somebody thinks about the answer nothing is held: the messages are got again after it. */
static int
ctl_drop_confirmed(const ctl_t *ctl, ctl_deads_t *deads)
{
    ctl_deads_t shown = *deads;
    int         code = CTL_FAILED;

    *deads = (ctl_deads_t) { .ctl = ctl };
    ctl_dead_release(&shown);
    if (ctl_drop_asked(&shown)) {
        code = ctl_dead_open(deads, ctl);
        if (code == CTL_OK) {
            ctl_drop_narrow(deads, &shown);
            code = ctl_drop_all(deads);
        }
    }
    ctl_dead_close(&shown);
    return code;
}

int
ctl_dead_drop(ctl_t *ctl)
{
    ctl_deads_t deads;
    int         code = ctl_redrive_misused(ctl);

    if (code != CTL_OK) {
        return code;
    }
    if (!ctl->yes && (!isatty(STDIN_FILENO) || ctl->json)) {
        return ctl_misused("%s: it asks before it drops, and here is nobody to ask: give --yes", ctl->command);
    }
    code = ctl_dead_open(&deads, ctl);
    if (code == CTL_OK) {
        code = ctl->yes || deads.nchosen == 0 ? ctl_drop_all(&deads) : ctl_drop_confirmed(ctl, &deads);
    }
    ctl_dead_close(&deads);
    return code;
}
