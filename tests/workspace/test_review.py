"""Review: values without names, flags in words, four eyes, what was seen, and lists shown before they are acted on."""

from datetime import timedelta

import pytest
from django.urls import reverse

from core.audit.models import Event
from core.base import Conflict, DomainError
from facts.models import Flag, Query, Return
from facts.services.chain import chain_of
from facts.services.drafts import save_answers
from facts.services.queries import ask
from facts.services.reading import draft_of, notes_of
from facts.services.review import accept, digests_of, points_of, send_back, send_back_all
from facts.services.submission import submit
from facts.vault.store import put_identities
from tests.factories import OrganisationFactory, person


def page_of(ret) -> str:
    return reverse("facts:review-return", args=[ret.pk])


def seen(ret) -> str:
    """What the page of a return holds of the version shown."""
    ret.refresh_from_db()
    return f"{ret.version}:{digests_of([ret])[ret.pk]}"


def chosen(*returns) -> list[str]:
    """What the confirmation of a list holds."""
    return [f"{ret.pk}:{seen(ret)}" for ret in returns]


def states(*returns) -> list[str]:
    return [Return.objects.get(pk=ret.pk).state for ret in returns]


def flag_of(ret, rule="X01", severity="critical", question="UC01") -> Flag:
    """A flag beyond the form; without sealed numbers it says its rule."""
    return Flag.objects.create(ret=ret, version=ret.version, rule=rule, severity=severity, question=question, score=9.0)


# --- One return -----------------------------------------------------------------------------------


def test_a_review_shows_values_and_flags_but_no_name(town, door, drafted, words):
    put_identities({town.units[0].pk: {"name": "Secret Cutters", "address": "Lane 5", "registration_number": "R1"}})
    ret = drafted(UJ02=4, UB01=60, UB02=52, UB05=53)
    save_answers(ret, {}, by=town.entry, expected_revision=1, explanations={"UJ02-S1": "Books were lost in a flood."})
    submit([ret], by=town.head, certified_name="A. Person")

    page = words(door(town.supervisor).get(page_of(ret)))

    assert "90,00,000" in page
    assert "UJ02-S1" in page and "Books were lost in a flood." in page
    assert "Secret Cutters" not in page and "Lane 5" not in page and "A. Person" not in page
    assert Event.objects.get(action="return.open").detail == {"purpose": "review", "version": 1}


def test_a_firms_opinion_of_its_neighbours_is_shown_to_nobody(town, door, submitted, words):
    """UH05: “never shown to anyone at unit level”."""
    page = words(door(town.supervisor).get(page_of(submitted(UH05=5))))

    assert "never shown for one firm" in page
    assert "Strongly agree" not in page


def test_the_page_costs_the_same_however_much_is_on_it(town, door, submitted, django_assert_max_num_queries):
    ret, client = submitted(), door(town.supervisor)
    for rule in ("X01", "X02", "X08"):
        flag_of(ret, rule)
    for question in ("UC01", "UB01", "UD01"):
        ask(ret, by=town.supervisor, question=question, text="Is this figure right, please?")
    client.get(page_of(ret))

    with django_assert_max_num_queries(42):
        client.get(page_of(ret))


def test_sending_back_needs_words_and_makes_a_draft_with_them(town, door, submitted, words):
    ret, client = submitted(), door(town.supervisor)
    post = {"send_back": "1", "seen": seen(ret), "point:UC01": "Nine times last year’s."}

    page = words(client.post(page_of(ret), post | {"reason": "no"}))
    assert "at least 10 characters" in page.lower() and "Nine times last year’s." in page
    client.post(page_of(ret), post | {"reason": "Please check the scale of sales."})

    ret.refresh_from_db()
    assert ret.state == "sent_back"
    assert notes_of(ret)[-1]["text"] == "Please check the scale of sales.\nTotal sales (UC01): Nine times last year’s."
    assert points_of(ret) == {"UC01": "Nine times last year’s."}
    assert draft_of(ret)["answers"]["UC01"] == 9_000_000
    assert Event.objects.get(action="return.sent_back").detail["fields"] == ["UC01"]


