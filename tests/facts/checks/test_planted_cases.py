"""What was spoilt on purpose is found by the check named for it (framework §17.5), on the whole generated panel."""

import numpy as np
import pytest


def of(findings, check, round_year=None):
    rows = findings[findings["rule"].str.startswith(check)]
    return rows if round_year is None else rows[rows["round"] == round_year]


@pytest.mark.parametrize("round_year", [2023, 2024, 2025])
def test_p1_x02_finds_what_was_raised_by_one_factor(round_year, findings, rounds, panel):
    planted = set(panel.planted["P1"][round_year - 1])
    table = rounds[round_year]
    matched = set(table.frame_id[table.matched & (table.cluster_of == table.codes.index("IN-TEX-LKO"))])
    found = set(of(findings, "X02", round_year)["frame_id"])

    assert len(planted & matched) > 30
    assert len(planted & matched & found) >= 0.98 * len(planted & matched)


@pytest.mark.parametrize("round_year", [2023, 2024, 2025])
def test_p1_x20_stops_lucknow_alone(round_year, over_clusters):
    spoke = over_clusters[(over_clusters["rule"] == "X20") & (over_clusters["round"] == round_year)]

    assert spoke["cluster"].tolist() == ["IN-TEX-LKO"]
    assert spoke["severity"].tolist() == ["critical"]
    assert 0.5 <= spoke["numbers"].iloc[0]["share"] <= 0.7


def test_p1_x21_sees_one_growth_rate_for_many(over_clusters):
    spoke = over_clusters[over_clusters["rule"] == "X21"]

    assert set(spoke["cluster"]) == {"IN-TEX-LKO"}
    assert spoke["round"].tolist() == [2023, 2024, 2025]
    assert all(numbers["growth"] == 0.1 for numbers in spoke["numbers"])


def test_p2_x24_speaks_of_pune_in_every_round_and_of_nobody_else(over_clusters):
    spoke = over_clusters[over_clusters["rule"] == "X24"]

    assert set(spoke["cluster"]) == {"IN-AUT-PUN"}
    assert spoke["round"].tolist() == [2021, 2022, 2023, 2024, 2025]
    last = spoke["numbers"].iloc[-1]
    assert last["below"] > 25
    assert last["above"] <= 7


def test_p3_x22_sees_figures_from_memory(over_clusters, figures):
    spoke = over_clusters[over_clusters["rule"] == "X22"]
    mango = spoke[spoke["cluster"] == "MM-MNG-MDY"]
    silk = spoke[spoke["cluster"] == "KH-SLK-TAK"]

    assert mango["severity"].tolist() == ["critical"] * 5
    assert len(silk) == 5
    assert figures.loc[(2025, "MM-MNG-MDY"), "heaping"] == pytest.approx(0.70, abs=0.06)
    assert figures.loc[(2025, "KH-SLK-TAK"), "heaping"] == pytest.approx(0.60, abs=0.06)


def test_p6_x08_and_x01_hold_the_returns_filed_in_thousands(findings, panel):
    planted = set(panel.planted["P6"][2022])
    slips = of(findings, "X08", 2023)
    held = slips[slips["frame_id"].isin(planted)]
    ratio = of(findings, "X01", 2023)
    critical = ratio[ratio["severity"] == "critical"]

    assert len(planted) == 6
    assert held["frame_id"].nunique() >= 5
    assert all(numbers["kind"] == "scale" and numbers["power"] == -3 for numbers in held["numbers"])
    assert planted <= set(critical["frame_id"])


def test_p6_x08_offers_the_figure_that_was_meant(findings, panel):
    slips = of(findings, "X08", 2023)
    one = slips[slips["frame_id"].isin(panel.planted["P6"][2022])].iloc[0]["numbers"]

    assert one["corrected"] == pytest.approx([1000 * value for value in one["now"]])
    assert 0.4 < one["corrected"][0] / one["before"][0] < 2.5


def test_a_return_in_thousands_is_a_slip_and_not_copied_forward(findings, panel):
    assert not set(of(findings, "X02", 2023)["frame_id"]) & set(panel.planted["P6"][2022])


def test_p7_x08_and_x01_hold_the_extra_digit(findings, panel):
    planted = set(panel.planted["P7"][2023])
    slips = of(findings, "X08", 2024)
    held = slips[slips["frame_id"].isin(planted)]
    sales = findings[(findings["rule"] == "X01-UC01") & (findings["round"] == 2024)]

    assert len(planted) == 5
    assert held["frame_id"].nunique() >= 4
    assert all(numbers["kind"] == "digit" and numbers["items"] == ["UC01"] for numbers in held["numbers"])
    assert planted <= set(sales.loc[sales["severity"] == "critical", "frame_id"])


def test_p9_x05_speaks_most_in_karachi_gems(figures):
    flagged = (figures["under_reporting"] * figures["checked"]).groupby("cluster").sum()
    share = flagged / figures["checked"].groupby("cluster").sum()

    assert share["PK-GEM-KHI"] >= 0.10
    assert share.idxmax() == "PK-GEM-KHI"


def test_p14_x25_sees_the_electricity_that_was_not_declared(over_clusters):
    spoke = over_clusters[over_clusters["rule"] == "X25"]

    assert set(spoke["cluster"]) == {"PK-FTW-LHE"}
    assert spoke["round"].tolist() == [2021, 2022, 2023, 2024, 2025]
    assert all(numbers["caps"] and numbers["ratio"] < 0.5 for numbers in spoke["numbers"])


