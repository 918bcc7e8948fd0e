/* JSON: what is no JSON for us and why, texts out, and the bounds of a 422 answer. */
#include "unit.h"
#include "foodsvc_buf.h"
#include "foodsvc_json.h"

static const foodsvc_json_limits_t limits = { 4096, 4 };

static void check_fault(const char *text, size_t len, const char *expected)
{
    foodsvc_faults_t faults = { NULL, false };
    char            *body;

    assert_null(foodsvc_json_parse(text, len, &limits, &faults));
    assert_true(foodsvc_faults_any(&faults));
    body = foodsvc_faults_body(&faults);
    assert_string_equal(body, expected);
    free(body);
    foodsvc_faults_clear(&faults);
    assert_false(foodsvc_faults_any(&faults));
}

static void check_invalid(const char *text, int offset, const char *why)
{
    char expected[512], err[256];

    snprintf(expected, sizeof(expected), "{\"detail\":[{\"type\":\"json_invalid\",\"loc\":[\"body\",%d],\"msg\":"
             "\"JSON decode error\",\"input\":{},\"ctx\":{\"error\":\"%s\"}}]}", offset, why);
    check_fault(text, strlen(text), expected);
    assert_null(foodsvc_json_load(text, strlen(text), &limits, err, sizeof(err)));
    assert_true(strncmp(err, "it is no JSON: ", 15) == 0);
}

static void an_absent_text_is_missing(void **state)
{
    static const char missing[] =
        "{\"detail\":[{\"type\":\"missing\",\"loc\":[\"body\"],\"msg\":\"Field required\",\"input\":null}]}";
    char err[64];

    check_fault("", 0, missing);
    check_fault(NULL, 0, missing);
    check_fault(" \t\r\n", 4, missing);
    assert_null(foodsvc_json_load("", 0, &limits, err, sizeof(err)));
    assert_string_equal(err, "it is empty");
}

static void what_is_no_json(void **state)
{
    check_invalid("{\"items\": [", 11, "Expecting value");
    check_invalid("[1, [ ", 6, "Expecting value");
    check_invalid("{", 1, "Expecting property name enclosed in double quotes");
    check_invalid("{a}", 2, "Expecting property name enclosed in double quotes");
    check_invalid("{\"a\" 1}", 6, "Expecting ':' delimiter");
    check_invalid("{\"a\":1 2}", 8, "Expecting ',' delimiter");
    check_invalid("[1 2]", 4, "Expecting ',' delimiter");
    check_invalid("[1,]", 4, "Expecting value");
    check_invalid("nope", 4, "Expecting value");
    check_invalid("{} {}", 4, "Extra data");
    check_invalid("{\"a\":1,\"a\":2}", 10, "Duplicate key");
    check_invalid("[NaN]", 4, "Expecting value");
    check_invalid("[Infinity]", 9, "Expecting value");
    check_invalid("[-Infinity]", 2, "Expecting value");
    check_invalid("[1e400]", 6, "Number out of range");
    check_invalid("[9223372036854775808]", 20, "Number out of range");
    check_invalid("[\"\xFF\"]", 2, "Invalid UTF-8");
    check_invalid("[\"\xC3(\"]", 2, "Invalid UTF-8");
    check_invalid("[\"\\ud800\"]", 9, "Invalid \\\\u escape");
    check_invalid("[\"\\x\"]", 4, "Invalid \\\\escape");
    check_invalid("[\"\t\"]", 2, "Invalid control character");
    check_invalid("[\"\n\"]", 2, "Invalid control character");
    check_invalid("[\"\\u0000\"]", 9, "NUL character in a string");
    check_invalid("{\"\\u0000\":1}", 9, "NUL character in a string");
    check_invalid("\"abc", 4, "Expecting value");
}

static void limits_hold(void **state)
{
    char    large[5000], err[64];
    json_t *value;

    check_invalid("[[[[[]]]]]", 4, "Nested too deeply");
    check_invalid("{\"a\":{\"a\":{\"a\":{\"a\":{}}}}}", 20, "Nested too deeply");

    value = foodsvc_json_load("[[[[]]],[[[]]],\"[[[[[\\\"[{{\"]", 28, &limits, err, sizeof(err));
    assert_non_null(value);
    json_decref(value);

    memset(large, ' ', sizeof(large));
    large[0] = '1';
    value = foodsvc_json_load(large, limits.max_size, &limits, err, sizeof(err));
    assert_non_null(value);
    json_decref(value);
    assert_null(foodsvc_json_load(large, limits.max_size + 1, &limits, err, sizeof(err)));
    assert_string_equal(err, "it is no JSON: Text too large at byte 4096");
}

static void a_text_read_and_written_is_the_same(void **state)
{
    static const char text[] = "{\"b\":19.99,\"a\":[1,-2,true,false,null,\"\xC3\xA9\\u0001\"],"
                               "\"c\":9223372036854775807}";
    char              err[64], *out;
    size_t            len;
    json_t           *value = foodsvc_json_load(text, strlen(text), &limits, err, sizeof(err));

    out = foodsvc_json_dump(value, &len);
    assert_string_equal(out, text);
    assert_int_equal(len, strlen(text));
    free(out);
    json_decref(value);

    assert_null(foodsvc_json_dump(NULL, &len));
}

