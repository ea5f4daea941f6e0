"""Files in: a refused file changes nothing and says row, column, value, rule and mend; the doors speak alike."""

import csv
import io

import openpyxl
import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from django.test.utils import CaptureQueriesContext

from facts.models import FrameEntry, Return, Round
from facts.services.collectors import appoint
from facts.services.contexts import payloads
from facts.services.drafts import save_answers
from facts.services.files import import_file
from facts.services.imports import Row, save_drafts
from facts.services.instruments import schedule
from facts.services.review import accept
from facts.services.submission import submit
from tests.factories import OrganisationFactory, open_round, person
from tests.facts.valid_returns import UNIT


def cells(answers: dict) -> dict[str, str]:
    return {code: ";".join(v) if isinstance(v, list) else str(v) for code, v in answers.items()}


def csv_bytes(*rows: dict[str, str]) -> bytes:
    out = io.StringIO()
    writer = csv.DictWriter(out, fieldnames=list(rows[0]))
    writer.writeheader()
    writer.writerows(rows)
    return out.getvalue().encode()


def xlsx_bytes(*rows: dict[str, str]) -> bytes:
    book = openpyxl.Workbook()
    book.active.append(list(rows[0]))
    for row in rows:
        book.active.append(list(row.values()))
    out = io.BytesIO()
    book.save(out)
    return out.getvalue()


def unit_row(town, number=0, **changes) -> dict[str, str]:
    return {"unit": town.units[number].frame_id, **cells({**UNIT, **changes})}


@pytest.mark.parametrize("make", [csv_bytes, xlsx_bytes])
def test_a_good_file_makes_drafts(town, make):
    outcome = import_file(make(unit_row(town), unit_row(town, 1)), "returns", round_=town.round, by=town.entry)

    assert (outcome.created, outcome.refused) == (2, [])
    assert {ret.state for ret in Return.objects.all()} == {"draft"}
    assert payloads([outcome.returns[0]])[outcome.returns[0].pk]["answers"] == UNIT


def test_the_same_file_again_changes_nothing(town):
    content = csv_bytes(unit_row(town))
    import_file(content, "r.csv", round_=town.round, by=town.entry)
    before = Return.objects.get().revision

    outcome = import_file(content, "r.csv", round_=town.round, by=town.entry)

    assert (outcome.created, outcome.updated, outcome.unchanged) == (0, 0, 1)
    assert Return.objects.get().revision == before


def test_a_file_with_few_columns_erases_nothing(town):
    import_file(csv_bytes(unit_row(town)), "r.csv", round_=town.round, by=town.entry)
    few = csv_bytes({"unit": town.units[0].frame_id, "UB07": "6", "UC04": ""})

    outcome = import_file(few, "r.csv", round_=town.round, by=town.entry)

    assert outcome.updated == 1
    assert payloads(outcome.returns)[outcome.returns[0].pk]["answers"] == {**UNIT, "UB07": 6}


def test_a_line_that_nobody_filled_in_is_no_return(town):
    rows = [unit_row(town), {**dict.fromkeys(unit_row(town), ""), "unit": town.units[1].frame_id}]

    assert import_file(csv_bytes(*rows), "r.csv", round_=town.round, by=town.entry).created == 1


def test_a_dry_run_keeps_nothing(town):
    outcome = import_file(csv_bytes(unit_row(town)), "r.csv", round_=town.round, by=town.entry, dry_run=True)

    assert outcome.created == 1
    assert not Return.objects.exists()


def test_one_bad_value_refuses_the_whole_file_and_names_its_place(town):
    content = csv_bytes(unit_row(town), unit_row(town, 1, UC01="see below"))

    outcome = import_file(content, "r.csv", round_=town.round, by=town.entry)

    assert not Return.objects.exists()
    text = str(outcome.refused[0])
    assert "row 3" in text
    assert "UC01" in text
    assert "see below" in text


def test_a_failed_hard_check_refuses_the_file_unless_told_to_keep(town):
    content = csv_bytes(unit_row(town, UB01=21))

    assert import_file(content, "r.csv", round_=town.round, by=town.entry).refused
    assert not Return.objects.exists()
    kept = import_file(content, "r.csv", round_=town.round, by=town.entry, keep_failing=True)
    assert {p.problem.rule for p in kept.open_points} == {"UB01-H2", "UB01-H3"}
    assert Return.objects.get().state == "draft"


