/*
 * A debt goes through queue -> (address ->) call -> settle(). settle() is the one place that fires the callback and
 * frees the debt. What is called for which debt stands in the table `kinds`; what an answer means, in judge().
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "foodsvc_names.h"
#include "foodsvc_time.h"
#include "owed.h"
#include "worker_log.h"

#define URL_BYTES       1024
#define FAILURES_MAX    5       /* in a row, then a service is left alone, */
#define ALONE_MS        1000    /* but for one call in this time */

typedef struct {
    foodsvc_owes_e  what;
    const char     *service;
    const char     *path;           /* %s: the delivery's id */
    const char     *key_format;     /* of the idempotency key; NULL: none */
    bool            api_key;
    bool            body;
} kind_t;

/* How a service has been doing. */
typedef struct {
    const char *name;
    unsigned    failures;
    int64_t     alone_until;    /* monotonic */
} service_t;

typedef struct debt_s {
    owed_t             *owed;
    const kind_t       *kind;
    const char         *service;    /* being called */
    foodsvc_order_t    *order;
    json_t             *address;
    owed_done_f         done;
    void               *ctx;
    struct debt_s      *next;       /* in the queue */
} debt_t;

struct owed_s {
    owed_conf_t   conf;             /* api_key is ours */
    debt_t       *queue, **tail;
    owed_reads_t  reads;
    service_t     services[4];
};

static const kind_t kinds[] = {
    { FOODSVC_OWES_PAYMENT, FOODSVC_PAYMENT_SERVICE, FOODSVC_PATH_PAYMENTS, FOODSVC_KEY_PAYMENT_FORMAT, true, true },
    { FOODSVC_OWES_DELIVERY, FOODSVC_DELIVERY_SERVICE, FOODSVC_PATH_DELIVERIES, FOODSVC_KEY_DELIVERY_FORMAT, false,
      true },
    { FOODSVC_OWES_KITCHEN, FOODSVC_KITCHEN_SERVICE, FOODSVC_PATH_KITCHEN, FOODSVC_KEY_KITCHEN_FORMAT, false, true },
    { FOODSVC_OWES_DELIVERY_CANCEL, FOODSVC_DELIVERY_SERVICE, FOODSVC_PATH_DELIVERY_CANCEL_FORMAT, NULL, false, false },
    { FOODSVC_OWES_REIMBURSEMENT, FOODSVC_PAYMENT_SERVICE, FOODSVC_PATH_REIMBURSE, FOODSVC_KEY_REIMBURSE_FORMAT, true,
      true }
};

static const foodsvc_json_limits_t limits = { FOODSVC_JSON_MAX_SIZE, FOODSVC_JSON_MAX_DEPTH };

static void call_kind(debt_t *debt);


owed_t *owed_open(const owed_conf_t *conf)
{
    static const char *const  names[] = { FOODSVC_PAYMENT_SERVICE, FOODSVC_CUSTOMER_SERVICE, FOODSVC_DELIVERY_SERVICE,
                                          FOODSVC_KITCHEN_SERVICE };
    owed_t                   *owed = calloc(1, sizeof(*owed));

    if (owed == NULL || !owed_configure(owed, conf)) {
        free(owed);
        return NULL;
    }
    owed->tail = &owed->queue;
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        owed->services[i].name = names[i];
    }
    return owed;
}


bool owed_configure(owed_t *owed, const owed_conf_t *conf)
{
    char  *api_key = strdup(conf->api_key ? conf->api_key : "");

    if (api_key == NULL) {
        return false;
    }
    free((char *) owed->conf.api_key);
    owed->conf = *conf;
    owed->conf.api_key = api_key;
    return true;
}


void owed_timeout(owed_t *owed, int64_t timeout_ms)
{
    owed->conf.timeout_ms = timeout_ms;
}


/* --- a debt's end --- */

static void debt_free(debt_t *debt)
{
    foodsvc_order_free(debt->order);
    json_decref(debt->address);
    free(debt);
}


static void settle(debt_t *debt, owed_result_t *result)
{
    result->what = debt->kind->what;
    debt->done(debt->ctx, result);
    debt_free(debt);
}


