/*
 * queue listen: the messages of a queue, in rounds of basic.get.
 *
 * Without --take a round gets what waits, hands all of it back (one nack with requeue, which puts each message where it
 * was), and only then prints what the round before did not have: nothing is held while a terminal or a pipe is slow. A
 * message has no identity in AMQP, so rounds are compared as bags of fingerprints. The passive declaration that begins
 * a round says how many messages wait; while there are none, as with a worker that takes them at once, nothing is got.
 * With --take each message is printed, and acknowledged once it is written.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include "ctl_message.h"
#include "foodsvc_names.h"
#include "worker_amqp_state.h"

#define CTL_LISTEN_ROUND    1000            /* messages */
#define CTL_LISTEN_PEEK     500             /* ms between rounds */
#define CTL_LISTEN_TAKE     100

typedef struct {
    const ctl_t              *ctl;
    worker_amqp_t            *amqp;
    const char               *queue;
    uint64_t                  before[CTL_LISTEN_ROUND], now[CTL_LISTEN_ROUND];     /* fingerprints, sorted */
    size_t                    nbefore, nnow;
    int64_t                   printed;
    bool                      told;         /* that there are consumers */
} ctl_listen_t;

/* The body as it is; then what of the headers tells why it is here. */
static void
ctl_message_text(const json_t *json, amqp_bytes_t body)
{
    const char *const  names[] = { FOODSVC_AMQP_REASON, FOODSVC_AMQP_ATTEMPTS, FOODSVC_AMQP_FIRST };
    const json_t      *headers = json_object_get(json, "headers");

    ctl_print_bytes(body.bytes, body.len);
    putchar('\n');
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        const json_t *value = json_object_get(headers, names[i]);

        if (json_is_string(value)) {
            printf("    %s: ", names[i]);
            ctl_print_bytes(json_string_value(value), json_string_length(value));
            putchar('\n');
        } else if (json_is_integer(value)) {
            printf("    %s: %lld\n", names[i], (long long) json_integer_value(value));
        }
    }
}

static uint64_t
ctl_listen_fingerprint(const ctl_message_t *got)
{
    const char *id = json_string_value(json_object_get(got->json, "message_id"));
    uint64_t    hash = ctl_hash(CTL_HASH_BEGIN, got->body.bytes, got->body.len);

    return id != NULL ? ctl_hash(hash, id, strlen(id)) : hash;
}

static void
ctl_listen_print(ctl_listen_t *listen, const ctl_message_t *got)
{
    if (listen->ctl->json) {
        ctl_print_json(got->json);
    } else {
        ctl_message_text(got->json, got->body);
    }
    listen->printed++;
}

static bool
ctl_listen_enough(const ctl_listen_t *listen)
{
    return listen->ctl->count > 0 && listen->printed >= listen->ctl->count;
}

static bool
ctl_listen_flush(const ctl_listen_t *listen)
{
    if (fflush(stdout) != 0) {
        ctl_fail("%s: cannot write the result: %s", listen->ctl->command, strerror(errno));
        return false;
    }
    return true;
}

/* --- rounds: false: told --- */

static bool
ctl_listen_take(ctl_listen_t *listen)
{
    ctl_message_t got = { 0 };
    int       rc = 0;
    bool      ok = true;

    while (ok && !ctl_listen_enough(listen)
           && (rc = ctl_message_get(listen->ctl, listen->amqp, listen->queue, &got)) > 0)
    {
        ctl_listen_print(listen, &got);
        ok = ctl_listen_flush(listen);
        if (ok && amqp_basic_ack(listen->amqp->state, WORKER_AMQP_CHANNEL, got.tag, 0) != AMQP_STATUS_OK) {
            ctl_amqp_lost(listen->ctl);
            ok = false;
        }
        ctl_message_clear(&got);
    }
    return ok && rc >= 0;
}

static int
ctl_listen_compare(const void *a, const void *b)
{
    uint64_t one = *(const uint64_t *) a, other = *(const uint64_t *) b;

    return one < other ? -1 : one > other;
}

/* Was it there before? Each of those before counts once. */
static bool
ctl_listen_seen(ctl_listen_t *listen, uint64_t fingerprint, bool *matched)
{
    uint64_t *at = bsearch(&fingerprint, listen->before, listen->nbefore, sizeof(uint64_t), ctl_listen_compare);
    size_t    i;

    if (at == NULL) {
        return false;
    }
    for (i = (size_t) (at - listen->before); i > 0 && listen->before[i - 1] == fingerprint; i--) {
    }
    for (; i < listen->nbefore && listen->before[i] == fingerprint; i++) {
        if (!matched[i]) {
            matched[i] = true;
            return true;
        }
    }
    return false;
}

