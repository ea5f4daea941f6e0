"""Triggers that hold what may never change: no UPDATE, no DELETE, on SQLite and PostgreSQL alike."""

from django.db import migrations


def forbid_changes(table: str, *, when: str = "", name: str = "") -> migrations.RunPython:
    """Return a reversible migration step that refuses UPDATE and DELETE on `table`.

    when : SQL condition over `OLD` that narrows the rule (empty: every row).
    """
    trigger = name or f"{table}_immutable"

    def forwards(apps, schema_editor):
        condition = f"WHEN ({when})" if when else ""
        if schema_editor.connection.vendor == "sqlite":
            for event in ("UPDATE", "DELETE"):
                schema_editor.execute(
                    f"CREATE TRIGGER {trigger}_{event.lower()} BEFORE {event} ON {table} {condition} "
                    f"BEGIN SELECT RAISE(ABORT, '{table} is append-only'); END"
                )
        else:
            schema_editor.execute(
                f"CREATE OR REPLACE FUNCTION {trigger}_refuse() RETURNS trigger LANGUAGE plpgsql AS "
                f"$$ BEGIN RAISE EXCEPTION '{table} is append-only'; END $$"
            )
            schema_editor.execute(
                f"CREATE TRIGGER {trigger} BEFORE UPDATE OR DELETE ON {table} FOR EACH ROW {condition} "
                f"EXECUTE FUNCTION {trigger}_refuse()"
            )

    def backwards(apps, schema_editor):
        if schema_editor.connection.vendor == "sqlite":
            for event in ("update", "delete"):
                schema_editor.execute(f"DROP TRIGGER IF EXISTS {trigger}_{event}")
        else:
            schema_editor.execute(f"DROP TRIGGER IF EXISTS {trigger} ON {table}")
            schema_editor.execute(f"DROP FUNCTION IF EXISTS {trigger}_refuse()")

    return migrations.RunPython(forwards, backwards)
