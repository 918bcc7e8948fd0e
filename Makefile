# foodsvc: `make` shows what there is; CONTRIBUTING.md says how it hangs together.
#
# Building is out of tree, in $(BUILD). Everything else (setting up, running, testing) is in scripts/,
# named after its target.

BUILD   ?= build
# Where scripts/setup puts Python and mongod; BUILD may be another folder, for another kind of build.
TOOLS   ?= $(BUILD)
PYTHON   = $(shell test -x $(TOOLS)/venv/bin/python && echo $(TOOLS)/venv/bin/python || echo python3)
CC      ?= cc
# SANITIZE=1: AddressSanitizer and UndefinedBehaviorSanitizer, in a build tree of its own.
SANITIZE ?=
# BREAKABLE=1: with the planted faults of make chaos BREAK=NAME, in a build tree of its own.
BREAKABLE ?=
# What a target has built first is built by all cores, unless make was told how many to take.
SUBMAKE  = $(MAKE) --no-print-directory $(if $(filter -j% --jobserver%,$(MAKEFLAGS)),,-j$(shell nproc))

PKGS     := libmongoc-1.0 libbson-1.0 librabbitmq hiredis jansson
WORKER_PKGS := libcurl libmicrohttpd openssl

CPPFLAGS += -D_GNU_SOURCE -Ilibfoodsvc -Iworkers/common $(shell pkg-config --cflags $(PKGS) 2>/dev/null)
CFLAGS   ?= -O2 -g
WARN     := -std=gnu11 -Wall -Wextra -Werror -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wpointer-arith -Wvla \
            -Wformat=2 -Wno-unused-parameter
HARDEN   := -fstack-protector-strong -fPIC
LDHARDEN := -pie -Wl,-z,relro,-z,now
# SANITIZE=fuzzer: the same for t/fuzz, whose programs bring libFuzzer; clang alone has it.
ifeq ($(SANITIZE),)
HARDEN   += -D_FORTIFY_SOURCE=2
else ifeq ($(SANITIZE),fuzzer)
HARDEN   += -fsanitize=address,undefined,fuzzer-no-link -fno-omit-frame-pointer -fno-sanitize-recover=all
LDHARDEN += -fsanitize=address,undefined,fuzzer
else ifeq ($(SANITIZE),thread)
HARDEN   += -fsanitize=thread -fno-omit-frame-pointer
LDHARDEN += -fsanitize=thread
else
HARDEN   += -fsanitize=address,undefined -fno-omit-frame-pointer -fno-sanitize-recover=undefined
LDHARDEN += -fsanitize=address,undefined
endif
ifneq ($(BREAKABLE),)
CPPFLAGS += -DFOODSVC_BREAKABLE
endif
# FAULTS=1: calls that can fail fail when a test says so; t/faults/faults.c tells how.
FAULTS   ?=
FAULT_OBJ  := $(if $(FAULTS),$(BUILD)/obj/t/faults/faults.o)
FAULT_LINK := $(if $(FAULTS),$(shell scripts/fault-options))
LIBS     := $(shell pkg-config --libs $(PKGS) 2>/dev/null) -lz -lm -lpthread
WORKER_LIBS := $(shell pkg-config --libs $(WORKER_PKGS) 2>/dev/null)

LIB       := $(BUILD)/lib/libfoodsvc.a
MODULE    := $(BUILD)/modules/ngx_foodsvc_module.so
LIB_SRCS  := $(wildcard libfoodsvc/*.c)
COMMON_SRCS := $(wildcard workers/common/*.c)
PROGRAMS  := foodsvc-orderd foodsvc-sweepd foodsvc-sim foodctl
ORDERD_SRCS := $(wildcard workers/orderd/*.c)
SWEEPD_SRCS := $(wildcard workers/sweepd/*.c)
SIM_SRCS  := $(wildcard workers/sim/*.c)
CTL_SRCS  := $(wildcard workers/foodctl/*.c)
FUZZ_SRCS := $(wildcard t/fuzz/fuzz_*.c)
FUZZERS   := $(FUZZ_SRCS:t/fuzz/%.c=$(BUILD)/bin/%)
UNIT_SRCS := $(wildcard t/unit/test_*.c)
UNITS     := $(UNIT_SRCS:t/unit/%.c=$(BUILD)/unit/%)
obj        = $(patsubst %.c,$(BUILD)/obj/%.o,$(1))

.DEFAULT_GOAL := help
.SECONDARY:

.PHONY: help
help:   ## this list
	@awk -F ':.*## ' '/^[a-zA-Z_% -]+:.*## / { sub(/ .*/, "", $$1); sub(/%/, "X", $$1); \
	    printf "  make %-12s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

