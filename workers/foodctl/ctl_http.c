/*
 * Calls to OrderService and PaymentService, over libcurl.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <curl/curl.h>
#include "ctl.h"
#include "foodsvc_names.h"

#define CTL_MAX_ANSWER  (64 << 20)
#define CTL_TIMEOUT_MS  30000L

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

static int
ctl_http_unreachable(const char *url, CURLcode code, const char *why)
{
    switch (code) {
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CACERT_BADFILE:
        return ctl_fail("%s: its certificate is not trusted: set CA_CERT to the CA's file (%s)", url, why);
    case CURLE_URL_MALFORMAT:
    case CURLE_UNSUPPORTED_PROTOCOL:
        return ctl_fail("\"%s\" is no address: it must be like https://127.0.0.1:8000", url);
    case CURLE_OPERATION_TIMEDOUT:
        return ctl_fail("%s does not answer in time", url);
    default:
        return ctl_fail("%s cannot be reached: is it running? `make up` starts it (%s)", url, why);
    }
}

bool
ctl_http(const ctl_t *ctl, const char *method, const char *base, const char *path, const char *body, bool quiet,
    ctl_answer_t *answer)
{
    CURL              *easy = curl_easy_init();
    struct curl_slist *headers = curl_slist_append(NULL, "Content-Type: application/json");
    char              *url = NULL, *key = NULL, why[CURL_ERROR_SIZE] = "";
    size_t             len = strlen(base);
    CURLcode           code = CURLE_OUT_OF_MEMORY;

    memset(answer, 0, sizeof(*answer));
    while (len > 0 && base[len - 1] == '/') {
        len--;
    }
    if (easy != NULL && headers != NULL && asprintf(&url, "%.*s%s", (int) len, base, path) >= 0
        && asprintf(&key, "%s: %s", FOODSVC_API_KEY_HEADER, ctl->api_key ? ctl->api_key : "") >= 0)
    {
        if (ctl->api_key != NULL) {
            headers = curl_slist_append(headers, key);
        }
        curl_easy_setopt(easy, CURLOPT_URL, url);
        curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, method);
        if (body != NULL) {
            curl_easy_setopt(easy, CURLOPT_POSTFIELDS, body);
        }
        curl_easy_setopt(easy, CURLOPT_HTTPHEADER, headers);
        curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
        curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, CTL_TIMEOUT_MS);
        curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
        curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, why);
        curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, ctl_http_take);
        curl_easy_setopt(easy, CURLOPT_WRITEDATA, answer);
        if (ctl->ca_cert != NULL) {
            curl_easy_setopt(easy, CURLOPT_CAINFO, ctl->ca_cert);
        }
        code = curl_easy_perform(easy);
        curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &answer->status);
    }
    if (code != CURLE_OK) {
        answer->status = 0;
        if (!quiet) {
            ctl_http_unreachable(base, code, why[0] ? why : curl_easy_strerror(code));
        }
    } else if (answer->len > 0) {
        answer->json = json_loadb(answer->body, answer->len, JSON_DECODE_ANY, NULL);
    }
    curl_slist_free_all(headers);
    curl_easy_cleanup(easy);
    free(url);
    free(key);
    return code == CURLE_OK;
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
ctl_http_refused(const char *what, const ctl_answer_t *answer)
{
    const json_t *detail = json_object_get(answer->json, "detail"), *fault;
    char         *text = NULL;
    size_t        len, i;
    FILE         *out;
    int           code;

    if (answer->status == 401) {
        return ctl_fail("%s: the API key was refused: set API_KEY (`make up` writes it to build/run/env)", what);
    }
    if (!json_is_array(detail)) {
        return ctl_fail("%s: %s (status %ld)", what, json_is_string(detail) ? json_string_value(detail) : "refused",
                        answer->status);
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
    code = ctl_fail("%s: %s", what, text);
    free(text);
    return code;
}

void
ctl_print_json(const json_t *value)
{
    char *text = json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY | JSON_REAL_PRECISION(15));

    puts(text ? text : "null");
    free(text);
}
