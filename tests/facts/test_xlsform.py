"""Forms for phones: what ODK accepts, what agrees with our own checks, what comes back as it was typed."""

import csv
import io
import json
import re
import shutil
from datetime import date
from functools import cache

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lxml import etree
from pyxform.xls2xform import convert

from facts.expressions import MISSING, parse
from facts.validation import Context, Lookups, asked, check, read_answers
from facts.xlsform import names
from facts.xlsform.export import build, workbook
from facts.xlsform.expressions import Untranslatable, condition
from facts.xlsform.records import RecordProblem, of_table, read_records
from facts.xlsform.submissions import looks_like_submissions, read_submissions, schedule_of, submissions_of
from tests.facts.valid_returns import INSTRUMENT, RETURNS

LISTINGS = {
    "isic4": {"1410": "Wearing apparel", "1312": "Weaving", "1420": "Fur", "1430": "Knitwear", "3250": "Instruments"},
    "hs4": {"6204": "Suits", "6206": "Blouses", "9018": "Instruments"},
    "iso3166_2": {"IN-UP": "Uttar Pradesh", "PK-PB": "Punjab"},
}
SCHEDULES = list(INSTRUMENT.schedules)
TODAY = date(2026, 11, 2)
TEST = settings(max_examples=120, deadline=None)


@cache
def form(code: str, listed: bool = True, **options):
    return build(INSTRUMENT, INSTRUMENT.schedule(code), year=2026, listings=LISTINGS if listed else None, **options)


@pytest.mark.parametrize("listed", [True, False], ids=["lists", "typed"])
@pytest.mark.parametrize("code", SCHEDULES)
def test_odk_takes_every_schedule_without_a_warning(code, listed):
    made = form(code, listed)

    answer = convert(workbook(made), validate=False)

    assert answer.warnings == []
    assert f'id="{made.id}"' in answer.xform
    assert made.id == f"facts_{code.lower()}_2026"
    questions = set(INSTRUMENT.schedule(code).questions)
    assert questions == {row.get("name") for row in made.survey} & questions


@pytest.mark.skipif(not shutil.which("java"), reason="ODK's own validator needs Java, which is not here")
@pytest.mark.parametrize("code", SCHEDULES)
def test_odk_s_own_validator_reads_every_schedule(code):
    assert convert(workbook(form(code)), validate=True).warnings == []


def test_equal_forms_are_equal_bytes_and_another_content_is_another_version():
    assert workbook(form("UNIT")) == workbook(form("UNIT"))
    assert form("UNIT").version != form("UNIT", is_synthetic=True).version
    assert form("UNIT").version.startswith("1.0-2026-")


@pytest.mark.parametrize("code", SCHEDULES)
def test_every_check_is_judged_somewhere_and_the_form_says_where(code):
    made = form(code)
    schedule = INSTRUMENT.schedule(code)

    assert [placed.check.code for placed in made.placements] == list(schedule.checks)
    assert {placed.where for placed in made.placements} <= {"constraint", "warning", "list", "server"}
    assert all(placed.reason for placed in made.placements if placed.where == "server")
    for placed in made.placements:
        reads = placed.check.expression.names - set(schedule.questions) - {"ref_year", "today"}
        if not placed.check.expression.prev_names and not reads and "unique" not in placed.check.expression.text:
            assert placed.where != "server" or code == "CLUSTER", placed.check.code


def test_a_firm_reads_the_promise_first_and_the_telephone_gives_nothing_of_itself():
    made = form("UNIT", is_synthetic=True)
    shown = [row for row in made.survey if row.get("label")]

    assert "statistics only" in shown[1]["label"]
    assert shown[0]["type"] == "begin group"
    types = {row["type"].partition(" ")[0] for row in made.survey}
    assert types.isdisjoint({"deviceid", "phonenumber", "username", "email", "simserial", "geopoint", "audit", "image"})
    assert any("invented" in row.get("label", "") for row in made.survey)
    assert not any("invented" in row.get("label", "") for row in form("UNIT").survey)


