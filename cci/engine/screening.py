"""Keep the units, and the indicators, that have enough data."""

import math
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cci.engine.errors import ConfigError
from cci.engine.meta import Hierarchy

METHODS = ("by_na", "by_zeros", "by_na_and_zeros")
BoolArray = NDArray[np.bool_]
NO_GROUPS: Mapping[int, float] = {}


def screen(
    values: pd.DataFrame,
    *,
    method: str = "by_na",
    min_available: float = 2 / 3,
    min_nonzero: float = 0.05,
    include: Sequence[str] = (),
    exclude: Sequence[str] = (),
    exact_counts: bool = True,
    hierarchy: Hierarchy | None = None,
    group_min_available: Mapping[int, float] = NO_GROUPS,
) -> pd.DataFrame:
    """Count each unit's data and say which units stay.

    values : shape (n_units, n_indicators), each column in its own unit; NaN means missing.
    method : `by_na` keeps a unit whose share of available indicators reaches `min_available`;
        `by_zeros` one whose share of non-zero values among the available reaches `min_nonzero`;
        `by_na_and_zeros` asks for both. A unit without any data has no share of non-zero values and
        fails `by_zeros`.
    group_min_available : by level of the `hierarchy`, the share of indicators that a unit needs below
        *each* aggregate of that level, beside the rule of the method: {2: 0.5} asks for half of every
        pillar.
    include, exclude : unit codes that stay or leave whatever their data; who is in both leaves.
    exact_counts : compare whole counts, n_available >= ceil(share * n - 1e-9). False compares
        1 - missing / n with the share in floating point, as COINr does, which drops a unit with 66 of
        100 indicators at 0.66.

    Returns, labelled as the units, the columns `available`, `zeros` (counts), `available_share`,
    `nonzero_share` (NaN without data), `kept` (bool) and `reason` (why a unit left, or stayed against
    the rules; else empty). Raises ConfigError for a share beyond 0 to 1 and a level without aggregates.
    Method note, section 1 (COINr `Screen`).

    >>> values = pd.DataFrame({"a": [1.0, None], "b": [0.0, None], "c": [2.0, 5.0]}, index=["X", "Y"])
    >>> table = screen(values, min_available=2 / 3)
    >>> table["kept"].to_dict(), table["reason"]["Y"]
    ({'X': True, 'Y': False}, 'fewer than 2 of 3 indicators available')
    """
    if method not in METHODS:
        raise ValueError(f"{method!r} is no screening method; choose {', '.join(METHODS)}.")
    _check_share(min_available, "min_available")
    _check_share(min_nonzero, "min_nonzero")
    table = _counts(values)
    available, zeros = table["available"].to_numpy(), table["zeros"].to_numpy()
    rules: list[tuple[BoolArray, str]] = []  # who passes, and what to say of the others
    if method != "by_zeros":
        enough, needed = _reaches(available, values.shape[1], min_available, exact_counts)
        rules.append((enough, f"fewer than {needed} of {values.shape[1]} indicators available"))
    if method != "by_na":
        if exact_counts:
            enough = available - zeros >= np.ceil(min_nonzero * available - 1e-9)
        else:
            enough = table["nonzero_share"].to_numpy() >= min_nonzero
        text = f"a share of less than {min_nonzero:g} of the values is not zero"
        rules.append((enough & (available > 0), text))
    for aggregate, members, share in _groups(group_min_available, hierarchy):
        present = values[members].notna().to_numpy().sum(axis=1)
        enough, needed = _reaches(present, len(members), share, exact_counts)
        rules.append((enough, f"fewer than {needed} of {len(members)} indicators available in {aggregate}"))

    codes = values.index.get_level_values(0)
    by_rule = np.logical_and.reduce([enough for enough, _ in rules])
    stays, leaves = codes.isin(include), codes.isin(exclude)
    table["kept"] = (by_rule | stays) & ~leaves
    reasons = np.full(len(table), "", dtype=object)
    for row in np.flatnonzero(~by_rule):
        reasons[row] = "; ".join(text for enough, text in rules if not enough[row])
    reasons[~by_rule & stays] += " (kept by `include`)"
    reasons[leaves] = "named in `exclude`"
    table["reason"] = reasons
    return table


def screen_indicators(values: pd.DataFrame, *, min_available: float = 0.65, exact_counts: bool = True) -> pd.DataFrame:
    """Count each indicator's data and say which indicators have values for enough units.

    values : shape (n_units, n_indicators); NaN means missing.
    min_available : the share of units; 0.65 is the rule of thumb of the European Commission's COIN Tool.

    Returns, labelled as the indicators, `available` (count), `available_share` and `kept` (bool).
    Nothing is removed here: dropping an indicator changes the hierarchy, which is the author's decision.
    Method note, section 1.

    >>> values = pd.DataFrame({"a": [1.0, 2.0, 3.0], "b": [1.0, None, None]})
    >>> screen_indicators(values)["kept"].to_dict()
    {'a': True, 'b': False}
    """
    _check_share(min_available, "min_available")
    available = values.notna().to_numpy().sum(axis=0)
    kept, _ = _reaches(available, len(values), min_available, exact_counts)
    share = _share(available, len(values))
    return pd.DataFrame({"available": available, "available_share": share, "kept": kept}, index=values.columns)


