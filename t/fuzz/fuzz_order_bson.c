/* An order's document in MongoDB, whoever wrote it. */
#include "fuzz.h"

/* Written and read again it is the same document, byte for byte. */
static void check_document(const foodsvc_order_t *order)
{
    bson_t           first = BSON_INITIALIZER, second = BSON_INITIALIZER;
    char             err[FOODSVC_ERR];
    foodsvc_order_t *again;

    if (!foodsvc_order_to_bson(order, &first)) {
        MUST(order->unknown != NULL);           /* another's field may have a name that libbson reads as its own */
        bson_destroy(&first);
        return;
    }
    MUST(bson_validate(&first, BSON_VALIDATE_UTF8 | BSON_VALIDATE_UTF8_ALLOW_NULL, NULL));
    again = foodsvc_order_from_bson(&first, err);
    MUST(again != NULL);
    MUST(again->created == order->created && again->nupdated == order->nupdated);
    if (foodsvc_order_to_bson(again, &second) && order->unknown == NULL) {
        MUST(bson_equal(&first, &second));
    }
    bson_destroy(&first);
    bson_destroy(&second);
    foodsvc_order_free(again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    bson_t           doc;
    char             err[FOODSVC_ERR];
    foodsvc_order_t *order;

    if (!bson_init_static(&doc, data, size)) {
        return 0;
    }
    fuzz_unsaid(err, sizeof(err));
    order = foodsvc_order_from_bson(&doc, err);
    if (order == NULL) {
        fuzz_reason(err, sizeof(err));
        return 0;
    }
    fuzz_order(order);
    fuzz_order_cache(order);
    check_document(order);
    foodsvc_order_free(order);
    return 0;
}
