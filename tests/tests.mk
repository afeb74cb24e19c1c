# The tests. `make check` (the root Makefile) ends in tests/run.sh, which runs them all; here are the parts by themselves
# and what they need built. RUNTIME=... and REFERENCE=... choose what runs, TESTS='guest/signal*' a part.
TEST_PACKAGES := bats bc bsdutils busybox-static conmon containerd containernetworking-plugins debootstrap docker.io e2fsprogs \
    golang-github-containers-common iproute2 jq libcmocka-dev podman procps protobuf-compiler psmisc python3 python3-grpcio \
    python3-protobuf runc systemd uidmap
TEST_CFLAGS := -O2 -g -std=c17 $(WARN) -D_GNU_SOURCE -I. -pthread -MMD -MP

GUEST_BIN := $(patsubst tests/guest/%.c,$(B)/tests/guest/%,$(wildcard tests/guest/*.c))
ATTACK_BIN := $(patsubst tests/attacks/%.c,$(B)/tests/attacks/%,$(wildcard tests/attacks/*.c))
TOOL_BIN := $(patsubst tests/tools/%.c,$(B)/tests/tools/%,$(wildcard tests/tools/*.c))
CLI_BIN := $(patsubst tests/cli/%.c,$(B)/tests/cli/%,$(wildcard tests/cli/*.c))
BENCH_BIN := $(patsubst tests/bench/%.c,$(B)/tests/bench/%,$(wildcard tests/bench/*.c))
UNIT_BIN := $(patsubst tests/unit/%.c,$(B)/tests/unit/%,$(wildcard tests/unit/test_*.c))

.PHONY: test-programs check-all check-unit check-cli check-guest check-attacks check-workloads check-callers bench test-packages
test-programs: $(B)/cli-doc $(B)/tests/supervise $(TOOL_BIN) $(GUEST_BIN) $(ATTACK_BIN) $(CLI_BIN) $(BENCH_BIN) $(UNIT_BIN)

check-all: build test-programs
	B=$(B) tests/run.sh $(TESTS)

check-unit: $(UNIT_BIN) $(B)/tests/supervise
	B=$(B) tests/run.sh unit

check-cli check-guest check-attacks check-workloads check-callers: check-%: build test-programs
	B=$(B) tests/run.sh $*

# Prints the table of figures and puts it into docs/performance.md.
bench: build test-programs
	B=$(B) tests/bench/bench.sh --write docs/performance.md

test-packages:
	@echo $(TEST_PACKAGES)

$(B)/tests/supervise: tests/lib/supervise.c
	@mkdir -p $(@D)
	$(CCACHE) $(CC) $(TEST_CFLAGS) $< -o $@

# Programs for the inside: static, so that they run in any root, and with nothing of the project in them.
$(TOOL_BIN) $(GUEST_BIN) $(ATTACK_BIN) $(CLI_BIN) $(BENCH_BIN): $(B)/tests/%: tests/%.c
	@mkdir -p $(@D)
	$(CC) $(TEST_CFLAGS) -static $< -o $@ -lutil

# A unit test's first line may name the objects that it is linked with: `// objects: common/err.o oci/*.o`.
# Without such a line it gets every object but the command's main.
UNIT_OBJ = $(if $(shell sed -n '1s,^/[/*] objects:,,p' $<),\
    $(patsubst %.c,$(B)/obj/%.o,$(wildcard $(patsubst %.o,%.c,$(filter %.o,$(shell sed -n '1s,^/[/*] objects:,,p' $<))))),\
    $(filter-out $(B)/obj/runtime/main.o,$(OBJ)))
$(UNIT_BIN): $(B)/tests/unit/%: tests/unit/%.c $(OBJ)
	@mkdir -p $(@D)
	$(CCACHE) $(CC) $(CPPFLAGS) $(CFLAGS) -c $< -o $@.o
	$(CC) $(CFLAGS) -pie $@.o $(UNIT_OBJ) -lcmocka $(LDLIBS) -o $@

-include $(TOOL_BIN:=.d) $(GUEST_BIN:=.d) $(ATTACK_BIN:=.d) $(BENCH_BIN:=.d)