def test_form_file_and_rows_speak_the_same_sentence(town):
    by_file = import_file(csv_bytes(unit_row(town, UB01=21)), "r.csv", round_=town.round, by=town.entry)
    by_rows = save_drafts(
        round_=town.round,
        schedule_code="UNIT",
        rows=[Row(town.units[0].frame_id, {**UNIT, "UB01": 21}, "/returns/0")],
        by=town.entry,
        channel="api",
        keep_failing=True,
    )
    by_form = save_answers(by_rows.returns[0], {"UB01": "21"}, by=town.entry, expected_revision=1)

    sentences = {problem.problem.message for problem in by_file.refused}
    assert sentences == {point.problem.message for point in by_rows.open_points}
    assert sentences == {problem.message for problem in by_form.findings}


def refused(town, content, by=None, **options) -> str:
    outcome = import_file(content, "r.csv", round_=town.round, by=by or town.entry, **options)
    assert outcome.refused
    assert not Return.objects.filter(subject__startswith="PK-TST").exclude(state="accepted").exists()
    return " ".join(str(problem) for problem in outcome.refused)


def test_what_is_foreign_is_answered_like_what_does_not_exist(town):
    from tests.factories import Town

    other = Town()
    foreign = csv_bytes({**unit_row(town), "unit": other.units[0].frame_id})
    unknown = csv_bytes({**unit_row(town), "unit": "PK-NO-0001"})

    assert refused(town, foreign).replace(other.units[0].frame_id, "X") == refused(town, unknown).replace(
        "PK-NO-0001", "X"
    )


def test_a_unit_named_twice_is_refused(town):
    assert "stands here and in row 2" in refused(town, csv_bytes(unit_row(town), unit_row(town)))


def test_a_closed_round_takes_nothing(town):
    town.round.state = "closed"
    town.round.save()

    assert "Round 2026 is closed" in refused(town, csv_bytes(unit_row(town)))


def test_an_accepted_return_is_not_overwritten(town):
    content = csv_bytes(unit_row(town))
    ret = import_file(content, "r.csv", round_=town.round, by=town.entry).returns[0]
    submit([ret], by=town.head, certified_name="A. Person")
    accept([ret], by=town.supervisor)

    outcome = import_file(content, "r.csv", round_=town.round, by=town.entry)

    assert "is accepted" in str(outcome.refused[0])


def test_unknown_columns_and_a_missing_key_are_named(town):
    assert "XX99" in refused(town, csv_bytes({**unit_row(town), "XX99": "1"}))
    row = unit_row(town)
    del row["unit"]
    assert "column “unit” is missing" in refused(town, csv_bytes(row))


def test_the_command_imports_and_refuses(town, tmp_path, capsys):
    good, bad = tmp_path / "good.csv", tmp_path / "bad.csv"
    good.write_bytes(csv_bytes(unit_row(town)))
    bad.write_bytes(csv_bytes(unit_row(town, 1, UB01="many")))

    call_command("import_returns", good, "--round", "2026", "--as", town.entry.username)
    assert "1 drafts made" in capsys.readouterr().out
    with pytest.raises(CommandError, match="Nothing was kept"):
        call_command("import_returns", bad, "--round", "2026", "--as", town.entry.username)
    with pytest.raises(CommandError, match="no active account"):
        call_command("import_returns", good, "--round", "2026", "--as", "nobody")
    with pytest.raises(CommandError, match="No such file"):
        call_command("import_returns", tmp_path / "none.csv", "--round", "2026", "--as", town.entry.username)
    assert Return.objects.count() == 1


def test_the_command_reads_standard_input_and_says_how_far_it_is(town, monkeypatch, capsys):
    class Stdin:
        buffer = io.BytesIO(csv_bytes(unit_row(town), unit_row(town, 1)))

    monkeypatch.setattr("sys.stdin", Stdin)
    monkeypatch.setattr("facts.management.commands.import_returns.EVERY", 2)

    call_command("import_returns", "-", "--round", "2026", "--as", town.entry.username)

    said = capsys.readouterr()
    assert "2 drafts made" in said.out
    assert "2 rows checked" in said.err


