/* Times: text and milliseconds, both ways, over the whole range. */
#include "unit.h"
#include <time.h>
#include "foodsvc_time.h"

static void formats(void **state)
{
    static const struct {
        int64_t     ms;
        const char *text;
    } cases[] = {
        { 0, "1970-01-01T00:00:00.000Z" },
        { -1, "1969-12-31T23:59:59.999Z" },
        { INT64_C(1795429371910), "2026-11-23T10:22:51.910Z" },
        { INT64_C(951782400000), "2000-02-29T00:00:00.000Z" },
        { INT64_C(-62167219200000), "0000-01-01T00:00:00.000Z" },
        { INT64_C(253402300799999), "9999-12-31T23:59:59.999Z" },
        { INT64_MIN, "0000-01-01T00:00:00.000Z" },
        { INT64_MAX, "9999-12-31T23:59:59.999Z" },
    };

    for (size_t i = 0; i < COUNT(cases); i++) {
        char text[FOODSVC_TIME_TEXT + 1];

        assert_string_equal(foodsvc_time_format(cases[i].ms, text), cases[i].text);
    }
}

/* Every day of 800 years, against the C library. */
static void agrees_with_the_c_library(void **state)
{
    for (int64_t day = -292194; day < 292194; day++) {
        time_t    seconds = (time_t) (day * 86400 + 3723);
        struct tm tm;
        char      text[FOODSVC_TIME_TEXT + 1], expected[64];
        int64_t   ms;

        gmtime_r(&seconds, &tm);
        strftime(expected, sizeof(expected), "%Y-%m-%dT%H:%M:%S.045Z", &tm);
        assert_string_equal(foodsvc_time_format((int64_t) seconds * 1000 + 45, text), expected);
        assert_true(foodsvc_time_parse(text, FOODSVC_TIME_TEXT, &ms));
        assert_true(ms == (int64_t) seconds * 1000 + 45);
    }
}

static void reads_every_form(void **state)
{
    static const struct {
        const char *text;
        int64_t     ms;
    } cases[] = {
        { "2026-11-23T10:22:51.910Z", INT64_C(1795429371910) },
        { "2026-11-23T10:22:51.910249Z", INT64_C(1795429371910) },
        { "2026-11-23 10:22:51.910000", INT64_C(1795429371910) },
        { "2026-11-23 10:22:51.910671+00:00", INT64_C(1795429371910) },
        { "2026-11-23t10:22:51.9z", INT64_C(1795429371900) },
        { "2026-11-23T10:22:51.999999999Z", INT64_C(1795429371999) },
        { "2026-11-23T10:22:51", INT64_C(1795429371000) },
        { "2026-11-23T12:52:51+02:30", INT64_C(1795429371000) },
        { "2026-11-23T12:52:51+0230", INT64_C(1795429371000) },
        { "2026-11-23T08:22:51-02", INT64_C(1795429371000) },
        { "0000-01-01T00:00:00Z", INT64_C(-62167219200000) },
        { "2000-02-29T00:00:00Z", INT64_C(951782400000) },
    };

    for (size_t i = 0; i < COUNT(cases); i++) {
        int64_t ms = 0;

        if (!foodsvc_time_parse(cases[i].text, strlen(cases[i].text), &ms) || ms != cases[i].ms) {
            fail_msg("%s read as %lld", cases[i].text, (long long) ms);
        }
    }
}

static void refuses_the_rest(void **state)
{
    static const char *const cases[] = {
        "", "2026", "2026-11-23", "2026-11-23T", "2026-13-01T00:00:00Z", "2026-00-01T00:00:00Z", "2026-02-29T00:00:00Z",
        "1900-02-29T00:00:00Z", "2026-04-31T00:00:00Z", "2026-11-00T00:00:00Z", "2026-11-23T24:00:00Z",
        "2026-11-23T10:60:00Z", "2026-11-23T10:00:60Z", "2026-11-23T10:00", "2026-11-23T10:00:00.",
            "2026-11-23T10:00:00.Z",
        "2026-11-23T10:00:00.0123456789Z", "2026-11-23T10:00:00Zx", "2026-11-23T10:00:00x", "2026-11-23T10:00:00+",
        "2026-11-23T10:00:00+24:00", "2026-11-23T10:00:00+02:", "2026-11-23T10:00:00+02:60",
            "2026-11-23T10:00:00+02:000",
        "2026-11-23x10:00:00Z", "2026/11/23T10:00:00Z", "2026-11/23T10:00:00Z", "2026-11-23T10.00:00Z",
        "2026-11-23T10:00.00Z", "2026-11-23T1a:00:00Z", "-026-11-23T10:00:00Z", "2026-11-23T10:00:00-x",
    };

    for (size_t i = 0; i < COUNT(cases); i++) {
        int64_t ms;

        if (foodsvc_time_parse(cases[i], strlen(cases[i]), &ms)) {
            fail_msg("%s was read", cases[i]);
        }
    }
}

static void clocks_run(void **state)
{
    int64_t now = foodsvc_time_now(), monotonic = foodsvc_time_monotonic();

    assert_true(now / 1000 >= (int64_t) time(NULL) - 1 && now / 1000 <= (int64_t) time(NULL));
    assert_true(foodsvc_time_monotonic() >= monotonic);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(formats),
        cmocka_unit_test(agrees_with_the_c_library),
        cmocka_unit_test(reads_every_form),
        cmocka_unit_test(refuses_the_rest),
        cmocka_unit_test(clocks_run),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
