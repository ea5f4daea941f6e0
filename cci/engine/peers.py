"""Set a unit beside its peers: those of its groups, or those most like it."""

from typing import Any

import numpy as np
import pandas as pd

from cci.engine.analysis.columns import cells
from cci.engine.errors import DataError, unit_name
from cci.engine.ranking import rank
from cci.engine.robustness import refuse_doubles
from cci.engine.tables import FloatArray

BLOCK = 1 << 21  # distances held at once


def within_groups(
    scores: pd.DataFrame,
    groups: pd.DataFrame,
    *,
    min_size: int = 5,
    ties: str = "min",
    tolerance: float = 1e-9,
) -> pd.DataFrame:
    """Set each score beside those of the unit's group. Scores are compared, never scaled anew.

    scores : shape (n_units, n_scores); NaN means none. Where the index is (uCode, Time), a group is that of
        one Time.
    groups : labelled by uCode, one column per grouping (sector, size …); a missing or empty label is no
        group.
    min_size : least number of units of the group with that score; below it the comparison is withheld.

    Returns one row per unit, grouping and score, sorted: uCode (and Time), grouping, group, element, score, n
    (units of the group with it), rank, percentile (share of the others that score less, ties half), best,
    distance_to_best, median, distance_to_median, mean, gap (score - mean), sd (n - 1), z (gap / sd; missing
    where sd is 0), note (`no group`, `fewer than … units`, `no score`, or empty). Raises DataError for a
    unit that stands twice or has no row in groups, and for an infinite score. Method note, section 18.

    >>> scores = pd.DataFrame({"T": [10.0, 20.0, 60.0, 5.0]}, index=pd.Index(list("WXYZ"), name="uCode"))
    >>> groups = pd.DataFrame({"sector": ["hosiery", "hosiery", "hosiery", None]}, index=scores.index)
    >>> found = within_groups(scores, groups, min_size=3)
    >>> found[["uCode", "rank", "percentile", "distance_to_best", "gap", "note"]].to_dict("split")["data"][1:]
    [['X', 2, 0.5, 40.0, -10.0, ''], ['Y', 1, 1.0, 0.0, 30.0, ''], ['Z', None, nan, nan, nan, 'no group']]
    """
    refuse_doubles(scores.index)
    refuse_doubles(groups.index)
    scores = scores.sort_index()
    table = cells(scores)
    codes = scores.index.get_level_values(0)
    absent = codes.difference(groups.index)
    if len(absent):
        raise DataError(
            f"unit {unit_name(absent[0])} has no row in the table of groups; add it, with an empty label if need be.",
            unit=absent[0],
        )
    times = scores.index.get_level_values(-1) if scores.index.nlevels > 1 else np.zeros(len(scores))
    parts = []
    for grouping in groups.columns:
        labels = groups[grouping].reindex(codes).to_numpy(dtype=object)
        labels = np.array([None if pd.isna(label) or label == "" else label for label in labels], dtype=object)
        figures = {name: np.full(table.shape, np.nan) for name in FIGURES}
        keys = pd.DataFrame({"time": times, "label": labels})
        for places in keys.groupby(["time", "label"], sort=True).indices.values():
            found = _standing(table[places], min_size, ties, tolerance)
            for name, values in found.items():
                figures[name][places] = values
        parts.append(_long(scores, str(grouping), labels, figures, min_size, ties))
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame()


FIGURES = (
    *("n", "rank", "percentile", "best", "distance_to_best", "median", "distance_to_median"),
    *("mean", "gap", "sd", "z"),
)


