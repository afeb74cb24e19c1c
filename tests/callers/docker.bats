#!/usr/bin/env bats
#: timeout 300
# dockerd with bailey among its runtimes, by docker's command. docs/docker.md
bats_require_minimum_version 1.5.0
load helpers

setup_file() {
    engine_begin /run/containerd /run/docker /etc/docker
    STATES=$S/exec/runtime-runc/moby # its name for whatever is in runc's place
    export STATES DOCKER_HOST=unix://$S/docker.sock DOCKER_CONFIG=$S/config
    jq -n --arg s "$S" --arg group "/$GROUP" --arg bailey "$BAILEY" '{
        "data-root": ($s + "/data"), "exec-root": ($s + "/exec"), pidfile: ($s + "/docker.pid"),
        hosts: ["unix://" + $s + "/docker.sock"], "cgroup-parent": $group, "exec-opts": ["native.cgroupdriver=cgroupfs"],
        iptables: false, ip6tables: false, "oom-score-adjust": 0,
        runtimes: {bailey: {path: $bailey}}, "default-runtime": "bailey"}' >"$S/daemon.json"
    # In a network namespace of its own, so that its bridge is none of the host's.
    daemon dockerd unshare --net sh -c "ip link set lo up && exec /usr/sbin/dockerd --config-file '$S/daemon.json'"
    wait_for docker version
    image
    docker load --quiet --input "$S/image.tar" >/dev/null
}

