/* The order as JSON: for the answer and for Redis, ours and the original's. */
#include "codec_order.h"

static void the_answer(void **state)
{
    foodsvc_order_t *order = sample();
    size_t           len;
    char            *text = foodsvc_order_response_json(order, &len);

    assert_string_equal(text, PUBLIC "}");
    assert_int_equal(len, strlen(text));
    free(text);
    foodsvc_order_free(order);
}

static void the_entry(void **state)
{
    foodsvc_order_t *order = sample();
    size_t           len, public_len;
    char            *text, *sum;

    order->unknown = json_pack("{s: f, s: s, s: s, s: {s: n}}", "tip", 2.5, "id", "no", "sum", "no", "note", "a");
    strcpy(order->claim_by, "secret");
    order->settled = FOODSVC_OWES_REIMBURSEMENT;
    text = foodsvc_order_cache_json(order, &len, &public_len);
    assert_int_equal(len, strlen(text));
    assert_int_equal(public_len, strlen(PUBLIC));
    assert_memory_equal(text, PUBLIC, public_len);
    sum = text + public_len;
    assert_memory_equal(sum, ",\"sum\":\"", 8);
    assert_string_equal(sum + 16, "\",\"tip\":2.5,\"note\":{\"a\":null}}");

    assert_int_equal(foodsvc_order_cache_public(text, len, ID), public_len);
    free(text);
    foodsvc_order_free(order);
}

static void what_is_no_entry_of_ours(void **state)
{
    foodsvc_order_t *order = sample();
    size_t           len, public_len;
    char            *text = foodsvc_order_cache_json(order, &len, &public_len), saved;

    assert_int_equal(foodsvc_order_cache_public(text, len, CUSTOMER), 0);           /* another's */
    assert_int_equal(foodsvc_order_cache_public(text, len, "06b0413f"), 0);
    for (size_t cut = 0; cut < len; cut++) {                                        /* cut off anywhere */
        assert_int_equal(foodsvc_order_cache_public(text, cut, ID), 0);
    }
    for (size_t at = 0; at < public_len + 17; at++) {                               /* a byte changed anywhere */
        saved = text[at];
        text[at] ^= 1;
        assert_int_equal(foodsvc_order_cache_public(text, len, ID), 0);
        text[at] = saved;
    }
    text[public_len + 16] = '}';                                                    /* where the sum's quote belongs */
    assert_int_equal(foodsvc_order_cache_public(text, public_len + 17, ID), 0);
    free(text);
    foodsvc_order_free(order);

    assert_int_equal(foodsvc_order_cache_public("{\"id\":\"" ID "\"}", 45, ID), 0);
    assert_int_equal(foodsvc_order_cache_public("", 0, ID), 0);
}

static void an_entry_read_again(void **state)
{
    foodsvc_order_t *order = sample(), *again;
    char             err[FOODSVC_ERR] = "", *text;
    size_t           len, public_len;

    order->kitchen_id = uuid(KITCHEN);
    order->has_kitchen_id = true;
    order->unknown = json_pack("{s: f}", "tip", 2.5);
    text = foodsvc_order_cache_json(order, &len, &public_len);
    again = foodsvc_order_from_cache(text, len, ID, err);
    assert_string_equal(err, "");
    check_equal(order, again);
    free(text);
    foodsvc_order_free(order);
    foodsvc_order_free(again);
}

