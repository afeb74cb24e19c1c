/* The files of /proc/PID that show its memory: what is in it, and how it is mapped. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>

#include "sandbox/gate/abi.h"
#include "sandbox/keep/lanes/mailbox.h"
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

/* maps -----------------------------------------------------------------------------------------------------
 */

struct vma {
    uaddr_t start, end;
    bool anonymous; /* no file, no name */
    size_t text;    /* the line's length without blanks at the end */
};

static bool parse_vma(const char *line, size_t len, struct vma *v)
{
    char *end;
    v->start = strtoull(line, &end, 16);
    if (end == line || *end != '-')
        return false;
    const char *c = end + 1;
    v->end = strtoull(c, &end, 16);
    if (end == c || *end != ' ' || v->end <= v->start)
        return false;
    /* perms, offset, device, inode */
    const char *limit = line + len;
    c = end;
    for (int i = 0; i < 4; i++) {
        while (c < limit && *c == ' ')
            c++;
        while (c < limit && *c != ' ')
            c++;
    }
    v->text = (size_t)(c - line);
    while (c < limit && *c == ' ')
        c++;
    v->anonymous = c == limit;
    return true;
}

/* A program's own memfd of that name is hidden from itself. */
static bool is_mailbox(const char *text, size_t len)
{
    return memmem(text, len, "/memfd:" MAILBOX_NAME, strlen("/memfd:" MAILBOX_NAME)) != NULL;
}

#define NAME_COLUMN 73

void proc_maps_filter(const char *host, uaddr_t start_brk, struct strbuf *out)
{
    bool skip = false;
    for (const char *line = host; *line;) {
        size_t len = strcspn(line, "\n");
        struct vma v;
        if (parse_vma(line, len, &v)) {
            skip = gate_holds(v.start) || is_mailbox(line + v.text, len - v.text);
            if (!skip && v.anonymous && start_brk && start_brk >= v.start && start_brk < v.end) {
                int pad = v.text < NAME_COLUMN ? (int)(NAME_COLUMN - v.text) : 1;
                sb_put(out, line, v.text);
                sb_printf(out, "%*s[heap]\n", pad, "");
                line += len + (line[len] == '\n');
                continue;
            }
        }
        if (!skip) {
            sb_put(out, line, len);
            sb_put(out, "\n", 1);
        }
        line += len + (line[len] == '\n');
    }
}

static int show_host_maps(const struct proc_who *w, const char *file, struct strbuf *sb)
{
    struct proc_mm mm;
    _cleanup_sb_ struct strbuf host = {0};
    if (!proc_mm(w, &mm) || host_proc_read(&host, "%d/%s", w->p->host_pid, file) < 0 || !host.s)
        return 0;
    proc_maps_filter(host.s, mm.start_brk, sb);
    return 0;
}

int proc_pid_show_maps(struct task *t, const struct proc_who *w, struct strbuf *sb)
{
    (void)t;
    return show_host_maps(w, "maps", sb);
}

int proc_pid_show_smaps(struct task *t, const struct proc_who *w, struct strbuf *sb)
{
    (void)t;
    return show_host_maps(w, "smaps", sb);
}

/* One line for all from the first mapping to the last; where the guest's begins, only maps can tell. */
int proc_pid_show_smaps_rollup(struct task *t, const struct proc_who *w, struct strbuf *sb)
{
    _cleanup_sb_ struct strbuf maps = {0}, host = {0};
    int r = proc_pid_show_maps(t, w, &maps);
    if (r < 0 || !maps.s || host_proc_read(&host, "%d/smaps_rollup", w->p->host_pid) < 0 || !host.s)
        return r < 0 ? r : -ESRCH;
    sb_put(sb, maps.s, strcspn(maps.s, "-"));
    const char *rest = strchr(host.s, '-');
    if (rest)
        sb_put(sb, rest, strlen(rest));
    return 0;
}

/* Those who open it must be allowed to trace the process: as on Linux it is asked at open. */
static int private_permission(struct task *t, struct pnode *n, int mask)
{
    (void)mask;
    _cleanup_who_ struct proc_who w;
    int r = proc_who_access(t, n, &w);
    return r < 0 ? r : 1;
}

const struct pnode_ops proc_private_ops = {
    .show = proc_show_who, .write = pentry_write, .permission = private_permission};

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

const struct pnode_ops proc_mem_ops = {.open = mem_open, .permission = private_permission};
