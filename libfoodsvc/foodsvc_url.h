/*
 * A partner's address: http(s)://host[:port][/prefix], as found in service_urls, Redis and settings. Pure; any thread.
 */
#ifndef FOODSVC_URL_H
#define FOODSVC_URL_H

#include <stdbool.h>
#include <stddef.h>

typedef struct {
    bool            tls;
    char            host[256];      /* without the brackets of an IPv6 address */
    unsigned short  port;           /* 80 or 443 when the url has none */
    char            prefix[256];    /* "" or "/path", without a trailing slash */
} foodsvc_url_t;

/* False: err says what is wrong (user info, query and fragment are refused, so are blanks and control characters). */
bool foodsvc_url_parse(const char *text, size_t len, foodsvc_url_t *url, char *err, size_t errlen);

#endif
