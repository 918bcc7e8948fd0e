#include <stddef.h>
#include <string.h>

#include "foodsvc_names.h"
#include "foodsvc_time.h"
#include "orderd.h"

static const worker_conf_option_t options[] = {
    { .key = "prefetch", .type = WORKER_CONF_INT, .offset = offsetof(orderd_conf_t, prefetch), .value = "256", .min = 1,
      .max = 10000, .help = "messages held unacknowledged" },
    { .key = NULL }
};

static const worker_conf_program_t program = {
    .name = ORDERD_NAME,
    .about = "Consumes the queue " FOODSVC_QUEUE ": moves orders on, does what they owe, keeps the cache. Any number "
             "may run. SIGTERM stops it cleanly, SIGHUP makes it read its configuration again.",
    .options = options,
    .size = sizeof(orderd_conf_t)
};


bool orderd_open(orderd_t *orderd, int argc, char **argv)
{
    worker_amqp_conf_t  amqp = {
        .consume = FOODSVC_QUEUE, .parking = true,
        .message = orderd_message, .up = orderd_up, .down = orderd_down, .ctx = orderd
    };

    memset(orderd, 0, sizeof(*orderd));
    orderd->ready_tail = &orderd->ready;
    orderd->parked_tail = &orderd->parked;
    worker_acks_reset(&orderd->acks);
    worker_servers_configure(&orderd->servers, &program, argc, argv, &orderd->conf);
    orderd->stats_next = foodsvc_time_monotonic() + orderd->conf.servers.stats;
    amqp.prefetch = (int) orderd->conf.prefetch;
    return worker_servers_open(&orderd->servers, &amqp);
}


/*
 * Closing the AMQP connection gives unacknowledged messages back; the callbacks of calls that end here run before
 * the works go.
 */
void orderd_close(orderd_t *orderd)
{
    worker_http_close(orderd->servers.http);
    owed_drop(orderd->servers.owed);
    while (batch_wait(orderd) == 0) {       /* not when MongoDB is away */
        batch_run(orderd);      /* gives the claims back that those calls held */
        owed_drop(orderd->servers.owed);    /* an order's next debt */
    }
    worker_servers_close(&orderd->servers);
    parking_void(orderd);
    works_free(orderd);
    worker_acks_free(&orderd->acks);
}
