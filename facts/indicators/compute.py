"""From the tables of a snapshot to indicator values, for all clusters of a round at once."""

import ast
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from functools import cached_property

import numpy as np
import pandas as pd

from facts.checks.copying import MONEY_ITEMS, copied_forward
from facts.expressions.grammar import calls
from facts.validation import Context

from .definitions import Definitions
from .formulas import Columns, evaluate
from .label import label_score
from .weights import SIZES, cell_weights

OPERATING = (1, 2)
IN_SCOPE = (1, 2, 3)
BASE_YEAR = 2020
SMALLEST = 1e-300
FLAG_COLUMNS = ["round", "frame_id", "rule", "severity", "resolution"]
GROWTH_LEAST_UNITS = 8
GROWTH_LEAST_SHARE = 0.40


@dataclass(frozen=True)
class Tables:
    """The content of a snapshot.

    units : one row per accepted unit return: round, cluster, frame_id, and a column per question (multiple answers
        joined by ';', missing = NaN).
    frame : round, cluster, frame_id, size (1–4), prior_employment, in_scope, and, where samples are drawn, member,
        drawn, design_weight.
    collective : round, schedule, subject, cluster, region, answers (JSON) of the other schedules.
    context : country, year, inflation_pct, ppp_lcu_per_usd, fx_lcu_per_usd.
    clusters : code, country, region, sector, fiscal_year_end_month.
    flags : round, frame_id, rule, severity, resolution: what the checks said of the accepted versions.
    """

    units: pd.DataFrame
    frame: pd.DataFrame
    collective: pd.DataFrame
    context: pd.DataFrame
    clusters: pd.DataFrame
    flags: pd.DataFrame = field(default_factory=lambda: pd.DataFrame(columns=FLAG_COLUMNS))

    @cached_property
    def codes(self) -> list[str]:
        """Clusters that have a frame in any round, in order of code."""
        return sorted(set(self.frame["cluster"]))


def compute_round(tables: Tables, round_year: int, definitions: Definitions) -> pd.DataFrame:
    """Compute every indicator of every cluster of one round.

    Returns one row per cluster × indicator: cluster, indicator, value (NaN = missing), status ("A", "E" estimated,
    "O" missing), reason, n_units (NaN where no units enter), coverage (share of accepted operating units).
    """
    columns = _columns(tables, round_year, definitions)
    operating = np.bincount(columns.cluster_of, minlength=columns.n_clusters)
    parts = []
    for indicator in definitions.indicators:
        result = evaluate(indicator.formula, columns, definitions.derived)
        value = result.values
        reason = np.where(np.isnan(value), "not reported", "").astype(object)
        n_units = np.full(columns.n_clusters, np.nan) if result.n_units is None else result.n_units.astype(float)
        with np.errstate(divide="ignore", invalid="ignore"):
            coverage = np.where(operating > 0, n_units / operating, np.nan)
        if result.n_units is not None:
            least = np.maximum(indicator.n_min, GROWTH_LEAST_UNITS if indicator.formula.is_matched else 0)
            thin = n_units < least
            if indicator.formula.is_matched:
                thin |= ~(coverage >= GROWTH_LEAST_SHARE)
            reason[thin & (operating > 0)] = "too few units"
            value = np.where(thin, np.nan, value)
        status = np.where(np.isnan(value), "O", "E" if indicator.estimated else "A")
        parts.append(
            pd.DataFrame(
                {
                    "cluster": tables.codes,
                    "indicator": indicator.code,
                    "value": value,
                    "status": status,
                    "reason": reason,
                    "n_units": n_units,
                    "coverage": coverage,
                }
            )
        )
    return pd.concat(parts, ignore_index=True)


def index_inputs(by_round: Mapping[int, pd.DataFrame], round_year: int, definitions: Definitions) -> pd.DataFrame:
    """Turn values into what enters the index: capped (N5), then smoothed over up to three rounds (N6).

    Returns a frame cluster × indicator; NaN = missing. A value missing in this round stays missing.
    """
    wide = {year: frame.pivot(index="cluster", columns="indicator", values="value") for year, frame in by_round.items()}
    inputs = wide[round_year].copy()
    for indicator in definitions.indicators:
        code = indicator.code
        if indicator.smooth_rounds > 1:
            years = [y for y in sorted(wide) if round_year - indicator.smooth_rounds < y <= round_year]
            mean = pd.concat([_capped(wide[y][code], indicator.cap) for y in years], axis=1).mean(axis=1)
            inputs[code] = mean.where(inputs[code].notna())
        else:
            inputs[code] = _capped(inputs[code], indicator.cap)
        if indicator.transform == "log":
            # Zero or less has no logarithm and lies beyond the lower goalpost: let the scale cut it there.
            inputs[code] = inputs[code].clip(lower=SMALLEST)
    return inputs[[indicator.code for indicator in definitions.indicators]]