static void the_original_s_entry(void **state)
{
    static const char text[] =
        "{\"items\":[{\"product\":\"Lasagna\",\"quantity\":2},{\"product\":\"Double Cheeseburger\",\"quantity\":1}],"
        "\"customer_id\":\"" CUSTOMER "\",\"kitchen_id\":null,\"delivery_id\":\"" DELIVERY "\","
            "\"status\":\"paymentPaid\","
        "\"updated\":[{\"status\":\"paymentPaid\",\"when\":\"2026-11-23 10:22:52.094671+00:00\"},"
        "{\"status\":\"paymentPaid\",\"when\":\"2026-11-23 10:22:52.167263+00:00\"}],"
        "\"created\":\"2026-11-23 10:22:51.910000\",\"id\":\"" ID "\"}";
    char             err[FOODSVC_ERR] = "", *answer;
    foodsvc_order_t *order = foodsvc_order_from_cache(text, strlen(text), ID, err);
    size_t           len;

    assert_string_equal(err, "");
    assert_int_equal(foodsvc_order_cache_public(text, strlen(text), ID), 0);
    assert_null(order->unknown);
    answer = foodsvc_order_response_json(order, &len);
    assert_string_equal(answer,
        "{\"id\":\"" ID "\",\"status\":\"paymentPaid\",\"items\":[{\"product\":\"Lasagna\",\"quantity\":2},"
        "{\"product\":\"Double Cheeseburger\",\"quantity\":1}],\"created\":\"2026-11-23T10:22:51.910Z\","
        "\"customer_id\":\"" CUSTOMER "\",\"kitchen_id\":null,\"delivery_id\":\"" DELIVERY "\","
        "\"updated\":[{\"status\":\"paymentPaid\",\"when\":\"2026-11-23T10:22:52.094Z\"},"
        "{\"status\":\"paymentPaid\",\"when\":\"2026-11-23T10:22:52.167Z\"}]}");
    free(answer);
    foodsvc_order_free(order);
}

/* An entry with one member as given, the others right. */
static void check_rubbish(const char *member, const char *value, const char *why)
{
    char             err[FOODSVC_ERR] = "", *text;
    size_t           len;
    json_t          *entry = json_pack("{s:s, s:s, s:[{s:s, s:i}], s:s, s:s, s:[{s:s, s:s}]}", "id", ID, "status",
                                       "created",
                                       "items", "product", "Lasagna", "quantity", 1, "created",
                                           "2026-11-23T10:22:51.910Z",
                                       "customer_id", CUSTOMER, "updated", "status", "paymentPaid", "when",
                                       "2026-11-23T10:22:51.910Z");
    foodsvc_order_t *order;

    if (value == NULL) {
        json_object_del(entry, member);
    } else {
        json_object_set_new(entry, member, json_loads(value, JSON_DECODE_ANY, NULL));
    }
    text = foodsvc_json_dump(entry, &len);
    order = foodsvc_order_from_cache(text, len, ID, err);
    if (why == NULL) {
        assert_non_null(order);
        foodsvc_order_free(order);
    } else {
        assert_null(order);
        assert_string_equal(err, why);
    }
    free(text);
    json_decref(entry);
}

static void rubbish_in_the_cache(void **state)
{
    char err[FOODSVC_ERR];

    assert_null(foodsvc_order_from_cache("rubbish", 7, ID, err));
    assert_null(foodsvc_order_from_cache("", 0, ID, err));
    assert_null(foodsvc_order_from_cache("[]", 2, ID, err));
    check_rubbish("id", NULL, "id is missing or of another type");
    check_rubbish("id", "\"" CUSTOMER "\"", "id is missing or of another type");
    check_rubbish("status", "1", "status is missing or of another type");
    check_rubbish("status", "\"nope\"", "status is missing or of another type");
    check_rubbish("items", "{}", "items is missing or of another type");
    check_rubbish("items", "[1]", "items.product is missing or of another type");
    check_rubbish("items", "[{\"product\":\"Lasagna\"}]", "items.quantity is missing or of another type");
    check_rubbish("items", "[{\"product\":\"Lasagna\",\"quantity\":0}]",
                  "items.quantity is missing or of another type");
    check_rubbish("created", "1", "created is missing or of another type");
    check_rubbish("created", "\"now\"", "created is missing or of another type");
    check_rubbish("customer_id", "null", "customer_id is missing or of another type");
    check_rubbish("customer_id", "\"x\"", "customer_id is missing or of another type");
    check_rubbish("kitchen_id", "null", NULL);
    check_rubbish("kitchen_id", "1", "kitchen_id is missing or of another type");
    check_rubbish("delivery_id", "\"x\"", "delivery_id is missing or of another type");
    check_rubbish("updated", NULL, "updated is missing or of another type");
    check_rubbish("updated", "[{\"status\":\"nope\"}]", "updated.status is missing or of another type");
    check_rubbish("updated", "[{\"status\":\"created\"}]", "updated.when is missing or of another type");
    check_rubbish("more", "[1]", NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_answer),
        cmocka_unit_test(the_entry),
        cmocka_unit_test(what_is_no_entry_of_ours),
        cmocka_unit_test(an_entry_read_again),
        cmocka_unit_test(the_original_s_entry),
        cmocka_unit_test(rubbish_in_the_cache),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
