/*
 * keys new: an API key for clients, and its SHA-256 for the services' configuration. The key is shown this once and
 * kept nowhere.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <openssl/sha.h>
#include "ctl.h"

#define CTL_KEY_BYTES   32

static void
ctl_hex(const unsigned char *bytes, size_t n, char *text)
{
    for (size_t i = 0; i < n; i++) {
        snprintf(text + 2 * i, 3, "%02x", bytes[i]);
    }
}

int
ctl_keys_new(ctl_t *ctl)
{
    unsigned char bytes[CTL_KEY_BYTES], digest[SHA256_DIGEST_LENGTH];
    char          key[2 * CTL_KEY_BYTES + 1], hash[2 * SHA256_DIGEST_LENGTH + 1];

    if (getrandom(bytes, sizeof(bytes), 0) != (ssize_t) sizeof(bytes)) {
        return ctl_fail("%s: the kernel gave no random numbers (%s): try again", ctl->command, strerror(errno));
    }
    ctl_hex(bytes, sizeof(bytes), key);
    SHA256((const unsigned char *) key, strlen(key), digest);
    ctl_hex(digest, sizeof(digest), hash);
    if (ctl->json) {
        ctl_print_json_new(json_pack("{s:s, s:s}", "key", key, "sha256", hash));
    } else {
        printf("key     %s\nsha256  %s\n", key, hash);
    }
    return CTL_OK;
}
