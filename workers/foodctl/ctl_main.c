/*
 * From the arguments to the command, and the one line on standard error.
 */
#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <curl/curl.h>
#include "ctl_table.h"
#include "foodsvc_names.h"
#include "foodsvc_secret.h"

/* What stands between "://" and "@" is a name and a password: at most three stars instead. In place. */
static void
ctl_hide_logins(char *text)
{
    char *from = text;

    while ((from = strstr(from, "://")) != NULL) {
        char   *at;
        size_t  stars;

        from += 3;
        at = memrchr(from, '@', strcspn(from, " \"'`"));
        if (at != NULL) {
            stars = at - from < 3 ? (size_t) (at - from) : 3;
            memset(from, '*', stars);
            memmove(from + stars, at, strlen(at) + 1);
        }
    }
}

static char *ctl_told;      /* ctl_fail_into's */

void
ctl_fail_into(char *why)
{
    ctl_told = why;
}

static int __attribute__((format(printf, 2, 0)))
ctl_tell(int code, const char *format, va_list args)
{
    char *text = NULL;

    if (vasprintf(&text, format, args) < 0) {
        fputs("foodctl: out of memory\n", stderr);
        return code;
    }
    ctl_hide_logins(text);
    for (char *c = text; *c != '\0'; c++) {
        /* U+0080..9F are controls, too */
        if ((unsigned char) c[0] == 0xc2 && (unsigned char) c[1] >= 0x80 && (unsigned char) c[1] < 0xa0) {
            *c++ = ' ';
            *c = ' ';
        }
        *c = iscntrl((unsigned char) *c) ? ' ' : *c;
    }
    if (ctl_told != NULL) {
        snprintf(ctl_told, CTL_WHY, "%s", text);
        free(text);
        return code;
    }
    fflush(stdout);         /* so that on a terminal, or in one file with it, the reason comes last */
    fprintf(stderr, "foodctl: %s\n", text);
    free(text);
    return code;
}

int
ctl_fail(const char *format, ...)
{
    va_list args;
    int     code;

    va_start(args, format);
    code = ctl_tell(CTL_FAILED, format, args);
    va_end(args);
    return code;
}

int
ctl_misused(const char *format, ...)
{
    va_list args;
    int     code;

    va_start(args, format);
    code = ctl_tell(CTL_USAGE, format, args);
    va_end(args);
    return code;
}

void
ctl_note(const char *format, ...)
{
    va_list args;

    va_start(args, format);
    ctl_tell(CTL_OK, format, args);
    va_end(args);
}

static int
ctl_run(ctl_t *ctl, const ctl_command_t *command)
{
    int code = CTL_FAILED;

    ctl->command = command->name;
    if (command->uses != 0 && !foodsvc_core_off()) {
        return ctl_fail("cores cannot be switched off: %s", strerror(errno));
    }
    curl_global_init(CURL_GLOBAL_DEFAULT);
    if (command->uses == 0 || ctl_settings_load(ctl)) {
        code = command->run(ctl);
    }
    curl_global_cleanup();
    return code;
}

int
main(int argc, char **argv)
{
    ctl_t        ctl = { 0 };
    ctl_asked_t  asked = { 0 };
    int          code = ctl_args_read(&ctl, argc, argv, &asked);

    if (code == CTL_OK && asked.version) {
        puts("foodctl " FOODSVC_VERSION);
    } else if (code == CTL_OK && asked.help) {
        ctl_help(&asked);
    } else if (code == CTL_OK) {
        code = ctl_run(&ctl, asked.command);
    }
    if ((fflush(stdout) != 0 || ferror(stdout)) && code == CTL_OK) {
        code = ctl_fail("cannot write the result: %s", strerror(errno));
    }
    ctl_settings_free(&ctl);
    return code;
}
