/* Tries to have the host read filters of its own making, from the gate's instructions: by itself, with a
 * filter of the guest's that makes the keep expect one, and from a thread that asks all the time while
 * another gets one. Ends with 42 where none was let through. */
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define TEXT 0x120000UL
#define TEXT_END 0x126000UL

static struct sock_filter refuse_all[] = {{BPF_RET | BPF_K, 0, 0, SECCOMP_RET_ERRNO | EXFULL}};
static struct sock_fprog hostile = {.len = 1, .filter = refuse_all};
static uintptr_t sites[8];
static int nsites;

/* At gate_native_clone_vm's instruction, which goes on with: if the result is not 0, pop two and return. */
static long call_at(uintptr_t at, long nr, long a, long b, long c)
{
    register long r10 __asm__("r10") = 0;
    register long r8 __asm__("r8") = 0;
    long r = nr;
    __asm__ volatile("lea -128(%%rsp), %%rsp\n"
                     "lea 1f(%%rip), %%r11\n"
                     "push %%r11\n"
                     "push %%r12\n"
                     "push %%r13\n"
                     "jmp *%[at]\n"
                     "1: lea 128(%%rsp), %%rsp"
                     : "+a"(r)
                     : [at] "r"(at), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8)
                     : "rcx", "r11", "memory");
    return r;
}

static int find_sites(void)
{
    static const unsigned char code[] = {0x0f, 0x05, 0x48, 0x85, 0xc0, 0x74};
    const unsigned char *p = (const unsigned char *)TEXT;
    for (; p < (const unsigned char *)TEXT_END; p++)
        if (memcmp(p, code, sizeof(code)) == 0 && memcmp(p + 7, "\x41\x5d\x41\x5c\xc3", 5) == 0)
            sites[nsites++] = (uintptr_t)p;
    return nsites;
}

static int let_through(const char *when)
{
    static const long flags[] = {0, SECCOMP_FILTER_FLAG_TSYNC, SECCOMP_FILTER_FLAG_NEW_LISTENER, 1L << 32};
    for (int i = 0; i < nsites; i++) {
        long r = call_at(sites[i], SYS_seccomp, SECCOMP_SET_MODE_STRICT, 0, 0);
        for (int f = 0; f < 4 && r == -EPERM; f++)
            r = call_at(sites[i], SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags[f], (long)&hostile);
        if (r != -EPERM) {
            printf("%s: site %lx: %ld\n", when, (unsigned long)sites[i], r);
            return 1;
        }
    }
    return 0;
}

static atomic_int asks, stop;

static void *ask(void *arg)
{
    long r = -EPERM;
    while (!stop && r == -EPERM) {
        r = call_at(sites[0], SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, (long)&hostile);
        asks++;
    }
    return r == -EPERM ? arg : &hostile;
}

static int install(unsigned nr, unsigned flags)
{
    struct sock_filter f[] = {{BPF_LD | BPF_W | BPF_ABS, 0, 0, offsetof(struct seccomp_data, nr)},
                              {BPF_JMP | BPF_JEQ | BPF_K, 0, 1, nr},
                              {BPF_RET | BPF_K, 0, 0, SECCOMP_RET_ERRNO | EDOM},
                              {BPF_RET | BPF_K, 0, 0, SECCOMP_RET_ALLOW}};
    struct sock_fprog p = {.len = 4, .filter = f};
    return (int)syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, &p);
}

/* In a child. */
static int attack(void)
{
    static const unsigned native[] = {SYS_sched_yield, SYS_madvise, SYS_mremap, SYS_rseq, SYS_clock_gettime};
    pthread_t t;
    void *r;
    if (let_through("at once") || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
        return 1;
    if (pthread_create(&t, NULL, ask, NULL) != 0)
        return 2;
    for (int i = 0; i < 5; i++) {
        int before = asks;
        while (asks < before + 20)
            usleep(100);
        if (install(native[i], SECCOMP_FILTER_FLAG_TSYNC) != 0)
            return 3;
    }
    stop = 1;
    pthread_join(t, &r);
    if (r || let_through("later"))
        return 4;
    return sched_yield() == -1 && errno == EDOM ? 0 : 5;
}

int main(void)
{
    int status = -1;
    setvbuf(stdout, NULL, _IONBF, 0);
    if (find_sites() == 0)
        return 1;
    pid_t pid = fork();
    if (pid == 0)
        _exit(attack());
    waitpid(pid, &status, 0);
    printf("%d sites, %x\n", nsites, (unsigned)status);
    return status == 0 ? 42 : 1;
}
