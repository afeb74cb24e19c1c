"""The measurements: each takes a runtime's command line and gives figures by the keys of rows.py."""
import ctypes
import json
import os
import re
import statistics
import subprocess
import sys
import time

BUNDLE = os.environ["BENCH_BUNDLE"]
DEBIAN = os.environ["BENCH_DEBIAN"]
RUN = os.environ["BENCH_RUN"]
IDLE_SECONDS = 5
PR_SET_CHILD_SUBREAPER = 36

count = 0


def with_init(main):
    """Runs main in a child, below a process that adopts and reaps what runs detached. Does not return."""
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    child = os.fork()
    if child == 0:
        main()
        sys.exit(0)
    while True:
        pid, status = os.waitpid(-1, 0)
        if pid == child:
            sys.exit(os.waitstatus_to_exitcode(status))


def set_args(bundle, *args):
    path = os.path.join(bundle, "config.json")
    with open(path) as f:
        config = json.load(f)
    config["process"]["args"] = list(args)
    with open(path, "w") as f:
        json.dump(config, f)


def new_id():
    global count
    count += 1
    return f"bt-{RUN}-bench-{count}"


def run_argv(runtime, bundle):
    return runtime + ["run", "--bundle", bundle, new_id()]


def lines_of(argv, limit):
    """NAME VALUE of each line that a program prints. One that does not end in time is left out."""
    try:
        out = subprocess.run(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, timeout=limit)
    except subprocess.TimeoutExpired:
        print(f"{' '.join(argv)}: not done after {limit} s", flush=True)
        return {}
    if out.returncode != 0:
        print(f"{' '.join(argv)}: status {out.returncode}", flush=True)
    found = (line.split() for line in out.stdout.decode(errors="replace").splitlines())
    return {f[0]: float(f[1]) for f in found if len(f) == 2 and re.fullmatch(r"[0-9.]+", f[1])}


def micro(runtime, test):
    if runtime:
        set_args(BUNDLE, "/test/micro", test)
        return lines_of(run_argv(runtime, BUNDLE), 60)
    root = os.path.join(BUNDLE, "rootfs")
    bind = f"mount --bind '{BUNDLE}/bind' '{root}/bind' && MICRO_BIND=/bind exec chroot '{root}' /test/micro {test}"
    return lines_of(["unshare", "--mount", "sh", "-c", bind], 60)


def apps(runtime, group):
    if not runtime:
        return {}
    set_args(DEBIAN, "/bin/bash", "/test/apps.sh", group)
    return lines_of(run_argv(runtime, DEBIAN), 200)


def timed(argv):
    """Its duration in ns. With no pipe: what runs detached would keep one open."""
    begin = time.monotonic()
    subprocess.run(argv, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, check=True)
    return (time.monotonic() - begin) * 1e9


def start(runtime, times=5):
    set_args(BUNDLE, "/bin/true")
    chroot = ["chroot", os.path.join(BUNDLE, "rootfs"), "/bin/true"]
    return statistics.median(timed(run_argv(runtime, BUNDLE) if runtime else chroot) for _ in range(times))


def status(runtime, name):
    return json.loads(subprocess.run(runtime + ["state", name], stdout=subprocess.PIPE, check=True).stdout)["status"]


def cycle(runtime, times=5):
    set_args(BUNDLE, "/bin/true")
    took = []
    for _ in range(times):
        name = new_id()
        spent = timed(runtime + ["create", "--bundle", BUNDLE, name]) + timed(runtime + ["start", name])
        while status(runtime, name) != "stopped":
            time.sleep(0.005)
        try:
            took.append(spent + timed(runtime + ["delete", name]))
        except subprocess.CalledProcessError as e:
            print(e, flush=True)
            timed(runtime + ["delete", "--force", name])
    return statistics.median(took) if took else None


