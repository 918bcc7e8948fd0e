/*
 * The payment's document in MongoDB.
 *
 * Beside the contract's fields: `reimburse` (bool, a reimbursement runs), `reimburse_taken` (bool, the card company has
 * taken it), `reimburse_refused` (how many of them it refused after that), `amount` (double), `attempt` {by, until}
 * (who asks the company now), `asked` (date, when the last attempt began), `ask_until` (date, when it is too late for
 * another), `attempts`, `refused` (the last one's HTTP status) and `outbox` [{id, status, when}] (events that the
 * broker has not confirmed, oldest first; a single {id, status} is read as one of them). transaction_id is absent until
 * the card company gave one. `rev` is the store's.
 */
#include <math.h>
#include <stdio.h>
#include <string.h>
#include "foodsvc_bson.h"

static bool append_metadata(const foodsvc_metadata_t *metadata, bson_t *doc)
{
    bson_t part;

    return bson_append_document_begin(doc, "metadata", -1, &part)
           && bson_append_utf8(&part, "receiver", -1, metadata->receiver, -1)
           && bson_append_utf8(&part, "order_id", -1, metadata->order_id, -1)
           && bson_append_utf8(&part, "customer_id", -1, metadata->customer_id, -1)
           && bson_append_document_end(doc, &part);
}

static bool append_mark(const foodsvc_payment_mark_t *mark, uint32_t at, bson_t *list)
{
    bson_t      part;
    char        text[16];
    const char *key;

    bson_uint32_to_string(at, &key, text, sizeof(text));
    return bson_append_document_begin(list, key, -1, &part)
           && bson_append_utf8(&part, "id", -1, mark->id, -1)
           && bson_append_utf8(&part, "status", -1, foodsvc_status_name(mark->status), -1)
           && bson_append_date_time(&part, "when", -1, mark->when)
           && bson_append_document_end(list, &part);
}

static bool append_outbox(const foodsvc_payment_t *payment, bson_t *doc)
{
    bson_t list;

    if (payment->noutbox == 0) {
        return true;
    }
    if (!bson_append_array_begin(doc, "outbox", -1, &list)) {
        return false;
    }
    for (size_t i = 0; i < payment->noutbox; i++) {
        if (!append_mark(&payment->outbox[i], (uint32_t) i, &list)) {
            return false;
        }
    }
    return bson_append_array_end(doc, &list);
}

static bool append_attempt(const foodsvc_payment_t *payment, bson_t *doc)
{
    bson_t part;

    return payment->attempt_by[0] == '\0'
           || (bson_append_document_begin(doc, "attempt", -1, &part)
               && bson_append_utf8(&part, "by", -1, payment->attempt_by, -1)
               && bson_append_date_time(&part, "until", -1, payment->attempt_until)
               && bson_append_document_end(doc, &part));
}

static bool append_count(const char *key, unsigned count, bson_t *doc)
{
    return count == 0 || bson_append_int32(doc, key, -1, (int32_t) count);
}

bool foodsvc_payment_to_bson(const foodsvc_payment_t *payment, bson_t *doc)
{
    return bson_append_utf8(doc, "_id", -1, payment->id, -1)
           && append_metadata(&payment->metadata, doc)
           && (!payment->has_transaction_id
               || foodsvc_bson_append_uuid(doc, "transaction_id", &payment->transaction_id))
           && bson_append_utf8(doc, "status", -1, foodsvc_payment_status_name(payment->status), -1)
           && bson_append_date_time(doc, "created", -1, payment->created)
           && (!payment->reimburse || bson_append_bool(doc, "reimburse", -1, true))
           && (!payment->reimburse_taken || bson_append_bool(doc, "reimburse_taken", -1, true))
           && append_count("reimburse_refused", payment->reimburse_refused, doc)
           && (!payment->has_amount || bson_append_double(doc, "amount", -1, payment->amount))
           && append_attempt(payment, doc)
           && (payment->asked == 0 || bson_append_date_time(doc, "asked", -1, payment->asked))
           && (payment->ask_until == 0 || bson_append_date_time(doc, "ask_until", -1, payment->ask_until))
           && append_count("attempts", payment->attempts, doc)
           && append_count("refused", payment->refused, doc)
           && append_outbox(payment, doc);
}

/* The text of a document's member, or NULL. */
static const char *text_at(const bson_iter_t *document, const char *member)
{
    bson_iter_t iter;
    size_t      len;

    return BSON_ITER_HOLDS_DOCUMENT(document) && bson_iter_recurse(document, &iter) && bson_iter_find(&iter, member)
           ? foodsvc_bson_text(&iter, &len) : NULL;
}

