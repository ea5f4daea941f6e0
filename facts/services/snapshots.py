"""Freeze the accepted returns of a round, sealed, under a keyed digest; read them back."""

import io
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path

import pandas as pd
from django.conf import settings
from django.db import transaction
from django.db.models import F
from django.utils import timezone

from clusters.models import Cluster
from core.audit.models import record
from core.base import DomainError
from facts.indicators.compute import FLAG_COLUMNS, Tables
from facts.models import CountryYear, FiscalYear, Flag, FrameEntry, Return, Round, Snapshot
from facts.vault import store

ROUNDS_BACK = 3  # growth smoothed over three rounds reaches back to a fourth
NAMES = ("units", "frame", "collective", "context", "clusters", "flags")
FRAME_COLUMNS = ["round", "cluster", "frame_id", "size", "prior_employment", "in_scope"]
FRAME_COLUMNS += ["member", "drawn", "design_weight"]


def take_snapshot(round_: Round, *, by, progress: Callable[[int, int], None] = lambda done, total: None) -> Snapshot:
    """Freeze what is accepted now. The same content gives the same snapshot, found and not made again."""
    tables = _gather(round_, progress)
    digest = content_digest(tables)
    existing = Snapshot.objects.filter(digest=digest).first()
    if existing:
        try:
            read_snapshot(existing)
        except DomainError:  # lost or damaged: the same content is at hand
            shutil.rmtree(_folder(digest), ignore_errors=True)
            _write(digest, tables)
        return existing
    _write(digest, tables)
    synthetic = Return.objects.counted().filter(round=round_, is_synthetic=True).exists()
    with transaction.atomic():
        snapshot, made = Snapshot.objects.get_or_create(
            digest=digest,
            defaults={
                "round": round_,
                "taken_at": timezone.now(),
                "counts": {name: len(getattr(tables, name)) for name in NAMES},
                "is_synthetic": synthetic,
            },
        )
        if made:
            record("snapshot.take", snapshot, by=by, digest=digest, counts=snapshot.counts)
    return snapshot


def read_snapshot(snapshot: Snapshot) -> Tables:
    """Open a snapshot's tables; a file that does not match its digest is refused."""
    folder = _folder(snapshot.digest)
    frames = {}
    for name in NAMES:
        try:
            sealed = (folder / f"{name}.parquet.sealed").read_bytes()
        except FileNotFoundError:
            raise DomainError(f"{snapshot} is not in the snapshot store. Restore it from the backup.") from None
        key_id, _, body = sealed.partition(b"\n")
        content = store.unseal(key_id.decode(), body, f"snapshot:{snapshot.digest}:{name}")
        frames[name] = pd.read_parquet(io.BytesIO(content))
    tables = Tables(**frames)
    if content_digest(tables) != snapshot.digest:
        raise DomainError(f"{snapshot} does not match its digest: its content was changed.")
    return tables


def content_digest(tables: Tables) -> str:
    """Keyed digest over the values of all tables in a fixed order, whatever library wrote the file."""
    lines = []
    for name in NAMES:
        frame = getattr(tables, name)
        columns = sorted(frame.columns)
        lines.append(json.dumps([name, columns]))
        rows = frame[columns].astype(object).to_numpy().tolist()
        lines += sorted(json.dumps([_plain(value) for value in row], ensure_ascii=False) for row in rows)
    return store.keyed_digest("\n".join(lines).encode())


def _plain(value):
    """One form for a value however its column is typed: 12.0 is 12, NaN is null."""
    if value is None or value != value:
        return None
    if isinstance(value, bool | str):
        return value
    number = float(value)
    return int(number) if number.is_integer() else number


def _folder(digest: str) -> Path:
    return settings.SNAPSHOT_DIR / digest


