"""Filling a return in: what is right is kept, what is wrong comes back, and nobody's work is lost."""

import re
import time

import pytest
from django.test import Client
from django.urls import reverse

from core.audit.models import Event
from facts.forms import typed
from facts.models import Return
from facts.services import links
from facts.services.collectors import appoint
from facts.services.drafts import save_answers
from facts.services.instruments import schedule
from facts.services.reading import draft_of, open_for
from facts.services.review import send_back
from facts.services.submission import NotSubmittable, submit
from tests.factories import OrganisationFactory, open_round, person


def section(ret, code: str) -> str:
    return reverse("facts:section", args=[ret.pk, code])


def sent(ret, changes: dict, was: dict | None = None, **more) -> dict:
    """What the form of a block sends: the changed fields, with what the page showed before."""
    questions = schedule("1.0", ret.schedule).questions
    stored = draft_of(ret)["answers"]
    body = {"revision": ret.revision, "scale": ret.scale, "codes": " ".join(changes)}
    for code, text in changes.items():
        body[code] = text
        body[f"was:{code}"] = (was or {}).get(code, typed(questions[code], stored.get(code), ret.scale))
    return body | more


def asked_on(response) -> list[str]:
    """The questions that a block's page asks; those it holds ready for scripts are hidden."""
    page = response.content.decode()
    boxes = re.findall(r'<div class="question"\s+data-question="(\w+)"[^>]*?( hidden)?>', page)
    shown = [code for code, hidden in boxes if not hidden]
    assert re.search(r'name="codes" value="([^"]*)"', page)[1].split() == shown
    return shown


def test_saving_keeps_what_is_right_and_gives_back_what_is_wrong(town, door, drafted, words):
    ret = drafted()

    answer = door(town.entry).post(section(ret, "UC"), sent(ret, {"UC01": "about nine", "UC02": "900,000"}))

    assert answer.status_code == 200
    page = words(answer)
    assert 'value="about nine"' in page
    assert "“about nine” is not a number." in page and 'href="#id_UC01"' in page
    assert draft_of(ret)["answers"]["UC02"] == 900_000
    assert draft_of(ret)["answers"]["UC01"] == 9_000_000


def test_what_the_page_showed_and_was_left_alone_is_not_written_again(town, door, drafted):
    ret = drafted()

    answer = door(town.entry).post(section(ret, "UC"), sent(ret, {"UC01": "9,000,000"}))

    ret.refresh_from_db()
    assert answer.status_code == 302
    assert ret.revision == 1


def test_a_hard_failure_is_shown_in_the_validators_words_and_named_on_the_next_page(town, door, drafted, words):
    ret = drafted()
    client = door(town.entry)

    every = " ".join(code for code in schedule("1.0", "UNIT").questions if code.startswith("UB"))
    answer = client.post(section(ret, "UB"), sent(ret, {"UB01": "21"}, go_on="1") | {"codes": every})
    assert answer.url == section(ret, "UC")
    following = client.get(answer.url).content.decode()
    assert f'href="{section(ret, "UB")}#id_UB01"' in following
    assert "1 answer to mend in " in following

    ret.refresh_from_db()
    with pytest.raises(NotSubmittable) as refusal:
        submit([ret], by=town.head, certified_name="A. Person")
    problem = next(one for one in refusal.value.problems[ret.pk] if one.rule == "UB01-H2")
    for page in (client.get(section(ret, "UB")), door(town.head).get(reverse("facts:submit", args=[ret.pk]))):
        assert problem.message in words(page) and problem.mend in words(page)


def test_save_and_continue_goes_on_to_the_next_block(town, door, drafted):
    ret = drafted()

    every = " ".join(code for code in schedule("1.0", "UNIT").questions if code.startswith("UB"))
    answer = door(town.entry).post(section(ret, "UB"), sent(ret, {"UB08": "31"}, go_on="1") | {"codes": every})

    assert answer.url == section(ret, "UC")
    assert draft_of(ret)["answers"]["UB08"] == 31


def test_questions_the_answers_open_are_shown_before_going_on(town, door, drafted):
    ret = drafted(UA01=4)
    client = door(town.entry)
    client.post(section(ret, "UA"), sent(ret, {"UA02": ""}))  # an answer that is stored stays visible
    assert "UA02" not in asked_on(client.get(section(ret, "UA")))
    ret.refresh_from_db()

    answer = client.post(section(ret, "UA"), sent(ret, {"UA01": "1"}, go_on="1"))

    assert answer.url == section(ret, "UA")
    assert "UA02" in asked_on(client.get(answer.url))


