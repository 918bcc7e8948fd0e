/* What we send to the partners, what we take from their answers, and that no card's number gets out. */
#include "unit.h"
#include "foodsvc_codec.h"
#include "foodsvc_names.h"
#include "foodsvc_time.h"

#define ID      "53c5711d-f5d4-45eb-8651-f0ba9092ba0d"
#define CARD    "{\"CVV\":\"123\",\"Bank\":\"b\",\"Name\":\"n\",\"Expiry\":\"e\",\"Address\":\"a\",\"Country\":\"c\"," \
                "\"MoneyRange\":\"m\",\"CardNumber\":\"4111111111111111\",\"IssuingNetwork\":\"i\"}"

static const foodsvc_json_limits_t limits = { 4096, 8 };

static void check_text(char *text, size_t len, const char *expected)
{
    assert_string_equal(text, expected);
    assert_int_equal(len, strlen(expected));
    free(text);
}

static void what_we_send(void **state)
{
    foodsvc_item_t     items[] = { { (char *) "Lasagna", 2 }, { (char *) "Double \"C\"", 1 } };
    foodsvc_metadata_t metadata = { (char *) "OrderService", (char *) "o", (char *) "c" };
    json_t            *address = json_pack("{s: s}", "city", "Basel");
    char              *text;
    size_t             len;

    text = foodsvc_items_json(items, 2, &len);
    check_text(text, len, "[{\"product\":\"Lasagna\",\"quantity\":2},{\"product\":\"Double \\\"C\\\"\","
                          "\"quantity\":1}]");
    text = foodsvc_request_json(items, 1, &metadata, NULL, &len);
    check_text(text, len, "{\"items\":[{\"product\":\"Lasagna\",\"quantity\":2}],"
                          "\"metadata\":{\"receiver\":\"OrderService\","
                          "\"order_id\":\"o\",\"customer_id\":\"c\"}}");
    text = foodsvc_request_json(items, 0, &metadata, address, &len);
    check_text(text, len, "{\"items\":[],\"metadata\":{\"receiver\":\"OrderService\",\"order_id\":\"o\","
                          "\"customer_id\":\"c\"},"
                          "\"address\":{\"city\":\"Basel\"}}");
    json_decref(address);
}

static json_t *billing(const char *body, char err[FOODSVC_ERR])
{
    err[0] = '\0';
    return foodsvc_billing_parse(body, strlen(body), &limits, err);
}

static void billings(void **state)
{
    char    err[FOODSVC_ERR], *text;
    size_t  len;
    json_t *answer = billing("{\"amount\":19.99,\"billing_info\":" CARD ",\"more\":1}", err);

    text = foodsvc_billing_payload_json(answer, 6.25, "https://127.0.0.1:8001/v1/payments/callback", ID, &len);
    check_text(text, len, "{\"callback_url\":\"https://127.0.0.1:8001/v1/payments/callback\",\"billing_info\":" CARD
                          ",\"amount\":6.25,\"caller_id\":\"" ID "\"}");
    json_decref(answer);
    answer = billing("{\"amount\":5,\"billing_info\":" CARD "}", err);
    assert_non_null(answer);
    json_decref(answer);
}

static void check_bad_billing(const char *body, const char *why)
{
    char err[FOODSVC_ERR];

    assert_null(billing(body, err));
    assert_string_equal(err, why);
}

static void billings_that_are_none(void **state)
{
    static const char no_amount[] = "amount is missing or no number above 0";

    check_bad_billing("", "the answer cannot be read: it is empty");
    check_bad_billing("{\"CardNumber\":\"4111111111111111",
                      "the answer cannot be read: it is no JSON: Expecting value at byte 31");
    check_bad_billing("[]", "the answer is no object");
    check_bad_billing("{\"billing_info\":" CARD "}", no_amount);
    check_bad_billing("{\"amount\":0,\"billing_info\":" CARD "}", no_amount);
    check_bad_billing("{\"amount\":-1.5,\"billing_info\":" CARD "}", no_amount);
    check_bad_billing("{\"amount\":\"5\",\"billing_info\":" CARD "}", no_amount);
    check_bad_billing("{\"amount\":true,\"billing_info\":" CARD "}", no_amount);
    check_bad_billing("{\"amount\":5}", "billing_info is missing or no object");
    check_bad_billing("{\"amount\":5,\"billing_info\":[]}", "billing_info is missing or no object");
    check_bad_billing("{\"amount\":5,\"billing_info\":{\"CVV\":\"1\",\"Bank\":4111111111111111}}",
                      "billing_info.Bank is missing or no string");
}

