"""What several public pages share: the map of clusters, where a cluster stands, what is done where."""

import json
from collections.abc import Iterable, Mapping
from functools import cache

from django.conf import settings

from cci.methodology import load_method
from cci.models import Edition, Score, Standing
from clusters.models import Cluster
from observatory import figures

MOST_DOTS = 250  # more cannot be told apart on a map of this size
LABELS = 40
LONGEST = 18  # letters of a name on the map
BASEMAP = settings.BASE_DIR / "fixtures" / "basemap" / "asia.json"
SIZES = "dots larger where more people work"  # what the figure says of its sizes; these maps have one size


@cache
def basemap() -> dict:
    """Outlines of Asia. Read once a process."""
    return json.loads(BASEMAP.read_text())


def window_of(points: Iterable[tuple[float, float]], *, margin: float = 3.0, least: float = 16.0) -> tuple:
    """West, south, east, north around some (longitude, latitude) points: never a keyhole, never a ribbon."""
    outer = basemap()["window"]
    points = list(points)
    if not points:
        return tuple(outer)
    west, east = min(x for x, _ in points) - margin, max(x for x, _ in points) + margin
    south, north = min(y for _, y in points) - margin, max(y for _, y in points) + margin
    width = max(east - west, least, 1.25 * (north - south))
    height = max(north - south, 0.55 * width)
    middle_x, middle_y = (west + east) / 2, (south + north) / 2
    west, east = shifted(middle_x - width / 2, middle_x + width / 2, outer[0], outer[2])
    south, north = shifted(middle_y - height / 2, middle_y + height / 2, outer[1], outer[3])
    return west, south, east, north


def shifted(low: float, high: float, least: float, most: float) -> tuple[float, float]:
    """Move a span inside its limits; cut it only where it is longer than they are."""
    if low < least:
        low, high = least, high + least - low
    if high > most:
        low, high = low - (high - most), most
    return max(low, least), min(high, most)


def cluster_map(
    clusters: Iterable[Cluster],
    *,
    subject: Cluster | None = None,
    notes: Mapping[int, str] | None = None,
    kinds: Mapping[int, str] | None = None,
    title: str = "Map of clusters",
    width: float = 760,
) -> figures.SVG | str:
    """Clusters as linked dots; around the subject where there is one. Empty where none has a place on the map.

    notes : by primary key, what stands after the name when a dot is pointed at.
    kinds : by primary key, how the mark is drawn (see `figures.maps.MARKS`).
    """
    placed = [one for one in clusters if one.latitude is not None][:MOST_DOTS]
    if not placed:
        return ""
    west, south, east, north = basemap()["window"]
    placed = [one for one in placed if west <= one.longitude <= east and south <= one.latitude <= north]
    around = [subject] if subject is not None else placed
    if not placed or subject is not None and subject not in placed:
        return ""
    window = window_of(((one.longitude, one.latitude) for one in around), least=30.0 if subject else 16.0)
    if subject is not None:  # the subject is drawn last but keeps its name first
        placed = [subject, *(one for one in placed if one.pk != subject.pk)]
    named: set[str] = set()
    points = [
        {
            "code": one.code,
            "name": one.name,
            "longitude": one.longitude,
            "latitude": one.latitude,
            "size": 4 if subject is not None and one.pk == subject.pk else 2 if subject is None else 1,
            "href": None if subject is not None and one.pk == subject.pk else one.get_absolute_url(),
            "label": new_name(one, named) if position < (LABELS if subject is None else 1) else "",
            "note": (notes or {}).get(one.pk, ""),
            "kind": (kinds or {}).get(one.pk, ""),
        }
        for position, one in enumerate(placed)
    ]
    land = basemap()
    svg = figures.region_map(
        land["shapes"],
        points,
        window,
        lines=land["lines"],
        unassigned=land["unassigned"],
        title=title,
        subject=subject.code if subject else None,
        width=width,
    )
    return figures.SVG(svg.replace(SIZES, "a dot each"))


def new_name(cluster: Cluster, named: set[str]) -> str:
    """The word that finds a cluster on a map; empty where a neighbour bears it already."""
    word = (cluster.place or cluster.name).split(",")[0]
    if len(word) > LONGEST:
        word = word.split()[0]
    if word in named:
        return ""
    named.add(word)
    return word


def standings(clusters: Iterable[Cluster]) -> dict:
    """What the latest published edition says of some clusters. Two queries.

    Returns `edition` and `by_cluster`: key → score, rank, low, high, n of the ranked ones.
    """
    edition = Edition.objects.latest_published()
    if edition is None:
        return {"edition": None, "by_cluster": {}}
    rows = Score.objects.filter(
        edition=edition,
        node="CCI",
        rank__isnull=False,
        rank_low__isnull=False,
        cluster_id__in=[one.pk for one in clusters],
    ).values_list("cluster_id", "value", "rank", "rank_low", "rank_high", "n_ranked")
    return {
        "edition": edition,
        "by_cluster": {
            key: {"score": value, "rank": rank, "low": low, "high": high, "n": n}
            for key, value, rank, low, high, n in rows
        },
    }


def provisional_scores(cluster: Cluster, round_) -> dict | None:
    """Index and pillars of a provisional cluster in the round's published edition, for its own eyes. Two queries.

    None where no edition of the round is published, or the cluster is not provisional in it.
    """
    standing = (
        Standing.objects.filter(
            edition__round=round_, edition__state=Edition.State.PUBLISHED, cluster=cluster, status="provisional"
        )
        .select_related("edition__methodology")
        .first()
    )
    if standing is None:
        return None
    pillars = load_method(standing.edition.methodology.version).definitions.pillars
    names = {"CCI": "Cluster Competitiveness Index"} | {node.code: node.name for node in pillars}
    rows = Score.objects.filter(edition=standing.edition, cluster=cluster, node__in=names).values_list("node", "value")
    values = dict(rows)
    return {
        "edition": standing.edition,
        "scores": [{"name": name, "value": values.get(node)} for node, name in names.items()],
    }
