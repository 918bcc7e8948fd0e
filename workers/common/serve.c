#include <stdio.h>
#include <string.h>

#include "foodsvc_time.h"
#include "serve.h"

static void call(serve_t *serve, unsigned owes);


void serve_again(serve_t *serve)
{
    serve->tried = 0;
    serve->claimed = serve->renewed = serve->stored_release = serve->has_change = serve->release = false;
    serve->rc = SERVE_DONE;
    serve->reason[0] = '\0';
}


void serve_free(serve_t *serve)
{
    foodsvc_order_free(serve->order);
    serve->order = NULL;
}


static void set_change(serve_t *serve, const foodsvc_change_t *change, bool release)
{
    serve->change = *change;
    serve->has_change = true;
    serve->release = release;
}


void serve_touch(serve_t *serve, bool release)
{
    foodsvc_change_t  change = { .kind = FOODSVC_CHANGE_SETTLED, .when = foodsvc_time_now() };

    set_change(serve, &change, release);
}


void serve_change(serve_t *serve, const foodsvc_change_t *change)
{
    set_change(serve, change, false);
}


void serve_op(const serve_t *serve, const char *id, const char *token, int64_t claim_ms, foodsvc_store_change_op_t *op)
{
    memset(op, 0, sizeof(*op));
    op->id = id;
    op->change = serve->change;
    op->release = serve->release;
    op->claim_by = token;
    op->claim_ms = claim_ms;
}


void serve_stored(serve_t *serve, foodsvc_store_change_op_t *op)
{
    foodsvc_order_free(serve->order);
    serve->order = op->order;
    op->order = NULL;
    serve->claimed = op->claimed;
    serve->stored_release = op->release;
    serve->has_change = false;
}


static void store_touch(serve_t *serve, bool release)
{
    serve_touch(serve, release);
    serve->owner->ready(serve);
}


static void failed(serve_t *serve, serve_rc_e rc, const char *reason)
{
    serve->rc = rc;
    snprintf(serve->reason, sizeof(serve->reason), "%s", reason);
}


/* Will the order owe more, when the change is stored? Only a guess: another process may have changed it meanwhile. */
static bool owes_after(const serve_t *serve, const foodsvc_change_t *change)
{
    foodsvc_order_t  *copy = foodsvc_order_copy(serve->order);
    bool              ok = true, owes;

    if (copy == NULL) {
        return true;
    }
    foodsvc_order_decide(copy, change, &ok);
    owes = (foodsvc_order_owes(copy) & ~serve->tried) != 0;
    foodsvc_order_free(copy);
    return owes;
}


static void called(void *ctx, const owed_result_t *result)
{
    serve_t   *serve = ctx;
    unsigned   owes;

    serve->tried |= result->what;
    serve->owner->called(serve, result);
    if (result->rc == OWED_DONE && result->has_change) {
        set_change(serve, &result->change, !owes_after(serve, &result->change));
        serve->owner->ready(serve);
        return;
    }
    /* a partner that may come back outweighs a refusal */
    if (result->rc != OWED_DONE && serve->rc != SERVE_LATER) {
        failed(serve, result->rc == OWED_LATER ? SERVE_LATER : SERVE_REFUSED, result->reason);
    }
    owes = foodsvc_order_owes(serve->order) & ~serve->tried;
    if (owes) {
        call(serve, owes);
    } else {
        store_touch(serve, true);
    }
}


/* Money first: whatever comes in between, that is asked for. */
static foodsvc_owes_e first(unsigned owes)
{
    return owes & FOODSVC_OWES_REIMBURSEMENT ? FOODSVC_OWES_REIMBURSEMENT : (foodsvc_owes_e) (owes & -owes);
}


static void call(serve_t *serve, unsigned owes)
{
    const char  *why = "no memory";

    if (serve->order->claim_until - foodsvc_time_now() < owed_longest(serve->owed)) {
        if (!serve->renewed) {
            serve->renewed = true;
            store_touch(serve, false);
            return;
        }
        why = "the claim was too short for a call, twice";
    } else if (owed_start(serve->owed, serve->order, first(owes), called, serve)) {
        serve->renewed = false;
        return;
    }
    serve->tried |= owes;
    failed(serve, SERVE_LATER, why);
    store_touch(serve, true);
}


void serve_step(serve_t *serve)
{
    unsigned  owes = foodsvc_order_owes(serve->order) & ~serve->tried;

    if (owes == 0) {
        if (serve->claimed && !serve->stored_release && serve->tried) {
            store_touch(serve, true);       /* the guess was wrong: nothing is left to do under the claim */
            return;
        }
        serve->owner->end(serve);
        return;
    }
    if (serve->claimed) {
        call(serve, owes);
        return;
    }
    if (serve->stored_release) {
        store_touch(serve, false);          /* given back too early: there is more to do after all */
        return;
    }
    if (serve->rc == SERVE_DONE) {
        failed(serve, SERVE_BUSY, "another process is doing what the order owes");
    }
    serve->owner->end(serve);
}