__attribute__((format(printf, 3, 4)))
static void settle_failed(debt_t *debt, owed_rc_e rc, const char *format, ...)
{
    owed_result_t  result = { .rc = rc };
    va_list        args;

    va_start(args, format);
    vsnprintf(result.reason, sizeof(result.reason), format, args);
    va_end(args);
    settle(debt, &result);
}


static service_t *service_find(owed_t *owed, const char *name)
{
    size_t  i = 0;

    while (i < 3 && strcmp(owed->services[i].name, name) != 0) {
        i++;
    }
    return &owed->services[i];
}


/* May the service be called now? */
static bool service_ready(service_t *service)
{
    int64_t  now = foodsvc_time_monotonic();

    if (service->failures < FAILURES_MAX) {
        return true;
    }
    if (now < service->alone_until) {
        return false;
    }
    service->alone_until = now + ALONE_MS;
    return true;
}


static owed_mood_e service_mood(const service_t *service)
{
    return service->failures < FAILURES_MAX ? OWED_CALL
           : foodsvc_time_monotonic() < service->alone_until ? OWED_ALONE : OWED_PROBE;
}


static void service_note(owed_t *owed, const char *name, bool answered, const char *reason)
{
    service_t  *service = service_find(owed, name);

    if (answered) {
        if (service->failures >= FAILURES_MAX) {
            worker_log(WORKER_LOG_INFO, "a service is back", worker_text("service", name));
        }
        service->failures = 0;
        return;
    }
    if (++service->failures == FAILURES_MAX) {
        worker_log(WORKER_LOG_WARN, "a service is away", worker_text("service", name), worker_text("reason", reason));
        service->alone_until = foodsvc_time_monotonic() + ALONE_MS;
    }
}


/* True: a 2xx. Else the debt has been settled. */
static bool judge(debt_t *debt, const worker_http_answer_t *answer)
{
    int            status = answer->status;
    bool           customer = strcmp(debt->service, FOODSVC_CUSTOMER_SERVICE) == 0;
    char          *detail;
    owed_result_t  refused = { .rc = OWED_DONE, .has_change = true };

    service_note(debt->owed, debt->service, answer->rc == WORKER_HTTP_ANSWERED || answer->rc == WORKER_HTTP_TOO_LARGE,
                 answer->reason);
    if (answer->rc != WORKER_HTTP_ANSWERED) {
        settle_failed(debt, OWED_LATER, "%s: %.180s", debt->service, answer->reason);
        return false;
    }
    if (status >= 200 && status < 300) {
        return true;
    }
    /* 409 of PaymentService ends it; of another it means that the first request is still at work */
    if (status == 400 || status == 410 || status == 422 || (status == 404 && customer)
        || (status == 409 && strcmp(debt->service, FOODSVC_PAYMENT_SERVICE) == 0))
    {
        if ((debt->kind->what == FOODSVC_OWES_PAYMENT || !customer)     /* it knows nothing of a delivery */
            && foodsvc_order_refused(debt->order, debt->kind->what, &refused.change))
        {
            refused.change.when = foodsvc_time_now();
            settle(debt, &refused);
            return false;
        }
        detail = foodsvc_error_detail(debt->service, status, answer->body, answer->len);
        if (detail && strncmp(detail, debt->service, strlen(debt->service)) != 0) {
            settle_failed(debt, OWED_REFUSED, "%s answered %d: %.180s", debt->service, status, detail);
        } else {
            settle_failed(debt, OWED_REFUSED, "%s answered %d", debt->service, status);
        }
        free(detail);
        return false;
    }
    settle_failed(debt, OWED_LATER, "%s answered %d", debt->service, status);
    return false;
}


