"""The smallest valid things. A test names only what it is about."""

import datetime as dt
from contextlib import contextmanager

import factory
from django.contrib.auth import get_user_model
from django.db import connection
from django.db.models import F
from django.utils import timezone

from clusters.models import Cluster, ClusterRole, Country, Membership, Organisation, Region, Sector, Unit
from facts.models import FrameEntry, Return, Round
from facts.services.instruments import register_instrument


class CountryFactory(factory.django.DjangoModelFactory):
    class Meta:
        model = Country
        django_get_or_create = ("code",)

    code, iso3, name, currency = "PK", "PAK", "Pakistan", "PKR"


class RegionFactory(factory.django.DjangoModelFactory):
    class Meta:
        model = Region
        django_get_or_create = ("code",)

    code, name = "PK-PB", "Punjab"
    country = factory.SubFactory(CountryFactory)
    latitude, longitude = 31.1, 72.7


class SectorFactory(factory.django.DjangoModelFactory):
    class Meta:
        model = Sector
        django_get_or_create = ("code",)

    code, level, title = "3250", 4, "Manufacture of medical and dental instruments and supplies"


class ClusterFactory(factory.django.DjangoModelFactory):
    class Meta:
        model = Cluster

    code = factory.Sequence(lambda n: f"PK-TST-{n:03d}")
    name = factory.Sequence(lambda n: f"Test cluster {n}")
    country = factory.SubFactory(CountryFactory)
    region = factory.SubFactory(RegionFactory)
    sector = factory.SubFactory(SectorFactory)
    latitude, longitude = 32.5, 74.5


class OrganisationFactory(factory.django.DjangoModelFactory):
    class Meta:
        model = Organisation

    slug = factory.Sequence(lambda n: f"organisation-{n}")
    name = factory.Sequence(lambda n: f"Organisation {n}")
    kind = "Association"


class UserFactory(factory.django.DjangoModelFactory):
    class Meta:
        model = get_user_model()

    username = factory.Sequence(lambda n: f"person-{n}")


class UnitFactory(factory.django.DjangoModelFactory):
    class Meta:
        model = Unit

    cluster = factory.SubFactory(ClusterFactory)
    frame_id = factory.Sequence(lambda n: f"PK-TST-{n:05d}")
    sector = factory.SubFactory(SectorFactory)


def open_round(year: int = 2026, **fields) -> Round:
    """A round that takes returns."""
    defaults = {
        "instrument": register_instrument("1.0"),
        "state": "open",
        "opens_on": timezone.localdate() - dt.timedelta(days=60),
        "closes_on": timezone.localdate() + dt.timedelta(days=40),
    }
    return Round.objects.get_or_create(year=year, defaults=defaults | fields)[0]


def person(role: str, organisation: Organisation | None = None, **fields):
    """A person with one role."""
    user = UserFactory(**fields)
    Membership.objects.create(user=user, organisation=organisation, role=role)
    return user


class Town:
    """A cluster with its association, its agency, three firms in the frame, an open round, and its people."""

    def __init__(self, units: int = 3, year: int = 2026):
        sector = SectorFactory(code="1410", title="Manufacture of wearing apparel")
        self.cluster = ClusterFactory(sector=sector)
        self.association = OrganisationFactory(kind="Association")
        self.agency = OrganisationFactory(kind="Government agency")
        ClusterRole.objects.create(cluster=self.cluster, organisation=self.association, role="association")
        ClusterRole.objects.create(cluster=self.cluster, organisation=self.agency, role="lead_agency")
        self.entry, self.head = person("entry", self.association), person("head", self.association)
        self.staff, self.supervisor = person("staff", self.agency), person("supervisor", self.agency)
        self.round = open_round(year)
        self.units = [UnitFactory(cluster=self.cluster) for _ in range(units)]
        FrameEntry.objects.bulk_create(
            [
                FrameEntry(round=self.round, unit=unit, cluster=self.cluster, size=1, prior_employment=5)
                for unit in self.units
            ]
        )


def seen_by_checks(*returns: Return) -> None:
    """As if the round's checks had looked at the versions handed in and found nothing: no job is worked.

    For worlds whose firms all answer the same, which the checks would rightly call critical.
    """
    Return.objects.filter(pk__in=[ret.pk for ret in returns]).update(checked_version=F("version"))
    for ret in returns:
        ret.checked_version = ret.version


PUBLISHED_TABLES = (
    *("cci_edition", "cci_score", "cci_standing", "cci_explanation"),
    *("facts_indicatorvalue", "facts_reliability"),
)


@contextmanager
def rules_lifted(*tables: str):
    """Take the triggers of tables away and lay them down again: what the database's own powers could do."""
    with connection.cursor() as cursor:
        if connection.vendor == "sqlite":
            marks = ", ".join(["%s"] * len(tables))
            cursor.execute(
                f"SELECT name, sql FROM sqlite_master WHERE type = 'trigger' AND tbl_name IN ({marks})", tables
            )
            triggers = dict(cursor.fetchall())
            lift, lay = [f"DROP TRIGGER {name}" for name in triggers], [*triggers.values()]
        else:
            # A table with checks still to come is not altered.
            lift = ["SET CONSTRAINTS ALL IMMEDIATE", *(f"ALTER TABLE {name} DISABLE TRIGGER USER" for name in tables)]
            lay = ["SET CONSTRAINTS ALL IMMEDIATE", *(f"ALTER TABLE {name} ENABLE TRIGGER USER" for name in tables)]
        for sql in lift:
            cursor.execute(sql)
    yield
    with connection.cursor() as cursor:
        for sql in lay:
            cursor.execute(sql)


def before_publication():
    """Let a test change what its published editions hold, as if they had been published so."""
    return rules_lifted(*PUBLISHED_TABLES)
