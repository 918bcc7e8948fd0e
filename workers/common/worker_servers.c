#include <errno.h>
#include <curl/curl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>

#include "foodsvc_secret.h"
#include "foodsvc_time.h"
#include "worker_log.h"
#include "worker_servers.h"

#define AT(member)      offsetof(worker_servers_conf_t, member)
#define OPTIONS_MAX     64
#define BACKOFF_FIRST   50      /* ms */
#define BACKOFF_LAST    2000
#define PREPARE_AGAIN   30000   /* ms between attempts to make the indexes */

static bool mongo_url_check(const char *value, char *err, size_t errlen);

static const worker_conf_option_t options[] = {
    { .key = "mongo_url", .type = WORKER_CONF_SECRET, .offset = AT(mongo_url), .value = "mongodb://127.0.0.1:27017",
      .check = mongo_url_check, .help = "MongoDB (default: mongodb://127.0.0.1:27017)" },
    { .key = "redis_url", .type = WORKER_CONF_SECRET, .offset = AT(redis_url), .value = "redis://127.0.0.1:6379",
      .check = worker_cache_url_check, .help = "Redis (default: redis://127.0.0.1:6379)" },
    { .key = "amqp_url", .type = WORKER_CONF_SECRET, .offset = AT(amqp_url),
      .value = "amqp://guest:guest@127.0.0.1:5672/",
      .check = worker_amqp_url_check, .help = "RabbitMQ (default: guest at 127.0.0.1:5672)" },
    { .key = "api_key_file", .type = WORKER_CONF_PATH, .offset = AT(api_key_file), .reload = true,
      .help = "its first line is the API key shown to PaymentService" },
    { .key = "ca_file", .type = WORKER_CONF_PATH, .offset = AT(ca_file),
      .help = "certificates (PEM) that partners and amqps brokers are checked against (default: the system's)" },
    { .key = "partner_allow", .type = WORKER_CONF_LIST, .offset = AT(partner_allow), .check = worker_allow_check,
      .help = "addresses (10.0.0.0/8) and names, with :PORT or without, where partners may be; may be repeated "
              "(default: all but link-local and the like)" },
    { .key = "log_level", .type = WORKER_CONF_NAME, .offset = AT(log_level), .value = "info", .reload = true,
      .names = worker_log_level_names, .help = "debug, info, warn or error" },
    { .key = "log_format", .type = WORKER_CONF_NAME, .offset = AT(log_format), .value = "kv", .reload = true,
      .names = worker_log_format_names, .help = "kv (key=value) or json" },
    { .key = "heartbeat", .type = WORKER_CONF_INT, .offset = AT(heartbeat), .value = "20", .min = 5, .max = 600,
      .help = "seconds between heartbeats with RabbitMQ; longer than MongoDB may be slow" },
    { .key = "partner_timeout", .type = WORKER_CONF_MS, .offset = AT(partner_timeout), .value = "10s", .min = 50,
      .max = 600000, .reload = true, .help = "of one call to a partner" },
    { .key = "partner_connections", .type = WORKER_CONF_INT, .offset = AT(partner_connections), .value = "64", .min = 1,
      .max = 1000, .help = "to one partner at a time; more calls wait" },
    { .key = "max_answer", .type = WORKER_CONF_INT, .offset = AT(max_answer), .value = "65536", .min = 1024,
      .max = 1048576, .help = "bytes of a partner's answer" },
    { .key = "mongo_timeout", .type = WORKER_CONF_MS, .offset = AT(mongo_timeout), .value = "1s", .min = 50,
      .max = 60000, .help = "finding a server and connecting; an answer gets twice as long" },
    { .key = "redis_timeout", .type = WORKER_CONF_MS, .offset = AT(redis_timeout), .value = "500ms", .min = 10,
      .max = 60000, .reload = true, .help = "of connecting and of each answer" },
    { .key = "amqp_timeout", .type = WORKER_CONF_MS, .offset = AT(amqp_timeout), .value = "2s", .min = 50, .max = 60000,
      .help = "of connecting, login and declarations" },
    { .key = "claim", .type = WORKER_CONF_MS, .offset = AT(claim), .value = "30s", .min = 1000, .max = 3600000,
      .reload = true, .help = "how long an order is ours while we do what it owes; >= 3 * partner_timeout" },
    { .key = "term_timeout", .type = WORKER_CONF_MS, .offset = AT(term_timeout), .value = "10s", .min = 0,
      .max = 600000, .reload = true, .help = "how long SIGTERM waits for what is in flight" },
    { .key = "stats", .type = WORKER_CONF_MS, .offset = AT(stats), .value = "60s", .min = 1000, .max = 86400000,
      .reload = true, .help = "how often counters are logged, when they changed" }
};

