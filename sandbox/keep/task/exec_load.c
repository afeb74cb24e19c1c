/* The point of no return: a fresh host process, in which only the gate is, gets the planned image and stack.
 */
#include <errno.h>
#include <string.h>
#include <sys/auxv.h>

#include "sandbox/keep/lanes/fast.h"
#include "sandbox/keep/task/exec_internal.h"
#include "sandbox/keep/fs/file.h"
#include "sandbox/keep/device/random.h"
#include "sandbox/keep/container/session.h"
#include "sandbox/keep/task/task_internal.h"
#include "sandbox/keep/mm/uaccess.h"
#include "sandbox/keep/syscall.h"
#include "sandbox/keep/version.h"
#include "sandbox/platform/listener.h"

#define PAGE 4096UL
#define PAGE_UP(x) (((x) + PAGE - 1) & ~(PAGE - 1))
#define AUXV_ENTRIES 26
#define PIE_BASE 0x555555554000UL /* two thirds of the address space, as Linux has it */
#define LOADER_BASE                                                                                          \
    ((uint64_t)GATE_LOADERS << 32)   /* below every place where the host starts its own search */
#define STATIC_BASE 0x7e4000000000UL /* beside it */
#define MASK_28_PAGES ((1UL << 40) - 1)
#define BRK_RANDOM (32UL << 20)
#define STACK_AT_ONCE (64 * 1024UL) /* the host's fresh stack is larger than this */

#ifndef AT_RSEQ_FEATURE_SIZE
#define AT_RSEQ_FEATURE_SIZE 27
#define AT_RSEQ_ALIGN 28
#endif
#ifndef AT_MINSIGSTKSZ
#define AT_MINSIGSTKSZ 51
#endif

static uint64_t random_pages(uint64_t mask)
{
    uint64_t r;

    random_bytes(&r, sizeof(r));
    return r & mask & ~(PAGE - 1);
}

size_t exec_stack_size(const struct exec_plan *p)
{
    return p->args.len + p->env.len + strlen(p->filename) + 1 +
           (1 + p->args.n + 1 + p->env.n + 1 + 2 * AUXV_ENTRIES) * sizeof(uint64_t) + 256;
}

static void choose_bases(struct exec_plan *p)
{
    if (p->image.dynamic_base && p->image.interp[0])
        p->image.base = PIE_BASE + random_pages(MASK_28_PAGES) - p->image.low;
    else if (p->image.dynamic_base)
        p->image.base = STATIC_BASE + random_pages(MASK_28_PAGES >> 2) - p->image.low;
    if (p->interp_file && p->interp.dynamic_base)
        p->interp.base = LOADER_BASE + random_pages(MASK_28_PAGES >> 2) - p->interp.low;
}

/* The stack block being put together: strings from the top, the table of words below them. */
struct stack {
    unsigned char *buf;
    size_t size;
    uaddr_t top;    /* guest address behind buf[size - 1] */
    size_t strings; /* offset of the lowest string so far */
    uint64_t *words;
    unsigned n;
};

static uaddr_t push(struct stack *s, const void *data, size_t len)
{
    s->strings -= len;
    if (len) /* no environment at all has no data either */
        memcpy(s->buf + s->strings, data, len);
    return s->top - s->size + s->strings;
}

static void push_list(struct stack *s, const struct strvec *v, uaddr_t at)
{
    size_t off = 0;

    for (unsigned i = 0; i < v->n; i++) {
        s->words[s->n++] = at + off;
        off += strlen(v->data + off) + 1;
    }
    s->words[s->n++] = 0;
}

static void aux(struct stack *s, uint64_t type, uint64_t value)
{
    s->words[s->n++] = type;
    s->words[s->n++] = value;
}

struct stack_strings {
    uaddr_t execfn, env, args, platform, random;
};

