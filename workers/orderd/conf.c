#include <curl/curl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "foodsvc_names.h"
#include "foodsvc_time.h"
#include "orderd.h"
#include "worker_log.h"

#define AT(member)  offsetof(orderd_conf_t, member)

static bool mongo_url_check(const char *value, char *err, size_t errlen);
static bool conf_check(void *values, char *err, size_t errlen);

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
    { .key = "log_level", .type = WORKER_CONF_NAME, .offset = AT(log_level), .value = "info", .reload = true,
      .names = worker_log_level_names, .help = "debug, info, warn or error" },
    { .key = "log_format", .type = WORKER_CONF_NAME, .offset = AT(log_format), .value = "kv", .reload = true,
      .names = worker_log_format_names, .help = "kv (key=value) or json" },
    { .key = "prefetch", .type = WORKER_CONF_INT, .offset = AT(prefetch), .value = "256", .min = 1, .max = 10000,
      .help = "messages held unacknowledged" },
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
      .reload = true, .help = "how long an order is ours while we do what it owes; more than twice partner_timeout" },
    { .key = "term_timeout", .type = WORKER_CONF_MS, .offset = AT(term_timeout), .value = "10s", .min = 0,
      .max = 600000, .reload = true, .help = "how long SIGTERM waits for what is in flight" },
    { .key = "stats", .type = WORKER_CONF_MS, .offset = AT(stats), .value = "60s", .min = 1000, .max = 86400000,
      .reload = true, .help = "how often counters are logged, when they changed" },
    { .key = NULL }
};

const worker_conf_program_t orderd_program = {
    .name = ORDERD_NAME,
    .about = "Consumes the queue " FOODSVC_QUEUE ": moves orders on, does what they owe, keeps the cache. Any number "
             "may run. SIGTERM stops it cleanly, SIGHUP makes it read its configuration again.",
    .options = options,
    .size = sizeof(orderd_conf_t),
    .check = conf_check
};


static bool mongo_url_check(const char *value, char *err, size_t errlen)
{
    char  why[FOODSVC_ERR] = "";
    bool  ok = foodsvc_store_uri_check(value, why);

    snprintf(err, errlen, "%s", why);
    return ok;
}


