/* Partners' addresses: what is taken, what is refused and why. */
#include "unit.h"
#include "foodsvc_url.h"

static void takes(void **state)
{
    static const struct {
        const char   *text;
        bool          tls;
        const char   *host;
        unsigned      port;
        const char   *prefix;
    } cases[] = {
        { "https://127.0.0.1:8001", true, "127.0.0.1", 8001, "" },
        { "http://127.0.0.1:8002/", false, "127.0.0.1", 8002, "" },
        { "http://partner.example", false, "partner.example", 80, "" },
        { "HTTPS://Partner_1-a.example/api/v2//", true, "Partner_1-a.example", 443, "/api/v2" },
        { "http://[::1]:65535/x", false, "::1", 65535, "/x" },
        { "https://[2001:db8::1.2.3.4]", true, "2001:db8::1.2.3.4", 443, "" },
        { "http://h/a:b@c%20", false, "h", 80, "/a:b@c%20" },
    };

    for (size_t i = 0; i < COUNT(cases); i++) {
        foodsvc_url_t url;
        char          err[128] = "";

        if (!foodsvc_url_parse(cases[i].text, strlen(cases[i].text), &url, err, sizeof(err))) {
            fail_msg("%s: %s", cases[i].text, err);
        }
        assert_int_equal(url.tls, cases[i].tls);
        assert_string_equal(url.host, cases[i].host);
        assert_int_equal(url.port, cases[i].port);
        assert_string_equal(url.prefix, cases[i].prefix);
    }
}

static void check_refused(const char *text, const char *why)
{
    foodsvc_url_t url;
    char          err[128] = "";

    assert_false(foodsvc_url_parse(text, strlen(text), &url, err, sizeof(err)));
    if (strstr(err, why) == NULL) {
        fail_msg("%s: %s", text, err);
    }
}

static void refuses(void **state)
{
    char long_url[700];

    check_refused("", "does not start with");
    check_refused("http:/", "does not start with");
    check_refused("ftp://host", "does not start with");
    check_refused("127.0.0.1:8002", "does not start with");
    check_refused("http://", "no host");
    check_refused("https://:80", "no host");
    check_refused("http://[]", "no host");
    check_refused("http:///path", "no host");
    check_refused("http://user:secret@host", "user info");
    check_refused("http://host?q", "query");
    check_refused("http://host/#f", "fragment");
    check_refused("http://ho st", "blank");
    check_refused("http://host/\x01", "blank");
    check_refused("http://host/\x7F", "blank");
    check_refused("http://h\xC3\xB6st", "blank");
    check_refused("http://host\\", "blank");
    check_refused("http://ho%73t", "character that no host has");
    check_refused("http://[::g]", "character that no host has");
    check_refused("http://::1", "character that no host has");
    check_refused("http://[::1]x", "character that no host has");
    check_refused("http://[", "character that no host has");
    check_refused("http://host:", "between 1 and 65535");
    check_refused("http://host:0", "between 1 and 65535");
    check_refused("http://host:65536", "between 1 and 65535");
    check_refused("http://host:1234567890123", "between 1 and 65535");
    check_refused("http://host:8x", "no number");

    memset(long_url, 'a', sizeof(long_url));
    memcpy(long_url, "http://", 7);
    long_url[7 + 256] = '\0';
    check_refused(long_url, "host is too long");
    long_url[7 + 256] = 'a';
    long_url[8] = '/';
    long_url[8 + 256] = '\0';
    check_refused(long_url, "path is too long");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(takes),
        cmocka_unit_test(refuses),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
