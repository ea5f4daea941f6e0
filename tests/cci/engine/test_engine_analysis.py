"""Statistics, correlations, principal components and Cronbach's alpha: COINr's figures, and what never holds."""

import doctest
import importlib
import pkgutil

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from cci.engine.aggregation import LevelRule, aggregate
from cci.engine.analysis import (
    audit,
    correlation_flags,
    correlations,
    cronbach_alpha,
    pairs_within_groups,
    principal_components,
    statistics,
    with_parents,
)
from cci.engine.denomination import size_correlations
from cci.engine.errors import DataError
from cci.engine.meta import read_meta

METHODS = ["pearson", "spearman", "kendall"]


def read(path):
    return pd.read_csv(path, dtype={"uCode": str}).set_index("uCode")


@pytest.fixture
def tree(asem):
    meta = pd.read_csv(asem("inputs/iMeta.csv"), keep_default_na=False)
    return read_meta(meta)


@pytest.fixture
def scored(asem):
    """Indicators on one scale, and all aggregates."""
    return read(asem("a_example/07_aggregated_amean.csv"))


def small_tree(*parents):
    """Indicators a, b, c … below the groups named, the groups below T."""
    groups = sorted(set(parents))
    codes = [chr(ord("a") + i) for i in range(len(parents))]
    return read_meta(
        pd.DataFrame(
            {
                "Level": [1] * len(parents) + [2] * len(groups) + [3],
                "iCode": [*codes, *groups, "T"],
                "Parent": [*parents, *(["T"] * len(groups)), ""],
                "Direction": 1,
                "Weight": 1,
            }
        )
    )


def noise(n, k, *, seed=1, missing=0.0):
    rng = np.random.default_rng(seed)
    values = rng.normal(size=(n, k)) + rng.normal(size=(n, 1))
    values[rng.random((n, k)) < missing] = np.nan
    columns = [chr(ord("a") + i) for i in range(k)]
    return pd.DataFrame(values, index=[f"u{i:04}" for i in range(n)], columns=columns)


# COINr's figures


@pytest.mark.parametrize(
    ("file", "stage"), [("stats_raw", "a_example/01_raw"), ("stats_treated", "a_example/05_treated")]
)
def test_statistics_are_those_of_coinr(asem, file, stage):
    expected = pd.read_csv(asem(f"analysis/{file}.csv")).set_index("iCode")
    numbers = {
        "minimum": "Min",
        "maximum": "Max",
        "mean": "Mean",
        "median": "Median",
        "sd": "Std",
        "skew": "Skew",
        "kurtosis": "Kurt",
        "n_available": "N.Avail",
        "n_nonzero": "N.NonZero",
        "n_unique": "N.Unique",
        "n_same": "N.Same",
        "available": "Frc.Avail",
        "nonzero": "Frc.NonZero",
        "unique": "Frc.Unique",
        "same": "Frc.Same",
    }
    flags = {
        "low availability": "Flag.Avail",
        "many zeros": "Flag.NonZero",
        "few distinct values": "Flag.Unique",
        "outliers": "Flag.SkewKurt",
    }

    actual = statistics(read(asem(f"{stage}.csv")).select_dtypes("number")).loc[expected.index]

    np.testing.assert_allclose(
        actual[list(numbers)].to_numpy(float), expected[list(numbers.values())].to_numpy(float), rtol=1e-9, atol=1e-12
    )
    for words, column in flags.items():
        flagged = actual["flags"].str.contains(words)
        assert list(flagged) == list(expected[column] != "ok"), words


@pytest.mark.parametrize("method", METHODS)
def test_correlations_are_those_of_coinr(asem, method):
    expected = pd.read_csv(asem(f"analysis/corr_{method}_normalised.csv")).set_index("iCode")
    values = read(asem("a_example/06_normalised.csv"))

    actual = correlations(values[expected.columns], method=method)

    np.testing.assert_allclose(actual.loc[expected.index].to_numpy(), expected.to_numpy(), rtol=1e-9, atol=1e-12)


