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
    wait_for test -e "$BATS_TEST_TMPDIR/ready"
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

@test "notify: calls without memory" {
    notify getuid
    args calls getuid
    run -0 bailey run --bundle "$BUNDLE" c
    [ "$output" = "getuid: 4242" ]
}

# Those that otherwise run natively, or are the gate's: by "NUMBER INDEX ARGUMENT ANSWER".
rules() { printf '%s\n' "$@" >"$BATS_TEST_TMPDIR/rules"; }

@test "notify: a program's own memory and waits: going on" {
    notify mmap munmap mprotect mremap madvise futex rseq sched_yield clock_gettime brk sigaltstack shmat shmdt
    args calls mmap,0,4096,3,34,-1,0 mmap,0x700000000000,8192,3,50,-1,0 mprotect,0x700000000000,8192,1 \
        mprotect,0x700000000000,4096,3 madvise,0x700000000000,4096,4 mremap,0x700000000000,8192,4096,0 \
        munmap,0x700000001000,4096 mprotect,0x700000001000,4096,1 munmap,0x700000000000,4096 \
        mprotect,0x700000000000,4096,1 mmap,0,4096,3,34,5,1 futex,#,1,1 futex,#,0,7 futex,@x,128,7 sched_yield \
        clock_gettime,1,# clock_gettime,77,# brk,0 sigaltstack,0,0 sigaltstack,0,# shmat,9,0,0 shmdt,0x1000 rseq,1,2,3,4
    run -0 timeout $LIMIT "$BAILEY" --root "$STATE" run --bundle "$BUNDLE" c
    echo "$output"
    [ "$output" = "$(printf '%s\n' 'mmap: 1' 'mmap: 1' 'mprotect: 0' 'mprotect: 0' 'madvise: 0' 'mremap: 123145302310912' \
        'munmap: 0' 'mprotect: ENOMEM' 'munmap: 0' 'mprotect: ENOMEM' 'mmap: EINVAL' 'futex: 0' 'futex: EAGAIN' 'futex: EAGAIN' \
        'sched_yield: 0' 'clock_gettime: 0' 'clock_gettime: EINVAL' 'brk: 1' 'sigaltstack: 0' 'sigaltstack: 0' 'shmat: EINVAL' \
        'shmdt: EINVAL' 'rseq: EINVAL')" ]
}

@test "notify: a program's own memory and waits: answers" {
    notify mmap munmap mprotect mremap madvise futex rseq sched_yield clock_gettime brk sigaltstack shmat shmdt
    rules "9 1 12288 deny-ENFILE" "9 1 16384 value-4096" "11 1 4096 deny-EBUSY" "11 1 8192 value-0" "10 1 4096 deny-EXDEV" \
        "10 1 8192 value-0" "25 2 4096 deny-EAGAIN" "25 2 16384 value-7" "28 2 9 deny-EIO" "202 1 1 deny-EDOM" "202 1 0 value-3" \
        "24 0 5 deny-EDOM" "228 0 7 deny-EDOM" "12 0 4096 value-99" "131 0 0x10 deny-ENFILE" "30 0 5 deny-EACCES" \
        "67 0 4096 value-8" "334 0 1 deny-ENFILE"
    args calls mmap,0x700000000000,20480,3,50,-1,0 mmap,0,12288,3,34,-1,0 mmap,0,16384,3,34,-1,0 \
        munmap,0x700000000000,4096 munmap,0x700000000000,8192 mprotect,0x700000000000,4096,1 mprotect,0x700000000000,8192,1 \
        mremap,0x700000000000,8192,4096,0 mremap,0x700000000000,8192,16384,1 madvise,0x700000000000,4096,9 futex,#,1,1 \
        futex,#,0,0 sched_yield,5 clock_gettime,7,# brk,4096 sigaltstack,0x10,0 shmat,5,0,0 shmdt,4096 rseq,1,2,3,4 \
        clock_gettime,1,0x700000000010
    run -0 timeout $LIMIT "$BAILEY" --root "$STATE" run --bundle "$BUNDLE" c
    echo "$output"
    [ "$output" = "$(printf '%s\n' 'mmap: 1' 'mmap: ENFILE' 'mmap: 1' 'munmap: EBUSY' 'munmap: 0' 'mprotect: EXDEV' 'mprotect: 0' \
        'mremap: EAGAIN' 'mremap: 7' 'madvise: EIO' 'futex: EDOM' 'futex: 3' 'sched_yield: EDOM' 'clock_gettime: EDOM' 'brk: 1' \
        'sigaltstack: ENFILE' 'shmat: EACCES' 'shmdt: 8' 'rseq: ENFILE' 'clock_gettime: 0')" ]
}

