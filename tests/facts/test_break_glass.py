"""Break-glass: two people, a reason, one cluster and round, 60 minutes by the database's clock; the heads are told."""

import csv
import io
from datetime import timedelta

import pytest
from django.core import mail
from django.core.exceptions import PermissionDenied
from django.db import DatabaseError, IntegrityError, transaction
from django.db.models.functions import Now
from django.test import Client
from django.urls import reverse

from core import policy
from core.audit.models import Event, first_broken
from core.base import Conflict, DomainError
from core.jobs import ledger
from core.jobs.models import Job
from facts import permissions
from facts.models import FrameEntry, Return
from facts.services import break_glass, opening
from facts.services.imports import Row, save_drafts
from facts.services.submission import submit
from facts.services.units import keep_identities
from facts.vault.models import BreakGlass, SealedText
from facts.wording import grouped
from tests.factories import Town, person, rules_lifted, seen_by_checks
from tests.facts.valid_returns import UNIT

WHY = "Two firms look like one and the same; their numbers decide (test)."
CANARY = 8_765_432
SPELT = grouped(CANARY, "PKR")


@pytest.fixture
def analyst(town):
    return person("analyst")


@pytest.fixture
def auditor(town):
    return person("auditor")


@pytest.fixture
def returned(town):
    """A return handed in, with a figure to look for, of a firm with a name to look for."""
    keep_identities({unit.pk: {"name": f"Canary Works {n}"} for n, unit in enumerate(town.units)})
    rows = [Row(town.units[0].frame_id, {**UNIT, "UC01": CANARY}, "row 2")]
    outcome = save_drafts(round_=town.round, schedule_code="UNIT", rows=rows, by=town.entry, channel="web")
    ret = Return.objects.select_related("round__instrument", "cluster__country").get(pk=outcome.returns[0].pk)
    submit([ret], by=town.head, certified_name="A. Person")
    seen_by_checks(ret)
    return ret


def door(user) -> Client:
    client = Client()
    client.force_login(user)
    return client


def granted(town, kind, *, by, second) -> BreakGlass:
    glass = break_glass.ask(kind=kind, round_=town.round, cluster=town.cluster, by=by, reason=WHY)
    break_glass.decide(glass, by=second, grant=True)
    return glass


def over(glass) -> None:
    """As if an hour had passed: what only the database's own powers can do."""
    with rules_lifted("vault_breakglass"):
        BreakGlass.objects.filter(pk=glass.pk).update(
            granted_at=Now() - timedelta(minutes=61), ends_at=Now() - timedelta(minutes=1)
        )


def open_beside(town, user, ret) -> list[str]:
    """The gate: which doors of the hour stand open for a person, by action of the matrix."""
    fresh = type(user).objects.get(pk=user.pk)
    actions = ("unit_identity.read", "return.read_submitted", "values.export")
    return [action for action in actions if policy.allowed(fresh, action, ret)]


# --- The hour ---------------------------------------------------------------------------------------


def test_nothing_is_open_until_a_second_person_grants_it(town, returned, analyst, auditor):
    assert open_beside(town, auditor, returned) == []

    glass = break_glass.ask(kind="values", round_=town.round, cluster=town.cluster, by=auditor, reason=WHY)
    assert open_beside(town, auditor, returned) == []
    break_glass.decide(glass, by=analyst, grant=True)

    assert open_beside(town, auditor, returned) == ["return.read_submitted"]
    glass.refresh_from_db()
    assert glass.ends_at - glass.granted_at == timedelta(minutes=60)


def test_it_ends_by_itself_by_the_databases_clock(town, returned, analyst, auditor):
    glass = granted(town, "values", by=auditor, second=analyst)
    over(glass)

    assert open_beside(town, auditor, returned) == []
    with pytest.raises(DomainError, match="over"):
        break_glass.open_values(glass, returned, by=auditor)
    assert door(auditor).get(reverse("facts:break-glass-return", args=[glass.pk, returned.pk])).status_code == 404


def test_it_opens_this_cluster_and_round_for_this_person_only(town, returned, analyst, auditor):
    other = Town(units=1)
    glass = break_glass.ask(kind="values", round_=town.round, cluster=other.cluster, by=auditor, reason=WHY)
    break_glass.decide(glass, by=analyst, grant=True)
    assert open_beside(town, auditor, returned) == []

    granted(town, "values", by=auditor, second=analyst)
    assert open_beside(town, person("auditor"), returned) == []
    assert open_beside(town, auditor, returned) == ["return.read_submitted"]


@pytest.mark.parametrize(
    "kind, role, action", [("names", "analyst", "unit_identity.read"), ("export", "analyst", "values.export")]
)
def test_each_kind_opens_one_door(town, returned, kind, role, action):
    asker = person(role)
    before = open_beside(town, asker, returned)
    granted(town, kind, by=asker, second=person("auditor"))

    assert set(open_beside(town, asker, returned)) - set(before) == {action}


