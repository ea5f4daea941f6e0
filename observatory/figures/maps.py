"""A map of clusters: land in paper tones, a dot a cluster, borders in dispute dotted."""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from .parts import SVG, clean, figure, label, shorten, tag, trim

STANDARD_PARALLEL = math.radians(27)  # areas are true everywhere, shapes truest here, where most clusters lie
RADII = (4.0, 5.0, 6.5, 8.5, 11.0)  # by size class 1 to 5
MARKS = {"appointed": "square", "nobody": "ring"}  # kinds told apart by shape as well as by hue; others are dots
LETTER = 0.56  # mean width of a letter, in sizes of the type


class Projection:
    """Cylindrical equal-area, fitted to a window of longitudes and latitudes."""

    def __init__(self, window: Sequence[float], width: float):
        self.west, south, east, north = window
        self.scale = width / (math.radians(east - self.west) * math.cos(STANDARD_PARALLEL))
        self.top = self.rise(north)
        self.width, self.height = width, (self.top - self.rise(south)) * self.scale

    @staticmethod
    def rise(latitude: float) -> float:
        return math.sin(math.radians(min(max(latitude, -90), 90))) / math.cos(STANDARD_PARALLEL)

    def place(self, longitude: float, latitude: float) -> tuple[float, float]:
        x = math.radians(longitude - self.west) * math.cos(STANDARD_PARALLEL) * self.scale
        return x, (self.top - self.rise(latitude)) * self.scale

    def sees(self, points: Iterable[tuple[float, float]]) -> bool:
        """Whether the bounding box of some drawn points touches the picture."""
        xs, ys = zip(*points, strict=True)
        return bool(max(xs) > 0 and min(xs) < self.width and max(ys) > 0 and min(ys) < self.height)


def drawn(points: Iterable[Any], projection: Projection, closed: bool) -> str:
    """The `d` of a ring or line, whole tenths of a pixel, points nearer than half a pixel left out."""
    placed = [projection.place(*point[:2]) for point in points]
    if len(placed) < 2 or not projection.sees(placed):
        return ""
    kept = [placed[0]]
    for point in placed[1:-1]:
        if abs(point[0] - kept[-1][0]) + abs(point[1] - kept[-1][1]) >= 0.6:
            kept.append(point)
    kept.append(placed[-1])
    if closed and len(kept) < 3:
        return ""
    x, y = round(kept[0][0] * 10), round(kept[0][1] * 10)
    text = f"M{trim(x / 10)} {trim(y / 10)}l"
    steps = []
    for right, down in kept[1:]:
        dx, dy = round(right * 10) - x, round(down * 10) - y
        x, y = x + dx, y + dy
        steps.append(f"{trim(dx / 10)} {trim(dy / 10)}")
    return text + " ".join(steps) + ("z" if closed else "")


def apart(dots: list[dict[str, Any]], rounds: int = 24, most: float = 4) -> None:
    """Push dots that hide each other apart until each centre shows, but none farther than `most` from its place.

    Of two the smaller gives way, and the larger keeps its place; what still overlaps is drawn with the smaller on
    top. On a close-up window the same few pixels are a few kilometres.
    """
    homes = [(dot["x"], dot["y"]) for dot in dots]
    for i, dot in enumerate(dots):
        # A hair's breadth in a direction of its own, so that dots on one spot know which way to go.
        dot["x"] += 0.05 * math.cos(i * 2.4)
        dot["y"] += 0.05 * math.sin(i * 2.4)
    for _ in range(rounds):
        for i, one in enumerate(dots):
            for two in dots[i + 1 :]:
                dx, dy = two["x"] - one["x"], two["y"] - one["y"]
                far, need = math.hypot(dx, dy), max(one["r"], two["r"]) + 1
                if far >= need:
                    continue
                angle = math.atan2(dy, dx)
                share = 0.5 if one["r"] == two["r"] else float(one["r"] < two["r"])
                for dot, way in ((one, -share), (two, 1 - share)):
                    dot["x"] += way * math.cos(angle) * (need - far)
                    dot["y"] += way * math.sin(angle) * (need - far)
        for dot, (x, y) in zip(dots, homes, strict=True):
            far = math.hypot(dot["x"] - x, dot["y"] - y)
            if far > most:
                dot["x"] = x + (dot["x"] - x) * most / far
                dot["y"] = y + (dot["y"] - y) * most / far


def mark(dot: Mapping[str, Any], cls: str) -> str:
    """A dot, or the shape of its kind."""
    shape = MARKS.get(dot.get("kind", ""), "")
    x, y, r = dot["x"], dot["y"], dot["r"]
    if shape == "square":
        return tag("rect", cls=f"{cls} map-dot--square", x=x - r, y=y - r, width=2 * r, height=2 * r)
    return tag("circle", cls=f"{cls} map-dot--ring" if shape else cls, cx=x, cy=y, r=r)


