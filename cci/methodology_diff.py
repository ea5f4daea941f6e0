"""What differs between two methodologies, in plain names. Pure.

Hierarchy, weights, directions, formulas, goalposts, engine options, thresholds and words, each as a path with what
stood there before and what stands there after.
"""

import datetime as dt
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from .methodology import Method

GROUPS = {
    "hierarchy": "What is measured, and where it stands",
    "weights": "Weights",
    "directions": "Directions",
    "formulas": "Formulas and rules of an indicator",
    "goalposts": "Goalposts",
    "engine": "How it is computed",
    "thresholds": "Thresholds and seeds",
    "words": "Words",
}
WORDS = ("title", "author", "checker", "review_on", "summary", "rule")
WHERE_THINGS_LIE = ("version", "indicators", "engine")  # names of files, and what is compared by itself
NAMES = {
    "engine.aggregate.method": "How each level is joined",
    "engine.aggregate.floor": "Least value that enters, by level",
    "engine.aggregate.min_available": "Least share of components there, by level",
    "engine.aggregate.min_weight_share": "Least share of the weight there, by level",
    "engine.aggregate.min_components": "Least number of components there, by level",
    "engine.normalise.method": "How values are scaled",
    "engine.normalise.clip": "Cut to 0–100",
    "engine.rank.ties": "How ties are ranked",
    "engine.rank.tolerance": "Scores this close are a tie",
    "base_rounds": "Rounds behind the goalposts",
    "proxy_rounds": "Rounds in which an estimate may stand in",
    "comparable_since": "Comparable since round",
    "publication.response_share": "Least response to publish values",
    "publication.employment_share": "Least employment covered to publish values",
    "publication.units": "Least firms to publish values",
    "publication.least_contributors": "Least firms behind a value",
    "publication.least_for_shares": "Least firms behind a share or median",
    "uncertainty.replicates": "Replicates of the firms",
    "uncertainty.draws": "Draws of the weights",
    "uncertainty.concentration": "How close drawn weights stay to the base weights",
    "uncertainty.seed_per_round": "Seed, per round",
    "imputation.items": "Money items that may be estimated",
    "imputation.least_peers": "Least peers behind an estimate",
    "imputation.most_share": "Most sales that estimates of one item may hold",
    "imputation.said_from": "Sales share from which a value is called estimated",
}
OF_INDICATOR = {
    "formula": "formula",
    "aggregation": "aggregation",
    "unit": "unit",
    "transform": "scale",
    "cap": "cap",
    "n_min": "least firms",
    "smooth_rounds": "rounds it is averaged over",
    "estimated": "is an estimate",
}
WORDS_OF_INDICATOR = {"name": "name", "guard": "guard", "why": "why it matters", "note": "note"}


@dataclass(frozen=True)
class Difference:
    """One place where two methodologies differ.

    group : a key of `GROUPS`. path : where it stands, stable. name : the same in plain words. before, after : as text,
    empty where there is nothing.
    """

    group: str
    path: str
    name: str
    before: str
    after: str

    @property
    def kind(self) -> str:
        """added, removed, moved (in the hierarchy) or changed."""
        if not self.before:
            return "added"
        if not self.after:
            return "removed"
        return "moved" if self.group == "hierarchy" else "changed"


def differences(before: Method, after: Method) -> list[Difference]:
    """Every difference, in the order of `GROUPS`, then of the paths. The same methodology gives none.

    What belongs to a node that was added or removed is told with the node, not line by line.
    """
    old, new = dict(_parts(before)), dict(_parts(after))
    gone, come = _nodes(before).keys() - _nodes(after).keys(), _nodes(after).keys() - _nodes(before).keys()
    found = []
    for key in {**old, **new}:
        group, path = key
        node = path.split(".")[1] if path.startswith(("node.", "goalpost.")) else ""
        if node in gone | come and not path.endswith(".parent"):
            continue
        (name, was), (_, now) = old.get(key) or new[key], new.get(key) or old[key]
        text_before, text_after = (_text(was) if key in old else "", _text(now) if key in new else "")
        if text_before != text_after:
            found.append(Difference(group, path, (new.get(key) or (name,))[0], text_before, text_after))
    order = list(GROUPS)
    return sorted(found, key=lambda one: (order.index(one.group), one.path))


def grouped(found: list[Difference]) -> list[tuple[str, list[Difference]]]:
    """The differences by group, in order, with the title of each group that has any."""
    parts = [(title, [one for one in found if one.group == group]) for group, title in GROUPS.items()]
    return [(title, part) for title, part in parts if part]


def _nodes(method: Method) -> dict[str, str]:
    """Names of all nodes and indicators by code."""
    definitions = method.definitions
    nodes = {node.code: node.name for node in (*definitions.pillars, *definitions.dimensions)}
    return nodes | {indicator.code: indicator.name for indicator in definitions.indicators}


