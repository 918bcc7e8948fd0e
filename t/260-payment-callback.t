# POST /v1/payments/callback: stored with the mark of its event in one write; the event follows, once.
use strict;
use warnings;
BEGIN { push @INC, 't/lib' }
use Test::Nginx::Socket 'no_plan';
use Foodsvc::Stage;

play('payment');

# The payment of the section `id` is there, its status `status`, its receiver a queue of its own.
add_block_preprocessor(sub {
    my $block = shift;
    my ($id, $status, $more) = map { my $name = $_; my $value = $block->$name; $value } qw(id status more);
    return unless defined $id;
    $more = '' unless defined $more;
    my $before = "put payments '{\"_id\":\"$id\",\"metadata\":{\"receiver\":\"Receiver-$id\",\"order_id\":\"$id\","
        . '"customer_id":"53c5711d-f5d4-45eb-8651-f0ba9092ba0d"},"transaction_id":{"$binary":{"base64":'
        . '"BrBBP8DZcdSAAMmJXyhs8A==","subType":"04"}},'
        . "\"status\":\"$status\",\"created\":{\"\$date\":{\"\$numberLong\":\"1795429372053\"}}$more}'\n"
        . "drain Receiver-$id";
    $block->set_value('before', $before);
});
run_tests();

__DATA__

