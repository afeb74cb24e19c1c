/* cycles TIMES KILL-EVERY SEED ROOT RUNTIME create BUNDLE ID   TIMES containers: create, start, kill KILL,
 * delete cycles TIMES KILL-EVERY SEED ROOT RUNTIME exec ID PROGRAM...  TIMES programs in a container that
 * runs
 *
 * About every KILL-EVERYth command is killed (SIGKILL) after a time by chance, within what the ones before
 * took; then a container is deleted by force. Prints how many of what there were; exit status 1 if a command
 * that was not killed failed. */
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

struct run {
    const char *runtime, *root;
    long kill_every;
    uint64_t random;
    int64_t usual_ns; /* what a command takes */
    long commands, killed, failed;
};

static int64_t now_ns(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000000000LL + t.tv_nsec;
}

/* xorshift64: the same numbers for the same seed. */
static uint64_t next_random(struct run *r)
{
    r->random ^= r->random << 13;
    r->random ^= r->random >> 7;
    r->random ^= r->random << 17;
    return r->random;
}

static void complain(struct run *r, char **argv, int status)
{
    fprintf(stderr, "cycles: %s %s: status %#x\n", argv[3], argv[4] ? argv[4] : "", status);
    r->failed++;
}

static pid_t spawn(char **argv)
{
    posix_spawn_file_actions_t fa;
    pid_t pid;

    posix_spawn_file_actions_init(&fa);
    posix_spawn_file_actions_addopen(&fa, 0, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_addopen(&fa, 1, "/dev/null", O_WRONLY, 0);
    int failed = posix_spawn(&pid, argv[0], &fa, NULL, argv, environ);
    posix_spawn_file_actions_destroy(&fa);
    if (failed)
        exit(2);
    return pid;
}

/* True: it was killed on the way. victim: it may be. */
static bool command(struct run *r, bool victim, char **argv)
{
    int status;
    int64_t begin = now_ns();
    pid_t pid = spawn(argv);

    r->commands++;
    victim = victim && next_random(r) % (uint64_t)r->kill_every == 0;
    if (victim) {
        int64_t ns = (int64_t)(next_random(r) % (uint64_t)r->usual_ns);
        nanosleep(&(struct timespec){.tv_nsec = ns}, NULL);
        kill(pid, SIGKILL);
    }
    if (waitpid(pid, &status, 0) != pid)
        exit(2);
    if (victim && WIFSIGNALED(status)) {
        r->killed++;
        return true;
    }
    if (status)
        complain(r, argv, status);
    r->usual_ns += (now_ns() - begin - r->usual_ns) / 8;
    return false;
}

#define BAILEY(r, ...)                                                                                       \
    ((char *[]){(char *)(uintptr_t)(r)->runtime, "--root", (char *)(uintptr_t)(r)->root, __VA_ARGS__, NULL})

static void container(struct run *r, char *bundle, char *id)
{
    if (command(r, true, BAILEY(r, "create", "--bundle", bundle, id)) ||
        command(r, true, BAILEY(r, "start", id)) || command(r, true, BAILEY(r, "kill", id, "KILL")) ||
        command(r, true, BAILEY(r, "delete", "--force", id)))
        (void)command(r, false, BAILEY(r, "delete", "--force", id));
}

static void program(struct run *r, char **args)
{
    char *argv[32] = {(char *)(uintptr_t)r->runtime, "--root", (char *)(uintptr_t)r->root, "exec"};

    for (int i = 0; i < 27 && args[i]; i++)
        argv[4 + i] = args[i];
    (void)command(r, true, argv);
}

int main(int argc, char **argv)
{
    if (argc < 9)
        return 2;
    struct run r = {.kill_every = atol(argv[2]),
                    .random = (uint64_t)atol(argv[3]) * 2654435761U + 1,
                    .root = argv[4],
                    .runtime = argv[5],
                    .usual_ns = 20000000};
    for (long n = atol(argv[1]); n > 0; n--) {
        if (strcmp(argv[6], "exec") == 0)
            program(&r, argv + 7);
        else
            container(&r, argv[7], argv[8]);
    }
    printf("%ld commands, %ld killed, %ld failed\n", r.commands, r.killed, r.failed);
    return r.failed > 0;
}
