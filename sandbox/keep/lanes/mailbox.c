/* Mailboxes: their memory, and how the calls that came by them find their bytes. */
#include "sandbox/keep/lanes/mailbox.h"

#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#include "sandbox/keep/container/container.h"
#include "sandbox/keep/fs/fdtable.h"
#include "sandbox/keep/lanes/kept.h"
#include "sandbox/keep/seccomp/seccomp.h"
#include "sandbox/keep/syscall.h"
#include "sandbox/keep/task/task.h"

#define SIZE ((size_t)MAILBOX_PAGES * MAILBOX_PAGE)
#define MAILBOXES 64 /* of a keep: processes beyond have none */
/* The number that the guest sees taken for a moment is one that it hardly uses. */
#define LENT_FD 200

static const bool takes[SYSCALL_MAX] = {
#define MAILBOX(call, string, in, in_size, out, out_size) [SYS_##call] = true,
#include "sandbox/gate/mailbox.def"
#undef MAILBOX
};

bool mailbox_takes(int nr)
{
    return nr >= 0 && nr < SYSCALL_MAX && takes[nr];
}

bool mailbox_may_be_used(const struct task *t)
{
    if (!t->seccomp_mode)
        return true;
    for (int nr = 0; nr < SYSCALL_MAX; nr++)
        if (takes[nr] && !seccomp_always_allows(t, nr))
            return false;
    return true;
}

/* Memory ---------------------------------------------------------------------------------------------------
 */

static const struct file_ops lent_ops = {.name = "anon_inode:[mailbox]"};

bool mailbox_is_lent(const struct file *f)
{
    return f->ops == &lent_ops;
}

void mailbox_later_over(struct mailbox *b)
{
    if (atomic_exchange(&b->allowed, false))
        atomic_fetch_sub(&kernel.laters, 1);
}

struct task *mailbox_find(bool (*wanted)(struct mailbox *b, uint64_t round), uint64_t round)
{
    struct container *c;
    struct process *p, *tmp;
    struct task *t;

    DL_FOREACH(kernel.container, c)
    HASH_ITER(hh_pid, c->pids->processes, p, tmp)
    {
        struct mailbox *b = p->mm && p->state == PROCESS_ALIVE ? p->mm->mailbox : NULL;
        if (!b || !wanted(b, round))
            continue;
        DL_FOREACH2(p->threads, t, thread_next)
        if (!t->exited && t->fdt)
            return t;
    }
    return NULL;
}

struct mailbox *mailbox_get(struct mailbox *b)
{
    if (b)
        atomic_fetch_add(&b->refs, 1);
    return b;
}

void mailbox_put(struct mailbox *b)
{
    if (!b || atomic_fetch_sub(&b->refs, 1) != 1)
        return;
    mailbox_later_over(b);
    kept_free(b->kept);
    pthread_mutex_destroy(&b->later_lock);
    (void)munmap(b->page[0], SIZE);
    free(b);
    atomic_fetch_sub(&kernel.mailboxes, 1);
}

/* Neither end can make it shorter under the other. */
static int open_memory(void)
{
    int fd = memfd_create(MAILBOX_NAME, MFD_CLOEXEC | MFD_ALLOW_SEALING);

    if (fd >= 0 && (ftruncate(fd, (off_t)SIZE) < 0 ||
                    fcntl(fd, F_ADD_SEALS, F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW) < 0)) {
        (void)close(fd);
        return -1;
    }
    return fd;
}

static struct mailbox *mailbox_new(int fd)
{
    struct mailbox *b = fd >= 0 ? calloc(1, sizeof(*b)) : NULL;
    char *p = b ? mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0) : MAP_FAILED;

    if (p == MAP_FAILED) {
        free(b);
        return NULL;
    }
    atomic_init(&b->refs, 1);
    for (unsigned i = 0; i < MAILBOX_THREADS; i++)
        b->page[i] = (struct gate_mailbox *)(p + (size_t)i * MAILBOX_PAGE);
    b->later = (struct gate_later *)(p + (size_t)MAILBOX_THREADS * MAILBOX_PAGE);
    pthread_mutex_init(&b->later_lock, NULL);
    atomic_fetch_add(&kernel.mailboxes, 1);
    return b;
}