static bool read_metadata(const bson_iter_t *iter, foodsvc_metadata_t *metadata, char err[FOODSVC_ERR])
{
    const char *receiver = text_at(iter, "receiver");
    const char *order_id = text_at(iter, "order_id");
    const char *customer_id = text_at(iter, "customer_id");

    if (receiver == NULL || order_id == NULL || customer_id == NULL) {
        return foodsvc_bson_bad(err, receiver == NULL ? "metadata.receiver"
                                     : order_id == NULL ? "metadata.order_id" : "metadata.customer_id");
    }
    foodsvc_metadata_clear(metadata);
    if (!foodsvc_metadata_set(metadata, receiver, order_id, customer_id)) {
        snprintf(err, FOODSVC_ERR, FOODSVC_NO_MEMORY);
        return false;
    }
    return true;
}

static bool read_id(const bson_iter_t *iter, foodsvc_payment_t *payment, char err[FOODSVC_ERR])
{
    size_t      len;
    const char *text = foodsvc_bson_text(iter, &len);

    if (text == NULL || payment->id != NULL) {
        return foodsvc_bson_bad(err, "_id");
    }
    payment->id = strdup(text);
    if (payment->id == NULL) {
        snprintf(err, FOODSVC_ERR, FOODSVC_NO_MEMORY);
        return false;
    }
    return true;
}

static bool read_status(const bson_iter_t *iter, foodsvc_payment_t *payment, char err[FOODSVC_ERR])
{
    size_t      len;
    const char *text = foodsvc_bson_text(iter, &len);

    return (text != NULL && foodsvc_payment_status_parse(text, len, &payment->status))
           || foodsvc_bson_bad(err, "status");
}

static bool read_mark(const bson_iter_t *iter, foodsvc_payment_t *payment, char err[FOODSVC_ERR])
{
    foodsvc_payment_mark_t *mark;
    bson_iter_t             when;
    const char             *id = text_at(iter, "id");
    const char             *status = text_at(iter, "status");

    if (payment->noutbox == FOODSVC_PAYMENT_MARKS) {
        snprintf(err, FOODSVC_ERR, "outbox has more than %d marks", FOODSVC_PAYMENT_MARKS);
        return false;
    }
    mark = &payment->outbox[payment->noutbox++];
    if (id == NULL || id[0] == '\0' || strlen(id) > FOODSVC_UUID_TEXT) {
        return foodsvc_bson_bad(err, "outbox.id");
    }
    if (status == NULL || !foodsvc_status_parse(status, strlen(status), &mark->status)) {
        return foodsvc_bson_bad(err, "outbox.status");
    }
    memcpy(mark->id, id, strlen(id) + 1);
    mark->when = 0;
    return !bson_iter_recurse(iter, &when) || !bson_iter_find(&when, "when") || BSON_ITER_HOLDS_NULL(&when)
           || foodsvc_bson_time(&when, &mark->when) || foodsvc_bson_bad(err, "outbox.when");
}

static bool read_outbox(const bson_iter_t *iter, foodsvc_payment_t *payment, char err[FOODSVC_ERR])
{
    bson_iter_t list;

    if (BSON_ITER_HOLDS_NULL(iter)) {
        return true;
    }
    if (!BSON_ITER_HOLDS_ARRAY(iter) || !bson_iter_recurse(iter, &list)) {
        return read_mark(iter, payment, err);
    }
    while (bson_iter_next(&list)) {
        if (!read_mark(&list, payment, err)) {
            return false;
        }
    }
    return true;
}

static bool read_attempt(const bson_iter_t *iter, foodsvc_payment_t *payment, char err[FOODSVC_ERR])
{
    const char *by;
    bson_iter_t until;

    if (BSON_ITER_HOLDS_NULL(iter)) {
        return true;
    }
    by = text_at(iter, "by");
    if (by == NULL || strlen(by) > FOODSVC_UUID_TEXT) {
        return foodsvc_bson_bad(err, "attempt.by");
    }
    if (!bson_iter_recurse(iter, &until) || !bson_iter_find(&until, "until")
        || !foodsvc_bson_time(&until, &payment->attempt_until))
    {
        return foodsvc_bson_bad(err, "attempt.until");
    }
    memcpy(payment->attempt_by, by, strlen(by) + 1);
    return true;
}

