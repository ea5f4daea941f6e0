"""Personal links: what is stored, how long they live, and from whom a unit's answers are sealed."""

import csv
import datetime as dt
import io
import re

import pytest
from django.contrib.auth import get_user_model
from django.core.exceptions import PermissionDenied
from django.db import IntegrityError, connection, transaction
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from clusters.models import Membership
from core import policy
from core.audit.models import Event
from core.base import DomainError
from facts.models import FrameEntry, Return, Round, UnitLink
from facts.services import collectors, invitations, links
from facts.services.drafts import save_answers
from facts.services.imports import Row, save_drafts
from facts.services.reading import history_of
from facts.services.submission import submit
from facts.services.units import keep_identities
from facts.vault import store
from tests.factories import OrganisationFactory, Town, UnitFactory, open_round, person
from tests.facts.valid_returns import UNIT

REASON = "The strike kept the offices closed."


@pytest.fixture
def link(town):
    """A link of the first unit, and its token."""
    token = links.make_link(town.units[0], town.round, by=town.head)
    found = links.find_link(token)
    found.token = token
    return found


def opened(link) -> Return:
    links.open_link(link)
    rows = Return.objects.select_related("round__instrument", "cluster__country")
    return rows.get(round=link.round, unit=link.unit)


def save(ret, by, **answers):
    ret.refresh_from_db()
    return save_answers(ret, {code: str(v) for code, v in answers.items()}, by=by, expected_revision=ret.revision)


def begun_by_association(town) -> Return:
    rows = [Row(town.units[0].frame_id, UNIT, "row 2")]
    outcome = save_drafts(round_=town.round, schedule_code="UNIT", rows=rows, by=town.entry, channel="web")
    return Return.objects.select_related("round__instrument", "cluster__country").get(pk=outcome.returns[0].pk)


def test_the_token_is_long_random_and_kept_nowhere(town, link):
    assert re.fullmatch(r"[A-Za-z0-9_-]{32}", link.token)  # 192 bits
    with connection.cursor() as cursor:
        for table in connection.introspection.table_names(cursor):
            cursor.execute(f'SELECT * FROM "{table}"')
            assert link.token not in str(cursor.fetchall()), table
    assert links.make_link(town.units[1], town.round, by=town.head) != link.token


def test_wrong_expired_revoked_and_replaced_links_are_alike_and_cost_the_same(town, link):
    def cost(token):
        with CaptureQueriesContext(connection) as queries:
            assert links.find_link(token) is None
        return len(queries)

    wrong = cost("x" * 32)
    newer = links.make_link(link.unit, town.round, by=town.head)
    assert cost(link.token) == wrong == 1
    assert links.find_link(newer).unit == link.unit
    UnitLink.objects.update(expires_at=timezone.now() - dt.timedelta(seconds=1))
    assert cost(newer) == wrong
    UnitLink.objects.update(expires_at=timezone.now() + dt.timedelta(days=1))
    links.revoke_link(UnitLink.objects.get(revoked_at=None), by=town.head)
    assert cost(newer) == cost("") == cost("ü\x00" * 300) == wrong


def test_a_unit_has_one_living_link_a_round(town, link):
    with pytest.raises(IntegrityError), transaction.atomic():
        user = get_user_model().objects.create(username="another")
        UnitLink.objects.create(
            round=town.round,
            unit=link.unit,
            user=user,
            token_digest="another",
            made_by=town.head,
            expires_at=timezone.now(),
        )


def test_a_link_lives_as_long_as_its_return_can_be_changed(town, link):
    assert link.expires_at.date() == town.round.closes_on + dt.timedelta(days=1)  # midnight after the last day
    until = town.round.closes_on + dt.timedelta(days=9)
    invitations.extend(town.round, town.cluster, until=until, reason=REASON, by=town.supervisor)
    link.refresh_from_db()
    assert link.expires_at.date() == until + dt.timedelta(days=1)
    Round.objects.filter(pk=town.round.pk).update(editing_until=until + dt.timedelta(days=20))
    town.round.refresh_from_db()
    links.make_link(town.units[1], town.round, by=town.head)
    assert UnitLink.objects.first().expires_at.date() == until + dt.timedelta(days=21)


