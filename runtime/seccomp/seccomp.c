#include "runtime/seccomp/seccomp.h"

#include <errno.h>
#include <linux/audit.h>
#include <linux/seccomp.h>
#include <seccomp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "common/log.h"
#include "oci/config.h"
#include "sandbox/keep/seccomp/bpf.h"
#include "sandbox/keep/container/container.h"
#include "sandbox/keep/syscall.h"

#define STUB_INSNS 3

static void ctx_release(scmp_filter_ctx *c)
{
    if (*c)
        seccomp_release(*c);
}

static uint32_t action_of(enum oci_seccomp_action a, unsigned errno_ret)
{
    switch (a) {
    case OCI_ACT_KILL_THREAD:
        return SCMP_ACT_KILL_THREAD;
    case OCI_ACT_KILL_PROCESS:
        return SCMP_ACT_KILL_PROCESS;
    case OCI_ACT_TRAP:
        return SCMP_ACT_TRAP;
    case OCI_ACT_ERRNO:
        return SCMP_ACT_ERRNO(errno_ret);
    case OCI_ACT_TRACE:
        return SCMP_ACT_TRACE(errno_ret);
    case OCI_ACT_ALLOW:
        return SCMP_ACT_ALLOW;
    case OCI_ACT_LOG:
        return SCMP_ACT_LOG;
    case OCI_ACT_NOTIFY:
        return SCMP_ACT_NOTIFY;
    }
    return SCMP_ACT_KILL_PROCESS;
}

static struct scmp_arg_cmp compare(const struct oci_seccomp_arg *a)
{
    static const enum scmp_compare ops[] = {
        [OCI_OP_NE] = SCMP_CMP_NE,
        [OCI_OP_LT] = SCMP_CMP_LT,
        [OCI_OP_LE] = SCMP_CMP_LE,
        [OCI_OP_EQ] = SCMP_CMP_EQ,
        [OCI_OP_GE] = SCMP_CMP_GE,
        [OCI_OP_GT] = SCMP_CMP_GT,
        [OCI_OP_MASKED_EQ] = SCMP_CMP_MASKED_EQ,
    };

    return (struct scmp_arg_cmp){
        .arg = a->index, .op = ops[a->op], .datum_a = a->value, .datum_b = a->value_two};
}

static int add(scmp_filter_ctx c, uint32_t action, int nr, unsigned n, const struct scmp_arg_cmp *args)
{
    int r = seccomp_rule_add_array(c, action, nr, n, args);

    return r == -EEXIST ? 0 : r;
}

/* Several conditions on one argument can not be met together by what libseccomp makes of them: peers take
 * such a list for alternatives. */
static bool twice_the_same(const struct oci_seccomp_rule *rule)
{
    unsigned seen = 0;

    for (size_t i = 0; i < rule->nargs; i++) {
        if (seen & 1u << rule->args[i].index)
            return true;
        seen |= 1u << rule->args[i].index;
    }
    return false;
}

static int add_rule(scmp_filter_ctx c, const struct oci_seccomp_rule *rule, uint32_t action, int nr)
{
    struct scmp_arg_cmp args[6];

    if (!twice_the_same(rule)) {
        for (size_t i = 0; i < rule->nargs; i++)
            args[i] = compare(&rule->args[i]);
        return add(c, action, nr, (unsigned)rule->nargs, args);
    }
    for (size_t i = 0; i < rule->nargs; i++) {
        args[0] = compare(&rule->args[i]);
        int r = add(c, action, nr, 1, args);
        if (r)
            return r;
    }
    return 0;
}

static int add_rules(scmp_filter_ctx c, const struct oci_seccomp *s, int *newest, struct err *e)
{
    uint32_t fallback = action_of(s->default_action, s->default_errno);

    for (size_t i = 0; i < s->nrules; i++) {
        const struct oci_seccomp_rule *rule = &s->rules[i];
        uint32_t action = action_of(rule->action, rule->errno_ret);
        for (char **name = rule->names; *name; name++) {
            int nr = seccomp_syscall_resolve_name(*name);
            if (nr == __NR_SCMP_ERROR)
                log_debug("linux.seccomp: no such system call: %.60s", *name);
            if (nr < 0) /* unknown, or another architecture's */
                continue;
            *newest = nr > *newest ? nr : *newest;
            int r = action == fallback ? 0 : add_rule(c, rule, action, nr);
            if (r)
                return err_set(e, ERR_CONFIG, -r, "config.json: linux.seccomp.syscalls[%zu]: %.60s", i,
                               *name);
        }
    }
    return 0;
}

