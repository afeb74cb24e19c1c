#include "sandbox/keep/task/elf.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define PAGE 4096UL
#define PAGE_DOWN(x) ((x) & ~(PAGE - 1))
#define PAGE_UP(x) (((x) + PAGE - 1) & ~(PAGE - 1))
#define ADDRESS_MAX 0x7ffffffff000UL
#define PHDRS_MAX 128

struct source {
    int fd;
    const struct elf_head *head;
};

int elf_read_head(int fd, struct elf_head *head)
{
    ssize_t n = pread(fd, head->bytes, sizeof(head->bytes), 0);

    head->n = n > 0 ? (size_t)n : 0;
    return n < 0 ? -EIO : 0;
}

static int read_at(const struct source *f, void *buf, size_t n, uint64_t off)
{
    if (off < f->head->n && n <= f->head->n - off) {
        memcpy(buf, f->head->bytes + off, n);
        return 0;
    }
    ssize_t r = pread(f->fd, buf, n, (off_t)off);

    return r == (ssize_t)n ? 0 : r < 0 ? -EIO : -ENOEXEC;
}

static int take_interp(const struct source *f, const Elf64_Phdr *ph, struct elf_image *img)
{
    if (ph->p_filesz < 2 || ph->p_filesz > sizeof(img->interp))
        return -ENOEXEC;
    if (read_at(f, img->interp, ph->p_filesz, ph->p_offset) < 0 || img->interp[ph->p_filesz - 1] != 0)
        return -ENOEXEC;
    return 0;
}

static int take_load(const Elf64_Phdr *ph, struct elf_image *img)
{
    uint64_t end;

    if (img->n == ELF_SEGMENTS || ph->p_filesz > ph->p_memsz)
        return -ENOEXEC;
    if (__builtin_add_overflow(ph->p_vaddr, ph->p_memsz, &end) || end > ADDRESS_MAX ||
        ph->p_offset > INT64_MAX - ph->p_filesz || ph->p_vaddr % PAGE != ph->p_offset % PAGE)
        return -ENOEXEC;
    if (img->n > 0 && ph->p_vaddr < img->seg[img->n - 1].p_vaddr)
        return -ENOEXEC;
    if (img->n == 0)
        img->low = PAGE_DOWN(ph->p_vaddr);
    if (PAGE_UP(end) > img->high)
        img->high = PAGE_UP(end);
    if ((ph->p_flags & PF_X) && !img->code_end) {
        img->code_start = ph->p_vaddr;
        img->code_end = ph->p_vaddr + ph->p_filesz;
    }
    img->seg[img->n++] = *ph;
    return 0;
}

static int take_header(const struct source *f, const Elf64_Phdr *ph, struct elf_image *img)
{
    switch (ph->p_type) {
    case PT_INTERP:
        return take_interp(f, ph, img);
    case PT_LOAD:
        return ph->p_memsz == 0 ? 0 : take_load(ph, img);
    case PT_GNU_STACK:
        img->exec_stack = ph->p_flags & PF_X;
        return 0;
    case PT_PHDR:
        img->phdr = ph->p_vaddr;
        return 0;
    default:
        return 0;
    }
}

int elf_read(int fd, const struct elf_head *head, struct elf_image *img)
{
    const struct source f = {fd, head};
    Elf64_Ehdr eh;
    Elf64_Phdr ph[PHDRS_MAX];

    memset(img, 0, sizeof(*img));
    if (read_at(&f, &eh, sizeof(eh), 0) < 0 || memcmp(eh.e_ident, ELFMAG, SELFMAG) != 0 ||
        eh.e_ident[EI_CLASS] != ELFCLASS64 || eh.e_machine != EM_X86_64 ||
        (eh.e_type != ET_EXEC && eh.e_type != ET_DYN) || eh.e_phentsize != sizeof(Elf64_Phdr) ||
        eh.e_phnum == 0 || eh.e_phnum > PHDRS_MAX)
        return -ENOEXEC;
    int r = read_at(&f, ph, eh.e_phnum * sizeof(Elf64_Phdr), eh.e_phoff);
    for (unsigned i = 0; r == 0 && i < eh.e_phnum; i++)
        r = take_header(&f, &ph[i], img);
    if (r < 0)
        return r;
    if (img->n == 0)
        return -ENOEXEC;
    img->dynamic_base = eh.e_type == ET_DYN;
    /* What lies in the gate's region could not be mapped. */
    if (!img->dynamic_base && img->low < GATE_LIMIT)
        return -ENOEXEC;
    img->entry = eh.e_entry;
    img->phent = eh.e_phentsize;
    img->phnum = eh.e_phnum;
    for (unsigned i = 0; !img->phdr && i < img->n; i++)
        if (eh.e_phoff >= img->seg[i].p_offset && eh.e_phoff < img->seg[i].p_offset + img->seg[i].p_filesz)
            img->phdr = img->seg[i].p_vaddr + eh.e_phoff - img->seg[i].p_offset;
    return 0;
}

