/* The payment's document in MongoDB. */
#include "unit.h"
#include "foodsvc_codec.h"

#define ID          "06b0413f-be90-7667-8000-f556e421c97a"
#define CUSTOMER    "53c5711d-f5d4-45eb-8651-f0ba9092ba0d"
#define METADATA    "{\"receiver\":\"OrderService\",\"order_id\":\"" ID "\",\"customer_id\":\"" CUSTOMER "\"}"
#define NOW         "{\"$date\":{\"$numberLong\":\"1795429372053\"}}"
#define NINE(x)     x "," x "," x "," x "," x "," x "," x "," x "," x
#define START       "{\"_id\":\"" ID "\",\"metadata\":" METADATA ",\"status\":\"pending\",\"created\":" NOW

static foodsvc_payment_t *read_json(const char *extended, char err[FOODSVC_ERR])
{
    bson_error_t       error;
    bson_t            *doc = bson_new_from_json((const uint8_t *) extended, -1, &error);
    foodsvc_payment_t *payment;

    if (doc == NULL) {
        fail_msg("%s: %s", extended, error.message);
    }
    err[0] = '\0';
    payment = foodsvc_payment_from_bson(doc, err);
    bson_destroy(doc);
    return payment;
}

static void check_document(const foodsvc_payment_t *payment, const char *expected)
{
    bson_t  doc = BSON_INITIALIZER;
    char   *text;

    assert_true(foodsvc_payment_to_bson(payment, &doc));
    text = bson_as_canonical_extended_json(&doc, NULL);
    assert_string_equal(text, expected);
    bson_free(text);
    bson_destroy(&doc);
}

static void the_document(void **state)
{
    char               err[FOODSVC_ERR];
    foodsvc_payment_t *payment = read_json(START ",\"transaction_id\":"
        "{\"$binary\":{\"base64\":\"BrBBP8DZcdSAAMmJXyhs8A==\",\"subType\":\"04\"}},\"note\":1,\"rev\":\"r\"}", err);

    assert_string_equal(err, "");
    assert_string_equal(payment->id, ID);
    assert_string_equal(payment->metadata.receiver, "OrderService");
    assert_true(payment->has_transaction_id);
    check_document(payment,
        "{ \"_id\" : \"" ID "\", \"metadata\" : { \"receiver\" : \"OrderService\", \"order_id\" : \"" ID "\", "
        "\"customer_id\" : \"" CUSTOMER "\" }, "
        "\"transaction_id\" : { \"$binary\" : { \"base64\" : \"BrBBP8DZcdSAAMmJXyhs8A==\", \"subType\" : \"04\" } }, "
        "\"status\" : \"pending\", \"created\" : { \"$date\" : { \"$numberLong\" : \"1795429372053\" } } }");
    foodsvc_payment_free(payment);
}

static void our_own_fields(void **state)
{
    char               err[FOODSVC_ERR];
    foodsvc_payment_t *payment = read_json(START ",\"reimburse\":true,\"reimburse_taken\":true,"
        "\"outbox\":[{\"id\":\"e1\",\"status\":\"paymentPaid\",\"when\":" NOW "},"
        "{\"id\":\"e2\",\"status\":\"reimbursed\",\"when\":\"2026-11-23T10:22:53.053Z\"}]}", err);

    assert_string_equal(err, "");
    assert_false(payment->has_transaction_id);
    assert_true(payment->reimburse);
    assert_true(payment->reimburse_taken);
    assert_int_equal(payment->noutbox, 2);
    assert_string_equal(payment->outbox[0].id, "e1");
    assert_int_equal(payment->outbox[0].status, FOODSVC_PAYMENT_PAID);
    assert_true(payment->outbox[0].when == INT64_C(1795429372053));
    check_document(payment,
        "{ \"_id\" : \"" ID "\", \"metadata\" : { \"receiver\" : \"OrderService\", \"order_id\" : \"" ID "\", "
        "\"customer_id\" : \"" CUSTOMER "\" }, \"status\" : \"pending\", "
        "\"created\" : { \"$date\" : { \"$numberLong\" : \"1795429372053\" } }, \"reimburse\" : true, "
        "\"reimburse_taken\" : true, \"outbox\" : [ { \"id\" : \"e1\", \"status\" : \"paymentPaid\", "
        "\"when\" : { \"$date\" : { \"$numberLong\" : \"1795429372053\" } } }, "
        "{ \"id\" : \"e2\", \"status\" : \"reimbursed\", "
        "\"when\" : { \"$date\" : { \"$numberLong\" : \"1795429373053\" } } } ] }");
    foodsvc_payment_free(payment);
}