def test_accepting_is_one_press_and_a_second_one_is_told(town, door, submitted, words):
    ret, client = submitted(), door(town.supervisor)
    post = {"accept": "1", "seen": seen(ret)}

    client.post(page_of(ret), post)
    again = client.post(page_of(ret), post)

    assert states(ret) == ["accepted"]
    assert again.status_code == 409 and "nothing to decide" in words(again)


def test_accepting_names_the_version_and_digest_that_were_seen(town, door, submitted, words):
    ret, client = submitted(), door(town.supervisor)
    before = seen(ret)
    send_back(ret, by=town.supervisor, reason="Please look at sales again.")
    save_answers(ret, {"UC01": "8000000"}, by=town.entry, expected_revision=ret.revision)
    submit([ret], by=town.head, certified_name="A. Person")

    page = words(client.post(page_of(ret), {"accept": "1", "seen": before}))

    old, new = before.partition(":")[2][:12], digests_of([ret])[ret.pk][:12]
    assert states(ret) == ["submitted"]
    assert f"you looked at version 1 ({old}), but version 2 ({new})" in page
    assert "80,00,000" in page  # the new version stands on the page that says so
    with pytest.raises(Conflict):
        accept([ret], by=town.supervisor, seen={ret.pk: (2, "0" * 64)})


def test_who_typed_it_in_does_not_decide(town, door, submitted, words):
    ret = submitted()
    ret.typed_by = [*ret.typed_by, town.supervisor.pk]
    ret.save()
    client = door(town.supervisor)

    assert "A colleague decides" in words(client.get(page_of(ret)))
    page = words(client.post(page_of(ret), {"accept": "1", "seen": seen(ret)}))
    with pytest.raises(DomainError, match="Ask a colleague"):
        send_back(ret, by=town.supervisor, reason="Please look at sales again.")

    assert "Ask a colleague." in page
    assert states(ret) == ["submitted"]


def test_core_answers_missing_need_a_reason(town, door, submitted, words):
    ret, client = submitted(UB02="DK"), door(town.supervisor)
    post = {"accept": "1", "seen": seen(ret)}

    assert "To accept all the same, write why" in words(client.post(page_of(ret), post))
    client.post(page_of(ret), post | {"override_reason": "Called back; the firm does not know."})

    assert states(ret) == ["accepted"]


def test_an_open_critical_flag_needs_a_reason_or_an_accepted_explanation(town, door, submitted, words):
    first, second, client = submitted(), submitted(unit=1), door(town.supervisor)
    flag_of(first)
    flag = flag_of(second)

    page = words(client.post(page_of(first), {"accept": "1", "seen": seen(first)}))
    assert "A critical flag stands without an accepted explanation" in page
    client.post(page_of(first), {"accept": "1", "seen": seen(first), "override_reason": "Seen the books at the works."})
    client.post(page_of(second), {"flag": flag.pk, "judged": "accept", "note": "A new order book was shown."})
    client.post(page_of(second), {"accept": "1", "seen": seen(second)})

    assert states(first, second) == ["accepted", "accepted"]
    detail = Event.objects.filter(action="return.accepted").order_by("seq").first().detail
    assert detail["critical_override"] == ["X01"]


def test_an_explanation_is_judged_by_itself(town, door, submitted, words):
    ret, client = submitted(), door(town.supervisor)
    flag = flag_of(ret, severity="warn")

    short = words(client.post(page_of(ret), {"flag": flag.pk, "judged": "reject", "note": "no"}))
    client.post(page_of(ret), {"flag": flag.pk, "judged": "reject", "note": "The order book says otherwise."})
    flag.refresh_from_db()
    accept([ret], by=town.supervisor)
    flag.refresh_from_db()

    assert "at least 10 characters" in short
    assert flag.resolution == "rejected"  # accepting the return does not make it good


def test_the_respondent_never_sees_a_signal_of_underreporting(town, door, submitted, words):
    ret = submitted()
    flag_of(ret, "X05", "warn", "UC01")

    theirs = words(door(town.entry).get(ret.get_absolute_url()))

    assert "X05" in words(door(town.supervisor).get(page_of(ret)))
    assert "X05" not in theirs and "look low" not in theirs


