"""The ASEM conformance table, stage by stage and through the command line: COINr's results on real data."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest


def read(path: Path) -> pd.DataFrame:
    return pd.read_csv(path, dtype={"uCode": str}).set_index("uCode")


def assert_same(actual: pd.DataFrame, expected: pd.DataFrame) -> None:
    """Same units in the same order, same columns, values to 1e-9 relative, the same gaps."""
    assert list(actual.index) == sorted(expected.index)
    assert set(expected.columns) <= set(actual.columns)
    np.testing.assert_allclose(
        actual[expected.columns].to_numpy(dtype=float),
        expected.loc[actual.index].to_numpy(dtype=float),
        rtol=1e-9,
        atol=1e-12,
    )


def assert_ranks(actual: pd.DataFrame, expected: pd.DataFrame) -> None:
    assert list(actual.index) == sorted(expected.index)
    assert set(actual.columns) <= set(expected.columns)
    expected = expected.loc[actual.index, actual.columns]
    pd.testing.assert_frame_equal(actual, expected, check_dtype=False, check_exact=True)


@pytest.mark.parametrize(
    ("file", "settings"),
    [
        ("raw_byNA_dat0.85_nonzero0.05", "min_available = 0.85"),
        ("raw_byzeros_dat0.66_nonzero0.95", 'method = "by_zeros"\nmin_nonzero = 0.95'),
        (
            "raw_byNAandzeros_dat0.9_nonzero0.95",
            'method = "by_na_and_zeros"\nmin_available = 0.9\nmin_nonzero = 0.95',
        ),
        (
            "raw_byNA_0.9_force_CHE_out_KHM_in",
            'min_available = 0.9\ninclude = ["KHM"]\nexclude = ["CHE"]',
        ),
    ],
)
@pytest.mark.parametrize("compat", ["", 'compat = "coinr"\n'])
def test_screening(run, asem, file, settings, compat):
    expected = read(asem(f"screening/{file}.csv"))

    answer = run(asem("inputs/iData.csv"), asem("inputs/iMeta.csv"), f"{compat}[screen]\n{settings}\n")

    assert answer.code == 0, answer.err
    kept = answer.table("screened")
    assert list(kept.index) == sorted(expected.index[expected["Included"]])
    raw = read(asem("inputs/iData.csv")).loc[kept.index, kept.columns]
    assert_same(kept, raw)
    out = [entry["unit"] for entry in answer.report["screening"]["screened_out"]]
    assert out == sorted(expected.index[~expected["Included"]])


TREATMENTS = [
    *((f"qTreat_winmax{n}", f"winsorise_max = {n}") for n in (1, 2, 3, 5, 10)),
    ("qTreat_winmax1_skew1.5_kurt3_log_CT", "skew = 1.5\nkurtosis = 3\nwinsorise_max = 1"),
    ("winmax0_log_CT", "winsorise_max = 0"),
    ("winmax1_combine_log_CT", "winsorise_max = 1\ncombine = true"),
    ("winmax1_log_CT_orig", 'winsorise_max = 1\ntransform = "log_ct_orig"'),
    ("winmax1_log_CT_plus", 'winsorise_max = 1\ntransform = "log_ct_plus"'),
]


@pytest.mark.parametrize(("file", "settings"), TREATMENTS)
def test_treatment(run, asem, file, settings):
    expected = read(asem(f"treatment/{file}_values.csv"))
    details = pd.read_csv(asem(f"treatment/{file}_details.csv")).set_index("iCode")

    answer = run(asem("a_example/04_screened.csv"), asem("inputs/iMeta.csv"), f"[treat]\n{settings}\n")

    assert answer.code == 0, answer.err
    assert_same(answer.table("treated"), expected)
    entries = {entry["indicator"]: entry for entry in answer.report["treatment"]}
    failing = details[~details["check_SkewKurt0.Pass"].astype(bool)]
    assert set(entries) == set(failing.index)
    for code, row in failing.iterrows():
        assert entries[code]["skew"] == pytest.approx(row["check_SkewKurt0.Skew"], rel=1e-9)
        assert entries[code]["kurtosis"] == pytest.approx(row["check_SkewKurt0.Kurt"], rel=1e-9)
        assert entries[code]["n_winsorised"] == row["winsorise.nwin"]


def test_treated_points_are_recorded(run, asem):
    expected = pd.read_csv(asem("a_example/05_treated_points.csv")).set_index("uCode")

    answer = run(asem("a_example/04_screened.csv"), asem("inputs/iMeta.csv"), "[treat]\n")

    marked = {
        (unit, code)
        for code in expected.columns
        for unit, mark in expected[code].items()
        if isinstance(mark, str) and mark
    }
    recorded = {
        (point["unit"], entry["indicator"]) for entry in answer.report["treatment"] for point in entry["points"]
    }
    assert recorded == marked


def test_treatment_with_gaps(run, asem):
    answer = run(asem("b_overview/02_screened.csv"), asem("inputs/iMeta.csv"), "[treat]\n")

    assert_same(answer.table("treated"), read(asem("b_overview/04_treated_from_screened.csv")))


@pytest.mark.parametrize(
    ("file", "settings"),
    [
        ("normalisation/minmax_0_1", "lower = 0\nupper = 1"),
        ("normalisation/minmax_0_100", ""),
        ("normalisation/minmax_1_7", "lower = 1\nupper = 7"),
        ("a_example/06_normalised", 'method = "min_max"'),
        ("a_example/06_normalised_1_100", "lower = 1"),
    ],
)
def test_min_max(run, asem, file, settings):
    answer = run(asem("a_example/05_treated.csv"), asem("inputs/iMeta.csv"), f"[normalise]\n{settings}\n")

    assert answer.code == 0, answer.err
    assert_same(answer.table("normalised"), read(asem(f"{file}.csv")))


def test_goalposts(run, asem):
    given = pd.read_csv(asem("normalisation/raw_goalposts_parameters.csv"))
    posts = pd.DataFrame(
        {
            "iCode": given["iCode"],
            "transform": "lin",
            "lo": given["goalpost_lower"],
            "hi": given["goalpost_upper"],
            "direction": given["Direction"],
        }
    )

    answer = run(
        asem("inputs/iData.csv"),
        asem("inputs/iMeta.csv"),
        '[normalise]\nmethod = "goalposts"\nfile = "posts.csv"\n',
        posts=posts,
    )

    assert answer.code == 0, answer.err
    assert_same(answer.table("normalised"), read(asem("normalisation/raw_goalposts_p10_p90_trunc_0_100.csv")))


def unequal(asem) -> pd.DataFrame:
    meta = pd.read_csv(asem("inputs/iMeta.csv"))
    weights = pd.read_csv(asem("aggregation/weights_unequal.csv")).set_index("iCode")["Weight"]
    return meta.assign(Weight=meta["iCode"].map(weights))


AGGREGATIONS = [
    ("amean", '"arithmetic_mean"'),
    ("gmean", '"geometric_mean"'),
    ("hmean", '"harmonic_mean"'),
    ("amean_amean_gmean", '["arithmetic_mean", "arithmetic_mean", "geometric_mean"]'),
    ("amean_unequal_w", '"arithmetic_mean"'),
    ("gmean_unequal_w", '"geometric_mean"'),
    ("hmean_unequal_w", '"harmonic_mean"'),
]


@pytest.mark.parametrize(("file", "method"), AGGREGATIONS)
@pytest.mark.parametrize("compat", ["", 'compat = "coinr"\n'])
def test_aggregation_and_ranks(run, asem, file, method, compat):
    meta = unequal(asem) if file.endswith("unequal_w") else asem("inputs/iMeta.csv")

    answer = run(
        asem("a_example/06_normalised_1_100.csv"),
        meta,
        f"{compat}[aggregate]\nmethod = {method}\n[rank]\n",
    )

    assert answer.code == 0, answer.err
    assert_same(answer.table("scores"), read(asem(f"aggregation/{file}.csv")))
    assert_ranks(answer.table("ranks"), read(asem(f"aggregation/{file}_ranks.csv")))


@pytest.mark.parametrize("limit", ["none", "0.75", "0.9"])
@pytest.mark.parametrize(
    ("name", "method"),
    [("amean", "arithmetic_mean"), ("gmean", "geometric_mean"), ("hmean", "harmonic_mean")],
)
@pytest.mark.parametrize("compat", ["", 'compat = "coinr"\n'])
def test_missing_data_limit(run, asem, limit, name, method, compat):
    file = f"missing/a_{name}_thresh_{limit}"

    answer = run(
        asem("missing/normalised_1_100_with_na.csv"),
        asem("inputs/iMeta.csv"),
        f'{compat}[aggregate]\nmethod = "{method}"\nmin_available = {0 if limit == "none" else limit}\n[rank]\n',
    )

    assert answer.code == 0, answer.err
    assert_same(answer.table("scores"), read(asem(f"{file}.csv")))
    assert_ranks(answer.table("ranks"), read(asem(f"{file}_ranks.csv")))


def test_coinr_sets_no_limit_by_itself(run, asem):
    answer = run(
        asem("missing/normalised_1_100_with_na.csv"),
        asem("inputs/iMeta.csv"),
        'compat = "coinr"\n[aggregate]\n',
    )

    assert_same(answer.table("scores"), read(asem("missing/a_amean_thresh_none.csv")))
    assert "aggregate.min_available" in answer.report["defaults"]


def test_whole_chain(run, asem):
    """The package's example from the imputed data on: screen, treat, normalise, aggregate, rank."""
    answer = run(
        asem("a_example/03_imputed.csv"),
        asem("inputs/iMeta.csv"),
        '[screen]\nmin_available = 0.9\n[impute]\nmethod = "none"\n[treat]\n[normalise]\n[aggregate]\n[rank]\n',
    )

    assert answer.code == 0, answer.err
    for table, file in [
        ("screened", "04_screened"),
        ("imputed", "04_screened"),
        ("treated", "05_treated"),
        ("normalised", "06_normalised"),
    ]:
        assert_same(answer.table(table), read(asem(f"a_example/{file}.csv")))
    scores = read(asem("a_example/07_aggregated_amean.csv"))
    assert_same(answer.table("scores"), scores[list(answer.table("scores").columns)])
    assert_ranks(answer.table("ranks"), read(asem("a_example/08_ranks_amean.csv")))


