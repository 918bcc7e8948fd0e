/*
 * What most programs of the store's tests begin with: one store, its indexes made, for all tests of a program.
 */
#ifndef STORE_STAGE_H
#define STORE_STAGE_H

#include "store.h"

/* Members of an order as somebody else may have written it. */
#define FOREIGN "\"items\": [{\"product\": \"Lasagna\", \"quantity\": 1}], \"kitchen_id\": null, " \
    "\"customer_id\": \"53c5711d-f5d4-45eb-8651-f0ba9092ba0d\""

static foodsvc_store_t *store;

static int setup(void **state)
{
    char  err[FOODSVC_ERR];

    store = open_store(mongo_url(), 2000, 8);
    assert_int_equal(foodsvc_store_prepare(store, err), FOODSVC_STORE_OK);
    return 0;
}

static int teardown(void **state)
{
    foodsvc_store_close(store);
    return 0;
}

/* Done with a page: `after` is where the next one begins, NULL when there is none. */
static inline void turn_page(foodsvc_store_page_t *page, bson_t **after)
{
    if (*after != NULL) {
        bson_destroy(*after);
    }
    *after = page->next;
    page->next = NULL;
    foodsvc_store_page_clear(page);
}

#endif
