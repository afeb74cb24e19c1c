#!/usr/bin/env bats
# Signals to a container, at each point of its life and to each of its processes on the host; bailey stop.
bats_require_minimum_version 1.5.0
load helpers

setup() {
    make_bundle
}

teardown() {
    delete_all
}

pid_of() {
    bailey state "$1" | jq .pid
}

keep_of() { # id
    jq .keep "$STATE/$1/state.json"
}

@test "signals: a created container ends by what ends a program" {
    args sh -c 'echo never'
    local sig n=0
    for sig in TERM INT HUP USR1 QUIT KILL; do
        create "c$sig"
        status_is "c$sig" created
        bailey kill "c$sig" $sig
        wait_for status_is "c$sig" stopped
        run bailey start "c$sig"
        [ "$status" -eq 1 ]
        bailey delete "c$sig"
    done
    [ ! -s "$BATS_TEST_TMPDIR/out" ]
}

@test "signals: ... with 128 + n as its exit status, whoever sends it" {
    args sh -c 'echo never'
    create x
    kill -TERM "$(pid_of x)"
    wait_for status_is x stopped
    [ "$(cat "$STATE/x/exit")" = 143 ]
}

@test "signals: what is ignored by default does nothing to a created container" {
    args sh -c 'trap "exit 9" TERM; while :; do sleep 0.1; done'
    create x
    bailey kill x CHLD
    bailey kill x WINCH
    bailey kill x URG
    sleep 0.2
    status_is x created
    bailey start x
    status_is x running
}

@test "signals: init without a handler is not ended by TERM, but by KILL" {
    args sleep 1000
    create x
    bailey start x
    for sig in TERM INT HUP USR1; do bailey kill x $sig; done
    sleep 0.3
    status_is x running
    bailey kill x KILL
    wait_for status_is x stopped
}

@test "signals: a signal to the keep is init's" {
    args sh -c 'for s in TERM INT HUP QUIT; do trap "echo $s" $s; done; echo ready; while :; do sleep 0.1; done'
    create x
    bailey start x
    wait_for said ready
    keep=$(keep_of x)
    [ -n "$keep" ]
    for sig in TERM INT HUP QUIT; do
        kill -$sig "$keep"
        wait_for said $sig
    done
    for sig in USR1 USR2 PIPE ALRM; do kill -$sig "$keep"; done
    sleep 0.2
    status_is x running
}

@test "signals: KILL of an exec's porter ends its program" {
    args sleep 1000
    create x
    bailey start x
    bailey exec --pid-file "$BATS_TEST_TMPDIR/pid" x sleep $NAP 3>&- &
    wait_for test -s "$BATS_TEST_TMPDIR/pid"
    wait_for sh -c "'$BAILEY' --root '$STATE' exec x ps | grep -q 'sleep $NAP'"
    kill -KILL "$(cat "$BATS_TEST_TMPDIR/pid")"
    wait $! && status=0 || status=$?
    [ "$status" -eq 137 ]
    ! bailey exec x ps | grep -q "sleep $NAP"
    status_is x running
}

@test "signals: a guest that the host kills is to its parent a child that was killed, and leaves no zombie" {
    args sh -c "sleep $NAP & "'wait $!; echo "ended by $?"; exec sleep 1000'
    create x
    bailey start x
    wait_for pgrep -f "^sleep $NAP$"
    victim=$(pgrep -f "^sleep $NAP$")
    kill -SEGV "$victim" # its gate says what is to become of it
    wait_for said "ended by 139"
    wait_for test ! -e "/proc/$victim"
    bailey delete --force x
    args sh -c "sleep ${NAP}1 & "'wait $!; echo "ended by $?"; exec sleep 1000'
    create x
    bailey start x
    wait_for pgrep -f "^sleep ${NAP}1$"
    victim=$(pgrep -f "^sleep ${NAP}1$")
    kill -KILL "$victim"
    wait_for said "ended by 137"
    wait_for test ! -e "/proc/$victim"
    status_is x running
}