def test_no_link_is_made_that_would_open_nothing(town):
    with pytest.raises(DomainError, match="not in the frame"):
        links.make_link(UnitFactory(cluster=town.cluster), town.round, by=town.head)
    FrameEntry.objects.filter(unit=town.units[0]).update(drawn=False)
    with pytest.raises(DomainError, match="not in the sample"):
        links.make_link(town.units[0], town.round, by=town.head)
    Round.objects.filter(pk=town.round.pk).update(closes_on=timezone.localdate() - dt.timedelta(days=1))
    town.round.refresh_from_db()
    with pytest.raises(DomainError, match="ended on"):
        links.make_link(town.units[1], town.round, by=town.head)
    assert not get_user_model().objects.filter(username__startswith="link-").exists()


def test_who_stands_for_a_link_has_no_password_and_one_role(link):
    assert not link.user.has_usable_password()
    assert list(Membership.objects.filter(user=link.user).values_list("role", "unit", "organisation")) == [
        ("link", link.unit_id, None)
    ]


def test_the_holder_has_this_return_and_no_other(town, link):
    before = Return.objects.create(
        round=open_round(2025, state="closed"),
        schedule="UNIT",
        subject=link.unit.frame_id,
        unit=link.unit,
        cluster=town.cluster,
        collector=town.association,
    )
    rows = [Row(unit.frame_id, {"UA01": 1}, "row") for unit in town.units[1:]]
    save_drafts(round_=town.round, schedule_code="UNIT", rows=rows, by=town.entry, channel="web")
    ret = opened(link)

    for action in ("read", "read_draft", "write", "submit", "read_submitted", "share"):
        found = policy.scope(link.user, f"return.{action}", Return.objects.all())
        assert list(found) == [ret], action
    for action, row in policy.matrix().items():
        if policy.Role.LINK in row and not action.startswith(("return.", "query.", "site.", "benchmark.", "upload.")):
            raise AssertionError(f"{action} is open to who holds a personal link")
    assert before.pk != ret.pk


def test_the_rights_end_with_the_link_in_the_middle_of_a_session(town, link):
    ret, user = opened(link), link.user
    assert policy.allowed(user, "return.write", ret)

    UnitLink.objects.filter(pk=link.pk).update(expires_at=timezone.now() - dt.timedelta(seconds=1))
    assert not policy.allowed(user, "return.read", ret)
    UnitLink.objects.filter(pk=link.pk).update(expires_at=timezone.now() + dt.timedelta(days=1))
    links.revoke_link(link, by=town.head)
    assert not policy.allowed(get_user_model().objects.get(pk=user.pk), "return.read", ret)


def test_an_answer_over_the_link_is_sealed_from_the_association(town, link):
    ret = opened(link)
    save(ret, link.user, UC01=7_654_321)

    ret.refresh_from_db()
    assert (ret.collector, ret.channel) == (None, "link")
    for user in (town.entry, town.head):
        assert policy.allowed(user, "return.read", ret)  # that it is there, and its state
        for action in ("read_draft", "write", "submit", "read_submitted"):
            assert not policy.allowed(user, f"return.{action}", ret), action
    other = Town(units=1)
    assert not policy.allowed(other.head, "return.read", ret)


def test_a_draft_of_the_association_is_sealed_on_the_first_save(town, link):
    ret = begun_by_association(town)
    assert links.landing(link).begun_by == town.association
    assert opened(link) == ret
    ret.refresh_from_db()
    assert ret.collector == town.association  # looking in takes nothing away

    save(ret, link.user, UB08=31)

    ret.refresh_from_db()
    assert ret.collector is None
    assert not policy.allowed(town.entry, "return.read_draft", ret)
    assert Event.objects.filter(action="return.sealed", object_id=str(ret.pk), actor=link.user).count() == 1


