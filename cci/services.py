"""Editions: asked for, computed by a worker, proposed by one person, published by another."""

import hashlib
import json
from functools import partial

import pandas as pd
from django.db import transaction
from django.db.models import Max
from django.utils import timezone

from cci.engine import VERSION, compute
from cci.engine.ranking import rank
from clusters.models import Cluster
from core.audit.models import record
from core.base import Conflict, DomainError
from core.jobs import ledger
from facts.indicators.compute import compute_round, coverage_of, index_inputs
from facts.models import Round
from facts.reliability import reliability
from facts.services.checking import checks_running
from facts.services.snapshots import read_snapshot, take_snapshot
from facts.services.standing import store_reliability
from facts.services.values import store_values

from .methodology import Method, load_method
from .models import Edition, Methodology, Score, Standing
from .precision import precision_of
from .standings import standings_of, with_missing_pillars

CURRENT = "1.0"


@transaction.atomic
def register_methodology(version: str, *, by=None) -> Methodology:
    """Enter a methodology; the same files again change nothing, changed files need a new version."""
    method = load_method(version)
    existing = Methodology.objects.filter(version=version).first()
    if existing:
        if existing.digest != method.digest:
            raise DomainError(
                f"Methodology {version} is registered with other content. Give the changed files a new version."
            )
        return existing
    made = Methodology.objects.create(
        version=version,
        title=method.title,
        digest=method.digest,
        definition=json.loads(json.dumps(method.content, default=str)),
        author=method.author,
        checker=method.checker,
        review_on=method.review_on,
    )
    record("methodology.register", made, by=by, version=version, digest=method.digest)
    return made


@transaction.atomic
def request_recompute(round_: Round, *, by, revision: int | None = None) -> Edition:
    """Queue the computing of a round's next edition, or of one revision again; two clicks give one edition.

    A round that is still open gets its provisional edition, which is for staff and is never published. A closed one is
    computed once its checks are done: which flags stand enters reliability, and so who is ranked.
    """
    methodology = Methodology.objects.order_by("-pk").first()
    if methodology is None:
        raise DomainError("No methodology is registered yet.")
    Round.objects.select_for_update().get(pk=round_.pk)
    provisional = round_.state != Round.State.CLOSED
    if not provisional and (far := checks_running(round_)):
        raise DomainError(f"The checks of round {round_.year} are still running ({far}). Try again when they are done.")
    if provisional:
        edition = Edition.objects.filter(round=round_, is_provisional=True).first()
    elif revision is not None:
        edition = Edition.objects.filter(round=round_, revision=revision).first()
        if edition is None:
            raise DomainError(f"Round {round_.year} has no revision {revision}.")
    else:
        unfinished = [Edition.State.COMPUTING, Edition.State.FAILED]
        edition = Edition.objects.filter(round=round_, state__in=unfinished, is_provisional=False).first()
    if edition and edition.state not in ("computing", "candidate", "failed"):
        raise DomainError(f"{edition} is {edition.get_state_display().lower()}; its figures no longer change.")
    if edition is None:
        last = Edition.objects.filter(round=round_, is_provisional=False).aggregate(last=Max("revision"))["last"]
        number = None if provisional else 0 if last is None else last + 1
        label = f"{round_.year}-provisional" if provisional else f"{round_.year}" + (f".{number}" if number else "")
        edition = Edition(round=round_, revision=number, label=label, is_provisional=provisional)
    edition.methodology = methodology
    edition.state = Edition.State.COMPUTING
    edition.requested_by = by
    edition.save()
    edition.job = ledger.enqueue("recompute_cci", key=f"edition:{edition.pk}", by=by, edition_id=edition.pk)
    edition.save(update_fields=["job"])
    record("edition.recompute", edition, by=by, label=edition.label)
    return edition


def run_recompute(run: ledger.Run, *, edition_id: int) -> None:
    """Compute an edition: snapshot, indicators, index; stored in one transaction, or not at all."""
    edition = Edition.objects.select_related("round__instrument", "methodology", "requested_by").get(pk=edition_id)
    if edition.state != Edition.State.COMPUTING:
        return
    try:
        result = _compute(edition, run)
    except ledger.LostLease:
        raise
    except Exception:
        with run.fenced():
            Edition.objects.filter(pk=edition.pk, state=Edition.State.COMPUTING).update(state=Edition.State.FAILED)
        raise
    run.progress("Storing the results", 95, 100)
    with run.finishing({"digest": result["digest"], "label": edition.label}):
        _store(edition, result)


