"""What checks see beside the answers: last round, the other schedules, the frame."""

from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import replace
from datetime import date, timedelta

from django.utils import timezone

from clusters.models import Cluster
from core import policy
from facts.models import FiscalYear, FrameEntry, Return, Round
from facts.validation import Context, Lookups
from facts.vault import store

from .bulk import chunks
from .instruments import lookups

FROM_REGION = ("RC01", "RC02", "RC03")
FROM_CLUSTER = ("CH02", "CB01", "CB02", "CB03", "CB04")


def fiscal_year_end(country: str, round_year: int) -> date | None:
    """The last day of the fiscal year that a round asks about; None where the country's calendar is not known."""
    row = FiscalYear.objects.filter(country=country, valid_from__lte=round_year).order_by("-valid_from").first()
    if row is None:
        return None
    year = round_year - 1 if row.end_month >= 7 else round_year
    return date(year + row.end_month // 12, row.end_month % 12 + 1, 1) - timedelta(days=1)


def payloads(returns: Iterable[Return]) -> dict[int, dict]:
    """Open what each return holds now: the working draft while it can be edited, else the last version."""
    return store.open_answers((ret.pk, 0 if ret.is_editable else ret.version) for ret in returns)


def accepted_answers(round_year: int, schedule: str, subjects: Iterable[str]) -> dict[str, dict]:
    """Open the accepted answers of a round by subject."""
    found = {}
    subjects = list(subjects)
    for start in range(0, len(subjects), 500):
        rows = Return.objects.counted().filter(
            round__year=round_year, schedule=schedule, subject__in=subjects[start : start + 500]
        )
        found.update({pk: (subject, version) for pk, subject, version in rows.values_list("pk", "subject", "version")})
    opened = store.open_answers((pk, version) for pk, (_, version) in found.items())
    return {found[pk][0]: payload["answers"] for pk, payload in opened.items()}


def contexts_for(
    round_: Round, returns: list[Return], *, for_user=None, in_review: bool = False, with_unit_shares: bool = False
) -> dict[int, Context]:
    """Build the check context of each return, with a fixed number of queries for any number of returns.

    for_user : who is told what the checks say: last round's figures are quoted only where this person may read that
        return. Without a person nothing is quoted.
    in_review : the reviewer of a return that waits for a decision sees last round's figures beside this one's.
    with_unit_shares : also open the cluster's unit returns to compare the association's claims with them.
    Dates are judged as of the round's last day once it is over, so that old rounds do not grow warnings.
    """
    previous: dict[str, dict[str, dict]] = {}
    for schedule in {ret.schedule for ret in returns}:
        subjects = [ret.subject for ret in returns if ret.schedule == schedule]
        previous[schedule] = accepted_answers(round_.year - 1, schedule, subjects)
    readable = set() if in_review or for_user is None else _readable(round_.year - 1, previous, returns, for_user)
    clusters = {ret.cluster_id: ret.cluster for ret in returns if ret.cluster_id}
    regions = {c.region_id for c in clusters.values() if c.region_id} | {r.region_id for r in returns if r.region_id}
    region_answers = accepted_answers(round_.year, "REGION", regions)
    cluster_answers = accepted_answers(round_.year, "CLUSTER", [c.code for c in clusters.values()])
    frame_counts = Counter(
        FrameEntry.objects.filter(round=round_, cluster_id__in=clusters, in_scope=True).values_list(
            "cluster_id", flat=True
        )
    )
    isic = defaultdict(list)
    through = type(next(iter(clusters.values()))).other_sectors.through if clusters else None
    if through:
        for cluster_id, sector_id in through.objects.filter(cluster_id__in=clusters).values_list(
            "cluster_id", "sector_id"
        ):
            isic[cluster_id].append(sector_id)
    shares = _member_shares(round_, clusters.values()) if with_unit_shares else {}
    countries = {c.country_id for c in clusters.values()} | {r.region.country_id for r in returns if r.region_id}
    year_ends = {country: fiscal_year_end(country, round_.year) for country in countries}
    names = _cluster_names(returns)
    as_of = min(timezone.localdate(), round_.closes_on, date(round_.year, 12, 31))
    contexts = {}
    for ret in returns:
        values: dict = {}
        cluster = clusters.get(ret.cluster_id)
        if cluster:
            values = {
                "frame_count": frame_counts.get(cluster.pk),
                "uh01_share": shares.get(cluster.pk),
                "cluster_isic": [cluster.sector_id, *isic[cluster.pk]],
            }
            own_region = region_answers.get(cluster.region_id, {})
            values |= {name: own_region[name] for name in FROM_REGION if name in own_region}
            own_cluster = cluster_answers.get(cluster.code, {})
            values |= {name: own_cluster[name] for name in FROM_CLUSTER if name in own_cluster}
        country = cluster.country_id if cluster else ret.region.country_id if ret.region_id else ""
        prev = previous[ret.schedule].get(ret.subject, {})
        contexts[ret.pk] = Context(
            prev=prev,
            shown_prev=prev if in_review or (ret.schedule, ret.subject) in readable else {},
            ref_year=round_.ref_year,
            fy_end=year_ends.get(country),
            today=as_of,
            values={name: value for name, value in values.items() if value is not None},
            lookups=_lookups_of(ret, names),
        )
    return contexts


def _readable(round_year: int, previous: dict[str, dict], returns: list[Return], by) -> set[tuple[str, str]]:
    """Schedule and subject of the returns of a round that a person may read, of those whose answers were opened.

    Whoever came in by a unit's own link is that unit, and reads what it said before.
    """
    own = {grant.unit_id for grant in policy.grants_of(by) if grant.role == policy.Role.LINK and grant.unit_id}
    found = {(ret.schedule, ret.subject) for ret in returns if ret.unit_id in own}
    for schedule, opened in previous.items():
        for part in chunks(subject for subject in opened if (schedule, subject) not in found):
            rows = Return.objects.counted().filter(round__year=round_year, schedule=schedule, subject__in=part)
            mine = policy.scope(by, "return.read_submitted", rows).order_by()
            found |= {(schedule, subject) for subject in mine.values_list("subject", flat=True)}
    return found


def _cluster_names(returns: list[Return]) -> dict[str, set[int]]:
    """Name and region together → clusters that have them; only where a cluster schedule asks."""
    names: dict[str, set[int]] = defaultdict(set)
    if any(ret.schedule == "CLUSTER" for ret in returns):
        for pk, name, region in Cluster.objects.values_list("pk", "name", "region_id"):
            names[f"{name}{region or ''}"].add(pk)
    return names


def _lookups_of(ret: Return, names: dict[str, set[int]]) -> Lookups:
    """The classifications; for a cluster schedule also whether another cluster of the region has its name."""
    if ret.schedule != "CLUSTER":
        return lookups()
    return replace(lookups(), is_unique=lambda text: not names.get(text, set()) - {ret.cluster_id})


def _member_shares(round_: Round, clusters) -> dict[int, float]:
    """Share of accepted operating units that say they are paid-up members, by cluster."""
    rows = Return.objects.counted().filter(round=round_, schedule="UNIT", cluster__in=list(clusters))
    found = {pk: (cluster, version) for pk, cluster, version in rows.values_list("pk", "cluster_id", "version")}
    opened = store.open_answers((pk, version) for pk, (_, version) in found.items())
    says: dict[int, list[int]] = defaultdict(list)
    for pk, payload in opened.items():
        answer = payload["answers"].get("UH01")
        if answer is not None:
            says[found[pk][0]].append(answer)
    return {cluster: sum(answers) / len(answers) for cluster, answers in says.items()}
