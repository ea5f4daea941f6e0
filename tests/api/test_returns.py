"""The door for returns: drafts only, all or nothing, and the sentences of form and file."""

import pytest

from core.audit.models import Event
from facts.models import Return
from facts.services.contexts import payloads
from facts.services.files import import_file
from facts.services.review import accept
from facts.services.submission import submit
from tests.factories import Town, person
from tests.facts.test_imports import BAD_VALUES, csv_bytes, unit_row
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
    assert (first.pop("status"), again.json()["status"]) == ("created", "unchanged")
    assert {name: value for name, value in again.json().items() if name != "status"} == first


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


@pytest.mark.parametrize("answers", [{code: value} for code, value in BAD_VALUES])
def test_the_door_speaks_as_the_file_does(town, post, answers):
    row = {code: str(value) for code, value in answers.items()}
    by_file = import_file(csv_bytes({**unit_row(town), **row}), "r.csv", round_=town.round, by=town.entry)
    response = post(body(town, answers=answers))

    assert response.status_code == 400
    said = [(one["code"], one["detail"], one["mend"]) for one in response.json()["errors"]]
    assert said == [(one.problem.rule, one.problem.message, one.problem.mend) for one in by_file.refused]
    assert {one["pointer"] for one in response.json()["errors"]} >= {f"#/answers/{code}" for code in answers}
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

    with django_assert_max_num_queries(60):  # a fixed number, whatever the count of returns
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


# --- a list taken in part -------------------------------------------------------------------------


def test_of_a_list_the_good_are_taken_and_of_the_others_it_is_said_why(town, post):
    foreign = Town().units[0].frame_id
    ret = import_file(csv_bytes(unit_row(town, 2)), "r.csv", round_=town.round, by=town.entry).returns[0]
    submit([ret], by=town.head, certified_name="A. Person")
    entries = [
        entry(town),
        entry(town, 1, UB01="many"),
        {"subject": foreign, "answers": {"UB01": 1}},
        entry(town, 2),
        entry(town),
        {**entry(town, 1), "explanations": {"NO-S1": "because of it"}},
    ]

    response = post(batch(town, *entries) | {"partial": True})

    found = response.json()
    assert response.status_code == 207
    assert [(one["subject"], one["status"]) for one in found["returns"]] == [(town.units[0].frame_id, "created")]
    assert (found["created"], found["updated"], found["unchanged"]) == (1, 0, 0)
    told = {one["pointer"]: (one["status"], one["errors"][0]["code"]) for one in found["refused"]}
    assert told == {
        "#/returns/1": (400, "UB01-type"),
        "#/returns/2": (400, "respondent-known"),
        "#/returns/3": (409, "return-editable"),
        "#/returns/4": (400, "respondent-once"),
        "#/returns/5": (400, "unknown-rule"),
    }
    problem = found["refused"][0]["errors"][0]
    assert (problem["pointer"], problem["question"]) == ("#/returns/1/answers/UB01", "UB01")
    assert problem["detail"] and problem["mend"]
    assert Return.objects.filter(channel="api").count() == 1


def test_in_part_nothing_foreign_is_told_and_a_dry_run_keeps_nothing(town, post):
    response = post(batch(town, entry(town), entry(town, 1, UB01="many")) | {"partial": True, "dry_run": True})

    assert response.status_code == 207
    assert response.json()["returns"][0]["id"] is None
    assert not Return.objects.exists()


def test_in_part_a_list_without_fault_answers_like_any_other(town, post):
    response = post(batch(town, entry(town), entry(town, 1)) | {"partial": True})

    assert (response.status_code, response.json()["refused"]) == (201, [])
    assert post(body(town, partial=True)).json()["errors"][0]["pointer"] == "#/partial"


def test_in_part_a_closed_round_is_still_a_conflict(town, post):
    town.round.state = "closed"
    town.round.save()

    assert errors(post(batch(town, entry(town)) | {"partial": True}), 409) == {("#/round", "round-open")}


def test_more_faults_than_are_told_one_by_one_keep_none_of_the_bad(town, post):
    extra = Town(units=60)
    user = person("client", extra.association)
    bad = dict.fromkeys(UNIT, "?")
    entries = [
        {"subject": unit.frame_id, "answers": UNIT if number % 10 == 0 else bad}
        for number, unit in enumerate(extra.units)
    ]

    found = post(batch(extra, *entries) | {"partial": True}, user=user).json()

    assert (len(found["returns"]), len(found["refused"])) == (6, 54)
    assert all(one["errors"] for one in found["refused"])
    assert Return.objects.count() == 6


# --- PATCH with If-Match --------------------------------------------------------------------------


@pytest.fixture
def patch(api, client_user):
    def send(ret, body, tag=None, user=client_user):
        extra = {"HTTP_IF_MATCH": tag} if tag is not None else {}
        return api(user).patch(f"{ADDRESS}{ret.pk}/", body, format="json", **extra)

    return send


def answers_of(ret) -> dict:
    ret.refresh_from_db()
    return payloads([ret])[ret.pk]["answers"]


