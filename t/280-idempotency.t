# Idempotency-Key: one order for one key, the first answer again, and nothing remembered that was not done.
use strict;
use warnings;
BEGIN { push @INC, 't/lib' }
use Test::Nginx::Socket 'no_plan';
use Foodsvc::Stage;

play('order');

our $ORDER = "POST /v1/orders\n"
    . '{"items":[{"product":"Lasagna"}],"customer_id":"53c5711d-f5d4-45eb-8651-f0ba9092ba0d"}';
our $OTHER = "POST /v1/orders\n"
    . '{"items":[{"product":"Lasagna","quantity":2}],"customer_id":"53c5711d-f5d4-45eb-8651-f0ba9092ba0d"}';
our $first;
our $RUN = time() . "-$$-" . int(rand(1e9));

# a key of this run's, so that records of other runs don't answer
sub key { "X-API-Key: $KEY\nIdempotency-Key: " . join '', @_ }
sub own { key("$RUN-", @_) }

run_tests();

__DATA__

=== TEST 1: the same answer again, to the letter, said to be so; PaymentService, which gives another one each time, is asked once
--- payment_service: return 400 '{"detail":"no money $request_id"}';
--- request eval
[$::ORDER, $::ORDER]
--- more_headers eval
[::own(1), ::own(1)]
--- error_code eval
[400, 400]
--- response_headers eval
["! Idempotent-Replayed", "Idempotent-Replayed: true"]
--- response_body_like eval
[qr/^(\{"detail":"no money [0-9a-f]{32}"\})(?{ $::first = $1 })$/, qr/^(??{ quotemeta $::first })$/]



=== TEST 2: a success, too
--- payment_service: return 202 '{}';
--- request eval
[$::ORDER, $::ORDER, $::ORDER]
--- more_headers eval
[::own(2), ::own(2), ::own(20)]
--- error_code eval
[202, 202, 202]
--- response_body_like eval
[qr/^(.*"status":"created".*)(?{ $::first = $1 })$/, qr/^(??{ quotemeta $::first })$/, qr/^(?!(??{ quotemeta $::first }))/]



=== TEST 3: quotes are not part of the key
--- payment_service: return 400 '{"detail":"no money $request_id"}';
--- request eval
[$::ORDER, $::ORDER]
--- more_headers eval
[::key('"', $::RUN, '-3"'), ::own(3)]
--- error_code eval
[400, 400]
--- response_headers eval
["! Idempotent-Replayed", "Idempotent-Replayed: true"]



