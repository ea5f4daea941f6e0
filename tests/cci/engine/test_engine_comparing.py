"""What a configuration can ask for beside scores: own weights, peers, trends, profiles, an audit's limits, variants."""

import json

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cci.engine import ConfigError, DataError, compute
from cci.engine.aggregation import LevelRule, aggregate_with_weights, benefit_of_doubt
from cci.engine.commands import main
from cci.engine.meta import read_meta
from cci.engine.pipeline import run_index
from cci.engine.robustness import alternatives, movers
from cci.engine.stages import scoring
from cci.engine.tables import refuse_formulas

META = pd.DataFrame(
    {
        "Level": [1, 1, 1, 1, 2, 2, 3],
        "iCode": ["a", "b", "c", "d", "P", "Q", "T"],
        "Parent": ["P", "P", "Q", "Q", "T", "T", ""],
        "Direction": [1, -1, 1, 1, 1, 1, 1],
        "Weight": [1, 3, 1, 1, 1, 2, 1],
    }
)
TREE = read_meta(META)
ENVELOPE = {"normalise": {"lower": 1}, "aggregate": {"method": ["benefit_of_doubt", "arithmetic_mean"]}, "rank": {}}


def data_of(n=12, *, times=(), seed=3):
    rng = np.random.default_rng(seed)
    table = pd.DataFrame(rng.lognormal(size=(n, 4)).round(3), columns=list("abcd"))
    table.insert(0, "uCode", [f"U{i:02}" for i in range(n)])
    table["sector"] = ["x", "y", ""] * (n // 3)
    table["people"] = np.arange(1, n + 1) * 10.0
    if not times:
        return table
    parts = [table.assign(Time=time, a=table["a"] * 1.1**place) for place, time in enumerate(times)]
    return pd.concat(parts, ignore_index=True)


def files(tmp_path, config, **extra):
    data_of().to_csv(tmp_path / "iData.csv", index=False)
    META.to_csv(tmp_path / "iMeta.csv", index=False)
    (tmp_path / "config.toml").write_text(config)
    for name, text in extra.items():
        (tmp_path / f"{name}.csv").write_text(text)
    return tuple(tmp_path / name for name in ("iData.csv", "iMeta.csv", "config.toml"))


def test_each_unit_is_scored_by_its_own_weights_and_they_are_written():
    tables = compute(data_of(), META, ENVELOPE).tables

    scaled = tables["normalised"].set_index("uCode")
    scores = tables["scores"].set_index("uCode")
    expected, _ = benefit_of_doubt(scaled[["a", "b"]])
    np.testing.assert_allclose(scores["P"], 100 * expected, rtol=1e-9)
    np.testing.assert_allclose(scores["T"], (scores["P"] + 2 * scores["Q"]) / 3, rtol=1e-12)
    own = tables["unit_weights"]
    assert list(own.columns) == ["uCode", "element", "component", "weight", "part"]
    assert set(own["element"]) == {"P", "Q"}
    values = own.apply(lambda row: scaled.loc[row["uCode"], row["component"]], axis=1)
    points = (own["weight"] * values).groupby([own["uCode"], own["element"]]).sum()
    for (unit, element), value in points.items():
        assert value == pytest.approx(scores.loc[unit, element], rel=1e-6)
    assert own.groupby(["uCode", "element"])["part"].sum().to_numpy() == pytest.approx(1)


@settings(deadline=None, max_examples=10)
@given(st.floats(0, 0.5), st.floats(0.5, 1), st.floats(0.1, 1000), st.integers(0, 10**6))
def test_parts_stay_within_the_shares_and_scores_below_the_best(least, greatest, best, seed):
    scaled = pd.DataFrame(np.random.default_rng(seed).uniform(1, 100, (6, 4)), columns=list("abcd"))
    rule = LevelRule("benefit_of_doubt", least_share=least, greatest_share=greatest, best=best)

    scores, own = aggregate_with_weights(scaled, TREE, [rule, LevelRule()])

    assert ((own["part"] > least - 1e-6) & (own["part"] < greatest + 1e-6)).all()
    assert (scores[["P", "Q"]] <= best * (1 + 1e-12)).all(axis=None)
    assert (scores[["P", "Q"]] > 0).all(axis=None)


def test_a_component_without_weight_does_not_count_and_times_are_scored_apart():
    weightless = META.assign(Weight=[0, 3, 1, 1, 1, 2, 1])
    alone = compute(data_of(), weightless, ENVELOPE).tables

    assert set(alone["unit_weights"].query("element == 'P'")["component"]) == {"b"}
    np.testing.assert_allclose(
        alone["scores"]["P"], 100 * alone["normalised"]["b"] / alone["normalised"]["b"].max(), rtol=1e-8
    )

    panel = compute(data_of(times=(2020, 2021)), META, ENVELOPE | {"normalise": {"lower": 1, "scope": "time"}}).tables
    single = compute(data_of(), META, ENVELOPE).tables
    own = panel["scores"].query("Time == 2020")["Q"]
    np.testing.assert_allclose(own, single["scores"]["Q"], rtol=1e-8)
    assert list(panel["unit_weights"].columns[:2]) == ["uCode", "Time"]


def test_the_report_tells_of_own_weights_and_of_others_only_what_they_use():
    report = compute(data_of(), META, ENVELOPE).report

    first, second = report["parameters"]["aggregate"]["levels"]
    assert (first["least_share"], first["best"]) == (0.0, 100.0)
    assert "best" not in second
    assert [w["names"] for w in report["warnings"] if w["kind"] == "unit_weights"] == [["P", "Q"]]


def test_own_weights_go_with_no_weighting_of_their_level(monkeypatch):
    config = ENVELOPE | {"weights": {"method": "equal", "level": 1}}

    with pytest.raises(ConfigError, match=r"\[weights\] level.*benefit_of_doubt"):
        compute(data_of(), META, config)
    assert "weights" in compute(data_of(), META, config | {"weights": {"method": "equal", "level": 2}}).tables

    # Without the check the contradiction would pass in silence.
    monkeypatch.setattr(scoring, "_refuse_own_weights", lambda *given: None)
    assert "weights" in compute(data_of(), META, config).tables


def test_a_file_of_weights_that_count_nowhere_is_refused():
    config = ENVELOPE | {"weights": {"method": "file", "file": "w.csv"}}
    moot, half = (pd.DataFrame({"iCode": codes, "Weight": [2.0, 3.0]}) for codes in (["a", "c"], ["a", "P"]))

    with pytest.raises(ConfigError, match=r"\[weights\] file.*of P, Q, scored by benefit_of_doubt"):
        compute(data_of(), META, config, files={"weights.file": moot})
    tables = compute(data_of(), META, config, files={"weights.file": half}).tables
    scores = tables["scores"]
    np.testing.assert_allclose(scores["T"], (3 * scores["P"] + 2 * scores["Q"]) / 5, rtol=1e-12)


def test_editions_with_own_weights_are_compared_but_not_attributed(tmp_path):
    config = '[normalise]\nlower = 1\n[aggregate]\nmethod = "benefit_of_doubt"\n[rank]\n[peers]\ngroups = ["sector"]\n'
    paths = [str(path) for path in files(tmp_path, config)]

    assert main(["compare", "--before", *paths, "--after", *paths, "--out", str(tmp_path / "out")]) == 0

    report = json.loads((tmp_path / "out" / "report.json").read_text())
    assert [warning["kind"] for warning in report["warnings"]] == ["no_attribution"]
    assert (pd.read_csv(tmp_path / "out" / "comparison.csv")["rank_change"] == 0).all()


def test_own_weights_are_not_drawn(run, tmp_path):
    config = (
        '[normalise]\nlower = 1\n[aggregate]\nmethod = "benefit_of_doubt"\n[rank]\n'
        "[uncertainty]\nseed = 1\n[uncertainty.weights]\n"
    )
    answer = run(*files(tmp_path, config), do="uncertainty")

    assert answer.code == 2
    assert "[aggregate] method: P is scored by benefit_of_doubt" in answer.err


def test_peers_of_groups_and_the_nearest():
    config = ENVELOPE | {
        "aggregate": {},
        "peers": {
            **{"groups": ["sector"], "min_size": 3, "by": ["people", "a"], "logarithm": ["people"]},
            **{"nearest": 4, "min_peers": 3},
        },
    }
    data = data_of()
    data.loc[5, "people"] = np.nan
    result = compute(data, META, config)

    scores = result.tables["scores"].set_index("uCode")
    table = result.tables["peers"].query("element == 'T'").set_index("uCode")
    members = data.loc[data["sector"] == "x", "uCode"]
    assert table.loc[members, "mean"].to_numpy() == pytest.approx(scores.loc[members, "T"].mean())
    assert table.loc[members, "rank"].tolist() == scores.loc[members, "T"].rank(ascending=False).tolist()
    assert set(table.loc[data.loc[data["sector"] == "", "uCode"], "note"]) == {"no group"}
    nearest = result.tables["nearest_peers"]
    assert nearest.groupby("uCode").size().eq(4).all()
    assert "U05" not in set(nearest["uCode"]) | set(nearest["peer"])
    alike = pd.DataFrame({"people": np.log(data["people"]), "a": data["a"]}).set_axis(data["uCode"]).drop("U05")
    alike = alike / alike.std()
    away = ((alike - alike.loc["U00"]) ** 2).sum(axis=1).drop("U00").nsmallest(4)
    assert list(nearest.query("uCode == 'U00'")["peer"]) == list(away.index)
    beside = result.tables["against_peers"].query("uCode == 'U00' and element == 'T'").iloc[0]
    assert beside["mean"] == pytest.approx(scores.loc[away.index, "T"].mean())
    assert [w["names"] for w in result.report["warnings"] if w["kind"] == "no_peers"] == [["U05"]]
    assert result.report["parameters"]["peers"]["by"] == ["people", "a"]
    assert result.report["unused"]["data_columns"] == []


def test_peers_of_a_panel_are_those_of_the_same_time():
    config = {"normalise": {}, "aggregate": {}, "peers": {"groups": ["sector"], "min_size": 2, "by": ["people"]}}
    panel = compute(data_of(times=(2020, 2021)), META, config).tables

    for name in ("peers", "nearest_peers", "against_peers"):
        assert list(panel[name].columns[:2]) == ["uCode", "Time"], name
        assert set(panel[name]["Time"]) == {2020, 2021}, name
    assert set(panel["peers"].query("group == 'x'")["n"]) == {4}
    assert not panel["nearest_peers"].duplicated(["uCode", "Time", "peer"]).any()


def test_a_size_without_logarithm_names_its_row():
    data = data_of()
    data.loc[2, "people"] = 0

    with pytest.raises(DataError, match="row 4, column people: unit U02 has 0, which has no logarithm"):
        compute(data, META, {"aggregate": {}, "peers": {"by": ["people"], "logarithm": ["people"]}})


def test_trends_of_indicators_and_of_scores():
    data = data_of(times=(2020, 2021, 2022))

    table = compute(data, META, {"normalise": {}, "trends": {"per": 10}}).tables["trends"]
    of_a = table.query("element == 'a'")
    assert of_a["growth"].to_numpy() == pytest.approx(0.1, rel=1e-9)
    # All series of `a` grow alike, so the line through 1, 1.1, 1.21 is that of every unit.
    incline, start = np.polyfit([0, 1, 2], [1, 1.1, 1.21], 1)
    assert of_a["change"].to_numpy() == pytest.approx(100 * 10 * incline / start, rel=1e-9)
    assert (table.query("element == 'c'")["growth"] == 0).all()
    assert list(table.columns[:3]) == ["uCode", "element", "first"]

    scored = compute(data, META, {"normalise": {}, "aggregate": {}, "trends": {"of": "scores"}}).tables["trends"]
    assert set(scored["element"]) == {"P", "Q", "T"}
    assert len(scored) == 3 * 12


def test_profiles_are_written_also_without_scores():
    config = {"normalise": {}, "profiles": {"group": "sector", "min_peers": 2}}

    assert list(compute(data_of(), META, config).tables) == ["normalised", "bounds", "strengths"]

    result = compute(data_of(), META, config | {"aggregate": {}, "rank": {}})
    table, ranks = result.tables["profiles"], result.tables["ranks"].set_index("uCode")
    assert list(table["element"].iloc[:3]) == ["T", "P", "Q"]
    for unit, element, rank in table[["uCode", "element", "rank"]].itertuples(index=False):
        assert rank == ranks.loc[unit, element]
    inside = table.query("group == 'x' and element == 'T'").sort_values("score", ascending=False)
    assert inside["rank_in_group"].tolist() == [1, 2, 3, 4]
    assert set(inside["n_in_group"]) == {4}


VARIANTS = """\
[normalise]
lower = 1
[treat]
skew = 0.5
kurtosis = 0
[aggregate]
[rank]
[audit]
method = "spearman"
represented = 0.99
target = "Q"
[variants.geometric]
aggregate = { method = "geometric_mean" }
[variants.plain]
treat = { off = true }
normalise = { method = "z_score" }
[variants.panel]
weights = { method = "file", file = "panel.csv" }
"""


def test_audit_compares_named_variants_and_names_who_moves(run, tmp_path):
    paths = files(tmp_path, VARIANTS, panel="iCode,Weight\nc,9\n")
    answer = run(*paths, do="audit")

    assert answer.code == 0, answer.err
    ranks = pd.read_csv(answer.out / "variant_ranks.csv").set_index("uCode")
    assert list(ranks.columns) == ["run", "geometric", "plain", "panel"]
    changes = {
        "geometric": {"aggregate": {"method": "geometric_mean"}},
        "plain": {"normalise": {"method": "z_score"}},
        "panel": {"weights": {"method": "file", "file": "panel.csv"}},
    }
    whole = {"normalise": {"lower": 1}, "treat": {"skew": 0.5, "kurtosis": 0}, "aggregate": {}, "rank": {}}
    for name, change in changes.items():
        config = {key: value for key, value in (whole | change).items() if name != "plain" or key != "treat"}
        sets = {"weights.file": pd.DataFrame({"iCode": ["c"], "Weight": [9]})}
        expected = compute(data_of(), META, config, files=sets).tables["ranks"].set_index("uCode")["Q"]
        assert ranks[name].to_dict() == expected.to_dict(), name
    table = pd.read_csv(answer.out / "movers.csv")
    for name in changes:
        moved = ranks.index[ranks[name] != ranks["run"]]
        own = table[table["version"] == name].set_index("uCode")
        assert set(own.index) == set(moved)
        assert own["places"].to_dict() == (ranks["run"] - ranks[name])[moved].to_dict()
        assert own["places"].abs().is_monotonic_decreasing
    assert len(table)
    agreement = pd.read_csv(answer.out / "variants.csv")
    assert len(agreement) == 6
    assert answer.report["command"]["represented"] == 0.99
    assert answer.report["command"]["method"] == "spearman"
    assert answer.report["inputs"]["variants.panel.weights.file"]["file"] == "panel.csv"
    assert set(answer.report["variants"]) == set(changes)


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ('target = "Q"', 'target = "Z"', ["[audit] target", "no aggregate Z"]),
        ("[variants.plain]", "[variants.run]", ["[variants] run", "name of the index"]),
        ("lower = 1", "lower = 0", ["in the variant geometric", "component", "above 0"]),
        ("panel.csv", "none.csv", ["none.csv", "cannot be read"]),
    ],
)
def test_an_audit_that_cannot_be_made_is_refused(run, tmp_path, old, new, words):
    answer = run(*files(tmp_path, VARIANTS.replace(old, new), panel="iCode,Weight\nc,9\n"), do="audit")

    assert answer.code == 2
    assert all(word in answer.err for word in words), answer.err
    assert not answer.out.exists()


