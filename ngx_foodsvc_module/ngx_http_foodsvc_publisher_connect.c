/*
 * The publisher's connection: url, socket, TLS, login, channel. The thread's, but for
 * ngx_http_foodsvc_publisher_check().
 *
 * Each step has a timeout; the name's lookup is the exception, and the loop's timers answer the ops all the same. Tried
 * again with backoff and jitter, 50 ms to 2 s; one line in the log when it goes, one when it is back.
 */
#include "ngx_http_foodsvc_publisher_thread.h"

#include <amqp_tcp_socket.h>
#include <amqp_ssl_socket.h>
#include <openssl/x509.h>

#define NGX_HTTP_FOODSVC_PUBLISHER_BACKOFF_MIN  50
#define NGX_HTTP_FOODSVC_PUBLISHER_BACKOFF_MAX  2000
/* A connection that lived this long was a good one: the backoff begins anew. */
#define NGX_HTTP_FOODSVC_PUBLISHER_STEADY       5000


static amqp_socket_t *ngx_http_foodsvc_publisher_socket(ngx_http_foodsvc_publisher_thread_t *t, ngx_uint_t tls);
static void ngx_http_foodsvc_publisher_open(ngx_http_foodsvc_publisher_thread_t *t, struct amqp_connection_info *info);
static void ngx_http_foodsvc_publisher_login(ngx_http_foodsvc_publisher_thread_t *t,
    struct amqp_connection_info *info);
static ngx_uint_t ngx_http_foodsvc_publisher_failed(ngx_http_foodsvc_publisher_thread_t *t, const char *what,
    amqp_rpc_reply_t reply);
static void ngx_http_foodsvc_publisher_watched(ngx_http_foodsvc_publisher_t *shared, int fd);
static struct timeval ngx_http_foodsvc_publisher_timeval(ngx_msec_t ms);


ngx_int_t
ngx_http_foodsvc_publisher_check(ngx_pool_t *pool, ngx_str_t *url, u_char *err, size_t errlen)
{
    char                         *copy;
    u_char                       *last;
    const char                   *wrong;
    struct amqp_connection_info   info;

    wrong = NULL;

    copy = ngx_pnalloc(pool, url->len + 1);
    if (copy == NULL) {
        wrong = "could not be checked: no memory";

    } else {
        ngx_memcpy(copy, url->data, url->len);
        copy[url->len] = '\0';

        if (amqp_parse_url(copy, &info) != AMQP_STATUS_OK) {
            wrong = "cannot be read";

        } else if (info.host == NULL || info.host[0] == '\0') {
            wrong = "has no host";

        } else if (info.port < 1 || info.port > 65535) {
            wrong = "has a bad port";
        }
    }

    if (wrong == NULL) {
        return NGX_OK;
    }

    last = ngx_snprintf(err, errlen - 1, "%s", wrong);
    *last = '\0';

    return NGX_ERROR;
}


static struct timeval
ngx_http_foodsvc_publisher_timeval(ngx_msec_t ms)
{
    struct timeval  tv;

    tv.tv_sec = ms / 1000;
    tv.tv_usec = (ms % 1000) * 1000;

    return tv;
}


/* Tells the watchdog which socket to shut down: a dup of fd, or none (-1). */
static void
ngx_http_foodsvc_publisher_watched(ngx_http_foodsvc_publisher_t *shared, int fd)
{
    if (fd != -1) {
        fd = fcntl(fd, F_DUPFD_CLOEXEC, 0);
    }

    pthread_mutex_lock(&shared->lock);

    if (shared->socket != -1) {
        (void) close(shared->socket);
    }

    shared->socket = fd;

    pthread_mutex_unlock(&shared->lock);
}


static amqp_socket_t *
ngx_http_foodsvc_publisher_socket(ngx_http_foodsvc_publisher_thread_t *t, ngx_uint_t tls)
{
    const char     *cacert;
    amqp_socket_t  *socket;

    if (!tls) {
        return amqp_tcp_socket_new(t->conn);
    }

    socket = amqp_ssl_socket_new(t->conn);
    if (socket == NULL) {
        return NULL;
    }

    t->tls = 1;

    cacert = (char *) t->shared->conf->cacert.data;

    if (t->shared->conf->cacert.len == 0) {
        cacert = getenv(X509_get_default_cert_file_env());
        cacert = cacert ? cacert : "/etc/ssl/certs/ca-certificates.crt";
    }

    amqp_ssl_socket_set_verify_peer(socket, 1);
    amqp_ssl_socket_set_verify_hostname(socket, 1);
    (void) amqp_ssl_socket_set_ssl_versions(socket, AMQP_TLSv1_2, AMQP_TLSvLATEST);

    if (amqp_ssl_socket_set_cacert(socket, cacert) != AMQP_STATUS_OK) {
        ngx_http_foodsvc_publisher_fail(t, "the CA file \"%s\" could not be read", cacert);
    }

    return socket;
}


