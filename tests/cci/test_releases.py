"""Publication at a set time, typed revisions, the release calendar, and who sees an edition before."""

import datetime as dt

import pytest
from django.utils import timezone

from cci.models import Edition, PreRelease, Release
from cci.services import decline, propose, publish, release_due, request_recompute, withdraw_approval
from cci.services import releases as calendar
from core import policy
from core.audit.models import Event
from core.base import Conflict, DomainError
from facts.models import Snapshot
from tests.factories import UserFactory, open_round, person
from tests.methods import adopted, second_method

pytestmark = pytest.mark.django_db
WHY = "Late returns of two clusters came in."


def ahead(**delta) -> dt.datetime:
    return (timezone.now() + dt.timedelta(**delta)).replace(second=0, microsecond=0)


@pytest.fixture
def cell():
    adopted("1.0")
    return person("analyst"), person("analyst")


@pytest.fixture
def closed():
    return open_round(2025, state="closed")


def edition_of(round_, revision=0, state="candidate", **fields) -> Edition:
    from cci.models import Methodology

    label = f"{round_.year}" + (f".{revision}" if revision else "")
    defaults = {"methodology": Methodology.objects.get(version="1.0"), "digest": f"{round_.year}-{revision}"}
    return Edition.objects.create(round=round_, revision=revision, label=label, state=state, **(defaults | fields))


def proposed(cell, round_, revision=0, **words) -> Edition:
    edition = edition_of(round_, revision)
    propose(edition, by=cell[0], digest=edition.digest, **words)
    return edition


def scheduled(cell, round_, **delta) -> Edition:
    edition = proposed(cell, round_)
    publish(edition, by=cell[1], digest=edition.digest, release_at=ahead(**(delta or {"days": 3})))
    return edition


def its_time_has_come(edition: Edition) -> None:
    Edition.objects.filter(pk=edition.pk).update(release_at=timezone.now() - dt.timedelta(minutes=1))


# --- What may be proposed ---------------------------------------------------------------------


def test_an_edition_of_a_methodology_not_adopted_is_not_proposed(cell, closed, tmp_path):
    from cci.services import register_methodology

    with second_method(tmp_path) as version:
        edition = edition_of(closed, methodology=register_methodology(version))

    with pytest.raises(DomainError, match="Methodology 1.1 is draft, not adopted yet"):
        propose(edition, by=cell[0], digest=edition.digest)


@pytest.mark.parametrize("kind", ["data", "method", "error"])
def test_a_first_edition_has_no_kind_of_revision(cell, closed, kind):
    edition = edition_of(closed)

    propose(edition, by=cell[0], digest=edition.digest, kind=kind, note=WHY)

    edition.refresh_from_db()
    assert (edition.revision_kind, edition.revision_note) == ("", "")


def test_a_revision_says_its_kind_and_why(cell, closed):
    edition_of(closed, state="published")
    edition = edition_of(closed, 1)

    with pytest.raises(DomainError, match="what kind of revision"):
        propose(edition, by=cell[0], digest=edition.digest)
    with pytest.raises(DomainError, match="Say for readers"):
        propose(edition, by=cell[0], digest=edition.digest, kind="data", note="late")
    with pytest.raises(DomainError, match="the same methodology"):
        propose(edition, by=cell[0], digest=edition.digest, kind="method", note=WHY)
    propose(edition, by=cell[0], digest=edition.digest, kind="data", note=f" {WHY} ")

    edition.refresh_from_db()
    assert (edition.state, edition.revision_kind, edition.revision_note) == ("proposed", "data", WHY)


def test_another_methodology_is_said_to_be_one(cell, closed, tmp_path):
    edition_of(closed, state="published")
    with second_method(tmp_path) as version:
        edition = edition_of(closed, 1, methodology=adopted(version))

    with pytest.raises(DomainError, match="made by methodology 1.1, Edition 2025 by 1.0"):
        propose(edition, by=cell[0], digest=edition.digest, kind="data", note=WHY)
    propose(edition, by=cell[0], digest=edition.digest, kind="method", note=WHY)
    assert edition.revision_kind == "method"


