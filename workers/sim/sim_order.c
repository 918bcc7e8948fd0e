/*
 * DeliveryService, KitchenService and the companies behind them: an order's stages and their times.
 *
 * One order has one delivery and one kitchen order, known by the order's id: asking again (with or without an
 * Idempotency-Key) gives the first answer and starts nothing. The ids follow from the seed and the order's id. A
 * stage is planned when the one before it is sent: deliveryScheduled -> driverAvailable; cookingScheduled ->
 * cookingMeal -> cookingDone -> pickedUp -> inTransit -> delivered, the last two only where there is a delivery.
 * After a cancel the delivery sends nothing more and nobody picks the meal up.
 */
#include <stdlib.h>
#include <string.h>
#include "foodsvc_codec.h"
#include "foodsvc_names.h"
#include "foodsvc_time.h"
#include "sim.h"
#include "sim_rand.h"

#define SIM_MINUTE      (60 * 1000)

typedef struct {
    bool              delivery;         /* sent by DeliveryService; else by KitchenService */
    const char       *target;           /* of rules */
    int64_t           low, high;        /* ms from the stage before */
    foodsvc_status_e  next;             /* FOODSVC_STATUS_COUNT: none */
} sim_stage_t;

static const sim_stage_t sim_stages[FOODSVC_STATUS_COUNT] = {
    [FOODSVC_DELIVERY_SCHEDULED] = { true, "delivery.deliveryScheduled", 500, 2000, FOODSVC_DRIVER_AVAILABLE },
    [FOODSVC_DRIVER_AVAILABLE] = { true, "delivery.driverAvailable", 5 * SIM_MINUTE, 10 * SIM_MINUTE,
                                   FOODSVC_STATUS_COUNT },
    [FOODSVC_COOKING_SCHEDULED] = { false, "kitchen.cookingScheduled", 500, 2000, FOODSVC_COOKING_MEAL },
    [FOODSVC_COOKING_MEAL] = { false, "kitchen.cookingMeal", 10 * SIM_MINUTE, 20 * SIM_MINUTE, FOODSVC_COOKING_DONE },
    [FOODSVC_COOKING_DONE] = { false, "kitchen.cookingDone", 10 * SIM_MINUTE, 20 * SIM_MINUTE, FOODSVC_PICKED_UP },
    [FOODSVC_PICKED_UP] = { false, "kitchen.pickedUp", 10 * SIM_MINUTE, 20 * SIM_MINUTE, FOODSVC_IN_TRANSIT },
    [FOODSVC_IN_TRANSIT] = { true, "delivery.inTransit", 10 * SIM_MINUTE, 20 * SIM_MINUTE, FOODSVC_DELIVERED },
    [FOODSVC_DELIVERED] = { true, "delivery.delivered", 10 * SIM_MINUTE, 20 * SIM_MINUTE, FOODSVC_STATUS_COUNT },
};

typedef struct {
    sim_t            *sim;
    sim_order_t      *order;
    foodsvc_status_e  status;
    bool              held;         /* its rule was applied, the next stage is planned: just send it */
} sim_step_t;

static void sim_stage_due(void *arg, bool stopping);
static int64_t sim_stage_time_locked(const sim_t *sim, const sim_order_t *order, foodsvc_status_e status);

static void
sim_stage_in(sim_t *sim, sim_order_t *order, foodsvc_status_e status, bool held, int64_t delay)
{
    sim_step_t *step = malloc(sizeof(*step));

    if (step == NULL) {
        worker_log(WORKER_LOG_ERROR, "out of memory: an order's next stage is lost", worker_text("order", order->id));
        return;
    }
    *step = (sim_step_t) { sim, order, status, held };
    sim_sched_in(sim->sched, delay, sim_stage_due, step);
}

static void
sim_stage_send(sim_t *sim, sim_order_t *order, foodsvc_status_e status, const char *body, size_t len)
{
    const sim_stage_t *stage = &sim_stages[status];
    sim_event_t        event = { .order = body == NULL ? order : NULL, .status = status, .len = len };
    foodsvc_uuid_t     id;
    char               err[64];

    if (sim->events == NULL) {
        return;
    }
    event.receiver = strdup(order->metadata.receiver);
    event.unless = stage->delivery || status == FOODSVC_PICKED_UP ? &order->cancelled : NULL;
    if (body != NULL) {
        event.body = strndup(body, len);
    } else if (foodsvc_uuid_parse(stage->delivery ? order->delivery_id : order->kitchen_id, FOODSVC_UUID_TEXT, &id,
                                  err, sizeof(err))) {
        event.body = foodsvc_event_json(&order->metadata, status, stage->delivery ? NULL : &id,
                                        stage->delivery ? &id : NULL, &event.len);
    }
    foodsvc_uuid_v4(&id);
    foodsvc_uuid_format(&id, event.message_id);
    if (event.receiver == NULL || event.body == NULL) {
        worker_log(WORKER_LOG_ERROR, "out of memory: an event is lost", worker_text("order", order->id));
        free(event.receiver);
        free(event.body);
        return;
    }
    worker_log(WORKER_LOG_DEBUG, "event", worker_text("order", order->id),
               worker_text("status", foodsvc_status_name(status)));
    sim_events_send(sim->events, &event);
}

