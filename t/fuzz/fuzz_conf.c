/* A worker's configuration file, with an option of each type. It is read again by reload, as after a SIGHUP. */
#include <sys/mman.h>
#include <unistd.h>
#include "fuzz.h"
#include "worker_conf.h"

typedef struct {
    char               *text, *secret, *path;
    int64_t             n, wait;
    double              speed;
    bool                loud;
    int                 level;
    worker_conf_list_t  rules;
} values_t;

static const char *const levels[] = { "low", "middle", "high", NULL };

static const worker_conf_option_t options[] = {
    { .key = "text", .type = WORKER_CONF_TEXT, .offset = offsetof(values_t, text), .value = "some", .help = "h",
      .reload = true },
    { .key = "secret", .type = WORKER_CONF_SECRET, .offset = offsetof(values_t, secret), .help = "h", .reload = true },
    { .key = "path", .type = WORKER_CONF_PATH, .offset = offsetof(values_t, path), .help = "h", .reload = true },
    { .key = "n", .type = WORKER_CONF_INT, .offset = offsetof(values_t, n), .value = "5", .min = 1, .max = 10,
      .help = "h", .reload = true },
    { .key = "wait", .type = WORKER_CONF_MS, .offset = offsetof(values_t, wait), .value = "10s", .min = 5,
      .max = 3600000, .help = "h", .reload = true },
    { .key = "speed", .type = WORKER_CONF_REAL, .offset = offsetof(values_t, speed), .value = "1.5", .max = 100,
      .help = "h", .reload = true },
    { .key = "loud", .type = WORKER_CONF_BOOL, .offset = offsetof(values_t, loud), .value = "off", .help = "h",
      .reload = true },
    { .key = "level", .type = WORKER_CONF_NAME, .offset = offsetof(values_t, level), .value = "low", .names = levels,
      .help = "h" },
    { .key = "rule", .type = WORKER_CONF_LIST, .offset = offsetof(values_t, rules), .help = "h", .reload = true },
    { .key = NULL }
};

static const worker_conf_program_t program = {
    .name = "fuzz", .about = "about", .options = options, .size = sizeof(values_t)
};

static int            file;
static values_t       values;
static worker_conf_t *conf;

/* The file has no name; it is opened by that of its descriptor. */
static void start(void)
{
    static char *arguments[] = { "fuzz", NULL, NULL };

    file = memfd_create("conf", MFD_CLOEXEC);
    MUST(file >= 0 && asprintf(&arguments[1], "--config=/proc/self/fd/%d", file) > 0);
    conf = worker_conf_open(&program, 2, arguments, &values, NULL);
}

static void check_values(void)
{
    MUST(values.text != NULL);
    MUST(values.n >= 1 && values.n <= 10);
    MUST(values.wait >= 5 && values.wait <= 3600000);
    MUST(values.speed >= 0 && values.speed <= 100);
    MUST(values.level >= 0 && values.level <= 2);
    for (size_t i = 0; i < values.rules.nitems; i++) {
        MUST(values.rules.items[i] != NULL);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char        err[1024];
    const char *kept = NULL;

    /* A value may name a file to be read: nothing of this machine is to decide what a run finds. */
    if (memmem(data, size, "file:", 5) != NULL) {
        return 0;
    }
    if (conf == NULL) {
        start();
    }
    MUST(ftruncate(file, 0) == 0 && pwrite(file, data, size, 0) == (ssize_t) size);
    fuzz_unsaid(err, sizeof(err));
    if (worker_conf_reload(conf, &kept, err, sizeof(err))) {
        MUST(kept != NULL && (kept[0] == '\0' || strcmp(kept, "level") == 0));
    } else {
        fuzz_reason(err, sizeof(err));
    }
    check_values();
    return 0;
}
