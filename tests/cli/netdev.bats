#!/usr/bin/env bats
# linux.netDevices, linux.timeOffsets, and namespaces by path.
bats_require_minimum_version 1.5.0
load helpers

setup() {
    make_bundle
    for applet in ip grep date cut; do
        ln -sf busybox "$BUNDLE/rootfs/bin/$applet"
    done
    command -v ip >/dev/null || skip "no ip(8)"
}

# In a network namespace of its own, so that no interface of the host moves: commands first, then the container.
in_net() { # commands
    unshare --net bash -c '. "$0"; set -e; eval "$1"; shift; bailey run --bundle "$BUNDLE" x' \
        "$BATS_TEST_DIRNAME/helpers.bash" "$1"
}

run_in_net() {
    export BUNDLE BATS_TEST_DIRNAME BATS_TEST_TMPDIR B RUNTIME
    run in_net "$1"
    echo "$output"
}

# The other end's state, and so the carrier, shows when the host gets to it.
shows_up() { # interface
    grep -qE "(^| )$1(@[a-z0-9]+)?: <(NO-CARRIER,)?BROADCAST,MULTICAST,UP[,>]" <<<"$output"
}

@test "netdev: interfaces move in, are renamed, keep global addresses and are up" {
    config '.linux.netDevices = {"dm0": {"name": "eth7"}, "dm1": {}}'
    args sh -c 'ip addr; echo ---; ip link'
    run_in_net 'ip link add dm0 type veth peer name dm1
        ip addr add 10.9.8.7/24 dev dm0; ip addr add 10.9.8.9/24 dev dm0
        ip -6 addr add 2001:db8::5/64 dev dm0; ip link set dm0 up'
    [ "$status" -eq 0 ]
    shows_up eth7
    shows_up dm1
    [[ "$output" != *"dm0:"* ]]
    [[ "$output" == *"inet 10.9.8.7/24"* ]]
    [[ "$output" == *"inet 10.9.8.9/24"* ]]
    [[ "$output" == *"inet6 2001:db8::5/64"* ]]
}

@test "netdev: a name with %d gets a number" {
    config '.linux.netDevices = {"dm0": {"name": "net%d"}}'
    args ip link
    run_in_net 'ip link add dm0 type veth peer name dm9'
    [ "$status" -eq 0 ]
    shows_up net0
}

@test "netdev: what cannot be moved is refused" {
    args true
    config '.linux.netDevices = {"none0": {}}'
    refused "config.json: linux.netDevices: none0: no such interface here: No such device" bailey run --bundle "$BUNDLE" x
    config '.linux.netDevices = {"dm0": {"name": "lo"}}'
    run_in_net 'ip link add dm0 type veth peer name dm9'
    [ "$status" -eq 1 ]
    [[ "$output" == *"linux.netDevices: dm0: its name is taken in the container's network namespace: File exists"* ]]
    # All or none: the first one has not gone.
    config '.linux.netDevices = {"dm0": {}, "dm9": {"name": "lo"}}'
    run unshare --net bash -c '. "$0"; ip link add dm0 type veth peer name dm9
        bailey run --bundle "$BUNDLE" x; ip link show dm0' "$BATS_TEST_DIRNAME/helpers.bash"
    echo "$output"
    [[ "$output" == *"dm9: its name is taken"*"dm0@dm9: "* ]]
    config '.linux.netDevices = {"a/b": {}}'
    refused 'config.json: linux.netDevices.a/b: "a/b" is no interface'"'"'s name' bailey run --bundle "$BUNDLE" x
    config '.linux.netDevices = {"dm0": {}} | .linux.namespaces |= map(select(.type != "network"))'
    refused 'config.json: linux.netDevices: needs a namespace of type "network"' bailey run --bundle "$BUNDLE" x
}

@test "time: offsets are seen by the guest's clocks, for the program and for exec" {
    [ -e /proc/self/ns/time ] || skip "no time namespaces"
    config '.linux.namespaces += [{"type": "time"}]
        | .linux.timeOffsets = {"monotonic": {"secs": 1000000, "nanosecs": 5}, "boottime": {"secs": 2000000}}'
    cp "$B/tests/tools/clocks" "$BUNDLE/rootfs/bin/clocks"
    args /bin/clocks
    host=$("$B/tests/tools/clocks")
    run --separate-stderr bailey run --bundle "$BUNDLE" x
    echo "$output $stderr"
    [ "$status" -eq 0 ]
    read -r _ host_mono host_boot <<<"$host"
    read -r sleeps mono boot <<<"$output"
    [ "$sleeps" = ok ]
    [ $((mono - host_mono)) -ge 1000000 ]
    [ $((mono - host_mono)) -lt 1001000 ]
    [ $((boot - host_boot)) -ge 2000000 ]
    [ $((boot - host_boot)) -lt 2001000 ]
    args cat /proc/self/timens_offsets
    run bailey run --bundle "$BUNDLE" x
    [[ "$output" == *"monotonic"*"1000000"*"5"*"boottime"*"2000000"* ]]

    args sleep 1000
    bailey create --bundle "$BUNDLE" --pid-file "$BATS_TEST_TMPDIR/pid" x </dev/null >/dev/null 2>&1 3>&-
    bailey start x
    [ "$(readlink "/proc/$(<"$BATS_TEST_TMPDIR/pid")/ns/time")" != "$(readlink /proc/self/ns/time)" ]
    run bailey exec x /bin/clocks
    bailey delete --force x
    echo "$output"
    read -r sleeps mono boot <<<"$output"
    [ "$sleeps" = ok ]
    [ $((mono - host_mono)) -ge 1000000 ]
}

@test "time: offsets that make no sense are refused" {
    args true
    config '.linux.timeOffsets = {"monotonic": {"secs": 1}}'
    refused 'config.json: linux.timeOffsets: needs a new namespace of type "time"' bailey run --bundle "$BUNDLE" x
    config '.linux.namespaces += [{"type": "time"}] | .linux.timeOffsets = {"realtime": {"secs": 1}}'
    refused 'config.json: linux.timeOffsets.realtime: only monotonic and boottime have offsets' bailey run --bundle "$BUNDLE" x
    config '.linux.timeOffsets = {"monotonic": {"secs": -999999999}}'
    run bailey run --bundle "$BUNDLE" x
    [ "$status" -eq 1 ]
    [[ "$output" == *"linux.timeOffsets: a clock would be before 0"* ]]
}

@test "namespaces: a path of a wrong type, a relative one and a duplicate are errors" {
    args true
    for type in network ipc uts user time; do
        wrong=/proc/self/ns/mnt
        config --arg t $type --arg p $wrong '.linux.namespaces |= map(select(.type != $t)) + [{"type": $t, "path": $p}]'
        run bailey run --bundle "$BUNDLE" x
        echo "$type: $output"
        [ "$status" -eq 1 ]
        [[ "$output" == *"$wrong is no $type namespace"* || "$output" == *"cannot join the time namespace"* ]]
        nothing_left
        config --arg t $type '.linux.namespaces |= map(select(.type != $t))'
    done
    config '.linux.namespaces += [{"type": "ipc", "path": "relative"}]'
    run bailey run --bundle "$BUNDLE" x
    [[ "$output" == *"linux.namespaces["*"].path: "* ]]
    config '.linux.namespaces |= map(select(.type != "ipc")) + [{"type": "ipc"}, {"type": "ipc"}]'
    run bailey run --bundle "$BUNDLE" x
    [[ "$output" == *'"ipc" is listed twice'* ]]
}
