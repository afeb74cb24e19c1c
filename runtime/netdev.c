#include "runtime/netdev.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/if_addr.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <sched.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "common/cleanup.h"

#define ADDRESSES_MAX 256 /* of one interface */

struct address {
    unsigned char family, prefix, len;
    bool has_local, has_broadcast;
    unsigned char address[16], local[16], broadcast[16];
};

struct moving {
    const struct oci_net_device *d;
    unsigned index;
    struct address *addresses;
    size_t n;
};

/* Netlink ----------------------------------------------------------------------------------- */

struct request {
    struct nlmsghdr h;
    union {
        struct ifinfomsg link;
        struct ifaddrmsg address;
    };
    char attributes[256];
};

static void put(struct request *q, unsigned short type, const void *data, size_t len)
{
    struct rtattr *a = (struct rtattr *)((char *)q + NLMSG_ALIGN(q->h.nlmsg_len));

    a->rta_type = type;
    a->rta_len = (unsigned short)RTA_LENGTH(len);
    memcpy(RTA_DATA(a), data, len);
    q->h.nlmsg_len = NLMSG_ALIGN(q->h.nlmsg_len) + RTA_ALIGN(a->rta_len);
}

static int open_netlink(void)
{
    struct sockaddr_nl kernel = {.nl_family = AF_NETLINK};
    _cleanup_close_ int s = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);

    if (s < 0 || connect(s, (struct sockaddr *)&kernel, sizeof(kernel)) < 0)
        return -errno;
    return steal_fd(&s);
}

static int ask(int s, const struct request *q)
{
    struct {
        struct nlmsghdr h;
        struct nlmsgerr err;
        char rest[512];
    } answer;

    if (send(s, q, q->h.nlmsg_len, 0) < 0)
        return -errno;
    ssize_t n = recv(s, &answer, sizeof(answer), 0);
    if (n < 0)
        return -errno;
    return (size_t)n >= sizeof(answer.h) + sizeof(answer.err) && answer.h.nlmsg_type == NLMSG_ERROR
               ? answer.err.error
               : -EBADMSG;
}

/* Addresses --------------------------------------------------------------------------------- */

static void take_attribute(const struct rtattr *a, struct address *ret, uint32_t *flags)
{
    size_t len = RTA_PAYLOAD(a);
    unsigned char *to = a->rta_type == IFA_ADDRESS     ? ret->address
                        : a->rta_type == IFA_LOCAL     ? ret->local
                        : a->rta_type == IFA_BROADCAST ? ret->broadcast
                                                       : NULL;

    if (a->rta_type == IFA_FLAGS && len == sizeof(*flags))
        memcpy(flags, RTA_DATA(a), sizeof(*flags));
    if (!to || len > sizeof(ret->address))
        return;
    memcpy(to, RTA_DATA(a), len);
    ret->len = (unsigned char)len;
    ret->has_local |= a->rta_type == IFA_LOCAL;
    ret->has_broadcast |= a->rta_type == IFA_BROADCAST;
}

static void take_address(const struct nlmsghdr *h, struct moving *m)
{
    const struct ifaddrmsg *i = NLMSG_DATA(h);
    struct address a = {.family = i->ifa_family, .prefix = i->ifa_prefixlen};
    uint32_t flags = i->ifa_flags;
    int left = (int)IFA_PAYLOAD(h);

    if (i->ifa_index != m->index || i->ifa_scope != RT_SCOPE_UNIVERSE || m->n == ADDRESSES_MAX)
        return;
    for (const struct rtattr *at = IFA_RTA(i); RTA_OK(at, left); at = RTA_NEXT(at, left))
        take_attribute(at, &a, &flags);
    if ((flags & IFA_F_PERMANENT) && a.len)
        m->addresses[m->n++] = a;
}

/* 1: go on reading. */
static int take_dump(const char *buf, size_t len, struct moving *m)
{
    for (const struct nlmsghdr *h = (const void *)buf; NLMSG_OK(h, len); h = NLMSG_NEXT(h, len)) {
        if (h->nlmsg_type == NLMSG_DONE)
            return 0;
        if (h->nlmsg_type == NLMSG_ERROR)
            return ((const struct nlmsgerr *)NLMSG_DATA(h))->error;
        if (h->nlmsg_type == RTM_NEWADDR)
            take_address(h, m);
    }
    return 1;
}

static int read_addresses(int s, struct moving *m)
{
    struct request q = {.h = {.nlmsg_len = NLMSG_LENGTH(sizeof(q.address)),
                              .nlmsg_type = RTM_GETADDR,
                              .nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP}};
    _Alignas(struct nlmsghdr) char buf[32768];
    int r = 1;

    m->addresses = calloc(ADDRESSES_MAX, sizeof(*m->addresses));
    if (!m->addresses)
        return -ENOMEM;
    if (send(s, &q, q.h.nlmsg_len, 0) < 0)
        return -errno;
    while (r > 0) {
        ssize_t n = recv(s, buf, sizeof(buf), 0);
        r = n < 0 ? -errno : take_dump(buf, (size_t)n, m);
    }
    return r;
}

static int add_address(int s, unsigned index, const struct address *a)
{
    struct request q = {.h = {.nlmsg_len = NLMSG_LENGTH(sizeof(q.address)),
                              .nlmsg_type = RTM_NEWADDR,
                              .nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL}};

    q.address = (struct ifaddrmsg){.ifa_family = a->family,
                                   .ifa_prefixlen = a->prefix,
                                   .ifa_flags = IFA_F_PERMANENT,
                                   .ifa_scope = RT_SCOPE_UNIVERSE,
                                   .ifa_index = index};
    put(&q, IFA_ADDRESS, a->address, a->len);
    if (a->has_local)
        put(&q, IFA_LOCAL, a->local, a->len);
    if (a->has_broadcast)
        put(&q, IFA_BROADCAST, a->broadcast, a->len);
    int r = ask(s, &q);
    return r == -EEXIST ? 0 : r;
}

