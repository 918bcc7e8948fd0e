/*
 * order repair, and what it shares with order refund (ctl_refund.c).
 *
 * A repair does what one order owes, now, as orderd and sweepd do: under the order's claim, a conditional write
 * that one of all takes; one debt after the other (serve.h, owed.h); each answer stored before the next call, and the
 * cache refreshed. When the order owes nothing, and its payment waits for a report or an event that is overdue, it asks
 * for that (ctl_overdue.c). Then it sends the events of its payment that were stored and not sent. Each call has an
 * idempotency key and each event its message_id, so a repair costs nothing twice, and nothing when foodctl is killed in
 * the middle: its claim ends by itself.
 */
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "ctl_repair.h"
#include "foodsvc_names.h"
#include "foodsvc_time.h"
#include "worker_allow.h"
#include "worker_log.h"

#define CTL_REPAIR_CLAIM    60000       /* ms */
#define CTL_REPAIR_CALL     10000       /* ms that a partner may take */
#define CTL_REPAIR_STORE    15000       /* ms that MongoDB may be away when there is an answer to store */
#define CTL_REPAIR_AGAIN    250         /* ms between looks at what another process holds */

/* --- serving --- */

static ctl_repair_t *
ctl_repair_of(serve_t *serve)
{
    return (ctl_repair_t *) ((char *) serve - offsetof(ctl_repair_t, serve));
}

static void
ctl_repair_ready(serve_t *serve)
{
    (void) serve;           /* has_change says so, too */
}

static void
ctl_repair_end(serve_t *serve)
{
    ctl_repair_of(serve)->ended = true;
}

/* "accepted", or what it was that did not go well. */
static const char *
ctl_repair_outcome(const owed_result_t *result)
{
    if (result->rc != OWED_DONE) {
        return result->rc == OWED_LATER ? "later" : "refused";
    }
    if (result->has_change && result->change.kind == FOODSVC_CHANGE_EVENT) {
        return foodsvc_status_name(result->change.status);
    }
    return result->what == FOODSVC_OWES_DELIVERY ? "there is none to cancel" : "accepted";
}

static void
ctl_repair_called(serve_t *serve, const owed_result_t *result)
{
    json_array_append_new(ctl_repair_of(serve)->did,
                          json_pack("{s:s, s:s, s:s?}", "owed", foodsvc_owes_name(result->what), "outcome",
                                    ctl_repair_outcome(result), "reason",
                                    result->rc == OWED_DONE ? NULL : result->reason));
}

static const serve_owner_t ctl_repair_owner = { ctl_repair_ready, ctl_repair_end, ctl_repair_called };

void
ctl_repair_pause(void)
{
    nanosleep(&(struct timespec) { 0, CTL_REPAIR_AGAIN * 1000000L }, NULL);
}

static int
ctl_repair_store_failed(const ctl_repair_t *repair, foodsvc_store_rc_e rc, const char *err)
{
    if (rc == FOODSVC_STORE_NOT_FOUND) {
        return ctl_fail("%s: order %s does not exist: `foodctl order list` shows those that do", repair->ctl->command,
                        repair->id);
    }
    return ctl_store_failed(repair->ctl, rc, err);
}

int
ctl_repair_stored(ctl_repair_t *repair)
{
    int64_t                    deadline = foodsvc_time_monotonic() + CTL_REPAIR_STORE;
    foodsvc_store_change_op_t  op, *ops[] = { &op };

    for ( ;; ) {
        serve_op(&repair->serve, repair->id, repair->token, CTL_REPAIR_CLAIM, &op);
        foodsvc_store_orders_change(repair->store, ops, 1);
        if (op.rc == FOODSVC_STORE_OK) {
            break;
        }
        /* what a partner has answered is stored if that can be; before the first call there is nothing to lose */
        if ((op.rc != FOODSVC_STORE_UNAVAILABLE && op.rc != FOODSVC_STORE_UNKNOWN) || !repair->serve.claimed
            || foodsvc_time_monotonic() > deadline)
        {
            return ctl_repair_store_failed(repair, op.rc, op.err);
        }
        ctl_repair_pause();
    }
    serve_stored(&repair->serve, &op);
    repair->uncached = !worker_cache_orders(repair->cache, &repair->serve.order, 1);
    return CTL_OK;
}

