/* Addresses: of partners (service_urls, Redis), and of Redis, MongoDB and RabbitMQ in a configuration. */
#include "fuzz.h"
#include "foodsvc_store.h"
#include "foodsvc_url.h"
#include "worker_amqp.h"
#include "worker_cache.h"
#include "worker_cache_url.h"

#define PASSWORD    "correct-horse-battery"

static void check_partner(const char *text, size_t size)
{
    foodsvc_url_t  url, again;
    char           err[FOODSVC_ERR], *written;
    bool           v6;
    int            n;

    memset(&url, 0, sizeof(url));
    memset(&again, 0, sizeof(again));
    fuzz_unsaid(err, sizeof(err));
    if (!foodsvc_url_parse(text, size, &url, err, sizeof(err))) {
        fuzz_reason(err, sizeof(err));
        return;
    }
    MUST(url.port >= 1 && url.host[0] != '\0');
    MUST(url.prefix[0] == '\0' || (url.prefix[0] == '/' && url.prefix[strlen(url.prefix) - 1] != '/'));
    MUST(strpbrk(url.host, "/@?# \"\r\n") == NULL && strpbrk(url.prefix, "?# \"\r\n") == NULL);

    v6 = strchr(url.host, ':') != NULL;
    n = asprintf(&written, "http%s://%s%s%s:%u%s", url.tls ? "s" : "", v6 ? "[" : "", url.host, v6 ? "]" : "",
                 (unsigned) url.port, url.prefix);
    MUST(n > 0);
    MUST(foodsvc_url_parse(written, (size_t) n, &again, err, sizeof(err)));
    MUST(url.tls == again.tls && url.port == again.port);
    MUST(strcmp(url.host, again.host) == 0 && strcmp(url.prefix, again.prefix) == 0);
    free(written);
}

static void check_redis(const char *text)
{
    worker_cache_url_t  url;
    char                err[FOODSVC_ERR];

    fuzz_unsaid(err, sizeof(err));
    if (!worker_cache_url_parse(text, &url, err, sizeof(err))) {
        fuzz_reason(err, sizeof(err));
        return;
    }
    MUST((url.path[0] != '\0') != (url.host[0] != '\0'));
    MUST(url.port >= 1 && url.port <= 65535 && url.db >= 0 && url.db <= 9999);
    MUST(worker_cache_url_check(text, err, sizeof(err)));
}

/* A url that is refused doesn't give its password away. */
static void check_password(const char *scheme, const char *text, bool (*check)(const char *, char *))
{
    char *url, err[FOODSVC_ERR];

    MUST(asprintf(&url, "%s://user:" PASSWORD "@%s", scheme, text) > 0);
    fuzz_unsaid(err, sizeof(err));
    if (!check(url, err)) {
        MUST(memchr(err, '\0', sizeof(err)) != NULL && err[0] != '\0');
        MUST(strstr(err, PASSWORD) == NULL);
    }
    free(url);
}

static bool redis_ok(const char *url, char *err)
{
    return worker_cache_url_check(url, err, FOODSVC_ERR);
}

static bool amqp_ok(const char *url, char *err)
{
    return worker_amqp_url_check(url, err, FOODSVC_ERR);
}

static bool mongo_ok(const char *url, char *err)
{
    return foodsvc_store_uri_check(url, err);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = fuzz_text(data, size), err[FOODSVC_ERR];

    check_partner((const char *) data, size);
    check_redis(text);
    if (strstr(text, PASSWORD) == NULL) {
        check_password("redis", text, redis_ok);
        check_password("amqp", text, amqp_ok);
        check_password("mongodb", text, mongo_ok);
    }
    fuzz_unsaid(err, sizeof(err));
    if (!worker_amqp_url_check(text, err, sizeof(err))) {
        fuzz_reason(err, sizeof(err));
    }
    free(text);
    return 0;
}