def handed_in(link) -> Return:
    """The return of a link, valid and handed in over it."""
    ret = opened(link)
    rows = [Row(link.unit.frame_id, UNIT, "the form")]
    outcome = save_drafts(round_=link.round, schedule_code="UNIT", rows=rows, by=link.user, channel="link")
    assert not outcome.refused
    ret = Return.objects.select_related("round__instrument", "cluster__country").get(pk=ret.pk)
    submit([ret], by=link.user, certified_name="Owner")
    return ret


READING = {"return.read", "return.read_submitted", "return.read_shared", "benchmark.read"}


def test_sharing_gives_reading_of_what_was_handed_in_and_nothing_else(town, link):
    ret = opened(link)
    links.share(ret, by=link.user, shared=True)
    for user in (town.entry, town.head, person("client", town.association)):
        for action in ("read_draft", "write", "submit", "export"):
            assert not policy.allowed(user, f"return.{action}", ret), action
    save(ret, link.user, UB08=31)
    ret.refresh_from_db()
    assert (ret.collector, ret.shared_with) == (None, town.association)

    for state in ("submitted", "accepted", "sent_back"):
        Return.objects.filter(pk=ret.pk).update(state=state, version=1, submitted_at=timezone.now())
        for user in (town.entry, town.head):
            about_returns = [a for a in policy.matrix() if a.startswith(("return.", "query.", "benchmark."))]
            about_returns.append("unit_identity.read")
            assert {a for a in about_returns if policy.allowed(user, a, ret)} == READING
    stranger = person("head", OrganisationFactory())
    assert not policy.allowed(stranger, "return.read_submitted", ret)

    links.share(ret, by=link.user, shared=False)
    assert not policy.allowed(town.entry, "return.read_submitted", ret)
    acts = Event.objects.filter(object_id=str(ret.pk), action__in=["return.shared", "return.sealed"]).order_by("seq")
    assert list(acts.values_list("action", flat=True)) == ["return.shared", "return.sealed"]


def test_sharing_a_draft_that_the_association_began_takes_the_writing_away(town, link):
    ret = begun_by_association(town)
    links.share(ret, by=link.user, shared=True)

    for action in ("read_draft", "write", "submit"):
        assert not policy.allowed(town.head, f"return.{action}", ret), action


@pytest.mark.parametrize("is_ended", [False, True])
def test_the_association_cannot_remake_a_link_that_was_opened(town, link, is_ended):
    ret = handed_in(link)
    if is_ended:
        links.revoke_link(link, by=town.head)

    with pytest.raises(DomainError, match="opened its link.*ask its supervisor"):
        links.make_link(link.unit, town.round, by=town.head)

    assert UnitLink.objects.count() == 1
    assert links.find_link(link.token) is None if is_ended else links.find_link(link.token) == link
    assert not Event.objects.filter(object_id=str(ret.pk), action="return.link_made").exists()


def test_the_agency_replaces_an_opened_link_with_a_reason_and_the_firm_reads_it(town, link):
    ret = handed_in(link)
    for reason in ("", "lost it", " " * 20):
        with pytest.raises(DomainError, match="at least 10"):
            links.replace_link(link.unit, town.round, by=town.supervisor, reason=reason)
    for by in (town.head, town.staff, Town(units=1).supervisor):
        with pytest.raises(PermissionDenied):
            links.replace_link(link.unit, town.round, by=by, reason=REASON)

    token = links.replace_link(link.unit, town.round, by=town.supervisor, reason=REASON)

    assert links.find_link(link.token) is None
    newer = links.find_link(token)
    assert links.open_link(newer) == ret
    lines = history_of(ret, for_user=newer.user, with_openings=True)
    told = [(line["title"], line["by"]) for line in lines if line["title"].startswith("Personal link")]
    assert told == [
        ("Personal link opened", "whoever held the link"),
        ("Personal link replaced", f"supervisor, {town.agency.name}"),
        ("Personal link opened", "whoever held the link"),
    ]
    assert REASON not in str(list(Event.objects.values_list("detail", flat=True)))
    assert store.texts_of([f"link:{newer.pk}"])[f"link:{newer.pk}"][0]["text"] == REASON
    with pytest.raises(DomainError, match="opened its link"):
        links.make_link(link.unit, town.round, by=town.head)


