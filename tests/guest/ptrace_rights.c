/* ptrace(2), "access mode checking": who may trace whom, and what a tracee's program does not gain. */
#include <sys/prctl.h>
#include <sys/stat.h>

#include "tests/guest/traced.h"

#define NOBODY 1000
#define OTHER 2000

static pid_t idle_as(uid_t uid, bool dumpable)
{
    int p[2];
    char c;
    MUST(pipe(p) == 0);
    pid_t pid = fork();
    if (pid == 0) {
        MUST(setresgid(uid, uid, uid) == 0 && setresuid(uid, uid, uid) == 0);
        prctl(PR_SET_DUMPABLE, dumpable, 0, 0, 0);
        (void)!write(p[1], "x", 1);
        for (;;)
            pause();
    }
    MUST(read(p[0], &c, 1) == 1);
    close(p[0]);
    close(p[1]);
    return pid;
}

static pid_t same, other, hidden, roots;

static void as_nobody(void)
{
    MUST(setresgid(NOBODY, NOBODY, NOBODY) == 0 && setresuid(NOBODY, NOBODY, NOBODY) == 0);
    CHECK_ERRNO("another user's", ptrace(PTRACE_ATTACH, other, 0, 0), EPERM);
    CHECK_ERRNO("nor by SEIZE", ptrace(PTRACE_SEIZE, other, 0, 0), EPERM);
    CHECK_ERRNO("root's", ptrace(PTRACE_ATTACH, roots, 0, 0), EPERM);
    CHECK_ERRNO("what is not dumpable", ptrace(PTRACE_ATTACH, hidden, 0, 0), EPERM);
    CHECK_ERRNO("init", ptrace(PTRACE_ATTACH, 1, 0, 0), EPERM);
    CHECK("one's own", ptrace(PTRACE_SEIZE, same, 0, 0) == 0);
    CHECK("and let go", ptrace(PTRACE_INTERRUPT, same, 0, 0) == 0 && WIFSTOPPED(wait_for(same)) &&
                            ptrace(PTRACE_DETACH, same, 0, 0) == 0);
}

/* It counts who one is, not whose files one may use. */
static void by_real_id(void)
{
    MUST(setresgid(OTHER, NOBODY, OTHER) == 0 && setresuid(OTHER, NOBODY, OTHER) == 0);
    CHECK_ERRNO("by one's effective id", ptrace(PTRACE_ATTACH, same, 0, 0), EPERM);
}

static void hides(void)
{
    prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
    raise(SIGUSR1);
}

static void hidden_later(void)
{
    MUST(setresgid(NOBODY, NOBODY, NOBODY) == 0 && setresuid(NOBODY, NOBODY, NOBODY) == 0);
    prctl(PR_SET_DUMPABLE, 1, 0, 0, 0);
    pid_t pid = traced_child(hides);
    started(pid);
    CHECK("is seen", ptrace(PTRACE_PEEKDATA, pid, &same, 0) != -1 || errno == 0);
    ptrace(PTRACE_CONT, pid, 0, 0);
    CHECK("not dumpable any more", stopped_by(wait_for(pid), SIGUSR1));
    CHECK_ERRNO("is not seen", ptrace(PTRACE_PEEKDATA, pid, &same, 0), EIO);
    CHECK_ERRNO("nor written to", ptrace(PTRACE_POKEDATA, pid, &same, 0L), EIO);
    kill(pid, SIGKILL);
    wait_for(pid);
}

/* Set-id programs ------------------------------------------------------------------------------------------
 */

static char suid[64];

static void copy_self(void)
{
    char buf[65536];
    int in = open("/proc/self/exe", O_RDONLY), out;
    snprintf(suid, sizeof(suid), "/test/ptrace_suid");
    MUST(in >= 0 && (out = open(suid, O_WRONLY | O_CREAT | O_TRUNC, 0755)) >= 0);
    for (ssize_t n; (n = read(in, buf, sizeof(buf))) > 0;)
        MUST(write(out, buf, (size_t)n) == n);
    close(in);
    close(out);
    MUST(chown(suid, 0, 0) == 0 && chmod(suid, 04755) == 0);
}

static void executes(void)
{
    execl(suid, suid, "who", (char *)NULL);
    _exit(1);
}

/* Ends with its effective id. */
static int who_it_is(bool traced)
{
    int status;
    pid_t pid;
    if (traced) {
        pid = traced_child(executes);
        started(pid);
        for (ptrace(PTRACE_CONT, pid, 0, 0); WIFSTOPPED(status = wait_for(pid));)
            ptrace(PTRACE_CONT, pid, 0, 0);
    } else {
        pid = fork();
        if (pid == 0)
            executes();
        status = wait_for(pid);
    }
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void set_ids(void)
{
    MUST(setresgid(NOBODY, NOBODY, NOBODY) == 0 && setresuid(NOBODY, NOBODY, NOBODY) == 0);
    CHECK("a set-id program", who_it_is(false) == 40);
    CHECK("not while it is traced", who_it_is(true) == 41);
}

int main(int argc, char **argv)
{
    (void)argv;
    if (argc > 1)
        return geteuid() == 0 ? 40 : geteuid() == NOBODY ? 41 : 42;
    same = idle_as(NOBODY, true);
    other = idle_as(OTHER, true);
    hidden = idle_as(NOBODY, false);
    roots = idle_as(0, true);
    copy_self();
    in_child(as_nobody);
    in_child(by_real_id);
    in_child(hidden_later);
    in_child(set_ids);
    const pid_t all[] = {same, other, hidden, roots};
    for (int i = 0; i < 4; i++) {
        kill(all[i], SIGKILL);
        wait_for(all[i]);
    }
    return check_done();
}