static bool read_amount(const bson_iter_t *iter, foodsvc_payment_t *payment, char err[FOODSVC_ERR])
{
    if (BSON_ITER_HOLDS_NULL(iter)) {
        return true;
    }
    payment->amount = BSON_ITER_HOLDS_NUMBER(iter) ? bson_iter_as_double(iter) : 0;
    payment->has_amount = payment->amount > 0 && isfinite(payment->amount);
    return payment->has_amount || foodsvc_bson_bad(err, "amount");
}

static bool read_count(const bson_iter_t *iter, unsigned *count, char err[FOODSVC_ERR])
{
    int64_t value = 0;

    if (!BSON_ITER_HOLDS_NULL(iter) && (!foodsvc_bson_whole(iter, &value) || value < 0 || value > INT32_MAX)) {
        return foodsvc_bson_bad(err, bson_iter_key(iter));
    }
    *count = (unsigned) value;
    return true;
}

/* What only we write. */
static bool read_our_field(const bson_iter_t *iter, foodsvc_payment_t *payment, char err[FOODSVC_ERR])
{
    const char *key = bson_iter_key(iter);

    if (strcmp(key, "reimburse") == 0) {
        payment->reimburse = bson_iter_as_bool(iter);
    } else if (strcmp(key, "reimburse_taken") == 0) {
        payment->reimburse_taken = bson_iter_as_bool(iter);
    } else if (strcmp(key, "reimburse_refused") == 0) {
        return read_count(iter, &payment->reimburse_refused, err);
    } else if (strcmp(key, "amount") == 0) {
        return read_amount(iter, payment, err);
    } else if (strcmp(key, "attempt") == 0) {
        return read_attempt(iter, payment, err);
    } else if (strcmp(key, "asked") == 0) {
        return BSON_ITER_HOLDS_NULL(iter) || foodsvc_bson_time(iter, &payment->asked) || foodsvc_bson_bad(err, key);
    } else if (strcmp(key, "ask_until") == 0) {
        return BSON_ITER_HOLDS_NULL(iter) || foodsvc_bson_time(iter, &payment->ask_until) || foodsvc_bson_bad(err, key);
    } else if (strcmp(key, "attempts") == 0) {
        return read_count(iter, &payment->attempts, err);
    } else if (strcmp(key, "refused") == 0) {
        return read_count(iter, &payment->refused, err);
    } else if (strcmp(key, "outbox") == 0) {
        return read_outbox(iter, payment, err);
    }
    return true;
}

static bool read_field(const bson_iter_t *iter, foodsvc_payment_t *payment, bool *has_status, char err[FOODSVC_ERR])
{
    const char *key = bson_iter_key(iter);

    if (strcmp(key, "_id") == 0) {
        return read_id(iter, payment, err);
    }
    if (strcmp(key, "metadata") == 0) {
        return read_metadata(iter, &payment->metadata, err);
    }
    if (strcmp(key, "transaction_id") == 0) {
        payment->has_transaction_id = !BSON_ITER_HOLDS_NULL(iter);
        return !payment->has_transaction_id || foodsvc_bson_uuid(iter, &payment->transaction_id)
               || foodsvc_bson_bad(err, key);
    }
    if (strcmp(key, "status") == 0) {
        *has_status = true;
        return read_status(iter, payment, err);
    }
    if (strcmp(key, "created") == 0) {
        return foodsvc_bson_time(iter, &payment->created) || foodsvc_bson_bad(err, key);
    }
    return read_our_field(iter, payment, err);
}

static bool read_document(const bson_t *doc, foodsvc_payment_t *payment, char err[FOODSVC_ERR])
{
    bson_iter_t iter;
    bool        has_status = false;

    if (!bson_iter_init(&iter, doc)) {
        snprintf(err, FOODSVC_ERR, "it is no document");
        return false;
    }
    while (bson_iter_next(&iter)) {
        if (!read_field(&iter, payment, &has_status, err)) {
            return false;
        }
    }
    if (payment->id == NULL || payment->metadata.receiver == NULL || !has_status) {
        snprintf(err, FOODSVC_ERR, "%s is missing", payment->id == NULL ? "_id" : !has_status ? "status" : "metadata");
        return false;
    }
    return true;
}

foodsvc_payment_t *foodsvc_payment_from_bson(const bson_t *doc, char err[FOODSVC_ERR])
{
    foodsvc_payment_t *payment = foodsvc_payment_new();

    if (payment == NULL) {
        snprintf(err, FOODSVC_ERR, FOODSVC_NO_MEMORY);
        return NULL;
    }
    if (!read_document(doc, payment, err)) {
        foodsvc_payment_free(payment);
        return NULL;
    }
    return payment;
}
