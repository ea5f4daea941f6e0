"""Papers and forms through the doors: who gets which, what they hold, and the way back from the field."""

import io
import json
import re

import pytest
from django.conf import settings
from django.core.files.uploadedfile import SimpleUploadedFile
from django.core.management import CommandError, call_command
from django.urls import reverse
from pypdf import PdfReader
from pyxform.xls2xform import convert

from core.audit.models import Event
from facts.models import FieldSubmission, Return
from facts.services import field
from facts.services.drafts import save_answers
from facts.services.reading import draft_of
from facts.services.submission import submit
from tests.factories import OrganisationFactory, Town, open_round, person
from tests.facts.test_xlsform import central_csv, filled, kobo_json

SALES = 12_345_678


def text_of(response) -> str:
    assert response.status_code == 200
    assert response["Content-Disposition"].startswith("attachment;")
    assert response["X-Content-Type-Options"] == "nosniff"
    assert response["Cache-Control"] == "no-store"
    pages = PdfReader(io.BytesIO(response.content)).pages
    return " ".join(" ".join(page.extract_text() for page in pages).split())


def sent(client, content: bytes, round_, name="export.csv", **extra):
    data = {"file": SimpleUploadedFile(name, content), "round": round_.pk, **extra}
    return client.post(reverse("facts:field"), data)


@pytest.fixture
def brought(town):
    """Bring submissions in as the association's entry."""

    def bring(*submissions, by=None, **options):
        content = options.pop("content", None) or central_csv("UNIT", *submissions)
        return field.import_submissions(content, "export.csv", round_=town.round, by=by or town.entry, **options)

    return bring


# --- forms ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("schedule", ["unit", "cluster", "association", "region"])
def test_anybody_may_take_the_blank_forms_of_a_round(town, client, schedule):
    paper = client.get(reverse("facts:form", args=[2026, schedule, "pdf"]))
    form = client.get(reverse("facts:form", args=[2026, schedule, "xlsx"]))

    assert "Our promise." in text_of(paper)
    assert f'filename="facts_{schedule}_2026.xlsx"' in form["Content-Disposition"]
    assert convert(form.content).warnings == []


def test_forms_of_rounds_and_schedules_that_are_not_there_are_not_there(town, client):
    for year, schedule, ending in [(2031, "unit", "pdf"), (2026, "firm", "pdf"), (2026, "unit", "doc")]:
        assert client.get(reverse("facts:form", args=[year, schedule, ending])).status_code == 404


def test_the_form_of_a_cluster_offers_its_units_by_code_to_its_own_people_only(town, door):
    address = reverse("facts:field-form")
    query = {"round": 2026, "schedule": "UNIT", "cluster": town.cluster.code}

    answer = door(town.entry).get(address, query)

    xform = convert(answer.content).xform
    assert all(unit.frame_id in xform for unit in town.units)
    assert f"facts_unit_2026_{town.cluster.code.lower().replace('-', '_')}" in xform
    assert door(Town().entry).get(address, query).status_code == 404
    assert door(town.entry).get(address, {"round": 2026}).status_code == 404
    assert door(town.entry).get(address, query | {"round": "x"}).status_code == 404


def test_the_command_writes_a_form_and_says_what_waits(town, tmp_path, capsys):
    call_command("xlsform", "unit", round=2026, cluster=town.cluster.code, out=tmp_path / "unit.xlsx", checks=True)

    said = capsys.readouterr().out
    assert "UB01-S1 waits for the observatory: it compares with last round." in said
    assert convert((tmp_path / "unit.xlsx").read_bytes()).warnings == []
    for options in ({"round": 2030}, {"round": 2026, "cluster": "XX"}):
        with pytest.raises(CommandError, match="There is no"):
            call_command("xlsform", "unit", out=tmp_path / "x.xlsx", **options)


