"""What every figure is made of: escaped elements, numbers in words, scales and ticks."""

import math
import re
from collections.abc import Iterable, Sequence
from html import escape

MINUS = "\u2212"
# Characters that XML 1.0 forbids even when escaped.
FORBIDDEN = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff\ud800-\udfff]")


class SVG(str):
    """A figure: markup made and escaped here, so templates print it as it is."""

    def __html__(self) -> str:
        return self


def clean(text: object) -> str:
    """Escape text for XML."""
    return escape(FORBIDDEN.sub("", str(text)))


def attribute(value: object) -> str:
    """Write an attribute's value: numbers with at most two decimals."""
    return trim(value) if isinstance(value, float) else clean(value)


def trim(value: float) -> str:
    """A number as short as it can be written: 12.50 → 12.5, -0.00 → 0."""
    text = f"{value:.2f}".rstrip("0").rstrip(".")
    return "0" if text == "-0" else text


def tag(name: str, content: str = "", **attributes: object) -> str:
    """One element. `cls` is its class, underscores become hyphens, None is left out; content is markup."""
    written = "".join(
        f' {"class" if key == "cls" else key.replace("_", "-")}="{attribute(value)}"'
        for key, value in attributes.items()
        if value is not None
    )
    return f"<{name}{written}>{content}</{name}>" if content else f"<{name}{written}/>"


def label(content: object, **attributes: object) -> str:
    """A text element."""
    return tag("text", clean(content), **attributes)


def figure(
    title: str,
    desc: str,
    content: Iterable[str],
    *,
    width: object,
    height: float,
    cls: str,
    role: str = "img",
    **more,
) -> SVG:
    """The svg element with its two texts."""
    texts = tag("title", clean(title)) + (tag("desc", clean(desc)) if desc else "")
    return SVG(
        tag(
            "svg",
            texts + "".join(content),
            cls=f"fig {cls}",
            role=role,
            width=width,
            height=height,
            # Cells stand in pages by the hundred and never alone.
            xmlns=None if "fig-cell" in cls else "http://www.w3.org/2000/svg",
            **more,
        )
    )


def pct(share: float) -> str:
    """A share of the width, as SVG writes it."""
    return f"{trim(float(share) * 100)}%"


def bounds(low: object, high: object) -> tuple[float, float] | None:
    """Both ends of an interval in order, or None where one is absent."""
    first, last = known(low), known(high)
    if first is None or last is None:
        return None
    return min(first, last), max(first, last)


def known(value: object) -> float | None:
    """Return a finite number, or None for what is absent."""
    if value is None or isinstance(value, bool):
        return None
    try:
        number = float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return None
    return number if math.isfinite(number) else None


def spoken(value: object, unit: str = "", decimals: int | None = None) -> str:
    """A number in words and labels: grouped, a true minus, with its unit; absent says so."""
    number = known(value)
    if number is None:
        return "not reported"
    if decimals is None:
        whole = number == int(number) or abs(number) >= 100
        decimals = 0 if whole else max(0, 2 - math.floor(math.log10(abs(number))))
    text = f"{number:,.{min(decimals, 6)}f}".replace("-", MINUS)
    if unit in ("%", "°"):
        return f"{text}\u202f{unit}"
    return f"{text} {unit}" if unit else text


def ticks(low: float, high: float, about: int = 4) -> list[float]:
    """Round numbers that cover low to high: steps of 1, 2, 2.5 or 5 times a power of ten."""
    if not high > low:
        spread = abs(low) or 1.0
        low, high = low - spread / 2, low + spread / 2
    rough = (high - low) / max(about, 1)
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(power * factor for factor in (1, 2, 2.5, 5, 10) if power * factor >= rough * 0.999)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [round(step * n, 10) for n in range(first, last + 1)]


def shorten(text: object, most: int) -> str:
    """Cut a long label at a word where one is near; the whole stands in the table beside the figure."""
    words = " ".join(str(text).split())
    if len(words) <= most:
        return words
    cut = words[: most - 1]
    space = cut.rfind(" ")
    return (cut[:space] if space > most * 0.6 else cut).rstrip(" ,;:–-") + "…"


def spread(places: Sequence[float], gap: float, low: float, high: float) -> list[float]:
    """Move labels apart by at least `gap`, in their order, within low to high."""
    order = sorted(range(len(places)), key=lambda i: places[i])
    moved = list(places)
    floor = low
    for i in order:
        moved[i] = floor = max(moved[i], floor)
        floor += gap
    ceiling = high
    for i in reversed(order):
        moved[i] = ceiling = min(moved[i], ceiling)
        ceiling -= gap
    return moved


def median_of(values: Sequence[float]) -> float | None:
    ordered, n = sorted(values), len(values)
    if not n:
        return None
    return (ordered[(n - 1) // 2] + ordered[n // 2]) / 2