/* fd is taken over. */
static uint32_t lend(struct task *t, const struct sysargs *a, int hostfd)
{
    struct file *f = file_new(&lent_ops, O_RDWR, FILE_LANE | FILE_NOPOLL, hostfd, NULL);
    bool native;

    if (!f) {
        (void)close(hostfd);
        return 0;
    }
    _cleanup_file_ struct file *held = file_get(f);
    int fd = fd_install(t, f, true, LENT_FD);
    if (fd < 0) {
        file_put(f);
        return 0;
    }
    if (lane_donate(t, a, fd, held) == 0)
        return (uint32_t)fd;
    (void)fd_close(t, a, fd, &native);
    return 0;
}

uint32_t mailbox_lend(struct task *t, const struct sysargs *a)
{
    struct mm *mm = t->process->mm;
    int fd;

    {
        LOCKED(&mm->lanes_lock);
        if (mm->mailbox || atomic_load(&kernel.mailboxes) >= MAILBOXES)
            return 0;
        fd = open_memory();
        mm->mailbox = mailbox_new(fd);
    }
    if (!mm->mailbox) {
        if (fd >= 0)
            (void)close(fd);
        return 0;
    }
    return lend(t, a, fd);
}

static unsigned index_of(const struct task *t)
{
    return (unsigned)((t->slot - (GATE_SHARED + offsetof(struct gate_shared, slots))) /
                      sizeof(struct gate_slot));
}

struct gate_mailbox *mailbox_page_in(const struct mailbox *b, const struct task *t)
{
    unsigned i = index_of(t);

    return b && t->slot && i < MAILBOX_THREADS ? b->page[i] : NULL;
}

struct gate_mailbox *mailbox_page(const struct task *t)
{
    return mailbox_page_in(t->process->mm->mailbox, t);
}

void mailbox_attach(struct task *t)
{
    struct mailbox *b = t->process->mm->mailbox;
    unsigned i = index_of(t);

    if (!b || !t->slot || i >= MAILBOX_THREADS)
        return;
    atomic_store(&b->owner[i], NULL);
    __atomic_store_n(&b->page[i]->served, 0, __ATOMIC_RELAXED);
}

/* Bytes ----------------------------------------------------------------------------------------------------
 */

/* The call that this worker serves, by its mailbox: what the page said at the beginning. */
struct view {
    const struct task *task; /* NULL: none */
    struct gate_mailbox *page;
    struct mailbox_part part[2];
    uaddr_t out_addr;
    uint32_t out_size;
};
static _Thread_local struct view view;

void mailbox_begin(struct task *t, struct gate_mailbox *page)
{
    const volatile struct gate_mailbox *m = page;

    view.task = t;
    view.page = page;
    view.out_addr = m->out_addr;
    view.out_size = 0;
    for (unsigned i = 0; i < 2; i++) {
        struct mailbox_part p = {m->part[i].addr, m->part[i].off, m->part[i].size};
        if (p.off > MAILBOX_IN || p.size > MAILBOX_IN - p.off)
            p.size = 0;
        view.part[i] = p;
    }
}

void mailbox_end(void)
{
    if (!view.task)
        return;
    ((volatile struct gate_mailbox *)view.page)->out_size = view.out_size;
    view.task = NULL;
}

const volatile char *mailbox_source(const struct task *t, uaddr_t src, size_t *n)
{
    if (view.task != t)
        return NULL;
    for (unsigned i = 0; i < 2; i++) {
        const struct mailbox_part *p = &view.part[i];
        if (p->size == 0 || p->addr != src)
            continue;
        if (*n > p->size)
            *n = p->size;
        return view.page->in + p->off;
    }
    return NULL;
}

volatile char *mailbox_target(const struct task *t, uaddr_t dst, size_t n)
{
    if (view.task != t || dst != view.out_addr || n > MAILBOX_OUT || !dst)
        return NULL;
    view.out_size = (uint32_t)n;
    return view.page->out;
}
