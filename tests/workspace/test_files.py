"""Files: templates that read back, previews that keep nothing, imports that keep all or nothing."""

import io
import os
import stat
from datetime import timedelta
from pathlib import Path

import openpyxl
import pytest
from django.conf import settings
from django.core.files.uploadedfile import SimpleUploadedFile
from django.core.management import CommandError, call_command
from django.urls import reverse
from django.utils import timezone

from core.audit.models import Event
from core.jobs import ledger
from core.jobs.models import Job
from facts.intake.process import open_table
from facts.models import FrameEntry, Return, Upload
from facts.services import uploads
from facts.services.files import import_file
from facts.services.reading import draft_of
from facts.services.templates import template_file
from facts.vault.models import SealedText
from tests.facts.valid_returns import UNIT


@pytest.fixture(autouse=True)
def _own_quarantine(settings, tmp_path):
    """Each test's records count from 1; their files must not meet."""
    settings.QUARANTINE_DIR = tmp_path / "quarantine"


def read_table(content: bytes):
    """Heading and rows of a file."""
    with open_table(content) as found:
        found.rows = list(found.rows)
        return found


def table(town, rows: list[dict]) -> bytes:
    codes = list(UNIT)
    lines = [",".join(["unit", *codes])]
    for row in rows:
        cells = [";".join(v) if isinstance(v := row.get(code, ""), list) else str(v) for code in codes]
        lines.append(",".join([row["unit"], *cells]))
    return "\n".join(lines).encode()


@pytest.mark.parametrize("ending", [".csv", ".xlsx"])
@pytest.mark.parametrize("schedule", ["UNIT", "CLUSTER", "ASSOCIATION", "REGION"])
def test_a_template_reads_back_as_it_was_written(town, schedule, ending):
    content = template_file(schedule, round_=town.round, cluster=town.cluster, ending=ending)
    read = read_table(content)

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
        assert sheet.cell(row, 1).value in {unit.frame_id for unit in town.units}
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
    assert [cells["unit"] for _, cells in read_table(content.encode()).rows] == [town.units[2].frame_id]


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


# --- the way of a file: quarantine, preview, confirmation ---------------------------------------


@pytest.fixture
def send(town, door):
    """Send a file as a person; the answer is the page to which it leads."""

    def post(content: bytes, by=None, name="returns.csv", scale="1", follow=True):
        file = SimpleUploadedFile(name, content)
        return door(by or town.entry).post(
            reverse("facts:import"), {"file": file, "scale": scale, "round": town.round.pk}, follow=follow
        )

    return post


@pytest.fixture
def three(town) -> bytes:
    return table(town, [UNIT | {"unit": unit.frame_id} for unit in town.units])


def confirm(door, user, upload: Upload, digest: str | None = None):
    address = reverse("facts:upload", args=[upload.pk])
    return door(user).post(address, {"digest": upload.digest if digest is None else digest}, follow=True)


def sealed_file(upload: Upload) -> Path:
    return settings.QUARANTINE_DIR / f"{upload.pk}.sealed"


def test_a_preview_keeps_nothing_and_its_confirmation_keeps_all(town, door, words, send, three):
    preview = send(three)

    upload = Upload.objects.get()
    assert not Return.objects.exists()
    page = words(preview)
    assert "would make 3 new drafts" in page and "27,000,000" in page  # three times the sales
    assert all(unit.frame_id in page for unit in town.units) and page.count("New draft") == 3
    assert sealed_file(upload).exists()

    kept = words(confirm(door, town.entry, upload))

    assert "3 drafts made" in kept
    assert {draft_of(ret)["answers"]["UC01"] for ret in Return.objects.all()} == {9_000_000}
    assert Upload.objects.get().state == "imported"
    assert not sealed_file(upload).exists()


def test_a_file_that_waits_for_a_yes_stands_in_the_workspace_of_its_sender(town, door, words, send, three):
    send(three, name="sialkot.csv")

    assert "sialkot.csv" in words(door(town.entry).get("/workspace/"))
    assert "sialkot.csv" not in words(door(town.head).get("/workspace/"))
    confirm(door, town.entry, Upload.objects.get())
    assert "sialkot.csv" not in words(door(town.entry).get("/workspace/"))