def _capped(values: pd.Series, cap: float | None) -> pd.Series:
    return values if cap is None else values.clip(upper=cap)


def coverage_of(tables: Tables, round_year: int) -> pd.DataFrame:
    """Response by cluster: units in scope, accepted, operating, response_share (RRu), employment_share (COVe).

    Also copied_share (X20; NaN without predecessors) and which other schedules are accepted.
    Closed and moved units (UA01 4–6) leave the scope.
    """
    frame = tables.frame[(tables.frame["round"] == round_year) & tables.frame["in_scope"]]
    units = tables.units[tables.units["round"] == round_year]
    status = pd.to_numeric(units.get("UA01"), errors="coerce") if len(units) else pd.Series(dtype=float)
    gone = set(units.loc[status.isin([4, 5, 6]), "frame_id"]) if len(units) else set()
    in_scope = frame[~frame["frame_id"].isin(gone)]
    answered = set(units.loc[status.isin(IN_SCOPE), "frame_id"]) if len(units) else set()
    accepted = in_scope[in_scope["frame_id"].isin(answered)]
    out = pd.DataFrame(index=pd.Index(tables.codes, name="cluster"))
    out["in_scope"] = in_scope.groupby("cluster").size()
    out["accepted"] = accepted.groupby("cluster").size()
    out["operating"] = units[status.isin(OPERATING)].groupby("cluster").size() if len(units) else 0
    out = out.fillna(0).astype(int)
    with np.errstate(divide="ignore", invalid="ignore"):
        out["response_share"] = out["accepted"] / out["in_scope"]
        out["employment_share"] = (
            accepted.groupby("cluster")["prior_employment"].sum()
            / in_scope.groupby("cluster")["prior_employment"].sum()
        )
    collective = tables.collective[tables.collective["round"] == round_year]
    out["copied_share"] = _copied_share(tables, round_year)
    regions = tables.clusters.set_index("code")["region"]
    for schedule in ("CLUSTER", "ASSOCIATION"):
        out[schedule.lower()] = out.index.isin(collective.loc[collective["schedule"] == schedule, "cluster"])
    filed = set(collective.loc[collective["schedule"] == "REGION", "region"])
    out["region"] = [regions.get(code) in filed for code in out.index]
    return out


def _copied_share(tables: Tables, round_year: int) -> pd.Series:
    """Copied-forward returns as a share of the returns with a predecessor (check X20), by cluster."""
    now = _with_status(tables.units, round_year, OPERATING)
    before = _with_status(tables.units, round_year - 1, OPERATING).set_index("frame_id").reindex(now["frame_id"])
    if before.empty or "UA01" not in before:
        return pd.Series(dtype=float)
    items = {name: now.get(name, np.nan) for name in MONEY_ITEMS}
    money = {name: pd.to_numeric(values, errors="coerce").to_numpy(dtype=float) for name, values in items.items()}
    earlier = {name: pd.to_numeric(before[name], errors="coerce").to_numpy(dtype=float) for name in MONEY_ITEMS}
    matched = before["UA01"].notna().to_numpy()
    copied = pd.Series(copied_forward(money, earlier)[matched])
    return copied.groupby(now["cluster"].to_numpy()[matched]).mean()


# --- Columns for formulas ----------------------------------------------------------------


