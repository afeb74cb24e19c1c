/* Several processes that open files, use and close them at the same time, so often that a runtime may give a
 * file together with the answer, and the program be on its way before the runtime is done with the call: what
 * a process does next (uses the number, moves to another CPU, ends) finds all as it should be.
 *
 * Also run with: --lanes=off */
#include <sched.h>

#include "tests/guest/check.h"

#define PROCESSES 4
#define OFTEN 100
#define USES 12
#define GENERATIONS 4

/* Each process has a file of its own, full of its own letter. */
static void name_of(char *name, size_t size, int who)
{
    snprintf(name, size, "/dev/shm/opens_together.%d", who);
}

static void make(int who)
{
    char name[64], text[USES];

    name_of(name, sizeof(name), who);
    memset(text, 'a' + who, sizeof(text));
    int fd = open(name, O_CREAT | O_TRUNC | O_WRONLY, 0644);
    MUST(fd >= 0 && write(fd, text, sizeof(text)) == sizeof(text) && close(fd) == 0);
}

static int open_own(int who)
{
    char name[64];

    name_of(name, sizeof(name), who);
    return open(name, O_RDONLY);
}

/* Whether the descriptor is the lowest that was free, and leads to the process's own file. */
static bool is_own(int fd, int lowest, int who)
{
    char c;

    for (int i = 0; i < USES; i++)
        if (pread(fd, &c, 1, i) != 1 || c != 'a' + who)
            return false;
    return fd == lowest;
}

static bool use_often(int who, int lowest)
{
    for (int i = 0; i < OFTEN; i++) {
        int fd = open_own(who);
        if (!is_own(fd, lowest, who) || close(fd) != 0 || pread(fd, &(char){0}, 1, 0) != -1 || errno != EBADF)
            return false;
    }
    return true;
}

/* What is done at once after the answer is not undone by it. */
static bool move_often(int who, const cpu_set_t *all)
{
    cpu_set_t want, got;

    for (int i = 0; i < OFTEN; i++) {
        CPU_ZERO(&want);
        for (int cpu = 0, nth = i % CPU_COUNT(all); cpu < CPU_SETSIZE; cpu++)
            if (CPU_ISSET(cpu, all) && nth-- == 0)
                CPU_SET(cpu, &want);
        int fd = open_own(who);
        if (sched_setaffinity(0, sizeof(want), &want) != 0 || close(fd) != 0 ||
            sched_getaffinity(0, sizeof(got), &got) != 0 || !CPU_EQUAL(&want, &got))
            return false;
    }
    return true;
}

/* The letter's process: 0 where all was well. */
static int life(int who, bool moves)
{
    cpu_set_t all;
    int lowest = open_own(who);

    if (lowest < 0 || close(lowest) != 0 || sched_getaffinity(0, sizeof(all), &all) != 0)
        return 1;
    if (!use_often(who, lowest))
        return 2;
    if (moves && !move_often(who, &all))
        return 3;
    return open_own(who) == lowest ? 0 : 4; /* and it ends at once */
}

static bool generation(bool moves)
{
    pid_t pids[PROCESSES];
    bool fine = true;

    for (int who = 0; who < PROCESSES; who++) {
        pids[who] = fork();
        MUST(pids[who] >= 0);
        if (pids[who] == 0)
            _exit(life(who, moves));
    }
    for (int who = 0; who < PROCESSES; who++) {
        int status;
        MUST(waitpid(pids[who], &status, 0) == pids[who]);
        if (status != 0)
            dprintf(1, "process %d: status %#x\n", who, status);
        fine &= status == 0;
    }
    return fine;
}

int main(void)
{
    bool used = true, moved = true;

    for (int who = 0; who < PROCESSES; who++)
        make(who);
    for (int i = 0; i < GENERATIONS; i++)
        used &= generation(false);
    CHECK("files opened by several processes at once are theirs, to the last", used);
    for (int i = 0; i < GENERATIONS; i++)
        moved &= generation(true);
    CHECK("a process that moves to a CPU as soon as it has its file stays there", moved);
    for (int who = 0; who < PROCESSES; who++) {
        char name[64];
        name_of(name, sizeof(name), who);
        MUST(unlink(name) == 0);
    }
    return check_done();
}
