/* Planning an execve: find the file, follow scripts, read the headers, work out the credentials. Nothing
 * changes for the task until exec_load.c commits. */
#include "sandbox/keep/task/exec.h"

#include <ctype.h>
#include <errno.h>
#include <linux/capability.h>
#include <linux/kcmp.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "sandbox/keep/container/session.h"
#include "sandbox/keep/fs/fdtable.h"
#include "sandbox/keep/fs/file.h"
#include "sandbox/keep/mm/foreign.h"
#include "sandbox/keep/mm/maps.h"
#include "sandbox/keep/mm/uaccess.h"
#include "sandbox/keep/seccomp/seccomp.h"
#include "sandbox/keep/signal/sigmask.h"
#include "sandbox/keep/syscall.h"
#include "sandbox/keep/task/exec_internal.h"
#include "sandbox/keep/task/task.h"
#include "sandbox/platform/listener.h"

#define SCRIPT_LINE 256
#define SCRIPT_DEPTH 5
#define PAGE_SIZE 4096UL

void exec_plan_free(struct exec_plan *p)
{
    if (!p)
        return;
    if (p->file)
        file_put(p->file);
    if (p->interp_file)
        file_put(p->interp_file);
    if (p->exe)
        dentry_put(p->exe);
    if (p->cred)
        cred_put(p->cred);
    strvec_free(&p->args);
    strvec_free(&p->env);
    free(p);
}

static void plan_free_p(struct exec_plan **p)
{
    exec_plan_free(*p);
}

/* Opens path as something to execute. */
static int open_image(struct task *t, int dfd, const char *path, int flags, struct file **ret,
                      struct dentry **ret_d, struct stat *st)
{
    _cleanup_dentry_ struct dentry *d = NULL;
    unsigned look = flags & AT_SYMLINK_NOFOLLOW ? 0 : LOOKUP_FOLLOW;

    int r = path_lookup(t, dfd, path, look | (flags & AT_EMPTY_PATH ? LOOKUP_EMPTY : 0), &d);
    if (r == 0)
        r = dentry_stat(t, d, st);
    if (r < 0)
        return r;
    if (S_ISLNK(st->st_mode))
        return -ELOOP;
    if (!S_ISREG(st->st_mode))
        return -EACCES;
    r = dentry_access(t, d, X_OK, false);
    if (r == 0)
        r = dentry_open_exec(t, d, ret);
    if (r == 0 && (*ret)->hostfd < 0) {
        file_put(*ret);
        *ret = NULL;
        r = -EACCES; /* one of the keep's own files: nothing to run there */
    }
    if (r == 0 && ret_d)
        *ret_d = steal_ptr(&d);
    return r;
}

static void file_caps(struct exec_file_rights *fr, int fd)
{
    struct vfs_ns_cap_data d = {0};
    ssize_t n = fgetxattr(fd, "security.capability", &d, sizeof(d));

    if (n < (ssize_t)XATTR_CAPS_SZ_2)
        return;
    fr->has_caps = true;
    fr->cap_effective = d.magic_etc & VFS_CAP_FLAGS_EFFECTIVE;
    fr->cap_permitted = (uint64_t)d.data[1].permitted << 32 | d.data[0].permitted;
    fr->cap_inheritable = (uint64_t)d.data[1].inheritable << 32 | d.data[0].inheritable;
}

static int plan_cred(struct task *t, struct exec_plan *p, const struct stat *st)
{
    struct exec_file_rights fr = {.mode = st->st_mode, .uid = st->st_uid, .gid = st->st_gid};
    bool eperm = false;

    file_caps(&fr, p->file->hostfd);
    if ((fr.has_caps || (fr.mode & (S_ISUID | S_ISGID))) && (dentry_mount_flags(p->exe) & MS_NOSUID)) {
        fr.mode &= (mode_t) ~(S_ISUID | S_ISGID);
        fr.has_caps = false;
    }
    p->cred = exec_cred(t, &fr, &p->secure, &eperm);
    if (eperm)
        return -EPERM;
    return p->cred ? 0 : -ENOMEM;
}

