/* Build-time: compiles seccomp-profiles/NAME.profile with libseccomp into a C array of classic BPF, so that
 * nothing of it is left to do when a container starts.
 *
 * A line is "CALL [ARG & MASK == VALUE ...] # reason", "CALL -> errno N" or empty; CALL may be "name=number"
 * for calls that this libseccomp does not know yet. Everything else kills the process. */
#include <errno.h>
#include <linux/filter.h>
#include <seccomp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static _Noreturn void fail(const char *file, int line, const char *what)
{
    fprintf(stderr, "%s:%d: %s\n", file, line, what);
    exit(1);
}

static int number(char *name)
{
    char *eq = strchr(name, '=');

    if (!eq)
        return seccomp_syscall_resolve_name(name);
    *eq = 0;
    return atoi(eq + 1);
}

/* "arg0 & 0x1 == 0x1 arg2 & ..." */
static int parse_args(char *s, struct scmp_arg_cmp cmp[6])
{
    unsigned arg, n = 0;
    unsigned long long mask, value;
    int used;

    while (s &&
           sscanf(s, " arg%u & %lli == %lli%n", &arg, (long long *)&mask, (long long *)&value, &used) == 3) {
        if (arg > 5 || n == 6)
            return -1;
        cmp[n++] = SCMP_CMP64(arg, SCMP_CMP_MASKED_EQ, mask, value);
        s += used;
    }
    return s && strspn(s, " \t") != strlen(s) ? -1 : (int)n;
}

static void add_rule(scmp_filter_ctx ctx, char *text, const char *file, int line)
{
    struct scmp_arg_cmp cmp[6];
    uint32_t action = SCMP_ACT_ALLOW;
    char *name = strtok(text, " \t");
    char *rest = strtok(NULL, "");
    unsigned err;
    int n = 0;

    int nr = number(name);
    if (nr < 0)
        fail(file, line, "no such system call");
    if (rest && sscanf(rest, " -> errno %u", &err) == 1)
        action = SCMP_ACT_ERRNO(err);
    else
        n = parse_args(rest, cmp);
    if (n < 0)
        fail(file, line, "cannot read the condition");
    if (seccomp_rule_add_array(ctx, action, nr, (unsigned)n, cmp) < 0)
        fail(file, line, "libseccomp refuses the rule");
}

static void print_array(scmp_filter_ctx ctx, const char *name)
{
    int fd = memfd_create("bpf", 0);
    struct sock_filter f;
    unsigned n = 0;

    if (fd < 0 || seccomp_export_bpf(ctx, fd) < 0 || lseek(fd, 0, SEEK_SET) < 0)
        fail(name, 0, "cannot export the filter");
    printf("/* Made by tools/mkfilter from seccomp-profiles/%s.profile. */\n", name);
    printf("static const struct sock_filter %s_filter[] = {\n", name);
    for (; read(fd, &f, sizeof(f)) == sizeof(f); n++)
        printf("    {0x%02x, %u, %u, 0x%08x},\n", f.code, f.jt, f.jf, f.k);
    printf("};\n");
    close(fd);
}

int main(int argc, char **argv)
{
    char line[512];

    if (argc != 3)
        fail("usage: mkfilter NAME PROFILE", 0, "");
    FILE *in = fopen(argv[2], "re");
    scmp_filter_ctx ctx = seccomp_init(SCMP_ACT_KILL_PROCESS);
    if (!in || !ctx)
        fail(argv[2], 0, strerror(errno));
    (void)seccomp_attr_set(ctx, SCMP_FLTATR_CTL_OPTIMIZE, 2);
    for (int n = 1; fgets(line, sizeof(line), in); n++) {
        line[strcspn(line, "#\n")] = 0;
        if (strspn(line, " \t") != strlen(line))
            add_rule(ctx, line, argv[2], n);
    }
    fclose(in);
    print_array(ctx, argv[1]);
    seccomp_release(ctx);
    return 0;
}
