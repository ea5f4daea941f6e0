"""Triggers that hold what may never change: no UPDATE, no DELETE, on SQLite and PostgreSQL alike."""

from django.db import migrations


def forbid_changes(table: str, *, when: str = "", columns: str = "") -> migrations.RunPython:
    """Return a reversible migration step that refuses UPDATE and DELETE on `table`.

    when : SQL condition over `OLD` that narrows the rule (empty: every row). It may look into other tables.
    columns : narrow the UPDATE rule to these columns, comma-separated (empty: all).
    """
    name = f"{table}_immutable"
    update_of = f"UPDATE OF {columns}" if columns else "UPDATE"

    def forwards(apps, schema_editor):
        condition = when or "1 = 1"
        if schema_editor.connection.vendor == "sqlite":
            for event, short in ((update_of, "update"), ("DELETE", "delete")):
                schema_editor.execute(
                    f"CREATE TRIGGER {name}_{short} BEFORE {event} ON {table} WHEN ({condition}) "
                    f"BEGIN SELECT RAISE(ABORT, '{table}: this row never changes'); END"
                )
        else:
            # The condition stands in the function: a trigger's own WHEN may not look into other tables.
            schema_editor.execute(
                f"CREATE OR REPLACE FUNCTION {name}_refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
                f"IF {condition} THEN RAISE EXCEPTION '{table}: this row never changes'; END IF; "
                "IF TG_OP = 'DELETE' THEN RETURN OLD; END IF; RETURN NEW; END $$"
            )
            schema_editor.execute(
                f"CREATE TRIGGER {name} BEFORE {update_of} OR DELETE ON {table} FOR EACH ROW "
                f"EXECUTE FUNCTION {name}_refuse()"
            )

    def backwards(apps, schema_editor):
        if schema_editor.connection.vendor == "sqlite":
            for event in ("update", "delete"):
                schema_editor.execute(f"DROP TRIGGER IF EXISTS {name}_{event}")
        else:
            schema_editor.execute(f"DROP TRIGGER IF EXISTS {name} ON {table}")
            schema_editor.execute(f"DROP FUNCTION IF EXISTS {name}_refuse()")

    return migrations.RunPython(forwards, backwards)


def rewrite_allowed(operations: list, *, table: str, **rule) -> list:
    """Return `operations` between lifting a table's rule and laying it down again.

    SQLite alters a table by making it anew, and its triggers go with the old one. The keywords are those of
    `forbid_changes`.
    """
    rule_of = forbid_changes(table, **rule)
    return [migrations.RunPython(rule_of.reverse_code, rule_of.code), *operations, rule_of]