static void the_attempt(void **state)
{
    char               err[FOODSVC_ERR];
    foodsvc_payment_t *payment = read_json(START ",\"amount\":6,\"attempt\":{\"by\":\"me\",\"until\":" NOW "},"
        "\"asked\":" NOW ",\"ask_until\":" NOW ",\"attempts\":2,\"refused\":400,\"reimburse_refused\":1}", err);

    assert_string_equal(err, "");
    assert_true(payment->has_amount && payment->amount == 6);
    assert_string_equal(payment->attempt_by, "me");
    assert_true(payment->attempt_until == INT64_C(1795429372053));
    assert_true(payment->asked == INT64_C(1795429372053));
    assert_int_equal(payment->attempts, 2);
    assert_int_equal(payment->refused, 400);
    check_document(payment,
        "{ \"_id\" : \"" ID "\", \"metadata\" : { \"receiver\" : \"OrderService\", \"order_id\" : \"" ID "\", "
        "\"customer_id\" : \"" CUSTOMER "\" }, \"status\" : \"pending\", "
        "\"created\" : { \"$date\" : { \"$numberLong\" : \"1795429372053\" } }, "
        "\"reimburse_refused\" : { \"$numberInt\" : \"1\" }, \"amount\" : { \"$numberDouble\" : \"6.0\" }, "
        "\"attempt\" : { \"by\" : \"me\", \"until\" : { \"$date\" : { \"$numberLong\" : \"1795429372053\" } } }, "
        "\"asked\" : { \"$date\" : { \"$numberLong\" : \"1795429372053\" } }, "
        "\"ask_until\" : { \"$date\" : { \"$numberLong\" : \"1795429372053\" } }, "
        "\"attempts\" : { \"$numberInt\" : \"2\" }, \"refused\" : { \"$numberInt\" : \"400\" } }");
    foodsvc_payment_free(payment);
    payment = read_json(START ",\"amount\":null,\"attempt\":null,\"asked\":null,\"attempts\":null}", err);
    assert_false(payment->has_amount);
    assert_string_equal(payment->attempt_by, "");
    foodsvc_payment_free(payment);
}

static void other_forms(void **state)
{
    char               err[FOODSVC_ERR];
    foodsvc_payment_t *payment = read_json("{\"_id\":\"" ID "\",\"metadata\":" METADATA ",\"metadata\":" METADATA
        ",\"status\":\"reimbursed\",\"created\":\"2026-11-23 10:22:52.053\",\"transaction_id\":\"" CUSTOMER "\","
            "\"outbox\":null,"
        "\"reimburse\":null}", err);

    assert_string_equal(err, "");
    assert_true(payment->has_transaction_id);
    assert_int_equal(payment->status, FOODSVC_PAY_REIMBURSED);
    assert_true(payment->created == INT64_C(1795429372053));
    assert_int_equal(payment->noutbox, 0);
    assert_false(payment->reimburse);
    foodsvc_payment_free(payment);

    payment = read_json(START ",\"transaction_id\":null}", err);
    assert_false(payment->has_transaction_id);
    foodsvc_payment_free(payment);

    payment = read_json(START ",\"outbox\":{\"id\":\"e1\",\"status\":\"paymentPaid\"}}", err);  /* one mark */
    assert_int_equal(payment->noutbox, 1);
    assert_string_equal(payment->outbox[0].id, "e1");
    assert_true(payment->outbox[0].when == 0);
    foodsvc_payment_free(payment);
}

