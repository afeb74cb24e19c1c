# Bailey. `make demo` and `make check` install what they need and do the rest by themselves.
SHELL := /bin/bash
B ?= build
CC ?= gcc
ifneq ($(shell command -v ccache 2>/dev/null),)
CCACHE := ccache
endif

WARN := -Wall -Wextra -Werror -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wvla -Wformat=2
HARDEN := -fPIE -fstack-protector-strong -D_FORTIFY_SOURCE=2 -fstack-clash-protection -fcf-protection
CPPFLAGS += -D_GNU_SOURCE -I. -I$(B)/gen
CFLAGS ?= -O2 -g
CFLAGS += -std=c17 $(WARN) $(HARDEN) -pthread -MMD -MP
LDFLAGS += -Wl,-z,relro,-z,now,-z,noexecstack
ifdef SANITIZE # `make asan`: needs the dynamic linker
CFLAGS += -fsanitize=$(SANITIZE) -fno-sanitize-recover=undefined -fno-omit-frame-pointer
LDFLAGS += -pie
LDLIBS += -lyajl -lseccomp -lcap -lselinux -lm
else
LDFLAGS += -static-pie
LDLIBS += -lyajl_s -lseccomp -lcap -lselinux -lm
endif

# Debian packages: to build, for the demo, to lint. Those of the tests are in tests/tests.mk.
BUILD_PACKAGES := gcc binutils make libc6-dev linux-libc-dev libyajl-dev libseccomp-dev libcap-dev libselinux1-dev libsystemd-dev uthash-dev
DEMO_PACKAGES := busybox-static jq
LINT_PACKAGES := clang-format clang-tidy cppcheck shellcheck
PREFIX ?= /usr/local

SRC := $(filter-out runtime/systemd/helper.c,$(wildcard common/*.c oci/*.c runtime/*.c runtime/*/*.c sandbox/keep/*.c \
    sandbox/keep/*/*.c sandbox/platform/*.c))
OBJ := $(SRC:%.c=$(B)/obj/%.o)

.PHONY: all build docs man clean format lint asan asan-check fuzz install uninstall demo check
all:
	@tools/install-deps.sh $(BUILD_PACKAGES)
	@$(SUBMAKE) build man
build: $(B)/bailey

-include sandbox/gate/gate.mk
-include runtime/systemd/systemd.mk
-include tests/tests.mk

$(B)/obj/%.o: %.c Makefile
	@mkdir -p $(@D)
	$(CCACHE) $(CC) $(CPPFLAGS) $(CFLAGS) -c $< -o $@

$(B)/bailey: $(OBJ) $(GATE_OBJ) $(SYSTEMD_OBJ)
	$(CC) $(CFLAGS) $(LDFLAGS) $(EARLY) $^ $(LDLIBS) -o $@

# Before the C library has begun (runtime/launch/early.c).
ifndef SANITIZE
EARLY := -Wl,-e,early_entry
endif
# Loops are to stay loops there: gcc and clang have different words for it.
$(B)/obj/runtime/launch/early.o: CFLAGS += -ffreestanding -fno-stack-protector -U_FORTIFY_SOURCE \
	$(if $(findstring clang,$(CC)),-fno-builtin,-fno-tree-loop-distribute-patterns)

# The README's two commands. Each brings what it needs; the build follows in a make of its own, which sees it.
SUBMAKE = $(MAKE) --no-print-directory
JOBS ?= $(shell nproc)

demo:
	@tools/install-deps.sh $(BUILD_PACKAGES) $(DEMO_PACKAGES)
	@$(SUBMAKE) -s -j$(JOBS) build
	@B=$(B) tools/demo.sh

check:
	@tools/install-deps.sh $(BUILD_PACKAGES) $(TEST_PACKAGES)
	@$(SUBMAKE) -s -j$(JOBS) build test-programs
	@$(SUBMAKE) -s check-all

# What is printed from the command's own tables: the man page, the completion, the tables of the docs.
man: $(B)/bailey.1 $(B)/bailey.bash
$(B)/cli-doc: tools/cli-doc.c $(OBJ) $(GATE_OBJ) $(SYSTEMD_OBJ)
	$(CCACHE) $(CC) $(CPPFLAGS) $(CFLAGS) -c $< -o $@.o
	$(CC) $(CFLAGS) $(LDFLAGS) $@.o $(filter-out $(B)/obj/runtime/main.o,$(OBJ)) $(GATE_OBJ) $(SYSTEMD_OBJ) $(LDLIBS) -o $@
$(B)/bailey.1: $(B)/cli-doc
	$< man > $@.new && mv $@.new $@
$(B)/bailey.bash: $(B)/bailey
	$< completion bash > $@.new && mv $@.new $@

install: build man
	install -D -m 755 $(B)/bailey $(DESTDIR)$(PREFIX)/bin/bailey
	install -D -m 644 $(B)/bailey.1 $(DESTDIR)$(PREFIX)/share/man/man1/bailey.1
	install -D -m 644 $(B)/bailey.bash $(DESTDIR)$(PREFIX)/share/bash-completion/completions/bailey

uninstall:
	rm -f $(DESTDIR)$(PREFIX)/bin/bailey $(DESTDIR)$(PREFIX)/share/man/man1/bailey.1
	rm -f $(DESTDIR)$(PREFIX)/share/bash-completion/completions/bailey

# What the runtime reads from outside, with the sanitizers: unit tests, and bad input to the command.
asan:
	@tools/install-deps.sh $(BUILD_PACKAGES) $(TEST_PACKAGES)
	@$(SUBMAKE) -s -j$(JOBS) B=$(B)/asan SANITIZE=address,undefined asan-check

asan-check: build $(UNIT_BIN) $(B)/tests/supervise
	B=$(B) tests/run.sh unit cli/usage cli/bad_input

# A sanitized sandbox under random calls, for SECONDS, from SEED on.
SECONDS ?= 600
fuzz:
	@tools/install-deps.sh $(BUILD_PACKAGES) $(TEST_PACKAGES)
	@$(SUBMAKE) -s -j$(JOBS) B=$(B)/asan SANITIZE=address,undefined build $(B)/asan/tests/attacks/storm
	ASAN_OPTIONS=detect_leaks=0:quarantine_size_mb=16 B=$(abspath $(B)/asan) tests/attacks/storm.sh $(SECONDS) $(SEED)

docs: docs/syscalls.md $(B)/cli-doc
	for d in docs/cli.md docs/errors.md; do $(B)/cli-doc tables $$d > $(B)/docs.new && cat $(B)/docs.new > $$d; done
docs/syscalls.md: tools/syscalls-doc.c sandbox/keep/syscalls.def sandbox/keep/syscalls_notes.def
	@mkdir -p $(B)
	$(CC) -std=c17 $(WARN) -I. -O1 $< -o $(B)/syscalls-doc
	$(B)/syscalls-doc > $@.new && mv $@.new $@

format:
	clang-format -i $$(git ls-files '*.c' '*.h')

lint:
	@tools/install-deps.sh $(BUILD_PACKAGES) $(LINT_PACKAGES)
	CPPFLAGS='$(CPPFLAGS)' JOBS=$(JOBS) tools/lint.sh $(SRC)

clean:
	rm -rf $(B)

-include $(OBJ:.o=.d)