def test_the_same_returns_are_no_revision_of_the_data(cell, closed):
    same = Snapshot.objects.create(round=closed, digest="s", taken_at=timezone.now())
    edition_of(closed, state="published", snapshot=same)
    edition = edition_of(closed, 1, snapshot=same)

    with pytest.raises(DomainError, match="same returns"):
        propose(edition, by=cell[0], digest=edition.digest, kind="data", note=WHY)
    propose(edition, by=cell[0], digest=edition.digest, kind="error", note="Shares of zero were cut off.")


# --- At a set time ----------------------------------------------------------------------------


def test_an_approved_edition_waits_and_readers_see_the_former(cell, closed):
    former = edition_of(closed, state="published")
    edition = proposed(cell, closed, 1, kind="data", note=WHY)

    publish(edition, by=cell[1], digest=edition.digest, release_at=ahead(days=3))

    assert release_due() == 0
    edition.refresh_from_db()
    assert (edition.state, edition.published_by, edition.published_at) == ("scheduled", cell[1], None)
    assert list(Edition.objects.public()) == [former]
    assert not policy.allowed(None, "edition.read", edition)


def test_it_comes_out_when_its_time_has_come_and_supersedes_in_one_step(cell, closed):
    former = edition_of(closed, state="published")
    edition = proposed(cell, closed, 1, kind="data", note=WHY)
    publish(edition, by=cell[1], digest=edition.digest, release_at=ahead(days=3))
    its_time_has_come(edition)

    assert (release_due(), release_due()) == (1, 0)

    edition.refresh_from_db()
    former.refresh_from_db()
    assert (edition.state, former.state) == ("published", "superseded")
    assert edition.published_at >= edition.release_at
    assert (edition.proposed_by, edition.published_by) == cell
    assert Event.objects.filter(action="edition.publish", object_id=str(edition.pk)).count() == 1


def test_one_that_cannot_come_out_does_not_hold_up_the_others(cell, closed, monkeypatch):
    from cci.services import publishing

    stuck, other = scheduled(cell, closed), scheduled(cell, open_round(2024, state="closed"))
    for edition in (stuck, other):
        its_time_has_come(edition)
    come_out = publishing._come_out

    def broken(edition, *args, **more):
        come_out(edition, *args, **more)
        if edition.pk == stuck.pk:
            raise RuntimeError("half way")

    monkeypatch.setattr(publishing, "_come_out", broken)

    assert release_due() == 1
    states = dict(Edition.objects.values_list("label", "state"))
    assert states == {"2025": "scheduled", "2024": "published"}


def test_the_worker_and_the_clock_call_the_same(cell, closed, settings):
    from cci.tasks import release_due as task

    edition = scheduled(cell, closed)
    its_time_has_come(edition)

    task()

    edition.refresh_from_db()
    assert edition.state == "published"
    beat = settings.CELERY_BEAT_SCHEDULE["release editions whose time has come"]
    assert (beat["task"], beat["schedule"]) == (task.name, 60.0)


def test_a_past_time_is_refused(cell, closed):
    edition = proposed(cell, closed)

    with pytest.raises(DomainError, match="is past"):
        publish(edition, by=cell[1], digest=edition.digest, release_at=ahead(minutes=-2))
    with pytest.raises(DomainError, match="Ask a colleague"):
        publish(edition, by=cell[0], digest=edition.digest, release_at=ahead(days=1))


def test_while_one_waits_no_other_of_its_round_comes_out(cell, closed):
    waiting = scheduled(cell, closed)
    edition = proposed(cell, closed, 1)

    with pytest.raises(DomainError, match="Withdraw that approval first"):
        publish(edition, by=cell[1], digest=edition.digest)
    withdraw_approval(waiting, by=cell[1], digest=waiting.digest, reason="A newer one is ready.")
    publish(edition, by=cell[1], digest=edition.digest)
    assert edition.state == "published"