static void base_name(char comm[16], const char *path)
{
    const char *s = strrchr(path, '/');

    s = s ? s + 1 : path;
    size_t n = strnlen(s, 15);
    memcpy(comm, s, n);
    comm[n] = 0;
}

/* Splits "#!interp [arg]", in line. False: not a script line. */
static bool parse_script(const struct elf_head *head, char line[SCRIPT_LINE + 1], char **interp, char **arg)
{
    size_t n = head->n < SCRIPT_LINE ? head->n : SCRIPT_LINE;

    if (n < 3 || head->bytes[0] != '#' || head->bytes[1] != '!')
        return false;
    memcpy(line, head->bytes, n);
    line[n] = 0;
    line[strcspn(line, "\n")] = 0;
    char *s = line + 2 + strspn(line + 2, " \t");
    char *end = s + strcspn(s, " \t");
    *interp = s;
    *arg = end + strspn(end, " \t");
    *end = 0;
    for (char *e = *arg + strlen(*arg); e > *arg && (e[-1] == ' ' || e[-1] == '\t');)
        *--e = 0;
    return **interp != 0;
}

/* Follows scripts: path and dfd end as the image to load, args as it is to get them. */
static int follow_scripts(struct task *t, struct exec_plan *p, int dfd, int flags, struct stat *st,
                          struct elf_head *head)
{
    char line[SCRIPT_LINE + 1], path[4096];
    char *interp, *arg;

    memcpy(path, p->filename, sizeof(path));
    for (int depth = 0; depth <= SCRIPT_DEPTH; depth++) {
        int r = open_image(t, dfd, path, flags, &p->file, &p->exe, st);
        if (r < 0)
            return r;
        // NOLINTNEXTLINE(clang-analyzer-core.NullDereference)
        r = elf_read_head(p->file->hostfd, head);
        if (r < 0)
            return r;
        if (!parse_script(head, line, &interp, &arg))
            return head->n == 0 ? -ENOEXEC : 0;
        const char *script = depth == 0 ? p->filename : path;
        const char *args[] = {interp, arg, script};
        const char *args_no_arg[] = {interp, script};
        r = *arg ? strvec_replace_head(&p->args, 1, args, 3)
                 : strvec_replace_head(&p->args, 1, args_no_arg, 2);
        if (r < 0)
            return r;
        file_put(steal_ptr(&p->file));
        dentry_put(steal_ptr(&p->exe));
        snprintf(path, sizeof(path), "%s", interp);
        dfd = AT_FDCWD;
        flags = 0;
    }
    return -ELOOP;
}

static int plan_images(struct task *t, struct exec_plan *p, int dfd, int flags)
{
    struct stat st, ist;
    struct elf_head head;

    int r = follow_scripts(t, p, dfd, flags, &st, &head);
    if (r == 0)
        r = elf_read(p->file->hostfd, &head, &p->image);
    if (r == 0)
        r = plan_cred(t, p, &st);
    if (r < 0 || !p->image.interp[0])
        return r;
    r = open_image(t, AT_FDCWD, p->image.interp, 0, &p->interp_file, NULL, &ist);
    if (r == 0)
        r = elf_read_head(p->interp_file->hostfd, &head);
    if (r == 0)
        r = elf_read(p->interp_file->hostfd, &head, &p->interp);
    if (r == -ENOEXEC)
        r = -ELIBBAD;
    return r;
}

/* args and env are in the plan already; takes it over. */
static int plan(struct task *t, struct exec_plan *pl, int dfd, const char *path, int flags,
                struct exec_plan **ret)
{
    _cleanup_(plan_free_p) struct exec_plan *p = pl;

