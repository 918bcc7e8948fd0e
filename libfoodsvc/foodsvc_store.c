/*
 * The store's connections: the pool, the driver's log, what a driver's error means, ping, indexes.
 *
 * Threads: the driver's monitors run for as long as the pool lives. They inherit the signal mask of the thread that
 * starts them, and any call can be that one; so every call runs with its signals blocked and puts the mask back at its
 * end.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "foodsvc_store_int.h"
#include "foodsvc_time.h"

#define TIMEOUT_MS      1000
#define CODE_CONFLICT   85      /* IndexOptionsConflict: the same keys under another name */

/* The driver's log handler is one per process; the store that was opened last gets the text. */
static pthread_mutex_t    log_lock = PTHREAD_MUTEX_INITIALIZER;
static void             (*log_text)(void *ctx, int level, const char *text);
static void              *log_ctx;
static pthread_once_t     log_once = PTHREAD_ONCE_INIT;
static pthread_once_t     init_once = PTHREAD_ONCE_INIT;
static _Thread_local bool sent;

static void log_handler(mongoc_log_level_t level, const char *domain, const char *message, void *data)
{
    char text[512];

    snprintf(text, sizeof(text), "%s: %s", domain, message);
    pthread_mutex_lock(&log_lock);
    if (log_text != NULL) {
        log_text(log_ctx, (int) level, text);
    }
    pthread_mutex_unlock(&log_lock);
}

static void set_log_handler(void)
{
    mongoc_log_set_handler(log_handler, NULL);
}

void foodsvc_store_log_init(void)
{
    pthread_once(&log_once, set_log_handler);
}

static void set_log(void (*text)(void *, int, const char *), void *ctx)
{
    pthread_mutex_lock(&log_lock);
    log_text = text;
    log_ctx = ctx;
    pthread_mutex_unlock(&log_lock);
}

static void command_started(const mongoc_apm_command_started_t *event)
{
    sent = true;
}

void foodsvc_store_sent_reset(void)
{
    sent = false;
}

bool foodsvc_store_sent(void)
{
    return sent;
}

const char *foodsvc_store_rc_name(foodsvc_store_rc_e rc)
{
    switch (rc) {
    case FOODSVC_STORE_OK:          return "ok";
    case FOODSVC_STORE_NOT_FOUND:   return "not found";
    case FOODSVC_STORE_EXISTS:      return "exists";
    case FOODSVC_STORE_UNREADABLE:  return "unreadable";
    case FOODSVC_STORE_UNAVAILABLE: return "unavailable";
    case FOODSVC_STORE_UNKNOWN:     return "outcome unknown";
    case FOODSVC_STORE_FAILED:      return "failed";
    }
    return "?";
}

void foodsvc_store_say(char err[FOODSVC_ERR], const char *text)
{
    if (err != NULL) {
        snprintf(err, FOODSVC_ERR, "%s", text);
    }
}

/* --- the pool --- */

static mongoc_client_pool_t *pool_new(const mongoc_uri_t *uri, unsigned max_clients, char err[FOODSVC_ERR])
{
    bson_error_t             error;
    mongoc_client_pool_t    *pool = mongoc_client_pool_new_with_error(uri, &error);
    mongoc_apm_callbacks_t  *callbacks;

    if (pool == NULL) {
        foodsvc_store_say(err, error.message);
        return NULL;
    }
    mongoc_client_pool_max_size(pool, max_clients > 0 ? max_clients : 1);
    mongoc_client_pool_set_error_api(pool, MONGOC_ERROR_API_VERSION_2);
    callbacks = mongoc_apm_callbacks_new();
    mongoc_apm_set_command_started_cb(callbacks, command_started);
    mongoc_client_pool_set_apm_callbacks(pool, callbacks, NULL);
    mongoc_apm_callbacks_destroy(callbacks);
    return pool;
}

