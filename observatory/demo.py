"""The demonstration world: real clusters, invented figures, loaded through the same services as real returns.

Every step can be repeated: a worker killed in the middle goes on where it stopped.
"""

import datetime as dt
from collections.abc import Callable
from threading import Event

from django.conf import settings
from django.contrib.auth import get_user_model
from django.db import transaction
from rest_framework.authtoken.models import Token

from cci import services as cci
from cci.models import Edition
from clusters.models import Cluster, ClusterRole, Membership, Organisation, Unit
from clusters.seed import load_reference, load_seed
from core.base import DomainError
from core.jobs import ledger
from facts.demo.panel import Panel, generate, read_spec
from facts.models import CountryYear, FiscalYear, FrameEntry, Return, Round
from facts.services import instruments
from facts.services.drafts import explain
from facts.services.imports import Row, save_drafts
from facts.services.review import accept, send_back
from facts.services.rounds import close_round
from facts.services.submission import NotSubmittable, submit
from facts.services.units import keep_identities
from facts.services.values import register_indicators
from interventions.seed import load_interventions

SOURCE = "SYN-20121101"
INSTRUMENT = "1.0"
EXPLANATION = "Confirmed by telephone (invented explanation)."
OVERRIDE = "Called back; the firm does not know (invented reason)."
LOADER, REVIEWER = "demo-loader", "demo-reviewer"
PUNJAB = "punjab-cluster-office-demo"
ACCOUNTS = {
    "demo-entry": "types in returns for the surgical-instruments association of Sialkot",
    "demo-head": "heads that association: certifies and submits",
    "demo-staff": "keeps the profiles of Punjab's clusters",
    "demo-supervisor": "supervises there: reviews, accepts or sends back",
    "demo-analyst": "computes and proposes editions of the index",
    "demo-analyst2": "a second analyst, who publishes",
    "demo-auditor": "reads everything that is not confidential",
    "demo-viewer": "reads what is public",
    "demo-client": "a partner system, over the API",
    "demo-admin": "keeps accounts, sees no returns",
}


def load_demo(run: ledger.Run, *, size: float = 1.0, rounds: int = 5) -> None:
    """Load the demonstration world as a job; a smaller one for tests."""
    if not settings.DEMO:
        raise DomainError("A production stand refuses the demonstration data: its figures are invented.")
    load_world(run.progress, size=size, rounds=rounds)


