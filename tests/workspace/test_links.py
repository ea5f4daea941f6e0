"""A personal link in a browser's hands: what it opens, what it does not, and what a mail scanner cannot do to it."""

import datetime as dt
import re

import pytest
from django.core.cache import cache
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from core.policy.checks import routes
from facts.models import FrameEntry, Return, Round, UnitLink
from facts.services import links
from facts.services.drafts import explain
from facts.services.imports import Row, save_drafts
from facts.services.reading import draft_of, judged
from facts.services.submission import submit
from tests.factories import OrganisationFactory, Town, person
from tests.facts.valid_returns import UNIT

FIGURE = re.compile("9,?6,?5,?4,?3,?2,?1")  # however its digits are grouped


@pytest.fixture(autouse=True)
def _fresh_counts():
    cache.clear()
    yield
    cache.clear()


@pytest.fixture
def address(town) -> str:
    return reverse("facts:link", args=[links.make_link(town.units[0], town.round, by=town.head)])


@pytest.fixture
def holder(address):
    """A browser that came in by the link, and its return."""
    client = Client()
    answer = client.post(address)
    assert answer.status_code == 302
    client.ret = Return.objects.select_related("round__instrument", "cluster").get()
    assert answer.url == client.ret.get_absolute_url()
    return client


def test_looking_at_a_link_signs_nobody_in_and_uses_nothing_up(address, words, town):
    client = Client()

    for _ in range(3):
        answer = client.get(address)
        client.head(address)

    assert answer.status_code == 200 and "_auth_user_id" not in client.session
    assert not Return.objects.exists() and UnitLink.objects.get().used_at is None
    page = words(answer)
    assert town.units[0].frame_id in page and "used for statistics only" in page
    assert answer["Referrer-Policy"] == "strict-origin" and "no-store" in answer["Cache-Control"]


def test_a_press_opens_the_one_return_for_three_hours(holder, town, words):
    assert holder.session.get_expiry_age() == links.SESSION_SECONDS == 3 * 3600
    hub = words(holder.get(holder.ret.get_absolute_url()))
    assert town.units[0].frame_id in hub and "Let my association read what I hand in" in hub
    assert UnitLink.objects.get().used_at is not None
    assert Return.objects.get().channel == "link"


def test_a_second_press_finds_the_same_return(holder, address):
    assert Client().post(address).url == holder.ret.get_absolute_url()
    assert Return.objects.count() == 1


def test_every_link_that_opens_nothing_shows_one_page(address, town):
    living = Client().get(address)
    wrong = Client().get(reverse("facts:link", args=["x" * 32]))
    newer = reverse("facts:link", args=[links.make_link(town.units[0], town.round, by=town.head)])
    replaced = Client().get(address)
    UnitLink.objects.update(expires_at=timezone.now() - dt.timedelta(seconds=1))
    expired = Client().get(newer)
    posted = Client(enforce_csrf_checks=False).post(newer)

    assert living.status_code == 200
    assert {answer.status_code for answer in (wrong, replaced, expired, posted)} == {404}
    assert len({answer.content for answer in (wrong, replaced, expired, posted)}) == 1
    assert b"This link opens nothing" in wrong.content
    assert "_auth_user_id" not in Client().session


def test_an_address_that_guesses_is_no_longer_listened_to(address):
    guesser = Client()
    for n in range(40):
        assert guesser.get(reverse("facts:link", args=[f"guess-{n}"])).status_code == 404

    assert guesser.get(address).status_code == 404
    assert Client(REMOTE_ADDR="10.9.8.7").get(address).status_code == 200


ARGS = {"pk": 1, "year": 2026, "code": "PK-TST", "label": "2025", "section": "UA", "slug": "x", "token": "x"}
# Lists that show what is in a person's scope: for a holder, the one return and its queries.
OWN_LISTS = {"/workspace/returns/grid/", "/workspace/returns/certify/", "/workspace/queries/"}


