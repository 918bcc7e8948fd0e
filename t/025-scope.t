# Scopes: a key does what its line says, all of it when the line says nothing, and nothing else.
use strict;
use warnings;
BEGIN { push @INC, 't/lib' }
use Test::Nginx::Socket;
use Foodsvc::Stage;
use Digest::SHA ();

play('order');

my %hash = map { $_ => Digest::SHA::sha256_hex($_) } qw(reader writer payer card twice all);

add_block_preprocessor(sub {
    my $block = shift;
    $block->set_value('api_keys', "$hash{reader} orders:read $hash{writer} orders:write $hash{all}");
    $block->set_value('settings', 'foodsvc_api_keys_file ../html/keys;');
    $block->set_value('locations', 'location /v1/orders { foodsvc order; } location /v1/payments { foodsvc payment; }');
    $block->set_value('user_files', ">>> keys\n  $hash{payer}\tpayments # PaymentService's\n$hash{card} callback\n"
        . "$hash{twice} callback\n$hash{twice} orders:read orders:write\n");
});

plan tests => repeat_each() * (blocks() * 4);
run_tests();

__DATA__

=== TEST 1: a reader reads
--- request
GET /v1/orders/x
--- more_headers
X-API-Key: reader
--- error_code: 422
--- response_body_like: uuid_parsing


=== TEST 2: and does not place orders; it is told what it lacks, before its body is looked at
--- request
POST /v1/orders
not JSON at all
--- more_headers
X-API-Key: reader
--- error_code: 403
--- response_body chomp
{"detail":"This API key may not do that: it needs the scope orders:write"}


=== TEST 3: nor cancel, and it does not learn whether the id is one
--- request
POST /v1/orders/x/cancel
--- more_headers
X-API-Key: reader
--- error_code: 403
--- response_body chomp
{"detail":"This API key may not do that: it needs the scope orders:write"}


=== TEST 4: nor delete
--- request
DELETE /v1/orders/0193e0a0-0000-7000-8000-000000000000
--- more_headers
X-API-Key: reader
--- error_code: 403
--- response_body chomp
{"detail":"This API key may not do that: it needs the scope orders:write"}


=== TEST 5: a writer writes
--- request
POST /v1/orders
{}
--- more_headers
X-API-Key: writer
--- error_code: 422
--- response_body_like: missing


=== TEST 6: and does not read
--- request
GET /v1/orders
--- more_headers
X-API-Key: writer
--- error_code: 403
--- response_body chomp
{"detail":"This API key may not do that: it needs the scope orders:read"}


=== TEST 7: the key of the file that asks for payments
--- request
POST /v1/payments/reimburse
{}
--- more_headers
X-API-Key: payer
--- error_code: 422
--- response_body_like: missing


=== TEST 8: it is not the card company
--- request
POST /v1/payments/callback
{}
--- more_headers
X-API-Key: payer
--- error_code: 403
--- response_body chomp
{"detail":"This API key may not do that: it needs the scope callback"}


=== TEST 9: the card company calls back
--- request
POST /v1/payments/callback
{}
--- more_headers
X-API-Key: card
--- error_code: 422
--- response_body_like: missing


=== TEST 10: it bills nobody
--- request
POST /v1/payments
{}
--- more_headers
X-API-Key: card
--- error_code: 403
--- response_body chomp
{"detail":"This API key may not do that: it needs the scope payments"}


=== TEST 11: a key on two lines has the scopes of both
--- request
GET /v1/orders/x
--- more_headers
X-API-Key: twice
--- error_code: 422
--- response_body_like: uuid_parsing


=== TEST 12: and of the other
--- request
POST /v1/payments/callback
{}
--- more_headers
X-API-Key: twice
--- error_code: 422
--- response_body_like: missing


=== TEST 13: a key without a scope has all
--- request
POST /v1/payments/callback
{}
--- more_headers
X-API-Key: all
--- error_code: 422
--- response_body_like: missing


=== TEST 14: a wrong method is a wrong method for everybody
--- request
PUT /v1/orders
--- more_headers
X-API-Key: card
--- error_code: 405
--- response_body chomp
{"detail":"Method Not Allowed"}
