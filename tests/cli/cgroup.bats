#!/usr/bin/env bats
# Control groups: what config.json asks for is in the host's files, holds, and goes away.
bats_require_minimum_version 1.5.0
load helpers
load cgroup

setup() {
    make_bundle
    id_for cgroup
    needs_cgroups
}

teardown() {
    [ -z "${RUN_PID:-}" ] || kill -9 "$RUN_PID" 2>/dev/null || true
}

run_it() {
    bailey run --bundle "$BUNDLE" "$@"
}

# The value of a file of the container's cgroup: by its name in version 1 or, for other hosts, in version 2.
value() { # controller file-v1 file-v2
    if [ -f "/sys/fs/cgroup/$1/$CG/$2" ]; then
        cat "/sys/fs/cgroup/$1/$CG/$2"
    else
        cat "/sys/fs/cgroup/$CG/$3"
    fi
}

# Runs the bundle in the background until its program says so.
start_it() {
    args sh -c 'echo ready; read x'
    rm -f "$BATS_TEST_TMPDIR/in" "$BATS_TEST_TMPDIR/out" # what an earlier one said
    mkfifo "$BATS_TEST_TMPDIR/in"
    exec 5<>"$BATS_TEST_TMPDIR/in" # so that nobody has to wait for its other end
    "$BAILEY" --root "$STATE" run --bundle "$BUNDLE" "$ID" <"$BATS_TEST_TMPDIR/in" >"$BATS_TEST_TMPDIR/out" 3>&- 5>&- &
    RUN_PID=$!
    wait_for said ready
}

end_it() {
    echo end >&5
    exec 5>&-
    wait "$RUN_PID"
    RUN_PID=
}

@test "limits are written where cgroupsPath says" {
    CG=bt-$ID/sub
    config --arg p "/$CG" '.linux.cgroupsPath = $p | .linux.resources.memory = {limit: 67108864, swap: 67108864}
        | .linux.resources.cpu = {shares: 512, quota: 40000, period: 80000, cpus: "0"} | .linux.resources.pids = {limit: 77}'
    start_it
    [ "$(value memory memory.limit_in_bytes memory.max)" = 67108864 ]
    [ "$(value pids pids.max pids.max)" = 77 ]
    [ "$(value cpuset cpuset.cpus cpuset.cpus)" = 0 ]
    if is_v1; then
        [ "$(value memory memory.memsw.limit_in_bytes -)" = 67108864 ]
        [ "$(value cpu cpu.shares -)" = 512 ]
        [ "$(value cpu cpu.cfs_quota_us -)" = 40000 ]
        [ "$(value cpu cpu.cfs_period_us -)" = 80000 ]
    else
        [ "$(value cpu - cpu.max)" = "40000 80000" ]
    fi
    # The porter and the guest are in it, the keep is not.
    [ "$(value pids cgroup.procs cgroup.procs | wc -l)" -eq 2 ]
    end_it
    no_cgroup_left
    nothing_left
}

@test "rules on devices are applied in their order" {
    is_v1 || skip "version 2 has no list of devices"
    CG=$ID
    config --arg p "/$CG" '.linux.cgroupsPath = $p | .linux.resources.devices = [{allow: false, access: "rwm"},
        {allow: true, type: "c", major: 1, minor: 3, access: "rw"}, {allow: true, type: "c", major: 1, access: "r"}]'
    start_it
    [ "$(cat "/sys/fs/cgroup/devices/$CG/devices.list")" = $'c 1:3 rw\nc 1:* r' ]
    end_it
}

@test "rules on devices hold without a cgroupsPath, too" {
    is_v1 || skip "version 2 has no list of devices"
    config 'del(.linux.cgroupsPath) | .linux.resources.devices = [{allow: false, access: "rwm"}, {allow: true, type: "c", major: 1, minor: 3, access: "rw"}]'
    start_it
    [ "$(cat /sys/fs/cgroup/devices/bailey/"$ID"-*/devices.list)" = 'c 1:3 rw' ]
    end_it
    no_cgroup_left
}

@test "a relative cgroupsPath is below /bailey; so is the id without one" {
    config --arg p "$ID/x" '.linux.cgroupsPath = $p | .linux.resources.pids = {limit: 50}'
    CG=bailey/$ID/x
    start_it
    [ "$(value pids pids.max pids.max)" = 50 ]
    end_it
    config 'del(.linux.cgroupsPath)'
    start_it
    local pids=/sys/fs/cgroup
    is_v1 && pids+=/pids
    CG=$(cd $pids && echo bailey/"$ID"-*) # ids are unique below one --root only
    [ "$(value pids pids.max pids.max)" = 50 ]
    end_it
    no_cgroup_left
}

