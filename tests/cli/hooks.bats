#!/usr/bin/env bats
# Hooks: each kind in its place, with the right state, and what becomes of a container whose hook fails.
bats_require_minimum_version 1.5.0
load helpers

KINDS="prestart createRuntime createContainer startContainer poststart poststop"

# A line for each hook in $LOG: kind|state|umask|cwd|LEAK|descriptors above 2|argv[0]|A.
setup() {
    make_bundle
    LOG=$BATS_TEST_TMPDIR/log/log
    HOOK=$BATS_TEST_TMPDIR/hook
    mkdir "$BATS_TEST_TMPDIR/log"
    cat >"$HOOK" <<'SH'
#!/bin/sh
# hook KIND LOG [STATUS]
fds=
for fd in 3 4 5 6 7 8 9; do
    (: >&$fd) 2>/dev/null && fds="$fds $fd"
done
state=$(cat)
printf '%s\n' "$1|$state|$(umask)|$(pwd)|${LEAK-none}|$fds|$0|${A-none}" >>"$2"
[ -z "$3" ] || echo "this is why" >&2
exit ${3-0}
SH
    chmod +x "$HOOK"
    cp "$HOOK" "$BUNDLE/rootfs/bin/hook"
    config --arg log "$BATS_TEST_TMPDIR/log" '.annotations = {"org.example.key": "a \"b\"\nc"}
        | .mounts += [{"destination": "/log", "type": "bind", "source": $log, "options": ["bind", "rw"]}]'
    args true
}

hook() { # kind path argv...
    config --arg kind "$1" --arg path "$2" '.hooks[$kind] += [{"path": $path, "args": $ARGS.positional}]' \
        --args -- "${@:3}"
}

# The recording hook of a kind.
record() { # kind [status]
    if [ "$1" = startContainer ]; then
        hook "$1" /bin/hook hook "$1" /log/log "${@:2}"
    else
        hook "$1" "$HOOK" hook "$1" "$LOG" "${@:2}"
    fi
}

record_all() {
    local kind
    for kind in $KINDS; do
        record "$kind"
    done
}

run_it() {
    bailey run --bundle "$BUNDLE" "$@"
}

kinds_run() {
    cut -d'|' -f1 "$LOG" | xargs
}

field() { # kind number
    grep "^$1|" "$LOG" | cut -d'|' -f"$2"
}

@test "hooks: all six kinds, in order, startContainer before the program" {
    record_all
    args cat /log/log
    run --separate-stderr run_it x
    [ "$status" -eq 0 ]
    [ "$stderr" = "" ]
    [ "$(kinds_run)" = "$KINDS" ]
    [ "$(cut -d'|' -f1 <<<"$output" | head -4 | xargs)" = "prestart createRuntime createContainer startContainer" ]
    nothing_left
}

@test "hooks: several of a kind run in the order of the list" {
    hook createRuntime /bin/sh sh -c "echo one >>$LOG"
    hook createRuntime /bin/sh sh -c "echo two >>$LOG"
    hook createRuntime /bin/sh sh -c "echo three >>$LOG"
    run_it x
    [ "$(xargs <"$LOG")" = "one two three" ]
}

@test "hooks: the state's version, id, status, bundle and annotations" {
    record_all
    run_it x
    local kind status
    while read -r kind status; do
        field "$kind" 2 | jq -e --arg status "$status" --arg bundle "$BUNDLE" '
            (.ociVersion | test("^[0-9]+\\.[0-9]+\\.[0-9]+")) and .id == "x" and .status == $status
            and .bundle == $bundle and .annotations["org.example.key"] == "a \"b\"\nc"'
    done <<'TABLE'
prestart created
createRuntime created
createContainer created
startContainer created
poststart running
poststop stopped
TABLE
}

@test "hooks: the state's pid is the host's, or the one that the container sees" {
    record_all
    args sh -c 'cat /log/log >/dev/null; sleep 0.3'
    run_it --pid-file "$BATS_TEST_TMPDIR/pid" x
    local pid
    pid=$(cat "$BATS_TEST_TMPDIR/pid")
    for kind in prestart createRuntime poststart; do
        [ "$(field $kind 2 | jq .pid)" = "$pid" ]
    done
    [ "$(field createContainer 2 | jq .pid)" = 1 ]
    [ "$(field startContainer 2 | jq .pid)" = 1 ]
    [ "$(field poststop 2 | jq .pid)" = null ]
}

