# nginx for one block at a time: its server root, its configuration, its start and end, its logs.
#
# nginx stays our child (daemon off). That it listens is known from its pid file, which it writes after that; nothing
# probes the port, since a probe would stand in the log.
package Test::Nginx::Socket::Server;

use strict;
use warnings;

use Cwd ();
use File::Path ();
use IO::Socket::INET;
use POSIX ();
use Time::HiRes ();

sub new {
    my $class = shift;
    my $port = $ENV{TEST_NGINX_PORT} || 1984;
    my $root = $ENV{TEST_NGINX_SERVROOT};
    if ($ENV{TEST_NGINX_RANDOMIZE}) {
        $port = free_port();
        $root = undef;
    }
    $root //= Cwd::cwd() . '/t/servroot' . ($ENV{TEST_NGINX_RANDOMIZE} ? "_$port" : '');
    my $master = $ENV{TEST_NGINX_MASTER_PROCESS} // '';
    return bless {
        port => $port, root => $root, workers => 1, worker_connections => 64, root_location => 1, env => [],
        master => scalar($master =~ /^(?:on|1|yes)$/i), log_level => $ENV{TEST_NGINX_LOG_LEVEL} || 'debug',
        binary => $ENV{TEST_NGINX_BINARY} || 'nginx',
    }, $class;
}

sub free_port {
    my $socket = IO::Socket::INET->new(Listen => 1, LocalAddr => '127.0.0.1', LocalPort => 0) or die "no free port: $!";
    return $socket->sockport;
}

sub version {
    my $self = shift;
    $self->{version} //= do {
        my ($version) = `$self->{binary} -v 2>&1` =~ m{nginx/([\d.]+)};
        $version // die "$self->{binary} -v names no version\n";
    };
    return $self->{version};
}

# Ports that a block asks for by $TEST_NGINX_RAND_PORT_N stay the same throughout it.
sub begin_block {
    my ($self, $block) = @_;
    $self->{random_ports} = {};
    $self->{level} = $block->log_level // $self->{log_level};
    $self->{level} =~ s/\s+//g;
}

sub expand {
    my ($self, $text) = @_;
    $text =~ s{\$(TEST_NGINX_[A-Z0-9_]+)}{$self->variable($1)}ge if defined $text;
    return $text;
}

sub variable {
    my ($self, $name) = @_;
    return $self->{port} if $name eq 'TEST_NGINX_SERVER_PORT';
    return $self->{root} if $name eq 'TEST_NGINX_SERVER_ROOT';
    return $self->{random_ports}{$name} //= free_port() if $name =~ /^TEST_NGINX_RAND_PORT_\d+$/;
    return $ENV{$name} // Test::Nginx::Socket::bail_out("the environment has no $name");
}

# An empty server root, with the block's configuration and files. What is not ours there is left alone, loudly.
sub prepare {
    my ($self, $block) = @_;
    my $root = $self->{root};
    if (opendir(my $folder, $root)) {
        for my $entry (grep { !/^\.\.?$/ } readdir $folder) {
            if ($entry !~ /^(?:conf|html|logs|cache|.*_temp|.*_cache)$/) {
                Test::Nginx::Socket::bail_out("$root/$entry is in the way: a server root holds nothing of others");
            }
            File::Path::remove_tree("$root/$entry");
        }
    } else {
        mkdir $root or Test::Nginx::Socket::bail_out("$root: $!");
    }
    mkdir "$root/$_" for qw(conf html logs);
    write_file("$root/html/index.html", '<html><head><title>It works!</title></head><body>It works!</body></html>');
    $self->user_files($block->user_files) if defined $block->user_files;
    write_file("$root/conf/nginx.conf", $self->configuration($block));
    $self->{log_offset} = 0;
}

sub remove_root { File::Path::remove_tree(shift->{root}) }

sub user_files {
    my ($self, $text) = @_;
    my (undef, @parts) = split /^>>> +(\S+)[^\n]*\n?/m, $self->expand($text);
    while (my ($name, $content) = splice @parts, 0, 2) {
        my ($folder) = $name =~ m{^(.*)/};
        File::Path::make_path("$self->{root}/html/$folder") if defined $folder;
        write_file("$self->{root}/html/$name", $content);
    }
}

sub write_file {
    my ($path, $content) = @_;
    open my $file, '>:raw', $path or die "$path: $!\n";
    print $file $content;
    close $file or die "$path: $!\n";
}

