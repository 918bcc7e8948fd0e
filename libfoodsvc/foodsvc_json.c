/*
 * JSON over jansson: strict parsing within limits, and the faults of a 422 answer.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "foodsvc_buf.h"
#include "foodsvc_codec.h"

/* Why a text was not taken. reason NULL: nothing but blanks; an empty reason: no memory. */
typedef struct {
    size_t      offset;
    const char *reason;
} refusal_t;

static const char no_memory[] = "";

static bool is_blank(const char *text, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        if (text[i] != ' ' && text[i] != '\t' && text[i] != '\n' && text[i] != '\r') {
            return false;
        }
    }
    return true;
}

/*
 * Where text nests deeper than max_depth, or len when it does not. Looks at brackets outside of strings only; that is
 * right for all that is JSON, and jansson refuses the rest. Done before it parses, for it recurses.
 */
static size_t too_deep_at(const char *text, size_t len, size_t max_depth)
{
    size_t depth = 0;
    bool   in_string = false;

    for (size_t i = 0; i < len; i++) {
        char c = text[i];

        if (in_string) {
            if (c == '\\') {
                i++;
            } else if (c == '"') {
                in_string = false;
            }
        } else if (c == '"') {
            in_string = true;
        } else if (c == '{' || c == '[') {
            if (++depth > max_depth) {
                return i;
            }
        } else if ((c == '}' || c == ']') && depth > 0) {
            depth--;
        }
    }
    return len;
}

/* Did the text end right behind a '[' (and blanks)? */
static bool ends_in_bracket(const char *text, size_t len)
{
    while (len > 0 && is_blank(text + len - 1, 1)) {
        len--;
    }
    return len > 0 && text[len - 1] == '[';
}

/* jansson's error in the words of the original's parser where it has some; never a word of the text itself. */
static const char *reason_of(const json_error_t *error, const char *text, size_t len)
{
    static const struct {
        const char *start;
        const char *reason;
    } syntax[] = {
        { "string or '}' expected", "Expecting property name enclosed in double quotes" },
        { "':' expected",           "Expecting ':' delimiter" },
        { "'}' expected",           "Expecting ',' delimiter" },
        { "']' expected",           "Expecting ',' delimiter" },
        { "control character",      "Invalid control character" },
        { "unexpected newline",     "Invalid control character" },
        { "invalid escape",         "Invalid \\escape" },
        { "invalid Unicode",        "Invalid \\u escape" },
    };

    switch (json_error_code(error)) {
    case json_error_unknown:            /* jansson found nothing wrong: so it was that */
    case json_error_out_of_memory:
        return no_memory;
    case json_error_invalid_utf8:
        return "Invalid UTF-8";
    case json_error_duplicate_key:
        return "Duplicate key";
    case json_error_end_of_input_expected:
        return "Extra data";
    case json_error_numeric_overflow:
        return "Number out of range";
    case json_error_null_character:
    case json_error_null_byte_in_key:
        return "NUL character in a string";
    case json_error_premature_end_of_input:
        if (ends_in_bracket(text, len)) {
            return "Expecting value";
        }
        break;
    default:
        break;
    }
    for (size_t i = 0; i < sizeof(syntax) / sizeof(syntax[0]); i++) {
        if (strncmp(error->text, syntax[i].start, strlen(syntax[i].start)) == 0) {
            return syntax[i].reason;
        }
    }
    return "Expecting value";
}

static json_t *parse(const char *text, size_t len, const foodsvc_json_limits_t *limits, refusal_t *refusal)
{
    json_error_t  error;
    json_t       *value;

    *refusal = (refusal_t) { 0, NULL };
    if (len > limits->max_size) {
        *refusal = (refusal_t) { limits->max_size, "Text too large" };
        return NULL;
    }
    if (is_blank(text, len)) {
        return NULL;
    }
    refusal->offset = too_deep_at(text, len, limits->max_depth);
    if (refusal->offset < len) {
        refusal->reason = "Nested too deeply";
        return NULL;
    }

    value = json_loadb(text, len, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &error);
    if (value == NULL) {
        *refusal = (refusal_t) { error.position < 0 ? 0 : (size_t) error.position, reason_of(&error, text, len) };
    }
    return value;
}

json_t *foodsvc_json_parse(const char *text, size_t len, const foodsvc_json_limits_t *limits, foodsvc_faults_t *faults)
{
    refusal_t  refusal;
    json_t    *value = parse(text, len, limits, &refusal);

    if (value != NULL) {
        return value;
    }
    if (refusal.reason == no_memory) {
        faults->no_memory = true;
    } else if (refusal.reason == NULL) {
        foodsvc_fault_add(faults, "missing", json_pack("[s]", "body"), "Field required", json_null(), NULL);
    } else {
        foodsvc_fault_add(faults, "json_invalid", json_pack("[s, I]", "body", (json_int_t) refusal.offset),
                          "JSON decode error", json_object(), json_pack("{s: s}", "error", refusal.reason));
    }
    return NULL;
}

