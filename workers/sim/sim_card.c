/*
 * The Credit Card Company.
 *
 * A request is taken with 202 and a transaction id, decided 5 to 20 s later (booked: a charge or a reimbursement
 * stands in the ledger, or it was declined), and then the callback is made until it is taken. A request with a
 * known Idempotency-Key gets the first answer again and books nothing; when its callback was taken already, it is
 * made again, and in any case it goes where the last request wants it. A request without a key is a request of its own.
 * A reimbursement needs a charge of the same order that was booked and not given back yet; one that is still being
 * decided counts as given back, a declined one does not.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "foodsvc_codec.h"
#include "foodsvc_names.h"
#include "foodsvc_time.h"
#include "sim.h"
#include "sim_rand.h"

#define SIM_CARD_LOW    5000
#define SIM_CARD_HIGH   20000
/* A sum of doubles need not meet the sum it is compared with to the last bit. */
#define SIM_CENT        0.01

typedef struct {
    sim_t        *sim;
    sim_charge_t *charge;
} sim_card_step_t;

static void sim_card_due(void *arg, bool stopping);
static void sim_card_late(void *arg, bool stopping);

static void
sim_card_in(sim_t *sim, sim_charge_t *charge, int64_t delay, sim_due_f due)
{
    sim_card_step_t *step = malloc(sizeof(*step));

    if (step == NULL) {
        worker_log(WORKER_LOG_ERROR, "out of memory: a callback is lost", worker_text("order", charge->order_id));
        return;
    }
    *step = (sim_card_step_t) { sim, charge };
    sim_sched_in(sim->sched, delay, due, step);
}

static void
sim_card_plan_locked(sim_t *sim, sim_charge_t *charge)
{
    int64_t time = sim_between((uint64_t) sim->conf.seed, charge->transaction_id, "card", SIM_CARD_LOW, SIM_CARD_HIGH);

    sim_card_in(sim, charge, sim_scaled_locked(sim, time), sim_card_due);
}

static unsigned
sim_card_products_locked(const sim_t *sim, const sim_charge_t *charge)
{
    const sim_order_t *order = sim_map_get(&sim->orders, charge->order_id);

    return order == NULL ? 0 : order->products;
}

static void
sim_card_call_body(sim_t *sim, sim_charge_t *charge, char *body, bool tracked)
{
    if (body == NULL) {
        worker_log(WORKER_LOG_ERROR, "out of memory: a callback is lost", worker_text("order", charge->order_id));
        return;
    }
    if (tracked) {
        charge->calling = true;
    }
    sim_callback_send(sim->callback, charge->callback_url, body, tracked ? charge : NULL);
}

static void
sim_card_call_locked(sim_t *sim, sim_charge_t *charge, bool tracked)
{
    foodsvc_callback_t callback = { .status = charge->status };
    char               err[64];
    size_t             len;

    if (foodsvc_uuid_parse(charge->order_id, FOODSVC_UUID_TEXT, &callback.caller_id, err, sizeof(err))
        && foodsvc_uuid_parse(charge->transaction_id, FOODSVC_UUID_TEXT, &callback.transaction_id, err, sizeof(err)))
    {
        sim_card_call_body(sim, charge, foodsvc_callback_json(&callback, &len), tracked);
    }
}

static void
sim_card_call_broken(sim_t *sim, sim_charge_t *charge, const sim_fate_t *fate)
{
    char *huge;

    if (fate->action == SIM_GARBAGE) {
        sim_card_call_body(sim, charge, strdup("{\"status\": \"paymentPaid\", \"caller"), false);
        return;
    }
    huge = malloc((size_t) fate->number + 1);
    if (huge != NULL) {
        memset(huge, 'x', (size_t) fate->number);
        huge[fate->number] = '\0';
    }
    sim_card_call_body(sim, charge, huge, false);
}

