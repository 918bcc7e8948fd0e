/*
 * health: what OrderService and PaymentService say of themselves and of what they need, as a table. Of Redis, without
 * which they go on, and of orderd, which they never meet, they say nothing: those are asked for from here.
 */
#include <stdio.h>
#include <string.h>
#include "ctl_message.h"
#include "ctl_redis.h"
#include "ctl_table.h"
#include "foodsvc_names.h"

static void
ctl_health_line(const char *name, bool good, const char *more)
{
    ctl_print_text(name, 24);
    putchar(' ');
    ctl_paint(good ? "ok" : "DOWN", good);
    fputs(*more ? good ? "      " : "    " : "", stdout);
    ctl_print_text(more, 0);
    putchar('\n');
}

/* The lines of one service's answer. Returns how many of the things it needs are down. */
static size_t
ctl_health_print(const char *service, const json_t *answer)
{
    const json_t *resources = json_object_get(answer, "resources"), *one;
    const json_t *days = json_object_get(answer, "cert_remaining_days");
    const char   *version = json_string_value(json_object_get(answer, "version"));
    char          more[96] = "", name[64];
    size_t        i, down = 0;

    if (json_is_integer(days)) {
        snprintf(more, sizeof(more), "version %s, certificate for %lld days", version ? version : "?",
                 (long long) json_integer_value(days));
    }
    ctl_health_line(service, json_is_true(json_object_get(answer, "status")), more);
    json_array_foreach(resources, i, one) {
        const char *resource = json_string_value(json_object_get(one, "name"));
        bool        good = json_is_true(json_object_get(one, "status"));

        snprintf(name, sizeof(name), "  %s", resource ? resource : "?");
        ctl_health_line(name, good, "");
        down += !good;
    }
    return down;
}

/* One service. Appends to all, or prints. Returns whether it is well; why: how not. */
static bool
ctl_health_one(const ctl_t *ctl, const char *name, const char *url, json_t *all, char why[CTL_WHY])
{
    ctl_answer_t answer;
    bool         answered = ctl_http(ctl, "GET", url, FOODSVC_PATH_HEALTH, NULL, &answer, why);
    bool         good = answered && json_is_true(json_object_get(answer.json, "status"));
    size_t       down;

    if (answered && !json_is_object(answer.json)) {
        snprintf(why, CTL_WHY, "%s answers no health: is it the address of %s?", ctl_place(url), name);
    }
    if (ctl->json) {
        json_array_append_new(all, json_is_object(answer.json) ? json_incref(answer.json)
                                   : json_pack("{s:s, s:b, s:s}", "name", name, "status", false, "detail", why));
    } else if (json_is_object(answer.json)) {
        down = ctl_health_print(name, answer.json);
        snprintf(why, CTL_WHY, "%zu of what %s needs %s down: look at %s", down, name, down == 1 ? "is" : "are",
                 ctl_advice(ctl, url, CTL_LOOK));
    } else {
        ctl_health_line(name, false, why);
    }
    if (ctl->json && json_is_object(answer.json)) {
        snprintf(why, CTL_WHY, "%s says that it is not well", name);
    }
    ctl_answer_free(&answer);
    return good;
}

typedef struct {
    const char  *name, *url, *variable;
    bool       (*ask)(const ctl_t *ctl, char why[CTL_WHY]);
} ctl_health_own_t;

/* The next two say what is wrong by ctl_fail, whose text is why. */
static bool
ctl_health_redis(const ctl_t *ctl, char why[CTL_WHY])
{
    redisContext *redis = ctl_redis_open(ctl);

    (void) why;
    redisFree(redis);
    return redis != NULL;
}

static bool
ctl_health_orderd(const ctl_t *ctl, char why[CTL_WHY])
{
    worker_amqp_t *amqp = ctl_amqp_open(ctl);
    uint32_t       waiting = 0, consumers = 0;
    bool           counted = amqp != NULL && ctl_message_count(ctl, amqp, FOODSVC_QUEUE, &waiting, &consumers);

    worker_amqp_close(amqp);
    if (counted && consumers == 0) {
        snprintf(why, CTL_WHY, "nobody consumes %s: %s", FOODSVC_QUEUE, ctl->local & CTL_USES_AMQP
                 ? "`make start-orderd` starts it" : "`systemctl status 'foodsvc-orderd@*'` on its host tells");
    } else if (counted) {
        snprintf(why, CTL_WHY, "consumers of %s: %u, events that wait: %u", FOODSVC_QUEUE, consumers, waiting);
    }
    return counted && consumers > 0;
}

/* One that is asked from here. As ctl_health_one; without its url it is not asked, and the table says so. */
static bool
ctl_health_own(const ctl_t *ctl, const ctl_health_own_t *own, json_t *all, char why[CTL_WHY])
{
    size_t len = strlen(ctl->command) + 2;
    bool   good;

    if (own->url == NULL) {
        if (!ctl->json) {
            printf("%-24s not asked: %s is not set\n", own->name, own->variable);
        }
        return true;
    }
    why[0] = '\0';
    ctl_fail_into(why);
    good = own->ask(ctl, why);
    ctl_fail_into(NULL);
    if (strncmp(why, ctl->command, len - 2) == 0 && strncmp(why + len - 2, ": ", 2) == 0) {
        memmove(why, why + len, strlen(why + len) + 1);
    }
    if (ctl->json) {
        json_array_append_new(all, json_pack("{s:s, s:b, s:s}", "name", own->name, "status", good, "detail", why));
    } else {
        ctl_health_line(own->name, good, why);
    }
    return good;
}

int
ctl_health(ctl_t *ctl)
{
    const char *names[] = { FOODSVC_ORDER_SERVICE, FOODSVC_PAYMENT_SERVICE };
    const char *urls[] = { ctl->order_url, ctl->payment_url };
    const char *variables[] = { "ORDER_URL", "PAYMENT_URL" };
    const ctl_health_own_t owns[] = {
        { "Redis", ctl->redis_url, "REDIS_URL", ctl_health_redis },
        { "orderd", ctl->amqp_url, "AMQP_URL", ctl_health_orderd },
    };
    char        why[CTL_WHY], first[CTL_WHY] = "";
    json_t     *all = json_array();

    for (int i = 0; i < 2; i++) {
        if (ctl_need(ctl, urls[i], variables[i]) == NULL) {
            json_decref(all);
            return CTL_FAILED;
        }
    }
    for (int i = 0; i < 2; i++) {
        if (i == 0 && !ctl->json) {
            puts("SERVICE                  STATUS");
        }
        if (!ctl_health_one(ctl, names[i], urls[i], all, why) && first[0] == '\0') {
            memcpy(first, why, sizeof(first));
        }
    }
    for (int i = 0; i < 2; i++) {
        if (!ctl_health_own(ctl, &owns[i], all, why) && first[0] == '\0') {
            memcpy(first, why, sizeof(first));
        }
    }
    if (ctl->json) {
        ctl_print_json(all);
    }
    json_decref(all);
    return first[0] != '\0' ? ctl_fail("%s: %s", ctl->command, first) : CTL_OK;
}
