"""G2: what a firm wrote is read by those whom the design names, and stands in no other page, file, log or queue."""

import logging
import random
from datetime import timedelta
from logging.config import DictConfigurator
from pathlib import Path

import pytest
from django.conf import settings
from django.core import mail
from django.core.cache import cache
from django.db import IntegrityError, connection
from django.test import Client
from django.utils import timezone

from core import policy
from core.jobs import ledger
from core.jobs.models import Job
from facts.models import Return
from facts.services import invitations
from facts.services.snapshots import take_snapshot
from tests.gates.size import FULL, count, say
from tests.gates.walk_canary import (
    CanaryWorld,
    Owner,
    entitled,
    raw_text_of,
    rows_outside_the_vault,
    spellings_of,
    text_of,
)
from tests.gates.walk_rights import ROUTES, reach
from tests.gates.walk_steps import FORMATS, cases, is_api
from tests.gates.walk_world import CODES, OF_A_TENANT, TENANTS

# Pages on which firms' values and names stand: the search must find them there, or it finds nothing anywhere.
TELLING = {
    "workspace/returns/<int:pk>/",
    "workspace/returns/<int:pk>/<str:section>/",
    "workspace/returns/<int:pk>/check/",
    "workspace/returns/<int:pk>/paper.pdf",
    "workspace/returns/<int:pk>/answers.pdf",
    "workspace/returns/<int:pk>/benchmark/",
    "workspace/returns/grid/",
    "workspace/review/<int:pk>/",
    "workspace/queries/<int:pk>/",
    "workspace/queries/",
    "workspace/returns/",
    "workspace/returns/template/",
    "workspace/returns/import/<int:pk>/",
    "api/v1/^returns/$",
    "api/v1/^returns/(?P<pk>[^/]+)/$",
}


class Ear(logging.Handler):
    """Keeps every line as the site's own log would write it, at the levels that the settings name."""

    def __init__(self):
        super().__init__()
        self.setFormatter(DictConfigurator({}).configure_formatter(dict(settings.LOGGING["formatters"]["line"])))
        self.lines: list[str] = []

    def emit(self, record):
        self.lines.append(self.format(record))


@pytest.fixture
def ear():
    found = Ear()
    logging.getLogger().addHandler(found)
    yield found
    logging.getLogger().removeHandler(found)


@pytest.fixture
def world(db, ear, settings, tmp_path) -> CanaryWorld:
    settings.QUARANTINE_DIR = tmp_path / "quarantine"
    settings.SNAPSHOT_DIR = tmp_path / "snapshots"
    cache.clear()
    yield CanaryWorld()
    cache.clear()


def people(world):
    for tenant in TENANTS:
        for code, person in world.people_of(tenant).items():
            if tenant == "a" or code in OF_A_TENANT:
                client = Client()
                if person:
                    client.force_login(person)
                yield code, tenant, client


def steps_of(world, chance, wanted: int | None):
    """(role, tenant, client, route, address) of every page and file, or a sample; those that tell come first."""
    found = [
        (code, tenant, client, case.route, case.url + (f"?format={fmt}" if fmt else ""))
        for code, tenant, client in people(world)
        for case in cases(world)
        if "GET" in ROUTES[case.route][1]
        for fmt in (("", *FORMATS) if is_api(case.route) else ("",))
    ]
    if wanted is None:
        return found
    return chance.sample(found, min(wanted, len(found)))


def leaks(world, steps) -> tuple[list[str], set[Owner], int]:
    """What stood where it may not, whose canaries were seen where they may, and how many answers were read."""
    found, seen, answers = [], set(), 0
    for code, tenant, client, _, url in steps:
        response = client.get(url)
        answers += 1
        content = b"".join(response) if response.streaming else response.content
        text = text_of(content, response.get("Content-Type", "")) + str(response.headers)
        for bare in world.aviary.found_in(text):
            owner = world.aviary.owners[bare]
            if entitled(owner, code, tenant):
                seen.add(owner)
            else:
                found.append(f"{code} of {tenant}: GET {url} shows {owner.what} of {owner.label}")
    return found, seen, answers