=== TEST 4: another payload: 422, in the shape of every 422
--- payment_service: return 202 '{}';
--- request eval
[$::ORDER, $::OTHER]
--- more_headers eval
[::own(4), ::own(4)]
--- error_code eval
[202, 422]
--- response_body_like eval
[qr/created/, qr/^\{"detail":\[\{"type":"idempotency_key_reused","loc":\["header","Idempotency-Key"\],"msg":"The key was used for another request: [^"]*","input":null\}\]\}$/]



=== TEST 5: another path as well
--- payment_service: return 202 '{}';
--- request eval
[$::ORDER, "POST /v1/orders/0193e0a0-0000-7000-8000-000000000000/cancel"]
--- more_headers eval
[::own(5), ::own(5)]
--- error_code eval
[202, 422]



=== TEST 6: another client's key of the same name is another key
--- payment_service: return 202 '{}';
--- settings: foodsvc_api_key_hash f8c07718171d2547d6348e7b2a4c4c32a08c4d9aa869b5bbcdf7c3f29762397c;
--- request eval
[$::ORDER, $::OTHER]
--- more_headers eval
[::own(6), "X-API-Key: another-client\nIdempotency-Key: $::RUN-6"]
--- error_code eval
[202, 202]



=== TEST 7: a body that is not valid leaves the key free
--- payment_service: return 202 '{}';
--- request eval
["POST /v1/orders\n{}", $::ORDER]
--- more_headers eval
[::own(7), ::own(7)]
--- error_code eval
[422, 202]
--- response_headers eval
["! Idempotent-Replayed", "! Idempotent-Replayed"]



=== TEST 8: an empty key
--- request eval: $::ORDER
--- more_headers eval: ::key('')
--- error_code: 400
--- response_body chomp
{"detail":"Idempotency-Key is empty: give a text of 1 to 255 characters, another one for each new request"}



=== TEST 9: quotes around nothing
--- request eval: $::ORDER
--- more_headers eval: ::key('""')
--- error_code: 400
--- response_body_like: Idempotency-Key is empty



=== TEST 10: 256 characters
--- request eval: $::ORDER
--- more_headers eval: ::key('k' x 256)
--- error_code: 400
--- response_body_like: Idempotency-Key is longer than 255 characters: give



=== TEST 11: 255 are fine
--- payment_service: return 202 '{}';
--- request eval: $::ORDER
--- more_headers eval: ::own('k' x (254 - length $::RUN))
--- error_code: 202



=== TEST 12: a control character
--- request eval: $::ORDER
--- more_headers eval: ::key("a\tb")
--- error_code: 400
--- response_body_like: Idempotency-Key has a control character: give



=== TEST 13: two keys
--- request eval: $::ORDER
--- more_headers eval: ::key("a\nIdempotency-Key: a")
--- error_code: 400
--- response_body_like: Idempotency-Key is given more than once: give



=== TEST 14: without a right API key it is not looked at
--- request eval: $::ORDER
--- more_headers
X-API-Key: wrong
Idempotency-Key:
--- error_code: 401



=== TEST 15: an open payment is remembered, and PaymentService not asked again
--- payment_service: return 444;
--- request eval
[$::ORDER, $::ORDER]
--- more_headers eval
[::own(15), ::own(15)]
--- error_code eval
[500, 500]
--- response_body_like eval
[qr/^(.*payment of order .* is open.*)(?{ $::first = $1 })$/, qr/^(??{ quotemeta $::first })$/]



=== TEST 16: a 503 is not: no record could be made
--- mongo: away
--- payment_service: return 202 '{}';
--- request eval: $::ORDER
--- more_headers eval: ::own(16)
--- error_code: 503
--- response_headers
Retry-After: 1



=== TEST 17: in progress: 409 with Retry-After, the shape of an error; the record was made by somebody who is still at it
--- payment_service: return 202 '{}';
--- before eval
use Digest::SHA 'sha256', 'sha256_hex';
my ($head, $body) = split /\n/, $::ORDER;
my $id = sha256_hex(sha256($::KEY) . "$::RUN-17");
my $print = sha256_hex("POST\n/v1/orders\n$body");
my $until = (time() + 600) . '000';
"put idempotency_keys '{\"_id\":\"$id\",\"fingerprint\":\"$print\",\"order_id\":\"0193e0a0-0000-7000-8000-00000000a017\",\"until\":{\"\$date\":{\"\$numberLong\":\"$until\"}},\"created\":{\"\$date\":\"2099-01-01T00:00:00Z\"}}'"
--- request eval: $::ORDER
--- more_headers eval: ::own(17)
--- error_code: 409
--- response_headers
Retry-After: 1
--- response_body chomp
{"detail":"A request with this Idempotency-Key is in progress"}



=== TEST 18: an attempt that died before its order was stored: the next one stores it, under the first one's id
--- payment_service: return 202 '{}';
--- before eval
use Digest::SHA 'sha256', 'sha256_hex';
my ($head, $body) = split /\n/, $::ORDER;
my $id = sha256_hex(sha256($::KEY) . "$::RUN-18");
my $print = sha256_hex("POST\n/v1/orders\n$body");
"drop orders 0193e0a0-0000-7000-8000-00000000a018\nput idempotency_keys '{\"_id\":\"$id\",\"fingerprint\":\"$print\",\"order_id\":\"0193e0a0-0000-7000-8000-00000000a018\",\"until\":{\"\$date\":\"2020-01-01T00:00:00Z\"},\"created\":{\"\$date\":\"2099-01-01T00:00:00Z\"}}'"
--- request eval
[$::ORDER, $::ORDER]
--- more_headers eval
[::own(18), ::own(18)]
--- error_code eval
[202, 202]
--- response_headers eval
["! Idempotent-Replayed", "Idempotent-Replayed: true"]
--- response_body_like eval
[qr/"id":"0193e0a0-0000-7000-8000-00000000a018"/, qr/"id":"0193e0a0-0000-7000-8000-00000000a018"/]



=== TEST 19: an attempt that died when its order was stored: the answer is that order as it is now, and nobody is asked for money here
--- before eval
use Digest::SHA 'sha256', 'sha256_hex';
my ($head, $body) = split /\n/, $::ORDER;
my $id = sha256_hex(sha256($::KEY) . "$::RUN-19");
my $print = sha256_hex("POST\n/v1/orders\n$body");
"put orders '{\"_id\":\"0193e0a0-0000-7000-8000-00000000a019\",\"items\":[{\"product\":\"Lasagna\",\"quantity\":1}],\"status\":\"paymentPaid\",\"created\":{\"\$date\":\"2026-11-23T00:00:00Z\"},\"customer_id\":\"53c5711d-f5d4-45eb-8651-f0ba9092ba0d\",\"kitchen_id\":null,\"delivery_id\":null,\"updated\":[{\"status\":\"paymentPaid\",\"when\":{\"\$date\":\"2026-11-23T00:00:00Z\"}}]}'\nput idempotency_keys '{\"_id\":\"$id\",\"fingerprint\":\"$print\",\"order_id\":\"0193e0a0-0000-7000-8000-00000000a019\",\"until\":{\"\$date\":\"2020-01-01T00:00:00Z\"},\"created\":{\"\$date\":\"2099-01-01T00:00:00Z\"}}'"
--- request eval: $::ORDER
--- more_headers eval: ::own(19)
--- error_code: 202
--- response_body_like: "id":"0193e0a0-0000-7000-8000-00000000a019","status":"paymentPaid"



=== TEST 20: a cancel: the same answer again, where without a key it is too late the second time
--- before
put orders '{"_id":"0193e0a0-0000-7000-8000-00000000a020","items":[{"product":"Lasagna","quantity":1}],"status":"deliveryScheduled","created":{"$date":"2026-11-23T00:00:00Z"},"customer_id":"53c5711d-f5d4-45eb-8651-f0ba9092ba0d","kitchen_id":null,"delivery_id":"53c5711d-f5d4-45eb-8651-f0ba9092ba0e","updated":[{"status":"deliveryScheduled","when":{"$date":"2026-11-23T00:00:00Z"}}]}'
--- request eval
[map { 'POST /v1/orders/0193e0a0-0000-7000-8000-00000000a020/cancel' } 1 .. 3]
--- more_headers eval
[::own(20, 'c'), ::own(20, 'c'), "X-API-Key: $::KEY"]
--- error_code eval
[202, 202, 400]
--- response_headers eval
["! Idempotent-Replayed", "Idempotent-Replayed: true", "! Idempotent-Replayed"]



=== TEST 21: a cancel whose first attempt died after it was decided
--- before eval
use Digest::SHA 'sha256', 'sha256_hex';
my $id = sha256_hex(sha256($::KEY) . "$::RUN-21");
my $print = sha256_hex("POST\n/v1/orders/0193e0a0-0000-7000-8000-00000000a021/cancel\n");
"put orders '{\"_id\":\"0193e0a0-0000-7000-8000-00000000a021\",\"items\":[{\"product\":\"Lasagna\",\"quantity\":1}],\"status\":\"orderCancelled\",\"created\":{\"\$date\":\"2026-11-23T00:00:00Z\"},\"customer_id\":\"53c5711d-f5d4-45eb-8651-f0ba9092ba0d\",\"kitchen_id\":null,\"delivery_id\":null,\"updated\":[{\"status\":\"orderCancelled\",\"when\":{\"\$date\":\"2026-11-23T00:00:00Z\"}}]}'\nput idempotency_keys '{\"_id\":\"$id\",\"fingerprint\":\"$print\",\"order_id\":\"0193e0a0-0000-7000-8000-00000000a021\",\"until\":{\"\$date\":\"2020-01-01T00:00:00Z\"},\"created\":{\"\$date\":\"2099-01-01T00:00:00Z\"}}'"
--- request
POST /v1/orders/0193e0a0-0000-7000-8000-00000000a021/cancel
--- more_headers eval: ::own(21)
--- error_code: 202
--- response_body_like: "status":"orderCancelled"



=== TEST 22: too early to cancel is an answer like any other, and so is an order that is not there
--- request eval
[map { 'POST /v1/orders/0193e0a0-0000-7000-8000-00000000a022/cancel' } 1 .. 2]
--- more_headers eval
[::own(22), ::own(22)]
--- error_code eval
[404, 404]
--- response_headers eval
["! Idempotent-Replayed", "Idempotent-Replayed: true"]