def test_p15_x09_finds_three_pairs_and_names_them(findings, panel):
    spoke = of(findings, "X09")
    pairs = {tuple(sorted((row.frame_id, *row.numbers["others"]))) for row in spoke.itertuples()}
    planted = panel.planted["P15"][2024]

    assert set(spoke["round"]) == {2025}
    assert pairs == {tuple(sorted(planted[k : k + 2])) for k in (0, 2, 4)}
    assert (spoke["severity"] == "critical").all()


# --- honest units are not drowned ---------------------------------------------------------------------------


@pytest.fixture(scope="module")
def compared(rounds):
    """How many (unit, variable) comparisons X01 makes over the panel: framework §9 counts flags in these."""
    variables = ("UC01", "UB01", "UB09", "UD01", "UD03")
    return sum(int(((t.now[v] > 0) & (t.before[v] > 0)).sum()) for t in rounds.values() for v in variables)


def test_x01_warns_of_one_to_two_and_a_half_per_cent(findings, compared):
    assert 0.010 <= len(of(findings, "X01")) / compared <= 0.025


def test_x01_is_critical_for_two_to_six_in_a_thousand(findings, compared):
    critical = of(findings, "X01").query("severity == 'critical'")

    assert 0.002 <= len(critical) / compared <= 0.006


def test_x01_knows_a_score_of_its_own_limit(findings):
    spoke = of(findings, "X01")

    assert (spoke["score"] > 1).all()
    assert ((spoke["score"] > 2) == (spoke["severity"] == "critical")).all()


def test_x02_is_rare_outside_the_planted_cluster(rounds, findings):
    """At most 1 % of matched returns, 4 % in small clusters that answer from memory; over all rounds."""
    copied = findings[findings["rule"].isin(["X02", "X03"])].groupby("cluster")["frame_id"].size()
    matched = {}
    for table in rounds.values():
        for place, code in enumerate(table.codes):
            matched[code] = matched.get(code, 0) + int((table.matched & (table.cluster_of == place)).sum())
    share = {code: copied.get(code, 0) / n for code, n in matched.items() if code != "IN-TEX-LKO"}

    assert max(share.values()) <= 0.04
    assert sum(value <= 0.01 for value in share.values()) >= 21
    assert sum(copied.get(code, 0) for code in share) / sum(matched[code] for code in share) <= 0.01


def test_x05_flags_about_four_per_cent_with_a_precision_of_at_least_seven_tenths(findings, rounds, panel):
    """Precision: firms that, in the panel's own books, tell less than they sell."""
    from facts.demo.panel import read_spec

    spoke = of(findings, "X05")
    returns = sum(len(table) for table in rounds.values())
    hides = hiding(panel, read_spec())
    slipped = {f for case in ("P6", "P7") for ids in panel.planted[case].values() for f in ids}
    judged = spoke[~spoke["frame_id"].isin(slipped)]

    assert 0.030 <= len(spoke) / returns <= 0.045
    assert judged["frame_id"].isin(hides).mean() >= 0.7


def hiding(panel, spec) -> set[str]:
    """Frame ids that report a part of their sales, drawn again from the panel's own seeds."""
    from facts.demo.units import draw_units

    clusters = sorted(spec["clusters"], key=lambda cluster: cluster["code"])
    children = np.random.SeedSequence(spec["seed"]).spawn(len(clusters))
    found = set()
    for cluster, child in zip(clusters, children, strict=True):
        child.spawn(4)
        told = draw_units(np.random.default_rng(child), cluster, spec)["told"]
        found |= {f"{cluster['code']}-{n + 1:04d}" for n in np.flatnonzero(told < 1)}
    return found


def test_x08_is_silent_but_for_a_handful(findings, panel):
    """Beside the eleven planted slips and the six returns that come back from thousands a year later."""
    spoke = of(findings, "X08")
    planted = {(year + 1, f) for case in ("P6", "P7") for year, ids in panel.planted[case].items() for f in ids}
    back = {(year + 2, f) for case in ("P6", "P7") for year, ids in panel.planted[case].items() for f in ids}
    honest = spoke[[(r, f) not in planted | back for r, f in zip(spoke["round"], spoke["frame_id"], strict=True)]]

    assert len(honest) <= 25
    assert len(honest[honest["round"] > 2021]) <= 16


def test_x24_and_x25_and_x20_are_silent_elsewhere(over_clusters):
    """P2, P14 and P1 in their own clusters only: no other cluster is accused in five rounds."""
    spoke = over_clusters[over_clusters["rule"].isin(["X20", "X21", "X24", "X25"])]

    assert {(row.rule, row.cluster) for row in spoke.itertuples()} == {
        ("X20", "IN-TEX-LKO"),
        ("X21", "IN-TEX-LKO"),
        ("X24", "IN-AUT-PUN"),
        ("X25", "PK-FTW-LHE"),
    }


def test_x01_before_x02_would_drown_honest_firms(rounds, panel):
    """The order of the checks: with copies in the reference groups many of Lucknow's honest firms are flagged."""
    from facts.checks.copying import Copies
    from facts.checks.units import copies_of, x01

    table = rounds[2024]
    lucknow = table.cluster_of == table.codes.index("IN-TEX-LKO")
    copies = copies_of(table)
    honest = set(table.frame_id[lucknow & table.matched & ~copies.either])
    none = np.zeros(len(table), dtype=bool)
    blind = Copies(none, none, copies.growth, copies.factor, copies.same)

    def flagged(marks):
        return {frame_id for part in x01(table, marks) for frame_id in part["frame_id"]} & honest

    assert len(flagged(blind)) / len(honest) > 0.30
    assert len(flagged(copies)) / len(honest) < 0.15
    assert len(flagged(copies)) < len(flagged(blind)) / 3
