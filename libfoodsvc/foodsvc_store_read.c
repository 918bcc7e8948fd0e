/*
 * The reading half of a round (foodsvc_store_run.c): what is stored now of the groups that are still open, in one $in,
 * each document given to the kind to decide on; and the tokens by which a write of ours is known again in it. Where a
 * document is not there, as a majority has it, and that would be the answer, the primary itself is asked as well: for
 * all of them at once, in another $in.
 */
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "foodsvc_store_int.h"
#include "foodsvc_time.h"

#define PAUSE_MAX_MS    32

static bool revs_of(const bson_t *doc, bson_iter_t *list)
{
    bson_iter_t  iter;

    return doc != NULL && bson_iter_init_find(&iter, doc, FOODSVC_STORE_REV) && BSON_ITER_HOLDS_ARRAY(&iter)
        && bson_iter_recurse(&iter, list);
}

static bool carries_rev(const bson_t *doc, int64_t rev)
{
    bson_iter_t  list;
    bool         found = false;

    if (revs_of(doc, &list)) {
        while (!found && bson_iter_next(&list)) {
            found = BSON_ITER_HOLDS_INT64(&list) && bson_iter_int64(&list) == rev;
        }
    }
    return found;
}

bool foodsvc_store_append_rev(bson_t *to, const foodsvc_store_job_t *job, const bson_t *doc)
{
    static const char *const  keys[FOODSVC_STORE_REVS] = { "0", "1", "2", "3" };
    int64_t                   revs[FOODSVC_STORE_REVS];
    bson_iter_t               list;
    bson_t                    array;
    size_t                    i, n = 0;
    bool                      ok = true;

    if (revs_of(doc, &list)) {
        while (bson_iter_next(&list)) {
            if (n == FOODSVC_STORE_REVS - 1) {
                memmove(&revs[0], &revs[1], --n * sizeof(revs[0]));
            }
            revs[n++] = bson_iter_as_int64(&list);
        }
    }
    revs[n++] = job->rev;
    if (!bson_append_array_begin(to, FOODSVC_STORE_REV, -1, &array)) {
        return false;
    }
    for (i = 0; ok && i < n; i++) {
        ok = BSON_APPEND_INT64(&array, keys[i], revs[i]);
    }
    return bson_append_array_end(to, &array) && ok;
}

/* missing: of those alone that were not found. */
static bool append_open_ids(bson_t *filter, const foodsvc_store_job_t *job, bool missing)
{
    bson_t       in, ids;
    char         text[16];
    const char  *key;
    uint32_t     n = 0;
    bool         ok;
    size_t       i;

    ok = BSON_APPEND_DOCUMENT_BEGIN(filter, "_id", &in) && BSON_APPEND_ARRAY_BEGIN(&in, "$in", &ids);
    for (i = 0; ok && i < job->ngroups; i++) {
        if (job->groups[i].open && (job->groups[i].missing || !missing)) {
            bson_uint32_to_string(n++, &key, text, sizeof(text));
            ok = BSON_APPEND_UTF8(&ids, key, job->groups[i].id);
        }
    }
    return ok && bson_append_array_end(&in, &ids) && bson_append_document_end(filter, &in);
}

static bool append_read_opts(bson_t *opts, const foodsvc_store_job_t *job)
{
    bson_t       fields;
    const char  *field = job->kind->field;

    return BSON_APPEND_INT32(opts, "batchSize", FOODSVC_STORE_BATCH + 1)
        && BSON_APPEND_INT64(opts, "maxTimeMS", job->call.store->read_ms)
        && (field == NULL || (BSON_APPEND_DOCUMENT_BEGIN(opts, "projection", &fields)
                              && BSON_APPEND_INT32(&fields, FOODSVC_STORE_REV, 1)
                              && (strcmp(field, FOODSVC_STORE_REV) == 0 || BSON_APPEND_INT32(&fields, field, 1))
                              && bson_append_document_end(opts, &fields)));
}