def test_insignificant_correlations_are_blanked_as_in_coinr(asem):
    expected = pd.read_csv(asem("analysis/corr_normalised_p05_blanked.csv"))
    values = read(asem("a_example/06_normalised.csv"))

    actual = correlations(values[expected["Var1"].unique()], p_max=0.05)

    found = np.array([actual.loc[a, b] for a, b in zip(expected["Var1"], expected["Var2"], strict=True)])
    np.testing.assert_allclose(found, expected["Correlation"].to_numpy(), rtol=1e-9, atol=1e-12)
    assert np.isnan(found).sum() > 1000


@pytest.mark.parametrize(
    "file", ["corr_indicator_vs_own_pillar", "corr_pillar_vs_own_subindex", "corr_subindex_vs_index"]
)
def test_correlations_with_parents_are_those_of_coinr(asem, tree, scored, file):
    expected = pd.read_csv(asem(f"analysis/{file}.csv"))

    actual = with_parents(scored, tree).set_index(["ancestor", "element"])["correlation"]

    found = actual.loc[list(zip(expected["Var1"], expected["Var2"], strict=True))]
    np.testing.assert_allclose(found.to_numpy(), expected["Correlation"].to_numpy(), rtol=1e-9)


def test_each_element_is_correlated_with_all_above_it(tree, scored):
    table = with_parents(scored, tree)

    assert list(table.loc[table["element"] == "LPI", "ancestor"]) == ["Physical", "Conn", "Index"]
    assert len(table) == 49 * 3 + 8 * 2 + 2


def test_flags_within_groups_are_those_of_coinr(asem, tree):
    values = read(asem("a_example/06_normalised.csv"))
    high = pd.read_csv(asem("analysis/corr_flags_high_0.75_within_pillar.csv"))
    low = pd.read_csv(asem("analysis/corr_flags_low_-0.3_within_pillar.csv"))

    flags = correlation_flags(values, tree, redundant=0.75, opposed=-0.3)

    for kind, expected in (("redundant", high), ("opposed", low)):
        # "Redundant" asks of |r| here, of r in COINr.
        actual = flags[(flags["kind"] == kind) & ((kind == "opposed") | (flags["correlation"] > 0))]
        found = {(g, frozenset((a, b))): r for g, a, b, r in actual.iloc[:, 1:5].itertuples(index=False)}
        wanted = {(g, frozenset((a, b))): r for g, a, b, r in expected.itertuples(index=False)}
        assert found.keys() == wanted.keys()
        assert found == pytest.approx(wanted, rel=1e-9)


def test_correlations_with_sizes_are_those_of_coinr(asem, tree):
    data = read(asem("inputs/iData.csv"))
    sizes = ["Area", "Energy", "GDP", "Population"]
    expected = pd.read_csv(asem("analysis/corr_with_denominators_0.7_raw.csv"))

    matrix = correlations(data[list(tree.indicators)], data[sizes])
    listed = size_correlations(data[list(tree.indicators)], data[sizes], threshold=0.7)

    found = matrix.stack()[lambda r: r.abs() > 0.7].sort_index()
    assert list(found.index) == list(zip(expected["Ind"], expected["Denom"], strict=True))
    np.testing.assert_allclose(found.to_numpy(), expected["Corr"].to_numpy(), rtol=1e-9)
    np.testing.assert_allclose(found.to_numpy(), listed["correlation"].to_numpy(), rtol=1e-9)


@pytest.mark.parametrize("file", ["pca_level1_eigen", "pca_level2_eigen"])
def test_eigenvalues_are_those_of_coinr(asem, tree, scored, file):
    expected = pd.read_csv(asem(f"weights/{file}.csv")).set_index(["group", "component"])

    actual = principal_components(scored, tree).components.set_index(["group", "component"])

    found = actual.loc[expected.index, ["eigenvalue", "share"]]
    np.testing.assert_allclose(found.to_numpy(), expected[["eigenvalue", "frac_var"]].to_numpy(), rtol=1e-9)


