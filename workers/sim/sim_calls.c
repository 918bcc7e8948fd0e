/*
 * The partners' calls: which there are, and what a request to CustomerService, DeliveryService and KitchenService
 * must look like, and its answer. The card company and the simulator's own calls are in sim_calls_card.c.
 *
 * A call is checked first (404, 405, 422), then the rules are asked, then it is done. Which products there are, and
 * how items and metadata are checked, is libfoodsvc's; the customers, their cards and the prices are made up here.
 * Every customer exists but those whose id begins with 00000000.
 */
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "foodsvc_codec.h"
#include "foodsvc_names.h"
#include "sim_http.h"

const foodsvc_json_limits_t sim_limits = { SIM_MAX_BODY, 16 };

/* Cents, by the menu's order. */
static const int64_t sim_prices[] = { 1250, 975, 1890, 1125 };

static void sim_call_billing(sim_request_t *request);
static void sim_call_address(sim_request_t *request);
static void sim_call_delivery(sim_request_t *request);
static void sim_call_delivery_cancel(sim_request_t *request);
static void sim_call_kitchen(sim_request_t *request);
static void sim_call_health(sim_request_t *request);

typedef struct {
    sim_service_e  service;
    const char    *method;
    const char    *path;            /* %s: an id */
    const char    *target;          /* of rules; NULL: none */
    void         (*make)(sim_request_t *request);
} sim_route_t;

static const sim_route_t sim_routes[] = {
    { SIM_CUSTOMER, "POST", FOODSVC_PATH_BILLING_FORMAT, "customer.billing", sim_call_billing },
    { SIM_CUSTOMER, "GET", FOODSVC_PATH_ADDRESS_FORMAT, "customer.address", sim_call_address },
    { SIM_DELIVERY, "POST", FOODSVC_PATH_DELIVERIES, "delivery.create", sim_call_delivery },
    { SIM_DELIVERY, "POST", FOODSVC_PATH_DELIVERY_CANCEL_FORMAT, "delivery.cancel", sim_call_delivery_cancel },
    { SIM_KITCHEN, "POST", FOODSVC_PATH_KITCHEN, "kitchen.create", sim_call_kitchen },
    { SIM_CARD, "POST", FOODSVC_PATH_CARD_BILL, "card.bill", sim_call_bill },
    { SIM_CARD, "POST", FOODSVC_PATH_CARD_REIMBURSE, "card.reimburse", sim_call_reimburse },
    { SIM_CUSTOMER, "GET", FOODSVC_PATH_HEALTH, "customer.health", sim_call_health },
    { SIM_DELIVERY, "GET", FOODSVC_PATH_HEALTH, "delivery.health", sim_call_health },
    { SIM_KITCHEN, "GET", FOODSVC_PATH_HEALTH, "kitchen.health", sim_call_health },
    { SIM_CARD, "GET", FOODSVC_PATH_HEALTH, "card.health", sim_call_health },
    { SIM_CARD, "GET", "/ledger", NULL, sim_call_ledger },
    { SIM_CARD, "GET", "/simulator/rules", NULL, sim_call_rules },
    { SIM_CARD, "PUT", "/simulator/rules", NULL, sim_call_rules_set },
    { SIM_CARD, "PUT", "/simulator/speed", NULL, sim_call_speed },
    { SIM_CARD, "GET", "/simulator/state", NULL, sim_call_state },
};
#define SIM_NROUTES     (sizeof(sim_routes) / sizeof(sim_routes[0]))

static atomic_ullong sim_made[SIM_NROUTES];

void
sim_answer_json(sim_request_t *request, int status, json_t *body)
{
    size_t len;

    request->status = status;
    request->answer = body == NULL ? NULL : foodsvc_json_dump(body, &len);
    json_decref(body);
    if (request->answer == NULL) {
        request->status = 500;
        request->answer = foodsvc_json_detail("Out of memory");
    }
}

void
sim_answer_detail(sim_request_t *request, int status, const char *detail)
{
    request->status = status;
    request->answer = foodsvc_json_detail(detail);
}

void
sim_answer_faults(sim_request_t *request, foodsvc_faults_t *faults)
{
    request->status = faults->no_memory ? 500 : 422;
    request->answer = faults->no_memory ? foodsvc_json_detail("Out of memory") : foodsvc_faults_body(faults);
    foodsvc_faults_clear(faults);
}