def test_the_printed_form_of_a_return_shows_last_year_to_who_may_read_it_and_logs_it(town, drafted, door):
    earlier = open_round(2025)
    before = drafted(UC01=SALES, UD07=7_500_000)
    Return.objects.filter(pk=before.pk).update(round=earlier)
    before.refresh_from_db()
    submit_and_accept(before, town)
    ret = drafted()

    text = text_of(door(town.entry).get(reverse("facts:paper", args=[ret.pk])))

    assert town.units[0].frame_id in text
    assert "1,23,45,678" in text
    assert Event.objects.filter(action="return.open", object_id=str(before.pk), actor=town.entry).count() == 1
    # A return that its firm filed by itself last year is not this association's to read.
    Return.objects.filter(pk=before.pk).update(collector=None)
    assert "1,23,45,678" not in text_of(door(town.entry).get(reverse("facts:paper", args=[ret.pk])))


def submit_and_accept(ret, town):
    submit([ret], by=town.head, certified_name="A. Person")
    Return.objects.filter(pk=ret.pk).update(state="accepted")


def test_papers_of_returns_out_of_scope_are_not_there(town, submitted, door):
    ret = submitted()
    stranger, anybody = Town().entry, person("entry", OrganisationFactory())

    for name in ("paper", "receipt", "receipt-answers", "benchmark-paper"):
        address = reverse(f"facts:{name}", args=[ret.pk])
        assert door(stranger).get(address).status_code == 404
        assert door(anybody).get(address).status_code == 404


# --- receipts ---------------------------------------------------------------------------------------


def test_a_receipt_says_what_when_who_and_digest_and_no_answer(town, submitted, door):
    ret = submitted(UC01=SALES)

    text = text_of(door(town.head).get(reverse("facts:receipt", args=[ret.pk])))

    digest = Event.objects.get(action="return.submit", object_id=str(ret.pk)).detail["digest"]
    assert digest in text.replace(" ", "")
    assert digest[:4] + " " + digest[4:8] in text
    assert f"head, {town.association.name}" in text
    assert "UTC" in text
    assert "What happens next" in text
    for spelling in ("12345678", "12,345,678", "1,23,45,678"):
        assert spelling not in text
    assert not Event.objects.filter(action="return.open").exists()


def test_who_certified_is_named_to_who_filed_and_not_to_the_reviewer(town, submitted, door):
    ret = submitted()
    address = reverse("facts:receipt", args=[ret.pk])

    assert "A. Person" in text_of(door(town.head).get(address))
    assert "A. Person" not in text_of(door(town.supervisor).get(address))


def test_answers_stand_on_the_receipt_for_who_gave_them_and_the_opening_is_logged(town, submitted, door):
    ret = submitted(UC01=SALES)
    address = reverse("facts:receipt-answers", args=[ret.pk])

    text = text_of(door(town.head).get(address))

    assert "1,23,45,678" in text
    opened = Event.objects.get(action="return.open", object_id=str(ret.pk))
    assert (opened.actor, opened.detail["purpose"]) == (town.head, "receipt with answers")
    for reviewer in (town.supervisor, person("analyst"), person("auditor")):
        assert door(reviewer).get(address).status_code in (403, 404)
    assert door(town.supervisor).get(reverse("facts:receipt", args=[ret.pk])).status_code == 200


def test_each_version_has_its_receipt_and_others_have_none(town, submitted, door):
    ret = submitted()
    Return.objects.filter(pk=ret.pk).update(state="sent_back")
    ret.refresh_from_db()
    submit([ret], by=town.head, certified_name="A. Person")
    head, address = door(town.head), reverse("facts:receipt", args=[ret.pk])

    first, second = (text_of(head.get(address, {"version": number})) for number in (1, 2))

    assert "Earlier versions" in second
    assert "Earlier versions" not in first
    for number in ("3", "-1", "x", "99999999"):
        assert head.get(address, {"version": number}).status_code == 404
    assert head.get(reverse("facts:receipt-answers", args=[ret.pk]), {"version": 1}).status_code == 404


def test_a_draft_has_no_receipt(town, drafted, door):
    ret = drafted()

    assert door(town.head).get(reverse("facts:receipt", args=[ret.pk])).status_code == 404
    assert door(town.entry).get(reverse("facts:benchmark-paper", args=[ret.pk])).status_code == 404


# --- the way back -----------------------------------------------------------------------------------


def unit_of(town, place=0, **changes):
    return filled(subject=town.units[place].frame_id, **changes)


