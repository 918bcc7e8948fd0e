/*
 * foodctl: the operator's and developer's command line. One process, one thread, one command.
 *
 * ctl_table.c has the table of commands; arguments (ctl_args.c), --help (ctl_help.c), the manual page (ctl_manual.c)
 * and the shells' completion (ctl_complete.c) all come from it. Each command is a function that returns the exit
 * code: 0 done, 1 failed, 2 wrongly asked. It prints its result on standard output and, when it fails, one line on
 * standard error that says what went wrong and what to do.
 */
#ifndef CTL_H
#define CTL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <jansson.h>
#include "foodsvc_order.h"

enum { CTL_OK = 0, CTL_FAILED = 1, CTL_USAGE = 2 };

#define CTL_MAX_ARGS    64

typedef struct {
    /* settings: flags, else the environment, else build/run/env; NULL when none has it */
    char        *order_url, *payment_url, *api_key, *ca_cert, *mongo_url, *redis_url, *amqp_url, *partner_allow;
    char        *env_file;              /* the build/run/env that was found, or NULL */
    json_t      *down;                  /* without it: the ports of a system in build/run that is not up, or NULL */
    unsigned     local;                 /* CTL_USES_... bits of the settings that it has as they are: `make up`'s */
    bool         json;
    /* what the command was given */
    const char  *command;               /* "order place" */
    char        *args[CTL_MAX_ARGS];
    size_t       nargs;
    char        *items[CTL_MAX_ARGS];   /* --item */
    size_t       nitems;
    const char  *customer;              /* --customer */
    const char  *key;                   /* --key, or one that was made; NULL: the request has none */
    const char  *queue;                 /* --queue */
    const char  *until;                 /* --until, a status; NULL: not given */
    int64_t      timeout;               /* --timeout, ms; 0: not given */
    int64_t      count;                 /* --count; 0: not given */
    const char  *reason;                /* --reason */
    const char  *scopes;                /* --scope */
    char         order[FOODSVC_UUID_TEXT + 1];  /* --order; "": not given */
    int64_t      older, newer;          /* --older, --newer, ms; 0: not given */
    int64_t      limit;                 /* --limit; 0: not given */
    int64_t      wait;                  /* --wait, ms; 0: not given */
    bool         quiet, flush, take, once, all, yes;
} ctl_t;

/*
 * Prints "foodctl: ..." on standard error, in one line whatever the texts are: control characters become blanks, and
 * what stands before the @ of a url becomes ***. Returns CTL_FAILED, so that a command can return it.
 */