@test "hooks: descriptors, umask, working directory, environment" {
    record_all
    umask 027
    LEAK=yes run_it x
    local kind
    for kind in $KINDS; do
        [ "$(field "$kind" 6)" = "" ]
        [ "$(field "$kind" 3)" = 0027 ]
        case $kind in
        startContainer) [ "$(field "$kind" 4)" = / ] ;;
        *) [ "$(field "$kind" 4)" = "$BUNDLE" ] ;;
        esac
        case $kind in
        createContainer | startContainer) [ "$(field "$kind" 5)" = none ] ;;
        *) [ "$(field "$kind" 5)" = yes ] ;;
        esac
    done
}

@test "hooks: an environment and arguments of their own" {
    record_all
    config '.hooks |= map_values(map(.env = ["A=own"]))'
    LEAK=yes run_it x
    local kind
    for kind in $KINDS; do
        [ "$(field "$kind" 5)" = none ]
        [ "$(field "$kind" 8)" = own ]
    done
    # A program (not a script) sees argv[0] as it was given, or its path.
    rm "$LOG"
    config 'del(.hooks)'
    hook prestart /bin/sh alias -c "echo \"\$0 \$(tr '\\0' ' ' </proc/\$\$/cmdline | cut -d' ' -f1)\" >>$LOG"
    run_it x
    [ "$(cat "$LOG")" = "alias alias" ]
}

@test "hooks: a hook without arguments" {
    printf '#!/bin/sh\necho "$#" >>%s\n' "$LOG" >"$HOOK"
    config --arg path "$HOOK" '.hooks.prestart = [{"path": $path}] | .hooks.poststop = [{"path": $path, "args": []}]'
    run_it x
    [ "$(xargs <"$LOG")" = "0 0" ]
}

@test "hooks: createContainer sees the container's mounts, host name and processes" {
    config '.hostname = "castle"'
    hook createContainer /bin/sh sh -c \
        "echo \"\$(hostname) \$\$ \$(ls $BUNDLE/rootfs/log) \$(ls /sys/class/net)\" >>$LOG; true"
    hook prestart /bin/sh sh -c "ls $BUNDLE/rootfs/log >>$LOG 2>/dev/null; echo host >>$LOG"
    run_it x
    [ "$(sed -n 1p "$LOG")" = host ]
    [[ "$(sed -n 2p "$LOG")" == "castle 2 log "* ]]
}

@test "hooks: startContainer runs inside the sandbox, as root" {
    config '.process.user = {"uid": 1000, "gid": 1000}'
    hook startContainer /bin/sh sh -c 'echo "$(id -u) $(cat /proc/1/comm >/dev/null && echo init) $$" >>/log/log
        dmesg | head -1 >>/log/log'
    run_it x
    [ "$(sed -n 1p "$LOG")" = "0 init 2" ]
    [ -n "$(sed -n 2p "$LOG")" ]
}

@test "hooks: what the caller ignores and blocks does not reach them" {
    local kind
    for kind in prestart createContainer; do
        config 'del(.hooks)'
        hook $kind /bin/sh sh -c 'kill -USR1 $$; kill -PIPE $$; exit 0'
        run --separate-stderr sh -c 'trap "" USR1 PIPE; exec "$@"' sh \
            "$BAILEY" --root "$STATE" run --bundle "$BUNDLE" x
        [ "$status" -eq 1 ]
        [[ "$stderr" == *"hook $kind[0] (/bin/sh) failed: killed by signal 10"* ]]
    done
}

@test "hooks: each kind that fails ends the container, and poststop runs" {
    local kind before=
    for kind in prestart createRuntime createContainer startContainer poststart; do
        config 'del(.hooks)'
        rm -f "$LOG"
        for earlier in $before; do record $earlier; done
        record $kind 3
        hook $kind /bin/sh sh -c "echo never >>$LOG"
        record poststop
        before="$before $kind"
        args sh -c 'echo ran >/log/ran; sleep 1000'
        run --separate-stderr run_it x
        echo "$kind: $status $stderr" >&2
        [ "$status" -eq 1 ]
        [[ "$stderr" == *"hook $kind[0] ("*") failed: exit status 3: this is why" ]]
        [ "$(kinds_run)" = "$(xargs <<<"$before poststop")" ]
        [ "$(field poststop 2 | jq -r .status)" = stopped ]
        [ $kind = poststart ] || [ ! -e "$BATS_TEST_TMPDIR/log/ran" ]
        nothing_left
    done
}

