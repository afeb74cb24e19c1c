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
LDFLAGS += -static-pie -Wl,-z,relro,-z,now,-z,noexecstack
LDLIBS += -lyajl_s -lseccomp -lcap

SRC := $(wildcard common/*.c oci/*.c runtime/*.c sandbox/keep/*.c sandbox/platform/*.c sandbox/net/*.c)
OBJ := $(SRC:%.c=$(B)/obj/%.o)

.PHONY: all build clean format lint
all: build
build: $(B)/bailey

-include sandbox/gate/gate.mk
-include tests/tests.mk

$(B)/obj/%.o: %.c Makefile
	@mkdir -p $(@D)
	$(CCACHE) $(CC) $(CPPFLAGS) $(CFLAGS) -c $< -o $@

$(B)/bailey: $(OBJ) $(GATE_OBJ)
	$(CC) $(CFLAGS) $(LDFLAGS) $^ $(LDLIBS) -o $@

clean:
	rm -rf $(B)

format:
	clang-format -i $$(git ls-files '*.c' '*.h')

-include $(OBJ:.o=.d)
