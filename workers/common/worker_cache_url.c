#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "worker_cache_url.h"


static bool bad(char *err, size_t errlen)
{
    snprintf(err, errlen, "not a Redis url; write redis://host[:port][/db], with [user]:password@ ahead of the host, "
             "or unix:/path");
    return false;
}


/* Percent-decodes from..to into text; false when it doesn't fit or is no such coding. */
static bool decode(const char *from, const char *to, char *text, size_t size)
{
    size_t  n = 0;

    while (from < to && n + 1 < size) {
        if (*from == '%') {
            char  hex[3] = { to - from < 3 ? '-' : from[1], to - from < 3 ? '-' : from[2], '\0' };

            if (!isxdigit((unsigned char) hex[0]) || !isxdigit((unsigned char) hex[1]) || strcmp(hex, "00") == 0) {
                return false;
            }
            text[n++] = (char) strtoul(hex, NULL, 16);
            from += 3;
        } else {
            text[n++] = *from++;
        }
    }
    text[n] = '\0';
    return from == to;
}


bool worker_cache_url_parse(const char *url, worker_cache_url_t *address, char *err, size_t errlen)
{
    const char  *rest, *end, *at, *colon;
    char         number[8], *stop;

    memset(address, 0, sizeof(*address));
    address->port = 6379;
    if (strncmp(url, "unix:/", 6) == 0) {
        return decode(url + 5, url + strlen(url), address->path, sizeof(address->path)) || bad(err, errlen);
    }
    if (strncmp(url, "redis://", 8) != 0) {
        return bad(err, errlen);
    }
    rest = url + 8;
    end = rest + strcspn(rest, "/?#");
    if (*end == '/' && end[1]) {
        address->db = (int) strtol(end + 1, &stop, 10);
        if (*stop || address->db < 0 || address->db > 9999) {
            return bad(err, errlen);
        }
    } else if (*end && *end != '/') {
        return bad(err, errlen);
    }
    at = memrchr(rest, '@', (size_t) (end - rest));
    if (at) {
        colon = memchr(rest, ':', (size_t) (at - rest));
        if (!decode(rest, colon ? colon : at, address->user, sizeof(address->user))
            || (colon && !decode(colon + 1, at, address->password, sizeof(address->password))))
        {
            return bad(err, errlen);
        }
        rest = at + 1;
    }
    colon = memrchr(rest, ':', (size_t) (end - rest));
    if (colon && memchr(colon, ']', (size_t) (end - colon)) == NULL) {
        if (!decode(colon + 1, end, number, sizeof(number))) {
            return bad(err, errlen);
        }
        address->port = (int) strtol(number, &stop, 10);
        if (*stop || stop == number || address->port < 1 || address->port > 65535) {
            return bad(err, errlen);
        }
        end = colon;
    }
    if (*rest == '[' && end > rest + 1 && end[-1] == ']') {
        rest++;
        end--;
    }
    return (end > rest && decode(rest, end, address->host, sizeof(address->host))) || bad(err, errlen);
}


bool worker_cache_url_check(const char *url, char *err, size_t errlen)
{
    worker_cache_url_t  address;

    return worker_cache_url_parse(url, &address, err, errlen);
}