static struct gate_op *new_op(struct gate_exec *ge, uint32_t kind)
{
    /* One too many is counted, not kept: elf_map_ops then fails. */
    unsigned i = ge->nops < GATE_EXEC_OPS ? ge->nops : GATE_EXEC_OPS - 1;
    struct gate_op *op = &ge->ops[i];

    ge->nops++;
    *op = (struct gate_op){.kind = kind, .fd = -1};
    return op;
}

static void map_segment(const struct elf_image *img, const Elf64_Phdr *ph, int guest_fd, uint32_t place,
                        struct gate_exec *ge)
{
    uint64_t start = img->base + ph->p_vaddr, file_end = start + ph->p_filesz, end = start + ph->p_memsz;
    uint32_t prot = (ph->p_flags & PF_R ? PROT_READ : 0u) | (ph->p_flags & PF_W ? PROT_WRITE : 0u) |
                    (ph->p_flags & PF_X ? PROT_EXEC : 0u);

    if (ph->p_filesz > 0) {
        struct gate_op *op = new_op(ge, GATE_OP_MAP);
        op->fd = guest_fd;
        op->addr = PAGE_DOWN(start);
        op->len = PAGE_UP(file_end) - PAGE_DOWN(start);
        op->off = PAGE_DOWN(ph->p_offset);
        op->prot = prot;
        op->flags = MAP_PRIVATE | place;
    }
    /* The rest of the last page from the file is memory too, and must read as zero. */
    if (end > file_end && file_end % PAGE && ph->p_filesz > 0 && (prot & PROT_WRITE)) {
        struct gate_op *op = new_op(ge, GATE_OP_ZERO);
        op->addr = file_end;
        op->len = PAGE_UP(file_end) - file_end;
    }
    uint64_t bss = ph->p_filesz > 0 ? PAGE_UP(file_end) : PAGE_DOWN(start);
    if (PAGE_UP(end) > bss) {
        struct gate_op *op = new_op(ge, GATE_OP_MAP);
        op->addr = bss;
        op->len = PAGE_UP(end) - bss;
        op->prot = prot;
        op->flags = MAP_PRIVATE | place | MAP_ANONYMOUS;
    }
}

/* Every page of the extent belongs to one segment. */
static bool is_solid(const struct elf_image *img)
{
    for (unsigned i = 1; i < img->n; i++)
        if (PAGE_DOWN(img->seg[i].p_vaddr) != PAGE_UP(img->seg[i - 1].p_vaddr + img->seg[i - 1].p_memsz))
            return false;
    return true;
}

/* The whole extent, so that nothing else can be in the way of a part, or come to lie between two. */
static void take_extent(const struct elf_image *img, struct gate_exec *ge)
{
    struct gate_op *hold = new_op(ge, GATE_OP_MAP);
    hold->addr = img->base + img->low;
    hold->len = img->high - img->low;
    hold->prot = PROT_NONE;
    hold->flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED_NOREPLACE;
}

int elf_map_ops(const struct elf_image *img, int guest_fd, struct gate_exec *ge)
{
    if (ge->nops >= GATE_EXEC_OPS)
        return -ENOEXEC;
    const uint32_t place = is_solid(img) ? MAP_FIXED_NOREPLACE : MAP_FIXED;
    if (place == MAP_FIXED)
        take_extent(img, ge);
    for (unsigned i = 0; i < img->n; i++)
        map_segment(img, &img->seg[i], guest_fd, place, ge);
    return ge->nops <= GATE_EXEC_OPS ? 0 : -ENOEXEC;
}
