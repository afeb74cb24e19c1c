#!/usr/bin/env bats
# bailey debug counters, and --lanes.
bats_require_minimum_version 1.5.0
load helpers
# shellcheck source=tests/lib/default-profile.sh
. "$BATS_TEST_DIRNAME/../lib/default-profile.sh"

# Transfers that become lanes, then a long sleep.
busy() {
    make_bundle
    cp "$B/tests/guest/sites" "$BUNDLE/rootfs/bin/sites"
    args /bin/sh -c 'for i in $(seq 300); do echo $i; done >/tmp/f; /bin/sites changed; echo $? >/tmp/changed; exec sleep 1000'
    config '.root.readonly = false'
    if [ -n "${PROFILE:-}" ]; then
        default_profile "$BUNDLE/config.json" >"$BATS_TEST_TMPDIR/profile"
        config --slurpfile p "$BATS_TEST_TMPDIR/profile" '.linux.seccomp = $p[0]'
    fi
    bailey "$@" run -d --bundle "$BUNDLE" c </dev/null >"$BATS_TEST_TMPDIR/out" 2>&1 3>&-
    wait_for test -s "$BUNDLE/rootfs/tmp/changed"
}

teardown() {
    bailey delete --force c
}

@test "counters: calls by name, timed from the first time on" {
    busy
    run bailey debug counters c
    [ "$status" -eq 0 ]
    [[ $output == *"calls are timed from now on"* ]]
    [[ ${lines[0]} =~ ^CALL\ +KEEP\ +THEN\ HOST ]]
    grep -qE '^write +[0-9]{2,}' <<<"$output"
    bailey exec c /bin/true
    run bailey debug counters --format json c
    [ "$(jq .timed <<<"$output")" = true ]
    [ "$(jq '.calls.execve.keep // .calls.brk.keep // .calls.exit_group.keep' <<<"$output")" -gt 0 ]
    [ "$(jq '[.calls[].posted] | add' <<<"$output")" -ge 0 ]
    [ "$(jq '[.calls[].nanoseconds] | add' <<<"$output")" -gt 0 ]
}

@test "without lanes every transfer comes to the keep, and no site is changed" {
    busy --lanes off
    [ "$(cat "$BUNDLE/rootfs/tmp/changed")" = 1 ]
    run bailey debug counters --format json c
    [ "$(jq .calls.write.keep <<<"$output")" -ge 300 ]
    [ "$(jq .calls.write.continued <<<"$output")" = 0 ]
    [ "$(jq .gate.transfers <<<"$output")" = 0 ]
}

@test "with them the sites are changed" {
    busy --lanes=on
    [ "$(cat "$BUNDLE/rootfs/tmp/changed")" = 0 ]
}

@test "with them and the engines' default profile, too" {
    [ -e "$DEFAULT_PROFILE" ] || skip "no $DEFAULT_PROFILE"
    PROFILE=default busy
    [ "$(cat "$BUNDLE/rootfs/tmp/changed")" = 0 ]
}

@test "who asks for actions that are the default asks the gate" {
    make_bundle
    cp "$B/tests/guest/sites" "$BUNDLE/rootfs/bin/sites"
    args /bin/sh -c '/bin/sites actions; echo $? >/tmp/asked; exec sleep 1000'
    config '.root.readonly = false'
    bailey run -d --bundle "$BUNDLE" c </dev/null >"$BATS_TEST_TMPDIR/out" 2>&1 3>&-
    wait_for test -s "$BUNDLE/rootfs/tmp/asked"
    [ "$(cat "$BUNDLE/rootfs/tmp/asked")" = 0 ]
    run bailey debug counters --format json c
    [ "$(jq '.calls.rt_sigaction.keep // 0' <<<"$output")" -lt 1000 ]
}

@test "what is not there" {
    busy
    fails_with 1 "debug counters takes one argument, the container's id" bailey debug counters
    fails_with 1 'debug shows counters, not "sense" (see bailey debug --help)' bailey debug sense c
    fails_with 1 'option --lanes: must be on or off, not "sometimes"' bailey --lanes sometimes state c
    bailey kill c KILL
}