def _compute(edition: Edition, run: ledger.Run) -> dict:
    method = load_method(edition.methodology.version)
    if method.digest != edition.methodology.digest:
        raise DomainError("The methodology's files differ from the registered ones.")
    run.progress("Opening accepted returns", 0, 100)
    snapshot = take_snapshot(
        edition.round,
        by=edition.requested_by,
        progress=lambda done, total: run.progress("Opening accepted returns", round(40 * done / max(total, 1)), 100),
    )
    run.progress("Computing indicators", 45, 100)
    outcome = compute_edition(read_snapshot(snapshot), edition.round.year, method, snapshot.digest)
    run.progress("Computing the index", 90, 100)
    return outcome | {"snapshot": snapshot, "method": method}


def compute_edition(tables, round_year: int, method: Method, snapshot_digest: str) -> dict:
    """Compute everything of an edition from a snapshot's tables; nothing is read or written. The digest covers all."""
    years = [year for year in sorted(set(tables.frame["round"])) if round_year - 2 <= year <= round_year]
    by_round = {year: compute_round(tables, year, method.definitions, method.imputation) for year in years}
    _admit_proxy(by_round, method)
    inputs = index_inputs(by_round, round_year, method.definitions)
    coverage = coverage_of(tables, round_year)
    data = inputs.rename_axis("uCode").reset_index()
    computed = compute(data, method.meta, method.engine_config, goalposts=method.goalposts)
    scores = computed.tables["scores"].set_index("uCode")
    observed = computed.tables["coverage"].set_index("uCode")
    pillars = {node.code: node.name for node in method.definitions.pillars}
    reliabilities = with_missing_pillars(reliability(tables, method.reliability, round_year), scores, pillars)
    standings = standings_of(coverage.index, reliabilities, scores)
    ranked = [code for code, verdict in standings.items() if verdict.is_ranked]
    ranks = rank(scores.loc[ranked]) if ranked else scores.loc[[]]
    sure = precision_of(tables, by_round, round_year, method, scores, ranked)
    judged = {
        code: [verdict.status, verdict.reason, reliabilities[code].score if code in reliabilities else None]
        for code, verdict in standings.items()
    }
    digest = _digest(snapshot_digest, method, scores, ranks, sure, judged)
    return {
        "values": by_round[round_year],
        "coverage": coverage,
        "scores": scores,
        "observed": observed,
        "ranks": ranks,
        "precision": sure,
        "standings": standings,
        "reliability": reliabilities,
        "report": computed.report | {"precision": sure.report},
        "digest": digest,
    }


def _admit_proxy(by_round: dict, method: Method) -> None:
    """Estimated indicators enter only in the rounds that the methodology names."""
    estimated = [indicator.code for indicator in method.definitions.indicators if indicator.estimated]
    for year, values in by_round.items():
        if year not in method.content["proxy_rounds"]:
            proxy = values["indicator"].isin(estimated)
            values.loc[proxy, ["value", "status", "reason"]] = [float("nan"), "O", "no assessment yet"]


def _digest(snapshot_digest, method: Method, scores, ranks, sure, standings) -> str:
    """SHA-256 over inputs, methodology, engine and results. Ten significant digits, six of standard errors: no more is
    claimed."""

    def plain(frame: pd.DataFrame, digits: int = 10) -> list:
        frame = frame.sort_index()[sorted(frame.columns)]
        return [
            [code, *(None if pd.isna(v) else float(f"{float(v):.{digits}g}") for v in row)]
            for code, row in zip(frame.index, frame.to_numpy(dtype=object), strict=True)
        ]

    content = [
        snapshot_digest,
        method.digest,
        VERSION,
        plain(scores),
        plain(ranks),
        plain(sure.intervals),
        plain(sure.scores, 6),
        plain(sure.values, 6),
        sorted(standings.items()),
    ]
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def _store(edition: Edition, result: dict) -> None:
    """Write values, scores and standings; runs inside the job's last transaction."""
    method, coverage = result["method"], result["coverage"]
    sure = result["precision"]
    store_values(result["snapshot"], result["values"], coverage, method.content["publication"], sure.values)
    clusters = dict(Cluster.objects.values_list("code", "pk"))
    store_reliability(result["snapshot"], result["reliability"])
    edition.scores.all().delete()
    edition.standings.all().delete()
    intervals, ranks = sure.intervals, result["ranks"]
    n_ranked = len(ranks)
    scores = []
    number = partial(_or_none, int)
    for code, row in result["scores"].iterrows():
        for node, value in row.items():
            is_index = node == "CCI" and code in intervals.index
            scores.append(
                Score(
                    edition=edition,
                    cluster_id=clusters[code],
                    node=node,
                    value=_or_none(float, value),
                    rank=number(ranks[node].get(code)) if code in ranks.index else None,
                    n_ranked=n_ranked,
                    rank_low=int(intervals.at[code, "low"]) if is_index else None,
                    rank_high=int(intervals.at[code, "high"]) if is_index else None,
                    se=_or_none(float, sure.scores.at[code, node]),
                    coverage=_or_none(float, result["observed"].at[code, node]),
                )
            )
    Score.objects.bulk_create(scores, batch_size=500)
    Standing.objects.bulk_create(
        [
            Standing(
                edition=edition,
                cluster_id=clusters[code],
                is_ranked=verdict.is_ranked,
                reason=verdict.reason,
                status=verdict.status,
                response_share=_or_none(float, coverage.at[code, "response_share"]),
                employment_share=_or_none(float, coverage.at[code, "employment_share"]),
                n_units=int(coverage.at[code, "operating"]),
            )
            for code, verdict in result["standings"].items()
        ],
        batch_size=500,
    )
    edition.snapshot = result["snapshot"]
    edition.state = Edition.State.CANDIDATE
    edition.digest = result["digest"]
    edition.engine_version = VERSION
    edition.report = json.loads(json.dumps(result["report"], default=str))
    edition.summary = {
        "clusters": len(coverage),
        "ranked": n_ranked,
        "units": int(coverage["operating"].sum()),
    }
    edition.is_synthetic = result["snapshot"].is_synthetic
    edition.computed_at = timezone.now()
    edition.save()
    record("edition.computed", edition, by=edition.requested_by, label=edition.label, digest=edition.digest)


