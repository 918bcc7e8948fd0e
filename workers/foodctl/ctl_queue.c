/*
 * queue send and respond: one confirmed message to RabbitMQ.
 */
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "ctl.h"
#include "foodsvc_codec.h"
#include "foodsvc_names.h"
#include "worker_amqp.h"
#include "worker_log.h"

#define CTL_QUEUE_PATIENCE  5000    /* ms */
#define CTL_QUEUE_MAX       (16 << 20)

typedef struct {
    bool              done;
    worker_amqp_rc_e  rc;
} ctl_sent_t;

static void
ctl_queue_done(void *ctx, worker_amqp_rc_e rc)
{
    ctl_sent_t *sent = ctx;

    sent->done = true;
    sent->rc = rc;
}

/* Connects, publishes as soon as the connection takes it, and waits for the confirm. */
static void
ctl_queue_drive(worker_amqp_t *amqp, worker_amqp_publish_t *publish, ctl_sent_t *sent)
{
    int64_t deadline = foodsvc_time_monotonic() + CTL_QUEUE_PATIENCE;
    bool    published = false;

    while (!sent->done && foodsvc_time_monotonic() < deadline) {
        struct pollfd fd = { worker_amqp_fd(amqp), POLLIN, 0 };

        poll(&fd, 1, published || !worker_amqp_connected(amqp) ? 20 : 0);
        worker_amqp_run(amqp);
        if (!published && worker_amqp_connected(amqp)) {
            published = worker_amqp_publish(amqp, publish);
        }
    }
}

static int
ctl_queue_publish(const ctl_t *ctl, const char *queue, const char *body, size_t len)
{
    const char            *url = ctl_need(ctl, ctl->amqp_url, "AMQP_URL");
    worker_amqp_conf_t     conf = { .url = url, .ca_file = ctl->ca_cert, .timeout_ms = 3000, .heartbeat = 10 };
    ctl_sent_t             sent = { false, WORKER_AMQP_LOST };
    char                   id[FOODSVC_UUID_TEXT + 1], err[256];
    foodsvc_uuid_t         uuid;
    worker_amqp_publish_t  publish = { .queue = queue, .body = body, .len = len, .message_id = id,
                                       .done = ctl_queue_done,
                                       .ctx = &sent };
    worker_amqp_t         *amqp;

    if (url == NULL) {
        return CTL_FAILED;
    }
    if (!worker_amqp_url_check(url, err, sizeof(err)) || (amqp = worker_amqp_open(&conf)) == NULL) {
        return ctl_fail("AMQP_URL: %s", err);
    }
    worker_log_setup("foodctl", WORKER_LOG_KV, WORKER_LOG_ERROR);   /* what goes wrong is told once, below */
    foodsvc_uuid_v4(&uuid);
    foodsvc_uuid_format(&uuid, id);
    ctl_queue_drive(amqp, &publish, &sent);
    worker_amqp_close(amqp);
    if (sent.done && sent.rc == WORKER_AMQP_CONFIRMED) {
        return CTL_OK;
    }
    if (sent.done && sent.rc == WORKER_AMQP_REFUSED) {
        return ctl_fail("RabbitMQ has no queue \"%s\": it is there once its service has run", queue);
    }
    return ctl_fail("RabbitMQ cannot be reached or refused the login: is it running? `make start-rabbit` starts it, "
                    "AMQP_URL says "
                    "where it is");
}

/* The message given, or standard input for "-". NULL: told. */
static char *
ctl_queue_body(const char *arg, size_t *len)
{
    char   *text = NULL, chunk[4096];
    size_t  n;

    if (strcmp(arg, "-") != 0) {
        *len = strlen(arg);
        return strdup(arg);
    }
    *len = 0;
    while ((n = fread(chunk, 1, sizeof(chunk), stdin)) > 0) {
        char *more = *len + n > CTL_QUEUE_MAX ? NULL : realloc(text, *len + n);

        if (more == NULL) {
            free(text);
            ctl_fail("the message is larger than %d MB", CTL_QUEUE_MAX >> 20);
            return NULL;
        }
        text = more;
        memcpy(text + *len, chunk, n);
        *len += n;
    }
    return text != NULL ? text : strdup("");
}

