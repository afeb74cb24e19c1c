"""Runs the benchmarks in turns (native, then each runtime, round after round), takes medians, prints the table.

Called by bench.sh, which makes the bundle."""
import argparse
import json
import os
import re
import shutil
import signal
import statistics
import subprocess
import sys
import time

BUNDLE = os.environ["BENCH_BUNDLE"]
CONFIG = os.path.join(BUNDLE, "config.json")
BEGIN, END = "<!-- figures: begin -->", "<!-- figures: end -->"

# name, what it is, and its promise: (factor, of what) or None
ROWS = [
    ("getppid", "getppid, answered by the keep", (1.5, "round trip")),
    ("touch", "first touch of a page", (1.05, "runc")),
    ("cpu", "processor-bound loop", (1.05, "runc")),
    ("fork", "fork + exit + wait", (3, "runc")),
    ("exec", "fork + exec + wait, static program", (3, "runc")),
    ("spawn", "posix_spawn + wait, static program", None),
    ("open", "open + close", (4, "round trip")),
    ("stat", "stat, 5 directories deep", (3, "round trip")),
    ("fstat", "fstat", None),
    ("pread", "pread of 4 KiB", None),
    ("pwrite", "pwrite of 4 KiB", None),
    ("mmap", "mmap + munmap, anonymous", None),
    ("pipe", "pipe, a byte there and back", None),
    ("unix", "unix socket, a byte there and back", None),
    ("tcp", "TCP on loopback, a byte there and back", None),
    ("signal", "signal to oneself, handled", None),
    ("thread", "thread, made and joined", None),
    ("getpid", "getpid", None),
    ("clock", "clock_gettime", None),
    ("start", "run of /bin/true, start to exit", (0.8, "runc")),
    ("cycle", "create + start + delete of /bin/true", (1.0, "runc")),
    ("execute", "exec of /bin/true", (1.0, "runc")),
    ("idle", "idle sandbox, memory of its processes", (4 * 1048576, "bytes")),
]


def set_args(*args):
    with open(CONFIG) as f:
        config = json.load(f)
    config["process"]["args"] = list(args)
    with open(CONFIG, "w") as f:
        json.dump(config, f)


count = 0


def command(runtime):
    global count
    count += 1
    return runtime + ["run", "--bundle", BUNDLE, f"bt-{os.environ['BENCH_RUN']}-bench-{count}"]


def runtimes():
    found = {"native": None}
    if shutil.which("runc"):
        found["runc"] = ["runc"]
    if shutil.which("crun"):
        found["crun"] = ["crun"]
    if shutil.which("runsc"):
        found["runsc"] = ["runsc", "--platform=systrap", "--network=none", "--ignore-cgroups"]
    found["bailey"] = [os.environ["BENCH_RUNTIME"]]
    set_args("/bin/true")
    for name in list(found):
        if found[name] and subprocess.run(command(found[name]), stdin=subprocess.DEVNULL).returncode != 0:
            print(f"{name} does not work here: left out", file=sys.stderr)
            del found[name]
    return found


def micro(runtime, test=None):
    args = ["/test/micro"] + ([test] if test else [])
    if runtime:
        set_args(*args)
        argv = command(runtime)
    else:
        argv = ["chroot", os.path.join(BUNDLE, "rootfs")] + args
    out = subprocess.run(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, timeout=300)
    if out.returncode != 0:
        print(f"{' '.join(argv)}: status {out.returncode}", file=sys.stderr)
    return {line.split()[0]: float(line.split()[1]) for line in out.stdout.decode().splitlines()}


def start(runtime, times):
    set_args("/bin/true")
    best = []
    for _ in range(times):
        begin = time.monotonic()
        if runtime:
            subprocess.run(command(runtime), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, check=True)
        else:
            subprocess.run(["chroot", os.path.join(BUNDLE, "rootfs"), "/bin/true"], check=True)
        best.append((time.monotonic() - begin) * 1e9)
    return statistics.median(best)


def timed(argv):
    """Its duration in ns. With no pipe: what runs detached would keep one open."""
    begin = time.monotonic()
    subprocess.run(argv, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, check=True)
    return (time.monotonic() - begin) * 1e9


def named(runtime, operation, *more):
    return runtime + [operation, *more, f"bt-{os.environ['BENCH_RUN']}-bench-{count}"]


def status(runtime):
    out = subprocess.run(named(runtime, "state"), stdout=subprocess.PIPE, check=True).stdout
    return json.loads(out)["status"]


def cycle(runtime, times):
    global count
    set_args("/bin/true")
    took = []
    for _ in range(times):
        count += 1
        spent = timed(named(runtime, "create", "--bundle", BUNDLE)) + timed(named(runtime, "start"))
        while status(runtime) != "stopped":
            time.sleep(0.005)
        took.append(spent + timed(named(runtime, "delete")))
    return statistics.median(took)


