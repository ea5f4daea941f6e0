"""A methodology: the reviewed file, read, checked and turned into what the engine takes. Pure but for reading files."""

import hashlib
import io
import tomllib
from dataclasses import dataclass
from datetime import date
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from facts.indicators.definitions import Definitions, load_definitions
from facts.indicators.imputation import Rule
from facts.reliability import Rules, load_rules

FIXTURES = Path(__file__).resolve().parent.parent / "fixtures"


@dataclass(frozen=True)
class Method:
    """Everything that makes an index out of indicator values.

    goalposts : columns iCode, transform, lo, hi, direction. reliability : who may be ranked; its file stands in
    `content` too. digest : SHA-256 over all files it consists of.
    """

    version: str
    title: str
    author: str
    checker: str
    review_on: date
    digest: str
    content: dict[str, Any]
    goalposts: pd.DataFrame
    definitions: Definitions
    reliability: Rules

    @property
    def engine_config(self) -> dict[str, Any]:
        return self.content["engine"]

    @property
    def imputation(self) -> Rule:
        return Rule.read(self.content["imputation"])

    @property
    def meta(self) -> pd.DataFrame:
        """The hierarchy as the engine reads it: Level, iCode, Parent, Direction, Weight."""
        d = self.definitions
        rows = [(1, i.code, i.name, i.direction, i.weight, i.dimension) for i in d.indicators]
        rows += [(2, n.code, n.name, 1, n.weight, n.parent) for n in d.dimensions]
        rows += [(3, n.code, n.name, 1, n.weight, n.parent) for n in d.pillars]
        rows.append((4, "CCI", self.title, 1, 1.0, ""))
        return pd.DataFrame(rows, columns=["Level", "iCode", "iName", "Direction", "Weight", "Parent"])


@cache
def load_method(version: str) -> Method:
    """Read a methodology by version. ValueError and KeyError name what the file lacks."""
    folder = FIXTURES / "methodologies"
    path = folder / f"cci-{version}.toml"
    text = path.read_bytes()
    content = tomllib.loads(text.decode())
    goalposts = (folder / content["engine"]["normalise"]["file"]).read_bytes()
    definitions = load_definitions(FIXTURES / "indicators" / content["indicators"])
    rules = load_rules(content["reliability"])
    content["reliability"] = dict(rules.content)
    parts = text + goalposts + definitions.digest.encode() + rules.digest.encode()
    digest = hashlib.sha256(parts).hexdigest()
    return Method(
        version=content["version"],
        title=content["title"],
        author=content["author"],
        checker=content["checker"],
        review_on=content["review_on"],
        digest=digest,
        content=content,
        goalposts=pd.read_csv(io.BytesIO(goalposts)),
        definitions=definitions,
        reliability=rules,
    )


TRANSFORMS = {"linear": "lin", "log": "log", "log1p": "log1p", "fixed": "lin"}


def derive_goalposts(inputs: pd.DataFrame, definitions: Definitions) -> pd.DataFrame:
    """Goalposts by rule N1: the 5th and 95th percentile of the transformed values.

    inputs : index inputs of the base rounds stacked, one column per indicator, NaN = missing. A `fixed` indicator
    keeps 0 and 100. Raises ValueError for an indicator without two different values.
    """
    rows = []
    for indicator in definitions.indicators:
        transform = TRANSFORMS[indicator.transform]
        values = inputs[indicator.code].dropna().to_numpy(dtype=float)
        if indicator.transform == "fixed":
            lo, hi = 0.0, 100.0
        else:
            scaled = {
                "lin": values,
                "log": np.log(values[values > 0]),
                "log1p": np.log1p(values[values > -1]),
            }[transform]
            lo, hi = (float(q) for q in np.quantile(scaled, [0.05, 0.95])) if len(scaled) else (0.0, 0.0)
            if not hi > lo:
                raise ValueError(f"{indicator.code} has no spread in the base rounds; it needs goalposts by hand.")
        rows.append((indicator.code, transform, float(f"{lo:.8g}"), float(f"{hi:.8g}"), indicator.direction))
    return pd.DataFrame(rows, columns=["iCode", "transform", "lo", "hi", "direction"])


def draw_weights(weights: np.ndarray, draws: int, concentration: float, seed: int) -> np.ndarray:
    """Draw pillar weights from a Dirichlet distribution with parameters `concentration` × base weight (framework
    §12.4 c): (draws, n_pillars), each row adds up to 1. weights : (n_pillars,), sum 1. Deterministic for a seed."""
    return np.random.default_rng(seed).dirichlet(concentration * weights, size=draws)


def rank_quantiles(pillars: np.ndarray, weights: np.ndarray, floor: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    """The 5 % and 95 % quantile of each cluster's rank over draws, whole numbers (n_clusters,).

    pillars : (n_replicates, n_clusters, n_pillars), all present. weights : (n_draws, n_pillars). Draw d takes row
    d mod n of each, so many times as the longer of the two has rows. The index is the weighted geometric mean of
    pillars not below `floor`.
    """
    if not pillars.shape[1]:
        return np.zeros(0, dtype=int), np.zeros(0, dtype=int)
    logs = np.log(np.maximum(pillars, floor))
    ranks = np.empty((max(len(pillars), len(weights)), pillars.shape[1]), dtype=int)
    for draw in range(len(ranks)):
        # The sum runs pillar by pillar, so that one cluster's score does not depend on how many others there are.
        row = np.exp((logs[draw % len(pillars)] * weights[draw % len(weights)]).sum(axis=1))
        # Sorted once a draw: a comparison of every pair would take draws × n × n cells.
        ranks[draw] = 1 + len(row) - np.searchsorted(np.sort(row), row * (1 + 1e-12), side="right")
    low, high = np.quantile(ranks, [0.05, 0.95], axis=0, method="inverted_cdf")
    return low.astype(int), high.astype(int)