def test_a_second_confirmation_does_nothing_more(town, door, send, three):
    send(three)
    upload = Upload.objects.get()
    for _ in range(3):
        confirm(door, town.entry, upload)

    assert {ret.revision for ret in Return.objects.all()} == {1}
    assert Event.objects.filter(action="return.import").count() == 3
    assert Event.objects.filter(action="upload.imported").count() == 1


def test_the_confirmation_names_the_file_that_was_shown(town, door, words, send, three):
    send(three)

    answer = confirm(door, town.entry, Upload.objects.get(), digest="0" * 64)

    assert "not the file that was shown" in words(answer)
    assert not Return.objects.exists()


def test_what_a_file_would_change_is_told_row_by_row(town, door, words, send, drafted, three):
    drafted(UB01=12)
    drafted(unit=1)

    page = words(send(three))

    assert "would make 1 new draft, change 1 draft and leave 1 as it is" in page
    assert "New draft" in page and "Changes a draft" in page and "no change" in page
    confirm(door, town.entry, Upload.objects.get())
    assert draft_of(Return.objects.get(subject=town.units[0].frame_id))["answers"]["UB01"] == UNIT["UB01"]


def test_one_refused_cell_keeps_the_whole_file_out_and_says_where(town, door, words, send):
    rows = [UNIT | {"unit": unit.frame_id} for unit in town.units]
    rows[1]["UB01"] = "many"

    page = words(send(table(town, rows)))

    assert "Nothing was kept" in page
    assert "Row 3" in page and "UB01-type" in page and "“many” is not a number." in page and "Write digits." in page
    upload = Upload.objects.get()
    assert not Return.objects.exists() and not sealed_file(upload).exists()
    listed = door(town.entry).get(reverse("facts:upload-errors", args=[upload.pk])).content.decode("utf-8-sig")
    assert f"row 3,{town.units[1].frame_id},UB01,many," in listed
    assert "cannot be kept" in words(confirm(door, town.entry, upload))
    assert not Return.objects.exists()


def test_the_list_of_faults_runs_in_no_spreadsheet(town, door, send):
    rows = [UNIT | {"unit": town.units[0].frame_id, "UA05": "=HYPERLINK(1)"}]
    send(table(town, rows))

    text = door(town.entry).get(reverse("facts:upload-errors", args=[Upload.objects.get().pk])).content.decode()

    assert ",'=HYPERLINK(1)," in text and ",=HYPERLINK" not in text


def test_what_changed_between_preview_and_confirmation_refuses_it_all(town, door, words, send, three, submitted):
    send(three)
    submitted(unit=1)

    page = words(confirm(door, town.entry, Upload.objects.get()))

    assert "Nothing was kept" in page and town.units[1].frame_id in page
    assert Return.objects.count() == 1
    assert Upload.objects.get().state == "refused"


def test_open_points_are_told_and_keep_nothing_out(town, door, words, send):
    row = {"unit": town.units[0].frame_id, "UA01": 1, "UB01": 5, "UD03": 0}

    page = words(send(table(town, [row | {"UB01": UNIT["UB01"], "UD03": 0, "UD01": UNIT["UD01"]}])))

    assert "Still open" in page and "1 of" not in page[: page.index("Still open")].split("Row by row")[0]
    assert Upload.objects.get().counts["open_points"] > 3
    confirm(door, town.entry, Upload.objects.get())
    assert Return.objects.count() == 1


def test_another_person_finds_no_file_not_even_in_the_same_office(town, door, send, three):
    from tests.factories import Town

    send(three)
    upload = Upload.objects.get()
    for name in ("facts:upload", "facts:upload-progress", "facts:upload-errors"):
        address = reverse(name, args=[upload.pk])
        assert door(town.entry).get(address).status_code == 200
        for user in (town.head, Town(units=1).entry, town.staff):
            assert door(user).get(address).status_code == 404
    assert door(town.head).post(reverse("facts:upload", args=[upload.pk]), {"digest": upload.digest}).status_code == 404
    assert not Return.objects.exists()


def test_anothers_units_cannot_be_brought_in(town, words, send, three):
    from tests.factories import Town

    page = words(send(three, by=Town(units=1).entry))

    assert "respondent-known" in page
    assert not Return.objects.exists()


