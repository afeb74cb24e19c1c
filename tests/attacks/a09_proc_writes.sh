#!/bin/bash
# A9 (CVE-2025-52881): what the runtime sets for a container (sysctls, limits, oom_score_adj, mappings) reaches no file that
# the image or a mount puts in the way, and no sysctl of the host.
set -uo pipefail
. "$(dirname "$0")/../lib/attack.sh"
decoy_open
root=$bundle/rootfs
host_sysctls() {
    cat /proc/sys/kernel/core_pattern /proc/sys/kernel/hostname /proc/sys/kernel/msgmax /proc/sys/kernel/shm_rmid_forced \
        /proc/sys/net/ipv4/ip_forward /proc/sys/net/ipv4/ip_unprivileged_port_start /proc/sys/net/ipv4/ping_group_range
}
host_sysctls >"$scratch/sysctls"
mkdir -p "$decoy/net/ipv4" "$decoy/kernel" "$root/proc/sys/net/ipv4" "$root/proc/self/attr"
echo 0 >"$decoy/net/ipv4/ip_forward"
echo 0 >"$root/proc/sys/net/ipv4/ip_forward"
decoy_state >"$scratch/decoy.before"
bundle_set "$bundle" '.linux.sysctl = {"net.ipv4.ip_forward": "1", "kernel.msgmax": "4711", "kernel.shm_rmid_forced": "1"}
    | .process.oomScoreAdj = 500 | .linux.rootfsPropagation = "private"'
bundle_args "$bundle" /bin/sh -c 'cat /proc/sys/kernel/msgmax /proc/sys/net/ipv4/ip_forward; exit 0'
same() { # what
    [ "$(cat "$root/proc/sys/net/ipv4/ip_forward")" = 0 ] || bad "$1: the image's file was written"
    host_sysctls | diff "$scratch/sysctls" - || bad "$1: the host's sysctls changed"
}
try
echo "as it is: status $?: $(xargs <"$scratch/out")"
same "as it is"
# A mount over what would be written.
cp "$bundle/config.json" "$scratch/config.json"
for place in /proc/sys/net /proc/sys /proc/self /proc/sys/net/ipv4; do
    cp "$scratch/config.json" "$bundle/config.json"
    bundle_set "$bundle" --arg d "$decoy" --arg p "$place" \
        '.mounts += [{"destination": $p, "type": "bind", "source": $d, "options": ["bind"]}]'
    try
    echo "a bind at $place: status $?: $(xargs <"$scratch/out" | cut -c1-150)"
    same "a bind at $place"
    bundle_set "$bundle" --arg p "$place" \
        '.mounts[-1] = {"destination": $p, "type": "tmpfs", "source": "tmpfs", "options": []}'
    try
    same "a tmpfs at $place"
done
# Sysctls that are not a container's, and names that leave their directory.
for key in kernel.core_pattern kernel/../../../"${decoy#/}"/secret ../secret net/../../sysrq-trigger \
    net.ipv4.../../../x vm.drop_caches fs.file-max; do
    cp "$scratch/config.json" "$bundle/config.json"
    bundle_set "$bundle" --arg k "$key" '.linux.sysctl = {($k): "1"}'
    try
    echo "sysctl $key: status $?: $(head -1 "$scratch/out" | cut -c1-150)"
    same "sysctl $key"
done
# From inside.
cp "$scratch/config.json" "$bundle/config.json"
bundle_set "$bundle" 'del(.linux.readonlyPaths, .linux.maskedPaths)'
bundle_args "$bundle" /bin/sh -c 'echo "|/test/x" >/proc/sys/kernel/core_pattern; echo h >/proc/sysrq-trigger
    echo evil >/proc/sys/kernel/hostname; echo 9 >/proc/sys/kernel/msgmax; echo 1 >/proc/sys/net/ipv4/ip_forward
    echo 0 >/proc/sys/net/ipv4/ip_unprivileged_port_start; echo -1000 >/proc/1/oom_score_adj; exit 0'
try
same "written inside"
conclude
