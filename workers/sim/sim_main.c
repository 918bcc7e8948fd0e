/*
 * foodsvc-sim: options, threads, a signal, the end. See sim.h for who runs what.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <libgen.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "foodsvc_secret.h"
#include "sim.h"
#include "worker_amqp.h"

static bool sim_conf_check(void *values, char *err, size_t errlen);
static bool sim_address_check(const char *value, char *err, size_t errlen);
static bool sim_amqp_check(const char *value, char *err, size_t errlen);
static bool sim_state_check(const char *value, char *err, size_t errlen);

#define SIM_AT(member)  offsetof(sim_conf_t, member)
#define SIM_PORT(i)     (offsetof(sim_conf_t, ports) + (i) * sizeof(int64_t))

static const worker_conf_option_t sim_options[] = {
    { .key = "listen", .type = WORKER_CONF_TEXT, .offset = SIM_AT(listen), .value = "127.0.0.1",
      .check = sim_address_check, .help = "numeric address of all ports" },
    { .key = "customer_port", .type = WORKER_CONF_INT, .offset = SIM_PORT(SIM_CUSTOMER), .value = "8002", .max = 65535,
      .help = "port of CustomerService; 0: off" },
    { .key = "delivery_port", .type = WORKER_CONF_INT, .offset = SIM_PORT(SIM_DELIVERY), .value = "8003", .max = 65535,
      .help = "port of DeliveryService; 0: off" },
    { .key = "kitchen_port", .type = WORKER_CONF_INT, .offset = SIM_PORT(SIM_KITCHEN), .value = "8004", .max = 65535,
      .help = "port of KitchenService; 0: off" },
    { .key = "card_port", .type = WORKER_CONF_INT, .offset = SIM_PORT(SIM_CARD), .value = "8005", .max = 65535,
      .help = "port of the Credit Card Company, and of the simulator's own /ledger and /simulator/...; 0: off" },
    { .key = "http_threads", .type = WORKER_CONF_INT, .offset = SIM_AT(http_threads), .value = "2", .min = 2, .max = 64,
      .help = "threads of each port" },
    { .key = "speed", .type = WORKER_CONF_REAL, .offset = SIM_AT(speed), .value = "1", .max = 1000000000,
      .help = "how much faster than life cards, drivers and cooks are" },
    { .key = "seed", .type = WORKER_CONF_INT, .offset = SIM_AT(seed), .value = "1", .max = INT64_MAX,
      .help = "the same seed and order ids give the same times, ids and chances" },
    { .key = "fail", .type = WORKER_CONF_LIST, .offset = SIM_AT(fail), .check = sim_rule_valid,
      .help = "a failure rule, see above; may be repeated, and replaced with PUT /simulator/rules at run time" },
    { .key = "state", .type = WORKER_CONF_TEXT, .offset = SIM_AT(state), .check = sim_state_check,
      .help = "file that keeps ledger and orders over restarts; none: they are forgotten" },
    { .key = "amqp_url", .type = WORKER_CONF_SECRET, .offset = SIM_AT(amqp_url),
      .value = "amqp://guest:guest@127.0.0.1:5672/",
      .check = sim_amqp_check, .help = "RabbitMQ for the events; off: no events" },
    { .key = "api_key", .type = WORKER_CONF_SECRET, .offset = SIM_AT(api_key),
      .help = "shown to PaymentService in callbacks" },
    { .key = "api_key_file", .type = WORKER_CONF_PATH, .offset = SIM_AT(api_key_file),
      .help = "the same: the first line of this file" },
    { .key = "ca_file", .type = WORKER_CONF_PATH, .offset = SIM_AT(ca_file),
      .help = "CA certificates (PEM) that PaymentService is checked with, and RabbitMQ over amqps; none: the "
              "system's" },
    { .key = "callback_timeout", .type = WORKER_CONF_MS, .offset = SIM_AT(callback_timeout), .value = "10s", .min = 100,
      .max = 600000, .help = "how long a callback may take" },
    { .key = "callback_tries", .type = WORKER_CONF_INT, .offset = SIM_AT(callback_tries), .value = "10", .min = 1,
      .max = 1000000,
      .help = "how often a callback is made that PaymentService answers 4xx; all else is repeated for ever" },
    { .key = "log_format", .type = WORKER_CONF_NAME, .offset = SIM_AT(log_format), .value = "kv",
      .names = worker_log_format_names, .help = "log lines" },
    { .key = "log_level", .type = WORKER_CONF_NAME, .offset = SIM_AT(log_level), .value = "info",
      .names = worker_log_level_names, .help = "the least that is logged" },
    { .key = NULL }
};

static const worker_conf_program_t sim_program = {
    .name = "foodsvc-sim",
    .about = "Plays the partners of the food delivery system: CustomerService, DeliveryService, KitchenService and the "
             "Credit Card "
             "Company, with their callbacks and events, in the times of life (a card 5 to 20 s, a driver 5 to 10 min, "
             "each other stage 10 to 20 min) divided by --speed.\n" SIM_RULES_HELP,
    .options = sim_options,
    .size = sizeof(sim_conf_t),
    .check = sim_conf_check
};

static bool
sim_conf_check(void *values, char *err, size_t errlen)
{
    sim_conf_t *conf = values;

    if (conf->speed < SIM_SPEED_MIN) {
        snprintf(err, errlen, "speed: must be at least %g", SIM_SPEED_MIN);
        return false;
    }
    for (int i = 0; i < SIM_SERVICES; i++) {
        for (int j = 0; j < i; j++) {
            if (conf->ports[i] != 0 && conf->ports[i] == conf->ports[j]) {
                snprintf(err, errlen, "two services cannot share port %lld", (long long) conf->ports[i]);
                return false;
            }
        }
    }
    if (conf->amqp_url != NULL && strcmp(conf->amqp_url, "off") == 0) {
        conf->amqp_url[0] = '\0';
    }
    return true;
}

static bool
sim_address_check(const char *value, char *err, size_t errlen)
{
    struct in_addr address;

    if (inet_pton(AF_INET, value, &address) != 1) {
        snprintf(err, errlen, "\"%s\" is no IPv4 address", value);
        return false;
    }
    return true;
}

static bool
sim_amqp_check(const char *value, char *err, size_t errlen)
{
    return strcmp(value, "off") == 0 || worker_amqp_url_check(value, err, errlen);
}

/* Could the file be read and written, or made where there is none? It is not touched. */
static bool
sim_state_check(const char *value, char *err, size_t errlen)
{
    struct stat  info;
    char        *copy = strdup(value);
    bool         there = stat(value, &info) == 0, ok;

    if (there && S_ISDIR(info.st_mode)) {
        errno = EISDIR;
        ok = false;
    } else if (there || errno != ENOENT || copy == NULL) {
        ok = there && access(value, R_OK | W_OK) == 0;
    } else {
        ok = access(dirname(copy), W_OK | X_OK) == 0;
    }
    if (!ok) {
        snprintf(err, errlen, "\"%s\" cannot be read and written: %s", value, strerror(errno));
    }
    free(copy);
    return ok;
}

