#!/usr/bin/env bats
# systemd as the manager of control groups: a real one, in namespaces of its own, over the host's hierarchies as they are and
# over version 2 alone.
bats_require_minimum_version 1.5.0
load helpers
load cgroup
load ../lib/systemd.sh

setup_file() {
    [ -x /lib/systemd/systemd ] || skip "no systemd is installed"
    [ "$(readlink /proc/self/ns/mnt)" != "$(readlink /proc/1/ns/mnt)" ] || skip "needs a mount namespace of its own (tests/run.sh)"
    [ -w /sys/fs/cgroup ] || skip "no cgroups that can be written"
    export BOX=$BATS_FILE_TMPDIR/box SYSTEMD_NAME=bt-${BAILEY_TEST_RUN:-$$}-systemd
    mkdir "$BOX"
    mount -t tmpfs bailey-test "$BOX"
    systemd_up "$SYSTEMD_NAME-v2" v2 "$BOX/log-v2" || { cat "$BOX/log-v2"; return 1; }
    export V2_PID=$SYSTEMD_PID HOST_PID=$SYSTEMD_PID
    is_v1 || return 0
    systemd_up "$SYSTEMD_NAME-host" host "$BOX/log-host" || { cat "$BOX/log-host"; return 1; }
    HOST_PID=$SYSTEMD_PID
}

teardown_file() {
    [ "${HOST_PID:-}" = "${V2_PID:-}" ] || systemd_down "$SYSTEMD_NAME-host" "$HOST_PID"
    [ -z "${V2_PID:-}" ] || systemd_down "$SYSTEMD_NAME-v2" "$V2_PID"
    ! mountpoint -q "$BOX" || umount "$BOX"
}

setup() {
    BATS_TEST_TMPDIR=$BOX/$BATS_TEST_NUMBER
    mkdir -p "$BATS_TEST_TMPDIR"
    STATE=/run/state
    make_bundle
    ID=c$BATS_TEST_NUMBER
    PID=$HOST_PID
}

teardown() {
    bailey delete --force "$ID" || true
}

bailey() {
    systemd_in "$PID" timeout -k 5 $LIMIT "$BAILEY" --root "$STATE" --systemd-cgroup "$@"
}

shown() { # unit property
    systemd_in "$PID" systemctl show -P "$2" "$1"
}

in_box() {
    systemd_in "$PID" sh -c "$1"
}

# A file of a unit's cgroup: by its name in version 1 or, for other hosts, in version 2.
value() { # controller unit file-v1 file-v2
    if is_v1; then
        in_box "cat /sys/fs/cgroup/$1/$2/$3"
    else
        in_box "cat /sys/fs/cgroup/$2/$4"
    fi
}

@test "a container is a scope: named by cgroupsPath, with its processes, delegated, and gone with it" {
    config '.linux.cgroupsPath = "machine.slice:pre:name" | .linux.resources.memory = {limit: 67108864} | .linux.resources.pids = {limit: 55}
        | .linux.resources.cpu = {shares: 512, quota: 40000, period: 80000}'
    start_it
    [ "$(shown pre-name.scope ActiveState)" = active ]
    [ "$(shown pre-name.scope Slice)" = machine.slice ]
    [ "$(shown pre-name.scope Delegate)" = yes ]
    [ "$(shown pre-name.scope DefaultDependencies)" = no ]
    [ "$(shown pre-name.scope TasksMax)" = 55 ]
    [ "$(shown pre-name.scope CPUQuotaPerSecUSec)" = 500ms ]
    in_box 'cat /proc/'"$(bailey state "$ID" | jq .pid)"'/cgroup' | grep -q '\(name=systemd\|^0:\):.*/machine.slice/pre-name.scope$'
    [ "$(value pids machine.slice/pre-name.scope pids.max pids.max)" = 55 ]
    ! is_v1 || [ "$(value cpu machine.slice/pre-name.scope cpu.shares -)" = 512 ]
    [ "$(value memory machine.slice/pre-name.scope memory.limit_in_bytes memory.max)" = 67108864 ]
    bailey delete --force "$ID"
    [ "$(shown pre-name.scope LoadState)" = not-found ]
    [ -z "$(in_box 'find /sys/fs/cgroup -name "pre-name*"')" ]
}

@test "without a cgroupsPath it is bailey-ID.scope in system.slice; a wrong one is an error" {
    config 'del(.linux.cgroupsPath)'
    start_it
    [ "$(shown "bailey-$ID.scope" Slice)" = system.slice ]
    bailey delete --force "$ID"
    config '.linux.cgroupsPath = "/a/b"'
    run --separate-stderr bailey create --bundle "$BUNDLE" "$ID"
    [ "$status" -eq 1 ]
    [ "$stderr" = "bailey: config.json: linux.cgroupsPath: with systemd it must be of the form slice:prefix:name" ]
}

