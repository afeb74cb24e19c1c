#!/usr/bin/env bats
# Call sites that the gate changes: that it does so at all. What they do then is tests/guest/sites.c.
bats_require_minimum_version 1.5.0
load helpers

@test "both shapes of call site are changed once they are hot" {
    make_bundle
    cp "$B/tests/guest/sites" "$BUNDLE/rootfs/bin/sites"
    config ".root.readonly = false"
    args /bin/sites changed
    bailey run --bundle "$BUNDLE" c
}