@test "hooks: a failing poststop is warned about, the rest run, and the status is the program's" {
    record poststop 3
    record poststop
    args sh -c 'exit 5'
    run --separate-stderr run_it x
    [ "$status" -eq 5 ]
    [[ "$stderr" == "bailey: warning: hook poststop[0] ($HOOK) failed: exit status 3: this is why" ]]
    [ "$(kinds_run)" = "poststop poststop" ]
    nothing_left
}

@test "hooks: one that is not there, or not executable" {
    hook createRuntime /nonexistent/hook hook
    record poststop
    run --separate-stderr run_it x
    [ "$status" -eq 1 ]
    [ "$stderr" = "bailey: hook createRuntime[0] (/nonexistent/hook) cannot be run: No such file or directory" ]
    config 'del(.hooks.createRuntime)'
    hook startContainer /nonexistent/hook hook
    run --separate-stderr run_it x
    [ "$status" -eq 1 ]
    [[ "$stderr" == *"hook startContainer[0] (/nonexistent/hook) cannot be run: "*"no such file or directory"* ]]
    [ "$(kinds_run)" = "poststop poststop" ]
    nothing_left
}

@test "hooks: the time-out ends the whole process group, whoever holds its output" {
    local kind
    for kind in prestart createContainer poststart; do
        config 'del(.hooks)'
        rm -f "$LOG"
        hook $kind /bin/sh sh -c "sleep $NAP & echo \$! >$LOG.pid; sleep $NAP"
        config --arg kind $kind '.hooks[$kind][0].timeout = 1'
        record poststop
        args sleep 1000
        begin=$EPOCHREALTIME
        run --separate-stderr run_it x
        took=$(bc <<<"($EPOCHREALTIME - $begin) * 1000 / 1")
        echo "$kind: $took ms, $status, $stderr" >&2
        [ "$status" -eq 1 ]
        [[ "$stderr" == *"hook $kind[0] (/bin/sh) failed: not done after its 1 s" ]]
        [ "$took" -ge 1000 ]
        [ "$(kinds_run)" = poststop ]
        nothing_left
    done
    nothing_hangs() { ! pgrep -f "^sleep $NAP$" >/dev/null; }
    wait_for nothing_hangs
}

@test "hooks: startContainer's time-out" {
    hook startContainer /bin/sh sh -c 'sleep 1000 & sleep 1000'
    config '.hooks.startContainer[0].timeout = 1'
    record poststop
    args sh -c 'echo ran >/log/ran'
    run --separate-stderr run_it x
    [ "$status" -eq 1 ]
    [[ "$stderr" == *"hook startContainer[0] (/bin/sh) failed: not done after its 1 s" ]]
    [ "$(kinds_run)" = poststop ]
    [ ! -e "$BATS_TEST_TMPDIR/log/ran" ]
    nothing_left
}

@test "hooks: what a hook leaves running is not waited for" {
    hook prestart /bin/sh sh -c "sleep $NAP & exit 0"
    hook startContainer /bin/sh sh -c "sleep $NAP & exit 0"
    run_it x
    wait_for pkill -f "^sleep $NAP$" # the first is still there
}

@test "hooks: much output, much input" {
    local kind
    for kind in prestart createContainer poststop; do
        hook $kind /bin/sh sh -c "head -c 1000000 /dev/zero; head -c 1000000 /dev/zero >&2; cat | wc -c >>$LOG"
    done
    hook startContainer /bin/sh sh -c 'cat /bin/busybox; cat /bin/busybox >&2; cat >/log/state'
    hook createRuntime /bin/true true
    head -c 300000 /dev/zero | tr '\0' x >"$BATS_TEST_TMPDIR/long"
    config --rawfile long "$BATS_TEST_TMPDIR/long" '.annotations.long = $long'
    run_it x
    [ "$(wc -l <"$LOG")" -eq 3 ]
    while read -r bytes; do
        [ "$bytes" -gt 300000 ]
    done <"$LOG"
    jq -e '.annotations.long | length == 300000' "$BATS_TEST_TMPDIR/log/state"
}

