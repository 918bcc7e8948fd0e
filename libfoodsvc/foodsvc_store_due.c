/*
 * Finding payments: those whose outbox has an old mark, and those that are pending for long. Each has
 * its index, and both are partial: outbox.when has those with a mark, created those that are pending; so what is found
 * is all that they hold. A page is a part of the index, in its order (`min`, `max`): a sort by outbox.when, which has
 * several values in one payment, would make the server read all that are due for each page. Nothing is written here.
 */
#include <stdlib.h>
#include <string.h>
#include "foodsvc_store_int.h"
#include "foodsvc_time.h"

#define CODE_BAD_VALUE  2       /* what the server says to a hint of an index that isn't there */

typedef struct {
    const bson_t  *filter;
    const char    *index;           /* its name */
    const char    *list, *when;     /* its field: `when`, or list.when, in each member */
} due_question_t;

/* The time under which the index has a payment: the earliest from `after` on, and before all what is none. */
static int64_t place_of(const due_question_t *question, const bson_t *doc, int64_t after)
{
    bson_iter_t  iter, list, mark;
    int64_t      place = INT64_MAX, when;

    if (question->list == NULL) {
        return bson_iter_init_find(&iter, doc, question->when) && BSON_ITER_HOLDS_DATE_TIME(&iter)
               ? bson_iter_date_time(&iter) : after;
    }
    if (!bson_iter_init_find(&iter, doc, question->list) || !BSON_ITER_HOLDS_ARRAY(&iter)
        || !bson_iter_recurse(&iter, &list)) {
        return after;
    }
    while (bson_iter_next(&list)) {
        when = bson_iter_recurse(&list, &mark) && bson_iter_find(&mark, question->when)
               && BSON_ITER_HOLDS_DATE_TIME(&mark) ? bson_iter_date_time(&mark) : INT64_MIN;
        if (when >= after && when < place) {
            place = when;
        }
    }
    return place != INT64_MAX ? place : after;
}

/* One end of the range; a time that is none lies before all others, or behind them. */
static void append_end(bson_t *opts, const due_question_t *question, const char *end, int64_t when)
{
    char    field[64];
    bson_t  part;

    snprintf(field, sizeof(field), "%s%s%s", question->list ? question->list : "", question->list ? "." : "",
        question->when);
    BSON_APPEND_DOCUMENT_BEGIN(opts, end, &part);
    if (when == INT64_MIN) {
        BSON_APPEND_MINKEY(&part, field);
    } else if (when == INT64_MAX) {
        BSON_APPEND_MAXKEY(&part, field);
    } else {
        BSON_APPEND_DATE_TIME(&part, field, when);
    }
    bson_append_document_end(opts, &part);
}

/* One page of what is asked for, the oldest first. */
static mongoc_cursor_t *due_cursor(foodsvc_store_call_t *call, mongoc_collection_t *payments,
    const due_question_t *question, const foodsvc_store_due_t *due, int64_t after)
{
    bson_t            opts = BSON_INITIALIZER;
    mongoc_cursor_t  *cursor;

    BSON_APPEND_INT64(&opts, "limit", (int64_t) due->limit);
    BSON_APPEND_INT64(&opts, "batchSize", (int64_t) due->limit);
    BSON_APPEND_INT64(&opts, "maxTimeMS", call->store->read_ms);
    BSON_APPEND_UTF8(&opts, "hint", question->index);
    append_end(&opts, question, "min", after);
    append_end(&opts, question, "max", due->ahead ? INT64_MAX : due->before);
    cursor = mongoc_collection_find_with_opts(payments, question->filter, &opts, NULL);
    bson_destroy(&opts);
    return cursor;
}