# --- the phone and the observatory agree ------------------------------------------------------------


class Phone:
    """The form's own XPath over one filled form, evaluated by libxml2: an evaluator that is not ours."""

    def __init__(self, made, answers, scale=1):
        schedule = next(one for one in INSTRUMENT.schedules.values() if made.id.startswith(f"facts_{one.code.lower()}"))
        self.root = etree.Element("data")
        self.questions, self.rows = schedule.questions, {row["name"]: row for row in made.survey if row.get("name")}
        for name in self.rows:
            etree.SubElement(self.root, name).text = ""
        if names.SCALE in self.rows:
            self.root.find(names.SCALE).text = str(scale)
        for code, value in answers.items():
            self.root.find(code).text = self.typed(schedule.questions[code], value, scale)

    def typed(self, question, value, scale):
        if isinstance(value, list):
            return " ".join(map(str, value)) or "none"
        if question.takes_scale:
            value = value / scale
        return str(value)

    def judge(self, expression, node="."):
        text = re.sub(r"\$\{(\w+)\}", r"/data/\1", expression)
        extensions = {
            (None, name): function
            for name, function in {
                "selected": lambda _, nodes, code: code in one(nodes).split(),
                "count-selected": lambda _, nodes: float(len(one(nodes).split())),
                "abs": lambda _, value: abs(number(value)),
                "if": lambda _, condition, yes, no: yes if condition else no,
                "today": lambda _: TODAY.isoformat(),
                "decimal-date-time": lambda _, value: (
                    float(date.fromisoformat(one(value)).toordinal()) if one(value) else float("nan")
                ),
            }.items()
        }
        found = etree.XPathEvaluator(self.root.find(node) if node != "." else self.root, extensions=extensions)(text)
        return bool(found)

    def relevant(self):
        """Codes of the questions shown, from top to bottom: what is hidden is blank to all that follows."""
        shown = []
        for code in self.questions:
            rule = self.rows[code].get("relevant")
            if not rule or self.judge(rule):
                shown.append(code)
            else:
                self.root.find(code).text = ""
        return shown

    def refused(self, code):
        rule = self.rows[code].get("constraint")
        return bool(rule and self.root.find(code).text and not self.judge(rule, code))


def one(nodes) -> str:
    return nodes if isinstance(nodes, str) else "".join(node.text or "" for node in nodes[:1])


def number(value) -> float:
    if isinstance(value, list):
        return float(one(value) or "nan")
    return float(value)


def an_answer(question):
    """Answers near the edges of the checks, and far from them."""
    if question.kind == "yesno":
        return st.sampled_from([0, 1])
    if question.kind == "choice":
        return st.sampled_from([option.code for option in question.options])
    if question.kind == "multi":
        least = 1 if question.option_set.has_none else 0
        return st.lists(st.sampled_from([o.code for o in question.options]), min_size=least, max_size=4, unique=True)
    if question.kind in ("code", "multicode"):
        codes = st.sampled_from(sorted(LISTINGS[question.listing]))
        return codes if question.kind == "code" else st.lists(codes, min_size=1, max_size=3, unique=True)
    if question.kind == "date":
        return st.dates(date(2015, 1, 1), date(2027, 12, 31)).map(lambda day: day.isoformat())
    if question.kind == "text":
        return st.text("abc ", min_size=1, max_size=20).map(str.strip).filter(bool)
    small = st.integers(-1, 30)
    if question.unit == "year":
        return st.integers(1700, 2030)
    if question.kind == "integer":
        return small | st.integers(0, 3000)
    cents = st.integers(-100, 40_000).map(lambda cents: cents / 100)
    return (small | cents | st.integers(0, 10**6)).map(lambda value: value + 0)