def label_place(
    dot: dict[str, Any], words: str, size: float, taken: Sequence[tuple[float, ...]], projection: Projection
) -> tuple[Any, ...] | None:
    """The first of four places beside a dot where the words cover nothing: after, before, above, below."""
    wide, tall, gap = len(words) * size * LETTER, size * 1.15, dot["r"] + 4
    for anchor, x, y in (
        ("start", dot["x"] + gap, dot["y"] + size * 0.35),
        ("end", dot["x"] - gap, dot["y"] + size * 0.35),
        ("middle", dot["x"], dot["y"] - gap - 1),
        ("middle", dot["x"], dot["y"] + gap + size * 0.8),
    ):
        left = x - {"start": 0, "middle": wide / 2, "end": wide}[anchor]
        box = (left, y - size * 0.85, left + wide, y - size * 0.85 + tall)
        if box[0] < 2 or box[1] < 2 or box[2] > projection.width - 2 or box[3] > projection.height - 2:
            continue
        if all(box[2] <= b[0] or box[0] >= b[2] or box[3] <= b[1] or box[1] >= b[3] for b in taken):
            return anchor, x, y, box
    return None


def region_map(
    shapes: Sequence[Mapping[str, Any]],
    points: Sequence[Mapping[str, Any]],
    window: Sequence[float] = (58, -12, 150, 56),
    *,
    lines: Sequence[Mapping[str, Any]] = (),
    unassigned: Sequence[Mapping[str, Any]] = (),
    title: str = "Map of clusters",
    subject: str | None = None,
    width: float = 760,
) -> SVG:
    """Clusters as dots on the land around them; the words on borders stand on the page, not in the figure.

    shapes : {"iso2", "name", "rings", "context"?}, rings of [longitude, latitude]; context: fainter.
    points : {"name", "longitude", "latitude", "href"?, "size"? (1–5), "label"? (true, or a shorter name:
        written on the map), "note"? (after the name in its tooltip), "code"?, "kind"? (one of MARKS)};
        without a place: only counted.
    window : west, south, east, north. subject : a code or name in the accent, the others then in grey.
    lines : {"kind": "border" | "disputed", "points"}. unassigned : {"name", "rings"}: land in nobody's total.

    Where names would cover each other the earlier point keeps its name; narrow screens show those that still
    fit at twice the size.
    """
    projection = Projection(window, width)
    parts = [tag("rect", cls="map-sea", width=projection.width, height=projection.height)]
    for kind, group in (("map-land", shapes), ("map-unassigned", unassigned)):
        for shape in group:
            path = "".join(drawn(ring, projection, True) for ring in shape["rings"])
            if path:
                faint = " map-land--faint" if shape.get("context") else ""
                parts.append(tag("path", cls=kind + faint, d=path))
    for kind in ("border", "disputed"):
        path = "".join(drawn(one["points"], projection, False) for one in lines if one.get("kind") == kind)
        if path:
            parts.append(tag("path", cls=f"map-{kind}", d=path))
    dots = []
    for point in points:
        if point.get("longitude") is None or point.get("latitude") is None:
            continue
        x, y = projection.place(float(point["longitude"]), float(point["latitude"]))
        if 0 <= x <= projection.width and 0 <= y <= projection.height:
            size = min(max(int(point.get("size") or 1), 1), 5)
            dots.append({**point, "x": x, "y": y, "r": RADII[size - 1]})
    apart(dots)
    marks, names = [], []
    taken = [(d["x"] - d["r"], d["y"] - d["r"], d["x"] + d["r"], d["y"] + d["r"]) for d in dots]
    narrow = list(taken)
    for dot in dots:
        mine = subject is not None and subject in (dot.get("code"), dot["name"])
        kind = "map-dot" if mine or subject is None else "map-dot map-dot--peer"
        words = f"{dot['name']}: {dot['note']}" if dot.get("note") else str(dot["name"])
        inner = tag("title", clean(words)) + mark(dot, kind)
        if dot.get("href"):
            inner = f'<a href="{clean(dot["href"])}" aria-label="{clean(words)}">{inner}</a>'
        else:
            inner = tag("g", inner)
        marks.append((dot["r"], inner))
        if dot.get("label") or mine:
            text = shorten(dot["label"] if isinstance(dot.get("label"), str) else dot["name"], 26)
            here = label_place(dot, text, 13, taken, projection)
            if here:
                taken.append(here[3])
                fits = label_place(dot, text, 25, narrow, projection)
                cls = "map-label map-label--wide"
                if fits and fits[0] == here[0]:
                    narrow.append(fits[3])
                    cls = "map-label"
                names.append(label(text, cls=cls, x=here[1], y=here[2], text_anchor=here[0]))
    ordered = [mark for _, mark in sorted(marks, key=lambda mark: -mark[0])]
    # Names lie under the dots' links, so that they never take a press meant for a dot.
    linked = any(dot.get("href") for dot in dots)
    missing = len(points) - len(dots)
    desc = f"{len(dots)} clusters, dots larger where more people work." if dots else "No cluster has a place here."
    if missing:
        desc += f" {missing} without a place on this map."
    return figure(
        title,
        desc,
        [*parts, tag("g", "".join(names), aria_hidden="true") if names else "", *ordered],
        width=float(width),
        height=float(projection.height),
        viewBox=f"0 0 {trim(projection.width)} {trim(projection.height)}",
        cls="fig-map",
        role="group" if linked else "img",
        **({"aria_label": title} if linked else {}),
    )