def test_money_is_typed_and_shown_in_the_scale_of_the_return(town, door, drafted, words):
    ret = drafted()
    client = door(town.entry)
    client.post(reverse("facts:return", args=[ret.pk]), {"scale": "1000"})
    ret.refresh_from_db()

    page = words(client.get(section(ret, "UC")))
    assert 'value="9000"' in page and "thousand PKR" in page
    client.post(section(ret, "UC"), sent(ret, {"UC01": "9,500.5"}))

    assert draft_of(ret)["answers"]["UC01"] == 9_500_500


def test_a_marker_stands_for_an_answer_and_gives_way_to_one(town, door, drafted):
    ret = drafted()
    client = door(town.entry)

    client.post(section(ret, "UD"), sent(ret, {"UD02": "55"}) | {"marker:UD02": "DK"})
    assert draft_of(ret)["markers"] == {"UD02": "DK"}
    ret.refresh_from_db()
    client.post(section(ret, "UD"), sent(ret, {"UD02": "60"}, was={"UD02": "DK"}) | {"marker:UD02": "DK"})

    assert draft_of(ret)["markers"] == {}
    assert draft_of(ret)["answers"]["UD02"] == 60


def test_staff_only_answers_are_neither_offered_nor_taken(town, door, drafted, words):
    ret = drafted()
    client = door(town.entry)

    assert "field staff only" not in words(client.get(section(ret, "UA")))
    page = words(client.post(section(ret, "UA"), sent(ret, {"UA01": "7"})))

    assert "“7” is not one of the answers offered." in page
    assert draft_of(ret)["answers"]["UA01"] == 1


def test_none_of_these_is_an_answer_and_untouched_boxes_are_none(town, door, drafted):
    ret = drafted("CLUSTER", CA03="")
    client = door(town.staff)

    client.post(section(ret, "CH"), sent(ret, {"CH07": ["none"]}))
    assert draft_of(ret)["answers"]["CH07"] == []
    ret.refresh_from_db()
    client.post(section(ret, "CH"), sent(ret, {"CH07": []}, was={"CH07": "none"}))

    assert "CH07" not in draft_of(ret)["answers"]


def test_a_conflict_shows_both_values_and_loses_neither(town, door, drafted, words):
    ret = drafted()
    mine = sent(ret, {"UB08": "44", "UC04": "41"})
    save_answers(ret, {"UB08": "55"}, by=town.head, expected_revision=ret.revision)

    answer = door(town.entry).post(section(ret, "UB"), {**mine, "codes": "UB08"})

    page = words(answer)
    assert answer.status_code == 409
    assert 'value="44" checked' in page and 'value="55"' in page
    assert "head" in page  # who was there first, by role
    assert draft_of(ret)["answers"]["UB08"] == 55
    ret.refresh_from_db()
    door(town.entry).post(section(ret, "UB"), sent(ret, {"UB08": "44"}))
    assert draft_of(ret)["answers"]["UB08"] == 44


def test_two_people_on_different_fields_both_keep_their_work(town, door, drafted):
    ret = drafted()
    mine = sent(ret, {"UB08": "44"})
    save_answers(ret, {"UC04": "33"}, by=town.head, expected_revision=ret.revision)

    answer = door(town.entry).post(section(ret, "UB"), mine)

    assert answer.status_code == 302
    kept = draft_of(ret)["answers"]
    assert (kept["UB08"], kept["UC04"]) == (44, 33)


def test_money_typed_at_the_old_scale_keeps_its_value_when_a_colleague_changes_the_scale(town, door, drafted):
    ret = drafted()
    mine = sent(ret, {"UC01": "9,500,000"})
    save_answers(ret, {}, by=town.head, expected_revision=ret.revision, scale=1000)

    door(town.entry).post(section(ret, "UC"), mine)

    ret.refresh_from_db()
    assert ret.scale == 1000
    assert draft_of(ret)["answers"]["UC01"] == 9_500_000


def test_an_explanation_settles_a_soft_check(town, door, drafted, words):
    ret = drafted("ASSOCIATION", AA05=70)
    client = door(town.entry)
    assert 'name="explain:AA05-S1"' in words(client.get(section(ret, "AA")))

    client.post(section(ret, "AA"), sent(ret, {}) | {"explain:AA05-S1": "Seventy by statute."})

    assert draft_of(ret)["explanations"] == {"AA05-S1": "Seventy by statute."}
    assert b"AA05-S1" not in door(town.head).get(reverse("facts:submit", args=[ret.pk])).content