def in_the_log(world, ear) -> list[str]:
    return [f"the log: {line[:160]}" for line in ear.lines if world.aviary.found_in(line)]


def in_the_database(world) -> list[str]:
    return sorted({f"{place} holds it" for place, text in rows_outside_the_vault() if world.aviary.found_in(text)})


def on_the_disk(world, *folders: Path) -> list[str]:
    return [
        f"{path.name} holds it"
        for folder in folders
        for path in folder.rglob("*")
        if path.is_file() and world.aviary.found_in(raw_text_of(path.read_bytes()))
    ]


def test_the_search_knows_every_spelling(world):
    """Eight spellings of each of the figures are found; of a figure next to each, none."""
    figures = [int(bare) for bare in world.aviary.owners if bare.isdigit()]
    words = [bare for bare in world.aviary.owners if not bare.isdigit()]

    assert len(world.aviary.owners) >= 500 and len(words) > 25
    for value in figures[::7]:
        for spelling in spellings_of(value):
            assert world.aviary.found_in(f"sales of {spelling}, last year") == {str(value)}, spelling
    assert not world.aviary.found_in("9000000 and 9,000,000 and 90,00,000 and 90 lakh")


def test_nobody_reads_what_a_firm_wrote_but_those_whom_the_design_names(world, ear):
    chance = random.Random(3)
    telling = [step for step in steps_of(world, chance, None) if step[3] in TELLING and "format" not in step[4]]
    steps = steps_of(world, chance, None if FULL else count(120, 0))
    told = telling if FULL else chance.sample(telling, count(120, 0))

    found, seen, answers = leaks(world, [*steps, *told])

    say(f"G2: {len(world.aviary.owners)} canaries, {answers} answers read, {len(found)} leaks")
    assert not found, "\n".join(sorted(set(found))[:60])
    assert {owner.what for owner in seen} >= {"answer"}, "the search found nothing where something stands"
    assert not in_the_log(world, ear)


def test_those_whom_the_design_names_do_read_it(world):
    """Otherwise a search that finds nothing would prove nothing."""
    shown = [
        ("AE", "a.draft", "/workspace/returns/{pk}/UC/", "answer"),
        ("AH", "a.review", "/workspace/queries/{query}/", "query"),
        ("SU", "a.review", "/workspace/review/{pk}/", "answer"),
        ("AH", "a.review", "/workspace/returns/{pk}/answers.pdf", "answer"),
        ("AE", "a.draft", "/workspace/returns/{pk}/", "identity"),
        ("UL", "a.linked", "/workspace/returns/{pk}/UC/", "answer"),
    ]
    clients = {code: client for code, tenant, client in people(world) if tenant == "a"}
    for code, label, address, what in shown:
        query = world.objects["query"].get(label)
        url = address.format(pk=world.objects["return"][label].pk, query=query and query.pk)
        answer = clients[code].get(url)
        content = b"".join(answer) if answer.streaming else answer.content
        owners = {world.aviary.owners[bare] for bare in world.aviary.found_in(text_of(content, ""))}
        assert Owner(label, what) in owners, (code, url, answer.status_code)


def test_nothing_lies_readable_outside_the_vault(world, ear, settings):
    """The database's readable columns, the queue, the audit chain, mails, files in quarantine, snapshots, the log."""
    world.entry.email, world.head.email = "entry@example.org", "head@example.org"
    for user in (world.entry, world.head):
        user.save(update_fields=["email"])
    invitations.invite(world.round, by=world.analyst)
    for job in Job.objects.filter(state="queued"):
        ledger.run(job.pk, heartbeat=False)
    take_snapshot(world.round, by=world.analyst)

    assert list(settings.SNAPSHOT_DIR.rglob("*")) and list(settings.QUARANTINE_DIR.rglob("*"))
    assert Job.objects.exists() and mail.outbox
    assert not on_the_disk(world, settings.SNAPSHOT_DIR, settings.QUARANTINE_DIR)
    assert not in_the_database(world)
    assert not [
        one.subject for one in mail.outbox if world.aviary.found_in(f"{one.subject} {one.body} {one.message()}")
    ]
    assert not in_the_log(world, ear)


