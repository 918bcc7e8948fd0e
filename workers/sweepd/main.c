#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "foodsvc_names.h"
#include "foodsvc_time.h"
#include "sweepd.h"
#include "worker_log.h"

#define IDLE_MS     500     /* Redis and the counters are looked after this often */


static void take_signals(sweepd_t *sweepd, int fd)
{
    struct signalfd_siginfo  info;

    while (read(fd, &info, sizeof(info)) == sizeof(info)) {
        if (info.ssi_signo == SIGHUP) {
            worker_servers_reload(&sweepd->servers);
        } else if (!sweepd->stopping) {
            worker_log(WORKER_LOG_INFO, "stopping", worker_int("orders", sweepd->nworks));
            sweepd->stopping = true;
            sweepd->deadline = foodsvc_time_monotonic() + sweepd->conf.servers.term_timeout;
        }
    }
}


static void log_stats(sweepd_t *sweepd, bool now)
{
    const sweepd_stats_t  *stats = &sweepd->stats;

    if ((!now && foodsvc_time_monotonic() < sweepd->stats_next)
        || memcmp(stats, &sweepd->logged, sizeof(*stats)) == 0)
    {
        return;
    }
    sweepd->logged = *stats;
    sweepd->stats_next = foodsvc_time_monotonic() + sweepd->conf.servers.stats;
    worker_log(WORKER_LOG_INFO, "so far", worker_int("repaired", stats->repaired), worker_int("asked", stats->asked),
               worker_int("calls", stats->calls), worker_int("later", stats->later),
               worker_int("refused", stats->refused), worker_int("busy", stats->busy),
               worker_int("relayed", stats->relayed));
}


static bool all_done(const sweepd_t *sweepd)
{
    return (sweepd->nworks == 0 && !relay_busy(sweepd)) || foodsvc_time_monotonic() >= sweepd->deadline;
}


static void one_round(sweepd_t *sweepd, int signals)
{
    worker_servers_t  *servers = &sweepd->servers;
    struct pollfd      fds[2] = { { .fd = signals }, { .fd = worker_amqp_fd(servers->amqp) } };
    int64_t            wait = worker_sooner(IDLE_MS, worker_amqp_wait(servers->amqp));

    wait = worker_sooner(worker_sooner(wait, works_wait(sweepd)), sweep_wait(sweepd));
    wait = worker_sooner(wait, relay_wait(sweepd));
    worker_http_poll(servers->http, fds, 2, owed_idle(servers->owed) ? wait : 0);
    take_signals(sweepd, signals);
    worker_amqp_run(servers->amqp);
    worker_http_run(servers->http);
    sweep_run(sweepd);
    overdue_run(sweepd);
    works_store(sweepd);
    owed_run(servers->owed);
    relay_run(sweepd);
    worker_cache_run(servers->cache);
    log_stats(sweepd, false);
}


int main(int argc, char **argv)
{
    static sweepd_t  sweepd;
    int              signals = worker_signals_open();

    if (signals < 0 || !sweepd_open(&sweepd, argc, argv)) {
        return 1;
    }
    worker_log(WORKER_LOG_INFO, "started", worker_text("version", FOODSVC_VERSION),
               worker_text("token", sweepd.servers.token));
    while (!sweepd.stopping || !all_done(&sweepd)) {
        one_round(&sweepd, signals);
    }
    log_stats(&sweepd, true);
    worker_log(WORKER_LOG_INFO, "stopped", worker_int("left", sweepd.nworks));
    sweepd_close(&sweepd);
    close(signals);
    return 0;
}
