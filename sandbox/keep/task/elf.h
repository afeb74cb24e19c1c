/* ELF images: what of a file goes where (elf(5)). */
#ifndef BAILEY_KEEP_ELF_H
#define BAILEY_KEEP_ELF_H

#include <elf.h>

#include "sandbox/gate/abi.h"
#include "sandbox/keep/kernel.h"

#define ELF_SEGMENTS 16

struct elf_image {
    bool dynamic_base;                  /* ET_DYN: may be put anywhere */
    uint64_t entry, phdr, phent, phnum; /* phdr: virtual address, 0 unknown */
    uint64_t low, high;                 /* page-rounded extent of all segments */
    uint64_t base;                      /* added to every address; chosen by the caller */
    uint64_t code_start, code_end;
    bool exec_stack;
    unsigned n;
    Elf64_Phdr seg[ELF_SEGMENTS];
    char interp[4096]; /* "" : none */
};

/* A file's beginning, where all headers are, mostly. */
struct elf_head {
    size_t n;
    unsigned char bytes[1024];
};

/* 0 or -EIO. */
int elf_read_head(int fd, struct elf_head *head);
/* Reads and checks the headers of the image in fd, whose head was read. 0, -ENOEXEC (not an x86-64 ELF that
 * we can load), -EIO. */
int elf_read(int fd, const struct elf_head *head, struct elf_image *img);

/* Appends the operations that map the image from the guest's descriptor guest_fd. 0, or -ENOEXEC when they
 * are too many. */
int elf_map_ops(const struct elf_image *img, int guest_fd, struct gate_exec *ge);

#endif
