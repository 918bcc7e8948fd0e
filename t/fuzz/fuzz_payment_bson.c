/* A payment's document in MongoDB, whoever wrote it; and what may become of it. */
#include "fuzz.h"

static void check_document(const foodsvc_payment_t *payment)
{
    bson_t             first = BSON_INITIALIZER, second = BSON_INITIALIZER;
    char               err[FOODSVC_ERR];
    foodsvc_payment_t *again;

    MUST(foodsvc_payment_to_bson(payment, &first));
    MUST(bson_validate(&first, BSON_VALIDATE_UTF8 | BSON_VALIDATE_UTF8_ALLOW_NULL, NULL));
    again = foodsvc_payment_from_bson(&first, err);
    MUST(again != NULL);
    MUST(foodsvc_payment_to_bson(again, &second));
    MUST(bson_equal(&first, &second));
    bson_destroy(&first);
    bson_destroy(&second);
    foodsvc_payment_free(again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    bson_t             doc;
    char               err[FOODSVC_ERR];
    foodsvc_payment_t *payment;

    if (!bson_init_static(&doc, data, size)) {
        return 0;
    }
    fuzz_unsaid(err, sizeof(err));
    payment = foodsvc_payment_from_bson(&doc, err);
    if (payment == NULL) {
        fuzz_reason(err, sizeof(err));
        return 0;
    }
    check_document(payment);
    fuzz_payment(payment);
    foodsvc_payment_free(payment);
    return 0;
}