def availability(values: pd.DataFrame, hierarchy: Hierarchy) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Count what each unit has, over all and below each aggregate.

    values : shape (n_units, n_indicators); NaN means missing.

    Returns two tables labelled as the units. The first holds the columns `available`, `missing`,
    `zeros` (counts), `available_share` and `nonzero_share` (NaN without data); the second, for each
    aggregate, the share of the indicators below it, at whatever depth, that are available.
    Method note, section 1 (COINr `get_data_avail`).

    >>> from cci.engine.meta import read_meta
    >>> tree = read_meta(pd.DataFrame({"Level": [1, 1, 2], "iCode": ["a", "b", "T"],
    ...     "Parent": ["T", "T", ""], "Direction": [1, 1, 1], "Weight": [1, 1, 1]}))
    >>> units, groups = availability(pd.DataFrame({"a": [1.0], "b": [None]}, index=["X"], dtype=float), tree)
    >>> int(units.loc["X", "missing"]), float(groups.loc["X", "T"])
    (1, 0.5)
    """
    table = _counts(values[list(hierarchy.indicators)])
    table.insert(1, "missing", len(hierarchy.indicators) - table["available"])
    shares = {}
    for aggregate in hierarchy.aggregates:
        members = indicators_below(hierarchy, aggregate)
        shares[aggregate] = _share(values[members].notna().to_numpy().sum(axis=1), len(members))
    return table, pd.DataFrame(shares, index=values.index)


def indicators_below(hierarchy: Hierarchy, aggregate: str) -> list[str]:
    """The indicators below an aggregate, at whatever depth, in the order of the meta.

    >>> from cci.engine.meta import read_meta
    >>> tree = read_meta(pd.DataFrame({"Level": [1, 1, 2, 3], "iCode": ["b", "a", "P", "T"],
    ...     "Parent": ["P", "P", "T", ""], "Direction": [1, 1, 1, 1], "Weight": [1, 1, 1, 1]}))
    >>> indicators_below(tree, "T")
    ['b', 'a']
    """
    found = set()
    for code in hierarchy.indicators:
        step: str | None = code
        while step is not None and step != aggregate:
            step = hierarchy.parents.get(step)
        if step is not None:
            found.add(code)
    return [code for code in hierarchy.indicators if code in found]


def _counts(values: pd.DataFrame) -> pd.DataFrame:
    cells = values.to_numpy(dtype=np.float64)
    available = np.count_nonzero(~np.isnan(cells), axis=1)
    zeros = np.count_nonzero(cells == 0, axis=1)
    nonzero_share = np.full(len(available), np.nan)
    np.divide(zeros, available, out=nonzero_share, where=available > 0)
    return pd.DataFrame(
        {
            "available": available,
            "zeros": zeros,
            "available_share": _share(available, cells.shape[1]),
            "nonzero_share": 1 - nonzero_share,
        },
        index=values.index,
    )


def _share(available: "NDArray[np.int64]", n: int) -> "NDArray[np.float64]":
    """Shares as COINr computes them, 1 - missing / n; NaN where there is nothing to have."""
    return 1 - (n - available) / n if n else np.full(len(available), np.nan)


def _reaches(available: "NDArray[np.int64]", n: int, share: float, exact: bool) -> tuple[BoolArray, int]:
    """Whether each count reaches a share of n, and the count that does."""
    needed = math.ceil(share * n - 1e-9)
    return (available >= needed) if exact or not n else (_share(available, n) >= share), needed


def _groups(limits: Mapping[int, float], hierarchy: Hierarchy | None) -> Iterable[tuple[str, list[str], float]]:
    if not limits:
        return
    if hierarchy is None:
        raise ValueError("group_min_available needs the hierarchy, which says who belongs to a group.")
    for level, share in sorted(limits.items()):
        _check_share(share, "group_min_available")
        aggregates = hierarchy.at_level(level) if level > 1 else []
        if not aggregates:
            raise ConfigError(
                f"level {level} has no aggregates; choose 2 to {hierarchy.top_level}.",
                table="screen",
                key="group_min_available",
            )
        for aggregate in aggregates:
            yield aggregate, indicators_below(hierarchy, aggregate), share


def _check_share(share: float, key: str) -> None:
    if not 0 <= share <= 1:
        raise ConfigError(f"{share!r} is no share; write 0 to 1.", table="screen", key=key)