static bool due_read(foodsvc_store_call_t *call, const due_question_t *question, foodsvc_store_due_t *due)
{
    int64_t               first = due->ahead ? foodsvc_time_now() + FOODSVC_TIME_AHEAD : INT64_MIN;
    int64_t               after = due->after != 0 ? due->after : first, place = after;
    mongoc_collection_t  *payments = foodsvc_store_collection(call, FOODSVC_PAYMENTS);
    mongoc_cursor_t      *cursor = due_cursor(call, payments, question, due, after);
    foodsvc_payment_t    *payment;
    const bson_t         *doc;
    bson_error_t          error;
    bool                  no_index = false;

    due->rc = FOODSVC_STORE_OK;
    while (due->npayments + due->skipped < due->limit && mongoc_cursor_next(cursor, &doc)) {
        place = place_of(question, doc, after);
        payment = foodsvc_payment_from_bson(doc, due->err);
        if (payment == NULL) {
            foodsvc_store_note_bad(due->bad, &due->nbad, doc, due->err);
            due->skipped++;
        } else {
            due->payments[due->npayments++] = payment;
        }
    }
    if (mongoc_cursor_error(cursor, &error)) {
        no_index = error.domain == MONGOC_ERROR_SERVER && error.code == CODE_BAD_VALUE;
        due->rc = foodsvc_store_read_error(&error, due->err);
    } else if (due->npayments + due->skipped == due->limit) {
        due->next = place > after ? place : after + 1;
    }
    mongoc_cursor_destroy(cursor);
    mongoc_collection_destroy(payments);
    return !no_index;
}

static void due_find(foodsvc_store_t *store, const due_question_t *question, foodsvc_store_due_t *due)
{
    foodsvc_store_call_t  call;

    due->npayments = due->skipped = due->nbad = 0;
    due->next = 0;
    due->rc = FOODSVC_STORE_OK;
    due->err[0] = '\0';
    if (due->limit < 1 || due->limit > FOODSVC_STORE_DUE) {
        due->limit = due->limit < 1 ? 1 : FOODSVC_STORE_DUE;
    }
    due->payments = calloc(due->limit, sizeof(due->payments[0]));
    if (due->payments == NULL) {
        due->rc = FOODSVC_STORE_UNAVAILABLE;
        foodsvc_store_say(due->err, FOODSVC_NO_MEMORY);
        return;
    }
    if (!foodsvc_store_begin(store, &call, due->err)) {
        due->rc = FOODSVC_STORE_UNAVAILABLE;
    } else {
        if (!due_read(&call, question, due)) {
            /* A database that prepare() has not seen yet. */
            due->rc = foodsvc_store_indexes(&call, due->err);
            if (due->rc == FOODSVC_STORE_OK) {
                due->err[0] = '\0';
                due_read(&call, question, due);
            } else if (due->rc == FOODSVC_STORE_UNKNOWN) {
                due->rc = FOODSVC_STORE_UNAVAILABLE;
            }
        }
        foodsvc_store_end(&call);
    }
    if (due->rc != FOODSVC_STORE_OK) {
        foodsvc_store_due_clear(due);
    }
}

void foodsvc_store_outbox_due(foodsvc_store_t *store, foodsvc_store_due_t *due)
{
    bson_t          *filter = BCON_NEW("outbox.id", "{", "$exists", BCON_BOOL(true), "}");
    due_question_t   question = { .filter = filter, .index = FOODSVC_STORE_UNSENT, .list = "outbox", .when = "when" };

    due_find(store, &question, due);
    bson_destroy(filter);
}

void foodsvc_store_payments_pending(foodsvc_store_t *store, foodsvc_store_due_t *due)
{
    bson_t          *filter = BCON_NEW("status", BCON_UTF8(foodsvc_payment_status_name(FOODSVC_PENDING)));
    due_question_t   question = { .filter = filter, .index = FOODSVC_STORE_PENDING, .when = "created" };

    due_find(store, &question, due);
    bson_destroy(filter);
}

void foodsvc_store_due_clear(foodsvc_store_due_t *due)
{
    size_t  i;

    for (i = 0; due->payments != NULL && i < due->npayments; i++) {
        foodsvc_payment_free(due->payments[i]);
    }
    free(due->payments);
    due->payments = NULL;
    due->npayments = 0;
}