bool foodsvc_no_memory(const char *err)
{
    return strcmp(err, FOODSVC_NO_MEMORY) == 0;
}

json_t *foodsvc_json_load(const char *text, size_t len, const foodsvc_json_limits_t *limits, char *err, size_t errlen)
{
    refusal_t  refusal;
    json_t    *value = parse(text, len, limits, &refusal);

    if (value != NULL) {
        return value;
    }
    if (refusal.reason == no_memory) {
        snprintf(err, errlen, FOODSVC_NO_MEMORY);
    } else if (refusal.reason == NULL) {
        snprintf(err, errlen, "it is empty");
    } else {
        snprintf(err, errlen, "it is no JSON: %s at byte %zu", refusal.reason, refusal.offset);
    }
    return NULL;
}

json_t *foodsvc_json_string(const char *text, size_t len)
{
    json_t        *string = json_stringn(text, len);
    foodsvc_buf_t  buf;
    char          *clean;

    if (string != NULL) {
        return string;
    }

    foodsvc_buf_init(&buf, len * 2);
    foodsvc_buf_quote(&buf, text, len);
    clean = foodsvc_buf_finish(&buf, &len);
    if (clean != NULL) {
        string = json_loadb(clean, len, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);
        free(clean);
    }
    return string;
}

char *foodsvc_json_dump(const json_t *value, size_t *len)
{
    /* 15 digits: 19.99 stays 19.99 */
    char *text = json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY | JSON_REAL_PRECISION(15));

    if (text != NULL && len != NULL) {
        *len = strlen(text);
    }
    return text;
}

char *foodsvc_json_detail(const char *detail)
{
    foodsvc_buf_t buf;
    size_t        len = strlen(detail);

    foodsvc_buf_init(&buf, len + 32);
    foodsvc_buf_str(&buf, "{\"detail\":");
    foodsvc_buf_quote(&buf, detail, len);
    foodsvc_buf_str(&buf, "}");
    return foodsvc_buf_finish(&buf, NULL);
}

/* How much of a string is shown: whole characters, whose JSON text, escapes included, is within the limit. */
static size_t shown_length(const char *text, size_t len)
{
    size_t room = FOODSVC_FAULT_INPUT_MAX, i = 0;

    while (i < len) {
        unsigned char c = (unsigned char) text[i];
        size_t        n = foodsvc_utf8_char(text + i, len - i);
        size_t        size = c == '"' || c == '\\' ? 2 : c < 0x20 ? sizeof("\\u0000") - 1 : n;

        if (n == 0 || size > room) {
            break;
        }
        room -= size;
        i += n;
    }
    return i;
}

/* input itself, or what is shown in its place; NULL: no memory. Takes the reference. */
static json_t *bounded(json_t *input)
{
    json_t *shown;
    size_t  len;
    char   *text;

    if (json_is_string(input)) {
        text = (char *) json_string_value(input);
        len = shown_length(text, json_string_length(input));
        if (len == json_string_length(input)) {
            return input;
        }
        shown = json_stringn(text, len);

    } else if (json_is_array(input) || json_is_object(input)) {
        text = foodsvc_json_dump(input, &len);
        free(text);
        if (text != NULL && len <= FOODSVC_FAULT_INPUT_MAX) {
            return input;
        }
        shown = json_is_array(input) ? json_array() : json_object();

    } else {
        return input;
    }
    json_decref(input);
    return shown;
}

void foodsvc_fault_add(foodsvc_faults_t *faults, const char *type, json_t *loc, const char *msg, json_t *input,
    json_t *ctx)
{
    json_t *fault;
    int     rc;

    if (faults->list == NULL) {
        faults->list = json_array();
    }
    if (json_array_size(faults->list) >= FOODSVC_FAULTS_MAX) {
        json_decref(loc);
        json_decref(input);
        json_decref(ctx);
        return;
    }

    /* The members keep this order in the answer. */
    fault = json_object();
    rc = json_object_set_new(fault, "type", json_string(type));
    rc |= json_object_set_new(fault, "loc", loc);
    rc |= json_object_set_new(fault, "msg", json_string(msg));
    rc |= json_object_set_new(fault, "input", input == NULL ? NULL : bounded(input));
    if (ctx != NULL) {
        rc |= json_object_set_new(fault, "ctx", ctx);
    }
    rc |= json_array_append(faults->list, fault);
    if (rc != 0) {
        faults->no_memory = true;
    }
    json_decref(fault);
}

bool foodsvc_faults_any(const foodsvc_faults_t *faults)
{
    return faults->no_memory || faults->list != NULL;
}

char *foodsvc_faults_body(const foodsvc_faults_t *faults)
{
    json_t *body;
    char   *text;

    if (faults->list == NULL || faults->no_memory) {
        return NULL;
    }
    body = json_pack("{s: O}", "detail", faults->list);
    text = body == NULL ? NULL : foodsvc_json_dump(body, NULL);
    json_decref(body);
    return text;
}

void foodsvc_faults_clear(foodsvc_faults_t *faults)
{
    json_decref(faults->list);
    faults->list = NULL;
    faults->no_memory = false;
}