def test_only_field_staff_may_say_that_a_firm_was_not_found_or_refused(town):
    from facts.models import Collector

    content = csv_bytes({"unit": town.units[0].frame_id, "UA01": "8"})
    outcome = import_file(content, "r.csv", round_=town.round, by=town.entry)
    assert [p.problem.rule for p in outcome.refused] == ["UA01-staff"]

    Collector.objects.create(round=town.round, cluster=town.cluster, organisation=town.association)
    assert import_file(content, "r.csv", round_=town.round, by=town.entry).created == 1


def test_a_cluster_cannot_take_the_name_of_another_in_its_region(town):
    from tests.factories import ClusterFactory
    from tests.facts.valid_returns import CLUSTER

    other = ClusterFactory(name="Knitwear, Lahore")
    row = {"cluster": town.cluster.code, "CA01": other.name, "CA05": other.region_id}
    assert CLUSTER["CA01"] != other.name

    outcome = import_file(csv_bytes(row), "r.csv", round_=town.round, by=town.staff)

    assert "CA01-H1" in {p.problem.rule for p in outcome.refused}
    assert not import_file(
        csv_bytes({**row, "CA01": town.cluster.name}), "r.csv", round_=town.round, by=town.staff
    ).refused


def test_everything_that_is_wrong_is_said_at_once(town):
    content = csv_bytes(unit_row(town, UC01="twenty"), unit_row(town, 1, UB01=21))

    rules = {p.problem.rule for p in import_file(content, "r.csv", round_=town.round, by=town.entry).refused}

    assert rules == {"UC01-type", "UB01-H2", "UB01-H3"}
    assert not Return.objects.exists()


def test_a_file_of_another_round_or_cluster_says_so(town):
    from tests.factories import Town

    other = Town()
    content = csv_bytes(unit_row(town)).decode()
    for made, rule, words in (
        ("round=2025, schedule=UNIT", "file-round", "made for round 2025; you are sending it for round 2026"),
        (f"cluster={other.cluster.code}", "file-cluster", "which is not among yours"),
        ("cluster=PK-NO-SUCH", "file-cluster", "which is not among yours"),
        ("schedule=REGION", "file-schedule", "made for the region schedule"),
    ):
        outcome = import_file(
            f"# made for {made}\n{content}".encode(), "r.csv", round_=town.round, by=town.entry, dry_run=True
        )
        assert [one.problem.rule for one in outcome.refused] == [rule]
        assert words in outcome.refused[0].problem.message
    made = f"# made for round=2026, schedule=UNIT, cluster={town.cluster.code}\n{content}"
    assert import_file(made.encode(), "r.csv", round_=town.round, by=town.entry).created == 1


def test_a_respondent_named_twice_far_apart_is_found_in_preview_and_import(town, monkeypatch):
    monkeypatch.setattr("facts.services.files.TRIED", 1)
    content = csv_bytes(unit_row(town), unit_row(town, 1), unit_row(town))

    for dry_run in (True, False):
        outcome = import_file(content, "r.csv", round_=town.round, by=town.entry, dry_run=dry_run)
        assert [one.problem.rule for one in outcome.refused] == ["respondent-once"]
        assert not Return.objects.exists()


def test_a_fault_far_down_in_a_file_keeps_all_of_it_out(town):
    content = csv_bytes(unit_row(town), unit_row(town, 1)) + b"x" + b",1" * 150 + b"\n"

    outcome = import_file(content, "r.csv", round_=town.round, by=town.entry)

    assert [one.problem.rule for one in outcome.refused] == ["file-cells"]
    assert outcome.refused[0].place == "row 4"
    assert not Return.objects.exists()


BAD_VALUES = [
    ("UB01", "many"),
    ("UB01", "12.5"),
    ("UB01", "1,2,3"),
    ("UB01", "९९ persons"),
    ("UC01", "see below"),
    ("UC01", "1,00,000.999"),
    ("UC01", "9" * 30),
    ("UC04", "12%"),
    ("UA01", "99"),
    ("UA01", "DK"),
    ("UA03", "nineteen"),
    ("UA05", "14"),
    ("UG03", "maybe"),
    ("UB01", "-5"),
    ("UB01", "21"),
    ("UC04", "140"),
]


