/* Socket options and control messages that inet sockets pass on to the host. None of them holds a pointer, a
 * descriptor or a program (filters), and none reaches beyond the socket. */
#include <linux/netlink.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <netinet/udp.h>
#include <string.h>

#include "sandbox/keep/net/inet.h"

enum { GET = 1, SET = 2, BOTH = 3 };

struct option {
    int level, opt, rights;
};

static const struct option inet_options[] = {
    {SOL_SOCKET, SO_DEBUG, GET},
    {SOL_SOCKET, SO_REUSEADDR, BOTH},
    {SOL_SOCKET, SO_REUSEPORT, BOTH},
    {SOL_SOCKET, SO_TYPE, GET},
    {SOL_SOCKET, SO_PROTOCOL, GET},
    {SOL_SOCKET, SO_ERROR, GET},
    {SOL_SOCKET, SO_DONTROUTE, BOTH},
    {SOL_SOCKET, SO_BROADCAST, BOTH},
    {SOL_SOCKET, SO_SNDBUF, BOTH},
    {SOL_SOCKET, SO_RCVBUF, BOTH},
    {SOL_SOCKET, SO_SNDBUFFORCE, SET},
    {SOL_SOCKET, SO_RCVBUFFORCE, SET},
    {SOL_SOCKET, SO_KEEPALIVE, BOTH},
    {SOL_SOCKET, SO_OOBINLINE, BOTH},
    {SOL_SOCKET, SO_NO_CHECK, BOTH},
    {SOL_SOCKET, SO_PRIORITY, BOTH},
    {SOL_SOCKET, SO_LINGER, BOTH},
    {SOL_SOCKET, SO_RCVLOWAT, BOTH},
    {SOL_SOCKET, SO_SNDLOWAT, GET},
    {SOL_SOCKET, SO_TIMESTAMP, BOTH},
    {SOL_SOCKET, SO_TIMESTAMPNS, BOTH},
    {SOL_SOCKET, SO_TIMESTAMPING, BOTH},
    {SOL_SOCKET, 63 /* SO_TIMESTAMP_NEW */, BOTH},
    {SOL_SOCKET, 64 /* SO_TIMESTAMPNS_NEW */, BOTH},
    {SOL_SOCKET, 65 /* SO_TIMESTAMPING_NEW */, BOTH},
    {SOL_SOCKET, SO_ACCEPTCONN, GET},
    {SOL_SOCKET, SO_BINDTODEVICE, BOTH},
    {SOL_SOCKET, SO_MARK, GET},
    {SOL_SOCKET, SO_RXQ_OVFL, BOTH},
    {SOL_SOCKET, SO_PEEK_OFF, BOTH},
    {SOL_SOCKET, SO_BUSY_POLL, GET},
    {SOL_SOCKET, SO_INCOMING_CPU, BOTH},
    {SOL_SOCKET, SO_INCOMING_NAPI_ID, GET},
    {SOL_SOCKET, SO_COOKIE, GET},
    {SOL_SOCKET, SO_MEMINFO, GET},
    {SOL_SOCKET, SO_MAX_PACING_RATE, BOTH},
    {IPPROTO_IP, IP_TOS, BOTH},
    {IPPROTO_IP, IP_TTL, BOTH},
    {IPPROTO_IP, IP_HDRINCL, GET},
    {IPPROTO_IP, IP_OPTIONS, GET},
    {IPPROTO_IP, IP_RECVOPTS, BOTH},
    {IPPROTO_IP, IP_RETOPTS, BOTH},
    {IPPROTO_IP, IP_PKTINFO, BOTH},
    {IPPROTO_IP, IP_MTU_DISCOVER, BOTH},
    {IPPROTO_IP, IP_MTU, GET},
    {IPPROTO_IP, IP_RECVERR, BOTH},
    {IPPROTO_IP, IP_RECVTTL, BOTH},
    {IPPROTO_IP, IP_RECVTOS, BOTH},
    {IPPROTO_IP, IP_FREEBIND, BOTH},
    {IPPROTO_IP, IP_MINTTL, BOTH},
    {IPPROTO_IP, IP_NODEFRAG, GET},
    {IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, BOTH},
    {IPPROTO_IP, IP_RECVORIGDSTADDR, BOTH},
    {IPPROTO_IP, IP_UNICAST_IF, BOTH},
    {IPPROTO_IP, IP_MULTICAST_IF, BOTH},
    {IPPROTO_IP, IP_MULTICAST_TTL, BOTH},
    {IPPROTO_IP, IP_MULTICAST_LOOP, BOTH},
    {IPPROTO_IP, IP_MULTICAST_ALL, BOTH},
    {IPPROTO_IP, IP_ADD_MEMBERSHIP, SET},
    {IPPROTO_IP, IP_DROP_MEMBERSHIP, SET},
    {IPPROTO_IP, IP_ADD_SOURCE_MEMBERSHIP, SET},
    {IPPROTO_IP, IP_DROP_SOURCE_MEMBERSHIP, SET},
    {IPPROTO_IP, IP_BLOCK_SOURCE, SET},
    {IPPROTO_IP, IP_UNBLOCK_SOURCE, SET},
    {IPPROTO_IP, MCAST_JOIN_GROUP, SET},
    {IPPROTO_IP, MCAST_LEAVE_GROUP, SET},
    {IPPROTO_IP, MCAST_JOIN_SOURCE_GROUP, SET},
    {IPPROTO_IP, MCAST_LEAVE_SOURCE_GROUP, SET},
    {IPPROTO_IPV6, IPV6_V6ONLY, BOTH},
    {IPPROTO_IPV6, IPV6_UNICAST_HOPS, BOTH},
    {IPPROTO_IPV6, IPV6_MULTICAST_IF, BOTH},
    {IPPROTO_IPV6, IPV6_MULTICAST_HOPS, BOTH},
    {IPPROTO_IPV6, IPV6_MULTICAST_LOOP, BOTH},
    {IPPROTO_IPV6, IPV6_MULTICAST_ALL, BOTH},
    {IPPROTO_IPV6, IPV6_JOIN_GROUP, SET},
    {IPPROTO_IPV6, IPV6_LEAVE_GROUP, SET},
    {IPPROTO_IPV6, MCAST_JOIN_GROUP, SET},
    {IPPROTO_IPV6, MCAST_LEAVE_GROUP, SET},
    {IPPROTO_IPV6, MCAST_JOIN_SOURCE_GROUP, SET},
    {IPPROTO_IPV6, MCAST_LEAVE_SOURCE_GROUP, SET},
    {IPPROTO_IPV6, IPV6_MTU_DISCOVER, BOTH},
    {IPPROTO_IPV6, IPV6_MTU, BOTH},
    {IPPROTO_IPV6, IPV6_RECVERR, BOTH},
    {IPPROTO_IPV6, IPV6_RECVPKTINFO, BOTH},
    {IPPROTO_IPV6, IPV6_RECVHOPLIMIT, BOTH},
    {IPPROTO_IPV6, IPV6_RECVTCLASS, BOTH},
    {IPPROTO_IPV6, IPV6_TCLASS, BOTH},
    {IPPROTO_IPV6, IPV6_DONTFRAG, BOTH},
    {IPPROTO_IPV6, IPV6_RECVPATHMTU, BOTH},
    {IPPROTO_IPV6, IPV6_UNICAST_IF, BOTH},
    {IPPROTO_IPV6, IPV6_ADDR_PREFERENCES, BOTH},
    {IPPROTO_IPV6, IPV6_AUTOFLOWLABEL, BOTH},
    {IPPROTO_IPV6, IPV6_FREEBIND, BOTH},
    {IPPROTO_IPV6, IPV6_RECVORIGDSTADDR, BOTH},
    {IPPROTO_TCP, TCP_NODELAY, BOTH},
    {IPPROTO_TCP, TCP_MAXSEG, BOTH},
    {IPPROTO_TCP, TCP_CORK, BOTH},
    {IPPROTO_TCP, TCP_KEEPIDLE, BOTH},
    {IPPROTO_TCP, TCP_KEEPINTVL, BOTH},
    {IPPROTO_TCP, TCP_KEEPCNT, BOTH},
    {IPPROTO_TCP, TCP_SYNCNT, BOTH},
    {IPPROTO_TCP, TCP_LINGER2, BOTH},
    {IPPROTO_TCP, TCP_DEFER_ACCEPT, BOTH},
    {IPPROTO_TCP, TCP_WINDOW_CLAMP, BOTH},
    {IPPROTO_TCP, TCP_INFO, GET},
    {IPPROTO_TCP, TCP_QUICKACK, BOTH},
    {IPPROTO_TCP, TCP_CONGESTION, BOTH},
    {IPPROTO_TCP, TCP_THIN_LINEAR_TIMEOUTS, BOTH},
    {IPPROTO_TCP, TCP_USER_TIMEOUT, BOTH},
    {IPPROTO_TCP, TCP_FASTOPEN, BOTH},
    {IPPROTO_TCP, TCP_FASTOPEN_CONNECT, BOTH},
    {IPPROTO_TCP, TCP_NOTSENT_LOWAT, BOTH},
    {IPPROTO_TCP, TCP_SAVE_SYN, BOTH},
    {IPPROTO_TCP, TCP_SAVED_SYN, GET},
    {IPPROTO_TCP, TCP_INQ, BOTH},
    {IPPROTO_UDP, UDP_CORK, BOTH},
    {IPPROTO_UDP, 103 /* UDP_SEGMENT */, BOTH},
    {IPPROTO_UDP, 104 /* UDP_GRO */, BOTH},
    {SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, SET},
    {SOL_NETLINK, NETLINK_DROP_MEMBERSHIP, SET},
    {SOL_NETLINK, NETLINK_PKTINFO, BOTH},
    {SOL_NETLINK, NETLINK_BROADCAST_ERROR, BOTH},
    {SOL_NETLINK, NETLINK_NO_ENOBUFS, BOTH},
    {SOL_NETLINK, NETLINK_LIST_MEMBERSHIPS, GET},
    {SOL_NETLINK, NETLINK_CAP_ACK, BOTH},
    {SOL_NETLINK, NETLINK_EXT_ACK, BOTH},
    {SOL_NETLINK, NETLINK_GET_STRICT_CHK, BOTH},
};