def test_an_approval_can_be_withdrawn_before_its_time_only(cell, closed):
    edition = scheduled(cell, closed)

    with pytest.raises(DomainError, match="Say why"):
        withdraw_approval(edition, by=cell[0], digest=edition.digest, reason="no")
    with pytest.raises(DomainError, match="no longer change"):
        request_recompute(closed, by=cell[0], revision=0)
    withdraw_approval(edition, by=cell[0], digest=edition.digest, reason="Two tariffs are doubted.")

    edition.refresh_from_db()
    assert (edition.state, edition.release_at, edition.published_by) == ("candidate", None, None)
    its_time_has_come(edition)
    assert release_due() == 0
    propose(edition, by=cell[0], digest=edition.digest)
    publish(edition, by=cell[1], digest=edition.digest)
    with pytest.raises(Conflict):
        withdraw_approval(edition, by=cell[0], digest=edition.digest, reason="Two tariffs are doubted.")


def test_who_was_let_in_needs_a_new_grant_for_the_next_figures(cell, closed):
    edition, guest = scheduled(cell, closed), person("viewer")
    access = granted(cell, edition, guest)

    withdraw_approval(edition, by=cell[0], digest=edition.digest, reason="Two tariffs are doubted.")

    access.refresh_from_db()
    assert access.withdrawn_at is not None


def test_the_calendar_does_not_change_under_an_approved_edition(cell, closed):
    at = ahead(days=30)
    entry = announced(cell, closed, at, is_exact=True)
    edition = proposed(cell, closed)
    publish(edition, by=cell[1], digest=edition.digest, release_at=at)

    with pytest.raises(DomainError, match="Withdraw that approval first"):
        calendar.cancel(entry, reason="The figures are doubted.", by=cell[0])
    with pytest.raises(DomainError, match="Withdraw that approval first|announced"):
        announced(cell, closed, ahead(days=60))
    entry.refresh_from_db()
    assert entry.cancelled_at is None


def test_a_scheduled_edition_is_not_declined(cell, closed):
    edition = scheduled(cell, closed)

    with pytest.raises(Conflict):
        decline(edition, by=cell[0], digest=edition.digest, reason="Second thoughts came.")


# --- The calendar -----------------------------------------------------------------------------


def announced(cell, round_, at, **more) -> Release:
    return calendar.announce(round_, title="Index 2025", planned_at=at, by=cell[0], **more)


def test_a_month_is_told_first_and_its_hour_later(cell, closed):
    at = ahead(days=90).replace(day=15)
    release = announced(cell, closed, at)

    assert calendar.planned_words(release) == f"{at:%B %Y}"
    with pytest.raises(DomainError, match="Another month is a move"):
        calendar.fix_hour(release, planned_at=at + dt.timedelta(days=31), by=cell[0])
    calendar.fix_hour(release, planned_at=at.replace(day=20), by=cell[0])

    release.refresh_from_db()
    assert (release.is_exact, release.planned_at.day, release.moved_from) == (True, 20, None)
    with pytest.raises(DomainError, match="fixed already"):
        calendar.fix_hour(release, planned_at=at.replace(day=21), by=cell[0])


def test_a_move_and_a_cancellation_say_why(cell, closed):
    at = ahead(days=60)
    release = announced(cell, closed, at, is_exact=True)

    with pytest.raises(DomainError, match="why the release is moved"):
        calendar.move(release, planned_at=at + dt.timedelta(days=7), reason="", by=cell[0])
    calendar.move(release, planned_at=at + dt.timedelta(days=7), reason="Two provinces file late.", by=cell[0])
    release.refresh_from_db()
    assert (release.moved_from, release.moved_reason) == (at, "Two provinces file late.")

    calendar.cancel(release, reason="The round is not representative.", by=cell[0])
    with pytest.raises(DomainError, match="is cancelled"):
        calendar.move(release, planned_at=at, reason="Two provinces file late.", by=cell[0])
    assert announced(cell, closed, at).pk != release.pk


def test_a_round_is_announced_once_and_never_for_the_past(cell, closed):
    announced(cell, closed, ahead(days=60))

    with pytest.raises(DomainError, match="announced for"):
        announced(cell, closed, ahead(days=80))
    with pytest.raises(DomainError, match="is past"):
        announced(cell, open_round(2024, state="closed"), ahead(days=-1))
    with pytest.raises(DomainError, match="title"):
        calendar.announce(open_round(2023), title=" ", planned_at=ahead(days=9), by=cell[0])


