/*
 * queue send and respond: one confirmed message to RabbitMQ.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "ctl_amqp.h"
#include "ctl_table.h"
#include "foodsvc_codec.h"
#include "foodsvc_names.h"

#define CTL_QUEUE_MAX       (16 << 20)

static int
ctl_queue_publish(const ctl_t *ctl, const char *queue, const char *body, size_t len, char id[FOODSVC_UUID_TEXT + 1])
{
    foodsvc_uuid_t         uuid;
    worker_amqp_publish_t  publish = { .queue = queue, .body = body, .len = len, .message_id = id };
    worker_amqp_t         *amqp;
    worker_amqp_rc_e       rc;

    if (*queue == '\0' || strlen(queue) > 255) {
        return ctl_misused("\"%s\" is no queue's name: it must have 1 to 255 characters", queue);
    }
    amqp = ctl_amqp_open(ctl);
    if (amqp == NULL) {
        return CTL_FAILED;
    }
    foodsvc_uuid_v4(&uuid);
    foodsvc_uuid_format(&uuid, id);
    rc = ctl_amqp_send(amqp, publish);
    worker_amqp_close(amqp);
    if (rc == WORKER_AMQP_LOST) {
        return ctl_amqp_lost(ctl);
    }
    return rc == WORKER_AMQP_CONFIRMED ? CTL_OK : ctl_amqp_no_queue(ctl, queue);
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
    if (ferror(stdin)) {
        free(text);
        ctl_fail("standard input cannot be read: nothing was sent");
        return NULL;
    }
    return text != NULL ? text : strdup("");
}

int
ctl_queue_send(ctl_t *ctl)
{
    const char *queue = ctl->queue ? ctl->queue : FOODSVC_QUEUE;
    char        id[FOODSVC_UUID_TEXT + 1];
    size_t      len;
    char       *body = ctl_queue_body(ctl->args[0], &len);
    int         code = body == NULL ? CTL_FAILED : ctl_queue_publish(ctl, queue, body, len, id);

    if (code == CTL_OK && ctl->json) {
        ctl_print_json_new(json_pack("{s:s, s:s, s:I}", "queue", queue, "message_id", id, "bytes", (json_int_t) len));
    } else if (code == CTL_OK) {
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
    char                message_id[FOODSVC_UUID_TEXT + 1];
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
    code = body == NULL ? ctl_fail("out of memory") : ctl_queue_publish(ctl, FOODSVC_QUEUE, body, len,
                                                                                message_id);
    if (code == CTL_OK) {
        if (ctl->json) {
            ctl_print_json_text(body);
        } else {
            printf("%s sent to %s for order %s\n", foodsvc_status_name(status), FOODSVC_QUEUE, id);
        }
    }
    foodsvc_metadata_clear(&metadata);
    free(body);
    return code;
}

int
ctl_respond(ctl_t *ctl)
{
    char              id[FOODSVC_UUID_TEXT + 1];
    ctl_answer_t      answer;
    foodsvc_status_e  status;
    int               code;

    if (!ctl_order_id(ctl->args[0], id)) {
        return CTL_USAGE;
    }
    if (!foodsvc_status_parse(ctl->args[1], strlen(ctl->args[1]), &status) || !ctl_status_sent(status)) {
        return ctl_misused("\"%s\" is no status that a partner sends: they are %s", ctl->args[1],
                           ctl_words_all(CTL_WORDS_RESPONSE));
    }
    code = ctl_order_get(ctl, id, &answer);
    if (code == CTL_OK) {
        code = ctl_respond_send(ctl, id, answer.json, status);
        ctl_answer_free(&answer);
    }
    return code;
}
