#!/usr/bin/env bats
# bailey pause, resume, update and events.
bats_require_minimum_version 1.5.0
load helpers

setup() {
    make_bundle
    ID=bt-${BAILEY_TEST_RUN:-$$}-cgcmd-$BATS_TEST_NUMBER
    [ -d /sys/fs/cgroup/memory ] || [ -f /sys/fs/cgroup/cgroup.controllers ] || skip "no cgroups mounted"
    [ -w /sys/fs/cgroup ] || skip "no cgroups that can be written"
}

teardown() {
    bailey delete --force "$ID" || true
}

is_v1() {
    [ -d /sys/fs/cgroup/memory ]
}

# A container that counts in its /tmp/n.
start_it() {
    args sh -c 'i=0; while :; do i=$((i+1)); echo $i >/tmp/n; sleep 0.02; done'
    bailey create --bundle "$BUNDLE" "$ID" </dev/null >"$BATS_TEST_TMPDIR/out" 2>&1 3>&-
    bailey start "$ID"
    for _ in $(seq 100); do
        [ -s "$BUNDLE/rootfs/tmp/n" ] && return 0
        sleep 0.05
    done
    return 1
}

count() {
    cat "$BUNDLE/rootfs/tmp/n"
}

status() {
    bailey state "$ID" | jq -r .status
}

no_cgroup_left() {
    [ -z "$(find /sys/fs/cgroup -name "*$ID*")" ]
}

@test "pause stops everything, resume lets it go on" {
    config '.root.readonly = false'
    start_it
    [ "$(status)" = running ]
    bailey pause "$ID"
    [ "$(status)" = paused ]
    local before after
    sleep 0.1
    before=$(count)
    sleep 0.4
    [ "$(count)" = "$before" ]
    run --separate-stderr bailey pause "$ID"
    [ "$status" -eq 1 ]
    [ "$stderr" = "bailey: cannot pause container $ID: it is paused" ]
    bailey resume "$ID"
    [ "$(status)" = running ]
    sleep 0.5
    after=$(count)
    [ "$after" != "$before" ]
    run --separate-stderr bailey resume "$ID"
    [ "$stderr" = "bailey: cannot resume container $ID: it is running" ]
}

@test "what waits in a system call is paused, too" {
    config '.root.readonly = false'
    args sh -c 'sleep 1000 & cat /tmp/fifo >/tmp/n; wait'
    mkfifo "$BUNDLE/rootfs/tmp/fifo"
    bailey create --bundle "$BUNDLE" "$ID" </dev/null >"$BATS_TEST_TMPDIR/out" 2>&1 3>&-
    bailey start "$ID"
    sleep 0.3
    bailey pause "$ID"
    timeout 5 sh -c 'echo text >"$1"' sh "$BUNDLE/rootfs/tmp/fifo"
    sleep 0.3
    [ "$(count)" = "" ]
    bailey resume "$ID"
    sleep 0.3
    [ "$(count)" = text ]
}

@test "the keep takes no input for what is paused" {
    mkfifo "$BATS_TEST_TMPDIR/in"
    exec 5<>"$BATS_TEST_TMPDIR/in"
    args sh -c 'echo ready; while read x; do echo "got $x"; done'
    bailey create --bundle "$BUNDLE" "$ID" <"$BATS_TEST_TMPDIR/in" >"$BATS_TEST_TMPDIR/out" 2>&1 3>&- 5>&-
    bailey start "$ID" 5>&-
    echo one >&5
    for _ in $(seq 100); do
        grep -q 'got one' "$BATS_TEST_TMPDIR/out" && break
        sleep 0.05
    done
    grep -q 'got one' "$BATS_TEST_TMPDIR/out"
    bailey pause "$ID" 5>&-
    echo two >&5
    sleep 0.3
    local line
    read -r -t 1 -u 5 line # it is still there
    [ "$line" = two ]
    echo three >&5
    bailey resume "$ID" 5>&-
    for _ in $(seq 100); do
        grep -q 'got three' "$BATS_TEST_TMPDIR/out" && break
        sleep 0.05
    done
    [ "$(cat "$BATS_TEST_TMPDIR/out")" = $'ready\ngot one\ngot three' ]
    exec 5>&-
}

