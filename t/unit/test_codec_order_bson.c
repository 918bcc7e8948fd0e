/* The order in MongoDB: its document as we write it, as the original did, and what is neither. */
#include "codec_order.h"

static foodsvc_order_t *read_json(const char *extended, char err[FOODSVC_ERR])
{
    bson_error_t     error;
    bson_t          *doc = bson_new_from_json((const uint8_t *) extended, -1, &error);
    foodsvc_order_t *order;

    if (doc == NULL) {
        fail_msg("%s: %s", extended, error.message);
    }
    order = foodsvc_order_from_bson(doc, err);
    bson_destroy(doc);
    return order;
}

static void a_new_order_s_document(void **state)
{
    foodsvc_order_t *order = sample();
    bson_t           doc = BSON_INITIALIZER;
    char            *text;

    assert_true(foodsvc_order_to_bson(order, &doc));
    text = bson_as_canonical_extended_json(&doc, NULL);
    assert_string_equal(text,
        "{ \"_id\" : \"" ID "\", \"items\" : [ { \"product\" : \"Lasagna\", \"quantity\" : { \"$numberInt\" : \"2\" "
                            "} }, "
        "{ \"product\" : \"Veil \\\"\\u0001\", \"quantity\" : { \"$numberLong\" : \"5000000000\" } } ], "
        "\"customer_id\" : { \"$binary\" : { \"base64\" : \"U8VxHfXUReuGUfC6kJK6DQ==\", \"subType\" : \"04\" } }, "
        "\"kitchen_id\" : null, "
        "\"delivery_id\" : { \"$binary\" : { \"base64\" : \"s4VPMVgxQRSJM6himoI0Jw==\", \"subType\" : \"04\" } }, "
        "\"status\" : \"deliveryScheduled\", "
        "\"updated\" : [ { \"status\" : \"paymentPaid\", \"when\" : { \"$date\" : { \"$numberLong\" : "
        "\"1795429372094\" } } }, "
        "{ \"status\" : \"deliveryScheduled\", \"when\" : { \"$date\" : { \"$numberLong\" : \"1795429373609\" } } } ], "
        "\"created\" : { \"$date\" : { \"$numberLong\" : \"1795429371910\" } } }");
    bson_free(text);
    bson_destroy(&doc);
    foodsvc_order_free(order);
}

static void a_document_read_again(void **state)
{
    foodsvc_order_t *order = sample(), *again;
    bson_t           doc = BSON_INITIALIZER;
    char             err[FOODSVC_ERR] = "";

    order->kitchen_id = uuid(KITCHEN);
    order->has_kitchen_id = true;
    order->settled = FOODSVC_OWES_REIMBURSEMENT | FOODSVC_OWES_DELIVERY_CANCEL;
    strcpy(order->claim_by, "me");
    order->claim_until = 77;
    order->unknown = json_pack("{s: f, s: [i]}", "tip", 2.5, "list", 1);
    assert_true(foodsvc_order_to_bson(order, &doc));
    BSON_APPEND_UTF8(&doc, "rev", "theirs");
    again = foodsvc_order_from_bson(&doc, err);
    assert_string_equal(err, "");
    check_equal(order, again);
    assert_int_equal(again->settled, order->settled);
    assert_string_equal(again->claim_by, "me");
    assert_int_equal(again->claim_until, 77);
    bson_destroy(&doc);
    foodsvc_order_free(order);
    foodsvc_order_free(again);
}