/* Makes the callback, or what the rules leave of it. */
static void
sim_card_answer_locked(sim_t *sim, sim_charge_t *charge)
{
    sim_fate_t fate = sim_rules_ask(sim->rules, "card.callback", charge->order_id,
                                    sim_card_products_locked(sim, charge));

    switch (fate.action) {
    case SIM_DROP:
        charge->called = true;
        return;
    case SIM_LATE:
    case SIM_REORDER:
        charge->calling = true;
        sim_card_in(sim, charge, fate.action == SIM_LATE ? fate.number : sim_scaled_locked(sim, SIM_CARD_HIGH),
                    sim_card_late);
        return;
    case SIM_DUPLICATE:
        sim_card_call_locked(sim, charge, false);
        break;
    case SIM_GARBAGE:
    case SIM_HUGE:
        sim_card_call_broken(sim, charge, &fate);
        break;
    default:
        break;
    }
    sim_card_call_locked(sim, charge, true);
}

static void
sim_card_late(void *arg, bool stopping)
{
    sim_card_step_t *step = arg;

    if (!stopping) {
        pthread_mutex_lock(&step->sim->lock);
        sim_card_call_locked(step->sim, step->charge, true);
        pthread_mutex_unlock(&step->sim->lock);
    }
    free(step);
}

static void
sim_card_book_locked(sim_t *sim, sim_charge_t *charge)
{
    sim_fate_t fate = sim_rules_ask(sim->rules, charge->reimburse ? "card.refund" : "card.pay", charge->order_id,
                                    sim_card_products_locked(sim, charge));

    charge->status = charge->reimburse ? FOODSVC_PAY_REIMBURSED : FOODSVC_PAY_PAID;
    if (fate.action == SIM_REFUSE) {
        charge->status = FOODSVC_PAY_FAILED;
    }
    charge->booked = true;
    charge->at = foodsvc_time_now();
    sim_journal_locked(sim, json_pack("{s:s, s:s, s:s, s:I}", "type", "booked", "transaction_id",
                                      charge->transaction_id,
                                      "status", foodsvc_payment_status_name(charge->status), "at",
                                      (json_int_t) charge->at));
}

static void
sim_card_due(void *arg, bool stopping)
{
    sim_card_step_t *step = arg;

    if (!stopping) {
        pthread_mutex_lock(&step->sim->lock);
        if (!step->charge->booked) {
            sim_card_book_locked(step->sim, step->charge);
        }
        if (!step->charge->calling) {
            sim_card_answer_locked(step->sim, step->charge);
        }
        pthread_mutex_unlock(&step->sim->lock);
    }
    free(step);
}

void
sim_card_called(sim_t *sim, sim_charge_t *charge, bool taken)
{
    pthread_mutex_lock(&sim->lock);
    charge->calling = false;
    charge->called = true;
    charge->taken = charge->taken || taken;
    sim_journal_locked(sim, json_pack("{s:s, s:s, s:b}", "type", "called", "transaction_id", charge->transaction_id,
                                      "taken",
                                      taken));
    pthread_mutex_unlock(&sim->lock);
}

char *
sim_card_address(sim_t *sim, const sim_charge_t *charge)
{
    char *url;

    pthread_mutex_lock(&sim->lock);
    url = strdup(charge->callback_url);
    pthread_mutex_unlock(&sim->lock);
    return url;
}

/* How much of the order's money is here and can be given back. */
static double
sim_card_balance_locked(const sim_t *sim, const char *order_id)
{
    double balance = 0;

    for (const sim_charge_t *c = sim_map_get(&sim->charges, order_id); c != NULL; c = c->next) {
        if (c->reimburse) {
            balance -= c->booked && c->status == FOODSVC_PAY_FAILED ? 0 : c->amount;
        } else if (c->booked && c->status == FOODSVC_PAY_PAID) {
            balance += c->amount;
        }
    }
    return balance;
}

static bool
sim_card_add_locked(sim_t *sim, sim_charge_t *charge)
{
    sim_charge_t *first = sim_map_get(&sim->charges, charge->order_id);

    if (sim->nledger == sim->ledger_room) {
        size_t         room = sim->ledger_room ? sim->ledger_room * 2 : 256;
        sim_charge_t **ledger = realloc(sim->ledger, room * sizeof(*ledger));

        if (ledger == NULL) {
            return false;
        }
        sim->ledger = ledger;
        sim->ledger_room = room;
    }
    if (!sim_map_put(&sim->transactions, charge->transaction_id, charge)
        || (charge->key[0] != '\0' && !sim_map_put(&sim->keys, charge->key, charge))
        || (first == NULL && !sim_map_put(&sim->charges, charge->order_id, charge)))
    {
        return false;
    }
    for (; first != NULL; first = first->next) {
        if (first->next == NULL) {
            first->next = charge;
            break;
        }
    }
    sim->ledger[sim->nledger++] = charge;
    return true;
}

