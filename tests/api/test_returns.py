"""The door for returns: drafts only, all or nothing, and the sentences of form and file."""

import pytest

from core.audit.models import Event
from facts.models import Return
from facts.services.contexts import payloads
from facts.services.files import import_file
from facts.services.review import accept
from facts.services.submission import submit
from tests.factories import Town, person
from tests.facts.test_imports import csv_bytes, unit_row
from tests.facts.valid_returns import ASSOCIATION, UNIT

ADDRESS = "/api/v1/returns/"


@pytest.fixture
def client_user(town):
    return person("client", town.association)


@pytest.fixture
def post(api, client_user):
    def send(body, user=client_user, **extra):
        return api(user).post(ADDRESS, body, format="json", **extra)

    return send


def body(town, number=0, *, answers=None, **changes) -> dict:
    return {
        "round": 2026,
        "schedule": "UNIT",
        "subject": town.units[number].frame_id,
        "answers": {**UNIT, **(answers or {})},
    } | changes


def batch(town, *entries) -> dict:
    return {"round": 2026, "schedule": "UNIT", "returns": list(entries)}


def entry(town, number=0, **answers) -> dict:
    return {"subject": town.units[number].frame_id, "answers": {**UNIT, **answers}}


def test_a_good_return_becomes_a_draft(town, post, client_user):
    response = post(body(town))

    ret = Return.objects.get()
    found = response.json()
    assert response.status_code == 201
    assert (found["id"], found["state"], found["revision"]) == (ret.pk, "draft", 1)
    assert found["url"] == response["Location"] == f"http://testserver/api/v1/returns/{ret.pk}/"
    assert found["page"] == f"http://testserver/workspace/returns/{ret.pk}/"
    assert found["open_points"] == []
    assert (ret.channel, ret.collector, ret.typed_by) == ("api", town.association, [client_user.pk])
    assert payloads([ret])[ret.pk]["answers"] == UNIT
    assert Event.objects.filter(action="return.import").count() == 1


def test_what_was_posted_can_be_read_back_as_a_header(town, post, api, client_user):
    found = post(body(town)).json()

    header = api(client_user).get(found["url"]).json()
    assert (header["subject"], header["state"], header["channel"]) == (town.units[0].frame_id, "draft", "api")
    assert "answers" not in header


def test_the_same_body_again_changes_nothing(town, post):
    first = post(body(town)).json()
    again = post(body(town))

    assert again.status_code == 200
    assert again.json() == first


def test_a_second_body_replaces_the_draft(town, post):
    post(body(town))
    response = post(body(town, answers={"UC01": 8_000_000}))

    assert (response.status_code, response.json()["revision"]) == (200, 2)
    assert Return.objects.count() == 1


def test_a_dry_run_keeps_nothing_and_says_the_same(town, post):
    response = post(body(town, dry_run=True))

    assert response.status_code == 200
    assert (response.json()["id"], response.json()["url"], response.json()["state"]) == (None, None, "draft")
    assert not Return.objects.exists()
    assert post(body(town, answers={"UB01": 21}, dry_run=True)).status_code == 400


def test_missing_answers_and_soft_checks_come_back_as_open_points(town, post):
    answers = {code: value for code, value in UNIT.items() if code != "UC01"}
    found = post({**body(town), "answers": answers}).json()

    missing = next(point for point in found["open_points"] if point["code"] == "UC01-required")
    assert (missing["pointer"], missing["severity"]) == ("#/answers/UC01", "hard")
    assert missing["detail"]
    assert missing["mend"]
    assert found["answered"] < found["asked"]


def test_an_explained_soft_check_is_no_open_point(town, post):
    posted = body(town, answers={"UD03": 0})
    codes = {(one["code"], one["severity"]) for one in post(posted).json()["open_points"]}
    assert codes == {("UD03-S1", "soft")}

    found = post({**posted, "explanations": {"UD03-S1": "A second shift began in May."}}).json()

    assert found["open_points"] == []
    ret = Return.objects.get()
    assert payloads([ret])[ret.pk]["explanations"] == {"UD03-S1": "A second shift began in May."}


