"""Figures as words and tables."""
import statistics
from collections import namedtuple

import rows

Judged = namedtuple("Judged", "row cells verdicts")
# A promise and whether it holds: the figure is ratio times that of `of`, factor is what is promised. Where it is promised in
# itself, of is empty and figure says it.
Verdict = namedtuple("Verdict", "of ratio factor limit passed figure")


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


def verdict(row, value, factor, base, against):
    """against: the base's own figure. The ratio is the value against that."""
    if value is None or against is None:
        return None
    ratio = value / against if against else float(value > 0)
    passed = ratio >= factor if row.unit == "rate" else ratio <= factor
    return Verdict(base, ratio, factor, limit_text(row, factor, base), passed, "")


def judge(row, medians, round_trip):
    ours = medians["bailey"].get(row.key)
    found = []
    if row.promise:
        factor, base = row.promise
        if base in ("bytes", "ns"):
            if ours is not None:
                found.append(Verdict("", ours, factor, limit_text(row, factor, base), ours <= factor, shown(row, ours)))
        else:
            against = round_trip if base == "round trip" else medians.get("runc", {}).get(row.key)
            found.append(verdict(row, ours, factor, base, against))
    if row.runsc and "runsc" in medians:
        found.append(verdict(row, ours, row.runsc, "runsc", medians["runsc"].get(row.key)))
    return Judged(row, {n: m.get(row.key) for n, m in medians.items()}, [v for v in found if v])


def means(medians):
    """The two geometric means over whole programs: (what, ratio, promise, passed)."""
    found = []
    for what, of, promise, more in (
        ("servers, geometric mean", rows.SERVED, rows.SERVED_MEAN, True),
        ("other programs, geometric mean", rows.SPENT, rows.SPENT_MEAN, False),
    ):
        pairs = [(medians["bailey"].get(r.key), medians.get("runc", {}).get(r.key)) for r in of]
        ratios = [a / b for a, b in pairs if a and b]
        if ratios:
            ratio = statistics.geometric_mean(ratios)
            found.append((what, ratio, promise, ratio >= promise if more else ratio <= promise))
    return found


def words(judged):
    return "; ".join(f"{'pass' if v.passed else 'miss'} ({times(v.ratio)})" if v.of else ("pass" if v.passed else "miss")
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
    for what, ratio, promise, passed in found:
        least = "at least" if what.startswith("servers") else "at most"
        lines.append(f"| {what} | {ratio:.2f} | {least} {promise} | {'pass' if passed else 'miss'} |")
    return "\n".join(lines)
