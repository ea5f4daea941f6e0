"""docs/conformance.md is what the engine gives today, and no file of the conformance table is left out."""

import pytest

from tests.cci.engine import conformance


@pytest.fixture(scope="module")
def rows():
    if not conformance.FOLDER.exists():
        pytest.skip("reference files reference/asem are not beside this checkout (expected in ../shared)")
    return conformance.results()


def test_every_file_agrees(rows):
    far = [(file, mode, largest) for file, mode, _, largest in rows if not largest <= conformance.LIMIT]

    assert far == []


def test_no_file_is_left_out(rows):
    compared = {file for file, _, _, _ in rows}

    assert compared.isdisjoint(conformance.INPUTS | conformance.REFUSED)
    assert sorted(compared | set(conformance.INPUTS) | set(conformance.REFUSED)) == conformance.files()


def test_the_page_is_the_one_the_command_writes(rows):
    assert conformance.DOCUMENT.read_text() == conformance.document(rows)
