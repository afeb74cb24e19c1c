#!/usr/bin/env bats
# Limits by control groups of version 2, on hosts whose controllers are there: what is written, what guests see of it.
bats_require_minimum_version 1.5.0
load helpers
load cgroup

setup() {
    make_bundle
    local applet
    for applet in nproc grep free sed mkdir; do
        ln -s busybox "$BUNDLE/rootfs/bin/$applet"
    done
    id_for cgv2l
    CG=/sys/fs/cgroup/$ID
    grep -qsw memory /sys/fs/cgroup/cgroup.controllers && [ -w /sys/fs/cgroup ] || skip "the controllers are not in version 2 here"
    config --arg p "/$ID" '.linux.cgroupsPath = $p | .linux.resources = {} | .root.readonly = false
        | .linux.namespaces |= map(select(.type != "cgroup"))'
}

teardown() {
    delete_it
}

holds() { # file value
    echo "$1: $(cat "$CG/$1")"
    [ "$(cat "$CG/$1")" = "$2" ]
}

@test "limits of all controllers are written, and changed by update" {
    config '.linux.resources = {memory: {limit: 50003968, swap: 70004736, reservation: 40001536}, pids: {limit: 30},
        cpu: {shares: 1024, quota: 50000, period: 100000, cpus: "0"}}'
    start_it
    holds memory.max 50003968
    holds memory.swap.max 20000768
    holds memory.low 40001536
    holds pids.max 30
    holds cpu.max "50000 100000"
    holds cpuset.cpus 0
    weight=$(cat "$CG/cpu.weight")
    [ "$weight" -ge 39 ] && [ "$weight" -le 100 ]
    bailey update --memory 67108864 --memory-swap=134217728 --pids-limit 33 --cpu-share 2 "$ID"
    holds memory.max 67108864
    holds memory.swap.max 67108864
    holds pids.max 33
    holds cpu.weight 1
    echo '{"memory": {"limit": -1, "swap": -1}, "cpu": {"quota": -1, "period": 60000}, "pids": {"limit": -1}}' | bailey update -r - "$ID"
    holds memory.max max
    holds cpu.max "max 60000"
    holds pids.max max
}

@test "a guest sees its limits, and the files that say them" {
    config '.linux.resources.memory = {limit: 67108864, swap: 67108864} | .linux.resources.cpu = {quota: 100000, period: 100000}'
    start_it
    [ "$(bailey exec "$ID" sed -n 's/^MemTotal: *//p' /proc/meminfo)" = "65536 kB" ]
    [ "$(bailey exec "$ID" sed -n 's/^SwapTotal: *//p' /proc/meminfo)" = "0 kB" ]
    [ "$(bailey exec "$ID" nproc)" = 1 ]
    [ "$(bailey exec "$ID" cat /sys/fs/cgroup/memory.max)" = 67108864 ]
    [ "$(bailey exec "$ID" cat /sys/fs/cgroup/memory.current)" -gt 0 ]
    run -1 bailey exec "$ID" sh -c 'echo 1 >/sys/fs/cgroup/pids.max'
    [[ "$output" == *"Read-only file system"* ]]
    bailey update --memory 134217728 --memory-swap 134217728 "$ID"
    [ "$(bailey exec "$ID" sed -n 's/^MemTotal: *//p' /proc/meminfo)" = "131072 kB" ]
    [ "$(bailey exec "$ID" cat /proc/self/cgroup)" = "0::/$ID" ]
}

@test "exec in a cgroup below the container's" {
    start_it
    mkdir "$CG/sub"
    bailey exec --detach --pid-file "$BATS_TEST_TMPDIR/pid" --cgroup sub "$ID" sleep 1000 </dev/null 3>&-
    [ "$(cat "/proc/$(cat "$BATS_TEST_TMPDIR/pid")/cgroup")" = "0::/$ID/sub" ]
    [ "$(wc -l <"$CG/sub/cgroup.procs")" -ge 2 ]
}

@test "kill --all ends what else is in the cgroup" {
    start_it
    sh -c 'echo $$ >"$0/cgroup.procs" && exec sleep 1000' "$CG" 3>&- &
    wait_for grep -qx $! "$CG/cgroup.procs"
    bailey kill --all "$ID" KILL
    run wait $!
    [ "$status" -eq 137 ]
}
