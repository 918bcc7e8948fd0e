/*
 * completion: scripts that complete foodctl's arguments in bash and zsh. They hold the table's words, so that nothing
 * is run, and no server asked, while somebody types.
 *
 * bash: one function that finds the command among the words before the cursor (values of options left out), and then
 * offers what may stand at the cursor. zsh: _arguments' own specifications, a function for each group of commands.
 */
#include <string.h>
#include "ctl_table.h"

/* Is it the first of a group of commands of two words? */
static bool
ctl_begins_group(const ctl_command_t *command)
{
    size_t len = strcspn(command->name, " ");

    return command->name[len] == ' '
           && (command == ctl_commands || strncmp(command[-1].name, command->name, len + 1) != 0);
}

/* --- bash --- */

/* A word for the shell: in single quotes. */
static void
ctl_quote(const char *text)
{
    putchar('\'');
    for (; *text != '\0'; text++) {
        fputs(*text == '\'' ? "'\\''" : (char[]) { *text, '\0' }, stdout);
    }
    putchar('\'');
}

static void
ctl_bash_words(ctl_words_e words)
{
    fputs("words=(", stdout);
    for (size_t i = 0; ctl_word(words, i) != NULL; i++) {
        fputs(i > 0 ? " " : "", stdout);
        ctl_quote(ctl_word(words, i));
    }
    fputs(")", stdout);
}

static void
ctl_bash_offer(ctl_words_e words)
{
    if (words == CTL_WORDS_FILE) {
        fputs("files=1", stdout);
    } else {
        ctl_bash_words(words);
    }
}

/* "--a|--b|..." of all options with a value. */
static void
ctl_bash_valued(void)
{
    const char *sep = "";

    for (const ctl_option_t *o = ctl_settings; o->name != NULL; o++) {
        if (o->value != NULL) {
            printf("%s--%s", sep, o->name);
            sep = "|";
        }
    }
    for (const ctl_command_t *c = ctl_commands; c->name != NULL; c++) {
        for (const ctl_option_t *o = c->options; o->name != NULL; o++) {
            if (o->value != NULL) {
                printf("|--%s", o->name);
            }
        }
    }
}

/* What the value of the option before the cursor may be. */
static void
ctl_bash_values(void)
{
    for (const ctl_option_t *o = ctl_settings; o->name != NULL; o++) {
        if (o->words != CTL_WORDS_NONE) {
            printf("        *' --%s') ", o->name);
            ctl_bash_offer(o->words);
            puts(";;");
        }
    }
    for (const ctl_command_t *c = ctl_commands; c->name != NULL; c++) {
        for (const ctl_option_t *o = c->options; o->name != NULL; o++) {
            if (o->words != CTL_WORDS_NONE) {
                printf("        '%s --%s') ", c->name, o->name);
                ctl_bash_offer(o->words);
                puts(";;");
            }
        }
    }
}

static void
ctl_bash_options(const ctl_option_t *options, unsigned uses)
{
    for (const ctl_option_t *o = options; o->name != NULL; o++) {
        if (o->use == 0 || o->use == ~0U || (o->use & uses)) {
            printf(" --%s", o->name);
        }
    }
}

/* What may stand where no command is yet, and behind the first word of some. */
static void
ctl_bash_names(void)
{
    fputs("        '') words=(", stdout);
    for (const ctl_command_t *c = ctl_commands; c->name != NULL; c++) {
        if (strchr(c->name, ' ') == NULL || ctl_begins_group(c)) {
            printf(" %.*s", (int) strcspn(c->name, " "), c->name);
        }
    }
    fputs(" ) options=(", stdout);
    ctl_bash_options(ctl_settings, ~0U);
    puts(" ) ;;");
    for (const ctl_command_t *c = ctl_commands; c->name != NULL; c++) {
        size_t len = strcspn(c->name, " ");

        if (!ctl_begins_group(c)) {
            continue;
        }
        printf("        '%.*s') words=(", (int) len, c->name);
        for (const ctl_command_t *d = c; d->name != NULL && strncmp(d->name, c->name, len + 1) == 0; d++) {
            printf(" %s", d->name + len + 1);
        }
        puts(" ) options=( --help ) ;;");
    }
}

