"""Indicator formulas over columns: worked examples by hand, missing values, weights."""

import numpy as np
import pytest

from facts.checks.copying import copied_forward
from facts.expressions import ExpressionError
from facts.indicators.formulas import Answers, Columns, Evaluation, evaluate, parse_formula
from facts.indicators.weights import cell_weights

NAN = np.nan
DERIVED = {
    "PE": parse_formula("UB01*UA02/12"),
    "VA": parse_formula("OUT - UD01"),
    "OUT": parse_formula("UC01 + coalesce(UC06, 0)"),
}


def _column(values) -> np.ndarray | Answers:
    """Floats, or answers to a question with several options."""
    return Answers.of(values) if isinstance(values[0], tuple) else np.array(values, dtype=float)


def columns(units=None, clusters=None, of=(0, 0, 0), weight=(1.0, 1.0, 2.0), previous=None, matched=None) -> Columns:
    units = {name: _column(values) for name, values in (units or {}).items()}
    return Columns(
        units=units,
        cluster_of=np.array(of),
        weight=np.array(weight),
        clusters={name: np.array(values, dtype=float) for name, values in (clusters or {}).items()},
        n_clusters=max(of) + 1,
        previous=previous,
        matched_ok=None if matched is None else np.array(matched),
    )


def value(text, data: Columns) -> float:
    return evaluate(parse_formula(text), data, DERIVED).values[0]


def test_sums_are_weighted():
    data = columns({"UC01": [10, 20, 30], "UC02": [5, 0, 15]})

    assert value("100*SUM(UC02)/SUM(UC01)", data) == pytest.approx(100 * (5 + 0 + 30) / (10 + 20 + 60))


def test_a_ratio_uses_only_units_with_every_operand():
    data = columns({"UC01": [10, 20, NAN], "UC02": [5, NAN, 15]})
    result = evaluate(parse_formula("100*SUM(UC02)/SUM(UC01)"), data, DERIVED)

    assert result.values[0] == 50
    assert result.support.tolist() == [True, False, False]


def test_means_medians_and_shares():
    data = columns({"UE05": [1, 2, 9], "UB01": [1, 1, 2]})

    assert value("MEAN(UE05)", data) == pytest.approx((1 + 2 + 18) / 4)
    assert value("WMEAN(UE05, by=UB01)", data) == pytest.approx((1 + 2 + 36) / 6)
    assert value("MED(UE05)", data) == 2  # cumulated weight reaches the half of 4 at the second unit
    assert value("SHARE(UE05 > 1)", data) == 75
    assert value("SHARE(UE05 > 1, base=UB01 == 1)", data) == 50


def test_several_answers():
    data = columns({"UG02": [("prod",), ("none",), ("proc", "prod")]})

    assert value('SHARE(has(UG02,"prod"))', data) == 75
    assert value("MEAN(COUNT_EXCL_NONE(UG02))", data) == pytest.approx((1 + 0 + 4) / 4)


def test_missing_is_never_zero():
    data = columns({"UC01": [NAN, NAN, NAN]}, {"CH08": [9.0], "CH05": [NAN]})

    assert np.isnan(value("SUM(UC01)", data))
    assert np.isnan(value("CH05", data))
    assert np.isnan(value("IF(CH08 == 9, MISSING, 100*CH08/3)", data))
    assert np.isnan(value("CH08/CH05", data))
    assert np.isnan(value("100*CH08/(CH08 - 9)", data))


def test_derived_variables_and_money():
    data = columns(
        {"UC01": [100, 100, 100], "UC06": [NAN, 10, NAN], "UD01": [40, 40, 40], "UB01": [2, 2, 2], "UA02": [12, 6, 12]},
        {"REAL": [0.5], "PPP": [0.1]},
    )

    assert value("SUM(PE)", data) == 2 + 1 + 4
    assert value("PPP(REAL(SUM(VA)/SUM(PE)))", data) == pytest.approx((60 + 70 + 120) / 7 * 0.5 * 0.1)


def test_growth_counts_matched_units_free_of_copying():
    before = columns({"UC01": [50, 10, 10], "UC06": [0, 0, 0]}, {"REAL": [1.0]})
    now = columns(
        {"UC01": [100, 99, 20], "UC06": [0, 0, 0]}, {"REAL": [0.5]}, previous=before, matched=[True, False, True]
    )

    # (100·0.5 + 2·20·0.5) / (50 + 2·10) − 1
    assert value("100*MATCHED_GROWTH(REAL(OUT))", now) == pytest.approx(0.0)


def test_the_first_round_has_no_growth():
    assert np.isnan(value("MATCHED_GROWTH(PE)", columns({"UB01": [1, 1, 1], "UA02": [12, 12, 12]})))


def test_the_order_of_units_changes_nothing_but_rounding():
    rng = np.random.default_rng(3)
    x, w = rng.lognormal(size=200), rng.uniform(1, 5, size=200)
    order = rng.permutation(200)
    plain = columns({"UE05": x.tolist()}, of=[0] * 200, weight=w)
    shuffled = columns({"UE05": x[order].tolist()}, of=[0] * 200, weight=w[order])

    for text in ("MEAN(UE05)", "MED(UE05)", "SHARE(UE05 > 1)"):
        assert value(text, plain) == pytest.approx(value(text, shuffled), rel=1e-12)


def test_units_out_of_order_are_refused():
    with pytest.raises(ValueError, match="cluster by cluster"):
        value("SUM(UC01)", columns({"UC01": [1, 2, 3]}, of=(0, 1, 0)))