static void push_auxv(struct stack *s, const struct exec_plan *p, const struct stack_strings *str,
                      uaddr_t vdso)
{
    const struct elf_image *m = &p->image;

    if (vdso)
        aux(s, AT_SYSINFO_EHDR, vdso);
    aux(s, AT_MINSIGSTKSZ, getauxval(AT_MINSIGSTKSZ) ? getauxval(AT_MINSIGSTKSZ) : 2048);
    aux(s, AT_HWCAP, getauxval(AT_HWCAP));
    aux(s, AT_PAGESZ, PAGE);
    aux(s, AT_CLKTCK, 100);
    aux(s, AT_PHDR, m->phdr ? m->base + m->phdr : 0);
    aux(s, AT_PHENT, m->phent);
    aux(s, AT_PHNUM, m->phnum);
    aux(s, AT_BASE, p->interp_file ? p->interp.base + p->interp.low : 0);
    aux(s, AT_FLAGS, 0);
    aux(s, AT_ENTRY, m->base + m->entry);
    aux(s, AT_UID, p->cred->uid);
    aux(s, AT_EUID, p->cred->euid);
    aux(s, AT_GID, p->cred->gid);
    aux(s, AT_EGID, p->cred->egid);
    aux(s, AT_SECURE, p->secure);
    aux(s, AT_RANDOM, str->random);
    aux(s, AT_HWCAP2, getauxval(AT_HWCAP2));
    aux(s, AT_EXECFN, str->execfn);
    aux(s, AT_PLATFORM, str->platform);
    if (getauxval(AT_RSEQ_FEATURE_SIZE)) {
        aux(s, AT_RSEQ_FEATURE_SIZE, getauxval(AT_RSEQ_FEATURE_SIZE));
        aux(s, AT_RSEQ_ALIGN, getauxval(AT_RSEQ_ALIGN));
    }
    aux(s, AT_NULL, 0);
}

static void note_mm(struct mm *mm, const struct exec_plan *p, const struct stack *s,
                    const struct stack_strings *str, unsigned auxv_at)
{
    mm->arg_start = str->args;
    mm->arg_end = str->args + p->args.len;
    mm->env_start = str->env;
    mm->env_end = str->env + p->env.len;
    mm->start_code = p->image.base + p->image.code_start;
    mm->end_code = p->image.base + p->image.code_end;
    mm->auxv_len = (s->n - auxv_at) * sizeof(uint64_t);
    if (mm->auxv_len > sizeof(mm->auxv))
        mm->auxv_len = sizeof(mm->auxv);
    memcpy(mm->auxv, &s->words[auxv_at], mm->auxv_len);
}

/* The new stack, to be written from sp to the top. */
struct built {
    unsigned char *buf; /* malloc'ed */
    uaddr_t sp;
    const void *from;
    size_t n;
};

static void built_done(struct built *b)
{
    free(b->buf);
}

/* Builds the whole stack block so that it ends at top. 0 or -ENOMEM. */
static int build_stack(const struct exec_plan *p, uaddr_t top, uaddr_t vdso, struct mm *mm, struct built *b)
{
    struct stack s = {.size = (exec_stack_size(p) + 63) & ~63UL, .top = top & ~63UL};
    _cleanup_free_ uint64_t *words = calloc(4 + p->args.n + p->env.n + 2 * AUXV_ENTRIES, sizeof(*words));
    unsigned char random[16];
    struct stack_strings str;

    b->buf = calloc(1, s.size);
    if (!b->buf || !words)
        return -ENOMEM;
    random_bytes(random, sizeof(random));
    s.buf = b->buf;
    s.words = words;
    s.strings = s.size - 8;
    str.execfn = push(&s, p->filename, strlen(p->filename) + 1);
    str.env = push(&s, p->env.data, p->env.len);
    str.args = push(&s, p->args.data, p->args.len);
    str.platform = push(&s, KEEP_MACHINE, sizeof(KEEP_MACHINE));
    str.random = push(&s, random, sizeof(random));
    s.words[s.n++] = p->args.n;
    push_list(&s, &p->args, str.args);
    push_list(&s, &p->env, str.env);
    unsigned auxv_at = s.n;
    push_auxv(&s, p, &str, vdso);

    b->sp = (s.top - s.size + s.strings - s.n * sizeof(uint64_t)) & ~15UL;
    size_t off = b->sp - (s.top - s.size);
    memcpy(s.buf + off, s.words, s.n * sizeof(uint64_t));
    b->from = s.buf + off;
    b->n = s.size - off;
    note_mm(mm, p, &s, &str, auxv_at);
    mm->start_stack = b->sp;
    return 0;
}