@test "what is paused can be deleted by force, and leaves nothing" {
    config '.root.readonly = false'
    start_it
    bailey pause "$ID"
    bailey delete --force "$ID"
    no_cgroup_left
    nothing_left
}

@test "what is paused dies of KILL" {
    config '.root.readonly = false'
    start_it
    bailey pause "$ID"
    bailey kill "$ID" KILL
    for _ in $(seq 50); do
        [ "$(status)" = stopped ] && break
        sleep 0.1
    done
    [ "$(status)" = stopped ]
}

@test "update writes new limits, from options and from a file" {
    is_v1 || skip "reads the files of version 1"
    config --arg p "/$ID" '.root.readonly = false | .linux.cgroupsPath = $p | .linux.resources.memory = {limit: 50000000, swap: 50000000}'
    start_it
    bailey update --memory 67108864 --memory-swap=134217728 --pids-limit 33 --cpu-share 700 "$ID"
    cd /sys/fs/cgroup
    [ "$(cat memory/"$ID"/memory.limit_in_bytes)" = 67108864 ]
    [ "$(cat memory/"$ID"/memory.memsw.limit_in_bytes)" = 134217728 ]
    [ "$(cat pids/"$ID"/pids.max)" = 33 ]
    [ "$(cat cpu/"$ID"/cpu.shares)" = 700 ]
    echo '{"memory": {"limit": 33554432, "swap": 33554432}, "cpu": {"quota": 30000, "period": 60000}, "pids": {"limit": -1}}' |
        bailey update -r - "$ID"
    [ "$(cat memory/"$ID"/memory.limit_in_bytes)" = 33554432 ]
    [ "$(cat memory/"$ID"/memory.memsw.limit_in_bytes)" = 33554432 ]
    [ "$(cat cpu/"$ID"/cpu.cfs_quota_us)" = 30000 ]
    [ "$(cat pids/"$ID"/pids.max)" = max ]
    run --separate-stderr bailey update --memory lots "$ID"
    [ "$stderr" = 'bailey: option --memory: must be a number, not "lots"' ]
}

@test "update limits a container that was without limits" {
    is_v1 || skip "reads the files of version 1"
    config 'del(.linux.cgroupsPath, .linux.resources) | .root.readonly = false'
    start_it
    [ -z "$(find /sys/fs/cgroup/pids -name "$ID*")" ]
    bailey update --pids-limit 44 "$ID"
    local dir
    dir=$(find /sys/fs/cgroup/pids/bailey -name "$ID*")
    [ "$(cat "$dir/pids.max")" = 44 ]
    [ "$(wc -l <"$dir/cgroup.procs")" -ge 2 ]
    local before
    before=$(count)
    sleep 0.5
    [ "$(count)" != "$before" ]
    bailey delete --force "$ID"
    no_cgroup_left
}

@test "update: no limit on memory takes away the one on memory and swap" {
    is_v1 || skip "reads the files of version 1"
    config --arg p "/$ID" '.root.readonly = false | .linux.cgroupsPath = $p | .linux.resources.memory = {limit: 50000000, swap: 50000000}'
    start_it
    bailey update --memory -1 "$ID"
    [ "$(cat "/sys/fs/cgroup/memory/$ID/memory.limit_in_bytes")" -gt 1000000000000 ]
}

