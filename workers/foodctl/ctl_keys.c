/*
 * keys new: an API key for clients, and the line of the services' configuration that it is known by. The key is shown
 * this once and kept nowhere.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <openssl/sha.h>
#include "ctl.h"
#include "foodsvc_scope.h"

#define CTL_KEY_BYTES   32

static void
ctl_hex(const unsigned char *bytes, size_t n, char *text)
{
    for (size_t i = 0; i < n; i++) {
        snprintf(text + 2 * i, 3, "%02x", bytes[i]);
    }
}

/* "a,b" as " a b". */
static int
ctl_scopes(ctl_t *ctl, char *line, size_t size)
{
    const char *scope = ctl->scopes;
    size_t      len, at = 0;

    line[0] = '\0';
    while (scope != NULL) {
        len = strcspn(scope, ",");
        if (foodsvc_scope_parse(scope, len) == 0) {
            return ctl_misused("%s: \"%.*s\" is no scope: use " FOODSVC_SCOPE_NAMES, ctl->command, (int) len, scope);
        }
        if (len + 2 > size - at) {
            return ctl_misused("%s: --scope has a scope more than once", ctl->command);
        }
        at += (size_t) snprintf(line + at, size - at, " %.*s", (int) len, scope);
        scope = scope[len] == ',' ? scope + len + 1 : NULL;
    }
    return CTL_OK;
}

int
ctl_keys_new(ctl_t *ctl)
{
    char          scopes[64];
    unsigned char bytes[CTL_KEY_BYTES], digest[SHA256_DIGEST_LENGTH];
    char          key[2 * CTL_KEY_BYTES + 1], hash[2 * SHA256_DIGEST_LENGTH + 1];

    if (ctl_scopes(ctl, scopes, sizeof(scopes)) != CTL_OK) {
        return CTL_USAGE;
    }
    if (getrandom(bytes, sizeof(bytes), 0) != (ssize_t) sizeof(bytes)) {
        return ctl_fail("%s: the kernel gave no random numbers (%s): try again", ctl->command, strerror(errno));
    }
    ctl_hex(bytes, sizeof(bytes), key);
    SHA256((const unsigned char *) key, strlen(key), digest);
    ctl_hex(digest, sizeof(digest), hash);
    if (ctl->json) {
        ctl_print_json_new(json_pack("{s:s, s:s, s:s+}", "key", key, "sha256", hash, "line", hash,
                                     scopes));
    } else {
        printf("key     %s\nsha256  %s%s\n", key, hash, scopes);
    }
    return CTL_OK;
}
