/*
 * Makes calls fail that hardly ever do: no memory, no thread, no descriptor, a library that says no.
 *
 * Part of a test build alone (FAULTS=1): it is linked to nginx's module and to each worker, and the linker sends every
 * call that calls.h lists here first (ld --wrap). The tests steer it from outside, without a restart, through the file
 * FOODSVC_FAULTS/PROGRAM, which each process maps when it starts and a fork inherits:
 *
 *   armed           calls are counted; each is noted in `log` with its place in the code and the way that led there
 *   way, nth        of the calls that come this way the one that fails, from 1; 0: none does
 *   failed          whether it has, and which it was
 *
 * A way is a sum over the return addresses in the program or library itself, so it is the same in each process of it.
 * Naming a call by its way, not by its number, hits it also where other threads and timers call in between.
 *
 * All threads count together. Without the variable every call goes through.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <execinfo.h>
#include <fcntl.h>
#include <netdb.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <unistd.h>

#include <openssl/asn1.h>
#include <openssl/bio.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/sha.h>
#include <jansson.h>
#include <mongoc/mongoc.h>
#include <amqp.h>
#include <amqp_ssl_socket.h>
#include <amqp_tcp_socket.h>
#include <hiredis/hiredis.h>
#ifdef FAULTS_NGINX
#include <hiredis/async.h>
#else
#include <curl/curl.h>
#endif

#define FAULTS_VALUES
#include "calls.h"
#undef FAULTS_VALUES

#define NAME    40
#define LOG     32768
#define DEPTH   48

/* conftest.py knows this layout */
typedef struct {
    _Atomic uint64_t    armed, calls, way, nth, came, failed;
    uint64_t            failed_place;
    char                failed_name[NAME];
    struct {
        uint64_t        place;      /* in the program or library, as addr2line wants it */
        uint64_t        way;
        char            name[NAME];
    } log[LOG];
} shared_t;

extern const char  __ehdr_start[] __attribute__((visibility("hidden")));
extern const char  _end[] __attribute__((visibility("hidden")));
static shared_t   *shared;

__attribute__((constructor))
static void map_shared(void)
{
    const char *folder = getenv("FOODSVC_FAULTS");
    char        path[512];
    void       *memory, *frame;
    int         fd;

    if (folder == NULL) {
        return;
    }
    snprintf(path, sizeof(path), "%s/%s", folder, program_invocation_short_name);
    fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0 || ftruncate(fd, sizeof(shared_t)) != 0) {
        fprintf(stderr, "%s: %s\n", path, strerror(errno));
        exit(EXIT_FAILURE);
    }
    backtrace(&frame, 1);       /* loads what it needs */
    memory = mmap(NULL, sizeof(shared_t), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    close(fd);
    if (memory != MAP_FAILED) {
        shared = memory;
    }
}

/* Frames of libraries in between, and below, are left out: their addresses are others in each process. */
static uint64_t way_here(void)
{
    void     *frames[DEPTH];
    int       n = backtrace(frames, DEPTH);
    uint64_t  way = 14695981039346656037U;

    for (int i = 0; i < n; i++) {
        uintptr_t  at = (uintptr_t) frames[i];

        if (at >= (uintptr_t) __ehdr_start && at < (uintptr_t) _end) {
            way = (way ^ (at - (uintptr_t) __ehdr_start)) * 1099511628211U;
        }
    }
    return way;
}

static bool fails(const char *name, const void *caller)
{
    uint64_t n, way, place = (uint64_t) ((uintptr_t) caller - (uintptr_t) __ehdr_start);

    if (shared == NULL || !atomic_load(&shared->armed)) {
        return false;
    }
    way = way_here();
    n = atomic_fetch_add(&shared->calls, 1);
    if (n < LOG) {
        shared->log[n].place = place;
        shared->log[n].way = way;
        snprintf(shared->log[n].name, NAME, "%s", name);
    }
    if (way != atomic_load(&shared->way) || atomic_fetch_add(&shared->came, 1) + 1 != atomic_load(&shared->nth)) {
        return false;
    }
    shared->failed_place = place;
    snprintf(shared->failed_name, NAME, "%s", name);
    atomic_store(&shared->failed, 1);
    return true;
}

