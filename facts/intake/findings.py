"""What is wrong with a file, and where."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Finding:
    """One fault of a file. `row` is the row as the spreadsheet shows it; `column` a heading, or a letter."""

    rule: str
    message: str
    mend: str
    row: int | None = None
    column: str = ""
    value: str = ""


class Refused(Exception):
    """A file that cannot be read on: the findings say why."""

    def __init__(self, *findings: Finding):
        super().__init__(" ".join(one.message for one in findings[:3]))
        self.findings = list(findings)


def refused(rule: str, message: str, mend: str, **place) -> Refused:
    return Refused(Finding(rule, message, mend, **place))


def quoted(text: object, limit: int = 60) -> str:
    """A value as a message shows it: short and printable."""
    plain = "".join(one if one.isprintable() else "\ufffd" for one in str(text))
    return plain if len(plain) <= limit else plain[: limit - 1] + "…"