def test_a_walk_over_every_route_opens_the_own_return_and_nothing_else(holder, town, drafted):
    foreign = drafted(unit=1)
    other = Town(units=1)
    public, opened = Client(), set()
    for path, _ in routes():
        plain = re.sub(r"\(\?P<(\w+)>[^)]*\)", r"<\1>", path).replace("^", "").replace("$", "").replace("\\Z", "")
        plain = re.sub(r"<(?:\w+:)?(\w+)>", r"<\1>", plain)
        for ret in (holder.ret, foreign):
            values = ARGS | {"pk": ret.pk, "code": town.cluster.code, "year": town.round.year}
            url = "/" + re.sub(r"<(\w+)>", lambda m, values=values: str(values.get(m.group(1), "x")), plain)
            if "style-guide" in url or "schema" in url or "healthz" in url or "readyz" in url:
                continue
            answer = holder.get(url)
            if answer.status_code // 100 != 2:
                continue
            if public.get(url).status_code // 100 == 2:
                continue
            opened.add(url)
            for number in (foreign.subject, other.units[0].frame_id, town.units[2].frame_id):
                assert number.encode() not in b"".join(answer), (url, number)

    assert holder.ret.get_absolute_url() in opened
    own = (holder.ret.get_absolute_url(), f"/api/v1/returns/{holder.ret.pk}/")
    lists = OWN_LISTS | {"/api/v1/returns/"}
    assert not [url for url in opened if not url.startswith(own) and url not in lists]


def test_acts_of_others_are_refused_to_a_holder(holder, town, drafted):
    foreign = drafted(unit=1)
    acts = {
        reverse("facts:start"): {"round": 2026, "schedule": "UNIT", "subject": town.units[2].frame_id},
        reverse("facts:section", args=[foreign.pk, "UB"]): {"codes": "UB08", "UB08": "3", "revision": 1, "scale": 1},
        reverse("facts:submit", args=[foreign.pk]): {"certified_name": "x", "revision": 1},
        reverse("facts:share", args=[foreign.pk]): {"shared": "1"},
        reverse("facts:round-steps", args=[2026]): {"act": "propose_close"},
        reverse("facts:round-links", args=[2026]): {"unit": town.units[2].frame_id},
        reverse("facts:review"): {"ret": foreign.pk},
    }
    for url, body in acts.items():
        assert holder.post(url, body).status_code in (403, 404), url
    assert Return.objects.filter(unit=town.units[2]).count() == 0


def test_lists_and_workspace_lead_to_the_one_return(holder):
    for name in ("workspace", "facts:returns"):
        assert holder.get(reverse(name)).url == holder.ret.get_absolute_url()


def test_answers_over_the_link_are_shown_to_nobody_of_the_association_until_it_is_allowed(holder, town, door, words):
    ret, head = whole(town, UnitLink.objects.get().user), door(town.head)
    answers = {"revision": ret.revision, "scale": 1, "codes": "UC01", "UC01": "9654321", "was:UC01": "9000000"}
    holder.post(reverse("facts:section", args=[ret.pk, "UC"]), answers)
    section = reverse("facts:section", args=[holder.ret.pk, "UC"])

    hub = head.get(holder.ret.get_absolute_url())
    assert hub.status_code == 200 and "Draft" in words(hub) and not FIGURE.search(words(hub))
    assert head.get(section).status_code == 404
    assert holder.ret.subject in words(head.get(reverse("facts:returns")))

    told = words(holder.post(reverse("facts:share", args=[holder.ret.pk]), {"shared": "1"}, follow=True))
    assert f"{town.association.name} may read what you hand in, not change it." in told
    assert f"{town.association.name} may read what you handed in, not change it." in told  # the switch
    assert head.get(section).status_code == 404  # a draft is nobody else's
    ret.refresh_from_db()
    submit([whole_return(ret)], by=UnitLink.objects.get().user, certified_name="Owner")
    assert FIGURE.search(words(head.get(section)))
    hub = head.get(holder.ret.get_absolute_url())
    assert section in hub.content.decode() and "Certify" not in words(hub)
    for name in ("submit", "paper", "receipt-answers"):
        assert head.get(reverse(f"facts:{name}", args=[ret.pk])).status_code == 404, name
    assert head.post(section, {**answers, "UC01": "1"}).status_code == 404
    holder.post(reverse("facts:share", args=[holder.ret.pk]), {"shared": "0"})
    assert head.get(section).status_code == 404