#define FAILS(name)     fails(name, __builtin_return_address(0))
#define WRAP(type, name, parameters, arguments, failure) \
    type __real_##name parameters; \
    type __wrap_##name parameters; \
    type __wrap_##name parameters { return FAILS(#name) ? (failure) : __real_##name arguments; }
#include "calls.h"

/* --- those with a variable number of arguments --- */

int __wrap_asprintf(char **text, const char *format, ...);
int __wrap_asprintf(char **text, const char *format, ...)
{
    va_list list;
    int     n = -1;

    va_start(list, format);
    if (FAILS("asprintf")) {
        *text = NULL;
    } else {
        n = __real_vasprintf(text, format, list);
    }
    va_end(list);
    return n;
}

json_t *__wrap_json_pack(const char *format, ...);
json_t *__wrap_json_pack(const char *format, ...)
{
    json_t *value;
    bool    failed = FAILS("json_pack");
    va_list list;

    va_start(list, format);
    value = json_vpack_ex(NULL, 0, format, list);   /* it frees what it was given, so that it has to run */
    va_end(list);
    if (failed) {
        json_decref(value);
        return NULL;
    }
    return value;
}

amqp_rpc_reply_t __real_amqp_login_with_properties(amqp_connection_state_t state, const char *vhost, int channels,
                                                   int frame, int heartbeat, const amqp_table_t *properties,
                                                   amqp_sasl_method_enum method, ...);
amqp_rpc_reply_t __wrap_amqp_login_with_properties(amqp_connection_state_t state, const char *vhost, int channels,
                                                   int frame, int heartbeat, const amqp_table_t *properties,
                                                   amqp_sasl_method_enum method, ...);
amqp_rpc_reply_t __wrap_amqp_login_with_properties(amqp_connection_state_t state, const char *vhost, int channels,
                                                   int frame, int heartbeat, const amqp_table_t *properties,
                                                   amqp_sasl_method_enum method, ...)
{
    const char *user, *password;
    va_list     list;

    if (FAILS("amqp_login_with_properties")) {
        return AMQP_MEMORY;
    }
    va_start(list, method);
    user = va_arg(list, const char *);
    password = va_arg(list, const char *);
    va_end(list);
    return __real_amqp_login_with_properties(state, vhost, channels, frame, heartbeat, properties, method, user,
                                             password);
}

#ifndef FAULTS_NGINX

void *__wrap_redisCommand(redisContext *redis, const char *format, ...);
void *__wrap_redisCommand(redisContext *redis, const char *format, ...)
{
    void   *reply = NULL;
    va_list list;

    va_start(list, format);
    if (!FAILS("redisCommand")) {
        reply = redisvCommand(redis, format, list);
    }
    va_end(list);
    return reply;
}

int __wrap_redisAppendCommand(redisContext *redis, const char *format, ...);
int __wrap_redisAppendCommand(redisContext *redis, const char *format, ...)
{
    int     rc = REDIS_ERR;
    va_list list;

    va_start(list, format);
    if (!FAILS("redisAppendCommand")) {
        rc = redisvAppendCommand(redis, format, list);
    }
    va_end(list);
    return rc;
}

#undef curl_easy_setopt     /* a macro that checks types */
CURLcode __real_curl_easy_setopt(CURL *easy, CURLoption option, ...);
CURLcode __wrap_curl_easy_setopt(CURL *easy, CURLoption option, ...);
CURLcode __wrap_curl_easy_setopt(CURL *easy, CURLoption option, ...)
{
    void   *value;          /* long, pointer and curl_off_t are all of a register's size */
    va_list list;

    va_start(list, option);
    value = va_arg(list, void *);
    va_end(list);
    return FAILS("curl_easy_setopt") ? CURLE_OUT_OF_MEMORY : __real_curl_easy_setopt(easy, option, value);
}

#endif
