"""What the checks of a round read: returns handed in, opened and lined up like the tables of a snapshot."""

import json
from collections import Counter

import pandas as pd
from django.db.models import Exists, OuterRef, Q

from clusters.models import Cluster, Sector
from facts.checks.rules import Rules
from facts.checks.table import NUMBERS, CheckTable, check_table
from facts.indicators.tables import Tables
from facts.models import CountryYear, FrameEntry, Return, Round
from facts.vault import store
from facts.vault.models import UnitIdentity

from .bulk import chunks

HANDED_IN = (Return.State.SUBMITTED, Return.State.IN_REVIEW, Return.State.ACCEPTED, Return.State.LOCKED)
ROUNDS_BACK = 2
READ = (*NUMBERS, "UA05")  # questions that a check looks at
SIBLINGS = 400  # units of other clusters that stand in for a thin division, at most
HEAD = ("pk", "version", "round__year", "cluster__code", "unit__frame_id", "unit_id", "channel", "typed_by")


def opened_table(round_: Round, cluster: Cluster, rules: Rules) -> tuple[CheckTable, dict[str, tuple[int, int]]]:
    """Open a cluster's returns of this and two earlier rounds, with the siblings that thin divisions need.

    Returns the table, in which other clusters' rows are there for comparison only, and (return id, version) of each
    frame id of this round.
    """
    mine = _opened(round_, Q(cluster=cluster))
    tables = _tables(round_, cluster, mine, _siblings(round_, cluster, rules))
    ids = {one["frame_id"]: (one["pk"], one["version"]) for one in mine if one["round"] == round_.year}
    return check_table(tables, round_.year, rules), ids


def _opened(round_: Round, where: Q, back: int = ROUNDS_BACK) -> list[dict]:
    """Unit returns handed in, a row each: what a check looks at and whose it is."""
    years = range(round_.year - back, round_.year + 1)
    found = Return.objects.filter(where, schedule="UNIT", round__year__in=years, state__in=HANDED_IN, version__gt=0)
    rows = []
    for payload, pk, version, year, code, frame_id, unit_id, channel, typed_by in store.each_payload(found, *HEAD):
        row = {name: payload["answers"].get(name) for name in READ}
        rows.append(
            row
            | {
                "pk": pk,
                "version": version,
                "round": year,
                "cluster": code,
                "frame_id": frame_id,
                "unit": unit_id,
                "confirmed": ";".join(payload.get("confirmed", ())),
                "worker": typed_by[0] if channel == Return.Channel.FIELD and typed_by else None,
            }
        )
    return rows


def _siblings(round_: Round, cluster: Cluster, rules: Rules) -> list[dict]:
    """Matched returns of the country's other clusters, in the divisions that are too thin here."""
    p = rules.of("X01", round_.year)
    if p is None:
        return []
    last = Round.objects.filter(year=round_.year - 1).first()
    if last is None:
        return []
    # By subject: the unique key of a return is the index that answers this.
    before = Return.objects.filter(round=last, schedule="UNIT", subject=OuterRef("subject"), state__in=HANDED_IN)
    matched = Return.objects.filter(Exists(before), round=round_, schedule="UNIT", state__in=HANDED_IN)
    own = matched.filter(cluster=cluster).values_list("unit__sector_id", flat=True)
    divisions = Counter((sector or "")[:2] for sector in own)
    elsewhere = Cluster.objects.filter(country=cluster.country_id).exclude(pk=cluster.pk)
    found: list[dict] = []
    for division in sorted(division for division, n in divisions.items() if division and n < p["least"]):
        sectors = list(Sector.objects.filter(code__startswith=division).values_list("code", flat=True))
        there = matched.filter(cluster__in=elsewhere.values("pk"), unit__sector__in=sectors).order_by("pk")
        units = list(there.values_list("subject", flat=True)[:SIBLINGS])
        found += _opened(round_, Q(subject__in=units), back=1)
    return found


def _tables(round_: Round, cluster: Cluster, mine: list[dict], others: list[dict]) -> Tables:
    """The same tables as a snapshot has, of what was handed in; only the cluster's own frame and claims."""
    rows = [*mine, *others]
    digests = {}
    for part in chunks(row["unit"] for row in mine if row["round"] == round_.year):
        known = UnitIdentity.objects.filter(unit__in=part)
        digests.update({pk: rest for pk, *rest in known.values_list("unit", "registration_digest", "telephone_digest")})
    for row in mine:
        registration, telephone = digests.get(row["unit"], (None, None))
        row |= {"registration": registration or None, "telephone": telephone or None}
    codes = {row["cluster"] for row in rows} | {cluster.code}
    frame = FrameEntry.objects.filter(round=round_, cluster=cluster).order_by("unit__frame_id")
    fields = ["size", "prior_employment", "in_scope", "member", "drawn", "design_weight"]
    context_fields = ["country_id", "year", "inflation_pct", "ppp_lcu_per_usd", "fx_lcu_per_usd"]
    context = CountryYear.objects.filter(country=cluster.country_id).order_by("year")
    places = Cluster.objects.filter(code__in=codes).order_by("code").values_list("code", "country_id", "region_id")
    return Tables(
        units=pd.DataFrame(rows) if rows else pd.DataFrame(columns=["round", "cluster", "frame_id", "UA01"]),
        frame=pd.DataFrame(
            frame.values_list("round__year", "cluster__code", "unit__frame_id", *fields),
            columns=["round", "cluster", "frame_id", *fields],
        ),
        collective=_collective(round_, cluster),
        context=pd.DataFrame(context.values_list(*context_fields), columns=["country", *context_fields[1:]]),
        clusters=pd.DataFrame(
            [(code, country, region or "") for code, country, region in places], columns=["code", "country", "region"]
        ),
    )


def _collective(round_: Round, cluster: Cluster) -> pd.DataFrame:
    """What cluster, association and region handed in about this cluster."""
    about = Q(cluster=cluster, schedule__in=["CLUSTER", "ASSOCIATION"])
    if cluster.region_id:
        about |= Q(region=cluster.region_id, schedule="REGION")
    filed = Return.objects.filter(about, round=round_, state__in=HANDED_IN, version__gt=0).order_by("subject")
    fields = ("schedule", "subject", "cluster__code", "region_id")
    rows = [
        (round_.year, schedule, subject, code or "", region or "", json.dumps(payload["answers"]))
        for payload, schedule, subject, code, region in store.each_payload(filed, *fields)
    ]
    return pd.DataFrame(rows, columns=["round", "schedule", "subject", "cluster", "region", "answers"])
