#!/bin/bash
# workload.sh FILE: runs a workload in the same bundle under $REFERENCE and under $RUNTIME, and compares standard output
# and exit status. Lines `#: key value` (or `//: key value`) in FILE say how:
#   rootfs busybox|debian    default debian
#   shell PATH [ARG...]      what runs the file, default /bin/bash
#   args A B ...             what is run instead; the file then only holds these lines
#   with PATH:GUESTPATH      a file or tree put into the root first; PATH is in the repository, or @gobin/NAME
#   config JQ                a change of config.json
#   normalise SED            applied to both outputs (sed -E)
#   sort                     the order of lines does not matter
#   status N                 the exit status, default 0
#   stderr                   standard error is compared too, mixed in as it comes
#   terminal                 on a terminal
#   timeout SECONDS          read by run.sh
set -uo pipefail
. "$(dirname "$0")/bundle.sh"
file=$1
name=$(basename "$file" | sed 's/\..*//')

option() { # key: all its values, one a line
    sed -nE "s;^(#|//): $1( (.*))?\$;\\3;p" "$file"
}

has() {
    grep -qE "^(#|//): $1( |\$)" "$file"
}

put_in() { # bundle
    local pair from to
    while read -r pair; do
        from=${pair%%:*} to=$1/rootfs${pair#*:}
        case $from in
        @*) from=$("$lib/rootfs.sh" "$(echo "${from#@}" | cut -d/ -f1)")/${from#*/} ;;
        *) from=$repo/$from ;;
        esac
        mkdir -p "$(dirname "$to")"
        cp -r "$from" "$to" || return 1
    done < <(option with)
}

prepare() { # bundle
    local change shell
    put_in "$1" || return 1
    cp "$file" "$1/rootfs/test/script"
    shell=$(option shell)
    if has args; then
        # shellcheck disable=SC2046
        eval "bundle_args \"\$1\" $(option args)"
    else
        # shellcheck disable=SC2086
        bundle_args "$1" ${shell:-/bin/bash} /test/script
    fi
    while read -r change; do
        bundle_set "$1" "$change" || return 1
    done < <(option config)
    ! has terminal || bundle_set "$1" '.process.terminal = true'
}

run_in() { # runtime bundle label
    local err=$scratch/$3.err
    has stderr && err=/dev/stdout
    if has terminal; then
        script -qefc "'$1' run --bundle '$2' $(container_id "$name")" /dev/null </dev/null
    else
        bundle_run "$1" "$2" "$(container_id "$name")" </dev/null 2>"$err"
    fi
}

normalise() {
    local program sort=cat
    program=$(option normalise)
    has sort && sort="sort"
    sed -E "$program" | LC_ALL=C $sort
}

one() { # runtime label: leaves $scratch/LABEL.{raw,out,status}
    local bundle
    bundle=$(bundle_new "$2" "${rootfs:-debian}") || die "no bundle"
    prepare "$bundle" || die "the bundle could not be made"
    local begin=$EPOCHREALTIME
    run_in "$1" "$bundle" "$2" >"$scratch/$2.raw"
    echo $? >"$scratch/$2.status"
    echo "$2: $1: status $(cat "$scratch/$2.status"), $(bc <<<"$EPOCHREALTIME - $begin") s"
    normalise <"$scratch/$2.raw" >"$scratch/$2.out"
    umount "$bundle/rootfs"
}

scratch_open
rootfs=$(option rootfs)
expected=$(option status)
one "$REFERENCE" reference
one "$RUNTIME" subject
for label in reference subject; do
    [ -s "$scratch/$label.err" ] && echo "--- stderr of $label (end)" && tail -n 40 "$scratch/$label.err"
done
result=0
if [ "$(cat "$scratch/reference.status")" != "${expected:-0}" ]; then
    echo "the reference ended with another status than ${expected:-0}; its output ends:"
    tail -n 20 "$scratch/reference.raw"
    result=1
fi
cmp -s "$scratch/reference.status" "$scratch/subject.status" || result=1
if ! cmp -s "$scratch/reference.out" "$scratch/subject.out"; then
    echo "--- output differs"
    diff -u "$scratch/reference.out" "$scratch/subject.out" | head -n 100
    result=1
fi
if [ ! -s "$scratch/reference.out" ]; then
    echo "the reference printed nothing: this compares nothing"
    result=1
fi
exit $result
