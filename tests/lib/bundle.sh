# bundle.sh: sourced by the tests. Bundles over a shared, never written root file system, and runs in them.
# shellcheck shell=bash
#
# A test calls scratch_open once; what it mounts and makes is gone at its end, on whatever way it ends.
lib=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
repo=$(cd "$lib/../.." && pwd)
B=${B:-$repo/build}
RUNTIME=${RUNTIME:-$B/bailey}
REFERENCE=${REFERENCE:-runc}
BAILEY_TEST_RUN=${BAILEY_TEST_RUN:-$$}
export PATH=$PATH:/usr/sbin:/sbin

die() {
    echo "$*" >&2
    exit 1
}

skip() {
    echo "SKIP: $*"
    exit 77
}

# An id that says which run and test it belongs to, so that what it leaves can be found.
container_id() { # name
    echo "bt-$BAILEY_TEST_RUN-$(echo "$1" | tr -c 'a-zA-Z0-9\n' -)-$RANDOM"
}

scratch_close() {
    local status=$?
    trap - EXIT
    [ -n "${scratch:-}" ] || exit "$status"
    cd /
    local at
    for at in "$scratch"/*/rootfs; do
        mountpoint -q "$at" && umount "$at"
    done
    umount "$scratch" && rmdir "$scratch"
    exit "$status"
}

# Sets $scratch to an empty directory on a tmpfs of its own.
scratch_open() {
    mkdir -p "$B/test-run"
    scratch=$(mktemp -d "$B/test-run/${BAILEY_TEST_NAME:-test}.XXXXXXXX")
    mount -t tmpfs -o mode=755 bailey-test "$scratch"
    trap scratch_close EXIT
    trap 'exit 130' INT TERM
}

# Makes bundle $scratch/NAME over the given root (busybox, debian) and prints its path.
bundle_new() { # name rootfs
    local lower dir=$scratch/$1
    lower=$("$lib/rootfs.sh" "$2") || return 1
    mkdir -p "$dir"/{upper,work,rootfs}
    mount -t overlay -o "lowerdir=$lower,upperdir=$dir/upper,workdir=$dir/work" bailey-test "$dir/rootfs" || return 1
    mkdir -p "$dir/rootfs/test"
    printf '127.0.0.1 localhost\n' >"$dir/rootfs/etc/hosts"
    printf 'bailey-test\n' >"$dir/rootfs/etc/hostname"
    : >"$dir/rootfs/etc/resolv.conf"
    cp "$lib/config.json" "$dir/config.json"
    echo "$dir"
}

# Changes a bundle's config.json by a jq program.
bundle_set() { # dir jq-arguments...
    local dir=$1
    shift
    jq "$@" <"$dir/config.json" >"$dir/config.new" && mv "$dir/config.new" "$dir/config.json"
}

bundle_args() { # dir args...
    local dir=$1
    shift
    bundle_set "$dir" --args '.process.args = $ARGS.positional' -- "$@"
}

# Runs a bundle to its end with the caller's stdio; the status is the container's.
bundle_run() { # runtime dir id [options, of run or before it]
    local runtime=$1 dir=$2 id=$3 before=()
    shift 3
    case ${1:-} in
    --strace | --lanes=*)
        before=("$1")
        shift
        ;;
    esac
    "$runtime" "${before[@]}" run --bundle "$dir" "$@" "$id"
}
