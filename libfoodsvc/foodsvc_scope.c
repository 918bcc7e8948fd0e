/*
 * The scopes of API keys.
 */
#include <string.h>
#include "foodsvc_scope.h"

static const struct {
    unsigned    scope;
    const char *name;
} scopes[] = {
    { FOODSVC_SCOPE_ORDERS_READ, "orders:read" },
    { FOODSVC_SCOPE_ORDERS_WRITE, "orders:write" },
    { FOODSVC_SCOPE_PAYMENTS, "payments" },
    { FOODSVC_SCOPE_CALLBACK, "callback" }
};

unsigned foodsvc_scope_parse(const char *text, size_t len)
{
    for (size_t i = 0; i < sizeof(scopes) / sizeof(scopes[0]); i++) {
        if (strlen(scopes[i].name) == len && memcmp(scopes[i].name, text, len) == 0) {
            return scopes[i].scope;
        }
    }
    return 0;
}

const char *foodsvc_scope_name(unsigned scope)
{
    for (size_t i = 0; i < sizeof(scopes) / sizeof(scopes[0]); i++) {
        if (scopes[i].scope == scope) {
            return scopes[i].name;
        }
    }
    return "";
}