def _columns(tables: Tables, round_year: int, definitions: Definitions) -> Columns:
    """Line up one round: units with weights, cluster-level answers, the same units one round earlier."""
    many = _multiple_names(definitions)
    place = {code: index for index, code in enumerate(tables.codes)}
    # Units that were closed for the year stay in the count that weights rest on; figures come from those that worked.
    present = _with_status(tables.units, round_year, IN_SCOPE)
    works = pd.to_numeric(present["UA01"], errors="coerce").isin(OPERATING).to_numpy()
    now = present[works]
    cluster_of = now["cluster"].map(place).to_numpy(dtype=int)
    units = _arrays(now, many)
    before_all = _with_status(tables.units, round_year - 1, OPERATING)
    before = _arrays(before_all.set_index("frame_id").reindex(now["frame_id"]).reset_index(), many)
    frame = tables.frame[tables.frame["round"] == round_year].set_index("frame_id")
    scope = frame[frame["in_scope"]]
    counts = np.zeros((len(place), SIZES))
    np.add.at(counts, (scope["cluster"].map(place).to_numpy(dtype=int), scope["size"].to_numpy(dtype=int) - 1), 1)
    sales = pd.to_numeric(before_all.get("UC01", pd.Series(dtype=float)), errors="coerce")
    totals = sales.groupby(before_all["cluster"]).sum().reindex(tables.codes).fillna(0).to_numpy(dtype=float)
    earlier = (
        pd.Series(sales.to_numpy(), index=before_all["frame_id"]).reindex(present["frame_id"]).to_numpy(dtype=float)
    )
    weight = cell_weights(
        present["cluster"].map(place).to_numpy(dtype=int),
        frame["size"].reindex(present["frame_id"]).fillna(1).to_numpy(dtype=int),
        counts,
        earlier,
        totals,
    )[works]
    blank = np.full(len(now), np.nan)
    money = {item: units.get(item, blank) for item in MONEY_ITEMS}
    copied = copied_forward(money, {item: before.get(item, blank) for item in MONEY_ITEMS})
    matched = np.isfinite(before.get("UA01", blank)) & ~copied
    clusters = _cluster_columns(tables, round_year, definitions, many)
    previous = Columns(
        units=before,
        cluster_of=cluster_of,
        weight=weight,
        clusters=_money_factors(tables, round_year - 1),
        n_clusters=len(place),
    )
    return Columns(
        units=units,
        cluster_of=cluster_of,
        weight=weight,
        clusters=clusters,
        n_clusters=len(place),
        previous=previous,
        matched_ok=matched,
    )


def _multiple_names(definitions: Definitions) -> set[str]:
    """Questions with several answers: those that has() and COUNT() look into."""
    names = set()
    for indicator in definitions.indicators:
        for function in ("has", "COUNT", "COUNT_EXCL_NONE"):
            for call in calls(indicator.formula.tree, function):
                if isinstance(call.args[0], ast.Name):
                    names.add(call.args[0].id)
    return names


def _with_status(units: pd.DataFrame, round_year: int, status: tuple[int, ...]) -> pd.DataFrame:
    """The accepted units of a round whose status (UA01) is one of those, in order of frame id."""
    rows = units[units["round"] == round_year]
    if "UA01" not in rows:
        return rows.assign(UA01=np.nan)
    return rows[pd.to_numeric(rows["UA01"], errors="coerce").isin(status)].sort_values("frame_id")


def _arrays(rows: pd.DataFrame, many: set[str]) -> dict[str, np.ndarray]:
    arrays: dict[str, np.ndarray] = {}
    for name in rows.columns:
        if name in ("round", "cluster", "frame_id"):
            continue
        if name in many:
            arrays[name] = _split(rows[name])
        else:
            arrays[name] = pd.to_numeric(rows[name], errors="coerce").to_numpy(dtype=float)
    return arrays


def _split(column: pd.Series) -> np.ndarray:
    """Turn "a;b" into ("a", "b"), each different text once."""
    known = {text: tuple(text.split(";")) for text in column.dropna().unique()}
    out = np.empty(len(column), dtype=object)
    out[:] = [known.get(text) for text in column]
    return out


def _money_factors(tables: Tables, round_year: int) -> dict[str, np.ndarray]:
    """REAL, PPP, USD as factors on local money of the round's reference year, and INFL; by cluster.

    REAL = P_base / P_t from chained consumer prices; PPP = 1 / base-year conversion factor; USD = 1 / mean rate.
    """
    year = round_year - 1
    country = tables.clusters.set_index("code")["country"].reindex(tables.codes)
    factors = {name: np.full(len(country), np.nan) for name in ("REAL", "PPP", "USD", "INFL")}
    for code, rows in tables.context.groupby("country"):
        here = (country == code).to_numpy()
        rows = rows.set_index("year").sort_index()
        if year not in rows.index or BASE_YEAR not in rows.index:
            continue
        growth = 1 + rows["inflation_pct"] / 100
        span = [y for y in rows.index if min(year, BASE_YEAR) < y <= max(year, BASE_YEAR)]
        change = float(np.prod([growth[y] for y in span]))
        factors["REAL"][here] = 1 / change if year >= BASE_YEAR else change
        factors["PPP"][here] = 1 / rows.at[BASE_YEAR, "ppp_lcu_per_usd"]
        factors["USD"][here] = 1 / rows.at[year, "fx_lcu_per_usd"]
        factors["INFL"][here] = rows.at[year, "inflation_pct"]
    return factors


