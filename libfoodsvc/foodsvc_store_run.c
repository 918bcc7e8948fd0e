/*
 * How a change happens once: the one owner of "read, decide, write under a condition, look again".
 *
 * A job takes up to FOODSVC_STORE_BATCH ops of one kind and groups them by id. Each round reads the documents of the
 * groups that are still open in one $in, lets the kind decide each group, and sends all writes as one unordered bulk. A
 * write's filter holds what was decided on (the kind's matter), and every write leaves the job's random token in `rev`,
 * which keeps the last few, so that our write is still known when others followed it before we looked. Then
 *
 *   all matched          every group is done
 *   none matched         the next round reads and decides again, on the new state
 *   some matched         the same, but which ones shows only in the documents: one that carries our rev is done
 *   no answer, or no     the same. The group stays `maybe`: the write may still come through later. That does no harm:
 *   majority yet         its filter holds the state that it was decided on, so either it wins against the next attempt,
 *                        whose filter then misses and whose read finds our rev, or it misses itself
 *   not the primary      the next round, on the new one
 *   nothing was sent     UNAVAILABLE, or UNKNOWN when an earlier write of this group got no answer
 *
 * So a result is read or acknowledged, never guessed; UNKNOWN means that the looking failed too. Rounds end with the
 * call's deadline, and a short random pause keeps those apart that fight for one document.
 *
 * What is decided on is what a majority of the servers has (readConcern majority, by foodsvc_store_uri.c). A primary
 * without a majority goes on taking writes, which the next primary need not have. A decision that writes would find out
 * by its own write; but one that writes nothing, since all is done already, would be acknowledged at once, on a state
 * that is taken back with nobody left who asks again.
 *
 * Our own acknowledged writes are in what is read, for the server acknowledges a write when its majority reads see it.
 * A new primary has them as well, but does not know at once that a majority has: "not there" is believed when the
 * primary itself has no such document (foodsvc_store_missing()).
 * Others' may be on the primary alone for a while: then our filter misses. The server waits for the write concern after
 * a miss or a duplicate key, too: it answers when a majority has all that the primary had, so that the next round
 * reads what this one missed on, or else that there is no majority yet. So a majority that lags costs a round, not all
 * of them.
 */
#include <stdlib.h>
#include <string.h>
#include "foodsvc_store_int.h"
#include "foodsvc_time.h"

#define ROUNDS          24

/* --- writing --- */

static bool add_write(mongoc_bulk_operation_t *bulk, const foodsvc_store_group_t *group, bson_error_t *error)
{
    switch (group->kind) {
    case FOODSVC_STORE_INSERT:
        return mongoc_bulk_operation_insert_with_opts(bulk, group->write, NULL, error);
    case FOODSVC_STORE_UPDATE:
        return mongoc_bulk_operation_update_one_with_opts(bulk, group->filter, group->write, NULL, error);
    case FOODSVC_STORE_DELETE:
        return mongoc_bulk_operation_remove_one_with_opts(bulk, group->filter, NULL, error);
    case FOODSVC_STORE_NO_WRITE:
        break;
    }
    bson_set_error(error, 0, 0, "nothing was decided");
    return false;
}

/*
 * Fills the bulk, inserts before all others: the driver sends neighbours of one kind as one command. Returns how many.
 */
static size_t fill_bulk(foodsvc_store_job_t *job, mongoc_bulk_operation_t *bulk, foodsvc_store_group_t *sent[])
{
    foodsvc_store_group_t  *group;
    bson_error_t            error;
    size_t                  i, n = 0;
    int                     pass;

    for (pass = 0; pass < 2; pass++) {
        for (i = 0; i < job->ngroups; i++) {
            group = &job->groups[i];
            if (!group->open || (group->kind == FOODSVC_STORE_INSERT) != (pass == 0)) {
                continue;
            }
            if (!add_write(bulk, group, &error)) {
                foodsvc_store_give_up(job, group, FOODSVC_STORE_FAILED, error.message);
                continue;
            }
            sent[n++] = group;
        }
    }
    return n;
}

