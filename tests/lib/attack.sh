# attack.sh: sourced by tests/attacks/*.sh, over bundle.sh.
# shellcheck shell=bash
. "$(dirname "${BASH_SOURCE[0]}")/bundle.sh"
[[ $RUNTIME = */bailey ]] || skip "for a runtime with a kernel of its own, not $RUNTIME"

# Seconds after which a command hangs, and after which what was killed does not end. Both are far more than a slow or busy
# machine takes.
hang=120
patience=60

# A sign of the host's state that no guest may change, and that the engines that run beside do not change.
host_state() {
    hostname
    sha256sum /etc/passwd /etc/hosts
    cat /proc/sys/kernel/hostname /proc/sys/kernel/core_pattern
    stat -c '%n %a %u %g %s' / /bin /etc
    ip -o link 2>/dev/null | cut -d' ' -f2 | grep -vE '^(veth|docker|br-|cni|podman)'
}

# The host pids below pid, itself too.
tree() { # pid
    local child
    echo "$1"
    for child in $(cat "/proc/$1"/task/*/children 2>/dev/null); do
        tree "$child"
    done
}

# The processes of a running sandbox by part: the guests run the gate, which nothing else does.
guests() { # pid of `bailey run`
    local pid
    for pid in $(tree "$1"); do
        [[ $(readlink "/proc/$pid/exe" 2>/dev/null) != *memfd:gate* ]] || echo "$pid"
    done
}

# Every process of the tree that is neither a guest nor the command itself.
helpers() { # pid of `bailey run`
    local pid
    for pid in $(tree "$1"); do
        [ "$pid" = "$1" ] || [[ $(readlink "/proc/$pid/exe" 2>/dev/null) = *memfd:gate* ]] || echo "$pid"
    done
}

# The same, each with the time it started, so that another process with a number that was free again is not taken for it.
named() { # pids...
    local pid start
    for pid in "$@"; do
        start=$(sed 's/.*) //' "/proc/$pid/stat" 2>/dev/null | cut -d' ' -f20)
        [ -z "$start" ] || echo "$pid:$start"
    done
}

# Of processes that `named` told of: those that live. A zombie is dead; its parent may still have to look.
living() { # names...
    local name
    for name in "$@"; do
        [ "$(named "${name%:*}")" != "$name" ] || grep -q '^State:.[ZX]' "/proc/${name%:*}/status" 2>/dev/null || echo "$name"
    done
}
gone() { [ -z "$(living "$@")" ]; }

kill_rest() { # names...
    local name
    for name in $(living "$@"); do
        kill -KILL "${name%:*}" 2>/dev/null
    done
}

# Waits until a command is true.
until_true() { # seconds command...
    local end=$((SECONDS + $1))
    shift
    until "$@"; do
        [ $SECONDS -lt $end ] || return 1
        sleep 0.02
    done
}

# Runs tests/attacks/NAME.c as a guest, which says 42 if all that it tried harmed itself only.
attack_from_within() { # name
    local bundle status
    scratch_open
    bundle=$(bundle_new b busybox) || die "no bundle"
    cp "$B/tests/attacks/$1" "$bundle/rootfs/test/$1"
    bundle_args "$bundle" "/test/$1"
    timeout 500 "$RUNTIME" run --bundle "$bundle" "$(container_id "${1//_/-}")" </dev/null
    status=$?
    [ $status = 42 ] || die "status $status"
}

# For attacks on the host's side: a state directory, a busybox bundle in $bundle, and $decoy, a directory of the host
# that no container was given, with a file "secret" that says "outside".
decoy_open() {
    scratch_open
    state=$scratch/state
    decoy=$scratch/decoy
    result=0
    mkdir "$decoy"
    echo outside >"$decoy/secret"
    bundle=$(bundle_new b busybox) || die "no bundle"
    decoy_state >"$scratch/decoy.before"
}

decoy_state() {
    find "$decoy" -printf '%P %y %m %U:%G %l\n' | sort
    find "$decoy" -type f -exec sha256sum {} +
}

bad() {
    echo "BAD: $*"
    result=1
}

bailey() {
    timeout -k 5 $hang "$RUNTIME" --root "$state" "$@"
}

# For what is to run until the test has done with it.
bailey_stays() {
    "$RUNTIME" --root "$state" "$@"
}

# Runs the bundle; what it says is in $scratch/out. Its status; a hang or a crash of the runtime is bad in any case.
try() { # [args of run]
    local status id
    id=$(container_id try)
    bailey run --bundle "$bundle" "$@" "$id" </dev/null >"$scratch/out" 2>&1
    status=$?
    # Killed, or asked to end by timeout(1).
    case $status in
    124 | 137 | 143)
        bad "it hangs"
        bailey delete --force "$id"
        ;;
    esac
    ! grep -qE 'Segmentation|stack smashing|AddressSanitizer' "$scratch/out" || bad "a crash: $(cat "$scratch/out")"
    return $status
}

# The last word of each: nothing of the host was reached, nothing is left. Ends the test.
conclude() {
    decoy_state >"$scratch/decoy.after"
    diff "$scratch/decoy.before" "$scratch/decoy.after" || bad "the host's files changed"
    [ -z "$(ls -A "$state" 2>/dev/null)" ] || bad "state is left: $(ls -A "$state")"
    exit $result
}
