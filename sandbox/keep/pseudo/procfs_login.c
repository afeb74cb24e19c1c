/* /proc/PID/loginuid and sessionid: who logged in, for the audit trail (pam_loginuid(8)). There is none here,
 * but sshd, login and cron do not begin a session whose user they could not put down. */
#include <errno.h>
#include <linux/capability.h>

#include "sandbox/keep/idmap.h"
#include "sandbox/keep/pseudo/procfs_priv.h"

int proc_pid_show_loginuid(struct task *t, const struct proc_who *w, struct strbuf *sb)
{
    (void)t;
    LOCKED(&kernel.tasklist_lock);
    sb_printf(sb, "%u", w->t ? w->t->login_uid : NOBODY_LOGGED_IN);
    return 0;
}

int proc_pid_show_sessionid(struct task *t, const struct proc_who *w, struct strbuf *sb)
{
    (void)t;
    LOCKED(&kernel.tasklist_lock);
    sb_printf(sb, "%u", w->t ? w->t->login_session : NOBODY_LOGGED_IN);
    return 0;
}

/* Digits and at most one newline. 0, -EINVAL or -ERANGE. */
static int parse_uid(const char *data, size_t len, uid_t *ret)
{
    size_t n = len && data[len - 1] == '\n' ? len - 1 : len;
    uint64_t v = 0;
    if (n == 0)
        return -EINVAL;
    for (size_t i = 0; i < n; i++) {
        if (data[i] < '0' || data[i] > '9')
            return -EINVAL;
        v = v * 10 + (uint64_t)(data[i] - '0');
        if (v > UINT32_MAX)
            return -ERANGE;
    }
    *ret = (uid_t)v;
    return 0;
}

ssize_t proc_pid_write_loginuid(struct task *t, struct pnode *n, const char *data, size_t len, off_t pos)
{
    _cleanup_who_ struct proc_who w;
    uid_t uid;
    int r = proc_who(n, &w);
    if (r < 0)
        return r;
    if (w.t != t) /* a thread's own only */
        return -EPERM;
    if (pos != 0)
        return -EINVAL;
    r = parse_uid(data, len, &uid);
    if (r < 0)
        return r;
    if (uid != NOBODY_LOGGED_IN && !idmap_has_uid(uid))
        return -EINVAL;
    bool may = capable(t, CAP_AUDIT_CONTROL);
    LOCKED(&kernel.tasklist_lock);
    if (t->login_uid != NOBODY_LOGGED_IN && !may)
        return -EPERM;
    t->login_uid = uid;
    t->login_session = uid == NOBODY_LOGGED_IN ? NOBODY_LOGGED_IN : ++t->process->container->pids->logins;
    return (ssize_t)len;
}