@pytest.mark.parametrize("file", ["pca_level1", "pca_level2"])
def test_first_loadings_are_those_of_coinr_but_for_their_sign(asem, tree, scored, file):
    expected = pd.read_csv(asem(f"weights/{file}.csv")).set_index("iCode")["Weight"]

    loadings = principal_components(scored, tree).loadings.query("component == 1").set_index("element")["loading"]

    np.testing.assert_allclose(loadings[expected.index].abs(), expected.abs(), rtol=1e-8)


def test_alpha_is_that_of_coinr(asem, tree, scored):
    pillars = pd.read_csv(asem("analysis/cronbach_by_pillar.csv")).set_index("group")
    aggregates = pd.read_csv(asem("analysis/cronbach_aggregates.csv")).set_index("group")
    raw = read(asem("a_example/01_raw.csv"))

    def whole(values):
        return cronbach_alpha(values, tree).query("dropped == ''").set_index("group")["alpha"]

    alpha, alpha_raw = whole(scored), whole(raw[list(tree.indicators)])

    np.testing.assert_allclose(alpha[pillars.index], pillars["alpha_normalised"], rtol=1e-9)
    np.testing.assert_allclose(alpha_raw[pillars.index], pillars["alpha_raw_pairwise"], rtol=1e-9)
    np.testing.assert_allclose(alpha[aggregates.index], aggregates["alpha"], rtol=1e-9)


# Recomputed otherwise


@pytest.mark.parametrize("method", METHODS)
def test_gaps_are_met_pair_by_pair(method):
    x, y = noise(40, 5, missing=0.2), noise(40, 3, seed=2, missing=0.1).round(1)

    actual = correlations(x, y, method=method)

    oracle = {"pearson": stats.pearsonr, "spearman": stats.spearmanr, "kendall": stats.kendalltau}[method]
    for a in x:
        for b in y:
            both = x[a].notna() & y[b].notna()
            assert actual.loc[a, b] == pytest.approx(oracle(x.loc[both, a], y.loc[both, b]).statistic, abs=1e-11)


@pytest.mark.parametrize("method", METHODS)
def test_blanking_follows_the_test_of_significance(method):
    x = noise(30, 6, missing=0.1)
    x.iloc[:, 3:] = noise(30, 3, seed=9).to_numpy()

    actual = correlations(x, method=method, p_max=0.05)

    oracle = {"pearson": stats.pearsonr, "spearman": stats.spearmanr, "kendall": stats.kendalltau}[method]
    for a in x:
        for b in x:
            both = x[a].notna() & x[b].notna()
            significant = oracle(x.loc[both, a], x.loc[both, b]).pvalue <= 0.05
            assert np.isnan(actual.loc[a, b]) != significant
    assert np.isnan(actual.to_numpy()).any()


def test_a_pair_that_varies_only_elsewhere_keeps_its_digits():
    x = pd.DataFrame({"a": [1.0, 1.0 + 1e-9, 1.0 + 3e-9, 1.0 + 2e-9, 1e9], "b": [1.0, 2.0, 3.0, 4.0, np.nan]})

    assert correlations(x).loc["a", "b"] == pytest.approx(stats.pearsonr(x["a"][:4], x["b"][:4]).statistic, abs=1e-6)


def test_alpha_if_dropped_is_the_alpha_of_the_others():
    values, tree = noise(30, 4), small_tree("P", "P", "P", "P")

    table = cronbach_alpha(values, tree).set_index(["group", "dropped"])["alpha"]

    for code in values:
        others = values.drop(columns=code)
        k, total = 3, others.sum(axis=1).var()
        assert table["P", code] == pytest.approx(k / (k - 1) * (1 - others.var().sum() / total))


# Properties


