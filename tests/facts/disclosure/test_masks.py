"""Masks against known answers, against an attacker of another make, and over the editions of a round."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from facts.disclosure import HELD, PRIMARY, SECONDARY, SHOWN, IndexRow, Limits, Rules, as_of, audit, make_masks
from facts.disclosure.attack import Attack
from facts.disclosure.panel import leaders
from facts.disclosure.rules import concentrated, primary
from tests.facts.disclosure.outsider import Outsider
from tests.facts.disclosure.panels import cell, editions, only, panel
from tests.gates.size import count

LOOSE = Rules(least=1, least_signed=1, least_clusters=1, least_changed=1)  # so that small tables show something at all


def one_group(*values):
    n = len(values)
    return leaders(np.zeros(n, dtype=np.int64), np.arange(n), np.array(values, dtype=float), 1)


def grid(values, holding=None, sizes=1):
    """A table sector × zone with one cluster, and one lone firm, in each cell."""
    rows, columns = len(values), len(values[0])
    flat = [(r, c) for r in range(rows) for c in range(columns)]
    units = [(at if holding is None else holding[at], at, 0, values[r][c]) for at, (r, c) in enumerate(flat)]
    return panel(units, [r for r, _ in flat], [c for _, c in flat], sizes=sizes)


@pytest.mark.parametrize(
    ("values", "percent", "sensitive"),
    [
        ((50_000, 49_000, 1_000), 10, True),  # the handbook's example: X = 100,000
        ((52_000, 50_000, 8_000), 10, False),  # X = 110,000 with 8,000 ≥ 5,200
        ((52_000, 50_000, 8_000), 16, True),
        ((10,), 15, True),
        ((10, 10), 15, True),
        ((10, 10, 1.5), 15, False),  # the bound itself is allowed
    ],
)
def test_the_p_percent_rule_finds_the_handbooks_dominance(values, percent, sensitive):
    assert concentrated(one_group(*values), percent / 100)[0] == sensitive


def test_two_firms_of_one_holding_are_one_contributor():
    alone = panel([(h, 0, 0, 10.0) for h in range(5)], [0], [0])
    owned = panel([(max(h, 1), 0, 0, 10.0) for h in range(5)], [0], [0])
    rules = Rules(least_clusters=1)

    assert not primary(alone, rules)[0][cell(alone, "T1", 0)]
    assert primary(owned, rules)[0][cell(owned, "T1", 0)]


def test_a_cell_that_rests_on_one_cluster_is_masked_above_cluster_level():
    """Rule P3: sector 0 has enough firms and clusters, yet without cluster 0 too few remain."""
    units = [(h, 0, 0, 10.0) for h in range(8)] + [(8, 1, 0, 9.0), (9, 2, 0, 9.0)]
    of = panel(units, [0, 0, 0], [0, 0, 0])

    masked, _ = primary(of, Rules())

    assert masked[cell(of, "T4 sector", 0)]
    assert not masked[cell(of, "T1", 0)]


def test_values_below_zero_need_ten_firms():
    units = [(h, 0, 0, (-1) ** h * 10.0) for h in range(9)]
    nine = panel(units, [0], [0], signed=frozenset({"sales"}))
    ten = panel([*units, (9, 0, 0, -10.0)], [0], [0], signed=frozenset({"sales"}))

    assert primary(nine, Rules())[0][0]
    assert not primary(ten, Rules())[0][0]


def test_values_below_zero_are_refused_unless_named():
    with pytest.raises(ValueError, match="sales is below 0 somewhere"):
        panel([(0, 0, 0, -1.0)], [0], [0])


def test_one_masked_variable_masks_the_cell():
    """Rule P4: persons are spread evenly, sales are one firm's; neither is shown."""
    of = panel([(h, 0, 0, 10.0) for h in range(6)], [0], [0])
    of.values["persons"] = np.array([[1000.0], [1], [1], [1], [1], [1]])

    assert primary(of, Rules())[0][cell(of, "T1", 0)]


def test_two_singletons_do_not_protect_each_other():
    """Both clusters of a sector hide behind their sum; each firm knows itself and so the other."""
    of = panel([(0, 0, 0, 100.0), (1, 1, 0, 100.0)], [0, 0], [0, 0], sizes=1)
    shown = only(of, ("T4 sector", 0))

    assert audit(of, [shown], LOOSE, kinds=("nobody",)).exposed["nobody"] == 0, "a cell-level audit passes it"
    assert audit(of, [shown], LOOSE).exposed["firm"] == 2


