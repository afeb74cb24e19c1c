/* Version 2 has no files for rules on devices: a program, asked for each use of a device, decides. */
#include <errno.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <string.h>
#include <sys/syscall.h>

#include "common/cleanup.h"
#include "common/log.h"
#include "oci/config.h"
#include "runtime/cgroup/cgroup_internal.h"

/* By it ours is told from others on the same cgroup (systemd attaches one, too): all must allow. */
static const char program_name[] = "bailey_devices";

enum { RULES_MAX = 4000, INSNS_PER_RULE = 7, INSNS_ENDS = 8, OLD_MAX = 64 };

/* Registers: 2 the device's type, 3 what is asked for and not allowed yet, 4 major, 5 minor. */
#define INSN(code_, dst, src, off_, imm_)                                                                    \
    ((struct bpf_insn){.code = (code_), .dst_reg = (dst), .src_reg = (src), .off = (off_), .imm = (imm_)})
#define LOAD(dst, offset) INSN(BPF_LDX | BPF_MEM | BPF_W, dst, BPF_REG_1, offset, 0)
#define MOVE(dst, src) INSN(BPF_ALU64 | BPF_MOV | BPF_X, dst, src, 0, 0)
#define SET(dst, n) INSN(BPF_ALU64 | BPF_MOV | BPF_K, dst, 0, 0, n)
#define AND(dst, n) INSN(BPF_ALU64 | BPF_AND | BPF_K, dst, 0, 0, n)
#define SHIFT(dst, n) INSN(BPF_ALU64 | BPF_RSH | BPF_K, dst, 0, 0, n)
#define SKIP_UNLESS(dst, n, skip) INSN(BPF_JMP | BPF_JNE | BPF_K, dst, 0, skip, n)
#define SKIP_IF(dst, n, skip) INSN(BPF_JMP | BPF_JEQ | BPF_K, dst, 0, skip, n)
#define EXIT INSN(BPF_JMP | BPF_EXIT, 0, 0, 0, 0)

static int access_of(const struct oci_device_rule *d)
{
    return (d->mknod ? BPF_DEVCG_ACC_MKNOD : 0) | (d->read ? BPF_DEVCG_ACC_READ : 0) |
           (d->write ? BPF_DEVCG_ACC_WRITE : 0);
}

/* Linux has majors of 12 bits and minors of 20; a rule on others is about no device. */
static bool is_about_any(const struct oci_device_rule *d)
{
    return access_of(d) && (d->type == 'a' || ((!d->major.set || d->major.v < 1 << 12) &&
                                               (!d->minor.set || d->minor.v < 1 << 20)));
}

/* What the rule does to a device that it is about: 3 or 4 instructions. */
static size_t emit_verdict(const struct oci_device_rule *d, struct bpf_insn *p)
{
    if (d->allow) {
        p[0] = AND(BPF_REG_3, ~access_of(d));
        p[1] = SKIP_UNLESS(BPF_REG_3, 0, 2);
        p[2] = SET(BPF_REG_0, 1);
        p[3] = EXIT;
        return 4;
    }
    p[0] = MOVE(BPF_REG_0, BPF_REG_3);
    p[1] = AND(BPF_REG_0, access_of(d));
    p[2] = SKIP_IF(BPF_REG_0, 0, 2);
    p[3] = SET(BPF_REG_0, 0);
    p[4] = EXIT;
    return 5;
}

static size_t emit_rule(const struct oci_device_rule *d, struct bpf_insn *p)
{
    struct bpf_insn verdict[5];
    size_t body = emit_verdict(d, verdict), tests = 0, n = 0;

    if (d->type != 'a')
        tests = 1 + d->major.set + d->minor.set;
    if (tests > 0)
        p[n++] = SKIP_UNLESS(BPF_REG_2, d->type == 'b' ? BPF_DEVCG_DEV_BLOCK : BPF_DEVCG_DEV_CHAR,
                             (short)(tests - 1 + body));
    if (tests > 0 && d->major.set)
        p[n++] = SKIP_UNLESS(BPF_REG_4, (int)d->major.v, (short)(d->minor.set + body));
    if (tests > 0 && d->minor.set)
        p[n++] = SKIP_UNLESS(BPF_REG_5, (int)d->minor.v, (short)body);
    memcpy(p + n, verdict, body * sizeof(*p));
    return n + body;
}

/* The last rule about a device is what counts (each changes what was before), so they are asked from the
 * end. What no rule speaks of is allowed, as version 1 does it. */
