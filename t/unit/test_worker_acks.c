/* worker_acks.h: what is acknowledged, in which order, and never twice. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <cmocka.h>

#include "worker_acks.h"


static void add(worker_acks_t *acks, uint64_t from, uint64_t to)
{
    for (uint64_t tag = from; tag <= to; tag++) {
        assert_true(worker_acks_add(acks, tag));
    }
}


static void expect(worker_acks_t *acks, uint64_t tag, bool multiple)
{
    uint64_t  next = 0;
    bool      all = !multiple;

    assert_true(worker_acks_next(acks, &next, &all));
    assert_int_equal(next, tag);
    assert_int_equal(all, multiple);
    worker_acks_sent(acks, next, all);
}


static void expect_nothing(const worker_acks_t *acks)
{
    uint64_t  tag;
    bool      multiple;

    assert_false(worker_acks_next(acks, &tag, &multiple));
}


static void a_finished_front_is_one_ack(void **state)
{
    worker_acks_t  acks = { 0 };

    worker_acks_reset(&acks);
    expect_nothing(&acks);
    add(&acks, 1, 5);
    expect_nothing(&acks);
    worker_acks_done(&acks, 2);
    worker_acks_done(&acks, 1);
    worker_acks_done(&acks, 3);
    expect(&acks, 3, true);
    expect_nothing(&acks);
    assert_int_equal(acks.open, 2);
    worker_acks_free(&acks);
}


static void beyond_an_unfinished_one_they_go_singly(void **state)
{
    worker_acks_t  acks = { 0 };

    worker_acks_reset(&acks);
    add(&acks, 1, 5);
    worker_acks_done(&acks, 2);
    worker_acks_done(&acks, 4);
    expect(&acks, 2, false);
    expect(&acks, 4, false);
    expect_nothing(&acks);
    /* 2 is acknowledged already: `multiple` may name it no more, but covers it when it names 3. */
    worker_acks_done(&acks, 1);
    expect(&acks, 1, true);
    worker_acks_done(&acks, 3);
    expect(&acks, 3, true);
    worker_acks_done(&acks, 5);
    expect(&acks, 5, true);
    assert_int_equal(acks.n, 0);
    worker_acks_free(&acks);
}


static void the_last_unacknowledged_tag_is_named(void **state)
{
    worker_acks_t  acks = { 0 };

    worker_acks_reset(&acks);
    add(&acks, 1, 4);
    worker_acks_done(&acks, 3);
    expect(&acks, 3, false);
    worker_acks_done(&acks, 1);
    worker_acks_done(&acks, 2);
    expect(&acks, 2, true);
    assert_int_equal(acks.base, 4);
    worker_acks_free(&acks);
}


static void strange_tags_change_nothing(void **state)
{
    worker_acks_t  acks = { 0 };

    worker_acks_reset(&acks);
    assert_false(worker_acks_add(&acks, 2));
    add(&acks, 1, 2);
    worker_acks_done(&acks, 0);
    worker_acks_done(&acks, 3);
    worker_acks_done(&acks, UINT64_MAX);
    expect_nothing(&acks);
    worker_acks_done(&acks, 1);
    worker_acks_done(&acks, 1);
    assert_int_equal(acks.open, 1);
    assert_int_equal(acks.ready, 1);
    expect(&acks, 1, true);
    worker_acks_done(&acks, 1);
    expect_nothing(&acks);
    worker_acks_reset(&acks);
    add(&acks, 1, 1);
    worker_acks_free(&acks);
}


/* A broker that checks: every tag is acknowledged once, by an ack whose own tag is outstanding. */
static void many_in_random_order(void **state)
{
    enum { N = 5000 };
    worker_acks_t   acks = { 0 };
    static char     outstanding[N + 1], finished[N + 1];
    uint64_t        delivered = 0, tag;
    size_t          left = N;
    bool            multiple;

    worker_acks_reset(&acks);
    srandom(7);
    while (left > 0) {
        for (long n = random() % 300; n > 0 && delivered < N && acks.open < 1000; n--) {
            assert_true(worker_acks_add(&acks, ++delivered));
            outstanding[delivered] = 1;
        }
        for (long n = random() % 300; n > 0 && delivered > 0; n--) {
            tag = 1 + (uint64_t) random() % delivered;
            worker_acks_done(&acks, tag);
            finished[tag] = 1;
        }
        for (tag = 1; delivered == N && tag <= N; tag++) {
            worker_acks_done(&acks, tag);
            finished[tag] = 1;
        }
        while (worker_acks_next(&acks, &tag, &multiple)) {
            assert_true(outstanding[tag]);
            for (uint64_t t = multiple ? 1 : tag; t <= tag; t++) {
                assert_true(finished[t]);
                left -= outstanding[t] ? 1 : 0;
                outstanding[t] = 0;
            }
            worker_acks_sent(&acks, tag, multiple);
        }
    }
    assert_int_equal(acks.n, 0);
    worker_acks_free(&acks);
}


int main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(a_finished_front_is_one_ack),
        cmocka_unit_test(beyond_an_unfinished_one_they_go_singly),
        cmocka_unit_test(the_last_unacknowledged_tag_is_named),
        cmocka_unit_test(strange_tags_change_nothing),
        cmocka_unit_test(many_in_random_order)
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
