/* Requests to us: what is taken, and every fault in the words recorded from the original. */
#include "unit.h"
#include <jansson.h>
#include "foodsvc_codec.h"

static const foodsvc_json_limits_t limits = { FOODSVC_JSON_MAX_SIZE, FOODSVC_JSON_MAX_DEPTH };

#define CUSTOMER    "53c5711d-f5d4-45eb-8651-f0ba9092ba0d"
#define ORDER       "c09338ef-d932-48f2-ac4f-5c3d811c1cf1"
#define PRODUCTS    "'Lasagna', 'Double Cheeseburger', 'Veil with glazed onions and blue cheese' or " \
                    "'Vegetarian Salad with healthy produce'"
#define PAY_STATUSES "'pending', 'reimbursed', 'paymentPaid' or 'paymentFailed'"
#define NOT_AN_OBJECT "Input should be a valid dictionary or object to extract fields from"

/* Single quotes in `text` stand for double ones where a test has many; ^ for a single quote. */
static char *q(const char *text)
{
    static char copies[4][8192];
    static int  next;
    char       *copy = copies[next++ % 4];

    snprintf(copy, sizeof(copies[0]), "%s", text);
    for (char *p = copy; *p != '\0'; p++) {
        *p = *p == '\'' ? '"' : *p == '^' ? '\'' : *p;
    }
    return copy;
}

static void check_list(foodsvc_faults_t *faults, const char *list)
{
    char *body = foodsvc_faults_body(faults), expected[8192];

    assert_non_null(body);
    snprintf(expected, sizeof(expected), "{\"detail\":[%s]}", list);
    assert_string_equal(body, expected);
    free(body);
    foodsvc_faults_clear(faults);
}

static void order_faults(const char *body, const char *list)
{
    foodsvc_faults_t faults = { NULL, false };

    assert_null(foodsvc_order_from_request(body, strlen(body), &limits, &faults));
    check_list(&faults, list);
}

static foodsvc_order_t *good_order(const char *body)
{
    foodsvc_faults_t faults = { NULL, false };
    foodsvc_order_t *order = foodsvc_order_from_request(body, strlen(body), &limits, &faults);

    assert_false(foodsvc_faults_any(&faults));
    assert_non_null(order);
    return order;
}

static void an_order(void **state)
{
    foodsvc_order_t *order = good_order(q(
        "{'items':[{'product':'Lasagna','quantity':2},{'product':'Double Cheeseburger'}],"
        "'customer_id':'" CUSTOMER "','surplus':1}"));
    char             id[FOODSVC_UUID_TEXT + 1];

    assert_int_equal(order->nitems, 2);
    assert_string_equal(order->items[0].product, "Lasagna");
    assert_int_equal(order->items[0].quantity, 2);
    assert_string_equal(order->items[1].product, "Double Cheeseburger");
    assert_int_equal(order->items[1].quantity, 1);
    assert_string_equal(foodsvc_uuid_format(&order->customer_id, id), CUSTOMER);
    assert_int_equal(order->status, FOODSVC_CREATED);
    assert_int_equal(order->nupdated, 0);
    assert_null(order->unknown);
    foodsvc_order_free(order);
}