def test_order_of_the_overview_page(run, asem):
    answer = run(
        asem("a_example/02_denominated.csv"),
        asem("inputs/iMeta.csv"),
        'compat = "coinr"\n[screen]\nmin_available = 0.9\n[treat]\n[normalise]\n[aggregate]\n[rank]\n',
    )

    assert_same(answer.table("normalised"), read(asem("b_overview/05_normalised.csv")))
    scores = read(asem("b_overview/06_aggregated_amean.csv"))
    assert_same(answer.table("scores"), scores[list(answer.table("scores").columns)])
    assert_ranks(answer.table("ranks"), read(asem("b_overview/07_ranks.csv")))


@pytest.mark.parametrize("weights", ["equal", "unequal"])
def test_effective_weights(run, asem, weights):
    meta = unequal(asem) if weights == "unequal" else asem("inputs/iMeta.csv")

    answer = run(asem("a_example/06_normalised.csv"), meta, "[aggregate]\n")

    expected = pd.read_csv(asem(f"weights/effective_weights_{weights}.csv")).set_index("iCode")
    column = next(name for name in expected.columns if "eff" in name.lower())
    actual = answer.report["hierarchy"]["effective_weights"]
    assert actual == pytest.approx(expected[column].to_dict(), rel=1e-12)


@pytest.mark.parametrize(("file", "scope"), [("global", "all"), ("peryear", "time")])
def test_panel(run, asem, file, scope):
    """Several times: COINr treats each year by itself, and pools the bounds or not."""
    answer = run(
        asem("inputs/iData_panel.csv"),
        asem("inputs/iMeta.csv"),
        'compat = "coinr"\n[screen]\nmin_available = 0.9\n[treat]\n'
        f'[normalise]\nscope = "{scope}"\n[aggregate]\n[rank]\n',
    )

    assert answer.code == 0, answer.err
    scores = pd.read_csv(answer.out / "scores.csv").set_index(["uCode", "Time"])
    expected = pd.read_csv(asem(f"panel/{file}_minmax_aggregated.csv")).set_index(["uCode", "Time"])
    assert list(scores.index) == sorted(scores.index)
    np.testing.assert_allclose(
        scores[["Index"]].to_numpy(), expected.loc[scores.index, ["Index"]].to_numpy(), rtol=1e-9
    )
    ranks = pd.read_csv(answer.out / "ranks.csv").set_index(["uCode", "Time"])
    again = scores.groupby("Time").rank(ascending=False, method="min")
    pd.testing.assert_frame_equal(ranks, again, check_dtype=False)
