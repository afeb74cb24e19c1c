/* The files of /proc/PID that show what is in its memory. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>

#include "sandbox/gate/abi.h"
#include "sandbox/keep/lanes/fast.h"
#include "sandbox/keep/mm/foreign.h"
#include "sandbox/keep/pseudo/procfs_priv.h"
#include "sandbox/keep/trace/trace.h"

static void task_put_p(struct task **t)
{
    if (*t)
        task_put(*t);
}
#define _cleanup_task_ _cleanup_(task_put_p)

/* Strings of the process -----------------------------------------------------------------------------------
 */

#define AREA_MAX (8UL << 20) /* more than execve lets in */

/* Appends [from, to) of guest memory, as far as it can be read. */
static void put_area(struct strbuf *sb, struct task *who, uaddr_t from, uaddr_t to)
{
    char page[4096];
    if (to < from || to - from > AREA_MAX)
        return;
    while (from < to) {
        size_t n = sizeof(page) - (from & (sizeof(page) - 1));
        if (n > to - from)
            n = to - from;
        if (copy_from_user(who, page, from, n) < 0)
            return;
        sb_put(sb, page, n);
        from += n;
    }
}

/* setproctitle(3) writes over the arguments, and beyond them into the environment when it needs the room:
 * then the last argument's NUL is gone, and the title is one string that ends where it ends. */
int proc_pid_show_cmdline(struct task *t, const struct proc_who *w, struct strbuf *sb)
{
    (void)t;
    struct proc_mm mm;
    _cleanup_task_ struct task *who = proc_mem_task(w);
    if (!who || !proc_mm(w, &mm) || mm.arg_end <= mm.arg_start)
        return 0;
    put_area(sb, who, mm.arg_start, mm.arg_end);
    if (!sb->len || !sb->s[sb->len - 1])
        return 0;
    size_t title = strnlen(sb->s, sb->len);
    if (title == sb->len && mm.env_start == mm.arg_end)
        put_area(sb, who, mm.env_start, mm.env_end);
    if (sb->s)
        sb->len = strnlen(sb->s, sb->len);
    sb_put(sb, "", 1);
    return 0;
}

int proc_pid_show_environ(struct task *t, const struct proc_who *w, struct strbuf *sb)
{
    int r = proc_may_access(t, w);
    if (r < 0)
        return r;
    struct proc_mm mm;
    _cleanup_task_ struct task *who = proc_mem_task(w);
    if (who && proc_mm(w, &mm))
        put_area(sb, who, mm.env_start, mm.env_end);
    return 0;
}

int proc_pid_show_auxv(struct task *t, const struct proc_who *w, struct strbuf *sb)
{
    int r = proc_may_access(t, w);
    if (r < 0)
        return r;
    struct proc_mm mm;
    if (proc_mm(w, &mm))
        sb_put(sb, mm.auxv, mm.auxv_len);
    return 0;
}

/* Those who open it must be allowed to trace the process: as on Linux it is asked at open. */
int proc_private_permission(struct task *t, struct pnode *n, int mask)
{
    (void)mask;
    _cleanup_who_ struct proc_who w;
    int r = proc_who_access(t, n, &w);
    return r < 0 ? r : 1;
}

const struct pnode_ops proc_private_ops = {
    .show = proc_show_who, .write = pentry_write, .permission = proc_private_permission};

/* mem ------------------------------------------------------------------------------------------------------
 */

/* The memory of whom f is of, if there is any, and the right to it. */
static int mem_begin(struct task *t, struct file *f, struct proc_who *w, struct foreign *memory, bool write)
{
    int r = proc_who(f->priv, w);
    if (r < 0)
        return r;
    {
        LOCKED(&kernel.tasklist_lock);
        r = foreign_begin(memory, w->p, write);
    }
    return r == -EAGAIN ? r : proc_may_access(t, w);
}

/* Reads and writes the memory of the process at the file's position. The right to it is asked again at every
 * call, since the process may have become another program. */
static ssize_t mem_move(struct task *t, struct file *f, struct uio *u, off_t *pos, bool write)
{
    _cleanup_who_ struct proc_who w = {.p = NULL};
    _cleanup_foreign_ struct foreign memory = {.process = NULL};
    int r = mem_begin(t, f, &w, &memory, write);
    if (r < 0)
        return r;
    _cleanup_task_ struct task *who = memory.process ? proc_mem_task(&w) : NULL;
    char page[4096];
    ssize_t done = 0;
    while (who && u->resid) {
        uaddr_t at = (uaddr_t)*pos;
        size_t n = sizeof(page) - (at & (sizeof(page) - 1));
        if (n > u->resid)
            n = u->resid;
        bool gate = gate_holds(at);
        ssize_t moved;
        if (write) {
            moved = uio_get(u, page, n);
            if (moved > 0 && (gate || poke_memory(who, at, page, (size_t)moved) < 0))
                moved = -EIO;
        } else {
            moved = gate || copy_from_user(who, page, at, n) < 0 ? -EIO : 0;
            if (moved == 0) {
                sites_show_original(who, at, page, n);
                if (!foreign_same(&memory))
                    return done;
                moved = uio_put(u, page, n);
            }
        }
        if (moved <= 0)
            return done ? done : moved;
        done += moved;
        *pos += moved;
    }
    return done;
}

static ssize_t mem_read(struct task *t, struct file *f, struct uio *u, off_t *pos)
{
    return mem_move(t, f, u, pos, false);
}

static ssize_t mem_write(struct task *t, struct file *f, struct uio *u, off_t *pos)
{
    return mem_move(t, f, u, pos, true);
}

/* Positions are addresses: the upper half of the range is as good as the lower. */
static off_t mem_llseek(struct task *t, struct file *f, off_t off, int whence)
{
    (void)t;
    if (whence == SEEK_CUR)
        off = (off_t)((uint64_t)f->pos + (uint64_t)off);
    else if (whence != SEEK_SET)
        return -EINVAL;
    f->pos = off;
    return off;
}

static void mem_release(struct file *f)
{
    pnode_put(f->priv);
}

static const struct file_ops mem_file_ops = {
    .name = "mem", .read = mem_read, .write = mem_write, .llseek = mem_llseek, .release = mem_release};

static int mem_open(struct task *t, struct pnode *n, int flags, struct file **ret)
{
    (void)t;
    struct file *f = file_new(&mem_file_ops, (unsigned)flags, FILE_SEEKABLE | FILE_NOPOLL, -1, n);
    if (!f)
        return -ENOMEM;
    pnode_get(n);
    *ret = f;
    return 0;
}

const struct pnode_ops proc_mem_ops = {.open = mem_open, .permission = proc_private_permission};
