"""The index rule: what is hidden stays unknown, and nothing is hidden without need."""

import doctest

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import facts.disclosure.index
from facts.disclosure.index import FACETS, check_hidden, hide

TREE = {
    "CCI": ["P", "Q"],
    "P": ["D1", "D2"],
    "Q": ["D3"],
    "D1": ["a", "b", "c"],
    "D2": ["d", "e"],
    "D3": ["f"],
}
NODES = [child for children in TREE.values() for child in children]
EVEN = dict.fromkeys(NODES, 1.0)


def page(tree, nodes):
    """What a page shows where these nodes are hidden: all of every other node."""
    everything = {*tree, *(child for children in tree.values() for child in children)}
    return dict.fromkeys(everything - set(nodes), FACETS)


def told(tree, hidden, weights):
    """Hidden leaves that follow from the shown nodes, by the rank of their equations: the oracle."""
    leaves = [child for children in tree.values() for child in children if child not in tree]

    def row(node):
        if node not in tree:
            return np.eye(len(leaves))[leaves.index(node)]
        parts = [(weights[child], row(child)) for child in tree[node] if weights[child] > 0]
        parts = [(weight, part) for weight, part in parts if part.any()]
        return sum((w * part for w, part in parts), np.zeros(len(leaves))) / max(sum(w for w, _ in parts), 1e-9)

    shown = np.array([row(node) for node in page(tree, hidden)] or [np.zeros(len(leaves))])
    rank = np.linalg.matrix_rank(shown)
    return [
        leaf
        for at, leaf in enumerate(leaves)
        if leaf in hidden and weights[leaf] > 0
        if np.linalg.matrix_rank(np.vstack([shown, np.eye(len(leaves))[at]])) == rank
    ]


def trees(draw, depth, name):
    """A random hierarchy as (tree, weights)."""
    tree, weights = {}, {}

    def grow(node, left):
        children = [f"{node}{i}" for i in range(draw(st.integers(1, 4)))]
        tree[node] = children
        for child in children:
            weights[child] = draw(st.sampled_from([0.0, 0.5, 1.0, 1.0, 2.0, 3.0]))
            if left and draw(st.booleans()):
                grow(child, left - 1)

    grow(name, depth)
    return tree, weights


@st.composite
def cases(draw):
    tree, weights = trees(draw, draw(st.integers(0, 3)), "n")
    leaves = [child for children in tree.values() for child in children if child not in tree]
    return tree, weights, draw(st.sets(st.sampled_from(leaves))) if leaves else set()


def test_the_example_of_the_function_holds():
    assert doctest.testmod(facts.disclosure.index).failed == 0


def test_a_hidden_leaf_takes_its_lightest_sibling_with_it():
    done = hide(TREE, ["a"], {**EVEN, "b": 3.0, "c": 2.0})

    assert done.nodes == {"a", "c"}
    assert done.share == pytest.approx(0.5 * 0.5 * (1 + 2) / 6)
    assert not done.too_little


def test_two_hidden_siblings_need_no_third():
    assert hide(TREE, ["a", "b"], EVEN).nodes == {"a", "b"}


def test_an_only_child_takes_its_composite_and_a_cousin():
    """f is D3 is Q: Q goes, and so does the cheaper pillar's cheapest leaf, or the index would tell Q."""
    done = hide(TREE, ["f"], EVEN)

    assert {"f", "D3", "Q", "P"} <= done.nodes
    assert "CCI" not in done.nodes
    assert done.too_little, "half of the index is f"


def test_a_composite_with_a_hidden_pair_is_the_cheapest_second_child():
    tree = {"I": ["A", "B", "C"], "A": ["a"], "B": ["b1", "b2", "b3"], "C": ["c1", "c2"]}
    weights = {**dict.fromkeys(["A", "C", "a", "b1", "b2", "b3", "c1", "c2"], 1.0), "B": 5.0}

    assert hide(tree, ["a", "b1", "b2"], weights).nodes == {"a", "A", "b1", "b2", "B"}


def test_a_leaf_without_weight_asks_for_nothing():
    assert hide(TREE, ["a"], {**EVEN, "a": 0.0}).nodes == {"a"}


def test_a_missing_sibling_is_no_second_child():
    done = hide(TREE, ["d"], {**EVEN, "e": 0.0})

    assert "D2" in done.nodes and "e" not in done.nodes


def test_more_than_two_fifths_hidden_is_too_little():
    weights = {**EVEN, "f": 1.0, "Q": 0.25}

    assert not hide(TREE, ["a", "b"], weights).too_little
    assert hide(TREE, ["a", "b", "d", "e"], weights).too_little


def test_a_composite_cannot_be_asked_for():
    with pytest.raises(ValueError, match="D1 is no leaf of the index CCI"):
        hide(TREE, ["D1"], EVEN)


@settings(max_examples=300, deadline=None)
@given(cases())
def test_what_is_hidden_stays_unknown_and_nothing_is_hidden_for_nothing(case):
    tree, weights, leaves = case

    done = hide(tree, leaves, weights)

    assert check_hidden(tree, page(tree, done.nodes), weights) == []
    assert leaves <= done.nodes
    entering = {leaf for leaf in leaves if weights[leaf] > 0}
    if not entering:
        assert done.nodes == leaves
    assert not told(tree, done.nodes, weights), "by linear algebra, not by the rule"
    for node in done.nodes - leaves:
        assert check_hidden(tree, page(tree, done.nodes - {node}), weights), f"{node} was hidden without need"


@settings(max_examples=150, deadline=None)
@given(cases())
def test_each_added_node_is_needed_where_one_leaf_is_hidden(case):
    """Under one shown composite exactly one second leaf falls, never a third."""
    tree, weights, leaves = case
    for leaf in sorted(leaves)[:2]:
        parent = next(node for node, children in tree.items() if leaf in children)
        siblings = [child for child in tree[parent] if weights[child] > 0]
        if weights[leaf] > 0 and len(siblings) > 1 and not any(child in tree for child in siblings):
            assert len(hide(tree, [leaf], weights).nodes) == 2


@pytest.mark.parametrize("facet", sorted(FACETS - {"score"}))
def test_a_facet_of_a_hidden_node_left_on_a_page_is_found(facet):
    nodes = hide(TREE, ["a"], EVEN).nodes

    assert check_hidden(TREE, {**page(TREE, nodes), "a": {facet}}, EVEN)


def test_a_lone_hidden_child_is_found():
    assert check_hidden(TREE, page(TREE, {"a"}), EVEN) == [
        "a: hidden, but what is shown around it tells it; hide a second child or the composite."
    ]


def test_a_composite_hidden_in_name_only_is_found():
    assert check_hidden(TREE, page(TREE, {"D1", "D2"}), EVEN)
