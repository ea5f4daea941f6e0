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

FIXTURES = Path(__file__).resolve().parent.parent / "fixtures"


@dataclass(frozen=True)
class Method:
    """Everything that makes an index out of indicator values.

    goalposts : columns iCode, transform, lo, hi, direction. digest : SHA-256 over the three files it consists of.
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

    @property
    def engine_config(self) -> dict[str, Any]:
        return self.content["engine"]

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
    digest = hashlib.sha256(text + goalposts + definitions.digest.encode()).hexdigest()
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


def rank_intervals(
    pillars: pd.DataFrame,
    weights: pd.Series,
    *,
    draws: int,
    concentration: float,
    seed: int,
    floor: float = 1.0,
) -> pd.DataFrame:
    """How far a rank depends on the pillar weights: 5 % and 95 % quantile of the rank over weight draws.

    pillars : scores (n_clusters, n_pillars), all present. weights : base weights, sum 1. Weights are drawn from a
    Dirichlet distribution with parameters `concentration` × base weight (framework §12.4 c). Returns columns
    low, high (whole ranks, low ≤ high), labelled as `pillars`. Deterministic for a seed.
    """
    if pillars.empty:
        return pd.DataFrame({"low": [], "high": []}, index=pillars.index)
    rng = np.random.default_rng(seed)
    drawn = rng.dirichlet(concentration * weights.to_numpy(), size=draws)
    logs = np.log(np.maximum(pillars[weights.index].to_numpy(), floor))
    scores = np.exp(drawn @ logs.T)
    # Sorted once a draw: a comparison of every pair would take draws × n × n cells.
    ranks = np.array([1 + len(row) - np.searchsorted(np.sort(row), row * (1 + 1e-12), side="right") for row in scores])
    low, high = np.quantile(ranks, [0.05, 0.95], axis=0, method="inverted_cdf")
    return pd.DataFrame({"low": low.astype(int), "high": high.astype(int)}, index=pillars.index)
