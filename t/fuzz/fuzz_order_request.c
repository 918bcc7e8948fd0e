/* OrderPayload: what POST /v1/orders takes, and the faults of what it doesn't; and an id in a path. */
#include "fuzz.h"

static char *written(const foodsvc_order_t *order, size_t *len)
{
    size_t  items_len;
    char   *items = foodsvc_items_json(order->items, order->nitems, &items_len), id[FOODSVC_UUID_TEXT + 1], *text;
    int     n;

    json_decref(fuzz_json(items, items_len));
    n = asprintf(&text, "{\"items\":%s,\"customer_id\":\"%s\"}", items, foodsvc_uuid_format(&order->customer_id, id));
    MUST(n > 0);
    *len = (size_t) n;
    free(items);
    return text;
}

static bool on_the_menu(const char *product)
{
    for (size_t i = 0; foodsvc_products[i] != NULL; i++) {
        if (strcmp(product, foodsvc_products[i]) == 0) {
            return true;
        }
    }
    return false;
}

static void check_order(const foodsvc_order_t *order)
{
    const foodsvc_json_limits_t  wide = { 64 * 1024 * 1024, 16 };
    foodsvc_faults_t             faults = { NULL, false };
    foodsvc_order_t             *again;
    size_t                       len;
    char                        *text = written(order, &len);

    MUST(order->nitems >= 1);
    for (size_t i = 0; i < order->nitems; i++) {
        MUST(order->items[i].quantity >= 1 && on_the_menu(order->items[i].product));
    }
    again = foodsvc_order_from_request(text, len, &wide, &faults);
    MUST(again != NULL && !foodsvc_faults_any(&faults));
    fuzz_same_items(order->items, order->nitems, again->items, again->nitems);
    MUST(memcmp(&order->customer_id, &again->customer_id, sizeof(foodsvc_uuid_t)) == 0);
    foodsvc_order_free(again);
    free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    foodsvc_faults_t  faults = { NULL, false };
    foodsvc_order_t  *order = foodsvc_order_from_request((const char *) data, size, &fuzz_limits, &faults);
    char              id[FOODSVC_UUID_TEXT + 1];

    if (order != NULL) {
        MUST(!foodsvc_faults_any(&faults));
        check_order(order);
        foodsvc_order_free(order);
    } else {
        fuzz_faults(&faults, "body");
    }
    if (foodsvc_path_order_id((const char *) data, size, id, &faults)) {
        MUST(!foodsvc_faults_any(&faults));
        MUST(strlen(id) == FOODSVC_UUID_TEXT);
    } else {
        fuzz_faults(&faults, "path");
    }
    return 0;
}
