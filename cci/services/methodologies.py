"""Methodologies: registered as drafts, checked by a second person, adopted by another."""

import json

from django.db import transaction
from django.utils import timezone

from cci import methodology as files
from cci.models import Methodology
from core.audit.models import record
from core.base import Conflict, DomainError

from .words import reason_given

CURRENT = "1.0"


@transaction.atomic
def register_methodology(version: str, *, by=None) -> Methodology:
    """Enter a methodology as a draft; the same files again change nothing, changed files need a new version."""
    method = files.load_method(version)
    existing = Methodology.objects.filter(version=version).first()
    if existing:
        if existing.digest != method.digest:
            raise DomainError(
                f"Methodology {version} is registered with other content. Give the changed files a new version."
            )
        return existing
    made = Methodology.objects.create(
        version=version,
        title=method.title,
        digest=method.digest,
        definition=json.loads(json.dumps(method.content, default=str)),
        author=method.author,
        checker=method.checker,
        review_on=method.review_on,
        registered_by=by,
    )
    record("methodology.register", made, by=by, version=version, digest=method.digest)
    return made


def unregistered_versions() -> list[str]:
    """Versions whose files lie in the folder of methodologies and that nobody has registered."""
    known = set(Methodology.objects.values_list("version", flat=True))
    found = (path.stem.removeprefix("cci-") for path in (files.FIXTURES / "methodologies").glob("cci-*.toml"))
    return sorted(version for version in found if version not in known)


def has_registered_files(methodology: Methodology) -> bool:
    """Whether the files on this server are those that were registered."""
    try:
        return files.load_method(methodology.version).digest == methodology.digest
    except (OSError, ValueError, KeyError):
        return False


@transaction.atomic
def check_methodology(methodology: Methodology, *, by, note: str) -> None:
    """Say that a draft was gone through, by another person than who registered it, and what was found."""
    note = reason_given(note, "Say what you looked at and what you found")
    _refuse_other_state(methodology, Methodology.State.DRAFT, "is checked")
    if methodology.registered_by_id == by.pk:
        raise DomainError("Who registers a methodology does not check it. Ask a colleague.")
    if not has_registered_files(methodology):
        raise DomainError(
            f"The files of methodology {methodology.version} on this server differ from the registered ones. "
            "Give the changed files a new version and register that."
        )
    _moved(
        methodology, "draft", state=Methodology.State.CHECKED, checked_by=by, checked_at=timezone.now(), check_note=note
    )
    record("methodology.check", methodology, by=by, version=methodology.version, digest=methodology.digest, note=note)


@transaction.atomic
def adopt_methodology(methodology: Methodology, *, by, note: str) -> None:
    """Adopt a checked methodology, by another person than who checked it: new editions are computed with it."""
    note = reason_given(note, "Say for readers why it is adopted")
    _refuse_other_state(methodology, Methodology.State.CHECKED, "is adopted")
    if methodology.checked_by_id == by.pk:
        raise DomainError("Who checks a methodology does not adopt it. Ask a colleague.")
    _moved(
        methodology,
        "checked",
        state=Methodology.State.ADOPTED,
        adopted_by=by,
        adopted_at=timezone.now(),
        adoption_note=note,
    )
    record("methodology.adopt", methodology, by=by, version=methodology.version, digest=methodology.digest, note=note)


def _refuse_other_state(methodology: Methodology, wanted: str, act: str) -> None:
    if methodology.state != wanted:
        raise DomainError(
            f"{methodology} is {methodology.get_state_display().lower()}; "
            f"only a {Methodology.State(wanted).label.lower()} one {act}."
        )


def _moved(methodology: Methodology, was: str, **changes) -> None:
    """One conditional update decides between two people."""
    same = Methodology.objects.filter(pk=methodology.pk, state=was, digest=methodology.digest)
    if not same.update(**changes):
        raise Conflict("Somebody else decided on this methodology in the meantime. Look at it again.")
    for name, value in changes.items():
        setattr(methodology, name, value)