def _cluster_columns(
    tables: Tables, round_year: int, definitions: Definitions, many: set[str]
) -> dict[str, np.ndarray]:
    codes = tables.codes
    filed = tables.collective[tables.collective["round"] == round_year]
    clusters = tables.clusters.set_index("code")
    of_region = {
        region: json.loads(answers)
        for region, answers in filed.loc[filed["schedule"] == "REGION", ["region", "answers"]].itertuples(index=False)
    }
    of_cluster = {
        code: json.loads(answers)
        for code, answers in filed.loc[filed["schedule"] == "CLUSTER", ["cluster", "answers"]].itertuples(index=False)
    }
    associations: dict[str, list[dict]] = {}
    rows = filed.loc[filed["schedule"] == "ASSOCIATION", ["cluster", "answers"]]
    for code, answers in rows.itertuples(index=False):
        associations.setdefault(code, []).append(json.loads(answers))
    answers_of = [
        {
            **of_cluster.get(code, {}),
            **of_region.get(clusters["region"].get(code), {}),
            **_joined(associations.get(code, [])),
        }
        for code in codes
    ]
    names = {name for answers in answers_of for name in answers}
    columns: dict[str, np.ndarray] = {}
    for name in names:
        if name in many:
            several = np.empty(len(codes), dtype=object)
            several[:] = [tuple(answers[name]) if name in answers else None for answers in answers_of]
            columns[name] = several
        else:
            columns[name] = np.array([_number(answers.get(name)) for answers in answers_of])
    frame = tables.frame[(tables.frame["round"] == round_year) & tables.frame["in_scope"]]
    columns["FRAME"] = frame.groupby("cluster").size().reindex(codes).to_numpy(dtype=float)
    region = clusters["region"].reindex(codes)
    employment = frame.groupby("cluster")["prior_employment"].sum().reindex(codes)
    columns["RCE"] = region.map(employment.groupby(region.to_numpy()).sum()).to_numpy(dtype=float)
    columns |= _money_factors(tables, round_year)
    year_end = clusters["fiscal_year_end_month"].reindex(codes)
    for part, name in (("G", "LABEL_G"), ("S", "LABEL_S")):
        columns[name] = np.array(
            [
                max(label_score(definitions.label[part], a, _context(year_end[code], round_year)) for a in found)
                if (found := associations.get(code))
                else np.nan
                for code in codes
            ]
        )
    return columns


def _number(value) -> float:
    return float(value) if isinstance(value, int | float) else np.nan


def _joined(associations: list[dict]) -> dict:
    """One set of answers for a cluster with several associations: counts and money add up, the rest follows the
    association with most members."""
    if len(associations) <= 1:
        return associations[0] if associations else {}
    largest = max(associations, key=lambda answers: answers.get("AB01") or 0)
    joined = dict(largest)
    for name in largest:
        if name[:2] in ("AB", "AD", "AF", "AG") or name == "AC01":
            values = [answers.get(name) for answers in associations]
            numbers = [value for value in values if isinstance(value, int | float)]
            if numbers and not isinstance(largest[name], list):
                joined[name] = sum(numbers)
    return joined


def fiscal_year_end(month: float, round_year: int) -> date:
    """The last day of the fiscal year that a round asks about: it ended between July R−1 and June R."""
    year = round_year - 1 if month >= 7 else round_year
    return (pd.Timestamp(year=year, month=int(month), day=1) + pd.offsets.MonthEnd(0)).date()


def _context(month: float, round_year: int) -> Context:
    end = fiscal_year_end(month, round_year) if month == month else None
    return Context(ref_year=round_year - 1, today=date(round_year, 12, 31), fy_end=end)
