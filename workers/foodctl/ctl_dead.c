/*
 * dead list and dead show; and how dead messages are got and chosen, for ctl_redrive.c, too.
 */
#include <ctype.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include "ctl_dead.h"
#include "foodsvc_names.h"
#include "foodsvc_time.h"

/* --- a message --- */

/* Can it be typed as an argument, as it is? */
static bool
ctl_dead_typable(const char *id, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        if (!isascii(id[i]) || !isgraph((unsigned char) id[i])) {
            return false;
        }
    }
    return len > 0 && len < CTL_DEAD_ID && id[0] != '-';
}

static void
ctl_dead_read(ctl_dead_t *dead)
{
    const json_t *json = dead->message.json, *body = json_object_get(json, "body");
    const json_t *id = json_object_get(json, "message_id");
    const json_t *first = ctl_message_header(&dead->message, FOODSVC_AMQP_FIRST);
    uint64_t      hash = ctl_hash(CTL_HASH_BEGIN, dead->message.body.bytes, dead->message.body.len);

    dead->order = json_string_value(json_object_get(json_object_get(body, "metadata"), "order_id"));
    dead->status = json_string_value(json_object_get(body, "status"));
    dead->reason = json_string_value(ctl_message_header(&dead->message, FOODSVC_AMQP_REASON));
    dead->attempts = json_integer_value(ctl_message_header(&dead->message, FOODSVC_AMQP_ATTEMPTS));
    if (json_is_string(first)) {
        hash = ctl_hash(hash, json_string_value(first), json_string_length(first));
        if (!foodsvc_time_parse(json_string_value(first), json_string_length(first), &dead->first)) {
            dead->first = 0;
        }
    }
    dead->print = hash;
    if (json_is_string(id) && ctl_dead_typable(json_string_value(id), json_string_length(id))) {
        snprintf(dead->id, sizeof(dead->id), "%s", json_string_value(id));
        dead->print = ctl_hash(hash, dead->id, strlen(dead->id));
    } else {
        snprintf(dead->id, sizeof(dead->id), "h%016" PRIx64, hash);
    }
}

static int64_t
ctl_dead_age(const ctl_dead_t *dead)
{
    int64_t age = foodsvc_time_now() - dead->first;

    return age > 0 ? age : 0;
}

json_t *
ctl_dead_json(const ctl_dead_t *dead)
{
    char    first[FOODSVC_TIME_TEXT + 1] = "";
    json_t *json = json_pack("{s:s, s:s?, s:s?, s:s?, s:I}", "id", dead->id, "order", dead->order, "status",
                             dead->status, "reason", dead->reason, "attempts", (json_int_t) dead->attempts);

    if (dead->first > 0) {
        foodsvc_time_format(dead->first, first);
    }
    json_object_set_new(json, "first", dead->first > 0 ? json_string(first) : json_null());
    json_object_set_new(json, "age", dead->first > 0 ? json_integer(ctl_dead_age(dead) / 1000) : json_null());
    return json;
}

void
ctl_dead_line(const ctl_dead_t *dead)
{
    ctl_print_text(dead->id, 0);
    if (dead->order != NULL) {
        fputs("  order ", stdout);
        ctl_print_text(dead->order, 0);
    }
    if (dead->status != NULL) {
        fputs("  ", stdout);
        ctl_print_text(dead->status, 0);
    }
    putchar('\n');
}

/* --- getting and choosing --- */

/* Is it one of those that the arguments name? Notes that the name was of use. */
static bool
ctl_dead_named(const ctl_t *ctl, const ctl_dead_t *dead, bool *found)
{
    bool named = ctl->nargs == 0;

    for (size_t i = 0; i < ctl->nargs; i++) {
        if (strcmp(ctl->args[i], dead->id) == 0) {
            found[i] = named = true;
        }
    }
    return named;
}