static void answered(void *ctx, const worker_http_answer_t *answer)
{
    debt_t         *debt = ctx;
    owed_result_t   result = { .rc = OWED_DONE };
    foodsvc_owes_e  what = debt->kind->what;

    if (what == FOODSVC_OWES_DELIVERY_CANCEL && answer->rc == WORKER_HTTP_ANSWERED && answer->status == 404) {
        service_note(debt->owed, debt->service, true, "");      /* nothing to cancel: done */
    } else if (!judge(debt, answer)) {
        return;
    }

    result.has_change = what != FOODSVC_OWES_PAYMENT;
    if (what == FOODSVC_OWES_DELIVERY || what == FOODSVC_OWES_KITCHEN) {
        if (!foodsvc_scheduled_parse(debt->service, answer->body, answer->len, &limits, &result.change,
                                     result.reason)) {
            char  why[FOODSVC_ERR];

            memcpy(why, result.reason, sizeof(why));
            settle_failed(debt, OWED_LATER, "%s's answer: %.180s", debt->service, why);
            return;
        }
    } else {
        result.change.kind = FOODSVC_CHANGE_SETTLED;
        result.change.settled = what;
    }
    result.change.when = foodsvc_time_now();
    settle(debt, &result);
}


/* --- the calls --- */

int64_t owed_longest(const owed_t *owed)
{
    return 2 * owed->conf.timeout_ms;       /* CustomerService's and DeliveryService's */
}


/* Calls debt->service; when that is not possible the debt is settled. */
static void call(debt_t *debt, const char *method, const char *path, const char *body, size_t len, const char *key,
    worker_http_done_f done)
{
    owed_t                *owed = debt->owed;
    char                   err[FOODSVC_ERR] = "", url[URL_BYTES];
    const char            *base;
    worker_http_request_t  request = {
        .method = method, .url = url, .body = body, .len = len, .idempotency_key = key,
        .timeout_ms = owed->conf.timeout_ms,
        .done = done, .ctx = debt,
        .api_key = debt->kind->api_key && owed->conf.api_key[0] ? owed->conf.api_key : NULL
    };

    if (!service_ready(service_find(owed, debt->service))) {
        settle_failed(debt, OWED_LATER, "%s is away", debt->service);
        return;
    }
    base = worker_urls_find(owed->conf.urls, debt->service, err);
    if (base == NULL) {
        settle_failed(debt, OWED_LATER, "%s", err);
        return;
    }
    if (snprintf(url, sizeof(url), "%s%s", base, path) >= (int) sizeof(url)
        || !worker_http_call(owed->conf.http, &request))
    {
        settle_failed(debt, OWED_LATER, "%s could not be called: its url is unusable, or no memory", debt->service);
    }
}


static char *request_body(const debt_t *debt, size_t *len)
{
    char                customer[FOODSVC_UUID_TEXT + 1];
    foodsvc_metadata_t  metadata = { 0 };
    char               *body;

    foodsvc_uuid_format(&debt->order->customer_id, customer);
    if (!foodsvc_metadata_set(&metadata, FOODSVC_ORDER_SERVICE, debt->order->id, customer)) {
        return NULL;
    }
    body = foodsvc_request_json(debt->order->items, debt->order->nitems, &metadata, debt->address, len);
    foodsvc_metadata_clear(&metadata);
    return body;
}


static void call_kind(debt_t *debt)
{
    const kind_t  *kind = debt->kind;
    char           key[128] = "", id[FOODSVC_UUID_TEXT + 1], path[128], *body = NULL;
    size_t         len = 0;

    debt->service = kind->service;
    if (kind->body && (body = request_body(debt, &len)) == NULL) {
        settle_failed(debt, OWED_LATER, "no memory");
        return;
    }
    foodsvc_uuid_format(&debt->order->delivery_id, id);
    if (kind->what == FOODSVC_OWES_DELIVERY_CANCEL) {
        snprintf(path, sizeof(path), FOODSVC_PATH_DELIVERY_CANCEL_FORMAT, id);
    } else {
        snprintf(path, sizeof(path), "%s", kind->path);
    }
    if (kind->key_format) {
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
        snprintf(key, sizeof(key), kind->key_format, debt->order->id);
#pragma GCC diagnostic pop
    }
    call(debt, "POST", path, body, len, kind->key_format ? key : NULL, answered);
    free(body);
}


