# The stage of the tests of routes and handlers: an nginx with one service, stand-in partners beside it, and the real
# MongoDB, Redis and RabbitMQ named by MONGO_URL, REDIS_URL and AMQP_URL.
#
#     use Foodsvc::Stage;
#     play('order');      # or play('payment')
#
# From then on a block needs neither config nor http_config, its requests show the API key, and these sections may be
# used (a file that wants one in all of its blocks sets it in a preprocessor of its own, after play()):
#   role    another service for this block
#   payment_service, customer_service    what is in the server{} that plays it, on $TEST_NGINX_RAND_PORT_1. Absent:
#               nobody listens there.
#   card_company, second    the same, on $TEST_NGINX_RAND_PORT_2
#   service_urls    lines of foodsvc_service_url in place of those of the two services
#   mongo, redis, amqp    a url in place of the real one; "away": of a server that is not there
#   amqp_parameters    more of foodsvc_rabbitmq
#   api_keys    hashes and scopes in place of those of $KEY
#   settings    more directives for the http block
#   locations    what the server has in place of `location / { foodsvc ROLE; }`
#   partner_settings    more directives for the internal location through which partners are called
#   read_timeout    its proxy_read_timeout
#   before      one line each, a command of t/lib/stage.py, before nginx starts. Words are parted by blanks,
#               '...' is one word.
#   after       one line each, `COMMAND =~ REGEX`, when the (first) response has come; a test each
package Foodsvc::Stage;

use strict;
use warnings;
use Cwd ();
use Digest::SHA ();
use Exporter 'import';

our @EXPORT = qw(play $KEY);

our $KEY = 'a-test-key';

my $root = Cwd::getcwd();
my $role;

my %away = (
    mongo => 'mongodb://127.0.0.1:1/?directConnection=true',
    redis => 'redis://127.0.0.1:1',
    amqp => 'amqp://guest:guest@127.0.0.1:1',
);

# A partner's server{}, and the port it is on.
my %partners = (
    payment_service => '$TEST_NGINX_RAND_PORT_1',
    customer_service => '$TEST_NGINX_RAND_PORT_1',
    card_company => '$TEST_NGINX_RAND_PORT_2',
    second => '$TEST_NGINX_RAND_PORT_2',
);

my $service_urls = <<'END';
    foodsvc_service_url PaymentService http://127.0.0.1:$TEST_NGINX_RAND_PORT_1;
    foodsvc_service_url CustomerService http://127.0.0.1:$TEST_NGINX_RAND_PORT_1;
END

for my $name (qw(MONGO_URL REDIS_URL AMQP_URL)) {
    die "$name is not set: these tests need real servers (t/run starts them)\n" unless $ENV{$name};
}

sub play {
    $role = shift;
    main::no_shuffle();
    main::no_root_location();
    main::add_block_preprocessor(\&prepare);
    main::add_response_body_check(\&look_behind);
}

# Runs t/lib/stage.py with these words; its output without the newline.
sub stage {
    my $python = $ENV{FOODSVC_PYTHON} || "$root/build/venv/bin/python";
    open my $pipe, '-|', $python, "$root/t/lib/stage.py", @_ or die "$python: $!\n";
    my $text = do { local $/; <$pipe> };
    close $pipe or die "stage.py @_ failed\n";
    $text = '' unless defined $text;
    chomp $text;
    return $text;
}

sub words {
    my $line = shift;
    my @words;
    push @words, defined $1 ? $1 : $2 while $line =~ /\G\s*(?:'([^']*)'|(\S+))/g;
    return @words;
}

sub section {
    my ($block, $name) = @_;
    my $value = $block->$name;      # absent: the empty list, were this not a scalar
    chomp $value if defined $value;
    return $value;
}

sub given {
    my ($block, $name, $else) = @_;
    my $value = section($block, $name);
    return defined $value ? $value : $else;
}

