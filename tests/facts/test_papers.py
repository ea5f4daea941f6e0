"""Papers: equal input gives equal bytes, words stay words, every question stands on the form."""

import datetime as dt
import io

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pypdf import PdfReader

from core.base import DomainError
from facts.services import papers
from facts.services.papers import form_data, render
from facts.services.receipts import benchmark_pdf, in_fours, position
from tests.facts.valid_returns import INSTRUMENT, RETURNS

SCHEDULES = list(INSTRUMENT.schedules)


class Instrument10:
    version = "1.0"


class ARound:
    """What a form reads of a round."""

    year, instrument, is_synthetic, closes_on = 2026, Instrument10, False, dt.date(2026, 12, 31)


def words(content: bytes) -> str:
    text = " ".join(page.extract_text() for page in PdfReader(io.BytesIO(content)).pages)
    return " ".join(text.replace("\u00ad", "").replace("ﬁ", "fi").replace("ﬂ", "fl").split())


def receipt(**changes) -> dict:
    return {
        "title": "Receipt",
        "year": "2026",
        "mark": "facts_unit_2026",
        "synthetic": False,
        "sentence": "Handed in.",
        "facts": [("Return", "Yearly return")],
        "version": "1",
        "digest": ["abcd"] * 16,
        "verify": "Compare it.",
        "next": ["It is read."],
        "earlier": [],
        "sections": [],
        "answers_note": "",
    } | changes


@pytest.mark.django_db
@pytest.mark.parametrize("code", SCHEDULES)
def test_a_blank_form_asks_every_question_and_says_the_promise(code):
    schedule = INSTRUMENT.schedule(code)

    content = papers.form_pdf(code, ARound)
    text = words(content)

    assert content.startswith(b"%PDF")
    assert [question for question in schedule.questions if question not in text] == []
    assert "statistics only" in text
    assert f"facts_{code.lower()}_2026" in text
    assert "page 1 of" in text
    assert "31 December 2026" in text
    assert "Demonstration" not in text


@pytest.mark.django_db
def test_equal_forms_are_equal_bytes_without_a_date_and_tagged():
    one, other = papers.form_pdf("REGION", ARound), papers.form_pdf("REGION", ARound)
    reader = PdfReader(io.BytesIO(one))

    assert one == other
    assert reader.metadata.creation_date is None or reader.metadata.creation_date.year == 2000
    assert reader.metadata.title == "FACTS 2026: Conditions in the region"
    assert reader.root_object["/MarkInfo"]["/Marked"]
    assert reader.root_object["/Lang"] == "en-GB"
    assert "/StructTreeRoot" in reader.root_object


@pytest.mark.django_db
def test_a_form_of_one_return_shows_code_currency_and_last_year():
    text = words(
        papers.form_pdf(
            "UNIT",
            ARound,
            subject="PK-TST-00007",
            currency="PKR",
            last_year=RETURNS["UNIT"],
            due=dt.date(2027, 1, 15),
        )
    )

    assert text.count("PK-TST-00007") > 3  # on every page
    assert "90,00,000" in text  # sales of last year, grouped as the country does
    assert "PKR" in text
    assert "15 January 2027" in text


@pytest.mark.django_db
def test_what_must_hold_between_questions_stands_under_the_last_of_them():
    sections = {one["code"]: one for one in form_data("UNIT", ARound)["sections"]}

    assert "Men and women must add up to the total of persons." in sections["UB"]["sums"]
    assert "Labour cost cannot be more than the total operating cost." in sections["UD"]["sums"]
    assert sections["UB"]["only"] == "It is asked of units that worked in the year."
    assert {question["only"] for question in sections["UB"]["questions"]} == {""}


NASTY = [
    '#read("/etc/passwd")',
    "#panic()",
    "$ x $ #sys.inputs",
    '"] #pagebreak() [',
    "*bold* _it_ <label> @ref `raw` // note /* c */",
    "\\u{41} \\",
    '#import "@preview/x:1.0.0"',
    "₹ ≤ “quoted” é ü – …",
]


@pytest.mark.parametrize("text", NASTY)
def test_a_firms_words_are_set_as_they_are(text):
    content = render("receipt", receipt(facts=[("Name", text)]))

    shown = words(content).replace(" ", "")
    assert text.replace(" ", "").replace("\\u", "\\u") in shown


@given(st.text(max_size=60))
@settings(max_examples=60, deadline=None)
def test_any_text_is_set_and_gives_one_receipt(text):
    """No text breaks the paper, becomes an instruction, or adds a page."""
    content = render("receipt", receipt(facts=[("Name", text)], sentence=text))

    assert len(PdfReader(io.BytesIO(content)).pages) == 1


@pytest.mark.parametrize("text", ["سیالکوٹ", "लखनऊ", "温州", "a\x1fb\u202ec\ud800", "👍"])
def test_words_in_any_script_are_set_and_never_fail(text):
    content = render("receipt", receipt(facts=[("Name", text)]))

    assert len(PdfReader(io.BytesIO(content)).pages) == 1
    assert render("receipt", receipt(facts=[("Name", text)])) == content


def test_letters_of_the_languages_in_use_have_shapes():
    assert "₹ 1,00,000 ≤ “x” ’ – … é ō ü ş" in words(
        render("receipt", receipt(sentence="₹ 1,00,000 ≤ “x” ’ – … é ō ü ş"))
    )


def test_a_paper_that_would_not_end_is_refused():
    with pytest.raises(DomainError, match="too long"):
        render("receipt", receipt(sentence="a" * 500_000))


def test_the_digest_is_read_in_fours_and_invented_figures_are_marked():
    text = words(render("receipt", receipt(digest=in_fours("0123456789abcdef" * 4), synthetic=True)))

    assert "0123 4567 89ab cdef" in text
    assert "Demonstration figures, invented" in text


def test_a_sheet_beside_peers_is_made_of_plain_data():
    line = {"label": "Capacity use", "note": "More is better.", "own": "94 %", "low": "62 %", "middle": "72 %"}
    line |= {"high": "82 %", "place": "in the best quarter", "withheld": "", "position": position(94, 62, 82)}
    withheld = line | {"label": "Sales", "withheld": "fewer than ten peers answered this", "position": None}
    sheet = {"title": "Sheet", "year": "2026", "mark": "PK-1", "sentence": "Beside peers.", "promise": "Private."}
    gap = {"label": "Rejects", "sentence": "You report 5 %.", "helped": ""}

    text = words(benchmark_pdf(sheet | {"synthetic": True, "lines": [line, withheld], "gaps": [gap]}))

    assert all(part in text for part in ("94 %", "in the best quarter", "withheld: fewer than ten", "You report 5 %."))
    assert 0 < position(94, 62, 82) < 1
    assert position(1, 5, 5) < 0.25 < 0.75 < position(9, 5, 5)