def execute(runtime, times):
    global count
    count += 1
    set_args("/bin/sleep", "1000")
    timed(named(runtime, "create", "--bundle", BUNDLE))
    timed(named(runtime, "start"))
    argv = named(runtime, "exec") + ["/bin/true"]
    took = [timed(argv) for _ in range(times)]
    timed(named(runtime, "delete", "--force"))
    return statistics.median(took)


def tree(pid):
    pids = [pid]
    for task in os.listdir(f"/proc/{pid}/task"):
        with open(f"/proc/{pid}/task/{task}/children") as f:
            for child in f.read().split():
                pids += tree(int(child))
    return pids


def pss(pid):
    try:
        with open(f"/proc/{pid}/smaps_rollup") as f:
            return int(re.search(r"^Pss: +(\d+)", f.read(), re.M).group(1)) * 1024
    except (OSError, AttributeError):
        return 0


def name_of(pid):
    with open(f"/proc/{pid}/comm") as f:
        return f.read().strip()


def idle(runtime):
    set_args("/bin/sleep", "30")
    p = subprocess.Popen(command(runtime), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    time.sleep(1.5)
    parts = [(name_of(x), pss(x)) for x in tree(p.pid)]
    for x in reversed(tree(p.pid)):
        if x != p.pid:
            os.kill(x, signal.SIGKILL)
    p.wait()
    return parts


def seconds(ns):
    for unit, size in (("s", 1e9), ("ms", 1e6), ("us", 1e3)):
        if ns >= size:
            return f"{ns / size:.3g} {unit}"
    return f"{ns:.0f} ns"


def verdict(value, promise, medians, name, round_trip):
    if not promise or value is None:
        return "", ""
    factor, of = promise
    if of == "bytes":
        return "4 MiB", "pass" if value <= factor else "miss"
    base = round_trip if of == "round trip" else medians.get("runc", {}).get(name)
    if not base:
        return f"{factor:g} x {of}", "?"
    return f"{factor:g} x {of}", f"{'pass' if value <= factor * base else 'miss'} ({value / base:.2f})"


def table(found, medians, round_trip):
    names = list(found)
    lines = [
        "| what | " + " | ".join(names) + " | at most | |",
        "| --- |" + " ---: |" * len(names) + " --- | --- |",
        f"| bare notification round trip | {seconds(round_trip)} |" + " |" * (len(names) - 1) + " | |",
    ]
    missed = 0
    for name, what, promise in ROWS:
        cells = []
        for n in names:
            v = medians[n].get(name)
            cells.append("" if v is None else f"{v / 1048576:.1f} MiB" if name == "idle" else seconds(v))
        limit, word = verdict(medians["bailey"].get(name), promise, medians, name, round_trip)
        missed += word.startswith("miss")
        lines.append(f"| {what} | " + " | ".join(cells) + f" | {limit} | {word} |")
    return "\n".join(lines), missed


def machine():
    with open("/proc/cpuinfo") as f:
        model = re.search(r"model name\s*: (.*)", f.read())
    return f"{model.group(1) if model else 'unknown CPU'}, {os.cpu_count()} CPUs, Linux {os.uname().release}"


def write(path, text):
    try:
        with open(path) as f:
            old = f.read()
    except FileNotFoundError:
        old = f"# Performance\n\n`make bench` measures on the machine at hand and puts its table here.\n\n{BEGIN}\n{END}\n"
    new = re.sub(re.escape(BEGIN) + ".*" + re.escape(END), lambda _: f"{BEGIN}\n{text}\n{END}", old, flags=re.S)
    with open(path, "w") as f:
        f.write(new)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--write")
    parser.add_argument("--only", help="one test of micro, or start, cycle, execute or idle")
    options = parser.parse_args()
    found = runtimes()
    samples = {n: {} for n in found}
    trips = []
    parts = []
    for _ in range(options.rounds):
        trips.append(float(subprocess.check_output([os.environ["BENCH_ROUNDTRIP"]])))
        for n, runtime in found.items():
            if options.only not in ("start", "idle", "cycle", "execute"):
                for test, ns in micro(runtime, options.only).items():
                    samples[n].setdefault(test, []).append(ns)
            if options.only in (None, "start"):
                samples[n].setdefault("start", []).append(start(runtime, 5))
            for name, measure in (("cycle", cycle), ("execute", execute)):
                if runtime and options.only in (None, name):
                    samples[n].setdefault(name, []).append(measure(runtime, 5))
    for n, runtime in found.items():
        if runtime and options.only in (None, "idle"):
            used = idle(runtime)
            samples[n]["idle"] = [sum(b for _, b in used)]
            if n == "bailey":
                parts = used
    medians = {n: {t: statistics.median(v) for t, v in s.items()} for n, s in samples.items()}
    text, missed = table(found, medians, statistics.median(trips))
    print(text)
    note = ", ".join(f"{n} {b / 1048576:.2f} MiB" for n, b in parts)
    print(f"\nidle, by process: {note}\n{missed} of the promised figures missed")
    if options.write:
        write(options.write, f"Measured on {machine()}; medians of {options.rounds} interleaved runs. "
              f"Idle, by process: {note}.\n\n{text}")


main()