def test_a_cluster_without_units_has_no_figure_and_takes_none_from_its_neighbours():
    data = columns({"UC01": [1, 2, 4]}, of=(1, 1, 3))
    result = evaluate(parse_formula("SUM(UC01)"), data, DERIVED)

    assert np.isnan(result.values[[0, 2]]).all()
    assert result.values[[1, 3]].tolist() == [3, 8]
    assert Evaluation(data, DERIVED).counted(result.support).tolist() == [0, 2, 0, 1]


@pytest.mark.parametrize("text", ["SUM(UC01)/MEAN(UB01)", "MED(UC01)", "SHARE(UC01 > 20)", "WMEAN(UC01, by=UB01)", "3"])
def test_rows_of_weights_give_rows_of_values(text):
    """Replicates go through the same code: one row of weights, one row of values."""
    answers = {"UC01": [10, 20, 30], "UB01": [1, 5, 2]}
    rows = np.array([(1.0, 1.0, 2.0), (0.0, 3.0, 1.0), (2.0, 2.0, 2.0)])
    together = value_rows(text, columns(answers, weight=rows))

    for row, weight in enumerate(rows):
        assert together[row] == value(text, columns(answers, weight=weight))


def value_rows(text, data) -> np.ndarray:
    found = evaluate(parse_formula(text), data, DERIVED).values
    return np.broadcast_to(found, (3, data.n_clusters))[:, 0]


@pytest.mark.parametrize(
    "text", ["SUM(x.y)", "__import__('os')", "eval(1)", "SUM()", "lambda: 1", "[1]", "SUM(UC01, UC02)"]
)
def test_a_formula_cannot_reach_python(text):
    with pytest.raises(ExpressionError):
        parse_formula(text)


# --- weights


def test_weights_are_frame_over_answers():
    weight = cell_weights(
        np.zeros(10, dtype=int), np.array([1] * 5 + [2] * 5), np.array([[20, 10, 0, 0]]), np.full(10, NAN), np.zeros(1)
    )

    assert weight.tolist() == [4.0] * 5 + [2.0] * 5


def test_a_thin_class_is_joined_to_the_smaller_one():
    weight = cell_weights(
        np.zeros(8, dtype=int), np.array([1] * 6 + [2] * 2), np.array([[12, 4, 0, 0]]), np.full(8, NAN), np.zeros(1)
    )

    assert weight.tolist() == [2.0] * 8


def test_a_dominant_firm_counts_for_itself_only():
    weight = cell_weights(
        np.zeros(7, dtype=int),
        np.array([1] * 6 + [4]),
        np.array([[12, 0, 0, 3]]),
        np.array([1.0] * 6 + [50.0]),
        np.array([56.0]),
    )

    assert weight[-1] == 1.0
    assert weight[:-1].sum() == pytest.approx(14)  # twelve small ones and the two other large ones


def test_weights_add_up_to_the_frame_after_trimming():
    size = np.array([1] * 60 + [2] * 5)
    weight = cell_weights(np.zeros(65, dtype=int), size, np.array([[60, 100, 0, 0]]), np.full(65, NAN), np.zeros(1))

    assert weight.max() < 20
    assert weight.sum() == pytest.approx(160)


def test_copying_is_three_items_by_one_factor():
    before = {name: np.array([100.0, 100.0, 100.0]) for name in ("UC01", "UD01", "UB09", "UD04", "UD06", "UE01")}
    now = {
        name: v * f
        for (name, v), f in zip(
            before.items(),
            ([1.1, 1.1, 1.0], [1.1, 1.3, 1.0], [1.1, 1.1, 1.0], [1.2, 1.4, 1.5], [1.3, 1.5, 1.6], [1.4, 1.6, 1.7]),
            strict=True,
        )
    }

    assert copied_forward(now, before).tolist() == [True, False, True]


def test_a_firm_closed_for_the_year_stays_in_the_count_that_weights_rest_on():
    """Framework §11.5: w = N / n accepted. Ten of ten answered, half of them closed: each stands for itself."""
    import pandas as pd

    from cci.methodology import load_method
    from facts.indicators.compute import Round, Tables

    ids = [f"u{n}" for n in range(10)]
    units = pd.DataFrame(
        {"round": 2025, "cluster": "A", "frame_id": ids, "UA01": [1] * 5 + [3] * 5, "UC01": [9.0] * 5 + [NAN] * 5}
    )
    frame = pd.DataFrame(
        {"round": 2025, "cluster": "A", "frame_id": ids, "size": 1, "prior_employment": 5, "in_scope": True}
    )
    empty = pd.DataFrame(columns=["round", "schedule", "subject", "cluster", "region", "answers"])
    context = pd.DataFrame(columns=["country", "year", "inflation_pct", "ppp_lcu_per_usd", "fx_lcu_per_usd"])
    clusters = pd.DataFrame({"code": ["A"], "country": "PK", "region": "", "sector": "", "fiscal_year_end_month": 6})

    (part,) = Round(Tables(units, frame, empty, context, clusters), 2025, load_method("1.0").definitions).parts()

    assert part.columns.weight.tolist() == [1.0] * 5


def test_an_innovator_without_any_support_counts_half_and_a_blank_drops_nobody():
    from cci.methodology import load_method

    formula = next(i.formula for i in load_method("1.0").definitions.indicators if i.code == "O501")
    data = columns(
        {"UG02": [("prod",), ("none",), ("proc",)], "UC05": [NAN, NAN, 5.0], "UG01": [NAN, 0.0, 0.0]},
        weight=(1.0, 1.0, 1.0),
    )

    assert evaluate(formula, data, DERIVED).values[0] == pytest.approx(100 * (0.5 + 0 + 1) / 3)