@test "signals: so are children that it kills before they have made a call" {
    cp "$B/tests/cli/killed_children" "$BUNDLE/rootfs/bin/killed_$NAP"
    args "killed_$NAP" 30
    mkfifo "$BATS_TEST_TMPDIR/in"
    "$BAILEY" --root "$STATE" run --bundle "$BUNDLE" x <>"$BATS_TEST_TMPDIR/in" >"$BATS_TEST_TMPDIR/out" 3>&- &
    wait_for said ready
    parent=$(pgrep -f "^killed_$NAP")
    echo >"$BATS_TEST_TMPDIR/in"
    while [ -e "/proc/$parent" ]; do
        for victim in $(pgrep -f "^killed_$NAP"); do
            [ "$victim" = "$parent" ] || kill -KILL "$victim" || true
        done
    done
    wait $!
    said "30 killed"
}

@test "signals: what the caller ignores does not reach the program" {
    args grep -E 'Sig(Ign|Blk)' /proc/self/status
    ln -sf busybox "$BUNDLE/rootfs/bin/grep"
    run --separate-stderr sh -c 'trap "" PIPE USR1; exec "$@"' sh \
        "$BAILEY" --root "$STATE" run --bundle "$BUNDLE" x
    [ "$output" = $'SigBlk:\t0000000000000000\nSigIgn:\t0000000000000000' ]
}

# The state of a host process: S, T, Z ...
host_state_of() { # pid
    sed -n 's/^State:.\(.\).*/\1/p' "/proc/$1/status" 2>/dev/null
}

@test "signals: STOP and CONT are the program's, not the porter's" {
    args sh -c 'echo ready; while :; do echo tick; sleep 0.05; done'
    create x
    bailey start x
    wait_for said tick
    bailey kill x STOP
    [ "$(host_state_of "$(pid_of x)")" = S ]
    status_is x running
    wait_for sh -c "'$BAILEY' --root '$STATE' exec x cat /proc/1/stat | grep -q ' T '"
    still() { # what it had begun to say comes yet
        before=$(wc -c <"$BATS_TEST_TMPDIR/out")
        sleep 0.3
        [ "$(wc -c <"$BATS_TEST_TMPDIR/out")" = "$before" ]
    }
    wait_for still
    bailey kill x CONT
    more() { [ "$(wc -c <"$BATS_TEST_TMPDIR/out")" -gt "$before" ]; }
    wait_for more
}

@test "signals: a stopped program is killed, and gets what came meanwhile when it is continued" {
    args sh -c 'trap "echo TERM" TERM; echo ready; while :; do sleep 0.05; done'
    create x
    bailey start x
    wait_for said ready
    bailey kill x STOP
    bailey kill x TERM
    sleep 0.2
    ! grep -q TERM "$BATS_TEST_TMPDIR/out"
    bailey kill x CONT
    wait_for said TERM
    bailey kill x STOP
    bailey kill x KILL
    wait_for status_is x stopped
}

@test "signals: they reach the program in their order, the porter stopped or not" {
    args sh -c 'for s in TERM USR1 HUP; do trap "echo $s" $s; done; echo ready; while :; do sleep 0.05; done'
    create x
    bailey start x
    wait_for said ready
    for _ in 1 2 3 4 5; do
        bailey kill x TERM
        bailey kill x STOP
        bailey kill x CONT
        bailey kill x USR1
    done
    wait_for said USR1
    kill -STOP "$(pid_of x)"
    bailey kill x HUP
    wait_for said HUP
    kill -CONT "$(pid_of x)"
    status_is x running
    kill -STOP "$(pid_of x)"
    bailey kill x KILL
    wait_for status_is x stopped
}

