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
        if (o->variable == NULL || strcmp(name, o->variable) != 0 || *value == '\0') {
            continue;
        }
        if (*ctl_setting(ctl, o) == NULL) {
            *ctl_setting(ctl, o) = strdup(value);
        }
        if (*ctl_setting(ctl, o) != NULL && strcmp(*ctl_setting(ctl, o), value) == 0) {
            ctl->local |= o->use;
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

/* build/run/name in this folder or the next one above that has it. *found: its path, the caller's, or NULL. */
static FILE *
ctl_settings_find(const char *name, char **found)
{
    char *folder = getcwd(NULL, 0), *path = NULL, *slash;
    FILE *file = NULL;

    while (folder != NULL && file == NULL) {
        if (asprintf(&path, "%s/build/run/%s", folder, name) < 0) {
            break;
        }
        file = ctl_settings_open(path);
        if (file != NULL) {
            *found = path;
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

/* `make down` takes build/run/env away; of its ports system.json still knows. */
static void
ctl_settings_down(ctl_t *ctl)
{
    char   *path = NULL;
    FILE   *file = ctl_settings_find("system.json", &path);
    json_t *saved = file != NULL ? json_loadf(file, 0, NULL) : NULL;

    ctl->down = json_incref(json_object_get(saved, "ports"));
    json_decref(saved);
    free(path);
    if (file != NULL) {
        fclose(file);
    }
}

/* Does the url lead to where a part of the system that is down was? */
static bool
ctl_settings_was(const ctl_t *ctl, const char *url, const char *part)
{
    char was[64];

    snprintf(was, sizeof(was), "127.0.0.1:%lld", (long long) json_integer_value(json_object_get(ctl->down, part)));
    return url != NULL && strcmp(ctl_place(url), was) == 0;
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
    file = ctl_settings_find("env", &ctl->env_file);
    if (file != NULL) {
        while (getline(&line, &room, file) > 0) {
            ctl_settings_line(ctl, line);
        }
        free(line);
        fclose(file);
    } else {
        ctl_settings_down(ctl);
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
    json_decref(ctl->down);
    ctl->down = NULL;
}

const char *
ctl_need(const ctl_t *ctl, const char *value, const char *variable)
{
    if (value == NULL && ctl->env_file != NULL) {
        ctl_fail("%s is not set, and build/run/env has none: `make up` writes it, or set it in the environment",
                 variable);
    } else if (value == NULL && ctl->down != NULL) {
        ctl_fail("%s is not set, and the system of build/run is down: `make up` starts it", variable);
    } else if (value == NULL) {
        ctl_fail("%s is not set and there is no build/run/env here or above: set it in the environment, or with a flag "
                 "(`foodctl %s --help`)", variable, ctl->command);
    }
    return value;
}

/* Hosts, each with a port or none, with commas between. */
static bool
ctl_is_place(const char *text, size_t len)
{
    for (const char *end = text + len; text < end; ) {
        size_t      one = strcspn(text, ",/?#");
        const char *colon = memrchr(text, ':', one), *host_end;

        colon = colon != NULL && memchr(colon, ']', (size_t) (text + one - colon)) == NULL ? colon : NULL;
        host_end = colon != NULL ? colon : text + one;
        if (host_end == text || (*text == '[' ? strspn(text + 1, "0123456789abcdefABCDEF:.")
                                                != (size_t) (host_end - text - 2)
                                              : strcspn(text, ":[]@ \"'`,/?#") != (size_t) (host_end - text)))
        {
            return false;
        }
        if (colon != NULL && (colon + 1 == text + one || strspn(colon + 1, "0123456789") != (size_t) (text + one - colon
                                                                                                  - 1)))
        {
            return false;
        }
        text += one + (text[one] == ',');
    }
    return len > 0;
}

const char *
ctl_place(const char *url)
{
    static char  place[256];
    const char  *from = strstr(url, "://"), *at = strrchr(url, '@');
    int          len;

    if (strncmp(url, "unix:/", 6) == 0) {
        return url;
    }
    if (from == NULL) {
        return "the address given";
    }
    from += 3;
    from = at != NULL && at >= from ? at + 1 : from;    /* the last one: a password may have what it should not */
    len = (int) strcspn(from, "/?#");
    if (!ctl_is_place(from, (size_t) len)) {
        return "the address given";
    }
    snprintf(place, sizeof(place), "%.*s", len, from);
    return place;
}

const char *
ctl_advice(const ctl_t *ctl, const char *url, ctl_advice_e what)
{
    static const struct {
        unsigned    use;
        const char *part, *unit, *was[2];       /* make's name; systemd's unit; ports in system.json */
    } servers[] = {
        { CTL_USES_MONGO, "mongo", "mongod", { "mongo", "mongo" } },
        { CTL_USES_REDIS, "redis", "redis-server", { "redis", "redis" } },
        { CTL_USES_AMQP, "rabbit", "rabbitmq-server", { "rabbit", "rabbit" } },
        { CTL_USES_ORDER | CTL_USES_PAYMENT, "nginx", "foodsvc-nginx", { "order", "payment" } }   /* and all else */
    };
    static char text[128];
    unsigned    use = 0;
    size_t      i = 0;
    bool        down;

    for (const ctl_option_t *o = ctl_settings; o->name != NULL; o++) {
        use = o->variable != NULL && url != NULL && *ctl_setting((ctl_t *) ctl, o) == url ? o->use : use;
    }
    while (i + 1 < sizeof(servers) / sizeof(servers[0]) && servers[i].use != use) {
        i++;
    }
    down = ctl_settings_was(ctl, url, servers[i].was[0]) || ctl_settings_was(ctl, url, servers[i].was[1]);
    if ((ctl->local & use) || down) {
        if (what != CTL_START) {
            return what == CTL_LOOK ? "`make status`" : "`make logs`";
        }
        snprintf(text, sizeof(text), "`make %s%s` starts it", down ? "up" : "start-", down ? "" : servers[i].part);
    } else {
        snprintf(text, sizeof(text), "`%s %s` on its host%s", what == CTL_LOGS ? "journalctl -u" : "systemctl status",
                 servers[i].unit, what == CTL_START ? " tells" : "");
    }
    return text;
}
