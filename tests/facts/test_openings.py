"""Who opened our data: every opening is an event with its purpose, told to whose data it is and to nobody else."""

import json

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from core.audit.models import Event, first_broken
from core.jobs import ledger
from core.jobs.models import Job
from facts.models import FrameEntry, Return
from facts.services import links, opening, reading, subject_export
from facts.services.imports import Row, save_drafts
from facts.services.reading import open_for
from facts.services.review import accept
from facts.services.submission import submit
from facts.services.units import keep_identities
from facts.vault import store
from facts.wording import grouped
from tests.factories import Town, open_round, person, seen_by_checks
from tests.facts.valid_returns import UNIT

CANARY = 8_765_432
SPELT = grouped(CANARY, "PKR")


def door(user) -> Client:
    client = Client()
    client.force_login(user)
    return client


def begun(town, *, unit=0, by=None, round_=None, **changes) -> Return:
    rows = [Row(town.units[unit].frame_id, {**UNIT, **changes}, "row 2")]
    outcome = save_drafts(
        round_=round_ or town.round, schedule_code="UNIT", rows=rows, by=by or town.entry, channel="web"
    )
    assert not outcome.refused, [str(problem) for problem in outcome.refused]
    return Return.objects.select_related("round__instrument", "cluster__country").get(pk=outcome.returns[0].pk)


def handed_in(town, **changes) -> Return:
    ret = begun(town, **changes)
    submit([ret], by=town.head, certified_name="A. Person")
    seen_by_checks(ret)
    return ret


def openings_of(user) -> list[opening.Opening]:
    return opening.openings_page(user)[0]


@pytest.fixture
def untold(monkeypatch):
    """The gate: returns and units whose seal a page broke for a person, and of which no event of this person tells.

    The witness stands at the cipher itself, below everything that logs. Own drafts are no news to who typed in them.
    """
    seals: set[str] = set()
    unseal = store.unseal

    def seen(key_id, sealed, bound_to):
        seals.add(bound_to)
        return unseal(key_id, sealed, bound_to)

    monkeypatch.setattr(store, "unseal", seen)

    def look(user, address: str) -> set[str] | None:
        seals.clear()
        if door(user).get(address).status_code != 200:
            return None
        events = Event.objects.filter(actor=user)
        acts = events.filter(object_type="facts.return").exclude(action="unit.identity")
        told = set(acts.values_list("object_id", flat=True))
        clusters = set(events.filter(action="cluster.compared").values_list("object_id", flat=True))
        missed = set()
        for place in seals:
            kind, pk, *_ = place.split(":")
            if kind == "answers" and pk not in told:
                ret = Return.objects.get(pk=pk)
                own = user.pk in ret.typed_by or ret.schedule in ("CLUSTER", "REGION")
                if not own and str(ret.cluster_id) not in clusters:
                    missed.add(place)
            if kind == "identity" and not events.filter(action__in=opening.NAMED).exists():
                missed.add(place)
        return missed

    return look


# --- Written ----------------------------------------------------------------------------------------


def test_a_draft_that_somebody_else_typed_is_logged_once_an_hour(town):
    ret = begun(town)
    client = door(town.head)

    client.get(reverse("facts:return", args=[ret.pk]))
    client.get(reverse("facts:return", args=[ret.pk]))

    event = Event.objects.get(action="return.open", object_id=str(ret.pk))
    assert event.actor == town.head
    assert event.detail == {"purpose": "the page of the return", "draft": True}


def test_what_a_person_typed_is_no_news_to_them(town):
    ret = begun(town)

    door(town.entry).get(reverse("facts:return", args=[ret.pk]))

    assert not Event.objects.filter(action="return.open").exists()


def test_saving_tells_of_itself_and_needs_no_second_line(town):
    ret = begun(town)
    client = door(town.head)

    answer = client.post(
        reverse("facts:answers", args=[ret.pk]),
        json.dumps({"revision": ret.revision, "values": {"UC01": "9100000"}}),
        content_type="application/json",
    )

    assert answer.status_code in (200, 400, 409, 422)
    acts = list(Event.objects.filter(actor=town.head, object_id=str(ret.pk)).values_list("action", flat=True))
    assert len(acts) == 1 and acts[0] in ("return.save", "return.open")


