/* ISO 8601 as anybody may write it, and any number of milliseconds. */
#include "fuzz.h"
#include "foodsvc_time.h"

#define YEAR_0      INT64_C(-62167219200000)
#define YEAR_10000  INT64_C(253402300800000)
#define DAY         INT64_C(86400000)

static void check_ms(int64_t ms)
{
    char    text[FOODSVC_TIME_TEXT + 1];
    int64_t again;

    MUST(foodsvc_time_format(ms, text) == text);
    MUST(strlen(text) == FOODSVC_TIME_TEXT);
    MUST(foodsvc_time_parse(text, FOODSVC_TIME_TEXT, &again));
    MUST(again == (ms < YEAR_0 ? YEAR_0 : ms >= YEAR_10000 ? YEAR_10000 - 1 : ms));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    int64_t ms;

    if (foodsvc_time_parse((const char *) data, size, &ms)) {
        MUST(size >= 19 && size <= 35);
        MUST(ms > YEAR_0 - DAY && ms < YEAR_10000 + DAY);      /* an offset may lead out of them */
        check_ms(ms);
    }
    if (size >= sizeof(ms)) {
        memcpy(&ms, data, sizeof(ms));
        check_ms(ms);
    }
    return 0;
}
