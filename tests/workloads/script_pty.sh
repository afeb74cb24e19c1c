# ptys made inside: script gives its command a terminal, with a session, a size and a foreground group.
#: normalise s/\r//; s,/dev/pts/[0-9]+,/dev/pts/N,
cd /tmp || exit 1
script -qec 'tty; test -t 0 && echo a terminal; stty -a | head -20' /dev/null </dev/null | grep -v 'speed\|^$'
script -qec 'exit 5' /dev/null </dev/null; echo "status $?"
script -qec 'kill -TERM $$' /dev/null </dev/null; echo "status $?"
script -qec 'stty rows 12 cols 34; stty size; ls -C /etc | head -3' typescript </dev/null
sed -n '2,5p' typescript
script -qec 'bash -ic "echo interactive \$-; jobs"' /dev/null </dev/null | grep -a interactive
script -qec 'set -m; sleep 0.1 & wait; echo $(ps -o stat= -p $$)' /dev/null </dev/null
for i in 1 2 3 4 5; do script -qec "echo pty $i" /dev/null </dev/null & wait $!; done
printf 'echo typed into a shell\nexit 3\n' | script -qec 'sh' /dev/null | grep -ac 'typed into'
python3 -c '
import os, pty, termios, tty
m, s = pty.openpty()
tty.setraw(s)
os.write(m, b"raw\x03\x1a")
print(os.read(s, 100))
a = termios.tcgetattr(s); a[3] |= termios.ICANON | termios.ECHO; a[0] |= termios.ICRNL; termios.tcsetattr(s, termios.TCSANOW, a)
os.write(m, b"one\x7f\x7fn line\rsecond\r")
print(os.read(s, 100), os.read(s, 100))
os.close(s)
print(os.isatty(m))
pid, fd = pty.fork()
if pid == 0:
    os.execvp("sh", ["sh", "-c", "trap \"echo hup >/tmp/hup; exit\" HUP; echo up; sleep 1000 & wait"])
print(os.read(fd, 10))
os.close(fd)
os.waitpid(pid, 0)
print(open("/tmp/hup").read())
'