static void take_outcome(foodsvc_store_job_t *job, foodsvc_store_group_t *group, foodsvc_store_outcome_e outcome,
    const char *err)
{
    switch (outcome) {
    case FOODSVC_WRITE_DONE:
        foodsvc_store_settle(job, group, FOODSVC_STORE_OK, "");
        return;
    case FOODSVC_WRITE_MAYBE:
        group->maybe = true;
        group->look = true;
        break;
    case FOODSVC_WRITE_LOOK:
        group->look = true;
        break;
    case FOODSVC_WRITE_AGAIN:
        return;
    case FOODSVC_WRITE_DUPLICATE:
        if (group->kind == FOODSVC_STORE_INSERT && !(job->kind->exists_final && !group->maybe)) {
            group->look = true;
            break;
        }
        foodsvc_store_settle(job, group, group->kind == FOODSVC_STORE_INSERT ? FOODSVC_STORE_EXISTS
            : FOODSVC_STORE_FAILED, "duplicate key");
        return;
    case FOODSVC_WRITE_REFUSED:
        foodsvc_store_give_up(job, group, FOODSVC_STORE_FAILED, err);
        return;
    case FOODSVC_WRITE_UNSENT:
        foodsvc_store_give_up(job, group, FOODSVC_STORE_UNAVAILABLE, err);
        return;
    }
    group->tried = true;
}

static void write_all(foodsvc_store_job_t *job, char err[FOODSVC_ERR])
{
    mongoc_bulk_operation_t  *bulk;
    foodsvc_store_group_t    *sent[FOODSVC_STORE_BATCH];
    foodsvc_store_outcome_e   outcomes[FOODSVC_STORE_BATCH];
    bson_t                    opts = BSON_INITIALIZER;
    size_t                    i, n;

    BSON_APPEND_BOOL(&opts, "ordered", false);
    bulk = mongoc_collection_create_bulk_operation_with_opts(job->collection, &opts);
    bson_destroy(&opts);
    n = fill_bulk(job, bulk, sent);
    if (n > 0) {
        foodsvc_store_execute(bulk, outcomes, n, err);
        for (i = 0; i < n; i++) {
            take_outcome(job, sent[i], outcomes[i], err);
        }
    }
    mongoc_bulk_operation_destroy(bulk);
}

/* --- the rounds --- */

static void run_rounds(foodsvc_store_job_t *job)
{
    char      err[FOODSVC_ERR] = "";
    unsigned  round;
    size_t    i;

    for (round = 0; job->nopen > 0; round++) {
        if (round > 0) {
            foodsvc_store_pause(round);
        }
        /* Whatever is owed a look gets it, the deadline notwithstanding; but no further attempt. */
        if (round == ROUNDS || (round > 1 && foodsvc_time_monotonic() > job->call.deadline)) {
            foodsvc_store_give_up_all(job, FOODSVC_STORE_UNAVAILABLE,
                                      err[0] != '\0' ? err : "too many changed the same document");
            return;
        }
        for (i = 0; i < job->ngroups; i++) {
            foodsvc_store_undecide(job, &job->groups[i]);
            job->groups[i].seen = job->groups[i].ours = false;
        }
        job->unread = round == 0 && job->kind->write_first;
        if (job->unread) {
            for (i = 0; i < job->ngroups; i++) {
                job->kind->decide(job, &job->groups[i], NULL);
            }
        } else if (!foodsvc_store_read(job)) {
            return;
        }
        if (job->nopen > 0) {
            write_all(job, err);
        }
    }
}

static void run_job(foodsvc_store_t *store, const foodsvc_store_job_kind_t *kind, void **ops, size_t nops)
{
    foodsvc_store_job_t  *job = calloc(1, sizeof(*job));
    foodsvc_store_job_t   none = { .kind = kind, .ops = ops };
    foodsvc_uuid_t        rev;
    char                  err[FOODSVC_ERR];
    size_t                i;

    if (job == NULL) {
        for (i = 0; i < nops; i++) {
            foodsvc_store_group_t group = { .first = 0, .count = 1 };

            none.sorted[0].op = i;
            kind->result(&none, &group, 0, FOODSVC_STORE_UNAVAILABLE, FOODSVC_NO_MEMORY);
        }
        return;
    }
    job->kind = kind;
    job->ops = ops;
    job->nops = nops;
    foodsvc_uuid_v4(&rev);
    memcpy(&job->rev, rev.bytes + 8, sizeof(job->rev));
    foodsvc_store_make_groups(job);
    if (!foodsvc_store_begin(store, &job->call, err)) {
        foodsvc_store_give_up_all(job, FOODSVC_STORE_UNAVAILABLE, err);
        free(job);
        return;
    }
    job->collection = foodsvc_store_collection(&job->call, kind->collection);
    run_rounds(job);
    mongoc_collection_destroy(job->collection);
    foodsvc_store_end(&job->call);
    free(job);
}

void foodsvc_store_run(foodsvc_store_t *store, const foodsvc_store_job_kind_t *kind, void **ops, size_t nops)
{
    size_t  n;

    for (; nops > 0; ops += n, nops -= n) {
        n = nops < FOODSVC_STORE_BATCH ? nops : FOODSVC_STORE_BATCH;
        run_job(store, kind, ops, n);
    }
}
