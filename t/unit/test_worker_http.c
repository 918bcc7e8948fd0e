/*
 * worker_http.h: calls that go wrong end in time, and wait for nobody while they do.
 *
 * getaddrinfo() below takes the C library's place: a name server that does not answer is one that this test makes.
 */
#include <arpa/inet.h>
#include <curl/curl.h>
#include <netdb.h>
#include <string.h>
#include <unistd.h>

#include "unit.h"
#include "foodsvc_time.h"
#include "worker_http.h"

#define RESOLVER_MS 3000

typedef struct {
    unsigned          times;
    worker_http_rc_e  rc;
} result_t;


int getaddrinfo(const char *node, const char *service, const struct addrinfo *hints, struct addrinfo **found)
{
    usleep(RESOLVER_MS * 1000);
    *found = NULL;
    return EAI_AGAIN;
}


static void called(void *ctx, const worker_http_answer_t *answer)
{
    result_t  *result = ctx;

    result->times++;
    result->rc = answer->rc;
}


static void a_silent_name_server_does_not_stop_the_loop(void **state)
{
    worker_http_conf_t     conf = { .connections = 4, .max_answer = 1024 };
    worker_http_t         *http = worker_http_open(&conf);
    result_t               result = { 0 };
    worker_http_request_t  request = { .method = "GET", .url = "http://somewhere.example/", .timeout_ms = 200,
                                       .done = called, .ctx = &result };
    int64_t                began = foodsvc_time_monotonic();

    assert_non_null(http);
    assert_true(worker_http_call(http, &request));
    while (result.times == 0) {
        worker_http_poll(http, NULL, 0, 50);
        worker_http_run(http);
    }
    assert_in_range(foodsvc_time_monotonic() - began, 0, RESOLVER_MS / 2);
    assert_int_equal(result.rc, WORKER_HTTP_UNREACHABLE);
    assert_int_equal(worker_http_in_flight(http), 0);

    assert_true(worker_http_call(http, &request));      /* nor the process's end */
    worker_http_run(http);
    began = foodsvc_time_monotonic();
    worker_http_close(http);
    assert_in_range(foodsvc_time_monotonic() - began, 0, RESOLVER_MS / 2);
    assert_int_equal(result.times, 2);
}


/* Asks a listener of its own; true: somebody connected to it. */
static bool reached(const char *entry, int *rc)
{
    struct sockaddr_in     in = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t              len = sizeof(in);
    int                    listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), fd;
    foodsvc_allow_rule_t   rule;
    worker_http_conf_t     conf = { .connections = 4, .max_answer = 1024, .allow = { .rules = &rule, .n = 1 } };
    worker_http_t         *http;
    result_t               result = { 0 };
    char                   url[64], err[256];
    worker_http_request_t  request = {
        .method = "GET", .url = url, .timeout_ms = 1000, .done = called, .ctx = &result
    };

    assert_int_equal(bind(listener, (struct sockaddr *) &in, len), 0);
    assert_int_equal(listen(listener, 1), 0);
    assert_int_equal(getsockname(listener, (struct sockaddr *) &in, &len), 0);
    snprintf(url, sizeof(url), "http://127.0.0.1:%d/a?b=c", ntohs(in.sin_port));
    assert_true(foodsvc_allow_parse(entry, strlen(entry), &rule, err, sizeof(err)));
    http = worker_http_open(&conf);
    assert_non_null(http);
    assert_true(worker_http_call(http, &request));
    while (result.times == 0) {
        worker_http_poll(http, NULL, 0, 50);
        worker_http_run(http);
    }
    *rc = (int) result.rc;
    fd = accept(listener, NULL, NULL);
    if (fd != -1) {
        close(fd);
    }
    close(listener);
    worker_http_close(http);
    return fd != -1;
}


static void what_is_not_allowed_is_not_connected_to(void **state)
{
    int  rc;

    assert_true(reached("127.0.0.0/8", &rc));
    assert_int_equal(rc, WORKER_HTTP_NO_ANSWER);
    assert_false(reached("10.0.0.0/8", &rc));
    assert_int_equal(rc, WORKER_HTTP_UNREACHABLE);
}


int main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(what_is_not_allowed_is_not_connected_to),
        cmocka_unit_test(a_silent_name_server_does_not_stop_the_loop)
    };

    curl_global_init(CURL_GLOBAL_DEFAULT);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
