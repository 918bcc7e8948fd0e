/*
 * Orders page by page, in the order of an index. A page begins where the one before ended: at a place in the index,
 * given to the server as `min`, so that no page costs more than its own documents, however many lie before it.
 */
#include <stdlib.h>
#include <string.h>
#include "foodsvc_store_int.h"

#define CODE_BAD_VALUE  2       /* what the server says to a hint of an index that isn't there */

/*
 * The place of a document in the index: its raw values, a missing one counting as null, as the index has it. NULL:
 * none: a list is indexed by its members, so it has no place of its own to go on from; *ok false: no memory.
 */
static bson_t *place_of(const foodsvc_store_paging_t *paging, const bson_t *doc, bool *ok)
{
    bson_iter_t   iter;
    bson_t       *place = bson_new();
    bool          found, fits = true;
    size_t        i;

    *ok = true;
    for (i = 0; fits && *ok && i < paging->nkey; i++) {
        found = bson_iter_init_find(&iter, doc, paging->key[i]);
        fits = !found || !BSON_ITER_HOLDS_ARRAY(&iter);
        *ok = found ? bson_append_iter(place, paging->key[i], -1, &iter) : BSON_APPEND_NULL(place, paging->key[i]);
    }
    if (fits && *ok) {
        return place;
    }
    bson_destroy(place);
    return NULL;
}

static bool page_no_memory(foodsvc_store_page_t *page)
{
    page->rc = FOODSVC_STORE_UNAVAILABLE;
    foodsvc_store_say(page->err, FOODSVC_NO_MEMORY);
    return false;
}

/*
 * The first batch is the page, one more, to know whether another follows, and the one that `after` names, which `min`
 * includes. There is no limit beside it: documents without a place of their own are passed over, however many they are.
 * NULL: no memory for the question.
 */
static mongoc_cursor_t *page_cursor(foodsvc_store_call_t *call, mongoc_collection_t *orders,
    const foodsvc_store_paging_t *paging, const foodsvc_store_page_t *page)
{
    bson_t            all = BSON_INITIALIZER, opts = BSON_INITIALIZER, index = BSON_INITIALIZER;
    const bson_t     *min = page->after != NULL ? page->after : paging->min;
    int64_t           batch = (int64_t) page->limit + 1 + (page->after != NULL);
    mongoc_cursor_t  *cursor = NULL;
    bool              ok = true;
    size_t            i;

    for (i = 0; ok && i < paging->nkey; i++) {
        ok = BSON_APPEND_INT32(&index, paging->key[i], paging->direction);
    }
    if (ok && BSON_APPEND_DOCUMENT(&opts, "sort", &index) && BSON_APPEND_DOCUMENT(&opts, "hint", &index)
        && (min == NULL || BSON_APPEND_DOCUMENT(&opts, "min", min))
        && (paging->max == NULL || BSON_APPEND_DOCUMENT(&opts, "max", paging->max))
        && BSON_APPEND_INT64(&opts, "batchSize", batch)
        && BSON_APPEND_INT64(&opts, "maxTimeMS", call->store->read_ms)) {
        cursor = mongoc_collection_find_with_opts(orders, &all, &opts, NULL);
    }
    bson_destroy(&all);
    bson_destroy(&opts);
    bson_destroy(&index);
    return cursor;
}

/*
 * Takes one document into the page; false: it doesn't belong to it any more, or there is no memory for it, which is the
 * page's result then.
 */
static bool page_take(const foodsvc_store_paging_t *paging, foodsvc_store_page_t *page, const bson_t *doc,
    size_t *taken)
{
    char              err[FOODSVC_ERR] = "";
    foodsvc_order_t  *order;
    bool              ok;
    bson_t           *place = place_of(paging, doc, &ok);

    if (!ok) {
        return page_no_memory(page);
    }
    if (place == NULL) {
        foodsvc_store_note_bad(page->bad, &page->nbad, doc, "a field that an index has is a list");
        page->skipped++;
        return true;
    }
    if ((page->after != NULL && *taken == 0 && bson_equal(place, page->after)) || *taken == page->limit) {
        bson_destroy(place);
        return *taken < page->limit;
    }
    (*taken)++;
    if (page->next != NULL) {
        bson_destroy(page->next);
    }
    page->next = place;
    order = foodsvc_order_from_bson(doc, err);
    if (order == NULL && foodsvc_no_memory(err)) {
        return page_no_memory(page);
    }
    if (order == NULL) {
        foodsvc_store_note_bad(page->bad, &page->nbad, doc, err);
        page->skipped++;
    } else {
        page->orders[page->norders++] = order;
    }
    return true;
}

