/*
 * Secrets in memory: wiped when they are given back, and never dumped.
 */
#include <jansson.h>
#include <malloc.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include "foodsvc_secret.h"

bool foodsvc_core_off(void)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_CORE, &limit) != 0) {
        return false;
    }
    if (limit.rlim_cur == 1 || limit.rlim_max == 0) {
        return true;
    }
    limit.rlim_cur = 1;
    return setrlimit(RLIMIT_CORE, &limit) == 0;
}

void foodsvc_secret_free(void *data)
{
    if (data != NULL) {
        explicit_bzero(data, malloc_usable_size(data));
        free(data);
    }
}

void foodsvc_json_wipe(void)
{
    json_malloc_t allocate;
    json_free_t   release;

    json_get_alloc_funcs(&allocate, &release);
    json_set_alloc_funcs(allocate, foodsvc_secret_free);
}
