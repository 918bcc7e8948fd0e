/*
 * No memory: every function of the domain that allocates is run with the first, second, third ... allocation failing,
 * until it gets through. Each time it has to say so, and leave nothing behind (make asan looks for leaks).
 *
 * The Makefile links this program with the allocator's functions wrapped; jansson gets the same ones. Its parser (2.14)
 * writes out of bounds when its buffer cannot grow, so that a parse counts as one allocation that fails as a whole.
 */
#include "unit.h"
#include "foodsvc_buf.h"
#include "foodsvc_codec.h"
#include "foodsvc_names.h"

#define ID      "53c5711d-f5d4-45eb-8651-f0ba9092ba0d"
#define CARD    "{\"CVV\":\"1\",\"Bank\":\"b\",\"Name\":\"n\",\"Expiry\":\"e\",\"Address\":\"a\",\"Country\":\"c\"," \
                "\"MoneyRange\":\"m\",\"CardNumber\":\"4\",\"IssuingNetwork\":\"i\"}"

static const foodsvc_json_limits_t limits = { FOODSVC_JSON_MAX_SIZE, FOODSVC_JSON_MAX_DEPTH };

static long left = -1;      /* allocations until one fails; negative: none does */

void *__real_malloc(size_t size);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *old, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *old, size_t size);
char *__wrap_strdup(const char *text);
json_t *__real_json_loadb(const char *text, size_t len, size_t flags, json_error_t *error);
json_t *__wrap_json_loadb(const char *text, size_t len, size_t flags, json_error_t *error);

static bool fails(void)
{
    return left >= 0 && left-- == 0;
}

void *__wrap_malloc(size_t size)
{
    return fails() ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t n, size_t size)
{
    return fails() ? NULL : __real_calloc(n, size);
}

void *__wrap_realloc(void *old, size_t size)
{
    return fails() ? NULL : __real_realloc(old, size);
}

char *__wrap_strdup(const char *text)
{
    char *copy = __wrap_malloc(strlen(text) + 1);

    return copy == NULL ? NULL : strcpy(copy, text);
}

json_t *__wrap_json_loadb(const char *text, size_t len, size_t flags, json_error_t *error)
{
    json_t *value;
    long    saved;

    if (fails()) {
        if (error != NULL) {
            memset(error, 0, sizeof(*error));
        }
        return NULL;
    }
    saved = left;
    left = -1;
    value = __real_json_loadb(text, len, flags, error);
    left = saved;
    return value;
}

/* --- what is tried: true when it got through --- */

static foodsvc_order_t *sample;
static bson_t          *sample_doc;

static bool take(void *memory)
{
    free(memory);
    return memory != NULL;
}

static bool take_json(json_t *value)
{
    json_decref(value);
    return value != NULL;
}

static bool take_order(foodsvc_order_t *order)
{
    foodsvc_order_free(order);
    return order != NULL;
}

static bool copy_order(void)
{
    return take_order(foodsvc_order_copy(sample));
}

static bool decide_event(void)
{
    foodsvc_change_t change = { .kind = FOODSVC_CHANGE_EVENT, .status = FOODSVC_DELIVERED };
    foodsvc_order_t *order = foodsvc_order_new();
    bool             ok = false;

    if (order != NULL) {
        foodsvc_order_decide(order, &change, &ok);
        assert_int_equal(order->nupdated, ok);
        assert_int_equal(order->status, ok ? FOODSVC_DELIVERED : FOODSVC_CREATED);
    }
    foodsvc_order_free(order);
    return ok;
}

static bool decide_cancel(void)
{
    foodsvc_change_t change = { .kind = FOODSVC_CHANGE_CANCEL };
    foodsvc_order_t *order = foodsvc_order_new();
    bool             ok = false;

    if (order != NULL) {
        order->status = FOODSVC_DELIVERY_SCHEDULED;
        foodsvc_order_decide(order, &change, &ok);
        assert_int_equal(order->status, ok ? FOODSVC_ORDER_CANCELLED : FOODSVC_DELIVERY_SCHEDULED);
    }
    foodsvc_order_free(order);
    return ok;
}

static bool request_order(void)
{
    static const char body[] = "{\"items\":[{\"product\":\"Lasagna\"},{\"product\":\"Lasagna\"}],"
                               "\"customer_id\":\"" ID "\"}";
    foodsvc_faults_t  faults = { NULL, false };
    foodsvc_order_t  *order = foodsvc_order_from_request(body, strlen(body), &limits, &faults);

    assert_int_equal(order == NULL, faults.no_memory);
    foodsvc_faults_clear(&faults);
    return take_order(order);
}

