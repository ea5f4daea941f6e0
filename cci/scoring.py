"""From index inputs to scores: the engine, run once for every set of goalposts (rules N1–N3 and N7). Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from cci.engine import compute
from cci.engine.aggregation import LevelRule, aggregate
from cci.engine.config import read_config
from cci.engine.meta import Hierarchy, read_meta
from cci.engine.normalisation import goalposts, read_goalposts

from .methodology import Method
from .partial import with_partial, with_partial_coverage


@dataclass(frozen=True)
class Scored:
    """normalised : unit × indicator, 0–100. scores : unit × node, the partial indices among them. observed : the share
    of each node's effective weight that was observed. report : the engine's, one for each set of goalposts."""

    normalised: pd.DataFrame
    scores: pd.DataFrame
    observed: pd.DataFrame
    report: dict[str, Any]


def score(inputs: pd.DataFrame, divisions: Mapping[str, str], method: Method) -> Scored:
    """Score clusters, each by the goalposts of its ISIC division where the methodology has some, else by those of all.

    inputs : columns uCode, optionally Time, then one per indicator; NaN = missing. divisions : cluster → division.
    Nothing in a cluster's scores depends on another cluster: goalposts are fixed, so the parts may be put together.
    """
    own = set(method.peer_goalposts["group"])
    group = np.array([one if one in own else "" for one in map(divisions.get, inputs["uCode"])], dtype=object)
    config = {step: settings for step, settings in method.engine_config.items() if step != "rank"}
    keys = ["uCode", *(["Time"] if "Time" in inputs else [])]
    parts: dict[str, list[pd.DataFrame]] = {"normalised": [], "scores": [], "coverage": []}
    reports = {}
    for one in sorted(set(group)) or [""]:
        posts = method.goalposts_for(one)
        run = compute(inputs[group == one], method.meta, config, goalposts=posts)
        reports[one or "all"] = run.report
        for name, tables in parts.items():
            tables.append(run.tables[name].set_index(keys))
    found = {name: pd.concat(tables).sort_index() for name, tables in parts.items()}
    pillars = [node.code for node in method.definitions.pillars]
    weights = method.pillar_weights
    # With one set of goalposts, which is the rule, the report is the engine's own.
    report = next(iter(reports.values())) if len(reports) == 1 else {"by_goalposts": reports}
    return Scored(
        found["normalised"],
        with_partial(found["scores"], pillars, weights, method.floor),
        with_partial_coverage(found["coverage"], pillars, weights),
        report,
    )


class ReplicateScores:
    """The same scaling and joining as in `score`, by the engine's own functions, for many replicates of clusters at
    once: the methodology is read once, and nothing is labelled or reported."""

    def __init__(self, method: Method):
        scaling = method.engine_config["normalise"]
        if scaling["method"] != "goalposts":
            raise ValueError(f"Replicates are scaled by goalposts alone, not by {scaling['method']}; score them apart.")
        self.method, self.clip = method, bool(scaling.get("clip", True))
        self.tree = read_meta(method.meta)
        self.rules = level_rules(method.engine_config, self.tree)
        own = sorted(set(method.peer_goalposts["group"]))
        self.posts = {
            key: read_goalposts(method.goalposts_for(key), directions=self.tree.directions) for key in ("", *own)
        }

    def of(self, inputs: Mapping[str, np.ndarray], divisions: Sequence[str], nodes: Sequence[str]) -> np.ndarray:
        """(replicates, n_clusters, n_nodes). inputs : indicator → (replicates, n_clusters), or (n_clusters,) where it
        does not vary; NaN = missing. divisions : of each cluster, for the goalposts."""
        codes = list(self.tree.indicators)
        shape = np.broadcast_shapes(*(values.shape for values in inputs.values()))
        cells = np.empty((len(codes), *shape))
        for row, code in enumerate(codes):
            cells[row] = inputs[code]
        keys = np.array([key if key in self.posts else "" for key in divisions], dtype=object)
        found = np.empty((*shape, len(nodes)))
        for key in sorted(set(keys)):
            here = np.flatnonzero(keys == key)
            part = cells if len(here) == len(keys) else cells[..., here]
            frame = pd.DataFrame(part.reshape(len(codes), -1).T, columns=codes)
            normalised = goalposts(frame, posts=self.posts[key], directions=self.tree.directions, clip=self.clip)
            found[..., here, :] = self._nodes(normalised, nodes).reshape(*shape[:-1], len(here), len(nodes))
        return found

    def _nodes(self, normalised: pd.DataFrame, nodes: Sequence[str]) -> np.ndarray:
        scores, method = aggregate(normalised, self.tree, self.rules), self.method
        pillars = [node.code for node in method.definitions.pillars]
        return with_partial(scores, pillars, method.pillar_weights, method.floor)[list(nodes)].to_numpy(dtype=float)


def level_rules(config: Mapping[str, Any], tree: Hierarchy) -> tuple[LevelRule, ...]:
    """How each level is joined by an engine configuration, from the indicators up."""
    settings = read_config({"aggregate": config["aggregate"]}).aggregate
    assert settings is not None
    if settings.groups:
        raise ValueError("Single aggregates with rules of their own are not known here; give them by level.")
    return settings.rules(tree.top_level - 1)
