"""The audit finds what is wrong: each control is taken away once, and the standard panel is not too easy."""

from dataclasses import replace

import numpy as np
import pytest

from facts.disclosure import HELD, SECONDARY, Rules, as_of, audit, audit_printed, make_masks, print_cells
from facts.disclosure import masks as maker
from facts.disclosure.attack import KINDS, Attack
from facts.disclosure.masks import Limits
from facts.disclosure.panel import Panel, leaders
from facts.disclosure.rules import concentrated, primary
from facts.disclosure.synthetic import synthetic_panel
from tests.facts.disclosure.hand_rule import hand_rule, sums
from tests.facts.disclosure.panels import panel
from tests.gates.size import FULL, count, say


@pytest.fixture(scope="module")
def standard():
    """600 clusters and 22,186 firms in full, a sixth of it otherwise."""
    if FULL:
        return synthetic_panel(600, 22_186)
    return synthetic_panel(100, 3_700, sectors=4, zones=4)


@pytest.fixture(scope="module")
def masks(standard):
    return make_masks(standard, limits=Limits(programmes=20_000, seconds=None))


@pytest.fixture(scope="module")
def small():
    of = synthetic_panel(40, 900, sectors=3, zones=2, seed=3, second=True)
    return of, make_masks(of, count_before=False)


def test_nobody_is_told_and_little_is_lost(masks):
    """98 % of the passing clusters stay shown on the gate's panel; a smaller one has less to hide behind."""
    report = masks.report
    say(f"{report.as_dict()}")

    assert report.exposed_after == {"nobody": 0, "firm": 0, "holding": 0, "association": 0}
    assert sum(report.exposed_before.values()) > 0, "else the of is too easy"
    assert report.share_shown >= (0.98 if FULL else 0.95)
    margins = [report.cells[table] for table in report.cells if table.startswith("T4")]
    assert sum(c["shown"] for c in margins) >= 0.99 * sum(c["shown"] + c["secondary"] for c in margins)


def test_the_hand_rule_leaves_firms_exposed(standard):
    found = audit(standard, [hand_rule(standard, Rules())])
    say(f"hand rule: {found.exposed}")

    assert sum(found.exposed.values()) > 0


def test_nested_pairs_of_shown_cells_differ_by_nobody_or_by_enough(standard, masks):
    cells = standard.tables.cells(standard.place[:, 0], standard.sector[0], standard.zone[0])
    members = {}
    for at in range(cells.shape[1]):
        for cell in np.unique(cells[:, at]):
            members[int(cell)] = cells[:, at] == cell
    pairs = [
        (outer, inner)
        for outer, inside in sums(standard)
        if masks.given[outer]
        for inner in inside
        if inner in members and masks.given[inner]
    ]
    assert len(pairs) > 100
    value = standard.values["sales"][:, 0]
    for outer, inner in pairs:
        rest = members[outer] & ~members[inner]
        left = leaders(np.zeros(int(rest.sum()), dtype=np.int64), standard.holding[rest], value[rest], 1)
        assert left.count[0] == 0 or (left.count[0] >= 5 and not concentrated(left, 0.15)[0]), (
            standard.tables.key(outer),
            standard.tables.key(inner),
        )


# Mutations: each must be found ---------------------------------------------------------------------------------------


def test_what_was_made_passes(small):
    of, masks = small

    assert audit_printed(of, print_cells(of, [masks.given])).findings == ()


def test_unmasking_a_secondary_cell_is_found(small):
    """Restoration has tried each alone, so each that is still masked is needed."""
    of, masks = small
    secondary = np.flatnonzero(masks.state == SECONDARY)
    assert len(secondary)
    for cell in secondary[: count(3, 100)]:
        given = masks.given.copy()
        given[cell] = True
        assert not audit(of, [given]).passed


def test_unmasking_a_primary_cell_is_found(small):
    of, masks = small
    cell = np.flatnonzero(primary(of, Rules())[0])[0]
    given = masks.given.copy()
    given[cell] = True

    assert any("breaks the primary rules" in finding for finding in audit(of, [given]).findings)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"n": "17"}, "no band"),
        ({"n": "< 5"}, "no band"),
        ({"statistic": "max"}, "closed list"),
        ({"table": "T5"}, "closed list"),
        ({"variable": "profit"}, "closed list"),
    ],
)
def test_a_figure_of_the_wrong_form_is_found(small, change, words):
    of, masks = small
    printed = print_cells(of, [masks.given])
    at = next(i for i, figure in enumerate(printed) if figure.value is not None)
    printed[at] = replace(printed[at], **change)

    assert any(words in finding for finding in audit_printed(of, printed).findings)


def test_one_digit_more_and_one_figure_wrong_are_found(small):
    of, masks = small
    printed = print_cells(of, [masks.given])
    at = next(i for i, figure in enumerate(printed) if figure.value is not None)
    for factor, words in ((1.0003, "significant digits"), (2.0, "not the total")):
        wrong = [*printed]
        wrong[at] = replace(printed[at], value=printed[at].value * factor)
        assert any(words in finding for finding in audit_printed(of, wrong).findings)


