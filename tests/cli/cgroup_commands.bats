#!/usr/bin/env bats
# bailey pause, resume, update and events.
bats_require_minimum_version 1.5.0
load helpers
load cgroup

setup() {
    make_bundle
    id_for cgcmd
    needs_cgroups
}

teardown() {
    bailey delete --force "$ID" || true
}

# A container that counts in its /tmp/n.
start_counting() {
    args sh -c 'i=0; while :; do i=$((i+1)); echo $i >/tmp/n; sleep 0.02; done'
    create_it
    wait_for test -s "$BUNDLE/rootfs/tmp/n"
}

count() {
    cat "$BUNDLE/rootfs/tmp/n"
}

# Whether it has counted on.
counted_on() { # from
    [ -n "$(count)" ] && [ "$(count)" != "$1" ]
}

@test "pause stops everything, resume lets it go on" {
    config '.root.readonly = false'
    start_counting
    status_is "$ID" running
    bailey pause "$ID"
    status_is "$ID" paused
    local before
    before=$(count)
    sleep 0.4
    [ "$(count)" = "$before" ]
    run --separate-stderr bailey pause "$ID"
    [ "$status" -eq 1 ]
    [ "$stderr" = "bailey: cannot pause container $ID: it is paused" ]
    bailey resume "$ID"
    status_is "$ID" running
    wait_for counted_on "$before"
    run --separate-stderr bailey resume "$ID"
    [ "$stderr" = "bailey: cannot resume container $ID: it is running" ]
}

@test "what waits in a system call is paused, too" {
    config '.root.readonly = false'
    args sh -c 'sleep 1000 & cat /tmp/fifo >/tmp/n; wait'
    mkfifo "$BUNDLE/rootfs/tmp/fifo"
    ln -s busybox "$BUNDLE/rootfs/bin/pidof"
    create_it
    opens_it() { bailey exec "$ID" sh -c 'for p in $(pidof cat); do cat /proc/$p/stat; done' 3>&- | grep -q ' (cat) S '; }
    wait_for opens_it
    bailey pause "$ID"
    timeout $LIMIT sh -c 'echo text >"$1"' sh "$BUNDLE/rootfs/tmp/fifo" 3>&-
    sleep 0.3
    [ "$(count)" = "" ]
    bailey resume "$ID"
    wait_for grep -qx text "$BUNDLE/rootfs/tmp/n"
}

@test "the keep takes no input for what is paused" {
    mkfifo "$BATS_TEST_TMPDIR/in"
    exec 5<>"$BATS_TEST_TMPDIR/in"
    args sh -c 'echo ready; while read x; do echo "got $x"; done'
    bailey create --bundle "$BUNDLE" "$ID" <"$BATS_TEST_TMPDIR/in" >"$BATS_TEST_TMPDIR/out" 2>&1 3>&- 5>&-
    bailey start "$ID" 5>&-
    echo one >&5
    wait_for said 'got one'
    bailey pause "$ID" 5>&-
    echo two >&5
    sleep 0.3
    local line
    read -r -t 1 -u 5 line # it is still there
    [ "$line" = two ]
    echo three >&5
    bailey resume "$ID" 5>&-
    wait_for said 'got three'
    [ "$(cat "$BATS_TEST_TMPDIR/out")" = $'ready\ngot one\ngot three' ]
    exec 5>&-
}

@test "what is paused can be deleted by force, and leaves nothing" {
    config '.root.readonly = false'
    start_counting
    bailey pause "$ID"
    bailey delete --force "$ID"
    no_cgroup_left
    nothing_left
}

@test "what is paused dies of KILL" {
    config '.root.readonly = false'
    start_counting
    bailey pause "$ID"
    bailey kill "$ID" KILL
    wait_for status_is "$ID" stopped
}

@test "update writes new limits, from options and from a file" {
    is_v1 || skip "reads the files of version 1"
    config --arg p "/$ID" '.root.readonly = false | .linux.cgroupsPath = $p | .linux.resources.memory = {limit: 50000000, swap: 50000000}'
    start_counting
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
    start_counting
    [ -z "$(find /sys/fs/cgroup/pids -name "$ID*")" ]
    bailey update --pids-limit 44 "$ID"
    local dir
    dir=$(find /sys/fs/cgroup/pids/bailey -name "$ID*")
    [ "$(cat "$dir/pids.max")" = 44 ]
    [ "$(wc -l <"$dir/cgroup.procs")" -ge 2 ]
    wait_for counted_on "$(count)"
    bailey delete --force "$ID"
    no_cgroup_left
}

@test "update: no limit on memory takes away the one on memory and swap" {
    is_v1 || skip "reads the files of version 1"
    config --arg p "/$ID" '.root.readonly = false | .linux.cgroupsPath = $p | .linux.resources.memory = {limit: 50000000, swap: 50000000}'
    start_counting
    bailey update --memory -1 "$ID"
    [ "$(cat "/sys/fs/cgroup/memory/$ID/memory.limit_in_bytes")" -gt 1000000000000 ]
}

@test "events --stats" {
    config --arg p "/$ID" '.root.readonly = false | .linux.cgroupsPath = $p | .linux.resources.memory = {limit: 50000000} | .linux.resources.pids = {limit: 20}'
    start_counting
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
    args sh -c 'until [ -e /tmp/go ]; do sleep 0.1; done; sh -c "x=aaaaaaaaaaaaaaaa; while :; do x=\$x\$x; done"
        until [ -e /tmp/end ]; do sleep 0.1; done'
    create_it
    bailey events --interval 1s "$ID" >"$BATS_TEST_TMPDIR/events" 3>&- &
    tells() { [ "$(jq -r "select(.type == \"$1\").id" "$BATS_TEST_TMPDIR/events" | head -1)" = "$ID" ]; }
    wait_for tells stats
    touch "$BUNDLE/rootfs/tmp/go"
    wait_for tells oom
    touch "$BUNDLE/rootfs/tmp/end"
    wait $!
    [ "$(jq -r 'select(.type == "oom").id' "$BATS_TEST_TMPDIR/events")" = "$ID" ]
}

@test "a container that has ended" {
    args true
    create_it
    wait_for status_is "$ID" stopped
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
    start_counting
    sh -c 'sleep 1000 & echo $! >"$1"; wait' sh "$BATS_TEST_TMPDIR/stray" 3>&- &
    wait_for test -s "$BATS_TEST_TMPDIR/stray"
    cat "$BATS_TEST_TMPDIR/stray" >"/sys/fs/cgroup/pids/$ID/cgroup.procs"
    cat "$BATS_TEST_TMPDIR/stray" >"/sys/fs/cgroup/cpu/$ID/cgroup.procs"
    bailey pause "$ID"
    bailey kill --all "$ID" KILL
    wait $!
    status_is "$ID" stopped
    [ -z "$(cat "/sys/fs/cgroup/pids/$ID/cgroup.procs")" ]
    bailey kill --all "$ID" KILL
    run --separate-stderr bailey kill "$ID" KILL
    [ "$stderr" = "bailey: container not running: $ID" ]
    rm "$BATS_TEST_TMPDIR/stray"
    sh -c 'sleep 1000 & echo $! >"$1"; wait' sh "$BATS_TEST_TMPDIR/stray" 3>&- &
    wait_for test -s "$BATS_TEST_TMPDIR/stray"
    for controller in memory freezer; do
        cat "$BATS_TEST_TMPDIR/stray" >"/sys/fs/cgroup/$controller/$ID/cgroup.procs"
    done
    bailey delete --force "$ID"
    wait $!
    no_cgroup_left
}
