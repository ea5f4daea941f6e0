"""Saving as one types: every field by itself, whoever else is typing, and nothing typed is ever lost."""

import json
import threading

import pytest
from django.db import connection
from django.urls import reverse

from core.audit.models import Event
from facts.models import FrameEntry, Return
from facts.services.drafts import Clash, save_answers, save_fields
from facts.services.imports import Row, save_drafts
from facts.services.reading import draft_of, history_of, left_off
from facts.services.submission import submit
from tests.factories import Town, open_round, person
from tests.facts.valid_returns import RETURNS

EDITORS = 64


@pytest.fixture
def post(door):
    """Send what entry.js sends."""

    def send(user, ret, answers=None, was=None, client=None, **more):
        body = {"revision": ret.revision, "scale": ret.scale, "answers": answers or {}, "was": was or {}} | more
        return (client or door(user)).post(
            reverse("facts:answers", args=[ret.pk]), json.dumps(body), content_type="application/json"
        )

    return send


@pytest.fixture
def last_year(town, drafted):
    """Make last round's accepted return of the first unit."""

    def make(**changes):
        open_round(2025)
        FrameEntry.objects.create(
            round=open_round(2025), unit=town.units[0], cluster=town.cluster, size=1, prior_employment=5
        )
        outcome = save_drafts(
            round_=open_round(2025),
            schedule_code="UNIT",
            rows=[Row(town.units[0].frame_id, {**RETURNS["UNIT"], **changes}, "row 2")],
            by=town.entry,
            channel="file",
            keep_failing=True,
        )
        ret = outcome.returns[0]
        submit([ret], by=town.head, certified_name="A. Person")
        Return.objects.filter(pk=ret.pk).update(state="locked")
        return ret

    return make


def test_a_field_is_stored_and_the_page_is_told_what_changed(town, drafted, post):
    ret = drafted(UB08="")

    answer = post(town.entry, ret, {"UB08": "31"}, {"UB08": ""})

    found = answer.json()
    assert answer.status_code == 200
    assert found["saved"] == ["UB08"] and found["refused"] == []
    assert found["revision"] == 2 and found["fields"]["UB08"]["text"] == "31"
    assert "UB08" in found["asked"] and found["points"] == 0
    assert draft_of(ret)["answers"]["UB08"] == 31


def test_a_value_that_cannot_be_read_is_refused_by_itself(town, drafted, post):
    ret = drafted()

    found = post(
        town.entry, ret, {"UC01": "about nine", "UC02": "9,00,000"}, {"UC01": "90,00,000", "UC02": "10,00,000"}
    )

    found = found.json()
    assert [one["question"] for one in found["refused"]] == ["UC01"]
    assert "“about nine” is not a number." in found["refused"][0]["message"]
    assert found["saved"] == ["UC02"] and found["fields"]["UC02"]["text"] == "9,00,000"
    assert draft_of(ret)["answers"]["UC01"] == 9_000_000


def test_routing_comes_with_the_answer(town, drafted, post):
    ret = drafted()

    closed = post(town.entry, ret, {"UA01": "4"}, {"UA01": "1"}).json()
    opened = post(town.entry, ret, {"UA01": "1"}, {"UA01": "4"}).json()

    assert "UB01" not in closed["asked"] and "UB01" in opened["asked"]
    assert {"code": "UB", "asked": 0}.items() <= next(p for p in closed["sections"] if p["code"] == "UB").items()


def test_fields_of_two_people_both_stay_and_the_same_field_shows_both_values(town, drafted, post):
    ret = drafted()
    save_answers(ret, {"UC04": "33", "UB08": "55"}, by=town.head, expected_revision=ret.revision)

    apart = post(town.entry, ret, {"UB04": "3"}, {"UB04": "2"})
    same = post(town.entry, ret, {"UB08": "44", "UB05": "12"}, {"UB08": "30", "UB05": "13"})

    assert apart.status_code == 200
    assert same.status_code == 412
    [conflict] = same.json()["conflicts"]
    assert (conflict["question"], conflict["mine"], conflict["theirs"]) == ("UB08", "44", "55")
    assert conflict["by"].startswith("head")
    kept = draft_of(ret)["answers"]
    assert (kept["UC04"], kept["UB08"], kept["UB04"], kept["UB05"]) == (33, 55, 3, 13)
    assert post(town.entry, ret, {"UB08": "44"}, {"UB08": "55"}).status_code == 200


def test_the_same_save_sent_twice_is_stored_once(town, drafted, post):
    ret = drafted()

    first = post(town.entry, ret, {"UB08": "44"}, {"UB08": "30"}).json()
    again = post(town.entry, ret, {"UB08": "44"}, {"UB08": "30"})

    assert again.status_code == 200 and again.json()["revision"] == first["revision"]
    assert Event.objects.filter(action="return.save").count() == 1