def test_a_ring_of_masked_cells_is_protected_unless_its_sums_pin_it():
    """2 × 2 lone firms with all margins shown: one free move, limited by the smallest."""
    margins = [("T4 sector", 0), ("T4 sector", 1), ("T4 zone", 0), ("T4 zone", 1)]
    even, pinned = grid([[100, 100], [100, 100]]), grid([[100, 100], [100, 1]])

    assert audit(even, [only(even, *margins)], LOOSE, kinds=("nobody",)).exposed["nobody"] == 0
    assert audit(pinned, [only(pinned, *margins)], LOOSE, kinds=("nobody",)).exposed["nobody"] > 0


def test_a_lone_firm_is_protected_from_below():
    """Its cluster-mates can take nothing from it: 100 of at least 98 is told by their own size."""
    of = panel([(0, 0, 0, 100.0), (1, 0, 1, 1.0), (2, 0, 1, 1.0)], [0], [0])

    found = audit(of, [only(of, ("T1", 0))], LOOSE)

    assert found.exposed["nobody"] >= 1


def test_a_holdings_total_is_a_victim_of_its_own():
    """Each of its two firms hides behind the other, their sum does not."""
    of = panel([(0, 0, 0, 100.0), (0, 1, 0, 100.0), (1, 2, 0, 50.0)], [0, 0, 1], [0, 0, 0], sizes=1)
    shown = only(of, ("T4 sector", 0))
    attack = Attack(of, "sales", LOOSE, [shown], shown, kinds=("nobody",))
    parts = [victim for victim in attack.victims if len(victim.aim) == 1 and victim.holding == 0]
    total = [victim for victim in attack.victims if len(victim.aim) == 2]

    assert [attack.examine(victim) for victim in parts if victim.sign > 0] == [None, None]
    assert [attack.examine(victim).kind for victim in total] == ["nobody"]


def test_the_association_knows_its_own_members():
    """Cluster 0 is many firms: nobody tells cluster 1's firm from the sum, but the association of 0 does."""
    of = panel([*((h, 0, 0, 30.0) for h in range(1, 9)), (0, 1, 0, 100.0)], [0, 0], [0, 0], sizes=1)
    found = audit(of, [only(of, ("T4 sector", 0))], LOOSE)

    assert found.exposed == {"nobody": 0, "firm": 0, "holding": 0, "association": 1}


def test_a_published_composite_tells_its_only_hidden_leaf():
    """A score over one masked total, to half a point, is that total; the composite falls."""
    of = panel([(h, 0, h % 2, 10.0 + h) for h in range(12)], [0], [0])
    row = IndexRow("cluster 0", "sales", 0, np.array([0]), np.array([100 / 400]), 0.5, 0.5)
    lone = panel([(0, 0, 0, 100.0)], [0], [0])
    with_index = panel([(0, 0, 0, 100.0)], [0], [0], index=(row,))

    assert make_masks(of, Rules(least_clusters=1)).state[0] == SHOWN
    assert audit(lone, [only(lone)], LOOSE).passed
    assert not audit(with_index, [only(with_index)], LOOSE).passed
    masks = make_masks(with_index, LOOSE)
    assert masks.composites == frozenset()
    assert audit(with_index, [masks.given], LOOSE, composites=masks.composites).passed


def test_a_composite_in_wide_steps_tells_nothing():
    row = IndexRow("cluster 0", "sales", 0, np.array([0]), np.array([0.01]), 0.5, 0.5)  # ± 50 of 100
    of = panel([(0, 0, 0, 100.0)], [0], [0], index=(row,))

    assert audit(of, [only(of)], LOOSE).passed


# Against an attacker of another make ---------------------------------------------------------------------------------


