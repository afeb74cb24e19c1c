#!/usr/bin/env bats
# dockerd with bailey among its runtimes, by docker's command. docs/docker.md
bats_require_minimum_version 1.5.0
load helpers
load engine

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
    timeout -k 5 $LIMIT /usr/bin/docker "$@" 3>&-
}

ENGINE=docker COMMAND=(/usr/bin/docker) OPTIONS=(--network none)

@test "run: streams and exit status; it is bailey's kernel" {
    streams_and_status
    [ "$(docker info --format '{{.DefaultRuntime}}')" = bailey ]
    wait_for no_states
}

@test "run: 127, 126 and 125 for programs that cannot be" {
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
    run docker exec x1 /no/such
    [ "$status" -eq 126 ] || [ "$status" -eq 127 ]
}

@test "stop by TERM, and by KILL after the time; restart, kill, wait" {
    stops_by_term
    stops_by_kill --restart on-failure:1
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
    pauses
    # The host's pids, of processes in the container's cgroup.
    top() { docker top x1 -o pid >"$BATS_TEST_TMPDIR/top" && [ "$(wc -l <"$BATS_TEST_TMPDIR/top")" -ge 3 ]; }
    wait_for top
    grep -q "$(docker inspect --format '{{.Id}}' x1)" "/proc/$(sed -n 2p "$BATS_TEST_TMPDIR/top" | tr -d ' ')/cgroup"
    tells_its_use 3
}

@test "limits, and update" {
    sees_its_limits --pids-limit 60
    pid=$(state Pid)
    group=$(awk -F: '$2 ~ /memory/ { print $3 }' "/proc/$pid/cgroup")
    [ "$(cat "/sys/fs/cgroup/memory$group/memory.limit_in_bytes")" = 134217728 ]
    [ "$(cat "/sys/fs/cgroup/pids$group/pids.max")" = 60 ]
}

@test "out of memory" {
    runs_out_of_memory
    [ "$(state OOMKilled)" = true ]
}

@test "volumes, tmpfs, a read-only root, user, capabilities, names, limits of processes" {
    volumes_and_the_like 100 00000000aa0425fa --ulimit nofile=100:200
}

@test "docker's default seccomp profile holds; --privileged and unconfined are without" {
    run e_run $IMAGE sh -c 'exec 2>&1; grep Seccomp: /proc/self/status; unshare true'
    [[ "$output" == *2*"peration not permitted"* ]]
    without_its_profile
}

@test "--init, health checks" {
    run e_run --init $IMAGE ps -o pid,args
    [[ "$output" == *"1 /sbin/docker-init -- ps"* ]]
    start_x --health-cmd 'test -e /ok' --health-interval 1s $IMAGE sh -c 'touch /ok; sleep 1000'
    wait_for healthy
}

healthy() {
    [ "$(state Health.Status)" = healthy ]
}

@test "cp, diff, commit, rename" {
    copies_and_commits
}

@test "networks: the bridge, names, a port, another container's, the daemon's own" {
    docker network create n1 >/dev/null
    docker run --detach --network n1 --name server --publish 8080:99 $IMAGE sh -c 'while :; do nc -l -p 99 -e echo through; done' >/dev/null
    wait_for answers docker run --rm --network n1 $IMAGE nc -w 20 server 99
    wait_for answers docker run --rm --network container:server $IMAGE nc -w 20 127.0.0.1 99
    wait_for answers nsenter --target "$(cat "$S/docker.pid")" --net busybox nc -w 20 127.0.0.1 8080
    wait_for answers docker run --rm --network host $IMAGE nc -w 20 127.0.0.1 8080
    docker rm --force server >/dev/null
    docker network rm n1 >/dev/null
}

@test "runc beside bailey, by --runtime" {
    [ "$(e_run --runtime runc $IMAGE echo by runc)" = "by runc" ]
    [ "$(e_run --runtime bailey $IMAGE echo by bailey)" = "by bailey" ]
}

@test "what stands for the container, or its kernel, is killed: it has ended with 137" {
    ends_with_what_stands_for_it
}
