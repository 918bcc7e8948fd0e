/*
 * Callbacks to PaymentService: one thread that owns libcurl's multi interface. Others put jobs into a list and wake
 * it up. A callback that is not taken (no connection, 5xx, a refused key) waits, 200 ms at first and twice as long
 * each time, up to 10 s, in the scheduler, and comes back. A request that PaymentService says it cannot use (404, 422
 * and the like) is repeated a few times only: it may be early, but it will not become right.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <curl/curl.h>
#include "foodsvc_names.h"
#include "sim.h"

#define SIM_CALLBACK_CONNECTIONS    32
#define SIM_BACKOFF_FIRST           200
#define SIM_BACKOFF_LAST            10000

typedef struct sim_job_s {
    struct sim_job_s  *next;
    sim_callback_t    *callback;
    sim_charge_t      *charge;
    char              *url, *body;
    unsigned           attempt;
} sim_job_t;

struct sim_callback_s {
    sim_t              *sim;
    pthread_t           thread;
    CURLM              *multi;
    struct curl_slist  *headers;
    CURL               *idle[SIM_CALLBACK_CONNECTIONS];     /* the thread's own, as are those below */
    CURL               *active[SIM_CALLBACK_CONNECTIONS];   /* in multi */
    unsigned            nidle, running;
    pthread_mutex_t     lock;           /* all below */
    sim_job_t          *first, **last;
    size_t              waiting;        /* in the list, running, or in the scheduler */
    bool                stopping;
};

static size_t
sim_callback_ignore(char *data, size_t size, size_t n, void *arg)
{
    (void) data;
    (void) arg;
    return size * n;
}

static void
sim_job_free(sim_job_t *job)
{
    pthread_mutex_lock(&job->callback->lock);
    job->callback->waiting--;
    pthread_mutex_unlock(&job->callback->lock);
    free(job->url);
    free(job->body);
    free(job);
}

static void
sim_job_put(sim_job_t *job)
{
    sim_callback_t *callback = job->callback;

    job->next = NULL;
    pthread_mutex_lock(&callback->lock);
    *callback->last = job;
    callback->last = &job->next;
    pthread_mutex_unlock(&callback->lock);
    curl_multi_wakeup(callback->multi);
}

static sim_job_t *
sim_job_take(sim_callback_t *callback)
{
    sim_job_t *job;

    pthread_mutex_lock(&callback->lock);
    job = callback->first;
    if (job != NULL) {
        callback->first = job->next;
        if (job->next == NULL) {
            callback->last = &callback->first;
        }
    }
    pthread_mutex_unlock(&callback->lock);
    return job;
}

static void
sim_job_again(void *arg, bool stopping)
{
    sim_job_t *job = arg;

    if (stopping) {
        sim_job_free(job);
    } else {
        sim_job_put(job);
    }
}

/* All or nothing: what lacks one of these could go without its key, or believe any certificate. */
static bool
sim_job_prepare(const sim_callback_t *callback, CURL *easy, const sim_job_t *job)
{
    const sim_conf_t *conf = &callback->sim->conf;

    curl_easy_reset(easy);
    return curl_easy_setopt(easy, CURLOPT_URL, job->url) == CURLE_OK
        && curl_easy_setopt(easy, CURLOPT_POSTFIELDS, job->body) == CURLE_OK
        && curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE, (long) strlen(job->body)) == CURLE_OK
        && curl_easy_setopt(easy, CURLOPT_HTTPHEADER, callback->headers) == CURLE_OK
        && curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, (long) conf->callback_timeout) == CURLE_OK
        && curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L) == CURLE_OK
        && curl_easy_setopt(easy, CURLOPT_PROXY, "") == CURLE_OK
        && curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https") == CURLE_OK
        && curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, (long) CURL_HTTP_VERSION_1_1) == CURLE_OK
        && curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, sim_callback_ignore) == CURLE_OK
        && curl_easy_setopt(easy, CURLOPT_PRIVATE, job) == CURLE_OK
        /* the file alone: not beside the system's */
        && (conf->ca_file == NULL || (curl_easy_setopt(easy, CURLOPT_CAINFO, conf->ca_file) == CURLE_OK
                                      && curl_easy_setopt(easy, CURLOPT_CAPATH, NULL) == CURLE_OK));
}

