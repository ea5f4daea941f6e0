"""X20–X30: one cluster, or one field worker, in one round. Figures are shares and counts, never a firm's."""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from .findings import CLUSTER_COLUMNS, CRITICAL, INFO, WARN, WORKER_COLUMNS, plain
from .table import CheckTable
from .units import copies_of, unit_findings, x05

BENFORD = np.log10(1 + 1 / np.arange(1, 10))


def cluster_figures(table: CheckTable) -> pd.DataFrame:
    """The figures behind reliability, by cluster (index: code).

    copied_share (X20), matched : returns with a predecessor, and which part of them is copied forward.
    heaping (X22). under_reporting : share of `checked` returns with X05. electricity_ratio (X25), export_ratio (X26).
    NaN where there is nothing to judge by.
    """
    matched = _per_cluster(table, table.matched)
    copied = _per_cluster(table, table.matched & copies_of(table).either)
    signal, checked = x05(table)
    checked_units = _per_cluster(table, checked)
    flagged = pd.Series(table.frame_id).isin(signal["frame_id"]).to_numpy()
    return pd.DataFrame(
        {
            "copied_share": _share(copied, matched),
            "matched": matched,
            "heaping": _share(*_heaped(table)),
            "under_reporting": _share(_per_cluster(table, flagged), checked_units),
            "checked": checked_units,
            "electricity_ratio": control_ratio(table, "UD03", "CV02"),
            "export_ratio": control_ratio(table, "UC02", "CV01", table.clusters["USD"]),
        },
        index=pd.Index(table.codes, name="cluster"),
    )


def cluster_findings(table: CheckTable) -> pd.DataFrame:
    """Run X20–X29: one row for each check that spoke of a cluster, see `findings.CLUSTER_COLUMNS`."""
    figures = cluster_figures(table)
    found: list[tuple[str, str, str, dict]] = []
    for code, row in zip(table.codes, figures.to_dict("records"), strict=True):
        found += [(code, rule, severity, numbers) for rule, severity, numbers in _from_figures(table, row)]
    for check in (_one_growth_rate, _heaped_employment, _bunching, _register, _members, _first_digits):
        found += check(table)
    found.sort(key=lambda one: one[:2])
    rows = [(*one[:3], {name: plain(value) for name, value in one[3].items()}) for one in found]
    return pd.DataFrame(rows, columns=CLUSTER_COLUMNS)


def _from_figures(table: CheckTable, row: Mapping):
    """X20, X22, X25 and X26 of one cluster: (rule, severity, numbers)."""
    p = table.parameters("X20")
    if p and row["copied_share"] > p["warn"]:
        numbers = {"share": row["copied_share"], "returns": row["matched"], "limit": p["warn"], "stop": p["critical"]}
        yield "X20", CRITICAL if row["copied_share"] > p["critical"] else WARN, numbers
    p = table.parameters("X22")
    if p and row["heaping"] > p["warn"]:
        yield "X22", CRITICAL if row["heaping"] > p["critical"] else WARN, {"share": row["heaping"], "limit": p["warn"]}
    for rule, ratio in (("X25", row["electricity_ratio"]), ("X26", row["export_ratio"])):
        p = table.parameters(rule)
        if p and np.isfinite(ratio) and not p["low"] <= ratio <= p["high"]:
            capped = not p["outer_low"] <= ratio <= p["outer_high"]
            numbers = {"ratio": ratio, "low": p["low"], "high": p["high"], "caps": capped}
            yield rule, CRITICAL if capped else WARN, numbers


def control_ratio(table: CheckTable, question: str, claim: str, factor: np.ndarray | None = None) -> np.ndarray:
    """(n_clusters,) weighted sum of a question over what somebody else counted; NaN where either is not there."""
    answered = np.isfinite(table.now[question])
    total = np.bincount(
        table.cluster_of[answered],
        weights=(table.weight * np.nan_to_num(table.now[question]))[answered],
        minlength=table.n_clusters,
    )
    total = np.where(_per_cluster(table, answered) > 0, total, np.nan)
    if factor is not None:
        total = total * factor
    outside = table.clusters[claim]
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(outside > 0, total / outside, np.nan)


# --- X21–X29 ------------------------------------------------------------------------------------------------


