#!/usr/bin/env bats
# What process and linux ask for beside ids: seen inside, and on the host processes that stand for it.
bats_require_minimum_version 1.5.0
load helpers

setup() {
    make_bundle
    ln -s busybox "$BUNDLE/rootfs/bin/grep"
    ln -s busybox "$BUNDLE/rootfs/bin/setpriv"
    cp "$B/tests/tools/attributes" "$B/tests/tools/calls" "$BUNDLE/rootfs/bin/"
}

teardown() {
    bailey delete --force c 3>&- >/dev/null 2>&1 || true
}

inside() { # what the line of `attributes` must be
    args /bin/attributes
    run -0 bailey run --bundle "$BUNDLE" c
    grep -Fx "$1" <<<"$output" || {
        echo "no line \"$1\" in: $output" >&2
        return 1
    }
}

# A container that waits; $PORTER and $GUEST are its host processes.
waiting() {
    args sleep 1000
    bailey create --bundle "$BUNDLE" --pid-file "$BATS_TEST_TMPDIR/pid" c </dev/null >/dev/null 2>&1 3>&-
    bailey start c
    PORTER=$(cat "$BATS_TEST_TMPDIR/pid")
    GUEST=$(pgrep -P "$PORTER" | head -1)
}

has() { # capability number
    (($(sed -n 's/^CapEff:[[:space:]]*/0x/p' /proc/self/status) >> $1 & 1))
}

@test "scheduler: the policies of all, and nice" {
    config '.process.scheduler = {policy: "SCHED_BATCH", nice: 7}'
    inside 'policy 3 nice 7 priority 0 flags 0 deadline 0/0/0'
    config '.process.scheduler = {policy: "SCHED_IDLE"}'
    inside 'policy 5 nice 0 priority 0 flags 0 deadline 0/0/0'
    config '.process.scheduler = {policy: "SCHED_OTHER", nice: 3, flags: ["SCHED_FLAG_RESET_ON_FORK"]}'
    inside 'policy 0 nice 3 priority 0 flags 1 deadline 0/0/0'
}

@test "scheduler: on the host, and for exec" {
    config '.process.scheduler = {policy: "SCHED_BATCH", nice: 5}'
    waiting
    [[ "$(chrt -p "$GUEST")" == *SCHED_BATCH* ]]
    [ "$(ps -o ni= -p "$GUEST" | tr -d ' ')" = 5 ]
    run bailey exec c attributes
    [[ "$output" == *"policy 3 nice 5"* ]]
    jq '.process | .args = ["attributes"] | .scheduler = {policy: "SCHED_IDLE"}' "$BUNDLE/config.json" \
        >"$BATS_TEST_TMPDIR/process"
    run bailey exec --process "$BATS_TEST_TMPDIR/process" c
    [[ "$output" == *"policy 5 nice 0"* ]]
}

@test "scheduler: real time where the host grants it, else an error" {
    config '.process.scheduler = {policy: "SCHED_RR", priority: 9}'
    if chrt -r 9 true 2>/dev/null; then
        waiting
        run bailey exec c attributes
        [[ "$output" == *"policy 2 nice 0 priority 9"* ]]
        [[ "$(chrt -p "$GUEST")" == *SCHED_RR*9* ]]
    else
        args true
        refused 'config.json: process.scheduler: the host refuses it: Operation not permitted' bailey run --bundle "$BUNDLE" c
    fi
}

@test "scheduler: what does not go together" {
    config '.process.scheduler = {policy: "SCHED_FOO"}'
    refused 'config.json: process.scheduler.policy: unknown value "SCHED_FOO"' bailey run --bundle "$BUNDLE" c
    config '.process.scheduler = {nice: 1}'
    refused 'config.json: process.scheduler.policy: is required' bailey run --bundle "$BUNDLE" c
    config '.process.scheduler = {policy: "SCHED_FIFO", nice: 1, priority: 1}'
    refused 'config.json: process.scheduler.nice: goes with SCHED_OTHER and SCHED_BATCH only' bailey run --bundle "$BUNDLE" c
    config '.process.scheduler = {policy: "SCHED_OTHER", priority: 1}'
    refused 'config.json: process.scheduler.priority: goes with SCHED_FIFO and SCHED_RR only' bailey run --bundle "$BUNDLE" c
    config '.process.scheduler = {policy: "SCHED_OTHER", period: 1}'
    refused 'config.json: process.scheduler.period: goes with SCHED_DEADLINE only' bailey run --bundle "$BUNDLE" c
    config '.process.scheduler = {policy: "SCHED_OTHER", flags: ["SCHED_FLAG_X"]}'
    refused 'config.json: process.scheduler.flags: unknown flag "SCHED_FLAG_X"' bailey run --bundle "$BUNDLE" c
    config '.process.scheduler = {policy: "SCHED_ISO"}'
    refused 'config.json: process.scheduler: the host refuses it: Invalid argument' bailey run --bundle "$BUNDLE" c
}

