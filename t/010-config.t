# What is wrong in the configuration is said at nginx -t: which line, and what to do about it.
use strict;
use warnings;
BEGIN { push @INC, 't/lib' }
use Test::Nginx::Socket;

no_shuffle();
no_root_location();

# Good values for all that a block does not set itself.
my %servers = (
    mongo => 'foodsvc_mongo mongodb://127.0.0.1:1/;',
    redis => 'foodsvc_redis redis://127.0.0.1:1;',
    rabbitmq => 'foodsvc_rabbitmq amqp://guest:guest@127.0.0.1:1/;',
    keys => 'foodsvc_api_key_hash ' . '0123456789abcdef' x 4 . ';',
    partners => 'upstream partners { foodsvc_partners; keepalive 8; }',
);

my $partner = <<'END';
    location = /_foodsvc/partner {
        internal;
        proxy_pass $foodsvc_partner_url;
        subrequest_output_buffer_size 64k;
    }
END

add_block_preprocessor(sub {
    my $block = shift;
    my $http = '';
    for my $name (sort keys %servers) {
        my $value = $block->$name;
        $http .= defined $value ? "$value\n" : "$servers{$name}\n";
    }
    my $place = $block->partner;
    $block->set_value('http_config', $http);
    $block->set_value('config', (defined $place ? $place : $partner) . $block->location);
    $block->set_value('must_die', '');
    $block->set_value('suppress_stderr', '');
});

plan tests => repeat_each() * (blocks() * 2);
run_tests();

__DATA__

=== TEST 1: an unknown role
--- location: location / { foodsvc waiter; }
--- error_log
unknown role "waiter": use "order", "payment", "health order", "health payment" or "error"


=== TEST 2: two roles in one location
--- location: location / { foodsvc order; foodsvc health order; }
--- error_log
"foodsvc" directive is duplicate in


=== TEST 3: no MongoDB
--- location: location / { foodsvc order; }
--- mongo
--- error_log
a location with a role needs "foodsvc_mongo": add it to the http block in


=== TEST 4: no Redis
--- location: location / { foodsvc order; }
--- redis
--- error_log
a location with a role needs "foodsvc_redis": add it to the http block in


=== TEST 5: no RabbitMQ
--- location: location / { foodsvc health payment; }
--- rabbitmq
--- error_log
a location with a role needs "foodsvc_rabbitmq": add it to the http block in


=== TEST 6: no key: nobody could ask, or everybody
--- location: location / { foodsvc order; }
--- keys
--- error_log
no API key could open this location: add foodsvc_api_key_hash or foodsvc_api_keys_file with at least one key in


=== TEST 7: a key in place of its hash is refused, and not repeated
--- location: location / { foodsvc order; }
--- keys: foodsvc_api_key_hash an-api-key;
--- error_log
argument 1 is not the SHA-256 of a key: give 64 hex digits


=== TEST 8: a hash with a digit that is none
--- location: location / { foodsvc order; }
--- keys: foodsvc_api_key_hash 0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdeg;
--- error_log
argument 1 is not the SHA-256 of a key: give 64 hex digits


=== TEST 9: a file of keys that is not there
--- location: location / { foodsvc order; }
--- keys: foodsvc_api_keys_file html/none.sha256;
--- error_log
none.sha256": it must be there and readable by root


=== TEST 10: a file of keys with a line that is no hash names the line
--- location: location / { foodsvc order; }
--- keys: foodsvc_api_keys_file ../html/keys;
--- user_files
>>> keys
# keys

0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef # the first
nonsense
--- error_log
keys" line 4 is not the SHA-256 of a key: give 64 hex digits a line


=== TEST 11: a file of keys with comments alone
--- location: location / { foodsvc order; }
--- keys: foodsvc_api_keys_file ../html/keys;
--- user_files
>>> keys
# none yet
--- error_log
no API key could open this location


=== TEST 12: payment without the card company
--- location: location / { foodsvc payment; }
--- error_log
"foodsvc payment" needs "foodsvc_card_company": add it in


