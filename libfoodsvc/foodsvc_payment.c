/*
 * The payment: its statuses, its metadata, and what moves it.
 */
#include <stdlib.h>
#include <string.h>
#include "foodsvc_payment.h"

#define TELL_LAST   3600000     /* ms */

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

bool foodsvc_payment_taken(const foodsvc_payment_t *payment)
{
    return payment->reimburse ? payment->reimburse_taken : payment->has_transaction_id;
}

/* Before a charge is asked for, its amount is stored: without one the company has not heard of it. */
static bool is_unheard(const foodsvc_payment_t *payment)
{
    return !payment->reimburse && !payment->has_amount && !payment->has_transaction_id;
}

bool foodsvc_payment_foreign(const foodsvc_payment_t *payment)
{
    return payment->asked == 0 && payment->has_transaction_id;
}

bool foodsvc_payment_stale(const foodsvc_payment_t *payment, int64_t now)
{
    if (payment->status != FOODSVC_PENDING) {
        return payment->ask_until != 0 && now >= payment->ask_until;    /* refused, and an earlier end is open */
    }
    if (is_unheard(payment)) {
        return false;
    }
    return payment->ask_until != 0 ? now >= payment->ask_until
           : foodsvc_payment_foreign(payment) && !payment->reimburse;
}

/* --- attempts --- */

/* It stays what a document can hold. */
static void count(unsigned *n)
{
    if (*n < INT32_MAX) {
        (*n)++;
    }
}

/* Does somebody else ask the company now? */
static bool is_held(const foodsvc_payment_t *payment, const foodsvc_payment_change_t *change)
{
    return payment->attempt_by[0] != '\0' && strcmp(payment->attempt_by, change->by) != 0
           && payment->attempt_until > change->when && payment->attempt_until <= change->when + FOODSVC_PAYMENT_LEASE;
}

static bool is_ours(const foodsvc_payment_t *payment, const foodsvc_payment_change_t *change)
{
    return strcmp(payment->attempt_by, change->by) == 0;
}

static int64_t last_asked(const foodsvc_payment_t *payment)
{
    return payment->asked != 0 ? payment->asked : payment->created;
}

/* The company has taken it, but its callback should have come by now. A time in the future is a wrong clock's. */
static bool is_overdue(const foodsvc_payment_t *payment, const foodsvc_payment_change_t *change)
{
    int64_t since = last_asked(payment);

    return change->callback_wait_ms > 0
           && (since <= change->when - change->callback_wait_ms || since > change->when + FOODSVC_PAYMENT_LEASE);
}

static foodsvc_payment_verdict_e begin_attempt(foodsvc_payment_t *payment, const foodsvc_payment_change_t *change)
{
    int64_t lease = change->lease_ms < FOODSVC_PAYMENT_LEASE ? change->lease_ms : FOODSVC_PAYMENT_LEASE;

    memcpy(payment->attempt_by, change->by, sizeof(payment->attempt_by));
    payment->attempt_until = change->by[0] != '\0' ? change->when + lease : 0;
    payment->asked = change->when;
    payment->refused = 0;
    if (change->key_life_ms > 0 && (payment->attempts == 0 || payment->ask_until == 0 || is_unheard(payment)
                                    || payment->ask_until > change->when + change->key_life_ms))
    {   /* the last: a clock was ahead */
        payment->ask_until = change->when + change->key_life_ms;
    }
    count(&payment->attempts);
    return FOODSVC_PAYMENT_WRITE;
}

/*
 * Pending again after a refusal. When that was of the first request, all is known. When it was of a later one, the
 * first may have been carried out nevertheless: its time and the count go on.
 */
static foodsvc_payment_verdict_e begin_again(foodsvc_payment_t *payment, const foodsvc_payment_change_t *change)
{
    if (foodsvc_payment_stale(payment, change->when)) {
        return FOODSVC_PAYMENT_STALE;
    }
    payment->status = FOODSVC_PENDING;
    payment->reimburse = change->kind == FOODSVC_PAYMENT_REIMBURSE;
    payment->reimburse_taken = false;
    if (payment->ask_until == 0) {
        payment->attempts = 0;
    }
    return begin_attempt(payment, change);
}

static void end_attempt(foodsvc_payment_t *payment)
{
    payment->attempt_by[0] = '\0';
    payment->attempt_until = 0;
}

/* --- the outbox --- */

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

/*
 * The company has reported, and the event was sent; who asks nevertheless, long after, has not got it: a queue can lose
 * what it has confirmed. Or nobody consumes it for a while: so it is told at most as often as the company is asked
 * again, then more and more seldom, at last once in TELL_LAST.
 */
