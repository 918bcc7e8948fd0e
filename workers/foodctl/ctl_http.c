/*
 * Calls to OrderService and PaymentService, over libcurl.
 */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <curl/curl.h>
#include "ctl.h"
#include "foodsvc_names.h"

#define CTL_MAX_ANSWER  (64 << 20)
#define CTL_TIMEOUT_MS  30000L
#define CTL_CONNECT_MS  5000L       /* the TLS handshake included */

static size_t
ctl_http_take(char *data, size_t size, size_t n, void *arg)
{
    ctl_answer_t *answer = arg;
    char         *body;

    if (answer->len + n > CTL_MAX_ANSWER || (body = realloc(answer->body, answer->len + n + 1)) == NULL) {
        return 0;
    }
    memcpy(body + answer->len, data, n);
    answer->body = body;
    answer->len += n;
    body[answer->len] = '\0';
    return size * n;
}

/* Why there is no answer, and what to do, in our own words. */
static void
ctl_http_unreachable(const ctl_t *ctl, const char *url, CURLcode code, char why[CTL_WHY])
{
    const char *place = ctl_place(url);

    switch (code) {
    case CURLE_PEER_FAILED_VERIFICATION:
        snprintf(why, CTL_WHY, "the certificate of %s is not trusted: set CA_CERT to the file of those who signed it",
                 place);
        return;
    case CURLE_SSL_CACERT_BADFILE:
        snprintf(why, CTL_WHY, "the file that CA_CERT names, %s, cannot be read, or has no certificates",
                 ctl->ca_cert ? ctl->ca_cert : "?");
        return;
    case CURLE_SSL_CONNECT_ERROR:
        snprintf(why, CTL_WHY, "%s does not speak TLS: is its address one of http:// or of another server?", place);
        return;
    case CURLE_URL_MALFORMAT:
    case CURLE_UNSUPPORTED_PROTOCOL:
        snprintf(why, CTL_WHY, "%s is no address: it must be like https://127.0.0.1:8000",
                 url == ctl->payment_url ? "PAYMENT_URL" : "ORDER_URL");    /* whose words may be a password */
        return;
    case CURLE_COULDNT_RESOLVE_HOST:
        /* without the port: where the host is missing, that is the password */
        snprintf(why, CTL_WHY, "there is no host of the name %.*s: correct the address", (int) strcspn(place, ":"),
                 place);
        return;
    case CURLE_OPERATION_TIMEDOUT:
        snprintf(why, CTL_WHY, "%s does not answer in time: look at %s", place, ctl_advice(ctl, url, CTL_LOOK));
        return;
    case CURLE_COULDNT_CONNECT:
        snprintf(why, CTL_WHY, "%s cannot be reached: is it running? %s", place, ctl_advice(ctl, url, CTL_START));
        return;
    case CURLE_OUT_OF_MEMORY:
        snprintf(why, CTL_WHY, "out of memory");
        return;
    default:
        snprintf(why, CTL_WHY, "%s gives no answer that HTTP knows: look at %s", place,
                 ctl_advice(ctl, url, CTL_LOOK));
    }
}

static bool
ctl_http_key_ok(const ctl_t *ctl, char why[CTL_WHY])
{
    for (const char *c = ctl->api_key; c != NULL && *c != '\0'; c++) {
        if (iscntrl((unsigned char) *c)) {
            snprintf(why, CTL_WHY, "API_KEY has characters that no key has: set it again");
            return false;
        }
    }
    return true;
}

/* All or nothing: a request that lacks one of these could go without its key, or to a file. */
static bool
ctl_http_prepare(CURL *easy, const ctl_t *ctl, const char *method, const char *url, const char *body,
    struct curl_slist *headers, ctl_answer_t *answer)
{
    return curl_easy_setopt(easy, CURLOPT_URL, url) == CURLE_OK
        && curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, method) == CURLE_OK
        && (body == NULL || curl_easy_setopt(easy, CURLOPT_POSTFIELDS, body) == CURLE_OK)
        && curl_easy_setopt(easy, CURLOPT_HTTPHEADER, headers) == CURLE_OK
        && curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https") == CURLE_OK
        && curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, CTL_TIMEOUT_MS) == CURLE_OK
        && curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, CTL_CONNECT_MS) == CURLE_OK
        && curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L) == CURLE_OK
        && curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, ctl_http_take) == CURLE_OK
        && curl_easy_setopt(easy, CURLOPT_WRITEDATA, answer) == CURLE_OK
        && (ctl->ca_cert == NULL || curl_easy_setopt(easy, CURLOPT_CAINFO, ctl->ca_cert) == CURLE_OK);
}

static bool
ctl_http_header(struct curl_slist **headers, const char *line)
{
    struct curl_slist *longer = curl_slist_append(*headers, line);

    if (longer == NULL) {
        return false;
    }
    *headers = longer;
    return true;
}

/* A header that is left out when there is no value. */
static bool
ctl_http_header_of(struct curl_slist **headers, const char *name, const char *value)
{
    char *line = NULL;
    bool  ok = value == NULL || (asprintf(&line, "%s: %s", name, value) >= 0 && ctl_http_header(headers, line));

    free(line);
    return ok;
}