def _parts(method: Method) -> Iterator[tuple[tuple[str, str], tuple[str, Any]]]:
    """Everything that can differ: ((group, path), (name, value))."""
    definitions, names = method.definitions, _nodes(method) | {"CCI": "the index"}
    for node in (*definitions.pillars, *definitions.dimensions):
        yield from _placed(node.code, node.name, node.parent, node.weight, names)
        yield ("words", f"node.{node.code}.name"), (f"{node.code}: name", node.name)
    for one in definitions.indicators:
        yield from _placed(one.code, one.name, one.dimension, one.weight, names)
        title = f"{one.code} {one.name}"
        way = "more is better" if one.direction > 0 else "less is better"
        yield ("directions", f"node.{one.code}.direction"), (title, way)
        for field, words in OF_INDICATOR.items():
            value = one.formula.text if field == "formula" else getattr(one, field)
            yield ("formulas", f"node.{one.code}.{field}"), (f"{title}: {words}", value)
        for field, words in WORDS_OF_INDICATOR.items():
            yield ("words", f"node.{one.code}.{field}"), (f"{one.code}: {words}", getattr(one, field))
    for code, formula in definitions.derived.items():
        yield ("formulas", f"derived.{code}"), (f"Derived variable {code}", formula.text)
        yield ("words", f"derived.{code}.meaning"), (f"Derived variable {code}: meaning", definitions.meanings[code])
    for part, criteria in definitions.label.items():
        for criterion in criteria:
            steps = "; ".join(f"{condition.text} gives {points}" for condition, points in criterion.steps)
            path, name = f"label.{part}.{criterion.code}", f"Quality label {part}, criterion {criterion.code}"
            yield ("thresholds", path), (name, steps)
    yield from _goalposts(method, names)
    yield from _options(method)


def _placed(code: str, name: str, parent: str, weight: float, names: Mapping[str, str]):
    place = names[parent] if parent == "CCI" else f"{parent} {names[parent]}"
    yield ("hierarchy", f"node.{code}.parent"), (f"{code} {name}", f"in {place}")
    yield ("weights", f"node.{code}.weight"), (f"{code} {name}, inside {place}", weight)


def _goalposts(method: Method, names: Mapping[str, str]):
    """Every column of every row but what it is of; those of a peer group beside those of all."""
    words = {"lo": "lower goalpost", "hi": "upper goalpost", "transform": "scale"}
    for row in (*method.goalposts.to_dict("records"), *method.peer_goalposts.to_dict("records")):
        code, group = str(row["iCode"]), str(row["group"]) if "group" in row else ""
        title = f"{code} {names.get(code, '')}{f', ISIC division {group}' if group else ''}"
        for field in row.keys() - {"iCode", "direction", "group"}:
            path = f"goalpost.{code}{f'.{group}' if group else ''}.{field}"
            yield ("goalposts", path), (f"{title}: {words.get(str(field), field)}", row[field])


def _options(method: Method):
    for path, value in _leaves(method.content.get("engine", {}), "engine"):
        if not path.endswith(".file"):
            yield ("engine", path), (_named(path), value)
    for key, value in method.content.items():
        if key in WORDS_OF_METHOD:
            continue
        for path, leaf in _leaves(value, key):
            yield ("thresholds", path), (_named(path), leaf)
    for key in WORDS[:-1]:
        yield ("words", key), (key.replace("_", " ").capitalize(), method.content.get(key))
    for rule in method.content.get("rule", []):
        yield ("words", f"rule.{rule['code']}"), (f"Rule {rule['code']}", f"{rule['title']}: {rule['text']}")


WORDS_OF_METHOD = (*WORDS, *WHERE_THINGS_LIE)


def _leaves(value: Any, path: str) -> Iterator[tuple[str, Any]]:
    """What stands at the ends of nested tables; a list of tables is told apart by code or position."""
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _leaves(inner, f"{path}.{key}")
    elif isinstance(value, list | tuple) and any(isinstance(item, Mapping) for item in value):
        for position, inner in enumerate(value, start=1):
            name = inner.get("code", position) if isinstance(inner, Mapping) else position
            yield from _leaves(inner, f"{path}.{name}")
    else:
        yield path, value


def _named(path: str) -> str:
    if path in NAMES:
        return NAMES[path]
    first, *rest = path.replace("_", " ").split(".")
    return f"{first.capitalize()}: {', '.join(rest)}" if rest else first.capitalize()


def _text(value: Any) -> str:
    """A value as readers see it; nothing is empty."""
    if value is None or value == "" or value != value:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int | float):
        return f"{value:.8g}"
    if isinstance(value, dt.date):
        return f"{value:%-d %B %Y}"
    if isinstance(value, list | tuple):
        return ", ".join(_text(item) or "–" for item in value)
    return " ".join(str(value).split())