.PHONY: all build lib workers module share unit-programs fuzz-programs
build all: workers module share   ## build the module, the workers, the simulator and foodctl, into build/
lib: $(LIB)
workers: $(PROGRAMS:%=$(BUILD)/bin/%)
module: $(MODULE)
unit-programs: $(UNITS) $(BUILD)/docs/state-machine
fuzz-programs: $(FUZZERS)

$(BUILD)/obj/%.o: %.c | headers
	@mkdir -p $(@D)
	@echo "  CC      $<"
	@$(CC) $(CPPFLAGS) $(CFLAGS) $(WARN) $(HARDEN) -MMD -MP -c -o $@ $<

$(LIB): $(call obj,$(LIB_SRCS))
	@mkdir -p $(@D)
	@echo "  AR      $@"
	@rm -f $@ && $(AR) rcs $@ $^

define program
$(BUILD)/bin/$(1): $(call obj,$(2) $(COMMON_SRCS)) $(FAULT_OBJ) $(LIB)
	@mkdir -p $$(@D)
	@echo "  LINK    $$@"
	@$(CC) $(CFLAGS) $(LDHARDEN) $(FAULT_LINK) -o $$@ $$^ $(WORKER_LIBS) $(LIBS)
endef
$(eval $(call program,foodsvc-orderd,$(ORDERD_SRCS)))
$(eval $(call program,foodsvc-sweepd,$(SWEEPD_SRCS)))
$(eval $(call program,foodsvc-sim,$(SIM_SRCS)))
$(eval $(call program,foodctl,$(CTL_SRCS)))

$(BUILD)/unit/%: $(BUILD)/obj/t/unit/%.o $(call obj,$(COMMON_SRCS)) $(LIB)
	@mkdir -p $(@D)
	@echo "  LINK    $@"
	@$(CC) $(CFLAGS) $(LDHARDEN) -o $@ $^ -lcmocka $(WORKER_LIBS) $(LIBS)
# The simulator's units see its parts, too.
$(BUILD)/unit/test_sim_%: $(BUILD)/obj/t/unit/test_sim_%.o \
		$(call obj,$(filter-out %/sim_main.c,$(SIM_SRCS)) $(COMMON_SRCS)) $(LIB)
	@mkdir -p $(@D)
	@echo "  LINK    $@"
	@$(CC) $(CFLAGS) $(LDHARDEN) -o $@ $^ -lcmocka $(WORKER_LIBS) $(LIBS)
$(BUILD)/unit/test_patience: $(call obj,workers/sweepd/patience.c)
# This one answers for MongoDB.
$(BUILD)/unit/test_sweepd_looks: $(BUILD)/obj/t/unit/test_sweepd_looks.o \
		$(call obj,$(addprefix workers/sweepd/,overdue.c patience.c relay.c) $(COMMON_SRCS)) $(LIB)
	@mkdir -p $(@D)
	@echo "  LINK    $@"
	@$(CC) $(CFLAGS) $(LDHARDEN) -o $@ $^ -lcmocka $(WORKER_LIBS) $(LIBS)
$(BUILD)/unit/test_sweepd_looks: LDHARDEN += $(foreach call,foodsvc_store_outbox_due \
	foodsvc_store_payments_pending foodsvc_store_orders_find worker_amqp_connected worker_http_in_flight \
	worker_log_write,-Wl,--wrap=$(call))
# This one puts the clock forward, and takes Redis away.
$(BUILD)/unit/test_worker_cache: LDHARDEN += -Wl,--wrap=foodsvc_time_monotonic,--wrap=redisConnectWithTimeout
# This one answers for MongoDB, and for PaymentService.
$(BUILD)/unit/test_worker_owed: LDHARDEN += $(foreach call,foodsvc_store_payment_find worker_urls_find \
	worker_http_call foodsvc_time_monotonic foodsvc_time_now,-Wl,--wrap=$(call))
# This one makes each allocation fail in turn.
$(BUILD)/unit/test_memory: LDHARDEN += -Wl,--wrap=malloc,--wrap=calloc,--wrap=realloc,--wrap=strdup,--wrap=json_loadb