static void address_answered(void *ctx, const worker_http_answer_t *answer)
{
    debt_t  *debt = ctx;
    char     err[FOODSVC_ERR] = "";

    if (!judge(debt, answer)) {
        return;
    }
    debt->address = foodsvc_address_parse(answer->body, answer->len, &limits, err);
    if (debt->address == NULL) {
        settle_failed(debt, OWED_LATER, "%s's answer: %.180s", debt->service, err);
        return;
    }
    call_kind(debt);
}


static void begin_payment(debt_t *debt)
{
    owed_t     *owed = debt->owed;
    char        reason[FOODSVC_ERR] = "";
    owed_rc_e   may;

    if (service_mood(service_find(owed, debt->kind->service)) == OWED_ALONE) {
        settle_failed(debt, OWED_LATER, "%s is away", debt->kind->service);
        return;
    }
    may = owed_payment_check(&owed->reads, &owed->conf, debt->order, reason);
    if (may != OWED_DONE) {
        settle_failed(debt, may, "%s", reason);
        return;
    }
    call_kind(debt);
}


static void begin(debt_t *debt)
{
    char  path[128], customer[FOODSVC_UUID_TEXT + 1];

    if (debt->kind->what == FOODSVC_OWES_PAYMENT) {
        begin_payment(debt);
        return;
    }
    if (debt->kind->what != FOODSVC_OWES_DELIVERY) {
        call_kind(debt);
        return;
    }
    foodsvc_uuid_format(&debt->order->customer_id, customer);
    snprintf(path, sizeof(path), FOODSVC_PATH_ADDRESS_FORMAT, customer);
    debt->service = FOODSVC_CUSTOMER_SERVICE;
    call(debt, "GET", path, NULL, 0, NULL, address_answered);
}


/* --- the queue --- */

bool owed_start(owed_t *owed, const foodsvc_order_t *order, foodsvc_owes_e what, owed_done_f done, void *ctx)
{
    debt_t  *debt;
    size_t   i = 0;

    while (kinds[i].what != what) {
        if (++i == sizeof(kinds) / sizeof(kinds[0])) {
            return false;
        }
    }
    debt = calloc(1, sizeof(*debt));
    if (debt == NULL || (debt->order = foodsvc_order_copy(order)) == NULL) {
        free(debt);
        return false;
    }
    debt->owed = owed;
    debt->kind = &kinds[i];
    debt->done = done;
    debt->ctx = ctx;
    *owed->tail = debt;
    owed->tail = &debt->next;
    return true;
}


static debt_t *dequeue(owed_t *owed)
{
    debt_t  *debt = owed->queue;

    owed->queue = debt->next;
    if (owed->queue == NULL) {
        owed->tail = &owed->queue;
    }
    debt->next = NULL;
    return debt;
}


void owed_run(owed_t *owed)
{
    owed->reads = (owed_reads_t) { .over = false };
    while (owed->queue) {
        begin(dequeue(owed));
    }
}


owed_mood_e owed_mood(const owed_t *owed, foodsvc_owes_e what)
{
    owed_mood_e  mood = OWED_CALL, first = OWED_CALL;

    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        if (kinds[i].what == what) {
            mood = service_mood(service_find((owed_t *) owed, kinds[i].service));
        }
    }
    if (what == FOODSVC_OWES_DELIVERY) {
        first = service_mood(service_find((owed_t *) owed, FOODSVC_CUSTOMER_SERVICE));
    }
    return mood > first ? mood : first;
}


bool owed_idle(const owed_t *owed)
{
    return owed->queue == NULL;
}


void owed_drop(owed_t *owed)
{
    while (owed->queue) {
        settle_failed(dequeue(owed), OWED_LATER, "the process ends");
    }
}


void owed_close(owed_t *owed)
{
    if (owed == NULL) {
        return;
    }
    owed_drop(owed);
    if (owed->conf.api_key) {
        explicit_bzero((char *) owed->conf.api_key, strlen(owed->conf.api_key));
    }
    free((char *) owed->conf.api_key);
    free(owed);
}