@st.composite
def small_panels(draw, several=1):
    """A few firms in a few clusters; values without zeros, holdings now and then, and later editions."""
    clusters = draw(st.integers(2, 5))
    n = draw(st.integers(4, 12))
    number = st.integers(1, 200).map(float)
    sector = [draw(st.integers(0, 1)) for _ in range(clusters)]
    zone = [draw(st.integers(0, 1)) for _ in range(clusters)]
    units = [
        (draw(st.integers(0, n // 2)) if draw(st.integers(0, 3)) == 0 else n + at,)
        + (draw(st.integers(0, clusters - 1)), draw(st.integers(0, 1)), draw(number))
        for at in range(n)
    ]
    pages = []
    for edition in range(several):
        if edition:
            units = [
                (h, draw(st.integers(0, clusters - 1)), s, v) if what == 0 else (h, c, s, draw(number)) if what == 1
                else (h, c, s, v)
                for h, c, s, v in units
                for what in [draw(st.integers(0, 7))]
            ]  # fmt: skip
        page = panel(units, sector, zone)
        late = np.array([draw(st.integers(0, 5)) == 0 and edition + 1 < several for _ in range(n)])
        page.place[late] = -1
        page.values["sales"][late] = np.nan
        pages.append(page)
    return editions(*pages)


def ask(draw, outsider, of, many):
    """Draw some (victim, attacker) questions of all there are."""
    victims, attackers = outsider.victims(), outsider.attackers()
    if not victims:
        return []
    return [(draw(st.sampled_from(victims)), draw(st.sampled_from(attackers))) for _ in range(many)]


@settings(max_examples=count(10, 200), deadline=None)
@given(small_panels(), st.data())
def test_no_other_attacker_finds_a_breach_after_masking(of, data):
    masks = make_masks(of, LOOSE, count_before=False, limits=Limits(seconds=None))
    outsider = Outsider(of, "sales", [masks.given])

    told = [q for q in ask(data.draw, outsider, of, 10) if outsider.tells(*q)]

    assert told == []
    assert not (masks.given & primary(of, LOOSE)[0]).any(), "masks are a superset of the primaries"
    assert audit(of, [masks.given], LOOSE, merge=False).passed


@settings(max_examples=count(5, 100), deadline=None)
@given(small_panels(), st.data())
def test_both_attackers_agree_on_unprotected_tables(of, data):
    """With merging off the two ask the same question, so they must find the same victims, nobody fewer or more."""
    shown = np.array([data.draw(st.booleans()) for _ in range(of.tables.count)])
    attack = Attack(of, "sales", LOOSE, [shown], shown, merge=False)
    outsider = Outsider(of, "sales", [shown])
    ours = {breach.victim.holding for victim in attack.victims if (breach := attack.examine(victim))}
    theirs = {
        outsider.owner[victim[0]]
        for victim in outsider.victims()
        if any(outsider.tells(victim, attacker) for attacker in outsider.attackers())
    }

    assert ours == theirs


@settings(max_examples=count(5, 100), deadline=None)
@given(small_panels(several=3), st.data())
def test_editions_of_a_round_together_tell_nobody(of, data):
    """Late returns, corrections and moves. Excused is only what silence would not have helped: a firm that moves takes
    what its new association learns of old editions with it."""
    given_so_far = []
    for edition in range(of.editions):
        now = as_of(of, edition)
        masks = make_masks(now, LOOSE, earlier=given_so_far, count_before=False)
        if masks.report.beyond_repair:
            silent = audit(now, [*given_so_far, np.zeros(of.tables.count, dtype=bool)], LOOSE)
            assert sum(silent.exposed.values()) == sum(masks.report.exposed_after.values()) > 0
            return
        given_so_far.append(masks.given)
    outsider = Outsider(of, "sales", given_so_far)

    assert [q for q in ask(data.draw, outsider, of, 8) if outsider.tells(*q)] == []
    assert audit(of, given_so_far, LOOSE).passed


@settings(max_examples=count(6, 60), deadline=None)
@given(small_panels())
def test_making_masks_again_changes_nothing_and_merging_changes_no_verdict(of):
    first = make_masks(of, LOOSE, count_before=False)
    again = make_masks(of, LOOSE, count_before=False)

    assert (first.state == again.state).all()
    everything = np.ones(of.tables.count, dtype=bool)
    quick, slow = (audit(of, [everything], LOOSE, merge=merge) for merge in (True, False))
    assert sum(quick.exposed.values()) == sum(slow.exposed.values())


# Between editions ------------------------------------------------------------------------------------------------


def round_of(values, cluster):
    """Ten firms in two of three clusters, and what the newest edition knows of them."""
    units = [(h, c, 0, v) for h, (c, v) in enumerate(zip(cluster, values, strict=True))]
    return panel(units, [0, 0, 0], [0, 0, 0], sizes=1)


FIRMS = [0] * 10 + [1] * 10 + [2] * 10


def test_one_late_return_is_held_back():
    old = round_of([10.0] * 30, FIRMS)
    old.place[0] = -1
    of = editions(old, round_of([10.0] * 30, FIRMS))
    first = make_masks(old, Rules()).given

    masks = make_masks(of, Rules(), earlier=[first])

    assert masks.state[cell(of, "T1", 0)] == HELD
    assert masks.state[cell(of, "T4 total")] == HELD
    assert masks.state[cell(of, "T1", 1)] == SHOWN, "an untouched cell stays as it is"


def test_a_batch_of_late_returns_refreshes():
    old = round_of([10.0] * 30, FIRMS)
    old.place[:5] = -1
    of = editions(old, round_of([10.0] * 30, FIRMS))
    first = make_masks(old, Rules()).given

    assert make_masks(of, Rules(), earlier=[first]).state[cell(of, "T1", 0)] == SHOWN


def test_a_single_correction_and_a_single_move_are_held():
    old = round_of([10.0] * 30, FIRMS)
    first = make_masks(old, Rules()).given

    corrected = make_masks(editions(old, round_of([11.0] + [10.0] * 29, FIRMS)), Rules(), earlier=[first])
    moved = make_masks(editions(old, round_of([10.0] * 30, [1, *FIRMS[1:]])), Rules(), earlier=[first])

    assert corrected.state[cell(old, "T1", 0)] == HELD
    assert (moved.state[[cell(old, "T1", 0), cell(old, "T1", 1)]] == HELD).all()


def test_publishing_one_late_return_at_once_is_found():
    """One late return: the difference of the two totals is that firm."""
    old = round_of([10.0] * 30, FIRMS)
    old.place[0] = -1
    of = editions(old, round_of([10.0] * 30, FIRMS))
    first = make_masks(old, Rules()).given

    assert audit(of, [first, make_masks(of, Rules(), earlier=[first]).given]).passed
    found = audit(of, [first, first])

    assert any("changed by too few contributors" in finding for finding in found.findings)
    assert sum(found.exposed.values()), "and the attack finds the firm without that rule"


def test_a_moved_cluster_counts_as_change():
    """All ten firms of cluster 0 move to sector 1: the sector's sum before and after is that cluster's, and fine."""
    old = panel([(h, c, 0, 10.0) for h, c in enumerate(FIRMS)], [0, 0, 0], [0, 0, 0], sizes=1)
    new = panel([(h, c, 0, 10.0) for h, c in enumerate(FIRMS)], [0, 0, 0], [0, 0, 0], sizes=1)
    new.sector[0, 0] = 1
    of = editions(old, new)
    first = make_masks(as_of(of, 0), Rules()).given

    masks = make_masks(of, Rules(), earlier=[first])

    assert masks.state[cell(of, "T4 sector", 0)] in (PRIMARY, HELD), "two clusters are left, three are asked"
    assert audit(of, [first, masks.given]).passed


def test_what_an_earlier_edition_told_is_reported_and_does_not_stop_the_rest():
    old = panel([(0, 0, 0, 100.0), *((h, 1, 0, 10.0) for h in range(1, 11))], [0, 0], [0, 0], sizes=1)
    of = editions(old, old)

    masks = make_masks(of, LOOSE, earlier=[only(of, ("T1", 0))])

    assert masks.report.beyond_repair
    assert sum(masks.report.exposed_after.values()) == 1


def test_states_and_report_add_up():
    of = grid([[100, 90, 80], [70, 60, 50], [40, 30, 20]])

    masks = make_masks(of, LOOSE)
    told = masks.report.as_dict()

    assert sum(table["cells"] for table in told["cells"].values()) == int((masks.state > 0).sum())
    assert sum(table["secondary"] for table in told["cells"].values()) == int((masks.state == SECONDARY).sum())
    assert told["exposed_after"] == {"nobody": 0, "firm": 0, "holding": 0, "association": 0}
    assert told["share_shown"] == masks.report.share_shown
