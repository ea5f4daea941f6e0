"""What pages read out of an edition: bands, moves, percentiles; and which amounts may be added."""

from decimal import Decimal

import pytest

from cci.views.public import Place, about, bands_of, letters, moves_between
from facts.models import IndicatorValue
from facts.views.public import formula_parts, middle_of, words_of
from interventions.models import BudgetLine, Intervention
from interventions.views.public import money_of
from observatory.pages import window_of
from observatory.views.profile import outdone, percentile


def places(*intervals: tuple[int, int], start: int = 1) -> list[Place]:
    return [Place(key, 90.0 - key, key, low, high) for key, (low, high) in enumerate(intervals, start=start)]


def test_a_band_is_a_run_of_intervals_that_touch():
    bands = bands_of(places((1, 1), (2, 3), (2, 4), (4, 5), (3, 5), (6, 6)))

    assert [(band.letter, len(band.places), band.first, band.last) for band in bands] == [
        ("A", 1, 1, 1),
        ("B", 4, 2, 5),
        ("C", 1, 6, 6),
    ]


def test_bands_go_on_after_z():
    assert [letters(n) for n in (0, 25, 26, 701, 702)] == ["A", "Z", "AA", "ZZ", "AAA"]


def test_a_change_inside_the_intervals_is_no_move():
    before = [Place(1, 60, 1, 1, 2), Place(2, 59, 2, 1, 2)]
    after = [Place(2, 61, 1, 1, 2), Place(1, 60, 2, 1, 2)]

    moves = moves_between(before, after)

    assert moves[1].gained == -1
    assert not moves[1].is_move
    assert moves[1].words == "no move beyond the noise"


def test_a_change_beyond_both_intervals_is_a_move():
    before = [Place(key, 90 - key, key, key, key) for key in (1, 2, 3)]
    after = [Place(key, 90, rank, rank, rank) for rank, key in enumerate((3, 1, 2), start=1)]

    moves = moves_between(before, after)

    assert (moves[3].words, moves[1].words) == ("up 2 places", "down 1 place")


def test_a_newcomer_ahead_moves_nobody():
    before = [Place(1, 60, 1, 1, 1), Place(2, 50, 2, 2, 2)]
    after = [Place(9, 70, 1, 1, 1), Place(1, 60, 2, 2, 2), Place(2, 50, 3, 3, 3)]

    moves = moves_between(before, after)

    assert set(moves) == {1, 2}
    assert all(move.gained == 0 and not move.is_move and move.n == 2 for move in moves.values())


def test_counts_are_rounded_so_that_differences_tell_nothing():
    assert [about(n) for n in (3, 7, 99, 101, 4179, 4180)] == [
        "< 5",
        "5–9",
        "50–99",
        "about 100",
        "about 4,200",
        "about 4,200",
    ]


def test_percentile_needs_five_peers_and_follows_the_direction():
    assert percentile(10, [1, 2, 3, 4], 1) is None
    assert percentile(None, [1, 2, 3, 4, 5], 1) is None
    assert percentile(10, [1, 2, 3, 4, 10], 1) == pytest.approx(0.9)
    assert percentile(10, [1, 2, 3, 4, 10], -1) == pytest.approx(0.1)
    assert outdone(10, [1, 2, 3, 4, 10], 1) == 4


def test_no_median_of_few_and_three_digits_of_many():
    assert middle_of([1, 2, 3, 4]) is None
    assert middle_of([7480, 7885, 7885, 7885, 7890]) == 7880


def test_what_is_absent_says_why():
    said = [
        words_of(IndicatorValue(status=status, reason=reason, shown=shown))
        for status, reason, shown in [
            ("A", "", 12.0),
            ("E", "", 12.0),
            ("Q", "too few firms", None),
            ("Q", "less than 5 %", None),
            ("O", "not reported", None),
            ("O", "too few units", None),
        ]
    ]

    assert said == [
        "",
        "estimated",
        "withheld: too few firms",
        "less than 5 %",
        "not reported",
        "not reported: too few units",
    ]


def test_a_formula_links_every_question_once():
    parts = formula_parts("PPP(REAL(SUM(VA)/SUM(PE)))")

    assert [one["name"] for one in parts["derived"]] == ["VA", "OUT", "PE"]
    assert "UB01" in [question.code for question in parts["questions"]]
    assert [name for name, _ in parts["functions"]].count("SUM") == 1


def test_a_window_is_never_a_keyhole_and_never_leaves_the_map():
    west, south, east, north = window_of([(74.5, 32.5)])

    assert east - west >= 16
    assert (west, south) >= (58, -12)
    assert east <= 150
    assert north <= 56


@pytest.fixture
def fund(db):
    """A whole of 100 with two parts, a suspect amount, one per town, one in another currency."""
    whole = Intervention.objects.create(code="W", title="Whole")
    part = Intervention.objects.create(code="W-1", title="Part", parent=whole)
    small = Intervention.objects.create(code="W-1a", title="Part of the part", parent=part)
    other = Intervention.objects.create(code="X", title="Other")
    for one, amount in ((whole, 100), (part, 40), (small, 5), (other, 7)):
        BudgetLine.objects.create(intervention=one, amount=amount, currency="USD", as_printed=f"US$ {amount}")
    BudgetLine.objects.create(intervention=other, as_printed="total of $280 Bn", is_suspect=True)
    BudgetLine.objects.create(intervention=other, amount=3, currency="CNY", per="town", as_printed="RMB 3 per town")
    BudgetLine.objects.create(intervention=other, amount=9, currency="INR", as_printed="INR 9")
    return Intervention.objects.prefetch_related("budget_lines")


def test_a_whole_and_its_parts_are_never_added(fund):
    money = money_of(fund, dict(fund.values_list("pk", "parent_id")))

    assert {key: (total.amount, total.n) for key, total in money.totals.items()} == {
        "USD": (Decimal(107), 2),
        "INR": (Decimal(9), 1),
    }
    assert (money.inside, money.left_out) == (2, 2)


def test_parts_alone_are_added_once_each(fund):
    parts = fund.filter(code__in=["W-1", "W-1a"])

    money = money_of(parts, dict(fund.values_list("pk", "parent_id")))

    assert money.totals["USD"].amount == Decimal(40)
