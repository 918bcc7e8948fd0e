/*
 * idempotency_keys: what a client's Idempotency-Key stands for. The essay is in foodsvc_store.h.
 */
#include <stdlib.h>
#include <string.h>
#include "foodsvc_store_int.h"

#define FINGERPRINT     "fingerprint"
#define ORDER_ID        "order_id"
#define UNTIL           "until"
#define STATUS          "status"
#define BODY            "body"

/* The record as stored, or as this call stores it. */
typedef struct {
    char                   fingerprint[FOODSVC_STORE_HASH + 1];
    char                   order_id[FOODSVC_UUID_TEXT + 1];
    int64_t                until;
    int32_t                status;      /* 0: no answer yet */
    char                  *body;
    size_t                 len;
    bool                   acted;       /* the group's first op makes or takes it: its verdict says which */
} record_t;

static void record_free(void *subject)
{
    record_t *record = subject;

    free(record->body);
    free(record);
}

static bool read_text(const bson_t *doc, const char *key, char *to, size_t size)
{
    bson_iter_t  iter;
    uint32_t     len;
    const char  *text;

    if (!bson_iter_init_find(&iter, doc, key) || !BSON_ITER_HOLDS_UTF8(&iter)) {
        return false;
    }
    text = bson_iter_utf8(&iter, &len);
    if (len >= size) {
        return false;
    }
    memcpy(to, text, len);
    to[len] = '\0';
    return true;
}

/* NULL with the reason. */
static record_t *record_from_bson(const bson_t *doc, const char **why)
{
    record_t    *record = calloc(1, sizeof(*record));
    bson_iter_t  iter;
    uint32_t     len;
    const char  *text;

    *why = FOODSVC_NO_MEMORY;
    if (record == NULL) {
        return NULL;
    }
    if (!read_text(doc, FINGERPRINT, record->fingerprint, sizeof(record->fingerprint))
        || !read_text(doc, ORDER_ID, record->order_id, sizeof(record->order_id))
        || !bson_iter_init_find(&iter, doc, UNTIL) || !BSON_ITER_HOLDS_DATE_TIME(&iter)) {
        *why = "fingerprint, order_id or until is missing, or of another type";
        record_free(record);
        return NULL;
    }
    record->until = bson_iter_date_time(&iter);
    if (!bson_iter_init_find(&iter, doc, STATUS)) {
        return record;
    }
    record->status = (int32_t) bson_iter_as_int64(&iter);
    if (!bson_iter_init_find(&iter, doc, BODY) || !BSON_ITER_HOLDS_UTF8(&iter)
        || record->status < 200 || record->status > 599) {
        *why = "status is no answer's, or body is no text";
        record_free(record);
        return NULL;
    }
    text = bson_iter_utf8(&iter, &len);
    record->body = malloc((size_t) len + 1);
    if (record->body == NULL) {
        record_free(record);
        return NULL;
    }
    memcpy(record->body, text, len);
    record->body[len] = '\0';
    record->len = len;
    return record;
}

/* --- begin --- */

static bool decide_new(foodsvc_store_job_t *job, foodsvc_store_group_t *group, foodsvc_store_key_op_t *op)
{
    record_t *record = calloc(1, sizeof(*record));

    if (record == NULL) {
        return false;
    }
    memcpy(record->fingerprint, op->fingerprint, sizeof(record->fingerprint));
    memcpy(record->order_id, op->order_id, sizeof(record->order_id));
    record->acted = true;
    op->verdict = FOODSVC_KEY_NEW;
    group->subject = record;
    group->kind = FOODSVC_STORE_INSERT;
    group->write = bson_new();
    return BSON_APPEND_UTF8(group->write, "_id", group->id)
        && BSON_APPEND_UTF8(group->write, FINGERPRINT, op->fingerprint)
        && BSON_APPEND_UTF8(group->write, ORDER_ID, op->order_id)
        && BSON_APPEND_DATE_TIME(group->write, UNTIL, op->until)
        && BSON_APPEND_DATE_TIME(group->write, "created", op->now)
        && foodsvc_store_append_rev(group->write, job, NULL);
}

static bool decide_take(foodsvc_store_job_t *job, foodsvc_store_group_t *group, foodsvc_store_key_op_t *op,
    const bson_t *doc)
{
    bson_t  set;
    bool    ok;

    op->verdict = FOODSVC_KEY_TAKEN;
    group->kind = FOODSVC_STORE_UPDATE;
    group->filter = bson_new();
    group->write = bson_new();
    ok = BSON_APPEND_UTF8(group->filter, "_id", group->id)
        && foodsvc_store_same(group->filter, doc, UNTIL)
        && foodsvc_store_same(group->filter, doc, STATUS)
        && foodsvc_store_same(group->filter, doc, FOODSVC_STORE_REV);
    BSON_APPEND_DOCUMENT_BEGIN(group->write, "$set", &set);
    ok = ok && BSON_APPEND_DATE_TIME(&set, UNTIL, op->until) && foodsvc_store_append_rev(&set, job, doc);
    return bson_append_document_end(group->write, &set) && ok;
}

/* Somebody's attempt is in progress. */
static bool is_leased(const record_t *record, int64_t now)
{
    return record->until > now && record->until <= now + FOODSVC_STORE_LEASE;
}