/* Asks the rules; false: the call goes no further, the answer is there. */
bool
sim_call_goes_on(sim_request_t *request, const char *target, const char *who, unsigned products)
{
    request->fate = sim_rules_ask(request->sim->rules, target, who, products);
    switch (request->fate.action) {
    case SIM_REFUSE:
        sim_answer_detail(request, (int) request->fate.number, "Refused, as a rule of the simulator says");
        return false;
    case SIM_ERROR:
        sim_answer_detail(request, (int) request->fate.number, "Failed, as a rule of the simulator says");
        return false;
    case SIM_TIMEOUT:
    case SIM_DROP:
        return false;
    default:
        return true;
    }
}

/* --- finding the call --- */

/* Does path meet pattern? The part that meets %s is copied to id ("" when it is too long for one). */
static bool
sim_path_meets(const char *pattern, const char *path, char *id, size_t idlen)
{
    const char *gap = strstr(pattern, "%s");
    size_t      head, tail, len = strlen(path);

    id[0] = '\0';
    if (gap == NULL) {
        return strcmp(pattern, path) == 0;
    }
    head = (size_t) (gap - pattern);
    tail = strlen(gap + 2);
    if (len <= head + tail || strncmp(pattern, path, head) != 0 || strcmp(path + len - tail, gap + 2) != 0
        || memchr(path + head, '/', len - head - tail) != NULL)
    {
        return false;
    }
    if (len - head - tail < idlen) {
        memcpy(id, path + head, len - head - tail);
        id[len - head - tail] = '\0';
    }
    return true;
}

/* The canonical id in the path; false: 422 is answered. name: its name in the fault. */
static bool
sim_path_id(sim_request_t *request, const char *pattern, const char *name, char id[FOODSVC_UUID_TEXT + 1])
{
    foodsvc_faults_t  faults = { 0 };
    foodsvc_uuid_t    uuid;
    char              text[64], why[128], msg[192];

    sim_path_meets(pattern, request->path, text, sizeof(text));
    if (foodsvc_uuid_parse(text, strlen(text), &uuid, why, sizeof(why))) {
        foodsvc_uuid_format(&uuid, id);
        return true;
    }
    snprintf(msg, sizeof(msg), "Input should be a valid UUID, %s", why);
    foodsvc_fault_add(&faults, "uuid_parsing", json_pack("[s,s]", "path", name), msg, json_string(text),
                      json_pack("{s:s}", "error", why));
    sim_answer_faults(request, &faults);
    return false;
}

void
sim_call(sim_request_t *request)
{
    const char *method = strcmp(request->method, "HEAD") == 0 ? "GET" : request->method;
    char        id[64];

    request->fate = (sim_fate_t) { SIM_FINE, 0 };
    for (size_t i = 0; i < SIM_NROUTES; i++) {
        const sim_route_t *route = &sim_routes[i];

        if (route->service != request->service || !sim_path_meets(route->path, request->path, id, sizeof(id))) {
            continue;
        }
        if (strcmp(route->method, method) == 0) {
            atomic_fetch_add(&sim_made[i], 1);
            route->make(request);
            return;
        }
        request->allow = request->allow == NULL ? route->method : "GET, PUT";
    }
    sim_answer_detail(request, request->allow == NULL ? 404 : 405,
                      request->allow == NULL ? "Not Found" : "Method Not Allowed");
}

json_t *
sim_calls_json(void)
{
    json_t *calls = json_object();

    for (size_t i = 0; i < SIM_NROUTES; i++) {
        if (sim_routes[i].target != NULL) {
            json_object_set_new(calls, sim_routes[i].target, json_integer((json_int_t) atomic_load(&sim_made[i])));
        }
    }
    return calls;
}

/* --- CustomerService --- */

static bool
sim_customer_known(sim_request_t *request, const char *id)
{
    if (strncmp(id, "00000000", 8) != 0) {
        return true;
    }
    sim_answer_detail(request, 404, "Customer does not exist");
    return false;
}

static unsigned
sim_products_of(const foodsvc_item_t *items, size_t nitems)
{
    unsigned products = 0;

    for (size_t i = 0; i < nitems; i++) {
        products |= sim_product_bit(items[i].product);
    }
    return products;
}

