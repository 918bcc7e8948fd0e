# A small stand-in for the CPAN module Test::Nginx::Socket, for machines without it: what our t/*.t use of it, and
# nothing else. It needs libtest-base-perl, which reads the blocks. The real module comes first in @INC when it is
# there.
#
# This file: the functions that a .t file calls, and the verdicts. Socket/Server.pm runs nginx, Socket/Client.pm talks
# to it.
package Test::Nginx::Socket;

use strict;
use warnings;

use JSON::PP ();
use List::Util ();
use Test::Base ();
use Test::Builder;
use Test::Nginx::Socket::Client;
use Test::Nginx::Socket::Server;
use Time::HiRes ();

my @EXPORTED = qw(
    repeat_each no_shuffle no_root_location log_level workers master_on worker_connections timeout env_to_nginx
    add_block_preprocessor add_response_body_check add_cleanup_handler html_dir server_root server_port bail_out
    run_tests
);

my $repeat_each = 1;
my $timeout     = 3;
my $shuffle     = !$ENV{TEST_NGINX_NO_SHUFFLE};
my (@preprocessors, @body_checks, @cleanup);
my $server  = Test::Nginx::Socket::Server->new;
my $builder = Test::Builder->new;

# Test::Base exports its own (blocks, plan, is ...) into the .t file; ours go beside them.
sub import {
    my ($class, @arguments) = @_;
    my $caller = caller;
    no strict 'refs';
    *{"${caller}::$_"} = \&{$_} for @EXPORTED;
    @_ = ('Test::Base', @arguments);
    goto &Test::Base::import;
}

# An even older habit of Perl: a number that is set when given, and returned either way.
sub repeat_each { $repeat_each = shift if @_; return $repeat_each }
sub timeout     { $timeout = shift     if @_; return $timeout }
sub no_shuffle  { $shuffle = 0 }
sub no_root_location   { $server->{root_location}      = 0 }
sub log_level          { $server->{log_level}          = shift }
sub workers            { $server->{workers}            = shift }
sub master_on          { $server->{master}             = 1 }
sub worker_connections { $server->{worker_connections} = shift }
sub env_to_nginx       { push @{ $server->{env} }, @_ }
sub html_dir           { return "$server->{root}/html" }
sub server_root        { return $server->{root} }
sub server_port        { $server->{port} = shift if @_; return $server->{port} }
sub add_block_preprocessor  { unshift @preprocessors, shift }
sub add_response_body_check { push @body_checks,      shift }
sub add_cleanup_handler     { push @cleanup,          shift }
sub bail_out                { $server->kill; $builder->BAIL_OUT(shift) }

sub run_tests {
    my @blocks = Test::Base::blocks();
    @blocks = List::Util::shuffle(@blocks) if $shuffle;
    for my $block (@blocks) {
        $_->($block) for @preprocessors;
        run_block($block) unless skipped($block);
    }
    $_->() for @cleanup;
}

