# The runner itself: each kind of section that our tests use gives the verdict that it should.
use strict;
use warnings;
BEGIN { push @INC, 't/lib' }
use Test::Nginx::Socket;

repeat_each(2);
no_shuffle();
log_level('info');
add_response_body_check(sub {
    my ($block, $body, $i, $rep, $dry) = @_;
    return if $dry;
    ok(defined $body, $block->name . " - the body check is called (rep $rep, req $i)");
});
add_block_preprocessor(sub {
    my $block = shift;
    $block->set_value('config', 'location /t { return 200 "plain\n"; }') unless defined $block->config;
});

our $PLAN = 0;
# What rule 19 of the format says that the blocks make, counted by hand: status, body, headers, patterns, body check.
my %tests = (1 => 3, 2 => 5, 3 => 3, 4 => 4, 5 => 6, 6 => 6, 7 => 3, 8 => 3, 9 => 6, 10 => 3, 11 => 3, 12 => 4, 13 => 3,
             14 => 2, 15 => 3, 16 => 3, 17 => 3, 18 => 2, 19 => 3, 20 => 4, 21 => 3, 22 => 4, 23 => 3);
$PLAN += $_ for values %tests;
plan tests => repeat_each() * $PLAN + 2;        # and the shutdown patterns, once

run_tests();

__DATA__

=== TEST 1: status and a whole body, which ends with a newline
--- request
GET /t
--- response_body
plain



=== TEST 2: headers: equal, repeated ones joined, absent ones
--- config
location /t {
    add_header X-One 1;
    add_header X-Two a;
    add_header X-Two b;
    return 200 "x";
}
--- request: GET /t
--- response_headers
x-one: 1
X-Two: a, b
! X-Three
--- error_code: 200



=== TEST 3: a body by a regular expression
--- config
location /t { return 200 "abc-123"; }
--- request
GET /t
--- response_body_like: ^abc-\d+$



=== TEST 4: a body that must not match, and a header by a regular expression
--- config
location /t { add_header X-Id 00ff always; return 404 "abc"; }
--- request
GET /t
--- error_code: 404
--- response_body_unlike: xyz
--- response_headers_like
X-Id: [0-9a-f]{4}



=== TEST 5: several requests, a connection each; every expectation is an array
--- config
location /a { return 200 "a $connection_requests"; }
location /b { return 201 "b $connection_requests"; }
--- request eval
["GET /a", "POST /b\nsome body"]
--- error_code eval
[200, 201]
--- response_body eval
["a 1", "b 1"]



=== TEST 6: pipelined requests: one connection
--- config
location /a { return 200 "a $connection_requests $http_x"; }
--- pipelined_requests eval
["GET /a", "GET /a"]
--- more_headers eval
["X: 1", "X: 2"]
--- response_body eval
["a 1 1", "a 2 2"]



=== TEST 7: the request's body is trimmed and measured
--- config
location /t { return 200 "$request_method $content_length $http_host"; }
--- request
# a comment

POST /t
  0123456789
--- response_body: POST 10 localhost



=== TEST 8: Content-Length of one's own: the body goes as it is
--- config
location /t { return 200 "$content_length"; }
--- request eval
"POST /t\n 12 "
--- more_headers
# not sent
Content-Length: 4
Host: else.where
--- response_body: 4



=== TEST 9: patterns in the error log, literal and regular
--- config
location /t { rewrite ^ /u last; rewrite_log on; }
location /u { return 200 "u"; }
--- log_level: notice
--- request
GET /t
--- error_log eval
["rewritten data:", qr/"\^" matches "\/t"/]
--- no_error_log
[alert]
--- response_headers
! X-None



=== TEST 10: the access log
--- request
GET /t?marker=1
--- access_log
GET /t?marker=1 HTTP/1.1



=== TEST 11: chunked responses are put together
--- config
location /t { chunked_transfer_encoding on; ssi on; default_type text/html; root html; try_files /p.html =404; }
--- user_files
>>> p.html
<!--# set var="a" value="x" -->one <!--# echo var="a" --> two
--- request
GET /t
--- response_body
one x two



=== TEST 12: raw headers, and what must not be in them
--- config
location /t { add_header X-A b; return 204; }
--- request
GET /t HTTP/1.1
--- error_code: 204
--- raw_response_headers_like: X-A: b\r\n
--- raw_response_headers_unlike: Content-Length



=== TEST 13: HTTP/1.0 and an event stream that goes on: what came until the silence counts
--- config
location /t { proxy_pass http://127.0.0.1:$TEST_NGINX_RAND_PORT_1/; proxy_buffering off; }
--- http_config
server {
    listen 127.0.0.1:$TEST_NGINX_RAND_PORT_1;
    location / { root html; limit_rate 10; limit_rate_after 400; }
}
--- user_files eval
">>> index.html\ndata: one\n\ndata: " . ("two " x 200) . "\n\n"
--- request
GET /t HTTP/1.0
--- timeout: 300ms
--- abort
--- response_body_like: ^data: one



=== TEST 14: a configuration that nginx refuses
--- config
    no_such_directive on;
--- must_die
--- suppress_stderr
--- error_log
unknown directive "no_such_directive"



=== TEST 15: a raw request, and a server that closes without a word
--- config
location /t { return 444; }
--- raw_request eval
"GET /t HTTP/1.1\r\nHost: a\r\n\r\n"
--- error_code:
--- response_body eval
""



=== TEST 16: the body as sorted JSON
--- config
location /t { return 200 '{"b": [1, 2.5, null], "a": {"z": true, "y": "é"}}'; }
--- request
GET /t
--- response_body_json_sort
--- response_body
{"a":{"y":"é","z":true},"b":[1,2.5,null]}



=== TEST 17: user files, variables of the environment and init
--- config
location /f { root html; }
--- user_files
>>> f/one.txt
port $TEST_NGINX_SERVER_PORT
--- init
open my $file, '>', Test::Nginx::Socket::html_dir() . '/init.txt' or die; close $file;
--- request
GET /f/one.txt
--- response_body
port $TEST_NGINX_SERVER_PORT



=== TEST 18: any status of a kind
--- config
location /t { return 409; }
--- request
GET /t
--- error_code_like: ^4\d\d$



=== TEST 19: patterns of what nginx logs while it ends
--- main_config
--- request
GET /t
--- response_body
plain
--- shutdown_error_log
SIGQUIT
--- no_shutdown_error_log
[crit]



=== TEST 20: main_config, post_main_config and http_config stand where they should
--- main_config
worker_shutdown_timeout 5s;
--- http_config
map $arg_a $mapped { default no; 1 yes; }
--- post_main_config
# nothing
--- config
location /t { return 200 "$mapped"; }
--- request
GET /t?a=1
--- response_body: yes
--- no_error_log
[error]



=== TEST 21: HEAD has no body
--- request
HEAD /t
--- response_body eval
""



=== TEST 22: repeated header lines, and a wait before the logs are read
--- config
location /t { add_header X-A 1; return 200; }
--- request
GET /t
--- response_headers
X-A: 2
X-A: 1
--- wait: 0.1
--- no_error_log
[alert]



=== TEST 23: a body of binary bytes
--- config
location /t { return 200 "\r\n\t\""; }
--- request
GET /t
--- response_body eval
"\r\n\t\""
