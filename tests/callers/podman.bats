#!/usr/bin/env bats
#: timeout 300
# podman and its conmon with bailey as the runtime. docs/podman.md
bats_require_minimum_version 1.5.0
load helpers

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
    timeout -k 5 60 /usr/bin/env "${PODMAN[@]}" "$@" 3>&- 4>&-
}

# Limits that are those of the caller: podman's own are above what root may have everywhere.
LIMITS=(--ulimit nofile=1000:1000 --ulimit nproc=1000:1000)

p_run() { # option... image program...
    podman run --rm --network none --cgroup-parent "/$GROUP" "${LIMITS[@]}" "$@" </dev/null
}

start_x() { # option... image program...
    podman run --detach --name x --network none --cgroup-parent "/$GROUP" "${LIMITS[@]}" "$@" </dev/null >/dev/null
}

state() { # field
    podman inspect --format "{{.State.$1}}" x
}

is() { # status
    [ "$(state Status)" = "$1" ]
}

@test "run: streams and exit status; it is bailey's kernel" {
    run --separate-stderr p_run $IMAGE sh -c 'echo out; echo err >&2; exit 7'
    [ "$status" -eq 7 ]
    [ "$output" = out ]
    [ "$stderr" = err ]
    run podman run --rm -i --network none --cgroup-parent "/$GROUP" "${LIMITS[@]}" $IMAGE sh -c 'cat; uname -r' <<<through
    [ "${lines[0]}" = through ]
    [[ "${lines[1]}" == *bailey* ]]
    wait_for no_states
}

@test "run: 127, 126 for programs that cannot be" {
    run -127 p_run $IMAGE /no/such
    run -127 p_run $IMAGE nosuch
    run -126 p_run $IMAGE /etc/passwd
    wait_for no_states
}

@test "run -it and exec -it: a terminal" {
    needs script
    run timeout 60 script -qec "stty rows 33 cols 44; ${PODMAN[*]} run --rm -it --network none \
        --cgroup-parent /$GROUP ${LIMITS[*]} $IMAGE sh -c 'tty; until stty size 2>/dev/null | grep .; do sleep 0.1; done; exit 4'" /dev/null </dev/null 3>&-
    echo "$output" >&2
    [ "$status" -eq 4 ]
    [[ "$output" == *"/dev/pts/0"*"33 44"* ]]
    start_x $IMAGE sleep 1000
    run timeout 60 script -qec "stty rows 21 cols 43; ${PODMAN[*]} exec -it x sh -c 'tty; until stty size 2>/dev/null | grep .; do sleep 0.1; done; exit 5'" \
        /dev/null </dev/null 3>&-
    echo "$output" >&2
    [ "$status" -eq 5 ]
    [[ "$output" == *"/dev/pts/0"*"21 43"* ]]
}

@test "all that goes in comes out; several containers at once" {
    head -c 3000000 /dev/urandom >"$S/bytes"
    podman run --rm -i --network none --cgroup-parent "/$GROUP" "${LIMITS[@]}" $IMAGE cat <"$S/bytes" | cmp - "$S/bytes"
    for i in 1 2 3 4; do
        p_run $IMAGE sh -c "sleep 0.5; exit $i" &
        pids[i]=$!
    done
    for i in 1 2 3 4; do
        status=0
        wait "${pids[i]}" || status=$?
        [ "$status" -eq "$i" ]
    done
    wait_for no_states
}

@test "exec: user, environment, directory, status, detached" {
    start_x $IMAGE sleep 1000
    run podman exec --user 1000:7 --env A=b --workdir /tmp x sh -c 'echo "$(id -u) $(id -g) $A $(pwd)"; exit 9'
    [ "$status" -eq 9 ]
    [ "$output" = "1000 7 b /tmp" ]
    run podman exec -i x cat <<<through
    [ "$output" = through ]
    podman exec --detach x sleep 2000
    wait_for podman exec x sh -c 'ps -o args | grep -x "sleep 2000"'
    run -127 podman exec x /no/such
    run podman exec --privileged x grep CapEff /proc/self/status
    [[ "$output" == *ffff* ]]
}

@test "stop by TERM, and by KILL after the time; start, restart, kill, wait, logs" {
    start_x $IMAGE sh -c 'trap "echo bye; exit 42" TERM; echo ready; while :; do sleep 0.1; done'
    wait_for says ready
    podman stop x
    [ "$(state Status) $(state ExitCode)" = "exited 42" ]
    [ "$(podman logs x)" = $'ready\nbye' ]
    podman rm x
    start_x $IMAGE sleep 1000
    podman stop --time 1 x
    [ "$(state ExitCode)" = 137 ]
    podman start x
    podman restart --time 0 x
    is running
    podman kill --signal KILL x
    [ "$(podman wait x)" = 137 ]
}

says() { # line
    podman logs x | grep -qx "$1"
}

@test "pause, unpause, top, stats" {
    start_x $IMAGE sh -c 'i=0; while [ $i -lt 100000 ]; do i=$((i+1)); done; sleep 1000'
    podman pause x
    is paused
    podman unpause x
    is running
    wait_for podman exec x sh -c 'ps -o args | grep -x "sleep 1000"'
    # Without an option of ps's, podman looks into the container's /proc from outside, where there is none.
    [[ "$(podman top x -o pid,args)" == *1*"sleep 1000"* ]]
    run podman stats --no-stream --format '{{.MemUsage}} {{.PIDs}}' x
    [[ "$output" != 0B* ]]
    [ "${output##* }" -ge 2 ]
}

