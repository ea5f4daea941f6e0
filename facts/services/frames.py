"""The frozen frame of a round, and who of it is asked (framework §11.1–11.3)."""

from collections import Counter
from collections.abc import Iterable, Iterator
from statistics import mean, stdev

from django.db import transaction
from django.db.models import Count

from clusters.models import Cluster, Unit
from core.audit.models import record
from core.base import DomainError
from facts.models import FrameEntry, Return, Round, Schedule
from facts.sampling import CENSUS_MAX, Listed, draw
from facts.vault import store

from .bulk import chunks
from .deadlines import today_there

BELOW = (10, 50, 250)  # persons engaged: below the first is size 1, and so on (framework §8, SIZE)
GONE = (4, 5, 6)  # UA01: out of scope from the event on (§11.2)
OPERATED = (1, 2)
LEAST_FOR_SPREAD = 10  # units; a spread of fewer says little
SMALL = (1, 2)  # the sizes of which a sample is drawn
RESPONSE_UNKNOWN = 0.6  # what is expected of a cluster that was never asked


def size_class(persons: float) -> int:
    """1 micro, 2 small, 3 medium, 4 large."""
    return 1 + sum(persons >= limit for limit in BELOW)


@transaction.atomic
def freeze_frame(round_: Round, *, by) -> int:
    """Copy the units that are alive into the frame of a round. Returns how many.

    Persons engaged are those of the last accepted return, else those of the last frame, else 1. A unit that was last
    reported closed, moved away or merged stays out, as does one that an earlier frame already left out. What becomes
    known later enters the next round. Answers are opened for one number each and not kept.
    """
    held = Round.objects.select_for_update().get(pk=round_.pk)
    if held.state != Round.State.PLANNED:
        raise DomainError(
            f"Round {held.year} is {held.get_state_display().lower()}; a frame is frozen while a round is planned."
        )
    if FrameEntry.objects.filter(round=held).exists():
        raise DomainError(f"The frame of round {held.year} is frozen already. What happens now enters the next round.")
    before = Round.objects.filter(year__lt=held.year, frame__isnull=False).order_by("-year").first()
    persons, left = _last_known(before)
    listed = set(FrameEntry.objects.filter(round__year__lt=held.year).order_by().values_list("unit", flat=True))
    units = Unit.objects.filter(cluster__kind=Cluster.Kind.CLUSTER).order_by("pk")
    count = 0
    entries = []
    for pk, cluster, member in units.values_list("pk", "cluster_id", "member").iterator(chunk_size=2000):
        if pk in left or pk in listed and pk not in persons:
            continue
        known = persons.get(pk, 1)
        entries.append(
            FrameEntry(
                round=held,
                unit_id=pk,
                cluster_id=cluster,
                size=size_class(known),
                prior_employment=known,
                member=member,
            )
        )
        count += 1
        if len(entries) == 2000:
            FrameEntry.objects.bulk_create(entries, batch_size=500)
            entries = []
    FrameEntry.objects.bulk_create(entries, batch_size=500)
    if not count:
        raise DomainError("No unit is listed in any cluster; there is no frame to freeze.")
    held.frame_frozen_on = today_there(held.pk)
    held.save(update_fields=["frame_frozen_on"])
    record("round.freeze", held, by=by, year=held.year, units=count)
    return count


def _last_known(before: Round | None) -> tuple[dict[int, int], set[int]]:
    """Persons engaged by unit of the frame before, and the units of it that are gone."""
    if before is None:
        return {}, set()
    rows = FrameEntry.objects.filter(round=before).order_by()
    persons, left = {}, set()
    for unit, known, in_scope in rows.values_list("unit_id", "prior_employment", "in_scope").iterator(chunk_size=5000):
        persons[unit] = known
        if not in_scope:
            left.add(unit)
    for unit, answers in _accepted(before):
        if answers.get("UA01") in GONE:
            left.add(unit)
        elif answers.get("UB01") is not None:
            persons[unit] = int(answers["UB01"])
    return persons, left


def _accepted(round_: Round, **only) -> Iterator[tuple[int, dict]]:
    """Yield (unit, answers) of a round's accepted unit returns, a part of them open at a time."""
    rows = Return.objects.counted().filter(round=round_, schedule=Schedule.UNIT, **only).order_by()
    found = {pk: (unit, version) for pk, unit, version in rows.values_list("pk", "unit_id", "version")}
    for part in chunks(found):
        for pk, payload in store.open_answers((pk, found[pk][1]) for pk in part).items():
            yield found[pk][0], payload["answers"]


# --- The sample ---------------------------------------------------------------------------------