int
ctl_repair_busy(const ctl_repair_t *repair)
{
    char until[FOODSVC_TIME_TEXT + 1];

    return ctl_fail("%s: %s does what the order owes, and has claimed it until %s: --wait SECONDS waits for that",
                    repair->ctl->command, repair->serve.order->claim_by,
                    foodsvc_time_format(repair->serve.order->claim_until, until));
}

bool
ctl_repair_is_cancelled(const ctl_repair_t *repair)
{
    foodsvc_status_e status = repair->serve.order->status;

    return status == FOODSVC_ORDER_CANCELLED || status == FOODSVC_REIMBURSED;
}

/* Until the end of what was begun. CTL_OK: serve.rc tells. */
static int
ctl_repair_run(ctl_repair_t *repair)
{
    int code = CTL_OK;

    while (code == CTL_OK && !repair->ended) {
        if (repair->serve.has_change) {
            code = ctl_repair_stored(repair);
            if (code == CTL_OK) {
                serve_step(&repair->serve);
            }
        } else {
            owed_run(repair->owed);
            worker_http_poll(repair->http, NULL, 0, 100);
            worker_http_run(repair->http);
        }
    }
    return code;
}

/* One round: from the claim, which is taken with the change, or with none, to the end of all that is owed. */
static int
ctl_repair_round(ctl_repair_t *repair, const foodsvc_change_t *change)
{
    repair->ended = false;
    serve_again(&repair->serve);
    if (change != NULL) {
        serve_change(&repair->serve, change);
    } else {
        serve_touch(&repair->serve, false);
    }
    return ctl_repair_run(repair);
}

int
ctl_repair_find(ctl_repair_t *repair)
{
    foodsvc_store_order_op_t  op = { .id = repair->id }, *ops[] = { &op };

    foodsvc_store_orders_find(repair->store, ops, 1);
    if (op.rc != FOODSVC_STORE_OK) {
        return ctl_repair_store_failed(repair, op.rc, op.err);
    }
    serve_free(&repair->serve);
    repair->serve.order = op.order;
    return CTL_OK;
}

/* Rounds until nobody else has the claim, or for as long as --wait says. */
static int
ctl_repair_rounds(ctl_repair_t *repair, const foodsvc_change_t *change)
{
    int64_t deadline = foodsvc_time_monotonic() + repair->ctl->wait;
    int     code = CTL_OK;

    while (code == CTL_OK && (change != NULL || foodsvc_order_owes(repair->serve.order) != FOODSVC_OWES_NOTHING)) {
        code = ctl_repair_round(repair, change);
        change = NULL;
        if (repair->serve.rc != SERVE_BUSY || foodsvc_time_monotonic() >= deadline) {
            break;
        }
        ctl_repair_pause();
    }
    return code;
}

/* CTL_OK: serve.rc tells. */
static int
ctl_repair_serve(ctl_repair_t *repair)
{
    int code = ctl_repair_find(repair);

    if (code == CTL_OK) {
        repair->owed_some = foodsvc_order_owes(repair->serve.order) != FOODSVC_OWES_NOTHING;
        code = ctl_overdue_before(repair);
    }
    if (code == CTL_OK) {
        code = ctl_repair_rounds(repair, NULL);
    }
    return code;
}

/* --- what the order owes nothing for --- */

static void
ctl_repair_asked(void *ctx, const owed_result_t *result)
{
    ctl_repair_t *repair = ctx;

    ctl_repair_called(&repair->serve, result);
    if (result->rc != OWED_DONE) {
        repair->serve.rc = result->rc == OWED_LATER ? SERVE_LATER : SERVE_REFUSED;
        snprintf(repair->serve.reason, sizeof(repair->serve.reason), "%s", result->reason);
    }
    repair->ended = true;
}

