/*
 * MongoDB for foodctl: one client, for one command.
 */
#ifndef CTL_STORE_H
#define CTL_STORE_H

#include "ctl.h"
#include "foodsvc_store.h"

/* Doesn't connect. NULL: told. */
foodsvc_store_t *ctl_store_open(const ctl_t *ctl);
/* Tells why a call failed. Returns CTL_FAILED. */
int ctl_store_failed(const ctl_t *ctl, foodsvc_store_rc_e rc, const char *err);

/* --- ctl_relay.c --- */

/*
 * Sends what the outbox of an order's payment has, in its order, and adds the statuses that went to `relayed`, a JSON
 * array. RabbitMQ is asked only when there is something. CTL_OK, also without a payment, or told.
 */
int ctl_relay(const ctl_t *ctl, foodsvc_store_t *store, const char *id, json_t *relayed);

#endif
