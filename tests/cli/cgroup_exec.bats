#!/usr/bin/env bats
# Where in its cgroup exec puts its program; and what is left of a killed run.
bats_require_minimum_version 1.5.0
load helpers

setup() {
    make_bundle
    ln -s busybox "$BUNDLE/rootfs/bin/sed"
    ID=bt-${BAILEY_TEST_RUN:-$$}-cgexec-$BATS_TEST_NUMBER
    [ -d /sys/fs/cgroup/memory ] && [ -w /sys/fs/cgroup ] || skip "reads the files of version 1"
    config --arg p "/$ID" '.linux.cgroupsPath = $p'
    CG=/sys/fs/cgroup
}

teardown() {
    bailey delete --force "$ID" || true
    [ -z "$(find /sys/fs/cgroup -name "*$ID*")" ]
}

start_it() {
    args sleep 1000
    bailey create --bundle "$BUNDLE" "$ID" </dev/null >"$BATS_TEST_TMPDIR/out" 2>&1 3>&-
    bailey start "$ID"
}

refused_exec() { # message options...
    local message=$1
    shift
    run --separate-stderr bailey exec "$@" "$ID" true
    [ "$status" -eq 255 ]
    [ "$stderr" = "bailey: $message" ]
}

@test "--cgroup: a sub-cgroup of all hierarchies, or of those named" {
    start_it
    mkdir "$CG/pids/$ID/sub" "$CG/memory/$ID/sub" "$CG/freezer/$ID/sub"
    run bailey exec --cgroup pids,memory:sub --cgroup freezer:/sub/ "$ID" sh -c 'sleep 0.2; sed -n "s/^[0-9]*:\(pids\|memory\|freezer\|blkio\):/\1 /p" /proc/self/cgroup | wc -l'
    [ "$status" -eq 0 ]
    bailey exec --detach --pid-file "$BATS_TEST_TMPDIR/pid" --cgroup pids,memory:sub --cgroup freezer:/sub/ "$ID" sleep 100 </dev/null 3>&-
    local pid
    pid=$(cat "$BATS_TEST_TMPDIR/pid")
    [ "$(sed -n 's/^[0-9]*:\(pids\|memory\|freezer\|blkio\):/\1 /p' "/proc/$pid/cgroup" | sort | tr '\n' ';')" = \
        "blkio /$ID;freezer /$ID/sub;memory /$ID/sub;pids /$ID/sub;" ]
    [ "$(wc -l <"$CG/pids/$ID/sub/cgroup.procs")" -ge 2 ]
    refused_exec "option --cgroup: there is no cgroup $CG/memory/$ID/none" --cgroup memory:none
    refused_exec 'option --cgroup: "pids:../../x" leads out of the container'"'s cgroup" --cgroup pids:../../x
    refused_exec 'option --cgroup: "sub" names no controller, but there are several' --cgroup sub --cgroup pids:sub
    refused_exec 'option --cgroup: "pids" is named twice' --cgroup pids:sub --cgroup pids:/
    refused_exec 'option --cgroup: the container is in no cgroup of version 1 for "nonesuch"' --cgroup nonesuch:sub
}

@test "a run that was killed leaves no cgroup once somebody looks" {
    args sleep 1000
    "$BAILEY" --root "$STATE" run --bundle "$BUNDLE" "$ID" </dev/null >/dev/null 2>&1 3>&- &
    local pid=$! command
    for command in "state $ID" list; do
        for _ in $(seq 100); do
            [ "$(bailey state "$ID" 2>/dev/null | jq -r .status)" != running ] || break
            sleep 0.05
        done
        kill -9 "$pid"
        wait "$pid" || true
        for _ in $(seq 100); do
            # shellcheck disable=SC2086
            bailey $command | grep -q stopped && break
            sleep 0.05
        done
        # shellcheck disable=SC2086
        bailey $command | grep stopped
        [ -z "$(find /sys/fs/cgroup -name "*$ID*")" ]
        "$BAILEY" --root "$STATE" run --bundle "$BUNDLE" "$ID" </dev/null >/dev/null 2>&1 3>&- &
        pid=$!
    done
    kill -9 "$pid"
    wait "$pid" || true
}
