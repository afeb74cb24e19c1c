/* See standin.h. */
#include "sandbox/gate/standin.h"

#include "sandbox/gate/gate.h"

#define PAGE 4096UL
#define PROT_RW 3
#define MAP_FIXED_ANON 0x100022 /* MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE */
#define CLONE_PARENT 0x8000UL
#define SIGCHLD 17
#define F_GETFD 1
#define MAP_ANONYMOUS 0x20
#define ADDRESS_LIMIT 0x7ffffffff000UL

struct standin_iovec {
    void *base;
    uint64_t len;
};

struct standin_msghdr {
    void *name;
    uint32_t namelen, pad;
    struct standin_iovec *iov;
    uint64_t iovlen;
    void *control;
    uint64_t controllen;
    int32_t flags, pad2;
};

static struct {
    struct standin_request q;
    char pages[STANDIN_PAGES][PAGE];
} request;

/* entry.S: makes the call at the place that the filter knows. */
long standin_call(long nr, const uint64_t args[6]);

/* The request's socket, or -1: nobody is left to ask. */
static int next_request(void)
{
    struct {
        uint64_t len;
        int32_t level, type, fd, pad;
    } control;
    struct standin_iovec iov = {&request, sizeof(request)};
    struct standin_msghdr m = {.iov = &iov, .iovlen = 1, .control = &control, .controllen = sizeof(control)};
    long n = sys3(NR_recvmsg, STANDIN_SOCKET, &m, 0);

    return n >= (long)sizeof(request.q) && m.controllen >= 20 ? control.fd : -1;
}

/* The lowest free number is the guest's. */
static void fill_numbers(int reply)
{
    const int last = STANDIN_FILE > reply ? STANDIN_FILE : reply;

    sys3(NR_dup3, reply, STANDIN_REPLY, 0);
    sys3(NR_dup3, STANDIN_FILLER, STANDIN_REPLY + 1, 0);
    sys3(NR_dup3, STANDIN_FILE, STANDIN_REPLY + 2, 0);
    for (uint32_t n = 0; n < request.q.next_fd && n < STANDIN_REPLY; n++)
        sys3(NR_dup3, STANDIN_REPLY + 1, n, 0);
    for (int n = (int)request.q.next_fd; n <= last; n++)
        sys1(NR_close, n);
}

/* The number of a file that is mapped, or none. */
static uint32_t mapped_number(void)
{
    return request.q.nr == NR_mmap && !(request.q.args[3] & MAP_ANONYMOUS) ? (uint32_t)request.q.args[4]
                                                                           : ~0U;
}

static void give_file(void)
{
    uint32_t n = mapped_number();

    if (n < 0x80000000U && n != STANDIN_REPLY)
        sys3(NR_dup3, STANDIN_REPLY + 2, n, 0);
    sys1(NR_close, STANDIN_REPLY + 1);
    sys1(NR_close, STANDIN_REPLY + 2);
}

static void map_pages(void)
{
    for (uint32_t i = 0; i < request.q.npages && i < STANDIN_PAGES; i++) {
        uint64_t at = request.q.page[i];
        if (sys6(NR_mmap, at, PAGE, PROT_RW, MAP_FIXED_ANON, (uint64_t)-1, 0) != (long)at)
            continue;
        memcpy((void *)at, request.pages[i], PAGE);
        sys3(NR_mprotect, at, PAGE, 0);
    }
}

static void note_descriptors(struct standin_reply *r)
{
    for (uint32_t i = 0; i < STANDIN_FDS; i++) {
        uint32_t n = request.q.next_fd + i;
        long flags = n == STANDIN_REPLY || n == mapped_number() ? -1 : sys2(NR_fcntl, n, F_GETFD);
        if (flags < 0)
            continue;
        r->fds |= 1U << i;
        if (flags & 1)
            r->cloexec |= 1U << i;
    }
}

static _Noreturn void tell(struct standin_reply *r)
{
    char byte;

    note_descriptors(r);
    sys6(NR_sendto, STANDIN_REPLY, (uint64_t)r, sizeof(*r), 0, 0, 0);
    sys3(NR_read, STANDIN_REPLY, &byte, 1);
    for (;;)
        sys1(NR_exit_group, 0);
}

static void went_on(void)
{
    struct standin_reply r = {.went_on = 1};

    tell(&r);
}

static _Noreturn void make_call(int reply)
{
    struct standin_reply r = {0};
    char byte = 0;

    fill_numbers(reply);
    give_file();
    map_pages();
    standin_prepare(&request.q, went_on);
    if (sys6(NR_sendto, STANDIN_REPLY, (uint64_t)&byte, 1, 0, 0, 0) != 1)
        sys1(NR_exit_group, 0);
    r.result = standin_call(request.q.nr, request.q.args);
    r.went_on = standin_went_on(&request.q, r.result);
    tell(&r);
}

_Noreturn void standin_main(void)
{
    /* The stack that the kernel made, and its vDSO: their places are the guests'. */
    sys2(NR_munmap, GATE_LIMIT, ADDRESS_LIMIT - GATE_LIMIT);
    for (;;) {
        int reply = next_request();
        if (reply < 0)
            sys1(NR_exit_group, 0);
        if (sys5(NR_clone, CLONE_PARENT | SIGCHLD, 0, 0, 0, 0) == 0)
            make_call(reply);
        sys1(NR_close, reply);
    }
}
