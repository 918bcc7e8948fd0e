/*
 * A parked message goes back to the broker, into a queue from which it returns after a while, or into the dead-letter
 * queue. Only when the broker has confirmed that is the original acknowledged; a refusal or a full socket makes it
 * wait here and go out again. If the connection ends before, the broker still has the original, and the copy at worst
 * makes a duplicate.
 *
 *   kind            waits                                          then
 *   unknown order   1, 5, 30 s                                     dead
 *   partner away    1, 5, 30, 120 s, then 300 s for ever
 *   refused         1, 5, 30, 120 s                                dead
 *   busy            what is left of the claim, in steps of 1, 5, 30 s, for ever
 *   cache           1, 5, 30, 120 s, then 300 s, 10 times in all   finished: by then the old entry has expired
 *   database        1, 5, 30, 120, 300 s                           dead
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "foodsvc_names.h"
#include "foodsvc_time.h"
#include "orderd.h"
#include "worker_log.h"

#define AGAIN_MS    500     /* between attempts to publish */

struct parked_s {
    job_t              *job;
    orderd_t           *orderd;
    char                queue[64];
    char                reason[WORKER_AMQP_REASON];
    char                first[FOODSVC_TIME_TEXT + 1];
    int64_t             attempts;
    int64_t             when;       /* monotonic: not before */
    struct parked_s    *next;
};

typedef enum { THEN_DEAD, THEN_FINISHED } then_e;

typedef struct {
    const char *word;
    int         delays;     /* how many of worker_amqp_delays it goes through; the last one again and again */
    int64_t     times;      /* how often it is parked */
    then_e      then;
} rule_t;

static const rule_t rules[] = {
    [PARK_UNKNOWN_ORDER] = { "unknown order", 3, 3, THEN_DEAD },
    [PARK_PARTNER] = { "partner away", 5, INT64_MAX, THEN_DEAD },
    [PARK_REFUSED] = { "refused", 4, 4, THEN_DEAD },
    [PARK_BUSY] = { "busy", 3, INT64_MAX, THEN_DEAD },
    [PARK_CACHE] = { "cache", 5, 10, THEN_FINISHED },
    [PARK_DATABASE] = { "database", 5, 5, THEN_DEAD }
};


static void parked_add(orderd_t *orderd, parked_t *parked, int64_t when)
{
    parked->when = when;
    parked->next = NULL;
    *orderd->parked_tail = parked;      /* in their order: the events of one order should not swap */
    orderd->parked_tail = &parked->next;
}


static parked_t *parked_all(orderd_t *orderd)
{
    parked_t  *list = orderd->parked;

    orderd->parked = NULL;
    orderd->parked_tail = &orderd->parked;
    return list;
}


static parked_t *parked_new(orderd_t *orderd, job_t *job)
{
    parked_t  *parked = calloc(1, sizeof(*parked));

    if (parked == NULL) {
        orderd_forgo(orderd, job);
        return NULL;
    }
    parked->orderd = orderd;
    parked->job = job;
    orderd->nparked++;
    if (job->message->first[0]) {
        memcpy(parked->first, job->message->first, sizeof(parked->first));
    } else {
        foodsvc_time_format(foodsvc_time_now(), parked->first);
    }
    return parked;
}


static void parked_free(parked_t *parked)
{
    parked->orderd->nparked--;
    free(parked);
}


/* Which of the delays is right for what is left of the claim: the longest that does not overshoot it by much. */
static int busy_delay(int64_t claim_until)
{
    int64_t  left = (claim_until - foodsvc_time_now()) / 1000 + 1;
    int      i = 0;

    while (i + 1 < rules[PARK_BUSY].delays && worker_amqp_delays[i + 1] <= left) {
        i++;
    }
    return worker_amqp_delays[i];
}