def _or_none(kind, value):
    return None if value is None or pd.isna(value) else kind(value)


def _moved(edition: Edition, was: str, **changes) -> None:
    if not Edition.objects.filter(pk=edition.pk, state=was, digest=edition.digest).update(**changes):
        raise Conflict("Somebody else decided on this edition in the meantime. Look at it again.")
    for name, value in changes.items():
        setattr(edition, name, value)


@transaction.atomic
def propose(edition: Edition, *, by, digest: str) -> None:
    """Put a computed edition forward for publication, by its digest."""
    if edition.is_provisional:
        raise DomainError("The round is still open. Close it, then compute the edition to publish.")
    Round.objects.select_for_update().get(pk=edition.round_id)
    if edition.state != Edition.State.CANDIDATE or digest != edition.digest:
        raise Conflict("This is not the edition as computed last. Look at it again before you propose it.")
    same = Edition.objects.filter(state=Edition.State.PUBLISHED, digest=digest).first()
    if same:
        raise DomainError(f"These are the very figures of {same}, which is published. There is nothing new to publish.")
    _moved(edition, "candidate", state=Edition.State.PROPOSED, proposed_by=by, proposed_at=timezone.now())
    record("edition.propose", edition, by=by, label=edition.label, digest=digest)


@transaction.atomic
def decline(edition: Edition, *, by, digest: str, reason: str) -> None:
    """Take a proposal back to the computed state, with the reason; the proposer or a colleague may."""
    if len(reason.strip()) < 10:
        raise DomainError("Say why the proposal is taken back (at least 10 characters).")
    if edition.state != Edition.State.PROPOSED or digest != edition.digest:
        raise Conflict("This is not the edition as proposed. Look at it again.")
    _moved(edition, "proposed", state=Edition.State.CANDIDATE, proposed_by=None, proposed_at=None)
    record("edition.decline", edition, by=by, label=edition.label, digest=digest, reason=reason.strip()[:300])


@transaction.atomic
def publish(edition: Edition, *, by, digest: str) -> None:
    """Publish a proposed edition, and supersede the one before it, in one step. Needs a second person."""
    if edition.state != Edition.State.PROPOSED or digest != edition.digest:
        raise Conflict("This is not the edition as proposed. Look at it again before you publish it.")
    if edition.proposed_by_id == by.pk:
        raise DomainError("Who proposes an edition does not publish it. Ask a colleague.")
    Round.objects.select_for_update().get(pk=edition.round_id)
    newer = Edition.objects.filter(
        round_id=edition.round_id, state=Edition.State.PUBLISHED, revision__gt=edition.revision
    ).first()
    if newer:
        raise DomainError(f"{newer} is published already and is newer than this one.")
    for earlier in Edition.objects.filter(round_id=edition.round_id, state=Edition.State.PUBLISHED):
        _moved(earlier, "published", state=Edition.State.SUPERSEDED)
        record("edition.superseded", earlier, by=by, label=earlier.label)
    _moved(edition, "proposed", state=Edition.State.PUBLISHED, published_by=by, published_at=timezone.now())
    record("edition.publish", edition, by=by, label=edition.label, digest=digest)


def recompute_digest(edition: Edition) -> str:
    """Compute an edition again from its stored snapshot; the digest must come out the same."""
    method = load_method(edition.methodology.version)
    tables = read_snapshot(edition.snapshot)
    return compute_edition(tables, edition.round.year, method, edition.snapshot.digest)["digest"]


def recompute_open_rounds() -> int:
    """Queue the provisional edition of every open round that has accepted returns. Returns how many."""
    rounds = Round.objects.open().filter(returns__state__in=["accepted", "locked"]).distinct()
    for round_ in rounds:
        request_recompute(round_, by=None)
    return len(rounds)
