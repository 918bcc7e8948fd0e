#include <stddef.h>
#include <string.h>

#include "ages.h"
#include "foodsvc_time.h"
#include "sweepd.h"

#define AT(member)  offsetof(sweepd_conf_t, member)
#define AGE(name, status, text) \
    { .key = "age_" name, .type = WORKER_CONF_MS, .offset = AT(age) + FOODSVC_ ## status * sizeof(int64_t), \
      .value = AGE_TEXT(AGE_OWES), .max = 86400000, .reload = true, .help = text }

static const worker_conf_option_t options[] = {
    { .key = "interval", .type = WORKER_CONF_MS, .offset = AT(interval), .value = "1s", .min = 20, .max = 3600000,
      .reload = true, .help = "from one sweep to the next" },
    { .key = "orders", .type = WORKER_CONF_INT, .offset = AT(orders), .value = "128", .min = 1, .max = 1000,
      .reload = true, .help = "orders served at a time" },
    { .key = "age_outbox", .type = WORKER_CONF_MS, .offset = AT(age_outbox), .value = AGE_TEXT(AGE_OUTBOX),
      .max = 86400000, .reload = true,
      .help = "of an event that PaymentService has stored and RabbitMQ has not confirmed" },
    { .key = "age_callback", .type = WORKER_CONF_MS, .offset = AT(age_callback), .value = AGE_TEXT(AGE_CALLBACK),
      .min = 1000, .max = 86400000, .reload = true,
      .help = "of a charge or refund that the card company was asked for and has not reported on" },
    { .key = "foreign", .type = WORKER_CONF_MS, .offset = AT(foreign), .value = "24h", .max = 31536000000,
      .reload = true, .help = "orders of another implementation that stand longer than this are left alone" },
    AGE("created", CREATED, "of an order that waits for its payment"),
    AGE("payment_paid", PAYMENT_PAID, "of one that is paid and has no delivery"),
    AGE("delivery_scheduled", DELIVERY_SCHEDULED, "of one whose delivery is not known by its id"),
    AGE("driver_available", DRIVER_AVAILABLE, "of one that no kitchen was asked for"),
    AGE("cooking_scheduled", COOKING_SCHEDULED, "of one that owes something in this state, as in those that follow"),
    AGE("cooking_meal", COOKING_MEAL, "the same"),
    AGE("cooking_done", COOKING_DONE, "the same"),
    AGE("picked_up", PICKED_UP, "the same"),
    AGE("in_transit", IN_TRANSIT, "the same"),
    AGE("order_cancelled", ORDER_CANCELLED, "of one whose delivery is to be cancelled, or money given back"),
    AGE("payment_failed", PAYMENT_FAILED, "of one that was paid after all, and whose money is to be given back"),
    AGE("reimbursed", REIMBURSED, "of one whose delivery is to be cancelled"),
    { .key = NULL }
};

static const worker_conf_program_t program = {
    .name = SWEEPD_NAME,
    .about = "Does what orders owe and nobody did, because a process died or a partner was away, and relays events "
             "that were stored and not sent. Any number may run. SIGTERM stops it cleanly, SIGHUP makes it read its "
             "configuration again.",
    .options = options,
    .size = sizeof(sweepd_conf_t)
};


bool sweepd_open(sweepd_t *sweepd, int argc, char **argv)
{
    worker_amqp_conf_t  amqp = { .consume = NULL };

    memset(sweepd, 0, sizeof(*sweepd));
    sweepd->ready_tail = &sweepd->ready;
    worker_servers_configure(&sweepd->servers, &program, argc, argv, &sweepd->conf);
    sweepd->stats_next = foodsvc_time_monotonic() + sweepd->conf.servers.stats;
    return worker_servers_open(&sweepd->servers, &amqp);
}


/* The callbacks of calls that end here, or never begin, run before the works go; the claims that they hold go back. */
void sweepd_close(sweepd_t *sweepd)
{
    worker_http_close(sweepd->servers.http);
    owed_drop(sweepd->servers.owed);
    while (works_wait(sweepd) == 0) {       /* not when MongoDB is away */
        works_store(sweepd);
        owed_drop(sweepd->servers.owed);    /* an order's next debt */
    }
    worker_servers_close(&sweepd->servers);
    works_free(sweepd);
    relay_free(sweepd);
    sweep_free(sweepd);
}