@test "hooks: where the container can not be made, those that ran are undone" {
    record prestart
    record poststop
    args /nonexistent
    run --separate-stderr run_it x
    [ "$status" -eq 1 ]
    [ "$(kinds_run)" = "prestart poststop" ]
    # Refused before any hook: nothing to undo.
    rm "$LOG"
    config '.root.path = "nonexistent"'
    run --separate-stderr run_it x
    [ "$status" -eq 1 ]
    [ ! -e "$LOG" ]
}

# The same by create, start and delete.

@test "hooks: create, start and delete run theirs, and no others" {
    record_all
    args sh -c 'sleep 0.2'
    create x
    [ "$(kinds_run)" = "prestart createRuntime createContainer" ]
    pid=$(bailey state x | jq .pid)
    LEAK=start bailey start x
    [ "$(kinds_run)" = "prestart createRuntime createContainer startContainer poststart" ]
    [ "$(field startContainer 5)" = none ]
    [ "$(field poststart 5)" = start ]
    [ "$(field poststart 2 | jq .pid)" = "$pid" ]
    wait_for status_is x stopped
    [ "$(kinds_run)" = "prestart createRuntime createContainer startContainer poststart" ]
    (umask 077 && bailey delete x)
    [ "$(kinds_run)" = "$KINDS" ]
    [ "$(field poststop 3)" = 0077 ]
    nothing_left
}

@test "hooks: a hook that fails in create leaves no container" {
    record createRuntime 3
    record poststop
    run create x
    [ "$status" -eq 1 ]
    grep -q 'hook createRuntime\[0\] .* failed: exit status 3: this is why' "$BATS_TEST_TMPDIR/out"
    [ "$(kinds_run)" = "createRuntime poststop" ]
    nothing_left
}

@test "hooks: one that fails in start ends the container; poststop runs once" {
    local kind
    for kind in startContainer poststart; do
        config 'del(.hooks)'
        rm -f "$LOG"
        record $kind 3
        record poststop
        args sleep 1000
        create x
        run --separate-stderr bailey start x
        [ "$status" -eq 1 ]
        [[ "$stderr" == *"hook $kind[0] ("*") failed: exit status 3: this is why" ]]
        [ "$(status_of x)" = stopped ]
        [ "$(kinds_run)" = "$kind poststop" ]
        bailey delete x
        [ "$(kinds_run)" = "$kind poststop" ]
        nothing_left
    done
}

@test "hooks: startContainer's time-out in start" {
    hook startContainer /bin/sh sh -c 'sleep 1000 & sleep 1000'
    config '.hooks.startContainer[0].timeout = 1'
    record poststop
    create x
    run --separate-stderr bailey start x
    [ "$status" -eq 1 ]
    [ "$(status_of x)" = stopped ]
    [ "$(kinds_run)" = poststop ]
    bailey delete x
}

@test "hooks: a failing poststop does not fail delete" {
    record poststop 3
    record poststop
    create x
    bailey start x
    wait_for status_is x stopped
    run --separate-stderr bailey delete x
    [ "$status" -eq 0 ]
    [[ "$stderr" == "bailey: warning: hook poststop[0] "* ]]
    [ "$(kinds_run)" = "poststop poststop" ]
    nothing_left
}

@test "hooks: createContainer runs after the host name is set, however slow the porter is" {
    hook createContainer /bin/sh sh -c "hostname >>'$LOG'"
    config '.hostname = "keep-1"'
    for _ in 1 2 3 4 5; do run_it x; done
    [ "$(sort "$LOG" | uniq -c | xargs)" = "5 keep-1" ]
}

# A hook that hangs with a child of its own, until it is killed.
hanging() { # kind
    if [ "$1" = startContainer ]; then
        ln -sf busybox "$BUNDLE/rootfs/bin/touch"
        hook "$1" /bin/sh sh -c "touch /log/hangs; sleep $NAP & sleep $NAP"
    else
        hook "$1" /bin/sh sh -c "touch '$BATS_TEST_TMPDIR/log/hangs'; sleep $NAP & sleep $NAP"
    fi
}