static bool
ctl_dead_wanted(const ctl_t *ctl, const ctl_dead_t *dead)
{
    return (ctl->reason == NULL || (dead->reason != NULL && strcasestr(dead->reason, ctl->reason) != NULL))
           && (ctl->order[0] == '\0' || (dead->order != NULL && strcasecmp(dead->order, ctl->order) == 0))
           && (ctl->older == 0 || (dead->first > 0 && ctl_dead_age(dead) >= ctl->older))
           && (ctl->newer == 0 || (dead->first > 0 && ctl_dead_age(dead) < ctl->newer));
}

static int
ctl_dead_choose(ctl_deads_t *deads)
{
    const ctl_t *ctl = deads->ctl;
    bool         found[CTL_MAX_ARGS] = { false };

    for (size_t i = 0; i < deads->n; i++) {
        ctl_dead_t *dead = &deads->all[i];

        dead->chosen = ctl_dead_named(ctl, dead, found) && ctl_dead_wanted(ctl, dead);
        deads->nchosen += dead->chosen;
    }
    for (size_t i = 0; i < ctl->nargs; i++) {
        if (!found[i]) {
            return ctl_fail("%s: there is no message %s among the %s%zu of %s: `foodctl dead list` shows them",
                            ctl->command, ctl->args[i], deads->waiting > deads->n ? "first " : "", deads->n,
                            FOODSVC_QUEUE_DEAD);
        }
    }
    return CTL_OK;
}

int
ctl_dead_open(ctl_deads_t *deads, const ctl_t *ctl)
{
    size_t   limit = ctl->limit > 0 ? (size_t) ctl->limit : CTL_DEAD_LIMIT, bytes = 0;
    uint32_t consumers;
    int      rc = 1;

    *deads = (ctl_deads_t) { .ctl = ctl, .amqp = ctl_amqp_open(ctl) };
    if (deads->amqp == NULL
        || !ctl_message_count(ctl, deads->amqp, FOODSVC_QUEUE_DEAD, &deads->waiting, &consumers))
    {
        return CTL_FAILED;
    }
    limit = deads->waiting < limit ? deads->waiting : limit;
    deads->all = calloc(limit + 1, sizeof(deads->all[0]));
    if (deads->all == NULL) {
        return ctl_fail("out of memory");
    }
    while (deads->n < limit && bytes < CTL_MESSAGE_BYTES) {
        rc = ctl_message_get(ctl, deads->amqp, FOODSVC_QUEUE_DEAD, &deads->all[deads->n].message);
        if (rc <= 0) {
            break;
        }
        ctl_dead_read(&deads->all[deads->n]);
        bytes += deads->all[deads->n++].message.body.len;
    }
    return rc < 0 ? CTL_FAILED : ctl_dead_choose(deads);
}

void
ctl_dead_release(ctl_deads_t *deads)
{
    worker_amqp_close(deads->amqp);
    deads->amqp = NULL;
}

void
ctl_dead_close(ctl_deads_t *deads)
{
    ctl_dead_release(deads);
    for (size_t i = 0; i < deads->n; i++) {
        ctl_message_clear(&deads->all[i].message);
    }
    free(deads->all);
    deads->all = NULL;
    deads->n = 0;
}

void
ctl_dead_note(const ctl_deads_t *deads)
{
    if (deads->waiting > deads->n) {
        ctl_note("only the first %zu of %u messages of %s were looked at: --limit N looks at more", deads->n,
                 deads->waiting, FOODSVC_QUEUE_DEAD);
    }
}

/* --- list, show --- */

static void
ctl_dead_row(const ctl_dead_t *dead)
{
    char age[CTL_AGE_TEXT] = "-";

    if (dead->first > 0) {
        ctl_age_format(ctl_dead_age(dead), age);
    }
    ctl_print_text(dead->id, 36);
    fputs("  ", stdout);
    ctl_print_text(dead->order ? dead->order : "-", 36);
    fputs("  ", stdout);
    ctl_print_text(dead->status ? dead->status : "-", 17);
    printf("  %8" PRId64 "  %-4s  ", dead->attempts, age);
    ctl_print_text(dead->reason ? dead->reason : "-", 0);
    putchar('\n');
}