/* sent: something of the request went out, now or before. */
static CURLcode
ctl_http_perform(const ctl_t *ctl, const char *method, const char *url, const char *body, ctl_answer_t *answer,
    bool *sent)
{
    CURL              *easy = curl_easy_init();
    struct curl_slist *headers = NULL;
    long               size = 0;
    CURLcode           code = CURLE_OUT_OF_MEMORY;

    ctl_answer_free(answer);
    if (easy != NULL && ctl_http_header(&headers, "Content-Type: application/json")
        && ctl_http_header_of(&headers, FOODSVC_API_KEY_HEADER, ctl->api_key)
        && ctl_http_header_of(&headers, FOODSVC_IDEMPOTENCY_HEADER, ctl->key)
        && ctl_http_prepare(easy, ctl, method, url, body, headers, answer))
    {
        code = curl_easy_perform(easy);
        curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &answer->status);
        curl_easy_getinfo(easy, CURLINFO_REQUEST_SIZE, &size);
        *sent = *sent || size > 0;
    }
    curl_slist_free_all(headers);
    curl_easy_cleanup(easy);
    return code;
}

/* What to add to the news that nobody knows whether it was done: how to ask again without doing it twice. */
static const char *
ctl_http_again(const ctl_t *ctl)
{
    static char text[512];

    snprintf(text, sizeof(text), "; it may be done all the same: the same command with%s%s --key '%s' does not do it "
             "twice", ctl->customer ? " --customer " : "", ctl->customer ? ctl->customer : "", ctl->key);
    return text;
}

bool
ctl_http(const ctl_t *ctl, const char *method, const char *base, const char *path, const char *body,
    ctl_answer_t *answer, char why[CTL_WHY])
{
    size_t    len = strlen(base);
    char     *url = NULL;
    bool      sent = false;
    CURLcode  code = CURLE_OUT_OF_MEMORY;

    memset(answer, 0, sizeof(*answer));
    while (len > 0 && base[len - 1] == '/') {
        len--;
    }
    if (!ctl_http_key_ok(ctl, why)) {
        return false;
    }
    if (strncmp(base, "http://", 7) != 0 && strncmp(base, "https://", 8) != 0) {
        code = CURLE_URL_MALFORMAT;
    } else if (asprintf(&url, "%.*s%s", (int) len, base, path) >= 0) {
        code = ctl_http_perform(ctl, method, url, body, answer, &sent);
        if (code != CURLE_OK && sent && ctl->key != NULL) {
            code = ctl_http_perform(ctl, method, url, body, answer, &sent);
        }
        free(url);
    }
    if (code != CURLE_OK) {
        ctl_answer_free(answer);
        ctl_http_unreachable(ctl, base, code, why);
        if (sent && ctl->key != NULL) {
            len = strlen(why);
            snprintf(why + len, CTL_WHY - len, "%s", ctl_http_again(ctl));
        }
        return false;
    }
    if (answer->len > 0) {
        answer->json = json_loadb(answer->body, answer->len, JSON_DECODE_ANY, NULL);
    }
    return true;
}

void
ctl_answer_free(ctl_answer_t *answer)
{
    free(answer->body);
    json_decref(answer->json);
    memset(answer, 0, sizeof(*answer));
}

/* One fault of a 422: "items.0.quantity: Input should be ...". */
static void
ctl_fault_print(FILE *out, const json_t *fault)
{
    const json_t *loc = json_object_get(fault, "loc"), *part;
    const char   *msg = json_string_value(json_object_get(fault, "msg"));
    size_t        i;

    json_array_foreach(loc, i, part) {
        if (i > 0 && json_is_string(part)) {
            fprintf(out, "%s%s", i > 1 ? "." : "", json_string_value(part));
        } else if (i > 0) {
            fprintf(out, "%s%lld", i > 1 ? "." : "", (long long) json_integer_value(part));
        }
    }
    fprintf(out, ": %s", msg ? msg : "");
}

int
ctl_http_refused(const ctl_t *ctl, const ctl_answer_t *answer)
{
    const json_t *detail = json_object_get(answer->json, "detail"), *fault;
    bool          unknown = ctl->key != NULL && (answer->status == 409 || answer->status >= 500);
    const char   *again = unknown ? ctl_http_again(ctl) : "";
    char         *text = NULL;
    size_t        len, i;
    FILE         *out;
    int           code;

    if (answer->status == 401) {
        return ctl_fail("%s: the API key %s: set API_KEY%s", ctl->command,
                        ctl->api_key ? "was refused" : "is missing",
                        ctl->env_file ? " (`make up` writes it to build/run/env)" : " to one that the service knows");
    }
    if (answer->status == 404 && ctl->nargs > 0) {
        return ctl_fail("%s: order %s does not exist: `foodctl order list` shows those that do", ctl->command,
                        ctl->args[0]);
    }
    if (!json_is_array(detail)) {
        if (!json_is_string(detail) && answer->status >= 500) {
            return ctl_fail("%s: the service has failed (status %ld): look at %s%s", ctl->command, answer->status,
                            ctl_advice(ctl, ctl->order_url, CTL_LOGS), again);
        }
        return ctl_fail("%s: %s (status %ld)%s", ctl->command,
                        json_is_string(detail) ? json_string_value(detail) : "refused; is this address OrderService's?",
                        answer->status, again);
    }
    out = open_memstream(&text, &len);
    if (out == NULL) {
        return ctl_fail("out of memory");
    }
    json_array_foreach(detail, i, fault) {
        fputs(i > 0 ? "; " : "", out);
        ctl_fault_print(out, fault);
    }
    fclose(out);
    code = ctl_misused("%s: %s", ctl->command, text);      /* 422: it was asked for what cannot be */
    free(text);
    return code;
}