@test "events --stats" {
    config --arg p "/$ID" '.root.readonly = false | .linux.cgroupsPath = $p | .linux.resources.memory = {limit: 50000000} | .linux.resources.pids = {limit: 20}'
    start_it
    run --separate-stderr bailey events --stats "$ID"
    [ "$status" -eq 0 ]
    [ "$(jq -r '[.type, .id, .data.pids.limit, .data.memory.usage.limit - .data.memory.usage.limit % 1000000] | join(" ")' <<<"$output")" = "stats $ID 20 49000000" ]
    if is_v1; then
        [ "$(jq -r '.data.cpuset.cpus | length' <<<"$output")" = "$(nproc)" ]
        [ "$(jq '.data.cpu.usage | [.percpu, .percpu_user, .percpu_kernel] | map(length) | unique | length' <<<"$output")" = 1 ]
    fi
    if grep -qs hugetlb /sys/fs/cgroup/unified/cgroup.controllers /sys/fs/cgroup/cgroup.controllers; then
        [ "$(jq '.data.hugetlb["2MB"].usage' <<<"$output")" = 0 ]
    fi
    if [ -f /sys/fs/cgroup/unified/cpu.pressure ] || [ -f /sys/fs/cgroup/cpu.pressure ]; then
        [ "$(jq '.data.cpu.psi.some.total >= 0 and .data.memory.psi.full.total >= 0 and .data.blkio.psi.some.avg10 >= 0' <<<"$output")" = true ]
    fi
    [ "$(jq '.data.cpu.usage.total > 0 and .data.memory.usage.usage > 0 and .data.pids.current >= 2' <<<"$output")" = true ]
}

@test "events tells of processes that were killed for want of memory, and ends with the container" {
    config '.linux.resources.memory = {limit: 25000000}'
    is_v1 && config '.linux.resources.memory.swap = 25000000'
    args sh -c 'sleep 1; sh -c "x=aaaaaaaaaaaaaaaa; while :; do x=\$x\$x; done"; sleep 1'
    bailey create --bundle "$BUNDLE" "$ID" </dev/null >"$BATS_TEST_TMPDIR/out" 2>&1 3>&-
    bailey start "$ID"
    run --separate-stderr bailey events --interval 1s "$ID"
    [ "$status" -eq 0 ]
    [ "$(jq -r 'select(.type == "oom").id' <<<"$output")" = "$ID" ]
}

@test "a container that has ended" {
    args true
    bailey create --bundle "$BUNDLE" "$ID" </dev/null >"$BATS_TEST_TMPDIR/out" 2>&1 3>&-
    bailey start "$ID"
    sleep 0.5
    for command in pause resume "update --memory 100000000" "events --stats"; do
        # shellcheck disable=SC2086
        run --separate-stderr bailey $command "$ID"
        [ "$status" -eq 1 ]
        [ "$stderr" = "bailey: container not running: $ID" ]
    done
}

@test "kill --all with KILL and delete --force end what else is in the cgroup; nobody left is no error" {
    is_v1 || skip "reads the files of version 1"
    config --arg p "/$ID" '.linux.cgroupsPath = $p | .root.readonly = false'
    start_it
    sh -c 'sleep 1000 & echo $! >"$1"; wait' sh "$BATS_TEST_TMPDIR/stray" 3>&- &
    while [ ! -s "$BATS_TEST_TMPDIR/stray" ]; do sleep 0.02; done
    cat "$BATS_TEST_TMPDIR/stray" >"/sys/fs/cgroup/pids/$ID/cgroup.procs"
    cat "$BATS_TEST_TMPDIR/stray" >"/sys/fs/cgroup/cpu/$ID/cgroup.procs"
    bailey pause "$ID"
    bailey kill --all "$ID" KILL
    wait $!
    [ "$(status)" = stopped ]
    [ -z "$(cat "/sys/fs/cgroup/pids/$ID/cgroup.procs")" ]
    bailey kill --all "$ID" KILL
    run --separate-stderr bailey kill "$ID" KILL
    [ "$stderr" = "bailey: container not running: $ID" ]
    sh -c 'sleep 1000 & echo $! >"$1"; wait' sh "$BATS_TEST_TMPDIR/stray" 3>&- &
    sleep 0.3
    for controller in memory freezer; do
        cat "$BATS_TEST_TMPDIR/stray" >"/sys/fs/cgroup/$controller/$ID/cgroup.procs"
    done
    bailey delete --force "$ID"
    wait $!
    no_cgroup_left
}