static bool conf_check(void *values, char *err, size_t errlen)
{
    const orderd_conf_t  *conf = values;

    if (conf->claim <= 2 * conf->partner_timeout) {
        snprintf(err, errlen, "claim (%lld ms) must be more than twice partner_timeout (%lld ms)",
                 (long long) conf->claim, (long long) conf->partner_timeout);
        return false;
    }
    return true;
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


static bool open_failed(const char *what, const char *why)
{
    worker_log(WORKER_LOG_ERROR, "cannot start", worker_text("what", what), worker_text("reason", why));
    return false;
}


/* The settings that a reload brings in, too. */
static bool configure_owed(orderd_t *orderd, char *err, size_t errlen)
{
    owed_conf_t  conf = { .http = orderd->http, .urls = orderd->urls, .timeout_ms = orderd->conf.partner_timeout };
    char        *api_key = NULL;
    bool         ok;

    if (orderd->conf.api_key_file) {
        api_key = worker_conf_first_line(orderd->conf.api_key_file, err, errlen);
        if (api_key == NULL) {
            return false;
        }
    }
    conf.api_key = api_key;
    if (orderd->owed) {
        ok = owed_configure(orderd->owed, &conf);
    } else {
        orderd->owed = owed_open(&conf);
        ok = orderd->owed != NULL;
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


static bool open_servers(orderd_t *orderd)
{
    orderd_conf_t         *conf = &orderd->conf;
    foodsvc_store_conf_t   store = { .uri = conf->mongo_url, .max_clients = 2,
                                     .timeout_ms = (unsigned) conf->mongo_timeout,
                                     .log = store_log };
    worker_http_conf_t     http = { .ca_file = conf->ca_file, .connections = conf->partner_connections,
                                    .max_answer = (size_t) conf->max_answer };
    worker_amqp_conf_t     amqp = {
        .url = conf->amqp_url, .ca_file = conf->ca_file, .timeout_ms = conf->amqp_timeout,
        .heartbeat = (int) conf->heartbeat,
        .consume = FOODSVC_QUEUE, .prefetch = (int) conf->prefetch, .parking = true,
        .message = orderd_message, .up = orderd_up, .down = orderd_down, .ctx = orderd
    };
    char                   err[FOODSVC_ERR] = "";

    orderd->store = foodsvc_store_open(&store, err);
    if (orderd->store == NULL) {
        return open_failed("mongodb", err);
    }
    /* MongoDB may be away now: then the first list makes the indexes, or the next start. */
    if (foodsvc_store_prepare(orderd->store, err) != FOODSVC_STORE_OK) {
        worker_log(WORKER_LOG_WARN, "no indexes made", worker_text("reason", err));
    }
    orderd->cache = worker_cache_open(conf->redis_url, conf->redis_timeout);
    orderd->urls = worker_urls_open(orderd->store, orderd->cache);
    orderd->http = worker_http_open(&http);
    orderd->amqp = worker_amqp_open(&amqp);
    if (orderd->cache == NULL || orderd->urls == NULL || orderd->http == NULL || orderd->amqp == NULL) {
        return open_failed("connections", "no memory");
    }
    return configure_owed(orderd, err, sizeof(err)) || open_failed("api_key_file", err);
}


bool orderd_open(orderd_t *orderd, int argc, char **argv)
{
    foodsvc_uuid_t  token;

    memset(orderd, 0, sizeof(*orderd));
    orderd->ready_tail = &orderd->ready;
    orderd->parked_tail = &orderd->parked;
    worker_acks_reset(&orderd->acks);
    orderd->conf_handle = worker_conf_open(&orderd_program, argc, argv, &orderd->conf, NULL);
    worker_log_setup(ORDERD_NAME, orderd->conf.log_format, orderd->conf.log_level);
    curl_global_init(CURL_GLOBAL_DEFAULT);
    foodsvc_uuid_v4(&token);
    foodsvc_uuid_format(&token, orderd->token);
    srandom((unsigned) (foodsvc_time_now() ^ token.bytes[0]));
    orderd->stats_next = foodsvc_time_monotonic() + orderd->conf.stats;
    return open_servers(orderd);
}


void orderd_reload(orderd_t *orderd)
{
    char         err[1024];
    const char  *kept;

    if (!worker_conf_reload(orderd->conf_handle, &kept, err, sizeof(err))) {
        worker_log(WORKER_LOG_ERROR, "the configuration was not taken, going on with the old one",
                   worker_text("reason", err));
        return;
    }
    if (!configure_owed(orderd, err, sizeof(err))) {
        worker_log(WORKER_LOG_ERROR, "going on with the old API key", worker_text("reason", err));
    }
    worker_log_setup(ORDERD_NAME, orderd->conf.log_format, orderd->conf.log_level);
    worker_cache_timeout(orderd->cache, orderd->conf.redis_timeout);
    worker_urls_forget(orderd->urls);
    worker_log(WORKER_LOG_INFO, "read the configuration again", worker_text("needs_restart", kept));
}


/*
 * Closing the AMQP connection gives unacknowledged messages back; the callbacks of calls that end here run before
 * the works go.
 */
void orderd_close(orderd_t *orderd)
{
    if (orderd->http) {
        worker_http_close(orderd->http);
        while (batch_wait(orderd) == 0) {       /* none when MongoDB is away */
            batch_run(orderd);      /* gives the claims back that those calls held */
        }
    }
    owed_close(orderd->owed);
    worker_amqp_close(orderd->amqp);
    parking_void(orderd);
    works_free(orderd);
    worker_acks_free(&orderd->acks);
    if (orderd->urls) {
        worker_urls_close(orderd->urls);
    }
    worker_cache_close(orderd->cache);
    if (orderd->store) {
        foodsvc_store_close(orderd->store);
    }
    curl_global_cleanup();
    worker_conf_close(orderd->conf_handle);
}
