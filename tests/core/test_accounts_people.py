"""Who invites whom, what takes two administrators, and how a role ends."""

import io
import re

import pytest
from django.core import mail
from django.core.management import CommandError, call_command
from django.db import IntegrityError, transaction
from django.test import Client
from django.urls import reverse

from clusters import people
from clusters.models import Membership
from core import policy
from core.accounts.models import Invitation, User
from core.accounts.people import find
from core.audit.models import Event
from core.base import Conflict, DomainError
from core.jobs import ledger
from core.jobs.models import Job
from core.policy import Role
from tests.factories import OrganisationFactory, person

pytestmark = pytest.mark.django_db
PASSWORD = "seven lean herons at dusk"


def run_jobs() -> None:
    for job in Job.objects.filter(state="queued").order_by("pk"):
        ledger.run(job.pk, heartbeat=False)


def link_in_mail() -> str:
    return re.search(r"https?://[^/]+(/accounts/\S+)", mail.outbox[-1].body)[1]


def door(user) -> Client:
    client = Client()
    client.force_login(user)
    return client


def take_up(link: str, username: str = "amina"):
    given = {"username": username, "display_name": "Amina", "password": PASSWORD, "again": PASSWORD}
    return Client().post(link, given)


def roles_of(user) -> set:
    return {(grant.role, grant.organisation_id) for grant in policy.grants_of(User.objects.get(pk=user.pk))}


def test_a_head_invites_who_types_in_and_the_role_counts_once_taken_up(town):
    answer = door(town.head).post(
        reverse("people:invite"),
        {"email": "Amina@Example.org", "role": "entry", "organisation": town.association.pk},
    )
    assert answer.status_code == 302
    run_jobs()
    assert mail.outbox[0].to == ["amina@example.org"]
    link = link_in_mail()
    assert Client().get(link).status_code == 200 and not User.objects.filter(username="amina").exists()

    take_up(link)

    user = User.objects.get(username="amina")
    assert user.email == "amina@example.org" and user.check_password(PASSWORD)
    assert (Role.ENTRY, town.association.pk) in roles_of(user)
    assert take_up(link, "somebody").status_code == 404
    assert link.rstrip("/").rpartition("/")[2] not in str(list(Job.objects.values())) + str(
        list(Invitation.objects.values())
    )
    acts = Event.objects.filter(object_type="accounts.invitation").values_list("action", flat=True)
    assert list(acts) == ["people.invite", "people.accept"]
    assert "example.org" not in str(list(Event.objects.values("detail")))


def test_nobody_takes_another_persons_address_for_a_user_name(town):
    owner = person("entry", OrganisationFactory(), email="owner@example.org")
    people.invite("a@example.org", "entry", town.association, by=town.head)
    run_jobs()

    answer = take_up(link_in_mail(), "Owner@example.org")

    assert answer.status_code == 200 and find("owner@example.org") == owner
    assert take_up(link_in_mail(), "a@example.org").status_code == 302


def giver(town, who: str):
    return {"admin": lambda: person("admin"), "entry": lambda: town.entry}.get(who, lambda: getattr(town, who))()


@pytest.mark.parametrize("who", ["head", "supervisor", "staff", "entry"])
@pytest.mark.parametrize("role", [role.value for role in Role.signed_in()])
def test_everybody_invites_only_whom_they_may(town, who, role):
    by = giver(town, who)
    allowed = {"head": {("entry", town.association)}, "supervisor": {("staff", town.agency)}}.get(who, set())
    done = set()
    for organisation in (town.association, town.agency, OrganisationFactory(), None):
        try:
            with transaction.atomic():
                people.invite("a@example.org", role, organisation, by=by)
            done.add((role, organisation))
        except DomainError:
            pass

    assert done == {one for one in allowed if one[0] == role}


def test_the_office_takes_two_administrators(town):
    first, second = person("admin"), person("admin")
    offer = people.invite("a@example.org", "analyst", None, by=first)
    run_jobs()
    assert offer.state == "proposed" and not mail.outbox
    for by in (first, town.head, town.supervisor):
        with pytest.raises(DomainError):
            people.confirm(offer, by=by)

    people.confirm(offer, by=second)

    run_jobs()
    take_up(link_in_mail())
    assert (Role.ANALYST, None) in roles_of(User.objects.get(username="amina"))
    with pytest.raises(Conflict):
        people.confirm(offer, by=second)


def test_the_database_refuses_an_office_role_by_one():
    admin = person("admin")
    for confirmed_by in (None, admin):
        with pytest.raises(IntegrityError), transaction.atomic():
            Invitation.objects.create(
                email="a@example.org", role="admin", state="open", made_by=admin, confirmed_by=confirmed_by
            )


