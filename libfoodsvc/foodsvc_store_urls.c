/*
 * service_urls: where each service lives.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "foodsvc_store_int.h"

#define LIST_MAX    1000

/* OK, or UNREADABLE with the reason. */
static foodsvc_store_rc_e url_from_bson(const bson_t *doc, foodsvc_service_url_t *url, char err[FOODSVC_ERR])
{
    bson_iter_t   iter;
    const char   *text;
    uint32_t      len;

    if (!bson_iter_init_find(&iter, doc, "_id") || !BSON_ITER_HOLDS_UTF8(&iter)
        || (text = bson_iter_utf8(&iter, &len)) == NULL || len >= sizeof(url->name) || strlen(text) != len) {
        foodsvc_store_say(err, "_id is no name of a service");
        return FOODSVC_STORE_UNREADABLE;
    }
    memcpy(url->name, text, len + 1);
    if (!bson_iter_init_find(&iter, doc, "url") || !BSON_ITER_HOLDS_UTF8(&iter)
        || (text = bson_iter_utf8(&iter, &len)) == NULL || len >= sizeof(url->url) || strlen(text) != len) {
        foodsvc_store_say(err, "url is missing, no string or too long");
        return FOODSVC_STORE_UNREADABLE;
    }
    memcpy(url->url, text, len + 1);
    return FOODSVC_STORE_OK;
}

foodsvc_store_rc_e foodsvc_store_url_find(foodsvc_store_t *store, const char *name, foodsvc_service_url_t *url,
    char err[FOODSVC_ERR])
{
    foodsvc_store_call_t   call;
    foodsvc_store_rc_e     rc = FOODSVC_STORE_NOT_FOUND;
    mongoc_collection_t   *urls;
    mongoc_cursor_t       *cursor;
    const bson_t          *doc;
    bson_error_t           error;
    bson_t                *filter, *opts;

    foodsvc_store_say(err, "");
    if (!foodsvc_store_begin(store, &call, err)) {
        return FOODSVC_STORE_UNAVAILABLE;
    }
    urls = foodsvc_store_collection(&call, FOODSVC_SERVICE_URLS);
    filter = BCON_NEW("_id", BCON_UTF8(name));
    opts = BCON_NEW("limit", BCON_INT64(1), "maxTimeMS", BCON_INT64(store->read_ms));
    cursor = mongoc_collection_find_with_opts(urls, filter, opts, NULL);
    if (mongoc_cursor_next(cursor, &doc)) {
        rc = url_from_bson(doc, url, err);
    } else if (mongoc_cursor_error(cursor, &error)) {
        rc = foodsvc_store_read_error(&error, err);
    }
    mongoc_cursor_destroy(cursor);
    bson_destroy(filter);
    bson_destroy(opts);
    mongoc_collection_destroy(urls);
    foodsvc_store_end(&call);
    return rc;
}

foodsvc_store_rc_e foodsvc_store_url_save(foodsvc_store_t *store, const foodsvc_service_url_t *url,
    char err[FOODSVC_ERR])
{
    foodsvc_store_call_t   call;
    foodsvc_store_rc_e     rc = FOODSVC_STORE_OK;
    mongoc_collection_t   *urls;
    bson_error_t           error;
    bson_t                *filter, *update, *opts;

    foodsvc_store_say(err, "");
    if (!foodsvc_store_begin(store, &call, err)) {
        return FOODSVC_STORE_UNAVAILABLE;
    }
    urls = foodsvc_store_collection(&call, FOODSVC_SERVICE_URLS);
    filter = BCON_NEW("_id", BCON_UTF8(url->name));
    update = BCON_NEW("$set", "{", "url", BCON_UTF8(url->url), "}");
    opts = BCON_NEW("upsert", BCON_BOOL(true));
    foodsvc_store_sent_reset();
    if (!mongoc_collection_update_one(urls, filter, update, opts, NULL, &error)) {
        rc = foodsvc_store_error(&error, foodsvc_store_sent(), err);
    }
    bson_destroy(filter);
    bson_destroy(update);
    bson_destroy(opts);
    mongoc_collection_destroy(urls);
    foodsvc_store_end(&call);
    return rc;
}

/* Fills list, skipping what can't be read: one bad document must not hide the others. */
static foodsvc_store_rc_e read_list(mongoc_collection_t *urls, int read_ms, foodsvc_service_url_t *list, size_t *n,
    char err[FOODSVC_ERR])
{
    foodsvc_store_rc_e   rc = FOODSVC_STORE_OK;
    mongoc_cursor_t     *cursor;
    const bson_t        *doc;
    bson_error_t         error;
    bson_t               filter = BSON_INITIALIZER;
    bson_t              *opts;
    char                 why[FOODSVC_ERR];

    opts = BCON_NEW("sort", "{", "_id", BCON_INT32(1), "}", "limit", BCON_INT64(LIST_MAX),
        "maxTimeMS", BCON_INT64(read_ms));
    cursor = mongoc_collection_find_with_opts(urls, &filter, opts, NULL);
    while (*n < LIST_MAX && mongoc_cursor_next(cursor, &doc)) {
        if (url_from_bson(doc, &list[*n], why) == FOODSVC_STORE_OK) {
            (*n)++;
        } else {
            snprintf(err, FOODSVC_ERR, "a document of " FOODSVC_SERVICE_URLS " was left out: %.100s", why);
        }
    }
    if (mongoc_cursor_error(cursor, &error)) {
        rc = foodsvc_store_read_error(&error, err);
    }
    mongoc_cursor_destroy(cursor);
    bson_destroy(&filter);
    bson_destroy(opts);
    return rc;
}

foodsvc_store_rc_e foodsvc_store_url_list(foodsvc_store_t *store, foodsvc_service_url_t **list, size_t *nurls,
    char err[FOODSVC_ERR])
{
    foodsvc_store_call_t   call;
    foodsvc_store_rc_e     rc;
    mongoc_collection_t   *urls;

    foodsvc_store_say(err, "");
    *nurls = 0;
    *list = calloc(LIST_MAX, sizeof(**list));
    if (*list == NULL) {
        foodsvc_store_say(err, FOODSVC_NO_MEMORY);
        return FOODSVC_STORE_UNAVAILABLE;
    }
    if (!foodsvc_store_begin(store, &call, err)) {
        rc = FOODSVC_STORE_UNAVAILABLE;
    } else {
        urls = foodsvc_store_collection(&call, FOODSVC_SERVICE_URLS);
        rc = read_list(urls, store->read_ms, *list, nurls, err);
        mongoc_collection_destroy(urls);
        foodsvc_store_end(&call);
    }
    if (rc != FOODSVC_STORE_OK) {
        free(*list);
        *list = NULL;
        *nurls = 0;
    }
    return rc;
}
