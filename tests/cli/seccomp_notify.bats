#!/usr/bin/env bats
# SCMP_ACT_NOTIFY: an agent outside of the container decides.
bats_require_minimum_version 1.5.0
load helpers

setup() {
    make_bundle
    cp "$B/tests/tools/calls" "$BUNDLE/rootfs/bin/calls"
    config '.root.readonly = false'
    SOCKET=$BATS_TEST_TMPDIR/agent
    python3 "$BATS_TEST_DIRNAME/../lib/seccomp-agent.py" "$SOCKET" "$BATS_TEST_TMPDIR" 3>&- >/dev/null &
    AGENT=$!
    for _ in $(seq 200); do
        [ -S "$SOCKET" ] && break
        sleep 0.05
    done
}

teardown() {
    bailey delete --force c 3>&- >/dev/null 2>&1 || true
    kill "$AGENT"
    wait "$AGENT" || true
}

notify() { # name...
    config --arg s "$SOCKET" --argjson names "$(jq -nc '$ARGS.positional' --args "$@")" '.linux.seccomp = {
        defaultAction: "SCMP_ACT_ALLOW", listenerPath: $s, listenerMetadata: "meta, \"data\"",
        syscalls: [{names: $names, action: "SCMP_ACT_NOTIFY"}]}'
}

@test "notify: an error, a value, and going on" {
    notify mkdir chmod
    args calls mkdir,@/deny-EXDEV,0755 mkdir,@/value-7,0755 mkdir,@/made,0755 mkdir,@/made,0755 chmod,@/made,0700 chmod,@/none,0
    run -0 bailey run --bundle "$BUNDLE" c
    [ "$output" = $'mkdir: EXDEV\nmkdir: 7\nmkdir: 0\nmkdir: EEXIST\nchmod: 0\nchmod: ENOENT' ]
    [ "$(stat -c %a "$BUNDLE/rootfs/made")" = 700 ]
    [ ! -e "$BUNDLE/rootfs/value-7" ]
    [ "$(head -1 "$BATS_TEST_TMPDIR/log")" = "mkdir /deny-EXDEV c000003e" ]
}

@test "notify: a descriptor from the agent, at the number that it was told" {
    notify openat
    args sh -c 'exec 3</etc 4</etc; cat /etc/give; exec 5</etc/give; cat <&5; cat /deny-EKEYEXPIRED'
    run bailey run --bundle "$BUNDLE" c
    echo "$output"
    [ "${lines[0]}" = "from the agent" ]
    [ "${lines[1]}" = "from the agent" ]
    [[ "${lines[2]}" == *"Key has expired" ]]
}

@test "notify: calls without memory, and those that the gate makes" {
    notify getuid
    args calls getuid
    run -0 bailey run --bundle "$BUNDLE" c
    [ "$output" = "getuid: 4242" ]
    for name in brk fork execve mmap futex; do
        notify getuid "$name"
        refused "config.json: linux.seccomp.syscalls[0]: $name: an agent can not decide on calls on the program's own memory or threads" \
            bailey run --bundle "$BUNDLE" c
    done
}

@test "notify: what the agent is told" {
    notify mkdir
    config '.annotations = {"a.b": "c"}'
    args sleep 1000
    bailey create --bundle "$BUNDLE" --pid-file "$BATS_TEST_TMPDIR/pid" c </dev/null >/dev/null 2>&1 3>&-
    state=$BATS_TEST_TMPDIR/state.0
    for _ in $(seq 100); do [ -s "$state" ] && break; sleep 0.05; done
    pid=$(cat "$BATS_TEST_TMPDIR/pid")
    [ "$(jq -c '[.fds, .pid, .metadata, .state.id, .state.status, .state.pid, .state.annotations]' "$state")" = \
        "[[\"seccompFd\"],$pid,\"meta, \\\"data\\\"\",\"c\",\"creating\",$pid,{\"a.b\":\"c\"}]" ]
    [ "$(jq -r .state.bundle "$state")" = "$BUNDLE" ]
    [ "$(pgrep -P "$pid" | wc -l)" -eq 2 ]
    for p in $(pgrep -P "$pid"); do # the guest and the stand-in
        grep -q '^NoNewPrivs:	1$' "/proc/$p/status"
        grep -q '^Seccomp:	2$' "/proc/$p/status"
        grep -qE '^CapEff:	0+$' "/proc/$p/status"
        grep -qE '^Uid:	65534	65534	65534	65534$' "/proc/$p/status"
        [ -z "$(ls -A "/proc/$p/root")" ]
    done
    bailey start c
    run bailey exec --pid-file "$BATS_TEST_TMPDIR/pid2" c calls mkdir,@/deny-ENOSPC,0
    [ "$output" = "mkdir: ENOSPC" ]
    [ "$(jq -c '[.pid, .state.status, .state.pid]' "$BATS_TEST_TMPDIR/state.1")" = \
        "[$(cat "$BATS_TEST_TMPDIR/pid2"),\"running\",$pid]" ]
}