def test_an_audit_of_several_tops_wants_a_target(run, tmp_path):
    config = "[normalise]\n[aggregate]\n"
    data, meta, settings_file = files(tmp_path, config)
    META.query("Level < 3").assign(Parent=["P", "P", "Q", "Q", "", ""]).to_csv(meta, index=False)

    refused = run(data, meta, settings_file, do="audit")
    settings_file.write_text(config + '[audit]\ntarget = "Q"\n')
    answer = run(data, meta, settings_file, do="audit")

    assert refused.code == 2
    assert "[audit] target" in refused.err and "P, Q" in refused.err
    assert answer.code == 0, answer.err
    assert set(pd.read_csv(answer.out / "removal.csv")["element"]) == {"c", "d"}


def test_the_removal_of_an_audit_keeps_an_aggregates_own_rule(run, tmp_path):
    config = '[normalise]\nlower = 1\n[aggregate]\n[rank]\n[aggregate.groups.P]\nmethod = "geometric_mean"\n'
    answer = run(*files(tmp_path, config), do="audit")

    own = {"method": "geometric_mean"}
    base = {"normalise": {"lower": 1}, "aggregate": {"groups": {"P": own}}, "rank": {}}
    found = run_index(data_of(), META, base).stages["ranks"]["T"]
    without = run_index(data_of(), META.assign(Weight=[1, 3, 0, 1, 1, 2, 1]), base).stages["ranks"]["T"]
    row = pd.read_csv(answer.out / "removal.csv").set_index("element").loc["c"]
    assert row["mean_abs_rank_change"] == pytest.approx((found - without).abs().mean())