/* NULL-terminated texts of the broker's are not: they carry a length. */
static ngx_uint_t
ngx_http_foodsvc_publisher_failed(ngx_http_foodsvc_publisher_thread_t *t, const char *what, amqp_rpc_reply_t reply)
{
    amqp_channel_close_t     *channel;
    amqp_connection_close_t  *connection;

    if (reply.reply_type == AMQP_RESPONSE_NORMAL) {
        return 0;
    }

    if (reply.reply_type == AMQP_RESPONSE_SERVER_EXCEPTION && reply.reply.id == AMQP_CONNECTION_CLOSE_METHOD) {
        connection = reply.reply.decoded;
        ngx_http_foodsvc_publisher_fail(t, "%s: %d %.*s", what, connection->reply_code,
                                        (int) connection->reply_text.len, (char *) connection->reply_text.bytes);

    } else if (reply.reply_type == AMQP_RESPONSE_SERVER_EXCEPTION && reply.reply.id == AMQP_CHANNEL_CLOSE_METHOD) {
        channel = reply.reply.decoded;
        ngx_http_foodsvc_publisher_fail(t, "%s: %d %.*s", what, channel->reply_code,
                                        (int) channel->reply_text.len, (char *) channel->reply_text.bytes);

    } else {
        ngx_http_foodsvc_publisher_fail(t, "%s: %s", what, amqp_error_string2(reply.library_error));
    }

    return 1;
}


static void
ngx_http_foodsvc_publisher_login(ngx_http_foodsvc_publisher_thread_t *t, struct amqp_connection_info *info)
{
    amqp_table_t         properties, capabilities;
    struct timeval       tv;
    amqp_rpc_reply_t     reply;
    amqp_table_entry_t   entries[2], capability;

    capability.key = amqp_cstring_bytes("connection.blocked");
    capability.value.kind = AMQP_FIELD_KIND_BOOLEAN;
    capability.value.value.boolean = 1;
    capabilities.num_entries = 1;
    capabilities.entries = &capability;

    entries[0].key = amqp_cstring_bytes("capabilities");
    entries[0].value.kind = AMQP_FIELD_KIND_TABLE;
    entries[0].value.value.table = capabilities;
    entries[1].key = amqp_cstring_bytes("connection_name");
    entries[1].value.kind = AMQP_FIELD_KIND_UTF8;
    entries[1].value.value.bytes = amqp_cstring_bytes("foodsvc nginx");
    properties.num_entries = 2;
    properties.entries = entries;

    tv = ngx_http_foodsvc_publisher_timeval(t->shared->conf->timeout);

    if (amqp_set_handshake_timeout(t->conn, &tv) != AMQP_STATUS_OK
        || amqp_set_rpc_timeout(t->conn, &tv) != AMQP_STATUS_OK)
    {
        ngx_http_foodsvc_publisher_fail(t, "no memory");
        return;
    }

    reply = amqp_login_with_properties(t->conn, (info->vhost && info->vhost[0]) ? info->vhost : "/", 0,
                                       AMQP_DEFAULT_FRAME_SIZE, (int) t->shared->conf->heartbeat, &properties,
                                       AMQP_SASL_METHOD_PLAIN, info->user, info->password);

    (void) ngx_http_foodsvc_publisher_failed(t, "login", reply);
}


void
ngx_http_foodsvc_publisher_channel(ngx_http_foodsvc_publisher_thread_t *t)
{
    ngx_uint_t  i;

    ngx_http_foodsvc_publisher_enter(t);

    (void) amqp_channel_open(t->conn, NGX_HTTP_FOODSVC_PUBLISHER_CHANNEL);

    if (!ngx_http_foodsvc_publisher_failed(t, "channel.open", amqp_get_rpc_reply(t->conn))) {
        (void) amqp_confirm_select(t->conn, NGX_HTTP_FOODSVC_PUBLISHER_CHANNEL);
        (void) ngx_http_foodsvc_publisher_failed(t, "confirm.select", amqp_get_rpc_reply(t->conn));
    }

    ngx_http_foodsvc_publisher_leave(t);

    /* delivery tags begin at 1 again */

    for (i = 0; i < NGX_HTTP_FOODSVC_PUBLISHER_NAMES; i++) {
        t->names[i].since = 0;
    }
}