/* The address may have changed while the job waited; what was told of the old one is told of the new one, too. */
static void
sim_job_address(sim_job_t *job)
{
    char *url = job->charge == NULL ? NULL : sim_card_address(job->callback->sim, job->charge);

    if (url == NULL || strcmp(url, job->url) == 0) {
        free(url);
        return;
    }
    free(job->url);
    job->url = url;
    job->attempt = 0;
}

static void
sim_job_start(sim_callback_t *callback, sim_job_t *job)
{
    CURL *easy = callback->nidle ? callback->idle[--callback->nidle] : curl_easy_init();

    sim_job_address(job);
    if (easy == NULL || !sim_job_prepare(callback, easy, job)
        || curl_multi_add_handle(callback->multi, easy) != CURLM_OK)
    {
        worker_log(WORKER_LOG_ERROR, "out of memory: a callback waits");
        curl_easy_cleanup(easy);
        sim_sched_in(callback->sim->sched, SIM_BACKOFF_LAST, sim_job_again, job);
        return;
    }
    callback->active[callback->running++] = easy;
}

static int64_t
sim_job_backoff(const sim_job_t *job)
{
    return job->attempt < 6 ? SIM_BACKOFF_FIRST << job->attempt : SIM_BACKOFF_LAST;
}

static void
sim_job_done(sim_callback_t *callback, sim_job_t *job, CURLcode code, long status)
{
    sim_t      *sim = callback->sim;
    bool        taken = code == CURLE_OK && status >= 200 && status < 300;
    bool        hopeless = code == CURLE_OK && status >= 400 && status < 500 && status != 401 && status != 408
        && status != 429;
    const char *order = job->charge ? job->charge->order_id : "";

    job->attempt++;
    if (job->charge != NULL && !taken && !(hopeless && job->attempt >= sim->conf.callback_tries)) {
        if (job->attempt == 1) {
            worker_log(WORKER_LOG_WARN, "a callback was not taken and will be repeated", worker_text("order", order),
                       worker_text("url", job->url), worker_int("status", status),
                       worker_text("error", code == CURLE_OK ? "" : curl_easy_strerror(code)));
        }
        sim_sched_in(sim->sched, sim_job_backoff(job), sim_job_again, job);
        return;
    }
    if (job->charge != NULL) {
        if (!taken) {
            worker_log(WORKER_LOG_ERROR, "a callback is given up: PaymentService refuses it",
                       worker_text("order", order), worker_text("url", job->url),
                       worker_int("status", status), worker_int("attempts", job->attempt));
        }
        sim_card_called(sim, job->charge, taken);
    }
    sim_job_free(job);
}

/* Takes the handle out of multi; returns its job. */
static sim_job_t *
sim_callback_detach(sim_callback_t *callback, CURL *easy)
{
    char *job = NULL;

    curl_easy_getinfo(easy, CURLINFO_PRIVATE, &job);
    curl_multi_remove_handle(callback->multi, easy);
    for (unsigned i = 0; i < callback->running; i++) {
        if (callback->active[i] == easy) {
            callback->active[i] = callback->active[--callback->running];
            break;
        }
    }
    return (sim_job_t *) job;
}

static void
sim_callback_finish(sim_callback_t *callback, CURL *easy, CURLcode code)
{
    sim_job_t *job;
    long       status = 0;

    curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &status);
    job = sim_callback_detach(callback, easy);
    if (callback->nidle < SIM_CALLBACK_CONNECTIONS) {
        callback->idle[callback->nidle++] = easy;
    } else {
        curl_easy_cleanup(easy);
    }
    sim_job_done(callback, job, code, status);
}

static bool
sim_callback_stopping(sim_callback_t *callback)
{
    bool stopping;

    pthread_mutex_lock(&callback->lock);
    stopping = callback->stopping;
    pthread_mutex_unlock(&callback->lock);
    return stopping;
}