def test_movers_say_who_has_no_rank():
    units = pd.Index(list("WXYZ"), name="uCode")
    found = movers(
        alternatives(
            {
                "run": pd.Series([4.0, 3.0, 2.0, np.nan], index=units),
                "other": pd.Series([1.0, 3.0, np.nan, 2.0], index=units),
            }
        )
    )

    assert found[["uCode", "note"]].values.tolist() == [
        ["W", ""],
        ["X", ""],
        ["Y", "no rank in the version"],
        ["Z", "no rank in the first"],
    ]
    assert found["places"].tolist()[:2] == [-1, 1]
    assert found["places"].isna().tolist() == [False, False, True, True]


FORMULA_STARTS = "=+-@\t\r"


@given(st.sampled_from(FORMULA_STARTS), st.text(min_size=1))
def test_no_code_that_begins_as_a_formula_passes_unless_it_is_a_number(sign, rest):
    try:
        refuse_formulas([sign + rest], name="uCode", file="iData.csv", error=DataError)
    except DataError as exc:
        assert "row 2" in str(exc)
    else:
        assert sign in "+-"
        float(sign + rest)


@given(st.text(min_size=1).filter(lambda text: text[0] not in FORMULA_STARTS))
def test_other_codes_pass(text):
    refuse_formulas([text, "-", "-1", "+2.5e3"], name="uCode", file="iData.csv", error=DataError)


def test_labels_of_groups_are_no_formulas_either():
    data = data_of()
    data.loc[3, "sector"] = '=HYPERLINK("x")'

    with pytest.raises(DataError, match="row 5, column sector"):
        compute(data, META, {"normalise": {}, "aggregate": {}, "rank": {"groups": ["sector"]}})


def test_zeros_however_written_are_no_numbers_too_small():
    data = data_of(3).astype(str)
    data["a"] = ["0.000e-999", "-0", "0e5"]

    assert run_index(data, META, {"aggregate": {}}).units.values["a"].tolist() == [0, 0, 0]
