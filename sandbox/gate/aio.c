/* Contexts of asynchronous I/O: the keep makes the ring of events, and the mapping is the guest's own. */
#include "sandbox/gate/gate.h"

static int is_error(long r)
{
    return r < 0 && r > -4096;
}

void gate_io_setup(struct native_ucontext *uc, uint64_t events, uint64_t at)
{
    struct gate_op op;
    long r = sys6(GATE_AIO_SETUP, events, at, (uint64_t)&op, 0, 0, uc->mc.ip);

    if (r == 0) {
        long ring = gate_map_lent(&op);
        r = sys3(GATE_AIO_DONE, op.fd, ring, at);
        gate_give_back(op.fd);
        if (r < 0 && !is_error(ring))
            sys2(NR_munmap, ring, op.len);
    }
    gate_result(uc, r);
}

void gate_io_destroy(struct native_ucontext *uc, uint64_t id)
{
    struct gate_op op;
    long r = sys6(GATE_AIO_DESTROY, id, (uint64_t)&op, 0, 0, 0, uc->mc.ip);

    if (r == 0)
        sys2(NR_munmap, op.addr, op.len);
    gate_result(uc, r);
}
