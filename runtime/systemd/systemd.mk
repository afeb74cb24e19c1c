# The program that speaks to systemd: linked with libsystemd, and embedded into bailey, which has no libraries.
SYSTEMD_OBJ := $(B)/systemd/image.o

$(B)/systemd/helper: runtime/systemd/helper.c runtime/systemd/systemd.mk
	@mkdir -p $(@D)
	$(CCACHE) $(CC) -D_GNU_SOURCE -std=c17 $(WARN) $(HARDEN) -O2 -MMD -MP -c $< -o $@.o
	$(CC) -pie -s -Wl,-z,relro,-z,now,-z,noexecstack $@.o -lsystemd -o $@

$(B)/systemd/image.o: $(B)/systemd/helper
	printf '.section .rodata\n.balign 16\n.globl systemd_image\n.globl systemd_image_end\nsystemd_image:\n.incbin "%s"\nsystemd_image_end:\n.section .note.GNU-stack,"",@progbits\n' $< | $(CC) -c -x assembler - -o $@

-include $(B)/systemd/helper.d