def test_nobody_grants_to_oneself_not_even_past_the_service(town, analyst):
    glass = break_glass.ask(kind="names", round_=town.round, cluster=town.cluster, by=analyst, reason=WHY)

    with pytest.raises(DomainError, match="second person"):
        break_glass.decide(glass, by=analyst, grant=True)
    with pytest.raises(IntegrityError), transaction.atomic():
        BreakGlass.objects.filter(pk=glass.pk).update(
            state="granted", granted_by=analyst, granted_at=Now(), ends_at=Now() + timedelta(minutes=60)
        )


def test_the_database_holds_the_hour(town, analyst, auditor):
    waiting = break_glass.ask(kind="names", round_=town.round, cluster=town.cluster, by=analyst, reason=WHY)
    with pytest.raises(IntegrityError), transaction.atomic():
        BreakGlass.objects.filter(pk=waiting.pk).update(
            state="granted", granted_by=auditor, granted_at=Now(), ends_at=Now() + timedelta(minutes=61)
        )
    break_glass.decide(waiting, by=auditor, grant=True)

    for change in ({"ends_at": Now() + timedelta(minutes=1)}, {"cluster": Town(units=1).cluster}, {"kind": "export"}):
        with pytest.raises(DatabaseError), transaction.atomic():
            BreakGlass.objects.filter(pk=waiting.pk).update(**change)
    with pytest.raises(DatabaseError), transaction.atomic():
        BreakGlass.objects.filter(pk=waiting.pk).delete()


@pytest.mark.parametrize("role, kind", [("analyst", "values"), ("auditor", "names"), ("auditor", "export")])
def test_a_role_asks_for_its_own_kinds_only(town, role, kind):
    with pytest.raises(DomainError, match="role"):
        break_glass.ask(kind=kind, round_=town.round, cluster=town.cluster, by=person(role), reason=WHY)


@pytest.mark.parametrize("role", ["entry", "head", "staff", "supervisor", "viewer", "admin"])
def test_other_roles_neither_ask_nor_grant_nor_see(town, analyst, role):
    glass = break_glass.ask(kind="names", round_=town.round, cluster=town.cluster, by=analyst, reason=WHY)
    user = getattr(town, role, None) or person(role)

    with pytest.raises(PermissionDenied):
        break_glass.decide(glass, by=user, grant=True)
    assert door(user).get(reverse("facts:break-glasses")).status_code == 403
    assert door(user).post(reverse("facts:break-glass", args=[glass.pk]), {"grant": "1"}).status_code == 403


def test_a_wish_needs_a_reason_and_stands_once(town, analyst):
    with pytest.raises(DomainError, match="why"):
        break_glass.ask(kind="names", round_=town.round, cluster=town.cluster, by=analyst, reason="x")
    break_glass.ask(kind="names", round_=town.round, cluster=town.cluster, by=analyst, reason=WHY)
    with pytest.raises(Conflict):
        break_glass.ask(kind="names", round_=town.round, cluster=town.cluster, by=analyst, reason=WHY)


def test_an_old_wish_is_not_granted(town, analyst, auditor):
    glass = break_glass.ask(kind="names", round_=town.round, cluster=town.cluster, by=analyst, reason=WHY)
    BreakGlass.objects.filter(pk=glass.pk).update(asked_at=Now() - timedelta(hours=25))

    with pytest.raises(Conflict):
        break_glass.decide(glass, by=auditor, grant=True)
    break_glass.decide(glass, by=auditor, grant=False)


def test_the_reason_lies_sealed_and_is_in_no_event(town, analyst, auditor):
    glass = granted(town, "names", by=analyst, second=auditor)

    assert break_glass.reasons_of([glass]) == {glass.pk: WHY}
    assert WHY not in str(list(Event.objects.values_list("detail", flat=True)))
    assert WHY.encode() not in b"".join(bytes(row.payload) for row in SealedText.objects.all())


def test_without_the_clock_the_gate_goes_red(town, returned, analyst, auditor, monkeypatch):
    """Mutation: a scope that forgets when the hour ends."""
    glass = granted(town, "values", by=auditor, second=analyst)
    over(glass)
    whole = permissions.broken_glass("values")

    def timeless(grant):
        q = whole(grant)
        q.children = [one for one in q.children if not (isinstance(one, tuple) and one[0].endswith("ends_at__gt"))]
        return q

    monkeypatch.setitem(policy.matrix()["return.read_submitted"], policy.Role.AUDITOR, timeless)

    assert open_beside(town, auditor, returned) == ["return.read_submitted"]


# --- What is opened -----------------------------------------------------------------------------------


def test_an_auditor_reads_values_and_every_opening_is_an_event(town, returned, analyst, auditor):
    glass = granted(town, "values", by=auditor, second=analyst)
    client = door(auditor)

    listed = client.get(reverse("facts:break-glass", args=[glass.pk]))
    page = client.get(reverse("facts:break-glass-return", args=[glass.pk, returned.pk]))
    client.get(reverse("facts:break-glass-return", args=[glass.pk, returned.pk]))

    assert returned.subject in listed.content.decode()
    assert SPELT in page.content.decode() and "Canary Works" not in page.content.decode()
    opened = Event.objects.filter(action="return.open", actor=auditor, object_id=str(returned.pk))
    assert [event.detail["purpose"] for event in opened] == [f"break-glass {glass.pk}"] * 2
    head_sees = opening.openings_page(town.head)[0]
    assert sum(one.why == f"break-glass {glass.pk}" for one in head_sees) == 2
    assert [one.act for one in head_sees if "granted" in one.act]
    assert first_broken() is None


