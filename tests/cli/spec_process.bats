#!/usr/bin/env bats
# The members of `process` (docs/conformance.md has the rows), as the program itself sees them.
bats_require_minimum_version 1.5.0
load helpers

setup() {
    make_bundle
    config '.root.readonly = false'
    for applet in id env od readlink grep pwd; do
        ln -sf busybox "$BUNDLE/rootfs/bin/$applet"
    done
}

run_it() {
    run --separate-stderr bailey run --bundle "$BUNDLE" x
    echo "status $status: $output; $stderr" >&2
}

@test "cwd: is where the program starts; made if it is missing" {
    config '.process.cwd = "/some/where"'
    args pwd
    run_it
    [ "$output" = /some/where ]
    ln -s some/where "$BUNDLE/rootfs/link"
    config '.process.cwd = "/link"'
    args readlink /proc/self/cwd
    run_it
    [ "$output" = /some/where ]
}

@test "cwd: relative, missing, not a directory, on a way out" {
    config_refused '.process.cwd = "tmp"' 'process.cwd: must be an absolute path, not "tmp"'
    config_refused 'del(.process.cwd)' 'process.cwd: is required'
    config '.process.cwd = "/bin/busybox"'
    args true
    run_it
    [ "$status" -eq 1 ]
    [[ "$stderr" == *"process.cwd"*"Not a directory" ]]
    local n
    for n in 3 4 5 6 7 8 9 10 20; do
        config --arg cwd "/proc/self/fd/$n" '.process.cwd = $cwd'
        args pwd
        run_it
        [ "$status" -eq 1 ]
        [ "$output" = "" ]
        nothing_left
    done
}

@test "args: looked for along the container's own PATH" {
    mkdir -p "$BUNDLE/rootfs/a" "$BUNDLE/rootfs/b"
    printf '#!/bin/sh\necho "a $0 $*"\n' >"$BUNDLE/rootfs/a/prog"
    printf '#!/bin/sh\necho "b $0 $*"\n' >"$BUNDLE/rootfs/b/prog"
    chmod +x "$BUNDLE/rootfs/b/prog"
    config '.process.env = ["PATH=/nonexistent:/a:/b:/bin"]'
    args prog "one two" ""
    PATH=/usr/bin:/bin run_it
    [ "$output" = "b /b/prog one two " ]
    chmod +x "$BUNDLE/rootfs/a/prog"
    run_it
    [ "$output" = "a /a/prog one two " ]
    config '.process.cwd = "/b" | .process.env = ["PATH=/bin"]'
    args ./prog
    run_it
    [ "$output" = "b ./prog " ]
}

@test "args: at least one" {
    config_refused '.process.args = []' "process.args: must hold at least the program's name"
    config_refused 'del(.process.args)' "process.args: must hold at least the program's name"
    config_refused '.process.args = [1]' "process.args[0]: must be a string, not a number"
}

@test "env: exactly what is given, nothing of the caller's" {
    config '.process.env = ["PATH=/bin", "A=1", "B=x=y", "EMPTY=", "UTF=ä"]'
    args env
    LEAK=yes run_it
    [ "$(sort <<<"$output" | grep -v '^HOME=')" = "$(printf '%s\n' PATH=/bin A=1 B=x=y EMPTY= UTF=ä | sort)" ]
    config 'del(.process.env)'
    args /bin/env
    LEAK=yes run_it
    [[ "$output" != *LEAK* ]]
}

@test "user: ids and groups, no group of the caller's" {
    config '.process.user = {"uid": 1000, "gid": 1001, "additionalGids": [5, 7]}'
    args sh -c 'id -u; id -g; id -G; grep -E "^(Uid|Gid|Groups):" /proc/self/status'
    run_it
    [ "${lines[0]} ${lines[1]} ${lines[2]}" = "1000 1001 1001 5 7" ]
    [[ "$output" == *$'Uid:\t1000\t1000\t1000\t1000'* ]]
    [[ "$output" == *$'Groups:\t5 7'* ]]
    config '.process.user = {"uid": 1000, "gid": 1001}'
    args grep Groups /proc/self/status
    run setpriv --groups 4,20 "$BAILEY" --root "$STATE" run --bundle "$BUNDLE" x
    [ "$(tr -d '[:space:]' <<<"$output")" = Groups: ]
}

@test "user: umask; unset it is the caller's" {
    args sh -c umask
    umask 037
    run_it
    [ "$output" = 0037 ]
    config '.process.user.umask = 2'
    run_it
    [ "$output" = 0002 ]
    config_refused '.process.user.umask = 512' 'process.user.umask: must be a whole number from 0 to 511, not 512'
}