/* What may stand behind a command. */
static void
ctl_bash_commands(void)
{
    ctl_bash_names();
    for (const ctl_command_t *c = ctl_commands; c->name != NULL; c++) {
        printf("        '%s')\n            options=(", c->name);
        ctl_bash_options(c->options, 0);
        ctl_bash_options(ctl_settings, c->uses);
        puts(" )");
        for (size_t i = 0; i < 2 && i < c->max; i++) {
            if (c->words[i] != CTL_WORDS_NONE && (i == 0 || c->words[1] != c->words[0])) {
                printf("            ((nargs %s %zu)) && ", c->max <= 2 ? "==" : ">=", i);
                ctl_bash_offer(c->words[i]);
                putchar('\n');
            }
        }
        puts("            ;;");
    }
}

static void
ctl_bash_groups(void)
{
    for (const ctl_command_t *c = ctl_commands; c->name != NULL; c++) {
        size_t len = strcspn(c->name, " ");

        if (ctl_begins_group(c)) {
            printf("|'%.*s'", (int) len, c->name);
        }
    }
}

static void
ctl_bash(void)
{
    puts("# bash completion of foodctl; made by `foodctl completion bash`\n"
         "_foodctl() {\n"
         "    local word=${COMP_WORDS[COMP_CWORD]} path='' value='' files='' nargs=0 i one\n"
         "    local -a words=() options=()\n"
         "    COMPREPLY=()\n"
         "    for ((i = 1; i < COMP_CWORD; i++)); do\n"
         "        one=${COMP_WORDS[i]}\n"
         "        case $one in");
    fputs("        ", stdout);
    ctl_bash_valued();
    puts(")\n"
         "            [[ ${COMP_WORDS[i+1]} == = ]] && ((i++))      # bash makes a word of the = in --option=value\n"
         "            ((++i >= COMP_CWORD)) && value=$one ;;\n"
         "        -*) ;;\n"
         "        *)\n"
         "            case $path in");
    fputs("            ''", stdout);
    ctl_bash_groups();
    puts(") path=\"${path:+$path }$one\" ;;\n"
         "            *) ((nargs++)) ;;\n"
         "            esac ;;\n"
         "        esac\n"
         "    done\n"
         "    if [[ $value ]]; then\n"
         "        case \"$path $value\" in");
    ctl_bash_values();
    puts("        esac\n"
         "    else\n"
         "        case $path in");
    ctl_bash_commands();
    puts("        esac\n"
         "        [[ $word == -* ]] && words=(\"${options[@]}\") files=''\n"
         "    fi\n"
         "    [[ $word == = ]] && word=''\n"
         "    if [[ $files ]]; then\n"
         "        compopt -o filenames 2>/dev/null\n"
         "        mapfile -t COMPREPLY < <(compgen -f -- \"$word\")\n"
         "    fi\n"
         "    word=${word//\\\\/}\n"
         "    for one in \"${words[@]}\"; do\n"
         "        if [[ $word == [\\\"\\']* ]]; then\n"
         "            [[ $one == \"${word:1}\"* ]] && COMPREPLY+=(\"$one\")\n"
         "        elif [[ $one == \"$word\"* ]]; then\n"
         "            COMPREPLY+=(\"$(printf %q \"$one\")\")\n"
         "        fi\n"
         "    done\n"
         "}\n"
         "complete -F _foodctl foodctl");
}

/* --- zsh --- */

/* Text inside a specification in single quotes: brackets, colons and backslashes are its grammar. */
static void
ctl_zsh_text(const char *text)
{
    for (; *text != '\0'; text++) {
        if (*text == '\'') {
            fputs("'\\''", stdout);
        } else {
            printf("%s%c", strchr("[]:\\", *text) ? "\\" : "", *text);
        }
    }
}

/* `:message:action` */
static void
ctl_zsh_value(const char *message, ctl_words_e words)
{
    putchar(':');
    ctl_zsh_text(message);
    putchar(':');
    if (words == CTL_WORDS_FILE) {
        fputs("_files", stdout);
    } else if (words != CTL_WORDS_NONE) {
        putchar('(');
        for (size_t i = 0; ctl_word(words, i) != NULL; i++) {
            fputs(i > 0 ? " " : "", stdout);
            for (const char *c = ctl_word(words, i); *c != '\0'; c++) {
                printf("%s%c", *c == ' ' ? "\\" : "", *c);
            }
        }
        putchar(')');
    }
}