@test "update sets properties and files" {
    config '.linux.cgroupsPath = "system.slice:u:x" | .linux.resources.pids = {limit: 55}'
    start_it
    bailey update --pids-limit 66 --cpu-quota 20000 --cpu-period 100000 "$ID"
    [ "$(shown u-x.scope TasksMax)" = 66 ]
    [ "$(shown u-x.scope CPUQuotaPerSecUSec)" = 200ms ]
    [ "$(value pids system.slice/u-x.scope pids.max pids.max)" = 66 ]
    systemd_in "$PID" systemctl daemon-reload
    [ "$(value pids system.slice/u-x.scope pids.max pids.max)" = 66 ]
}

@test "exec and pause work in a scope" {
    config '.linux.cgroupsPath = "system.slice:e:x"'
    start_it
    run bailey exec "$ID" sh -c 'echo in; exit 5'
    [ "$status" -eq 5 ]
    [ "$output" = in ]
    bailey pause "$ID"
    [[ "$(value freezer system.slice/e-x.scope freezer.state cgroup.freeze)" =~ ^(FROZEN|1)$ ]]
    bailey resume "$ID"
    [ "$(bailey state "$ID" | jq -r .status)" = running ]
}

@test "annotations are properties; a wrong one fails, and leaves no unit" {
    config '.linux.cgroupsPath = "system.slice:a:x" | .annotations = {"org.systemd.property.TimeoutStopUSec": "uint64 123000000",
        "org.systemd.property.CollectMode": "\u0027inactive-or-failed\u0027", "org.systemd.property.RuntimeMaxSec": "3600", "other": "x"}'
    start_it
    [ "$(shown a-x.scope TimeoutStopUSec)" = "2min 3s" ]
    [ "$(shown a-x.scope CollectMode)" = inactive-or-failed ]
    [ "$(shown a-x.scope RuntimeMaxUSec)" = 1h ]
    bailey delete --force "$ID"
    config '.annotations = {"org.systemd.property.NoSuchThing": "true"}'
    run --separate-stderr bailey create --bundle "$BUNDLE" "$ID"
    [ "$status" -eq 1 ]
    [[ "$stderr" == "bailey: systemd: a-x.scope: "*NoSuchThing* ]]
    [ "$(shown a-x.scope LoadState)" = not-found ]
    config '.annotations = {"org.systemd.property.TasksMax": "uint64 many"}'
    run --separate-stderr bailey create --bundle "$BUNDLE" "$ID"
    [[ "$stderr" == *'org.systemd.property.TasksMax: "uint64 many" is no value' ]]
    [ -z "$(in_box "ls $STATE")" ]
}

@test "rules on devices that are a list are systemd's as well" {
    config '.linux.cgroupsPath = "system.slice:d:x" | .linux.resources.devices = [{allow: false, access: "rwm"},
        {allow: true, type: "c", major: 1, minor: 3, access: "rw"}, {allow: true, type: "c", access: "m"}]'
    start_it
    [ "$(shown d-x.scope DevicePolicy)" = strict ]
    [ "$(shown d-x.scope DeviceAllow | sort | tr '\n' ' ')" = "/dev/char/1:3 rw char-* m " ]
    is_v1 || return 0
    systemd_in "$PID" systemctl daemon-reload
    in_box 'cat /sys/fs/cgroup/devices/system.slice/d-x.scope/devices.list' | grep -qx 'c 1:3 rw'
    run ! in_box 'grep -x "a \*:\* rwm" /sys/fs/cgroup/devices/system.slice/d-x.scope/devices.list'
}

@test "a name that ends in .slice is a slice" {
    config '.linux.cgroupsPath = "-:x:bttest.slice"'
    start_it
    [ "$(shown bttest.slice ActiveState)" = active ]
    value pids bttest.slice cgroup.procs cgroup.procs | grep -q .
    bailey delete --force "$ID"
    [ "$(shown bttest.slice ActiveState)" = inactive ]
}

@test "a killed command's unit is taken away with what it left" {
    config '.linux.cgroupsPath = "system.slice:k:x"'
    args sleep 1000
    bailey run --bundle "$BUNDLE" "$ID" </dev/null >"$BATS_TEST_TMPDIR/out" 2>&1 3>&- &
    runs() { [ "$(shown k-x.scope ActiveState)" = active ] && status_is "$ID" running; }
    wait_for runs
    # shellcheck disable=SC2016
    in_box 'kill -9 $(pgrep -x bailey -o)'
    wait $! || true
    bailey delete --force "$ID"
    [ "$(shown k-x.scope LoadState)" = not-found ]
}

