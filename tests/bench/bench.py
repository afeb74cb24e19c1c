"""Runs the benchmarks row by row, in turns (the host itself, then each runtime, round after round), takes medians, prints
the table of promised figures, and draws it. Called by bench.sh, which makes the bundles."""
import argparse
import os
import re
import shutil
import statistics
import subprocess
import sys
import time

import measure
import report
import rows
import svg

BEGIN, END = "<!-- figures: begin -->", "<!-- figures: end -->"
RUNSC = ["--platform=systrap", "--network=none", "--ignore-cgroups"]


def runtimes():
    """Those that can run /bin/true here; the host itself is None."""
    found = {"native": None}
    for name in ("runc", "crun"):
        if shutil.which(name):
            found[name] = [name]
    runsc = shutil.which("runsc") or os.environ.get("BENCH_RUNSC")
    if runsc:
        found["runsc"] = [runsc] + RUNSC
    found["bailey"] = [os.environ["BENCH_RUNTIME"]]
    measure.set_args(measure.BUNDLE, "/bin/true")
    for name, argv in list(found.items()):
        if argv and subprocess.run(measure.run_argv(argv, measure.BUNDLE), stdin=subprocess.DEVNULL).returncode != 0:
            print(f"{name} does not work here: left out", file=sys.stderr)
            del found[name]
    return found


class Samples:
    """Figures by runtime, row and round. What the bare round trip took beside a row is kept as a runtime's."""

    def __init__(self, names):
        self.by_name = {n: {} for n in [*names, "round trip"]}

    def add(self, name, figures, i=0):
        for key, value in figures.items():
            if value is not None:
                self.by_name[name].setdefault(key, {})[i] = value

    def median(self, name, key):
        found = self.by_name.get(name, {}).get(key)
        return statistics.median(found.values()) if found else None

    def ratio(self, name, key, base):
        """The median of the ratios within each round: what changes the machine's speed from round to round is in both."""
        ours, theirs = (self.by_name.get(n, {}).get(key, {}) for n in (name, base))
        found = [v / theirs[i] for i, v in ours.items() if theirs.get(i)]
        return statistics.median(found) if found else None


def wanted(only, *keys):
    return not only or any(k in only for k in keys)


def turn(found, options, samples, row, i, k):
    """Each runtime once: turn k of the row's in round i."""
    if row.promise and row.promise[1] == "round trip":
        samples.add("round trip", {row.key: float(subprocess.check_output([os.environ["BENCH_ROUNDTRIP"]]))}, (i, k))
    for n, runtime in found.items():
        if n != "runsc" or (i < options.runsc and (k == 0 or row.key in rows.IN_TURN)):
            samples.add(n, measure.micro(runtime, row.key), (i, k))


def small(found, options, samples):
    for i in range(options.rounds):
        for row in rows.MICRO:
            if wanted(options.only, row.key):
                for k in range(rows.turns(row)):
                    turn(found, options, samples, row, i, k)
        print(f"round {i + 1}: calls measured", file=sys.stderr)


def life(found, options, samples):
    """Also what an idle sandbox of ours is made of."""
    parts = []
    for i in range(options.rounds):
        for name, fn in (("start", measure.start), ("cycle", measure.cycle), ("execute", measure.execute)):
            for n, runtime in found.items():
                if wanted(options.only, name) and (runtime or name == "start"):
                    samples.add(n, {name: fn(runtime)}, i)
        print(f"round {i + 1}: sandboxes measured", file=sys.stderr)
    for n, runtime in found.items():
        if runtime and wanted(options.only, "idle", "idle-cpu"):
            figures, made_of = measure.idle(runtime)
            samples.add(n, figures)
            parts = made_of if n == "bailey" else parts
        if runtime and wanted(options.only, "idle20"):
            samples.add(n, {"idle20": measure.idle20(runtime)})
    return parts


