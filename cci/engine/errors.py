"""What the engine says when it refuses: one line with the place, the rule and the mend."""


class EngineError(ValueError):
    """A refusal that a person can act on: where it is, what the rule is, what would do.

    `file`, `row` and `column` say where; `row` counts as a spreadsheet does, the header being row 1.
    A step that knows no rows names the `unit`; the pipeline turns it into a row.

    >>> str(EngineError("the weight is negative; write 0 or more.", file="iMeta.csv", row=3, column="Weight"))
    'iMeta.csv, row 3, column Weight: the weight is negative; write 0 or more.'
    """

    kind_of_column = "column"

    def __init__(
        self,
        message: str,
        *,
        file: str = "",
        row: int | None = None,
        column: str | None = None,
        unit: object = None,
    ) -> None:
        super().__init__(message)
        self.message, self.file, self.row, self.column, self.unit = message, file, row, column, unit

    def __str__(self) -> str:
        place = [self.file] if self.file else []
        if self.row is not None:
            place.append(f"row {self.row}")
        if self.column is not None:
            place.append(f"{self.kind_of_column} {self.column}")
        text = f"{', '.join(place)}: {self.message}" if place else self.message
        # A cell may hold line breaks; the answer stays on one line.
        return " ".join(text.split())


class DataError(EngineError):
    """The table of units cannot be used as it is."""


class MetaError(EngineError):
    """The hierarchy is not a tree with directions and weights."""


class GoalpostsError(EngineError):
    """The table of goalposts does not fit the indicators."""


class ConfigError(EngineError):
    """A setting is unknown, out of range or contradicts another; `table` and `key` name it."""

    kind_of_column = "key"

    def __init__(self, message: str, *, file: str = "config", table: str = "", key: str = "") -> None:
        name = f"[{table}] {key}".strip() if table else key
        super().__init__(message, file=file, column=name or None)
        self.table, self.key = table, key


class NonPositiveError(EngineError):
    """A geometric or harmonic mean met a value that is not above zero."""

    def __init__(self, *, unit: object, component: str, group: str, value: float, method: str) -> None:
        super().__init__(
            f"unit {unit_name(unit)}: component {component} of {group} is {value!r}, and a {method} needs "
            "values above 0; set a floor in [aggregate] or normalise to a range above 0.",
            column=component,
            unit=unit,
        )
        self.component, self.group = component, group


def unit_name(unit: object) -> str:
    """Name a unit in words: `AUS`, or `AUS (2018)` where the data hold several times."""
    return f"{unit[0]} ({unit[1]})" if isinstance(unit, tuple) else str(unit)
