/* What trace_stop.c and trace_context.c share: a thread in GATE_STOP. */
#ifndef BAILEY_KEEP_TRACE_INTERNAL_H
#define BAILEY_KEEP_TRACE_INTERNAL_H

#include <ucontext.h>

#include "sandbox/gate/abi.h"
#include "sandbox/keep/signal/signal_internal.h"
#include "sandbox/keep/task/park.h"
#include "sandbox/keep/trace/trace.h"

#define FLAG_TF 0x100UL

enum stop_at { AT_NOTHING, AT_EVENT, AT_CALL, AT_SIGNAL };

struct stop {
    struct parked parked; /* first */
    enum gate_stop why;
    uint64_t nr;
    uaddr_t context, buf;
    struct user_regs_struct regs;
    gregset_t gregs;
    uint64_t fpstate;
    enum stop_at at;
    bool told;    /* what it came for */
    bool filters; /* what the filters say of the call was asked; */
    bool shown;   /* and told */
    int signo;    /* with which the tracer has it go on */
    siginfo_t info;
    struct gate_signal gs;
};

/* The registers are read once, from the context that the gate names, and written back to it: the guest's own
 * memory, with what the guest could have put there itself. */

/* [T] Reads them, as Linux shows them at such a stop. 0 or -EFAULT. */
int stop_take_registers(struct task *t, struct stop *s, const struct sysargs *a);
/* s->gregs becomes what s->regs are. */
void stop_put_registers(struct stop *s);
/* They stand behind a call that was interrupted. */
bool stop_was_interrupted(const struct user_regs_struct *r);
/* What becomes of a call that was interrupted, as Linux does when it leaves the kernel; sa_flags: of the
 * handler that runs first, if one does. */
void stop_restart(struct user_regs_struct *r, bool handled, uint64_t sa_flags);

#endif
