/*
 * The payment: its statuses, its metadata, and what moves it.
 */
#include <stdlib.h>
#include <string.h>
#include "foodsvc_payment.h"

static const char *const names[FOODSVC_PAYMENT_STATUS_COUNT] = {
    [FOODSVC_PENDING]        = "pending",
    [FOODSVC_PAY_PAID]       = "paymentPaid",
    [FOODSVC_PAY_FAILED]     = "paymentFailed",
    [FOODSVC_PAY_REIMBURSED] = "reimbursed",
};

const char *foodsvc_payment_status_name(foodsvc_payment_status_e status)
{
    return (unsigned) status < FOODSVC_PAYMENT_STATUS_COUNT ? names[status] : "unknown";
}

bool foodsvc_payment_status_parse(const char *name, size_t len, foodsvc_payment_status_e *status)
{
    for (int i = 0; i < FOODSVC_PAYMENT_STATUS_COUNT; i++) {
        if (strlen(names[i]) == len && memcmp(names[i], name, len) == 0) {
            *status = (foodsvc_payment_status_e) i;
            return true;
        }
    }
    return false;
}

bool foodsvc_payment_event(foodsvc_payment_status_e status, foodsvc_status_e *event)
{
    switch (status) {
    case FOODSVC_PAY_PAID:
        *event = FOODSVC_PAYMENT_PAID;
        return true;
    case FOODSVC_PAY_FAILED:
        *event = FOODSVC_PAYMENT_FAILED;
        return true;
    case FOODSVC_PAY_REIMBURSED:
        *event = FOODSVC_REIMBURSED;
        return true;
    default:
        return false;
    }
}

bool foodsvc_metadata_set(foodsvc_metadata_t *metadata, const char *receiver, const char *order_id,
    const char *customer_id)
{
    metadata->receiver = strdup(receiver);
    metadata->order_id = strdup(order_id);
    metadata->customer_id = strdup(customer_id);
    if (metadata->receiver == NULL || metadata->order_id == NULL || metadata->customer_id == NULL) {
        foodsvc_metadata_clear(metadata);
        return false;
    }
    return true;
}

void foodsvc_metadata_clear(foodsvc_metadata_t *metadata)
{
    free(metadata->receiver);
    free(metadata->order_id);
    free(metadata->customer_id);
    *metadata = (foodsvc_metadata_t) { NULL, NULL, NULL };
}

foodsvc_payment_t *foodsvc_payment_new(void)
{
    return calloc(1, sizeof(foodsvc_payment_t));
}

void foodsvc_payment_free(foodsvc_payment_t *payment)
{
    if (payment == NULL) {
        return;
    }
    free(payment->id);
    foodsvc_metadata_clear(&payment->metadata);
    free(payment);
}

/* --- the rule --- */

static foodsvc_payment_verdict_e decide_request(foodsvc_payment_t *payment)
{
    if (payment->has_transaction_id) {
        return FOODSVC_PAYMENT_NOTHING;
    }
    switch (payment->status) {
    case FOODSVC_PENDING:
        return payment->reimburse ? FOODSVC_PAYMENT_NOTHING : FOODSVC_PAYMENT_PROCEED;
    case FOODSVC_PAY_FAILED:
        payment->status = FOODSVC_PENDING;
        return FOODSVC_PAYMENT_WRITE;
    default:
        return FOODSVC_PAYMENT_NOTHING;
    }
}

static foodsvc_payment_verdict_e decide_reimburse(foodsvc_payment_t *payment)
{
    switch (payment->status) {
    case FOODSVC_PAY_PAID:
        payment->status = FOODSVC_PENDING;
        payment->reimburse = true;
        payment->reimburse_taken = false;
        return FOODSVC_PAYMENT_WRITE;
    case FOODSVC_PENDING:
        if (!payment->reimburse) {
            return FOODSVC_PAYMENT_ILLEGAL;
        }
        return payment->reimburse_taken ? FOODSVC_PAYMENT_NOTHING : FOODSVC_PAYMENT_PROCEED;
    case FOODSVC_PAY_REIMBURSED:
        return FOODSVC_PAYMENT_NOTHING;
    default:
        return FOODSVC_PAYMENT_ILLEGAL;
    }
}

/* Is what the company answers to still open? An answer to the charge may come when the refund is asked for. */
static bool is_open(const foodsvc_payment_t *payment, const foodsvc_payment_change_t *change)
{
    return payment->status == FOODSVC_PENDING && payment->reimburse == change->reimburse;
}

