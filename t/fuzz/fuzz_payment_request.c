/* PaymentPayload: what POST /v1/payments and /v1/payments/reimburse take. */
#include "fuzz.h"
#include "foodsvc_buf.h"

static void check_name(const char *text)
{
    MUST(text != NULL && strlen(text) >= 1 && strlen(text) <= 255);
    MUST(fuzz_is_utf8(text, strlen(text)) && foodsvc_utf8_printable(text));
    MUST(strcmp(text, ".") != 0 && strcmp(text, "..") != 0);
}

static void check_request(const foodsvc_payment_request_t *request)
{
    const foodsvc_json_limits_t  wide = { 64 * 1024 * 1024, 16 };
    foodsvc_payment_request_t    again;
    foodsvc_faults_t             faults = { NULL, false };
    size_t                       len;
    char                        *text;

    MUST(request->nitems >= 1);
    check_name(request->metadata.receiver);
    check_name(request->metadata.order_id);
    check_name(request->metadata.customer_id);

    text = foodsvc_request_json(request->items, request->nitems, &request->metadata, NULL, &len);
    json_decref(fuzz_json(text, len));
    MUST(foodsvc_payment_request_parse(text, len, &wide, &again, &faults));
    fuzz_same_items(request->items, request->nitems, again.items, again.nitems);
    MUST(strcmp(request->metadata.receiver, again.metadata.receiver) == 0);
    MUST(strcmp(request->metadata.order_id, again.metadata.order_id) == 0);
    MUST(strcmp(request->metadata.customer_id, again.metadata.customer_id) == 0);
    foodsvc_payment_request_clear(&again);
    free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    foodsvc_payment_request_t  request;
    foodsvc_faults_t           faults = { NULL, false };

    if (foodsvc_payment_request_parse((const char *) data, size, &fuzz_limits, &request, &faults)) {
        MUST(!foodsvc_faults_any(&faults));
        check_request(&request);
    } else {
        MUST(request.items == NULL && request.metadata.receiver == NULL);
        fuzz_faults(&faults, "body");
    }
    foodsvc_payment_request_clear(&request);
    return 0;
}
