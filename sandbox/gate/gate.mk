# The gate: a freestanding image of its own, embedded into bailey.
GATE_CFLAGS := -std=c17 $(WARN) -O2 -g -I. -ffreestanding -fno-pie -fno-stack-protector -fno-builtin \
	-fno-asynchronous-unwind-tables -mgeneral-regs-only -mno-red-zone -fcf-protection=none -D_GNU_SOURCE -MMD -MP
GATE_SRC := $(wildcard sandbox/gate/*.c) $(wildcard sandbox/gate/x86_64/*.S)
GATE_PARTS := $(GATE_SRC:%=$(B)/gate/%.o)
GATE_OBJ := $(B)/gate/image.o

$(B)/gate/%.c.o: %.c sandbox/gate/gate.mk
	@mkdir -p $(@D)
	$(CCACHE) $(CC) $(GATE_CFLAGS) -c $< -o $@

$(B)/gate/%.S.o: %.S sandbox/gate/gate.mk
	@mkdir -p $(@D)
	$(CC) $(GATE_CFLAGS) -c $< -o $@

$(B)/gate/gate.elf: $(GATE_PARTS) sandbox/gate/gate.lds
	$(CC) -nostdlib -static -Wl,--build-id=none -Wl,-z,noexecstack -Wl,-T,sandbox/gate/gate.lds $(GATE_PARTS) -o $@
	objcopy --strip-all $@ $@.stripped

$(B)/gate/image.o: $(B)/gate/gate.elf
	printf '.section .rodata\n.balign 16\n.globl gate_image\n.globl gate_image_end\ngate_image:\n.incbin "%s"\ngate_image_end:\n.section .note.GNU-stack,"",@progbits\n' $(B)/gate/gate.elf.stripped | $(CC) -c -x assembler - -o $@

-include $(GATE_PARTS:.o=.d)

# The keep's and the porter's filters, compiled at build time; the sanitizers' run-time library asks for more.
FILTER_MORE := $(if $(SANITIZE),seccomp-profiles/sanitizers.profile)
$(B)/mkfilter: tools/mkfilter.c
	@mkdir -p $(@D)
	$(CC) -D_GNU_SOURCE -std=c17 $(WARN) -O1 $< -lseccomp -o $@

$(B)/gen/%_filter_bpf.h: seccomp-profiles/%.profile $(FILTER_MORE) $(B)/mkfilter
	@mkdir -p $(@D)
	cat $< $(FILTER_MORE) > $(B)/gen/$*.profile
	$(B)/mkfilter $* $(B)/gen/$*.profile > $@

$(B)/obj/sandbox/platform/keep_filter.o: $(B)/gen/keep_filter_bpf.h $(B)/gen/porter_filter_bpf.h
