#!/usr/bin/env bats
# A file system of the host's that does not answer keeps who asks it, and nobody else.
bats_require_minimum_version 1.5.0
load helpers

teardown() {
    delete_all
}

@test "who opens what the host does not give yet waits alone" {
    make_bundle
    echo text >"$BUNDLE/rootfs/held"
    mkfifo "$BATS_TEST_TMPDIR/release"
    "$B/tests/tools/holdopen" "$BUNDLE/rootfs/held" "$BATS_TEST_TMPDIR/says" <"$BATS_TEST_TMPDIR/release" 3>&- &
    exec 7>"$BATS_TEST_TMPDIR/release"
    wait_for test -e "$BATS_TEST_TMPDIR/says"
    # shellcheck disable=SC2016
    args /bin/sh -c 'cat /held & until [ -e /go ]; do :; done
        for i in 1 2 3 4 5; do ls / >/dev/null || exit; done; (exit 3); echo "others go on: $?"; wait; echo end'
    config '.root.readonly = false'
    bailey run -d --bundle "$BUNDLE" c </dev/null >"$BATS_TEST_TMPDIR/out" 2>&1 3>&- 7>&-
    wait_for grep -q held "$BATS_TEST_TMPDIR/says"
    touch "$BUNDLE/rootfs/go"
    wait_for said "others go on: 3"
    ! said text
    exec 7>&-
    wait_for said end
    said text
}
