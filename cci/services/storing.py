"""Write what was computed of an edition, inside the job's last transaction."""

import json
from functools import partial

import pandas as pd
from django.db.models import Model
from django.utils import timezone

from cci.engine import VERSION
from cci.explanations import without
from cci.models import Edition, Explanation, Score, Standing
from cci.partial import CAPACITY, PERFORM
from clusters.models import Cluster
from core.audit.models import record
from facts.models import IndicatorValue
from facts.services.standing import store_reliability
from facts.services.values import store_values, value_rows, withheld_composites

INDEX = "CCI"


def store_edition(edition: Edition, result: dict, *, with_values: bool | None = None) -> None:
    """Write values, scores, standings and explanations; runs inside the job's last transaction.

    with_values : whether the values and the reliability of the round are stored too; unless told, not for a trial,
    which must not touch what another methodology made of its round.
    """
    if with_values is None:
        with_values = not edition.is_trial
    coverage, found = result["coverage"], rows_of(edition, result)
    values = found.pop(IndicatorValue)
    if with_values:
        store_values(result["snapshot"], values)
        store_reliability(result["snapshot"], result["reliability"])
    for model, rows in found.items():
        model._default_manager.filter(edition=edition).delete()
        model._default_manager.bulk_create(rows, batch_size=500)
    edition.snapshot = result["snapshot"]
    edition.state = Edition.State.CANDIDATE
    edition.digest = result["digest"]
    edition.engine_version = VERSION
    edition.report = report_of(result)
    edition.summary = {
        "clusters": len(coverage),
        "ranked": len(result["ranks"]),
        "units": int(coverage["operating"].sum()),
    }
    edition.is_synthetic = result["snapshot"].is_synthetic
    edition.computed_at = timezone.now()
    edition.save()
    record("edition.computed", edition, by=edition.requested_by, label=edition.label, digest=edition.digest)


def rows_of(edition: Edition, result: dict) -> dict[type[Model], list]:
    """What `compute_edition` found, as the rows that are stored of it; nothing is written.

    A score that would give a withheld value away is not among them, nor is it in the explanation.
    """
    rules, precision = result["method"].content["publication"], result["precision"].values
    values = value_rows(result["snapshot"], result["values"], result["coverage"], rules, precision)
    withheld = withheld_composites(values)
    clusters = dict(Cluster.objects.values_list("code", "pk"))
    coverage, sure, ranks, bands = result["coverage"], result["precision"], result["ranks"], result["bands"]
    intervals, number = sure.intervals, partial(_or_none, int)
    scores = []
    for code, row in result["scores"].iterrows():
        hidden = withheld.get(clusters[code], frozenset())
        for node, value in row.items():
            if node in hidden or (hidden and node in (PERFORM, CAPACITY)):
                scores.append(Score(edition=edition, cluster_id=clusters[code], node=node, n_ranked=len(ranks)))
                continue
            is_index = node == INDEX and code in intervals.index
            scores.append(
                Score(
                    edition=edition,
                    cluster_id=clusters[code],
                    node=node,
                    value=_or_none(float, value),
                    rank=number(ranks[node].get(code)) if code in ranks.index else None,
                    n_ranked=len(ranks),
                    rank_low=int(intervals.at[code, "low"]) if is_index else None,
                    rank_high=int(intervals.at[code, "high"]) if is_index else None,
                    se=_or_none(float, sure.scores.at[code, node]),
                    coverage=_or_none(float, result["observed"].at[code, node]),
                    contribution=_or_none(float, result["contributions"].at[code, node]),
                )
            )
    standings = [
        Standing(
            edition=edition,
            cluster_id=clusters[code],
            is_ranked=verdict.is_ranked,
            reason=verdict.reason,
            status=verdict.status,
            response_share=_or_none(float, coverage.at[code, "response_share"]),
            employment_share=_or_none(float, coverage.at[code, "employment_share"]),
            n_units=int(coverage.at[code, "operating"]),
            band=number(bands.get(code)),
        )
        for code, verdict in result["standings"].items()
    ]
    explanations = [
        Explanation(
            edition=edition,
            cluster_id=clusters[code],
            content=without(content, withheld.get(clusters[code], frozenset())),
        )
        for code, content in result["explanations"].items()
    ]
    return {Score: scores, Standing: standings, Explanation: explanations, IndicatorValue: values}


def report_of(result: dict) -> dict:
    """The report of a computation as the database gives it back."""
    return json.loads(json.dumps(result["report"], default=str))


def _or_none(kind, value):
    return None if value is None or pd.isna(value) else kind(value)
