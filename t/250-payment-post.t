# POST /v1/payments: CustomerService says how much and whose card, the card company takes the request;
# once for an order.
use strict;
use warnings;
BEGIN { push @INC, 't/lib' }
use Test::Nginx::Socket 'no_plan';
use Foodsvc::Stage;

play('payment');

our $billing = q(location ~ ^/v1/customers/53c5711d-f5d4-45eb-8651-f0ba9092ba0d/billing$ {
    return 201 ') . '{"amount":19.99,"billing_info":{"CVV":"937","Bank":"B","Name":"N","Expiry":"1","Address":"A",'
    . '"Country":"C","MoneyRange":"M","CardNumber":"4111111111111111","IssuingNetwork":"Visa"}}' . "';\n}";

# The request for the order of the section `id`, `times` times; without `customer_service` that one works as it should.
# With `attempt`, its payment is there, and another has its lease for so many seconds.
add_block_preprocessor(sub {
    my $block = shift;
    my ($id, $times, $customer) = map { my $name = $_; my $value = $block->$name; $value }
        qw(id times customer_service);
    $block->set_value('customer_service', $billing) unless defined $customer;
    return unless defined $id;
    my $request = "POST /v1/payments\n" . '{"items":[{"product":"Lasagna","quantity":2}],"metadata":{"receiver":'
        . "\"OrderService\",\"order_id\":\"$id\",\"customer_id\":\"53c5711d-f5d4-45eb-8651-f0ba9092ba0d\"}}";
    $block->set_value('request', $times ? [($request) x $times] : $request);
    my $attempt = $block->attempt;
    $block->set_value('before', "drop payments $id") unless defined $attempt;
    return unless defined $attempt;
    my $until = int((time + $attempt) * 1000);
    $block->set_value('before', "put payments '{\"_id\":\"$id\",\"metadata\":{\"receiver\":\"OrderService\","
        . "\"order_id\":\"$id\"," . '"customer_id":"53c5711d-f5d4-45eb-8651-f0ba9092ba0d"},"status":"pending",'
        . '"created":{"$date":{"$numberLong":"1795429372053"}},'
        . "\"attempts\":1,\"attempt\":{\"by\":\"another\",\"until\":{\"\$date\":{\"\$numberLong\":\"$until\"}}}}'");
});
run_tests();

__DATA__

=== TEST 1: taken: 202, and the payment is pending with the company's transaction
--- id: 06b0413f-be90-7667-8000-f556e4250001
--- card_company: location = /billings { return 202 '{"transaction_id":"06b0413f-c0d9-71d4-8000-c0c9895f286c"}'; }
--- error_code: 202
--- response_headers
Content-Type: application/json
--- response_body chomp
{"status":"requestReceived","order_id":"06b0413f-be90-7667-8000-f556e4250001"}
--- after
show payments 06b0413f-be90-7667-8000-f556e4250001 =~ "metadata": \{"customer_id": "53c5711d-f5d4-45eb-8651-f0ba9092ba0d", "order_id": "06b0413f-be90-7667-8000-f556e4250001", "receiver": "OrderService"\}.*"status": "pending", "transaction_id": \{"\$binary": \{"base64": "BrBBP8DZcdSAAMDJiV8obA==", "subType": "04"\}\}



=== TEST 2: a repeat is taken as well, and asks nobody: the company would refuse it
--- id: 06b0413f-be90-7667-8000-f556e4250002
--- times: 2
--- card_company: location = /billings { limit_req zone=once nodelay; limit_req_status 422; proxy_pass http://127.0.0.1:$TEST_NGINX_RAND_PORT_3; }
--- settings
limit_req_zone $server_port zone=once:64k rate=1r/m;
server { listen 127.0.0.1:$TEST_NGINX_RAND_PORT_3; return 202 '{"transaction_id":"06b0413f-c0d9-71d4-8000-c0c9895f286c"}'; }
--- error_code eval
[202, 202]



=== TEST 3: accepted without a transaction id: the callback will bring it
--- id: 06b0413f-be90-7667-8000-f556e4250003
--- card_company: location = /billings { return 202 '{}'; }
--- error_code: 202
--- error_log
accepted, without a transaction_id



=== TEST 4: the company refuses: 400 with its detail, nothing was charged, and a new request asks again
--- id: 06b0413f-be90-7667-8000-f556e4250004
--- times: 2
--- card_company: location = /billings { return 422 '{"detail":"expired"}'; }
--- error_code eval
[400, 400]
--- response_body eval
['{"detail":"expired"}', '{"detail":"expired"}']
--- after
show payments 06b0413f-be90-7667-8000-f556e4250004 =~ "status": "paymentFailed"\}



=== TEST 5: what the company is asked: the same key for each try, the amount, the card, the way back
--- id: 06b0413f-be90-7667-8000-f556e4250005
--- card_company: location = /billings { return 422 '{"detail":"$request_method $http_idempotency_key $content_type $http_x_api_key."}'; }
--- error_code: 400
--- response_body chomp
{"detail":"POST 06b0413f-be90-7667-8000-f556e4250005-payment application/json ."}



=== TEST 6: the company cannot be reached: nothing was charged
--- id: 06b0413f-be90-7667-8000-f556e4250006
--- error_code: 500
--- response_body chomp
{"detail":"CreditCardCompany is unreachable"}
--- after
show payments 06b0413f-be90-7667-8000-f556e4250006 =~ "status": "paymentFailed"\}



=== TEST 7: the company gives no answer: the payment stays open
--- id: 06b0413f-be90-7667-8000-f556e4250007
--- card_company: return 444;
--- error_code: 500
--- after
show payments 06b0413f-be90-7667-8000-f556e4250007 =~ "status": "pending"\}



=== TEST 8: the company's 5xx says nothing either
--- id: 06b0413f-be90-7667-8000-f556e4250008
--- card_company: return 503;
--- error_code: 500
--- after
show payments 06b0413f-be90-7667-8000-f556e4250008 =~ "status": "pending"\}



=== TEST 9: CustomerService does not know the customer
--- id: 06b0413f-be90-7667-8000-f556e4250009
--- customer_service: return 404 '{"detail":"Customer not found"}';
--- error_code: 400
--- response_body chomp
{"detail":"Customer not found"}
--- after
show payments 06b0413f-be90-7667-8000-f556e4250009 =~ "status": "paymentFailed"\}



