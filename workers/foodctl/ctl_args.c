/*
 * Reads the arguments by the table: `foodctl [OPTION...] COMMAND [ARG...]`. Options of settings may stand anywhere,
 * those of a command behind it; `--` ends them, and `-` alone is an argument.
 */
#include <stdlib.h>
#include <string.h>
#include "ctl_table.h"

typedef struct {
    ctl_t       *ctl;
    ctl_asked_t *asked;
    int          argc, next;
    char       **argv;
    unsigned     given;         /* a bit for each option of the command that had its value */
} ctl_reader_t;

/* What to ask for help about. */
static const char *
ctl_args_topic(const ctl_asked_t *asked)
{
    static char text[64];
    const char *name = asked->command ? asked->command->name : asked->group ? asked->group : "";

    snprintf(text, sizeof(text), "`foodctl %s%s--help`", name, *name ? " " : "");
    return text;
}

static const ctl_option_t *
ctl_args_find(const ctl_option_t *options, const char *name, size_t len)
{
    for (; options != NULL && options->name != NULL; options++) {
        if (strlen(options->name) == len && memcmp(options->name, name, len) == 0) {
            return options;
        }
    }
    return NULL;
}

static int
ctl_args_seconds(const ctl_option_t *option, const char *value, int64_t *ms)
{
    char   *end;
    double  seconds = strtod(value, &end);

    if (end == value || *end != '\0' || !(seconds >= 0.001 && seconds <= 1e6)) {
        return ctl_misused("--%s takes seconds, as --%s 60", option->name, option->name);
    }
    *ms = (int64_t) (seconds * 1000);
    return CTL_OK;
}

static int
ctl_args_count(const ctl_option_t *option, const char *value, int64_t *count)
{
    char *end;

    *count = strtoll(value, &end, 10);
    if (end == value || *end != '\0' || *count < 1 || *count > 1000000000) {
        return ctl_misused("--%s takes a number from 1, as --%s 10", option->name, option->name);
    }
    return CTL_OK;
}

/* "90s", "10m", "2h", "1d". */
static int
ctl_args_age(const ctl_option_t *option, const char *value, int64_t *ms)
{
    static const char units[] = "smhd";
    static const int  seconds[] = { 1, 60, 3600, 86400 };
    size_t            digits = strspn(value, "0123456789");
    const char       *unit = value[digits] != '\0' ? strchr(units, value[digits]) : NULL;
    int64_t           count = strtoll(value, NULL, 10);

    if (digits == 0 || digits > 6 || unit == NULL || value[digits + 1] != '\0' || count == 0) {
        return ctl_misused("--%s takes an age, as --%s 90s, 10m, 2h or 1d", option->name, option->name);
    }
    *ms = count * seconds[unit - units] * 1000;
    return CTL_OK;
}

/* An option without a value. */
static int
ctl_args_flag(ctl_reader_t *reader, const ctl_option_t *option)
{
    if (option->kind == CTL_HELP) {
        reader->asked->help = true;
    } else if (option->kind == CTL_VERSION) {
        reader->asked->version = true;
    } else {
        *(bool *) ((char *) reader->ctl + option->offset) = true;
    }
    return CTL_OK;
}

static int
ctl_args_set(ctl_reader_t *reader, const ctl_option_t *option, char *value)
{
    ctl_t            *ctl = reader->ctl;
    void             *member = (char *) ctl + option->offset;
    foodsvc_status_e  status;

    switch (option->kind) {
    case CTL_SETTING:
        free(*(char **) member);
        *(char **) member = strdup(value);
        return *(char **) member != NULL ? CTL_OK : ctl_fail("out of memory");
    case CTL_ITEM:
        if (ctl->nitems == CTL_MAX_ARGS) {
            return ctl_misused("there may be at most %d --%s", CTL_MAX_ARGS, option->name);
        }
        ctl->items[ctl->nitems++] = value;
        return CTL_OK;
    case CTL_STATUS:
        if (!foodsvc_status_parse(value, strlen(value), &status)) {
            return ctl_misused("\"%s\" is no status: they are %s", value, ctl_words_all(option->words));
        }
        *(const char **) member = foodsvc_status_name(status);
        return CTL_OK;
    case CTL_SECONDS:
        return ctl_args_seconds(option, value, member);
    case CTL_COUNT:
        return ctl_args_count(option, value, member);
    case CTL_ORDER:
        return ctl_order_id(value, member) ? CTL_OK : CTL_USAGE;
    case CTL_AGE:
        return ctl_args_age(option, value, member);
    default:
        if (*value == '\0') {
            return ctl_misused("--%s needs a value that is not empty", option->name);
        }
        *(const char **) member = value;
        return CTL_OK;
    }
}

/* An option of a command has one value, or is one that may be repeated. */
static int
ctl_args_once(ctl_reader_t *reader, const ctl_option_t *option)
{
    unsigned bit;

    if (option->kind == CTL_SETTING || option->kind == CTL_ITEM) {
        return CTL_OK;
    }
    bit = 1u << (option - reader->asked->command->options);
    if (reader->given & bit) {
        return ctl_misused("--%s is given more than once: see %s", option->name, ctl_args_topic(reader->asked));
    }
    reader->given |= bit;
    return CTL_OK;
}

