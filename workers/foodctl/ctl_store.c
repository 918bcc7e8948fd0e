/*
 * MongoDB for foodctl, and what its failures mean for whoever asked.
 */
#include <string.h>
#include "ctl_store.h"

/* The driver's own messages: what they say comes back as an error, too. */
static void
ctl_store_log(void *ctx, int level, const char *text)
{
    (void) ctx;
    (void) level;
    (void) text;
}

foodsvc_store_t *
ctl_store_open(const ctl_t *ctl)
{
    char                 err[FOODSVC_ERR];
    foodsvc_store_conf_t conf = { .uri = ctl_need(ctl, ctl->mongo_url, "MONGO_URL"), .max_clients = 1,
                                  .timeout_ms = 3000, .log = ctl_store_log };
    foodsvc_store_t     *store = NULL;

    if (conf.uri == NULL) {
        return NULL;
    }
    if (!foodsvc_store_uri_check(conf.uri, err) || (store = foodsvc_store_open(&conf, err)) == NULL) {
        ctl_fail("%s: MONGO_URL is not right, it must be like mongodb://127.0.0.1:27017 (%s)", ctl->command, err);
    }
    return store;
}

/* The driver's own words stay out: they are many, and name what is inside. */
int
ctl_store_failed(const ctl_t *ctl, foodsvc_store_rc_e rc, const char *err)
{
    const char *place = ctl_place(ctl->mongo_url);

    if (strcasestr(err, "authenti") != NULL || strcasestr(err, "not authorized") != NULL) {
        return ctl_fail("%s: MongoDB at %s refused the login: MONGO_URL must name the right user and password, as "
                        "mongodb://USER:PASSWORD@127.0.0.1:27017", ctl->command, place);
    }
    if (rc == FOODSVC_STORE_UNAVAILABLE || rc == FOODSVC_STORE_UNKNOWN) {
        return ctl_fail("%s: MongoDB at %s cannot be reached, or has no primary: is it running? %s, MONGO_URL says "
                        "where it is", ctl->command, place, ctl_advice(ctl, ctl->mongo_url, CTL_START));
    }
    return ctl_fail("%s: MongoDB at %s: %s", ctl->command, place, err);
}