foodsvc_store_t *foodsvc_store_open(const foodsvc_store_conf_t *conf, char err[FOODSVC_ERR])
{
    foodsvc_store_t  *store = NULL;
    mongoc_uri_t     *uri;

    pthread_once(&init_once, mongoc_init);
    uri = foodsvc_store_uri(conf->uri, err);
    if (uri == NULL) {
        return NULL;
    }
    store = calloc(1, sizeof(*store));
    if (store == NULL) {
        foodsvc_store_say(err, "no memory");
        goto out;
    }
    store->timeout_ms = conf->timeout_ms > 0 ? conf->timeout_ms : TIMEOUT_MS;
    if (!foodsvc_store_uri_defaults(uri, store->timeout_ms)) {
        foodsvc_store_say(err, "an option of the MongoDB URI couldn't be set");
        goto failed;
    }
    store->read_ms = mongoc_uri_get_option_as_int32(uri, MONGOC_URI_SOCKETTIMEOUTMS, 0);
    set_log(conf->log, conf->log_ctx);
    store->pool = pool_new(uri, conf->max_clients, err);
    if (store->pool != NULL) {
        goto out;
    }
failed:
    free(store);
    store = NULL;
out:
    mongoc_uri_destroy(uri);
    return store;
}

void foodsvc_store_close(foodsvc_store_t *store)
{
    if (store == NULL) {
        return;
    }
    mongoc_client_pool_destroy(store->pool);
    set_log(NULL, NULL);
    free(store);
}

bool foodsvc_store_begin(foodsvc_store_t *store, foodsvc_store_call_t *call, char err[FOODSVC_ERR])
{
    sigset_t  all;

    sigfillset(&all);
    /* What the thread does to itself must still kill it, or be seen by a sanitizer. */
    sigdelset(&all, SIGSEGV);
    sigdelset(&all, SIGBUS);
    sigdelset(&all, SIGFPE);
    sigdelset(&all, SIGILL);
    sigdelset(&all, SIGABRT);
    pthread_sigmask(SIG_SETMASK, &all, &call->mask);
    call->store = store;
    call->deadline = foodsvc_time_monotonic() + 4 * (int64_t) store->timeout_ms;
    call->client = mongoc_client_pool_pop(store->pool);
    if (call->client == NULL) {
        pthread_sigmask(SIG_SETMASK, &call->mask, NULL);
        foodsvc_store_say(err, "all MongoDB clients of the pool are in use");
        return false;
    }
    return true;
}

void foodsvc_store_end(foodsvc_store_call_t *call)
{
    mongoc_client_pool_push(call->store->pool, call->client);
    pthread_sigmask(SIG_SETMASK, &call->mask, NULL);
}

mongoc_collection_t *foodsvc_store_collection(foodsvc_store_call_t *call, const char *name)
{
    return mongoc_client_get_collection(call->client, FOODSVC_DB, name);
}

/* --- errors --- */

typedef enum {
    CODE_REFUSED = 0,   /* the server won't, whatever we do */
    CODE_AWAY,          /* refused before it was tried: not the primary, not allowed in, no lock */
    CODE_BROKEN_OFF     /* perhaps in the middle of it */
} code_e;

static code_e code_class(uint32_t code)
{
    switch (code) {
    case 10107: case 13435: case 10058: case 13436:     /* not the primary, or still recovering */
    case 13: case 18:                                   /* no right, no login: works when an operator has seen to it */
    case 24: case 112: case 202: case 133: case 134:    /* LockTimeout, WriteConflict, too busy, no suitable node */
        return CODE_AWAY;
    case 6: case 7: case 89: case 9001:                 /* the network behind a router */
    case 91: case 189: case 11600: case 11601: case 11602:  /* stepping down, shutting down, interrupted */
    case 50: case 262: case 64: case 100: case 75:      /* out of time; write concern not satisfied */
        return CODE_BROKEN_OFF;
    default:
        return CODE_REFUSED;
    }
}

