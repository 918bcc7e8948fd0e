/* workers/common/owed.c: a payment that is owed is read before it is asked for. MongoDB's answers are the test's. */
#include "unit.h"
#include "foodsvc_time.h"
#include "owed.h"

#define TIMEOUT     2000        /* ms */

static foodsvc_store_rc_e answer;           /* of MongoDB */
static bool               foreign;
static int64_t            clock_ms, read_ms;    /* a read takes so long */
static unsigned           nread, ncalled, nended[3];

/* The linker sends the calls of owed.c here: see the Makefile. */
foodsvc_store_rc_e __wrap_foodsvc_store_payment_find(foodsvc_store_t *store, const char *id,
    foodsvc_payment_t **payment, char err[FOODSVC_ERR]);
const char *__wrap_worker_urls_find(worker_urls_t *urls, const char *name, char err[FOODSVC_ERR]);
bool __wrap_worker_http_call(worker_http_t *http, const worker_http_request_t *request);
int64_t __wrap_foodsvc_time_monotonic(void);

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
    worker_http_answer_t accepted = { .rc = WORKER_HTTP_ANSWERED, .status = 202, .body = "", .reason = "" };

    (void) http;
    ncalled++;
    request->done(request->ctx, &accepted);
    return true;
}

int64_t __wrap_foodsvc_time_monotonic(void)
{
    return clock_ms;
}

static void ended(void *ctx, const owed_result_t *result)
{
    (void) ctx;
    nended[result->rc]++;
    assert_int_equal(result->reason[0] == '\0', result->rc == OWED_DONE);
}

/* So many orders owe their payment. */
static void run(unsigned orders)
{
    owed_conf_t      conf = { .timeout_ms = TIMEOUT };
    owed_t          *owed = owed_open(&conf);
    foodsvc_order_t *order = foodsvc_order_new();

    assert_non_null(owed);
    snprintf(order->id, sizeof(order->id), "01a20b50-90bd-7000-86a7-000000000001");
    nread = ncalled = nended[OWED_DONE] = nended[OWED_LATER] = nended[OWED_REFUSED] = 0;
    while (orders-- > 0) {
        assert_true(owed_start(owed, order, FOODSVC_OWES_PAYMENT, ended, NULL));
    }
    owed_run(owed);
    foodsvc_order_free(order);
    owed_close(owed);
}

static int begin(void **state)
{
    (void) state;
    answer = FOODSVC_STORE_OK;
    foreign = false;
    read_ms = 0;
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

static void one_that_cannot_be_read_holds_up_the_loop_and_no_more(void **state)
{
    (void) state;
    answer = FOODSVC_STORE_UNAVAILABLE;
    run(60);
    assert_int_equal(nread, 1);
    assert_int_equal(nended[OWED_LATER], 60);
    answer = FOODSVC_STORE_FAILED;
    run(2);
    assert_int_equal(nended[OWED_LATER], 2);
    assert_int_equal(ncalled, 0);
}

/* Two calls' time is what a claim is good for; the call itself takes one. */
static void reads_take_no_more_of_the_claim_than_a_call_may(void **state)
{
    (void) state;
    read_ms = TIMEOUT / 4;
    run(60);
    assert_int_equal(nread, 4);
    assert_int_equal(ncalled, 3);
    assert_int_equal(nended[OWED_LATER], 57);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(ours_or_none_is_asked_for, begin),
        cmocka_unit_test_setup(what_another_may_have_asked_for_is_refused, begin),
        cmocka_unit_test_setup(one_that_cannot_be_read_holds_up_the_loop_and_no_more, begin),
        cmocka_unit_test_setup(reads_take_no_more_of_the_claim_than_a_call_may, begin),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
