#!/usr/bin/env bats
# linux.seccomp: what the profile says holds for every call of the container, also for those that run natively.
bats_require_minimum_version 1.5.0
load helpers
# shellcheck source=tests/lib/default-profile.sh
. "$BATS_TEST_DIRNAME/../lib/default-profile.sh"

setup() {
    make_bundle
    ln -s busybox "$BUNDLE/rootfs/bin/grep"
    cp "$B/tests/tools/calls" "$BUNDLE/rootfs/bin/calls"
}

# A profile of one rule.
rule() { # names action [more members of the rule]
    config --argjson names "$1" --arg action "$2" --argjson more "${3:-{\}}" \
        '.linux.seccomp = {defaultAction: "SCMP_ACT_ALLOW",
                           syscalls: [{names: $names, action: $action} + $more]}'
}

calls() {
    args /bin/calls "$@"
    run -"${STATUS:-0}" bailey run --bundle "$BUNDLE" c
}

@test "ERRNO: EPERM, or the errno that is given; others go on" {
    rule '["getcwd","no_such_call"]' SCMP_ACT_ERRNO
    calls getcwd,#,256 getppid
    [ "$output" = $'getcwd: EPERM\ngetppid: 0' ]
    rule '["getcwd"]' SCMP_ACT_ERRNO '{"errnoRet": 77}'
    calls getcwd,#,256
    [ "$output" = "getcwd: EBADFD" ]
    rule '["getuid"]' SCMP_ACT_ERRNO '{"errnoRet": 0}'
    config '.process.user.uid = 5'
    calls getuid
    [ "$output" = "getuid: 0" ]
}

@test "the default action, with its errno" {
    config '.linux.seccomp = {defaultAction: "SCMP_ACT_ERRNO", defaultErrnoRet: 95, syscalls: [
        {action: "SCMP_ACT_ALLOW", names: ["execve", "exit_group", "write", "brk", "arch_prctl", "readlinkat",
            "mprotect", "rt_sigaction", "set_robust_list", "set_tid_address", "rseq", "prlimit64", "getrandom",
            "readlink", "newfstatat", "futex", "mmap", "rt_sigreturn"]}]}'
    calls getppid umask,0
    [ "$output" = $'getppid: EOPNOTSUPP\numask: EOPNOTSUPP' ]
}

@test "KILL, KILL_THREAD, KILL_PROCESS end the process with SIGSYS" {
    for action in KILL KILL_THREAD KILL_PROCESS; do
        rule '["getcwd"]' SCMP_ACT_$action
        args /bin/calls getppid getcwd,#,256 getppid
        run -159 --separate-stderr bailey run --bundle "$BUNDLE" c
        [ "$output" = "getppid: 0" ]
        [[ $stderr == *"79 (getcwd)"* ]]
    done
}

@test "TRAP raises SIGSYS that tells the call" {
    rule '["getcwd","fork","sigaltstack","futex"]' SCMP_ACT_TRAP
    calls getcwd,#,256 fork sigaltstack,0,0 futex,#,1,1 getppid
    for nr in 79 57 131 202; do
        [[ $output == *"SIGSYS code 1 errno 0 call $nr arch c000003e number in rax: yes, address: right"* ]]
    done
    [[ $output == *"getcwd: 79"*"getppid: 0"* ]]
}

@test "TRACE without a tracer gives ENOSYS; LOG lets go on and is in the log" {
    rule '["getcwd"]' SCMP_ACT_TRACE
    calls getcwd,#,256
    [ "$output" = "getcwd: ENOSYS" ]
    rule '["getcwd"]' SCMP_ACT_LOG
    args /bin/sh -c 'calls getcwd,#,256 getcwd,#,256; dmesg | grep -c "type=1326.*syscall=79 "'
    run bailey --log "$BATS_TEST_TMPDIR/log" run --bundle "$BUNDLE" c
    [[ $output == *"getcwd: 2"*"getcwd: 2"* ]]
    [ "${lines[-1]}" -ge 2 ]
    [ "$(grep -c 'seccomp.*79 (getcwd)' "$BATS_TEST_TMPDIR/log")" -eq 1 ]
}