@pytest.mark.parametrize(("days", "words"), [(29, ""), (28, ""), (27, "27 days ahead"), (1, "1 day ahead")])
def test_less_than_four_weeks_is_warned_of(days, words):
    now = timezone.now()

    warning = calendar.short_notice(now + dt.timedelta(days=days), now)

    assert words in warning and bool(warning) == bool(words)


def test_what_is_announced_is_neither_early_nor_late(cell, closed):
    at = ahead(days=30)
    release = announced(cell, closed, at, is_exact=True)
    edition = proposed(cell, closed)

    for other in (None, at - dt.timedelta(hours=1), at + dt.timedelta(hours=1)):
        with pytest.raises(DomainError, match="release calendar announces"):
            publish(edition, by=cell[1], digest=edition.digest, release_at=other)
    publish(edition, by=cell[1], digest=edition.digest, release_at=at)
    with pytest.raises(DomainError, match="Withdraw that approval first"):
        calendar.move(release, planned_at=at + dt.timedelta(days=1), reason="Two provinces file late.", by=cell[0])

    release.refresh_from_db()
    assert release.edition is None  # the calendar does not tell what waits
    its_time_has_come(edition)
    assert release_due() == 1
    release.refresh_from_db()
    assert release.edition == edition
    with pytest.raises(DomainError, match="has come out"):
        calendar.cancel(release, reason="Too late for that now.", by=cell[0])


def test_a_month_that_was_told_is_not_brought_forward(cell, closed):
    announced(cell, closed, ahead(days=70))
    edition = proposed(cell, closed)

    with pytest.raises(DomainError, match="move the entry first"):
        publish(edition, by=cell[1], digest=edition.digest)


# --- Before the others ------------------------------------------------------------------------


def granted(cell, edition, user, **more) -> PreRelease:
    words = {"office": "Secretary, Ministry of Industries", "reason": "Prepares the answer to the press."}
    return calendar.grant_pre_release(edition, user.username, **(words | more), by=cell[0])


def test_a_named_person_is_let_in_and_out(cell, closed):
    edition, guest = scheduled(cell, closed), person("viewer")

    access = granted(cell, edition, guest)
    with pytest.raises(DomainError, match="on the list already"):
        granted(cell, edition, guest)
    calendar.opened(access)
    first = PreRelease.objects.get().first_opened_at
    calendar.opened(access)
    assert PreRelease.objects.get().first_opened_at == first is not None
    calendar.withdraw_pre_release(access, by=cell[0])
    with pytest.raises(Conflict):
        calendar.withdraw_pre_release(access, by=cell[0])
    assert granted(cell, edition, guest).first_opened_at == first
    acts = Event.objects.filter(action__startswith="pre_release.").order_by("seq").values_list("action", flat=True)
    assert list(acts) == ["pre_release.grant", "pre_release.open", "pre_release.withdraw", "pre_release.grant"]


def test_the_list_belongs_to_an_edition_under_embargo(cell, closed):
    guest, edition = person("viewer"), edition_of(closed)

    with pytest.raises(DomainError, match="approved edition that waits"):
        granted(cell, edition, guest)
    propose(edition, by=cell[0], digest=edition.digest)
    publish(edition, by=cell[1], digest=edition.digest, release_at=ahead(days=2))
    for refused, words in (
        ({"office": " "}, "Name the post"),
        ({"reason": "so"}, "why this person"),
    ):
        with pytest.raises(DomainError, match=words):
            granted(cell, edition, guest, **refused)
    with pytest.raises(DomainError, match="Nobody signs in"):
        calendar.grant_pre_release(edition, "nobody-here", office="X", reason="A long reason.", by=cell[0])
    with pytest.raises(DomainError, match="You see it already"):
        granted(cell, edition, cell[0])


def test_access_ends_with_the_release_and_with_its_withdrawal(cell, closed):
    edition, guest, other = scheduled(cell, closed), person("viewer"), UserFactory()
    access = granted(cell, edition, guest)
    found = PreRelease.objects.filter(user=guest)

    assert policy.scope(guest, "pre_release.read", found).get() == access
    assert not policy.scope(other, "pre_release.read", found).exists()  # no role at all
    its_time_has_come(edition)
    release_due()
    assert not policy.scope(guest, "pre_release.read", found).exists()