def returns_of(code):
    schedule = INSTRUMENT.schedule(code)
    sound = RETURNS[code]

    @st.composite
    def draw(draw):
        """A sound return with some answers changed, and some left out."""
        answers = {c: v for c, v in sound.items() if c in schedule.questions}
        # Answers that stand together in a check move together, or hardly any check would ever speak.
        for c in draw(st.lists(st.sampled_from(list(schedule.questions)), max_size=12, unique=True)):
            value = draw(st.none() | an_answer(schedule.questions[c]))
            answers.pop(c, None)
            if value is not None:
                answers[c] = value
        return answers

    return draw()


def judged_here(schedule, answers):
    context = Context(ref_year=2025, today=TODAY, lookups=Lookups(isic4=LISTINGS["isic4"], hs4=LISTINGS["hs4"]))
    codes = asked(schedule, answers, context)
    spoken = {problem.rule for problem in check(schedule, answers, {}, context)}
    return codes, spoken


@pytest.mark.parametrize("code", SCHEDULES)
@given(data=st.data())
@TEST
def test_the_phone_asks_refuses_and_warns_as_the_observatory_does(code, data):
    answers = data.draw(returns_of(code))
    schedule, made = INSTRUMENT.schedule(code), form(code)
    phone = Phone(made, answers)

    codes, spoken = judged_here(schedule, answers)

    assert phone.relevant() == codes
    for placed in made.placements:
        rule = placed.check.code
        if placed.where == "warning":
            assert phone.judge(phone.rows[names.explanation_name(rule)]["relevant"]) == (rule in spoken), rule
    limits = {"CA01", "CA03", "CA04", "CH06", "CH07"}  # carry what reading refuses, beside the checks
    by_question = {}
    for placed in made.placements:
        if placed.where == "constraint":
            by_question.setdefault(placed.on, []).append(placed.check.code)
    for question, rules in by_question.items():
        if question in codes and question not in limits:
            assert phone.refused(question) == bool(spoken & set(rules)), (question, rules)


@given(data=st.data(), scale=st.sampled_from([1000, 100_000, 1_000_000]))
@TEST
def test_money_in_thousands_or_lakh_is_judged_as_the_same_money(data, scale):
    answers = data.draw(returns_of("UNIT"))
    for code, question in INSTRUMENT.schedule("UNIT").questions.items():
        if question.takes_scale and code in answers:
            answers[code] = round(answers[code]) * scale
    made = form("UNIT")
    phone = Phone(made, answers, scale)

    codes, spoken = judged_here(INSTRUMENT.schedule("UNIT"), answers)

    assert phone.relevant() == codes
    for placed in made.placements:
        if placed.where == "warning":
            shown = phone.judge(phone.rows[names.explanation_name(placed.check.code)]["relevant"])
            assert shown == (placed.check.code in spoken), placed.check.code


LANGUAGE = [
    "UB01 / UB02 > 2",
    "UB01 / (UB02 - UB03) <= 1 or UB04 > 3",
    "-UB01 < UB02 - 4",
    "UC01 > 1000 and UC02 >= 0.5",
    "UC01 == 70",
    "near(UC01, UC02 + 1, 0.1)",
    "max(0, UC06) + min(UB01, UB02, 3) >= UB03",
    "ans(UB01 / UB02) and UB03 > 2",
    "not(ans(UC01)) or UB01 in (1, 2, 3)",
    "UA01 not in (3, 4) and not(UJ01 == 'power')",
    "UJ01 in ('power', 'water') or UJ01 != 'road'",
    "0 < UB01 < UB02 <= 20",
    "UB01 == UB02",
    "abs(UB01 - UB02) > 2",
    "count(UG02) > 1 and has(UG02, 'prod')",
    "subset(UG02, UG02) and ref_year - UB01 > 2000",
    "UA05 == '1410'",
]
READ = ["UA01", "UA05", "UB01", "UB02", "UB03", "UB04", "UC01", "UC02", "UC06", "UG02", "UJ01"]


