"""Figures that stand in a table cell: the table is the chart."""

from collections.abc import Sequence
from typing import Any

from .parts import SVG, bounds, figure, known, spoken, tag

PILLARS = ("Outcomes", "Hard factors", "Soft factors", "Collective efficiency", "Policy")
WIDTH, HEIGHT, INSET = 168, 24, 9


def rank_interval(low: object, nominal: object, high: object, n: object) -> SVG:
    """Dot and whisker of a rank: 1 stands at the start, n at the end.

    low, nominal, high : ranks, low ≤ high; any of them None means "not ranked".
    n : how many are ranked.
    """
    ends, point = bounds(low, high), known(nominal)
    count = max(int(known(n) or 1), 1)

    def x(rank: float) -> float:
        return INSET + (min(max(rank, 1), count) - 1) / max(count - 1, 1) * (WIDTH - 2 * INSET)

    middle = HEIGHT / 2
    track = tag("line", cls="fig-track", x1=INSET, x2=WIDTH - INSET, y1=middle, y2=middle)
    size: dict[str, Any] = {
        "width": WIDTH,
        "height": HEIGHT,
        "viewBox": f"0 0 {WIDTH} {HEIGHT}",
        "cls": "fig-cell",
    }
    if ends is None or point is None:
        return figure("Not ranked", "", [track], **size)
    first, last = ends
    title = f"Rank {point:.0f} of {count}; 90\u202f% interval {first:.0f} to {last:.0f}"
    parts = [
        track,
        tag("line", cls="fig-whisker", x1=x(first), x2=x(last), y1=middle, y2=middle),
        tag("line", cls="fig-whisker", x1=x(first), x2=x(first), y1=middle - 5, y2=middle + 5),
        tag("line", cls="fig-whisker", x1=x(last), x2=x(last), y1=middle - 5, y2=middle + 5),
        tag("circle", cls="fig-subject", cx=x(point), cy=middle, r=5),
    ]
    return figure(title, "Rank 1 stands at the start of the line.", parts, **size)


def score_bar(
    value: object,
    peer_median: object = None,
    *,
    low: object = None,
    high: object = None,
    most: float = 100,
) -> SVG:
    """A score as a bar from zero, the peers' median as a tick, its interval as a whisker.

    value : 0 to `most`, or None ("not scored"); low, high : the interval, both or neither.
    """
    points, peers = known(value), known(peer_median)
    ends = bounds(low, high)

    def x(score: float) -> float:
        return min(max(score / most, 0.0), 1.0) * WIDTH

    parts = [tag("rect", cls="fig-bar-track", x=0, y=7, width=WIDTH, height=10)]
    words = "Not scored"
    if points is not None:
        words = f"{spoken(points, decimals=0)} of {most}"
        parts.append(tag("rect", cls="fig-bar", x=0, y=7, width=x(points), height=10))
    if points is not None and ends is not None:
        first, last = ends
        words += f"; interval {spoken(first, decimals=0)} to {spoken(last, decimals=0)}"
        parts.append(tag("line", cls="fig-whisker-halo", x1=x(first), x2=x(last), y1=12, y2=12))
        parts.append(tag("line", cls="fig-whisker", x1=x(first), x2=x(last), y1=12, y2=12))
    if peers is not None:
        words += f"; median of peers {spoken(peers, decimals=0)}"
        place = min(max(x(peers), 1), WIDTH - 1)
        parts.append(tag("line", cls="fig-median", x1=place, x2=place, y1=2, y2=22))
    size: dict[str, Any] = {"width": WIDTH, "height": HEIGHT, "viewBox": f"0 0 {WIDTH} {HEIGHT}"}
    return figure(words, "", parts, cls="fig-cell", **size)


def pillar_bars(values: Sequence[Any], most: float = 100) -> SVG:
    """One small column a pillar, in the pillars' fixed order and hues.

    values : scores, or (name, score) pairs; None draws an open foot and says "not reported".
    """
    pairs = [
        (value[0], known(value[1]))
        if isinstance(value, tuple | list)
        else (PILLARS[i] if i < len(PILLARS) else f"Pillar {i + 1}", known(value))
        for i, value in enumerate(values or ())
    ]
    wide, gap = 9, 4
    width = max(len(pairs) * (wide + gap) - gap, wide)
    parts = []
    for i, (_, points) in enumerate(pairs):
        x = i * (wide + gap)
        if points is None:
            parts.append(tag("rect", cls="fig-open", x=x + 0.5, y=HEIGHT - 5.5, width=wide - 1, height=5))
        else:
            tall = max(min(max(points / most, 0), 1) * (HEIGHT - 2), 1)
            parts.append(tag("rect", cls=f"fig-p{i % 5 + 1}", x=x, y=HEIGHT - tall, width=wide, height=float(tall)))
    words = ", ".join(f"{name} {spoken(points, decimals=0)}" for name, points in pairs) or "No pillars"
    return figure(
        words,
        "",
        parts,
        width=width,
        height=HEIGHT,
        viewBox=f"0 0 {width} {HEIGHT}",
        cls="fig-cell fig-pillars",
    )
