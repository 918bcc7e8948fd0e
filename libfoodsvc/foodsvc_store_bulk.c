/*
 * A bulk of conditional writes: what became of each of them, from the counts and errors of the reply.
 */
#include <string.h>
#include "foodsvc_store_int.h"

static int64_t count_of(const bson_t *reply, const char *key)
{
    bson_iter_t  iter;

    return bson_iter_init_find(&iter, reply, key) ? bson_iter_as_int64(&iter) : 0;
}

static bool is_empty(const bson_t *reply, const char *key)
{
    bson_iter_t  iter, list;

    return !bson_iter_init_find(&iter, reply, key) || !bson_iter_recurse(&iter, &list) || !bson_iter_next(&list);
}

/*
 * Marks the writes that the server names in writeErrors; returns how many. err: the first reason that isn't a duplicate
 * key. A duplicate of what a majority doesn't have yet has to be looked at: it may be taken back.
 */
static size_t mark_errors(const bson_t *reply, foodsvc_store_outcome_e outcomes[], size_t n, char err[FOODSVC_ERR])
{
    bson_iter_t   iter, list, member;
    bson_error_t  error;
    int64_t       index;
    size_t        marked = 0;
    bool          committed = is_empty(reply, "writeConcernErrors");

    if (!bson_iter_init_find(&iter, reply, "writeErrors") || !bson_iter_recurse(&iter, &list)) {
        return 0;
    }
    while (bson_iter_next(&list)) {
        index = -1;
        bson_set_error(&error, MONGOC_ERROR_SERVER, 0, "refused");
        if (!bson_iter_recurse(&list, &member)) {
            continue;
        }
        while (bson_iter_next(&member)) {
            if (strcmp(bson_iter_key(&member), "index") == 0) {
                index = bson_iter_as_int64(&member);
            } else if (strcmp(bson_iter_key(&member), "code") == 0) {
                error.code = (uint32_t) bson_iter_as_int64(&member);
            } else if (strcmp(bson_iter_key(&member), "errmsg") == 0 && BSON_ITER_HOLDS_UTF8(&member)) {
                bson_strncpy(error.message, bson_iter_utf8(&member, NULL), sizeof(error.message));
            }
        }
        if (index < 0 || (size_t) index >= n || outcomes[index] != FOODSVC_WRITE_DONE) {
            continue;
        }
        marked++;
        if (error.code == MONGOC_ERROR_DUPLICATE_KEY) {
            outcomes[index] = committed ? FOODSVC_WRITE_DUPLICATE : FOODSVC_WRITE_LOOK;
            continue;
        }
        switch (foodsvc_store_error(&error, true, err[0] == '\0' ? err : NULL)) {
        case FOODSVC_STORE_UNAVAILABLE: outcomes[index] = FOODSVC_WRITE_AGAIN; break;
        case FOODSVC_STORE_UNKNOWN:     outcomes[index] = FOODSVC_WRITE_MAYBE; break;
        default:                        outcomes[index] = FOODSVC_WRITE_REFUSED; break;
        }
    }
    return marked;
}

/* What became of the writes that writeErrors doesn't name. */
static foodsvc_store_outcome_e rest_of(const bson_t *reply, const bson_error_t *error, size_t n, size_t marked,
    char err[FOODSVC_ERR])
{
    int64_t  changed = count_of(reply, "nInserted") + count_of(reply, "nMatched") + count_of(reply, "nUpserted")
                       + count_of(reply, "nRemoved");

    if (!is_empty(reply, "writeConcernErrors")) {
        foodsvc_store_say(err, "the write is not yet on a majority of the servers");
        return FOODSVC_WRITE_MAYBE;
    }
    /*
     * With writeErrors the error is the first of them, or that of another command of the bulk: only without any is
     * "none matched" certain.
     */
    if (error == NULL || (marked > 0 && error->domain == MONGOC_ERROR_SERVER)) {
        return changed == (int64_t) (n - marked) ? FOODSVC_WRITE_DONE
            : changed == 0 && marked == 0 ? FOODSVC_WRITE_AGAIN : FOODSVC_WRITE_LOOK;
    }
    switch (foodsvc_store_error(error, foodsvc_store_sent(), err)) {
    case FOODSVC_STORE_UNAVAILABLE:
        if (!foodsvc_store_sent()) {
            return FOODSVC_WRITE_UNSENT;
        }
        return changed > 0 ? FOODSVC_WRITE_LOOK : FOODSVC_WRITE_AGAIN;
    case FOODSVC_STORE_FAILED:
        return changed > 0 ? FOODSVC_WRITE_LOOK : FOODSVC_WRITE_REFUSED;
    default:
        return FOODSVC_WRITE_MAYBE;
    }
}

void foodsvc_store_execute(mongoc_bulk_operation_t *bulk, foodsvc_store_outcome_e outcomes[], size_t n,
    char err[FOODSVC_ERR])
{
    bson_t                   reply;
    bson_error_t             error;
    foodsvc_store_outcome_e  rest;
    size_t                   i, marked;
    bool                     ok;

    foodsvc_store_sent_reset();
    ok = mongoc_bulk_operation_execute(bulk, &reply, &error) != 0;
    for (i = 0; i < n; i++) {
        outcomes[i] = FOODSVC_WRITE_DONE;
    }
    err[0] = '\0';
    marked = mark_errors(&reply, outcomes, n, err);
    rest = rest_of(&reply, ok ? NULL : &error, n, marked, err);
    for (i = 0; i < n; i++) {
        if (outcomes[i] == FOODSVC_WRITE_DONE) {
            outcomes[i] = rest;
        }
    }
    bson_destroy(&reply);
}
