/*
 * The groups of a job (foodsvc_store_run.c): its ops by id, and how each group gets its result.
 */
#include <stdlib.h>
#include <string.h>
#include "foodsvc_store_int.h"

static int compare_sorted(const void *a, const void *b)
{
    const foodsvc_store_sorted_t  *left = a, *right = b;
    int                            order = strcmp(left->id, right->id);

    return order != 0 ? order : (left->op > right->op) - (left->op < right->op);
}

void foodsvc_store_make_groups(foodsvc_store_job_t *job)
{
    foodsvc_store_group_t  *group = NULL;
    size_t                  i;

    for (i = 0; i < job->nops; i++) {
        job->sorted[i].id = *(const char **) job->ops[i];
        job->sorted[i].op = i;
    }
    qsort(job->sorted, job->nops, sizeof(job->sorted[0]), compare_sorted);
    for (i = 0; i < job->nops; i++) {
        if (group == NULL || strcmp(group->id, job->sorted[i].id) != 0) {
            group = &job->groups[job->ngroups++];
            group->id = job->sorted[i].id;
            group->first = i;
            group->open = true;
        }
        group->count++;
    }
    job->nopen = job->ngroups;
}

void *foodsvc_store_op(const foodsvc_store_job_t *job, const foodsvc_store_group_t *group, size_t i)
{
    return job->ops[job->sorted[group->first + i].op];
}

void foodsvc_store_undecide(foodsvc_store_job_t *job, foodsvc_store_group_t *group)
{
    if (group->filter != NULL) {
        bson_destroy(group->filter);
        group->filter = NULL;
    }
    if (group->write != NULL) {
        bson_destroy(group->write);
        group->write = NULL;
    }
    if (group->subject != NULL) {
        job->kind->free(group->subject);
        group->subject = NULL;
    }
    group->kind = FOODSVC_STORE_NO_WRITE;
}

void foodsvc_store_settle(foodsvc_store_job_t *job, foodsvc_store_group_t *group, foodsvc_store_rc_e rc,
    const char *err)
{
    size_t  i;

    for (i = 0; i < group->count; i++) {
        job->kind->result(job, group, i, rc, err);
    }
    foodsvc_store_undecide(job, group);
    group->open = false;
    job->nopen--;
}

void foodsvc_store_give_up(foodsvc_store_job_t *job, foodsvc_store_group_t *group, foodsvc_store_rc_e rc,
    const char *err)
{
    if (group->maybe || group->look) {
        rc = FOODSVC_STORE_UNKNOWN;
    }
    foodsvc_store_settle(job, group, rc, err);
}

void foodsvc_store_unread(foodsvc_store_job_t *job, foodsvc_store_group_t *group, const char *err)
{
    if (foodsvc_no_memory(err)) {
        foodsvc_store_give_up(job, group, FOODSVC_STORE_UNAVAILABLE, err);
    } else {
        foodsvc_store_settle(job, group, FOODSVC_STORE_UNREADABLE, err);
    }
}

void foodsvc_store_give_up_all(foodsvc_store_job_t *job, foodsvc_store_rc_e rc, const char *err)
{
    size_t  i;

    for (i = 0; i < job->ngroups; i++) {
        if (job->groups[i].open) {
            foodsvc_store_give_up(job, &job->groups[i], rc, err);
        }
    }
}
