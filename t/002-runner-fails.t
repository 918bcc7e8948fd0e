# The runner fails what has to fail: each block here has one wrong expectation, and exactly that test must be red.
use strict;
use warnings;
use File::Temp ();
use Test::More;

my @wrong = (
    ['status code ok'                                   => "--- error_code: 404\n"],
    ['response_body - response is expected'             => "--- response_body: plain\n"],
    ['response_body_like - response is expected'        => "--- response_body_like: ^other\n"],
    ['response_body_unlike - response is expected'      => "--- response_body_unlike: plain\n"],
    ['header X-A ok'                                    => "--- response_headers\nX-A: 2\n"],
    ['header X-A not present in the raw headers'        => "--- response_headers\n! X-A\n"],
    ['header X-A like ok'                               => "--- response_headers_like\nX-A: [a-z]\n"],
    ['raw response headers like'                        => "--- raw_response_headers_like: X-B\n"],
    ['should match a line in error.log'                 => "--- error_log\nno such line\n"],
    ['should not match any line in error.log'           =>
        "--- no_error_log eval\nqr/using inherited|notice.*start worker|epoll/\n"],
    ['should match a line in access.log'                => "--- access_log\nno such line\n"],
    ['should match a line in error.log'                 => "--- shutdown_error_log\nno such line\n"],
    ['die as expected'                                  => "--- must_die\n--- timeout: 500ms\n"],
    ['timed out'                                        => "--- request: GET /slow\n--- timeout: 300ms\n"],
    ['chunk'                                 => "--- request: GET /cut\n"],
);
plan tests => scalar @wrong + 1;

my $http = <<'CONF';
    server {
        listen 127.0.0.1:$TEST_NGINX_RAND_PORT_1;
        location / { root html; limit_rate 10; limit_rate_after 500; send_timeout 1s; }
    }
CONF
my $config = <<'CONF';
    location /t    { add_header X-A 1; return 200 "plain\n"; }
    location /slow { limit_rate 5; limit_rate_after 500; root html; }
    location /cut  {
        proxy_pass http://127.0.0.1:$TEST_NGINX_RAND_PORT_1/long; proxy_http_version 1.0; proxy_read_timeout 300ms;
        proxy_buffering off; ssi on; ssi_types *;
    }
CONF

sub lines_of {
    my $blocks = shift;
    my ($file, $path) = File::Temp::tempfile(SUFFIX => '.t', UNLINK => 1);
    print $file "BEGIN { push \@INC, 't/lib' }\nuse Test::Nginx::Socket 'no_plan';\nno_shuffle();\nrun_tests();\n"
        . "__DATA__\n\n$blocks";
    close $file;
    local $ENV{TEST_NGINX_RANDOMIZE} = 1;
    return grep { /^(?:not )?ok/ } `$^X $path 2>/dev/null`;
}

for my $case (@wrong) {
    my ($name, $sections) = @$case;
    my $request = $sections =~ /^--- request/m ? '' : "--- request: GET /t\n";
    my @lines = lines_of("=== TEST 1: wrong\n--- http_config\n$http--- config\n$config$request$sections"
        . "--- user_files eval\n\">>> slow\\n\" . ('x' x 2000) . \"\\n>>> long\\n\" . ('x' x 2000) . \"\\n\"\n");
    my @red = grep { /^not ok/ } @lines;
    my $wanted = grep { index($_, $name) >= 0 } @red;
    ok($wanted && $wanted == @red, "red, and nothing else: $name") or diag(@lines);
}

my @lines = lines_of("=== TEST 1: skipped\n--- skip_nginx: 2: > 0.1.0 : because\n--- request: GET /t\n\n\n\n"
    . "=== TEST 2: skipped\n--- skip_eval: 1: 1 + 1 == 2\n--- request: GET /t\n");
is(scalar(grep { /^ok \d+ # skip/ } @lines), 3, 'skips are counted');
