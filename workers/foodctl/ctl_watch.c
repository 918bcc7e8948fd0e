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
#include "ctl_table.h"
#include "foodsvc_names.h"
#include "foodsvc_time.h"

#define CTL_WATCH_EVERY     200     /* ms */
#define CTL_WATCH_PATIENCE  10000   /* ms without an answer */

typedef struct {
    const ctl_t      *ctl;
    bool              live;
    int64_t           began;
    size_t            shown;            /* entries of the history */
    char              last[64];         /* the status shown last; "": none yet */
    foodsvc_status_e  status;           /* the same, where it is one of ours */
} ctl_watch_t;

/* A status that is not on the way to the door. */
static bool
ctl_watch_bad(foodsvc_status_e status)
{
    return status == FOODSVC_PAYMENT_FAILED || status == FOODSVC_ORDER_CANCELLED;
}

static void
ctl_watch_show(ctl_watch_t *watch, const char *status)
{
    double seconds = (double) (foodsvc_time_monotonic() - watch->began) / 1000;
    bool   known;

    if (strcmp(watch->last, status) == 0) {
        return;
    }
    known = foodsvc_status_parse(status, strlen(status), &watch->status);
    if (watch->ctl->json) {
        ctl_print_json_new(json_pack("{s:s, s:f}", "status", status, "seconds", seconds));
    } else if (watch->live) {
        fputs(watch->last[0] ? " > " : "", stdout);
        ctl_paint(status, !known || !ctl_watch_bad(watch->status));
    } else {
        printf("%7.1f s  ", seconds);
        ctl_print_text(status, 0);
        putchar('\n');
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

/* Ends the live line. */
static void
ctl_watch_close(const ctl_watch_t *watch)
{
    if (watch->live && watch->last[0] != '\0') {
        putchar('\n');
    }
}

/* The order is at its end, or where the watch was to end. */
static int
ctl_watch_result(const ctl_watch_t *watch)
{
    ctl_watch_close(watch);
    if (ctl_watch_enough(watch)) {
        return CTL_OK;
    }
    if (watch->ctl->until != NULL) {
        return ctl_fail("%s: the order came to its end, %s, without %s", watch->ctl->command, watch->last,
                        watch->ctl->until);
    }
    if (watch->status == FOODSVC_PAYMENT_FAILED) {
        return ctl_fail("%s: the payment failed, so nothing will be delivered: `foodctl order place` places a new "
                        "order", watch->ctl->command);
    }
    return CTL_OK;
}

/* Was it to be given up by now? Told. */
static bool
ctl_watch_over(const ctl_watch_t *watch)
{
    if (watch->ctl->timeout == 0 || foodsvc_time_monotonic() - watch->began < watch->ctl->timeout) {
        return false;
    }
    ctl_watch_close(watch);
    ctl_fail("%s: the order is still %s after %.1f s: look at %s", watch->ctl->command,
             watch->last[0] ? watch->last : "not there", (double) watch->ctl->timeout / 1000,
             watch->ctl->local & CTL_USES_ORDER ? "`make logs`" : "`journalctl -u 'foodsvc-orderd@*'` on its host");
    return true;
}

int
ctl_order_watch(ctl_t *ctl)
{
    const struct timespec  pause = { 0, CTL_WATCH_EVERY * 1000000L };
    ctl_watch_t            watch = { .ctl = ctl, .live = isatty(STDOUT_FILENO) && !ctl->json };
    const char            *base = ctl_need(ctl, ctl->order_url, "ORDER_URL");
    ctl_answer_t           answer;
    char                   id[FOODSVC_UUID_TEXT + 1], path[128], why[CTL_WHY];
    int64_t                answered;
    bool                   came, ended = false;

    if (base == NULL || !ctl_order_id(ctl->args[0], id)) {
        return base == NULL ? CTL_FAILED : CTL_USAGE;
    }
    snprintf(path, sizeof(path), "%s/%s", FOODSVC_PATH_ORDERS, id);
    watch.began = answered = foodsvc_time_monotonic();
    for ( ;; ) {
        came = ctl_http(ctl, "GET", base, path, NULL, &answer, why);
        if (came && answer.status == 200) {
            answered = foodsvc_time_monotonic();
            ended = ctl_watch_order(&watch, answer.json);
        } else if (watch.last[0] == '\0' || (came && answer.status < 500)
                   || foodsvc_time_monotonic() - answered >= CTL_WATCH_PATIENCE)
        {
            ctl_watch_close(&watch);
            if (came) {
                ctl_http_refused(ctl, &answer);
            } else {
                ctl_fail("%s: %s", ctl->command, why);
            }
            ctl_answer_free(&answer);
            return CTL_FAILED;
        }
        ctl_answer_free(&answer);
        if (ended) {
            return ctl_watch_result(&watch);
        }
        if (ctl_watch_over(&watch)) {
            return CTL_FAILED;
        }
        nanosleep(&pause, NULL);
    }
}