def test_review_is_logged_with_its_purpose_and_peers_are_counted_not_listed(town):
    ret = handed_in(town)
    before = Event.objects.count()

    door(town.supervisor).get(reverse("facts:review-return", args=[ret.pk]))

    added = list(Event.objects.order_by("seq")[before:])
    assert [(e.action, e.detail) for e in added] == [("return.open", {"purpose": "review", "version": 1})]


def test_versions_that_are_only_compared_are_counted_by_cluster(town):
    rets = [handed_in(town, unit=n) for n in range(3)]
    began = timezone.now()
    with opening.noted() as opened:
        store.open_answers((ret.pk, 1) for ret in rets)

    written = opening.log(opened, by=town.supervisor, began=began, route="facts:benchmark")
    again = opening.log(opened, by=town.supervisor, began=timezone.now(), route="facts:benchmark")

    assert (written, again) == (1, 0)
    event = Event.objects.get(action="cluster.compared")
    assert event.detail == {"purpose": "benchmark sheet", "returns": 3} and event.object_id == str(town.cluster.pk)


def test_names_opened_without_a_service_that_tells_are_told_at_the_end(town):
    keep_identities({unit.pk: {"name": "Canary Works"} for unit in town.units})
    with opening.noted() as opened:
        store.open_identities([unit.pk for unit in town.units])

    opening.log(opened, by=town.head, began=timezone.now(), route="facts:grid")

    event = Event.objects.get(action="unit.identity")
    assert event.detail == {"purpose": "the grid of units", "count": 3}


def test_nothing_opened_costs_no_query(town):
    with opening.noted() as opened, CaptureQueriesContext(connection) as queries:
        opening.log(opened, by=town.head, began=timezone.now(), route="home")

    assert len(queries) == 0


def test_a_job_tells_once_how_much_it_opened(town):
    rets = [handed_in(town, unit=n) for n in range(3)]
    accept(rets, by=town.supervisor)
    Job.objects.all().delete()
    job = ledger.enqueue("facts.check_cluster", key="t", round_id=town.round.pk, cluster_id=town.cluster.pk)

    ledger.run(job.pk, heartbeat=False)

    job.refresh_from_db()
    assert job.state == "done", job.error
    told = Event.objects.get(action="job.opened", object_id=str(job.pk))
    assert told.detail["kind"] == "facts.check_cluster" and told.detail["returns"] == 3


@pytest.fixture
def walk(town):
    """Pages of a town that open answers or names: person and address."""
    keep_identities({unit.pk: {"name": f"Canary Works {unit.pk}"} for unit in town.units})
    draft, submitted, done = begun(town), handed_in(town, unit=1), handed_in(town, unit=2)
    accept([done], by=town.supervisor)
    round_ = f"?round={town.round.year}"
    return [
        (town.head, reverse("workspace")),
        (town.head, reverse("facts:returns") + round_),
        (town.head, reverse("facts:returns") + f"{round_}&q=canary"),
        (town.head, reverse("facts:return", args=[draft.pk])),
        (town.head, reverse("facts:section", args=[draft.pk, "UC"])),
        (town.head, reverse("facts:check", args=[draft.pk])),
        (town.head, reverse("facts:submit", args=[draft.pk])),
        (town.head, reverse("facts:paper", args=[draft.pk])),
        (town.head, reverse("facts:grid") + f"{round_}&cluster={town.cluster.code}"),
        (town.head, reverse("facts:section", args=[submitted.pk, "UC"])),
        (town.head, reverse("facts:receipt", args=[submitted.pk])),
        (town.head, reverse("facts:receipt-answers", args=[submitted.pk])),
        (town.head, reverse("facts:benchmark", args=[done.pk])),
        (town.head, reverse("facts:round-links", args=[town.round.year])),
        (town.entry, reverse("facts:return", args=[done.pk])),
        (town.supervisor, reverse("facts:review")),
        (town.supervisor, reverse("facts:review-return", args=[submitted.pk])),
        (town.supervisor, reverse("facts:return", args=[done.pk])),
        (person("analyst"), reverse("facts:section", args=[done.pk, "UC"])),
    ]


