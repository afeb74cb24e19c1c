#!/usr/bin/env bats
# bailey run: the life of a container, as the caller sees it.
bats_require_minimum_version 1.5.0
load helpers

setup() {
    make_bundle
}

run_it() {
    bailey run --bundle "$BUNDLE" "$@"
}

@test "stdout, stderr, stdin and the exit status are the program's" {
    args /bin/sh -c 'read line; echo "out $line"; echo err >&2; exit 7'
    run --separate-stderr run_it x <<<"hello"
    [ "$status" -eq 7 ]
    [ "$output" = "out hello" ]
    [ "$stderr" = err ]
    nothing_left
}

@test "a signal is 128 + n" {
    args /bin/sh -c 'sh -c "kill -9 \$\$"; echo $?'
    run --separate-stderr run_it x
    [ "$output" = 137 ]
}

@test "args, env, cwd, hostname and user" {
    config '.process.env = ["PATH=/bin", "A=b c"] | .process.cwd = "/tmp" | .hostname = "castle"
        | .process.user = {"uid": 12, "gid": 34, "additionalGids": [56, 78]}'
    args sh -c 'echo "$A|$(pwd)|$(hostname)|$(id -u)|$(id -g)|$(id -G)|$1"' sh '"quoted"'
    run run_it x
    [ "$status" -eq 0 ]
    [ "$output" = 'b c|/tmp|castle|12|34|34 56 78|"quoted"' ]
}

@test "without a hostname: that of the namespace it is in" {
    config 'del(.hostname)'
    args hostname
    run run_it x
    [ "$output" = "$(hostname)" ]
    command -v unshare nsenter || skip "no unshare"
    unshare --uts sh -c 'hostname joined; exec sleep 1000' 3>&- &
    local other=$!
    wait_for sh -c "nsenter --target $other --uts hostname | grep -q joined"
    config --arg path "/proc/$other/ns/uts" '(.linux.namespaces[] | select(.type == "uts")).path = $path'
    run run_it x
    kill "$other"
    [ "$output" = joined ]
}

@test "umask and rlimits" {
    config '.process.user.umask = 63 | .process.rlimits = [{"type": "RLIMIT_NOFILE", "soft": 50, "hard": 60}]'
    args sh -c 'umask; ulimit -n; ulimit -Hn'
    run run_it x
    [ "$output" = $'0077\n50\n60' ]
}

@test "a program that is not there, or not executable" {
    args /bin/nonexistent
    run --separate-stderr run_it x
    [ "$status" -ne 0 ]
    [ "$output" = "" ]
    [ "${#stderr_lines[@]}" -eq 1 ]
    [[ "$stderr" == *"/bin/nonexistent"* ]]
    nothing_left
    echo text >"$BUNDLE/rootfs/etc/text"
    args /etc/text
    run --separate-stderr run_it x
    [ "$status" -ne 0 ]
    [[ "$stderr" == *"/etc/text"* ]]
    nothing_left
}

@test "a second container with the id" {
    args sleep 1000
    run_it --pid-file "$BATS_TEST_TMPDIR/pid" same 3>&- &
    wait_for test -s "$BATS_TEST_TMPDIR/pid"
    run --separate-stderr run_it same
    [ "$status" -eq 1 ]
    [ "$stderr" = "bailey: a container with the id same exists already" ]
    kill -9 "$(cat "$BATS_TEST_TMPDIR/pid")"
    wait $! || true
    nothing_left
    args true
    run_it same
}

@test "the pid file holds the process that stands for the container" {
    args sh -c 'trap "exit 9" TERM; echo ready; while :; do sleep 0.1; done'
    run_it --pid-file "$BATS_TEST_TMPDIR/pid" x >"$BATS_TEST_TMPDIR/out" 3>&- &
    runtime=$!
    wait_for said ready
    pid=$(cat "$BATS_TEST_TMPDIR/pid")
    kill -TERM "$pid"
    wait $runtime && status=0 || status=$?
    [ "$status" -eq 9 ]
    [ ! -e "/proc/$pid" ]
}

@test "signals to bailey run reach the program" {
    args sh -c 'for s in HUP INT TERM USR1 USR2 WINCH QUIT; do trap "echo $s" $s; done; echo ready
        while :; do sleep 0.1; done'
    out=$BATS_TEST_TMPDIR/out
    "$BAILEY" --root "$STATE" run --bundle "$BUNDLE" --pid-file "$BATS_TEST_TMPDIR/pid" x >"$out" 3>&- &
    runtime=$!
    wait_for said ready
    for sig in HUP INT TERM USR1 USR2 WINCH QUIT; do
        kill -$sig $runtime
        wait_for said $sig
    done
    kill -9 "$(cat "$BATS_TEST_TMPDIR/pid")"
    wait $runtime && status=0 || status=$?
    [ "$status" -eq 137 ]
    nothing_left
}

