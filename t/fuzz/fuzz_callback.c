/* BillingCallback: what the card company sends to POST /v1/payments/callback. */
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    foodsvc_callback_t  callback, again;
    foodsvc_faults_t    faults = { NULL, false };
    size_t              len;
    char               *text;

    memset(&callback, 0, sizeof(callback));
    memset(&again, 0, sizeof(again));
    if (!foodsvc_callback_parse((const char *) data, size, &fuzz_limits, &callback, &faults)) {
        fuzz_faults(&faults, "body");
        return 0;
    }
    MUST(!foodsvc_faults_any(&faults));
    MUST(callback.status < FOODSVC_PAYMENT_STATUS_COUNT);
    text = foodsvc_callback_json(&callback, &len);
    json_decref(fuzz_json(text, len));
    MUST(foodsvc_callback_parse(text, len, &fuzz_limits, &again, &faults));
    MUST(memcmp(&callback, &again, sizeof(callback)) == 0);
    free(text);
    return 0;
}
