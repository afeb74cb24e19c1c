#!/usr/bin/env bats
# containerd's runc shim with bailey in runc's place, by ctr. docs/containerd.md
bats_require_minimum_version 1.5.0
load helpers
load containerd

setup_file() {
    containerd_begin '' ', "io.containerd.grpc.v1.cri"'
    export STATES=$S/state-of-bailey/$GROUP
    image
    ctr image import "$S/image.tar" >/dev/null
}

teardown_file() {
    containerd_end
}

teardown() {
    ctr task delete --force x || true
    ctr container delete x || true
} >/dev/null 2>&1

# run [OPTION...] [-- ...]: the container x.
ctr_run() {
    timeout -k 5 $LIMIT ctr run --runc-binary "$BAILEY" --runc-root "$S/state-of-bailey" "$@"
}

start_x() { # program...
    ctr_run --detach $IMAGE x "$@" </dev/null >/dev/null 2>&1 3>&-
}

in_x() { # program...
    timeout -k 5 $LIMIT ctr task exec --exec-id "e$RANDOM" x "$@" 3>&-
}

status_of_x() {
    ctr task ls | awk '$1 == "x" { print $3 }'
}

is() { # status
    [ "$(status_of_x)" = "$1" ]
}

pid_of_x() {
    ctr task ls | awk '$1 == "x" { print $2 }'
}

# What the container was ended by, as containerd saw it.
ended_with() { # status
    run ctr task delete x 3>&-
    [[ "$output" == *"non-zero exit code $1"* ]]
}

@test "run: output and exit status are the program's" {
    run ctr_run --rm $IMAGE x echo hello </dev/null 3>&-
    [ "$status" -eq 0 ]
    [ "$output" = hello ]
    run --separate-stderr ctr_run --rm $IMAGE x sh -c 'echo out; echo err >&2; exit 7' </dev/null 3>&-
    [ "$status" -eq 7 ]
    [ "$output" = out ]
    [[ "$stderr" == err* ]]
    [ ! -e "$STATES/x" ]
}

@test "it is bailey's kernel, with containerd's own specification" {
    run ctr_run --rm $IMAGE x sh -c 'uname -r; grep -c . /proc/mounts; id -u; ls /sys/fs/cgroup >/dev/null && echo cgroup' \
        </dev/null 3>&-
    echo "$output" >&2
    [[ "${lines[0]}" == *bailey* ]]
    [ "${lines[1]}" -gt 5 ]
    [ "${lines[2]}" = 0 ]
}

@test "run: the program reads its input" {
    run ctr_run --rm $IMAGE x head -n 1 <<<"a line" 3>&-
    [ "$status" -eq 0 ]
    [ "$output" = "a line" ]
}

@test "run -t, exec -t: a terminal with the caller's size" {
    needs script
    on_terminal "ctr run --rm -t --runc-binary $BAILEY --runc-root $S/state-of-bailey $IMAGE x sh -c '$SHOWS_SIZE'" in_x touch /seen
    start_x sleep 1000
    on_terminal "ctr task exec -t --exec-id e1 x sh -c '$SHOWS_SIZE'" in_x touch /seen
}

@test "a program that is not there" {
    run ctr_run --rm $IMAGE x /no/such </dev/null 3>&-
    [ "$status" -ne 0 ]
    [[ "$output" == *'/no/such'*'no such file or directory'* ]]
    [ ! -e "$STATES/x" ]
}

@test "exec: streams, exit status, signals" {
    start_x sleep 1000
    run in_x sh -c 'echo in; exit 5'
    [ "$status" -eq 5 ]
    [ "$output" = in ]
    run in_x cat <<<through
    [ "$status" -eq 0 ]
    [ "$output" = through ]
    run in_x sh -c 'kill -KILL $$'
    [ "$status" -eq 137 ]
    run in_x /no/such
    [ "$status" -ne 0 ]
    [[ "$output" == *'no such file or directory'* ]]
}

@test "exec --detach, and kill of what was executed" {
    start_x sleep 1000
    ctr task exec --detach --exec-id e1 x sleep 2000 3>&-
    ctr task exec --detach --exec-id e2 x sh -c 'trap "echo got >/got; exit" USR1; : >/ready; while :; do sleep 0.1; done' 3>&-
    wait_for sleepers 2
    ctr task kill --exec-id e1 -s KILL x
    wait_for sleepers 1
    wait_for in_x test -e /ready
    ctr task kill --exec-id e2 -s USR1 x
    wait_for in_x test -e /got
}

sleepers() { # how many
    [ "$(in_x ps -o args | grep -c '^sleep [12]000')" = "$1" ]
}

