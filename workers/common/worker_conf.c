/*
 * Every option has a slot with the texts that the strongest source so far gave it, and where each came from. Flags
 * are kept apart, since a reload applies them again over the file's new content. Only when all sources are read are
 * the slots converted, into a fresh copy of the values; so a configuration is taken as a whole or not at all.
 */
#include <argp.h>
#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "foodsvc_buf.h"
#include "foodsvc_names.h"
#include "worker_conf_value.h"

#define EXIT_USAGE      2
#define FLAG_BASE       1000        /* argp keys of options; those of --config and --check lie below */
#define FLAG_CONFIG     900
#define FLAG_CHECK      901
#define LINE_BYTES      4096
#define WHERE_BYTES     320

typedef enum { RANK_DEFAULT, RANK_FILE, RANK_ENVIRONMENT, RANK_FLAG } rank_e;

typedef struct {
    char   *text;
    char   *where;
    rank_e  rank;
} given_t;

typedef struct {
    given_t *given;
    size_t   n;
} slot_t;

struct worker_conf_s {
    const worker_conf_program_t *program;
    size_t      noptions;
    char       *values;
    char       *file;               /* --config, or NULL */
    slot_t     *flags;              /* by option */
    bool        check_only;
    char      **args;
    char        kept[ERR_BYTES];
};


static void slot_clear(slot_t *slot)
{
    for (size_t i = 0; i < slot->n; i++) {
        free(slot->given[i].text);
        free(slot->given[i].where);
    }
    free(slot->given);
    *slot = (slot_t) { 0 };
}


/* A stronger source replaces what weaker ones gave. False: the same source gave it before. */
static bool slot_add(slot_t *slot, const char *text, const char *where, rank_e rank)
{
    bool  first = slot->n == 0 || slot->given[0].rank != rank;

    if (first) {
        slot_clear(slot);
    }
    slot->given = worker_conf_must(realloc(slot->given, (slot->n + 1) * sizeof(given_t)));
    slot->given[slot->n++] = (given_t) { worker_conf_must(strdup(text)), worker_conf_must(strdup(where)), rank };
    return first;
}


static slot_t *slots_new(size_t n)
{
    return worker_conf_must(calloc(n + 1, sizeof(slot_t)));
}


static void slots_free(slot_t *slots, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        slot_clear(&slots[i]);
    }
    free(slots);
}


/* --- the sources --- */

static size_t option_find(const worker_conf_t *conf, const char *key)
{
    size_t  i = 0;

    while (i < conf->noptions && strcmp(conf->program->options[i].key, key) != 0) {
        i++;
    }
    return i;
}


static bool read_line(const worker_conf_t *conf, slot_t *slots, char *line, const char *where, char *err, size_t errlen)
{
    char    *key = worker_conf_trim(line), *value = strchr(key, '=');
    size_t   i;

    if (*key == '\0' || *key == '#') {
        return true;
    }
    if (value == NULL) {
        snprintf(err, errlen, "%s: expected `key = value`", where);
        return false;
    }
    *value++ = '\0';
    key = worker_conf_trim(key);
    value = worker_conf_trim(value);
    i = option_find(conf, key);
    if (i == conf->noptions) {
        snprintf(err, errlen, "%s: unknown key \"%.64s\"; --help lists the keys", where, key);
        return false;
    }
    if (!slot_add(&slots[i], value, where, RANK_FILE) && conf->program->options[i].type != WORKER_CONF_LIST) {
        snprintf(err, errlen, "%s: %s is given twice, first at %s; remove one", where, key, slots[i].given[0].where);
        return false;
    }
    return true;
}


static bool read_config(const worker_conf_t *conf, slot_t *slots, char *err, size_t errlen)
{
    char      line[LINE_BYTES], where[WHERE_BYTES];
    unsigned  number = 0;
    bool      ok = true;
    FILE     *file;

    if (conf->file == NULL) {
        return true;
    }
    file = fopen(conf->file, "re");
    if (file == NULL) {
        snprintf(err, errlen, "%s: %s; give a readable file to --config", conf->file, strerror(errno));
        return false;
    }
    while (ok && fgets(line, sizeof(line), file)) {
        snprintf(where, sizeof(where), "%s:%u", conf->file, ++number);
        if (strchr(line, '\n') == NULL && !feof(file)) {
            snprintf(err, errlen, "%s: the line is longer than %d bytes; shorten it", where, LINE_BYTES - 2);
            ok = false;
        } else {
            ok = read_line(conf, slots, line, where, err, errlen);
        }
    }
    if (ok && ferror(file)) {
        snprintf(err, errlen, "%s: %s", conf->file, strerror(errno));
        ok = false;
    }
    fclose(file);
    return ok;
}


