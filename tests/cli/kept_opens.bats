#!/usr/bin/env bats
# A file that a program opens again and again, and what the host does to it and its path meanwhile.
bats_require_minimum_version 1.5.0
load helpers

setup() {
    make_bundle
    host=$BATS_TEST_TMPDIR/host
    name=kept$$ # which nobody else has
    mkdir -p "$host"/{1,2}/dir "$BATS_TEST_TMPDIR/page"
    echo one >"$host/1/dir/$name"
    echo two >"$host/2/dir/$name"
    ln -s 1 "$host/data"
    echo . >"$BATS_TEST_TMPDIR/page/page"
    cp "$B/tests/cli/kept_reader" "$BUNDLE/rootfs/bin/kept_reader"
    config --arg h "$host" --arg p "$BATS_TEST_TMPDIR/page" '.mounts += [
        {destination: "/host", type: "bind", source: $h, options: ["bind", "ro"]},
        {destination: "/page", type: "bind", source: $p, options: ["bind", "rw"]}]'
    args /bin/kept_reader /host/data/dir/$name /page/page
}

teardown() {
    bailey delete --force c
}

# change LETTER EXPECTED command...: what is found after the command, which is run when the program is warm.
change() {
    local letter=$1 expected=$2
    shift 2
    wait_for said "$letter ready"
    "$@"
    printf %s "$letter" 1<>"$BATS_TEST_TMPDIR/page/page" # not shorter in between
    wait_for grep -q "^$letter [0-9]" "$BATS_TEST_TMPDIR/out"
    said "$letter $expected" || {
        grep "^$letter [0-9]" "$BATS_TEST_TMPDIR/out"
        return 1
    }
}

# Twice: the program looks in two ways.
both() { # two letters, expected, undoing, command...
    local letters=$1 expected=$2 undo=$3
    shift 3
    change "${letters:0:1}" "$expected" "$@"
    eval "$undo"
    change "${letters:1:1}" "$expected" "$@"
    eval "$undo"
}

swap() { # link to
    ln -s "$2" "$1.new"
    mv -T "$1.new" "$1"
}

replace() {
    echo new >"$host/new"
    mv "$host/new" "$host/1/dir/$name"
}

@test "what the host does to a file that is kept open" {
    bailey run -d --bundle "$BUNDLE" c </dev/null >"$BATS_TEST_TMPDIR/out" 2>&1 3>&-
    both ab "0 0 644 one" true true
    both cd "0 0 644 two" 'swap "$host/data" 1' swap "$host/data" 2
    both ef "0 0 644 new" 'echo one >"$host/1/dir/$name"' replace
    both gh "2 2 0 " 'mv "$host/1/other" "$host/1/dir"' mv "$host/1/dir" "$host/1/other"
    both ij "2 2 0 " 'echo one >"$host/1/dir/$name"' rm "$host/1/dir/$name"
    both kl "0 0 600 one" 'chmod 644 "$host/1/dir/$name"' chmod 600 "$host/1/dir/$name"
    both mn "0 0 644 more" 'echo one >"$host/1/dir/$name"' sh -c "echo more >'$host/1/dir/$name'"
    both op "0 0 644 two" 'swap "$host/1/dir" "../3"; rm -f "$host/1/dir"; mv "$host/3" "$host/1/dir"' \
        sh -c "mv '$host/1/dir' '$host/3'; ln -s ../2/dir '$host/1/dir'"
    run bailey debug counters --format json c
    [ "$(jq .calls.openat.posted <<<"$output")" -ge 500 ]
    [ "$(jq .calls.newfstatat.posted <<<"$output")" -ge 500 ]
}

# No process holds a file that was removed.
closed_everywhere() {
    ! ls -l /proc/[0-9]*/fd 2>/dev/null | grep -q "dir/$name (deleted)"
}

@test "what is no longer used is closed on the host, too" {
    bailey run -d --bundle "$BUNDLE" c </dev/null >"$BATS_TEST_TMPDIR/out" 2>&1 3>&-
    wait_for said "a ready"
    rm "$host/1/dir/$name"
    wait_for closed_everywhere
}
