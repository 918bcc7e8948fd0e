/*
 * The HTTP servers: a libmicrohttpd daemon with a few threads for each port.
 *
 * libmicrohttpd calls sim_http_handle() with a request's head, then for each piece of its body, then once more at its
 * end: then the call is made (sim_calls.c). What the rules want besides is done here: no answer (the connection is
 * closed), a broken one, a huge one, or one that waits: then the connection is suspended, the scheduler resumes it,
 * and libmicrohttpd calls sim_http_handle() again to have it answered. A suspended connection belongs to the
 * scheduler until then.
 */
#include <arpa/inet.h>
#include <microhttpd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include "foodsvc_json.h"
#include "foodsvc_names.h"
#include "sim_http.h"

#define SIM_KEEPALIVE       120     /* s */
#define SIM_CONNECTIONS     4096    /* of each service */

struct sim_http_s {
    sim_t             *sim;
    struct MHD_Daemon *daemons[SIM_SERVICES];
    struct sim_http_port_s {
        sim_t         *sim;
        sim_service_e  service;
    } ports[SIM_SERVICES];
};

typedef struct sim_http_port_s sim_http_port_t;

typedef struct {
    struct MHD_Connection *connection;
    char                  *body;
    size_t                 len, room;
    bool                   too_large, waited;
    sim_request_t          request;
} sim_exchange_t;

static void
sim_http_resume(void *arg, bool stopping)
{
    sim_exchange_t *exchange = arg;

    (void) stopping;
    exchange->waited = true;
    MHD_resume_connection(exchange->connection);
}

/* Takes a piece of the body. False: no memory. */
static bool
sim_http_read(sim_exchange_t *exchange, const char *data, size_t len)
{
    if (exchange->too_large || exchange->len + len > SIM_MAX_BODY) {
        exchange->too_large = true;
        return true;
    }
    if (exchange->len + len > exchange->room) {
        size_t  room = exchange->len + len + 1024;
        char   *body = realloc(exchange->body, room);

        if (body == NULL) {
            return false;
        }
        exchange->body = body;
        exchange->room = room;
    }
    memcpy(exchange->body + exchange->len, data, len);
    exchange->len += len;
    return true;
}

static enum MHD_Result
sim_http_send(sim_exchange_t *exchange)
{
    sim_request_t       *request = &exchange->request;
    struct MHD_Response *response;
    enum MHD_Result      rc;

    if (request->answer == NULL) {
        return MHD_NO;
    }
    response = MHD_create_response_from_buffer(strlen(request->answer), request->answer, MHD_RESPMEM_MUST_FREE);
    if (response == NULL) {
        return MHD_NO;
    }
    request->answer = NULL;
    MHD_add_response_header(response, "Content-Type", FOODSVC_CONTENT_TYPE);
    if (request->allow != NULL) {
        MHD_add_response_header(response, "Allow", request->allow);
    }
    rc = MHD_queue_response(exchange->connection, (unsigned) request->status, response);
    MHD_destroy_response(response);
    return rc;
}

/* {"x": 1} becomes {"padding": "xxx...", "x": 1}, [..] and all else just the padding. */
static void
sim_http_blow_up(sim_request_t *request, size_t size)
{
    static const char  head[] = "{\"padding\": \"";
    const char        *rest = request->answer[0] == '{' && request->answer[1] != '}' ? request->answer + 1 : NULL;
    size_t             n = sizeof(head) - 1, m = rest != NULL ? strlen(rest) : 0;
    char              *huge = malloc(n + size + m + 4);

    if (huge == NULL) {
        return;
    }
    memcpy(huge, head, n);
    memset(huge + n, 'x', size);
    strcpy(huge + n + size, rest != NULL ? "\"," : "\"}");
    if (rest != NULL) {
        strcat(huge + n + size, rest);
    }
    free(request->answer);
    request->answer = huge;
}

static enum MHD_Result
sim_http_answer(sim_exchange_t *exchange)
{
    sim_request_t *request = &exchange->request;

    switch (request->fate.action) {
    case SIM_DROP:
    case SIM_CLOSE:
        return MHD_NO;
    case SIM_TIMEOUT:
    case SIM_LATE:
        if (!exchange->waited) {
            MHD_suspend_connection(exchange->connection);
            sim_sched_in(request->sim->sched, request->fate.number, sim_http_resume, exchange);
            return MHD_YES;
        }
        return request->fate.action == SIM_LATE ? sim_http_send(exchange) : MHD_NO;
    case SIM_GARBAGE:
        if (request->answer != NULL) {
            request->answer[strlen(request->answer) / 2] = '\0';
        }
        break;
    case SIM_HUGE:
        if (request->answer != NULL) {
            sim_http_blow_up(request, (size_t) request->fate.number);
        }
        break;
    default:
        break;
    }
    return sim_http_send(exchange);
}