@test "hooks: one that hangs ends with the command that is asked to end" {
    local kind sig
    nothing_hangs() { ! pgrep -f "sleep $NAP$" >/dev/null; }
    for kind in prestart createRuntime createContainer startContainer poststart; do
        config 'del(.hooks)'
        rm -f "$LOG" "$BATS_TEST_TMPDIR/log/hangs"
        hanging $kind
        record poststop
        [ $kind = prestart ] && sig=INT || sig=TERM
        setsid "$BAILEY" --root "$STATE" run --bundle "$BUNDLE" x >"$BATS_TEST_TMPDIR/out" 2>&1 3>&- &
        wait_for test -e "$BATS_TEST_TMPDIR/log/hangs"
        kill -$sig $!
        wait $! && status=0 || status=$?
        echo "$kind: $status $(cat "$BATS_TEST_TMPDIR/out")" >&2
        [ "$status" -eq 1 ]
        grep -q "interrupted by SIG$sig" "$BATS_TEST_TMPDIR/out"
        [ "$(kinds_run)" = poststop ]
        wait_for nothing_hangs
        nothing_left
    done
}

@test "hooks: one that hangs in poststop can be interrupted, and the rest run" {
    hanging poststop
    record poststop
    "$BAILEY" --root "$STATE" run --bundle "$BUNDLE" x >"$BATS_TEST_TMPDIR/out" 2>&1 3>&- &
    wait_for test -e "$BATS_TEST_TMPDIR/log/hangs"
    kill -TERM $!
    wait $!
    grep -q "poststop\[0\].*interrupted by SIGTERM" "$BATS_TEST_TMPDIR/out"
    [ "$(kinds_run)" = poststop ]
    nothing_left
}

@test "hooks: a hook does not outlive a killed command; what it left is undone by delete" {
    local kind
    nothing_hangs() { ! pgrep -f "sleep $NAP$" >/dev/null; }
    for kind in prestart createContainer startContainer; do
        config 'del(.hooks)'
        rm -f "$LOG" "$BATS_TEST_TMPDIR/log/hangs"
        hanging $kind
        record poststop
        "$BAILEY" --root "$STATE" run --bundle "$BUNDLE" x >"$BATS_TEST_TMPDIR/out" 2>&1 3>&- &
        wait_for test -e "$BATS_TEST_TMPDIR/log/hangs"
        kill -KILL $!
        wait $! || true
        # The hook itself is gone; children of a prestart hook are the host's, and nobody's to find.
        [ $kind = prestart ] && pkill -f "sleep $NAP$" || true
        wait_for nothing_hangs
        [ ! -s "$LOG" ]
        bailey delete --force x
        [ "$(kinds_run)" = poststop ]
        nothing_left
    done
}

@test "hooks: an id taken over from a killed run: the poststop hooks of the old one come first" {
    record poststop
    args sleep 1000
    "$BAILEY" --root "$STATE" run --bundle "$BUNDLE" x >"$BATS_TEST_TMPDIR/out" 2>&1 3>&- &
    wait_for status_is x running
    kill -KILL $!
    wait_for status_is x stopped
    [ ! -s "$LOG" ]
    config 'del(.hooks)'
    args true
    run_it x
    [ "$(kinds_run)" = poststop ]
    [ "$(field poststop 2 | jq -r .status)" = stopped ]
    [ "$(field poststop 2 | jq -r .bundle)" = "$(realpath "$BUNDLE")" ]
    nothing_left
}

@test "hooks: a delete that is killed in poststop leaves it to the next one" {
    hanging poststop
    record poststop
    args true
    bailey create --bundle "$BUNDLE" x </dev/null >/dev/null 2>&1 3>&-
    "$BAILEY" --root "$STATE" delete x >"$BATS_TEST_TMPDIR/out" 2>&1 3>&- &
    wait_for test -e "$BATS_TEST_TMPDIR/log/hangs"
    kill -KILL $!
    wait $! || true
    pkill -f "sleep $NAP$" || true
    rm "$BATS_TEST_TMPDIR/log/hangs"
    "$BAILEY" --root "$STATE" delete --force x >"$BATS_TEST_TMPDIR/out" 2>&1 3>&- &
    wait_for test -e "$BATS_TEST_TMPDIR/log/hangs"
    kill -TERM $!
    wait $!
    [ "$(kinds_run)" = poststop ]
    nothing_left
}