/* True: it is another than the payment had. */
static bool take_transaction(foodsvc_payment_t *payment, const foodsvc_payment_change_t *change)
{
    if (!change->has_transaction_id
        || (payment->has_transaction_id
            && memcmp(&payment->transaction_id, &change->transaction_id, sizeof(foodsvc_uuid_t)) == 0))
    {
        return false;
    }
    payment->transaction_id = change->transaction_id;
    payment->has_transaction_id = true;
    return true;
}

static foodsvc_payment_verdict_e decide_accepted(foodsvc_payment_t *payment, const foodsvc_payment_change_t *change)
{
    foodsvc_payment_verdict_e verdict = FOODSVC_PAYMENT_NOTHING;

    if (!is_open(payment, change)) {
        return FOODSVC_PAYMENT_NOTHING;
    }
    if (payment->reimburse && !payment->reimburse_taken) {
        payment->reimburse_taken = true;
        verdict = FOODSVC_PAYMENT_WRITE;
    }
    return take_transaction(payment, change) ? FOODSVC_PAYMENT_WRITE : verdict;
}

static foodsvc_payment_verdict_e decide_refused(foodsvc_payment_t *payment, const foodsvc_payment_change_t *change)
{
    if (!is_open(payment, change) || (payment->reimburse ? payment->reimburse_taken : payment->has_transaction_id)) {
        return FOODSVC_PAYMENT_NOTHING;
    }
    if (payment->reimburse) {
        payment->status = FOODSVC_PAY_PAID;
        payment->reimburse = false;
    } else {
        payment->status = FOODSVC_PAY_FAILED;
    }
    return FOODSVC_PAYMENT_WRITE;
}

/* May the card company's answer take the payment from its state to `status`? */
static bool callback_moves(const foodsvc_payment_t *payment, foodsvc_payment_status_e status)
{
    switch (payment->status) {
    case FOODSVC_PENDING:
        return payment->reimburse ? status == FOODSVC_PAY_REIMBURSED : status != FOODSVC_PENDING;
    case FOODSVC_PAY_FAILED:
        return status == FOODSVC_PAY_PAID || status == FOODSVC_PAY_REIMBURSED
               || (status == FOODSVC_PAY_FAILED && !payment->has_transaction_id);
    case FOODSVC_PAY_PAID:
        return status == FOODSVC_PAY_REIMBURSED;
    default:
        return false;
    }
}

static void add_mark(foodsvc_payment_t *payment, int64_t when)
{
    foodsvc_payment_mark_t *mark;
    foodsvc_uuid_t          id;

    if (payment->noutbox == FOODSVC_PAYMENT_MARKS) {
        payment->noutbox--;
        memmove(&payment->outbox[0], &payment->outbox[1], payment->noutbox * sizeof(payment->outbox[0]));
    }
    mark = &payment->outbox[payment->noutbox++];
    foodsvc_uuid_v4(&id);
    foodsvc_uuid_format(&id, mark->id);
    foodsvc_payment_event(payment->status, &mark->status);
    mark->when = when;
}

static foodsvc_payment_verdict_e decide_callback(foodsvc_payment_t *payment, const foodsvc_payment_change_t *change)
{
    if (change->status == FOODSVC_PENDING && payment->status == FOODSVC_PENDING) {
        return take_transaction(payment, change) ? FOODSVC_PAYMENT_WRITE : FOODSVC_PAYMENT_NOTHING;     /* no event */
    }
    if (!callback_moves(payment, change->status)) {
        return FOODSVC_PAYMENT_NOTHING;
    }
    payment->status = change->status;
    payment->reimburse = payment->reimburse_taken = false;
    take_transaction(payment, change);
    add_mark(payment, change->when);
    return FOODSVC_PAYMENT_WRITE;
}

foodsvc_payment_verdict_e foodsvc_payment_decide(foodsvc_payment_t *payment, const foodsvc_payment_change_t *change)
{
    switch (change->kind) {
    case FOODSVC_PAYMENT_REQUESTED:
        return decide_request(payment);
    case FOODSVC_PAYMENT_REIMBURSE:
        return decide_reimburse(payment);
    case FOODSVC_PAYMENT_ACCEPTED:
        return decide_accepted(payment, change);
    case FOODSVC_PAYMENT_REFUSED:
        return decide_refused(payment, change);
    case FOODSVC_PAYMENT_CALLBACK:
        return decide_callback(payment, change);
    }
    return FOODSVC_PAYMENT_NOTHING;
}
