# What Python's own modules ask of the system: os, mmap, signal, resource, fcntl, tempfile, time.
#: shell /usr/bin/python3
import errno
import fcntl
import mmap
import os
import resource
import select
import signal
import stat
import sys
import tempfile
import time

os.chdir(tempfile.mkdtemp())
with open("f", "wb") as f:
    f.write(b"0123456789" * 1000)
m = mmap.mmap(os.open("f", os.O_RDWR), 0)
m[:3] = b"abc"
m.flush()
print(open("f").read(5), len(m), m.find(b"9"))
anonymous = mmap.mmap(-1, 4096)
pid = os.fork()
if pid == 0:
    anonymous[:4] = b"kid!"
    os._exit(0)
os.waitpid(pid, 0)
print("shared with the child", anonymous[:4])
print(os.pread(os.open("f", 0), 3, 10), os.stat("f").st_size, oct(os.stat("f").st_mode))
os.makedirs("a/b/c")
os.symlink("../b", "a/b/link")
print(os.path.realpath("a/b/link/../b/c")[-6:], sorted(os.listdir("a/b")))
print([e.name for e in sorted(os.scandir("/etc/apt"), key=lambda e: e.name)])
for call, *args in ((os.rmdir, "a"), (os.unlink, "a"), (os.mkdir, "a"), (os.open, "none", 0), (os.readlink, "f"),
                    (os.listdir, "f"), (os.rename, "a", "a/b/x"), (os.open, "f/x", 0), (os.chdir, "f"), (os.close, 999),
                    (os.open, "x" * 300, 0), (os.kill, 99999, 0), (os.dup2, 998, 1)):
    try:
        call(*args)
        print("no error", call.__name__)
    except OSError as e:
        print(call.__name__, errno.errorcode[e.errno])
fd = os.open("f", os.O_RDWR)
fcntl.lockf(fd, fcntl.LOCK_EX, 10, 0)
pid = os.fork()
if pid == 0:
    try:
        fcntl.lockf(os.open("f", os.O_RDWR), fcntl.LOCK_EX | fcntl.LOCK_NB, 5, 2)
        os._exit(0)
    except OSError:
        os._exit(1)
print("locked for others", os.waitpid(pid, 0)[1] >> 8)
r, w = os.pipe()
print(fcntl.fcntl(w, fcntl.F_GETPIPE_SZ), fcntl.fcntl(r, fcntl.F_GETFL))
os.set_blocking(w, False)
n = 0
try:
    while True:
        n += os.write(w, b"x" * 4096)
except BlockingIOError:
    print("pipe holds", n)
print(select.select([r], [w], [], 0)[0] == [r], select.select([], [w], [], 0)[1])
print(resource.getrlimit(resource.RLIMIT_NOFILE), resource.getrusage(resource.RUSAGE_SELF).ru_utime >= 0)
alarms = []
signal.signal(signal.SIGALRM, lambda *a: alarms.append("alarm"))
signal.setitimer(signal.ITIMER_REAL, 0.05, 0.05)
while len(alarms) < 3:
    signal.pause()
signal.setitimer(signal.ITIMER_REAL, 0)
print(alarms[:3])
signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR1, signal.SIGUSR2})
os.kill(os.getpid(), signal.SIGUSR1)
print(signal.sigpending(), signal.sigwait({signal.SIGUSR1}))
os.kill(os.getpid(), signal.SIGUSR2)
info = signal.sigwaitinfo({signal.SIGUSR2})
print(info.si_signo, info.si_pid == os.getpid(), info.si_uid)
print(signal.sigtimedwait({signal.SIGUSR1}, 0.05))
print(os.sched_getscheduler(0), os.getpriority(os.PRIO_PROCESS, 0), os.cpu_count() == len(os.sched_getaffinity(0)))
print(os.getuid(), os.geteuid(), os.getgroups(), os.umask(0o22))
t = time.clock_gettime(time.CLOCK_MONOTONIC)
time.sleep(0.05)
print(0.05 <= time.clock_gettime(time.CLOCK_MONOTONIC) - t < 100, time.process_time() > 0, abs(time.time() - time.clock_gettime(0)) < 100)
print(len(os.urandom(16)), os.get_terminal_size() if sys.stdout.isatty() else "no terminal")
if hasattr(os, "memfd_create"):
    fd = os.memfd_create("m")
    os.write(fd, b"memfd")
    print(os.pread(fd, 10, 0), os.readlink(f"/proc/self/fd/{fd}"))
fd = os.eventfd(3) if hasattr(os, "eventfd") else -1
print("copy", os.close(fd) if fd >= 0 else None, os.copy_file_range(os.open("f", 0), os.open("g", os.O_CREAT | os.O_RDWR), 5000), os.stat("g").st_size)
os.setxattr("f", "user.test", b"value")
print(os.getxattr("f", "user.test"), os.listxattr("f"))
print(os.statvfs(".").f_namemax, os.path.ismount("/proc"))
os.mkfifo("fifo")
print(stat.filemode(os.stat("fifo").st_mode), stat.filemode(os.stat("/dev/null").st_mode), os.major(os.stat("/dev/null").st_rdev))
os.utime("f", ns=(1, 2))
print(os.stat("f").st_mtime_ns, os.access("f", os.X_OK), os.getcwd().startswith("/tmp/"))
sys.stdout.flush()
os.abort()
# An init that aborts: SIGABRT does nothing to it, and the library goes on to an instruction that kills.
#: status 139
