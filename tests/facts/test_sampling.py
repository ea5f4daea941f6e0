"""The sample of framework §11.3: how many, who for certain, what they stand for, and who stays from last year."""

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from facts.sampling import CENSUS_MAX, KEPT, TAKE_ALL, Listed, draw, wanted

unhurried = settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow])
seeds = st.integers(0, 10**9)
responses = st.floats(0.2, 1.0)
spreads = st.one_of(st.none(), st.floats(0.05, 2.5))


@st.composite
def frames(draw_, least=CENSUS_MAX + 1, most=400, before=False):
    n = draw_(st.integers(least, most))
    rng = draw_(st.randoms(use_true_random=False))
    return [
        Listed(
            key,
            rng.choice((1, 1, 1, 1, 2, 2, 3, 4)),
            member=rng.random() < 0.4,
            sector=rng.choice(("1410", "1420", "3250")),
            before=before and rng.random() < 0.4,
        )
        for key in range(n)
    ]


def test_the_book_says_97_of_very_many_and_fewer_of_few():
    assert wanted(10**9) == 98  # m = 97.4, and a part of a unit is a unit
    assert wanted(200) == 66  # 97.4 / (1 + 97.4/200)
    assert wanted(200, cv=0.1) == 30
    assert wanted(200, expected_response=0.5) == 132
    assert wanted(40, cv=3.0, expected_response=0.3) == 40
    assert wanted(0) == 0


@unhurried
@given(frames(least=0, most=CENSUS_MAX), seeds)
def test_a_small_frame_is_asked_whole(units, seed):
    assert draw(units, seed=seed) == {unit.key: 1.0 for unit in units}


@unhurried
@given(frames(before=True), spreads, responses, seeds)
def test_weights_sum_to_the_frame_and_the_larger_are_certain(units, cv, response, seed):
    drawn = draw(units, cv=cv, expected_response=response, seed=seed)

    assert abs(sum(drawn.values()) - len(units)) < 1e-6 * len(units)
    assert all(drawn[unit.key] == 1.0 for unit in units if unit.size in TAKE_ALL)
    small = [unit for unit in units if unit.size not in TAKE_ALL]
    chosen = [unit for unit in small if unit.key in drawn]
    assert len(chosen) == wanted(len(small), cv=cv, expected_response=response)
    assert all(drawn[unit.key] >= 1.0 for unit in chosen)


@unhurried
@given(frames(), seeds, seeds)
def test_three_quarters_stay_from_one_year_to_the_next(units, seed, next_seed):
    first = draw(units, seed=seed)
    again = [Listed(u.key, u.size, u.member, u.sector, before=u.key in first) for u in units]

    second = draw(again, seed=next_seed)

    small = {unit.key for unit in units if unit.size not in TAKE_ALL}
    n, there = wanted(len(small)), len(small) - len(first.keys() & small)
    stayed = len(first.keys() & second.keys() & small)
    assert stayed == max(round(KEPT * n), n - there)  # more stay only where too few others are left


@unhurried
@given(frames(before=True), seeds)
def test_the_same_seed_draws_the_same_whatever_the_order_of_the_list(units, seed):
    assert draw(units, seed=seed) == draw(list(reversed(units)), seed=seed)


@unhurried
@given(seeds)
def test_members_and_trades_come_in_their_proportion(seed):
    units = [Listed(key, 1, member=key < 100, sector="1410" if key % 2 else "3250") for key in range(400)]

    drawn = draw(units, seed=seed)

    members = sum(key < 100 for key in drawn)
    assert abs(members - len(drawn) / 4) <= 1
    assert abs(sum(key % 2 for key in drawn) - len(drawn) / 2) <= 2
