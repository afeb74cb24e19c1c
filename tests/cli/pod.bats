#!/usr/bin/env bats
# Pods: the containers that CRI's annotations make one of share a keep, the network and what their namespaces say; each has
# a life of its own.
bats_require_minimum_version 1.5.0
load helpers

CRI=io.kubernetes.cri

# A bundle $BATS_TEST_TMPDIR/NAME with a root of its own; /etc/me says whose.
member_bundle() { # name args...
    local name=$1 applet
    shift
    BUNDLE=$BATS_TEST_TMPDIR/$name
    mkdir -p "$BUNDLE"/rootfs/{bin,etc,proc,sys,dev,tmp}
    ln -f "$BASE/bin/busybox" "$BUNDLE/rootfs/bin/busybox"
    for applet in sh ls cat echo sleep kill ps stat true id hostname dmesg mount nc readlink seq ln rm touch wc; do
        ln -sf busybox "$BUNDLE/rootfs/bin/$applet"
    done
    ln -f "$BASE/bin/calls" "$BASE/bin/fdpass" "$BUNDLE/rootfs/bin/"
    echo "$name" >"$BUNDLE/rootfs/etc/me"
    ln -sfn / "$BUNDLE/rootfs/top"
    rm -f "$BUNDLE/config.json"
    "$BAILEY" spec --bundle "$BUNDLE"
    config '.process.terminal = false | .root.readonly = false | del(.hostname)
        | .process.env += ["PATH=/bin"]'
    args "$@"
}

# The sandbox sb, as CRI's pause container.
sandbox() {
    BASE=$BATS_TEST_TMPDIR/base
    mkdir -p "$BASE/bin"
    cp /bin/busybox "$B/tests/tools/"{calls,fdpass} "$BASE/bin"
    member_bundle sb sleep 1000
    config --arg p $CRI '.hostname = "pod" | .annotations = {($p + ".container-type"): "sandbox", ($p + ".sandbox-id"): "sb"}'
    config "$@"
    make sb
}

make() { # id
    bailey create --bundle "$BATS_TEST_TMPDIR/$1" --pid-file "$BATS_TEST_TMPDIR/$1.pid" "$1" \
        </dev/null >"$BATS_TEST_TMPDIR/$1.out" 2>"$BATS_TEST_TMPDIR/$1.err" 3>&- || {
        cat "$BATS_TEST_TMPDIR/$1.err" >&2
        return 1
    }
    bailey start "$1" 3>&-
}

# The bundle of a container of the pod, with namespaces as CRI writes them.
joining() { # name args...
    member_bundle "$@"
    config --arg p $CRI --arg n "/proc/$(pid sb)/ns/" '
        .annotations = {($p + ".container-type"): "container", ($p + ".sandbox-id"): "sb", ($p + ".container-name"): "x"}
        | .linux.namespaces = [{type: "pid"}, {type: "mount"}]
            + [["network", "net"], ["ipc", "ipc"], ["uts", "uts"] | {type: .[0], path: ($n + .[1])}]'
}

member() { # name args...
    joining "$@"
    make "$1"
}

pid() { # id
    cat "$BATS_TEST_TMPDIR/$1.pid"
}

in_c() { # id command...
    bailey exec "$@" 3>&-
}

teardown() {
    local id
    for id in $(bailey list -q 3>&-); do
        [ "$id" = sb ] || bailey delete --force "$id" 3>&-
    done
    bailey delete --force sb 3>&-
    nothing_left
}

exit_is() { # id status
    [ "$(bailey state "$1" 3>&- | jq .exitStatus)" = "$2" ]
}

keep_of() { # id
    jq .keep "$STATE/$1/state.json"
}