size_t cgroup_device_program(const struct oci_device_rule *rules, size_t n, struct bpf_insn **ret)
{
    size_t len = 0;

    if (n > RULES_MAX || !(*ret = calloc(n * (INSNS_PER_RULE + 1) + INSNS_ENDS, sizeof(**ret))))
        return 0;
    struct bpf_insn *p = *ret;
    p[len++] = LOAD(BPF_REG_2, offsetof(struct bpf_cgroup_dev_ctx, access_type));
    p[len++] = MOVE(BPF_REG_3, BPF_REG_2);
    p[len++] = SHIFT(BPF_REG_3, 16);
    p[len++] = AND(BPF_REG_2, 0xffff);
    p[len++] = LOAD(BPF_REG_4, offsetof(struct bpf_cgroup_dev_ctx, major));
    p[len++] = LOAD(BPF_REG_5, offsetof(struct bpf_cgroup_dev_ctx, minor));
    for (size_t i = n; i-- > 0;)
        if (is_about_any(&rules[i]))
            len += emit_rule(&rules[i], p + len);
    p[len++] = SET(BPF_REG_0, 1);
    p[len++] = EXIT;
    return len;
}

static int bpf(int cmd, union bpf_attr *attr)
{
    return (int)syscall(SYS_bpf, cmd, attr, sizeof(*attr));
}

static int load(const struct bpf_insn *insns, size_t n)
{
    static const char license[] = "Apache-2.0";
    union bpf_attr attr;

    memset(&attr, 0, sizeof(attr));
    attr.prog_type = BPF_PROG_TYPE_CGROUP_DEVICE;
    attr.insns = (uintptr_t)insns;
    attr.insn_cnt = (uint32_t)n;
    attr.license = (uintptr_t)license;
    memcpy(attr.prog_name, program_name, sizeof(program_name));
    return bpf(BPF_PROG_LOAD, &attr);
}

static bool is_ours(int prog)
{
    struct bpf_prog_info info = {.type = 0};
    union bpf_attr attr;

    memset(&attr, 0, sizeof(attr));
    attr.info.bpf_fd = (uint32_t)prog;
    attr.info.info_len = sizeof(info);
    attr.info.info = (uintptr_t)&info;
    return bpf(BPF_OBJ_GET_INFO_BY_FD, &attr) == 0 && strcmp(info.name, program_name) == 0;
}

/* The one that an earlier call attached, or -1. */
static int find_old(int cgroup)
{
    uint32_t ids[OLD_MAX];
    union bpf_attr attr;

    memset(&attr, 0, sizeof(attr));
    attr.query.target_fd = (uint32_t)cgroup;
    attr.query.attach_type = BPF_CGROUP_DEVICE;
    attr.query.prog_cnt = OLD_MAX;
    attr.query.prog_ids = (uintptr_t)ids;
    if (bpf(BPF_PROG_QUERY, &attr))
        return -1;
    for (uint32_t i = 0; i < attr.query.prog_cnt; i++) {
        union bpf_attr by_id;
        memset(&by_id, 0, sizeof(by_id));
        by_id.prog_id = ids[i];
        int fd = bpf(BPF_PROG_GET_FD_BY_ID, &by_id);
        if (fd >= 0 && is_ours(fd))
            return fd;
        cleanup_close_p(&fd);
    }
    return -1;
}

/* In place of the old one at once: at no time is there none. */
static int attach(int cgroup, int prog, int old)
{
    union bpf_attr attr;

    memset(&attr, 0, sizeof(attr));
    attr.target_fd = (uint32_t)cgroup;
    attr.attach_bpf_fd = (uint32_t)prog;
    attr.attach_type = BPF_CGROUP_DEVICE;
    attr.attach_flags = BPF_F_ALLOW_MULTI | (old >= 0 ? BPF_F_REPLACE : 0);
    attr.replace_bpf_fd = old >= 0 ? (uint32_t)old : 0;
    return bpf(BPF_PROG_ATTACH, &attr);
}

int cgroup_set_devices(const struct cgroup_tree *t, const char *path, const struct oci_resources *res,
                       struct err *e)
{
    _cleanup_free_ struct bpf_insn *insns = NULL;
    char dir[PATH_MAX];

    size_t n = cgroup_device_program(res->devices, res->ndevices, &insns);
    if (n == 0)
        return err_set(e, ERR_CONFIG, 0, "linux.resources.devices: more than %d rules", RULES_MAX);
    _cleanup_close_ int cgroup =
        cgroup_file(t, path, "", dir) ? open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
    if (cgroup < 0)
        return err_set(e, ERR_SYS, errno, "linux.resources.devices: cgroup %s%s", t->mount, path);
    _cleanup_close_ int prog = load(insns, n);
    if (prog < 0 && (errno == EPERM || errno == ENOSYS)) {
        /* Nothing is lost: guests have no way to a device of the host that the keep does not open for them.
         */
        log_warning("linux.resources.devices: this kernel takes no program for them (%s)", strerror(errno));
        return 0;
    }
    _cleanup_close_ int old = prog < 0 ? -1 : find_old(cgroup);
    if (prog < 0 || attach(cgroup, prog, old))
        return err_set(e, errno == EPERM || errno == EACCES ? ERR_PERM : ERR_SYS, errno,
                       "linux.resources.devices: a program for cgroup %s%s", t->mount, path);
    return 0;
}