def test_nothing_of_a_file_stands_open_anywhere(town, send):
    row = UNIT | {"unit": town.units[0].frame_id, "UC01": 8_765_432}
    send(table(town, [row]))

    upload = Upload.objects.get()
    assert b"8765432" not in sealed_file(upload).read_bytes()
    assert stat.S_IMODE(sealed_file(upload).stat().st_mode) == 0o600
    said = [upload.counts, *Event.objects.values_list("detail", flat=True)]
    said += [(job.args, job.result, job.stage, job.error) for job in Job.objects.all()]
    assert "8765432" not in str(said) and "8,765,432" not in str(said)
    assert all(b"8765432" not in bytes(text.payload) for text in SealedText.objects.all())


def test_a_file_that_was_changed_in_quarantine_is_not_imported(town, door, words, send, three):
    send(three)
    upload = Upload.objects.get()
    path = sealed_file(upload)
    sealed = path.read_bytes()
    path.write_bytes(sealed[:-1] + bytes([sealed[-1] ^ 1]))

    page = words(confirm(door, town.entry, upload))

    assert "The work stopped" in page and "changed or moved" in page
    assert not Return.objects.exists()


def test_the_same_file_again_is_the_same_record_with_a_fresh_reading(town, send, words, three):
    send(three)
    page = words(send(three, scale="1000"))

    upload = Upload.objects.get()
    assert upload.scale == 1000
    assert "27,000,000,000" in page


def test_a_file_can_be_taken_back(town, door, words, send, three):
    send(three)
    upload = Upload.objects.get()

    page = words(door(town.entry).post(reverse("facts:upload", args=[upload.pk]), {"discard": "1"}, follow=True))

    assert "Nothing of it is kept" in page
    assert Upload.objects.get().state == "expired" and not sealed_file(upload).exists()
    assert uploads.report_of(upload) is None
    assert "kept for 24 hours" in words(confirm(door, town.entry, upload))


def test_files_and_reports_are_wiped_after_a_day(town, door, words, send, three):
    send(three)
    upload = Upload.objects.get()
    assert uploads.wipe_expired() == 0 and sealed_file(upload).exists()
    Upload.objects.update(created_at=upload.created_at - uploads.KEPT_FOR - timedelta(minutes=1))

    assert uploads.wipe_expired() == 1
    assert uploads.wipe_expired() == 0

    assert not sealed_file(upload).exists() and uploads.report_of(upload) is None
    assert "No longer at hand" in words(door(town.entry).get(reverse("facts:upload", args=[upload.pk])))
    stray = settings.QUARANTINE_DIR / "999999.sealed"
    stray.write_bytes(b"x")
    os.utime(stray, (0, 0))
    uploads.wipe_expired()
    assert not stray.exists()


def test_a_large_file_waits_for_a_worker_and_shows_how_far_it_is(town, door, words, send, three, monkeypatch):
    monkeypatch.setattr(uploads, "SMALL", 10)

    page = words(send(three))

    upload = Upload.objects.get()
    assert "Reading your file" in page and "You may close this page" in page
    address = reverse("facts:upload-progress", args=[upload.pk])
    assert door(town.entry).get(address).json()["done"] is False
    assert ledger.run(upload.job_id)
    assert door(town.entry).get(address).json()["done"] is True
    confirm(door, town.entry, upload)
    assert "Keeping the drafts" in words(door(town.entry).get(reverse("facts:upload", args=[upload.pk])))
    assert not Return.objects.exists()
    assert ledger.run(Upload.objects.get().job_id)
    assert Return.objects.count() == 3


def test_a_dead_workers_file_is_read_by_the_next_and_counted_once(town, send, three, monkeypatch):
    monkeypatch.setattr(uploads, "SMALL", 10)
    send(three)
    upload = Upload.objects.get()
    first = ledger.claim(upload.job_id)  # a worker that claims the job and dies
    Job.objects.filter(pk=first.pk).update(lease_until=timezone.now() - timedelta(minutes=1))

    assert ledger.run(upload.job_id)

    upload.refresh_from_db()
    assert (upload.state, upload.counts["created"]) == ("ready", 3)
    with pytest.raises(ledger.LostLease):
        uploads.read_upload(ledger.Run(first), upload.pk) or ledger.Run(first).progress("late")


