"""Scores of many replicates at once are those of the engine run over each; threads and parts move no digit."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from cci import draws, precision
from cci.methodology import load_method
from cci.robustness import TOP, arithmetic
from cci.scoring import ReplicateScores, level_rules, score
from cci.services import compute_edition
from facts.indicators.parallel import SETTING
from tests.panel import panel_tables

METHOD = load_method("1.0")
CODES = ("A", "B", "C", "D")
DIVISIONS = {"A": "13", "B": "14", "C": "13", "D": ""}


def with_peers(method):
    """A methodology that measures division 13 by goalposts of its own."""
    own = method.goalposts[method.goalposts["iCode"].isin(["O103", "S102"])].assign(group="13")
    own[["lo", "hi"]] = own[["lo", "hi"]] + 0.2 * (own[["hi"]].to_numpy() - own[["lo"]].to_numpy())
    return replace(method, peer_goalposts=own)


def drawn_inputs(replicates: int) -> dict[str, np.ndarray]:
    """Values within and beyond the goalposts, one in ten missing; those of pillar R do not vary."""
    rng, found = np.random.default_rng(8), {}
    for code, transform, lo, hi in METHOD.goalposts[["iCode", "transform", "lo", "hi"]].itertuples(index=False):
        shape = (len(CODES),) if code.startswith("R") else (replicates, len(CODES))
        values = lo + (hi - lo) * rng.uniform(-0.2, 1.2, shape)
        values = np.exp(values) if transform == "log" else np.expm1(values) if transform == "log1p" else values
        found[code] = np.where(rng.random(shape) < 0.1, np.nan, values)
    return found


@pytest.mark.parametrize("method", [METHOD, with_peers(METHOD)], ids=["one set", "peers"])
def test_scores_of_replicates_are_those_of_the_engine(method):
    inputs = drawn_inputs(12)
    nodes = ["CCI", "PERFORM", "CAPACITY", *(node.code for node in method.definitions.pillars), "O1", "L2"]

    found = ReplicateScores(method).of(inputs, [DIVISIONS[code] for code in CODES], nodes)

    assert found.shape == (12, 4, len(nodes))
    assert np.isnan(found).any() and np.isfinite(found[:, :, 0]).any()
    for replicate in range(12):
        row = {code: values if values.ndim == 1 else values[replicate] for code, values in inputs.items()}
        plain = score(pd.DataFrame({"uCode": CODES, **row}), DIVISIONS, method).scores
        np.testing.assert_allclose(found[replicate], plain.loc[list(CODES), nodes], rtol=1e-13)


def test_another_scaling_is_refused():
    content = METHOD.content | {"engine": METHOD.engine_config | {"normalise": {"method": "min_max"}}}

    with pytest.raises(ValueError, match="goalposts alone, not by min_max"):
        ReplicateScores(replace(METHOD, content=content))


def test_the_rules_are_those_of_the_configuration():
    scores = ReplicateScores(METHOD)

    assert [rule.method for rule in scores.rules] == METHOD.engine_config["aggregate"]["method"]
    assert [rule.floor for rule in scores.rules] == METHOD.engine_config["aggregate"]["floor"]
    assert [r.method for r in level_rules(arithmetic(METHOD.engine_config), scores.tree)] == ["arithmetic_mean"] * 3
    assert TOP in scores.tree.aggregates


def test_threads_move_no_digit(monkeypatch):
    tables = panel_tables(("JP-TAM-TYO", "LA-SLK-VTE", "PK-SUR-SKT"), rounds=(2024, 2025))
    digests = set()
    for number, part, block in (("1", 16_384, 50), ("3", 1, 7), ("2", 200, 1)):
        monkeypatch.setenv(SETTING, number)
        monkeypatch.setattr(precision, "PART", part)
        monkeypatch.setattr(draws, "BLOCK", block)
        digests.add(compute_edition(tables, 2025, METHOD, "snapshot")["digest"])

    assert len(digests) == 1
