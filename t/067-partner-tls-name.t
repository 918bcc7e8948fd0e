# A kept connection to a partner is used for the name alone that its certificate was checked for.
use strict;
use warnings;
BEGIN { push @INC, 't/lib' }
use Test::Nginx::Socket 'no_plan';
use Foodsvc::Stage;

play('payment');

# Section `keep`: how long the partner keeps a connection. CustomerService and the card company are at one address, as
# behind one ingress; the certificate is for the first one's name alone.
(my $tls = $ENV{CA_CERT}) =~ s{[^/]*$}{};
add_block_preprocessor(sub {
    my $block = shift;
    my $id = $block->id;
    my $keep = $block->keep;
    $block->set_value('service_urls',
        'foodsvc_service_url CustomerService https://localhost:$TEST_NGINX_RAND_PORT_3;');
    $block->set_value('settings', <<"END");
server {
    listen 127.0.0.1:\$TEST_NGINX_RAND_PORT_3 ssl;
    ssl_certificate ${tls}server.crt;
    ssl_certificate_key ${tls}server.key;
    keepalive_timeout $keep;
    location /billings { return 202 '{"transaction_id": "4c5d1c19-3c8d-4a32-9f3e-5d22d4d3b8a1"}'; }
    location / {
        return 201 '{"amount": 5, "billing_info": {"CVV": "1", "Bank": "b", "Name": "n", "Expiry": "e", "Address": "a",
                     "Country": "c", "MoneyRange": "m", "CardNumber": "4", "IssuingNetwork": "v"}}';
    }
}
END
    $block->set_value('partner_settings', 'proxy_ssl_server_name on; proxy_ssl_name $foodsvc_partner_name; '
        . "proxy_ssl_verify on; proxy_ssl_trusted_certificate $ENV{CA_CERT};");
    my $card = $block->card;
    $block->set_value('locations',
        "location / { foodsvc payment; foodsvc_card_company https://$card:\$TEST_NGINX_RAND_PORT_3; }");
    $block->set_value('before', "drop payments $id");
    $block->set_value('request', "POST /v1/payments\n" . '{"items": [{"product": "Lasagna"}], "metadata": '
        . '{"receiver": "OrderService", "order_id": "' . $id
        . '", "customer_id": "53c5711d-f5d4-45eb-8651-f0ba9092ba0d"}}');
});

run_tests();

__DATA__

=== TEST 1: the company's certificate is another name's, and its connection is new
--- id: 06b0413f-be90-7667-8000-f55671200001
--- card: 127.1
--- keep: 0
--- error_code: 500
--- error_log
upstream SSL certificate does not match "127.1"



=== TEST 2: the same behind a call to CustomerService, whose connection is kept
--- id: 06b0413f-be90-7667-8000-f55671200002
--- card: 127.1
--- keep: 60s
--- error_code: 500
--- error_log
upstream SSL certificate does not match "127.1"



=== TEST 3: a name that the certificate has
--- id: 06b0413f-be90-7667-8000-f55671200003
--- card: localhost
--- keep: 60s
--- error_code: 202