@test "signals: a pid that is somebody else's by now is left alone" {
    args sleep 1000
    create x
    bailey start x
    # Processes are told from each other by when they began, in hundredths of a second: it is not of the same one.
    began() { cut -d' ' -f22 "/proc/$1/stat"; }
    later() { [ "$(cut -d' ' -f1 /proc/uptime | tr -d .)" -gt $(($(began "$(pid_of x)") + 1)) ]; }
    wait_for later
    sleep 1000 3>&- &
    innocent=$!
    [ "$(began $innocent)" -gt "$(began "$(pid_of x)")" ]
    kill -KILL "$(pid_of x)"
    wait_for status_is x stopped
    cp "$STATE/x/state.json" "$BATS_TEST_TMPDIR/saved"
    # As if the host had given both numbers away again.
    jq --argjson p $innocent '.pid = $p | .keep = $p' <"$BATS_TEST_TMPDIR/saved" >"$STATE/x/state.json"
    [ "$(pid_of x)" = 0 ]
    status_is x stopped
    for command in "kill x KILL" "kill --all x TERM" "kill x 0" "start x" "exec x true" "pause x" "ps x" "update --memory 1 x" "stop x" \
        "delete --force x"; do
        run bailey $command
        echo "$command: $status $output" >&2
        kill -0 $innocent
        [ "$(cat /proc/$innocent/comm)" = sleep ]
    done
    nothing_left
    kill $innocent
}

@test "signals: from inside, init is only reached by what it handles" {
    args sh -c 'trap "echo USR1" USR1; echo ready; while :; do sleep 0.05; done'
    create x
    bailey start x
    wait_for said ready
    bailey exec x sh -c 'for s in TERM KILL STOP HUP QUIT SEGV; do kill -$s 1; done; kill -USR1 1'
    wait_for said USR1
    status_is x running
    bailey exec x sh -c 'read -r _ _ state _ </proc/1/stat; [ $state != T ]'
}

@test "signals: TERM to the porter, or to a foreground run, reaches init" {
    args sh -c 'trap "echo got TERM" TERM; trap "exit 6" INT; echo ready; while :; do sleep 0.05; done'
    "$BAILEY" --root "$STATE" run --bundle "$BUNDLE" x >"$BATS_TEST_TMPDIR/out" 2>&1 3>&- &
    wait_for said ready
    kill -TERM "$(pid_of x)"
    wait_for said "got TERM"
    kill -INT $!
    wait $! && status=0 || status=$?
    [ "$status" -eq 6 ]
    nothing_left
}

@test "signals: KILL of the porter ends every guest, and the keep" {
    args sh -c 'sleep 1000 & setsid sleep 1000 & while :; do sleep 1; done'
    create x
    bailey start x
    wait_for sh -c "[ \$('$BAILEY' --root '$STATE' ps -f json x | jq length) -ge 4 ]"
    guests=$(bailey ps -f json x | jq '.[]')
    keep=$(keep_of x)
    kill -KILL "$(pid_of x)"
    wait_for status_is x stopped
    for pid in $guests $keep; do
        wait_for gone "$pid"
    done
    [ "$(bailey state x | jq .exitStatus)" = 137 ]
}

@test "signals: exec's caller killed: its program ends, a detached one's does not" {
    args sleep 1000
    create x
    bailey start x
    bailey exec --detach x sleep 1234 3>&- >/dev/null 2>&1
    "$BAILEY" --root "$STATE" exec x sleep 1234 3>&- >/dev/null 2>&1 &
    sleepers() { [ "$(bailey exec x ps 3>&- | grep -c 'sleep 123[4]')" = "$1" ]; }
    wait_for sleepers 2
    kill -KILL $!
    wait_for sleepers 1
    status_is x running
}