def test_an_offer_is_made_once_and_anew_after_it_was_withdrawn(town):
    offer = people.invite("a@example.org", "entry", town.association, by=town.head)
    with pytest.raises(DomainError, match="already"):
        people.invite("A@example.org", "entry", town.association, by=town.head)

    people.withdraw(offer, by=town.head)

    assert people.invite("a@example.org", "entry", town.association, by=town.head).state == "open"


def test_an_invitation_ends_after_a_week_or_when_withdrawn(town):
    offer = people.invite("a@example.org", "entry", town.association, by=town.head)
    run_jobs()
    link = link_in_mail()
    Invitation.objects.filter(pk=offer.pk).update(expires_at=offer.made_at)
    assert take_up(link).status_code == 404
    people.invite("a@example.org", "entry", town.association, by=town.head)  # the first ran out
    run_jobs()
    link = link_in_mail()
    people.withdraw(Invitation.objects.get(state="open"), by=town.head)

    assert take_up(link).status_code == 404 and not User.objects.filter(username="amina").exists()


def test_somebody_with_an_account_takes_up_a_role_with_it_and_signs_in_anew(town):
    user = person("entry", town.association)
    user.set_password(PASSWORD)
    user.save()
    people.invite("a@example.org", "head", town.association, by=person("admin"))
    run_jobs()
    client = Client()
    client.post("/accounts/sign-in/", {"username": user.username, "password": PASSWORD})

    client.post(link_in_mail())

    assert (Role.HEAD, town.association.pk) in roles_of(user)
    assert client.get("/workspace/").status_code == 302  # the role asks for a second factor first


def test_a_stranger_is_told_nothing_more_of_an_address_that_is_known(town):
    person("entry", OrganisationFactory(), email="known@example.org")
    answers = []
    for email in ("known@example.org", "knewn@example.org"):
        client = door(town.head)
        client.post(reverse("people:invite"), {"email": email, "role": "entry", "organisation": town.association.pk})
        page = client.get(reverse("people:list")).content.decode()
        Invitation.objects.all().delete()
        answers.append(re.sub(r'csrfmiddlewaretoken" value="\w+"|/offers/\d+/', "", page.replace(email, "@")))

    assert answers[0] == answers[1]


def test_an_ended_role_counts_no_more_and_takes_its_offers_along(town):
    client = door(town.head)
    people.invite("a@example.org", "entry", town.association, by=town.head)
    membership = Membership.objects.get(user=town.head)

    people.end_membership(membership, by=person("admin"))

    assert (Role.HEAD, town.association.pk) not in roles_of(town.head)
    assert client.get("/workspace/").status_code == 302
    assert Invitation.objects.get().state == "withdrawn"


def test_a_head_ends_only_who_types_in_for_the_same_organisation(town):
    stranger = person("entry", OrganisationFactory())
    client = door(town.head)
    ended = []
    for user in (town.entry, town.head, town.supervisor, stranger):
        row = Membership.objects.get(user=user)
        answer = client.post(reverse("people:person", args=[row.pk]), {"act": "end"})
        row.refresh_from_db()
        ended.append((answer.status_code, row.ends_on is not None))

    assert ended == [(302, True), (404, False), (404, False), (404, False)]


def test_the_last_administrator_stays_and_nobody_ends_themselves():
    first, second = person("admin"), person("admin")
    of = {user: Membership.objects.get(user=user) for user in (first, second)}
    with pytest.raises(DomainError, match="your own"):
        people.end_membership(of[first], by=first)
    people.end_membership(of[second], by=first)

    with pytest.raises(DomainError, match="last administrator"):
        people.end_membership(of[first], by=second)


def test_only_an_administrator_takes_a_lost_second_factor_away(town):
    from core.accounts import second_factor

    second_factor.set_up(town.entry, second_factor.new_secret(), 0)
    row = Membership.objects.get(user=town.entry)
    at = reverse("people:person", args=[row.pk])

    assert door(town.head).post(at, {"act": "forget"}).status_code == 403
    assert second_factor.is_set_up(town.entry)
    door(person("admin")).post(at, {"act": "forget"})
    assert not second_factor.is_set_up(town.entry)


def test_an_old_session_presses_nothing(town):
    client = door(town.head)
    session = client.session
    session["sure_at"] -= 16 * 60
    session.save()
    row = Membership.objects.get(user=town.entry)

    answer = client.post(reverse("people:person", args=[row.pk]), {"act": "end"})

    row.refresh_from_db()
    assert answer.url.startswith(reverse("accounts:again")) and row.ends_on is None


def test_the_first_administrator_comes_from_the_command_line_and_no_second(monkeypatch):
    monkeypatch.setattr("getpass.getpass", lambda prompt: PASSWORD)
    call_command("first_admin", "ada", "ada@example.org", stdout=io.StringIO())
    assert (Role.ADMIN, None) in roles_of(User.objects.get(username="ada"))

    with pytest.raises(CommandError, match="There is an administrator"):
        call_command("first_admin", "bob", "bob@example.org")
