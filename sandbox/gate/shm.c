/* System V shared memory: the keep says what to map and where; the mapping is the guest's own. */
#include "sandbox/gate/gate.h"

#define EINVAL 22
#define EEXIST 17

void gate_shmat(struct native_ucontext *uc, uint64_t id, uint64_t addr, uint64_t flags)
{
    struct gate_op op;
    long r = sys6(GATE_SHMAT, id, addr, flags, (uint64_t)&op, 0, uc->mc.ip);

    if (r == 0) {
        r = gate_map_lent(&op);
        gate_give_back(op.fd);
        if (r == -EEXIST)
            r = -EINVAL;
    }
    gate_result(uc, r);
}

void gate_shmdt(struct native_ucontext *uc, uint64_t addr)
{
    struct gate_op op;
    long r = sys6(GATE_SHMDT, addr, (uint64_t)&op, 0, 0, 0, uc->mc.ip);

    if (r == 0)
        r = sys2(NR_munmap, op.addr, op.len);
    gate_result(uc, r);
}