def whole_return(ret) -> Return:
    """The return with what handing in reads, every soft check explained."""
    ret = Return.objects.select_related("round__instrument", "cluster__country").get(pk=ret.pk)
    points = judged(ret, draft_of(ret), by=None).points
    explain([ret], {ret.pk: {one.rule: "It is so, and papers show it." for one in points}})
    return ret


def test_a_sealed_return_tells_its_association_not_which_questions_were_answered(holder, town, door, words):
    ret = whole(town, UnitLink.objects.get().user)
    code = re.compile(r"U[A-J]\d\d")
    assert code.search(words(holder.get(ret.get_absolute_url())))
    for state in ("draft", "submitted", "accepted"):
        Return.objects.filter(pk=ret.pk).update(state=state)
        reviewers = [] if state == "submitted" else [town.supervisor]  # who decides on it reads the answers
        for who in (town.entry, town.head, town.staff, *reviewers):
            hub = door(who).get(ret.get_absolute_url())
            assert hub.status_code == 200 and not code.search(words(hub)), (state, who)


def test_the_page_says_that_the_association_has_begun(town, words, drafted):
    drafted()
    token = links.make_link(town.units[0], town.round, by=town.head)

    page = words(Client().get(reverse("facts:link", args=[token])))

    assert f"{town.association.name} has begun this return" in page and "From your first save" in page
    holder = Client()
    hub = words(holder.get(holder.post(reverse("facts:link", args=[token])).url))
    assert f"{town.association.name} began this return and sees what it typed." in hub


def whole(town, link_user) -> Return:
    rows = [Row(town.units[0].frame_id, UNIT, "the form")]
    save_drafts(round_=town.round, schedule_code="UNIT", rows=rows, by=link_user, channel="link")
    return Return.objects.get(unit=town.units[0])


def test_a_holder_certifies_without_password_while_the_link_was_opened_just_now(holder, town, words):
    ret = whole(town, UnitLink.objects.get().user)
    url = reverse("facts:submit", args=[ret.pk])
    page = words(holder.get(url))
    assert 'type="password"' not in page

    holder.post(url, {"certified_name": "Owner", "statement": "on", "revision": ret.revision})

    ret.refresh_from_db()
    assert (ret.state, ret.version, ret.collector) == ("submitted", 1, None)
    assert holder.get(url).status_code == 200  # its receipt


def test_a_link_opened_long_ago_is_opened_again_before_certifying(holder, town, address, words):
    link = UnitLink.objects.get()
    ret = whole(town, link.user)
    url = reverse("facts:submit", args=[ret.pk])
    link.user.last_login = timezone.now() - dt.timedelta(minutes=16)
    link.user.save()

    assert "Open it again, then certify" in words(holder.get(url))
    holder.post(url, {"certified_name": "Owner", "statement": "on", "revision": ret.revision})
    ret.refresh_from_db()
    assert ret.state == "draft"

    holder.post(address)
    holder.post(url, {"certified_name": "Owner", "statement": "on", "revision": ret.revision})
    ret.refresh_from_db()
    assert ret.state == "submitted"


def test_a_revoked_link_signs_its_holder_out(holder, town):
    links.revoke_link(UnitLink.objects.get(), by=town.head)

    answer = holder.get(holder.ret.get_absolute_url())

    assert answer.status_code == 302 and reverse("accounts:sign-in") in answer.url


def test_past_the_last_day_the_page_says_so(address, town, words):
    Round.objects.filter(pk=town.round.pk).update(closes_on=timezone.localdate() - dt.timedelta(days=1))

    assert "The last day is past" in words(Client().get(address))
    answer = Client().post(address)
    assert answer.status_code == 409 and "ended on" in words(answer)


