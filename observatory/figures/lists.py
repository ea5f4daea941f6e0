"""Lists of bars and of intervals: the label above, the number at the end, the mark below, sorted by value."""

from collections.abc import Callable, Sequence
from typing import Any

from .parts import SVG, attribute, bounds, clean, figure, known, label, pct, shorten, spoken, tag

ROW = 42


def rows_of(items: Sequence[Any]) -> list[tuple[Any, ...]]:
    """Read (label, value, …) rows; the largest first, what is absent last, ties by name."""
    return sorted(
        ((item[0], known(item[1]), *item[2:]) for item in items),
        key=lambda row: (row[1] is None, -(row[1] or 0), str(row[0])),
    )


def head(name: object, words: str, y: float, href: str | None, strong: bool) -> str:
    """The line of text above a row's mark: name at the start, number at the end."""
    text = label(shorten(name, 38), cls="fig-label fig-strong" if strong else "fig-label", x=0, y=y + 14)
    if href:
        text = f'<a href="{clean(href)}">{text}</a>'
    return text + label(words, cls="fig-number", x="100%", y=y + 14, text_anchor="end")


def bar_list(
    items: Sequence[Any],
    *,
    title: str = "",
    unit: str = "",
    subject: str | None = None,
    median: float | None = None,
    most: float | None = None,
    decimals: int | None = None,
    href: Callable[[str], str] | None = None,
) -> SVG:
    """Bars from zero, sorted, each with its name and number; `subject` in the accent, `median` as a tick.

    items : (label, value) pairs; None says "not reported"; negative values run to the other side of zero.
    most : where the scale ends, when that means something (100 for scores); else at the largest value.
    """
    rows, middle = rows_of(items), known(median)
    values = [row[1] for row in rows if row[1] is not None]
    low = min([0.0, *values])
    high = max([0.0, *values, *(end for end in (middle, most) if end is not None)]) or (1.0 if low == 0 else 0.0)

    def share(value: float) -> float:
        return float((value - low) / (high - low))

    parts = []
    for i, (name, value, *_) in enumerate(rows):
        y = i * ROW
        parts.append(head(name, spoken(value, unit, decimals), y, href(name) if href else None, name == subject))
        parts.append(tag("rect", cls="fig-bar-track", x=0, y=y + 22, width="100%", height=8))
        if value is not None:
            start, end = sorted((share(0), share(value)))
            parts.append(
                tag(
                    "rect",
                    cls="fig-bar" if subject is None or name == subject else "fig-bar fig-bar--peer",
                    x=pct(start),
                    y=y + 22,
                    width=pct(end - start),
                    height=8,
                )
            )
        if middle is not None:
            x = pct(share(middle))
            parts.append(tag("line", cls="fig-median", x1=x, x2=x, y1=y + 19, y2=y + 33))
    words = f"{len(values)} of {len(rows)} reported." if rows else "Nothing to show."
    if values:
        named = next(row for row in rows if row[1] is not None)
        words += f" Largest: {named[0]}, {spoken(named[1], unit, decimals)}."
    if middle is not None:
        words += f" Median {spoken(middle, unit, decimals)}."
    return figure(
        title or "Bars from zero, sorted by value",
        words,
        parts,
        width="100%",
        height=max(len(rows) * ROW, 24),
        cls="fig-list",
        role="group" if href else "img",
        **({"aria_label": title or "Bars"} if href else {}),
    )


def interval_list(
    items: Sequence[Any],
    *,
    title: str = "",
    low: float = 0,
    high: float = 100,
    unit: str = "",
    subject: str | None = None,
    median: float | None = None,
    decimals: int | None = 0,
) -> SVG:
    """Dots with whiskers on one scale from `low` to `high`: scores and how sure they are.

    items : (label, value, lower end, upper end); any of the last three may be None.
    """
    rows, middle = rows_of(items), known(median)

    def x(value: float) -> str:
        return pct(min(max((value - low) / ((high - low) or 1), 0), 1))

    parts = []
    for i, (name, value, *ends) in enumerate(rows):
        y, mark = i * ROW, i * ROW + 26
        whole = bounds(*ends[:2]) if len(ends) >= 2 else None
        words = spoken(value, unit, decimals)
        if value is not None and whole:
            words += f"  ({spoken(whole[0], '', decimals)}–{spoken(whole[1], '', decimals)})"
        parts.append(head(name, words, y, None, name == subject))
        parts.append(tag("line", cls="fig-track", x1=0, x2="100%", y1=mark, y2=mark))
        if whole:
            parts.append(tag("line", cls="fig-whisker", x1=x(whole[0]), x2=x(whole[1]), y1=mark, y2=mark))
        if middle is not None:
            parts.append(tag("line", cls="fig-median", x1=x(middle), x2=x(middle), y1=mark - 7, y2=mark + 7))
        if value is not None:
            accent = subject is None or name == subject
            parts.append(tag("circle", cls="fig-subject" if accent else "fig-peer-dot", cx=x(value), cy=mark, r=5))
    words = f"Scale from {attribute(low)} to {attribute(high)} {unit}.".replace(" .", ".")
    if middle is not None:
        words += f" Median {spoken(middle, unit, decimals)}."
    return figure(
        title or "Values with their intervals, sorted",
        words,
        parts,
        width="100%",
        height=max(len(rows) * ROW, 24),
        cls="fig-list",
    )
