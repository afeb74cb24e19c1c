#!/usr/bin/env bats
# The command line itself.
bats_require_minimum_version 1.5.0
load helpers

@test "without a command it helps" {
    run "$BAILEY"
    [ "$status" -eq 0 ]
    [[ "$output" == *"Usage: bailey"* ]]
    [[ "$output" == *"  run "* ]]
}

@test "--help, -h and help are the same" {
    help=$("$BAILEY" --help)
    [ "$help" = "$("$BAILEY" -h)" ]
    [ "$help" = "$("$BAILEY" help)" ]
}

@test "each command has help" {
    for command in $("$BAILEY" --help | sed -n "/^Commands:/,/^$/s/^  \([a-z]*\) .*/\1/p"); do
        run "$BAILEY" "$command" --help
        [ "$status" -eq 0 ]
        [[ "$output" == *"Usage: bailey [GLOBAL OPTION...] $command"* ]]
        [[ "$output" != *" "$'\n'* ]]
    done
}

@test "--version names version and spec" {
    run "$BAILEY" --version
    [ "$status" -eq 0 ]
    [[ "${lines[0]}" =~ ^"bailey version "[0-9]+\.[0-9]+\.[0-9]+ ]]
    [[ "${lines[1]}" =~ ^"spec: 1." ]]
}

@test "unknown commands and options are named" {
    refused 'unknown command "foo" (see bailey --help)' "$BAILEY" foo
    refused 'unknown option "--foo" (see bailey --help)' "$BAILEY" --foo run x
    refused 'unknown option "--foo=1" (see bailey run --help)' "$BAILEY" run --foo=1 x
    refused 'unknown option "-x" (see bailey run --help)' "$BAILEY" run -x x
}

@test "an option without its value" {
    refused 'option --bundle needs a value (DIR)' "$BAILEY" run --bundle
    refused 'option --root needs a value (DIR)' "$BAILEY" --root
}

@test "an option with a bad value" {
    refused 'option --log-format: must be text or json, not "yaml"' "$BAILEY" --log-format yaml run x
    refused 'option --debug: must be true or false, not "maybe"' "$BAILEY" --debug=maybe run x
}

@test "run takes exactly one id" {
    refused 'run needs a container id (see bailey run --help)' bailey_run
    refused 'run takes one argument, the id; there is also "b"' bailey_run a b
}

bailey_run() {
    bailey run "$@"
}

@test "--option value and --option=value are the same" {
    cd "$BATS_TEST_TMPDIR"
    mkdir one two
    "$BAILEY" spec --bundle one
    "$BAILEY" spec --bundle=two
    mkdir three
    "$BAILEY" spec -b three
    cmp one/config.json two/config.json
    cmp one/config.json three/config.json
}

@test "spec writes valid JSON, and not over a file" {
    "$BAILEY" spec --bundle "$BATS_TEST_TMPDIR"
    jq -e '.ociVersion and .process.args and .root.path == "rootfs"' "$BATS_TEST_TMPDIR/config.json"
    refused "$BATS_TEST_TMPDIR/config.json exists; remove it first" "$BAILEY" spec --bundle "$BATS_TEST_TMPDIR"
    refused "bundle /nonexistent: No such file or directory" "$BAILEY" spec --bundle /nonexistent
    refused 'spec takes no argument, but there is "x"' "$BAILEY" spec x
}

@test "spec is close to runc's" {
    command -v runc || skip "no runc"
    mkdir "$BATS_TEST_TMPDIR/r" "$BATS_TEST_TMPDIR/b"
    (cd "$BATS_TEST_TMPDIR/r" && runc spec)
    "$BAILEY" spec -b "$BATS_TEST_TMPDIR/b"
    for key in .mounts '.linux.namespaces|map(.type)-["cgroup"]|sort' '.linux.readonlyPaths' .process.cwd .process.args .root; do
        diff <(jq -S "$key" "$BATS_TEST_TMPDIR/r/config.json") <(jq -S "$key" "$BATS_TEST_TMPDIR/b/config.json")
    done
}

@test "--log gets JSON records, stderr the message" {
    log=$BATS_TEST_TMPDIR/log.json
    run --separate-stderr "$BAILEY" --log "$log" --log-format json --root "$STATE" run $'bad\x01"id'
    [ "$status" -eq 1 ]
    [ "$(jq -r .level "$log")" = error ]
    [ "$(jq -r .code "$log")" = USAGE ]
    [[ "$(jq -r .msg "$log")" == "container id "* ]]
    [[ "$(jq -r .time "$log")" =~ ^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:.]+Z$ ]]
    # A name cannot drive the terminal.
    [[ "$stderr" == *'bad\x01"id'* ]]
}

@test "a log that cannot be opened is an error" {
    refused "log file /nonexistent/log: No such file or directory" "$BAILEY" --log /nonexistent/log run x
}

@test "standard streams may be closed" {
    "$BAILEY" --version <&- >/dev/null 2>&-
    run "$BAILEY" run <&-
    [ "$status" -eq 1 ]
}

opens_it() {
    [ "$(cat "/proc/$pid/wchan" 2>/dev/null)" = wait_for_partner ]
}

# Starts a command that blocks in opening its log, as $pid; what it runs from is $exe.
blocked() { # command [words before it]...
    local log=$BATS_TEST_TMPDIR/log.$1
    mkfifo -m 666 "$log"
    "${@:2}" "$BAILEY" --log "$log" "$1" x 3>&- 2>/dev/null &
    pid=$!
    wait_for opens_it
    exe=$(readlink "/proc/$pid/exe")
}

unblock() {
    kill -9 "$pid"
    wait "$pid" || true
}

@test "what enters a container's namespaces runs from a read-only mount of the program" {
    local name
    for name in run create exec; do
        blocked "$name"
        [ "$exe" = / ]
        exec 9<"/proc/$pid/exe"
        unblock
        # Root, and with nothing running from it any more; still nothing can be done to it.
        # (Busy where another test runs it.)
        run ! dd if=/dev/zero of=/proc/self/fd/9 bs=1 count=1 conv=notrunc
        [[ "$output" == *"Read-only file system"* || "$output" == *"Text file busy"* ]]
        run ! chmod 700 /proc/self/fd/9
        [[ "$output" == *"Read-only file system"* ]]
        run python3 - <<'END'
import ctypes, os, struct
libc = ctypes.CDLL(None, use_errno=True)
def tried(name, *args):
    print(name, libc.syscall(*args), os.strerror(ctypes.get_errno()))
tried("open_tree", 428, 9, b"", 0x81001)
tried("mount_setattr", 442, 9, b"", 0x1000, struct.pack("QQQQ", 0, 1, 0, 0), 32)
tried("remount", 165, None, b"/proc/self/fd/9", None, 0x1020, None)
END
        exec 9<&-
        [ "$output" = "open_tree -1 Invalid argument
mount_setattr -1 Invalid argument
remount -1 Invalid argument" ]
    done
}

@test "without the right to mount, the program runs from sealed memory" {
    blocked run setpriv --bounding-set -sys_admin
    unblock
    [[ "$exe" == /memfd:bailey* ]]
}

@test "what enters no container runs as it is" {
    blocked state
    unblock
    [ "$exe" = "$(realpath "$BAILEY")" ]
}
