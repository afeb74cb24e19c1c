"""What is measured, and what is promised. A promise against runc is (factor, base): a time at most factor times the base's, a
rate at least; the base is "runc", "round trip" (of a bare notification) or "bytes". Against runsc it is a factor of runsc's
own figure, None where nothing is promised."""
from collections import namedtuple

Row = namedtuple("Row", "key what unit promise runsc")
AHEAD = 1.0


def micro(key, what, promise=None, runsc=None):
    return Row(key, what, "ns", promise, runsc)


# One process of tests/bench/micro.c for each.
MICRO = [
    micro("getppid", "getppid, answered by the keep", (1.5, "round trip")),
    micro("getpid", "getpid, from a patched site", (0.5, "runc"), 1 / 20),
    micro("clock", "clock_gettime"),
    micro("cpu", "processor-bound loop", (1.05, "runc")),
    micro("read1", "read of 1 byte", (1.5, "runc"), 1 / 4),
    micro("write1", "write of 1 byte", (1.5, "runc"), 1 / 4),
    micro("pread", "pread of 4 KiB", (1.5, "runc"), 1 / 4),
    micro("pwrite", "pwrite of 4 KiB", (1.5, "runc"), 1 / 4),
    micro("pipe", "pipe, a byte there and back", (2, "runc"), 1 / 5),
    micro("unix", "unix socket, a byte there and back", (2, "runc"), 1 / 5),
    micro("futex", "futex, woken there and back between processes", (2, "runc"), 1 / 5),
    micro("tcp", "TCP on loopback, a byte there and back", (1.5, "runc"), AHEAD),
    micro("bulk", "TCP on loopback, time for 1 MiB", (1 / 0.9, "runc"), AHEAD),
    micro("open", "open + close, two files in turn", (3, "round trip"), AHEAD),
    micro("reopen", "open + close, one file again and again"),
    micro("stat", "stat, 5 directories deep", (1.7, "round trip"), AHEAD),
    micro("open-bind", "open + close on a bind mount, two files in turn", (3, "round trip"), AHEAD),
    micro("stat-bind", "stat, 5 directories deep on a bind mount", (1.7, "round trip"), AHEAD),
    micro("fstat", "fstat"),
    micro("touch", "page fault: first touch of a page", (1.05, "runc"), AHEAD),
    micro("mmap", "mmap + munmap, anonymous", (5, "runc"), AHEAD),
    micro("mebi", "mmap + touch + munmap of 1 MiB", (1.1, "runc"), AHEAD),
    micro("fork", "fork + exit + wait", (1.5, "runc"), 1 / 10),
    micro("exec", "fork + exec + wait, static program", (1.7, "runc"), 1 / 6),
    micro("spawn", "posix_spawn + wait, static program"),
    micro("thread", "thread, made and joined", (2, "runc"), AHEAD),
    micro("signal", "signal to oneself, handled"),
]


# Two that wake each other are four times as fast where the host has put both on one CPU: a process's luck, whatever it runs in.
IN_TURN = {"pipe", "unix", "futex", "tcp", "thread"}


def turns(row):
    """How often each runtime has its turn within a round. From one process to the next what touches memory takes a third more
    or less, whatever it runs in: who promises to be within a tenth is measured more often than that happens, and who promises
    half of that, more often still (a median of five such ratios is off by a twentieth as often as not)."""
    if row.key in IN_TURN:
        return 5
    if not row.promise or row.promise[1] != "runc" or not 1 < row.promise[0] < 1.2:
        return 1
    return 15 if row.promise[0] < 1.06 else 5


# Whole sandboxes (measure.py).
LIFE = [
    Row("start", "run of /bin/true, start to exit", "ns", (0.5, "runc"), 1 / 7),
    Row("cycle", "create + start + delete of /bin/true", "ns", (1.0, "runc"), None),
    Row("execute", "exec of /bin/true", "ns", (0.5, "runc"), 1 / 4),
    Row("idle", "memory of an idle sandbox, all processes", "bytes", (4 * 1048576, "bytes"), None),
    Row("idle20", "memory of each of 20 idle sandboxes", "bytes", (1.5 * 1048576, "bytes"), None),
    Row("idle-cpu", "processor time of an idle sandbox in 5 s", "ns", (0, "ns"), AHEAD),
    Row("idle-switches", "context switches of an idle sandbox in 5 s", "count", None, None),
]


def rate(key, what):
    return Row(key, what, "rate", (0.85, "runc"), AHEAD)


def program(key, what):
    return Row(key, what, "ns", None, AHEAD)


# Programs as people run them: a group of apps.sh, and the rows that it prints.
APPS = {
    "redis": [rate("redis", "redis-benchmark, SET and GET, requests/s")],
    "nginx": [
        rate("nginx", "nginx and ab, a connection each, requests/s"),
        rate("nginx-wrk", "nginx and wrk, requests/s"),
    ],
    "node": [rate("node", "node's HTTP server and wrk, requests/s")],
    "pgbench": [
        rate("pgbench-read", "pgbench, selects, transactions/s"),
        rate("pgbench", "pgbench, TPC-B, transactions/s"),
    ],
    "find": [program("find", "find /"), program("ls", "ls -lR /usr/lib")],
    "archive": [
        program("tar", "tar of 20 MB"),
        program("untar", "and back"),
        program("git", "git add, commit, status of that"),
    ],
    "status": [program("git-status", "git status of 10,000 files")],
    "gcc": [program("gcc", "make of 8 files by gcc")],
    "zlib": [program("zlib", "configure and make of zlib")],
    "go": [program("go", "go build, nothing cached")],
    "python": [program("python", "10 starts of python3")],
    "sh": [program("sh", "200 programs started by sh")],
}
SERVED = [r for rows in APPS.values() for r in rows if r.unit == "rate"]
SPENT = [r for rows in APPS.values() for r in rows if r.unit == "ns"]
# What is measured beside the servers that a mean is promised of: what a connection costs, which is most of what ab asks for.
CONNECTIONS = {"nginx"}

# Geometric means over whole programs; promise None: none is.
Mean = namedtuple("Mean", "what of promise at_least")
MEANS = [
    Mean("servers, geometric mean", [r for r in SERVED if r.key not in CONNECTIONS], 0.9, True),
    Mean("servers and nginx with a connection each, geometric mean", SERVED, None, True),
    Mean("other programs, geometric mean", SPENT, 1.5, False),
]