def test_the_scale_multiplies_money(town, post):
    money = {code: UNIT[code] // 1000 for code in ("UB09", "UC01", "UC02", "UC03", "UC06", "UD01", "UD04", "UD05")}
    money |= {code: UNIT[code] // 1000 for code in ("UD06", "UD07", "UE01", "UE02", "UF02", "UG01")}
    response = post(body(town, answers=money, scale=1000))

    ret = Return.objects.get()
    assert response.status_code == 201, response.content
    assert ret.scale == 1000
    assert payloads([ret])[ret.pk]["answers"]["UC01"] == UNIT["UC01"]


def test_other_schedules_come_in_too(town, post):
    subject = f"{town.cluster.code}/{town.association.slug}"
    response = post({"round": 2026, "schedule": "ASSOCIATION", "subject": subject, "answers": ASSOCIATION})

    assert response.status_code == 201, response.content
    assert Return.objects.get().organisation == town.association


def test_a_list_is_taken_whole(town, post):
    response = post(batch(town, entry(town), entry(town, 1)))

    found = response.json()
    assert response.status_code == 201
    assert (found["created"], found["updated"], found["unchanged"]) == (2, 0, 0)
    assert [ret["subject"] for ret in found["returns"]] == [unit.frame_id for unit in town.units[:2]]


def test_one_bad_return_refuses_the_list(town, post):
    response = post(batch(town, entry(town), entry(town, 1, UB01="many"), entry(town, 2)))

    assert response.status_code == 400
    assert [one["pointer"] for one in response.json()["errors"]] == ["#/returns/1/answers/UB01"]
    assert not Return.objects.exists()


@pytest.mark.parametrize("answers", [{"UB01": 21}, {"UC01": "see below"}, {"UB09": "1,2,3"}, {"UG03": "maybe"}])
def test_the_door_speaks_as_the_file_does(town, post, answers):
    row = {code: str(value) for code, value in answers.items()}
    by_file = import_file(csv_bytes({**unit_row(town), **row}), "r.csv", round_=town.round, by=town.entry)
    response = post(body(town, answers=answers))

    assert response.status_code == 400
    said = [(one["code"], one["detail"], one["mend"]) for one in response.json()["errors"]]
    assert said == [(one.problem.rule, one.problem.message, one.problem.mend) for one in by_file.refused]
    assert {one["pointer"] for one in response.json()["errors"]} == {f"#/answers/{code}" for code in answers}
    assert not Return.objects.exists()


def errors(response, status=400) -> set[tuple[str, str]]:
    assert response.status_code == status, response.content
    assert response["Content-Type"] == "application/problem+json"
    assert not Return.objects.filter(channel="api").exists()
    return {(one["pointer"], one["code"]) for one in response.json()["errors"]}


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"round": 1999}, ("#/round", "round-known")),
        ({"round": "soon"}, ("#/round", "invalid")),
        ({"round": True}, ("#/round", "invalid")),
        ({"schedule": "FIRM"}, ("#/schedule", "invalid_choice")),
        ({"scale": 7}, ("#/scale", "invalid_choice")),
        ({"scale": True}, ("#/scale", "invalid_choice")),
        ({"scale": [1]}, ("#/scale", "invalid_choice")),
        ({"answers": [1]}, ("#/answers", "not_a_dict")),
        ({"answers": None}, ("#/answers", "null")),
        ({"subject": ["x"]}, ("#/subject", "invalid")),
        ({"subject": "x" * 121}, ("#/subject", "max_length")),
        ({"explanations": {"UB01-S1": ["x"]}}, ("#/explanations/UB01-S1", "invalid")),
        ({"explanations": {"NO/SUCH": "because of it"}}, ("#/explanations/NO~1SUCH", "unknown-rule")),
        ({"explanations": {"UB01-H2": "because of it"}}, ("#/explanations/UB01-H2", "unknown-rule")),
        ({"state": "submitted"}, ("#/state", "unknown_key")),
        ({"id": 1}, ("#/id", "unknown_key")),
        ({"typed_by": []}, ("#/typed_by", "unknown_key")),
        ({"channel": "web"}, ("#/channel", "unknown_key")),
        ({"returns": []}, ("#/returns", "min_length")),
        ({"returns": [{"subject": "x", "answers": {}}]}, ("#/subject", "not_both")),
        ({"dry_run": "perhaps"}, ("#/dry_run", "invalid")),
    ],
)
def test_what_is_not_right_in_the_body_is_pointed_at(town, post, change, expected):
    assert expected in errors(post({**body(town), **change}))


def test_a_list_is_checked_entry_by_entry(town, post):
    found = errors(post(batch(town, entry(town), {"subject": "x", "answer": {}})))

    assert found == {("#/returns/1/answer", "unknown_key")}
    assert ("#/returns", "not_a_list") in errors(post({**batch(town), "returns": {}}))
    assert errors(post([1])) == {("#", "invalid")}
    assert errors(post({"round": 2026, "schedule": "UNIT"})) == {
        ("#/subject", "required"),
        ("#/answers", "required"),
    }