static void read_environment(const worker_conf_t *conf, slot_t *slots)
{
    char  name[128];

    for (size_t i = 0; i < conf->noptions; i++) {
        const char  *value;
        int          n = snprintf(name, sizeof(name), "FOODSVC_%s", conf->program->options[i].key);

        for (int k = 0; k < n; k++) {
            name[k] = (char) toupper((unsigned char) name[k]);
        }
        value = getenv(name);
        if (value) {
            slot_add(&slots[i], value, name, RANK_ENVIRONMENT);
        }
    }
}


/* --- from texts to values --- */

static void values_free(const worker_conf_t *conf, char *values)
{
    for (size_t i = 0; i < conf->noptions; i++) {
        worker_conf_value_free(&conf->program->options[i], values + conf->program->options[i].offset);
    }
}


static bool fill_one(const worker_conf_option_t *option, slot_t *slot, void *value, char *err, size_t errlen)
{
    char  why[ERR_BYTES];

    if (slot->n == 0 && option->value) {
        slot_add(slot, option->value, "the default", RANK_DEFAULT);
    }
    if (option->needed && (slot->n == 0 || slot->given[0].text[0] == '\0')) {
        snprintf(err, errlen, "%s is not set; put `%s = ...` into the configuration file", option->key, option->key);
        return false;
    }
    /* A flag or environment variable given several times: the last counts, as everywhere. */
    for (size_t i = option->type == WORKER_CONF_LIST || slot->n == 0 ? 0 : slot->n - 1; i < slot->n; i++) {
        if (!worker_conf_convert(option, slot->given[i].text, value, why, sizeof(why))) {
            snprintf(err, errlen, "%s: %s: %s", slot->given[i].where, option->key, why);
            return false;
        }
    }
    return true;
}


/* What the file holds may be quoted in err, cut at any byte: what is no printable text becomes '?'. */
static void make_printable(char *err)
{
    size_t  len = strlen(err), n;

    for (char *c = err; *c; c += n) {
        n = foodsvc_utf8_char(c, len - (size_t) (c - err));
        if (n <= 1 && (n == 0 || !isprint((unsigned char) *c))) {
            *c = '?';
            n = 1;
        } else if (n == 2 && (unsigned char) c[0] == 0xC2 && (unsigned char) c[1] < 0xA0) {     /* C1 */
            c[0] = c[1] = '?';
        }
    }
}


/* Everything again, from all sources, into zeroed `values`. */
static bool load(const worker_conf_t *conf, char *values, char *err, size_t errlen)
{
    slot_t  *slots = slots_new(conf->noptions);
    bool     ok = read_config(conf, slots, err, errlen);

    memset(values, 0, conf->program->size);
    read_environment(conf, slots);
    for (size_t i = 0; ok && i < conf->noptions; i++) {
        const worker_conf_option_t  *option = &conf->program->options[i];

        for (size_t k = 0; k < conf->flags[i].n; k++) {
            slot_add(&slots[i], conf->flags[i].given[k].text, conf->flags[i].given[k].where, RANK_FLAG);
        }
        ok = fill_one(option, &slots[i], values + option->offset, err, errlen);
    }
    if (ok && conf->program->check) {
        char  why[ERR_BYTES];

        ok = conf->program->check(values, why, sizeof(why));
        if (!ok) {
            snprintf(err, errlen, "%s%s%s", conf->file ? conf->file : "", conf->file ? ": " : "", why);
        }
    }
    slots_free(slots, conf->noptions);
    if (!ok) {
        make_printable(err);
        values_free(conf, values);
    }
    return ok;
}


/* --- flags --- */

static error_t parse_flag(int key, char *arg, struct argp_state *argp)
{
    worker_conf_t  *conf = argp->input;
    size_t          i = (size_t) (key - FLAG_BASE);
    char            where[WHERE_BYTES];

    if (key == FLAG_CONFIG) {
        free(conf->file);
        conf->file = worker_conf_must(strdup(arg));
        return 0;
    }
    if (key == FLAG_CHECK) {
        conf->check_only = true;
        return 0;
    }
    if (key == ARGP_KEY_ARG) {
        if (conf->program->args == NULL) {
            argp_error(argp, "unexpected argument \"%s\"", arg);
        }
        conf->args = argp->argv + argp->next - 1;
        argp->next = argp->argc;
        return 0;
    }
    if (key >= FLAG_BASE && i < conf->noptions) {
        int  n = snprintf(where, sizeof(where), "--%s", conf->program->options[i].key);

        for (int k = 2; k < n; k++) {
            where[k] = where[k] == '_' ? '-' : where[k];
        }
        slot_add(&conf->flags[i], arg ? arg : "on", where, RANK_FLAG);
        return 0;
    }
    return ARGP_ERR_UNKNOWN;
}


static const char *flag_value_name(const worker_conf_option_t *option)
{
    switch (option->type) {
    case WORKER_CONF_PATH: return "FILE";
    case WORKER_CONF_INT: case WORKER_CONF_REAL: return "N";
    case WORKER_CONF_MS: return "TIME";
    case WORKER_CONF_BOOL: return "on|off";
    case WORKER_CONF_NAME: return "NAME";
    default: return "TEXT";
    }
}


