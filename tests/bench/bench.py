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
    ("getpid", "getpid, from a patched site", (0.5, "runc")),
    ("touch", "first touch of a page", (1.05, "runc")),
    ("cpu", "processor-bound loop", (1.05, "runc")),
    ("fork", "fork + exit + wait", (1.5, "runc")),
    ("exec", "fork + exec + wait, static program", (1.7, "runc")),
    ("spawn", "posix_spawn + wait, static program", None),
    ("open", "open + close", (3, "round trip")),
    ("stat", "stat, 5 directories deep", (1.7, "round trip")),
    ("fstat", "fstat", None),
    ("pread", "pread of 4 KiB", (1.5, "runc")),
    ("pwrite", "pwrite of 4 KiB", (1.5, "runc")),
    ("mmap", "mmap + munmap, anonymous", (5, "runc")),
    ("pipe", "pipe, a byte there and back", (2, "runc")),
    ("unix", "unix socket, a byte there and back", (2, "runc")),
    ("tcp", "TCP on loopback, a byte there and back", (1.5, "runc")),
    ("signal", "signal to oneself, handled", None),
    ("thread", "thread, made and joined", (2, "runc")),
    ("clock", "clock_gettime", None),
    ("start", "run of /bin/true, start to exit", (0.5, "runc")),
    ("cycle", "create + start + delete of /bin/true", (1.0, "runc")),
    ("execute", "exec of /bin/true", (0.5, "runc")),
    ("idle", "idle sandbox, memory of its processes", (4 * 1048576, "bytes")),
]


# Programs as people run them (apps.sh): name, what it is, whether more is better, the promise against runc.
APPS = [
    ("redis", "redis-benchmark, SET and GET, requests/s", True, 0.85),
    ("nginx", "nginx and ab, requests/s", True, 0.85),
    ("nginx-k", "nginx and ab, connections kept, requests/s", True, 0.85),
    ("node", "node's HTTP server and ab, requests/s", True, 0.85),
    ("find", "find /", False, None),
    ("ls", "ls -lR /usr/lib", False, None),
    ("tar", "tar of 20 MB", False, None),
    ("untar", "and back", False, None),
    ("git", "git add, commit, status of that", False, None),
    ("gcc", "make of 8 files by gcc", False, None),
    ("python", "10 starts of python3", False, None),
    ("sh", "200 programs started by sh", False, None),
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


def apps(runtime):
    bundle = os.environ["BENCH_DEBIAN"]
    if runtime:
        argv = runtime + ["run", "--bundle", bundle, f"bt-{os.environ['BENCH_RUN']}-apps-{time.monotonic_ns()}"]
    else:
        return {}
    out = subprocess.run(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, timeout=600).stdout.decode()
    return {f[0]: float(f[1]) for f in (line.split() for line in out.splitlines()) if len(f) == 2}


def geometric(values):
    return statistics.geometric_mean(values) if values else float("nan")


def apps_table(found, medians):
    names = [n for n in found if found[n]]
    lines = ["| what | " + " | ".join(names) + " | against runc | |", "| --- |" + " ---: |" * len(names) + " ---: | --- |"]
    ratios = {True: [], False: []}
    for name, what, more, promise in APPS:
        values = [medians[n].get(name) for n in names]
        cells = ["" if v is None else f"{v:,.0f}" if more else seconds(v) for v in values]
        ours, base = medians["bailey"].get(name), medians.get("runc", {}).get(name)
        ratio = ours / base if ours and base else None
        if ratio:
            ratios[more].append(ratio)
        word = "" if not ratio or not promise else "pass" if ratio >= promise else "miss"
        lines.append(f"| {what} | " + " | ".join(cells) + f" | {ratio or 0:.2f} | {word} |")
    served, spent = geometric(ratios[True]), geometric(ratios[False])
    blank = " |" * len(names)
    lines.append(f"| servers, geometric mean, at least 0.9 |{blank} {served:.2f} | {'pass' if served >= 0.9 else 'miss'} |")
    lines.append(f"| others, geometric mean, at most 1.5 |{blank} {spent:.2f} | {'pass' if spent <= 1.5 else 'miss'} |")
    return "\n".join(lines)


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
    parser.add_argument("--apps", type=int, default=3, help="rounds of whole programs; 0: none")
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
    if options.apps and not options.only:
        programs = {n: {} for n in found}
        for _ in range(options.apps):
            for n, runtime in found.items():
                for name, value in apps(runtime).items():
                    programs[n].setdefault(name, []).append(value)
        second = apps_table(found, {n: {k: statistics.median(v) for k, v in p.items()} for n, p in programs.items()})
        print(second)
        text += "\n\n" + second
    note = ", ".join(f"{n} {b / 1048576:.2f} MiB" for n, b in parts)
    print(f"\nidle, by process: {note}\n{missed} of the promised figures missed")
    if options.write:
        write(options.write, f"Measured on {machine()}; medians of {options.rounds} interleaved runs. "
              f"Idle, by process: {note}.\n\n{text}")


main()