/* False: err says what is wrong; what was started is stopped by sim_stop(). */
static bool
sim_start(sim_t *sim, sim_http_t **http, char *err, size_t errlen)
{
    const sim_conf_t *conf = &sim->conf;

    if (conf->api_key == NULL && conf->api_key_file != NULL
        && (sim->conf.api_key = worker_conf_first_line(conf->api_key_file, err, errlen)) == NULL)
    {
        return false;
    }
    snprintf(err, errlen, "out of memory");
    sim->rules = sim_rules_new((uint64_t) conf->seed);
    if (sim->rules == NULL || !sim_rules_set(sim->rules, conf->fail.items, conf->fail.nitems, err, errlen)
        || (conf->state != NULL && !sim_journal_open(sim, conf->state, err, errlen))
        || (sim->sched = sim_sched_start()) == NULL
        || (sim->callback = sim_callback_start(sim, err, errlen)) == NULL)
    {
        return false;
    }
    if (conf->amqp_url != NULL && conf->amqp_url[0] != '\0'
        && (sim->events = sim_events_start(sim, conf->amqp_url, err, errlen)) == NULL)
    {
        return false;
    }
    sim_order_resume(sim);
    sim_card_resume(sim);
    *http = sim_http_start(sim, err, errlen);
    return *http != NULL;
}