static void addresses(void **state)
{
    static const char good[] = "{\"name\":\"n\",\"city\":\"c\",\"street\":\"s\",\"zipcode\":\"z\"}";
    static const char bad[] = "{\"name\":\"n\",\"city\":\"c\",\"street\":\"s\",\"zipcode\":4000}";
    char              err[FOODSVC_ERR];
    json_t           *address = foodsvc_address_parse(good, strlen(good), &limits, err);

    assert_string_equal(json_string_value(json_object_get(address, "city")), "c");
    json_decref(address);
    assert_null(foodsvc_address_parse(bad, strlen(bad), &limits, err));
    assert_string_equal(err, "zipcode is missing or no string");
    assert_null(foodsvc_address_parse("x", 1, &limits, err));
}

static bool scheduled(const char *service, const char *body, foodsvc_change_t *change, char err[FOODSVC_ERR])
{
    return foodsvc_scheduled_parse(service, body, strlen(body), &limits, change, err);
}

static void schedules(void **state)
{
    foodsvc_change_t change;
    char             err[FOODSVC_ERR], id[FOODSVC_UUID_TEXT + 1];
    int64_t          before = foodsvc_time_now();

    assert_true(scheduled(FOODSVC_DELIVERY_SERVICE, "{\"delivery_id\":\"" ID "\",\"status\":\"deliveryScheduled\"}",
                          &change, err));
    assert_int_equal(change.kind, FOODSVC_CHANGE_EVENT);
    assert_int_equal(change.status, FOODSVC_DELIVERY_SCHEDULED);
    assert_true(change.has_delivery_id && !change.has_kitchen_id && change.when >= before);
    assert_string_equal(foodsvc_uuid_format(&change.delivery_id, id), ID);

    assert_true(scheduled(FOODSVC_KITCHEN_SERVICE, "{\"kitchen_id\":\"" ID "\",\"status\":\"cookingScheduled\"}",
                          &change, err));
    assert_true(change.has_kitchen_id && !change.has_delivery_id);
    assert_string_equal(foodsvc_uuid_format(&change.kitchen_id, id), ID);

    assert_false(scheduled(FOODSVC_KITCHEN_SERVICE, "{\"delivery_id\":\"" ID "\",\"status\":\"cookingScheduled\"}",
                           &change, err));
    assert_string_equal(err, "kitchen_id is missing or no UUID");
    assert_false(scheduled(FOODSVC_DELIVERY_SERVICE, "{\"delivery_id\":\"x\"}", &change, err));
    assert_string_equal(err, "delivery_id is missing or no UUID");
    assert_false(scheduled(FOODSVC_DELIVERY_SERVICE, "{\"delivery_id\":\"" ID "\"}", &change, err));
    assert_string_equal(err, "status is missing or unknown");
    assert_false(scheduled(FOODSVC_DELIVERY_SERVICE, "{\"delivery_id\":\"" ID "\",\"status\":\"x\"}", &change, err));
    assert_string_equal(err, "status is missing or unknown");
    assert_false(scheduled(FOODSVC_DELIVERY_SERVICE, "oops", &change, err));
}

static void who_schedules_does_not_end_an_order(void **state)
{
    static const char *const statuses[] = { "reimbursed", "orderCancelled", "paymentFailed" };
    foodsvc_change_t         change;
    char                     body[160], err[FOODSVC_ERR];

    for (size_t i = 0; i < COUNT(statuses); i++) {
        snprintf(body, sizeof(body), "{\"delivery_id\":\"" ID "\",\"kitchen_id\":\"" ID "\",\"status\":\"%s\"}",
                 statuses[i]);
        assert_false(scheduled(FOODSVC_DELIVERY_SERVICE, body, &change, err));
        assert_string_equal(err, "status is none that this service gives");
        assert_false(scheduled(FOODSVC_KITCHEN_SERVICE, body, &change, err));
    }
    assert_true(scheduled(FOODSVC_DELIVERY_SERVICE, "{\"delivery_id\":\"" ID "\",\"status\":\"created\"}", &change,
                          err));
}

