/* Where partners may be: addresses, nets, names, and what no list opens by accident. */
#include <arpa/inet.h>
#include "unit.h"
#include "foodsvc_allow.h"

static foodsvc_allow_rule_t rules[8];

static foodsvc_allow_t list(const char *const entries[])
{
    foodsvc_allow_t  allow = { .rules = rules };
    char             err[256];

    for (; *entries != NULL; entries++) {
        if (!foodsvc_allow_parse(*entries, strlen(*entries), &rules[allow.n++], err, sizeof(err))) {
            fail_msg("%s: %s", *entries, err);
        }
    }
    return allow;
}

#define LIST(...)   list((const char *const []) { __VA_ARGS__, NULL })

static bool at(const foodsvc_allow_t *allow, const char *host, unsigned short port, const char *address)
{
    struct sockaddr_in   in = { .sin_family = AF_INET };
    struct sockaddr_in6  in6 = { .sin6_family = AF_INET6 };

    if (inet_pton(AF_INET, address, &in.sin_addr) == 1) {
        return foodsvc_allow_address(allow, host, port, (struct sockaddr *) &in);
    }
    assert_int_equal(inet_pton(AF_INET6, address, &in6.sin6_addr), 1);
    return foodsvc_allow_address(allow, host, port, (struct sockaddr *) &in6);
}

static void test_no_list(void **state)
{
    static const char *const never[] = {
        "169.254.169.254", "169.254.0.0", "169.254.255.255", "fe80::1", "febf::1", "fd00:ec2::254", "0.0.0.0",
        "0.1.2.3", "::", "224.0.0.1", "255.255.255.255", "ff02::1", "::ffff:169.254.169.254", "::ffff:0.0.0.0",
        "fd20:ce::254", "64:ff9b::a9fe:a9fe", "2002:a9fe:a9fe::1", "::169.254.169.254"
    };
    static const char *const good[] = {
        "127.0.0.1", "10.0.0.1", "169.253.255.255", "169.255.0.0", "8.8.8.8", "::1", "fec0::1", "fd00::1",
        "2001:db8::1", "223.255.255.255", "::ffff:10.0.0.1", "64:ff9b::808:808", "2002:808:808::1"
    };
    foodsvc_allow_t  none = { 0 };

    for (size_t i = 0; i < COUNT(never); i++) {
        if (foodsvc_allow_host(&none, never[i], 80) || at(&none, "any.example", 80, never[i])) {
            fail_msg("%s is allowed", never[i]);
        }
    }
    for (size_t i = 0; i < COUNT(good); i++) {
        if (!foodsvc_allow_host(&none, good[i], 80) || !at(&none, "any.example", 80, good[i])) {
            fail_msg("%s is not allowed", good[i]);
        }
    }
    assert_true(foodsvc_allow_host(&none, "any.example", 80));
}

static void test_nets(void **state)
{
    foodsvc_allow_t  allow = LIST("10.0.0.0/8", "192.0.2.7", "172.16.0.0/12:443", "2001:db8::/33", "[fd00::1]:8002");

    assert_true(foodsvc_allow_host(&allow, "10.255.0.1", 1));
    assert_false(foodsvc_allow_host(&allow, "11.0.0.1", 1));
    assert_true(foodsvc_allow_host(&allow, "::ffff:10.0.0.1", 1));
    assert_true(foodsvc_allow_host(&allow, "192.0.2.7", 1));
    assert_false(foodsvc_allow_host(&allow, "192.0.2.6", 1));
    assert_true(foodsvc_allow_host(&allow, "172.31.255.255", 443));
    assert_false(foodsvc_allow_host(&allow, "172.32.0.0", 443));
    assert_false(foodsvc_allow_host(&allow, "172.16.0.1", 80));
    assert_true(foodsvc_allow_host(&allow, "2001:db8:7fff::1", 1));
    assert_false(foodsvc_allow_host(&allow, "2001:db8:8000::1", 1));
    assert_true(foodsvc_allow_host(&allow, "fd00::1", 8002));
    assert_false(foodsvc_allow_host(&allow, "fd00::1", 8003));
    assert_false(foodsvc_allow_host(&allow, "127.0.0.1", 1));
    /* A name is as good as what it is resolved to. */
    assert_true(foodsvc_allow_host(&allow, "any.example", 1));
    assert_true(at(&allow, "any.example", 1, "10.1.2.3"));
    assert_false(at(&allow, "any.example", 1, "127.0.0.1"));
    assert_false(at(&allow, "any.example", 1, "169.254.169.254"));
}

