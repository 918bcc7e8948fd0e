/*
 * A call is an easy handle with its private data, linked in the list of those in flight. It ends in one place,
 * finish(), reached from the multi handle's messages or from worker_http_close(); so its callback fires once.
 */
#include <curl/curl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "foodsvc_names.h"
#include "foodsvc_url.h"
#include "worker_http.h"

#define POLL_FDS    8

typedef struct call_s {
    worker_http_t      *http;
    CURL               *easy;
    struct curl_slist  *headers;
    char               *body;           /* of the answer */
    size_t              len, room;
    bool                too_large;
    bool                opened, refused;    /* a socket to one of the host's addresses */
    foodsvc_url_t       url;
    char                err[CURL_ERROR_SIZE];
    worker_http_done_f  done;
    void               *ctx;
    struct call_s      *prev, *next;
} call_t;

struct worker_http_s {
    CURLM   *multi;
    char    *ca_file;
    size_t   max_answer;
    foodsvc_allow_t  allow;
    call_t  *calls;
    size_t   ncalls;
};


worker_http_t *worker_http_open(const worker_http_conf_t *conf)
{
    worker_http_t  *http = calloc(1, sizeof(*http));

    if (http == NULL) {
        return NULL;
    }
    http->multi = curl_multi_init();
    http->ca_file = conf->ca_file ? strdup(conf->ca_file) : NULL;
    http->max_answer = conf->max_answer;
    http->allow = conf->allow;
    if (http->multi == NULL || (conf->ca_file && http->ca_file == NULL)) {
        worker_http_close(http);
        return NULL;
    }
    curl_multi_setopt(http->multi, CURLMOPT_MAX_HOST_CONNECTIONS, (long) conf->connections);
    curl_multi_setopt(http->multi, CURLMOPT_MAXCONNECTS, (long) conf->connections * 4);
    curl_multi_setopt(http->multi, CURLMOPT_PIPELINING, (long) CURLPIPE_NOTHING);
    return http;
}


static void call_free(call_t *call)
{
    if (call->easy) {
        curl_easy_cleanup(call->easy);
    }
    curl_slist_free_all(call->headers);
    if (call->body) {
        explicit_bzero(call->body, call->room);     /* it may have been a card */
        free(call->body);
    }
    free(call);
}


static void finish(call_t *call, const worker_http_answer_t *answer)
{
    worker_http_t  *http = call->http;

    curl_multi_remove_handle(http->multi, call->easy);
    if (call->prev) {
        call->prev->next = call->next;
    } else {
        http->calls = call->next;
    }
    if (call->next) {
        call->next->prev = call->prev;
    }
    http->ncalls--;
    call->done(call->ctx, answer);
    call_free(call);
}


void worker_http_close(worker_http_t *http)
{
    worker_http_answer_t  answer = { .rc = WORKER_HTTP_NO_ANSWER, .body = "", .reason = "the call was ended" };

    if (http == NULL) {
        return;
    }
    while (http->calls) {
        finish(http->calls, &answer);
    }
    if (http->multi) {
        curl_multi_cleanup(http->multi);
    }
    free(http->ca_file);
    free(http);
}


size_t worker_http_in_flight(const worker_http_t *http)
{
    return http->ncalls;
}


/* --- a call begins --- */

static size_t take_body(char *bytes, size_t one, size_t len, void *ctx)
{
    call_t  *call = ctx;
    size_t   room = call->room ? call->room : 1024;
    char    *body;

    if (len > call->http->max_answer - call->len) {
        call->too_large = true;
        return 0;
    }
    while (room < call->len + len + 1) {
        room *= 2;
    }
    if (room > call->room) {
        body = malloc(room);        /* no realloc: it could leave a copy of a card behind */
        if (body == NULL) {
            return 0;
        }
        if (call->body) {
            memcpy(body, call->body, call->len);
            explicit_bzero(call->body, call->room);
            free(call->body);
        }
        call->body = body;
        call->room = room;
    }
    memcpy(call->body + call->len, bytes, len);
    call->len += len;
    call->body[call->len] = '\0';
    return len;
}


