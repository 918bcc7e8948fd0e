/*
 * manual: the table of commands as a manual page, in man(7)'s macros.
 */
#include <string.h>
#include "ctl_table.h"
#include "foodsvc_names.h"

#define CTL_MANUAL_DATE "2026-11-23"    /* of the table's last change of weight */
#define CTL_ROFF_LINE   56      /* a line is broken at the first blank behind it */

/* Text for roff: a hyphen is one that can be copied, nothing at a line's begin is a request, `...` is bold, and a
   line's end begins a new paragraph. */
static void
ctl_roff(const char *text)
{
    bool   bold = false;
    size_t at = 0;

    for (; *text != '\0'; text++, at++) {
        if (*text == '`') {
            bold = !bold;
            fputs(bold ? "\\fB" : "\\fR", stdout);
        } else if (*text == '-') {
            fputs("\\-", stdout);
        } else if (*text == '\\') {
            fputs("\\e", stdout);
        } else if (*text == '~') {
            fputs("\\(ti", stdout);
        } else if (*text == '\n' || (*text == ' ' && at > CTL_ROFF_LINE)) {
            fputs(*text == '\n' ? "\n.PP\n" : "\n", stdout);
            at = (size_t) -1;
        } else {
            printf("%s%c", at == 0 && (*text == '.' || *text == '\'') ? "\\&" : "", *text);
        }
    }
}

static void
ctl_roff_line(const char *text)
{
    ctl_roff(text);
    putchar('\n');
}

static void
ctl_manual_option(const ctl_option_t *option)
{
    const char *all = ctl_words_all(option->words);

    fputs(".TP\n\\fB\\-\\-", stdout);
    ctl_roff(option->name);
    fputs("\\fR", stdout);
    if (option->value != NULL) {
        fputs(" \\fI", stdout);
        ctl_roff(option->value);
        fputs("\\fR", stdout);
    }
    putchar('\n');
    ctl_roff(option->about);
    if (option->variable != NULL) {
        printf(" (environment: %s)", option->variable);
    }
    if (*all != '\0') {
        fputs("; one of:\n", stdout);
        ctl_roff(all);
    }
    putchar('\n');
}

static void
ctl_manual_command(const ctl_command_t *command)
{
    const char *all = ctl_words_all(command->words[1] ? command->words[1] : command->words[0]);
    const char *sep = "";

    printf(".SS foodctl %s", command->name);
    if (command->args != NULL) {
        putchar(' ');
        ctl_roff(command->args);
    }
    putchar('\n');
    ctl_roff_line(command->about);
    if (command->more != NULL) {
        fputs(".PP\n", stdout);
        ctl_roff_line(command->more);
    }
    if (*all != '\0') {
        fputs(".PP\nOne of:\n", stdout);
        ctl_roff(all);
        fputs(".\n", stdout);
    }
    for (const ctl_option_t *o = command->options; o->name != NULL; o++) {
        ctl_manual_option(o);
    }
    if (command->uses != 0) {
        fputs(".PP\nSettings:\n", stdout);
        for (const ctl_option_t *o = ctl_settings; o->name != NULL; o++) {
            if (o->use != ~0U && (o->use & command->uses)) {
                printf("%s\\fB\\-\\-", sep);
                ctl_roff(o->name);
                fputs("\\fR", stdout);
                sep = ", ";
            }
        }
        fputs(".\n", stdout);
    }
}

int
ctl_manual(ctl_t *ctl)
{
    printf(".\\\" Made by `foodctl manual` from the table of its commands.\n"
           ".TH FOODCTL 1 \"%s\" \"foodsvc %s\" \"foodsvc\"\n"
           ".nh\n"
           ".SH NAME\nfoodctl \\- the command line of foodsvc\n"
           ".SH SYNOPSIS\n\\fBfoodctl\\fR [\\fIOPTION\\fR...] \\fICOMMAND\\fR [\\fIARG\\fR...]\n"
           ".SH DESCRIPTION\n", CTL_MANUAL_DATE, FOODSVC_VERSION);
    ctl_roff_line(ctl_about);
    puts(".SH COMMANDS");
    for (const ctl_command_t *c = ctl_commands; c->name != NULL; c++) {
        ctl_manual_command(c);
    }
    puts(".SH SETTINGS");
    ctl_roff_line(ctl_about_settings);
    for (const ctl_option_t *o = ctl_settings; o->name != NULL; o++) {
        ctl_manual_option(o);
    }
    puts(".SH ENVIRONMENT");
    puts("Beside the settings' variables:\n.TP\n.B NO_COLOR\nwhen it is set and not empty, there are no colours;\n"
         "neither are there where standard output is no terminal");
    puts(".SH FILES\n.TP\n.I build/run/env\nwhat \\fBmake up\\fR writes: the addresses, the key and the passwords\n"
         "of the system that it started");
    puts(".SH EXIT STATUS");
    ctl_roff_line(ctl_about_exit);
    puts(".SH EXAMPLES");
    for (const ctl_command_t *c = ctl_commands; c->name != NULL; c++) {
        if (c->example != NULL) {
            fputs(".TP\n.B foodctl ", stdout);
            ctl_roff_line(c->example);
            ctl_roff_line(c->about);
        }
    }
    return CTL_OK;
}
