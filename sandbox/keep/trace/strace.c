/* --strace: one line a call. The letters of syscalls.def say what the arguments are; for the usual calls
 * those of strace_flags.c do. */
#include "sandbox/keep/trace/strace.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>

#include "common/log.h"
#include "sandbox/keep/task/clone.h"
#include "sandbox/keep/signal/signal.h"
#include "sandbox/keep/syscall.h"
#include "sandbox/keep/task/task.h"
#include "sandbox/keep/mm/uaccess.h"

#define STRING_MAX 32 /* characters shown of a string */
#define LIST_MAX 8    /* elements shown of an array */

/* Where the text goes, and what the letters' functions need to know of the call. */
struct line {
    char *s;
    size_t size, len;
    struct task *t;
    const struct sysargs *a;
    long result;
    unsigned i; /* the argument at hand */
};

static void put(struct line *l, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static void put(struct line *l, const char *fmt, ...)
{
    if (l->len + 1 >= l->size)
        return;
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(l->s + l->len, l->size - l->len, fmt, ap);
    va_end(ap);
    if (n > 0)
        l->len = l->len + (size_t)n < l->size ? l->len + (size_t)n : l->size - 1;
}

static void put_pointer(struct line *l, uint64_t v)
{
    if (v)
        put(l, "%#llx", (unsigned long long)v);
    else
        put(l, "NULL");
}

/* Copies n bytes at the address v in; or shows the address and says false. out: what the call fills, if it
 * succeeded. */
static bool fetch(struct line *l, void *dst, uint64_t v, size_t n, bool out)
{
    if (v && !(out && l->result < 0) && copy_from_user(l->t, dst, v, n) == 0)
        return true;
    put_pointer(l, v);
    return false;
}

/* Strings and buffers --------------------------------------------------------------------------------------
 */

static void put_quoted(struct line *l, const unsigned char *s, size_t n, bool more)
{
    static const char from[] = "\n\t\r\v\f\"\\", to[] = "ntrvf\"\\";
    put(l, "\"");
    for (size_t i = 0; i < n; i++) {
        const char *e = s[i] ? strchr(from, s[i]) : NULL;
        bool digit_next = i + 1 < n && s[i + 1] >= '0' && s[i + 1] <= '7';
        if (e)
            put(l, "\\%c", to[e - from]);
        else if (s[i] >= ' ' && s[i] < 0x7f)
            put(l, "%c", s[i]);
        else
            put(l, digit_next ? "\\%03o" : "\\%o", s[i]);
    }
    put(l, more ? "\"..." : "\"");
}

static void put_string_at(struct line *l, uint64_t v, size_t show)
{
    char buf[256];
    long n = v ? strncpy_from_user(l->t, buf, v, show + 2 < sizeof(buf) ? show + 2 : sizeof(buf)) : -EFAULT;
    if (n == -ENAMETOOLONG && copy_from_user(l->t, buf, v, show) == 0)
        put_quoted(l, (unsigned char *)buf, show, true);
    else if (n < 0)
        put_pointer(l, v);
    else
        put_quoted(l, (unsigned char *)buf, (size_t)n < show ? (size_t)n : show, (size_t)n > show);
}

/* Paths are shown whole, as far as the line holds them. */
static void put_path(struct line *l, uint64_t v)
{
    put_string_at(l, v, 240);
}

static void put_buffer(struct line *l, uint64_t v, uint64_t n)
{
    unsigned char buf[STRING_MAX];
    size_t show = n < sizeof(buf) ? (size_t)n : sizeof(buf);
    if (fetch(l, buf, v, show, false))
        put_quoted(l, buf, show, n > show);
}

static void put_in_buffer(struct line *l, uint64_t v)
{
    put_buffer(l, v, l->i < 5 ? l->a->arg[l->i + 1] : 0);
}

static void put_out_buffer(struct line *l, uint64_t v)
{
    if (l->result < 0)
        put_pointer(l, v);
    else
        put_buffer(l, v, (uint64_t)l->result);
}

static void put_vector(struct line *l, uint64_t v)
{
    uint64_t s;
    if (!fetch(l, &s, v, sizeof(s), false))
        return;
    put(l, "[");
    unsigned i = 0;
    for (; i < LIST_MAX && s; i++) {
        if (i)
            put(l, ", ");
        put_string_at(l, s, STRING_MAX);
        if (copy_from_user(l->t, &s, v + (i + 1) * 8, sizeof(s)) < 0)
            s = 0;
    }
    put(l, i == LIST_MAX && s ? ", ...]" : "]");
}

static void put_env(struct line *l, uint64_t v)
{
    uint64_t s = 0;
    unsigned n = 0;
    while (v && n < 1000 && copy_from_user(l->t, &s, v + n * 8, sizeof(s)) == 0 && s)
        n++;
    put_pointer(l, v);
    if (v)
        put(l, " /* %u vars */", n);
}

/* Flags and numbers ----------------------------------------------------------------------------------------
 */

static const char *value_name(const struct strace_names *set, uint64_t v)
{
    for (const struct strace_name *n = set->names; n->name; n++) {
        if (n->value == v)
            return n->name;
    }
    return NULL;
}

static void put_flags(struct line *l, char letter, uint64_t v)
{
    const struct strace_names *set = strace_names_find(letter);
    uint64_t value = set->bits ? v & set->enum_mask : v, rest = set->bits ? v & ~set->enum_mask : 0;
    const char *name = !set->bits || set->enum_mask || !v ? value_name(set, value) : NULL, *sep = "";
    if (name || value) {
        if (name)
            put(l, "%s", name);
        else
            put(l, "%#llx", (unsigned long long)value);
        sep = "|";
    }
    for (const struct strace_name *n = set->names; n->name && rest; n++) {
        if (!(n->value & ~set->enum_mask) || (rest & n->value) != n->value)
            continue;
        put(l, "%s%s", sep, n->name);
        sep = "|";
        rest &= ~n->value;
    }
    if (rest || !*sep)
        put(l, rest ? "%s%#llx" : "%s0", sep, (unsigned long long)rest);
}

static void put_signal(struct line *l, uint64_t v)
{
    const char *name = v < 32 ? sigabbrev_np((int)v) : NULL;
    if (name)
        put(l, "SIG%s", name);
    else if (v >= 32 && v <= KSIG_MAX)
        put(l, "SIGRT_%d", (int)v - 32);
    else
        put(l, "%d", (int)v);
}

static void put_sigmask(struct line *l, sigset64 set)
{
    bool most = __builtin_popcountll(set) > 32;
    const char *sep = "";
    if (most)
        set = ~set;
    put(l, most ? "~[" : "[");
    for (int s = 1; s <= KSIG_MAX; s++) {
        const char *name = s < 32 ? sigabbrev_np(s) : NULL;
        if (!(set & SIGBIT(s)))
            continue;
        if (name)
            put(l, "%s%s", sep, name);
        else
            put(l, "%sRT_%d", sep, s - 32);
        sep = " ";
    }
    put(l, "]");
}

static void put_sigset(struct line *l, uint64_t v)
{
    sigset64 set;
    if (fetch(l, &set, v, sizeof(set), false))
        put_sigmask(l, set);
}

static void put_fd(struct line *l, uint64_t v)
{
    put(l, "%d", (int)v);
}

static void put_at_fd(struct line *l, uint64_t v)
{
    if ((int)v == AT_FDCWD)
        put(l, "AT_FDCWD");
    else
        put_fd(l, v);
}

static void put_int(struct line *l, uint64_t v)
{
    put(l, "%d", (int)v);
}

static void put_unsigned(struct line *l, uint64_t v)
{
    put(l, "%llu", (unsigned long long)v);
}

static void put_long(struct line *l, uint64_t v)
{
    put(l, "%lld", (long long)v);
}

static void put_hex(struct line *l, uint64_t v)
{
    put(l, "%#llx", (unsigned long long)v);
}

static void put_octal(struct line *l, uint64_t v)
{
    put(l, (unsigned)v ? "0%03o" : "%o", (unsigned)v & 07777777);
}

/* Structs --------------------------------------------------------------------------------------------------
 */

static void put_sigaction(struct line *l, uint64_t v)
{
    struct ksigaction sa;
    if (!fetch(l, &sa, v, sizeof(sa), l->i == 2))
        return;
    put(l, "{sa_handler=");
    if (sa.handler < 2)
        put(l, sa.handler ? "SIG_IGN" : "SIG_DFL");
    else
        put_hex(l, sa.handler);
    put(l, ", sa_mask=");
    put_sigmask(l, sa.mask);
    put(l, ", sa_flags=");
    put_flags(l, 'r', sa.flags);
    put(l, "}");
}

static void put_timespec(struct line *l, uint64_t v)
{
    struct timespec ts;
    if (fetch(l, &ts, v, sizeof(ts), false))
        put(l, "{tv_sec=%lld, tv_nsec=%ld}", (long long)ts.tv_sec, ts.tv_nsec);
}

static void put_out_int(struct line *l, uint64_t v)
{
    int n;
    if (fetch(l, &n, v, sizeof(n), true))
        put(l, "[%d]", n);
}

static void put_out_pair(struct line *l, uint64_t v)
{
    int n[2];
    if (fetch(l, n, v, sizeof(n), true))
        put(l, "[%d, %d]", n[0], n[1]);
}

static void put_wait_status(struct line *l, uint64_t v)
{
    int s;
    if (l->result == 0) {
        put_pointer(l, v);
        return;
    }
    if (!fetch(l, &s, v, sizeof(s), true))
        return;
    if (WIFEXITED(s))
        put(l, "[{WIFEXITED(s) && WEXITSTATUS(s) == %d}]", WEXITSTATUS(s));
    else if (WIFSTOPPED(s) || WIFSIGNALED(s)) {
        put(l, WIFSTOPPED(s) ? "[{WIFSTOPPED(s) && WSTOPSIG(s) == " : "[{WIFSIGNALED(s) && WTERMSIG(s) == ");
        put_signal(l, (uint64_t)(WIFSTOPPED(s) ? WSTOPSIG(s) : WTERMSIG(s)));
        put(l, "}]");
    } else
        put(l, "[{WIFCONTINUED(s)}]");
}

static void put_stat(struct line *l, uint64_t v)
{
    struct stat st;
    if (!fetch(l, &st, v, sizeof(st), true))
        return;
    static const char *const types[] = {[1] = "IFIFO", [2] = "IFCHR",  [4] = "IFDIR",   [6] = "IFBLK",
                                        [8] = "IFREG", [10] = "IFLNK", [12] = "IFSOCK", [15] = NULL};
    const char *type = types[(st.st_mode & S_IFMT) >> 12];
    put(l, "{st_mode=%s%s|%#o, ", type ? "S_" : "?", type ? type : "", st.st_mode & 07777);
    if (S_ISCHR(st.st_mode) || S_ISBLK(st.st_mode))
        put(l, "st_rdev=%#llx, ...}", (unsigned long long)st.st_rdev);
    else
        put(l, "st_size=%lld, ...}", (long long)st.st_size);
}

static void put_rlimit(struct line *l, uint64_t v)
{
    struct rlimit r;
    if (!fetch(l, &r, v, sizeof(r), false))
        return;
    put(l, "{rlim_cur=");
    put(l, r.rlim_cur == RLIM_INFINITY ? "RLIM64_INFINITY" : "%llu", (unsigned long long)r.rlim_cur);
    put(l, ", rlim_max=");
    put(l, r.rlim_max == RLIM_INFINITY ? "RLIM64_INFINITY" : "%llu", (unsigned long long)r.rlim_max);
    put(l, "}");
}

static void put_pollfds(struct line *l, uint64_t v)
{
    struct pollfd p[LIST_MAX];
    uint64_t n = l->a->arg[l->i + 1];
    size_t show = n < LIST_MAX ? (size_t)n : LIST_MAX;
    if (!fetch(l, p, v, show * sizeof(p[0]), false))
        return;
    put(l, "[");
    for (size_t i = 0; i < show; i++) {
        put(l, "%s{fd=%d, events=", i ? ", " : "", p[i].fd);
        put_flags(l, 'E', (unsigned short)p[i].events);
        if (l->result > 0 && p[i].revents) {
            put(l, ", revents=");
            put_flags(l, 'E', (unsigned short)p[i].revents);
        }
        put(l, "}");
    }
    put(l, n > show ? ", ...]" : "]");
}

static void put_epoll_event(struct line *l, uint64_t v)
{
    struct epoll_event e;
    if (!fetch(l, &e, v, sizeof(e), false))
        return;
    put(l, "{events=%#x, data=%#llx}", e.events, (unsigned long long)e.data.u64);
}

static void put_sockaddr(struct line *l, uint64_t v, uint64_t len, bool out)
{
    struct sockaddr_storage ss = {0};
    char ip[INET6_ADDRSTRLEN] = "?";
    if (len < sizeof(ss.ss_family) || len > sizeof(ss))
        put_pointer(l, v);
    else if (fetch(l, &ss, v, (size_t)len, out)) {
        const struct sockaddr_in *in = (const void *)&ss;
        const struct sockaddr_in6 *in6 = (const void *)&ss;
        const struct sockaddr_un *un = (const void *)&ss;
        put(l, "{sa_family=");
        put_flags(l, 'F', ss.ss_family);
        if (ss.ss_family == AF_INET)
            put(l, ", sin_port=htons(%u), sin_addr=inet_addr(\"%s\")", ntohs(in->sin_port),
                inet_ntop(AF_INET, &in->sin_addr, ip, sizeof(ip)));
        else if (ss.ss_family == AF_INET6)
            put(l, ", sin6_port=htons(%u), sin6_addr=\"%s\"", ntohs(in6->sin6_port),
                inet_ntop(AF_INET6, &in6->sin6_addr, ip, sizeof(ip)));
        else if (ss.ss_family == AF_UNIX && len > 2 && un->sun_path[0])
            put(l, ", sun_path=\"%.*s\"", (int)strnlen(un->sun_path, len - 2), un->sun_path);
        else if (ss.ss_family == AF_UNIX && len > 2) {
            put(l, ", sun_path=@");
            put_quoted(l, (const unsigned char *)un->sun_path + 1, len - 3, false);
        }
        put(l, "}");
    }
}

static void put_in_sockaddr(struct line *l, uint64_t v)
{
    put_sockaddr(l, v, l->i < 5 ? (uint32_t)l->a->arg[l->i + 1] : 0, false);
}

static void put_out_sockaddr(struct line *l, uint64_t v)
{
    uint32_t len = 0;
    if (!v || l->result < 0 || l->i >= 5 || copy_from_user(l->t, &len, l->a->arg[l->i + 1], sizeof(len)) < 0)
        put_pointer(l, v);
    else
        put_sockaddr(l, v, len, true);
}

/* The letters ----------------------------------------------------------------------------------------------
 */

static const struct letter {
    char letter;
    void (*show)(struct line *l, uint64_t v);
} letters[] = {
    {'d', put_int},         {'u', put_unsigned},     {'x', put_hex},      {'p', put_pointer},
    {'s', put_path},        {'f', put_fd},           {'o', put_octal},    {'a', put_at_fd},
    {'l', put_long},        {'S', put_sigset},       {'g', put_signal},   {'b', put_in_buffer},
    {'B', put_out_buffer},  {'v', put_vector},       {'V', put_env},      {'X', put_sigaction},
    {'t', put_timespec},    {'i', put_out_int},      {'2', put_out_pair}, {'W', put_wait_status},
    {'z', put_stat},        {'R', put_rlimit},       {'D', put_pollfds},  {'J', put_epoll_event},
    {'k', put_in_sockaddr}, {'K', put_out_sockaddr},
};

static void put_arg(struct line *l, char letter, uint64_t v)
{
    for (size_t i = 0; i < ARRAY_SIZE(letters); i++) {
        if (letters[i].letter == letter) {
            letters[i].show(l, v);
            return;
        }
    }
    if (strace_names_find(letter))
        put_flags(l, letter, v);
    else
        put_hex(l, v);
}

static void put_result(struct line *l, bool hex)
{
    long r = l->result == SYS_EXACT ? l->t->exact : l->result;
    if (r == SYS_CONTINUE || r == SYS_CONTINUE_BLOCKING)
        put(l, "= ? (host)");
    else if (r == SYS_NOANSWER)
        put(l, "= ?");
    else if (r == -ERESTARTSYS || r == -ERESTARTNOINTR || r == -ERESTARTNOHAND || r == -ERESTART_RESTARTBLOCK)
        put(l, "= ? ERESTART (To be restarted)");
    else if (r < 0 && r > -4096) {
        const char *name = strerrorname_np((int)-r);
        put(l, "= -1 %s (%s)", name ? name : "E?", strerrordesc_np((int)-r) ?: "Unknown error");
    } else
        put(l, hex ? "= %#lx" : "= %ld", r);
}

/* open's mode counts only where a file may be made. */
static size_t args_shown(const struct sysargs *a, const char *args)
{
    size_t n = strlen(args);
    int flags_at = a->nr == SYS_open ? 1 : a->nr == SYS_openat ? 2 : -1;
    if (flags_at >= 0 && !(a->arg[flags_at] & (O_CREAT | (O_TMPFILE & ~O_DIRECTORY))))
        return n - 1;
    return n < 6 ? n : 6;
}

/* As the guest called it, and what that returns. */
static long show_clone(const struct task *t, struct sysargs *a, long result)
{
    a->arg[0] >>= 32;
    a->arg[1] = 0; /* the stack is the gate's */
    return result == SYS_CONTINUE ? t->cloned : result;
}

size_t strace_format(struct task *t, const struct sysargs *a, long result, char *buf, size_t size)
{
    struct sysargs asked = *a;
    if (clone_for_guest(a))
        result = show_clone(t, &asked, result);
    struct line l = {.s = buf, .size = size, .t = t, .a = &asked, .result = result};
    const struct strace_usual *u = strace_usual_find(a->nr);
    const struct syscall_desc *d = a->nr >= 0 && a->nr < SYSCALL_MAX ? &syscall_table[a->nr] : NULL;
    const char *name = u && u->name ? u->name : d ? d->name : NULL;
    const char *args = u ? u->args : d && d->name && d->args ? d->args : "xxxxxx";
    buf[0] = '\0';
    if (name)
        put(&l, "[pid %5d] %s(", t->tid, name);
    else
        put(&l, "[pid %5d] syscall_%#x(", t->tid, (unsigned)a->nr);
    size_t n = args_shown(a, args);
    for (l.i = 0; l.i < n; l.i++) {
        if (l.i)
            put(&l, ", ");
        put_arg(&l, args[l.i], asked.arg[l.i]);
    }
    put(&l, ") ");
    put_result(&l, u && u->hex_result);
    return l.len;
}

void strace_call(struct task *t, const struct sysargs *a, long result, const struct timespec *start)
{
    char buf[1024];
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    long us = (now.tv_sec - start->tv_sec) * 1000000 + (now.tv_nsec - start->tv_nsec) / 1000;
    (void)strace_format(t, a, result, buf, sizeof(buf));
    log_info("%s <%ld.%06ld>", buf, us / 1000000, us % 1000000);
}
