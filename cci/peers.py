"""Whom a cluster is compared with: its ISIC division where enough of it are ranked, else its type. Pure."""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from facts.indicators.tables import Tables

DIVISION, TYPE = "division", "type"


@dataclass(frozen=True)
class Trade:
    """What a cluster makes and is: ISIC division (two digits) and type (CA11); empty where not known."""

    division: str = ""
    type: str = ""


@dataclass(frozen=True)
class Group:
    """Clusters alike. kind : division or type. key : its code. members : the clusters of it, in order of code."""

    kind: str
    key: str
    members: tuple[str, ...]


def trades_of(tables: Tables, round_year: int) -> dict[str, Trade]:
    """Division and type of every cluster, as its return of the round says, else as the register did."""
    clusters = tables.clusters.drop_duplicates("code")
    register = dict(zip(clusters["code"], clusters["sector"].fillna(""), strict=True))
    filed = tables.collective
    filed = filed[(filed["round"] == round_year) & (filed["schedule"] == "CLUSTER")].sort_values("subject")
    answers = {code: json.loads(text) for code, text in zip(filed["cluster"], filed["answers"], strict=True)}
    found = {}
    for code in tables.codes:
        said = answers.get(code, {})
        found[code] = Trade(str(said.get("CA02") or register.get(code, ""))[:2], str(said.get("CA11") or ""))
    return found


def peer_groups(codes: Sequence[str], trades: Mapping[str, Trade], ranked: Sequence[str], least: int) -> dict:
    """The group of each cluster, cluster → Group, or None where fewer than `least` ranked clusters are alike.

    A cluster's group holds the ranked clusters of its division where there are `least` of them, else those of its
    type. One not ranked is looked at beside them and is no member.

    >>> trades = {"A": Trade("13", "sme"), "B": Trade("13", "exp"), "C": Trade("15", "sme"), "D": Trade()}
    >>> groups = peer_groups("ABCD", trades, "ABC", least=2)
    >>> [(group.kind, group.key, group.members) if group else None for group in groups.values()]
    [('division', '13', ('A', 'B')), ('division', '13', ('A', 'B')), ('type', 'sme', ('A', 'C')), None]
    """
    members: dict[tuple[str, str], tuple[str, ...]] = {}
    for kind in (DIVISION, TYPE):
        counted = Counter(getattr(trades[code], kind) for code in ranked)
        for key, n in counted.items():
            if key and n >= least:
                alike = (code for code in sorted(ranked) if getattr(trades[code], kind) == key)
                members[kind, key] = tuple(alike)
    groups: dict[str, Group | None] = {}
    for code in codes:
        own = ((kind, getattr(trades[code], kind)) for kind in (DIVISION, TYPE))
        place = next((place for place in own if place in members), None)
        groups[code] = Group(*place, members[place]) if place else None
    return groups