def _one_growth_rate(table: CheckTable) -> list:
    """X21: many units with the same growth of sales, to a tenth of a percentage point."""
    p = table.parameters("X21")
    with np.errstate(divide="ignore", invalid="ignore"):
        growth = table.now["UC01"] / table.before["UC01"] - 1
        growth = np.where((table.now["UC01"] > 0) & (table.before["UC01"] > 0), np.rint(growth * 1000), np.nan)
    found = []
    for place, values in _by_cluster(table.cluster_of, growth):
        if p is None or len(values) < p["least"]:
            continue
        rates, times = np.unique(values, return_counts=True)
        mode = times.argmax()
        share = times[mode] / len(values)
        if times[mode] >= p["least_at_mode"] and share > p["warn"]:
            severity = CRITICAL if share > p["critical"] else WARN
            numbers = {"share": share, "growth": rates[mode] / 1000, "returns": len(values), "limit": p["warn"]}
            found.append((table.codes[place], "X21", severity, numbers))
    return found


def significant_digits_at_most(values: np.ndarray, digits: int) -> np.ndarray:
    """Whether a figure above zero has so many digits at most before only zeros follow."""
    with np.errstate(divide="ignore", invalid="ignore"):
        power = np.floor(np.log10(values) + 1e-12)
        scaled = values / 10.0 ** (power - digits + 1)
        return np.abs(scaled - np.rint(scaled)) < 1e-9 * np.maximum(scaled, 1)


def heaped_of_units(table: CheckTable) -> tuple[np.ndarray, np.ndarray]:
    """(n,) money figures that are heaped, and money figures that count: those from 100 up (X22)."""
    p = table.parameters("X22") or {"smallest": 100, "digits": 2}
    money = table.items(table.now)
    with np.errstate(invalid="ignore"):
        counted = money >= p["smallest"]
        heaped = counted & significant_digits_at_most(money, p["digits"])
    return heaped.sum(axis=0), counted.sum(axis=0)


def _heaped(table: CheckTable) -> tuple[np.ndarray, np.ndarray]:
    heaped, counted = heaped_of_units(table)
    return tuple(  # type: ignore[return-value]
        np.bincount(table.cluster_of, weights=part, minlength=table.n_clusters) for part in (heaped, counted)
    )


def _heaped_employment(table: CheckTable) -> list:
    """X23: persons that end in 0 or 5, against one in five."""
    p = table.parameters("X23")
    found = []
    for place, persons in _by_cluster(table.cluster_of, table.now["UB01"]):
        if p is None:
            continue
        large = persons[persons >= p["persons"]]
        index = np.isin(large % 10, (0, 5)).mean() / 0.20 if len(large) else 0.0
        if len(large) >= p["least"] and index > p["warn"]:
            numbers = {"index": index, "returns": len(large), "limit": p["warn"]}
            found.append((table.codes[place], "X23", WARN, numbers))
    return found


def _bunching(table: CheckTable) -> list:
    """X24: returns crowded just below a limit for benefits of the country."""
    p = table.parameters("X24")
    if p is None:
        return []
    found = []
    for limit in table.rules.limits_in(table.round_year):
        assert limit.value is not None
        for place, values in _by_cluster(table.cluster_of, table.now[limit.question]):
            if table.countries[place] != limit.country:
                continue
            below = int(((values >= p["below"] * limit.value) & (values < limit.value)).sum())
            above = int(((values >= limit.value) & (values < p["above"] * limit.value)).sum())
            if below + above < p["least"]:
                continue
            ratio, errors = below / max(above, 1), (below - above) / np.sqrt(below + above)
            if ratio > p["ratio"] and errors > p["errors"]:
                numbers = {
                    "question": limit.question,
                    "limit": limit.value,
                    "name": limit.name,
                    "below": below,
                    "above": above,
                    "errors": errors,
                    "demonstration": limit.demonstration,
                }
                found.append((table.codes[place], "X24", WARN, numbers))
    # A cluster may bunch under several limits: one finding, that of the clearest.
    clearest: dict[str, tuple] = {}
    for one in found:
        if one[0] not in clearest or one[3]["errors"] > clearest[one[0]][3]["errors"]:
            clearest[one[0]] = one
    return list(clearest.values())


def _register(table: CheckTable) -> list:
    """X27: more units in the tax register than in the frame."""
    p = table.parameters("X27")
    if p is None:
        return []
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = table.clusters["CV03"] / table.clusters["FRAME"]
    return [
        (
            table.codes[place],
            "X27",
            WARN,
            {
                "registered": table.clusters["CV03"][place],
                "frame": table.clusters["FRAME"][place],
                "limit": p["warn"],
            },
        )
        for place in np.flatnonzero(np.isfinite(ratio) & (ratio > p["warn"]))
    ]


