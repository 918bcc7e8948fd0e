/* An event from the queue: taken, or refused with a line that can be logged and sent as a header. */
#include "fuzz.h"

static void check_event(const foodsvc_event_t *event)
{
    const foodsvc_json_limits_t  wide = { 64 * 1024 * 1024, 16 };
    foodsvc_event_t              again;
    foodsvc_change_t             change;
    char                         err[FOODSVC_ERR], *text, *second;
    size_t                       len, second_len;

    MUST(event->status < FOODSVC_STATUS_COUNT);
    MUST(strlen(event->order_id) == FOODSVC_UUID_TEXT && strcmp(event->order_id, event->metadata.order_id) == 0);
    foodsvc_event_change(event, 7, &change);
    MUST(change.kind == FOODSVC_CHANGE_EVENT && change.status == event->status && change.when == 7);

    text = foodsvc_event_json(&event->metadata, event->status, event->has_kitchen_id ? &event->kitchen_id : NULL,
                              event->has_delivery_id ? &event->delivery_id : NULL, &len);
    json_decref(fuzz_json(text, len));
    MUST(foodsvc_event_parse(text, len, &wide, &again, err));
    second = foodsvc_event_json(&again.metadata, again.status, again.has_kitchen_id ? &again.kitchen_id : NULL,
                                again.has_delivery_id ? &again.delivery_id : NULL, &second_len);
    MUST(second != NULL && len == second_len && memcmp(text, second, len) == 0);
    foodsvc_event_clear(&again);
    free(text);
    free(second);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    foodsvc_event_t  event;
    char             err[FOODSVC_ERR];

    fuzz_unsaid(err, sizeof(err));
    if (foodsvc_event_parse((const char *) data, size, &fuzz_limits, &event, err)) {
        check_event(&event);
    } else {
        fuzz_reason(err, sizeof(err));
        for (const char *c = err; *c != '\0'; c++) {
            MUST(*c >= ' ' && *c <= '~');
        }
        MUST(event.metadata.receiver == NULL);
    }
    foodsvc_event_clear(&event);
    return 0;
}
