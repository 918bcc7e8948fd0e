/*
 * Where partners may be. Their urls come from MongoDB and Redis, so who can write there could have us call anything
 * that this machine reaches; a list of addresses and names says what is meant. The one owner of that rule. Pure; any
 * thread.
 *
 *   10.0.0.0/8   fd00::/8   192.0.2.7   [2001:db8::1]:8002   10.1.0.0/16:443   kitchen.example.com
 *
 * An address is allowed when an entry holds it, whatever name it was found under. A name that is listed may be at any
 * address but the ones below. An empty list allows everything but these: link-local (169.254.0.0/16, fe80::/10: there
 * the metadata service of most clouds answers), fd00:ec2::/32 and fd20:ce::/32 (the same of two clouds), unspecified
 * (0.0.0.0/8, ::), and multicast and broadcast (224.0.0.0/3, ff00::/8). An IPv4 address written as an IPv6 one
 * (::ffff:1.2.3.4) is the former; these are closed behind a gateway's form of them, too (64:ff9b::/96, 2002::/16,
 * ::/96).
 */
#ifndef FOODSVC_ALLOW_H
#define FOODSVC_ALLOW_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/socket.h>

typedef struct {
    char            name[256];      /* "": an address */
    unsigned char   address[16];    /* IPv4 as ::ffff:1.2.3.4 */
    unsigned        bits;           /* of address that count, of 128 */
    unsigned short  port;           /* 0: any */
} foodsvc_allow_rule_t;

typedef struct {
    foodsvc_allow_rule_t *rules;    /* owned by whoever made the list */
    size_t                n;        /* 0: the default */
} foodsvc_allow_t;

/* One entry; false with what is wrong, and what would be right. */
bool foodsvc_allow_parse(const char *text, size_t len, foodsvc_allow_rule_t *rule, char *err, size_t errlen);

/*
 * Whether there is any use in resolving this host: an address is judged; a name is good when it is listed, or when an
 * entry for addresses could hold what it is resolved to.
 */
bool foodsvc_allow_host(const foodsvc_allow_t *allow, const char *host, unsigned short port);
/* Whether a connection to this address (AF_INET or AF_INET6, no other), which host is resolved to, may be made. */
bool foodsvc_allow_address(const foodsvc_allow_t *allow, const char *host, unsigned short port,
    const struct sockaddr *address);

#endif