@test "a fork bomb meets pids.limit" {
    config '.linux.resources.pids = {limit: 8}'
    args sh -c 'for i in 1 2 3 4 5 6 7 8 9; do sleep 1000 & done; echo not reached'
    run --separate-stderr run_it "$ID"
    [ "$status" -eq 2 ]
    [ "$output" = "" ]
    [ "$stderr" = "sh: can't fork: Resource temporarily unavailable" ]
    no_cgroup_left
}

@test "a pids.limit of 0 is a limit: one program runs, and cannot fork" {
    config '.linux.resources.pids = {limit: 0}'
    args sh -c 'echo alive; true & echo not reached'
    run --separate-stderr run_it "$ID"
    [ "$output" = alive ]
    [ "$stderr" = "sh: can't fork: Resource temporarily unavailable" ]
    no_cgroup_left
}

@test "out of memory, a process is killed; the others and the container live on" {
    config '.linux.resources.memory = {limit: 25000000}'
    is_v1 && config '.linux.resources.memory.swap = 25000000'
    args sh -c 'sh -c "x=aaaaaaaaaaaaaaaa; while :; do x=\$x\$x; done"; echo "status $?"'
    run --separate-stderr run_it "$ID"
    [ "$status" -eq 0 ]
    [ "$output" = "status 137" ]
    args sh -c 'x=aaaaaaaaaaaaaaaa; while :; do x=$x$x; done'
    run run_it "$ID"
    [ "$status" -eq 137 ]
    no_cgroup_left
    nothing_left
}

@test "a file in memory is the container's memory, whatever makes it" {
    cp "$B/tests/tools/memfile" "$BUNDLE/rootfs/bin/"
    config '.linux.resources.memory = {limit: 25000000}'
    is_v1 && config '.linux.resources.memory.swap = 25000000'
    for how in allocate write send copy splice; do
        args memfile $how 10000000
        run_it "$ID"
        args memfile $how 100000000
        run run_it "$ID"
        [ "$status" -eq 137 ]
    done
    for how in allocate write copy; do
        args memfile $how 100000000
        run bailey --lanes=off run --bundle "$BUNDLE" "$ID"
        [ "$status" -eq 137 ]
    done
    no_cgroup_left
    nothing_left
}

@test "a limit that cannot be had is an error, and leaves nothing" {
    config --arg p "/$ID" '.linux.cgroupsPath = $p | .linux.resources.cpu = {cpus: "9999"}'
    run --separate-stderr run_it "$ID"
    [ "$status" -eq 1 ]
    [[ "$stderr" == *"linux.resources.cpu.cpus: writing \"9999\""* ]]
    no_cgroup_left
    nothing_left
}

@test "paths that lead elsewhere are refused" {
    config '.linux.cgroupsPath = "/../x"'
    refused 'config.json: linux.cgroupsPath: ".." may not stand in it' run_it "$ID"
    config '.linux.cgroupsPath = "/"'
    refused 'config.json: linux.cgroupsPath: "/" names no cgroup of its own' run_it "$ID"
    config '.linux.cgroupsPath = "" | .linux.resources.unified = {"../x.y": "1"}'
    refused 'config.json: linux.resources.unified: "../x.y" is no cgroup file' run_it "$ID"
}

@test "a cpuset that is there and empty yet, as another container's start makes it, is filled" {
    local cpuset=/sys/fs/cgroup/cpuset at
    [ -d $cpuset ] || skip "no cpusets of version 1"
    args echo fine
    for at in "$ID" "$ID/sub" "$ID/sub/leaf"; do
        mkdir -p "$cpuset/$at"
        config --arg p "/$ID/sub/leaf" '.linux.cgroupsPath = $p'
        run run_it "$ID"
        find "$cpuset/$ID" -depth -type d -exec rmdir {} +
        [ "$output" = fine ]
    done
    no_cgroup_left
}

@test "a cgroup that is in use is not taken" {
    local dir=/sys/fs/cgroup/pids/$ID
    is_v1 || dir=/sys/fs/cgroup/$ID
    mkdir "$dir"
    sleep 1000 3>&- &
    echo $! >"$dir/cgroup.procs"
    config --arg p "/$ID" '.linux.cgroupsPath = $p'
    run --separate-stderr run_it "$ID"
    kill $!
    wait $! || true
    rmdir "$dir"
    [ "$status" -eq 1 ]
    [[ "$stderr" == *"has processes in it"* ]]
    no_cgroup_left
}