@pytest.mark.parametrize("text", LANGUAGE)
@given(data=st.data(), scale=st.sampled_from([1, 1000]))
@TEST
def test_the_language_means_the_same_on_the_phone(text, data, scale):
    schedule = INSTRUMENT.schedule("UNIT")
    few = {code: st.none() | an_answer(schedule.questions[code]) for code in READ}
    few |= {code: st.none() | st.integers(-1, 5) for code in READ if code.startswith("UB")}
    few |= {
        code: st.none() | st.sampled_from([0, 0.07, 0.5, 1, 2, 70, 1000, 2000]) for code in ("UC01", "UC02", "UC06")
    }
    answers = {code: value for code, value in data.draw(st.fixed_dictionaries(few)).items() if value is not None}
    expression = parse(text)
    phone = Phone(form("UNIT"), answers, scale)

    value = expression.value(answers, Context(ref_year=2025, today=TODAY))
    said = condition(expression, schedule, ref_year=2025, scaled=True, listed=frozenset())

    assert phone.judge(said.when_true) == (value is not MISSING and bool(value))
    assert phone.judge(said.unless_false) == (value is MISSING or bool(value))


@pytest.mark.parametrize(
    "text, why",
    [
        ("prev(UB01) > 2", "compares with last round"),
        ("UB01 > RC03", "compares with RC03 of another schedule"),
        ("UB01 > frame_count", "compares with the list of units"),
        ("UA05 in cluster_isic", "compares with the activities of the cluster"),
        ("unique(UA05 + UJ01)", "compares with other records"),
        ("UA05 < '2000'", "orders texts"),
        ("coalesce(UB01, 1) > 0", "chooses among answers"),
        ("UB01 + 1", "is not a condition"),
    ],
)
def test_what_a_phone_cannot_judge_is_left_to_the_observatory_with_a_reason(text, why):
    with pytest.raises(Untranslatable, match=why):
        condition(parse(text), INSTRUMENT.schedule("UNIT"), ref_year=2025, scaled=True, listed=frozenset())


def test_the_evaluator_of_these_tests_sees_a_false_check():
    """The properties above can fail: a sum that does not add up is refused on the last question it reads."""
    phone = Phone(form("UNIT"), {**RETURNS["UNIT"], "UB02": 13})
    sound = Phone(form("UNIT"), RETURNS["UNIT"])

    assert [code for code in phone.questions if phone.refused(code)] == ["UB03"]
    assert [code for code in sound.questions if sound.refused(code)] == []


# --- submissions ------------------------------------------------------------------------------------


def filled(code="UNIT", subject="PK-TST-00001", scale=1, markers=None, explanations=None, **changes) -> dict:
    """What a phone holds of a filled form: field → text, by the names of the form."""
    phone = Phone(form(code), {**RETURNS[code], **changes}, scale)
    inside = groups(code)
    fields = {element.tag: element.text or "" for element in phone.root if element.tag in inside}
    for question, marker in (markers or {}).items():
        fields[question] = ""
        fields[names.reason_name(question)] = marker
    for rule, words in (explanations or {}).items():
        fields[names.explanation_name(rule)] = words
    fields[names.KEYS[code]] = subject
    fields[names.FORM] = f"{code}/2026"
    return fields


def groups(code) -> dict[str, str]:
    """Which group each field of a form lies in."""
    found, inside = {}, ""
    for row in form(code).survey:
        if row["type"] == "begin group":
            inside = row["name"]
        elif row["type"] == "end group":
            inside = ""
        else:
            found[row["name"]] = inside
    return found


