#!/usr/bin/env bats
# podman and its conmon with bailey as the runtime. docs/podman.md
bats_require_minimum_version 1.5.0
load helpers
load engine

setup_file() {
    engine_begin /run/bailey /run/containers /run/libpod /dev/shm /var/lib/cni
    set_podman
    export STATES=/run/bailey
    image
    podman load --quiet --input "$S/image.tar" >/dev/null
}

teardown_file() {
    podman rm --all --force --time 0 >/dev/null 2>&1 3>&- 4>&-
    wait_for no_conmon || true
    engine_end
}

# conmon's own control groups are podman's to keep.
no_conmon() {
    rmdir /sys/fs/cgroup/*/"$GROUP"/conmon 2>/dev/null
    [ -z "$(find /sys/fs/cgroup -path "*/$GROUP/conmon" -type d)" ]
}

# conmon leaves a file `oom` where it is started.
setup() {
    cd "$S" || return 1
}

teardown() {
    podman pod rm --all --force --time 0
    podman rm --all --force --time 0 --volumes
} >/dev/null 2>&1

set_podman() {
    PODMAN=(/usr/bin/podman --root "$S/root" --runroot "$S/run" --tmpdir "$S/tmp" --storage-driver vfs
        --cgroup-manager cgroupfs --events-backend file --log-level error --runtime "$BAILEY")
}
[ -z "${S:-}" ] || set_podman

podman() {
    timeout -k 5 $LIMIT /usr/bin/env "${PODMAN[@]}" "$@" 3>&- 4>&-
}

# Limits that are those of the caller: podman's own are above what root may have everywhere.
LIMITS=(--ulimit nofile=1000:1000 --ulimit nproc=1000:1000)

ENGINE=podman COMMAND=("${PODMAN[@]}") OPTIONS=(--network none --cgroup-parent "/${GROUP:-}" "${LIMITS[@]}")

@test "run: streams and exit status; it is bailey's kernel" {
    streams_and_status
    wait_for no_states
}

@test "run: 127, 126 for programs that cannot be" {
    programs_that_cannot_be
}

@test "run -it and exec -it: a terminal" {
    terminals
}

@test "all that goes in comes out; several containers at once" {
    all_comes_out
}

@test "exec: user, environment, directory, status, detached" {
    execs
    run -127 podman exec x1 /no/such
}

@test "stop by TERM, and by KILL after the time; start, restart, kill, wait, logs" {
    stops_by_term
    stops_by_kill
}

@test "pause, unpause, top, stats" {
    start_x $IMAGE sh -c 'i=0; while [ $i -lt 100000 ]; do i=$((i+1)); done; sleep 1000'
    pauses
    wait_for podman exec x1 sh -c 'ps -o args | grep -x "sleep 1000"'
    # Without an option of ps's, podman looks into the container's /proc from outside, where there is none.
    [[ "$(podman top x1 -o pid,args)" == *1*"sleep 1000"* ]]
    tells_its_use 2
}

@test "limits, and update" {
    sees_its_limits
}

@test "out of memory" {
    runs_out_of_memory # conmon sees the reason with version 2 of control groups only
}

@test "volumes, tmpfs, a read-only root, user, capabilities, names" {
    volumes_and_the_like 1000 00000000820405fa
}

@test "podman's default seccomp profile holds; --privileged and unconfined are without" {
    run e_run $IMAGE sh -c 'exec 2>&1; grep Seccomp: /proc/self/status; mkdir /m; mount -t tmpfs x /m'
    [[ "$output" == *2*"ermission denied"* || "$output" == *2*"peration not permitted"* ]]
    without_its_profile
}

@test "--init, a health check" {
    init=$(command -v docker-init tini-static tini | head -1)
    [ -n "$init" ] || skip "no init program"
    run e_run --init --init-path "$init" $IMAGE ps -o pid,args
    [[ "$output" == *"1 /run/podman-init -- ps"* || "$output" == *"1 /dev/init -- ps"* ]]
    start_x --health-cmd 'test -e /ok' $IMAGE sleep 1000 2>/dev/null
    run podman healthcheck run x1
    [ "$status" -eq 1 ]
    podman exec x1 touch /ok
    podman healthcheck run x1
}

@test "cp, diff, commit, attach" {
    start_x --interactive $IMAGE sh -c 'read word; echo "$word"'
    run podman attach x1 <<<"done"
    [ "$output" = "done" ]
    podman rm x1
    copies_and_commits
}

@test "a pod: containers that share the network and the host name" {
    podman pod create --name p --network none --cgroup-parent "/$GROUP" --infra-image $IMAGE --infra-command 'sleep 1000' >/dev/null
    podman run --detach --pod p "${LIMITS[@]}" $IMAGE sh -c 'while :; do nc -l -p 99 -e echo through; done' >/dev/null
    wait_for answers podman run --rm --pod p "${LIMITS[@]}" $IMAGE nc -w 20 127.0.0.1 99
    [ "$(podman run --rm --pod p "${LIMITS[@]}" $IMAGE hostname)" = p ]
    [ "$(podman pod inspect --format '{{.NumContainers}}' p)" = 2 ]
}

@test "what stands for the container, or its kernel, is killed: it has ended with 137" {
    ends_with_what_stands_for_it
}

@test "conmon is killed: podman ends the container, the runtime knows what is left" {
    start_x $IMAGE sleep 1000
    pid=$(state Pid)
    kill -KILL "$(state ConmonPid)"
    podman rm --force --time 0 x1
    wait_for gone "$pid"
    # podman asks no runtime to delete what has no conmon.
    "$BAILEY" list -q | xargs -r -n 1 "$BAILEY" delete --force
    wait_for no_states
}