teardown_file() {
    daemon_stop dockerd
    umount "$S"/exec/netns/* 2>/dev/null
    engine_end
}

teardown() {
    docker ps --all --quiet | xargs -r docker rm --force --volumes >/dev/null 2>&1
}

docker() {
    timeout -k 5 60 /usr/bin/docker "$@" 3>&-
}

d_run() { # option...
    docker run --rm --network none "$@" </dev/null
}

start_x() { # option... image program...
    docker run --detach --name x1 --network none "$@" </dev/null >/dev/null
}

state() { # field
    docker inspect --format "{{.State.$1}}" x1
}

is() { # status
    [ "$(state Status)" = "$1" ]
}

@test "run: streams and exit status; it is bailey's kernel" {
    run --separate-stderr d_run $IMAGE sh -c 'echo out; echo err >&2; exit 7'
    [ "$status" -eq 7 ]
    [ "$output" = out ]
    [ "$stderr" = err ]
    run docker run --rm --network none -i $IMAGE sh -c 'cat; uname -r' <<<through
    [ "${lines[0]}" = through ]
    [[ "${lines[1]}" == *[Bb]ailey* ]]
    [ "$(docker info --format '{{.DefaultRuntime}}')" = bailey ]
    wait_for no_states
}

@test "run: 127, 126 and 125 for programs that cannot be" {
    run -127 d_run $IMAGE /no/such
    run -127 d_run $IMAGE nosuch
    run -126 d_run $IMAGE /etc/passwd
    wait_for no_states
}

@test "run -it and exec -it: a terminal" {
    needs script
    run timeout 60 script -qec "stty rows 33 cols 44; docker run --rm --network none -it $IMAGE \
        sh -c 'tty; until stty size 2>/dev/null | grep .; do sleep 0.1; done; exit 4'" /dev/null </dev/null 3>&-
    echo "$output" >&2
    [ "$status" -eq 4 ]
    [[ "$output" == *"/dev/pts/0"*"33 44"* ]]
    start_x $IMAGE sleep 1000
    run timeout 60 script -qec "stty rows 21 cols 43; docker exec -it x1 sh -c 'tty; until stty size 2>/dev/null | grep .; do sleep 0.1; done; exit 5'" \
        /dev/null </dev/null 3>&-
    [ "$status" -eq 5 ]
    [[ "$output" == *"/dev/pts/0"*"21 43"* ]]
}

@test "all that goes in comes out; several containers at once" {
    head -c 3000000 /dev/urandom >"$S/bytes"
    docker run --rm --network none -i $IMAGE cat <"$S/bytes" | cmp - "$S/bytes"
    for i in 1 2 3 4; do
        d_run $IMAGE sh -c "sleep 0.5; exit $i" &
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
    run docker exec --user 1000:7 --env A=b --workdir /tmp x1 sh -c 'echo "$(id -u) $(id -g) $A $(pwd)"; exit 9'
    [ "$status" -eq 9 ]
    [ "$output" = "1000 7 b /tmp" ]
    run docker exec -i x1 cat <<<through
    [ "$output" = through ]
    docker exec --detach x1 sleep 2000
    wait_for docker exec x1 sh -c 'ps -o args | grep -x "sleep 2000"'
    run docker exec x1 /no/such
    [ "$status" -eq 126 ] || [ "$status" -eq 127 ]
    run docker exec --privileged x1 grep CapEff /proc/self/status
    [[ "$output" == *ffff* ]]
}

@test "stop by TERM, and by KILL after the time; restart, kill, wait" {
    start_x $IMAGE sh -c 'trap "echo bye; exit 42" TERM; echo ready; while :; do sleep 0.1; done'
    wait_for says ready
    docker stop x1
    [ "$(state Status) $(state ExitCode)" = "exited 42" ]
    [ "$(docker logs x1)" = $'ready\nbye' ]
    docker rm x1
    start_x --restart on-failure:1 $IMAGE sleep 1000
    docker stop --time 1 x1
    [ "$(state ExitCode)" = 137 ]
    docker restart --time 0 x1
    is running
    docker kill --signal KILL x1
    [ "$(docker wait x1)" = 137 ]
}

says() { # line
    docker logs x1 | grep -qx "$1"
}

@test "a container that ends with failure is started again" {
    start_x --restart on-failure:2 $IMAGE sh -c 'echo once; exit 3'
    wait_for is exited
    [ "$(docker inspect --format '{{.RestartCount}}' x1)" = 2 ]
    [ "$(docker logs x1 | grep -c once)" = 3 ]
    [ "$(state ExitCode)" = 3 ]
}

@test "pause, unpause, top, stats" {
    start_x $IMAGE sh -c 'sleep 1000 & i=0; while [ $i -lt 100000 ]; do i=$((i+1)); done; sleep 1000'
    docker pause x1
    is paused
    docker unpause x1
    is running
    wait_for docker exec x1 true
    # The host's pids, of processes in the container's cgroup.
    docker top x1 -o pid >"$BATS_TEST_TMPDIR/top"
    [ "$(wc -l <"$BATS_TEST_TMPDIR/top")" -ge 3 ]
    grep -q "$(docker inspect --format '{{.Id}}' x1)" "/proc/$(sed -n 2p "$BATS_TEST_TMPDIR/top" | tr -d ' ')/cgroup"
    run docker stats --no-stream --format '{{.MemUsage}} {{.PIDs}}' x1
    [[ "$output" != 0B* ]]
    [ "${output##* }" -ge 3 ]
}

@test "limits, and update" {
    start_x --memory 64m --cpus 1 --pids-limit 50 $IMAGE sleep 1000
    [[ "$(docker exec x1 grep MemTotal /proc/meminfo)" == *" 65536 kB" ]]
    [ "$(docker exec x1 nproc)" = 1 ]
    docker update --memory 128m --memory-swap 256m --pids-limit 60 x1
    [[ "$(docker exec x1 grep MemTotal /proc/meminfo)" == *" 131072 kB" ]]
    pid=$(state Pid)
    group=$(awk -F: '$2 ~ /memory/ { print $3 }' "/proc/$pid/cgroup")
    [ "$(cat "/sys/fs/cgroup/memory$group/memory.limit_in_bytes")" = 134217728 ]
    [ "$(cat "/sys/fs/cgroup/pids$group/pids.max")" = 60 ]
}

@test "out of memory" {
    start_x --memory 32m $IMAGE tail /dev/zero
    wait_for is exited
    [ "$(state ExitCode) $(state OOMKilled)" = "137 true" ]
}

@test "volumes, tmpfs, a read-only root, user, capabilities, names, limits of processes" {
    docker volume create vol >/dev/null
    d_run --volume vol:/data $IMAGE sh -c 'echo kept >/data/file'
    mkdir "$S/volume"
    echo content >"$S/volume/file"
    run d_run --volume vol:/data --volume "$S/volume:/v:ro" --tmpfs /t:size=1m --read-only --user 1000:7 --cap-add SYS_TIME \
        --cap-drop CHOWN --env A=b --workdir /tmp --hostname named --ulimit nofile=100:200 --shm-size 10m $IMAGE sh -c 'exec 2>&1
        echo "$(id -u) $(id -g) $A $(pwd) $(hostname) $(ulimit -n) $(cat /data/file) $(cat /v/file)"
        touch /t/x && echo tmpfs; touch /x; touch /v/x; grep CapBnd /proc/self/status; df /dev/shm | tail -1'
    echo "$output" >&2
    [ "${lines[0]}" = "1000 7 b /tmp named 100 kept content" ]
    [ "${lines[1]}" = tmpfs ]
    [[ "$output" == *"/x: Read-only file system"*"/v/x: Read-only file system"* ]]
    [[ "$output" == *"00000000aa0425fa"* ]]
    [[ "$output" == *" 10240 "* ]]
    docker volume rm vol >/dev/null
}

@test "docker's default seccomp profile holds; --privileged and unconfined are without" {
    run d_run $IMAGE sh -c 'exec 2>&1; grep Seccomp: /proc/self/status; unshare true'
    [[ "$output" == *2*"peration not permitted"* ]]
    run d_run --security-opt seccomp=unconfined --security-opt no-new-privileges $IMAGE \
        grep -E 'Seccomp:|NoNewPrivs' /proc/self/status
    [[ "$output" == *NoNewPrivs:*1*Seccomp:*0* ]]
    run d_run --privileged $IMAGE sh -c 'grep -E "Seccomp:|CapEff" /proc/self/status; mkdir /m && mount -t tmpfs x /m && echo mounted'
    echo "$output" >&2
    [[ "$output" == *ffff*0* ]]
    [[ "$output" == *mounted* ]]
}

@test "--init, health checks" {
    run d_run --init $IMAGE ps -o pid,args
    [[ "$output" == *"1 /sbin/docker-init -- ps"* ]]
    start_x --health-cmd 'test -e /ok' --health-interval 1s $IMAGE sh -c 'touch /ok; sleep 1000'
    wait_for healthy
}

healthy() {
    [ "$(state Health.Status)" = healthy ]
}

@test "cp, diff, commit, rename" {
    start_x $IMAGE sleep 1000
    echo content >"$S/file"
    docker cp "$S/file" x1:/copied
    [ "$(docker exec x1 cat /copied)" = content ]
    docker exec x1 sh -c 'echo more >>/copied'
    docker cp x1:/copied "$S/back"
    [ "$(cat "$S/back")" = $'content\nmore' ]
    docker diff x1 | grep -qx 'A /copied'
    docker commit x1 committed >/dev/null
    [ "$(d_run committed tail -1 /copied)" = more ]
    docker rmi committed >/dev/null
}

@test "networks: the bridge, names, a port, another container's, the daemon's own" {
    docker network create n1 >/dev/null
    docker run --detach --network n1 --name server --publish 8080:99 $IMAGE sh -c 'while :; do nc -l -p 99 -e echo through; done' >/dev/null
    wait_for answers docker run --rm --network n1 $IMAGE nc -w 3 server 99
    wait_for answers docker run --rm --network container:server $IMAGE nc -w 3 127.0.0.1 99
    wait_for answers nsenter --target "$(cat "$S/docker.pid")" --net busybox nc -w 3 127.0.0.1 8080
    wait_for answers docker run --rm --network host $IMAGE nc -w 3 127.0.0.1 8080
    docker rm --force server >/dev/null
    docker network rm n1 >/dev/null
}

answers() { # command...
    [ "$("$@")" = through ]
}

@test "runc beside bailey, by --runtime" {
    [ "$(d_run --runtime runc $IMAGE echo by runc)" = "by runc" ]
    [ "$(d_run --runtime bailey $IMAGE echo by bailey)" = "by bailey" ]
}

@test "what stands for the container, or its kernel, is killed: it has ended with 137" {
    start_x $IMAGE sleep 1000
    pid=$(state Pid)
    "$BAILEY" --root "$STATES" list -q | grep -qx "$(docker inspect --format '{{.Id}}' x1)"
    kill -KILL "$pid"
    wait_for is exited
    [ "$(state ExitCode)" = 137 ]
    docker start x1
    keep=$(jq .keep "$STATES/$(docker inspect --format '{{.Id}}' x1)/state.json")
    kill -KILL "$keep"
    wait_for is exited
    [ "$(state ExitCode)" = 137 ]
    wait_for no_states
}