def central_csv(code, *submissions, split=False) -> bytes:
    """As ODK Central exports: groups before the names, server columns around."""
    inside = groups(code)
    stream = io.StringIO()
    writer = csv.writer(stream)
    paths = {name: f"{inside[name]}-{name}" if inside[name] else name for name in inside}
    multi = {c: q for c, q in INSTRUMENT.schedule(code).questions.items() if q.kind == "multi"} if split else {}
    options = [(c, str(o.code)) for c, q in multi.items() for o in q.options]
    head = ["SubmissionDate", *paths.values(), *(f"{paths[c]}/{o}" for c, o in options), "meta-instanceID", "KEY"]
    writer.writerow([*head, "SubmitterName", "DeviceID", "ReviewState", "FormVersion"])
    for n, fields in enumerate(submissions, start=1):
        uuid = fields.get("#uuid", f"uuid:{n:08d}-0000-4000-8000-000000000000")
        ticks = [str(int(o in fields[c].split())) for c, o in options]
        cells = [fields.get(name, "") for name in paths]
        state = fields.get("#state", "")
        writer.writerow(["2026-11-02T09:00:00.000Z", *cells, *ticks, uuid, uuid, "A", "", state, "1.0-2026"])
    return stream.getvalue().encode()


def kobo_csv(code, *submissions, separate=True) -> bytes:
    """As KoboToolbox exports with XML values: semicolons, slashes, one column an option."""
    inside = groups(code)
    paths = {name: f"{inside[name]}/{name}" if inside[name] else name for name in inside}
    multi = {c: q for c, q in INSTRUMENT.schedule(code).questions.items() if q.kind == "multi"}
    stream = io.StringIO()
    writer = csv.writer(stream, delimiter=";", quoting=csv.QUOTE_ALL)
    columns = []
    for name in paths:
        if name not in multi or not separate:
            columns.append((paths[name], name, ""))
        if name in multi:
            columns += [(f"{paths[name]}/{o.code}", name, str(o.code)) for o in multi[name].options]
    writer.writerow([*(title for title, *_ in columns), "_id", "_uuid", "_submission_time", "_validation_status"])
    for n, fields in enumerate(submissions, start=1):
        cells = [str(int(o in fields[name].split())) if o else fields.get(name, "") for _, name, o in columns]
        writer.writerow([*cells, n, f"{n:08d}-0000", "2026-11-02T09:00:00", fields.get("#state", "")])
    return stream.getvalue().encode()


def kobo_labels(code, *submissions) -> bytes:
    """As KoboToolbox exports in English, with group names."""
    schedule, inside = INSTRUMENT.schedule(code), groups(code)
    rows = {row["name"]: row for row in form(code).survey if row.get("name")}
    stream = io.StringIO()
    writer = csv.writer(stream, delimiter=";")
    heads = {n: f"{rows[inside[n]]['label']}/{rows[n].get('label', n)}" if inside[n] else n for n in inside}
    heads[names.KEYS[code]] = names.KEYS[code]
    writer.writerow([*heads.values(), "_uuid", "_submission_time"])
    words = {"1": "Yes", "0": "No"}
    for fields in submissions:
        cells = []
        for name in heads:
            text, question = fields.get(name, ""), schedule.questions.get(name)
            if question is not None and question.option_set is not None:
                labels = {str(option.code): option.label for option in question.options}
                text = " ".join(labels[part] for part in text.split())
            elif question is not None and question.kind == "yesno":
                text = words.get(text, "")
            elif question is not None and question.listing and text:
                text = " ".join(f"{one} · {LISTINGS[question.listing][one]}" for one in text.split())
            elif name.endswith("_no"):
                text = names.MARKER_LABELS.get(text, "")
            cells.append(text)
        writer.writerow([*cells, "abc", "2026-11-02"])
    return stream.getvalue().encode()


def kobo_json(code, *submissions) -> bytes:
    inside = groups(code)
    found = [
        {(f"{inside[name]}/{name}" if inside.get(name) else name): text for name, text in fields.items() if text}
        | {"_id": n, "meta/instanceID": f"uuid:{n:08d}", "_uuid": f"{n:08d}"}
        for n, fields in enumerate(submissions, start=1)
    ]
    return json.dumps({"count": len(found), "results": found}).encode()


