"""Draws the judged rows as an SVG file: for each promise how far the figure is from its limit, on a scale of doublings.
To the left of the middle line it holds."""
import math
from xml.sax.saxutils import escape

import report

ROW, TOP, LABEL, BAR, WIDTH = 22, 64, 330, 380, 900
SPAN = 3  # doublings to either side
STYLE = """
  text { font: 13px system-ui, sans-serif; fill: #1f2328; }
  .head { font-weight: 600; } .faint { fill: #59636e; }
  .axis { stroke: #8c959f; } .grid { stroke: #d1d9e0; }
  .pass { fill: #1a7f37; } .miss { fill: #bc4c00; }
  @media (prefers-color-scheme: dark) {
    text { fill: #f0f6fc; } .faint { fill: #9198a1; } .axis { stroke: #656c76; } .grid { stroke: #3d444d; }
    .pass { fill: #3fb950; } .miss { fill: #f0883e; }
  }
"""


def place(over):
    """Where a figure that is `over` times its limit stands."""
    doublings = max(-SPAN, min(SPAN, math.log2(over) if over > 0 else -SPAN))
    return LABEL + BAR / 2 + doublings * BAR / 2 / SPAN


def entries(judged, means):
    """(what, times the limit, text, passed) for each promise."""
    for j in judged:
        for v in j.verdicts:
            factor = v.factor
            over = (factor / v.ratio if j.row.unit == "rate" else v.ratio / factor) if factor and v.ratio else 0
            figure = f"{report.times(v.ratio)} x {v.of}" if v.of else v.figure
            yield j.row.what, over, f"{figure} (limit {v.limit})", v.passed
    for m in means:
        if m.passed is not None:
            over = m.mean.promise / m.ratio if m.mean.at_least else m.ratio / m.mean.promise
            yield m.mean.what, over, f"{m.ratio:.2f} x runc (limit {m.mean.promise})", m.passed


def bar(y, over, passed):
    middle, x = LABEL + BAR / 2, place(over)
    left, width = min(middle, x), max(abs(x - middle), 2)
    return f'<rect class="{"pass" if passed else "miss"}" x="{left:.0f}" y="{y - 11}" width="{width:.0f}" height="13" rx="2"/>'


def draw(judged, means, note):
    found = list(entries(judged, means))
    height = TOP + ROW * len(found) + 16
    out = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH + 180} {height}" role="img">',
        f"<title>Each promised figure beside its limit</title><style>{STYLE}</style>",
        f'<text class="head" x="8" y="20">Bailey beside its promised figures</text>',
        f'<text class="faint" x="8" y="40">{escape(note)}</text>',
    ]
    for d in range(-SPAN, SPAN + 1):
        x = LABEL + BAR / 2 + d * BAR / 2 / SPAN
        word = "limit" if d == 0 else f"1/{2 ** -d} of it" if d < 0 else f"{2 ** d} x"
        out.append(f'<line class="{"axis" if d == 0 else "grid"}" x1="{x:.0f}" x2="{x:.0f}" y1="{TOP - 4}" y2="{height - 12}"/>')
        out.append(f'<text class="faint" text-anchor="middle" x="{x:.0f}" y="{TOP - 8}">{word}</text>')
    for i, (what, over, text, passed) in enumerate(found):
        y = TOP + ROW * i + 16
        out.append(f'<text x="{LABEL - 10}" y="{y}" text-anchor="end">{escape(what)}</text>')
        out.append(bar(y, over, passed))
        mark = "✓" if passed else "✗"
        out.append(f'<text x="{LABEL + BAR + 10}" y="{y}"><tspan class="{"pass" if passed else "miss"}">{mark}</tspan> {escape(text)}</text>')
    return "\n".join(out) + "\n</svg>\n"
