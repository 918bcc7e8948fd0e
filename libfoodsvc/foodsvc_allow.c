/*
 * Where partners may be.
 */
#include <arpa/inet.h>
#include <ctype.h>
#include <netinet/in.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include "foodsvc_allow.h"

#define V4_BITS     96u         /* of ::ffff:0:0/96, which an IPv4 address stands behind */

typedef struct {
    unsigned char  bytes[16];
    unsigned       bits;
} net_t;

/* What no empty list and no name opens. IPv4 nets are those of ::ffff:0:0/96. */
static const net_t never[] = {
    { { [10] = 0xff, 0xff, 169, 254 }, V4_BITS + 16 },
    { { [10] = 0xff, 0xff, 0 }, V4_BITS + 8 },
    { { [10] = 0xff, 0xff, 224 }, V4_BITS + 3 },
    { { 0xfe, 0x80 }, 10 },
    { { 0xfd, 0x00, 0x0e, 0xc2 }, 32 },
    { { 0xfd, 0x20, 0x00, 0xce }, 32 },
    { { 0xff }, 8 },
    { { 0 }, 128 }
};

static bool in_net(const unsigned char address[16], const unsigned char net[16], unsigned bits)
{
    unsigned  whole = bits / 8, rest = bits % 8;

    return memcmp(address, net, whole) == 0
        && (rest == 0 || ((address[whole] ^ net[whole]) & (0xff00u >> rest) & 0xff) == 0);
}

static void set_v4(unsigned char to[16], const void *v4)
{
    memset(to, 0, 10);
    to[10] = to[11] = 0xff;
    memcpy(to + 12, v4, 4);
}

/* The IPv4 address that a gateway (NAT64, 6to4, the old IPv4-compatible form) makes of an IPv6 one. */
static bool embedded_v4(const unsigned char address[16], unsigned char v4[16])
{
    static const unsigned char  nat64[16] = { 0x00, 0x64, 0xff, 0x9b }, old[16] = { 0 }, sixto4[16] = { 0x20, 0x02 };

    if (in_net(address, nat64, 96) || (in_net(address, old, 96) && address[12] != 0)) {
        set_v4(v4, address + 12);
        return true;
    }
    if (in_net(address, sixto4, 16)) {
        set_v4(v4, address + 2);
        return true;
    }
    return false;
}

static bool never_allowed(const unsigned char address[16])
{
    unsigned char  v4[16];

    if (embedded_v4(address, v4)) {
        address = v4;
    }
    for (size_t i = 0; i < sizeof(never) / sizeof(never[0]); i++) {
        if (in_net(address, never[i].bytes, never[i].bits)) {
            return true;
        }
    }
    return false;
}

/* 4 or 6: to is that address; 0: text is none. */
static int read_address(const char *text, unsigned char to[16])
{
    struct in_addr  v4;

    if (inet_pton(AF_INET, text, &v4) == 1) {
        set_v4(to, &v4);
        return 4;
    }
    return inet_pton(AF_INET6, text, to) == 1 ? 6 : 0;
}

/* --- entries --- */

__attribute__((format(printf, 3, 4)))
static bool refuse(char *err, size_t errlen, const char *format, ...)
{
    va_list  args;
    int      n;

    va_start(args, format);
    n = vsnprintf(err, errlen, format, args);
    va_end(args);
    if (n >= 0 && (size_t) n < errlen) {
        snprintf(err + n, errlen - (size_t) n,
                 ": give an address, a net (10.0.0.0/8) or a host name, with :PORT behind it for one port alone; "
                 "[ADDRESS]:PORT for an IPv6 one");
    }
    return false;
}

/* Digits alone, at most max. */
static bool read_number(const char *text, unsigned max, unsigned *to)
{
    *to = 0;
    if (*text == '\0' || strlen(text) > 5) {
        return false;
    }
    for (; *text != '\0'; text++) {
        if (!isdigit((unsigned char) *text)) {
            return false;
        }
        *to = *to * 10 + (unsigned) (*text - '0');
    }
    return *to <= max;
}

/* Cuts the port off; false: there is one that is none. */
static bool cut_port(char *text, unsigned short *port)
{
    char      *colon = strrchr(text, ':');
    unsigned   number;

    *port = 0;
    if (text[0] == '[') {
        char *end = strchr(text, ']');

        if (end == NULL || (end[1] != '\0' && end[1] != ':')) {
            return false;
        }
        colon = end[1] == ':' ? end + 1 : NULL;
        *end = '\0';
        if (colon != NULL && !read_number(colon + 1, 65535, &number)) {
            return false;
        }
        memmove(text, text + 1, (size_t) (end - text));
        *port = colon != NULL ? (unsigned short) number : 0;
        return colon == NULL || *port != 0;
    }
    if (colon == NULL || strchr(text, ':') != colon) {
        return true;        /* none, or an IPv6 address */
    }
    *colon = '\0';
    if (!read_number(colon + 1, 65535, &number) || number == 0) {
        return false;
    }
    *port = (unsigned short) number;
    return true;
}

