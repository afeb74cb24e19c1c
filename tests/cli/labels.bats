#!/usr/bin/env bats
# Labels of security modules, on a host that may have none.
bats_require_minimum_version 1.5.0
load helpers

setup() {
    make_bundle
    args true
}

teardown() {
    bailey delete --force c 3>&- >/dev/null 2>&1 || true
}

@test "labels: an AppArmor profile that cannot be applied is an error; unconfined asks for nothing" {
    [ ! -e /sys/module/apparmor/parameters/enabled ] || skip "AppArmor may be enabled"
    config '.process.apparmorProfile = "box"'
    refused 'process.apparmorProfile: AppArmor is not enabled on this host' bailey run --bundle "$BUNDLE" c
    [ "$(bailey features | jq -c '[.linux.apparmor.enabled, .linux.selinux.enabled]')" = '[true,true]' ]
    config '.process.apparmorProfile = ""'
    run -0 bailey run --bundle "$BUNDLE" c
    config '.process.apparmorProfile = "unconfined"'
    run -0 bailey run --bundle "$BUNDLE" c
    args sleep 1000
    bailey run --detach --bundle "$BUNDLE" c </dev/null >/dev/null 2>&1 3>&-
    run --separate-stderr bailey exec --apparmor box c true
    echo "$stderr"
    [ "$status" -eq 255 ]
    [ "$stderr" = "bailey: process.apparmorProfile: AppArmor is not enabled on this host" ]
}

@test "labels: SELinux's are left out with a warning where it is off" {
    [ ! -e /sys/fs/selinux/enforce ] || skip "SELinux is enabled"
    config '.process.selinuxLabel = "u:r:t:s0" | .linux.mountLabel = "u:o:t:s0"'
    run -0 --separate-stderr bailey run --bundle "$BUNDLE" c
    [ "${#stderr_lines[@]}" -eq 2 ]
    [ "${stderr_lines[0]}" = "bailey: warning: config.json: linux.mountLabel: SELinux is not enabled on this host, ignored" ]
    [ "${stderr_lines[1]}" = "bailey: warning: process.selinuxLabel: SELinux is not enabled on this host, ignored" ]
    args sleep 1000
    bailey run --detach --bundle "$BUNDLE" c </dev/null >/dev/null 2>&1 3>&-
    run -0 --separate-stderr bailey exec --process-label u:r:t:s0 c true
    [[ "$stderr" == *"process.selinuxLabel: SELinux is not enabled on this host, ignored" ]]
}

# A3: the container's own /proc is not where labels are written.
@test "labels: a /proc of the image's is not looked at" {
    rmdir "$BUNDLE/rootfs/proc"
    mkdir -p "$BUNDLE/rootfs/decoy/thread-self/attr/apparmor" "$BUNDLE/rootfs/decoy/self/attr"
    : >"$BUNDLE/rootfs/decoy/thread-self/attr/apparmor/exec"
    : >"$BUNDLE/rootfs/decoy/thread-self/attr/exec"
    ln -s decoy "$BUNDLE/rootfs/proc"
    config '.process.selinuxLabel = "u:r:t:s0" | .process.oomScoreAdj = 5 | .mounts |= map(select(.destination != "/proc"))'
    run bailey run --bundle "$BUNDLE" c
    [ ! -s "$BUNDLE/rootfs/decoy/thread-self/attr/exec" ]
    [ -z "$(find "$BUNDLE/rootfs/decoy" -name oom_score_adj)" ]
}
