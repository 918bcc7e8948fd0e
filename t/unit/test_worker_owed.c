/* workers/common/owed.c: a payment that is owed is read before it is asked for. MongoDB's answers are the test's. */
#include "unit.h"
#include "foodsvc_time.h"
#include "owed.h"

#define TIMEOUT     2000        /* ms */

static foodsvc_store_rc_e answer;           /* of MongoDB */
static bool               foreign;
static int64_t            clock_ms = 1000000, read_ms;      /* a read takes so long */
static int64_t            claim_ms;                         /* the orders' claims last so long; 0: they have none */
static worker_http_rc_e   reached;                          /* PaymentService's answer */
static unsigned           nread, ncalled, nended[3];
static owed_t            *owed;

/* The linker sends the calls of owed.c here: see the Makefile. */
foodsvc_store_rc_e __wrap_foodsvc_store_payment_find(foodsvc_store_t *store, const char *id,
    foodsvc_payment_t **payment, char err[FOODSVC_ERR]);
const char *__wrap_worker_urls_find(worker_urls_t *urls, const char *name, char err[FOODSVC_ERR]);
bool __wrap_worker_http_call(worker_http_t *http, const worker_http_request_t *request);
int64_t __wrap_foodsvc_time_monotonic(void);
int64_t __wrap_foodsvc_time_now(void);

foodsvc_store_rc_e __wrap_foodsvc_store_payment_find(foodsvc_store_t *store, const char *id,
    foodsvc_payment_t **payment, char err[FOODSVC_ERR])
{
    (void) store;
    nread++;
    clock_ms += read_ms;
    snprintf(err, FOODSVC_ERR, "it is %s", id);
    *payment = NULL;
    if (answer == FOODSVC_STORE_OK) {
        *payment = foodsvc_payment_new();
        (*payment)->has_transaction_id = true;
        (*payment)->asked = foreign ? 0 : 1;
    }
    return answer;
}

const char *__wrap_worker_urls_find(worker_urls_t *urls, const char *name, char err[FOODSVC_ERR])
{
    (void) urls;
    (void) err;
    assert_string_equal(name, "PaymentService");
    return "http://127.0.0.1:1";
}

bool __wrap_worker_http_call(worker_http_t *http, const worker_http_request_t *request)
{
    worker_http_answer_t accepted = { .rc = reached, .status = 202, .body = "", .reason = "nobody there" };

    (void) http;
    ncalled++;
    request->done(request->ctx, &accepted);
    return true;
}

int64_t __wrap_foodsvc_time_monotonic(void)
{
    return clock_ms;
}

int64_t __wrap_foodsvc_time_now(void)
{
    return clock_ms;
}

static void ended(void *ctx, const owed_result_t *result)
{
    (void) ctx;
    nended[result->rc]++;
    assert_int_equal(result->reason[0] == '\0', result->rc == OWED_DONE);
}

/* So many orders owe their payment, in one round. */
static void run(unsigned orders)
{
    foodsvc_order_t *order = foodsvc_order_new();

    snprintf(order->id, sizeof(order->id), "01a20b50-90bd-7000-86a7-000000000001");
    order->claim_until = claim_ms != 0 ? clock_ms + claim_ms : 0;
    nread = ncalled = nended[OWED_DONE] = nended[OWED_LATER] = nended[OWED_REFUSED] = 0;
    while (orders-- > 0) {
        assert_true(owed_start(owed, order, FOODSVC_OWES_PAYMENT, ended, NULL));
    }
    owed_run(owed);
    foodsvc_order_free(order);
}

static int begin(void **state)
{
    owed_conf_t conf = { .timeout_ms = TIMEOUT };

    (void) state;
    answer = FOODSVC_STORE_OK;
    foreign = false;
    read_ms = claim_ms = 0;
    reached = WORKER_HTTP_ANSWERED;
    owed = owed_open(&conf);
    return owed == NULL;
}

static int end(void **state)
{
    (void) state;
    owed_close(owed);
    return 0;
}

static void ours_or_none_is_asked_for(void **state)
{
    (void) state;
    run(3);
    assert_int_equal(ncalled, 3);
    answer = FOODSVC_STORE_NOT_FOUND;
    run(3);
    assert_int_equal(ncalled, 3);
    assert_int_equal(nended[OWED_DONE], 3);
}

static void what_another_may_have_asked_for_is_refused(void **state)
{
    (void) state;
    foreign = true;
    run(2);
    assert_int_equal(nended[OWED_REFUSED], 2);
    answer = FOODSVC_STORE_UNREADABLE;
    run(2);
    assert_int_equal(nended[OWED_REFUSED], 2);
    assert_int_equal(ncalled, 0);
}

static void without_mongodb_one_read_holds_up_a_round_and_no_more(void **state)
{
    (void) state;
    answer = FOODSVC_STORE_UNAVAILABLE;
    run(60);
    assert_int_equal(nread, 1);
    assert_int_equal(nended[OWED_LATER], 60);
    answer = FOODSVC_STORE_NOT_FOUND;       /* it is back */
    run(2);
    assert_int_equal(ncalled, 2);
}

static void one_that_fails_for_itself_does_not_hide_the_others(void **state)
{
    (void) state;
    answer = FOODSVC_STORE_FAILED;
    run(3);
    assert_int_equal(nread, 3);
    assert_int_equal(nended[OWED_LATER], 3);
}

static void slow_reads_end_a_round_but_what_was_read_is_asked_for(void **state)
{
    (void) state;
    read_ms = 200;
    run(60);
    assert_int_equal(nread, 3);
    assert_int_equal(ncalled, 3);
    assert_int_equal(nended[OWED_LATER], 57);
    read_ms = 3 * TIMEOUT;
    run(2);
    assert_int_equal(ncalled, 1);
}

static void nothing_is_asked_for_under_a_claim_that_ends_meanwhile(void **state)
{
    (void) state;
    claim_ms = 2 * TIMEOUT;
    read_ms = TIMEOUT + 1;
    run(1);
    assert_int_equal(nended[OWED_LATER], 1);
    assert_int_equal(ncalled, 0);
    read_ms = TIMEOUT;
    run(1);
    assert_int_equal(ncalled, 1);
    claim_ms = -1;                          /* one that had ended long ago: who asks does so without a claim */
    run(1);
    assert_int_equal(ncalled, 1);
}

static void nothing_is_read_for_a_service_that_is_away(void **state)
{
    (void) state;
    reached = WORKER_HTTP_UNREACHABLE;
    run(5);
    assert_int_equal(ncalled, 5);
    run(3);
    assert_int_equal(nread, 0);
    assert_int_equal(nended[OWED_LATER], 3);
    clock_ms += 60000;
    run(3);                                 /* one finds out */
    assert_int_equal(ncalled, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(ours_or_none_is_asked_for, begin, end),
        cmocka_unit_test_setup_teardown(what_another_may_have_asked_for_is_refused, begin, end),
        cmocka_unit_test_setup_teardown(without_mongodb_one_read_holds_up_a_round_and_no_more, begin, end),
        cmocka_unit_test_setup_teardown(one_that_fails_for_itself_does_not_hide_the_others, begin, end),
        cmocka_unit_test_setup_teardown(slow_reads_end_a_round_but_what_was_read_is_asked_for, begin, end),
        cmocka_unit_test_setup_teardown(nothing_is_asked_for_under_a_claim_that_ends_meanwhile, begin, end),
        cmocka_unit_test_setup_teardown(nothing_is_read_for_a_service_that_is_away, begin, end),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
