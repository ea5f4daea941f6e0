"""Distribution, two editions, trend: labelled where the eye is, peers in grey, the subject in the accent."""

from collections.abc import Callable, Sequence
from typing import Any

from .parts import SVG, figure, known, label, median_of, pct, shorten, spoken, spread, tag, ticks


def axis(marks: Sequence[float], at: Callable[[float], float], y: float) -> list[str]:
    """The round numbers under a horizontal scale; the first and last stay inside the figure."""
    parts = [tag("line", cls="fig-axis", x1=0, x2="100%", y1=y, y2=y)]
    last = len(marks) - 1
    # Long numbers would run into each other on a phone: name every second mark, the last one among them.
    every = 2 if last > 3 and max(len(spoken(mark)) for mark in marks) > 5 else 1
    for i, mark in enumerate(marks):
        anchor = "start" if i == 0 else "end" if i == last else "middle"
        parts.append(tag("line", cls="fig-axis", x1=pct(at(mark)), x2=pct(at(mark)), y1=y, y2=y + 4))
        if (last - i) % every:
            continue
        parts.append(label(spoken(mark), cls="fig-tick", x=pct(at(mark)), y=y + 18, text_anchor=anchor))
    return parts


def dot_strip(
    values: Sequence[Any],
    subject: str | None = None,
    median: float | None = None,
    *,
    title: str = "",
    unit: str = "",
    better: str | None = None,
    decimals: int | None = None,
) -> SVG:
    """The distribution of one indicator over clusters: a dot each, the subject in the accent and named.

    values : (label, value) pairs; those without a value are counted in words, never drawn.
    median : computed from the values where it is not given.
    better : "high", "low" or None, written on the figure.
    """
    found = [(str(name), number) for name, value in values if (number := known(value)) is not None]
    absent = len(values) - len(found)
    title = title or "Distribution over clusters"
    if not found:
        return figure(
            title,
            f"0 of {len(values)} reported.",
            [label("not reported", cls="fig-tick", x=0, y=20)],
            width="100%",
            height=32,
            cls="fig-strip",
        )
    numbers = [number for _, number in found]
    middle = known(median) if median is not None else median_of(numbers)
    marks = ticks(min(numbers), max(numbers), 5)
    low, high = marks[0], marks[-1]

    def at(value: float) -> float:
        # A margin of two percent keeps the outer dots whole.
        return 0.02 + 0.96 * min(max((value - low) / (high - low), 0), 1)

    stacks: dict[int, int] = {}
    places = []
    for name, number in sorted(found, key=lambda pair: (pair[0] != subject, pair[1])):
        column = round(at(number) * 30)  # dots are 9 px wide: thirty columns do not touch at 300 px
        places.append((name, number, stacks.get(column, 0)))
        stacks[column] = stacks.get(column, 0) + 1
    base = 44 + max(stacks.values()) * 10
    parts = []
    if middle is not None:
        x = pct(at(middle))
        parts.append(tag("line", cls="fig-median", x1=x, x2=x, y1=30, y2=base))
        parts.append(
            label(
                f"median {spoken(middle, '', decimals)}",
                cls="fig-tick",
                x=x,
                y=26,
                text_anchor=anchor_for(at(middle)),
            )
        )
    chosen = None
    for name, number, floor in reversed(places):
        if name == subject and chosen is None and floor == 0:
            chosen = number
            continue
        parts.append(tag("circle", cls="fig-peer-dot", cx=pct(at(number)), cy=base - 8 - floor * 10, r=4.5))
    if chosen is not None:
        x = pct(at(chosen))
        parts.append(tag("line", cls="fig-subject-line", x1=x, x2=x, y1=16, y2=base))
        parts.append(tag("circle", cls="fig-subject", cx=x, cy=base - 8, r=6.5))
        words = f"{shorten(subject, 30)} {spoken(chosen, unit, decimals)}"
        parts.append(label(words, cls="fig-label fig-accent", x=x, y=11, text_anchor=anchor_for(at(chosen))))
    parts += axis(marks, at, base)
    height = base + 24
    way = {"high": "more is better →", "low": "← less is better"}.get(better or "", "")
    if unit or way:
        start, end = (way, unit) if better == "low" else (unit, way)
        parts.append(label(start, cls="fig-tick", x="0%", y=base + 38) if start else "")
        parts.append(label(end, cls="fig-tick", x="100%", y=base + 38, text_anchor="end") if end else "")
        height += 20
    least, most = (spoken(number, unit, decimals) for number in (min(numbers), max(numbers)))
    desc = f"{len(found)} clusters from {least} to {most}"
    desc += f", median {spoken(middle, unit, decimals)}." if middle is not None else "."
    if chosen is not None:
        desc += f" {subject}: {spoken(chosen, unit, decimals)}."
    if absent:
        desc += f" {absent} not reported."
    return figure(title, desc, parts, width="100%", height=height, cls="fig-strip")


def anchor_for(share: float) -> str:
    return "start" if share < 0.3 else "end" if share > 0.7 else "middle"