def test_after_a_decision_the_next_one_follows(town, door, submitted):
    first, second = submitted(), submitted(unit=1)

    answer = door(town.supervisor).post(page_of(first), {"accept": "1", "seen": seen(first)})

    assert answer.url == page_of(second)


def test_a_decided_return_is_not_opened_any_more(town, door, submitted):
    ret, client = submitted(), door(town.supervisor)
    client.post(page_of(ret), {"accept": "1", "seen": seen(ret)})
    openings = Event.objects.filter(action="return.open").count()

    assert client.get(page_of(ret)).url == reverse("facts:review")
    assert Event.objects.filter(action="return.open").count() == openings


def test_words_typed_while_a_colleague_decided_are_shown_once_more(town, door, submitted, words):
    ret = submitted()
    before = seen(ret)
    accept([ret], by=person("supervisor", town.agency))

    post = {"send_back": "1", "seen": before, "reason": "Sales look too high to me.", "point:UC01": "Ten times?"}
    answer = door(town.supervisor).post(page_of(ret), post)

    page = words(answer)
    assert answer.status_code == 409
    assert "Sales look too high to me." in page and "Ten times?" in page
    assert "nothing to decide" in page


def test_of_two_reviewers_one_wins_and_the_other_is_told(town, submitted):
    """Both had the return before them; whoever comes second is refused, whichever act it was."""
    ret, colleague = submitted(), person("supervisor", town.agency)
    mine, theirs = (Return.objects.select_related("round__instrument").get(pk=ret.pk) for _ in range(2))

    accept([mine], by=town.supervisor)
    with pytest.raises(Conflict, match="accepted by now"):
        send_back(theirs, by=colleague, reason="Please look at sales again.")
    with pytest.raises(Conflict, match="accepted by now"):
        accept([theirs], by=colleague)

    assert Event.objects.filter(action__in=["return.accepted", "return.sent_back"]).count() == 1


# --- The chain of versions ------------------------------------------------------------------------


def test_the_chain_says_what_replaced_what_and_why(town, door, submitted, words):
    ret = submitted()
    first = ret.first_submitted_at
    send_back(ret, by=town.supervisor, reason="Please look at sales again.")
    save_answers(ret, {"UC01": "8000000"}, by=town.entry, expected_revision=ret.revision)
    submit([ret], by=town.head, certified_name="A. Person")

    chain = chain_of(ret)

    assert [one["number"] for one in chain] == [1, 2]
    assert [one["why"] for one in chain] == ["", "sent back"]
    assert (chain[0]["superseded_by"], chain[1]["supersedes"]) == (2, 1)
    assert chain[0]["supersedes"] is None and chain[1]["superseded_by"] is None
    assert chain[1]["by_role"] == f"head, {town.association.name}"
    ret.refresh_from_db()
    assert ret.first_submitted_at == first
    assert abs(chain[0]["submitted_at"] - first) < timedelta(seconds=1)
    page = words(door(town.supervisor).get(page_of(ret)))
    assert "first handed in" in page and "after it was sent back" in page and chain[0]["digest"][:12] in page


# --- The queue ------------------------------------------------------------------------------------


def test_the_queue_puts_first_what_is_odd_and_moves_the_ranking(town, door, submitted, words):
    small, big, quiet = (submitted(unit=unit) for unit in range(3))
    for ret, suspicion, effect in ((small, 3.0, 0.4), (big, 9.0, 1.5), (quiet, 0.0, 4.0)):
        Return.objects.filter(pk=ret.pk).update(suspicion=suspicion, effect=effect)
    flag_of(big)

    page = words(door(town.supervisor).get(reverse("facts:review")))

    assert page.index(big.subject) < page.index(small.subject) < page.index(quiet.subject)
    assert "Total sales moved far from last year, unlike its peers’." in page
    assert f"This may move {town.cluster.name} by 1–2 places." in page
    assert "9000000" not in page and "90,00,000" not in page  # words, no figures


