# The API key: what is under /v1/ needs one, before anything else of the request is looked at.
use strict;
use warnings;
BEGIN { push @INC, 't/lib' }
use Test::Nginx::Socket;
use Foodsvc::Stage;
use Digest::SHA ();

play('order');

my $hash = Digest::SHA::sha256_hex('first');
my $other = Digest::SHA::sha256_hex('second');
my $third = uc Digest::SHA::sha256_hex('third');

add_block_preprocessor(sub {
    my $block = shift;
    $block->set_value('api_keys', "$hash $other");
    $block->set_value('settings', 'foodsvc_api_keys_file ../html/keys;');
    $block->set_value('user_files', ">>> keys\n# one more, in capitals\n$third   # of the third\n\n");
    $block->set_value('more_headers', '') unless defined $block->more_headers;
});

plan tests => repeat_each() * (blocks() * 5);
run_tests();

__DATA__

=== TEST 1: no key
--- request
GET /v1/orders
--- error_code: 401
--- response_headers
WWW-Authenticate: X-API-Key
--- response_body chomp
{"detail":"Invalid or missing API Key"}


=== TEST 2: a wrong one; the answer is JSON
--- request
GET /v1/orders
--- more_headers
X-API-Key: fourth
--- error_code: 401
--- response_headers
Content-Type: application/json
--- response_body chomp
{"detail":"Invalid or missing API Key"}


=== TEST 3: an empty one
--- request
GET /v1/orders
--- more_headers
X-API-Key:
--- error_code: 401
--- response_headers
WWW-Authenticate: X-API-Key
--- response_body chomp
{"detail":"Invalid or missing API Key"}


=== TEST 4: the hash is no key
--- request
GET /v1/orders/x
--- more_headers eval
'X-API-Key: ' . Digest::SHA::sha256_hex('first')
--- error_code: 401
--- response_headers
WWW-Authenticate: X-API-Key
--- response_body chomp
{"detail":"Invalid or missing API Key"}


=== TEST 5: the key comes before the path
--- request
GET /v1/nope
--- error_code: 401
--- response_headers
WWW-Authenticate: X-API-Key
--- response_body chomp
{"detail":"Invalid or missing API Key"}


=== TEST 6: before the method
--- request
PUT /v1/orders
--- error_code: 401
--- response_headers
WWW-Authenticate: X-API-Key
--- response_body chomp
{"detail":"Invalid or missing API Key"}


=== TEST 7: before the body
--- request
POST /v1/orders
not JSON at all
--- error_code: 401
--- response_headers
WWW-Authenticate: X-API-Key
--- response_body chomp
{"detail":"Invalid or missing API Key"}


=== TEST 8: the first key
--- request
GET /v1/orders/x
--- more_headers
X-API-Key: first
--- error_code: 422
--- response_headers
Content-Type: application/json
--- response_body_like chomp
"uuid_parsing"


=== TEST 9: the second one, the header's name in small letters
--- request
GET /v1/orders/x
--- more_headers
x-api-key: second
--- error_code: 422
--- response_headers
Content-Type: application/json
--- response_body_like chomp
"uuid_parsing"


=== TEST 10: one from the file
--- request
GET /v1/orders/x
--- more_headers
X-API-Key: third
--- error_code: 422
--- response_headers
Content-Type: application/json
--- response_body_like chomp
"uuid_parsing"


=== TEST 11: part of one
--- request
GET /v1/orders/x
--- more_headers
X-API-Key: firs
--- error_code: 401
--- response_headers
WWW-Authenticate: X-API-Key
--- response_body chomp
{"detail":"Invalid or missing API Key"}


=== TEST 12: outside /v1/ none is asked for
--- request
GET /nope
--- error_code: 404
--- response_headers
! WWW-Authenticate
--- response_body chomp
{"detail":"Not Found"}


=== TEST 13: dots in the path do not lead around it
--- request
GET /health/../v1/orders
--- error_code: 401
--- response_headers
WWW-Authenticate: X-API-Key
--- response_body chomp
{"detail":"Invalid or missing API Key"}


=== TEST 14: nor do escapes
--- request
GET /%76%31/orders
--- error_code: 401
--- response_headers
WWW-Authenticate: X-API-Key
--- response_body chomp
{"detail":"Invalid or missing API Key"}
