"""Which clusters an edition ranks, and the category of the reason why the others are not. Pure."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

import pandas as pd

from facts.reliability import ReliabilityResult, Step

from .models import Standing

ELIGIBLE, NOT_ELIGIBLE = "eligible", "not"


@dataclass(frozen=True)
class Verdict:
    """status : of framework §10.4. reason : a category of `Standing.Reason`, empty where the cluster is ranked."""

    status: str
    reason: str

    @property
    def is_ranked(self) -> bool:
        return not self.reason


def standings_of(
    codes: Iterable[str], results: Mapping[str, ReliabilityResult], scores: pd.DataFrame
) -> dict[str, Verdict]:
    """A cluster is ranked where it is eligible and its index could be computed.

    codes : all clusters that the edition speaks of. results : from `reliability`; a cluster without a frame in the
    round has none. scores : columns by node, CCI among them.
    """
    return {code: _verdict(results.get(code), scores["CCI"].get(code)) for code in codes}


def _verdict(result: ReliabilityResult | None, index: float | None) -> Verdict:
    if result is None:
        return Verdict(NOT_ELIGIBLE, Standing.Reason.RESPONSE.value)
    if result.status != ELIGIBLE:
        return Verdict(result.status, result.category)
    if index is not None and pd.notna(index):
        return Verdict(ELIGIBLE, "")
    if not result.figures.has_region_return:
        return Verdict(ELIGIBLE, Standing.Reason.SCHEDULES.value)
    return Verdict(ELIGIBLE, Standing.Reason.INCOMPLETE.value)


def with_missing_pillars(
    results: Mapping[str, ReliabilityResult], scores: pd.DataFrame, pillars: Mapping[str, str]
) -> dict[str, ReliabilityResult]:
    """Add the step that only the index knows: which pillars of an eligible cluster could not be computed.

    pillars : name by code.
    """
    out = dict(results)
    for code, result in results.items():
        if result.status != ELIGIBLE or code not in scores.index or pd.notna(scores.at[code, "CCI"]):
            continue
        missing = [name for pillar, name in pillars.items() if pd.isna(scores.at[code, pillar])]
        if result.figures.has_region_return and missing:
            step = Step(
                "index",
                "association",
                f"Answer the questions behind {' and '.join(missing)}",
                "Too few of its indicators could be computed: the index needs all five pillars.",
                after=result.score,
            )
            out[code] = replace(result, steps=(*result.steps, step))
    return out