@test "ioPriority" {
    inside 'ioprio 0:0'
    config '.process.ioPriority = {class: "IOPRIO_CLASS_BE", priority: 6}'
    inside 'ioprio 2:6'
    config '.process.ioPriority = {class: "IOPRIO_CLASS_IDLE", priority: 0}'
    waiting
    [[ "$(ionice -p "$GUEST")" == idle* ]]
    run bailey exec c attributes
    [[ "$output" == *"ioprio 3:0"* ]]
    config '.process.ioPriority = {class: "IOPRIO_CLASS_BE", priority: 8}'
    run bailey run --bundle "$BUNDLE" d
    [[ "$output" == *"process.ioPriority.priority: must be a whole number from 0 to 7, not 8" ]]
}

@test "linux.memoryPolicy" {
    inside 'mempolicy 0 nodes 0'
    config '.linux.memoryPolicy = {mode: "MPOL_BIND", nodes: "0", flags: ["MPOL_F_STATIC_NODES"]}'
    inside 'mempolicy 0x8002 nodes 1'
    config '.linux.memoryPolicy = {mode: "MPOL_LOCAL", nodes: ""}'
    inside 'mempolicy 0x4 nodes 0'
    config '.linux.memoryPolicy = {mode: "MPOL_INTERLEAVE", nodes: "0"}'
    waiting
    grep -q 'interleave:0' "/proc/$GUEST/numa_maps"
    bailey delete --force c
    config '.linux.memoryPolicy = {mode: "MPOL_FOO"}'
    refused 'config.json: linux.memoryPolicy.mode: unknown value "MPOL_FOO"' bailey run --bundle "$BUNDLE" c
    config '.linux.memoryPolicy = {mode: "MPOL_BIND", nodes: "0-"}'
    refused 'config.json: linux.memoryPolicy.nodes: must be a list of memory nodes below 64 such as 0-1,3' \
        bailey run --bundle "$BUNDLE" c
    config '.linux.memoryPolicy = {mode: "MPOL_BIND", nodes: "0", flags: ["MPOL_F_X"]}'
    refused 'config.json: linux.memoryPolicy.flags: unknown flag "MPOL_F_X"' bailey run --bundle "$BUNDLE" c
    config '.linux.memoryPolicy = {mode: "MPOL_BIND", nodes: ""}'
    refused 'config.json: linux.memoryPolicy: the host refuses it: Invalid argument' bailey run --bundle "$BUNDLE" c
}

@test "linux.personality" {
    inside 'personality 0 machine x86_64'
    config '.linux.personality = {domain: "LINUX32"}'
    inside 'personality 0x8 machine i686'
    config '.linux.personality = {domain: "LINUX"}'
    inside 'personality 0 machine x86_64'
    config '.linux.personality = {domain: "BSD"}'
    refused 'config.json: linux.personality.domain: unknown value "BSD"' bailey run --bundle "$BUNDLE" c
    config '.linux.personality = {domain: "LINUX", flags: ["X"]}'
    refused 'config.json: linux.personality.flags: unknown flag "X"' bailey run --bundle "$BUNDLE" c
}

@test "oomScoreAdj: on the host's processes, too; lower than one may is an error" {
    config '.process.oomScoreAdj = 222'
    waiting
    [ "$(cat "/proc/$PORTER/oom_score_adj")" = 222 ]
    [ "$(cat "/proc/$GUEST/oom_score_adj")" = 222 ]
    jq '.process | .args = ["sleep", "1000"] | .oomScoreAdj = 444' "$BUNDLE/config.json" >"$BATS_TEST_TMPDIR/process"
    bailey exec --detach --pid-file "$BATS_TEST_TMPDIR/pid2" --process "$BATS_TEST_TMPDIR/process" c </dev/null >/dev/null 2>&1 3>&-
    [ "$(cat "/proc/$(pgrep -P "$(cat "$BATS_TEST_TMPDIR/pid2")" | head -1)/oom_score_adj")" = 444 ]
    bailey delete --force c
    has 24 && skip "the caller has CAP_SYS_RESOURCE"
    config '.process.oomScoreAdj = -500'
    refused "config.json: process.oomScoreAdj: cannot set -500 (below the caller's own it takes CAP_SYS_RESOURCE): Permission denied" \
        bailey run --bundle "$BUNDLE" c
}

