# Bodies: the size limit, bodies in pieces and in temporary files, and bodies that nobody wants.
use strict;
use warnings;
BEGIN { push @INC, 't/lib' }
use Test::Nginx::Socket 'no_plan';
use Foodsvc::Stage;

play('order');

add_block_preprocessor(sub {
    my $block = shift;
    $block->set_value('locations', <<'END');
    location = /error { internal; foodsvc error; }
    error_page 400 408 413 414 494 /error;
    foodsvc_max_body 2000;
    location / { foodsvc order; client_body_buffer_size 1k; }
    location /v1/orders/small/ { foodsvc order; foodsvc_max_depth 2; client_max_body_size 1k; }
END
});

run_tests();

__DATA__

=== TEST 1: none
--- request
POST /v1/orders
--- error_code: 422
--- response_body chomp
{"detail":[{"type":"missing","loc":["body"],"msg":"Field required","input":null}]}


=== TEST 2: more than foodsvc_max_body
--- request eval
"POST /v1/orders\n" . 'x' x 2001
--- error_code: 413
--- response_headers
Content-Type: application/json
--- response_body chomp
{"detail":"The body is larger than 2000 bytes"}


=== TEST 3: the limit itself, larger than nginx's buffer: it comes from a temporary file
--- request eval
"POST /v1/orders\n" . '[' . ' ' x 1998 . ']'
--- error_code: 422
--- response_body_like chomp
"loc":\["body"\]


=== TEST 4: chunked, too large
--- request eval
"POST /v1/orders\n" . "7d1\r\n" . 'x' x 2001 . "\r\n0\r\n\r\n"
--- more_headers eval
"X-API-Key: $::KEY\nTransfer-Encoding: chunked"
--- error_code: 413
--- response_body chomp
{"detail":"The body is larger than 2000 bytes"}


=== TEST 5: chunked, in two pieces
--- request eval
"POST /v1/orders\n" . "5\r\n{\"ite\r\n8\r\nms\":[]} \r\n0\r\n\r\n"
--- more_headers eval
"X-API-Key: $::KEY\nTransfer-Encoding: chunked"
--- error_code: 422
--- response_body_like chomp
"loc":\["body","items"\].*"loc":\["body","customer_id"\]


=== TEST 6: what nginx refuses is JSON, too
--- request eval
"POST /v1/orders/small/\n" . 'x' x 1025
--- error_code: 413
--- response_headers
Content-Type: application/json
--- response_body chomp
{"detail":"The body is too large"}


=== TEST 7: two lengths
--- raw_request eval
"POST /v1/orders HTTP/1.1\r\nHost: localhost\r\nX-API-Key: $::KEY\r\nContent-Length: 2\r\nContent-Length: 3\r\nConnection: close\r\n\r\n{}"
--- error_code: 400
--- response_body chomp
{"detail":"Bad Request"}


=== TEST 8: a length that is none
--- raw_request eval
"POST /v1/orders HTTP/1.1\r\nHost: localhost\r\nX-API-Key: $::KEY\r\nContent-Length: two\r\nConnection: close\r\n\r\n{}"
--- error_code: 400
--- response_body chomp
{"detail":"Bad Request"}


=== TEST 9: a body that nobody wants is not taken for the next request
--- pipelined_requests eval
["GET /nope\nx=1", "GET /v1/orders/xyz\nGET /v1/orders HTTP/1.1", "POST /v1/nope\n{}"]
--- error_code eval
[404, 422, 404]


=== TEST 10: the same with one that is refused for its size
--- pipelined_requests eval
["POST /v1/orders\n" . 'x' x 3000, "GET /nope"]
--- error_code eval
[413, 404]
