/* A file that is opened again and again (struct gate_kept, mailbox.h), without the keep. */
#ifndef BAILEY_GATE_KEPT_H
#define BAILEY_GATE_KEPT_H

#include <stdint.h>

#include "sandbox/gate/gate.h"
#include "sandbox/gate/mailbox.h"

enum kept_op { KEPT_OP_NONE, KEPT_OP_OPEN, KEPT_OP_CLOSE };

/* stat(2) of its path: true if it is made. It may meet a bad address. Part of .text.mailbox, as the next two.
 */
int kept_stat(struct gate_later *l, uint64_t nr, const uint64_t *arg);
/* True: call nr with these arguments opens or closes it, and is to be made by kept_do, until kept_over.
 * *keeps: enum kept_op; once that is set `closing` may be, too. It may meet a bad address before. */
int kept_begin(struct gate_later *l, uint64_t nr, const uint64_t *arg, uint32_t *keeps);
/* Its result. Twice does no harm, as long as `closing` is set. */
int64_t kept_do(struct gate_later *l, enum kept_op op);
INLINE void kept_over(struct gate_later *l, uint32_t *keeps)
{
    __atomic_store_n(&l->closing, 0, __ATOMIC_SEQ_CST);
    __atomic_store_n(keeps, KEPT_OP_NONE, __ATOMIC_RELEASE);
}
/* What a call on its number is on the file itself. */
struct kept_call {
    uint64_t nr, arg[4];
    struct {
        uint64_t base, len;
    } one;
};

/* True: call nr with these arguments is on the file that is kept, and is *c of the host's. It may meet a bad
 * address. Part of .text.mailbox. */
int kept_use(const struct gate_later *l, uint64_t nr, const uint64_t *arg, struct kept_call *c);
/* Whether number fd stands for it now. */
INLINE int kept_is(const struct gate_later *l, uint64_t fd)
{
    const struct gate_kept *k = &l->kept;

    return k->state == KEPT_OPEN && fd == k->fd && __atomic_load_n(&k->granted, __ATOMIC_SEQ_CST) != 0;
}
/* fd was closed natively, to be told later. */
INLINE void kept_closed(struct gate_later *l, uint64_t fd)
{
    struct gate_kept *k = &l->kept;

    if (fd < k->lowest) {
        k->lowest = (uint32_t)fd;
        k->exact = 1;
    }
}
/* What is dormant and not granted any more is closed. Part of .text.mailbox; for handlers, too. */
void kept_drop(struct gate_later *l);

#endif
