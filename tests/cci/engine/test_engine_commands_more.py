"""The commands uncertainty, audit and compare, and what a run takes from another: bases, weights, groups, sizes."""

import gzip
import json

import pandas as pd
import pytest

from cci.engine.commands import main

META = """\
Level,iCode,Parent,Direction,Weight,Denominator
1,a,P,1,1,people
1,b,P,-1,3,
1,c,Q,1,1,
1,d,Q,1,1,
2,P,T,1,1,
2,Q,T,1,2,
3,T,,1,1,
"""
DATA = """\
uCode,sector,people,a,b,c,d
U,x,10,1,30,5,1
V,x,20,9,10,,4
W,y,30,3.5,20,9,2
X,y,40,8,25,7,3
Y,,50,6,15,4,9
Z,y,0,7,12,6,5
"""
STEPS = (
    '[normalise]\nlower = 1\n[aggregate]\nmethod = ["arithmetic_mean", "geometric_mean"]\nmin_available = 0.5\n[rank]\n'
)
VARIED = (
    STEPS
    + "[uncertainty]\nseed = 5\nreplicates = 60\nkeep_scores = true\n[uncertainty.weights]\n"
    + '[uncertainty.aggregate]\noptions = [{method = "arithmetic_mean"}, {method = "geometric_mean"}]\n'
    + "[sensitivity]\nseed = 1\nbase = 8\nbootstrap = 50\nper_unit = true\nsecond_order = true\n"
)