@test "killing bailey run with SIGKILL ends the container" {
    args sh -c 'echo ready; exec sleep 1234'
    "$BAILEY" --root "$STATE" run --bundle "$BUNDLE" --pid-file "$BATS_TEST_TMPDIR/pid" x >"$BATS_TEST_TMPDIR/out" 3>&- &
    runtime=$!
    wait_for said ready
    kill -9 $runtime
    wait_for gone "$(cat "$BATS_TEST_TMPDIR/pid")"
    # The id can be used again.
    args true
    wait_for run_it x
}

@test "a terminal: it is one, has the caller's size, and ^C" {
    command -v script || skip "no script"
    config '.process.terminal = true'
    args sh -c 'tty; stty size; trap "echo interrupted; exit 3" INT; echo ready; while :; do sleep 0.1; done'
    run interrupted_when_ready "stty rows 33 cols 44; $BAILEY --root $STATE run --bundle $BUNDLE x; echo status=\$?"
    [[ "$output" == *"/dev/pts/0"* || "$output" == *"/dev/console"* ]]
    [[ "$output" == *"33 44"* ]]
    [[ "$output" == *"interrupted"* ]]
    [[ "$output" == *"status=3"* ]]
    nothing_left
}

@test "a terminal over the console socket" {
    command -v python3 || skip "no python3"
    config '.process.terminal = true | .process.consoleSize = {"height": 12, "width": 34}'
    args sh -c 'stty size; stty -a | grep -o ".onlcr"'
    cat >"$BATS_TEST_TMPDIR/recv.py" <<'PY'
import os, socket, sys
s = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
s.bind(sys.argv[1])
s.listen(1)
open(sys.argv[1] + ".ready", "w").close()
c, _ = s.accept()
name, fds, _, _ = socket.recv_fds(c, 4096, 1)
text = b""
try:
    while data := os.read(fds[0], 4096):
        text += data
except OSError:
    pass
print(name.decode(), repr(text.decode()))
PY
    socket=$BATS_TEST_TMPDIR/console
    python3 "$BATS_TEST_TMPDIR/recv.py" "$socket" >"$BATS_TEST_TMPDIR/out" 3>&- &
    receiver=$!
    wait_for test -e "$socket.ready"
    run_it --console-socket "$socket" x </dev/null
    wait $receiver
    # Lines end as those of a terminal, since the engine's own does nothing to them.
    grep -qE "^/dev/pts/[0-9]+ '12 34\\\\r\\\\n onlcr\\\\r\\\\n'$" "$BATS_TEST_TMPDIR/out"
}

@test "who reads the program's output sees the end when the program closes it" {
    args sh -c 'exec >&- 2>&- <&-; while [ ! -e /tmp/go ]; do sleep 0.1; done'
    bailey --log "$BATS_TEST_TMPDIR/log" run --detach --bundle "$BUNDLE" x </dev/null 2>&1 3>&- |
        timeout $LIMIT cat >"$BATS_TEST_TMPDIR/out"
    [ "${PIPESTATUS[1]}" -eq 0 ]
    bailey exec x true </dev/null >/dev/null 2>&1 3>&-
    bailey delete --force x 3>&-
}

@test "nobody stays with the output of create and exec --detach where there is a terminal" {
    command -v python3 || skip "no python3"
    config '.process.terminal = true'
    args sleep 1000
    cat >"$BATS_TEST_TMPDIR/master.py" <<'PY'
import socket, subprocess, sys
s = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
s.bind(sys.argv[1])
s.listen(1)
masters = []
for command in sys.argv[2:]:
    command = command.replace("SOCKET", sys.argv[1])
    p = subprocess.Popen(command, shell=True, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    if "--console-socket" in command:
        masters += socket.recv_fds(s.accept()[0], 4096, 1)[1]
    text, _ = p.communicate(timeout=100)
    assert p.returncode == 0 and text == b"", (command, text)
PY
    timeout $LIMIT python3 "$BATS_TEST_TMPDIR/master.py" "$BATS_TEST_TMPDIR/console" \
        "$BAILEY --root $STATE create --bundle $BUNDLE --console-socket SOCKET x" "$BAILEY --root $STATE start x" \
        "$BAILEY --root $STATE exec --tty --detach --console-socket SOCKET x sleep 1000" 3>&-
    bailey delete --force x 3>&-
}

@test "bind mounts, read-only ones, tmpfs, a read-only root" {
    mkdir "$BATS_TEST_TMPDIR/volume"
    echo content >"$BATS_TEST_TMPDIR/volume/file"
    config --arg v "$BATS_TEST_TMPDIR/volume" '.mounts += [
        {"destination": "/v", "type": "bind", "source": $v, "options": ["rbind"]},
        {"destination": "/etc/one", "type": "bind", "source": ($v + "/file"), "options": ["bind", "ro"]},
        {"destination": "/t", "type": "tmpfs", "source": "tmpfs", "options": ["size=1m"]}]'
    args sh -c 'cat /v/file /etc/one; echo new >/v/new; echo x >/t/x && cat /t/x
        (echo x >/etc/one) 2>/dev/null || echo "one is read-only"; (echo x >/x) 2>/dev/null || echo "root is read-only"'
    run run_it x
    [ "$output" = $'content\ncontent\nx\none is read-only\nroot is read-only' ]
    [ "$(cat "$BATS_TEST_TMPDIR/volume/new")" = new ]
    [ ! -e "$BUNDLE/rootfs/t/x" ]
}