static void
sim_stage_send_broken(sim_t *sim, sim_order_t *order, foodsvc_status_e status, const sim_fate_t *fate)
{
    static const char garbage[] = "{\"metadata\": {\"receiver\": \"OrderService\", \"order";
    char             *huge;

    if (fate->action == SIM_GARBAGE) {
        sim_stage_send(sim, order, status, garbage, sizeof(garbage) - 1);
        return;
    }
    huge = malloc((size_t) fate->number + 1);
    if (huge != NULL) {
        memset(huge, 'x', (size_t) fate->number);
        huge[fate->number] = '\0';
        sim_stage_send(sim, order, status, huge, (size_t) fate->number);
        free(huge);
    }
}

/* Sends what the rules leave of it. */
static void
sim_stage_fate_locked(sim_t *sim, sim_order_t *order, foodsvc_status_e status)
{
    const sim_stage_t *stage = &sim_stages[status];
    sim_fate_t         fate = sim_rules_ask(sim->rules, stage->target, order->id, order->products);
    int64_t            delay = fate.number;

    switch (fate.action) {
    case SIM_DROP:
        sim_journal_locked(sim, json_pack("{s:s, s:s, s:s}", "type", "stage", "order_id", order->id, "status",
                                          foodsvc_status_name(status)));
        order->done |= 1u << status;
        return;
    case SIM_REORDER:
        delay = stage->next == FOODSVC_STATUS_COUNT ? sim_scaled_locked(sim, stage->high)
                                                    : sim_stage_time_locked(sim, order, stage->next);
        delay += 5 + delay / 20;
        /* fall through */
    case SIM_LATE:
        sim_stage_in(sim, order, status, true, delay);
        return;
    case SIM_DUPLICATE:
        sim_stage_send(sim, order, status, NULL, 0);
        break;
    case SIM_GARBAGE:
    case SIM_HUGE:
        sim_stage_send_broken(sim, order, status, &fate);
        break;
    default:
        break;
    }
    sim_stage_send(sim, order, status, NULL, 0);
}

static int64_t
sim_stage_time_locked(const sim_t *sim, const sim_order_t *order, foodsvc_status_e status)
{
    const sim_stage_t *stage = &sim_stages[status];

    return sim_scaled_locked(sim, sim_between((uint64_t) sim->conf.seed, order->id, stage->target, stage->low,
                                              stage->high));
}

static void
sim_stage_plan_locked(sim_t *sim, sim_order_t *order, foodsvc_status_e status)
{
    if (status == FOODSVC_STATUS_COUNT || (sim_stages[status].delivery && !order->has_delivery)) {
        return;
    }
    sim_stage_in(sim, order, status, false, sim_stage_time_locked(sim, order, status));
}

static void
sim_stage_due(void *arg, bool stopping)
{
    sim_step_t  *step = arg;
    sim_t       *sim = step->sim;
    sim_order_t *order = step->order;

    if (!stopping) {
        pthread_mutex_lock(&sim->lock);
        if (atomic_load(&order->cancelled) && (sim_stages[step->status].delivery
                                               || step->status == FOODSVC_PICKED_UP)) {
            worker_log(WORKER_LOG_DEBUG, "not sent: the delivery is cancelled", worker_text("order", order->id));
        } else if (step->held) {
            sim_stage_send(sim, order, step->status, NULL, 0);
        } else {
            sim_stage_fate_locked(sim, order, step->status);
            sim_stage_plan_locked(sim, order, sim_stages[step->status].next);
        }
        pthread_mutex_unlock(&sim->lock);
    }
    free(step);
}

static sim_order_t *
sim_order_take_locked(sim_t *sim, const sim_request_order_t *request)
{
    sim_order_t *order = sim_map_get(&sim->orders, request->order_id);

    if (order != NULL) {
        return order;
    }
    order = calloc(1, sizeof(*order));
    if (order == NULL) {
        return NULL;
    }
    memcpy(order->id, request->order_id, FOODSVC_UUID_TEXT);
    order->items = json_incref(request->items);
    order->products = request->products;
    if (!foodsvc_metadata_set(&order->metadata, request->metadata->receiver, request->metadata->order_id,
                              request->metadata->customer_id)
        || !sim_map_put(&sim->orders, order->id, order))
    {
        sim_order_free(order);
        return NULL;
    }
    return order;
}