def test_an_analyst_reads_names_and_no_answers(town, returned, analyst, auditor):
    glass = granted(town, "names", by=analyst, second=auditor)

    page = door(analyst).get(reverse("facts:break-glass", args=[glass.pk])).content.decode()

    assert "Canary Works 0" in page and SPELT not in page
    event = Event.objects.get(action="unit.identity", actor=analyst)
    assert event.detail == {"purpose": f"break-glass {glass.pk}", "count": 3}
    # Who granted it sees the wish, not what it opens.
    assert "Canary" not in door(auditor).get(reverse("facts:break-glass", args=[glass.pk])).content.decode()


def test_the_file_of_values_has_no_name_and_tells_of_each_return(town, returned, analyst, auditor):
    glass = granted(town, "export", by=analyst, second=auditor)

    answer = door(analyst).get(reverse("facts:break-glass-file", args=[glass.pk]))
    (row,) = csv.DictReader(io.StringIO(answer.content.decode("utf-8-sig")))

    assert row["unit"] == returned.subject and row["UC01"] == str(CANARY)
    assert "Canary" not in answer.content.decode() and answer["Cache-Control"] == "no-store"
    assert Event.objects.filter(action="return.open", actor=analyst, object_id=str(returned.pk)).count() == 1
    assert Event.objects.get(action="values.export").detail["returns"] == 1
    assert door(auditor).get(reverse("facts:break-glass-file", args=[glass.pk])).status_code == 404


def test_names_come_in_parts(town, analyst, auditor):
    FrameEntry.objects.filter(round=town.round).exclude(unit__in=town.units[:2]).delete()
    glass = granted(town, "names", by=analyst, second=auditor)

    rows, total = break_glass.open_names(glass, by=analyst, start=1, count=1)

    assert total == 2 and [row["frame_id"] for row in rows] == [town.units[1].frame_id]


# --- Told ---------------------------------------------------------------------------------------------


def test_the_heads_are_told_by_mail_once_without_reason_or_name(town, analyst, auditor):
    town.head.email = "head@example.org"
    town.head.save(update_fields=["email"])
    glass = granted(town, "names", by=analyst, second=auditor)
    job = Job.objects.get(kind="facts.tell_break_glass")

    ledger.run(job.pk, heartbeat=False)
    Job.objects.filter(pk=job.pk).update(state="queued")
    ledger.run(job.pk, heartbeat=False)

    (message,) = mail.outbox
    assert message.to == ["head@example.org"] and town.cluster.name in message.subject
    assert WHY not in message.body and analyst.username not in message.body
    assert reverse("facts:openings") in message.body
    glass.refresh_from_db()
    assert glass.told_at is not None
    assert job.args == {"glass": glass.pk}


def test_the_head_sees_the_running_hour_on_its_page(town, analyst, auditor):
    glass = granted(town, "names", by=analyst, second=auditor)
    client = door(town.head)
    assert "Open now" in client.get(reverse("facts:openings")).content.decode()

    over(glass)
    assert "Open now" not in client.get(reverse("facts:openings")).content.decode()


# --- Pages ----------------------------------------------------------------------------------------------


def test_ask_and_grant_on_the_pages(town, analyst, auditor):
    asked = {"kind": "names", "round": town.round.year, "cluster": town.cluster.code, "reason": WHY}
    refused = door(analyst).post(reverse("facts:break-glasses"), asked | {"reason": "no"})
    assert refused.status_code == 409 and "at least" in refused.content.decode()

    there = door(analyst).post(reverse("facts:break-glasses"), asked)
    glass = BreakGlass.objects.get()
    assert there.status_code == 302 and there.url == reverse("facts:break-glass", args=[glass.pk])
    own = door(analyst).post(there.url, {"grant": "1"})
    assert own.status_code == 409
    assert WHY.split(";")[0] in door(auditor).get(there.url).content.decode()
    assert door(auditor).post(there.url, {"grant": "1"}).status_code == 302
    again = door(auditor).post(there.url, {"decline": "1"})
    assert again.status_code == 409

    listed = door(auditor).get(reverse("facts:break-glasses")).content.decode()
    assert "Open until" in listed


def test_who_gave_the_password_long_ago_gives_it_again_first(town, analyst):
    client = door(analyst)
    session = client.session
    session["sure_at"] = 0
    session.save()
    asked = {"kind": "names", "round": town.round.year, "cluster": town.cluster.code, "reason": WHY}

    answer = client.post(reverse("facts:break-glasses"), asked)

    assert answer.status_code == 302 and reverse("accounts:again") in answer.url
    assert not BreakGlass.objects.exists()