def slope(
    rows: Sequence[Any],
    left: str = "",
    right: str = "",
    *,
    subject: str | None = None,
    title: str = "",
    unit: str = "",
    decimals: int | None = 0,
) -> SVG:
    """Two editions side by side: one line a cluster, its number at both ends, its name at the later one.

    rows : (label, before, after); one end may be None and is then drawn as a lone dot.
    """
    read = [(str(name), known(before), known(after)) for name, before, after in rows]
    read = [row for row in read if row[1] is not None or row[2] is not None]
    title = title or f"From {left} to {right}".strip()
    numbers = [value for _, *pair in read for value in pair if value is not None]
    top, gap = 34, 17
    height = max(160, top + 14 + gap * len(read))
    if not numbers:
        words = label("not reported", cls="fig-tick", x=0, y=20)
        return figure(title, "Nothing reported.", [words], width="100%", height=32, cls="fig-slope")
    low, high = min(numbers), max(numbers)

    def y(value: float) -> float:
        return top + (high - value) / ((high - low) or 1) * (height - top - 14)

    first, last = 0.13, 0.52
    befores = [y(before) for _, before, _ in read if before is not None]
    afters = [y(after) for _, _, after in read if after is not None]
    places = [iter(spread(marks, gap, top, height - 12)) for marks in (befores, afters)]
    parts = [
        label(left, cls="fig-tick", x=pct(first), y=14, text_anchor="end"),
        label(right, cls="fig-tick", x=pct(last), y=14),
        *(tag("line", cls="fig-grid", x1=pct(x), x2=pct(x), y1=22, y2=height) for x in (first + 0.02, last - 0.02)),
    ]
    told = []
    for name, before, after in read:
        mine = name == subject
        line_class, dot = ("fig-subject-line", "fig-subject") if mine else ("fig-peer-line", "fig-peer-dot")
        text = "fig-label fig-accent" if mine else "fig-label"
        told.append(f"{name} {spoken(before, unit, decimals)} to {spoken(after, unit, decimals)}")
        x1, x2 = pct(first + 0.02), pct(last - 0.02)
        if before is not None and after is not None:
            parts.append(tag("line", cls=line_class, x1=x1, x2=x2, y1=y(before), y2=y(after)))
        if before is not None:
            parts.append(tag("circle", cls=dot, cx=x1, cy=y(before), r=4))
            parts.append(
                label(
                    spoken(before, "", decimals),
                    cls=text,
                    x=pct(first),
                    y=next(places[0]) + 4,
                    text_anchor="end",
                )
            )
        if after is not None:
            parts.append(tag("circle", cls=dot, cx=x2, cy=y(after), r=4))
            words = f"{spoken(after, '', decimals)}  {shorten(name, 20)}"
            parts.append(label(words, cls=text, x=pct(last), y=next(places[1]) + 4))
    return figure(title, "; ".join(told) + ".", parts, width="100%", height=float(height), cls="fig-slope")


def line(
    series: Sequence[Any],
    *,
    title: str = "",
    unit: str = "",
    subject: str | None = None,
    zero: bool = False,
    decimals: int | None = None,
    height: int = 240,
) -> SVG:
    """A trend: one line a series, its name at its end; a gap in the data is a gap in the line.

    series : (label, points) pairs; points are (year, value), value None where nothing was reported.
    """
    read = [(str(name), [(float(at), known(value)) for at, value in sorted(points)]) for name, points in series]
    years = sorted({at for _, points in read for at, _ in points})
    numbers = [value for _, points in read for _, value in points if value is not None]
    title = title or "Trend"
    if not numbers:
        words = label("not reported", cls="fig-tick", x=0, y=20)
        return figure(title, "Nothing reported.", [words], width="100%", height=32, cls="fig-line")
    marks = ticks(0 if zero else min(numbers), max(numbers), 4)
    low, high, top, foot = marks[0], marks[-1], 14, height - 26
    start, end = 0.12, 0.66

    def x(at: float) -> str:
        width = years[-1] - years[0]
        return pct(start + (end - start) * ((at - years[0]) / width if width else 0.5))

    def y(value: float) -> float:
        return top + (high - value) / (high - low) * (foot - top)

    parts = []
    for mark in marks:
        parts.append(tag("line", cls="fig-grid", x1=pct(start), x2=pct(end), y1=y(mark), y2=y(mark)))
        parts.append(label(spoken(mark), cls="fig-tick", x=pct(start - 0.02), y=y(mark) + 4, text_anchor="end"))
    every = max(1, -(-len(years) // 4))  # four labels fit at 360 px
    for i, at in enumerate(years):
        if (len(years) - 1 - i) % every == 0:
            parts.append(label(f"{at:g}", cls="fig-tick", x=x(at), y=height - 8, text_anchor="middle"))
    tips, told = [], []
    for name, points in read:
        mine = subject is None and len(read) == 1 or name == subject
        kind = "fig-subject" if mine else "fig-peer"
        for (at, value), (following, then) in zip(points, points[1:], strict=False):
            if value is not None and then is not None:
                parts.append(tag("line", cls=f"{kind}-line", x1=x(at), y1=y(value), x2=x(following), y2=y(then)))
        real = [(at, value) for at, value in points if value is not None]
        dots = real if mine else real[-1:]
        parts += [
            tag(
                "circle",
                cls="fig-subject" if mine else "fig-peer-dot",
                cx=x(at),
                cy=y(value),
                r=4 if mine else 3,
            )
            for at, value in dots
        ]
        if real:
            tips.append((y(real[-1][1]), name, real[-1][1], mine))
            told.append(
                f"{name}: {spoken(real[0][1], unit, decimals)} in {real[0][0]:g}, "
                f"{spoken(real[-1][1], unit, decimals)} in {real[-1][0]:g}"
            )
    places = spread([tip[0] for tip in tips], 17, top, foot)
    for (_, name, value, mine), place in zip(tips, places, strict=True):
        text = "fig-label fig-accent" if mine else "fig-label"
        words = f"{spoken(value, unit if len(unit) < 3 else '', decimals)}  {shorten(name, 14)}"
        parts.append(label(words, cls=text, x=pct(end + 0.03), y=place + 4))
    return figure(title, "; ".join(told) + ".", parts, width="100%", height=height, cls="fig-line")
