/*
 * --help: of foodctl, of a group of commands, of a command.
 */
#include <string.h>
#include "ctl_table.h"
#include "foodsvc_names.h"

#define CTL_WIDTH   79
#define CTL_COLUMN  28      /* where the explanations of options begin */

/* Prints words from column `at` on, broken before CTL_WIDTH, further lines indented. A line's end in it is kept. */
static void
ctl_wrap(const char *text, size_t at, size_t indent)
{
    bool blank = false;     /* one is due before the next word */

    while (*text != '\0') {
        size_t len = strcspn(text, " \n");

        if (at + blank + len > CTL_WIDTH && at > indent) {
            printf("\n%*s", (int) indent, "");
            at = indent;
        } else if (blank) {
            putchar(' ');
            at++;
        }
        fwrite(text, 1, len, stdout);
        at += len;
        text += len;
        if (*text == '\n') {
            printf("\n%*s", (int) indent, "");
            at = indent;
        }
        blank = *text == ' ';
        text += *text != '\0';
    }
    putchar('\n');
}

static void
ctl_help_option(const ctl_option_t *option)
{
    const char *all = ctl_words_all(option->words);
    int         at = printf("  --%s%s%s", option->name, option->value ? " " : "", option->value ? option->value : "");
    char        text[1024];

    if (at >= CTL_COLUMN - 1) {
        putchar('\n');
        at = 0;
    }
    printf("%*s", CTL_COLUMN - at, "");
    snprintf(text, sizeof(text), "%s%s%s%s%s%s", option->about, option->variable ? " (environment: " : "",
             option->variable ? option->variable : "", option->variable ? ")" : "", *all ? "; one of: " : "", all);
    ctl_wrap(text, CTL_COLUMN, CTL_COLUMN);
}

static void
ctl_help_command(const ctl_command_t *command)
{
    printf("Usage: foodctl %s%s%s%s\n\n", command->name, command->options->name ? " [OPTION...]" : "",
           command->args ? " " : "", command->args ? command->args : "");
    ctl_wrap(command->about, 0, 0);
    if (command->more != NULL) {
        ctl_wrap(command->more, 0, 0);
    }
    for (size_t i = 0; i < 2 && i < command->max; i++) {
        const char *all = ctl_words_all(command->words[i]);

        if (*all != '\0' && (i == 0 || command->words[0] != command->words[1])) {
            printf("\n%s\n  ", command->words[i] == CTL_WORDS_SERVICE ? "Services:"
                               : command->words[i] == CTL_WORDS_SHELL ? "Shells:" : "Statuses:");
            ctl_wrap(all, 2, 2);
        }
    }
    if (command->options->name != NULL) {
        puts("\nOptions:");
    }
    for (const ctl_option_t *o = command->options; o->name != NULL; o++) {
        ctl_help_option(o);
    }
    puts("\nSettings:");
    for (const ctl_option_t *o = ctl_settings; o->name != NULL; o++) {
        if (o->use == ~0U || (o->use & command->uses)) {
            ctl_help_option(o);
        }
    }
    if (command->example != NULL) {
        printf("\nExample:\n  foodctl %s\n", command->example);
    }
}

/* prefix: "" for all. */
static void
ctl_help_commands(const char *prefix)
{
    size_t len = strlen(prefix);

    for (const ctl_command_t *c = ctl_commands; c->name != NULL; c++) {
        if (strncmp(c->name, prefix, len) == 0 && (len == 0 || c->name[len] == ' ')) {
            printf("  %s%s%s\n      ", c->name, c->args ? " " : "", c->args ? c->args : "");
            ctl_wrap(c->about, 6, 6);
        }
    }
}

void
ctl_help(const ctl_asked_t *asked)
{
    if (asked->command != NULL) {
        ctl_help_command(asked->command);
        return;
    }
    printf("Usage: foodctl %s%s[ARG...]\n\n", asked->group ? asked->group : "COMMAND",
           asked->group ? " COMMAND " : " ");
    if (asked->group == NULL) {
        ctl_wrap(ctl_about, 0, 0);
        putchar('\n');
    }
    puts("Commands:");
    ctl_help_commands(asked->group ? asked->group : "");
    puts("\n`foodctl COMMAND --help` tells more of one, and so does `foodctl help COMMAND`.");
    if (asked->group == NULL) {
        puts("\nSettings:");
        for (const ctl_option_t *o = ctl_settings; o->name != NULL; o++) {
            ctl_help_option(o);
        }
        putchar('\n');
        ctl_wrap(ctl_about_settings, 0, 0);
        fputs("\nExit codes: ", stdout);
        ctl_wrap(ctl_about_exit, 12, 0);
    }
}