static void
ctl_zsh_options(const ctl_option_t *options, unsigned uses)
{
    for (const ctl_option_t *o = options; o->name != NULL; o++) {
        if (o->use != 0 && o->use != ~0U && !(o->use & uses)) {
            continue;
        }
        printf(" \\\n            '%s--%s%s[", o->kind == CTL_ITEM ? "*" : "", o->name, o->value ? "=" : "");
        ctl_zsh_text(o->about);
        putchar(']');
        if (o->value != NULL) {
            ctl_zsh_value(o->value, o->words);
        }
        putchar('\'');
    }
}

static void
ctl_zsh_command(const ctl_command_t *command, const char *word)
{
    printf("        %s) _arguments", word);
    ctl_zsh_options(command->options, 0);
    ctl_zsh_options(ctl_settings, command->uses);
    for (size_t i = 0; i < 2 && i < command->max; i++) {
        if (i == 1 && command->max > 2) {
            fputs(" \\\n            '*", stdout);
        } else {
            printf(" \\\n            '%zu", i + 1);
        }
        ctl_zsh_value(command->args, command->words[i]);
        putchar('\'');
    }
    puts(" && ret=0 ;;");
}

/* One function: its words (a group's commands, or the commands and groups), and what comes behind each. */
static void
ctl_zsh_level(const char *group, size_t len)
{
    printf("%s%.*s() {\n    local curcontext=\"$curcontext\" state line ret=1\n    local -a commands=(\n",
           len ? "_foodctl_" : "_foodctl", (int) len, group);
    for (const ctl_command_t *c = ctl_commands; c->name != NULL; c++) {
        size_t first = strcspn(c->name, " ");

        if (len > 0 ? first == len && memcmp(c->name, group, len) == 0 : c->name[first] == '\0') {
            printf("        '%s:", len > 0 ? c->name + len + 1 : c->name);
            ctl_zsh_text(c->about);
            puts("'");
        } else if (len == 0 && ctl_begins_group(c)) {
            printf("        '%.*s:commands on its subject'\n", (int) first, c->name);
        }
    }
    fputs("    )\n    _arguments -C", stdout);
    ctl_zsh_options(ctl_settings, len > 0 ? 0 : ~0U);
    puts(" \\\n            '1:command:->command' '*::argument:->argument' && ret=0\n"
         "    case $state in\n"
         "    command) _describe -t commands command commands && ret=0 ;;\n"
         "    argument)\n"
         "        case $words[1] in");
    for (const ctl_command_t *c = ctl_commands; c->name != NULL; c++) {
        size_t first = strcspn(c->name, " ");

        if (len > 0 ? first == len && memcmp(c->name, group, len) == 0 : c->name[first] == '\0') {
            ctl_zsh_command(c, len > 0 ? c->name + len + 1 : c->name);
        } else if (len == 0 && ctl_begins_group(c)) {
            printf("        %.*s) _foodctl_%.*s && ret=0 ;;\n", (int) first, c->name, (int) first, c->name);
        }
    }
    puts("        esac ;;\n    esac\n    return ret\n}\n");
}

static void
ctl_zsh(void)
{
    puts("#compdef foodctl\n# zsh completion of foodctl; made by `foodctl completion zsh`\n");
    for (const ctl_command_t *c = ctl_commands; c->name != NULL; c++) {
        size_t len = strcspn(c->name, " ");

        if (ctl_begins_group(c)) {
            ctl_zsh_level(c->name, len);
        }
    }
    ctl_zsh_level("", 0);
    puts("if [ \"$funcstack[1]\" = _foodctl ]; then\n    _foodctl \"$@\"\nelse\n    compdef _foodctl foodctl\nfi");
}

int
ctl_completion(ctl_t *ctl)
{
    if (strcmp(ctl->args[0], ctl_word(CTL_WORDS_SHELL, 0)) == 0) {
        ctl_bash();
    } else if (strcmp(ctl->args[0], ctl_word(CTL_WORDS_SHELL, 1)) == 0) {
        ctl_zsh();
    } else {
        return ctl_misused("\"%s\" is no shell that foodctl knows: they are %s", ctl->args[0],
                           ctl_words_all(CTL_WORDS_SHELL));
    }
    return CTL_OK;
}