@test "terminal: descriptors 0 to 2, the controlling terminal and /dev/console are one" {
    command -v script || skip "no script"
    config '.process.terminal = true'
    args sh -c 'tty <&0; tty <&1; tty <&2; stat -c "%t:%T" -L /dev/console; echo to-console >/dev/console
        echo to-tty >/dev/tty'
    run timeout $LIMIT script -qec "$BAILEY --root $STATE run --bundle $BUNDLE x" /dev/null
    output=$(tr -d '\r\0^@' <<<"$output")
    echo "$output" >&2
    tty=$(head -1 <<<"$output")
    [[ "$tty" == /dev/* ]]
    [ "$(grep -cx "$tty" <<<"$output")" = 3 ]
    [[ "$output" == *to-console* ]]
    [[ "$output" == *to-tty* ]]
}

@test "terminal: without it consoleSize is ignored, and there is no controlling one" {
    config '.process.consoleSize = {"height": "nonsense", "width": -1}'
    args sh -c 'tty; (: </dev/tty) 2>/dev/null || echo none'
    run bash -c '"$@" </dev/null' bash "$BAILEY" --root "$STATE" run --bundle "$BUNDLE" x
    [[ "$output" == "not a tty"*none ]]
}

@test "rlimits: an unknown one, one listed twice, a soft limit above the hard one" {
    config_refused '.process.rlimits = [{"type": "RLIMIT_NO", "soft": 1, "hard": 1}]' \
        'process.rlimits[0].type: unknown resource limit "RLIMIT_NO"'
    config_refused '.process.rlimits = [{"type": "RLIMIT_CPU", "soft": 1, "hard": 1}, {"type": "RLIMIT_CPU", "soft": 1, "hard": 1}]' \
        'process.rlimits[1].type: RLIMIT_CPU is listed twice'
    config_refused '.process.rlimits = [{"type": "RLIMIT_CPU", "soft": 2, "hard": 1}]' \
        'process.rlimits[0].soft: is above the hard limit'
}

@test "capabilities: five sets; unknown ones are warned about" {
    config '.process.capabilities = {"bounding": ["CAP_KILL", "CAP_CHOWN", "CAP_NET_RAW"], "permitted": ["CAP_KILL", "CAP_CHOWN"],
        "effective": ["CAP_KILL"], "inheritable": ["CAP_CHOWN"], "ambient": ["CAP_CHOWN"]} | .process.user = {"uid": 7, "gid": 7}'
    args grep Cap /proc/self/status
    run_it
    # Another user than root: an exec leaves what is ambient, and the bounding set.
    [ "$(tr -d '\t' <<<"$output" | xargs)" = "CapInh:0000000000000001 CapPrm:0000000000000001 CapEff:0000000000000001 CapBnd:0000000000002021 CapAmb:0000000000000001" ]
    config '.process.capabilities = {"bounding": ["CAP_KILL", "CAP_NONSENSE"]}'
    run_it
    [ "$status" -eq 0 ]
    [[ "$stderr" == *'process.capabilities.bounding: unknown capability "CAP_NONSENSE", ignored' ]]
}

@test "capabilities: without the member there are none" {
    config 'del(.process.capabilities)'
    args grep -E 'Cap(Prm|Eff|Bnd)' /proc/self/status
    run_it
    [ "$(grep -c 0000000000000000 <<<"$output")" = 3 ]
}

@test "noNewPrivileges" {
    args grep NoNewPrivs /proc/self/status
    config '.process.noNewPrivileges = true'
    run_it
    [ "$output" = $'NoNewPrivs:\t1' ]
    config '.process.noNewPrivileges = false'
    run_it
    [ "$output" = $'NoNewPrivs:\t0' ]
}

@test "oomScoreAdj: written if it is set, else left alone" {
    args cat /proc/self/oom_score_adj
    config '.process.oomScoreAdj = 333'
    run_it
    [ "$output" = 333 ]
    config 'del(.process.oomScoreAdj)'
    run bash -c 'echo 77 >/proc/self/oom_score_adj; exec "$@"' bash "$BAILEY" --root "$STATE" run --bundle "$BUNDLE" x
    [ "$output" = 77 ]
    config_refused '.process.oomScoreAdj = 1001' 'process.oomScoreAdj: must be a whole number from -1000 to 1000, not 1001'
}

@test "no signal, descriptor or session of the caller's" {
    args sh -c 'ls /proc/self/fd | tr "\n" " "; grep -E "^Sig(Blk|Ign)" /proc/self/status | tr "\n" " "; stat -c %n /proc/1/fd/3'
    run bash -c 'exec 5</etc/passwd 9</; trap "" PIPE HUP; exec "$@"' bash "$BAILEY" --root "$STATE" run --bundle "$BUNDLE" x
    [[ "$output" == "0 1 2 3 SigBlk:"*0000000000000000*"SigIgn:"*0000000000000000* ]]
    [[ "$output" == *"No such file"* ]]
}
