/*
 * order place, show, list, cancel, delete: calls to OrderService.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "ctl.h"
#include "foodsvc_names.h"
#include "foodsvc_uuid.h"

bool
ctl_order_id(const char *text, char id[FOODSVC_UUID_TEXT + 1])
{
    foodsvc_uuid_t uuid;
    char           why[128];

    if (!foodsvc_uuid_parse(text, strlen(text), &uuid, why, sizeof(why))) {
        ctl_misused("\"%s\" is no order's id (%s): `foodctl order list` shows them", text, why);
        return false;
    }
    foodsvc_uuid_format(&uuid, id);
    return true;
}

static const char *
ctl_text(const json_t *order, const char *member)
{
    const char *text = json_string_value(json_object_get(order, member));

    return text != NULL ? text : "-";
}

static void
ctl_order_print(const json_t *order)
{
    static const char *const lines[][2] = {
        { "id", "id" }, { "status", "status" }, { "created", "created" }, { "customer", "customer_id" },
        { "delivery", "delivery_id" }, { "kitchen", "kitchen_id" }
    };
    const json_t *items = json_object_get(order, "items"), *updated = json_object_get(order, "updated"), *one;
    size_t        i;

    for (i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
        printf("%-10s", lines[i][0]);
        ctl_print_text(ctl_text(order, lines[i][1]), 0);
        putchar('\n');
    }
    json_array_foreach(items, i, one) {
        printf("item      %lld x ", (long long) json_integer_value(json_object_get(one, "quantity")));
        ctl_print_text(ctl_text(one, "product"), 0);
        putchar('\n');
    }
    json_array_foreach(updated, i, one) {
        fputs("update    ", stdout);
        ctl_print_text(ctl_text(one, "when"), 0);
        fputs("  ", stdout);
        ctl_print_text(ctl_text(one, "status"), 0);
        putchar('\n');
    }
}

/* Calls path of OrderService; prints nothing. CTL_OK: the answer is `wanted`, and the caller frees it. */
static int
ctl_order_call(const ctl_t *ctl, const char *method, const char *path, const char *body, long wanted,
    ctl_answer_t *answer)
{
    const char *base = ctl_need(ctl, ctl->order_url, "ORDER_URL");
    char        why[CTL_WHY];
    int         code;

    if (base == NULL) {
        return CTL_FAILED;
    }
    if (!ctl_http(ctl, method, base, path, body, answer, why)) {
        return ctl_fail("%s: %s", ctl->command, why);
    }
    if (answer->status != wanted) {
        code = ctl_http_refused(ctl, answer);
        ctl_answer_free(answer);
        return code;
    }
    if (wanted != 204 && answer->json == NULL) {
        ctl_answer_free(answer);
        return ctl_fail("%s: the answer is no JSON: is %s OrderService?", ctl->command, ctl_place(base));
    }
    return CTL_OK;
}

int
ctl_order_get(const ctl_t *ctl, const char *id, ctl_answer_t *answer)
{
    char path[128];

    snprintf(path, sizeof(path), "%s/%s", FOODSVC_PATH_ORDERS, id);
    return ctl_order_call(ctl, "GET", path, NULL, 200, answer);
}

/* The common way of show, cancel and delete: a call on one order. */
static int
ctl_order_one(ctl_t *ctl, const char *method, const char *tail, long wanted)
{
    ctl_answer_t answer;
    char         id[FOODSVC_UUID_TEXT + 1], path[128];
    int          code;

    if (!ctl_order_id(ctl->args[0], id)) {
        return CTL_USAGE;
    }
    snprintf(path, sizeof(path), "%s/%s%s", FOODSVC_PATH_ORDERS, id, tail);
    code = ctl_order_call(ctl, method, path, NULL, wanted, &answer);
    if (code != CTL_OK) {
        return code;
    }
    if (wanted == 204 && ctl->json) {
        ctl_print_json_new(json_pack("{s:s, s:b}", "id", id, "deleted", true));
    } else if (wanted == 204) {
        printf("%s is deleted\n", id);
    } else if (ctl->json) {
        ctl_print_json(answer.json);
    } else {
        ctl_order_print(answer.json);
    }
    ctl_answer_free(&answer);
    return CTL_OK;
}

int
ctl_order_show(ctl_t *ctl)
{
    return ctl_order_one(ctl, "GET", "", 200);
}

/* The key that --key gave, or a new one. False: told. */
static bool
ctl_order_key(ctl_t *ctl)
{
    static char     text[FOODSVC_UUID_TEXT + 1];
    foodsvc_uuid_t  uuid;

    for (const char *c = ctl->key; c != NULL && *c != '\0'; c++) {
        if (*c < ' ' || *c > '~' || c - ctl->key >= FOODSVC_IDEMPOTENCY_MAX) {
            ctl_misused("--key takes 1 to %d characters of ASCII, none of them a control character",
                        FOODSVC_IDEMPOTENCY_MAX);
            return false;
        }
    }
    if (ctl->key == NULL) {
        foodsvc_uuid_v4(&uuid);
        ctl->key = foodsvc_uuid_format(&uuid, text);
    }
    return true;
}