/* With memory short the faults are not told, but that there are some is. */
static bool request_faults(void)
{
    static const char body[] = "{\"items\":[{\"product\":\"x\"},{\"quantity\":true}],\"customer_id\":\"x\"}";
    foodsvc_faults_t  faults = { NULL, false };
    bool              complete;

    assert_null(foodsvc_order_from_request(body, strlen(body), &limits, &faults));
    assert_true(foodsvc_faults_any(&faults));
    complete = take(foodsvc_faults_body(&faults));
    foodsvc_faults_clear(&faults);
    return complete;
}

static bool invalid_json(void)
{
    foodsvc_faults_t faults = { NULL, false };
    char             big[3000];
    bool             complete;

    memset(big, 'x', sizeof(big));
    assert_null(foodsvc_json_parse("{", 1, &limits, &faults));
    foodsvc_fault_add(&faults, "t", json_array(), "m", json_stringn(big, sizeof(big)), NULL);
    assert_true(foodsvc_faults_any(&faults));
    complete = take(foodsvc_faults_body(&faults));
    foodsvc_faults_clear(&faults);
    return complete;
}

static bool request_payment(void)
{
    static const char         body[] = "{\"items\":[{\"product\":\"Lasagna\"}],\"metadata\":{\"receiver\":\"r\","
                                       "\"order_id\":\""
                                       ID "\",\"customer_id\":\"" ID "\"}}";
    foodsvc_payment_request_t request;
    foodsvc_faults_t          faults = { NULL, false };
    bool                      ok = foodsvc_payment_request_parse(body, strlen(body), &limits, &request, &faults);

    assert_int_equal(ok, !faults.no_memory);
    foodsvc_payment_request_clear(&request);
    foodsvc_faults_clear(&faults);
    return ok;
}

static bool cache_json(void)
{
    size_t len, public_len;

    return take(foodsvc_order_cache_json(sample, &len, &public_len));
}

static bool response_json(void)
{
    size_t len;

    return take(foodsvc_order_response_json(sample, &len));
}

static bool from_cache(void)
{
    static const char text[] = "{\"id\":\"" ID "\",\"status\":\"created\",\"items\":[{\"product\":\"Lasagna\","
                                               "\"quantity\":1}],"
                               "\"created\":\"2026-11-23 10:22:51\",\"customer_id\":\"" ID "\","
            "\"updated\":[{\"status\":"
                               "\"created\",\"when\":\"2026-11-23 10:22:51\"}],\"x\":1}";
    char              err[FOODSVC_ERR] = "";
    foodsvc_order_t  *order = foodsvc_order_from_cache(text, strlen(text), ID, err);

    if (order == NULL) {
        assert_string_equal(err, "no memory");
    }
    return take_order(order);
}

static bool from_bson(void)
{
    char             err[FOODSVC_ERR] = "";
    foodsvc_order_t *order = foodsvc_order_from_bson(sample_doc, err);

    if (order == NULL) {
        assert_string_equal(err, "no memory");
    }
    return take_order(order);
}

static bool to_bson(void)
{
    bson_t doc = BSON_INITIALIZER;
    bool   ok = foodsvc_order_to_bson(sample, &doc);

    bson_destroy(&doc);
    return ok;
}

static bool payment_from_bson(void)
{
    bson_t             doc = BSON_INITIALIZER, metadata;
    char               err[FOODSVC_ERR] = "";
    foodsvc_payment_t *payment;

    BSON_APPEND_UTF8(&doc, "_id", ID);
    BSON_APPEND_UTF8(&doc, "status", "pending");
    BSON_APPEND_DOCUMENT_BEGIN(&doc, "metadata", &metadata);
    BSON_APPEND_UTF8(&metadata, "receiver", "r");
    BSON_APPEND_UTF8(&metadata, "order_id", "o");
    BSON_APPEND_UTF8(&metadata, "customer_id", "c");
    bson_append_document_end(&doc, &metadata);
    payment = foodsvc_payment_from_bson(&doc, err);
    if (payment == NULL) {
        assert_string_equal(err, "no memory");
    }
    bson_destroy(&doc);
    foodsvc_payment_free(payment);
    return payment != NULL;
}

static bool event(void)
{
    static const char body[] = "{\"metadata\":{\"order_id\":\"" ID "\"},\"status\":\"delivered\"}";
    foodsvc_event_t   event;
    char              err[FOODSVC_ERR] = "";
    bool              ok = foodsvc_event_parse(body, strlen(body), &limits, &event, err);
    size_t            len;

    if (!ok) {
        assert_true(foodsvc_no_memory(err));    /* whoever reads this asks again, and does not bury the event */
        return false;
    }
    ok = take(foodsvc_event_json(&event.metadata, event.status, NULL, NULL, &len));
    foodsvc_event_clear(&event);
    return ok;
}