static json_t *
sim_order_answer(const sim_order_t *order, bool delivery, const char *status)
{
    char when[FOODSVC_TIME_TEXT + 1];

    foodsvc_time_format(delivery ? order->delivery_at : order->kitchen_at, when);
    return json_pack("{s:s, s:O, s:s, s:s, s:{s:s, s:s, s:s}}", delivery ? "delivery_id" : "kitchen_id",
                     delivery ? order->delivery_id : order->kitchen_id, "items", order->items, "scheduled", when,
                     "status",
                     status, "metadata", "receiver", order->metadata.receiver, "order_id", order->metadata.order_id,
                     "customer_id", order->metadata.customer_id);
}

static bool
sim_delivery_set_locked(sim_t *sim, sim_order_t *order, int64_t at)
{
    foodsvc_uuid_t id;

    sim_uuid((uint64_t) sim->conf.seed, order->id, FOODSVC_DELIVERY_SERVICE, 0, &id);
    foodsvc_uuid_format(&id, order->delivery_id);
    order->delivery_at = at;
    order->has_delivery = sim_map_put(&sim->deliveries, order->delivery_id, order);
    return order->has_delivery;
}

static void
sim_kitchen_set_locked(sim_t *sim, sim_order_t *order, int64_t at)
{
    foodsvc_uuid_t id;

    sim_uuid((uint64_t) sim->conf.seed, order->id, FOODSVC_KITCHEN_SERVICE, 0, &id);
    foodsvc_uuid_format(&id, order->kitchen_id);
    order->kitchen_at = at;
    order->has_kitchen = true;
}

static void
sim_order_journal_locked(sim_t *sim, const sim_order_t *order, bool delivery)
{
    if (sim->journal >= 0) {
        sim_journal_locked(sim, json_pack("{s:s, s:s, s:I, s:O, s:{s:s, s:s, s:s}}", "type",
                                          delivery ? "delivery" : "kitchen", "order_id", order->id, "at",
                                          (json_int_t) (delivery ? order->delivery_at : order->kitchen_at), "items",
                                          order->items,
                                          "metadata", "receiver", order->metadata.receiver, "order_id",
                                          order->metadata.order_id, "customer_id", order->metadata.customer_id));
    }
}

json_t *
sim_delivery_create(sim_t *sim, const sim_request_order_t *request)
{
    sim_order_t *order;
    json_t      *answer = NULL;

    pthread_mutex_lock(&sim->lock);
    order = sim_order_take_locked(sim, request);
    if (order != NULL && !order->has_delivery && sim_delivery_set_locked(sim, order, foodsvc_time_now())) {
        sim_order_journal_locked(sim, order, true);
        sim_stage_plan_locked(sim, order, FOODSVC_DELIVERY_SCHEDULED);
    }
    if (order != NULL && order->has_delivery) {
        answer = sim_order_answer(order, true, foodsvc_status_name(FOODSVC_DELIVERY_SCHEDULED));
    }
    pthread_mutex_unlock(&sim->lock);
    return answer;
}

json_t *
sim_kitchen_create(sim_t *sim, const sim_request_order_t *request)
{
    sim_order_t *order;
    json_t      *answer = NULL;

    pthread_mutex_lock(&sim->lock);
    order = sim_order_take_locked(sim, request);
    if (order != NULL && !order->has_kitchen) {
        sim_kitchen_set_locked(sim, order, foodsvc_time_now());
        sim_order_journal_locked(sim, order, false);
        sim_stage_plan_locked(sim, order, FOODSVC_COOKING_SCHEDULED);
    }
    if (order != NULL) {
        answer = sim_order_answer(order, false, foodsvc_status_name(FOODSVC_COOKING_SCHEDULED));
    }
    pthread_mutex_unlock(&sim->lock);
    return answer;
}

const sim_order_t *
sim_delivery_find(sim_t *sim, const char *delivery_id)
{
    const sim_order_t *order;

    pthread_mutex_lock(&sim->lock);
    order = sim_map_get(&sim->deliveries, delivery_id);
    pthread_mutex_unlock(&sim->lock);
    return order;
}

unsigned
sim_order_products(sim_t *sim, const char *order_id)
{
    const sim_order_t *order;
    unsigned           products;

    pthread_mutex_lock(&sim->lock);
    order = sim_map_get(&sim->orders, order_id);
    products = order == NULL ? 0 : order->products;
    pthread_mutex_unlock(&sim->lock);
    return products;
}

