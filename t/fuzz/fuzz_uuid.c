/* UUIDs in all the forms that are taken. */
#include "fuzz.h"
#include "foodsvc_uuid.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    foodsvc_uuid_t  uuid, again;
    char            err[128], text[FOODSVC_UUID_TEXT + 1], small[8];

    fuzz_unsaid(err, sizeof(err));
    if (foodsvc_uuid_parse((const char *) data, size, &uuid, err, sizeof(err))) {
        MUST(size >= 32 && size <= 45);
        MUST(foodsvc_uuid_format(&uuid, text) == text && strlen(text) == FOODSVC_UUID_TEXT);
        MUST(foodsvc_uuid_parse(text, FOODSVC_UUID_TEXT, &again, err, sizeof(err)));
        MUST(memcmp(&uuid, &again, sizeof(uuid)) == 0);
        return 0;
    }
    MUST(memchr(err, '\0', sizeof(err)) != NULL && err[0] != '\0');
    /* it quotes a character, which may be a blank or worse: JSON holds it */
    MUST(fuzz_is_utf8(err, strlen(err)));
    fuzz_unsaid(small, sizeof(small));
    MUST(!foodsvc_uuid_parse((const char *) data, size, &uuid, small, sizeof(small)));
    MUST(memchr(small, '\0', sizeof(small)) != NULL);
    return 0;
}
