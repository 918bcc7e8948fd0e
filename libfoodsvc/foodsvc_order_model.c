/*
 * The order in memory: made, copied, freed. And the menu.
 */
#include <stdlib.h>
#include <string.h>
#include "foodsvc_order.h"

const char *const foodsvc_products[] = {
    "Lasagna",
    "Double Cheeseburger",
    "Veil with glazed onions and blue cheese",
    "Vegetarian Salad with healthy produce",
    NULL
};

foodsvc_order_t *foodsvc_order_new(void)
{
    return calloc(1, sizeof(foodsvc_order_t));
}

void foodsvc_order_free(foodsvc_order_t *order)
{
    if (order == NULL) {
        return;
    }
    for (size_t i = 0; i < order->nitems; i++) {
        free(order->items[i].product);
    }
    free(order->items);
    free(order->updated);
    json_decref(order->unknown);
    free(order);
}

size_t foodsvc_order_rank(const foodsvc_order_t *order)
{
    return FOODSVC_ORDER_RANK(order->nupdated, (size_t) order->has_kitchen_id + (size_t) order->has_delivery_id);
}

/*
 * Room for one more in an array of n elements that was grown by nothing but this: its size is the next power of two, so
 * it is full whenever n is one.
 */
static bool grow(void **array, size_t n, size_t element)
{
    void *larger;

    if (n > 0 && (n & (n - 1)) != 0) {
        return true;
    }
    larger = realloc(*array, (n == 0 ? 1 : n * 2) * element);
    if (larger == NULL) {
        return false;
    }
    *array = larger;
    return true;
}

bool foodsvc_order_add_item(foodsvc_order_t *order, const char *product, size_t len, int64_t quantity)
{
    void *items = order->items;
    char *copy;

    if (!grow(&items, order->nitems, sizeof(foodsvc_item_t))) {
        return false;
    }
    order->items = items;

    copy = malloc(len + 1);
    if (copy == NULL) {
        return false;
    }
    memcpy(copy, product, len);
    copy[len] = '\0';
    order->items[order->nitems++] = (foodsvc_item_t) { copy, quantity };
    return true;
}

bool foodsvc_order_add_step(foodsvc_order_t *order, foodsvc_status_e status, int64_t when)
{
    void *updated = order->updated;

    if (!grow(&updated, order->nupdated, sizeof(foodsvc_step_t))) {
        return false;
    }
    order->updated = updated;
    order->updated[order->nupdated++] = (foodsvc_step_t) { status, when };
    return true;
}

foodsvc_order_t *foodsvc_order_copy(const foodsvc_order_t *order)
{
    foodsvc_order_t *copy = foodsvc_order_new();

    if (copy == NULL) {
        return NULL;
    }
    *copy = *order;
    copy->items = NULL;
    copy->nitems = 0;
    copy->updated = NULL;
    copy->nupdated = 0;
    copy->unknown = NULL;

    for (size_t i = 0; i < order->nitems; i++) {
        const foodsvc_item_t *item = &order->items[i];

        if (!foodsvc_order_add_item(copy, item->product, strlen(item->product), item->quantity)) {
            goto failed;
        }
    }
    for (size_t i = 0; i < order->nupdated; i++) {
        if (!foodsvc_order_add_step(copy, order->updated[i].status, order->updated[i].when)) {
            goto failed;
        }
    }
    /* A deep one: reference counts must not be shared between threads. */
    if (order->unknown != NULL && (copy->unknown = json_deep_copy(order->unknown)) == NULL) {
        goto failed;
    }
    return copy;

failed:
    foodsvc_order_free(copy);
    return NULL;
}