foodsvc_store_rc_e foodsvc_store_error(const bson_error_t *error, bool was_sent, char err[FOODSVC_ERR])
{
    if (err != NULL) {
        snprintf(err, FOODSVC_ERR, "%.200s (%u/%u)", error->message, error->domain, error->code);
    }
    switch (error->domain) {
    case MONGOC_ERROR_SERVER:
    case MONGOC_ERROR_WRITE_CONCERN:
        switch (code_class(error->code)) {
        case CODE_AWAY:         return FOODSVC_STORE_UNAVAILABLE;
        case CODE_BROKEN_OFF:   return FOODSVC_STORE_UNKNOWN;
        case CODE_REFUSED:      break;
        }
        return FOODSVC_STORE_FAILED;
    case MONGOC_ERROR_SERVER_SELECTION:
    case MONGOC_ERROR_STREAM:
    case MONGOC_ERROR_PROTOCOL:
    case MONGOC_ERROR_POOL:
    case MONGOC_ERROR_SASL:
    case MONGOC_ERROR_SCRAM:
        return was_sent ? FOODSVC_STORE_UNKNOWN : FOODSVC_STORE_UNAVAILABLE;
    case MONGOC_ERROR_CLIENT:
        /* The login on a new connection. */
        return was_sent ? FOODSVC_STORE_FAILED : FOODSVC_STORE_UNAVAILABLE;
    default:
        return FOODSVC_STORE_FAILED;
    }
}

foodsvc_store_rc_e foodsvc_store_read_error(const bson_error_t *error, char err[FOODSVC_ERR])
{
    foodsvc_store_rc_e rc = foodsvc_store_error(error, false, err);

    return rc == FOODSVC_STORE_UNKNOWN ? FOODSVC_STORE_UNAVAILABLE : rc;
}

/* --- BSON --- */

bool foodsvc_store_copy(bson_t *to, const char *name, const bson_t *from, const char *key)
{
    bson_iter_t  iter;

    return bson_iter_init_find(&iter, from, key) && bson_append_iter(to, name, -1, &iter);
}

void foodsvc_store_note_bad(foodsvc_store_bad_t bad[FOODSVC_STORE_BAD], size_t *nbad, const bson_t *doc,
    const char *why)
{
    foodsvc_store_bad_t  *one = &bad[*nbad];
    bson_iter_t           iter;

    if (*nbad < FOODSVC_STORE_BAD) {
        (*nbad)++;
        snprintf(one->id, sizeof(one->id), "%s",
            bson_iter_init_find(&iter, doc, "_id") && BSON_ITER_HOLDS_UTF8(&iter) ? bson_iter_utf8(&iter, NULL) : "?");
        foodsvc_store_say(one->why, why);
    }
}

bool foodsvc_store_same(bson_t *filter, const bson_t *doc, const char *key)
{
    bson_iter_t  iter;
    bson_t       condition;
    bool         ok;

    if (!bson_append_document_begin(filter, key, -1, &condition)) {
        return false;
    }
    ok = bson_iter_init_find(&iter, doc, key) ? bson_append_iter(&condition, "$eq", 3, &iter)
        : BSON_APPEND_BOOL(&condition, "$exists", false);
    return bson_append_document_end(filter, &condition) && ok;
}

/* --- ping and indexes --- */

foodsvc_store_rc_e foodsvc_store_ping(foodsvc_store_t *store, char err[FOODSVC_ERR])
{
    foodsvc_store_call_t   call;
    foodsvc_store_rc_e     rc = FOODSVC_STORE_OK;
    bson_error_t           error;
    bson_t                 ping;

    foodsvc_store_say(err, "");
    if (!foodsvc_store_begin(store, &call, err)) {
        return FOODSVC_STORE_UNAVAILABLE;
    }
    bson_init(&ping);
    BSON_APPEND_INT32(&ping, "ping", 1);
    if (!mongoc_client_command_simple(call.client, "admin", &ping, NULL, NULL, &error)) {
        rc = foodsvc_store_read_error(&error, err);
    }
    bson_destroy(&ping);
    foodsvc_store_end(&call);
    return rc;
}