static void recorded_faults_of_an_order(void **state)
{
    order_faults(q("{'items':[{'product':'Pizza','quantity':0},{'quantity':'x'}],'customer_id':'no'}"), q(
        "{'type':'enum','loc':['body','items',0,'product'],'msg':'Input should be ^Lasagna^, ^Double Cheeseburger^, "
        "^Veil with glazed onions and blue cheese^ or ^Vegetarian Salad with healthy produce^','input':'Pizza',"
        "'ctx':{'expected':'^Lasagna^, ^Double Cheeseburger^, ^Veil with glazed onions and blue cheese^ or "
        "^Vegetarian Salad with healthy produce^'}},"
        "{'type':'greater_than','loc':['body','items',0,'quantity'],'msg':'Input should be greater than 0','input':0,"
        "'ctx':{'gt':0}},"
        "{'type':'missing','loc':['body','items',1,'product'],'msg':'Field required','input':{'quantity':'x'}},"
        "{'type':'int_parsing','loc':['body','items',1,'quantity'],'msg':'Input should be a valid integer, unable "
        "to parse "
        "string as an integer','input':'x'},"
        "{'type':'uuid_parsing','loc':['body','customer_id'],'msg':'Input should be a valid UUID, invalid "
        "character: found "
        "`n` at 0','input':'no','ctx':{'error':'invalid character: found `n` at 0'}}"));
    order_faults(q("{'items':[],'customer_id':'" CUSTOMER "'}"), q(
        "{'type':'too_short','loc':['body','items'],'msg':'List should have at least 1 item after validation, not 0',"
        "'input':[],'ctx':{'field_type':'List','min_length':1,'actual_length':0}}"));
    order_faults(q("{'items': ["), q(
        "{'type':'json_invalid','loc':['body',11],'msg':'JSON decode error','input':{},'ctx':{'error':'Expecting "
        "value'}}"));
    order_faults("", q("{'type':'missing','loc':['body'],'msg':'Field required','input':null}"));
    order_faults("[1]", q("{'type':'model_attributes_type','loc':['body'],'msg':'" NOT_AN_OBJECT "','input':[1]}"));
}

static void more_faults_of_an_order(void **state)
{
    order_faults("null", q("{'type':'missing','loc':['body'],'msg':'Field required','input':null}"));
    order_faults("3", q("{'type':'model_attributes_type','loc':['body'],'msg':'" NOT_AN_OBJECT "','input':3}"));
    order_faults("{}", q(
        "{'type':'missing','loc':['body','items'],'msg':'Field required','input':{}},"
        "{'type':'missing','loc':['body','customer_id'],'msg':'Field required','input':{}}"));
    order_faults(q("{'items':{},'customer_id':1}"), q(
        "{'type':'list_type','loc':['body','items'],'msg':'Input should be a valid list','input':{}},"
        "{'type':'uuid_type','loc':['body','customer_id'],'msg':'UUID input should be a string, bytes or UUID object',"
        "'input':1}"));
    order_faults(q("{'items':['x',null],'customer_id':'" CUSTOMER "'}"), q(
        "{'type':'model_attributes_type','loc':['body','items',0],'msg':'" NOT_AN_OBJECT "','input':'x'},"
        "{'type':'model_attributes_type','loc':['body','items',1],'msg':'" NOT_AN_OBJECT "','input':null}"));
}

static void products_of_another_type(void **state)
{
    char expected[2048];

    snprintf(expected, sizeof(expected), "{\"type\":\"enum\",\"loc\":[\"body\",\"items\",0,\"product\"],\"msg\":"
             "\"Input should be %s\",\"input\":7,\"ctx\":{\"expected\":\"%s\"}}", PRODUCTS, PRODUCTS);
    order_faults(q("{'items':[{'product':7}],'customer_id':'" CUSTOMER "'}"), expected);
}

static void quantities_that_are_taken(void **state)
{
    static const struct {
        const char *text;
        int64_t     value;
    } cases[] = {
        { "1", 1 }, { "9223372036854775807", INT64_MAX }, { "3.0", 3 }, { "3e2", 300 }, { "'3'", 3 }, { "' +3 '", 3 },
        { "'3.0'", 3 }, { "'003'", 3 }, { "'9223372036854775807'", INT64_MAX }, { "'\\t3.000\\n'", 3 },
        { "1e18", 1000000000000000000 },
    };

    for (size_t i = 0; i < COUNT(cases); i++) {
        char             body[512];
        foodsvc_order_t *order;

        snprintf(body, sizeof(body), "{'items':[{'product':'Lasagna','quantity':%s}],'customer_id':'" CUSTOMER "'}",
                 cases[i].text);
        order = good_order(q(body));
        assert_true(order->items[0].quantity == cases[i].value);
        foodsvc_order_free(order);
    }
}