@test "notify: fork, clone, execve, exit: going on, answers, and descriptors" {
    notify fork vfork clone execve execveat exit exit_group rt_sigreturn
    ln -s busybox "$BUNDLE/rootfs/bin/deny-EXDEV"
    ln -s busybox "$BUNDLE/rootfs/bin/give"
    args sh -c 'sh -c "echo \$0 \$V; exit 7" "a long argument"; echo $?; deny-EXDEV; exec calls fork clone,17 clone,0x10000011 vfork'
    rules "58 0 * deny-EDOM" "56 0 0x10000011 deny-ENFILE"
    config '.process.env += ["V=of the environment"]'
    run -0 timeout $LIMIT "$BAILEY" --root "$STATE" run --bundle "$BUNDLE" c
    echo "$output"
    [ "${lines[0]}" = "a long argument of the environment" ]
    [ "${lines[1]}" = 7 ]
    [[ "${lines[2]}" = *"Invalid cross-device link"* ]]
    [ "$(printf '%s\n' "${lines[@]:3}")" = "$(printf '%s\n' 'fork: 1' 'clone: 1' 'clone: ENFILE' 'vfork: EDOM')" ]
    rules "57 0 * value-4321" "56 0 17 give"
    args calls fork,9 clone,17 read,3,#,14 exit,3
    rules "57 0 * value-4321" "56 0 17 give" "60 0 3 value-5"
    run -0 timeout $LIMIT "$BAILEY" --root "$STATE" run --bundle "$BUNDLE" c
    echo "$output"
    [ "$output" = "$(printf '%s\n' 'fork: 2' 'clone: 2' 'read: 14' 'exit: 5')" ]
    grep -q "^exit_group" "$BATS_TEST_TMPDIR/log" || grep -q "^231 " "$BATS_TEST_TMPDIR/log"
}

@test "notify: threads and locks, and a program of exec" {
    notify mmap munmap mprotect mremap madvise futex rseq sched_yield clock_gettime brk sigaltstack clone exit rt_sigreturn
    cp "$B/tests/guest/pi_locks" "$BUNDLE/rootfs/bin/threads"
    args sleep 1000
    bailey run --detach --bundle "$BUNDLE" c </dev/null >/dev/null 2>&1 3>&-
    run -0 timeout $LIMIT "$BAILEY" --root "$STATE" exec c threads
    [ "${lines[-1]}" = "ok all" ]
    [ "$(grep -c '^202 ' "$BATS_TEST_TMPDIR/log")" -gt 3 ]
    rules "9 1 4096 deny-ENFILE"
    run bailey exec c calls mmap,0,4096,3,34,-1,0 mmap,0,8192,3,34,-1,0
    [ "$output" = $'mmap: ENFILE\nmmap: 1' ]
}

@test "notify: what the agent is told" {
    notify mkdir
    config '.annotations = {"a.b": "c"}'
    args sleep 1000
    bailey create --bundle "$BUNDLE" --pid-file "$BATS_TEST_TMPDIR/pid" c </dev/null >/dev/null 2>&1 3>&-
    state=$BATS_TEST_TMPDIR/state.0
    wait_for test -s "$state"
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
    args sh -c 'calls mkdir,@/hold,0 & until [ -e /tmp/held ]; do sleep 0.1; done; kill $!; wait $!; echo $?; exec calls mkdir,@/hold,0'
    bailey create --bundle "$BUNDLE" --pid-file "$BATS_TEST_TMPDIR/pid" c </dev/null >"$BATS_TEST_TMPDIR/out" 2>&1 3>&-
    bailey start c
    held() { [ "$(grep -c hold "$BATS_TEST_TMPDIR/log")" -ge "$1" ]; }
    wait_for held 1
    touch "$BUNDLE/rootfs/tmp/held"
    wait_for held 2
    cat "$BATS_TEST_TMPDIR/out"
    grep -qx 143 "$BATS_TEST_TMPDIR/out"
    bailey kill c KILL
    wait_for status_is c stopped
}

# A24: the descriptor is sent from outside, so that the profile cannot get in its way.
@test "notify: sendmsg, recvmsg, read and write" {
    notify sendmsg sendto recvmsg
    args calls getppid
    run -0 timeout $LIMIT "$BAILEY" --root "$STATE" run --bundle "$BUNDLE" c
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
