/*
 * worker_conf.h: sources and their order, types, and errors that name the place and the cure; each bad case ends a
 * child process.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "worker_conf.h"

typedef struct {
    char               *url, *key, *path;
    int64_t             n, wait;
    double              speed;
    bool                loud;
    int                 level;
    worker_conf_list_t  rules;
} values_t;

static const char *const levels[] = { "low", "high", NULL };


static bool is_url(const char *value, char *err, size_t errlen)
{
    snprintf(err, errlen, "write x://host");
    return strncmp(value, "x://", 4) == 0;
}


static const worker_conf_option_t options[] = {
    { .key = "the_url", .type = WORKER_CONF_TEXT, .offset = offsetof(values_t, url), .value = "x://default",
      .check = is_url,
      .help = "h", .reload = true },
    { .key = "key", .type = WORKER_CONF_SECRET, .offset = offsetof(values_t, key), .help = "h" },
    { .key = "path", .type = WORKER_CONF_PATH, .offset = offsetof(values_t, path), .help = "h" },
    { .key = "n", .type = WORKER_CONF_INT, .offset = offsetof(values_t, n), .value = "5", .min = 1, .max = 10,
      .help = "h" },
    { .key = "wait", .type = WORKER_CONF_MS, .offset = offsetof(values_t, wait), .value = "10s", .help = "h",
      .reload = true },
    { .key = "speed", .type = WORKER_CONF_REAL, .offset = offsetof(values_t, speed), .value = "1.5", .max = 1000,
      .help = "h" },
    { .key = "loud", .type = WORKER_CONF_BOOL, .offset = offsetof(values_t, loud), .value = "off", .help = "h" },
    { .key = "level", .type = WORKER_CONF_NAME, .offset = offsetof(values_t, level), .value = "low", .names = levels,
      .help = "h" },
    { .key = "rule", .type = WORKER_CONF_LIST, .offset = offsetof(values_t, rules), .help = "h", .reload = true },
    { .key = NULL }
};

static bool both(void *values, char *err, size_t errlen)
{
    const values_t  *v = values;

    snprintf(err, errlen, "n must not be 9 with speed 9");
    return !(v->n == 9 && v->speed == 9);
}

static const worker_conf_program_t program = {
    .name = "test", .about = "about", .args = "ARG", .options = options, .size = sizeof(values_t), .check = both
};

static char  conf_path[] = "/tmp/foodsvc_test_conf_XXXXXX", line_path[] = "/tmp/foodsvc_test_line_XXXXXX";


static void put(const char *path, const char *text)
{
    FILE  *file = fopen(path, "w");

    assert_non_null(file);
    fputs(text, file);
    fclose(file);
}


static worker_conf_t *open_with(const char *text, values_t *values, char ***args, const char *flag, const char *flag2)
{
    static char  *argv[6];      /* the arguments are borrowed from it */
    int           argc = 3 + (flag != NULL) + (flag2 != NULL);

    memcpy(argv, (char *[]) { "test", "--config", conf_path, (char *) flag, (char *) flag2, NULL }, sizeof(argv));
    put(conf_path, text);
    return worker_conf_open(&program, argc, argv, values, args);
}


/* Runs a bad configuration in a child; its exit code must be 2 and its words must have `part` in them. */
static void refuses(const char *text, const char *flag, const char *part)
{
    char     said[4096] = "";
    int      ends[2], status;
    size_t   len = 0;
    ssize_t  n;
    pid_t    child;

    assert_int_equal(pipe(ends), 0);
    fflush(NULL);
    child = fork();
    if (child == 0) {
        values_t  values;

        dup2(ends[1], STDERR_FILENO);
        open_with(text, &values, NULL, flag, NULL);
        _exit(0);
    }
    close(ends[1]);
    while ((n = read(ends[0], said + len, sizeof(said) - 1 - len)) > 0) {
        len += (size_t) n;
    }
    close(ends[0]);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    if (WEXITSTATUS(status) != 2 || strstr(said, part) == NULL) {
        fail_msg("for \"%s\" %s: exit %d, said: %s", text, flag ? flag : "", WEXITSTATUS(status), said);
    }
}


static void defaults(void **state)
{
    values_t        values;
    worker_conf_t  *conf = open_with("# nothing\n\n", &values, NULL, NULL, NULL);

    assert_string_equal(values.url, "x://default");
    assert_null(values.key);
    assert_int_equal(values.n, 5);
    assert_int_equal(values.wait, 10000);
    assert_true(values.speed == 1.5);
    assert_false(values.loud);
    assert_int_equal(values.level, 0);
    assert_int_equal(values.rules.nitems, 0);
    worker_conf_close(conf);
}


static void later_sources_win(void **state)
{
    values_t        values;
    char          **args;
    worker_conf_t  *conf;

    setenv("FOODSVC_N", "7", 1);
    setenv("FOODSVC_THE_URL", "x://environment", 1);
    conf = open_with("n = 6\nthe_url=x://file\n wait = 500ms \nlevel = high\nrule = a\nrule = b # c\nspeed = 2\n",
                     &values, &args, "--the-url=x://flag", "--loud");
    assert_int_equal(values.n, 7);
    assert_string_equal(values.url, "x://flag");
    assert_int_equal(values.wait, 500);
    assert_int_equal(values.level, 1);
    assert_true(values.loud);
    assert_int_equal(values.rules.nitems, 2);
    assert_string_equal(values.rules.items[1], "b # c");
    assert_null(args[0]);
    unsetenv("FOODSVC_N");
    unsetenv("FOODSVC_THE_URL");
    worker_conf_close(conf);
}