static bool billing(void)
{
    static const char body[] = "{\"amount\":5,\"billing_info\":" CARD "}";
    char              err[FOODSVC_ERR];
    json_t           *answer = foodsvc_billing_parse(body, strlen(body), &limits, err);
    size_t            len;
    bool              ok = answer != NULL && take(foodsvc_billing_payload_json(answer, 5, "u", "c", &len));

    json_decref(answer);
    return ok;
}

static bool sent_to_partners(void)
{
    foodsvc_metadata_t metadata = { (char *) "r", (char *) "o", (char *) "c" };
    size_t             len;

    return take(foodsvc_request_json(sample->items, sample->nitems, &metadata, NULL, &len))
           && take(foodsvc_items_json(sample->items, sample->nitems, &len));
}

static bool texts(void)
{
    foodsvc_callback_t callback = { .status = FOODSVC_PAY_PAID };
    size_t             len;

    return take(foodsvc_json_detail("a detail")) && take_json(foodsvc_json_string("a\xFF", 2))
           && take(foodsvc_callback_json(&callback, &len));
}

static bool error_detail(void)
{
    return take(foodsvc_error_detail("S", 500, "{\"detail\":\"x\"}", 14));
}

static bool growing_text(void)
{
    foodsvc_buf_t buf;

    foodsvc_buf_init(&buf, 1);
    for (int i = 0; i < 100; i++) {
        foodsvc_buf_quote(&buf, "some text\n", 10);
        foodsvc_buf_integer(&buf, i);
    }
    return take(foodsvc_buf_finish(&buf, NULL));
}

static bool path_fault(void)
{
    foodsvc_faults_t faults = { NULL, false };
    char             id[FOODSVC_UUID_TEXT + 1];
    bool             complete;

    assert_false(foodsvc_path_order_id("a\xFF", 2, id, &faults));
    assert_true(foodsvc_faults_any(&faults));
    complete = take(foodsvc_faults_body(&faults));
    foodsvc_faults_clear(&faults);
    return complete;
}

static void each_allocation_may_fail(void **state)
{
    static const struct {
        const char *name;
        bool      (*run)(void);
    } all[] = {
        { "copy_order", copy_order }, { "decide_event", decide_event }, { "decide_cancel", decide_cancel },
        { "request_order", request_order }, { "request_faults", request_faults }, { "invalid_json", invalid_json },
        { "request_payment", request_payment }, { "cache_json", cache_json }, { "response_json", response_json },
        { "from_cache", from_cache }, { "from_bson", from_bson }, { "to_bson", to_bson },
        { "payment_from_bson", payment_from_bson }, { "event", event }, { "billing", billing },
        { "sent_to_partners", sent_to_partners }, { "texts", texts }, { "error_detail", error_detail },
        { "growing_text", growing_text }, { "path_fault", path_fault },
    };

    for (size_t i = 0; i < COUNT(all); i++) {
        long n = 0;
        bool through;

        do {
            left = n++;
            through = all[i].run();
            if (left >= 0 && !through) {
                fail_msg("%s fails though all %ld allocations were made", all[i].name, n - 1 - left);
            }
        } while (left < 0);
        left = -1;
        assert_true(n > 1);
    }
}

static int prepare(void **state)
{
    bson_error_t error;

    json_object_seed(1);
    sample = foodsvc_order_new();
    strcpy(sample->id, ID);
    foodsvc_order_add_item(sample, "Lasagna", 7, 1);
    foodsvc_order_add_item(sample, "Lasagna", 7, 1);
    foodsvc_order_add_step(sample, FOODSVC_PAYMENT_PAID, 1);
    sample->unknown = json_pack("{s: {s: [i]}}", "x", "y", 1);
    sample_doc = bson_new_from_json((const uint8_t *) "{\"_id\":\"" ID "\",\"items\":[{\"product\":\"a\"}],"
            "\"status\":\"created\","
        "\"created\":\"2026-11-23 10:22:51\",\"customer_id\":\"" ID "\",\"updated\":[{\"status\":\"created\",\"when\":"
        "\"2026-11-23 10:22:51\"}],\"x\":{\"a\":[1],\"b\":\"c\"}}", -1, &error);
    json_set_alloc_funcs(__wrap_malloc, free);
    return 0;
}

static int finish(void **state)
{
    foodsvc_order_free(sample);
    bson_destroy(sample_doc);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_allocation_may_fail),
    };

    return cmocka_run_group_tests(tests, prepare, finish);
}