/* Asks for what is overdue, if anything is. CTL_OK: serve.rc tells. */
static int
ctl_repair_overdue(ctl_repair_t *repair)
{
    foodsvc_change_t paid = { .kind = FOODSVC_CHANGE_EVENT, .status = FOODSVC_PAYMENT_PAID };
    int              code = ctl_overdue_find(repair);

    if (code == CTL_OK && repair->needs == FOODSVC_OVERDUE_REFUND) {
        paid.when = foodsvc_time_now();
        code = ctl_repair_rounds(repair, &paid);
    } else if (code == CTL_OK && repair->needs == FOODSVC_OVERDUE_CHARGE) {
        repair->ended = false;
        code = owed_start(repair->owed, repair->serve.order, FOODSVC_OWES_PAYMENT, ctl_repair_asked, repair)
               ? ctl_repair_run(repair) : ctl_fail("out of memory");
    }
    return code;
}

/* --- the report --- */

static void
ctl_repair_print(const ctl_repair_t *repair, bool give_up)
{
    const json_t *one;
    size_t        i;

    if (repair->ctl->json) {
        json_t *said = json_pack("{s:s, s:s, s:O, s:O}", "id", repair->id, "status",
                                 foodsvc_status_name(repair->serve.order->status), "did", repair->did, "relayed",
                                 repair->relayed);

        if (give_up) {
            json_object_set_new(said, "given_up", json_boolean(repair->given_up));
        }
        if (ctl_overdue_waits(repair)) {
            json_object_set_new(said, "waits", ctl_overdue_json(repair));
        }
        ctl_print_json_new(said);
        return;
    }
    if (repair->given_up) {
        puts("given up: it is cancelled");
    }
    json_array_foreach(repair->did, i, one) {
        const char *reason = json_string_value(json_object_get(one, "reason"));

        printf("%s asked: %s%s", json_string_value(json_object_get(one, "owed")),
               json_string_value(json_object_get(one, "outcome")), reason ? ": " : "");
        ctl_print_text(reason ? reason : "", 0);
        putchar('\n');
    }
    json_array_foreach(repair->relayed, i, one) {
        printf("event sent: %s\n", json_string_value(one));
    }
    if (json_array_size(repair->did) + json_array_size(repair->relayed) == 0 && repair->serve.rc != SERVE_BUSY
        && !repair->given_up && !ctl_overdue_waits(repair))
    {
        puts("nothing is owed");
    }
    printf("order %s is %s\n", repair->id, foodsvc_status_name(repair->serve.order->status));
}

/* What is left, for the exit code. */
static int
ctl_repair_verdict(const ctl_repair_t *repair, bool give_up)
{
    const char *command = repair->ctl->command;

    switch (repair->serve.rc) {
    case SERVE_BUSY:
        return ctl_repair_busy(repair);
    case SERVE_REFUSED:
        return ctl_fail("%s: %s: asking again will hardly help; what it says has to be mended first", command,
                        repair->serve.reason);
    case SERVE_LATER:
        return ctl_fail("%s: %s: try again when it is back; orderd and sweepd do, too", command, repair->serve.reason);
    default:
        break;
    }
    if (repair->uncached) {
        return ctl_fail("%s: it is done, but Redis at %s could not be told: `foodctl cache flush %s` when it is back",
                        command, ctl_place(repair->ctl->redis_url), repair->id);
    }
    /* that the money is on its way back is all that a refund wants */
    return ctl_overdue_waits(repair) && !(give_up && repair->needs == FOODSVC_OVERDUE_SOON) ? ctl_overdue_told(repair)
           : CTL_OK;
}

/* --- the command --- */

