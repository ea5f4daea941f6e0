"""The instrument in use: read from its reviewed files, registered in the database, held to its digest."""

from functools import cache

from django.conf import settings
from django.db import transaction

from clusters.models import Product, Region, Sector
from core.audit.models import record
from core.base import DomainError
from facts.instrument import Instrument as Definition
from facts.instrument import Schedule, load_instrument
from facts.models import Instrument, Question
from facts.validation import Lookups

FOLDER = settings.BASE_DIR / "fixtures" / "instruments"


@cache
def definition(version: str) -> Definition:
    """Return the parsed instrument of a version. Reads files once a process."""
    return load_instrument(FOLDER / f"facts-{version}")


def schedule(version: str, code: str) -> Schedule:
    return definition(version).schedule(code)


@transaction.atomic
def register_instrument(version: str, *, by=None) -> Instrument:
    """Enter an instrument and its questions; the same files again change nothing, changed files are refused."""
    loaded = definition(version)
    existing = Instrument.objects.filter(version=version).first()
    if existing:
        if existing.digest != loaded.digest:
            raise DomainError(
                f"Instrument {version} is registered with other content. Give the changed files a new version."
            )
        return existing
    instrument = Instrument.objects.create(version=version, title=loaded.title, digest=loaded.digest)
    position = 0
    rows = []
    for part in loaded.schedules.values():
        for section in part.sections:
            for question in section.questions:
                position += 1
                rows.append(
                    Question(
                        instrument=instrument,
                        schedule=part.code,
                        section=section.code,
                        section_title=section.title,
                        code=question.code,
                        label=question.label,
                        type=question.type,
                        unit=question.unit,
                        required=question.required,
                        core=question.core,
                        position=position,
                    )
                )
    Question.objects.bulk_create(rows)
    record("instrument.register", instrument, by=by, version=version, digest=loaded.digest)
    return instrument


@cache
def lookups() -> Lookups:
    """Return the classifications that checks look into. Read once a process: they change with a release."""
    return Lookups(
        isic4=dict(Sector.objects.filter(level=4).values_list("code", "title")),
        hs4=dict(Product.objects.filter(parent__isnull=False).values_list("code", "title")),
        regions={
            code: (name, latitude, longitude)
            for code, name, latitude, longitude in Region.objects.values_list("code", "name", "latitude", "longitude")
        },
    )
