#!/usr/bin/env bats
# create, start, state, kill, delete, list, ps: a container from one command to the next.
bats_require_minimum_version 1.5.0
load helpers

setup() {
    make_bundle
}

teardown() {
    delete_all
}

@test "created, running, stopped, gone" {
    args sh -c 'echo hello; until [ -e /tmp/go ]; do sleep 0.05; done; exit 7'
    config '.annotations = {"a.b": "c \"d\""}'
    create x --pid-file "$BATS_TEST_TMPDIR/pid"
    status_is x created
    [ ! -s "$BATS_TEST_TMPDIR/out" ]
    [ "$(bailey state x | jq -r .pid)" = "$(cat "$BATS_TEST_TMPDIR/pid")" ]
    [ "$(bailey state x | jq -r '.annotations["a.b"]')" = 'c "d"' ]
    [ "$(bailey state x | jq -r .bundle)" = "$(realpath "$BUNDLE")" ]
    [ "$(bailey state x | jq -r .rootfs)" = "$(realpath "$BUNDLE")/rootfs" ]
    date -d "$(bailey state x | jq -r .created)"
    bailey start x
    status_is x running
    fails_with 1 "cannot start container x: it is running, not created" bailey start x
    fails_with 1 "cannot delete container x: it is running, not stopped (see --force)" bailey delete x
    : >"$BUNDLE/rootfs/tmp/go"
    wait_for status_is x stopped
    [ "$(cat "$BATS_TEST_TMPDIR/out")" = hello ]
    [ "$(bailey state x | jq -r '[.pid, .exitStatus] | tostring')" = "[0,7]" ]
    fails_with 1 "container not running: x" bailey kill x
    bailey delete x
    nothing_left
}

@test "the state is JSON with what the specification requires" {
    args sleep 100
    create x
    bailey state x | jq -e '(.ociVersion | test("^1\\.")) and .id == "x" and (.pid | type) == "number"'
    [ "$(jq -r .status "$STATE/x/state.json")" = created ]
    cmp "$STATE/x/config.json" "$BUNDLE/config.json"
}

@test "an id that does not exist" {
    for command in start state kill delete ps; do
        refused "container x does not exist" bailey $command x
    done
    bailey delete --force x
    bailey delete -f x
    nothing_left
}

@test "an id that is taken" {
    args sleep 100
    create x
    fails_with 1 "a container with the id x exists already" bailey create -b "$BUNDLE" x
    fails_with 1 "a container with the id x exists already" bailey run -b "$BUNDLE" x
    status_is x created
}

@test "two creates with one id at once: one of them" {
    args sleep 100
    for i in 1 2 3 4; do
        (create x && echo made >>"$BATS_TEST_TMPDIR/made") &
    done
    wait
    [ "$(cat "$BATS_TEST_TMPDIR/made")" = made ]
    status_is x created
    bailey delete x
    nothing_left
}

@test "a created container is ended by kill, and can be deleted" {
    args sleep 100
    for signal in TERM 9 SIGINT; do
        create x
        bailey kill x $signal
        wait_for status_is x stopped
        fails_with 1 "cannot start container x: it is stopped, not created" bailey start x
        bailey delete x
        nothing_left
    done
}

@test "delete ends what was only created" {
    args sleep 100
    create x --pid-file "$BATS_TEST_TMPDIR/pid"
    pid=$(cat "$BATS_TEST_TMPDIR/pid")
    bailey delete x
    gone "$pid"
    nothing_left
}

@test "kill: names and numbers; what they do" {
    args sh -c 'trap "echo TERM" TERM; trap "echo USR1" USR1; trap "exit 3" INT; echo ready; while :; do sleep 0.1; done'
    create x
    bailey start x
    wait_for said ready
    bailey kill x
    wait_for said TERM
    bailey kill x sigusr1
    wait_for said USR1
    fails_with 1 'unknown signal "FOO"' bailey kill x FOO
    fails_with 1 'unknown signal "65"' bailey kill x 65
    fails_with 1 'unknown signal "-1"' bailey kill -- x -1
    bailey kill x 2
    wait_for status_is x stopped
    [ "$(bailey state x | jq .exitStatus)" = 3 ]
}

