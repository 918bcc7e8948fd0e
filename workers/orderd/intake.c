#include <stdlib.h>

#include "foodsvc_break.h"
#include "orderd.h"
#include "worker_log.h"

static const foodsvc_json_limits_t limits = { FOODSVC_JSON_MAX_SIZE, FOODSVC_JSON_MAX_DEPTH };


void orderd_job_free(job_t *job)
{
    foodsvc_event_clear(&job->event);
    free(job->message);
    free(job);
}


void orderd_forgo(orderd_t *orderd, job_t *job)
{
    if (job->message->connection == worker_amqp_connection(orderd->servers.amqp)) {
        worker_amqp_break(orderd->servers.amqp, "no memory for a message");
    }
    orderd_job_free(job);
}


void orderd_finish(orderd_t *orderd, job_t *job)
{
    orderd->stats.finished++;
    if (job->message->connection == worker_amqp_connection(orderd->servers.amqp)
        && !foodsvc_break("ack-before-store"))
    {
        worker_acks_done(&orderd->acks, job->message->tag);
    }
    orderd_job_free(job);
}


void orderd_acknowledge(orderd_t *orderd)
{
    uint64_t  tag;
    bool      multiple;

    while (worker_acks_next(&orderd->acks, &tag, &multiple) && worker_amqp_ack(orderd->servers.amqp, tag, multiple)) {
        worker_acks_sent(&orderd->acks, tag, multiple);
    }
}


/* Nothing is acknowledged that was not served: what there is no memory for comes again, over a new connection. */
void orderd_message(void *ctx, worker_amqp_message_t *message)
{
    orderd_t  *orderd = ctx;
    job_t     *job = calloc(1, sizeof(*job));
    char       err[FOODSVC_ERR] = "";

    orderd->stats.messages++;
    if (job == NULL || !worker_acks_add(&orderd->acks, message->tag)) {
        worker_amqp_break(orderd->servers.amqp, "no memory for a message");
        free(job);
        free(message);
        return;
    }
    job->message = message;
    if (foodsvc_break("ack-before-store")) {
        worker_acks_done(&orderd->acks, message->tag);
        orderd_acknowledge(orderd);
    }
    if (!foodsvc_event_parse(message->body, message->len, &limits, &job->event, err)) {
        if (foodsvc_no_memory(err)) {
            orderd_forgo(orderd, job);
        } else {
            parking_bury(orderd, job, err);
        }
    } else if (!work_take(orderd, job)) {
        orderd_forgo(orderd, job);
    }
}


void orderd_up(void *ctx)
{
    orderd_t  *orderd = ctx;

    worker_acks_reset(&orderd->acks);
}


/* The broker delivers again what was not acknowledged; calls in flight go on, and their results are stored. */
void orderd_down(void *ctx)
{
    orderd_t  *orderd = ctx;

    works_void(orderd);
    parking_void(orderd);
    worker_acks_reset(&orderd->acks);
}
