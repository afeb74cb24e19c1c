#!/usr/bin/env bats
# linux.namespaces, as the host sees them of the porter: new, inherited, by path; and that with any of them a container
# lives and ends as one thing.
bats_require_minimum_version 1.5.0
load helpers

KINDS="pid network mount ipc uts cgroup"

setup() {
    make_bundle
    HELPERS=()
}

teardown() {
    local pid
    bailey delete --force x 3>&- || true
    for pid in "${HELPERS[@]}"; do
        kill -9 "$pid" 2>/dev/null || true
    done
}

file_of() { # kind
    case $1 in
    network) echo net ;;
    mount) echo mnt ;;
    *) echo "$1" ;;
    esac
}

# The namespaces that config.json lists, all new but for those with a path.
namespaces() { # kind[=path]...
    config '.linux.namespaces = ($ARGS.positional | map(split("=") | {type: .[0]} + if .[1] then {path: .[1]} else {} end))' \
        --args -- "$@"
}

same() { # kind pid pid
    [ "$(readlink "/proc/$2/ns/$(file_of "$1")")" = "$(readlink "/proc/$3/ns/$(file_of "$1")")" ]
}

# All processes of the host below the porter, and it.
processes() { # porter
    local child
    echo "$1"
    for child in $(cat "/proc/$1/task/$1/children" 2>/dev/null); do
        processes "$child"
    done
}

# A process in new namespaces; sets $HELPER to its pid.
helper() { # options of unshare...
    # exec'd by unshare's child, so that it is pid 1 where there is a new pid namespace
    unshare "$@" --fork --kill-child sleep 1000 </dev/null >/dev/null 2>&1 3>&- &
    HELPERS+=($!)
    disown
    wait_for sh -c "[ -n \"\$(cat /proc/$!/task/$!/children)\" ]"
    HELPER=$(tr -d ' ' <"/proc/$!/task/$!/children")
    wait_for sh -c "grep -q '^Name:.sleep' /proc/$HELPER/status"
}

@test "namespaces: those that are listed are new" {
    local kind pid
    # shellcheck disable=SC2086
    namespaces $KINDS
    args sleep 1000
    create x
    pid=$(bailey state x | jq .pid)
    for kind in $KINDS; do
        ! same "$kind" "$pid" $$
    done
    same user "$pid" $$
    [ "$(awk '/^NSpid/ { print $NF }' "/proc/$pid/status")" = 1 ]
}

@test "namespaces: those that are not listed are the runtime's" {
    local kind pid
    namespaces
    config 'del(.hostname) | del(.linux.maskedPaths) | del(.linux.readonlyPaths)'
    args sh -c 'echo $$; trap "exit 9" TERM; while :; do sleep 0.1; done'
    create x
    pid=$(bailey state x | jq .pid)
    for kind in $KINDS user; do
        same "$kind" "$pid" $$
    done
    bailey start x
    wait_for said 1
    for kind in $KINDS; do
        same "$kind" "$pid" $$
    done
    [ "$(readlink "/proc/$pid/cwd")" = / ]
    [ "$(bailey exec x sh -c 'kill -0 1 && echo here' 3>&-)" = here ]
    kill -TERM "$pid"
    wait_for status_is x stopped
    [ "$(bailey state x | jq .exitStatus)" = 9 ]
}

@test "namespaces: without a pid namespace of its own a container still ends with its porter, and with its keep" {
    local pid all
    namespaces mount
    config 'del(.hostname)'
    args sh -c 'sleep 1000 & sleep 1000'
    create x
    bailey start x
    pid=$(bailey state x | jq .pid)
    bailey exec --detach x sh -c 'sleep 1000 & sleep 1000' </dev/null >/dev/null 2>&1 3>&-
    wait_for sh -c "[ \$('$BAILEY' --root '$STATE' ps -f json x | jq length) -ge 4 ]"
    all="$(processes "$pid") $(bailey ps -f json x | jq '.[]')"
    [ "$(wc -w <<<"$all")" -ge 5 ]
    kill -KILL "$pid"
    wait_for status_is x stopped
    [ "$(bailey state x | jq .exitStatus)" = 137 ]
    # shellcheck disable=SC2086
    wait_for gone $all
    bailey delete x
    create x
    bailey start x
    pid=$(bailey state x | jq .pid)
    all=$(processes "$pid")
    kill -KILL "$(jq .keep "$STATE/x/state.json")"
    # shellcheck disable=SC2086
    wait_for gone $all
    status_is x stopped
}

@test "namespaces: a user namespace of its own, and the runtime's pid namespace" {
    local pid all
    chown -R 100000:100000 "$BUNDLE/rootfs"
    namespaces mount user
    config 'del(.hostname) | .linux += {uidMappings: [{containerID: 0, hostID: 100000, size: 65536}],
        gidMappings: [{containerID: 0, hostID: 100000, size: 65536}]}'
    args sh -c 'id -u; sleep 1000'
    create x
    bailey start x
    wait_for said 0
    pid=$(bailey state x | jq .pid)
    same pid "$pid" $$
    same network "$pid" $$
    ! same user "$pid" $$
    [ "$(bailey exec x id -u 3>&-)" = 0 ]
    all=$(processes "$pid")
    kill -KILL "$pid"
    # shellcheck disable=SC2086
    wait_for gone $all
}

