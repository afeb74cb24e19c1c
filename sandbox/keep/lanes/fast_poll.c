/* poll(2) by the gate (sandbox/gate/poll.c): each of a process's first threads is lent an epoll of its own,
 * at a number that the guest's table is not likely to reach. The host makes the registrations of lanes by the
 * guest's numbers; the gate keeps them for its next call, unless a number has changed (later_changes). */
#include <poll.h>
#include <sys/epoll.h>

#include "sandbox/gate/abi.h"
#include "sandbox/keep/lanes/fast.h"
#include "sandbox/keep/fs/fdtable.h"
#include "sandbox/keep/task/task.h"
#include "sandbox/keep/mm/uaccess.h"

#define POLLS_AT (GATE_SHARED + offsetof(struct gate_shared, polls))
#define SLOTS_AT (GATE_SHARED + offsetof(struct gate_shared, slots))

static bool are_lanes(const struct mm *mm, const struct pollfd *fds, unsigned n)
{
    unsigned any = 0;

    for (unsigned i = 0; i < n; i++) {
        int fd = fds[i].fd;
        if (fd < 0)
            continue;
        if (fd >= GATE_LANE_FDS || !(mm->lanes.any[fd / 64] >> (fd % 64) & 1))
            return false;
        any++;
    }
    return any > 0;
}

/* mm->lanes_lock held. */
static void tell(struct task *t, const struct mm *mm)
{
    (void)put_user(t, mm->polls, uint64_t, POLLS_AT);
}

static int lend(struct task *t, const struct sysargs *a, unsigned slot)
{
    _cleanup_close_ int fd = epoll_create1(EPOLL_CLOEXEC);

    return fd < 0 ? -errno : fd_lend(t, a, fd, (int)(GATE_POLL_FD + slot));
}

bool fast_poll(struct task *t, const struct sysargs *a, const struct pollfd *fds, unsigned n)
{
    struct mm *mm = t->process->mm;
    uint64_t slot = (t->slot - SLOTS_AT) / sizeof(struct gate_slot);

    if (n == 0 || n > GATE_POLL_MOST || !a->listener || !fast_is_possible(t) || slot >= GATE_POLL_THREADS)
        return false;
    {
        LOCKED(&mm->lanes_lock);
        if (!are_lanes(mm, fds, n))
            return false;
        if (mm->polls >> slot & 1)
            return true;
        if (mm->polls_off || atomic_load(&mm->refs) > 1 || mm->polled++ < LANE_USES)
            return false;
    }
    int r = lend(t, a, (unsigned)slot);
    LOCKED(&mm->lanes_lock);
    mm->polls_off |= r < 0;
    if (mm->polls_off)
        return false;
    mm->polls |= UINT64_C(1) << slot;
    tell(t, mm);
    return true;
}

void fast_polls_off(struct task *t)
{
    struct mm *mm = t->process->mm;

    LOCKED(&mm->lanes_lock);
    mm->polls_off = true;
    mm->polls = 0;
    tell(t, mm);
}