def files(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_denominators_and_groups_come_from_the_data(run):
    config = '[denominate]\n[impute]\nmethod = "group_mean"\ngroup = "sector"\n' + STEPS + 'groups = ["sector"]\n'

    answer = run(DATA, META, config)

    assert answer.code == 0, answer.err
    divided = answer.table("denominated")["a"]
    assert divided.drop("Z").to_dict() == {"U": 0.1, "V": 0.45, "W": 3.5 / 30, "X": 0.2, "Y": 0.12}
    assert pd.isna(divided["Z"])
    assert answer.table("denominated_cells")["reason"].to_dict() == {"Z": "the denominator is 0"}
    filled = answer.table("imputed")
    assert filled.loc["V", "c"] == 5
    assert filled.loc["Z", "a"] == pytest.approx((3.5 / 30 + 0.2) / 2)
    cells = answer.table("imputed_cells")
    assert list(zip(cells.index, cells["indicator"], strict=True)) == [("V", "c"), ("Z", "a")]
    within = answer.table("ranks_within_sector")["T"]
    assert sorted(within[["W", "X", "Z"]]) == [1, 2, 3]
    assert pd.isna(within["Y"])
    kinds = {warning["kind"]: warning["names"] for warning in answer.report["warnings"]}
    assert kinds["no_group"] == ["Y"]
    assert kinds["not_denominated"] == ["Z"]
    assert answer.report["unused"] == {"data_columns": [], "meta_columns": [], "meta_rows": []}


def test_sizes_from_a_file_of_their_own_and_a_scale(run):
    config = '[denominate]\nby = {a = "area"}\nscale = {area = 100}\nfile = "sizes.csv"\n'
    sizes = "uCode,area\n" + "".join(f"{unit},{number}\n" for number, unit in enumerate("UVWXYZ", start=1))

    answer = run(DATA, META, config, sizes=sizes)

    assert answer.code == 0, answer.err
    assert answer.table("denominated")["a"].to_dict()["V"] == 450


def test_a_later_edition_takes_bounds_and_treatments_of_its_base(run, tmp_path):
    base = run(DATA, META, "[treat]\n[normalise]\n", out="base")
    config = '[treat]\nbase_file = "base/report.json"\n[normalise]\nbounds_file = "base/bounds.csv"\nclip = true\n'
    later = DATA.replace("V,x,20,9,", "V,x,20,99,")

    answer = run(later, META, config, out="later")

    assert answer.code == 0, answer.err
    before, after = base.table("normalised"), answer.table("normalised")
    pd.testing.assert_frame_equal(after.drop(index="V"), before.drop(index="V"))
    assert after.loc["V", "a"] == 100
    assert answer.table("clipped_cells")["indicator"].to_dict() == {"V": "a"}
    assert answer.report["parameters"]["normalise"]["bounds_file"] == "bounds.csv"


@pytest.mark.parametrize(
    ("settings", "weights"),
    [
        ('method = "equal"\nlevel = 1', {"a": 1 / 6, "b": 1 / 6, "c": 1 / 3, "P": 1 / 3}),
        ('method = "file"\nfile = "w.csv"', {"a": 0.25, "b": 0.25, "P": 0.5, "Q": 0.5}),
    ],
)
def test_weights_are_set_and_written(run, settings, weights):
    answer = run(DATA, META, f"{STEPS}[weights]\n{settings}\n", w="iCode,Weight\nb,1\nQ,1\n")

    assert answer.code == 0, answer.err
    table = pd.read_csv(answer.out / "weights.csv").set_index("iCode")["EffectiveWeight"]
    assert table[list(weights)].to_dict() == pytest.approx(weights)
    assert answer.report["hierarchy"]["effective_weights"] == pytest.approx(table.to_dict())


def test_an_aggregate_may_have_its_own_rule(run):
    config = STEPS + '[aggregate.groups.P]\nmethod = "median"\nmin_available = 1\n'

    answer = run(DATA.replace("W,y,30,3.5,", "W,y,30,,"), META, config)

    assert answer.code == 0, answer.err
    scores, normalised = answer.table("scores"), answer.table("normalised")
    assert pd.isna(scores.loc["W", "P"])
    assert scores.loc["X", "P"] == normalised.loc["X", "b"]  # the weight of b is three times that of a


def test_strengths_are_listed(run):
    answer = run(DATA, META, STEPS + '[profiles]\nrule = "coinr"\ncount = 1\nmin_discard = false\n')

    assert answer.code == 0, answer.err
    found = pd.read_csv(answer.out / "strengths.csv")
    assert found.query("uCode == 'V' and kind == 'strength'")["indicator"].tolist() == ["a"]


def test_uncertainty_writes_the_same_for_any_number_of_workers(run):
    one = run(DATA, META, VARIED, do="uncertainty", out="one", options=["--workers", "1", "--keep-ranks"])
    four = run(DATA, META, VARIED, do="uncertainty", out="four", options=["--workers", "4", "--keep-ranks"])

    assert one.code == 0, one.err
    assert files(one.out) == files(four.out)
    assert {path.name for path in one.out.iterdir()} >= {
        *("rank_stats.csv", "rank_pairs.csv", "replicates.csv", "replicate_weights.csv.gz", "replicate_ranks.csv.gz"),
        *("replicate_scores.csv.gz", "sensitivity.csv", "sensitivity_units.csv", "sensitivity_pairs.csv", "scores.csv"),
    }
    ranks = pd.read_csv(one.out / "replicate_ranks.csv.gz").set_index("uCode")
    stats = one.table("rank_stats")
    assert ranks.shape == (6, 60)
    assert stats["mean"].to_dict() == pytest.approx(ranks.mean(axis=1).to_dict())
    assert stats["q95"].to_dict() == pytest.approx(ranks.quantile(0.95, axis=1).to_dict())
    nominal = run(DATA, META, STEPS, out="nominal").table("ranks")["T"]
    assert stats["nominal"].to_dict() == nominal.to_dict()
    assert one.report["uncertainty"]["seed"] == 5
    assert gzip.decompress((one.out / "replicate_weights.csv.gz").read_bytes()).startswith(b"replicate,")


def test_uncertainty_with_given_weight_sets_and_errors(run):
    config = VARIED.split("[uncertainty.weights]")[0].replace("keep_scores = true\n", "")
    config += '[uncertainty.weights]\nkind = "sets"\nsets_file = "sets.csv"\n'
    config += '[uncertainty.noise]\nerrors_file = "errors.csv"\n'
    given = {"sets": "iCode,w1,w2\nP,1,2\nQ,2,1\n", "errors": "uCode,a\nU,0.1\nV,2\n"}

    answer = run(DATA, META, config, do="uncertainty", **given)

    assert answer.code == 0, answer.err
    assert set(answer.report["inputs"]) >= {"weight sets", "standard errors"}
    weights = pd.read_csv(answer.out / "replicate_weights.csv.gz")
    assert set(weights["P"]) == {1, 2}


@pytest.mark.parametrize(
    ("config", "words"),
    [
        (STEPS, ["config.toml", "[uncertainty]"]),
        (STEPS + "[uncertainty]\n[uncertainty.weights]\n", ["row 7", "seed"]),
        (STEPS + "[uncertainty]\nseed = 1\n", ["nothing is varied"]),
        (STEPS + "[uncertainty]\nseed = 1\n[uncertainty.treat]\nwinsorise_max = [1, 2]\n", ["add [treat]"]),
        (STEPS + "[uncertainty]\nseed = 1\nspeed = 2\n[uncertainty.weights]\n", ["row 9", "unknown key"]),
        (STEPS + '[uncertainty]\nseed = 1\n[uncertainty.weights]\nkind = "sets"\n', ["sets_file"]),
        (
            STEPS + '[uncertainty]\nseed = 1\n[uncertainty.weights]\nkind = "sets"\nsets_file = "no.csv"\n',
            ["no.csv", "cannot be read"],
        ),
    ],
)
def test_uncertainty_refuses_by_name_and_writes_nothing(run, config, words):
    answer = run(DATA, META, config, do="uncertainty")

    assert answer.code == 2
    assert answer.err.count("\n") == 1
    for word in words:
        assert word in answer.err, answer.err
    assert not answer.out.exists()


def test_audit_writes_its_tables_and_its_flags(run):
    answer = run(DATA, META, "[denominate]\n" + STEPS, do="audit", options=["--method", "spearman"])

    assert answer.code == 0, answer.err
    names = {path.name for path in answer.out.iterdir()}
    assert names >= {"flags.csv", "correlations_with_parents.csv", "cronbach_alpha.csv", "removal.csv"}
    assert (answer.report["command"]["name"], answer.report["command"]["method"]) == ("audit", "spearman")
    assert len(answer.report["flags"]) == len(pd.read_csv(answer.out / "flags.csv")) > 0


def test_audit_needs_scores(run):
    answer = run(DATA, META, "[normalise]\n", do="audit")

    assert answer.code == 2
    assert "add [aggregate]" in answer.err


LATER = DATA.replace("U,x,10,1,30,5,1\n", "").replace("X,y,40,8,25", "X,y,40,8,5") + "N,x,15,4,18,8,8\n"


def compared(tmp_path, *arguments):
    return main(["compare", *map(str, arguments), "--out", str(tmp_path / "change")]), tmp_path / "change"


def test_compare_explains_two_editions_from_their_files(run, tmp_path):
    first, second = (run(data, META, STEPS, out=name) for data, name in ((DATA, "first"), (LATER, "second")))
    for name, data in (("old", DATA), ("new", LATER)):
        (tmp_path / name).mkdir()
        for file, content in (("iData.csv", data), ("iMeta.csv", META), ("config.toml", STEPS)):
            (tmp_path / name / file).write_text(content)
    sides = [[tmp_path / name / file for file in ("iData.csv", "iMeta.csv", "config.toml")] for name in ("old", "new")]

    code, out = compared(tmp_path, "--before", *sides[0], "--after", *sides[1])

    assert code == 0
    table = pd.read_csv(out / "comparison.csv").set_index("uCode")
    assert table["rank_from"].dropna().to_dict() == first.table("ranks")["T"].to_dict()
    assert table["rank_to"].dropna().to_dict() == second.table("ranks")["T"].to_dict()
    assert table["status"].to_dict() == {"U": "left", "N": "entered"} | dict.fromkeys("VWXYZ", "both")
    parts = pd.read_csv(out / "decomposition.csv").set_index("uCode").query("status == 'both'")
    total = parts[["leavers", "performance", "framework", "entrants"]].sum(axis=1)
    assert total.to_dict() == pytest.approx((table["rank_from"] - table["rank_to"])[parts.index].to_dict())
    assert (parts["framework"] == 0).all()
    moved = pd.read_csv(out / "attribution.csv").set_index("uCode")
    assert moved.drop(columns="change").sum(axis=1).to_dict() == pytest.approx(moved["change"].to_dict(), abs=1e-9)


def test_compare_takes_folders_and_knows_what_is_no_movement(run, tmp_path):
    run(DATA, META, VARIED, do="uncertainty", out="first")
    run(LATER, META, VARIED, do="uncertainty", out="second")

    code, out = compared(tmp_path, "--before", tmp_path / "first", "--after", tmp_path / "second")

    assert code == 0
    report = json.loads((out / "report.json").read_text())
    assert [warning["kind"] for warning in report["warnings"]] == ["no_decomposition"]
    table = pd.read_csv(out / "comparison.csv").set_index("uCode")
    spans = [pd.read_csv(tmp_path / side / "rank_stats.csv").set_index("uCode") for side in ("first", "second")]
    for unit, row in table.query("status == 'both' and rank_change != 0").iterrows():
        inside = all(
            span.loc[unit, "q5"] <= row[key] <= span.loc[unit, "q95"]
            for span in spans
            for key in ("rank_from", "rank_to")
        )
        assert (row["movement"] == "none") == inside


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--before", "a", "b", "--after", "c"], ["--before takes"]),
        (["--before", "none", "--after", "none"], ["report.json", "cannot be read"]),
    ],
)
def test_compare_refuses_in_one_line(tmp_path, capsys, monkeypatch, arguments, words):
    monkeypatch.chdir(tmp_path)

    code, out = compared(tmp_path, *arguments)

    err = capsys.readouterr().err
    assert code == 2
    assert err.count("\n") == 1
    assert all(word in err for word in words), err
    assert not out.exists()
