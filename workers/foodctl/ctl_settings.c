/*
 * Settings: a flag wins over the environment, the environment over build/run/env, which is looked for in the current
 * folder and those above it. That file is one for a shell (`export NAME='value'` lines); only such lines are read,
 * nothing is run; and one that belongs to somebody else (not to root either) is passed over, since whoever writes it
 * says where the API key is sent.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "ctl_table.h"

static char **
ctl_setting(ctl_t *ctl, const ctl_option_t *option)
{
    return (char **) ((char *) ctl + option->offset);
}

/* "export NAME='value'", NAME="value", NAME=value. A quote inside single quotes is written '\''. */
static void
ctl_settings_line(ctl_t *ctl, char *line)
{
    char *name = line + strspn(line, " \t"), *value, *out, quote = '\0';

    if (strncmp(name, "export ", 7) == 0) {
        name += 7 + strspn(name + 7, " \t");
    }
    value = strchr(name, '=');
    if (*name == '#' || value == NULL) {
        return;
    }
    *value++ = '\0';
    out = value;
    for (const char *in = value; *in != '\0' && *in != '\n'; in++) {
        if (quote == '\0' && (*in == '\'' || *in == '"')) {
            quote = *in;
        } else if (*in == quote && quote != '\0') {
            quote = '\0';
        } else if (*in == '\\' && quote != '\'' && in[1] != '\0') {
            *out++ = *++in;
        } else if (quote == '\0' && (*in == ' ' || *in == '\t' || *in == ';')) {
            break;
        } else {
            *out++ = *in;
        }
    }
    *out = '\0';
    for (const ctl_option_t *o = ctl_settings; o->name != NULL; o++) {
        if (o->variable != NULL && strcmp(name, o->variable) == 0 && *ctl_setting(ctl, o) == NULL && *value != '\0') {
            *ctl_setting(ctl, o) = strdup(value);
        }
    }
}

/* The file at path, when it is one that may be trusted. */
static FILE *
ctl_settings_open(const char *path)
{
    int          fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);    /* a pipe of somebody's must not hold us */
    struct stat  info;
    FILE        *file = NULL;

    if (fd >= 0 && fstat(fd, &info) == 0 && S_ISREG(info.st_mode) && (info.st_uid == geteuid() || info.st_uid == 0)) {
        file = fdopen(fd, "r");
    }
    if (file == NULL && fd >= 0) {
        close(fd);
    }
    return file;
}

static FILE *
ctl_settings_find(ctl_t *ctl)
{
    char *folder = getcwd(NULL, 0), *path = NULL, *slash;
    FILE *file = NULL;

    while (folder != NULL && file == NULL) {
        if (asprintf(&path, "%s/build/run/env", folder) < 0) {
            break;
        }
        file = ctl_settings_open(path);
        if (file != NULL) {
            ctl->env_file = path;
            break;
        }
        free(path);
        slash = strrchr(folder, '/');
        if (slash == NULL) {
            break;
        }
        *slash = '\0';
    }
    free(folder);
    return file;
}

/* file:/path: the file's first line instead. False: told. */
static bool
ctl_settings_follow(const ctl_option_t *option, char **setting)
{
    char    *path, *line = NULL;
    size_t   room = 0;
    FILE    *file;
    ssize_t  n = -1;

    if (*setting == NULL || strncmp(*setting, "file:", 5) != 0) {
        return true;
    }
    path = *setting + 5;
    file = fopen(path, "re");
    if (file != NULL) {
        n = getline(&line, &room, file);
        fclose(file);
    }
    if (n <= 0) {
        ctl_fail("%s: %s cannot be read: %s", option->variable, path, file == NULL ? strerror(errno) : "it is empty");
        free(line);
        return false;
    }
    line[strcspn(line, "\r\n")] = '\0';
    free(*setting);
    *setting = line;
    return true;
}

bool
ctl_settings_load(ctl_t *ctl)
{
    char   *line = NULL;
    size_t  room = 0;
    FILE   *file;

    for (const ctl_option_t *o = ctl_settings; o->name != NULL; o++) {
        const char *value = o->variable ? getenv(o->variable) : NULL;

        if (value != NULL && *value != '\0' && *ctl_setting(ctl, o) == NULL) {
            *ctl_setting(ctl, o) = strdup(value);
        }
    }
    file = ctl_settings_find(ctl);
    if (file != NULL) {
        while (getline(&line, &room, file) > 0) {
            ctl_settings_line(ctl, line);
        }
        free(line);
        fclose(file);
    }
    for (const ctl_option_t *o = ctl_settings; o->name != NULL; o++) {
        if (o->variable != NULL && !ctl_settings_follow(o, ctl_setting(ctl, o))) {
            return false;
        }
    }
    return true;
}

void
ctl_settings_free(ctl_t *ctl)
{
    for (const ctl_option_t *o = ctl_settings; o->name != NULL; o++) {
        if (o->variable != NULL) {
            free(*ctl_setting(ctl, o));
            *ctl_setting(ctl, o) = NULL;
        }
    }
    free(ctl->env_file);
    ctl->env_file = NULL;
}

const char *
ctl_need(const ctl_t *ctl, const char *value, const char *variable)
{
    if (value == NULL) {
        ctl_fail("%s is not set%s: start the system with `make up`, or set it in the environment", variable,
                 ctl->env_file == NULL ? " and there is no build/run/env here or above" : "");
    }
    return value;
}

const char *
ctl_place(const char *url)
{
    static char  place[256];
    const char  *from = strstr(url, "://"), *at = strrchr(url, '@');

    from = from != NULL ? from + 3 : url;
    from = at != NULL && at >= from ? at + 1 : from;    /* the last one: a password may have what it should not */
    snprintf(place, sizeof(place), "%.*s", (int) strcspn(from, "/?#"), from);
    return place;
}
