/*
 * The Credit Card Company's calls, and on the same port the simulator's own: the ledger, the failure rules, the
 * speed, the state. No fault of a billing request carries a part of the card.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "foodsvc_codec.h"
#include "foodsvc_names.h"
#include "sim_http.h"

/* --- the Credit Card Company --- */

static void
sim_fault_member(foodsvc_faults_t *faults, const char *card, const char *name, const char *type, const char *msg,
    const json_t *input)
{
    json_t *loc = card ? json_pack("[s,s,s]", "body", card, name) : json_pack("[s,s]", "body", name);

    foodsvc_fault_add(faults, type, loc, msg, input ? json_incref((json_t *) input) : json_null(), NULL);
}

/* No input goes back into a fault but the amount and the ids: the rest is a card. */
static void
sim_card_check(const json_t *card, foodsvc_faults_t *faults)
{
    static const char *const names[] = {
        "CVV", "Bank", "Name", "Expiry", "Address", "Country", "MoneyRange", "CardNumber", "IssuingNetwork"
    };

    if (!json_is_object(card)) {
        sim_fault_member(faults, NULL, "billing_info", card ? "model_attributes_type" : "missing", card
                         ? "Input should be a valid dictionary or object to extract fields from" : "Field required",
                         NULL);
        return;
    }
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        const json_t *value = json_object_get(card, names[i]);

        if (!json_is_string(value)) {
            sim_fault_member(faults, "billing_info", names[i], value ? "string_type" : "missing",
                             value ? "Input should be a valid string" : "Field required", NULL);
        }
    }
}

static void
sim_billing_check(const json_t *body, foodsvc_faults_t *faults, char id[FOODSVC_UUID_TEXT + 1])
{
    const json_t   *amount = json_object_get(body, "amount"), *caller = json_object_get(body, "caller_id");
    const json_t   *url = json_object_get(body, "callback_url");
    foodsvc_uuid_t  uuid;
    char            why[128], msg[192];

    if (!json_is_string(url)) {
        sim_fault_member(faults, NULL, "callback_url", url ? "string_type" : "missing",
                         url ? "Input should be a valid string" : "Field required", url);
    } else if (strncmp(json_string_value(url), "http://", 7) != 0
               && strncmp(json_string_value(url), "https://", 8) != 0)
    {
        sim_fault_member(faults, NULL, "callback_url", "url_parsing", "Input should be a valid URL of http or https",
                         url);
    }
    sim_card_check(json_object_get(body, "billing_info"), faults);
    if (!json_is_number(amount)) {
        sim_fault_member(faults, NULL, "amount", amount ? "float_type" : "missing",
                         amount ? "Input should be a valid number" : "Field required", amount);
    } else if (!(json_number_value(amount) > 0)) {
        sim_fault_member(faults, NULL, "amount", "greater_than", "Input should be greater than 0", amount);
    }
    if (!json_is_string(caller)) {
        sim_fault_member(faults, NULL, "caller_id", caller ? "uuid_type" : "missing",
                         caller ? "UUID input should be a string, bytes or UUID object" : "Field required", caller);
    } else if (!foodsvc_uuid_parse(json_string_value(caller), json_string_length(caller), &uuid, why, sizeof(why))) {
        snprintf(msg, sizeof(msg), "Input should be a valid UUID, %s", why);
        sim_fault_member(faults, NULL, "caller_id", "uuid_parsing", msg, caller);
    } else {
        foodsvc_uuid_format(&uuid, id);
    }
}

static bool
sim_key_good(const char *key)
{
    size_t len = strlen(key);

    for (size_t i = 0; i < len; i++) {
        if (key[i] < 0x21 || key[i] > 0x7e) {
            return false;
        }
    }
    return len <= 255;
}