def test_a_count_beside_a_masked_value_and_one_masked_variable_are_found(small):
    of, masks = small
    printed = print_cells(of, [masks.given])
    masked = next(i for i, figure in enumerate(printed) if figure.value is None)
    shown = next(i for i, figure in enumerate(printed) if figure.value is not None)
    printed[masked] = replace(printed[masked], n="5–9")
    printed[shown] = replace(printed[shown], value=None)
    findings = audit_printed(of, printed).findings

    assert any("beside a masked value" in finding for finding in findings)
    assert any("mask all variables" in finding for finding in findings)


def panels_for(control):
    """Panels on which one control matters."""
    if control == "totals":  # one holding is all of cluster 0: neither of its firms is pinned, their sum is
        big = [(h, c, 0, 30.0) for c in (1, 2) for h in range(c * 10, c * 10 + 8)]
        return [panel([(0, 0, 0, 100.0), (0, 0, 1, 100.0), *big], [0, 0, 0], [0, 0, 0])]
    if control == "lower side":  # the others of its cluster are too small to have taken much of its total
        small = [(h, 0, 1, 2.0) for h in range(1, 11)]
        rest = [(20 * c + at, c, int(at > 7), 30.0 if at < 8 else 1.0) for c in (1, 2) for at in range(12)]
        return [panel([(0, 0, 0, 100.0), *small, *rest], [0, 0, 0], [0, 0, 0])]
    share = 0.0 if control == "firm" else 0.3
    return [synthetic_panel(14, 200, sectors=2, zones=2, seed=seed, in_holdings=share) for seed in range(4)]


@pytest.mark.parametrize("control", ["firm", "holding", "association", "lower side", "totals"])
def test_a_control_taken_away_from_the_maker_is_found_by_the_audit(monkeypatch, control):
    class Weaker(Attack):
        def __init__(self, *args, **more):
            super().__init__(*args, **more, kinds=[kind for kind in KINDS if kind != control])

        def _victims(self, aims):
            for victim in super()._victims(aims):
                if not (control == "lower side" and victim.sign < 0 or control == "totals" and len(victim.aim) > 1):
                    yield victim

    rules = Rules(least=1, least_clusters=1)

    def passes(of):
        return audit(of, [make_masks(of, rules, count_before=False, audit_after=False).given], rules).passed

    panels = panels_for(control)
    assert all(passes(of) for of in panels)
    monkeypatch.setattr(maker, "Attack", Weaker)
    assert not all(passes(of) for of in panels)


# Five editions of a round --------------------------------------------------------------------------------------------


def five_editions() -> Panel:
    """Late returns one by one and in a batch, a correction, a moved firm and a moved cluster, over a small panel."""
    rng = np.random.default_rng(5)
    first = synthetic_panel(30, 450, sectors=2, zones=2, seed=5)
    n = len(first.holding)
    place, value = np.repeat(first.place, 5, axis=1), np.repeat(first.values["sales"], 5, axis=1)
    late = rng.permutation(n)[:40]
    place[late[0], :1] = -1  # one late return in the second edition
    place[late[1:30], :2] = -1  # a batch in the third
    value[late[31], 3:] *= 1.3  # one correction in the fourth
    place[late[32], 4:] = (place[late[32], 3] + 3) % (30 * 3)  # one firm moves in the fifth
    sector = np.repeat(first.sector, 5, axis=0)
    sector[4, 7] = 1 - sector[4, 7]  # and a cluster changes sector
    return Panel(
        first.holding,
        place,
        {"sales": value},
        sector,
        np.repeat(first.zone, 5, axis=0),
        3,
        np.ones((5, 30), dtype=bool),
    )


def test_five_editions_of_a_round_tell_nobody_but_publishing_all_at_once_does():
    of = five_editions()
    made = []
    for edition in range(5):
        masks = make_masks(as_of(of, edition), earlier=made, count_before=False, audit_after=False)
        made.append(masks.given)
        if edition == 1:
            assert (masks.state == HELD).any(), "one late return is held back"
    naive = [
        make_masks(as_of(synthetic_slice(of, e), 0), count_before=False, audit_after=False).given for e in range(5)
    ]

    assert audit(of, made).passed
    found = audit(of, naive)
    assert sum(found.exposed.values()) > 0
    assert (made[2] & ~made[1]).any(), "the batch refreshes cells"


def synthetic_slice(of: Panel, edition: int) -> Panel:
    """One edition alone, as one who forgets the others would mask it."""
    at = slice(edition, edition + 1)
    return Panel(
        of.holding,
        of.place[:, at],
        {"sales": of.values["sales"][:, at]},
        of.sector[at],
        of.zone[at],
        of.sizes,
        of.eligible[at],
    )


def test_the_same_panel_gives_the_same_masks():
    of = synthetic_panel(40, 900, sectors=3, zones=2, seed=4)
    limits = Limits(programmes=500, seconds=None)

    assert (make_masks(of, limits=limits).state == make_masks(of, limits=limits).state).all()


def test_masks_of_last_year_may_come_back_and_two_variables_share_one_mask(small):
    of, _ = small
    start = np.zeros(of.tables.count, dtype=bool)
    start[::3] = True

    kept = make_masks(of, start=start, limits=Limits(programmes=0, seconds=None), count_before=False)
    back = make_masks(of, start=start, limits=Limits(seconds=None), count_before=False)

    assert not kept.report.restoration_complete
    assert (kept.state[start] == SECONDARY).any()
    assert back.given.sum() > kept.given.sum()
    assert audit(of, [kept.given]).passed and audit(of, [back.given]).passed