def nearest_peers(features: pd.DataFrame, *, k: int = 15, units: "pd.Index[Any] | None" = None) -> pd.DataFrame:
    """The k units most like each unit, by standardised Euclidean distance.

    features : shape (n_units, n_features), what units are alike in (size, structure; take logarithms of
        sizes first). A unit with a gap is compared with nobody. A feature that is the same everywhere
        tells nobody apart.
    units : whose peers are wanted; without it everybody's.

    Returns one row per unit and peer: uCode, peer, place (1 is nearest), distance (the root of the sum of
    squares of differences, each in standard deviations of its feature); equal distances in the order of
    the codes. Raises DataError for units that stand twice and for infinite values, ValueError for k < 1 or a
    wanted unit that is not there. Method note, section 18.

    >>> features = pd.DataFrame({"log_firms": [1.0, 1.1, 3.0, 3.2]}, index=list("WXYZ"))
    >>> nearest_peers(features, k=1)[["uCode", "peer"]].to_dict("split")["data"]
    [['W', 'X'], ['X', 'W'], ['Y', 'Z'], ['Z', 'Y']]
    """
    if k < 1:
        raise ValueError(f"k is the number of peers, 1 or more, not {k}.")
    refuse_doubles(features.index)
    whole = features.sort_index().dropna()
    table = cells(whole)
    if units is not None and not units.isin(features.index).all():
        raise ValueError(f"The table has no unit {unit_name(units[~units.isin(features.index)][0])}.")
    wanted = np.flatnonzero(whole.index.isin(units)) if units is not None else np.arange(len(whole))
    sd = table.std(axis=0, ddof=1) if len(table) > 1 else np.zeros(table.shape[1])
    varies = (sd > 0) & (table.min(axis=0, initial=np.inf) < table.max(axis=0, initial=-np.inf))
    scaled = table[:, varies] / sd[varies]
    count = min(k, max(len(whole) - 1, 0))
    peers = np.empty((len(wanted), count), dtype=np.intp)
    distances = np.empty((len(wanted), count))
    step = max(1, BLOCK // max(len(whole), 1))
    for start in range(0, len(wanted), step):
        rows = wanted[start : start + step]
        # Feature by feature: no product of matrices, whose last digits would depend on the block.
        square = np.zeros((len(rows), len(whole)))
        for column in scaled.T:
            square += (column[rows, None] - column) ** 2
        square[np.arange(len(rows)), rows] = np.inf
        chosen = _smallest(square, count)
        peers[start : start + step] = chosen
        distances[start : start + step] = np.sqrt(np.take_along_axis(square, chosen, axis=1))
    return pd.DataFrame(
        {
            "uCode": whole.index[wanted].repeat(count),
            "peer": whole.index[peers.ravel()],
            "place": np.tile(np.arange(1, count + 1), len(wanted)),
            "distance": distances.ravel(),
        }
    )


def against_peers(scores: pd.DataFrame, peers: pd.DataFrame, *, min_peers: int = 5, width: float = 1.0) -> pd.DataFrame:
    """Set each unit's scores beside those of its own peers, as in a scorecard.

    scores : shape (n_units, n_scores), labelled by uCode. peers : as `nearest_peers` gives them.
    min_peers : least number of peers with the score. width : standard deviations that make a difference.

    Returns one row per unit and score: uCode, element, score, n (peers with it), mean, median, sd of the
    peers, gap (score - mean), kind: `strength` above mean + width sd, `weakness` below mean - width sd,
    `level` between, empty where there are too few peers, no score, or sd is 0. Raises ValueError for a
    peer that is not in scores. Method note, sections 12 and 18 (Social Progress Index).

    >>> scores = pd.DataFrame({"T": [10.0, 20.0, 60.0]}, index=list("XYZ"))
    >>> peers = pd.DataFrame({"uCode": ["Z", "Z"], "peer": ["X", "Y"]})
    >>> against_peers(scores, peers, min_peers=2)[["uCode", "n", "mean", "gap", "kind"]].to_dict("split")["data"]
    [['Z', 2, 15.0, 45.0, 'strength']]
    """
    refuse_doubles(scores.index)
    absent = pd.Index([*peers["uCode"], *peers["peer"]]).difference(scores.index)
    if len(absent):
        raise ValueError(f"The scores have no unit {unit_name(absent[0])}.")
    of_peers = scores.loc[peers["peer"]].set_axis(pd.Index(peers["uCode"], name="uCode"))
    grouped = of_peers.groupby(level=0, sort=True)
    figures = {name: getattr(grouped, name)() for name in ("count", "mean", "median", "std")}
    own = scores.loc[figures["mean"].index]
    rows, k = own.shape
    table = pd.DataFrame(
        {
            "uCode": own.index.repeat(k),
            "element": np.tile(own.columns.to_numpy(dtype=object), rows),
            "score": own.to_numpy(dtype=np.float64).ravel(),
            "n": figures["count"].to_numpy().ravel(),
            "mean": figures["mean"].to_numpy(dtype=np.float64).ravel(),
            "median": figures["median"].to_numpy(dtype=np.float64).ravel(),
            "sd": figures["std"].to_numpy(dtype=np.float64).ravel(),
        }
    )
    table["gap"] = table["score"] - table["mean"]
    known = (table["n"] >= max(min_peers, 2)) & (table["sd"] > 0) & table["gap"].notna()
    far = width * table["sd"]
    kind = np.select([~known, table["gap"] > far, table["gap"] < -far], ["", "strength", "weakness"], default="level")
    return table.assign(kind=kind)


def _standing(own: FloatArray, min_size: int, ties: str, tolerance: float) -> dict[str, FloatArray]:
    """The figures of one group. own : (n_units, n_scores); withheld where too few have the score."""
    present = ~np.isnan(own)
    n = present.sum(axis=0)
    shown = np.where(n >= max(min_size, 1), own, np.nan)
    frame = pd.DataFrame(shown)
    ranks = rank(frame, ties=ties, tolerance=tolerance).to_numpy(dtype=np.float64, na_value=np.nan)
    middle = ranks if ties == "average" else rank(frame, ties="average", tolerance=tolerance).to_numpy()
    shape = own.shape
    best, median, mean, sd = (
        np.broadcast_to(values.to_numpy(dtype=np.float64), shape)
        for values in (frame.max(), frame.median(), frame.mean(), frame.std())
    )
    equal = np.broadcast_to((frame.max() == frame.min()).to_numpy(), shape)
    with np.errstate(divide="ignore", invalid="ignore"):
        return {
            "n": np.broadcast_to(n, shape),
            "rank": ranks,
            "percentile": np.where(n > 1, (n - middle) / (n - 1), np.nan),
            "best": best,
            "distance_to_best": best - shown,
            "median": median,
            "distance_to_median": shown - median,
            "mean": mean,
            "gap": shown - mean,
            "sd": sd,
            "z": np.where(equal, np.nan, (shown - mean) / sd),
        }


def _long(
    scores: pd.DataFrame, grouping: str, labels: Any, figures: dict[str, FloatArray], min_size: int, ties: str
) -> pd.DataFrame:
    n, k = scores.shape
    table = scores.index.repeat(k).to_frame(index=False)
    table.columns = ["uCode", "Time"][: scores.index.nlevels]
    table["grouping"] = grouping
    table["group"] = np.repeat(labels, k)
    table["element"] = np.tile(scores.columns.to_numpy(dtype=object), n)
    table["score"] = scores.to_numpy(dtype=np.float64).ravel()
    for name in FIGURES:
        table[name] = figures[name].ravel()
    table["n"] = table["n"].astype("Int64")
    if ties != "average":
        table["rank"] = table["rank"].astype("Int64")
    table["note"] = np.select(
        [table["group"].isna(), (table["n"] < min_size).fillna(False), table["score"].isna()],
        ["no group", f"fewer than {min_size} units", "no score"],
        default="",
    )
    return table


def _smallest(square: FloatArray, count: int) -> "np.ndarray[Any, np.dtype[np.intp]]":
    """The columns of the smallest numbers of each row, ascending, ties in the order of columns."""
    if count == 0:
        return np.empty((len(square), 0), dtype=np.intp)
    limit = np.partition(square, count - 1, axis=1)[:, count - 1]
    chosen = np.empty((len(square), count), dtype=np.intp)
    for row, values in enumerate(square):
        near = np.flatnonzero(values <= limit[row])
        chosen[row] = near[np.argsort(values[near], kind="stable")[:count]]
    return chosen
