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


/* Signals come as input of the loop. Blocked before any thread begins, so that all threads inherit it. */
static int open_signals(void)
{
    sigset_t  set;

    signal(SIGPIPE, SIG_IGN);
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGHUP);
    sigprocmask(SIG_BLOCK, &set, NULL);
    return signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}


static void take_signals(orderd_t *orderd, int fd)
{
    struct signalfd_siginfo  info;

    while (read(fd, &info, sizeof(info)) == sizeof(info)) {
        if (info.ssi_signo == SIGHUP) {
            orderd_reload(orderd);
        } else if (!orderd->stopping) {
            worker_log(WORKER_LOG_INFO, "stopping", worker_int("orders", orderd->nworks));
            orderd->stopping = true;
            orderd->deadline = foodsvc_time_monotonic() + orderd->conf.term_timeout;
            worker_amqp_stop(orderd->amqp);
        }
    }
}


static int64_t sooner(int64_t wait, int64_t other)
{
    return other >= 0 && other < wait ? other : wait;
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
    orderd->stats_next = foodsvc_time_monotonic() + orderd->conf.stats;
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
    struct pollfd  fds[2] = { { .fd = signals }, { .fd = worker_amqp_fd(orderd->amqp) } };
    int64_t        wait = sooner(IDLE_MS, worker_amqp_wait(orderd->amqp));

    wait = sooner(sooner(wait, batch_wait(orderd)), parking_wait(orderd));
    worker_http_poll(orderd->http, fds, 2, owed_idle(orderd->owed) ? wait : 0);
    take_signals(orderd, signals);
    worker_amqp_run(orderd->amqp);
    worker_http_run(orderd->http);
    batch_run(orderd);
    owed_run(orderd->owed);
    parking_run(orderd);
    orderd_acknowledge(orderd);
    worker_cache_run(orderd->cache);
    log_stats(orderd, false);
}


int main(int argc, char **argv)
{
    static orderd_t  orderd;
    int              signals = open_signals();

    if (signals < 0 || !orderd_open(&orderd, argc, argv)) {
        return 1;
    }
    worker_log(WORKER_LOG_INFO, "started", worker_text("version", FOODSVC_VERSION), worker_text("token", orderd.token));
    while (!orderd.stopping || !all_done(&orderd)) {
        one_round(&orderd, signals);
    }
    log_stats(&orderd, true);
    worker_log(WORKER_LOG_INFO, "stopped", worker_int("returned", orderd.nworks + orderd.nparked));
    orderd_close(&orderd);
    close(signals);
    return 0;
}
