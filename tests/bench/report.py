"""Figures as words and tables."""
import statistics
from collections import namedtuple

import rows

Judged = namedtuple("Judged", "row cells verdicts")
# A promise and whether it holds: the figure is ratio times that of `of`, factor is what is promised. Where it is promised in
# itself, of is empty and figure says it; else figure is what there is to add.
Verdict = namedtuple("Verdict", "of ratio factor limit passed figure")

# A mean and whether its promise holds; passed None: nothing is promised.
MeanJudged = namedtuple("MeanJudged", "mean ratio passed limit")


def seconds(ns):
    for unit, size in (("s", 1e9), ("ms", 1e6), ("us", 1e3)):
        if ns >= size:
            return f"{ns / size:.3g} {unit}"
    return f"{ns:.0f} ns"


def times(ratio):
    return f"{ratio:.2f}" if ratio >= 0.1 or not ratio else f"1/{1 / ratio:.0f}"


def shown(row, value):
    if value is None:
        return ""
    if row.unit == "bytes":
        return f"{value / 1048576:.2f} MiB"
    return f"{value:,.0f}" if row.unit in ("rate", "count") else seconds(value)


def limit_text(row, factor, base):
    if base in ("bytes", "ns"):
        return shown(row, factor) if factor else "none"
    least = "at least " if row.unit == "rate" else ""
    word = f"{factor:.3g}" if factor >= 0.5 or base != "runsc" else f"1/{1 / factor:.0f}"
    return "ahead of runsc" if base == "runsc" and factor == rows.AHEAD else f"{least}{word} x {base}"


def holds(row, ratio, factor):
    return ratio >= factor if row.unit == "rate" else ratio <= factor


def verdict(row, samples, factor, base):
    ratio = samples.ratio("bailey", row.key, base)
    if ratio is None:
        return None
    passed = holds(row, ratio, factor)
    # What no sandbox at all does not reach either says something about the machine.
    bare = samples.ratio("runc", row.key, base) if base == "runsc" and not passed else None
    said = f"; runc itself {times(bare)}" if bare and not holds(row, bare, factor) else ""
    return Verdict(base, ratio, factor, limit_text(row, factor, base), passed, said)


def judge(row, samples):
    ours = samples.median("bailey", row.key)
    found = []
    if row.promise:
        factor, base = row.promise
        if base in ("bytes", "ns"):
            if ours is not None:
                found.append(Verdict("", ours, factor, limit_text(row, factor, base), ours <= factor, shown(row, ours)))
        else:
            found.append(verdict(row, samples, factor, base))
    if row.runsc:
        found.append(verdict(row, samples, row.runsc, "runsc"))
    return Judged(row, {n: samples.median(n, row.key) for n in samples.by_name}, [v for v in found if v])


def judge_mean(mean, ratio):
    if mean.promise is None:
        return MeanJudged(mean, ratio, None, "")
    passed = ratio >= mean.promise if mean.at_least else ratio <= mean.promise
    return MeanJudged(mean, ratio, passed, f"{'at least' if mean.at_least else 'at most'} {mean.promise}")


def means(samples):
    """Each of rows.MEANS that something was measured of."""
    found = []
    for mean in rows.MEANS:
        ratios = list(filter(None, (samples.ratio("bailey", r.key, "runc") for r in mean.of)))
        if ratios:
            found.append(judge_mean(mean, statistics.geometric_mean(ratios)))
    return found


def words(judged):
    return "; ".join(f"{'pass' if v.passed else 'miss'} ({times(v.ratio)}{v.figure})" if v.of else ("pass" if v.passed else "miss")
                     for v in judged.verdicts)


def table(names, judged):
    lines = ["| what | " + " | ".join(names) + " | limit | |", "| --- |" + " ---: |" * len(names) + " --- | --- |"]
    for j in judged:
        if not any(v is not None for v in j.cells.values()):
            continue
        cells = " | ".join(shown(j.row, j.cells.get(n)) for n in names)
        limits = "; ".join(v.limit for v in j.verdicts)
        lines.append(f"| {j.row.what} | {cells} | {limits} | {words(j)} |")
    return "\n".join(lines)


def means_table(found):
    lines = ["| what | against runc | limit | |", "| --- | ---: | --- | --- |"]
    for m in found:
        word = "" if m.passed is None else "pass" if m.passed else "miss"
        lines.append(f"| {m.mean.what} | {m.ratio:.2f} | {m.limit} | {word} |")
    return "\n".join(lines)
