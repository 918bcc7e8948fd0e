# The plain HTTP client of the tests: makes the bytes of a request from a block, sends them, reads until the other side
# closes, and takes the responses apart. A connection each, except for pipelined requests.
package Test::Nginx::Socket::Client;

use strict;
use warnings;

use Errno ();
use IO::Select;
use IO::Socket::INET;
use Time::HiRes ();

sub new {
    my ($class, $server, $timeout, $abort) = @_;
    return bless { server => $server, timeout => $timeout, abort => $abort }, $class;
}

sub has_arrays {
    my $block = shift;
    return defined $block->pipelined_requests || ref($block->request // '') eq 'ARRAY';
}

# The exchanges of a block, each { bytes, methods => one for each response that is awaited }.
sub requests {
    my ($server, $block) = @_;
    if (defined(my $raw = $block->raw_request)) {
        my ($method) = $raw =~ /^\s*([A-Za-z]+)/;
        return { bytes => $raw, methods => [$method // ''] };
    }
    if (defined(my $list = $block->pipelined_requests)) {
        my (@bytes, @methods);
        for my $i (0 .. $#$list) {
            my $connection = $i == $#$list ? 'close' : 'keep-alive';
            my ($bytes, $method) = request($server->expand($list->[$i]), headers_of($block, $i), $connection);
            push @bytes, $bytes;
            push @methods, $method;
        }
        return { bytes => join('', @bytes), methods => \@methods };
    }
    my $given = $block->request // die "no request, raw_request or pipelined_requests\n";
    my @list = ref $given eq 'ARRAY' ? @$given : ($given);
    return map {
        my ($bytes, $method) = request($list[$_], headers_of($block, $_), 'close');
        { bytes => $bytes, methods => [$method] };
    } 0 .. $#list;
}

sub headers_of {
    my ($block, $i) = @_;
    my $text = $block->more_headers // '';
    $text = $text->[$i] // '' if ref $text eq 'ARRAY';
    return join '', map { "$_\r\n" } grep { !/^\s*(?:#|$)/ } split /\r?\n/, $text;
}

# "METHOD [uri [version]]", then the body.
sub request {
    my ($text, $headers, $connection) = @_;
    $text =~ s/\A(?:[ \t]*(?:#[^\n]*)?\n)+//;
    my ($line, $body) = $text =~ /\A([^\n]*)\n?(.*)\z/s;
    my ($method, $uri, $version) = $line =~ /^\s*(\S+)(?:\s+(.*?))?(?:\s+(HTTP\/\S+))?\s*$/
        or die "no request line: $line\n";
    $uri = '/' unless defined $uri && length $uri;
    $version //= 'HTTP/1.1';
    my $length = '';
    if ($headers !~ /^Content-Length:/m && $headers !~ /^Transfer-Encoding:\s*chunked/mi) {
        $body =~ s/\A\s+|\s+\z//g;
        $length = 'Content-Length: ' . length($body) . "\r\n" if length $body;
    }
    my $own = '';
    $own .= "Host: localhost\r\n"          unless $headers =~ /^Host:/mi;
    $own .= "Connection: $connection\r\n"  unless $headers =~ /^Connection:/mi;
    return ("$method $uri $version\r\n$own$headers$length\r\n$body", $method);
}

sub connection {
    my $self = shift;
    for my $attempt (1 .. 100) {
        my $socket = IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $self->{server}{port}, Timeout => 5);
        return $socket if $socket;
        Time::HiRes::sleep(0.05);
    }
    Test::Nginx::Socket::bail_out("nobody takes connections on port $self->{server}{port}");
}

# ([response ...], what went wrong ...): as many responses as were awaited; one that did not come is empty.
sub exchange {
    my ($self, $exchange) = @_;
    my ($bytes, $timed_out) = $self->talk($exchange->{bytes});
    my (@responses, @troubles);
    push @troubles, "timed out after $self->{timeout} s of silence" if $timed_out && !$self->{abort};
    for my $method (@{ $exchange->{methods} }) {
        my ($response, $trouble) = take_response(\$bytes, $method);
        push @troubles, $trouble if defined $trouble;
        push @responses, $response;
    }
    return (\@responses, @troubles);
}

# Sends and reads at once: an answer may come, and the connection go, before all is sent.
sub talk {
    my ($self, $out) = @_;
    local $SIG{PIPE} = 'IGNORE';
    my $socket = $self->connection;
    $socket->blocking(0);
    my $reading = IO::Select->new($socket);
    my $in = '';
    while (1) {
        my $writing = length $out ? $reading : undef;
        my ($readable, $writable) = IO::Select->select($reading, $writing, undef, $self->{timeout});
        return ($in, 1) unless $readable || $writable;
        if ($writable && @$writable) {
            my $sent = $socket->syswrite($out);
            if (defined $sent) { substr($out, 0, $sent) = '' }
            elsif (!$!{EAGAIN} && !$!{EINTR}) { $out = '' }
        }
        if ($readable && @$readable) {
            my $got = $socket->sysread($in, 65536, length $in);
            return ($in, 0) if defined $got && $got == 0;
            return ($in, 0) if !defined $got && !$!{EAGAIN} && !$!{EINTR};
        }
    }
}

# Takes one response off the front of the bytes.
sub take_response {
    my ($bytes, $method) = @_;
    my $response = { code => '', headers => {}, raw_headers => '', body => '' };
    if ($$bytes !~ s/\A(HTTP\/\d\.\d (\d+)[^\r\n]*\r\n(?:[^\r\n]+\r\n)*)\r\n//) {
        # HTTP/0.9, or nothing at all, or half a head
        $response->{body} = $$bytes;
        $$bytes = '';
        return $response;
    }
    @$response{qw(raw_headers code)} = ($1, $2);
    for my $line (split /\r\n/, $1) {
        my ($name, $value) = $line =~ /^([^:\s]+):\s*(.*?)\s*$/ or next;
        my $slot = \$response->{headers}{ lc $name };
        $$slot = defined $$slot ? "$$slot, $value" : $value;
    }
    return $response if $method eq 'HEAD' || $response->{code} =~ /^(?:204|304|1\d\d)$/;
    if (($response->{headers}{'transfer-encoding'} // '') =~ /chunked/i) {
        my $trouble = take_chunks($bytes, \$response->{body});
        return ($response, $trouble);
    }
    my $length = $response->{headers}{'content-length'} // length $$bytes;
    $response->{body} = substr($$bytes, 0, $length, '');
    return $response;
}

sub take_chunks {
    my ($bytes, $body) = @_;
    while ($$bytes =~ s/\A([0-9A-Fa-f]+)[^\r\n]*\r\n//) {
        my $size = hex $1;
        if ($size == 0) {
            $$bytes =~ s/\A(?:[^\r\n]+\r\n)*\r\n//;
            return undef;
        }
        $$body .= substr($$bytes, 0, $size, '');
        $$bytes =~ s/\A\r\n// or return 'the response is cut in a chunk';
    }
    return 'the response has a bad or missing chunk';
}

1;