static sim_charge_t *
sim_charge_new(const sim_billing_t *billing)
{
    sim_charge_t *charge = calloc(1, sizeof(*charge));

    if (charge == NULL) {
        return NULL;
    }
    charge->reimburse = billing->reimburse;
    charge->amount = billing->amount;
    charge->at = foodsvc_time_now();
    snprintf(charge->order_id, sizeof(charge->order_id), "%s", billing->order_id);
    charge->key = strdup(billing->key);
    charge->callback_url = strdup(billing->callback_url);
    if (charge->key == NULL || charge->callback_url == NULL) {
        sim_charge_free(charge);
        return NULL;
    }
    return charge;
}

/* The how-manieth of the order gives the transaction its id, so that a run can be repeated. */
static sim_charge_t *
sim_card_take_locked(sim_t *sim, const sim_billing_t *billing)
{
    sim_charge_t   *charge = sim_charge_new(billing);
    foodsvc_uuid_t  id;
    uint64_t        count = 0;

    if (charge == NULL) {
        return NULL;
    }
    for (const sim_charge_t *c = sim_map_get(&sim->charges, billing->order_id); c != NULL; c = c->next) {
        count++;
    }
    sim_uuid((uint64_t) sim->conf.seed, billing->order_id, FOODSVC_CARD_COMPANY, count, &id);
    foodsvc_uuid_format(&id, charge->transaction_id);
    if (!sim_card_add_locked(sim, charge)) {
        sim_charge_free(charge);
        return NULL;
    }
    sim_journal_locked(sim, json_pack("{s:s, s:b, s:s, s:f, s:I, s:s, s:s, s:s}", "type", "charge", "reimburse",
                                      charge->reimburse, "order_id", charge->order_id, "amount", charge->amount, "at",
                                      (json_int_t) charge->at, "transaction_id", charge->transaction_id, "key",
                                      charge->key,
                                      "callback_url", charge->callback_url));
    return charge;
}

/* PaymentService has moved: a callback that waits would be sent to where it was for ever. */
static void
sim_card_readdress_locked(sim_charge_t *charge, const char *url)
{
    char *copy = strdup(url);

    if (copy == NULL) {
        worker_log(WORKER_LOG_ERROR, "out of memory: a callback keeps its address",
                   worker_text("order", charge->order_id));
        return;
    }
    free(charge->callback_url);
    charge->callback_url = copy;
}

static int
sim_card_repeat_locked(sim_t *sim, sim_charge_t *charge, const sim_billing_t *billing, char *err, size_t errlen)
{
    if (charge->reimburse != billing->reimburse || strcmp(charge->order_id, billing->order_id) != 0
        || charge->amount != billing->amount)
    {
        snprintf(err, errlen, "Idempotency-Key was used for another request before");
        return 422;
    }
    if (strcmp(charge->callback_url, billing->callback_url) != 0) {
        sim_card_readdress_locked(charge, billing->callback_url);
        sim_journal_locked(sim, json_pack("{s:s, s:s, s:s}", "type", "address", "transaction_id",
                                          charge->transaction_id, "callback_url", charge->callback_url));
    }
    if (charge->booked && charge->called && !charge->calling) {
        charge->calling = true;
        sim_card_in(sim, charge, sim_scaled_locked(sim, SIM_CARD_LOW), sim_card_late);
    }
    return 0;
}

int
sim_card_bill(sim_t *sim, const sim_billing_t *billing, char transaction_id[FOODSVC_UUID_TEXT + 1], char *err,
              size_t errlen)
{
    sim_charge_t *charge;
    int           status = 0;

    pthread_mutex_lock(&sim->lock);
    charge = billing->key[0] != '\0' ? sim_map_get(&sim->keys, billing->key) : NULL;
    if (charge != NULL) {
        status = sim_card_repeat_locked(sim, charge, billing, err, errlen);
    } else if (billing->reimburse && billing->amount > sim_card_balance_locked(sim, billing->order_id) + SIM_CENT) {
        snprintf(err, errlen, "Nothing to reimburse: this was not charged, or was given back already");
        status = 400;
    } else {
        charge = sim_card_take_locked(sim, billing);
        if (charge == NULL) {
            snprintf(err, errlen, "Out of memory");
            status = 500;
        } else {
            sim_card_plan_locked(sim, charge);
        }
    }
    if (status == 0) {
        memcpy(transaction_id, charge->transaction_id, FOODSVC_UUID_TEXT + 1);
    }
    pthread_mutex_unlock(&sim->lock);
    return status;
}