@test "namespaces: by path" {
    local kind
    helper --pid --net --mount --ipc --uts --cgroup
    for kind in $KINDS; do
        # shellcheck disable=SC2046
        namespaces $(for k in $KINDS; do [ "$k" = "$kind" ] && echo "$k=/proc/$HELPER/ns/$(file_of "$k")" || echo "$k"; done)
        config 'del(.hostname)'
        args sh -c 'echo in; sleep 1000'
        create x
        pid=$(bailey state x | jq .pid)
        same "$kind" "$pid" "$HELPER"
        bailey start x
        wait_for said in
        same "$kind" "$pid" "$HELPER"
        [ "$(bailey exec x echo exec 3>&-)" = exec ]
        bailey delete --force x
    done
}

@test "namespaces: what the joined namespaces hold is the container's" {
    helper --net --uts --mount --propagation private
    nsenter -t "$HELPER" -u hostname from-outside
    nsenter -t "$HELPER" -n ip link set lo up
    mkdir "$BUNDLE/volume"
    nsenter -t "$HELPER" -m mount -t tmpfs volume "$BUNDLE/volume"
    nsenter -t "$HELPER" -m touch "$BUNDLE/volume/of-that-namespace"
    namespaces pid ipc "network=/proc/$HELPER/ns/net" "uts=/proc/$HELPER/ns/uts" "mount=/proc/$HELPER/ns/mnt"
    config 'del(.hostname) | .mounts += [{"destination": "/v", "source": "volume", "options": ["bind"]}]'
    args sh -c 'hostname; ls /v; cat /proc/net/dev | grep -c :'
    create x
    bailey start x
    wait_for status_is x stopped
    [ "$(xargs <"$BATS_TEST_TMPDIR/out")" = "from-outside of-that-namespace 1" ]
}

@test "namespaces: the end of a pid namespace that was joined ends the container" {
    helper --pid
    namespaces mount ipc uts network "pid=/proc/$HELPER/ns/pid"
    args sh -c 'sleep 1000 & sleep 1000'
    create x
    bailey start x
    all=$(processes "$(bailey state x | jq .pid)")
    kill -KILL "$HELPER"
    wait_for status_is x stopped
    # shellcheck disable=SC2086
    wait_for gone $all
}

@test "namespaces: a path that is not there, or of another type" {
    local kind other
    namespaces uts=/dev/null
    refused "linux.namespaces: /dev/null is no uts namespace" bailey run --bundle "$BUNDLE" x
    for kind in $KINDS user; do
        [ "$kind" != user ] || config '.linux |= . + {uidMappings: [{containerID: 0, hostID: 0, size: 1}], gidMappings: [{containerID: 0, hostID: 0, size: 1}]}'
        namespaces "$kind=/nonexistent"
        config 'del(.hostname)'
        refused "linux.namespaces: the $kind namespace /nonexistent: No such file or directory" bailey run --bundle "$BUNDLE" x
        other=$([ "$kind" = ipc ] && echo uts || echo ipc)
        namespaces "$kind=/proc/self/ns/$other"
        refused "linux.namespaces: /proc/self/ns/$other is no $kind namespace" bailey run --bundle "$BUNDLE" x
    done
    namespaces pid=relative
    refused 'config.json: linux.namespaces[0].path: must be an absolute path, not "relative"' bailey run --bundle "$BUNDLE" x
    namespaces pid uts pid
    refused 'config.json: linux.namespaces[2].type: "pid" is listed twice' bailey run --bundle "$BUNDLE" x
}

@test "namespaces: the pid in createContainer's state is what the hook's namespace has" {
    namespaces mount
    config --arg out "$BATS_TEST_TMPDIR/seen" 'del(.hostname) | .hooks.createContainer = [{"path": "/bin/sh", "args": ["sh", "-c", ("cat >" + $out)]}]'
    args true
    create x
    [ "$(jq .pid "$BATS_TEST_TMPDIR/seen")" = "$(bailey state x | jq .pid)" ]
    bailey delete x
    helper --pid
    namespaces mount "pid=/proc/$HELPER/ns/pid"
    create x
    pid=$(bailey state x | jq .pid)
    [ "$(jq .pid "$BATS_TEST_TMPDIR/seen")" = "$(awk '/^NSpid/ { print $NF }' "/proc/$pid/status")" ]
}

@test "namespaces: a terminal, without a pid namespace of its own" {
    command -v script || skip "no script"
    namespaces mount
    config 'del(.hostname) | .process.terminal = true'
    args sh -c 'trap "got=1; echo interrupted" INT; echo ready; n=0; while [ $n -lt 100 ] && [ -z "$got" ]; do sleep 0.1; n=$((n + 1)); done; tty; exit 5'
    run interrupted_when_ready "$BAILEY --root $STATE run --bundle $BUNDLE x; echo status=\$?"
    echo "$output" >&2
    [ "$(grep -c interrupted <<<"$output")" = 1 ]
    [[ "$output" == *"/dev/pts/0"* ]]
    [[ "$output" == *"status=5"* ]]
}

@test "none can be made inside, or gone to: EPERM, also with CAP_SYS_ADMIN, and /proc says that there are none" {
    ln -s busybox "$BUNDLE/rootfs/bin/unshare"
    ln -s busybox "$BUNDLE/rootfs/bin/nsenter"
    config '.process.capabilities |= map_values(. + ["CAP_SYS_ADMIN"])'
    args sh -c 'exec 2>&1; cat /proc/sys/user/max_user_namespaces; unshare -U true; unshare -m true; nsenter -t 1 -n true'
    run bailey run --bundle "$BUNDLE" x
    echo "$output"
    [ "${lines[0]}" = 0 ]
    [[ "${lines[1]}" == *"peration not permitted" ]]
    [[ "${lines[2]}" == *"peration not permitted" ]]
    [[ "${lines[3]}" == *"peration not permitted" ]]
}
