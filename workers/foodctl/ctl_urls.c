/*
 * urls load, list, flush: where the services are (MongoDB's service_urls), and what Redis remembers of it.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "ctl_redis.h"
#include "foodsvc_names.h"
#include "foodsvc_store.h"
#include "foodsvc_url.h"

static const char *const ctl_services[] = {
    FOODSVC_ORDER_SERVICE, FOODSVC_PAYMENT_SERVICE, FOODSVC_CUSTOMER_SERVICE, FOODSVC_DELIVERY_SERVICE,
    FOODSVC_KITCHEN_SERVICE
};
#define CTL_NSERVICES   (sizeof(ctl_services) / sizeof(ctl_services[0]))

typedef struct {
    foodsvc_service_url_t urls[CTL_MAX_ARGS];
    size_t                n;
} ctl_urls_t;

/* The driver's own messages: what they say comes back as an error, too. */
static void
ctl_store_log(void *ctx, int level, const char *text)
{
    (void) ctx;
    (void) level;
    (void) text;
}

static foodsvc_store_t *
ctl_store_open(const ctl_t *ctl)
{
    char                 err[FOODSVC_ERR];
    foodsvc_store_conf_t conf = { .uri = ctl_need(ctl, ctl->mongo_url, "MONGO_URL"), .max_clients = 1,
                                  .timeout_ms = 3000,
                                  .log = ctl_store_log };
    foodsvc_store_t     *store;

    if (conf.uri == NULL) {
        return NULL;
    }
    if (!foodsvc_store_uri_check(conf.uri, err)) {
        ctl_fail("MONGO_URL: %s", err);
        return NULL;
    }
    store = foodsvc_store_open(&conf, err);
    if (store == NULL) {
        ctl_fail("MongoDB: %s", err);
    }
    return store;
}

static int
ctl_store_failed(foodsvc_store_rc_e rc, const char *err)
{
    if (rc == FOODSVC_STORE_UNAVAILABLE || rc == FOODSVC_STORE_UNKNOWN) {
        return ctl_fail("MongoDB cannot be reached: is it running? `make start-mongo` starts it, MONGO_URL says where "
                        "it is (%s)", err);
    }
    return ctl_fail("MongoDB: %s", err);
}

/* False: told. where: "FILE:LINE: " or "". */
static bool
ctl_urls_add(ctl_urls_t *urls, const char *where, const char *name, size_t len, const char *url)
{
    foodsvc_url_t  parsed;
    char           err[FOODSVC_ERR];
    bool           known = false;

    for (size_t i = 0; i < CTL_NSERVICES; i++) {
        known |= strlen(ctl_services[i]) == len && memcmp(ctl_services[i], name, len) == 0;
    }
    if (!known) {
        ctl_misused("%s\"%.*s\" is no service: they are " FOODSVC_PAYMENT_SERVICE ", " FOODSVC_CUSTOMER_SERVICE ", "
                    FOODSVC_DELIVERY_SERVICE ", " FOODSVC_KITCHEN_SERVICE " (and " FOODSVC_ORDER_SERVICE ")", where,
                    (int) len, name);
        return false;
    }
    if (!foodsvc_url_parse(url, strlen(url), &parsed, err, sizeof(err)) || strlen(url) >= sizeof(urls->urls[0].url)) {
        ctl_misused("%s\"%s\" is no address (%s): it must be like http://127.0.0.1:8002", where, url, err);
        return false;
    }
    if (urls->n == CTL_MAX_ARGS) {
        ctl_misused("more than %d addresses", CTL_MAX_ARGS);
        return false;
    }
    snprintf(urls->urls[urls->n].name, sizeof(urls->urls[0].name), "%.*s", (int) len, name);
    snprintf(urls->urls[urls->n++].url, sizeof(urls->urls[0].url), "%s", url);
    return true;
}

/* {"NAME": "URL", ...} or [{"_id": "NAME", "url": "URL"}, ...] */
static bool
ctl_urls_json(ctl_urls_t *urls, const char *path, json_t *json)
{
    const char *name, *url;
    json_t     *value;
    size_t      i;
    char        where[512];

    snprintf(where, sizeof(where), "%s: ", path);
    if (json_is_object(json)) {
        json_object_foreach(json, name, value) {
            if (!ctl_urls_add(urls, where, name, strlen(name), json_is_string(value) ? json_string_value(value) : "")) {
                return false;
            }
        }
        return true;
    }
    json_array_foreach(json, i, value) {
        name = json_string_value(json_object_get(value, "_id"));
        name = name ? name : json_string_value(json_object_get(value, "name"));
        url = json_string_value(json_object_get(value, "url"));
        if (!ctl_urls_add(urls, where, name ? name : "", name ? strlen(name) : 0, url ? url : "")) {
            return false;
        }
    }
    return true;
}