/* Links ------------------------------------------------------------------------------------- */

static int move_link(int s, const struct moving *m, int netns)
{
    struct request q = {.h = {.nlmsg_len = NLMSG_LENGTH(sizeof(q.link)),
                              .nlmsg_type = RTM_NEWLINK,
                              .nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK}};

    q.link = (struct ifinfomsg){.ifi_index = (int)m->index};
    put(&q, IFLA_NET_NS_FD, &(uint32_t){(uint32_t)netns}, sizeof(uint32_t));
    put(&q, IFLA_IFNAME, m->d->name, strlen(m->d->name) + 1);
    return ask(s, &q);
}

static int set_up(int s, unsigned index)
{
    struct request q = {.h = {.nlmsg_len = NLMSG_LENGTH(sizeof(q.link)),
                              .nlmsg_type = RTM_NEWLINK,
                              .nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK}};

    q.link = (struct ifinfomsg){.ifi_index = (int)index, .ifi_flags = IFF_UP, .ifi_change = IFF_UP};
    return ask(s, &q);
}

/* The index stays, unless somebody has it there already; the name is known unless it is a pattern. */
static unsigned index_there(const struct moving *m)
{
    char name[IF_NAMESIZE];
    unsigned index = strchr(m->d->name, '%') ? 0 : if_nametoindex(m->d->name);

    if (index == 0 && if_indextoname(m->index, name) &&
        strncmp(name, m->d->name, strcspn(m->d->name, "%")) == 0)
        index = m->index;
    return index;
}

static int arrive(const struct moving *m)
{
    _cleanup_close_ int s = open_netlink();
    unsigned index = index_there(m);
    int r = s < 0 ? s : index ? 0 : -ENODEV;

    for (size_t i = 0; r == 0 && i < m->n; i++)
        r = add_address(s, index, &m->addresses[i]);
    return r == 0 ? set_up(s, index) : r;
}

/* All together ------------------------------------------------------------------------------ */

static int device_error(const struct oci_net_device *d, int r, const char *what, struct err *e)
{
    (void)err_set(e,
                  r == -EPERM                    ? ERR_PERM
                  : r == -ENODEV || r == -EEXIST ? ERR_CONFIG
                                                 : ERR_SYS,
                  -r, "config.json: linux.netDevices: %s: %s", d->host_name, what);
    return -1;
}

static int look_at(struct moving *all, const struct oci_net_device *devices, size_t n, int s, struct err *e)
{
    for (size_t i = 0; i < n; i++) {
        all[i].d = &devices[i];
        all[i].index = if_nametoindex(devices[i].host_name);
        if (!all[i].index)
            return device_error(&devices[i], -ENODEV, "no such interface here", e);
        for (size_t k = 0; k < i; k++)
            if (strcmp(devices[k].name, devices[i].name) == 0 && !strchr(devices[i].name, '%'))
                return device_error(&devices[i], -EEXIST, "another one gets the same name", e);
        int r = read_addresses(s, &all[i]);
        if (r < 0)
            return device_error(&devices[i], r, "cannot read its addresses", e);
    }
    return 0;
}

/* Whether their names are free there: what has moved would go with a namespace that is given up. */
static int look_there(const struct oci_net_device *devices, size_t n, int netns, struct err *e)
{
    _cleanup_close_ int here = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
    const struct oci_net_device *taken = NULL;

    if (here < 0 || setns(netns, CLONE_NEWNET) < 0)
        return err_set(e, ERR_SYS, errno, "cannot enter the container's network namespace");
    for (size_t i = 0; i < n && !taken; i++)
        if (!strchr(devices[i].name, '%') && if_nametoindex(devices[i].name))
            taken = &devices[i];
    if (setns(here, CLONE_NEWNET) < 0)
        return err_set(e, ERR_SYS, errno, "cannot go back to the network namespace of before");
    return taken ? device_error(taken, -EEXIST, "its name is taken in the container's network namespace", e)
                 : 0;
}

static int move_all(struct moving *all, size_t n, int s, int netns, struct err *e)
{
    for (size_t i = 0; i < n; i++) {
        int r = move_link(s, &all[i], netns);
        if (r < 0)
            return device_error(all[i].d, r, "cannot move it into the container's network namespace", e);
    }
    if (setns(netns, CLONE_NEWNET) < 0)
        return err_set(e, ERR_SYS, errno, "cannot enter the container's network namespace");
    for (size_t i = 0; i < n; i++) {
        int r = arrive(&all[i]);
        if (r < 0)
            return device_error(all[i].d, r, "cannot set it up in the container", e);
    }
    return 0;
}

int netdev_move(const struct oci_net_device *devices, size_t n, int netns, struct err *e)
{
    struct moving *all = calloc(n, sizeof(*all));
    _cleanup_close_ int s = open_netlink();

    if (!all || s < 0)
        return err_set(e, ERR_SYS, all ? -s : ENOMEM, "config.json: linux.netDevices");
    int r = look_at(all, devices, n, s, e) < 0 || look_there(devices, n, netns, e) < 0
                ? -1
                : move_all(all, n, s, netns, e);
    for (size_t i = 0; i < n; i++)
        free(all[i].addresses);
    free(all);
    return r;
}