static void *
sim_callback_run(void *arg)
{
    sim_callback_t *callback = arg;
    CURLMsg        *message;
    sim_job_t      *job;
    int             n;

    while (!sim_callback_stopping(callback)) {
        while (callback->running < SIM_CALLBACK_CONNECTIONS && (job = sim_job_take(callback)) != NULL) {
            sim_job_start(callback, job);
        }
        curl_multi_perform(callback->multi, &n);
        while ((message = curl_multi_info_read(callback->multi, &n)) != NULL) {
            if (message->msg == CURLMSG_DONE) {
                sim_callback_finish(callback, message->easy_handle, message->data.result);
            }
        }
        pthread_mutex_lock(&callback->lock);
        n = callback->first != NULL && callback->running < SIM_CALLBACK_CONNECTIONS;
        pthread_mutex_unlock(&callback->lock);
        if (!n) {
            curl_multi_poll(callback->multi, NULL, 0, 1000, NULL);
        }
    }
    return NULL;
}

static bool
sim_callback_headers(sim_callback_t *callback, const char *key)
{
    struct curl_slist *list;
    char               line[512];

    callback->headers = curl_slist_append(NULL, "Content-Type: application/json");
    if (callback->headers == NULL) {
        return false;
    }
    list = curl_slist_append(callback->headers, "Expect:");     /* no waiting for "100 Continue" */
    if (list != NULL && key != NULL) {
        snprintf(line, sizeof(line), "%s: %s", FOODSVC_API_KEY_HEADER, key);
        list = curl_slist_append(callback->headers, line);
    }
    return list != NULL;
}

sim_callback_t *
sim_callback_start(sim_t *sim, char *err, size_t errlen)
{
    sim_callback_t *callback = calloc(1, sizeof(*callback));

    if (callback == NULL) {
        snprintf(err, errlen, "out of memory");
        return NULL;
    }
    callback->sim = sim;
    callback->last = &callback->first;
    pthread_mutex_init(&callback->lock, NULL);
    curl_global_init(CURL_GLOBAL_DEFAULT);
    callback->multi = curl_multi_init();
    if (callback->multi == NULL || !sim_callback_headers(callback, sim->conf.api_key)
        || pthread_create(&callback->thread, NULL, sim_callback_run, callback) != 0)
    {
        snprintf(err, errlen, "the thread for callbacks could not be started");
        curl_multi_cleanup(callback->multi);
        curl_slist_free_all(callback->headers);
        free(callback);
        return NULL;
    }
    return callback;
}

void
sim_callback_send(sim_callback_t *callback, const char *url, char *body, sim_charge_t *charge)
{
    sim_job_t *job = calloc(1, sizeof(*job));

    if (job == NULL || (job->url = strdup(url)) == NULL) {
        worker_log(WORKER_LOG_ERROR, "out of memory: a callback is lost");
        free(job);
        free(body);
        return;
    }
    job->callback = callback;
    job->body = body;
    job->charge = charge;
    pthread_mutex_lock(&callback->lock);
    callback->waiting++;
    pthread_mutex_unlock(&callback->lock);
    sim_job_put(job);
}

size_t
sim_callback_waiting(sim_callback_t *callback)
{
    size_t waiting;

    pthread_mutex_lock(&callback->lock);
    waiting = callback->waiting;
    pthread_mutex_unlock(&callback->lock);
    return waiting;
}

void
sim_callback_stop(sim_callback_t *callback)
{
    sim_job_t *job;

    pthread_mutex_lock(&callback->lock);
    callback->stopping = true;
    pthread_mutex_unlock(&callback->lock);
    curl_multi_wakeup(callback->multi);
    pthread_join(callback->thread, NULL);
    while ((job = sim_job_take(callback)) != NULL) {
        sim_job_free(job);
    }
    while (callback->running > 0) {
        CURL *easy = callback->active[0];

        sim_job_free(sim_callback_detach(callback, easy));
        curl_easy_cleanup(easy);
    }
    while (callback->nidle > 0) {
        curl_easy_cleanup(callback->idle[--callback->nidle]);
    }
    curl_multi_cleanup(callback->multi);
    curl_slist_free_all(callback->headers);
    pthread_mutex_destroy(&callback->lock);
    free(callback);
}