@pytest.mark.parametrize("value", [{"a": 1}, [[1]], 10**60, 1.5, "\u202e1", "x" * 3000])
def test_no_value_breaks_the_door(town, post, value):
    assert ("#/answers/UB01", "UB01-type") in errors(post(body(town, answers={"UB01": value})))


def test_an_unknown_question_is_named(town, post):
    assert errors(post(body(town, answers={"XX/99": 1}))) == {("#/answers/XX~199", "unknown-question")}


def without(response, subject) -> str:
    return response.content.decode().replace(subject, "X")


def test_a_foreign_subject_is_answered_like_an_unknown_one(town, post):
    foreign = Town().units[0].frame_id
    answers = [post(body(town, subject=subject)) for subject in (foreign, "PK-NO-0001")]

    assert errors(answers[0]) == {("#/subject", "respondent-known")}
    assert without(answers[0], foreign) == without(answers[1], "PK-NO-0001")


def test_a_subject_named_twice_is_refused(town, post):
    assert errors(post(batch(town, entry(town), entry(town)))) == {("#/returns/1/subject", "respondent-once")}


def test_a_closed_round_is_a_conflict(town, post):
    town.round.state = "closed"
    town.round.save()

    assert errors(post(body(town)), 409) == {("#/round", "round-open")}


@pytest.mark.parametrize("then", ["submitted", "accepted"])
def test_a_return_handed_in_is_a_conflict(town, post, then):
    ret = import_file(csv_bytes(unit_row(town)), "r.csv", round_=town.round, by=town.entry).returns[0]
    submit([ret], by=town.head, certified_name="A. Person")
    if then == "accepted":
        accept([ret], by=town.supervisor)

    assert errors(post(body(town)), 409) == {("#/subject", "return-editable")}
    ret.refresh_from_db()
    assert (ret.state, ret.revision) == (then, 1)


def test_who_may_send(town, post, api):
    assert post(body(town), user=None).status_code == 401
    for role in ("viewer", "auditor", "admin"):
        assert post(body(town), user=person(role)).status_code == 403
    for user in (town.staff, person("analyst")):
        assert post(body(town), user=user).status_code == 400  # agency and cell fill other schedules
    assert post(body(town), user=town.head).status_code == 201


def test_a_token_of_an_ended_account_is_refused(town, post, client_user):
    client_user.is_active = False
    client_user.save()

    assert post(body(town)).status_code == 401


def test_a_session_needs_its_csrf_token(town):
    from rest_framework.test import APIClient

    browser = APIClient(enforce_csrf_checks=True)
    browser.force_login(town.entry)

    response = browser.post(ADDRESS, body(town), format="json")
    assert (response.status_code, response["Content-Type"]) == (403, "application/problem+json")
    assert not Return.objects.exists()


def test_a_draft_of_an_invented_round_carries_the_mark(town, post):
    town.round.is_synthetic = True
    town.round.save()

    assert post(body(town)).json()["is_synthetic"] is True
    assert Return.objects.get().is_synthetic


def test_a_post_takes_no_query_string(town, post, api, client_user):
    response = api(client_user).post(f"{ADDRESS}?dry_run=true", body(town), format="json")

    assert response.status_code == 400
    assert response.json()["errors"][0]["parameter"] == "dry_run"


def test_many_returns_cost_no_more_queries_a_piece(town, post, django_assert_max_num_queries):
    extra = Town(units=40)
    user = person("client", extra.association)
    entries = [{"subject": unit.frame_id, "answers": UNIT} for unit in extra.units]

    with django_assert_max_num_queries(45):
        assert post(batch(extra, *entries), user=user).status_code == 201


def test_of_a_foreign_return_neither_state_nor_reading_is_told(town, post):
    other = Town()
    ret = import_file(csv_bytes(unit_row(other)), "r.csv", round_=town.round, by=other.entry).returns[0]
    submit([ret], by=other.head, certified_name="A. Person")
    unknown = post(body(town, subject="PK-NO-0001"))

    for subject, answers in ((ret.subject, {}), (other.units[1].frame_id, {"UB01": "many"})):
        answer = post(body(town, subject=subject, answers=answers))
        assert answer.status_code == unknown.status_code == 400
        assert without(answer, subject) == without(unknown, "PK-NO-0001")
