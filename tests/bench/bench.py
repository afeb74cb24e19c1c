#!/usr/bin/env python3
"""What Bailey costs, beside the host itself, runc and (where installed) runsc, all in one run.

Every figure is the median of rounds in which the subjects take turns; what counts are the ratios. Prints a table that says
for each line whether the project's own limit holds; --write FILE puts it between the markers in that file.
"""
import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import time

BUILD = os.environ.get("B", "build")
BEGIN, END = "<!-- figures: begin -->", "<!-- figures: end -->"

# figure, what it is, limit: (factor, of which subject and figure) or None
FIGURES = [
    ("getppid", "a call that the keep answers (`getppid`)", (1.5, "native", "roundtrip")),
    ("touch", "first touch of a page", (1.05, "runc", "touch")),
    ("cpu", "a CPU-bound loop", (1.05, "runc", "cpu")),
    ("fork", "fork + exit + wait", (3.0, "runc", "fork")),
    ("exec", "fork + exec + wait, static program", (3.0, "runc", "exec")),
    ("open", "open + close, 5 directories deep", (4.0, "native", "roundtrip")),
    ("stat", "stat, 5 directories deep", (3.0, "native", "roundtrip")),
    ("pread", "pread of 4 KiB", None),
    ("mmap", "mmap + munmap of a page", None),
    ("pipe", "a byte through a pipe", None),
    ("start", "`run` of `/bin/true`, start to exit (us)", (0.8, "runc", "start")),
]
MEMORY_LIMIT_KIB = 4096


def subjects(bailey):
    found = {"native": None, "runc": ["runc"], "bailey": [bailey]}
    if not shutil.which("runc"):
        del found["runc"]
    if shutil.which("runsc"):
        found["runsc"] = ["runsc", "--platform=systrap", "--network=none", "--ignore-cgroups"]
    return found


def make_bundle(bailey, where):
    shutil.rmtree(where, ignore_errors=True)
    root = os.path.join(where, "rootfs")
    for d in ("bin", "tmp", "proc", "dev", "sys"):
        os.makedirs(os.path.join(root, d))
    shutil.copy(os.path.join(BUILD, "tests/bench/micro"), os.path.join(root, "bin/micro"))
    shutil.copy("/bin/busybox", os.path.join(root, "bin/true"))
    shutil.copy("/bin/busybox", os.path.join(root, "bin/sleep"))
    subprocess.run([bailey, "spec"], cwd=where, check=True)


def configure(where, args):
    path = os.path.join(where, "config.json")
    with open(path) as f:
        config = json.load(f)
    config["process"]["args"] = args
    config["process"]["terminal"] = False
    config["root"]["readonly"] = False
    with open(path, "w") as f:
        json.dump(config, f)


def run_in(command, where, number=[0]):
    number[0] += 1
    ident = f"bench-{os.getpid()}-{number[0]}"
    return subprocess.run(command + ["run", "--bundle", where, ident], stdin=subprocess.DEVNULL, check=True,
                          capture_output=True, text=True).stdout


def lines(text):
    return {name: float(value) for name, value in (line.split() for line in text.splitlines())}


def micro(command, where):
    if command is None:
        out = lines(subprocess.run([os.path.join(BUILD, "tests/bench/micro")], check=True, capture_output=True,
                                   text=True).stdout)
        out.update(lines(subprocess.run([os.path.join(BUILD, "tests/bench/roundtrip")], check=True,
                                        capture_output=True, text=True).stdout))
        return out
    return lines(run_in(command, where))


def start(command, where, times):
    out = []
    for _ in range(times):
        begin = time.perf_counter()
        if command is None:
            subprocess.run(["/bin/true"], check=True)
        else:
            run_in(command, where)
        out.append((time.perf_counter() - begin) * 1e6)
    return statistics.median(out)


def family(pid):
    """pid and all its descendants."""
    parents = {}
    for entry in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{entry}/stat") as f:
                parents.setdefault(int(f.read().rsplit(")", 1)[1].split()[1]), []).append(int(entry))
        except OSError:
            pass
    todo, seen = [pid], []
    while todo:
        p = todo.pop()
        seen.append(p)
        todo += parents.get(p, [])
    return seen


def pss_kib(pid):
    total = 0
    for p in family(pid):
        try:
            with open(f"/proc/{p}/smaps_rollup") as f:
                total += sum(int(line.split()[1]) for line in f if line.startswith("Pss:"))
        except OSError:
            pass
    return total


def idle_memory(command, where):
    ident = f"bench-idle-{os.getpid()}"
    p = subprocess.Popen(command + ["run", "--bundle", where, ident], stdin=subprocess.DEVNULL,
                         stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    time.sleep(2)
    kib = pss_kib(p.pid)
    p.wait()
    return kib


def measure(who, where, rounds):
    samples = {name: {} for name in who}
    for number in range(rounds):
        for name, command in who.items():
            configure(where, ["/bin/micro"])
            got = micro(command, where)
            configure(where, ["/bin/true"])
            got["start"] = start(command, where, 5)
            for figure, value in got.items():
                samples[name].setdefault(figure, []).append(value)
            print(f"round {number + 1} of {rounds}: {name}", file=sys.stderr)
    return {n: {f: statistics.median(v) for f, v in s.items()} for n, s in samples.items()}


def verdict(medians, figure, limit):
    if limit is None or limit[1] not in medians:
        return "", ""
    factor, subject, base = limit
    ratio = medians["bailey"][figure] / medians[subject][base]
    of = "the bare round trip" if base == "roundtrip" else subject
    return f"{ratio:.2f} x {of}, at most {factor:g}", "pass" if ratio <= factor else "**miss**"


def table(who, medians, memory):
    names = [n for n in ("native", "runc", "runsc", "bailey") if n in who]
    rows = ["| us | " + " | ".join(names) + " | limit | |", "| --- |" + " ---: |" * len(names) + " --- | --- |"]
    rows.append("| bare notification round trip | %.2f |" % medians["native"]["roundtrip"] + " |" * (len(names) + 1))
    for figure, text, limit in FIGURES:
        values = " | ".join(f"{medians[n][figure]:.2f}" for n in names)
        rows.append(f"| {text} | {values} | {' | '.join(verdict(medians, figure, limit))} |")
    cells = " | ".join(str(memory.get(n, "")) for n in names)
    rows.append(f"| idle sandbox, PSS of all host processes (KiB) | {cells} | at most {MEMORY_LIMIT_KIB} | "
                f"{'pass' if memory['bailey'] <= MEMORY_LIMIT_KIB else '**miss**'} |")
    return "\n".join(rows)


def write(path, text):
    with open(path) as f:
        old = f.read()
    head, rest = old.split(BEGIN, 1)
    with open(path, "w") as f:
        f.write(head + BEGIN + "\n" + text + "\n" + END + rest.split(END, 1)[1])


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", metavar="FILE")
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    bailey = os.path.abspath(os.path.join(BUILD, "bailey"))
    where = os.path.abspath(os.path.join(BUILD, "bench-bundle"))
    make_bundle(bailey, where)
    who = subjects(bailey)
    medians = measure(who, where, options.rounds)
    configure(where, ["/bin/sleep", "4"])
    memory = {n: idle_memory(c, where) for n, c in who.items() if c}
    text = table(who, medians, memory)
    print(text)
    if options.write:
        write(options.write, text)
    shutil.rmtree(where, ignore_errors=True)
    shutil.rmtree("/tmp/bench-a", ignore_errors=True)


if __name__ == "__main__":
    main()
