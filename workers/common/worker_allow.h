/*
 * The option partner_allow: entries of foodsvc_allow.h, one or several (parted by blanks or commas) in each value.
 */
#ifndef WORKER_ALLOW_H
#define WORKER_ALLOW_H

#include "foodsvc_allow.h"
#include "worker_conf.h"

/* The check of such an option. */
bool worker_allow_check(const char *value, char *err, size_t errlen);
/* What the option says; worker_allow_free() it. False: no memory. */
bool worker_allow_make(const worker_conf_list_t *values, foodsvc_allow_t *allow);
void worker_allow_free(foodsvc_allow_t *allow);

#endif