static void park_in(orderd_t *orderd, job_t *job, int delay, const char *reason, int64_t attempts)
{
    parked_t  *parked = parked_new(orderd, job);

    if (parked == NULL) {
        return;
    }
    orderd->stats.parked++;
    snprintf(parked->queue, sizeof(parked->queue), FOODSVC_QUEUE_RETRY_PREFIX "%d", delay);
    snprintf(parked->reason, sizeof(parked->reason), "%s", reason);
    parked->attempts = attempts;
    parked_add(orderd, parked, 0);
    worker_log(WORKER_LOG_WARN, "parked an event", worker_text("order", job->event.order_id), worker_int("seconds",
                                                                                                         delay),
               worker_int("attempts", attempts), worker_text("reason", reason));
}


void parking_park(orderd_t *orderd, job_t *job, park_e kind, const char *reason, int64_t claim_until)
{
    const rule_t  *rule = &rules[kind];
    size_t         word = strlen(rule->word);
    bool           same = strncmp(job->message->reason, rule->word, word) == 0 && job->message->reason[word] == ':';
    int64_t        attempts = same ? job->message->attempts : 0;
    char           text[WORKER_AMQP_REASON];
    int            i = attempts < rule->delays ? (int) attempts : rule->delays - 1;

    snprintf(text, sizeof(text), "%s: %.220s", rule->word, reason);
    if (attempts >= rule->times) {
        if (rule->then == THEN_FINISHED) {
            orderd_finish(orderd, job);
        } else {
            parking_bury(orderd, job, text);
        }
        return;
    }
    park_in(orderd, job, kind == PARK_BUSY ? busy_delay(claim_until) : worker_amqp_delays[i], text, attempts + 1);
}


void parking_bury(orderd_t *orderd, job_t *job, const char *reason)
{
    parked_t  *parked = parked_new(orderd, job);

    if (parked == NULL) {
        return;
    }
    orderd->stats.dead++;
    snprintf(parked->queue, sizeof(parked->queue), "%s", FOODSVC_QUEUE_DEAD);
    snprintf(parked->reason, sizeof(parked->reason), "%s", reason);
    parked->attempts = job->message->attempts;
    parked_add(orderd, parked, 0);
    worker_log(WORKER_LOG_WARN, "an event goes to the dead-letter queue", worker_text("order", job->event.order_id),
               worker_text("reason", reason));
}


static void published(void *ctx, worker_amqp_rc_e rc)
{
    parked_t  *parked = ctx;
    orderd_t  *orderd = parked->orderd;

    switch (rc) {
    case WORKER_AMQP_CONFIRMED:
        orderd_finish(orderd, parked->job);
        parked_free(parked);
        break;
    case WORKER_AMQP_REFUSED:
        worker_log(WORKER_LOG_WARN, "the broker refused a parked event, trying again", worker_text("queue",
                                                                                                   parked->queue));
        parked_add(orderd, parked, foodsvc_time_monotonic() + AGAIN_MS);
        break;
    default:
        orderd_job_free(parked->job);
        parked_free(parked);
    }
}


int64_t parking_wait(const orderd_t *orderd)
{
    int64_t  now = foodsvc_time_monotonic(), wait = -1;

    for (const parked_t *parked = orderd->parked; parked; parked = parked->next) {
        int64_t  left = parked->when > now ? parked->when - now : 0;

        wait = wait < 0 || left < wait ? left : wait;
    }
    return wait;
}


void parking_run(orderd_t *orderd)
{
    int64_t    now = foodsvc_time_monotonic();
    parked_t  *list = parked_all(orderd), *parked;

    while ((parked = list) != NULL) {
        const worker_amqp_message_t  *message = parked->job->message;
        worker_amqp_publish_t         publish = {
            .queue = parked->queue, .body = message->body, .len = message->len, .original = message,
            .reason = parked->reason, .attempts = parked->attempts, .first = parked->first,
            .done = published, .ctx = parked
        };

        list = parked->next;
        if (parked->when > now) {
            parked_add(orderd, parked, parked->when);
        } else if (!worker_amqp_publish(orderd->servers.amqp, &publish)) {
            parked_add(orderd, parked, now + AGAIN_MS);
        }
    }
}


void parking_void(orderd_t *orderd)
{
    parked_t  *list = parked_all(orderd), *parked;

    while ((parked = list) != NULL) {
        list = parked->next;
        orderd_job_free(parked->job);
        parked_free(parked);
    }
}
