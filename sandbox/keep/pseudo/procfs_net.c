/* /proc/PID/net: the tables of the network namespace that the guests' sockets are in. */

#include "sandbox/keep/pseudo/procfs_priv.h"

/* What is there without a network: the table's head, and lo. */
static const char dev_text[] =
    "Inter-|   Receive                                                |  Transmit\n"
    " face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls "
    "carrier "
    "compressed\n"
    "    lo:       0       0    0    0    0     0          0         0        0       0    0    0    0     0 "
    "      0    "
    "      0\n";
static const char tcp_text[] =
    "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout "
    "inode                                                     \n";
static const char tcp6_text[] = "  sl  local_address                         remote_address                  "
                                "      st tx_queue rx_queue tr tm->when "
                                "retrnsmt   uid  timeout inode\n";
static const char udp_text[] =
    "   sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout "
    "inode ref pointer drops            \n";
static const char udp6_text[] = "  sl  local_address                         remote_address                  "
                                "      st tx_queue rx_queue tr tm->when "
                                "retrnsmt   uid  timeout inode ref pointer drops\n";
static const char raw_text[] =
    "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout "
    "inode ref pointer drops\n";
static const char route_text[] =
    "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT         "
    "                                              \n";
static const char unix_text[] = "Num       RefCount Protocol Flags    Type St Inode Path\n";
static const char netlink_text[] =
    "sk               Eth Pid        Groups   Rmem     Wmem     Dump  Locks    Drops    Inode\n";
static const char packet_text[] = "sk               RefCnt Type Proto  Iface R Rmem   User   Inode\n";
static const char arp_text[] =
    "IP address       HW type     Flags       HW address            Mask     Device\n";
static const char inet6_text[] = "00000000000000000000000000000001 01 80 10 80       lo\n";
static const char sockstat_text[] =
    "sockets: used 0\nTCP: inuse 0 orphan 0 tw 0 alloc 0 mem 0\nUDP: inuse 0 mem 0\n"
    "UDPLITE: inuse 0\nRAW: inuse 0\nFRAG: inuse 0 memory 0\n";
static const char sockstat6_text[] =
    "TCP6: inuse 0\nUDP6: inuse 0\nUDPLITE6: inuse 0\nRAW6: inuse 0\nFRAG6: inuse 0 memory 0\n";

/* With the host's network, its tables: the keep is in the same network namespace as the sockets that it
 * makes. */
static int show_net(struct task *t, struct pnode *n, struct strbuf *sb)
{
    if (t->process->container->net_host && host_proc_read(sb, "self/net/%s", n->entry->name) == 0)
        return 0;
    sb->len = 0;
    sb_printf(sb, "%s", n->entry->text);
    return 0;
}

#define NET_ENTRY(name_, text_)                                                                              \
    {                                                                                                        \
        .name = (name_), .mode = PROC_FILE(0444), .show = show_net, .text = (text_)                          \
    }

const struct pentry proc_net_entries[] = {
    NET_ENTRY("arp", arp_text),
    NET_ENTRY("dev", dev_text),
    NET_ENTRY("dev_mcast", ""),
    NET_ENTRY("fib_trie", ""),
    NET_ENTRY("fib_triestat", ""),
    NET_ENTRY("icmp", raw_text),
    NET_ENTRY("icmp6", tcp6_text),
    NET_ENTRY("if_inet6", inet6_text),
    NET_ENTRY("igmp", "Idx\tDevice    : Count Querier\tGroup    Users Timer\tReporter\n"),
    NET_ENTRY("igmp6", ""),
    NET_ENTRY("ipv6_route", ""),
    /* The keep's own netlink and packet sockets are the host's. */
    {.name = "netlink", .mode = PROC_FILE(0444), .text = netlink_text},
    NET_ENTRY("mcfilter", ""),
    NET_ENTRY("mcfilter6", ""),
    NET_ENTRY("netstat", ""),
    {.name = "packet", .mode = PROC_FILE(0444), .text = packet_text},
    NET_ENTRY("protocols", ""),
    {.name = "psched", .mode = PROC_FILE(0444), .text = "000003e8 00000040 000f4240 3b9aca00\n"},
    NET_ENTRY("ptype", "Type Device      Function\n"),
    NET_ENTRY("raw", raw_text),
    NET_ENTRY("raw6", udp6_text),
    NET_ENTRY("route", route_text),
    NET_ENTRY("rt_cache", ""),
    NET_ENTRY("snmp", ""),
    NET_ENTRY("snmp6", ""),
    NET_ENTRY("sockstat", sockstat_text),
    NET_ENTRY("sockstat6", sockstat6_text),
    NET_ENTRY("softnet_stat", ""),
    NET_ENTRY("tcp", tcp_text),
    NET_ENTRY("tcp6", tcp6_text),
    NET_ENTRY("udp", udp_text),
    NET_ENTRY("udp6", udp6_text),
    NET_ENTRY("udplite", udp_text),
    NET_ENTRY("udplite6", udp6_text),
    /* Unix sockets are the keep's own; those of the host are nobody's business here. */
    {.name = "unix", .mode = PROC_FILE(0444), .text = unix_text},
    {.name = NULL},
};
