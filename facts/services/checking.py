"""The checks X01–X30 of a round: asked for after a submission and every night, run cluster by cluster by workers."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, replace
from threading import Event

import pandas as pd
from django.db import transaction
from django.db.models import F, Q

from clusters.models import Cluster
from core.audit.models import record
from core.base import DomainError
from core.jobs import ledger
from core.jobs.models import Job
from facts.checks.rounds import cluster_findings, doubtful_returns, worker_findings
from facts.checks.rules import Rules, load_rules
from facts.checks.table import CheckTable
from facts.checks.units import unit_findings
from facts.models import CheckRun, Return, Round, RoundFlag

from .bulk import chunks, locked_states
from .check_tables import HANDED_IN, opened_table
from .flags import (
    flags_in_words,
    open_critical,
    put_flags,
    put_round_flags,
    put_suspicion,
    resolve_flag,
    resolve_flags,
    resolve_round_flag,
)
from .priority import request_priority

__all__ = [
    "check_cluster",
    "check_now",
    "check_round",
    "check_unseen",
    "checks_running",
    "flags_in_words",
    "open_critical",
    "request_check",
    "request_checks_of",
    "resolve_flag",
    "resolve_flags",
    "resolve_round_flag",
    "unseen",
]
KIND, KIND_ROUND = "facts.check_cluster", "facts.check_round"
AT_ONCE = 200  # returns handed in of clusters that are checked while a person waits


# --- Asked for --------------------------------------------------------------------------------------------------------


def request_check(round_: Round, cluster_id: int, *, by=None) -> Job:
    """Ask for a check of one cluster; while one waits, a second wish finds it. Belongs in the change's transaction."""
    return ledger.enqueue(KIND, key=f"{round_.pk}:{cluster_id}", by=by, round_id=round_.pk, cluster_id=cluster_id)


def request_checks_of(returns: Iterable[Return], *, by=None) -> list[Job]:
    """Ask once for every cluster of which unit returns were handed in, in the transaction that hands them in.

    A job that was open before may look, and end, before that transaction commits. So the wish is repeated after it.
    """
    wanted = {(ret.round_id, ret.cluster_id): ret.round for ret in returns if ret.schedule == "UNIT"}

    def again() -> None:
        for (_, cluster_id), round_ in sorted(wanted.items()):
            if _unchecked(round_, cluster_id).exists():
                request_check(round_, cluster_id, by=by)

    transaction.on_commit(again, robust=True)
    return [request_check(round_, cluster_id, by=by) for (_, cluster_id), round_ in sorted(wanted.items())]


def check_round(round_: Round, *, by=None) -> Job:
    """Ask for a check of every cluster of a round, and of what shows across clusters only."""
    job = ledger.enqueue(KIND_ROUND, key=str(round_.pk), by=by, round_id=round_.pk)
    with transaction.atomic():
        record("round.check", round_, by=by, year=round_.year)
    return job


# --- Worked by the ledger ---------------------------------------------------------------------------------------------


def run_check_cluster(run: ledger.Run, *, round_id: int, cluster_id: int) -> None:
    """The job of one cluster: everything it found is stored in one transaction with the job's end, or nothing is."""
    round_ = Round.objects.get(pk=round_id)
    run.progress("Opening returns", 0, 3)
    before = set(_unchecked(round_, cluster_id).values_list("pk", "version"))
    checked = check_cluster(round_, cluster_id)
    run.progress("Keeping what the checks said", 2, 3)
    with run.finishing({"returns": checked.counts["returns"], "flags": len(checked.flags)}):
        store_checked(checked, job_id=run.pk)
        request_priority(round_, cluster_id)
    # A return handed in while this ran found this job open: its own wish was answered by it. Ask again. What stood here
    # before and is still unchecked could not be opened; asking again would not end.
    if set(_unchecked(round_, cluster_id).values_list("pk", "version")) - before:
        request_check(round_, cluster_id)


def _unchecked(round_: Round, cluster_id: int):
    """Unit returns handed in whose last version no check has seen."""
    waiting = Return.objects.filter(round=round_, cluster=cluster_id, schedule="UNIT", state__in=HANDED_IN)
    return waiting.exclude(checked_version=F("version"))


def unseen(returns: Iterable[Return]) -> set[int]:
    """Ids of the unit returns among these whose stored version no check has seen."""
    found: set[int] = set()
    for part in chunks(ret.pk for ret in returns if ret.schedule == "UNIT"):
        waiting = Return.objects.filter(pk__in=part).exclude(checked_version=F("version"))
        found.update(waiting.values_list("pk", flat=True))
    return found


