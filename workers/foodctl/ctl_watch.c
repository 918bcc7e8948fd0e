/*
 * order watch: asks for the order a few times a second and shows its way. On a terminal one line grows
 * (`created > paymentPaid > ...`), elsewhere each status is a line of its own with the seconds since the watch began.
 * Statuses that were passed between two questions are taken from the order's history, where the answer has one.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include "ctl.h"
#include "foodsvc_names.h"
#include "foodsvc_time.h"

#define CTL_WATCH_EVERY     200     /* ms */
#define CTL_WATCH_PATIENCE  10000   /* ms without an answer */

typedef struct {
    const ctl_t *ctl;
    bool         live, colours;
    int64_t      began;
    size_t       shown;                 /* entries of the history */
    char         last[64];              /* the status shown last */
} ctl_watch_t;

static void
ctl_watch_show(ctl_watch_t *watch, const char *status)
{
    if (strcmp(watch->last, status) == 0) {
        return;
    }
    if (watch->ctl->json) {
        json_t *line = json_pack("{s:s, s:f}", "status", status, "seconds",
                                 (double) (foodsvc_time_monotonic() - watch->began) / 1000);

        ctl_print_json(line);
        json_decref(line);
    } else if (watch->live) {
        bool bad = strstr(status, "Failed") != NULL || strstr(status, "Cancelled") != NULL;

        printf("%s%s%s%s", watch->last[0] ? " > " : "", watch->colours ? bad ? "\033[31m" : "\033[32m" : "", status,
               watch->colours ? "\033[0m" : "");
    } else {
        printf("%7.1f s  %s\n", (double) (foodsvc_time_monotonic() - watch->began) / 1000, status);
    }
    fflush(stdout);
    snprintf(watch->last, sizeof(watch->last), "%s", status);
}

static bool
ctl_watch_enough(const ctl_watch_t *watch)
{
    return watch->ctl->until != NULL && strcmp(watch->last, watch->ctl->until) == 0;
}

/* Shows what is new. True: the order is at its end, or where the watch was to end. */
static bool
ctl_watch_order(ctl_watch_t *watch, const json_t *order)
{
    const json_t     *updated = json_object_get(order, "updated");
    const char       *status = json_string_value(json_object_get(order, "status"));
    foodsvc_status_e  known;

    if (watch->last[0] == '\0') {
        ctl_watch_show(watch, foodsvc_status_name(FOODSVC_CREATED));
    }
    for (; watch->shown < json_array_size(updated); watch->shown++) {
        const char *past = json_string_value(json_object_get(json_array_get(updated, watch->shown), "status"));

        if (past != NULL) {
            ctl_watch_show(watch, past);
        }
        if (ctl_watch_enough(watch)) {
            return true;
        }
    }
    if (status == NULL || !foodsvc_status_parse(status, strlen(status), &known)) {
        return false;
    }
    ctl_watch_show(watch, status);
    return foodsvc_status_final(known) || known == FOODSVC_PAYMENT_FAILED || ctl_watch_enough(watch);
}

static int
ctl_watch_end(ctl_watch_t *watch, int code)
{
    if (watch->live && watch->last[0] != '\0') {
        putchar('\n');
        fflush(stdout);
    }
    return code;
}

int
ctl_order_watch(ctl_t *ctl)
{
    const struct timespec  pause = { 0, CTL_WATCH_EVERY * 1000000L };
    ctl_watch_t            watch = { .ctl = ctl, .live = isatty(STDOUT_FILENO) && !ctl->json,
                                     .colours = ctl_colours() };
    const char            *base = ctl_need(ctl, ctl->order_url, "ORDER_URL");
    const char            *failed = foodsvc_status_name(FOODSVC_PAYMENT_FAILED);
    ctl_answer_t           answer;
    char                   id[FOODSVC_UUID_TEXT + 1], path[128];
    int64_t                answered;
    bool                   ended, silent;

    if (base == NULL || !ctl_order_id(ctl->args[0], id)) {
        return base == NULL ? CTL_FAILED : CTL_USAGE;
    }
    snprintf(path, sizeof(path), "%s/%s", FOODSVC_PATH_ORDERS, id);
    watch.began = answered = foodsvc_time_monotonic();
    for ( ;; ) {
        silent = foodsvc_time_monotonic() - answered < CTL_WATCH_PATIENCE && watch.last[0] != '\0';
        if (ctl_http(ctl, "GET", base, path, NULL, silent, &answer)) {
            if (answer.status == 200) {
                answered = foodsvc_time_monotonic();
                ended = ctl_watch_order(&watch, answer.json);
                ctl_answer_free(&answer);
                if (ended) {
                    return ctl_watch_end(&watch, !ctl_watch_enough(&watch)
                                                 && (ctl->until || strcmp(watch.last, failed) == 0) ? CTL_FAILED : CTL_OK);
                }
            } else if (answer.status < 500 || !silent) {
                ctl_watch_end(&watch, 0);
                ctl_http_refused(ctl->command, &answer);
                ctl_answer_free(&answer);
                return CTL_FAILED;
            }
        } else if (!silent) {
            ctl_answer_free(&answer);
            return CTL_FAILED;
        }
        ctl_answer_free(&answer);
        if (ctl->timeout > 0 && foodsvc_time_monotonic() - watch.began >= ctl->timeout) {
            ctl_watch_end(&watch, 0);
            return ctl_fail("the order is still %s after %lld s: look at `make logs`", watch.last,
                            (long long) (ctl->timeout / 1000));
        }
        nanosleep(&pause, NULL);
    }
}