@test "signals: what the caller ignores or blocks does not reach a program of create or exec, nor disturb us" {
    args sh -c 'grep -E "Sig(Ign|Blk)" /proc/self/status; while :; do sleep 0.05; done'
    ln -sf busybox "$BUNDLE/rootfs/bin/grep"
    none=$'SigBlk:\t0000000000000000\nSigIgn:\t0000000000000000'
    # Everything ignored and blocked that can be, SIGCHLD too.
    cat >"$BATS_TEST_TMPDIR/deaf" <<'PY'
import os, signal, sys
for s in signal.valid_signals():
    if s not in (signal.SIGKILL, signal.SIGSTOP):
        signal.signal(s, signal.SIG_IGN)
signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
os.execv(sys.argv[1], sys.argv[1:])
PY
    deaf() { timeout -k 5 $LIMIT python3 "$BATS_TEST_TMPDIR/deaf" "$BAILEY" --root "$STATE" "$@"; }
    deaf create --bundle "$BUNDLE" x >"$BATS_TEST_TMPDIR/out" 2>&1 3>&-
    deaf start x
    same() { [ "$(cat "$BATS_TEST_TMPDIR/out")" = "$none" ]; }
    wait_for same
    run deaf exec x grep -E "Sig(Ign|Blk)" /proc/self/status
    [ "$status" -eq 0 ]
    [ "$output" = "$none" ]
    run deaf exec x sh -c 'exit 7'
    [ "$status" -eq 7 ]
    deaf kill x KILL
    wait_for status_is x stopped
    deaf delete x
    nothing_left
}

@test "signals: a porter that nobody waits for has ended, too" {
    args sleep 1000
    # A parent that never waits: the porter stays a zombie.
    cat >"$BATS_TEST_TMPDIR/adopter" <<'PY'
import ctypes, os, subprocess, sys, time
ctypes.CDLL(None).prctl(36, 1, 0, 0, 0)
subprocess.Popen(sys.argv[1:], stdin=subprocess.DEVNULL).wait()
print("made", flush=True)
time.sleep(1000)
PY
    python3 "$BATS_TEST_TMPDIR/adopter" "$BAILEY" --root "$STATE" run -d --bundle "$BUNDLE" x \
        >"$BATS_TEST_TMPDIR/out" 2>&1 3>&- &
    wait_for grep -q made "$BATS_TEST_TMPDIR/out"
    pid=$(pid_of x)
    bailey kill x KILL
    zombie() { [ "$(host_state_of "$pid")" = Z ]; }
    wait_for zombie
    status_is x stopped
    [ "$(pid_of x)" = 0 ]
    run bailey kill x
    [ "$status" -eq 1 ]
    bailey delete x
    nothing_left
    kill $!
}

@test "stop: a program that ends on the signal" {
    args sh -c 'trap "exit 9" TERM; echo ready; while :; do sleep 0.1; done'
    create x
    bailey start x
    wait_for said ready
    run --separate-stderr bailey stop x
    [ "$status" -eq 0 ]
    [ "$stderr" = "" ]
    [[ "$output" =~ ^x:\ ended\ by\ itself\ [0-9.]+\ s\ after\ SIGTERM,\ exit\ status\ 9$ ]]
    status_is x stopped
    run --separate-stderr bailey stop x
    [ "$status" -eq 0 ]
    [ "$output" = "x: had ended before, exit status 9" ]
}

@test "stop: a program that does not" {
    args sh -c 'trap "" TERM; echo ready; while :; do sleep 0.1; done'
    create x
    bailey start x
    wait_for said ready
    run --separate-stderr bailey stop x --time 1
    [ "$status" -eq 0 ]
    [ "$stderr" = "bailey: warning: container x: its first process ignores SIGTERM" ]
    [ "$output" = "x: killed, not having ended 1 s after SIGTERM, exit status 137 (SIGKILL)" ]
    status_is x stopped
}

@test "stop: a signal without a handler is named beforehand" {
    args sleep 1000
    create x
    bailey start x
    run --separate-stderr bailey stop --signal usr1 --time 0 x
    [ "$status" -eq 0 ]
    [[ "$stderr" == *"has no handler for SIGUSR1, so SIGUSR1 does not end it" ]]
    [[ "$output" == "x: killed, not having ended 0 s after SIGUSR1"* ]]
}

