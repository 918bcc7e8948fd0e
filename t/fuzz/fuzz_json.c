/* Any JSON, and any text that becomes JSON. */
#include "fuzz.h"

static void check_value(const json_t *value)
{
    size_t  len, again_len;
    char   *text = foodsvc_json_dump(value, &len), *again;
    json_t *copy;
    char    err[FOODSVC_ERR];

    MUST(text != NULL && strlen(text) == len && fuzz_is_utf8(text, len));
    copy = foodsvc_json_load(text, len, &(foodsvc_json_limits_t) { 64 * 1024 * 1024, 16 }, err, sizeof(err));
    MUST(copy != NULL);
    again = foodsvc_json_dump(copy, &again_len);
    MUST(again != NULL && again_len == len && memcmp(text, again, len) == 0);
    json_decref(copy);
    free(text);
    free(again);
}

static void check_string(const char *bytes, size_t size)
{
    json_t *string = foodsvc_json_string(bytes, size);
    bool    clean = fuzz_is_utf8(bytes, size);
    char   *text = fuzz_text((const uint8_t *) bytes, size), *detail = foodsvc_json_detail(text);

    MUST(json_is_string(string));
    MUST(fuzz_is_utf8(json_string_value(string), json_string_length(string)));
    if (clean) {
        MUST(json_string_length(string) == size && memcmp(json_string_value(string), bytes, size) == 0);
    }
    json_decref(string);

    MUST(detail != NULL && fuzz_is_utf8(detail, strlen(detail)));
    string = fuzz_json(detail, strlen(detail));
    MUST(!clean || strcmp(json_string_value(json_object_get(string, "detail")), text) == 0);
    json_decref(string);
    free(detail);
    free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char       *text = (const char *) data;
    foodsvc_faults_t  faults = { NULL, false };
    char              err[FOODSVC_ERR];
    json_t           *value, *parsed = foodsvc_json_parse(text, size, &fuzz_limits, &faults);

    fuzz_unsaid(err, sizeof(err));
    value = foodsvc_json_load(text, size, &fuzz_limits, err, sizeof(err));
    MUST((value == NULL) == (parsed == NULL));
    if (value != NULL) {
        MUST(!foodsvc_faults_any(&faults));
        MUST(fuzz_is_utf8(text, size));
        MUST(json_equal(value, parsed));
        check_value(value);
    } else {
        fuzz_reason(err, sizeof(err));
        MUST(json_array_size(faults.list) == 1);
        fuzz_faults(&faults, "body");
    }
    json_decref(value);
    json_decref(parsed);
    check_string(text, size);
    return 0;
}