static bool add_header(call_t *call, const char *name, const char *value)
{
    struct curl_slist  *list;
    char                line[1024];

    if (value == NULL) {
        return true;
    }
    if (snprintf(line, sizeof(line), "%s: %s", name, value) >= (int) sizeof(line) || strpbrk(line, "\r\n")) {
        return false;
    }
    list = curl_slist_append(call->headers, line);
    explicit_bzero(line, sizeof(line));
    if (list == NULL) {
        return false;
    }
    call->headers = list;
    return true;
}


static bool set_request(call_t *call, const worker_http_request_t *request)
{
    bool  post = strcmp(request->method, "POST") == 0;
    CURL *easy = call->easy;

    if (!add_header(call, FOODSVC_IDEMPOTENCY_HEADER, request->idempotency_key)
        || !add_header(call, FOODSVC_API_KEY_HEADER, request->api_key)
        || !add_header(call, "Accept", FOODSVC_CONTENT_TYPE)
        || (request->body && !add_header(call, "Content-Type", FOODSVC_CONTENT_TYPE))
        || (post && !add_header(call, "Expect", ""))            /* no round trip for "100 Continue" */
        || curl_easy_setopt(easy, CURLOPT_URL, request->url) != CURLE_OK
        || curl_easy_setopt(easy, CURLOPT_HTTPHEADER, call->headers) != CURLE_OK)
    {
        return false;
    }
    if (!post) {
        return curl_easy_setopt(easy, CURLOPT_HTTPGET, 1L) == CURLE_OK;
    }
    return curl_easy_setopt(easy, CURLOPT_POST, 1L) == CURLE_OK
           && curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE, (long) (request->body ? request->len : 0)) == CURLE_OK
           && curl_easy_setopt(easy, CURLOPT_COPYPOSTFIELDS, request->body ? request->body : "") == CURLE_OK;
}


/* curl asks for a socket for each address that the host is resolved to, and goes on to the next when it gets none. */
static curl_socket_t open_socket(void *ctx, curlsocktype purpose, struct curl_sockaddr *address)
{
    call_t  *call = ctx;

    if (!foodsvc_allow_address(&call->http->allow, call->url.host, call->url.port, &address->addr)) {
        call->refused = true;
        return CURL_SOCKET_BAD;
    }
    call->opened = true;
    return socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
}


/* All or nothing: without the last of these a call could go through a proxy, to a forbidden address, or for ever. */
static bool set_limits(call_t *call, int64_t timeout_ms)
{
    CURL       *easy = call->easy;
    const char *ca_file = call->http->ca_file;

    return curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https") == CURLE_OK
           && curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, (long) CURL_HTTP_VERSION_1_1) == CURLE_OK
           && curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L) == CURLE_OK
           /* else a time-out waits for the resolver's thread to end */
           && curl_easy_setopt(easy, CURLOPT_QUICK_EXIT, 1L) == CURLE_OK
           && curl_easy_setopt(easy, CURLOPT_NOPROXY, "*") == CURLE_OK
           && curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, (long) timeout_ms) == CURLE_OK
           && curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, (long) (timeout_ms / 2 + 1)) == CURLE_OK
           && curl_easy_setopt(easy, CURLOPT_USERAGENT, "foodsvc/" FOODSVC_VERSION) == CURLE_OK
           && curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, call->err) == CURLE_OK
           && curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, take_body) == CURLE_OK
           && curl_easy_setopt(easy, CURLOPT_WRITEDATA, call) == CURLE_OK
           && curl_easy_setopt(easy, CURLOPT_PRIVATE, call) == CURLE_OK
           && curl_easy_setopt(easy, CURLOPT_OPENSOCKETFUNCTION, open_socket) == CURLE_OK
           && curl_easy_setopt(easy, CURLOPT_OPENSOCKETDATA, call) == CURLE_OK
           && (ca_file == NULL
               || (curl_easy_setopt(easy, CURLOPT_CAINFO, ca_file) == CURLE_OK
                   /* the file alone: not beside the system's */
                   && curl_easy_setopt(easy, CURLOPT_CAPATH, NULL) == CURLE_OK));
}