static void
ngx_http_foodsvc_publisher_open(ngx_http_foodsvc_publisher_thread_t *t, struct amqp_connection_info *info)
{
    int              rc;
    amqp_socket_t   *socket;
    struct timeval   tv;

    socket = ngx_http_foodsvc_publisher_socket(t, info->ssl);
    if (socket == NULL) {
        ngx_http_foodsvc_publisher_fail(t, "no memory");
    }

    if (t->lost) {
        return;
    }

    tv = ngx_http_foodsvc_publisher_timeval(t->shared->conf->timeout);

    rc = amqp_socket_open_noblock(socket, info->host, info->port, &tv);
    if (rc != AMQP_STATUS_OK) {
        ngx_http_foodsvc_publisher_fail(t, "connecting to port %d: %s", info->port, amqp_error_string2(rc));
        return;
    }

    ngx_http_foodsvc_publisher_watched(t->shared, amqp_socket_get_sockfd(socket));

    ngx_http_foodsvc_publisher_enter(t);
    ngx_http_foodsvc_publisher_login(t, info);
    ngx_http_foodsvc_publisher_leave(t);

    if (!t->lost) {
        ngx_http_foodsvc_publisher_channel(t);
    }
}


void
ngx_http_foodsvc_publisher_connect(ngx_http_foodsvc_publisher_thread_t *t)
{
    char                         *url;
    struct amqp_connection_info   info;

    t->lost = 0;
    t->why[0] = '\0';
    t->connected_at = ngx_http_foodsvc_publisher_now();

    url = strdup((char *) t->shared->conf->url.data);
    t->conn = amqp_new_connection();

    if (url == NULL || t->conn == NULL) {
        ngx_http_foodsvc_publisher_fail(t, "no memory");

    } else if (amqp_parse_url(url, &info) != AMQP_STATUS_OK) {
        ngx_http_foodsvc_publisher_fail(t, "a bad url");

    } else {
        ngx_http_foodsvc_publisher_open(t, &info);
    }

    if (url) {
        explicit_bzero(url, t->shared->conf->url.len);
        free(url);
    }

    if (t->lost) {
        ngx_http_foodsvc_publisher_disconnect(t);
        return;
    }

    t->told = 0;
    ngx_http_foodsvc_publisher_say(t, NGX_LOG_NOTICE, "connected");
}


/* Also for a connection that did not come about. */
void
ngx_http_foodsvc_publisher_disconnect(ngx_http_foodsvc_publisher_thread_t *t)
{
    uint64_t  now;

    if (t->conn) {
        ngx_http_foodsvc_publisher_enter(t);

        if (!t->lost) {
            (void) amqp_connection_close(t->conn, AMQP_REPLY_SUCCESS);
        }

        (void) amqp_destroy_connection(t->conn);
        t->conn = NULL;

        ngx_http_foodsvc_publisher_leave(t);
    }

    ngx_http_foodsvc_publisher_watched(t->shared, -1);
    ngx_http_foodsvc_publisher_unsend(t);

    ngx_memzero(t->names, sizeof(t->names));
    t->blocked = 0;
    t->stuffed = 0;
    t->pause = 0;

    if (!t->lost) {
        return;
    }

    ngx_http_foodsvc_publisher_say(t, t->told ? NGX_LOG_INFO : NGX_LOG_ERR, "not connected: %s", t->why);
    t->told = 1;

    now = ngx_http_foodsvc_publisher_now();

    if (now - t->connected_at > NGX_HTTP_FOODSVC_PUBLISHER_STEADY) {
        t->backoff = 0;
    }

    t->backoff = ngx_max(t->backoff * 2, NGX_HTTP_FOODSVC_PUBLISHER_BACKOFF_MIN);
    t->backoff = ngx_min(t->backoff, NGX_HTTP_FOODSVC_PUBLISHER_BACKOFF_MAX);
    t->retry_at = now + t->backoff - (uint64_t) rand_r(&t->seed) % (t->backoff / 2);
}


/*
 * rabbitmq-c keeps what its first TLS socket made for all of them; nginx unloads it with the module, and then nobody
 * knows of that any more. Only what the library has set up itself it can take down again (0.11 crashes otherwise), so
 * amqp_set_initialize_ssl_library() is left alone: with OpenSSL 1.1 and later it sets up nothing that nginx has, too.
 */
void
ngx_http_foodsvc_publisher_end_tls(ngx_http_foodsvc_publisher_thread_t *t)
{
    if (t->tls) {
        (void) amqp_uninitialize_ssl_library();
    }
}