def load_world(progress: Callable[[str, int, int], None], *, size: float = 1.0, rounds: int = 5) -> None:
    """Load everything, telling `progress(stage, done, total)`.

    size : share of each cluster's firms that is invented, at least 40 firms. rounds : how many finished rounds.
    """
    progress("Loading regions, sectors and clusters", 0, 100)
    load_reference()
    load_seed()
    load_interventions()
    instruments.register_instrument(INSTRUMENT)
    register_indicators()
    cci.register_methodology(cci.CURRENT)
    instruments.lookups.cache_clear()
    ensure_accounts()
    progress("Inventing firms", 2, 100)
    panel = generate(sized(read_spec(), size))
    load_context(panel)
    years = sorted(panel.frame)[-rounds - 1 :]
    _load_frame(panel, years)
    closed = years[:-1]
    for position, year in enumerate(closed):
        share = 5 + 65 * position // len(closed)
        _load_closed_round(panel, year, progress, share, 65 // len(closed))
    for position, year in enumerate(reversed(closed)):
        progress(f"Computing the index of {year}", 70 + 22 * position // len(closed), 100)
        _publish_edition(year)
    progress(f"Opening round {years[-1]}", 93, 100)
    _load_open_round(panel, years[-1])
    progress("Ready", 100, 100)


def sized(spec: dict, size: float) -> dict:
    """Return the specification of a smaller panel; where it is smaller, all who would answer the open round have."""
    if size == 1.0:
        return spec
    clusters = [{**cluster, "units": max(40, round(cluster["units"] * size))} for cluster in spec["clusters"]]
    return {**spec, "clusters": clusters, "open_share": 1.0}


# --- Accounts -----------------------------------------------------------------------------


def _user(username: str, password: str | None, display_name: str):
    user, made = get_user_model().objects.get_or_create(username=username, defaults={"display_name": display_name})
    if made:
        if password:
            user.set_password(password)
        else:
            user.set_unusable_password()
        user.save(update_fields=["password"])
    return user


def renew_password() -> None:
    """Give the demonstration accounts the password that stands in the environment, where it has changed."""
    people = get_user_model().objects.filter(username__in=ACCOUNTS)
    first = people.first()
    if first and not first.check_password(settings.DEMO_PASSWORD):
        for user in people:
            user.set_password(settings.DEMO_PASSWORD)
            user.save(update_fields=["password"])


@transaction.atomic
def ensure_accounts() -> None:
    """Make the demonstration accounts, their organisations and roles; existing ones stay as they are."""
    if not settings.DEMO:
        raise DomainError("Demonstration accounts exist on a demonstration stand only.")
    people = {name: _user(name, settings.DEMO_PASSWORD, name) for name in ACCOUNTS}
    office = {
        "demo-analyst": "analyst",
        "demo-analyst2": "analyst",
        "demo-auditor": "auditor",
        "demo-viewer": "viewer",
        "demo-admin": "admin",
    }
    for name, role in office.items():
        Membership.objects.get_or_create(user=people[name], organisation=None, role=role)
    loader, _ = _user(LOADER, None, "Demonstration loader"), _user(REVIEWER, None, "Demonstration reviewer")
    punjab = _organisation(PUNJAB, "Punjab cluster office (demonstration)", "Government agency", "PK")
    cell = _organisation("cluster-cell-demo", "Cluster cell (demonstration)", "Government agency", None)
    for cluster in Cluster.objects.placed().select_related("country"):
        slug = f"association-{cluster.code.lower()}"
        association = _organisation(
            slug, f"Association of {cluster.name} (demonstration)", "Association", cluster.country_id
        )
        agency = punjab if cluster.region_id == "PK-PB" else cell
        ClusterRole.objects.get_or_create(cluster=cluster, organisation=association, role="association")
        ClusterRole.objects.get_or_create(cluster=cluster, organisation=agency, role="lead_agency")
        Membership.objects.get_or_create(user=loader, organisation=association, role="head")
        if cluster.code == "PK-SUR-SKT":
            for name, role in (("demo-entry", "entry"), ("demo-head", "head"), ("demo-client", "client")):
                Membership.objects.get_or_create(user=people[name], organisation=association, role=role)
            Token.objects.get_or_create(user=people["demo-client"])
    for agency in (punjab, cell):
        Membership.objects.get_or_create(user=loader, organisation=agency, role="staff")
    Membership.objects.get_or_create(user=people["demo-staff"], organisation=punjab, role="staff")
    Membership.objects.get_or_create(user=people["demo-supervisor"], organisation=punjab, role="supervisor")


def _organisation(slug: str, name: str, kind: str, country: str | None) -> Organisation:
    found, _ = Organisation.objects.get_or_create(
        slug=slug, defaults={"name": name, "kind": kind, "country_id": country, "is_synthetic": True}
    )
    return found


# --- Frame and context --------------------------------------------------------------------


def load_context(panel: Panel) -> None:
    """Prices, parities and rates of the panel's countries, and their fiscal years."""
    rows = [
        CountryYear(
            country_id=row.country,
            year=row.ref_year,
            inflation_pct=row.inflation_pct,
            ppp_lcu_per_usd=row.ppp_base,
            fx_lcu_per_usd=row.fx,
            source="World Bank, World Development Indicators; partly assumed",
            is_assumed=True,
        )
        for row in panel.context.reset_index().itertuples()
    ]
    CountryYear.objects.bulk_create(rows, ignore_conflicts=True)
    last: dict[str, int] = {}
    for row in panel.context.reset_index().itertuples():
        if last.get(row.country) != row.fy_end.month:
            FiscalYear.objects.get_or_create(
                country_id=row.country, valid_from=row.ref_year + 1, defaults={"end_month": row.fy_end.month}
            )
        last[row.country] = row.fy_end.month


@transaction.atomic
def _load_frame(panel: Panel, years: list[int]) -> None:
    instrument = instruments.register_instrument(INSTRUMENT)
    for year in years:
        Round.objects.get_or_create(
            year=year,
            defaults={
                "instrument": instrument,
                "state": Round.State.OPEN,
                "opens_on": dt.date(year, 9, 1),
                "closes_on": dt.date(year, 12, 31),
                "releases_on": dt.date(year + 1, 3, 31),
                "is_synthetic": True,
            },
        )
    if Unit.objects.exists():
        return
    clusters = dict(Cluster.objects.values_list("code", "pk"))
    units = [
        Unit(
            frame_id=row.frame_id,
            cluster_id=clusters[row.cluster],
            sector_id=row.isic4,
            registered=row.registered,
            member=row.member,
            start_year=row.start_year,
            is_synthetic=True,
        )
        for row in panel.units.itertuples()
    ]
    Unit.objects.bulk_create(units, batch_size=500)
    ids = {unit.frame_id: unit for unit in units}
    keep_identities(
        {
            ids[row.frame_id].pk: {
                "name": row.name,
                "address": row.address,
                "telephone": row.phone,
                "registration_number": row.registration_number,
            }
            for row in panel.units.itertuples()
        }
    )
    rounds = {round_.year: round_ for round_ in Round.objects.all()}
    for year in years:
        FrameEntry.objects.bulk_create(
            [
                FrameEntry(
                    round=rounds[year],
                    unit=ids[row.frame_id],
                    cluster_id=clusters[row.cluster],
                    size=row.size,
                    prior_employment=row.prior_employment,
                    in_scope=bool(row.in_scope),
                )
                for row in panel.frame[year].itertuples()
            ],
            batch_size=500,
        )


# --- Rounds -------------------------------------------------------------------------------


def _batches(panel: Panel, year: int):
    """Yield `(schedule, [(subject, answers)])`, each what one office would send in one go."""
    yield "REGION", list(panel.region_answers[year].items())
    yield "CLUSTER", list(panel.cluster_answers[year].items())
    slugs = [(f"{code}/association-{code.lower()}", a) for code, a in panel.association_answers[year].items()]
    yield "ASSOCIATION", slugs
    by_cluster: dict[str, list] = {}
    for entry in panel.returns[year]:
        by_cluster.setdefault(entry["cluster"], []).append((entry["frame_id"], entry["answers"]))
    yield from (("UNIT", rows) for rows in by_cluster.values())


def _bring_in(round_: Round, schedule: str, rows: list) -> list[Return]:
    """Make drafts of what is not there yet; hard failures stay drafts, as they would in an office."""
    user = get_user_model().objects.get(username=LOADER)
    there = set(Return.objects.filter(round=round_, schedule=schedule).values_list("subject", flat=True))
    new = [
        Row(subject, answers, f"row {number}")
        for number, (subject, answers) in enumerate(rows, start=2)
        if subject not in there
    ]
    if not new:
        return []
    outcome = save_drafts(
        round_=round_,
        schedule_code=schedule,
        rows=new,
        by=user,
        channel=Return.Channel.FILE,
        keep_failing=True,
        is_synthetic=True,
        source=SOURCE,
    )
    if outcome.refused:
        first = outcome.refused[0]
        raise DomainError(f"The invented returns were refused at {first.place} by rule {first.problem.rule}.")
    return outcome.returns


def _hand_in(returns: list[Return]) -> list[Return]:
    """Explain what the soft checks ask, leave out what cannot be submitted, submit the rest."""
    user = get_user_model().objects.get(username=LOADER)
    try:
        submit(returns, by=user, certified_name="Invented person")
        return returns
    except NotSubmittable as refusal:
        problems = refusal.problems
    stuck = {pk for pk, found in problems.items() if any(problem.is_hard for problem in found)}
    asked = [ret for ret in returns if ret.pk in problems and ret.pk not in stuck]
    explain(asked, {ret.pk: {problem.rule: EXPLANATION for problem in problems[ret.pk]} for ret in asked})
    ready = [ret for ret in returns if ret.pk not in stuck]
    submit(ready, by=user, certified_name="Invented person")
    return ready


def _load_closed_round(panel: Panel, year: int, progress, start: int, span: int) -> None:
    round_ = Round.objects.select_related("instrument").get(year=year)
    if round_.state == Round.State.CLOSED:
        return
    reviewer = get_user_model().objects.get(username=REVIEWER)
    batches = list(_batches(panel, year))
    for number, (schedule, rows) in enumerate(batches):
        progress(f"Bringing in round {year}", start + span * number // len(batches), 100)
        with transaction.atomic():
            drafts = _bring_in(round_, schedule, rows)
            if drafts:
                accept(_hand_in(drafts), by=reviewer, override_reason=OVERRIDE)
    close_round(round_, by=reviewer)


def _publish_edition(year: int) -> None:
    round_ = Round.objects.get(year=year)
    if Edition.objects.filter(round=round_, state__in=["published", "superseded"]).exists():
        return
    first, second = (get_user_model().objects.get(username=name) for name in ("demo-analyst", "demo-analyst2"))
    edition = Edition.objects.filter(round=round_, state__in=["candidate", "proposed"]).first()
    if edition is None:
        edition = cci.request_recompute(round_, by=first)
        _compute(edition)
    edition.refresh_from_db()
    if edition.state == Edition.State.FAILED:
        raise DomainError(f"{edition} was not computed; see its job.")
    if edition.state == Edition.State.CANDIDATE:
        cci.propose(edition, by=first, digest=edition.digest)
    cci.publish(edition, by=second, digest=edition.digest)


def _compute(edition: Edition) -> None:
    """Compute here, or wait for the worker that took the job first; take over when that one died."""
    for _ in range(600):
        ledger.run(edition.job_id)
        edition.refresh_from_db()
        if edition.state != Edition.State.COMPUTING:
            return
        Event().wait(1)
    raise DomainError(f"{edition} was not computed in time.")


def _load_open_round(panel: Panel, year: int) -> None:
    """An open round in the middle of its work: accepted, submitted, sent-back returns and drafts."""
    round_ = Round.objects.select_related("instrument").get(year=year)
    reviewer = get_user_model().objects.get(username=REVIEWER)
    for schedule, rows in _batches(panel, year):
        with transaction.atomic():
            drafts = _bring_in(round_, schedule, rows)
            if not drafts:
                continue
            if schedule == "UNIT":
                many = len(drafts)
                handed = _hand_in(drafts[: many * 9 // 10])
                accept(handed[: many * 5 // 10], by=reviewer, override_reason=OVERRIDE)
                for ret in handed[many * 5 // 10 : many * 5 // 10 + 3]:
                    send_back(
                        ret,
                        by=reviewer,
                        reason="Sales are far below last year's. Please check the scale (invented query).",
                    )
            elif schedule != "ASSOCIATION":
                accept(_hand_in(drafts), by=reviewer, override_reason=OVERRIDE)
