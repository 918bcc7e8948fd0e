#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "foodsvc_names.h"
#include "foodsvc_time.h"
#include "orderd.h"
#include "worker_log.h"

#define IDLE_MS     500     /* Redis, the counters and the like are looked after this often */


static void take_signals(orderd_t *orderd, int fd)
{
    struct signalfd_siginfo  info;

    while (read(fd, &info, sizeof(info)) == sizeof(info)) {
        if (info.ssi_signo == SIGHUP) {
            worker_servers_reload(&orderd->servers);
        } else if (!orderd->stopping) {
            worker_log(WORKER_LOG_INFO, "stopping", worker_int("orders", orderd->nworks));
            orderd->stopping = true;
            orderd->deadline = foodsvc_time_monotonic() + orderd->conf.servers.term_timeout;
            worker_amqp_stop(orderd->servers.amqp);
        }
    }
}


static void log_stats(orderd_t *orderd, bool now)
{
    const orderd_stats_t  *stats = &orderd->stats;

    if ((!now && foodsvc_time_monotonic() < orderd->stats_next)
        || memcmp(stats, &orderd->logged, sizeof(*stats)) == 0)
    {
        return;
    }
    orderd->logged = *stats;
    orderd->stats_next = foodsvc_time_monotonic() + orderd->conf.servers.stats;
    worker_log(WORKER_LOG_INFO, "so far",
               worker_int("messages", stats->messages), worker_int("batches", stats->batches),
               worker_int("applied", stats->applied), worker_int("early", stats->early),
               worker_int("noted", stats->noted), worker_int("duplicate", stats->duplicate),
               worker_int("late", stats->late), worker_int("refused", stats->refused),
               worker_int("calls", stats->called), worker_int("parked", stats->parked),
               worker_int("dead", stats->dead), worker_int("finished", stats->finished));
}


static bool all_done(const orderd_t *orderd)
{
    return (orderd->nworks == 0 && orderd->nparked == 0) || foodsvc_time_monotonic() >= orderd->deadline;
}


static void one_round(orderd_t *orderd, int signals)
{
    struct pollfd  fds[2] = { { .fd = signals }, { .fd = worker_amqp_fd(orderd->servers.amqp) } };
    int64_t        wait = worker_sooner(IDLE_MS, worker_amqp_wait(orderd->servers.amqp));

    wait = worker_sooner(worker_sooner(wait, batch_wait(orderd)), parking_wait(orderd));
    worker_http_poll(orderd->servers.http, fds, 2, owed_idle(orderd->servers.owed) ? wait : 0);
    take_signals(orderd, signals);
    worker_amqp_run(orderd->servers.amqp);
    worker_http_run(orderd->servers.http);
    batch_run(orderd);
    owed_run(orderd->servers.owed);
    parking_run(orderd);
    orderd_acknowledge(orderd);
    worker_cache_run(orderd->servers.cache);
    log_stats(orderd, false);
}


int main(int argc, char **argv)
{
    static orderd_t  orderd;
    int              signals = worker_signals_open();

    if (signals < 0 || !orderd_open(&orderd, argc, argv)) {
        return 1;
    }
    worker_log(WORKER_LOG_INFO, "started", worker_text("version", FOODSVC_VERSION),
               worker_text("token", orderd.servers.token));
    while (!orderd.stopping || !all_done(&orderd)) {
        one_round(&orderd, signals);
    }
    log_stats(&orderd, true);
    worker_log(WORKER_LOG_INFO, "stopped", worker_int("returned", orderd.nworks + orderd.nparked));
    orderd_close(&orderd);
    close(signals);
    return 0;
}
