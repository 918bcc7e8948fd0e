#include <stdlib.h>
#include <string.h>

#include "worker_allow.h"

#define BETWEEN " \t,"


/* Adds a value's entries to the list, when there is one; false with err: one is wrong. */
static bool add_entries(const char *value, foodsvc_allow_t *allow, char *err, size_t errlen)
{
    foodsvc_allow_rule_t  rule;
    size_t                len;

    for (value += strspn(value, BETWEEN); *value != '\0'; value += len, value += strspn(value, BETWEEN)) {
        len = strcspn(value, BETWEEN);
        if (!foodsvc_allow_parse(value, len, allow ? &allow->rules[allow->n++] : &rule, err, errlen)) {
            return false;
        }
    }
    return true;
}


bool worker_allow_check(const char *value, char *err, size_t errlen)
{
    return add_entries(value, NULL, err, errlen);
}


bool worker_allow_make(const worker_conf_list_t *values, foodsvc_allow_t *allow)
{
    char    err[256];
    size_t  room = 0;

    *allow = (foodsvc_allow_t) { 0 };
    for (size_t i = 0; i < values->nitems; i++) {
        room += strlen(values->items[i]) / 2 + 1;       /* an entry and what parts it from the next: two characters */
    }
    if (room == 0) {
        return true;
    }
    allow->rules = calloc(room, sizeof(allow->rules[0]));
    if (allow->rules == NULL) {
        return false;
    }
    for (size_t i = 0; i < values->nitems; i++) {
        add_entries(values->items[i], allow, err, sizeof(err));
    }
    return true;
}


void worker_allow_free(foodsvc_allow_t *allow)
{
    free(allow->rules);
    *allow = (foodsvc_allow_t) { 0 };
}