# --- Making them ---------------------------------------------------------------------------------------


def test_the_head_makes_shows_once_renews_and_ends_a_link(town, door, words):
    head, url = door(town.head), reverse("facts:round-links", args=[town.round.year])
    body = {"unit": town.units[0].frame_id}

    made = head.post(url, body)
    token = re.search(r"/r/([\w-]{32})/", made.content.decode()).group(1)
    assert Client().get(reverse("facts:link", args=[token])).status_code == 200
    assert token not in words(head.get(url)) and "not opened yet" in words(head.get(url))
    head.post(url, body)
    assert Client().get(reverse("facts:link", args=[token])).status_code == 404
    head.post(url, {**body, "revoke": "1"})
    assert UnitLink.objects.filter(revoked_at=None).count() == 0


def test_a_file_of_links_is_for_the_head_of_who_collects(town, door):
    url = reverse("facts:round-links", args=[town.round.year])
    other, institute = Town(units=1), OrganisationFactory()
    file = {"file": town.cluster.code}

    assert door(town.entry).post(url, file).status_code == 403
    assert door(other.head).post(url, file).status_code == 404
    assert door(other.head).post(url, {"unit": town.units[0].frame_id}).status_code == 404
    answer = door(town.head).post(url, file)
    assert answer["Content-Type"].startswith("text/csv") and answer["X-Links"] == "3"
    from facts.services.collectors import appoint

    appoint(town.round, town.cluster, institute, by=town.supervisor, reason="It visits every workshop.")
    assert door(town.head).post(url, file).status_code == 404
    assert door(person("head", institute)).post(url, file).status_code == 200


def test_the_head_cannot_open_a_sealed_return_by_a_second_link(holder, town, door, words):
    head, url = door(town.head), reverse("facts:round-links", args=[town.round.year])
    assert "opened: your agency replaces it" in words(head.get(url))

    refused = words(head.post(url, {"unit": town.units[0].frame_id}, follow=True))

    assert "Only the agency of its cluster can make a new one: ask its supervisor, and say why." in refused
    assert UnitLink.objects.count() == 1
    assert head.post(url, {"file": town.cluster.code})["X-Links"] == "2"
    assert holder.get(holder.ret.get_absolute_url()).status_code == 200


def test_the_supervisor_replaces_an_opened_link_and_the_firm_reads_that(holder, town, door, words):
    url = reverse("facts:round-link", args=[town.round.year])
    body = {"unit": town.units[0].frame_id, "reason": "The owner lost the telephone."}
    for who in (town.head, town.entry, town.staff):
        assert door(who).get(url).status_code == door(who).post(url, body).status_code == 403
    assert door(Town(units=1).supervisor).post(url, body).status_code == 422
    supervisor = door(town.supervisor)
    assert "the answers behind the link are the firm's own" in words(supervisor.get(url))
    assert "at least 10" in words(supervisor.post(url, {**body, "reason": "lost"}))
    assert UnitLink.objects.count() == 1

    made = supervisor.post(url, body)

    token = re.search(r"/r/([\w-]{32})/", made.content.decode()).group(1)
    firm = Client()
    hub = words(firm.get(firm.post(reverse("facts:link", args=[token])).url))
    assert "Personal link replaced" in hub and f"supervisor, {town.agency.name}" in hub
    assert hub.count("Personal link opened") == 2
    assert "telephone" not in hub


def test_the_landing_page_says_who_hands_the_link_out_and_that_openings_are_listed(address, town, words):
    page = words(Client().get(address))

    assert f"{town.association.name} hands this link out. Open it yourself" in page
    assert "every opening is listed" in page


def test_a_unit_outside_the_sample_has_no_link_to_make(town, door, words):
    FrameEntry.objects.filter(unit=town.units[0]).update(drawn=False)
    url = reverse("facts:round-links", args=[town.round.year])

    assert town.units[0].frame_id not in words(door(town.head).get(url))
    refused = door(town.head).post(url, {"unit": town.units[0].frame_id}, follow=True)
    assert "not in the sample" in words(refused)
