"""The page of a round's checks: own clusters only, decisions with a note, and the button that runs them again."""

import pytest
from django.urls import reverse

from core.audit.models import Event
from core.jobs import ledger
from core.jobs.models import Job
from facts.models import CheckRun, RoundFlag
from facts.services import checking
from tests.factories import ClusterFactory, person

FAR_OFF = {"ratio": 0.45, "low": 0.75, "high": 1.25, "caps": True}


@pytest.fixture
def spoken(town):
    """A town of which X25 speaks, and another cluster of which X27 does."""
    town.flag = RoundFlag.objects.create(
        round=town.round, cluster=town.cluster, rule="X25", severity="critical", numbers=FAR_OFF
    )
    town.other = RoundFlag.objects.create(
        round=town.round,
        cluster=ClusterFactory(name="Elsewhere"),
        rule="X27",
        severity="warn",
        numbers={"registered": 60, "frame": 40, "limit": 1.1},
    )
    counts = {"returns": 20, "rules": {"X01-UC01": 3, "X05": 1, "any critical": 2}, "workers": []}
    for flag in (town.flag, town.other):
        CheckRun.objects.create(round=town.round, cluster=flag.cluster, rules_digest="d", counts=counts)
    return town


def page(client, user, year=2026, **asked):
    client.force_login(user)
    return client.get(reverse("facts:round-checks", args=[year]), asked)


def decide(client, user, flag, judged="accept", note="The meter is shared with a mill."):
    client.force_login(user)
    data = {"flag": flag.pk, "judged": judged, "note": note}
    return client.post(reverse("facts:round-checks", args=[flag.round.year]), data)


def test_a_supervisor_reads_the_own_cluster_in_words(client, spoken):
    text = page(client, spoken.supervisor).content.decode()

    assert "Electricity declared, weighted up to the frame: 45 % of what was sold on the feeders" in text
    assert "it caps the reliability score" in text
    assert "Elsewhere" not in text
    assert "20 returns of 1 cluster checked; 1 flag over clusters waits for a decision" in " ".join(text.split())
    assert "Run again" not in text


def test_an_analyst_reads_all_clusters_and_may_run_again(client, spoken):
    text = " ".join(page(client, person("analyst")).content.decode().split())

    assert "Elsewhere" in text
    assert "40 returns of 2 clusters checked" in text
    assert "Run again" in text
    assert "Ratio to last year: total sales" in text
    assert "15.0" in text  # 6 of 40 returns


def test_how_often_a_check_spoke_is_counted_over_own_clusters_only(client, spoken):
    lines = {line["rule"]: line for line in page(client, spoken.supervisor).context["lines"]}

    assert (lines["X01-UC01"]["returns"], lines["X01-UC01"]["share"]) == (3, 0.15)
    assert (lines["X09"]["returns"], lines["X09"]["share"]) == (0, 0)
    assert "any critical" not in lines


@pytest.mark.parametrize("who", ["entry", "head", "staff"])
def test_respondents_and_staff_do_not_read_it(client, spoken, who):
    assert page(client, getattr(spoken, who)).status_code == 403


def test_nobody_signed_in_is_led_to_sign_in(client, spoken):
    assert client.get(reverse("facts:round-checks", args=[2026])).status_code == 302


def test_an_unknown_round_is_not_there(client, spoken):
    assert page(client, spoken.supervisor, year=2019).status_code == 404


def test_a_decision_is_kept_with_its_note(client, spoken):
    assert decide(client, spoken.supervisor, spoken.flag).status_code == 302

    spoken.flag.refresh_from_db()
    assert (spoken.flag.resolution, spoken.flag.resolved_by) == ("accepted", spoken.supervisor)
    text = page(client, spoken.supervisor).content.decode()
    assert "Explained" in text
    assert "The meter is shared with a mill." in text
    assert Event.objects.get(action="round_flag.resolve").detail == {"rule": "X25", "outcome": "accepted"}


def test_a_decision_without_words_is_refused(client, spoken):
    decide(client, spoken.supervisor, spoken.flag, note="ok")

    spoken.flag.refresh_from_db()
    assert spoken.flag.resolution == "open"
    assert "Say why" in page(client, spoken.supervisor).content.decode()


def test_another_agencys_cluster_is_as_if_it_were_not_there(client, spoken):
    assert decide(client, spoken.supervisor, spoken.other).status_code == 404
    assert decide(client, spoken.supervisor, spoken.flag, judged="maybe").status_code == 404


def test_flags_on_field_workers_are_for_analysts(client, spoken):
    numbers = {"returns": 40, "share": 0.3, "mean": 0.05, "errors": 7.2}
    RoundFlag.objects.create(round=spoken.round, worker=spoken.entry, rule="X30", severity="warn", numbers=numbers)

    assert "this field worker" in page(client, person("analyst")).content.decode()
    assert "this field worker" not in page(client, spoken.supervisor).content.decode()


def test_running_again_is_one_job_and_its_progress_is_seen(client, spoken):
    analyst = person("analyst")
    client.force_login(analyst)
    for _ in range(2):
        client.post(reverse("facts:round-check", args=[2026]))

    job = Job.objects.get(kind=checking.KIND_ROUND)
    assert job.requested_by == analyst
    running = page(client, analyst)
    assert "Refresh" not in running.headers  # a note that is being written must not be lost
    assert "Checking the round" in running.content.decode()
    ledger.run(job.pk, heartbeat=False)
    done = page(client, analyst)
    assert "Run again" in done.content.decode()


def test_a_supervisor_does_not_run_the_round(client, spoken):
    client.force_login(spoken.supervisor)

    assert client.post(reverse("facts:round-check", args=[2026])).status_code == 403
    assert not Job.objects.exists()


def test_a_failed_run_says_so(client, spoken):
    job = checking.check_round(spoken.round)
    Job.objects.filter(pk=job.pk).update(state="failed", error="The database was away.")

    assert "The database was away." in page(client, person("analyst")).content.decode()


def test_before_the_first_run_the_page_says_what_comes(client, town):
    text = page(client, town.supervisor).content.decode()

    assert "The checks have not run on your clusters yet." in text
    assert "Nothing to show yet" in text


def test_the_page_asks_the_same_few_questions_for_many_flags(client, spoken, django_assert_max_num_queries):
    for number in range(30):
        RoundFlag.objects.create(
            round=spoken.round, cluster=ClusterFactory(), rule="X25", severity="warn", numbers=FAR_OFF | {"n": number}
        )
    client.force_login(person("analyst"))

    with django_assert_max_num_queries(30):
        client.get(reverse("facts:round-checks", args=[2026]))