def test_the_queue_costs_the_same_for_one_or_many(town, door, submitted, django_assert_max_num_queries):
    client = door(town.supervisor)
    flag_of(submitted())
    client.get(reverse("facts:review"))
    with django_assert_max_num_queries(11) as captured:
        client.get(reverse("facts:review"))
    for unit in (1, 2):
        flag_of(submitted(unit=unit))
    with django_assert_max_num_queries(len(captured)):
        client.get(reverse("facts:review"))


# --- Several at once ------------------------------------------------------------------------------


def several() -> str:
    return reverse("facts:review-several")


def test_a_list_is_shown_exactly_before_it_is_accepted(town, door, submitted, words):
    first, second, third = (submitted(unit=unit) for unit in range(3))
    client = door(town.supervisor)

    page = words(client.post(several(), {"ret": [f"{first.pk}:1", f"{third.pk}:1"], "accept": "1"}))
    assert states(first) == ["submitted"]
    assert first.subject in page and third.subject in page and second.subject not in page

    # Filters in the address change nothing about the list in the form.
    client.post(
        several() + "?cluster=NOWHERE&schedule=REGION", {"ret": chosen(first, third), "act": "accept", "confirm": "1"}
    )

    assert states(first, second, third) == ["accepted", "submitted", "accepted"]


def test_one_return_that_cannot_be_accepted_keeps_the_whole_list(town, door, submitted, words):
    first, second = submitted(), submitted(unit=1, UB02="DK")

    page = words(door(town.supervisor).post(several(), {"ret": chosen(first, second), "act": "accept", "confirm": "1"}))

    assert "Nothing was done" in page
    assert states(first, second) == ["submitted", "submitted"]


def test_a_newer_version_keeps_the_whole_list(town, door, submitted, words):
    first, second = submitted(), submitted(unit=1)
    listed = chosen(first, second)
    send_back(second, by=town.supervisor, reason="Please look at sales again.")
    save_answers(second, {"UC01": "8000000"}, by=town.entry, expected_revision=second.revision)
    submit([second], by=town.head, certified_name="A. Person")

    page = words(door(town.supervisor).post(several(), {"ret": listed, "act": "accept", "confirm": "1"}))

    assert "you looked at version 1" in page and "newer than the one you chose" in page
    assert states(first, second) == ["submitted", "submitted"]


def test_a_list_goes_back_with_one_reason(town, door, submitted, words):
    first, second = submitted(), submitted(unit=1)
    client, reason = door(town.supervisor), "Please give sales for the whole fiscal year."

    page = words(
        client.post(several(), {"ret": chosen(first, second), "act": "send_back", "confirm": "1", "reason": ""})
    )
    client.post(several(), {"ret": chosen(first, second), "act": "send_back", "confirm": "1", "reason": reason})

    assert "Say what is to be mended" in page
    assert states(first, second) == ["sent_back", "sent_back"]
    assert [notes_of(ret)[-1]["text"] for ret in (first, second)] == [reason, reason]


def test_the_same_is_asked_on_a_list(town, door, submitted):
    first, second = submitted(), submitted(unit=1)
    post = {"ret": chosen(first, second), "act": "ask", "question": "UC01", "text": "Is the subsidy in your sales?"}

    door(town.supervisor).post(several(), post | {"confirm": "1"})

    assert sorted(Query.objects.values_list("ret", "question")) == [(first.pk, "UC01"), (second.pk, "UC01")]
    assert states(first, second) == ["submitted", "submitted"]


def test_returns_of_another_agency_are_on_no_list(town, door, submitted):
    ret = submitted()
    stranger = person("supervisor", OrganisationFactory())

    door(stranger).post(several(), {"ret": chosen(ret), "act": "accept", "confirm": "1"})

    assert states(ret) == ["submitted"]


def test_all_or_none_also_when_sent_back_by_the_service(town, submitted):
    first, second = submitted(), submitted(unit=1)
    accept([second], by=town.supervisor)

    with pytest.raises(Conflict):
        send_back_all([first, second], by=town.supervisor, reason="Please look at sales again.")

    assert states(first, second) == ["submitted", "accepted"]
