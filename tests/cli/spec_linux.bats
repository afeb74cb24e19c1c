#!/usr/bin/env bats
# root, host names, mounts, devices and namespaces as the specification has them (docs/conformance.md has the rows).
bats_require_minimum_version 1.5.0
load helpers

setup() {
    make_bundle
    config '.root.readonly = false'
    for applet in readlink grep stat touch; do
        ln -sf busybox "$BUNDLE/rootfs/bin/$applet"
    done
}

teardown() {
    bailey delete --force x 3>&- || true
}

run_it() {
    run --separate-stderr bailey run --bundle "$BUNDLE" x
    echo "status $status: $output; $stderr" >&2
}

# --- root, names ---

@test "root: absolute, or relative to the bundle; it must be a directory" {
    args cat /etc/which
    echo here >"$BUNDLE/rootfs/etc/which"
    run_it
    [ "$output" = here ]
    config --arg path "$BUNDLE/rootfs" '.root.path = $path'
    run_it
    [ "$output" = here ]
    config_refused '.root.path = "none"' "root.path: none: No such file or directory"
    config_refused '.root.path = "config.json"' "root.path: config.json: Not a directory"
    config_refused 'del(.root.path)' "root.path: is required"
}

@test "root.readonly holds" {
    args touch /new
    run_it
    [ "$status" -eq 0 ]
    [ -e "$BUNDLE/rootfs/new" ]
    rm "$BUNDLE/rootfs/new"
    config '.root.readonly = true'
    run_it
    [ "$status" -eq 1 ]
    [[ "$stderr" == *"Read-only file system"* ]]
    [ ! -e "$BUNDLE/rootfs/new" ]
}

@test "hostname and domainname: in the UTS namespace, inside and outside" {
    config '.hostname = "castle" | .domainname = "hill.example"'
    args sh -c 'hostname; cat /proc/sys/kernel/domainname; sleep 1000'
    create x
    bailey start x
    wait_for said hill.example
    [ "$(xargs <"$BATS_TEST_TMPDIR/out")" = "castle hill.example" ]
    pid=$(bailey state x | jq .pid)
    [ "$(nsenter -t "$pid" -u hostname)" = castle ]
    [ "$(nsenter -t "$pid" -u cat /proc/sys/kernel/domainname)" = hill.example ]
    [ "$(hostname)" != castle ]
}

# --- mounts ---

@test "mounts: in the order of the list" {
    mkdir -p "$BATS_TEST_TMPDIR"/{one,two}
    echo one >"$BATS_TEST_TMPDIR/one/file"
    echo two >"$BATS_TEST_TMPDIR/two/file"
    config --arg d "$BATS_TEST_TMPDIR" '.mounts += [
        {"destination": "/m", "type": "tmpfs"},
        {"destination": "/m/sub", "type": "bind", "source": ($d + "/one"), "options": ["bind"]},
        {"destination": "/m/sub", "type": "bind", "source": ($d + "/two"), "options": ["bind"]}]'
    args sh -c 'cat /m/sub/file; grep -c " /m" /proc/self/mountinfo'
    run_it
    [ "$output" = $'two\n3' ]
}

@test "mounts: a relative destination is taken from /, a relative source from the bundle" {
    mkdir "$BUNDLE/data"
    echo data >"$BUNDLE/data/file"
    config '.mounts += [{"destination": "rel/dir", "type": "tmpfs"}, {"destination": "rel/bound", "source": "data", "options": ["bind"]}]'
    args sh -c 'cat /rel/bound/file; grep -c " /rel/dir " /proc/self/mountinfo'
    run_it
    [ "$output" = $'data\n1' ]
}

@test "mounts: what the file system, and nobody, knows of options" {
    config '.mounts += [{"destination": "/t", "type": "tmpfs", "options": ["size=64k", "mode=700"]}]'
    args sh -c 'grep " /t " /proc/self/mountinfo; stat -c %a /t'
    run_it
    [[ "$output" == *"size=64k"* ]]
    [[ "$output" == *700 ]]
    config '.mounts[-1].options = ["nonsense=1"]'
    run_it
    [ "$status" -eq 1 ]
    [[ "$stderr" == *"mounts[7] (/t): option \"nonsense\": Invalid argument" ]]
}

@test "mounts: every option that must be there" {
    local plain="async atime defaults dev diratime exec iversion loud noiversion nolazytime norelatime nostrictatime private
        relatime rprivate rslave rw silent slave suid"
    local shown="dirsync lazytime noatime nodev nodiratime noexec nosuid ro strictatime sync shared rshared unbindable runbindable"
    config --arg all "$(xargs <<<"$plain $shown")" '
        def tmpfs(at; options): {destination: ("/m/" + at), type: "tmpfs", source: "tmpfs", options: options};
        .mounts += ($all | split(" ") | map(tmpfs(.; [.]))) + [tmpfs("remount"; []), tmpfs("remount"; ["remount", "ro"]),
            {destination: "/m/bind", source: "/etc", options: ["bind", "ro"]},
            {destination: "/m/rbind", source: "/etc", options: ["rbind", "nosuid"]}]'
    args grep -o ' /m/.*' /proc/self/mountinfo
    run_it
    [ "$status" -eq 0 ]
    # Where it is, of the mount, propagation (without a number), of the file system (of the tmpfs's).
    local table option
    table=$(sed -E 's/:[0-9]+//; s;/m/r?bind (.*) - .*;&_;; s/ - tmpfs tmpfs / /; s/ - .*_$//; s;^ /m/;;' <<<"$output")
    for option in $plain; do
        grep -qx "$option rw,relatime rw" <<<"$table"
    done
    diff - <(grep -vE "^($(xargs <<<"$plain" | tr ' ' '|')) " <<<"$table") <<'TABLE'
dirsync rw,relatime rw,dirsync
lazytime rw,relatime rw,lazytime
noatime rw,noatime rw
nodev rw,nodev,relatime rw
nodiratime rw,nodiratime,relatime rw
noexec rw,noexec,relatime rw
nosuid rw,nosuid,relatime rw
ro ro,relatime ro
strictatime rw rw
sync rw,relatime rw,sync
shared rw,relatime shared rw
rshared rw,relatime shared rw
unbindable rw,relatime unbindable rw
runbindable rw,relatime unbindable rw
remount ro,relatime ro
bind ro,relatime
rbind rw,nosuid,relatime
TABLE
}