static void check_unreadable(const char *doc, const char *why)
{
    char err[FOODSVC_ERR];

    assert_null(read_json(doc, err));
    assert_string_equal(err, why);
}

static void no_document_at_all(void **state)
{
    bson_t empty;
    char   err[FOODSVC_ERR];

    memset(&empty, 0, sizeof(empty));
    assert_null(foodsvc_payment_from_bson(&empty, err));
    assert_string_equal(err, "it is no document");
}

static void documents_beyond_us(void **state)
{
    check_unreadable("{}", "_id is missing");
    check_unreadable("{\"_id\":1}", "_id is of another type");
    check_unreadable("{\"_id\":\"a\",\"_id\":\"b\"}", "_id is of another type");
    check_unreadable("{\"_id\":\"" ID "\",\"status\":\"pending\"}", "metadata is missing");
    check_unreadable("{\"_id\":\"" ID "\",\"metadata\":" METADATA "}", "status is missing");
    check_unreadable("{\"_id\":\"" ID "\",\"metadata\":1}", "metadata.receiver is of another type");
    check_unreadable("{\"_id\":\"" ID "\",\"metadata\":{\"receiver\":1}}", "metadata.receiver is of another type");
    check_unreadable("{\"_id\":\"" ID "\",\"metadata\":{\"receiver\":\"a\"}}", "metadata.order_id is of another type");
    check_unreadable("{\"_id\":\"" ID "\",\"metadata\":{\"receiver\":\"a\",\"order_id\":\"a\"}}",
                     "metadata.customer_id is of another type");
    check_unreadable("{\"_id\":\"" ID "\",\"status\":\"created\"}", "status is of another type");
    check_unreadable("{\"_id\":\"" ID "\",\"status\":1}", "status is of another type");
    check_unreadable("{\"_id\":\"" ID "\",\"created\":1}", "created is of another type");
    check_unreadable("{\"_id\":\"" ID "\",\"transaction_id\":1}", "transaction_id is of another type");
    check_unreadable(START ",\"outbox\":1}", "outbox.id is of another type");
    check_unreadable(START ",\"outbox\":{\"id\":\"\"}}", "outbox.id is of another type");
    check_unreadable(START ",\"outbox\":{\"id\":\"0123456789012345678901234567890123456789\"}}",
                     "outbox.id is of another type");
    check_unreadable(START ",\"outbox\":{\"id\":\"a\"}}", "outbox.status is of another type");
    check_unreadable(START ",\"outbox\":{\"id\":\"a\",\"status\":\"pending\"}}", "outbox.status is of another type");
    check_unreadable(START ",\"amount\":\"6\"}", "amount is of another type");
    check_unreadable(START ",\"amount\":-1}", "amount is of another type");
    check_unreadable(START ",\"amount\":{\"$numberDouble\":\"NaN\"}}", "amount is of another type");
    check_unreadable(START ",\"attempt\":1}", "attempt.by is of another type");
    check_unreadable(START ",\"attempt\":{\"by\":\"a\"}}", "attempt.until is of another type");
    check_unreadable(START ",\"asked\":1}", "asked is of another type");
    check_unreadable(START ",\"ask_until\":1}", "ask_until is of another type");
    check_unreadable(START ",\"attempts\":-1}", "attempts is of another type");
    check_unreadable(START ",\"refused\":\"x\"}", "refused is of another type");
    check_unreadable(START ",\"outbox\":[1]}", "outbox.id is of another type");
    check_unreadable(START ",\"outbox\":[{\"id\":\"a\",\"status\":\"paymentPaid\",\"when\":1}]}",
                     "outbox.when is of another type");
    check_unreadable(START ",\"outbox\":[" NINE("{\"id\":\"a\",\"status\":\"paymentPaid\"}") "]}",
                     "outbox has more than 8 marks");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_document),
        cmocka_unit_test(our_own_fields),
        cmocka_unit_test(the_attempt),
        cmocka_unit_test(other_forms),
        cmocka_unit_test(no_document_at_all),
        cmocka_unit_test(documents_beyond_us),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