def _members(table: CheckTable) -> list:
    """X28: what the association claims against what its firms say."""
    p = table.parameters("X28")
    if p is None:
        return []
    answered = np.isfinite(table.now["UH01"])
    weight = np.where(answered, table.weight, 0.0)
    total = np.bincount(table.cluster_of, weights=weight, minlength=table.n_clusters)
    says = np.bincount(table.cluster_of, weights=weight * (table.now["UH01"] == 1), minlength=table.n_clusters)
    with np.errstate(divide="ignore", invalid="ignore"):
        claimed, confirmed = table.clusters["AB01"] / table.clusters["FRAME"], says / total
        apart = np.abs(claimed - confirmed)
    return [
        (
            table.codes[place],
            "X28",
            WARN,
            {"claimed": claimed[place], "confirmed": confirmed[place], "limit": p["warn"]},
        )
        for place in np.flatnonzero(np.isfinite(apart) & (apart > p["warn"]))
    ]


def _first_digits(table: CheckTable) -> list:
    """X29: mean absolute deviation of first digits from Benford's law."""
    p = table.parameters("X29")
    if p is None:
        return []
    money = table.items(table.now)
    with np.errstate(divide="ignore", invalid="ignore"):
        first = np.floor(money / 10.0 ** np.floor(np.log10(money) + 1e-12))
        first = np.where(money > 0, first, np.nan)
    found = []
    several = np.tile(table.cluster_of, len(money))
    for place, digits in _by_cluster(several, first.ravel()):
        values = digits.astype(int)
        if len(values) < p["least"]:
            continue
        observed = np.bincount(np.clip(values, 1, 9), minlength=10)[1:] / len(values)
        distance = float(np.abs(observed - BENFORD).mean())
        if distance > p["warn"]:
            numbers = {"distance": distance, "figures": len(values), "limit": p["warn"]}
            found.append((table.codes[place], "X29", INFO, numbers))
    return found


# --- X30 ----------------------------------------------------------------------------------------------------


def doubtful_returns(table: CheckTable, findings: pd.DataFrame | None = None) -> pd.DataFrame:
    """What X30 needs of some clusters: worker (None: nobody in the field), returns, doubtful; one row per worker.

    Doubtful: X05 or X08 spoke, or most of the return's money figures are rounded.
    """
    findings = unit_findings(table) if findings is None else findings
    p = table.parameters("X30")
    if p is None or not len(table):
        return pd.DataFrame(columns=["worker", "returns", "doubtful"])
    spoke = findings.loc[findings["rule"].isin(["X05", "X08"]), "frame_id"].to_numpy()
    heaped, counted = heaped_of_units(table)
    rounded = (counted >= p["figures"]) & (heaped > p["heaped"] * counted)
    doubtful = pd.Series(table.frame_id).isin(spoke).to_numpy() | rounded
    rows = pd.DataFrame({"worker": table.worker, "returns": 1, "doubtful": doubtful.astype(int)})
    return rows.groupby("worker", dropna=False, sort=True)[["returns", "doubtful"]].sum().reset_index()


def worker_findings(counts: pd.DataFrame, parameters: Mapping | None) -> pd.DataFrame:
    """X30 over a whole round, from the rows of `doubtful_returns` of all its clusters."""
    found: list[tuple] = []
    if parameters is not None and len(counts):
        returns, doubtful = counts["returns"].sum(), counts["doubtful"].sum()
        mean = doubtful / returns
        by_worker = counts.dropna(subset=["worker"]).groupby("worker")[["returns", "doubtful"]].sum()
        for worker, n, odd in by_worker.itertuples():
            if n < parameters["least"] or not 0 < mean < 1:
                continue
            errors = (odd / n - mean) / np.sqrt(mean * (1 - mean) / n)
            if errors > parameters["errors"]:
                numbers = {"returns": n, "share": odd / n, "mean": mean, "errors": errors}
                found.append((worker, "X30", WARN, {name: plain(value) for name, value in numbers.items()}))
    return pd.DataFrame(found, columns=WORKER_COLUMNS)


# --- Small things -------------------------------------------------------------------------------------------


def _per_cluster(table: CheckTable, keep: np.ndarray) -> np.ndarray:
    return np.bincount(table.cluster_of[keep], minlength=table.n_clusters)


def _share(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(whole > 0, part / whole, np.nan)


def _by_cluster(cluster_of: np.ndarray, values: np.ndarray):
    """Yield (place, values that are there) of each cluster with any."""
    keep = np.isfinite(values)
    order = np.argsort(cluster_of[keep], kind="stable")
    at, sorted_values = cluster_of[keep][order], values[keep][order]
    edges = np.flatnonzero(np.diff(at)) + 1
    for part_at, part in zip(np.split(at, edges), np.split(sorted_values, edges), strict=True):
        if len(part):
            yield int(part_at[0]), part
