"""The edition before: what an edition's explanations say has moved since."""

import pandas as pd

from cci.explanations import Previous
from cci.models import Edition, Score

INDEX = "CCI"


def previous_of(edition: Edition) -> Previous | None:
    """The edition of the last round before this one's, by the same methodology: published, or a trial's trial.

    What was computed keeps the one that it was computed with, so that it can be computed again to the same digest.
    None where there is none.
    """
    if edition.state != Edition.State.COMPUTING:
        recorded = edition.report.get("previous")
        found = Edition.objects.filter(label=recorded["label"]).first() if recorded else None
    else:
        found = _last_before(edition)
    return read_previous(found) if found else None


def _last_before(edition: Edition) -> Edition | None:
    earlier = Edition.objects.filter(
        round__year__lt=edition.round.year, methodology=edition.methodology_id, is_trial=edition.is_trial
    )
    states = [Edition.State.CANDIDATE] if edition.is_trial else [Edition.State.PUBLISHED]
    return earlier.filter(state__in=states).order_by("-round__year", "-pk").first()


def read_previous(edition: Edition) -> Previous:
    """An edition's scores, ranks and intervals as they are stored. One query."""
    rows = Score.objects.filter(edition=edition).order_by("cluster__code", "node")
    names = ("cluster__code", "node", "value", "rank", "rank_low", "rank_high")
    table = pd.DataFrame(rows.values_list(*names), columns=["cluster", "node", "value", "rank", "low", "high"])
    ranked = table[(table["node"] == INDEX) & table["rank"].notna()].set_index("cluster")
    return Previous(
        label=edition.label,
        digest=edition.digest,
        scores=table.pivot(index="cluster", columns="node", values="value").astype(float),
        ranks=ranked["rank"].astype(int),
        intervals=ranked[["low", "high"]].astype(int),
    )
