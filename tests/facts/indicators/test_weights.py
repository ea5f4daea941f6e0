"""Weights of a census and of a sample (framework §11.5), by hand and by property."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from facts.indicators.weights import Sample, survey_weights

NONE = np.zeros(1)


def weights(size, counts, *, sample=None, earlier=None, total=NONE, of=None):
    size = np.array(size)
    return survey_weights(
        np.zeros(len(size), dtype=int) if of is None else np.array(of),
        size,
        np.array(counts),
        np.full(len(size), np.nan) if earlier is None else np.array(earlier, dtype=float),
        np.array(total, dtype=float),
        sample,
    )


def sample(member, design, drawn_weight, drawn=None):
    """drawn_weight : by size, (others, members)."""
    return Sample(
        member=np.array(member, dtype=bool),
        drawn=np.ones(len(member), dtype=bool) if drawn is None else np.array(drawn),
        design=np.array(design, dtype=float),
        is_drawn=np.array([True]),
        drawn_weight=np.array([drawn_weight], dtype=float),
    )


def test_in_a_sample_members_and_others_answer_differently():
    """100 small firms, 40 drawn (design 2.5): of 20 members 10 answered, of 20 others 5. Members 5 each, others 10."""
    given_ = sample([1] * 10 + [0] * 5, [2.5] * 15, [[50, 50], [0, 0], [0, 0], [0, 0]])

    found = weights([1] * 15, [[100, 0, 0, 0]], sample=given_)

    assert found.weight.tolist() == [5.0] * 10 + [10.0] * 5
    assert set(found.stratum) == {0}


def test_a_sample_is_brought_to_the_frame_by_size():
    """Design weights stand for 90 of 100 firms; after post-stratification for all of them."""
    given_ = sample([0] * 10, [9.0] * 10, [[90, 0], [0, 0], [0, 0], [0, 0]])

    assert weights([1] * 10, [[100, 0, 0, 0]], sample=given_).weight.tolist() == [10.0] * 10


def test_few_members_are_not_told_apart():
    """Four members answered: too few for a rate of their own."""
    given_ = sample([1] * 4 + [0] * 6, [2.0] * 10, [[12, 8], [0, 0], [0, 0], [0, 0]])

    assert weights([1] * 10, [[20, 0, 0, 0]], sample=given_).weight.tolist() == [2.0] * 10


def test_who_answers_without_being_drawn_stands_for_itself():
    given_ = sample([0] * 11, [2.0] * 10 + [1.0], [[20, 0], [0, 0], [0, 0], [0, 0]], drawn=[True] * 10 + [False])

    found = weights([1] * 11, [[21, 0, 0, 0]], sample=given_)

    assert found.weight.tolist() == [2.0] * 10 + [1.0]
    assert found.stratum.tolist() == [0] * 10 + [-1]


def test_a_thin_class_of_a_sample_joins_the_smaller_one():
    given_ = sample([0] * 9, [2.0] * 6 + [1.0] * 3, [[12, 0], [6, 0], [0, 0], [0, 0]])

    found = weights([1] * 6 + [2] * 3, [[12, 6, 0, 0]], sample=given_)

    assert set(found.stratum) == {0}
    assert found.weight.sum() == pytest.approx(18)
    assert found.weight[0] == pytest.approx(2 * found.weight[-1])  # design weights keep their proportion


def test_a_census_beside_a_sample_keeps_its_own_weights():
    given_ = Sample(
        member=np.zeros(15, dtype=bool),
        drawn=np.ones(15, dtype=bool),
        design=np.array([1.0] * 5 + [3.0] * 10),
        is_drawn=np.array([False, True]),
        drawn_weight=np.array([[[20, 0]] + [[0, 0]] * 3, [[30, 0]] + [[0, 0]] * 3], dtype=float),
    )

    found = weights([1] * 15, [[20, 0, 0, 0], [30, 0, 0, 0]], sample=given_, of=[0] * 5 + [1] * 10, total=[0, 0])

    assert found.weight.tolist() == [4.0] * 5 + [3.0] * 10


def test_strata_say_how_many_they_stand_for():
    found = weights(
        [1] * 6 + [4], [[12, 0, 0, 3]], earlier=[1.0] * 6 + [50.0], total=[56.0]
    )  # the large firm dominates; the two other large ones are counted with the smallest class

    assert found.stratum.tolist() == [0] * 6 + [-1]
    assert found.population[0] == 14


@given(
    st.lists(st.integers(1, 4), min_size=1, max_size=80),
    st.lists(st.integers(0, 60), min_size=4, max_size=4),
    st.booleans(),
    st.integers(0, 2**32 - 1),
)
def test_weights_of_each_cluster_add_up_to_its_frame(size, spare, is_sample, seed):
    """Whatever is thin, trimmed or sampled: the frame's count comes out, and no weight is negative."""
    rng = np.random.default_rng(seed)
    size = np.array(size)
    counts = np.bincount(size - 1, minlength=4) + np.array(spare)
    given_ = None
    if is_sample:
        member = rng.random(len(size)) < 0.5
        drawn = rng.random(len(size)) < 0.9
        drawn[0] = True
        totals = np.zeros((4, 2))
        design = rng.uniform(1, 4, len(size))
        np.add.at(totals, (size[drawn] - 1, member[drawn].astype(int)), design[drawn] * 1.5)
        given_ = Sample(member, drawn, design, np.array([True]), totals[None])
    found = weights(size, [counts], sample=given_)

    assert (found.weight >= 0).all()
    # A class without any answer is joined to one with answers, unless nobody but volunteers answered.
    answered = {one for one in found.stratum if one >= 0}
    stands_for = sum(found.population[one] for one in answered) + (found.stratum < 0).sum()
    assert found.weight.sum() == pytest.approx(stands_for)
    if answered:
        assert stands_for == pytest.approx(counts.sum())
