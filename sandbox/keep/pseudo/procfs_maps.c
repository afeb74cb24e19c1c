/* The files of /proc/PID that show how its memory is mapped. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "sandbox/gate/abi.h"
#include "sandbox/keep/lanes/mailbox.h"
#include "sandbox/keep/pseudo/procfs_priv.h"

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

/* Open ones ------------------------------------------------------------------------------------------------
 */

/* An open maps or smaps. The text is the host's, made as it is read, so that who reads its beginning only
 * does not pay for all. It comes in pieces of whole mappings, a page each if one fits (fs/seq_file.c), and
 * reads end where a piece does: programs rely on it. */
struct maps_file {
    pthread_mutex_t lock;
    int host; /* -1: of a process without memory */
    uaddr_t start_brk;
    struct strbuf piece; /* the rest of one, from `from` on, stands at pos */
    size_t from;
    off_t pos;
};

#define PIECE_MAX 20480 /* more than a line with a path of PATH_MAX newlines, four characters each */

/* The next piece. 1; 0 at the end; -errno. */
static int next_piece(struct maps_file *m)
{
    _cleanup_free_ char *text = malloc(PIECE_MAX);
    if (!text)
        return -ENOMEM;
    do {
        ssize_t n = read(m->host, text, PIECE_MAX - 1);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return n < 0 ? -errno : 0;
        text[n] = 0;
        m->piece.len = m->from = 0;
        proc_maps_filter(text, m->start_brk, &m->piece);
        if (m->piece.failed)
            return -ENOMEM;
    } while (m->from == m->piece.len);
    return 1;
}

/* Goes to where pos is in the text, from its beginning if need be. As next_piece. */
static int seek_piece(struct maps_file *m, off_t pos)
{
    if (pos == 0 || pos != m->pos) {
        if (lseek(m->host, 0, SEEK_SET) < 0)
            return -errno;
        m->pos = 0;
        m->piece.len = m->from = 0;
    }
    while (m->pos < pos) {
        int r = m->from == m->piece.len ? next_piece(m) : 1;
        if (r <= 0)
            return r;
        size_t left = m->piece.len - m->from;
        size_t n = (uint64_t)(pos - m->pos) < left ? (size_t)(pos - m->pos) : left;
        m->from += n;
        m->pos += (off_t)n;
    }
    return 1;
}

/* Up to size bytes from pos on; *begun: a piece was begun for this read, so that there is to be no other. */
static ssize_t take(struct maps_file *m, off_t pos, char *buf, size_t size, bool *begun)
{
    LOCKED(&m->lock);
    int r = seek_piece(m, pos);
    if (r > 0 && m->from == m->piece.len) {
        r = *begun ? 0 : next_piece(m);
        *begun = true;
    }
    if (r <= 0)
        return r;
    size_t n = m->piece.len - m->from;
    if (n > size)
        n = size;
    memcpy(buf, m->piece.s + m->from, n);
    m->from += n;
    m->pos += (off_t)n;
    return (ssize_t)n;
}

static ssize_t maps_read(struct task *t, struct file *f, struct uio *u, off_t *pos)
{
    struct maps_file *m = f->priv;
    char buf[4096];
    bool begun = false;
    ssize_t done = 0;

    (void)t;
    if (*pos < 0)
        return -EINVAL;
    while (m->host >= 0 && u->resid) {
        ssize_t n = take(m, *pos, buf, u->resid < sizeof(buf) ? u->resid : sizeof(buf), &begun);
        ssize_t put = n > 0 ? uio_put(u, buf, (size_t)n) : n;
        if (put <= 0)
            return done ? done : put;
        done += put;
        *pos += put;
        if (put < n)
            break;
    }
    return done;
}

static void maps_release(struct file *f)
{
    struct maps_file *m = f->priv;

    if (m->host >= 0)
        close(m->host);
    sb_free(&m->piece);
    pthread_mutex_destroy(&m->lock);
    free(m);
}

static const struct file_ops maps_file_ops = {
    .name = "pseudo", .read = maps_read, .llseek = pseudo_llseek, .release = maps_release};

/* The memory is the one that the process has now, whatever it executes later. The right to it was asked
 * before (proc_private_ops), and is asked again, as it may have executed something in between. */
static int maps_open(struct task *t, struct pnode *n, int flags, struct file **ret)
{
    _cleanup_who_ struct proc_who w = {.p = NULL};
    struct proc_mm mm;
    int r = proc_who(n, &w);
    if (r < 0)
        return r;
    _cleanup_close_ int host = host_proc_open("%d/%s", w.p->host_pid, n->entry->name);
    r = proc_may_access(t, &w);
    if (r < 0)
        return r;
    struct maps_file *m = calloc(1, sizeof(*m));
    if (!m)
        return -ENOMEM;
    m->host = -1;
    pthread_mutex_init(&m->lock, NULL);
    if (proc_mm(&w, &mm) && host >= 0) { /* alive, so that the host's number was its own */
        m->start_brk = mm.start_brk;
        m->host = host;
        host = -1;
    }
    struct file *f = file_new(&maps_file_ops, (unsigned)flags, FILE_SEEKABLE | FILE_NOPOLL, -1, m);
    if (!f) {
        maps_release(&(struct file){.priv = m});
        return -ENOMEM;
    }
    *ret = f;
    return 0;
}

const struct pnode_ops proc_maps_ops = {.open = maps_open, .permission = proc_private_permission};

/* smaps_rollup ---------------------------------------------------------------------------------------------
 */

/* One line for all from the first mapping to the last; where the guest's begins, only maps can tell. */
int proc_pid_show_smaps_rollup(struct task *t, const struct proc_who *w, struct strbuf *sb)
{
    _cleanup_sb_ struct strbuf all = {0}, maps = {0}, host = {0};
    struct proc_mm mm;
    (void)t;
    if (!proc_mm(w, &mm) || host_proc_read(&all, "%d/maps", w->p->host_pid) < 0 || !all.s)
        return -ESRCH;
    proc_maps_filter(all.s, mm.start_brk, &maps);
    if (!maps.s || host_proc_read(&host, "%d/smaps_rollup", w->p->host_pid) < 0 || !host.s)
        return -ESRCH;
    sb_put(sb, maps.s, strcspn(maps.s, "-"));
    const char *rest = strchr(host.s, '-');
    if (rest)
        sb_put(sb, rest, strlen(rest));
    return 0;
}