static foodsvc_store_rc_e page_read(foodsvc_store_call_t *call, mongoc_collection_t *orders,
    const foodsvc_store_paging_t *paging, foodsvc_store_page_t *page, bool *no_index)
{
    foodsvc_store_rc_e   rc;
    mongoc_cursor_t     *cursor = page_cursor(call, orders, paging, page);
    const bson_t        *doc;
    bson_error_t         error;
    size_t               taken = 0;
    bool                 last = true;

    if (cursor == NULL) {
        foodsvc_store_say(page->err, FOODSVC_NO_MEMORY);
        return FOODSVC_STORE_UNAVAILABLE;
    }
    page->rc = FOODSVC_STORE_OK;
    while (last && mongoc_cursor_next(cursor, &doc)) {
        last = page_take(paging, page, doc, &taken);
    }
    rc = page->rc;
    if (mongoc_cursor_error(cursor, &error)) {
        *no_index = error.domain == MONGOC_ERROR_SERVER && error.code == CODE_BAD_VALUE;
        rc = foodsvc_store_read_error(&error, page->err);
    } else if (last && page->next != NULL) {
        bson_destroy(page->next);
        page->next = NULL;
    }
    mongoc_cursor_destroy(cursor);
    return rc;
}

void foodsvc_store_page_run(foodsvc_store_t *store, const foodsvc_store_paging_t *paging, foodsvc_store_page_t *page)
{
    foodsvc_store_call_t  call;
    mongoc_collection_t  *orders;
    bool                  no_index = false;

    page->norders = page->skipped = page->nbad = 0;
    page->next = NULL;
    page->err[0] = '\0';
    if (page->limit < 1 || page->limit > 1000) {
        page->limit = page->limit < 1 ? 1 : 1000;
    }
    page->orders = calloc(page->limit, sizeof(page->orders[0]));
    if (page->orders == NULL) {
        page->rc = FOODSVC_STORE_UNAVAILABLE;
        foodsvc_store_say(page->err, FOODSVC_NO_MEMORY);
        return;
    }
    if (!foodsvc_store_begin(store, &call, page->err)) {
        page->rc = FOODSVC_STORE_UNAVAILABLE;
        foodsvc_store_page_clear(page);
        return;
    }
    orders = foodsvc_store_collection(&call, FOODSVC_ORDERS);
    page->rc = page_read(&call, orders, paging, page, &no_index);
    if (no_index) {
        /* A database that prepare() has not seen yet. */
        page->rc = foodsvc_store_indexes(&call, page->err);
        if (page->rc == FOODSVC_STORE_OK) {
            page->err[0] = '\0';
            page->rc = page_read(&call, orders, paging, page, &no_index);
        } else if (page->rc == FOODSVC_STORE_UNKNOWN) {
            page->rc = FOODSVC_STORE_UNAVAILABLE;
        }
    }
    if (page->rc != FOODSVC_STORE_OK) {
        foodsvc_store_page_clear(page);
    }
    mongoc_collection_destroy(orders);
    foodsvc_store_end(&call);
}

void foodsvc_store_page_clear(foodsvc_store_page_t *page)
{
    size_t  i;

    for (i = 0; page->orders != NULL && i < page->norders; i++) {
        foodsvc_order_free(page->orders[i]);
    }
    free(page->orders);
    page->orders = NULL;
    page->norders = 0;
    if (page->next != NULL) {
        bson_destroy(page->next);
        page->next = NULL;
    }
}