static void transactions_and_health(void **state)
{
    foodsvc_uuid_t uuid;
    char           err[FOODSVC_ERR];

    assert_true(foodsvc_transaction_parse("{\"transaction_id\":\"" ID "\"}", 57, &limits, &uuid, err));
    assert_false(foodsvc_transaction_parse("{}", 2, &limits, &uuid, err));
    assert_string_equal(err, "transaction_id is missing or no UUID");
    assert_false(foodsvc_transaction_parse("", 0, &limits, &uuid, err));

    assert_true(foodsvc_health_parse("{\"status\":true}", 15, &limits));
    assert_false(foodsvc_health_parse("{\"status\":false}", 16, &limits));
    assert_false(foodsvc_health_parse("{\"status\":1}", 12, &limits));
    assert_false(foodsvc_health_parse("{}", 2, &limits));
    assert_false(foodsvc_health_parse("<html>", 6, &limits));
}

static void details_of_errors(void **state)
{
    static const char own[] = "CustomerService answered 404";
    static const struct {
        const char *detail;
        bool        passed;
    } cases[] = {
        { "Customer not found", true },
        { "order_id '" ID "' not found", true },
        { "ids 01234567-0123-7123-8123-012345678901 and 01234567-0123-7123-8123-012345678901", true },
        { "Gr\xC3\xBC\xC3\x9F" "e, 12345678901", true },
        { "2026-11-23 10:22:51", true },
        { "", false },
        { "card 4111111111111111", false },
        { "card 4111 1111 1111 1111", false },
        { "card 4111-1111-1111", false },
        { "card 4111.1111.1111.1111", false },
        { "card 4111/1111/1111_1111", false },
        { "card 4111111111111111-f5d4-45eb-8651-f0ba9092ba0d", false },      /* no UUID, though it ends as one */
        { "23.11.2026 10:22:51.910, 127.0.0.1:8005", true },
        { "01234567-0123-7123-8123-0123456789012", false },
        { "01234567-0123", false },
        { "01234567-0123-7123-8123-0123456789zz", false },
        { "two\nlines", false },
        { "\x7F", false },
        { "\xC2\x85", false },
    };
    char *text;

    for (size_t i = 0; i < COUNT(cases); i++) {
        json_t *body = json_pack("{s: s}", "detail", cases[i].detail);
        size_t  len;
        char   *json = foodsvc_json_dump(body, &len);

        text = foodsvc_error_detail("CustomerService", 404, json, len);
        assert_string_equal(text, cases[i].passed ? cases[i].detail : own);
        free(text);
        free(json);
        json_decref(body);
    }
}

static void answers_without_a_detail(void **state)
{
    static const char *const bodies[] = {
        "", "<html>4111111111111111</html>", "[]", "{}", "{\"detail\":[{\"msg\":\"4111111111111111\"}]}",
        "{\"detail\":null}"
    };
    char large[700], *text;

    for (size_t i = 0; i < COUNT(bodies); i++) {
        text = foodsvc_error_detail("KitchenService", 500, bodies[i], strlen(bodies[i]));
        assert_string_equal(text, "KitchenService answered 500");
        free(text);
    }
    snprintf(large, sizeof(large), "{\"detail\":\"%0600d\"}", 0);
    memset(large + 11, 'x', 600);
    text = foodsvc_error_detail("KitchenService", 500, large, strlen(large));
    assert_string_equal(text, "KitchenService answered 500");
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_we_send),
        cmocka_unit_test(billings),
        cmocka_unit_test(billings_that_are_none),
        cmocka_unit_test(addresses),
        cmocka_unit_test(schedules),
        cmocka_unit_test(who_schedules_does_not_end_an_order),
        cmocka_unit_test(transactions_and_health),
        cmocka_unit_test(details_of_errors),
        cmocka_unit_test(answers_without_a_detail),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