/* text: behind the hyphens. */
static int
ctl_args_option(ctl_reader_t *reader, char *text)
{
    const ctl_command_t *command = reader->asked->command;
    char                *value = strchr(text, '=');
    size_t               len = value ? (size_t) (value - text) : strlen(text);
    const ctl_option_t  *option = ctl_args_find(ctl_settings, text, len);

    if (option == NULL && command != NULL) {
        option = ctl_args_find(command->options, text, len);
    }
    if (option == NULL) {
        return ctl_misused("there is no option --%.*s%s: see %s", (int) len, text,
                           command ? "" : " before the command", ctl_args_topic(reader->asked));
    }
    if (option->value == NULL) {
        return value == NULL ? ctl_args_flag(reader, option)
               : ctl_misused("--%s takes no value: see %s", option->name, ctl_args_topic(reader->asked));
    }
    if (value == NULL && reader->next == reader->argc) {
        return ctl_misused("--%s needs a value, as --%s %s: see %s", option->name, option->name, option->value,
                           ctl_args_topic(reader->asked));
    }
    if (ctl_args_once(reader, option) != CTL_OK) {
        return CTL_USAGE;
    }
    return ctl_args_set(reader, option, value != NULL ? value + 1 : reader->argv[reader->next++]);
}

/* A word that belongs to the command's name. */
static int
ctl_args_command(ctl_reader_t *reader, const char *word)
{
    ctl_asked_t *asked = reader->asked;
    char         name[64];
    int          len;

    len = snprintf(name, sizeof(name), "%s%s%s", asked->group ? asked->group : "", asked->group ? " " : "", word);
    if (len < (int) sizeof(name)) {
        asked->command = ctl_command_find(name, (size_t) len);
        if (asked->command != NULL) {
            return CTL_OK;
        }
        if (asked->group == NULL && ctl_command_group(word, strlen(word))) {
            asked->group = word;
            return CTL_OK;
        }
    }
    return ctl_misused("there is no command \"%s%s%s\": see %s", asked->group ? asked->group : "",
                       asked->group ? " " : "", word, ctl_args_topic(asked));
}

static int
ctl_args_word(ctl_reader_t *reader, char *word)
{
    ctl_t               *ctl = reader->ctl;
    const ctl_command_t *command = reader->asked->command;

    if (command == NULL && reader->asked->group == NULL && !reader->asked->help && strcmp(word, "help") == 0) {
        reader->asked->help = true;         /* `foodctl help order show` is `foodctl order show --help` */
        return CTL_OK;
    }
    if (command == NULL) {
        return ctl_args_command(reader, word);
    }
    if (ctl->nargs == command->max) {
        return ctl_misused("\"%s\" is too much: `foodctl %s` takes %s%s, see %s", word, command->name,
                           command->args ? command->args : "no arguments",
                           command->max == CTL_MAX_ARGS ? " 64 times at most" : "", ctl_args_topic(reader->asked));
    }
    ctl->args[ctl->nargs++] = word;
    return CTL_OK;
}

/* Is something missing? */
static int
ctl_args_complete(const ctl_t *ctl, const ctl_asked_t *asked)
{
    const ctl_command_t *command = asked->command;

    if (command == NULL && asked->group != NULL) {
        return ctl_misused("\"%s\" alone is no command: see %s", asked->group, ctl_args_topic(asked));
    }
    if (command == NULL) {
        return ctl_misused("a command is missing: see %s", ctl_args_topic(asked));
    }
    if (ctl->nargs < command->min) {
        return ctl_misused("`foodctl %s` needs %s: see %s", command->name, command->args, ctl_args_topic(asked));
    }
    if (ctl->json && !(command->uses & CTL_USES_JSON)) {
        return ctl_misused("`foodctl %s` has no JSON to print: leave --json out", command->name);
    }
    return CTL_OK;
}

int
ctl_args_read(ctl_t *ctl, int argc, char **argv, ctl_asked_t *asked)
{
    ctl_reader_t reader = { ctl, asked, argc, 1, argv, 0 };
    bool         options = true;
    int          code = CTL_OK;

    while (code == CTL_OK && reader.next < argc) {
        char *word = argv[reader.next++];

        if (!options || word[0] != '-' || word[1] == '\0') {
            code = ctl_args_word(&reader, word);
        } else if (strcmp(word, "--") == 0) {
            options = false;
        } else if (word[1] == '-') {
            code = ctl_args_option(&reader, word + 2);
        } else if (strcmp(word, "-h") == 0 || strcmp(word, "-?") == 0) {
            asked->help = true;
        } else if (strcmp(word, "-V") == 0) {
            asked->version = true;
        } else {
            code = ctl_misused("there is no option %s: see %s", word, ctl_args_topic(asked));
        }
    }
    if (code == CTL_OK && !asked->help && !asked->version) {
        code = ctl_args_complete(ctl, asked);
    }
    return code;
}
