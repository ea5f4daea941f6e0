"""X01–X10 on hand-made firms: each rule speaking, and silent where it must be."""

import numpy as np
import pytest

from facts.checks.units import unit_findings
from tests.facts.checks.firms import COUNTRY_PRICES, FIRM, MONEY, a_year_later, crowd, firm, last_year, table_of

PEERS = 25


def said(now, before=(), earlier=(), **rest):
    """What the checks say, by frame id: {frame_id: {rule: finding}}."""
    found = unit_findings(table_of(now, before, earlier, **rest))
    out: dict = {}
    for row in found.itertuples():
        out.setdefault(row.frame_id, {})[row.rule] = row
    return out


@pytest.fixture(scope="module")
def before():
    return crowd(PEERS, seed=11)


@pytest.fixture(scope="module")
def now(before):
    return a_year_later(before)


def rules_of(now_rows, before_rows, frame_id="A", **rest):
    return set(said(now_rows, before_rows, **rest).get(frame_id, {}))


def test_an_ordinary_year_says_nothing(now, before):
    assert said(now, before) == {}


# --- X01


def test_x01_speaks_of_sales_that_grew_beyond_all_others(now, before):
    spoke = said([*now, firm("A", UC01=60_000_000)], [*before, last_year("A")])["A"]["X01-UC01"]

    assert spoke.severity == "critical"
    assert spoke.question == "UC01"
    assert spoke.numbers["ratio"] == pytest.approx(60_000_000 / last_year()["UC01"], rel=1e-3)
    assert spoke.numbers["units"] == PEERS + 1
    assert spoke.numbers["group"] == "cluster"