@test "one keep for the pod, a porter for each container" {
    sandbox
    member a sleep 1000
    member b sleep 1000
    [ "$(keep_of a)" = "$(keep_of sb)" ]
    [ "$(keep_of b)" = "$(keep_of sb)" ]
    [ "$(jq -r .sandbox "$STATE/a/state.json")" = sb ]
    [ "$(printf '%s\n' "$(pid sb)" "$(pid a)" "$(pid b)" "$(keep_of sb)" | sort -u | wc -l)" -eq 4 ]
    local ns
    for ns in net ipc uts; do
        [ "$(readlink "/proc/$(pid a)/ns/$ns")" = "$(readlink "/proc/$(pid sb)/ns/$ns")" ]
    done
    [ "$(readlink "/proc/$(pid a)/ns/pid")" != "$(readlink "/proc/$(pid b)/ns/pid")" ]
    [ "$(cat "/proc/$(pid a)/root/etc/me")" = a ]
    # Each is counted in its own control group.
    [ "$(cat "/proc/$(pid a)/cgroup")" != "$(cat "/proc/$(pid b)/cgroup")" ]
    for id in sb a b; do
        [ "$(bailey ps --format json $id 3>&- | jq length)" -eq 1 ]
        status_is $id running
    done
}

@test "control groups: each container's own, the keep with the sandbox" {
    local parent=/bailey-test-pod-$$-$RANDOM
    sandbox --arg p "$parent/sb" '.linux.cgroupsPath = $p'
    joining a sh -c 'sleep 1000 & exec sleep 1000'
    config --arg p "$parent/a" '.linux.cgroupsPath = $p | .linux.resources.pids.limit = 5'
    make a
    in_memory() { # pid
        grep -E '^[0-9]+:memory:|^0::' "/proc/$1/cgroup" | grep -o "$parent/.*" | head -1
    }
    [ "$(in_memory "$(pid sb)")" = "$parent/sb" ]
    [ "$(in_memory "$(keep_of sb)")" = "$parent/sb" ]
    [ "$(in_memory "$(pid a)")" = "$parent/a" ]
    for p in $(bailey ps --format json a 3>&- | jq -r .[]); do
        [ "$(in_memory "$p")" = "$parent/a" ]
    done
    # Its limits are its own.
    run in_c a sh -c 'for i in 1 2 3 4 5; do sleep 1000 >/dev/null 2>&1 & done; echo not reached'
    [[ "$output" == *"can't fork"* ]]
    in_c sb sh -c 'sleep 0 & sleep 0 & sleep 0 & sleep 0 & sleep 0 & wait'
    [ "$(bailey events --stats a 3>&- | jq .data.pids.current)" -le 3 ]
}

@test "each has its own root, links and dots included, whoever walks" {
    sandbox
    member a sh -c 'cat /etc/me /top/etc/me /top/../../top/etc/me; exec sleep 1000'
    member b sleep 1000
    wait_for grep -q a "$BATS_TEST_TMPDIR/a.out"
    local id
    for id in a sb b a; do
        run in_c "$id" sh -c 'cat /etc/me /top/etc/me ../../../etc/me /proc/self/root/etc/me /proc/1/cwd/top/etc/me; readlink /proc/self/cwd'
        [ "$output" = "$(printf '%s\n' "$id" "$id" "$id" "$id" "$id" /)" ]
    done
    [ "$(tr -d '\n' <"$BATS_TEST_TMPDIR/a.out")" = aaa ]
    # The program of a process is looked for in its own tree.
    rm "$BATS_TEST_TMPDIR/b/rootfs/bin/wc"
    run in_c b wc -c /etc/me
    [ "$status" -ne 0 ]
    in_c a wc -c /etc/me
    in_c a sh -c 'echo secret >/tmp/mine; ln -s /tmp/mine /tmp/link'
    run in_c b cat /tmp/mine
    [ "$status" -ne 0 ]
    [ "$(in_c a cat /tmp/link)" = secret ]
}

