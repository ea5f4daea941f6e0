"""How many places of the ranking each handed-in return may move: the effect by which the review queue is ordered."""

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import pandas as pd
from django.conf import settings
from django.db import transaction
from django.utils.module_loading import import_string

from clusters.models import Cluster
from core.audit.models import record
from core.jobs import ledger
from core.jobs.models import Job
from facts import selective
from facts.indicators.compute import FLAG_COLUMNS, Tables, compute_round
from facts.models import CountryYear, FiscalYear, FrameEntry, Return, Round
from facts.selective import Yardstick
from facts.vault import store

from .values import definitions

KIND = "facts.prioritise"
WAITING = (Return.State.SUBMITTED, Return.State.IN_REVIEW)
IN_HAND = (*WAITING, *Return.COUNTED)
ROWS_AT_ONCE = 100_000  # rows of unit answers in one computation; bounds memory
UNIT = "UNIT"


def yardstick(round_: Round) -> Yardstick:
    """How the index measures; the index lies above this app and is named in the settings."""
    return import_string(settings.INDEX_YARDSTICK)(round_)


def prioritise(round_: Round, cluster_id: int, *, rod: Yardstick | None = None) -> dict[int, float]:
    """Say of each return of a cluster that waits for review how many places it may move; store it as its effect.

    The cluster is taken as it will be when all have answered: what is in hand, and last round's answers of those who
    have not answered yet. Opens the cluster's answers of this round and the one before. The number of queries does not
    depend on the number of returns; work grows with returns in hand × returns that move a total.

    Returns places by return id. Not for regions: their return moves all clusters of the region alike.
    """
    cluster = Cluster.objects.select_related("country").get(pk=cluster_id)
    if not _waiting(round_, cluster_id).exists():
        return {}
    world = _world(round_, cluster)
    shifts = _unit_shifts(world, rod := rod or yardstick(round_)) | _collective_shifts(world, rod)
    found = {pk: selective.places(cluster.code, shifts.get(pk, 0.0), rod.scores) for pk in world.waiting}
    with transaction.atomic():
        changed = []
        held = Return.objects.select_for_update().filter(pk__in=found, state__in=WAITING).order_by("pk")
        for ret in held:
            # A version handed in meanwhile is measured by the run that its own submission asks for.
            if ret.version == world.waiting[ret.pk] and abs(ret.effect - found[ret.pk]) > 1e-9:
                ret.effect = found[ret.pk]
                changed.append(ret)
        Return.objects.bulk_update(changed, ["effect"], batch_size=200)
        if changed:
            record("cluster.prioritise", cluster, by=None, round=round_.year, returns=len(changed))
    return found


def request_priority(round_: Round, cluster_id: int, *, by=None) -> Job | None:
    """Ask for the effects of a cluster's waiting returns; none waits, none is asked. In the change's transaction."""
    if not _waiting(round_, cluster_id).exists():
        return None
    return ledger.enqueue(KIND, key=f"{round_.pk}:{cluster_id}", by=by, round_id=round_.pk, cluster_id=cluster_id)


def _waiting(round_: Round, cluster_id: int):
    return Return.objects.waiting_for_review().filter(round=round_, cluster=cluster_id).exclude(schedule="REGION")


def run_prioritise(run: ledger.Run, *, round_id: int, cluster_id: int) -> None:
    """The job of one cluster."""
    run.progress("Weighing what may move the ranking", 0, 1)
    prioritise(Round.objects.get(pk=round_id), cluster_id)


@dataclass
class _World:
    """One cluster of one round, opened. units, before : answers by frame id; in_hand : frame id → return id."""

    round: Round
    cluster: Cluster
    units: pd.DataFrame
    before: pd.DataFrame
    frame: pd.DataFrame
    collective: dict[str, dict]  # schedule → answers now
    collective_before: dict[str, dict]
    ids: dict[str, int]  # frame id → return that waits
    collective_ids: dict[str, int]  # schedule → return that waits
    waiting: dict[int, int]  # return → version seen