@pytest.mark.parametrize(("code", "value"), BAD_VALUES)
def test_a_bad_value_is_told_in_the_same_words_at_every_door(town, code, value):
    """Form, CSV and XLSX; the API's door has its own half of this table in tests/api/test_returns.py."""
    row = {**unit_row(town), code: value}
    of_file = [
        {(p.problem.rule, p.problem.message, p.problem.mend) for p in outcome.refused}
        for outcome in (
            import_file(make(row), "r", round_=town.round, by=town.entry, dry_run=True)
            for make in (csv_bytes, xlsx_bytes)
        )
    ]
    ret = import_file(csv_bytes(unit_row(town)), "r.csv", round_=town.round, by=town.entry).returns[0]

    by_form = save_answers(ret, {code: value}, by=town.entry, expected_revision=ret.revision)

    said = [*by_form.refused, *(p for p in by_form.findings if p.severity == "hard")]
    assert said and of_file[0] == of_file[1] == {(p.rule, p.message, p.mend) for p in said}


# --- last year's figures, to who may read them -----------------------------------------------------


@pytest.fixture
def last_year(town):
    """Last round's accepted returns of the first units, typed by the association, and this round's frame."""
    rows = [Row(unit.frame_id, UNIT, "row") for unit in town.units]
    made = save_drafts(round_=town.round, schedule_code="UNIT", rows=rows, by=town.entry, channel="web").returns
    ids = [ret.pk for ret in made]
    submit(
        list(Return.objects.select_related("round__instrument").filter(pk__in=ids)), by=town.head, certified_name="H"
    )
    Return.objects.filter(pk__in=ids).update(state="locked")
    Round.objects.filter(pk=town.round.pk).update(state="closed")
    new = open_round(town.round.year + 1)
    for unit in town.units:
        FrameEntry.objects.create(round=new, unit=unit, cluster=town.cluster, size=1, prior_employment=5)
    new.before = Return.objects.filter(pk__in=ids)
    return new


def said_of_last_year(round_, town, by, channel="file") -> list[str]:
    """What the report of a file quotes from last year: tenfold figures make every check speak that compares."""
    raw = {code: value * 10 if type(value) is int and value > 99 else value for code, value in UNIT.items()}
    row = Row(town.units[0].frame_id, raw, "row 2")
    outcome = save_drafts(
        round_=round_, schedule_code="UNIT", rows=[row], by=by, channel=channel, keep_failing=True, dry_run=True
    )
    assert not outcome.refused
    compared = [one.problem.message for one in outcome.open_points if one.problem.rule in COMPARED]
    assert compared  # the check itself speaks to everybody
    return [message for message in compared if "last round =" in message]


COMPARED = {code for code, check in schedule("1.0", "UNIT").checks.items() if check.expression.prev_names}


def test_a_report_quotes_last_year_to_who_typed_it_and_to_nobody_else(last_year, town):
    assert said_of_last_year(last_year, town, town.entry)
    assert not said_of_last_year(last_year, town, person("client", town.association), "api")

    last_year.before.update(collector=None)  # its firm filed it over its own link
    assert not said_of_last_year(last_year, town, town.entry)
    last_year.before.update(shared_with=town.association)
    assert said_of_last_year(last_year, town, town.entry)


def test_another_collector_reads_nothing_of_what_last_years_typed(last_year, town):
    institute = OrganisationFactory()
    newcomer = person("entry", institute)
    appoint(last_year, town.cluster, institute, by=town.supervisor, reason="It visits every workshop.")

    assert not said_of_last_year(last_year, town, newcomer)


def test_who_may_read_last_year_is_asked_once_a_part(last_year, town):
    def cost(n):
        rows = [Row(unit.frame_id, {"UA01": 1}, f"row {unit.pk}") for unit in town.units[:n]]
        with CaptureQueriesContext(connection) as queries:
            save_drafts(round_=last_year, schedule_code="UNIT", rows=rows, by=town.entry, channel="file", dry_run=True)
        return len(queries)

    cost(1)
    assert cost(1) == cost(3)