static foodsvc_payment_verdict_e tell_again(foodsvc_payment_t *payment, const foodsvc_payment_change_t *change)
{
    int64_t since = last_asked(payment), age = since - payment->created;
    int64_t wait = age >= 0 && age < TELL_LAST ? age : TELL_LAST;   /* less than none: a clock was ahead */

    if (payment->noutbox > 0 || !is_overdue(payment, change)
        || (since <= change->when && change->when - since < wait)) {
        return FOODSVC_PAYMENT_NOTHING;
    }
    payment->asked = change->when;
    add_mark(payment, change->when);
    return FOODSVC_PAYMENT_TELL;
}

/* --- the rule --- */

/* What is pending. */
static foodsvc_payment_verdict_e decide_open(foodsvc_payment_t *payment, const foodsvc_payment_change_t *change)
{
    if (foodsvc_payment_taken(payment) && !is_overdue(payment, change)) {
        return FOODSVC_PAYMENT_NOTHING;
    }
    return is_held(payment, change) ? FOODSVC_PAYMENT_WAIT
           : foodsvc_payment_stale(payment, change->when) ? FOODSVC_PAYMENT_STALE : begin_attempt(payment, change);
}

static foodsvc_payment_verdict_e decide_request(foodsvc_payment_t *payment, const foodsvc_payment_change_t *change)
{
    if (payment->status == FOODSVC_PENDING && !payment->reimburse) {
        return decide_open(payment, change);
    }
    if (payment->status == FOODSVC_PENDING) {
        return FOODSVC_PAYMENT_NOTHING;
    }
    if (payment->status != FOODSVC_PAY_FAILED || payment->has_transaction_id) {
        return tell_again(payment, change);
    }
    return change->waited && payment->refused ? FOODSVC_PAYMENT_NOTHING : begin_again(payment, change);
}

static foodsvc_payment_verdict_e decide_reimburse(foodsvc_payment_t *payment, const foodsvc_payment_change_t *change)
{
    switch (payment->status) {
    case FOODSVC_PAY_PAID:
        return change->waited && payment->refused ? FOODSVC_PAYMENT_NOTHING : begin_again(payment, change);
    case FOODSVC_PENDING:
        return payment->reimburse ? decide_open(payment, change) : FOODSVC_PAYMENT_ILLEGAL;
    case FOODSVC_PAY_REIMBURSED:
        return tell_again(payment, change);
    default:
        return FOODSVC_PAYMENT_ILLEGAL;
    }
}

/* Is what the company answers to still open? An answer to the charge may come when the refund is asked for. */
static bool is_open(const foodsvc_payment_t *payment, const foodsvc_payment_change_t *change)
{
    return payment->status == FOODSVC_PENDING && payment->reimburse == change->reimburse;
}

static bool same_transaction(const foodsvc_payment_t *payment, const foodsvc_payment_change_t *change)
{
    return payment->has_transaction_id
           && memcmp(&payment->transaction_id, &change->transaction_id, sizeof(foodsvc_uuid_t)) == 0;
}

/* True: it is another than the payment had. */
static bool take_transaction(foodsvc_payment_t *payment, const foodsvc_payment_change_t *change)
{
    if (!change->has_transaction_id || same_transaction(payment, change)) {
        return false;
    }
    payment->transaction_id = change->transaction_id;
    payment->has_transaction_id = true;
    return true;
}

static foodsvc_payment_verdict_e decide_amount(foodsvc_payment_t *payment, const foodsvc_payment_change_t *change)
{
    if (!is_open(payment, change)) {
        return FOODSVC_PAYMENT_NOTHING;
    }
    if (!is_ours(payment, change)) {
        return FOODSVC_PAYMENT_WAIT;
    }
    if (payment->has_amount) {
        return FOODSVC_PAYMENT_PROCEED;
    }
    payment->amount = change->amount;
    payment->has_amount = true;
    return FOODSVC_PAYMENT_WRITE;
}

static foodsvc_payment_verdict_e decide_accepted(foodsvc_payment_t *payment, const foodsvc_payment_change_t *change)
{
    foodsvc_payment_verdict_e verdict = FOODSVC_PAYMENT_NOTHING;

    if (!is_open(payment, change) || (payment->reimburse && change->refunds != payment->reimburse_refused)) {
        return FOODSVC_PAYMENT_NOTHING;
    }
    if (payment->attempt_by[0] != '\0' && is_ours(payment, change)) {
        end_attempt(payment);
        verdict = FOODSVC_PAYMENT_WRITE;
    }
    if (payment->reimburse && !payment->reimburse_taken && change->has_transaction_id) {
        payment->reimburse_taken = true;
        verdict = FOODSVC_PAYMENT_WRITE;
    }
    return take_transaction(payment, change) ? FOODSVC_PAYMENT_WRITE : verdict;
}