int
ctl_order_cancel(ctl_t *ctl)
{
    if (!ctl_order_key(ctl)) {
        return CTL_USAGE;
    }
    return ctl_order_one(ctl, "POST", "/cancel", 202);
}

int
ctl_order_delete(ctl_t *ctl)
{
    return ctl_order_one(ctl, "DELETE", "", 204);
}

/* "Lasagna=2". The service says what is wrong with it; it knows the menu. */
static json_t *
ctl_item(const char *text)
{
    const char *equals = strrchr(text, '=');
    char       *end;
    long long   quantity = 1;

    if (equals != NULL) {
        quantity = strtoll(equals + 1, &end, 10);
        if (end == equals + 1 || *end != '\0') {
            return NULL;
        }
    }
    return json_pack("{s:s%, s:I}", "product", text, equals ? (size_t) (equals - text) : strlen(text), "quantity",
                     (json_int_t) quantity);
}

/* NULL, when something is wrong, which is told; *code is the exit status then. */
static json_t *
ctl_order_new(ctl_t *ctl, int *code)
{
    static char     customer[FOODSVC_UUID_TEXT + 1];
    char            why[128];
    foodsvc_uuid_t  uuid;
    json_t         *items = json_array(), *item, *order;
    bool            whole = true;

    *code = CTL_USAGE;
    if (ctl->key != NULL && ctl->customer == NULL) {
        ctl_misused("--key: give --customer, too: asked again for a new customer it would be another order");
        json_decref(items);
        return NULL;
    }
    foodsvc_uuid_v4(&uuid);
    if (ctl->customer != NULL && !foodsvc_uuid_parse(ctl->customer, strlen(ctl->customer), &uuid, why, sizeof(why))) {
        ctl_misused("--customer: \"%s\" is no UUID (%s)", ctl->customer, why);
        json_decref(items);
        return NULL;
    }
    for (size_t i = 0; i < ctl->nitems; i++) {
        item = ctl_item(ctl->items[i]);
        if (item == NULL) {
            ctl_misused("\"%s\" is no item: it must be like '%s=2'", ctl->items[i], foodsvc_products[0]);
            json_decref(items);
            return NULL;
        }
        whole = json_array_append_new(items, item) == 0 && whole;
    }
    for (int i = 0; i < 2 && ctl->nitems == 0; i++) {
        item = json_pack("{s:s, s:i}", "product", foodsvc_products[i], "quantity", 2 - i);
        whole = json_array_append_new(items, item) == 0 && whole;
    }
    /* an order that lacks an item is another order */
    ctl->customer = foodsvc_uuid_format(&uuid, customer);
    order = whole ? json_pack("{s:O, s:s}", "items", items, "customer_id", ctl->customer) : NULL;
    json_decref(items);
    if (order == NULL) {
        *code = ctl_fail("out of memory");
    }
    return order;
}

int
ctl_order_place(ctl_t *ctl)
{
    int           code;
    json_t       *order = ctl_order_new(ctl, &code);
    char         *body = order ? json_dumps(order, JSON_COMPACT) : NULL;
    ctl_answer_t  answer;

    if (order != NULL && body == NULL) {
        code = ctl_fail("out of memory");
    }
    json_decref(order);
    if (body == NULL) {
        return code;
    }
    if (!ctl_order_key(ctl)) {
        free(body);
        return CTL_USAGE;
    }
    code = ctl_order_call(ctl, "POST", FOODSVC_PATH_ORDERS, body, 202, &answer);
    free(body);
    if (code != CTL_OK) {
        return code;
    }
    if (ctl->json) {
        ctl_print_json(answer.json);
    } else if (ctl->quiet) {
        ctl_print_text(ctl_text(answer.json, "id"), 0);
        putchar('\n');
    } else {
        ctl_order_print(answer.json);
    }
    ctl_answer_free(&answer);
    return CTL_OK;
}

int
ctl_order_list(ctl_t *ctl)
{
    ctl_answer_t  answer;
    json_t       *order;
    size_t        i;
    int           code = ctl_order_call(ctl, "GET", FOODSVC_PATH_ORDERS, NULL, 200, &answer);

    if (code != CTL_OK) {
        return code;
    }
    if (ctl->json) {
        ctl_print_json(answer.json);
    } else {
        json_array_foreach(answer.json, i, order) {
            ctl_print_text(ctl_text(order, "id"), 0);
            fputs("  ", stdout);
            ctl_print_text(ctl_text(order, "status"), 19);
            ctl_print_text(ctl_text(order, "created"), 0);
            putchar('\n');
        }
    }
    ctl_answer_free(&answer);
    return CTL_OK;
}