def test_certifying_seals_once_however_often_it_is_clicked(town, door, drafted, words):
    ret = drafted()
    client, address = door(town.head), reverse("facts:submit", args=[ret.pk])
    body = {"revision": ret.revision, "certified_name": "A. Head", "statement": "on"}

    assert b'name="certified_name"' in client.get(address).content
    first, second = client.post(address, body), client.post(address, body)

    ret.refresh_from_db()
    assert first.url == second.url == address
    assert (ret.state, ret.version) == ("submitted", 1)
    digest = Event.objects.get(action="return.submit").detail["digest"]
    assert digest in words(client.get(address))


def test_an_old_sign_in_asks_for_the_password(town, door, drafted, words):
    town.head.set_password("a-long-password")
    town.head.save()
    ret, client = drafted(), door(town.head)
    session = client.session
    session["sure_at"] = int(time.time()) - 16 * 60
    session.save()
    address = reverse("facts:submit", args=[ret.pk])
    body = {"revision": ret.revision, "certified_name": "A. Head", "statement": "on"}

    assert "This is not your password" in words(client.post(address, body | {"password": "wrong"}))
    ret.refresh_from_db()
    assert ret.state == "draft"
    client.post(address, body | {"password": "a-long-password"})

    ret.refresh_from_db()
    assert ret.state == "submitted"


def test_a_return_changed_since_the_page_was_opened_is_not_submitted(town, door, drafted):
    ret = drafted()
    body = {"revision": ret.revision, "certified_name": "A. Head", "statement": "on"}
    save_answers(ret, {"UB08": "44"}, by=town.entry, expected_revision=ret.revision)

    door(town.head).post(reverse("facts:submit", args=[ret.pk]), body)

    ret.refresh_from_db()
    assert ret.state == "draft"


def test_a_return_sent_back_shows_the_reason_and_can_be_mended(town, door, submitted, words):
    ret = submitted()
    send_back(ret, by=town.supervisor, reason="Please check the scale of sales.")

    page = words(door(town.entry).get(reverse("facts:return", args=[ret.pk])))

    assert "Please check the scale of sales." in page
    assert "supervisor" in page  # by role, in the history
    answer = door(town.entry).post(section(ret, "UC"), sent(ret, {"UC04": "41"}))
    assert answer.status_code == 302
    assert draft_of(ret)["answers"]["UC04"] == 41


def test_what_was_typed_while_a_colleague_handed_the_return_in_is_shown_once_more(town, door, drafted, words):
    ret = drafted()
    mine = sent(ret, {"UB08": "44"})
    submit([ret], by=town.head, certified_name="A. Person")

    answer = door(town.entry).post(section(ret, "UB"), mine)

    assert answer.status_code == 409
    assert "This return was handed in" in words(answer) and "<dd>44</dd>" in words(answer)


def test_a_closed_round_takes_nothing(town, door, drafted, words):
    ret = drafted()
    town.round.state = "closed"
    town.round.save()

    client = door(town.head)
    client.post(section(ret, "UC"), sent(ret, {"UC04": "41"}))
    body = {"revision": ret.revision, "certified_name": "A. Head", "statement": "on"}
    client.post(reverse("facts:submit", args=[ret.pk]), body)

    ret.refresh_from_db()
    assert (ret.state, draft_of(ret)["answers"]["UC04"]) == ("draft", 40)


def test_beginning_a_return_twice_finds_the_first(town, door):
    client = door(town.entry)
    body = {"round": town.round.year, "schedule": "UNIT", "subject": town.units[1].frame_id}

    first = client.post(reverse("facts:start"), body)
    ret = Return.objects.get()
    save_answers(ret, {"UA01": "1"}, by=town.entry, expected_revision=ret.revision)
    second = client.post(reverse("facts:start"), body)

    assert first.url == second.url == ret.get_absolute_url()
    assert draft_of(ret)["answers"] == {"UA01": 1}


def test_register_items_are_filled_in_and_stored_once_confirmed(town, door, words):
    town.units[0].start_year = 1998
    town.units[0].save()
    client = door(town.entry)
    body = {"round": town.round.year, "schedule": "UNIT", "subject": town.units[0].frame_id}
    client.post(reverse("facts:start"), body)
    ret = Return.objects.get()
    save_answers(ret, {"UA01": "1"}, by=town.entry, expected_revision=ret.revision)

    assert 'value="1998"' in words(client.get(section(ret, "UA")))
    client.post(section(ret, "UA"), sent(ret, {"UA03": "1998"}))

    assert draft_of(ret)["answers"]["UA03"] == 1998