def test_x01_compares_months_worked(now, before):
    part_year = {code: FIRM[code] // 2 for code in ("UC01", "UB09", "UD01", "UD03", "UD04", "UD06")}

    assert not rules_of([*now, firm("A", UA01=2, UA02=6, **part_year)], [*before, last_year("A")])
    assert "X01-UC01" in rules_of([*now, firm("A", **part_year)], [*before, last_year("A")])


def test_x01_needs_twenty_in_cluster_or_country():
    here = crowd(8)
    wild = [*a_year_later(here), firm("A", UC01=60_000_000)]
    elsewhere = crowd(15, seed=3, cluster="PK-TST-002")

    assert not {r for r in rules_of(wild, [*here, last_year("A")]) if r.startswith("X01")}
    spoke = said([*wild, *a_year_later(elsewhere, seed=4)], [*here, last_year("A"), *elsewhere])["A"]["X01-UC01"]
    assert spoke.numbers["group"] == "country"
    assert spoke.numbers["units"] == 8 + 15 + 1


def test_x01_leaves_other_divisions_apart(now, before):
    other = firm("A", UA05="2512", UC01=60_000_000)

    assert not {r for r in rules_of([*now, other], [*before, firm("A", UA05="2512")]) if r.startswith("X01")}


@pytest.mark.parametrize("blank", [None, 0])
def test_x01_says_nothing_of_zero_or_blank(blank, now, before):
    assert "X01-UC01" not in rules_of([*now, firm("A", UC01=blank)], [*before, firm("A")])
    assert "X01-UC01" not in rules_of([*now, firm("A", UC01=60_000_000)], [*before, firm("A", UC01=blank)])


# --- X02, X03, X04


def test_x02_speaks_of_three_items_with_one_growth(now, before):
    raised = {code: round(FIRM[code] * 1.1, 2) for code in MONEY[:3]}
    spoke = said([*now, firm("A", **raised, UD04=330_000, UD06=790_000, UE01=4_700_000)], [*before, firm("A")])["A"]

    assert spoke["X02"].severity == "critical"
    assert spoke["X02"].numbers["items"] == ["UC01", "UD01", "UB09"]
    assert spoke["X02"].numbers["growth"] == pytest.approx(0.1, abs=0.0005)
    assert spoke["X02"].score == 1.0
    assert "X03" not in spoke


def test_x02_is_silent_for_two_items(now, before):
    raised = {code: round(FIRM[code] * 1.1, 2) for code in MONEY[:2]}
    changed = {"UB09": 2_500_000, "UD04": 330_000, "UD06": 790_000, "UE01": 4_700_000}

    assert "X02" not in rules_of([*now, firm("A", **raised, **changed)], [*before, firm("A")])


def test_x03_speaks_of_unchanged_figures_and_counts_what_was_confirmed(now, before):
    same = firm("A", UE01=4_500_001, confirmed="UC01;UD01;UD04;UD06")
    spoke = said([*now, same], [*before, firm("A")])["A"]

    assert spoke["X03"].severity == "critical"
    assert spoke["X03"].numbers["same"] == 5
    assert spoke["X03"].numbers["compared"] == 6
    assert spoke["X03"].numbers["confirmed"] == ["UC01", "UD01", "UD04", "UD06"]
    assert "X02" not in spoke


def test_x03_is_silent_for_two_unchanged_items(now, before):
    moved = {"UB09": 2_500_000, "UD04": 330_000, "UD06": 790_000, "UE01": 4_700_000}

    assert "X03" not in rules_of([*now, firm("A", **moved)], [*before, firm("A")])


def test_x04_needs_two_round_years_running(now, before):
    earlier = [firm("A", UC01=8_000_000)]
    middle = firm("A", UC01=8_800_000)  # +10 %

    assert "X04" in said([*now, firm("A", UC01=9_856_000)], [*before, middle], earlier)["A"]  # +12 %
    assert "X04" not in said([*now, firm("A", UC01=9_756_000)], [*before, middle], earlier).get("A", {})


# --- X05


def far_below(rows, **answers):
    """A firm with half the sales and the same people and power."""
    third = {code: FIRM[code] // 3 for code in ("UC01", "UD01", "UB09", "UD04", "UD06", "UE01", "UC02")}
    return [*rows, firm("A", **{**third, **answers})]


def test_x05_needs_both_sales_per_person_and_per_kwh():
    peers = crowd(40)

    assert "X05" in rules_of(far_below(peers), [])
    assert "X05" not in rules_of(far_below(peers, UD03=FIRM["UD03"] // 3), [])
    assert "X05" not in rules_of(far_below(peers, UB01=7), [])


def test_x05_looks_at_materials_where_no_power_is_used():
    peers = crowd(40)

    spoke = said(far_below(peers, UD03=0), [])["A"]["X05"]
    assert spoke.numbers["other"] == "materials per person"
    assert "X05" not in rules_of(far_below(peers, UD03=0, UD01=FIRM["UD01"]), [])


def test_x05_looks_at_materials_where_work_is_done_by_hand():
    by_hand = [{**row, "UD03": 20} for row in crowd(40)]

    assert said(far_below(by_hand, UD03=20), [])["A"]["X05"].numbers["other"] == "materials per person"


def test_x05_joins_sizes_where_peers_are_few_and_gives_up_below_twelve():
    micro = [{**row, "UB01": 5, "UC01": row["UC01"] // 4, "UD03": row["UD03"] // 4} for row in crowd(4, seed=1)]

    assert "X05" in rules_of(far_below([*crowd(11), *micro]), [])
    assert "X05" not in rules_of(far_below(crowd(10)), [])


# --- X06, X07


@pytest.mark.parametrize(("cost", "speaks"), [(0.59, True), (0.61, False)])
def test_x06_holds_pay_against_the_regions_wage(cost, speaks):
    wage = 20_000
    row = firm("A", UB09=int(cost * wage * (FIRM["UB05"] + FIRM["UB06"]) * 12))

    assert ("X06" in rules_of([row], [], claims={"REGION": {"RC03": wage}})) == speaks


def test_x06_is_silent_without_a_wage_or_without_paid_persons():
    poor = firm("A", UB09=1000)

    assert "X06" not in rules_of([poor], [])
    assert "X06" not in rules_of([firm("A", UB05=0, UB06=0, UB09=0)], [], claims={"REGION": {"RC03": 20_000}})


@pytest.mark.parametrize(
    ("energy", "real_output", "speaks"),
    [(1.12, 0.88, True), (0.70, 1.30, True), (1.12, 0.95, False), (0.80, 1.30, False), (1.12, 1.12, False)],
)
def test_x07_speaks_where_power_and_real_output_part(energy, real_output, speaks):
    nominal = real_output * COUNTRY_PRICES
    moved = {
        "UD03": int(FIRM["UD03"] * energy),
        "UC01": int(FIRM["UC01"] * nominal),
        "UC06": int(FIRM["UC06"] * nominal),
    }

    assert ("X07" in rules_of([firm("A", **moved)], [firm("A")])) == speaks


# --- X08


def test_x08_offers_the_figures_a_thousand_times_larger(now, before):
    slipped = {code: FIRM[code] // 1000 for code in MONEY}
    spoke = said([*now, firm("A", **slipped)], [*before, firm("A")])["A"]["X08"]

    assert spoke.severity == "critical"
    assert spoke.numbers["kind"] == "scale"
    assert spoke.numbers["power"] == -3
    assert spoke.numbers["corrected"] == [1000 * value for value in slipped.values()]


def test_x08_sees_one_digit_too_many_in_one_figure_only(now, before):
    spoke = said([*now, firm("A", UD01=FIRM["UD01"] * 10)], [*before, firm("A")])["A"]["X08"]

    assert (spoke.question, spoke.numbers["kind"]) == ("UD01", "digit")
    assert spoke.numbers["corrected"] == [FIRM["UD01"]]
    two = firm("A", UD01=FIRM["UD01"] * 10, UC01=FIRM["UC01"] * 10)
    assert "X08" not in rules_of([*now, two], [*before, firm("A")])


def test_x08_takes_off_what_the_whole_cluster_moved(before):
    """A currency that lost three noughts is not a slip of every firm."""
    lighter = [{**row, **{code: row[code] / 1000 for code in MONEY}} for row in a_year_later(before)]
    others = {rule for spoke in said(lighter, before).values() for rule in spoke}

    assert "X08" not in others


def test_x08_compares_a_new_unit_with_its_peers(now, before):
    new = firm("A", UC01=FIRM["UC01"] * 10)

    spoke = said([*now, new], before)["A"]["X08"]
    assert spoke.numbers["before"] is None
    assert spoke.numbers["items"] == ["UC01"]
    assert "X08" not in rules_of([*now, firm("A")], before)


# --- X09, X10


def test_x09_finds_the_same_figures_twice_in_a_cluster():
    twin = {code: FIRM[code] for code in MONEY[:4]} | {"UD06": 1, "UE01": 2}

    both = said([firm("A"), firm("B", **twin)])
    assert both["A"]["X09"].numbers["others"] == ["B"]
    assert both["B"]["X09"].numbers["equal"] == 4
    assert "X09" not in said([firm("A"), firm("B", **{**twin, "UD04": 3})]).get("A", {})
    assert "X09" not in said([firm("A"), firm("B", cluster="PK-TST-002")]).get("A", {})


def test_x09_forgives_two_memories_that_are_alike():
    memory = {"UJ02": 4}

    assert "X09" not in said([firm("A", **memory), firm("B", **memory)]).get("A", {})
    assert "X09" in said([firm("A", **memory), firm("B")])["A"]


def test_x09_knows_one_firm_by_its_register(now):
    one, two = firm("A", registration="d1"), firm("B", registration="d1", **dict.fromkeys(MONEY, 3))

    spoke = said([*now, one, two])["A"]["X09"]
    assert spoke.numbers["same_register"]
    assert spoke.numbers["others"] == ["B"]


@pytest.mark.parametrize(
    ("answers", "speaks"),
    [({"UA05": "2512"}, True), ({"UA05": "1430"}, False), ({"UB01": 300}, True), ({"UB01": 60}, False)],
)
def test_x10_speaks_of_another_division_or_two_sizes(answers, speaks):
    assert ("X10" in rules_of([firm("A", **answers)], [firm("A")])) == speaks


def test_firms_that_did_not_work_are_not_judged():
    closed = {"cluster": "PK-TST-001", "frame_id": "A", "UA01": 3}

    assert said([closed], [firm("A")]) == {}
    assert said([firm("A")], [closed]) == {}


def test_an_empty_round_is_no_error():
    assert len(unit_findings(table_of([]))) == 0


def test_findings_carry_plain_numbers(now, before):
    for spoke in said([*now, firm("A", UC01=60_000_000)], [*before, firm("A")])["A"].values():
        for value in spoke.numbers.values():
            assert not isinstance(value, np.generic)