static foodsvc_payment_verdict_e decide_refused(foodsvc_payment_t *payment, const foodsvc_payment_change_t *change)
{
    bool taken = foodsvc_payment_taken(payment);
    bool earlier = (payment->attempts > 1 || change->open) && !is_unheard(payment);

    if (!is_open(payment, change)) {
        return FOODSVC_PAYMENT_NOTHING;
    }
    if (!is_ours(payment, change)) {
        return !taken && is_held(payment, change) ? FOODSVC_PAYMENT_WAIT : FOODSVC_PAYMENT_NOTHING;
    }
    if (taken && payment->attempt_by[0] == '\0') {
        return FOODSVC_PAYMENT_NOTHING;
    }
    end_attempt(payment);
    if (taken || (!change->asked && earlier)) {
        return FOODSVC_PAYMENT_WRITE;
    }
    payment->status = payment->reimburse ? FOODSVC_PAY_PAID : FOODSVC_PAY_FAILED;
    payment->reimburse = false;
    payment->refused = change->refused;
    if (!earlier) {
        payment->ask_until = 0;
    }
    return FOODSVC_PAYMENT_WRITE;
}

static foodsvc_payment_verdict_e decide_released(foodsvc_payment_t *payment, const foodsvc_payment_change_t *change)
{
    if (payment->attempt_by[0] == '\0' || !is_ours(payment, change)) {
        return FOODSVC_PAYMENT_NOTHING;
    }
    end_attempt(payment);
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

/* paymentFailed, while a reimbursement is open: it may be the charge's, told late or twice. */
static bool fails_refund(const foodsvc_payment_t *payment, const foodsvc_payment_change_t *change)
{
    return change->status == FOODSVC_PAY_FAILED && change->has_transaction_id
           && (payment->status == FOODSVC_PENDING ? payment->reimburse
               : payment->status == FOODSVC_PAY_PAID && foodsvc_payment_stale(payment, change->when));
}

/*
 * The company took the reimbursement and says now that it failed: the transaction tells it from the charge. Its
 * callback may be faster than its answer to the request, or that was not stored; then it is nobody's transaction yet.
 * When the refund is stale, nobody repeats the charge's failure any more: a person has looked, and says so.
 */
static bool refund_failed(const foodsvc_payment_t *payment, const foodsvc_payment_change_t *change)
{
    return fails_refund(payment, change)
           && ((payment->reimburse_taken && same_transaction(payment, change))
               || foodsvc_payment_stale(payment, change->when));
}

static bool refund_unknown(const foodsvc_payment_t *payment, const foodsvc_payment_change_t *change)
{
    return fails_refund(payment, change) && !payment->reimburse_taken && !same_transaction(payment, change)
           && !foodsvc_payment_stale(payment, change->when);
}

static foodsvc_payment_verdict_e decide_callback(foodsvc_payment_t *payment, const foodsvc_payment_change_t *change)
{
    bool tells = true;

    if (change->status == FOODSVC_PENDING && payment->status == FOODSVC_PENDING) {
        /* no event; and the transaction of a refund is known by the answer to its request alone: this may be the
           charge's, or an earlier refund's, told late */
        return !payment->reimburse && take_transaction(payment, change) ? FOODSVC_PAYMENT_WRITE
               : FOODSVC_PAYMENT_NOTHING;
    }
    if (refund_unknown(payment, change)) {
        return FOODSVC_PAYMENT_WAIT;
    }
    if (refund_failed(payment, change)) {
        payment->status = FOODSVC_PAY_PAID;
        count(&payment->reimburse_refused);
        tells = payment->reimburse_refused <= FOODSVC_PAYMENT_REFUNDS;
    } else if (callback_moves(payment, change->status)) {
        payment->status = change->status;
    } else {
        return FOODSVC_PAYMENT_NOTHING;
    }
    payment->reimburse = payment->reimburse_taken = false;
    payment->attempts = payment->refused = 0;
    payment->ask_until = 0;
    end_attempt(payment);
    take_transaction(payment, change);
    payment->asked = change->when;
    if (tells) {
        add_mark(payment, change->when);
    }
    return FOODSVC_PAYMENT_WRITE;
}

foodsvc_payment_verdict_e foodsvc_payment_decide(foodsvc_payment_t *payment, const foodsvc_payment_change_t *change)
{
    switch (change->kind) {
    case FOODSVC_PAYMENT_REQUESTED:
        return decide_request(payment, change);
    case FOODSVC_PAYMENT_REIMBURSE:
        return decide_reimburse(payment, change);
    case FOODSVC_PAYMENT_AMOUNT:
        return decide_amount(payment, change);
    case FOODSVC_PAYMENT_ACCEPTED:
        return decide_accepted(payment, change);
    case FOODSVC_PAYMENT_REFUSED:
        return decide_refused(payment, change);
    case FOODSVC_PAYMENT_RELEASED:
        return decide_released(payment, change);
    case FOODSVC_PAYMENT_CALLBACK:
        return decide_callback(payment, change);
    }
    return FOODSVC_PAYMENT_NOTHING;
}
