#!/usr/bin/env bats
# What a guest sees of its limits: its own control groups' files, and all that is made of them.
bats_require_minimum_version 1.5.0
load helpers
load cgroup

setup() {
    make_bundle
    local applet
    for applet in nproc grep free sed dirname; do
        ln -s busybox "$BUNDLE/rootfs/bin/$applet"
    done
    id_for cgview
    needs_v1
    config --arg p "/$ID" '.linux.cgroupsPath = $p | .linux.resources = {}'
}

teardown() {
    delete_it
}

run_sh() {
    args sh -c "$1"
    run --separate-stderr bailey run --bundle "$BUNDLE" "$ID"
}

@test "memory: meminfo, sysinfo and the cgroup's files say the limit, and follow update" {
    config '.linux.resources.memory = {limit: 67108864, swap: 67108864}'
    start_it
    [ "$(bailey exec "$ID" sed -n 's/^MemTotal: *//p' /proc/meminfo)" = "65536 kB" ]
    [ "$(bailey exec "$ID" sed -n 's/^SwapTotal: *//p' /proc/meminfo)" = "0 kB" ]
    [ "$(bailey exec "$ID" free -k | awk '/^Mem/ {print $2}')" = 65536 ]
    [ "$(bailey exec "$ID" cat /sys/fs/cgroup/memory/memory.limit_in_bytes)" = 67108864 ]
    [ "$(bailey exec "$ID" cat /sys/fs/cgroup/memory/memory.usage_in_bytes)" -gt 0 ]
    bailey update --memory 134217728 --memory-swap 134217728 "$ID"
    [ "$(bailey exec "$ID" sed -n 's/^MemTotal: *//p' /proc/meminfo)" = "131072 kB" ]
    [ "$(bailey exec "$ID" cat /sys/fs/cgroup/memory/memory.limit_in_bytes)" = 134217728 ]
}

@test "processors: as many as the quota is worth, of those in the cpuset" {
    [ "$(nproc)" -ge 2 ] || skip "one processor"
    start_it
    [ "$(bailey exec "$ID" nproc)" -ge 2 ]
    bailey update --cpu-period 100000 --cpu-quota "$(one_processor)" "$ID"
    [ "$(bailey exec "$ID" nproc)" = 1 ]
    [ "$(bailey exec "$ID" grep -c ^processor /proc/cpuinfo)" = 1 ]
    [ "$(bailey exec "$ID" grep -c '^cpu[0-9]' /proc/stat)" = 1 ]
    [ "$(bailey exec "$ID" cat /sys/devices/system/cpu/online)" = 0 ]
    [ "$(bailey exec "$ID" cat /sys/devices/system/cpu/possible)" = "$(cat /sys/devices/system/cpu/possible)" ]
    bailey update --cpu-quota -1 --cpuset-cpus 1 "$ID"
    [ "$(bailey exec "$ID" nproc)" = 1 ]
    [ "$(bailey exec "$ID" cat /sys/devices/system/cpu/online)" = 1 ]
    [ "$(bailey exec "$ID" sed -n 's/^processor.*: //p' /proc/cpuinfo)" = 1 ]
    [ "$(bailey exec "$ID" sed -n 's/^Cpus_allowed_list:.//p' /proc/self/status)" = 1 ]
    [ "$(bailey exec "$ID" cat /sys/fs/cgroup/cpuset/cpuset.cpus)" = 1 ]
}

@test "update gives a limit of a kind that there was none of before" {
    config 'del(.linux.cgroupsPath)'
    start_it
    [ "$(bailey exec "$ID" cat /sys/fs/cgroup/memory/memory.limit_in_bytes)" = 9223372036854771712 ]
    bailey update --memory 67108864 "$ID"
    [ "$(bailey exec "$ID" sed -n 's/^MemTotal: *//p' /proc/meminfo)" = "65536 kB" ]
}

@test "pids: the keep's own count of tasks follows update" {
    config '.linux.resources.pids = {limit: 30}'
    start_it
    bailey update --pids-limit 6 "$ID"
    run --separate-stderr bailey exec "$ID" sh -c 'for i in 1 2 3 4 5 6; do sleep 1000 >/dev/null 2>&1 & done; echo not reached'
    [ "$output" = "" ]
    [[ "$stderr" == *"can't fork"* ]]
    [ "$(bailey exec "$ID" cat /sys/fs/cgroup/pids/pids.max)" = 6 ]
    bailey update --pids-limit -1 "$ID"
    run --separate-stderr bailey exec "$ID" sh -c 'for i in 1 2 3 4 5 6; do true & done; wait; echo reached'
    [ "$output" = reached ]
}

@test "the tree: a mount for each hierarchy, read-only, guests' own pids, no way up" {
    run_sh 'sed -n "s/.* \/sys\/fs\/cgroup\/memory \(..\),.* - cgroup .*\(memory\).*/\1 \2/p" /proc/self/mountinfo
        cat /sys/fs/cgroup/memory/cgroup.procs; ls -d /sys/fs/cgroup/memory/../memory; ls /sys/fs/cgroup/memory/../../cgroup | grep -c memory
        echo 5 >/sys/fs/cgroup/pids/pids.max; mkdir /sys/fs/cgroup/pids/x'
    [ "${lines[0]}" = "ro memory" ]
    [ "${lines[1]}" = 1 ]
    [ "${lines[3]}" = /sys/fs/cgroup/memory/../memory ]
    [[ "$stderr" == *"pids.max: Read-only file system"* ]]
    [[ "$stderr" == *"mkdir"* ]]
}

@test "a cgroup namespace hides where on the host it is" {
    config '.linux.namespaces |= map(select(.type != "cgroup")) + [{type: "cgroup"}]'
    run_sh 'grep ":memory:" /proc/self/cgroup'
    [[ "$output" == *":memory:/" ]]
    config '.linux.namespaces |= map(select(.type != "cgroup"))'
    run_sh 'grep ":memory:" /proc/self/cgroup; grep " /sys/fs/cgroup/memory " /proc/self/mountinfo'
    [[ "${lines[0]}" == *":memory:/$ID" ]]
    [[ "${lines[1]}" == *" /$ID /sys/fs/cgroup/memory "* ]]
}

@test "what is mounted read-write can be written by root, for its own cgroup" {
    config '(.mounts[] | select(.destination == "/sys/fs/cgroup")).options = ["rw", "nosuid", "noexec", "nodev"] | .linux.resources.pids = {limit: 40}'
    run_sh 'echo 20 >/sys/fs/cgroup/pids/pids.max; cat /sys/fs/cgroup/pids/pids.max; echo $$ >/sys/fs/cgroup/pids/cgroup.procs && echo in; echo 99999 >/sys/fs/cgroup/pids/cgroup.procs'
    [ "${lines[0]}" = 20 ]
    [ "${lines[1]}" = in ]
    [[ "$stderr" == *"No such process"* ]]
}