@test "notify: many at once, from threads and processes" {
    notify mkdir
    args sh -c 'for i in 1 2 3 4 5 6 7 8; do (calls mkdir,@/deny-EXDEV,0 mkdir,@/value-3,0 mkdir,@/deny-EXDEV,0) & done; wait'
    run -0 bailey run --bundle "$BUNDLE" c
    echo "$output"
    [ "$(sort <<<"$output" | uniq -c | tr -s ' ' | tr '\n' '|')" = " 8 mkdir: 3| 16 mkdir: EXDEV|" ]
}

@test "notify: a signal and the end of the container reach who waits for the agent" {
    notify mkdir
    ln -s busybox "$BUNDLE/rootfs/bin/timeout"
    args sh -c 'timeout 1 calls mkdir,@/hold,0; echo $?; exec calls mkdir,@/hold,0'
    bailey create --bundle "$BUNDLE" --pid-file "$BATS_TEST_TMPDIR/pid" c </dev/null >"$BATS_TEST_TMPDIR/out" 2>&1 3>&-
    bailey start c
    for _ in $(seq 100); do [ "$(grep -c hold "$BATS_TEST_TMPDIR/log")" -ge 2 ] && break; sleep 0.1; done
    cat "$BATS_TEST_TMPDIR/out"
    grep -qx 143 "$BATS_TEST_TMPDIR/out"
    bailey kill c KILL
    for _ in $(seq 100); do [ "$(bailey state c | jq -r .status)" = stopped ] && break; sleep 0.1; done
    [ "$(bailey state c | jq -r .status)" = stopped ]
}

# A24: the descriptor is sent from outside, so that the profile cannot get in its way.
@test "notify: sendmsg, recvmsg, read and write" {
    notify sendmsg sendto recvmsg
    args calls getppid
    run -0 timeout 20 "$BAILEY" --root "$STATE" run --bundle "$BUNDLE" c
    [ "$output" = "getppid: 0" ]
}

@test "notify: no agent" {
    notify mkdir
    config '.linux.seccomp.listenerPath = "/nonexistent/agent"'
    refused 'config.json: linux.seccomp.listenerPath: /nonexistent/agent: No such file or directory' \
        bailey run --bundle "$BUNDLE" c
}

@test "notify: a container that joins a pod, and its execs" {
    cri=io.kubernetes.cri
    config --arg p $cri '.annotations = {($p + ".container-type"): "sandbox", ($p + ".sandbox-id"): "c"}'
    args sleep 1000
    bailey run --detach --bundle "$BUNDLE" --pid-file "$BATS_TEST_TMPDIR/pid" c </dev/null >/dev/null 2>&1 3>&-
    config --arg n "/proc/$(cat "$BATS_TEST_TMPDIR/pid")/ns/net" \
        '.linux.namespaces = [{type: "pid"}, {type: "mount"}, {type: "network", path: $n}]'
    config --arg p $cri '.annotations = {($p + ".container-type"): "container", ($p + ".sandbox-id"): "c"}'
    notify mkdir
    config 'del(.hostname)'
    bailey run --detach --bundle "$BUNDLE" member </dev/null >/dev/null 2>&1 3>&-
    run bailey exec member calls mkdir,@/deny-EXDEV,0 mkdir,@/value-3,0
    [ "$output" = $'mkdir: EXDEV\nmkdir: 3' ]
    run bailey exec c calls mkdir,@/deny-EXDEV,0755
    [ "$output" = "mkdir: 0" ]
    [ "$(jq -r .state.id "$BATS_TEST_TMPDIR/state.0")" = member ]
    [ "$(jq "..|.keep? // empty" "$STATE/member/state.json" | head -1)" -gt 0 ]
    [ "$(jq .keep "$STATE/member/state.json")" = "$(jq .keep "$STATE/c/state.json")" ]
    bailey delete --force member
}