static void add_flag(struct argp_option *flag, const worker_conf_option_t *option, int key)
{
    char  *name = worker_conf_must(strdup(option->key)), *help = NULL;

    for (char *c = name; *c; c++) {
        *c = *c == '_' ? '-' : *c;
    }
    if (option->value && *option->value && option->type != WORKER_CONF_SECRET) {
        if (asprintf(&help, "%s (default: %s)", option->help, option->value) < 0) {
            help = NULL;
        }
    } else {
        help = strdup(option->help);
    }
    *flag = (struct argp_option) {
        .name = name, .key = key, .arg = flag_value_name(option), .doc = worker_conf_must(help),
        .flags = option->type == WORKER_CONF_BOOL ? OPTION_ARG_OPTIONAL : 0
    };
}


static void parse_flags(worker_conf_t *conf, int argc, char **argv)
{
    struct argp_option  *flags = worker_conf_must(calloc(conf->noptions + 3, sizeof(*flags)));
    struct argp          argp = { .options = flags, .parser = parse_flag, .args_doc = conf->program->args };
    char                *doc = NULL, *version = NULL;
    size_t               n;

    if (asprintf(&doc, "%s\vEach setting is also a key of the configuration file (`key = value`, with _ for -) and an "
                 "environment variable (FOODSVC_KEY). Flags win over the environment, the environment over the file. "
                 "`file:/path` as a value stands for the first line of that file.", conf->program->about) < 0
        || asprintf(&version, "%s %s", conf->program->name, FOODSVC_VERSION) < 0)
    {
        worker_conf_must(NULL);
    }
    flags[0] = (struct argp_option) { .name = "config", .key = FLAG_CONFIG, .arg = "FILE",
                                      .doc = "configuration file" };
    flags[1] = (struct argp_option) { .name = "check", .key = FLAG_CHECK, .doc = "check the configuration and exit" };
    for (n = 0; n < conf->noptions; n++) {
        add_flag(&flags[n + 2], &conf->program->options[n], FLAG_BASE + (int) n);
    }
    argp.doc = doc;
    argp_program_version = version;
    argp_err_exit_status = EXIT_USAGE;
    argp_parse(&argp, argc, argv, ARGP_IN_ORDER, NULL, conf);

    for (size_t i = 2; i < n + 2; i++) {
        free((void *) flags[i].name);
        free((void *) flags[i].doc);
    }
    free(flags);
    free(doc);
    argp_program_version = NULL;
    free(version);
}


/* --- the interface --- */

worker_conf_t *worker_conf_open(const worker_conf_program_t *program, int argc, char **argv, void *values, char ***args)
{
    static char    *none[] = { NULL };
    worker_conf_t  *conf = worker_conf_must(calloc(1, sizeof(*conf)));
    const char     *file = getenv("FOODSVC_CONFIG");
    char            err[ERR_BYTES * 2];

    conf->program = program;
    conf->values = values;
    while (program->options[conf->noptions].key) {
        conf->noptions++;
    }
    conf->flags = slots_new(conf->noptions);
    conf->file = file && *file ? worker_conf_must(strdup(file)) : NULL;
    parse_flags(conf, argc, argv);

    if (!load(conf, values, err, sizeof(err))) {
        fprintf(stderr, "%s: %s\n", program->name, err);
        slots_free(conf->flags, conf->noptions);
        free(conf->file);
        free(conf);
        exit(EXIT_USAGE);
    }
    if (conf->check_only) {
        printf("%s: the configuration is fine\n", program->name);
        worker_conf_close(conf);
        exit(0);
    }
    if (args) {
        *args = conf->args ? conf->args : none;
    }
    return conf;
}


bool worker_conf_reload(worker_conf_t *conf, const char **kept, char *err, size_t errlen)
{
    char  *fresh = worker_conf_must(malloc(conf->program->size));

    if (!load(conf, fresh, err, errlen)) {
        free(fresh);
        return false;
    }
    conf->kept[0] = '\0';
    for (size_t i = 0; i < conf->noptions; i++) {
        const worker_conf_option_t  *option = &conf->program->options[i];
        char                        *now = conf->values + option->offset, *then = fresh + option->offset;
        size_t                       len = strlen(conf->kept);

        if (option->reload) {
            worker_conf_value_free(option, now);
            memcpy(now, then, worker_conf_value_size(option));
            continue;
        }
        if (!worker_conf_value_same(option, now, then)) {
            snprintf(conf->kept + len, sizeof(conf->kept) - len, "%s%s", len ? " " : "", option->key);
        }
        worker_conf_value_free(option, then);
    }
    *kept = conf->kept;
    free(fresh);
    return true;
}


void worker_conf_close(worker_conf_t *conf)
{
    values_free(conf, conf->values);
    slots_free(conf->flags, conf->noptions);
    free(conf->file);
    free(conf);
}
