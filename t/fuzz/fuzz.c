/*
 * What the fuzz targets share: texts, reasons, faults.
 */
#include "fuzz.h"
#include "foodsvc_buf.h"

#define UNSAID          0x7F
/* An entry of a 422 answer: its input, what else it says, and its place. */
#define FAULT_BYTES     (2 * FOODSVC_FAULT_INPUT_MAX + 1024)

const foodsvc_json_limits_t fuzz_limits = { FOODSVC_JSON_MAX_SIZE, FOODSVC_JSON_MAX_DEPTH };

_Noreturn void fuzz_broken(const char *condition, const char *file, int line)
{
    fprintf(stderr, "\n%s:%d: this has to be true: %s\n", file, line, condition);
    abort();
}

char *fuzz_text(const uint8_t *data, size_t size)
{
    char *text = malloc(size + 1);

    MUST(text != NULL);
    if (size > 0) {
        memcpy(text, data, size);
    }
    text[size] = '\0';
    return text;
}

bool fuzz_is_utf8(const char *text, size_t len)
{
    for (size_t i = 0, n; i < len; i += n) {
        n = foodsvc_utf8_char(text + i, len - i);
        if (n == 0) {
            return false;
        }
    }
    return true;
}

void fuzz_unsaid(char *err, size_t size)
{
    memset(err, UNSAID, size);
}

void fuzz_reason(const char *err, size_t size)
{
    const char *end = memchr(err, '\0', size);

    MUST(end != NULL);
    MUST(end > err);
    MUST(fuzz_is_utf8(err, (size_t) (end - err)));
    MUST(foodsvc_utf8_printable(err));
}

json_t *fuzz_json(const char *text, size_t len)
{
    json_t *value;

    MUST(text != NULL);
    MUST(strlen(text) == len);
    value = json_loadb(text, len, JSON_DECODE_ANY | JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, NULL);
    MUST(value != NULL);
    return value;
}

static void check_fault(json_t *fault, const char *root)
{
    json_t *loc = json_object_get(fault, "loc"), *ctx = json_object_get(fault, "ctx"), *step;
    char   *text = foodsvc_json_dump(fault, NULL);
    size_t  i;

    MUST(text != NULL && strlen(text) <= FAULT_BYTES);
    free(text);
    MUST(json_string_length(json_object_get(fault, "type")) > 0);
    MUST(json_string_length(json_object_get(fault, "msg")) > 0);
    MUST(json_object_get(fault, "input") != NULL);
    MUST(ctx == NULL || json_object_size(ctx) > 0);
    MUST(json_array_size(loc) > 0);
    MUST(strcmp(json_string_value(json_array_get(loc, 0)), root) == 0);
    json_array_foreach(loc, i, step) {
        MUST(json_is_string(step) || json_integer_value(step) >= 0);
    }
}

void fuzz_faults(foodsvc_faults_t *faults, const char *root)
{
    char   *text = foodsvc_faults_body(faults);
    json_t *body, *detail, *fault;
    size_t  i;

    MUST(!faults->no_memory);
    MUST(foodsvc_faults_any(faults));
    MUST(text != NULL);
    body = fuzz_json(text, strlen(text));
    detail = json_object_get(body, "detail");
    MUST(json_object_size(body) == 1);
    MUST(json_array_size(detail) >= 1 && json_array_size(detail) <= FOODSVC_FAULTS_MAX);
    json_array_foreach(detail, i, fault) {
        check_fault(fault, root);
    }
    json_decref(body);
    free(text);
    foodsvc_faults_clear(faults);
    MUST(!foodsvc_faults_any(faults));
}