@test "no container sees or signals another's processes" {
    sandbox
    member a sleep 1000
    member b sh -c 'trap "echo hit >>/tmp/hit" HUP TERM USR1; while :; do sleep 1; done'
    local host
    host="$(pid b) $(keep_of sb) $(bailey ps --format json b 3>&- | jq -r .[])"
    in_c a sh -c 'for p in $(seq 2 400) '"$(tr '\n' ' ' <<<"$host")"'; do
        [ $p = $$ ] || kill -TERM $p || kill -9 $p || kill -0 $p && [ $p != $$ ] && echo "reached $p"; done; true' >"$BATS_TEST_TMPDIR/said" 2>/dev/null
    run grep -c reached "$BATS_TEST_TMPDIR/said"
    [ "$output" -eq 0 ]
    # All that it can reach is its own.
    in_c a sh -c 'kill -9 -1' || true
    for p in $host; do
        run in_c a calls "101,16,$p,0,0" "kill,$p,9" "234,$p,$p,9" "434,$p,0"
        [ -z "$(grep -v ': E' <<<"$output")" ] || { echo "$output" && false; }
    done
    status_is b running
    status_is sb running
    run in_c b cat /tmp/hit
    [ "$status" -ne 0 ]
}

@test "a directory that another container gave away leads into that one's tree, and no further" {
    sandbox
    joining a sh -c 'echo of-a >/tmp/mine; fdpass give door /tmp; exec sleep 1000'
    config '.mounts += [{destination: "/vol", type: "tmpfs", source: "tmpfs", options: ["rw"]}]'
    make a
    member b sh -c 'exec fdpass take door sh -c "
        cd /proc/self/fd/3 && cat mine ../etc/me ../../../../etc/me ../top/etc/me; ls ../proc ../vol; ls -l /proc/self/fd/3 | cut -d\> -f2
        echo more >../vol/new
        until [ -e /tmp/go ]; do sleep 0.1; done
        cat mine ../etc/me ../vol/new /etc/me; ls ..; echo done; exec sleep 1000"'
    ln -sf busybox "$BATS_TEST_TMPDIR/b/rootfs/bin/cut"
    wait_for grep -q /tmp "$BATS_TEST_TMPDIR/b.out"
    # Its own links are its own; an absolute one starts at the root of who walks.
    run head -5 "$BATS_TEST_TMPDIR/b.out"
    [ "$output" = "$(printf '%s\n' 'peer 0' of-a a a b)" ]
    # What is the keep's own in the other container is not there by this way.
    ! grep -q '^1$' "$BATS_TEST_TMPDIR/b.out"
    # The giver ends; what was given stays harmless.
    bailey kill a KILL 3>&-
    wait_for status_is a stopped
    bailey delete a 3>&-
    in_c b touch /tmp/go
    wait_for grep -q done "$BATS_TEST_TMPDIR/b.out"
    member a sh -c 'exec sleep 1000'
    [ "$(in_c a cat /etc/me)" = a ]
    [ "$(in_c b cat /etc/me)" = b ]
}

@test "create of a member, killed before its steps" {
    sandbox
    member b sleep 1000
    joining a sleep 1000
    local fds i status=99
    fds=$(ls "/proc/$(keep_of sb)/fd" | wc -l)
    for i in $(seq 1 4 400); do
        status=0
        timeout $LIMIT "$B/tests/tools/killat" "$i" "$BAILEY" --root "$STATE" create --bundle "$BUNDLE" a \
            </dev/null >/dev/null 2>&1 3>&- || status=$?
        bailey delete --force a 3>&-
        [ $status -eq 99 ] || break
    done
    [ $status -eq 0 ]
    [ "$i" -gt 20 ]
    fewer() {
        [ "$(ls "/proc/$(keep_of sb)/fd" | wc -l)" -le "$fds" ]
    }
    wait_for fewer
    make a
    [ "$(in_c a cat /etc/me)" = a ]
    status_is b running
}

@test "what the pod shares: the network, names, System V objects" {
    sandbox
    member a sh -c 'echo from a | nc -l -p 8080'
    member b sleep 1000
    joining c sleep 1000
    config '.linux.namespaces |= map(if .type == "ipc" or .type == "uts" then del(.path) else . end) | .hostname = "alone"'
    make c
    wait_for sh -c "[ \"\$('$BAILEY' --root '$STATE' exec b nc 127.0.0.1 8080 </dev/null 2>/dev/null 3>&-)\" = 'from a' ]"
    [ "$(in_c b hostname)" = pod ]
    [ "$(in_c c hostname)" = alone ]
    local made
    made=$(in_c b calls 68,0x4242,0x3b6)
    [ "$(in_c sb calls 68,0x4242,0)" = "$made" ]
    [ "$(in_c c calls 68,0x4242,0)" != "$made" ]
}