def missed_on(walk, untold) -> dict[str, set[str]]:
    """What was opened untold, by address. Pages that this person may not see, or that are not there yet, count not."""
    found = {address: untold(user, address) for user, address in walk}
    assert sum(missed is not None for missed in found.values()) >= 15
    return {address: missed for address, missed in found.items() if missed}


def test_no_page_opens_anything_untold(walk, untold):
    assert missed_on(walk, untold) == {}


def test_without_the_record_at_the_end_of_a_request_the_gate_goes_red(walk, untold, monkeypatch):
    monkeypatch.setattr(opening, "log", lambda *args, **kwargs: 0)

    missed = missed_on(walk, untold)
    assert reverse("facts:returns") not in missed  # opens names only through a service that tells
    assert any("/grid/" in address or "/check/" in address for address in missed)


def test_without_the_service_that_tells_the_record_at_the_end_still_holds(walk, untold, monkeypatch):
    monkeypatch.setattr(reading, "record", lambda *args, **kwargs: None)

    assert missed_on(walk, untold) == {}


# --- Told -------------------------------------------------------------------------------------------


def test_the_head_sees_who_opened_its_data_by_office_and_no_name(town):
    ret = handed_in(town, UC01=CANARY)
    door(town.supervisor).get(reverse("facts:review-return", args=[ret.pk]))

    page = door(town.head).get(reverse("facts:openings"))
    text = page.content.decode()

    assert page.status_code == 200
    assert f"supervisor, {town.agency.name}" in text and ret.subject in text and "review" in text
    assert town.supervisor.username not in text
    assert str(CANARY) not in text and SPELT not in text


def test_another_association_sees_nothing_of_it(town):
    other = Town(units=1)
    ret = handed_in(town)
    open_for(ret, by=town.supervisor, purpose="review")

    assert openings_of(town.head) and not openings_of(other.head)
    text = door(other.head).get(reverse("facts:openings")).content.decode()
    assert ret.subject not in text and town.cluster.name not in text


def test_a_return_sealed_by_its_link_is_not_told_to_the_association(town):
    token = links.make_link(town.units[0], town.round, by=town.head)
    link = links.find_link(token)
    ret = links.open_link(link)
    Return.objects.filter(pk=ret.pk).update(collector=None)
    with opening.noted() as opened:
        store.open_answers([(ret.pk, 0)])
    opening.log(opened, by=town.supervisor, began=timezone.now(), route="facts:return")

    assert Event.objects.filter(action="return.open", object_id=str(ret.pk)).exists()
    assert not [one for one in openings_of(town.head) if ret.subject in one.what]


def test_the_auditor_sees_all_and_which_account(town):
    ret = handed_in(town)
    open_for(ret, by=town.supervisor, purpose="review")

    lines = openings_of(person("auditor"))

    assert any(town.supervisor.username in one.who for one in lines)


@pytest.mark.parametrize("role", ["entry", "staff", "supervisor", "analyst", "viewer", "admin"])
def test_other_roles_do_not_see_the_page(town, role):
    user = getattr(town, role, None) or person(role)

    assert door(user).get(reverse("facts:openings")).status_code == 403
    assert door(user).get(reverse("facts:openings-file")).status_code == 403


def test_the_page_takes_the_same_queries_for_any_number_of_lines(town):
    client = door(town.head)
    address = reverse("facts:openings")
    rets = [handed_in(town, unit=n) for n in range(3)]

    def queries() -> int:
        with CaptureQueriesContext(connection) as caught:
            assert client.get(address).status_code == 200
        return len(caught)

    open_for(rets[0], by=town.supervisor, purpose="review")
    client.get(address)
    few = queries()
    for n in range(60):
        open_for(rets[n % 3], by=[town.supervisor, town.head, town.entry][n % 3], purpose="review")

    assert queries() == few


