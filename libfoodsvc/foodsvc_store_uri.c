/*
 * The MongoDB URI: what is refused, and the defaults of what it doesn't set.
 *
 *   w=majority, journal=true
 *   readConcernLevel=majority, unless w=1: foodsvc_store_run.c says why. With w=1 a majority may have what was
 *   acknowledged later only, and reads would not see their own writes
 *   serverSelectionTimeoutMS, connectTimeoutMS, waitQueueTimeoutMS = timeout
 *   socketTimeoutMS = 2 * timeout
 *   wtimeoutMS = 1.5 * timeout: below the socket's, so that the server's word comes before the silence
 *   retryWrites=false, retryReads=false: foodsvc_store_run.c looks up what became of a write and decides again, and
 *   reads once more when a connection broke; the driver's own retries would double the time that a server which stands
 *   still takes from a thread
 *   appname=foodsvc
 *
 * Reads always go to the primary: a decision on a stale copy would miss its condition anyway.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "foodsvc_store_int.h"

/*
 * Why a URI is refused, without its user and password: the parser's message may quote any part of what it misread, so
 * the message comes from parsing the rest alone. When the rest is fine, the fault is in what was left out.
 */
static void uri_reason(const char *text, char err[FOODSVC_ERR])
{
    const char    *host = strrchr(text, '@');
    char          *rest;
    size_t         len;
    bson_error_t   error;
    mongoc_uri_t  *uri;

    if (strncmp(text, "mongodb://", 10) != 0) {
        foodsvc_store_say(err, "a MongoDB URI begins with mongodb://");
        return;
    }
    host = host != NULL ? host + 1 : text + 10;
    len = strlen(host) + 11;
    rest = malloc(len);
    if (rest == NULL) {
        foodsvc_store_say(err, "no memory");
        return;
    }
    snprintf(rest, len, "mongodb://%s", host);
    uri = mongoc_uri_new_with_error(rest, &error);
    foodsvc_store_say(err, uri == NULL ? error.message
        : "the user or the password isn't well formed (percent-encode : / ? # [ ] @ % in them)");
    if (uri != NULL) {
        mongoc_uri_destroy(uri);
    }
    free(rest);
}

mongoc_uri_t *foodsvc_store_uri(const char *text, char err[FOODSVC_ERR])
{
    mongoc_uri_t  *uri = NULL;
    bson_error_t   error;

    foodsvc_store_log_init();
    /* mongodb+srv asks a name server when the pool is made, which may block or fail there. */
    if (text != NULL && strncmp(text, "mongodb://", 10) == 0) {
        uri = mongoc_uri_new_with_error(text, &error);
    }
    if (uri == NULL) {
        uri_reason(text != NULL ? text : "", err);
        return NULL;
    }
    if (!mongoc_write_concern_is_acknowledged(mongoc_uri_get_write_concern(uri))) {
        foodsvc_store_say(err, "w=0 would lose orders without a word: set w=majority or leave it out");
        mongoc_uri_destroy(uri);
        return NULL;
    }
    return uri;
}

bool foodsvc_store_uri_check(const char *text, char err[FOODSVC_ERR])
{
    mongoc_uri_t *uri = foodsvc_store_uri(text, err);

    if (uri == NULL) {
        return false;
    }
    mongoc_uri_destroy(uri);
    return true;
}

static bool has_option(const mongoc_uri_t *uri, const char *name)
{
    bson_iter_t  iter;

    return bson_iter_init_find_case(&iter, mongoc_uri_get_options(uri), name);
}

static bool default_ms(mongoc_uri_t *uri, const char *name, unsigned ms)
{
    return has_option(uri, name) || mongoc_uri_set_option_as_int32(uri, name, (int32_t) ms);
}

/* An option that is set after parsing doesn't reach the write concern, so that is changed itself. */
static bool default_write_concern(mongoc_uri_t *uri, unsigned timeout_ms)
{
    mongoc_write_concern_t *concern = mongoc_write_concern_copy(mongoc_uri_get_write_concern(uri));

    if (concern == NULL) {
        return false;
    }
    if (mongoc_write_concern_get_w(concern) == MONGOC_WRITE_CONCERN_W_DEFAULT) {
        mongoc_write_concern_set_w(concern, MONGOC_WRITE_CONCERN_W_MAJORITY);
    }
    if (!mongoc_write_concern_journal_is_set(concern)) {
        mongoc_write_concern_set_journal(concern, true);
    }
    if (mongoc_write_concern_get_wtimeout_int64(concern) == 0) {
        mongoc_write_concern_set_wtimeout_int64(concern, timeout_ms + timeout_ms / 2);
    }
    mongoc_uri_set_write_concern(uri, concern);
    mongoc_write_concern_destroy(concern);
    return true;
}

/*
 * Of the write concern as it is by now. One server's acknowledgement is all that w=1 waits for, so that majority reads
 * would not show what was just written. With any other a write that did not get as far as it had to is looked for, and
 * must not be found on the primary alone.
 */
static bool default_read_concern(mongoc_uri_t *uri)
{
    mongoc_read_concern_t *concern;

    if (mongoc_read_concern_get_level(mongoc_uri_get_read_concern(uri)) != NULL
        || mongoc_write_concern_get_w(mongoc_uri_get_write_concern(uri)) == 1) {
        return true;
    }
    concern = mongoc_read_concern_new();
    if (concern == NULL) {
        return false;
    }
    mongoc_read_concern_set_level(concern, MONGOC_READ_CONCERN_LEVEL_MAJORITY);
    mongoc_uri_set_read_concern(uri, concern);
    mongoc_read_concern_destroy(concern);
    return true;
}

bool foodsvc_store_uri_defaults(mongoc_uri_t *uri, unsigned timeout_ms)
{
    mongoc_read_prefs_t *primary = mongoc_read_prefs_new(MONGOC_READ_PRIMARY);

    if (primary == NULL) {
        return false;
    }
    mongoc_uri_set_read_prefs_t(uri, primary);
    mongoc_read_prefs_destroy(primary);
    return default_ms(uri, MONGOC_URI_SERVERSELECTIONTIMEOUTMS, timeout_ms)
        && default_ms(uri, MONGOC_URI_CONNECTTIMEOUTMS, timeout_ms)
        && default_ms(uri, MONGOC_URI_SOCKETTIMEOUTMS, 2 * timeout_ms)
        && default_ms(uri, MONGOC_URI_WAITQUEUETIMEOUTMS, timeout_ms)
        && (has_option(uri, MONGOC_URI_RETRYWRITES)
            || mongoc_uri_set_option_as_bool(uri, MONGOC_URI_RETRYWRITES, false))
        && (has_option(uri, MONGOC_URI_RETRYREADS)
            || mongoc_uri_set_option_as_bool(uri, MONGOC_URI_RETRYREADS, false))
        && (has_option(uri, MONGOC_URI_APPNAME) || mongoc_uri_set_appname(uri, "foodsvc"))
        && default_write_concern(uri, timeout_ms)
        && default_read_concern(uri);
}
