# systemd.sh: sourced by tests. A real systemd as the first process of namespaces of its own, with a cgroup of the host's as the
# root of its hierarchies, and no unit but a target.
# shellcheck shell=bash
# shellcheck source=tests/lib/cgroups.sh
. "$(dirname "${BASH_SOURCE[0]}")/cgroups.sh"

# The hierarchies of this host: their mount points.
systemd_hierarchies() {
    awk '$3 == "cgroup" || $3 == "cgroup2" {print $2}' /proc/self/mounts | grep '^/sys/fs/cgroup'
}

# Makes NAME in each hierarchy, moves this process there, and becomes systemd. MODE is v2, or host: as the host has it.
systemd_become() { # name mode
    local dir file name=$1 mode=$2
    for dir in $(systemd_hierarchies); do
        mkdir -p "$dir/$name"
        for file in cpuset.cpus cpuset.mems; do
            [ ! -f "$dir/$file" ] || cat "$dir/$file" >"$dir/$name/$file"
        done
        echo $BASHPID >"$dir/$name/cgroup.procs"
    done
    # shellcheck disable=SC2016
    container=bailey-test exec unshare -C -m -p -i -u -f --kill-child --propagation private bash -ec '
        hierarchies=$(awk "\$3 == \"cgroup\" {print \$2, \$4}" /proc/self/mounts)
        umount -l -R /sys/fs/cgroup
        if [ "$0" = v2 ]; then
            mount -t cgroup2 bailey-test /sys/fs/cgroup
        else
            mount -t tmpfs bailey-test /sys/fs/cgroup
            while read -r at options; do
                mkdir "$at"
                mount -t cgroup -o "none,${options##*relatime,}" bailey-test "$at" 2>/dev/null ||
                    mount -t cgroup -o "${options##*relatime,}" bailey-test "$at"
            done <<<"$hierarchies"
            mkdir -p /sys/fs/cgroup/unified
            mount -t cgroup2 bailey-test /sys/fs/cgroup/unified
        fi
        mount -t tmpfs bailey-test /run
        mount -t proc proc /proc
        mkdir -p /run/systemd/system
        printf "[Unit]\nDefaultDependencies=no\n" >/run/systemd/system/bailey-test.target
        mount -o remount,ro,bind /
        exec /lib/systemd/systemd --unit=bailey-test.target --log-target=console --show-status=0
    ' "$mode"
}

# Starts one in the background and waits for it: sets SYSTEMD_PID, for nsenter.
systemd_up() { # name mode log
    (systemd_become "$1" "$2") >"$3" 2>&1 </dev/null 3>&- &
    local outer=$! end=$((SECONDS + 100))
    while [ $SECONDS -lt $end ]; do
        # shellcheck disable=SC2034
        SYSTEMD_PID=$(pgrep -P "$outer" -x systemd || true)
        # What waits for it outside is no process of the cgroup whose controllers it hands on.
        if [ -n "$SYSTEMD_PID" ] && is_v2_alone; then echo "$outer" >/sys/fs/cgroup/cgroup.procs; fi
        [ -z "$SYSTEMD_PID" ] || [ "$(systemd_in "$SYSTEMD_PID" systemctl is-active bailey-test.target)" != active ] || return 0
        sleep 0.05
    done
    return 1
}

# Runs a command beside it. Where version 2 stands alone it is mounted with nsdelegate as a rule: then what is to be moved
# within a cgroup namespace must be in it before.
systemd_in() { # pid command...
    local pid=$1
    shift
    (
        ! is_v2_alone ||
            echo $BASHPID >"/sys/fs/cgroup$(sed -n 's/^0:://p' "/proc/$pid/cgroup")/cgroup.procs"
        exec nsenter -t "$pid" -m -p -C -i -u -- "$@"
    )
}

systemd_down() { # name pid
    local dir end=$((SECONDS + 100))
    kill -KILL "$2" 2>/dev/null
    while [ $SECONDS -lt $end ]; do
        kill -0 "$2" 2>/dev/null || break
        sleep 0.05
    done
    for dir in $(systemd_hierarchies); do
        [ ! -d "$dir/$1" ] || find "$dir/$1" -depth -type d -exec rmdir {} + 2>/dev/null
    done
}