/* NULL: the question could not be put. Asked in part, "not found" would be no answer. */
static mongoc_cursor_t *open_cursor(foodsvc_store_job_t *job)
{
    mongoc_cursor_t  *cursor = NULL;
    bson_t            filter = BSON_INITIALIZER, opts = BSON_INITIALIZER;

    if (append_open_ids(&filter, job, false) && append_read_opts(&opts, job)) {
        cursor = mongoc_collection_find_with_opts(job->collection, &filter, &opts, NULL);
    }
    bson_destroy(&filter);
    bson_destroy(&opts);
    return cursor;
}

/* The ids that are missing, as the primary alone has them. NULL: no memory. */
static mongoc_cursor_t *open_local(foodsvc_store_job_t *job)
{
    mongoc_read_concern_t  *concern = mongoc_read_concern_new();
    mongoc_cursor_t        *cursor = NULL;
    bson_t                  filter = BSON_INITIALIZER, opts = BSON_INITIALIZER, fields;

    if (concern != NULL && mongoc_read_concern_set_level(concern, MONGOC_READ_CONCERN_LEVEL_LOCAL)
        && append_open_ids(&filter, job, true) && BSON_APPEND_INT32(&opts, "batchSize", FOODSVC_STORE_BATCH + 1)
        && BSON_APPEND_INT64(&opts, "maxTimeMS", job->call.store->read_ms)
        && BSON_APPEND_DOCUMENT_BEGIN(&opts, "projection", &fields) && BSON_APPEND_INT32(&fields, "_id", 1)
        && bson_append_document_end(&opts, &fields) && mongoc_read_concern_append(concern, &opts)) {
        cursor = mongoc_collection_find_with_opts(job->collection, &filter, &opts, NULL);
    }
    mongoc_read_concern_destroy(concern);
    bson_destroy(&filter);
    bson_destroy(&opts);
    return cursor;
}

static int compare_group(const void *key, const void *member)
{
    const foodsvc_store_group_t *group = member;

    return strcmp(key, group->id);
}

static foodsvc_store_group_t *group_of(foodsvc_store_job_t *job, const bson_t *doc)
{
    bson_iter_t  iter;

    return bson_iter_init_find(&iter, doc, "_id") && BSON_ITER_HOLDS_UTF8(&iter)
        ? bsearch(bson_iter_utf8(&iter, NULL), job->groups, job->ngroups, sizeof(job->groups[0]), compare_group)
        : NULL;
}

/* Has each document of a read decided that belongs to an open group. */
static void decide_found(foodsvc_store_job_t *job, mongoc_cursor_t *cursor)
{
    foodsvc_store_group_t  *group;
    const bson_t           *doc;

    while (mongoc_cursor_next(cursor, &doc)) {
        group = group_of(job, doc);
        if (group == NULL || !group->open || group->seen) {
            continue;
        }
        group->seen = true;
        group->look = false;
        group->ours = carries_rev(doc, job->rev);
        job->kind->decide(job, group, doc);
    }
}

void foodsvc_store_missing(foodsvc_store_group_t *group, foodsvc_store_rc_e rc)
{
    group->missing = true;
    group->if_missing = rc;
}

/* Of the primary's own documents, those that no majority is known to have. */
static void give_up_found(foodsvc_store_job_t *job, mongoc_cursor_t *cursor)
{
    foodsvc_store_group_t  *group;
    const bson_t           *doc;

    while (mongoc_cursor_next(cursor, &doc)) {
        group = group_of(job, doc);
        if (group != NULL && group->open && group->missing) {
            foodsvc_store_give_up(job, group, FOODSVC_STORE_UNAVAILABLE,
                                  "the primary does not know yet that a majority of the servers has it");
        }
    }
}