@test "a pid namespace that is the pod's" {
    sandbox
    member a sleep 1000
    joining b sh -c 'sleep 2000 & exec sleep 3000'
    config --arg p "/proc/$(pid sb)/ns/pid" '.linux.namespaces |= map(if .type == "pid" then .path = $p else . end)'
    make b
    run in_c b ps -o args
    [[ "$output" == *"sleep 1000"*"sleep 3000"* ]]
    [ "$(in_c b cat /proc/1/root/etc/me 2>/dev/null || echo hidden)" != b ]
    run in_c sb ps -o args
    [[ "$output" == *"sleep 3000"* ]]
    run in_c a ps -o args
    [[ "$output" != *"sleep 3000"* ]]
    [ "$(bailey ps --format json b 3>&- | jq length)" -eq 2 ]
    # Another member's will do (kubectl debug --target).
    joining d sleep 4000
    config --arg p "/proc/$(pid a)/ns/pid" '.linux.namespaces |= map(if .type == "pid" then .path = $p else . end)'
    make d
    run in_c d ps -o args
    [[ "$output" == *"sleep 1000"*"sleep 4000"* && "$output" != *"sleep 3000"* ]]
    [ "$(in_c d cat /proc/1/root/etc/me)" = a ]
    # Its end is that of all of its processes, and only of them.
    bailey kill b KILL 3>&-
    wait_for status_is b stopped
    bailey delete b 3>&-
    run in_c sb ps -o args
    [[ "$output" != *"sleep 2000"* && "$output" == *"sleep 1000"* ]]
    # With the first process of a pid namespace all in it end.
    bailey delete --force a 3>&-
    wait_for status_is d stopped
    exit_is d 137
    bailey delete d 3>&-
    [ "$(in_c sb cat /etc/me)" = sb ]
}

@test "a pod with a user namespace" {
    local ids='[{"containerID": 0, "hostID": 100000, "size": 65536}]'
    BASE=$BATS_TEST_TMPDIR/base
    sandbox --argjson ids "$ids" '.linux.namespaces += [{type: "user"}] | .linux.uidMappings = $ids | .linux.gidMappings = $ids'
    joining a sh -c 'cat /proc/self/uid_map; touch /tmp/new; exec sleep 1000'
    config --argjson ids "$ids" --arg p "/proc/$(pid sb)/ns/user" \
        '.linux.namespaces += [{type: "user", path: $p}] | .linux.uidMappings = $ids | .linux.gidMappings = $ids'
    chown 100000:100000 "$BUNDLE/rootfs/tmp" "$BUNDLE/rootfs"
    make a
    [ "$(keep_of a)" = "$(keep_of sb)" ]
    wait_for test -e "$BATS_TEST_TMPDIR/a/rootfs/tmp/new"
    [ "$(stat -c %u:%g "$BATS_TEST_TMPDIR/a/rootfs/tmp/new")" = 100000:100000 ]
    grep -q '0 *100000 *65536' "$BATS_TEST_TMPDIR/a.out"
    # One without it is not a member.
    member b sleep 1000
    [ "$(keep_of b)" != "$(keep_of sb)" ]
}

@test "a container's end is its own; it comes again under the same name" {
    sandbox
    member a sleep 1000
    local i fds
    for i in 1 2 3 4 5; do
        member b sh -c "exit $i"
        wait_for status_is b stopped
        exit_is b $i
        bailey delete b 3>&-
        [ "$i" -ne 3 ] || fds=$(ls "/proc/$(keep_of sb)/fd" | wc -l)
    done
    no_more() { [ "$(ls "/proc/$(keep_of sb)/fd" | wc -l)" -le "$fds" ]; }
    wait_for no_more
    status_is a running
    status_is sb running
}

