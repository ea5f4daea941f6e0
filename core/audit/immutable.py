"""Triggers that hold what may never change, on SQLite and PostgreSQL alike."""

from django.db.migrations.operations.base import Operation


class Refuse(Operation):
    """Migration step: a trigger that refuses `event` on `table` for the rows where `when` holds.

    event : `INSERT`, `UPDATE`, `UPDATE OF a, b` or `DELETE`.
    when : SQL condition over `OLD` and `NEW`, as far as the event has them. It may look into other tables.
    why : what the error says.
    """

    reversible = True

    def __init__(self, name, table, event, when="1 = 1", why="this row never changes"):
        self.name, self.table, self.event, self.when, self.why = name, table, event, when, why

    def state_forwards(self, app_label, state):
        pass

    def database_forwards(self, app_label, schema_editor, from_state, to_state):
        message = f"{self.table}: {self.why}"
        on = f"BEFORE {self.event} ON {self.table}"
        if schema_editor.connection.vendor == "sqlite":
            schema_editor.execute(
                f"CREATE TRIGGER {self.name} {on} WHEN ({self.when}) BEGIN SELECT RAISE(ABORT, '{message}'); END"
            )
            return
        # The condition stands in the function: a trigger's own WHEN may not look into other tables.
        row = "OLD" if self.event == "DELETE" else "NEW"
        schema_editor.execute(
            f"CREATE FUNCTION {self.name}_refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
            f"IF {self.when} THEN RAISE EXCEPTION '{message}'; END IF; RETURN {row}; END $$"
        )
        schema_editor.execute(f"CREATE TRIGGER {self.name} {on} FOR EACH ROW EXECUTE FUNCTION {self.name}_refuse()")

    def database_backwards(self, app_label, schema_editor, from_state, to_state):
        if schema_editor.connection.vendor == "sqlite":
            schema_editor.execute(f"DROP TRIGGER {self.name}")
        else:
            schema_editor.execute(f"DROP TRIGGER {self.name} ON {self.table}")
            schema_editor.execute(f"DROP FUNCTION {self.name}_refuse()")

    def describe(self):
        return f"Refuse {self.event} on {self.table}: {self.why}"


class Lift(Refuse):
    """Migration step that takes a `Refuse` away; backwards it lays it down again."""

    def __init__(self, rule: Refuse):
        super().__init__(rule.name, rule.table, rule.event, rule.when, rule.why)

    database_forwards, database_backwards = Refuse.database_backwards, Refuse.database_forwards


def forbid_changes(table: str, *, when: str = "", columns: str = "", inserts: bool = False) -> list[Operation]:
    """Return migration steps that refuse UPDATE and DELETE on `table`.

    when : SQL condition over `OLD` that narrows the rule (empty: every row). It may look into other tables.
    columns : narrow the UPDATE rule to these columns, comma-separated (empty: all).
    inserts : refuse new rows for which the condition holds, too; an UPDATE may not bring a row there either.
    """
    name, condition = f"{table}_immutable", when or "1 = 1"
    update = f"UPDATE OF {columns}" if columns else "UPDATE"
    steps = [
        Refuse(f"{name}_update", table, update, when=condition),
        Refuse(f"{name}_delete", table, "DELETE", when=condition),
    ]
    if inserts:
        of_new = condition.replace("OLD.", "NEW.")
        steps += [
            Refuse(f"{name}_insert", table, "INSERT", when=of_new, why="no row is added"),
            Refuse(f"{name}_enter", table, "UPDATE", when=of_new, why="no row is added"),
        ]
    return steps


def rewrite_allowed(operations: list, *rules: Refuse) -> list[Operation]:
    """Return `operations` between lifting rules and laying them down again.

    SQLite alters a table by making it anew: its triggers go with the old one, and those of other tables that speak of
    it must be lifted too.
    """
    return [*map(Lift, reversed(rules)), *operations, *rules]