=== TEST 10: CustomerService cannot be reached
--- id: 06b0413f-be90-7667-8000-f556e4250010
--- customer_service: return 444;
--- error_code: 500
--- response_body chomp
{"detail":"CustomerService is unreachable"}



=== TEST 11: CustomerService's answer is malformed; no card number is told or logged
--- id: 06b0413f-be90-7667-8000-f556e4250011
--- customer_service: return 201 '{"amount":-1,"billing_info":{"CardNumber":"4111111111111111"}}';
--- error_code: 500
--- response_body chomp
{"detail":"CustomerService's answer is malformed"}
--- no_error_log
4111
[alert]



=== TEST 12: 200 is not what it should answer
--- id: 06b0413f-be90-7667-8000-f556e4250012
--- customer_service: return 200 '{"amount":1,"billing_info":{}}';
--- error_code: 500



=== TEST 13: an order id in another spelling is the same order's
--- request
POST /v1/payments
{"items":[{"product":"Lasagna"}],"metadata":{"receiver":"OrderService","order_id":"06B0413FBE9076678000F556E4250013","customer_id":"{53C5711D-F5D4-45EB-8651-F0BA9092BA0D}"}}
--- customer_service: location / { return 404 '{"detail":"$request_uri $http_idempotency_key"}'; }
--- error_code: 400
--- response_body chomp
{"detail":"/v1/customers/53c5711d-f5d4-45eb-8651-f0ba9092ba0d/billing 06b0413f-be90-7667-8000-f556e4250013-payment"}



