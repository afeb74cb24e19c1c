/* What a tracer may put into registers, as Linux checks it, and the floating point state in a signal frame.
 * The host checks all of it again when the frame is returned from. */
#include <errno.h>
#include <string.h>

#include "sandbox/keep/trace/trace.h"
#include "sandbox/keep/mm/uaccess.h"

/* CF PF AF ZF SF TF DF OF RF AC */
#define FLAGS_OF_USER 0x50dd5UL
#define TASK_SIZE 0x7ffffffff000UL
#define FXSAVE_SIZE 512
#define FXSAVE_MXCSR 24
#define FXSAVE_MXCSR_MASK 28
#define FXSAVE_SW 464 /* what the kernel says there of a signal frame: struct _fpx_sw_bytes */
#define XSAVE_HEADER 512
#define XSAVE_HEADER_SIZE 64
#define FP_XSTATE_MAGIC1_ 0x46505853U
#define X87_AND_SSE 3UL

enum {
    ORIG_RAX = 15,
    CS = 17,
    EFLAGS = 18,
    SS = 20,
    FS_BASE = 21,
    GS_BASE = 22,
    DS = 23,
    GS = 26,
    WORDS = 27
};
_Static_assert(sizeof(struct user_regs_struct) == WORDS * 8 &&
                   offsetof(struct user_regs_struct, eflags) == EFLAGS * 8 &&
                   offsetof(struct user_regs_struct, fs_base) == FS_BASE * 8 &&
                   offsetof(struct user_regs_struct, ds) == DS * 8,
               "indices");

int trace_set_reg(struct user_regs_struct *r, unsigned index, uint64_t v)
{
    unsigned long long *word = (unsigned long long *)r + index;

    if (index >= WORDS)
        return -EIO;
    switch (index) {
    case CS: /* other code than 64-bit has no way into the keep */
    case SS:
    case GS_BASE:
        return v == *word ? 0 : -EIO;
    case EFLAGS:
        v = (v & FLAGS_OF_USER) | (*word & ~FLAGS_OF_USER);
        break;
    case FS_BASE:
        if (v >= TASK_SIZE)
            return -EIO;
        break;
    case DS ... GS: /* of no effect in 64-bit code */
        return (v & 0xffff) == 0 || (v & 3) == 3 ? 0 : -EIO;
    default:
        break;
    }
    *word = v;
    return 0;
}

struct sw_bytes {
    uint32_t magic1, extended_size;
    uint64_t xfeatures;
    uint32_t xstate_size, pad[7];
};

/* The first part, of which *sw says how long it all is. */
static long get_legacy(struct task *t, uaddr_t at, unsigned char *buf, struct sw_bytes *sw)
{
    if (!at || copy_from_user(t, buf, at, FXSAVE_SIZE) < 0)
        return -EIO;
    memcpy(sw, buf + FXSAVE_SW, sizeof(*sw));
    if (sw->magic1 != FP_XSTATE_MAGIC1_ || sw->xstate_size > TRACE_XSTATE_MAX ||
        sw->xstate_size < XSAVE_HEADER + XSAVE_HEADER_SIZE)
        sw->xstate_size = FXSAVE_SIZE;
    return 0;
}

long trace_get_xstate(struct task *t, uaddr_t at, unsigned char *buf, bool whole)
{
    struct sw_bytes sw;
    long r = get_legacy(t, at, buf, &sw);

    if (r < 0)
        return r;
    memset(buf + FXSAVE_SW, 0, sizeof(sw));
    if (!whole)
        return FXSAVE_SIZE;
    if (sw.xstate_size == FXSAVE_SIZE)
        return -ENODEV;
    memcpy(buf + FXSAVE_SW, &sw.xfeatures, sizeof(sw.xfeatures));
    r = copy_from_user(t, buf + XSAVE_HEADER, at + XSAVE_HEADER, sw.xstate_size - XSAVE_HEADER);
    return r < 0 ? -EIO : (long)sw.xstate_size;
}

static bool header_is_good(const unsigned char *buf, uint64_t xfeatures)
{
    uint64_t words[XSAVE_HEADER_SIZE / 8];

    memcpy(words, buf + XSAVE_HEADER, sizeof(words));
    if (words[0] & ~xfeatures)
        return false;
    for (size_t i = 1; i < XSAVE_HEADER_SIZE / 8; i++)
        if (words[i])
            return false;
    return true;
}

/* The kernel's own words in it stay. */
static bool legacy_is_good(unsigned char *buf, const unsigned char *old)
{
    uint32_t mxcsr, mask;

    memcpy(&mxcsr, buf + FXSAVE_MXCSR, sizeof(mxcsr));
    memcpy(&mask, old + FXSAVE_MXCSR_MASK, sizeof(mask));
    memcpy(buf + FXSAVE_MXCSR_MASK, &mask, sizeof(mask));
    memcpy(buf + FXSAVE_SW, old + FXSAVE_SW, sizeof(struct sw_bytes));
    return !(mxcsr & ~(mask ? mask : 0xffbf));
}

long trace_set_xstate(struct task *t, uaddr_t at, unsigned char *buf, size_t n, bool whole)
{
    unsigned char old[FXSAVE_SIZE];
    struct sw_bytes sw;
    uint64_t in_use;
    long r = get_legacy(t, at, old, &sw);

    if (r < 0)
        return r;
    bool extended = sw.xstate_size > FXSAVE_SIZE;
    if (n < (whole ? XSAVE_HEADER + XSAVE_HEADER_SIZE : FXSAVE_SIZE) || (whole && !extended))
        return -EINVAL;
    if (!legacy_is_good(buf, old) || (whole && !header_is_good(buf, sw.xfeatures)))
        return -EINVAL;
    if (!whole)
        n = FXSAVE_SIZE;
    if (n > sw.xstate_size)
        n = sw.xstate_size;
    if (copy_to_user(t, at, buf, n) < 0)
        return -EIO;
    if (whole || !extended)
        return 0;
    if (get_user(t, &in_use, at + XSAVE_HEADER) < 0 ||
        put_user(t, in_use | X87_AND_SSE, uint64_t, at + XSAVE_HEADER) < 0)
        return -EIO;
    return 0;
}
