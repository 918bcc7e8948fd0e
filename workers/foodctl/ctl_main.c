/*
 * The commands, and how the arguments are read: `foodctl [OPTION...] COMMAND [ARG...]`, options anywhere.
 * Every command has its own --help; an option that the command does not know is refused.
 */
#include <argp.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <curl/curl.h>
#include "ctl.h"
#include "foodsvc_names.h"

enum {
    CTL_ORDER_URL = 0x100, CTL_PAYMENT_URL, CTL_API_KEY, CTL_CA_CERT, CTL_MONGO_URL, CTL_REDIS_URL, CTL_AMQP_URL,
    CTL_JSON,
    CTL_ITEM, CTL_CUSTOMER, CTL_QUEUE, CTL_TIMEOUT, CTL_UNTIL, CTL_QUIET, CTL_FLUSH
};

static const struct argp_option ctl_settings[] = {
    { "order-url", CTL_ORDER_URL, "URL", 0, "OrderService (environment: ORDER_URL)", 1 },
    { "payment-url", CTL_PAYMENT_URL, "URL", 0, "PaymentService (PAYMENT_URL)", 1 },
    { "api-key", CTL_API_KEY, "KEY", 0, "the API key (API_KEY; better there, since others can see a command's "
                                        "arguments)", 1 },
    { "ca-cert", CTL_CA_CERT, "FILE", 0, "CA certificate of the services (CA_CERT)", 1 },
    { "mongo-url", CTL_MONGO_URL, "URL", 0, "MongoDB (MONGO_URL)", 1 },
    { "redis-url", CTL_REDIS_URL, "URL", 0, "Redis (REDIS_URL)", 1 },
    { "amqp-url", CTL_AMQP_URL, "URL", 0, "RabbitMQ (AMQP_URL)", 1 },
    { "json", CTL_JSON, NULL, 0, "print JSON", 1 },
    { 0 }
};

static const struct argp_option ctl_no_options[] = { { 0 } };

static const struct argp_option ctl_place_options[] = {
    { "item", CTL_ITEM, "PRODUCT[=QUANTITY]", 0, "what is ordered; may be repeated (default: Lasagna=2 and 'Double "
                                                 "Cheeseburger')", 0 },
    { "customer", CTL_CUSTOMER, "UUID", 0, "who orders (default: a new one)", 0 },
    { "quiet", CTL_QUIET, NULL, 0, "print the order's id alone", 0 },
    { 0 }
};

static const struct argp_option ctl_watch_options[] = {
    { "timeout", CTL_TIMEOUT, "SECONDS", 0, "give up after this long (default: never)", 0 },
    { "until", CTL_UNTIL, "STATUS", 0, "end here already: as soon as the order has taken this status", 0 },
    { 0 }
};

static const struct argp_option ctl_load_options[] = {
    { "flush", CTL_FLUSH, NULL, 0, "drop the old addresses from Redis, too", 0 },
    { 0 }
};

static const struct argp_option ctl_send_options[] = {
    { "queue", CTL_QUEUE, "NAME", 0, "the queue (default: " FOODSVC_QUEUE ")", 0 },
    { 0 }
};

typedef struct {
    const char               *name;         /* one or two words */
    const char               *args;         /* for --help; NULL: none */
    size_t                    min, max;     /* how many */
    const char               *about;
    const struct argp_option *options;
    int                     (*run)(ctl_t *ctl);
} ctl_command_t;