def test_the_history_of_a_return_tells_that_a_link_was_made_for_it(town):
    ret = begun_by_association(town)
    links.make_link(town.units[0], town.round, by=town.head)

    lines = history_of(ret, for_user=town.entry, with_openings=True)
    assert ("Personal link made", f"head, {town.association.name}") in [(one["title"], one["by"]) for one in lines]


def test_the_file_of_links_leaves_out_who_opened_one(town, link):
    assert town.units[0] in links.units_without_return(town.round, town.cluster)
    UnitLink.objects.filter(pk=link.pk).update(used_at=timezone.now())  # opened, and nothing stands in the return
    assert town.units[0] not in links.units_without_return(town.round, town.cluster)


def test_what_was_shared_with_the_association_does_not_pass_on_to_another(town, link):
    ret = opened(link)
    links.share(ret, by=link.user, shared=True)
    institute = OrganisationFactory()
    institute_entry = person("entry", institute)

    Return.objects.filter(pk=ret.pk).update(state="submitted", version=1, submitted_at=timezone.now())
    assert collectors.appoint(town.round, town.cluster, institute, by=town.supervisor, reason=REASON) == 0

    assert policy.allowed(town.entry, "return.read_submitted", ret)
    assert not policy.allowed(institute_entry, "return.read_submitted", ret)
    assert not policy.allowed(institute_entry, "return.read_draft", ret)


def test_a_unit_hands_in_by_itself(town, link):
    rows = [Row(link.unit.frame_id, UNIT, "the form")]
    opened(link)
    save_drafts(round_=town.round, schedule_code="UNIT", rows=rows, by=link.user, channel="link")
    ret = Return.objects.select_related("round__instrument", "cluster__country").get(unit=link.unit)

    receipts = submit([ret], by=link.user, certified_name="Owner")

    assert receipts[ret.pk] and ret.collector is None
    assert policy.allowed(link.user, "return.read_submitted", ret)
    assert not policy.allowed(town.head, "return.read_submitted", ret)


def test_one_file_holds_a_link_for_every_unit_that_has_not_begun(town):
    keep_identities({town.units[1].pk: {"name": "=cmd|' /C calc'!A0 Works"}, town.units[2].pk: {"name": "Blue Yard"}})
    begun_by_association(town)

    content, count = links.links_file(
        town.round, town.cluster, by=town.head, address=lambda token: f"https://x/{token}"
    )

    rows = list(csv.DictReader(io.StringIO(content.decode("utf-8-sig"))))
    assert count == len(rows) == 2
    assert {row["unit"] for row in rows} == {unit.frame_id for unit in town.units[1:]}
    assert {row["name"] for row in rows} == {"'=cmd|' /C calc'!A0 Works", "Blue Yard"}
    for row in rows:
        assert links.find_link(row["link"].removeprefix("https://x/")).unit.frame_id == row["unit"]
    told = Event.objects.get(action="link.file")
    assert told.detail == {"round": 2026, "links": 2, "names": 2}


def test_links_for_many_units_cost_few_queries(town):
    def cost(n):
        units = [UnitFactory(cluster=town.cluster) for _ in range(n)]
        FrameEntry.objects.bulk_create(
            [FrameEntry(round=town.round, unit=u, cluster=town.cluster, size=1, prior_employment=1) for u in units]
        )
        with CaptureQueriesContext(connection) as queries:
            links.make_links(units, town.round, by=town.head)
        return len(queries)

    assert cost(2) == cost(60)
