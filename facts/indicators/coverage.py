"""Who answered: response by cluster and by size class (framework §11.2 and §11.4)."""

import numpy as np
import pandas as pd

from facts.checks.copying import MONEY_ITEMS, copied_forward

from .tables import GONE, IN_SCOPE, OPERATING, Tables
from .units import pick
from .weights import SIZES


def coverage_of(tables: Tables, round_year: int) -> pd.DataFrame:
    """Response by cluster: in_scope, accepted, operating (counts), response_share (RRu), employment_share (COVe).

    Counted are the units of the frozen frame that were drawn, each with its design weight in the shares; where nobody
    was left out that is the whole frame. Units found to have left the scope (UA01 4–6) are not in it. Of those that
    nobody has reached, the shares count as many as the resolved ones are in scope (framework §11.2).
    Also copied_share (X20; NaN without predecessors) and which other schedules are accepted.
    """
    asked = _Asked(tables, round_year)
    out = pd.DataFrame(index=pd.Index(tables.codes, name="cluster"))
    n, arrays = len(tables.codes), tables.arrays
    counts = _rates(asked, asked.cluster, n)
    rows = arrays.rows(round_year, OPERATING)
    at = arrays.unit["cluster"][rows]
    out["in_scope"], out["accepted"] = counts["in_scope"], counts["accepted"]
    out["operating"] = np.bincount(at[at >= 0], minlength=n)
    out["response_share"], out["employment_share"] = counts["response_share"], counts["employment_share"]
    out["copied_share"] = _copied_share(tables, round_year)
    collective = tables.collective[tables.collective["round"] == round_year]
    regions = tables.clusters.drop_duplicates("code").set_index("code")["region"]
    for schedule in ("CLUSTER", "ASSOCIATION"):
        out[schedule.lower()] = out.index.isin(collective.loc[collective["schedule"] == schedule, "cluster"])
    filed = set(collective.loc[collective["schedule"] == "REGION", "region"])
    out["region"] = [regions.get(code) in filed for code in out.index]
    return out


def coverage_by_size(tables: Tables, round_year: int) -> pd.DataFrame:
    """Response by cluster and size class: in_scope, accepted, response_share, employment_share, as in `coverage_of`.

    One row per cluster × SIZE (1–4) that has units in scope.
    """
    asked = _Asked(tables, round_year)
    n = len(tables.codes) * SIZES
    rates = _rates(asked, asked.cluster * SIZES + asked.size - 1, n)
    index = pd.MultiIndex.from_product([tables.codes, range(1, SIZES + 1)], names=["cluster", "size"])
    out = pd.DataFrame(rates, index=index)
    return out[out["in_scope"] > 0]


class _Asked:
    """Units of the frozen frame that were asked: cluster, size, design weight, employment, and what became of them."""

    def __init__(self, tables: Tables, round_year: int):
        arrays, frame = tables.arrays, tables.arrays.frame
        rows = arrays.frame_rows(round_year)
        rows = rows[frame["in_scope"][rows] & frame["drawn"][rows]]
        keys = frame["key"][rows]

        def answered(status: tuple[int, ...]) -> np.ndarray:
            return arrays.look_up(keys, arrays.unit["key"], arrays.rows(round_year, status)) >= 0

        self.cluster, self.size = frame["cluster"][rows], frame["size"][rows]
        self.design, self.employment = frame["design"][rows], frame["employment"][rows]
        self.accepted, self.gone = answered(IN_SCOPE), answered(GONE)
        n = len(tables.codes)
        inside = np.bincount(self.cluster[self.accepted], self.design[self.accepted], n)
        outside = np.bincount(self.cluster[self.gone], self.design[self.gone], n)
        with np.errstate(invalid="ignore"):
            resolved = np.where(inside + outside > 0, inside / (inside + outside), 1.0)
        # How far each unit counts as in scope: all of it, nothing, or as the resolved ones of its cluster do.
        self.counts = np.where(self.accepted, 1.0, np.where(self.gone, 0.0, resolved[self.cluster]))


def _rates(asked: _Asked, group: np.ndarray, n: int) -> dict[str, np.ndarray]:
    """Counts and shares by group, (n,) each; a share is NaN where nobody is in scope."""
    accepted = asked.accepted

    def share(size_of: np.ndarray) -> np.ndarray:
        got = np.bincount(group[accepted], size_of[accepted], n)
        scope = np.bincount(group, size_of * asked.counts, n)
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.where(scope > 0, got / scope, np.nan)

    return {
        "in_scope": np.bincount(group[~asked.gone], minlength=n),
        "accepted": np.bincount(group[accepted], minlength=n),
        "response_share": share(asked.design),
        "employment_share": share(asked.design * asked.employment),
    }


def _copied_share(tables: Tables, round_year: int) -> np.ndarray:
    """Copied-forward returns as a share of the returns with a predecessor (check X20), by cluster."""
    arrays, n = tables.arrays, len(tables.codes)
    now = arrays.rows(round_year, OPERATING)
    earlier = arrays.rows(round_year - 1, OPERATING)
    before = arrays.look_up(arrays.unit["key"][now], arrays.unit["key"], earlier)
    matched = (before >= 0) & (arrays.unit["cluster"][now] >= 0)
    now, before = now[matched], before[matched]
    copied = copied_forward(
        {item: pick(arrays.number(item), now) for item in MONEY_ITEMS},
        {item: pick(arrays.number(item), before) for item in MONEY_ITEMS},
    )
    at = arrays.unit["cluster"][now]
    count = np.bincount(at, minlength=n)
    with np.errstate(invalid="ignore"):
        return np.where(count > 0, np.bincount(at, copied.astype(float), n) / count, np.nan)
