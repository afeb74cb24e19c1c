#!/usr/bin/env bats
# Where in its cgroup exec puts its program; and what is left of a killed run.
bats_require_minimum_version 1.5.0
load helpers
load cgroup

setup() {
    make_bundle
    ln -s busybox "$BUNDLE/rootfs/bin/sed"
    id_for cgexec
    needs_v1
    config --arg p "/$ID" '.linux.cgroupsPath = $p'
    CG=/sys/fs/cgroup
}

teardown() {
    delete_it
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
    run bailey exec --cgroup pids,memory:sub --cgroup freezer:/sub/ "$ID" sh -c 'sed -n "s/^[0-9]*:\(pids\|memory\|freezer\|blkio\):/\1 /p" /proc/self/cgroup | wc -l'
    [ "$status" -eq 0 ]
    bailey exec --detach --pid-file "$BATS_TEST_TMPDIR/pid" --cgroup pids,memory:sub --cgroup freezer:/sub/ "$ID" sleep 1000 </dev/null 3>&-
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

@test "where its memory has run out the error says so" {
    start_it
    run --separate-stderr bailey update --memory 1 "$ID"
    if [ "$status" -ne 0 ]; then # the host takes such a limit only if it finds something to write back first
        [ "$stderr" = 'bailey: linux.resources.memory.limit: writing "1" to cgroup file memory.limit_in_bytes: Device or resource busy' ]
        return
    fi
    run --separate-stderr bailey exec "$ID" true
    echo "status $status, stderr: $stderr" >&2
    [ "$status" -eq 255 ] # whom the host kills first is its own affair
    [[ "$stderr" =~ ^"bailey: "("cannot make the porter: killed by KILL (is the container out of memory?)"|"container not running: ".+)$ ]]
}

@test "a run that was killed leaves no cgroup once somebody looks" {
    args sleep 1000
    "$BAILEY" --root "$STATE" run --bundle "$BUNDLE" "$ID" </dev/null >/dev/null 2>&1 3>&- &
    local pid=$! command
    for command in "state $ID" list; do
        wait_for status_is "$ID" running
        kill -9 "$pid"
        wait "$pid" || true
        # shellcheck disable=SC2086
        has_stopped() { bailey $command | grep stopped; }
        wait_for has_stopped
        no_cgroup_left
        "$BAILEY" --root "$STATE" run --bundle "$BUNDLE" "$ID" </dev/null >/dev/null 2>&1 3>&- &
        pid=$!
    done
    kill -9 "$pid"
    wait "$pid" || true
}