static double
sim_amount(const foodsvc_item_t *items, size_t nitems)
{
    double   rest = 0;
    int64_t  cents = 0, price, sum;

    for (size_t i = 0; i < nitems; i++) {
        price = 0;
        for (size_t p = 0; foodsvc_products[p] != NULL && p < sizeof(sim_prices) / sizeof(sim_prices[0]); p++) {
            if (strcmp(foodsvc_products[p], items[i].product) == 0) {
                price = sim_prices[p];
            }
        }
        if (__builtin_mul_overflow(price, items[i].quantity, &sum) || __builtin_add_overflow(cents, sum, &cents)) {
            rest += (double) price / 100 * (double) items[i].quantity;
        }
    }
    return (double) cents / 100 + rest;
}

/* The body is [OrderItem], for which libfoodsvc has no reader of its own: it is read as the items of a PaymentPayload,
   and the faults lose the "items" of their places. */
static bool
sim_items_parse(sim_request_t *request, const char *customer_id, foodsvc_payment_request_t *payment)
{
    foodsvc_faults_t  faults = { 0 };
    json_t           *list = foodsvc_json_parse(request->body, request->len, &sim_limits, &faults), *fault;
    char             *text = NULL;
    size_t            len = 0, i;

    if (list != NULL) {
        json_t *whole = json_pack("{s:O, s:{s:s, s:s, s:s}}", "items", list, "metadata", "receiver",
                                  FOODSVC_ORDER_SERVICE,
                                  "order_id", customer_id, "customer_id", customer_id);

        text = whole == NULL ? NULL : foodsvc_json_dump(whole, &len);
        json_decref(whole);
        json_decref(list);
        if (text == NULL) {
            faults.no_memory = true;
        } else if (foodsvc_payment_request_parse(text, len, &(foodsvc_json_limits_t) { len, 18 }, payment, &faults)) {
            free(text);
            return true;
        }
        free(text);
        json_array_foreach(faults.list, i, fault) {
            json_array_remove(json_object_get(fault, "loc"), 1);
        }
    }
    sim_answer_faults(request, &faults);
    return false;
}

static void
sim_call_billing(sim_request_t *request)
{
    foodsvc_payment_request_t payment = { 0 };
    char                      id[FOODSVC_UUID_TEXT + 1];

    if (!sim_path_id(request, FOODSVC_PATH_BILLING_FORMAT, "customer_id", id)
        || !sim_items_parse(request, id, &payment))
    {
        return;
    }
    if (sim_customer_known(request, id)
        && sim_call_goes_on(request, "customer.billing", id, sim_products_of(payment.items, payment.nitems)))
    {
        sim_answer_json(request, 201, json_pack(
            "{s:f, s:{s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:s}}", "amount",
            sim_amount(payment.items, payment.nitems),
            "billing_info", "CVV", "123", "Bank", "Test Bank", "Name", "Jane Doe", "Expiry", "12/2030", "Address",
            "1 Main Street", "Country", "NO", "MoneyRange", "$1000-$2000", "CardNumber", "4111111111111111",
            "IssuingNetwork", "Visa"));
    }
    foodsvc_payment_request_clear(&payment);
}

static void
sim_call_address(sim_request_t *request)
{
    char id[FOODSVC_UUID_TEXT + 1];

    if (sim_path_id(request, FOODSVC_PATH_ADDRESS_FORMAT, "customer_id", id) && sim_customer_known(request, id)
        && sim_call_goes_on(request, "customer.address", id, 0))
    {
        sim_answer_json(request, 200, json_pack("{s:s, s:s, s:s, s:s}", "name", "Jane Doe", "city", "Oslo", "street",
                                                "1 Main Street", "zipcode", "0150"));
    }
}

/* --- DeliveryService and KitchenService --- */

static void
sim_address_check(const json_t *body, foodsvc_faults_t *faults)
{
    static const char *const  names[] = { "name", "city", "street", "zipcode" };
    json_t                   *address = json_object_get(body, "address"), *value;

    if (address == NULL) {
        foodsvc_fault_add(faults, "missing", json_pack("[s,s]", "body", "address"), "Field required", json_null(),
                          NULL);
    } else if (!json_is_object(address)) {
        foodsvc_fault_add(faults, "model_attributes_type", json_pack("[s,s]", "body", "address"),
                          "Input should be a valid dictionary or object to extract fields from", json_incref(address),
                          NULL);
    }
    for (size_t i = 0; json_is_object(address) && i < sizeof(names) / sizeof(names[0]); i++) {
        value = json_object_get(address, names[i]);
        if (value == NULL) {
            foodsvc_fault_add(faults, "missing", json_pack("[s,s,s]", "body", "address", names[i]), "Field required",
                              json_incref(address), NULL);
        } else if (!json_is_string(value)) {
            foodsvc_fault_add(faults, "string_type", json_pack("[s,s,s]", "body", "address", names[i]),
                              "Input should be a valid string", json_incref(value), NULL);
        }
    }
}