class Detached:
    """A container of some program that runs detached, for as long as the block."""

    def __init__(self, runtime, bundle, *args):
        self.runtime, self.bundle, self.name = runtime, bundle, new_id()
        set_args(bundle, *args)

    def __enter__(self):
        timed(self.runtime + ["create", "--bundle", self.bundle, self.name])
        timed(self.runtime + ["start", self.name])
        return self

    def __exit__(self, *_):
        timed(self.runtime + ["delete", "--force", self.name])


def execute(runtime, times=5):
    with Detached(runtime, BUNDLE, "/bin/sleep", "1000") as c:
        argv = runtime + ["exec", c.name, "/bin/true"]
        return statistics.median(timed(argv) for _ in range(times))


def read_file(path):
    """What a file of /proc holds, or nothing where its thread has ended meanwhile."""
    try:
        with open(path) as f:
            return f.read()
    except (FileNotFoundError, ProcessLookupError):
        return ""


def tasks(pid):
    try:
        return os.listdir(f"/proc/{pid}/task")
    except (FileNotFoundError, ProcessLookupError):
        return []


def children(pid):
    """The processes below one, those that wait to be reaped left out."""
    found = []
    for task in tasks(pid):
        for child in read_file(f"/proc/{pid}/task/{task}/children").split():
            found += children(child)
            if os.path.exists(f"/proc/{child}/exe") and pss(child):
                found.append(child)
    return found


def detached():
    """The processes of what runs detached now."""
    below = [p for p in children(os.getppid()) if p != str(os.getpid())]
    return [p for p in below if p not in children(os.getpid())]


def pss(pid):
    found = re.search(r"^Pss: +(\d+)", read_file(f"/proc/{pid}/smaps_rollup"), re.M)
    return int(found.group(1)) * 1024 if found else 0


def name_of(pid):
    return read_file(f"/proc/{pid}/comm").strip()


def spent_by(pid):
    """Processor time in ns, and context switches of all its threads."""
    time_spent = switches = 0
    for task in tasks(pid):
        time_spent += int((read_file(f"/proc/{pid}/task/{task}/schedstat") or "0").split()[0])
        status = read_file(f"/proc/{pid}/task/{task}/status")
        switches += sum(map(int, re.findall(r"ctxt_switches:\s+(\d+)", status)))
    return time_spent, switches


def idle(runtime):
    """One that sleeps: memory, then processor time. Also what its memory is made of."""
    with Detached(runtime, BUNDLE, "/bin/sleep", "1000"):
        time.sleep(1)
        pids = detached()
        parts = [(name_of(p), pss(p)) for p in pids]
        before = [spent_by(p) for p in pids]
        time.sleep(IDLE_SECONDS)
        after = [spent_by(p) for p in pids]
    time_spent = sum(a[0] - b[0] for a, b in zip(after, before))
    switches = sum(a[1] - b[1] for a, b in zip(after, before))
    return {"idle": sum(b for _, b in parts), "idle-cpu": time_spent, "idle-switches": switches}, parts


def idle20(runtime, times=20):
    held = []
    try:
        for _ in range(times):
            held.append(Detached(runtime, BUNDLE, "/bin/sleep", "1000").__enter__())
        time.sleep(1)
        return sum(map(pss, detached())) / times
    finally:
        for c in held:
            c.__exit__()


def counters(runtime, row, group):
    """The top of `debug counters` after a row has been measured, its container still there."""
    where = (BUNDLE, "/test/micro", row, "hold") if not group else (DEBIAN, "/bin/bash", "/test/apps.sh", group, "hold")
    with Detached(runtime, *where) as c:
        wait_until_quiet()
        out = subprocess.run(runtime + ["debug", "counters", c.name], stdout=subprocess.PIPE, check=True).stdout
    table = out.decode().split("\n\n")
    return "\n".join(table[0].splitlines()[:8]) + "\n" + table[1].splitlines()[0]


def wait_until_quiet():
    """Until what is below this process uses no time any more, or for a minute."""
    last, same = None, 0
    for _ in range(120):
        time.sleep(0.5)
        now = sum(spent_by(p)[0] for p in detached())
        same = same + 1 if last is not None and now - last < 3e7 else 0
        last = now
        if same == 2:
            return