@test "a deleted container's file system is free" {
    command -v mkfs.ext4 >/dev/null || skip "mkfs.ext4 is not installed"
    local disk=$BATS_TEST_TMPDIR/disk
    truncate -s 16M "$disk"
    mkfs.ext4 -q "$disk"
    mkdir -p "$BATS_TEST_TMPDIR/a/rootfs"
    sandbox
    member b sleep 1000
    mount -o loop "$disk" "$BATS_TEST_TMPDIR/a/rootfs" || skip "no loop device"
    BASE=$BATS_TEST_TMPDIR/a/base
    mkdir "$BASE"
    mkdir "$BATS_TEST_TMPDIR/a/rootfs/bin"
    cp -r "$BATS_TEST_TMPDIR/base/bin" "$BASE"
    cp "$BASE/bin/"* "$BATS_TEST_TMPDIR/a/rootfs/bin"
    (ln() { [ "$1" = -f ] || command ln "$@"; }; joining a sh -c 'cat /etc/me; sleep 1000')
    make a
    [ "$(in_c a cat /etc/me)" = a ]
    bailey delete --force a 3>&-
    umount "$BATS_TEST_TMPDIR/a/rootfs"
    # The device goes with the last use of the file system.
    free() {
        [ -z "$(losetup -j "$disk")" ]
    }
    wait_for free
    status_is b running
}

@test "a paused container waits, the others go on" {
    sandbox
    joining a sh -c 'while read l; do echo "$l"; done </tmp/in'
    mkfifo "$BATS_TEST_TMPDIR/a/rootfs/tmp/in"
    make a
    member b sleep 1000
    bailey pause a 3>&-
    status_is a paused
    [ "$(in_c b cat /etc/me)" = b ]
    member c true
    wait_for status_is c stopped
    exec 5<>"$BATS_TEST_TMPDIR/a/rootfs/tmp/in"
    echo hello >&5
    sleep 0.3
    [ ! -s "$BATS_TEST_TMPDIR/a.out" ]
    bailey resume a 3>&- 5>&-
    wait_for grep -qx hello "$BATS_TEST_TMPDIR/a.out"
    status_is a running
    exec 5>&-
    wait_for status_is a stopped
    bailey pause b 3>&-
    bailey delete --force b 3>&-
    status_is sb running
}

@test "created, then killed; hooks" {
    sandbox
    joining a sleep 1000
    config --arg out "$BATS_TEST_TMPDIR/hooks" '.hooks = {
        createContainer: [{path: "/bin/sh", args: ["sh", "-c", ("echo createContainer >>" + $out)]}],
        startContainer: [{path: "/bin/sh", args: ["sh", "-c", "cat /etc/me >/tmp/started"]}],
        poststop: [{path: "/bin/sh", args: ["sh", "-c", ("echo poststop >>" + $out)]}]}'
    make a
    [ "$(in_c a cat /tmp/started)" = a ]
    bailey delete --force a 3>&-
    [ "$(cat "$BATS_TEST_TMPDIR/hooks")" = "$(printf '%s\n' createContainer poststop)" ]
    joining b sleep 1000
    bailey create --bundle "$BUNDLE" --pid-file "$BATS_TEST_TMPDIR/b.pid" b </dev/null >/dev/null 2>&1 3>&-
    status_is b created
    bailey kill b TERM 3>&-
    wait_for status_is b stopped
    exit_is b 143
    bailey delete b 3>&-
    status_is sb running
}

@test "what fails leaves the pod as it was" {
    sandbox
    joining a /no/such/program
    run --separate-stderr bailey create --bundle "$BUNDLE" a 3>&-
    [ "$status" -eq 1 ]
    [[ "$stderr" == *"process.args[0]: cannot execute /no/such/program"* ]]
    [ ! -e "$STATE/a" ]
    joining a sleep 1000
    config '.mounts += [{destination: "/x", type: "bind", source: "/no/such/dir", options: ["bind"]}]'
    run bailey create --bundle "$BUNDLE" a 3>&-
    [ "$status" -eq 1 ]
    [ ! -e "$STATE/a" ]
    member a sleep 1000
    [ "$(in_c a cat /etc/me)" = a ]
    joining b sleep 1000
    config 'del(.process)'
    bailey create --bundle "$BUNDLE" b </dev/null >/dev/null 2>&1 3>&-
    status_is b created
    run bailey start b 3>&-
    [ "$status" -eq 1 ]
    status_is sb running
}