sub configuration {
    my ($self, $block) = @_;
    my $section = sub { my $name = shift; return $self->expand(scalar $block->$name) // '' };
    my $root = $self->{root};
    my $name = $block->server_name // 'localhost';
    my $load = join '', map { "load_module $_;\n" } split ' ', $ENV{TEST_NGINX_LOAD_MODULES} // '';
    my $env  = join '', map { "env $_;\n" } @{ $self->{env} };
    my $user = $ENV{TEST_NGINX_WORKER_USER} // ($> == 0 ? 'root root' : '');
    $user = "user $user;" if $user;
    my $master = $self->{master} ? 'on' : 'off';
    my $location = $self->{root_location} ? "location / { root $root/html; index index.html index.htm; }" : '';
    my ($main, $http, $config, $post) = map { $section->($_) } qw(main_config http_config config post_main_config);
    return <<"CONF";
${load}worker_processes $self->{workers};
daemon off;
master_process $master;
error_log $root/logs/error.log $self->{level};
pid $root/logs/nginx.pid;
$user
$env
$main
http {
    access_log $root/logs/access.log;
    default_type text/plain;
    keepalive_timeout 68;
$http
    server {
        listen $self->{port};
        server_name '$name';
        client_max_body_size 30M;
$config
        $location
    }
}
$post
events {
    accept_mutex off;
    worker_connections $self->{worker_connections};
}
CONF
}

sub spawn {
    my ($self, $block) = @_;
    my $root = $self->{root};
    my $pid = fork // die "fork: $!";
    if (!$pid) {
        setpgrp 0, 0;
        $ENV{LD_PRELOAD} = $ENV{TEST_NGINX_LD_PRELOAD} if $ENV{TEST_NGINX_LD_PRELOAD};
        open STDIN,  '<',  '/dev/null';
        open STDOUT, '>',  "$root/logs/stderr.log";
        open STDERR, '>&', \*STDOUT;
        { exec $self->{binary}, '-p', "$root/", '-c', "$root/conf/nginx.conf", '-e', "$root/logs/error.log" }
        POSIX::_exit(127);
    }
    $self->{pid} = $pid;
}

# undef when nginx listens, or what it said before it died.
sub start {
    my ($self, $block) = @_;
    $self->spawn($block);
    my $deadline = Time::HiRes::time() + 30;
    while (Time::HiRes::time() < $deadline) {
        return undef if -s "$self->{root}/logs/nginx.pid";
        if (waitpid($self->{pid}, POSIX::WNOHANG()) == $self->{pid}) {
            $self->{pid} = undef;
            return read_file("$self->{root}/logs/stderr.log") || 'it says nothing';
        }
        Time::HiRes::sleep(0.01);
    }
    $self->kill;
    return 'it writes no pid file within 30 s';
}

# For an nginx that must not start: its exit status, or undef when it started after all.
sub start_and_wait {
    my ($self, $block, $seconds) = @_;
    $self->spawn($block);
    my $status = $self->reap($seconds);
    $self->kill unless defined $status;
    if (!defined $block->suppress_stderr) {
        print STDERR map { "# $_\n" } split /\n/, read_file("$self->{root}/logs/stderr.log");
    }
    return $status;
}

sub reap {
    my ($self, $seconds) = @_;
    my $deadline = Time::HiRes::time() + $seconds;
    while (1) {
        if (waitpid($self->{pid}, POSIX::WNOHANG()) == $self->{pid}) {
            my $status = $?;
            $self->{pid} = undef;
            return $status & 127 ? 128 + ($status & 127) : $status >> 8;
        }
        return undef if Time::HiRes::time() > $deadline;
        Time::HiRes::sleep(0.005);
    }
}

# QUIT, as for an upgrade; an nginx that does not end by itself is a failure worth a word.
sub stop {
    my $self = shift;
    return unless $self->{pid};
    kill QUIT => $self->{pid};
    my $status = $self->reap(15);
    if (!defined $status) {
        warn "$0: nginx ($self->{pid}) has not ended 15 s after QUIT: killed\n";
        return $self->kill;
    }
    warn "$0: nginx ended with status $status\n" if $status;
}

sub kill {
    my $self = shift;
    return unless $self->{pid};
    my $pid = $self->{pid};
    kill KILL => -$pid, $pid;
    waitpid $pid, 0;
    $self->{pid} = undef;
}

sub read_file {
    my ($path, $offset) = @_;
    open my $file, '<:raw', $path or return '';
    seek $file, $offset // 0, 0;
    local $/;
    return <$file> // '';
}

# What was logged since the last look.
sub new_log_lines {
    my $self = shift;
    my $text = read_file("$self->{root}/logs/error.log", $self->{log_offset});
    $self->{log_offset} += length $text;
    return [split /\n/, $text];
}

sub access_log_lines {
    my $self = shift;
    return [split /\n/, read_file("$self->{root}/logs/access.log")];
}

1;