@test "kill --all reaches every process; KILL ends them all" {
    args sh -c '(trap "echo child" USR1; echo child-ready; while :; do sleep 0.1; done) & trap "echo parent" USR1; echo ready; while :; do sleep 0.1; done'
    create x
    bailey start x
    wait_for said ready
    wait_for said child-ready
    bailey kill --all x USR1
    wait_for said child
    wait_for said parent
    pids=$(bailey ps -f json x | jq -r '.[]')
    [ "$(wc -w <<<"$pids")" -ge 2 ]
    bailey kill --all x 9
    wait_for status_is x stopped
    [ "$(bailey state x | jq .exitStatus)" = 137 ]
    # shellcheck disable=SC2086
    gone $pids
}

@test "delete --force of one that runs" {
    args sleep 100
    create x
    bailey start x
    bailey delete --force x
    nothing_left
    run pgrep -f -- "--root $STATE"
    [ "$status" -eq 1 ]
}

@test "list" {
    args sleep 100
    [ "$(bailey list -q)" = "" ]
    [ "$(bailey list -f json)" = "[]" ]
    create x
    create y
    bailey start y
    [ "$(bailey list -q | sort)" = $'x\ny' ]
    [ "$(bailey list --format=json | jq -c 'map({(.id): .status}) | add')" = '{"x":"created","y":"running"}' ] ||
        [ "$(bailey list --format=json | jq -c 'map({(.id): .status}) | add')" = '{"y":"running","x":"created"}' ]
    bailey list | grep -E "^x +[0-9]+ +created "
}

@test "run --detach" {
    args sleep 100
    bailey run --detach --bundle "$BUNDLE" x </dev/null >/dev/null 2>&1 3>&-
    status_is x running
    bailey kill x KILL
    wait_for status_is x stopped
}

@test "a create that fails leaves nothing" {
    args /nonexistent
    run create x
    [ "$status" -eq 1 ]
    nothing_left
    args sleep 100
    run bailey create -b "$BUNDLE" --pid-file /nonexistent/pid x </dev/null 3>&-
    [ "$status" -eq 1 ]
    nothing_left
    run pgrep -f -- "--root $STATE"
    [ "$status" -eq 1 ]
}

@test "a create that is killed leaves no process, and its id free" {
    args sleep 100
    for delay in 0.00 0.01 0.02 0.03 0.04 0.06; do
        "$BAILEY" --root "$STATE" create -b "$BUNDLE" x </dev/null >/dev/null 2>&1 3>&- &
        sleep $delay
        kill -9 $! 2>/dev/null || true
        wait $! 2>/dev/null || true
        if bailey state x 2>/dev/null; then
            [ ! -e "$STATE/x/state.json" ] || bailey delete --force x
        fi
        none() { ! pgrep -f -- "--root $STATE" >/dev/null; }
        wait_for none
    done
    create x
    bailey delete x
    nothing_left
}

@test "callers' flags are accepted" {
    args true
    bailey create --no-pivot --no-new-keyring --preserve-fds=0 --bundle="$BUNDLE" x </dev/null >/dev/null 2>&1 3>&-
    bailey start x
    wait_for status_is x stopped
    bailey delete x
}

@test "a state that cannot be read is named, by list too" {
    create x
    cp "$STATE/x/state.json" "$BATS_TEST_TMPDIR/state.json"
    echo '{' >"$STATE/x/state.json"
    local message="state.json of container x is damaged (\`delete --force\` ends and removes it)"
    fails_with 1 "$message" bailey state x
    fails_with 1 "$message" bailey delete x
    fails_with 0 "warning: $message" bailey list --quiet
    mv "$BATS_TEST_TMPDIR/state.json" "$STATE/x/state.json"
    [ "$(bailey list --quiet)" = x ]
}

@test "delete --force ends and removes a container whose state cannot be read" {
    local state pid keep
    args sleep 100
    for state in created running paused; do
        create x
        [ $state = created ] || bailey start x
        [ $state != paused ] || bailey pause x
        pid=$(jq .pid "$STATE/x/state.json")
        keep=$(jq .keep "$STATE/x/state.json")
        echo '{' >"$STATE/x/state.json"
        bailey delete --force x
        [ ! -e "$STATE/x" ]
        wait_for test ! -e "/proc/$pid"
        wait_for test ! -e "/proc/$keep"
    done
}
