/* worker_log.h: lines that a machine can read, and nothing secret in them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>
#include <jansson.h>

#include "worker_log.h"

static int   ends[2], kept_stderr;
static char  said[65536];


static void listen_to_stderr(void)
{
    assert_int_equal(pipe(ends), 0);
    kept_stderr = dup(STDERR_FILENO);
    dup2(ends[1], STDERR_FILENO);
    close(ends[1]);
}


static const char *what_was_said(void)
{
    size_t   len = 0;
    ssize_t  n;

    dup2(kept_stderr, STDERR_FILENO);
    close(kept_stderr);
    while ((n = read(ends[0], said + len, sizeof(said) - 1 - len)) > 0) {
        len += (size_t) n;
    }
    said[len] = '\0';
    close(ends[0]);
    return said;
}


static void key_value_lines(void **state)
{
    worker_log_setup("test", WORKER_LOG_KV, WORKER_LOG_INFO);
    listen_to_stderr();
    worker_log(WORKER_LOG_DEBUG, "not shown");
    worker_log(WORKER_LOG_INFO, "two words", worker_text("bare", "a-b"), worker_text("quoted", "a \"b\"\n\x01="),
               worker_int("n", -5), worker_text("none", NULL));
    what_was_said();
    assert_null(strstr(said, "not shown"));
    assert_non_null(strstr(said, " level=info program=test pid="));
    assert_non_null(strstr(said, " msg=\"two words\" bare=a-b quoted=\"a \\\"b\\\"\\u000a\\u0001=\" n=-5 none=\"\"\n"));
}


static void json_lines_parse(void **state)
{
    char     big[9000];
    json_t  *line;

    memset(big, '"', sizeof(big) - 1);
    big[sizeof(big) - 1] = '\0';
    for (int i = 0; i < 40; i++) {
        worker_log_setup("test", WORKER_LOG_JSON, WORKER_LOG_INFO);
        listen_to_stderr();
        worker_log(WORKER_LOG_INFO, "m", worker_text("bad", "a\xff\xc3(\xe2\x82\xac\xf0\x9f"),
                   worker_text("big", big + i), worker_text("after", "x"));
        what_was_said();
        line = json_loads(said, JSON_REJECT_DUPLICATES, NULL);
        assert_non_null(line);
        assert_non_null(strstr(said, "a\\ufffd\\ufffd(\xe2\x82\xac\\ufffd"));
        assert_int_equal(said[strlen(said) - 1], '\n');
        json_decref(line);
    }
}


static void secrets_are_masked(void **state)
{
    worker_log_setup("test", WORKER_LOG_KV, WORKER_LOG_INFO);
    listen_to_stderr();
    worker_log(WORKER_LOG_INFO, "m", worker_text("card", "no 4111111111111111!"),
               worker_text("url", "amqp://user:pass@host:5672/"),
               worker_text("uuid", "01234567-0123-0123-0123-012345678901"));
    what_was_said();
    assert_null(strstr(said, "4111"));
    assert_null(strstr(said, "pass"));
    assert_non_null(strstr(said, "card=\"no ***!\""));
    assert_non_null(strstr(said, "url=amqp://***@host:5672/"));
    assert_non_null(strstr(said, "uuid=01234567-0123-0123-0123-012345678901"));
}


static void repeats_are_limited(void **state)
{
    size_t  lines = 0;

    worker_log_setup("test", WORKER_LOG_KV, WORKER_LOG_INFO);
    listen_to_stderr();
    for (int i = 0; i < 50; i++) {
        worker_log(WORKER_LOG_WARN, "again and again", worker_int("i", i));
    }
    what_was_said();
    for (const char *c = said; *c; c++) {
        lines += *c == '\n';
    }
    assert_int_equal(lines, 10);
}


int main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(key_value_lines),
        cmocka_unit_test(json_lines_parse),
        cmocka_unit_test(secrets_are_masked),
        cmocka_unit_test(repeats_are_limited)
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
