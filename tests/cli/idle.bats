#!/usr/bin/env bats
# A sandbox whose programs wait does nothing: no timer, no poll, in no process of its own.
bats_require_minimum_version 1.5.0
load helpers

teardown() {
    bailey delete --force c
}

# How often the threads of the container's processes were given a processor.
switches() {
    local keep porter pid
    keep=$(jq .keep "$STATE/c/state.json")
    porter=$(jq .pid "$STATE/c/state.json")
    for pid in "$keep" "$porter" $(cat "/proc/$porter/task/$porter/children"); do
        awk -v name="$(cat "/proc/$pid/comm")" '{ print FILENAME, name, $3 }' /proc/"$pid"/task/*/schedstat
    done
}

# What is regular shows in any three seconds; a deadline that nobody waits for any more passes once.
rests() {
    local before=$BATS_TEST_TMPDIR/before after=$BATS_TEST_TMPDIR/after
    for _ in 1 2 3 4 5 6 7 8; do
        switches >"$before"
        [ "$(wc -l <"$before")" -ge 4 ]
        sleep 3
        switches >"$after"
        ! diff "$before" "$after" >&2 || return 0
    done
    return 1
}

@test "an idle sandbox does nothing, whatever it did before" {
    make_bundle
    # Files, pipes, processes, signals, a timer that has ended, a child that waits: then nothing.
    args /bin/sh -c 'for i in $(seq 200); do cat /bin/cat | head -c 1 >/tmp/f; stat /tmp/f; ls -l / /dev /proc/self; done >/dev/null
        timeout 1 sleep 5; trap : USR1; kill -USR1 $$; sleep 1000 & : >/tmp/ready; exec sleep 1000'
    config '.root.readonly = false'
    bailey run -d --bundle "$BUNDLE" c </dev/null >"$BATS_TEST_TMPDIR/out" 2>&1 3>&-
    wait_for test -e "$BUNDLE/rootfs/tmp/ready"
    bailey exec c /bin/true </dev/null
    rests
}
