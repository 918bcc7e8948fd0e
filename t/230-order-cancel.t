# POST /v1/orders/{id}/cancel: one write decides; what the cancelled order owes is told to orderd, and owed in any case.
use strict;
use warnings;
BEGIN { push @INC, 't/lib' }
use Test::Nginx::Socket 'no_plan';
use Foodsvc::Stage;

play('order');

# Sections `status` and `id`: an order like that is there.
add_block_preprocessor(sub {
    my $block = shift;
    my ($id, $status) = map { my $name = $_; my $value = $block->$name; $value } qw(id status);
    return unless defined $status;
    my $before = "uncache $id\nput orders '{\"_id\":\"$id\",\"items\":[{\"product\":\"Lasagna\",\"quantity\":1}],"
        . '"customer_id":"53c5711d-f5d4-45eb-8651-f0ba9092ba0d","kitchen_id":null,'
        . '"delivery_id":"b3854f31-5831-4114-8933-a8629a823427",'
        . "\"status\":\"$status\",\"updated\":[{\"status\":\"$status\",\"when\":\"2026-11-23T10:22:52Z\"}],"
        . "\"created\":\"2026-11-23T10:22:51.910Z\"}'\ndrain OrderService";
    $block->set_value('before', $before);
});
run_tests();

__DATA__

=== TEST 1: while no driver is there: cancelled, in MongoDB and Redis, and orderd is told; a second cancel is refused
--- id: 06b0413f-be90-7667-8000-f556e4230001
--- status: deliveryScheduled
--- request eval
["POST /v1/orders/06b0413f-be90-7667-8000-f556e4230001/cancel", "POST /v1/orders/06b0413f-be90-7667-8000-f556e4230001/cancel"]
--- error_code eval
[202, 400]
--- response_body_like eval
['^\{"id":"06b0413f-be90-7667-8000-f556e4230001","status":"orderCancelled",.*"updated":\[\{"status":"deliveryScheduled","when":"[^"]*Z"\},\{"status":"orderCancelled","when":"[^"]*Z"\}\]\}$',
 '^\{"detail":"Could not cancel order with id 06b0413f-be90-7667-8000-f556e4230001: its status is orderCancelled"\}$']
--- after
show orders 06b0413f-be90-7667-8000-f556e4230001 =~ "status": "orderCancelled", "updated"
cached 06b0413f-be90-7667-8000-f556e4230001 =~ "status":"orderCancelled"
take OrderService =~ "order_id\\":\\"06b0413f-be90-7667-8000-f556e4230001\\".*"status\\":\\"orderCancelled\\"



=== TEST 2: too early
--- id: 06b0413f-be90-7667-8000-f556e4230002
--- status: created
--- request
POST /v1/orders/06b0413f-be90-7667-8000-f556e4230002/cancel
--- error_code: 400
--- response_body chomp
{"detail":"Could not cancel order with id 06b0413f-be90-7667-8000-f556e4230002: its status is created"}



=== TEST 3: too late, and then nothing changes
--- id: 06b0413f-be90-7667-8000-f556e4230003
--- status: driverAvailable
--- request
POST /v1/orders/06b0413f-be90-7667-8000-f556e4230003/cancel
--- error_code: 400
--- after
show orders 06b0413f-be90-7667-8000-f556e4230003 =~ "status": "driverAvailable", "updated"



=== TEST 4: unknown
--- request
POST /v1/orders/06b0413f-be90-7667-8000-f556e4239999/cancel
--- error_code: 404
--- response_body chomp
{"detail":"order_id '06b0413f-be90-7667-8000-f556e4239999' not found in DB api_db.orders"}



=== TEST 5: without RabbitMQ: cancelled all the same
--- amqp: away
--- id: 06b0413f-be90-7667-8000-f556e4230005
--- status: deliveryScheduled
--- request
POST /v1/orders/06b0413f-be90-7667-8000-f556e4230005/cancel
--- error_code: 202
--- response_body_like: "status":"orderCancelled"
--- after
show orders 06b0413f-be90-7667-8000-f556e4230005 =~ "status": "orderCancelled", "updated"



=== TEST 6: without MongoDB: not decided, come again
--- mongo: away
--- request
POST /v1/orders/06b0413f-be90-7667-8000-f556e4230005/cancel
--- error_code: 503
--- response_headers
Retry-After: 1
