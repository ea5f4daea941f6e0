"""The demonstration world: real clusters, invented figures, loaded through the same services as real returns.

Every step can be repeated: a worker killed in the middle goes on where it stopped.
"""

import datetime as dt
import zlib
from collections.abc import Callable
from threading import Event

from django.conf import settings
from django.contrib.auth import get_user_model
from django.db import transaction
from django.db.models import F
from django.utils import timezone
from rest_framework.authtoken.models import Token

from cci import services as cci
from cci.forms import usual_moment
from cci.models import Edition, Methodology
from cci.services.releases import announce
from clusters.models import Cluster, ClusterRole, Membership, Organisation, Unit
from clusters.seed import load_reference, load_seed
from core.base import DomainError
from core.jobs import ledger
from facts.demo.panel import Panel, generate, read_spec
from facts.models import CountryYear, FiscalYear, Flag, FrameEntry, Query, Return, Round
from facts.services import instruments
from facts.services.checking import check_round, checks_running, open_critical, resolve_flags
from facts.services.drafts import explain
from facts.services.imports import Row, save_drafts
from facts.services.queries import answer, ask
from facts.services.reopening import ask_reopening
from facts.services.review import accept, send_back
from facts.services.rounds import close_round, usual_dates
from facts.services.submission import NotSubmittable, submit
from facts.services.units import keep_identities
from facts.services.values import register_indicators
from interventions.seed import load_interventions