static void quantities_that_are_not(void **state)
{
    static const char too_large[] = "Unable to parse input string as an integer, exceeded maximum size";
    static const char no_integer[] = "Input should be a valid integer, unable to parse string as an integer";
    static const char fraction[] = "Input should be a valid integer, got a number with a fractional part";
    static const struct {
        const char *text;
        const char *type;
        const char *msg;
    } cases[] = {
        { "0", "greater_than", NULL }, { "-1", "greater_than", NULL }, { "'-3'", "greater_than", NULL },
        { "-2.0", "greater_than", NULL }, { "-1e300", "greater_than", NULL }, { "'0'", "greater_than", NULL },
        { "-9223372036854775808", "greater_than", NULL },
        { "2.5", "int_from_float", fraction }, { "1e19", "int_parsing_size", too_large },
        { "9.3e18", "int_parsing_size", too_large },
        { "'9223372036854775808'", "int_parsing_size", too_large },
        { "'99999999999999999999999999999999999999999'", "int_parsing_size", too_large },
        { "''", "int_parsing", no_integer }, { "' '", "int_parsing", no_integer }, { "'+'", "int_parsing", no_integer },
        { "'3.'", "int_parsing", no_integer }, { "'3.5'", "int_parsing", no_integer },
        { "'3x'", "int_parsing", no_integer },
        { "'3 4'", "int_parsing", no_integer }, { "'0x3'", "int_parsing", no_integer },
        { "'3.0x'", "int_parsing", no_integer },
        { "'--3'", "int_parsing", no_integer },
        { "true", "int_type", "Input should be a valid integer" },
        { "null", "int_type", "Input should be a valid integer" },
        { "[]", "int_type", "Input should be a valid integer" },
        { "{}", "int_type", "Input should be a valid integer" },
    };

    for (size_t i = 0; i < COUNT(cases); i++) {
        char             body[512];
        const char      *type, *msg;
        foodsvc_faults_t faults = { NULL, false };

        snprintf(body, sizeof(body), "{'items':[{'product':'Lasagna','quantity':%s}],'customer_id':'" CUSTOMER "'}",
                 cases[i].text);
        assert_null(foodsvc_order_from_request(q(body), strlen(body), &limits, &faults));
        assert_int_equal(json_array_size(faults.list), 1);
        type = json_string_value(json_object_get(json_array_get(faults.list, 0), "type"));
        msg = json_string_value(json_object_get(json_array_get(faults.list, 0), "msg"));
        assert_string_equal(type, cases[i].type);
        assert_string_equal(msg, cases[i].msg == NULL ? "Input should be greater than 0" : cases[i].msg);
        foodsvc_faults_clear(&faults);
    }
}

/* --- payments --- */

static void payment_faults(const char *body, const char *list)
{
    foodsvc_payment_request_t request;
    foodsvc_faults_t          faults = { NULL, false };

    assert_false(foodsvc_payment_request_parse(body, strlen(body), &limits, &request, &faults));
    assert_null(request.items);
    assert_null(request.metadata.receiver);
    check_list(&faults, list);
}

static void a_payment(void **state)
{
    const char *body = q("{'items':[{'product':'Lasagna','quantity':2},{'product':'Double Cheeseburger'}],'metadata':"
                         "{'receiver':'GoldenQueue','order_id':'C09338EF-d932-48f2-ac4f-5c3d811c1cf1',"
                         "'customer_id':'" CUSTOMER "'}}");
    foodsvc_payment_request_t request;
    foodsvc_faults_t          faults = { NULL, false };

    assert_true(foodsvc_payment_request_parse(body, strlen(body), &limits, &request, &faults));
    assert_int_equal(request.nitems, 2);
    assert_string_equal(request.items[1].product, "Double Cheeseburger");
    assert_string_equal(request.metadata.receiver, "GoldenQueue");
    assert_string_equal(request.metadata.order_id, ORDER);      /* the form in which a callback's caller_id finds it */
    assert_string_equal(request.metadata.customer_id, CUSTOMER);
    foodsvc_payment_request_clear(&request);
    assert_null(request.items);
}

/* The contract calls the ids strings: what is no UUID is taken as it is. */
static void a_payment_of_another_id(void **state)
{
    const char *body = q("{'items':[{'product':'Lasagna'}],'metadata':{'receiver':'R','order_id':'Order 7',"
                         "'customer_id':'c'}}");
    foodsvc_payment_request_t request;
    foodsvc_faults_t          faults = { NULL, false };

    assert_true(foodsvc_payment_request_parse(body, strlen(body), &limits, &request, &faults));
    assert_string_equal(request.metadata.order_id, "Order 7");
    assert_string_equal(request.metadata.customer_id, "c");
    foodsvc_payment_request_clear(&request);
}