static void the_original_s_documents_in_every_form(void **state)
{
    char             err[FOODSVC_ERR] = "";
    foodsvc_order_t *a = read_json(
        "{\"_id\":\"" ID "\",\"items\":[{\"product\":\"Lasagna\",\"quantity\":{\"$numberInt\":\"2\"}},"
        "{\"product\":\"Veil \\\"\\u0001\",\"quantity\":{\"$numberLong\":\"5000000000\"}}],"
        "\"customer_id\":{\"$binary\":{\"base64\":\"U8VxHfXUReuGUfC6kJK6DQ==\",\"subType\":\"04\"}},"
        "\"kitchen_id\":null,"
        "\"delivery_id\":{\"$binary\":{\"base64\":\"s4VPMVgxQRSJM6himoI0Jw==\",\"subType\":\"03\"}},"
        "\"status\":\"deliveryScheduled\",\"updated\":[{\"status\":\"paymentPaid\",\"when\":"
        "{\"$date\":{\"$numberLong\":\"1795429372094\"}}},{\"status\":\"deliveryScheduled\",\"when\":"
        "\"2026-11-23T10:22:53.609000\",\"by\":\"x\"}],\"created\":{\"$date\":{\"$numberLong\":\"1795429371910\"}}}",
            err);
    foodsvc_order_t *b = sample();

    assert_string_equal(err, "");
    check_equal(a, b);
    foodsvc_order_free(a);
    foodsvc_order_free(b);

    a = read_json("{\"_id\":\"" ID "\",\"items\":[{\"product\":\"Lasagna\",\"quantity\":{\"$numberDouble\":\"2\"}},"
        "{\"product\":\"Pizza\",\"size\":3}],\"customer_id\":\"" CUSTOMER "\",\"status\":\"created\",\"updated\":null,"
        "\"created\":\"2026-11-23T10:22:51.910249Z\",\"settled\":null,\"claim\":null}", err);
    assert_int_equal(a->nitems, 2);
    assert_int_equal(a->items[0].quantity, 2);
    assert_int_equal(a->items[1].quantity, 1);
    assert_int_equal(a->nupdated, 0);
    assert_false(a->has_kitchen_id || a->has_delivery_id);
    assert_true(a->created == INT64_C(1795429371910));
    assert_null(a->unknown);
    foodsvc_order_free(a);
}

#define START   "{\"_id\":\"" ID "\",\"items\":[],\"customer_id\":\"" CUSTOMER "\",\"status\":\"created\"," \
                "\"created\":{\"$date\":{\"$numberLong\":\"0\"}}"

static void unknown_fields_are_kept(void **state)
{
    char             err[FOODSVC_ERR] = "", *text;
    size_t           len;
    foodsvc_order_t *order = read_json(START ",\"rev\":\"r\",\"b\":true,\"i\":3,"
                                             "\"l\":{\"$numberLong\":\"5000000000\"},\"d\":1.5,"
        "\"n\":null,\"s\":\"x\",\"when\":{\"$date\":{\"$numberLong\":\"1795429371910\"}},"
        "\"u\":{\"$binary\":{\"base64\":\"U8VxHfXUReuGUfC6kJK6DQ==\",\"subType\":\"04\"}},"
        "\"raw\":{\"$binary\":{\"base64\":\"AQI=\",\"subType\":\"00\"}},"
        "\"oid\":{\"$oid\":\"0123456789abcdef01234567\"},"
        "\"inf\":{\"$numberDouble\":\"Infinity\"},"
        "\"in\":{\"a\":[1,{\"t\":{\"$date\":{\"$numberLong\":\"0\"}}}],\"e\":{}}}", err);

    assert_string_equal(err, "");
    text = foodsvc_json_dump(order->unknown, &len);
    assert_string_equal(text,
        "{\"b\":true,\"i\":3,\"l\":5000000000,\"d\":1.5,\"n\":null,\"s\":\"x\",\"when\":\"2026-11-23T10:22:51.910Z\","
        "\"u\":\"" CUSTOMER "\",\"raw\":{\"$binary\":{\"base64\":\"AQI=\",\"subType\":\"00\"}},"
        "\"oid\":{\"$oid\":\"0123456789abcdef01234567\"},\"inf\":{\"$numberDouble\":\"Infinity\"},"
        "\"in\":{\"a\":[1,{\"t\":\"1970-01-01T00:00:00.000Z\"}],\"e\":{}}}");
    free(text);
    foodsvc_order_free(order);
}

static void unknown_fields_that_no_json_holds(void **state)
{
    char             err[FOODSVC_ERR] = "", *text;
    size_t           len;
    bson_error_t     error;
    bson_t          *doc = bson_new_from_json((const uint8_t *) START "}", -1, &error);
    bson_t           child, deep[40];
    foodsvc_order_t *order;

    bson_append_int32(doc, "\xFF", 1, 1);
    bson_append_document_begin(doc, "x", 1, &child);
    bson_append_int32(&child, "\xFE", 1, 1);
    bson_append_utf8(&child, "t", 1, "a\xFF", 2);
    bson_append_document_end(doc, &child);
    bson_append_document_begin(doc, "deep", -1, &deep[0]);
    for (int i = 1; i < 40; i++) {
        bson_append_document_begin(&deep[i - 1], "d", 1, &deep[i]);
    }
    for (int i = 39; i > 0; i--) {
        bson_append_document_end(&deep[i - 1], &deep[i]);
    }
    bson_append_document_end(doc, &deep[0]);

    order = foodsvc_order_from_bson(doc, err);
    assert_string_equal(err, "");
    text = foodsvc_json_dump(order->unknown, &len);
    assert_non_null(strstr(text, "{\"x\":{\"t\":\"a\xEF\xBF\xBD\"},\"deep\":{\"d\":{\"d\""));
    assert_non_null(strstr(text, "{\"d\":null}"));
    free(text);
    foodsvc_order_free(order);
    bson_destroy(doc);
}