@test "a porter that is killed takes its own container along" {
    sandbox
    member a sh -c 'sleep 1000 & exec sleep 1001'
    member b sleep 1000
    local guests
    guests=$(bailey ps --format json a 3>&- | jq -r .[])
    kill -9 "$(pid a)"
    wait_for status_is a stopped
    for p in $guests; do
        wait_for gone "$p"
    done
    exit_is a 137
    bailey delete a 3>&-
    [ "$(in_c b cat /etc/me)" = b ]
    status_is sb running
}

@test "without its keep the whole pod has ended, as if killed" {
    sandbox
    joining a sleep 1000
    bailey run --bundle "$BUNDLE" a </dev/null >/dev/null 2>&1 3>&- &
    local run=$!
    wait_for test -e "$STATE/a/state.json"
    wait_for status_is a running
    member b sleep 1000
    kill -9 "$(keep_of sb)"
    run wait $run
    wait $run || [ $? -eq 137 ]
    wait_for gone "$(pid b)"
    wait_for status_is b stopped
    wait_for status_is sb stopped
}

@test "with the sandbox all of the pod ends" {
    sandbox
    member a sleep 1000
    member b sleep 1000
    bailey delete --force sb 3>&-
    local id
    for id in a b; do
        wait_for gone "$(pid $id)"
        status_is $id stopped
        exit_is $id 137
        bailey delete $id 3>&-
    done
    sandbox
    member a sleep 1000
    status_is a running
}

@test "a member that has no pod here, or not its network, has a keep of its own" {
    sandbox
    joining a sleep 1000
    config --arg p $CRI '.annotations[$p + ".sandbox-id"] = "elsewhere"'
    make a
    [ "$(keep_of a)" != "$(keep_of sb)" ]
    joining b sleep 1000
    config '.linux.namespaces |= map(if .type == "network" then del(.path) else . end)'
    make b
    [ "$(keep_of b)" != "$(keep_of sb)" ]
    [ "$(in_c b cat /etc/me)" = b ]
    # podman names the first container of its pods, which is not marked.
    joining d sleep 1000
    config --arg p $CRI '.annotations[$p + ".sandbox-id"] = "a"'
    make d
    [ "$(keep_of d)" != "$(keep_of a)" ]
    bailey delete --force d 3>&-
    # A sandbox must run.
    joining c sleep 1000
    bailey kill sb KILL 3>&-
    wait_for status_is sb stopped
    config --arg p $CRI '.annotations[$p + ".sandbox-id"] = "sb"'
    run --separate-stderr bailey create --bundle "$BUNDLE" c 3>&-
    [ "$status" -eq 1 ]
    [ "$stderr" = "bailey: the pod's sandbox sb is not running" ]
}

@test "CRI-O's annotations" {
    sandbox '.annotations = {"io.kubernetes.cri-o.ContainerType": "sandbox", "io.kubernetes.cri-o.SandboxID": "sb"}'
    joining a sleep 1000
    config '.annotations = {"io.kubernetes.cri-o.ContainerType": "container", "io.kubernetes.cri-o.SandboxID": "sb"}'
    make a
    [ "$(keep_of a)" = "$(keep_of sb)" ]
}

@test "twenty containers in a pod" {
    sandbox
    local i before after
    member c1 sleep 1000
    before=$(awk '/^VmRSS/ {print $2}' "/proc/$(keep_of sb)/status")
    for i in $(seq 2 20); do
        member "c$i" sleep 1000
    done
    after=$(awk '/^VmRSS/ {print $2}' "/proc/$(keep_of sb)/status")
    echo "# $(((after - before) / 19)) KiB of the keep for each container" >&3
    for i in 1 10 20; do
        [ "$(in_c "c$i" cat /top/etc/me)" = "c$i" ]
    done
    bailey kill c10 KILL 3>&-
    wait_for status_is c10 stopped
    [ "$(bailey list -q 3>&- | wc -l)" -eq 21 ]
}