def _write(digest: str, tables: Tables) -> None:
    """Write all tables beside the store, then move the folder into place: whole or not at all."""
    settings.SNAPSHOT_DIR.mkdir(parents=True, exist_ok=True)
    draft = Path(tempfile.mkdtemp(dir=settings.SNAPSHOT_DIR, prefix=".draft-"))
    try:
        for name in NAMES:
            buffer = io.BytesIO()
            getattr(tables, name).to_parquet(buffer, index=False)
            key_id, sealed = store.seal(buffer.getvalue(), f"snapshot:{digest}:{name}")
            with (draft / f"{name}.parquet.sealed").open("wb") as file:
                file.write(key_id.encode() + b"\n" + sealed)
                file.flush()
                os.fsync(file.fileno())
        try:
            draft.rename(_folder(digest))
        except OSError:
            if not _folder(digest).exists():
                raise  # another worker wrote the same content first is the only harmless case
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def _gather(round_: Round, progress: Callable[[int, int], None]) -> Tables:
    years = range(round_.year - ROUNDS_BACK, round_.year + 1)
    returns = Return.objects.counted().filter(round__year__in=years).order_by("round__year", "schedule", "subject")
    heads = list(
        returns.values_list(
            "pk",
            "version",
            "round__year",
            "schedule",
            "subject",
            "cluster__code",
            "region_id",
            "unit__frame_id",
        )
    )
    units, collective = [], []
    for part in _parts(heads, 2000):
        opened = store.open_answers((head[0], head[1]) for head in part)
        for pk, _, year, schedule, subject, cluster, region, frame_id in part:
            answers = opened[pk]["answers"]
            if schedule == "UNIT":
                flat = {code: ";".join(v) if isinstance(v, list) else v for code, v in answers.items()}
                units.append({"round": year, "cluster": cluster, "frame_id": frame_id, **flat})
            else:
                collective.append(
                    (
                        year,
                        schedule,
                        subject,
                        cluster or "",
                        region or "",
                        json.dumps(answers, sort_keys=True),
                    )
                )
        progress(len(units) + len(collective), len(heads))
    frame = FrameEntry.objects.filter(round__year__in=years).order_by("round__year", "unit__frame_id")
    ends = dict(
        FiscalYear.objects.filter(valid_from__lte=round_.year)
        .order_by("valid_from")
        .values_list("country_id", "end_month")
    )
    clusters = Cluster.objects.order_by("code").values_list("code", "country_id", "region_id", "sector_id")
    context_fields = ["country_id", "year", "inflation_pct", "ppp_lcu_per_usd", "fx_lcu_per_usd"]
    return Tables(
        units=pd.DataFrame(units) if units else pd.DataFrame(columns=["round", "cluster", "frame_id", "UA01"]),
        frame=pd.DataFrame(
            frame.values_list("round__year", "cluster__code", "unit__frame_id", *FRAME_COLUMNS[3:]),
            columns=FRAME_COLUMNS,
        ),
        collective=pd.DataFrame(collective, columns=["round", "schedule", "subject", "cluster", "region", "answers"]),
        context=pd.DataFrame(
            CountryYear.objects.order_by("country", "year").values_list(*context_fields),
            columns=["country", *context_fields[1:]],
        ),
        clusters=pd.DataFrame(
            [(c, country, region or "", sector or "", ends.get(country)) for c, country, region, sector in clusters],
            columns=["code", "country", "region", "sector", "fiscal_year_end_month"],
        ),
        flags=pd.DataFrame(
            Flag.objects.filter(
                ret__in=Return.objects.counted().filter(round__year__in=years, schedule="UNIT"),
                version=F("ret__version"),
            )
            .order_by("ret__round__year", "ret__unit__frame_id", "rule")
            .values_list("ret__round__year", "ret__unit__frame_id", "rule", "severity", "resolution"),
            columns=FLAG_COLUMNS,
        ),
    )


def _parts(items: list, size: int) -> Iterable[list]:
    for start in range(0, len(items), size):
        yield items[start : start + size]