def test_submissions_become_drafts_under_the_same_checks(town, brought):
    done = brought(unit_of(town), unit_of(town, 1, UB02=13))

    assert (done.outcome.created, done.schedule) == (2, "UNIT")
    assert [str(point.problem.rule) for point in done.outcome.open_points] == ["UB01-H2"]
    ret = Return.objects.get(subject=town.units[0].frame_id)
    assert (ret.channel, ret.state, ret.typed_by) == ("field", "draft", [town.entry.pk])
    assert draft_of(ret)["answers"]["UC01"] == 9_000_000
    assert Event.objects.filter(action="return.import", detail__channel="field").count() == 2


def test_the_same_export_twice_is_one_draft_and_overwrites_no_correction(town, brought):
    brought(unit_of(town))
    ret = Return.objects.get(subject=town.units[0].frame_id)
    save_answers(ret, {"UE04": "80"}, by=town.head, expected_revision=ret.revision)

    again = brought(unit_of(town), unit_of(town, 1))

    assert (again.known, again.outcome.created, again.outcome.updated) == (1, 1, 0)
    assert draft_of(ret)["answers"]["UE04"] == 80
    assert FieldSubmission.objects.count() == 2


def test_an_edited_submission_replaces_what_it_names_and_takes_out_what_it_left_blank(town, brought):
    brought(unit_of(town))

    edited = brought(unit_of(town) | {"UE04": "66", "UE05": "", "UE05_no": "DK", "UE06": ""})

    assert (edited.known, edited.outcome.updated) == (0, 1)
    payload = draft_of(Return.objects.get(subject=town.units[0].frame_id))
    assert payload["answers"]["UE04"] == 66
    assert payload["markers"] == {"UE05": "DK"}
    assert "UE06" not in payload["answers"]
    assert FieldSubmission.objects.count() == 1


def test_a_return_handed_in_since_does_not_stop_the_growing_export(town, brought):
    brought(unit_of(town))
    submit([Return.objects.get()], by=town.head, certified_name="A. Person")

    grown = brought(unit_of(town), unit_of(town, 1))
    changed = brought(unit_of(town) | {"UE04": "66"})

    assert (grown.known, grown.outcome.created) == (1, 1)
    assert [found.problem.rule for found in changed.outcome.refused] == ["return-editable"]


@pytest.mark.parametrize(
    "changes, rule",
    [
        ({"facts_form": "UNIT/2025"}, "submission-round"),
        ({"facts_synthetic": "yes"}, "submission-invented"),
        ({"UB01": "twenty"}, "UB01-type"),
        ({"unit": "PK-NOT-THERE"}, "respondent-known"),
    ],
)
def test_all_of_an_export_or_nothing_is_kept(town, changes, rule):
    content = kobo_json("UNIT", unit_of(town), unit_of(town, 1) | changes)

    done = field.import_submissions(content, "kobo.json", round_=town.round, by=town.entry)

    assert [found.problem.rule for found in done.outcome.refused] == [rule]
    assert not Return.objects.exists()
    assert not FieldSubmission.objects.exists()


def test_two_interviews_of_one_firm_are_told_and_neither_is_kept(town, brought):
    done = brought(unit_of(town), unit_of(town) | {"UE04": "66"})

    (found,) = done.outcome.refused
    assert found.problem.rule == "respondent-once"
    assert "submission 00000001" in str(found)
    assert not Return.objects.exists()


def test_rejected_submissions_and_a_dry_run_keep_nothing(town, brought):
    done = brought(unit_of(town) | {"#state": "rejected"}, unit_of(town, 1), dry_run=True)

    assert (done.rejected, done.outcome.created) == (1, 1)
    assert not Return.objects.exists()
    assert not FieldSubmission.objects.exists()


def test_strangers_learn_nothing_of_a_submission_that_was_brought_in(town, brought):
    brought(unit_of(town))
    stranger = Town().entry

    for content in (central_csv("UNIT", unit_of(town)), central_csv("UNIT", unit_of(town) | {"UE04": "1"})):
        done = brought(content=content, by=stranger)

        assert [found.problem.rule for found in done.outcome.refused] == ["respondent-known"]
        assert done.known == 0


