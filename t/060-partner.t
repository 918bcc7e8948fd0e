# Calls to partners: what they are shown, and what becomes of a call that is refused, cut, too slow or too large.
# Seen through POST /v1/orders, which asks PaymentService with an idempotency key: 400 for its refusal, 500 for no answer.
use strict;
use warnings;
BEGIN { push @INC, 't/lib' }
use Test::Nginx::Socket 'no_plan';
use Digest::SHA ();

no_shuffle();
no_root_location();

my $hash = Digest::SHA::sha256_hex('key');

add_block_preprocessor(sub {
    my $block = shift;
    my $payment = $block->payment;
    my $second = $block->second;
    my $server = defined $payment ? "server { listen 127.0.0.1:\$TEST_NGINX_RAND_PORT_1; $payment }" : '';
    $server .= defined $second ? "server { listen 127.0.0.1:\$TEST_NGINX_RAND_PORT_2; $second }" : '';
    my $url = $block->url || 'http://127.0.0.1:$TEST_NGINX_RAND_PORT_1';
    my $settings = $block->settings || '';
    my $http = $block->http || '';
    my $read_timeout = $block->read_timeout || '500ms';
    $block->set_value('http_config', <<"END");
    foodsvc_mongo "$ENV{MONGO_URL}";
    foodsvc_redis "$ENV{REDIS_URL}";
    foodsvc_rabbitmq "$ENV{AMQP_URL}";
    foodsvc_api_key_hash $hash;
    foodsvc_partner_key_file ../html/key;
    foodsvc_service_url PaymentService $url;
    foodsvc_deadline 2s;
    upstream partners { foodsvc_partners; keepalive 8; }
    $http
    $server
END
    $block->set_value('config', <<"END");
    location = /_foodsvc/partner {
        internal;
        proxy_pass \$foodsvc_partner_url;
        proxy_set_header Host \$foodsvc_partner_host;
        proxy_http_version 1.1;
        proxy_set_header Connection "";
        proxy_connect_timeout 500ms;
        proxy_read_timeout $read_timeout;
        proxy_max_temp_file_size 0;
        subrequest_output_buffer_size 64k;
        $settings
    }
    location / { foodsvc order; foodsvc_max_answer 8k; }
END
    $block->set_value('user_files', ">>> key\nthe-partner-key\n>>> big.json\n" . '{"detail":"' . 'x' x 70000 . "\"}\n"
        . ">>> some.json\n" . '{"detail":"' . 'x' x 20000 . "\"}\n");
    $block->set_value('request', <<'END') unless defined $block->request;
POST /v1/orders
{"items":[{"product":"Lasagna"}],"customer_id":"53c5711d-f5d4-45eb-8651-f0ba9092ba0d"}
END
    $block->set_value('more_headers', "X-API-Key: key") unless defined $block->more_headers;
    $block->set_value('no_error_log', "[alert]\n[emerg]\n") unless defined $block->no_error_log;
});

run_tests();

__DATA__

=== TEST 1: the client's own headers stay here; the partner gets ours
--- payment
location / { proxy_pass http://127.0.0.1:$TEST_NGINX_RAND_PORT_2; }
--- second
return 202 '{}';
--- more_headers
X-API-Key: key
Cookie: session=1
Authorization: Basic xyz
X-Secret: secret
Idempotency-Key: of-the-client
Content-Type: text/plain
Accept: text/html
--- error_code: 202
--- error_log eval
qr/X-API-Key: the-partner-key/
--- no_error_log eval
[qr/http proxy header:.*session=1/, qr/http proxy header: "X-Secret/, qr/http proxy header: "Authorization/]


=== TEST 2: a refusal
--- payment: location = /v1/payments { return 402 '{"detail":"no money"}'; }
--- error_code: 400
--- response_body chomp
{"detail":"no money"}


=== TEST 3: a prefix of the url comes before the path
--- url: http://localhost:$TEST_NGINX_RAND_PORT_1/a/b/
--- payment: location = /a/b/v1/payments { return 400 '{"detail":"at $http_host"}'; }
--- error_code: 400
--- response_body_like chomp
^\{"detail":"at localhost:\d+"\}$


=== TEST 4: nobody listens: nothing was sent, and no second try
--- error_code: 500
--- no_error_log
trying once more
[alert]


=== TEST 5: a host that does not exist
--- url: http://no-such-host.invalid
--- error_code: 500
--- error_log
foodsvc: no address of PaymentService


=== TEST 6: the connection is closed without an answer: a call with an idempotency key is made once more
--- payment: return 444;
--- error_code: 500
--- error_log
PaymentService /v1/payments gave no answer: trying once more


=== TEST 7: no answer in time
--- payment: location / { limit_rate 1; try_files /some.json =404; root html; error_page 405 =200 $uri; }
--- error_code: 500
--- timeout: 5


=== TEST 8: an answer that is cut is none
--- payment: location / { proxy_pass http://127.0.0.1:$TEST_NGINX_RAND_PORT_2; proxy_buffering off; proxy_read_timeout 200ms; }
--- second: location / { error_page 405 =200 /some.json; return 405; } location = /some.json { root html; limit_rate 10000; }
--- error_code: 500
--- timeout: 5


=== TEST 9: an answer larger than foodsvc_max_answer
--- payment: location / { error_page 405 =200 /some.json; return 405; } location = /some.json { root html; }
--- error_code: 500
--- error_log
the answer of PaymentService /v1/payments is larger than foodsvc_max_answer


=== TEST 10: an answer larger than nginx's buffer for it does not cut the client off
--- payment: location / { error_page 405 =200 /big.json; return 405; } location = /big.json { root html; }
--- error_code: 500
--- error_log
too big subrequest response


=== TEST 11: no HTTP
--- payment: location / { return 200; }
--- settings: proxy_buffer_size 1k; proxy_hide_header X;
--- url: http://127.0.0.1:$TEST_NGINX_RAND_PORT_2
--- second: return 444;
--- error_code: 500


=== TEST 12: TLS is checked: a certificate of nobody we trust
--- url: https://127.0.0.1:$TEST_NGINX_RAND_PORT_1
--- payment: return 202 '{}';
--- settings: proxy_ssl_verify on; proxy_ssl_trusted_certificate /etc/ssl/certs/ca-certificates.crt;
--- error_code: 500
--- no_error_log
trying once more
[alert]


=== TEST 13: the internal location is closed to clients
--- request
GET /_foodsvc/partner
--- error_code: 404


=== TEST 14: nor can the upstream be used from elsewhere
--- request
GET /outside
--- http
server { listen 127.0.0.1:$TEST_NGINX_RAND_PORT_3; location / { proxy_pass http://partners; } }
--- payment: return 200;
--- error_code: 404


=== TEST 15: a partner that dribbles its answer does not hold the connection behind our answer
--- payment: location / { proxy_pass http://127.0.0.1:$TEST_NGINX_RAND_PORT_2; proxy_buffering off; }
--- second: location / { error_page 405 =200 /some.json; return 405; } location = /some.json { root html; limit_rate 500; }
--- read_timeout: 3s
--- pipelined_requests eval
["POST /v1/orders\n" . '{"items":[{"product":"Lasagna"}],"customer_id":"53c5711d-f5d4-45eb-8651-f0ba9092ba0d"}', "GET /v1/nothing"]
--- error_code eval
[500, 404]
--- timeout: 4


=== TEST 16: conditions on an answer that has neither date nor tag are not met by an error page
--- request
GET /v1/orders
--- more_headers
X-API-Key: key
If-Match: "x"
If-Unmodified-Since: Mon, 01 Jan 2001 00:00:00 GMT
--- error_code: 200
