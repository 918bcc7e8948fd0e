/*
 * A partner's address.
 */
#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include "foodsvc_url.h"

__attribute__((format(printf, 3, 4)))
static bool refuse(char *err, size_t errlen, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    vsnprintf(err, errlen, format, args);
    va_end(args);
    return false;
}

static bool copy(const char *text, size_t len, char *to, size_t size)
{
    if (len >= size) {
        return false;
    }
    memcpy(to, text, len);
    to[len] = '\0';
    return true;
}

static size_t scheme(const char *text, size_t len, foodsvc_url_t *url)
{
    if (len >= 8 && strncasecmp(text, "https://", 8) == 0) {
        url->tls = true;
        return 8;
    }
    if (len >= 7 && strncasecmp(text, "http://", 7) == 0) {
        url->tls = false;
        return 7;
    }
    return 0;
}

/* "name", "1.2.3.4" or "[::1]"; n is all of the authority before the port. */
static bool read_host(const char *text, size_t n, foodsvc_url_t *url, char *err, size_t errlen)
{
    bool        v6 = n >= 2 && text[0] == '[' && text[n - 1] == ']';
    const char *more = v6 ? ":." : ".-_";

    if (v6) {
        text++;
        n -= 2;
    }
    if (n == 0) {
        return refuse(err, errlen, "the url has no host");
    }
    for (size_t i = 0; i < n; i++) {
        bool good = v6 ? isxdigit((unsigned char) text[i]) : isalnum((unsigned char) text[i]);

        if (!good && strchr(more, text[i]) == NULL) {
            return refuse(err, errlen, "the url's host has a character that no host has");
        }
    }
    return copy(text, n, url->host, sizeof(url->host)) || refuse(err, errlen, "the url's host is too long");
}

/* What stands behind the colon. */
static bool read_port(const char *text, size_t n, foodsvc_url_t *url, char *err, size_t errlen)
{
    unsigned port = 0;

    for (size_t i = 0; i < n && i < 6; i++) {
        if (!isdigit((unsigned char) text[i])) {
            return refuse(err, errlen, "the url's port is no number");
        }
        port = port * 10 + (unsigned) (text[i] - '0');
    }
    if (n == 0 || n > 5 || port == 0 || port > 65535) {
        return refuse(err, errlen, "the url's port is not between 1 and 65535");
    }
    url->port = (unsigned short) port;
    return true;
}

static bool read_authority(const char *text, size_t n, foodsvc_url_t *url, char *err, size_t errlen)
{
    size_t host = n;

    if (memchr(text, '@', n) != NULL) {
        return refuse(err, errlen, "the url has user info, which is not supported");
    }
    /* The last colon, unless it stands within the brackets. */
    for (size_t i = n; i > 0 && text[i - 1] != ']'; i--) {
        if (text[i - 1] == ':') {
            host = i - 1;
            break;
        }
    }
    url->port = url->tls ? 443 : 80;
    return read_host(text, host, url, err, errlen)
           && (host == n || read_port(text + host + 1, n - host - 1, url, err, errlen));
}

bool foodsvc_url_parse(const char *text, size_t len, foodsvc_url_t *url, char *err, size_t errlen)
{
    size_t start, n;

    for (size_t i = 0; i < len; i++) {
        if (text[i] <= ' ' || text[i] > '~' || strchr("\"<>\\^`{|}", text[i]) != NULL) {
            return refuse(err, errlen, "the url has a blank or another character that does not belong there");
        }
        if (text[i] == '?' || text[i] == '#') {
            return refuse(err, errlen, "the url has a query or a fragment, which is not supported");
        }
    }
    start = scheme(text, len, url);
    if (start == 0) {
        return refuse(err, errlen, "the url does not start with http:// or https://");
    }
    text += start;
    len -= start;

    for (n = 0; n < len && text[n] != '/'; n++) {
        /* to the end of the authority */
    }
    if (!read_authority(text, n, url, err, errlen)) {
        return false;
    }
    while (len > n && text[len - 1] == '/') {
        len--;
    }
    return copy(text + n, len - n, url->prefix, sizeof(url->prefix)) || refuse(err, errlen,
                                                                               "the url's path is too long");
}