/* Gets at most `limit` messages and gives them back. */
static bool
ctl_listen_borrow(ctl_listen_t *listen, ctl_message_t *gots, size_t limit, size_t *n)
{
    size_t bytes = 0;
    int    rc = 0;

    for (*n = 0; *n < limit && bytes < CTL_MESSAGE_BYTES; ++*n) {
        rc = ctl_message_get(listen->ctl, listen->amqp, listen->queue, &gots[*n]);
        if (rc <= 0) {
            break;
        }
        bytes += gots[*n].body.len;
    }
    if (rc >= 0 && *n > 0
        && amqp_basic_nack(listen->amqp->state, WORKER_AMQP_CHANNEL, gots[*n - 1].tag, 1, 1) != AMQP_STATUS_OK)
    {
        ctl_amqp_lost(listen->ctl);
        return false;
    }
    return rc >= 0;
}

static bool
ctl_listen_peek(ctl_listen_t *listen, size_t waiting)
{
    bool       matched[CTL_LISTEN_ROUND] = { false }, ok;
    size_t     n = 0;
    ctl_message_t *gots = calloc(CTL_LISTEN_ROUND, sizeof(*gots));

    if (gots == NULL) {
        ctl_fail("out of memory");
        return false;
    }
    ok = ctl_listen_borrow(listen, gots, waiting < CTL_LISTEN_ROUND ? waiting : CTL_LISTEN_ROUND, &n);
    for (size_t i = 0; i < n; i++) {
        listen->now[i] = ctl_listen_fingerprint(&gots[i]);
        if (ok && !ctl_listen_enough(listen) && !ctl_listen_seen(listen, listen->now[i], matched)) {
            ctl_listen_print(listen, &gots[i]);
        }
        ctl_message_clear(&gots[i]);
    }
    free(gots);
    memcpy(listen->before, listen->now, n * sizeof(listen->now[0]));
    listen->nbefore = n;
    qsort(listen->before, n, sizeof(listen->before[0]), ctl_listen_compare);
    return ok && ctl_listen_flush(listen);
}

static bool
ctl_listen_round(ctl_listen_t *listen)
{
    uint32_t waiting, consumers;

    if (!ctl_message_count(listen->ctl, listen->amqp, listen->queue, &waiting, &consumers)) {
        return false;
    }
    if (!listen->told && !listen->ctl->take && consumers > 0 && isatty(STDERR_FILENO)) {
        ctl_note("%u take the messages of %s as they come; only what waits is shown", consumers, listen->queue);
    }
    listen->told = true;
    return listen->ctl->take ? ctl_listen_take(listen) : ctl_listen_peek(listen, waiting);
}

static int
ctl_listen_loop(ctl_listen_t *listen)
{
    const ctl_t     *ctl = listen->ctl;
    int64_t          deadline = foodsvc_time_monotonic() + ctl->timeout, pause, left;

    for ( ;; ) {
        if (!ctl_listen_round(listen)) {
            return CTL_FAILED;
        }
        if (ctl->once || ctl_listen_enough(listen)) {
            return CTL_OK;
        }
        pause = ctl->take ? CTL_LISTEN_TAKE : CTL_LISTEN_PEEK;
        left = deadline - foodsvc_time_monotonic();
        if (ctl->timeout > 0 && left <= 0) {
            return ctl->count == 0 ? CTL_OK
                   : ctl_fail("%s: %lld of %lld messages came to %s within %.1f s", ctl->command,
                              (long long) listen->printed, (long long) ctl->count, listen->queue,
                              (double) ctl->timeout / 1000);
        }
        pause = ctl->timeout > 0 && left < pause ? left : pause;
        nanosleep(&(struct timespec) { pause / 1000, pause % 1000 * 1000000 }, NULL);
    }
}

int
ctl_queue_listen(ctl_t *ctl)
{
    ctl_listen_t *listen = calloc(1, sizeof(*listen));
    int           code = CTL_FAILED;

    if (listen == NULL) {
        return ctl_fail("out of memory");
    }
    listen->ctl = ctl;
    listen->queue = ctl->nargs > 0 ? ctl->args[0] : FOODSVC_QUEUE;
    if (*listen->queue == '\0' || strlen(listen->queue) > 255) {
        code = ctl_misused("\"%s\" is no queue's name: it must have 1 to 255 characters", listen->queue);
    } else {
        listen->amqp = ctl_amqp_open(ctl);
        code = listen->amqp != NULL ? ctl_listen_loop(listen) : CTL_FAILED;
        worker_amqp_close(listen->amqp);
    }
    free(listen);
    return code;
}
