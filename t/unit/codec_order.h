/*
 * An order with something of everything, for the tests of its documents.
 */
#ifndef CODEC_ORDER_H
#define CODEC_ORDER_H

#include "unit.h"
#include "foodsvc_codec.h"

#define ID          "06b0413f-be90-7667-8000-f556e421c97a"
#define CUSTOMER    "53c5711d-f5d4-45eb-8651-f0ba9092ba0d"
#define DELIVERY    "b3854f31-5831-4114-8933-a8629a823427"
#define KITCHEN     "6caf9e3c-dba3-4a6e-8170-218e1b54b223"

#define PUBLIC      "{\"id\":\"" ID "\",\"status\":\"deliveryScheduled\",\"items\":[" \
                    "{\"product\":\"Lasagna\",\"quantity\":2}," \
                    "{\"product\":\"Veil \\\"\\u0001\",\"quantity\":5000000000}]," \
                    "\"created\":\"2026-11-23T10:22:51.910Z\"," \
                    "\"customer_id\":\"" CUSTOMER "\",\"kitchen_id\":null,\"delivery_id\":\"" DELIVERY "\"," \
                    "\"updated\":[{\"status\":\"paymentPaid\",\"when\":\"2026-11-23T10:22:52.094Z\"}," \
                    "{\"status\":\"deliveryScheduled\",\"when\":\"2026-11-23T10:22:53.609Z\"}]"

static inline foodsvc_uuid_t uuid(const char *text)
{
    foodsvc_uuid_t uuid;
    char           err[128];

    assert_true(foodsvc_uuid_parse(text, strlen(text), &uuid, err, sizeof(err)));
    return uuid;
}

static inline foodsvc_order_t *sample(void)
{
    foodsvc_order_t *order = foodsvc_order_new();

    strcpy(order->id, ID);
    order->status = FOODSVC_DELIVERY_SCHEDULED;
    order->created = INT64_C(1795429371910);
    order->customer_id = uuid(CUSTOMER);
    order->delivery_id = uuid(DELIVERY);
    order->has_delivery_id = true;
    foodsvc_order_add_item(order, "Lasagna", 7, 2);
    foodsvc_order_add_item(order, "Veil \"\x01", 7, INT64_C(5000000000));
    foodsvc_order_add_step(order, FOODSVC_PAYMENT_PAID, INT64_C(1795429372094));
    foodsvc_order_add_step(order, FOODSVC_DELIVERY_SCHEDULED, INT64_C(1795429373609));
    return order;
}

static inline void check_equal(const foodsvc_order_t *a, const foodsvc_order_t *b)
{
    size_t len, public_len;
    char  *text_a = foodsvc_order_cache_json(a, &len, &public_len);
    char  *text_b = foodsvc_order_cache_json(b, &len, &public_len);

    assert_string_equal(text_a, text_b);
    free(text_a);
    free(text_b);
}

#endif