/* The gate's only argument is room for what the host shows of the process (/proc/PID/cmdline): there goes the
 * program's command, as far as it fits. */
static void make_title(char title[GATE_TITLE], const struct exec_plan *p)
{
    memset(title, 0, GATE_TITLE);
    memcpy(title, p->args.data, p->args.len < GATE_TITLE ? p->args.len : GATE_TITLE - 1);
}

static int map_image(struct gate_exec *ge, const struct elf_image *img, int fd)
{
    int r = elf_map_ops(img, fd, ge);

    if (r == 0 && ge->nops < GATE_EXEC_OPS)
        ge->ops[ge->nops++] = (struct gate_op){.kind = GATE_OP_CLOSE, .fd = fd};
    return r;
}

/* In a process that has just executed the gate no descriptor is open. */
enum { IMAGE_AT, INTERP_AT };

/* What the program would ask for first. A limit that is changed from here on says so. */
static void give(struct process *p, struct gate_given *g)
{
    _Static_assert(sizeof(g->limit) == sizeof(p->rlim), "struct rlimit, by resource");
    LOCKED(&kernel.tasklist_lock);

    p->limits_changed = false;
    memcpy(g->limit, p->rlim, sizeof(p->rlim));
    random_bytes(g->random, sizeof(g->random));
    g->random_left = sizeof(g->random);
}

/* What a fresh process gets. */
struct loaded {
    struct gate_exec ge;
    char title[GATE_TITLE];
    struct built b;
};

static void loaded_done(struct loaded *l)
{
    built_done(&l->b);
}

/* Everything but the image's descriptor: with that the call is answered. */
static int load(struct task *t, struct exec_plan *p, const struct sysargs *a, struct mm *mm, struct loaded *l)
{
    struct gate_exec *ge = &l->ge;

    choose_bases(p);
    ge->brk = PAGE_UP(p->image.base + p->image.high) + random_pages(BRK_RANDOM - 1);
    if (p->image.dynamic_base && !p->image.interp[0])
        ge->brk = PIE_BASE + random_pages(MASK_28_PAGES);
    int r = map_image(ge, &p->image, IMAGE_AT);
    if (r == 0 && p->interp_file)
        r = map_image(ge, &p->interp, INTERP_AT);
    if (r == 0 && p->interp_file)
        r = notif_addfd(a, p->interp_file->hostfd, INTERP_AT);
    if (r >= 0)
        r = build_stack(p, a->arg[1], a->arg[2], mm, &l->b);
    if (r < 0)
        return r;
    ge->entry = p->interp_file ? p->interp.base + p->interp.entry : p->image.base + p->image.entry;
    ge->sp = l->b.sp;
    give(t->process, &ge->given);
    mm->given_at = a->arg[0] + offsetof(struct gate_exec, given);
    mm->start_brk = ge->brk;
    mm->vdso = a->arg[2];
    make_title(l->title, p);
    return 0;
}

/* Written at once: that, and what the slot says of t, which has the new program by now. */
static int tell(struct task *t, const struct sysargs *a, const struct loaded *l)
{
    const size_t n = offsetof(struct gate_exec, ops) + l->ge.nops * sizeof(struct gate_op);
    const struct user_copy copies[] = {
        {l->b.sp, l->b.from, l->b.n}, {a->arg[0], &l->ge, n}, {a->arg[4], l->title, sizeof(l->title)}};

    return fast_attach_with(t, a->arg[3], copies, ARRAY_SIZE(copies));
}

