/*
 * workers/sweepd/relay.c and overdue.c: where a look begins that follows one which MongoDB refused, and refunds that
 * nobody can ask for. MongoDB's answers are the test's.
 */
#include "unit.h"
#include "../../workers/sweepd/sweepd.h"
#include "foodsvc_time.h"
#include "worker_log.h"

#define PLACE       5000        /* where a page ends */
#define REFUNDS     "the card company has not reported, and the order owes no refund: it is not asked again"
#define ASKED       "the card company has not reported, it is asked again"

static sweepd_t            sweepd;
static int64_t             after[2];        /* where the last look began, by `ahead` */
static foodsvc_store_rc_e  answer;          /* to the next look at what is not ahead */
static int64_t             next;            /* and where its page ends */
static foodsvc_status_e    is;              /* the orders' status */
static unsigned            nbegun, nrefunds, nasked, nwarned;

/* The linker sends the calls of sweepd's parts here: see the Makefile. */
void __wrap_foodsvc_store_outbox_due(foodsvc_store_t *store, foodsvc_store_due_t *due);
void __wrap_foodsvc_store_payments_pending(foodsvc_store_t *store, foodsvc_store_due_t *due);
void __wrap_foodsvc_store_orders_find(foodsvc_store_t *store, foodsvc_store_order_op_t *ops[], size_t nops);
bool __wrap_worker_amqp_connected(const worker_amqp_t *amqp);
size_t __wrap_worker_http_in_flight(const worker_http_t *http);
void __wrap_worker_log_write(worker_log_level_e level, const char *message, const worker_log_field_t *fields);

static void give(foodsvc_store_due_t *due)
{
    after[due->ahead] = due->after;
    due->rc = due->ahead ? FOODSVC_STORE_OK : answer;
    due->next = due->ahead || answer != FOODSVC_STORE_OK ? 0 : next;
}

void __wrap_foodsvc_store_outbox_due(foodsvc_store_t *store, foodsvc_store_due_t *due)
{
    (void) store;
    give(due);
}

/* Each look finds a refund that was asked for an hour ago, when `is` says what its order is. */
void __wrap_foodsvc_store_payments_pending(foodsvc_store_t *store, foodsvc_store_due_t *due)
{
    (void) store;
    give(due);
    if (is != FOODSVC_CREATED && !due->ahead) {
        foodsvc_payment_t *payment = foodsvc_payment_new();
        int64_t            now = foodsvc_time_now();

        payment->id = strdup("01a20b50-90bd-7000-86a7-000000000001");
        payment->status = FOODSVC_PENDING;
        payment->reimburse = payment->reimburse_taken = true;
        payment->created = payment->asked = now - 3600000;
        payment->ask_until = now + 3600000;
        due->payments = calloc(1, sizeof(due->payments[0]));
        due->payments[due->npayments++] = payment;
    }
}

void __wrap_foodsvc_store_orders_find(foodsvc_store_t *store, foodsvc_store_order_op_t *ops[], size_t nops)
{
    (void) store;
    for (size_t i = 0; i < nops; i++) {
        ops[i]->order = foodsvc_order_new();
        assert_true(foodsvc_order_add_step(ops[i]->order, FOODSVC_PAYMENT_PAID, 1));
        assert_true(foodsvc_order_add_step(ops[i]->order, FOODSVC_ORDER_CANCELLED, 2));
        if (is != FOODSVC_ORDER_CANCELLED) {
            assert_true(foodsvc_order_add_step(ops[i]->order, is, 3));
        }
        ops[i]->order->status = is;
        ops[i]->order->settled = FOODSVC_OWES_DELIVERY_CANCEL | FOODSVC_OWES_REIMBURSEMENT;
        ops[i]->rc = FOODSVC_STORE_OK;
    }
}

bool __wrap_worker_amqp_connected(const worker_amqp_t *amqp)
{
    (void) amqp;
    return true;
}

size_t __wrap_worker_http_in_flight(const worker_http_t *http)
{
    (void) http;
    return 0;
}

