# DELETE /v1/orders/{id}: gone from MongoDB and from Redis, and it does not come back.
use strict;
use warnings;
BEGIN { push @INC, 't/lib' }
use Test::Nginx::Socket 'no_plan';
use Foodsvc::Stage;

play('order');
run_tests();

__DATA__

=== TEST 1: deleted, then 404 for all
--- before
put orders '{"_id":"06b0413f-be90-7667-8000-f556e4240001","items":[],"customer_id":"53c5711d-f5d4-45eb-8651-f0ba9092ba0d","kitchen_id":null,"delivery_id":null,"status":"created","updated":[],"created":"2026-11-23T10:22:51.910Z"}'
--- request eval
["GET /v1/orders/06b0413f-be90-7667-8000-f556e4240001", "DELETE /v1/orders/06b0413f-be90-7667-8000-f556e4240001",
 "GET /v1/orders/06b0413f-be90-7667-8000-f556e4240001", "DELETE /v1/orders/06b0413f-be90-7667-8000-f556e4240001"]
--- error_code eval
[200, 204, 404, 404]
--- response_body_like eval
['"status":"created"', '^$', "^\\{\"detail\":\"order_id '06b0413f-be90-7667-8000-f556e4240001' not found in DB api_db.orders\"\\}\$",
 'not found']



=== TEST 2: an entry in Redis of an order that MongoDB does not know goes, too
--- before
cache 06b0413f-be90-7667-8000-f556e4240002 '{"items":[],"customer_id":"53c5711d-f5d4-45eb-8651-f0ba9092ba0d","kitchen_id":null,"delivery_id":null,"status":"created","updated":[],"created":"2026-11-23 10:22:51.910000","id":"06b0413f-be90-7667-8000-f556e4240002"}'
--- request
DELETE /v1/orders/06b0413f-be90-7667-8000-f556e4240002
--- error_code: 404
--- after
cached 06b0413f-be90-7667-8000-f556e4240002 =~ ^none$



=== TEST 3: without Redis
--- redis: away
--- before
put orders '{"_id":"06b0413f-be90-7667-8000-f556e4240003","items":[],"customer_id":"53c5711d-f5d4-45eb-8651-f0ba9092ba0d","kitchen_id":null,"delivery_id":null,"status":"created","updated":[],"created":"2026-11-23T10:22:51.910Z"}'
--- request
DELETE /v1/orders/06b0413f-be90-7667-8000-f556e4240003
--- error_code: 204
--- after
show orders 06b0413f-be90-7667-8000-f556e4240003 =~ ^none$



=== TEST 4: without MongoDB
--- mongo: away
--- request
DELETE /v1/orders/06b0413f-be90-7667-8000-f556e4240004
--- error_code: 503
