#!/usr/bin/env bats
# linux.sysctl: the settings of the container's own namespaces, shown and in effect.
bats_require_minimum_version 1.5.0
load helpers

setup() {
    make_bundle
    cp "$B/tests/tools/ipclimits" "$BUNDLE/rootfs/bin/"
}

set_to() { # key value
    config --arg k "$1" --arg v "$2" '.linux.sysctl = {($k): $v}'
}

not_allowed() { # key value message
    set_to "$1" "$2"
    refused "config.json: linux.sysctl.$1: $3" bailey run --bundle "$BUNDLE" c
}

@test "ipc: shown and in effect, as on the reference" {
    config '.linux.sysctl = {"kernel.shmmax": "8192", "kernel.msgmax": "9000", "kernel.msgmni": "1", "kernel.sem": "5 100 50 1",
        "fs.mqueue.msg_max": "15", "kernel/shmmni": "7"} | .process.capabilities = {}'
    args ipclimits
    run -0 bailey run --bundle "$BUNDLE" c
    [ "$output" = "$(printf '%s\n' 'shm 8192 ok' 'shm 8193 EINVAL' 'msg 9000 ok' 'msg 9001 EINVAL' 'second queue ENOSPC' \
        'sem 5 ok' 'sem 6 EINVAL' 'mq 15 ok' 'mq 16 EINVAL')" ]
    args cat /proc/sys/kernel/shmmax /proc/sys/kernel/sem /proc/sys/fs/mqueue/msg_max /proc/sys/kernel/shmmni
    run -0 bailey run --bundle "$BUNDLE" c
    [ "$output" = $'8192\n5\t100\t50\t1\n15\n7' ]
}

@test "what the container sets itself is in effect, too" {
    config '.process.args = ["sh", "-c", "echo 8192 >/proc/sys/kernel/shmmax; ipclimits | head -2"] | .linux.readonlyPaths = []'
    run -0 bailey run --bundle "$BUNDLE" c
    [ "$output" = $'shm 8192 ok\nshm 8193 EINVAL' ]
}

@test "network: in the namespace on the host, and shown" {
    config '.linux.sysctl = {"net.ipv4.ip_forward": "1", "net.ipv4.ip_local_port_range": "2000 3000",
        "net.ipv4.conf.lo.rp_filter": "1"}'
    args sleep 1000
    bailey create --bundle "$BUNDLE" --pid-file "$BATS_TEST_TMPDIR/pid" c </dev/null >/dev/null 2>&1 3>&-
    bailey start c
    [ "$(bailey exec c cat /proc/sys/net/ipv4/ip_forward 3>&-)" = 1 ]
    [ "$(bailey exec c cat /proc/sys/net/ipv4/ip_local_port_range 3>&-)" = $'2000\t3000' ]
    run nsenter -n -t "$(cat "$BATS_TEST_TMPDIR/pid")" sh -c \
        'cat /proc/sys/net/ipv4/ip_forward /proc/sys/net/ipv4/ip_local_port_range /proc/sys/net/ipv4/conf/lo/rp_filter'
    [ "$output" = $'1\n2000\t3000\n1' ]
    bailey delete --force c
}

@test "low ports: the keep judges by the container's setting" {
    config '.process.capabilities = {}'
    args ipclimits 79 80 1024
    run -0 bailey run --bundle "$BUNDLE" c
    [ "${lines[0]}|${lines[1]}|${lines[2]}" = "port 79 EACCES|port 80 EACCES|port 1024 ok" ]
    set_to net.ipv4.ip_unprivileged_port_start 80
    run -0 bailey run --bundle "$BUNDLE" c
    echo "$output"
    [ "${lines[0]}|${lines[1]}|${lines[2]}" = "port 79 EACCES|port 80 ok|port 1024 ok" ]
}

@test "the machine's names" {
    config 'del(.hostname) | .linux.sysctl = {"kernel.hostname": "one", "kernel.domainname": "two"}'
    args sh -c 'hostname; cat /proc/sys/kernel/domainname'
    run -0 bailey run --bundle "$BUNDLE" c
    [ "$output" = $'one\ntwo' ]
    config '.hostname = "three"'
    refused 'config.json: linux.sysctl.kernel.hostname: differs from hostname' \
        bailey run --bundle "$BUNDLE" c
}

@test "others are refused by their names" {
    not_allowed vm.swappiness 10 'does not belong to a namespace, so that it is not the container'"'"'s to set'
    not_allowed kernel.core_pattern '|/x' 'does not belong to a namespace, so that it is not the container'"'"'s to set'
    not_allowed kernel.shmfoo 1 'does not belong to a namespace, so that it is not the container'"'"'s to set'
    not_allowed fs.mqueue.foo 1 'there is no such setting'
    not_allowed kernel.msgmax x 'not a valid value'
    not_allowed kernel.shmmax -1 'not a valid value'
    not_allowed net.ipv4.foo 1 'cannot set it to "1": No such file or directory'
    set_to net/../../self/oom_score_adj 1
    refused 'config.json: linux.sysctl: "net/../../self/oom_score_adj" is no sysctl'"'"'s name' bailey run --bundle "$BUNDLE" c
    not_allowed net.ipv4.ip_forward nonsense 'not a valid value'
    config '.linux.namespaces |= map(select(.type != "network"))'
    not_allowed net.ipv4.ip_forward 1 'the container has no network namespace of its own'
    config '.linux.namespaces |= map(select(.type != "ipc"))'
    not_allowed kernel.msgmax 1 'the container has no ipc namespace of its own'
    config '.linux.namespaces |= map(select(.type != "uts")) | del(.hostname)'
    not_allowed kernel.domainname x 'the container has no uts namespace of its own'
}

@test "the caller's own network namespace, joined by its path, stays as it is" {
    command -v unshare || skip "no unshare"
    config '(.linux.namespaces[] | select(.type == "network")).path = "/proc/self/ns/net"'
    args true
    run unshare --net sh -c "'$BAILEY' --root '$STATE' run --bundle '$BUNDLE' c && cat /proc/sys/net/ipv4/ip_unprivileged_port_start" 3>&-
    [ "$status" -eq 0 ]
    [ "$output" = 1024 ]
    config '.linux.sysctl = {"net.ipv4.ip_forward": "1"}'
    refused "config.json: linux.sysctl.net.ipv4.ip_forward: the container has no network namespace of its own" \
        bailey run --bundle "$BUNDLE" c
}
