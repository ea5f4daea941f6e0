"""Write what was computed of an edition, inside the job's last transaction."""

import json
from functools import partial

import pandas as pd
from django.utils import timezone

from cci.engine import VERSION
from cci.models import Edition, Explanation, Score, Standing
from clusters.models import Cluster
from core.audit.models import record
from facts.services.standing import store_reliability
from facts.services.values import store_values


def store_edition(edition: Edition, result: dict, *, with_values: bool | None = None) -> None:
    """Write values, scores, standings and explanations; runs inside the job's last transaction.

    with_values : whether the values and the reliability of the round are stored too; unless told, not for a trial,
    which must not touch what another methodology made of its round.
    """
    if with_values is None:
        with_values = not edition.is_trial
    method, coverage = result["method"], result["coverage"]
    sure = result["precision"]
    if with_values:
        store_values(result["snapshot"], result["values"], coverage, method.content["publication"], sure.values)
        store_reliability(result["snapshot"], result["reliability"])
    clusters = dict(Cluster.objects.values_list("code", "pk"))
    edition.scores.all().delete()
    edition.standings.all().delete()
    edition.explanations.all().delete()
    intervals, ranks = sure.intervals, result["ranks"]
    n_ranked = len(ranks)
    scores = []
    number, bands = partial(_or_none, int), result["bands"]
    for code, row in result["scores"].iterrows():
        for node, value in row.items():
            is_index = node == "CCI" and code in intervals.index
            scores.append(
                Score(
                    edition=edition,
                    cluster_id=clusters[code],
                    node=node,
                    value=_or_none(float, value),
                    rank=number(ranks[node].get(code)) if code in ranks.index else None,
                    n_ranked=n_ranked,
                    rank_low=int(intervals.at[code, "low"]) if is_index else None,
                    rank_high=int(intervals.at[code, "high"]) if is_index else None,
                    se=_or_none(float, sure.scores.at[code, node]),
                    coverage=_or_none(float, result["observed"].at[code, node]),
                    contribution=_or_none(float, result["contributions"].at[code, node]),
                )
            )
    Score.objects.bulk_create(scores, batch_size=500)
    Standing.objects.bulk_create(
        [
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
        ],
        batch_size=500,
    )
    Explanation.objects.bulk_create(
        [
            Explanation(edition=edition, cluster_id=clusters[code], content=content)
            for code, content in result["explanations"].items()
        ],
        batch_size=500,
    )
    edition.snapshot = result["snapshot"]
    edition.state = Edition.State.CANDIDATE
    edition.digest = result["digest"]
    edition.engine_version = VERSION
    edition.report = json.loads(json.dumps(result["report"], default=str))
    edition.summary = {
        "clusters": len(coverage),
        "ranked": n_ranked,
        "units": int(coverage["operating"].sum()),
    }
    edition.is_synthetic = result["snapshot"].is_synthetic
    edition.computed_at = timezone.now()
    edition.save()
    record("edition.computed", edition, by=edition.requested_by, label=edition.label, digest=edition.digest)


def _or_none(kind, value):
    return None if value is None or pd.isna(value) else kind(value)
