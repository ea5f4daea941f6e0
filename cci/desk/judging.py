"""How an edition holds: what its stored audit and its variants say, in words and in rows."""

import re
from collections.abc import Mapping
from math import sqrt
from typing import Any

from cci.bands import letters
from cci.methodology import Method
from cci.models import Edition

TOPICS = {
    "correlation": "Indicators of one group that repeat or oppose each other, or stand apart from their group",
    "consistency": "Groups whose parts do not measure one thing",
    "dimensions": "Groups with more than one dimension in them",
    "size": "Indicators that go with the size of a cluster",
    "observed values": "Distributions to look at",
}
SHORT = {"equal": "Equal", "arithmetic": "Arithmetic", "weights": "Weights", "leave_out": "One left out"}
CORRELATION = re.compile(r"(?:opposed|runs against).*?r = (-?[0-9.]*[0-9])")
CODE = re.compile(r"\b(?:[A-Z][0-9]{0,3}|CCI)\b")
REPEATS = 0.7  # pairs of one group from here on are listed


def names_of(method: Method) -> dict[str, str]:
    """What each code of the hierarchy is called."""
    d = method.definitions
    indicators = {one.code: one.name for one in d.indicators}
    return indicators | {node.code: node.name for node in (*d.dimensions, *d.pillars)} | {"CCI": "Index"}


def rows_of(report: Mapping[str, Any], table: str) -> list[dict[str, Any]]:
    """A table of the stored audit as rows by column; empty where the edition has none."""
    stored = report.get("audit", {}).get("tables", {}).get(table)
    return [dict(zip(stored["columns"], row, strict=True)) for row in stored["rows"]] if stored else []


def chance(n: int) -> float | None:
    """The correlation that n clusters without any connection pass one time in twenty; None below four.

    1.96/√n, the usual large-sample limit.
    """
    return min(1.0, 1.96 / sqrt(n)) if n > 3 else None


def coherence(edition: Edition, method: Method) -> dict[str, Any]:
    """What the coherence page shows of an edition."""
    report, names = edition.report, names_of(method)
    clusters = report.get("audit", {}).get("clusters", 0)
    limit = chance(clusters)
    flags = [one | {"name": names[one["element"]]} for one in rows_of(report, "flags")]
    doubtful = [one for one in flags if _may_be_chance(one["words"], limit)]
    sure = [one for one in flags if one not in doubtful]
    topics = [
        {"title": title, "flags": [plainly(one, names) for one in sure if one["topic"] == topic]}
        for topic, title in TOPICS.items()
    ]
    own = {row["element"]: row for row in rows_of(report, "correlations_with_parents")}
    values = {row["iCode"]: row for row in rows_of(report, "statistics_observed")}
    alpha = {row["group"]: row for row in rows_of(report, "cronbach_alpha") if not row["dropped"]}
    groups = [
        row | {"name": names[row["group"]], "alpha": alpha.get(row["group"], {}).get("alpha")}
        for row in rows_of(report, "principal_component_groups")
    ]
    pairs = [
        row | {"name": names[row["element"]], "other_name": names[row["other"]]}
        for row in rows_of(report, "correlations_within_groups")
        if row["correlation"] is not None and abs(row["correlation"]) >= REPEATS
    ]
    return {
        "clusters": clusters,
        "n_flags": len(sure),
        "doubtful": [plainly(one, names) for one in doubtful],
        "topics": [topic for topic in topics if topic["flags"]],
        "chance": limit,
        "indicators": [
            {"indicator": one, "values": values[one.code], "own": own.get(one.code, {}).get("correlation")}
            for one in method.definitions.indicators
            if one.code in values
        ],
        "groups": groups,
        "pairs": sorted(pairs, key=lambda row: -abs(row["correlation"])),
        "repeats": REPEATS,
    }