sub server_url {
    my ($block, $name, $real) = @_;
    my $url = given($block, $name, $real);
    return $url eq 'away' ? $away{$name} : $url;
}

sub http_config {
    my $block = shift;
    my $text = sprintf <<'END', map({ server_url($block, @$_) } ['mongo', $ENV{MONGO_URL}], ['redis', $ENV{REDIS_URL}],
    foodsvc_mongo "%s" timeout=500ms;
    foodsvc_redis "%s";
    foodsvc_rabbitmq "%s" %s;
    foodsvc_api_key_hash %s;
    foodsvc_url_ttl 0;
    upstream partners {
        foodsvc_partners;
        keepalive 8;
    }
END
        ['amqp', $ENV{AMQP_URL}]), given($block, 'amqp_parameters', ''),
        given($block, 'api_keys', Digest::SHA::sha256_hex($KEY));

    my $settings = given($block, 'settings', '');
    $text .= "$settings\n";
    # what a block put into Redis was there before nginx
    $text .= "foodsvc_shown 4m settle=0;\n" unless $settings =~ /foodsvc_shown/;

    for my $name (sort keys %partners) {
        my $inside = section($block, $name);
        $text .= "server { listen 127.0.0.1:$partners{$name};\n$inside\n}\n" if defined $inside;
    }
    return $text;
}

sub config {
    my $block = shift;
    my $timeout = given($block, 'read_timeout', '1s');
    my $more = given($block, 'partner_settings', '');
    my $urls = given($block, 'service_urls', $service_urls);
    my $locations = given($block, 'locations', 'location / { foodsvc ' . given($block, 'role', $role) . '; }');
    return <<"END";
    location = /_foodsvc/partner {
        internal;
        proxy_pass \$foodsvc_partner_url;
        proxy_set_header Host \$foodsvc_partner_host;
        proxy_http_version 1.1;
        proxy_set_header Connection "";
        proxy_connect_timeout 1s;
        proxy_read_timeout $timeout;
        proxy_next_upstream off;
        proxy_buffer_size 64k;
        proxy_buffers 4 64k;
        subrequest_output_buffer_size 64k;
        $more
    }
    $urls
    foodsvc_card_company http://127.0.0.1:\$TEST_NGINX_RAND_PORT_2;
    foodsvc_callback_url https://127.0.0.1:8001/v1/payments/callback;
    $locations
END
}

sub prepare {
    my $block = shift;
    my $commands = section($block, 'before');
    stage(map { (words($_), '--') } grep { /\S/ } split /\n/, $commands) if defined $commands;
    $block->set_value('http_config', http_config($block));
    $block->set_value('config', config($block));
    $block->set_value('more_headers', "X-API-Key: $KEY") unless defined section($block, 'more_headers');
    $block->set_value('no_error_log', "[alert]\n[emerg]\n") unless defined section($block, 'no_error_log');
    $block->set_value('init', 'Foodsvc::Stage::wait_for_redis()')
        unless defined section($block, 'redis') || defined section($block, 'init');
}

# nginx answers before it has its connections; what a block says of the cache is meant for afterwards.
sub wait_for_redis {
    my $path = main::server_root() . '/logs/error.log';
    for (1 .. 200) {
        open my $log, '<', $path or last;
        return if grep { /foodsvc redis: connected/ } <$log>;
        select undef, undef, undef, 0.01;
    }
}

sub look_behind {
    my ($block, $body, $i, $repetition, $dry) = @_;
    my $after = section($block, 'after');
    return if !defined $after || $i;
    for my $line (grep { /\S/ } split /\n/, $after) {
        my ($command, $regex) = $line =~ /^(.*?) =~ (.*)$/ or die "after: $line\n";
        my $name = $block->name . " - afterwards: $command";
        if ($dry) {
            main::pass($name);
        } else {
            main::like(stage(words($command)), qr/$regex/, $name);
        }
    }
}

1;
