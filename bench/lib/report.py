"""Tables and the picture of the ratios."""
import math
from xml.sax.saxutils import escape


class Row:
    """The runs of one contender with so many threads on one problem."""

    def __init__(self, output, contender, threads, values):
        self.output = output
        self.contender = contender
        self.threads = threads
        self.values = values
        ordered = sorted(values)
        middle = len(ordered) // 2
        self.median = (ordered[middle] + ordered[~middle]) / 2
        self.best = ordered[-1] if output.higher_is_better else ordered[0]

    def as_json(self):
        return {"problem": self.output.problem, "contender": self.contender,
                "threads": self.threads, "unit": self.output.unit, "median": self.median,
                "min": min(self.values), "runs": self.values}


def ratio(row, knit):
    """How many times better knit is than this row; None when it cannot be said."""
    if knit is None or row is knit or row.median <= 0 or knit.median <= 0:
        return None
    return knit.median / row.median if row.output.higher_is_better else row.median / knit.median


def number(value):
    if value >= 1000:
        return f"{value:,.0f}"
    if value >= 100:
        return f"{value:.1f}"
    return f"{value:.2f}" if value >= 1 else f"{value:.3f}"


def of_knit(rows, threads):
    return next((r for r in rows if r.contender == "knit" and r.threads == threads), None)


def table(output, rows, missing, all_threads):
    """Lines of text: a row per contender, three columns per number of threads."""
    lines = [f"{output.problem}: {output.about} ({output.unit})"]
    head = f"  {'':14}"
    for threads in all_threads:
        title = f"{threads} thread" + ("s" if threads > 1 else "")
        head += f"  {title:>10}{'best':>10}{'ratio':>9}"
    lines.append(head)
    names = list(dict.fromkeys([r.contender for r in rows]))
    for name in names:
        line = f"  {name:14}"
        for threads in all_threads:
            row = next((r for r in rows if r.contender == name and r.threads == threads), None)
            if row is None:
                line += f"  {'-':>10}{'-':>10}{'-':>9}"
                continue
            times = ratio(row, of_knit(rows, threads))
            shown = "" if times is None else number(times) + "x"
            line += f"  {number(row.median):>10}{number(row.best):>10}{shown:>9}"
        lines.append(line.rstrip())
    for name, threads, why in missing:
        where = "" if threads is None else f" with {threads} thread" + ("s" if threads > 1 else "")
        lines.append(f"  {name:14}  missing{where}: {why}")
    return lines


# ---- the picture ----

WIDTH, LEFT, RIGHT, LINE, BAR = 960, 210, 90, 20, 13
AHEAD, BEHIND, GREY, INK = "#2f7d5b", "#b5482f", "#d8d8d8", "#222222"


def text(x, y, words, anchor="start", more=""):
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" {more}>{escape(words)}</text>'


def axis(low, high, scale, top, bottom):
    """A line at each power of ten; knit's own, at 1, in black."""
    parts = []
    for power in range(low, high + 1):
        x = scale(10 ** power)
        colour = INK if power == 0 else GREY
        parts.append(f'<line x1="{x:.1f}" y1="{top}" x2="{x:.1f}" y2="{bottom}" '
                     f'stroke="{colour}"/>')
        label = "knit = 1" if power == 0 else f"{10 ** power:,g}x"
        parts.append(text(x, top - 6, label, "middle"))
    return parts


def svg(problems):
    """problems: (output, rows) in order. Bars of ratio peer/knit on a logarithmic scale."""
    bars = []
    for output, rows in problems:
        of_problem = [(r, ratio(r, of_knit(rows, r.threads))) for r in rows]
        of_problem = [(r, times) for r, times in of_problem if times is not None]
        if of_problem:
            bars.append((output, of_problem))
    if not bars:
        return None
    logs = [math.log10(times) for _, of_problem in bars for _, times in of_problem]
    low = min(-1, math.floor(min(logs)))
    high = max(1, math.ceil(max(logs)))

    def scale(times):
        return LEFT + (math.log10(times) - low) / (high - low) * (WIDTH - LEFT - RIGHT)

    top = 66
    height = top + sum((1.6 + len(of_problem)) * LINE for _, of_problem in bars) + 16
    parts = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height:.0f}" '
             f'viewBox="0 0 {WIDTH} {height:.0f}" font-family="sans-serif" font-size="12" '
             f'fill="{INK}">',
             f'<rect width="{WIDTH}" height="{height:.0f}" fill="#ffffff"/>',
             text(12, 24, "How many times better Knit is than each peer (logarithmic)", "start",
                  'font-size="15" font-weight="bold"'),
             *axis(low, high, scale, top, height - 10)]
    y = top
    for output, of_problem in bars:
        y += LINE * 1.3
        parts.append(text(12, y, f"{output.problem} — {output.about}", "start",
                          'font-weight="bold" stroke="#ffffff" stroke-width="4" '
                          'paint-order="stroke"'))
        y += LINE * 0.3
        for row, times in of_problem:
            plural = "s" if row.threads > 1 else ""
            x0, x1 = sorted((scale(1), scale(times)))
            colour = AHEAD if times >= 1 else BEHIND
            end = x1 + 5
            parts.append(text(LEFT - 8, y + 14, f"{row.contender}, {row.threads} thread{plural}",
                              "end"))
            parts.append(f'<rect x="{x0:.1f}" y="{y + 4:.1f}" width="{max(x1 - x0, 1):.1f}" '
                         f'height="{BAR}" fill="{colour}"/>')
            parts.append(text(end, y + 15, number(times) + "x", "start",
                              'stroke="#ffffff" stroke-width="3" paint-order="stroke"'))
            y += LINE
    parts.append("</svg>\n")
    return "\n".join(parts)