static void faults_of_a_payment(void **state)
{
    char receiver[512], body[1024], list[1024];

    payment_faults(q("{'items':[],'metadata':{'receiver':1}}"), q(
        "{'type':'too_short','loc':['body','items'],'msg':'List should have at least 1 item after validation, not 0',"
        "'input':[],'ctx':{'field_type':'List','min_length':1,'actual_length':0}},"
        "{'type':'string_type','loc':['body','metadata','receiver'],'msg':'Input should be a valid string','input':1},"
        "{'type':'missing','loc':['body','metadata','order_id'],'msg':'Field required','input':{'receiver':1}},"
        "{'type':'missing','loc':['body','metadata','customer_id'],'msg':'Field required','input':{'receiver':1}}"));
    payment_faults(q("{'items':[{'product':'Lasagna'}]}"), q(
        "{'type':'missing','loc':['body','metadata'],'msg':'Field required',"
        "'input':{'items':[{'product':'Lasagna'}]}}"));
    payment_faults(q("{'items':[{'product':'Lasagna'}],'metadata':[]}"), q(
        "{'type':'model_attributes_type','loc':['body','metadata'],'msg':'" NOT_AN_OBJECT "','input':[]}"));
    payment_faults(q("{'items':[{'product':'Lasagna'}],'metadata':{'receiver':'','order_id':'',"
                     "'customer_id':null}}"), q(
        "{'type':'string_too_short','loc':['body','metadata','receiver'],'msg':'String should have at least 1 "
        "character',"
        "'input':'','ctx':{'min_length':1}},"
        "{'type':'string_too_short','loc':['body','metadata','order_id'],'msg':'String should have at least 1 "
        "character','input':'','ctx':{'min_length':1}},"
        "{'type':'string_type','loc':['body','metadata','customer_id'],'msg':'Input should be a valid string',"
        "'input':null}"));
    payment_faults(q("{'items':[{'product':'Lasagna'}],'metadata':{'receiver':'R','order_id':'a\\nb',"
                     "'customer_id':'c'}}"), q(
        "{'type':'string_pattern_mismatch','loc':['body','metadata','order_id'],"
        "'msg':'String should have no control characters','input':'a\\nb'}"));
    payment_faults(q("{'items':[{'product':'Lasagna'}],'metadata':{'receiver':'\xC2\x9B','order_id':'o',"
                     "'customer_id':'..'}}"), q(
        "{'type':'string_pattern_mismatch','loc':['body','metadata','receiver'],"
        "'msg':'String should have no control characters','input':'\xC2\x9B'},"
        "{'type':'string_pattern_mismatch','loc':['body','metadata','customer_id'],"
        "'msg':'String should not be a step in a path','input':'..'}"));
    payment_faults("[]", q("{'type':'model_attributes_type','loc':['body'],'msg':'" NOT_AN_OBJECT "','input':[]}"));

    memset(receiver, 'r', 256);
    receiver[256] = '\0';
    snprintf(body, sizeof(body), "{'items':[{'product':'Lasagna'}],'metadata':{'receiver':'%s','order_id':'" ORDER
             "','customer_id':'" CUSTOMER "'}}", receiver);
    snprintf(list, sizeof(list), "{'type':'string_too_long','loc':['body','metadata','receiver'],'msg':'String "
                                 "should have at "
             "most 255 characters','input':'%s','ctx':{'max_length':255}}", receiver);
    payment_faults(q(body), q(list));
}

/* --- the card company's callback --- */

static bool parse_callback(const char *body, foodsvc_callback_t *callback, foodsvc_faults_t *faults)
{
    return foodsvc_callback_parse(body, strlen(body), &limits, callback, faults);
}