@test "stop: a created container, a wrong one, wrong options" {
    create x
    run --separate-stderr bailey stop x
    [ "$status" -eq 0 ]
    [[ "$output" == "x: ended by itself "*" s after SIGTERM, exit status 143 (SIGTERM)" ]]
    run --separate-stderr bailey stop nosuch
    [ "$status" -eq 1 ]
    run --separate-stderr bailey stop x --time -1
    [ "$stderr" = 'bailey: option --time: must be a number of seconds from 0 to 86400, not "-1"' ]
    run --separate-stderr bailey stop x --signal NOPE
    [ "$stderr" = 'bailey: unknown signal "NOPE"' ]
    run --separate-stderr bailey stop
    [ "$stderr" = "bailey: stop needs a container id (see bailey stop --help)" ]
}

@test "stop signal: state, events and stop know what init does with it" {
    cp "$B/tests/tools/sigtaker" "$BUNDLE/rootfs/bin/sigtaker"
    local how expected
    while read -r how expected; do
        args sigtaker $how
        create x
        [ "$(bailey state x | jq -r '."dev.bailey.stopSignal"')" = null ]
        bailey start x
        wait_for said ready
        [ "$(bailey state x | jq -r '."dev.bailey.stopSignal"')" = $expected ]
        [ "$(bailey events --stats x | jq -r '."dev.bailey.stopSignal"')" = $expected ]
        if [ $expected = handled ]; then
            run --separate-stderr bailey stop x
            [ "$stderr" = "" ]
            [[ "$output" = *"ended by itself"*", exit status 5" ]]
        else
            run --separate-stderr bailey stop --time 0 x
            [[ "$stderr" = "bailey: warning: container x: its first process "*SIGTERM* ]]
            [[ "$output" = *"killed, not having ended 0 s after SIGTERM, exit status 137 (SIGKILL)" ]]
        fi
        [ "$(bailey state x | jq -r '."dev.bailey.stopSignal"')" = null ]
        bailey delete x
    done <<<$'handler handled\nsigwait handled\nsignalfd handled\nignore ignored\ndefault default'
}

@test "stop signal: the image's, as engines write it" {
    args sh -c 'trap "exit 4" USR1; trap "exit 5" TERM; echo ready; while :; do sleep 0.05; done'
    local value
    for value in SIGUSR1 USR1 10; do
        config --arg v $value '.annotations = {"org.opencontainers.image.stopSignal": $v}'
        create x
        bailey start x
        wait_for said ready
        [ "$(bailey state x | jq -r '."dev.bailey.stopSignal"')" = handled ]
        run --separate-stderr bailey stop x
        [[ "$output" = "x: ended by itself "*" s after SIGUSR1, exit status 4" ]]
        bailey delete x
    done
    config '.annotations = {"org.opencontainers.image.stopSignal": "SIGFOO"}'
    create x
    bailey start x
    wait_for said ready
    run --separate-stderr bailey stop x
    [[ "$stderr" = *'stopSignal: unknown signal "SIGFOO"'* ]]
    [[ "$output" = *"after SIGTERM, exit status 5" ]]
    bailey delete x
    config '.annotations = {"org.opencontainers.image.stopSignal": "SIGUSR1"}'
    create x
    bailey start x
    wait_for said ready
    run --separate-stderr bailey stop --signal TERM x
    [[ "$output" = *"after SIGTERM, exit status 5" ]]
}

@test "stop: a paused container: what it waits for in vain is said" {
    args sh -c 'trap "exit 9" TERM; echo ready; while :; do sleep 0.05; done'
    create x
    bailey start x
    wait_for said ready
    bailey pause x || skip "no freezer here"
    run --separate-stderr bailey stop --time 0 x
    [ "$stderr" = "bailey: warning: container x is paused: it takes no SIGTERM before it is resumed" ]
    [[ "$output" = "x: killed, not having ended 0 s after SIGTERM"* ]]
    status_is x stopped
}
