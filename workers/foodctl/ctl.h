/*
 * foodctl: the operator's and developer's command line. One process, one thread, one command.
 *
 * ctl_main.c has the table of commands and reads the arguments; each command is a function that returns the exit
 * code: 0 done, 1 failed, 2 wrongly asked. It prints its result on standard output and, when it fails, one line on
 * standard error that says what went wrong and what to do.
 */
#ifndef CTL_H
#define CTL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <jansson.h>
#include "foodsvc_order.h"

enum { CTL_OK = 0, CTL_FAILED = 1, CTL_USAGE = 2 };

#define CTL_MAX_ARGS    64

typedef struct {
    /* settings: flags, else the environment, else build/run/env; NULL when none has it */
    char        *order_url, *payment_url, *api_key, *ca_cert, *mongo_url, *redis_url, *amqp_url;
    char        *env_file;              /* the build/run/env that was found, or NULL */
    bool         json;
    /* what the command was given */
    const char  *command;               /* "order place" */
    char        *args[CTL_MAX_ARGS];
    size_t       nargs;
    char        *items[CTL_MAX_ARGS];   /* --item */
    size_t       nitems;
    const char  *customer;              /* --customer */
    const char  *queue;                 /* --queue */
    int64_t      timeout;               /* --timeout, ms; 0: not given */
    const char  *until;                 /* --until, a status; NULL: not given */
    bool         quiet, flush;          /* --quiet, --flush */
} ctl_t;

/* Prints "foodctl: ..." on standard error. Returns CTL_FAILED, so that a command can return it. */
int ctl_fail(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* The same; returns CTL_USAGE. */
int ctl_misused(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* --- ctl_settings.c --- */

/* Fills the settings that no flag gave. False: told already. */
bool ctl_settings_load(ctl_t *ctl);
void ctl_settings_free(ctl_t *ctl);
/* The setting, or NULL after telling which variable is missing. */
const char *ctl_need(const ctl_t *ctl, const char *value, const char *variable);
/* Colours are wanted: standard output is a terminal and NO_COLOR is not set. */
bool ctl_colours(void);

/* --- ctl_http.c --- */

typedef struct {
    long    status;             /* 0: no answer, told already unless quiet */
    char   *body;               /* owned; never NULL after an answer */
    size_t  len;
    json_t *json;               /* owned; NULL when the body is no JSON */
} ctl_answer_t;

/* Calls base + path with the API key. False: no answer; told unless quiet. */
bool ctl_http(const ctl_t *ctl, const char *method, const char *base, const char *path, const char *body, bool quiet,
    ctl_answer_t *answer);
void ctl_answer_free(ctl_answer_t *answer);
/* Tells why an answer is not what was wanted, in one line. Returns CTL_FAILED. */
int ctl_http_refused(const char *what, const ctl_answer_t *answer);

/* Prints JSON in one line (--json) and a line's end. */
void ctl_print_json(const json_t *value);

/* --- commands --- */

int ctl_order_place(ctl_t *ctl);
int ctl_order_show(ctl_t *ctl);
int ctl_order_list(ctl_t *ctl);
int ctl_order_cancel(ctl_t *ctl);
int ctl_order_delete(ctl_t *ctl);
int ctl_order_watch(ctl_t *ctl);
int ctl_health(ctl_t *ctl);
int ctl_urls_load(ctl_t *ctl);
int ctl_urls_list(ctl_t *ctl);
int ctl_urls_flush(ctl_t *ctl);
int ctl_cache_show(ctl_t *ctl);
int ctl_queue_send(ctl_t *ctl);
int ctl_respond(ctl_t *ctl);
int ctl_keys_new(ctl_t *ctl);

/* The canonical id; false: told. */
bool ctl_order_id(const char *text, char id[FOODSVC_UUID_TEXT + 1]);

#endif