def odata(code, *submissions) -> bytes:
    inside, found = groups(code), []
    for n, fields in enumerate(submissions, start=1):
        nested = {"__id": f"uuid:{n:08d}", "__system": {"reviewState": fields.get("#state") or None}}
        for name, text in fields.items():
            question = INSTRUMENT.schedule(code).questions.get(name)
            is_number = question is not None and question.kind in ("integer", "decimal", "money", "percent") and text
            value = (float(text) if "." in text else int(text)) if is_number else text or None
            (nested.setdefault(inside[name], {}) if inside.get(name) else nested)[name] = value
        found.append(nested)
    return json.dumps({"value": found}).encode()


def xml(code, fields) -> bytes:
    inside = groups(code)
    root = etree.Element("data", id=form(code).id, version=form(code).version)
    for name, text in fields.items():
        if name.startswith("#"):
            continue
        group = inside.get(name)
        parent = root.find(group) if group else root
        parent = parent if parent is not None else etree.SubElement(root, group)
        etree.SubElement(parent, name).text = text
    etree.SubElement(etree.SubElement(root, "meta"), "instanceID").text = "uuid:00000001"
    return etree.tostring(root)


EXPORTS = {
    "central.csv": central_csv,
    "central-split.csv": lambda code, *subs: central_csv(code, *subs, split=True),
    "kobo.csv": kobo_csv,
    "kobo-both.csv": lambda code, *subs: kobo_csv(code, *subs, separate=False),
    "kobo-labels.csv": kobo_labels,
    "kobo.json": kobo_json,
    "odata.json": odata,
    "instance.xml": xml,
}


def understood(code, content, name="export"):
    schedule = INSTRUMENT.schedule(code)
    return submissions_of(read_records(content, name), schedule)


@pytest.mark.parametrize("code", SCHEDULES)
@pytest.mark.parametrize("export", EXPORTS)
def test_what_was_typed_on_the_phone_comes_back_whole(code, export):
    schedule = INSTRUMENT.schedule(code)
    content = EXPORTS[export](code, filled(code))

    (found,) = understood(code, content)
    reading = read_answers(schedule, {c: text for c, text in found.raw.items() if text})

    assert reading.problems == []
    assert reading.answers == RETURNS[code]
    assert found.subject == "PK-TST-00001"
    assert found.instance
    assert found.stamp == f"{code}/2026"
    assert schedule_of(read_records(content, "x"), INSTRUMENT.schedules) is schedule


@pytest.mark.parametrize("export", EXPORTS)
def test_reasons_for_blanks_become_markers_and_explanations_stay_with_their_check(export):
    fields = filled(markers={"UB08": "DK", "UF02": "REF"}, explanations={"UC06-S1": "Stocks were sold off."})

    (found,) = understood("UNIT", EXPORTS[export]("UNIT", fields))

    assert (found.raw["UB08"], found.raw["UF02"]) == ("DK", "REF")
    assert found.explanations == {"UC06-S1": "Stocks were sold off."}


def test_an_answer_wins_over_a_reason_that_was_left_behind():
    (found,) = understood("UNIT", central_csv("UNIT", filled() | {"UB07_no": "DK"}))

    assert found.raw["UB07"] == str(RETURNS["UNIT"]["UB07"])


@pytest.mark.parametrize("typed, scale, stored", [("1.2E7", 1, 12_000_000), ("90", 100_000, 9_000_000)])
@pytest.mark.parametrize("export", ["central.csv", "kobo.csv", "instance.xml"])
def test_amounts_of_phones_are_read_at_scale_one(export, typed, scale, stored):
    """JavaRosa writes decimals of ten million and more as 1.2E7."""
    fields = filled() | {"UC01": typed, names.SCALE: str(scale)}

    (found,) = understood("UNIT", EXPORTS[export]("UNIT", fields))

    assert read_answers(INSTRUMENT.schedule("UNIT"), {"UC01": found.raw["UC01"]}).answers == {"UC01": stored}


