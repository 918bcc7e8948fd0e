/* What a message's own headers say of its way so far, whoever wrote them: worker_amqp_read_headers(). */
#include "unit.h"
#include "foodsvc_names.h"
#include "worker_amqp_state.h"

static worker_amqp_message_t read_entries(amqp_table_entry_t *entries, int n)
{
    amqp_basic_properties_t  properties = {
        ._flags = AMQP_BASIC_HEADERS_FLAG, .headers = { .num_entries = n, .entries = entries }
    };
    worker_amqp_message_t    message = { .tag = 1 };

    worker_amqp_read_headers(&properties, &message);
    return message;
}

static amqp_table_entry_t entry(const char *name, amqp_field_value_t value)
{
    return (amqp_table_entry_t) { amqp_cstring_bytes(name), value };
}

static int64_t attempts(amqp_field_value_t value)
{
    amqp_table_entry_t  one = entry(FOODSVC_AMQP_ATTEMPTS, value);

    return read_entries(&one, 1).attempts;
}

static void attempts_are_a_small_number(void **state)
{
    assert_int_equal(attempts((amqp_field_value_t) { .kind = AMQP_FIELD_KIND_I32, .value.i32 = 7 }), 7);
    assert_int_equal(attempts((amqp_field_value_t) { .kind = AMQP_FIELD_KIND_I64, .value.i64 = 1000000 }), 1000000);
    assert_int_equal(attempts((amqp_field_value_t) { .kind = AMQP_FIELD_KIND_I16, .value.i16 = 3 }), 3);
    assert_int_equal(attempts((amqp_field_value_t) { .kind = AMQP_FIELD_KIND_I8, .value.i8 = 2 }), 2);

    assert_int_equal(attempts((amqp_field_value_t) { .kind = AMQP_FIELD_KIND_I8, .value.i8 = -1 }), 0);
    assert_int_equal(attempts((amqp_field_value_t) { .kind = AMQP_FIELD_KIND_I64, .value.i64 = -1 }), 0);
    assert_int_equal(attempts((amqp_field_value_t) { .kind = AMQP_FIELD_KIND_I64, .value.i64 = INT64_MAX }), 0);
    assert_int_equal(attempts((amqp_field_value_t) { .kind = AMQP_FIELD_KIND_UTF8,
                                                     .value.bytes = amqp_cstring_bytes("7") }), 0);
}

static void texts_are_cut_to_fit(void **state)
{
    char                   longer[400];
    amqp_table_entry_t     entries[2];
    worker_amqp_message_t  message;

    memset(longer, 'x', sizeof(longer));
    entries[0] = entry(FOODSVC_AMQP_REASON, (amqp_field_value_t) {
        .kind = AMQP_FIELD_KIND_UTF8, .value.bytes = { sizeof(longer), longer } });
    entries[1] = entry(FOODSVC_AMQP_FIRST, (amqp_field_value_t) {
        .kind = AMQP_FIELD_KIND_BYTES, .value.bytes = { sizeof(longer), longer } });
    message = read_entries(entries, 2);
    assert_int_equal(strlen(message.reason), sizeof(message.reason) - 1);
    assert_int_equal(strlen(message.first), sizeof(message.first) - 1);

    entries[0].value = (amqp_field_value_t) { .kind = AMQP_FIELD_KIND_I32, .value.i32 = 1 };
    assert_string_equal(read_entries(entries, 1).reason, "");
    assert_string_equal(read_entries(NULL, 0).reason, "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(attempts_are_a_small_number),
        cmocka_unit_test(texts_are_cut_to_fit),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