/* Settles the groups that are missing by the primary's own word. */
static void settle_missing(foodsvc_store_job_t *job)
{
    mongoc_cursor_t        *cursor = open_local(job);
    foodsvc_store_group_t  *group;
    foodsvc_store_rc_e      rc = FOODSVC_STORE_OK;
    bson_error_t            error;
    char                    err[FOODSVC_ERR] = FOODSVC_NO_MEMORY;
    size_t                  i;

    if (cursor == NULL) {
        rc = FOODSVC_STORE_UNAVAILABLE;
    } else {
        give_up_found(job, cursor);
        if (mongoc_cursor_error(cursor, &error)) {
            rc = foodsvc_store_read_error(&error, err);
        }
        mongoc_cursor_destroy(cursor);
    }
    for (i = 0; i < job->ngroups; i++) {
        group = &job->groups[i];
        if (group->open && group->missing && rc == FOODSVC_STORE_OK) {
            foodsvc_store_settle(job, group, group->if_missing, "");
        } else if (group->open && group->missing) {
            foodsvc_store_give_up(job, group, rc, err);
        }
    }
}

static void decide_missing(foodsvc_store_job_t *job)
{
    foodsvc_store_group_t  *group;
    bool                    missing = false;
    size_t                  i;

    for (i = 0; i < job->ngroups; i++) {
        group = &job->groups[i];
        if (group->open && !group->seen) {
            group->look = group->missing = false;
            job->kind->decide(job, group, NULL);
            missing = missing || (group->open && group->missing);
        }
    }
    if (missing) {
        settle_missing(job);
    }
}

static bool owes_look(const foodsvc_store_job_t *job)
{
    size_t  i;

    for (i = 0; i < job->ngroups; i++) {
        if (job->groups[i].open && job->groups[i].look) {
            return true;
        }
    }
    return false;
}

void foodsvc_store_pause(unsigned round)
{
    unsigned         max = round < 5 ? 1u << round : PAUSE_MAX_MS;
    struct timespec  ts;

    /* The clock's low digits are random enough to keep two threads apart. */
    clock_gettime(CLOCK_MONOTONIC, &ts);
    ts.tv_nsec = (long) ((unsigned long) ts.tv_nsec * 2654435761UL % (max * 1000000UL));
    ts.tv_sec = 0;
    nanosleep(&ts, NULL);
}

/*
 * After a broken connection the driver takes up to a second to find the server again, about as long as it may look for
 * one; so a look at what became of a write is tried again for as long as the call's time lasts, and any read once when
 * it failed fast, as a connection does that an old server has left behind.
 */
bool foodsvc_store_read(foodsvc_store_job_t *job)
{
    mongoc_cursor_t     *cursor;
    foodsvc_store_rc_e   rc;
    bson_error_t         error;
    char                 err[FOODSVC_ERR];
    unsigned             tries = 0;
    int64_t              start = foodsvc_time_monotonic();
    bool                 failed, fast;

    do {
        if (tries++ > 0) {
            foodsvc_store_pause(tries);
        }
        rc = FOODSVC_STORE_OK;
        cursor = open_cursor(job);
        if (cursor == NULL) {
            foodsvc_store_give_up_all(job, FOODSVC_STORE_UNAVAILABLE, FOODSVC_NO_MEMORY);
            return false;
        }
        decide_found(job, cursor);
        failed = mongoc_cursor_error(cursor, &error);
        if (failed) {
            rc = foodsvc_store_read_error(&error, err);
        }
        mongoc_cursor_destroy(cursor);
        fast = tries == 1 && foodsvc_time_monotonic() - start < job->call.store->timeout_ms / 2;
    } while (rc == FOODSVC_STORE_UNAVAILABLE
             && (fast || (owes_look(job) && foodsvc_time_monotonic() < job->call.deadline)));

    if (failed) {
        foodsvc_store_give_up_all(job, rc, err);
        return false;
    }
    decide_missing(job);
    return true;
}
