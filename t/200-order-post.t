# POST /v1/orders: the order is stored before anybody is told, and PaymentService's answer decides what the client
# hears.
use strict;
use warnings;
BEGIN { push @INC, 't/lib' }
use Test::Nginx::Socket 'no_plan';
use Foodsvc::Stage;

play('order');
run_tests();

__DATA__

=== TEST 1: PaymentService takes it: 202 and the order, created, with what was asked for and nothing else
--- payment_service: return 202 '{"status":"requestReceived","order_id":"x"}';
--- request
POST /v1/orders
{"items":[{"product":"Lasagna","quantity":2},{"product":"Double Cheeseburger"}],"customer_id":"53C5711DF5D445EB8651F0BA9092BA0D","surplus":1}
--- error_code: 202
--- response_headers
Content-Type: application/json
--- response_body_like chomp
^\{"id":"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}","status":"created","items":\[\{"product":"Lasagna","quantity":2\},\{"product":"Double Cheeseburger","quantity":1\}\],"created":"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z","customer_id":"53c5711d-f5d4-45eb-8651-f0ba9092ba0d","kitchen_id":null,"delivery_id":null,"updated":\[\]\}$



=== TEST 2: PaymentService refuses: 400 with its detail, and the order is paymentFailed
--- payment_service: return 400 '{"detail":"no money"}';
--- request
POST /v1/orders
{"items":[{"product":"Lasagna"}],"customer_id":"53c5711d-f5d4-45eb-8651-f0ba9092ba0d"}
--- error_code: 400
--- response_body chomp
{"detail":"no money"}



=== TEST 3: its 5xx is a refusal, too
--- payment_service: return 503 '{"detail":"later, perhaps"}';
--- request
POST /v1/orders
{"items":[{"product":"Lasagna"}],"customer_id":"53c5711d-f5d4-45eb-8651-f0ba9092ba0d"}
--- error_code: 400
--- response_body chomp
{"detail":"later, perhaps"}



=== TEST 4: a refusal without a detail to show
--- payment_service: return 422 '{"detail":[';
--- request
POST /v1/orders
{"items":[{"product":"Lasagna"}],"customer_id":"53c5711d-f5d4-45eb-8651-f0ba9092ba0d"}
--- error_code: 400
--- response_body chomp
{"detail":"PaymentService answered 422"}



=== TEST 5: what PaymentService is asked: a key for repeats, made of the order's id
--- payment_service: return 400 '{"detail":"$request_method $uri $http_idempotency_key $content_type"}';
--- request
POST /v1/orders
{"items":[{"product":"Lasagna"}],"customer_id":"53c5711d-f5d4-45eb-8651-f0ba9092ba0d"}
--- error_code: 400
--- response_body_like chomp
^\{"detail":"POST /v1/payments [0-9a-f-]{36}-payment application/json"\}$



=== TEST 6: nobody listens: 500
--- request
POST /v1/orders
{"items":[{"product":"Lasagna"}],"customer_id":"53c5711d-f5d4-45eb-8651-f0ba9092ba0d"}
--- error_code: 500
--- response_body chomp
{"detail":"PaymentService is unreachable"}



=== TEST 7: no answer: 500, and orderd is told of the order that owes its payment
--- payment_service: return 444;
--- before: drain OrderService
--- request
POST /v1/orders
{"items":[{"product":"Lasagna"}],"customer_id":"53c5711d-f5d4-45eb-8651-f0ba9092ba0d"}
--- error_code: 500
--- response_body_like chomp
"detail":"PaymentService gave no answer.*payment of order [0-9a-f-]{36} is open"
--- after
take OrderService =~ "body": "\{\\"metadata\\":\{\\"receiver\\":\\"OrderService\\".*\\"status\\":\\"created\\"\}".*"content_type": "application/json", "delivery_mode": 2,.*"message_id"



=== TEST 8: an answer that is none of HTTP's successes and errors: nobody knows
--- payment_service: return 302 /elsewhere;
--- before: drain OrderService
--- request
POST /v1/orders
{"items":[{"product":"Lasagna"}],"customer_id":"53c5711d-f5d4-45eb-8651-f0ba9092ba0d"}
--- error_code: 500
--- after
take OrderService =~ created



=== TEST 9: the deadline passes before PaymentService answers
--- payment_service: location / { limit_rate 1; return 202 '{"status":"requestReceived"}'; }
--- settings: foodsvc_deadline 300ms;
--- before: drain OrderService
--- request
POST /v1/orders
{"items":[{"product":"Lasagna"}],"customer_id":"53c5711d-f5d4-45eb-8651-f0ba9092ba0d"}
--- error_code: 500
--- after
take OrderService =~ created



=== TEST 10: every fault of the body is told
--- request
POST /v1/orders
{"items":[{"product":"Pizza","quantity":0}],"customer_id":"no"}
--- error_code: 422
--- response_body_like: "loc":\["body","items",0,"product"\].*"loc":\["body","items",0,"quantity"\].*"loc":\["body","customer_id"\]



=== TEST 11: MongoDB is away: 503 at once, and nobody was asked for money
--- mongo: away
--- payment_service: return 202 '{}';
--- request
POST /v1/orders
{"items":[{"product":"Lasagna"}],"customer_id":"53c5711d-f5d4-45eb-8651-f0ba9092ba0d"}
--- error_code: 503
--- response_headers
Retry-After: 1



=== TEST 12: Redis and RabbitMQ are away: orders go on
--- redis: away
--- amqp: away
--- payment_service: return 202 '{}';
--- request
POST /v1/orders
{"items":[{"product":"Lasagna"}],"customer_id":"53c5711d-f5d4-45eb-8651-f0ba9092ba0d"}
--- error_code: 202