static bool is_name(const char *text)
{
    size_t  len = strlen(text);

    for (size_t i = 0; i < len; i++) {
        if (!isalnum((unsigned char) text[i]) && strchr(".-_", text[i]) == NULL) {
            return false;
        }
    }
    return len > 0;
}

static bool read_net(char *text, foodsvc_allow_rule_t *rule)
{
    char      *slash = strchr(text, '/');
    unsigned   bits, all;
    int        family;

    if (slash != NULL) {
        *slash = '\0';
    }
    family = read_address(text, rule->address);
    all = family == 4 ? 32 : 128;
    bits = all;
    if (family == 0 || (slash != NULL && !read_number(slash + 1, all, &bits))) {
        return false;
    }
    rule->bits = family == 4 ? V4_BITS + bits : bits;
    return true;
}

bool foodsvc_allow_parse(const char *text, size_t len, foodsvc_allow_rule_t *rule, char *err, size_t errlen)
{
    char  copy[sizeof(rule->name)], whole[sizeof(rule->name)];

    memset(rule, 0, sizeof(*rule));
    if (len == 0 || len >= sizeof(copy) || memchr(text, '\0', len) != NULL) {
        return refuse(err, errlen, "%s", len == 0 ? "it is empty" : "it is no host");
    }
    memcpy(copy, text, len);
    copy[len] = '\0';
    memcpy(whole, copy, len + 1);
    if (strstr(copy, "://") != NULL) {
        return refuse(err, errlen, "\"%.100s\" is a url", whole);
    }
    if (!cut_port(copy, &rule->port)) {
        return refuse(err, errlen, "\"%.100s\" has a port that is none", whole);
    }
    if (text[0] == '[' && strchr(copy, ':') == NULL) {
        return refuse(err, errlen, "\"%.100s\" has brackets around what is no IPv6 address", whole);
    }
    if (strchr(copy, '/') == NULL && strchr(copy, ':') == NULL && is_name(copy)
        && read_address(copy, rule->address) == 0) {
        memcpy(rule->name, copy, strlen(copy) + 1);
        return true;
    }
    return read_net(copy, rule) || refuse(err, errlen, "\"%.100s\" is no address, net or name", whole);
}

/* --- the rule --- */

static bool name_listed(const foodsvc_allow_t *allow, const char *host, unsigned short port)
{
    for (size_t i = 0; i < allow->n; i++) {
        const foodsvc_allow_rule_t *rule = &allow->rules[i];

        if (rule->name[0] != '\0' && (rule->port == 0 || rule->port == port) && strcasecmp(rule->name, host) == 0) {
            return true;
        }
    }
    return false;
}

static bool address_allowed(const foodsvc_allow_t *allow, const char *host, unsigned short port,
    const unsigned char address[16])
{
    for (size_t i = 0; i < allow->n; i++) {
        const foodsvc_allow_rule_t *rule = &allow->rules[i];

        if (rule->name[0] == '\0' && (rule->port == 0 || rule->port == port)
            && in_net(address, rule->address, rule->bits)) {
            return true;
        }
    }
    return (allow->n == 0 || name_listed(allow, host, port)) && !never_allowed(address);
}

bool foodsvc_allow_host(const foodsvc_allow_t *allow, const char *host, unsigned short port)
{
    unsigned char  address[16];

    if (read_address(host, address) != 0) {
        return address_allowed(allow, host, port, address);
    }
    for (size_t i = 0; i < allow->n; i++) {
        if (allow->rules[i].name[0] == '\0' && (allow->rules[i].port == 0 || allow->rules[i].port == port)) {
            return true;
        }
    }
    return allow->n == 0 || name_listed(allow, host, port);
}

bool foodsvc_allow_address(const foodsvc_allow_t *allow, const char *host, unsigned short port,
    const struct sockaddr *address)
{
    unsigned char  bytes[16];

    if (address->sa_family == AF_INET) {
        set_v4(bytes, &((const struct sockaddr_in *) (const void *) address)->sin_addr);
    } else if (address->sa_family == AF_INET6) {
        memcpy(bytes, &((const struct sockaddr_in6 *) (const void *) address)->sin6_addr, sizeof(bytes));
    } else {
        return false;
    }
    return address_allowed(allow, host, port, bytes);
}
