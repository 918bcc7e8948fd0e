/*
 * urls load, list, flush: where the services are (MongoDB's service_urls), and what Redis remembers of it.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "ctl_redis.h"
#include "ctl_store.h"
#include "ctl_table.h"
#include "foodsvc_names.h"
#include "foodsvc_url.h"

#define CTL_URLS_FILE   65536       /* bytes that are read of a file */

typedef struct {
    foodsvc_service_url_t urls[CTL_MAX_ARGS];
    size_t                n;
} ctl_urls_t;

static bool
ctl_is_service(const char *name, size_t len)
{
    for (size_t i = 0; ctl_word(CTL_WORDS_SERVICE, i) != NULL; i++) {
        if (strlen(ctl_word(CTL_WORDS_SERVICE, i)) == len && memcmp(ctl_word(CTL_WORDS_SERVICE, i), name, len) == 0) {
            return true;
        }
    }
    return false;
}

/* False: told. where: "FILE:LINE: " or "". The address is not repeated: it may have a password, which is what is wrong
   with it. */
static bool
ctl_urls_add(ctl_urls_t *urls, const char *where, const char *name, size_t len, const char *url)
{
    foodsvc_url_t  parsed;
    char           err[FOODSVC_ERR];

    if (!ctl_is_service(name, len)) {
        ctl_misused("%s\"%.*s\" is no service: they are %s", where, (int) len, name, ctl_words_all(CTL_WORDS_SERVICE));
        return false;
    }
    if (!foodsvc_url_parse(url, strlen(url), &parsed, err, sizeof(err)) || strlen(url) >= sizeof(urls->urls[0].url)) {
        ctl_misused("%sthe address of %.*s is none (%s): it must be like http://127.0.0.1:8002", where, (int) len, name,
                    strlen(url) < sizeof(urls->urls[0].url) ? err : "it is too long");
        return false;
    }
    if (urls->n == CTL_MAX_ARGS) {
        ctl_misused("there may be at most %d addresses", CTL_MAX_ARGS);
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

/* The lines of text, which is changed. */
static bool
ctl_urls_lines(ctl_urls_t *urls, const char *path, char *text)
{
    char   where[512], *line, *equals;
    size_t number = 0;

    while ((line = strsep(&text, "\n")) != NULL) {
        line += strspn(line, " \t");
        line[strcspn(line, "\r")] = '\0';
        snprintf(where, sizeof(where), "%s:%zu: ", path, ++number);
        if (*line == '\0' || *line == '#') {
            continue;
        }
        equals = strchr(line, '=');
        if (equals == NULL) {
            ctl_misused("%sthe line must be like " FOODSVC_CUSTOMER_SERVICE "=http://127.0.0.1:8002", where);
            return false;
        }
        if (!ctl_urls_add(urls, where, line, (size_t) (equals - line), equals + 1)) {
            return false;
        }
    }
    return true;
}

static int
ctl_urls_file(ctl_urls_t *urls, const char *path)
{
    static char  text[CTL_URLS_FILE + 2];
    FILE        *file = fopen(path, "re");
    json_t      *json;
    size_t       len, before = urls->n;
    bool         ok;

    errno = 0;
    len = file != NULL ? fread(text, 1, CTL_URLS_FILE + 1, file) : 0;
    ok = file != NULL && !ferror(file);
    if (!ok) {
        ctl_fail("urls load: %s cannot be read (%s): name a file, or NAME=URL", path,
                 file != NULL ? strerror(errno) : "there is none, or it is not for us");
    }
    if (file != NULL) {
        fclose(file);
    }
    if (!ok) {
        return CTL_FAILED;
    }
    if (len > CTL_URLS_FILE) {
        return ctl_misused("%s is larger than %d KB: that is no file of addresses", path, CTL_URLS_FILE >> 10);
    }
    text[len] = '\0';
    json = json_loadb(text, len, JSON_REJECT_DUPLICATES, NULL);
    ok = json != NULL ? ctl_urls_json(urls, path, json) : ctl_urls_lines(urls, path, text);
    json_decref(json);
    if (ok && urls->n == before) {
        return ctl_misused("%s has no addresses: its lines must be like " FOODSVC_CUSTOMER_SERVICE
                           "=http://127.0.0.1:8002", path);
    }
    return ok ? CTL_OK : CTL_USAGE;
}

/* Drops the addresses of `urls`, or of all services, from Redis. Returns how many there were; -1: told. */
static int64_t
ctl_urls_drop(const ctl_t *ctl, redisContext *redis, const ctl_urls_t *urls)
{
    int64_t       dropped = redis == NULL ? -1 : 0;
    const char   *name;

    for (size_t i = 0; dropped >= 0; i++) {
        int n;

        name = urls == NULL ? ctl_word(CTL_WORDS_SERVICE, i) : i < urls->n ? urls->urls[i].name : NULL;
        if (name == NULL) {
            break;
        }
        n = ctl_redis_drop(ctl, redis, name);
        dropped = n < 0 ? -1 : dropped + n;
    }
    return dropped;
}

static void
ctl_urls_dropped(int64_t dropped)
{
    printf("addresses dropped from Redis: %lld\n", (long long) dropped);
}

/* Writes them, and drops the old ones where that is wanted: redis is NULL where it is not. */
static int
ctl_urls_save(const ctl_t *ctl, foodsvc_store_t *store, redisContext *redis, const ctl_urls_t *urls)
{
    char                err[FOODSVC_ERR] = "";
    int64_t             dropped = 0;
    json_t             *answer;
    foodsvc_store_rc_e  rc;

    for (size_t i = 0; i < urls->n; i++) {
        rc = foodsvc_store_url_save(store, &urls->urls[i], err);
        if (rc != FOODSVC_STORE_OK) {
            return ctl_store_failed(ctl, rc, err);
        }
    }
    if (redis != NULL) {
        dropped = ctl_urls_drop(ctl, redis, urls);
        if (dropped < 0) {
            return CTL_FAILED;
        }
    }
    if (ctl->json) {
        answer = json_object();
        for (size_t i = 0; i < urls->n; i++) {
            json_object_set_new(answer, urls->urls[i].name, json_string(urls->urls[i].url));
        }
        ctl_print_json_new(json_pack("{s:o, s:I}", "loaded", answer, "dropped", (json_int_t) dropped));
        return CTL_OK;
    }
    for (size_t i = 0; i < urls->n; i++) {
        printf("%-16s %s\n", urls->urls[i].name, urls->urls[i].url);
    }
    if (ctl->flush) {
        ctl_urls_dropped(dropped);
    }
    return CTL_OK;
}

int
ctl_urls_load(ctl_t *ctl)
{
    ctl_urls_t       urls = { .n = 0 };
    foodsvc_store_t *store;
    redisContext    *redis = NULL;
    int              code = CTL_OK;

    for (size_t i = 0; i < ctl->nargs && code == CTL_OK; i++) {
        const char *equals = strchr(ctl->args[i], '=');

        if (equals == NULL) {
            code = ctl_urls_file(&urls, ctl->args[i]);
        } else if (!ctl_urls_add(&urls, "", ctl->args[i], (size_t) (equals - ctl->args[i]), equals + 1)) {
            code = CTL_USAGE;
        }
    }
    if (code != CTL_OK) {
        return code;
    }
    /* Redis first: without it nothing is written that the services would then not see. */
    if (ctl->flush && (redis = ctl_redis_open(ctl)) == NULL) {
        return CTL_FAILED;
    }
    store = ctl_store_open(ctl);
    code = store == NULL ? CTL_FAILED : ctl_urls_save(ctl, store, redis, &urls);
    if (store != NULL) {
        foodsvc_store_close(store);
    }
    redisFree(redis);
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
    json_t                *all;

    if (store == NULL) {
        return CTL_FAILED;
    }
    rc = foodsvc_store_url_list(store, &urls, &n, err);
    foodsvc_store_close(store);
    if (rc != FOODSVC_STORE_OK) {
        free(urls);
        return ctl_store_failed(ctl, rc, err);
    }
    all = json_object();
    for (size_t i = 0; i < n; i++) {
        if (ctl->json) {
            json_object_set_new(all, urls[i].name, json_string(urls[i].url));
        } else {
            ctl_print_text(urls[i].name, 16);
            putchar(' ');
            ctl_print_text(urls[i].url, 0);
            putchar('\n');
        }
    }
    if (ctl->json) {
        ctl_print_json(all);
    }
    json_decref(all);
    free(urls);
    return CTL_OK;
}

int
ctl_urls_flush(ctl_t *ctl)
{
    redisContext *redis = ctl_redis_open(ctl);
    int64_t       dropped = ctl_urls_drop(ctl, redis, NULL);

    redisFree(redis);

    if (dropped >= 0 && ctl->json) {
        ctl_print_json_new(json_pack("{s:I}", "dropped", (json_int_t) dropped));
    } else if (dropped >= 0) {
        ctl_urls_dropped(dropped);
    }
    return dropped >= 0 ? CTL_OK : CTL_FAILED;
}
