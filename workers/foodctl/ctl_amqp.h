/*
 * RabbitMQ for foodctl: one connection, for one command.
 */
#ifndef CTL_AMQP_H
#define CTL_AMQP_H

#include "ctl.h"
#include "worker_amqp.h"

#define CTL_AMQP_PATIENCE   5000    /* ms that an answer may take */

/* Connected and logged in, or NULL: told. The caller calls worker_amqp_close. */
worker_amqp_t *ctl_amqp_open(const ctl_t *ctl);
/* Publishes and waits for the confirm; publish.done and ctx are not the caller's. LOST: no confirm in time, too. */
worker_amqp_rc_e ctl_amqp_send(worker_amqp_t *amqp, worker_amqp_publish_t publish);
/* Tells that the connection ended. */
int ctl_amqp_lost(const ctl_t *ctl);
/* Tells that there is no such queue. */
int ctl_amqp_no_queue(const ctl_t *ctl, const char *queue);

#endif