static void begin_decide(foodsvc_store_job_t *job, foodsvc_store_group_t *group, const bson_t *doc)
{
    foodsvc_store_key_op_t  *op = foodsvc_store_op(job, group, 0);
    record_t                *record;
    const char              *why;

    if (doc == NULL) {
        if (!decide_new(job, group, op)) {
            foodsvc_store_give_up(job, group, FOODSVC_STORE_UNAVAILABLE, FOODSVC_NO_MEMORY);
        }
        return;
    }
    record = record_from_bson(doc, &why);
    if (record == NULL) {
        foodsvc_store_unread(job, group, why);
        return;
    }
    group->subject = record;
    record->acted = group->ours;
    if (group->ours || record->status != 0 || is_leased(record, op->now)
        || strcmp(record->fingerprint, op->fingerprint) != 0) {
        foodsvc_store_settle(job, group, FOODSVC_STORE_OK, "");
        return;
    }
    record->acted = true;
    if (!decide_take(job, group, op, doc)) {
        foodsvc_store_give_up(job, group, FOODSVC_STORE_UNAVAILABLE, FOODSVC_NO_MEMORY);
    }
}

static void begin_result(foodsvc_store_job_t *job, foodsvc_store_group_t *group, size_t i, foodsvc_store_rc_e rc,
    const char *err)
{
    foodsvc_store_key_op_t  *op = foodsvc_store_op(job, group, i);
    const record_t          *record = group->subject;

    op->rc = rc;
    foodsvc_store_say(op->err, err);
    if (rc != FOODSVC_STORE_OK) {
        return;
    }
    if (strcmp(record->fingerprint, op->fingerprint) != 0) {
        op->verdict = FOODSVC_KEY_OTHER;
        return;
    }
    memcpy(op->order_id, record->order_id, sizeof(op->order_id));
    if (i == 0 && record->acted) {
        return;
    }
    op->verdict = record->status != 0 ? FOODSVC_KEY_ANSWERED : FOODSVC_KEY_BUSY;
    if (record->status != 0) {
        op->status = record->status;
        op->len = record->len;
        op->body = malloc(record->len + 1);
        if (op->body == NULL) {
            op->rc = FOODSVC_STORE_UNAVAILABLE;
            foodsvc_store_say(op->err, FOODSVC_NO_MEMORY);
            return;
        }
        memcpy(op->body, record->body, record->len + 1);
    }
}

static const foodsvc_store_job_kind_t begin_kind = {
    .collection = FOODSVC_IDEMPOTENCY_KEYS, .write_first = true, .decide = begin_decide, .result = begin_result,
    .free = record_free
};

void foodsvc_store_keys_begin(foodsvc_store_t *store, foodsvc_store_key_op_t *ops[], size_t nops)
{
    foodsvc_store_run(store, &begin_kind, (void **) ops, nops);
}

/* --- end --- */

/*
 * Only where the record is still the attempt's own: `until` is the lease's name as well, since who takes a record over
 * writes another one.
 */
static void end_decide(foodsvc_store_job_t *job, foodsvc_store_group_t *group, const bson_t *doc)
{
    foodsvc_store_key_op_t  *op = foodsvc_store_op(job, group, 0);
    bson_iter_t              iter;
    bson_t                   set, none = BSON_INITIALIZER;
    bool                     ok;

    if (group->ours) {
        foodsvc_store_settle(job, group, FOODSVC_STORE_OK, "");
        return;
    }
    if (!job->unread
        && (doc == NULL || bson_iter_init_find(&iter, doc, STATUS) || !bson_iter_init_find(&iter, doc, UNTIL)
            || !BSON_ITER_HOLDS_DATE_TIME(&iter) || bson_iter_date_time(&iter) != op->until)) {
        foodsvc_store_settle(job, group, FOODSVC_STORE_NOT_FOUND, "");
        return;
    }
    group->kind = FOODSVC_STORE_UPDATE;
    group->filter = bson_new();
    group->write = bson_new();
    ok = BSON_APPEND_UTF8(group->filter, "_id", group->id)
        && BSON_APPEND_DATE_TIME(group->filter, UNTIL, op->until)
        && foodsvc_store_same(group->filter, &none, STATUS);
    BSON_APPEND_DOCUMENT_BEGIN(group->write, "$set", &set);
    if (op->status != 0) {
        ok = ok && BSON_APPEND_INT32(&set, STATUS, op->status)
            && bson_append_utf8(&set, BODY, -1, op->body, (int) op->len);
    } else {
        ok = ok && BSON_APPEND_DATE_TIME(&set, UNTIL, 0);
    }
    ok = ok && foodsvc_store_append_rev(&set, job, doc);
    if (!bson_append_document_end(group->write, &set) || !ok) {
        foodsvc_store_settle(job, group, FOODSVC_STORE_FAILED, "the answer is too large for a document");
    }
}

static void end_result(foodsvc_store_job_t *job, foodsvc_store_group_t *group, size_t i, foodsvc_store_rc_e rc,
    const char *err)
{
    foodsvc_store_key_op_t *op = foodsvc_store_op(job, group, i);

    op->rc = i > 0 && rc == FOODSVC_STORE_OK ? FOODSVC_STORE_NOT_FOUND : rc;
    foodsvc_store_say(op->err, err);
}

static const foodsvc_store_job_kind_t end_kind = {
    .collection = FOODSVC_IDEMPOTENCY_KEYS, .write_first = true, .decide = end_decide, .result = end_result
};

void foodsvc_store_keys_end(foodsvc_store_t *store, foodsvc_store_key_op_t *ops[], size_t nops)
{
    foodsvc_store_run(store, &end_kind, (void **) ops, nops);
}
