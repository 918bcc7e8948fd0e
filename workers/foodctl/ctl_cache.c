/*
 * cache list, show, flush: what Redis has of the system. There are three kinds of keys: an order's id, a service's
 * name, and the mark of a deleted order, which keeps a late write from bringing it back. Whatever else is in that Redis
 * is somebody else's.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "ctl_redis.h"
#include "ctl_table.h"
#include "foodsvc_names.h"
#include "foodsvc_uuid.h"

#define CTL_SCAN    "500"       /* keys that Redis looks at for one answer */

typedef enum { CTL_KEY_URL, CTL_KEY_ORDER, CTL_KEY_DELETED, CTL_KEY_FOREIGN } ctl_key_e;
static const char *const ctl_key_names[] = { "url", "order", "deleted" };

static ctl_key_e
ctl_key_kind(const char *key, size_t len)
{
    const char      format[] = FOODSVC_CACHE_TOMBSTONE_FORMAT;
    char            id[FOODSVC_UUID_TEXT + 1], mark[96], err[128];
    size_t          head = strcspn(format, "%");
    foodsvc_uuid_t  uuid;

    for (size_t i = 0; ctl_word(CTL_WORDS_SERVICE, i) != NULL; i++) {
        if (strlen(ctl_word(CTL_WORDS_SERVICE, i)) == len && memcmp(ctl_word(CTL_WORDS_SERVICE, i), key, len) == 0) {
            return CTL_KEY_URL;
        }
    }
    if (foodsvc_uuid_parse(key, len, &uuid, err, sizeof(err)) && strcmp(foodsvc_uuid_format(&uuid, id), key) == 0) {
        return CTL_KEY_ORDER;
    }
    if (len <= head || strncmp(key, format, head) != 0
        || !foodsvc_uuid_parse(key + head, strcspn(key + head, "}"), &uuid, err, sizeof(err)))
    {
        return CTL_KEY_FOREIGN;
    }
    snprintf(mark, sizeof(mark), format, foodsvc_uuid_format(&uuid, id));
    return strlen(mark) == len && memcmp(key, mark, len) == 0 ? CTL_KEY_DELETED : CTL_KEY_FOREIGN;
}

/* Calls `found` for each key that is ours; the same one may come twice. False: told, by it or here. */
static bool
ctl_cache_scan(const ctl_t *ctl, redisContext *redis,
    bool (*found)(const ctl_t *ctl, redisContext *redis, const char *key, ctl_key_e kind, void *ctx), void *ctx)
{
    char cursor[32] = "0";
    bool ok = true;

    do {
        const char *argv[] = { "SCAN", cursor, "COUNT", CTL_SCAN };
        redisReply *reply = ctl_redis_call(ctl, redis, 4, argv, NULL);

        if (reply == NULL) {
            return false;
        }
        if (reply->type != REDIS_REPLY_ARRAY || reply->elements != 2 || reply->element[0]->str == NULL) {
            freeReplyObject(reply);
            ctl_fail("%s: REDIS_URL leads to something that is not Redis", ctl->command);
            return false;
        }
        for (size_t i = 0; ok && i < reply->element[1]->elements; i++) {
            const redisReply *key = reply->element[1]->element[i];
            ctl_key_e         kind = key->str == NULL ? CTL_KEY_FOREIGN : ctl_key_kind(key->str, key->len);

            ok = kind == CTL_KEY_FOREIGN || found(ctl, redis, key->str, kind, ctx);
        }
        snprintf(cursor, sizeof(cursor), "%s", reply->element[0]->str);
        freeReplyObject(reply);
    } while (ok && strcmp(cursor, "0") != 0);
    return ok;
}

/* An order or a text; NULL: it is gone. */
static json_t *
ctl_cache_value(const redisReply *reply, ctl_key_e kind)
{
    json_t *json = NULL;

    if (reply->type == REDIS_REPLY_NIL) {
        return NULL;
    }
    if (reply->type == REDIS_REPLY_STRING && kind == CTL_KEY_ORDER) {
        json = json_loadb(reply->str, reply->len, 0, NULL);
    }
    if (json == NULL && reply->type == REDIS_REPLY_STRING) {
        json = json_stringn(reply->str, reply->len);
    }
    return json != NULL ? json : json_string("(a value that is not the system's)");
}

