/* What a process can find out of itself: scheduling, I/O priority, memory policy, personality, CPUs, ids and
 * rights. */
#include <linux/mempolicy.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <unistd.h>

struct attr {
    uint32_t size, policy;
    uint64_t flags;
    int32_t nice;
    uint32_t priority;
    uint64_t runtime, deadline, period;
};

int main(void)
{
    struct attr a = {.size = sizeof(a)};
    struct utsname u;
    int mode = -1;
    unsigned long nodes[16] = {0};
    cpu_set_t cpus;
    uid_t r, e, s;

    syscall(SYS_sched_getattr, 0, &a, sizeof(a), 0);
    printf("policy %u nice %d priority %u flags %llu deadline %llu/%llu/%llu\n", a.policy, a.nice, a.priority,
           (unsigned long long)a.flags, (unsigned long long)a.runtime, (unsigned long long)a.deadline,
           (unsigned long long)a.period);
    long prio = syscall(SYS_ioprio_get, 1, 0);
    printf("ioprio %ld:%ld\n", prio >> 13, prio & 7);
    syscall(SYS_get_mempolicy, &mode, nodes, sizeof(nodes) * 8, 0, 0);
    printf("mempolicy %#x nodes %lx\n", (unsigned)mode, nodes[0]);
    uname(&u);
    printf("personality %#x machine %s\n", (unsigned)personality(0xffffffff), u.machine);
    CPU_ZERO(&cpus);
    sched_getaffinity(0, sizeof(cpus), &cpus);
    printf("cpus %lx\n", cpus.__bits[0]);
    getresuid(&r, &e, &s);
    printf("uid %u %u %u no_new_privs %d\n", r, e, s, prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0));
    return 0;
}