static const ctl_command_t ctl_commands[] = {
    { "order place", NULL, 0, 0, "Places an order.", ctl_place_options, ctl_order_place },
    { "order show", "ORDER", 1, 1, "Shows an order.", ctl_no_options, ctl_order_show },
    { "order list", NULL, 0, 0, "Lists all orders, newest first.", ctl_no_options, ctl_order_list },
    { "order cancel", "ORDER", 1, 1, "Cancels an order that has no driver yet.", ctl_no_options, ctl_order_cancel },
    { "order delete", "ORDER", 1, 1, "Deletes an order.", ctl_no_options, ctl_order_delete },
    { "order watch", "ORDER", 1, 1, "Follows an order to its end: delivered or reimbursed (exit 0), or paymentFailed "
                                    "(exit 1).",
      ctl_watch_options, ctl_order_watch },
    { "health", NULL, 0, 0, "Asks both services how they and what they need are.", ctl_no_options, ctl_health },
    { "urls load", "FILE|NAME=URL...", 1, CTL_MAX_ARGS,
      "Writes the services' addresses to MongoDB, from a file of NAME=URL lines or a JSON object, or as given.",
      ctl_load_options, ctl_urls_load },
    { "urls list", NULL, 0, 0, "Lists the services' addresses in MongoDB.", ctl_no_options, ctl_urls_list },
    { "urls flush", NULL, 0, 0, "Drops the services' addresses from Redis, so that MongoDB's count at once.",
      ctl_no_options,
      ctl_urls_flush },
    { "cache show", "ORDER", 1, 1, "Shows what Redis has under an order's id.", ctl_no_options, ctl_cache_show },
    { "queue send", "JSON", 1, 1, "Sends a message to a queue as it is; - reads it from standard input.",
      ctl_send_options,
      ctl_queue_send },
    { "respond", "ORDER STATUS", 2, 2, "Sends a status to OrderService's queue, as the partner would that has to.",
      ctl_no_options,
      ctl_respond },
    { "keys new", NULL, 0, 0, "Makes an API key, and the SHA-256 by which the services know it.", ctl_no_options,
      ctl_keys_new },
    { NULL, NULL, 0, 0, NULL, NULL, NULL }
};

typedef struct {
    ctl_t               *ctl;
    const ctl_command_t *command;       /* NULL: not known yet */
    int                  at;            /* where it stands */
    bool                 told;          /* what is wrong */
    const char          *wrong;         /* the argument that stopped the parser */
} ctl_reading_t;

static int __attribute__((format(printf, 2, 0)))
ctl_tell(int code, const char *format, va_list args)
{
    fputs("foodctl: ", stderr);
    vfprintf(stderr, format, args);
    fputc('\n', stderr);
    return code;
}

int
ctl_fail(const char *format, ...)
{
    va_list args;
    int     code;

    va_start(args, format);
    code = ctl_tell(CTL_FAILED, format, args);
    va_end(args);
    return code;
}

int
ctl_misused(const char *format, ...)
{
    va_list args;
    int     code;

    va_start(args, format);
    code = ctl_tell(CTL_USAGE, format, args);
    va_end(args);
    return code;
}

/* A usage error, in one line; argp's own are silenced, for they take three. */
static error_t __attribute__((format(printf, 2, 3)))
ctl_usage(ctl_reading_t *reading, const char *format, ...)
{
    va_list args;

    fputs("foodctl: ", stderr);
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    fprintf(stderr, " (try `foodctl%s%s --help`)\n", reading->command ? " " : "", reading->command
            ? reading->command->name : "");
    reading->told = true;
    return EINVAL;
}

static error_t
ctl_set(char **setting, const char *value)
{
    free(*setting);
    *setting = strdup(value);
    return *setting == NULL ? ENOMEM : 0;
}