json_t *
sim_card_ledger(sim_t *sim, const char *order_id)
{
    json_t *charges = json_array(), *back = json_array(), *declined = json_array(), *pending = json_array();

    pthread_mutex_lock(&sim->lock);
    for (size_t i = 0; i < sim->nledger; i++) {
        const sim_charge_t *c = sim->ledger[i];
        char                when[FOODSVC_TIME_TEXT + 1];
        json_t             *entry;

        if (order_id != NULL && strcmp(order_id, c->order_id) != 0) {
            continue;
        }
        entry = json_pack("{s:s, s:f, s:s, s:s, s:s, s:s, s:b}", "order_id", c->order_id, "amount", c->amount, "at",
                          foodsvc_time_format(c->at, when), "idempotency_key", c->key, "transaction_id",
                          c->transaction_id,
                          "status", c->booked ? foodsvc_payment_status_name(c->status) : "pending", "called",
                          c->taken);
        json_array_append_new(!c->booked ? pending : c->status == FOODSVC_PAY_FAILED ? declined
                              : c->reimburse ? back : charges, entry);
    }
    pthread_mutex_unlock(&sim->lock);
    return json_pack("{s:o, s:o, s:o, s:o}", "charges", charges, "reimbursements", back, "declined", declined,
                     "pending",
                     pending);
}

void
sim_card_restore_locked(sim_t *sim, const char *type, const json_t *line)
{
    const char    *transaction_id = json_string_value(json_object_get(line, "transaction_id"));
    const char    *order_id = json_string_value(json_object_get(line, "order_id"));
    const char    *key = json_string_value(json_object_get(line, "key"));
    const char    *url = json_string_value(json_object_get(line, "callback_url"));
    const char    *status = json_string_value(json_object_get(line, "status"));
    sim_charge_t  *charge;

    if (transaction_id == NULL) {
        return;
    }
    if (strcmp(type, "charge") == 0 && order_id != NULL && key != NULL && url != NULL) {
        sim_billing_t billing = { json_is_true(json_object_get(line, "reimburse")),
                                  json_number_value(json_object_get(line, "amount")), order_id, url, key };

        charge = sim_charge_new(&billing);
        if (charge != NULL) {
            snprintf(charge->transaction_id, sizeof(charge->transaction_id), "%s", transaction_id);
            charge->at = json_integer_value(json_object_get(line, "at"));
            if (!sim_card_add_locked(sim, charge)) {
                sim_charge_free(charge);
            }
        }
        return;
    }
    charge = sim_map_get(&sim->transactions, transaction_id);
    if (charge != NULL && strcmp(type, "booked") == 0 && status != NULL) {
        charge->booked = foodsvc_payment_status_parse(status, strlen(status), &charge->status);
        charge->at = json_integer_value(json_object_get(line, "at"));
    } else if (charge != NULL && strcmp(type, "called") == 0) {
        charge->called = true;
        charge->taken = charge->taken || json_is_true(json_object_get(line, "taken"));
    } else if (charge != NULL && strcmp(type, "address") == 0 && url != NULL) {
        sim_card_readdress_locked(charge, url);
    }
}

void
sim_card_resume(sim_t *sim)
{
    pthread_mutex_lock(&sim->lock);
    for (size_t i = 0; i < sim->nledger; i++) {
        if (!sim->ledger[i]->called) {
            sim_card_plan_locked(sim, sim->ledger[i]);
        }
    }
    pthread_mutex_unlock(&sim->lock);
}

void
sim_charge_free(sim_charge_t *charge)
{
    if (charge != NULL) {
        free(charge->key);
        free(charge->callback_url);
        free(charge);
    }
}
