/* Events: what is processed, and why the rest is not. */
#include "unit.h"
#include "foodsvc_codec.h"

#define ORDER       "c09338ef-d932-48f2-ac4f-5c3d811c1cf1"
#define CUSTOMER    "53c5711d-f5d4-45eb-8651-f0ba9092ba0d"
#define METADATA    "\"metadata\":{\"receiver\":\"GoldenQueue\",\"order_id\":\"" ORDER "\"," \
                    "\"customer_id\":\"" CUSTOMER "\"}"

static const foodsvc_json_limits_t limits = { 1024, 8 };

static void the_recorded_event(void **state)
{
    static const char  body[] = "{" METADATA ",\"status\":\"paymentPaid\"}";
    foodsvc_event_t    event;
    char               err[FOODSVC_ERR], *text;
    size_t             len;

    assert_true(foodsvc_event_parse(body, strlen(body), &limits, &event, err));
    assert_string_equal(event.order_id, ORDER);
    assert_string_equal(event.metadata.receiver, "GoldenQueue");
    assert_string_equal(event.metadata.customer_id, CUSTOMER);
    assert_int_equal(event.status, FOODSVC_PAYMENT_PAID);
    assert_false(event.has_delivery_id || event.has_kitchen_id);

    text = foodsvc_event_json(&event.metadata, event.status, NULL, NULL, &len);
    assert_string_equal(text, body);
    assert_int_equal(len, strlen(body));
    free(text);
    foodsvc_event_clear(&event);
}

static void ids_come_and_go(void **state)
{
    static const char body[] = "{" METADATA ",\"status\":\"inTransit\",\"kitchen_id\":\"" CUSTOMER "\","
            "\"delivery_id\":\"" ORDER "\"}";
    foodsvc_event_t   event;
    foodsvc_change_t  change;
    char              err[FOODSVC_ERR], *text, id[FOODSVC_UUID_TEXT + 1];
    size_t            len;

    assert_true(foodsvc_event_parse(body, strlen(body), &limits, &event, err));
    assert_true(event.has_delivery_id && event.has_kitchen_id);
    text = foodsvc_event_json(&event.metadata, event.status, &event.kitchen_id, &event.delivery_id, &len);
    assert_string_equal(text, body);
    free(text);

    foodsvc_event_change(&event, 7, &change);
    assert_int_equal(change.kind, FOODSVC_CHANGE_EVENT);
    assert_int_equal(change.status, FOODSVC_IN_TRANSIT);
    assert_int_equal(change.when, 7);
    assert_true(change.has_delivery_id && change.has_kitchen_id);
    assert_string_equal(foodsvc_uuid_format(&change.delivery_id, id), ORDER);
    assert_string_equal(foodsvc_uuid_format(&change.kitchen_id, id), CUSTOMER);
    foodsvc_event_clear(&event);
}

static void a_sparse_event_will_do(void **state)
{
    static const char body[] = "{\"status\":\"delivered\",\"kitchen_id\":null,\"more\":[1],\"metadata\":"
                               "{\"order_id\":\"C09338EFd93248f2ac4f5c3d811c1cf1\",\"customer_id\":null}}";
    foodsvc_event_t   event;
    char              err[FOODSVC_ERR];

    assert_true(foodsvc_event_parse(body, strlen(body), &limits, &event, err));
    assert_string_equal(event.order_id, ORDER);
    assert_string_equal(event.metadata.order_id, ORDER);
    assert_string_equal(event.metadata.receiver, "");
    assert_string_equal(event.metadata.customer_id, "");
    assert_false(event.has_kitchen_id);
    foodsvc_event_clear(&event);
}

static void what_cannot_be_processed(void **state)
{
    static const struct {
        const char *body;
        const char *why;
    } cases[] = {
        { "", "the message cannot be read: it is empty" },
        { "nope", "the message cannot be read: it is no JSON: Expecting value at byte 4" },
        { "[[[[[[[[[]]]]]]]]]", "the message cannot be read: it is no JSON: Nested too deeply at byte 8" },
        { "[]", "the message is no object" },
        { "null", "the message is no object" },
        { "{}", "metadata is missing" },
        { "{\"metadata\":\"x\"}", "metadata is no object" },
        { "{\"metadata\":null}", "metadata is no object" },
        { "{\"metadata\":{}}", "metadata.order_id is missing" },
        { "{\"metadata\":{\"order_id\":7}}", "metadata.order_id is no UUID" },
        { "{\"metadata\":{\"order_id\":\"x\"}}", "metadata.order_id is no UUID" },
        { "{\"metadata\":{\"order_id\":\"" ORDER "\",\"receiver\":7}}", "metadata.receiver is no string" },
        { "{\"metadata\":{\"order_id\":\"" ORDER "\",\"customer_id\":7}}", "metadata.customer_id is no string" },
        { "{" METADATA "}", "status is missing" },
        { "{" METADATA ",\"status\":7}", "status is no string" },
        { "{" METADATA ",\"status\":\"pending\"}", "unknown status 'pending'" },
        { "{" METADATA ",\"status\":\"a b\\n\xC3\xA9\"}", "unknown status 'a?b\?\?\?'" },
        { "{" METADATA ",\"status\":\"0123456789012345678901234567890123456789\"}",
          "unknown status '01234567890123456789012345678901'" },
        { "{" METADATA ",\"status\":\"delivered\",\"kitchen_id\":7}", "kitchen_id is no UUID" },
        { "{" METADATA ",\"status\":\"delivered\",\"delivery_id\":\"x\"}", "delivery_id is no UUID" },
    };
    foodsvc_event_t event;
    char            err[FOODSVC_ERR], large[1100];

    for (size_t i = 0; i < COUNT(cases); i++) {
        assert_false(foodsvc_event_parse(cases[i].body, strlen(cases[i].body), &limits, &event, err));
        assert_string_equal(err, cases[i].why);
        assert_null(event.metadata.order_id);
    }
    memset(large, ' ', sizeof(large));
    assert_false(foodsvc_event_parse(large, sizeof(large), &limits, &event, err));
    assert_string_equal(err, "the message cannot be read: it is no JSON: Text too large at byte 1024");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_recorded_event),
        cmocka_unit_test(ids_come_and_go),
        cmocka_unit_test(a_sparse_event_will_do),
        cmocka_unit_test(what_cannot_be_processed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