@pytest.mark.parametrize("method", METHODS)
def test_the_order_of_rows_changes_no_digit(method):
    values, tree = noise(50, 4, missing=0.1), small_tree("P", "P", "Q", "Q")
    shuffled = values.sample(frac=1, random_state=3)

    pd.testing.assert_frame_equal(
        correlations(values, method=method), correlations(shuffled, method=method), check_exact=True
    )
    pd.testing.assert_frame_equal(statistics(values), statistics(shuffled), check_exact=True)
    pd.testing.assert_frame_equal(cronbach_alpha(values, tree), cronbach_alpha(shuffled, tree), check_exact=True)


@pytest.mark.parametrize("method", METHODS)
def test_units_of_measure_change_no_correlation(method):
    values = noise(50, 4, missing=0.1)
    scaled = values * [1e-12, 1e12, -3.0, 1.0] + [0.0, 0.0, 7.0, -2.0]

    signs = np.outer([1, 1, -1, 1], [1, 1, -1, 1])
    np.testing.assert_allclose(
        correlations(scaled, method=method), correlations(values, method=method) * signs, atol=1e-10
    )


def test_alpha_has_neither_scale_nor_origin():
    values, tree = noise(50, 4, missing=0.1), small_tree("P", "P", "P", "P")

    alpha = cronbach_alpha(values, tree)["alpha"]

    np.testing.assert_allclose(cronbach_alpha(values * 1e200 + 1e199, tree)["alpha"], alpha, rtol=1e-9)
    np.testing.assert_allclose(cronbach_alpha(values * 3 - 7, tree)["alpha"], alpha, rtol=1e-9)


def test_alpha_of_copies_is_one():
    values = noise(20, 1)
    values["b"] = values["c"] = values["a"]

    assert cronbach_alpha(values, small_tree("P", "P", "P"))["alpha"].dropna().tolist() == pytest.approx([1.0] * 4)


def test_eigenvalues_sum_to_the_number_of_components():
    found = principal_components(noise(40, 6), small_tree("P", "P", "P", "Q", "Q", "Q"))

    np.testing.assert_allclose(found.components.groupby("group")["eigenvalue"].sum(), 3)
    np.testing.assert_allclose(found.loadings.query("component == 1").groupby("group")["loading"].sum() > 0, True)


# Edges


def test_statistics_of_odd_columns_are_flagged_in_words():
    values = pd.DataFrame({"none": [np.nan] * 6, "same": [2.0] * 6, "spike": [0.0] * 5 + [1.0], "ok": range(6)})

    table = statistics(values)

    assert table["flags"].to_dict() == {
        "none": "no data",
        "same": "constant",
        "spike": "many zeros; few distinct values; outliers",
        "ok": "",
    }
    assert np.isnan(table.loc["none", "mean"])
    assert np.isnan(table.loc["same", "skew"])


@pytest.mark.parametrize("method", METHODS)
def test_what_has_no_correlation_is_missing(method):
    values = pd.DataFrame(
        {"a": [1.0, 2.0, 3.0, 4.0], "same": [0.1] * 4, "two": [1.0, 2.0, None, None], "none": [np.nan] * 4}
    )

    table = correlations(values, method=method)

    assert table.notna().to_numpy().sum() == 1
    assert table.loc["a", "a"] == 1


def test_what_has_no_correlation_is_named_in_words():
    values = pd.DataFrame({"a": [1.0, 2.0, 3.0], "b": [5.0, 5.0, 5.0], "c": [1.0, None, None]})

    flags = correlation_flags(values, small_tree("P", "P", "P")).query("kind == 'undefined'")

    assert flags["words"].tolist() == [
        "a and b of P: one of them is constant.",
        "a and c of P: 1 common units are too few to correlate.",
        "b and c of P: 1 common units are too few to correlate.",
    ]


