"""Many rows at once: COPY on PostgreSQL, batches of INSERT elsewhere. The rows are ordinary unsaved objects."""

import io
import json
from collections.abc import Sequence
from datetime import date, datetime, time

from django.db import connection, models

BATCH = 500  # rows of one INSERT; below SQLite's limit of variables for every table here
COPY_FROM = 200  # fewer rows are quicker inserted

_ESCAPES = str.maketrans({"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"})


def allocate_keys(model: type[models.Model], count: int) -> list[int]:
    """Reserve primary keys, so that rows may name each other before they are stored. Needs a transaction."""
    table, column = model._meta.db_table, model._meta.pk.column
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute(
                "SELECT nextval(pg_get_serial_sequence(%s, %s)) FROM generate_series(1, %s)",
                [f'"{table}"', column, count],
            )
            return [key for (key,) in cursor.fetchall()]
        # SQLite's transactions queue, so nobody else counts on from here; AUTOINCREMENT remembers deleted keys.
        cursor.execute("SELECT seq FROM sqlite_sequence WHERE name = %s", [table])
        last = (cursor.fetchone() or (0,))[0]
    return list(range(last + 1, last + 1 + count))


def insert_many(rows: Sequence[models.Model]) -> None:
    """Insert unsaved rows of one model. Where there are many, their keys must be set (`allocate_keys`)."""
    if not rows:
        return
    model = type(rows[0])
    if connection.vendor != "postgresql" or len(rows) < COPY_FROM:
        model._default_manager.bulk_create(rows, batch_size=BATCH)
        return
    fields = [field for field in model._meta.concrete_fields if not _is_left_to_database(field, rows[0])]
    stream = io.StringIO()
    for row in rows:
        stream.write("\t".join([_copied(field, row) for field in fields]))
        stream.write("\n")
    stream.seek(0)
    columns = ", ".join(f'"{field.column}"' for field in fields)
    with connection.cursor() as cursor:
        cursor.copy_expert(f'COPY "{model._meta.db_table}" ({columns}) FROM STDIN', stream)
    for row in rows:
        row._state.adding = False


def _is_left_to_database(field: models.Field, row: models.Model) -> bool:
    return field.primary_key and isinstance(field, models.AutoField) and row.pk is None


def _copied(field: models.Field, row: models.Model) -> str:
    """One value in the text form of COPY."""
    value = field.pre_save(row, True)
    if value is None:
        return "\\N"
    kind = value.__class__
    if kind is int or kind is float:
        return repr(value)
    if isinstance(field, models.JSONField):
        return json.dumps(value, cls=field.encoder, ensure_ascii=False).translate(_ESCAPES)
    if kind is str:
        return value.translate(_ESCAPES)
    if kind is bool:
        return "t" if value else "f"
    if isinstance(value, bytes | bytearray | memoryview):
        return "\\\\x" + bytes(value).hex()
    if isinstance(value, datetime | date | time):
        return value.isoformat()
    return str(value).translate(_ESCAPES)