@test "the caller's own descriptors keep their owner and mode" {
    # A container's root must not be able to change the host's device or file behind its stdin.
    mknod -m 666 "$BATS_TEST_TMPDIR/null" c 1 3
    echo text >"$BATS_TEST_TMPDIR/file"
    chmod 644 "$BATS_TEST_TMPDIR/file"
    gcc -static -o "$BUNDLE/rootfs/bin/probe" -x c - <<'C'
#include <sys/stat.h>
#include <unistd.h>
int main(void)
{
    int taken = 0;
    for (int fd = 0; fd < 3; fd += 2)
        taken += !fchmod(fd, 0777) + !fchown(fd, 1, 1) + !fchmod(fd, 0) + !futimens(fd, NULL);
    return taken;
}
C
    args sh -c 'probe; echo $?; chmod 777 /proc/self/fd/0; chown 1:1 /proc/self/fd/0'
    config '.process.capabilities |= map_values(. + ["CAP_FOWNER", "CAP_CHOWN", "CAP_DAC_OVERRIDE"])'
    run_it x <"$BATS_TEST_TMPDIR/null" >"$BATS_TEST_TMPDIR/out" 2>"$BATS_TEST_TMPDIR/file" || true
    [ "$(head -1 "$BATS_TEST_TMPDIR/out")" = 0 ]
    [ "$(stat -c %a:%u "$BATS_TEST_TMPDIR/null" "$BATS_TEST_TMPDIR/file")" = $'666:0\n644:0' ]
}

@test "devices and links in /dev" {
    args sh -c 'for n in null zero full random urandom tty; do stat -c "%F %t:%T %a" /dev/$n; done
        echo gone >/dev/null; ls /dev/fd/0 >/dev/null && echo fd'
    run run_it x
    [ "${lines[0]}" = "character special file 1:3 666" ]
    [ "${lines[5]}" = "character special file 5:0 666" ]
    [ "${lines[6]}" = fd ]
}

@test "mount places that leave the root are taken inside it or refused" {
    decoy=$BATS_TEST_TMPDIR/decoy
    mkdir "$decoy"
    rmdir "$BUNDLE/rootfs/proc"
    ln -s "$decoy" "$BUNDLE/rootfs/proc"
    refused 'config.json: mounts[0] (/proc): not an ordinary directory in the container' run_it x
    rm "$BUNDLE/rootfs/proc"
    mkdir "$BUNDLE/rootfs/proc"
    rmdir "$BUNDLE/rootfs/dev"
    ln -s "../../../../../../../../..$decoy" "$BUNDLE/rootfs/dev"
    run run_it x
    [ "$status" -ne 0 ]
    rm "$BUNDLE/rootfs/dev"
    mkdir "$BUNDLE/rootfs/dev"
    ln -s "../../../../../../../../..$decoy" "$BUNDLE/rootfs/mnt"
    config '.mounts += [{"destination": "/mnt/a/b", "type": "tmpfs"}]'
    args true
    run_it x
    [ -z "$(ls -A "$decoy")" ]
}

@test "file systems that are not offered" {
    config '.mounts += [{"destination": "/d", "type": "debugfs"}]'
    refused 'config.json: mounts[7] (/d): file system type "debugfs" is not supported' run_it x
}

@test "--strace logs each call, decoded" {
    args sh -c 'echo hello'
    run --separate-stderr bailey --strace --log "$BATS_TEST_TMPDIR/log" --log-format json run --bundle "$BUNDLE" x
    [ "$status" -eq 0 ]
    [ "$output" = hello ]
    jq -r .msg "$BATS_TEST_TMPDIR/log" | grep -F 'write(1, "hello\n", 6) = 6'
}

@test "the program is as nice as its caller" {
    args /bin/sh -c 'set -- $(cat /proc/self/stat); echo "${19}"'
    run nice -n 5 "$BAILEY" --root "$STATE" run --bundle "$BUNDLE" c
    [ "$status" -eq 0 ]
    [ "$output" = "$(nice -n 5 nice)" ]
}
