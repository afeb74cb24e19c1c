/* What runs before the C library has begun: for a command that will have to be executed again (reexec.h) the
 * library's start, its look at the processor and all relocations would be done twice. This only saves time:
 * where it does nothing, reexec_sealed does it.
 *
 * Nothing is relocated yet and there is no thread-local storage: no call of another file, no pointer in
 * static data, no stack protector (the Makefile compiles this file by itself). */
#include <fcntl.h>
#include <linux/mount.h>
#include <linux/stat.h>
#include <stdbool.h>
#include <sys/syscall.h>

__attribute__((visibility("hidden"))) void early_start(long *stack);

/* The program's entry: the stack as the kernel made it is kept for the library's. */
__asm__(".globl early_entry\n"
        ".type early_entry, @function\n"
        "early_entry:\n"
        "    endbr64\n"
        "    xor %ebp, %ebp\n"
        "    push %rdx\n"
        "    lea 8(%rsp), %rdi\n"
        "    sub $8, %rsp\n"
        "    call early_start\n"
        "    add $8, %rsp\n"
        "    pop %rdx\n"
        "    jmp _start\n"
        ".size early_entry, . - early_entry\n");

static inline long call(long nr, long a, long b, long c, long d, long e)
{
    register long r10 __asm__("r10") = d, r8 __asm__("r8") = e;
    long r;

    __asm__ volatile("syscall"
                     : "=a"(r)
                     : "a"(nr), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8)
                     : "rcx", "r11", "memory");
    return r;
}

static bool same(const char *a, const char *b)
{
    while (*a && *a == *b) {
        a++;
        b++;
    }
    return *a == *b;
}

/* One word too many, which is some option's value, does no harm. */
static bool may_enter(char *const *argv)
{
    for (argv++; *argv; argv++)
        if (same(*argv, "create") || same(*argv, "run") || same(*argv, "exec"))
            return true;
    return false;
}

/* As in reexec.c; a descriptor, or negative. */
static long read_only_mount(long self)
{
    struct mount_attr attr = {.attr_set = MOUNT_ATTR_RDONLY, .propagation = MS_PRIVATE};
    long fd = call(SYS_open_tree, self, (long)"", AT_EMPTY_PATH | OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC, 0, 0);

    if (fd < 0)
        return fd;
    if (call(SYS_mount_setattr, fd, (long)"", AT_EMPTY_PATH, (long)&attr, sizeof(attr)) == 0)
        return fd;
    (void)call(SYS_close, fd, 0, 0, 0, 0);
    return -1;
}

static bool is_mounted_alone(long self)
{
    struct statx st;

    return call(SYS_statx, self, (long)"", AT_EMPTY_PATH, STATX_TYPE, (long)&st) != 0 ||
           (st.stx_attributes & STATX_ATTR_MOUNT_ROOT);
}

void early_start(long *stack)
{
    char **argv = (char **)(stack + 1), **envp = argv + *stack + 1;

    if (*stack < 2 || !may_enter(argv))
        return;
    long self = call(SYS_open, (long)"/proc/self/exe", O_PATH | O_CLOEXEC, 0, 0, 0);
    if (self < 0)
        return;
    long mounted = is_mounted_alone(self) ? -1 : read_only_mount(self);
    if (mounted >= 0) {
        (void)call(SYS_execveat, mounted, (long)"", (long)argv, (long)envp, AT_EMPTY_PATH);
        (void)call(SYS_close, mounted, 0, 0, 0, 0);
    }
    (void)call(SYS_close, self, 0, 0, 0, 0);
}
