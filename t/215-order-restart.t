# GET /v1/orders/{id} after a start: what was in Redis before is not believed of an order that nginx has not shown
# since.
use strict;
use warnings;
BEGIN { push @INC, 't/lib' }
use Test::Nginx::Socket 'no_plan';
use Foodsvc::Stage;

# %s: the order's id. The history decides the rank.
my $of = '"_id":"%s","items":[],"customer_id":"53c5711d-f5d4-45eb-8651-f0ba9092ba0d","kitchen_id":null,'
    . '"delivery_id":null,';
my $newer = '{' . $of . '"status":"paymentPaid","updated":[{"status":"paymentPaid","when":"2026-11-23T10:22:52.094Z"}],'
    . '"created":"2026-11-23T10:22:51.910Z"}';
my $older = '{' . $of . '"status":"created","updated":[],"created":"2026-11-23T10:22:51.910Z"}';

no_shuffle();
play('order');

# What is in MongoDB and in Redis before nginx starts, and in Redis when it has: "older", "newer", absent: nothing.
add_block_preprocessor(sub {
    my $block = shift;
    my $id = $block->id;
    my %text = (older => sprintf($older, $id), newer => sprintf($newer, $id));
    my @before = ("uncache $id", "drop orders $id");
    push @before, "put orders '$text{$block->stored}'" if $block->stored;
    for my $command (qw(cache cache-ever)) {
        (my $section = "$command-before") =~ tr/-/_/;
        my $which = $block->$section or next;
        push @before, "$command $id '" . ($text{$which} =~ s/"_id"/"id"/r) . "'";
    }
    $block->set_value('before', join "\n", @before);
    $block->set_value('request', "GET /v1/orders/$id") unless $block->request;
    my $which = $block->cache_then or return;
    $block->set_value('init', "Foodsvc::Stage::wait_for_redis(); Foodsvc::Stage::stage('cache', '$id', '"
        . ($text{$which} =~ s/"_id"/"id"/r) . "')");
});
run_tests();

__DATA__

=== TEST 1: an entry that is older than MongoDB: it is asked, and the entry replaced
--- id: 06b0413f-be90-7667-8000-f556e4215001
--- stored: newer
--- cache_before: older
--- settings: foodsvc_shown 4m;
--- response_body_like: "status":"paymentPaid"
--- after
cached 06b0413f-be90-7667-8000-f556e4215001 =~ "status":"paymentPaid"



=== TEST 2: MongoDB is away: come again, rather than what may have been taken back
--- id: 06b0413f-be90-7667-8000-f556e4215002
--- mongo: away
--- cache_before: older
--- settings: foodsvc_shown 4m;
--- error_code: 503
--- response_headers
Retry-After: 1



=== TEST 3: deleted by an nginx that could not tell Redis any more
--- id: 06b0413f-be90-7667-8000-f556e4215003
--- cache_before: newer
--- settings: foodsvc_shown 4m;
--- error_code: 404



=== TEST 4: once it was shown, its entry is judged by what was shown
--- id: 06b0413f-be90-7667-8000-f556e4215004
--- stored: older
--- cache_before: newer
--- settings: foodsvc_shown 4m;
--- request eval
["GET /v1/orders/06b0413f-be90-7667-8000-f556e4215004", "GET /v1/orders/06b0413f-be90-7667-8000-f556e4215004"]
--- error_code eval
[200, 200]
--- response_body eval
[qr/"status":"created"/, qr/"status":"paymentPaid"/]



=== TEST 5: an entry that came when nginx had settled is believed
--- id: 06b0413f-be90-7667-8000-f556e4215005
--- mongo: away
--- cache_then: newer
--- settings: foodsvc_shown 4m settle=1ms;
--- response_body_like: "status":"paymentPaid"



=== TEST 6: one that came before is not, for its writer may have kept it while another owes a newer one
--- id: 06b0413f-be90-7667-8000-f556e4215006
--- stored: newer
--- cache_then: older
--- settings: foodsvc_shown 4m settle=1h;
--- response_body_like: "status":"paymentPaid"



=== TEST 7: settle=0: all is believed from the start
--- id: 06b0413f-be90-7667-8000-f556e4215007
--- mongo: away
--- cache_before: newer
--- settings: foodsvc_shown 4m settle=0;
--- response_body_like: "status":"paymentPaid"



=== TEST 8: so is it without the table
--- id: 06b0413f-be90-7667-8000-f556e4215008
--- mongo: away
--- cache_before: newer
--- settings: foodsvc_shown off;
--- response_body_like: "status":"paymentPaid"



=== TEST 9: an entry without an expiry has no age; it is judged by its rank alone
--- id: 06b0413f-be90-7667-8000-f556e4215009
--- mongo: away
--- cache_ever_before: newer
--- settings: foodsvc_shown 4m;
--- response_body_like: "status":"paymentPaid"