def check_unseen(returns: Iterable[Return]) -> None:
    """Check here what no worker has checked yet, where that is quick; what a worker is at is left to it."""
    returns = list(returns)
    ids = unseen(returns)
    clusters = {(ret.round_id, ret.cluster_id): ret.round for ret in returns if ret.pk in ids}
    here = Return.objects.filter(schedule="UNIT", state__in=HANDED_IN)
    if sum(here.filter(round=round_, cluster=cluster).count() for (round_, cluster) in clusters) > AT_ONCE:
        return
    for (_, cluster_id), round_ in sorted(clusters.items()):
        ledger.run(request_check(round_, cluster_id).pk, heartbeat=False)


def checks_running(round_: Round) -> str:
    """How far the checks of a round are, in words; empty where none waits or runs."""
    mine = Q(kind=KIND_ROUND, key=str(round_.pk)) | Q(kind=KIND, key__startswith=f"{round_.pk}:")
    jobs = list(Job.objects.filter(mine, state__in=[Job.State.QUEUED, Job.State.RUNNING]).order_by("pk"))
    if not jobs:
        return ""
    whole = next((job for job in jobs if job.kind == KIND_ROUND), None)
    if whole and whole.total:
        return f"{whole.done} of {whole.total} clusters"
    return "waiting for a worker" if whole else f"{len(jobs)} cluster{'s' if len(jobs) != 1 else ''} to go"


def check_now(round_: Round, cluster_id: int, *, by=None) -> None:
    """Check a cluster here and now, under the ledger, as a worker would."""
    job = request_check(round_, cluster_id, by=by)
    ledger.run(job.pk, heartbeat=False)
    job.refresh_from_db()
    if job.state != Job.State.DONE:
        raise DomainError(f"The checks of cluster {cluster_id} in round {round_.year} did not finish: {job.error}")


def run_check_round(run: ledger.Run, *, round_id: int) -> None:
    """The job of a round: a child job for every cluster, then what needs all of them.

    This job works children itself, so one worker is enough; others take those that are still free.
    """
    round_ = Round.objects.get(pk=round_id)
    clusters = Return.objects.filter(round=round_, schedule="UNIT", state__in=HANDED_IN).order_by("cluster")
    ids = list(clusters.values_list("cluster_id", flat=True).distinct())
    ids += list(CheckRun.objects.filter(round=round_, cluster__isnull=False).values_list("cluster", flat=True))
    children = [request_check(round_, pk) for pk in sorted(set(ids))]
    run.progress("Checking clusters", 0, len(children))
    for done, child in enumerate(children, start=1):
        ledger.run(child.pk)
        run.progress("Checking clusters", done, len(children))
    failed = _wait_for(run, [child.pk for child in children])
    parts = list(CheckRun.objects.filter(round=round_, cluster__isnull=False).values_list("counts", flat=True))
    rules = load_rules()
    found = worker_findings(_workers(parts), rules.of("X30", round_.year))
    total = _added_up(parts) | {"clusters": len(parts), "failed": len(failed)}
    with run.finishing({"clusters": len(children), "failed": len(failed), "returns": total["returns"]}):
        keep = [(int(row.worker), row) for row in found.itertuples()]
        put_round_flags(round_, "worker_id", RoundFlag.objects.filter(round=round_, worker__isnull=False), keep)
        CheckRun.objects.filter(round=round_, cluster=None).delete()
        CheckRun.objects.create(round=round_, job_id=run.pk, rules_digest=rules.digest, counts=total)


def _wait_for(run: ledger.Run, ids: list[int]) -> list[int]:
    """Wait for children that other workers took; take over where one of those died. Returns which failed."""
    clock = Event()
    while True:
        states = {}
        for part in chunks(ids):
            states.update(Job.objects.filter(pk__in=part).values_list("pk", "state"))
        busy = [pk for pk, state in states.items() if state in (Job.State.QUEUED, Job.State.RUNNING)]
        if not busy:
            return [pk for pk, state in states.items() if state != Job.State.DONE]
        for pk in busy:
            ledger.run(pk)  # claims only what waits or whose worker died
        run.progress("Waiting for clusters at other workers", len(ids) - len(busy), len(ids))
        clock.wait(0.5)


def check_open_rounds() -> None:
    """Every night: the checks of each open round."""
    for round_ in Round.objects.filter(state=Round.State.OPEN):
        check_round(round_)