def test_a_scale_that_no_form_offers_is_refused():
    with pytest.raises(RecordProblem, match="row 2: 70 is none of the units"):
        understood("UNIT", central_csv("UNIT", filled() | {names.SCALE: "70"}))


def test_rejected_submissions_are_known_as_such():
    states = ["rejected", "approved", "hasIssues", ""]
    central = understood("UNIT", central_csv("UNIT", *(filled() | {"#state": state} for state in states)))
    kobo = understood("UNIT", kobo_csv("UNIT", filled() | {"#state": "validation_status_not_approved"}, filled()))

    assert [one.is_rejected for one in central] == [True, False, False, False]
    assert [one.is_rejected for one in kobo] == [True, False]
    table = read_submissions(
        central_csv("UNIT", filled(), filled() | {"#state": "rejected"}), "x", INSTRUMENT.schedule("UNIT")
    )
    assert len(table.rows) == 1
    assert table.header[0] == "unit"


def test_a_blank_on_the_phone_is_a_blank_of_the_answer():
    """An edited submission takes an answer out again."""
    for export in ("central.csv", "kobo.json", "instance.xml"):
        (found,) = understood("UNIT", EXPORTS[export]("UNIT", filled() | {"UE05": ""}))

        assert found.raw["UE05"] == ""


@pytest.mark.parametrize(
    "content, says",
    [
        (b"", "is empty"),
        (b"PK\x03\x04", "packed file"),
        (b"\xff\xfe\x00", "not UTF-8"),
        (b"[" * 100_000, "not sound JSON"),
        (b'{"a": NaN', "not sound JSON"),
        (b"[1, 2]", "no list of submissions"),
        (b"a,a\n1,2\n", "stands there twice"),
        (b'a,b\n"1,2\n', "quotation mark"),
        (b"a,b\n1,2,3\n", "more cells than headings"),
        (b"<data><UB01>1</UB01>", "not a sound submission"),
        (b'<!DOCTYPE a [<!ENTITY b "c">]><data><UB01>&b;</UB01></data>', "not a sound submission"),
        (b'<!DOCTYPE a SYSTEM "file:///etc/passwd"><data/>', "not a sound submission"),
        (b",".join(b"c%d" % n for n in range(900)) + b"\n", "more than a form can have"),
        (b"a" * 10_000_001, "larger than 10 MB"),
    ],
)
def test_what_is_no_export_is_refused_in_words(content, says):
    with pytest.raises(RecordProblem, match=says):
        schedule_of(read_records(content, "export.csv"), INSTRUMENT.schedules)


def test_an_export_of_another_form_is_refused():
    with pytest.raises(RecordProblem, match="No column is a question of FACTS"):
        schedule_of(read_records(b"name,age\nA,5\n", "x.csv"), INSTRUMENT.schedules)


@given(st.binary(max_size=300) | st.text(max_size=200).map(lambda text: text.encode("utf-8", "ignore")))
@settings(max_examples=200, deadline=None)
def test_any_bytes_are_read_or_refused(content):
    try:
        records = read_records(content, "x")
        found = submissions_of(records, INSTRUMENT.schedule("UNIT"))
    except RecordProblem:
        return
    for one_of_them in found:
        read_answers(INSTRUMENT.schedule("UNIT"), one_of_them.raw)


def test_a_table_of_a_server_is_told_from_our_template():
    header = next(csv.reader(io.StringIO(central_csv("UNIT").decode())))
    kobo = next(csv.reader(io.StringIO(kobo_csv("UNIT").decode()), delimiter=";"))

    assert looks_like_submissions(header)
    assert looks_like_submissions(kobo)
    assert not looks_like_submissions(["unit", *INSTRUMENT.schedule("UNIT").questions, "explain:UB01-S1"])
    table = of_table(["unit", "UB-UB01", "KEY", "SubmissionDate"], [(2, {"unit": "A", "UB-UB01": "5", "KEY": "u"})])
    assert submissions_of(table, INSTRUMENT.schedule("UNIT"))[0].raw == {"UB01": "5"}
