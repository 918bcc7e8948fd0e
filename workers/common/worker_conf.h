/*
 * Configuration of a worker: a table of options, filled from defaults, a file, the environment and flags; the later
 * wins.
 *
 *   file         `key = value` lines; a line whose first character is `#` is a comment; blanks around both are dropped
 *   environment  FOODSVC_<KEY>, for instance FOODSVC_MONGO_URL
 *   flags        --<key> with hyphens, for instance --mongo-url=...
 *
 * A text value `file:/path` stands for the first line of that file, so that passwords stay out of configuration and
 * of the process list. Errors name where the value came from and what would be right, and never quote a secret. Main
 * thread only.
 */
#ifndef WORKER_CONF_H
#define WORKER_CONF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef enum {
    WORKER_CONF_TEXT,       /* char *; `file:` is followed */
    WORKER_CONF_SECRET,     /* the same, never shown */
    WORKER_CONF_PATH,       /* char *; a file that must be readable when it is given */
    WORKER_CONF_INT,        /* int64_t, min..max */
    WORKER_CONF_MS,         /* int64_t milliseconds, min..max; "500ms", "10s", "5m", "1h"; a bare number is seconds */
    WORKER_CONF_REAL,       /* double, min..max */
    WORKER_CONF_BOOL,       /* bool; on/off, yes/no, true/false, 1/0; as a flag without a value: on */
    WORKER_CONF_NAME,       /* int: the index into `names` */
    WORKER_CONF_LIST        /* worker_conf_list_t; the key may be repeated; each source replaces the one before it */
} worker_conf_type_e;

typedef struct {
    char  **items;          /* owned by the values */
    size_t  nitems;
} worker_conf_list_t;

/* Returns false with what is wrong and what would be right in err. */
typedef bool (*worker_conf_check_f)(const char *value, char *err, size_t errlen);

typedef struct {
    const char          *key;           /* NULL ends the table */
    worker_conf_type_e   type;
    size_t               offset;        /* of the member in the program's struct */
    /* the default as text; NULL: none (text is NULL then); "" with `needed` makes no sense */
    const char          *value;
    const char          *help;          /* for --help; the default is added */
    int64_t              min, max;      /* INT, MS, REAL; both 0: no limits but >= 0 */
    const char *const   *names;         /* NAME: NULL-terminated */
    worker_conf_check_f  check;         /* TEXT, SECRET, LIST (each item): may be NULL */
    bool                 needed;        /* must be given */
    bool                 reload;        /* taken over by worker_conf_reload() */
} worker_conf_option_t;

typedef struct {
    const char                 *name;       /* "foodsvc-orderd" */
    const char                 *about;      /* one or two sentences for --help */
    /* what follows the flags, for --help ("COMMAND [ARG...]"), or NULL: nothing may */
    const char                 *args;
    const worker_conf_option_t *options;
    size_t                      size;       /* of the program's struct */
    bool                      (*check)(void *values, char *err, size_t errlen);     /* across options; may be NULL */
} worker_conf_program_t;

typedef struct worker_conf_s worker_conf_t;

/*
 * Parses and fills `values` (program->size bytes, whatever was in them). --help, --version, --check and errors end
 * the process (0, 0, 0 and 2). The first argument that is no flag ends the flags: it and the rest are *args
 * (NULL-terminated, borrowed from argv); may be NULL when program->args is NULL.
 */
worker_conf_t *worker_conf_open(const worker_conf_program_t *program, int argc, char **argv, void *values,
                                char ***args);

/*
 * Reads file and environment again (flags stay). Takes over the options marked `reload`; lists in *kept (a static
 * text, "" when none) the keys that changed but need a restart. False with err, and nothing changed, when anything is
 * wrong. Pointers that were taken from `values` before are invalid afterwards when their option is marked `reload`.
 */
bool worker_conf_reload(worker_conf_t *conf, const char **kept, char *err, size_t errlen);

/* Frees the texts in values, too. */
void worker_conf_close(worker_conf_t *conf);

/* The first line of a file, without the line's end; the caller frees. NULL with err. */
char *worker_conf_first_line(const char *path, char *err, size_t errlen);

#endif
