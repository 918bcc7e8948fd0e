/*
 * Orders that stand and owe something, for who does what others left undone.
 *
 * Our own writes keep owes_since in each order that owes something, so the index {status, owes_since, _id} has them
 * in the order of their age. Another implementation writes no such field: in the index its orders lie under null,
 * among our own that owe nothing. They are walked by _id; whether they owe something only their documents tell. The
 * index is not a partial one, which would be smaller, because of that walk.
 */
#include "foodsvc_store_int.h"
#include "foodsvc_time.h"

/* Bounds of the index: the status, a value of owes_since (none for unmarked), and either end of the ids. */
static bson_t *bound(const foodsvc_store_owing_t *owing, int64_t since, bool last)
{
    bson_t *place = bson_new();

    BSON_APPEND_UTF8(place, "status", foodsvc_status_name(owing->status));
    if (!owing->unmarked) {
        BSON_APPEND_DATE_TIME(place, FOODSVC_OWES_SINCE, since);
    } else {
        BSON_APPEND_NULL(place, FOODSVC_OWES_SINCE);
    }
    if (last) {
        BSON_APPEND_MAXKEY(place, "_id");
    } else {
        BSON_APPEND_MINKEY(place, "_id");
    }
    return place;
}

bson_t *foodsvc_store_owing_place(const foodsvc_store_owing_t *owing, const foodsvc_order_t *order)
{
    bson_t *place = bson_new();

    BSON_APPEND_UTF8(place, "status", foodsvc_status_name(owing->status));
    if (owing->unmarked) {
        BSON_APPEND_NULL(place, FOODSVC_OWES_SINCE);
    } else {
        BSON_APPEND_DATE_TIME(place, FOODSVC_OWES_SINCE, foodsvc_order_since(order));
    }
    BSON_APPEND_UTF8(place, "_id", order->id);
    return place;
}

/* Not the database's business: it would look at more than a page for that. */
static void leave_claimed(foodsvc_store_page_t *page)
{
    int64_t  now = foodsvc_time_now();
    size_t   i, n = 0;

    for (i = 0; i < page->norders; i++) {
        if (foodsvc_store_claim_is_free(page->orders[i], now)) {
            page->orders[n++] = page->orders[i];
        } else {
            foodsvc_order_free(page->orders[i]);
        }
    }
    page->norders = n;
}

void foodsvc_store_orders_owing(foodsvc_store_t *store, const foodsvc_store_owing_t *owing, foodsvc_store_page_t *page)
{
    int64_t                 first = owing->ahead ? foodsvc_time_now() + FOODSVC_TIME_AHEAD : INT64_MIN;
    bson_t                 *min = bound(owing, first, false);
    bson_t                 *max = bound(owing, owing->ahead ? INT64_MAX : owing->before, true);
    foodsvc_store_paging_t  paging = {
        .key = { "status", FOODSVC_OWES_SINCE, "_id" }, .nkey = 3, .direction = 1, .min = min, .max = max
    };

    foodsvc_store_page_run(store, &paging, page);
    if (!owing->claimed) {
        leave_claimed(page);
    }
    bson_destroy(min);
    bson_destroy(max);
}
