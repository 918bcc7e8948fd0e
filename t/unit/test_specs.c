/* The enumerations of the OpenAPI descriptions are the code's tables: the same names, none more, none missing. */
#include <jansson.h>
#include "unit.h"
#include "foodsvc_order.h"
#include "foodsvc_payment.h"

/* The `enum` at components/schemas/PATH of a bundled description; PATH is steps, NULL-terminated. */
static json_t *enumeration(const char *spec, const char *const *path)
{
    const char   *build = getenv("BUILD");
    char          name[4096];
    json_error_t  error;
    json_t       *root, *node;

    snprintf(name, sizeof(name), "%s/share/openapi/%s.json", build ? build : "build", spec);
    root = json_load_file(name, 0, &error);
    if (root == NULL) {
        fail_msg("%s: %s (make share)", name, error.text);
    }
    node = json_object_get(json_object_get(root, "components"), "schemas");
    for (size_t i = 0; path[i] != NULL; i++) {
        node = json_object_get(node, path[i]);
    }
    node = json_incref(json_object_get(node, "enum"));
    if (!json_is_array(node)) {
        fail_msg("%s: no enum there", name);
    }
    json_decref(root);
    return node;
}

static void has(json_t *names, const char *name)
{
    size_t  i;
    json_t *one;

    json_array_foreach(names, i, one) {
        if (strcmp(json_string_value(one), name) == 0) {
            return;
        }
    }
    fail_msg("the description lacks %s", name);
}

static void products(void **state)
{
    json_t *names = enumeration("order-service", (const char *[]) { "Product", NULL });
    size_t  n;

    for (n = 0; foodsvc_products[n] != NULL; n++) {
        has(names, foodsvc_products[n]);
    }
    assert_int_equal(json_array_size(names), n);
    json_decref(names);
}

static void order_statuses(void **state)
{
    json_t *names = enumeration("order-service", (const char *[]) { "OrderStatus", NULL });

    for (int status = 0; status < FOODSVC_STATUS_COUNT; status++) {
        has(names, foodsvc_status_name((foodsvc_status_e) status));
    }
    assert_int_equal(json_array_size(names), FOODSVC_STATUS_COUNT);
    json_decref(names);
}

static void payment_statuses(void **state)
{
    json_t *names = enumeration("payment-service",
                                (const char *[]) { "BillingCallback", "properties", "status", NULL });

    for (int status = 0; status < FOODSVC_PAYMENT_STATUS_COUNT; status++) {
        has(names, foodsvc_payment_status_name((foodsvc_payment_status_e) status));
    }
    assert_int_equal(json_array_size(names), FOODSVC_PAYMENT_STATUS_COUNT);
    json_decref(names);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(products),
        cmocka_unit_test(order_statuses),
        cmocka_unit_test(payment_statuses),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