    if (!*path && !(flags & AT_EMPTY_PATH))
        return -ENOENT;
    if (dfd == AT_FDCWD || path[0] == '/')
        snprintf(p->filename, sizeof(p->filename), "%s", path);
    else
        snprintf(p->filename, sizeof(p->filename), *path ? "/dev/fd/%d/%s" : "/dev/fd/%d%s", dfd, path);
    base_name(p->comm, path);
    if (p->args.n == 0 && strvec_add(&p->args, "", 0) < 0)
        return -ENOMEM;
    if (dfd != AT_FDCWD && path[0] != '/') {
        /* The walk starts at the descriptor; what the program sees is the name above. */
        char name[4096];
        memcpy(name, p->filename, sizeof(name));
        snprintf(p->filename, sizeof(p->filename), "%s", path);
        int r = plan_images(t, p, dfd, flags);
        memcpy(p->filename, name, sizeof(name));
        if (r < 0)
            return r;
    } else {
        int r = plan_images(t, p, dfd, flags);
        if (r < 0)
            return r;
    }
    if (exec_stack_size(p) > t->process->rlim[RLIMIT_STACK].rlim_cur / 4)
        return -E2BIG;
    *ret = steal_ptr(&p);
    return 0;
}

int exec_prepare(struct task *t, int dfd, const char *path, char *const *args, char *const *env, int flags,
                 struct exec_plan **ret)
{
    struct exec_plan *p = calloc(1, sizeof(*p));

    if (!p)
        return -ENOMEM;
    int r = strvec_add_all(&p->args, args);
    if (r == 0)
        r = strvec_add_all(&p->env, env);
    if (r < 0) {
        exec_plan_free(p);
        return r;
    }
    return plan(t, p, dfd, path, flags, ret);
}

#define PATH_AHEAD 256

/* How the path and the lists begin: read at once, where none of them begins where nothing is. */
struct ahead {
    char path[PATH_AHEAD];
    uint64_t args[STRVEC_POINTERS], env[STRVEC_POINTERS];
    bool there;
};

static void read_ahead(struct task *t, const struct sysargs *a, struct ahead *h)
{
    size_t n = PAGE_SIZE - a->arg[1] % PAGE_SIZE;
    const struct user_fetch parts[] = {{h->path, a->arg[1], n < PATH_AHEAD ? n : PATH_AHEAD},
                                       {h->args, a->arg[2], strvec_ahead(a->arg[2])},
                                       {h->env, a->arg[3], strvec_ahead(a->arg[3])}};

    memset(h->path, 0xff, sizeof(h->path));
    h->there = copy_all_from_user(t, parts, ARRAY_SIZE(parts)) == 0;
}

static long path_ahead(struct task *t, char path[4096], uaddr_t at, const struct ahead *h)
{
    if (!h->there || !memchr(h->path, 0, sizeof(h->path)))
        return path_from_user(t, path, at);
    memcpy(path, h->path, sizeof(h->path));
    return 0;
}

/* As the gate asks, by GATE_EXEC's arguments: t->exec is what comes next. 0 or -errno. */
static long plan_asked(struct task *t, const struct sysargs *a)
{
    char path[4096];
    int flags = (int)a->arg[4];
    struct ahead h;
    struct exec_plan *p;

    if (flags & ~(AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW))
        return -EINVAL;
    read_ahead(t, a, &h);
    long r = path_ahead(t, path, a->arg[1], &h);
    if (r < 0)
        return r;
    p = calloc(1, sizeof(*p));
    if (!p)
        return -ENOMEM;
    r = strvec_from_user_ahead(&p->args, t, a->arg[2], h.there ? h.args : NULL);
    if (r == 0)
        r = strvec_from_user_ahead(&p->env, t, a->arg[3], h.there ? h.env : NULL);
    if (r < 0) {
        exec_plan_free(p);
        return r;
    }
    exec_plan_free(steal_ptr(&t->exec));
    p->by_guest = true;
    fdtable_fetch_left(t->fdt); /* the host closes the guest's own */
    return plan(t, p, (int)a->arg[0], path, flags, &t->exec);
}

/* Nobody else changes its descriptors while t is in the keep. */
static bool has_table_alone(const struct task *t)
{
    return __atomic_load_n(&t->process->nthreads, __ATOMIC_RELAXED) == 1 && !fdtable_shared(t->fdt);
}

