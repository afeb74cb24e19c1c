/* sendfile(2) and connect(2) of stream sockets that are lanes, in processes with one thread. As in mailbox.c,
 * what is in .text.mailbox may end anywhere. */
#include "sandbox/gate/socket_calls.h"

#include <asm/unistd.h>

#include "sandbox/gate/gate.h"
#include "sandbox/gate/kept.h"

#define SEEK_SET 0
#define SEEK_CUR 1
#define MSG_NOSIGNAL 0x4000U
#define MSG_DONTWAIT 0x40U
#define ADDRESS_MOST 128U
#define EBADF 9
#define EAGAIN 11
#define EFAULT 14
#define EPIPE 32
#define ENOTSOCK 88
#define EALREADY 114

extern struct gate_shared gate_shared;

/* sendfile(2) of a plain lane to a stream socket that is one, as two calls of the host's. The buffer serves a
 * process with one thread, as plain lanes do. */
static char piece[SENDFILE_MOST] GATE_LATE;

/* How many bytes there are to be sent, from t->at on. 0: the keep is to see to it. */
INLINE uint64_t read_piece(struct mailbox_thread *t, const struct gate_later *l)
{
    uint64_t out = t->di, in = t->si, n = t->r10;
    int64_t at;

    int kept = l && kept_is(l, in);
    if (kept)
        in = GATE_HOME_FD;
    t->in = (uint32_t)in;
    if (!l || !is_lane(l->sends, out) || !is_lane(gate_shared.lanes.any, out) ||
        (!kept && !is_lane(gate_shared.lanes.plain, in)) || n - 1 >= SENDFILE_MOST)
        return 0;
    at = t->dx ? *(const volatile int64_t *)t->dx : sys3(__NR_lseek, in, 0, SEEK_CUR);
    if (at < 0 || at > INT64_MAX - (int64_t)n)
        return 0;
    struct {
        void *base;
        uint64_t len;
    } one = {piece, n};
    int64_t got = sys6(__NR_preadv2, in, (uint64_t)&one, 1, (uint64_t)at, 0, 0);
    t->at = (uint64_t)at;
    return got < 0 ? 0 : (uint64_t)got;
}

/* Bytes are on their way: the position behind them. Twice does no harm. */
INLINE void note_position(struct mailbox_thread *t)
{
    if (t->dx)
        *(volatile int64_t *)t->dx = (int64_t)t->at + t->sent;
    else
        sys3(__NR_lseek, t->in, t->at + (uint64_t)t->sent, SEEK_SET);
}

/* The keep is asked where nothing has been sent, and asking again costs no error that would then be gone. */
INLINE int is_for_keep(int64_t sent)
{
    return sent == 0 || sent == -EPIPE || sent == -ENOTSOCK || sent == -EBADF;
}

MAILBOX_TEXT void socket_sendfile(struct mailbox_thread *t, const struct gate_later *l)
{
    t->sent = 0;
    t->gives = 0;
    enter(t, PHASE_SENDS);
    uint64_t n = read_piece(t, l);

    if (n)
        mailbox_host(t, piece, n, MSG_NOSIGNAL, __NR_sendto);
    if (is_for_keep(t->sent)) {
        enter(t, PHASE_RING);
        return;
    }
    if (t->sent > 0)
        note_position(t);
    t->result = (uint64_t)t->sent;
    enter(t, PHASE_DONE);
}

/* What the host has said of a socket that was asked, if it says so only once. */
MAILBOX_TEXT void socket_refused(struct mailbox_thread *t, struct gate_later *l)
{
    if (t->sent >= 0 || t->sent == -EAGAIN || t->sent == -EPIPE)
        return;
    l->refused = (int32_t)t->sent;
    l->refuses = (uint32_t)t->di + 1;
}

/* connect(2) again, to hear what became of it: to send nothing says the same. 0: it is another call. What the
 * address is does not matter by now, but that there is one. */
MAILBOX_TEXT int socket_connect(struct mailbox_thread *t, struct gate_later *l)
{
    uint64_t n = (uint32_t)t->dx;

    if (t->ax != __NR_connect)
        return 0;
    t->gives = 0;
    enter(t, PHASE_RING);
    if (!l || !is_lane(l->joins, t->di) || n < sizeof(uint16_t) || n > ADDRESS_MOST)
        return 1;
    t->sent = 0;
    enter(t, PHASE_JOINS);
    uint16_t family = *(const volatile uint16_t *)t->si;
    (void)*(const volatile char *)(t->si + n - 1);
    if (family)
        mailbox_host(t, piece, 0, MSG_DONTWAIT | MSG_NOSIGNAL, __NR_sendto);
    socket_refused(t, l);
    if (!family || (t->sent && t->sent != -EAGAIN)) {
        enter(t, PHASE_RING);
        return 1;
    }
    if (t->sent == 0)
        __atomic_fetch_and(&l->joins[t->di / 64], ~(1UL << t->di % 64), __ATOMIC_SEQ_CST);
    gate_shared.slots[t - mailbox_threads].answered++;
    t->result = t->sent ? (uint64_t)-EALREADY : 0;
    enter(t, PHASE_DONE);
    return 1;
}

/* A bad address is found by asking the host: here it would be the end. */
void socket_sent(struct mailbox_thread *t)
{
    if (is_for_keep(t->sent))
        return;
    t->result = (uint64_t)t->sent;
    if (t->sent > 0 && t->dx && !guest_can_write(t->dx, sizeof(uint64_t)))
        t->result = (uint64_t)-EFAULT;
    else if (t->sent > 0)
        note_position(t);
    t->phase = PHASE_DONE;
}
