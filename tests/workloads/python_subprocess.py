# Subprocesses in every way that the module has.
#: shell /usr/bin/python3
import os
import signal
import subprocess as sp
import sys
import time

print(sp.run(["echo", "plain"], capture_output=True, text=True))
print(sp.run("echo $0 to stderr >&2; exit 3", shell=True, capture_output=True))
print(sp.run(["tr", "a-z", "A-Z"], input="upper", capture_output=True, text=True).stdout)
big = os.urandom(1) * 3_000_000
print(len(sp.run(["cat"], input=big, capture_output=True).stdout))
try:
    sp.run(["sleep", "1000"], timeout=0.1)
except sp.TimeoutExpired as e:
    print("timed out", e.cmd)
try:
    sp.run(["/nonexistent"])
except FileNotFoundError as e:
    print(e)
try:
    sp.run(["/etc/passwd"])
except PermissionError as e:
    print(e)
try:
    sp.run(["false"], check=True)
except sp.CalledProcessError as e:
    print(e)
p = sp.Popen(["sleep", "1000"])
print(p.poll())
p.send_signal(signal.SIGTERM)
print(p.wait(), p.poll())
p = sp.Popen(["sleep", "1000"], start_new_session=True)
print(os.getsid(p.pid) == p.pid, os.getpgid(p.pid) == p.pid)
os.killpg(p.pid, signal.SIGKILL)
print(p.wait())
a = sp.Popen(["seq", "100000"], stdout=sp.PIPE)
b = sp.Popen(["grep", "-c", "9"], stdin=a.stdout, stdout=sp.PIPE)
a.stdout.close()
print(b.communicate()[0], a.wait())
a = sp.Popen(["yes"], stdout=sp.PIPE)
print(a.stdout.readline())
a.stdout.close()
print(a.wait())
r, w = os.pipe()
os.set_inheritable(w, True)
sp.run(["sh", "-c", f"echo inherited >&{w}"], pass_fds=[w])
os.close(w)
print(os.read(r, 100))
print(sp.run(["sh", "-c", "ls /proc/self/fd | wc -l"], capture_output=True).stdout)
print(sp.run(["env"], env={"A": "1", "B": "2"}, capture_output=True).stdout)
print(sp.run(["pwd"], cwd="/usr/lib", capture_output=True).stdout)
print(sp.run(["id", "-u"], user=1234, group=5678, extra_groups=[9], capture_output=True).stdout)
print(sp.run(["id"], user=1234, group=5678, extra_groups=[9], capture_output=True).stdout)
print(sp.run(["sh", "-c", "umask"], umask=0o027, capture_output=True).stdout)
print(sp.run(["cat"], stdin=sp.DEVNULL, preexec_fn=lambda: os.nice(5), capture_output=True).returncode)
print(sp.run([sys.executable, "-c", "import os; print(os.nice(0))"], preexec_fn=lambda: os.nice(5), capture_output=True).stdout)
for _ in range(100):
    assert sp.run(["true"]).returncode == 0
print("100 times")
pids = [os.posix_spawn("/bin/true", ["true"], {}) for _ in range(50)]
print(sum(os.waitpid(p, 0)[1] for p in pids))
print(os.waitstatus_to_exitcode(os.system("kill -ABRT $$")), sp.getstatusoutput("exit 5"))
pid = os.fork()
if pid == 0:
    os.execv("/bin/sh", ["sh", "-c", "exit 66"])
print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
pid = os.fork()
if pid == 0:
    os._exit(5)
print(os.waitstatus_to_exitcode(os.wait4(pid, 0)[1]))
p = sp.Popen(["sleep", "0.1"])
fd = os.pidfd_open(p.pid)
import select
print(select.select([fd], [], [], 100)[0] == [fd], os.waitid(os.P_PIDFD, fd, os.WEXITED).si_status)
sys.exit(13)
#: status 13