def test_money_is_compared_at_the_scale_of_the_page(town, drafted, post):
    ret = drafted()
    save_answers(ret, {}, by=town.head, expected_revision=ret.revision, scale=1000)

    answer = post(town.entry, ret, {"UC01": "95,00,000"}, {"UC01": "90,00,000"}, scale=1).json()

    assert answer["scale"] == 1000 and answer["fields"]["UC01"]["text"] == "9500"
    assert draft_of(ret)["answers"]["UC01"] == 9_500_000


def test_same_as_last_year_is_an_answer_and_typing_anew_takes_it_back(town, drafted, post, last_year):
    last_year(UC01=8_000_000)
    ret = drafted(UC01="")

    found = post(town.entry, ret, {"UC01": "80,00,000"}, {"UC01": ""}, confirmed=["UC01"]).json()

    assert found["fields"]["UC01"]["confirmed"] and found["fields"]["UC01"]["change"] == "same"
    assert draft_of(ret)["confirmed"] == ["UC01"]
    post(town.entry, ret, {"UC01": "80,00,001"}, {"UC01": "80,00,000"})
    assert draft_of(ret)["confirmed"] == []
    post(town.entry, ret, {"UC01": "70,00,000"}, {"UC01": "80,00,001"}, confirmed=["UC01"])
    assert draft_of(ret)["confirmed"] == []  # it is not what was said last year


def test_without_scripts_the_button_answers_as_last_year(town, door, drafted, last_year, words):
    last_year(UC01=8_000_000)
    ret = drafted(UC01="")
    client, address = door(town.entry), reverse("facts:section", args=[ret.pk, "UC"])
    assert "Same as last year" in words(client.get(address))

    answer = client.post(address, {"codes": "UC01", "scale": 1, "was:UC01": "", "UC01": "", "same": "UC01"})

    assert answer.url == address + "#id_UC01"
    assert draft_of(ret)["answers"]["UC01"] == 8_000_000 and draft_of(ret)["confirmed"] == ["UC01"]
    assert "confirmed unchanged" in words(client.get(address))


def test_an_explanation_is_saved_and_a_colleagues_is_not_overwritten(town, drafted, post):
    ret = drafted("ASSOCIATION", AA05=70)

    post(town.entry, ret, explanations={"AA05-S1": "Seventy by statute."}, was={"AA05-S1": ""})
    clash = post(town.head, ret, explanations={"AA05-S1": "Because so."}, was={"AA05-S1": ""})

    assert clash.status_code == 412
    assert clash.json()["conflicts"][0]["theirs"] == "Seventy by statute."
    assert draft_of(ret)["explanations"] == {"AA05-S1": "Seventy by statute."}


def test_staff_only_answers_and_foreign_codes_are_refused(town, drafted, post):
    ret = drafted()

    found = post(town.entry, ret, {"UA01": "7", "ZZ99": "1"}, {"UA01": "1"}).json()

    assert sorted(one["question"] for one in found["refused"]) == ["UA01", "ZZ99"]
    assert draft_of(ret)["answers"]["UA01"] == 1


def test_a_return_handed_in_meanwhile_says_why_it_takes_nothing(town, drafted, post):
    ret = drafted()
    submit([ret], by=town.head, certified_name="A. Person")

    answer = post(town.entry, ret, {"UB08": "44"}, {"UB08": "30"})

    assert answer.status_code == 409 and "handed in" in answer.json()["message"]


def test_strangers_signed_out_people_and_colleagues_on_ones_page_save_nothing(town, drafted, post, door, client):
    ret = drafted()
    address = reverse("facts:answers", args=[ret.pk])

    assert post(None, ret, {"UB08": "44"}, client=client).status_code == 401
    assert post(person("entry", town.agency), ret, {"UB08": "44"}).status_code == 404
    assert post(town.supervisor, ret, {"UB08": "44"}).status_code == 404
    taken = door(town.head).post(
        address, json.dumps({"answers": {"UB08": "44"}}), content_type="application/json", headers={"X-Person": "0"}
    )
    assert taken.status_code == 401
    assert draft_of(ret)["answers"]["UB08"] == 30


@pytest.mark.parametrize(
    "body", ["", "[]", "{", '{"answers": []}', '{"answers": {"UB08": 5}}', '{"scale": 7}', '{"confirmed": {}}']
)
def test_a_request_out_of_shape_is_refused(town, drafted, door, body):
    address = reverse("facts:answers", args=[drafted().pk])

    assert door(town.entry).post(address, body, content_type="application/json").status_code == 422


def test_staying_signed_in_is_one_small_request(town, drafted, door):
    found = door(town.entry).get(reverse("facts:answers", args=[drafted().pk])).json()

    assert 3 * 3600 - 60 < found["seconds_left"] <= 3 * 3600 and found["token"]