static void check_unreadable(const char *doc, const char *why)
{
    char err[FOODSVC_ERR] = "";

    assert_null(read_json(doc, err));
    assert_string_equal(err, why);
}

#define WITH(id, items, customer, status, created) "{\"_id\":" id ",\"items\":" items ",\"customer_id\":" customer \
                                                    ",\"status\":" status ",\"created\":" created "}"
#define NOW         "{\"$date\":{\"$numberLong\":\"0\"}}"
#define STR(x)      "\"" x "\""

static void documents_beyond_us(void **state)
{
    check_unreadable("{}", "_id is missing");
    check_unreadable("{\"_id\":\"" ID "\",\"items\":[],\"customer_id\":\"" CUSTOMER "\",\"created\":" NOW "}",
                     "status is missing");
    check_unreadable(START ",\"status\":\"created\"}", "status is there twice");
    check_unreadable(WITH("1", "[]", STR(CUSTOMER), STR("created"), NOW), "_id is of another type");
    check_unreadable(WITH("\"x\"", "[]", STR(CUSTOMER), STR("created"), NOW), "_id is of another type");
    check_unreadable(WITH("\"06b0413fbe9076678000f556e421c97a\"", "[]", STR(CUSTOMER), STR("created"), NOW),
                     "_id is of another type");
    check_unreadable(WITH("{\"$binary\":{\"base64\":\"U8VxHfXUReuGUfC6kJK6DQ==\",\"subType\":\"04\"}}", "[]",
                          STR(CUSTOMER),
                          STR("created"), NOW), "_id is of another type");
    check_unreadable(WITH(STR(ID), "{}", STR(CUSTOMER), STR("created"), NOW), "items is of another type");
    check_unreadable(WITH(STR(ID), "[1]", STR(CUSTOMER), STR("created"), NOW), "items.0 is missing or of another type");
    check_unreadable(WITH(STR(ID), "[{}]", STR(CUSTOMER), STR("created"), NOW),
                     "items.0.product is missing or of another type");
    check_unreadable(WITH(STR(ID), "[{\"product\":\"a\"},{\"product\":\"a\",\"quantity\":0}]", STR(CUSTOMER),
                          STR("created"),
                          NOW), "items.1.quantity is missing or of another type");
    check_unreadable(WITH(STR(ID), "[{\"product\":\"a\",\"quantity\":1.5}]", STR(CUSTOMER), STR("created"), NOW),
                     "items.0.quantity is missing or of another type");
    check_unreadable(WITH(STR(ID), "[{\"product\":\"a\",\"quantity\":1e300}]", STR(CUSTOMER), STR("created"), NOW),
                     "items.0.quantity is missing or of another type");
    check_unreadable(WITH(STR(ID), "[{\"product\":\"a\",\"quantity\":\"1\"}]", STR(CUSTOMER), STR("created"), NOW),
                     "items.0.quantity is missing or of another type");
    check_unreadable(WITH(STR(ID), "[]", "null", STR("created"), NOW), "customer_id is of another type");
    check_unreadable(WITH(STR(ID), "[]", "{\"$binary\":{\"base64\":\"AQI=\",\"subType\":\"04\"}}", STR("created"), NOW),
                     "customer_id is of another type");
    check_unreadable(WITH(STR(ID), "[]", "{\"$binary\":{\"base64\":\"U8VxHfXUReuGUfC6kJK6DQ==\",\"subType\":\"00\"}}",
                          STR("created"), NOW), "customer_id is of another type");
    check_unreadable(WITH(STR(ID), "[]", STR(CUSTOMER), STR("nope"), NOW), "status is of another type");
    check_unreadable(WITH(STR(ID), "[]", STR(CUSTOMER), "1", NOW), "status is of another type");
    check_unreadable(WITH(STR(ID), "[]", STR(CUSTOMER), STR("created"), "1"), "created is of another type");
    check_unreadable(WITH(STR(ID), "[]", STR(CUSTOMER), STR("created"), "\"now\""), "created is of another type");
    check_unreadable(START ",\"kitchen_id\":1}", "kitchen_id is of another type");
    check_unreadable(START ",\"delivery_id\":\"x\"}", "delivery_id is of another type");
    check_unreadable(START ",\"updated\":1}", "updated is of another type");
    check_unreadable(START ",\"updated\":[1]}", "updated.0 is missing or of another type");
    check_unreadable(START ",\"updated\":[{\"when\":" NOW "}]}", "updated.0.status is missing or of another type");
    check_unreadable(START ",\"updated\":[{\"status\":\"created\"}]}", "updated.0.when is missing or of another type");
    check_unreadable(START ",\"updated\":[{\"status\":7,\"when\":1}]}",
                     "updated.0.status is missing or of another type");
}

