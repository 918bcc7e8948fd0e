/* The list of where partners may be: an entry, then a line's end and 16 bytes of an address that is judged by it. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <strings.h>
#include "foodsvc_allow.h"
#include "fuzz.h"

#define HOST    "kitchen.example"

static bool is_closed_v4(const uint8_t *b)
{
    return b[0] == 0 || b[0] >= 224 || (b[0] == 169 && b[1] == 254);
}

/* As the documents have it, told once more: link-local, two clouds' own, unspecified, multicast; and the IPv4 addresses
   that an IPv6 one stands for, mapped, IPv4-compatible, of NAT64 or of 6to4. */
static bool is_closed(const struct in6_addr *address)
{
    static const uint8_t nat64[12] = { 0x00, 0x64, 0xFF, 0x9B };
    static const uint8_t clouds[2][4] = { { 0xFD, 0x00, 0x0E, 0xC2 }, { 0xFD, 0x20, 0x00, 0xCE } };
    const uint8_t       *b = address->s6_addr;
    bool                 compatible = IN6_IS_ADDR_V4COMPAT(address) && b[12] != 0;

    if (IN6_IS_ADDR_V4MAPPED(address) || compatible || memcmp(b, nat64, sizeof(nat64)) == 0) {
        return is_closed_v4(b + 12);
    }
    if (b[0] == 0x20 && b[1] == 0x02) {
        return is_closed_v4(b + 2);
    }
    return IN6_IS_ADDR_LINKLOCAL(address) || IN6_IS_ADDR_MULTICAST(address) || IN6_IS_ADDR_UNSPECIFIED(address)
           || memcmp(b, clouds[0], 4) == 0 || memcmp(b, clouds[1], 4) == 0;
}

static bool allowed(const foodsvc_allow_t *allow, const struct in6_addr *address, unsigned short port)
{
    struct sockaddr_in6 v6 = { .sin6_family = AF_INET6, .sin6_addr = *address };
    struct sockaddr_in  v4 = { .sin_family = AF_INET };
    bool                yes = foodsvc_allow_address(allow, HOST, port, (const struct sockaddr *) &v6);

    if (IN6_IS_ADDR_V4MAPPED(address)) {
        memcpy(&v4.sin_addr, address->s6_addr + 12, sizeof(v4.sin_addr));
        MUST(yes == foodsvc_allow_address(allow, HOST, port, (const struct sockaddr *) &v4));
    }
    return yes;
}

static char *written(const foodsvc_allow_rule_t *rule)
{
    char  text[INET6_ADDRSTRLEN], port[8] = "", *entry;
    bool  v4 = IN6_IS_ADDR_V4MAPPED((const struct in6_addr *) (const void *) rule->address) && rule->bits >= 96;
    int   n;

    if (rule->port != 0) {
        snprintf(port, sizeof(port), ":%u", rule->port);
    }
    if (rule->name[0] != '\0') {
        n = asprintf(&entry, "%s%s", rule->name, port);
    } else if (v4) {
        MUST(inet_ntop(AF_INET, rule->address + 12, text, sizeof(text)) != NULL);
        n = asprintf(&entry, "%s/%u%s", text, rule->bits - 96, port);
    } else {
        MUST(inet_ntop(AF_INET6, rule->address, text, sizeof(text)) != NULL);
        n = asprintf(&entry, "%s%s/%u%s%s", port[0] ? "[" : "", text, rule->bits, port[0] ? "]" : "", port);
    }
    MUST(n > 0);
    return entry;
}

static void check_rule(foodsvc_allow_rule_t *rule, const struct in6_addr *address)
{
    foodsvc_allow_t       allow = { rule, 1 };
    foodsvc_allow_rule_t  again;
    char                 *entry = written(rule), err[FOODSVC_ERR];
    unsigned short        port = rule->port != 0 ? rule->port : 443;

    MUST(rule->bits <= 128);
    MUST(foodsvc_allow_parse(entry, strlen(entry), &again, err, sizeof(err)));
    MUST(strcmp(rule->name, again.name) == 0 && rule->port == again.port);
    MUST(rule->bits == again.bits && memcmp(rule->address, again.address, sizeof(again.address)) == 0);
    free(entry);

    if (rule->name[0] != '\0') {
        MUST(!is_closed(address) || !allowed(&allow, address, port));
        MUST(allowed(&allow, address, port) == (strcasecmp(rule->name, HOST) == 0 && !is_closed(address)));
    } else {
        MUST(allowed(&allow, (const struct in6_addr *) (const void *) rule->address, port));
    }
    if (rule->port != 0) {
        MUST(!allowed(&allow, address, rule->port == 1 ? 2 : 1));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const uint8_t         *end = memchr(data, '\n', size);
    foodsvc_allow_rule_t   rule;
    struct in6_addr        address = { 0 };
    size_t                 len = end != NULL ? (size_t) (end - data) : size;
    char                   err[FOODSVC_ERR];

    if (end != NULL && size - len - 1 >= sizeof(address)) {
        memcpy(&address, end + 1, sizeof(address));
    }
    MUST(allowed(&(foodsvc_allow_t) { NULL, 0 }, &address, 443) == !is_closed(&address));
    fuzz_unsaid(err, sizeof(err));
    if (foodsvc_allow_parse((const char *) data, len, &rule, err, sizeof(err))) {
        check_rule(&rule, &address);
    } else {
        MUST(memchr(err, '\0', sizeof(err)) != NULL && err[0] != '\0');
    }
    return 0;
}
