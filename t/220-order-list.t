# GET /v1/orders: all of them, newest first, page by page; what cannot be read is left out.
use strict;
use warnings;
BEGIN { push @INC, 't/lib' }
use Test::Nginx::Socket 'no_plan';
use Foodsvc::Stage;

play('order');

# Orders of the year 9000 are in front of whatever else the database holds.
add_block_preprocessor(sub {
    my $block = shift;
    my $before = '';
    for my $i (1 .. 5) {
        my $items = $i == 2 ? '"none"' : '[]';
        $before .= sprintf("put orders '{\"_id\":\"06b0413f-be90-7667-8000-f556e422000%d\",\"items\":%s,"
            . '"customer_id":"53c5711d-f5d4-45eb-8651-f0ba9092ba0d","kitchen_id":null,"delivery_id":null,'
            . '"status":"created","updated":[],'
            . "\"created\":{\"\$date\":{\"\$numberLong\":\"22184323200%d00\"}}}'\n",
            $i, $items, $i);
    }
    $block->set_value('before', $before);
});
run_tests();

__DATA__

=== TEST 1: in one piece
--- settings: foodsvc_page 1000;
--- request
GET /v1/orders
--- response_headers
Content-Type: application/json
--- response_body_like chomp
^\[\{"id":"06b0413f-be90-7667-8000-f556e4220005",.*?"updated":\[\]\},\{"id":"06b0413f-be90-7667-8000-f556e4220004".*\},\{"id":"06b0413f-be90-7667-8000-f556e4220003".*\},\{"id":"06b0413f-be90-7667-8000-f556e4220001".*\}\]$
--- error_log
unreadable documents were left out



=== TEST 2: in pages of one, an unreadable one among them
--- settings: foodsvc_page 1;
--- request
GET /v1/orders
--- response_body_like chomp
^\[\{"id":"06b0413f-be90-7667-8000-f556e4220005",.*?"updated":\[\]\},\{"id":"06b0413f-be90-7667-8000-f556e4220004".*\},\{"id":"06b0413f-be90-7667-8000-f556e4220003".*\},\{"id":"06b0413f-be90-7667-8000-f556e4220001".*\}\]$
--- response_headers
Transfer-Encoding: chunked
! Content-Length
--- error_log
unreadable documents were left out



=== TEST 3: without MongoDB: a clean 503, not the beginning of a list
--- mongo: away
--- request
GET /v1/orders
--- error_code: 503
--- response_headers
Retry-After: 1
--- after
drop orders 06b0413f-be90-7667-8000-f556e4220001 06b0413f-be90-7667-8000-f556e4220002 06b0413f-be90-7667-8000-f556e4220003 06b0413f-be90-7667-8000-f556e4220004 06b0413f-be90-7667-8000-f556e4220005 =~ ^$