def programs(found, options, samples):
    for i in range(options.apps):
        for group, of in rows.APPS.items():
            if wanted(options.only, group, *(r.key for r in of)):
                for n in ("runc", "runsc", "bailey"):
                    if n in found and (n != "runsc" or i < options.runsc):
                        samples.add(n, measure.apps(found[n], group), i)
        print(f"round {i + 1}: programs measured", file=sys.stderr)


def machine():
    with open("/proc/cpuinfo") as f:
        model = re.search(r"model name\s*: (.*)", f.read())
    return f"{model.group(1) if model else 'unknown CPU'}, {os.cpu_count()} CPUs, Linux {os.uname().release}"


def write(path, note, text, drawing):
    picture = os.path.splitext(path)[0] + ".svg"
    with open(picture, "w") as f:
        f.write(drawing)
    with open(path) as f:
        old = f.read()
    link = f"![Each promised figure beside its limit]({os.path.basename(picture)})"
    new = re.sub(re.escape(BEGIN) + ".*" + re.escape(END),
                 lambda _: f"{BEGIN}\n{note}\n\n{link}\n\n{text}\n{END}", old, flags=re.S)
    with open(path, "w") as f:
        f.write(new)


def profiles(found, judged):
    """For each row that misses, what its calls were."""
    groups = {r.key: group for group, of in rows.APPS.items() for r in of}
    text = []
    for j in judged:
        if j.row not in rows.LIFE and any(not v.passed for v in j.verdicts):
            top = measure.counters(found["bailey"], j.row.key, groups.get(j.row.key))
            text.append(f"### {j.row.what}\n\n" + "\n".join("    " + line for line in top.splitlines()))
            print("\n" + text[-1], flush=True)
    return "\n\n".join(text)


def arguments():
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--apps", type=int, help="rounds of whole programs (as many); 0: none")
    parser.add_argument("--runsc", type=int, default=1, help="rounds of runsc, which is slow; 0: none")
    parser.add_argument("--only", action="append", help="a row by its key in rows.py, or a group of apps.sh; may be repeated")
    parser.add_argument("--profile", action="store_true", help="for each miss, the top of `debug counters`")
    parser.add_argument("--write", metavar="FILE", help="put the table there, and the drawing beside it")
    options = parser.parse_args()
    options.apps = options.rounds if options.apps is None else options.apps
    return options


def main():
    options = arguments()
    found = runtimes()
    if not options.runsc:
        found.pop("runsc", None)
    samples = Samples(found)
    begin = time.monotonic()
    small(found, options, samples)
    parts = life(found, options, samples)
    programs(found, options, samples)
    every = rows.MICRO + rows.LIFE
    judged = [report.judge(r, samples) for r in every]
    whole = [report.judge(r, samples) for r in rows.SERVED + rows.SPENT]
    means = report.means(samples)
    names = list(found)
    text = "\n\n".join([report.table(names, judged), report.table([n for n in names if n in ("runc", "runsc", "bailey")], whole),
                        report.means_table(means)])
    promised = [v.passed for j in judged + whole for v in j.verdicts] + [m.passed for m in means if m.passed is not None]
    missed, held = promised.count(False), promised.count(True)
    made_of = ", ".join(f"{n} {b / 1048576:.2f} MiB" for n, b in parts)
    note = (f"Measured on {machine()}; medians of {options.rounds} interleaved rounds ({options.runsc} of runsc), of programs {options.apps}; ratios are medians "
            f"of those within a round. A bare notification round trip: {report.seconds(samples.median('round trip', 'stat') or 0)}; load average at the end {os.getloadavg()[2]:.1f}. An idle sandbox by process: {made_of}. {held} promises hold, {missed} do not.")
    print(f"{text}\n\n{note}\n{time.monotonic() - begin:.0f} s")
    if options.profile:
        profiles(found, judged + whole)
    if options.write:
        write(options.write, note, text, svg.draw(judged + whole, means, machine()))


measure.with_init(main)