/* libseccomp writes programs to descriptors only. */
static int take_program(scmp_filter_ctx c, struct seccomp_profile *p)
{
    _cleanup_close_ int fd = memfd_create("seccomp", MFD_CLOEXEC);
    int r = fd < 0 ? -errno : seccomp_export_bpf(c, fd);
    off_t size = r ? 0 : lseek(fd, 0, SEEK_END);

    if (r || size <= 0)
        return r ? r : -EIO;
    p->n = (unsigned)((size_t)size / sizeof(struct sock_filter));
    p->insns = calloc(p->n + STUB_INSNS, sizeof(*p->insns));
    if (!p->insns)
        return -ENOMEM;
    return pread(fd, p->insns + STUB_INSNS, (size_t)size, 0) == size ? 0 : -EIO;
}

/* A program that asks for a call that its profile's author could not know of is to take it for one that the
 * kernel does not have: C libraries then use an older one. */
static void prepend_enosys(const struct oci_seccomp *s, int newest, struct seccomp_profile *p)
{
    const struct sock_filter stub[STUB_INSNS] = {
        {BPF_LD | BPF_W | BPF_ABS, 0, 0, offsetof(struct seccomp_data, nr)},
        {BPF_JMP | BPF_JGT | BPF_K, 0, 1, (uint32_t)newest},
        {BPF_RET | BPF_K, 0, 0, SECCOMP_RET_ERRNO | ENOSYS},
    };
    bool denies = s->default_action != OCI_ACT_ALLOW && s->default_action != OCI_ACT_LOG &&
                  s->default_action != OCI_ACT_TRACE;

    if (denies && newest >= 0) {
        memcpy(p->insns, stub, sizeof(stub));
        p->n += STUB_INSNS;
    } else {
        memmove(p->insns, p->insns + STUB_INSNS, p->n * sizeof(*p->insns));
    }
}

static const struct {
    const char *name;
    int nr;
} native[] = {
#define GUEST(call, condition, reason) {#call, SYS_##call},
#define LANE(call, condition, reason) {#call, SYS_##call},
#define LANE_FOR(call, native) {#call, SYS_##call},
#include "seccomp-profiles/gate.def"
};

static void find_judged(struct seccomp_profile *p)
{
    for (int nr = 0; nr < CALL_SET_MAX; nr++)
        if (!bpf_always_allows(p->insns, p->n, nr))
            call_set_add(&p->judged, nr);
    for (size_t i = 0; i < ARRAY_SIZE(native); i++)
        if (call_set_has(&p->judged, native[i].nr))
            log_debug("linux.seccomp: %s is not native, as the profile has a say in it", native[i].name);
}

static int check_notify(const struct oci_seccomp *s, struct seccomp_profile *p, struct err *e)
{
    for (size_t i = 0; i < s->nrules; i++)
        p->notify |= s->rules[i].action == OCI_ACT_NOTIFY;
    if (s->default_action == OCI_ACT_NOTIFY)
        return err_set(e, ERR_CONFIG, 0,
                       "config.json: linux.seccomp.defaultAction: can not be SCMP_ACT_NOTIFY");
    if (p->notify && !s->listener_path)
        return err_set(e, ERR_CONFIG, 0,
                       "config.json: linux.seccomp.listenerPath: is needed for SCMP_ACT_NOTIFY");
    return 0;
}

static void take_flags(const struct oci_seccomp *s, struct seccomp_profile *p)
{
    for (char **f = s->flags; f && *f; f++) {
        p->log |= strcmp(*f, "SECCOMP_FILTER_FLAG_LOG") == 0;
        p->killable |= strcmp(*f, "SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV") == 0;
    }
}

int seccomp_compile(const struct oci_seccomp *s, struct seccomp_profile *ret, struct err *e)
{
    int newest = -1;

    *ret = (struct seccomp_profile){0};
    if (!s)
        return 0;
    if (check_notify(s, ret, e))
        return -1;
    take_flags(s, ret);
    _cleanup_(ctx_release) scmp_filter_ctx c = seccomp_init(action_of(s->default_action, s->default_errno));
    if (!c)
        return err_set(e, ERR_SYS, ENOMEM, "libseccomp");
    if (add_rules(c, s, &newest, e))
        return -1;
    int r = take_program(c, ret);
    if (r == 0)
        prepend_enosys(s, newest, ret);
    if (r < 0 || !bpf_valid(ret->insns, ret->n)) {
        seccomp_profile_free(ret);
        return err_set(e, ERR_CONFIG, r < 0 ? -r : E2BIG,
                       "config.json: linux.seccomp: no program can be made of it");
    }
    find_judged(ret);
    return 0;
}

void seccomp_profile_free(struct seccomp_profile *p)
{
    free(p->insns);
    p->insns = NULL;
    p->n = 0;
}

void seccomp_for_process(const struct seccomp_profile *p, struct keep_process *kp)
{
    if (!p)
        return;
    kp->filter = p->insns;
    kp->nfilter = p->n;
    kp->filter_log = p->log;
    kp->filter_killable = p->killable;
}