def _world(round_: Round, cluster: Cluster) -> _World:
    heads = _heads(round_.year, cluster, IN_HAND)
    earlier = _heads(round_.year - 1, cluster, Return.COUNTED)
    opened = store.open_answers((pk, version) for pk, version, *_ in (*heads, *earlier))
    flat = {UNIT: {}, "before": {}}
    ids, collective_ids, waiting = {}, {}, {}
    collective, collective_before = {}, {}
    for pk, version, state, schedule, frame_id in heads:
        if schedule == UNIT:
            flat[UNIT][frame_id] = _flat(opened[pk]["answers"])
        else:
            collective[schedule] = opened[pk]["answers"]
        if state in WAITING and schedule != "REGION":
            waiting[pk] = version
            if schedule == UNIT:
                ids[frame_id] = pk
            else:
                collective_ids[schedule] = pk
    for pk, _, _, schedule, frame_id in earlier:
        if schedule == UNIT:
            flat["before"][frame_id] = _flat(opened[pk]["answers"])
        else:
            collective_before[schedule] = opened[pk]["answers"]
    entries = FrameEntry.objects.filter(cluster=cluster, round__year__in=(round_.year, round_.year - 1))
    columns = ["round", "frame_id", "size", "prior_employment", "in_scope", "member", "drawn", "design_weight"]
    frame = pd.DataFrame(entries.values_list("round__year", "unit__frame_id", *columns[2:]), columns=columns)
    units = pd.DataFrame.from_dict(flat[UNIT], orient="index")
    before = pd.DataFrame.from_dict(flat["before"], orient="index")
    return _World(round_, cluster, units, before, frame, collective, collective_before, ids, collective_ids, waiting)


def _heads(year: int, cluster: Cluster, states: Iterable[str]) -> list[tuple]:
    """pk, version, state, schedule and frame id of a cluster's returns, and of its region's."""
    of_cluster = Return.objects.filter(round__year=year, cluster=cluster, state__in=list(states))
    of_region = Return.objects.filter(
        round__year=year, schedule="REGION", region=cluster.region_id, state__in=list(states)
    )
    fields = ("pk", "version", "state", "schedule", "unit__frame_id")
    return [*of_cluster.order_by("pk").values_list(*fields), *of_region.order_by("pk").values_list(*fields)]


def _flat(answers: dict) -> dict:
    return {code: ";".join(map(str, value)) if isinstance(value, list) else value for code, value in answers.items()}


# --- Units ------------------------------------------------------------------------------------


def _unit_shifts(world: _World, rod: Yardstick) -> dict[int, float]:
    """Index points by return: reported against expected, for the returns that move a total at all."""
    if not world.ids:
        return {}
    this_year = world.frame[world.frame["round"] == world.round.year].set_index("frame_id")
    weight = this_year["design_weight"].reindex(world.units.index).fillna(1.0).astype(float)
    expected = selective.expected_figures(world.units, world.before, this_year["prior_employment"])
    now = world.units.reindex(columns=expected.columns).apply(pd.to_numeric, errors="coerce").astype(float)
    moves = selective.global_scores(selective.local_scores(now, expected, weight))
    chosen = [one for one in world.ids if moves[one] >= selective.LEAST_MOVE]
    if not chosen:
        return {}
    whole = _whole(world)
    reported = whole.loc[chosen, expected.columns].copy()
    whole.loc[chosen, expected.columns] = expected.loc[chosen]
    instead, *variants = _indicators(world, whole, [{}, *({one: reported.loc[one]} for one in chosen)])
    return {
        world.ids[one]: selective.index_shift(world.cluster.code, variant, instead, rod)
        for one, variant in zip(chosen, variants, strict=True)
    }


