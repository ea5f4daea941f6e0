"""Bands from overlapping intervals: cut once, stored, and read back."""

import doctest

import pandas as pd
import pytest

from cci import bands, draws, partial, peers, robustness
from cci.bands import Place, band_numbers, bands_of, moves_between


def place(key, rank, low, high, band=None) -> Place:
    return Place(key, 100.0 - rank, rank, low, high, band)


def test_a_ranking_is_cut_where_no_interval_reaches_across():
    ranks = pd.Series({"A": 1, "B": 2, "C": 3, "D": 4, "E": 5})
    spans = pd.DataFrame({"low": [1, 2, 2, 4, 5], "high": [1, 3, 4, 4, 5]}, index=list("ABCDE"))

    assert band_numbers(ranks, spans).to_dict() == {"A": 1, "B": 2, "C": 2, "D": 2, "E": 3}


def test_bands_are_labelled_as_the_ranks_are_and_hang_on_no_order_of_rows():
    ranks = pd.Series({"C": 3, "A": 1, "B": 2})
    spans = pd.DataFrame({"low": [1, 2, 3], "high": [2, 2, 3]}, index=list("ABC"))

    assert band_numbers(ranks, spans).to_dict() == {"C": 2, "A": 1, "B": 1}


def test_stored_bands_are_read_not_cut_anew():
    """A cluster that is not published leaves a hole; the others keep their bands and letters."""
    stored = [place(1, 1, 1, 1, 1), place(3, 3, 3, 4, 3), place(4, 4, 3, 4, 3)]

    found = bands_of(stored)

    assert [(band.letter, len(band.places)) for band in found] == [("A", 1), ("C", 2)]


def test_places_without_a_stored_band_are_cut_by_their_intervals():
    found = bands_of([place(1, 1, 1, 2), place(2, 2, 1, 2), place(3, 3, 3, 3)])

    assert [[one.cluster_id for one in band.places] for band in found] == [[1, 2], [3]]


def test_a_change_inside_the_intervals_is_no_move():
    earlier = [place(1, 1, 1, 2), place(2, 2, 1, 2), place(3, 3, 3, 3)]
    later = [place(2, 1, 1, 2), place(1, 2, 1, 2), place(3, 3, 3, 3)]

    assert not any(move.is_move for move in moves_between(earlier, later).values())


@pytest.mark.parametrize("module", [bands, draws, partial, peers, robustness])
def test_worked_examples_in_the_words_of_the_functions_hold(module):
    found = doctest.testmod(module, extraglobs={"np": __import__("numpy"), "pd": pd})

    assert found.attempted and not found.failed