/* [T] The thread of p's beside t that has a plan. No reference is taken. */
static struct task *planning_in(const struct process *p, const struct task *t)
{
    struct task *x;

    DL_FOREACH2(p->threads, x, thread_next)
    if (__atomic_load_n(&x->exec, __ATOMIC_RELAXED) && x != t)
        return x;
    return NULL;
}

/* A reference to the thread beside t that has a plan. */
static struct task *planning_task(const struct task *t)
{
    LOCKED(&kernel.tasklist_lock);
    struct task *x = planning_in(t->process, t);
    return x ? task_get(x) : NULL;
}

static long commit(struct task *caller, struct task *t, const struct sysargs *a)
{
    struct exec_plan *p = t->exec;
    struct mm *mm = mm_new();

    if (!mm)
        return -ENOMEM;
    _cleanup_(loaded_done) struct loaded l = {0};
    int r = load(caller, p, a, mm, &l);
    if (r < 0) {
        mm_put(mm);
        return r;
    }
    mm->exe = dentry_get(p->exe);
    struct exec_commit ec = {.mm = mm, .comm = p->comm, .cred = steal_ptr(&p->cred), .secure = p->secure};
    task_exec_commit(t, &ec);
    t->exec = NULL;
    r = tell(t, a, &l);
    {
        LOCKED(&kernel.tasklist_lock);
        session_running(t->process);
    }
    if (r == 0)
        r = kernel.strace ? notif_addfd(a, p->file->hostfd, IMAGE_AT)
                          : syscall_answer_fd(t, a, p->file->hostfd, IMAGE_AT);
    exec_plan_free(p);
    return r < 0 || kernel.strace ? r : SYS_NOANSWER;
}

static long done(struct task *caller, struct task *t, const struct sysargs *a)
{
    size_t need = exec_stack_size(t->exec);

    if (need > STACK_AT_ONCE && !t->exec->grown) {
        t->exec->grown = true;
        return (long)(need + STACK_AT_ONCE);
    }
    long r = session_wait_for_start(t);
    return r == 0 ? commit(caller, t, a) : r;
}

/* After an exec by a thread that did not lead its group the host thread is the old leader's. The other one's
 * plan is this worker's only while nobody else serves it, whoever kills it meanwhile, and whatever a guest
 * calls that has executed nothing. */
static long done_for_another(struct task *caller, const struct sysargs *a)
{
    struct task *t = planning_task(caller);
    long r = -EPERM;

    if (!t)
        return r;
    if (task_claim(t)) {
        if (t->exec)
            r = done(caller, t, a);
        if (task_let_go(t))
            task_exit(t, t->exit_status);
    }
    task_put(t);
    return r;
}

long gate_exec_done(struct task *caller, const struct sysargs *a)
{
    return caller->exec ? done(caller, caller, a) : done_for_another(caller, a);
}

/* [T] That goes by this number on the host, and whose first thread has ended: it makes no calls. */
static struct process *leaderless_process(pid_t host_pid)
{
    struct container *c;
    struct process *p;

    DL_FOREACH(kernel.container, c)
    {
        for (p = c->pids->processes; p; p = p->hh_pid.next)
            if (p->host_pid == host_pid && p->state == PROCESS_ALIVE && p->leader->exited && !p->group_exit)
                return p;
    }
    return NULL;
}

struct task *exec_heard(pid_t host_tid)
{
    LOCKED(&kernel.tasklist_lock);
    const struct process *p = leaderless_process(host_tid);
    struct task *x = p ? planning_in(p, NULL) : NULL;

    if (!x || x->exited)
        return NULL;
    task_host_moved(x, host_tid);
    return task_get(x);
}
