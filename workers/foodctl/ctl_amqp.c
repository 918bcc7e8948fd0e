/*
 * The connection to RabbitMQ, and what its failures mean for whoever asked.
 */
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include "ctl_amqp.h"
#include "worker_log.h"

static bool
ctl_begins(const char *text, const char *with)
{
    return strncmp(text, with, strlen(with)) == 0;
}

/* err: worker_amqp_dial's, "what it did: what it got". */
static void
ctl_amqp_refused(const ctl_t *ctl, const char *err)
{
    const char *place = ctl_place(ctl->amqp_url);

    if (ctl_begins(err, "login: 403")) {
        ctl_fail("%s: RabbitMQ at %s refused the login: AMQP_URL must name the right user and password, as "
                 "amqp://USER:PASSWORD@127.0.0.1:5672/", ctl->command, place);
    } else if (ctl_begins(err, "login: 530")) {
        ctl_fail("%s: RabbitMQ at %s has no such vhost, or the user may not use it: AMQP_URL ends with the vhost's "
                 "name, or with a slash for the usual one", ctl->command, place);
    } else if (ctl_begins(err, "cannot read the certificates")) {
        ctl_fail("%s: the file that CA_CERT names, %s, cannot be read, or has no certificates", ctl->command,
                 ctl->ca_cert ? ctl->ca_cert : "?");
    } else if (strstr(err, "verification failed") != NULL) {
        ctl_fail("%s: the certificate of RabbitMQ at %s is another host's, or of nobody that %s", ctl->command, place,
                 ctl->ca_cert ? "CA_CERT's file knows" : "this system knows: CA_CERT names the file of who signed it");
    } else if (ctl_begins(err, "login") || strstr(err, "SSL") != NULL) {
        ctl_fail("%s: %s does not answer as RabbitMQ does: correct AMQP_URL, its amqp:// or amqps:// included",
                 ctl->command, place);
    } else {
        ctl_fail("%s: RabbitMQ at %s cannot be reached: is it running? %s, AMQP_URL says where it is", ctl->command,
                 place, ctl_advice(ctl, ctl->amqp_url, CTL_START));
    }
}

worker_amqp_t *
ctl_amqp_open(const ctl_t *ctl)
{
    const char         *url = ctl_need(ctl, ctl->amqp_url, "AMQP_URL");
    worker_amqp_conf_t  conf = { .url = url, .ca_file = ctl->ca_cert, .timeout_ms = 3000, .heartbeat = 10 };
    worker_amqp_t      *amqp = NULL;
    char                err[WORKER_AMQP_REASON];

    if (url == NULL) {
        return NULL;
    }
    worker_log_setup("foodctl", WORKER_LOG_KV, WORKER_LOG_ERROR);   /* what goes wrong is told once, here */
    if (!worker_amqp_url_check(url, err, sizeof(err))) {
        ctl_fail("AMQP_URL is %s", err);
        return NULL;
    }
    amqp = worker_amqp_open(&conf);
    if (amqp == NULL) {
        ctl_fail("out of memory");
        return NULL;
    }
    if (!worker_amqp_dial(amqp, err, sizeof(err))) {
        ctl_amqp_refused(ctl, err);
        worker_amqp_close(amqp);
        return NULL;
    }
    return amqp;
}

/* Of whoever comes last: the confirm, or the caller, who waits for it only so long. */
typedef struct {
    bool              done, left;
    worker_amqp_rc_e  rc;
} ctl_sent_t;

static void
ctl_amqp_confirmed(void *ctx, worker_amqp_rc_e rc)
{
    ctl_sent_t *sent = ctx;

    if (sent->left) {
        free(sent);
        return;
    }
    sent->done = true;
    sent->rc = rc;
}

worker_amqp_rc_e
ctl_amqp_send(worker_amqp_t *amqp, worker_amqp_publish_t publish)
{
    ctl_sent_t       *sent = calloc(1, sizeof(*sent));
    int64_t           deadline = foodsvc_time_monotonic() + CTL_AMQP_PATIENCE;
    bool              published = false;
    worker_amqp_rc_e  rc = WORKER_AMQP_LOST;

    if (sent == NULL) {
        return rc;
    }
    publish.done = ctl_amqp_confirmed;
    publish.ctx = sent;
    while (!sent->done && worker_amqp_connected(amqp) && foodsvc_time_monotonic() < deadline) {
        struct pollfd fd = { worker_amqp_fd(amqp), POLLIN, 0 };

        if (!published) {
            published = worker_amqp_publish(amqp, &publish);
        }
        poll(&fd, 1, 20);
        worker_amqp_run(amqp);
    }
    if (published && !sent->done) {
        sent->left = true;
        return rc;
    }
    rc = sent->done ? sent->rc : rc;
    free(sent);
    return rc;
}

int
ctl_amqp_lost(const ctl_t *ctl)
{
    return ctl_fail("%s: RabbitMQ at %s ended the connection, or gave no answer in time: look at %s", ctl->command,
                    ctl_place(ctl->amqp_url), ctl_advice(ctl, ctl->amqp_url, CTL_LOOK));
}

int
ctl_amqp_no_queue(const ctl_t *ctl, const char *queue)
{
    return ctl_fail("%s: RabbitMQ has no queue \"%s\": it is there once its service has run", ctl->command, queue);
}