static void arguments_follow_the_flags(void **state)
{
    values_t        values;
    char          **args;
    worker_conf_t  *conf = open_with("", &values, &args, "show", "--loud");

    assert_string_equal(args[0], "show");
    assert_string_equal(args[1], "--loud");
    assert_null(args[2]);
    assert_false(values.loud);
    worker_conf_close(conf);
}


static void a_file_holds_the_secret(void **state)
{
    values_t        values;
    char            text[128];
    worker_conf_t  *conf;

    put(line_path, "  s3cret \r\nsecond\n");
    snprintf(text, sizeof(text), "key = file:%s\npath = %s\n", line_path, line_path);
    conf = open_with(text, &values, NULL, NULL, NULL);
    assert_string_equal(values.key, "s3cret");
    assert_string_equal(values.path, line_path);
    worker_conf_close(conf);
    put(line_path, "\n");
    refuses(text, NULL, "its first line is empty");
}


static void bad_ones_are_refused(void **state)
{
    refuses("n = 6\nbogus = 1\n", NULL, ":2: unknown key \"bogus\"; --help lists the keys");
    refuses("n\n", NULL, ":1: expected `key = value`");
    refuses("n = 6\n\nn = 7\n", NULL, ":3: n is given twice, first at ");
    refuses("n = 11\n", NULL, ":1: n: 11 is out of range; give 1 to 10");
    refuses("n = 6x\n", NULL, ":1: n: \"6x\" is not a whole number");
    refuses("n =\n", NULL, "is not a whole number");
    refuses("wait = 10 s\n", NULL, "is not a time such as 500ms");
    refuses("wait = -1s\n", NULL, "out of range");
    refuses("wait = 9223372036854775807h\n", NULL, "out of range");
    refuses("speed = nan\n", NULL, "is not a number");
    refuses("speed = 1001\n", NULL, "\"1001\" is not a number from 0 to 1000");
    refuses("loud = maybe\n", NULL, "is neither on nor off");
    refuses("level = middle\n", NULL, "is none of low, high");
    refuses("the_url = http://x\n", NULL, ":1: the_url: write x://host");
    refuses("path = /nonexistent\n", NULL, "No such file or directory; name a readable file");
    refuses("key = file:/nonexistent\n", NULL, "No such file or directory");
    refuses("n = 9\nspeed = 9\n", NULL, "n must not be 9 with speed 9");
    refuses("", "--n=0", "--n: n: 0 is out of range");
    refuses("", "--nonsense", "unrecognized option");
    refuses("", "--config=/nonexistent", "give a readable file to --config");
}


/* An error may quote the file, which may hold anything: it is one printable line of UTF-8 all the same. */
static void what_is_no_text_is_not_said(void **state)
{
    static const char  cut[] = "\xC3\xA4\xC3\xA4\xC3\xA4\xC3\xA4\xC3\xA4\xC3\xA4\xC3\xA4\xC3\xA4";
    char               text[256];

    refuses("pend\x1B[2Jing = 1\n", NULL, "unknown key \"pend?[2Jing\"");
    refuses("a\xFF\xC2\x9B""b = 1\n", NULL, "unknown key \"a???b\"");
    refuses("\xC3\xA4 = 1\n", NULL, "unknown key \"\xC3\xA4\"");
    /* cut at 64 bytes, in the middle of a character */
    snprintf(text, sizeof(text), "n = x%s%s%s%s%s\n", cut, cut, cut, cut, cut);
    refuses(text, NULL, "\xC3\xA4?\" is not a whole number");
}


static void reload_takes_all_or_nothing(void **state)
{
    values_t        values;
    char            err[512];
    const char     *kept;
    worker_conf_t  *conf = open_with("wait = 1s\nn = 2\nrule = a\n", &values, NULL, NULL, NULL);

    put(conf_path, "wait = 2s\nn = bad\n");
    assert_false(worker_conf_reload(conf, &kept, err, sizeof(err)));
    assert_non_null(strstr(err, "not a whole number"));
    assert_int_equal(values.wait, 1000);

    put(conf_path, "wait = 2s\nn = 3\nrule = b\nrule = c\nthe_url = x://new\n");
    assert_true(worker_conf_reload(conf, &kept, err, sizeof(err)));
    assert_int_equal(values.wait, 2000);
    assert_int_equal(values.n, 2);
    assert_string_equal(kept, "n");
    assert_int_equal(values.rules.nitems, 2);
    assert_string_equal(values.url, "x://new");
    worker_conf_close(conf);
}


int main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(defaults),
        cmocka_unit_test(later_sources_win),
        cmocka_unit_test(arguments_follow_the_flags),
        cmocka_unit_test(a_file_holds_the_secret),
        cmocka_unit_test(bad_ones_are_refused),
        cmocka_unit_test(what_is_no_text_is_not_said),
        cmocka_unit_test(reload_takes_all_or_nothing)
    };
    int  failed;

    close(mkstemp(conf_path));
    close(mkstemp(line_path));
    failed = cmocka_run_group_tests(tests, NULL, NULL);
    unlink(conf_path);
    unlink(line_path);
    return failed;
}
