# foodsvc_partner_allow: a url from MongoDB or Redis is called only where the list lets it lead.
# PaymentService is played by this server itself, under /play: "called" is its refusal.
use strict;
use warnings;
BEGIN { push @INC, 't/lib' }
use Test::Nginx::Socket 'no_plan';
use Foodsvc::Stage;

play('order');

add_block_preprocessor(sub {
    my $block = shift;
    my ($mongo, $redis) = map { defined $_ ? s/PORT/server_port()/er : $_ }
        scalar $block->in_mongo, scalar $block->in_redis;
    my $settings = $block->settings || '';
    $block->set_value('before', join "\n", 'uncache PaymentService', 'drop service_urls PaymentService',
        $mongo ? qq(put service_urls '{"_id":"PaymentService","url":"$mongo"}') : (),
        $redis ? "cache PaymentService $redis" : ());
    $block->set_value('settings', "foodsvc_deadline 2s;\n$settings");
    $block->set_value('service_urls', '') unless defined $block->service_urls;
    $block->set_value('locations', <<'END');
    location /play/ { return 400 '{"detail":"called"}'; }
    location /v1/ { foodsvc order; }
END
    $block->set_value('request', <<'END');
POST /v1/orders
{"items":[{"product":"Lasagna"}],"customer_id":"53c5711d-f5d4-45eb-8651-f0ba9092ba0d"}
END
    $block->set_value('no_error_log', "[alert]\n[emerg]\n"
        . (defined $block->error_log ? '' : "foodsvc_partner_allow\n"));
});

run_tests();

__DATA__

=== TEST 1: no list: an address of this machine or its networks is fine
--- in_mongo: http://127.0.0.1:PORT/play
--- error_code: 400
--- response_body chomp
{"detail":"called"}


=== TEST 2: no list: link-local, where clouds keep their metadata, is not
--- in_mongo: http://169.254.169.254/play
--- error_code: 500
--- response_body chomp
{"detail":"PaymentService is unreachable"}
--- error_log
the url of PaymentService is not called: foodsvc_partner_allow does not have its host, 169.254.169.254, or its address


=== TEST 3: nor in another spelling
--- in_mongo: http://[::ffff:169.254.169.254]/play
--- error_code: 500
--- error_log
the url of PaymentService is not called


=== TEST 4: nor as the number that the resolver takes for an address
--- in_mongo: http://2852039166/play
--- error_code: 500
--- error_log
the url of PaymentService is not called


=== TEST 5: the list has its network
--- settings: foodsvc_partner_allow 10.0.0.0/8 127.0.0.0/8;
--- in_mongo: http://127.0.0.1:PORT/play
--- error_code: 400
--- response_body chomp
{"detail":"called"}


=== TEST 6: it has not
--- settings: foodsvc_partner_allow 10.0.0.0/8 127.0.0.2;
--- in_mongo: http://127.0.0.1:PORT/play
--- error_code: 500
--- response_body chomp
{"detail":"PaymentService is unreachable"}
--- error_log
the url of PaymentService is not called: foodsvc_partner_allow does not have its host, 127.0.0.1, or its address


=== TEST 7: another port
--- settings: foodsvc_partner_allow 127.0.0.0/8:1;
--- in_mongo: http://127.0.0.1:PORT/play
--- error_code: 500
--- error_log
the url of PaymentService is not called


=== TEST 8: a listed name
--- settings: foodsvc_partner_allow 10.0.0.0/8 localhost;
--- in_mongo: http://LocalHost:PORT/play
--- error_code: 400
--- response_body chomp
{"detail":"called"}


=== TEST 9: a name that is not listed, at an address that is
--- settings: foodsvc_partner_allow 127.0.0.0/8;
--- in_mongo: http://localhost:PORT/play
--- error_code: 400
--- response_body chomp
{"detail":"called"}


=== TEST 10: a name that leads elsewhere
--- settings: foodsvc_partner_allow 10.0.0.0/8 payment.example.com;
--- in_mongo: http://localhost:PORT/play
--- error_code: 500
--- error_log
the url of PaymentService is not called: foodsvc_partner_allow does not have its host, localhost, or its address


=== TEST 11: one in Redis that leads elsewhere is as good as none: MongoDB has the right one
--- settings: foodsvc_partner_allow 127.0.0.1;
--- in_redis: http://127.0.0.2:PORT/play
--- in_mongo: http://127.0.0.1:PORT/play
--- error_code: 400
--- response_body chomp
{"detail":"called"}
--- error_log
foodsvc_partner_allow does not have its host, 127.0.0.2


=== TEST 12: the same of a name in Redis
--- settings: foodsvc_partner_allow 127.0.0.2;
--- in_redis: http://localhost:PORT/play
--- in_mongo: http://127.0.0.2:1/play
--- error_code: 500
--- error_log
foodsvc_partner_allow does not have its host, localhost


=== TEST 13: a url of the configuration is meant
--- settings: foodsvc_partner_allow 10.0.0.0/8;
--- service_urls: foodsvc_service_url PaymentService http://127.0.0.1:$TEST_NGINX_SERVER_PORT/play;
--- error_code: 400
--- response_body chomp
{"detail":"called"}