# Each by itself: what the others need to start must work.
@test "calls that are native without a profile are judged with one" {
    rule '["madvise","sched_yield","getcpu","clock_gettime","gettimeofday","time","futex","fork","sigaltstack","shmat","personality"]' \
        SCMP_ACT_ERRNO '{"errnoRet": 77}'
    # shellcheck disable=SC2054
    list=(madvise,0x700000000000,4096,4 sched_yield getcpu,0,0 clock_gettime,1,# gettimeofday,# time,0 futex,#,1,1
        futex,#,6,0 futex,#,7,0 fork sigaltstack,0,0 shmat,0,0,0 personality,0xffffffff)
    calls "${list[@]}"
    [ "${#lines[@]}" -eq "${#list[@]}" ]
    for line in "${lines[@]}"; do
        [[ $line == *": EBADFD" ]]
    done
}

@test "a condition on the arguments of a native call" {
    rule '["mmap","mprotect"]' SCMP_ACT_ERRNO \
        '{"errnoRet": 77, "args": [{"index": 2, "op": "SCMP_CMP_MASKED_EQ", "value": 6, "valueTwo": 6}]}'
    calls mmap,0,4096,3,34,-1,0 mmap,0,4096,7,34,-1,0 mprotect,0x700000000000,4096,6 mprotect,0x700000000000,4096,2
    [ "$output" = $'mmap: 1\nmmap: EBADFD\nmprotect: EBADFD\nmprotect: ENOMEM' ]
    rule '["brk"]' SCMP_ACT_ERRNO '{"errnoRet": 77, "args": [{"index": 0, "op": "SCMP_CMP_GT", "value": 281474976710656}]}'
    calls brk,0 brk,0x2000000000000
    [ "$output" = $'brk: 1\nbrk: EBADFD' ]
}

@test "fork, vfork and clone are told apart" {
    rule '["fork"]' SCMP_ACT_ERRNO '{"errnoRet": 77}'
    calls fork clone,17
    [ "$output" = $'fork: EBADFD\nclone: 1' ]
    rule '["clone"]' SCMP_ACT_ERRNO '{"errnoRet": 77}'
    calls fork clone,17
    [ "$output" = $'fork: 1\nclone: EBADFD' ]
    rule '["clone"]' SCMP_ACT_ERRNO \
        '{"errnoRet": 77, "args": [{"index": 0, "op": "SCMP_CMP_MASKED_EQ", "value": 268435456, "valueTwo": 268435456}]}'
    calls clone,17 clone,0x10000011
    [ "$output" = $'clone: 1\nclone: EBADFD' ]
}

@test "children and exec'd programs are under it, too; hooks inside are not" {
    rule '["getcwd"]' SCMP_ACT_ERRNO '{"errnoRet": 77}'
    config '.hooks.startContainer = [{path: "/bin/sh", args: ["sh", "-c", "calls getcwd,\\#,256 >/hook"], env: ["PATH=/bin"]}]'
    config '.root.readonly = false'
    args /bin/sh -c 'sh -c "calls getcwd,#,256"; echo; sleep 1000'
    bailey create --bundle "$BUNDLE" c >"$BATS_TEST_TMPDIR/out" 2>&1 </dev/null 3>&-
    bailey start c
    run bailey exec c /bin/calls getcwd,#,256
    [ "$output" = "getcwd: EBADFD" ]
    jq '.process | .args = ["/bin/calls", "getcwd,#,256"]' "$BUNDLE/config.json" >"$BATS_TEST_TMPDIR/process"
    run bailey exec --process "$BATS_TEST_TMPDIR/process" c
    [ "$output" = "getcwd: EBADFD" ]
    run bailey exec c /bin/grep Seccomp /proc/self/status
    [ "$output" = $'Seccomp:\t2\nSeccomp_filters:\t1' ]
    wait_for said "getcwd: EBADFD"
    [ "$(head -1 "$BATS_TEST_TMPDIR/out")" = "getcwd: EBADFD" ]
    [ "$(cat "$BUNDLE/rootfs/hook")" = "getcwd: 2" ]
    bailey delete --force c
}

@test "flags: those of the specification are accepted, others refused" {
    for flag in TSYNC LOG SPEC_ALLOW WAIT_KILLABLE_RECV; do
        rule '["getcwd"]' SCMP_ACT_ERRNO
        config --arg f "SECCOMP_FILTER_FLAG_$flag" '.linux.seccomp.flags = [$f]'
        calls getcwd,#,256
        [ "${lines[-1]}" = "getcwd: EPERM" ]
    done
    config '.linux.seccomp.flags = ["SECCOMP_FILTER_FLAG_NEW_LISTENER"]'
    refused 'config.json: linux.seccomp.flags: unknown flag "SECCOMP_FILTER_FLAG_NEW_LISTENER"' \
        bailey run --bundle "$BUNDLE" c
}

@test "the engines' default profile leaves the native calls native, and forbids what it forbids" {
    [ -e "$DEFAULT_PROFILE" ] || skip "no $DEFAULT_PROFILE"
    default_profile "$BUNDLE/config.json" >"$BATS_TEST_TMPDIR/profile"
    config --slurpfile p "$BATS_TEST_TMPDIR/profile" '.linux.seccomp = $p[0]'
    args /bin/calls clone,17 personality,0xffffffff personality,0x123 futex,#,1,1
    run --separate-stderr bailey --debug run --bundle "$BUNDLE" c
    [ "$output" = $'clone: 1\npersonality: 0\npersonality: ENOSYS\nfutex: 0' ]
    [[ $stderr != *"is not native"* ]]
    rule '["futex"]' SCMP_ACT_LOG
    run --separate-stderr bailey --debug run --bundle "$BUNDLE" c
    [[ $stderr == *"futex is not native"* ]]
}