static void no_document_at_all(void **state)
{
    bson_t empty;
    char   err[FOODSVC_ERR];

    memset(&empty, 0, sizeof(empty));
    assert_null(foodsvc_order_from_bson(&empty, err));
    assert_string_equal(err, "it is no document");
}

static void text_that_is_none(void **state)
{
    char         err[FOODSVC_ERR] = "";
    bson_error_t error;
    bson_t      *doc = bson_new_from_json((const uint8_t *) "{\"_id\":\"" ID "\"}", -1, &error);
    uint8_t      bytes[] = { 9, 0, 0, 0, 8, 'b', 0, 7, 0 };     /* a boolean that is neither */
    bson_t       broken = BSON_INITIALIZER;

    bson_append_utf8(doc, "status", -1, "created\xFF", 8);
    assert_null(foodsvc_order_from_bson(doc, err));
    assert_string_equal(err, "status is of another type");
    bson_destroy(doc);

    assert_true(bson_init_static(&broken, bytes, sizeof(bytes)));
    assert_null(foodsvc_order_from_bson(&broken, err));
    assert_string_equal(err, "_id is missing");
}

/* An array's names of its elements are what its writer made of them: a reason counts them itself. */
static void names_of_elements_are_not_said(void **state)
{
    bson_t  doc = BSON_INITIALIZER, items, item;
    char    err[FOODSVC_ERR] = "";

    assert_true(bson_append_utf8(&doc, "_id", -1, ID, -1));
    assert_true(bson_append_array_begin(&doc, "items", -1, &items));
    assert_true(bson_append_document_begin(&items, "\xFF\x1B[2J", -1, &item));
    assert_true(bson_append_document_end(&items, &item));
    assert_true(bson_append_array_end(&doc, &items));
    assert_null(foodsvc_order_from_bson(&doc, err));
    assert_string_equal(err, "items.0.product is missing or of another type");
    bson_destroy(&doc);
}

static void claims_and_debts_that_are_none(void **state)
{
    static const char *const claims[] = {
        "1", "{}", "{\"by\":1}", "{\"by\":\"me\"}", "{\"by\":\"me\",\"until\":\"soon\"}",
        "{\"by\":\"0123456789012345678901234567890123456789\",\"until\":" NOW "}"
    };
    char             err[FOODSVC_ERR] = "", doc[1024];
    foodsvc_order_t *order;

    for (size_t i = 0; i < COUNT(claims); i++) {
        snprintf(doc, sizeof(doc), START ",\"claim\":%s}", claims[i]);
        order = read_json(doc, err);
        assert_string_equal(order->claim_by, "");
        foodsvc_order_free(order);
    }
    order = read_json(START ",\"settled\":[\"deliveryCancel\",\"nope\",3]}", err);
    assert_int_equal(order->settled, FOODSVC_OWES_DELIVERY_CANCEL);
    foodsvc_order_free(order);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_new_order_s_document),
        cmocka_unit_test(a_document_read_again),
        cmocka_unit_test(the_original_s_documents_in_every_form),
        cmocka_unit_test(unknown_fields_are_kept),
        cmocka_unit_test(unknown_fields_that_no_json_holds),
        cmocka_unit_test(documents_beyond_us),
        cmocka_unit_test(no_document_at_all),
        cmocka_unit_test(text_that_is_none),
        cmocka_unit_test(names_of_elements_are_not_said),
        cmocka_unit_test(claims_and_debts_that_are_none),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