/* Reads {"items", "metadata"[, "address"]}, asks the rules, and has it done. */
static void
sim_call_order(sim_request_t *request, const char *target, bool address,
    json_t *(*create)(sim_t *sim, const sim_request_order_t *order))
{
    foodsvc_payment_request_t  parsed = { 0 };
    foodsvc_faults_t           faults = { 0 };
    bool                       ok = foodsvc_payment_request_parse(request->body, request->len, &sim_limits, &parsed,
                                                                  &faults);
    json_t                    *body = json_loadb(request->body, request->len, JSON_REJECT_DUPLICATES, NULL), *items;
    foodsvc_uuid_t             uuid;
    char                       id[FOODSVC_UUID_TEXT + 1], err[128];

    if (address && json_is_object(body)) {
        sim_address_check(body, &faults);
    }
    json_decref(body);
    if (!ok || foodsvc_faults_any(&faults)) {
        sim_answer_faults(request, &faults);
        if (ok) {
            foodsvc_payment_request_clear(&parsed);
        }
        return;
    }
    items = json_array();
    for (size_t i = 0; i < parsed.nitems; i++) {
        json_array_append_new(items, json_pack("{s:s, s:I}", "product", parsed.items[i].product, "quantity",
                                               (json_int_t) parsed.items[i].quantity));
    }
    if (foodsvc_uuid_parse(parsed.metadata.order_id, strlen(parsed.metadata.order_id), &uuid, err, sizeof(err))) {
        sim_request_order_t order = { &parsed.metadata, foodsvc_uuid_format(&uuid, id), items,
                                      sim_products_of(parsed.items, parsed.nitems) };

        if (sim_call_goes_on(request, target, id, order.products)) {
            sim_answer_json(request, 202, create(request->sim, &order));
        }
    } else {
        sim_answer_detail(request, 422, "metadata.order_id is no UUID");
    }
    json_decref(items);
    foodsvc_payment_request_clear(&parsed);
}

static void
sim_call_delivery(sim_request_t *request)
{
    sim_call_order(request, "delivery.create", true, sim_delivery_create);
}

static void
sim_call_kitchen(sim_request_t *request)
{
    sim_call_order(request, "kitchen.create", false, sim_kitchen_create);
}

static void
sim_call_delivery_cancel(sim_request_t *request)
{
    const sim_order_t *order;
    json_t            *answer;
    char               id[FOODSVC_UUID_TEXT + 1];
    bool               late;

    if (!sim_path_id(request, FOODSVC_PATH_DELIVERY_CANCEL_FORMAT, "delivery_id", id)) {
        return;
    }
    order = sim_delivery_find(request->sim, id);
    if (!sim_call_goes_on(request, "delivery.cancel", order ? order->id : id, order ? order->products : 0)) {
        return;
    }
    if (order == NULL) {
        sim_answer_detail(request, 404, "Delivery does not exist");
        return;
    }
    answer = sim_delivery_cancel(request->sim, id, &late);
    if (late) {
        sim_answer_detail(request, 400, "Too late: the meal was delivered");
    } else {
        sim_answer_json(request, 201, answer);
    }
}

/* --- all of them --- */

static void
sim_call_health(sim_request_t *request)
{
    static const struct {
        const char *name, *target;
    } services[SIM_SERVICES] = {
        [SIM_CUSTOMER] = { FOODSVC_CUSTOMER_SERVICE, "customer.health" },
        [SIM_DELIVERY] = { FOODSVC_DELIVERY_SERVICE, "delivery.health" },
        [SIM_KITCHEN] = { FOODSVC_KITCHEN_SERVICE, "kitchen.health" },
        [SIM_CARD] = { FOODSVC_CARD_COMPANY, "card.health" },
    };

    if (sim_call_goes_on(request, services[request->service].target, "", 0)) {
        sim_answer_json(request, 200, json_pack("{s:b, s:s, s:s}", "status", true, "version", FOODSVC_VERSION, "name",
                                                services[request->service].name));
    }
}
