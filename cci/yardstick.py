"""What review needs of the index to say how far a return may move a rank: goalposts, weights, the latest scores."""

from facts.models import Round
from facts.selective import Yardstick

from .methodology import load_method
from .models import Edition, Score

COMPUTED = (
    Edition.State.PUBLISHED,
    Edition.State.SUPERSEDED,
    Edition.State.SCHEDULED,
    Edition.State.PROPOSED,
    Edition.State.CANDIDATE,
)
INDEX = "CCI"


def editions_in_order(upto: Round, *, provisional: bool = False) -> list[Edition]:
    """Computed editions of a round and of those before it, the newest first; what is published before what is not."""
    found = Edition.objects.filter(round__year__lte=upto.year, state__in=COMPUTED, is_trial=False)
    found = found.select_related("round", "methodology")
    if not provisional:
        found = found.filter(is_provisional=False)
    order = {state: place for place, state in enumerate(COMPUTED)}
    return sorted(found, key=lambda one: (-one.round.year, order[one.state], -(one.revision or 0)))


def yardstick(round_: Round) -> Yardstick:
    """The methodology in use, with the scores of the latest edition. Three queries."""
    from .services import CURRENT

    edition = next(iter(editions_in_order(round_)), None)
    method = load_method(edition.methodology.version if edition else CURRENT)
    in_pillar = {node.code: (node.parent, node.weight) for node in method.definitions.dimensions}
    weights = {}
    for indicator in method.definitions.indicators:
        pillar, weight = in_pillar[indicator.dimension]
        weights[indicator.code] = (pillar, weight * indicator.weight)
    pillars: dict[str, dict[str, float]] = {}
    scores: dict[str, float] = {}
    pillar_weights = {node.code: node.weight for node in method.definitions.pillars}
    if edition:
        found = Score.objects.filter(edition=edition, node__in=[*pillar_weights, INDEX], value__isnull=False)
        for code, node, value, rank in found.values_list("cluster__code", "node", "value", "rank"):
            if node != INDEX:
                pillars.setdefault(code, {})[node] = value
            elif rank is not None:
                scores[code] = value
    columns = [method.goalposts[name].tolist() for name in ("iCode", "transform", "lo", "hi", "direction")]
    posts = {code: (transform, lo, hi, way) for code, transform, lo, hi, way in zip(*columns, strict=True)}
    return Yardstick(
        posts=posts,
        weights=weights,
        pillar_weights=pillar_weights,
        floor=method.engine_config["aggregate"]["floor"][-1],
        pillars=pillars,
        scores=scores,
    )