static void strings_of_any_bytes(void **state)
{
    static const struct {
        const char *bytes;
        size_t      len;
        const char *text;
    } cases[] = {
        { "xyz", 3, "xyz" },
        { "", 0, "" },
        { "a\xFFz", 3, "a\xEF\xBF\xBDz" },
        { "\xC3", 1, "\xEF\xBF\xBD" },
        { "\xC0\x80", 2, "\xEF\xBF\xBD\xEF\xBF\xBD" },
        { "\xE2\x82\xAC\xFF", 4, "\xE2\x82\xAC\xEF\xBF\xBD" },
        { "\xE0\x80\x80\"\\\n\x01", 7, "\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD\"\\\n\x01" },
        { "\xED\xA0\x80", 3, "\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD" },
        { "\xF0\x9F\x8D\x95\xF8", 5, "\xF0\x9F\x8D\x95\xEF\xBF\xBD" },
        { "\xF0\x80\x80\x80", 4, "\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD" },
        { "\xF4\x90\x80\x80", 4, "\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD" },
        { "\xE2\x28\xA1", 3, "\xEF\xBF\xBD(\xEF\xBF\xBD" },
    };

    for (size_t i = 0; i < COUNT(cases); i++) {
        json_t *string = foodsvc_json_string(cases[i].bytes, cases[i].len);

        assert_string_equal(json_string_value(string), cases[i].text);
        json_decref(string);
    }
}

static void characters(void **state)
{
    assert_int_equal(foodsvc_utf8_char("", 0), 0);
    assert_int_equal(foodsvc_utf8_char("a", 1), 1);
    assert_int_equal(foodsvc_utf8_char("\xED\x9F\xBF", 3), 3);
    assert_int_equal(foodsvc_utf8_char("\xEE\x80\x80", 3), 3);
    assert_int_equal(foodsvc_utf8_char("\xF4\x8F\xBF\xBF", 4), 4);
    assert_int_equal(foodsvc_utf8_char("\x80", 1), 0);
}

static void details(void **state)
{
    char *text = foodsvc_json_detail("Order \"x\"\\ \xFF\n\x02");

    assert_string_equal(text, "{\"detail\":\"Order \\\"x\\\"\\\\ \xEF\xBF\xBD\\n\\u0002\"}");
    free(text);
}

static void add(foodsvc_faults_t *faults, json_t *input)
{
    foodsvc_fault_add(faults, "t", json_pack("[s]", "body"), "m", input, NULL);
}

static const char *input_of(const foodsvc_faults_t *faults, size_t i, char text[4096])
{
    char *dump = foodsvc_json_dump(json_object_get(json_array_get(faults->list, i), "input"), NULL);

    snprintf(text, 4096, "%s", dump);
    free(dump);
    return text;
}

static void an_answer_is_bounded(void **state)
{
    foodsvc_faults_t faults = { NULL, false };
    char             text[4096], shown[4096];

    memset(text, 'x', sizeof(text));
    memcpy(text + FOODSVC_FAULT_INPUT_MAX - 1, "\xE2\x82\xAC", 3);
    add(&faults, json_stringn(text, FOODSVC_FAULT_INPUT_MAX - 1));
    add(&faults, json_stringn(text, 3000));                             /* cut before the character on the bound */
    add(&faults, json_pack("[s#]", text, 2000));
    add(&faults, json_pack("{s: s#}", "a", text, 2000));
    add(&faults, json_pack("[i]", 1));
    add(&faults, json_integer(7));
    memset(text, 1, sizeof(text));                                      /* six bytes each, as JSON has them */
    add(&faults, json_stringn(text, FOODSVC_FAULT_INPUT_MAX));
    add(&faults, json_stringn(text, FOODSVC_FAULT_INPUT_MAX / 6));
    assert_int_equal(strlen(input_of(&faults, 6, shown)), FOODSVC_FAULT_INPUT_MAX / 6 * 6 + 2);
    assert_int_equal(strlen(input_of(&faults, 7, shown)), FOODSVC_FAULT_INPUT_MAX / 6 * 6 + 2);
    assert_int_equal(strlen(input_of(&faults, 0, shown)), FOODSVC_FAULT_INPUT_MAX - 1 + 2);
    assert_int_equal(strlen(input_of(&faults, 1, shown)), FOODSVC_FAULT_INPUT_MAX - 1 + 2);
    assert_string_equal(input_of(&faults, 2, shown), "[]");
    assert_string_equal(input_of(&faults, 3, shown), "{}");
    assert_string_equal(input_of(&faults, 4, shown), "[1]");
    assert_string_equal(input_of(&faults, 5, shown), "7");

    for (int i = 0; i < 200; i++) {
        foodsvc_fault_add(&faults, "t", json_pack("[s]", "body"), "m", json_integer(i), json_pack("{s: i}", "gt", 0));
    }
    assert_int_equal(json_array_size(faults.list), FOODSVC_FAULTS_MAX);
    assert_false(faults.no_memory);
    foodsvc_faults_clear(&faults);
    assert_null(foodsvc_faults_body(&faults));
}

static void a_fault_that_cannot_be_built(void **state)
{
    foodsvc_faults_t faults = { NULL, false };

    foodsvc_fault_add(&faults, "t", NULL, "m", json_null(), NULL);
    assert_true(faults.no_memory);
    assert_true(foodsvc_faults_any(&faults));
    assert_null(foodsvc_faults_body(&faults));
    foodsvc_faults_clear(&faults);

    foodsvc_fault_add(&faults, "t", json_array(), "m", NULL, json_object());
    assert_true(faults.no_memory);
    foodsvc_faults_clear(&faults);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_absent_text_is_missing),
        cmocka_unit_test(what_is_no_json),
        cmocka_unit_test(limits_hold),
        cmocka_unit_test(a_text_read_and_written_is_the_same),
        cmocka_unit_test(strings_of_any_bytes),
        cmocka_unit_test(characters),
        cmocka_unit_test(details),
        cmocka_unit_test(an_answer_is_bounded),
        cmocka_unit_test(a_fault_that_cannot_be_built),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