def test_a_patch_changes_what_it_names_for_who_saw_the_newest(town, post, api, patch, client_user):
    posted = post(body(town))
    ret = Return.objects.get()
    read = api(client_user).get(posted["Location"])
    assert posted["ETag"] == '"1"' and read["ETag"].startswith('"1-')

    changed = patch(ret, {"answers": {"UC01": 8_000_000}}, read["ETag"])

    assert (changed.status_code, changed.json()["revision"], changed["ETag"]) == (200, 2, '"2"')
    assert answers_of(ret) == {**UNIT, "UC01": 8_000_000}
    late = patch(ret, {"answers": {"UC01": 1}}, read["ETag"])
    assert (late.status_code, late["ETag"]) == (412, '"2"')
    assert late.json()["errors"][0]["code"] == "saved-since"
    assert answers_of(ret)["UC01"] == 8_000_000
    assert patch(ret, {"answers": {"UB07": 6}}, changed["ETag"]).status_code == 200
    assert patch(ret, {"answers": {"UB07": 7}}, "*").status_code == 200


def test_a_patch_without_if_match_or_with_a_weak_or_strange_one_is_refused(town, post, patch):
    post(body(town))
    ret = Return.objects.get()

    assert patch(ret, {"answers": {"UB07": 6}}).status_code == 428
    for tag in ('W/"1"', '"nonsense"', "1", '"99999999999999999999"'):
        assert patch(ret, {"answers": {"UB07": 6}}, tag).status_code == 412
    assert answers_of(ret) == UNIT


def test_a_patch_is_held_to_the_rules_of_every_door(town, post, patch):
    post(body(town))
    ret = Return.objects.get()

    bad = patch(ret, {"answers": {"UB01": 21}}, '"1"')
    assert bad.status_code == 400
    assert {one["code"] for one in bad.json()["errors"]} == {"UB01-H2", "UB01-H3"}
    assert patch(ret, {"answers": {"UB07": 6}, "state": "accepted"}, '"1"').status_code == 400
    assert patch(ret, {"answers": {"UB07": 6}, "dry_run": True}, '"1"')["ETag"] == '"1"'
    assert answers_of(ret) == UNIT
    submit([ret], by=town.head, certified_name="A. Person")
    assert patch(ret, {"answers": {"UB07": 6}}, '"1"').status_code == 409


def test_a_foreign_draft_is_not_there(town, post, patch):
    post(body(town))
    ret = Return.objects.get()

    stranger = person("client", Town().association)
    assert patch(ret, {"answers": {}}, '"1"', user=stranger).status_code == 404
    assert patch(ret, {"answers": {}}, '"1"', user=person("auditor")).status_code == 403


# --- receipts and the chain -----------------------------------------------------------------------


def test_a_receipt_and_the_chain_of_versions_are_there_to_read(town, post, api, client_user):
    from facts.services.review import send_back

    address = post(body(town)).json()["url"]
    ret = Return.objects.get()
    assert api(client_user).get(f"{address}receipt/").status_code == 404
    assert api(client_user).get(address).json()["versions"] == []
    submit([ret], by=town.head, certified_name="A. Person")
    first = api(client_user).get(f"{address}receipt/").json()
    ret.refresh_from_db()
    send_back(ret, by=town.supervisor, reason="Please look at sales again.")
    post(body(town, answers={"UC01": 8_000_000}))
    ret.refresh_from_db()
    submit([ret], by=town.head, certified_name="A. Person")

    second = api(client_user).get(f"{address}receipt/").json()
    versions = api(client_user).get(address).json()["versions"]

    assert (first["version"], second["version"], second["supersedes"]) == (1, 2, 1)
    assert first["digest"] != second["digest"] and len(first["digest"]) == 64
    assert [(one["number"], one["digest"], one["why"], one["superseded_by"], one["is_last"]) for one in versions] == [
        (1, first["digest"], "", 2, False),
        (2, second["digest"], "sent back", None, True),
    ]
    assert (
        second["first_submitted_at"] == first["submitted_at"] or second["first_submitted_at"] < second["submitted_at"]
    )
    assert "8000000" not in str([first, second, versions]) and "sales" not in str(versions)
    stranger = person("client", Town().association)
    assert api(stranger).get(f"{address}receipt/").status_code == 404


# --- whom a client may file for, and how often ----------------------------------------------------


def test_a_client_finds_the_frame_numbers_it_may_file_for_and_nothing_else(town, api, client_user):
    Town()
    found = api(client_user).get(f"/api/v1/units/?cluster={town.cluster.code}").json()["results"]

    assert {one["frame_id"] for one in found} == {unit.frame_id for unit in town.units}
    assert set(found[0]) == {"frame_id", "cluster", "is_synthetic"}
    assert len(api(client_user).get("/api/v1/units/").json()["results"]) == 3
    for field in ("sector=14", "registered=true", "member=true"):
        assert api(client_user).get(f"/api/v1/units/?{field}").status_code == 403
    assert "start_year" in api(town.head).get("/api/v1/units/").json()["results"][0]


def test_the_limit_of_an_hour_is_announced_and_held(town, post, api, client_user, settings):
    settings.RETURN_REQUESTS_PER_HOUR = 2

    first, second, third = (post(body(town)) for _ in range(3))

    assert first["RateLimit-Policy"] == '"returns";q=2;w=3600'
    assert [answer["RateLimit"].split(";")[1] for answer in (first, second, third)] == ["r=1", "r=0", "r=0"]
    assert (second.status_code, third.status_code) == (200, 429)
    assert 0 < int(third["Retry-After"]) <= 3600
    assert third["Content-Type"] == "application/problem+json"
    assert post(body(town), user=town.head).status_code == 200  # another account has its own
    assert api(client_user).get(ADDRESS).status_code == 200  # reading is not counted
