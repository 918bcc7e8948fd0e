/* The partners' answers: CustomerService's billing and address, DeliveryService's, KitchenService's, the card
   company's, and what any of them says when it refuses. */
#include <ctype.h>
#include "fuzz.h"
#include "foodsvc_buf.h"
#include "foodsvc_names.h"

#define DETAIL_BYTES    512

static void check_billing(const char *body, size_t size)
{
    char    err[FOODSVC_ERR], *text;
    json_t *billing, *payload, *amount;
    size_t  len;

    fuzz_unsaid(err, sizeof(err));
    billing = foodsvc_billing_parse(body, size, &fuzz_limits, err);
    if (billing == NULL) {
        fuzz_reason(err, sizeof(err));
        return;
    }
    amount = json_object_get(billing, "amount");
    MUST(json_number_value(amount) > 0);
    text = foodsvc_billing_payload_json(billing, 6.25, "https://127.0.0.1/v1/payments/callback", "an id",
                                        &len);
    payload = fuzz_json(text, len);
    MUST(json_object_size(payload) == 4);
    MUST(json_number_value(json_object_get(payload, "amount")) > 0);
    MUST(json_object_size(json_object_get(payload, "billing_info")) >= 9);
    json_decref(payload);
    json_decref(billing);
    free(text);
}

static void check_address(const char *body, size_t size)
{
    foodsvc_item_t      item = { "Lasagna", 1 };
    foodsvc_metadata_t  metadata = { "OrderService", "an order", "a customer" };
    char                err[FOODSVC_ERR], *text;
    json_t             *address, *request;
    size_t              len;

    fuzz_unsaid(err, sizeof(err));
    address = foodsvc_address_parse(body, size, &fuzz_limits, err);
    if (address == NULL) {
        fuzz_reason(err, sizeof(err));
        return;
    }
    text = foodsvc_request_json(&item, 1, &metadata, address, &len);
    request = fuzz_json(text, len);
    MUST(json_is_string(json_object_get(json_object_get(request, "address"), "zipcode")));
    json_decref(request);
    json_decref(address);
    free(text);
}

static void check_scheduled(const char *service, const char *body, size_t size)
{
    foodsvc_change_t  change;
    char              err[FOODSVC_ERR];

    fuzz_unsaid(err, sizeof(err));
    if (!foodsvc_scheduled_parse(service, body, size, &fuzz_limits, &change, err)) {
        fuzz_reason(err, sizeof(err));
        return;
    }
    MUST(change.kind == FOODSVC_CHANGE_EVENT && change.status <= FOODSVC_DELIVERED);
    MUST(change.has_delivery_id == (strcmp(service, FOODSVC_DELIVERY_SERVICE) == 0));
    MUST(change.has_kitchen_id == (strcmp(service, FOODSVC_KITCHEN_SERVICE) == 0));
}

/* What is passed on to a customer: short, printable, and no card's number by a plain reading of it. */
static void check_detail(const char *body, size_t size)
{
    char     *detail = foodsvc_error_detail("CustomerService", 502, body, size), *answer;
    unsigned  digits = 0;

    MUST(detail != NULL && detail[0] != '\0' && strlen(detail) <= DETAIL_BYTES);
    MUST(fuzz_is_utf8(detail, strlen(detail)) && foodsvc_utf8_printable(detail));
    for (const char *c = detail; *c != '\0'; c++) {
        digits = isdigit((unsigned char) *c) ? digits + 1 : 0;
        MUST(digits <= 12);         /* a UUID may end with so many */
    }
    answer = foodsvc_json_detail(detail);
    MUST(answer != NULL);
    json_decref(fuzz_json(answer, strlen(answer)));
    free(answer);
    free(detail);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char     *body = (const char *) data;
    foodsvc_uuid_t  transaction;
    char            err[FOODSVC_ERR];

    check_billing(body, size);
    check_address(body, size);
    check_scheduled(FOODSVC_DELIVERY_SERVICE, body, size);
    check_scheduled(FOODSVC_KITCHEN_SERVICE, body, size);
    check_detail(body, size);
    fuzz_unsaid(err, sizeof(err));
    if (!foodsvc_transaction_parse(body, size, &fuzz_limits, &transaction, err)) {
        fuzz_reason(err, sizeof(err));
    }
    if (foodsvc_health_parse(body, size, &fuzz_limits)) {
        MUST(memmem(body, size, "true", 4) != NULL);
    }
    return 0;
}
