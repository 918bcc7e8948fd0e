# Calls to partners: what they are shown, and what becomes of a call that is refused, cut, too slow or too large.
# Seen through POST /v1/orders, which asks PaymentService with an idempotency key: 400 for its refusal,
# 500 for no answer.
use strict;
use warnings;
BEGIN { push @INC, 't/lib' }
use Test::Nginx::Socket 'no_plan';
use Foodsvc::Stage;

play('order');

add_block_preprocessor(sub {
    my $block = shift;
    my $settings = $block->settings || '';
    $block->set_value('settings', "foodsvc_partner_key_file ../html/key;\nfoodsvc_deadline 2s;\n$settings");
    $block->set_value('read_timeout', '500ms') unless defined $block->read_timeout;
    $block->set_value('locations', 'location / { foodsvc order; foodsvc_max_answer 8k; }')
        unless defined $block->locations;
    $block->set_value('user_files', ">>> key\nthe-partner-key\n>>> big.json\n" . '{"detail":"' . 'x' x 70000 . "\"}\n"
        . ">>> some.json\n" . '{"detail":"' . 'x' x 20000 . "\"}\n");
    $block->set_value('request', <<'END') unless defined $block->request;
POST /v1/orders
{"items":[{"product":"Lasagna"}],"customer_id":"53c5711d-f5d4-45eb-8651-f0ba9092ba0d"}
END
});

run_tests();

__DATA__

=== TEST 1: the client's own headers stay here; the partner gets ours
--- payment_service
location / { proxy_pass http://127.0.0.1:$TEST_NGINX_RAND_PORT_2; }
--- second
return 202 '{}';
--- more_headers eval
<<"END"
X-API-Key: $::KEY
Cookie: session=1
Authorization: Basic xyz
X-Secret: secret
Idempotency-Key: of-the-client
Content-Type: text/plain
Accept: text/html
END
--- error_code: 202
--- error_log eval
qr/X-API-Key: the-partner-key/
--- no_error_log eval
[qr/http proxy header:.*session=1/, qr/http proxy header: "X-Secret/, qr/http proxy header: "Authorization/]


=== TEST 2: a refusal
--- payment_service: location = /v1/payments { return 402 '{"detail":"no money"}'; }
--- error_code: 400
--- response_body chomp
{"detail":"no money"}


=== TEST 3: a prefix of the url comes before the path
--- service_urls: foodsvc_service_url PaymentService http://localhost:$TEST_NGINX_RAND_PORT_1/a/b/;
--- payment_service: location = /a/b/v1/payments { return 400 '{"detail":"at $http_host"}'; }
--- error_code: 400
--- response_body_like chomp
^\{"detail":"at localhost:\d+"\}$


=== TEST 4: nobody listens: nothing was sent, and no second try
--- error_code: 500
--- no_error_log
trying once more
[alert]


=== TEST 5: a host that does not exist
--- service_urls: foodsvc_service_url PaymentService http://no-such-host.invalid;
--- error_code: 500
--- error_log
foodsvc: no address of PaymentService


=== TEST 6: the connection is closed without an answer: a call with an idempotency key is made once more
--- payment_service: return 444;
--- error_code: 500
--- error_log
PaymentService /v1/payments gave no answer: trying once more


=== TEST 7: no answer in time
--- payment_service: location / { limit_rate 1; try_files /some.json =404; root html; error_page 405 =200 $uri; }
--- error_code: 500
--- timeout: 5


=== TEST 8: an answer that is cut is none
--- payment_service: location / { proxy_pass http://127.0.0.1:$TEST_NGINX_RAND_PORT_2; proxy_buffering off; proxy_read_timeout 200ms; }
--- second: location / { error_page 405 =200 /some.json; return 405; } location = /some.json { root html; limit_rate 10000; }
--- error_code: 500
--- timeout: 5


=== TEST 9: an answer larger than foodsvc_max_answer
--- payment_service: location / { error_page 405 =200 /some.json; return 405; } location = /some.json { root html; }
--- error_code: 500
--- error_log
the answer of PaymentService /v1/payments is larger than foodsvc_max_answer


=== TEST 10: an answer larger than nginx's buffer for it does not cut the client off
--- payment_service: location / { error_page 405 =200 /big.json; return 405; } location = /big.json { root html; }
--- error_code: 500
--- error_log
too big subrequest response


=== TEST 11: no HTTP
--- payment_service: location / { return 200; }
--- service_urls: foodsvc_service_url PaymentService http://127.0.0.1:$TEST_NGINX_RAND_PORT_2;
--- second: return 444;
--- error_code: 500


=== TEST 12: TLS is checked: a certificate of nobody we trust
--- service_urls: foodsvc_service_url PaymentService https://127.0.0.1:$TEST_NGINX_RAND_PORT_1;
--- payment_service: return 202 '{}';
--- partner_settings: proxy_ssl_verify on; proxy_ssl_trusted_certificate /etc/ssl/certs/ca-certificates.crt;
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
--- locations: location / { foodsvc order; } location = /outside { proxy_pass http://partners; }
--- payment_service: return 200;
--- error_code: 500
--- error_log: foodsvc: upstream "partners" is for the module's own calls


=== TEST 15: a partner that dribbles its answer does not hold the connection behind our answer
--- payment_service: location / { proxy_pass http://127.0.0.1:$TEST_NGINX_RAND_PORT_2; proxy_buffering off; }
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
--- more_headers eval
<<"END"
X-API-Key: $::KEY
If-Match: "x"
If-Unmodified-Since: Mon, 01 Jan 2001 00:00:00 GMT
END
--- error_code: 200