int ctl_fail(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* From now on what ctl_fail would print is put into why (CTL_WHY bytes), without its "foodctl: "; NULL: no more. */
void ctl_fail_into(char *why);
/* The same; returns CTL_USAGE. */
int ctl_misused(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* The same, of something to know that is no failure. */
void ctl_note(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* --- ctl_settings.c --- */

/* Fills the settings that no flag gave, and follows those of the form file:/path. False: told already. */
bool ctl_settings_load(ctl_t *ctl);
void ctl_settings_free(ctl_t *ctl);
/* The setting, or NULL after telling which variable is missing. */
const char *ctl_need(const ctl_t *ctl, const char *value, const char *variable);
/*
 * Where a url leads to, for messages: its host and port alone, in a static buffer. What is no host and port may be a
 * password, and is not repeated.
 */
const char *ctl_place(const char *url);

typedef enum {
    CTL_START,      /* "`make start-mongo` starts it", "`systemctl status mongod` on its host tells" */
    CTL_LOOK,       /* "`make status`", "`systemctl status mongod` on its host" */
    CTL_LOGS        /* "`make logs`", "`journalctl -u mongod` on its host" */
} ctl_advice_e;

/*
 * What to do about the server that a url of ctl's leads to: with make where build/run/env has that url, or where
 * `make up` had it before `make down`; else what an operator of a production host does. A static text.
 */
const char *ctl_advice(const ctl_t *ctl, const char *url, ctl_advice_e what);

/* --- ctl_print.c --- */

/* Colours are wanted: standard output is a terminal that knows them, and NO_COLOR is not set. */
bool ctl_colours(void);
/* The text, which may be anybody's, green or red where colours are wanted. */
void ctl_paint(const char *text, bool good);
/* Prints JSON in one line (--json) and a line's end. */
void ctl_print_json(const json_t *value);
/* The same; takes the reference. */
void ctl_print_json_new(json_t *value);
/* The same in several lines, for people. */
void ctl_print_json_lines(const json_t *value);
/* JSON that is written already, and a line's end. */
void ctl_print_json_text(const char *text);
/*
 * Bytes of anybody's: what is no printable UTF-8 becomes \xNN, so that they can't speak to the terminal. All that comes
 * from a server is printed by this one or the next. Returns how many columns it took.
 */
size_t ctl_print_bytes(const char *text, size_t len);
/* A text of anybody's; behind it blanks up to the width. */
void ctl_print_text(const char *text, size_t width);

#define CTL_AGE_TEXT    24

/* "45s", "12m", "3h", "2d": a time that went by, cut to its largest unit. Returns text. */
char *ctl_age_format(int64_t ms, char text[CTL_AGE_TEXT]);

/* --- ctl_http.c --- */

typedef struct {
    long    status;             /* 0: no answer */
    char   *body;               /* owned; NULL when it was empty */
    size_t  len;
    json_t *json;               /* owned; NULL when the body is no JSON */
} ctl_answer_t;

#define CTL_WHY     1024

/*
 * Calls base + path with the API key. With ctl->key as its Idempotency-Key a call that may have come there and was not
 * answered is made once more. False: no answer, and why says so and what to do.
 */
bool ctl_http(const ctl_t *ctl, const char *method, const char *base, const char *path, const char *body,
    ctl_answer_t *answer, char why[CTL_WHY]);
void ctl_answer_free(ctl_answer_t *answer);
/* Tells why an answer is not what was wanted. Returns CTL_FAILED. */
int ctl_http_refused(const ctl_t *ctl, const ctl_answer_t *answer);

/* --- ctl_order.c --- */

/* The canonical id; false: told. */
bool ctl_order_id(const char *text, char id[FOODSVC_UUID_TEXT + 1]);
/* Asks OrderService for an order. CTL_OK: the caller frees the answer. Else: told. */
int ctl_order_get(const ctl_t *ctl, const char *id, ctl_answer_t *answer);

/* --- commands --- */

int ctl_order_place(ctl_t *ctl);
int ctl_order_show(ctl_t *ctl);
int ctl_order_list(ctl_t *ctl);
int ctl_order_cancel(ctl_t *ctl);
int ctl_order_delete(ctl_t *ctl);
int ctl_order_watch(ctl_t *ctl);
int ctl_order_repair(ctl_t *ctl);
int ctl_order_refund(ctl_t *ctl);
int ctl_health(ctl_t *ctl);
int ctl_urls_load(ctl_t *ctl);
int ctl_urls_list(ctl_t *ctl);
int ctl_urls_flush(ctl_t *ctl);
int ctl_cache_list(ctl_t *ctl);
int ctl_cache_show(ctl_t *ctl);
int ctl_cache_flush(ctl_t *ctl);
int ctl_queue_send(ctl_t *ctl);
int ctl_queue_listen(ctl_t *ctl);
int ctl_respond(ctl_t *ctl);
int ctl_stuck(ctl_t *ctl);
int ctl_dead_list(ctl_t *ctl);
int ctl_dead_show(ctl_t *ctl);
int ctl_dead_redrive(ctl_t *ctl);
int ctl_dead_drop(ctl_t *ctl);
int ctl_keys_new(ctl_t *ctl);
int ctl_completion(ctl_t *ctl);
int ctl_manual(ctl_t *ctl);

#endif
