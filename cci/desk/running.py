"""A run while it works and after: how far, how long, from what, and what was assumed."""

import datetime as dt
from typing import Any

from cci.models import Edition
from core.jobs.models import Job

TABLES = {
    "units": "unit returns",
    "collective": "cluster, association and region returns",
    "frame": "units in the frames",
    "context": "country figures by year",
    "clusters": "clusters",
    "flags": "flags",
}


def run_of(job: Job, now: dt.datetime) -> dict[str, Any]:
    """How far a job is, in words; afterwards its steps with their seconds."""
    stages = (job.result or {}).get("stages", [])
    return {
        "job": job,
        "left": left_words(job.seconds_left(now)),
        "stages": stages,
        "seconds": sum(one["seconds"] for one in stages),
        "rests_until": job.not_before if job.state == Job.State.QUEUED else None,
    }


def left_words(seconds: int | None) -> str:
    """>>> left_words(50), left_words(100), left_words(None)
    ('less than a minute left', 'about 2 minutes left', '')
    """
    if seconds is None:
        return ""
    if seconds < 60:
        return "less than a minute left"
    minutes = round(seconds / 60)
    return f"about {minutes} minute{'' if minutes == 1 else 's'} left"


def figures_of(edition: Edition) -> dict[str, Any]:
    """What a computed edition rests on, and everything its report says was assumed, left out or warned of."""
    report = edition.report
    parts = list(report.get("by_goalposts", {"": report}).values())
    counts = edition.snapshot.counts if edition.snapshot else {}
    precision = report.get("precision") or {}
    return {
        "inputs": [{"words": words, "n": counts[name]} for name, words in TABLES.items() if name in counts],
        "warnings": [one for part in parts for one in part.get("warnings", [])],
        "defaults": list(dict.fromkeys(str(one) for part in parts for one in part.get("defaults", []))),
        "unused": _unused(parts),
        "clipped": sum(_count(part.get("clipped")) for part in parts),
        "widened": precision.get("widened_to_hold_the_rank", []),
        "without_figures": precision.get("without_figures", 0),
        "precision": precision,
        "libraries": parts[0].get("libraries", {}) if parts else {},
        "previous": report.get("previous"),
    }


def _unused(parts: list[dict]) -> list[str]:
    found = [
        name
        for part in parts
        for kind in ("data_columns", "meta_rows")
        for name in part.get("unused", {}).get(kind, [])
    ]
    return list(dict.fromkeys(found))


def _count(clipped: Any) -> int:
    """How many values lay beyond their goalposts."""
    if isinstance(clipped, dict):
        return sum(_count(one) for one in clipped.values())
    return clipped if isinstance(clipped, int) else 0
