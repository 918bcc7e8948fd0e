# POST /v1/payments/reimburse: what was paid is given back, once; nothing else is.
use strict;
use warnings;
BEGIN { push @INC, 't/lib' }
use Test::Nginx::Socket 'no_plan';
use Foodsvc::Stage;

play('payment');

# The request for the payment of the section `id`, which is there with `status` when that is given.
add_block_preprocessor(sub {
    my $block = shift;
    my ($id, $status, $more, $times) = map { my $name = $_; my $value = $block->$name; $value }
        qw(id status more times);
    $more = '' unless defined $more;
    $block->set_value('customer_service', 'return 201 \'{"amount":19.99,"billing_info":{"CVV":"937","Bank":"B",'
        . '"Name":"N","Expiry":"11/2031","Address":"A","Country":"C","MoneyRange":"M","CardNumber":"4111111111111111",'
        . '"IssuingNetwork":"Visa"}}\';');
    my $before = "drop payments $id";
    $before .= "\nput payments '{\"_id\":\"$id\",\"metadata\":{\"receiver\":\"Receiver-$id\",\"order_id\":\"$id\","
        . '"customer_id":"53c5711d-f5d4-45eb-8651-f0ba9092ba0d"},"transaction_id":{"$binary":{"base64":'
        . '"BrBBP8DZcdSAAMmJXyhs8A==","subType":"04"}},'
        . "\"status\":\"$status\",\"created\":{\"\$date\":{\"\$numberLong\":\"1795429372053\"}}$more}'"
        if defined $status;
    $block->set_value('before', $before);
    my $request = "POST /v1/payments/reimburse\n" . '{"items":[{"product":"Lasagna","quantity":2}],'
        . "\"metadata\":{\"receiver\":\"OrderService\",\"order_id\":\"$id\","
        . "\"customer_id\":\"53c5711d-f5d4-45eb-8651-f0ba9092ba0d\"}}";
    $block->set_value('request', $times ? [($request) x $times] : $request);
});
run_tests();

__DATA__

=== TEST 1: paid: taken, and pending again until the company's callback
--- id: 06b0413f-be90-7667-8000-f556e4270001
--- status: paymentPaid
--- card_company: location = /billings/reimburse { return 202 '{"transaction_id":"06b0413f-c0d9-71d4-8000-c0c9895f286c"}'; }
--- error_code: 202
--- response_body chomp
{"status":"requestReceived","order_id":"06b0413f-be90-7667-8000-f556e4270001"}
--- after
show payments 06b0413f-be90-7667-8000-f556e4270001 =~ "reimburse": true,.*"status": "pending"



=== TEST 2: what the company is asked
--- id: 06b0413f-be90-7667-8000-f556e4270002
--- status: paymentPaid
--- card_company: return 422 '{"detail":"$uri $http_idempotency_key"}';
--- error_code: 400
--- response_body chomp
{"detail":"/billings/reimburse 06b0413f-be90-7667-8000-f556e4270002-reimburse"}



=== TEST 3: refused: it is paid as before, and can be asked for again
--- id: 06b0413f-be90-7667-8000-f556e4270003
--- status: paymentPaid
--- times: 2
--- card_company: return 400 '{"detail":"not today"}';
--- error_code eval
[400, 400]
--- after
show payments 06b0413f-be90-7667-8000-f556e4270003 =~ "status": "paymentPaid"



=== TEST 4: no answer: open, and a repeat asks with the same key
--- id: 06b0413f-be90-7667-8000-f556e4270004
--- status: paymentPaid
--- times: 2
--- card_company: return 444;
--- error_code eval
[500, 500]
--- after
show payments 06b0413f-be90-7667-8000-f556e4270004 =~ "reimburse": true,.*"status": "pending"



=== TEST 5: reimbursed already: 202, and nobody is asked
--- id: 06b0413f-be90-7667-8000-f556e4270005
--- status: reimbursed
--- card_company: return 422;
--- error_code: 202



=== TEST 6: what was not paid
--- id: 06b0413f-be90-7667-8000-f556e4270006
--- status: paymentFailed
--- card_company: return 202 '{}';
--- error_code: 400
--- response_body chomp
{"detail":"the payment of order '06b0413f-be90-7667-8000-f556e4270006' cannot be reimbursed: its status is paymentFailed"}



=== TEST 7: unknown
--- id: 06b0413f-be90-7667-8000-f556e4270007
--- card_company: return 202 '{}';
--- error_code: 400
--- response_body chomp
{"detail":"there is no payment of order '06b0413f-be90-7667-8000-f556e4270007' that could be reimbursed"}



=== TEST 8: taken: a repeat is a 202, and asks nobody: the company would refuse it
--- id: 06b0413f-be90-7667-8000-f556e4270008
--- status: paymentPaid
--- times: 2
--- card_company: location = /billings/reimburse { limit_req zone=once nodelay; limit_req_status 422; proxy_pass http://127.0.0.1:$TEST_NGINX_RAND_PORT_3; }
--- settings
limit_req_zone $server_port zone=once:64k rate=1r/m;
server { listen 127.0.0.1:$TEST_NGINX_RAND_PORT_3; return 202 '{"transaction_id":"06b0413f-c0d9-71d4-8000-c0c9895f286c"}'; }
--- error_code eval
[202, 202]
--- after
show payments 06b0413f-be90-7667-8000-f556e4270008 =~ "reimburse_taken": true,.*"status": "pending"