static worker_conf_option_t   all_options[OPTIONS_MAX];
static worker_conf_program_t  all;      /* one program a process */
static bool                 (*own_check)(void *values, char *err, size_t errlen);


static bool mongo_url_check(const char *value, char *err, size_t errlen)
{
    char  why[FOODSVC_ERR] = "";
    bool  ok = foodsvc_store_uri_check(value, why);

    snprintf(err, errlen, "%s", why);
    return ok;
}


static bool check(void *values, char *err, size_t errlen)
{
    const worker_servers_conf_t  *conf = values;

    if (conf->claim < 3 * conf->partner_timeout) {
        snprintf(err, errlen, "claim (%lld ms) must be at least three times partner_timeout (%lld ms)",
                 (long long) conf->claim, (long long) conf->partner_timeout);
        return false;
    }
    return own_check == NULL || own_check(values, err, errlen);
}


static const worker_conf_program_t *with_ours(const worker_conf_program_t *program)
{
    size_t  n = 0;

    for (size_t i = 0; i < sizeof(options) / sizeof(options[0]); i++) {
        all_options[n++] = options[i];
    }
    for (size_t i = 0; program->options[i].key != NULL && n < OPTIONS_MAX - 1; i++) {
        all_options[n++] = program->options[i];
    }
    all = *program;
    all.options = all_options;
    own_check = program->check;
    all.check = check;
    return &all;
}


/* The driver's own messages: 0 and 1 are its errors, 2 warnings. */
static void store_log(void *ctx, int level, const char *text)
{
    if (level <= 2) {
        worker_log(WORKER_LOG_WARN, "mongodb driver", worker_text("text", text));
    } else {
        worker_log(WORKER_LOG_DEBUG, "mongodb driver", worker_text("text", text));
    }
}


/* MongoDB may be away: then as soon as it answers; or it refuses: then again and again. */
static void prepare(worker_servers_t *servers)
{
    char     err[FOODSVC_ERR] = "";
    bool     first = servers->prepare_next == 0;
    int64_t  now = foodsvc_time_monotonic();

    if (foodsvc_store_prepare(servers->store, err) != FOODSVC_STORE_OK) {
        worker_log(WORKER_LOG_WARN, "no indexes made yet", worker_text("reason", err));
        servers->prepare_next = first ? now : now + PREPARE_AGAIN;
    } else if (!first) {
        worker_log(WORKER_LOG_INFO, "indexes made");
        servers->prepare_next = 0;
    }
}


static bool open_failed(const char *what, const char *why)
{
    worker_log(WORKER_LOG_ERROR, "cannot start", worker_text("what", what), worker_text("reason", why));
    return false;
}


/* The settings that a reload brings in, too. */
static bool configure_owed(worker_servers_t *servers, char *err, size_t errlen)
{
    owed_conf_t  conf = { .http = servers->http, .urls = servers->urls, .store = servers->store,
                          .timeout_ms = servers->conf->partner_timeout };
    char        *api_key = NULL;
    bool         ok;

    if (servers->conf->api_key_file) {
        api_key = worker_conf_first_line(servers->conf->api_key_file, err, errlen);
        if (api_key == NULL) {
            return false;
        }
    }
    conf.api_key = api_key;
    if (servers->owed) {
        ok = owed_configure(servers->owed, &conf);
    } else {
        servers->owed = owed_open(&conf);
        ok = servers->owed != NULL;
    }
    if (!ok) {
        snprintf(err, errlen, "no memory");
    }
    if (api_key) {
        explicit_bzero(api_key, strlen(api_key));
        free(api_key);
    }
    return ok;
}


