"""Freeze the accepted returns of a round, sealed, under a keyed digest; read them back."""

import io
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
from django.conf import settings
from django.db import transaction
from django.db.models import F
from django.utils import timezone

from clusters.models import Cluster
from core.audit.models import record
from core.base import DomainError
from facts.indicators.compute import FLAG_COLUMNS, Tables
from facts.instrument import NUMBER_KINDS
from facts.models import CountryYear, FiscalYear, Flag, FrameEntry, Return, Round, Snapshot
from facts.vault import store

from .instruments import definition

ROUNDS_BACK = 3  # growth smoothed over three rounds reaches back to a fourth
PIECE = 250_000  # rows of one sealed file
BATCH = 5000  # returns opened at a time
NAMES = {  # each table with the columns that order its rows
    "units": ["round", "frame_id"],
    "frame": ["round", "frame_id"],
    "collective": ["round", "schedule", "subject"],
    "context": ["country", "year"],
    "clusters": ["code"],
    "flags": ["round", "frame_id", "rule"],
}
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
    """Open a snapshot's tables; files that do not match their digest are refused."""
    folder = _folder(snapshot.digest)
    frames = {}
    for name in NAMES:
        pieces = sorted(folder.glob(f"{name}.*.parquet.sealed"), key=lambda path: int(path.name.split(".")[1]))
        if not pieces:
            raise DomainError(f"{snapshot} is not in the snapshot store. Restore it from the backup.")
        frames[name] = pd.concat([_opened(piece, snapshot.digest) for piece in pieces], ignore_index=True)
    tables = Tables(**frames)
    if content_digest(tables) != snapshot.digest:
        raise DomainError(f"{snapshot} does not match its digest: its content was changed.")
    return tables


def _opened(piece: Path, digest: str) -> pd.DataFrame:
    key_id, _, body = piece.read_bytes().partition(b"\n")
    place = piece.name.removesuffix(".parquet.sealed")
    return pd.read_parquet(io.BytesIO(store.unseal(key_id.decode(), body, f"snapshot:{digest}:{place}")))


def content_digest(tables: Tables) -> str:
    """Keyed digest over the values of all tables in a fixed order, whatever library wrote the files.

    Rows in order of their keys, columns in order of their names. A column of numbers (and of truth values) is its
    64-bit floats, little-endian, missing as one NaN; any other its texts in UTF-8 with their ends, missing as −1.
    """
    return store.keyed_digest_of(_digested(tables))


def _digested(tables: Tables) -> Iterator[bytes]:
    for name, keys in NAMES.items():
        frame = getattr(tables, name).sort_values(keys, kind="stable")
        columns = sorted(frame.columns)
        yield json.dumps([name, len(frame), columns]).encode()
        for column in columns:
            values = frame[column]
            if values.isna().all() or pd.api.types.is_numeric_dtype(values):
                numbers = pd.to_numeric(values).to_numpy(dtype="<f8", na_value=np.nan) + 0.0  # no negative zero
                yield np.where(np.isnan(numbers), np.nan, numbers).tobytes()
            else:
                texts = [None if missing else str(v).encode() for v, missing in zip(values, values.isna(), strict=True)]
                yield np.array([-1 if text is None else len(text) for text in texts], dtype="<i8").tobytes()
                yield b"".join(text for text in texts if text)


def _folder(digest: str) -> Path:
    return settings.SNAPSHOT_DIR / digest


def _write(digest: str, tables: Tables) -> None:
    """Write all tables beside the store, then move the folder into place: whole or not at all."""
    settings.SNAPSHOT_DIR.mkdir(parents=True, exist_ok=True)
    draft = Path(tempfile.mkdtemp(dir=settings.SNAPSHOT_DIR, prefix=".draft-"))
    try:
        for name in NAMES:
            frame = getattr(tables, name)
            for number, start in enumerate(range(0, max(len(frame), 1), PIECE)):
                buffer, place = io.BytesIO(), f"{name}.{number}"
                frame.iloc[start : start + PIECE].to_parquet(buffer, index=False)
                key_id, sealed = store.seal(buffer.getvalue(), f"snapshot:{digest}:{place}")
                with (draft / f"{place}.parquet.sealed").open("wb") as file:
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
    counted = Return.objects.counted().filter(round__year__in=years)
    units, collective = _unit_table(years, counted, progress), []
    others = counted.exclude(schedule="UNIT").order_by("round__year", "schedule", "subject")
    fields = ("round__year", "schedule", "subject", "cluster__code", "region_id")
    for answers, year, schedule, subject, cluster, region in store.each_payload(others, *fields):
        plain = json.dumps(answers["answers"], sort_keys=True)
        collective.append((year, schedule, subject, cluster or "", region or "", plain))
    frame = FrameEntry.objects.filter(round__year__in=years).order_by("round__year", "unit__frame_id")
    ends = dict(
        FiscalYear.objects.filter(valid_from__lte=round_.year)
        .order_by("valid_from")
        .values_list("country_id", "end_month")
    )
    clusters = Cluster.objects.order_by("code").values_list("code", "country_id", "region_id", "sector_id")
    context_fields = ["country_id", "year", "inflation_pct", "ppp_lcu_per_usd", "fx_lcu_per_usd"]
    return Tables(
        units=units,
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


def _unit_table(years: Iterable[int], counted, progress: Callable[[int, int], None]) -> pd.DataFrame:
    """The accepted unit returns, a column a question, gathered in typed batches: no row is ever a Python object."""
    kinds = _column_kinds(years)
    returns = counted.filter(schedule="UNIT").order_by("round__year", "pk")
    total, done, batches = returns.count(), 0, []
    rows = store.each_payload(returns, "round__year", "cluster__code", "unit__frame_id")
    while part := list(islice(rows, BATCH)):
        answers = [payload["answers"] for payload, *_ in part]
        columns = {
            "round": pa.array([row[1] for row in part], pa.int64()),
            "cluster": pa.array([row[2] for row in part], pa.large_string()),
            "frame_id": pa.array([row[3] for row in part], pa.large_string()),
        }
        for code, kind in kinds.items():
            values = [one.get(code) for one in answers]
            if pa.types.is_large_string(kind):
                values = [";".join(map(str, v)) if isinstance(v, list) else v for v in values]
            columns[code] = pa.array(values, kind)
        batches.append(pa.record_batch(columns))
        progress(done := done + len(part), total)
    if not batches:
        return pd.DataFrame(columns=["round", "cluster", "frame_id", "UA01"])
    table = pa.Table.from_batches(batches)
    empty = [name for name in kinds if table[name].null_count == len(table)]
    frame = table.drop_columns(empty).to_pandas(self_destruct=True, split_blocks=True)
    return frame.sort_values(["round", "frame_id"], kind="stable", ignore_index=True)


def _column_kinds(years: Iterable[int]) -> dict[str, pa.DataType]:
    """How each unit question's answers are kept: as numbers or as text. A code never changes its meaning."""
    kinds: dict[str, pa.DataType] = {}
    versions = Round.objects.filter(year__in=years).order_by("year").values_list("instrument__version", flat=True)
    for version in dict.fromkeys(versions):
        for code, question in definition(version).schedule("UNIT").questions.items():
            numeric = question.kind in NUMBER_KINDS or question.kind == "yesno"
            if question.kind == "choice":
                numeric = all(isinstance(option.code, int) for option in question.options)
            kinds[code] = pa.float64() if numeric else pa.large_string()
    return kinds
