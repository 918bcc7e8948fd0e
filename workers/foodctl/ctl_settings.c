/*
 * Settings: a flag wins over the environment, the environment over build/run/env, which is looked for in the current
 * folder and those above it. That file is one for a shell (`export NAME='value'` lines); only such lines are read,
 * nothing is run.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "ctl.h"

typedef struct {
    const char *variable;
    size_t      offset;         /* of the char * in ctl_t */
} ctl_setting_t;

static const ctl_setting_t ctl_variables[] = {
    { "ORDER_URL", offsetof(ctl_t, order_url) }, { "PAYMENT_URL", offsetof(ctl_t, payment_url) },
    { "API_KEY", offsetof(ctl_t, api_key) },     { "CA_CERT", offsetof(ctl_t, ca_cert) },
    { "MONGO_URL", offsetof(ctl_t, mongo_url) }, { "REDIS_URL", offsetof(ctl_t, redis_url) },
    { "AMQP_URL", offsetof(ctl_t, amqp_url) },
};
#define CTL_NVARIABLES  (sizeof(ctl_variables) / sizeof(ctl_variables[0]))

static char **
ctl_setting(ctl_t *ctl, size_t i)
{
    return (char **) ((char *) ctl + ctl_variables[i].offset);
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
    for (size_t i = 0; i < CTL_NVARIABLES; i++) {
        if (strcmp(name, ctl_variables[i].variable) == 0 && *ctl_setting(ctl, i) == NULL) {
            *ctl_setting(ctl, i) = strdup(value);
        }
    }
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
        file = fopen(path, "re");
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

bool
ctl_settings_load(ctl_t *ctl)
{
    char   *line = NULL;
    size_t  room = 0;
    FILE   *file;

    for (size_t i = 0; i < CTL_NVARIABLES; i++) {
        const char *value = getenv(ctl_variables[i].variable);

        if (*ctl_setting(ctl, i) == NULL && value != NULL && *value != '\0') {
            *ctl_setting(ctl, i) = strdup(value);
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
    return true;
}

void
ctl_settings_free(ctl_t *ctl)
{
    for (size_t i = 0; i < CTL_NVARIABLES; i++) {
        free(*ctl_setting(ctl, i));
        *ctl_setting(ctl, i) = NULL;
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

bool
ctl_colours(void)
{
    const char *no = getenv("NO_COLOR");

    return isatty(STDOUT_FILENO) && (no == NULL || *no == '\0');
}