/* Times first, so that nothing new begins; then the requests; then what is on its way out. */
static void
sim_stop(sim_t *sim, sim_http_t *http)
{
    if (sim->sched != NULL) {
        sim_sched_stop(sim->sched);
    }
    if (http != NULL) {
        sim_http_stop(http);
    }
    if (sim->events != NULL) {
        sim_events_stop(sim->events);
    }
    if (sim->callback != NULL) {
        sim_callback_stop(sim->callback);
    }
    if (sim->sched != NULL) {
        sim_sched_free(sim->sched);
    }
    sim_journal_close(sim);
    sim_rules_free(sim->rules);
    for (size_t i = 0; i < sim->nledger; i++) {
        sim_charge_free(sim->ledger[i]);
    }
    free(sim->ledger);
    sim_map_clear(&sim->transactions, NULL);
    sim_map_clear(&sim->keys, NULL);
    sim_map_clear(&sim->charges, NULL);
    sim_map_clear(&sim->deliveries, NULL);
    sim_map_clear(&sim->orders, sim_order_free);
    pthread_mutex_destroy(&sim->lock);
}

int
main(int argc, char **argv)
{
    static sim_t    sim;
    worker_conf_t  *conf;
    sim_http_t     *http = NULL;
    sigset_t        signals;
    char            err[512], *own_key;
    int             number = 0, status = 0;

    sim.journal = -1;
    pthread_mutex_init(&sim.lock, NULL);
    conf = worker_conf_open(&sim_program, argc, argv, &sim.conf, NULL);
    worker_log_setup("foodsvc-sim", (worker_log_format_e) sim.conf.log_format, (worker_log_level_e) sim.conf.log_level);
    if (!foodsvc_core_off()) {
        worker_log(WORKER_LOG_WARN, "a crash may leave a core", worker_text("reason", strerror(errno)));
    }
    sim.speed = sim.conf.speed;
    own_key = sim.conf.api_key;

    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGINT);
    sigaddset(&signals, SIGHUP);
    pthread_sigmask(SIG_BLOCK, &signals, NULL);     /* inherited by all threads: they come here alone */
    signal(SIGPIPE, SIG_IGN);

    if (sim_start(&sim, &http, err, sizeof(err))) {
        worker_log(WORKER_LOG_INFO, "ready", worker_int("customer", sim.conf.ports[SIM_CUSTOMER]),
                   worker_int("delivery", sim.conf.ports[SIM_DELIVERY]),
                       worker_int("kitchen", sim.conf.ports[SIM_KITCHEN]),
                   worker_int("card", sim.conf.ports[SIM_CARD]));
        while (sigwait(&signals, &number) != 0 || number == SIGHUP) {
            worker_log(WORKER_LOG_INFO, "nothing to read again: rules and speed are set over HTTP");
        }
        worker_log(WORKER_LOG_INFO, "stopping", worker_int("signal", number));
    } else {
        worker_log(WORKER_LOG_ERROR, err);
        status = 1;
    }
    sim_stop(&sim, http);
    if (sim.conf.api_key != own_key) {
        free(sim.conf.api_key);
        sim.conf.api_key = own_key;
    }
    worker_conf_close(conf);
    return status;
}