=== TEST 13: payment without the callback url
--- location: location / { foodsvc payment; foodsvc_card_company http://127.0.0.1:1; }
--- error_log
"foodsvc payment" needs "foodsvc_callback_url": add it in


=== TEST 14: a url that is none
--- location: location / { foodsvc payment; foodsvc_card_company ftp://127.0.0.1; }
--- error_log
give http[s]://host[:port][/prefix] in


=== TEST 15: a url twice
--- location: location / { foodsvc_card_company http://a; foodsvc_card_company http://b; foodsvc order; }
--- error_log
"foodsvc_card_company" directive is duplicate in


=== TEST 16: an unknown service
--- location: location / { foodsvc order; foodsvc_service_url Kitchen http://127.0.0.1:1; }
--- error_log
unknown service "Kitchen": use PaymentService, CustomerService, DeliveryService or KitchenService in


=== TEST 17: a service twice
--- location: location / { foodsvc_service_url KitchenService http://a; foodsvc_service_url KitchenService http://b; foodsvc order; }
--- error_log
"foodsvc_service_url" directive is duplicate in


=== TEST 18: no upstream for the partners
--- location: location / { foodsvc order; }
--- partners
--- error_log
a location with a role needs an upstream with "foodsvc_partners;"


=== TEST 19: two of them
--- location: location / { foodsvc order; }
--- partners
upstream one { foodsvc_partners; }
upstream two { foodsvc_partners; }
--- error_log
"foodsvc_partners" directive is duplicate: one upstream serves all partners in


=== TEST 20: servers beside the balancer
--- location: location / { foodsvc order; }
--- partners: upstream one { server 127.0.0.1:1; foodsvc_partners; }
--- error_log
"foodsvc_partners" directive must stand alone


=== TEST 21: no location for the calls to partners
--- location: location / { foodsvc order; }
--- partner
--- error_log
this server has no internal location "/_foodsvc/partner" with a proxy_pass


=== TEST 22: that location open to everybody
--- location: location / { foodsvc order; }
--- partner
location = /_foodsvc/partner { proxy_pass $foodsvc_partner_url; }
--- error_log
this server has no internal location "/_foodsvc/partner" with a proxy_pass


=== TEST 23: one that could not hold an answer
--- location: location / { foodsvc order; }
--- partner
location = /_foodsvc/partner { internal; proxy_pass $foodsvc_partner_url; }
--- error_log
subrequest_output_buffer_size of location "/_foodsvc/partner" is 4096 and less than foodsvc_max_answer, 65536: raise it in


=== TEST 24: a Redis url that is none
--- location: location / { foodsvc order; }
--- redis: foodsvc_redis http://127.0.0.1;
--- error_log
give redis://[user:password@]host:port[/db] or unix:/path


=== TEST 25: a RabbitMQ url that is none
--- location: location / { foodsvc order; }
--- rabbitmq: foodsvc_rabbitmq http://127.0.0.1;
--- error_log
foodsvc_rabbitmq: the url cannot be read: give amqp[s]://user:password@host:port[/vhost] in


=== TEST 26: a MongoDB url that is none
--- location: location / { foodsvc order; }
--- mongo: foodsvc_mongo http://127.0.0.1;
--- error_log
give mongodb://host:port/?replicaSet=...


=== TEST 27: a server twice
--- location: location / { foodsvc order; }
--- redis
foodsvc_redis redis://127.0.0.1:1;
foodsvc_redis redis://127.0.0.1:2;
--- error_log
"foodsvc_redis" directive is duplicate in


=== TEST 28: an unknown parameter
--- location: location / { foodsvc order; }
--- mongo: foodsvc_mongo mongodb://127.0.0.1:1/ threads=2;
--- error_log
unknown parameter "threads=2"; the first one is "read_threads=" in


=== TEST 29: a parameter out of its range
--- location: location / { foodsvc order; }
--- rabbitmq: foodsvc_rabbitmq amqp://guest:guest@127.0.0.1/ window=0;
--- error_log
"window=0": window must be from 1 to 4096 in


=== TEST 30: a url's file that is not there
--- location: location / { foodsvc order; }
--- mongo: foodsvc_mongo file:html/none;
--- error_log
none": it must be there and readable by root


=== TEST 31: a remembered address may be 2 s old, not more
--- location: location / { foodsvc order; foodsvc_url_ttl 3s; }
--- error_log
foodsvc_url_ttl is 3000: it must be from 0 to 2000 ms in


=== TEST 32: a key that the card company knows for ever
--- location: location / { foodsvc payment; foodsvc_card_key_life 365d; }
--- error_log
foodsvc_card_key_life is 31536000000: it must be from 10 to 2592000000 ms in


=== TEST 33: a certificate's file without one
--- location: location / { foodsvc order; foodsvc_certificate ../html/empty.pem; }
--- user_files
>>> empty.pem
nothing
--- error_log
has no certificate: give a PEM file in


=== TEST 34: a key for the partners with a blank in it
--- location: location / { foodsvc order; foodsvc_partner_key_file ../html/key; }
--- user_files
>>> key
two words
--- error_log
is no API key: give printable ASCII without blanks in


=== TEST 35: a partner location that is no path
--- location: location / { foodsvc order; foodsvc_partner_location partner; }
--- error_log
"partner" is no location: give its path, as /_foodsvc/partner in


=== TEST 36: the message names the file and the line of the role
--- location
location / {
    foodsvc payment;
}
--- error_log eval
qr/needs "foodsvc_card_company": add it in \S+nginx\.conf:\d+/


=== TEST 37: a CA for a connection that has no TLS
--- location: location / { foodsvc order; }
--- rabbitmq: foodsvc_rabbitmq amqp://guest:guest@127.0.0.1/ ca=html/none;
--- error_log
foodsvc_rabbitmq: ca= is for an amqps:// url, and this one has no TLS in


=== TEST 38: a CA's file that has no certificate
--- location: location / { foodsvc order; }
--- rabbitmq: foodsvc_rabbitmq amqps://guest:guest@127.0.0.1/ ca=../html/empty.pem;
--- user_files
>>> empty.pem
nothing
--- error_log eval
qr/foodsvc_rabbitmq: no certificate could be read from ca=\S+empty\.pem: give a PEM file in/


=== TEST 39: a RabbitMQ url with a port that is none
--- location: location / { foodsvc order; }
--- rabbitmq: foodsvc_rabbitmq amqp://guest:guest@127.0.0.1:0/;
--- error_log
foodsvc_rabbitmq: the url has a bad port: give amqp[s]://user:password@host:port[/vhost] in


=== TEST 40: a scope that there is not, behind a hash
--- location: location / { foodsvc order; }
--- keys: foodsvc_api_key_hash 0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef orders:raed;
--- error_log
argument 2 is not the SHA-256 of a key, nor a scope: give 64 hex digits (printf %s KEY | sha256sum), or a scope of the key before: orders:read, orders:write, payments or callback


=== TEST 41: a scope without a key before it
--- location: location / { foodsvc order; }
--- keys: foodsvc_api_key_hash orders:read;
--- error_log
argument 1 is not the SHA-256 of a key: give 64 hex digits


=== TEST 42: a file of keys with an unknown scope
--- location: location / { foodsvc order; }
--- keys: foodsvc_api_keys_file ../html/keys;
--- user_files
>>> keys
0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef orders:read callbacks
--- error_log
keys" line 1 names an unknown scope: use orders:read, orders:write, payments or callback


=== TEST 43: what was shown needs some room
--- location: location / { foodsvc order; }
--- redis
foodsvc_redis redis://127.0.0.1:1;
foodsvc_shown 100;
--- error_log
foodsvc_shown: "100" is no size of 65536 bytes or more: give one, as 4m, or "off" in


=== TEST 44: or is off
--- location: location / { foodsvc order; }
--- redis
foodsvc_redis redis://127.0.0.1:1;
foodsvc_shown off;
foodsvc_shown 4m;
--- error_log
"foodsvc_shown" directive is duplicate in


=== TEST 45: a list of partners with a net that is none
--- location: location / { foodsvc order; foodsvc_partner_allow 127.0.0.1 10.0.0.0/33; }
--- error_log
foodsvc_partner_allow: "10.0.0.0/33" is no address, net or name: give an address, a net (10.0.0.0/8) or a host name, with :PORT behind it for one port alone


=== TEST 46: one with a url
--- location: location / { foodsvc order; foodsvc_partner_allow http://127.0.0.1; }
--- error_log
foodsvc_partner_allow: "http://127.0.0.1" is a url: give


=== TEST 46: how long a start takes to settle has a limit
--- location: location / { foodsvc order; }
--- redis
foodsvc_redis redis://127.0.0.1:1;
foodsvc_shown 4m settle=2h;
--- error_log
"settle=2h": settle must be from 0 to 3600000 ms


=== TEST 47: and is the only parameter
--- location: location / { foodsvc order; }
--- redis
foodsvc_redis redis://127.0.0.1:1;
foodsvc_shown 4m timeout=1s;
--- error_log
unknown parameter "timeout=1s"; the first one is "settle="