/* What is under a key: {"key", "kind", "ttl", "value"}, without a value when it is gone. NULL: told. */
static json_t *
ctl_cache_entry(const ctl_t *ctl, redisContext *redis, const char *key, ctl_key_e kind)
{
    redisReply *ttl = NULL, *value = NULL;
    json_t     *entry = NULL;

    redisAppendCommand(redis, "TTL %s", key);
    redisAppendCommand(redis, "GET %s", key);
    if (redisGetReply(redis, (void **) &ttl) == REDIS_OK && redisGetReply(redis, (void **) &value) == REDIS_OK) {
        entry = json_pack("{s:s, s:s, s:I, s:o*}", "key", key, "kind", ctl_key_names[kind], "ttl",
                          (json_int_t) ttl->integer, "value", ctl_cache_value(value, kind));
        if (entry == NULL) {
            ctl_fail("out of memory");
        }
    } else {
        ctl_redis_away(ctl, redis);
    }
    freeReplyObject(ttl);
    freeReplyObject(value);
    return entry;
}

/* --- list --- */

static bool
ctl_cache_collect(const ctl_t *ctl, redisContext *redis, const char *key, ctl_key_e kind, void *ctx)
{
    json_t *entry = ctl_cache_entry(ctl, redis, key, kind);

    if (entry != NULL && json_object_get(entry, "value") != NULL) {
        if (json_object_set((json_t *) ctx, key, entry) != 0) {
            ctl_fail("out of memory");
            json_decref(entry);
            return false;
        }
    }
    json_decref(entry);
    return entry != NULL;
}

/* By kind (addresses, orders, marks), then by key: orders thus by their age. */
static int
ctl_cache_compare(const void *a, const void *b)
{
    const json_t *one = *(json_t *const *) a, *other = *(json_t *const *) b;
    const char   *key = json_string_value(json_object_get(one, "key"));
    const char   *than = json_string_value(json_object_get(other, "key"));
    int           kinds = (int) ctl_key_kind(key, strlen(key)) - (int) ctl_key_kind(than, strlen(than));

    return kinds != 0 ? kinds : strcmp(key, than);
}

static void
ctl_cache_line(const json_t *entry)
{
    const char   *key = json_string_value(json_object_get(entry, "key"));
    const json_t *value = json_object_get(entry, "value");
    const char   *status = json_string_value(json_object_get(value, "status"));
    ctl_key_e     kind = ctl_key_kind(key, strlen(key));

    printf("%-54s %7lld s  ", key, (long long) json_integer_value(json_object_get(entry, "ttl")));
    if (kind == CTL_KEY_DELETED) {
        puts("deleted");
    } else if (kind == CTL_KEY_ORDER) {
        ctl_print_text(status != NULL ? status : "(no order: the next reader takes it from MongoDB)", 0);
        putchar('\n');
    } else {
        ctl_print_bytes(json_string_value(value), json_string_length(value));
        putchar('\n');
    }
}

int
ctl_cache_list(ctl_t *ctl)
{
    redisContext *redis = ctl_redis_open(ctl);
    json_t       *all = json_object(), *entry, **sorted;
    const char   *key;
    size_t        n = 0;

    if (redis == NULL || !ctl_cache_scan(ctl, redis, ctl_cache_collect, all)) {
        redisFree(redis);
        json_decref(all);
        return CTL_FAILED;
    }
    redisFree(redis);
    sorted = calloc(json_object_size(all) + 1, sizeof(*sorted));
    if (sorted == NULL) {
        json_decref(all);
        return ctl_fail("out of memory");
    }
    json_object_foreach(all, key, entry) {
        sorted[n++] = entry;
    }
    qsort(sorted, n, sizeof(*sorted), ctl_cache_compare);
    if (ctl->json) {
        json_t *list = json_array();

        for (size_t i = 0; i < n; i++) {
            json_array_append(list, sorted[i]);
        }
        ctl_print_json_new(list);
    } else {
        printf("%-54s %9s  %s\n", "KEY", "EXPIRES", "WHAT");
        for (size_t i = 0; i < n; i++) {
            ctl_cache_line(sorted[i]);
        }
    }
    free(sorted);
    json_decref(all);
    return CTL_OK;
}

