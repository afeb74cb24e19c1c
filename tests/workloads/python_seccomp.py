# libseccomp's filters on calls that need no kernel of ours (memory, waits, clocks), put on a program with threads, its
# children and what these execute.
#: shell /usr/bin/python3
import ctypes
import errno
import mmap
import os
import subprocess
import threading
import time

ALLOW, ERRNO = 0x7FFF0000, 0x00050000
MMAP, MUNMAP, MADVISE, YIELD, FUTEX, CLOCK = 9, 11, 28, 24, 202, 228
lib = ctypes.CDLL("libseccomp.so.2", use_errno=True)
libc = ctypes.CDLL(None, use_errno=True)
lib.seccomp_init.restype = ctypes.c_void_p


class Compare(ctypes.Structure):
    _fields_ = [("arg", ctypes.c_uint), ("op", ctypes.c_int), ("a", ctypes.c_uint64), ("b", ctypes.c_uint64)]


def load(rules):
    ctx = ctypes.c_void_p(lib.seccomp_init(ALLOW))
    for action, call, conditions in rules:
        array = (Compare * max(1, len(conditions)))(*[Compare(*c) for c in conditions])
        assert lib.seccomp_rule_add_array(ctx, action, call, len(conditions), array) == 0
    assert lib.seccomp_load(ctx) == 0
    lib.seccomp_release(ctx)


def call(number, *args):
    ctypes.set_errno(0)
    r = libc.syscall(number, *[ctypes.c_long(a) for a in args])
    return errno.errorcode[ctypes.get_errno()] if r == -1 else "done"


def busy():
    done = []

    def worker():
        for i in range(100):
            done.append(i)
            time.sleep(0)

    threads = [threading.Thread(target=worker) for _ in range(6)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    areas = [mmap.mmap(-1, 1 << 20) for _ in range(50)]
    for a in areas:
        a.close()
    return len(done), len(areas)


EQ, MASKED = 4, 7
# What cannot be met by an honest call, so that each is looked at; and what is refused.
load([(ERRNO | errno.EXDEV, n, [(5, EQ, 0x1234567, 0)]) for n in (MUNMAP, FUTEX, CLOCK)]
     + [(ERRNO | errno.EPERM, MMAP, [(2, MASKED, 6, 6)]), (ERRNO | errno.EDOM, MADVISE, [(2, EQ, 100, 0)])])
print(busy())
print(call(MMAP, 0, 4096, 7, 0x22, -1, 0), call(MMAP, 0, 4096, 3, 0x22, -1, 0))
print(call(MADVISE, 0, 0, 100), call(MADVISE, 0, 0, 4), call(YIELD))
load([(ERRNO | errno.ENOTTY, YIELD, [])])
print(call(YIELD), busy())
t = threading.Thread(target=lambda: print("a thread:", call(YIELD), call(MADVISE, 0, 0, 100)))
t.start()
t.join()
if os.fork() == 0:
    print("a child:", call(YIELD), call(MMAP, 0, 4096, 6, 0x22, -1, 0), flush=True)
    os._exit(0)
os.wait()
code = "import ctypes; l = ctypes.CDLL(None, use_errno=True); print(l.sched_yield(), ctypes.get_errno())"
print("a program:", subprocess.run(["python3", "-c", code], capture_output=True, text=True).stdout.strip())
print([l.strip() for l in open("/proc/self/status") if l.startswith("Seccomp")])