SOURCE = "SYN-20121101"
INSTRUMENT = "1.0"
EXPLANATION = "Confirmed by telephone (invented explanation)."
SLIPPED = "Figures lie a factor of 10 or 1,000 from last year's. Please check the scale (invented query)."
UNLIKELY = "Figures lie far from last year's. Please check them, and the scale (invented query)."
TWICE = "The same figures were filed under two numbers of the frame. Please say whose they are (invented query)."
COPIED = "Money figures repeat last year's; no documents were shown (invented decision)."
BELIEVED_PCT = 88  # of warnings that are settled by a call; the others stay open
CHECKED = "Rules, weights and goalposts compared with the framework, section 12 (invented check)."
ADOPTED = "The method of the framework, section 12, in the form in which it was tried out (invented decision)."
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
    instruments.lookups.cache_clear()
    ensure_accounts()
    _adopt_methodology()
    progress("Inventing firms", 2, 100)
    panel = generate(sized(read_spec(), size))
    load_context(panel)
    years = sorted(panel.frame)[-rounds - 1 :]
    _load_frame(panel, years)
    closed = years[:-1]
    for position, year in enumerate(closed):
        share = 5 + 65 * position // len(closed)
        _load_closed_round(panel, year, progress, share, 65 // len(closed))
    for position, year in enumerate(closed):  # each edition looks back to the one before
        progress(f"Computing the index of {year}", 70 + 22 * position // len(closed), 100)
        _publish_edition(year)
    progress(f"Opening round {years[-1]}", 93, 100)
    _load_open_round(panel, years[-1])
    _load_questions(years[-1])
    _compute_open_round(years[-1])
    _announce_release(years[-1])
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


def renew_days() -> None:
    """Put the open round of the demonstration back into the middle of its collection, where its days are past."""
    past = Round.objects.open().filter(is_synthetic=True, closes_on__lt=timezone.localdate())
    past.update(**_days_of_now())


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
            defaults={"instrument": instrument, "state": Round.State.OPEN, "is_synthetic": True, **_days_of_now()},
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


def _days_of_now() -> dict[str, dt.date]:
    """The calendar of a round in the middle of its collection, whenever the world is loaded."""
    today = timezone.localdate()
    ahead = {"closes_on": 40, "editing_until": 70, "locks_on": 100, "panel_on": 130, "releases_on": 160}
    behind = {"frame_frozen_on": today - dt.timedelta(days=75), "opens_on": today - dt.timedelta(days=60)}
    return behind | {field: today + dt.timedelta(days=days) for field, days in ahead.items()}


def _give_days(round_: Round, days: dict[str, dt.date]) -> None:
    """A round takes returns inside its days only: a finished one is loaded in days of now, then gets its own back."""
    Round.objects.filter(pk=round_.pk).update(**days)
    round_.refresh_from_db()


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
    _give_days(round_, _days_of_now())
    batches = list(_batches(panel, year))
    for number, (schedule, rows) in enumerate(batches):
        progress(f"Bringing in round {year}", start + span * number // len(batches), 100)
        with transaction.atomic():
            drafts = _bring_in(round_, schedule, rows)
            handed = _hand_in(drafts) if drafts else []
            if schedule != "UNIT":
                accept(handed, by=reviewer, override_reason=OVERRIDE)
    _check(round_)
    _review_units(panel, round_, reviewer)
    # Invented: how long answering took, so that pages and messages can tell it.
    Return.objects.filter(round=round_, schedule="UNIT", version__gt=0).update(minutes=19 + F("pk") % 24)
    Return.objects.filter(round=round_, version__gt=0, minutes=None).update(minutes=27 + F("pk") % 13)
    last = dt.date(year, 12, 31)
    _give_days(round_, usual_dates(year) | {"closes_on": last, "editing_until": last})
    close_round(round_, by=reviewer)


def _check(round_: Round) -> None:
    """Run the checks of a round here, or wait for the worker that took them first; take over when that one died."""
    job = check_round(round_)
    for _ in range(600):
        ledger.run(job.pk)
        job.refresh_from_db()
        if not job.is_open:
            break
        Event().wait(1)
    if job.state != job.State.DONE or job.result["failed"]:
        raise DomainError(f"The checks of round {round_.year} did not finish: {job.error or 'see the worker’s log'}")


def _review_units(panel: Panel, round_: Round, reviewer) -> None:
    """What an invented reviewer does with what the checks said, cluster by cluster.

    Returns in thousands, with a digit too many, or filed twice go back and do not come again in time. What repeats last
    year's figures is not believed. Of everything else most is explained on the telephone, and some stays open.
    """
    slipped = {unit for case in ("P6", "P7") for unit in panel.planted[case].get(round_.year - 1, ())}
    waiting = Return.objects.waiting_for_review().filter(round=round_, schedule="UNIT").order_by("subject")
    for cluster_id in list(waiting.order_by("cluster").values_list("cluster_id", flat=True).distinct()):
        with transaction.atomic():
            returns = list(waiting.filter(cluster=cluster_id).select_related("round__instrument"))
            held = _judge(returns, round_, reviewer, slipped)
            back = [ret for ret in returns if ret.pk in held]
            for ret in back:
                send_back(ret, by=reviewer, reason=held[ret.pk])
            accept([ret for ret in returns if ret.pk not in held], by=reviewer, override_reason=OVERRIDE)


def _judge(returns: list[Return], round_: Round, reviewer, slipped: set[str]) -> dict[int, str]:
    """Decide on flags beyond the form; say which returns go back, and why. Seeded: the same world every time."""
    ids = [ret.pk for ret in returns]
    flags = []
    for start in range(0, len(ids), 500):
        found = Flag.objects.filter(ret__in=ids[start : start + 500], rule__startswith="X", resolution="open")
        flags += found.filter(version=F("ret__version")).select_related("ret")
    held: dict[int, str] = {}
    believed, doubted = [], []
    for flag in flags:
        if flag.rule == "X09":
            held[flag.ret_id] = TWICE
        elif flag.rule == "X08" and flag.ret.subject in slipped:
            held[flag.ret_id] = SLIPPED
    for flag in flags:
        luck = zlib.crc32(f"{round_.year} {flag.ret.subject} {flag.rule}".encode()) % 100
        if flag.ret_id in held or (flag.severity != "critical" and luck >= BELIEVED_PCT):
            continue
        (doubted if flag.rule in ("X02", "X03") else believed).append(flag)
    if believed:
        resolve_flags(believed, by=reviewer, accept=True, note=EXPLANATION)
    if doubted:
        resolve_flags(doubted, by=reviewer, accept=False, note=COPIED)
    return held


def _adopt_methodology() -> None:
    """What an office does before its first edition: one analyst registers, the other checks, the first adopts."""
    first, second = (get_user_model().objects.get(username=name) for name in ("demo-analyst", "demo-analyst2"))
    method = cci.register_methodology(cci.CURRENT, by=first)
    if method.state == Methodology.State.DRAFT:
        cci.check_methodology(method, by=second, note=CHECKED)
    if method.state == Methodology.State.CHECKED:
        cci.adopt_methodology(method, by=first, note=ADOPTED)


def _announce_release(year: int) -> None:
    """The next release in the calendar: its month is told, day and hour are not fixed yet."""
    round_ = Round.objects.get(year=year)
    planned_at = usual_moment(round_.releases_on)
    if planned_at and planned_at > timezone.now() and not round_.releases.exists():
        analyst = get_user_model().objects.get(username="demo-analyst")
        announce(round_, title=f"Cluster Competitiveness Index {year}", planned_at=planned_at, by=analyst)


def _publish_edition(year: int) -> None:
    round_ = Round.objects.get(year=year)
    if Edition.objects.filter(round=round_, state__in=["published", "superseded"]).exists():
        return
    first, second = (get_user_model().objects.get(username=name) for name in ("demo-analyst", "demo-analyst2"))
    computed = Edition.objects.filter(round=round_, state__in=["candidate", "proposed"])
    edition = computed.filter(revision__isnull=False).first()
    if edition is None:
        if checks_running(round_):
            _check(round_)  # those that closing asked for
        edition = cci.request_recompute(round_, by=first)
        _compute(edition)
    edition.refresh_from_db()
    if edition.state == Edition.State.FAILED:
        raise DomainError(f"{edition} was not computed; see its job.")
    if edition.state == Edition.State.CANDIDATE:
        cci.propose(edition, by=first, digest=edition.digest)
    cci.publish(edition, by=second, digest=edition.digest)


def _compute_open_round(year: int) -> None:
    """What the first night of a round does: its provisional edition, so that clusters see how far they are."""
    round_ = Round.objects.get(year=year)
    if not Edition.objects.filter(round=round_, is_provisional=True).exclude(digest="").exists():
        _compute(cci.request_recompute(round_, by=None))


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
    renew_days()
    for schedule, rows in _batches(panel, year):
        with transaction.atomic():
            drafts = _bring_in(round_, schedule, rows)
            if not drafts:
                continue
            if schedule == "UNIT":
                _hand_in(drafts[: len(drafts) * 9 // 10])
            elif schedule != "ASSOCIATION":
                accept(_hand_in(drafts), by=reviewer, override_reason=OVERRIDE)
    _check(round_)
    units = Return.objects.filter(round=round_, schedule="UNIT")
    for cluster_id in list(units.order_by("cluster").values_list("cluster_id", flat=True).distinct()):
        here = units.filter(cluster=cluster_id)
        if here.filter(state__in=[Return.State.ACCEPTED, Return.State.SENT_BACK]).exists():
            continue
        with transaction.atomic():
            waiting = list(here.filter(state=Return.State.SUBMITTED).order_by("subject"))
            half, critical = waiting[: here.count() // 2], open_critical(waiting)
            # What is critical and more than the reviewer came to today stays in the queue, beside the other half.
            back = [ret for ret in half if ret.pk in critical][:3]
            back += [ret for ret in waiting[len(half) :] if ret.pk not in critical][: 3 - len(back)]
            accepted = [ret for ret in half if ret.pk not in critical]
            _judge(accepted, round_, reviewer, set())
            accept(accepted, by=reviewer, override_reason=OVERRIDE)
            for ret in back:
                send_back(ret, by=reviewer, reason=UNLIKELY)


@transaction.atomic
def _load_questions(year: int) -> None:
    """Questions on values of the open round, one of them answered and one overdue; one wish to open a return again."""
    round_ = Round.objects.get(year=year)
    if Query.objects.filter(ret__round=round_).exists():
        return
    supervisor, entry = (get_user_model().objects.get(username=name) for name in ("demo-supervisor", "demo-entry"))
    here = Return.objects.filter(round=round_, schedule="UNIT", cluster__code="PK-SUR-SKT").order_by("subject")
    here = here.select_related("round__instrument")
    waiting = list(here.filter(state=Return.State.SUBMITTED)[:3])
    asked = [
        ("UC01", "Are sales of the second workshop in this figure? (invented question)"),
        ("UB09", "Does labour cost include piece-rate payments to families? (invented question)"),
        ("UD04", "Is the generator's diesel part of energy cost? (invented question)"),
    ]
    queries = [
        ask(ret, by=supervisor, question=code, text=text) for ret, (code, text) in zip(waiting, asked, strict=False)
    ]
    if len(queries) == len(asked):
        Query.objects.filter(pk=queries[1].pk).update(due_on=timezone.localdate() - dt.timedelta(days=3))
        answer(queries[2], by=entry, text="Yes, diesel and gas are in it (invented answer).")
    accepted = here.filter(state=Return.State.ACCEPTED).first()
    if accepted:
        reason = "The firm found a second order book after acceptance (invented reason)."
        ask_reopening(accepted, by=supervisor, reason=reason)