# The fuzz targets, with what they share; see SANITIZE=fuzzer.
$(BUILD)/bin/fuzz_%: $(BUILD)/obj/t/fuzz/fuzz_%.o $(call obj,t/fuzz/fuzz.c t/fuzz/rules.c $(COMMON_SRCS)) $(LIB)
	@mkdir -p $(@D)
	@echo "  LINK    $@"
	@$(CC) $(CFLAGS) $(LDHARDEN) -o $@ $^ $(WORKER_LIBS) $(LIBS)

# Prints the order's state machine for the documents.
$(BUILD)/docs/state-machine: $(BUILD)/obj/scripts/state-machine.o $(LIB)
	@mkdir -p $(@D)
	@echo "  LINK    $@"
	@$(CC) $(CFLAGS) $(LDHARDEN) -o $@ $^ $(LIBS)

# The module is built by nginx's own build, in a copy of Debian's nginx-dev or of the sources named by NGINX_SRC.
MODULE_FAULT_OBJ := $(if $(FAULTS),$(BUILD)/obj/t/faults/faults_nginx.o)
$(MODULE): config $(wildcard ngx_foodsvc_module/*.[ch]) $(wildcard libfoodsvc/*.[ch]) $(MODULE_FAULT_OBJ) | headers
	@BUILD=$(BUILD) SANITIZE=$(SANITIZE) BREAKABLE=$(BREAKABLE) \
	    MODULE_LINK="$(FAULT_LINK) $(MODULE_FAULT_OBJ)" scripts/build-module $@
$(BUILD)/obj/t/faults/faults_nginx.o: CPPFLAGS += -DFAULTS_NGINX
$(BUILD)/obj/t/faults/faults_nginx.o: t/faults/faults.c | headers
	@mkdir -p $(@D)
	@echo "  CC      $<, for nginx"
	@$(CC) $(CPPFLAGS) $(CFLAGS) $(WARN) $(HARDEN) -MMD -MP -c -o $@ $<

# What nginx serves beside the services' answers: their OpenAPI descriptions, and the page at /docs.
DOCS_FILES := $(wildcard conf/docs/*)
share: $(BUILD)/share/openapi/order-service.json $(BUILD)/share/docs/index.html
$(BUILD)/share/openapi/order-service.json: scripts/bundle-specs $(wildcard specs/*.yaml)
	@echo "  SPECS   $(@D)"
	@$(PYTHON) scripts/bundle-specs $(@D)
$(BUILD)/share/docs/index.html: $(DOCS_FILES) $(wildcard $(TOOLS)/tools/swagger-ui/*)
	@mkdir -p $(@D)
	@cp $^ $(@D)/ && touch $@

# foodctl's manual page and completions, from the table that its --help comes from.
CTL_SHARE := $(addprefix $(BUILD)/share/,man/man1/foodctl.1 \
    bash-completion/completions/foodctl zsh/site-functions/_foodctl)
share: $(CTL_SHARE)
$(BUILD)/share/man/%: PRINT = manual
$(BUILD)/share/bash-completion/%: PRINT = completion bash
$(BUILD)/share/zsh/%: PRINT = completion zsh
$(CTL_SHARE): $(BUILD)/bin/foodctl
	@mkdir -p $(@D)
	@$< $(PRINT) > $@.new && mv $@.new $@

PREFIX ?= /usr/local
.PHONY: install
install: workers module share $(CTL_SHARE)  ## put all in place, PREFIX=/usr/local DESTDIR=; docs/deploy.md goes on
	@install -d $(DESTDIR)$(PREFIX)/bin
	install -m 755 $(patsubst %,$(BUILD)/bin/%,$(filter-out foodsvc-sim,$(PROGRAMS))) $(DESTDIR)$(PREFIX)/bin
	@for file in $(CTL_SHARE:$(BUILD)/%=%); do install -D -m 644 $(BUILD)/$$file $(DESTDIR)$(PREFIX)/$$file; done
	@DESTDIR=$(DESTDIR) PREFIX=$(PREFIX) scripts/install

.PHONY: headers
headers:
	@scripts/check-headers $(PKGS) $(WORKER_PKGS) cmocka

-include $(shell find $(BUILD)/obj -name '*.d' 2>/dev/null)

# Setting up, running

SYSTEM  = $(PYTHON) scripts/system
export BUILD TOOLS RUN PARTNERS SPEED ORDERDS SWEEPDS PORTS SANITIZE QUICK

.PHONY: setup setup-tests
setup:  ## install what is missing on this machine; make the development certificate, key and passwords
	@BUILD=$(TOOLS) scripts/setup run test $(filter prism,$(PARTNERS))
# The tests want more: what checks the API's description, Prism and a browser.
setup-tests:
	@BUILD=$(TOOLS) scripts/setup run test api prism browser

# In a make of its own: what setup installs (pkg-config, headers) is asked for when a Makefile is read.
.PHONY: ready
ready: setup
	@+$(SUBMAKE) build

.PHONY: demo
demo: ready     ## from nothing to an order that is placed over HTTPS and followed until it is delivered
	@scripts/demo

.PHONY: up down status logs
up: ready       ## start the whole system (PARTNERS=sim|prism|none SPEED=60 PORTS=free); . build/run/env knows it
	@$(SYSTEM) up
down:           ## end it; its data stays
	@$(SYSTEM) down
status:         ## what runs, and whether it answers
	@$(SYSTEM) status
logs:           ## what the parts say; followed on a terminal
	@$(SYSTEM) logs

# A rule's % stands for one letter at least; without it make would look for another one.
.PHONY: start- stop- kill- pid-
start- stop- kill- pid-:
	@$(SYSTEM) $(@:-=) ''
start-%:        ## start one part: mongo redis rabbit sim nginx orderd sweepd
	@$(SYSTEM) start $*
stop-%:         ## stop one part
	@$(SYSTEM) stop $*
kill-%:         ## SIGKILL one part
	@$(SYSTEM) kill $*
pid-%:          ## the process ids of one part
	@$(SYSTEM) pid $*

# Testing

# What the threads do: the store's and the publisher's in nginx, and the workers'.
THREADED = t/050-health.t t/100-redis.t t/110-publisher.t $(wildcard t/2*.t t/flow/test_0[1-6]*.py) \
    t/flow/test_130_sweepd.py t/flow/test_135_untold.py

.PHONY: test unit asan tsan valgrind bench
test: setup-tests ## all tests, on servers of their own; T="t/200-orders.t t/flow/test_010_happy_path.py" runs some
	@+$(SUBMAKE) build unit-programs
	@$(PYTHON) t/run $(T)
unit: setup     ## the unit tests alone
	@+$(SUBMAKE) unit-programs
	@$(PYTHON) t/run $(UNIT_SRCS)
asan: setup-tests ## module and workers under AddressSanitizer and UndefinedBehaviorSanitizer, through the same tests
	@+$(SUBMAKE) SANITIZE=1 TOOLS=$(TOOLS) BUILD=$(BUILD)/asan build unit-programs
	@SANITIZE=1 TOOLS=$(TOOLS) BUILD=$(BUILD)/asan $(PYTHON) t/run \
	    $(or $(T),$(UNIT_SRCS) $(wildcard t/[0-9]*.t t/flow/test_*.py))
tsan: setup-tests ## the parts that have threads under ThreadSanitizer, through the unit and flow tests
	@+$(SUBMAKE) SANITIZE=thread TOOLS=$(TOOLS) BUILD=$(BUILD)/tsan build unit-programs
	@SANITIZE=thread TOOLS=$(TOOLS) BUILD=$(BUILD)/tsan $(PYTHON) t/run $(or $(T),$(UNIT_SRCS) $(THREADED))
valgrind: setup-tests ## unit programs, nginx and workers under valgrind; slow
	@+$(SUBMAKE) build unit-programs
	@VALGRIND=1 $(PYTHON) t/run $(or $(T),$(filter-out %/test_memory.c,$(UNIT_SRCS)) \
	    $(addprefix t/flow/,test_010_happy_path.py test_020_order_service.py test_030_payment_service.py \
	    test_050_events.py test_130_sweepd.py test_135_untold.py))
.PHONY: fuzz
ifneq ($(T),http)
fuzz:           ## libFuzzer on every reader of ours, TIME=60 seconds each; T=NAME: one; T=http: HTTP, with sanitizers
	@BUILD=$(TOOLS) scripts/setup run fuzz
	@+$(SUBMAKE) CC=clang SANITIZE=fuzzer TOOLS=$(TOOLS) BUILD=$(BUILD)/fuzz fuzz-programs
	@TIME=$(TIME) RUNS=$(RUNS) SEED=$(SEED) t/fuzz/run $(T)
else
fuzz: setup
	@+$(SUBMAKE) SANITIZE=1 TOOLS=$(TOOLS) BUILD=$(BUILD)/asan build
	@rm -f $(BUILD)/fuzz-http.txt
	@SANITIZE=1 TOOLS=$(TOOLS) BUILD=$(BUILD)/asan TIME=$(or $(TIME),60) SEED=$(SEED) \
	    REPORT=$(abspath $(BUILD))/fuzz-http.txt $(PYTHON) t/run t/flow/test_160_http_fuzz.py; \
	    status=$$?; cat $(BUILD)/fuzz-http.txt; exit $$status
endif
# A planted fault needs a build that has them: in a tree of its own, for $(BUILD) stays as it is run in production.
# What a run leaves is in $(BUILD)/chaos, whichever build it had.
CHAOS_BUILD = $(if $(BREAK),$(BUILD)/breakable,$(BUILD))
.PHONY: chaos chaos-programs
chaos-programs: build $(BUILD)/docs/state-machine
	@:
chaos: setup    ## break a running system and prove what is left of it: SEED=1 MINUTES=2 [RATE=60] [BREAK=NAME|list|all]
	@SEED=$(SEED) MINUTES=$(MINUTES) RATE=$(RATE) BREAK=$(BREAK) $(PYTHON) t/chaos check
	@$(if $(filter list,$(BREAK)),,+$(SUBMAKE) BREAKABLE=$(if $(BREAK),1) TOOLS=$(TOOLS) \
	    BUILD=$(CHAOS_BUILD) chaos-programs)
	@SEED=$(SEED) MINUTES=$(MINUTES) RATE=$(RATE) BREAK=$(BREAK) BUILD=$(CHAOS_BUILD) TOOLS=$(TOOLS) \
	    RESULTS=$(BUILD)/chaos $(PYTHON) t/chaos
.PHONY: faults
faults: setup-tests ## each call that can fail fails once, in module and workers, under ASan; QUICK=1 one for each place
	@+$(SUBMAKE) SANITIZE=1 FAULTS=1 TOOLS=$(TOOLS) BUILD=$(BUILD)/faults build
	@SANITIZE=1 TOOLS=$(TOOLS) BUILD=$(BUILD)/faults $(PYTHON) t/run $(or $(T),$(wildcard t/faults/test_*.py))
.PHONY: schemathesis prism-proxy degraded slow-clients
schemathesis:   ## Schemathesis against both services; EXAMPLES=1000 each operation, SEED=1; last, its calls
	@rm -f $(BUILD)/schemathesis.txt
	@+EXAMPLES=$(or $(EXAMPLES),1000) REPORT=$(abspath $(BUILD))/schemathesis.txt $(MAKE) --no-print-directory test \
	    T=t/flow/test_110_schemathesis.py; status=$$?; cat $(BUILD)/schemathesis.txt; exit $$status
prism-proxy:    ## flow tests with Prism before both services, which checks every answer
	@+PROXY=prism $(MAKE) --no-print-directory test T="$(or $(T),$(wildcard t/flow/test_*.py))"
degraded:       ## each server and partner away for 10 and for 30 s, each way; half an hour
	@rm -f $(BUILD)/degraded.txt
	@+for outage in 10 30; do OUTAGE=$$outage REPORT=$(abspath $(BUILD))/degraded.txt $(MAKE) --no-print-directory test \
	    T=t/flow/test_150_degraded.py || exit 1; done; cat $(BUILD)/degraded.txt
slow-clients:   ## 1,000 clients that stop in the middle: the p99 of honest ones stays under twice that without them
	@+RATIO=1 $(MAKE) --no-print-directory test T=t/system/test_limits.py
bench:          ## measure what this machine does, against nginx's own return 200
	@scripts/setup run bench
	@+$(SUBMAKE) build
	@bench/run

.PHONY: lint
lint:           ## both compilers' warnings, clang-tidy, shellcheck, Python, Perl; functions' and lines' length
	@BUILD=$(TOOLS) scripts/setup run lint
	@+$(SUBMAKE) build
	@scripts/lint

.PHONY: diagrams pictures
diagrams:       ## draw docs/diagrams/ and docs/state-machine.md from their sources and from the code
	@BUILD=$(TOOLS) scripts/setup run docs
	@+$(SUBMAKE) $(BUILD)/docs/state-machine
	@scripts/diagrams
pictures: ready ## take the pictures in docs/pictures/: a demo in a system of its own
	@scripts/pictures

.PHONY: clean distclean
clean:          ## remove what was built; tools, secrets and data stay
	rm -rf $(addprefix $(BUILD)/,obj lib bin modules unit docs share nginx nginx-* asan tsan faults fuzz lint)
distclean: down ## remove everything that is not in git
	rm -rf $(BUILD)
