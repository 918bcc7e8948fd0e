# foodsvc_partner_allow: a url from MongoDB or Redis is called only where the list lets it lead.
# PaymentService is played by this server itself, under /play: "called" is its refusal.
use strict;
use warnings;
BEGIN { push @INC, 't/lib' }
use Test::Nginx::Socket 'no_plan';
use Foodsvc::Stage;
use Digest::SHA ();

no_shuffle();
no_root_location();

my $hash = Digest::SHA::sha256_hex('key');

add_block_preprocessor(sub {
    my $block = shift;
    my $lines = sub { my $text = $block->{$_[0]}; defined $text ? $text->[0] =~ s/PORT/server_port()/ger =~ s/\n\z//r : '' };
    my @commands = ('uncache', 'PaymentService', '--', 'drop', 'service_urls', 'PaymentService', '--');
    my ($mongo, $redis) = ($lines->('in_mongo'), $lines->('in_redis'));
    push @commands, 'put', 'service_urls', qq({"_id":"PaymentService","url":"$mongo"}), '--' if $mongo;
    push @commands, 'cache', 'PaymentService', $redis, '--' if $redis;
    Foodsvc::Stage::stage(@commands);
    my $settings = $lines->('allow');
    $block->set_value('http_config', <<"END");
    foodsvc_mongo "$ENV{MONGO_URL}";
    foodsvc_redis "$ENV{REDIS_URL}";
    foodsvc_rabbitmq "$ENV{AMQP_URL}";
    foodsvc_api_key_hash $hash;
    foodsvc_deadline 2s;
    upstream partners { foodsvc_partners; keepalive 8; }
    $settings
END
    $block->set_value('config', <<'END');
    location = /_foodsvc/partner {
        internal;
        proxy_pass $foodsvc_partner_url;
        proxy_set_header Host $foodsvc_partner_host;
        proxy_connect_timeout 500ms;
        proxy_read_timeout 500ms;
        subrequest_output_buffer_size 64k;
    }
    location /play/ { return 400 '{"detail":"called"}'; }
    location /v1/ { foodsvc order; }
END
    $block->set_value('request', <<'END');
POST /v1/orders
{"items":[{"product":"Lasagna"}],"customer_id":"53c5711d-f5d4-45eb-8651-f0ba9092ba0d"}
END
    $block->set_value('more_headers', 'X-API-Key: key');
    $block->set_value('init', 'Foodsvc::Stage::wait_for_redis()');
    $block->set_value('no_error_log', "[alert]\n[emerg]\n" . (defined $block->{error_log} ? '' : "foodsvc_partner_allow\n"));
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
--- allow: foodsvc_partner_allow 10.0.0.0/8 127.0.0.0/8;
--- in_mongo: http://127.0.0.1:PORT/play
--- error_code: 400
--- response_body chomp
{"detail":"called"}


=== TEST 6: it has not
--- allow: foodsvc_partner_allow 10.0.0.0/8 127.0.0.2;
--- in_mongo: http://127.0.0.1:PORT/play
--- error_code: 500
--- response_body chomp
{"detail":"PaymentService is unreachable"}
--- error_log
the url of PaymentService is not called: foodsvc_partner_allow does not have its host, 127.0.0.1, or its address


=== TEST 7: another port
--- allow: foodsvc_partner_allow 127.0.0.0/8:1;
--- in_mongo: http://127.0.0.1:PORT/play
--- error_code: 500
--- error_log
the url of PaymentService is not called


=== TEST 8: a listed name
--- allow: foodsvc_partner_allow 10.0.0.0/8 localhost;
--- in_mongo: http://LocalHost:PORT/play
--- error_code: 400
--- response_body chomp
{"detail":"called"}


=== TEST 9: a name that is not listed, at an address that is
--- allow: foodsvc_partner_allow 127.0.0.0/8;
--- in_mongo: http://localhost:PORT/play
--- error_code: 400
--- response_body chomp
{"detail":"called"}


=== TEST 10: a name that leads elsewhere
--- allow: foodsvc_partner_allow 10.0.0.0/8 payment.example.com;
--- in_mongo: http://localhost:PORT/play
--- error_code: 500
--- error_log
the url of PaymentService is not called: foodsvc_partner_allow does not have its host, localhost, or its address


=== TEST 11: one in Redis that leads elsewhere is as good as none: MongoDB has the right one
--- allow: foodsvc_partner_allow 127.0.0.1;
--- in_redis: http://127.0.0.2:PORT/play
--- in_mongo: http://127.0.0.1:PORT/play
--- error_code: 400
--- response_body chomp
{"detail":"called"}
--- error_log
foodsvc_partner_allow does not have its host, 127.0.0.2


=== TEST 12: the same of a name in Redis
--- allow: foodsvc_partner_allow 127.0.0.2;
--- in_redis: http://localhost:PORT/play
--- in_mongo: http://127.0.0.2:1/play
--- error_code: 500
--- error_log
foodsvc_partner_allow does not have its host, localhost


=== TEST 13: a url of the configuration is meant
--- allow
foodsvc_partner_allow 10.0.0.0/8;
foodsvc_service_url PaymentService http://127.0.0.1:PORT/play;
--- error_code: 400
--- response_body chomp
{"detail":"called"}