=== TEST 14: what would break a header, a path and a queue's name does not get that far
--- request eval
"POST /v1/payments\n" . '{"items":[{"product":"Lasagna"}],"metadata":{"receiver":"' . 'r' x 256 . '","order_id":"x\\r\\nX-Evil: 1"'
    . ',"customer_id":""}}'
--- error_code: 422
--- response_body_like: "loc":\["body","metadata","receiver"\].*"loc":\["body","metadata","order_id"\].*"loc":\["body","metadata","customer_id"\]



=== TEST 15: every fault is told
--- request
POST /v1/payments
{"items":[],"metadata":{"receiver":1}}
--- error_code: 422
--- response_body_like: "loc":\["body","items"\].*"loc":\["body","metadata","receiver"\].*"loc":\["body","metadata","order_id"\].*"loc":\["body","metadata","customer_id"\]



=== TEST 16: without MongoDB nobody is asked
--- mongo: away
--- request
POST /v1/payments
{"items":[{"product":"Lasagna"}],"metadata":{"receiver":"OrderService","order_id":"06b0413f-be90-7667-8000-f556e4250016","customer_id":"53c5711d-f5d4-45eb-8651-f0ba9092ba0d"}}
--- error_code: 503
--- response_headers
Retry-After: 1



=== TEST 17: ids that are no UUIDs stay one part of a path and of a header
--- before: drop payments 'a b/%'
--- request
POST /v1/payments
{"items":[{"product":"Lasagna"}],"metadata":{"receiver":"OrderService","order_id":"a b/%","customer_id":"../x?y#z"}}
--- customer_service: location / { return 404 '{"detail":"$request_uri $http_idempotency_key"}'; }
--- error_code: 400
--- response_body chomp
{"detail":"/v1/customers/..%2Fx%3Fy%23z/billing a%20b%2F%25-payment"}



=== TEST 18: nor do they climb a path
--- before: drop payments 06b0413f-be90-7667-8000-f556e4250018
--- request
POST /v1/payments
{"items":[{"product":"Lasagna"}],"metadata":{"receiver":"OrderService","order_id":"06b0413f-be90-7667-8000-f556e4250018","customer_id":".."}}
--- customer_service: location / { return 201 '{"amount":1,"billing_info":{}}'; }
--- error_code: 422
--- no_error_log
/v1/customers/../
[alert]



=== TEST 19: another asks the company at this time: 503 at the deadline, and nobody is asked
--- id: 06b0413f-be90-7667-8000-f556e4250019
--- attempt: 60
--- settings: foodsvc_deadline 500ms;
--- card_company: return 422 '{"detail":"asked"}';
--- error_code: 503
--- response_headers
Retry-After: 1
--- response_body chomp
{"detail":"Another request for this order is being carried out"}
--- after
show payments 06b0413f-be90-7667-8000-f556e4250019 =~ "by": "another".*"status": "pending"



=== TEST 20: a lease that is over while we wait is ours
--- id: 06b0413f-be90-7667-8000-f556e4250020
--- attempt: 2
--- settings: foodsvc_deadline 30s;
--- timeout: 30
--- card_company: return 202 '{"transaction_id":"06b0413f-c0d9-71d4-8000-c0c9895f286c"}';
--- error_code: 202
--- after
show payments 06b0413f-be90-7667-8000-f556e4250020 =~ ^(?!.*"attempt":).*"status": "pending", "transaction_id"



=== TEST 21: a lease that is further away than any may be is none: a clock was wrong
--- id: 06b0413f-be90-7667-8000-f556e4250021
--- attempt: 3600
--- card_company: return 202 '{"transaction_id":"06b0413f-c0d9-71d4-8000-c0c9895f286c"}';
--- error_code: 202



=== TEST 22: an attempt that cannot ask the company says nothing of the one before: it stays open
--- id: 06b0413f-be90-7667-8000-f556e4250022
--- attempt: -1
--- error_code: 500
--- response_body chomp
{"detail":"CreditCardCompany is unreachable; the payment is open"}
--- after
show payments 06b0413f-be90-7667-8000-f556e4250022 =~ ^(?!.*"attempt":).*"status": "pending"\}