def test_a_workbook_is_read_like_the_rest(town):
    import openpyxl

    book = openpyxl.Workbook()
    fields = {name: text for name, text in unit_of(town).items() if text}
    book.active.append([*fields, "_uuid", "_submission_time"])
    book.active.append([*fields.values(), "abc", "2026-11-02"])
    stream = io.BytesIO()
    book.save(stream)

    done = field.import_submissions(stream.getvalue(), "kobo.xlsx", round_=town.round, by=town.entry)

    assert [str(found) for found in done.outcome.refused] == []
    assert done.outcome.created == 1


def test_the_page_gives_forms_brings_in_and_says_what_it_did(town, door, words):
    entry = door(town.entry)
    page = words(entry.get(reverse("facts:field")))
    assert "XLSForm" in page
    assert town.cluster.name in page

    looked = words(sent(entry, central_csv("UNIT", unit_of(town)), town.round, look="1"))
    assert "1 draft would be made" in looked
    assert not Return.objects.exists()

    kept = words(sent(entry, central_csv("UNIT", unit_of(town)), town.round))
    assert "1 draft made, 0 changed, 0 already here" in kept
    again = words(sent(entry, central_csv("UNIT", unit_of(town)), town.round))
    assert "0 drafts made, 0 changed, 1 already here" in again


@pytest.mark.parametrize(
    "content", [b"", b"name,age\nA,5\n", b"<a>", b"[[[[", b"PK\x03\x04broken", b"\xff\xfe\x00\x01"]
)
def test_a_file_that_is_no_export_is_refused_on_the_page(town, door, words, content):
    answer = sent(door(town.entry), content or b" ", town.round)

    assert answer.status_code == 200
    assert "Nothing was kept" in words(answer)


def test_the_page_refuses_what_it_cannot_take(town, door):
    entry = door(town.entry)

    assert entry.post(reverse("facts:field"), {"round": town.round.pk}).status_code == 400
    assert sent(entry, b"a", town.round, round="999999").status_code == 400
    assert sent(entry, b"a" * 10_000_001, town.round).status_code == 400
    assert door(person("viewer")).get(reverse("facts:field")).status_code == 403


def test_the_command_brings_in_and_tells(town, tmp_path, capsys):
    path = tmp_path / "export.json"
    path.write_bytes(kobo_json("UNIT", unit_of(town)))

    call_command("import_submissions", path, round=2026, username=town.entry.username, dry_run=True)
    assert "1 drafts would be made" in capsys.readouterr().out
    assert not Return.objects.exists()
    call_command("import_submissions", path, round=2026, username=town.entry.username)
    assert "1 drafts made, 0 changed, 0 already here" in capsys.readouterr().out

    path.write_text(json.dumps([{"UB01": "x", "unit": town.units[0].frame_id, "_uuid": "b"}]))
    with pytest.raises(CommandError, match="Nothing was kept"):
        call_command("import_submissions", path, round=2026, username=town.entry.username)
    for options in ({"round": 2030, "username": town.entry.username}, {"round": 2026, "username": "nobody"}):
        with pytest.raises(CommandError, match="There is no"):
            call_command("import_submissions", path, **options)


def test_the_commands_of_the_document_run(town, tmp_path, monkeypatch, capsys):
    text = (settings.BASE_DIR / "docs" / "field-collection.md").read_text()
    lines = re.findall(r"^    \.venv/bin/python manage\.py (.+)$", text, flags=re.M)
    type(town.cluster).objects.filter(pk=town.cluster.pk).update(code="PK-SUR-SKT")
    type(town.entry).objects.filter(pk=town.entry.pk).update(username="demo-entry")
    (tmp_path / "export.csv").write_bytes(central_csv("UNIT", unit_of(town)))
    monkeypatch.chdir(tmp_path)

    for line in lines:
        call_command(*line.split())

    said = capsys.readouterr().out
    assert [line.split()[0] for line in lines] == ["xlsform"] * 2 + ["import_submissions"] * 2
    assert "unit.xlsx: form facts_unit_2026_pk_sur_skt, version 1.0-2026-" in said
    assert "1 drafts made" in said


def test_bringing_in_many_takes_a_fixed_number_of_queries(town, brought, django_assert_max_num_queries):
    brought(unit_of(town))

    with django_assert_max_num_queries(60):
        done = brought(*(unit_of(town, place) for place in range(3)))

    assert done.outcome.created == 2
