/* inet sockets: what may go through to the host. */
#ifndef BAILEY_KEEP_INET_H
#define BAILEY_KEEP_INET_H

#include "sandbox/keep/net/sock.h"

extern const struct sock_proto inet_proto;

/* True if the option carries plain data only and concerns nobody but the socket. */
bool inet_option_allowed(int family, int level, int opt, bool set);
/* Keeps those control messages of *m that may be sent, packed. 0 or -EINVAL (malformed). */
int inet_filter_cmsgs(struct sock_msg *m);

/* What a socket of any family tells of the network's interfaces (netdevice(7)): their names, numbers, flags
 * and the like, but no addresses. By unix sockets the C library's if_nametoindex(3) asks. 0, -EFAULT,
 * -ENODEV, ... or -ENOTTY: cmd is something else. */
long inet_interface_ioctl(struct task *t, unsigned cmd, uaddr_t arg);

#endif