def test_pages_go_back_by_number_and_lose_no_line(town):
    ret = handed_in(town)
    for _ in range(7):
        open_for(ret, by=town.supervisor, purpose="review")
    user, seen, before = town.head, [], None

    while True:
        lines, before = opening.openings_page(user, before=before, count=3)
        seen += [one.seq for one in lines]
        if before is None:
            break

    assert seen == list(opening.openings(user).values_list("seq", flat=True)) and len(seen) == 7


def test_the_file_holds_the_same_lines_and_no_formula(town):
    ret = handed_in(town)
    open_for(ret, by=town.supervisor, purpose="=cmd()")

    answer = door(town.head).get(reverse("facts:openings-file"))
    lines = answer.content.decode("utf-8-sig").splitlines()

    assert len(lines) == 1 + len(openings_of(town.head)) and answer["Cache-Control"] == "no-store"
    assert "'=cmd()" in lines[1]


# --- Everything held on a unit ------------------------------------------------------------------------


def test_the_file_of_a_unit_holds_identity_versions_and_openings(town):
    keep_identities({town.units[0].pk: {"name": "Canary Works", "telephone": "123"}})
    ret = handed_in(town, UC01=9_100_000)
    open_for(ret, by=town.supervisor, purpose="review")

    answer = door(town.head).get(reverse("facts:everything", args=[ret.pk]))
    held = json.loads(answer.content)

    assert answer["Cache-Control"] == "no-store" and "attachment" in answer["Content-Disposition"]
    assert held["identity"]["name"] == "Canary Works"
    (one,) = held["returns"]
    assert one["versions"][0]["content"]["answers"]["UC01"] == 9_100_000
    assert {line["why"] for line in one["openings"]} >= {"review", subject_export.PURPOSE}
    told = Event.objects.filter(object_id=str(ret.pk), actor=town.head, detail__purpose=subject_export.PURPOSE)
    assert sorted(told.values_list("action", flat=True)) == ["return.open", "unit.identity"]
    assert first_broken() is None


def test_opinions_that_nobody_reads_stand_in_the_units_own_file_only(town):
    ret = handed_in(town)
    kept = [
        code
        for code, question in subject_export.schedule_of(ret).questions.items()
        if not question.shown_at_unit_level and code in store.open_answers([(ret.pk, 1)])[ret.pk]["answers"]
    ]
    assert kept  # else this says nothing

    held = subject_export.everything_on(ret, by=town.head)

    assert not set(kept) & set(held["returns"][0]["versions"][0]["content"]["answers"])


def test_a_link_holder_gets_this_round_and_is_told_what_else_there_is(town):
    before = open_round(town.round.year - 1)
    FrameEntry.objects.create(round=before, unit=town.units[0], cluster=town.cluster, size=1, prior_employment=5)
    old = begun(town, round_=before)
    token = links.make_link(town.units[0], town.round, by=town.head)
    link = links.find_link(token)
    ret = links.open_link(link)

    answer = door(link.user).get(reverse("facts:everything", args=[ret.pk]))
    held = json.loads(answer.content)

    assert [one["round"] for one in held["returns"]] == [town.round.year]
    assert held["not_in_this_file"] == [f"round {before.year}"]
    assert door(link.user).get(reverse("facts:everything", args=[old.pk])).status_code == 404


def test_a_return_of_somebody_else_does_not_exist(town):
    ret, other = handed_in(town), Town(units=1)

    assert door(other.head).get(reverse("facts:everything", args=[ret.pk])).status_code == 404
    assert door(town.entry).get(reverse("facts:everything", args=[ret.pk])).status_code == 403
    assert door(town.supervisor).get(reverse("facts:everything", args=[ret.pk])).status_code == 403