def test_undefined_components_and_alphas_say_why():
    values = pd.DataFrame({"a": [1.0, 2.0, 3.0], "b": [5.0, 5.0, 5.0], "c": [1.0, None, None], "d": [1.0, 2.0, 3.0]})
    tree = small_tree("P", "P", "Q", "Q")

    groups = principal_components(values, tree).groups.set_index("group")
    alone = cronbach_alpha(values, small_tree("P", "Q", "R", "R")).set_index(["group", "dropped"])

    assert groups.loc["P", "note"] == "constant over the complete units: b"
    assert groups.loc["Q", "note"] == "only 1 units have all components; 3 are needed"
    assert alone.loc[("P", ""), "note"] == "a single component has no alpha"
    assert alone.loc[("R", ""), "note"] == "c has fewer than 2 units"


def test_an_infinite_value_is_refused_by_name():
    values = pd.DataFrame({"a": [1.0, np.inf]}, index=["X", "Y"])

    with pytest.raises(DataError, match=r"column a: unit Y has an infinite value"):
        correlations(values)


def test_tables_of_different_units_are_refused():
    with pytest.raises(DataError, match=r"different units \(X\)"):
        correlations(pd.DataFrame({"a": [1.0]}, index=["X"]), pd.DataFrame({"b": [1.0]}, index=["Y"]))


def test_an_unknown_method_is_refused():
    with pytest.raises(ValueError, match="'pearsn' is no correlation; choose pearson, spearman, kendall"):
        correlations(noise(5, 2), method="pearsn")


# The audit


def test_the_audit_of_asem_holds_every_table(asem, tree, scored):
    data = read(asem("inputs/iData.csv")).loc[scored.index]
    observed = data[list(tree.indicators)]

    tables = audit(
        scored[list(tree.indicators)],
        scored[list(tree.aggregates)],
        tree,
        observed=observed,
        treated=read(asem("a_example/05_treated.csv"))[list(tree.indicators)],
        denominators=data[["Area", "Energy", "GDP", "Population"]],
        rules=[LevelRule()] * 3,
    )

    assert list(tables) == [
        "flags",
        "statistics_observed",
        "statistics_treated",
        "correlations_within_groups",
        "correlations_with_parents",
        "principal_component_groups",
        "principal_components",
        "loadings",
        "cronbach_alpha",
        "size_correlations",
        "removal",
    ]
    assert all(len(table) for table in tables.values())
    flags = tables["flags"]
    assert set(flags["topic"]) == {
        "observed values",
        "treated values",
        "correlation",
        "dimensions",
        "consistency",
        "size",
    }
    words = dict(zip(zip(flags["topic"], flags["element"], strict=True), flags["words"], strict=True))
    assert words["consistency", "Sust"].startswith("alpha is -0.29")
    assert words["dimensions", "Sust"] == "2 dimensions (eigenvalues above 1) instead of one"


def test_an_index_without_faults_raises_no_flag():
    rng = np.random.default_rng(5)
    factor = rng.normal(size=200)
    values = pd.DataFrame({c: factor + 0.6 * rng.normal(size=200) for c in "abcd"})
    tree = small_tree("P", "P", "Q", "Q")

    tables = audit(values, aggregate(values, tree, [LevelRule()] * 2), tree, observed=values)

    assert tables["flags"].empty


def test_pairs_are_those_inside_each_group():
    pairs = pairs_within_groups(noise(10, 5), small_tree("P", "P", "P", "Q", "Q"))

    assert list(pairs[["group", "element", "other"]].itertuples(index=False, name=None)) == [
        ("P", "a", "b"),
        ("P", "a", "c"),
        ("P", "b", "c"),
        ("Q", "d", "e"),
    ]


@pytest.mark.parametrize("package", ["analysis", "comparison"])
def test_examples_inside_the_package_hold(package):
    folder = importlib.import_module(f"cci.engine.{package}")
    modules = [importlib.import_module(f"{folder.__name__}.{m.name}") for m in pkgutil.iter_modules(folder.__path__)]

    results = [doctest.testmod(module) for module in modules]

    assert sum(r.failed for r in results) == 0
    assert sum(r.attempted for r in results) > 10