bool inet_option_allowed(int family, int level, int opt, bool set)
{
    if (family == AF_NETLINK && level != SOL_SOCKET && level != SOL_NETLINK)
        return false;
    for (size_t i = 0; i < ARRAY_SIZE(inet_options); i++)
        if (inet_options[i].level == level && inet_options[i].opt == opt)
            return inet_options[i].rights & (set ? SET : GET);
    return false;
}

/* Ancillary data of SOL_SOCKET means nothing to an inet socket, or (descriptors, credentials, marks) must not
 * reach the host. */
static bool cmsg_allowed(const struct cmsghdr *c)
{
    switch (c->cmsg_level) {
    case IPPROTO_IP:
        return c->cmsg_type == IP_PKTINFO || c->cmsg_type == IP_TTL || c->cmsg_type == IP_TOS;
    case IPPROTO_IPV6:
        return c->cmsg_type == IPV6_PKTINFO || c->cmsg_type == IPV6_HOPLIMIT || c->cmsg_type == IPV6_TCLASS ||
               c->cmsg_type == IPV6_DONTFRAG;
    case IPPROTO_UDP:
        return c->cmsg_type == 103; /* UDP_SEGMENT */
    default:
        return false;
    }
}

int inet_filter_cmsgs(struct sock_msg *m)
{
    size_t in = 0, out = 0;
    while (m->control_len - in >= sizeof(struct cmsghdr)) {
        struct cmsghdr c;
        memcpy(&c, m->control + in, sizeof(c));
        if (c.cmsg_len < sizeof(c) || c.cmsg_len > m->control_len - in)
            return -EINVAL;
        size_t space = CMSG_ALIGN(c.cmsg_len);
        if (space > m->control_len - in)
            space = m->control_len - in;
        if (cmsg_allowed(&c)) {
            memmove(m->control + out, m->control + in, space);
            out += space;
        }
        in += space;
    }
    m->control_len = out;
    if (!out) {
        free(m->control);
        m->control = NULL;
    }
    return 0;
}
