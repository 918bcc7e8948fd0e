# Paths and methods: 404 for a path that is not there, 405 with all methods of one that is, 422 for an id that is none.
use strict;
use warnings;
BEGIN { push @INC, 't/lib' }
use Test::Nginx::Socket;
use Foodsvc::Stage;

play('order');

plan tests => repeat_each() * (blocks() * 5);
run_tests();

__DATA__

=== TEST 1: an unknown path
--- request
GET /v1/nope
--- error_code: 404
--- response_headers
Content-Type: application/json
--- response_body chomp
{"detail":"Not Found"}


=== TEST 2: a path too long
--- request
GET /v1/orders/53c5711d-f5d4-45eb-8651-f0ba9092ba0d/refund
--- error_code: 404
--- response_headers
Content-Type: application/json
--- response_body chomp
{"detail":"Not Found"}


=== TEST 3: an empty id
--- request
GET /v1/orders/
--- error_code: 404
--- response_headers
Content-Type: application/json
--- response_body chomp
{"detail":"Not Found"}


=== TEST 4: a slash too many
--- request
POST /v1/orders/53c5711d-f5d4-45eb-8651-f0ba9092ba0d/x/cancel
--- error_code: 404
--- response_headers
Content-Type: application/json
--- response_body chomp
{"detail":"Not Found"}


=== TEST 5: all methods of /v1/orders
--- request
PUT /v1/orders
--- error_code: 405
--- response_headers
Allow: GET, POST
--- response_body chomp
{"detail":"Method Not Allowed"}


=== TEST 6: of an order; the method comes before the id
--- request
POST /v1/orders/xyz
--- error_code: 405
--- response_headers
Allow: GET, DELETE
--- response_body chomp
{"detail":"Method Not Allowed"}


=== TEST 7: of cancel
--- request
GET /v1/orders/53c5711d-f5d4-45eb-8651-f0ba9092ba0d/cancel
--- error_code: 405
--- response_headers
Allow: POST
--- response_body chomp
{"detail":"Method Not Allowed"}


=== TEST 8: HEAD is no GET, and has no body
--- request
HEAD /v1/orders
--- error_code: 405
--- response_headers
Allow: GET, POST
--- response_body chomp


=== TEST 9: health
--- request
POST /health
--- error_code: 405
--- response_headers
Allow: GET
--- response_body chomp
{"detail":"Method Not Allowed"}


=== TEST 10: a location of its own for health
--- role: health order
--- request
DELETE /v1/orders
--- error_code: 405
--- response_headers
Allow: GET
--- response_body chomp
{"detail":"Method Not Allowed"}


=== TEST 11: an id that is no UUID
--- request
GET /v1/orders/xyz
--- error_code: 422
--- response_headers
Content-Type: application/json
--- response_body chomp
{"detail":[{"type":"uuid_parsing","loc":["path","order_id"],"msg":"Input should be a valid UUID, invalid character: found `x` at 0","input":"xyz","ctx":{"error":"invalid character: found `x` at 0"}}]}


=== TEST 12: the same for cancel
--- request
POST /v1/orders/1/cancel
--- error_code: 422
--- response_headers
Content-Type: application/json
--- response_body_like chomp
"loc":\["path","order_id"\]


=== TEST 13: PaymentService has no orders
--- role: payment
--- request
GET /v1/orders
--- error_code: 404
--- response_headers
Content-Type: application/json
--- response_body chomp
{"detail":"Not Found"}


=== TEST 14: its paths know POST alone
--- role: payment
--- request
GET /v1/payments/callback
--- error_code: 405
--- response_headers
Allow: POST
--- response_body chomp
{"detail":"Method Not Allowed"}


=== TEST 15: OrderService has no payments
--- request
POST /v1/payments
--- error_code: 404
--- response_headers
Content-Type: application/json
--- response_body chomp
{"detail":"Not Found"}