def plainly(flag: Mapping[str, Any], names: Mapping[str, str]) -> dict[str, str]:
    """A flag of the audit as a sentence that names what the engine knows by code.

    >>> names = {"O1": "Productivity", "O101": "Value added", "O102": "Net sales", "CCI": "Index"}
    >>> plainly({"element": "O101", "words": "O101 and O102 of O1 are opposed (r = -0.67)."}, names)
    {'subject': '', 'words': 'O101 Value added and O102 Net sales of O1 Productivity are opposed (r = −0.67).'}
    >>> plainly({"element": "O1", "words": "alpha is 0.68 (0.73 without O102)"}, names)
    {'subject': 'O1 Productivity', 'words': 'alpha is 0.68 (0.73 without O102 Net sales)'}
    """
    code, words = flag["element"], flag["words"]

    def named(found: re.Match) -> str:
        return f"{found[0]} {names[found[0]]}" if found[0] in names else found[0]

    subject = "" if words.startswith(f"{code} ") else f"{code} {names[code]}"
    words = CODE.sub(named, words).replace("of CCI Index", "of the index").replace(" -0", " −0").replace("(-0", "(−0")
    words = words.replace("size of the unit (in_scope:", "number of firms in the cluster (")
    return {"subject": subject, "words": words.replace("( r", "(r").replace("denominated", "divided by it")}


def _may_be_chance(words: str, limit: float | None) -> bool:
    """Whether a flag says “against each other” of a correlation no further from 0 than chance carries it."""
    said = CORRELATION.search(words)
    return bool(said and limit is not None and abs(float(said[1])) < limit)


def robustness(edition: Edition, method: Method) -> dict[str, Any]:
    """What the robustness page shows: one query."""
    found, precision = edition.report.get("robustness") or {}, edition.report.get("precision") or {}
    words, names = found.get("families", {}), names_of(method)
    standings = edition.standings.filter(is_ranked=True).select_related("cluster")
    intervals, clusters = precision.get("rank_intervals", {}), found.get("clusters", {})
    rows = [
        {
            "cluster": standing.cluster,
            "band": letters(standing.band - 1) if standing.band else "",
            "shares": clusters.get(standing.cluster.code, {}),
            "intervals": intervals.get(standing.cluster.code, {}),
            "cells": [
                {"label": SHORT.get(code, code), "share": clusters.get(standing.cluster.code, {}).get(code)}
                for code in words
            ],
        }
        for standing in standings
    ]
    rows.sort(key=lambda row: (-(row["shares"].get("share") or 0.0), row["cluster"].name))
    variants = [
        one
        | {
            "words": f"without {names[one['name']]}" if one["family"] == "leave_out" else words[one["family"]],
            "is_mean": one["family"] == "weights",
        }
        for one in found.get("variants", [])
    ]
    return {
        "variants": sorted(variants, key=lambda one: (-one["band_changes"], -one["largest_change"])),
        "rows": rows,
        "families": [
            {"short": SHORT.get(code, code), "words": text, "moved": _moved(rows, code)} for code, text in words.items()
        ],
        "moved": sum(bool(row["shares"].get("share")) for row in rows),
        "error": _monte_carlo(precision),
        "precision": precision,
    }


def _moved(rows: list[dict], family: str) -> list[dict]:
    """The clusters that a family of choices moves out of their band, the most often first."""
    moved = [{"cluster": row["cluster"], "share": row["shares"][family]} for row in rows if row["shares"].get(family)]
    return sorted(moved, key=lambda one: (-one["share"], one["cluster"].name))


def _monte_carlo(precision: Mapping[str, Any]) -> dict[str, float] | None:
    """How far the ends of an interval hang on the draws: the 5 % quantile of n draws lies between these two quantiles
    of all draws nineteen times in twenty; and the standard error of a share of one half, the least sure."""
    draws = precision.get("draws")
    if not draws:
        return None
    reach = 1.96 * sqrt(0.05 * 0.95 / draws)
    return {"draws": draws, "from": max(0.0, 0.05 - reach), "to": 0.05 + reach, "share": 0.5 / sqrt(draws)}
