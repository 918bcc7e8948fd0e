/*
 * What has to be done before main, and before the constructors of the libraries: in each program.
 *
 * libmongoc's constructor opens shared memory that is named after the process id, and complains on standard error when
 * there is one already: of a process that had our id and was killed. That one is nobody's any more. Not all of the C
 * library works yet; so the name is put together by hand.
 */
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static void drop_stale_counters(void)
{
    char     name[32] = "/mongoc-", digits[12];
    size_t   len = strlen(name), n = 0;
    unsigned pid = (unsigned) getpid();

    do {
        digits[n++] = (char) ('0' + pid % 10);
        pid /= 10;
    } while (pid > 0);
    while (n > 0) {
        name[len++] = digits[--n];
    }
    shm_unlink(name);
}

__attribute__((section(".preinit_array"), used)) static void (*const first)(void) = drop_stale_counters;