bool worker_servers_open(worker_servers_t *servers, worker_amqp_conf_t *amqp)
{
    const worker_servers_conf_t  *conf = servers->conf;
    foodsvc_store_conf_t          store = { .uri = conf->mongo_url, .max_clients = 2,
                                            .timeout_ms = (unsigned) conf->mongo_timeout, .log = store_log };
    worker_http_conf_t            http = { .ca_file = conf->ca_file, .connections = conf->partner_connections,
                                           .max_answer = (size_t) conf->max_answer };
    char                          err[FOODSVC_ERR] = "";

    if (!worker_allow_make(&conf->partner_allow, &servers->allow)) {
        return open_failed("partner_allow", "no memory");
    }
    http.allow = servers->allow;
    servers->store = foodsvc_store_open(&store, err);
    if (servers->store == NULL) {
        return open_failed("mongodb", err);
    }
    prepare(servers);
    amqp->url = conf->amqp_url;
    amqp->ca_file = conf->ca_file;
    amqp->timeout_ms = conf->amqp_timeout;
    amqp->heartbeat = (int) conf->heartbeat;
    servers->cache = worker_cache_open(conf->redis_url, conf->redis_timeout);
    servers->urls = worker_urls_open(servers->store, servers->cache);
    servers->http = worker_http_open(&http);
    servers->amqp = worker_amqp_open(amqp);
    if (servers->cache == NULL || servers->urls == NULL || servers->http == NULL || servers->amqp == NULL) {
        return open_failed("connections", "no memory");
    }
    worker_urls_allow(servers->urls, &servers->allow);
    return configure_owed(servers, err, sizeof(err)) || open_failed("api_key_file", err);
}


void worker_servers_configure(worker_servers_t *servers, const worker_conf_program_t *program, int argc, char **argv,
    void *conf)
{
    foodsvc_uuid_t  token;

    servers->conf = conf;
    servers->handle = worker_conf_open(with_ours(program), argc, argv, conf, NULL);
    worker_log_setup(all.name, servers->conf->log_format, servers->conf->log_level);
    if (!foodsvc_core_off()) {
        worker_log(WORKER_LOG_WARN, "a crash may leave a core", worker_text("reason", strerror(errno)));
    }
    curl_global_init(CURL_GLOBAL_DEFAULT);
    foodsvc_uuid_v4(&token);
    foodsvc_uuid_format(&token, servers->token);
    srandom((unsigned) (foodsvc_time_now() ^ token.bytes[0]));
}


void worker_servers_reload(worker_servers_t *servers)
{
    char         err[1024];
    const char  *kept;

    if (!worker_conf_reload(servers->handle, &kept, err, sizeof(err))) {
        worker_log(WORKER_LOG_ERROR, "the configuration was not taken, going on with the old one",
                   worker_text("reason", err));
        return;
    }
    /* Whatever becomes of the key: claims are as long as the new claim says, and calls have to fit into them. */
    owed_timeout(servers->owed, servers->conf->partner_timeout);
    if (!configure_owed(servers, err, sizeof(err))) {
        worker_log(WORKER_LOG_ERROR, "going on with the old API key", worker_text("reason", err));
    }
    worker_log_setup(all.name, servers->conf->log_format, servers->conf->log_level);
    worker_cache_timeout(servers->cache, servers->conf->redis_timeout);
    worker_urls_forget(servers->urls);
    worker_log(WORKER_LOG_INFO, "read the configuration again", worker_text("needs_restart", kept));
}


void worker_servers_close(worker_servers_t *servers)
{
    owed_close(servers->owed);
    worker_amqp_close(servers->amqp);
    if (servers->urls) {
        worker_urls_close(servers->urls);
    }
    worker_cache_close(servers->cache);
    if (servers->store) {
        foodsvc_store_close(servers->store);
    }
    worker_allow_free(&servers->allow);
    curl_global_cleanup();
    worker_conf_close(servers->handle);
}


void worker_store_noted(worker_servers_t *servers, bool away, const char *reason)
{
    if (!away) {
        if (servers->store_retry) {
            worker_log(WORKER_LOG_INFO, "mongodb is back");
        }
        servers->store_retry = servers->store_backoff = 0;
        if (servers->prepare_next != 0 && foodsvc_time_monotonic() >= servers->prepare_next) {
            prepare(servers);
        }
        return;
    }
    if (servers->store_retry == 0) {
        worker_log(WORKER_LOG_WARN, "mongodb is away, waiting for it", worker_text("reason", reason));
    }
    servers->store_backoff = servers->store_backoff == 0 ? BACKOFF_FIRST
                             : servers->store_backoff * 2 > BACKOFF_LAST ? BACKOFF_LAST : servers->store_backoff * 2;
    servers->store_retry = foodsvc_time_monotonic() + servers->store_backoff;
}


int64_t worker_store_wait(const worker_servers_t *servers)
{
    int64_t  wait = servers->store_retry - foodsvc_time_monotonic();

    return servers->store_retry && wait > 0 ? wait : 0;
}


int worker_signals_open(void)
{
    sigset_t  set;
    int       fd;

    signal(SIGPIPE, SIG_IGN);
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGHUP);
    sigprocmask(SIG_BLOCK, &set, NULL);
    fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    if (fd < 0) {
        fprintf(stderr, "%s: signals cannot be taken: %s\n", program_invocation_short_name, strerror(errno));
    }
    return fd;
}