bool worker_http_call(worker_http_t *http, const worker_http_request_t *request)
{
    call_t  *call = calloc(1, sizeof(*call));

    if (call == NULL) {
        return false;
    }
    call->http = http;
    call->done = request->done;
    call->ctx = request->ctx;
    if (!foodsvc_url_parse(request->url, strcspn(request->url, "?#"), &call->url, call->err, sizeof(call->err))) {
        call_free(call);
        return false;
    }
    call->easy = curl_easy_init();
    if (call->easy == NULL || !set_request(call, request) || !set_limits(call, request->timeout_ms)) {
        call_free(call);
        return false;
    }
    if (curl_multi_add_handle(http->multi, call->easy) != CURLM_OK) {
        call_free(call);
        return false;
    }
    call->next = http->calls;
    if (http->calls) {
        http->calls->prev = call;
    }
    http->calls = call;
    http->ncalls++;
    return true;
}


/* --- and ends --- */

/* No address of its host is one that may be called. */
static bool forbidden(const call_t *call)
{
    return call->refused && !call->opened;
}


/* Could the partner have got the request? */
static worker_http_rc_e failure(const call_t *call, CURLcode code)
{
    curl_off_t  began = 0;

    if (call->too_large) {
        return WORKER_HTTP_TOO_LARGE;
    }
    if (forbidden(call)) {
        return WORKER_HTTP_UNREACHABLE;
    }
    switch (code) {
    case CURLE_UNSUPPORTED_PROTOCOL:
    case CURLE_URL_MALFORMAT:
    case CURLE_COULDNT_RESOLVE_HOST:
    case CURLE_COULDNT_CONNECT:
    case CURLE_SSL_CONNECT_ERROR:
    case CURLE_SSL_CERTPROBLEM:
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CACERT_BADFILE:
        return WORKER_HTTP_UNREACHABLE;
    default:
        curl_easy_getinfo(call->easy, CURLINFO_PRETRANSFER_TIME_T, &began);
        return began > 0 ? WORKER_HTTP_NO_ANSWER : WORKER_HTTP_UNREACHABLE;
    }
}


static void ended(call_t *call, CURLcode code)
{
    worker_http_answer_t  answer = { .body = "", .reason = "" };
    long                  status = 0;

    if (code == CURLE_OK) {
        curl_easy_getinfo(call->easy, CURLINFO_RESPONSE_CODE, &status);
        answer.rc = WORKER_HTTP_ANSWERED;
        answer.status = (int) status;
        answer.body = call->body ? call->body : "";
        answer.len = call->len;
    } else {
        answer.rc = failure(call, code);
        answer.reason = call->too_large ? "its answer is too large"
                        : forbidden(call) ? "partner_allow does not have its address"
                        : call->err[0] ? call->err : curl_easy_strerror(code);
    }
    finish(call, &answer);
}


void worker_http_poll(worker_http_t *http, struct pollfd *fds, unsigned nfds, int64_t timeout_ms)
{
    struct curl_waitfd  extra[POLL_FDS];
    unsigned            n = 0;

    for (unsigned i = 0; i < nfds && n < POLL_FDS; i++) {
        fds[i].revents = 0;
        if (fds[i].fd >= 0) {
            extra[n++] = (struct curl_waitfd) { .fd = fds[i].fd, .events = CURL_WAIT_POLLIN };
        }
    }
    curl_multi_poll(http->multi, extra, n, timeout_ms > 60000 ? 60000 : timeout_ms < 0 ? 0 : (int) timeout_ms, NULL);
    n = 0;
    for (unsigned i = 0; i < nfds && n < POLL_FDS; i++) {
        if (fds[i].fd >= 0) {
            fds[i].revents = extra[n++].revents & CURL_WAIT_POLLIN ? POLLIN : 0;
        }
    }
}


void worker_http_run(worker_http_t *http)
{
    CURLMsg  *message;
    int       running, left;
    char     *private;

    curl_multi_perform(http->multi, &running);
    while ((message = curl_multi_info_read(http->multi, &left)) != NULL) {
        CURLcode  code = message->data.result;      /* the message dies with its handle */

        if (message->msg == CURLMSG_DONE
            && curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &private) == CURLE_OK)
        {
            ended((call_t *) private, code);
        }
    }
}
