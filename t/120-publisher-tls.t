# RabbitMQ over TLS: its certificate has to be one of our CA's, for the host of the url. `ca` names the CA's file.
use strict;
use warnings;
BEGIN { push @INC, 't/lib' }
use Test::Nginx::Socket 'no_plan';
use Foodsvc::Stage;

# Sections: `id`, a payment that is pending before, and the receiver of its event.
play('payment');
add_block_preprocessor(sub {
    my $block = shift;
    my $id = $block->id;
    $block->set_value('before', "drain $id\nput payments '{\"_id\":\"$id\",\"metadata\":{\"receiver\":\"$id\","
        . "\"order_id\":\"$id\"," . '"customer_id":"53c5711d-f5d4-45eb-8651-f0ba9092ba0d"},"transaction_id":null,'
        . '"status":"pending","created":{"$date":{"$numberLong":"1795429372053"}}}' . "'");
    $block->set_value('request', "POST /v1/payments/callback\n{\"status\":\"paymentPaid\",\"caller_id\":\"$id\","
        . '"transaction_id":"b1b11e33-5897-4e65-915f-3b9b9ace1af2"}');
    $block->set_value('error_code', 201);
    $block->set_value('amqp', $ENV{AMQPS_URL}) unless defined $block->amqp;
    $block->set_value('after', defined $block->error_log ? "show payments $id =~ outbox" : "take $id =~ paymentPaid");
});
run_tests();

__DATA__

=== TEST 1: a certificate of the CA that `ca` names
--- id: 06b0413f-be90-7667-8000-f556e4120001
--- amqp_parameters eval: qq("ca=$ENV{CA_CERT}")



=== TEST 2: without `ca` it has to be one of the system's
--- id: 06b0413f-be90-7667-8000-f556e4120002
--- error_log eval: qr/foodsvc rabbitmq: not connected: connecting to port \d+: SSL peer cert(ificate)? verification failed/



=== TEST 3: a certificate for another host
--- id: 06b0413f-be90-7667-8000-f556e4120003
--- amqp eval: $ENV{AMQPS_URL} =~ s{\@localhost:}{\@127.0.0.2:}r
--- amqp_parameters eval: qq("ca=$ENV{CA_CERT}")
--- error_log eval: qr/foodsvc rabbitmq: not connected: connecting to port \d+: SSL hostname verification failed/



=== TEST 4: a server that speaks no TLS
--- id: 06b0413f-be90-7667-8000-f556e4120004
--- amqp eval: $ENV{AMQP_URL} =~ s{^amqp:}{amqps:}r
--- amqp_parameters eval: qq("ca=$ENV{CA_CERT}")
--- error_log
foodsvc rabbitmq: not connected: connecting to port