@test "limits, and update" {
    start_x --memory 64m --cpus 1 --pids-limit 50 $IMAGE sleep 1000
    [[ "$(podman exec x grep MemTotal /proc/meminfo)" == *" 65536 kB" ]]
    [ "$(podman exec x nproc)" = 1 ]
    podman update --memory 128m --memory-swap 256m x
    [[ "$(podman exec x grep MemTotal /proc/meminfo)" == *" 131072 kB" ]]
}

@test "out of memory" {
    start_x --memory 32m $IMAGE tail /dev/zero
    wait_for is exited
    [ "$(state ExitCode)" = 137 ] # conmon sees the reason with version 2 of control groups only
}

@test "volumes, tmpfs, a read-only root, user, capabilities, names" {
    podman volume create vol >/dev/null
    p_run --volume vol:/data $IMAGE sh -c 'echo kept >/data/file'
    mkdir "$S/volume"
    echo content >"$S/volume/file"
    run p_run --volume vol:/data --volume "$S/volume:/v:ro" --tmpfs /t:size=1m --read-only --user 1000:7 \
        --cap-add SYS_TIME --cap-drop CHOWN --env A=b --workdir /tmp --hostname named --shm-size 10m $IMAGE sh -c 'exec 2>&1
        echo "$(id -u) $(id -g) $A $(pwd) $(hostname) $(ulimit -n) $(cat /data/file) $(cat /v/file)"
        touch /t/x && echo tmpfs; touch /x; touch /v/x; grep CapBnd /proc/self/status; df /dev/shm | tail -1'
    echo "$output" >&2
    [ "${lines[0]}" = "1000 7 b /tmp named 1000 kept content" ]
    [ "${lines[1]}" = tmpfs ]
    [[ "$output" == *"/x: Read-only file system"*"/v/x: Read-only file system"* ]]
    [[ "$output" == *CapBnd:*00000000820405fa* ]]
    [[ "$output" == *" 10240 "* ]]
    podman volume rm vol >/dev/null
}

@test "podman's default seccomp profile holds; --privileged and unconfined are without" {
    run p_run $IMAGE sh -c 'exec 2>&1; grep Seccomp: /proc/self/status; mkdir /m; mount -t tmpfs x /m'
    [[ "$output" == *2*"ermission denied"* || "$output" == *2*"peration not permitted"* ]]
    run p_run --security-opt seccomp=unconfined --security-opt no-new-privileges $IMAGE \
        grep -E 'Seccomp:|NoNewPrivs' /proc/self/status
    [[ "$output" == *NoNewPrivs:*1*Seccomp:*0* ]]
    run p_run --privileged $IMAGE sh -c 'grep -E "Seccomp:|CapEff" /proc/self/status; mkdir /m && mount -t tmpfs x /m && echo mounted'
    echo "$output" >&2
    [[ "$output" == *ffff*0* ]]
    [[ "$output" == *mounted* ]]
}

@test "--init, a health check" {
    init=$(command -v docker-init tini-static tini | head -1)
    [ -n "$init" ] || skip "no init program"
    run p_run --init --init-path "$init" $IMAGE ps -o pid,args
    [[ "$output" == *"1 /run/podman-init -- ps"* || "$output" == *"1 /dev/init -- ps"* ]]
    start_x --health-cmd 'test -e /ok' $IMAGE sleep 1000 2>/dev/null
    run podman healthcheck run x
    [ "$status" -eq 1 ]
    podman exec x touch /ok
    podman healthcheck run x
}

@test "cp, diff, commit, attach" {
    start_x $IMAGE sh -c 'sleep 2; echo done'
    run podman attach --no-stdin x
    [ "$output" = "done" ]
    podman rm x
    start_x $IMAGE sleep 1000
    echo content >"$S/file"
    podman cp "$S/file" x:/copied
    [ "$(podman exec x cat /copied)" = content ]
    podman exec x sh -c 'echo more >>/copied'
    podman cp x:/copied "$S/back"
    [ "$(cat "$S/back")" = $'content\nmore' ]
    podman diff x | grep -qx 'A /copied'
    podman commit --quiet x committed >/dev/null
    [ "$(p_run committed tail -1 /copied)" = more ]
    podman rmi committed >/dev/null
}

@test "a pod: containers that share the network and the host name" {
    podman pod create --name p --network none --cgroup-parent "/$GROUP" --infra-image $IMAGE --infra-command 'sleep 1000' >/dev/null
    podman run --detach --pod p "${LIMITS[@]}" $IMAGE sh -c 'while :; do nc -l -p 99 -e echo through; done' >/dev/null
    wait_for answers podman run --rm --pod p "${LIMITS[@]}" $IMAGE nc -w 3 127.0.0.1 99
    [ "$(podman run --rm --pod p "${LIMITS[@]}" $IMAGE hostname)" = p ]
    [ "$(podman pod inspect --format '{{.NumContainers}}' p)" = 2 ]
}

answers() { # command...
    [ "$("$@")" = through ]
}

@test "what stands for the container, or its kernel, is killed: it has ended with 137" {
    start_x $IMAGE sleep 1000
    kill -KILL "$(state Pid)"
    wait_for is exited
    [ "$(state ExitCode)" = 137 ]
    podman start x
    kill -KILL "$(jq .keep "$STATES/$(podman inspect --format '{{.Id}}' x)/state.json")"
    wait_for is exited
    [ "$(state ExitCode)" = 137 ]
    podman rm x
    wait_for no_states
}

@test "conmon is killed: podman ends the container, the runtime knows what is left" {
    start_x $IMAGE sleep 1000
    pid=$(state Pid)
    kill -KILL "$(state ConmonPid)"
    podman rm --force --time 0 x
    wait_for gone "$pid"
    # podman asks no runtime to delete what has no conmon.
    "$BAILEY" list -q | xargs -r -n 1 "$BAILEY" delete --force
    wait_for no_states
}
