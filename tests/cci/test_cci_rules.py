"""Rules N1–N8 of the framework, section 12.3, each by hand; the partial indices; and what never enters."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from cci.methodology import load_method
from cci.partial import CAPACITY, PERFORM
from cci.scoring import score
from clusters.models import ProfileFact
from facts.expressions.grammar import calls
from facts.indicators.compute import compute_round, index_inputs
from facts.services.instruments import definition
from facts.services.snapshots import take_snapshot
from tests.panel import panel_tables
from tests.villages import village

METHOD = load_method("1.0")
INDICATORS = {one.code: one for one in METHOD.definitions.indicators}


def inputs(**changed) -> pd.DataFrame:
    """One cluster with every indicator in the middle of its goalposts, but for those named."""
    row = {}
    for post in METHOD.goalposts.itertuples():
        scaled = (post.lo + post.hi) / 2
        row[post.iCode] = {"lin": scaled, "log": np.exp(scaled), "log1p": np.expm1(scaled)}[post.transform]
    return pd.DataFrame([{"uCode": "X", **(row | changed)}])


def scored(**changed):
    return score(inputs(**changed), {}, METHOD)


def test_n1_a_value_is_set_between_its_goalposts_after_its_transformation():
    posts = METHOD.goalposts.set_index("iCode")
    log = posts.loc["O101"]

    quarter = float(np.exp(log["lo"] + 0.25 * (log["hi"] - log["lo"])))
    found = scored(O101=quarter, O102=1e9, O104=-1e9).normalised.loc["X"]

    assert found["O101"] == pytest.approx(25)
    assert found["O102"] == 100 and found["O104"] == 0  # cut
    assert found["O103"] == pytest.approx(50)


def test_n1_where_less_is_better_the_score_is_turned_round():
    post = METHOD.goalposts.set_index("iCode").loc["O103"]

    found = scored(O103=float(np.exp(post["lo"] + 0.1 * (post["hi"] - post["lo"]))))

    assert found.normalised.at["X", "O103"] == pytest.approx(90)


def test_n1_goalposts_come_from_the_first_three_rounds_and_stay():
    assert METHOD.content["base_rounds"] == [2021, 2022, 2023]
    assert (METHOD.goalposts["lo"] < METHOD.goalposts["hi"]).all()


def test_n2_names_five_indicators_and_the_first_rounds_had_no_division_of_eight():
    settings = METHOD.content["peers"]

    assert set(settings["goalposts"]) == {"O103", "O104", "O403", "H301", "S102"}
    assert settings["least_for_goalposts"] == 8
    assert METHOD.peer_goalposts.empty


def test_n3_a_weak_pillar_cannot_be_bought_off():
    """Pillar R at 0 counts as 1: the index is 50 by the other nine tenths, and falls by the factor 50 ** 0.1."""
    worst = {code: 1e9 for code, one in INDICATORS.items() if one.pillar == "R" and one.direction < 0}
    worst |= {code: 0.0 for code, one in INDICATORS.items() if one.pillar == "R" and one.direction > 0}

    found = scored(**worst).scores.loc["X"]

    assert found["R"] == 0
    assert found["CCI"] == pytest.approx(50**0.9)


def test_n3_below_the_top_means_are_arithmetic():
    posts = METHOD.goalposts.set_index("iCode")

    found = scored(O102=posts.loc["O102", "hi"]).scores.loc["X"]

    assert found["O1"] == pytest.approx(50 + 0.20 * 50)
    assert found["O"] == pytest.approx(50 + 0.28 * 0.20 * 50)


def test_n4_an_innovation_without_sales_or_spending_counts_half():
    """Twenty of forty firms report one; ten of those have new sales, none of the others spends on design."""
    tables = village(40)
    claims = tables.units.groupby("round").cumcount()
    units = tables.units.assign(
        UG02=np.where(claims < 20, "prod", "none"), UC05=np.where(claims < 10, 20.0, 0.0), UG01=0.0
    )

    values = compute_round(replace(tables, units=units), 2025, METHOD.definitions).set_index("indicator")["value"]

    assert values["O501"] == pytest.approx(100 * (10 + 10 / 2) / 40)


@pytest.mark.parametrize(
    ("code", "cap"), [("O104", 100), ("O403", 60), ("H403", 150), ("S202", 10), ("R202", 100), ("O204", 100)]
)
def test_n5_caps_are_set_before_scaling(code, cap):
    values = pd.DataFrame({"cluster": "X", "indicator": list(INDICATORS), "value": 1e6})

    entering = index_inputs({2025: values}, 2025, METHOD.definitions)

    assert entering.at["X", code] == cap


def test_n5_caps_no_other_indicator():
    assert {code for code, one in INDICATORS.items() if one.cap is not None} == {
        *("O104", "O403", "H403", "S202", "R202", "O204")
    }


def test_n6_four_indicators_enter_as_the_mean_of_up_to_three_rounds():
    def of(value: float) -> pd.DataFrame:
        return pd.DataFrame({"cluster": "X", "indicator": list(INDICATORS), "value": value})

    gap = of(4.0).assign(value=lambda frame: frame["value"].where(frame["indicator"] != "O205"))
    entering = index_inputs({2022: of(99.0), 2023: of(1.0), 2024: gap, 2025: of(10.0)}, 2025, METHOD.definitions)

    for code in ("O201", "O202", "O303"):
        assert entering.at["X", code] == pytest.approx(5.0)
    assert entering.at["X", "O205"] == pytest.approx(5.5)
    assert entering.at["X", "O101"] == 10


def missing(*codes: str):
    return scored(**dict.fromkeys(codes, np.nan)).scores.loc["X"]


def test_n7_a_dimension_needs_sixty_percent_of_its_weight():
    assert missing("O101").isna()[["O1"]].all()  # 55 % left
    assert missing("O104", "O103")["O1"] == pytest.approx(50)  # 65 % left


def test_n7_a_dimension_needs_two_indicators():
    assert np.isnan(missing("H202", "H203")["H2"])
    assert missing("H202")["H2"] == pytest.approx(50)  # 70 %, two of them


def test_n7_a_pillar_needs_66_percent_of_its_weight_and_the_index_all_pillars():
    first_round = missing("O201", "O202", "O303")

    assert np.isnan(first_round["O2"])
    assert first_round["O3"] == pytest.approx(50) and first_round["O"] == pytest.approx(50)
    assert first_round["CCI"] == pytest.approx(50)
    without = missing("R101", "R102")  # R1 falls out, 45 % of R is left
    assert np.isnan(without["R1"]) and np.isnan(without["R"]) and np.isnan(without["CCI"])
    assert np.isnan(without[CAPACITY]) and without[PERFORM] == pytest.approx(50)


def test_n7_missing_is_never_zero_nor_a_mean():
    posts = METHOD.goalposts.set_index("iCode")
    high = {"O101": float(np.exp(posts.loc["O101", "hi"])), "O102": posts.loc["O102", "hi"], "O104": np.nan}

    found = scored(**high).scores.loc["X"]

    assert found["O1"] == pytest.approx((0.45 * 100 + 0.20 * 100 + 0.15 * 50) / 0.80)


def test_n7_too_few_units_make_an_indicator_missing():
    values = compute_round(village(7), 2025, METHOD.definitions).set_index("indicator")

    assert np.isnan(values.at["O102", "value"]) and values.at["O102", "reason"] == "too few units"


def test_n8_clusters_of_a_region_share_the_pillar_of_regulation():
    tables = panel_tables(rounds=(2024, 2025))
    regions = tables.clusters.set_index("code")["region"]
    values = {year: compute_round(tables, year, METHOD.definitions) for year in (2024, 2025)}
    found = score(index_inputs(values, 2025, METHOD.definitions).rename_axis("uCode").reset_index(), {}, METHOD).scores[
        "R"
    ]

    spread = found.groupby(regions.reindex(found.index)).agg(lambda scores: scores.max() - scores.min())
    assert (regions.value_counts() > 1).any()
    assert spread.max() < 1e-9


def test_performance_is_the_outcomes_and_capacity_joins_the_rest():
    posts = METHOD.goalposts.set_index("iCode")
    best = {
        code: posts.loc[code, "hi"]
        for code, one in INDICATORS.items()
        if one.pillar == "S" and one.transform == "fixed"
    }

    found = scored(**best).scores.loc["X"]

    assert found[PERFORM] == found["O"]
    weights = {node.code: node.weight for node in METHOD.definitions.pillars if node.code != "O"}
    logs = sum(weight * np.log(found[code]) for code, weight in weights.items())
    assert found[CAPACITY] == pytest.approx(np.exp(logs / sum(weights.values())))
    assert found["CCI"] == pytest.approx(found[PERFORM] ** 0.35 * found[CAPACITY] ** 0.65)


# --- The wall -------------------------------------------------------------------------------


def test_every_formula_reads_answers_of_the_instrument_and_what_the_framework_names():
    """FACTS alone: questions, the count of the frame, employment of the region's clusters, the label's two parts."""
    instrument = definition("1.0")
    questions = {code for schedule in instrument.schedules.values() for code in schedule.questions}
    allowed = {"FRAME", "RCE", "LABEL_G", "LABEL_S"}

    for code, read in METHOD.definitions.questions.items():
        assert read <= questions | allowed, code


def test_official_totals_are_denominators_and_nothing_else():
    """CB08, CB09 and RC01–RC03 are answered from official sources: only O204, O304 and O402 divide by them."""
    official = {"CB08", "CB09", "RC01", "RC02", "RC03"}

    users = {code for code, read in METHOD.definitions.questions.items() if read & official}

    assert users == {"O204", "O304", "O402"}
    assert not any(any(calls(one.formula.tree, "REGISTER")) for one in METHOD.definitions.indicators)


@pytest.mark.django_db
def test_facts_of_registers_never_reach_a_snapshot(town):
    """What the profile quotes from official registers changes no byte of what editions are computed from."""
    before = take_snapshot(town.round, by=None).digest

    ProfileFact.objects.create(
        cluster=town.cluster,
        section=ProfileFact.Section.choices[0][0],
        label="Output (Annual Survey of Industries)",
        value="123456",
        unit="INR lakh",
        year=2023,
        source="Annual Survey of Industries",
        entered_by=town.staff,
    )

    assert take_snapshot(town.round, by=None).digest == before
