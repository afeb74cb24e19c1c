#!/usr/bin/env bats
# bailey exec.
bats_require_minimum_version 1.5.0
load helpers

setup() {
    make_bundle
    args sleep 1000
    bailey run --detach --bundle "$BUNDLE" x </dev/null >/dev/null 2>&1 3>&-
}

teardown() {
    bailey delete --force x 3>&-
}

in_x() {
    bailey exec x "$@" 3>&-
}

@test "the streams and the exit status are the program's" {
    run --separate-stderr in_x sh -c 'read l; echo "out $l"; echo err >&2; exit 5' <<<hello
    [ "$status" -eq 5 ]
    [ "$output" = "out hello" ]
    [ "$stderr" = err ]
}

@test "a signal is 128 + n" {
    run in_x sh -c 'kill -9 $$'
    [ "$status" -eq 137 ]
}

@test "it is in the container, beside its init" {
    run in_x ps -o pid,args
    [[ "${lines[1]}" =~ 1\ +sleep\ 1000 ]]
    [ "$(in_x sh -c 'cat /proc/1/cmdline' | tr '\0' ' ')" = "sleep 1000 " ]
}

@test "options" {
    run bailey exec -e A=b --env=C=d --cwd /tmp -u 5:6 -g 7 --additional-gids=8 x \
        sh -c 'echo "$A $C $(pwd) $(id -u) $(id -g) $(id -G)"' 3>&-
    [ "$output" = "b d /tmp 5 6 6 7 8" ]
    [ "$(bailey exec --cap CAP_SYS_TIME x sh -c 'cat /proc/self/status' 3>&- | grep CapEff)" != \
        "$(in_x cat /proc/self/status | grep CapEff)" ]
    [[ "$(bailey exec --no-new-privs x cat /proc/self/status 3>&-)" =~ NoNewPrivs:.1 ]]
}

@test "bad options" {
    fails_with 255 'option --user: must be UID or UID:GID in numbers, not "root"' bailey exec -u root x true
    fails_with 255 'option --user: must be UID or UID:GID in numbers, not "1:2x"' bailey exec -u 1:2x x true
    fails_with 255 'option --user: must be UID or UID:GID in numbers, not "-1"' bailey exec -u -1 x true
    fails_with 255 'option --cap: unknown capability "CAP_X"' bailey exec --cap CAP_X x true
    fails_with 255 'option --env: must be NAME=VALUE, not "A"' bailey exec -e A x true
    fails_with 255 'exec needs a program (see bailey exec --help)' bailey exec x
    fails_with 255 "container y does not exist" bailey exec y true
    fails_with 255 "process.args[0]: cannot execute /nonexistent: no such file or directory" bailey exec x /nonexistent
    # What docker's client looks for, word by word.
    fails_with 255 'process.args[0]: cannot execute nonexistent: executable file not found in $PATH' bailey exec x nonexistent
    fails_with 255 "process.args[0]: cannot execute /tmp: permission denied" bailey exec x /tmp
    fails_with 255 'process.args[0]: cannot execute "": executable file not found in $PATH' bailey exec x ""
    fails_with 255 "$BATS_TEST_TMPDIR/none: no such file" bailey exec --process "$BATS_TEST_TMPDIR/none" x
}

@test "--process FILE, detached; plain kill(2) on its pid ends the program" {
    jq '.process | .args = ["sleep", "2000"] | .env += ["M=1"]' "$BUNDLE/config.json" >"$BATS_TEST_TMPDIR/p.json"
    bailey exec --process "$BATS_TEST_TMPDIR/p.json" --detach --pid-file "$BATS_TEST_TMPDIR/pid" x \
        </dev/null >/dev/null 2>&1 3>&-
    in_x ps -o args | grep -x "sleep 2000"
    kill -9 "$(cat "$BATS_TEST_TMPDIR/pid")"
    ended() { ! in_x ps -o args | grep -qx "sleep 2000"; }
    wait_for ended
    [ "$(bailey state x | jq -r .status)" = running ]
}

@test "TERM to the pid of its pid file reaches the program" {
    bailey exec --detach --pid-file "$BATS_TEST_TMPDIR/pid" x \
        sh -c 'trap "echo got; exit 4" TERM; echo ready; while :; do sleep 0.1; done' \
        </dev/null >"$BATS_TEST_TMPDIR/out" 2>&1 3>&-
    wait_for said ready
    kill -TERM "$(cat "$BATS_TEST_TMPDIR/pid")"
    wait_for grep -q got "$BATS_TEST_TMPDIR/out"
}

@test "signals to the command in the foreground are forwarded" {
    "$BAILEY" --root "$STATE" exec x sh -c 'trap "exit 9" TERM; echo ready; while :; do sleep 0.1; done' \
        </dev/null >"$BATS_TEST_TMPDIR/out" 3>&- &
    wait_for said ready
    kill -TERM $!
    wait $! && status=0 || status=$?
    [ "$status" -eq 9 ]
}

@test "a container that is not running" {
    bailey kill x KILL
    wait_for status_is x stopped
    fails_with 255 "container not running: x is stopped" bailey exec x true
    bailey delete x
    bailey create -b "$BUNDLE" x </dev/null >/dev/null 2>&1 3>&-
    fails_with 255 "container not running: x is created" bailey exec x true
}

@test "a terminal" {
    command -v script || skip "no script"
    run timeout $LIMIT script -qec "$BAILEY --root $STATE exec -t x sh -c 'tty; exit 6'; echo status=\$?" /dev/null </dev/null
    [[ "$output" == *"/dev/pts/"* || "$output" == *"/dev/console"* ]]
    [[ "$output" == *"status=6"* ]]
}

@test "many at once" {
    local pids=() i
    for i in $(seq 40); do
        "$BAILEY" --root "$STATE" exec x sh -c "sleep 0.5; exit $i" 3>&- &
        pids+=($!)
    done
    for i in $(seq 40); do
        wait "${pids[i - 1]}" && status=0 || status=$?
        [ "$status" -eq "$i" ]
    done
}