/* --- show --- */

/* The key that an argument names: an order's id, made canonical, or a service. False: told. */
static bool
ctl_cache_key(const char *text, char *key, size_t room, ctl_key_e *kind)
{
    char            id[FOODSVC_UUID_TEXT + 1], why[128];
    foodsvc_uuid_t  uuid;

    *kind = ctl_key_kind(text, strlen(text));
    if (*kind == CTL_KEY_URL) {
        snprintf(key, room, "%s", text);
        return true;
    }
    *kind = CTL_KEY_ORDER;
    if (!foodsvc_uuid_parse(text, strlen(text), &uuid, why, sizeof(why))) {
        ctl_misused("\"%s\" is neither an order's id nor a service: `foodctl cache list` shows what there is", text);
        return false;
    }
    snprintf(key, room, "%s", foodsvc_uuid_format(&uuid, id));
    return true;
}

int
ctl_cache_show(ctl_t *ctl)
{
    char          key[64];
    ctl_key_e     kind;
    redisContext *redis;
    json_t       *entry, *value;

    if (!ctl_cache_key(ctl->args[0], key, sizeof(key), &kind)) {
        return CTL_USAGE;
    }
    redis = ctl_redis_open(ctl);
    entry = redis != NULL ? ctl_cache_entry(ctl, redis, key, kind) : NULL;
    redisFree(redis);
    if (entry == NULL) {
        return CTL_FAILED;
    }
    value = json_object_get(entry, "value");
    if (value == NULL) {
        json_decref(entry);
        return ctl_fail("%s: %s is not in the cache (never was, its time is over, or it was deleted): `foodctl %s` "
                        "shows what MongoDB has", ctl->command, key,
                        kind == CTL_KEY_URL ? "urls list" : "order show ORDER");
    }
    if (ctl->json) {
        ctl_print_json(entry);
    } else {
        printf("expires in %lld s\n", (long long) json_integer_value(json_object_get(entry, "ttl")));
        if (json_is_string(value)) {
            ctl_print_bytes(json_string_value(value), json_string_length(value));
            putchar('\n');
        } else {
            ctl_print_json_lines(value);
        }
    }
    json_decref(entry);
    return CTL_OK;
}

/* --- flush --- */

static bool
ctl_cache_drop(const ctl_t *ctl, redisContext *redis, const char *key, ctl_key_e kind, void *ctx)
{
    int dropped = kind == CTL_KEY_DELETED ? 0 : ctl_redis_drop(ctl, redis, key);

    if (dropped > 0) {
        ++*(json_int_t *) ctx;
    }
    return dropped >= 0;
}

int
ctl_cache_flush(ctl_t *ctl)
{
    char          keys[CTL_MAX_ARGS][64];
    ctl_key_e     kinds[CTL_MAX_ARGS];
    json_int_t    dropped = 0;
    redisContext *redis;
    bool          ok = true;

    for (size_t i = 0; i < ctl->nargs; i++) {
        if (!ctl_cache_key(ctl->args[i], keys[i], sizeof(keys[i]), &kinds[i])) {
            return CTL_USAGE;
        }
    }
    redis = ctl_redis_open(ctl);
    if (redis == NULL) {
        return CTL_FAILED;
    }
    for (size_t i = 0; ok && i < ctl->nargs; i++) {
        ok = ctl_cache_drop(ctl, redis, keys[i], kinds[i], &dropped);
    }
    ok = ok && (ctl->nargs > 0 || ctl_cache_scan(ctl, redis, ctl_cache_drop, &dropped));
    redisFree(redis);
    if (ok && ctl->json) {
        ctl_print_json_new(json_pack("{s:I}", "dropped", dropped));
    } else if (ok) {
        printf("entries dropped from Redis: %lld\n", (long long) dropped);
    }
    return ok ? CTL_OK : CTL_FAILED;
}
