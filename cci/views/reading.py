"""Reading an edition for the public pages: places, the edition before, scores, citation."""

from collections.abc import Iterable, Sequence

from django.db.models import OuterRef, Subquery

from cci.bands import Place
from cci.models import Edition, Score, Standing
from cci.peers import DIVISION
from clusters.models import Sector
from facts.release import band as count_band
from facts.release import significant
from facts.services.instruments import definition

INDEX = "CCI"


def places_by_edition(editions: Iterable[Edition]) -> dict[int, list[Place]]:
    """The ranked and published clusters of each edition, in the order of their ranks. One query."""
    found: dict[int, list[Place]] = {edition.pk: [] for edition in editions}
    standing = Standing.objects.filter(edition=OuterRef("edition"), cluster=OuterRef("cluster"))
    rows = (
        Score.objects.filter(
            edition__in=list(found), node=INDEX, rank__isnull=False, rank_low__isnull=False, cluster__is_published=True
        )
        .annotate(band=Subquery(standing.values("band")[:1]))
        .order_by("edition", "rank", "cluster__name", "cluster_id")
    )
    for key, *row in rows.values_list("edition_id", "cluster_id", "value", "rank", "rank_low", "rank_high", "band"):
        found[key].append(Place(*row))
    return found


def places_of(edition: Edition) -> list[Place]:
    return places_by_edition([edition])[edition.pk]


def edition_before(edition: Edition) -> Edition | None:
    """The published edition of the round before, where it was made by the same methodology."""
    earlier = (
        Edition.objects.filter(state=Edition.State.PUBLISHED, round__year__lt=edition.round.year)
        .select_related("round")
        .order_by("-round__year")
        .first()
    )
    return earlier if earlier and earlier.methodology_id == edition.methodology_id else None


def node_scores(edition: Edition, nodes: Sequence[str], cluster_ids) -> dict[int, dict[str, float | None]]:
    """Scores of some nodes by cluster. One query."""
    found: dict[int, dict[str, float | None]] = {key: dict.fromkeys(nodes) for key in cluster_ids}
    rows = Score.objects.filter(edition=edition, node__in=nodes, cluster_id__in=list(found))
    for key, node, value in rows.values_list("cluster_id", "node", "value"):
        found[key][node] = value
    return found


def about(count: int) -> str:
    """A large count in words that give no single cluster away: two digits that count."""
    return f"about {significant(count, 2):,.0f}" if count >= 100 else count_band(count)


def citation(edition: Edition) -> str:
    made = edition.published_at or edition.computed_at
    text = (
        f"Cluster Observatory: Cluster Competitiveness Index, edition {edition.label}"
        f"{f', published {made:%-d %B %Y}' if made else ''}. Methodology {edition.methodology.version}, "
        f"digest {edition.digest[:16]}."
    )
    return f"{text} Demonstration figures, invented." if edition.is_synthetic else text


def group_names(edition: Edition, groups: Iterable[tuple[str, str]]) -> dict[tuple[str, str], str]:
    """Peer groups in words by (kind, key): the division's title, or the type of cluster. At most one query."""
    wanted = set(groups)
    divisions = {key for kind, key in wanted if kind == DIVISION}
    titles = dict(Sector.objects.filter(code__in=divisions).values_list("code", "title")) if divisions else {}
    types = definition(edition.round.instrument.version).option_sets["CTYPE"].by_code
    return {
        (kind, key): f"clusters of division {key}{f', {titles[key]}' if key in titles else ''}"
        if kind == DIVISION
        else f"clusters of the type “{types[key].label if key in types else key}”"
        for kind, key in wanted
    }