int
ctl_queue_send(ctl_t *ctl)
{
    const char *queue = ctl->queue ? ctl->queue : FOODSVC_QUEUE;
    size_t      len;
    char       *body = ctl_queue_body(ctl->args[0], &len);
    int         code = body == NULL ? CTL_FAILED : ctl_queue_publish(ctl, queue, body, len);

    if (code == CTL_OK && !ctl->json) {
        printf("%zu bytes sent to %s\n", len, queue);
    }
    free(body);
    return code;
}

/* An id of the order, or a new one where the order has none yet. */
static const foodsvc_uuid_t *
ctl_respond_id(const json_t *order, const char *member, foodsvc_uuid_t *uuid)
{
    const char *text = json_string_value(json_object_get(order, member));
    char        err[128];

    if (text == NULL || !foodsvc_uuid_parse(text, strlen(text), uuid, err, sizeof(err))) {
        foodsvc_uuid_v4(uuid);
    }
    return uuid;
}

static int
ctl_respond_send(ctl_t *ctl, const char *id, const json_t *order, foodsvc_status_e status)
{
    const char         *customer = json_string_value(json_object_get(order, "customer_id"));
    foodsvc_metadata_t  metadata = { 0 };
    foodsvc_uuid_t      uuid;
    bool                kitchen = status >= FOODSVC_COOKING_SCHEDULED && status <= FOODSVC_PICKED_UP;
    bool                delivery = status == FOODSVC_DELIVERY_SCHEDULED || status == FOODSVC_DRIVER_AVAILABLE
                                   || status == FOODSVC_IN_TRANSIT || status == FOODSVC_DELIVERED;
    size_t              len = 0;
    char               *body = NULL;
    int                 code;

    if (foodsvc_metadata_set(&metadata, FOODSVC_ORDER_SERVICE, id, customer ? customer : "")) {
        body = foodsvc_event_json(&metadata, status, kitchen ? ctl_respond_id(order, "kitchen_id", &uuid) : NULL,
                                  delivery ? ctl_respond_id(order, "delivery_id", &uuid) : NULL, &len);
    }
    code = body == NULL ? ctl_fail("out of memory") : ctl_queue_publish(ctl, FOODSVC_QUEUE, body, len);
    if (code == CTL_OK) {
        printf("%s\n", ctl->json ? body : "sent");
    }
    foodsvc_metadata_clear(&metadata);
    free(body);
    return code;
}

int
ctl_respond(ctl_t *ctl)
{
    const char       *base = ctl_need(ctl, ctl->order_url, "ORDER_URL");
    char              id[FOODSVC_UUID_TEXT + 1], path[128];
    ctl_answer_t      answer;
    foodsvc_status_e  status;
    int               code = CTL_FAILED;

    if (!ctl_order_id(ctl->args[0], id)) {
        return CTL_USAGE;
    }
    if (!foodsvc_status_parse(ctl->args[1], strlen(ctl->args[1]), &status) || status == FOODSVC_CREATED
        || status == FOODSVC_ORDER_CANCELLED)
    {
        return ctl_misused("\"%s\" is no status that a partner sends: they are paymentPaid, paymentFailed, reimbursed, "
                           "deliveryScheduled, driverAvailable, cookingScheduled, cookingMeal, cookingDone, pickedUp, "
                           "inTransit, "
                           "delivered", ctl->args[1]);
    }
    snprintf(path, sizeof(path), "%s/%s", FOODSVC_PATH_ORDERS, id);
    if (base != NULL && ctl_http(ctl, "GET", base, path, NULL, false, &answer)) {
        code = answer.status == 200 ? ctl_respond_send(ctl, id, answer.json, status)
                                    : ctl_http_refused(ctl->command, &answer);
        ctl_answer_free(&answer);
    }
    return code;
}