static void a_callback(void **state)
{
    const char *body = q("{'status':'paymentPaid','caller_id':'06b0413f-be90-7667-8000-f556e421c97a',"
                         "'transaction_id':'b1b11e33-5897-4e65-915f-3b9b9ace1af2'}");
    foodsvc_callback_t callback;
    foodsvc_faults_t   faults = { NULL, false };
    size_t             len;
    char              *text;

    assert_true(parse_callback(body, &callback, &faults));
    assert_int_equal(callback.status, FOODSVC_PAY_PAID);
    text = foodsvc_callback_json(&callback, &len);
    assert_string_equal(text, body);
    assert_int_equal(len, strlen(body));
    free(text);
}

static void faults_of_a_callback(void **state)
{
    foodsvc_callback_t callback;
    foodsvc_faults_t   faults = { NULL, false };
    char               list[1024];

    assert_false(parse_callback(q("{'status':'nope','caller_id':'x'}"), &callback, &faults));
    check_list(&faults, q(
        "{'type':'enum','loc':['body','status'],'msg':'Input should be ^pending^, ^reimbursed^, ^paymentPaid^ or "
        "^paymentFailed^','input':'nope','ctx':{'expected':'^pending^, ^reimbursed^, ^paymentPaid^ or "
        "^paymentFailed^'}},"
        "{'type':'uuid_parsing','loc':['body','caller_id'],'msg':'Input should be a valid UUID, invalid character: "
        "found `x` "
        "at 0','input':'x','ctx':{'error':'invalid character: found `x` at 0'}},"
        "{'type':'missing','loc':['body','transaction_id'],'msg':'Field required',"
        "'input':{'status':'nope','caller_id':'x'}}"));

    assert_false(parse_callback(q("{'caller_id':'" ORDER "','transaction_id':'" ORDER "'}"), &callback, &faults));
    check_list(&faults, q("{'type':'missing','loc':['body','status'],'msg':'Field required',"
                          "'input':{'caller_id':'" ORDER "','transaction_id':'" ORDER "'}}"));

    assert_false(parse_callback(q("{'status':true,'caller_id':'" ORDER "','transaction_id':'" ORDER "'}"), &callback,
                                &faults));
    snprintf(list, sizeof(list), "{\"type\":\"enum\",\"loc\":[\"body\",\"status\"],\"msg\":\"Input should be %s\","
             "\"input\":true,\"ctx\":{\"expected\":\"%s\"}}", PAY_STATUSES, PAY_STATUSES);
    check_list(&faults, list);

    assert_false(parse_callback("{", &callback, &faults));
    foodsvc_faults_clear(&faults);
}

static void ids_in_a_path(void **state)
{
    foodsvc_faults_t faults = { NULL, false };
    char             id[FOODSVC_UUID_TEXT + 1];

    assert_true(foodsvc_path_order_id("C09338EFd93248f2ac4f5c3d811c1cf1", 32, id, &faults));
    assert_string_equal(id, ORDER);
    assert_false(foodsvc_path_order_id("xyz", 3, id, &faults));
    check_list(&faults, q(
        "{'type':'uuid_parsing','loc':['path','order_id'],'msg':'Input should be a valid UUID, invalid character: "
        "found `x` at "
        "0','input':'xyz','ctx':{'error':'invalid character: found `x` at 0'}}"));
    assert_false(foodsvc_path_order_id("a\xFF", 2, id, &faults));
    check_list(&faults, q(
        "{'type':'uuid_parsing','loc':['path','order_id'],'msg':'Input should be a valid UUID, invalid character: "
        "found "
        "`\xEF\xBF\xBD` at 1','input':'a\xEF\xBF\xBD','ctx':{'error':'invalid character: found `\xEF\xBF\xBD` at "
        "1'}}"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_order),
        cmocka_unit_test(recorded_faults_of_an_order),
        cmocka_unit_test(more_faults_of_an_order),
        cmocka_unit_test(products_of_another_type),
        cmocka_unit_test(quantities_that_are_taken),
        cmocka_unit_test(quantities_that_are_not),
        cmocka_unit_test(a_payment), cmocka_unit_test(a_payment_of_another_id),
        cmocka_unit_test(faults_of_a_payment),
        cmocka_unit_test(a_callback),
        cmocka_unit_test(faults_of_a_callback),
        cmocka_unit_test(ids_in_a_path),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
