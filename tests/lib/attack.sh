# attack.sh: sourced by tests/attacks/*.sh, over bundle.sh.
# shellcheck shell=bash
. "$(dirname "${BASH_SOURCE[0]}")/bundle.sh"
[[ $RUNTIME = */bailey ]] || skip "for a runtime with a kernel of its own, not $RUNTIME"

# A sign of the host's state that no guest may change.
host_state() {
    hostname
    sha256sum /etc/passwd /etc/hosts
    cat /proc/sys/kernel/hostname /proc/sys/kernel/core_pattern
    stat -c '%n %a %u %g %s' / /bin /etc
    ip -o link 2>/dev/null | wc -l
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

# Waits until a command is true.
until_true() { # seconds command...
    local end=$((SECONDS + $1))
    shift
    until "$@"; do
        [ $SECONDS -lt $end ] || return 1
        sleep 0.02
    done
}
