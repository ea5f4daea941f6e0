"""Files: templates that read back, previews that keep nothing, imports that keep all or nothing."""

import io
from pathlib import Path

import openpyxl
import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.core.management import CommandError, call_command
from django.urls import reverse

from facts.models import Return
from facts.readers import read_table
from facts.services.files import import_file
from facts.services.reading import draft_of, held_file, hold_file
from facts.services.templates import template_file
from tests.facts.valid_returns import UNIT


def table(town, rows: list[dict]) -> bytes:
    codes = list(UNIT)
    lines = [",".join(["unit", *codes])]
    for row in rows:
        cells = [";".join(v) if isinstance(v := row.get(code, ""), list) else str(v) for code in codes]
        lines.append(",".join([row["unit"], *cells]))
    return "\n".join(lines).encode()


def upload(content: bytes) -> dict:
    return {"file": SimpleUploadedFile("returns.csv", content), "scale": "1"}


@pytest.mark.parametrize("ending", [".csv", ".xlsx"])
@pytest.mark.parametrize("schedule", ["UNIT", "CLUSTER", "ASSOCIATION", "REGION"])
def test_a_template_reads_back_as_it_was_written(town, schedule, ending):
    content = template_file(schedule, round_=town.round, cluster=town.cluster, ending=ending)
    read = read_table(content, f"template{ending}")

    assert read.header[0] == schedule.lower()
    expected = {
        "UNIT": sorted(unit.frame_id for unit in town.units),
        "CLUSTER": [town.cluster.code],
        "ASSOCIATION": [f"{town.cluster.code}/{town.association.slug}"],
        "REGION": ["PK-PB"],
    }
    assert [next(iter(cells.values())) for _, cells in read.rows] == expected[schedule]


def test_a_template_filled_in_is_taken(town):
    book = openpyxl.load_workbook(
        io.BytesIO(template_file("UNIT", round_=town.round, cluster=town.cluster, ending=".xlsx"))
    )
    sheet = book.worksheets[0]
    for row in (3, 4, 5):
        for column, code in enumerate(UNIT, start=2):
            value = UNIT[code]
            sheet.cell(row, column, ";".join(value) if isinstance(value, list) else value)
    stream = io.BytesIO()
    book.save(stream)

    outcome = import_file(stream.getvalue(), "filled.xlsx", round_=town.round, by=town.entry)

    assert not outcome.refused, [str(one) for one in outcome.refused]
    assert outcome.created == 3


def test_a_template_leaves_work_that_is_there_alone(town, drafted, submitted):
    drafted()
    submitted(unit=1)

    content = template_file("UNIT", round_=town.round, cluster=town.cluster, ending=".csv").decode()

    assert f"# {town.units[0].frame_id}" in content and f"# {town.units[1].frame_id}" in content
    assert [cells["unit"] for _, cells in read_table(content.encode(), "t.csv").rows] == [town.units[2].frame_id]


def test_staff_only_answers_stand_in_no_template(town):
    content = template_file("UNIT", round_=town.round, cluster=town.cluster, ending=".xlsx")

    sheet = openpyxl.load_workbook(io.BytesIO(content)).worksheets[1]
    assert "field staff only" not in str([[cell.value for cell in row] for row in sheet.iter_rows()])


def test_the_command_writes_the_same_file_by_its_ending(town, tmp_path):
    out = tmp_path / "units.csv"

    call_command("return_template", "unit", round=town.round.year, cluster=town.cluster.code, out=out)

    assert out.read_bytes() == template_file("UNIT", round_=town.round, cluster=town.cluster, ending=".csv")
    with pytest.raises(CommandError, match="no round 1999"):
        call_command("return_template", "unit", round=1999, cluster=town.cluster.code, out=out)
    with pytest.raises(CommandError, match="xlsx or .csv"):
        call_command("return_template", "unit", round=town.round.year, cluster=town.cluster.code, out=Path("x.pdf"))


def test_a_preview_keeps_nothing_and_its_confirmation_keeps_all(town, door, words):
    client, address = door(town.entry), reverse("facts:import")
    content = table(town, [UNIT | {"unit": unit.frame_id} for unit in town.units])

    preview = client.post(address, upload(content) | {"round": town.round.pk})

    assert not Return.objects.exists()
    page = words(preview)
    assert "3 new, 0 replaced, 0 unchanged" in page and "27,000,000" in page  # three times the sales
    answer = client.post(address, {"held": preview.context["held"]})
    assert answer.url == reverse("facts:returns")
    assert {draft_of(ret)["answers"]["UC01"] for ret in Return.objects.all()} == {9_000_000}


def test_one_refused_cell_keeps_the_whole_file_out_and_says_where(town, door, words):
    rows = [UNIT | {"unit": unit.frame_id} for unit in town.units]
    rows[1]["UB01"] = "many"

    page = words(door(town.entry).post(reverse("facts:import"), upload(table(town, rows)) | {"round": town.round.pk}))

    assert "Nothing was kept" in page
    assert "Row 3" in page and "UB01-type" in page and "“many” is not a number." in page and "Write digits." in page
    assert not Return.objects.exists()


def test_anothers_units_cannot_be_brought_in(town, door, words):
    from tests.factories import Town

    content = table(town, [UNIT | {"unit": town.units[0].frame_id}])

    page = words(door(Town(units=1).entry).post(reverse("facts:import"), upload(content) | {"round": town.round.pk}))

    assert "respondent-known" in page
    assert not Return.objects.exists()


def test_a_held_file_opens_for_its_sender_only(town):
    token = hold_file(b"unit,UB01\n", "a.csv", round_id=town.round.pk, scale=1, by=town.entry)

    assert held_file(token, by=town.entry)[1] == b"unit,UB01\n"
    assert b"UB01" not in token.encode()
    with pytest.raises(Exception, match="Send it again"):
        held_file(token, by=town.head)
