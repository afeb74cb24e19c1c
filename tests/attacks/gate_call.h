/* System calls made from the gate's own instructions, which a guest can jump to. */
#ifndef BAILEY_TESTS_GATE_CALL_H
#define BAILEY_TESTS_GATE_CALL_H

#include <stdint.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#define TEXT 0x20000UL
#define TEXT_MAX 0x10000UL /* where its data begins */
#define TEXT_PAGE 4096UL

static uintptr_t text_end; /* of its whole pages, once find_sites has been called */
static uintptr_t sites[8];
static int nsites;

/* At gate_native_clone_vm's instruction, which goes on with: if the result is not 0, pop two and return. (A
 * filter let through ends the process there.) */
static inline long call5_at(uintptr_t at, long nr, long a, long b, long c, long d, long e)
{
    register long r10 __asm__("r10") = d;
    register long r8 __asm__("r8") = e;
    register long r9 __asm__("r9") = 0;
    long r = nr;
    __asm__ volatile("lea -128(%%rsp), %%rsp\n"
                     "lea 1f(%%rip), %%r11\n"
                     "push %%r11\n"
                     "push %%r12\n"
                     "push %%r13\n"
                     "jmp *%[at]\n"
                     "1: lea 128(%%rsp), %%rsp"
                     : "+a"(r)
                     : [at] "r"(at), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
                     : "rcx", "r11", "memory");
    return r;
}

static inline long call_at(uintptr_t at, long nr, long a, long b, long c)
{
    return call5_at(at, nr, a, b, c, 0, 0);
}

static inline uintptr_t find_text_end(void)
{
    char byte;
    struct iovec to = {&byte, 1}, from = {(void *)TEXT, 1};
    while ((uintptr_t)from.iov_base < TEXT + TEXT_MAX && process_vm_readv(getpid(), &to, 1, &from, 1, 0) == 1)
        from.iov_base = (char *)from.iov_base + TEXT_PAGE;
    return (uintptr_t)from.iov_base;
}

/* How many there are; 0: no text was found either. */
static inline int find_sites(void)
{
    static const unsigned char code[] = {0x0f, 0x05, 0x48, 0x85, 0xc0, 0x74};
    const unsigned char *p = (const unsigned char *)TEXT;
    text_end = find_text_end();
    for (; p + 16 < (const unsigned char *)text_end; p++)
        if (memcmp(p, code, sizeof(code)) == 0 && memcmp(p + 7, "\x41\x5d\x41\x5c\xc3", 5) == 0)
            sites[nsites++] = (uintptr_t)p;
    return nsites;
}

#endif
