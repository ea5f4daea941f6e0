"""How far an edition hangs on choices of its method (framework §12.4): the index made otherwise, and whose band moves.

A cluster's band in a variant is the band that holds the place of its rank there: bands are runs of the ranking, so
the first band holds as many first places as it has clusters, and so on. A cluster changes its band in a variant where
its rank lies outside the places of its own. Pure.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from cci.engine.aggregation import aggregate
from cci.engine.meta import read_meta
from cci.engine.ranking import rank

from .methodology import Method
from .scoring import level_rules

TOP = "CCI"
FAMILIES = {
    "equal": "equal weights inside pillars",
    "arithmetic": "arithmetic instead of geometric mean of the pillars",
    "weights": "pillar weights drawn around the base weights",
    "leave_out": "one dimension left out",
}


def robustness_of(
    normalised: pd.DataFrame, ranks: "pd.Series[int]", bands: "pd.Series[int]", by_weights: np.ndarray, method: Method
) -> dict[str, Any]:
    """The variants of an edition and, for each ranked cluster, the share of them in which its band changes.

    normalised : ranked clusters × indicators, 0–100. ranks, bands : by ranked cluster. by_weights : ranks under drawn
    pillar weights, (draws, n_ranked), columns in the order of `ranks`.

    Returns `variants` (family, name, how many clusters change their band, largest change of a rank, Spearman's
    correlation with the ranks), the draws as one entry, and `clusters`: code → `share` over all variants, and by
    family. A variant that leaves a cluster without an index does not count for it.
    """
    codes = list(ranks.index)
    normalised = normalised.loc[codes]
    named = [("equal", "all", _index(normalised, equal_weights(method.meta), method.engine_config))]
    named.append(("arithmetic", "all", _index(normalised, method.meta, arithmetic(method.engine_config))))
    for dimension in method.definitions.dimensions:
        meta = without(method.meta, dimension.code)
        named.append(("leave_out", dimension.code, _index(normalised, meta, method.engine_config)))
    variants: list[dict[str, Any]] = []
    changes: dict[str, list[np.ndarray]] = {family: [] for family in FAMILIES}
    for family, name, index in named:
        varied = rank(index.to_frame())[TOP].to_numpy(dtype=float, na_value=np.nan)
        changed = band_changes(varied[None], bands)
        changes[family].append(changed[0])
        variants.append({"family": family, "name": name} | _summary(varied[None], ranks, changed))
    drawn = band_changes(by_weights.astype(float), bands)
    changes["weights"] = list(drawn)
    variants.append({"family": "weights", "name": f"{len(drawn)} draws"} | _summary(by_weights, ranks, drawn))
    every = np.concatenate([np.array(found).reshape(-1, len(codes)) for found in changes.values()])
    shares = {"share": _share(every)} | {family: _share(np.array(found)) for family, found in changes.items() if found}
    return {
        "families": FAMILIES,
        "variants": variants,
        "clusters": {
            code: {
                name: None if np.isnan(share[place]) else round(float(share[place]), 4)
                for name, share in shares.items()
            }
            for place, code in enumerate(codes)
        },
    }


def band_changes(ranks: np.ndarray, bands: "pd.Series[int]") -> np.ndarray:
    """Whether each cluster's rank lies outside the places of its band: 1, 0, NaN where it has no rank there.

    ranks : (variants, n_clusters), NaN = none. bands : by cluster, 1 is the first.

    >>> band_changes(np.array([[2.0, 1.0, 3.0], [1.0, 3.0, 2.0]]), pd.Series([1, 1, 2])).tolist()
    [[0.0, 0.0, 0.0], [0.0, 1.0, 1.0]]
    """
    band_at = np.sort(bands.to_numpy())  # place 1 … n → its band
    held = np.isfinite(ranks)
    place = np.where(held, ranks, 1).astype(int) - 1
    changed = (band_at[place] != bands.to_numpy()).astype(float) if len(band_at) else np.zeros(ranks.shape)
    return np.where(held, changed, np.nan)


def _share(changed: np.ndarray) -> np.ndarray:
    counted = np.isfinite(changed).sum(axis=0)
    return np.where(counted > 0, np.nansum(changed, axis=0) / np.maximum(counted, 1), np.nan)


def _summary(varied: np.ndarray, ranks: "pd.Series[int]", changed: np.ndarray) -> dict[str, Any]:
    """Of one variant, or the mean over draws of them."""
    moved = np.abs(varied - ranks.to_numpy(dtype=float))
    held = np.isfinite(moved)
    return {
        "clusters": int(held.any(axis=0).sum()),
        "band_changes": round(float(np.nansum(changed) / max(len(changed), 1)), 4),
        "largest_change": int(np.nanmax(moved)) if held.any() else 0,
        "mean_change": round(float(moved[held].mean()), 4) if held.any() else 0.0,
    }


def equal_weights(meta: pd.DataFrame) -> pd.DataFrame:
    """The hierarchy with equal weights of indicators inside dimensions and of dimensions inside pillars."""
    return meta.assign(Weight=meta["Weight"].where(meta["Level"] > 2, 1.0))


def arithmetic(config: Mapping[str, Any]) -> dict[str, Any]:
    """The engine's settings with the arithmetic mean at the top; the floor goes with the geometric one."""
    joined = config["aggregate"]
    return {**config, "aggregate": {**joined, "method": ["arithmetic_mean"] * 3, "floor": [0, 0, 0]}}


def without(meta: pd.DataFrame, dimension: str) -> pd.DataFrame:
    """The hierarchy without a dimension and its indicators; the weights of the others are rescaled."""
    return meta[(meta["iCode"] != dimension) & (meta["Parent"] != dimension)]


def _index(normalised: pd.DataFrame, meta: pd.DataFrame, config: Mapping[str, Any]) -> "pd.Series[float]":
    """The index of each cluster from normalised indicators, in the order of `normalised`."""
    tree = read_meta(meta)
    return aggregate(normalised, tree, level_rules(config, tree))[TOP]
