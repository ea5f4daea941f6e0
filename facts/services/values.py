"""Indicator values of a snapshot: computed once, stored with what may be shown of them."""

import math
from collections import defaultdict
from collections.abc import Mapping
from functools import cache

import pandas as pd
from django.conf import settings

from clusters.models import Cluster
from facts.disclosure.index import hide
from facts.indicators.definitions import Definitions, load_definitions
from facts.models import Indicator, IndicatorValue, Snapshot
from facts.release import shown_value

SETTLED = ("proposed", "scheduled", "published", "superseded", "withdrawn")  # states whose values stay
PROTECTS = "protects another figure"
INDEX = "CCI"
FILE = settings.BASE_DIR / "fixtures" / "indicators" / "facts-1.0.toml"


@cache
def definitions() -> Definitions:
    return load_definitions(FILE)


def register_indicators() -> None:
    """Bring the register of indicators up to the reviewed file."""
    loaded = definitions()
    fields = {
        "name": lambda i: i.name,
        "pillar": lambda i: i.pillar,
        "dimension": lambda i: i.dimension,
        "formula": lambda i: i.formula.text,
        "aggregation": lambda i: i.aggregation,
        "unit": lambda i: i.unit,
        "direction": lambda i: i.direction,
        "weight": lambda i: i.weight,
        "index_weight": loaded.index_weight,
        "n_min": lambda i: i.n_min or None,
        "transform": lambda i: i.transform,
        "guard": lambda i: i.guard,
    }
    rows = [
        Indicator(code=i.code, position=position, **{name: value(i) for name, value in fields.items()})
        for position, i in enumerate(loaded.indicators, start=1)
    ]
    Indicator.objects.bulk_create(
        rows, update_conflicts=True, unique_fields=["code"], update_fields=[*fields, "position"]
    )


def store_values(snapshot: Snapshot, rows: list[IndicatorValue]) -> None:
    """Store the values of a snapshot's round, from `value_rows`; those of a published edition stay."""
    if snapshot.editions.filter(state__in=SETTLED).exists():
        return
    snapshot.values.all().delete()
    IndicatorValue.objects.bulk_create(rows, batch_size=500)


def value_rows(
    snapshot: Snapshot, values: pd.DataFrame, coverage: pd.DataFrame, rules: Mapping, errors: pd.DataFrame
) -> list[IndicatorValue]:
    """The values of a snapshot's round with their published form, as rows; nothing is written.

    values : from `compute_round`. coverage : from `coverage_of`. rules : the methodology's publication rules.
    errors : standard errors, cluster × indicator, NaN where no firm enters.

    A value that is withheld may not be worked out from the scores around it: where it would be the only hidden one of
    a dimension, a second is withheld with it.
    """
    clusters = dict(Cluster.objects.values_list("code", "pk"))
    indicators = {indicator.code: indicator for indicator in Indicator.objects.all()}
    covered = {
        code
        for code, row in coverage.iterrows()
        if row["response_share"] >= rules["response_share"]
        and row["employment_share"] >= rules["employment_share"]
        and row["operating"] >= rules["units"]
    }
    rows = []
    for row in values.itertuples(index=False):
        indicator = indicators[row.indicator]
        value = None if math.isnan(row.value) else float(row.value)
        n_units = None if math.isnan(row.n_units) else int(row.n_units)
        error = errors.at[row.cluster, row.indicator]
        shown, status, reason = shown_value(
            value,
            row.status,
            row.reason,
            n_units=n_units,
            is_share=indicator.aggregation == "share of units" or indicator.aggregation == "median of units",
            in_percent=indicator.aggregation == "share of units",
            is_sensitive=indicator.code == "H401",
            is_covered=row.cluster in covered,
            rules=rules,
        )
        rows.append(
            IndicatorValue(
                snapshot=snapshot,
                cluster_id=clusters[row.cluster],
                indicator=indicator,
                value=value,
                shown=shown,
                status=status,
                reason=reason,
                se=None if value is None or math.isnan(error) else float(error),
                n_units=n_units,
                coverage=None if math.isnan(row.coverage) else float(row.coverage),
            )
        )
    hidden = _hidden(rows)
    for row in rows:
        if row.shown is not None and row.indicator.code in hidden.get(row.cluster_id, ()):
            row.shown, row.status, row.reason = None, "Q", PROTECTS
    return rows


def withheld_composites(rows: list[IndicatorValue]) -> dict[int, frozenset[str]]:
    """Cluster → dimensions, pillars or index whose scores would give a withheld value away."""
    leaves = {indicator.code for indicator in definitions().indicators}
    return {cluster: hidden - leaves for cluster, hidden in _hidden(rows).items() if hidden - leaves}


def _hidden(rows: list[IndicatorValue]) -> dict[int, frozenset[str]]:
    """Cluster → all nodes that must stay hidden, where any must."""
    loaded, by_cluster = definitions(), defaultdict(list)
    tree: dict[str, list[str]] = {INDEX: [node.code for node in loaded.pillars]}
    for pillar in loaded.pillars:
        tree[pillar.code] = [node.code for node in loaded.dimensions if node.parent == pillar.code]
    for node in loaded.dimensions:
        tree[node.code] = [one.code for one in loaded.indicators if one.dimension == node.code]
    weights = {one.code: float(one.weight) for one in (*loaded.pillars, *loaded.dimensions, *loaded.indicators)}
    for row in rows:
        by_cluster[row.cluster_id].append(row)
    found = {}
    for cluster, own in by_cluster.items():
        masked = [row.indicator.code for row in own if row.value is not None and row.shown is None]
        if masked:
            enters = {row.indicator.code for row in own if row.value is not None}
            found[cluster] = hide(tree, masked, {n: w for n, w in weights.items() if n in tree or n in enters}).nodes
    return found