static foodsvc_store_rc_e create_index(foodsvc_store_call_t *call, const char *collection, const bson_t *index,
    char err[FOODSVC_ERR])
{
    foodsvc_store_rc_e  rc = FOODSVC_STORE_OK;
    bson_error_t        error;
    bson_t              command, list;

    bson_init(&command);
    BSON_APPEND_UTF8(&command, "createIndexes", collection);
    BSON_APPEND_ARRAY_BEGIN(&command, "indexes", &list);
    BSON_APPEND_DOCUMENT(&list, "0", index);
    bson_append_array_end(&command, &list);
    foodsvc_store_sent_reset();
    if (!mongoc_client_write_command_with_opts(call->client, FOODSVC_DB, &command, NULL, NULL, &error)
        && !(error.domain == MONGOC_ERROR_SERVER && error.code == CODE_CONFLICT)) {
        rc = foodsvc_store_error(&error, foodsvc_store_sent(), err);
    }
    bson_destroy(&command);
    return rc;
}

foodsvc_store_rc_e foodsvc_store_indexes(foodsvc_store_call_t *call, char err[FOODSVC_ERR])
{
    foodsvc_store_rc_e  rc;
    bson_t             *created = BCON_NEW("key", "{", "created", BCON_INT32(-1), "_id", BCON_INT32(-1), "}",
        "name", "created_-1__id_-1");
    bson_t             *owes = BCON_NEW("key", "{", "status", BCON_INT32(1), FOODSVC_OWES_SINCE, BCON_INT32(1),
        "_id", BCON_INT32(1), "}", "name", "status_1_owes_since_1__id_1");
    bson_t             *outbox = BCON_NEW("key", "{", "outbox.when", BCON_INT32(1), "}", "name", FOODSVC_STORE_UNSENT,
        "partialFilterExpression", "{", "outbox.id", "{", "$exists", BCON_BOOL(true), "}", "}");
    bson_t             *keys = BCON_NEW("key", "{", "created", BCON_INT32(1), "}", "name", "created_1",
        "expireAfterSeconds", BCON_INT32(FOODSVC_IDEMPOTENCY_TTL));
    bson_t             *pending = BCON_NEW("key", "{", "created", BCON_INT32(1), "}", "name", FOODSVC_STORE_PENDING,
        "partialFilterExpression", "{", "status", BCON_UTF8(foodsvc_payment_status_name(FOODSVC_PENDING)),
        "}");

    rc = create_index(call, FOODSVC_ORDERS, created, err);
    if (rc == FOODSVC_STORE_OK) {
        rc = create_index(call, FOODSVC_ORDERS, owes, err);
    }
    if (rc == FOODSVC_STORE_OK) {
        rc = create_index(call, FOODSVC_PAYMENTS, outbox, err);
    }
    if (rc == FOODSVC_STORE_OK) {
        rc = create_index(call, FOODSVC_IDEMPOTENCY_KEYS, keys, err);
    }
    if (rc == FOODSVC_STORE_OK) {
        rc = create_index(call, FOODSVC_PAYMENTS, pending, err);
    }
    bson_destroy(created);
    bson_destroy(owes);
    bson_destroy(outbox);
    bson_destroy(keys);
    bson_destroy(pending);
    return rc;
}

foodsvc_store_rc_e foodsvc_store_prepare(foodsvc_store_t *store, char err[FOODSVC_ERR])
{
    foodsvc_store_call_t  call;
    foodsvc_store_rc_e    rc;

    foodsvc_store_say(err, "");
    if (!foodsvc_store_begin(store, &call, err)) {
        return FOODSVC_STORE_UNAVAILABLE;
    }
    rc = foodsvc_store_indexes(&call, err);
    foodsvc_store_end(&call);
    return rc;
}
