/* supervise SECONDS COMMAND [ARG...]: runs one test where nothing of it can stay unnoticed.
 *
 * The command gets a mount namespace of its own, whose mounts go away with it, and every orphan below it
 * falls to this process. At the end each process and each mount that is still there is named on stderr and
 * makes the test fail. Exit status: the command's; 124 after the time is up; 70 where something was left; 71
 * for its own troubles. */
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define EXIT_LEFT 70
#define EXIT_SELF 71
#define EXIT_TIME 124
#define GRACE_MS 10000
#define LAST_WORDS_MS 5000
#define MOUNTS_MAX 65536

static pid_t the_test;

static long now_ms(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

static void nap(long ms)
{
    struct timespec ts = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};
    nanosleep(&ts, NULL);
}

/* Calls visit for the children of pid, and theirs, deepest first. Returns how many there are. */
static int walk(pid_t pid, void (*visit)(pid_t))
{
    char path[64];
    snprintf(path, sizeof(path), "/proc/%d/task/%d/children", pid, pid);
    FILE *f = fopen(path, "re");
    int n = 0;
    pid_t child;
    while (f && fscanf(f, "%d", &child) == 1) {
        n += walk(child, visit) + 1;
        visit(child);
    }
    if (f)
        fclose(f);
    return n;
}

static void kill_one(pid_t pid)
{
    kill(pid, SIGKILL);
}

/* What a process's file says, its NULs as spaces; "" where it has gone. */
static void read_file(pid_t pid, const char *name, char *text, size_t size)
{
    char path[64];
    snprintf(path, sizeof(path), "/proc/%d/%s", pid, name);
    FILE *f = fopen(path, "re");
    size_t n = f ? fread(text, 1, size - 1, f) : 0;
    text[n] = 0;
    for (size_t i = 0; i + 1 < n; i++)
        if (!text[i])
            text[i] = ' ';
    if (f)
        fclose(f);
}

/* What it is, and where in the kernel it waits. */
static void name_one(pid_t pid)
{
    char line[200], wchan[64], stat[512];
    read_file(pid, "cmdline", line, sizeof(line));
    read_file(pid, "wchan", wchan, sizeof(wchan));
    read_file(pid, "stat", stat, sizeof(stat));
    const char *state = strrchr(stat, ')');
    int parent = 0;
    if (state)
        sscanf(state + 1, " %*c %d", &parent);
    fprintf(stderr, "supervise: still there: process %d of %d, %c in %s: %s\n", pid, parent,
            state ? state[2] : '-', wchan, line);
}

/* bats says where it was when it is interrupted; and its shells go on when what they wait for has ended. */
static void interrupt_one(pid_t pid)
{
    char line[200];
    if (pid == the_test)
        return;
    read_file(pid, "cmdline", line, sizeof(line));
    kill(pid, strstr(line, "/bats-exec-") ? SIGINT : SIGKILL);
}

static void ignore_one(pid_t pid)
{
    (void)pid;
}

static void reap(void)
{
    while (waitpid(-1, NULL, WNOHANG) > 0)
        ;
}

static void kill_all(void)
{
    for (int i = 0; i < 200 && walk(getpid(), kill_one) > 0; i++) {
        nap(20);
        reap();
    }
}

/* Gives what is ending a moment, then names and kills what stays. Returns how many stayed. */
static int sweep(void)
{
    long end = now_ms() + GRACE_MS;
    int n;
    reap();
    while ((n = walk(getpid(), ignore_one)) > 0 && now_ms() < end) {
        nap(20);
        reap();
    }
    if (n > 0)
        walk(getpid(), name_one);
    kill_all();
    return n;
}

static int mounts(char *points[], int max)
{
    FILE *f = fopen("/proc/self/mountinfo", "re");
    char line[4096], point[2048];
    int n = 0;
    while (f && n < max && fgets(line, sizeof(line), f))
        if (sscanf(line, "%*s %*s %*s %*s %2047s", point) == 1)
            points[n++] = strdup(point);
    if (f)
        fclose(f);
    return n;
}

static int new_mounts(char *before[], int nbefore)
{
    static char *after[MOUNTS_MAX];
    int n = mounts(after, MOUNTS_MAX), left = 0;
    for (int i = 0; i < n; i++) {
        int j = 0;
        while (j < nbefore && (!before[j] || strcmp(before[j], after[i]) != 0))
            j++;
        if (j < nbefore) {
            free(before[j]);
            before[j] = NULL;
            continue;
        }
        fprintf(stderr, "supervise: still there: mount %s\n", after[i]);
        left++;
    }
    return left;
}

/* Waits for pid until the time is up. Returns its wait status, or -1. */
static int wait_until(pid_t pid, long end)
{
    long step = 2;
    for (;;) {
        int status;
        pid_t r = waitpid(-1, &status, WNOHANG);
        if (r == pid)
            return status;
        if (r > 0)
            continue;
        if (now_ms() >= end)
            return -1;
        nap(step);
        step = step < 50 ? step + 2 : 50;
    }
}

static int private_mounts(void)
{
    /* Shared within: a mount that a runtime forgets in its own copy of the namespace comes back to here. */
    if (unshare(CLONE_NEWNS) != 0 || mount("", "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0)
        return -1;
    return mount("", "/", NULL, MS_REC | MS_SHARED, NULL);
}

static pid_t start(char **argv)
{
    pid_t pid = fork();
    if (pid == 0) {
        setpgid(0, 0);
        execvp(argv[0], argv);
        fprintf(stderr, "supervise: %s: %s\n", argv[0], strerror(errno));
        _exit(127);
    }
    return pid;
}

int main(int argc, char **argv)
{
    static char *before[MOUNTS_MAX];
    if (argc < 3) {
        fprintf(stderr, "usage: supervise SECONDS COMMAND [ARG...]\n");
        return EXIT_SELF;
    }
    if (prctl(PR_SET_CHILD_SUBREAPER, 1) != 0 || private_mounts() != 0) {
        fprintf(stderr, "supervise: %s\n", strerror(errno));
        return EXIT_SELF;
    }
    int nbefore = mounts(before, MOUNTS_MAX);
    pid_t pid = the_test = start(argv + 2);
    if (pid < 0)
        return EXIT_SELF;
    int status = wait_until(pid, now_ms() + atol(argv[1]) * 1000);
    if (status < 0) {
        fprintf(stderr, "supervise: time is up after %s s\n", argv[1]);
        /* The test's own shell still has a moment to say where it was, and to put away its mounts. */
        walk(getpid(), name_one);
        walk(getpid(), interrupt_one);
        if (wait_until(pid, now_ms() + LAST_WORDS_MS) < 0) {
            walk(pid, kill_one);
            wait_until(pid, now_ms() + GRACE_MS);
        }
        kill_all();
        return EXIT_TIME;
    }
    int left = sweep() + new_mounts(before, nbefore);
    int code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    return code == 0 && left ? EXIT_LEFT : code;
}