void __wrap_worker_log_write(worker_log_level_e level, const char *message, const worker_log_field_t *fields)
{
    (void) fields;
    nwarned += level >= WORKER_LOG_WARN;
    nrefunds += strcmp(message, REFUNDS) == 0;
    nasked += strcmp(message, ASKED) == 0;
}

/* What work.c would do. */
bool work_exists(const sweepd_t *one, const char *id)
{
    (void) one;
    (void) id;
    return false;
}

bool work_begin(sweepd_t *one, const char *id, foodsvc_status_e status, int64_t since, bool paid_again)
{
    (void) one;
    (void) id;
    (void) status;
    (void) since;
    nbegun += paid_again;
    return true;
}

static int clean(void **state)
{
    (void) state;
    memset(&sweepd, 0, sizeof(sweepd));
    sweepd.conf.interval = 100;
    sweepd.conf.age_outbox = 1000;
    sweepd.conf.age_callback = 40000;
    sweepd.conf.orders = 10;
    answer = FOODSVC_STORE_OK;
    next = 0;
    is = FOODSVC_CREATED;
    nbegun = nrefunds = nasked = nwarned = 0;
    return 0;
}

/* The clock went back, or the age has grown: the place lies behind the end. */
static void look_and_be_refused(void (*run)(sweepd_t *one), int64_t *when)
{
    next = PLACE;
    run(&sweepd);
    answer = FOODSVC_STORE_FAILED;
    *when = 0;
    run(&sweepd);
    assert_int_equal(after[false], PLACE);
    assert_int_equal(nwarned, 1);
}

static void a_round_of_events_that_was_refused_begins_anew(void **state)
{
    (void) state;
    look_and_be_refused(relay_run, &sweepd.relay_next);
    sweepd.relay_next = 0;
    relay_run(&sweepd);
    assert_int_equal(after[false], 0);
}

static void a_look_at_payments_that_was_refused_is_told_and_begins_anew_soon(void **state)
{
    (void) state;
    look_and_be_refused(overdue_run, &sweepd.overdue_next);
    assert_in_range(sweepd.overdue_next, 1, (uintmax_t) (foodsvc_time_monotonic() + sweepd.conf.interval));
    sweepd.overdue_next = 0;
    overdue_run(&sweepd);
    assert_int_equal(after[false], 0);
    /* It was not the place: no sooner than any other. */
    assert_true(sweepd.overdue_next > foodsvc_time_monotonic() + sweepd.conf.interval);
}

static void a_place_is_kept_while_mongodb_is_away(void **state)
{
    (void) state;
    next = PLACE;
    overdue_run(&sweepd);
    answer = FOODSVC_STORE_UNAVAILABLE;
    sweepd.overdue_next = 0;
    overdue_run(&sweepd);
    assert_int_equal(sweepd.overdue_after[false], PLACE);
}

static void look_at(foodsvc_status_e status)
{
    is = status;
    for (int i = 0; i < 3; i++) {
        sweepd.overdue_next = 0;
        overdue_run(&sweepd);
    }
}

static void a_refund_whose_order_waits_for_it_is_owed_again(void **state)
{
    (void) state;
    look_at(FOODSVC_ORDER_CANCELLED);
    assert_int_equal(nbegun, 3);
    assert_int_equal(nasked, 3);
    assert_int_equal(nrefunds, 0);
}

static void a_refund_whose_order_is_reimbursed_is_told_once(void **state)
{
    (void) state;
    look_at(FOODSVC_REIMBURSED);
    assert_int_equal(nbegun, 0);
    assert_int_equal(nasked, 0);
    assert_int_equal(nrefunds, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(a_round_of_events_that_was_refused_begins_anew, clean),
        cmocka_unit_test_setup(a_look_at_payments_that_was_refused_is_told_and_begins_anew_soon, clean),
        cmocka_unit_test_setup(a_place_is_kept_while_mongodb_is_away, clean),
        cmocka_unit_test_setup(a_refund_whose_order_waits_for_it_is_owed_again, clean),
        cmocka_unit_test_setup(a_refund_whose_order_is_reimbursed_is_told_once, clean)
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