static error_t
ctl_parse_setting(int key, char *arg, struct argp_state *state)
{
    ctl_t *ctl = ((ctl_reading_t *) state->input)->ctl;

    switch (key) {
    case CTL_ORDER_URL:
        return ctl_set(&ctl->order_url, arg);
    case CTL_PAYMENT_URL:
        return ctl_set(&ctl->payment_url, arg);
    case CTL_API_KEY:
        return ctl_set(&ctl->api_key, arg);
    case CTL_CA_CERT:
        return ctl_set(&ctl->ca_cert, arg);
    case CTL_MONGO_URL:
        return ctl_set(&ctl->mongo_url, arg);
    case CTL_REDIS_URL:
        return ctl_set(&ctl->redis_url, arg);
    case CTL_AMQP_URL:
        return ctl_set(&ctl->amqp_url, arg);
    case CTL_JSON:
        ctl->json = true;
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static error_t
ctl_parse_timeout(ctl_reading_t *reading, const char *arg)
{
    char   *end;
    double  seconds = strtod(arg, &end);

    if (end == arg || *end != '\0' || !(seconds > 0 && seconds <= 1e6)) {
        return ctl_usage(reading, "--timeout takes seconds, as 60");
    }
    reading->ctl->timeout = (int64_t) (seconds * 1000);
    return 0;
}

static error_t
ctl_parse_command(int key, char *arg, struct argp_state *state)
{
    ctl_reading_t *reading = state->input;
    ctl_t         *ctl = reading->ctl;
    foodsvc_status_e  status;

    switch (key) {
    case ARGP_KEY_INIT:
        state->child_inputs[0] = reading;
        return 0;
    case CTL_ITEM:
        if (ctl->nitems == CTL_MAX_ARGS) {
            return ctl_usage(reading, "more than %d items", CTL_MAX_ARGS);
        }
        ctl->items[ctl->nitems++] = arg;
        return 0;
    case CTL_CUSTOMER:
        ctl->customer = arg;
        return 0;
    case CTL_QUEUE:
        ctl->queue = arg;
        return 0;
    case CTL_TIMEOUT:
        return ctl_parse_timeout(reading, arg);
    case CTL_UNTIL:
        if (!foodsvc_status_parse(arg, strlen(arg), &status)) {
            return ctl_usage(reading, "--until takes a status, as delivered");
        }
        reading->ctl->until = arg;
        return 0;
    case CTL_QUIET:
        ctl->quiet = true;
        return 0;
    case CTL_FLUSH:
        ctl->flush = true;
        return 0;
    case ARGP_KEY_ARG:
        if (ctl->nargs == CTL_MAX_ARGS || ctl->nargs == reading->command->max) {
            return ctl_usage(reading, "\"%s\" is too much", arg);
        }
        ctl->args[ctl->nargs++] = arg;
        return 0;
    case ARGP_KEY_END:
        if (ctl->nargs < reading->command->min) {
            return ctl_usage(reading, "%s is missing", reading->command->args);
        }
        return 0;
    case ARGP_KEY_ERROR:
        reading->wrong = state->next > 0 ? state->argv[state->next - 1] : NULL;
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static error_t
ctl_parse_main(int key, char *arg, struct argp_state *state)
{
    ctl_reading_t *reading = state->input;

    (void) arg;
    switch (key) {
    case ARGP_KEY_INIT:
        state->child_inputs[0] = reading;
        return 0;
    case ARGP_KEY_ARG:
        state->next--;          /* the command begins here */
        for (const ctl_command_t *c = ctl_commands; c->name != NULL; c++) {
            const char *second = strchr(c->name, ' ');
            size_t      first = second ? (size_t) (second - c->name) : strlen(c->name);
            char      **words = state->argv + state->next;

            if (strncmp(words[0], c->name, first) == 0 && words[0][first] == '\0'
                && (second == NULL || (state->next + 1 < state->argc && strcmp(words[1], second + 1) == 0)))
            {
                reading->command = c;
                reading->at = state->next;
                return ECANCELED;
            }
        }
        return ctl_usage(reading, "there is no command \"%s%s%s\"", state->argv[state->next],
                         state->next + 1 < state->argc ? " " : "",
                   state->next + 1 < state->argc ? state->argv[state->next + 1] : "");
    case ARGP_KEY_NO_ARGS:
        return ctl_usage(reading, "a command is missing");
    case ARGP_KEY_ERROR:
        reading->wrong = state->next > 0 ? state->argv[state->next - 1] : NULL;
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

/* The list of commands for --help. */
static char *
ctl_main_doc(void)
{
    char   *text = NULL;
    size_t  len;
    FILE   *out = open_memstream(&text, &len);

    if (out == NULL) {
        return NULL;
    }
    fputs("Works with a running food delivery system: its orders, addresses, cache and queue.\vCommands:\n", out);
    for (const ctl_command_t *c = ctl_commands; c->name != NULL; c++) {
        fprintf(out, "  %s%s%s\n      %s\n", c->name, c->args ? " " : "", c->args ? c->args : "", c->about);
    }
    fputs("\n`foodctl COMMAND --help` tells more of one. Settings come from flags, from the environment, or from "
          "build/run/env, which `make up` writes, looked for from here upwards.\n"
          "Exit: 0 done, 1 failed, 2 wrongly asked.", out);
    fclose(out);
    return text;
}

static int
ctl_run(ctl_t *ctl, const ctl_command_t *command)
{
    int code = CTL_FAILED;

    ctl->command = command->name;
    curl_global_init(CURL_GLOBAL_DEFAULT);
    if (ctl_settings_load(ctl)) {
        code = command->run(ctl);
        if (code == CTL_OK && (fflush(stdout) != 0 || ferror(stdout))) {
            code = ctl_fail("cannot write the result: %s", strerror(errno));
        }
    }
    curl_global_cleanup();
    return code;
}

/* argp's flag that silences its errors silences --help, too. */
static unsigned
ctl_silence(int argc, char **argv)
{
    static const char *const asks[] = { "--help", "-?", "--usage", "--version", "-V" };

    for (int i = 1; i < argc; i++) {
        for (size_t k = 0; k < sizeof(asks) / sizeof(asks[0]); k++) {
            if (strcmp(argv[i], asks[k]) == 0) {
                return 0;
            }
        }
    }
    return ARGP_NO_ERRS;
}

static int
ctl_misread(ctl_reading_t *reading)
{
    if (!reading->told) {
        ctl_usage(reading, "\"%s\" is not known, or its value is missing", reading->wrong ? reading->wrong : "");
    }
    return CTL_USAGE;
}

int
main(int argc, char **argv)
{
    ctl_t                    ctl = { 0 };
    ctl_reading_t            reading = { .ctl = &ctl };
    const struct argp        settings = { ctl_settings, ctl_parse_setting, NULL, NULL, NULL, NULL, NULL };
    const struct argp_child  children[] = { { &settings, 0, "Settings:", 1 }, { NULL, 0, NULL, 0 } };
    char                    *doc = ctl_main_doc(), name[64];
    const struct argp        whole = { NULL, ctl_parse_main, "COMMAND [ARG...]", doc, children, NULL, NULL };
    int                      at, words, code;
    error_t                  rc;

    argp_program_version = "foodctl " FOODSVC_VERSION;
    argp_err_exit_status = CTL_USAGE;
    rc = argp_parse(&whole, argc, argv, ARGP_IN_ORDER | ctl_silence(argc, argv), NULL, &reading);
    free(doc);
    at = reading.at;
    if (rc != ECANCELED || reading.command == NULL) {
        ctl_settings_free(&ctl);
        return ctl_misread(&reading);
    }
    words = strchr(reading.command->name, ' ') != NULL ? 2 : 1;
    {
        const struct argp one = { reading.command->options, ctl_parse_command, reading.command->args,
                                  reading.command->about,
                                  children, NULL, NULL };

        snprintf(name, sizeof(name), "foodctl %s", reading.command->name);
        argv[at + words - 1] = name;
        rc = argp_parse(&one, argc - at - words + 1, argv + at + words - 1, ctl_silence(argc, argv), NULL, &reading);
    }
    code = rc == 0 ? ctl_run(&ctl, reading.command) : ctl_misread(&reading);
    ctl_settings_free(&ctl);
    return code;
}