# --- skip_nginx: N: < 1.23.0 : why       --- skip_eval: N: perl
sub skipped {
    my $block = shift;
    my ($count, $why);
    if (defined(my $rule = $block->skip_nginx)) {
        my ($n, $op, $version, $text) = $rule =~ /^\s*(\d+)\s*:\s*(<=|>=|<|>)\s*([\d.]+)\s*(?::\s*(.*?))?\s*$/s
            or bail_out($block->name . " - skip_nginx: $rule");
        my ($here, $there) = map { sprintf '%04d%04d%04d', split /\./ } $server->version, $version;
        my $order = $here cmp $there;
        my %holds = ('<' => $order < 0, '<=' => $order <= 0, '>' => $order > 0, '>=' => $order >= 0);
        ($count, $why) = ($n, $text // "nginx $op $version") if $holds{$op};
    }
    if (!$count && defined(my $rule = $block->skip_eval)) {
        my ($n, $code) = $rule =~ /^\s*(\d+)\s*:\s*(.*)/s or bail_out($block->name . " - skip_eval: $rule");
        my $holds = eval "package main; no strict; $code";
        bail_out($block->name . " - skip_eval: $@") if $@;
        ($count, $why) = ($n, "skip_eval") if $holds;
    }
    return 0 unless $count;
    $builder->skip(test_name($block) . " - $why") for 1 .. $count * $repeat_each;
    return 1;
}

sub test_name { return "$0 " . shift->name }

sub run_block {
    my $block = shift;
    my $name  = test_name($block);
    $server->begin_block($block);
    if (defined $block->must_die) {
        for my $repetition (0 .. $repeat_each - 1) {
            $server->prepare($block);
            must_die($name, $block, $repetition);
        }
        return;
    }
    $server->prepare($block);
    my $refused = $server->start($block);
    bail_out("$name - nginx does not start: $refused") if defined $refused;
    if (defined(my $code = $block->init)) {
        eval "package Test::Nginx::Socket::Init; no strict; $code; 1" or bail_out("$name - init: $@");
    }
    run_requests($name, $block, $_) for 0 .. $repeat_each - 1;
    $server->stop;
    my $lines = $server->new_log_lines;
    log_patterns($name, $block, 'shutdown_error_log', 'no_shutdown_error_log', $lines, 0);
}

sub must_die {
    my ($name, $block, $repetition) = @_;
    my $status = $server->start_and_wait($block, seconds($block));
    my $wanted = $block->must_die;
    if (defined $status && defined $wanted && $wanted =~ /^\s*(\d+)\s*$/) {
        $builder->is_num($status, $1, "$name - die with exit code $1");
    } else {
        $builder->ok(defined $status && $status != 0, "$name - die as expected");
    }
    log_patterns($name, $block, 'error_log', 'no_error_log', $server->new_log_lines, $repetition);
}

sub seconds {
    my $block = shift;
    my $text = $block->timeout // return $timeout;
    $text =~ /^\s*([\d.]+)\s*(ms|s|)\s*$/ or bail_out(test_name($block) . " - timeout: $text");
    return $2 eq 'ms' ? $1 / 1000 : $1;
}

# All requests of a block, once.
sub run_requests {
    my ($name, $block, $repetition) = @_;
    my $client = Test::Nginx::Socket::Client->new($server, seconds($block), defined $block->abort);
    my @exchanges = eval { Test::Nginx::Socket::Client::requests($server, $block) };
    bail_out("$name - $@") if $@;
    my $arrays = Test::Nginx::Socket::Client::has_arrays($block);
    my $index = 0;
    for my $exchange (@exchanges) {
        my ($responses, @troubles) = $client->exchange($exchange);
        for my $response (@$responses) {
            my $at = { name => $name, block => $block, i => $index, rep => $repetition, arrays => $arrays };
            if (!defined $block->ignore_response) {
                $builder->ok(0, "$name - $_ (req $repetition)") for splice @troubles;
                judge($at, $response);
            }
            Time::HiRes::sleep($block->wait) if $block->wait;
            check_logs($at);
            $index++;
        }
    }
}

# A section's value for one request: an element where the requests are an array.
sub wanted {
    my ($at, $section) = @_;
    my $value = $at->{block}->$section;
    return $value unless $at->{arrays} && defined $value;
    bail_out("$at->{name} - $section has to be an array, as the requests are") unless ref $value eq 'ARRAY';
    return $value->[ $at->{i} ];
}

sub judge {
    my ($at, $response) = @_;
    judge_status($at, $response);
    judge_headers($at, $response);
    judge_body($at, $response);
    $_->($at->{block}, $response->{body}, $at->{i}, $at->{rep}, 0) for @body_checks;
}

sub judge_status {
    my ($at, $response) = @_;
    if (defined(my $like = wanted($at, 'error_code_like'))) {
        return $builder->like($response->{code}, qr/$like/sm, "$at->{name} - status code ok");
    }
    my $code = wanted($at, 'error_code') // 200;
    $code =~ s/^\s+|\s+$//g;
    $builder->is_eq($response->{code}, $code, "$at->{name} - status code ok");
}

# "Name: value" lines, each name once, the last one wins; "! Name" has undef.
sub header_lines {
    my ($at, $text) = @_;
    my (@order, %value);
    for my $line (split /\n+/, $text) {
        next if $line =~ /^\s*$/;
        my ($name, $value);
        if ($line =~ /^\s*!\s*(\S+)\s*$/)             { $name = $1 }
        elsif ($line =~ /^\s*([^:\s]+)\s*:\s*(.*?)\s*$/) { ($name, $value) = ($1, $2) }
        else { bail_out("$at->{name} - no header line: $line") }
        push @order, $name unless exists $value{$name};
        $value{$name} = $value;
    }
    return map { [$_, $value{$_}] } @order;
}

sub judge_headers {
    my ($at, $response) = @_;
    my ($name, $raw) = ($at->{name}, $response->{raw_headers});
    if (defined(my $text = wanted($at, 'response_headers'))) {
        for (header_lines($at, $text)) {
            my ($header, $value) = @$_;
            if (defined $value) {
                $value = $server->expand($value);
                $builder->is_eq($response->{headers}{ lc $header } // '', $value, "$name - header $header ok");
            } else {
                $builder->unlike($raw, qr/^\s*\Q$header\E\s*:/m,
                                 "$name - header $header not present in the raw headers");
            }
        }
    } elsif (defined($text = wanted($at, 'response_headers_like'))) {
        for (header_lines($at, $text)) {
            my ($header, $value) = @$_;
            $builder->like($response->{headers}{ lc $header } // '', qr/^$value$/, "$name - header $header like ok");
        }
    }
    if (defined(my $like = wanted($at, 'raw_response_headers_like'))) {
        $builder->like($raw, qr/$like/s, "$name - raw response headers like");
    }
    if (defined(my $unlike = wanted($at, 'raw_response_headers_unlike'))) {
        $builder->unlike($raw, qr/$unlike/s, "$name - raw response headers unlike");
    }
}

sub judge_body {
    my ($at, $response) = @_;
    my $body = $response->{body};
    my $which = "(repeated req $at->{rep}, req $at->{i})";
    if (defined $at->{block}->response_body) {
        my $expected = wanted($at, 'response_body');
        return unless defined $expected;
        $body = sorted_json($body) if defined $at->{block}->response_body_json_sort;
        my $name = "$at->{name} - response_body - response is expected $which";
        return $builder->like($body, $expected, $name) if ref $expected eq 'Regexp';
        $builder->is_eq($body, $server->expand($expected), $name);
    } elsif (defined $at->{block}->response_body_like) {
        my $like = wanted($at, 'response_body_like');
        $builder->like($body, qr/$like/s, "$at->{name} - response_body_like - response is expected $which");
    } elsif (defined $at->{block}->response_body_unlike) {
        my $unlike = wanted($at, 'response_body_unlike');
        $builder->unlike($body, qr/$unlike/s, "$at->{name} - response_body_unlike - response is expected $which");
    }
}

# Bytes stay bytes: without utf8() on both ways they pass as they are.
sub sorted_json {
    my $body = shift;
    my $json = JSON::PP->new->canonical->allow_nonref;
    my $text = eval { $json->encode($json->decode($body)) };
    return defined $text ? "$text\n" : $body;
}

sub check_logs {
    my $at = shift;
    my ($name, $block, $repetition) = @$at{qw(name block rep)};
    my $lines = $server->new_log_lines;
    if (my @loud = grep { /\[(?:alert|crit|emerg)\]/ } @$lines) {
        warn "$name - $_" for map { "$_\n" } @loud;
    }
    log_patterns($name, $block, 'error_log', 'no_error_log', $lines, $repetition);
    if (defined $block->access_log || defined $block->no_access_log) {
        log_patterns($name, $block, 'access_log', 'no_access_log', $server->access_log_lines, $repetition,
            'access.log');
    }
}

# The patterns of a section: one a line, or what an eval gave.
sub patterns {
    my $value = shift;
    return () unless defined $value;
    return @$value if ref $value eq 'ARRAY';
    return $value  if ref $value;
    return grep { length } split /\n+/, $value;
}

sub log_patterns {
    my ($name, $block, $with, $without, $lines, $repetition, $file) = @_;
    $file //= 'error.log';
    my $hits = sub {
        my $pattern = shift;
        return ref $pattern ? grep { $_ =~ $pattern } @$lines : grep { index($_, $pattern) >= 0 } @$lines;
    };
    for my $pattern (patterns(scalar $block->$with)) {
        my ($hit) = $hits->($pattern);
        $builder->ok(defined $hit, defined $hit
            ? "$name - pattern \"$pattern\" matches a line in $file (req $repetition)"
            : "$name - pattern \"$pattern\" should match a line in $file (req $repetition)");
        $builder->diag(map { "    $_\n" } @$lines > 20 ? @$lines[-20 .. -1] : @$lines) unless defined $hit;
    }
    for my $pattern (patterns(scalar $block->$without)) {
        my @hit = $hits->($pattern);
        $builder->ok(0, "$name - pattern \"$pattern\" should not match any line in $file "
                        . "but matches line \"$_\" (req $repetition)") for @hit;
        $builder->ok(1, "$name - pattern \"$pattern\" does not match a line in $file (req $repetition)") unless @hit;
    }
}

END {
    my $status = $?;
    $server->kill;
    $server->remove_root if $ENV{TEST_NGINX_RANDOMIZE} && $status == 0;
    $? = $status;
}

1;