class Broken(Exception):
    """A fault that carries a value, as a database's own do."""


@pytest.mark.parametrize("fault", [IntegrityError, Broken])
def test_a_fault_that_carries_a_value_tells_it_to_nobody(world, ear, fault):
    """PostgreSQL puts the failing row into its message: neither the page of the fault nor the log repeats it."""
    value = next(bare for bare, owner in world.aviary.owners.items() if owner == Owner("a.draft", "answer"))
    ret = world.objects["return"]["a.draft"]
    client = Client(raise_request_exception=False)
    client.force_login(world.entry)

    def fail(execute, sql, params, many, context):
        if not sql.startswith("SELECT") and ('"vault_sealedanswers"' in sql or '"facts_return"' in sql):
            raise fault(f"DETAIL:  Failing row contains (1, {value}, 2026).")
        return execute(sql, params, many, context)

    body = {"answers": {"UB08": "31"}, "was": {"UB08": "30"}}
    with connection.execute_wrapper(fail):
        page = client.post(f"/workspace/returns/{ret.pk}/answers/", body, content_type="application/json")
        api = client.patch(
            f"/api/v1/returns/{ret.pk}/",
            {"answers": {"UB08": 31}},
            content_type="application/json",
            headers={"If-Match": "*"},
        )

    assert {page.status_code, api.status_code} <= {409, 500, 503} and ear.lines
    assert not [one.status_code for one in (page, api) if world.aviary.found_in(text_of(one.content, ""))]
    assert not in_the_log(world, ear)


def test_mutation_a_log_that_repeats_the_words_of_a_fault_is_found(world, ear):
    value = next(iter(world.aviary.used))
    ear.setFormatter(logging.Formatter("%(message)s"))
    try:
        raise IntegrityError(f"DETAIL:  Failing row contains (1, {value}, 2026).")
    except IntegrityError:
        logging.getLogger("facts").exception("not saved")

    assert in_the_log(world, ear)


# --- mutations ----------------------------------------------------------------------------------------------


def test_mutation_a_value_in_the_log_is_found(world, ear):
    value = next(iter(world.aviary.used))
    logging.getLogger("facts").info("saved %s", f"{value:,}")

    assert in_the_log(world, ear)


def test_mutation_a_value_in_the_queue_is_found(world):
    value = next(iter(world.aviary.used))
    Job.objects.create(kind="facts.check_cluster", key="canary", args={"sales": value})

    assert in_the_database(world) == ["jobs_job.args holds it"]


def test_mutation_a_value_in_an_open_file_is_found(world, tmp_path):
    (tmp_path / "left").mkdir()
    (tmp_path / "left" / "report.csv").write_text(f"sales\n{next(iter(world.aviary.used))}\n")

    assert on_the_disk(world, tmp_path / "left") == ["report.csv holds it"]


def test_mutation_a_page_that_shows_a_draft_to_the_agency_is_found(world, monkeypatch):
    scope = policy.scope
    monkeypatch.setattr(policy, "allowed", lambda user, action, obj=None: True)
    monkeypatch.setattr(
        policy, "scope", lambda user, action, rows: rows if action == "return.read_draft" else scope(user, action, rows)
    )
    ret = world.objects["return"]["a.draft"]
    client = next(client for code, tenant, client in people(world) if (code, tenant) == ("ST", "a"))
    route = "workspace/returns/<int:pk>/<str:section>/"

    found, _, _ = leaks(world, [("ST", "a", client, route, f"/workspace/returns/{ret.pk}/UC/")])

    assert found == [one for one in found if "answer of a.draft" in one] and found


def test_the_world_is_what_the_gate_takes_it_for(world):
    """Every role meets every state of a return; a draft of town b is nobody's in town a."""
    labels = set(world.objects["return"])
    assert {label.partition(".")[0] for label in labels} == set(TENANTS)
    assert set(CODES) == set(world.people_of("a"))
    assert not reach("read draft", "AE", "a", {"b.draft"})
    assert Return.objects.get(pk=world.objects["return"]["a.accepted"].pk).state == "accepted"
    assert timezone.now() + timedelta(days=1) > timezone.now()
