/* UUIDs: every form that is read, the words of every refusal, and the order and difference of new ones. */
#include "unit.h"
#include <pthread.h>
#include <sys/wait.h>
#include <unistd.h>
#include "foodsvc_time.h"
#include "foodsvc_uuid.h"

static const char canonical[] = "53c5711d-f5d4-45eb-8651-f0ba9092ba0d";

static void check_good(const char *text)
{
    foodsvc_uuid_t uuid;
    char           err[128] = "", out[FOODSVC_UUID_TEXT + 1];

    if (!foodsvc_uuid_parse(text, strlen(text), &uuid, err, sizeof(err))) {
        fail_msg("%s: %s", text, err);
    }
    assert_string_equal(foodsvc_uuid_format(&uuid, out), canonical);
}

static void reads_every_form(void **state)
{
    check_good(canonical);
    check_good("53C5711D-F5D4-45EB-8651-F0BA9092BA0D");
    check_good("53c5711df5d445eb8651f0ba9092ba0d");
    check_good("{53c5711d-f5d4-45eb-8651-f0ba9092ba0d}");
    check_good("urn:uuid:53c5711d-f5d4-45eb-8651-f0ba9092ba0d");
}

static void explains_every_refusal(void **state)
{
    static const struct {
        const char *text;
        const char *why;
    } cases[] = {
        { "xyz", "invalid character: found `x` at 0" },
        { "no", "invalid character: found `n` at 0" },
        { "", "invalid length: expected length 32 for simple format, found 0" },
        { "abc", "invalid length: expected length 32 for simple format, found 3" },
        { "53c5711df5d445eb8651f0ba9092ba0", "invalid length: expected length 32 for simple format, found 31" },
        { "53c5711d-f5d4-45eb-8651f0ba9092ba0d", "invalid group count: expected 5, found 4" },
        { "53c5711d-f5d4-45eb-8651-f0ba-9092ba0d", "invalid group count: expected 5, found 6" },
        { "-", "invalid group count: expected 5, found 2" },
        { "53c5711-f5d4-45eb-8651-f0ba9092ba0d", "invalid group length in group 0: expected 8, found 7" },
        { "53c5711d-f5d4-45eb-865-f0ba9092ba0dd", "invalid group length in group 3: expected 4, found 3" },
        { "53c5711d-f5d4-45eb-8651-f0ba9092ba0", "invalid group length in group 4: expected 12, found 11" },
        { "----", "invalid group length in group 0: expected 8, found 0" },
        { "53c5711d-f5d4-45eb-8651-f0ba9092ba0g", "invalid character: found `g` at 35" },
        { "53c5711df5d445eb8651f0ba9092ba0g", "invalid character: found `g` at 31" },
        { "53c5711df5d445eb8651f0ba9092ba0d0000", "invalid length: expected length 32 for simple format, found 36" },
        { "{53c5711df5d445eb8651f0ba9092ba0d}", "invalid group count: expected 5, found 1" },
        { "{x}", "invalid character: found `x` at 1" },
        { "urn:uuid:zz", "invalid character: found `z` at 9" },
        { "{53c5711d", "invalid character: found `{` at 0" },
        { "{", "invalid character: found `{` at 0" },
        { "a\xC3\xA9", "invalid character: found `\xC3\xA9` at 1" },
        { "a\xFF", "invalid character: found `\xEF\xBF\xBD` at 1" },
    };

    for (size_t i = 0; i < COUNT(cases); i++) {
        foodsvc_uuid_t uuid;
        char           err[128];

        assert_false(foodsvc_uuid_parse(cases[i].text, strlen(cases[i].text), &uuid, err, sizeof(err)));
        assert_string_equal(err, cases[i].why);
    }
}

static void version_4_has_its_marks(void **state)
{
    foodsvc_uuid_t a, b;

    foodsvc_uuid_v4(&a);
    foodsvc_uuid_v4(&b);
    assert_int_equal(a.bytes[6] >> 4, 4);
    assert_int_equal(a.bytes[8] >> 6, 2);
    assert_memory_not_equal(&a, &b, sizeof(a));
}

static int64_t time_of(const foodsvc_uuid_t *uuid)
{
    int64_t ms = 0;

    for (int i = 0; i < 6; i++) {
        ms = ms << 8 | uuid->bytes[i];
    }
    return ms;
}

static void version_7_has_the_time(void **state)
{
    foodsvc_uuid_t uuid;
    int64_t        before = foodsvc_time_now(), after;

    foodsvc_uuid_v7(&uuid);
    after = foodsvc_time_now();
    assert_int_equal(uuid.bytes[6] >> 4, 7);
    assert_int_equal(uuid.bytes[8] >> 6, 2);
    assert_true(time_of(&uuid) >= before && time_of(&uuid) <= after);
}

/* More of them than a millisecond's counter holds would do, too: it runs into the next millisecond. */
static void version_7_only_grows(void **state)
{
    foodsvc_uuid_t last, next;

    foodsvc_uuid_v7(&last);
    for (int i = 0; i < 20000; i++) {
        foodsvc_uuid_v7(&next);
        assert_true(memcmp(&last, &next, 8) < 0);
        last = next;
    }
}

#define EACH 2000

static void *make_many(void *to)
{
    foodsvc_uuid_t *uuids = to;

    for (int i = 0; i < EACH; i++) {
        foodsvc_uuid_v7(&uuids[i]);
    }
    return NULL;
}

static int compare(const void *a, const void *b)
{
    return memcmp(a, b, 8);
}

static void threads_get_different_ones(void **state)
{
    static foodsvc_uuid_t uuids[4 * EACH];
    pthread_t             threads[4];

    for (int i = 0; i < 4; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, make_many, uuids + i * EACH), 0);
    }
    for (int i = 0; i < 4; i++) {
        pthread_join(threads[i], NULL);
    }
    qsort(uuids, COUNT(uuids), sizeof(uuids[0]), compare);
    for (size_t i = 1; i < COUNT(uuids); i++) {
        assert_memory_not_equal(&uuids[i - 1], &uuids[i], 8);
    }
}

static void a_forked_child_gets_different_ones(void **state)
{
    foodsvc_uuid_t ours, theirs;
    int            ends[2], status;
    pid_t          child;

    assert_int_equal(pipe(ends), 0);
    child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        foodsvc_uuid_v7(&theirs);
        _exit(write(ends[1], &theirs, sizeof(theirs)) == (ssize_t) sizeof(theirs) ? 0 : 1);
    }
    foodsvc_uuid_v7(&ours);
    assert_int_equal(read(ends[0], &theirs, sizeof(theirs)), sizeof(theirs));
    waitpid(child, &status, 0);
    close(ends[0]);
    close(ends[1]);
    assert_memory_not_equal(&ours, &theirs, sizeof(ours));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_every_form),
        cmocka_unit_test(explains_every_refusal),
        cmocka_unit_test(version_4_has_its_marks),
        cmocka_unit_test(version_7_has_the_time),
        cmocka_unit_test(version_7_only_grows),
        cmocka_unit_test(threads_get_different_ones),
        cmocka_unit_test(a_forked_child_gets_different_ones),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