def _workers(parts: list[dict]) -> pd.DataFrame:
    rows = [row for part in parts for row in part.get("workers", ())]
    return pd.DataFrame(rows, columns=["worker", "returns", "doubtful"])


def _added_up(parts: list[dict]) -> dict:
    rules: Counter = Counter()
    for part in parts:
        rules.update(part.get("rules", {}))
    return {"returns": sum(part.get("returns", 0) for part in parts), "rules": dict(sorted(rules.items()))}


# --- One cluster ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Checked:
    """What a run over one cluster found; nothing of it is stored yet.

    seen : return id → version that was opened. flags : findings of units with their return. over : findings of the
    cluster. counts : how often each rule spoke; what X30 needs of field workers.
    """

    round: Round
    cluster_id: int
    seen: dict[int, int]
    flags: pd.DataFrame
    over: pd.DataFrame
    counts: dict
    rules: Rules


def check_cluster(round_: Round, cluster_id: int) -> Checked:
    """Open what a cluster handed in, in this and two earlier rounds, and run X01–X10 and X20–X29. Stores nothing.

    Divisions with too few of the cluster's own units are compared within the country: up to 400 matched returns of
    other clusters are opened for each. That bounds the cost of a check by the cluster's own size, holds for a single
    submission as for the night's run, and no table of medians has to be kept and sealed.
    """
    rules = load_rules()
    cluster = Cluster.objects.get(pk=cluster_id)
    table, ids = opened_table(round_, cluster, rules)
    found = unit_findings(table)
    own = found[found["cluster"] == cluster.code]
    over = cluster_findings(table)
    flags = own.assign(ret=[ids[frame_id][0] for frame_id in own["frame_id"]])
    return Checked(
        round=round_,
        cluster_id=cluster.pk,
        seen=dict(ids.values()),
        flags=flags.drop(columns=["frame_id", "cluster"]),
        over=over[over["cluster"] == cluster.code],
        counts={
            "returns": len(ids),
            "rules": _spoke(own),
            "workers": [
                [None if pd.isna(worker) else int(worker), int(n), int(odd)]
                for worker, n, odd in doubtful_returns(_only(table, cluster.code), own).itertuples(index=False)
            ],
        },
        rules=rules,
    )


def _spoke(own: pd.DataFrame) -> dict[str, int]:
    """On how many returns each rule spoke, and any rule of each severity."""
    by_rule = {str(rule): int(n) for rule, n in own.groupby("rule")["frame_id"].nunique().items()}
    by_severity = {f"any {name}": int(n) for name, n in own.groupby("severity")["frame_id"].nunique().items()}
    return by_rule | by_severity


def _only(table: CheckTable, code: str) -> CheckTable:
    """The rows of one cluster."""
    keep = table.cluster_of == table.codes.index(code) if code in table.codes else table.cluster_of < 0
    columns = ("frame_id", "cluster_of", "division_of", "division_before", "weight", "confirmed")
    columns += ("worker", "registration", "telephone")
    years = {
        name: {question: values[keep] for question, values in getattr(table, name).items()}
        for name in ("now", "before", "earlier")
    }
    return replace(table, **{name: getattr(table, name)[keep] for name in columns}, **years)


@transaction.atomic
def store_checked(checked: Checked, *, job_id: int | None = None) -> None:
    """Replace what the checks said of a cluster by what they say now, all of it or nothing.

    A flag that speaks again on the same version keeps what was decided about it; one that no longer speaks goes.
    A return that was handed in again, or taken back, in the meantime is left to the next run.
    """
    there = locked_states(checked.seen)
    same = {pk for pk, version in checked.seen.items() if pk in there and there[pk][1] == version}
    flags = checked.flags[checked.flags["ret"].isin(same)]
    put_flags(same, checked.seen, flags)
    put_suspicion(same, checked.seen)
    keep = [(checked.cluster_id, row) for row in checked.over.itertuples()]
    existing = RoundFlag.objects.filter(round=checked.round, cluster=checked.cluster_id)
    put_round_flags(checked.round, "cluster_id", existing, keep)
    CheckRun.objects.filter(round=checked.round, cluster=checked.cluster_id).delete()
    CheckRun.objects.create(
        round=checked.round,
        cluster_id=checked.cluster_id,
        job_id=job_id,
        rules_digest=checked.rules.digest,
        counts=checked.counts,
    )
    record(
        "cluster.check",
        Cluster(pk=checked.cluster_id),
        by=None,
        round=checked.round.year,
        returns=len(same),
        rules=checked.rules.digest,
    )
