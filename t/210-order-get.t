# GET /v1/orders/{id}: from Redis what can be trusted there, else from MongoDB; either may be away.
use strict;
use warnings;
BEGIN { push @INC, 't/lib' }
use Test::Nginx::Socket 'no_plan';
use Foodsvc::Stage;

play('order');
run_tests();

__DATA__

=== TEST 1: a document of the original's, from MongoDB; then it is in Redis
--- before
uncache 06b0413f-be90-7667-8000-f556e4210001
put orders '{"_id":"06b0413f-be90-7667-8000-f556e4210001","items":[{"product":"Lasagna","quantity":{"$numberInt":"2"}}],"customer_id":{"$binary":{"base64":"U8VxHfXUReuGUfC6kJK6DQ==","subType":"04"}},"kitchen_id":null,"delivery_id":{"$binary":{"base64":"s4VPMVgxQRSJM6himoI0Jw==","subType":"04"}},"status":"deliveryScheduled","updated":[{"status":"paymentPaid","when":{"$date":{"$numberLong":"1795429372094"}}}],"created":{"$date":{"$numberLong":"1795429371910"}},"foreign":7}'
--- request
GET /v1/orders/06b0413f-be90-7667-8000-f556e4210001
--- response_headers
Content-Type: application/json
--- response_body chomp
{"id":"06b0413f-be90-7667-8000-f556e4210001","status":"deliveryScheduled","items":[{"product":"Lasagna","quantity":2}],"created":"2026-11-23T10:22:51.910Z","customer_id":"53c5711d-f5d4-45eb-8651-f0ba9092ba0d","kitchen_id":null,"delivery_id":"b3854f31-5831-4114-8933-a8629a823427","updated":[{"status":"paymentPaid","when":"2026-11-23T10:22:52.094Z"}]}
--- after
cached 06b0413f-be90-7667-8000-f556e4210001 =~ ^\{"id":"06b0413f-be90-7667-8000-f556e4210001",.*"foreign":7\}$



=== TEST 2: the second time it comes from Redis, the same bytes; MongoDB is not asked
--- before
uncache 06b0413f-be90-7667-8000-f556e4210002
put orders '{"_id":"06b0413f-be90-7667-8000-f556e4210002","items":[{"product":"Lasagna","quantity":{"$numberInt":"2"}}],"customer_id":"53c5711d-f5d4-45eb-8651-f0ba9092ba0d","kitchen_id":null,"delivery_id":null,"status":"created","updated":[],"created":"2026-11-23T10:22:51.910000"}'
--- request eval
["GET /v1/orders/06b0413f-be90-7667-8000-f556e4210002", "GET /v1/orders/06B0413FBE9076678000F556E4210002"]
--- response_body eval
[('{"id":"06b0413f-be90-7667-8000-f556e4210002","status":"created","items":[{"product":"Lasagna","quantity":2}],"created":"2026-11-23T10:22:51.910Z","customer_id":"53c5711d-f5d4-45eb-8651-f0ba9092ba0d","kitchen_id":null,"delivery_id":null,"updated":[]}') x 2]
--- error_code eval
[200, 200]



=== TEST 3: an entry that the original wrote is read, and answered with ISO 8601
--- mongo: away
--- before
cache 06b0413f-be90-7667-8000-f556e4210003 '{"items":[{"product":"Lasagna","quantity":2}],"customer_id":"53c5711d-f5d4-45eb-8651-f0ba9092ba0d","kitchen_id":null,"delivery_id":null,"status":"paymentPaid","updated":[{"status":"paymentPaid","when":"2026-11-23 10:22:52.094671+00:00"}],"created":"2026-11-23 10:22:51.910000","id":"06b0413f-be90-7667-8000-f556e4210003"}'
--- request eval
# the first may come before Redis is connected
["GET /v1/orders/06b0413f-be90-7667-8000-f556e42100ff", "GET /v1/orders/06b0413f-be90-7667-8000-f556e4210003"]
--- error_code eval
[503, 200]
--- response_body eval
[qr/not available/, '{"id":"06b0413f-be90-7667-8000-f556e4210003","status":"paymentPaid","items":[{"product":"Lasagna","quantity":2}],"created":"2026-11-23T10:22:51.910Z","customer_id":"53c5711d-f5d4-45eb-8651-f0ba9092ba0d","kitchen_id":null,"delivery_id":null,"updated":[{"status":"paymentPaid","when":"2026-11-23T10:22:52.094Z"}]}']



=== TEST 4: rubbish in Redis is as good as nothing there
--- before
cache 06b0413f-be90-7667-8000-f556e4210004 '{"id":"06b0413f-be90-7667-8000-f556e4210004","status":"del'
put orders '{"_id":"06b0413f-be90-7667-8000-f556e4210004","items":[],"customer_id":"53c5711d-f5d4-45eb-8651-f0ba9092ba0d","kitchen_id":null,"delivery_id":null,"status":"created","updated":[],"created":"2026-11-23T10:22:51.910Z"}'
--- request
GET /v1/orders/06b0413f-be90-7667-8000-f556e4210004
--- response_body_like: "status":"created"
--- error_log
its entry in Redis is ignored



=== TEST 5: so is another order's entry
--- before
cache 06b0413f-be90-7667-8000-f556e4210005 '{"items":[],"customer_id":"53c5711d-f5d4-45eb-8651-f0ba9092ba0d","kitchen_id":null,"delivery_id":null,"status":"delivered","updated":[],"created":"2026-11-23 10:22:51.910000","id":"06b0413f-be90-7667-8000-f556e4219999"}'
drop orders 06b0413f-be90-7667-8000-f556e4210005
--- request
GET /v1/orders/06b0413f-be90-7667-8000-f556e4210005
--- error_code: 404



=== TEST 6: and a value of another type
--- before
cache-list 06b0413f-be90-7667-8000-f556e4210006 x
drop orders 06b0413f-be90-7667-8000-f556e4210006
--- request
GET /v1/orders/06b0413f-be90-7667-8000-f556e4210006
--- error_code: 404
--- response_body chomp
{"detail":"order_id '06b0413f-be90-7667-8000-f556e4210006' not found in DB api_db.orders"}



=== TEST 7: no UUID
--- request
GET /v1/orders/xyz
--- error_code: 422
--- response_body_like: "loc":\["path","order_id"\]



=== TEST 8: without Redis
--- redis: away
--- before
put orders '{"_id":"06b0413f-be90-7667-8000-f556e4210008","items":[],"customer_id":"53c5711d-f5d4-45eb-8651-f0ba9092ba0d","kitchen_id":null,"delivery_id":null,"status":"created","updated":[],"created":"2026-11-23T10:22:51.910Z"}'
--- request
GET /v1/orders/06b0413f-be90-7667-8000-f556e4210008
--- response_body_like: "status":"created"



=== TEST 9: without MongoDB, not in Redis: come again
--- mongo: away
--- request
GET /v1/orders/06b0413f-be90-7667-8000-f556e4210009
--- error_code: 503
--- response_headers
Retry-After: 1



=== TEST 10: a document that nobody can read: 500, and the log says why
--- before
uncache 06b0413f-be90-7667-8000-f556e4210010
put orders '{"_id":"06b0413f-be90-7667-8000-f556e4210010","items":"none","customer_id":7,"status":"created","updated":[],"created":"2026-11-23T10:22:51.910Z"}'
--- request
GET /v1/orders/06b0413f-be90-7667-8000-f556e4210010
--- error_code: 500
--- response_body chomp
{"detail":"The stored document cannot be read"}
--- after
drop orders 06b0413f-be90-7667-8000-f556e4210010 =~ ^$
