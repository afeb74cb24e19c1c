#!/usr/bin/env bats
# --overlay=memory: the root of the bundle is only read.
bats_require_minimum_version 1.5.0
load helpers

setup() {
    make_bundle
    config '.root.readonly = false'
    echo before >"$BUNDLE/rootfs/etc/file"
    ln -s busybox "$BUNDLE/rootfs/bin/rm" && ln -s busybox "$BUNDLE/rootfs/bin/mkdir"
    (cd "$BUNDLE/rootfs" && find . -type f -exec sha256sum {} + | sort) >"$BATS_TEST_TMPDIR/before"
    args /bin/sh -c 'echo after >/etc/file; echo new >/etc/new; rm /bin/true; mkdir -p /a/b; cat /etc/file /etc/new; ls /bin/true || ls -d /a/b'
}

unchanged() {
    (cd "$BUNDLE/rootfs" && find . -type f -exec sha256sum {} + | sort) | diff "$BATS_TEST_TMPDIR/before" -
}

@test "what is written is seen inside, and gone afterwards" {
    run bailey run --overlay memory --bundle "$BUNDLE" c
    [ "$status" -eq 0 ]
    [ "${lines[0]}" = after ]
    [ "${lines[1]}" = new ]
    [ "${lines[-1]}" = /a/b ]
    unchanged
    nothing_left
}

@test "without it the root is written" {
    bailey run --overlay=none --bundle "$BUNDLE" c
    [ "$(cat "$BUNDLE/rootfs/etc/file")" = after ]
}

@test "it is as large as the memory limit" {
    config '.linux.resources.memory.limit = 20971520'
    args /bin/stat -f -c '%b %S' /
    run bailey run --overlay=memory --bundle "$BUNDLE" c
    [ "$output" = "5120 4096" ]
    unchanged
}

@test "a read-only root stays one, and mountinfo says overlay" {
    config '.root.readonly = true'
    args /bin/sh -c 'echo x >/etc/file; cat /etc/file; head -1 /proc/self/mountinfo'
    run bailey run --overlay=memory --bundle "$BUNDLE" c
    [[ $output == *before* ]]
    [[ ${lines[-1]} == *" - overlay "* ]]
    unchanged
}
