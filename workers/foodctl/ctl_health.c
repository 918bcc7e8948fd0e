/*
 * health: what OrderService and PaymentService say of themselves and of what they need, as a table.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "ctl.h"
#include "foodsvc_names.h"

static void
ctl_health_line(const char *name, bool good, const char *more)
{
    bool colours = ctl_colours();

    printf("%-22s %s%s%s%s%s\n", name, colours ? good ? "\033[32m" : "\033[31m" : "", good ? "ok" : "DOWN",
           colours ? "\033[0m" : "", *more ? "  " : "", more);
}

static void
ctl_health_print(const char *service, const ctl_answer_t *answer)
{
    const json_t *resources = json_object_get(answer->json, "resources"), *one;
    const json_t *days = json_object_get(answer->json, "cert_remaining_days");
    const char   *version = json_string_value(json_object_get(answer->json, "version"));
    char          more[96] = "", name[64];
    size_t        i;

    if (json_is_integer(days)) {
        snprintf(more, sizeof(more), "version %s, certificate for %lld days", version ? version : "?",
                 (long long) json_integer_value(days));
    }
    ctl_health_line(service, json_is_true(json_object_get(answer->json, "status")), more);
    json_array_foreach(resources, i, one) {
        const char *resource = json_string_value(json_object_get(one, "name"));

        snprintf(name, sizeof(name), "  %s", resource ? resource : "?");
        ctl_health_line(name, json_is_true(json_object_get(one, "status")), "");
    }
}

int
ctl_health(ctl_t *ctl)
{
    const char   *names[] = { FOODSVC_ORDER_SERVICE, FOODSVC_PAYMENT_SERVICE };
    const char   *urls[] = { ctl_need(ctl, ctl->order_url, "ORDER_URL"),
                             ctl_need(ctl, ctl->payment_url, "PAYMENT_URL") };
    ctl_answer_t  answer;
    json_t       *all = json_array();
    int           code = CTL_OK;

    for (int i = 0; i < 2 && urls[0] != NULL && urls[1] != NULL; i++) {
        bool answered = ctl_http(ctl, "GET", urls[i], FOODSVC_PATH_HEALTH, NULL, ctl->json, &answer);

        if (!answered || !json_is_true(json_object_get(answer.json, "status"))) {
            code = CTL_FAILED;
        }
        if (ctl->json) {
            json_array_append_new(all, json_is_object(answer.json) ? json_incref(answer.json)
                                       : json_pack("{s:s, s:b}", "name", names[i], "status", false));
        } else if (answered && json_is_object(answer.json)) {
            ctl_health_print(names[i], &answer);
        } else {
            ctl_health_line(names[i], false, "");
        }
        ctl_answer_free(&answer);
    }
    if (ctl->json) {
        ctl_print_json(all);
    }
    json_decref(all);
    return urls[0] == NULL || urls[1] == NULL ? CTL_FAILED : code;
}
