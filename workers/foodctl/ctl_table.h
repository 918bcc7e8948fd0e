/*
 * The table of commands, settings and options: the one source of what foodctl understands, and of what --help, the
 * manual page and the shells' completion say of it.
 */
#ifndef CTL_TABLE_H
#define CTL_TABLE_H

#include "ctl.h"

/* What the words of a value can be, for completion and messages. */
typedef enum {
    CTL_WORDS_NONE = 0,
    CTL_WORDS_FILE,
    CTL_WORDS_STATUS,
    CTL_WORDS_RESPONSE,     /* the statuses that a partner sends */
    CTL_WORDS_PRODUCT,
    CTL_WORDS_QUEUE,        /* there may be others */
    CTL_WORDS_SERVICE,
    CTL_WORDS_SHELL
} ctl_words_e;

/* The i-th word, NULL after the last. */
const char *ctl_word(ctl_words_e words, size_t i);
/* All of them, with ", " between: a static text, valid until the next call. "" where others are possible, too. */
const char *ctl_words_all(ctl_words_e words);
/* Does a partner send it? `created` and a cancel are OrderService's own. */
bool ctl_status_sent(foodsvc_status_e status);

/* What becomes of an option's value: the type of the member at its offset in ctl_t. */
typedef enum {
    CTL_FLAG,               /* bool */
    CTL_TEXT,               /* const char *, borrowed */
    CTL_SETTING,            /* char *, owned */
    CTL_ITEM,               /* one more of ctl->items */
    CTL_STATUS,             /* const char *, the name of a status */
    CTL_SECONDS,            /* int64_t, ms */
    CTL_COUNT,              /* int64_t, at least 1 */
    CTL_ORDER,              /* char[FOODSVC_UUID_TEXT + 1], an order's id, canonical */
    CTL_AGE,                /* int64_t, ms: "90s", "10m", "2h", "1d" */
    CTL_HELP, CTL_VERSION   /* no member */
} ctl_kind_e;

/* Which settings a command uses. */
enum {
    CTL_USES_ORDER = 1 << 0, CTL_USES_PAYMENT = 1 << 1, CTL_USES_KEY = 1 << 2, CTL_USES_CA = 1 << 3,
    CTL_USES_MONGO = 1 << 4, CTL_USES_REDIS = 1 << 5, CTL_USES_AMQP = 1 << 6, CTL_USES_JSON = 1 << 7,
    CTL_USES_PARTNERS = 1 << 8,
    CTL_USES_API = CTL_USES_ORDER | CTL_USES_KEY | CTL_USES_CA | CTL_USES_JSON
};

typedef struct {
    const char  *name;          /* without its hyphens; NULL ends a list */
    const char  *value;         /* what --help calls its value; NULL: it takes none */
    ctl_kind_e   kind;
    size_t       offset;
    ctl_words_e  words;
    const char  *about;
    const char  *variable;      /* settings: the environment's name of it, or NULL */
    unsigned     use;           /* settings: its bit */
} ctl_option_t;

typedef struct {
    const char          *name;      /* one or two words; NULL ends the table */
    const char          *args;      /* NULL: none */
    size_t               min, max;  /* how many */
    ctl_words_e          words[2];  /* what the first and the others may be */
    unsigned             uses;
    const ctl_option_t  *options;
    const char          *about;     /* one sentence */
    const char          *more;      /* paragraphs, parted by a line's end; or NULL. `...` is bold in the manual */
    const char          *example;   /* the arguments of an example, or NULL */
    int                (*run)(ctl_t *ctl);
} ctl_command_t;

extern const ctl_option_t  ctl_settings[];      /* every command takes them; --help names those that it uses */
extern const ctl_command_t ctl_commands[];
/* What foodctl is, where settings come from, what the exit codes mean: for --help and the manual. */
extern const char *const ctl_about, *const ctl_about_settings, *const ctl_about_exit;

/* The command of this name (len bytes), or NULL. */
const ctl_command_t *ctl_command_find(const char *name, size_t len);
/* Is it the first word of commands of two words? */
bool ctl_command_group(const char *word, size_t len);

/* --- ctl_args.c --- */

typedef struct {
    const ctl_command_t *command;   /* NULL: none was named */
    const char          *group;     /* the first word of a command whose second is missing, or NULL */
    bool                 help, version;
} ctl_asked_t;

/* Reads the arguments. CTL_OK or CTL_USAGE: told. */
int ctl_args_read(ctl_t *ctl, int argc, char **argv, ctl_asked_t *asked);

/* --- ctl_help.c --- */

void ctl_help(const ctl_asked_t *asked);

#endif