static const char *
sim_http_header(struct MHD_Connection *connection, enum MHD_ValueKind kind, const char *name)
{
    return MHD_lookup_connection_value(connection, kind, name);
}

static enum MHD_Result
sim_http_handle(void *cls, struct MHD_Connection *connection, const char *url, const char *method, const char *version,
    const char *data, size_t *len, void **ctx)
{
    sim_http_port_t *port = cls;
    sim_exchange_t  *exchange = *ctx;
    sim_request_t   *request;
    const char      *key;

    (void) version;
    if (exchange == NULL) {
        exchange = calloc(1, sizeof(*exchange));
        if (exchange == NULL) {
            return MHD_NO;
        }
        exchange->connection = connection;
        *ctx = exchange;
        return MHD_YES;
    }
    if (*len > 0) {
        bool ok = sim_http_read(exchange, data, *len);

        *len = 0;
        return ok ? MHD_YES : MHD_NO;
    }
    request = &exchange->request;
    if (!exchange->waited) {
        key = sim_http_header(connection, MHD_HEADER_KIND, FOODSVC_IDEMPOTENCY_HEADER);
        *request = (sim_request_t) { .sim = port->sim, .service = port->service, .method = method, .path = url,
                                     .key = key ? key : "", .body = exchange->body ? exchange->body : "",
                                     .len = exchange->len };
        request->order_id = sim_http_header(connection, MHD_GET_ARGUMENT_KIND, "order_id");
        if (exchange->too_large) {
            request->status = 413;
            request->answer = foodsvc_json_detail("Request body is too large");
        } else {
            sim_call(request);
        }
    }
    return sim_http_answer(exchange);
}

static void
sim_http_completed(void *cls, struct MHD_Connection *connection, void **ctx, enum MHD_RequestTerminationCode code)
{
    sim_exchange_t *exchange = *ctx;

    (void) cls;
    (void) connection;
    (void) code;
    if (exchange != NULL) {
        free(exchange->request.answer);
        free(exchange->body);
        free(exchange);
        *ctx = NULL;
    }
}

static void
sim_http_raise_limit(void)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < limit.rlim_max) {
        limit.rlim_cur = limit.rlim_max;
        setrlimit(RLIMIT_NOFILE, &limit);
    }
}

static struct MHD_Daemon *
sim_http_listen(sim_http_t *http, sim_service_e service, char *err, size_t errlen)
{
    const sim_conf_t   *conf = &http->sim->conf;
    struct sockaddr_in  address = { .sin_family = AF_INET, .sin_port = htons((uint16_t) conf->ports[service]) };
    struct MHD_Daemon  *mhd;

    if (inet_pton(AF_INET, conf->listen, &address.sin_addr) != 1) {
        snprintf(err, errlen, "listen: \"%s\" is no IPv4 address", conf->listen);
        return NULL;
    }
    http->ports[service] = (sim_http_port_t) { http->sim, service };
    mhd = MHD_start_daemon(MHD_USE_EPOLL_INTERNAL_THREAD | MHD_ALLOW_SUSPEND_RESUME, (uint16_t) conf->ports[service],
                           NULL, NULL, sim_http_handle, &http->ports[service],
                           MHD_OPTION_SOCK_ADDR, (struct sockaddr *) &address,
                           MHD_OPTION_NOTIFY_COMPLETED, sim_http_completed, NULL,
                           MHD_OPTION_THREAD_POOL_SIZE, (unsigned) conf->http_threads,
                           MHD_OPTION_CONNECTION_LIMIT, (unsigned) SIM_CONNECTIONS,
                           MHD_OPTION_CONNECTION_TIMEOUT, (unsigned) SIM_KEEPALIVE,
                           MHD_OPTION_LISTEN_BACKLOG_SIZE, 1024u, MHD_OPTION_END);
    if (mhd == NULL) {
        snprintf(err, errlen, "%s:%lld cannot be listened on: is the port taken?", conf->listen,
                 (long long) conf->ports[service]);
    }
    return mhd;
}

sim_http_t *
sim_http_start(sim_t *sim, char *err, size_t errlen)
{
    sim_http_t *http = calloc(1, sizeof(*http));

    if (http == NULL) {
        snprintf(err, errlen, "out of memory");
        return NULL;
    }
    http->sim = sim;
    sim_http_raise_limit();
    for (int i = 0; i < SIM_SERVICES; i++) {
        if (sim->conf.ports[i] == 0) {
            continue;
        }
        http->daemons[i] = sim_http_listen(http, (sim_service_e) i, err, errlen);
        if (http->daemons[i] == NULL) {
            sim_http_stop(http);
            return NULL;
        }
    }
    return http;
}

/* The scheduler has stopped: no connection is suspended any more, and none will be. */
void
sim_http_stop(sim_http_t *http)
{
    for (int i = 0; i < SIM_SERVICES; i++) {
        if (http->daemons[i] != NULL) {
            MHD_stop_daemon(http->daemons[i]);
        }
    }
    free(http);
}