@test "execCPUAffinity" {
    [ "$(nproc)" -ge 2 ] || skip "one CPU"
    waiting
    jq '.process | .args = ["attributes"] | .execCPUAffinity = {initial: "0-1", final: "1"}' "$BUNDLE/config.json" \
        >"$BATS_TEST_TMPDIR/process"
    run bailey exec --process "$BATS_TEST_TMPDIR/process" c
    [[ "$output" == *"cpus 2"* ]]
    jq '.execCPUAffinity = {initial: "0", final: ""}' "$BATS_TEST_TMPDIR/process" >"$BATS_TEST_TMPDIR/process2"
    run bailey exec --process "$BATS_TEST_TMPDIR/process2" c
    [[ "$output" == *"cpus 1"* ]]
    jq '.execCPUAffinity = {initial: "0,"}' "$BATS_TEST_TMPDIR/process" >"$BATS_TEST_TMPDIR/process3"
    run bailey exec --process "$BATS_TEST_TMPDIR/process3" c
    [ "$status" -eq 255 ]
    [[ "$output" == *"execCPUAffinity.initial: must be a list of CPUs such as 0-3,7" ]]
}

@test "rlimits that the host enforces are set there" {
    config '.process.rlimits = [{type: "RLIMIT_CPU", soft: 1234, hard: 2345}, {type: "RLIMIT_FSIZE", soft: 777777, hard: 888888}]'
    waiting
    grep -Eq '^Max cpu time +1234 +2345' "/proc/$GUEST/limits"
    grep -Eq '^Max file size +777777 ' "/proc/$GUEST/limits"
    run bailey exec c sh -c 'ulimit -t; ulimit -Ht'
    [ "$output" = $'1234\n2345' ]
}

@test "noNewPrivileges: set-id programs give nothing" {
    cp "$BUNDLE/rootfs/bin/attributes" "$BUNDLE/rootfs/bin/setuid"
    chmod 4755 "$BUNDLE/rootfs/bin/setuid"
    args /bin/setuid
    config '.process.user = {uid: 1000, gid: 1000} | .process.noNewPrivileges = false'
    run bailey run --bundle "$BUNDLE" c
    [ "${lines[-1]}" = "uid 1000 0 0 no_new_privs 0" ]
    config '.process.noNewPrivileges = true'
    run bailey run --bundle "$BUNDLE" c
    [ "${lines[-1]}" = "uid 1000 1000 1000 no_new_privs 1" ]
}

# A11: what execve would hand on must not come by itself.
@test "no inheritable or ambient capabilities but those asked for; exec --cap adds none" {
    caps='/^Cap(Inh|Amb)/!d'
    waiting
    for user in 0 1000; do
        run bailey exec --user "$user" --cap CAP_SYS_TIME --cap CAP_NET_RAW c grep -E '^Cap(Inh|Amb):' /proc/self/status
        [ "$output" = $'CapInh:\t0000000000000000\nCapAmb:\t0000000000000000' ]
    done
    bailey delete --force c
    config '.process.capabilities |= (.inheritable = ["CAP_KILL"] | .permitted += ["CAP_KILL"])'
    args grep CapInh /proc/self/status
    run bailey run --bundle "$BUNDLE" c
    [ "$output" = $'CapInh:\t0000000000000020' ]
}

# A14
@test "exec --user takes whole decimal numbers and nothing else" {
    waiting
    for user in '' 1: :1 0x1 4294967296 4294967295 ' 1' '1 ' +1 -1 1:0x1 1:2:3 root 01e; do
        run --separate-stderr bailey exec --user "$user" c true
        [ "$status" -eq 255 ]
        [ "$stderr" = "bailey: option --user: must be UID or UID:GID in numbers, not \"$user\"" ]
    done
    [ "$(bailey exec --user 7:8 c id -u)" = 7 ]
}

# A18
@test "groups are those of the configuration exactly" {
    config '.process.user = {uid: 5, gid: 6, additionalGids: [8, 7, 4294967294]}'
    args id -G
    run setpriv --groups 1,2,3 "$BAILEY" --root "$STATE" run --bundle "$BUNDLE" c
    [ "$output" = "6 7 8 4294967294" ] || [ "$output" = "6 8 7 4294967294" ]
    config 'del(.process.user.additionalGids)'
    run setpriv --groups 1,2,3 "$BAILEY" --root "$STATE" run --bundle "$BUNDLE" c
    [ "$output" = 6 ]
}

# A20
@test "the host's keyrings can not be reached" {
    args /bin/calls keyctl,0,-3,1 keyctl,1,0 keyctl,6,-3,# add_key,@user,@x,@y,1,-3 request_key,@user,@x,0,0
    run bailey run --bundle "$BUNDLE" c
    [ "${#lines[@]}" -eq 5 ]
    for line in "${lines[@]}"; do
        [[ $line == *": ENOSYS" ]]
    done
    args cat /proc/keys
    run bailey run --bundle "$BUNDLE" c
    [ "$status" -ne 0 ] || [ -z "$output" ]
}