=== TEST 1: paid: 201 with the callback itself; stored with its transaction; one event; the mark goes
--- id: 06b0413f-be90-7667-8000-f556e4260001
--- status: pending
--- request
POST /v1/payments/callback
{"status":"paymentPaid","caller_id":"06B0413F-BE90-7667-8000-F556E4260001","transaction_id":"b1b11e33-5897-4e65-915f-3b9b9ace1af2"}
--- error_code: 201
--- response_body chomp
{"status":"paymentPaid","caller_id":"06b0413f-be90-7667-8000-f556e4260001","transaction_id":"b1b11e33-5897-4e65-915f-3b9b9ace1af2"}
--- after
take Receiver-06b0413f-be90-7667-8000-f556e4260001 =~ "body": "\{\\"metadata\\":\{\\"receiver\\":\\"Receiver-06b0413f-be90-7667-8000-f556e4260001\\",\\"order_id\\":\\"06b0413f-be90-7667-8000-f556e4260001\\",\\"customer_id\\":\\"53c5711d-f5d4-45eb-8651-f0ba9092ba0d\\"\},\\"status\\":\\"paymentPaid\\"\}", "properties": \{.*"content_type": "application/json", "delivery_mode": 2, .*"message_id": "[0-9a-f-]{36}"
take Receiver-06b0413f-be90-7667-8000-f556e4260001 =~ ^none$
show payments 06b0413f-be90-7667-8000-f556e4260001 =~ ^(?!.*outbox).*"status": "paymentPaid", "transaction_id": \{"\$binary": \{"base64": "sbEeM1iXTmWRXzubms4a8g==", "subType": "04"\}\}



=== TEST 2: repeats and what lies behind have no effect
--- id: 06b0413f-be90-7667-8000-f556e4260002
--- status: pending
--- request eval
[map { "POST /v1/payments/callback\n" . '{"status":"' . $_ . '","caller_id":"06b0413f-be90-7667-8000-f556e4260002",'
    . '"transaction_id":"b1b11e33-5897-4e65-915f-3b9b9ace1af2"}' } qw(paymentPaid paymentPaid pending paymentFailed)]
--- error_code eval
[201, 201, 201, 201]



=== TEST 3: and the queue has one event of them
--- request
POST /v1/payments/callback
{"status":"paymentPaid","caller_id":"06b0413f-be90-7667-8000-f556e4260002","transaction_id":"b1b11e33-5897-4e65-915f-3b9b9ace1af2"}
--- error_code: 201
--- after
take Receiver-06b0413f-be90-7667-8000-f556e4260002 =~ paymentPaid
take Receiver-06b0413f-be90-7667-8000-f556e4260002 =~ ^none$
show payments 06b0413f-be90-7667-8000-f556e4260002 =~ "status": "paymentPaid", "transaction_id"



=== TEST 4: pending: no event
--- id: 06b0413f-be90-7667-8000-f556e4260004
--- status: pending
--- request
POST /v1/payments/callback
{"status":"pending","caller_id":"06b0413f-be90-7667-8000-f556e4260004","transaction_id":"b1b11e33-5897-4e65-915f-3b9b9ace1af2"}
--- error_code: 201
--- after
take Receiver-06b0413f-be90-7667-8000-f556e4260004 =~ ^none$



=== TEST 5: a repeat sends the event whose mark still stands
--- id: 06b0413f-be90-7667-8000-f556e4260005
--- status: paymentPaid
--- more: ,"outbox":{"id":"0b9d3c5e-5a0c-4f43-9d52-2f1f6f3a0005","status":"paymentPaid"}
--- request
POST /v1/payments/callback
{"status":"paymentPaid","caller_id":"06b0413f-be90-7667-8000-f556e4260005","transaction_id":"b1b11e33-5897-4e65-915f-3b9b9ace1af2"}
--- error_code: 201
--- after
take Receiver-06b0413f-be90-7667-8000-f556e4260005 =~ "message_id": "0b9d3c5e-5a0c-4f43-9d52-2f1f6f3a0005"
show payments 06b0413f-be90-7667-8000-f556e4260005 =~ ^(?!.*outbox)



=== TEST 6: a newer event takes the older ones along, in their order
--- id: 06b0413f-be90-7667-8000-f556e4260011
--- status: paymentFailed
--- more: ,"outbox":[{"id":"0b9d3c5e-5a0c-4f43-9d52-2f1f6f3a0011","status":"paymentFailed","when":{"$date":{"$numberLong":"1795429372053"}}}]
--- request
POST /v1/payments/callback
{"status":"paymentPaid","caller_id":"06b0413f-be90-7667-8000-f556e4260011","transaction_id":"b1b11e33-5897-4e65-915f-3b9b9ace1af2"}
--- error_code: 201
--- after
take Receiver-06b0413f-be90-7667-8000-f556e4260011 =~ paymentFailed.*"message_id": "0b9d3c5e-5a0c-4f43-9d52-2f1f6f3a0011"
take Receiver-06b0413f-be90-7667-8000-f556e4260011 =~ paymentPaid
take Receiver-06b0413f-be90-7667-8000-f556e4260011 =~ ^none$
show payments 06b0413f-be90-7667-8000-f556e4260011 =~ ^(?!.*outbox)



=== TEST 7: without RabbitMQ: taken as soon as it is stored; the mark stays
--- amqp: away
--- id: 06b0413f-be90-7667-8000-f556e4260006
--- status: pending
--- request
POST /v1/payments/callback
{"status":"paymentFailed","caller_id":"06b0413f-be90-7667-8000-f556e4260006","transaction_id":"b1b11e33-5897-4e65-915f-3b9b9ace1af2"}
--- error_code: 201
--- after
show payments 06b0413f-be90-7667-8000-f556e4260006 =~ "outbox": \[\{.*"status": "paymentFailed", "transaction_id"



=== TEST 8: unknown
--- request
POST /v1/payments/callback
{"status":"paymentPaid","caller_id":"a66f08a3-a7ff-47d8-8496-76d8c6f2e146","transaction_id":"b1b11e33-5897-4e65-915f-3b9b9ace1af2"}
--- error_code: 404
--- response_body chomp
{"detail":"Caller ID 'a66f08a3-a7ff-47d8-8496-76d8c6f2e146' does not exist in DB api_db.payments."}



=== TEST 9: malformed
--- request
POST /v1/payments/callback
{"status":"nope","caller_id":"x"}
--- error_code: 422
--- response_body_like: "loc":\["body","status"\].*"loc":\["body","caller_id"\].*"loc":\["body","transaction_id"\]



=== TEST 10: without MongoDB: the company shall call again
--- mongo: away
--- request
POST /v1/payments/callback
{"status":"paymentPaid","caller_id":"06b0413f-be90-7667-8000-f556e4260001","transaction_id":"b1b11e33-5897-4e65-915f-3b9b9ace1af2"}
--- error_code: 503



=== TEST 11: a payment of somebody else's whose receiver is empty: the broker would make a nameless queue for each try
--- before
put payments '{"_id":"06b0413f-be90-7667-8000-f556e4260009","metadata":{"receiver":"","order_id":"06b0413f-be90-7667-8000-f556e4260009","customer_id":"53c5711d-f5d4-45eb-8651-f0ba9092ba0d"},"status":"pending","created":{"$date":{"$numberLong":"1795429372053"}}}'
--- request
POST /v1/payments/callback
{"status":"paymentPaid","caller_id":"06b0413f-be90-7667-8000-f556e4260009","transaction_id":"b1b11e33-5897-4e65-915f-3b9b9ace1af2"}
--- error_code: 201
--- after
show payments 06b0413f-be90-7667-8000-f556e4260009 =~ "outbox": \[\{.*"status": "paymentPaid"
--- error_log
metadata.receiver is no queue's name
--- no_error_log
there is no queue
[alert]
