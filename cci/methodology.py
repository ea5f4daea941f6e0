"""A methodology: the reviewed file, read, checked and turned into what the engine takes. Pure but for reading files."""

import hashlib
import io
import tomllib
from collections.abc import Mapping
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

    goalposts : columns iCode, transform, lo, hi, direction, of the whole set. peer_goalposts : the same with `group`,
    the ISIC division whose clusters are measured by them instead (rule N2); indicators without a row there keep those
    of the whole set. reliability : who may be ranked; its file stands in `content` too. digest : SHA-256 over all
    files it consists of.
    """

    version: str
    title: str
    author: str
    checker: str
    review_on: date
    digest: str
    content: dict[str, Any]
    goalposts: pd.DataFrame
    peer_goalposts: pd.DataFrame
    definitions: Definitions
    reliability: Rules

    @property
    def engine_config(self) -> dict[str, Any]:
        return self.content["engine"]

    @property
    def imputation(self) -> Rule:
        return Rule.read(self.content["imputation"])

    @property
    def pillar_weights(self) -> np.ndarray:
        return np.array([node.weight for node in self.definitions.pillars])

    @property
    def floor(self) -> float:
        """The least score of a pillar in the geometric mean."""
        return float(self.engine_config["aggregate"]["floor"][-1])

    def goalposts_for(self, division: str) -> pd.DataFrame:
        """The goalposts that clusters of an ISIC division are measured by, one row an indicator."""
        own = self.peer_goalposts[self.peer_goalposts["group"] == division].drop(columns="group")
        return pd.concat([self.goalposts[~self.goalposts["iCode"].isin(own["iCode"])], own], ignore_index=True)

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
    posts = pd.read_csv(io.BytesIO(goalposts), dtype={"group": str}).fillna({"group": ""})
    of_all = posts["group"] == ""
    _refuse_peer_goalposts(posts[~of_all], content["peers"]["goalposts"])
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
        goalposts=posts[of_all].drop(columns="group").reset_index(drop=True),
        peer_goalposts=posts[~of_all].reset_index(drop=True),
        definitions=definitions,
        reliability=rules,
    )


def _refuse_peer_goalposts(posts: pd.DataFrame, allowed: list[str]) -> None:
    strange = posts[~posts["iCode"].isin(allowed) | posts.duplicated(["iCode", "group"])]
    for post in strange.itertuples():
        raise ValueError(
            f"Goalposts of {post.iCode} for division {post.group}: one row a division, and only for the indicators "
            f"that [peers] names ({', '.join(allowed)}); mend the goalposts file."
        )


TRANSFORMS = {"linear": "lin", "log": "log", "log1p": "log1p", "fixed": "lin"}


def derive_goalposts(
    inputs: pd.DataFrame,
    definitions: Definitions,
    divisions: Mapping[str, str] | None = None,
    peers: Mapping[str, Any] | None = None,
) -> pd.DataFrame:
    """Goalposts by rules N1 and N2: the 5th and 95th percentile of the transformed values.

    inputs : index inputs of the base rounds stacked, rows labelled by cluster, one column per indicator, NaN = missing.
    A `fixed` indicator keeps 0 and 100. divisions : cluster → ISIC division. peers : the methodology's [peers]: for
    its `goalposts` indicators, divisions of at least `least_for_goalposts` clusters that have values get rows of
    their own, column `group`; there a `fixed` indicator takes its peers' percentiles too. Raises ValueError for an
    indicator without two different values in the whole set; a division without them keeps the whole set's.
    """
    division_of = np.array([(divisions or {}).get(str(code), "") for code in inputs.index])
    rows = []
    for indicator in definitions.indicators:
        ends = _ends(inputs[indicator.code], indicator.transform)
        if ends is None:
            raise ValueError(f"{indicator.code} has no spread in the base rounds; it needs goalposts by hand.")
        rows.append((indicator, ends, ""))
        if peers is None or indicator.code not in peers["goalposts"]:
            continue
        there = inputs[indicator.code].notna().to_numpy()
        for division in sorted(set(division_of) - {""}):
            here = inputs.loc[there & (division_of == division), indicator.code]
            scale = "linear" if indicator.transform == "fixed" else indicator.transform
            if here.index.nunique() >= peers["least_for_goalposts"] and (own := _ends(here, scale)):
                rows.append((indicator, own, division))
    rows.sort(key=lambda row: row[2])  # the whole set first
    return pd.DataFrame(
        [
            (one.code, TRANSFORMS[one.transform], float(f"{lo:.8g}"), float(f"{hi:.8g}"), one.direction, group)
            for one, (lo, hi), group in rows
        ],
        columns=["iCode", "transform", "lo", "hi", "direction", "group"],
    )


def _ends(column: pd.Series, transform: str) -> tuple[float, float] | None:
    """Low and high on the transformed scale; None where they are one."""
    if transform == "fixed":
        return 0.0, 100.0
    values = column.dropna().to_numpy(dtype=float)
    if transform == "log":
        values = np.log(values[values > 0])
    elif transform == "log1p":
        values = np.log1p(values[values > -1])
    if not len(values):
        return None
    lo, hi = (float(end) for end in np.quantile(values, [0.05, 0.95]))
    return (lo, hi) if hi > lo else None