def test_reading_ones_own_submitted_answers_is_logged_without_values(town, door, submitted, words):
    ret = submitted(UC01=8_765_432, UD07=7_500_000)

    page = words(door(town.entry).get(section(ret, "UC")))

    assert "87,65,432" in page and "<form" not in page.split("<main")[1]
    opening = Event.objects.get(action="return.open")
    assert opening.detail == {"purpose": "own reading", "version": 1}


def test_no_version_no_opening(town, drafted):
    with pytest.raises(Exception, match="never submitted"):
        open_for(drafted(), by=town.head, purpose="review")
    assert not Event.objects.filter(action="return.open").exists()


def test_the_list_costs_the_same_for_one_or_many(
    town, door, drafted, django_assert_num_queries, django_assert_max_num_queries
):
    client = door(town.head)
    client.get(reverse("facts:returns"))
    drafted()
    with django_assert_max_num_queries(14) as captured:
        client.get(reverse("facts:returns"))
    for unit in (1, 2):
        drafted(unit=unit)
    with django_assert_num_queries(len(captured)):
        client.get(reverse("facts:returns"))


# --- last year's figures, to who may read them -------------------------------------------------------


@pytest.fixture
def last_year(town, drafted):
    """The first unit's accepted return of last round, typed by its association, and a draft of this round."""
    earlier = open_round(2025)
    before = drafted(UC01=7_654_321)
    Return.objects.filter(pk=before.pk).update(round=earlier)
    before = Return.objects.select_related("round__instrument", "cluster__country").get(pk=before.pk)
    submit([before], by=town.head, certified_name="A. Person")
    Return.objects.filter(pk=before.pk).update(state="locked")
    return before, drafted(UC01=900)


LAST = re.compile("7,?6,?5,?4,?3,?2,?1")  # however its digits are grouped


def pages_of(client, ret) -> dict[str, str]:
    """Every door that shows a draft beside last year: form, grid, hub, check, answer of a save."""
    body = {"revision": ret.revision, "scale": 1, "answers": {"UC01": "901"}, "was": {"UC01": "900"}, "check": True}
    saved = client.post(reverse("facts:answers", args=[ret.pk]), body, content_type="application/json")
    assert saved.status_code == 200 and "UC01" in saved.json()["fields"]
    addresses = {
        "form": section(ret, "UC") + "?check=1",
        "grid": reverse("facts:grid") + "?block=UC",
        "hub": reverse("facts:return", args=[ret.pk]),
        "check": reverse("facts:check", args=[ret.pk]),
    }
    pages = {name: client.get(address) for name, address in addresses.items()}
    assert {page.status_code for page in pages.values()} == {200}
    return {name: page.content.decode() for name, page in pages.items()} | {"saved": saved.content.decode()}


def test_last_years_figures_stand_where_the_association_typed_them(town, door, last_year):
    _, ret = last_year
    pages = pages_of(door(town.entry), ret)

    assert LAST.search(pages["form"]) and LAST.search(pages["grid"])
    assert re.search(r'data-before="[^"]+"', pages["form"])


@pytest.mark.parametrize("collects", ["the association", "an institute"])
def test_last_years_sealed_figures_stand_nowhere_before_others(town, door, last_year, collects):
    before, ret = last_year
    user = town.entry
    if collects == "an institute":  # last year's was typed by the association, this year another one collects
        institute = OrganisationFactory()
        user = person("entry", institute)
        appoint(town.round, town.cluster, institute, by=town.supervisor, reason="It visits every workshop.")
    else:  # its firm filed it over its own link
        Return.objects.filter(pk=before.pk).update(collector=None)
    client = door(user)

    for name, page in pages_of(client, ret).items():
        assert not LAST.search(page), name
        assert "last round =" not in page, name
        assert not re.search(r'data-before="[^"]+"', page), name

    ret.refresh_from_db()
    client.post(section(ret, "UC"), {"codes": "UC01", "scale": 1, "was:UC01": "901", "UC01": "901", "same": "UC01"})
    assert draft_of(ret)["answers"]["UC01"] == 901  # the button answers nothing that one may not read
    guess = {"answers": {"UC01": "7654321"}, "was": {"UC01": "901"}, "confirmed": ["UC01"], "scale": 1, "revision": 1}
    client.post(reverse("facts:answers", args=[ret.pk]), guess, content_type="application/json")
    assert draft_of(ret)["confirmed"] == []  # and the mark does not tell that a guess is right


def test_who_comes_in_by_the_units_link_sees_what_the_unit_said_last_year(town, last_year):
    before, ret = last_year
    Return.objects.filter(pk=before.pk).update(collector=None)
    client = Client()
    client.post(reverse("facts:link", args=[links.make_link(town.units[0], town.round, by=town.head)]))

    assert LAST.search(client.get(section(ret, "UC")).content.decode())