/* The table's first line; where there is no table, that nothing is found is said, and not left to be guessed. */
static void
ctl_dead_head(const ctl_deads_t *deads)
{
    if (deads->nchosen > 0) {
        printf("%-36s  %-36s  %-17s  ATTEMPTS  AGE   REASON\n", "ID", "ORDER", "STATUS");
    } else if (deads->n > 0) {
        printf("dead: 0 of %zu %s\n", deads->n, deads->n == 1 ? "message" : "messages");
    } else {
        puts("dead: 0 messages");
    }
}

int
ctl_dead_list(ctl_t *ctl)
{
    ctl_deads_t  deads;
    json_t      *list = json_array();
    int          code = ctl_dead_open(&deads, ctl);

    ctl_dead_release(&deads);
    if (code == CTL_OK && !ctl->json) {
        ctl_dead_head(&deads);
    }
    for (size_t i = 0; code == CTL_OK && i < deads.n; i++) {
        if (deads.all[i].chosen && ctl->json) {
            json_array_append_new(list, ctl_dead_json(&deads.all[i]));
        } else if (deads.all[i].chosen) {
            ctl_dead_row(&deads.all[i]);
        }
    }
    if (code == CTL_OK && ctl->json) {
        ctl_print_json(list);
    }
    if (code == CTL_OK) {
        ctl_dead_note(&deads);
    }
    json_decref(list);
    ctl_dead_close(&deads);
    return code;
}

/* All of it: what list has, then the headers, then the body as it is. */
static void
ctl_dead_print(const ctl_dead_t *dead)
{
    static const char *const lines[] = { "id", "order", "status", "reason", "attempts", "first" };
    const json_t            *headers = json_object_get(dead->message.json, "headers"), *value;
    json_t                  *json = ctl_dead_json(dead);
    const char              *key;
    char                     age[CTL_AGE_TEXT];

    for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
        value = json_object_get(json, lines[i]);
        printf("%-10s", lines[i]);
        if (json_is_integer(value)) {
            printf("%lld", (long long) json_integer_value(value));
        } else {
            ctl_print_text(json_is_string(value) ? json_string_value(value) : "-", 0);
        }
        if (dead->first > 0 && strcmp(lines[i], "first") == 0) {
            printf("  (%s ago)", ctl_age_format(ctl_dead_age(dead), age));
        }
        putchar('\n');
    }
    json_object_foreach((json_t *) headers, key, value) {
        fputs("header    ", stdout);
        ctl_print_text(key, 0);
        fputs(": ", stdout);
        if (json_is_string(value)) {
            ctl_print_bytes(json_string_value(value), json_string_length(value));
            putchar('\n');
        } else {
            ctl_print_json(value);
        }
    }
    fputs("body      ", stdout);
    ctl_print_bytes(dead->message.body.bytes, dead->message.body.len);
    putchar('\n');
    json_decref(json);
}

int
ctl_dead_show(ctl_t *ctl)
{
    ctl_deads_t  deads;
    json_t      *json;
    int          code = ctl_dead_open(&deads, ctl);
    size_t       shown = 0;

    ctl_dead_release(&deads);
    for (size_t i = 0; code == CTL_OK && i < deads.n; i++) {
        if (deads.all[i].chosen && ctl->json) {
            json = ctl_dead_json(&deads.all[i]);
            json_object_update_missing(json, deads.all[i].message.json);
            ctl_print_json_new(json);
        } else if (deads.all[i].chosen) {
            fputs(shown++ > 0 ? "\n" : "", stdout);
            ctl_dead_print(&deads.all[i]);
        }
    }
    ctl_dead_close(&deads);
    return code;
}
