/* The simulator's times: the heap's order, the scheduler's thread, the map, and numbers that follow from the seed. */
#include "unit.h"
#include <pthread.h>
#include "foodsvc_time.h"
#include "../../workers/sim/sim_map.h"
#include "../../workers/sim/sim_rand.h"
#include "../../workers/sim/sim_sched.h"

static void heap_gives_the_earliest(void **state)
{
    sim_heap_t      heap = { 0 };
    sim_heap_item_t item;
    int64_t         last_when = -1;
    uint64_t        last_number = 0;

    assert_null(sim_heap_first(&heap));
    assert_false(sim_heap_pop(&heap, &item));
    for (int i = 0; i < 2000; i++) {
        sim_heap_item_t one = { .when = sim_between(3, "heap", i % 2 ? "a" : "b", 0, 50) * (i % 37) };

        assert_true(sim_heap_push(&heap, one));
    }
    for (int i = 0; i < 2000; i++) {
        int64_t first = sim_heap_first(&heap)->when;

        assert_true(sim_heap_pop(&heap, &item));
        assert_int_equal(item.when, first);
        assert_true(item.when > last_when || (item.when == last_when && item.number > last_number));
        last_when = item.when;
        last_number = item.number;
    }
    assert_false(sim_heap_pop(&heap, &item));
    sim_heap_free(&heap);
}

typedef struct {
    pthread_mutex_t  lock;
    pthread_cond_t   changed;
    char             calls[64];     /* a letter for each call; capitals: stopping */
    size_t           ncalls;
} record_t;

typedef struct {
    record_t *record;
    char      letter;
} call_t;

static void note(void *arg, bool stopping)
{
    call_t   *call = arg;
    record_t *record = call->record;

    pthread_mutex_lock(&record->lock);
    record->calls[record->ncalls++] = (char) (stopping ? call->letter - 'a' + 'A' : call->letter);
    pthread_cond_signal(&record->changed);
    pthread_mutex_unlock(&record->lock);
}

static void scheduler_calls_in_time(void **state)
{
    record_t     record = { PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, "", 0 };
    call_t       calls[] = { { &record, 'a' }, { &record, 'b' }, { &record, 'c' }, { &record, 'd' }, { &record, 'e' } };
    int64_t      began = foodsvc_time_monotonic();
    sim_sched_t *sched = sim_sched_start();

    assert_non_null(sched);
    sim_sched_in(sched, 3600000, note, &calls[3]);      /* far off: only the end calls it */
    sim_sched_in(sched, 40, note, &calls[2]);
    sim_sched_in(sched, 20, note, &calls[1]);
    sim_sched_in(sched, -5, note, &calls[0]);           /* in the past: at once */
    pthread_mutex_lock(&record.lock);
    while (record.ncalls < 3) {
        pthread_cond_wait(&record.changed, &record.lock);
    }
    pthread_mutex_unlock(&record.lock);
    assert_true(foodsvc_time_monotonic() - began >= 40);
    assert_int_equal(sim_sched_waiting(sched), 1);
    sim_sched_stop(sched);
    sim_sched_in(sched, 0, note, &calls[4]);            /* after the end: at once, in this thread */
    sim_sched_free(sched);
    assert_string_equal(record.calls, "abcDE");
}

static void map_finds_what_was_put(void **state)
{
    static char keys[3000][16];
    sim_map_t   map = { 0 };

    assert_null(sim_map_get(&map, "nothing"));
    for (size_t i = 0; i < COUNT(keys); i++) {
        snprintf(keys[i], sizeof(keys[i]), "key-%zu", i);
        assert_true(sim_map_put(&map, keys[i], keys[i]));
    }
    assert_true(sim_map_put(&map, "key-7", keys[0]));
    assert_int_equal(map.used, COUNT(keys));
    for (size_t i = 0; i < COUNT(keys); i++) {
        assert_ptr_equal(sim_map_get(&map, keys[i]), i == 7 ? keys[0] : keys[i]);
    }
    assert_null(sim_map_get(&map, "key-3000"));
    sim_map_clear(&map, NULL);
    assert_null(sim_map_get(&map, "key-1"));
}

static void numbers_follow_from_the_seed(void **state)
{
    foodsvc_uuid_t one, two;
    int64_t        low = 100, high = 0, n;

    assert_true(sim_hash(1, "ab", "c", 0) != sim_hash(1, "a", "bc", 0));
    assert_true(sim_hash(1, "a", "b", 0) != sim_hash(2, "a", "b", 0));
    assert_true(sim_hash(1, "a", "b", 0) != sim_hash(1, "a", "b", 1));
    assert_int_equal(sim_between(1, "x", "y", 5, 5), 5);
    for (int i = 0; i < 1000; i++) {
        char who[16];

        snprintf(who, sizeof(who), "%d", i);
        n = sim_between(1, who, "stage", 10, 20);
        assert_in_range(n, 10, 20);
        low = n < low ? n : low;
        high = n > high ? n : high;
        assert_true(sim_chance(1, who, "x", 0) >= 0 && sim_chance(1, who, "x", 0) < 1);
    }
    assert_int_equal(low, 10);
    assert_int_equal(high, 20);
    sim_uuid(1, "order", "card", 0, &one);
    sim_uuid(1, "order", "card", 0, &two);
    assert_memory_equal(&one, &two, sizeof(one));
    sim_uuid(1, "order", "card", 1, &two);
    assert_memory_not_equal(&one, &two, sizeof(one));
    assert_int_equal(one.bytes[6] >> 4, 4);
    assert_int_equal(one.bytes[8] >> 6, 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(heap_gives_the_earliest),
        cmocka_unit_test(scheduler_calls_in_time),
        cmocka_unit_test(map_finds_what_was_put),
        cmocka_unit_test(numbers_follow_from_the_seed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