static bool
ctl_urls_lines(ctl_urls_t *urls, const char *path, FILE *file)
{
    char   *line = NULL, where[512];
    size_t  room = 0, number = 0;
    bool    ok = true;

    while (ok && getline(&line, &room, file) > 0) {
        char *name = line + strspn(line, " \t"), *equals;

        name[strcspn(name, "\r\n")] = '\0';
        snprintf(where, sizeof(where), "%s:%zu: ", path, ++number);
        if (*name == '\0' || *name == '#') {
            continue;
        }
        equals = strchr(name, '=');
        if (equals == NULL) {
            ctl_misused("%sa line must be like CustomerService=http://127.0.0.1:8002", where);
            ok = false;
        } else {
            ok = ctl_urls_add(urls, where, name, (size_t) (equals - name), equals + 1);
        }
    }
    free(line);
    return ok;
}

static bool
ctl_urls_file(ctl_urls_t *urls, const char *path)
{
    FILE   *file = fopen(path, "re");
    json_t *json;
    bool    ok;

    if (file == NULL) {
        ctl_fail("%s: %s", path, strerror(errno));
        return false;
    }
    json = json_loadf(file, JSON_REJECT_DUPLICATES, NULL);
    rewind(file);
    ok = json != NULL ? ctl_urls_json(urls, path, json) : ctl_urls_lines(urls, path, file);
    json_decref(json);
    fclose(file);
    if (ok && urls->n == 0) {
        ctl_fail("%s has no addresses", path);
        ok = false;
    }
    return ok;
}

static int
ctl_urls_drop(ctl_t *ctl, const ctl_urls_t *urls)
{
    redisContext *redis = ctl_redis_open(ctl);
    int64_t       dropped = 0;
    int           code = CTL_OK;

    if (redis == NULL) {
        return CTL_FAILED;
    }
    for (size_t i = 0; code == CTL_OK && i < (urls ? urls->n : CTL_NSERVICES); i++) {
        int64_t n = ctl_redis_drop_url(redis, urls ? urls->urls[i].name : ctl_services[i]);

        code = n < 0 ? ctl_fail("Redis: %s", redis->err ? redis->errstr : "it refused the command") : CTL_OK;
        dropped += n;
    }
    if (code == CTL_OK && ctl->json) {
        json_t *answer = json_pack("{s:I}", "dropped", (json_int_t) dropped);

        ctl_print_json(answer);
        json_decref(answer);
    } else if (code == CTL_OK) {
        printf("%lld address%s dropped from Redis\n", (long long) dropped, dropped == 1 ? "" : "es");
    }
    redisFree(redis);
    return code;
}

int
ctl_urls_load(ctl_t *ctl)
{
    ctl_urls_t          *urls = calloc(1, sizeof(*urls));
    foodsvc_store_t     *store = NULL;
    foodsvc_store_rc_e   rc = FOODSVC_STORE_OK;
    char                 err[FOODSVC_ERR] = "";
    int                  code = CTL_USAGE;
    bool                 ok = urls != NULL;

    for (size_t i = 0; ok && i < ctl->nargs; i++) {
        const char *equals = strchr(ctl->args[i], '=');

        ok = equals != NULL ? ctl_urls_add(urls, "", ctl->args[i], (size_t) (equals - ctl->args[i]), equals + 1)
                            : ctl_urls_file(urls, ctl->args[i]);
    }
    if (ok) {
        store = ctl_store_open(ctl);
        code = store == NULL ? CTL_FAILED : CTL_OK;
    }
    for (size_t i = 0; store != NULL && i < urls->n && code == CTL_OK; i++) {
        rc = foodsvc_store_url_save(store, &urls->urls[i], err);
        if (rc != FOODSVC_STORE_OK) {
            code = ctl_store_failed(rc, err);
        } else if (!ctl->json) {
            printf("%-16s %s\n", urls->urls[i].name, urls->urls[i].url);
        }
    }
    if (store != NULL) {
        foodsvc_store_close(store);
    }
    if (code == CTL_OK && ctl->flush) {
        code = ctl_urls_drop(ctl, urls);
    }
    free(urls);
    return code;
}

int
ctl_urls_list(ctl_t *ctl)
{
    foodsvc_store_t       *store = ctl_store_open(ctl);
    foodsvc_service_url_t *urls = NULL;
    foodsvc_store_rc_e     rc;
    size_t                 n = 0;
    char                   err[FOODSVC_ERR] = "";
    json_t                *all = json_object();
    int                    code = CTL_FAILED;

    if (store != NULL) {
        rc = foodsvc_store_url_list(store, &urls, &n, err);
        code = rc == FOODSVC_STORE_OK ? CTL_OK : ctl_store_failed(rc, err);
        foodsvc_store_close(store);
    }
    for (size_t i = 0; i < n && code == CTL_OK; i++) {
        if (ctl->json) {
            json_object_set_new(all, urls[i].name, json_string(urls[i].url));
        } else {
            printf("%-16s %s\n", urls[i].name, urls[i].url);
        }
    }
    if (code == CTL_OK && ctl->json) {
        ctl_print_json(all);
    }
    json_decref(all);
    free(urls);
    return code;
}

int
ctl_urls_flush(ctl_t *ctl)
{
    return ctl_urls_drop(ctl, NULL);
}