/* False: told. */
static bool
ctl_repair_open(ctl_repair_t *repair)
{
    const ctl_t        *ctl = repair->ctl;
    worker_http_conf_t  http = { .ca_file = ctl->ca_cert, .connections = 1, .max_answer = 65536 };
    owed_conf_t         owed = { .api_key = ctl->api_key, .timeout_ms = CTL_REPAIR_CALL };
    worker_conf_list_t  allow = { .items = (char **) &ctl->partner_allow, .nitems = ctl->partner_allow != NULL };
    foodsvc_uuid_t      uuid;
    char                err[256];

    if (ctl_need(ctl, ctl->redis_url, "REDIS_URL") == NULL) {
        return false;
    }
    if (!worker_cache_url_check(ctl->redis_url, err, sizeof(err))) {
        ctl_fail("REDIS_URL is %s", err);
        return false;
    }
    if (ctl->partner_allow != NULL && !worker_allow_check(ctl->partner_allow, err, sizeof(err))) {
        ctl_fail("PARTNER_ALLOW: %s", err);
        return false;
    }
    worker_log_setup("foodctl", WORKER_LOG_KV, WORKER_LOG_ERROR);   /* what goes wrong is told once, here */
    repair->store = ctl_store_open(ctl);
    if (repair->store == NULL) {
        return false;
    }
    foodsvc_uuid_v4(&uuid);
    foodsvc_uuid_format(&uuid, repair->token);
    repair->did = json_array();
    repair->relayed = json_array();
    if (!worker_allow_make(&allow, &repair->allow)) {
        ctl_fail("out of memory");
        return false;
    }
    http.allow = repair->allow;
    repair->cache = worker_cache_open(ctl->redis_url, 2000);
    repair->urls = repair->cache ? worker_urls_open(repair->store, repair->cache) : NULL;
    repair->http = worker_http_open(&http);
    owed.urls = repair->urls;
    owed.http = repair->http;
    owed.store = repair->store;
    repair->owed = repair->urls && repair->http ? owed_open(&owed) : NULL;
    if (repair->urls != NULL) {
        worker_urls_allow(repair->urls, &repair->allow);
    }
    repair->serve.owner = &ctl_repair_owner;
    repair->serve.owed = repair->owed;
    if (repair->owed == NULL) {
        ctl_fail("out of memory");
    }
    return repair->owed != NULL;
}

static void
ctl_repair_close(ctl_repair_t *repair)
{
    worker_http_close(repair->http);
    if (repair->owed != NULL) {
        owed_close(repair->owed);
    }
    if (repair->urls != NULL) {
        worker_urls_close(repair->urls);
    }
    if (repair->cache != NULL) {
        worker_cache_close(repair->cache);
    }
    if (repair->store != NULL) {
        foodsvc_store_close(repair->store);
    }
    worker_allow_free(&repair->allow);
    serve_free(&repair->serve);
    foodsvc_payment_free(repair->payment);
    json_decref(repair->did);
    json_decref(repair->relayed);
}

int
ctl_repair(ctl_t *ctl, bool give_up)
{
    ctl_repair_t repair = { .ctl = ctl };
    bool         served;
    int          code = CTL_FAILED;

    if (!ctl_order_id(ctl->args[0], repair.id)) {
        return CTL_USAGE;
    }
    if (ctl_repair_open(&repair)) {
        code = give_up ? ctl_refund_give_up(&repair) : CTL_OK;
        if (code == CTL_OK) {
            code = ctl_repair_serve(&repair);
            served = code == CTL_OK;
            if (served && repair.serve.rc == SERVE_DONE) {
                code = ctl_repair_overdue(&repair);
            }
            if (code == CTL_OK) {
                code = ctl_relay(ctl, repair.store, repair.id, repair.relayed);
            }
            if (served || repair.given_up) {
                ctl_repair_print(&repair, give_up);     /* what was done was done, whatever failed then */
            }
        }
        if (code == CTL_OK) {
            code = ctl_repair_verdict(&repair, give_up);
        }
    }
    ctl_repair_close(&repair);
    return code;
}

int
ctl_order_repair(ctl_t *ctl)
{
    return ctl_repair(ctl, false);
}
