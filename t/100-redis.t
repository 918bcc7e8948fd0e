# Redis under nginx: password and database of the url, lost scripts, a server that hangs, refuses or wants another
# password. Whatever happens to it, requests are answered from MongoDB,
# and no entry is served that a write should have replaced.
use strict;
use warnings;
BEGIN { push @INC, 't/lib' }
use Test::Nginx::Socket 'no_plan';
use Foodsvc::Stage;
use IO::Socket::INET;
use File::Temp ();

# A Redis of our own, since these tests stop it and change its settings.
my $secret = 'a-redis-secret';
my $port = do { IO::Socket::INET->new(Listen => 1, LocalAddr => '127.0.0.1')->sockport };
my $home = File::Temp->newdir();
my $pid = fork;
die "fork: $!\n" unless defined $pid;
if (!$pid) {
    open STDOUT, '>', '/dev/null';
    exec 'redis-server', '--port', $port, '--bind', '127.0.0.1', '--requirepass', $secret, '--save', '',
        '--dir', "$home";
    die "redis-server: $!\n";
}
END { if ($pid) { my $status = $?; kill 'CONT', $pid; kill 'KILL', $pid; waitpid $pid, 0; $? = $status } }

# Its answer, as redis-cli prints it.
sub redis {
    local %ENV = (%ENV, REDISCLI_AUTH => $secret);
    delete $ENV{LD_PRELOAD};
    open my $pipe, '-|', 'sh', '-c', 'exec redis-cli "$@" 2>&1', 'sh', '-p', $port, '-n', 3, @_
        or die "redis-cli: $!\n";
    my $text = do { local $/; <$pipe> };
    close $pipe;
    $text = '' unless defined $text;
    chomp $text;
    return $text;
}

sub until_true {
    my ($what, $true) = @_;
    for (1 .. 200) {
        return if $true->();
        select undef, undef, undef, 0.05;
    }
    die "waited in vain: $what\n";
}

until_true('redis-server', sub { redis('PING') eq 'PONG' });

# The section `between`: one line for each response, what happens behind it.
my %acts = (
    '-' => sub { },
    hang => sub { kill 'STOP', $pid },
    resume => sub { kill 'CONT', $pid },
    forget => sub { redis('SCRIPT', 'FLUSH') },
    full => sub { redis('CONFIG', 'SET', 'maxmemory', '1') },
    room => sub { redis('CONFIG', 'SET', 'maxmemory', '0') },
    cached => sub { my $id = shift; until_true("$id in Redis", sub { redis('EXISTS', $id) eq '1' }) },
    gone => sub { my $id = shift; until_true("$id not in Redis", sub { redis('EXISTS', $id) eq '0' }) },
);

play('order');
add_response_body_check(sub {
    my ($block, $body, $i, $repetition, $dry) = @_;
    my $between = $block->between;
    return if $dry || !defined $between;
    my ($act, @words) = split ' ', (split /\n/, $between)[$i];
    $acts{$act}->(@words);
});
add_block_preprocessor(sub {
    my $block = shift;
    my $password = $block->password;
    $block->set_value('redis', sprintf 'redis://:%s@localhost:%d/3', defined $password ? $password : $secret, $port);
    my $id = $block->id;
    $block->set_value('before', "put orders '{\"_id\":\"$id\",\"items\":[],"
        . '"customer_id":"53c5711d-f5d4-45eb-8651-f0ba9092ba0d","kitchen_id":null,"delivery_id":null,'
        . "\"status\":\"created\",\"updated\":[],\"created\":\"2026-11-23T10:22:51.910Z\"}'");
});
run_tests();

__DATA__

=== TEST 1: the url's password and database: what was read from MongoDB is there
--- id: 06b0413f-be90-7667-8000-f556e4100001
--- request eval
["GET /v1/orders/06b0413f-be90-7667-8000-f556e4100001", "GET /v1/orders/06b0413f-be90-7667-8000-f556e4100001"]
--- between
cached 06b0413f-be90-7667-8000-f556e4100001
-
--- error_code eval
[200, 200]



=== TEST 2: scripts that Redis has forgotten are sent again, to set and to delete
--- id: 06b0413f-be90-7667-8000-f556e4100002
--- request eval
["GET /health", "GET /v1/orders/06b0413f-be90-7667-8000-f556e4100002", "GET /health",
 "DELETE /v1/orders/06b0413f-be90-7667-8000-f556e4100002"]
--- between
forget
cached 06b0413f-be90-7667-8000-f556e4100002
forget
gone 06b0413f-be90-7667-8000-f556e4100002
--- error_code_like eval
['', '200', '', '204']



=== TEST 3: Redis hangs while an order is deleted: the deletion is made as soon as it answers again
--- id: 06b0413f-be90-7667-8000-f556e4100003
--- request eval
["GET /v1/orders/06b0413f-be90-7667-8000-f556e4100003", "GET /v1/orders/06b0413f-be90-7667-8000-f556e4100003",
 "DELETE /v1/orders/06b0413f-be90-7667-8000-f556e4100003", "GET /v1/orders/06b0413f-be90-7667-8000-f556e4100003",
 "GET /v1/orders/06b0413f-be90-7667-8000-f556e4100003"]
--- between
cached 06b0413f-be90-7667-8000-f556e4100003
hang
resume
gone 06b0413f-be90-7667-8000-f556e4100003
-
--- error_code eval
[200, 200, 204, 404, 404]



=== TEST 4: Redis refuses the deletion: nothing is read from it until it has taken it
--- id: 06b0413f-be90-7667-8000-f556e4100004
--- request eval
["GET /v1/orders/06b0413f-be90-7667-8000-f556e4100004", "GET /v1/orders/06b0413f-be90-7667-8000-f556e4100004",
 "DELETE /v1/orders/06b0413f-be90-7667-8000-f556e4100004", "GET /v1/orders/06b0413f-be90-7667-8000-f556e4100004",
 "GET /v1/orders/06b0413f-be90-7667-8000-f556e4100004"]
--- between
cached 06b0413f-be90-7667-8000-f556e4100004
full
-
room
gone 06b0413f-be90-7667-8000-f556e4100004
--- error_code eval
[200, 200, 204, 404, 404]



=== TEST 5: another password: a line in the log without it, and the order from MongoDB
--- id: 06b0413f-be90-7667-8000-f556e4100005
--- password: not-the-one
--- request
GET /v1/orders/06b0413f-be90-7667-8000-f556e4100005
--- error_code: 200
--- response_body_like: "status":"created"
--- error_log
foodsvc redis: not connected: AUTH was answered with WRONGPASS
--- no_error_log
not-the-one
[alert]
[emerg]