@test "kill: by TERM with a handler, by KILL without" {
    start_x sh -c 'trap "exit 42" TERM; : >/ready; while :; do sleep 0.1; done'
    wait_for in_x test -e /ready
    ctr task kill x
    wait_for is STOPPED
    ended_with 42
    ctr container delete x
    start_x sleep 1000
    ctr task kill -s TERM x
    is RUNNING
    ctr task kill -s KILL x
    wait_for is STOPPED
    run ctr task kill -s KILL x # has gone already
    [[ "$output" == "" || "$output" == *"already finished"* || "$output" == *"not found"* ]]
    ended_with 137
}

@test "a container that was created, and not started, is killed" {
    # ctr cannot create without starting, and without --runc-binary it is the runc of containerd's PATH: bailey.
    ctr container create --rootfs "$("$BATS_TEST_DIRNAME/../lib/rootfs.sh" busybox)" x sleep 1000
    /usr/bin/python3 "$BATS_TEST_DIRNAME/create_task.py" "$CONTAINERD_ADDRESS" "$CONTAINERD_NAMESPACE" x
    is CREATED
    [ "$(bailey_state)" = created ]
    ctr task kill -s KILL x
    wait_for is STOPPED
    ended_with 137
    [ ! -e "/run/containerd/runc/$GROUP/x" ]
}

bailey_state() {
    "$BAILEY" --root "/run/containerd/runc/$GROUP" state x | jq -r .status
}

@test "delete --force of what runs, and of what was created" {
    start_x sleep 1000
    run ctr task delete --force x
    [ -z "$(status_of_x)" ]
    [ ! -e "$STATES/x" ]
}

@test "pause and resume" {
    start_x sh -c 'while :; do echo . >>/dots; done'
    ctr task pause x
    is PAUSED
    ctr task resume x
    is RUNNING
    in_x sh -c 'a=$(wc -c </dots); until [ $(wc -c </dots) -gt $a ]; do sleep 0.1; done'
}

@test "metrics: what the shim reads of the container's cgroup is the container's" {
    start_x sh -c 'i=0; while [ $i -lt 200000 ]; do i=$((i+1)); done; dd if=/dev/zero of=/dev/shm/f bs=1M count=20; sleep 1000'
    wait_for in_x sh -c 'ps -o args | grep "^sleep 1000"'
    run ctr task metrics x
    echo "$output" >&2
    [ "$(awk '/cpuacct.usage |usage_usec/ { print $2; exit }' <<<"$output")" -gt 50000 ]
    [ "$(awk '/memory.usage_in_bytes|memory.usage/ { print $2; exit }' <<<"$output")" -gt 500000 ]
    [ "$(awk '/pids.current/ { print $2 }' <<<"$output")" -ge 1 ]
}

@test "ps: pids of the host's, in the container's cgroup" {
    start_x sh -c 'sleep 1000 & sleep 1000'
    wait_for two_processes
    for pid in $(ctr task ps x | awk 'NR > 1 { print $1 }'); do
        grep -q ":/$GROUP/x\$" "/proc/$pid/cgroup"
    done
}

two_processes() {
    [ "$(ctr task ps x | awk 'NR > 1' | wc -l)" -ge 2 ]
}

@test "limits of the specification hold" {
    run ctr_run --rm --memory-limit 33554432 $IMAGE x sh -c 'grep MemTotal /proc/meminfo; tail /dev/zero' </dev/null 3>&-
    echo "$output" >&2
    [ "$status" -eq 137 ]
    [[ "$output" == *"32768 kB"* ]]
}

@test "seccomp: containerd's default profile" {
    run ctr_run --rm --seccomp $IMAGE x sh -c 'exec 2>&1; echo fine; mount -t tmpfs x /tmp' </dev/null 3>&-
    echo "$output" >&2
    [ "$status" -ne 0 ]
    [[ "$output" == fine* ]]
}

@test "the shim is killed: delete --force clears up" {
    start_x sleep 1000
    pid=$(pid_of_x)
    kill -KILL "$(ps -o ppid= -p "$pid" | tr -d ' ')"
    wait_for gone "$pid"
    ctr task delete --force x 2>/dev/null || true
    [ -z "$(status_of_x)" ]
    wait_for test ! -e "$STATES/x"
}

@test "the sandbox is killed: the container has ended with 137" {
    start_x sleep 1000
    keep=$(jq -r '.keep // .keepPid // empty' "$STATES/x/state.json")
    [ -n "$keep" ]
    kill -KILL "$keep"
    wait_for is STOPPED
    ended_with 137
}

@test "containerd is restarted: the container goes on, and ends as it would have" {
    start_x sh -c 'trap "exit 42" TERM; : >/ready; while :; do sleep 0.1; done'
    wait_for in_x test -e /ready
    pid=$(pid_of_x)
    daemon_stop containerd
    containerd_start
    is RUNNING
    [ "$(pid_of_x)" = "$pid" ]
    [ "$(in_x echo in)" = in ]
    ctr task kill x
    wait_for is STOPPED
    ended_with 42
}