@transaction.atomic
def draw_sample(
    round_: Round, cluster: Cluster, *, by, expected_response: float | None = None, seed: int | None = None
) -> dict:
    """Draw who of a cluster's frame is asked, and write the design weights. Returns units, drawn, cv and response.

    expected_response : a share; None: the response of the last round, or 0.6. seed : None: round × 1000 + cluster id.
    A frame of at most 120 stays a census. Drawing again while the round is planned replaces the draw before.
    """
    held = Round.objects.select_for_update().get(pk=round_.pk)
    if held.state != Round.State.PLANNED:
        raise DomainError(
            f"Round {held.year} is {held.get_state_display().lower()}; a sample is drawn while a round is planned."
        )
    entries = FrameEntry.objects.filter(round=held, cluster=cluster, in_scope=True)
    rows = list(entries.values_list("unit_id", "size", "member", "unit__sector_id"))
    if not rows:
        raise DomainError(f"No unit of {cluster.name} is in the frame of round {held.year}. Freeze the frame first.")
    before = Round.objects.filter(year__lt=held.year, frame__cluster=cluster).order_by("-year").first()
    drawn_before = _drawn(before, cluster)
    if expected_response is None:
        expected_response = _response(before, cluster, len(drawn_before))
    if not 0.05 <= expected_response <= 1:
        raise DomainError(
            f"An expected response of {expected_response:.0%} draws nothing sensible. Give 5 to 100 per cent."
        )
    cv = _spread(before, cluster) if len(rows) > CENSUS_MAX else None
    seed = held.year * 1000 + cluster.pk if seed is None else seed
    units = [Listed(pk, size, member, sector or "", pk in drawn_before) for pk, size, member, sector in rows]
    weights = draw(units, cv=cv, expected_response=expected_response, seed=seed)
    entries.update(drawn=False, design_weight=0.0)
    by_weight: dict[float, list[int]] = {}
    for unit, weight in weights.items():
        by_weight.setdefault(weight, []).append(unit)
    for weight, units_of_it in by_weight.items():
        for part in chunks(units_of_it):
            entries.filter(unit__in=part).update(drawn=True, design_weight=weight)
    outcome = {"units": len(rows), "drawn": len(weights), "response": round(expected_response, 3)}
    record("round.draw", held, by=by, year=held.year, cluster=cluster.code, seed=seed, **outcome)
    return outcome | {"cv": cv}


@transaction.atomic
def draw_samples(round_: Round, *, by, expected_response: float | None = None) -> int:
    """Draw the sample of every cluster whose frame is too large for a census. Returns how many clusters."""
    counts = frame_counts(round_)
    large = [cluster for cluster, sizes in counts.items() if sum(sizes.values()) > CENSUS_MAX]
    for cluster in Cluster.objects.filter(pk__in=large).order_by("pk"):
        draw_sample(round_, cluster, by=by, expected_response=expected_response)
    return len(large)


def _drawn(before: Round | None, cluster: Cluster) -> set[int]:
    if before is None:
        return set()
    rows = FrameEntry.objects.filter(round=before, cluster=cluster, in_scope=True, drawn=True)
    return set(rows.values_list("unit_id", flat=True))


def _response(before: Round | None, cluster: Cluster, asked: int) -> float:
    """Share of those asked in the last round who were accepted; never below 0.2, so that no draw explodes."""
    if before is None or not asked:
        return RESPONSE_UNKNOWN
    accepted = Return.objects.counted().filter(round=before, schedule=Schedule.UNIT, cluster=cluster).count()
    return min(1.0, max(0.2, accepted / asked)) if accepted else RESPONSE_UNKNOWN


def _spread(before: Round | None, cluster: Cluster) -> float | None:
    """Coefficient of variation of sales per full-year person (SL) over small units of the last round; None: unknown."""
    if before is None:
        return None
    sales = []
    for _, answers in _accepted(before, cluster=cluster):
        persons, months, sold = answers.get("UB01"), answers.get("UA02"), answers.get("UC01")
        if answers.get("UA01") not in OPERATED or not persons or not months or sold is None:
            continue
        if size_class(persons) in SMALL:
            sales.append(float(sold) / (persons * months / 12))
    if len(sales) < LEAST_FOR_SPREAD or not (middle := mean(sales)):
        return None
    return stdev(sales) / middle


def frame_counts(round_: Round) -> dict[int, Counter]:
    """Units in scope by cluster and size. One query."""
    found: dict[int, Counter] = {}
    rows = FrameEntry.objects.filter(round=round_, in_scope=True).order_by()
    for cluster, size, n in rows.values_list("cluster_id", "size").annotate(n=Count("pk")):
        found.setdefault(cluster, Counter())[size] = n
    return found


def drawn_counts(round_: Round, clusters: Iterable[int] | None = None) -> dict[int, int]:
    """Units asked by cluster, of all clusters or of some. One query."""
    rows = FrameEntry.objects.filter(round=round_, in_scope=True, drawn=True).order_by()
    if clusters is not None:
        rows = rows.filter(cluster__in=list(clusters))
    return dict(rows.values_list("cluster_id").annotate(n=Count("pk")))
