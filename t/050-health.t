# GET /health: every resource is asked, side by side, within a time; 500 when one is down.
use strict;
use warnings;
BEGIN { push @INC, 't/lib' }
use Test::Nginx::Socket 'no_plan';
use Foodsvc::Stage;

play('order');

add_block_preprocessor(sub {
    my $block = shift;
    my $role = $block->role || 'order';
    my $customer = $block->customer || q(return 200 '{"status":true,"version":"1","name":"CustomerService"}';);
    $block->set_value('amqp_parameters', 'timeout=300ms');
    $block->set_value('settings', 'foodsvc_health_timeout 1500ms;');
    $block->set_value('read_timeout', '2500ms');
    $block->set_value('service_urls', <<'END');
    foodsvc_service_url PaymentService http://127.0.0.1:$TEST_NGINX_RAND_PORT_1/pay;
    foodsvc_service_url KitchenService http://127.0.0.1:$TEST_NGINX_RAND_PORT_1/kitchen/;
    foodsvc_service_url DeliveryService http://127.0.0.1:$TEST_NGINX_RAND_PORT_1/delivery;
    foodsvc_service_url CustomerService http://127.0.0.1:$TEST_NGINX_RAND_PORT_1;
END
    $block->set_value('customer_service', <<"END");
        location = /pay/health { return 200 '{"status":true,"version":"1","name":"PaymentService"}'; }
        location = /kitchen/health { return 200 '{"status":true,"version":"1","name":"KitchenService"}'; }
        location = /delivery/health { return 200 '{"status":true,"version":"1","name":"DeliveryService"}'; }
        location = /health { $customer }
        location / { return 404; }
END
    my $certificate = $block->no_certificate ? '' : 'foodsvc_certificate ../html/test.crt;';
    $block->set_value('locations', <<"END");
    location / { foodsvc $role; $certificate }
    location /own/health { foodsvc health $role; $certificate }
END
    my $days = $block->days || 800;
    $block->set_value('user_files', ">>> test.crt\n" . certificate($days)) unless $block->no_certificate;
    $block->set_value('request', 'GET /health') unless defined $block->request;
    $block->set_value('more_headers', '');
});

# Self-signed, valid for so many days (negative: expired).
sub certificate {
    my $days = shift;
    my $dir = $ENV{TMPDIR} || '/tmp';
    my $name = "$dir/foodsvc-health-$$";
    my $ok;
    if ($days < 0) {
        open my $conf, '>', "$name.cnf" or die $!;
        print $conf "[ca]\ndefault_ca=c\n[c]\ndatabase=$name.db\nnew_certs_dir=$dir\nserial=$name.sn\n"
            . "default_md=sha256\npolicy=p\n[p]\ncommonName=supplied\n";
        close $conf;
        open my $db, '>', "$name.db" or die $!;
        close $db;
        $ok = !system("openssl req -new -newkey rsa:2048 -nodes -keyout $name.key -subj /CN=localhost"
            . " -out $name.csr 2>/dev/null"
            . " && openssl ca -config $name.cnf -batch -selfsign -rand_serial -keyfile $name.key -in $name.csr -notext"
            . " -startdate 20190101000000Z -enddate 20200101000000Z -out $name.crt 2>/dev/null");
    } else {
        $ok = !system("openssl req -x509 -newkey rsa:2048 -nodes -keyout $name.key -subj /CN=localhost -days $days"
            . " -out $name.crt 2>/dev/null");
    }
    die "openssl failed\n" unless $ok;
    open my $file, '<', "$name.crt" or die $!;
    my $text = do { local $/; <$file> };
    unlink grep { !/\.\d+$/ } glob("$name.*");
    return $text;
}

run_tests();

__DATA__

=== TEST 1: all is well; no key is asked for
--- error_code: 200
--- response_headers
Content-Type: application/json
--- response_body_like chomp
^\{"name":"OrderService","status":true,"version":"\d+\.\d+\.\d+","cert_remaining_days":(799|800),"resources":\[\{"name":"Certificate\.valid","status":true\},\{"name":"MongoDb","status":true\},\{"name":"RabbitMQ","status":true\},\{"name":"PaymentService","status":true\},\{"name":"KitchenService","status":true\},\{"name":"DeliveryService","status":true\},\{"name":"CustomerService","status":true\}\]\}$


=== TEST 2: PaymentService calls CustomerService alone
--- role: payment
--- error_code: 200
--- response_body_like chomp
^\{"name":"PaymentService","status":true,.*"resources":\[\{"name":"Certificate\.valid","status":true\},\{"name":"MongoDb","status":true\},\{"name":"RabbitMQ","status":true\},\{"name":"CustomerService","status":true\}\]\}$


=== TEST 3: a location for health alone
--- role: payment
--- request
GET /own/health
--- error_code: 200
--- response_body_like chomp
^\{"name":"PaymentService","status":true,


=== TEST 4: a service that says so is down
--- customer: return 200 '{"status":false,"version":"1","name":"CustomerService"}';
--- error_code: 500
--- response_body_like chomp
"status":false,"version".*"name":"DeliveryService","status":true\},\{"name":"CustomerService","status":false\}\]


=== TEST 5: a service that answers anything else is down
--- customer: return 200 'all is well';
--- error_code: 500
--- response_body_like chomp
\{"name":"CustomerService","status":false\}\]


=== TEST 6: a service that closes the connection is down
--- customer: return 444;
--- error_code: 500
--- response_body_like chomp
\{"name":"CustomerService","status":false\}\]


=== TEST 7: a service that is too slow is down, the others are not
--- customer: limit_rate 1; default_type application/json; root html; try_files /test.crt =404;
--- error_code: 500
--- response_body_like chomp
"name":"MongoDb","status":true\}.*"name":"DeliveryService","status":true\},\{"name":"CustomerService","status":false\}\]


=== TEST 8: MongoDB is away
--- mongo: away
--- error_code: 500
--- response_body_like chomp
"name":"MongoDb","status":false\},\{"name":"RabbitMQ","status":true\}


=== TEST 9: RabbitMQ is away
--- amqp: away
--- error_code: 500
--- response_body_like chomp
"name":"MongoDb","status":true\},\{"name":"RabbitMQ","status":false\}


=== TEST 10: an expired certificate
--- days: -1
--- error_code: 500
--- response_body_like chomp
"cert_remaining_days":-\d+,"resources":\[\{"name":"Certificate\.valid","status":false\},\{"name":"MongoDb","status":true\}


=== TEST 11: no certificate at all
--- no_certificate: 1
--- error_code: 500
--- response_body_like chomp
"cert_remaining_days":0,"resources":\[\{"name":"Certificate\.valid","status":false\}
