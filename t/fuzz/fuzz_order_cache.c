/* An order's entry in Redis, ours or another writer's: never trusted. Its key is the id that the input begins with. */
#include "fuzz.h"

/* The first that looks like one, so that most entries are of their key. */
static void find_id(const char *text, size_t size, char id[FOODSVC_UUID_TEXT + 1])
{
    static const char  start[] = "\"id\":\"";
    const char        *at = memmem(text, size, start, sizeof(start) - 1);

    memset(id, 'a', FOODSVC_UUID_TEXT);
    id[FOODSVC_UUID_TEXT] = '\0';
    if (at != NULL && size - (size_t) (at - text) >= sizeof(start) - 1 + FOODSVC_UUID_TEXT
        && memchr(at + sizeof(start) - 1, '\0', FOODSVC_UUID_TEXT) == NULL)
    {
        memcpy(id, at + sizeof(start) - 1, FOODSVC_UUID_TEXT);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char      *text = (const char *) data;
    char             id[FOODSVC_UUID_TEXT + 1], err[FOODSVC_ERR];
    size_t           public_len;
    foodsvc_order_t *order;

    find_id(text, size, id);
    public_len = foodsvc_order_cache_public(text, size, id);
    MUST(public_len < size || size == 0);

    fuzz_unsaid(err, sizeof(err));
    order = foodsvc_order_from_cache(text, size, id, err);
    if (order == NULL) {
        fuzz_reason(err, sizeof(err));
        return 0;
    }
    MUST(strcmp(order->id, id) == 0);
    fuzz_order(order);
    fuzz_order_cache(order);
    foodsvc_order_free(order);
    return 0;
}
