# RabbitMQ under nginx: a queue that is declared otherwise, a queue that goes away, a name that can't be declared,
# a password.
use strict;
use warnings;
BEGIN { push @INC, 't/lib' }
use Test::Nginx::Socket 'no_plan';
use Cwd ();
use Foodsvc::Stage;

my $python = $ENV{FOODSVC_PYTHON} || Cwd::getcwd() . '/build/venv/bin/python';
my $program = <<'END';
import os, sys, pika
connection = pika.BlockingConnection(pika.URLParameters(os.environ["AMQP_URL"]))
channel = connection.channel()
command, queue = sys.argv[1:]
if command == "other":
    channel.queue_delete(queue)
    channel.queue_declare(queue, durable=True, arguments={"x-max-length": 1000})
elif command == "delete":
    channel.queue_delete(queue)
else:
    print(channel.queue_declare(queue, passive=True).method.message_count)
connection.close()
END

sub broker {
    open my $pipe, '-|', $python, '-c', $program, @_ or die "$python: $!\n";
    my $text = do { local $/; <$pipe> };
    close $pipe or die "broker @_ failed\n";
    $text = '' unless defined $text;
    chomp $text;
    return $text;
}

# Sections: `ids`, payments that are pending before; `receiver`, their queue; `queue`, what is done with it before;
# `between`, a line for each response: what is done with it behind it ("-": nothing). `held`:
# how many messages it has at the end.
play('payment');
add_response_body_check(sub {
    my ($block, $body, $i, $repetition, $dry) = @_;
    my ($receiver, $between, $held) = map { my $name = $_; my $value = $block->$name; $value }
        qw(receiver between held);
    if (!$dry && defined $between) {
        my $act = (split /\n/, $between)[$i];
        broker($act, $receiver) if $act ne '-';
    }
    if (defined $held && $i == $block->last_response) {
        my $name = $block->name . ' - messages held';
        $dry ? pass($name) : is(broker('held', $receiver), $held, $name);
    }
});
add_block_preprocessor(sub {
    my $block = shift;
    my ($receiver, $ids, $queue) = map { my $name = $_; my $value = $block->$name; $value } qw(receiver ids queue);
    my @ids = split ' ', $ids;
    $block->set_value('last_response', $#ids);
    broker($queue, $receiver) if defined $queue;
    $block->set_value('before', join "\n", map {
        "put payments '{\"_id\":\"$_\",\"metadata\":{\"receiver\":\"$receiver\",\"order_id\":\"$_\","
        . '"customer_id":"53c5711d-f5d4-45eb-8651-f0ba9092ba0d"},"transaction_id":null,"status":"pending",'
        . '"created":{"$date":{"$numberLong":"1795429372053"}}}' . "'" } @ids);
    my @requests = map { "POST /v1/payments/callback\n{\"status\":\"paymentPaid\",\"caller_id\":\"$_\","
        . '"transaction_id":"b1b11e33-5897-4e65-915f-3b9b9ace1af2"}' } @ids;
    $block->set_value('request', @ids == 1 ? $requests[0] : \@requests);
    $block->set_value('error_code', @ids == 1 ? 201 : [map { 201 } @ids]);
});
run_tests();

__DATA__

=== TEST 1: a queue that is there with other arguments is used as it is
--- ids: 06b0413f-be90-7667-8000-f556e4110001 06b0413f-be90-7667-8000-f556e4110002
--- receiver: publisher-other
--- queue: other
--- held: 2



=== TEST 2: a queue that was deleted since it was declared is declared again, and the message is there
--- ids: 06b0413f-be90-7667-8000-f556e4110003 06b0413f-be90-7667-8000-f556e4110004
--- receiver: publisher-deleted
--- queue: delete
--- between
delete
-
--- held: 1



=== TEST 3: a name that the broker keeps for itself: in the log; what is stored stays marked, and others go on
--- ids: 06b0413f-be90-7667-8000-f556e4110005
--- receiver: amq.publisher
--- error_log
ACCESS_REFUSED - queue name 'amq.publisher'
there is no queue "amq.publisher"
--- after
show payments 06b0413f-be90-7667-8000-f556e4110005 =~ outbox



=== TEST 4: a broker that does not know us: in the log without the password
--- ids: 06b0413f-be90-7667-8000-f556e4110006
--- receiver: publisher-away
--- amqp eval: $ENV{AMQP_URL} =~ s{://[^@]*@}{://nobody:not-the-one\@}r
--- error_log
foodsvc rabbitmq: not connected: login: 403 ACCESS_REFUSED
--- no_error_log
not-the-one
[alert]
[emerg]