static void
sim_call_card(sim_request_t *request, const char *target, bool reimburse)
{
    foodsvc_faults_t   faults = { 0 };
    json_t            *body = foodsvc_json_parse(request->body, request->len, &sim_limits, &faults);
    char               id[FOODSVC_UUID_TEXT + 1] = "", transaction_id[FOODSVC_UUID_TEXT + 1], err[128];
    int                status;

    if (body != NULL && !json_is_object(body)) {
        foodsvc_fault_add(&faults, "model_attributes_type", json_pack("[s]", "body"),
                          "Input should be a valid dictionary or object to extract fields from", json_null(), NULL);
    } else if (body != NULL) {
        sim_billing_check(body, &faults, id);
    }
    if (!sim_key_good(request->key)) {
        foodsvc_fault_add(&faults, "value_error", json_pack("[s,s]", "header", FOODSVC_IDEMPOTENCY_HEADER),
                          "Input should be up to 255 visible ASCII characters", json_null(), NULL);
    }
    if (foodsvc_faults_any(&faults)) {
        sim_answer_faults(request, &faults);
    } else {
        sim_billing_t        billing = { reimburse, json_number_value(json_object_get(body, "amount")), id,
                                         json_string_value(json_object_get(body, "callback_url")), request->key };

        if (sim_call_goes_on(request, target, id, sim_order_products(request->sim, id))) {
            status = sim_card_bill(request->sim, &billing, transaction_id, err, sizeof(err));
            if (status != 0) {
                sim_answer_detail(request, status, err);
            } else {
                sim_answer_json(request, 202, json_pack("{s:s, s:s, s:s}", "transaction_id", transaction_id, "status",
                                                        "pending", "caller_id", id));
            }
        }
    }
    json_decref(body);
}

void
sim_call_bill(sim_request_t *request)
{
    sim_call_card(request, "card.bill", false);
}

void
sim_call_reimburse(sim_request_t *request)
{
    sim_call_card(request, "card.reimburse", true);
}

/* --- the simulator itself, on the card company's port --- */

void
sim_call_ledger(sim_request_t *request)
{
    sim_answer_json(request, 200, sim_card_ledger(request->sim, request->order_id));
}

void
sim_call_rules(sim_request_t *request)
{
    sim_answer_json(request, 200, sim_rules_json(request->sim->rules));
}

/* ["rule", ...] or what GET answers, [{"rule": "...", ...}, ...] */
void
sim_call_rules_set(sim_request_t *request)
{
    json_t  *list = json_loadb(request->body, request->len, 0, NULL), *item;
    char   **texts = json_is_array(list) ? calloc(json_array_size(list) + 1, sizeof(*texts)) : NULL;
    char     err[256] = "a list of rules is needed, as [\"card.bill:refuse:0.1\"]";
    bool     ok = texts != NULL;
    size_t   i;

    json_array_foreach(list, i, item) {
        const char *text = json_string_value(json_is_object(item) ? json_object_get(item, "rule") : item);

        ok = ok && text != NULL;
        if (texts != NULL) {
            texts[i] = (char *) text;
        }
    }
    if (ok && sim_rules_set(request->sim->rules, texts, json_array_size(list), err, sizeof(err))) {
        worker_log(WORKER_LOG_INFO, "rules set", worker_int("rules", json_array_size(list)));
        sim_call_rules(request);
    } else {
        sim_answer_detail(request, 422, err);
    }
    free(texts);
    json_decref(list);
}

void
sim_call_speed(sim_request_t *request)
{
    json_t *body = json_loadb(request->body, request->len, JSON_DECODE_ANY, NULL);
    json_t *speed = json_is_object(body) ? json_object_get(body, "speed") : body;
    double  value = json_number_value(speed);

    if (value >= SIM_SPEED_MIN && value <= SIM_SPEED_MAX) {
        sim_speed_set(request->sim, value);
        sim_answer_json(request, 200, json_pack("{s:f}", "speed", value));
    } else {
        sim_answer_detail(request, 422, "a speed is needed, as 60: how much faster than life");
    }
    json_decref(body);
}

void
sim_call_state(sim_request_t *request)
{
    sim_t  *sim = request->sim;
    json_t *state;

    pthread_mutex_lock(&sim->lock);
    state = json_pack("{s:f, s:I, s:I, s:I}", "speed", sim->speed, "seed", (json_int_t) sim->conf.seed, "orders",
                      (json_int_t) sim->orders.used, "card_requests", (json_int_t) sim->nledger);
    pthread_mutex_unlock(&sim->lock);
    json_object_set_new(state, "calls", sim_calls_json());
    json_object_set_new(state, "events", sim->events ? sim_events_json(sim->events) : json_null());
    json_object_set_new(state, "callbacks_waiting", json_integer((json_int_t) sim_callback_waiting(sim->callback)));
    json_object_set_new(state, "planned", json_integer((json_int_t) sim_sched_waiting(sim->sched)));
    sim_answer_json(request, 200, state);
}