/* For this program, and for those that follow in the process, if its place is free. */
static int lend_image(struct task *t, const struct sysargs *a)
{
    if (has_table_alone(t) && lane_is_free(t, GATE_IMAGE_FD) &&
        syscall_answer_fd(t, a, kernel.gate_fd, GATE_IMAGE_FD) == 0)
        return 0;
    return syscall_answer_fd(t, a, kernel.gate_fd, -1); /* there, or as its limit of descriptors is low */
}

long gate_exec(struct task *t, const struct sysargs *a)
{
    long r = plan_asked(t, a);

    if (r < 0)
        return r;
    if (kernel.strace) /* which shows the answer before it is given */
        return notif_addfd(a, kernel.gate_fd, -1);
    r = lend_image(t, a);
    return r < 0 ? r : SYS_NOANSWER;
}

long gate_exec_abort(struct task *t, const struct sysargs *a)
{
    (void)a;
    exec_plan_free(steal_ptr(&t->exec));
    sigmask_release(t->process);
    LOCKED(&kernel.tasklist_lock);
    foreign_open(t->process);
    return 0;
}

/* Whether t's host descriptor fd is the gate's image: the host is to execute nothing that a guest has made.
 * It is the keep's own open file (kcmp(2)); procfs, where the host has no kcmp, makes a process's entries
 * first.
 */
static bool is_image(const struct task *t, int fd)
{
    struct stat got;
    char name[48];

    long r = syscall(SYS_kcmp, getpid(), t->host_tid, KCMP_FILE, kernel.gate_fd, fd);
    if (r >= 0)
        return r == 0;
    (void)snprintf(name, sizeof(name), "%d/fd/%d", t->host_tid, fd);
    vfs_assume_self(); /* procfs asks for rights that the guest may not have */
    return fstatat(kernel.procfd, name, &got, 0) == 0 && maps_gate_image(got.st_dev, got.st_ino);
}

/* The plan is made, and what is to be executed is the gate's image. */
static long let_through(struct task *t)
{
    int r = t->exec->secure ? foreign_shut(t->process) : 0;

    if (r < 0)
        return r;
    sigmask_hold(t->process);
    return SYS_CONTINUE;
}

/* GATE_EXEC and the host's call in one, where nobody has a say in the guest's. */
static long exec_here(struct task *t, const struct sysargs *a)
{
    struct sysargs asked = *a;
    struct gate_exec_here e;

    bool judged = !seccomp_always_allows(t, SYS_execve) || !seccomp_always_allows(t, SYS_execveat);
    if (kernel.strace || judged || (uint32_t)a->arg[4] != AT_EMPTY_PATH || !is_image(t, (int)a->arg[0]))
        return GATE_EXEC_LEND;
    if (get_user(t, &e, a->arg[5]) < 0)
        return -EFAULT;
    memcpy(asked.arg, e.arg, sizeof(asked.arg));
    long r = plan_asked(t, &asked);
    if (r < 0)
        return GATE_EXEC_REFUSED + r;
    if (!has_table_alone(t) && !is_image(t, (int)a->arg[0])) { /* any more: that took a while */
        exec_plan_free(steal_ptr(&t->exec));
        return GATE_EXEC_LEND;
    }
    sigmask_told(t, e.mask);
    r = let_through(t);
    sigmask_told_over(t);
    return r;
}

/* The gate's native exec of its own image (or, at the very beginning, the porter's child's, which no guest
 * has had a part in). A path put where the empty one was leads to nothing: guests have an empty root. */
long sys_execveat(struct task *t, const struct sysargs *a)
{
    if (from_gate(a) && (a->arg[4] & GATE_EXEC_HERE))
        return exec_here(t, a);
    if (t->exec && from_gate(a)) {
        if (t->exec->by_guest && (a->arg[4] != AT_EMPTY_PATH || !is_image(t, (int)a->arg[0])))
            return -EPERM;
        return let_through(t);
    }
    if (t->exec)
        return -EPERM;
    /* A container without a program waits for its end. */
    (void)session_wait_for_start(t);
    return -EPERM;
}