static void test_names(void **state)
{
    foodsvc_allow_t  allow = LIST("kitchen.example", "Billing.Example:443");

    assert_true(foodsvc_allow_host(&allow, "KITCHEN.example", 8002));
    assert_true(at(&allow, "kitchen.example", 8002, "8.8.8.8"));
    assert_false(at(&allow, "kitchen.example", 8002, "169.254.169.254"));
    assert_false(at(&allow, "kitchen.example", 8002, "::ffff:169.254.169.254"));
    assert_true(foodsvc_allow_host(&allow, "billing.example", 443));
    assert_false(foodsvc_allow_host(&allow, "billing.example", 444));
    assert_false(foodsvc_allow_host(&allow, "evil.kitchen.example", 8002));
    assert_false(foodsvc_allow_host(&allow, "kitchen.example.evil", 8002));
    assert_false(at(&allow, "evil.example", 443, "8.8.8.8"));
    assert_false(foodsvc_allow_host(&allow, "8.8.8.8", 443));
    /* What is no address to us may be one to the resolver: a name, judged by its address. */
    assert_false(foodsvc_allow_host(&allow, "2130706433", 443));
    assert_false(foodsvc_allow_host(&allow, "0x7f.1", 443));
}

/* Only who writes it down gets it. */
static void test_link_local_when_listed(void **state)
{
    foodsvc_allow_t  allow = LIST("169.254.10.0/24");

    assert_true(foodsvc_allow_host(&allow, "169.254.10.3", 80));
    assert_false(foodsvc_allow_host(&allow, "169.254.169.254", 80));
}

static void test_all_nets(void **state)
{
    foodsvc_allow_t  allow = LIST("0.0.0.0/0");

    assert_true(foodsvc_allow_host(&allow, "8.8.8.8", 80));
    assert_false(foodsvc_allow_host(&allow, "2001:db8::1", 80));
    allow = LIST("::/0");
    assert_true(foodsvc_allow_host(&allow, "2001:db8::1", 80));
    assert_true(foodsvc_allow_host(&allow, "8.8.8.8", 80));
}

static void test_refused(void **state)
{
    static const char *const wrong[] = {
        "", "10.0.0.0/33", "10.0.0.0/", "10.0.0.0/-1", "2001:db8::/129", "host/8", "host:", "host:0", "host:65536",
        "host:80x", "[::1", "[::1]x", "[::1]:", "[::1]:0", "[]", "[host]:80", "a b", "http://host", "host,other",
        "*.example.com",
        "::1/x", ":80", "10.0.0.1:80:80", "10.0.0.0/8/8"
    };
    foodsvc_allow_rule_t  rule;
    char                  err[256];

    for (size_t i = 0; i < COUNT(wrong); i++) {
        if (foodsvc_allow_parse(wrong[i], strlen(wrong[i]), &rule, err, sizeof(err))) {
            fail_msg("\"%s\" was taken", wrong[i]);
        }
        assert_non_null(strstr(err, "give an address, a net"));
    }
    assert_false(foodsvc_allow_parse("a\0b", 3, &rule, err, sizeof(err)));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_no_list),
        cmocka_unit_test(test_nets),
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_link_local_when_listed),
        cmocka_unit_test(test_all_nets),
        cmocka_unit_test(test_refused)
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