json_t *
sim_delivery_cancel(sim_t *sim, const char *delivery_id, bool *late)
{
    sim_order_t *order;
    json_t      *answer = NULL;

    pthread_mutex_lock(&sim->lock);
    order = sim_map_get(&sim->deliveries, delivery_id);
    *late = order != NULL && (order->done & 1u << FOODSVC_DELIVERED);
    if (order != NULL && !*late) {
        if (!atomic_exchange(&order->cancelled, true)) {
            sim_journal_locked(sim, json_pack("{s:s, s:s}", "type", "cancel", "order_id", order->id));
        }
        answer = sim_order_answer(order, true, "deliveryCancelled");
    }
    pthread_mutex_unlock(&sim->lock);
    return answer;
}

void
sim_order_confirmed(sim_t *sim, sim_order_t *order, foodsvc_status_e status)
{
    pthread_mutex_lock(&sim->lock);
    if (!(order->done & 1u << status)) {
        order->done |= 1u << status;
        sim_journal_locked(sim, json_pack("{s:s, s:s, s:s}", "type", "stage", "order_id", order->id, "status",
                                          foodsvc_status_name(status)));
    }
    pthread_mutex_unlock(&sim->lock);
}

void
sim_order_restore_locked(sim_t *sim, const char *type, const json_t *line)
{
    const char          *id = json_string_value(json_object_get(line, "order_id"));
    const char          *name = json_string_value(json_object_get(line, "status"));
    const json_t        *metadata = json_object_get(line, "metadata");
    sim_order_t         *order = id == NULL ? NULL : sim_map_get(&sim->orders, id);
    foodsvc_metadata_t   owner = { 0 };
    sim_request_order_t  request = { &owner, id, json_object_get(line, "items"), 0 };
    foodsvc_status_e     status;

    if (order != NULL && strcmp(type, "cancel") == 0) {
        atomic_store(&order->cancelled, true);
    }
    if (order != NULL && strcmp(type, "stage") == 0 && name != NULL
        && foodsvc_status_parse(name, strlen(name), &status))
    {
        order->done |= 1u << status;
    }
    if (id == NULL || strlen(id) != FOODSVC_UUID_TEXT
        || (strcmp(type, "delivery") != 0 && strcmp(type, "kitchen") != 0))
    {
        return;
    }
    owner.receiver = (char *) json_string_value(json_object_get(metadata, "receiver"));
    owner.order_id = (char *) json_string_value(json_object_get(metadata, "order_id"));
    owner.customer_id = (char *) json_string_value(json_object_get(metadata, "customer_id"));
    if (owner.receiver == NULL || owner.order_id == NULL || owner.customer_id == NULL
        || !json_is_array(request.items)) {
        return;
    }
    for (size_t i = 0; i < json_array_size(request.items); i++) {
        const char *product = json_string_value(json_object_get(json_array_get(request.items, i), "product"));

        request.products |= product != NULL ? sim_product_bit(product) : 0;
    }
    order = sim_order_take_locked(sim, &request);
    if (order != NULL && strcmp(type, "delivery") == 0) {
        sim_delivery_set_locked(sim, order, json_integer_value(json_object_get(line, "at")));
    } else if (order != NULL) {
        sim_kitchen_set_locked(sim, order, json_integer_value(json_object_get(line, "at")));
    }
}

/* Of a chain of stages: the one after the last that is done. */
static void
sim_order_resume_chain_locked(sim_t *sim, sim_order_t *order, foodsvc_status_e first)
{
    foodsvc_status_e next = first;

    for (foodsvc_status_e s = first; s != FOODSVC_STATUS_COUNT; s = sim_stages[s].next) {
        if (order->done & 1u << s) {
            next = sim_stages[s].next;
        }
    }
    sim_stage_plan_locked(sim, order, next);
}

void
sim_order_resume(sim_t *sim)
{
    pthread_mutex_lock(&sim->lock);
    for (size_t i = 0; i < sim->orders.size; i++) {
        sim_order_t *order = sim->orders.slots[i].value;

        if (order != NULL && order->has_delivery) {
            sim_order_resume_chain_locked(sim, order, FOODSVC_DELIVERY_SCHEDULED);
        }
        if (order != NULL && order->has_kitchen) {
            sim_order_resume_chain_locked(sim, order, FOODSVC_COOKING_SCHEDULED);
        }
    }
    pthread_mutex_unlock(&sim->lock);
}

void
sim_order_free(void *arg)
{
    sim_order_t *order = arg;

    if (order != NULL) {
        foodsvc_metadata_clear(&order->metadata);
        json_decref(order->items);
        free(order);
    }
}