def test_a_save_costs_few_queries(town, drafted, door, post, django_assert_max_num_queries):
    ret, client = drafted(), door(town.entry)
    post(town.entry, ret, {"UB08": "44"}, {"UB08": "30"}, client=client)

    with django_assert_max_num_queries(32):
        assert post(town.entry, ret, {"UB08": "45"}, {"UB08": "44"}, client=client).status_code == 200


def test_many_saves_are_one_line_of_history_and_the_place_is_remembered(town, drafted):
    ret = drafted()
    for code, text in (("UB08", "44"), ("UC04", "41"), ("UC05", "11")):
        save_fields(ret, {code: text}, {code: {"UB08": "30", "UC04": "40", "UC05": "10"}[code]}, by=town.entry, scale=1)

    lines = history_of(ret, for_user=town.entry, with_openings=True, with_fields=True)

    assert [line["text"] for line in lines if line["title"].startswith("Answers saved")] == ["UB08, UC04, UC05"]
    assert left_off(ret, by=town.entry).section.code == "UC"
    assert left_off(ret, by=town.head) is None


# --- Sixty-four people at once ----------------------------------------------------------------------


@pytest.fixture
def real_connections(transactional_db, tmp_path):
    """Let every thread have a connection of its own. SQLite's database in memory is copied into a file for it."""
    if connection.vendor != "sqlite":
        yield
        return
    connection.ensure_connection()
    memory, name = connection.connection, connection.settings_dict["NAME"]
    import sqlite3

    with sqlite3.connect(tmp_path / "db.sqlite3") as file:
        memory.backup(file)
    file.close()
    connection.connection = None
    connection.settings_dict["NAME"] = str(tmp_path / "db.sqlite3")
    yield
    connection.connection.close()
    connection.settings_dict["NAME"] = name
    connection.connection = memory


def at_once(act) -> list:
    """Run `act(place)` in sixty-four threads that start together; what each returned, or the clash it met."""
    told: list = [None] * EDITORS
    ready = threading.Barrier(EDITORS)

    def run(place):
        try:
            ready.wait(60)
            told[place] = act(place)
        except Clash as clash:
            told[place] = clash
        finally:
            connection.close()

    threads = [threading.Thread(target=run, args=(place,)) for place in range(EDITORS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    return told


def fresh(pk) -> Return:
    return Return.objects.with_subjects().select_related("round__instrument", "cluster__country").get(pk=pk)


def test_sixty_four_editors_of_one_return_lose_nothing(real_connections):
    town = Town()
    ret = save_drafts(
        round_=town.round,
        schedule_code="ASSOCIATION",
        rows=[Row(f"{town.cluster.code}/{town.association.slug}", {}, "the form")],
        by=town.entry,
        channel="web",
    ).returns[0]
    wanted = {code: value for code, value in RETURNS["ASSOCIATION"].items() if isinstance(value, int)}
    codes = list(wanted)
    seen = [fresh(ret.pk) for _ in range(EDITORS)]  # everybody opens the return before anybody saves
    explained = EDITORS - min(EDITORS, len(codes))

    def act(place):
        # More editors than questions: the others write explanations, each to a rule of its own.
        if place < len(codes):
            code = codes[place]
            return save_fields(seen[place], {code: str(wanted[code])}, {code: ""}, by=town.entry, scale=1)
        rule = f"{codes[place % len(codes)]}-S{place}"
        return save_fields(seen[place], {}, {}, by=town.entry, scale=1, explanations={rule: f"by editor {place}"})

    told = at_once(act)

    payload = draft_of(ret)
    assert [one for one in told if one is None or isinstance(one, Clash)] == []
    assert {code: payload["answers"].get(code) for code in codes[:EDITORS]} == {c: wanted[c] for c in codes[:EDITORS]}
    assert len(payload["explanations"]) == explained
    assert fresh(ret.pk).revision - ret.revision == EDITORS


def test_of_sixty_four_editors_of_one_field_one_wins_and_the_others_see_both_values(real_connections):
    town = Town()
    ret = save_drafts(
        round_=town.round,
        schedule_code="UNIT",
        rows=[Row(town.units[0].frame_id, RETURNS["UNIT"], "the form")],
        by=town.entry,
        channel="web",
        keep_failing=True,
    ).returns[0]
    seen = [fresh(ret.pk) for _ in range(EDITORS)]

    told = at_once(
        lambda place: save_fields(seen[place], {"UB08": str(100 + place)}, {"UB08": "30"}, by=town.entry, scale=1)
    )

    stored = draft_of(ret)["answers"]["UB08"]
    clashes = {place: one for place, one in enumerate(told) if isinstance(one, Clash)}
    assert len(clashes) == EDITORS - 1 and None not in told
    assert stored - 100 not in clashes
    assert all(one.fields == {"UB08": (str(100 + place), str(stored))} for place, one in clashes.items())