def test_an_import_that_loses_its_job_keeps_nothing(town, door, send, three, monkeypatch):
    send(three)
    upload = Upload.objects.get()
    monkeypatch.setattr(uploads, "SMALL", 10)
    confirm(door, town.entry, upload)
    upload.refresh_from_db()
    dead = ledger.Run(ledger.claim(upload.job_id))
    Job.objects.filter(pk=upload.job_id).update(attempt=2)  # another worker has it now

    with pytest.raises(ledger.LostLease):
        uploads.import_upload(dead, upload.pk)

    assert not Return.objects.exists()
    assert Upload.objects.get().state == "ready" and sealed_file(upload).exists()


def test_a_file_above_ten_megabytes_is_refused_in_words(town, send, words):
    page = words(send(b"x" * 10_400_000))

    assert "larger than 10 MB" in page
    assert not Upload.objects.exists()


def test_last_years_answers_stand_under_a_respondent_for_those_who_may_read_them(town, submitted):
    from facts.services.review import accept
    from tests.factories import open_round

    ret = submitted()
    accept([ret], by=town.supervisor)
    next_round = open_round(2027)
    FrameEntry.objects.create(round=next_round, unit=town.units[0], cluster=town.cluster, size=1, prior_employment=5)

    for by, shown in ((town.entry, True), (town.staff, False), (None, False)):
        for ending in (".csv", ".xlsx"):
            content = template_file("UNIT", round_=next_round, cluster=town.cluster, ending=ending, by=by)
            assert [cells["unit"] for _, cells in read_table(content).rows] == [town.units[0].frame_id]
            if ending == ".csv":
                assert ("# last year" in content.decode() and "9000000" in content.decode()) is shown
            else:
                sheet = openpyxl.load_workbook(io.BytesIO(content)).worksheets[0]
                values = [cell.value for row in sheet.iter_rows() for cell in row]
                assert (9_000_000 in values) is shown
    opened = Event.objects.filter(action="return.open", actor=town.entry, object_id=str(ret.pk))
    assert "template" in opened.latest("seq").detail["purpose"]


def test_a_workbook_to_fill_in_has_lists_locks_a_note_and_a_name(town):
    town.round.is_synthetic = True
    town.round.save()
    content = template_file("UNIT", round_=town.round, cluster=town.cluster, ending=".xlsx", by=town.entry)

    book = openpyxl.load_workbook(io.BytesIO(content))
    sheet = book.worksheets[0]

    assert [one.title for one in book] == ["unit", "read me", "what is asked", "codes", "lists", "meta"]
    assert [one.title for one in book if one.sheet_state == "hidden"] == ["lists", "meta"]
    assert sheet.protection.sheet and not sheet.protection.password
    assert sheet["A1"].protection.locked and sheet["B2"].protection.locked
    assert not sheet["C4"].protection.locked
    assert {rule.type for rule in sheet.data_validations.dataValidation} == {"list"}
    sources = [rule.formula1 for rule in sheet.data_validations.dataValidation]
    assert any(source.startswith("=lists!") or source.startswith("lists!") for source in sources)
    read_me = " ".join(str(cell.value) for row in book["read me"].iter_rows() for cell in row if cell.value)
    assert f"{town.round.closes_on:%-d %B %Y}" in read_me and "statistics only" in read_me and "invented" in read_me
    assert town.cluster.name in read_me and "DK" in read_me
    assert dict(book["meta"].values) == {"round": "2026", "schedule": "UNIT", "cluster": town.cluster.code}
    assert "at the scale of the file" in str([cell.value for cell in sheet[2]]) and "PKR" in str(
        [cell.value for cell in sheet[2]]
    )


def test_every_entry_of_a_drop_down_is_read_back(town):
    """What a list offers, the reader takes: no person is refused for choosing."""
    from facts.services.instruments import definition, lookups
    from facts.services.template_writers import Template, _drop_down, _Lists
    from facts.validation import read_answers

    for part in definition("1.0").schedules.values():
        made = Template(
            part, "", [], 2026, 2025, town.cluster.code, "", "PKR", town.round.closes_on, "", False, lookups()
        )
        for question in made.questions:
            lists = _Lists(None)
            source = _drop_down(question, made, lists)
            for text in lists.columns[0] if lists.columns else source:
                reading = read_answers(part, {question.code: text}, lookups=lookups())
                assert not reading.problems, (question.code, text)
                assert question.code in reading.answers or question.code in reading.markers