@test "version 2: scope, properties, pause, kill" {
    PID=$V2_PID
    config '.linux.cgroupsPath = "machine.slice:two:x" | .linux.resources.devices = [{allow: false, access: "rwm"},
        {allow: true, type: "c", major: 1, minor: 5, access: "r"}]'
    start_it
    [ "$(shown two-x.scope ActiveState)" = active ]
    [ "$(in_box "cat /proc/$(bailey state "$ID" | jq .pid)/cgroup" | grep '^0:')" = "0::/machine.slice/two-x.scope" ]
    bailey pause "$ID"
    [ "$(in_box 'cat /sys/fs/cgroup/machine.slice/two-x.scope/cgroup.freeze')" = 1 ]
    bailey resume "$ID"
    in_box 'echo $$ >/sys/fs/cgroup/machine.slice/two-x.scope/cgroup.procs; head -c 1 /dev/zero >/proc/self/fd/1'
    run ! in_box 'echo $$ >/sys/fs/cgroup/machine.slice/two-x.scope/cgroup.procs; head -c 1 /dev/random'
    bailey delete --force "$ID"
    [ "$(shown two-x.scope LoadState)" = not-found ]
    [ -z "$(in_box 'find /sys/fs/cgroup -name "two-x*"')" ]
}

@test "without systemd it is an error that says so" {
    config '.linux.cgroupsPath = "system.slice:no:x"'
    # shellcheck disable=SC2016
    run --separate-stderr systemd_in "$PID" unshare -m sh -c 'mount -t tmpfs none /run && DBUS_SYSTEM_BUS_ADDRESS=unix:path=/none exec "$@"' sh \
        "$BAILEY" --root /run/state --systemd-cgroup create --bundle "$BUNDLE" "$ID"
    [ "$status" -eq 1 ]
    [[ "$stderr" == "bailey: systemd: cannot reach systemd: "* ]]
}

# A user's manager without a bus: it is asked, by its own socket, from a service that is below it, as it may only move processes that
# are.
@test "a user's systemd" {
    PID=$V2_PID
    "$BAILEY" features | jq -e .linux.cgroup.systemdUser
    local run=/run/user-1000
    config '.linux.namespaces = [{type: "pid"}, {type: "mount"}, {type: "user"}] | .linux.cgroupsPath = "user.slice:b:x" | .linux.resources = {}
        | .linux.uidMappings = [{containerID: 0, hostID: 1000, size: 1}] | .linux.gidMappings = .linux.uidMappings | del(.hostname)'
    args sh -c 'echo in; while [ ! -e /tmp/end ]; do sleep 0.1; done'
    # shellcheck disable=SC2016
    systemd_in "$PID" sh -ec 'mkdir -p "$0/units" && cp "$1" "$0/bailey" && cp -a "$2" "$0/bundle" && cd "$0/units"
        printf "[Unit]\nDefaultDependencies=no\n" >default.target
        printf "[Unit]\nDefaultDependencies=no\n[Service]\nType=oneshot\nDelegate=yes\nEnvironment=XDG_RUNTIME_DIR=$0\nStandardOutput=file:$0/out\nStandardError=file:$0/err\nExecStart=$0/bailey --root $0/state --systemd-cgroup run --bundle $0/bundle x\n" >b.service
        chown -R 1000:1000 "$0"; chmod 700 "$0"' "$run" "$BAILEY" "$BUNDLE"
    # KILL: there is no exit.target that TERM would lead it to.
    systemd_in "$PID" systemd-run -q --unit=manager -p User=1000 -p Delegate=yes -p KillSignal=KILL --setenv=XDG_RUNTIME_DIR="$run" \
        --setenv=SYSTEMD_UNIT_PATH="$run/units" /lib/systemd/systemd --user
    user() {
        systemd_in "$PID" setpriv --reuid 1000 --regid 1000 --clear-groups env XDG_RUNTIME_DIR="$run" "$@"
    }
    is_up() { [ "$(user systemctl --user is-active default.target 2>/dev/null)" = active ]; }
    wait_for is_up
    user systemctl --user start --no-block b.service
    wait_for in_box "test -s $run/out -o -s $run/err"
    in_box "cat $run/err" >&2
    [ "$(in_box "cat $run/out")" = in ]
    [ "$(user systemctl --user show -P ActiveState b-x.scope)" = active ]
    [ "$(in_box 'find /sys/fs/cgroup -name b-x.scope' | sed 's,.*/manager.service,,')" = /user.slice/b-x.scope ]
    in_box "touch $run/bundle/rootfs/tmp/end"
    has_ended() { [ -z "$(in_box 'find /sys/fs/cgroup -name b-x.scope')" ]; }
    wait_for has_ended
    was() { [ "$(user systemctl --user show -P ActiveState b.service)" = "$1" ]; }
    wait_for was inactive
    [ "$(user systemctl --user show -P Result b.service)" = success ]
    systemd_in "$PID" systemctl stop manager
}