# --- devices ---

@test "devices: those that every container has" {
    args sh -c 'for d in null zero full random urandom tty; do stat -c "%n %F %t:%T %a" /dev/$d; done
        for l in fd stdin stdout stderr ptmx; do readlink /dev/$l; done; stat -L -c "%t:%T" /dev/ptmx'
    run_it
    [ "$output" = "/dev/null character special file 1:3 666
/dev/zero character special file 1:5 666
/dev/full character special file 1:7 666
/dev/random character special file 1:8 666
/dev/urandom character special file 1:9 666
/dev/tty character special file 5:0 666
/proc/self/fd
/proc/self/fd/0
/proc/self/fd/1
/proc/self/fd/2
pts/ptmx
5:2" ]
}

@test "devices: of each type, with owner and mode, anywhere" {
    config '.linux.devices = [
        {"path": "/dev/c", "type": "c", "major": 10, "minor": 229, "fileMode": 432, "uid": 3, "gid": 4},
        {"path": "/dev/sub/u", "type": "u", "major": 1, "minor": 5},
        {"path": "/dev/b", "type": "b", "major": 7, "minor": 1, "fileMode": 384},
        {"path": "/tmp/p", "type": "p", "major": 1, "minor": 1, "fileMode": 292},
        {"path": "/dev/null", "type": "c", "major": 1, "minor": 3, "fileMode": 438, "uid": 0, "gid": 9}]'
    args sh -c 'stat -c "%n|%F|%t:%T|%a|%u:%g" /dev/c /dev/sub/u /dev/b /tmp/p /dev/null'
    run_it
    [ "$output" = "/dev/c|character special file|a:e5|660|3:4
/dev/sub/u|character special file|1:5|666|0:0
/dev/b|block special file|7:1|600|0:0
/tmp/p|fifo|0:0|444|0:0
/dev/null|character special file|1:3|666|0:9" ]
}

@test "devices: something else has the name" {
    echo text >"$BUNDLE/rootfs/etc/dev"
    config '.linux.devices = [{"path": "/etc/dev", "type": "c", "major": 1, "minor": 5}]'
    refused "device /etc/dev: something else has that name in the container" bailey run --bundle "$BUNDLE" x
    [ "$(cat "$BUNDLE/rootfs/etc/dev")" = text ]
    config_refused '.linux.devices[0].type = "x"' 'linux.devices[0].type: must be one of c, u, b and p, not "x"'
    config_refused 'del(.linux.devices[0].major)' 'linux.devices[0].major: is required'
}

@test "devices: /dev of the bundle's own is used as it is" {
    mkdir -p "$BATS_TEST_TMPDIR/dev"
    touch "$BATS_TEST_TMPDIR/dev/mine"
    config --arg d "$BATS_TEST_TMPDIR/dev" '.mounts |= map(select(.destination | startswith("/dev") | not))
        | .mounts += [{"destination": "/dev", "type": "bind", "source": $d, "options": ["bind"]}]'
    args ls /dev
    run_it
    [ "$output" = mine ]
    [ "$(ls "$BATS_TEST_TMPDIR/dev")" = mine ]
}

@test "default file systems are there" {
    args sh -c 'grep -c " /proc \| /sys \| /dev/pts \| /dev/shm " /proc/self/mountinfo; cat /proc/self/comm; ls /sys >/dev/null && echo sys'
    run_it
    [ "$output" = $'4\ncat\nsys' ]
}

@test "maskedPaths, readonlyPaths" {
    mkdir "$BUNDLE/rootfs/secret" "$BUNDLE/rootfs/fixed"
    echo text >"$BUNDLE/rootfs/secret/file"
    echo text >"$BUNDLE/rootfs/hidden"
    config '.linux.maskedPaths += ["/secret", "/hidden", "/none", "/proc/version"] | .linux.readonlyPaths += ["/fixed", "/none", "/proc/sys"]'
    args sh -c 'ls /secret; cat /hidden /proc/version; touch /fixed/x 2>&1; touch /fixed 2>&1; (echo x >/proc/sys/kernel/hostname) 2>&1; echo done'
    run_it
    [ "$(grep -c "Read-only file system" <<<"$output")" = 3 ]
    [ "${#lines[@]}" = 4 ]
    [ "${lines[3]}" = done ]
}

@test "descriptors: 0 to 2 and no others" {
    args sh -c 'ls /proc/1/fd'
    run bash -c 'exec 3</ 7</etc/passwd; exec "$@"' bash "$BAILEY" --root "$STATE" run --bundle "$BUNDLE" x
    [ "$(head -3 <<<"$output" | xargs)" = "0 1 2" ]
    [ "$(wc -l <<<"$output")" -le 4 ]
}

@test "linux.intelRdt that asks for nothing is no request" {
    config '.linux.intelRdt = {}'
    args true
    run_it
    [ "$status" -eq 0 ]
}
