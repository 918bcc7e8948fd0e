/* workers/sweepd/patience.c: who was tried in vain waits, whoever else was. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "../../workers/sweepd/sweepd.h"

#define MANY    10000       /* orders that stand at the same time */

static patience_t  patience;


static const char *id_of(unsigned i)
{
    static char  id[FOODSVC_UUID_TEXT + 1];

    snprintf(id, sizeof(id), "01a20b50-90bd-7000-86a7-%012x", i);
    return id;
}


static void a_crowd_keeps_its_patience(void **state)
{
    size_t  lost = 0;

    (void) state;
    for (unsigned round = 0; round < 3; round++) {
        for (unsigned i = 0; i < MANY; i++) {
            patience_wait(&patience, id_of(i), 1, 3600000, 7200000);
        }
        for (unsigned i = 0; i < MANY; i++) {
            lost += patience_left(&patience, id_of(i), 1) == 0;
        }
    }
    assert_int_equal(lost, 0);
}


static void more_than_there_is_room_for_are_tried_sooner(void **state)
{
    size_t  kept = 0;

    (void) state;
    for (unsigned i = 0; i < 3 * PATIENCE_SLOTS; i++) {
        patience_wait(&patience, id_of(i), 1, 3600000, 7200000);
        assert_true(patience_left(&patience, id_of(i), 1) > 0);
    }
    for (unsigned i = 0; i < 3 * PATIENCE_SLOTS; i++) {
        kept += patience_left(&patience, id_of(i), 1) > 0;
    }
    assert_in_range(kept, PATIENCE_SLOTS / 2, PATIENCE_SLOTS);
}


static void it_waits_twice_as_long_each_time(void **state)
{
    (void) state;
    patience_wait(&patience, id_of(0), 1, 1000000, 3000000);
    assert_in_range(patience_left(&patience, id_of(0), 1), 1, 1000000);
    patience_wait(&patience, id_of(0), 1, 1000000, 3000000);
    assert_in_range(patience_left(&patience, id_of(0), 1), 1000001, 2000000);
    patience_wait(&patience, id_of(0), 1, 1000000, 3000000);
    assert_in_range(patience_left(&patience, id_of(0), 1), 2000001, 3000000);
}


static void an_order_that_moved_on_and_its_payment_are_others(void **state)
{
    (void) state;
    patience_wait(&patience, id_of(0), 1, 1000000, 3000000);
    patience_wait(&patience, id_of(0), PATIENCE_PAYMENT, 2000000, 3000000);
    assert_int_equal(patience_left(&patience, id_of(0), 2), 0);
    assert_true(patience_left(&patience, id_of(0), 1) > 0);
    patience_wait(&patience, id_of(0), 2, 1000000, 3000000);        /* in the same place, from the beginning */
    assert_in_range(patience_left(&patience, id_of(0), 2), 1, 1000000);
    assert_int_equal(patience_left(&patience, id_of(0), 1), 0);
    patience_forget(&patience, id_of(0));
    assert_int_equal(patience_left(&patience, id_of(0), 2), 0);
    assert_in_range(patience_left(&patience, id_of(0), PATIENCE_PAYMENT), 1000001, 2000000);
}


static int afresh(void **state)
{
    (void) state;
    memset(&patience, 0, sizeof(patience));
    return 0;
}


int main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test_setup(a_crowd_keeps_its_patience, afresh),
        cmocka_unit_test_setup(more_than_there_is_room_for_are_tried_sooner, afresh),
        cmocka_unit_test_setup(it_waits_twice_as_long_each_time, afresh),
        cmocka_unit_test_setup(an_order_that_moved_on_and_its_payment_are_others, afresh),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