def _whole(world: _World) -> pd.DataFrame:
    """The cluster's units of this round; who has not answered yet stands there with last round's answers."""
    silent = world.before.loc[world.before.index.difference(world.units.index)]
    whole = pd.concat([world.units, silent]) if len(silent) else world.units.copy()
    figures = [code for code in selective.FIGURES if code in whole]
    whole[figures] = whole[figures].apply(pd.to_numeric, errors="coerce").astype(float)
    return whole


def _collective_shifts(world: _World, rod: Yardstick) -> dict[int, float]:
    """Index points by return: the association's or the cluster's answers against last round's."""
    shifts = {}
    for schedule, pk in world.collective_ids.items():
        if schedule not in world.collective_before:
            continue
        reported, instead = (
            _indicators(world, _whole(world), [{}], {**world.collective, schedule: answers})[0]
            for answers in (world.collective[schedule], world.collective_before[schedule])
        )
        shifts[pk] = selective.index_shift(world.cluster.code, reported, instead, rod)
    return shifts


# --- Indicators of a cluster in several variants ----------------------------------------------


def _indicators(world: _World, whole: pd.DataFrame, variants: list[dict], collective: dict | None = None) -> list[dict]:
    """Indicator values of the cluster, once for each variant: {frame id: figures that stand instead}."""
    results: list[dict] = []
    rows = max(1, len(whole) + len(world.before))
    at_once = max(1, ROWS_AT_ONCE // rows)
    for start in range(0, len(variants), at_once):
        part = variants[start : start + at_once]
        tables = _tables(world, whole, part, collective or world.collective)
        values = compute_round(tables, world.round.year, definitions())
        by_cluster = values.set_index(["cluster", "indicator"])["value"].unstack("indicator")
        results += [by_cluster.loc[name].to_dict() for name in _names(len(part))]
    return results


def _names(count: int) -> Iterator[str]:
    return (f"v{number:05d}" for number in range(count))


def _tables(world: _World, whole: pd.DataFrame, variants: list[dict], collective: dict) -> Tables:
    """Each variant as a cluster of its own, so that all are computed at once by the very formulas of the index."""
    units, frames, filed, clusters = [], [], [], []
    year, cluster = world.round.year, world.cluster
    for name, instead in zip(_names(len(variants)), variants, strict=True):
        varied = whole
        if instead:
            varied = whole.copy()
            for frame_id, figures in instead.items():
                varied.loc[frame_id, figures.index] = figures.to_numpy()
        for at, table in ((year, varied), (year - 1, world.before)):
            if len(table):
                units.append(table.assign(round=at, cluster=name, frame_id=[f"{name}:{one}" for one in table.index]))
        frames.append(world.frame.assign(cluster=name, frame_id=[f"{name}:{one}" for one in world.frame["frame_id"]]))
        for schedule, answers in collective.items():
            region = cluster.region_id or "" if schedule == "REGION" else ""
            filed.append((year, schedule, name, name, region, json.dumps(answers, sort_keys=True)))
        clusters.append((name, cluster.country_id, cluster.region_id or "", cluster.sector_id or ""))
    end = (
        FiscalYear.objects.filter(country=cluster.country_id, valid_from__lte=year)
        .order_by("-valid_from")
        .values_list("end_month", flat=True)
        .first()
    )
    fields = ["country_id", "year", "inflation_pct", "ppp_lcu_per_usd", "fx_lcu_per_usd"]
    context = CountryYear.objects.filter(country=cluster.country_id).order_by("year").values_list(*fields)
    return Tables(
        units=pd.concat(units, ignore_index=True) if units else pd.DataFrame(columns=["round", "cluster", "frame_id"]),
        frame=pd.concat(frames, ignore_index=True),
        collective=pd.DataFrame(filed, columns=["round", "schedule", "subject", "cluster", "region", "answers"]),
        context=pd.DataFrame(context, columns=["country", *fields[1:]]),
        clusters=pd.DataFrame(clusters, columns=["code", "country", "region", "sector"]).assign(
            fiscal_year_end_month=end
        ),
        flags=pd.DataFrame(columns=FLAG_COLUMNS),
    )
